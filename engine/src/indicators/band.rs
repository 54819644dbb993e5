//! Bands around a price: a middle, an upper and a lower line.

use super::common::{
    WINDOW, bars, ema_alpha, highest, lowest, positive, smooth, true_range, typical_price, unknown,
    wilder_alpha,
};
use super::{Indicator, Memory, Over, Source, bars_to_forget, window};

/// The family, in the order of the docs.
pub(super) const FAMILY: &[&Indicator] = &[&BBANDS, &KELTNER, &DONCHIAN];

const LINES: &[&str] = &["middle", "upper", "lower"];

/// Bollinger bands.
pub(super) static BBANDS: Indicator = Indicator {
    name: "bbands",
    summary: "Bollinger bands: the mean of the last `window` values, and lines `deviations` standard deviations away.",
    formula: "middle = sma(x, window); upper, lower = middle +- deviations * stddev(x, window)",
    source: "Bollinger; TA-Lib BBANDS with a simple average; population deviation (ddof 0), exactly 0 on a flat window.",
    numerics: "Exact window sums for the middle and the deviation, as sma and stddev.",
    over: Over::Series,
    params: &[WINDOW, positive("deviations", 2.0)],
    outputs: LINES,
    lookback: |p| window(p[0]) - 1,
    memory: |_, _| Memory::Finite,
    compute: |source, p| {
        let sums = source.series.sums.of(source.series.values);
        let factor = p[1];
        let append = |means: &[f64], deviations: &[f64], [middle, upper, lower]: &mut [Vec<f64>; 3]| {
            middle.extend_from_slice(means);
            upper.extend(means.iter().zip(deviations).map(|(mean, deviation)| mean + factor * deviation));
            lower.extend(means.iter().zip(deviations).map(|(mean, deviation)| mean - factor * deviation));
        };
        sums.means_and_deviations(window(p[0]), append).into()
    },
};

/// Keltner channel.
pub(super) static KELTNER: Indicator = Indicator {
    name: "keltner",
    summary: "Keltner channel: an exponential average of the typical price, and lines `multiplier` average true ranges \
              away; in price units.",
    formula: "middle = ema((high + low + close) / 3, window); upper, lower = middle +- multiplier * atr(atr_window). Both \
              averages give their first value at the same bar, the first at which the longer one can",
    source: "Keltner, as Raschke: TA-Lib 0.8 KC, with its seeds (Wilder's atr, seeded late if the ema is longer).",
    numerics: "The averages of ema and rma.",
    over: Over::Candle,
    params: &[WINDOW, bars("atr_window", 10.0), positive("multiplier", 2.0)],
    outputs: LINES,
    lookback: keltner_lookback,
    memory: |p, _| {
        let forget = [ema_alpha(window(p[0])), wilder_alpha(window(p[1]))].map(bars_to_forget);
        Memory::Recursive(forget[0].max(forget[1]))
    },
    compute: keltner,
};

fn keltner_lookback(params: &[f64]) -> usize {
    (window(params[0]) - 1).max(window(params[1]))
}

fn keltner(source: &Source<'_>, params: &[f64]) -> Vec<Vec<f64>> {
    let len = source.candles.close.len();
    let (size, range_size) = (window(params[0]), window(params[1]));
    let start = keltner_lookback(params);
    let (mut middle, mut range) = (unknown(len), unknown(len));
    if start < len {
        let from = start + 1 - size;
        smooth(&typical_price(&source.candles)[from..], size, ema_alpha(size), &mut middle[from..]);
        let from = start + 1 - range_size;
        smooth(
            &true_range(&source.candles)[from..],
            range_size,
            wilder_alpha(range_size),
            &mut range[from..],
        );
    }
    around(middle, &range, params[2])
}

/// Donchian channel.
pub(super) static DONCHIAN: Indicator = Indicator {
    name: "donchian",
    summary: "Donchian channel: the highest high and the lowest low of the last `window` bars, and the middle of them.",
    formula: "upper = highest(high, window); lower = lowest(low, window); middle = (upper + lower) / 2",
    source: "Donchian; TA-Lib 0.8 DONCHIAN. The current bar is included: a close never lies outside. For a breakout \
             compare with the bar before: close > donchian(20).upper[1].",
    numerics: "Values of the series; only the middle is rounded, once.",
    over: Over::Candle,
    params: &[WINDOW],
    outputs: LINES,
    lookback: |p| window(p[0]) - 1,
    memory: |_, _| Memory::Finite,
    compute: |source, p| {
        let upper = highest(source.candles.high, window(p[0]));
        let lower = lowest(source.candles.low, window(p[0]));
        let middle = upper.iter().zip(&lower).map(|(upper, lower)| (upper + lower) / 2.0).collect();
        vec![middle, upper, lower]
    },
};

/// Lines `factor` widths above and below the middle.
pub(super) fn around(middle: Vec<f64>, width: &[f64], factor: f64) -> Vec<Vec<f64>> {
    let (mut upper, mut lower) = (Vec::with_capacity(width.len()), Vec::with_capacity(width.len()));
    for (middle, width) in middle.iter().zip(width) {
        upper.push(middle + factor * width);
        lower.push(middle - factor * width);
    }
    vec![middle, upper, lower]
}
