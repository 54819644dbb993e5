//! Where in its range a bar closes: who pressed harder.

use std::ops::Range;

use super::super::common::bars;
use super::super::windows::sums;
use super::super::{Indicator, Memory, Over, Source, window};

/// Ultimate oscillator.
pub(super) static ULTOSC: Indicator = Indicator {
    name: "ultosc",
    summary: "Ultimate oscillator, 0 to 100: buying pressure as a share of the true range, over three windows.",
    formula: "pressure = close - min(low, close[1]); range = max(high, close[1]) - min(low, close[1]); a(n) = sum(pressure, n) \
              / sum(range, n); ultosc = 100 * (4 * a(shortest) + 2 * a(middle) + a(longest)) / 7",
    source: "Williams 1985; TA-Lib ULTOSC; the windows may stand in any order, as there. A window without a range counts as \
             one half (TA-Lib: 0).",
    numerics: "Sums of the window's own values, in pairs, so that no rounding stays behind when a jump leaves it; divided once.",
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
    let mut windows = [0, 1, 2].map(|nth| window(params[nth]));
    windows.sort_unstable();
    let close = candles.close;
    let (high, low) = (&candles.high[..len], &candles.low[..len]);
    let terms = |bars: Range<usize>, [pressure, range]: [&mut [f64]; 2]| {
        let previous = &close[bars.start - 1..bars.end - 1];
        let candles = high[bars.clone()].iter().zip(&low[bars.clone()]).zip(close[bars].iter().zip(previous));
        for ((pressure, range), ((&high, &low), (&close, &previous))) in
            pressure.iter_mut().zip(range).zip(candles)
        {
            let bottom = if low < previous { low } else { previous };
            let top = if high > previous { high } else { previous };
            (*pressure, *range) = (close - bottom, top - bottom);
        }
    };
    let share = |pressure: f64, range: f64| {
        let share = pressure / range;
        if range == 0.0 { 0.5 } else { share }
    };
    let append = |bars: Range<usize>, all: [[&[f64]; 2]; 3], [column]: &mut [Vec<f64>; 1]| {
        let [short, middle, long] = all.map(|lanes| lanes.map(|lane| &lane[..bars.len()]));
        column.extend((0..bars.len()).map(|k| {
            let [short, middle, long] =
                [short, middle, long].map(|[pressure, range]| share(pressure[k], range[k]));
            100.0 * ((4.0 * short + 2.0 * middle + long) / 7.0)
        }));
    };
    sums(1..len, windows, terms, append).into()
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
