//! Momentum, smoothed more than once.

use super::super::average::cascade::{Cascade, of_values};
use super::super::common::{WINDOW, bars, ema_alpha};
use super::super::smoothing::{PART, column, parts, restarting};
use super::super::windows::weighted_means;
use super::super::{Indicator, Memory, Over, Source, bars_to_forget, window};
use super::rate_of_change;
use crate::exact::is_finite;

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
    let mut column = of_values(source.series.values, windows, |averages| averages[2]);
    let mut past = f64::NAN;
    for out in &mut column {
        let now = *out;
        *out = if past == 0.0 { f64::NAN } else { 100.0 * ((now - past) / past) };
        past = now;
    }
    vec![column]
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
    let first = 1 + Cascade::<2, 2>::lookback(&windows);
    let strength = |moved: f64, size: f64| if size > 0.0 { 100.0 * (moved / size) } else { 0.0 };
    vec![restarting(source.series.values, |values| {
        let mut column = column(values.len(), first);
        // A move and its size.
        let moves = |bars: &[f64]| -> Vec<[f64; 2]> {
            bars.array_windows().map(|[past, now]| [now - past, (now - past).abs()]).collect()
        };
        let Some(mut cascade) = values.get(..=first).and_then(|head| Cascade::seeded(&moves(head), windows))
        else {
            return is_finite(values).then_some(column);
        };
        let [_, [moved, size]] = cascade.averages();
        column.push(strength(moved, size));
        for part in parts(values.len() - first - 1) {
            let mut room = [[0.0; 2]; PART];
            let room = &mut room[..part.len()];
            let bars = values[first + part.start..=first + part.end].array_windows();
            for (room, [past, now]) in room.iter_mut().zip(bars) {
                *room = [now - past, (now - past).abs()];
            }
            let averages = cascade.feed(room)[1][..part.len()].iter();
            column.extend(averages.map(|[moved, size]| strength(*moved, *size)));
        }
        cascade.is_finite().then_some(column)
    })]
}

/// Coppock curve.
pub(super) static COPPOCK: Indicator = Indicator {
    name: "coppock",
    summary: "Coppock curve: a weighted average of the changes over two windows, in percent.",
    formula: "coppock = wma(roc(x, roc1) + roc(x, roc2), window)",
    source: "Coppock 1962; TA-Lib 0.8 COPPOCK. Unknown when a past value is 0 (TA-Lib: 0).",
    numerics: "Weighted means of halves of the window are merged, so that nothing cancels.",
    over: Over::Series,
    params: &[bars("window", 10.0), bars("roc1", 11.0), bars("roc2", 14.0)],
    outputs: &["value"],
    lookback: |p| window(p[1]).max(window(p[2])) + window(p[0]) - 1,
    memory: |_, _| Memory::Finite,
    compute: |source, p| {
        let values = source.series.values;
        let back = [window(p[1]), window(p[2])];
        let first = back[0].max(back[1]);
        let mut both = column(values.len(), first);
        if let Some(now) = values.get(first..) {
            let [one, other] = back.map(|back| &values[first - back..]);
            both.extend(
                now.iter()
                    .zip(one)
                    .zip(other)
                    .map(|((&now, &one), &other)| rate_of_change(now, one) + rate_of_change(now, other)),
            );
        }
        vec![weighted_means(&both, window(p[0]))]
    },
};
