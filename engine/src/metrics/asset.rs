//! Sums of the asset's own returns: those of an account that holds it with no cash beside.

use std::ops::Range;

use rayon::prelude::*;

/// Bars over which sums run on; at each multiple they start anew, so that what they lose stays small.
const BLOCK: usize = 1024;

/// What is summed of a bar's return `r`: `r`, `r^2`, `max(r, 0)`, `min(r, 0)`, `min(r, 0)^2`.
pub(crate) const SUMS: usize = 5;

/// The terms of one return.
#[inline(always)]
pub(crate) fn terms(r: f64) -> [f64; SUMS] {
    let (gain, loss) = (if r > 0.0 { r } else { 0.0 }, if r < 0.0 { r } else { 0.0 });
    [r, r * r, gain, loss, loss * loss]
}

/// Running sums of the returns of a series of closes.
#[derive(Debug)]
pub(crate) struct AssetReturns {
    /// By bar: the sums from the first bar of its block to it.
    sums: Vec<[f64; SUMS]>,
}

impl AssetReturns {
    pub(crate) fn new(close: &[f64]) -> Self {
        let mut sums = vec![[0.0; SUMS]; close.len()];
        sums.par_chunks_mut(BLOCK).enumerate().for_each(|(block, sums)| {
            let mut sum = [0.0; SUMS];
            for (bar, sums) in (block * BLOCK..).zip(sums) {
                let r = if bar == 0 { 0.0 } else { close[bar] / close[bar - 1] - 1.0 };
                for (sum, term) in sum.iter_mut().zip(terms(r)) {
                    *sum += term;
                }
                *sums = sum;
            }
        });
        Self { sums }
    }

    /// Adds the sums over `bars` to `total`, block by block.
    #[inline(always)]
    pub(crate) fn add(&self, bars: Range<usize>, total: &mut [f64; SUMS]) {
        let mut start = bars.start;
        while start < bars.end {
            let block = start / BLOCK * BLOCK;
            let end = bars.end.min(block + BLOCK);
            let last = &self.sums[end - 1];
            if start == block {
                for k in 0..SUMS {
                    total[k] += last[k];
                }
            } else {
                let before = &self.sums[start - 1];
                for k in 0..SUMS {
                    total[k] += last[k] - before[k];
                }
            }
            start = end;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_over_any_bars_are_those_of_a_loop() {
        let close: Vec<f64> = (0..3000).map(|i| 100.0 + f64::from(i * i % 37)).collect();
        let sums = AssetReturns::new(&close);
        for bars in [1..2, 1..1024, 1000..1024, 1000..1025, 1024..2048, 5..2999, 2048..2049] {
            let mut total = [0.0; SUMS];
            sums.add(bars.clone(), &mut total);
            let mut plain = [0.0; SUMS];
            for bar in bars.clone() {
                let of_bar = terms(close[bar] / close[bar - 1] - 1.0);
                plain.iter_mut().zip(of_bar).for_each(|(sum, term)| *sum += term);
            }
            let near = |(a, b): (&f64, &f64)| (a - b).abs() <= 1e-12;
            assert!(total.iter().zip(&plain).all(near), "{bars:?}: {total:?} is not {plain:?}");
        }
    }
}
