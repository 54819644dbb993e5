use blockgrid_engine::candles::RawCandles;
use blockgrid_engine::interval::Interval;

use super::{Checker, Kind, Report, Severity, Thresholds, add_stale};

const START: i64 = 1_704_067_200_000;

fn interval(text: &str) -> Interval {
    text.parse().unwrap()
}

/// Candles that move by up to half a percent, the same on every call.
fn candles(interval: Interval, count: usize) -> RawCandles {
    let mut raw = RawCandles::default();
    let mut close = 100.0;
    for i in 0..count {
        let open: f64 = close;
        close = open * (1.0 + (((i * 7919) % 101) as f64 - 50.0) / 10_000.0);
        raw.timestamp.push(START + i as i64 * interval.millis());
        raw.open.push(open);
        raw.high.push(open.max(close) * 1.001);
        raw.low.push(open.min(close) * 0.999);
        raw.close.push(close);
        raw.volume.push(1.0 + (i % 7) as f64);
    }
    raw
}

fn check(symbol: &str, interval: Interval, raw: &RawCandles) -> Report {
    let mut checker = Checker::new(symbol, interval, Thresholds::of(interval));
    checker.push(raw, |_| {});
    checker.finish()
}

fn without(raw: &mut RawCandles, rows: std::ops::Range<usize>) {
    raw.timestamp.drain(rows.clone());
    for column in [&mut raw.open, &mut raw.high, &mut raw.low, &mut raw.close, &mut raw.volume] {
        column.drain(rows.clone());
    }
}

#[test]
fn a_hiccup_is_a_note_and_a_day_is_a_violation() {
    let minute = interval("1m");
    let mut raw = candles(minute, 10_000);
    without(&mut raw, 5000..5001);
    let report = check("X", minute, &raw);
    let gap = report.finding(Kind::Gap).unwrap();
    assert_eq!((gap.severity, gap.count, gap.bars, gap.over), (Severity::Note, 1, 1, 0));
    assert_eq!(gap.first, START + 5000 * 60_000);
    assert_eq!(report.violations().count(), 0);
    without(&mut raw, 6000..6000 + 1440);
    let report = check("X", minute, &raw);
    let gap = report.finding(Kind::Gap).unwrap();
    assert_eq!((gap.severity, gap.count, gap.bars, gap.over), (Severity::Violation, 2, 1441, 1));
    assert_eq!(gap.worst[0].to_string(), "2024-01-05T04:01:00Z: 1440 candles missing");
    assert_eq!(gap.to_string(), "2 x gap (1441 candles), worst 2024-01-05T04:01:00Z: 1440 candles missing");
    assert!(report.finding(Kind::Missing).is_some(), "a seventh is missing");
}

#[test]
fn a_missing_day_is_no_hiccup() {
    let day = Interval::DAY;
    let mut raw = candles(day, 400);
    assert_eq!(check("X", day, &raw).findings, []);
    without(&mut raw, 200..201);
    let report = check("X", day, &raw);
    let kinds: Vec<Kind> = report.violations().map(|finding| finding.kind).collect();
    assert_eq!(kinds, [Kind::Gap, Kind::Missing]);
}

#[test]
fn many_small_gaps_are_a_violation_together() {
    let minute = interval("1m");
    let raw = candles(minute, 50_000);
    let mut thin = RawCandles::default();
    for i in (0..50_000).filter(|i| i % 50 != 0) {
        thin.timestamp.push(raw.timestamp[i]);
        thin.open.push(raw.open[i]);
        thin.high.push(raw.high[i]);
        thin.low.push(raw.low[i]);
        thin.close.push(raw.close[i]);
        thin.volume.push(raw.volume[i]);
    }
    let report = check("X", minute, &thin);
    assert_eq!(report.finding(Kind::Gap).unwrap().severity, Severity::Note);
    let missing = report.finding(Kind::Missing).unwrap();
    assert_eq!((missing.severity, missing.bars), (Severity::Violation, 999));
    assert_eq!(missing.worst[0].what, "999 of 49999 candles missing (2.00%)");
}

#[test]
fn a_crash_is_a_note_and_a_bad_tick_a_violation() {
    let minute = interval("1m");
    let mut raw = candles(minute, 5000);
    // Everything from here on is worth half: a crash that stays.
    for column in [&mut raw.open, &mut raw.high, &mut raw.low, &mut raw.close] {
        column[3000..].iter_mut().for_each(|price| *price *= 0.5);
    }
    let report = check("X", minute, &raw);
    assert_eq!(report.violations().count(), 0);
    let outlier = report.finding(Kind::OutlierReturn).unwrap();
    assert_eq!((outlier.count, outlier.first), (1, raw.timestamp[3000]));

    // One close ten times too high.
    raw.close[1000] *= 10.0;
    raw.high[1000] = raw.close[1000];
    let report = check("X", minute, &raw);
    let tick = report.finding(Kind::BadTick).unwrap();
    assert_eq!((tick.severity, tick.count, tick.first), (Severity::Violation, 1, raw.timestamp[1000]));
    assert!(report.finding(Kind::BadWick).is_none(), "the close is the fault, not the wick");

    // A low a tenth of what it should be, with a close beside the others.
    raw.low[2000] *= 0.1;
    let wick = check("X", minute, &raw).finding(Kind::BadWick).cloned().unwrap();
    assert_eq!((wick.severity, wick.count, wick.first), (Severity::Violation, 1, raw.timestamp[2000]));
}

#[test]
fn a_feed_without_volumes_is_told_and_one_that_dries_up_is_a_violation() {
    let hour = interval("1h");
    let mut raw = candles(hour, 500);
    raw.volume[100..113].fill(0.0);
    let report = check("X", hour, &raw);
    let quiet = report.finding(Kind::ZeroVolume).unwrap();
    assert_eq!((quiet.severity, quiet.count, quiet.bars), (Severity::Violation, 1, 13));
    raw.volume.fill(0.0);
    let report = check("X", hour, &raw);
    let quiet = report.finding(Kind::ZeroVolume).unwrap();
    assert_eq!((quiet.severity, quiet.bars), (Severity::Note, 500));
}

#[test]
fn a_series_that_ends_early_is_stale() {
    let hour = interval("1h");
    let mut reports = ["A", "B"].map(|name| check(name, hour, &candles(hour, 500)));
    add_stale(&mut reports, None, Thresholds::of);
    assert!(reports.iter().all(|report| report.findings.is_empty()));
    let mut reports = [("A", 500), ("B", 475)].map(|(name, count)| check(name, hour, &candles(hour, count)));
    add_stale(&mut reports, None, Thresholds::of);
    let stale = reports[1].finding(Kind::Stale).unwrap();
    assert_eq!((stale.severity, stale.bars), (Severity::Note, 25));
    assert!(reports[0].findings.is_empty());
    let mut reports = [check("A", hour, &candles(hour, 500))];
    add_stale(&mut reports, Some(START + 526 * hour.millis()), Thresholds::of);
    let stale = reports[0].finding(Kind::Stale).unwrap();
    assert_eq!((stale.severity, stale.bars), (Severity::Violation, 26));
}

#[test]
fn numbers_at_the_ends_of_their_range_do_no_harm() {
    let minute = interval("1m");
    let mut raw = candles(minute, 100);
    raw.timestamp[0] = i64::MIN;
    raw.timestamp[99] = i64::MAX;
    raw.high[50] = f64::MAX;
    raw.low[51] = f64::MIN_POSITIVE;
    raw.volume[52] = f64::INFINITY;
    let report = check("X", minute, &raw);
    assert_eq!(report.finding(Kind::Misaligned).unwrap().count, 2);
    assert_eq!(report.finding(Kind::NotANumber).unwrap().first, raw.timestamp[52]);
    assert_eq!(report.finding(Kind::BadWick).unwrap().count, 2);
    assert_eq!(report.candles, 97);
    let empty = Checker::new("X", minute, Thresholds::of(minute)).finish();
    assert_eq!((empty.rows, empty.first, empty.findings), (0, None, vec![]));
}

#[test]
fn the_limits_are_those_of_the_page() {
    let page = include_str!("../../../docs/candles.md");
    let percent = |share: f64| format!("{}%", share * 100.0);
    for name in ["1s", "1m", "5m", "1h", "4h", "1d"] {
        let limits = Thresholds::of(interval(name));
        let row = [
            name.to_owned(),
            limits.gap_bars.to_string(),
            percent(limits.missing_share),
            limits.zero_volume_bars.to_string(),
            limits.frozen_bars.to_string(),
            limits.outlier_z.to_string(),
            limits.tick_z.to_string(),
            percent(limits.tick_move),
            percent(limits.wick_move),
        ];
        let row = format!("| {} |", row.join(" | "));
        assert!(page.contains(&row), "docs/candles.md lacks {row}");
    }
}
