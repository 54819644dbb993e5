//! Running trials: the candles of one symbol, many plans over one shared graph, all cores.

mod formula;
mod run;
mod tile;

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use pulp::Arch;
use rayon::prelude::*;

use crate::bits::Bits;

use crate::candles::Candles;
use crate::graph::{Evaluator, Graph, Instance, NodeId, TRUE};
use crate::interval::Interval;
use crate::metrics::{self, AssetReturns, Days, Metrics, Wanted};
use crate::sim::touch::Extremes;
use crate::sim::{self, Execution, Market, Outcome, Semantics, SymbolRules, vectorbt};
use crate::strategy::{PlannedDistance, Session, TrailDistance, TrialPlan};

/// What one trial came to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TrialResult {
    /// Open of the first bar of the account, UTC milliseconds; `None` when the trial was never warm.
    pub first_bar: Option<i64>,
    /// Metrics; NaN is null.
    pub metrics: Metrics,
    /// Orders that could not stand.
    pub rejected_orders: u32,
    /// Quote currency lost beyond zero equity.
    pub deficit: f64,
}

impl TrialResult {
    /// Of a trial that has none: never warm, and every metric null.
    pub const NONE: Self = Self { first_bar: None, metrics: Metrics::NULL, rejected_orders: 0, deficit: 0.0 };
}

/// One symbol, ready for trials: its candles, the bars that are traded, its order rules and the session.
#[derive(Debug)]
pub struct SymbolRun {
    evaluator: Evaluator,
    session: Option<Vec<bool>>,
    session_bits: Option<Bits>,
    extremes: OnceLock<Extremes>,
    rules: SymbolRules,
    execution: Execution,
    kernel: Kernel,
    wanted: Wanted,
    memory: usize,
    asset_returns: OnceLock<AssetReturns>,
    days: OnceLock<Days>,
    arch: Arch,
}

/// How trials are simulated. The two have one meaning: trades are the same, metrics but for the order of sums.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Kernel {
    /// From event to event, metrics on the way.
    #[default]
    Events,
    /// Bar by bar, metrics from the whole equity curve: the definition.
    BarLoop,
}

/// Bytes of columns held at a time when nothing else is asked for.
pub const DEFAULT_MEMORY: usize = 1 << 30;

impl Kernel {
    /// The id in `job.json`.
    pub fn id(self) -> &'static str {
        match self {
            Kernel::Events => "events",
            Kernel::BarLoop => "bar-loop",
        }
    }

    /// The kernel of an id.
    pub fn of_id(id: &str) -> Option<Self> {
        [Kernel::Events, Kernel::BarLoop].into_iter().find(|kernel| kernel.id() == id)
    }
}

/// Trials that a thread takes at a time, at most.
const TRIALS_A_PART: usize = 256;

impl SymbolRun {
    /// `run` are the bars of `candles` that are traded; what is before warms up. `frames` are the intervals of the
    /// strategy's nodes.
    pub fn new(
        candles: impl Into<Arc<Candles>>,
        run: Range<usize>,
        frames: impl IntoIterator<Item = Interval>,
        session: Option<&Session>,
        rules: SymbolRules,
        execution: Execution,
    ) -> Self {
        let candles = candles.into();
        let session = session.map(|session| session.mask(&candles));
        let session_bits = session.as_ref().map(|mask| Bits::from_fn(mask.len(), |i| mask[i]));
        let evaluator = Evaluator::new(candles, run, frames);
        Self {
            evaluator,
            session,
            session_bits,
            extremes: OnceLock::new(),
            rules,
            execution,
            kernel: Kernel::default(),
            wanted: Wanted::default(),
            memory: DEFAULT_MEMORY,
            asset_returns: OnceLock::new(),
            days: OnceLock::new(),
            arch: Arch::new(),
        }
    }

    /// The same with another kernel.
    #[must_use]
    pub fn with_kernel(self, kernel: Kernel) -> Self {
        Self { kernel, ..self }
    }

    /// The same with columns of so many bytes at a time.
    #[must_use]
    pub fn with_memory(self, memory: usize) -> Self {
        Self { memory, ..self }
    }

    /// Which kernel a strategy gets and why, line by line, for people.
    pub fn describe(&self, plan: &TrialPlan, graph: &Graph) -> Vec<String> {
        if self.are_quick(std::slice::from_ref(plan)) {
            return vec![
                "all the money, no stops, and metrics that price ratios tell: an order is a product of ratios; where rounding could decide, the trial is stepped through".to_owned(),
            ];
        }
        let on_position = |side: &Option<crate::strategy::SidePlan>| {
            side.as_ref().and_then(|side| side.exit).is_some_and(|exit| graph.node(exit).on_position)
        };
        let mut lines = vec!["flat: skips to the next close that may be heard as an entry".to_owned()];
        lines.push(if on_position(&plan.long) || on_position(&plan.short) {
            "in a position whose exit asks for the position: every bar".to_owned()
        } else if plan.risk.trail.is_some() || plan.risk.break_even.is_some() {
            "in a position: every bar's prices, because a stop moves; its close only where it may be heard"
                .to_owned()
        } else if plan.risk.stop_loss.is_some() || plan.risk.take_profit.is_some() {
            "in a position: skips to the next close that may be heard, or the first bar that touches a level"
                .to_owned()
        } else {
            "in a position: skips to the next close that may be heard (a short also to its liquidation)"
                .to_owned()
        });
        let rests = |side: &Option<crate::strategy::SidePlan>| {
            side.as_ref().is_some_and(|side| side.entry != crate::strategy::Entry::Market)
        };
        if rests(&plan.long) || rests(&plan.short) {
            lines.push("while an order rests: every bar".to_owned());
        }
        lines
    }

    /// The same for these metrics only; the others are null.
    #[must_use]
    pub fn with_metrics(self, wanted: Wanted) -> Self {
        Self { wanted, ..self }
    }

    fn extremes(&self) -> &Extremes {
        self.extremes.get_or_init(|| Extremes::new(self.candles()))
    }

    fn asset_returns(&self) -> &AssetReturns {
        self.asset_returns.get_or_init(|| AssetReturns::new(self.candles().close(), self.run().start))
    }

    fn days(&self) -> &Days {
        self.days.get_or_init(|| Days::new(self.candles(), self.run()))
    }

    /// The same without the vector instructions that this processor has beyond the least of its kind.
    #[must_use]
    pub fn portable(self) -> Self {
        Self { arch: Arch::Scalar, ..self }
    }

    fn market(&self) -> Market<'_> {
        Market {
            candles: self.candles(),
            execution: &self.execution,
            rules: &self.rules,
            session: self.session.as_deref(),
        }
    }

    /// The candles, pre-roll included.
    pub fn candles(&self) -> &Candles {
        self.evaluator.candles()
    }

    /// The bars that are traded.
    pub fn run(&self) -> Range<usize> {
        self.evaluator.run()
    }

    /// The first bar of the account of a trial; the end of the run when it is never warm.
    pub fn first_bar(&self, plan: &TrialPlan, graph: &Graph) -> usize {
        let run = self.run();
        sim::first_warm_bar(plan, graph, &self.evaluator).clamp(run.start, run.end)
    }

    /// Runs trials on all threads of the current rayon pool. Results are in the order of `plans` and do not depend on
    /// the number of threads, nor on the memory: columns are computed for as many trials at a time as fit into it, and
    /// one trial at least.
    pub fn trials(&self, plans: &[TrialPlan], graph: &Graph) -> Vec<TrialResult> {
        self.trials_until(plans, graph, &AtomicBool::new(false))
    }

    /// As [`SymbolRun::trials`], until `stop` is set: what is left then has [`TrialResult::NONE`], and all results are to
    /// be thrown away. It is looked at every few hundred trials.
    pub fn trials_until(&self, plans: &[TrialPlan], graph: &Graph, stop: &AtomicBool) -> Vec<TrialResult> {
        let leaves = self.leaves(plans, graph);
        // Values and, at most, as many prefix sums.
        let needed = leaves.len().saturating_mul(2 * size_of::<f64>() * self.candles().len());
        if needed <= self.memory || plans.len() < 2 {
            self.forget_unused(plans, graph, self.memory.saturating_sub(needed));
            let part = TRIALS_A_PART.min(plans.len().div_ceil(rayon::current_num_threads()));
            return self.in_parts(plans, graph, &leaves, (part, tile::WORDS), stop);
        }
        let order = neighbours_together(plans, graph, &leaves);
        let (first, second) = order.split_at(order.len() / 2);
        let mut results: Vec<Option<TrialResult>> = vec![None; plans.len()];
        for half in [first, second] {
            let plans: Vec<TrialPlan> = half.iter().map(|&nth| plans[nth].clone()).collect();
            let of_half = self.trials_until(&plans, graph, stop);
            half.iter().zip(of_half).for_each(|(&nth, result)| results[nth] = Some(result));
        }
        results.into_iter().flatten().collect()
    }

    /// The columns that trials read.
    fn leaves(&self, plans: &[TrialPlan], graph: &Graph) -> Vec<Instance> {
        let mut leaves = BTreeSet::new();
        plans.iter().for_each(|plan| formula::leaves(plan, graph, &mut leaves));
        leaves.into_iter().collect()
    }

    /// As [`Self::trials`], `trials` at a time and in tiles of `bars` (in whole words of 64), which changes no result.
    pub fn trials_in_tiles(
        &self,
        plans: &[TrialPlan],
        graph: &Graph,
        trials: usize,
        bars: usize,
    ) -> Vec<TrialResult> {
        let tile = (trials, bars / crate::bits::WORD);
        self.in_parts(plans, graph, &self.leaves(plans, graph), tile, &AtomicBool::new(false))
    }

    /// Runs trials, whose columns are `leaves`, so many at a time and in tiles of so many words.
    fn in_parts(
        &self,
        plans: &[TrialPlan],
        graph: &Graph,
        leaves: &[Instance],
        (trials, words): (usize, usize),
        stop: &AtomicBool,
    ) -> Vec<TrialResult> {
        // Columns first: trials that share one would otherwise wait for each other.
        leaves.par_iter().for_each(|&(id, lead)| {
            self.evaluator.instance(graph, id, lead);
        });
        match self.kernel {
            Kernel::Events => {
                let quick = self.are_quick(plans);
                let order = neighbours_together(plans, graph, leaves);
                let parts: Vec<(&[usize], Vec<TrialResult>)> = order
                    .par_chunks(trials.max(1))
                    .map(|part| {
                        if stop.load(Ordering::Relaxed) {
                            return (part, vec![TrialResult::NONE; part.len()]);
                        }
                        let plans: Vec<&TrialPlan> = part.iter().map(|&nth| &plans[nth]).collect();
                        (part, self.part(&plans, graph, words, quick))
                    })
                    .collect();
                let mut results: Vec<Option<TrialResult>> = vec![None; plans.len()];
                for (part, of_part) in parts {
                    part.iter().zip(of_part).for_each(|(&nth, result)| results[nth] = Some(result));
                }
                results.into_iter().flatten().collect()
            }
            Kernel::BarLoop => {
                let trial = |plan| {
                    if stop.load(Ordering::Relaxed) { TrialResult::NONE } else { self.trial(plan, graph) }
                };
                plans.par_iter().map(trial).collect()
            }
        }
    }

    fn part(&self, plans: &[&TrialPlan], graph: &Graph, words: usize, quick: bool) -> Vec<TrialResult> {
        if !quick {
            return self.tiles(plans, graph, words);
        }
        let mut results = self.quick_tiles(plans, graph, words);
        let left: Vec<usize> = (0..plans.len()).filter(|&nth| results[nth].is_none()).collect();
        if !left.is_empty() {
            let plans: Vec<&TrialPlan> = left.iter().map(|&nth| plans[nth]).collect();
            let stepped = self.tiles(&plans, graph, words);
            left.iter().zip(stepped).for_each(|(&nth, result)| results[nth] = Some(result));
        }
        results.into_iter().flatten().collect()
    }

    /// Forgets all columns: no trial of this symbol comes next.
    pub fn forget_columns(&self) {
        self.evaluator.retain(|_| false);
    }

    /// Forgets the columns that `plans` do not use, when more than `budget` bytes are held.
    fn forget_unused(&self, plans: &[TrialPlan], graph: &Graph, budget: usize) {
        if self.evaluator.bytes() > budget {
            let used: BTreeSet<NodeId> =
                graph.reachable(plans.iter().flat_map(TrialPlan::roots)).into_iter().collect();
            self.evaluator.retain(|id| used.contains(&id));
        }
    }

    /// One trial by the definition: bar by bar, metrics from the whole curve.
    fn trial(&self, plan: &TrialPlan, graph: &Graph) -> TrialResult {
        let outcome = self.defined_outcome(plan, graph);
        let first_bar = self.candles().timestamp().get(outcome.first_bar).copied();
        TrialResult {
            first_bar: first_bar.filter(|_| !outcome.equity.is_empty()),
            metrics: self.metrics(&outcome),
            rejected_orders: outcome.rejected_orders,
            deficit: outcome.deficit,
        }
    }

    /// Everything one trial did.
    pub fn outcome(&self, plan: &TrialPlan, graph: &Graph) -> Outcome {
        match self.kernel {
            Kernel::Events => self.event_outcome(plan, graph),
            Kernel::BarLoop => self.defined_outcome(plan, graph),
        }
    }

    fn defined_outcome(&self, plan: &TrialPlan, graph: &Graph) -> Outcome {
        match self.execution.semantics {
            Semantics::Native => {
                let session = self.session.as_deref();
                sim::simulate(plan, graph, &self.evaluator, &self.execution, &self.rules, session)
            }
            Semantics::Vectorbt => self.vectorbt_outcome(plan, graph),
        }
    }

    /// The metrics of an outcome, by the conventions of the profile.
    pub fn metrics(&self, outcome: &Outcome) -> Metrics {
        let cash = self.execution.initial_cash;
        let metrics = match self.execution.semantics {
            Semantics::Native => metrics::compute(outcome, self.candles(), cash),
            Semantics::Vectorbt => metrics::compute_vectorbt(outcome, self.candles(), cash),
        };
        self.wanted.only(metrics)
    }

    fn vectorbt_outcome(&self, plan: &TrialPlan, graph: &Graph) -> Outcome {
        let n = self.candles().len();
        let column = |id: Option<NodeId>| -> Vec<bool> {
            let Some(id) = id else { return Vec::new() };
            let value = self.evaluator.value(graph, id);
            (0..n).map(|i| value.condition(i) == TRUE).collect()
        };
        let side = |side: &Option<crate::strategy::SidePlan>| match side {
            Some(side) => (column(Some(side.enter)), column(side.exit)),
            None => (Vec::new(), Vec::new()),
        };
        let (long_enter, long_exit) = side(&plan.long);
        let (short_enter, short_exit) = side(&plan.short);
        let signals = vectorbt::Signals {
            long_enter: &long_enter,
            long_exit: &long_exit,
            short_enter: &short_enter,
            short_exit: &short_exit,
        };
        vectorbt::simulate(self.candles(), self.run(), &signals, &self.vectorbt_settings(plan))
    }

    fn vectorbt_settings(&self, plan: &TrialPlan) -> vectorbt::Settings {
        // The manifest's checks leave nothing but fractions in this profile.
        let fraction = |distance: Option<PlannedDistance>| match distance {
            Some(PlannedDistance::Fraction(fraction)) => Some(fraction),
            _ => None,
        };
        let trail = plan.risk.trail.and_then(|trail| match trail.distance {
            TrailDistance::Fraction(fraction) => Some(fraction),
            TrailDistance::Atr { .. } => None,
        });
        vectorbt::Settings {
            initial_cash: self.execution.initial_cash,
            fee: self.execution.fees.rate(false),
            fixed_fee: self.execution.fees.per_order,
            slippage: self.execution.slippage.bps / 10_000.0,
            stop_loss: trail.or(fraction(plan.risk.stop_loss)),
            trailing: trail.is_some(),
            take_profit: fraction(plan.risk.take_profit),
        }
    }
}

/// The order in which trials that read the same columns stand together: the pairs of a grid in squares of 16 by 16 rather
/// than in rows, so that the columns of a part fit into the cache.
fn neighbours_together(plans: &[TrialPlan], graph: &Graph, leaves: &[Instance]) -> Vec<usize> {
    const SQUARE: usize = 16;
    let key = |plan: &TrialPlan| -> Vec<usize> {
        let mut own = BTreeSet::new();
        formula::leaves(plan, graph, &mut own);
        own.iter().map(|leaf| leaves.partition_point(|known| known < leaf) / SQUARE).collect()
    };
    let keys: Vec<Vec<usize>> = plans.par_iter().map(key).collect();
    let mut order: Vec<usize> = (0..plans.len()).collect();
    order.sort_by(|&a, &b| keys[a].cmp(&keys[b]));
    order
}
