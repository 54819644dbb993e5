//! Runs of candles that share something: repeated prices, no volume.

use super::finding::Found;
use super::worst::Worst;
use super::{Example, Severity};

/// Counts runs as candles go by.
#[derive(Debug, Clone)]
pub(super) struct Runs {
    limit: u64,
    note: u64,
    start: i64,
    length: u64,
    /// Candles in runs of any length.
    pub(super) in_runs: u64,
    first: Option<i64>,
    count: u64,
    bars: u64,
    over: u64,
    worst: Worst,
}

impl Runs {
    /// Runs longer than `limit` candles are beyond the threshold; runs of at least `note` are told.
    pub(super) fn new(limit: u64, note: u64) -> Self {
        let note = note.min(limit.saturating_add(1));
        Self {
            limit,
            note,
            start: 0,
            length: 0,
            in_runs: 0,
            first: None,
            count: 0,
            bars: 0,
            over: 0,
            worst: Worst::default(),
        }
    }

    pub(super) fn step(&mut self, at: i64, belongs: bool) {
        if !belongs {
            self.cut();
            return;
        }
        if self.length == 0 {
            self.start = at;
        }
        self.length += 1;
        self.in_runs += 1;
    }

    /// Ends the run.
    pub(super) fn cut(&mut self) {
        if self.length > 0 && self.length >= self.note {
            self.first.get_or_insert(self.start);
            self.count += 1;
            self.bars += self.length;
            self.over += u64::from(self.length > self.limit);
            self.worst.add(self.length as f64, self.start, [self.length as f64, 0.0, 0.0, 0.0]);
        }
        self.length = 0;
    }

    /// Ends the last run and gives them all.
    pub(super) fn finish(&mut self) -> Option<Found> {
        self.cut();
        Some(Found {
            severity: Severity::of(self.over > 0),
            first: self.first?,
            count: self.count,
            bars: self.bars,
            over: self.over,
            worst: self.worst.examples(|at, [length, ..]| Example {
                at,
                bars: length as u64,
                what: match length {
                    1.0 => "1 candle".to_owned(),
                    _ => format!("{length} candles on end"),
                },
            }),
            threshold: format!("runs of more than {} candles", self.limit),
        })
    }
}
