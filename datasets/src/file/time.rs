//! Timestamps as people and vendors write them.

/// UTC milliseconds of a whole number since the epoch, its unit by magnitude: below 10^11 seconds (until the year 5138),
/// below 10^14 milliseconds, below 10^17 microseconds, else nanoseconds. The message has no subject.
pub(crate) fn epoch_ms(value: i64) -> Result<i64, String> {
    let per_ms = match value.unsigned_abs() {
        // `20240131` would pass as a day in August 1970.
        19_000_101..=21_001_231 => {
            return Err("may be a date without dashes or seconds since 1970: write 2024-01-31".to_owned());
        }
        0..100_000_000_000 => return Ok(value * 1000),
        100_000_000_000..100_000_000_000_000 => return Ok(value),
        100_000_000_000_000..100_000_000_000_000_000 => 1000,
        _ => 1_000_000,
    };
    if value % per_ms != 0 {
        return Err("has a fraction of a millisecond".to_owned());
    }
    Ok(value / per_ms)
}

/// UTC milliseconds of a text: a whole number since the epoch, or ISO 8601 with `T` or a space between date and time,
/// perhaps a fraction, and `Z`, an offset or nothing (UTC) at the end. The message has no subject.
pub(crate) fn parse_ms(text: &str) -> Result<i64, String> {
    if text.is_empty() {
        return Err("is empty".to_owned());
    }
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    if unsigned.bytes().all(|b| b.is_ascii_digit()) {
        return text.parse().map_err(|_| "is out of range".to_owned()).and_then(epoch_ms);
    }
    // pandas writes an index of whole numbers as floats now and then.
    if let Some((whole, zeros)) = unsigned.split_once('.')
        && !whole.is_empty()
        && whole.bytes().all(|b| b.is_ascii_digit())
        && zeros.bytes().all(|b| b == b'0')
    {
        let sign = if unsigned.len() < text.len() { "-" } else { "" };
        return parse_ms(&format!("{sign}{whole}"));
    }
    let not = || {
        "is not a time that is understood: write ISO 8601, as in 2024-01-31T15:00:00Z, or milliseconds since 1970"
            .to_owned()
    };
    // Only the extended format: the parser below would also take `20240131T15`, or a zone in brackets.
    let day = text.as_bytes().get(..10).ok_or_else(not)?;
    let dashed = day[4] == b'-' && day[7] == b'-';
    if !dashed || text.contains('[') || !matches!(text.as_bytes().get(10), None | Some(b'T' | b't' | b' ')) {
        return Err(not());
    }
    let nanos = match text.parse::<jiff::Timestamp>() {
        Ok(at) => at.as_nanosecond(),
        Err(_) => text
            .parse::<jiff::civil::DateTime>()
            .and_then(|at| at.to_zoned(jiff::tz::TimeZone::UTC))
            .map_err(|_| not())?
            .timestamp()
            .as_nanosecond(),
    };
    if nanos % 1_000_000 != 0 {
        return Err("has a fraction of a millisecond".to_owned());
    }
    i64::try_from(nanos / 1_000_000).map_err(|_| "is out of range".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

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
            "2018-01-10 04:55:00.000000",
            "2018-01-10T05:55:00.000+01:00",
        ] {
            assert_eq!(parse_ms(text), Ok(ms), "{text}");
        }
        assert_eq!(parse_ms("2018-01-10"), Ok(ms - (4 * 60 + 55) * 60_000));
        assert_eq!(parse_ms("0"), Ok(0));
        assert_eq!(parse_ms("-60"), Ok(-60_000));
    }

    #[test]
    fn other_times_are_refused() {
        for text in [
            "",
            "x",
            "10/01/2018",
            "2018-13-01",
            "20180110",
            "20180110T0455",
            "2018-01-10 04:55 PM",
            "2018-01-10T04:55:00.0005Z",
            "1515560100000001",
            "99999999999999999999",
            "1.5",
            "2018-01-10T25:00:00Z",
            "2018-01-10T04:55:00+00:00[Europe/Berlin]",
            "é018-01-10",
            "--5",
            "4:55",
        ] {
            assert!(parse_ms(text).is_err(), "{text}: {:?}", parse_ms(text));
        }
    }
}
