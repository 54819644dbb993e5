//! Timestamps as people and vendors write them: what format a column has, and reading it strictly.

use blockgrid_engine::interval::DAY_MS;
use jiff::tz::TimeZone;

/// What whole numbers since 1970 count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeUnit {
    /// Seconds.
    Seconds,
    /// Milliseconds.
    Millis,
    /// Microseconds.
    Micros,
    /// Nanoseconds.
    Nanos,
}

impl TimeUnit {
    /// The unit by magnitude: below 10^11 seconds (until the year 5138), below 10^14 milliseconds, below 10^17
    /// microseconds, else nanoseconds.
    pub(crate) fn of(value: i64) -> Self {
        match value.unsigned_abs() {
            0..100_000_000_000 => Self::Seconds,
            100_000_000_000..100_000_000_000_000 => Self::Millis,
            100_000_000_000_000..100_000_000_000_000_000 => Self::Micros,
            _ => Self::Nanos,
        }
    }

    /// UTC milliseconds; the message has no subject.
    pub(crate) fn millis(self, value: i64) -> Result<i64, String> {
        let per_ms = match self {
            Self::Seconds => return value.checked_mul(1000).ok_or_else(|| "is out of range".to_owned()),
            Self::Millis => return Ok(value),
            Self::Micros => 1000,
            Self::Nanos => 1_000_000,
        };
        if value % per_ms != 0 {
            return Err("has a fraction of a millisecond".to_owned());
        }
        Ok(value / per_ms)
    }
}

/// UTC milliseconds of a whole number since the epoch, its unit by magnitude. The message has no subject.
pub(crate) fn epoch_ms(value: i64) -> Result<i64, String> {
    // `20240131` would pass as a day in August 1970.
    if (19_000_101..=21_001_231).contains(&value) {
        return Err("may be a date without dashes or seconds since 1970: write 2024-01-31".to_owned());
    }
    TimeUnit::of(value).millis(value)
}

impl std::fmt::Display for TimeUnit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Seconds => "seconds",
            Self::Millis => "milliseconds",
            Self::Micros => "microseconds",
            Self::Nanos => "nanoseconds",
        })
    }
}

/// The order of day, month and year.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DateOrder {
    /// 2024-01-31.
    YearFirst,
    /// 31.01.2024.
    DayFirst,
    /// 01/31/2024.
    MonthFirst,
}

/// How a file writes its times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TimeFormat {
    /// Whole numbers since 1970.
    Epoch(TimeUnit),
    /// Date and time of day in words of digits.
    Civil {
        /// The order of the date.
        order: DateOrder,
        /// Between day, month and year.
        separator: u8,
    },
    /// As `--time-format` says (strftime).
    Pattern(String),
}

impl std::fmt::Display for TimeFormat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Epoch(unit) => write!(f, "{unit} since 1970"),
            Self::Civil { order, separator } => {
                let s = char::from(*separator);
                match order {
                    DateOrder::YearFirst if s == '-' => f.write_str("ISO 8601 (YYYY-MM-DD)"),
                    DateOrder::YearFirst => write!(f, "YYYY{s}MM{s}DD"),
                    DateOrder::DayFirst => write!(f, "DD{s}MM{s}YYYY"),
                    DateOrder::MonthFirst => write!(f, "MM{s}DD{s}YYYY"),
                }
            }
            Self::Pattern(pattern) => f.write_str(pattern),
        }
    }
}

/// Why a text is no time in the format of its file. The text of each has no subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TimeProblem {
    /// It is in another unit than the file's.
    OtherUnit(TimeUnit),
    /// Anything else.
    Other(String),
}

/// Reads the times of one file.
#[derive(Debug, Clone)]
pub(crate) struct TimeReader {
    pub(crate) format: TimeFormat,
    /// The zone of times without an offset.
    pub(crate) zone: Option<TimeZone>,
    /// Whether the unit was told apart by magnitude, so that each value is checked.
    pub(crate) by_magnitude: bool,
}

impl TimeReader {
    /// UTC milliseconds of a text.
    pub(crate) fn read(&self, text: &str) -> Result<i64, TimeProblem> {
        if text.is_empty() {
            return Err(TimeProblem::Other("is empty, but every candle needs a time".to_owned()));
        }
        match &self.format {
            TimeFormat::Epoch(unit) => {
                let value = epoch(text).ok_or_else(|| not(&self.format))?;
                self.epoch(*unit, value)
            }
            TimeFormat::Civil { order, separator } => {
                let parts = civil(text, *order, *separator).ok_or_else(|| not(&self.format))?;
                self.place(parts)
            }
            TimeFormat::Pattern(pattern) => self.pattern(pattern, text),
        }
    }

    /// UTC milliseconds of a whole number in a unit.
    pub(crate) fn epoch(&self, unit: TimeUnit, value: i64) -> Result<i64, TimeProblem> {
        // Zero and its neighbours look like seconds in every unit.
        if self.by_magnitude && TimeUnit::of(value) != unit && value != 0 {
            return Err(TimeProblem::OtherUnit(TimeUnit::of(value)));
        }
        unit.millis(value).map_err(TimeProblem::Other)
    }

    fn place(&self, (local_ms, offset_ms): (i64, Option<i64>)) -> Result<i64, TimeProblem> {
        let Some(zone) = &self.zone else { return Ok(local_ms - offset_ms.unwrap_or(0)) };
        if let Some(offset) = offset_ms {
            return Ok(local_ms - offset);
        }
        let unknown = |_| TimeProblem::Other("is out of range".to_owned());
        let civil = jiff::Timestamp::from_millisecond(local_ms).map_err(unknown)?;
        let civil = TimeZone::UTC.to_datetime(civil);
        let at = zone.to_ambiguous_zoned(civil).unambiguous().map_err(|_| {
            TimeProblem::Other(
                "happens twice or never in the zone, because clocks change: use a file with times in UTC"
                    .to_owned(),
            )
        })?;
        Ok(at.timestamp().as_millisecond())
    }

    fn pattern(&self, pattern: &str, text: &str) -> Result<i64, TimeProblem> {
        let other = |message: String| TimeProblem::Other(message);
        let parsed = jiff::fmt::strtime::parse(pattern, text)
            .map_err(|e| other(format!("does not fit --time-format `{pattern}`: {e}")))?;
        let nanos = if let Ok(at) = parsed.to_timestamp() {
            at.as_nanosecond()
        } else {
            let civil = parsed
                .to_datetime()
                .or_else(|_| parsed.to_date().map(|date| date.at(0, 0, 0, 0)))
                .map_err(|e| other(format!("is no moment by --time-format `{pattern}`: {e}")))?;
            let at = TimeZone::UTC
                .to_timestamp(civil)
                .map_err(|e| other(format!("is out of range: {e}")))?
                .as_nanosecond();
            let ms = self.place((whole_ms(at)?, None))?;
            return Ok(ms);
        };
        whole_ms(nanos)
    }
}

fn whole_ms(nanos: i128) -> Result<i64, TimeProblem> {
    if nanos % 1_000_000 != 0 {
        return Err(TimeProblem::Other("has a fraction of a millisecond".to_owned()));
    }
    i64::try_from(nanos / 1_000_000).map_err(|_| TimeProblem::Other("is out of range".to_owned()))
}

fn not(format: &TimeFormat) -> TimeProblem {
    TimeProblem::Other(format!(
        "is not a time like those before it ({format}): mend it, or give --time-format"
    ))
}

/// A whole number, perhaps with `.0` behind it: pandas writes whole numbers as floats now and then.
pub(crate) fn epoch(text: &str) -> Option<i64> {
    let whole = match text.split_once('.') {
        Some((whole, zeros)) if !zeros.is_empty() && zeros.bytes().all(|b| b == b'0') => whole,
        Some(_) => return None,
        None => text,
    };
    if whole.starts_with('+') { None } else { whole.parse().ok() }
}

/// Milliseconds of the civil time since 1970, and the offset in milliseconds where one is written.
pub(crate) fn civil(text: &str, order: DateOrder, separator: u8) -> Option<(i64, Option<i64>)> {
    let mut rest = text.as_bytes();
    let a = digits(&mut rest)?;
    sign(&mut rest, separator)?;
    let b = digits(&mut rest)?;
    sign(&mut rest, separator)?;
    let c = digits(&mut rest)?;
    let (year, month, day) = match order {
        DateOrder::YearFirst => (a, b, c),
        DateOrder::DayFirst => (c, b, a),
        DateOrder::MonthFirst => (c, a, b),
    };
    let (year_len, month, day) = (year.1, month, day);
    if year_len != 4 || month.1 > 2 || day.1 > 2 {
        return None;
    }
    let date = jiff::civil::Date::new(
        i16::try_from(year.0).ok()?,
        i8::try_from(month.0).ok()?,
        i8::try_from(day.0).ok()?,
    )
    .ok()?;
    let days = days_from_civil(i64::from(date.year()), i64::from(date.month()), i64::from(date.day()));
    let (time, offset) = time_of_day(rest)?;
    Some((days * DAY_MS + time, offset))
}

/// What stands behind the date: nothing, or a time of day, perhaps with AM or PM and an offset.
fn time_of_day(mut rest: &[u8]) -> Option<(i64, Option<i64>)> {
    if rest.is_empty() {
        return Some((0, None));
    }
    if !matches!(rest[0], b'T' | b't' | b' ' | b',') {
        return None;
    }
    rest = rest[1..].trim_ascii_start();
    clock(rest)
}

/// `15:00`, `15:00:00.000`, `03:00 PM`, `03-PM`, then `Z`, `UTC` or an offset.
pub(crate) fn clock(mut rest: &[u8]) -> Option<(i64, Option<i64>)> {
    let (mut hour, len) = digits(&mut rest)?;
    if len > 2 {
        return None;
    }
    let (mut minute, mut second, mut ms) = (0, 0, 0);
    let mut only_hour = true;
    if rest.first() == Some(&b':') {
        only_hour = false;
        minute = two(&mut rest, b':')?;
        if rest.first() == Some(&b':') {
            second = two(&mut rest, b':')?;
            if matches!(rest.first(), Some(b'.' | b',')) {
                rest = &rest[1..];
                ms = fraction(&mut rest)?;
            }
        }
    }
    let word = rest.trim_ascii_start();
    let word = if only_hour { word.strip_prefix(b"-").unwrap_or(word) } else { word };
    let half = word.get(..2).map(<[u8]>::to_ascii_uppercase);
    match half.as_deref() {
        Some(half @ (b"AM" | b"PM")) if (1..=12).contains(&hour) => {
            hour = hour % 12 + if half == b"PM" { 12 } else { 0 };
            rest = &word[2..];
        }
        _ if only_hour => return None,
        _ => {}
    }
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let time = ((hour * 60 + minute) * 60 + second) * 1000 + ms;
    Some((time, offset(rest.trim_ascii_start())?))
}

/// Nothing, `Z`, `UTC`, `GMT`, or an offset such as +01:00.
fn offset(rest: &[u8]) -> Option<Option<i64>> {
    if rest.is_empty() {
        return Some(None);
    }
    if [&b"Z"[..], b"UTC", b"GMT"].iter().any(|word| rest.eq_ignore_ascii_case(word)) {
        return Some(Some(0));
    }
    let negative = match rest[0] {
        b'+' => false,
        b'-' => true,
        _ => return None,
    };
    let mut rest = &rest[1..];
    let (value, len) = digits(&mut rest)?;
    let (hours, minutes) = match (len, rest) {
        (2, []) => (value, 0),
        (4, []) => (value / 100, value % 100),
        (2, [b':', ..]) => {
            let minutes = two(&mut rest, b':')?;
            if !rest.is_empty() {
                return None;
            }
            (value, minutes)
        }
        _ => return None,
    };
    if hours > 14 || minutes > 59 {
        return None;
    }
    let ms = (hours * 60 + minutes) * 60_000;
    Some(Some(if negative { -ms } else { ms }))
}

/// A run of one to nine digits: its value and length.
fn digits(rest: &mut &[u8]) -> Option<(i64, usize)> {
    let len = rest.iter().take_while(|b| b.is_ascii_digit()).count();
    if len == 0 || len > 9 {
        return None;
    }
    let value = rest[..len].iter().fold(0, |value, b| value * 10 + i64::from(b - b'0'));
    *rest = &rest[len..];
    Some((value, len))
}

fn sign(rest: &mut &[u8], sign: u8) -> Option<()> {
    *rest = rest.strip_prefix(&[sign])?;
    Some(())
}

fn two(rest: &mut &[u8], before: u8) -> Option<i64> {
    sign(rest, before)?;
    digits(rest).filter(|(_, len)| *len == 2).map(|(value, _)| value)
}

/// Milliseconds of a fraction of a second; `None` when it is finer than that.
fn fraction(rest: &mut &[u8]) -> Option<i64> {
    let len = rest.iter().take_while(|b| b.is_ascii_digit()).count();
    let (digits, after) = rest.split_at(len);
    *rest = after;
    if len == 0 || digits.iter().skip(3).any(|b| *b != b'0') {
        return None;
    }
    let digit = |i: usize| digits.get(i).map_or(0, |b| i64::from(b - b'0'));
    Some(digit(0) * 100 + digit(1) * 10 + digit(2))
}

/// Days since 1970 of a date. Howard Hinnant, https://howardhinnant.github.io/date_algorithms.html#days_from_civil
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}
