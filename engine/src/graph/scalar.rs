//! Expressions on the open position, evaluated bar by bar inside the bar loop.

use std::collections::HashMap;

use super::columns::{FALSE, TRUE, UNKNOWN, Value, not};
use super::functions::{arithmetic, compare, logic, math_value};
use super::{Evaluator, Graph, NodeId, Op, PositionField, Type};
use crate::expr::{BinaryOp, UnaryOp};

/// What position functions see.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PositionState {
    /// Bars since the entry bar.
    pub bars: usize,
    /// Entry price after slippage.
    pub entry_price: f64,
    /// The close.
    pub close: f64,
    /// +1 long, -1 short.
    pub sign: f64,
}

impl PositionState {
    /// Signed return of the close on the entry price.
    fn unrealized_return(&self) -> f64 {
        self.sign * (self.close / self.entry_price - 1.0)
    }
}

/// A node as a list of steps, of which those that depend on the position run at each bar; the rest are columns.
#[derive(Debug, Clone)]
pub struct Program {
    steps: Vec<Step>,
}

#[derive(Debug, Clone)]
enum Step {
    Column(Value),
    Position(PositionField),
    Unary(UnaryOp, usize),
    Binary(BinaryOp, Type, usize, usize),
    Math(super::MathFn, usize, usize),
    Choose(usize, usize, usize),
}

/// A number or a condition.
#[derive(Debug, Clone, Copy)]
struct Cell {
    number: f64,
    condition: u8,
}

impl Cell {
    const UNKNOWN: Self = Self { number: f64::NAN, condition: UNKNOWN };
}

impl Program {
    /// The program of `root`, its columns taken from the evaluator.
    pub fn new(graph: &Graph, evaluator: &Evaluator, root: NodeId) -> Self {
        let mut slots: HashMap<NodeId, usize> = HashMap::new();
        let mut steps = Vec::new();
        for id in graph.reachable([root]) {
            let node = graph.node(id);
            let needed = id == root || node.on_position;
            if !needed {
                continue;
            }
            // Inputs that do not depend on the position become columns, unless they are there already.
            let inputs: Vec<usize> = node
                .inputs
                .iter()
                .map(|&input| match slots.get(&input) {
                    Some(&slot) => slot,
                    None if node.on_position => {
                        steps.push(Step::Column(evaluator.value(graph, input)));
                        slots.insert(input, steps.len() - 1);
                        steps.len() - 1
                    }
                    None => 0,
                })
                .collect();
            steps.push(match &node.op {
                Op::Position(field) => Step::Position(*field),
                Op::Unary(op) if node.on_position => Step::Unary(*op, inputs[0]),
                Op::Binary(op) if node.on_position => {
                    Step::Binary(*op, graph.node(node.inputs[0]).ty, inputs[0], inputs[1])
                }
                Op::Math(math) if node.on_position => {
                    Step::Math(*math, inputs[0], inputs.get(1).copied().unwrap_or(inputs[0]))
                }
                Op::Choose if node.on_position => Step::Choose(inputs[0], inputs[1], inputs[2]),
                // The compiler lets nothing else depend on the position.
                _ => Step::Column(evaluator.value(graph, id)),
            });
            slots.insert(id, steps.len() - 1);
        }
        Self { steps }
    }

    /// The condition at bar `i`; without a position its functions are unknown.
    #[inline]
    pub fn condition(&self, i: usize, position: Option<&PositionState>) -> u8 {
        // The commonest program is one column.
        match self.steps.as_slice() {
            [Step::Column(value)] => value.condition(i),
            _ => self.run(i, position).condition,
        }
    }

    /// The number at bar `i`; without a position its functions are unknown.
    #[inline]
    pub fn number(&self, i: usize, position: Option<&PositionState>) -> f64 {
        match self.steps.as_slice() {
            [Step::Column(value)] => value.number(i),
            _ => self.run(i, position).number,
        }
    }

    fn run(&self, i: usize, position: Option<&PositionState>) -> Cell {
        let (mut few, mut many) = ([Cell::UNKNOWN; 16], Vec::new());
        let cells = match few.get_mut(..self.steps.len()) {
            Some(cells) => cells,
            None => {
                many.resize(self.steps.len(), Cell::UNKNOWN);
                many.as_mut_slice()
            }
        };
        for (at, step) in self.steps.iter().enumerate() {
            let number = |number: f64| Cell { number, condition: UNKNOWN };
            let condition = |condition: u8| Cell { number: f64::NAN, condition };
            let cell = match step {
                Step::Column(value) => Cell { number: value.number(i), condition: value.condition(i) },
                Step::Position(field) => number(position.map_or(f64::NAN, |p| match field {
                    PositionField::BarsInPosition => p.bars as f64,
                    PositionField::EntryPrice => p.entry_price,
                    PositionField::UnrealizedReturn => p.unrealized_return(),
                })),
                Step::Unary(UnaryOp::Negate, a) => number(-cells[*a].number),
                Step::Unary(UnaryOp::Not, a) => condition(not(cells[*a].condition)),
                Step::Binary(op, Type::Bool, a, b) => {
                    condition(logic(*op, cells[*a].condition, cells[*b].condition))
                }
                Step::Binary(op, Type::Number, a, b) => {
                    let (a, b) = (cells[*a].number, cells[*b].number);
                    Cell { number: arithmetic(*op, a, b), condition: compare(*op, a, b) }
                }
                Step::Math(math, a, b) => number(math_value(*math, cells[*a].number, cells[*b].number)),
                Step::Choose(test, yes, no) => match cells[*test].condition {
                    TRUE => cells[*yes],
                    FALSE => cells[*no],
                    _ => Cell::UNKNOWN,
                },
            };
            cells[at] = cell;
        }
        cells.last().copied().unwrap_or(Cell::UNKNOWN)
    }
}
