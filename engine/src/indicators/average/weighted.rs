//! Averages of a finite window whose values weigh differently, and an ema without its lag.

use super::super::common::{WINDOW, by_run, ema_alpha, runs, smooth, unknown};
use super::super::{Indicator, Memory, Over, Source, bars_to_forget, window};
use crate::exact::{Double, ExactSums};

/// Triangular moving average.
pub(super) static TRIMA: Indicator = Indicator {
    name: "trima",
    summary: "Triangular moving average: the values in the middle of the last `window` weigh most.",
    formula: "trima = sma(sma(x, (window + 1) / 2), window / 2 + 1), both divisions rounded down",
    source: "TA-Lib TRIMA.",
    numerics: "Two exact window means, the first of decimals where there are, each rounded once.",
    over: Over::Series,
    params: &[WINDOW],
    outputs: &["value"],
    lookback: |p| window(p[0]) - 1,
    memory: |_, _| Memory::Finite,
    compute: |source, p| {
        let window = window(p[0]);
        let means = source.series.sums.of(source.series.values).means(window.div_ceil(2));
        vec![ExactSums::real(&means).means(window / 2 + 1)]
    },
};

/// Hull moving average.
pub(super) static HMA: Indicator = Indicator {
    name: "hma",
    summary: "Hull moving average: twice a wma of half the window less one of all of it, smoothed by a short wma.",
    formula: "hma = wma(2 * wma(x, window / 2) - wma(x, window), sqrt(window)), both windows rounded down, 1 at least",
    source: "Hull 2005; TA-Lib 0.8 HMA.",
    numerics: "Exact weighted sums, each divided and rounded once.",
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
    vec![ExactSums::real(&ahead).weighted_means(window.isqrt())]
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
    vec![by_run(source.series.values, |run, out| {
        if let (Some(now), Some(out)) = (run.get(lag..), out.get_mut(lag..)) {
            let ahead: Vec<f64> = now.iter().zip(run).map(|(now, past)| 2.0 * now - past).collect();
            smooth(&ahead, window, ema_alpha(window), out);
        }
    })]
}

/// Volume-weighted moving average.
pub(super) static VWMA: Indicator = Indicator {
    name: "vwma",
    summary: "Volume-weighted moving average: the mean of the last `window` values, each weighed by the volume of its bar.",
    formula: "vwma = sum(x * volume, window) / sum(volume, window)",
    source: "TA-Lib 0.8 VWMA. A window without volume gives its plain mean (TA-Lib: unknown).",
    numerics: "Both sums in double-double, products included, divided once: a flat series stays exactly flat.",
    over: Over::Series,
    params: &[WINDOW],
    outputs: &["value"],
    lookback: |p| window(p[0]) - 1,
    memory: |_, _| Memory::Finite,
    compute: vwma,
};

fn vwma(source: &Source<'_>, params: &[f64]) -> Vec<Vec<f64>> {
    let (values, volumes) = (source.series.values, source.candles.volume);
    let window = window(params[0]);
    let mut column = unknown(values.len());
    let mut plain = None;
    for run in runs(values).filter(|run| run.len() >= window) {
        let bars = || values[run.clone()].iter().zip(&volumes[run.clone()]);
        let value = prefix(bars().map(|(&value, &volume)| Double::product(value, volume)));
        let volume = prefix(bars().map(|(_, &volume)| Double::ZERO.plus(volume)));
        for i in window - 1..run.len() {
            let over = |sums: &[Double]| sums[i + 1].sub(sums[i + 1 - window]);
            let total = over(&volume);
            column[run.start + i] = if total.value() > 0.0 {
                over(&value).ratio(total)
            } else {
                plain.get_or_insert_with(|| source.series.sums.of(values).means(window))[run.start + i]
            };
        }
    }
    vec![column]
}

/// The sums of the terms before each, and of all of them.
fn prefix(terms: impl Iterator<Item = Double>) -> Vec<Double> {
    let mut sum = Double::ZERO;
    let sums = terms.map(|term| {
        sum = sum.add(term);
        sum
    });
    std::iter::once(Double::ZERO).chain(sums).collect()
}
