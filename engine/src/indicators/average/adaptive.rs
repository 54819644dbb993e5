//! An average that follows a trend fast and a sideways market slowly.

use std::ops::Range;

use super::super::common::{WINDOW, ema_alpha, unknown};
use super::super::smoothing::restarting;
use super::super::windows::{moves, sums};
use super::super::{Indicator, Memory, Over, Source, bars_to_forget, window};
use crate::exact::is_finite;

/// Kaufman's windows of the fastest and the slowest average, in bars.
const FASTEST: usize = 2;
const SLOWEST: usize = 30;

/// Kaufman's adaptive moving average.
pub(super) static KAMA: Indicator = Indicator {
    name: "kama",
    summary: "Kaufman's adaptive moving average: fast where the last `window` moves went one way, slow where they did not.",
    formula: "er = |x[i] - x[i-window]| / sum(|x - x[1]|, window); a = (er * (2/3 - 2/31) + 2/31)^2; kama += a * (x - \
              kama), from x[window-1]; er is 1 where nothing moved, and kama(x, 1) is x",
    source: "Kaufman 1998; TA-Lib KAMA, with its seed. After an unknown value it is unknown and seeds anew. Its warm-up is \
             that of the slowest weight it can take, 2/31 squared.",
    numerics: "A sum of the window's own moves: no rounding stays behind when a jump leaves it. The average four bars a step, \
               from differences of values alone.",
    over: Over::Series,
    params: &[WINDOW],
    outputs: &["value"],
    lookback: |p| if window(p[0]) == 1 { 0 } else { window(p[0]) },
    memory: |p, _| {
        if window(p[0]) == 1 {
            return Memory::Finite;
        }
        Memory::Recursive(bars_to_forget(ema_alpha(SLOWEST) * ema_alpha(SLOWEST)))
    },
    compute: kama,
};

fn kama(source: &Source<'_>, params: &[f64]) -> Vec<Vec<f64>> {
    let window = window(params[0]);
    let slow = ema_alpha(SLOWEST);
    let span = ema_alpha(FASTEST) - slow;
    vec![restarting(source.series.values, |values| {
        if !is_finite(values) {
            return None;
        }
        if window == 1 {
            return Some(values.to_vec());
        }
        let len = values.len();
        if len <= window {
            return Some(unknown(len));
        }
        // First the weights, in the place of the averages.
        let weight = |net: f64, travelled: f64| {
            let efficiency = if net < travelled { net / travelled } else { 1.0 };
            let root = efficiency * span + slow;
            root * root
        };
        let append = |bars: Range<usize>, [[travelled]]: [[&[f64]; 1]; 1], [column]: &mut [Vec<f64>; 1]| {
            let past = &values[bars.start - window..bars.end - window];
            let net = values[bars].iter().zip(past).map(|(now, past)| (now - past).abs());
            column.extend(travelled.iter().zip(net).map(|(travelled, net)| weight(net, *travelled)));
        };
        let terms = |bars: Range<usize>, [out]: [&mut [f64]; 1]| moves(values, bars, out);
        let [mut column] = sums(1..len, [window], terms, append);
        adapt(values[window - 1], &values[window..], &mut column[window..]);
        Some(column)
    })]
}

/// Bars a step of an average.
const STEP: usize = 4;

/// `m += alpha * (x - m)` from `seed` on, with a weight of each bar's own, which stands where its average is written.
///
/// Four bars a step, written out as in `smoothing`, so that only one wait for the bar before is left in four.
fn adapt(seed: f64, values: &[f64], weights: &mut [f64]) {
    let mut average = seed;
    let (steps, rest) = values.as_chunks::<STEP>();
    let (whole, last) = weights.as_chunks_mut::<STEP>();
    for (values, out) in steps.iter().zip(whole) {
        *out = step(average, values, out);
        average = out[STEP - 1];
    }
    // A bar's average does not depend on those after it.
    let (mut values, mut alphas) = ([0.0; STEP], [0.0; STEP]);
    values[..rest.len()].copy_from_slice(rest);
    alphas[..rest.len()].copy_from_slice(last);
    last.copy_from_slice(&step(average, &values, &alphas)[..rest.len()]);
}

/// The averages of a step.
#[inline(always)]
fn step(average: f64, values: &[f64; STEP], alphas: &[f64; STEP]) -> [f64; STEP] {
    let (mut weight, mut sum) = (0.0, 0.0);
    let gap = values[0] - average;
    std::array::from_fn(|k| {
        let keep = 1.0 - alphas[k];
        weight = alphas[k] + keep * weight;
        sum = keep * sum + alphas[k] * (values[k] - values[0]);
        average + (weight * gap + sum)
    })
}
