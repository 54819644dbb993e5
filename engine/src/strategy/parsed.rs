//! A strategy whose expressions are parsed, once for all trials.

use std::collections::{BTreeMap, BTreeSet};

use super::{Distance, Formula, Order, Side, Size, Strategy, TrailBy};
use crate::expr::{self, Expr, ExprError};
use crate::graph;

/// What is wrong with a strategy document, and in which field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {message}")]
pub struct StrategyError {
    /// Field path below `strategy`, such as `long.enter` or `define.fastMa`.
    pub path: String,
    /// What is wrong and what to do about it.
    pub message: String,
}

impl StrategyError {
    /// An error of the field `path`.
    pub fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { path: path.into(), message: message.into() }
    }

    /// An error in an expression; one inside a named block belongs to the block.
    pub fn of(path: &str, error: &ExprError) -> Self {
        let path = error.block.as_ref().map_or_else(|| path.to_owned(), |block| format!("define.{block}"));
        Self { path, message: error.to_string() }
    }
}

/// A strategy and its parsed expressions.
#[derive(Debug, Clone)]
pub struct ParsedStrategy {
    strategy: Strategy,
    define: BTreeMap<String, (String, Expr)>,
    formulas: BTreeMap<&'static str, (String, Expr)>,
    used: BTreeSet<String>,
    columns: Vec<String>,
}

/// Names an expression cannot use for its own parameters and blocks, because they are the candle's.
const CANDLE_NAMES: &[&str] = &["open", "high", "low", "close", "volume", "hl2", "hlc3", "ohlc4"];

impl ParsedStrategy {
    /// Parses every expression.
    ///
    /// # Errors
    /// Every expression that does not parse, every name that cannot be one, and a strategy without `long` and `short`.
    pub fn new(strategy: Strategy) -> Result<Self, Vec<StrategyError>> {
        let mut errors = Vec::new();
        if strategy.long.is_none() && strategy.short.is_none() {
            errors.push(StrategyError::new(
                "long",
                "neither `long` nor `short` is given: add one with its `enter`",
            ));
        }
        for name in strategy.parameters.keys() {
            check_name(&format!("parameters.{name}"), name, &mut errors);
        }
        let mut define = BTreeMap::new();
        for (name, formula) in &strategy.define {
            let path = format!("define.{name}");
            check_name(&path, name, &mut errors);
            if strategy.parameters.contains_key(name) {
                errors.push(StrategyError::new(
                    &path,
                    format!("`{name}` is a parameter too: give one of them another name"),
                ));
            }
            match expr::parse(&formula.0) {
                Ok(expr) => {
                    define.insert(name.clone(), (formula.0.clone(), expr));
                }
                Err(error) => errors.push(StrategyError::of(&path, &error)),
            }
        }
        errors.extend(cycle(&define));
        let mut formulas = BTreeMap::new();
        for (path, formula) in formulas_of(&strategy) {
            match expr::parse(&formula.0) {
                Ok(expr) => {
                    formulas.insert(path, (formula.0.clone(), expr));
                }
                Err(error) => errors.push(StrategyError::of(path, &error)),
            }
        }
        if let Some(session) = &strategy.session
            && let Err(found) = session.check()
        {
            errors.extend(found.into_iter().map(|error| StrategyError::new("session", error.to_string())));
        }
        if errors.is_empty() {
            let used = used(&define, formulas.values().map(|(_, expr)| expr), &strategy.parameters);
            Ok(Self { strategy, define, formulas, used, columns: Vec::new() })
        } else {
            Err(errors)
        }
    }

    /// The same strategy over candles that carry columns beside OHLCV, in this order.
    ///
    /// # Errors
    /// A column whose name a parameter or a block has too (at its path), or that cannot be a name or is that of a
    /// function (at `columns.NAME`).
    pub fn with_columns(self, columns: Vec<String>) -> Result<Self, Vec<StrategyError>> {
        let mut errors = Vec::new();
        for name in &columns {
            let path = format!("columns.{name}");
            check_name(&path, name, &mut errors);
            if graph::is_function(name) {
                let message = format!("`{name}` is a function of expressions: give the column another name");
                errors.push(StrategyError::new(&path, message));
            }
            let taken = [
                ("parameters", self.strategy.parameters.contains_key(name)),
                ("define", self.define.contains_key(name)),
            ];
            for (place, _) in taken.into_iter().filter(|(_, taken)| *taken) {
                errors.push(StrategyError::new(
                    format!("{place}.{name}"),
                    format!("`{name}` is a column of the candles too: give it another name"),
                ));
            }
        }
        if errors.is_empty() { Ok(Self { columns, ..self }) } else { Err(errors) }
    }

    /// Names of the columns beside the candle.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// The document.
    pub fn strategy(&self) -> &Strategy {
        &self.strategy
    }

    /// Named blocks, parsed.
    pub fn define(&self) -> &BTreeMap<String, (String, Expr)> {
        &self.define
    }

    /// Names of the parameters and blocks that its expressions use, directly or through blocks.
    pub fn used(&self) -> &BTreeSet<String> {
        &self.used
    }

    /// The text and the parsed expression of a field.
    pub(super) fn formula(&self, path: &str) -> Option<&(String, Expr)> {
        self.formulas.get(path)
    }
}

/// Field paths of a side: text that every trial would put together anew, and hardly any needs.
pub(super) struct SidePaths {
    pub(super) enter: &'static str,
    pub(super) exit: &'static str,
    pub(super) price: &'static str,
    pub(super) bars: &'static str,
}

pub(super) const LONG: SidePaths =
    SidePaths { enter: "long.enter", exit: "long.exit", price: "long.order.price", bars: "long.order.bars" };
pub(super) const SHORT: SidePaths = SidePaths {
    enter: "short.enter",
    exit: "short.exit",
    price: "short.order.price",
    bars: "short.order.bars",
};

/// Field paths of a distance.
pub(super) struct DistancePaths {
    pub(super) fraction: &'static str,
    pub(super) percent: &'static str,
    pub(super) price: &'static str,
    pub(super) atr: &'static str,
    pub(super) period: &'static str,
}

pub(super) const STOP_LOSS: DistancePaths = DistancePaths {
    fraction: "risk.stopLoss",
    percent: "risk.stopLoss.percent",
    price: "risk.stopLoss.price",
    atr: "risk.stopLoss.atr",
    period: "risk.stopLoss.period",
};
pub(super) const TAKE_PROFIT: DistancePaths = DistancePaths {
    fraction: "risk.takeProfit",
    percent: "risk.takeProfit.percent",
    price: "risk.takeProfit.price",
    atr: "risk.takeProfit.atr",
    period: "risk.takeProfit.period",
};

/// Every expression of the document outside `define`, with its field path.
fn formulas_of(strategy: &Strategy) -> Vec<(&'static str, &Formula)> {
    let mut out = Vec::new();
    for (paths, side) in [(LONG, &strategy.long), (SHORT, &strategy.short)] {
        let Some(Side { enter, exit, order }) = side else { continue };
        out.push((paths.enter, enter));
        out.extend(exit.iter().map(|exit| (paths.exit, exit)));
        if let Order::Limit { price, bars } | Order::Stop { price, bars } = order {
            out.push((paths.price, price));
            out.push((paths.bars, bars));
        }
    }
    let risk = &strategy.risk;
    for (paths, distance) in [(STOP_LOSS, &risk.stop_loss), (TAKE_PROFIT, &risk.take_profit)] {
        match distance {
            Some(Distance::Fraction(formula)) => out.push((paths.fraction, formula)),
            Some(Distance::Percent(formula)) => out.push((paths.percent, formula)),
            Some(Distance::Price(formula)) => out.push((paths.price, formula)),
            Some(Distance::Atr { multiple, period }) => {
                out.push((paths.atr, multiple));
                out.push((paths.period, period));
            }
            None => {}
        }
    }
    match risk.trail.as_ref().map(|trail| &trail.distance) {
        Some(TrailBy::Percent { percent }) => out.push(("risk.trail.percent", percent)),
        Some(TrailBy::Atr { multiple, period }) => {
            out.push(("risk.trail.atr", multiple));
            out.push(("risk.trail.period", period));
        }
        None => {}
    }
    out.extend(risk.break_even.iter().map(|b| ("risk.breakEven.at", &b.at)));
    out.extend(risk.max_bars.iter().map(|f| ("risk.maxBars", f)));
    out.extend(risk.cooldown_bars.iter().map(|f| ("risk.cooldownBars", f)));
    match &strategy.size {
        Size::AllIn => {}
        Size::EquityPercent(f) => out.push(("size.equityPercent", f)),
        Size::Quote(f) => out.push(("size.quote", f)),
        Size::Base(f) => out.push(("size.base", f)),
        Size::RiskPercent(f) => out.push(("size.riskPercent", f)),
    }
    out
}

/// The parameters and blocks that expressions use; every trial uses the same.
fn used<'e>(
    define: &'e BTreeMap<String, (String, Expr)>,
    exprs: impl Iterator<Item = &'e Expr>,
    parameters: &BTreeMap<String, f64>,
) -> BTreeSet<String> {
    let mut used = BTreeSet::new();
    let mut open: Vec<&Expr> = exprs.collect();
    while let Some(expr) = open.pop() {
        let mut names = BTreeSet::new();
        collect_names(expr, &mut names);
        for name in names {
            let block = define.get(name);
            if (block.is_some() || parameters.contains_key(name)) && used.insert(name.to_owned()) {
                open.extend(block.map(|(_, expr)| expr));
            }
        }
    }
    used
}

fn check_name(path: &str, name: &str, errors: &mut Vec<StrategyError>) {
    let identifier = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if !identifier {
        errors.push(StrategyError::new(
            path,
            format!("`{name}` is no name: letters, digits and _ only, not a digit first"),
        ));
    } else if CANDLE_NAMES.contains(&name) {
        errors.push(StrategyError::new(
            path,
            format!("`{name}` is a column of the candle: choose another name"),
        ));
    } else if !matches!(expr::parse(name), Ok(Expr { kind: expr::Kind::Name(_), .. })) {
        // Nobody calls a parameter so: to kubectl, whose YAML is that of 1.1, other names are these.
        let origin = match name {
            "true" => {
                ". It comes from an unquoted `y`, `yes` or `on`, which kubectl reads as true: put it in quotes"
            }
            "false" => {
                ". It comes from an unquoted `n`, `no` or `off`, which kubectl reads as false: put it in quotes"
            }
            _ => "",
        };
        errors.push(StrategyError::new(
            path,
            format!("`{name}` is a reserved word of the expression language: choose another name{origin}"),
        ));
    }
}

/// A block that is defined by itself, directly or through others.
fn cycle(define: &BTreeMap<String, (String, Expr)>) -> Vec<StrategyError> {
    let uses: BTreeMap<&str, BTreeSet<&str>> = define
        .iter()
        .map(|(name, (_, expr))| {
            let mut names = BTreeSet::new();
            collect_names(expr, &mut names);
            names.retain(|used| define.contains_key(*used));
            (name.as_str(), names)
        })
        .collect();
    // Take away blocks that use no remaining block; what is left is a cycle or uses one.
    let mut left = uses;
    loop {
        let done: Vec<&str> =
            left.iter().filter(|(_, used)| used.is_empty()).map(|(name, _)| *name).collect();
        if done.is_empty() {
            break;
        }
        for name in done {
            left.remove(name);
            for used in left.values_mut() {
                used.remove(name);
            }
        }
    }
    left.into_iter()
        .map(|(name, used)| {
            let through: Vec<_> = used.into_iter().map(|u| format!("`{u}`")).collect();
            StrategyError::new(
                format!("define.{name}"),
                format!("`{name}` is defined by itself, through {}", through.join(", ")),
            )
        })
        .collect()
}

fn collect_names<'e>(expr: &'e Expr, names: &mut BTreeSet<&'e str>) {
    use expr::Kind::{Binary, Call, Choose, Flag, Index, Member, Name, Number, Text, Unary};
    match &expr.kind {
        Number(_) | Text(_) | Flag(_) => {}
        Name(name) => {
            names.insert(name);
        }
        Call { args, .. } => args.iter().for_each(|arg| collect_names(arg, names)),
        Member { of, .. } | Unary { of, .. } => collect_names(of, names),
        Index { of, by } => [of, by].into_iter().for_each(|e| collect_names(e, names)),
        Binary { left, right, .. } => [left, right].into_iter().for_each(|e| collect_names(e, names)),
        Choose { condition, yes, no } => {
            [condition, yes, no].into_iter().for_each(|e| collect_names(e, names))
        }
    }
}
