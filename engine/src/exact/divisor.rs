//! Division by a constant, rounded once.

use super::ticks::small_to_f64;

/// A whole number that divides others.
///
/// With `1 / d = high + low`, where `high` has few bits and `low` is the rest of it, `s * high` is exact and `s * low` small:
/// their sum is within `2^-(51 + bits of high)` of the quotient. A quotient of whole numbers is no nearer than `1 / d` in
/// units of half the last place to where rounding changes, so the sum is rounded as the quotient is. It is three operations
/// in vector code.
#[derive(Debug, Clone, Copy)]
pub(super) struct Divisor {
    by: f64,
    high: f64,
    low: f64,
    /// Numerators below it may be multiplied.
    limit: u128,
}

impl Divisor {
    /// Largest that is exact as f64.
    const MAX: u128 = 1 << 53;

    /// A divisor in [1, 2^53].
    pub(super) fn new(by: u128) -> Option<Self> {
        if by == 0 || by > Self::MAX {
            return None;
        }
        let bits = u128::BITS - by.leading_zeros();
        let by = by as f64;
        if bits > 25 {
            return Some(Self { by, high: 0.0, low: 0.0, limit: 0 });
        }
        // Of 53 bits, 3 more than the divisor has; that leaves room for numerators of 50 bits less those of the divisor.
        let high = f64::from_bits((1.0 / by).to_bits() & (u64::MAX << (50 - bits)));
        Some(Self { by, high, low: (1.0 - high * by) / by, limit: 1 << (50 - bits) })
    }

    /// Appends the quotients of numerators of up to 51 bits. `multiply` if they are known to be below the limit.
    #[inline(always)]
    pub(super) fn divide(&self, numerators: &[i64], multiply: bool, out: &mut Vec<f64>) {
        if multiply {
            out.extend(numerators.iter().map(|&numerator| self.times(small_to_f64(numerator))));
        } else {
            out.extend(numerators.iter().map(|&numerator| small_to_f64(numerator) / self.by));
        }
    }

    /// As [`Self::divide`], into a block.
    #[inline(always)]
    pub(super) fn write(&self, numerators: &[i64], multiply: bool, out: &mut [f64]) {
        if multiply {
            for (out, &numerator) in out.iter_mut().zip(numerators) {
                *out = self.times(small_to_f64(numerator));
            }
        } else {
            for (out, &numerator) in out.iter_mut().zip(numerators) {
                *out = self.over(small_to_f64(numerator));
            }
        }
    }

    #[inline(always)]
    fn times(&self, numerator: f64) -> f64 {
        numerator * self.high + numerator * self.low
    }

    #[inline(always)]
    pub(super) fn over(&self, numerator: f64) -> f64 {
        numerator / self.by
    }

    /// Whether there are numerators that may be multiplied.
    pub(super) fn multiplies(&self, largest: u128) -> bool {
        largest < self.limit
    }
}
