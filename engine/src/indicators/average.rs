//! Moving averages of a series.

use super::{Domain, Indicator, Memory, Over, Param, Source, window};

const WINDOW: Param = Param { name: "window", domain: Domain::Window(1), default: None };

/// Simple moving average.
pub(super) static SMA: Indicator = Indicator {
    name: "sma",
    summary: "Simple moving average: the mean of the last `window` values.",
    formula: "sma[i] = (x[i] + x[i-1] + ... + x[i-window+1]) / window",
    source: "TA-Lib SMA; the window sum is exact, so equal averages compare equal.",
    over: Over::Series,
    params: &[WINDOW],
    outputs: &["value"],
    lookback: |p| window(p[0]) - 1,
    memory: |_, _| Memory::Finite,
    compute: sma,
};

fn sma(source: &Source<'_>, params: &[f64]) -> Vec<Vec<f64>> {
    vec![source.series.sums.of(source.series.values).means(window(params[0]))]
}
