//! An average that follows a trend fast and a sideways market slowly.

use super::super::common::{WINDOW, by_run, ema_alpha};
use super::super::{Indicator, Memory, Over, Source, bars_to_forget, window};
use crate::exact::ExactSums;

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
    numerics: "The window sum of the moves in double-double: no rounding stays behind when a jump leaves the window.",
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
    vec![by_run(source.series.values, |run, out| {
        if window == 1 {
            out.copy_from_slice(run);
        } else if run.len() > window {
            let moves: Vec<f64> = run.windows(2).map(|pair| (pair[1] - pair[0]).abs()).collect();
            let travelled = ExactSums::real(&moves).window_sums(window);
            let mut average = run[window - 1];
            for i in window..run.len() {
                let (net, travelled) = ((run[i] - run[i - window]).abs(), travelled[i - 1]);
                let efficiency = if net < travelled { net / travelled } else { 1.0 };
                let root = efficiency * span + slow;
                average += root * root * (run[i] - average);
                out[i] = average;
            }
        }
    })]
}
