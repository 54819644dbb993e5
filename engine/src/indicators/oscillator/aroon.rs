//! How long ago the extremes of a window were.

use super::super::common::WINDOW;
use super::super::extremes::newest_extremes;
use super::super::smoothing::column;
use super::super::{Indicator, Memory, Over, Source, window};

/// Aroon.
pub(super) static AROON: Indicator = Indicator {
    name: "aroon",
    summary: "Aroon, 0 to 100: how recent the highest high and the lowest low of the last `window` + 1 bars are.",
    formula: "up = 100 * (window - bars since the highest high) / window; down likewise with the lowest low; of equal ones \
              the newest counts",
    source: "Chande 1995; TA-Lib AROON, which has down first.",
    numerics: "Counts of bars, found in a time that does not grow with the window; one division.",
    over: Over::Candle,
    params: &[WINDOW],
    outputs: &["up", "down"],
    lookback: |p| window(p[0]),
    memory: |_, _| Memory::Finite,
    compute: |source, p| aroon(source, window(p[0])).into(),
};

/// Aroon oscillator.
pub(super) static AROONOSC: Indicator = Indicator {
    name: "aroonosc",
    summary: "Aroon oscillator, -100 to 100: how much more recent the highest high of a window is than the lowest low.",
    formula: "aroonosc = aroon(window).up - aroon(window).down",
    source: "Chande 1995; TA-Lib AROONOSC.",
    numerics: "That of aroon.",
    over: Over::Candle,
    params: &[WINDOW],
    outputs: &["value"],
    lookback: |p| window(p[0]),
    memory: |_, _| Memory::Finite,
    compute: |source, p| {
        let [up, down] = aroon(source, window(p[0]));
        vec![up.iter().zip(&down).map(|(up, down)| up - down).collect()]
    },
};

/// Up and down.
fn aroon(source: &Source<'_>, window: usize) -> [Vec<f64>; 2] {
    let (high, low) = (source.candles.high, source.candles.low);
    [
        recency(high, window, f64::NEG_INFINITY, |old, new| old <= new),
        recency(low, window, f64::INFINITY, |old, new| old >= new),
    ]
}

/// 100 where the extreme of the last `window + 1` values is the newest of them, 0 where it is the oldest. `gives_way`
/// says whether an older value is no longer the extreme once the newer one is there.
fn recency(values: &[f64], window: usize, worst: f64, gives_way: impl Fn(f64, f64) -> bool) -> Vec<f64> {
    let mut column = column(values.len(), window);
    newest_extremes(values, window + 1, worst, gives_way, |bars| {
        column.push(100.0 * ((window as f64 - bars) / window as f64));
    });
    column
}
