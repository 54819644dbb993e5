//! How the candles of a symbol are cut into files: by UTC year, and by UTC month where a candle is shorter than a minute.

use std::ops::Range;

use blockgrid_engine::interval::{DAY_MS, Interval};

use crate::DatasetError;
use crate::codec::{COLUMNS, TIMESTAMP_NAMES};

/// A year, or a month of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Partition {
    year: i64,
    month: Option<i64>,
}

impl Partition {
    /// The partition of candles of `interval` that holds the moment `ms`.
    pub(crate) fn of(interval: Interval, ms: i64) -> Self {
        let (year, month) = year_and_month(ms);
        Self { year, month: (interval.millis() < 60_000).then_some(month) }
    }

    /// Its folder inside a data set.
    pub(crate) fn folder(self, interval: Interval, symbol: &str) -> String {
        let year = format!("interval={interval}/symbol={symbol}/year={:04}", self.year);
        self.month.map_or_else(|| year.clone(), |month| format!("{year}/month={month:02}"))
    }

    /// Ascending timestamps cut where the partition changes.
    pub(crate) fn cut(interval: Interval, timestamp: &[i64]) -> Vec<(Self, Range<usize>)> {
        let mut parts = Vec::new();
        let mut start = 0;
        while start < timestamp.len() {
            let part = Self::of(interval, timestamp[start]);
            let end = start + timestamp[start..].partition_point(|&t| Self::of(interval, t) == part);
            parts.push((part, start..end));
            start = end;
        }
        parts
    }
}

impl std::fmt::Display for Partition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.month {
            Some(month) => write!(f, "{:04}-{month:02}", self.year),
            None => write!(f, "{:04}", self.year),
        }
    }
}

/// Refuses a symbol that cannot be the name of a folder everywhere.
pub(crate) fn check_symbol(symbol: &str) -> Result<(), DatasetError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if symbol.is_empty() || symbol.starts_with('.') || !symbol.chars().all(plain) {
        return Err(DatasetError::Unwritable {
            message: format!(
                "symbol `{symbol}` cannot be the name of a folder: use letters, digits, `.`, `_` and `-`, as in BTC-USD"
            ),
        });
    }
    Ok(())
}

/// Refuses columns beside OHLCV that no expression could name, or that are there twice.
pub(crate) fn check_columns<S: AsRef<str>>(names: &[S]) -> Result<(), DatasetError> {
    for (i, name) in names.iter().enumerate() {
        let name = name.as_ref();
        let same = |other: &str| other.eq_ignore_ascii_case(name);
        let word = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        let taken = COLUMNS.iter().chain(&TIMESTAMP_NAMES).any(|other| same(other));
        if !word || taken || names[..i].iter().any(|other| same(other.as_ref())) {
            return Err(DatasetError::Unwritable {
                message: format!(
                    "`{name}` cannot be a column beside OHLCV: each needs a name of its own of letters, digits and `_`, as in funding_rate"
                ),
            });
        }
    }
    Ok(())
}

/// The UTC year of a moment, and its month from 1.
fn year_and_month(ms: i64) -> (i64, i64) {
    // Days to civil date, Howard Hinnant, https://howardhinnant.github.io/date_algorithms.html#civil_from_days
    let days = ms.div_euclid(DAY_MS) + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let from_march = (5 * of_year + 2) / 153;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (year + era * 400 + i64::from(month <= 2), month)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn years_and_months_are_those_of_utc() {
        for (text, year, month) in [
            ("2023-12-31T23:59:59.999Z", 2023, 12),
            ("2024-01-01T00:00:00Z", 2024, 1),
            ("2024-02-29T12:00:00Z", 2024, 2),
            ("2024-03-01T00:00:00Z", 2024, 3),
            ("1969-12-31T23:00:00Z", 1969, 12),
            ("2000-12-31T23:00:00Z", 2000, 12),
        ] {
            let at: jiff::Timestamp = text.parse().unwrap();
            assert_eq!(year_and_month(at.as_millisecond()), (year, month), "{text}");
            assert_eq!(crate::error::iso(at.as_millisecond()), text);
        }
    }

    #[test]
    fn seconds_are_cut_by_month() {
        let at = 1_709_251_199_000; // 2024-02-29T23:59:59Z
        let second: Interval = "1s".parse().unwrap();
        let cut = Partition::cut(second, &[at - 1000, at, at + 1000]);
        let folders: Vec<_> =
            cut.iter().map(|(part, range)| (part.folder(second, "X"), range.clone())).collect();
        assert_eq!(
            folders,
            [
                ("interval=1s/symbol=X/year=2024/month=02".to_owned(), 0..2),
                ("interval=1s/symbol=X/year=2024/month=03".to_owned(), 2..3)
            ]
        );
        let minute: Interval = "1m".parse().unwrap();
        assert_eq!(Partition::of(minute, at).folder(minute, "X"), "interval=1m/symbol=X/year=2024");
    }

    #[test]
    fn names_of_columns_can_stand_in_expressions() {
        check_columns(&["funding_rate", "open_interest", "_x1"]).unwrap();
        for bad in [&["open"][..], &["Time"], &["a b"], &[""], &["1x"], &["a", "A"]] {
            assert!(check_columns(bad).is_err(), "{bad:?}");
        }
    }
}
