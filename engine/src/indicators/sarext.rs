//! The parabolic stop with its own acceleration for each side.

use super::common::unknown;
use super::trend::PATH_MEMORY;
use super::{Domain, Indicator, Memory, Over, Param, Source};

/// A number of at least 0 with a default.
const fn least_zero(name: &'static str, default: f64) -> Param {
    Param { name, domain: Domain::From(0.0), default: Some(default) }
}

/// Parabolic stop and reverse, extended.
pub(super) static SAREXT: Indicator = Indicator {
    name: "sarext",
    summary: "Parabolic stop and reverse, extended: the stop of sar with an acceleration for each side, positive while the \
              trend is up and negative (-stop) while it is down; in price units.",
    formula: "as sar: at a turn the acceleration begins with init_long (init_short) and grows by accel_long (accel_short) up \
              to max_long (max_short), and the stop moves away from the price by the share offset of itself. start > 0 begins \
              up at that stop, start < 0 down at -start, 0 as sar does",
    source: "TA-Lib SAREXT. start is the stop at the second bar of the history, which is a warm-up before the run. \
             Path-dependent, as sar.",
    numerics: "Path-dependent: each value comes from the one before, in TA-Lib's order of operations.",
    over: Over::Candle,
    params: &[
        Param { name: "start", domain: Domain::Between(-1e12, 1e12), default: Some(0.0) },
        least_zero("offset", 0.0),
        least_zero("init_long", 0.02),
        least_zero("accel_long", 0.02),
        least_zero("max_long", 0.2),
        least_zero("init_short", 0.02),
        least_zero("accel_short", 0.02),
        least_zero("max_short", 0.2),
    ],
    outputs: &["value"],
    lookback: |_| 1,
    memory: |_, _| Memory::Recursive(PATH_MEMORY),
    compute: sarext,
};

/// The acceleration of a side.
struct Acceleration {
    first: f64,
    step: f64,
    maximum: f64,
}

impl Acceleration {
    fn new(params: &[f64]) -> Self {
        let maximum = params[2];
        Self { first: params[0].min(maximum), step: params[1].min(maximum), maximum }
    }
}

fn sarext(source: &Source<'_>, params: &[f64]) -> Vec<Vec<f64>> {
    let (high, low) = (source.candles.high, source.candles.low);
    let (start, offset) = (params[0], params[1]);
    let [on_long, on_short] = [2, 5].map(|at| Acceleration::new(&params[at..at + 3]));
    let of_side = |long: bool| if long { &on_long } else { &on_short };
    let mut column = unknown(high.len());
    if high.len() < 2 {
        return vec![column];
    }
    let fell = low[0] - low[1];
    let mut long = if start == 0.0 { !(fell > 0.0 && fell > high[1] - high[0]) } else { start > 0.0 };
    let mut extreme = if long { high[1] } else { low[1] };
    let mut stop = match (start == 0.0, long) {
        (false, _) => start.abs(),
        (true, true) => low[0],
        (true, false) => high[0],
    };
    let mut acceleration = of_side(long).first;
    for i in 1..high.len() {
        // The first bar has no bar before it in the trend.
        let before = if i == 1 { 1 } else { i - 1 };
        let top = high[before].max(high[i]);
        let bottom = low[before].min(low[i]);
        let hit = if long { low[i] <= stop } else { high[i] >= stop };
        let farther = if long { high[i] > extreme } else { low[i] < extreme };
        if hit {
            long = !long;
            stop = if long { extreme.min(bottom) } else { extreme.max(top) };
            stop += if long { -(stop * offset) } else { stop * offset };
            acceleration = of_side(long).first;
        }
        column[i] = if long { stop } else { -stop };
        if !hit && farther {
            acceleration = (acceleration + of_side(long).step).min(of_side(long).maximum);
        }
        if hit || farther {
            extreme = if long { high[i] } else { low[i] };
        }
        stop += acceleration * (extreme - stop);
        stop = if long { stop.min(bottom) } else { stop.max(top) };
    }
    vec![column]
}
