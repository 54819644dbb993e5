//! Profile `vectorbt` at its simplest: all the money, no stops. Its account is then a product of price ratios, and an order
//! costs a few nanoseconds.
//!
//! - Long: `equity = cash * K1 * close / entry`; sold, `cash * K * exit / entry`, with the costs in `K1` and `K`.
//! - Short (only without costs): `equity = value * (2 - close / entry)`, whether covered or reversed.
//! - Drawdown: the highest and the lowest close of a stretch tell it, unless there is a new peak and, maybe, a new record
//!   in the same stretch.
//! - Returns inside a long are the asset's, from its prefix sums.
//!
//! vectorbt's rounding guards are not modelled. Where one of them could act (a profit that is nearly none, an order near the
//! smallest, an account nearly gone or a short that has nearly doubled) the trial is given up: [`Quick::result`] is `None`, and
//! the trader's own steps simulate it.

use std::ops::Range;

use pulp::{Arch, Simd, WithSimd};

use super::Settings;
use crate::bits::WORD;
use crate::metrics::{AssetReturns, Metrics, SUMS, extremes, finite, terms};
use crate::sim::Tape;
use crate::sim::events::{Ground, Heard, Trial};

/// The metrics that it knows.
pub(crate) const METRICS: [&str; 7] =
    ["total_return", "max_drawdown", "trades", "win_rate", "sharpe", "volatility", "buy_and_hold_return"];

/// Below this quantity vectorbt's guards are near.
const SMALL_SIZE: f64 = 1e-6;
/// Beyond what a product of two and a quotient round.
const NEARLY: f64 = 1.0 + 1e-14;
/// Below this much cash they are.
const SMALL_CASH: f64 = 1e-2;

/// What the trials of a symbol share.
#[derive(Debug, Clone, Copy)]
pub(crate) struct QuickGround<'a> {
    pub(crate) close: &'a [f64],
    pub(crate) returns: &'a AssetReturns,
    pub(crate) with_returns: bool,
    pub(crate) arch: Arch,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Flat,
    Long,
    Short,
}

/// A trial between two blocks of bars.
#[derive(Debug)]
pub(crate) struct Quick<'a> {
    ground: QuickGround<'a>,
    left: Range<usize>,
    first: usize,
    initial_cash: f64,
    /// Of a long: value at the entry's close over cash before, value when sold over that at the close, and both.
    entry_cost: f64,
    exit_cost: f64,
    side: Side,
    /// Flat: cash. Otherwise the value of the position at the price of its entry.
    value: f64,
    entry: usize,
    /// 1 over the entry's close.
    inverse: f64,
    /// Bars whose returns are summed already.
    summed: usize,
    peak: f64,
    /// Equity over the peak at its deepest.
    deepest: f64,
    trades: u32,
    wins: u32,
    sums: [f64; SUMS],
    given_up: bool,
}

impl<'a> Quick<'a> {
    /// Whether the settings are simple enough: a fee that is a share at most, and where it may be short not even that.
    pub(crate) fn takes(settings: &Settings, has_short: bool, with_returns: bool) -> bool {
        let plain = !settings.has_stops() && settings.fixed_fee == 0.0 && settings.slippage == 0.0;
        plain && settings.fee < 0.5 && !(has_short && (settings.fee != 0.0 || with_returns))
    }

    pub(crate) fn new(settings: &Settings, bars: Range<usize>, ground: QuickGround<'a>) -> Self {
        Self {
            ground,
            first: bars.start,
            summed: bars.start,
            left: bars,
            initial_cash: settings.initial_cash,
            entry_cost: 1.0 / (1.0 + settings.fee),
            exit_cost: 1.0 - settings.fee,
            side: Side::Flat,
            value: settings.initial_cash,
            entry: 0,
            inverse: 0.0,
            peak: settings.initial_cash,
            deepest: 1.0,
            trades: 0,
            wins: 0,
            sums: [0.0; SUMS],
            given_up: settings.initial_cash < SMALL_CASH,
        }
    }

    /// The metrics, or `None` if the trial was given up.
    pub(crate) fn result(&self, bars_a_year: f64) -> Option<Metrics> {
        if self.given_up {
            return None;
        }
        let close = self.ground.close;
        let last = self.left.end - 1;
        let bars = (last + 1 - self.first) as f64;
        let (mut wins, mut trades) = (self.wins, self.trades);
        let equity = self.equity(close[last]);
        if self.side != Side::Flat {
            trades += 1;
            let cash = if self.side == Side::Long { self.value / self.entry_cost } else { self.value };
            wins += u32::from(wins_at(equity / cash, close[last] * self.inverse)?);
        }
        let mean = self.sums[0] / bars;
        let deviation = ((self.sums[1] - self.sums[0] * mean).max(0.0) / (bars - 1.0)).sqrt();
        let mut metrics = Metrics::NULL;
        metrics.total_return = (equity - self.initial_cash) / self.initial_cash;
        metrics.max_drawdown = self.deepest - 1.0;
        metrics.trades = f64::from(trades);
        metrics.win_rate = finite(f64::from(wins) / f64::from(trades));
        metrics.volatility = finite(deviation * bars_a_year.sqrt());
        metrics.sharpe = finite(mean / deviation) * bars_a_year.sqrt();
        metrics.buy_and_hold_return = close[last] / close[self.first] - 1.0;
        Some(metrics)
    }

    #[inline(always)]
    fn equity(&self, close: f64) -> f64 {
        match self.side {
            Side::Flat => self.value,
            Side::Long => self.value * (close * self.inverse),
            Side::Short => self.value * (2.0 - close * self.inverse),
        }
    }

    #[inline(always)]
    fn open(&mut self, side: Side, bar: usize) {
        let close = self.ground.close[bar];
        if side == Side::Long {
            self.value *= self.entry_cost;
            if self.ground.with_returns {
                self.add_return(self.entry_cost - 1.0);
                self.summed = bar + 1;
            }
        }
        (self.side, self.entry, self.inverse) = (side, bar, 1.0 / close);
        self.given_up |= self.value < SMALL_CASH || self.value * self.inverse < SMALL_SIZE;
    }

    /// Leaves the position at the close of `bar`.
    #[inline(always)]
    fn shut(&mut self, bar: usize) {
        let close = self.ground.close[bar];
        let ratio = close * self.inverse;
        let equity = self.equity(close);
        let (cash, before) = match self.side {
            Side::Long => (equity * self.exit_cost, self.value / self.entry_cost),
            _ => (equity, self.value),
        };
        if self.side == Side::Long && self.ground.with_returns {
            self.sum_returns(bar);
            let before = self.ground.close[bar - 1];
            self.add_return(close / before * self.exit_cost - 1.0);
            self.summed = bar + 1;
        }
        self.trades += 1;
        match wins_at(cash / before, ratio) {
            Some(win) => self.wins += u32::from(win),
            None => self.given_up = true,
        }
        // A short that has nearly doubled can hardly be covered.
        self.given_up |= self.side == Side::Short && ratio > 1.999_999;
        (self.side, self.value) = (Side::Flat, cash);
        self.given_up |= cash < SMALL_CASH;
    }

    #[inline(always)]
    fn add_return(&mut self, r: f64) {
        let terms = terms(r);
        self.sums[0] += terms[0];
        self.sums[1] += terms[1];
    }

    /// The asset's returns up to bar `to`, which are the long's.
    #[inline(always)]
    fn sum_returns(&mut self, to: usize) {
        if self.summed < to {
            self.ground.returns.add(self.summed..to, self.ground.close, &mut self.sums);
            self.summed = to;
        }
    }

    /// One value of equity.
    #[inline(always)]
    fn level(&mut self, equity: f64) {
        if equity > self.peak {
            self.peak = equity;
        } else if equity <= self.deepest * self.peak * NEARLY {
            // The quotient decides, not the product: so where bars are cut decides no last bit.
            let depth = equity / self.peak;
            self.deepest = if depth < self.deepest { depth } else { self.deepest };
        }
    }

    /// The drawdown of the closes of `bars`, all in one position.
    #[inline(always)]
    fn drawdown<S: Simd>(&mut self, simd: S, bars: Range<usize>) {
        if self.side == Side::Flat || bars.is_empty() {
            return;
        }
        let close = &self.ground.close[bars];
        let (low, high) = extremes(simd, close);
        let (worst, best) = match self.side {
            Side::Short => (self.equity(high), self.equity(low)),
            _ => (self.equity(low), self.equity(high)),
        };
        self.given_up |= worst < SMALL_CASH;
        if best <= self.peak {
            self.level(worst);
        } else if worst / best >= self.deepest {
            // Even below the new peak it would not be the deepest.
            self.peak = best;
        } else {
            for &close in close {
                self.level(self.equity(close));
            }
        }
    }

    #[inline(always)]
    fn tile<S: Simd>(&mut self, simd: S, to: usize, heard: &Heard<'_>) {
        let mut marked = self.left.start;
        if marked == self.first {
            // vectorbt's peak starts with the first bar, whose equity the entry's costs may have lowered already.
            self.peak = f64::NEG_INFINITY;
        }
        let base = heard.start / WORD;
        for w in marked / WORD..to.div_ceil(WORD) {
            let words = |words: &[u64]| words.get(w - base).copied().unwrap_or(0);
            let [long, short] = [0, 1].map(|side| (words(heard.enter[side]), words(heard.exit[side])));
            let (long_enter, long_exit) = (long.0 & !long.1, long.1 & !long.0);
            let (short_enter, short_exit) = (short.0 & !short.1, short.1 & !short.0);
            let (long_enter, short_enter) = (long_enter & !short_enter, short_enter & !long_enter);
            let mut open = u64::MAX;
            if w == self.left.start / WORD {
                open <<= self.left.start % WORD;
            }
            if (w + 1) * WORD > to {
                open &= (1 << (to % WORD)) - 1;
            }
            loop {
                let wanted = match self.side {
                    Side::Flat => long_enter | short_enter,
                    Side::Long => short_enter | long_exit,
                    Side::Short => long_enter | short_exit,
                } & open;
                if wanted == 0 {
                    break;
                }
                let bit = wanted & wanted.wrapping_neg();
                let bar = w * WORD + wanted.trailing_zeros() as usize;
                // Nothing of a bar is heard twice.
                open &= !(bit | (bit - 1));
                self.drawdown(simd, marked..bar);
                if self.peak == f64::NEG_INFINITY && bar > self.first {
                    self.peak = self.value;
                }
                if self.side != Side::Flat {
                    self.shut(bar);
                }
                if long_enter & bit != 0 {
                    self.open(Side::Long, bar);
                } else if short_enter & bit != 0 {
                    self.open(Side::Short, bar);
                }
                self.level(self.equity(self.ground.close[bar]));
                marked = bar + 1;
            }
        }
        self.drawdown(simd, marked..to);
        if self.peak == f64::NEG_INFINITY {
            self.peak = self.value;
        }
        self.left.start = to;
    }
}

/// Whether a trade that turned 1 into `gain` won: not if its prices are the same but for 1e-9, where vectorbt's profit is
/// the fees. `None` where rounding decides.
#[inline(always)]
fn wins_at(gain: f64, ratio: f64) -> Option<bool> {
    let apart = (ratio - 1.0).abs();
    if apart < 0.9e-9 {
        return Some(false);
    }
    ((gain - 1.0).abs() > 1e-11 && apart > 1.1e-9).then_some(gain > 1.0)
}

/// [`Quick::tile`] as code for the processor that runs.
struct RunTile<'r, 'a> {
    quick: &'r mut Quick<'a>,
    to: usize,
    heard: &'r Heard<'r>,
}

impl WithSimd for RunTile<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        self.quick.tile(simd, self.to, self.heard);
    }
}

impl Trial for Quick<'_> {
    fn run(&mut self, to: usize, heard: Heard<'_>, _: &Ground<'_>, _: &mut impl Tape) {
        let to = to.min(self.left.end);
        if self.left.start < to && !self.given_up {
            let arch = self.ground.arch;
            arch.dispatch(RunTile { quick: self, to, heard: &heard });
            if self.left.is_empty() && self.side == Side::Long && self.ground.with_returns {
                self.sum_returns(to);
            }
        }
    }

    fn rejected_orders(&self) -> u32 {
        0
    }

    fn deficit(&self) -> f64 {
        0.0
    }
}
