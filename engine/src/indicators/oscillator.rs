//! Where the close stands in the recent range.

mod aroon;
mod pressure;
mod stochastic;

use super::average::kind::{Average, SIMPLE};
use super::common::{bars, typical_price, unknown};
use super::windows::means;
use super::{Domain, Indicator, Memory, Over, Param, Source, window};

/// The family, in the order of the docs.
pub(super) const FAMILY: &[&Indicator] = &[
    &STOCH,
    &stochastic::STOCHF,
    &stochastic::STOCHRSI,
    &stochastic::KDJ,
    &stochastic::WILLR,
    &CCI,
    &aroon::AROON,
    &aroon::AROONOSC,
    &pressure::ULTOSC,
    &pressure::BOP,
];

/// Below this share of the price, a deviation is the rounding of the sum of three prices.
const ROUNDING: f64 = 1e-14;

/// Stochastic oscillator.
pub(super) static STOCH: Indicator = Indicator {
    name: "stoch",
    summary: "Stochastic oscillator, 0 to 100: where the close stands in the range of the last `k` bars, smoothed.",
    formula: "raw = 100 * (close - lowest(low, k)) / (highest(high, k) - lowest(low, k)); k = sma(raw, slowing); \
              d = sma(k, d)",
    source: "Lane; TA-Lib STOCH with simple averages (kdj takes others); both outputs begin together. A range of zero gives a \
             raw 50 (TA-Lib: 0).",
    numerics: "Extremes are values of the series; the averages are means merged in halves.",
    over: Over::Candle,
    params: &[bars("k", 14.0), bars("slowing", 3.0), bars("d", 3.0)],
    outputs: &["k", "d"],
    lookback: |p| window(p[0]) + window(p[1]) + window(p[2]) - 3,
    memory: |_, _| Memory::Finite,
    compute: |source, p| {
        let raw = stochastic::raw(source, window(p[0]));
        let k = Average::new(p[1], SIMPLE).of(&raw, source);
        stochastic::smoothed(k, Average::new(p[2], SIMPLE), source)
    },
};

/// Commodity channel index.
pub(super) static CCI: Indicator = Indicator {
    name: "cci",
    summary: "Commodity channel index: how many mean deviations the typical price is away from its mean, over 0.015.",
    formula: "t = (high + low + close) / 3; cci = (t - sma(t, window)) / (0.015 * mean(|t - sma(t, window)[i]| over the \
              window))",
    source: "Lambert; TA-Lib CCI. A window without deviation gives 0, as there. The time grows with the window.",
    numerics: "The mean, merged in halves; the deviations are summed anew for each window.",
    over: Over::Candle,
    params: &[Param { name: "window", domain: Domain::Window(2), default: None }],
    outputs: &["value"],
    lookback: |p| window(p[0]) - 1,
    memory: |_, _| Memory::Finite,
    compute: cci,
};

fn cci(source: &Source<'_>, params: &[f64]) -> Vec<Vec<f64>> {
    let window = window(params[0]);
    let typical = typical_price(&source.candles);
    let means = means(&typical, window);
    let mut column = unknown(typical.len());
    for i in window - 1..typical.len().max(window - 1) {
        let mean = means[i];
        let deviation = total_deviation(&typical[i + 1 - window..=i], mean) / window as f64;
        let flat = deviation <= ROUNDING * mean.abs();
        column[i] = if flat { 0.0 } else { (typical[i] - mean) / (0.015 * deviation) };
    }
    vec![column]
}

/// The sum of the distances from `mean`, in eight lanes: an order that depends on nothing but the window.
pub(super) fn total_deviation(values: &[f64], mean: f64) -> f64 {
    let mut lanes = [0.0; 8];
    let (blocks, rest) = values.as_chunks::<8>();
    for block in blocks {
        for (lane, value) in lanes.iter_mut().zip(block) {
            *lane += (value - mean).abs();
        }
    }
    let rest: f64 = rest.iter().map(|value| (value - mean).abs()).sum();
    ((lanes[0] + lanes[4]) + (lanes[1] + lanes[5])) + ((lanes[2] + lanes[6]) + (lanes[3] + lanes[7])) + rest
}
