//! Metrics of a trial, each with its convention.

mod asset;
mod compute;
mod days;
mod fused;
mod lanes;
mod tally;
mod wanted;

pub(crate) use asset::{AssetReturns, SUMS, terms};
pub(crate) use compute::finite;
pub use compute::{compute, compute_vectorbt};
pub(crate) use days::Days;
pub(crate) use fused::{Fused, Ground, extremes};
pub use wanted::Wanted;

/// One metric: a column of `trials.parquet`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MetricInfo {
    /// Column name.
    pub id: &'static str,
    /// What it is and its convention, in one line.
    pub convention: &'static str,
    /// How a person reads it.
    pub unit: Unit,
    /// Whether more is better; `None` where neither is.
    pub higher_is_better: Option<bool>,
}

/// How a metric is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// A fraction, shown as percent.
    Fraction,
    /// A ratio without a unit.
    Ratio,
    /// A whole number.
    Count,
    /// Quote currency.
    Quote,
}

macro_rules! metrics {
    ($($id:ident $unit:ident $better:expr, $convention:literal;)*) => {
        /// Every metric, in column order.
        pub const METRICS: &[MetricInfo] = &[
            $(MetricInfo { id: stringify!($id), convention: $convention, unit: Unit::$unit, higher_is_better: $better },)*
        ];

        /// The metrics of one trial; `NaN` stands for null (undefined).
        #[derive(Debug, Clone, Copy, PartialEq)]
        pub struct Metrics {
            $(#[doc = $convention] pub $id: f64,)*
        }

        impl Metrics {
            /// The values in the order of [`METRICS`].
            pub fn to_array(&self) -> [f64; METRICS.len()] {
                [$(self.$id,)*]
            }

            /// None of them is defined.
            pub const NULL: Self = Self { $($id: f64::NAN,)* };

            /// From values in the order of [`METRICS`].
            pub fn from_array(values: [f64; METRICS.len()]) -> Self {
                let [$($id,)*] = values;
                Self { $($id,)* }
            }
        }
    };
}

metrics! {
    total_return Fraction Some(true), "Last equity over initial cash, minus 1.";
    cagr Fraction Some(true), "(1 + total_return) ^ (365 days / elapsed time) - 1; elapsed from the open of first_bar to the close of the last bar.";
    volatility Fraction Some(false), "Standard deviation (ddof 1) of per-bar returns, flat bars included, times sqrt(bars a year of 365 days).";
    sharpe Ratio Some(true), "Mean over standard deviation (ddof 1) of per-bar returns, flat bars included, times sqrt(bars a year of 365 days); risk-free rate 0.";
    sortino Ratio Some(true), "Mean of per-bar returns over the root mean square of the negative ones (over all bars), times sqrt(bars a year of 365 days).";
    sharpe_daily Ratio Some(true), "As sharpe, on UTC-day returns, times sqrt(365).";
    sortino_daily Ratio Some(true), "As sortino, on UTC-day returns, times sqrt(365).";
    calmar Ratio Some(true), "cagr over the size of max_drawdown.";
    omega Ratio Some(true), "Sum of positive per-bar returns over the size of the sum of negative ones.";
    max_drawdown Fraction Some(true), "Lowest equity over its running peak, minus 1, from closes, the peak starting at the initial cash; at most 0.";
    max_drawdown_bars Count Some(false), "Longest run of closes below the running peak, in bars.";
    ulcer_index Fraction Some(false), "Root mean square of the drawdowns at UTC-day ends (Martin 1987), as a fraction.";
    exposure Fraction None, "Share of bars whose close holds a position.";
    trades Count None, "Round trips, the one still open included.";
    win_rate Fraction Some(true), "Share of closed trades with a profit after fees.";
    profit_factor Ratio Some(true), "Sum of profits over the size of the sum of losses of closed trades, in quote currency.";
    expectancy Quote Some(true), "Mean profit of closed trades, in quote currency.";
    sqn Ratio Some(true), "System quality number (Tharp): sqrt(n) times mean over standard deviation (ddof 1) of closed trades' profits.";
    average_trade Fraction Some(true), "Mean return of closed trades, as fractions of the entry's notional.";
    best_trade Fraction Some(true), "Best return of a closed trade.";
    worst_trade Fraction Some(true), "Worst return of a closed trade.";
    win_streak Count Some(true), "Most closed trades with a profit in a row.";
    loss_streak Count Some(false), "Most closed trades without a profit in a row.";
    fees_paid Quote Some(false), "Fees of all fills, in quote currency.";
    turnover Ratio None, "Notional of all fills over initial cash.";
    var_95 Fraction Some(true), "5 % quantile of UTC-day returns (linear interpolation); a loss is negative.";
    cvar_95 Fraction Some(true), "Expected shortfall: mean of the worst 5 % of UTC-day returns, the one at the edge counted in part (Acerbi and Tasche 2002).";
    buy_and_hold_return Fraction None, "Last close over the close of first_bar, minus 1, without costs.";
    alpha Fraction Some(true), "Intercept of UTC-day returns on those of buy and hold, times 365 (Jensen, risk-free rate 0).";
    beta Ratio None, "Slope of UTC-day returns on those of buy and hold.";
    information_ratio Ratio Some(true), "Mean over standard deviation (ddof 1) of UTC-day returns minus those of buy and hold, times sqrt(365).";
}
