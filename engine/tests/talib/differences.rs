//! Where our values are not TA-Lib's, and why. Each must be real: an entry that no longer differs fails the test.

/// A difference of an indicator on one of the series.
pub struct Difference {
    pub indicator: &'static str,
    pub series: &'static str,
    /// How far apart the values may be, as a share of the largest value of the case; infinite where TA-Lib is undefined.
    pub within: f64,
    pub why: &'static str,
}

/// Indicators that TA-Lib has not, and where they are compared instead.
pub const NOT_IN_TALIB: &[(&str, &str)] =
    &[("vwap", "TA-Lib's never resets: tests/indicators_contract.rs compares with sums made here")];

const UNDEFINED: f64 = f64::INFINITY;

/// Every known difference.
pub const DIFFERENCES: &[Difference] = &[
    Difference { indicator: "rsi", series: "flat", within: UNDEFINED, why: "no change: 50, TA-Lib gives 0" },
    Difference { indicator: "mfi", series: "flat", within: UNDEFINED, why: "no flow: 50, TA-Lib gives 0" },
    Difference { indicator: "stoch", series: "flat", within: UNDEFINED, why: "no range: 50, TA-Lib gives 0" },
    Difference {
        indicator: "cci",
        series: "jump",
        within: 1e-9,
        why: "the rounding of TA-Lib's running sums; ours are exact",
    },
];
