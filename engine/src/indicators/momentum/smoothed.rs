//! Momentum, smoothed more than once.

use super::super::average::cascade::{Cascade, fill};
use super::super::common::{WINDOW, bars, by_run, ema_alpha};
use super::super::{Indicator, Memory, Over, Source, bars_to_forget, window};
use super::ROC;
use crate::exact::ExactSums;

/// Rate of change of a triple ema.
pub(super) static TRIX: Indicator = Indicator {
    name: "trix",
    summary: "TRIX: the change of a triple exponential average over one bar, in percent.",
    formula: "e = ema(ema(ema(x, window), window), window); trix = 100 * (e - e[1]) / e[1]",
    source: "Hutson; TA-Lib TRIX, with its seeds. Unknown when e[1] is 0 (TA-Lib: 0). After an unknown value it is unknown \
             and seeds anew.",
    numerics: "The averages of ema in one pass; the change is a difference of averages, as exact as those.",
    over: Over::Series,
    params: &[WINDOW],
    outputs: &["value"],
    lookback: |p| 3 * (window(p[0]) - 1) + 1,
    memory: |p, _| Memory::Recursive(3 * bars_to_forget(ema_alpha(window(p[0])))),
    compute: trix,
};

fn trix(source: &Source<'_>, params: &[f64]) -> Vec<Vec<f64>> {
    let windows = [window(params[0]); 3];
    vec![by_run(source.series.values, |run, out| {
        fill(run, windows, out, |averages| averages[2]);
        let mut before = f64::NAN;
        for out in out.iter_mut() {
            let now = *out;
            *out = if before == 0.0 { f64::NAN } else { 100.0 * ((now - before) / before) };
            before = now;
        }
    })]
}

/// True strength index.
pub(super) static TSI: Indicator = Indicator {
    name: "tsi",
    summary: "True strength index, -100 to 100: the moves, smoothed twice, as a share of their sizes, smoothed as well.",
    formula: "m = x - x[1]; tsi = 100 * ema(ema(m, first), second) / ema(ema(|m|, first), second)",
    source: "Blau 1991; TA-Lib 0.8 TSI, with its seeds. A series that has not moved at all gives 0. After an unknown value \
             it is unknown and seeds anew.",
    numerics: "The averages of ema, all in one pass.",
    over: Over::Series,
    params: &[bars("first", 25.0), bars("second", 13.0)],
    outputs: &["value"],
    lookback: |p| window(p[0]) + window(p[1]) - 1,
    memory: |p, _| {
        let forget = |p: f64| bars_to_forget(ema_alpha(window(p)));
        Memory::Recursive(forget(p[0]) + forget(p[1]))
    },
    compute: tsi,
};

fn tsi(source: &Source<'_>, params: &[f64]) -> Vec<Vec<f64>> {
    let windows = [window(params[0]), window(params[1])];
    let first = 1 + Cascade::lookback(&windows);
    let strength = |moved: f64, size: f64| if size > 0.0 { 100.0 * (moved / size) } else { 0.0 };
    vec![by_run(source.series.values, |run, out| {
        let Some(head) = run.get(..=first) else { return };
        let moves: Vec<f64> = head.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let sizes: Vec<f64> = moves.iter().map(|change| change.abs()).collect();
        let (Some(mut moved), Some(mut size)) =
            (Cascade::seeded(&moves, windows), Cascade::seeded(&sizes, windows))
        else {
            return;
        };
        out[first] = strength(moved.averages[1], size.averages[1]);
        for (out, pair) in out[first + 1..].iter_mut().zip(run[first..].windows(2)) {
            let change = pair[1] - pair[0];
            *out = strength(moved.next(change)[1], size.next(change.abs())[1]);
        }
    })]
}

/// Coppock curve.
pub(super) static COPPOCK: Indicator = Indicator {
    name: "coppock",
    summary: "Coppock curve: a weighted average of the changes over two windows, in percent.",
    formula: "coppock = wma(roc(x, roc1) + roc(x, roc2), window)",
    source: "Coppock 1962; TA-Lib 0.8 COPPOCK. Unknown when a past value is 0 (TA-Lib: 0).",
    numerics: "The weighted sum in double-double, divided once.",
    over: Over::Series,
    params: &[bars("window", 10.0), bars("roc1", 11.0), bars("roc2", 14.0)],
    outputs: &["value"],
    lookback: |p| window(p[1]).max(window(p[2])) + window(p[0]) - 1,
    memory: |_, _| Memory::Finite,
    compute: |source, p| {
        let [one, other] = [p[1], p[2]].map(|window| (ROC.compute)(source, &[window]).swap_remove(0));
        let both: Vec<f64> = one.iter().zip(&other).map(|(one, other)| one + other).collect();
        vec![ExactSums::real(&both).weighted_means(window(p[0]))]
    },
};
