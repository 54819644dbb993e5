//! UTC days of a run: what daily metrics are made of.

use std::ops::Range;

use super::compute::{returns, sum};
use crate::candles::Candles;
use crate::interval::DAY_MS;

/// The days of some bars.
#[derive(Debug)]
pub(crate) struct Days {
    /// The last bar of every UTC day (of the bars' opens); none for candles longer than a day, whose daily metrics are
    /// null: days without a candle have no return.
    pub(super) ends: Vec<usize>,
    /// Return of the close from one day's end to the next; the first has none.
    market: Vec<f64>,
}

impl Days {
    pub(crate) fn new(candles: &Candles, bars: Range<usize>) -> Self {
        if candles.interval().millis() > DAY_MS {
            return Self { ends: Vec::new(), market: Vec::new() };
        }
        let day = |i: usize| candles.timestamp()[i].div_euclid(DAY_MS);
        let ends: Vec<usize> = bars.clone().filter(|&i| i + 1 == bars.end || day(i + 1) != day(i)).collect();
        let closes: Vec<f64> = ends.iter().map(|&end| candles.close()[end]).collect();
        let market = closes.first().map_or(Vec::new(), |&first| returns(first, &closes));
        Self { ends, market }
    }

    /// Returns of buy and hold from the close of bar `first` on, over the last `count` days.
    pub(super) fn market(&self, close: &[f64], first: usize, count: usize) -> Vec<f64> {
        let start = self.ends.len() - count;
        let mut market = self.market[start..].to_vec();
        if let Some(of_first) = market.first_mut() {
            *of_first = close[self.ends[start]] / close[first] - 1.0;
        }
        market
    }
}

/// The 5 % quantile, by linear interpolation between order statistics (numpy's default), and the expected shortfall: the
/// mean of the worst 5 % of returns, the one at the edge counted in part (Acerbi and Tasche 2002, eq. 5.2). A mean of all
/// returns at or below the quantile would hang on the last bits of returns that tie, as every fixed stop makes them.
pub(super) fn tail(returns: &[f64]) -> (f64, f64) {
    if returns.is_empty() {
        return (f64::NAN, f64::NAN);
    }
    let mut sorted = returns.to_vec();
    let position = TAIL * (sorted.len() - 1) as f64;
    let below = position.floor() as usize;
    let above = (below + 1).min(sorted.len() - 1);
    // Only the tail need be in order, and its edge in its place.
    sorted.select_nth_unstable_by(above, f64::total_cmp);
    sorted[..above].sort_unstable_by(f64::total_cmp);
    let var = sorted[below] + (sorted[above] - sorted[below]) * (position - below as f64);
    let count = TAIL * sorted.len() as f64;
    let whole = count.floor() as usize;
    let edge = (count - whole as f64) * sorted[whole];
    (var, (sum(sorted[..whole].iter().copied()) + edge) / count)
}

/// Share of returns in the tail of `var_95` and `cvar_95`.
const TAIL: f64 = 0.05;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shortfall_is_the_mean_of_the_worst_twentieth_and_ties_do_not_move_it() {
        // 50 days: the worst two and a half are -4 %, -2 % and half of a -1 %.
        let mut returns = vec![-0.01; 50];
        (returns[7], returns[30]) = (-0.04, -0.02);
        assert!((tail(&returns).1 - (-0.04 - 0.02 - 0.005) / 2.5).abs() < 1e-15);
        let nudged: Vec<f64> =
            returns.iter().enumerate().map(|(i, r)| r * (1.0 + 1e-15 * i as f64)).collect();
        assert!((tail(&nudged).1 - tail(&returns).1).abs() < 1e-14);
    }
}
