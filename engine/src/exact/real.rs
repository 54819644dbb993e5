//! Sums in double-double, of what is not decimal.

use std::sync::{Arc, OnceLock};

use super::double::Double;
use super::prefix;

/// Prefix sums in double-double. Sum `i` follows from the values before `i` alone, so what comes later changes no bit;
/// what stands before a window changes it by no more than 2^-106 of the largest prefix sum.
#[derive(Debug)]
pub(super) struct Real {
    /// The values, 0 for what is not finite.
    values: Arc<[f64]>,
    prefix: Vec<Double>,
    squares: OnceLock<Vec<Double>>,
    weighted: OnceLock<Vec<Double>>,
}

impl Real {
    /// Prefix sums of finite values.
    pub(super) fn new(values: Arc<[f64]>) -> Self {
        let prefix = prefix(values.len(), Double::ZERO, |sum, i| sum.plus(values[i]));
        Self { values, prefix, squares: OnceLock::new(), weighted: OnceLock::new() }
    }

    /// Window sums over `divisor`.
    pub(super) fn quotient(&self, divisor: usize) -> impl Fn(usize, usize) -> f64 {
        let divisor = divisor as f64;
        move |to, from| self.prefix[to].sub(self.prefix[from]).over(divisor)
    }

    /// Linearly weighted means.
    pub(super) fn weighted_mean(&self, weights: u128) -> impl Fn(usize, usize) -> f64 {
        let weighted = self.weighted.get_or_init(|| {
            let value = |i| Double::product(i as f64, self.values[i]);
            prefix(self.values.len(), Double::ZERO, |sum, i| sum.add(value(i)))
        });
        move |to, from| {
            let plain = self.prefix[to].sub(self.prefix[from]).times(from as f64 - 1.0);
            weighted[to].sub(weighted[from]).sub(plain).over(weights as f64)
        }
    }

    /// `finish` of the spread of windows of `window` values.
    pub(super) fn spread(
        &self,
        window: usize,
        finish: impl Fn(f64, f64) -> f64,
    ) -> impl Fn(usize, usize) -> f64 {
        let values = &self.values;
        let squares = self.squares.get_or_init(|| {
            prefix(values.len(), Double::ZERO, |sum, i| sum.add(Double::product(values[i], values[i])))
        });
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
            let sum = self.prefix[to].sub(self.prefix[from]);
            if equal[to] >= window {
                0.0
            } else {
                spread_of(squares[to].sub(squares[from]), sum, window, &finish)
            }
        }
    }
}

/// `finish` of `n * squares - sum^2`.
fn spread_of(squares: Double, sum: Double, window: usize, finish: impl Fn(f64, f64) -> f64) -> f64 {
    let size = window as f64;
    finish(squares.times(size).sub(sum.square()).value().max(0.0), size)
}

/// The linearly weighted mean of `values`, summed from the first of them.
pub(super) fn weighted_mean(values: &[f64], weights: u128) -> f64 {
    let terms = values.iter().zip(1_usize..).map(|(&value, weight)| Double::product(weight as f64, value));
    terms.fold(Double::ZERO, Double::add).over(weights as f64)
}

/// `finish` of the spread of `values`, summed from the first of them.
pub(super) fn spread(values: &[f64], finish: impl Fn(f64, f64) -> f64) -> f64 {
    if values.windows(2).all(|pair| pair[0] == pair[1]) {
        return 0.0;
    }
    let sum = values.iter().fold(Double::ZERO, |sum, &value| sum.plus(value));
    let squares = values.iter().fold(Double::ZERO, |sum, &value| sum.add(Double::product(value, value)));
    spread_of(squares, sum, values.len(), finish)
}
