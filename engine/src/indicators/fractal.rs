//! Fractals: highs and lows that stand out from the bars around them.

use super::common::{bars, highest, lowest, unknown};
use super::{Indicator, Memory, Over, Source, window};

/// Williams fractal.
pub(super) static FRACTAL: Indicator = Indicator {
    name: "fractal",
    summary: "Williams fractal: 100 at the bar that confirms a swing, `right` bars after it, else 0; a swing high is above the \
              highs of `left` bars before and `right` bars after it.",
    formula: "swing_high[i] = 100 where high[i-right] > the other highs from i-left-right to i, else 0; swing_low where \
              low[i-right] < the other lows",
    source: "Williams; TA-Lib 0.8 FRACTAL. Charts draw the mark `right` bars earlier, at the swing: then it was not known yet. \
             The price of the swing is high[right]. Equal highs are no swing.",
    numerics: "Comparisons of prices; the time does not grow with the windows.",
    over: Over::Candle,
    params: &[bars("left", 2.0), bars("right", 2.0)],
    outputs: &["swing_high", "swing_low"],
    lookback: |p| window(p[0]) + window(p[1]),
    memory: |_, _| Memory::Finite,
    compute: fractal,
};

fn fractal(source: &Source<'_>, params: &[f64]) -> Vec<Vec<f64>> {
    let (left, right) = (window(params[0]), window(params[1]));
    let swings = |values: &[f64], extreme: fn(&[f64], usize) -> Vec<f64>, beyond: fn(f64, f64) -> bool| {
        let (before, after) = (extreme(values, left), extreme(values, right));
        let mut column = unknown(values.len());
        for i in left + right..values.len() {
            let swing = i - right;
            let stands_out = beyond(values[swing], before[swing - 1]) && beyond(values[swing], after[i]);
            column[i] = if stands_out { 100.0 } else { 0.0 };
        }
        column
    };
    vec![
        swings(source.candles.high, highest, |value, other| value > other),
        swings(source.candles.low, lowest, |value, other| value < other),
    ]
}
