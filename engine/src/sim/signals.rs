//! One trial's columns and programs, looked up once before the bars.

use crate::graph::{Evaluator, FALSE, Graph, NodeId, PositionState, Program, TRUE};
use crate::strategy::{Entry, PlannedDistance, TrailDistance, TrialPlan};

/// The columns of one direction.
#[derive(Debug)]
pub(super) struct SideSignals {
    enter: Program,
    exit: Option<Program>,
    /// Price of the resting entry order and the bars it rests; `None` for a market order.
    pub(super) order: Option<(OrderKind, Program, usize)>,
}

/// What rests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OrderKind {
    Limit,
    Stop,
}

impl SideSignals {
    pub(super) fn enters(&self, bar: usize) -> bool {
        self.enter.condition(bar, None) == TRUE
    }

    /// Whether the entry is known to be off, which is what re-arms it.
    pub(super) fn enters_known_false(&self, bar: usize) -> bool {
        self.enter.condition(bar, None) == FALSE
    }

    pub(super) fn exits(&self, bar: usize, position: Option<&PositionState>) -> bool {
        self.exit.as_ref().is_some_and(|exit| exit.condition(bar, position) == TRUE)
    }

    /// An entry that its own exit does not cancel.
    pub(super) fn enters_freely(&self, bar: usize) -> bool {
        self.enters(bar) && !self.exits(bar, None)
    }
}

/// A distance whose columns are looked up.
#[derive(Debug)]
pub(super) enum Level {
    Fraction(f64),
    Price(Program),
    Atr(f64, Program),
}

/// All columns of one trial.
#[derive(Debug)]
pub(super) struct Signals {
    pub(super) long: Option<SideSignals>,
    pub(super) short: Option<SideSignals>,
    pub(super) stop: Option<Level>,
    pub(super) target: Option<Level>,
    pub(super) trail_atr: Option<Program>,
}

impl Signals {
    pub(super) fn new(plan: &TrialPlan, graph: &Graph, evaluator: &Evaluator) -> Self {
        let program = |node: NodeId| Program::new(graph, evaluator, node);
        let side = |side: &crate::strategy::SidePlan| SideSignals {
            enter: program(side.enter),
            exit: side.exit.map(program),
            order: match side.entry {
                Entry::Market => None,
                Entry::Limit(price, bars) => Some((OrderKind::Limit, program(price), bars)),
                Entry::Stop(price, bars) => Some((OrderKind::Stop, program(price), bars)),
            },
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
            long: plan.long.as_ref().map(side),
            short: plan.short.as_ref().map(side),
            stop: plan.risk.stop_loss.map(level),
            target: plan.risk.take_profit.map(level),
            trail_atr,
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
            first = first.max(evaluator.value(graph, id).first());
        }
    }
    first
}
