//! `spec.output`: what is kept of a job.

use serde::Serialize;

use super::sweep::{ObjectiveSpec, metric};
use crate::decode::Field;

/// What is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OutputSpec {
    /// Trials whose trades and equity are kept.
    pub top: usize,
    /// Ids of the metrics that are computed, in the order of the manifest; empty for all. The others are null.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub metrics: Vec<String>,
}

impl Default for OutputSpec {
    fn default() -> Self {
        Self { top: 20, metrics: Vec::new() }
    }
}

pub(super) fn decode(field: &Field<'_>) -> Option<OutputSpec> {
    let object = field.object()?;
    let default = OutputSpec::default();
    let top = match object.get("top") {
        Some(top) => top.number_where("a whole number from 0 to 1000", |n| {
            (0.0..=1000.0).contains(&n) && n.fract() == 0.0
        })? as usize,
        None => default.top,
    };
    let mut metrics = Vec::new();
    if let Some(list) = object.get("metrics") {
        let items = list.list()?;
        if items.is_empty() {
            list.errors.push(&list.path, "is an empty list: name metrics, or leave it out for all");
        }
        for item in items {
            let Some(id) = metric(&item) else { continue };
            if metrics.contains(&id) {
                item.errors.push(&item.path, format!("`{id}` is named twice: keep one"));
            }
            metrics.push(id);
        }
    }
    object.done();
    Some(OutputSpec { top, metrics })
}

impl OutputSpec {
    /// What the leaderboard needs and is not computed, if anything.
    pub(super) fn lacks(&self, objective: &ObjectiveSpec) -> Option<String> {
        let lacks = |id: &str| !self.metrics.is_empty() && !self.metrics.iter().any(|metric| metric == id);
        if lacks(&objective.metric) {
            let id = &objective.metric;
            return Some(format!(
                "lacks `{id}`, which the leaderboard is sorted by: add it, or name another `sweep.objective`"
            ));
        }
        (objective.min_trades.is_some() && lacks("trades"))
            .then(|| "lacks `trades`, which `sweep.objective.minTrades` looks at: add it".to_owned())
    }
}
