//! The metrics of a trial while it is simulated: from marks of many bars at once, without an equity curve.
//!
//! Cash and position are constant between two fills, so equity is `cash + held * close`: a flat stretch costs nothing, and in
//! a held one the highest and lowest close bound the drawdown. Returns are summed in [`LANES`] lanes by the number of the
//! bar, each in the order of time, so how the bars are cut into marks and tiles changes no bit.

use std::ops::Range;

use pulp::Arch;

use super::Metrics;
use super::compute::{Parts, Ratios, day_ends};
use super::tally::{Sum, Tally};
use crate::candles::Candles;
use crate::sim::{Tape, Trade};

/// Lanes of the sums over bars.
const LANES: usize = 8;

/// Bars whose highest and lowest close are looked at together.
const PART: usize = 64;

/// What the trials of a symbol share.
#[derive(Debug)]
pub(crate) struct Ground<'a> {
    candles: &'a Candles,
    initial_cash: f64,
    /// The last bar of each UTC day of the run.
    day_ends: Vec<usize>,
    arch: Arch,
}

impl<'a> Ground<'a> {
    pub(crate) fn new(candles: &'a Candles, run: Range<usize>, initial_cash: f64, arch: Arch) -> Self {
        Self { candles, initial_cash, day_ends: day_ends(candles, run), arch }
    }
}

/// Sums of per-bar returns in lanes.
#[derive(Debug, Clone, Copy, Default)]
struct Returns {
    all: [f64; LANES],
    squares: [f64; LANES],
    gains: [f64; LANES],
    losses: [f64; LANES],
    loss_squares: [f64; LANES],
}

impl Returns {
    #[inline(always)]
    fn add(&mut self, lane: usize, r: f64) {
        let (gain, loss) = (if r > 0.0 { r } else { 0.0 }, if r < 0.0 { r } else { 0.0 });
        self.all[lane] += r;
        self.squares[lane] += r * r;
        self.gains[lane] += gain;
        self.losses[lane] += loss;
        self.loss_squares[lane] += loss * loss;
    }
}

fn total(lanes: &[f64; LANES]) -> f64 {
    let mut sum = Sum::default();
    lanes.iter().for_each(|&lane| sum.add(lane));
    sum.value()
}

/// The metrics of a trial so far.
#[derive(Debug)]
pub(crate) struct Fused<'a> {
    ground: &'a Ground<'a>,
    /// The bars of the account that are marked.
    bars: Range<usize>,
    /// Equity at the last marked close.
    equity: f64,
    returns: Returns,
    peak: f64,
    /// Lowest equity since the peak.
    trough: f64,
    deepest: f64,
    /// Bars below the peak, up to the last one, and the most of them.
    below: usize,
    longest_below: usize,
    held: usize,
    /// The next of the ground's day ends.
    next_day: usize,
    day_equity: Vec<f64>,
    day_drawdown_squares: Sum,
    tally: Tally,
}

impl<'a> Fused<'a> {
    /// Of an account that begins with bar `first`.
    pub(crate) fn new(ground: &'a Ground<'a>, first: usize) -> Self {
        let next_day = ground.day_ends.partition_point(|&end| end < first);
        Self {
            ground,
            bars: first..first,
            equity: ground.initial_cash,
            returns: Returns::default(),
            peak: ground.initial_cash,
            trough: ground.initial_cash,
            deepest: 0.0,
            below: 0,
            longest_below: 0,
            held: 0,
            next_day,
            day_equity: Vec::with_capacity(ground.day_ends.len() - next_day),
            day_drawdown_squares: Sum::default(),
            tally: Tally::default(),
        }
    }

    /// The metrics; null where no bar was marked.
    pub(crate) fn metrics(mut self) -> Metrics {
        if self.bars.is_empty() {
            return Metrics::null();
        }
        self.settle_drawdown();
        let n = self.bars.len() as f64;
        let sum = total(&self.returns.all);
        let squares = (total(&self.returns.squares) - sum * (sum / n)).max(0.0);
        Parts {
            last_equity: self.equity,
            bar: Ratios {
                mean: sum / n,
                deviation: if self.bars.len() < 2 { f64::NAN } else { (squares / (n - 1.0)).sqrt() },
                downside: (total(&self.returns.loss_squares) / n).sqrt(),
            },
            gains: total(&self.returns.gains),
            losses: -total(&self.returns.losses),
            max_drawdown: self.deepest,
            max_drawdown_bars: self.longest_below,
            day_equity: self.day_equity,
            day_drawdown_squares: self.day_drawdown_squares.value(),
            held: self.held,
            trades: self.tally.statistics(),
            fees: self.tally.fees.value(),
            traded: self.tally.traded.value(),
            bars: self.bars,
        }
        .metrics(self.ground.candles, self.ground.initial_cash)
    }

    /// The return of one bar.
    #[inline(always)]
    fn one_return(&mut self, bar: usize, equity: f64) {
        let r = if self.equity == 0.0 { 0.0 } else { equity / self.equity - 1.0 };
        self.returns.add(bar % LANES, r);
        self.equity = equity;
    }

    /// Takes the depth below the peak into the deepest.
    #[inline(always)]
    fn settle_drawdown(&mut self) {
        self.deepest = self.deepest.min(self.trough / self.peak - 1.0);
    }

    /// One value of equity at `bars` closes in a row.
    #[inline(always)]
    fn level(&mut self, bars: usize, equity: f64) {
        if equity < self.peak {
            self.trough = self.trough.min(equity);
            self.below += bars;
            self.longest_below = self.longest_below.max(self.below);
        } else {
            if equity > self.peak {
                self.settle_drawdown();
                (self.peak, self.trough) = (equity, equity);
            }
            self.below = 0;
        }
    }

    /// The drawdown of held bars.
    #[inline(always)]
    fn drawdown(&mut self, bars: Range<usize>, cash: f64, held: f64, close: &[f64]) {
        for part in close[bars].chunks(PART) {
            let (mut low, mut high) = ([f64::INFINITY; LANES], [f64::NEG_INFINITY; LANES]);
            let (whole, rest) = part.as_chunks::<LANES>();
            for part in whole {
                for lane in 0..LANES {
                    low[lane] = if part[lane] < low[lane] { part[lane] } else { low[lane] };
                    high[lane] = if part[lane] > high[lane] { part[lane] } else { high[lane] };
                }
            }
            for (lane, &close) in rest.iter().enumerate() {
                low[lane] = if close < low[lane] { close } else { low[lane] };
                high[lane] = if close > high[lane] { close } else { high[lane] };
            }
            let low = low.into_iter().fold(f64::INFINITY, f64::min);
            let high = high.into_iter().fold(f64::NEG_INFINITY, f64::max);
            // Equity moves with the close, or against it: its extremes are those of the closes.
            let (worst, best) = if held > 0.0 { (low, high) } else { (high, low) };
            if cash + held * best < self.peak {
                self.trough = self.trough.min(cash + held * worst);
                self.below += part.len();
                self.longest_below = self.longest_below.max(self.below);
            } else {
                part.iter().for_each(|close| self.level(1, cash + held * close));
            }
        }
    }

    /// Returns of held bars after the first one.
    #[inline(always)]
    fn held_returns(&mut self, bars: Range<usize>, cash: f64, held: f64, close: &[f64]) {
        let mut t = bars.start;
        while t < bars.end {
            let group = t / LANES * LANES;
            let whole = group..group + LANES;
            if group == 0 || whole.end > close.len() {
                // The edges of the candles, one by one.
                let r = (cash + held * close[t]) / (cash + held * close[t - 1]) - 1.0;
                self.returns.add(t % LANES, r);
                t += 1;
                continue;
            }
            let (Some(now), Some(before)) = (
                close[whole.clone()].as_array::<LANES>(),
                close[group - 1..whole.end - 1].as_array::<LANES>(),
            ) else {
                return;
            };
            for lane in 0..LANES {
                let r = (cash + held * now[lane]) / (cash + held * before[lane]) - 1.0;
                let bar = group + lane;
                self.returns.add(lane, if bar >= t && bar < bars.end { r } else { 0.0 });
            }
            t = whole.end;
        }
    }

    #[inline(always)]
    fn flat_bars(&mut self, bars: Range<usize>, cash: f64) {
        self.one_return(bars.start, cash);
        let mut t = bars.start;
        while t < bars.end {
            let end = self.day_end_before(bars.end);
            let to = end.map_or(bars.end, |end| end + 1);
            self.level(to - t, cash);
            if end.is_some() {
                self.day_ended(cash);
            }
            t = to;
        }
    }

    #[inline(always)]
    fn held_bars(&mut self, bars: Range<usize>, cash: f64, held: f64, close: &[f64]) {
        self.held += bars.len();
        self.one_return(bars.start, cash + held * close[bars.start]);
        self.held_returns(bars.start + 1..bars.end, cash, held, close);
        self.equity = cash + held * close[bars.end - 1];
        let mut t = bars.start;
        while t < bars.end {
            let end = self.day_end_before(bars.end);
            let to = end.map_or(bars.end, |end| end + 1);
            self.drawdown(t..to, cash, held, close);
            if let Some(end) = end {
                self.day_ended(cash + held * close[end]);
            }
            t = to;
        }
    }

    #[inline(always)]
    fn day_end_before(&self, bar: usize) -> Option<usize> {
        self.ground.day_ends.get(self.next_day).copied().filter(|&end| end < bar)
    }

    fn day_ended(&mut self, equity: f64) {
        let drawdown = equity / self.peak - 1.0;
        self.day_drawdown_squares.add(drawdown * drawdown);
        self.day_equity.push(equity);
        self.next_day += 1;
    }
}

impl Tape for Fused<'_> {
    fn mark(&mut self, bars: Range<usize>, cash: f64, held: f64, close: &[f64]) {
        self.bars.end = bars.end;
        if held == 0.0 {
            self.flat_bars(bars, cash);
        } else {
            self.ground.arch.dispatch(
                #[inline(always)]
                || self.held_bars(bars, cash, held, close),
            );
        }
    }

    fn trade(&mut self, trade: &Trade) {
        self.tally.add(trade);
    }
}
