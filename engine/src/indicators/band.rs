//! Bands around a price: a middle, an upper and a lower line.

use super::common::{
    WINDOW, bars, ema_alpha, highest, lowest, positive, true_ranges, typical_prices, wilder_alpha,
};
use super::smoothing::{PART, Smoother, column, parts};
use super::{Indicator, Memory, Over, Source, bars_to_forget, window};
use crate::exact::mean;

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
    let candles = &source.candles;
    let (size, range_size) = (window(params[0]), window(params[1]));
    let (start, factor) = (keltner_lookback(params), params[2]);
    let mut columns = [(); 3].map(|()| column(candles.close.len(), start));
    if candles.close.len() <= start {
        return columns.into();
    }
    // Both averages go side by side, as the lanes of one.
    let seeds = [
        mean(&typical_prices(candles, start + 1 - size..start + 1).collect::<Vec<_>>()),
        mean(&true_ranges(candles, start + 1 - range_size..start + 1).collect::<Vec<_>>()),
    ];
    let mut append = |averages: &[[f64; 2]]| {
        let [middle, upper, lower] = &mut columns;
        middle.extend(averages.iter().map(|[middle, _]| middle));
        upper.extend(averages.iter().map(|[middle, range]| middle + factor * range));
        lower.extend(averages.iter().map(|[middle, range]| middle - factor * range));
    };
    append(&[seeds]);
    let mut smoother = Smoother::new(seeds, [ema_alpha(size), wilder_alpha(range_size)]);
    let (mut fresh, mut averages) = ([[0.0; 2]; PART], [[0.0; 2]; PART]);
    for part in parts(candles.close.len() - start - 1) {
        let bars = start + 1 + part.start..start + 1 + part.end;
        let (fresh, averages) = (&mut fresh[..part.len()], &mut averages[..part.len()]);
        let both = typical_prices(candles, bars.clone()).zip(true_ranges(candles, bars));
        for (fresh, (price, range)) in fresh.iter_mut().zip(both) {
            *fresh = [price, range];
        }
        smoother.feed(fresh, averages);
        append(averages);
    }
    columns.into()
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
