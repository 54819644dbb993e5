//! Where in its range a bar closes: who pressed harder.

use super::super::common::{bars, unknown};
use super::super::{Indicator, Memory, Over, Source, window};
use crate::exact::ExactSums;

/// Ultimate oscillator.
pub(super) static ULTOSC: Indicator = Indicator {
    name: "ultosc",
    summary: "Ultimate oscillator, 0 to 100: buying pressure as a share of the true range, over three windows.",
    formula: "pressure = close - min(low, close[1]); range = max(high, close[1]) - min(low, close[1]); a(n) = sum(pressure, n) \
              / sum(range, n); ultosc = 100 * (4 * a(shortest) + 2 * a(middle) + a(longest)) / 7",
    source: "Williams 1985; TA-Lib ULTOSC; the windows may stand in any order, as there. A window without a range counts as \
             one half (TA-Lib: 0).",
    numerics: "Window sums in double-double.",
    over: Over::Candle,
    params: &[bars("short", 7.0), bars("middle", 14.0), bars("long", 28.0)],
    outputs: &["value"],
    lookback: |p| window(p[0]).max(window(p[1])).max(window(p[2])),
    memory: |_, _| Memory::Finite,
    compute: ultosc,
};

fn ultosc(source: &Source<'_>, params: &[f64]) -> Vec<Vec<f64>> {
    let candles = &source.candles;
    let len = candles.close.len();
    let (mut pressure, mut range) = (unknown(len), unknown(len));
    for i in 1..len {
        let (close, previous) = (candles.close[i], candles.close[i - 1]);
        let bottom = candles.low[i].min(previous);
        pressure[i] = close - bottom;
        range[i] = candles.high[i].max(previous) - bottom;
    }
    let mut windows = [window(params[0]), window(params[1]), window(params[2])];
    windows.sort_unstable();
    let (pressure, range) = (ExactSums::real(&pressure), ExactSums::real(&range));
    let [short, middle, long] = windows.map(|window| {
        let sums = pressure.window_sums(window).into_iter().zip(range.window_sums(window));
        sums.map(|(pressure, range)| if range == 0.0 { 0.5 } else { pressure / range }).collect::<Vec<_>>()
    });
    let shares = short.iter().zip(&middle).zip(&long);
    vec![shares.map(|((short, middle), long)| 100.0 * ((4.0 * short + 2.0 * middle + long) / 7.0)).collect()]
}

/// Balance of power.
pub(super) static BOP: Indicator = Indicator {
    name: "bop",
    summary: "Balance of power, -1 to 1: the body of the candle as a share of its range.",
    formula: "bop = (close - open) / (high - low); 0 without a range",
    source: "Livshin 2001; TA-Lib BOP, unsmoothed.",
    numerics: "One division.",
    over: Over::Candle,
    params: &[],
    outputs: &["value"],
    lookback: |_| 0,
    memory: |_, _| Memory::Finite,
    compute: |source, _| {
        let candles = &source.candles;
        let balance = |i: usize| {
            let range = candles.high[i] - candles.low[i];
            if range > 0.0 { (candles.close[i] - candles.open[i]) / range } else { 0.0 }
        };
        vec![(0..candles.close.len()).map(balance).collect()]
    },
};
