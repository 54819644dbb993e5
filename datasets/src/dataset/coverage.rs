//! When there are candles: how many of those that could be, month by month, and where they are missing.

use std::collections::BTreeMap;

use blockgrid_engine::interval::Interval;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::Dataset;
use crate::DatasetError;
use crate::runtime::block_on;

/// The candles of a symbol at an interval against those that could be between its first and its last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Coverage {
    /// The symbol.
    pub symbol: String,
    /// The length of its candles.
    pub interval: Interval,
    /// Candles that are there.
    pub present: u64,
    /// Candles that could be: one an interval from the first to the last.
    pub expected: u64,
    /// Open of the first candle, UTC milliseconds.
    pub first: i64,
    /// Open of the last candle, UTC milliseconds.
    pub last: i64,
    /// Rows that do not come after the row before them; they count as no candle.
    pub disordered: u64,
    /// How many times candles are missing between two that are there.
    pub gaps: u64,
    /// The longest of them, the earliest of equal ones.
    pub longest: Option<Gap>,
    /// Every UTC month from the first candle to the last.
    pub months: Vec<Month>,
}

/// Candles that are missing between two that are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    /// When the first missing candle would open, UTC milliseconds.
    pub from: i64,
    /// Open of the candle after the gap.
    pub to: i64,
    /// How many candles are missing.
    pub candles: u64,
}

/// The candles of one UTC month.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Month {
    /// The year.
    pub year: i16,
    /// 1 to 12.
    pub month: i8,
    /// Candles that open in it.
    pub present: u64,
    /// Candles that could: those before the first candle and after the last are not asked for.
    pub expected: u64,
}

impl Coverage {
    /// The share of candles that are there, 0 to 1.
    pub fn share(&self) -> f64 {
        share(self.present, self.expected)
    }
}

impl Month {
    /// The share of candles that are there, 0 to 1; `None` in a month that needs none.
    pub fn share(&self) -> Option<f64> {
        (self.expected > 0).then(|| share(self.present, self.expected))
    }
}

/// Misaligned candles can be more than fit on the grid: still no more than all.
fn share(present: u64, expected: u64) -> f64 {
    if expected == 0 { 0.0 } else { (present as f64 / expected as f64).min(1.0) }
}

impl Dataset {
    /// The coverage of a symbol at an interval, or at the stored one ([`Dataset::stored_interval`]).
    ///
    /// Reads footers, and of row groups whose statistics leave a candle open to doubt the column of timestamps, one row
    /// group at a time: a row group has no gap when its first and last candle are as far apart as its rows are many.
    ///
    /// # Errors
    /// When there is no such symbol or interval, or a file is not the one of the manifest or damaged.
    pub fn coverage(&self, symbol: &str, interval: Interval) -> Result<Coverage, DatasetError> {
        let stored = self.stored(symbol, interval)?;
        let files = self.files(symbol, stored);
        let mut tally = Tally::new(stored);
        block_on(async {
            for entry in files {
                let object = self.object(entry);
                let footer = self.checked_footer(&object, entry).await?;
                let mut first_row = 0;
                for group in 0..footer.row_groups() {
                    let rows = footer.group_rows(group);
                    let range = footer.group_range(group);
                    match range.filter(|range| tally.is_run(*range, rows)) {
                        Some((first, last)) => tally.run(first, last),
                        None => tally.opens(&footer.read_opens(&object, group, first_row).await?),
                    }
                    first_row += rows;
                }
            }
            Ok(())
        })?;
        Ok(tally.finish(symbol))
    }
}

/// What has been seen so far, oldest first.
struct Tally {
    interval: Interval,
    range: Option<(i64, i64)>,
    present: u64,
    disordered: u64,
    gaps: u64,
    longest: Option<Gap>,
    months: BTreeMap<(i16, i8), u64>,
}

impl Tally {
    fn new(interval: Interval) -> Self {
        let months = BTreeMap::new();
        Self { interval, range: None, present: 0, disordered: 0, gaps: 0, longest: None, months }
    }

    /// Whether rows in a range can only be one candle after the other, after all that was seen.
    fn is_run(&self, (first, last): (i64, i64), rows: usize) -> bool {
        let after = self.range.is_none_or(|(_, before)| first > before);
        let steps = last.checked_sub(first).filter(|span| span % self.interval.millis() == 0);
        let count = steps.map(|span| span / self.interval.millis() + 1);
        after && count.is_some_and(|count| usize::try_from(count) == Ok(rows))
    }

    /// Counts a candle at every interval from `first` to `last`.
    fn run(&mut self, first: i64, last: i64) {
        self.step(first);
        for (month, count) in by_month(first, last, self.interval) {
            *self.months.entry(month).or_default() += count;
            self.present += count;
        }
        self.range = self.range.map(|(start, _)| (start, last));
    }

    /// Counts candles one by one.
    fn opens(&mut self, opens: &[i64]) {
        let mut at = 0;
        while at < opens.len() {
            // Runs are what there is most of.
            let mut end = at;
            while end + 1 < opens.len()
                && opens[end + 1].checked_sub(opens[end]) == Some(self.interval.millis())
            {
                end += 1;
            }
            if self.range.is_none_or(|(_, before)| opens[at] > before) {
                self.run(opens[at], opens[end]);
                at = end + 1;
            } else {
                self.disordered += 1;
                at += 1;
            }
        }
    }

    /// Goes on to a later candle, perhaps over a gap.
    fn step(&mut self, open: i64) {
        let Some((start, before)) = self.range else {
            self.range = Some((open, open));
            return;
        };
        let millis = self.interval.millis();
        let missing = u64::try_from(open.saturating_sub(before) / millis - 1).unwrap_or(0);
        if missing > 0 {
            self.gaps += 1;
            if self.longest.is_none_or(|longest| missing > longest.candles) {
                self.longest = Some(Gap { from: before + millis, to: open, candles: missing });
            }
        }
        self.range = Some((start, open));
    }

    fn finish(self, symbol: &str) -> Coverage {
        let (first, last) = self.range.unwrap_or_default();
        let mut months = Vec::new();
        let mut expected = 0;
        if self.range.is_some() {
            let possible: BTreeMap<_, _> = by_month(first, last, self.interval).collect();
            expected = possible.values().sum();
            let mut at = month_of(first);
            while let Some(month) = at.filter(|month| Some(*month) <= month_of(last)) {
                let count = |map: &BTreeMap<_, u64>| map.get(&month).copied().unwrap_or(0);
                let (present, expected) = (count(&self.months), count(&possible));
                months.push(Month { year: month.0, month: month.1, present, expected });
                at = next(month);
            }
        }
        Coverage {
            symbol: symbol.to_owned(),
            interval: self.interval,
            present: self.present,
            expected,
            first,
            last,
            disordered: self.disordered,
            gaps: self.gaps,
            longest: self.longest,
            months,
        }
    }
}

/// How many of the opens `first`, `first + interval` ... `last` lie in each UTC month; moments that no calendar knows
/// are left out.
fn by_month(first: i64, last: i64, interval: Interval) -> impl Iterator<Item = ((i16, i8), u64)> {
    let millis = interval.millis();
    let mut at = first;
    std::iter::from_fn(move || {
        let month = (at <= last).then(|| month_of(at))??;
        let end = next(month).and_then(start_of).map_or(last, |next| last.min(next - 1));
        let count = (end - at) / millis + 1;
        at += count * millis;
        Some((month, u64::try_from(count).unwrap_or(0)))
    })
}

fn month_of(ms: i64) -> Option<(i16, i8)> {
    let date = Timestamp::from_millisecond(ms).ok()?.to_zoned(TimeZone::UTC).date();
    Some((date.year(), date.month()))
}

fn next((year, month): (i16, i8)) -> Option<(i16, i8)> {
    if month < 12 { Some((year, month + 1)) } else { Some((year.checked_add(1)?, 1)) }
}

fn start_of((year, month): (i16, i8)) -> Option<i64> {
    let midnight = Date::new(year, month, 1).ok()?.to_zoned(TimeZone::UTC).ok()?;
    Some(midnight.timestamp().as_millisecond())
}

#[cfg(test)]
mod tests {
    use blockgrid_engine::candles::{Candles, RawCandles};
    use proptest::prelude::*;

    use super::*;
    use crate::write::{About, Series, encode};

    const HOUR: i64 = 3_600_000;
    // 2024-01-31T20:00Z.
    const START: i64 = 1_706_731_200_000;

    fn hour() -> Interval {
        "1h".parse().unwrap()
    }

    /// A data set of hours at these places, in row groups of `group`.
    fn dataset(opens: &[i64], group: usize) -> (tempfile::TempDir, Dataset) {
        let price = vec![1.0; opens.len()];
        let raw = RawCandles {
            timestamp: opens.to_vec(),
            open: price.clone(),
            high: price.clone(),
            low: price.clone(),
            close: price.clone(),
            volume: price,
        };
        let candles = Candles::new(hour(), raw).unwrap();
        let about =
            About { name: "t".into(), source: "test".into(), licence: "CC0-1.0".into(), generator: None };
        let dir = tempfile::tempdir().unwrap();
        for (path, bytes) in encode(&about, &[Series { symbol: "X", candles: &candles }], group).unwrap() {
            let path = dir.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, &bytes).unwrap();
        }
        let dataset = Dataset::open(dir.path().to_str().unwrap()).unwrap();
        (dir, dataset)
    }

    #[test]
    fn months_gaps_and_shares_are_counted() {
        // Four hours of January, then February from its second hour, without the 10th (24 hours) and one hour later.
        let missing = |i: i64| i == 4 || (4 + 9 * 24..4 + 10 * 24).contains(&i) || i == 400;
        let opens: Vec<i64> = (0..500).filter(|&i| !missing(i)).map(|i| START + i * HOUR).collect();
        let (_dir, dataset) = dataset(&opens, 50);
        let coverage = dataset.coverage("X", hour()).unwrap();
        assert_eq!((coverage.present, coverage.expected), (474, 500));
        assert_eq!((coverage.first, coverage.last), (START, START + 499 * HOUR));
        assert_eq!((coverage.gaps, coverage.disordered), (3, 0));
        let from = START + (4 + 9 * 24) * HOUR;
        assert_eq!(coverage.longest, Some(Gap { from, to: from + 24 * HOUR, candles: 24 }));
        let months: Vec<_> =
            coverage.months.iter().map(|m| (m.year, m.month, m.present, m.expected)).collect();
        assert_eq!(months, [(2024, 1, 4, 4), (2024, 2, 470, 496)]);
        assert_eq!(coverage.months[1].share(), Some(470.0 / 496.0));
        assert_eq!(coverage.share(), 474.0 / 500.0);
        assert!(dataset.coverage("Y", hour()).is_err());
    }

    #[test]
    fn a_month_without_a_candle_is_there() {
        let opens = [START, START + 24 * 40 * HOUR];
        let (_dir, dataset) = dataset(&opens, 50);
        let months = dataset.coverage("X", hour()).unwrap().months;
        let months: Vec<_> = months.iter().map(|m| (m.month, m.present, m.expected)).collect();
        assert_eq!(months, [(1, 1, 4), (2, 0, 29 * 24), (3, 1, 261)]);
    }

    #[test]
    fn rows_out_of_order_are_no_candles() {
        let mut tally = Tally::new(hour());
        tally.opens(&[0, HOUR, HOUR, 2 * HOUR, HOUR, 5 * HOUR]);
        // Statistics that reach back say nothing of what is between.
        assert!(!tally.is_run((5 * HOUR, 6 * HOUR), 2) && tally.is_run((6 * HOUR, 7 * HOUR), 2));
        assert!(!tally.is_run((6 * HOUR, 7 * HOUR + 1), 2) && !tally.is_run((6 * HOUR, 8 * HOUR), 2));
        assert!(!tally.is_run((i64::MAX - 1, i64::MAX), 2) && !tally.is_run((6 * HOUR, i64::MIN), 2));
        let coverage = tally.finish("X");
        assert_eq!((coverage.present, coverage.disordered, coverage.gaps), (4, 2, 1));
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

        /// Whatever the statistics of row groups spare, the answer is that of counting one by one.
        #[test]
        fn statistics_and_counting_agree(
            steps in prop::collection::vec(prop_oneof![12 => Just(1_i64), 1 => 2..40_i64], 1..400),
            group in 1..60_usize,
        ) {
            let opens: Vec<i64> = steps.iter().scan(START, |at, step| { *at += step * HOUR; Some(*at) }).collect();
            let (_dir, dataset) = dataset(&opens, group);
            let found = dataset.coverage("X", hour()).unwrap();
            prop_assert_eq!(found.present, opens.len() as u64);
            prop_assert_eq!(found.expected, ((opens[opens.len() - 1] - opens[0]) / HOUR + 1) as u64);
            prop_assert_eq!(found.gaps, steps[1..].iter().filter(|step| **step > 1).count() as u64);
            let longest = steps[1..].iter().max().filter(|step| **step > 1).map(|step| *step as u64 - 1);
            prop_assert_eq!(found.longest.map(|gap| gap.candles), longest);
            for month in &found.months {
                let inside = opens.iter().filter(|open| month_of(**open) == Some((month.year, month.month)));
                prop_assert_eq!(month.present, inside.count() as u64);
            }
            prop_assert_eq!(found.months.iter().map(|m| m.expected).sum::<u64>(), found.expected);
        }
    }
}
