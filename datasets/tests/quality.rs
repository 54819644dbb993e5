//! Checks of candles: a clean series has no violation, a planted fault is found exactly where it is.
#![allow(clippy::unwrap_used, reason = "tests panic where they fail")]

use blockgrid_datasets::quality::{Checker, Kind, Report, Thresholds};
use blockgrid_engine::candles::{Candles, RawCandles};
use blockgrid_engine::interval::Interval;
use proptest::prelude::*;

const INTERVALS: [&str; 5] = ["1s", "1m", "5m", "1h", "1d"];
const ROWS: usize = 1500;

/// A random walk with small steps from a seed (a 64-bit LCG), no gap, no repeat.
fn walk(interval: Interval, seed: u64, rows: usize) -> RawCandles {
    let mut state = seed;
    let mut uniform = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1_u64 << 53) as f64
    };
    let mut raw = RawCandles::default();
    let mut close = 10.0;
    for i in 0..rows {
        let open: f64 = close;
        // Drawn back to where it began, so that a long walk stays in sight.
        close = open * (1.0 + (uniform() - 0.5) * 0.01 + (10.0 - open) * 1e-4);
        raw.timestamp.push(1_704_067_200_000 + i as i64 * interval.millis());
        raw.open.push(open);
        raw.high.push(open.max(close) * (1.0 + uniform() * 0.005));
        raw.low.push(open.min(close) * (1.0 - uniform() * 0.005));
        raw.close.push(close);
        raw.volume.push(0.1 + uniform());
    }
    raw
}

/// The rows of these numbers.
fn select(raw: &RawCandles, rows: impl Iterator<Item = usize> + Clone) -> RawCandles {
    let column = |values: &[f64]| rows.clone().map(|row| values[row]).collect();
    RawCandles {
        timestamp: rows.clone().map(|row| raw.timestamp[row]).collect(),
        open: column(&raw.open),
        high: column(&raw.high),
        low: column(&raw.low),
        close: column(&raw.close),
        volume: column(&raw.volume),
    }
}

fn checked(interval: Interval, raw: &RawCandles, batch: usize) -> (Report, Vec<usize>) {
    let mut checker = Checker::new("X", interval, Thresholds::of(interval));
    let mut kept = Vec::new();
    for start in (0..raw.timestamp.len()).step_by(batch) {
        let end = (start + batch).min(raw.timestamp.len());
        checker.push(&select(raw, start..end), |row| kept.push(start + row));
    }
    (checker.finish(), kept)
}

/// What can be planted.
#[derive(Debug, Clone, Copy)]
enum Fault {
    NaN,
    Zero,
    Negative,
    Volume,
    HighBelowLow,
    Duplicate,
    Backwards,
    Misaligned,
    Gap,
    BadTick,
    BadWick,
    Frozen,
    ZeroVolume,
}

const FAULTS: [Fault; 13] = [
    Fault::NaN,
    Fault::Zero,
    Fault::Negative,
    Fault::Volume,
    Fault::HighBelowLow,
    Fault::Duplicate,
    Fault::Backwards,
    Fault::Misaligned,
    Fault::Gap,
    Fault::BadTick,
    Fault::BadWick,
    Fault::Frozen,
    Fault::ZeroVolume,
];

/// Plants a fault at a row and says what must be found: the kind, when it begins, how many candles it covers.
fn plant(fault: Fault, interval: Interval, raw: &mut RawCandles, at: usize) -> (Kind, i64, u64) {
    let limits = Thresholds::of(interval);
    let (when, rows, step) = (raw.timestamp[at], raw.timestamp.len(), interval.millis());
    match fault {
        Fault::NaN => raw.high[at] = f64::NAN,
        Fault::Zero => raw.low[at] = 0.0,
        Fault::Negative => raw.open[at] = -raw.open[at],
        Fault::Volume => raw.volume[at] = -1.0,
        Fault::HighBelowLow => raw.high[at] = raw.low[at] * 0.999,
        Fault::Duplicate => raw.timestamp[at] = raw.timestamp[at - 1],
        Fault::Backwards => raw.timestamp[at] = raw.timestamp[at - 3],
        Fault::Misaligned => raw.timestamp[at] += 500,
        Fault::Gap => {
            let missing = limits.gap_bars + 1;
            raw.timestamp[at..].iter_mut().for_each(|t| *t += missing as i64 * step);
            return (Kind::Gap, when, missing);
        }
        Fault::BadTick => {
            raw.close[at] *= 3.0;
            raw.high[at] = raw.close[at];
            return (Kind::BadTick, when, 1);
        }
        Fault::BadWick => {
            raw.low[at] /= 3.0;
            return (Kind::BadWick, when, 1);
        }
        Fault::Frozen => {
            let run = limits.frozen_bars as usize + 1;
            let repeated = |i: usize| if i <= at { i } else { i.saturating_sub(run).max(at) };
            *raw = select(raw, (0..rows + run).map(repeated));
            raw.timestamp = walk(interval, 0, rows + run).timestamp;
            return (Kind::Frozen, when + step, run as u64);
        }
        Fault::ZeroVolume => {
            let run = limits.zero_volume_bars as usize + 1;
            *raw = walk(interval, 1, rows + run);
            raw.volume[at..at + run].fill(0.0);
            return (Kind::ZeroVolume, when, run as u64);
        }
    }
    let kind = match fault {
        Fault::NaN => Kind::NotANumber,
        Fault::Zero | Fault::Negative => Kind::PriceNotPositive,
        Fault::Volume => Kind::VolumeNegative,
        Fault::HighBelowLow => Kind::Ohlc,
        Fault::Duplicate => Kind::Duplicate,
        Fault::Backwards => Kind::OutOfOrder,
        _ => Kind::Misaligned,
    };
    (kind, raw.timestamp[at], 1)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_clean_series_has_no_finding(seed: u64, which in 0..INTERVALS.len()) {
        let interval: Interval = INTERVALS[which].parse().unwrap();
        let (report, kept) = checked(interval, &walk(interval, seed, ROWS), ROWS);
        prop_assert_eq!(report.findings, vec![]);
        prop_assert_eq!(kept.len(), ROWS);
    }

    #[test]
    fn a_planted_fault_is_found_where_it_is(
        seed: u64, which in 0..INTERVALS.len(), fault in 0..FAULTS.len(), at in 10..ROWS - 10,
    ) {
        let interval: Interval = INTERVALS[which].parse().unwrap();
        let mut raw = walk(interval, seed, ROWS);
        let (kind, first, bars) = plant(FAULTS[fault], interval, &mut raw, at);
        let (report, kept) = checked(interval, &raw, 4096);
        let found = report.finding(kind);
        prop_assert!(found.is_some(), "{kind} is not in {:?}", report.findings);
        let found = found.unwrap();
        prop_assert_eq!((found.first, found.count, found.bars, found.over), (first, 1, bars, 1));
        prop_assert_eq!(found.worst.iter().map(|example| example.at).collect::<Vec<_>>(), [first]);
        // Nothing else is a violation but what follows from it: a row that is left out is missing, and of days none may be.
        let mut others = report.violations().map(|found| found.kind).filter(|other| *other != kind);
        let follows = |other: Kind| matches!(other, Kind::Gap | Kind::Missing) && (interval == Interval::DAY || kind == Kind::Gap);
        prop_assert!(others.all(follows), "{:?}", report.findings);
        // What is kept is what candles can be made of.
        prop_assert!(Candles::new(interval, select(&raw, kept.iter().copied())).is_ok());
        prop_assert_eq!(report.bad_rows(), u64::from(kind.is_bad_row()));
    }

    #[test]
    fn how_rows_are_cut_into_batches_changes_nothing(
        seed: u64, faults in prop::collection::vec((0..11_usize, 10..ROWS - 10), 0..20), batch in 1..ROWS,
    ) {
        let interval: Interval = "5m".parse().unwrap();
        let mut raw = walk(interval, seed, ROWS);
        for (fault, at) in faults {
            plant(FAULTS[fault], interval, &mut raw, at);
        }
        let whole = checked(interval, &raw, ROWS);
        prop_assert!(Candles::new(interval, select(&raw, whole.1.iter().copied())).is_ok());
        prop_assert_eq!(checked(interval, &raw, batch), whole);
    }
}
