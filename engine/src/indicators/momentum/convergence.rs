//! How far a fast average is from a slow one.

use super::super::average::kind::{Average, EXPONENTIAL, SIMPLE, chain, kind, longest};
use super::super::common::bars;
use super::super::{Indicator, Memory, Over, Source};
use crate::interval::Interval;

/// MACD of any averages.
pub(super) static MACDEXT: Indicator = Indicator {
    name: "macdext",
    summary: "MACD with averages of any kind: a fast less a slow average, its own average, and the difference of the two, in \
              units of the series.",
    formula: "macd = ma(x, fast, fast_type) - ma(x, slow, slow_type); signal = ma(macd, signal, signal_type); histogram = \
              macd - signal. Both averages of x give their first value at the same bar, the first at which the longer can",
    source: "TA-Lib MACDEXT, with its seeds; all outputs begin with the signal. A fast window longer than the slow one gives \
             the negative (TA-Lib swaps them).",
    numerics: "A difference of two averages: as exact as the prices, not as itself.",
    over: Over::Series,
    params: &[
        bars("fast", 12.0),
        kind("fast_type", SIMPLE),
        bars("slow", 26.0),
        kind("slow_type", SIMPLE),
        bars("signal", 9.0),
        kind("signal_type", SIMPLE),
    ],
    outputs: &["macd", "signal", "histogram"],
    lookback: |p| {
        Average::new(p[0], p[1]).lookback().max(Average::new(p[2], p[3]).lookback())
            + Average::new(p[4], p[5]).lookback()
    },
    memory: |p, interval| {
        let [fast, slow, signal] = [0, 2, 4].map(|at| Average::new(p[at], p[at + 1]).memory(interval));
        chain(&[longest(&[fast, slow]), signal])
    },
    compute: macdext,
};

fn macdext(source: &Source<'_>, params: &[f64]) -> Vec<Vec<f64>> {
    let [fast, slow, signal] = [0, 2, 4].map(|at| Average::new(params[at], params[at + 1]));
    let lookback = fast.lookback().max(slow.lookback());
    let [fast, slow] = [fast, slow].map(|average| average.beginning_at(lookback, source));
    let mut line: Vec<f64> = fast.iter().zip(&slow).map(|(fast, slow)| fast - slow).collect();
    let signals = signal.of(&line, source);
    for (line, signal) in line.iter_mut().zip(&signals) {
        if signal.is_nan() {
            *line = f64::NAN;
        }
    }
    let histogram = line.iter().zip(&signals).map(|(line, signal)| line - signal).collect();
    vec![line, signals, histogram]
}

/// Absolute price oscillator.
pub(super) static APO: Indicator = Indicator {
    name: "apo",
    summary: "Absolute price oscillator: a fast less a slow average, in units of the series.",
    formula: "apo = ma(x, fast, type) - ma(x, slow, type)",
    source: "TA-Lib APO: each average begins as early as it can, unlike those of macd. A fast window longer than the slow one \
             gives the negative (TA-Lib swaps them).",
    numerics: "A difference of two averages: as exact as the prices, not as itself.",
    over: Over::Series,
    params: &[bars("fast", 12.0), bars("slow", 26.0), kind("type", EXPONENTIAL)],
    outputs: &["value"],
    lookback: |p| Average::new(p[0], p[2]).lookback().max(Average::new(p[1], p[2]).lookback()),
    memory: pair_memory,
    compute: |source, p| pair(source, p, |fast, slow| fast - slow),
};

/// Percentage price oscillator.
pub(super) static PPO: Indicator = Indicator {
    name: "ppo",
    summary: "Percentage price oscillator: a fast less a slow average, in percent of the slow one.",
    formula: "ppo = 100 * (ma(x, fast, type) - ma(x, slow, type)) / ma(x, slow, type)",
    source: "TA-Lib PPO: each average begins as early as it can, unlike those of macd. TA-Lib swaps a fast window longer than \
             the slow one, ours does not. Unknown when the slow average is 0 (TA-Lib: 0).",
    numerics: "A difference of two averages: as exact as the prices, not as itself.",
    over: Over::Series,
    params: &[bars("fast", 12.0), bars("slow", 26.0), kind("type", EXPONENTIAL)],
    outputs: &["value"],
    lookback: APO.lookback,
    memory: pair_memory,
    compute: |source, p| {
        pair(source, p, |fast, slow| if slow == 0.0 { f64::NAN } else { 100.0 * ((fast - slow) / slow) })
    },
};

fn pair_memory(params: &[f64], interval: Interval) -> Memory {
    longest(&[0, 1].map(|at| Average::new(params[at], params[2]).memory(interval)))
}

/// `value` of a fast and a slow average of one kind.
fn pair(source: &Source<'_>, params: &[f64], value: fn(f64, f64) -> f64) -> Vec<Vec<f64>> {
    let [fast, slow] = [0, 1].map(|at| Average::new(params[at], params[2]).compute(source));
    vec![fast.iter().zip(&slow).map(|(&fast, &slow)| value(fast, slow)).collect()]
}
