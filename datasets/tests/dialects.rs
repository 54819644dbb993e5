//! Candles that are written in every dialect there is a reader for come back equal.
#![allow(clippy::unwrap_used, reason = "helpers of tests panic where the test fails")]

#[path = "dialects/tables.rs"]
mod tables;
#[path = "dialects/texts.rs"]
mod texts;

use blockgrid_datasets::import::{ImportOptions, detect, read_bytes};
use blockgrid_engine::candles::{Candles, RawCandles};
use blockgrid_engine::interval::Interval;
use proptest::prelude::*;

/// A file: its name and bytes.
type File = (String, Vec<u8>);

/// A dialect: what it is called here, and how it writes candles.
type Dialect = (&'static str, fn(&Candles) -> File);

/// Candles with decimals of up to eight places, some gaps, and a first candle that tells open from low.
fn candles() -> impl Strategy<Value = Candles> {
    let row = (0_i64..5_000, 0_i64..5_000, 0_i64..5_000, 0_i64..5_000, 0_i64..100_000_000, 0_u8..10);
    let intervals = prop::sample::select(vec!["1m", "5m", "1h", "4h", "1d"]);
    // A day of the month above 12 tells it from the month.
    let start = (0_i64..130).prop_map(|month| 1_421_107_200_000 + month * 2_629_800_000);
    (prop::collection::vec(row, 5..80), intervals, start, 0_i32..=8, 1_000_i64..3_000_000).prop_map(
        |(rows, interval, start, places, base)| {
            let interval: Interval = interval.parse().unwrap();
            let scale = 10_f64.powi(places);
            let mut raw = RawCandles::default();
            let mut at = thirteenth(start);
            let mut gaps = rows.len() / 4;
            for (i, (open, close, up, down, volume, gap)) in rows.into_iter().enumerate() {
                let (open, close) = (base + open, base + close);
                let (high, low) = (open.max(close) + up, (open.min(close) - down).max(1));
                let low = if i == 0 { low.min(open - 1) } else { low };
                raw.timestamp.push(at);
                for (column, value) in [
                    (&mut raw.open, open),
                    (&mut raw.high, high),
                    (&mut raw.low, low),
                    (&mut raw.close, close),
                ] {
                    column.push(value as f64 / scale);
                }
                raw.volume.push(volume as f64 / 1e4);
                let gap = gap == 0 && i > 1 && gaps > 0;
                gaps -= usize::from(gap);
                at += interval.millis() * if gap { 4 } else { 1 };
            }
            Candles::new(interval, raw).unwrap()
        },
    )
}

/// Midnight of the 13th of the month of a moment.
fn thirteenth(ms: i64) -> i64 {
    let date = jiff::Timestamp::from_millisecond(ms).unwrap().to_zoned(jiff::tz::TimeZone::UTC).date();
    let day = jiff::civil::date(date.year(), date.month(), 13);
    day.to_zoned(jiff::tz::TimeZone::UTC).unwrap().timestamp().as_millisecond()
}

fn check(dialects: &[Dialect], candles: &Candles) -> Result<(), TestCaseError> {
    for (dialect, write) in dialects {
        let (name, bytes) = write(candles);
        let found = match read_bytes(&bytes, &name, &ImportOptions::default()) {
            Ok(found) => found,
            Err(error) => {
                let text = String::from_utf8_lossy(&bytes[..bytes.len().min(400)]).into_owned();
                return Err(TestCaseError::fail(format!("{dialect}: {error}\n{text}")));
            }
        };
        let plain = found.candles.clone().with_columns(Vec::new()).unwrap();
        prop_assert_eq!(&plain, candles, "{}", dialect);
        prop_assert_eq!(found.symbol.as_str(), "BTC-USDT", "{}", dialect);
        prop_assert_eq!(detect(&bytes, &name).unwrap().columns, found.detected.columns, "{}", dialect);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn texts_are_read_as_they_are_written(candles in candles()) {
        check(texts::DIALECTS, &candles)?;
    }

    #[test]
    fn tables_are_read_as_they_are_written(candles in candles()) {
        check(tables::DIALECTS, &candles)?;
    }

    /// Whatever a file holds, it is read or refused: a cut, a flipped byte, a doubled piece.
    #[test]
    fn damage_never_panics(candles in candles(), which in 0_usize..100, cut in 0_usize..10_000, flip in 1_u8..255) {
        let all: Vec<&Dialect> = texts::DIALECTS.iter().chain(tables::DIALECTS).collect();
        let (name, mut bytes) = all[which % all.len()].1(&candles);
        let at = cut % bytes.len();
        let _ = read_bytes(&bytes[..at], &name, &ImportOptions::default());
        let _ = detect(&bytes[..at], &name);
        bytes[at] ^= flip;
        let _ = read_bytes(&bytes, &name, &ImportOptions::default());
        bytes.extend_from_within(at..);
        let _ = read_bytes(&bytes, &name, &ImportOptions::default());
    }
}
