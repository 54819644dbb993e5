//! The conditions of many trials as one list of steps over words of bits.
//!
//! Kleene's logic over comparisons needs no third value here: where a condition is known to be true, and where it is known
//! to be false, are two plain formulas. `!(a > b)` is true where `a <= b` is, `x && y` is false where `x` or `y` is. Only
//! what a trial asks for is a step, and equal steps are one, so trials share what they have in common.
//!
//! ```text
//!  crosses_above(a, b) && rsi < 30   ->   0: a ? b       above and below, in one pass over both columns
//!                                         1: not above 0
//!                                         2: one bar later 1
//!                                         3: 0 and 2
//!                                         4: rsi ? 30
//!                                         5: 3 and below 4
//! ```

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use crate::expr::{BinaryOp, UnaryOp};
use crate::graph::{Bools, Column, CrossRule, Evaluator, Graph, Instance, NodeId, Op, Type, Value};
use crate::strategy::TrialPlan;

/// A step in its list.
pub(super) type StepId = u32;

/// A side of a comparison: a column by its place, or a constant by its bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Operand {
    Column(u32),
    Constant(u64),
}

/// What a step makes of words made before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Step {
    /// Every bar, or none.
    All(bool),
    /// Where a column of conditions is true (or false).
    Whole(u32, bool),
    /// The comparison of two operands: where the first is above, and in the place after it, where it is below.
    Compare(Operand, Operand),
    /// The second place of a comparison.
    Below(StepId),
    /// Where two operands are known and the step is not set.
    KnownAndNot(StepId, Operand, Operand),
    And(StepId, StepId),
    Or(StepId, StepId),
    /// One bar later.
    Later(StepId),
    /// vectorbt's crossing of a comparison from a bar on: `a > b`, `a < b`, the operands, and the bar.
    CrossVectorbt {
        above: StepId,
        below: StepId,
        operands: (Operand, Operand),
        start: u32,
    },
}

impl Step {
    /// The steps that it reads.
    pub(super) fn inputs(&self) -> [Option<StepId>; 2] {
        match *self {
            Step::All(_) | Step::Whole(..) | Step::Compare(..) => [None, None],
            Step::Below(a) | Step::KnownAndNot(a, ..) | Step::Later(a) => [Some(a), None],
            Step::And(a, b) | Step::Or(a, b) => [Some(a), Some(b)],
            Step::CrossVectorbt { above, below, .. } => [Some(above), Some(below)],
        }
    }
}

/// The conditions of one direction.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct SideSteps {
    /// Where `enter` is true.
    pub(super) enter: Option<StepId>,
    /// Where `enter` is false, if that is asked for.
    pub(super) enter_false: Option<StepId>,
    /// Where `exit` is true; `None` also where it hangs on the position.
    pub(super) exit: Option<StepId>,
}

/// The conditions of a trial: long and short.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct TrialSteps {
    pub(super) sides: [SideSteps; 2],
}

/// The steps of a set of trials, and the columns that they read.
#[derive(Debug, Default)]
pub(super) struct Formulas {
    pub(super) steps: Vec<Step>,
    pub(super) columns: Vec<Arc<Column>>,
    pub(super) conditions: Vec<Arc<Bools>>,
    /// The first bar at which a step that carries something from bar to bar begins; bars before it need not be looked at.
    pub(super) start: Option<usize>,
    known: HashMap<Step, StepId>,
    operands: HashMap<Instance, Operand>,
    wholes: HashMap<Instance, u32>,
}

/// Where steps come from.
struct Source<'a> {
    graph: &'a Graph,
    evaluator: &'a Evaluator,
}

impl Formulas {
    /// Adds the conditions of a trial. `false_entries`: also where `enter` is known to be false.
    pub(super) fn add(
        &mut self,
        plan: &TrialPlan,
        graph: &Graph,
        evaluator: &Evaluator,
        false_entries: bool,
    ) -> TrialSteps {
        let from = Source { graph, evaluator };
        let mut root = |id: NodeId, wanted: bool| self.condition(&from, id, graph.root_lead(id), wanted);
        let sides = [&plan.long, &plan.short].map(|side| match side {
            Some(side) => SideSteps {
                enter: Some(root(side.enter, true)),
                enter_false: false_entries.then(|| root(side.enter, false)),
                exit: side.exit.filter(|&exit| !graph.node(exit).on_position).map(|exit| root(exit, true)),
            },
            None => SideSteps::default(),
        });
        TrialSteps { sides }
    }

    fn step(&mut self, step: Step) -> StepId {
        if let Some(&id) = self.known.get(&step) {
            return id;
        }
        let id = self.steps.len() as StepId;
        self.steps.push(step);
        self.known.insert(step, id);
        id
    }

    fn and(&mut self, a: StepId, b: StepId) -> StepId {
        match (self.steps[a as usize], self.steps[b as usize]) {
            (Step::All(true), _) | (_, Step::All(false)) => b,
            (_, Step::All(true)) | (Step::All(false), _) => a,
            _ if a == b => a,
            _ => self.step(Step::And(a.min(b), a.max(b))),
        }
    }

    fn or(&mut self, a: StepId, b: StepId) -> StepId {
        match (self.steps[a as usize], self.steps[b as usize]) {
            (Step::All(false), _) | (_, Step::All(true)) => b,
            (_, Step::All(false)) | (Step::All(true), _) => a,
            _ if a == b => a,
            _ => self.step(Step::Or(a.min(b), a.max(b))),
        }
    }

    /// Where the condition `id` is known to be `wanted`.
    fn condition(&mut self, from: &Source<'_>, id: NodeId, lead: usize, wanted: bool) -> StepId {
        let node = from.graph.node(id);
        let input = |nth: usize| {
            let input = node.inputs[nth];
            (input, from.graph.input_lead(id, input, lead))
        };
        match node.op {
            Op::Flag(flag) => self.step(Step::All(flag == wanted)),
            Op::Unary(UnaryOp::Not) => {
                let (inner, lead) = input(0);
                self.condition(from, inner, lead, !wanted)
            }
            Op::Binary(op) if from.graph.node(node.inputs[0]).ty == Type::Bool => {
                let mut of = |nth: usize, wanted: bool| {
                    let (inner, lead) = input(nth);
                    self.condition(from, inner, lead, wanted)
                };
                match (op, wanted) {
                    (BinaryOp::And, true) | (BinaryOp::Or, false) => {
                        let (a, b) = (of(0, wanted), of(1, wanted));
                        self.and(a, b)
                    }
                    (BinaryOp::And, false) | (BinaryOp::Or, true) => {
                        let (a, b) = (of(0, wanted), of(1, wanted));
                        self.or(a, b)
                    }
                    _ => {
                        // Equal where both are true or both false; different where one is true and the other false.
                        let same = (op == BinaryOp::Equal) == wanted;
                        let sides = [of(0, true), of(0, false), of(1, same), of(1, !same)];
                        let (a, b) = (self.and(sides[0], sides[2]), self.and(sides[1], sides[3]));
                        self.or(a, b)
                    }
                }
            }
            Op::Binary(op) => {
                let (a, b) = (self.operand(from, input(0)), self.operand(from, input(1)));
                self.comparison(op, a, b, wanted)
            }
            Op::Choose => {
                let mut of = |nth: usize, wanted: bool| {
                    let (inner, lead) = input(nth);
                    self.condition(from, inner, lead, wanted)
                };
                let sides = [of(0, true), of(1, wanted), of(0, false), of(2, wanted)];
                let (a, b) = (self.and(sides[0], sides[1]), self.and(sides[2], sides[3]));
                self.or(a, b)
            }
            Op::Cross(rule) => {
                let (a, b) = (self.operand(from, input(0)), self.operand(from, input(1)));
                self.cross(from, rule, (a, b), (id, lead), wanted)
            }
            _ => self.whole(from, id, lead, wanted),
        }
    }

    fn cross(
        &mut self,
        from: &Source<'_>,
        rule: CrossRule,
        (a, b): (Operand, Operand),
        (id, lead): (NodeId, usize),
        wanted: bool,
    ) -> StepId {
        let before = match rule {
            CrossRule::Pine => BinaryOp::LessOrEqual,
            CrossRule::Strict => BinaryOp::Less,
            CrossRule::Vectorbt if wanted => {
                let start = from.evaluator.start_of(from.graph, id, lead);
                self.start = Some(self.start.map_or(start, |first| first.min(start)));
                let above = self.comparison(BinaryOp::Greater, a, b, true);
                let below = self.comparison(BinaryOp::Less, a, b, true);
                return self.step(Step::CrossVectorbt {
                    above,
                    below,
                    operands: (a, b),
                    start: start as u32,
                });
            }
            // Nothing asks where vectorbt's crossing is known to be false but a negation of it.
            CrossRule::Vectorbt => return self.whole(from, id, lead, wanted),
        };
        let now = self.comparison(BinaryOp::Greater, a, b, wanted);
        let then = self.comparison(before, a, b, wanted);
        let then = self.step(Step::Later(then));
        if wanted { self.and(now, then) } else { self.or(now, then) }
    }

    /// Where `a op b` is known to be `wanted`.
    fn comparison(&mut self, op: BinaryOp, a: Operand, b: Operand, wanted: bool) -> StepId {
        let op = if wanted { op } else { opposite(op) };
        // One order of operands, so that `a > b` and `b < a` are one comparison.
        let (op, a, b) = if a <= b { (op, a, b) } else { (mirrored(op), b, a) };
        let above = self.step(Step::Compare(a, b));
        let below = self.step(Step::Below(above));
        match op {
            BinaryOp::Greater => above,
            BinaryOp::Less => below,
            BinaryOp::LessOrEqual => self.step(Step::KnownAndNot(above, a, b)),
            BinaryOp::GreaterOrEqual => self.step(Step::KnownAndNot(below, a, b)),
            BinaryOp::NotEqual => self.or(above, below),
            _ => {
                let differs = self.or(above, below);
                self.step(Step::KnownAndNot(differs, a, b))
            }
        }
    }

    fn operand(&mut self, from: &Source<'_>, (id, lead): (NodeId, usize)) -> Operand {
        let key = from.graph.instance(id, lead);
        if let Some(&operand) = self.operands.get(&key) {
            return operand;
        }
        let operand = match from.evaluator.instance(from.graph, id, lead) {
            Value::Numbers(column) => {
                self.columns.push(column);
                Operand::Column((self.columns.len() - 1) as u32)
            }
            value => Operand::Constant(value.number(0).to_bits()),
        };
        self.operands.insert(key, operand);
        operand
    }

    fn whole(&mut self, from: &Source<'_>, id: NodeId, lead: usize, wanted: bool) -> StepId {
        let key = from.graph.instance(id, lead);
        let place = match self.wholes.get(&key) {
            Some(&place) => place,
            None => match from.evaluator.instance(from.graph, id, lead) {
                Value::Bools(column) => {
                    self.conditions.push(column);
                    let place = (self.conditions.len() - 1) as u32;
                    self.wholes.insert(key, place);
                    place
                }
                constant => {
                    let is = constant.condition(0) == u8::from(wanted);
                    return self.step(Step::All(is));
                }
            },
        };
        self.step(Step::Whole(place, wanted))
    }
}

/// The columns that the conditions of a trial read, each as a node and the lead that it is asked for with.
pub(super) fn leaves(plan: &TrialPlan, graph: &Graph, found: &mut BTreeSet<Instance>) {
    let mut open: Vec<Instance> = Vec::new();
    for id in plan.roots() {
        let mut below = vec![id];
        while let Some(id) = below.pop() {
            if graph.node(id).on_position {
                below.extend(&graph.node(id).inputs);
            } else {
                open.push((id, graph.root_lead(id)));
            }
        }
    }
    while let Some((id, lead)) = open.pop() {
        let node = graph.node(id);
        let is_formula = node.ty == Type::Bool
            && matches!(node.op, Op::Unary(_) | Op::Binary(_) | Op::Choose | Op::Cross(_));
        if is_formula {
            open.extend(node.inputs.iter().map(|&input| (input, graph.input_lead(id, input, lead))));
        } else {
            found.insert(graph.instance(id, lead));
        }
    }
}

/// The comparison that is true where `op` is known to be false.
fn opposite(op: BinaryOp) -> BinaryOp {
    match op {
        BinaryOp::Less => BinaryOp::GreaterOrEqual,
        BinaryOp::LessOrEqual => BinaryOp::Greater,
        BinaryOp::Greater => BinaryOp::LessOrEqual,
        BinaryOp::GreaterOrEqual => BinaryOp::Less,
        BinaryOp::Equal => BinaryOp::NotEqual,
        _ => BinaryOp::Equal,
    }
}

/// `b mirrored(op) a` for `a op b`.
fn mirrored(op: BinaryOp) -> BinaryOp {
    match op {
        BinaryOp::Less => BinaryOp::Greater,
        BinaryOp::LessOrEqual => BinaryOp::GreaterOrEqual,
        BinaryOp::Greater => BinaryOp::Less,
        BinaryOp::GreaterOrEqual => BinaryOp::LessOrEqual,
        other => other,
    }
}
