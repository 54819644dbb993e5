//! The length of a candle.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Milliseconds in a day of 24 hours; crypto trades around the clock.
pub const DAY_MS: i64 = 86_400_000;

/// The length of a candle, a positive number of milliseconds, written `1m`, `4h`, `1d`, `1w`.
///
/// Candles of every interval are anchored in UTC: a candle opens at a multiple of the interval since the epoch, weeks
/// on Monday.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Interval(i64);

/// Why a text is not an interval.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is not an interval: write a whole number and one of s, m, h, d, w that divides a day or is a multiple of it, such as 1m, 15m, 4h, 1d or 1w"
)]
pub struct IntervalError {
    /// The text as given.
    pub text: String,
}

impl Interval {
    /// One day.
    pub const DAY: Interval = Interval(DAY_MS);

    /// An interval of `ms` milliseconds: whole seconds that divide a day, or whole days. `None` for anything else,
    /// because such candles would not line up with days.
    pub fn from_millis(ms: i64) -> Option<Self> {
        let ok = ms >= 1000 && ms % 1000 == 0 && (DAY_MS % ms == 0 || ms % DAY_MS == 0);
        ok.then_some(Interval(ms))
    }

    /// The length in milliseconds.
    pub fn millis(self) -> i64 {
        self.0
    }

    /// How many candles of this interval fill a year of 365 days (the annualisation factor of per-bar statistics).
    pub fn bars_per_year(self) -> f64 {
        (365 * DAY_MS) as f64 / self.0 as f64
    }

    /// How many candles of this interval fill a day, at least one.
    pub fn bars_per_day(self) -> usize {
        usize::try_from((DAY_MS / self.0).max(1)).unwrap_or(1)
    }

    /// The open of the candle that holds the instant `ms` (UTC milliseconds). Weeks and multiples of weeks start on
    /// Monday; everything else counts from the epoch.
    pub fn open_of(self, ms: i64) -> i64 {
        // The epoch was a Thursday: Monday 1969-12-29 lies three days before it.
        let anchor = if self.0 % (7 * DAY_MS) == 0 { -3 * DAY_MS } else { 0 };
        anchor + (ms - anchor).div_euclid(self.0) * self.0
    }

    /// Whether a candle of this interval is made of whole candles of `finer`.
    pub fn is_multiple_of(self, finer: Interval) -> bool {
        self.0 % finer.0 == 0
    }
}

/// The UTC milliseconds of an instant as people write it: RFC 3339, or a date, which is midnight UTC.
pub fn instant_ms(text: &str) -> Option<i64> {
    let instant = text.parse::<jiff::Timestamp>().ok().or_else(|| {
        let date = text.parse::<jiff::civil::Date>().ok().filter(|_| text.len() == "2024-01-01".len())?;
        date.to_zoned(jiff::tz::TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
    });
    instant.map(jiff::Timestamp::as_millisecond)
}

/// A UTC instant in milliseconds as people read it: RFC 3339 without the parts that are zero, such as `2024-01-01` or
/// `2024-01-01 05:30Z`; `-` outside the years a calendar knows.
pub fn short_instant(ms: i64) -> String {
    let Ok(at) = jiff::Timestamp::from_millisecond(ms) else { return "-".to_owned() };
    let text = at.to_string();
    text.strip_suffix("T00:00:00Z").map_or_else(|| text.replace('T', " ").replace(":00Z", "Z"), str::to_owned)
}

impl FromStr for Interval {
    type Err = IntervalError;

    fn from_str(text: &str) -> Result<Self, IntervalError> {
        let error = || IntervalError { text: text.chars().take(40).collect() };
        let unit_at = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(error)?;
        let count: i64 = text[..unit_at].parse().map_err(|_| error())?;
        let unit = match &text[unit_at..] {
            "s" => 1000,
            "m" | "min" => 60_000,
            "h" => 3_600_000,
            "d" => DAY_MS,
            "w" => 7 * DAY_MS,
            _ => return Err(error()),
        };
        count.checked_mul(unit).and_then(Interval::from_millis).ok_or_else(error)
    }
}

impl TryFrom<String> for Interval {
    type Error = IntervalError;

    fn try_from(text: String) -> Result<Self, IntervalError> {
        text.parse()
    }
}

impl From<Interval> for String {
    fn from(interval: Interval) -> String {
        interval.to_string()
    }
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (unit, name) in [(7 * DAY_MS, "w"), (DAY_MS, "d"), (3_600_000, "h"), (60_000, "m")] {
            if self.0 % unit == 0 {
                return write!(f, "{}{name}", self.0 / unit);
            }
        }
        write!(f, "{}s", self.0 / 1000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_read_and_written() {
        for text in ["1s", "1m", "15m", "1h", "4h", "1d", "3d", "1w"] {
            assert_eq!(text.parse::<Interval>().unwrap().to_string(), text);
        }
        for text in ["", "h", "0m", "7m", "25h", "1x", "-1h", "1.5h", "99999999999999999999d"] {
            assert!(text.parse::<Interval>().is_err(), "{text}");
        }
    }

    #[test]
    fn weeks_start_on_monday() {
        let week: Interval = "1w".parse().unwrap();
        // 2024-01-01 was a Monday.
        let monday = 1_704_067_200_000;
        assert_eq!(week.open_of(monday), monday);
        assert_eq!(week.open_of(monday - 1), monday - 7 * DAY_MS);
    }
}
