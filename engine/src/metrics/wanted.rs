//! Which metrics are asked for: what nobody asks for is not computed.

use super::METRICS;

/// What has to be kept while a trial runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    /// By the order of [`METRICS`].
    ids: u64,
    /// Per-bar returns: volatility, sharpe and the like.
    pub(crate) returns: bool,
    /// Equity at the ends of UTC days.
    pub(crate) days: bool,
    /// Bars below the peak.
    pub(crate) drawdown_bars: bool,
    /// Trades one by one, beyond their number and share of wins.
    pub(crate) trades: bool,
}

impl Default for Wanted {
    fn default() -> Self {
        Self::of(u64::MAX)
    }
}

impl Wanted {
    /// The metrics of these ids.
    ///
    /// # Errors
    /// The first id that names no metric.
    pub fn new<'a>(ids: impl IntoIterator<Item = &'a str>) -> Result<Self, &'a str> {
        let mut mask = 0;
        for id in ids {
            mask |= 1 << METRICS.iter().position(|metric| metric.id == id).ok_or(id)?;
        }
        Ok(Self::of(mask))
    }

    fn of(ids: u64) -> Self {
        let any = |names: &[&str]| {
            METRICS.iter().enumerate().any(|(nth, metric)| ids >> nth & 1 == 1 && names.contains(&metric.id))
        };
        Self {
            ids,
            returns: any(&["volatility", "sharpe", "sortino", "omega"]),
            days: any(&[
                "sharpe_daily",
                "sortino_daily",
                "ulcer_index",
                "var_95",
                "cvar_95",
                "alpha",
                "beta",
                "information_ratio",
            ]),
            drawdown_bars: any(&["max_drawdown_bars"]),
            trades: any(&[
                "profit_factor",
                "expectancy",
                "sqn",
                "average_trade",
                "best_trade",
                "worst_trade",
                "win_streak",
                "loss_streak",
                "fees_paid",
                "turnover",
            ]),
        }
    }

    /// Whether only metrics of `ids` are asked for.
    pub(crate) fn is_within(&self, ids: &[&str]) -> bool {
        METRICS.iter().enumerate().all(|(nth, metric)| !self.has(nth) || ids.contains(&metric.id))
    }

    /// Whether the metric in place `nth` of [`METRICS`] is asked for.
    pub fn has(&self, nth: usize) -> bool {
        self.ids >> nth & 1 == 1
    }

    /// The metrics that are asked for; the others are null.
    pub(crate) fn only(&self, metrics: super::Metrics) -> super::Metrics {
        let mut values = metrics.to_array();
        for (nth, value) in values.iter_mut().enumerate() {
            if !self.has(nth) {
                *value = f64::NAN;
            }
        }
        super::Metrics::from_array(values)
    }
}
