//! Momentum of a series: how much and how steadily it has moved.

mod change;
mod convergence;
mod smoothed;

use std::ops::Range;

use super::common::{WINDOW, bars, ema_alpha, runs, unknown, wilder_alpha};
use super::smoothing::{PART, Smoother, column, parts, restarting};
use super::{Indicator, Memory, Over, Source, bars_to_forget, window};
use crate::exact::{is_finite, mean};

/// The family, in the order of the docs.
pub(super) const FAMILY: &[&Indicator] = &[
    &RSI,
    &change::RSI_CUTLER,
    &change::CMO,
    &MACD,
    &convergence::MACDEXT,
    &convergence::PPO,
    &convergence::APO,
    &ROC,
    &change::ROCP,
    &change::ROCR,
    &MOM,
    &smoothed::TRIX,
    &smoothed::TSI,
    &smoothed::COPPOCK,
];

/// Relative strength index.
pub(super) static RSI: Indicator = Indicator {
    name: "rsi",
    summary: "Relative strength index, 0 to 100: the share of gains in all moves, by Wilder's averages.",
    formula: "rsi = 100 * gain / (gain + loss); gain and loss are Wilder's averages of max(x[i]-x[i-1], 0) and \
              max(x[i-1]-x[i], 0), seeded with the mean of the first window moves",
    source: "Wilder 1978; TA-Lib RSI. A series that has not moved at all since its start gives 50 (TA-Lib: 0). After an \
             unknown value it is unknown and seeds anew.",
    numerics: "Averages of gains and losses as rma; a share of zero by zero is defined.",
    over: Over::Series,
    params: &[WINDOW],
    outputs: &["value"],
    lookback: |p| window(p[0]),
    memory: |p, _| Memory::Recursive(bars_to_forget(wilder_alpha(window(p[0])))),
    compute: rsi,
};

fn rsi(source: &Source<'_>, params: &[f64]) -> Vec<Vec<f64>> {
    let window = window(params[0]);
    vec![restarting(source.series.values, |values| strength(values, window))]
}

/// The index of a run of values, unless one is not finite.
fn strength(values: &[f64], window: usize) -> Option<Vec<f64>> {
    let len = values.len();
    let mut column = column(len, window);
    if len <= window {
        return is_finite(values).then_some(column);
    }
    let moves = |range: Range<usize>| values[range].windows(2).map(|pair| gain_and_loss(pair[1] - pair[0]));
    let seed = [0, 1].map(|side| mean(&moves(0..window + 1).map(|m| m[side]).collect::<Vec<_>>()));
    column.push(share(seed[0], seed[1]));
    let mut smoother = Smoother::new(seed, [wilder_alpha(window); 2]);
    let (mut changes, mut averages) = ([[0.0; 2]; PART], [[0.0; 2]; PART]);
    for part in parts(len - window - 1) {
        let changes = &mut changes[..part.len()];
        for (change, found) in changes.iter_mut().zip(moves(part.start + window..part.end + window + 1)) {
            *change = found;
        }
        let averages = &mut averages[..part.len()];
        smoother.feed(changes, averages);
        column.extend(averages.iter().map(|[gain, loss]| share(*gain, *loss)));
    }
    smoother.is_finite().then_some(column)
}

/// A move as a gain and a loss, of which one is 0. What is not finite stays so in the loss.
fn gain_and_loss(change: f64) -> [f64; 2] {
    let gain = if change > 0.0 { change } else { 0.0 };
    [gain, gain - change]
}

/// `part` of `part + rest`, in percent; the middle when there is nothing.
pub(super) fn share(part: f64, rest: f64) -> f64 {
    let total = part + rest;
    if total > 0.0 { 100.0 * (part / total) } else { 50.0 }
}

/// Moving average convergence and divergence.
pub(super) static MACD: Indicator = Indicator {
    name: "macd",
    summary: "Moving average convergence/divergence: a fast less a slow exponential average, its own average, and the \
              difference of the two, in units of the series.",
    formula: "macd = ema(x, fast) - ema(x, slow); signal = ema(macd, signal); histogram = macd - signal. Both averages of \
              x give their first value at the same bar, the first at which the longer one can",
    source: "Appel; TA-Lib MACD, with its seeds; all outputs begin with the signal. A fast window longer than the slow \
             one gives the negative (TA-Lib swaps them).",
    numerics: "A difference of two averages: as exact as the prices, not as itself.",
    over: Over::Series,
    params: &[bars("fast", 12.0), bars("slow", 26.0), bars("signal", 9.0)],
    outputs: &["macd", "signal", "histogram"],
    lookback: |p| window(p[0]).max(window(p[1])) - 1 + window(p[2]) - 1,
    memory: |p, _| {
        let longer = window(p[0]).max(window(p[1]));
        Memory::Recursive(bars_to_forget(ema_alpha(longer)) + bars_to_forget(ema_alpha(window(p[2]))))
    },
    compute: macd,
};

fn macd(source: &Source<'_>, params: &[f64]) -> Vec<Vec<f64>> {
    let values = source.series.values;
    let windows = [0, 1, 2].map(|nth| window(params[nth]));
    if let Some(columns) = convergence(values, windows) {
        return columns.into();
    }
    let mut columns = vec![unknown(values.len()); 3];
    for run in runs(values) {
        for (whole, part) in
            columns.iter_mut().zip(convergence(&values[run.clone()], windows).iter().flatten())
        {
            whole[run.clone()].copy_from_slice(part);
        }
    }
    columns
}

/// The columns of a run of values, unless one is not finite.
fn convergence(values: &[f64], [fast, slow, signal]: [usize; 3]) -> Option<[Vec<f64>; 3]> {
    let len = values.len();
    let longer = fast.max(slow);
    let first = longer + signal - 2;
    if len <= first {
        return is_finite(values).then(|| [0; 3].map(|_| unknown(len)));
    }
    // Both averages are seeded at one bar, and with them the line between them.
    let seeds = [fast, slow].map(|window| mean(&values[longer - window..longer]));
    let mut averages = Smoother::new(seeds, [ema_alpha(fast), ema_alpha(slow)]);
    let mut line = column(len, longer - 1);
    line.push(seeds[0] - seeds[1]);
    let (mut pairs, mut found) = ([[0.0; 2]; PART], [[0.0; 2]; PART]);
    for part in parts(len - longer) {
        let pairs = &mut pairs[..part.len()];
        for (pair, value) in pairs.iter_mut().zip(&values[longer + part.start..]) {
            *pair = [*value; 2];
        }
        let found = &mut found[..part.len()];
        averages.feed(pairs, found);
        line.extend(found.iter().map(|[fast, slow]| fast - slow));
    }
    if !averages.is_finite() {
        return None;
    }
    let seed = mean(&line[longer - 1..=first]);
    let mut average = Smoother::new([seed], [ema_alpha(signal)]);
    let (mut signals, mut histogram) = (column(len, first), column(len, first));
    signals.push(seed);
    histogram.push(line[first] - seed);
    let mut found = [[0.0]; PART];
    for part in line[first + 1..].chunks(PART) {
        let found = &mut found[..part.len()];
        average.feed(part.as_chunks().0, found);
        signals.extend_from_slice(found.as_flattened());
        histogram.extend(part.iter().zip(found).map(|(line, [signal])| line - *signal));
    }
    line[longer - 1..first].fill(f64::NAN);
    Some([line, signals, histogram])
}

/// Rate of change in percent.
pub(super) static ROC: Indicator = Indicator {
    name: "roc",
    summary: "Rate of change: the change over `window` bars, in percent.",
    formula: "roc[i] = 100 * (x[i] / x[i-window] - 1)",
    source: "TA-Lib ROC. Unknown when x[i-window] is 0 (TA-Lib: 0).",
    numerics: "One division.",
    over: Over::Series,
    params: &[WINDOW],
    outputs: &["value"],
    lookback: |p| window(p[0]),
    memory: |_, _| Memory::Finite,
    compute: |source, p| against_past(source, window(p[0]), rate_of_change),
};

/// A change in percent, written without a branch.
#[inline(always)]
fn rate_of_change(now: f64, past: f64) -> f64 {
    let change = 100.0 * (now / past - 1.0);
    if past == 0.0 { f64::NAN } else { change }
}

/// Momentum.
pub(super) static MOM: Indicator = Indicator {
    name: "mom",
    summary: "Momentum: the change over `window` bars, in units of the series.",
    formula: "mom[i] = x[i] - x[i-window]",
    source: "TA-Lib MOM.",
    numerics: "One subtraction.",
    over: Over::Series,
    params: &[WINDOW],
    outputs: &["value"],
    lookback: |p| window(p[0]),
    memory: |_, _| Memory::Finite,
    compute: |source, p| against_past(source, window(p[0]), |now, past| now - past),
};

fn against_past(source: &Source<'_>, window: usize, change: impl Fn(f64, f64) -> f64) -> Vec<Vec<f64>> {
    let values = source.series.values;
    let mut column = column(values.len(), window);
    let now = values.get(window..).unwrap_or_default();
    column.extend(now.iter().zip(values).map(|(now, past)| change(*now, *past)));
    vec![column]
}
