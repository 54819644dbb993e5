//! The straight line that fits the last values best (least squares), and what it says.

use super::{Domain, Indicator, Memory, Over, Param, Source, window};

/// The family, in the order of the docs.
pub(super) const FAMILY: &[&Indicator] = &[&LINREG, &LINREG_SLOPE, &LINREG_ANGLE, &LINREG_INTERCEPT, &TSF];

/// One value has no line.
const LENGTH: Param = Param { name: "window", domain: Domain::Window(2), default: None };

const NUMERICS: &str = "From the exact mean m and the exact weighted mean w (sma and wma), each rounded once: the slope is \
                        (w - m) * 6 / (window - 1), the line ends at m + 3 (w - m). A flat window is exactly flat, and rounding never turns the slope's sign.";

/// Linear regression.
pub(super) static LINREG: Indicator = Indicator {
    name: "linreg",
    summary: "Linear regression: the end of the least-squares line through the last `window` values, in units of the series.",
    formula: "linreg = a + b * (window - 1), for the line a + b * k through the values k = 0 (oldest) to window - 1; \
              that is 3 * wma - 2 * sma",
    source: "TA-Lib LINEARREG.",
    numerics: NUMERICS,
    over: Over::Series,
    params: &[LENGTH],
    outputs: &["value"],
    lookback: |p| window(p[0]) - 1,
    memory: |_, _| Memory::Finite,
    compute: |source, p| line(source, p, |_| 3.0, |mean, rise| mean + rise),
};

/// Slope of the linear regression.
pub(super) static LINREG_SLOPE: Indicator = Indicator {
    name: "linreg_slope",
    summary: "Slope of the linear regression: how much the least-squares line through the last `window` values rises a bar, \
              in units of the series.",
    formula: "b of the line a + b * k, see linreg",
    source: "TA-Lib LINEARREG_SLOPE.",
    numerics: NUMERICS,
    over: Over::Series,
    params: &[LENGTH],
    outputs: &["value"],
    lookback: |p| window(p[0]) - 1,
    memory: |_, _| Memory::Finite,
    compute: |source, p| line(source, p, |size| 6.0 / (size - 1.0), |_, slope| slope),
};

/// Angle of the linear regression.
pub(super) static LINREG_ANGLE: Indicator = Indicator {
    name: "linreg_angle",
    summary: "Angle of the linear regression in degrees, -90 to 90. It depends on the units of the series: one unit a bar is \
              45 degrees.",
    formula: "atan(linreg_slope) * 180 / pi",
    source: "TA-Lib LINEARREG_ANGLE.",
    numerics: NUMERICS,
    over: Over::Series,
    params: &[LENGTH],
    outputs: &["value"],
    lookback: |p| window(p[0]) - 1,
    memory: |_, _| Memory::Finite,
    compute: |source, p| {
        let angle = |slope: f64| libm::atan(slope) * (180.0 / std::f64::consts::PI);
        line(source, p, |size| 6.0 / (size - 1.0), |_, slope| angle(slope))
    },
};

/// Start of the linear regression.
pub(super) static LINREG_INTERCEPT: Indicator = Indicator {
    name: "linreg_intercept",
    summary: "Intercept of the linear regression: the start of the least-squares line, at the oldest of the last `window` \
              values, in units of the series.",
    formula: "a of the line a + b * k, see linreg",
    source: "TA-Lib LINEARREG_INTERCEPT.",
    numerics: NUMERICS,
    over: Over::Series,
    params: &[LENGTH],
    outputs: &["value"],
    lookback: |p| window(p[0]) - 1,
    memory: |_, _| Memory::Finite,
    compute: |source, p| line(source, p, |_| 3.0, |mean, rise| mean - rise),
};

/// Time series forecast.
pub(super) static TSF: Indicator = Indicator {
    name: "tsf",
    summary: "Time series forecast: the least-squares line through the last `window` values, one bar further; in units of \
              the series.",
    formula: "tsf = a + b * window, see linreg",
    source: "TA-Lib TSF.",
    numerics: NUMERICS,
    over: Over::Series,
    params: &[LENGTH],
    outputs: &["value"],
    lookback: |p| window(p[0]) - 1,
    memory: |_, _| Memory::Finite,
    compute: |source, p| {
        line(source, p, |size| 3.0 * ((size + 1.0) / (size - 1.0)), |mean, rise| mean + rise)
    },
};

/// `value(mean, rise)` of each window. The line passes through the mean at the middle of the window, and rises by `factor(window)`
/// times the distance of the weighted mean from it to where it is looked at.
fn line(
    source: &Source<'_>,
    params: &[f64],
    factor: impl Fn(f64) -> f64,
    value: impl Fn(f64, f64) -> f64,
) -> Vec<Vec<f64>> {
    let window = window(params[0]);
    let factor = factor(window as f64);
    let sums = source.series.sums.of(source.series.values);
    let append = |means: &[f64], weighted: &[f64], [column]: &mut [Vec<f64>; 1]| {
        let windows = means.iter().zip(weighted);
        column.extend(windows.map(|(mean, weighted)| value(*mean, factor * (weighted - mean))));
    };
    sums.means_and_weighted(window, append).into()
}
