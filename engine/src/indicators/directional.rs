//! Directional movement, and the vortex: which way the candles reach.

use std::ops::Range;

use super::common::{WINDOW, true_ranges, wilder_alpha};
use super::smoothing::{PART, Smoother, column, parts};
use super::trend::{Directional, adx, directional_column, movement};
use super::windows::sums;
use super::{Indicator, Memory, Over, Source, bars_to_forget, window};

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
    compute: |source, p| vec![directional_column(&source.candles, window(p[0]), Directional::index)],
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
    numerics: "`window` times an average of rma; nothing accumulates.",
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
    numerics: "`window` times an average of rma; nothing accumulates.",
    over: Over::Candle,
    params: &[WINDOW],
    outputs: &["value"],
    lookback: |p| window(p[0]).max(2) - 1,
    memory: |p, _| Memory::Recursive(bars_to_forget(wilder_alpha(window(p[0])))),
    compute: |source, p| wilder_sum(source, p, |(_, minus)| minus),
};

fn wilder_sum(source: &Source<'_>, params: &[f64], pick: impl Fn((f64, f64)) -> f64) -> Vec<Vec<f64>> {
    let window = window(params[0]);
    let len = source.candles.close.len();
    let first = window.max(2) - 1;
    let mut column = column(len, first);
    let moves = |i: usize| pick(movement(&source.candles, i));
    if len <= first {
        return vec![column];
    }
    // The sum is `window` times Wilder's average.
    let size = window as f64;
    let seed = (1..window).map(moves).sum::<f64>();
    if window > 1 {
        column.push(seed);
    }
    let mut smoother = Smoother::new([seed / size], [wilder_alpha(window)]);
    let (mut fresh, mut averages) = ([[0.0]; PART], [[0.0]; PART]);
    for part in parts(len - window) {
        let (fresh, averages) = (&mut fresh[..part.len()], &mut averages[..part.len()]);
        for (fresh, i) in fresh.iter_mut().zip(window + part.start..) {
            *fresh = [moves(i)];
        }
        smoother.feed(fresh, averages);
        column.extend(averages.iter().map(|[average]| size * average));
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
    numerics: "Sums of the window's own values, in pairs, so that no rounding stays behind when a jump leaves it; divided once.",
    over: Over::Candle,
    params: &[WINDOW],
    outputs: &["plus", "minus"],
    lookback: |p| window(p[0]),
    memory: |_, _| Memory::Finite,
    compute: vortex,
};

fn vortex(source: &Source<'_>, params: &[f64]) -> Vec<Vec<f64>> {
    let candles = &source.candles;
    let (len, window) = (candles.close.len(), window(params[0]));
    let (high, low) = (&candles.high[..len], &candles.low[..len]);
    let terms = |bars: Range<usize>, [plus, minus, range]: [&mut [f64]; 3]| {
        let before = bars.start - 1..bars.end - 1;
        let (high_before, low_before) = (&high[before.clone()], &low[before]);
        for (plus, (high, low)) in plus.iter_mut().zip(high[bars.clone()].iter().zip(low_before)) {
            *plus = (high - low).abs();
        }
        for (minus, (low, high)) in minus.iter_mut().zip(low[bars.clone()].iter().zip(high_before)) {
            *minus = (low - high).abs();
        }
        for (range, found) in range.iter_mut().zip(true_ranges(candles, bars)) {
            *range = found;
        }
    };
    let append = |_: Range<usize>, [[plus, minus, range]]: [[&[f64]; 3]; 1], columns: &mut [Vec<f64>; 2]| {
        for (column, sums) in columns.iter_mut().zip([plus, minus]) {
            column.extend(sums.iter().zip(range).map(|(sum, range)| {
                let share = sum / range;
                if *range == 0.0 { 0.0 } else { share }
            }));
        }
    };
    sums(1..len, [window], terms, append).into()
}
