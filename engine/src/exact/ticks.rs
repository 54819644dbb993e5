//! Decimals as integer ticks, and quotients of integers rounded once.

/// Most decimal places a column may have to count as decimal.
const MAX_PLACES: u32 = 10;

/// Largest number of ticks a value may have. Up to here the decimal behind an f64 is unique: `x * 10^d` is off by less
/// than half a tick (two roundings of 2^-53 each).
pub(super) const MAX_TICKS: f64 = (1_u64 << 51) as f64;

/// 1.5 * 2^52. Its last place is 1 and it has 51 bits to spare on either side: what is added to it is rounded to a whole
/// number, and stands in its last bits.
pub(super) const WHOLE: f64 = 6_755_399_441_055_744.0;

/// Largest magnitude that [`small_to_f64`] takes.
pub(super) const SMALL_TICKS: i64 = (1 << 51) - 1;

/// An integer of up to [`SMALL_TICKS`] as f64. The cast does the same one at a time; this compiles to vector code.
pub(super) fn small_to_f64(value: i64) -> f64 {
    f64::from_bits(WHOLE.to_bits().wrapping_add_signed(value)) - WHOLE
}

/// `10^places`, exact for all places in use.
pub(super) fn power(places: u32) -> f64 {
    10_u64.pow(places) as f64
}

/// The ticks of `value` at `places`, if it is that decimal.
pub(super) fn ticks_of(value: f64, places: u32) -> Option<i64> {
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
pub(super) fn places_of(values: &[f64], least: u32) -> Option<u32> {
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

/// What is known of a column of decimals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Grid {
    /// Decimal places of a tick.
    pub(super) places: u32,
    /// Largest magnitude of a value, in ticks.
    pub(super) largest: u64,
    /// Whether every value is finite.
    pub(super) finite: bool,
}

/// A decimal column as prefix sums of ticks.
#[derive(Debug)]
pub(super) struct Ticks {
    pub(super) grid: Grid,
    /// `prefix[i]` is the sum of the first `i` values, in ticks; what is not finite counts as 0.
    pub(super) prefix: Vec<i64>,
}

/// Values that are looked at together.
const PART: usize = 64;

/// The largest magnitude of `values` in ticks of `places`, if all of them are such decimals.
///
/// In lanes and without a branch: it compiles to vector code.
fn largest_of(values: &[f64; PART], places: u32) -> Option<u64> {
    const LANES: usize = 4;
    let scale = power(places);
    let (mut largest, mut other) = ([0.0_f64; LANES], [0_u64; LANES]);
    for values in values.as_chunks::<LANES>().0 {
        for k in 0..LANES {
            let scaled = values[k] * scale;
            let shifted = scaled + WHOLE;
            other[k] |= ((shifted - WHOLE) / scale).to_bits() ^ values[k].to_bits();
            other[k] |= (scaled.abs() * 0.0).to_bits(); // not 0 if it is not finite
            largest[k] = if scaled.abs() > largest[k] { scaled.abs() } else { largest[k] };
        }
    }
    let largest = largest.into_iter().fold(0.0, f64::max);
    (other == [0; LANES] && largest <= MAX_TICKS).then(|| largest.round() as u64)
}

impl Grid {
    /// That of `values`; `None` if they are not decimals of at most 10 places.
    pub(super) fn of(values: &[f64]) -> Option<Self> {
        let mut grid = Self { places: 0, largest: 0, finite: true };
        for part in values.chunks(PART) {
            // A part that is not full ends with zeros.
            let mut padded = [0.0; PART];
            let full = part.as_array::<PART>().unwrap_or_else(|| {
                padded[..part.len()].copy_from_slice(part);
                &padded
            });
            if let Some(largest) = largest_of(full, grid.places) {
                grid.largest = grid.largest.max(largest);
                continue;
            }
            grid.finite &= part.iter().all(|value| value.is_finite());
            let places = places_of(part, grid.places)?;
            grid.largest = grid.largest.checked_mul(10_u64.pow(places - grid.places))?;
            grid.places = places;
            for &value in part.iter().filter(|value| value.is_finite()) {
                grid.largest = grid.largest.max(ticks_of(value, places)?.unsigned_abs());
            }
            if grid.largest > MAX_TICKS as u64 {
                return None;
            }
        }
        Some(grid)
    }

    /// Whether sums of ticks with these weights, and what divides them, are exact as f64.
    pub(super) fn holds_weighted(&self, weights: u128) -> bool {
        u128::from(self.largest) * weights <= SMALL_TICKS as u128
            && u128::from(self.scale()) * weights <= 1 << 53
    }

    /// `10^places`.
    pub(super) fn scale(&self) -> u64 {
        10_u64.pow(self.places)
    }
}

impl Ticks {
    /// The ticks of `values`; `None` if they are not decimals of at most 10 places, or if a sum over them could
    /// overflow.
    pub(super) fn new(values: &[f64]) -> Option<Self> {
        let grid = Grid::of(values)?;
        // No sum of a window overflows i64, and no sum of squares or product with a window i128.
        let bound = grid.largest.checked_mul(values.len() as u64 + 1)?;
        if bound > i64::MAX as u64 {
            return None;
        }
        let scale = power(grid.places);
        let ticks = |value: f64| ((value * scale + WHOLE) - WHOLE) as i64;
        let prefix = super::prefix(values.len(), 0, |sum, i| {
            sum + if values[i].is_finite() { ticks(values[i]) } else { 0 }
        });
        Some(Self { grid, prefix })
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
    if let Some(value) = corrected(magnitude, denominator) {
        return if numerator < 0 { -value } else { value };
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

/// The quotient of f64, corrected by what it leaves: most of the time that takes one product and no division of integers.
fn corrected(numerator: u128, denominator: u128) -> Option<f64> {
    const HALF: u64 = 1 << 52;
    if numerator >> 126 != 0 || denominator >> 72 != 0 {
        return None;
    }
    // Off by less than 4 in the last place.
    let quotient = wide_to_f64(numerator) / wide_to_f64(denominator);
    // It is `digits / 2^shift`.
    let shift = u32::try_from(1075 - (quotient.to_bits() >> 52) as i64).ok().filter(|shift| *shift < 124)?;
    let mut digits = quotient.to_bits() & (HALF - 1) | HALF;
    let (size, mut left) = (denominator.cast_signed(), (numerator << shift).cast_signed());
    left -= (u128::from(digits) * denominator).cast_signed();
    while 2 * left > size || 2 * left == size && digits & 1 == 1 {
        digits += 1;
        left -= size;
    }
    while -2 * left > size || -2 * left == size && digits & 1 == 1 {
        digits -= 1;
        left += size;
    }
    // Beside a power of two the places are twice or half as wide.
    let power = f64::from_bits(u64::from(1023 - shift) << 52);
    (digits < 2 * HALF && (digits > HALF || digits == HALF && left >= 0)).then_some(digits as f64 * power)
}

/// A cast of 64 bits takes half the time.
fn wide_to_f64(value: u128) -> f64 {
    u64::try_from(value).map_or(value as f64, |value| value as f64)
}
