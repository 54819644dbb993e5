//! One trial of a sweep: parameters bound, expressions compiled, numbers checked.

use std::collections::BTreeMap;
use std::fmt;

use super::parsed::{
    DistancePaths, LONG, ParsedStrategy, SHORT, STOP_LOSS, SidePaths, StrategyError, TAKE_PROFIT,
};
use super::{Order, Reentry, SameBar, TrailBy, TrailUpdate};
use crate::expr::{Expr, ExprError, Kind};
use crate::graph::{Compiler, Graph, NodeId, Scope, Type};
use crate::interval::Interval;

/// Entry and exit of one direction, compiled.
#[derive(Debug, Clone, PartialEq)]
pub struct SidePlan {
    /// Entry condition.
    pub enter: NodeId,
    /// Exit condition; may depend on the position.
    pub exit: Option<NodeId>,
    /// The entry order.
    pub entry: Entry,
}

/// An entry order, compiled.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Entry {
    /// Market.
    Market,
    /// Limit at the node's price, resting so many bars.
    Limit(NodeId, usize),
    /// Stop at the node's price, resting so many bars.
    Stop(NodeId, usize),
}

/// A distance from the entry price, or a price, compiled.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Distance {
    /// A fraction of the entry price.
    Fraction(f64),
    /// A price.
    Price(NodeId),
    /// A multiple of an ATR.
    Atr(f64, NodeId),
}

/// How far a trailing stop stays behind, compiled.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum TrailDistance {
    /// A fraction of the extreme.
    Fraction(f64),
    /// A multiple of an ATR; `follow` takes the current one instead of the signal bar's.
    Atr {
        /// The multiple.
        multiple: f64,
        /// The ATR.
        atr: NodeId,
        /// Whether it follows the current ATR.
        follow: bool,
    },
}

/// A trailing stop, compiled.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TrailPlan {
    /// How far behind the favourable extreme.
    pub distance: TrailDistance,
    /// When the level moves.
    pub update: TrailUpdate,
}

/// Stops, targets and what follows them, compiled.
#[derive(Debug, Clone, PartialEq)]
pub struct RiskPlan {
    /// Stop loss.
    pub stop_loss: Option<Distance>,
    /// Take profit.
    pub take_profit: Option<Distance>,
    /// Trailing stop.
    pub trail: Option<TrailPlan>,
    /// Fraction gained at which the stop moves to the entry price.
    pub break_even: Option<f64>,
    /// Bars from entry to exit.
    pub max_bars: Option<usize>,
    /// Bars after an exit without an entry.
    pub cooldown_bars: usize,
    /// Stop or target first.
    pub same_bar: SameBar,
    /// When an entry is heard again.
    pub reentry: Reentry,
}

/// Position size, compiled. Percentages have become fractions.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Size {
    /// All cash.
    AllIn,
    /// Fraction of equity.
    EquityFraction(f64),
    /// Notional in quote currency.
    Quote(f64),
    /// Quantity in base currency.
    Base(f64),
    /// Fraction of equity at risk to the initial stop.
    RiskFraction(f64),
}

/// One trial, ready to simulate.
#[derive(Debug, Clone, PartialEq)]
pub struct TrialPlan {
    /// The long side.
    pub long: Option<SidePlan>,
    /// The short side.
    pub short: Option<SidePlan>,
    /// Stops, targets and what follows them.
    pub risk: RiskPlan,
    /// Position size.
    pub size: Size,
}

impl TrialPlan {
    /// Compiles a strategy with `parameters` bound into `graph`.
    ///
    /// # Errors
    /// Every expression that does not compile and every number out of its domain, each with its field path.
    pub fn compile(
        parsed: &ParsedStrategy,
        parameters: &BTreeMap<String, f64>,
        base: Interval,
        vectorbt: bool,
        graph: &mut Graph,
    ) -> Result<Self, Vec<StrategyError>> {
        let scope = Scope { parameters, define: parsed.define(), columns: parsed.columns(), base, vectorbt };
        let mut plan = Planner { parsed, compiler: Compiler::new(graph, scope), errors: Vec::new() };
        let strategy = parsed.strategy();
        let long = strategy.long.as_ref().and_then(|side| plan.side(&LONG, &side.order, side.exit.is_some()));
        let short =
            strategy.short.as_ref().and_then(|side| plan.side(&SHORT, &side.order, side.exit.is_some()));
        let risk = plan.risk();
        let size = plan.size(strategy.risk.stop_loss.is_some() || strategy.risk.trail.is_some());
        if plan.errors.is_empty() { Ok(Self { long, short, risk, size }) } else { Err(plan.errors) }
    }

    /// Compiles the blocks that no expression uses, which [`TrialPlan::compile`] does not look at: a block with an error
    /// is one even while nothing hangs on it.
    ///
    /// # Errors
    /// The first error of each block.
    pub fn check_blocks(
        parsed: &ParsedStrategy,
        parameters: &BTreeMap<String, f64>,
        base: Interval,
        vectorbt: bool,
    ) -> Result<(), Vec<StrategyError>> {
        let mut graph = Graph::new();
        let scope = Scope { parameters, define: parsed.define(), columns: parsed.columns(), base, vectorbt };
        let mut errors = Vec::new();
        for name in parsed.define().keys() {
            let call = Expr { kind: Kind::Name(name.clone()), at: 0 };
            if let Err(error) = Compiler::new(&mut graph, scope).compile_block(name, &call) {
                errors.push(StrategyError::of(&format!("define.{name}"), &error));
            }
        }
        errors.dedup();
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }

    /// Whether its positions are gone through bar by bar: a stop moves, or an exit asks for the position.
    pub fn walks(&self, graph: &Graph) -> bool {
        let mut exits = [&self.long, &self.short].into_iter().flatten().filter_map(|side| side.exit);
        self.risk.trail.is_some()
            || self.risk.break_even.is_some()
            || exits.any(|exit| graph.node(exit).on_position)
    }

    /// Every node the trial needs, for warm-up and evaluation.
    pub fn roots(&self) -> Vec<NodeId> {
        let mut roots = Vec::new();
        for side in [&self.long, &self.short].into_iter().flatten() {
            roots.push(side.enter);
            roots.extend(side.exit);
            if let Entry::Limit(price, _) | Entry::Stop(price, _) = side.entry {
                roots.push(price);
            }
        }
        for distance in [self.risk.stop_loss, self.risk.take_profit].into_iter().flatten() {
            if let Distance::Price(node) | Distance::Atr(_, node) = distance {
                roots.push(node);
            }
        }
        if let Some(TrailPlan { distance: TrailDistance::Atr { atr, .. }, .. }) = self.risk.trail {
            roots.push(atr);
        }
        roots
    }
}

struct Planner<'a> {
    parsed: &'a ParsedStrategy,
    compiler: Compiler<'a>,
    errors: Vec<StrategyError>,
}

impl Planner<'_> {
    fn node(&mut self, path: &str, ty: Type, position: bool) -> Option<NodeId> {
        let (text, expr) = self.parsed.formula(path)?;
        match self.compiler.compile(text, expr, ty, position) {
            Ok(node) => Some(node),
            Err(error) => {
                self.errors.push(StrategyError::of(path, &error));
                None
            }
        }
    }

    /// A constant within `check`, whose message says what is wanted.
    fn number(&mut self, path: &str, wanted: fmt::Arguments<'_>, check: impl Fn(f64) -> bool) -> Option<f64> {
        let (text, expr) = self.parsed.formula(path)?;
        match self.compiler.constant(text, expr) {
            Ok(value) if check(value) => Some(value),
            Ok(value) => {
                self.errors.push(StrategyError::new(path, format!("{value} is out of range: {wanted}")));
                None
            }
            Err(error) => {
                self.errors.push(StrategyError::of(path, &error));
                None
            }
        }
    }

    fn bars(&mut self, path: &str, least: f64) -> Option<usize> {
        let wanted = format_args!("a whole number of bars, at least {least} and at most 1000000");
        self.number(path, wanted, |v| v >= least && v <= 1e6 && v.fract() == 0.0).map(|v| v as usize)
    }

    fn multiple(&mut self, path: &str) -> Option<f64> {
        self.number(path, format_args!("a multiple above 0"), |v| v > 0.0 && v.is_finite())
    }

    fn side(&mut self, paths: &SidePaths, order: &Order, has_exit: bool) -> Option<SidePlan> {
        let enter = self.node(paths.enter, Type::Bool, false);
        let exit = if has_exit { self.node(paths.exit, Type::Bool, true) } else { None };
        let price = self.node(paths.price, Type::Number, false);
        let bars = self.bars(paths.bars, 1.0);
        let entry = match order {
            Order::Market => Entry::Market,
            Order::Limit { .. } => Entry::Limit(price?, bars?),
            Order::Stop { .. } => Entry::Stop(price?, bars?),
        };
        Some(SidePlan { enter: enter?, exit, entry })
    }

    fn distance(&mut self, paths: &DistancePaths, wanted: &str, check: fn(f64) -> bool) -> Option<Distance> {
        let fraction_wanted = format_args!("a fraction of the entry price {wanted}");
        let fraction = self.number(paths.fraction, fraction_wanted, check);
        let percent_wanted = format_args!("a percentage whose fraction is {wanted}");
        let percent = self.number(paths.percent, percent_wanted, |v| check(v / 100.0));
        let price = self.node(paths.price, Type::Number, true);
        let multiple = self.multiple(paths.atr);
        let atr = self.atr(paths.period);
        fraction
            .or(percent.map(|p| p / 100.0))
            .map(Distance::Fraction)
            .or(price.map(Distance::Price))
            .or(multiple.zip(atr).map(|(multiple, atr)| Distance::Atr(multiple, atr)))
    }

    /// The ATR over the period of a field, if it has one.
    fn atr(&mut self, path: &str) -> Option<NodeId> {
        let period = self.bars(path, 1.0)?;
        let argument = [Expr { kind: Kind::Number(period as f64), at: 0 }];
        match self.compiler.compile_call("atr", &argument) {
            Ok(node) => Some(node),
            Err(error) => {
                let error = ExprError { text: format!("atr({period})"), ..error };
                self.errors.push(StrategyError::of(path, &error));
                None
            }
        }
    }

    fn risk(&mut self) -> RiskPlan {
        let risk = &self.parsed.strategy().risk;
        let stop_loss = self.distance(&STOP_LOSS, "in (0, 1)", |v| v > 0.0 && v < 1.0);
        let take_profit = self.distance(&TAKE_PROFIT, "above 0", |v| v > 0.0 && v.is_finite());
        let trail = risk.trail.as_ref().and_then(|trail| {
            let distance = match trail.distance {
                TrailBy::Percent { .. } => {
                    let wanted = format_args!("a percentage in (0, 100)");
                    let percent = self.number("risk.trail.percent", wanted, |v| v > 0.0 && v < 100.0);
                    TrailDistance::Fraction(percent? / 100.0)
                }
                TrailBy::Atr { .. } => {
                    let multiple = self.multiple("risk.trail.atr");
                    let atr = self.atr("risk.trail.period");
                    TrailDistance::Atr { multiple: multiple?, atr: atr?, follow: trail.follow }
                }
            };
            Some(TrailPlan { distance, update: trail.update })
        });
        let gain = format_args!("a fraction of the entry price above 0");
        let break_even = self.number("risk.breakEven.at", gain, |v| v > 0.0 && v.is_finite());
        RiskPlan {
            stop_loss,
            take_profit,
            trail,
            break_even,
            max_bars: self.bars("risk.maxBars", 1.0),
            cooldown_bars: self.bars("risk.cooldownBars", 0.0).unwrap_or(0),
            same_bar: risk.same_bar,
            reentry: risk.reentry,
        }
    }

    fn size(&mut self, has_stop: bool) -> Size {
        let percent = |v: f64| v > 0.0 && v <= 100.0;
        let positive = |v: f64| v > 0.0 && v.is_finite();
        let wanted_percent = format_args!("a percentage in (0, 100]");
        if let Some(value) = self.number("size.equityPercent", wanted_percent, percent) {
            return Size::EquityFraction(value / 100.0);
        }
        if let Some(value) =
            self.number("size.quote", format_args!("an amount of quote currency above 0"), positive)
        {
            return Size::Quote(value);
        }
        if let Some(value) = self.number("size.base", format_args!("a quantity above 0"), positive) {
            return Size::Base(value);
        }
        if let Some(value) = self.number("size.riskPercent", wanted_percent, percent) {
            if !has_stop {
                let message = "riskPercent needs an initial stop: add `risk.stopLoss` or `risk.trail`";
                self.errors.push(StrategyError::new("size.riskPercent", message));
            }
            return Size::RiskFraction(value / 100.0);
        }
        Size::AllIn
    }
}
