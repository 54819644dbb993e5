//! Exact sums of finite windows, so that equal averages compare equal wherever the series starts.
//!
//! ```text
//!  window --all decimals of <= 10 places?--> ticks, whole sums --> window sum (exact) / (window * 10^d), rounded once
//!         \-------------otherwise----------> sums and what they rounded off (90 bits) ---> window sum, rounded once
//! ```
//!
//! Prices that are decimals are summed as ticks and divided once; everything else is summed in pairs of f64 and
//! rounded once. Plain running sums gave 28 wrong crossings on 17,240 bars x 7 pairs of windows of BTC-quoted candles.
//!
//! Whether a value is a decimal is decided for it alone, and how a window is summed by its values alone. For decimals
//! every result is a function of the window's values: the same bits whatever stands before or after it. Other windows
//! are not changed by what comes after them, and by what stands before them only beyond some 90 bits of the sum of all of
//! it. What is not finite makes the windows that hold it NaN, and no others.
//!
//! How many places the column has, whether its ticks take 64 bits or 128, or whether they are summed as the window slides
//! ([`Windows`]) or beforehand ([`ExactSums`]), changes no bit: the quotient that is rounded is the same number.

mod divisor;
mod double;
mod real;
mod slide;
#[cfg(test)]
mod tests;
mod ticks;
mod wide;
mod windows;

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

pub(crate) use double::{Double, mean, two_sum};
use real::Real;
use ticks::{Grid, SMALL_TICKS, Ticks, ratio, small_to_f64};
use wide::Wide;
pub use windows::Windows;

/// What is known of a column's sums, found on first use: what its decimals are, and prefix sums if a window needs them.
///
/// The default finds decimals, as prices and volumes are. A column that is calculated rarely holds them: [`Sums::real`]
/// does not look for them.
#[derive(Debug, Default)]
pub struct Sums {
    /// Whether all values are decimals, and on which grid.
    grid: OnceLock<Option<Grid>>,
    sums: OnceLock<ExactSums>,
    /// How many windows were asked for.
    asked: AtomicU32,
    real: bool,
}

impl Sums {
    /// Of a column that is calculated: always in double-double.
    pub fn real() -> Self {
        Self { real: true, ..Self::default() }
    }

    /// The windows of `values`; every call must pass the same values.
    pub fn of<'a>(&'a self, values: &'a [f64]) -> Windows<'a> {
        Windows { values, known: self }
    }

    /// Whether so many windows have been asked for, this one included, that prefix sums are worth their making. It changes no
    /// bit of what they give.
    fn is_swept(&self) -> bool {
        const FEW: u32 = 4;
        self.asked.fetch_add(1, Ordering::Relaxed) >= FEW
    }

    /// The prefix sums of `values`.
    fn exact(&self, values: &[f64]) -> &ExactSums {
        self.sums.get_or_init(|| if self.real { ExactSums::real(values) } else { ExactSums::new(values) })
    }
}

/// Prefix sums that give the sum of any window exactly, or to some 90 bits of the sum before it, rounded once.
///
/// Windows end at an index and count back from it; window 0 does not exist. Columns hold NaN before the first full
/// window, and for every window that holds a value that is not finite.
#[derive(Debug)]
pub struct ExactSums {
    len: usize,
    numbers: Numbers,
    /// `bad[i]`: how many of the first `i` values are not finite; only if any is.
    bad: Option<Vec<u32>>,
}

#[derive(Debug)]
enum Numbers {
    /// Decimals of a known number of places, 8 bytes a value. Squares and weighted sums (16 bytes a value each) are made
    /// when a deviation or a weighted mean asks for them.
    Decimal {
        ticks: Ticks,
        squares: OnceLock<Vec<i128>>,
        weighted: OnceLock<Vec<i128>>,
        /// Weighted sums that wrap around: the difference of two is right as long as the window's own sum fits.
        wrapped: OnceLock<Vec<i64>>,
    },
    /// Decimals in part, or too many ticks for 64 bits.
    Wide(Wide),
    /// Calculated values.
    Real(Real),
}

/// Prefix sums of `term(i)` for `i` below `len`.
fn prefix<T: Copy>(len: usize, zero: T, add: impl Fn(T, usize) -> T) -> Vec<T> {
    let mut sums = Vec::with_capacity(len + 1);
    let mut sum = zero;
    sums.push(sum);
    for i in 0..len {
        sum = add(sum, i);
        sums.push(sum);
    }
    sums
}

/// The values, 0 for what is not finite.
fn finite(values: &[f64]) -> Arc<[f64]> {
    values.iter().map(|&value| if value.is_finite() { value } else { 0.0 }).collect()
}

/// Whether all of `values` are.
pub(crate) fn is_finite(values: &[f64]) -> bool {
    // In lanes: what is not finite, times 0, is not 0.
    let (parts, rest) = values.as_chunks::<8>();
    let mut other = [0_u64; 8];
    for part in parts {
        for (other, value) in other.iter_mut().zip(part) {
            *other |= (value.abs() * 0.0).to_bits();
        }
    }
    other == [0; 8] && rest.iter().all(|value| value.is_finite())
}

impl ExactSums {
    /// Prefix sums of `values`, as decimals where they are.
    pub fn new(values: &[f64]) -> Self {
        let Some(ticks) = Ticks::new(values) else {
            return Self::with(values, Numbers::Wide(Wide::new(finite(values))), is_finite(values));
        };
        let is_finite = ticks.grid.finite;
        let (squares, weighted, wrapped) = (OnceLock::new(), OnceLock::new(), OnceLock::new());
        Self::with(values, Numbers::Decimal { ticks, squares, weighted, wrapped }, is_finite)
    }

    /// Prefix sums of `values` in double-double, even if they are decimals.
    pub fn real(values: &[f64]) -> Self {
        let is_finite = is_finite(values);
        let known = if is_finite { Arc::from(values) } else { finite(values) };
        Self::with(values, Numbers::Real(Real::new(known)), is_finite)
    }

    fn with(values: &[f64], numbers: Numbers, is_finite: bool) -> Self {
        let bad = (!is_finite)
            .then(|| prefix(values.len(), 0_u32, |count, i| count + u32::from(!values[i].is_finite())));
        Self { len: values.len(), numbers, bad }
    }

    /// Number of values.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no value.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Decimal places of the column, `None` if a value is not decimal.
    pub fn places(&self) -> Option<u32> {
        match &self.numbers {
            Numbers::Decimal { ticks, .. } => Some(ticks.grid.places),
            Numbers::Wide(wide) => wide.places(),
            Numbers::Real(_) => None,
        }
    }

    /// The sum of the `window` values that end at index `i`, rounded once; NaN if there are not as many, or one of them
    /// is not finite.
    pub fn sum(&self, i: usize, window: usize) -> f64 {
        if window == 0 || i >= self.len || i + 1 < window || !self.is_clean(i, window) {
            return f64::NAN;
        }
        let (to, from) = (i + 1, i + 1 - window);
        match &self.numbers {
            Numbers::Decimal { ticks, .. } => {
                ratio(i128::from(ticks.prefix[to] - ticks.prefix[from]), u128::from(ticks.grid.scale()))
            }
            Numbers::Wide(wide) => wide.quotient(1)(to, from),
            Numbers::Real(real) => real.quotient(1)(to, from),
        }
    }

    /// Sums of windows of `window` values.
    pub fn window_sums(&self, window: usize) -> Vec<f64> {
        self.quotients(window, 1)
    }

    /// Means of windows of `window` values, divided once. The mean of equal values is that value.
    pub fn means(&self, window: usize) -> Vec<f64> {
        self.quotients(window, window)
    }

    /// Sums of windows over `divisor`.
    fn quotients(&self, window: usize, divisor: usize) -> Vec<f64> {
        match &self.numbers {
            Numbers::Decimal { ticks, .. } => {
                let denominator = divisor as u128 * u128::from(ticks.grid.scale());
                let small = u128::from(ticks.grid.largest) * window as u128 <= SMALL_TICKS as u128;
                if small && denominator <= 1 << 53 {
                    // Both sides of the division are exact f64: what `ratio` does, several at a time.
                    let denominator = denominator as f64;
                    let ends = ticks.prefix.get(window..).unwrap_or_default();
                    let sums = ends.iter().zip(&ticks.prefix).map(|(to, from)| small_to_f64(to - from));
                    self.masked(window, sums.map(|sum| sum / denominator))
                } else {
                    self.column(window, |to, from| {
                        ratio(i128::from(ticks.prefix[to] - ticks.prefix[from]), denominator)
                    })
                }
            }
            Numbers::Wide(wide) => self.column(window, wide.quotient(divisor)),
            Numbers::Real(real) => self.filled(window, |column| real.quotients(window, divisor, column)),
        }
    }

    /// Linearly weighted means of windows: the newest value weighs `window`, the oldest 1.
    pub fn weighted_means(&self, window: usize) -> Vec<f64> {
        let weights = window as u128 * (window as u128 + 1) / 2;
        match &self.numbers {
            Numbers::Decimal { ticks, wrapped, .. } if ticks.grid.holds_weighted(weights) => {
                let wrapped = wrapped.get_or_init(|| {
                    let weigh = |i: usize| (i as i64).wrapping_mul(ticks.tick(i));
                    prefix(self.len, 0_i64, |sum, i| sum.wrapping_add(weigh(i)))
                });
                let denominator = (weights * u128::from(ticks.grid.scale())) as f64;
                let plain = ticks.prefix.get(window..).unwrap_or_default().iter().zip(&ticks.prefix);
                let heavy = wrapped.get(window..).unwrap_or_default().iter().zip(wrapped);
                let sums =
                    plain.zip(heavy).zip(-1_i64..).map(|(((to, from), (heavy_to, heavy_from)), before)| {
                        // Value k of the window, at index from + k - 1, weighs k: its index less (from - 1).
                        let plain = before.wrapping_mul(to - from);
                        small_to_f64(heavy_to.wrapping_sub(*heavy_from).wrapping_sub(plain)) / denominator
                    });
                self.masked(window, sums)
            }
            Numbers::Decimal { ticks, weighted, .. } => {
                let weighted = weighted.get_or_init(|| {
                    prefix(self.len, 0, |sum, i| sum + i as i128 * i128::from(ticks.tick(i)))
                });
                let denominator = weights * u128::from(ticks.grid.scale());
                self.column(window, |to, from| {
                    // Value k of the window, at index from + k - 1, weighs k: its index less (from - 1).
                    let plain = i128::from(ticks.prefix[to] - ticks.prefix[from]);
                    ratio(weighted[to] - weighted[from] - (from as i128 - 1) * plain, denominator)
                })
            }
            // Window 0 has no weights.
            Numbers::Wide(wide) => self.column(window, wide.weighted_mean(weights.max(1))),
            Numbers::Real(real) => self.column(window, real.weighted_mean(weights)),
        }
    }

    /// Population variances (ddof 0) of windows, rounded once; exactly 0 for equal values.
    pub fn variances(&self, window: usize) -> Vec<f64> {
        if window > self.len {
            return vec![f64::NAN; self.len];
        }
        match &self.numbers {
            Numbers::Decimal { ticks, squares, .. } => {
                let squares = squares.get_or_init(|| {
                    prefix(self.len, 0, |sum, i| sum + i128::from(ticks.tick(i)) * i128::from(ticks.tick(i)))
                });
                let denominator = (window as u128 * u128::from(ticks.grid.scale())).pow(2);
                self.column(window, |to, from| {
                    let sum = i128::from(ticks.prefix[to] - ticks.prefix[from]);
                    ratio(window as i128 * (squares[to] - squares[from]) - sum * sum, denominator)
                })
            }
            Numbers::Wide(wide) => self.column(window, wide.variance(window)),
            Numbers::Real(real) => self.column(window, real.variance(window)),
        }
    }

    /// Population standard deviations (ddof 0) of windows: roots of the variances.
    pub fn deviations(&self, window: usize) -> Vec<f64> {
        let mut column = self.variances(window);
        column.iter_mut().for_each(|variance| *variance = variance.sqrt());
        column
    }

    /// `value(end, start)` of each full window, NaN elsewhere and where a window holds what is not finite.
    fn column(&self, window: usize, value: impl Fn(usize, usize) -> f64) -> Vec<f64> {
        let starts = 0..(self.len + 1).saturating_sub(window);
        self.masked(window, starts.map(|start| value(start + window, start)))
    }

    /// The values of the full windows, oldest first, as a column with NaN before them and wherever a window holds what
    /// is not finite.
    fn masked(&self, window: usize, values: impl Iterator<Item = f64>) -> Vec<f64> {
        self.filled(window, |column| column.extend(values))
    }

    /// As [`Self::masked`], of values that `fill` appends.
    fn filled(&self, window: usize, fill: impl FnOnce(&mut Vec<f64>)) -> Vec<f64> {
        if window == 0 {
            return vec![f64::NAN; self.len];
        }
        let mut column = Vec::with_capacity(self.len);
        column.resize(self.len.min(window - 1), f64::NAN);
        fill(&mut column);
        if let Some(bad) = &self.bad {
            let ends = bad.get(window..).unwrap_or_default();
            for (value, _) in column[self.len.min(window - 1)..]
                .iter_mut()
                .zip(ends.iter().zip(bad))
                .filter(|(_, (before_end, before_start))| before_end != before_start)
            {
                *value = f64::NAN;
            }
        }
        column
    }

    /// Whether the window that ends at `i` is finite throughout.
    fn is_clean(&self, i: usize, window: usize) -> bool {
        self.bad.as_ref().is_none_or(|bad| bad[i + 1] == bad[i + 1 - window])
    }
}
