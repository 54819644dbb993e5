//! Decimals as integer ticks, and quotients of integers rounded once.

/// Most decimal places a column may have to count as decimal.
const MAX_PLACES: u32 = 10;

/// Largest number of ticks a value may have. Up to here the decimal behind an f64 is unique: `x * 10^d` is off by less
/// than half a tick (two roundings of 2^-53 each).
const MAX_TICKS: f64 = (1_u64 << 51) as f64;

/// 1.5 * 2^52. Its last place is 1 and it has 51 bits to spare on either side: what is added to it is rounded to a whole
/// number, and stands in its last bits.
const WHOLE: f64 = 6_755_399_441_055_744.0;

/// Largest magnitude that [`small_to_f64`] takes.
pub(super) const SMALL_TICKS: i64 = (1 << 51) - 1;

/// An integer of up to [`SMALL_TICKS`] as f64. The cast does the same one at a time; this compiles to vector code.
pub(super) fn small_to_f64(value: i64) -> f64 {
    f64::from_bits(WHOLE.to_bits().wrapping_add_signed(value)) - WHOLE
}

/// `10^places`, exact for all places in use.
fn power(places: u32) -> f64 {
    10_u64.pow(places) as f64
}

/// The ticks of `value` at `places`, if it is that decimal.
fn ticks_of(value: f64, places: u32) -> Option<i64> {
    let scale = power(places);
    let scaled = value * scale;
    let ticks = (scaled + WHOLE) - WHOLE;
    (scaled.abs() <= MAX_TICKS && ticks / scale == value).then_some(ticks as i64)
}

/// The ticks of `value` and their places, as few as possible, if it is a decimal of at most 10 places.
pub(super) fn decimal(value: f64) -> Option<(i64, u32)> {
    // A decimal is one in more places too, as long as its ticks can be told apart: most values that are none need one
    // look.
    let most = (0..=MAX_PLACES).rev().find(|&places| (value * power(places)).abs() <= MAX_TICKS)?;
    ticks_of(value, most)?;
    (0..=most).find_map(|places| Some((ticks_of(value, places)?, places)))
}

/// The places, `least` or more, at which every finite one of `values` is a decimal.
fn places_of(values: &[f64], least: u32) -> Option<u32> {
    let mut places = least;
    for &value in values.iter().filter(|value| value.is_finite()) {
        while ticks_of(value, places).is_none() {
            places += 1;
            if places > MAX_PLACES {
                return None;
            }
        }
    }
    Some(places)
}

/// A decimal column as prefix sums of ticks.
#[derive(Debug)]
pub(super) struct Ticks {
    /// Decimal places of a tick.
    pub(super) places: u32,
    /// `prefix[i]` is the sum of the first `i` values, in ticks; what is not finite counts as 0.
    pub(super) prefix: Vec<i64>,
    /// Largest magnitude of a value, in ticks.
    pub(super) largest: u64,
    /// Whether every value is finite.
    pub(super) finite: bool,
}

/// Values that are looked at together.
const PART: usize = 64;

/// Writes the ticks of `values` at `places` and gives the largest magnitude, if all of them are such decimals.
///
/// In lanes and without a branch: it compiles to vector code.
fn all_ticks(values: &[f64; PART], places: u32, ticks: &mut [i64; PART]) -> Option<u64> {
    const LANES: usize = 4;
    let scale = power(places);
    let (mut largest, mut other) = ([0.0_f64; LANES], [0_u64; LANES]);
    let lanes = values.as_chunks::<LANES>().0.iter().zip(ticks.as_chunks_mut::<LANES>().0);
    for (values, ticks) in lanes {
        for k in 0..LANES {
            let scaled = values[k] * scale;
            let shifted = scaled + WHOLE;
            other[k] |= ((shifted - WHOLE) / scale).to_bits() ^ values[k].to_bits();
            other[k] |= (scaled.abs() * 0.0).to_bits(); // not 0 if it is not finite
            largest[k] = if scaled.abs() > largest[k] { scaled.abs() } else { largest[k] };
            ticks[k] = shifted.to_bits().wrapping_sub(WHOLE.to_bits()).cast_signed();
        }
    }
    let largest = largest.into_iter().fold(0.0, f64::max);
    (other == [0; LANES] && largest <= MAX_TICKS).then(|| largest.round() as u64)
}

impl Ticks {
    /// The ticks of `values`; `None` if they are not decimals of at most 10 places, or if a sum over them could
    /// overflow.
    pub(super) fn new(values: &[f64]) -> Option<Self> {
        let mut all =
            Self { places: 0, prefix: Vec::with_capacity(values.len() + 1), largest: 0, finite: true };
        all.prefix.push(0);
        let mut sum = 0_i64;
        let mut ticks = [0; PART];
        for part in values.chunks(PART) {
            // A part that is not full ends with zeros.
            let mut padded = [0.0; PART];
            let full = part.as_array::<PART>().unwrap_or_else(|| {
                padded[..part.len()].copy_from_slice(part);
                &padded
            });
            match all_ticks(full, all.places, &mut ticks) {
                Some(largest) => all.largest = all.largest.max(largest),
                None => {
                    all.finite &= part.iter().all(|value| value.is_finite());
                    let places = places_of(part, all.places)?;
                    all.rescale(places, values.len())?;
                    sum = all.prefix.last().copied().unwrap_or_default();
                    for (ticks, &value) in ticks.iter_mut().zip(part) {
                        *ticks = if value.is_finite() { ticks_of(value, places)? } else { 0 };
                        all.largest = all.largest.max(ticks.unsigned_abs());
                    }
                }
            }
            all.prefix.extend(ticks[..part.len()].iter().map(|ticks| {
                sum = sum.wrapping_add(*ticks);
                sum
            }));
        }
        all.fits(values.len()).then_some(all)
    }

    /// Whether no sum of a window overflows i64, and no sum of squares or product with a window overflows i128.
    fn fits(&self, values: usize) -> bool {
        let bound = self.largest.checked_mul(values as u64 + 1);
        self.largest <= MAX_TICKS as u64 && bound.is_some_and(|bound| bound <= i64::MAX as u64)
    }

    /// Counts in ticks of `places` from now on, unless there are too many of them among `values` values.
    fn rescale(&mut self, places: u32, values: usize) -> Option<()> {
        let factor = 10_u64.pow(places - self.places);
        self.places = places;
        self.largest = self.largest.checked_mul(factor)?;
        if !self.fits(values) {
            return None;
        }
        if factor > 1 {
            self.prefix.iter_mut().for_each(|sum| *sum *= factor as i64);
        }
        Some(())
    }

    /// `10^places`.
    pub(super) fn scale(&self) -> u64 {
        10_u64.pow(self.places)
    }

    /// The ticks of value `i`.
    pub(super) fn tick(&self, i: usize) -> i64 {
        self.prefix[i + 1] - self.prefix[i]
    }
}

/// `numerator / denominator`, correctly rounded, for a denominator in [1, 2^126].
///
/// Because it rounds the rational itself, it gives the same bits for `5 / 10` and `50 / 100`: it does not matter that
/// a longer history has more decimal places.
pub(super) fn ratio(numerator: i128, denominator: u128) -> f64 {
    const EXACT: u128 = 1 << 53;
    let magnitude = numerator.unsigned_abs();
    if magnitude == 0 {
        return 0.0;
    }
    if magnitude <= EXACT && denominator <= EXACT {
        return numerator as i64 as f64 / denominator as i64 as f64;
    }
    // Long division to at least 60 bits, what is left as a sticky bit below them, and one rounding.
    let mut shift = magnitude.leading_zeros();
    let mut quotient = (magnitude << shift) / denominator;
    let mut rest = (magnitude << shift) - quotient * denominator;
    while quotient < 1 << 60 && rest != 0 {
        let step = rest.leading_zeros().min(60);
        rest <<= step;
        let digits = rest / denominator;
        quotient = (quotient << step) | digits;
        // A second division, for the remainder, would take as long again.
        rest -= digits * denominator;
        shift += step;
    }
    if rest != 0 {
        quotient |= 1;
    }
    let value = libm::ldexp(quotient as f64, -(shift as i32));
    if numerator < 0 { -value } else { value }
}

/// `square / 100^places` with the fewest places: the places that a window itself needs, so that a history with more of
/// them gives the same bits.
pub(super) fn in_lowest_places(square: i128, mut places: u32) -> (f64, u32) {
    // Nearly always it has 64 bits, which divide much faster than 128.
    if let Ok(mut square) = i64::try_from(square) {
        while places > 0 && square & 3 == 0 && square % 100 == 0 {
            square /= 100;
            places -= 1;
        }
        return (square as f64, places);
    }
    let mut square = square;
    while places > 0 && square & 3 == 0 && square % 100 == 0 {
        square /= 100;
        places -= 1;
    }
    (square as f64, places)
}
