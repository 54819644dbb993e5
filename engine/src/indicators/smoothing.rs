//! Exponential averages, eight bars a step, in one or more lanes.
//!
//! Bar by bar, `m += alpha * (x - m)` waits at every bar for three operations of the bar before. Eight bars written out,
//!
//! ```text
//!  m[k] = m + (weight[k] * (x[1] - m) + s[k])        weight[k] = 1 - q^k,  q = 1 - alpha,  k = 1, ..., 8
//!  s[1] = 0,  s[k] = q * s[k-1] + alpha * (x[k] - x[1])
//! ```
//!
//! leave one such wait for eight bars. Every term is a difference of values: the average of a flat series stays exactly
//! its value, and the rounding is that of the plain recursion.

use std::ops::Range;

use super::common::unknown;
use crate::exact::{is_finite, mean};

/// Bars a step. The steps are counted from the seed, so what comes later changes no bit.
const STEP: usize = 8;

/// Bars that are worked on at a time. More would make the stores of a finished part wait for memory.
pub(super) const PART: usize = 64;

/// Exponential averages of `L` series, or of one series with `L` weights.
#[derive(Debug, Clone)]
pub(super) struct Smoother<const L: usize> {
    average: [f64; L],
    /// `1 - alpha`
    keep: [f64; L],
    /// `1 - (1 - alpha)^k` for the bars of a step; the first is alpha.
    weights: [[f64; L]; STEP],
}

impl<const L: usize> Smoother<L> {
    /// Averages that stand at `seed`; the next value weighs `alpha`.
    pub(super) fn new(seed: [f64; L], alpha: [f64; L]) -> Self {
        let keep = alpha.map(|alpha| 1.0 - alpha);
        let mut weights = [alpha; STEP];
        for k in 1..STEP {
            weights[k] = std::array::from_fn(|lane| alpha[lane] + keep[lane] * weights[k - 1][lane]);
        }
        Self { average: seed, keep, weights }
    }

    /// The averages after each of the next bars. Every call but the last is for whole steps, as a [`PART`] is.
    #[inline]
    pub(super) fn feed(&mut self, values: &[[f64; L]], averages: &mut [[f64; L]]) {
        if self.keep == [0.0; L] {
            // Nothing of the bar before is kept, and so no rounding of it.
            averages.copy_from_slice(values);
            let known = self.is_finite() && is_finite(values.as_flattened());
            self.average = if known { values.last().copied().unwrap_or(self.average) } else { [f64::NAN; L] };
            return;
        }
        let (steps, rest) = values.as_chunks::<STEP>();
        let (whole, out) = averages.as_chunks_mut::<STEP>();
        // Two loops, so that the compiler does not tie what a step can do early to what has to wait for the last one.
        for (step, sums) in steps.iter().zip(&mut *whole) {
            self.sums(step, sums);
        }
        for (step, sums) in steps.iter().zip(whole) {
            self.finish(&step[0], sums);
        }
        if let Some(last) = rest.last() {
            // A bar's average does not depend on the bars after it.
            let step = std::array::from_fn(|k| *rest.get(k).unwrap_or(last));
            let mut padded = [[0.0; L]; STEP];
            self.sums(&step, &mut padded);
            self.finish(&step[0], &mut padded);
            out.copy_from_slice(&padded[..rest.len()]);
            self.average = padded[rest.len() - 1];
        }
    }

    /// A smoother for two bars at a time, unless nothing is kept.
    pub(super) fn pairwise(&self) -> Option<Pairwise<L>> {
        let [alpha, both, ..] = self.weights;
        (!self.keep.contains(&0.0)).then_some(Pairwise { average: self.average, alpha, both })
    }

    /// Goes on after an average that was found otherwise.
    pub(super) fn resume(&mut self, average: [f64; L]) {
        self.average = average;
    }

    /// `s[k]` of a step.
    #[inline(always)]
    fn sums(&self, x: &[[f64; L]; STEP], sums: &mut [[f64; L]; STEP]) {
        for lane in 0..L {
            let (q, a, first) = (self.keep[lane], self.weights[0][lane], x[0][lane]);
            sums[0][lane] = 0.0;
            for k in 1..STEP {
                sums[k][lane] = q * sums[k - 1][lane] + a * (x[k][lane] - first);
            }
        }
    }

    /// `m[k]` of a step whose first value is `first`, in the place of `s[k]`.
    #[inline(always)]
    fn finish(&mut self, first: &[f64; L], sums: &mut [[f64; L]; STEP]) {
        for lane in 0..L {
            let m = self.average[lane];
            let gap = first[lane] - m;
            for (sum, weight) in sums.iter_mut().zip(&self.weights) {
                sum[lane] = m + (weight[lane] * gap + sum[lane]);
            }
        }
        self.average = sums[STEP - 1];
    }

    /// The averages at the last bar.
    pub(super) fn average(&self) -> [f64; L] {
        self.average
    }

    /// Whether every value so far was finite: what is not makes the average NaN or infinite for good.
    pub(super) fn is_finite(&self) -> bool {
        self.average.iter().all(|average| average.is_finite())
    }
}

/// The averages of a [`Smoother`], two bars a step: half of the operations, and four times the waits. It is for averages of
/// averages, of which one can go on while another waits.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pairwise<const L: usize> {
    pub(super) average: [f64; L],
    alpha: [f64; L],
    /// `1 - (1 - alpha)^2`
    both: [f64; L],
}

impl<const L: usize> Default for Pairwise<L> {
    fn default() -> Self {
        Self { average: [0.0; L], alpha: [0.0; L], both: [0.0; L] }
    }
}

impl<const L: usize> Pairwise<L> {
    /// The averages after each of two bars.
    #[inline(always)]
    pub(super) fn two(&mut self, [x, next]: [[f64; L]; 2]) -> [[f64; L]; 2] {
        let mut found = [[0.0; L]; 2];
        for lane in 0..L {
            let (m, alpha) = (self.average[lane], self.alpha[lane]);
            let gap = x[lane] - m;
            found[0][lane] = m + alpha * gap;
            found[1][lane] = m + (self.both[lane] * gap + alpha * (next[lane] - x[lane]));
        }
        self.average = found[1];
        found
    }

    /// The average after the first bar of [`Self::two`], when there is no second.
    #[inline(always)]
    pub(super) fn one(&mut self, x: [f64; L]) -> [f64; L] {
        let [found, _] = self.two([x; 2]);
        self.average = found;
        found
    }
}

/// Ranges of bars that are worked on at a time, from 0 to `len`.
pub(super) fn parts(len: usize) -> impl Iterator<Item = Range<usize>> {
    (0..len).step_by(PART).map(move |start| start..len.min(start + PART))
}

/// A column of `len` values, of which the first `unknown` are NaN and nothing else is there yet.
pub(super) fn column(len: usize, unknown: usize) -> Vec<f64> {
    let mut column = Vec::with_capacity(len);
    column.resize(unknown.min(len), f64::NAN);
    column
}

/// A recursion over values that starts anew after one that is not finite: `whole` gives the column of a run of values,
/// or none if it met one that is not finite.
pub(super) fn restarting(values: &[f64], whole: impl Fn(&[f64]) -> Option<Vec<f64>>) -> Vec<f64> {
    // Nearly always there is none, and nothing is looked at twice.
    whole(values).unwrap_or_else(|| {
        super::common::by_run(values, |run, out| {
            if let Some(column) = whole(run) {
                out.copy_from_slice(&column);
            }
        })
    })
}

/// The average of a series, seeded at `window - 1` with the mean of the first `window` values; it starts anew after a
/// value that is not finite.
pub(super) fn smoothed(values: &[f64], window: usize, alpha: f64) -> Vec<f64> {
    restarting(values, |values| {
        let Some((head, tail)) = values.split_at_checked(window) else {
            return is_finite(values).then(|| unknown(values.len()));
        };
        let mut column = column(values.len(), window - 1);
        let seed = mean(head);
        column.push(seed);
        let mut smoother = Smoother::new([seed], [alpha]);
        let mut averages = [[0.0]; PART];
        for part in tail.as_chunks().0.chunks(PART) {
            let averages = &mut averages[..part.len()];
            smoother.feed(part, averages);
            column.extend_from_slice(averages.as_flattened());
        }
        smoother.is_finite().then_some(column)
    })
}
