//! The candles of [`Dataset::read_with`], a part at a time.

use std::ops::Range;

use blockgrid_engine::candles::{CandleError, Candles};
use blockgrid_engine::graph::resample_part;
use blockgrid_engine::interval::Interval;

use super::read::{Places, cut};
use super::{Batches, Dataset};
use crate::DatasetError;
use crate::codec::Table;

/// Candles of one symbol, oldest first; made by [`Dataset::candle_parts`]. No part is empty.
#[derive(Debug)]
pub struct CandleParts<'a> {
    dataset: &'a Dataset,
    symbol: String,
    interval: Interval,
    batches: Batches<'a>,
    /// Open of the first stored candle to close of the last.
    data: Range<i64>,
    /// Finer candles whose period may go on.
    rest: Table,
    /// Open of the last stored candle that was read.
    last: Option<i64>,
    found: bool,
    ended: bool,
}

impl Dataset {
    /// The candles of [`Dataset::read_with`] a row group at a time, so that memory does not grow with the data. Candles
    /// that are made of finer ones need, besides, the memory of one period of those.
    ///
    /// # Errors
    /// When there is no such symbol, interval or column. While reading, as [`Dataset::read_with`]; after an error there
    /// is nothing more to come.
    pub fn candle_parts(
        &self,
        symbol: &str,
        interval: Interval,
        from_ms: Option<i64>,
        to_ms: Option<i64>,
        columns: &[&str],
    ) -> Result<CandleParts<'_>, DatasetError> {
        let batches = self.batches(symbol, interval, from_ms, to_ms, columns)?;
        Ok(CandleParts {
            dataset: self,
            symbol: symbol.to_owned(),
            interval,
            data: self.extent(symbol, batches.interval()).unwrap_or_default(),
            batches,
            rest: Table::new(columns),
            last: None,
            found: false,
            ended: false,
        })
    }
}

impl CandleParts<'_> {
    /// Rows in the files that will be read.
    pub fn rows(&self) -> u64 {
        self.batches.rows()
    }

    /// How many of [`CandleParts::rows`] are done with.
    pub fn passed(&self) -> u64 {
        self.batches.passed()
    }

    fn read(&mut self) -> Result<Option<Candles>, DatasetError> {
        let stored = self.batches.interval();
        while !self.ended {
            let part = match self.stored()? {
                Some(fine) if stored == self.interval => fine,
                Some(fine) => self.made(&fine)?,
                None => {
                    self.ended = true;
                    let rest = std::mem::take(&mut self.rest);
                    resample_part(&Places::default().check(stored, rest)?, self.interval, self.data.clone())
                }
            };
            if !part.is_empty() {
                self.found = true;
                return Ok(Some(part));
            }
        }
        if self.found {
            Ok(None)
        } else {
            Err(self.dataset.no_candles(&self.symbol, (stored, self.interval)))
        }
    }

    /// The stored candles of the next row group, checked, also against those before.
    fn stored(&mut self) -> Result<Option<Candles>, DatasetError> {
        let Some((mut table, mut places)) = self.batches.next_group(false)? else { return Ok(None) };
        let (from, to) = self.batches.range();
        cut(&mut table, from, to, &mut places);
        let candles = places.check(self.batches.interval(), table)?;
        if let (Some(&timestamp), Some(previous)) = (candles.timestamp().first(), self.last)
            && timestamp <= previous
        {
            return Err(places.error(&if timestamp == previous {
                CandleError::Duplicate { row: 0, timestamp }
            } else {
                CandleError::Unsorted { row: 0, timestamp, previous }
            }));
        }
        self.last = candles.timestamp().last().copied().or(self.last);
        Ok(Some(candles))
    }

    /// The candles that can be made whole now; the finer ones of the last period wait.
    fn made(&mut self, fine: &Candles) -> Result<Candles, DatasetError> {
        self.rest.append(fine, 0..fine.len());
        let open = self.last.map_or(0, |last| self.interval.open_of(last));
        let whole = self.rest.raw.timestamp.partition_point(|&at| at < open);
        let rest = self.rest.split_off(whole);
        let whole = std::mem::replace(&mut self.rest, rest);
        let whole = Places::default().check(self.batches.interval(), whole)?;
        Ok(resample_part(&whole, self.interval, self.data.clone()))
    }
}

impl Iterator for CandleParts<'_> {
    type Item = Result<Candles, DatasetError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let read = self.read();
        self.ended |= read.is_err();
        read.transpose()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::write::{About, Series, encode};

    // 2023-12-28, a Thursday: a week and a year end within the data.
    const START: i64 = 1_703_721_600_000;
    const HOUR: i64 = 3_600_000;

    type Edit = fn(&mut Table);

    fn hours(steps: &[i64]) -> Table {
        let mut table = Table::new(&["funding"]);
        let mut at = START;
        for (i, step) in steps.iter().enumerate() {
            at += step * HOUR;
            let price = 100.0 + ((i * 7919) % 1000) as f64 / 100.0;
            table.raw.timestamp.push(at);
            for (column, value) in table.ohlcv_mut().into_iter().zip([0.0, 1.37, -2.11, 0.29, 7.3]) {
                column.push(price + value);
            }
            table.columns[0].1.push(if i % 3 == 0 { f64::NAN } else { i as f64 / 7.0 });
        }
        table
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]
        #[test]
        fn parts_are_the_whole_cut(
            steps in prop::collection::vec(prop_oneof![20 => Just(1_i64), 1 => 1_i64..300], 60..900),
            interval in prop::sample::select(vec!["1h", "2h", "4h", "1d", "1w"]),
            from in prop::option::of(-50_i64..1500),
            length in prop::option::of(0_i64..1500),
        ) {
            let (hour, interval): (Interval, Interval) = ("1h".parse().unwrap(), interval.parse().unwrap());
            let candles = Places::default().check(hour, hours(&steps)).unwrap();
            let text = || "test".to_owned();
            let about = About { name: text(), source: text(), licence: text(), generator: None };
            let dir = tempfile::tempdir().unwrap();
            for (path, bytes) in encode(&about, &[Series { symbol: "X", candles: &candles }], 50).unwrap() {
                let path = dir.path().join(path);
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(path, bytes).unwrap();
            }
            let dataset = Dataset::open(dir.path().to_str().unwrap()).unwrap();
            let range = (
                from.map(|from| START + from * HOUR),
                length.map(|length| START + (from.unwrap_or(0) + length) * HOUR),
            );
            let mut parts = dataset.candle_parts("X", interval, range.0, range.1, &["funding"]).unwrap();
            let rows = parts.rows();
            let mut seen = Table::new(&["funding"]);
            let mut error = None;
            for part in &mut parts {
                match part {
                    Ok(part) => {
                        prop_assert!(!part.is_empty() && part.len() <= 50);
                        seen.append(&part, 0..part.len());
                    }
                    Err(e) => error = Some(e.to_string()),
                }
            }
            match dataset.read_with("X", interval, range.0, range.1, &["funding"]) {
                Ok(whole) => {
                    prop_assert_eq!(error, None);
                    prop_assert_eq!(parts.passed(), rows);
                    let whole = Table::from_candles(&whole);
                    prop_assert_eq!(&seen.raw, &whole.raw);
                    let bits = |table: &Table| table.columns[0].1.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
                    prop_assert_eq!(bits(&seen), bits(&whole));
                }
                Err(e) => prop_assert_eq!(error, Some(e.to_string())),
            }
        }
    }

    #[test]
    fn what_is_no_candle_is_named_as_in_the_whole() {
        let edits: [(&str, Edit); 4] = [
            ("row 51: timestamp", |table| table.raw.timestamp[50] = table.raw.timestamp[49]),
            ("row 51: timestamp", |table| table.raw.timestamp[50] = table.raw.timestamp[48]),
            ("row 77: candle of", |table| table.raw.high[76] = 1.0),
            ("row 77: `close` is null", |table| table.raw.close[76] = f64::NAN),
        ];
        for (part, edit) in edits {
            let mut table = hours(&[1; 120]);
            edit(&mut table);
            let series: Vec<_> =
                table.series().into_iter().map(|s| crate::codec::Series { nullable: true, ..s }).collect();
            let bytes = crate::codec::parquet_bytes(&table.raw.timestamp, &series, 50).unwrap();
            let dir = tempfile::tempdir().unwrap();
            let folder = dir.path().join("interval=1h/symbol=X/year=2024");
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(folder.join("x.parquet"), bytes).unwrap();
            let dataset = Dataset::open(dir.path().to_str().unwrap()).unwrap();
            for interval in ["1h", "4h"].map(|text| text.parse().unwrap()) {
                let mut parts = dataset.candle_parts("X", interval, None, None, &[]).unwrap();
                let error = parts.find_map(Result::err).unwrap().to_string();
                assert!(parts.next().is_none());
                assert!(error.contains(part), "`{part}` is not in: {error}");
                assert_eq!(error, dataset.read("X", interval, None, None).unwrap_err().to_string());
            }
        }
    }
}
