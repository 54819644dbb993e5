//! The expression graph: hash-consed nodes over columns.
//!
//! ```text
//!  text --expr::parse--> Expr --compile (parameters bound)--> Graph nodes --Evaluator--> columns
//! ```
//!
//! Equal expressions become one node, so the trials of a sweep share them: a 100 x 100 grid of two SMAs has 200 columns.
//! A node lives on a *frame*, the interval of the candles it is computed on; [`Op::Align`] brings a higher frame's node
//! to a finer one, showing closed candles only. There is no operator that looks ahead.

mod columns;
mod compile;
mod describe;
mod evaluate;
mod functions;
mod known;
mod resample;
mod scalar;

pub use columns::{Bools, Column, FALSE, TRUE, UNKNOWN, Value};
pub use compile::{Compiler, Scope, usage};
pub use evaluate::Evaluator;
pub use functions::{FUNCTIONS, FunctionInfo, is_function};
pub use resample::{align, resample, resample_part};
pub use scalar::{PositionState, Program};

use std::hash::Hasher;
use std::sync::LazyLock;

use crate::expr::{BinaryOp, UnaryOp};
use crate::indicators::{self, Indicator, Memory};
use crate::interval::Interval;
use known::{FastMap, Known, Mixer};

/// Index of a node in its [`Graph`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(u32);

impl NodeId {
    /// The position of the node in [`Graph::nodes`].
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// A node and the lead its column is computed with (0 where the lead makes no difference).
pub type Instance = (NodeId, usize);

/// The type of a node's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Type {
    /// `f64`, NaN where unknown.
    Number,
    /// True, false or unknown.
    Bool,
}

impl Type {
    /// How errors call it.
    pub fn name(self) -> &'static str {
        match self {
            Type::Number => "a number",
            Type::Bool => "a condition (true or false)",
        }
    }
}

/// A column of the candle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CandleField {
    /// Open price.
    Open,
    /// Highest price.
    High,
    /// Lowest price.
    Low,
    /// Close price.
    Close,
    /// Base volume.
    Volume,
}

/// A function of the bar's open in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TimeField {
    /// 0 to 59.
    Minute,
    /// 0 to 23.
    Hour,
    /// Monday = 1 to Sunday = 7.
    DayOfWeek,
    /// 1 to 31.
    DayOfMonth,
    /// 1 to 12.
    Month,
}

/// A function of the open position, for `exit` and `risk`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PositionField {
    /// Bars since the entry bar, 0 at its close.
    BarsInPosition,
    /// The entry's price after slippage.
    EntryPrice,
    /// Signed return of the close on the entry price, before fees.
    UnrealizedReturn,
}

/// Mathematical functions of one or two numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MathFn {
    /// Absolute value.
    Abs,
    /// Square root, unknown below zero.
    Sqrt,
    /// Natural logarithm, unknown at and below zero.
    Log,
    /// Exponential.
    Exp,
    /// Largest integer not above.
    Floor,
    /// Smallest integer not below.
    Ceil,
    /// Nearest integer, halves away from zero.
    Round,
    /// -1, 0 or 1.
    Sign,
    /// Smaller of two, unknown if either is.
    Min,
    /// Larger of two, unknown if either is.
    Max,
    /// Power.
    Pow,
}

/// Which rule a crossing follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CrossRule {
    /// Pine's: `a > b && a[1] <= b[1]`.
    Pine,
    /// backtesting.py's: `a > b && a[1] < b[1]`.
    Strict,
    /// vectorbt's: `a > b`, not so on the bar before, and some earlier bar since the last unknown had `a < b`.
    Vectorbt,
}

/// What a node computes from its inputs.
#[derive(Debug, Clone, Copy)]
pub enum Op {
    /// A constant.
    Number(f64),
    /// A constant condition.
    Flag(bool),
    /// A column of the candle.
    Candle(CandleField),
    /// A column beside the candle, by its place in [`Scope::columns`].
    Column(usize),
    /// A function of the bar's open.
    Time(TimeField),
    /// A function of the open position.
    Position(PositionField),
    /// An operator of one operand.
    Unary(UnaryOp),
    /// An operator of two operands.
    Binary(BinaryOp),
    /// A mathematical function.
    Math(MathFn),
    /// `condition ? yes : no`
    Choose,
    /// The value so many bars back.
    Shift(usize),
    /// A crossing of the first input above the second (a crossing below has them swapped).
    Cross(CrossRule),
    /// All outputs of an indicator; its numbers are in [`Node::params`].
    Indicator(&'static Indicator),
    /// One output of an indicator.
    Output(usize),
    /// A higher frame's node, seen from a finer frame: the value of the last candle closed at or before the bar's close.
    Align,
}

/// A node of the graph.
#[derive(Debug, Clone)]
pub struct Node {
    /// What it computes.
    pub op: Op,
    /// Its inputs, nodes made before it.
    pub inputs: Vec<NodeId>,
    /// Parameters of an indicator.
    pub params: Vec<f64>,
    /// The candles it is computed on.
    pub frame: Interval,
    /// The type of its values.
    pub ty: Type,
    /// Whether its value depends on the open position, so that it has no column.
    pub on_position: bool,
    /// Whether its value depends on where its history begins (a recursion somewhere below it).
    pub recursive: bool,
    /// How many bars it looks back at recursions below it, through nodes without one of their own.
    pub reach: usize,
    /// Nesting below it.
    pub depth: usize,
}

/// A hash-consed graph of expressions.
#[derive(Debug, Default)]
pub struct Graph {
    nodes: Vec<Node>,
    known: Known,
    /// Names of the columns beside the candle, by the place that [`Op::Column`] holds.
    columns: Vec<String>,
}

impl Graph {
    /// An empty graph.
    pub fn new() -> Self {
        Self::default()
    }

    /// All nodes; inputs come before the nodes that use them.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The ids of all nodes, in their order.
    pub fn ids(&self) -> impl Iterator<Item = NodeId> {
        (0..self.nodes.len() as u32).map(NodeId)
    }

    /// The node of an id.
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.index()]
    }

    /// The value of a constant node.
    pub fn constant(&self, id: NodeId) -> Option<f64> {
        match self.node(id).op {
            Op::Number(value) => Some(value),
            Op::Flag(flag) => Some(f64::from(u8::from(flag))),
            _ => None,
        }
    }

    /// Adds the node of the column `nth` beside the candle.
    pub(crate) fn add_column(&mut self, nth: usize, name: &str, frame: Interval) -> NodeId {
        while self.columns.len() <= nth {
            self.columns.push(String::new());
        }
        name.clone_into(&mut self.columns[nth]);
        self.add(Op::Column(nth), &[], &[], frame, Type::Number)
    }

    /// Adds a node, or finds the equal one that exists.
    pub(crate) fn add(
        &mut self,
        op: Op,
        inputs: &[NodeId],
        params: &[f64],
        frame: Interval,
        ty: Type,
    ) -> NodeId {
        let key = op_key(&op);
        let hash = hash_of(key, inputs, params, frame);
        let found = self.known.find(hash, |id| {
            let node = self.node(id);
            op_key(&node.op) == key
                && node.inputs == inputs
                && node.params.iter().map(|p| p.to_bits()).eq(params.iter().map(|p| p.to_bits()))
                && node.frame == frame
        });
        if let Some(id) = found {
            return id;
        }
        let below = |test: fn(&Node) -> bool| inputs.iter().any(|&input| test(self.node(input)));
        let own_recursion = is_recursion(&op, params, frame);
        let reach = if own_recursion || matches!(op, Op::Align) {
            0
        } else {
            let below = inputs.iter().map(|&input| self.node(input)).filter(|node| node.recursive);
            let (lookback, _) = own_history(&op, params, frame);
            below.map(|node| node.reach.saturating_add(lookback)).max().unwrap_or(0)
        };
        let node = Node {
            on_position: matches!(op, Op::Position(_)) || below(|n| n.on_position),
            recursive: own_recursion || below(|n| n.recursive),
            reach,
            depth: 1 + inputs.iter().map(|&input| self.node(input).depth).max().unwrap_or(0),
            op,
            inputs: inputs.to_vec(),
            params: params.to_vec(),
            frame,
            ty,
        };
        let id = NodeId(self.nodes.len() as u32);
        self.nodes.push(node);
        self.known.insert(hash, id);
        id
    }

    /// The nodes that `roots` need, themselves included, inputs first.
    pub fn reachable(&self, roots: impl IntoIterator<Item = NodeId>) -> Vec<NodeId> {
        let mut seen = std::collections::BTreeSet::new();
        let mut open: Vec<NodeId> = roots.into_iter().collect();
        while let Some(id) = open.pop() {
            if seen.insert(id) {
                open.extend(&self.node(id).inputs);
            }
        }
        seen.into_iter().collect()
    }

    /// The lead of a node that the run itself asks for: the bars before the run from which on its value must be settled.
    ///
    /// Where history matters (a recursion) all of an expression is computed under one lead, rounded up so that others
    /// share it: in `x - x[1]` both are the same column, one bar apart.
    pub(crate) fn root_lead(&self, id: NodeId) -> usize {
        self.lead_for(id, 0)
    }

    /// The column of a node of some lead.
    pub(crate) fn instance(&self, id: NodeId, lead: usize) -> Instance {
        (id, if self.node(id).recursive { lead } else { 0 })
    }

    /// The lead of a node of which `needed` bars before the run are needed.
    fn lead_for(&self, id: NodeId, needed: usize) -> usize {
        let node = self.node(id);
        if !node.recursive {
            return needed;
        }
        needed.saturating_add(node.reach).clamp(MIN_RECURSIVE_LEAD, ALL_HISTORY).next_power_of_two()
    }

    /// How many bars before the run a node of some lead looks at: the lead, its lookback and its memory.
    pub(crate) fn history(&self, id: NodeId, lead: usize) -> usize {
        let node = self.node(id);
        let (lookback, memory) = own_history(&node.op, &node.params, node.frame);
        lead.saturating_add(lookback).saturating_add(memory)
    }

    /// The lead that a node of some lead asks of an input, in bars of the input's frame.
    pub(crate) fn input_lead(&self, id: NodeId, input: NodeId, lead: usize) -> usize {
        let node = self.node(id);
        if let Op::Align = node.op {
            let ratio = self.node(input).frame.millis() / node.frame.millis();
            return self.lead_for(input, lead.div_ceil(usize::try_from(ratio).unwrap_or(1)) + 1);
        }
        if self.node(input).recursive && !is_recursion(&node.op, &node.params, node.frame) {
            return lead;
        }
        self.lead_for(input, self.history(id, lead))
    }

    /// Milliseconds of candles before the run that `roots` need to be settled when the run starts.
    pub fn pre_roll_ms(&self, roots: impl IntoIterator<Item = NodeId>) -> i64 {
        let mut longest = 0;
        // Inputs come before the nodes that use them, so the last node left has its longest lead, which needs all that
        // a shorter one does.
        let mut leads: Vec<Option<usize>> = vec![None; self.nodes.len()];
        roots.into_iter().for_each(|id| leads[id.index()] = Some(self.root_lead(id)));
        for index in (0..leads.len()).rev() {
            let Some(lead) = leads[index] else { continue };
            let id = NodeId(index as u32);
            let node = self.node(id);
            let (own, bars) = match node.op {
                Op::Number(_) | Op::Flag(_) => continue,
                // A higher candle may have opened up to one of its intervals earlier, and needs whole candles below it.
                Op::Align => {
                    let input = node.inputs[0];
                    (self.node(input).frame, self.input_lead(id, input, lead).saturating_add(2))
                }
                _ => (node.frame, self.history(id, lead)),
            };
            let bars = i64::try_from(bars).unwrap_or(i64::MAX);
            longest = longest.max(own.millis().saturating_mul(bars));
            for &input in &node.inputs {
                let wanted = self.input_lead(id, input, lead);
                let known = &mut leads[input.index()];
                *known = (*known).max(Some(wanted));
            }
        }
        longest
    }
}

/// Whether a node's own values depend on where its history begins.
pub(crate) fn is_recursion(op: &Op, params: &[f64], frame: Interval) -> bool {
    match op {
        Op::Indicator(indicator) => (indicator.memory)(params, frame) != Memory::Finite,
        Op::Cross(CrossRule::Vectorbt) => true,
        _ => false,
    }
}

/// How many bars of its own inputs a node looks back at, and how many more its recursion needs to settle.
fn own_history(op: &Op, params: &[f64], frame: Interval) -> (usize, usize) {
    match op {
        Op::Shift(k) => (*k, 0),
        Op::Cross(CrossRule::Vectorbt) => (1, VECTORBT_CROSS_MEMORY),
        Op::Cross(_) => (1, 0),
        Op::Indicator(indicator) => {
            let lookback = (indicator.lookback)(params);
            match (indicator.memory)(params, frame) {
                Memory::Finite | Memory::Anchored => (lookback, 0),
                Memory::Recursive(bars) => (lookback, bars),
                Memory::Everything => (lookback, ALL_HISTORY),
            }
        }
        _ => (0, 0),
    }
}

/// Leads below this share one column of a recursive node.
const MIN_RECURSIVE_LEAD: usize = 16;

/// No lead is longer: more bars than there are candles of anything, and far from overflowing. A pre-roll of as many bars
/// asks for all the history there is.
pub const ALL_HISTORY: usize = 1 << 30;

/// Bars before the run that vectorbt's crossing may remember a value below; beyond it the crossing starts afresh.
const VECTORBT_CROSS_MEMORY: usize = 256;

fn op_key(op: &Op) -> (u8, u64, usize) {
    match *op {
        Op::Number(value) => (0, value.to_bits(), 0),
        Op::Flag(flag) => (1, u64::from(flag), 0),
        Op::Candle(field) => (2, field as u64, 0),
        Op::Time(field) => (3, field as u64, 0),
        Op::Position(field) => (4, field as u64, 0),
        Op::Unary(op) => (5, op as u64, 0),
        Op::Binary(op) => (6, op as u64, 0),
        Op::Math(math) => (7, math as u64, 0),
        Op::Choose => (8, 0, 0),
        Op::Shift(k) => (9, 0, k),
        Op::Cross(rule) => (10, rule as u64, 0),
        // Two tables may hold different indicators of one name (profiles): the record's address tells them apart.
        Op::Indicator(indicator) => (11, 0, std::ptr::from_ref(indicator).addr()),
        Op::Output(k) => (12, 0, k),
        Op::Align => (13, 0, 0),
        Op::Column(nth) => (14, 0, nth),
    }
}

fn hash_of((kind, bits, of): (u8, u64, usize), inputs: &[NodeId], params: &[f64], frame: Interval) -> u64 {
    let mut mixer = Mixer::default();
    // Of what an operation holds one of the two is zero.
    mixer.write_u64(u64::from(kind) << 56 ^ bits ^ of as u64);
    mixer.write_i64(frame.millis());
    inputs.iter().for_each(|input| mixer.write_u32(input.0));
    params.iter().for_each(|param| mixer.write_u64(param.to_bits()));
    mixer.finish()
}

/// Finds an indicator under a profile: profile `vectorbt` puts its own averages in the place of ours.
pub(crate) fn indicator(name: &str, vectorbt: bool) -> Option<&'static Indicator> {
    // Every call of every trial asks for its indicator, of which there are some two hundred.
    static OURS: LazyLock<FastMap<&'static str, &'static Indicator>> =
        LazyLock::new(|| indicators::all().map(|indicator| (indicator.name, indicator)).collect());
    let replaced = indicators::VECTORBT.iter().find(|indicator| vectorbt && indicator.name == name);
    replaced.copied().or_else(|| OURS.get(name).copied())
}
