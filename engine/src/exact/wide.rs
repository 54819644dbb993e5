//! Columns that are decimal in part, or need more than 64 bits.
//!
//! Every value and every window is judged by itself: a window of decimals is summed in ticks, any other in double-double,
//! so that no value elsewhere in the column changes a bit of it.
//!
//! The sums of squares and of weighted values wrap around: a window's difference is right as long as it fits in i128
//! itself. A window that may not fit is summed from its own values, in its own decimal places, or in double-double if
//! even that is too wide.

use std::sync::{Arc, OnceLock};

use super::prefix;
use super::real::{self, Real};
use super::ticks::{decimal, ratio};

/// Prefix sums of ticks in i128, and what is not decimal beside them.
#[derive(Debug)]
pub(super) struct Wide {
    /// Most decimal places of a decimal.
    places: u32,
    /// The values, 0 for what is not finite.
    values: Arc<[f64]>,
    /// Prefix sums in ticks; what is not decimal counts as 0. At most 2^85 a value.
    prefix: Vec<i128>,
    /// `rough[i]`: how many of the first `i` values are not decimal; only if any is.
    rough: Option<Vec<u32>>,
    squares: OnceLock<Vec<i128>>,
    weighted: OnceLock<Vec<i128>>,
    real: OnceLock<Real>,
}

/// Prefix counts of the indices that are `counted`, if there is one.
fn counts(len: usize, counted: impl Fn(usize) -> bool) -> Option<Vec<u32>> {
    (0..len).any(&counted).then(|| prefix(len, 0, |count, i| count + u32::from(counted(i))))
}

/// Whether something counted lies in the window.
fn holds(counts: Option<&[u32]>, to: usize, from: usize) -> bool {
    counts.is_some_and(|counts| counts[to] != counts[from])
}

impl Wide {
    /// Prefix sums of finite values.
    pub(super) fn new(values: Arc<[f64]>) -> Self {
        let decimals: Vec<Option<(i64, u32)>> = values.iter().map(|&value| decimal(value)).collect();
        let places = decimals.iter().flatten().map(|(_, places)| *places).max().unwrap_or(0);
        let prefix =
            prefix(values.len(), 0, |sum, i| sum + in_places(decimals[i].unwrap_or_default(), places));
        let rough = counts(values.len(), |i| decimals[i].is_none());
        let (squares, weighted, real) = (OnceLock::new(), OnceLock::new(), OnceLock::new());
        Self { places, values, prefix, rough, squares, weighted, real }
    }

    /// Decimal places, if all values are decimals.
    pub(super) fn places(&self) -> Option<u32> {
        self.rough.is_none().then_some(self.places)
    }

    /// The sums in double-double, if any window needs them.
    fn real(&self) -> Option<&Real> {
        self.rough.is_some().then(|| self.real.get_or_init(|| Real::new(Arc::clone(&self.values))))
    }

    fn tick(&self, i: usize) -> i128 {
        self.prefix[i + 1] - self.prefix[i]
    }

    /// `decimals` of windows without and `reals` of windows with a value that is not decimal.
    fn either(
        &self,
        decimals: impl Fn(usize, usize) -> f64,
        reals: Option<impl Fn(usize, usize) -> f64>,
    ) -> impl Fn(usize, usize) -> f64 {
        move |to, from| match &reals {
            Some(real) if holds(self.rough.as_deref(), to, from) => real(to, from),
            _ => decimals(to, from),
        }
    }

    /// Window sums over `divisor`.
    pub(super) fn quotient(&self, divisor: usize) -> impl Fn(usize, usize) -> f64 {
        let denominator = divisor as u128 * 10_u128.pow(self.places);
        let ticks = move |to: usize, from: usize| ratio(self.prefix[to] - self.prefix[from], denominator);
        self.either(ticks, self.real().map(|real| real.quotient(divisor)))
    }

    /// Linearly weighted means of windows whose weights add up to `weights`.
    pub(super) fn weighted_mean(&self, weights: u128) -> impl Fn(usize, usize) -> f64 {
        let weighted = self.weighted.get_or_init(|| {
            prefix(self.values.len(), 0_i128, |sum, i| {
                sum.wrapping_add((i as i128).wrapping_mul(self.tick(i)))
            })
        });
        let denominator = weights * 10_u128.pow(self.places);
        let limit = (i128::MAX as u128 / weights) as i128;
        let large = self.larger_than(limit);
        let ticks = move |to: usize, from: usize| {
            if holds(large.as_deref(), to, from) {
                return match self.own(to, from, limit) {
                    Some((ticks, places)) => {
                        let sum = ticks.iter().zip(1..).map(|(tick, weight)| tick * weight).sum();
                        ratio(sum, weights * 10_u128.pow(places))
                    }
                    None => real::weighted_mean(&self.values[from..to], weights),
                };
            }
            // Value k of the window, at index from + k - 1, weighs k: its index less (from - 1).
            let plain = (from as i128 - 1).wrapping_mul(self.prefix[to] - self.prefix[from]);
            ratio(weighted[to].wrapping_sub(weighted[from]).wrapping_sub(plain), denominator)
        };
        self.either(ticks, self.real().map(|real| real.weighted_mean(weights)))
    }

    /// Variances of windows of `window` values.
    pub(super) fn variance(&self, window: usize) -> impl Fn(usize, usize) -> f64 {
        let squares = self.squares.get_or_init(|| {
            prefix(self.values.len(), 0_i128, |sum, i| {
                sum.wrapping_add(self.tick(i).wrapping_mul(self.tick(i)))
            })
        });
        // Neither the square of a sum nor a sum of squares times the window reaches 2^126.
        let limit = i128::from(i64::MAX) / window.max(1) as i128;
        let large = self.larger_than(limit);
        let size = window as i128;
        let finished = move |numerator: i128, places: u32| {
            ratio(numerator, (window as u128 * 10_u128.pow(places)).pow(2))
        };
        let ticks = move |to: usize, from: usize| {
            if holds(large.as_deref(), to, from) {
                return match self.own(to, from, limit) {
                    Some((ticks, places)) => {
                        let sum: i128 = ticks.iter().sum();
                        let squares: i128 = ticks.iter().map(|tick| tick * tick).sum();
                        finished(size * squares - sum * sum, places)
                    }
                    None => real::variance(&self.values[from..to]),
                };
            }
            let sum = self.prefix[to] - self.prefix[from];
            finished(size.wrapping_mul(squares[to].wrapping_sub(squares[from])) - sum * sum, self.places)
        };
        self.either(ticks, self.real().map(|real| real.variance(window)))
    }

    /// Prefix counts of the values of more than `limit` ticks.
    fn larger_than(&self, limit: i128) -> Option<Vec<u32>> {
        counts(self.values.len(), |i| self.tick(i).abs() > limit)
    }

    /// The ticks of a window of decimals in its own places, unless one is beyond `limit`. Whether one is depends on the
    /// window alone, and the column's places would only make it more.
    fn own(&self, to: usize, from: usize, limit: i128) -> Option<(Vec<i128>, u32)> {
        let decimals = || self.values[from..to].iter().map(|&value| decimal(value).unwrap_or_default());
        let places = decimals().map(|(_, places)| places).max().unwrap_or(0);
        let ticks: Vec<i128> = decimals().map(|ticks| in_places(ticks, places)).collect();
        ticks.iter().all(|tick| tick.abs() <= limit).then_some((ticks, places))
    }
}

/// The ticks of a decimal in `places` places, which are no fewer than its own.
fn in_places((ticks, own): (i64, u32), places: u32) -> i128 {
    i128::from(ticks) * 10_i128.pow(places - own)
}
