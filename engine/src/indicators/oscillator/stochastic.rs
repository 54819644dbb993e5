//! Where a value stands in its recent range, unsmoothed and of other kinds.

use super::super::average::kind::{Average, SIMPLE, WILDER, chain, kind};
use super::super::common::{WINDOW, bars};
use super::super::extremes::{of_candles, of_range};
use super::super::momentum::RSI;
use super::super::{Indicator, Memory, Over, Source, window};

/// Below this range, in points of 100, an rsi has only been rounded: without trades it does not change.
const RSI_ROUNDING: f64 = 1e-10;

/// Fast stochastic oscillator.
pub(super) static STOCHF: Indicator = Indicator {
    name: "stochf",
    summary: "Fast stochastic oscillator, 0 to 100: where the close stands in the range of the last `k` bars, and its average.",
    formula: "k = 100 * (close - lowest(low, k)) / (highest(high, k) - lowest(low, k)); d = ma(k, d, d_type)",
    source: "Lane; TA-Lib STOCHF; both outputs begin together. A range of zero gives 50 (TA-Lib: 0).",
    numerics: "Extremes are values of the series; a simple average is merged in halves.",
    over: Over::Candle,
    params: &[bars("k", 5.0), bars("d", 3.0), kind("d_type", SIMPLE)],
    outputs: &["k", "d"],
    lookback: |p| window(p[0]) - 1 + Average::new(p[1], p[2]).lookback(),
    memory: |p, interval| Average::new(p[1], p[2]).memory(interval),
    compute: |source, p| smoothed(raw(source, window(p[0])), Average::new(p[1], p[2]), source),
};

/// Stochastic of the relative strength index.
pub(super) static STOCHRSI: Indicator = Indicator {
    name: "stochrsi",
    summary: "Stochastic RSI, 0 to 100: where the rsi stands in its own range of the last `k` bars, and its average.",
    formula: "r = rsi(x, window); k = 100 * (r - lowest(r, k)) / (highest(r, k) - lowest(r, k)); d = ma(k, d, d_type)",
    source: "Chande and Kroll 1994; TA-Lib STOCHRSI, with the seed of its rsi; both outputs begin together. A range of zero, \
             or of rounding (1e-10), gives 50 (TA-Lib: 0, or a share of the rounding).",
    numerics: "That of rsi; a simple average is merged in halves.",
    over: Over::Series,
    params: &[bars("window", 14.0), bars("k", 5.0), bars("d", 3.0), kind("d_type", SIMPLE)],
    outputs: &["k", "d"],
    lookback: |p| window(p[0]) + window(p[1]) - 1 + Average::new(p[2], p[3]).lookback(),
    memory: |p, interval| {
        chain(&[(RSI.memory)(&p[..1], interval), Average::new(p[2], p[3]).memory(interval)])
    },
    compute: |source, p| {
        let rsi = (RSI.compute)(source, &p[..1]).swap_remove(0);
        let place = |top: f64, bottom: f64, rsi: f64| place(rsi, top, bottom, RSI_ROUNDING);
        smoothed(of_range(&rsi, &rsi, &rsi, window(p[1]), place), Average::new(p[2], p[3]), source)
    },
};

/// KDJ.
pub(super) static KDJ: Indicator = Indicator {
    name: "kdj",
    summary: "KDJ: a stochastic oscillator smoothed as Wilder, and `j`, which runs ahead of it and beyond 0 and 100.",
    formula: "raw = 100 * (close - lowest(low, window)) / (highest(high, window) - lowest(low, window)); k = ma(raw, k, \
              k_type); d = ma(k, d, d_type); j = 3 * k - 2 * d",
    source: "TA-Lib 0.8 KDJ, with its seeds; k and d are its STOCH with averages of any kind (charting programs seed them with 50); all outputs begin together. A range of \
             zero gives a raw 50 (TA-Lib: 0).",
    numerics: "Extremes are values of the series; the averages are those that the words name.",
    over: Over::Candle,
    params: &[
        bars("window", 9.0),
        bars("k", 3.0),
        kind("k_type", WILDER),
        bars("d", 3.0),
        kind("d_type", WILDER),
    ],
    outputs: &["k", "d", "j"],
    lookback: |p| {
        window(p[0]) - 1 + Average::new(p[1], p[2]).lookback() + Average::new(p[3], p[4]).lookback()
    },
    memory: |p, interval| chain(&[1, 3].map(|at| Average::new(p[at], p[at + 1]).memory(interval))),
    compute: |source, p| {
        let k = Average::new(p[1], p[2]).of(&raw(source, window(p[0])), source);
        let mut columns = smoothed(k, Average::new(p[3], p[4]), source);
        let j = columns[0].iter().zip(&columns[1]).map(|(k, d)| 3.0 * k - 2.0 * d).collect();
        columns.push(j);
        columns
    },
};

/// Williams' %R.
pub(super) static WILLR: Indicator = Indicator {
    name: "willr",
    summary: "Williams' %R, -100 to 0: where the close stands below the highest high of the last `window` bars.",
    formula: "willr = -100 * (highest(high, window) - close) / (highest(high, window) - lowest(low, window))",
    source: "Williams 1979; TA-Lib WILLR. A range of zero gives -50 (TA-Lib: 0).",
    numerics: "Extremes are values of the series; one division.",
    over: Over::Candle,
    params: &[WINDOW],
    outputs: &["value"],
    lookback: |p| window(p[0]) - 1,
    memory: |_, _| Memory::Finite,
    compute: willr,
};

fn willr(source: &Source<'_>, params: &[f64]) -> Vec<Vec<f64>> {
    let candles = &source.candles;
    let below = |top: f64, bottom: f64, close: f64| {
        let range = top - bottom;
        let below = -100.0 * ((top - close) / range);
        if range == 0.0 { -50.0 } else { below }
    };
    vec![of_candles(candles, candles.close, window(params[0]), below)]
}

/// Where the close stands in the range of the last `window` bars, in percent; the middle of no range.
pub(super) fn raw(source: &Source<'_>, window: usize) -> Vec<f64> {
    let candles = &source.candles;
    of_candles(candles, candles.close, window, |top, bottom, close| place(close, top, bottom, 0.0))
}

/// Where a value stands between a highest and a lowest one, in percent; the middle where those are no more than `least`
/// apart.
#[inline(always)]
fn place(value: f64, top: f64, bottom: f64, least: f64) -> f64 {
    let range = top - bottom;
    let place = 100.0 * ((value - bottom) / range);
    if range <= least { 50.0 } else { place }
}

/// A line and its average, which begin together.
pub(super) fn smoothed(mut line: Vec<f64>, average: Average, source: &Source<'_>) -> Vec<Vec<f64>> {
    let averages = average.of(&line, source);
    for (line, average) in line.iter_mut().zip(&averages) {
        if average.is_nan() {
            *line = f64::NAN;
        }
    }
    vec![line, averages]
}
