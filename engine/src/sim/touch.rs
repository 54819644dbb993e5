//! The first bar that touches a level, found by the extremes of whole blocks.

use std::ops::Range;

use pulp::{Arch, Simd, WithSimd};

use crate::bits::{BIT, WORD, union};
use crate::candles::Candles;

/// Lowest low and highest high of every 64 bars.
#[derive(Debug, Default)]
pub(crate) struct Extremes {
    low: Vec<f64>,
    high: Vec<f64>,
}

impl Extremes {
    pub(crate) fn new(candles: &Candles) -> Self {
        Self {
            low: of_blocks(candles.low(), f64::INFINITY, |a, b| a < b),
            high: of_blocks(candles.high(), f64::NEG_INFINITY, |a, b| a > b),
        }
    }

    /// [`Self::touch`], as code for the processor that runs.
    pub(crate) fn first_touch(
        &self,
        candles: &Candles,
        bars: Range<usize>,
        long: bool,
        adverse: Option<f64>,
        favourable: Option<f64>,
        arch: Arch,
    ) -> usize {
        arch.dispatch(Touch { extremes: self, candles, bars, long, adverse, favourable })
    }

    /// The first of `bars` that touches one of the levels, or their end: `adverse` lies below a long, above a short,
    /// `favourable` on the other side. A level that is not there is `None`.
    #[inline(always)]
    pub(crate) fn touch<S: Simd>(
        &self,
        simd: S,
        candles: &Candles,
        bars: Range<usize>,
        long: bool,
        adverse: Option<f64>,
        favourable: Option<f64>,
    ) -> usize {
        let (below, above) = if long { (adverse, favourable) } else { (favourable, adverse) };
        if below.is_none() && above.is_none() {
            return bars.end;
        }
        let (below, above) = (below.unwrap_or(f64::NEG_INFINITY), above.unwrap_or(f64::INFINITY));
        let mut t = bars.start;
        while t < bars.end {
            let block = t / WORD;
            let start = block * WORD;
            if self.low[block] <= below || self.high[block] >= above {
                let end = (start + WORD).min(candles.len());
                let (low, high) = (&candles.low()[start..end], &candles.high()[start..end]);
                if let Some(at) = (Touched { low, high, from: t - start, below, above }).first(simd) {
                    return (start + at).min(bars.end);
                }
            }
            t = start + WORD;
        }
        bars.end
    }
}

/// The first of up to 64 bars, from bar `from` of them on, that touches a level.
struct Touched<'a> {
    low: &'a [f64],
    high: &'a [f64],
    from: usize,
    below: f64,
    above: f64,
}

/// Bars that are looked at before it is asked whether one touches: most positions end soon.
const GROUP: usize = 16;

impl Touched<'_> {
    #[inline(always)]
    fn first<S: Simd>(self, simd: S) -> Option<usize> {
        let (below, above) = (simd.splat_f64s(self.below), simd.splat_f64s(self.above));
        let none = simd.splat_u64s(0);
        let first = self.from / GROUP * GROUP;
        let groups = self.low[first..].chunks(GROUP).zip(self.high[first..].chunks(GROUP));
        for (start, (low, high)) in (first..).step_by(GROUP).zip(groups) {
            let ((lows, rest_low), (highs, rest_high)) = (S::as_simd_f64s(low), S::as_simd_f64s(high));
            let mut word = none;
            for ((&low, &high), &bit) in lows.iter().zip(highs).zip(S::as_simd_u64s(&BIT).0) {
                let touched = simd.or_m64s(
                    simd.less_than_or_equal_f64s(low, below),
                    simd.greater_than_or_equal_f64s(high, above),
                );
                word = simd.or_u64s(word, simd.select_u64s(touched, bit, none));
            }
            let whole = low.len() - rest_low.len();
            let rest = rest_low.iter().zip(rest_high).enumerate().fold(0, |word, (i, (&low, &high))| {
                word | u64::from(low <= self.below || high >= self.above) << (whole + i)
            });
            let touched = (union(simd, word) | rest) >> self.from.saturating_sub(start);
            if touched != 0 {
                return Some(start.max(self.from) + touched.trailing_zeros() as usize);
            }
        }
        None
    }
}

/// [`Extremes::touch`] as code for the processor that runs.
struct Touch<'a> {
    extremes: &'a Extremes,
    candles: &'a Candles,
    bars: Range<usize>,
    long: bool,
    adverse: Option<f64>,
    favourable: Option<f64>,
}

impl WithSimd for Touch<'_> {
    type Output = usize;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> usize {
        let Self { extremes, candles, bars, long, adverse, favourable } = self;
        extremes.touch(simd, candles, bars, long, adverse, favourable)
    }
}

/// Of every 64 values the one that comes `before` all others; in lanes, so that it is vector code.
fn of_blocks(values: &[f64], none: f64, before: impl Fn(f64, f64) -> bool) -> Vec<f64> {
    const LANES: usize = 8;
    let first = |a: f64, b: f64| if before(a, b) { a } else { b };
    let block = |block: &[f64]| {
        let (groups, rest) = block.as_chunks::<LANES>();
        let lanes = groups
            .iter()
            .fold([none; LANES], |lanes, group| std::array::from_fn(|lane| first(group[lane], lanes[lane])));
        lanes.iter().chain(rest).fold(none, |best, &value| first(value, best))
    };
    values.chunks(WORD).map(block).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::candles::RawCandles;
    use crate::interval::Interval;

    #[test]
    fn the_first_touch_is_that_of_a_plain_search() {
        let price = |i: usize| 100.0 + (i * i % 89) as f64;
        let column = |away: f64| (0..200).map(|i| price(i) + away).collect::<Vec<f64>>();
        let raw = RawCandles {
            timestamp: (0..200).map(|i| i * crate::interval::DAY_MS).collect(),
            open: column(0.0),
            high: column(1.0),
            low: column(-1.0),
            close: column(0.0),
            volume: vec![1.0; 200],
        };
        let candles = Candles::new(Interval::DAY, raw).unwrap();
        let extremes = Extremes::new(&candles);
        for arch in [Arch::new(), Arch::Scalar] {
            for (below, above) in
                [(Some(99.0), None), (None, Some(189.0)), (Some(100.0), Some(188.5)), (Some(1.0), None)]
            {
                for (from, to) in [(0, 200), (3, 190), (64, 130), (70, 71), (150, 200)] {
                    let touched = |i: &usize| {
                        below.is_some_and(|level| candles.low()[*i] <= level)
                            || above.is_some_and(|level| candles.high()[*i] >= level)
                    };
                    let plain = (from..to).find(touched).unwrap_or(to);
                    assert_eq!(extremes.first_touch(&candles, from..to, true, below, above, arch), plain);
                    assert_eq!(extremes.first_touch(&candles, from..to, false, above, below, arch), plain);
                }
            }
        }
    }
}
