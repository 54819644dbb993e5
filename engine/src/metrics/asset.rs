//! Sums of the asset's own returns: those of an account that holds it with no cash beside.

use std::ops::Range;

use rayon::prelude::*;

use super::lanes::add;

/// Bars over which sums run on; at each multiple, counted from the run's first bar, they start anew.
const BLOCK: usize = 1024;

/// What is summed of a bar's return `r`: `r`, `r^2`, `max(r, 0)`, `min(r, 0)`, `min(r, 0)^2`.
pub(crate) const SUMS: usize = 5;

/// A block with a return beyond this has no running sums: its bars are added one by one, so that a bad tick, or the launch of
/// a coin, takes no digits from the quiet bars after it.
const WILD: f64 = 10.0;

/// The terms of one return.
#[inline(always)]
pub(crate) fn terms(r: f64) -> [f64; SUMS] {
    let (gain, loss) = (if r > 0.0 { r } else { 0.0 }, if r < 0.0 { r } else { 0.0 });
    [r, r * r, gain, loss, loss * loss]
}

/// Sums and what their additions have lost: together they have twice the digits, and a difference of two of them is as exact
/// as a sum over its bars alone.
#[derive(Debug, Clone, Copy, Default)]
struct Running {
    sum: [f64; SUMS],
    lost: [f64; SUMS],
}

/// Running sums of the returns of a series of closes, from the run's first bar on.
#[derive(Debug)]
pub(crate) struct AssetReturns {
    first: usize,
    /// Of the bars from the first on: the sums from the first bar of the block to it.
    running: Vec<Running>,
    /// By block: whether it holds a wild return.
    wild: Vec<bool>,
}

impl AssetReturns {
    /// Those of the bars from `first` on. Blocks count from there, not from the first candle: how much history is loaded
    /// before depends on the grid.
    pub(crate) fn new(close: &[f64], first: usize) -> Self {
        let mut running = vec![Running::default(); close.len() - first.min(close.len())];
        let wild = running.par_chunks_mut(BLOCK).enumerate().map(|(block, running)| {
            let (mut now, mut wild) = (Running::default(), false);
            for (bar, running) in (first + block * BLOCK..).zip(running) {
                let r = return_of(close, bar);
                wild |= r.abs() > WILD;
                for (k, term) in terms(r).into_iter().enumerate() {
                    add(&mut now.sum[k], &mut now.lost[k], term);
                }
                *running = now;
            }
            wild
        });
        let wild = wild.collect();
        Self { first, running, wild }
    }

    /// Adds the sums over `bars` to `total`, block by block.
    #[inline(always)]
    #[expect(clippy::needless_range_loop, reason = "the sum indexes all of them")]
    pub(crate) fn add(&self, bars: Range<usize>, close: &[f64], total: &mut [f64; SUMS]) {
        let mut start = bars.start;
        while start < bars.end {
            let block = (start - self.first) / BLOCK;
            let from = self.first + block * BLOCK;
            let end = bars.end.min(from + BLOCK);
            if self.wild[block] {
                for bar in start..end {
                    for (total, term) in total.iter_mut().zip(terms(return_of(close, bar))) {
                        *total += term;
                    }
                }
            } else {
                let last = &self.running[end - 1 - self.first];
                let none = Running::default();
                let before = if start == from { &none } else { &self.running[start - 1 - self.first] };
                for k in 0..SUMS {
                    let (a, b) = (last.sum[k], before.sum[k]);
                    let difference = a - b;
                    let taken = a - difference;
                    let lost = (a - (difference + taken)) + (taken - b);
                    total[k] += difference + (lost + (last.lost[k] - before.lost[k]));
                }
            }
            start = end;
        }
    }
}

/// The return of the close of a bar; that of the first candle is 0.
#[inline(always)]
fn return_of(close: &[f64], bar: usize) -> f64 {
    if bar == 0 { 0.0 } else { close[bar] / close[bar - 1] - 1.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(close: &[f64], first: usize) {
        let sums = AssetReturns::new(close, first);
        for bars in [1..2, 1..1024, 1000..1024, 1000..1025, 1024..2048, 5..2999, 60..70, 2048..2049] {
            let bars = bars.start.max(first)..bars.end;
            let mut total = [0.0; SUMS];
            sums.add(bars.clone(), close, &mut total);
            let mut plain = [0.0; SUMS];
            for bar in bars.clone() {
                let of_bar = terms(close[bar] / close[bar - 1] - 1.0);
                plain.iter_mut().zip(of_bar).for_each(|(sum, term)| *sum += term);
            }
            let near = |(a, b): (&f64, &f64)| (a - b).abs() <= 1e-12 * b.abs().max(1e-9);
            assert!(total.iter().zip(&plain).skip(1).all(near), "{bars:?}: {total:?} is not {plain:?}");
            assert!((total[0] - plain[0]).abs() <= 1e-13 * plain[2].max(1.0));
        }
    }

    #[test]
    fn sums_over_any_bars_are_those_of_a_loop() {
        let close: Vec<f64> = (0..3000).map(|i| 100.0 + f64::from(i * i % 37)).collect();
        check(&close, 0);
        check(&close, 30);
    }

    #[test]
    fn a_jump_takes_no_digits_from_the_quiet_bars_of_its_block() {
        for jump in [1.05, 2.0, 10.5, 20.0, 1e6, 1e12] {
            let level = |i: u32| if i < 50 { 100.0 } else { 100.0 * jump };
            let close: Vec<f64> =
                (0..3000).map(|i| level(i) * (1.0 + 1e-6 * f64::from(i * i % 37))).collect();
            check(&close, 0);
            check(&close, 7);
        }
    }
}
