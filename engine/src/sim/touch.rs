//! The first bar that touches a level, found by the extremes of whole blocks.

use std::ops::Range;

use crate::bits::WORD;
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

    /// The first of `bars` that touches one of the levels, or their end: `adverse` lies below a long, above a short,
    /// `favourable` on the other side. A level that is not there is `None`.
    pub(crate) fn first_touch(
        &self,
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
        let (low, high) = (candles.low(), candles.high());
        let mut t = bars.start;
        while t < bars.end {
            let block = t / WORD;
            let end = ((block + 1) * WORD).min(bars.end);
            if self.low[block] <= below || self.high[block] >= above {
                let touched = |i: &usize| low[*i] <= below || high[*i] >= above;
                if let Some(bar) = (t..end).find(touched) {
                    return bar;
                }
            }
            t = end;
        }
        bars.end
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
