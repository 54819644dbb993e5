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
pub const NOT_IN_TALIB: &[(&str, &str)] = &[
    ("vwap", "TA-Lib's never resets: tests/indicators_sessions.rs compares with sums made there"),
    ("zscore", "tests/indicators_naive.rs"),
    ("ichimoku", "tests/indicators_naive.rs"),
    ("pivot", "tests/indicators_sessions.rs"),
];

const UNDEFINED: f64 = f64::INFINITY;
const TIES: &str = "of equal values we take the newest, TA-Lib now the newest and now the oldest";
const FLAT: &str = "exactly 0, TA-Lib gives the rounding of its sums";
const SUMS: &str = "the rounding of TA-Lib's sums at a price of a million";

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
    Difference { indicator: "argmax", series: "mixed", within: 1.0, why: TIES },
    Difference { indicator: "argmin", series: "mixed", within: 1.0, why: TIES },
    Difference { indicator: "argmax", series: "trend", within: 1.0, why: TIES },
    Difference { indicator: "argmin", series: "trend", within: 1.0, why: TIES },
    Difference { indicator: "argmax", series: "flat", within: 1.0, why: TIES },
    Difference { indicator: "argmin", series: "flat", within: 1.0, why: TIES },
    Difference {
        indicator: "rvol",
        series: "mixed",
        within: UNDEFINED,
        why: "no volume before: unknown, TA-Lib divides by the rounding of its sum",
    },
    Difference { indicator: "linreg_slope", series: "flat", within: 1.0, why: FLAT },
    Difference { indicator: "linreg_angle", series: "flat", within: 1.0, why: FLAT },
    Difference { indicator: "avgdev", series: "flat", within: 1.0, why: FLAT },
    Difference { indicator: "linreg_slope", series: "jump", within: 3e-8, why: SUMS },
    Difference { indicator: "linreg_angle", series: "jump", within: 6e-8, why: SUMS },
    Difference {
        indicator: "stochf",
        series: "flat",
        within: UNDEFINED,
        why: "no range: 50, TA-Lib gives 0",
    },
    Difference {
        indicator: "stochrsi",
        series: "flat",
        within: UNDEFINED,
        why: "no range: 50, TA-Lib gives 0",
    },
    Difference { indicator: "kdj", series: "flat", within: UNDEFINED, why: "no range: 50, TA-Lib gives 0" },
    Difference {
        indicator: "willr",
        series: "flat",
        within: UNDEFINED,
        why: "no range: -50, TA-Lib gives 0",
    },
    Difference {
        indicator: "ultosc",
        series: "flat",
        within: UNDEFINED,
        why: "no range: 50, TA-Lib gives 0",
    },
    Difference {
        indicator: "macdext",
        series: "flat",
        within: 1.0,
        why: "ours is 0, TA-Lib's the rounding of its averages",
    },
    Difference {
        indicator: "apo",
        series: "flat",
        within: 1.0,
        why: "ours is 0, TA-Lib's the rounding of its averages",
    },
    Difference {
        indicator: "ppo",
        series: "flat",
        within: 1.0,
        why: "ours is 0, TA-Lib's the rounding of its averages",
    },
    Difference {
        indicator: "trima",
        series: "long",
        within: 2e-8,
        why: "the rounding of TA-Lib's running sums; ours are exact",
    },
];
