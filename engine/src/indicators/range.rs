//! Extremes and totals of a window of a series.

use super::common::{WINDOW, highest, lowest};
use super::extremes::{of_candles, of_range};
use super::{Indicator, Memory, Over, window};

/// The family, in the order of the docs.
pub(super) const FAMILY: &[&Indicator] = &[&HIGHEST, &LOWEST, &SUM, &MIDPOINT, &MIDPRICE];

/// Highest value.
pub(super) static HIGHEST: Indicator = Indicator {
    name: "highest",
    summary: "The highest of the last `window` values, the current one included.",
    formula: "highest[i] = max(x[i], x[i-1], ..., x[i-window+1])",
    source: "TA-Lib MAX. For a breakout compare with the window before: close > highest(high, 20)[1].",
    numerics: "A value of the series, found in a time that does not grow with the window.",
    over: Over::Series,
    params: &[WINDOW],
    outputs: &["value"],
    lookback: |p| window(p[0]) - 1,
    memory: |_, _| Memory::Finite,
    compute: |source, p| vec![highest(source.series.values, window(p[0]))],
};

/// Lowest value.
pub(super) static LOWEST: Indicator = Indicator {
    name: "lowest",
    summary: "The lowest of the last `window` values, the current one included.",
    formula: "lowest[i] = min(x[i], x[i-1], ..., x[i-window+1])",
    source: "TA-Lib MIN.",
    numerics: "A value of the series, found in a time that does not grow with the window.",
    over: Over::Series,
    params: &[WINDOW],
    outputs: &["value"],
    lookback: |p| window(p[0]) - 1,
    memory: |_, _| Memory::Finite,
    compute: |source, p| vec![lowest(source.series.values, window(p[0]))],
};

/// Sum of a window.
pub(super) static SUM: Indicator = Indicator {
    name: "sum",
    summary: "The sum of the last `window` values.",
    formula: "sum[i] = x[i] + x[i-1] + ... + x[i-window+1]",
    source: "TA-Lib SUM; the sum is exact, rounded once.",
    numerics: "Exact, as that of sma; rounded once.",
    over: Over::Series,
    params: &[WINDOW],
    outputs: &["value"],
    lookback: |p| window(p[0]) - 1,
    memory: |_, _| Memory::Finite,
    compute: |source, p| vec![source.series.sums.of(source.series.values).window_sums(window(p[0]))],
};

/// Middle of the range of a series.
pub(super) static MIDPOINT: Indicator = Indicator {
    name: "midpoint",
    summary: "The middle between the highest and the lowest of the last `window` values.",
    formula: "midpoint = (highest(x, window) + lowest(x, window)) / 2",
    source: "TA-Lib MIDPOINT.",
    numerics: "Extremes are values of the series; their middle is rounded once.",
    over: Over::Series,
    params: &[WINDOW],
    outputs: &["value"],
    lookback: |p| window(p[0]) - 1,
    memory: |_, _| Memory::Finite,
    compute: |source, p| {
        let values = source.series.values;
        vec![of_range(values, values, values, window(p[0]), middle)]
    },
};

/// Middle of the range of the candles.
pub(super) static MIDPRICE: Indicator = Indicator {
    name: "midprice",
    summary: "The middle between the highest high and the lowest low of the last `window` bars.",
    formula: "midprice = (highest(high, window) + lowest(low, window)) / 2",
    source: "TA-Lib MIDPRICE; the middle line of donchian.",
    numerics: "Extremes are values of the series; their middle is rounded once.",
    over: Over::Candle,
    params: &[WINDOW],
    outputs: &["value"],
    lookback: |p| window(p[0]) - 1,
    memory: |_, _| Memory::Finite,
    compute: |source, p| {
        let candles = &source.candles;
        vec![of_candles(candles, candles.high, window(p[0]), middle)]
    },
};

fn middle(top: f64, bottom: f64, _: f64) -> f64 {
    (top + bottom) / 2.0
}
