//! Compensated sums in lanes: as exact as one after the other, and vector code.

use pulp::Simd;

/// Sums that run beside each other.
const LANES: usize = 8;

/// The sums over `0..count` of each of the `K` terms of an index, compensated (Neumaier 1974, with the error of an addition
/// by Knuth's formula, which needs no comparison). Term `i` goes into lane `i % 8`, the lanes are added in their order: so
/// the vectors of a processor change no bit.
#[inline(always)]
#[expect(clippy::needless_range_loop, reason = "the lane indexes each of the terms")]
pub(super) fn sums<S: Simd, const K: usize>(
    simd: S,
    count: usize,
    term: impl Fn(usize) -> [f64; K],
) -> [f64; K] {
    let (mut total, mut lost) = ([[0.0; LANES]; K], [[0.0; LANES]; K]);
    let whole = count / LANES * LANES;
    for start in (0..whole).step_by(LANES) {
        let mut terms = [[0.0; LANES]; K];
        for lane in 0..LANES {
            let of_bar = term(start + lane);
            for k in 0..K {
                terms[k][lane] = of_bar[k];
            }
        }
        for k in 0..K {
            add_lanes(simd, &mut total[k], &mut lost[k], &terms[k]);
        }
    }
    for i in whole..count {
        let terms = term(i);
        for k in 0..K {
            add(&mut total[k][i - whole], &mut lost[k][i - whole], terms[k]);
        }
    }
    std::array::from_fn(|k| {
        let (mut sum, mut rest) = (0.0, 0.0);
        for lane in 0..LANES {
            add(&mut sum, &mut rest, total[k][lane]);
            rest += lost[k][lane];
        }
        sum + rest
    })
}

#[inline(always)]
fn add_lanes<S: Simd>(simd: S, total: &mut [f64; LANES], lost: &mut [f64; LANES], values: &[f64; LANES]) {
    let (total, _) = S::as_mut_simd_f64s(total);
    let (lost, _) = S::as_mut_simd_f64s(lost);
    let (values, _) = S::as_simd_f64s(values);
    for ((total, lost), &value) in total.iter_mut().zip(lost).zip(values) {
        let next = simd.add_f64s(*total, value);
        let taken = simd.sub_f64s(next, *total);
        let of_total = simd.sub_f64s(*total, simd.sub_f64s(next, taken));
        let of_value = simd.sub_f64s(value, taken);
        *lost = simd.add_f64s(*lost, simd.add_f64s(of_total, of_value));
        *total = next;
    }
}

/// Adds to a sum, and what rounding takes from it to what is lost.
#[inline(always)]
pub(super) fn add(total: &mut f64, lost: &mut f64, value: f64) {
    let next = *total + value;
    let taken = next - *total;
    *lost += (*total - (next - taken)) + (value - taken);
    *total = next;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_lost_in_any_lane() {
        for count in [0, 1, 7, 8, 9, 100] {
            let [huge, whole] = sums(pulp::Scalar, count, |i| {
                [if i % 2 == 0 { 1e17 + i as f64 * 32.0 } else { -1e17 }, i as f64]
            });
            let expected: f64 = (0..count).step_by(2).map(|i| i as f64 * 32.0).sum::<f64>()
                + if count % 2 == 1 { 1e17 } else { 0.0 };
            assert_eq!(whole, (count * count.saturating_sub(1) / 2) as f64);
            assert!((huge - expected).abs() <= 16.0, "{count}: {huge} is not {expected}");
        }
    }
}
