//! One of the best trials with everything it did: the input of trades, equity curves and the report.

use std::sync::Arc;

use arrow_array::{ArrayRef, Float64Array, StringArray, UInt32Array};
use arrow_schema::{DataType, Field};
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

/// What has to be known of all the best trials before the first of them is written: which columns there are.
#[derive(Debug, Clone, Default)]
pub struct TopColumns {
    /// Names of the swept parameters, in column order; none where there is no trial.
    pub parameters: Vec<String>,
    /// Whether a bar of any of them was made to fill a gap.
    pub filled: bool,
}

impl TopColumns {
    /// The columns of these trials.
    pub fn of(trials: &[TopTrial<'_>]) -> Self {
        let names = |trial: &TopTrial<'_>| trial.parameters.iter().map(|(name, _)| name.clone()).collect();
        let is_filled = |trial: &TopTrial<'_>| trial.points().any(|point| trial.candles.is_filled(point.bar));
        Self {
            parameters: trials.first().map(names).unwrap_or_default(),
            filled: trials.iter().any(is_filled),
        }
    }
}

/// Which trial a row is of.
pub(crate) struct Who {
    rank: u32,
    symbol: String,
    window: String,
    parameters: Vec<f64>,
}

impl Who {
    /// The fields of [`Who::columns`].
    pub(crate) fn fields(parameters: &[String]) -> Vec<Field> {
        let mut fields = vec![
            Field::new("rank", DataType::UInt32, false),
            Field::new("symbol", DataType::Utf8, false),
            Field::new("window", DataType::Utf8, false),
        ];
        fields.extend(parameters.iter().map(|name| Field::new(name, DataType::Float64, true)));
        fields
    }

    /// What stands in front of each row: `rank, symbol, window` and so many swept parameters.
    pub(crate) fn columns<'a>(
        rows: impl Iterator<Item = &'a Who> + Clone,
        parameters: usize,
    ) -> Vec<ArrayRef> {
        let mut columns: Vec<ArrayRef> = vec![
            Arc::new(UInt32Array::from_iter_values(rows.clone().map(|who| who.rank))),
            Arc::new(StringArray::from_iter_values(rows.clone().map(|who| &who.symbol))),
            Arc::new(StringArray::from_iter_values(rows.clone().map(|who| &who.window))),
        ];
        for i in 0..parameters {
            let values = rows.clone().map(|who| who.parameters.get(i).copied());
            columns.push(Arc::new(values.collect::<Float64Array>()));
        }
        columns
    }
}

impl TopTrial<'_> {
    pub(crate) fn who(&self) -> Arc<Who> {
        Arc::new(Who {
            rank: self.rank,
            symbol: self.symbol.clone(),
            window: self.window.clone(),
            parameters: self.parameters.iter().map(|(_, value)| *value).collect(),
        })
    }

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
