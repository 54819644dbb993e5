//! Rows as columns, some ten thousand at a time.

/// Rows in a batch.
pub(crate) const BATCH: usize = 65_536;

/// Rows as they stand in a file: nothing is checked yet, NaN is a missing value.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Batch {
    /// Line of a text or row of a table, from 1.
    pub(crate) place: Vec<u64>,
    /// UTC milliseconds.
    pub(crate) timestamp: Vec<i64>,
    /// Open, high, low, close, volume, then the columns that ride along.
    pub(crate) columns: Vec<Vec<f64>>,
}

impl Batch {
    /// An empty batch with so many columns beside OHLCV.
    pub(crate) fn new(others: usize) -> Self {
        Self { place: Vec::new(), timestamp: Vec::new(), columns: vec![Vec::new(); 5 + others] }
    }

    pub(crate) fn len(&self) -> usize {
        self.timestamp.len()
    }

    pub(crate) fn clear(&mut self) {
        self.place.clear();
        self.timestamp.clear();
        self.columns.iter_mut().for_each(Vec::clear);
    }

    pub(crate) fn reverse(&mut self) {
        self.place.reverse();
        self.timestamp.reverse();
        self.columns.iter_mut().for_each(|column| column.reverse());
    }

    /// Keeps the rows that are marked.
    pub(crate) fn retain(&mut self, keep: &[bool]) {
        fn cut<T>(values: &mut Vec<T>, keep: &[bool]) {
            let mut marks = keep.iter();
            values.retain(|_| marks.next().copied().unwrap_or(true));
        }
        cut(&mut self.place, keep);
        cut(&mut self.timestamp, keep);
        self.columns.iter_mut().for_each(|column| cut(column, keep));
    }
}

/// A stream of batches.
pub(crate) trait Batches: Send {
    /// Replaces what is in the batch by the next rows; false at the end.
    fn next(&mut self, batch: &mut Batch) -> Result<bool, super::ImportError>;
}
