//! Trials in tiles: a block of bars, all trials of a part over it, then the next block.
//!
//! ```text
//!             bars ->   tile 0        tile 1        tile 2
//!  shared steps         |words|       |words|       |words|
//!  trial 0              own steps, events, marks -> ...
//!  trial 1              own steps, events, marks -> ...
//! ```
//!
//! Columns are read block by block, so a block is in the cache for every trial that reads it, and the bits of a condition
//! that one trial alone has live for one tile.

use std::ops::Range;

use super::formula::{Formulas, Step, StepId, TrialSteps};
use super::tile::{Board, NOWHERE, Tile, WORDS};
use super::{SymbolRun, TrialResult};
use crate::bits::{Bits, WORD};
use crate::graph::Graph;
use crate::metrics::{Fused, Ground as Metering};
use crate::sim::events::{EventTrial, Ground, Heard, Trial};
use crate::sim::vectorbt::events::VectorbtTrial;
use crate::sim::vectorbt::quick::{self, Quick, QuickGround};
use crate::sim::{Outcome, Semantics, Tape};
use crate::strategy::{Reentry, TrialPlan};

/// The trials of a part and what they hear.
struct Part {
    formulas: Formulas,
    trials: Vec<TrialSteps>,
    /// Steps that several trials read, and the own steps of each trial, inputs first.
    shared: Vec<StepId>,
    own: Vec<Range<usize>>,
    own_steps: Vec<StepId>,
    place: Vec<u32>,
    places: usize,
}

impl Part {
    fn new(run: &SymbolRun, plans: &[&TrialPlan], graph: &Graph) -> Self {
        let mut formulas = Formulas::default();
        let mut add = |plan: &TrialPlan| {
            let rearm = plan.risk.reentry == Reentry::Rearm;
            formulas.add(plan, graph, &run.evaluator, rearm)
        };
        let trials: Vec<TrialSteps> = plans.iter().map(|&plan| add(plan)).collect();
        // The steps of each trial, and how many trials read each.
        let (mut readers, mut seen_by) =
            (vec![0_u32; formulas.steps.len()], vec![usize::MAX; formulas.steps.len()]);
        let mut all_steps = Vec::new();
        let mut all = Vec::new();
        for (nth, trial) in trials.iter().enumerate() {
            let start = all_steps.len();
            let mut open: Vec<StepId> = trial
                .sides
                .iter()
                .flat_map(|side| [side.enter, side.enter_false, side.exit])
                .flatten()
                .collect();
            while let Some(step) = open.pop() {
                if seen_by[step as usize] != nth {
                    seen_by[step as usize] = nth;
                    readers[step as usize] += 1;
                    all_steps.push(step);
                    open.extend(formulas.steps[step as usize].inputs().into_iter().flatten());
                }
            }
            all_steps[start..].sort_unstable();
            all.push(start..all_steps.len());
        }
        // The second place of a comparison is written with the first.
        for (id, step) in formulas.steps.iter().enumerate() {
            if let Step::Below(above) = step
                && readers[id] > 0
            {
                readers[id] = readers[*above as usize];
            }
        }
        let mut place = vec![NOWHERE; formulas.steps.len() + 1];
        let shared: Vec<StepId> =
            (0..formulas.steps.len() as StepId).filter(|&s| readers[s as usize] > 1).collect();
        for (at, &step) in shared.iter().enumerate() {
            place[step as usize] = at as u32;
        }
        let (mut own, mut own_steps, mut most) = (Vec::new(), Vec::new(), 0);
        for steps in all {
            let start = own_steps.len();
            own_steps.extend(all_steps[steps].iter().filter(|&&step| readers[step as usize] == 1));
            for (at, &step) in own_steps[start..].iter().enumerate() {
                place[step as usize] = (shared.len() + at) as u32;
            }
            most = most.max(own_steps.len() - start);
            own.push(start..own_steps.len());
        }
        let places = shared.len() + most;
        Self { formulas, trials, shared, own, own_steps, place, places }
    }
}

/// A trial, its tape and its first bar.
type Running<R, T> = (R, T, usize);

impl SymbolRun {
    /// Runs trials one tile after the other on this thread. Their columns are there already.
    pub(super) fn tiles(&self, plans: &[&TrialPlan], graph: &Graph, words_a_tile: usize) -> Vec<TrialResult> {
        let ground = self.ground();
        let semantics = self.execution.semantics;
        let metering = Metering::new(
            self.candles(),
            self.run().start,
            self.execution.initial_cash,
            semantics,
            (self.days(), self.asset_returns()),
            self.wanted,
            self.arch,
        );
        let tape = |first| Fused::new(&metering, first);
        match semantics {
            Semantics::Native => {
                let start = |plan, first| self.event_trial(plan, first, graph, &ground);
                let ended = self.simulate(plans, graph, words_a_tile, &ground, start, tape);
                ended.into_iter().map(|ended| self.result(ended)).collect()
            }
            Semantics::Vectorbt => {
                let start =
                    |plan: &TrialPlan, _| VectorbtTrial::new(self.vectorbt_settings(plan), self.run());
                let ended = self.simulate(plans, graph, words_a_tile, &ground, start, tape);
                // Below zero vectorbt's returns have another sign: those are left to the definition.
                let result = |(&plan, ended): (&&TrialPlan, Running<VectorbtTrial, Fused<'_>>)| {
                    if ended.1.was_positive() { self.result(ended) } else { self.trial(plan, graph) }
                };
                plans.iter().zip(ended).map(result).collect()
            }
        }
    }

    /// Trials of profile `vectorbt` that are simple enough, `None` where rounding has the last word.
    pub(super) fn quick_tiles(
        &self,
        plans: &[&TrialPlan],
        graph: &Graph,
        words_a_tile: usize,
    ) -> Vec<Option<TrialResult>> {
        let run = self.run();
        let quick_ground = QuickGround {
            close: self.candles().close(),
            returns: self.asset_returns(),
            with_returns: self.wanted.returns,
            arch: self.arch,
        };
        let ground = self.ground();
        let start =
            |plan: &TrialPlan, _| Quick::new(&self.vectorbt_settings(plan), run.clone(), quick_ground);
        let ended = self.simulate(plans, graph, words_a_tile, &ground, start, |_| ());
        let bars_a_year = self.candles().interval().bars_per_year();
        let result = |(quick, (), first): Running<Quick<'_>, ()>| {
            Some(TrialResult {
                first_bar: Some(self.candles().timestamp()[first]),
                metrics: self.wanted.only(quick.result(bars_a_year)?),
                rejected_orders: 0,
                deficit: 0.0,
            })
        };
        ended.into_iter().map(result).collect()
    }

    /// Whether all of `plans` are simple enough for [`Self::quick_tiles`].
    pub(super) fn are_quick(&self, plans: &[TrialPlan]) -> bool {
        let quick = |plan: &TrialPlan| {
            Quick::takes(&self.vectorbt_settings(plan), plan.short.is_some(), self.wanted.returns)
        };
        self.execution.semantics == Semantics::Vectorbt
            && self.run().len() >= 2
            && self.wanted.is_within(&quick::METRICS)
            && plans.iter().all(quick)
    }

    /// Everything one trial did, by the event kernel.
    pub(super) fn event_outcome(&self, plan: &TrialPlan, graph: &Graph) -> Outcome {
        let ground = self.ground();
        let plans = &[plan];
        let tape = |first| Outcome { first_bar: first, ..Outcome::default() };
        match self.execution.semantics {
            Semantics::Native => {
                let start = |plan, first| self.event_trial(plan, first, graph, &ground);
                whole(self.simulate(plans, graph, WORDS, &ground, start, tape))
            }
            Semantics::Vectorbt => {
                let start =
                    |plan: &TrialPlan, _| VectorbtTrial::new(self.vectorbt_settings(plan), self.run());
                whole(self.simulate(plans, graph, WORDS, &ground, start, tape))
            }
        }
    }

    fn ground(&self) -> Ground<'_> {
        Ground {
            market: self.market(),
            session: self.session_bits.as_ref().map(Bits::words),
            extremes: self.extremes(),
            arch: self.arch,
        }
    }

    fn event_trial<'a>(
        &'a self,
        plan: &'a TrialPlan,
        first: usize,
        graph: &Graph,
        ground: &Ground<'a>,
    ) -> EventTrial<'a> {
        EventTrial::new(plan, graph, &self.evaluator, ground, first..self.run().end)
    }

    fn result<R: Trial>(&self, (trial, metrics, first): Running<R, Fused<'_>>) -> TrialResult {
        TrialResult {
            first_bar: (first < self.run().end).then(|| self.candles().timestamp()[first]),
            metrics: metrics.metrics(),
            rejected_orders: trial.rejected_orders(),
            deficit: trial.deficit(),
        }
    }

    fn simulate<'a, R: Trial, T: Tape>(
        &'a self,
        plans: &[&'a TrialPlan],
        graph: &Graph,
        words_a_tile: usize,
        ground: &Ground<'a>,
        start: impl Fn(&'a TrialPlan, usize) -> R,
        tape: impl Fn(usize) -> T,
    ) -> Vec<Running<R, T>> {
        let part = Part::new(self, plans, graph);
        let run = self.run();
        let running = |&plan: &&'a TrialPlan| {
            let first = match self.execution.semantics {
                Semantics::Native => self.first_bar(plan, graph),
                Semantics::Vectorbt => run.start,
            };
            (start(plan, first), tape(first), first)
        };
        let mut trials: Vec<Running<R, T>> = plans.iter().map(running).collect();
        let first = trials.iter().map(|(.., first)| *first).min().unwrap_or(run.end);
        // A crossing looks one bar back.
        let from = first.saturating_sub(1).min(part.formulas.start.unwrap_or(usize::MAX)) / WORD * WORD;
        let bars_a_tile = words_a_tile.clamp(1, WORDS) * WORD;
        let mut board = Board::new(&part.formulas, self.arch, &part.place, part.places);
        for start in (from..run.end).step_by(bars_a_tile) {
            let tile = Tile { bars: start..(start + bars_a_tile).min(run.end) };
            board.run(&part.shared, &tile);
            for (nth, (trial, tape, first)) in trials.iter_mut().enumerate() {
                board.run(&part.own_steps[part.own[nth].clone()], &tile);
                if *first >= tile.bars.end {
                    continue;
                }
                let words = |step: Option<StepId>| step.map_or(&[][..], |step| &board.words(step)[..]);
                let [long, short] = part.trials[nth].sides;
                let heard = Heard {
                    start,
                    enter: [words(long.enter), words(short.enter)],
                    enter_false: [words(long.enter_false), words(short.enter_false)],
                    exit: [words(long.exit), words(short.exit)],
                    exit_programs: [None, None],
                };
                trial.run(tile.bars.end, heard, ground, tape);
            }
        }
        trials
    }
}

/// The outcome of the one trial that was simulated.
fn whole<R: Trial>(ended: Vec<Running<R, Outcome>>) -> Outcome {
    let outcome = |(trial, outcome, _): Running<R, Outcome>| Outcome {
        rejected_orders: trial.rejected_orders(),
        deficit: trial.deficit(),
        ..outcome
    };
    ended.into_iter().next().map(outcome).unwrap_or_default()
}
