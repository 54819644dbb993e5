//! Sums in pairs of f64, of what is not decimal.

use std::sync::{Arc, OnceLock};

use super::double::{Double, two_sum};
use super::prefix;

/// Terms after which a sum and what was rounded off it are added up anew.
const PART: usize = 16;

/// Prefix sums of terms: a running sum in f64, and beside it the sum of what each addition rounded off (Ogita, Rump and
/// Oishi 2005, `Sum2`). An addition to the second rounds by some 2^-102 of the sum, so 90 bits hold after a million
/// terms. In double-double each addition would wait for the whole of the one before, here only for one f64 of it.
///
/// Sum `i` follows from the terms before `i` alone, so what comes later changes no bit.
#[derive(Debug)]
struct Prefix {
    high: Vec<f64>,
    low: Vec<f64>,
}

impl Prefix {
    fn new(len: usize, term: impl Fn(usize) -> Double) -> Self {
        let (mut high, mut low) = (Vec::with_capacity(len + 1), Vec::with_capacity(len + 1));
        let (mut sum, mut off) = (0.0, 0.0);
        high.push(sum);
        low.push(off);
        for start in (0..len).step_by(PART) {
            (sum, off) = two_sum(sum, off);
            let (mut sums, mut offs) = ([0.0; PART], [0.0; PART]);
            let part = start..len.min(start + PART);
            for (i, (sums, offs)) in part.clone().zip(sums.iter_mut().zip(&mut offs)) {
                let term = term(i);
                let (next, error) = two_sum(sum, term.hi);
                sum = next;
                off += error + term.lo;
                (*sums, *offs) = (sum, off);
            }
            high.extend_from_slice(&sums[..part.len()]);
            low.extend_from_slice(&offs[..part.len()]);
        }
        Self { high, low }
    }

    /// The sum of terms `from..to`.
    fn between(&self, to: usize, from: usize) -> Double {
        difference([self.high[to], self.low[to]], [self.high[from], self.low[from]])
    }
}

/// The difference of two sums, each with what was rounded off it.
#[inline(always)]
fn difference(to: [f64; 2], from: [f64; 2]) -> Double {
    let (sum, error) = two_sum(to[0], -from[0]);
    let (hi, lo) = two_sum(sum, error + (to[1] - from[1]));
    Double { hi, lo }
}

/// Prefix sums of finite values, their squares and their weighted values.
#[derive(Debug)]
pub(super) struct Real {
    /// The values, 0 for what is not finite.
    values: Arc<[f64]>,
    prefix: Prefix,
    squares: OnceLock<Prefix>,
    weighted: OnceLock<Prefix>,
}

impl Real {
    /// Prefix sums of finite values.
    pub(super) fn new(values: Arc<[f64]>) -> Self {
        let prefix = Prefix::new(values.len(), |i| Double { hi: values[i], lo: 0.0 });
        Self { values, prefix, squares: OnceLock::new(), weighted: OnceLock::new() }
    }

    /// Window sums over `divisor`.
    pub(super) fn quotient(&self, divisor: usize) -> impl Fn(usize, usize) -> f64 {
        let divisor = divisor as f64;
        move |to, from| self.prefix.between(to, from).over(divisor)
    }

    /// Appends the sum over `divisor` of each window of `window` values.
    pub(super) fn quotients(&self, window: usize, divisor: usize, out: &mut Vec<f64>) {
        let divisor = divisor as f64;
        let Prefix { high, low } = &self.prefix;
        let (high_to, low_to) =
            (high.get(window..).unwrap_or_default(), low.get(window..).unwrap_or_default());
        let ends = high_to.iter().zip(low_to).zip(high.iter().zip(low));
        out.extend(ends.map(|((high_to, low_to), (high_from, low_from))| {
            difference([*high_to, *low_to], [*high_from, *low_from]).over(divisor)
        }));
    }

    /// Linearly weighted means.
    pub(super) fn weighted_mean(&self, weights: u128) -> impl Fn(usize, usize) -> f64 {
        let weighted = self
            .weighted
            .get_or_init(|| Prefix::new(self.values.len(), |i| Double::product(i as f64, self.values[i])));
        move |to, from| {
            let plain = self.prefix.between(to, from).times(from as f64 - 1.0);
            weighted.between(to, from).sub(plain).over(weights as f64)
        }
    }

    /// Variances of windows of `window` values.
    pub(super) fn variance(&self, window: usize) -> impl Fn(usize, usize) -> f64 {
        let values = &self.values;
        let squares =
            self.squares.get_or_init(|| Prefix::new(values.len(), |i| Double::product(values[i], values[i])));
        // How many values that end at an index are equal: the rounding of the prefix sums must not give a flat window a
        // deviation.
        let equal =
            prefix(
                values.len(),
                0_usize,
                |run, i| {
                    if i > 0 && values[i] == values[i - 1] { run + 1 } else { 1 }
                },
            );
        move |to, from| {
            let sum = self.prefix.between(to, from);
            if equal[to] >= window { 0.0 } else { variance_of(squares.between(to, from), sum, window) }
        }
    }
}

/// `(n * squares - sum^2) / n^2`
fn variance_of(squares: Double, sum: Double, window: usize) -> f64 {
    let size = window as f64;
    squares.times(size).sub(sum.square()).value().max(0.0) / size / size
}

/// The linearly weighted mean of `values`, summed from the first of them.
pub(super) fn weighted_mean(values: &[f64], weights: u128) -> f64 {
    let terms = values.iter().zip(1_usize..).map(|(&value, weight)| Double::product(weight as f64, value));
    terms.fold(Double::ZERO, Double::add).over(weights as f64)
}

/// The variance of `values`, summed from the first of them.
pub(super) fn variance(values: &[f64]) -> f64 {
    if values.windows(2).all(|pair| pair[0] == pair[1]) {
        return 0.0;
    }
    let sum = values.iter().fold(Double::ZERO, |sum, &value| sum.plus(value));
    let squares = values.iter().fold(Double::ZERO, |sum, &value| sum.add(Double::product(value, value)));
    variance_of(squares, sum, values.len())
}
