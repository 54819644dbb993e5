//! The event kernel: the bar loop's own steps, at the bars where something can happen.
//!
//! ```text
//!  flat            skip to the next bar whose close may be heard as an entry
//!  order waiting   every bar
//!  in a position   skip to the next close that may be heard, or the first bar that touches a level;
//!                  bars of a stop that moves are looked at one by one, without hearing
//! ```
//!
//! A bar at which something *may* happen is handed to [`BarLoop::step`], which decides. So the conditions for skipping may
//! name too many bars, never too few, and the meaning stays in one place. Where orders are filled at the next open and no level
//! moves, only the parts of a step that matter are taken.

use std::ops::Range;

use pulp::{Arch, Simd, WithSimd};

use super::bar_loop::{BarLoop, Market};
use super::signals::{Hear, Levels};
use super::touch::Extremes;
use super::{Direction, Tape};
use crate::bits::{WORD, next_set};
use crate::graph::{Evaluator, Graph, PositionState, Program, TRUE};
use crate::strategy::{Reentry, TrialPlan};

/// The conditions of a trial in a block of bars: words from bar `start` (a multiple of 64) on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Heard<'a> {
    /// The bar of the first word's lowest bit.
    pub(crate) start: usize,
    /// Where `enter` is true: long, short. Empty where it never is.
    pub(crate) enter: [&'a [u64]; 2],
    /// Where `enter` is false; only `reentry: rearm` asks.
    pub(crate) enter_false: [&'a [u64]; 2],
    /// Where `exit` is true; empty where it never is or hangs on the position.
    pub(crate) exit: [&'a [u64]; 2],
    /// Exits that hang on the position.
    pub(crate) exit_programs: [Option<&'a Program>; 2],
}

impl Heard<'_> {
    #[inline(always)]
    pub(super) fn word(&self, words: &[u64], w: usize) -> u64 {
        words.get(w - self.start / WORD).copied().unwrap_or(0)
    }

    pub(super) fn bit(&self, words: &[u64], bar: usize) -> bool {
        self.word(words, bar / WORD) >> (bar % WORD) & 1 == 1
    }
}

fn nth(side: Direction) -> usize {
    usize::from(side == Direction::Short)
}

impl Hear for Heard<'_> {
    fn enters(&self, side: Direction, bar: usize) -> bool {
        self.bit(self.enter[nth(side)], bar)
    }

    fn enters_known_false(&self, side: Direction, bar: usize) -> bool {
        self.bit(self.enter_false[nth(side)], bar)
    }

    fn exits(&self, side: Direction, bar: usize, position: Option<&PositionState>) -> bool {
        match self.exit_programs[nth(side)] {
            Some(program) => program.condition(bar, position) == TRUE,
            None => self.bit(self.exit[nth(side)], bar),
        }
    }
}

/// What the trials of a symbol share beside their candles.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ground<'a> {
    pub(crate) market: Market<'a>,
    /// Bars at whose close an entry may be heard; `None` is all.
    pub(crate) session: Option<&'a [u64]>,
    pub(crate) extremes: &'a Extremes,
    pub(crate) arch: Arch,
}

impl Ground<'_> {
    /// At which closes of a word an entry may be heard.
    #[inline(always)]
    fn in_session(&self, word: usize) -> u64 {
        self.session.map_or(u64::MAX, |words| words[word])
    }
}

/// A trial that is simulated block by block.
pub(crate) trait Trial {
    /// Simulates the bars before `to` that are left.
    fn run(&mut self, to: usize, heard: Heard<'_>, ground: &Ground<'_>, tape: &mut impl Tape);

    /// Orders that could not stand.
    fn rejected_orders(&self) -> u32;

    /// Quote currency lost beyond zero equity.
    fn deficit(&self) -> f64;
}

/// A trial of our own rules between two blocks of bars.
#[derive(Debug)]
pub(crate) struct EventTrial<'a> {
    bars: BarLoop<'a>,
    exit_programs: [Option<Program>; 2],
    /// Whether it is gone through by [`Self::direct`].
    is_direct: bool,
    /// The bars of the account; the next to be simulated comes first.
    left: Range<usize>,
    /// The first bar that is not on the tape yet.
    unmarked: usize,
}

impl<'a> EventTrial<'a> {
    /// A trial whose account has the bars `bars`.
    pub(crate) fn new(
        plan: &'a TrialPlan,
        graph: &Graph,
        evaluator: &Evaluator,
        ground: &Ground<'a>,
        bars: Range<usize>,
    ) -> Self {
        let on_position = |side: &Option<crate::strategy::SidePlan>| {
            let exit = side.as_ref()?.exit?;
            graph.node(exit).on_position.then(|| Program::new(graph, evaluator, exit))
        };
        let exit_programs = [on_position(&plan.long), on_position(&plan.short)];
        let bar_loop = BarLoop::new(plan, Levels::new(plan, graph, evaluator), ground.market);
        Self {
            is_direct: exit_programs.iter().all(Option::is_none) && bar_loop.is_direct(),
            exit_programs,
            bars: bar_loop,
            unmarked: bars.start,
            left: bars,
        }
    }

    fn mark(&mut self, to: usize, cash: f64, held: f64, close: &[f64], tape: &mut impl Tape) {
        if self.unmarked < to {
            tape.mark(self.unmarked..to, cash, held, close);
            self.unmarked = to;
        }
    }

    /// The first bar from `t` on that has to be stepped through, or `to`.
    fn next(&mut self, t: usize, to: usize, heard: &Heard<'_>, ground: &Ground<'_>) -> usize {
        let bars = &self.bars;
        if bars.is_due() {
            return t;
        }
        if bars.ruined {
            return to;
        }
        let Some(position) = &bars.position else {
            return self.next_entry(t.max(bars.cooled_at()), to, heard, ground).unwrap_or(to);
        };
        if heard.exit_programs[nth(position.direction)].is_some() {
            return t;
        }
        let until = self.next_leave(t, to, heard, ground);
        if bars.moves_levels() {
            return self.bars.quiet(t..until);
        }
        let (adverse, favourable) = position.bracket.levels();
        let long = position.direction == Direction::Long;
        ground.extremes.first_touch(ground.market.candles, t..until, long, adverse, favourable, ground.arch)
    }

    /// The first close of a flat account from `from` on, before `to`, that says to enter.
    #[inline(always)]
    fn next_entry(&self, from: usize, to: usize, heard: &Heard<'_>, ground: &Ground<'_>) -> Option<usize> {
        let wanted = |w: usize| {
            let enter = heard.enter.map(|words| heard.word(words, w));
            let exit = heard.exit.map(|words| heard.word(words, w));
            (enter[0] & !exit[0] & !enter[1] | enter[1] & !exit[1] & !enter[0]) & ground.in_session(w)
        };
        next_set(wanted, from, to)
    }

    /// The first close of a position from `t` on that may say to leave it, or `to`.
    #[inline(always)]
    fn next_leave(&self, t: usize, to: usize, heard: &Heard<'_>, ground: &Ground<'_>) -> usize {
        let Some(position) = &self.bars.position else { return to };
        let own = nth(position.direction);
        let timed_out = self.bars.times_out_at(position.entry.bar).map_or(to, |bar| bar.clamp(t, to));
        let leaves = |w: usize| {
            heard.word(heard.exit[own], w) | heard.word(heard.enter[1 - own], w) & ground.in_session(w)
        };
        next_set(leaves, t, timed_out).unwrap_or(timed_out)
    }

    /// As [`Trial::run`], where only opens, touched levels and heard closes matter.
    #[inline(always)]
    fn direct<S: Simd>(
        &mut self,
        simd: S,
        to: usize,
        heard: &Heard<'_>,
        ground: &Ground<'_>,
        tape: &mut impl Tape,
    ) {
        let close = ground.market.candles.close();
        // At the last close nothing is heard.
        let heard_to = to.min(self.left.end - 1);
        let mut t = self.left.start;
        while t < to {
            let (cash, held) = (self.bars.cash, self.bars.held());
            if self.bars.is_due() {
                self.bars.open(t, tape);
                if (cash, held) != (self.bars.cash, self.bars.held()) {
                    self.mark(t, cash, held, close, tape);
                }
            }
            let Some(position) = &self.bars.position else {
                let from = self.bars.hears_from(t);
                let entry =
                    if self.bars.ruined { None } else { self.next_entry(from, heard_to, heard, ground) };
                let Some(entry) = entry else { break };
                let long = heard.bit(heard.enter[0], entry);
                self.bars.order_at(entry, if long { Direction::Long } else { Direction::Short });
                t = entry + 1;
                continue;
            };
            let (adverse, favourable) = position.bracket.levels();
            let long = position.direction == Direction::Long;
            let leave = self.next_leave(t, to, heard, ground);
            // A level that is touched in the bar comes before its close.
            let bars = t..to.min(leave + 1);
            let (candles, end) = (ground.market.candles, bars.end);
            let touched = ground.extremes.touch(simd, candles, bars, long, adverse, favourable);
            if touched < end {
                let (cash, held) = (self.bars.cash, self.bars.held());
                self.bars.touch(touched, tape);
                if self.bars.position.is_none() {
                    self.mark(touched, cash, held, close, tape);
                    t = touched;
                    continue;
                }
            }
            let last = touched.min(end - 1);
            if last == leave && leave < heard_to {
                self.bars.hear(leave, heard);
            }
            t = last + 1;
        }
        self.left.start = to;
    }

    /// Keeps in mind where `enter` was false in bars that are skipped.
    fn rearm(&mut self, bars: Range<usize>, heard: &Heard<'_>) {
        if self.bars.plan.risk.reentry == Reentry::Rearm {
            for side in [Direction::Long, Direction::Short] {
                let words = heard.enter_false[nth(side)];
                if next_set(|w| heard.word(words, w), bars.start, bars.end).is_some() {
                    self.bars.arm(side);
                }
            }
        }
    }
}

/// [`EventTrial::direct`] as code for the processor that runs.
struct Direct<'r, 'a, T> {
    trial: &'r mut EventTrial<'a>,
    to: usize,
    heard: &'r Heard<'r>,
    ground: &'r Ground<'r>,
    tape: &'r mut T,
}

impl<T: Tape> WithSimd for Direct<'_, '_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        self.trial.direct(simd, self.to, self.heard, self.ground, self.tape);
    }
}

impl Trial for EventTrial<'_> {
    fn run(&mut self, to: usize, heard: Heard<'_>, ground: &Ground<'_>, tape: &mut impl Tape) {
        let programs = std::mem::take(&mut self.exit_programs);
        let heard = Heard { exit_programs: programs.each_ref().map(Option::as_ref), ..heard };
        let to = to.min(self.left.end);
        let close = ground.market.candles.close();
        if self.is_direct && self.left.start < to {
            ground.arch.dispatch(Direct { trial: self, to, heard: &heard, ground, tape });
        }
        while self.left.start < to {
            let t = self.left.start;
            let next = self.next(t, to, &heard, ground);
            self.rearm(t..next, &heard);
            self.left.start = next;
            if next == to {
                break;
            }
            let (cash, held) = (self.bars.cash, self.bars.held());
            self.bars.step(next, next + 1 == self.left.end, &heard, tape);
            if (cash, held) != (self.bars.cash, self.bars.held()) {
                self.mark(next, cash, held, close, tape);
            }
            self.left.start = next + 1;
        }
        self.mark(self.left.start, self.bars.cash, self.bars.held(), close, tape);
        self.exit_programs = programs;
        if self.left.is_empty() && to > 0 {
            self.bars.finish(to - 1, tape);
        }
    }

    fn rejected_orders(&self) -> u32 {
        self.bars.rejected_orders
    }

    fn deficit(&self) -> f64 {
        self.bars.deficit
    }
}
