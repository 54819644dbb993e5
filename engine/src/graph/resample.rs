//! Higher intervals, made exactly from the candles of the run.

use crate::candles::{Candles, RawCandles};
use crate::exact::ExactSums;
use crate::interval::Interval;

/// Candles of the higher `interval`, from whole periods only: a first or last period that the data does not cover from
/// its open to its close does not exist. A period inside the data exists if any candle of it does (a gap is not filled).
/// A column beside the candle has the value of the period's last candle.
///
/// `interval` must be a multiple of the candles' own.
pub fn resample(candles: &Candles, interval: Interval) -> Candles {
    let n = candles.len();
    // Exact, so that the volumes of a day are those of its hours whichever interval the hours came from.
    let volumes = ExactSums::new(candles.volume());
    let mut raw = RawCandles::default();
    let mut columns: Vec<_> = candles.columns().iter().map(|(name, _)| (name.clone(), Vec::new())).collect();
    let mut i = 0;
    while i < n {
        let open_time = interval.open_of(candles.timestamp()[i]);
        let close_time = open_time + interval.millis();
        let end = i + candles.timestamp()[i..].partition_point(|&t| t < close_time);
        let covered_from_open = i > 0 || candles.timestamp()[0] == open_time;
        let covered_to_close = end < n || candles.close_time(n - 1) >= close_time;
        if covered_from_open && covered_to_close {
            raw.timestamp.push(open_time);
            raw.open.push(candles.open()[i]);
            raw.high.push(candles.high()[i..end].iter().copied().fold(f64::MIN, f64::max));
            raw.low.push(candles.low()[i..end].iter().copied().fold(f64::MAX, f64::min));
            raw.close.push(candles.close()[end - 1]);
            raw.volume.push(volumes.sum(end - 1, end - i));
            for ((_, values), (_, from)) in columns.iter_mut().zip(candles.columns()) {
                values.push(from[end - 1]);
            }
        }
        i = end;
    }
    Candles::from_checked(interval, raw).with_checked_columns(columns)
}

/// For every candle of `fine`, how many candles of `coarse` closed at or before its close.
pub fn align(fine: &Candles, coarse: &Candles) -> Vec<usize> {
    let mut closed = 0;
    (0..fine.len())
        .map(|i| {
            while closed < coarse.len() && coarse.close_time(closed) <= fine.close_time(i) {
                closed += 1;
            }
            closed
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;

    fn hours(from: i64, count: usize) -> Candles {
        let timestamp: Vec<i64> = (0..count as i64).map(|i| (from + i) * HOUR).collect();
        let price = |offset: f64| (0..count).map(|i| 100.0 + i as f64 + offset).collect::<Vec<f64>>();
        let raw = RawCandles {
            timestamp,
            open: price(0.0),
            high: price(2.0),
            low: price(-2.0),
            close: price(1.0),
            volume: vec![1.0; count],
        };
        Candles::new("1h".parse().unwrap(), raw).unwrap()
    }

    #[test]
    fn incomplete_first_and_last_days_do_not_exist() {
        let days = resample(&hours(5, 19 + 24 + 7), Interval::DAY);
        assert_eq!(days.timestamp(), [24 * HOUR]);
        assert_eq!((days.open()[0], days.close()[0], days.volume()[0]), (119.0, 143.0, 24.0));
        assert_eq!((days.high()[0], days.low()[0]), (144.0, 117.0));
    }

    #[test]
    fn the_last_hour_of_a_day_sees_its_own_day() {
        let fine = hours(0, 72);
        let closed = align(&fine, &resample(&fine, Interval::DAY));
        assert_eq!((closed[22], closed[23], closed[46], closed[47], closed[71]), (0, 1, 1, 2, 3));
    }
}
