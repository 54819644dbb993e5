//! Averages of a finite window whose values weigh differently, and an ema without its lag.

use std::ops::Range;

use super::super::common::{WINDOW, ema_alpha};
use super::super::smoothing::{PART, Smoother, column, parts, restarting};
use super::super::windows::{copy, means, products, weighted_means};
use super::super::{Indicator, Memory, Over, Source, bars_to_forget, window};
use crate::exact::{is_finite, mean};

/// Triangular moving average.
pub(super) static TRIMA: Indicator = Indicator {
    name: "trima",
    summary: "Triangular moving average: the values in the middle of the last `window` weigh most.",
    formula: "trima = sma(sma(x, (window + 1) / 2), window / 2 + 1), both divisions rounded down",
    source: "TA-Lib TRIMA.",
    numerics: "An exact window mean; the mean of those merged in halves, so that a flat series stays exactly flat.",
    over: Over::Series,
    params: &[WINDOW],
    outputs: &["value"],
    lookback: |p| window(p[0]) - 1,
    memory: |_, _| Memory::Finite,
    compute: |source, p| {
        let window = window(p[0]);
        let inner = source.series.sums.of(source.series.values).means(window.div_ceil(2));
        vec![means(&inner, window / 2 + 1)]
    },
};

/// Hull moving average.
pub(super) static HMA: Indicator = Indicator {
    name: "hma",
    summary: "Hull moving average: twice a wma of half the window less one of all of it, smoothed by a short wma.",
    formula: "hma = wma(2 * wma(x, window / 2) - wma(x, window), sqrt(window)), both windows rounded down, 1 at least",
    source: "Hull 2005; TA-Lib 0.8 HMA.",
    numerics: "Exact weighted sums; the weighted mean of those merged in halves, so that a flat series stays \
               exactly flat.",
    over: Over::Series,
    params: &[WINDOW],
    outputs: &["value"],
    lookback: |p| window(p[0]) + window(p[0]).isqrt() - 2,
    memory: |_, _| Memory::Finite,
    compute: hma,
};

fn hma(source: &Source<'_>, params: &[f64]) -> Vec<Vec<f64>> {
    let window = window(params[0]);
    let sums = source.series.sums.of(source.series.values);
    let (half, full) = (sums.weighted_means((window / 2).max(1)), sums.weighted_means(window));
    let ahead: Vec<f64> = half.iter().zip(&full).map(|(half, full)| half + (half - full)).collect();
    vec![weighted_means(&ahead, window.isqrt())]
}

/// Zero-lag exponential moving average.
pub(super) static ZLEMA: Indicator = Indicator {
    name: "zlema",
    summary: "Zero-lag exponential moving average: an ema of the series moved ahead by what it did over the lag.",
    formula: "lag = (window - 1) / 2, rounded down; zlema = ema(2 * x - x[lag], window)",
    source: "Ehlers and Way 2010; TA-Lib 0.8 ZLEMA, with its seed. After an unknown value it is unknown and seeds anew.",
    numerics: "The average of ema, which keeps a flat series exactly flat.",
    over: Over::Series,
    params: &[WINDOW],
    outputs: &["value"],
    lookback: |p| lag(window(p[0])) + window(p[0]) - 1,
    memory: |p, _| Memory::Recursive(bars_to_forget(ema_alpha(window(p[0])))),
    compute: zlema,
};

fn lag(window: usize) -> usize {
    (window - 1) / 2
}

fn zlema(source: &Source<'_>, params: &[f64]) -> Vec<Vec<f64>> {
    let window = window(params[0]);
    let lag = lag(window);
    vec![restarting(source.series.values, |values| {
        let first = lag + window - 1;
        let mut column = column(values.len(), first);
        if values.len() <= first {
            return is_finite(values).then_some(column);
        }
        let ahead = |bars: Range<usize>| {
            let past = &values[bars.start - lag..bars.end - lag];
            values[bars].iter().zip(past).map(|(now, past)| 2.0 * now - past)
        };
        let seed = mean(&ahead(lag..first + 1).collect::<Vec<_>>());
        column.push(seed);
        let mut smoother = Smoother::new([seed], [ema_alpha(window)]);
        let (mut fresh, mut averages) = ([[0.0]; PART], [[0.0]; PART]);
        for part in parts(values.len() - first - 1) {
            let (fresh, averages) = (&mut fresh[..part.len()], &mut averages[..part.len()]);
            for (fresh, value) in fresh.iter_mut().zip(ahead(first + 1 + part.start..first + 1 + part.end)) {
                *fresh = [value];
            }
            smoother.feed(fresh, averages);
            column.extend_from_slice(averages.as_flattened());
        }
        smoother.is_finite().then_some(column)
    })]
}

/// Volume-weighted moving average.
pub(super) static VWMA: Indicator = Indicator {
    name: "vwma",
    summary: "Volume-weighted moving average: the mean of the last `window` values, each weighed by the volume of its bar.",
    formula: "vwma = sum(x * volume, window) / sum(volume, window)",
    source: "TA-Lib 0.8 VWMA. A window without volume gives its plain mean (TA-Lib: unknown).",
    numerics: "The plain mean, moved by the covariance of values and volumes over the mean volume: nothing cancels, and a flat \
               series stays exactly flat.",
    over: Over::Series,
    params: &[WINDOW],
    outputs: &["value"],
    lookback: |p| window(p[0]) - 1,
    memory: |_, _| Memory::Finite,
    compute: vwma,
};

fn vwma(source: &Source<'_>, params: &[f64]) -> Vec<Vec<f64>> {
    let values = source.series.values;
    let (volumes, window) = (&source.candles.volume[..values.len()], window(params[0]));
    let size = window as f64;
    let value = |[mean, mean_volume, products]: [f64; 3]| {
        let volume = mean_volume * size;
        // The mean, moved by how the values go with their volumes.
        if volume > 0.0 { mean + products / volume } else { mean }
    };
    vec![products(0..values.len(), window, |bars, to| copy([values, volumes], bars, to), value)]
}
