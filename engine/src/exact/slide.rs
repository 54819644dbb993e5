//! Windows over decimals in one pass, without prefix sums: what a window holds is kept in whole numbers as it slides.
//!
//! ```text
//!  values --x 10^places--> ticks (i64) --a kernel adds the new and takes off the old--> whole numbers --divided once--> column
//! ```
//!
//! Whole numbers have no rounding that could stay behind, so a window is a function of its own values, with the bits that
//! prefix sums give. What the first pass costs beyond later ones is the check that every value is such a decimal.

use super::ticks::{Grid, MAX_TICKS, WHOLE, power, ticks_of};

/// Bars in one step of vector code.
const LANES: usize = 4;

/// Windows that are handed over together.
pub(super) const BLOCK: usize = 128;

/// What is kept of a window as it slides: `K` whole numbers, which wrap around.
pub(super) trait Kernel<const K: usize> {
    /// The numbers once a value has come and another gone, of which the kernel may want to know the `change` from the old to
    /// the new and both `together`, in ticks.
    fn slide(&mut self, new: i64, change: i64, together: i64) -> [i64; K];
}

/// The sum.
#[derive(Default)]
pub(super) struct Sum(i64);

impl Kernel<1> for Sum {
    #[inline(always)]
    fn slide(&mut self, _: i64, change: i64, _: i64) -> [i64; 1] {
        self.0 = self.0.wrapping_add(change);
        [self.0]
    }
}

/// The sum, and the linearly weighted sum: the newest value weighs `window`, the oldest 1.
pub(super) struct Weighted {
    window: i64,
    sum: i64,
    weighted: i64,
}

impl Weighted {
    pub(super) fn new(window: usize) -> Self {
        Self { window: window as i64, sum: 0, weighted: 0 }
    }
}

impl Kernel<2> for Weighted {
    #[inline(always)]
    fn slide(&mut self, new: i64, change: i64, _: i64) -> [i64; 2] {
        // Every value that was there weighs one less, the oldest 0.
        self.weighted = self.weighted.wrapping_add(self.window.wrapping_mul(new)).wrapping_sub(self.sum);
        self.sum = self.sum.wrapping_add(change);
        [self.sum, self.weighted]
    }
}

/// The sum `s`, and the spread `n * q - s^2` of `n` values with squares that add up to `q`.
pub(super) struct Spread {
    window: i64,
    sum: i64,
    spread: i64,
}

impl Spread {
    pub(super) fn new(window: usize) -> Self {
        Self { window: window as i64, sum: 0, spread: 0 }
    }
}

impl Kernel<2> for Spread {
    #[inline(always)]
    fn slide(&mut self, _: i64, change: i64, together: i64) -> [i64; 2] {
        // n (new^2 - old^2) - (after^2 - before^2), where new - old = after - before.
        let after = self.sum.wrapping_add(change);
        let apart = self.window.wrapping_mul(together).wrapping_sub(self.sum.wrapping_add(after));
        self.spread = self.spread.wrapping_add(change.wrapping_mul(apart));
        self.sum = after;
        [self.sum, self.spread]
    }
}

/// Whether all values of a pass were decimals, and the largest magnitude in ticks.
struct Check {
    /// Not 0 where a value was none.
    other: [u64; LANES],
    largest: [f64; LANES],
}

impl Check {
    fn new() -> Self {
        Self { other: [0; LANES], largest: [0.0; LANES] }
    }

    fn value(&mut self, value: f64, places: u32) {
        self.other[0] |= u64::from(ticks_of(value, places).is_none());
        self.largest[0] = self.largest[0].max((value * power(places)).abs());
    }

    fn is_passed(&self) -> bool {
        self.other == [0; LANES]
    }

    fn grid(&self, places: u32) -> Option<Grid> {
        let largest = self.largest.into_iter().fold(0.0, f64::max);
        (self.is_passed() && largest <= MAX_TICKS).then(|| Grid {
            places,
            largest: largest.round() as u64,
            finite: true,
        })
    }
}

/// Hands the numbers of each full window of `window` of `values` to `each`, the oldest first, up to [`BLOCK`] together.
///
/// `CHECK` finds out whether every value is a decimal of `places`, and gives the grid or nothing; without it that must be
/// known.
#[inline(always)]
pub(super) fn slide<const CHECK: bool, const K: usize>(
    values: &[f64],
    window: usize,
    places: u32,
    mut kernel: impl Kernel<K>,
    mut each: impl FnMut([&[i64]; K]),
) -> Option<Grid> {
    let scale = power(places);
    let (head, tail) = values.split_at_checked(window)?;
    let mut check = Check::new();
    let mut numbers = [[0; BLOCK]; K];
    let mut found = [0; K];
    for &value in head {
        if CHECK {
            check.value(value, places);
        }
        let new = ticks(value, scale);
        found = kernel.slide(new, new, new);
    }
    each(found.each_ref().map(std::slice::from_ref));
    let (blocks, rest) = tail.as_chunks::<BLOCK>();
    for (new, old) in blocks.iter().zip(values.as_chunks::<BLOCK>().0) {
        block::<CHECK, K>(new, old, scale, &mut kernel, &mut check, &mut numbers);
        if CHECK && !check.is_passed() {
            return None;
        }
        each(std::array::from_fn(|k| &numbers[k][..]));
    }
    let gone = &values[blocks.len() * BLOCK..];
    for (at, (&new, &old)) in rest.iter().zip(gone).enumerate() {
        if CHECK {
            check.value(new, places);
        }
        let (new, old) = (ticks(new, scale), ticks(old, scale));
        let found = kernel.slide(new, new.wrapping_sub(old), new.wrapping_add(old));
        for (numbers, found) in numbers.iter_mut().zip(found) {
            numbers[at] = found;
        }
    }
    each(std::array::from_fn(|k| &numbers[k][..rest.len()]));
    check.grid(places)
}

/// The ticks of a decimal.
#[inline(always)]
fn ticks(value: f64, scale: f64) -> i64 {
    (value * scale + WHOLE).to_bits().wrapping_sub(WHOLE.to_bits()).cast_signed()
}

/// What [`slide`] does with a block, step by step: one half of a step is vector code, the other waits for the bar before.
#[inline(always)]
fn block<const CHECK: bool, const K: usize>(
    new: &[f64; BLOCK],
    old: &[f64; BLOCK],
    scale: f64,
    kernel: &mut impl Kernel<K>,
    check: &mut Check,
    numbers: &mut [[i64; BLOCK]; K],
) {
    let steps = new.as_chunks::<LANES>().0.iter().zip(old.as_chunks::<LANES>().0);
    for (step, (new, old)) in steps.enumerate() {
        let (mut come, mut change, mut together) = ([0; LANES], [0_i64; LANES], [0_i64; LANES]);
        for k in 0..LANES {
            let scaled = new[k] * scale;
            let shifted = scaled + WHOLE;
            if CHECK {
                // What is not a number is not equal to itself.
                check.other[k] |= if (shifted - WHOLE) / scale == new[k] { 0 } else { u64::MAX };
                let magnitude = scaled.abs();
                check.largest[k] = if magnitude > check.largest[k] { magnitude } else { check.largest[k] };
            }
            let gone = (old[k] * scale + WHOLE).to_bits();
            come[k] = shifted.to_bits().wrapping_sub(WHOLE.to_bits()).cast_signed();
            change[k] = shifted.to_bits().wrapping_sub(gone).cast_signed();
            together[k] = come[k].wrapping_add(gone.wrapping_sub(WHOLE.to_bits()).cast_signed());
        }
        for k in 0..LANES {
            let found = kernel.slide(come[k], change[k], together[k]);
            for (numbers, found) in numbers.iter_mut().zip(found) {
                numbers[step * LANES + k] = found;
            }
        }
    }
}
