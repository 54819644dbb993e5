//! Moving averages of a series.

mod adaptive;
pub(super) mod cascade;
pub(super) mod kind;
mod mesa;
mod weighted;

use super::common::{WINDOW, ema_alpha, wilder_alpha};
use super::smoothing::smoothed;
use super::{Indicator, Memory, Over, bars_to_forget, window};

/// The family, in the order of the docs.
pub(super) const FAMILY: &[&Indicator] = &[
    &SMA,
    &EMA,
    &WMA,
    &RMA,
    &cascade::DEMA,
    &cascade::TEMA,
    &cascade::T3,
    &weighted::TRIMA,
    &weighted::HMA,
    &weighted::ZLEMA,
    &weighted::VWMA,
    &adaptive::KAMA,
    &mesa::MAMA,
    &kind::MA,
];

/// Simple moving average.
pub(super) static SMA: Indicator = Indicator {
    name: "sma",
    summary: "Simple moving average: the mean of the last `window` values.",
    formula: "sma[i] = (x[i] + x[i-1] + ... + x[i-window+1]) / window",
    source: "TA-Lib SMA; the window sum is exact, so equal averages compare equal.",
    numerics: "The window sum is exact: whole ticks where the window holds decimals, double-double elsewhere; divided once.",
    over: Over::Series,
    params: &[WINDOW],
    outputs: &["value"],
    lookback: |p| window(p[0]) - 1,
    memory: |_, _| Memory::Finite,
    compute: |source, p| vec![source.series.sums.of(source.series.values).means(window(p[0]))],
};

/// Exponential moving average.
pub(super) static EMA: Indicator = Indicator {
    name: "ema",
    summary: "Exponential moving average: each value weighs 2 / (window + 1) when it is new, and less with each bar.",
    formula: "ema[i] = ema[i-1] + 2 / (window + 1) * (x[i] - ema[i-1]); the first is the sma of the first window values",
    source: "TA-Lib EMA, with its seed. After an unknown value it is unknown and seeds anew.",
    numerics: "m += alpha * (x - m), eight bars a step, from differences of values alone, which keeps a flat series exactly \
               flat; the seed is an exact mean.",
    over: Over::Series,
    params: &[WINDOW],
    outputs: &["value"],
    lookback: |p| window(p[0]) - 1,
    memory: |p, _| Memory::Recursive(bars_to_forget(ema_alpha(window(p[0])))),
    compute: |source, p| vec![smoothed(source.series.values, window(p[0]), ema_alpha(window(p[0])))],
};

/// Linearly weighted moving average.
pub(super) static WMA: Indicator = Indicator {
    name: "wma",
    summary: "Weighted moving average: the newest of the last `window` values weighs window, the oldest 1.",
    formula: "wma[i] = (window * x[i] + (window-1) * x[i-1] + ... + 1 * x[i-window+1]) / (window * (window+1) / 2)",
    source: "TA-Lib WMA; the weighted sum is exact.",
    numerics: "The weighted sum is exact, as that of sma; divided once.",
    over: Over::Series,
    params: &[WINDOW],
    outputs: &["value"],
    lookback: |p| window(p[0]) - 1,
    memory: |_, _| Memory::Finite,
    compute: |source, p| vec![source.series.sums.of(source.series.values).weighted_means(window(p[0]))],
};

/// Wilder's moving average.
pub(super) static RMA: Indicator = Indicator {
    name: "rma",
    summary: "Wilder's moving average: each value weighs 1 / window when it is new, and less with each bar.",
    formula: "rma[i] = rma[i-1] + (x[i] - rma[i-1]) / window; the first is the sma of the first window values",
    source: "Wilder 1978; TA-Lib 0.8 RMA, with its seed. After an unknown value it is unknown and seeds anew.",
    numerics: "m += alpha * (x - m), eight bars a step, from differences of values alone, which keeps a flat series exactly \
               flat; the seed is an exact mean.",
    over: Over::Series,
    params: &[WINDOW],
    outputs: &["value"],
    lookback: |p| window(p[0]) - 1,
    memory: |p, _| Memory::Recursive(bars_to_forget(wilder_alpha(window(p[0])))),
    compute: |source, p| vec![smoothed(source.series.values, window(p[0]), wilder_alpha(window(p[0])))],
};
