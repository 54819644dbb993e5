//! Statistics of trades, one trade at a time.

use super::compute::{TradeStatistics, ratio};
use crate::sim::Trade;

/// Neumaier's compensated sum, as `compute::sum` adds.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sum {
    total: f64,
    lost: f64,
}

impl Sum {
    #[inline(always)]
    pub(super) fn add(&mut self, value: f64) {
        let next = self.total + value;
        self.lost += if self.total.abs() >= value.abs() {
            (self.total - next) + value
        } else {
            (value - next) + self.total
        };
        self.total = next;
    }

    pub(super) fn value(self) -> f64 {
        self.total + self.lost
    }
}

/// The statistics of the trades so far.
#[derive(Debug, Clone, Default)]
pub(super) struct Tally {
    count: usize,
    closed: usize,
    wins: usize,
    /// Trades still open with a profit.
    open_wins: usize,
    won: Sum,
    lost: Sum,
    profit: Sum,
    /// The first profit: deviations are taken from it, so that little cancels where profits are alike.
    origin: f64,
    off: Sum,
    off_squares: Sum,
    returns: Sum,
    best: f64,
    worst: f64,
    /// The run of wins (positive) or losses (negative) that goes on.
    run: i64,
    longest: [i64; 2],
    pub(super) fees: Sum,
    pub(super) traded: Sum,
}

impl Tally {
    /// Adds a trade; `all` statistics of it, or only whether it won.
    #[inline]
    pub(super) fn add(&mut self, trade: &Trade, all: bool) {
        self.count += 1;
        if !all {
            let won = usize::from(trade.pnl > 0.0);
            let (closed, open) = if trade.exit.is_some() { (1, 0) } else { (0, 1) };
            self.closed += closed;
            self.wins += closed * won;
            self.open_wins += open * won;
            return;
        }
        self.fees.add(trade.entry.fee);
        self.traded.add(trade.quantity * trade.entry.price);
        let Some(exit) = trade.exit else {
            self.open_wins += usize::from(trade.pnl > 0.0);
            return;
        };
        self.fees.add(exit.fee);
        self.traded.add(trade.quantity * exit.price);
        let profit = trade.pnl;
        if self.closed == 0 {
            self.origin = profit;
            (self.best, self.worst) = (f64::NEG_INFINITY, f64::INFINITY);
        }
        self.closed += 1;
        self.profit.add(profit);
        let off = profit - self.origin;
        self.off.add(off);
        self.off_squares.add(off * off);
        self.won.add(profit.max(0.0));
        self.lost.add(profit.min(0.0));
        self.returns.add(trade.return_fraction);
        self.best = self.best.max(trade.return_fraction);
        self.worst = self.worst.min(trade.return_fraction);
        self.run = match (profit > 0.0, self.run) {
            (true, run) => run.max(0) + 1,
            (false, run) => run.min(0) - 1,
        };
        self.wins += usize::from(profit > 0.0);
        self.longest = [self.longest[0].max(self.run), self.longest[1].max(-self.run)];
    }

    /// Share of all trades with a profit, the open one at its mark; NaN without trades.
    pub(super) fn win_rate_with_open(&self) -> f64 {
        (self.wins + self.open_wins) as f64 / self.count as f64
    }

    pub(super) fn statistics(&self) -> TradeStatistics {
        if self.closed == 0 {
            return TradeStatistics::null(self.count);
        }
        let n = self.closed as f64;
        let mean = self.profit.value() / n;
        let off = self.off.value();
        let squares = (self.off_squares.value() - off * (off / n)).max(0.0);
        let deviation = if self.closed < 2 { f64::NAN } else { (squares / (n - 1.0)).sqrt() };
        TradeStatistics {
            count: self.count,
            win_rate: self.wins as f64 / n,
            profit_factor: ratio(self.won.value(), -self.lost.value()),
            expectancy: mean,
            sqn: ratio(mean, deviation) * n.sqrt(),
            average: self.returns.value() / n,
            best: self.best,
            worst: self.worst,
            win_streak: self.longest[0] as f64,
            loss_streak: self.longest[1] as f64,
        }
    }
}
