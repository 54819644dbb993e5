//! The metrics whose convention differs in this profile, as vectorbt's `Portfolio` computes them.

use super::Outcome;
use crate::sim::Trade;

/// Metrics as vectorbt gives them: where it says infinity or NaN, so do these; result tables show both as null.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct VectorbtMetrics {
    /// Last equity less initial cash, over initial cash.
    pub total_return: f64,
    /// `prod(1 + r) ^ (bars a year / bars) - 1`.
    pub annual_return: f64,
    /// Standard deviation (ddof 1) of per-bar returns times the square root of bars a year.
    pub volatility: f64,
    /// Mean over standard deviation (ddof 1) of per-bar returns, annualised; infinite where the deviation is 0.
    pub sharpe: f64,
    /// Annual mean over annual root mean square of the negative per-bar returns (over all bars); infinite where that
    /// is 0.
    pub sortino: f64,
    /// Sum of positive over sum of negative per-bar returns; infinite without negative ones.
    pub omega: f64,
    /// `annual_return` over the size of `max_drawdown`; NaN where that is 0.
    pub calmar: f64,
    /// Lowest of compounded returns over their running peak, minus 1. The peak starts at the first bar's close, so a
    /// fee on that bar is not a drawdown.
    pub max_drawdown: f64,
    /// All trades, the open one at its mark included (`pf.trades`).
    pub trades: TradeMetrics,
    /// Closed trades only (`pf.trades.closed`, what `pf.stats()` shows).
    pub closed_trades: TradeMetrics,
}

/// Metrics of a set of trades.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TradeMetrics {
    /// How many.
    pub count: usize,
    /// Share with a profit; NaN without trades.
    pub win_rate: f64,
    /// Sum of profits over the size of the sum of losses; infinite without losses, NaN without trades.
    pub profit_factor: f64,
    /// Win rate times mean profit less loss rate times mean loss, in quote currency.
    pub expectancy: f64,
    /// `sqrt(n)` times mean over standard deviation (ddof 1) of profit and loss.
    pub sqn: f64,
}

/// Computes the metrics of `outcome`, of an account that began with `initial_cash`.
///
/// Per-bar returns start with the first bar's against the initial cash; flat bars count. A return on a negative equity
/// (a short without margin check may go there) has its sign turned, and one on an equity of 0 is infinite.
pub fn metrics(outcome: &Outcome, initial_cash: f64, bars_per_year: f64) -> VectorbtMetrics {
    let returns = returns(&outcome.equity, initial_cash);
    let n = returns.len() as f64;
    let mean = returns.iter().sum::<f64>() / n;
    let deviation = deviation(&returns, mean);
    let gains = returns.iter().filter(|r| **r > 0.0).sum::<f64>();
    let losses = -returns.iter().filter(|r| **r < 0.0).sum::<f64>();
    let downside = (returns.iter().map(|r| r.min(0.0) * r.min(0.0)).sum::<f64>() / n).sqrt();
    let growth = returns.iter().fold(1.0, |product, r| product * (r + 1.0));
    let annual_return =
        if returns.is_empty() { f64::NAN } else { libm::pow(growth, bars_per_year / n) - 1.0 };
    let max_drawdown = max_drawdown(&returns);
    let enough = returns.len() >= 2;
    let or_infinite = |value: f64, denominator: f64| match (enough, denominator == 0.0) {
        (false, _) => f64::NAN,
        (true, true) => f64::INFINITY,
        (true, false) => value / denominator,
    };
    VectorbtMetrics {
        total_return: outcome.equity.last().map_or(f64::NAN, |last| (last - initial_cash) / initial_cash),
        annual_return,
        volatility: deviation * bars_per_year.sqrt(),
        sharpe: or_infinite(mean, deviation) * bars_per_year.sqrt(),
        sortino: or_infinite(mean * bars_per_year, downside * bars_per_year.sqrt()),
        omega: if losses == 0.0 { f64::INFINITY } else { gains / losses },
        calmar: if max_drawdown == 0.0 { f64::NAN } else { annual_return / max_drawdown.abs() },
        max_drawdown,
        trades: trade_metrics(&outcome.trades, |_| true),
        closed_trades: trade_metrics(&outcome.trades, |trade| trade.exit.is_some()),
    }
}

fn returns(equity: &[f64], initial_cash: f64) -> Vec<f64> {
    let before = std::iter::once(&initial_cash).chain(equity);
    before
        .zip(equity)
        .map(|(&before, &now)| match before {
            0.0 if now == 0.0 => 0.0,
            0.0 => f64::INFINITY.copysign(now),
            _ if before < 0.0 => -((now - before) / before),
            _ => (now - before) / before,
        })
        .collect()
}

/// Standard deviation with ddof 1; NaN for fewer than two values.
fn deviation(values: &[f64], mean: f64) -> f64 {
    if values.len() < 2 {
        return f64::NAN;
    }
    let squares = values.iter().map(|value| (value - mean) * (value - mean)).sum::<f64>();
    (squares / (values.len() - 1) as f64).sqrt()
}

fn max_drawdown(returns: &[f64]) -> f64 {
    let (mut product, mut peak, mut lowest) = (1.0, f64::NAN, f64::NAN);
    for r in returns {
        product *= r + 1.0;
        let value = product * 100.0;
        if peak.is_nan() || value > peak {
            peak = value;
        }
        // `min` takes the number where the other is NaN.
        lowest = f64::min(lowest, value / peak - 1.0);
    }
    lowest
}

fn trade_metrics(trades: &[Trade], keep: impl Fn(&Trade) -> bool) -> TradeMetrics {
    let pnl: Vec<f64> = trades.iter().filter(|trade| keep(trade)).map(|trade| trade.pnl).collect();
    let n = pnl.len() as f64;
    let sum_and_count = |wanted: fn(f64) -> bool| {
        pnl.iter().filter(|p| wanted(**p)).fold((0.0, 0.0), |(sum, count), p| (sum + p, count + 1.0))
    };
    let (won, wins) = sum_and_count(|p| p > 0.0);
    let (lost, losses) = sum_and_count(|p| p < 0.0);
    let average = |sum: f64, count: f64| if count == 0.0 { 0.0 } else { sum / count };
    let mean = pnl.iter().sum::<f64>() / n;
    TradeMetrics {
        count: pnl.len(),
        win_rate: wins / n,
        profit_factor: won / lost.abs(),
        expectancy: wins / n * average(won, wins) - losses / n * average(lost, losses).abs(),
        sqn: n.sqrt() * mean / deviation(&pnl, mean),
    }
}
