//! Fewer points that still tell the truth.

use std::ops::Range;

use blockgrid_engine::Candles;

use crate::top::EquityPoint;

/// At most about `3 * buckets` points: of each bucket the lowest, the highest and the last by equity, so that peaks and
/// drawdowns stay what they were.
pub(super) fn curve(points: &[EquityPoint], buckets: usize) -> Vec<EquityPoint> {
    if points.len() <= 3 * buckets {
        return points.to_vec();
    }
    let size = points.len().div_ceil(buckets);
    let mut out: Vec<EquityPoint> = Vec::with_capacity(3 * buckets + 1);
    out.push(points[0]);
    for bucket in points.chunks(size) {
        let by = |a: &&EquityPoint, b: &&EquityPoint| a.equity.total_cmp(&b.equity).then(b.bar.cmp(&a.bar));
        let mut kept: Vec<EquityPoint> = [bucket.iter().min_by(by), bucket.iter().max_by(by), bucket.last()]
            .into_iter()
            .flatten()
            .copied()
            .collect();
        kept.sort_by_key(|point| point.bar);
        for point in kept {
            if out.last().is_none_or(|last| last.bar < point.bar) {
                out.push(point);
            }
        }
    }
    out
}

/// Candles of `factor` bars, anchored like intervals in time.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Aggregated {
    pub(super) timestamp: Vec<i64>,
    pub(super) open: Vec<f64>,
    pub(super) high: Vec<f64>,
    pub(super) low: Vec<f64>,
    pub(super) close: Vec<f64>,
}

/// First open, highest high, lowest low and last close of every `factor` bars of time; a gap makes no candle.
pub(super) fn candles(candles: &Candles, range: Range<usize>, factor: usize) -> Aggregated {
    let span = candles.interval().millis() * i64::try_from(factor.max(1)).unwrap_or(1);
    let mut out = Aggregated::default();
    let mut current = None;
    for i in range {
        let at = candles.timestamp()[i];
        let bucket = at.div_euclid(span);
        match (factor > 1 && current == Some(bucket), out.close.len().checked_sub(1)) {
            (true, Some(last)) => {
                out.high[last] = out.high[last].max(candles.high()[i]);
                out.low[last] = out.low[last].min(candles.low()[i]);
                out.close[last] = candles.close()[i];
            }
            _ => {
                current = Some(bucket);
                out.timestamp.push(at);
                out.open.push(candles.open()[i]);
                out.high.push(candles.high()[i]);
                out.low.push(candles.low()[i]);
                out.close.push(candles.close()[i]);
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use blockgrid_engine::{Interval, RawCandles};

    #[test]
    fn aggregated_candles_are_honest() {
        let hour = 3_600_000;
        let raw = RawCandles {
            timestamp: [0, 1, 2, 3, 6, 7].map(|h| h * hour).to_vec(),
            open: vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0],
            high: vec![9.0, 3.0, 4.0, 5.0, 6.0, 8.0],
            low: vec![1.0, 0.5, 3.0, 4.0, 5.0, 6.0],
            close: vec![2.0, 3.0, 4.0, 5.0, 6.0, 7.0],
            volume: vec![0.0; 6],
        };
        let source = Candles::new(Interval::from_millis(hour).unwrap(), raw).unwrap();
        let out = candles(&source, 0..6, 4);
        assert_eq!(out.timestamp, [0, 6 * hour]);
        assert_eq!((out.open, out.close), (vec![1.0, 5.0], vec![5.0, 7.0]));
        assert_eq!((out.high, out.low), (vec![9.0, 8.0], vec![0.5, 5.0]));
        assert_eq!(candles(&source, 1..4, 1).open, [2.0, 3.0, 4.0]);
    }

    #[test]
    fn a_thinned_curve_keeps_its_extremes() {
        let equity = |i: usize| {
            if i == 777 {
                500.0
            } else if i == 333 {
                1.0
            } else {
                100.0 + (i % 7) as f64
            }
        };
        let points: Vec<EquityPoint> = (0..1000)
            .map(|bar| EquityPoint {
                bar,
                timestamp: 0,
                equity: equity(bar),
                drawdown: 0.0,
                position: 0.0,
                buy_and_hold: 0.0,
            })
            .collect();
        let thin = curve(&points, 10);
        assert!(thin.len() <= 31);
        assert!(thin.windows(2).all(|pair| pair[0].bar < pair[1].bar));
        assert!(thin.iter().any(|p| p.bar == 777) && thin.iter().any(|p| p.bar == 333));
        assert_eq!((thin[0].bar, thin[thin.len() - 1].bar), (0, 999));
    }
}
