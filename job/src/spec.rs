//! The decoded manifest: [`JobSpec`] and its parts, defaults filled in.

pub mod cluster;
mod data;
mod execution;
mod output;
mod strategy;
mod sweep;

use std::borrow::Cow;

use blockgrid_engine::sim::Execution;
use blockgrid_engine::strategy::Strategy;
use serde_json::{Value, json};

pub use cluster::ClusterSpec;
pub(crate) use data::MAX_FILL;
pub use data::{DataSource, DataSpec, Fill, FillGaps, Quality, SymbolSpec};
pub use output::OutputSpec;
pub use sweep::{Axis, Direction, ObjectiveSpec, SweepSpec};

use crate::decode::{Errors, Field, FieldError, Object};

/// The `apiVersion` of a manifest.
pub const API_VERSION: &str = "grid.blockbuilders.app/v1alpha1";
/// The `kind` of a manifest.
pub const KIND: &str = "BacktestJob";

/// A `BacktestJob`, defaults filled in; [`JobSpec::manifest`] writes it as a manifest again.
#[derive(Debug, Clone, PartialEq)]
pub struct JobSpec {
    /// `metadata.name`.
    pub name: String,
    /// What it runs on.
    pub data: DataSpec,
    /// What is tried.
    pub strategy: Strategy,
    /// How orders are executed.
    pub execution: Execution,
    /// Which parameters are swept.
    pub sweep: SweepSpec,
    /// What is kept.
    pub output: OutputSpec,
    /// What only a cluster uses; no part of the resolved manifest.
    pub cluster: ClusterSpec,
}

impl JobSpec {
    /// The resolved manifest: what was asked with every default written out. Reading it gives the same job, but for what
    /// only a cluster uses ([`JobSpec::cluster`]), on which results do not depend.
    pub fn manifest(&self) -> Value {
        json!({
            "apiVersion": API_VERSION,
            "kind": KIND,
            "metadata": { "name": self.name },
            "spec": {
                "data": self.data,
                "strategy": self.strategy,
                "execution": self.execution,
                "sweep": self.sweep,
                "output": self.output,
            },
        })
    }
}

/// Decodes a manifest, with an error for every field that is unknown, missing or of the wrong type.
///
/// The job is given whenever its strategy can be read, so that more can be said about it; with errors, what is missing in
/// it is filled in with defaults, and it is not for running.
pub(crate) fn decode(value: &Value) -> (Option<JobSpec>, Vec<FieldError>) {
    let errors = Errors::default();
    let value = with_one_zero(value);
    let spec = job(&Field { path: String::new(), value: &value, errors: &errors });
    (spec, errors.into_vec())
}

/// A manifest whose numbers that are -0 are 0: API servers write them so, and a trial is the same one everywhere.
fn with_one_zero(value: &Value) -> Cow<'_, Value> {
    fn is_below(value: &Value) -> bool {
        match value {
            Value::Number(number) => {
                number.as_f64().is_some_and(|number| number == 0.0 && number.is_sign_negative())
            }
            Value::Array(list) => list.iter().any(is_below),
            Value::Object(map) => map.values().any(is_below),
            _ => false,
        }
    }
    fn mend(value: &mut Value) {
        match value {
            Value::Array(list) => list.iter_mut().for_each(mend),
            Value::Object(map) => map.values_mut().for_each(mend),
            number if is_below(number) => *number = 0.0.into(),
            _ => {}
        }
    }
    if !is_below(value) {
        return Cow::Borrowed(value);
    }
    let mut mended = value.clone();
    mend(&mut mended);
    Cow::Owned(mended)
}

/// Decodes only what a manifest says to a cluster.
pub(crate) fn decode_cluster(value: &Value) -> Result<ClusterSpec, Vec<FieldError>> {
    let errors = Errors::default();
    let spec = value.get("spec").unwrap_or(&Value::Null);
    let root = Field { path: "spec".to_owned(), value: spec, errors: &errors };
    let found = match spec {
        Value::Object(map) => cluster::decode(&Object::new(&root, map)),
        _ => ClusterSpec::default(),
    };
    let errors = errors.into_vec();
    if errors.is_empty() { Ok(found) } else { Err(errors) }
}

fn job(root: &Field<'_>) -> Option<JobSpec> {
    match root.value {
        Value::Object(_) => {}
        Value::Null => {
            root.errors.push("", "the manifest is empty: `blockgrid init` writes one to start from")
        }
        other => {
            let message = "but must have the fields apiVersion, kind, metadata and spec";
            root.errors.push("", format!("the manifest is {}, {message}", crate::decode::shown(other)));
        }
    }
    let Value::Object(map) = root.value else { return None };
    let object = Object::new(root, map);
    for (key, expected) in [("apiVersion", API_VERSION), ("kind", KIND)] {
        if let Some(field) = object.require(key, &format!("write {key}: {expected}"))
            && field.value.as_str() != Some(expected)
        {
            field.wanted(expected);
        }
    }
    // Labels, annotations and whatever else an API server keeps there are its own.
    let name = object
        .require("metadata", "write metadata: {name: my-job}")
        .and_then(|field| field.object())
        .and_then(|metadata| match metadata.get("generateName").filter(|_| metadata.get("name").is_none()) {
            // An API server puts some letters after it.
            Some(prefix) => job_name(&prefix, |prefix| prefix.trim_end_matches(['-', '.'])),
            None => metadata
                .require("name", "name the job, such as sma-crossover")
                .and_then(|field| job_name(&field, |name| name)),
        });
    let spec =
        object.require("spec", "write what to run: data, strategy, sweep").and_then(|field| field.object());
    object.get("status");
    object.done();
    let spec = spec?;
    let data = spec
        .require("data", "say what to run on: {dataset: sample} or {file: candles.csv}")
        .and_then(|f| data::decode(&f));
    let execution = execution::decode(spec.get("execution").as_ref());
    let strategy = spec.require("strategy", "describe entries and exits").and_then(|f| strategy::decode(&f));
    let sweep = match spec.get("sweep") {
        Some(field) => sweep::decode(&field),
        None => Some(SweepSpec::default()),
    };
    if let Some(field) = spec.get("analysis") {
        let message =
            "this build has no analysis yet (walk-forward, Monte Carlo): remove it to run the sweep alone";
        field.errors.push(&field.path, message);
    }
    let cluster = cluster::decode(&spec);
    let output_field = spec.get("output");
    let output = output_field.as_ref().and_then(output::decode).unwrap_or_default();
    spec.done();
    let strategy = strategy?;
    let sweep = sweep?.filled(&strategy);
    if let Some(field) = output_field
        && let Some(message) = output.lacks(&sweep.objective)
    {
        field.errors.push(format!("{}.metrics", field.path), message);
    }
    Some(JobSpec {
        name: name.unwrap_or_default(),
        data: data.unwrap_or_default(),
        execution: execution?,
        sweep,
        output,
        cluster,
        strategy: strategy.0,
    })
}

/// A name that Kubernetes takes: a DNS-1123 subdomain.
fn job_name(field: &Field<'_>, part: impl Fn(&str) -> &str) -> Option<String> {
    let name = part(&field.text()?).to_owned();
    let ok = !name.is_empty()
        && name.len() <= 253
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.')
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.ends_with(|c: char| c.is_ascii_alphanumeric());
    if !ok {
        field.wanted("a Kubernetes name: lower-case letters, digits, `-` and `.`, at most 253");
    }
    ok.then_some(name)
}
