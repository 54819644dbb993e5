//! The CustomResourceDefinitions of the grid, made from what the decoders know: `blockgrid crds` prints them.
//!
//! An operator compares the digest of the schema that a cluster has with [`digest`]: a chart that kept an old one is
//! found at the start, not by the first job that loses a field.

mod budget;
mod job;
mod schema;
mod status;
mod yaml;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use schema::Schema;

/// The API group.
pub const GROUP: &str = "grid.blockbuilders.app";
/// The version of both kinds.
pub const VERSION: &str = "v1alpha1";
/// The annotation of a CustomResourceDefinition that has the digest of its `spec`.
pub const DIGEST_ANNOTATION: &str = "grid.blockbuilders.app/crd-digest";

/// A kind of object that the grid defines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A job.
    BacktestJob,
    /// What the jobs of a namespace may cost.
    BacktestBudget,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::BacktestJob, Self::BacktestBudget];

    /// As an object has it.
    pub fn id(self) -> &'static str {
        match self {
            Self::BacktestJob => crate::spec::KIND,
            Self::BacktestBudget => crate::budget::KIND,
        }
    }

    /// As a URL has it.
    pub fn plural(self) -> &'static str {
        match self {
            Self::BacktestJob => "backtestjobs",
            Self::BacktestBudget => "backtestbudgets",
        }
    }

    /// The name of its CustomResourceDefinition.
    pub fn name(self) -> String {
        format!("{}.{GROUP}", self.plural())
    }

    /// As one writes it for kubectl.
    pub fn short(self) -> &'static str {
        match self {
            Self::BacktestJob => "btj",
            Self::BacktestBudget => "btb",
        }
    }

    /// Its CustomResourceDefinition.
    pub fn definition(self) -> Value {
        json!({
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": { "name": self.name(), "annotations": { DIGEST_ANNOTATION: digest(self) } },
            "spec": self.spec(),
        })
    }

    /// Its CustomResourceDefinition as a YAML document.
    pub fn yaml(self) -> String {
        let head = format!(
            "# Written by `blockgrid crds --name {}`; `make generated` checks that it is.\n",
            self.plural()
        );
        head + &yaml::document(&self.definition())
    }

    fn spec(self) -> Value {
        json!({
            "group": GROUP,
            "names": {
                "categories": ["blockgrid"],
                "kind": self.id(),
                "listKind": format!("{}List", self.id()),
                "plural": self.plural(),
                "shortNames": [self.short()],
                "singular": self.id().to_lowercase(),
            },
            "scope": "Namespaced",
            "versions": [{
                "name": VERSION,
                "served": true,
                "storage": true,
                "subresources": { "status": {} },
                "additionalPrinterColumns": self.columns(),
                "schema": { "openAPIV3Schema": self.schema() },
            }],
        })
    }

    /// The schema of an object of this kind: structural OpenAPI v3.
    pub fn schema(self) -> Value {
        let (about, spec, status) = match self {
            Self::BacktestJob => (job::ABOUT, job::spec(), status::status()),
            Self::BacktestBudget => (budget::ABOUT, budget::spec(), budget::status()),
        };
        let version = format!("{GROUP}/{VERSION}.");
        Schema::object(about)
            .field("apiVersion", Schema::text(64, &version))
            .field("kind", Schema::text(64, &format!("{}.", self.id())))
            .field("metadata", Schema::object(""))
            .required("spec", spec)
            .field("status", status)
            .json()
    }

    /// What `kubectl get` shows; what has a priority, with `-o wide` alone.
    fn columns(self) -> Value {
        let column =
            |name: &str, kind: &str, path: &str| json!({ "name": name, "type": kind, "jsonPath": path });
        let wide = |name: &str, kind: &str, path: &str| json!({ "name": name, "type": kind, "jsonPath": path, "priority": 1 });
        let age = column("Age", "date", ".metadata.creationTimestamp");
        match self {
            Self::BacktestJob => json!([
                column("Phase", "string", ".status.phase"),
                column("Progress", "string", ".status.progress"),
                column("Best", "string", ".status.best"),
                column("Cost", "string", ".status.cost"),
                column("Workers", "integer", ".status.workers"),
                age,
                wide("Lane", "string", ".status.lane"),
                wide("Trials", "integer", ".status.trials"),
                wide("Message", "string", ".status.message"),
            ]),
            Self::BacktestBudget => json!([
                column("Limit", "string", ".status.limit"),
                column("Spent", "string", ".status.spent"),
                column("Reserved", "string", ".status.reserved"),
                column("Projected", "string", ".status.projected"),
                column("PerUserUSD", "number", ".spec.perUserUsd"),
                age,
            ]),
        }
    }
}

/// SHA-256 of a definition's `spec`: the schema, the columns and the names.
pub fn digest(kind: Kind) -> String {
    let bytes = Sha256::digest(yaml::document(&kind.spec()));
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
