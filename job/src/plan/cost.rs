//! What trials cost before they run: the model, and the constants that it starts from.

use serde::{Deserialize, Serialize};

use super::SymbolWork;

/// Nanoseconds a trial takes for a bar on one core, all metrics and its own conditions included, orders apart; the
/// workloads of `docs/speed.md` with few trades take 1 to 2.
pub const NANOS_A_BAR: f64 = 1.0;

/// Nanoseconds an order takes that is filled, its part in the metrics included: 90 to 120 of W7 of `docs/speed.md` beside W6,
/// which has fewer on the same bars; 215 of two sides with sizes by risk and stops in units of the ATR.
pub const NANOS_AN_ORDER: f64 = 150.0;

/// Nanoseconds more that a bar of a trial takes whose stop moves, or whose exit asks for the position: bars in a position are
/// gone through one by one, at some 15 each, and half of the bars are assumed to be.
pub const NANOS_A_WALKED_BAR: f64 = 8.0;

/// Nanoseconds a trial takes whatever its bars: to be compiled, and its metrics to be finished.
pub const NANOS_A_TRIAL: f64 = 30_000.0;

/// Nanoseconds the column of a node takes for a bar on one core, where it is one of numbers; see `make bench`. What conditions
/// take is in [`NANOS_A_BAR`].
pub const NANOS_A_NODE: f64 = 6.0;

/// Orders filled a bar that are assumed before a trial has run: many, as one too few would be quoted too cheap. The
/// workloads of `docs/speed.md` have 1 in 500 to 1 in 37.
pub const ORDERS_A_BAR: f64 = 1.0 / 30.0;

/// What a trial costs, as measured: the constants of this machine class, or a calibration of the grid's own. It is stored
/// with a plan, so that a plan can be cut again as it was.
///
/// All numbers are at least zero; one that is not makes shards of a wrong size, never wrong trials.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CostModel {
    /// Nanoseconds of one core for a bar of a trial.
    pub nanos_a_bar: f64,
    /// Nanoseconds for a trial, whatever its bars.
    pub nanos_a_trial: f64,
    /// Nanoseconds for a bar of a node's column, history included.
    pub nanos_a_node: f64,
    /// Nanoseconds for an order that is filled.
    pub nanos_an_order: f64,
    /// Orders filled a bar, until trials have told.
    pub orders_a_bar: f64,
    /// Nanoseconds more for a bar of a trial that goes through positions bar by bar. A plan of an older version has none.
    #[serde(default)]
    pub nanos_a_walked_bar: f64,
    /// The low end of a quote as a share of the middle.
    pub low: f64,
    /// The high end of a quote as a share of the middle; budgets reserve it.
    pub high: f64,
}

impl Default for CostModel {
    /// The constants of this module. The ends hold every workload of `docs/speed.md`, 0.2 (few trades) to 1.6 (short
    /// series with all metrics) of the middle, and sweeps of a trade each 28 bars with trailing stops (1.8); but not the
    /// single run of W3, which is mostly the preparation of its symbol and takes some 20 ms more than modelled.
    fn default() -> Self {
        Self {
            nanos_a_bar: NANOS_A_BAR,
            nanos_a_trial: NANOS_A_TRIAL,
            nanos_a_node: NANOS_A_NODE,
            nanos_an_order: NANOS_AN_ORDER,
            orders_a_bar: ORDERS_A_BAR,
            nanos_a_walked_bar: NANOS_A_WALKED_BAR,
            low: 0.2,
            high: 2.5,
        }
    }
}

impl CostModel {
    /// What the trials of a symbol cost; see [`SymbolCost`].
    pub fn of(&self, work: &SymbolWork) -> SymbolCost {
        let (bars, loaded) = (work.bars as f64, work.loaded as f64);
        let column = loaded * self.nanos_a_node;
        let walked = if work.walks { self.nanos_a_walked_bar } else { 0.0 };
        let a_bar = self.nanos_a_bar + self.orders_a_bar * self.nanos_an_order + walked;
        SymbolCost {
            trial: self.nanos_a_trial + bars * a_bar,
            own_columns: work.columns_a_trial as f64 * column,
            all_columns: work.columns as f64 * column,
        }
    }
}

/// What trials of one symbol cost, in nanoseconds of one core.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SymbolCost {
    /// A trial, without its columns.
    pub trial: f64,
    /// The columns that a trial reads.
    pub own_columns: f64,
    /// The columns that all trials of the job read together.
    pub all_columns: f64,
}

impl SymbolCost {
    /// Columns of `trials` trials in one shard: each trial's own, but never more than all there are.
    pub fn columns(&self, trials: u64) -> f64 {
        self.all_columns.min(trials as f64 * self.own_columns)
    }

    /// `trials` trials in one shard, columns included.
    pub fn nanos(&self, trials: u64) -> f64 {
        trials as f64 * self.trial + self.columns(trials)
    }

    /// The same in microseconds, rounded up.
    pub fn micros(&self, trials: u64) -> u64 {
        (self.nanos(trials) / 1000.0).ceil() as u64
    }

    /// The most trials of a shard that takes `nanos`, and at least one.
    pub(super) fn trials_in(&self, nanos: f64) -> u64 {
        // Either all columns fit, or each trial brings its own.
        let with_all = (nanos - self.all_columns) / self.trial;
        let with_own = nanos / (self.trial + self.own_columns);
        // A number below zero or none is 0, one too large the largest.
        (with_all.max(with_own) as u64).max(1)
    }
}
