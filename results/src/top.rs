//! One of the best trials with everything it did: the input of trades, equity curves and the report.

use blockgrid_engine::Candles;
use blockgrid_engine::sim::Outcome;

/// A trial near the top of the leaderboard, simulated once more with all its bars kept.
#[derive(Debug, Clone)]
pub struct TopTrial<'a> {
    /// Place in the leaderboard, from 1.
    pub rank: u32,
    /// Symbol.
    pub symbol: String,
    /// Name of the time window; empty where there is only one.
    pub window: String,
    /// Swept parameters with this trial's values, in column order.
    pub parameters: Vec<(String, f64)>,
    /// Its row in the [`crate::TrialTable`].
    pub row: usize,
    /// Cash at the start, quote currency: where drawdown and buy and hold begin.
    pub initial_cash: f64,
    /// What it did; bar numbers index `candles`.
    pub outcome: Outcome,
    /// The candles it ran on, warm-up included.
    pub candles: &'a Candles,
}

/// The account at the close of one bar.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EquityPoint {
    /// Index of the bar in the candles.
    pub bar: usize,
    /// Close of the bar, UTC milliseconds.
    pub timestamp: i64,
    /// Account value, quote currency.
    pub equity: f64,
    /// `equity` over its running peak (which starts at the initial cash), minus 1; at most 0.
    pub drawdown: f64,
    /// Signed base quantity held.
    pub position: f64,
    /// Initial cash times close over the close of the first bar.
    pub buy_and_hold: f64,
}

/// Names of the swept parameters of trials, which all have the same.
pub(crate) fn parameter_names(trials: &[TopTrial<'_>]) -> Vec<String> {
    trials
        .first()
        .map(|trial| trial.parameters.iter().map(|(name, _)| name.clone()).collect())
        .unwrap_or_default()
}

impl TopTrial<'_> {
    /// Bars the account lived: from `first_bar` to the end of the outcome or the candles.
    pub fn bars(&self) -> usize {
        let outcome = &self.outcome;
        let left = self.candles.len().saturating_sub(outcome.first_bar);
        outcome.equity.len().min(outcome.position.len()).min(left)
    }

    /// The account bar by bar.
    pub fn points(&self) -> impl Iterator<Item = EquityPoint> + '_ {
        let Outcome { first_bar, ref equity, ref position, .. } = self.outcome;
        let close = self.candles.close();
        let mut peak = self.initial_cash;
        (0..self.bars()).map(move |i| {
            let bar = first_bar + i;
            peak = peak.max(equity[i]);
            EquityPoint {
                bar,
                timestamp: self.candles.close_time(bar),
                equity: equity[i],
                drawdown: equity[i] / peak - 1.0,
                position: position[i],
                buy_and_hold: self.initial_cash * (close[bar] / close[first_bar]),
            }
        })
    }
}
