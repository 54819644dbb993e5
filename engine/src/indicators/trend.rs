//! Direction and strength of a trend, and stops that follow it.

use super::common::{WINDOW, average_true_range, positive, true_range_at, unknown, wilder_alpha};
use super::smoothing::{PART, Smoother, column, parts, smoothed};
use super::windows::plus;
use super::{CandleColumns, Indicator, Memory, Over, Source, bars_to_forget, window};

/// The family, in the order of the docs.
pub(super) const FAMILY: &[&Indicator] = &[
    &ADX,
    &super::directional::ADXR,
    &super::directional::DX,
    &PLUS_DI,
    &MINUS_DI,
    &super::directional::PLUS_DM,
    &super::directional::MINUS_DM,
    &super::directional::VORTEX,
    &SAR,
    &super::sarext::SAREXT,
    &SUPERTREND,
    &super::fractal::FRACTAL,
    &super::ichimoku::ICHIMOKU,
];

/// Bars after which two histories of a path-dependent stop have nearly always met.
pub(super) const PATH_MEMORY: usize = 250;

/// Average directional index.
pub(super) static ADX: Indicator = Indicator {
    name: "adx",
    summary: "Average directional index, 0 to 100: how strong the trend is, in either direction.",
    formula: "dx = 100 * |plus_di - minus_di| / (plus_di + minus_di); adx = Wilder's average of dx, seeded with the mean of \
              the first window",
    source: "Wilder 1978; TA-Lib ADX, with its seeds. Without any directional movement dx is 0.",
    numerics: "Wilder's sums as averages of rma; nothing accumulates without forgetting.",
    over: Over::Candle,
    params: &[WINDOW],
    outputs: &["value"],
    lookback: |p| 2 * window(p[0]) - 1,
    memory: |p, _| Memory::Recursive(2 * bars_to_forget(wilder_alpha(window(p[0])))),
    compute: adx,
};

/// Positive directional indicator.
pub(super) static PLUS_DI: Indicator = Indicator {
    name: "plus_di",
    summary: "Positive directional indicator, 0 to 100: upward movement as a share of the true range.",
    formula: "plus_di = 100 * P / T; P and T are Wilder's sums (s += x - s / window) of +DM and the true range. +DM = high \
              - high[1] where that is positive and more than low[1] - low, else 0",
    source: "Wilder 1978; TA-Lib PLUS_DI, with its seed; also for a window of 1 (TA-Lib: a fraction, not percent). Without a \
             true range it is 0.",
    numerics: "Wilder's sums as averages of rma.",
    over: Over::Candle,
    params: &[WINDOW],
    outputs: &["value"],
    lookback: |p| window(p[0]),
    memory: |p, _| Memory::Recursive(bars_to_forget(wilder_alpha(window(p[0])))),
    compute: |source, p| vec![directional_column(&source.candles, window(p[0]), |at| at.plus_di)],
};

/// Negative directional indicator.
pub(super) static MINUS_DI: Indicator = Indicator {
    name: "minus_di",
    summary: "Negative directional indicator, 0 to 100: downward movement as a share of the true range.",
    formula: "minus_di = 100 * M / T; M and T are Wilder's sums (s += x - s / window) of -DM and the true range. -DM = \
              low[1] - low where that is positive and more than high - high[1], else 0",
    source: "Wilder 1978; TA-Lib MINUS_DI, with its seed; also for a window of 1 (TA-Lib: a fraction, not percent). Without a \
             true range it is 0.",
    numerics: "Wilder's sums as averages of rma.",
    over: Over::Candle,
    params: &[WINDOW],
    outputs: &["value"],
    lookback: |p| window(p[0]),
    memory: |p, _| Memory::Recursive(bars_to_forget(wilder_alpha(window(p[0])))),
    compute: |source, p| vec![directional_column(&source.candles, window(p[0]), |at| at.minus_di)],
};

/// The directional indicators at a bar.
#[derive(Clone, Copy)]
pub(super) struct Directional {
    plus_di: f64,
    minus_di: f64,
}

impl Directional {
    /// How one-sided they are, 0 to 100.
    pub(super) fn index(&self) -> f64 {
        let total = self.plus_di + self.minus_di;
        if total > 0.0 { 100.0 * ((self.plus_di - self.minus_di).abs() / total) } else { 0.0 }
    }
}

/// Movement up and down from bar `i - 1` to bar `i >= 1`; only the larger counts.
pub(super) fn movement(candles: &CandleColumns<'_>, i: usize) -> (f64, f64) {
    let up = candles.high[i] - candles.high[i - 1];
    let down = candles.low[i - 1] - candles.low[i];
    // Which way a bar goes cannot be foreseen: a factor of 0 or 1 costs less than a branch.
    (up * f64::from((up > down) & (up > 0.0)), down * f64::from((down > up) & (down > 0.0)))
}

/// Hands the directional indicators of bars `window` and after to `each`, some at a time: Wilder's sums, seeded with the
/// plain sums of the first `window - 1` moves.
pub(super) fn directional(candles: &CandleColumns<'_>, window: usize, mut each: impl FnMut(&[Directional])) {
    let len = candles.close.len();
    if len <= window {
        return;
    }
    let moves = |i: usize| {
        let (up, down) = movement(candles, i);
        [up, down, true_range_at(candles, i), 0.0]
    };
    // A sum that forgets is `window` times Wilder's average, and shares of sums are those of averages.
    let sums = (1..window).map(moves).fold([0.0; 4], plus);
    let mut smoother = Smoother::new(sums.map(|sum| sum / window as f64), [wilder_alpha(window); 4]);
    let (mut fresh, mut averages) = ([[0.0; 4]; PART], [[0.0; 4]; PART]);
    let mut found = [Directional { plus_di: 0.0, minus_di: 0.0 }; PART];
    for part in parts(len - window) {
        let (fresh, averages) = (&mut fresh[..part.len()], &mut averages[..part.len()]);
        for (fresh, i) in fresh.iter_mut().zip(window + part.start..) {
            *fresh = moves(i);
        }
        smoother.feed(fresh, averages);
        for (found, [plus, minus, range, _]) in found.iter_mut().zip(&*averages) {
            let indicator = |movement: f64| if *range > 0.0 { 100.0 * (movement / range) } else { 0.0 };
            *found = Directional { plus_di: indicator(*plus), minus_di: indicator(*minus) };
        }
        each(&found[..part.len()]);
    }
}

/// What `pick` takes of the directional indicators.
pub(super) fn directional_column(
    candles: &CandleColumns<'_>,
    window: usize,
    pick: impl Fn(&Directional) -> f64,
) -> Vec<f64> {
    let mut column = column(candles.close.len(), window);
    directional(candles, window, |found| column.extend(found.iter().map(&pick)));
    column
}

pub(super) fn adx(source: &Source<'_>, params: &[f64]) -> Vec<Vec<f64>> {
    let window = window(params[0]);
    let index = directional_column(&source.candles, window, Directional::index);
    // The first index belongs to bar `window`.
    let known = index.get(window..).unwrap_or_default();
    let mut column = column(index.len(), window);
    column.extend(smoothed(known, window, wilder_alpha(window)));
    vec![column]
}

/// Parabolic stop and reverse.
pub(super) static SAR: Indicator = Indicator {
    name: "sar",
    summary: "Parabolic stop and reverse: a stop that follows the trend ever closer; in price units.",
    formula: "sar[i+1] = sar[i] + a * (extreme - sar[i]), kept outside the ranges of the last two bars; a grows by \
              acceleration with each new extreme, up to maximum; when the price reaches sar it turns at the extreme",
    source: "Wilder 1978; TA-Lib SAR, with its start (the direction of the first move, long on a tie). Path-dependent: 250 \
             bars are its warm-up, after which histories have nearly always met.",
    numerics: "Path-dependent: each value comes from the one before, in TA-Lib's order of operations.",
    over: Over::Candle,
    params: &[positive("acceleration", 0.02), positive("maximum", 0.2)],
    outputs: &["value"],
    lookback: |_| 1,
    memory: |_, _| Memory::Recursive(PATH_MEMORY),
    compute: sar,
};

fn sar(source: &Source<'_>, params: &[f64]) -> Vec<Vec<f64>> {
    let high = source.candles.high;
    let low = &source.candles.low[..high.len()];
    // Unlike those of f64 without a look at NaN, which a candle does not hold.
    let higher = |a: f64, b: f64| if a > b { a } else { b };
    let lower = |a: f64, b: f64| if a < b { a } else { b };
    let maximum = params[1];
    let acceleration = params[0].min(maximum);
    let mut column = unknown(high.len());
    if high.len() < 2 {
        return vec![column];
    }
    let fell = low[0] - low[1];
    let mut long = !(fell > 0.0 && fell > high[1] - high[0]);
    let (mut stop, mut extreme) = if long { (low[0], high[1]) } else { (high[0], low[1]) };
    let mut step = acceleration;
    for i in 1..high.len() {
        // The first bar has no bar before it in the trend.
        let before = if i == 1 { 1 } else { i - 1 };
        let top = higher(high[before], high[i]);
        let bottom = lower(low[before], low[i]);
        let hit = if long { low[i] <= stop } else { high[i] >= stop };
        if hit {
            long = !long;
            stop = if long { lower(extreme, bottom) } else { higher(extreme, top) };
            step = acceleration;
            extreme = if long { high[i] } else { low[i] };
            column[i] = stop;
        } else {
            column[i] = stop;
            let farther = if long { high[i] > extreme } else { low[i] < extreme };
            if farther {
                extreme = if long { high[i] } else { low[i] };
                step = (step + acceleration).min(maximum);
            }
        }
        stop += step * (extreme - stop);
        stop = if long { lower(stop, bottom) } else { higher(stop, top) };
    }
    vec![column]
}

/// Supertrend.
pub(super) static SUPERTREND: Indicator = Indicator {
    name: "supertrend",
    summary: "Supertrend: a stop `multiplier` average true ranges from the middle of the candle, in price units, and the \
              direction, 1 up or -1 down.",
    formula: "bands = (high + low) / 2 +- multiplier * atr(window); the lower band only rises and the upper only falls until \
              a close beyond it; the direction turns when the close passes the band it follows, and line is that band",
    source: "Seban; TA-Lib 0.8 SUPERTREND: it starts up. Path-dependent: its warm-up is that of the atr and 250 bars.",
    numerics: "The atr, and comparisons; the bands are not accumulated.",
    over: Over::Candle,
    params: &[WINDOW, positive("multiplier", 3.0)],
    outputs: &["line", "direction"],
    lookback: |p| window(p[0]),
    memory: |p, _| Memory::Recursive(PATH_MEMORY + bars_to_forget(wilder_alpha(window(p[0])))),
    compute: supertrend,
};

fn supertrend(source: &Source<'_>, params: &[f64]) -> Vec<Vec<f64>> {
    let candles = &source.candles;
    let window = window(params[0]);
    let range = average_true_range(candles, window);
    let (mut line, mut direction) = (unknown(range.len()), unknown(range.len()));
    // Any band is tighter than none.
    let (mut upper, mut lower) = (f64::INFINITY, f64::NEG_INFINITY);
    let mut up = true;
    for i in window..range.len() {
        let (close, previous) = (candles.close[i], candles.close[i - 1]);
        let middle = (candles.high[i] + candles.low[i]) / 2.0;
        let width = params[1] * range[i];
        if middle + width < upper || previous > upper {
            upper = middle + width;
        }
        if middle - width > lower || previous < lower {
            lower = middle - width;
        }
        if i > window {
            up = if up { close >= lower } else { close > upper };
        }
        line[i] = if up { lower } else { upper };
        direction[i] = if up { 1.0 } else { -1.0 };
    }
    vec![line, direction]
}
