//! Which trial is best, by an objective, and how a terminal shows it.
//!
//! The order is total and depends on the table alone: trials with a defined objective and enough trades first, best
//! first; then those with too few trades, best first; then those whose objective is null or not finite. Ties keep grid
//! order, which is row order.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::Arc;

use blockgrid_engine::metrics::{METRICS, MetricInfo, Unit};
use blockgrid_job::spec::{Direction, ObjectiveSpec};
use serde_json::{Map, Value, json};

use crate::format;
use crate::table::{TrialTable, metric_index};

mod text;

pub use text::{leaderboard_text, median_text};

/// Whether more or less is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Goal {
    /// The highest value wins.
    Max,
    /// The lowest value wins.
    Min,
}

impl Goal {
    /// `max` or `min`, as a manifest says it.
    pub fn id(self) -> &'static str {
        match self {
            Self::Max => "max",
            Self::Min => "min",
        }
    }
}

/// No metric has this name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no metric; the metrics are {list}", list = METRICS.iter().map(|m| m.id).collect::<Vec<_>>().join(", "))]
pub struct UnknownMetric(pub String);

/// What the leaderboard is sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Objective {
    /// The metric.
    pub metric: &'static MetricInfo,
    /// Whether more or less of it is better.
    pub direction: Goal,
    /// Trials with fewer trades rank after all others that have a value.
    pub min_trades: Option<u32>,
}

impl Objective {
    /// The objective `metric`. Without a direction the metric's own holds; metrics where neither is better are maximised.
    ///
    /// # Errors
    /// [`UnknownMetric`].
    pub fn new(
        metric: &str,
        direction: Option<Goal>,
        min_trades: Option<u32>,
    ) -> Result<Self, UnknownMetric> {
        let index = metric_index(metric).ok_or_else(|| UnknownMetric(metric.to_owned()))?;
        let metric = &METRICS[index];
        let natural = if metric.higher_is_better == Some(false) { Goal::Min } else { Goal::Max };
        Ok(Self { metric, direction: direction.unwrap_or(natural), min_trades })
    }

    /// What a manifest's objective ranks by.
    ///
    /// # Errors
    /// [`UnknownMetric`].
    pub fn of(spec: &ObjectiveSpec) -> Result<Self, UnknownMetric> {
        let direction = spec.direction.map(|direction| match direction {
            Direction::Max => Goal::Max,
            Direction::Min => Goal::Min,
        });
        Self::new(&spec.metric, direction, spec.min_trades)
    }

    /// Orders two values of the objective, better first; `None` (undefined) is worst.
    fn compare(&self, a: Option<f64>, b: Option<f64>) -> Ordering {
        match (a, b) {
            (Some(a), Some(b)) => {
                let ascending = a.partial_cmp(&b).unwrap_or(Ordering::Equal);
                if self.direction == Goal::Max { ascending.reverse() } else { ascending }
            }
            (a, b) => b.is_some().cmp(&a.is_some()),
        }
    }

    fn enough_trades(&self, table: &TrialTable, row: usize) -> bool {
        self.min_trades
            .is_none_or(|least| table.metric(row, "trades").is_some_and(|trades| trades >= f64::from(least)))
    }
}

/// Rows of the table, best first. See the module for the rules.
pub fn rank(table: &TrialTable, objective: &Objective) -> Vec<usize> {
    let mut keyed: Vec<(bool, Option<f64>, usize)> = (0..table.len())
        .map(|row| {
            let value = table.metric(row, objective.metric.id);
            (value.is_some() && !objective.enough_trades(table, row), value, row)
        })
        .collect();
    keyed.sort_by(|a, b| order(objective, (a.0, a.1), (b.0, b.1)).then(a.2.cmp(&b.2)));
    keyed.into_iter().map(|(_, _, row)| row).collect()
}

/// Undefined last, before them the ones with too few trades, then by value.
fn order(objective: &Objective, a: (bool, Option<f64>), b: (bool, Option<f64>)) -> Ordering {
    let class = |(few, value): (bool, Option<f64>)| if value.is_none() { 2 } else { u8::from(few) };
    class(a).cmp(&class(b)).then_with(|| objective.compare(a.1, b.1))
}

/// A parameter set with its trials on every symbol.
#[derive(Debug, Clone, PartialEq)]
pub struct ParameterSet {
    /// Time window.
    pub window: Arc<str>,
    /// Parameter values in column order.
    pub parameters: Vec<(String, f64)>,
    /// Its rows, in row order, one a symbol.
    pub rows: Vec<usize>,
    /// Median of the objective over symbols; `None` when undefined.
    pub median: Option<f64>,
    /// The worst value over symbols; `None` when it is undefined on one of them.
    pub worst: Option<f64>,
    /// Whether every symbol has the trades the objective asks for.
    pub enough_trades: bool,
}

/// Parameter sets (and windows), best median over symbols first.
///
/// A null or non-finite value on a symbol, and a symbol the set was not tried on, count as worse than any number; with
/// an even number of symbols the median is the mean of the middle two, and undefined when one of them is. A set that has
/// too few trades on any symbol ranks with the ones below the minimum. Ties keep grid order.
pub fn rank_by_median(table: &TrialTable, objective: &Objective) -> Vec<ParameterSet> {
    let mut sets: Vec<(Arc<str>, Vec<usize>)> = Vec::new();
    let mut known: HashMap<(Arc<str>, Vec<u64>), usize> = HashMap::new();
    for row in 0..table.len() {
        let bits = table.parameters.iter().map(|(_, column)| column[row].to_bits()).collect();
        let window = table.window[row].clone();
        let set = *known.entry((window.clone(), bits)).or_insert_with(|| {
            sets.push((window, Vec::new()));
            sets.len() - 1
        });
        sets[set].1.push(row);
    }
    let symbols = table.symbols().len();
    let mut ranked: Vec<ParameterSet> = sets
        .into_iter()
        .map(|(window, rows)| {
            let mut values: Vec<Option<f64>> =
                rows.iter().map(|&row| table.metric(row, objective.metric.id)).collect();
            values.resize(values.len().max(symbols), None);
            values.sort_by(|a, b| objective.compare(*a, *b));
            ParameterSet {
                window,
                parameters: table.parameters_of(rows[0]),
                median: median(&values),
                worst: values.last().copied().flatten(),
                enough_trades: rows.iter().all(|&row| objective.enough_trades(table, row)),
                rows,
            }
        })
        .collect();
    // A stable sort: ties keep the order of first appearance, which is grid order.
    ranked.sort_by(|a, b| order(objective, (!a.enough_trades, a.median), (!b.enough_trades, b.median)));
    ranked
}

fn median(sorted: &[Option<f64>]) -> Option<f64> {
    let middle = sorted.len() / 2;
    let upper = (*sorted.get(middle)?)?;
    if sorted.len() % 2 == 1 { Some(upper) } else { Some(f64::midpoint(sorted[middle - 1]?, upper)) }
}

/// The first `n` of `ranked` as JSON rows for scripts: `rank, symbol, window, parameters, first_bar, metrics,
/// rejected_orders, deficit`; undefined metrics are null, counts whole numbers, `first_bar` RFC 3339.
pub fn leaderboard_json(table: &TrialTable, ranked: &[usize], n: usize) -> Value {
    ranked
        .iter()
        .take(n)
        .enumerate()
        .map(|(place, &row)| {
            let parameters: Map<String, Value> =
                table.parameters_of(row).into_iter().map(|(name, value)| (name, number(value))).collect();
            let metrics: Map<String, Value> = METRICS
                .iter()
                .zip(table.metrics[row])
                .map(|(info, value)| {
                    let whole = info.unit == Unit::Count && value.is_finite();
                    (info.id.to_owned(), if whole { number(value.round()) } else { json!(value) })
                })
                .collect();
            json!({
                "rank": place + 1,
                "symbol": &*table.symbol[row],
                "window": &*table.window[row],
                "parameters": parameters,
                "first_bar": table.first_bar[row].map(format::instant),
                "metrics": metrics,
                "rejected_orders": table.rejected_orders[row],
                "deficit": table.deficit[row],
            })
        })
        .collect()
}

/// Whole numbers without `.0`, others as they are, not finite as null.
#[expect(clippy::cast_possible_truncation, reason = "guarded by the range")]
pub(crate) fn number(value: f64) -> Value {
    if value.fract() == 0.0 && value.abs() < 9e15 { json!(value as i64) } else { json!(value) }
}
