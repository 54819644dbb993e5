//! Series that end early.

use std::collections::BTreeMap;

use blockgrid_engine::interval::Interval;

use super::finding::Found;
use super::{Example, Kind, Report, Severity, Thresholds};
use crate::error::iso;

/// Adds a finding to every report whose series ends long before the others of its interval (a note: it may have been
/// delisted), or long before `now`, a moment in UTC milliseconds (a violation: who gives one wants fresh candles).
pub fn add_stale(reports: &mut [Report], now: Option<i64>, limits: impl Fn(Interval) -> Thresholds) {
    let mut newest: BTreeMap<Interval, i64> = BTreeMap::new();
    for (interval, last) in reports.iter().filter_map(|report| Some((report.interval, report.last?))) {
        let newest = newest.entry(interval).or_insert(last);
        *newest = last.max(*newest);
    }
    for report in reports.iter_mut() {
        let (Some(last), step) = (report.last, report.interval.millis()) else { continue };
        let limit = limits(report.interval).stale_bars;
        // The candle that holds `now` is not closed yet.
        let ends = [
            (now.map(|now| report.interval.open_of(now) - step), Severity::Violation, "now"),
            (newest.get(&report.interval).copied(), Severity::Note, "the others"),
        ];
        let late = ends.into_iter().find_map(|(end, severity, than)| {
            let end = end?;
            let bars = u64::try_from((end - last) / step).unwrap_or(0);
            (bars > limit).then_some((bars, severity, than, end))
        });
        let Some((bars, severity, than, end)) = late else { continue };
        let found = Found {
            severity,
            first: last,
            count: 1,
            bars,
            over: u64::from(severity == Severity::Violation),
            worst: vec![Example {
                at: last,
                bars,
                what: format!("is the last candle, {bars} before {} ({than})", iso(end)),
            }],
            threshold: format!("more than {limit} candles behind {than}"),
        };
        report.add([(Kind::Stale, found)]);
    }
}
