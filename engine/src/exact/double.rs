//! Double-double arithmetic: an unevaluated sum of two f64, 106 bits, from error-free transformations.
//!
//! Dekker 1971, Knuth (two-sum); the accurate ("IEEE") addition of Hida, Li and Bailey. Only additions and
//! multiplications that round to nearest are used, so the bits are the same on every platform. There is no overflow
//! guard: values beyond about 1e290 give NaN.

/// A number `hi + lo` with `|lo| <= ulp(hi) / 2`.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Double {
    pub(crate) hi: f64,
    pub(crate) lo: f64,
}

/// `a + b` and its rounding error.
#[inline(always)]
pub(crate) fn two_sum(a: f64, b: f64) -> (f64, f64) {
    let sum = a + b;
    let b_part = sum - a;
    (sum, (a - (sum - b_part)) + (b - b_part))
}

/// `a + b` and its rounding error, when `|a| >= |b|` or `a == 0`.
#[inline(always)]
fn fast_two_sum(a: f64, b: f64) -> (f64, f64) {
    let sum = a + b;
    (sum, b - (sum - a))
}

/// Splits a value into two halves of 26 bits.
#[inline(always)]
fn split(a: f64) -> (f64, f64) {
    const SPLITTER: f64 = 134_217_729.0; // 2^27 + 1
    let t = SPLITTER * a;
    let high = t - (t - a);
    (high, a - high)
}

/// `a * b` and its rounding error (Veltkamp and Dekker; no fused multiply-add, which is slow where it is emulated).
#[inline(always)]
fn two_prod(a: f64, b: f64) -> (f64, f64) {
    let product = a * b;
    let (a_high, a_low) = split(a);
    let (b_high, b_low) = split(b);
    let error = ((a_high * b_high - product) + a_high * b_low + a_low * b_high) + a_low * b_low;
    (product, error)
}

impl Double {
    /// Zero.
    pub(crate) const ZERO: Double = Double { hi: 0.0, lo: 0.0 };

    /// The exact product of two f64.
    pub(crate) fn product(a: f64, b: f64) -> Self {
        let (hi, lo) = two_prod(a, b);
        Self { hi, lo }
    }

    /// Adds an f64.
    pub(crate) fn plus(self, value: f64) -> Self {
        let (sum, error) = two_sum(self.hi, value);
        let (hi, lo) = fast_two_sum(sum, error + self.lo);
        Self { hi, lo }
    }

    /// Adds another double-double.
    pub(crate) fn add(self, other: Self) -> Self {
        let (sum, error) = two_sum(self.hi, other.hi);
        let (low_sum, low_error) = two_sum(self.lo, other.lo);
        let (sum, error) = fast_two_sum(sum, error + low_sum);
        let (hi, lo) = fast_two_sum(sum, error + low_error);
        Self { hi, lo }
    }

    /// Subtracts another double-double.
    pub(crate) fn sub(self, other: Self) -> Self {
        self.add(Self { hi: -other.hi, lo: -other.lo })
    }

    /// Multiplies by an f64.
    pub(crate) fn times(self, factor: f64) -> Self {
        let (product, error) = two_prod(self.hi, factor);
        let (hi, lo) = fast_two_sum(product, error + self.lo * factor);
        Self { hi, lo }
    }

    /// The square.
    pub(crate) fn square(self) -> Self {
        let (product, error) = two_prod(self.hi, self.hi);
        let (hi, lo) = fast_two_sum(product, error + 2.0 * (self.hi * self.lo));
        Self { hi, lo }
    }

    /// The quotient by an f64, rounded once.
    #[inline]
    pub(crate) fn over(self, divisor: f64) -> f64 {
        let quotient = self.hi / divisor;
        let (product, error) = two_prod(quotient, divisor);
        // What is left is some 2^-53 of it all: a product with the reciprocal, which a loop makes once, is as good.
        quotient + (((self.hi - product) - error) + self.lo) * (1.0 / divisor)
    }

    /// The quotient by another double-double, rounded once.
    pub(crate) fn ratio(self, divisor: Self) -> f64 {
        let quotient = self.hi / divisor.hi;
        quotient + self.sub(divisor.times(quotient)).value() / divisor.hi
    }

    /// The nearest f64.
    pub(crate) fn value(self) -> f64 {
        self.hi + self.lo
    }
}

/// The mean of finite values, rounded once: the mean of equal values is that value, which a plain sum misses
/// (`0.1` ten times gives 0.09999999999999999).
pub(crate) fn mean(values: &[f64]) -> f64 {
    values.iter().fold(Double::ZERO, |sum, &value| sum.plus(value)).over(values.len() as f64)
}
