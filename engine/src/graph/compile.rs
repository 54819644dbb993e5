//! Expressions to graph nodes: names, types, windows and frames are checked here, with the position in the text.

use std::collections::BTreeMap;
use std::fmt;

use super::functions::{self, arithmetic, compare, logic};
use super::{CandleField, Graph, NodeId, Op, Type};
use crate::expr::{BinaryOp, Expr, ExprError, Kind, UnaryOp, nearest};
use crate::graph::columns::TRUE;
use crate::graph::known::FastMap;
use crate::indicators::Indicator;
use crate::interval::Interval;

mod call;
mod refuse;

pub use call::usage;

/// What the names of an expression mean.
#[derive(Debug, Clone, Copy)]
pub struct Scope<'a> {
    /// Parameters and their values in this trial.
    pub parameters: &'a BTreeMap<String, f64>,
    /// Named blocks: text and parsed expression.
    pub define: &'a BTreeMap<String, (String, Expr)>,
    /// Names of the columns beside the candle, in the order in which the candles carry them.
    pub columns: &'a [String],
    /// The interval of the run.
    pub base: Interval,
    /// Whether profile `vectorbt` replaces averages and the default crossing.
    pub vectorbt: bool,
}

/// The longest window and look-back, in bars: nearly two years of minutes.
const MAX_WINDOW: f64 = 1_000_000.0;

/// The deepest nesting of nodes, named blocks expanded; evaluation recurses this deep.
const MAX_NODE_DEPTH: usize = 400;

/// Compiles expressions of one trial into a shared graph.
#[derive(Debug)]
pub struct Compiler<'a> {
    graph: &'a mut Graph,
    scope: Scope<'a>,
    blocks: FastMap<(&'a str, Interval), Compiled>,
}

/// What an expression compiled to.
#[derive(Debug, Clone)]
enum Compiled {
    /// A node.
    One(NodeId),
    /// An indicator with several outputs, of which one is still to be chosen, and then seen from these frames in turn.
    Many { node: NodeId, indicator: &'static Indicator, frames: Vec<Interval> },
}

/// Where in the text and in which frame an expression is compiled.
#[derive(Debug, Clone, Copy)]
struct Place<'p> {
    text: &'p str,
    block: Option<&'p str>,
    frame: Interval,
    position: bool,
    depth: usize,
}

impl Place<'_> {
    fn error(&self, at: usize, message: impl Into<String>) -> ExprError {
        let block = self.block.map(str::to_owned);
        ExprError { text: self.text.to_owned(), at, message: message.into(), block }
    }
}

impl<'a> Compiler<'a> {
    /// A compiler into `graph`.
    pub fn new(graph: &'a mut Graph, scope: Scope<'a>) -> Self {
        Self { graph, scope, blocks: FastMap::default() }
    }

    /// The graph compiled into.
    pub fn graph(&self) -> &Graph {
        self.graph
    }

    /// Compiles an expression of the type `ty`. `position` allows position functions.
    ///
    /// # Errors
    /// The first unknown name, wrong type or arity, bad window, look-ahead or frame.
    pub fn compile(
        &mut self,
        text: &str,
        expr: &Expr,
        ty: Type,
        position: bool,
    ) -> Result<NodeId, ExprError> {
        let place = Place { text, block: None, frame: self.scope.base, position, depth: 0 };
        let node = self.node(expr, place)?;
        self.expect(node, ty, expr.at, place, format_args!("the expression"))?;
        Ok(node)
    }

    /// Compiles the call of a function that gives a number, without an expression that says so; its errors have no text.
    ///
    /// # Errors
    /// As [`Compiler::compile`].
    pub(crate) fn compile_call(&mut self, name: &str, args: &[Expr]) -> Result<NodeId, ExprError> {
        let place = Place { text: "", block: None, frame: self.scope.base, position: false, depth: 1 };
        let compiled = self.call(name, args, 0, place)?;
        let node = self.one(compiled, 0, place)?;
        self.expect(node, Type::Number, 0, place, format_args!("the expression"))?;
        Ok(node)
    }

    /// Compiles an expression of whatever type, as `eval` does; an indicator of several outputs gives all of them.
    ///
    /// # Errors
    /// As [`Compiler::compile`].
    pub fn compile_any(&mut self, text: &str, expr: &Expr) -> Result<Vec<(String, NodeId)>, ExprError> {
        let place = Place { text, block: None, frame: self.scope.base, position: false, depth: 0 };
        match self.expr(expr, place)? {
            Compiled::One(node) => Ok(vec![(String::new(), node)]),
            Compiled::Many { node, indicator, frames } => {
                let outputs = indicator.outputs.iter().enumerate();
                Ok(outputs.map(|(k, name)| ((*name).to_owned(), self.output(node, k, &frames))).collect())
            }
        }
    }

    /// Compiles a block on its own, whatever its type; position functions are allowed.
    ///
    /// # Errors
    /// As [`Compiler::compile`].
    pub(crate) fn compile_block(&mut self, text: &str, expr: &Expr) -> Result<(), ExprError> {
        let place = Place { text, block: None, frame: self.scope.base, position: true, depth: 0 };
        self.expr(expr, place).map(|_| ())
    }

    /// Compiles an expression that must be a constant number: literals and parameters only.
    ///
    /// # Errors
    /// As [`Compiler::compile`], and for an expression that varies from bar to bar.
    pub fn constant(&mut self, text: &str, expr: &Expr) -> Result<f64, ExprError> {
        let node = self.compile(text, expr, Type::Number, false)?;
        let place = Place { text, block: None, frame: self.scope.base, position: false, depth: 0 };
        self.graph.constant(node).ok_or_else(|| {
            place.error(expr.at, "this must be a constant: numbers and parameters only, no columns")
        })
    }

    /// Compiles an expression that must be a constant condition, as `sweep.where` is.
    ///
    /// # Errors
    /// As [`Compiler::compile`], and for an expression that varies from bar to bar.
    pub fn constant_condition(&mut self, text: &str, expr: &Expr) -> Result<bool, ExprError> {
        let node = self.compile(text, expr, Type::Bool, false)?;
        let place = Place { text, block: None, frame: self.scope.base, position: false, depth: 0 };
        self.graph
            .constant(node)
            .map(|value| value == 1.0)
            .ok_or_else(|| place.error(expr.at, "this must be a condition on parameters: no columns"))
    }

    fn node(&mut self, expr: &Expr, place: Place<'_>) -> Result<NodeId, ExprError> {
        let compiled = self.expr(expr, place)?;
        self.one(compiled, expr.at, place)
    }

    /// The node of what was compiled, the first output where there are several.
    fn one(&mut self, compiled: Compiled, at: usize, place: Place<'_>) -> Result<NodeId, ExprError> {
        let node = match compiled {
            Compiled::One(node) => node,
            Compiled::Many { node, frames, .. } => self.output(node, 0, &frames),
        };
        if self.graph.node(node).depth > MAX_NODE_DEPTH {
            return Err(place.error(at, format!("named blocks nest deeper than {MAX_NODE_DEPTH} operations")));
        }
        Ok(node)
    }

    fn output(&mut self, node: NodeId, k: usize, frames: &[Interval]) -> NodeId {
        let frame = self.graph.node(node).frame;
        let mut out = self.graph.add(Op::Output(k), &[node], &[], frame, Type::Number);
        for &frame in frames {
            out = self.align(out, frame);
        }
        out
    }

    fn align(&mut self, node: NodeId, frame: Interval) -> NodeId {
        let inner = self.graph.node(node);
        if inner.frame == frame || self.graph.constant(node).is_some() {
            return node;
        }
        let ty = inner.ty;
        self.graph.add(Op::Align, &[node], &[], frame, ty)
    }

    fn expect(
        &self,
        node: NodeId,
        ty: Type,
        at: usize,
        place: Place<'_>,
        what: fmt::Arguments<'_>,
    ) -> Result<(), ExprError> {
        let found = self.graph.node(node).ty;
        if found == ty {
            return Ok(());
        }
        Err(place.error(at, format!("{what} must be {}, but this is {}", ty.name(), found.name())))
    }

    fn typed(
        &mut self,
        expr: &Expr,
        ty: Type,
        place: Place<'_>,
        what: fmt::Arguments<'_>,
    ) -> Result<NodeId, ExprError> {
        let node = self.node(expr, place)?;
        self.expect(node, ty, expr.at, place, what)?;
        Ok(node)
    }

    fn expr(&mut self, expr: &Expr, place: Place<'_>) -> Result<Compiled, ExprError> {
        let place = Place { depth: place.depth + 1, ..place };
        if place.depth > MAX_NODE_DEPTH {
            return Err(
                place.error(expr.at, format!("named blocks nest deeper than {MAX_NODE_DEPTH} operations"))
            );
        }
        Ok(Compiled::One(match &expr.kind {
            Kind::Number(value) => self.number(*value),
            Kind::Flag(flag) => self.flag(*flag),
            Kind::Text(text) => {
                let message = format!(
                    "\"{text}\" is a text: only an interval as the last argument, as in ema(close, 200, \"1d\")"
                );
                return Err(place.error(expr.at, message));
            }
            Kind::Name(name) => return self.name(name, expr.at, place),
            Kind::Call { name, args } => return self.call(name, args, expr.at, place),
            Kind::Member { of, name } => return self.member(of, name, place),
            Kind::Index { of, by } => self.index(of, by, place)?,
            Kind::Unary { op, of } => self.unary(*op, of, place)?,
            Kind::Binary { op, left, right } => self.binary(*op, left, right, place)?,
            Kind::Choose { condition, yes, no } => self.choose(condition, yes, no, place)?,
        }))
    }

    fn number(&mut self, value: f64) -> NodeId {
        // One zero: -0.0 and 0.0 are the same constant.
        let value = if value == 0.0 { 0.0 } else { value };
        self.graph.add(Op::Number(value), &[], &[], self.scope.base, Type::Number)
    }

    fn flag(&mut self, flag: bool) -> NodeId {
        self.graph.add(Op::Flag(flag), &[], &[], self.scope.base, Type::Bool)
    }

    fn candle(&mut self, field: CandleField, frame: Interval) -> NodeId {
        self.graph.add(Op::Candle(field), &[], &[], frame, Type::Number)
    }

    fn name(&mut self, name: &str, at: usize, place: Place<'_>) -> Result<Compiled, ExprError> {
        use CandleField::{Close, High, Low, Open, Volume};
        if let Some(&value) = self.scope.parameters.get(name) {
            return Ok(Compiled::One(self.number(value)));
        }
        let define = self.scope.define;
        if let Some((name, block)) = define.get_key_value(name) {
            return self.block(name, block, at, place);
        }
        if let Some(nth) = self.scope.columns.iter().position(|column| column == name) {
            return Ok(Compiled::One(self.graph.add_column(nth, name, place.frame)));
        }
        let fields: &[CandleField] = match name {
            "open" => &[Open],
            "high" => &[High],
            "low" => &[Low],
            "close" => &[Close],
            "volume" => &[Volume],
            "hl2" => &[High, Low],
            "hlc3" => &[High, Low, Close],
            "ohlc4" => &[Open, High, Low, Close],
            _ => return Err(place.error(at, self.unknown_name(name))),
        };
        let mut sum = self.candle(fields[0], place.frame);
        for &field in &fields[1..] {
            let next = self.candle(field, place.frame);
            let op = Op::Binary(BinaryOp::Add);
            sum = self.graph.add(op, &[sum, next], &[], place.frame, Type::Number);
        }
        if fields.len() > 1 {
            let count = self.number(fields.len() as f64);
            let op = Op::Binary(BinaryOp::Divide);
            sum = self.graph.add(op, &[sum, count], &[], place.frame, Type::Number);
        }
        Ok(Compiled::One(sum))
    }

    fn unknown_name(&self, name: &str) -> String {
        if functions::is_function(name) {
            return format!("`{name}` is a function: write `{name}(...)`");
        }
        let columns = ["open", "high", "low", "close", "volume", "hl2", "hlc3", "ohlc4"];
        let own = self.scope.parameters.keys().chain(self.scope.define.keys()).map(String::as_str);
        let beside = self.scope.columns.iter().map(String::as_str);
        match nearest(name, columns.into_iter().chain(own).chain(beside)) {
            Some(near) => format!("unknown name `{name}`: did you mean `{near}`?"),
            None => format!(
                "unknown name `{name}`: known are the candle (open, high, low, close, volume), the parameters, the blocks of `define` and the columns that spec.data.columns names"
            ),
        }
    }

    /// A named block, compiled in the frame in which it is used. A block cannot use itself: the depth limit ends that.
    fn block(
        &mut self,
        name: &'a str,
        (text, expr): &'a (String, Expr),
        at: usize,
        place: Place<'_>,
    ) -> Result<Compiled, ExprError> {
        let key = (name, place.frame);
        let compiled = match self.blocks.get(&key) {
            Some(compiled) => compiled.clone(),
            None => {
                if place.block == Some(name) {
                    return Err(place.error(at, format!("`{name}` is defined by itself")));
                }
                let inner = Place { text, block: Some(name), position: true, ..place };
                let compiled = self.expr(expr, inner)?;
                self.blocks.insert(key, compiled.clone());
                compiled
            }
        };
        if let Compiled::One(node) = compiled
            && self.graph.node(node).on_position
            && !place.position
        {
            return Err(place.error(
                at,
                format!("`{name}` depends on the position, so it stands in `exit` and `risk` only"),
            ));
        }
        Ok(compiled)
    }

    fn member(&mut self, of: &Expr, name: &str, place: Place<'_>) -> Result<Compiled, ExprError> {
        match self.expr(of, place)? {
            Compiled::Many { node, indicator, frames } => {
                if let Some(message) = refuse::output(indicator, &self.graph.node(node).params, name) {
                    return Err(place.error(of.at, message));
                }
                let Some(k) = indicator.outputs.iter().position(|output| *output == name) else {
                    let message = format!(
                        "`{}` has no output `{name}`: it has {}",
                        indicator.name,
                        indicator.outputs.join(", ")
                    );
                    return Err(place.error(of.at, message));
                };
                Ok(Compiled::One(self.output(node, k, &frames)))
            }
            Compiled::One(_) => {
                let message = format!(
                    "`.{name}`: only an indicator with several outputs has members, and the look-back [k] comes after them"
                );
                Err(place.error(of.at, message))
            }
        }
    }

    fn index(&mut self, of: &Expr, by: &Expr, place: Place<'_>) -> Result<NodeId, ExprError> {
        let inner = self.node(of, place)?;
        let by_node = self.typed(by, Type::Number, place, format_args!("the look-back"))?;
        let Some(k) = self.graph.constant(by_node) else {
            return Err(place.error(by.at, "the look-back must be a constant number of bars"));
        };
        if k < 0.0 {
            let message = format!("[{k}] looks into the future: the look-back counts bars back, from 0");
            return Err(place.error(by.at, message));
        }
        if k.fract() != 0.0 || k > MAX_WINDOW {
            let message =
                format!("[{k}]: the look-back must be a whole number of bars, at most {MAX_WINDOW}");
            return Err(place.error(by.at, message));
        }
        if self.graph.node(inner).on_position {
            return Err(place.error(of.at, "a position function has no look-back"));
        }
        if k == 0.0 || self.graph.constant(inner).is_some() {
            return Ok(inner);
        }
        let ty = self.graph.node(inner).ty;
        Ok(self.graph.add(Op::Shift(k as usize), &[inner], &[], place.frame, ty))
    }

    fn unary(&mut self, op: UnaryOp, of: &Expr, place: Place<'_>) -> Result<NodeId, ExprError> {
        let (ty, sign) = match op {
            UnaryOp::Negate => (Type::Number, '-'),
            UnaryOp::Not => (Type::Bool, '!'),
        };
        let inner = self.typed(of, ty, place, format_args!("the operand of `{sign}`"))?;
        match (op, self.graph.constant(inner)) {
            (UnaryOp::Negate, Some(value)) => Ok(self.number(-value)),
            (UnaryOp::Not, Some(value)) => Ok(self.flag(value == 0.0)),
            _ => Ok(self.graph.add(Op::Unary(op), &[inner], &[], place.frame, ty)),
        }
    }

    fn binary(
        &mut self,
        op: BinaryOp,
        left: &Expr,
        right: &Expr,
        place: Place<'_>,
    ) -> Result<NodeId, ExprError> {
        let a = self.node(left, place)?;
        let b = self.node(right, place)?;
        let (sign, kinds) = (op.symbol(), (self.graph.node(a).ty, self.graph.node(b).ty));
        let operand = match op {
            BinaryOp::And | BinaryOp::Or => Type::Bool,
            BinaryOp::Equal | BinaryOp::NotEqual if kinds.0 == Type::Bool => Type::Bool,
            _ => Type::Number,
        };
        self.expect(a, operand, left.at, place, format_args!("the left side of `{sign}`"))?;
        self.expect(b, operand, right.at, place, format_args!("the right side of `{sign}`"))?;
        let arithmetic_op = matches!(
            op,
            BinaryOp::Add | BinaryOp::Subtract | BinaryOp::Multiply | BinaryOp::Divide | BinaryOp::Remainder
        );
        if let (Some(x), Some(y)) = (self.graph.constant(a), self.graph.constant(b)) {
            if arithmetic_op {
                let value = arithmetic(op, x, y);
                if value.is_nan() {
                    return Err(place.error(left.at, format!("{x} {sign} {y} is not a number")));
                }
                return Ok(self.number(value));
            }
            let flag = if operand == Type::Bool { logic(op, x as u8, y as u8) } else { compare(op, x, y) };
            return Ok(self.flag(flag == TRUE));
        }
        let ty = if arithmetic_op { Type::Number } else { Type::Bool };
        Ok(self.graph.add(Op::Binary(op), &[a, b], &[], place.frame, ty))
    }

    fn choose(
        &mut self,
        condition: &Expr,
        yes: &Expr,
        no: &Expr,
        place: Place<'_>,
    ) -> Result<NodeId, ExprError> {
        let test = self.typed(condition, Type::Bool, place, format_args!("the condition of `? :`"))?;
        let a = self.node(yes, place)?;
        let ty = self.graph.node(a).ty;
        let b = self.typed(no, ty, place, format_args!("the second choice of `? :`"))?;
        match self.graph.constant(test) {
            Some(value) => Ok(if value == 1.0 { a } else { b }),
            None => Ok(self.graph.add(Op::Choose, &[test, a, b], &[], place.frame, ty)),
        }
    }
}
