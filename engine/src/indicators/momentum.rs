//! Momentum of a series: how much and how steadily it has moved.

mod change;
mod convergence;
mod smoothed;

use super::common::{WINDOW, bars, ema_alpha, runs, smooth, unknown, wilder_alpha};
use super::{Indicator, Memory, Over, Source, bars_to_forget, window};
use crate::exact::mean;

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
    let alpha = wilder_alpha(window);
    vec![super::common::by_run(source.series.values, |run, out| {
        if run.len() <= window {
            return;
        }
        let moves = || run.windows(2).map(|pair| pair[1] - pair[0]);
        let mut gain = mean(&moves().take(window).map(|m| m.max(0.0)).collect::<Vec<_>>());
        let mut loss = mean(&moves().take(window).map(|m| (-m).max(0.0)).collect::<Vec<_>>());
        out[window] = share(gain, loss);
        for (out, change) in out[window + 1..].iter_mut().zip(moves().skip(window)) {
            gain += alpha * (change.max(0.0) - gain);
            loss += alpha * ((-change).max(0.0) - loss);
            *out = share(gain, loss);
        }
    })]
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
    let (fast, slow, signal) = (window(params[0]), window(params[1]), window(params[2]));
    let longer = fast.max(slow);
    let mut columns = vec![unknown(values.len()); 3];
    for run in runs(values) {
        let start = run.start + longer - 1;
        if start + signal > run.end {
            continue;
        }
        let average = |size: usize| {
            let input = &values[run.start + longer - size..run.end];
            let mut out = unknown(input.len());
            smooth(input, size, ema_alpha(size), &mut out);
            out.split_off(size - 1)
        };
        let line: Vec<f64> =
            average(fast).iter().zip(average(slow)).map(|(fast, slow)| fast - slow).collect();
        let mut signals = unknown(line.len());
        smooth(&line, signal, ema_alpha(signal), &mut signals);
        for i in signal - 1..line.len() {
            columns[0][start + i] = line[i];
            columns[1][start + i] = signals[i];
            columns[2][start + i] = line[i] - signals[i];
        }
    }
    columns
}

/// Rate of change in percent.
pub(super) static ROC: Indicator =
    Indicator {
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
        compute: |source, p| {
            against_past(source, window(p[0]), |now, past| {
                if past == 0.0 { f64::NAN } else { 100.0 * (now / past - 1.0) }
            })
        },
    };

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

fn against_past(source: &Source<'_>, window: usize, change: fn(f64, f64) -> f64) -> Vec<Vec<f64>> {
    let values = source.series.values;
    let mut column = unknown(values.len());
    for i in window..values.len() {
        column[i] = change(values[i], values[i - window]);
    }
    vec![column]
}
