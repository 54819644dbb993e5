//! The few examples that stand for many occurrences.

use super::finding::Found;
use super::{Example, Severity};

/// Examples kept of each kind.
const KEPT: usize = 10;

/// The largest occurrences; of equal ones the earliest.
#[derive(Debug, Clone, Default)]
pub(super) struct Worst(Vec<(f64, i64, [f64; 4])>);

impl Worst {
    /// An occurrence of a size, with the values that describe it.
    pub(super) fn add(&mut self, size: f64, at: i64, values: [f64; 4]) {
        let full = self.0.len() == KEPT;
        if full && self.0.last().is_some_and(|(least, ..)| size <= *least) {
            return;
        }
        let place = self.0.partition_point(|(other, ..)| *other >= size);
        self.0.insert(place, (size, at, values));
        self.0.truncate(KEPT);
    }

    /// The ones of at least a size.
    pub(super) fn from(&self, least: f64) -> Self {
        Self(self.0.iter().filter(|(size, ..)| *size >= least).copied().collect())
    }

    pub(super) fn examples(&self, example: impl Fn(i64, [f64; 4]) -> Example) -> Vec<Example> {
        self.0.iter().map(|&(_, at, values)| example(at, values)).collect()
    }
}

/// Occurrences without a size: the first ones are kept.
#[derive(Debug, Clone, Default)]
pub(super) struct Occurrences {
    first: i64,
    count: u64,
    examples: Vec<Example>,
}

impl Occurrences {
    pub(super) fn add(&mut self, at: i64, what: impl FnOnce() -> String) {
        if self.count == 0 {
            self.first = at;
        }
        self.count += 1;
        if self.examples.len() < KEPT {
            self.examples.push(Example { at, bars: 1, what: what() });
        }
    }

    /// As violations, of which none is allowed.
    pub(super) fn found(&self) -> Found {
        Found {
            severity: Severity::Violation,
            first: self.first,
            count: self.count,
            bars: self.count,
            over: self.count,
            worst: self.examples.clone(),
            threshold: "none is allowed".to_owned(),
        }
    }
}
