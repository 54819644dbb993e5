//! Directional movement, and the vortex: which way the candles reach.

use super::common::{WINDOW, true_range, unknown, wilder_alpha};
use super::trend::{adx, directional, movement};
use super::{Indicator, Memory, Over, Source, bars_to_forget, window};
use crate::exact::ExactSums;

/// Directional index.
pub(super) static DX: Indicator = Indicator {
    name: "dx",
    summary: "Directional index, 0 to 100: how one-sided the directional movement is.",
    formula: "dx = 100 * |plus_di - minus_di| / (plus_di + minus_di)",
    source: "Wilder 1978; TA-Lib DX, also for a window of 1. Without any directional movement it is 0, as in \
             adx.",
    numerics: "Wilder's sums as averages of rma.",
    over: Over::Candle,
    params: &[WINDOW],
    outputs: &["value"],
    lookback: |p| window(p[0]),
    memory: |p, _| Memory::Recursive(bars_to_forget(wilder_alpha(window(p[0])))),
    compute: |source, p| {
        let window = window(p[0]);
        let mut column = unknown(source.candles.close.len());
        for (out, at) in column.iter_mut().skip(window).zip(directional(&source.candles, window)) {
            *out = at.index();
        }
        vec![column]
    },
};

/// Average directional index rating.
pub(super) static ADXR: Indicator = Indicator {
    name: "adxr",
    summary: "Average directional index rating, 0 to 100: the mean of adx now and window - 1 bars ago.",
    formula: "adxr[i] = (adx[i] + adx[i-window+1]) / 2",
    source: "Wilder 1978; TA-Lib ADXR, also for a window of 1.",
    numerics: "The adx; rounded once more.",
    over: Over::Candle,
    params: &[WINDOW],
    outputs: &["value"],
    lookback: |p| 3 * window(p[0]) - 2,
    memory: |p, _| Memory::Recursive(2 * bars_to_forget(wilder_alpha(window(p[0])))),
    compute: adxr,
};

fn adxr(source: &Source<'_>, params: &[f64]) -> Vec<Vec<f64>> {
    let mut columns = adx(source, params);
    let back = window(params[0]) - 1;
    for column in &mut columns {
        // From the end, so that what stands before is still the adx.
        for i in (0..column.len()).rev() {
            column[i] = i.checked_sub(back).map_or(f64::NAN, |past| (column[i] + column[past]) / 2.0);
        }
    }
    columns
}

/// Positive directional movement.
pub(super) static PLUS_DM: Indicator = Indicator {
    name: "plus_dm",
    summary: "Positive directional movement: Wilder's sum of upward movement over about `window` bars, in price units.",
    formula: "plus_dm[i] = plus_dm[i-1] - plus_dm[i-1] / window + DM; the first is the sum of the first window - 1. DM = high - \
              high[1] where that is positive and more than low[1] - low, else 0",
    source: "Wilder 1978; TA-Lib PLUS_DM, with its seed. A window of 1 gives DM itself.",
    numerics: "A sum that forgets; nothing accumulates.",
    over: Over::Candle,
    params: &[WINDOW],
    outputs: &["value"],
    lookback: |p| window(p[0]).max(2) - 1,
    memory: |p, _| Memory::Recursive(bars_to_forget(wilder_alpha(window(p[0])))),
    compute: |source, p| wilder_sum(source, p, |(plus, _)| plus),
};

/// Negative directional movement.
pub(super) static MINUS_DM: Indicator = Indicator {
    name: "minus_dm",
    summary: "Negative directional movement: Wilder's sum of downward movement over about `window` bars, in price units.",
    formula: "minus_dm[i] = minus_dm[i-1] - minus_dm[i-1] / window + DM; the first is the sum of the first window - 1. DM = \
              low[1] - low where that is positive and more than high - high[1], else 0",
    source: "Wilder 1978; TA-Lib MINUS_DM, with its seed. A window of 1 gives DM itself.",
    numerics: "A sum that forgets; nothing accumulates.",
    over: Over::Candle,
    params: &[WINDOW],
    outputs: &["value"],
    lookback: |p| window(p[0]).max(2) - 1,
    memory: |p, _| Memory::Recursive(bars_to_forget(wilder_alpha(window(p[0])))),
    compute: |source, p| wilder_sum(source, p, |(_, minus)| minus),
};

fn wilder_sum(source: &Source<'_>, params: &[f64], pick: fn((f64, f64)) -> f64) -> Vec<Vec<f64>> {
    let window = window(params[0]);
    let mut column = unknown(source.candles.close.len());
    let mut sum = 0.0;
    for (i, out) in column.iter_mut().enumerate().skip(1) {
        if i >= window {
            sum -= sum / window as f64;
        }
        sum += pick(movement(&source.candles, i));
        if i + 1 >= window {
            *out = sum;
        }
    }
    vec![column]
}

/// Vortex indicator.
pub(super) static VORTEX: Indicator = Indicator {
    name: "vortex",
    summary: "Vortex indicator: how far the candles reach up from the low before and down from the high before, as shares of \
              the true range over `window` bars.",
    formula: "plus = sum(|high - low[1]|, window) / sum(tr, window); minus = sum(|low - high[1]|, window) / sum(tr, window)",
    source: "Botes and Siepman 2010; TA-Lib 0.8 VORTEX. Without a true range both are 0, as there.",
    numerics: "Window sums in double-double, divided once.",
    over: Over::Candle,
    params: &[WINDOW],
    outputs: &["plus", "minus"],
    lookback: |p| window(p[0]),
    memory: |_, _| Memory::Finite,
    compute: vortex,
};

fn vortex(source: &Source<'_>, params: &[f64]) -> Vec<Vec<f64>> {
    let candles = &source.candles;
    let reach = |from: &[f64], to: &[f64]| {
        let mut column = unknown(to.len());
        for (out, (to, from)) in column.iter_mut().skip(1).zip(to.iter().skip(1).zip(from)) {
            *out = (to - from).abs();
        }
        column
    };
    let window_sums = |column: &[f64]| ExactSums::real(column).window_sums(window(params[0]));
    let ranges = window_sums(&true_range(candles));
    let lines = [reach(candles.low, candles.high), reach(candles.high, candles.low)];
    let share = |line: Vec<f64>| {
        let sums = window_sums(&line).into_iter().zip(&ranges);
        sums.map(|(sum, &range)| if range == 0.0 { 0.0 } else { sum / range }).collect()
    };
    lines.map(share).into()
}
