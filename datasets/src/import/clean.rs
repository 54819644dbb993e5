//! Prices that a float pipeline has moved off their decimals: `5.330000000000001e-05` was `0.0000533` once.
//!
//! A column is cleaned only when every value of it lies within 4 ulp of a decimal with at most 10 places and 14 digits,
//! and then each becomes the double nearest to its decimal. Doubles that are no such decimals lie that near to one with
//! a chance of at most one in five, so that a column of some dozen values which are not off their decimals is never
//! touched. The four prices are one column in this, so that a high stays at or above its open.

/// Powers of ten that doubles hold exactly.
const POWERS: [f64; 15] = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14];

const PLACES: usize = 10;
const DIGITS: usize = 14;
const ULPS: u64 = 4;

/// The double nearest to the decimal that a value lies within 4 ulp of.
pub(crate) fn nearest(value: f64) -> Option<f64> {
    let size = Some(value.abs()).filter(|size| size.is_finite())?;
    let whole_digits = POWERS.partition_point(|power| *power <= size);
    let places = PLACES.min(DIGITS.checked_sub(whole_digits)?);
    // Both are whole numbers that doubles hold, so their quotient is the nearest double.
    let decimal = (size * POWERS[places]).round() / POWERS[places];
    let near = decimal.to_bits().abs_diff(size.to_bits()) <= ULPS;
    near.then(|| decimal.copysign(value))
}

/// What the values of a column have in common so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Decimals {
    all_near: bool,
    off: u64,
}

impl Default for Decimals {
    fn default() -> Self {
        Self { all_near: true, off: 0 }
    }
}

impl Decimals {
    pub(crate) fn look(&mut self, values: &[f64]) {
        if !self.all_near {
            return;
        }
        for &value in values {
            match nearest(value) {
                Some(decimal) => self.off += u64::from(decimal.to_bits() != value.to_bits()),
                None => {
                    self.all_near = false;
                    return;
                }
            }
        }
    }

    /// How many values cleaning would change; zero when the column is not to be cleaned.
    pub(crate) fn to_clean(self) -> u64 {
        if self.all_near { self.off } else { 0 }
    }
}

/// Moves every value to its decimal.
pub(crate) fn clean(values: &mut [f64]) {
    for value in values {
        *value = nearest(*value).unwrap_or(*value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_off_their_decimals_are_found() {
        for (value, expected) in [
            (5.330000000000001e-05, Some(5.33e-05)),
            (0.0027300000000000002, Some(0.00273)),
            (46_385.0, Some(46_385.0)),
            (431_401.978_695_04, Some(431_401.978_695_04)),
            (0.1 + 0.2, Some(0.3)),
            (0.0, Some(0.0)),
            (1.0 / 3.0, None),
            (1e-11, None),
            (123_456_789_012_345.0, None),
            (f64::NAN, None),
        ] {
            assert_eq!(nearest(value), expected, "{value:?}");
        }
    }

    #[test]
    fn one_value_that_is_no_decimal_keeps_the_column() {
        let mut decimals = Decimals::default();
        decimals.look(&[0.1 + 0.2, 0.5]);
        assert_eq!(decimals.to_clean(), 1);
        decimals.look(&[1.0 / 3.0]);
        assert_eq!(decimals.to_clean(), 0);
    }

    #[test]
    fn doubles_that_are_no_decimals_are_rarely_near_one() {
        // Equidistant doubles over four decades: every one of a column would have to be near.
        let near = |from: f64| {
            let step = from * 1.234_567_890_123e-3;
            (0..1000).filter(|i| nearest(from + step * f64::from(*i) + step / 7.0).is_some()).count()
        };
        for from in [0.37, 3.7, 37.7, 99_999.1, 9.1e6] {
            assert!(near(from) < 300, "{from}: {}", near(from));
        }
    }
}
