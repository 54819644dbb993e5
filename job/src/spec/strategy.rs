//! `spec.strategy`: the strategy document.

use std::collections::BTreeMap;

use blockgrid_engine::expr::nearest;
use blockgrid_engine::strategy::{
    BreakEven, Distance, Formula, Order, Reentry, Risk, SameBar, Session, Side, Size, Strategy, Trail,
    TrailBy, TrailUpdate,
};
use serde_json::Value;

use super::Axis;
use crate::decode::{Errors, Field, Object};

/// A strategy, and its parameters that have no value of their own.
pub(super) struct DecodedStrategy<'a>(pub(super) Strategy, Vec<String>, &'a Errors);

impl DecodedStrategy<'_> {
    /// Swept parameters must exist, and every parameter must have a value from somewhere.
    pub(super) fn check_swept(&self, axes: &[Axis]) {
        let declared = &self.0.parameters;
        for axis in axes.iter().filter(|axis| !declared.contains_key(&axis.name)) {
            let remedy = match nearest(&axis.name, declared.keys().map(String::as_str)) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "add it to spec.strategy.parameters".to_owned(),
            };
            self.2.push(
                format!("spec.sweep.parameters.{}", axis.name),
                format!("is no parameter of the strategy: {remedy}"),
            );
        }
        for name in self.1.iter().filter(|name| !axes.iter().any(|axis| axis.name == **name)) {
            let path = format!("spec.strategy.parameters.{name}");
            self.2.push(path, "has no value: give it one here, or sweep it under spec.sweep.parameters");
        }
    }
}

pub(super) fn decode<'a>(field: &Field<'a>) -> Option<DecodedStrategy<'a>> {
    let object = field.object()?;
    let mut parameters = BTreeMap::new();
    let mut without_value = Vec::new();
    if let Some(map) = object.get("parameters").and_then(|f| f.object()) {
        for (name, value) in map.entries() {
            if value.value.is_null() {
                without_value.push(name.clone());
                // Replaced by the sweep, or an error.
                parameters.insert(name, 0.0);
            } else if let Some(number) = value.number() {
                parameters.insert(name, number);
            }
        }
    }
    let mut define = BTreeMap::new();
    if let Some(map) = object.get("define").and_then(|f| f.object()) {
        for (name, value) in map.entries() {
            if let Some(text) = formula(&value) {
                define.insert(name, text);
            }
        }
    }
    let long = object.get("long").and_then(|f| side(&f));
    let short = object.get("short").and_then(|f| side(&f));
    let risk = object.get("risk").map_or(Some(Risk::default()), |f| risk(&f));
    let size = object.get("size").map_or(Some(Size::AllIn), |f| size(&f));
    let session = object.get("session").and_then(|f| session(&f));
    object.done();
    let strategy = Strategy { parameters, define, long, short, risk: risk?, size: size?, session };
    Some(DecodedStrategy(strategy, without_value, field.errors))
}

/// An expression: a text, a number, or true and false.
fn formula(field: &Field<'_>) -> Option<Formula> {
    match field.value {
        Value::String(text) => Some(Formula(text.clone())),
        Value::Number(_) => field.number().map(Formula::number),
        Value::Bool(flag) => Some(Formula(flag.to_string())),
        _ => {
            field.wanted("an expression or a number");
            None
        }
    }
}

fn required(object: &Object<'_>, key: &'static str, remedy: &str) -> Option<Formula> {
    object.require(key, remedy).and_then(|f| formula(&f))
}

fn side(field: &Field<'_>) -> Option<Side> {
    let object = field.object()?;
    let enter = required(&object, "enter", "a condition such as crosses_above(fastMa, slowMa)");
    let exit = object.get("exit").and_then(|f| formula(&f));
    let order = object.get("order").map_or(Some(Order::Market), |f| order(&f));
    object.done();
    Some(Side { enter: enter?, exit, order: order? })
}

#[derive(Clone, Copy)]
enum OrderType {
    Market,
    Limit,
    Stop,
}

fn order(field: &Field<'_>) -> Option<Order> {
    let object = field.object()?;
    let types = [("market", OrderType::Market), ("limit", OrderType::Limit), ("stop", OrderType::Stop)];
    let kind = object.require("type", "market, limit or stop").and_then(|f| f.choice(&types))?;
    let order = match kind {
        OrderType::Market => Some(Order::Market),
        OrderType::Limit | OrderType::Stop => {
            let price = required(&object, "price", "the order's price, such as \"close * 0.995\"");
            let bars = object.get("bars").map_or(Some(Formula::number(1.0)), |f| formula(&f));
            price.zip(bars).map(|(price, bars)| match kind {
                OrderType::Limit => Order::Limit { price, bars },
                _ => Order::Stop { price, bars },
            })
        }
    };
    object.done();
    order
}

fn risk(field: &Field<'_>) -> Option<Risk> {
    let object = field.object()?;
    let risk = Risk {
        stop_loss: object.get("stopLoss").and_then(|f| distance(&f)),
        take_profit: object.get("takeProfit").and_then(|f| distance(&f)),
        trail: object.get("trail").and_then(|f| trail(&f)),
        break_even: object.get("breakEven").and_then(|f| {
            let object = f.object()?;
            let at = required(&object, "at", "a fraction of the entry price, such as 0.02");
            object.done();
            Some(BreakEven { at: at? })
        }),
        max_bars: object.get("maxBars").and_then(|f| formula(&f)),
        cooldown_bars: object.get("cooldownBars").and_then(|f| formula(&f)),
        same_bar: object
            .get("sameBar")
            .and_then(|f| {
                f.choice(&[
                    ("stopFirst", SameBar::StopFirst),
                    ("targetFirst", SameBar::TargetFirst),
                    ("nearerExtreme", SameBar::NearerExtreme),
                ])
            })
            .unwrap_or_default(),
        reentry: object
            .get("reentry")
            .and_then(|f| {
                f.choice(&[
                    ("nextBar", Reentry::NextBar),
                    ("sameBar", Reentry::SameBar),
                    ("rearm", Reentry::Rearm),
                ])
            })
            .unwrap_or_default(),
    };
    object.done();
    Some(risk)
}

/// The default window of an ATR, Wilder's.
const ATR_PERIOD: f64 = 14.0;

fn period(object: &Object<'_>) -> Option<Formula> {
    object.get("period").map_or(Some(Formula::number(ATR_PERIOD)), |f| formula(&f))
}

fn distance(field: &Field<'_>) -> Option<Distance> {
    let Value::Object(map) = field.value else { return formula(field).map(Distance::Fraction) };
    let object = field.object()?;
    let kinds = ["percent", "price", "atr"].map(|key| map.contains_key(key));
    let distance = match kinds {
        [true, false, false] => required(&object, "percent", "a percentage").map(Distance::Percent),
        [false, true, false] => required(&object, "price", "a price expression").map(Distance::Price),
        [false, false, true] => {
            let multiple = required(&object, "atr", "a multiple of the ATR");
            let period = period(&object);
            multiple.zip(period).map(|(multiple, period)| Distance::Atr { multiple, period })
        }
        _ => {
            field.wanted(
                "a fraction such as 0.03, or one of {percent: 3}, {price: EXPR}, {atr: 3, period: 14}",
            );
            return None;
        }
    };
    object.done();
    distance
}

fn trail(field: &Field<'_>) -> Option<Trail> {
    let object = field.object()?;
    let kinds = ["percent", "atr"].map(|key| object.map.contains_key(key));
    let by = match kinds {
        [true, false] => {
            required(&object, "percent", "a percentage").map(|percent| TrailBy::Percent { percent })
        }
        [false, true] => {
            let multiple = required(&object, "atr", "a multiple of the ATR");
            let period = period(&object);
            multiple.zip(period).map(|(multiple, period)| TrailBy::Atr { multiple, period })
        }
        _ => {
            field.wanted("one of {percent: 2} and {atr: 3, period: 14}, with `update` and `follow`");
            return None;
        }
    };
    let updates = [("barClose", TrailUpdate::BarClose), ("intrabar", TrailUpdate::Intrabar)];
    let update = object.get("update").map_or(Some(TrailUpdate::BarClose), |f| f.choice(&updates));
    let follow_field = object.get("follow");
    let follow = follow_field.as_ref().map_or(Some(false), Field::flag);
    if let (Some(field), Some(true), [true, _]) = (&follow_field, follow, kinds) {
        field.errors.push(&field.path, "is for an ATR distance: a percent trail has nothing to follow");
    }
    object.done();
    Some(Trail { distance: by?, update: update?, follow: follow? })
}

fn size(field: &Field<'_>) -> Option<Size> {
    let wanted = "allIn, or one of {equityPercent: 25}, {quote: 1000}, {base: 0.1}, {riskPercent: 1}";
    match field.value {
        Value::String(text) if text == "allIn" => Some(Size::AllIn),
        Value::Object(map) if map.len() == 1 => {
            let object = field.object()?;
            type Make = fn(Formula) -> Size;
            let kinds: [(&'static str, Make); 4] = [
                ("equityPercent", Size::EquityPercent),
                ("quote", Size::Quote),
                ("base", Size::Base),
                ("riskPercent", Size::RiskPercent),
            ];
            let size = kinds.iter().find_map(|(key, make)| object.get(key).map(|f| formula(&f).map(make)));
            object.done();
            size.flatten()
        }
        _ => {
            field.wanted(wanted);
            None
        }
    }
}

fn session(field: &Field<'_>) -> Option<Session> {
    let object = field.object()?;
    let text =
        |key: &'static str, default: &str| object.get(key).map_or(Some(default.to_owned()), |f| f.text());
    let zone = object.require("zone", "an IANA time zone such as America/New_York").and_then(|f| f.text());
    let days = object.get("days").map_or(Some(Vec::new()), |f| f.list()?.iter().map(Field::text).collect());
    let (from, to) = (text("from", "00:00"), text("to", "24:00"));
    object.done();
    Some(Session { zone: zone?, days: days?, from: from?, to: to? })
}
