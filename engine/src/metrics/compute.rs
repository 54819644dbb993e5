//! Metrics from an outcome, in one readable pass each.

use std::ops::Range;

use pulp::{Scalar, Simd};

use super::Metrics;
use super::days::{Days, tail};
use super::lanes::sums;
use super::tally::Sum;
use crate::candles::Candles;
use crate::interval::DAY_MS;
use crate::sim::{Outcome, Trade, vectorbt};

const NULL: f64 = f64::NAN;
const DAYS_A_YEAR: f64 = 365.0;

/// Computes the metrics of an outcome over the candles it was simulated on. Every metric of an outcome that was never
/// warm is null.
pub fn compute(outcome: &Outcome, candles: &Candles, initial_cash: f64) -> Metrics {
    let n = outcome.equity.len();
    if n == 0 {
        return Metrics::NULL;
    }
    let first = outcome.first_bar;
    let last = first + n - 1;
    let returns = returns(initial_cash, &outcome.equity);
    let days = Days::new(candles, first..last + 1);
    let (max_drawdown, max_drawdown_bars, drawdowns) = drawdown(initial_cash, &outcome.equity);
    let at_day_ends = |values: &[f64]| days.ends.iter().map(|&i| values[i - first]).collect::<Vec<f64>>();
    let fills = outcome
        .trades
        .iter()
        .flat_map(|t| [Some(t.entry), t.exit].into_iter().flatten().map(|f| (t.quantity, f)));
    let held = outcome.position.iter().filter(|&&position| position != 0.0).count();
    Parts {
        bars: first..last + 1,
        last_equity: outcome.equity[n - 1],
        bar: Ratios::new(Scalar, &returns),
        gains: sum(returns.iter().map(|r| r.max(0.0))),
        losses: -sum(returns.iter().map(|r| r.min(0.0))),
        max_drawdown,
        max_drawdown_bars,
        day_equity: at_day_ends(&outcome.equity),
        day_drawdown_squares: sum(at_day_ends(&drawdowns).iter().map(|d| d * d)),
        held,
        trades: TradeStatistics::new(&outcome.trades),
        fees: sum(fills.clone().map(|(_, fill)| fill.fee)),
        traded: sum(fills.map(|(quantity, fill)| quantity * fill.price)),
    }
    .metrics(Scalar, candles, &days, initial_cash)
}

/// What the metrics of a trial are made of.
pub(super) struct Parts {
    /// The bars of the account, at least one.
    pub(super) bars: Range<usize>,
    pub(super) last_equity: f64,
    /// Of per-bar returns.
    pub(super) bar: Ratios,
    /// Sum of positive per-bar returns, and the size of the sum of negative ones.
    pub(super) gains: f64,
    pub(super) losses: f64,
    pub(super) max_drawdown: f64,
    pub(super) max_drawdown_bars: usize,
    /// Equity at the last bar of each UTC day; none where days are not looked at.
    pub(super) day_equity: Vec<f64>,
    /// Sum of the squares of the drawdowns there.
    pub(super) day_drawdown_squares: f64,
    /// Bars whose close holds a position.
    pub(super) held: usize,
    pub(super) trades: TradeStatistics,
    /// Fees of all fills.
    pub(super) fees: f64,
    /// Notional of all fills.
    pub(super) traded: f64,
}

impl Parts {
    /// The metrics; `days` end with those of these bars.
    #[inline(always)]
    pub(super) fn metrics<S: Simd>(
        &self,
        simd: S,
        candles: &Candles,
        days: &Days,
        initial_cash: f64,
    ) -> Metrics {
        let (first, last) = (self.bars.start, self.bars.end - 1);
        let close = candles.close();
        let bars_a_year = candles.interval().bars_per_year();
        let count = self.day_equity.len();
        let daily = returns(initial_cash, &self.day_equity);
        let market = days.market(close, first, count);
        let day = Ratios::new(simd, &daily);
        let excess: Vec<f64> = daily.iter().zip(&market).map(|(r, m)| r - m).collect();
        let (alpha, beta) = regression(simd, &daily, &market);
        let (var_95, cvar_95) = tail(&daily);

        let total_return = self.last_equity / initial_cash - 1.0;
        let elapsed_ms = (candles.close_time(last) - candles.timestamp()[first]) as f64;
        let cagr = finite(libm::pow(1.0 + total_return, DAYS_A_YEAR * DAY_MS as f64 / elapsed_ms) - 1.0);
        let trades = &self.trades;
        Metrics {
            total_return,
            cagr,
            volatility: finite(self.bar.deviation * bars_a_year.sqrt()),
            sharpe: self.bar.sharpe(bars_a_year),
            sortino: self.bar.sortino(bars_a_year),
            sharpe_daily: day.sharpe(DAYS_A_YEAR),
            sortino_daily: day.sortino(DAYS_A_YEAR),
            calmar: ratio(cagr, self.max_drawdown.abs()),
            omega: ratio(self.gains, self.losses),
            max_drawdown: self.max_drawdown,
            max_drawdown_bars: self.max_drawdown_bars as f64,
            ulcer_index: finite((self.day_drawdown_squares / count as f64).sqrt()),
            exposure: self.held as f64 / self.bars.len() as f64,
            trades: trades.count as f64,
            win_rate: trades.win_rate,
            profit_factor: trades.profit_factor,
            expectancy: trades.expectancy,
            sqn: trades.sqn,
            average_trade: trades.average,
            best_trade: trades.best,
            worst_trade: trades.worst,
            win_streak: trades.win_streak,
            loss_streak: trades.loss_streak,
            fees_paid: self.fees,
            turnover: self.traded / initial_cash,
            var_95,
            cvar_95,
            buy_and_hold_return: close[last] / close[first] - 1.0,
            alpha,
            beta,
            information_ratio: Ratios::new(simd, &excess).sharpe(DAYS_A_YEAR),
        }
    }
}

/// The metrics of an outcome of profile `vectorbt`: ratios as vectorbt computes them, `win_rate` with the open trade,
/// drawdown from a peak that starts at the first bar. The rest follows our conventions.
pub fn compute_vectorbt(outcome: &Outcome, candles: &Candles, initial_cash: f64) -> Metrics {
    let Some(&first_equity) = outcome.equity.first() else { return compute(outcome, candles, initial_cash) };
    let theirs = vectorbt::metrics(outcome, initial_cash, candles.interval().bars_per_year());
    let (_, max_drawdown_bars, _) = drawdown(first_equity, &outcome.equity);
    Metrics {
        total_return: theirs.total_return,
        cagr: finite(theirs.annual_return),
        volatility: finite(theirs.volatility),
        sharpe: finite(theirs.sharpe),
        sortino: finite(theirs.sortino),
        omega: finite(theirs.omega),
        calmar: finite(theirs.calmar),
        max_drawdown: theirs.max_drawdown,
        max_drawdown_bars: max_drawdown_bars as f64,
        win_rate: finite(theirs.trades.win_rate),
        profit_factor: finite(theirs.closed_trades.profit_factor),
        expectancy: finite(theirs.closed_trades.expectancy),
        sqn: finite(theirs.closed_trades.sqn),
        ..compute(outcome, candles, initial_cash)
    }
}

/// Neumaier's compensated sum.
pub(crate) fn sum(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut sum = Sum::default();
    values.into_iter().for_each(|value| sum.add(value));
    sum.value()
}

pub(crate) fn finite(value: f64) -> f64 {
    if value.is_finite() { value } else { NULL }
}

/// A quotient; null when the denominator is zero.
pub(super) fn ratio(numerator: f64, denominator: f64) -> f64 {
    if denominator == 0.0 { NULL } else { finite(numerator / denominator) }
}

/// Returns from one value to the next, the first from `base`. A ruined account (0) returns 0 from then on.
#[inline(always)]
pub(super) fn returns(base: f64, values: &[f64]) -> Vec<f64> {
    let one = |before: f64, now: f64| if before == 0.0 { 0.0 } else { now / before - 1.0 };
    let Some(&first) = values.first() else { return Vec::new() };
    let mut returns = Vec::with_capacity(values.len());
    returns.push(one(base, first));
    returns.extend(values.array_windows().map(|&[before, now]| one(before, now)));
    returns
}

/// Mean and deviations of a series of returns.
pub(super) struct Ratios {
    pub(super) mean: f64,
    /// Standard deviation, ddof 1.
    pub(super) deviation: f64,
    /// Root mean square of the negative ones, over all.
    pub(super) downside: f64,
}

impl Ratios {
    #[inline(always)]
    fn new<S: Simd>(simd: S, returns: &[f64]) -> Self {
        let n = returns.len() as f64;
        let [total, losses] = sums(simd, returns.len(), |i| {
            let loss = if returns[i] < 0.0 { returns[i] } else { 0.0 };
            [returns[i], loss * loss]
        });
        let mean = total / n;
        let [squares] = sums(simd, returns.len(), |i| [(returns[i] - mean) * (returns[i] - mean)]);
        let deviation = if returns.len() < 2 { NULL } else { (squares / (n - 1.0)).sqrt() };
        Self { mean, deviation, downside: (losses / n).sqrt() }
    }

    fn sharpe(&self, periods: f64) -> f64 {
        ratio(self.mean, self.deviation) * periods.sqrt()
    }

    fn sortino(&self, periods: f64) -> f64 {
        ratio(self.mean, self.downside) * periods.sqrt()
    }
}

/// Deepest drawdown, longest run below the peak in bars, and the drawdown at every bar.
fn drawdown(initial_cash: f64, equity: &[f64]) -> (f64, usize, Vec<f64>) {
    let (mut peak, mut deepest) = (initial_cash, 0.0f64);
    let (mut run, mut longest) = (0usize, 0usize);
    let drawdowns = equity
        .iter()
        .map(|&value| {
            peak = peak.max(value);
            let depth = value / peak - 1.0;
            deepest = deepest.min(depth);
            run = if value < peak { run + 1 } else { 0 };
            longest = longest.max(run);
            depth
        })
        .collect();
    (deepest, longest, drawdowns)
}

/// Intercept (times 365) and slope of `y` on `x`.
#[inline(always)]
fn regression<S: Simd>(simd: S, y: &[f64], x: &[f64]) -> (f64, f64) {
    let n = y.len() as f64;
    let [total_x, total_y] = sums(simd, y.len(), |i| [x[i], y[i]]);
    let (mean_x, mean_y) = (total_x / n, total_y / n);
    let [covariance, variance] =
        sums(simd, y.len(), |i| [(y[i] - mean_y) * (x[i] - mean_x), (x[i] - mean_x) * (x[i] - mean_x)]);
    let beta = if y.len() < 2 { NULL } else { ratio(covariance, variance) };
    ((mean_y - beta * mean_x) * DAYS_A_YEAR, beta)
}

/// Statistics of closed trades; null without one.
#[derive(Debug, Clone)]
pub(super) struct TradeStatistics {
    /// All trades, the open one included.
    pub(super) count: usize,
    pub(super) win_rate: f64,
    pub(super) profit_factor: f64,
    pub(super) expectancy: f64,
    pub(super) sqn: f64,
    pub(super) average: f64,
    pub(super) best: f64,
    pub(super) worst: f64,
    pub(super) win_streak: f64,
    pub(super) loss_streak: f64,
}

impl TradeStatistics {
    /// Those of `count` trades of which none is closed.
    pub(super) fn null(count: usize) -> Self {
        Self {
            count,
            win_rate: NULL,
            profit_factor: NULL,
            expectancy: NULL,
            sqn: NULL,
            average: NULL,
            best: NULL,
            worst: NULL,
            win_streak: NULL,
            loss_streak: NULL,
        }
    }

    fn new(trades: &[Trade]) -> Self {
        let closed: Vec<&Trade> = trades.iter().filter(|trade| trade.exit.is_some()).collect();
        let n = closed.len() as f64;
        if closed.is_empty() {
            return Self::null(trades.len());
        }
        let profits: Vec<f64> = closed.iter().map(|trade| trade.pnl).collect();
        let of_returns = |pick: fn(f64, f64) -> f64, start: f64| {
            closed.iter().map(|t| t.return_fraction).fold(start, pick)
        };
        let won = sum(profits.iter().map(|p| p.max(0.0)));
        let lost = -sum(profits.iter().map(|p| p.min(0.0)));
        let streak = |wins: bool| {
            let (mut run, mut longest) = (0u32, 0u32);
            for profit in &profits {
                run = if (*profit > 0.0) == wins { run + 1 } else { 0 };
                longest = longest.max(run);
            }
            f64::from(longest)
        };
        let ratios = Ratios::new(Scalar, &profits);
        Self {
            count: trades.len(),
            win_rate: profits.iter().filter(|&&p| p > 0.0).count() as f64 / n,
            profit_factor: ratio(won, lost),
            expectancy: ratios.mean,
            sqn: ratio(ratios.mean, ratios.deviation) * n.sqrt(),
            average: sum(closed.iter().map(|t| t.return_fraction)) / n,
            best: of_returns(f64::max, f64::NEG_INFINITY),
            worst: of_returns(f64::min, f64::INFINITY),
            win_streak: streak(true),
            loss_streak: streak(false),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::candles::RawCandles;

    /// Six-hour candles with the given closes, from a UTC midnight.
    fn candles(close: &[f64]) -> Candles {
        let raw = RawCandles {
            timestamp: (0..close.len() as i64).map(|i| i * DAY_MS / 4).collect(),
            open: close.to_vec(),
            high: close.to_vec(),
            low: close.to_vec(),
            close: close.to_vec(),
            volume: vec![1.0; close.len()],
        };
        Candles::new("6h".parse().unwrap(), raw).unwrap()
    }

    fn metrics(close: &[f64], equity: &[f64]) -> Metrics {
        let position = vec![1.0; equity.len()];
        let outcome = Outcome { equity: equity.to_vec(), position, ..Outcome::default() };
        compute(&outcome, &candles(close), 100.0)
    }

    #[test]
    fn drawdown_starts_at_the_initial_cash() {
        let m = metrics(&[1.0; 5], &[90.0, 95.0, 100.0, 110.0, 99.0]);
        assert_eq!((m.max_drawdown, m.max_drawdown_bars), (0.9 - 1.0, 2.0));
        assert!((m.total_return - -0.01).abs() < 1e-15);
    }

    #[test]
    fn undefined_is_null_never_infinite() {
        let m = metrics(&[1.0; 4], &[100.0; 4]);
        assert_eq!((m.max_drawdown, m.trades, m.total_return), (0.0, 0.0, 0.0));
        for value in [m.sharpe, m.sortino, m.calmar, m.omega, m.win_rate, m.profit_factor, m.beta, m.sqn] {
            assert!(value.is_nan());
        }
        assert!(m.to_array().iter().all(|v| !v.is_infinite()));
    }

    #[test]
    fn daily_metrics_use_the_last_bar_of_each_utc_day() {
        // Two days of four bars: the day returns are +10 % and -10 %.
        let equity = [100.0, 101.0, 105.0, 110.0, 100.0, 120.0, 90.0, 99.0];
        let m = metrics(&[1.0, 1.0, 1.0, 2.0, 2.0, 2.0, 2.0, 1.0], &equity);
        let day = [0.1, -0.1];
        let mean: f64 = (day[0] + day[1]) / 2.0;
        assert!(mean.abs() < 1e-15);
        assert!(m.sharpe_daily.abs() < 1e-12);
        // Market days: +100 %, -50 %. Slope: cov / var = (0.1 * 0.75 + 0.1 * 0.75) / (2 * 0.75^2).
        assert!((m.beta - 0.15 / 1.125).abs() < 1e-12);
        assert!((m.var_95 - (-0.1 + 0.05 * 0.2)).abs() < 1e-12);
        assert!((m.cvar_95 - -0.1).abs() < 1e-12);
        assert!((m.ulcer_index - (0.175f64 * 0.175 / 2.0).sqrt()).abs() < 1e-12);
    }

    #[test]
    fn per_bar_ratios_follow_their_definitions() {
        let m = metrics(&[1.0; 3], &[110.0, 99.0, 108.9]);
        let returns = [0.1, -0.1, 0.1];
        let mean = 0.1 / 3.0;
        let var: f64 = returns.iter().map(|r: &f64| (r - mean).powi(2)).sum::<f64>() / 2.0;
        let year = (4.0f64 * 365.0).sqrt();
        assert!((m.sharpe - mean / var.sqrt() * year).abs() < 1e-10);
        assert!((m.volatility - var.sqrt() * year).abs() < 1e-10);
        assert!((m.sortino - mean / (0.01f64 / 3.0).sqrt() * year).abs() < 1e-9);
        assert!((m.omega - 2.0).abs() < 1e-9);
        let years = 0.75 / 365.0;
        assert!((m.cagr / (1.089f64.powf(1.0 / years) - 1.0) - 1.0).abs() < 1e-9);
    }

    #[test]
    fn a_compensated_sum_keeps_what_a_plain_one_loses() {
        assert_eq!(sum([1e16, 1.0, -1e16]), 1.0);
    }
}
