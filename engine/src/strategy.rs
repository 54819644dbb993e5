//! Strategy documents: indicator blocks -> conditions -> entries and exits -> sizing and risk.
//!
//! A [`Strategy`] is what a person wrote. [`ParsedStrategy`] has its expressions parsed. [`TrialPlan`] is one trial of a
//! sweep: parameters bound, expressions compiled into the shared [`crate::graph::Graph`], numbers checked.

mod parsed;
mod plan;
mod session;

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};

pub use parsed::{ParsedStrategy, StrategyError};
pub use plan::{
    Distance as PlannedDistance, Entry, RiskPlan, SidePlan, Size as PlannedSize, TrailDistance, TrailPlan,
    TrialPlan,
};
pub use session::{Session, SessionError};

/// An expression as text; a plain number is one too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Formula(pub String);

impl Formula {
    /// A constant.
    pub fn number(value: f64) -> Self {
        // Debug formatting keeps enough digits to read back the same number.
        Self(format!("{value:?}"))
    }
}

impl Serialize for Formula {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.parse::<f64>() {
            Ok(number) => serializer.serialize_f64(number),
            Err(_) => serializer.serialize_str(&self.0),
        }
    }
}

/// A strategy document, as written.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Strategy {
    /// Parameters and their default values.
    pub parameters: BTreeMap<String, f64>,
    /// Named blocks, each an expression over columns.
    pub define: BTreeMap<String, Formula>,
    /// When to be long.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub long: Option<Side>,
    /// When to be short.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub short: Option<Side>,
    /// Stops, targets and what follows them.
    pub risk: Risk,
    /// How much to buy or sell.
    pub size: Size,
    /// When entries are allowed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<Session>,
}

/// Entry and exit of one direction.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Side {
    /// A condition, heard at every close.
    pub enter: Formula,
    /// A condition, heard at every close; may use position functions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit: Option<Formula>,
    /// What kind of order enters.
    pub order: Order,
}

/// The order that enters a position.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "camelCase")]
pub enum Order {
    /// At the next open, or at the close (`execution.fill`).
    Market,
    /// At `price` or better, for `bars` bars.
    Limit {
        /// Limit price, evaluated at the signal's close.
        price: Formula,
        /// Bars the order rests.
        bars: Formula,
    },
    /// At market once `price` is touched, for `bars` bars.
    Stop {
        /// Trigger price, evaluated at the signal's close.
        price: Formula,
        /// Bars the order rests.
        bars: Formula,
    },
}

/// Stops, targets and what follows them.
#[derive(Debug, Clone, PartialEq, Serialize, Default)]
#[serde(rename_all = "camelCase")]
pub struct Risk {
    /// Stop loss.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_loss: Option<Distance>,
    /// Take profit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub take_profit: Option<Distance>,
    /// Trailing stop.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trail: Option<Trail>,
    /// Moves the stop to the entry price.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub break_even: Option<BreakEven>,
    /// Bars from the entry's bar to the exit's bar after which the position is closed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_bars: Option<Formula>,
    /// Bars after an exit before a close is heard for an entry again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cooldown_bars: Option<Formula>,
    /// Which comes first when a bar reaches both stop and target.
    pub same_bar: SameBar,
    /// When an entry is heard again after a stop or target.
    pub reentry: Reentry,
}

/// A distance from the entry price, or a price.
#[derive(Debug, Clone, PartialEq)]
pub enum Distance {
    /// A fraction of the entry price: `0.03`.
    Fraction(Formula),
    /// `{percent: 3}`.
    Percent(Formula),
    /// `{price: EXPR}`, evaluated at the signal's close and frozen.
    Price(Formula),
    /// `{atr: 3, period: 14}`: a multiple of the signal bar's ATR, frozen at entry.
    Atr {
        /// The multiple.
        multiple: Formula,
        /// Window of the ATR.
        period: Formula,
    },
}

impl Serialize for Distance {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeMap;
        match self {
            Distance::Fraction(fraction) => fraction.serialize(serializer),
            Distance::Percent(percent) => {
                let mut map = serializer.serialize_map(Some(1))?;
                map.serialize_entry("percent", percent)?;
                map.end()
            }
            Distance::Price(price) => {
                let mut map = serializer.serialize_map(Some(1))?;
                map.serialize_entry("price", price)?;
                map.end()
            }
            Distance::Atr { multiple, period } => {
                let mut map = serializer.serialize_map(Some(2))?;
                map.serialize_entry("atr", multiple)?;
                map.serialize_entry("period", period)?;
                map.end()
            }
        }
    }
}

/// A trailing stop.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Trail {
    /// How far behind the favourable extreme.
    #[serde(flatten)]
    pub distance: TrailBy,
    /// When the level moves.
    pub update: TrailUpdate,
    /// Whether an ATR distance follows the current ATR instead of the signal bar's.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub follow: bool,
}

/// How far a trailing stop stays behind.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum TrailBy {
    /// `percent: 2` of the extreme.
    Percent {
        /// The percentage.
        percent: Formula,
    },
    /// `atr: 3, period: 14`.
    Atr {
        /// The multiple.
        #[serde(rename = "atr")]
        multiple: Formula,
        /// Window of the ATR.
        period: Formula,
    },
}

/// `breakEven: {at: 0.02}`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BreakEven {
    /// Fraction of the entry price that must have been gained.
    pub at: Formula,
}

/// When a trailing stop's level moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Default)]
#[serde(rename_all = "camelCase")]
pub enum TrailUpdate {
    /// At the close: a bar is tested against the extremes of the bars before it.
    #[default]
    BarClose,
    /// Inside the bar, by its own favourable extreme.
    Intrabar,
}

/// Which comes first when a bar reaches both stop and target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Default)]
#[serde(rename_all = "camelCase")]
pub enum SameBar {
    /// The stop: the pessimist's choice.
    #[default]
    StopFirst,
    /// The target.
    TargetFirst,
    /// TradingView's path: open, the extreme nearer to it, the other, close.
    NearerExtreme,
}

/// When an entry is heard again after a stop or target in bar t.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Default)]
#[serde(rename_all = "camelCase")]
pub enum Reentry {
    /// From the close of t+1.
    #[default]
    NextBar,
    /// From the close of t.
    SameBar,
    /// From the close of t, once `enter` has been false at a close since the exit.
    Rearm,
}

/// How much to buy or sell, decided at the fill.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Size {
    /// All cash, fees included.
    AllIn,
    /// A percentage of equity, at most 100.
    EquityPercent(Formula),
    /// A notional in quote currency.
    Quote(Formula),
    /// A quantity in base currency.
    Base(Formula),
    /// The percentage of equity lost if the initial stop is hit.
    RiskPercent(Formula),
}

#[cfg(test)]
mod tests;
