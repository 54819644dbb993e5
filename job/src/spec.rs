//! The decoded manifest: [`JobSpec`] and its parts, defaults filled in.

mod data;
mod execution;
mod strategy;
mod sweep;

use blockgrid_engine::sim::Execution;
use blockgrid_engine::strategy::Strategy;
use serde_json::{Value, json};

pub use data::{DataSource, DataSpec, Fill, FillGaps, Quality, SymbolSpec};
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
    /// Trials whose trades and equity are kept.
    pub top: usize,
    /// Whether the manifest names `compute`, which only a cluster uses.
    pub names_compute: bool,
}

impl JobSpec {
    /// The resolved manifest: what was asked with every default written out. Reading it gives the same job.
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
                "output": { "top": self.top },
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
    let spec = job(&Field { path: String::new(), value, errors: &errors });
    (spec, errors.into_vec())
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
    let name = object
        .require("metadata", "write metadata: {name: my-job}")
        .and_then(|field| field.object())
        .and_then(|metadata| metadata.require("name", "name the job, such as sma-crossover"))
        .and_then(|field| job_name(&field));
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
    let names_compute = spec.get("compute").is_some();
    let top = match spec.get("output").map(|field| output(&field)) {
        Some(top) => top.unwrap_or(DEFAULT_TOP),
        None => DEFAULT_TOP,
    };
    spec.done();
    let strategy = strategy?;
    let sweep = sweep?.filled(&strategy);
    Some(JobSpec {
        name: name.unwrap_or_default(),
        data: data.unwrap_or_default(),
        execution: execution?,
        sweep,
        top,
        names_compute,
        strategy: strategy.0,
    })
}

/// Trials whose trades and equity are kept when `output.top` is not given.
const DEFAULT_TOP: usize = 20;

fn output(field: &Field<'_>) -> Option<usize> {
    let object = field.object()?;
    let top = match object.get("top") {
        Some(top) => top.number_where("a whole number from 0 to 1000", |n| {
            (0.0..=1000.0).contains(&n) && n.fract() == 0.0
        })? as usize,
        None => DEFAULT_TOP,
    };
    object.done();
    Some(top)
}

/// A name that Kubernetes takes: a DNS-1123 subdomain.
fn job_name(field: &Field<'_>) -> Option<String> {
    let name = field.text()?;
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
