//! Graph nodes to columns, over the candles of one symbol and window.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::columns::{Bools, Column, FALSE, TRUE, Value};
use super::functions::{arithmetic, math_value, time_value};
use super::resample::{align, resample};
use super::{CandleField, CrossRule, Graph, Instance, NodeId, Op, Type, is_recursion};
use crate::bits::Bits;
use crate::candles::Candles;
use crate::exact::Sums;
use crate::expr::{BinaryOp, UnaryOp};
use crate::indicators::{CandleColumns, Indicator, Series, Source};
use crate::interval::Interval;

/// The candles of one interval, and how the base candles see them.
#[derive(Debug)]
struct Frame {
    candles: Arc<Candles>,
    /// For every base candle, how many candles of this frame have closed; empty for the base itself.
    closed: Vec<usize>,
    /// The first candle of the run in this frame: the one visible at the base's first bar.
    from: usize,
}

/// Evaluates nodes over candles, each once; threads share what is there.
///
/// The candles hold the pre-roll before `run.start`. A column that does not depend on where history begins (finite
/// windows) is computed once over all of it; one that does begins a number of bars before `run.start` that depends on
/// the node alone, so more history changes no bit.
#[derive(Debug)]
pub struct Evaluator {
    base: Interval,
    run: Range<usize>,
    frames: BTreeMap<Interval, Frame>,
    cache: Mutex<HashMap<Instance, Arc<OnceLock<Value>>>>,
}

impl Evaluator {
    /// An evaluator over `candles`, of which `run` is traded and what is before warms up. `frames` are the intervals
    /// that the nodes live on.
    pub fn new(
        candles: impl Into<Arc<Candles>>,
        run: Range<usize>,
        frames: impl IntoIterator<Item = Interval>,
    ) -> Self {
        let candles = candles.into();
        let base = candles.interval();
        let mut made = BTreeMap::new();
        for interval in frames {
            if interval != base {
                let coarse = resample(&candles, interval);
                let closed = align(&candles, &coarse);
                let from = closed.get(run.start).map_or(0, |&count| count.saturating_sub(1));
                made.insert(interval, Frame { candles: Arc::new(coarse), closed, from });
            }
        }
        made.insert(base, Frame { candles, closed: Vec::new(), from: run.start });
        Self { base, run, frames: made, cache: Mutex::default() }
    }

    /// The base candles, pre-roll included.
    pub fn candles(&self) -> &Candles {
        &self.frames[&self.base].candles
    }

    /// The bars that are traded.
    pub fn run(&self) -> Range<usize> {
        self.run.clone()
    }

    /// The value of a node, computed on first use.
    pub fn value(&self, graph: &Graph, node: NodeId) -> Value {
        self.instance(graph, node, graph.root_lead(node))
    }

    /// The first warm bar of a node. Conditions are not computed for it: theirs follows from their inputs.
    pub fn first(&self, graph: &Graph, node: NodeId) -> usize {
        self.first_of(graph, node, graph.root_lead(node))
    }

    pub(crate) fn first_of(&self, graph: &Graph, id: NodeId, lead: usize) -> usize {
        let node = graph.node(id);
        let below = || {
            let of = |&input: &NodeId| self.first_of(graph, input, graph.input_lead(id, input, lead));
            node.inputs.iter().map(of).max().unwrap_or(0)
        };
        match node.op {
            Op::Flag(_) => 0,
            Op::Shift(_) if matches!(graph.node(node.inputs[0]).op, Op::Flag(_)) => 0,
            Op::Shift(k) if node.ty == Type::Bool => below() + k.min(self.frames[&node.frame].candles.len()),
            Op::Cross(_) => below() + 1,
            Op::Unary(_) | Op::Binary(_) | Op::Choose if node.ty == Type::Bool => below(),
            _ => self.instance(graph, id, lead).first(),
        }
    }

    /// Bytes of the columns held.
    pub fn bytes(&self) -> usize {
        let cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        cache.values().filter_map(|cell| cell.get()).map(Value::bytes).sum()
    }

    /// Drops every column but those of the given nodes.
    pub fn retain(&self, keep: impl Fn(NodeId) -> bool) {
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        cache.retain(|(node, _), _| keep(*node));
    }

    pub(crate) fn instance(&self, graph: &Graph, id: NodeId, lead: usize) -> Value {
        let key = graph.instance(id, lead);
        let cell = {
            let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(cache.entry(key).or_default())
        };
        cell.get_or_init(|| self.compute(graph, id, lead)).clone()
    }

    fn compute(&self, graph: &Graph, id: NodeId, lead: usize) -> Value {
        let node = graph.node(id);
        let frame = &self.frames[&node.frame];
        let n = frame.candles.len();
        let input_value = |&input: &NodeId| self.instance(graph, input, graph.input_lead(id, input, lead));
        let inputs: Vec<Value> = node.inputs.iter().map(input_value).collect();
        let first = inputs.iter().map(Value::first).max().unwrap_or(0);
        match &node.op {
            Op::Number(value) => Value::Number(*value),
            Op::Flag(flag) => Value::Flag(u8::from(*flag)),
            Op::Candle(field) => {
                Value::Numbers(Arc::new(Column::of_candle(candle_column(&frame.candles, *field).to_vec())))
            }
            Op::Column(nth) => match frame.candles.columns().get(*nth) {
                Some((_, values)) => Value::Numbers(Arc::new(Column::of_candle(values.clone()))),
                None => numbers(vec![f64::NAN; n], 0),
            },
            Op::Time(field) => {
                numbers(frame.candles.timestamp().iter().map(|&t| time_value(*field, t)).collect(), 0)
            }
            // A position has no column: the bar loop evaluates these bar by bar (`Program`).
            Op::Position(_) => Value::Number(f64::NAN),
            Op::Unary(UnaryOp::Negate) => numbers((0..n).map(|i| -inputs[0].number(i)).collect(), first),
            Op::Unary(UnaryOp::Not) => {
                let (is_true, is_false) = sides(&inputs[0], n);
                bools(is_false, is_true, first)
            }
            Op::Binary(op) => binary(*op, &inputs, n, first),
            Op::Math(math) => {
                let second = |i| inputs.get(1).map_or(0.0, |b| b.number(i));
                numbers((0..n).map(|i| math_value(*math, inputs[0].number(i), second(i))).collect(), first)
            }
            Op::Choose => choose(node.ty, &inputs, n, first),
            Op::Shift(k) => shift(&inputs[0], *k, n),
            Op::Cross(rule) => cross(*rule, &inputs, n, first, self.start(graph, id, frame, lead)),
            Op::Indicator(indicator) => {
                // A finite window needs no start of its own: it begins where its input does.
                let recursion = is_recursion(&node.op, &node.params, node.frame);
                let start = if recursion { self.start(graph, id, frame, lead) } else { 0 };
                indicate(indicator, &node.params, frame, &inputs, first.max(start))
            }
            Op::Output(k) => match &inputs[0] {
                Value::Many(columns) => Value::Numbers(Arc::clone(&columns[*k])),
                other => other.clone(),
            },
            Op::Align => self.aligned(&inputs[0], node.frame, graph.node(node.inputs[0]).frame),
        }
    }

    /// Where the history of a recursive node of some lead begins.
    pub(crate) fn start_of(&self, graph: &Graph, id: NodeId, lead: usize) -> usize {
        self.start(graph, id, &self.frames[&graph.node(id).frame], lead)
    }

    /// Where the history of a recursive node begins: its lead, lookback and memory before the run.
    fn start(&self, graph: &Graph, id: NodeId, frame: &Frame, lead: usize) -> usize {
        frame.from.saturating_sub(graph.history(id, lead))
    }

    fn aligned(&self, inner: &Value, to: Interval, from: Interval) -> Value {
        // Candles of `from` closed at each candle of `to`; both are made of base candles.
        let closed: Vec<usize> = if to == self.base {
            self.frames[&from].closed.clone()
        } else {
            align(&self.frames[&to].candles, &self.frames[&from].candles)
        };
        let first = closed.partition_point(|&count| count <= inner.first());
        match inner {
            Value::Numbers(column) => numbers(
                closed
                    .iter()
                    .map(|&count| if count == 0 { f64::NAN } else { column.values[count - 1] })
                    .collect(),
                first,
            ),
            Value::Bools(column) => {
                let seen =
                    |bits: &Bits| Bits::from_fn(closed.len(), |i| closed[i] > 0 && bits.get(closed[i] - 1));
                bools(seen(&column.is_true), seen(&column.is_false), first)
            }
            other => other.clone(),
        }
    }
}

fn numbers(values: Vec<f64>, first: usize) -> Value {
    Value::Numbers(Arc::new(Column::new(values, first)))
}

fn bools(is_true: Bits, is_false: Bits, first: usize) -> Value {
    Value::Bools(Arc::new(Bools { is_true, is_false, first }))
}

/// Where a condition is known to be true, and where false.
fn sides(value: &Value, n: usize) -> (Bits, Bits) {
    match value {
        Value::Bools(column) => (column.is_true.clone(), column.is_false.clone()),
        constant => {
            let of = |wanted: u8| Bits::from_fn(n, |i| constant.condition(i) == wanted);
            (of(TRUE), of(FALSE))
        }
    }
}

fn candle_column(candles: &Candles, field: CandleField) -> &[f64] {
    match field {
        CandleField::Open => candles.open(),
        CandleField::High => candles.high(),
        CandleField::Low => candles.low(),
        CandleField::Close => candles.close(),
        CandleField::Volume => candles.volume(),
    }
}

/// Pairs of numbers, bar by bar, without a branch on the kind of operand inside the loop.
fn zip(a: &Value, b: &Value, n: usize, f: impl Fn(f64, f64) -> f64) -> Vec<f64> {
    match (a, b) {
        (Value::Numbers(a), Value::Numbers(b)) => {
            a.values.iter().zip(&b.values).map(|(&a, &b)| f(a, b)).collect()
        }
        (Value::Numbers(a), Value::Number(b)) => a.values.iter().map(|&a| f(a, *b)).collect(),
        (Value::Number(a), Value::Numbers(b)) => b.values.iter().map(|&b| f(*a, b)).collect(),
        _ => (0..n).map(|i| f(a.number(i), b.number(i))).collect(),
    }
}

/// Where `test` holds of a pair of numbers; it is false where one is unknown, as IEEE 754 compares.
fn where_holds(a: &Value, b: &Value, n: usize, test: impl Fn(f64, f64) -> bool) -> Bits {
    match (a, b) {
        (Value::Numbers(a), Value::Numbers(b)) => Bits::from_fn(n, |i| test(a.values[i], b.values[i])),
        (Value::Numbers(a), Value::Number(b)) => Bits::from_fn(n, |i| test(a.values[i], *b)),
        (Value::Number(a), Value::Numbers(b)) => Bits::from_fn(n, |i| test(*a, b.values[i])),
        _ => Bits::from_fn(n, |i| test(a.number(i), b.number(i))),
    }
}

/// A comparison, and where it is known to be false: where the opposite holds.
fn comparison(op: BinaryOp, a: &Value, b: &Value, n: usize, first: usize) -> Value {
    let less = || where_holds(a, b, n, |a, b| a < b);
    let less_or_equal = || where_holds(a, b, n, |a, b| a <= b);
    let greater = || where_holds(a, b, n, |a, b| a > b);
    let greater_or_equal = || where_holds(a, b, n, |a, b| a >= b);
    let equal = || where_holds(a, b, n, |a, b| a == b);
    let differs = || less().zip(&greater(), |less, greater| less | greater);
    let (is_true, is_false) = match op {
        BinaryOp::Less => (less(), greater_or_equal()),
        BinaryOp::LessOrEqual => (less_or_equal(), greater()),
        BinaryOp::Greater => (greater(), less_or_equal()),
        BinaryOp::GreaterOrEqual => (greater_or_equal(), less()),
        BinaryOp::Equal => (equal(), differs()),
        BinaryOp::NotEqual => (differs(), equal()),
        _ => (Bits::new(n), Bits::new(n)),
    };
    bools(is_true, is_false, first)
}

/// An operator on two conditions, by Kleene's rules.
fn joined(op: BinaryOp, a: &Value, b: &Value, n: usize, first: usize) -> Value {
    let ((a_true, a_false), (b_true, b_false)) = (sides(a, n), sides(b, n));
    let both = |a: &Bits, b: &Bits| a.zip(b, |a, b| a & b);
    let either = |a: &Bits, b: &Bits| a.zip(b, |a, b| a | b);
    let same = || either(&both(&a_true, &b_true), &both(&a_false, &b_false));
    let different = || either(&both(&a_true, &b_false), &both(&a_false, &b_true));
    let (is_true, is_false) = match op {
        BinaryOp::And => (both(&a_true, &b_true), either(&a_false, &b_false)),
        BinaryOp::Or => (either(&a_true, &b_true), both(&a_false, &b_false)),
        BinaryOp::Equal => (same(), different()),
        BinaryOp::NotEqual => (different(), same()),
        _ => (Bits::new(n), Bits::new(n)),
    };
    bools(is_true, is_false, first)
}

fn binary(op: BinaryOp, inputs: &[Value], n: usize, first: usize) -> Value {
    use BinaryOp::{
        Add, Divide, Equal, Greater, GreaterOrEqual, Less, LessOrEqual, Multiply, NotEqual, Remainder,
        Subtract,
    };
    let (a, b) = (&inputs[0], &inputs[1]);
    let of_numbers = matches!(a, Value::Number(_) | Value::Numbers(_));
    match op {
        // One loop each, so that the operator is known to the compiler inside it.
        Add => numbers(zip(a, b, n, |a, b| arithmetic(Add, a, b)), first),
        Subtract => numbers(zip(a, b, n, |a, b| arithmetic(Subtract, a, b)), first),
        Multiply => numbers(zip(a, b, n, |a, b| arithmetic(Multiply, a, b)), first),
        Divide => numbers(zip(a, b, n, |a, b| arithmetic(Divide, a, b)), first),
        Remainder => numbers(zip(a, b, n, |a, b| arithmetic(Remainder, a, b)), first),
        Less | LessOrEqual | Greater | GreaterOrEqual => comparison(op, a, b, n, first),
        Equal | NotEqual if of_numbers => comparison(op, a, b, n, first),
        _ => joined(op, a, b, n, first),
    }
}

fn choose(ty: Type, inputs: &[Value], n: usize, first: usize) -> Value {
    let pick = |i: usize| match inputs[0].condition(i) {
        TRUE => Some(&inputs[1]),
        FALSE => Some(&inputs[2]),
        _ => None,
    };
    match ty {
        Type::Number => numbers((0..n).map(|i| pick(i).map_or(f64::NAN, |v| v.number(i))).collect(), first),
        Type::Bool => {
            let picked = |wanted: u8| Bits::from_fn(n, |i| pick(i).is_some_and(|v| v.condition(i) == wanted));
            bools(picked(TRUE), picked(FALSE), first)
        }
    }
}

fn shift(inner: &Value, k: usize, n: usize) -> Value {
    let k = k.min(n);
    match inner {
        Value::Numbers(column) => {
            let mut values = vec![f64::NAN; k];
            values.extend_from_slice(&column.values[..n - k]);
            numbers(values, column.first + k)
        }
        Value::Bools(column) => bools(column.is_true.later(k), column.is_false.later(k), column.first + k),
        constant => constant.clone(),
    }
}

fn cross(rule: CrossRule, inputs: &[Value], n: usize, first: usize, start: usize) -> Value {
    let (a, b) = (&inputs[0], &inputs[1]);
    let above = where_holds(a, b, n, |a, b| a > b);
    let not_above = where_holds(a, b, n, |a, b| a <= b);
    let (before, not_before) = match rule {
        CrossRule::Vectorbt => {
            let below = where_holds(a, b, n, |a, b| a < b);
            return cross_vectorbt(&above, &not_above, &below, start, first + 1);
        }
        CrossRule::Strict => (where_holds(a, b, n, |a, b| a < b), where_holds(a, b, n, |a, b| a >= b)),
        CrossRule::Pine => (not_above.clone(), above.clone()),
    };
    let is_true = above.zip(&before.later(1), |above, before| above & before);
    let mut is_false = not_above.zip(&not_before.later(1), |not_above, not_before| not_above | not_before);
    // Bar 0 has none before it.
    is_false.clear(0);
    bools(is_true, is_false, first + 1)
}

/// vectorbt's `crossed_above`: an unknown forgets everything; otherwise it fires where a > b, the bar before was not,
/// and some bar since had a < b.
fn cross_vectorbt(above: &Bits, not_above: &Bits, below: &Bits, start: usize, first: usize) -> Value {
    let n = above.len();
    let (mut was_below, mut was_above) = (false, false);
    let is_true = Bits::from_fn(n, |i| {
        if i < start || !(above.get(i) || not_above.get(i)) {
            (was_below, was_above) = (false, false);
            return false;
        }
        let fires = above.get(i) && !was_above && was_below;
        was_below |= below.get(i);
        was_above = above.get(i);
        fires
    });
    let is_false = Bits::from_fn(n, |i| i >= start && !is_true.get(i));
    bools(is_true, is_false, first)
}

fn indicate(indicator: &Indicator, params: &[f64], frame: &Frame, inputs: &[Value], start: usize) -> Value {
    let candles = &frame.candles;
    let n = candles.len();
    let start = start.min(n);
    let fresh = [Sums::real(), Sums::real()];
    let series_of = |nth: usize| match inputs.get(nth) {
        // The column's own prefix sums are shared by every window over it, as long as they begin where it does.
        Some(Value::Numbers(column)) if column.first == start => {
            Series { values: &column.values[start..], sums: &column.sums }
        }
        Some(Value::Numbers(column)) => Series { values: &column.values[start..], sums: &fresh[nth] },
        _ => Series { values: &candles.close()[start..], sums: &fresh[nth] },
    };
    let series = series_of(0);
    let source = Source {
        series,
        other: if inputs.len() > 1 { series_of(1) } else { series },
        candles: CandleColumns {
            timestamp: &candles.timestamp()[start..],
            open: &candles.open()[start..],
            high: &candles.high()[start..],
            low: &candles.low()[start..],
            close: &candles.close()[start..],
            volume: &candles.volume()[start..],
        },
        anchor: frame.from.saturating_sub(start),
        interval: candles.interval(),
    };
    let first = start + (indicator.lookback)(params);
    let columns = (indicator.compute)(&source, params).into_iter().map(|tail| {
        let values = if start == 0 { tail } else { [vec![f64::NAN; start], tail].concat() };
        Arc::new(Column::new(values, first))
    });
    Value::Many(columns.collect())
}
