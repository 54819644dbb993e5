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
        let lowest = |part: &[f64]| part.iter().copied().fold(f64::INFINITY, f64::min);
        let highest = |part: &[f64]| part.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        Self {
            low: candles.low().chunks(WORD).map(lowest).collect(),
            high: candles.high().chunks(WORD).map(highest).collect(),
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
