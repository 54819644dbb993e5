//! One trial's columns and programs, looked up once before the bars.

use super::Direction;
use crate::graph::{Evaluator, FALSE, Graph, NodeId, PositionState, Program, TRUE};
use crate::strategy::{Entry, PlannedDistance, SidePlan, TrailDistance, TrialPlan};

/// What the conditions of a trial say at the close of a bar.
pub(super) trait Hear {
    /// Whether `enter` is known to be true.
    fn enters(&self, side: Direction, bar: usize) -> bool;

    /// Whether `enter` is known to be false, which is what re-arms it.
    fn enters_known_false(&self, side: Direction, bar: usize) -> bool;

    /// Whether `exit` is known to be true; without a position its position functions are unknown.
    fn exits(&self, side: Direction, bar: usize, position: Option<&PositionState>) -> bool;

    /// An entry that its own exit does not cancel.
    fn enters_freely(&self, side: Direction, bar: usize) -> bool {
        self.enters(side, bar) && !self.exits(side, bar, None)
    }
}

/// The conditions of one direction.
#[derive(Debug)]
struct Side {
    enter: Program,
    exit: Option<Program>,
}

/// The conditions of a trial as whole columns.
#[derive(Debug)]
pub(super) struct Conditions {
    long: Option<Side>,
    short: Option<Side>,
}

impl Conditions {
    pub(super) fn new(plan: &TrialPlan, graph: &Graph, evaluator: &Evaluator) -> Self {
        let program = |node: NodeId| Program::new(graph, evaluator, node);
        let side = |side: &SidePlan| Side { enter: program(side.enter), exit: side.exit.map(program) };
        Self { long: plan.long.as_ref().map(side), short: plan.short.as_ref().map(side) }
    }

    fn side(&self, direction: Direction) -> Option<&Side> {
        match direction {
            Direction::Long => self.long.as_ref(),
            Direction::Short => self.short.as_ref(),
        }
    }
}

impl Hear for Conditions {
    fn enters(&self, side: Direction, bar: usize) -> bool {
        self.side(side).is_some_and(|side| side.enter.condition(bar, None) == TRUE)
    }

    fn enters_known_false(&self, side: Direction, bar: usize) -> bool {
        self.side(side).is_some_and(|side| side.enter.condition(bar, None) == FALSE)
    }

    fn exits(&self, side: Direction, bar: usize, position: Option<&PositionState>) -> bool {
        let exit = self.side(side).and_then(|side| side.exit.as_ref());
        exit.is_some_and(|exit| exit.condition(bar, position) == TRUE)
    }
}

/// What rests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OrderKind {
    Limit,
    Stop,
}

/// A resting entry order: its price, and the bars it rests.
#[derive(Debug)]
pub(super) struct Resting {
    pub(super) kind: OrderKind,
    pub(super) price: Program,
    pub(super) bars: usize,
}

/// A distance whose columns are looked up.
#[derive(Debug)]
pub(super) enum Level {
    Fraction(f64),
    Price(Program),
    Atr(f64, Program),
}

/// The prices that a trial looks up when it trades.
#[derive(Debug)]
pub(super) struct Levels {
    /// Resting entry orders; `None` for market orders.
    long: Option<Resting>,
    short: Option<Resting>,
    pub(super) stop: Option<Level>,
    pub(super) target: Option<Level>,
    pub(super) trail_atr: Option<Program>,
}

impl Levels {
    pub(super) fn new(plan: &TrialPlan, graph: &Graph, evaluator: &Evaluator) -> Self {
        let program = |node: NodeId| Program::new(graph, evaluator, node);
        let resting = |side: &Option<SidePlan>| {
            let (kind, price, bars) = match side.as_ref()?.entry {
                Entry::Market => return None,
                Entry::Limit(price, bars) => (OrderKind::Limit, price, bars),
                Entry::Stop(price, bars) => (OrderKind::Stop, price, bars),
            };
            Some(Resting { kind, price: program(price), bars })
        };
        let level = |distance: PlannedDistance| match distance {
            PlannedDistance::Fraction(fraction) => Level::Fraction(fraction),
            PlannedDistance::Price(node) => Level::Price(program(node)),
            PlannedDistance::Atr(multiple, node) => Level::Atr(multiple, program(node)),
        };
        let trail_atr = plan.risk.trail.and_then(|trail| match trail.distance {
            TrailDistance::Atr { atr, .. } => Some(program(atr)),
            TrailDistance::Fraction(_) => None,
        });
        Self {
            long: resting(&plan.long),
            short: resting(&plan.short),
            stop: plan.risk.stop_loss.map(level),
            target: plan.risk.take_profit.map(level),
            trail_atr,
        }
    }

    pub(super) fn resting(&self, side: Direction) -> Option<&Resting> {
        match side {
            Direction::Long => self.long.as_ref(),
            Direction::Short => self.short.as_ref(),
        }
    }
}

/// The first bar at which everything the trial looks at is warm.
pub fn first_warm_bar(plan: &TrialPlan, graph: &Graph, evaluator: &Evaluator) -> usize {
    let mut first = 0;
    let mut open = plan.roots();
    while let Some(id) = open.pop() {
        let node = graph.node(id);
        if node.on_position {
            open.extend(&node.inputs);
        } else {
            first = first.max(evaluator.first(graph, id));
        }
    }
    first
}
