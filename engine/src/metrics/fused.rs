//! The metrics of a trial while it is simulated: from marks of many bars at once, without an equity curve.
//!
//! Cash and position are constant between two fills, so equity is `cash + held * close`: a flat stretch costs nothing, and in
//! a held one the highest and lowest close bound the drawdown. Returns are summed in [`LANES`] lanes by the number of the
//! bar, each in the order of time, so how the bars are cut into marks and tiles changes no bit.

use std::ops::Range;

use pulp::{Arch, Simd, WithSimd};

use super::asset::{AssetReturns, SUMS, terms};
use super::compute::{Parts, Ratios, finite, ratio};
use super::days::Days;
use super::tally::{Sum, Tally};
use super::{Metrics, Wanted};
use crate::candles::Candles;
use crate::sim::{Semantics, Tape, Trade};

/// Lanes of the sums over bars.
const LANES: usize = 8;

/// Bars whose highest and lowest close are looked at together.
const PART: usize = 64;

/// All bits of the lanes from a lane on.
const FROM: [[u64; LANES]; LANES + 1] = {
    let mut masks = [[0; LANES]; LANES + 1];
    let mut from = 0;
    while from <= LANES {
        let mut lane = from;
        while lane < LANES {
            masks[from][lane] = u64::MAX;
            lane += 1;
        }
        from += 1;
    }
    masks
};

/// What the trials of a symbol share.
#[derive(Debug)]
pub(crate) struct Ground<'a> {
    candles: &'a Candles,
    /// The run's first bar: lanes count from there, because how much history is loaded before depends on the grid.
    anchor: usize,
    initial_cash: f64,
    semantics: Semantics,
    days: &'a Days,
    asset: &'a AssetReturns,
    wanted: Wanted,
    arch: Arch,
}

impl<'a> Ground<'a> {
    pub(crate) fn new(
        candles: &'a Candles,
        anchor: usize,
        initial_cash: f64,
        semantics: Semantics,
        (days, asset): (&'a Days, &'a AssetReturns),
        wanted: Wanted,
        arch: Arch,
    ) -> Self {
        Self { candles, anchor, initial_cash, semantics, days, asset, wanted, arch }
    }
}

/// Beside a long's value, cash this small makes no return that differs from the asset's by more than rounding.
const NO_CASH: f64 = 1e-13;

/// Sums of per-bar returns in lanes.
#[derive(Debug, Clone, Copy, Default)]
struct Returns([[f64; LANES]; SUMS]);

impl Returns {
    #[inline(always)]
    fn add(&mut self, lane: usize, r: f64) {
        for (lanes, term) in self.0.iter_mut().zip(terms(r)) {
            lanes[lane] += term;
        }
    }
}

fn total(lanes: &[f64; LANES]) -> f64 {
    let mut sum = Sum::default();
    lanes.iter().for_each(|&lane| sum.add(lane));
    sum.value()
}

/// How far below its peak a series has been.
#[derive(Debug, Clone, Copy)]
struct Depth {
    peak: f64,
    /// Lowest since the peak.
    trough: f64,
    deepest: f64,
    /// Bars below the peak, up to the last one, and the most of them.
    run: usize,
    longest: usize,
}

impl Depth {
    fn from(peak: f64) -> Self {
        Self { peak, trough: peak, deepest: 0.0, run: 0, longest: 0 }
    }

    /// Takes the depth below the peak into the deepest.
    #[inline(always)]
    fn settle(&mut self) {
        let depth = self.trough / self.peak - 1.0;
        self.deepest = if depth < self.deepest { depth } else { self.deepest };
    }

    /// Whether `value` below `peak` is no deeper than the deepest so far. It divides as [`Self::settle`] does, so that where
    /// bars are cut decides no last bit.
    #[inline(always)]
    fn has_been_as_deep(&mut self, value: f64, peak: f64) -> bool {
        self.settle();
        value / peak - 1.0 >= self.deepest
    }

    /// `bars` below the peak, the lowest of them `worst`.
    #[inline(always)]
    fn below(&mut self, bars: usize, worst: f64) {
        self.trough = if worst < self.trough { worst } else { self.trough };
        self.run += bars;
        self.longest = self.longest.max(self.run);
    }

    /// One value at `bars` closes in a row.
    #[inline(always)]
    fn level(&mut self, bars: usize, value: f64) {
        if value < self.peak {
            self.below(bars, value);
        } else {
            if value > self.peak {
                self.settle();
                (self.peak, self.trough) = (value, value);
            }
            self.run = 0;
        }
    }
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
    /// Sums of the asset's returns while nothing else was held, and the bars that are not added to them yet.
    asset: [f64; SUMS],
    asset_bars: Range<usize>,
    depth: Depth,
    /// In profile `vectorbt`, whose peak starts at the first bar, the drawdown from the initial cash as well.
    depth_from_cash: Option<Depth>,
    lowest: f64,
    /// Cash and position at the last marked close, and whether that is the asset and nothing beside it.
    holds: (f64, f64),
    holds_asset: bool,
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
        let ends = &ground.days.ends;
        // Where nobody asks for days none is next.
        let next_day = if ground.wanted.days { ends.partition_point(|&end| end < first) } else { ends.len() };
        Self {
            ground,
            bars: first..first,
            equity: ground.initial_cash,
            returns: Returns::default(),
            asset: [0.0; SUMS],
            asset_bars: 0..0,
            depth: Depth::from(match ground.semantics {
                Semantics::Native => ground.initial_cash,
                Semantics::Vectorbt => f64::NEG_INFINITY,
            }),
            depth_from_cash: (ground.semantics == Semantics::Vectorbt && ground.wanted.days)
                .then(|| Depth::from(ground.initial_cash)),
            lowest: f64::INFINITY,
            holds: (ground.initial_cash, 0.0),
            holds_asset: false,
            held: 0,
            next_day,
            day_equity: Vec::with_capacity(ends.len() - next_day),
            day_drawdown_squares: Sum::default(),
            tally: Tally::default(),
        }
    }

    /// The metrics; null where no bar was marked.
    pub(crate) fn metrics(mut self) -> Metrics {
        if self.bars.is_empty() {
            return Metrics::NULL;
        }
        self.depth.settle();
        self.add_asset_returns();
        let n = self.bars.len() as f64;
        let [sum, squares, gains, losses, loss_squares] =
            std::array::from_fn(|k| total(&self.returns.0[k]) + self.asset[k]);
        let squares: f64 = (squares - sum * (sum / n)).max(0.0);
        let growth = self.equity / self.ground.initial_cash;
        let win_rate = self.tally.win_rate_with_open();
        let parts = Parts {
            last_equity: self.equity,
            bar: Ratios {
                mean: sum / n,
                deviation: if self.bars.len() < 2 { f64::NAN } else { (squares / (n - 1.0)).sqrt() },
                downside: f64::sqrt(loss_squares / n),
            },
            gains,
            losses: -losses,
            max_drawdown: self.depth.deepest,
            max_drawdown_bars: self.depth.longest,
            day_equity: self.day_equity,
            day_drawdown_squares: self.day_drawdown_squares.value(),
            held: self.held,
            trades: self.tally.statistics(),
            fees: self.tally.fees.value(),
            traded: self.tally.traded.value(),
            bars: self.bars,
        };
        let metrics = self.ground.arch.dispatch(Finish { parts, ground: self.ground });
        self.ground.wanted.only(match self.ground.semantics {
            Semantics::Native => metrics,
            Semantics::Vectorbt => {
                let bars_a_year = self.ground.candles.interval().bars_per_year();
                let cagr = finite(libm::pow(growth, bars_a_year / n) - 1.0);
                Metrics { cagr, calmar: ratio(cagr, metrics.max_drawdown.abs()), win_rate, ..metrics }
            }
        })
    }

    /// Adds the asset's returns that wait.
    #[inline(always)]
    fn add_asset_returns(&mut self) {
        let bars = std::mem::take(&mut self.asset_bars);
        self.ground.asset.add(bars, self.ground.candles.close(), &mut self.asset);
    }

    /// Whether equity stayed above zero.
    pub(crate) fn was_positive(&self) -> bool {
        self.lowest > 0.0
    }

    /// The return of one bar.
    #[inline(always)]
    fn one_return(&mut self, bar: usize, equity: f64) {
        let r = if self.equity == 0.0 { 0.0 } else { equity / self.equity - 1.0 };
        self.returns.add((bar - self.ground.anchor) % LANES, r);
        self.equity = equity;
    }

    /// One value of equity at `bars` closes in a row.
    #[inline(always)]
    fn level(&mut self, bars: usize, equity: f64) {
        self.lowest = if equity < self.lowest { equity } else { self.lowest };
        self.depth.level(bars, equity);
        if let Some(depth) = &mut self.depth_from_cash {
            depth.level(bars, equity);
        }
    }

    /// The drawdown of held bars.
    #[inline(always)]
    fn drawdown<S: Simd>(&mut self, simd: S, bars: Range<usize>, cash: f64, held: f64, close: &[f64]) {
        for part in close[bars].chunks(PART) {
            let (low, high) = extremes(simd, part);
            // Equity moves with the close, or against it: its extremes are those of the closes.
            let (worst, best) = if held > 0.0 { (low, high) } else { (high, low) };
            let (worst, best) = (cash + held * worst, cash + held * best);
            self.lowest = if worst < self.lowest { worst } else { self.lowest };
            let add = |depth: &mut Depth| {
                if best < depth.peak {
                    depth.below(part.len(), worst);
                } else if !self.ground.wanted.drawdown_bars && depth.has_been_as_deep(worst, best) {
                    // Even below the new peak it would not be the deepest.
                    depth.level(1, best);
                } else {
                    part.iter().for_each(|close| depth.level(1, cash + held * close));
                }
            };
            add(&mut self.depth);
            if let Some(depth) = &mut self.depth_from_cash {
                add(depth);
            }
        }
    }

    /// Returns of held bars after the first one.
    #[inline(always)]
    fn held_returns(&mut self, bars: Range<usize>, cash: f64, held: f64, close: &[f64]) {
        let mut returns = self.returns;
        let mut t = bars.start;
        while t < bars.end {
            let group = t - (t - self.ground.anchor) % LANES;
            let next = group + LANES;
            if group == 0 || next > close.len() {
                // The edges of the candles, one by one.
                let r = (cash + held * close[t]) / (cash + held * close[t - 1]) - 1.0;
                returns.add((t - self.ground.anchor) % LANES, r);
                t += 1;
                continue;
            }
            let (Some(now), Some(before)) =
                (close[group..next].as_array::<LANES>(), close[group - 1..next - 1].as_array::<LANES>())
            else {
                return;
            };
            // Lanes of bars that are not meant add 0.
            let (from, to) = (&FROM[t - group], &FROM[LANES - (next - next.min(bars.end))]);
            let mut r = [0.0; LANES];
            for lane in 0..LANES {
                let value = (cash + held * now[lane]) / (cash + held * before[lane]) - 1.0;
                r[lane] = f64::from_bits(value.to_bits() & from[lane] & !to[lane]);
            }
            for (lane, &r) in r.iter().enumerate() {
                returns.add(lane, r);
            }
            t = next;
        }
        self.returns = returns;
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
    fn held_bars<S: Simd>(&mut self, simd: S, bars: Range<usize>, cash: f64, held: f64, close: &[f64]) {
        self.held += bars.len();
        let first = cash + held * close[bars.start];
        // One stay is looked at and summed as a whole, however its bars were cut.
        let stays = self.holds == (cash, held);
        if !stays {
            self.holds_asset = held > 0.0 && cash.abs() <= NO_CASH * first;
        }
        if self.holds_asset && stays {
            self.asset_bars.end = bars.end;
        } else if self.holds_asset {
            self.add_asset_returns();
            self.one_return(bars.start, first);
            self.asset_bars = bars.start + 1..bars.end;
        } else if self.ground.wanted.returns {
            self.one_return(bars.start, first);
            self.held_returns(bars.start + 1..bars.end, cash, held, close);
        }
        self.equity = cash + held * close[bars.end - 1];
        let mut t = bars.start;
        while t < bars.end {
            let end = self.day_end_before(bars.end);
            let to = end.map_or(bars.end, |end| end + 1);
            if to - t < LANES {
                close[t..to].iter().for_each(|close| self.level(1, cash + held * close));
            } else {
                self.drawdown(simd, t..to, cash, held, close);
            }
            if let Some(end) = end {
                self.day_ended(cash + held * close[end]);
            }
            t = to;
        }
    }

    #[inline(always)]
    fn day_end_before(&self, bar: usize) -> Option<usize> {
        self.ground.days.ends.get(self.next_day).copied().filter(|&end| end < bar)
    }

    fn day_ended(&mut self, equity: f64) {
        let peak = self.depth_from_cash.as_ref().unwrap_or(&self.depth).peak;
        let drawdown = equity / peak - 1.0;
        self.day_drawdown_squares.add(drawdown * drawdown);
        self.day_equity.push(equity);
        self.next_day += 1;
    }
}

/// Lowest and highest of some values.
#[inline(always)]
pub(crate) fn extremes<S: Simd>(simd: S, values: &[f64]) -> (f64, f64) {
    let (vectors, rest) = S::as_simd_f64s(values);
    let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
    if let Some((&first, others)) = vectors.split_first() {
        let (mut lowest, mut highest) = (first, first);
        for &vector in others {
            lowest = simd.min_f64s(lowest, vector);
            highest = simd.max_f64s(highest, vector);
        }
        (low, high) = (simd.reduce_min_f64s(lowest), simd.reduce_max_f64s(highest));
    }
    for &value in rest {
        low = if value < low { value } else { low };
        high = if value > high { value } else { high };
    }
    (low, high)
}

/// [`Fused::held_bars`] as code for the processor that runs.
struct Held<'r, 'a> {
    metrics: &'r mut Fused<'a>,
    bars: Range<usize>,
    cash: f64,
    held: f64,
    close: &'r [f64],
}

impl WithSimd for Held<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        self.metrics.held_bars(simd, self.bars, self.cash, self.held, self.close);
    }
}

/// [`Parts::metrics`] as code for the processor that runs.
struct Finish<'g> {
    parts: Parts,
    ground: &'g Ground<'g>,
}

impl WithSimd for Finish<'_> {
    type Output = Metrics;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> Metrics {
        self.parts.metrics(simd, self.ground.candles, self.ground.days, self.ground.initial_cash)
    }
}

impl Tape for Fused<'_> {
    fn mark(&mut self, bars: Range<usize>, cash: f64, held: f64, close: &[f64]) {
        self.bars.end = bars.end;
        if held == 0.0 {
            self.flat_bars(bars, cash);
        } else {
            self.ground.arch.dispatch(Held { metrics: self, bars, cash, held, close });
        }
        self.holds = (cash, held);
    }

    fn trade(&mut self, trade: &Trade) {
        self.tally.add(trade, self.ground.wanted.trades);
    }
}
