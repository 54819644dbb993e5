//! Calls: indicators, crossings, other intervals, mathematics, time and position.

use super::{Compiled, Compiler, MAX_WINDOW, Place};
use crate::expr::{Expr, ExprError, Kind, nearest};
use crate::graph::functions::{self, math_value};
use crate::graph::{CrossRule, NodeId, Op, Type};
use crate::indicators::{self, Domain, Indicator, Over, Param};
use crate::interval::{Interval, instant_ms};

impl Compiler<'_> {
    pub(super) fn call(
        &mut self,
        name: &str,
        args: &[Expr],
        at: usize,
        place: Place<'_>,
    ) -> Result<Compiled, ExprError> {
        if let Some(indicator) = crate::graph::indicator(name, self.scope.vectorbt) {
            return self.indicator(indicator, args, at, place);
        }
        if let Some((math, arity)) = functions::math(name) {
            self.arity(name, args, arity, at, place)?;
            let inputs = args
                .iter()
                .map(|arg| self.typed(arg, Type::Number, place, format_args!("the argument of `{name}`")))
                .collect::<Result<Vec<_>, _>>()?;
            let constants: Option<Vec<f64>> =
                inputs.iter().map(|&input| self.graph.constant(input)).collect();
            if let Some(values) = constants {
                let value = math_value(math, values[0], values.get(1).copied().unwrap_or(0.0));
                if value.is_nan() {
                    return Err(place.error(at, format!("`{name}` of {values:?} is not a number")));
                }
                return Ok(Compiled::One(self.number(value)));
            }
            return Ok(Compiled::One(self.graph.add(
                Op::Math(math),
                &inputs,
                &[],
                place.frame,
                Type::Number,
            )));
        }
        if let Some(field) = functions::time(name) {
            self.arity(name, args, 0, at, place)?;
            return Ok(Compiled::One(self.graph.add(Op::Time(field), &[], &[], place.frame, Type::Number)));
        }
        if let Some(field) = functions::position(name) {
            self.arity(name, args, 0, at, place)?;
            if !place.position {
                let message =
                    format!("`{name}()` stands in `exit` and `risk` only: an entry has no position yet");
                return Err(place.error(at, message));
            }
            if place.frame != self.scope.base {
                return Err(place.error(at, format!("`{name}()` has no value on another interval")));
            }
            return Ok(Compiled::One(self.graph.add(
                Op::Position(field),
                &[],
                &[],
                place.frame,
                Type::Number,
            )));
        }
        match name {
            "crosses_above" | "crosses_below" => self.cross(name, args, at, place).map(Compiled::One),
            "tf" => self.timeframe(args, at, place),
            _ => Err(place.error(at, unknown_function(name))),
        }
    }

    fn arity(
        &self,
        name: &str,
        args: &[Expr],
        arity: usize,
        at: usize,
        place: Place<'_>,
    ) -> Result<(), ExprError> {
        if args.len() == arity {
            return Ok(());
        }
        let plural = if arity == 1 { "" } else { "s" };
        Err(place.error(at, format!("`{name}` takes {arity} argument{plural}, got {}", args.len())))
    }

    fn cross(&mut self, name: &str, args: &[Expr], at: usize, place: Place<'_>) -> Result<NodeId, ExprError> {
        let default = if self.scope.vectorbt { CrossRule::Vectorbt } else { CrossRule::Pine };
        let rule = match args.get(2).map(|arg| (&arg.kind, arg.at)) {
            None => default,
            Some((Kind::Text(text), _)) if text == "strict" => CrossRule::Strict,
            Some((Kind::Text(text), _)) if text == "vectorbt" => CrossRule::Vectorbt,
            Some((Kind::Text(text), _)) if text == "pine" => CrossRule::Pine,
            Some((_, at)) => {
                let message = format!(
                    "the third argument of `{name}` is its rule: \"pine\", \"strict\" or \"vectorbt\""
                );
                return Err(place.error(at, message));
            }
        };
        if args.len() < 2 || args.len() > 3 {
            let message = format!(
                "`{name}` takes 2 series and optionally its rule, got {} arguments: {name}(a, b)",
                args.len()
            );
            return Err(place.error(at, message));
        }
        let what = format_args!("the argument of `{name}`");
        let a = self.typed(&args[0], Type::Number, place, what)?;
        let b = self.typed(&args[1], Type::Number, place, what)?;
        for (node, arg) in [(a, &args[0]), (b, &args[1])] {
            if self.graph.node(node).on_position {
                return Err(place
                    .error(arg.at, format!("a position function has no history: `{name}` cannot use it")));
            }
        }
        if self.graph.constant(a).is_some() && self.graph.constant(b).is_some() {
            return Err(place.error(at, format!("`{name}` of two constants never happens")));
        }
        // Below is above with the sides exchanged.
        let inputs = if name == "crosses_above" { [a, b] } else { [b, a] };
        Ok(self.graph.add(Op::Cross(rule), &inputs, &[], place.frame, Type::Bool))
    }

    fn timeframe(&mut self, args: &[Expr], at: usize, place: Place<'_>) -> Result<Compiled, ExprError> {
        let [Expr { kind: Kind::Text(text), at: text_at }, inner] = args else {
            return Err(
                place.error(at, "`tf` takes an interval and an expression: tf(\"1d\", ema(close, 200))")
            );
        };
        let frame = self.frame(text, *text_at, place)?;
        let compiled = self.expr(inner, Place { frame, ..place })?;
        Ok(self.seen_from(compiled, place.frame))
    }

    /// What was compiled on a higher frame, seen from `frame`.
    fn seen_from(&mut self, compiled: Compiled, frame: Interval) -> Compiled {
        match compiled {
            Compiled::One(node) => Compiled::One(self.align(node, frame)),
            Compiled::Many { node, indicator, mut frames } => {
                frames.push(frame);
                Compiled::Many { node, indicator, frames }
            }
        }
    }

    fn frame(&self, text: &str, at: usize, place: Place<'_>) -> Result<Interval, ExprError> {
        let frame: Interval =
            text.parse().map_err(|e: crate::interval::IntervalError| place.error(at, e.to_string()))?;
        if frame < place.frame {
            let message = format!(
                "interval {frame} is finer than the candles it would be computed from ({})",
                place.frame
            );
            return Err(place.error(at, message));
        }
        if !frame.is_multiple_of(place.frame) {
            return Err(place.error(at, format!("interval {frame} is no multiple of {}", place.frame)));
        }
        // Weeks start on a Monday, other intervals count from the epoch: not every multiple is made of whole candles.
        if place.frame.open_of(frame.open_of(0)) != frame.open_of(0) {
            let message = format!("candles of {frame} do not line up with those of {}", place.frame);
            return Err(place.error(at, message));
        }
        Ok(frame)
    }

    fn indicator(
        &mut self,
        indicator: &'static Indicator,
        args: &[Expr],
        at: usize,
        place: Place<'_>,
    ) -> Result<Compiled, ExprError> {
        let series = series_count(indicator);
        let (args, frame) = match args.split_last() {
            // A last text is another interval, unless it stands where a word or a moment does and no interval could.
            Some((Expr { kind: Kind::Text(text), at }, rest))
                if !takes_text(indicator, rest.len(), series) || text.parse::<Interval>().is_ok() =>
            {
                (rest, self.frame(text, *at, place)?)
            }
            _ => (args, place.frame),
        };
        let inner = Place { frame, ..place };
        let required = indicator.params.iter().filter(|p| p.default.is_none()).count();
        if args.len() < series + required || args.len() > series + indicator.params.len() {
            let most = series + indicator.params.len();
            let count = if required + series == most {
                format!("{most}")
            } else {
                format!("{} to {most}", series + required)
            };
            let message = format!(
                "`{}` takes {count} arguments, got {}: {}",
                indicator.name,
                args.len(),
                usage(indicator)
            );
            return Err(place.error(at, message));
        }
        let mut inputs = Vec::with_capacity(series);
        for arg in &args[..series] {
            let input =
                self.typed(arg, Type::Number, inner, format_args!("the series of `{}`", indicator.name))?;
            if self.graph.node(input).on_position {
                let message =
                    format!("a position function has no history: `{}` cannot use it", indicator.name);
                return Err(place.error(arg.at, message));
            }
            if self.graph.constant(input).is_some() {
                let message =
                    format!("the series of `{}` is a constant: {}", indicator.name, usage(indicator));
                return Err(place.error(arg.at, message));
            }
            inputs.push(input);
        }
        let mut params = Vec::with_capacity(indicator.params.len());
        for (i, param) in indicator.params.iter().enumerate() {
            let value = match args.get(series + i) {
                Some(arg) => self.parameter(indicator, param, arg, inner)?,
                None => param.default.unwrap_or(f64::NAN),
            };
            params.push(value);
        }
        let node = self.graph.add(Op::Indicator(indicator), &inputs, &params, frame, Type::Number);
        let frames = if frame == place.frame { vec![] } else { vec![place.frame] };
        if indicator.outputs.len() == 1 {
            return Ok(Compiled::One(self.output(node, 0, &frames)));
        }
        Ok(Compiled::Many { node, indicator, frames })
    }

    fn parameter(
        &mut self,
        indicator: &Indicator,
        param: &Param,
        arg: &Expr,
        place: Place<'_>,
    ) -> Result<f64, ExprError> {
        let (name, owner) = (param.name, indicator.name);
        if let Some(value) = worded(indicator, param, arg, place)? {
            return Ok(value);
        }
        let node = self.typed(arg, Type::Number, place, format_args!("`{name}` of `{owner}`"))?;
        let Some(value) = self.graph.constant(node) else {
            let message = format!(
                "`{name}` of `{owner}` must be a constant or a parameter, not a column: {}",
                usage(indicator)
            );
            return Err(place.error(arg.at, message));
        };
        match param.domain {
            Domain::Window(least) if value.fract() != 0.0 || value < least as f64 || value > MAX_WINDOW => {
                let message = format!(
                    "`{name}` of `{owner}` is {value}, but a window is a whole number of bars from {least} to {MAX_WINDOW}"
                );
                Err(place.error(arg.at, message))
            }
            Domain::Above(bound) if value.is_nan() || value <= bound => {
                Err(place
                    .error(arg.at, format!("`{name}` of `{owner}` is {value}, but must be above {bound}")))
            }
            Domain::From(least) if value.is_nan() || value < least => Err(place
                .error(arg.at, format!("`{name}` of `{owner}` is {value}, but must be at least {least}"))),
            Domain::Between(least, most) if value.is_nan() || value < least || value > most => {
                let message = format!("`{name}` of `{owner}` is {value}, but must be from {least} to {most}");
                Err(place.error(arg.at, message))
            }
            _ => Ok(value),
        }
    }
}

/// How many series stand before an indicator's parameters.
fn series_count(indicator: &Indicator) -> usize {
    match indicator.over {
        Over::Candle => 0,
        Over::Series => 1,
        Over::Pair => 2,
    }
}

/// Whether argument `nth` of an indicator is written as a text.
fn takes_text(indicator: &Indicator, nth: usize, series: usize) -> bool {
    let param = nth.checked_sub(series).and_then(|nth| indicator.params.get(nth));
    param.is_some_and(|param| matches!(param.domain, Domain::Choice(_) | Domain::Instant))
}

/// The value of a parameter that is written as a text.
fn worded(
    indicator: &Indicator,
    param: &Param,
    arg: &Expr,
    place: Place<'_>,
) -> Result<Option<f64>, ExprError> {
    let (name, owner) = (param.name, indicator.name);
    let text = match &arg.kind {
        Kind::Text(text) => text.as_str(),
        _ => "",
    };
    match param.domain {
        Domain::Choice(words) => match words.iter().position(|word| *word == text) {
            Some(nth) => Ok(Some(nth as f64)),
            None => {
                let message = format!(
                    "`{name}` of `{owner}` is one of \"{}\": {}",
                    words.join("\", \""),
                    usage(indicator)
                );
                Err(place.error(arg.at, message))
            }
        },
        Domain::Instant => match instant_ms(text) {
            Some(ms) => Ok(Some(ms as f64)),
            None => {
                let message = format!(
                    "`{name}` of `{owner}` is a moment such as \"2024-03-01T00:00:00Z\", or a date such as \"2024-03-01\" (midnight UTC)"
                );
                Err(place.error(arg.at, message))
            }
        },
        _ => Ok(None),
    }
}

/// How an indicator is called: `bbands(series, window, deviations=2)`.
pub fn usage(indicator: &Indicator) -> String {
    let series = match indicator.over {
        Over::Candle => &[][..],
        Over::Series => &["series"],
        Over::Pair => &["series", "other"],
    };
    let params = indicator.params.iter().map(|param| match (param.default, param.domain) {
        (Some(default), Domain::Choice(words)) => {
            format!("{}=\"{}\"", param.name, words.get(default as usize).unwrap_or(&""))
        }
        (Some(default), _) => format!("{}={default}", param.name),
        (None, _) => param.name.to_owned(),
    });
    let args: Vec<_> = series.iter().map(|name| (*name).to_owned()).chain(params).collect();
    format!("{}({})", indicator.name, args.join(", "))
}

fn unknown_function(name: &str) -> String {
    // What other languages call it.
    let instead = match name.to_lowercase().as_str() {
        "not" => Some("write ! for not, as in !(close > open)"),
        "and" => Some("write && between conditions"),
        "or" => Some("write || between conditions"),
        "crossover" | "crossup" => Some("it is crosses_above(a, b) here"),
        "crossunder" | "crossdown" => Some("it is crosses_below(a, b) here"),
        _ => None,
    };
    if let Some(instead) = instead {
        return format!("unknown function `{name}`: {instead}");
    }
    let known = indicators::all().map(|indicator| indicator.name).chain(functions::NAMES.iter().copied());
    match nearest(name, known) {
        Some(near) => format!("unknown function `{name}`: did you mean `{near}`?"),
        None => format!("unknown function `{name}`: `blockgrid indicators` lists what there is"),
    }
}
