//! What the families share: parameters, runs of known values, exponential smoothing, extremes, candle columns.

use std::ops::Range;

use super::extremes::{High, Low, extremes};
use super::smoothing::{PART, Smoother, column, parts};
use super::{CandleColumns, Domain, Param};
use crate::exact::{is_finite, mean};

/// The window of an indicator that has one, of at least 1 bar.
pub(super) const WINDOW: Param = Param { name: "window", domain: Domain::Window(1), default: None };

/// A window in bars with a default.
pub(super) const fn bars(name: &'static str, default: f64) -> Param {
    Param { name, domain: Domain::Window(1), default: Some(default) }
}

/// A positive number with a default.
pub(super) const fn positive(name: &'static str, default: f64) -> Param {
    Param { name, domain: Domain::Above(0.0), default: Some(default) }
}

/// A column of unknowns.
pub(super) fn unknown(len: usize) -> Vec<f64> {
    vec![f64::NAN; len]
}

/// The longest runs of finite values, in order.
pub(super) fn runs(values: &[f64]) -> impl Iterator<Item = Range<usize>> + '_ {
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = at + values[at..].iter().position(|v| v.is_finite())?;
        let end = values[start..].iter().position(|v| !v.is_finite()).map_or(values.len(), |n| start + n);
        at = end;
        Some(start..end)
    })
}

/// A column made of `fill(run, its part of the column)` for each run of finite values: how a recursion starts anew
/// after a value that is not known.
pub(super) fn by_run(values: &[f64], fill: impl Fn(&[f64], &mut [f64])) -> Vec<f64> {
    let mut column = unknown(values.len());
    if is_finite(values) {
        fill(values, &mut column);
        return column;
    }
    for run in runs(values) {
        fill(&values[run.clone()], &mut column[run]);
    }
    column
}

/// Weight of the newest value in an exponential average over `window` bars.
pub(super) fn ema_alpha(window: usize) -> f64 {
    2.0 / (window as f64 + 1.0)
}

/// Weight of the newest value in Wilder's average over `window` bars.
pub(super) fn wilder_alpha(window: usize) -> f64 {
    1.0 / window as f64
}

/// The highest value of each window, in a time that does not grow with the window.
pub(super) fn highest(values: &[f64], window: usize) -> Vec<f64> {
    extremes::<High>(values, window)
}

/// The lowest value of each window.
pub(super) fn lowest(values: &[f64], window: usize) -> Vec<f64> {
    extremes::<Low>(values, window)
}

/// `(high + low + close) / 3`, written so that a bar of one price gives exactly that price: the rounded sum of three
/// often is not three times anything.
pub(super) fn typical_price(candles: &CandleColumns<'_>) -> Vec<f64> {
    typical_prices(candles, 0..candles.close.len()).collect()
}

/// The typical prices of some bars.
pub(super) fn typical_prices(candles: &CandleColumns<'_>, bars: Range<usize>) -> impl Iterator<Item = f64> {
    let (high, low) = (&candles.high[bars.clone()], &candles.low[bars.clone()]);
    let prices = high.iter().zip(low).zip(&candles.close[bars]);
    prices.map(|((high, low), close)| low + ((high - low) + (close - low)) / 3.0)
}

/// The largest of high - low, |high - previous close| and |low - previous close|; NaN at the first bar, which has no
/// previous close.
pub(super) fn true_range(candles: &CandleColumns<'_>) -> Vec<f64> {
    let mut ranges = column(candles.close.len(), 1);
    ranges.extend(true_ranges(candles, 1..candles.close.len()));
    ranges
}

/// The true ranges of some bars, of which the first is not bar 0.
pub(super) fn true_ranges(candles: &CandleColumns<'_>, bars: Range<usize>) -> impl Iterator<Item = f64> {
    let previous = candles.close.get(bars.start - 1..).unwrap_or_default();
    let (high, low) = (candles.high.get(bars.clone()), candles.low.get(bars));
    let prices = high.unwrap_or_default().iter().zip(low.unwrap_or_default()).zip(previous);
    prices.map(|((&high, &low), &previous)| true_range_of(high, low, previous))
}

/// The true range of bar `i >= 1`.
pub(super) fn true_range_at(candles: &CandleColumns<'_>, i: usize) -> f64 {
    true_range_of(candles.high[i], candles.low[i], candles.close[i - 1])
}

fn true_range_of(high: f64, low: f64, previous: f64) -> f64 {
    let larger = |a: f64, b: f64| if a > b { a } else { b };
    larger(larger(high - low, (high - previous).abs()), (low - previous).abs())
}

/// Wilder's average true range, NaN before index `window`. Candles are finite.
pub(super) fn average_true_range(candles: &CandleColumns<'_>, window: usize) -> Vec<f64> {
    average_true_range_with(candles, window, |average, _| average)
}

/// `value(average true range, close)`, NaN before index `window`.
#[inline(always)]
pub(super) fn average_true_range_with(
    candles: &CandleColumns<'_>,
    window: usize,
    value: impl Fn(f64, f64) -> f64,
) -> Vec<f64> {
    let len = candles.close.len();
    let mut averages = column(len, window);
    if len <= window {
        return averages;
    }
    let seed = mean(&true_ranges(candles, 1..window + 1).collect::<Vec<_>>());
    averages.push(value(seed, candles.close[window]));
    let mut smoother = Smoother::new([seed], [wilder_alpha(window)]);
    let (mut ranges, mut found) = ([[0.0]; PART], [[0.0]; PART]);
    for part in parts(len - window - 1) {
        let ranges = &mut ranges[..part.len()];
        let bars = part.start + window + 1..part.end + window + 1;
        for (range, bar) in ranges.iter_mut().zip(true_ranges(candles, bars.clone())) {
            *range = [bar];
        }
        let found = &mut found[..part.len()];
        smoother.feed(ranges, found);
        let averaged = found.as_flattened().iter().zip(&candles.close[bars]);
        averages.extend(averaged.map(|(&average, &close)| value(average, close)));
    }
    averages
}
