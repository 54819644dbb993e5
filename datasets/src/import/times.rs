//! What format the times of a file have, by samples of a column.

use super::number::is_missing;
use super::time::{DateOrder, TimeFormat, TimeUnit, civil, clock, epoch};

/// What a column of times holds.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Content {
    /// A moment, or a day.
    Time { format: TimeFormat, has_clock: bool },
    /// A time of day without a day.
    Clock,
    /// `01/02/2022`: no sample tells day from month.
    DayOrMonth { separator: u8, has_clock: bool },
    /// `20240131`: a day, or seconds.
    Compact,
    /// No time that is understood.
    Other,
}

/// What samples hold, by the first and, for the order of day and month, all of them.
pub(crate) fn content<'a>(samples: impl Iterator<Item = &'a str> + Clone) -> Content {
    let mut samples = samples.filter(|text| !is_missing(text));
    let Some(first) = samples.clone().next() else { return Content::Other };
    if let Some(value) = epoch(first) {
        if (19_000_101..=21_001_231).contains(&value) {
            return Content::Compact;
        }
        // Zero is in every unit; the next one tells.
        let telling = samples.filter_map(epoch).find(|value| *value != 0).unwrap_or(value);
        return Content::Time { format: TimeFormat::Epoch(TimeUnit::of(telling)), has_clock: true };
    }
    if first.contains(':') && clock(first.as_bytes()).is_some() {
        return Content::Clock;
    }
    let Some(separator) = first.bytes().find(|b| !b.is_ascii_digit()) else { return Content::Other };
    if !matches!(separator, b'-' | b'/' | b'.') {
        return Content::Other;
    }
    let has_clock = first.contains(':') || first.contains(['M', 'm']);
    let time = |order| Content::Time { format: TimeFormat::Civil { order, separator }, has_clock };
    if first.bytes().position(|b| b == separator) == Some(4) {
        let fits = civil(first, DateOrder::YearFirst, separator).is_some();
        return if fits { time(DateOrder::YearFirst) } else { Content::Other };
    }
    if separator == b'.' {
        let fits = civil(first, DateOrder::DayFirst, separator).is_some();
        return if fits { time(DateOrder::DayFirst) } else { Content::Other };
    }
    match samples.find_map(|text| order(text, separator)) {
        Some(order) => time(order),
        None if civil(first, DateOrder::DayFirst, separator).is_some() => {
            Content::DayOrMonth { separator, has_clock }
        }
        None => Content::Other,
    }
}

/// The order of day and month, when one of the two is above 12.
pub(crate) fn order(text: &str, separator: u8) -> Option<DateOrder> {
    let day_first = civil(text, DateOrder::DayFirst, separator).is_some();
    let month_first = civil(text, DateOrder::MonthFirst, separator).is_some();
    match (day_first, month_first) {
        (true, false) => Some(DateOrder::DayFirst),
        (false, true) => Some(DateOrder::MonthFirst),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::time::{TimeProblem, TimeReader};

    fn reader(samples: &[&str]) -> Option<TimeReader> {
        let Content::Time { format, .. } = content(samples.iter().copied()) else { return None };
        Some(TimeReader { format, zone: None, by_magnitude: true })
    }

    #[test]
    fn times_are_read_as_they_are_written() {
        // 2018-01-10 04:55:00 UTC
        let ms = 1_515_560_100_000;
        for text in [
            "1515560100",
            "1515560100000",
            "1515560100000000",
            "1515560100000000000",
            "1515560100.0",
            "2018-01-10 04:55:00+00:00",
            "2018-01-10 04:55:00",
            "2018-01-10T04:55:00Z",
            "2018-01-10T04:55Z",
            "2018-01-10 04:55",
            "2018-01-10 04:55 UTC",
            "2018-01-10 04:55:00.000000",
            "2018-01-10T05:55:00.000+01:00",
            "2018-01-10T05:55:00+0100",
            "2018/01/10 04:55:00",
            "2018.01.10 04:55",
            "10.01.2018 04:55:00",
            "2018-01-10 04:55:00 AM",
        ] {
            let read = reader(&[text]).unwrap_or_else(|| panic!("{text}"));
            assert_eq!(read.read(text), Ok(ms), "{text}");
        }
        let day = reader(&["2018-01-10"]).unwrap().read("2018-01-10");
        assert_eq!(day, Ok(ms - (4 * 60 + 55) * 60_000));
        let pm = reader(&["2018-01-10 04-PM"]).unwrap().read("2018-01-10 04-PM");
        assert_eq!(pm, Ok(ms + (11 * 60 + 5) * 60_000));
        assert_eq!(reader(&["0"]).unwrap().read("0"), Ok(0));
        assert_eq!(reader(&["-60"]).unwrap().read("-60"), Ok(-60_000));
        for (text, order) in
            [("13/01/2018 04:55", DateOrder::DayFirst), ("01/13/2018 04:55", DateOrder::MonthFirst)]
        {
            let read = reader(&["01/02/2018 00:00", text]).unwrap();
            assert_eq!(read.format, TimeFormat::Civil { order, separator: b'/' });
            assert_eq!(read.read(text), Ok(ms + 3 * 86_400_000), "{text}");
        }
        assert_eq!(content(["04:55"].into_iter()), Content::Clock);
    }

    #[test]
    fn other_times_are_refused() {
        for text in [
            "",
            "x",
            "20180110",
            "20180110T0455",
            "2018-13-01",
            "1.5",
            "é018-01-10",
            "--5",
            "4:5:6:7",
            "10/01/2018",
            "10/01/18",
            "2018-01-10T04:55:00+00:00[Europe/Berlin]",
            "2018-01-10T25:00:00Z",
            "99999999999999999999",
        ] {
            assert!(reader(&[text]).is_none(), "{text}");
        }
        let strict = |first: &str, then: &str| reader(&[first]).unwrap().read(then).unwrap_err();
        assert_eq!(strict("1515560100", "1515560100000"), TimeProblem::OtherUnit(TimeUnit::Millis));
        for (first, then) in [
            ("2018-01-10", "10.01.2018"),
            ("2018-01-10", "1515560100"),
            ("1515560100", "2018-01-10"),
            ("2018-01-10T04:55:00Z", "2018-01-10T04:55:00.0005Z"),
            ("1515560100000000", "1515560100000001"),
        ] {
            assert!(matches!(strict(first, then), TimeProblem::Other(_)), "{then}");
        }
    }
}
