//! The indicator library: one small file a family, one [`Indicator`] record an indicator.
//!
//! ```text
//!  expression text --compile--> graph node --evaluate--> Indicator::compute(Source, parameters) -> columns
//! ```
//!
//! To add one: write its record and its compute function in the file of its family (formula, source, warm-up, numerics)
//! and name it in the family's list, which [`FAMILIES`] holds. The compiler, the pre-roll, `blockgrid indicators` and the
//! docs take it from there.
//!
//! # The contract of `compute`
//! - It sees slices that begin where its history begins: index 0 is the first bar it may use, the way TA-Lib sees an
//!   array. Inputs have no structural warm-up left at their front, but any value may be NaN (a division by zero inside
//!   an expression).
//! - It returns one column an output, each as long as the input, NaN before [`Indicator::lookback`] values.
//! - A finite window that holds a NaN gives NaN. A recursive average that meets a NaN gives NaN and seeds itself anew
//!   from the values after it: one bad value never poisons the rest.
//! - Sums of finite windows go through [`crate::exact::ExactSums`], so equal averages compare equal wherever the series starts.
//! - It looks at no value after index `i` to compute output `i`.

mod average;
mod band;
mod candle;
mod common;
mod directional;
mod extremes;
mod flow;
mod fractal;
mod heikin_ashi;
mod ichimoku;
mod momentum;
mod oscillator;
mod pair;
mod pivot;
mod range;
mod rank;
mod regression;
mod sarext;
mod session;
mod smoothing;
mod statistics;
mod trend;
mod vectorbt;
mod volatility;
mod volume;
mod windows;

use crate::exact::Sums;
use crate::interval::Interval;

/// What an indicator is computed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    /// One series, the first argument: `rsi(close, 14)`.
    Series,
    /// Two series, the first two arguments: `correl(close, volume, 20)`.
    Pair,
    /// The candle itself, no series argument: `atr(14)`.
    Candle,
}

/// The domain of a parameter.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Domain {
    /// A window in bars: an integer of at least the given minimum.
    Window(usize),
    /// A number greater than the given bound (exclusive).
    Above(f64),
    /// A number of at least the given bound.
    From(f64),
    /// A number between two bounds, both included.
    Between(f64, f64),
    /// One of these words, written as a text: `ma(close, 20, "ema")`. Its value is the index of the word.
    Choice(&'static [&'static str]),
    /// A moment, written as a text in RFC 3339 or as a date: `avwap("2024-03-01")`. Its value is in UTC milliseconds.
    Instant,
}

/// A parameter of an indicator.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Param {
    /// Name, as the docs and errors show it.
    pub name: &'static str,
    /// What values it takes.
    pub domain: Domain,
    /// The value when it is left out; `None` when it must be given. Parameters with a default come last. Of a
    /// [`Domain::Choice`] it is the index of the word.
    pub default: Option<f64>,
}

/// How much history an indicator needs before its value no longer depends on where the history began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Memory {
    /// A finite window: nothing beyond the lookback.
    Finite,
    /// A recursion: the number of bars after the lookback until the seed weighs less than 1e-9, or for a path-dependent
    /// recursion (SAR, Supertrend) a fixed number that the indicator's docs state.
    Recursive(usize),
    /// A running total without an end (OBV): it is anchored at the first bar of the run, `Source::anchor`, so that its
    /// level does not depend on the history before it.
    Anchored,
    /// All the history there is, because the value hangs on a moment and not on a number of bars (anchored VWAP).
    Everything,
}

/// One column of input.
#[derive(Debug, Clone, Copy)]
pub struct Series<'a> {
    /// The values, oldest first.
    pub values: &'a [f64],
    /// The exact prefix sums of `values`, made on first use and shared by all windows over the same column:
    /// `Sums::default()` for a column of the candles, `Sums::real()` for one that is calculated.
    pub sums: &'a Sums,
}

/// The candle columns of the same bars.
#[derive(Debug, Clone, Copy)]
pub struct CandleColumns<'a> {
    /// Opens of the candles, UTC milliseconds.
    pub timestamp: &'a [i64],
    /// Open prices.
    pub open: &'a [f64],
    /// Highest prices.
    pub high: &'a [f64],
    /// Lowest prices.
    pub low: &'a [f64],
    /// Close prices.
    pub close: &'a [f64],
    /// Base volumes.
    pub volume: &'a [f64],
}

/// What `compute` may look at: the input series (for [`Over::Series`]) and the candles of the same bars.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// The series argument; for [`Over::Candle`] the close.
    pub series: Series<'a>,
    /// The second series argument of [`Over::Pair`]; for all others the same as `series`.
    pub other: Series<'a>,
    /// The candles of the same bars.
    pub candles: CandleColumns<'a>,
    /// Index of the first bar of the run in these slices (0 when all of them are in the run).
    pub anchor: usize,
    /// Length of a candle.
    pub interval: Interval,
}

/// One indicator: its documentation, its shape and its code, in one place.
#[derive(Debug)]
pub struct Indicator {
    /// Name in expressions.
    pub name: &'static str,
    /// One line: what it is.
    pub summary: &'static str,
    /// The formula, in plain text.
    pub formula: &'static str,
    /// Where the definition comes from (paper, TA-Lib function), and how ours differs where it does.
    pub source: &'static str,
    /// How it is calculated: what is exact or compensated, and why.
    pub numerics: &'static str,
    /// What it is computed over.
    pub over: Over,
    /// Parameters, in order.
    pub params: &'static [Param],
    /// Names of the outputs; the first is the default.
    pub outputs: &'static [&'static str],
    /// Index of the first value of the *last* output to appear, counted from the first input value.
    pub lookback: fn(&[f64]) -> usize,
    /// Its memory beyond the lookback. The interval is that of the candles.
    pub memory: fn(&[f64], Interval) -> Memory,
    /// Computes the outputs; see the module's contract.
    pub compute: fn(&Source<'_>, &[f64]) -> Vec<Vec<f64>>,
}

/// Indicators that belong together: a section of the docs and a file of this module.
#[derive(Debug)]
pub struct Family {
    /// Heading of the section.
    pub title: &'static str,
    /// Its indicators, in the order of the docs.
    pub indicators: &'static [&'static Indicator],
}

/// Every family, in the order of the docs.
pub const FAMILIES: &[Family] = &[
    Family { title: "Moving averages", indicators: average::FAMILY },
    Family { title: "Momentum", indicators: momentum::FAMILY },
    Family { title: "Oscillators", indicators: oscillator::FAMILY },
    Family { title: "Volatility", indicators: volatility::FAMILY },
    Family { title: "Bands", indicators: band::FAMILY },
    Family { title: "Extremes and sums", indicators: range::FAMILY },
    Family { title: "Statistics", indicators: statistics::FAMILY },
    Family { title: "Regression", indicators: regression::FAMILY },
    Family { title: "Volume", indicators: volume::FAMILY },
    Family { title: "Trend", indicators: trend::FAMILY },
    Family { title: "Candles and sessions", indicators: heikin_ashi::FAMILY },
    Family { title: "Candle patterns", indicators: candle::FAMILY },
];

/// Every indicator, in the order of the docs.
pub fn all() -> impl Iterator<Item = &'static Indicator> {
    FAMILIES.iter().flat_map(|family| family.indicators.iter().copied())
}

/// The indicators that profile `vectorbt` replaces, by the name they stand in for.
///
/// They keep vectorbt's own rules where those differ from the module's contract: sums that run from the first bar, an
/// output that begins before the last one does (`macd`, `stoch`), exponential averages that skip unknown values.
pub const VECTORBT: &[&Indicator] = &[
    &vectorbt::SMA,
    &vectorbt::EMA,
    &vectorbt::RSI,
    &vectorbt::MACD,
    &vectorbt::STDDEV,
    &vectorbt::BBANDS,
    &vectorbt::STOCH,
    &vectorbt::TR,
    &vectorbt::ATR,
    &vectorbt::OBV,
];

/// Finds an indicator by name.
pub fn find(name: &str) -> Option<&'static Indicator> {
    all().find(|indicator| indicator.name == name)
}

/// Bars until a recursive average of weight `alpha` (`m += alpha * (x - m)`) gives its seed less than 1e-9.
pub fn bars_to_forget(alpha: f64) -> usize {
    if alpha >= 1.0 {
        return 0;
    }
    // (1 - alpha)^n < 1e-9
    (libm::log(1e-9) / libm::log1p(-alpha)).ceil() as usize
}

/// A window parameter as a count. The compiler has checked that it is a whole number in its domain; what is longer than
/// any series stays small enough to calculate with.
pub(crate) fn window(value: f64) -> usize {
    (value as usize).min(u32::MAX as usize)
}
