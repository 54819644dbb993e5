//! Higher intervals, made exactly from the candles of the run.

use std::ops::Range;

use crate::candles::{Candles, RawCandles};
use crate::exact::ExactSums;
use crate::interval::Interval;

/// Candles of the higher `interval`, from whole periods only: a first or last period that the data does not cover from
/// its open to its close does not exist. A period inside the data exists if any candle of it does (a gap is not filled).
/// A column beside the candle has the value of the period's last candle.
///
/// `interval` must be a multiple of the candles' own.
pub fn resample(candles: &Candles, interval: Interval) -> Candles {
    let opens = candles.timestamp();
    let (Some(&first), Some(&last)) = (opens.first(), opens.last()) else {
        return Candles::from_checked(interval, RawCandles::default());
    };
    resample_part(candles, interval, first..last + candles.interval().millis())
}

/// [`resample`] of candles that are a part of longer data, which go from the open of their first candle to the close of
/// their last (`data`, UTC milliseconds): whether a period is covered is then a matter of the data, not of the part.
///
/// Every candle that the data have in a period must be in the part, or none.
pub fn resample_part(candles: &Candles, interval: Interval, data: Range<i64>) -> Candles {
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
        if data.start <= open_time && close_time <= data.end {
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
    fn a_part_has_the_days_of_the_whole() {
        // Without midnight of the second day and without the last hour of the third.
        let all = hours(0, 96);
        let kept: Vec<usize> = (0..96).filter(|i| ![24, 71].contains(i)).collect();
        let column = |from: &[f64]| kept.iter().map(|&i| from[i]).collect::<Vec<_>>();
        let raw = RawCandles {
            timestamp: kept.iter().map(|&i| all.timestamp()[i]).collect(),
            open: column(all.open()),
            high: column(all.high()),
            low: column(all.low()),
            close: column(all.close()),
            volume: column(all.volume()),
        };
        let all = Candles::new("1h".parse().unwrap(), raw).unwrap();
        let days = resample(&all, Interval::DAY);
        assert_eq!(days.len(), 4);
        let part = resample_part(&all.slice(24..70), Interval::DAY, 0..96 * HOUR);
        assert_eq!(part, days.slice(1..3));
        assert_eq!(resample(&all.slice(24..70), Interval::DAY).len(), 0);
    }

    #[test]
    fn the_last_hour_of_a_day_sees_its_own_day() {
        let fine = hours(0, 72);
        let closed = align(&fine, &resample(&fine, Interval::DAY));
        assert_eq!((closed[22], closed[23], closed[46], closed[47], closed[71]), (0, 1, 1, 2, 3));
    }
}
