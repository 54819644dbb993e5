//! Windows of a column: as it slides where that is exact, by prefix sums elsewhere, with the same bits.

use super::divisor::Divisor;
use super::slide::{BLOCK, Spread, Sum, Weighted, slide};
use super::ticks::{Grid, SMALL_TICKS, places_of, ratio, small_to_f64};
use super::{ExactSums, Sums};

/// A column and what is known of it.
#[derive(Debug, Clone, Copy)]
pub struct Windows<'a> {
    pub(super) values: &'a [f64],
    pub(super) known: &'a Sums,
}

/// How a pass over the column is made.
#[derive(Clone, Copy)]
struct Pass {
    places: u32,
    /// Whether every value must be checked to be a decimal.
    check: bool,
    /// The grid, if it is known.
    grid: Option<Grid>,
}

impl Pass {
    /// Whether no sum of `weights` ticks reaches the divisor's limit, as far as is known.
    fn multiplies(&self, divisor: &Divisor, weights: u128) -> bool {
        divisor.multiplies(self.grid.map_or(0, |grid| u128::from(grid.largest) * weights))
    }
}

/// The values of a block.
type Block = [f64; BLOCK];

impl Windows<'_> {
    /// The prefix sums, which are made now if they have not been.
    pub(super) fn exact(&self) -> &ExactSums {
        self.known.exact(self.values)
    }

    /// Decimal places of the column, `None` if a value is not decimal.
    pub fn places(&self) -> Option<u32> {
        self.exact().places()
    }

    /// Sums of windows of `window` values.
    pub fn window_sums(&self, window: usize) -> Vec<f64> {
        self.quotients(window, 1).unwrap_or_else(|| self.exact().window_sums(window))
    }

    /// Means of windows of `window` values, divided once. The mean of equal values is that value.
    pub fn means(&self, window: usize) -> Vec<f64> {
        self.quotients(window, window).unwrap_or_else(|| self.exact().means(window))
    }

    /// Linearly weighted means of windows: the newest value weighs `window`, the oldest 1.
    pub fn weighted_means(&self, window: usize) -> Vec<f64> {
        self.weighted(window).unwrap_or_else(|| self.exact().weighted_means(window))
    }

    /// Population variances (ddof 0) of windows, rounded once; exactly 0 for equal values.
    pub fn variances(&self, window: usize) -> Vec<f64> {
        self.spreads(window, |variance| variance).unwrap_or_else(|| self.exact().variances(window))
    }

    /// Population standard deviations (ddof 0) of windows: roots of the variances.
    pub fn deviations(&self, window: usize) -> Vec<f64> {
        self.spreads(window, f64::sqrt).unwrap_or_else(|| self.exact().deviations(window))
    }

    /// `M` columns, to which `append(means, weighted means, columns)` appends what it makes of some windows.
    pub fn means_and_weighted<const M: usize>(
        &self,
        window: usize,
        append: impl Fn(&[f64], &[f64], &mut [Vec<f64>; M]),
    ) -> [Vec<f64>; M] {
        let slid = self.slid(window, |pass| {
            let scale = 10_u128.pow(pass.places);
            let weights = window as u128 * (window as u128 + 1) / 2;
            let plain = Divisor::new(window as u128 * scale)?;
            let heavy = Divisor::new(weights * scale)?;
            let multiply = [pass.multiplies(&plain, window as u128), pass.multiplies(&heavy, weights)];
            let mut columns = self.columns(window);
            let mut found: [Block; 2] = [[0.0; BLOCK]; 2];
            let grid = self.pass(pass, window, Weighted::new(window), |[sums, weighted]| {
                plain.write(sums, multiply[0], &mut found[0]);
                heavy.write(weighted, multiply[1], &mut found[1]);
                append(&found[0][..sums.len()], &found[1][..sums.len()], &mut columns);
            })?;
            let fits =
                fits(grid, window as u128, &plain, multiply[0]) && fits(grid, weights, &heavy, multiply[1]);
            Some((columns, grid, fits))
        });
        slid.unwrap_or_else(|| {
            let exact = self.exact();
            self.append(window, exact.means(window), exact.weighted_means(window), append)
        })
    }

    /// `M` columns, to which `append(means, standard deviations, columns)` appends what it makes of some windows.
    pub fn means_and_deviations<const M: usize>(
        &self,
        window: usize,
        append: impl Fn(&[f64], &[f64], &mut [Vec<f64>; M]),
    ) -> [Vec<f64>; M] {
        let slid = self.slid(window, |pass| {
            let scale = 10_u128.pow(pass.places);
            let plain = Divisor::new(window as u128 * scale)?;
            let multiply = pass.multiplies(&plain, window as u128);
            let square = Square::new(window, pass.places)?;
            let mut columns = self.columns(window);
            let mut found: [Block; 2] = [[0.0; BLOCK]; 2];
            let grid = self.pass(pass, window, Spread::new(window), |[sums, spreads]| {
                plain.write(sums, multiply, &mut found[0]);
                square.write(spreads, &mut found[1]);
                found[1][..sums.len()].iter_mut().for_each(|variance| *variance = variance.sqrt());
                append(&found[0][..sums.len()], &found[1][..sums.len()], &mut columns);
            })?;
            let fits = holds_squares(grid, window) && fits(grid, window as u128, &plain, multiply);
            Some((columns, grid, fits))
        });
        slid.unwrap_or_else(|| {
            let exact = self.exact();
            self.append(window, exact.means(window), exact.deviations(window), append)
        })
    }

    /// `M` columns, to which `append(means, columns)` appends what it makes of some windows.
    pub fn of_means<const M: usize>(
        &self,
        window: usize,
        append: impl Fn(&[f64], &mut [Vec<f64>; M]),
    ) -> [Vec<f64>; M] {
        self.slid(window, |pass| {
            let divisor = Divisor::new(window as u128 * 10_u128.pow(pass.places))?;
            let multiply = pass.multiplies(&divisor, window as u128);
            let mut columns = self.columns(window);
            let mut found = [0.0; BLOCK];
            let grid = self.pass(pass, window, Sum::default(), |[sums]| {
                divisor.write(sums, multiply, &mut found);
                append(&found[..sums.len()], &mut columns);
            })?;
            Some((columns, grid, fits(grid, window as u128, &divisor, multiply)))
        })
        .unwrap_or_else(|| {
            let means = self.exact().means(window);
            let first = window.saturating_sub(1).min(means.len());
            let mut columns = self.columns(first + 1);
            append(&means[first..], &mut columns);
            columns
        })
    }

    /// Sums of windows over `divisor`, unless prefix sums are better.
    fn quotients(&self, window: usize, divisor: usize) -> Option<Vec<f64>> {
        if self.known.is_swept() {
            return None;
        }
        self.slid(window, |pass| {
            let divisor = Divisor::new(divisor as u128 * 10_u128.pow(pass.places))?;
            let multiply = pass.multiplies(&divisor, window as u128);
            let [mut column] = self.columns(window);
            let grid = self.pass(pass, window, Sum::default(), |[sums]| {
                divisor.divide(sums, multiply, &mut column);
            })?;
            Some((column, grid, fits(grid, window as u128, &divisor, multiply)))
        })
    }

    /// Weighted means, unless prefix sums are better.
    fn weighted(&self, window: usize) -> Option<Vec<f64>> {
        if self.known.is_swept() {
            return None;
        }
        self.slid(window, |pass| {
            let weights = window as u128 * (window as u128 + 1) / 2;
            let divisor = Divisor::new(weights * 10_u128.pow(pass.places))?;
            let multiply = pass.multiplies(&divisor, weights);
            let [mut column] = self.columns(window);
            let grid = self.pass(pass, window, Weighted::new(window), |[_, weighted]| {
                divisor.divide(weighted, multiply, &mut column);
            })?;
            Some((column, grid, fits(grid, weights, &divisor, multiply)))
        })
    }

    /// `finish` of the variances.
    fn spreads(&self, window: usize, finish: impl Fn(f64) -> f64) -> Option<Vec<f64>> {
        self.slid(window, |pass| {
            let square = Square::new(window, pass.places)?;
            let [mut column] = self.columns(window);
            let mut found = [0.0; BLOCK];
            let grid = self.pass(pass, window, Spread::new(window), |[_, spreads]| {
                square.write(spreads, &mut found);
                column.extend(found[..spreads.len()].iter().map(|&variance| finish(variance)));
            })?;
            Some((column, grid, holds_squares(grid, window)))
        })
    }

    /// What `work` makes of the column, if that is exact there: it gives its result, the grid, and whether its numbers
    /// fit on it. A first pass checks the values as it goes; what turns out not to fit is made once more or not at all.
    fn slid<T>(&self, window: usize, work: impl Fn(Pass) -> Option<(T, Grid, bool)>) -> Option<T> {
        if self.known.real || window == 0 || window > self.values.len() {
            return None;
        }
        let once_more = |grid: Option<Grid>| {
            let grid = grid.filter(|grid| grid.finite)?;
            let pass = Pass { places: grid.places, check: false, grid: Some(grid) };
            work(pass).and_then(|(found, _, fits)| fits.then_some(found))
        };
        let known = &self.known.grid;
        if let Some(grid) = known.get() {
            return once_more(*grid);
        }
        let head = &self.values[..self.values.len().min(BLOCK)];
        let first = places_of(head, 0).and_then(|places| work(Pass { places, check: true, grid: None }));
        match first {
            Some((found, grid, fits)) => {
                let grid = *known.get_or_init(|| Some(grid));
                if fits { Some(found) } else { once_more(grid) }
            }
            None => once_more(*known.get_or_init(|| Grid::of(self.values))),
        }
    }

    /// One pass; the grid that it found or that was known.
    #[inline(always)]
    fn pass<const K: usize>(
        &self,
        pass: Pass,
        window: usize,
        kernel: impl super::slide::Kernel<K>,
        each: impl FnMut([&[i64]; K]),
    ) -> Option<Grid> {
        if pass.check {
            return slide::<true, K>(self.values, window, pass.places, kernel, each);
        }
        slide::<false, K>(self.values, window, pass.places, kernel, each).and(pass.grid)
    }

    /// What is appended of whole columns.
    fn append<const M: usize>(
        &self,
        window: usize,
        one: Vec<f64>,
        other: Vec<f64>,
        append: impl Fn(&[f64], &[f64], &mut [Vec<f64>; M]),
    ) -> [Vec<f64>; M] {
        let known = window.saturating_sub(1).min(one.len());
        let mut columns = self.columns(known + 1);
        append(&one[known..], &other[known..], &mut columns);
        columns
    }

    /// Columns with NaN before the first full window.
    fn columns<const M: usize>(&self, window: usize) -> [Vec<f64>; M] {
        std::array::from_fn(|_| {
            let mut column = Vec::with_capacity(self.values.len());
            column.resize(window - 1, f64::NAN);
            column
        })
    }
}

/// Whether sums of `weights` ticks are exact, and were divided rightly.
fn fits(grid: Grid, weights: u128, divisor: &Divisor, multiplied: bool) -> bool {
    let largest = u128::from(grid.largest) * weights;
    largest <= SMALL_TICKS as u128 && (!multiplied || divisor.multiplies(largest))
}

/// Whether the spreads of windows of `window` values fit in 64 bits.
fn holds_squares(grid: Grid, window: usize) -> bool {
    grid.largest.saturating_mul(window as u64) <= i64::MAX.isqrt() as u64
}

/// What divides spreads: `(window * 10^places)^2`.
struct Square {
    exact: u128,
    divisor: Option<Divisor>,
}

impl Square {
    /// One of up to 72 bits.
    fn new(window: usize, places: u32) -> Option<Self> {
        let root = window as u128 * 10_u128.pow(places);
        (root < 1 << 36).then(|| Self { exact: root * root, divisor: Divisor::new(root * root) })
    }

    /// Writes the variances of windows with these spreads, rounded once.
    #[inline(always)]
    fn write(&self, spreads: &[i64], out: &mut Block) {
        let together = spreads.iter().fold(0, |together, spread| together | spread);
        match &self.divisor {
            Some(divisor) if (0..=SMALL_TICKS).contains(&together) => {
                for (out, &spread) in out.iter_mut().zip(spreads) {
                    *out = divisor.over(small_to_f64(spread));
                }
            }
            _ => {
                for (out, &spread) in out.iter_mut().zip(spreads) {
                    *out = ratio(i128::from(spread), self.exact);
                }
            }
        }
    }
}
