//! Candles that are not stored, made of finer ones that are.

use blockgrid_engine::candles::Candles;
use blockgrid_engine::graph::resample_part;
use blockgrid_engine::interval::Interval;

use super::read::Places;
use super::{Dataset, ReadCounts};
use crate::DatasetError;
use crate::codec::{Table, list};

/// Fine candles in memory at a time; few in tests, so that they see the seams.
pub(super) const AT_A_TIME: i64 = if cfg!(test) { 700 } else { 4_000_000 };

type Bounds = (Option<i64>, Option<i64>);

impl Dataset {
    /// The stored interval that a symbol's candles of `interval` are read from: itself, or else the coarsest of which
    /// they can be made whole (`1h` of `1m` and `15m` is made of `15m`). `None` when there is none.
    pub fn stored_interval(&self, symbol: &str, interval: Interval) -> Option<Interval> {
        let mut stored = self.manifest.intervals(symbol);
        stored.retain(|finer| {
            // Weeks begin on Monday, other candles count from 1970: two days do not always end with two weeks.
            let open = interval.open_of(0);
            interval.is_multiple_of(*finer) && finer.open_of(open) == open
        });
        stored.pop()
    }

    /// First and last open of a symbol's candles by the manifest, UTC milliseconds; of candles that are made of finer
    /// ones, of the whole periods between them (the first and the last may lie in a gap).
    pub fn range(&self, symbol: &str, interval: Interval) -> Option<(i64, i64)> {
        let stored = self.stored_interval(symbol, interval)?;
        let data = self.extent(symbol, stored)?;
        let (first, last) = if stored == interval {
            (data.start, data.end - stored.millis())
        } else {
            (ceil(interval, data.start), interval.open_of(data.end) - interval.millis())
        };
        (first <= last).then_some((first, last))
    }

    /// [`Dataset::stored_interval`], or what there is instead.
    pub(super) fn stored(&self, symbol: &str, interval: Interval) -> Result<Interval, DatasetError> {
        self.stored_interval(symbol, interval).ok_or_else(|| {
            let intervals = self.manifest.intervals(symbol);
            let (symbol, dataset) = (symbol.to_owned(), self.location.clone());
            if intervals.is_empty() {
                return DatasetError::NoSymbol {
                    symbol,
                    dataset,
                    existing: list(&self.manifest.symbols(None)),
                };
            }
            let existing = intervals.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            DatasetError::NoInterval { interval, symbol, dataset, existing }
        })
    }

    /// Open of the first stored candle to close of the last.
    pub(super) fn extent(&self, symbol: &str, stored: Interval) -> Option<std::ops::Range<i64>> {
        let files = self.files(symbol, stored);
        let first = files.iter().map(|f| f.first).min()?;
        Some(first..files.iter().map(|f| f.last).max()?.saturating_add(stored.millis()))
    }

    /// The range of stored candles that make the candles of `interval` that open in a range.
    pub(super) fn widened(
        &self,
        symbol: &str,
        (stored, interval): (Interval, Interval),
        (from, to): Bounds,
    ) -> Bounds {
        let Some(data) = self.extent(symbol, stored).filter(|_| stored != interval) else {
            return (from, to);
        };
        let bound = |ms: i64| ceil(interval, ms.clamp(data.start, data.end));
        (from.map(bound), to.map(bound))
    }

    /// Candles of `interval` made of stored ones, a part of them at a time.
    pub(super) fn read_made(
        &self,
        symbol: &str,
        (stored, interval): (Interval, Interval),
        range: Bounds,
        columns: &[&str],
    ) -> Result<(Candles, ReadCounts), DatasetError> {
        let data = self.extent(symbol, stored).unwrap_or_default();
        let (from, to) = self.widened(symbol, (stored, interval), range);
        let mut begin = from.unwrap_or_else(|| interval.open_of(data.start));
        let to = to.unwrap_or_else(|| ceil(interval, data.end));
        let periods = (AT_A_TIME * stored.millis() / interval.millis()).max(1);
        let mut table = Table::new(columns);
        let mut counts = ReadCounts { files: self.files(symbol, stored).len(), ..ReadCounts::default() };
        while begin < to {
            let end = begin.saturating_add(periods * interval.millis()).min(to);
            let (fine, read) = self.read_stored(symbol, stored, (Some(begin), Some(end)), columns)?;
            counts.add(read);
            let made = resample_part(&fine, interval, data.clone());
            table.append(&made, 0..made.len());
            begin = end;
        }
        Ok((Places::default().check(interval, table)?, counts))
    }
}

/// The first open of a candle at or after a moment.
fn ceil(interval: Interval, ms: i64) -> i64 {
    let open = interval.open_of(ms);
    if open == ms { ms } else { open + interval.millis() }
}

#[cfg(test)]
mod tests {
    use blockgrid_engine::candles::RawCandles;
    use blockgrid_engine::graph::resample;
    use blockgrid_engine::interval::DAY_MS;
    use proptest::prelude::*;

    use super::*;
    use crate::{About, DatasetWriter};

    // 2023-12-28, a Thursday: a week and a year end within the data.
    const START: i64 = 1_703_721_600_000;

    /// Candles after each other, `steps` intervals apart, with a column beside them.
    fn candles(interval: Interval, first: i64, steps: &[i64]) -> Candles {
        let mut raw = RawCandles::default();
        let mut at = interval.open_of(first);
        for (i, step) in steps.iter().enumerate() {
            at += step * interval.millis();
            let price = 100.0 + ((i * 7919) % 1000) as f64 / 100.0;
            raw.timestamp.push(at);
            raw.open.push(price);
            raw.high.push(price + 1.37);
            raw.low.push(price - 2.11);
            raw.close.push(price + 0.29);
            raw.volume.push(((i * 104_729) % 1009) as f64 / 10.0);
        }
        let beside = (0..steps.len()).map(|i| i as f64).collect();
        Candles::new(interval, raw).unwrap().with_columns(vec![("funding".to_owned(), beside)]).unwrap()
    }

    fn stored(all: &[&Candles]) -> (tempfile::TempDir, Dataset) {
        let dir = tempfile::tempdir().unwrap();
        let text = || "test".to_owned();
        let about = About { name: text(), source: text(), licence: text(), generator: None };
        let writer = DatasetWriter::open(dir.path(), &about).unwrap();
        for candles in all {
            let mut series = writer.series("X", candles.interval()).unwrap();
            series.push(candles).unwrap();
            series.finish().unwrap();
        }
        writer.commit().unwrap();
        let dataset = Dataset::open(dir.path().to_str().unwrap()).unwrap();
        (dir, dataset)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(30))]
        #[test]
        fn made_candles_are_those_that_would_be_stored(
            offset in 0_i64..1500,
            steps in prop::collection::vec(prop_oneof![20 => Just(1_i64), 1 => 1_i64..2000], 300..2500),
            coarse in prop::sample::select(vec!["5m", "1h", "4h", "1d", "1w", "2w"]),
            from in prop::option::of(-2000_i64..40_000),
            length in prop::option::of(0_i64..30_000),
        ) {
            let (minute, coarse): (Interval, Interval) = ("1m".parse().unwrap(), coarse.parse().unwrap());
            let fine = candles(minute, START + offset * 60_000, &steps);
            let (_dir, made) = stored(&[&fine]);
            let expected = resample(&fine, coarse);
            let from_ms = from.map(|from| START + from * 60_000);
            let to_ms = length.map(|length| START + (from.unwrap_or(0) + length) * 60_000);
            if expected.is_empty() {
                prop_assert!(made.read("X", coarse, from_ms, to_ms).is_err());
                return Ok(());
            }
            let (_dir, kept) = stored(&[&fine, &expected]);
            prop_assert_eq!(made.stored_interval("X", coarse), Some(minute));
            prop_assert_eq!(kept.stored_interval("X", coarse), Some(coarse));
            prop_assert_eq!(made.symbols(coarse), ["X"]);
            let (first, last) = made.range("X", coarse).unwrap();
            let (inner_first, inner_last) = kept.range("X", coarse).unwrap();
            prop_assert!(first <= inner_first && inner_last <= last);
            made.check_footers(&["X"], coarse, from_ms, to_ms).unwrap();
            match kept.read_with("X", coarse, from_ms, to_ms, &["funding"]) {
                Ok(candles) => {
                    prop_assert_eq!(made.read_with("X", coarse, from_ms, to_ms, &["funding"]).unwrap(), candles);
                }
                Err(_) => {
                    let error = made.read_with("X", coarse, from_ms, to_ms, &["funding"]).unwrap_err();
                    prop_assert!(matches!(error, DatasetError::NoCandles { .. }), "{}", error);
                }
            }
        }
    }

    #[test]
    fn the_coarsest_that_fits_is_taken_and_only_its_range_is_read() {
        let interval = |text: &str| text.parse::<Interval>().unwrap();
        let minutes = candles(interval("1m"), START, &[1; 4000]);
        let quarters = candles(interval("15m"), START, &[1; 4000]);
        let two_days = candles(interval("2d"), START, &[1; 60]);
        let (_dir, dataset) = stored(&[&minutes, &quarters, &two_days]);
        for (asked, found) in [
            ("1m", Some("1m")),
            ("5m", Some("1m")),
            ("15m", Some("15m")),
            ("1h", Some("15m")),
            ("1d", Some("15m")),
            ("1w", Some("15m")),
            ("4d", Some("2d")),
            // Weeks begin on Mondays, which is not always where two days begin.
            ("2w", Some("15m")),
            ("30s", None),
        ] {
            assert_eq!(dataset.stored_interval("X", interval(asked)), found.map(interval), "{asked}");
        }
        let day = START + 5 * DAY_MS;
        let (candles, counts) =
            dataset.read_counted("X", interval("1h"), Some(day + 1), Some(day + 7_200_000), &[]).unwrap();
        assert_eq!(candles.timestamp(), [day + 3_600_000]);
        assert_eq!((counts.files, counts.files_read), (2, 1));
        // However far away the bounds are.
        let all = dataset.read("X", interval("1h"), Some(i64::MIN), Some(i64::MAX)).unwrap();
        assert_eq!(all, dataset.read("X", interval("1h"), None, None).unwrap());
        for (from, to) in [(Some(i64::MAX), None), (None, Some(i64::MIN)), (Some(day), Some(day))] {
            let error = dataset.read("X", interval("1h"), from, to).unwrap_err();
            assert!(matches!(error, DatasetError::NoCandles { .. }), "{error}");
        }
    }
}
