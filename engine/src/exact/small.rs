//! Spreads and weighted means of decimals whose sums fit in 64 bits: prices over usual windows.

use std::sync::OnceLock;

use super::prefix;
use super::ticks::{SMALL_TICKS, Ticks, in_lowest_places, small_to_f64};

/// Windows that are worked on at a time.
const PART: usize = 32;

/// Prefix sums that wrap around: the difference of two is right as long as the window's own sum fits.
#[derive(Debug, Default)]
pub(super) struct Small {
    squares: OnceLock<Vec<i64>>,
    weighted: OnceLock<Vec<i64>>,
}

impl Small {
    /// Whether sums of squares of windows of `window` values, times the window, fit.
    pub(super) fn holds_squares(ticks: &Ticks, window: usize) -> bool {
        ticks.largest.saturating_mul(window as u64) <= i64::MAX.isqrt() as u64
    }

    /// Whether weighted sums of windows of `window` values whose weights add up to `weights` are exact as f64, and what
    /// divides them too.
    pub(super) fn holds_weighted(ticks: &Ticks, weights: u128) -> bool {
        u128::from(ticks.largest) * weights <= SMALL_TICKS as u128
            && u128::from(ticks.scale()) * weights <= 1 << 53
    }

    /// Appends `finish(n * sum of squares - square of the sum, n)` of each window of `n` values.
    pub(super) fn spread(
        &self,
        ticks: &Ticks,
        window: usize,
        finish: impl Fn(f64, f64) -> f64,
        out: &mut Vec<f64>,
    ) {
        let squares = self.squares.get_or_init(|| {
            prefix(ticks.prefix.len() - 1, 0_i64, |sum, i| {
                sum.wrapping_add(ticks.tick(i).wrapping_mul(ticks.tick(i)))
            })
        });
        let divisor = |places| (window as u64 * 10_u64.pow(places)) as f64;
        let size = window as i64;
        let (sum_ends, square_ends) = (tail(&ticks.prefix, window), tail(squares, window));
        let sums = sum_ends.chunks(PART).zip(ticks.prefix.chunks(PART));
        for ((sum_to, sum_from), (square_to, square_from)) in
            sums.zip(square_ends.chunks(PART).zip(squares.chunks(PART)))
        {
            let (mut numerators, mut divisors) = ([0.0; PART], [divisor(ticks.places); PART]);
            let found = numerators.iter_mut().zip(&mut divisors);
            let sums = sum_to.iter().zip(sum_from).zip(square_to.iter().zip(square_from));
            for ((numerator, divided), ((sum_to, sum_from), (square_to, square_from))) in found.zip(sums) {
                let sum = sum_to - sum_from;
                let spread = (size * square_to.wrapping_sub(*square_from) - sum * sum).cast_unsigned();
                *numerator = spread as i64 as f64;
                if spread.is_multiple_of(100) {
                    let (lowest, places) = in_lowest_places(i128::from(spread), ticks.places);
                    (*numerator, *divided) = (lowest, divisor(places));
                }
            }
            let found = numerators.iter().zip(&divisors).take(sum_to.len());
            out.extend(found.map(|(numerator, divisor)| finish(*numerator, *divisor)));
        }
    }

    /// Appends the linearly weighted mean of each window of `window` values, whose weights add up to `weights`.
    pub(super) fn weighted_means(&self, ticks: &Ticks, window: usize, weights: u128, out: &mut Vec<f64>) {
        let weighted = self.weighted.get_or_init(|| {
            prefix(ticks.prefix.len() - 1, 0_i64, |sum, i| {
                sum.wrapping_add((i as i64).wrapping_mul(ticks.tick(i)))
            })
        });
        let denominator = (u128::from(ticks.scale()) * weights) as f64;
        let plain = tail(&ticks.prefix, window).iter().zip(&ticks.prefix);
        let heavy = tail(weighted, window).iter().zip(weighted);
        // Value k of the window, at index from + k - 1, weighs k: its index less (from - 1).
        out.extend(plain.zip(heavy).zip(-1_i64..).map(|(((to, from), (heavy_to, heavy_from)), before)| {
            let plain = before.wrapping_mul(to - from);
            small_to_f64(heavy_to.wrapping_sub(*heavy_from).wrapping_sub(plain)) / denominator
        }));
    }
}

/// The prefix sums at the ends of windows.
fn tail(prefix: &[i64], window: usize) -> &[i64] {
    prefix.get(window..).unwrap_or_default()
}
