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

/// Windows that are worked on at a time, at least.
const PART: usize = 512;

/// `value` of each full window of `bars`, in `M` columns from bar 0 on, NaN before the first.
///
/// `term(i)` is what is known of bar `i` alone; `merge(old, new, a, b)` joins what is known of `a` bars with what is known
/// of the `b` bars after them; `value(all, i)` is for the window that ends at bar `i`.
#[inline(always)]
pub(super) fn merged<const L: usize, const M: usize>(
    bars: Range<usize>,
    window: usize,
    term: impl Fn(usize) -> [f64; L],
    merge: impl Fn([f64; L], [f64; L], f64, f64) -> [f64; L],
    value: impl Fn([f64; L], usize) -> [f64; M],
) -> [Vec<f64>; M] {
    let mut columns = std::array::from_fn(|_| column(bars.end, bars.start + window - 1));
    let windows = (bars.len() + 1).saturating_sub(window);
    if windows == 0 {
        return columns;
    }
    let part = PART.max(window).min(windows);
    let room = || [(); L].map(|()| vec![0.0; part + window - 1]);
    // Of 1, 2, 4, ... bars from each on; and of the bars of each window that are merged already.
    let (mut blocks, mut next, mut all, mut more) = (room(), room(), room(), room());
    for start in (0..windows).step_by(part) {
        let count = part.min(windows - start);
        let mut span = count + window - 1;
        fill(&mut blocks, span, |i| term(bars.start + start + i));
        let (mut width, mut covered) = (1, 0);
        loop {
            if window & width != 0 {
                if covered == 0 {
                    join([&blocks, &blocks], 0, count, &mut all, |first, _| first);
                } else {
                    let sizes = (covered as f64, width as f64);
                    join([&all, &blocks], covered, count, &mut more, |a, b| merge(a, b, sizes.0, sizes.1));
                    std::mem::swap(&mut all, &mut more);
                }
                covered += width;
            }
            if 2 * width > window {
                break;
            }
            span -= width;
            let size = width as f64;
            join([&blocks, &blocks], width, span, &mut next, |a, b| merge(a, b, size, size));
            std::mem::swap(&mut blocks, &mut next);
            width *= 2;
        }
        let known: [&[f64]; L] = all.each_ref().map(|lane| &lane[..count]);
        let last = bars.start + start + window - 1;
        for (nth, column) in columns.iter_mut().enumerate() {
            column.extend((0..count).map(|i| value(known.map(|lane| lane[i]), last + i)[nth]));
        }
    }
    columns
}

#[inline(always)]
#[expect(clippy::needless_range_loop, reason = "the bar indexes each of the lanes")]
fn fill<const L: usize>(out: &mut [Vec<f64>; L], count: usize, value: impl Fn(usize) -> [f64; L]) {
    let out = out.each_mut().map(|lane| &mut lane[..count]);
    for i in 0..count {
        let value = value(i);
        for lane in 0..L {
            out[lane][i] = value[lane];
        }
    }
}

/// Joins each of `count` with the one of the other `apart` bars later.
#[inline(always)]
fn join<const L: usize>(
    from: [&[Vec<f64>; L]; 2],
    apart: usize,
    count: usize,
    out: &mut [Vec<f64>; L],
    merge: impl Fn([f64; L], [f64; L]) -> [f64; L],
) {
    let old = from[0].each_ref().map(|lane| &lane[..count]);
    let new = from[1].each_ref().map(|lane| &lane[apart..apart + count]);
    fill(out, count, |i| merge(old.map(|lane| lane[i]), new.map(|lane| lane[i])));
}

/// `value` of the sums of each window.
#[inline(always)]
pub(super) fn sums<const L: usize, const M: usize>(
    bars: Range<usize>,
    window: usize,
    term: impl Fn(usize) -> [f64; L],
    value: impl Fn([f64; L], usize) -> [f64; M],
) -> [Vec<f64>; M] {
    merged(bars, window, term, |a, b, _, _| plus(a, b), value)
}

/// The sum of two terms, part by part.
#[inline(always)]
pub(super) fn plus<const L: usize>(a: [f64; L], b: [f64; L]) -> [f64; L] {
    std::array::from_fn(|lane| a[lane] + b[lane])
}

/// Means of windows of calculated values; of equal values it is that value.
pub(super) fn means(values: &[f64], window: usize) -> Vec<f64> {
    let merge = |[a]: [f64; 1], [b]: [f64; 1], old: f64, new: f64| [a + (b - a) * (new / (old + new))];
    let [means] = merged(0..values.len(), window, |i| [values[i]], merge, |mean, _| mean);
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
    let [means] = merged(0..values.len(), window, |i| [values[i], 0.0], merge, value);
    means
}

/// What is known of two series over a window.
pub(super) struct Spread {
    /// Mean of the first.
    pub(super) mean_x: f64,
    /// Mean of the second.
    pub(super) mean_y: f64,
    /// Sum of the squared distances of the first from its mean.
    pub(super) xx: f64,
    /// That of the second.
    pub(super) yy: f64,
    /// Sum of the products of both distances.
    pub(super) xy: f64,
}

/// `value` of each window of two series. Spreads of halves are merged by the distance of their means (Chan, Golub and
/// LeVeque 1979), so nothing cancels, and of equal values they are exactly 0.
#[inline(always)]
pub(super) fn spreads(
    bars: Range<usize>,
    window: usize,
    term: impl Fn(usize) -> [f64; 2],
    value: impl Fn(Spread, usize) -> f64,
) -> Vec<f64> {
    let merge = |a: [f64; 5], b: [f64; 5], old: f64, new: f64| {
        let (share, scale) = (new / (old + new), old * new / (old + new));
        let (x, y) = (b[0] - a[0], b[1] - a[1]);
        let (scaled_x, scaled_y) = (x * scale, y * scale);
        [
            a[0] + x * share,
            a[1] + y * share,
            (a[2] + b[2]) + x * scaled_x,
            (a[3] + b[3]) + y * scaled_y,
            (a[4] + b[4]) + x * scaled_y,
        ]
    };
    let term = |i: usize| {
        let [x, y] = term(i);
        [x, y, 0.0, 0.0, 0.0]
    };
    let value =
        |[mean_x, mean_y, xx, yy, xy]: [f64; 5], i: usize| [value(Spread { mean_x, mean_y, xx, yy, xy }, i)];
    let [column] = merged(bars, window, term, merge, value);
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
            let [sum] = sums(0..x.len(), window, |i| [x[i]], |sum, _| sum);
            let covariance = spreads(0..x.len(), window, |i| [x[i], y[i]], |spread, _| spread.xy);
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
            let spread = spreads(0..900, window, |i| [flat[i], flat[i]], |s, _| s.xx + s.yy + s.xy);
            assert!(spread[window - 1..].iter().all(|&spread| spread == 0.0));
        }
    }
}
