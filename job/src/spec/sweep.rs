//! `spec.sweep`: which parameters are swept, over which values, and what is best.

use std::collections::HashSet;

use serde::Serialize;
use serde_json::Value;

use super::strategy::DecodedStrategy;
use crate::decode::{Field, Object};
use crate::grid::decimal_range;
use crate::validate::{MAX_TRIALS, too_many};

/// The values of one swept parameter, in order.
#[derive(Debug, Clone, PartialEq)]
pub struct Axis {
    /// Parameter name.
    pub name: String,
    /// Values, distinct.
    pub values: Vec<f64>,
}

/// A metric id, or an error that names the nearest.
pub(super) fn metric(field: &Field<'_>) -> Option<String> {
    let text = field.text()?;
    let ids: Vec<_> = blockgrid_engine::metrics::METRICS.iter().map(|m| m.id).collect();
    if ids.contains(&text.as_str()) {
        return Some(text);
    }
    let near = blockgrid_engine::expr::nearest(&text, ids.iter().copied());
    let remedy = near.map_or_else(
        || format!("the metrics are {}", ids.join(", ")),
        |near| format!("did you mean `{near}`?"),
    );
    field.errors.push(&field.path, format!("`{text}` is no metric: {remedy}"));
    None
}

/// Whether the most or the least of a metric is best.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Direction {
    /// The highest value wins.
    Max,
    /// The lowest value wins.
    Min,
}

/// What the leaderboard is sorted by.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ObjectiveSpec {
    /// Metric id.
    pub metric: String,
    /// Best is most or least; `None` takes the metric's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub direction: Option<Direction>,
    /// Trials with fewer trades rank after the others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_trades: Option<u32>,
}

/// The sweep of a job.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SweepSpec {
    /// Swept parameters by name: the order of the grid, the last varying fastest.
    #[serde(serialize_with = "by_name")]
    pub parameters: Vec<Axis>,
    /// A condition on parameters that trials must meet.
    #[serde(rename = "where", skip_serializing_if = "Option::is_none")]
    pub filter: Option<String>,
    /// What is best.
    pub objective: ObjectiveSpec,
}

fn by_name<S: serde::Serializer>(axes: &[Axis], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(axes.iter().map(|axis| (&axis.name, &axis.values)))
}

impl Default for SweepSpec {
    fn default() -> Self {
        let objective = ObjectiveSpec { metric: "sharpe".to_owned(), direction: None, min_trades: None };
        Self { parameters: Vec::new(), filter: None, objective }
    }
}

impl SweepSpec {
    /// Checks that every swept parameter is one of the strategy's, and that every parameter has a value.
    pub(super) fn filled(self, strategy: &DecodedStrategy) -> Self {
        strategy.check_swept(&self.parameters);
        self
    }
}

pub(super) fn decode(field: &Field<'_>) -> Option<SweepSpec> {
    let object = field.object()?;
    let mut parameters = Vec::new();
    // No grid has more values than trials: counted down, so that no list of ranges fills the memory before that is told.
    let mut left = MAX_TRIALS;
    if let Some(axes) = object.get("parameters").and_then(|f| f.object()) {
        for (name, axis) in axes.entries() {
            if let Some(values) = values(&axis, left) {
                left = left.saturating_sub(values.len() as u128);
                parameters.push(Axis { name, values });
            }
        }
    }
    let filter = object.get("where").and_then(|f| match f.value {
        Value::Bool(flag) => Some(flag.to_string()),
        _ => f.text(),
    });
    let objective = match object.get("objective") {
        Some(f) => objective(&f),
        None => None,
    };
    let objective = objective.unwrap_or_else(|| SweepSpec::default().objective);
    object.done();
    // By name: an API server does not keep the order in which fields were written, and results must not depend on it.
    parameters.sort_by(|a, b| a.name.cmp(&b.name));
    Some(SweepSpec { parameters, filter, objective })
}

fn values(field: &Field<'_>, left: u128) -> Option<Vec<f64>> {
    let values = match field.value {
        Value::Number(_) => vec![field.number()?],
        Value::Array(_) => field.list()?.iter().map(Field::number).collect::<Option<Vec<f64>>>()?,
        Value::Object(_) => return range(&field.object()?, left),
        _ => {
            field.wanted("{from, to, step} (after --set: 5..50/5), a list of numbers or a number");
            return None;
        }
    };
    if values.is_empty() {
        field.errors.push(&field.path, "is an empty list, so the grid is empty: name at least one value");
        return None;
    }
    let mut seen = HashSet::new();
    for value in &values {
        // 0 and -0 are one value.
        if !seen.insert((value + 0.0).to_bits()) {
            field.errors.push(&field.path, format!("holds {value} twice: keep one"));
            return None;
        }
    }
    Some(values)
}

fn range(object: &Object<'_>, left: u128) -> Option<Vec<f64>> {
    let number = |key: &'static str, remedy: &str| object.require(key, remedy).and_then(|f| f.number());
    let from = number("from", "the first value");
    let to = number("to", "the last value, inclusive");
    let step = number("step", "the distance between values");
    let (from, to, step) = (from?, to?, step?);
    let problem = if step <= 0.0 {
        format!("step is {step}, but must be above 0")
    } else if to < from {
        format!("from {from} is above to {to}, so the grid is empty")
    } else {
        match decimal_range(from, to, step) {
            Some((count, _)) if count > left => too_many(count, "values"),
            Some((count, value)) => return Some((0..count).map(value).collect()),
            None => "has more digits than a decimal of 30 places: write fewer".to_owned(),
        }
    };
    object.errors.push(&object.path, problem);
    None
}

fn objective(field: &Field<'_>) -> Option<ObjectiveSpec> {
    if field.value.is_string() {
        return Some(ObjectiveSpec { metric: metric(field)?, direction: None, min_trades: None });
    }
    let object = field.object()?;
    let id = object.require("metric", "a metric id such as sharpe").and_then(|f| metric(&f));
    let direction =
        object.get("direction").and_then(|f| f.choice(&[("max", Direction::Max), ("min", Direction::Min)]));
    let min_trades = object.get("minTrades").and_then(|f| {
        f.number_where("a whole number of at least 0", |n| (0.0..=1e9).contains(&n) && n.fract() == 0.0)
            .map(|n| n as u32)
    });
    object.done();
    Some(ObjectiveSpec { metric: id?, direction, min_trades })
}
