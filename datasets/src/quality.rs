//! Checks of candles: what is no candle, what is missing, and what looks like a fault of the feed.
//!
//! A [`Checker`] sees every row once, in batches of any size, and keeps a bounded state: counts, histograms, the few
//! worst examples. What it finds is a [`Report`] of [`Finding`]s, each a violation or a note by its [`Thresholds`].
//! `docs/candles.md` says what is checked and why the limits are what they are.

mod finding;
mod histogram;
mod moves;
mod row;
mod runs;
mod stale;
#[cfg(test)]
mod tests;
mod thresholds;
mod worst;

use std::collections::BTreeMap;

use blockgrid_engine::candles::{Candles, RawCandles};
use blockgrid_engine::interval::Interval;

pub use finding::{Example, Finding, Kind, Report, Severity};
pub use stale::add_stale;
pub use thresholds::Thresholds;

use finding::Found;
use moves::Moves;
use row::Row;
use runs::Runs;
use worst::{Occurrences, Worst};

/// Checks the candles of one symbol and interval, batch by batch.
#[derive(Debug)]
pub struct Checker {
    symbol: String,
    interval: Interval,
    limits: Thresholds,
    rows: u64,
    candles: u64,
    first: Option<i64>,
    last: Option<Row>,
    bad: BTreeMap<Kind, Occurrences>,
    worst_gaps: Worst,
    gap_count: u64,
    missing: u64,
    long_gaps: u64,
    first_gap: Option<i64>,
    frozen: Runs,
    zero_volume: Runs,
    moves: Moves,
}

impl Checker {
    /// A checker that has seen nothing yet.
    pub fn new(symbol: impl Into<String>, interval: Interval, limits: Thresholds) -> Self {
        Self {
            symbol: symbol.into(),
            interval,
            rows: 0,
            candles: 0,
            first: None,
            last: None,
            bad: BTreeMap::new(),
            worst_gaps: Worst::default(),
            gap_count: 0,
            missing: 0,
            long_gaps: 0,
            first_gap: None,
            frozen: Runs::new(limits.frozen_bars, limits.note_bars),
            zero_volume: Runs::new(limits.zero_volume_bars, limits.note_bars),
            moves: Moves::default(),
            limits,
        }
    }

    /// Checks the next rows as they came. `keep` hears the index of every row that is a candle: those rows together
    /// are what [`Candles::new`] takes. Columns of unequal length count as far as the shortest goes.
    pub fn push(&mut self, batch: &RawCandles, mut keep: impl FnMut(usize)) {
        let RawCandles { timestamp, open, high, low, close, volume } = batch;
        let n = [open, high, low, close, volume].map(Vec::len).into_iter().min().unwrap_or(0);
        for i in 0..n.min(timestamp.len()) {
            let row = Row {
                at: timestamp[i],
                open: open[i],
                high: high[i],
                low: low[i],
                close: close[i],
                volume: volume[i],
            };
            if self.row(row) {
                keep(i);
            }
        }
    }

    /// Checks candles that are known to be such.
    pub fn push_candles(&mut self, candles: &Candles) {
        for (i, &at) in candles.timestamp().iter().enumerate() {
            self.row(Row {
                at,
                open: candles.open()[i],
                high: candles.high()[i],
                low: candles.low()[i],
                close: candles.close()[i],
                volume: candles.volume()[i],
            });
        }
    }

    /// Takes a row in; whether it is a candle.
    fn row(&mut self, row: Row) -> bool {
        self.rows += 1;
        if let Some(kind) = row.fault(self.interval, self.last.as_ref()) {
            let faults = self.bad.entry(kind).or_default();
            faults.add(row.at, || row.describe(kind, self.last.as_ref(), self.interval));
            return false;
        }
        self.candles += 1;
        self.first.get_or_insert(row.at);
        let missing = self.last.map_or(0, |last| (row.at - last.at) / self.interval.millis() - 1);
        // Across a gap nothing is a move of one candle, and no run goes on.
        let before = self.last.filter(|_| missing == 0);
        if missing > 0
            && let Some(last) = self.last
        {
            self.gap(last.at + self.interval.millis(), u64::try_from(missing).unwrap_or(u64::MAX));
        }
        let same = before.is_some_and(|before| row.same_prices(&before));
        self.frozen.step(row.at, same);
        if before.is_none() {
            self.zero_volume.cut();
        }
        self.zero_volume.step(row.at, row.volume == 0.0);
        self.moves.step(&row, before.as_ref());
        self.last = Some(row);
        true
    }

    fn gap(&mut self, at: i64, missing: u64) {
        self.gap_count += 1;
        self.missing = self.missing.saturating_add(missing);
        self.long_gaps += u64::from(missing > self.limits.gap_bars);
        self.first_gap.get_or_insert(at);
        self.worst_gaps.add(missing as f64, at, [missing as f64, 0.0, 0.0, 0.0]);
    }

    /// What was found.
    pub fn finish(mut self) -> Report {
        let mut found: Vec<(Kind, Found)> =
            self.bad.iter().map(|(kind, rows)| (*kind, rows.found())).collect();
        found.extend(self.gaps().map(|found| (Kind::Gap, found)));
        found.extend(self.missing().map(|found| (Kind::Missing, found)));
        found.extend(self.frozen.finish().map(|found| (Kind::Frozen, found)));
        let silent = self.zero_volume.in_runs == self.candles;
        if let Some(mut runs) = self.zero_volume.finish() {
            if silent {
                // A feed that has no volumes at all is known to whoever uses it.
                runs.severity = Severity::Note;
                runs.over = 0;
                runs.threshold.push_str("; told only, because no candle has a volume");
            }
            found.push((Kind::ZeroVolume, runs));
        }
        found.extend(self.moves.findings(&self.limits));
        let mut report = Report {
            rows: self.rows,
            candles: self.candles,
            first: self.first,
            last: self.last.map(|row| row.at),
            gaps: self.gap_count,
            missing: self.missing,
            symbol: self.symbol,
            interval: self.interval,
            findings: Vec::new(),
        };
        report.add(found);
        report
    }

    fn gaps(&self) -> Option<Found> {
        Some(Found {
            severity: Severity::of(self.long_gaps > 0),
            first: self.first_gap?,
            count: self.gap_count,
            bars: self.missing,
            over: self.long_gaps,
            worst: self.worst_gaps.examples(|at, [missing, ..]| Example {
                at,
                bars: missing as u64,
                what: match missing {
                    1.0 => "1 candle missing".to_owned(),
                    _ => format!("{missing} candles missing"),
                },
            }),
            threshold: format!("gaps of more than {} candles", self.limits.gap_bars),
        })
    }

    /// Many small gaps: more is missing than the share allows, and more than one allowed gap explains.
    fn missing(&self) -> Option<Found> {
        let limits = &self.limits;
        let expected = self.candles.saturating_add(self.missing);
        let share = self.missing as f64 / expected.max(1) as f64;
        let over = share > limits.missing_share && self.missing > limits.gap_bars;
        let at = self.first_gap.filter(|_| over)?;
        let what = format!("{} of {expected} candles missing ({:.2}%)", self.missing, share * 100.0);
        Some(Found {
            severity: Severity::Violation,
            first: at,
            count: 1,
            bars: self.missing,
            over: 1,
            worst: vec![Example { at, bars: self.missing, what }],
            threshold: format!(
                "more than {}% missing, and more than {} candles",
                limits.missing_share * 100.0,
                limits.gap_bars
            ),
        })
    }
}
