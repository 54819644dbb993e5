//! Sums over sliding windows of calculated values, from the values of the window alone.
//!
//! ```text
//!  1 bar    . . . . . . . . .         each pair is merged into one of 2 bars, those into one of 4, and so on;
//!  2 bars   |-|-|-|-|-|-|-|-          a window of 13 bars is one of 1, one of 4 and one of 8
//!  4 bars   |- - -|- - -|
//! ```
//!
//! So nothing that has left a window leaves a rounding behind, an unknown value makes the windows that hold it unknown and
//! no others, and the same values give the same bits wherever the history begins. The rounding is that of summing in pairs.
//! It is vector code, in a time that grows with the logarithm of the window.

use std::ops::Range;

use super::smoothing::column;

/// Windows that are worked on at a time, at least: what is known of them stays in the nearest cache.
const PART: usize = 256;

/// Bars that are merged in one step. All of a step is read before any of it is written, so that it becomes vector code.
const STEP: usize = 8;

/// What is known of bars, part by part.
type Lanes<const L: usize> = [Vec<f64>; L];

/// `value` of each full window of `bars`, in `M` columns from bar 0 on, NaN before the first.
///
/// `terms(some, lanes)` writes what is known of each of `some` bars alone; `merge(old, new, a, b)` joins what is known of
/// `a` bars with what is known of the `b` bars after them; `value(all, i)` is for the window that ends at bar `i`.
#[inline(always)]
pub(super) fn merged<const L: usize, const M: usize>(
    bars: Range<usize>,
    window: usize,
    terms: impl Fn(Range<usize>, [&mut [f64]; L]),
    merge: impl Fn([f64; L], [f64; L], f64, f64) -> [f64; L],
    value: impl Fn([f64; L], usize) -> [f64; M],
) -> [Vec<f64>; M] {
    let mut columns = std::array::from_fn(|_| column(bars.end, bars.start + window - 1));
    if bars.len() < window {
        return columns;
    }
    // Of 1, 2, 4, ... bars from each on; and of the bars of each window that are merged already.
    let room = |len: usize| -> Lanes<L> { std::array::from_fn(|_| vec![0.0; len + STEP]) };
    let part = part_of(bars.len(), window);
    let (mut blocks, mut all) = (room(part + window - 1), room(part));
    for first in parts(&bars, window, part) {
        let count = first.len();
        let mut span = count + window - 1;
        terms(first.start..first.start + span, blocks.each_mut().map(|lane| &mut lane[..span]));
        let mut width = 1;
        loop {
            if window & width != 0 {
                // The bars that its smaller bits count are merged.
                let covered = window & (width - 1);
                if covered == 0 {
                    for (all, lane) in all.iter_mut().zip(&blocks) {
                        all[..count].copy_from_slice(&lane[..count]);
                    }
                } else {
                    join(&mut all, &blocks, covered, count, |a, b| merge(a, b, covered as f64, width as f64));
                }
            }
            if 2 * width > window {
                break;
            }
            span -= width;
            let size = width as f64;
            double(&mut blocks, width, span, |a, b| merge(a, b, size, size));
            width *= 2;
        }
        let lanes: [&[f64]; L] = std::array::from_fn(|lane| &all[lane][..count]);
        let last = first.start + window - 1;
        for (nth, column) in columns.iter_mut().enumerate() {
            let known = |k: usize| std::array::from_fn(|lane| lanes[lane][k]);
            column.extend((0..count).map(|k| value(known(k), last + k)[nth]));
        }
    }
    columns
}

/// Windows that are worked on at a time.
fn part_of(bars: usize, window: usize) -> usize {
    PART.max(window).min(bars + 1 - window)
}

/// The first bars of the full windows of `bars`, `part` at a time.
fn parts(bars: &Range<usize>, window: usize, part: usize) -> impl Iterator<Item = Range<usize>> + use<> {
    let ends = bars.end + 1 - window;
    (bars.start..ends).step_by(part).map(move |start| start..ends.min(start + part))
}

/// Joins each of `count` in `all` with the one of `blocks` that begins `apart` bars later.
#[inline(always)]
fn join<const L: usize>(
    all: &mut Lanes<L>,
    blocks: &Lanes<L>,
    apart: usize,
    count: usize,
    merge: impl Fn([f64; L], [f64; L]) -> [f64; L],
) {
    for at in (0..count).step_by(STEP) {
        let new = std::array::from_fn(|lane| step(&blocks[lane], at + apart));
        let old = std::array::from_fn(|lane| step(&all[lane], at));
        write(all, at, &merge_step(&old, &new, &merge));
    }
}

/// Joins each of `count` in `blocks` with the one `width` bars later.
#[inline(always)]
fn double<const L: usize>(
    blocks: &mut Lanes<L>,
    width: usize,
    count: usize,
    merge: impl Fn([f64; L], [f64; L]) -> [f64; L],
) {
    for at in (0..count).step_by(STEP) {
        // What is read has not been written yet.
        let new = std::array::from_fn(|lane| step(&blocks[lane], at + width));
        let old = std::array::from_fn(|lane| step(&blocks[lane], at));
        write(blocks, at, &merge_step(&old, &new, &merge));
    }
}

#[inline(always)]
fn merge_step<const L: usize>(
    old: &[[f64; STEP]; L],
    new: &[[f64; STEP]; L],
    merge: impl Fn([f64; L], [f64; L]) -> [f64; L],
) -> [[f64; STEP]; L] {
    let mut merged = [[0.0; STEP]; L];
    for k in 0..STEP {
        let found = merge(std::array::from_fn(|lane| old[lane][k]), std::array::from_fn(|lane| new[lane][k]));
        for (lane, found) in merged.iter_mut().zip(found) {
            lane[k] = found;
        }
    }
    merged
}

/// The values of a step. Lanes have room for a whole one after their end.
#[inline(always)]
fn step(lane: &[f64], at: usize) -> [f64; STEP] {
    lane.get(at..at + STEP).and_then(|values| values.first_chunk()).copied().unwrap_or([0.0; STEP])
}

#[inline(always)]
fn write<const L: usize>(lanes: &mut Lanes<L>, at: usize, values: &[[f64; STEP]; L]) {
    for (lane, values) in lanes.iter_mut().zip(values) {
        if let Some(out) = lane.get_mut(at..at + STEP) {
            out.copy_from_slice(values);
        }
    }
}

/// Sums of `L` terms over `W` windows that end at the same bar, once the longest is full: `append(ends, sums, columns)`
/// appends what it makes of the windows that end at some bars.
#[inline(always)]
pub(super) fn sums<const L: usize, const W: usize, const M: usize>(
    bars: Range<usize>,
    windows: [usize; W],
    terms: impl Fn(Range<usize>, [&mut [f64]; L]),
    append: impl Fn(Range<usize>, [[&[f64]; L]; W], &mut [Vec<f64>; M]),
) -> [Vec<f64>; M] {
    one_by_one(bars, windows, terms, |a, b, _| a + b, append)
}

/// As [`sums`], joined by `merge(old, new, share of the new bars)`. Each lane has loops of its own, which are short vector code.
#[inline(always)]
fn one_by_one<const L: usize, const W: usize, const M: usize>(
    bars: Range<usize>,
    windows: [usize; W],
    terms: impl Fn(Range<usize>, [&mut [f64]; L]),
    merge: impl Fn(f64, f64, f64) -> f64,
    append: impl Fn(Range<usize>, [[&[f64]; L]; W], &mut [Vec<f64>; M]),
) -> [Vec<f64>; M] {
    let longest = windows.into_iter().max().unwrap_or(1);
    let mut columns = std::array::from_fn(|_| column(bars.end, bars.start + longest - 1));
    if bars.len() < longest {
        return columns;
    }
    let part = part_of(bars.len(), longest);
    let room = |len: usize| -> Lanes<L> { std::array::from_fn(|_| vec![0.0; len]) };
    let mut lanes = room(part + longest - 1);
    let mut spare = vec![0.0; part + longest - 1];
    let mut all: [Lanes<L>; W] = std::array::from_fn(|_| room(part));
    for first in parts(&bars, longest, part) {
        let count = first.len();
        let span = count + longest - 1;
        terms(first.start..first.start + span, lanes.each_mut().map(|lane| &mut lane[..span]));
        for nth in 0..L {
            let (mut blocks, mut next) = (&mut lanes[nth][..span], &mut spare[..span]);
            let (mut width, mut span) = (1, span);
            loop {
                for (window, all) in windows.iter().zip(&mut all) {
                    if window & width != 0 {
                        // The bars that its smaller bits count are merged.
                        let covered = window & (width - 1);
                        let (all, from) = (&mut all[nth][..count], longest - window + covered);
                        let new = &blocks[from..from + count];
                        if covered == 0 {
                            all.copy_from_slice(new);
                        } else {
                            let share = width as f64 / (covered + width) as f64;
                            for (all, new) in all.iter_mut().zip(new) {
                                *all = merge(*all, *new, share);
                            }
                        }
                    }
                }
                if 2 * width > longest {
                    break;
                }
                span -= width;
                pair(&mut next[..span], &blocks[..span], &blocks[width..width + span], |a, b| {
                    merge(a, b, 0.5)
                });
                std::mem::swap(&mut blocks, &mut next);
                width *= 2;
            }
        }
        let known = std::array::from_fn(|nth| std::array::from_fn(|lane| &all[nth][lane][..count]));
        let last = first.start + longest - 1;
        append(last..last + count, known, &mut columns);
    }
    columns
}

#[inline(always)]
fn pair(out: &mut [f64], old: &[f64], new: &[f64], merge: impl Fn(f64, f64) -> f64) {
    for (out, (old, new)) in out.iter_mut().zip(old.iter().zip(new)) {
        *out = merge(*old, *new);
    }
}

/// The sum of two terms, part by part.
#[inline(always)]
pub(super) fn plus<const L: usize>(a: [f64; L], b: [f64; L]) -> [f64; L] {
    std::array::from_fn(|lane| a[lane] + b[lane])
}

/// Means of windows of calculated values; of equal values it is that value.
pub(super) fn means(values: &[f64], window: usize) -> Vec<f64> {
    let merge = |a: f64, b: f64, share: f64| a + (b - a) * share;
    let append = |_: Range<usize>, [[means]]: [[&[f64]; 1]; 1], columns: &mut [Vec<f64>; 1]| {
        columns[0].extend_from_slice(means);
    };
    let terms = |bars: Range<usize>, [out]: [&mut [f64]; 1]| out.copy_from_slice(&values[bars]);
    let [means] = one_by_one(0..values.len(), [window], terms, merge, append);
    means
}

/// Linearly weighted means of windows of calculated values; of equal values it is that value.
pub(super) fn weighted_means(values: &[f64], window: usize) -> Vec<f64> {
    // The mean, and the sum of the values weighed by how far their bars are from the middle of the window.
    let merge = |[a, lever]: [f64; 2], [b, other]: [f64; 2], old: f64, new: f64| {
        let apart = b - a;
        [a + apart * (new / (old + new)), (lever + other) + apart * (0.5 * old * new)]
    };
    let size = window as f64;
    let scale = 2.0 / (size * (size + 1.0));
    let value = |[mean, lever]: [f64; 2], _| [mean + lever * scale];
    let terms = |bars: Range<usize>, [mean, lever]: [&mut [f64]; 2]| {
        mean.copy_from_slice(&values[bars]);
        lever.fill(0.0);
    };
    let [means] = merged(0..values.len(), window, terms, merge, value);
    means
}

/// Writes how far the values moved to each of some bars, of which the first is not bar 0.
#[inline(always)]
pub(super) fn moves(values: &[f64], bars: Range<usize>, out: &mut [f64]) {
    let past = &values[bars.start - 1..bars.end - 1];
    for (out, (now, past)) in out.iter_mut().zip(values[bars].iter().zip(past)) {
        *out = (now - past).abs();
    }
}

/// Writes the values of some bars of each column.
#[inline(always)]
pub(super) fn copy<const L: usize>(columns: [&[f64]; L], bars: Range<usize>, to: [&mut [f64]; L]) {
    for (column, to) in columns.into_iter().zip(to) {
        to.copy_from_slice(&column[bars.clone()]);
    }
}

/// Means of two series over windows, and sums of products of the distances from them.
///
/// Those of halves are merged by the distance of their means (Chan, Golub and LeVeque 1979), so nothing cancels, and of
/// equal values they are exactly 0.
#[derive(Clone, Copy)]
struct Halves {
    /// Share of the newer half.
    share: f64,
    /// What a product of distances of means weighs.
    scale: f64,
}

impl Halves {
    #[inline(always)]
    fn new(old: f64, new: f64) -> Self {
        Self { share: new / (old + new), scale: old * new / (old + new) }
    }

    #[inline(always)]
    fn mean(self, a: f64, apart: f64) -> f64 {
        a + apart * self.share
    }

    /// Products of the distances of two series, whose means are `x` and `y` apart.
    #[inline(always)]
    fn products(self, a: f64, b: f64, x: f64, y: f64) -> f64 {
        (a + b) + x * (y * self.scale)
    }
}

/// The products of the distances of single values from themselves: 0, and unknown if a value is not finite.
#[inline(always)]
fn nothing(x: &[f64], y: &[f64], products: &mut [f64]) {
    for (product, (x, y)) in products.iter_mut().zip(x.iter().zip(y)) {
        *product = (x * 0.0).abs() + (y * 0.0).abs();
    }
}

/// `value([mean x, mean y, xy])` of each window of two series; `xy` is the sum of the products of their distances from the
/// means.
#[inline(always)]
pub(super) fn products(
    bars: Range<usize>,
    window: usize,
    terms: impl Fn(Range<usize>, [&mut [f64]; 2]),
    value: impl Fn([f64; 3]) -> f64,
) -> Vec<f64> {
    let merge = |a: [f64; 3], b: [f64; 3], old: f64, new: f64| {
        let halves = Halves::new(old, new);
        let (x, y) = (b[0] - a[0], b[1] - a[1]);
        [halves.mean(a[0], x), halves.mean(a[1], y), halves.products(a[2], b[2], x, y)]
    };
    let terms = |bars: Range<usize>, [x, y, xy]: [&mut [f64]; 3]| {
        terms(bars, [&mut *x, &mut *y]);
        nothing(x, y, xy);
    };
    let [column] = merged(bars, window, terms, merge, |all, _| [value(all)]);
    column
}

/// As [`products`], `value([mean x, mean y, xy, xx])`: with the squares of the first.
#[inline(always)]
pub(super) fn slopes(
    bars: Range<usize>,
    window: usize,
    terms: impl Fn(Range<usize>, [&mut [f64]; 2]),
    value: impl Fn([f64; 4]) -> f64,
) -> Vec<f64> {
    let merge = |a: [f64; 4], b: [f64; 4], old: f64, new: f64| {
        let halves = Halves::new(old, new);
        let (x, y) = (b[0] - a[0], b[1] - a[1]);
        let xy = halves.products(a[2], b[2], y, x);
        [halves.mean(a[0], x), halves.mean(a[1], y), xy, halves.products(a[3], b[3], x, x)]
    };
    let terms = |bars: Range<usize>, [x, y, xy, xx]: [&mut [f64]; 4]| {
        terms(bars, [&mut *x, &mut *y]);
        nothing(x, y, xy);
        xx.fill(0.0);
    };
    let [column] = merged(bars, window, terms, merge, |all, _| [value(all)]);
    column
}

/// As [`products`], `value([mean x, mean y, xy, xx, yy])`: with the squares of both.
#[inline(always)]
pub(super) fn spreads(
    bars: Range<usize>,
    window: usize,
    terms: impl Fn(Range<usize>, [&mut [f64]; 2]),
    value: impl Fn([f64; 5]) -> f64,
) -> Vec<f64> {
    let merge = |a: [f64; 5], b: [f64; 5], old: f64, new: f64| {
        let halves = Halves::new(old, new);
        let (x, y) = (b[0] - a[0], b[1] - a[1]);
        let (xy, xx) = (halves.products(a[2], b[2], y, x), halves.products(a[3], b[3], x, x));
        [halves.mean(a[0], x), halves.mean(a[1], y), xy, xx, halves.products(a[4], b[4], y, y)]
    };
    let terms = |bars: Range<usize>, [x, y, xy, xx, yy]: [&mut [f64]; 5]| {
        terms(bars, [&mut *x, &mut *y]);
        nothing(x, y, xy);
        xx.fill(0.0);
        yy.fill(0.0);
    };
    let [column] = merged(bars, window, terms, merge, |all, _| [value(all)]);
    column
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values between 0 and 1, the same on every machine.
    fn values(seed: u64, len: usize) -> Vec<f64> {
        let mut state = seed;
        let next = |_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 11) as f64 / (1_u64 << 53) as f64
        };
        (0..len).map(next).collect()
    }

    fn near(found: f64, expected: f64) -> bool {
        (found - expected).abs() <= 1e-12 * expected.abs().max(1.0)
    }

    #[test]
    fn merged_windows_are_those_of_plain_loops() {
        let (x, y) = (values(1, 1700), values(2, 1700));
        for window in [1, 2, 3, 7, 64, 65, 511, 512, 513, 1000, 1700] {
            let (mean, weighted) = (means(&x, window), weighted_means(&x, window));
            let [sum] = sums(
                0..x.len(),
                [window],
                |bars, to| copy([&x], bars, to),
                |_, [[sums]], [column]| column.extend_from_slice(sums),
            );
            let covariance = spreads(0..x.len(), window, |bars, to| copy([&x, &y], bars, to), |all| all[2]);
            assert!(mean[..window - 1].iter().chain(&sum[..window - 1]).all(|v| v.is_nan()), "{window}");
            for end in (window..=x.len()).step_by(37) {
                let (i, n) = (end - 1, window as f64);
                let (x, y) = (&x[end - window..end], &y[end - window..end]);
                let total: f64 = x.iter().sum();
                assert!(near(sum[i], total) && near(mean[i], total / n), "{window} at {i}");
                let levers: f64 = x.iter().enumerate().map(|(k, x)| (k + 1) as f64 * x).sum();
                assert!(near(weighted[i], levers / (n * (n + 1.0) / 2.0)), "{window} at {i}");
                let (mean_x, mean_y) = (total / n, y.iter().sum::<f64>() / n);
                let products: f64 = x.iter().zip(y).map(|(x, y)| (x - mean_x) * (y - mean_y)).sum();
                assert!((covariance[i] - products).abs() <= 1e-11 * n, "{window} at {i}");
            }
        }
    }

    #[test]
    fn equal_values_have_exactly_their_value_as_mean_and_no_spread() {
        let flat = vec![0.1; 900];
        for window in [1, 3, 100, 777] {
            assert!(means(&flat, window)[window - 1..].iter().all(|&mean| mean == 0.1));
            assert!(weighted_means(&flat, window)[window - 1..].iter().all(|&mean| mean == 0.1));
            let spread = spreads(
                0..900,
                window,
                |bars, to| copy([&flat; 2], bars, to),
                |[_, _, xy, xx, yy]| xy + xx + yy,
            );
            assert!(spread[window - 1..].iter().all(|&spread| spread == 0.0));
        }
    }
}
