//! The plan: from the trials of a job to shards, each some trials of one symbol for one slot of a worker.
//!
//! ```text
//!  SymbolWork (bars, columns, trials) --CostModel, Limits--> Cut (how many shards of which size) --> Shard, Shard, ...
//! ```
//!
//! Pure and deterministic: the same input makes the same shards with the same numbers, on every machine. Shards stream; a
//! plan of millions is never held. Results do not depend on how a job is cut.

mod cost;
mod slices;
#[cfg(test)]
mod tests;
mod traces;

use serde::{Deserialize, Serialize};

use crate::Survey;

pub use cost::{
    CostModel, NANOS_A_BAR, NANOS_A_NODE, NANOS_A_TRIAL, NANOS_A_WALKED_BAR, NANOS_AN_ORDER, ORDERS_A_BAR,
    SymbolCost,
};
use slices::Cursor;
pub use slices::{BadSlices, Slices};
pub use traces::{BARS_A_TRACE, BARS_INLINE, Traces};

/// What is to be computed of one symbol.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SymbolWork {
    /// Bars that are traded.
    pub bars: u64,
    /// Bars that are read: those traded and the history before them, over which columns are computed too.
    pub loaded: u64,
    /// Columns of numbers that the trials of the job read together.
    pub columns: u64,
    /// Columns of numbers that one trial reads, on the mean over the grid: a shard of few trials computes few columns.
    pub columns_a_trial: u64,
    /// Whether trials go through positions bar by bar: their stops move, or their exits ask for the position.
    pub walks: bool,
    /// Trials to compute: all of the grid, or those that no cache has.
    pub trials: Slices,
}

impl SymbolWork {
    /// The work of `trials`, of a grid of `grid` trials that `survey` looked through, over a symbol.
    pub fn new(survey: &Survey, grid: usize, bars: usize, loaded: usize, trials: Slices) -> Self {
        Self {
            bars: bars as u64,
            loaded: loaded as u64,
            columns: survey.numbers as u64,
            columns_a_trial: survey.unshared_numbers.div_ceil(grid.max(1)) as u64,
            walks: survey.walks,
            trials,
        }
    }
}

/// How shards are cut.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Limits {
    /// Seconds of one slot that a shard takes at most, by the model; 30 to 120 for pools, 1 for the interactive lane.
    pub target_seconds: f64,
    /// Seconds up to which a shard may grow where columns would else be the most of it.
    pub most_seconds: f64,
    /// Seconds below which work is not divided: it would cost more to hand out than to do.
    pub small_job_seconds: f64,
    /// Shards a job is divided into before they grow: as many as there may be workers.
    pub wanted_shards: u64,
    /// Trials in a shard at most: its result is a small object with a row a trial.
    pub max_trials: u64,
}

impl Default for Limits {
    /// Those of a pool.
    fn default() -> Self {
        Self {
            target_seconds: 60.0,
            most_seconds: 120.0,
            small_job_seconds: 1.0,
            wanted_shards: 256,
            max_trials: 100_000,
        }
    }
}

/// What the columns that shards compute again may add to the cost of a symbol, as a share of it.
const COLUMNS_AGAIN: f64 = 0.25;

/// Trials of one symbol, computed by one slot at a time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Shard {
    /// Place in the plan, from 0.
    pub number: u64,
    /// Place of the symbol in the job.
    pub symbol: u32,
    /// Its trials, at least one.
    pub trials: Slices,
    /// What it costs by the model, in microseconds of one core.
    pub cost_micros: u64,
}

/// How the trials of one symbol are cut.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cut {
    /// Place of the symbol in the job.
    pub symbol: u32,
    /// How many shards.
    pub shards: u64,
    /// Trials of a shard.
    pub size: u64,
    /// How many of the shards, the first ones, have one trial more.
    pub larger: u64,
    /// What trials of the symbol cost.
    pub cost: SymbolCost,
}

impl Cut {
    /// The cut of a symbol's trials where a shard should take `seconds`; `None` where there are no trials.
    fn new(
        symbol: usize,
        work: &SymbolWork,
        cost: SymbolCost,
        seconds: f64,
        limits: &Limits,
    ) -> Option<Self> {
        let trials = work.trials.len();
        if trials == 0 {
            return None;
        }
        let wanted = cost.trials_in(seconds * 1e9);
        let most = cost.trials_in(limits.target_seconds.max(limits.most_seconds) * 1e9);
        let size = wanted.max(fewest(trials, &cost).min(most)).min(limits.max_trials.max(1));
        // As many as it takes, and all of one size, so that no last one keeps the others waiting.
        let shards = trials.div_ceil(size);
        Some(Self {
            symbol: u32::try_from(symbol).unwrap_or(u32::MAX),
            shards,
            size: trials / shards,
            larger: trials % shards,
            cost,
        })
    }

    /// Trials in the shard at `place` among those of the symbol.
    fn trials(&self, place: u64) -> u64 {
        self.size + u64::from(place < self.larger)
    }

    /// What each of its shards costs, in order, in microseconds of one core.
    pub fn costs_micros(&self) -> impl Iterator<Item = u64> + use<> {
        let cut = *self;
        (0..cut.shards).map(move |place| cut.cost.micros(cut.trials(place)))
    }

    /// What all its shards cost, in microseconds of one core.
    pub fn total_micros(&self) -> u128 {
        let (larger, rest) = (self.larger, self.shards - self.larger);
        u128::from(larger) * u128::from(self.cost.micros(self.size + 1))
            + u128::from(rest) * u128::from(self.cost.micros(self.size))
    }

    /// What the costliest of its shards costs, in microseconds of one core.
    pub fn largest_micros(&self) -> u64 {
        self.cost.micros(self.trials(0))
    }
}

/// The fewest trials of a shard for which columns that are computed again, in shard after shard, stay a small part.
fn fewest(trials: u64, cost: &SymbolCost) -> u64 {
    let once = cost.columns(trials);
    let allowed = once + COLUMNS_AGAIN * cost.nanos(trials);
    if trials as f64 * cost.own_columns <= allowed {
        return 1;
    }
    // Shards of n trials compute trials / n times all columns.
    (trials as f64 * once / allowed).ceil() as u64
}

/// How a job is cut, symbol by symbol in the order of the plan: the one with the most work first, so that no large one is
/// left to the end, and the shards of each next to each other, so that a worker reads each candle file once.
pub fn cuts(work: &[SymbolWork], model: &CostModel, limits: &Limits) -> Vec<Cut> {
    let costs: Vec<(usize, SymbolCost)> = work.iter().map(|work| model.of(work)).enumerate().collect();
    let nanos = |&(symbol, cost): &(usize, SymbolCost)| cost.nanos(work[symbol].trials.len());
    let total: f64 = costs.iter().map(nanos).sum();
    let small = limits.small_job_seconds.min(limits.target_seconds);
    let share = total / 1e9 / limits.wanted_shards.max(1) as f64;
    let seconds = share.min(limits.target_seconds).max(small);
    let mut order = costs;
    order.sort_by(|a, b| nanos(b).total_cmp(&nanos(a)));
    order
        .into_iter()
        .filter_map(|(symbol, cost)| Cut::new(symbol, &work[symbol], cost, seconds, limits))
        .collect()
}

/// The shards of a job, in the order of their numbers. Every trial of `work` is in exactly one. Beyond the cuts, one a
/// symbol, nothing is held.
pub fn shards<'a>(
    work: &'a [SymbolWork],
    model: &CostModel,
    limits: &Limits,
) -> impl Iterator<Item = Shard> + use<'a> {
    let mut number = 0;
    cuts(work, model, limits)
        .into_iter()
        .flat_map(move |cut| {
            let mut cursor = Cursor::default();
            (0..cut.shards).map(move |place| {
                let count = cut.trials(place);
                let trials = cursor.take(&work[cut.symbol as usize].trials, count);
                Shard { number: 0, symbol: cut.symbol, trials, cost_micros: cut.cost.micros(count) }
            })
        })
        .map(move |shard| {
            let shard = Shard { number, ..shard };
            number += 1;
            shard
        })
}

/// How many shards a job has.
pub fn count(cuts: &[Cut]) -> u64 {
    cuts.iter().map(|cut| cut.shards).sum()
}
