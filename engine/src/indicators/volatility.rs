//! How much a series or a candle moves.

use super::common::{WINDOW, average_true_range, average_true_range_with, true_range, wilder_alpha};
use super::{Indicator, Memory, Over, bars_to_forget, window};

/// The family, in the order of the docs.
pub(super) const FAMILY: &[&Indicator] = &[&STDDEV, &TR, &ATR, &NATR];

/// Standard deviation.
pub(super) static STDDEV: Indicator = Indicator {
    name: "stddev",
    summary: "Population standard deviation (ddof 0) of the last `window` values, in units of the series.",
    formula: "stddev = sqrt(sum((x - mean)^2) / window)",
    source: "TA-Lib STDDEV; the sums are exact, so a flat window gives exactly 0.",
    numerics: "The root of var: nothing cancels, and a flat window is exactly 0.",
    over: Over::Series,
    params: &[WINDOW],
    outputs: &["value"],
    lookback: |p| window(p[0]) - 1,
    memory: |_, _| Memory::Finite,
    compute: |source, p| vec![source.series.sums.of(source.series.values).deviations(window(p[0]))],
};

/// True range.
pub(super) static TR: Indicator = Indicator {
    name: "tr",
    summary: "True range: the range of the candle, from the previous close if that lies outside; in price units.",
    formula: "tr[i] = max(high[i] - low[i], |high[i] - close[i-1]|, |low[i] - close[i-1]|)",
    source: "Wilder 1978; TA-Lib TRANGE: it begins at the second bar.",
    numerics: "Differences of prices; nothing accumulates.",
    over: Over::Candle,
    params: &[],
    outputs: &["value"],
    lookback: |_| 1,
    memory: |_, _| Memory::Finite,
    compute: |source, _| vec![true_range(&source.candles)],
};

/// Average true range.
pub(super) static ATR: Indicator = Indicator {
    name: "atr",
    summary: "Average true range: Wilder's average of the true range, in price units.",
    formula: "atr[i] = atr[i-1] + (tr[i] - atr[i-1]) / window; the first is the mean of the first window true ranges",
    source: "Wilder 1978; TA-Lib ATR, with its seed.",
    numerics: "True ranges through the average of rma.",
    over: Over::Candle,
    params: &[WINDOW],
    outputs: &["value"],
    lookback: |p| window(p[0]),
    memory: |p, _| Memory::Recursive(bars_to_forget(wilder_alpha(window(p[0])))),
    compute: |source, p| vec![average_true_range(&source.candles, window(p[0]))],
};

/// Normalised average true range.
pub(super) static NATR: Indicator = Indicator {
    name: "natr",
    summary: "Normalised average true range: the average true range in percent of the close.",
    formula: "natr = 100 * atr(window) / close",
    source: "Forman; TA-Lib NATR, also for a window of 1 (TA-Lib: the true range itself). Unknown when the close is 0.",
    numerics: "The atr, divided once.",
    over: Over::Candle,
    params: &[WINDOW],
    outputs: &["value"],
    lookback: |p| window(p[0]),
    memory: |p, _| Memory::Recursive(bars_to_forget(wilder_alpha(window(p[0])))),
    compute: |source, p| {
        let share = |range: f64, close: f64| {
            let share = 100.0 * (range / close);
            if close == 0.0 { f64::NAN } else { share }
        };
        vec![average_true_range_with(&source.candles, window(p[0]), share)]
    },
};
