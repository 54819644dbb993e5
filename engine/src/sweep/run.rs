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
use crate::sim::events::{EventTrial, Ground, Heard};
use crate::sim::{Outcome, Tape};
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
    fn new(run: &SymbolRun, plans: &[TrialPlan], graph: &Graph) -> Self {
        let mut formulas = Formulas::default();
        let add = |plan: &TrialPlan| {
            let rearm = plan.risk.reentry == Reentry::Rearm;
            formulas.add(plan, graph, &run.evaluator, rearm)
        };
        let trials: Vec<TrialSteps> = plans.iter().map(add).collect();
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
type Running<'a, T> = (EventTrial<'a>, T, usize);

impl SymbolRun {
    /// Runs trials one tile after the other on this thread. Their columns are there already.
    pub(super) fn tiles(&self, plans: &[TrialPlan], graph: &Graph, words_a_tile: usize) -> Vec<TrialResult> {
        let metering = Metering::new(self.candles(), self.run(), self.execution.initial_cash, self.arch);
        let finished = self.simulate(plans, graph, words_a_tile, |first| Fused::new(&metering, first));
        let timestamp = self.candles().timestamp();
        let end = self.run().end;
        let result = |(trial, metrics, first): Running<'_, Fused<'_>>| TrialResult {
            first_bar: (first < end).then(|| timestamp[first]),
            metrics: metrics.metrics(),
            rejected_orders: trial.rejected_orders(),
            deficit: trial.deficit(),
        };
        finished.into_iter().map(result).collect()
    }

    /// Everything one trial did, by the event kernel.
    pub(super) fn event_outcome(&self, plan: &TrialPlan, graph: &Graph) -> Outcome {
        let tape = |first| Outcome { first_bar: first, ..Outcome::default() };
        let finished = self.simulate(std::slice::from_ref(plan), graph, WORDS, tape);
        let outcome = finished.into_iter().next().map(|(trial, outcome, _)| Outcome {
            rejected_orders: trial.rejected_orders(),
            deficit: trial.deficit(),
            ..outcome
        });
        outcome.unwrap_or_default()
    }

    fn simulate<'a, T: Tape>(
        &'a self,
        plans: &'a [TrialPlan],
        graph: &Graph,
        words_a_tile: usize,
        tape: impl Fn(usize) -> T,
    ) -> Vec<Running<'a, T>> {
        let part = Part::new(self, plans, graph);
        let run = self.run();
        let ground = Ground {
            market: self.market(),
            session: self.session_bits.as_ref().map(Bits::words),
            extremes: &self.extremes,
        };
        let start = |plan| {
            let first = self.first_bar(plan, graph);
            let trial = EventTrial::new(plan, graph, &self.evaluator, &ground, first..run.end);
            (trial, tape(first), first)
        };
        let mut trials: Vec<Running<'a, T>> = plans.iter().map(start).collect();
        let first = trials.iter().map(|(.., first)| *first).min().unwrap_or(run.end);
        // A crossing looks one bar back.
        let from = first.saturating_sub(1).min(part.formulas.start.unwrap_or(usize::MAX)) / WORD * WORD;
        let bars_a_tile = words_a_tile.clamp(1, WORDS) * WORD;
        let mut board = Board::new(&part.formulas, self.arch, part.place.clone(), part.places);
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
                trial.run(tile.bars.end, heard, &ground, tape);
            }
        }
        trials
    }
}
