//! Columns of candles that are still being gathered, and not checked.

use blockgrid_engine::candles::{Candles, RawCandles};

use super::{COLUMNS, Series};

/// The six columns, and those beside them.
#[derive(Debug, Default)]
pub(crate) struct Table {
    pub(crate) raw: RawCandles,
    /// Name and values, NaN where unknown.
    pub(crate) columns: Vec<(String, Vec<f64>)>,
    /// Whether a price or volume that is null is read as NaN, for whoever checks the rows; else it is an error.
    pub(crate) nulls: bool,
}

impl Table {
    /// No candles, with columns of these names.
    pub(crate) fn new<S: AsRef<str>>(columns: &[S]) -> Self {
        let columns = columns.iter().map(|name| (name.as_ref().to_owned(), Vec::new())).collect();
        Self { raw: RawCandles::default(), columns, nulls: false }
    }

    pub(crate) fn from_candles(candles: &Candles) -> Self {
        let mut table = Self::new(&candles.columns().iter().map(|(name, _)| name).collect::<Vec<_>>());
        table.append(candles, 0..candles.len());
        table
    }

    pub(crate) fn len(&self) -> usize {
        self.raw.timestamp.len()
    }

    /// Makes room for `rows` more candles, so that growing copies nothing.
    pub(crate) fn reserve(&mut self, rows: usize) {
        self.raw.timestamp.reserve(rows);
        for column in self.ohlcv_mut() {
            column.reserve(rows);
        }
        for (_, column) in &mut self.columns {
            column.reserve(rows);
        }
    }

    /// Appends candles that have the same columns.
    pub(crate) fn append(&mut self, candles: &Candles, range: std::ops::Range<usize>) {
        self.raw.timestamp.extend_from_slice(&candles.timestamp()[range.clone()]);
        let from = [candles.open(), candles.high(), candles.low(), candles.close(), candles.volume()];
        for (to, from) in self.ohlcv_mut().into_iter().zip(from) {
            to.extend_from_slice(&from[range.clone()]);
        }
        for ((_, to), (_, from)) in self.columns.iter_mut().zip(candles.columns()) {
            to.extend_from_slice(&from[range.clone()]);
        }
    }

    /// Forgets the candles and keeps the columns.
    pub(crate) fn clear(&mut self) {
        self.raw.timestamp.clear();
        for column in self.ohlcv_mut() {
            column.clear();
        }
        for (_, column) in &mut self.columns {
            column.clear();
        }
    }

    /// Keeps the candles of a range alone.
    pub(crate) fn keep(&mut self, range: std::ops::Range<usize>) {
        fn cut<T>(column: &mut Vec<T>, range: &std::ops::Range<usize>) {
            column.truncate(range.end);
            column.drain(..range.start.min(column.len()));
        }
        cut(&mut self.raw.timestamp, &range);
        for column in self.ohlcv_mut() {
            cut(column, &range);
        }
        for (_, column) in &mut self.columns {
            cut(column, &range);
        }
    }

    /// Takes the candles from `at` on out, into a table of their own.
    pub(crate) fn split_off(&mut self, at: usize) -> Self {
        let mut rest = Self::new(&self.columns.iter().map(|(name, _)| name).collect::<Vec<_>>());
        rest.raw.timestamp = self.raw.timestamp.split_off(at);
        for (rest, column) in rest.ohlcv_mut().into_iter().zip(self.ohlcv_mut()) {
            *rest = column.split_off(at);
        }
        for ((_, rest), (_, column)) in rest.columns.iter_mut().zip(&mut self.columns) {
            *rest = column.split_off(at);
        }
        rest
    }

    /// Open, high, low, close, volume.
    pub(crate) fn ohlcv_mut(&mut self) -> [&mut Vec<f64>; 5] {
        let raw = &mut self.raw;
        [&mut raw.open, &mut raw.high, &mut raw.low, &mut raw.close, &mut raw.volume]
    }

    /// Every column of numbers, as it is written.
    pub(crate) fn series(&self) -> Vec<Series<'_>> {
        let raw = &self.raw;
        let ohlcv = [&raw.open, &raw.high, &raw.low, &raw.close, &raw.volume];
        let ohlcv =
            COLUMNS[1..].iter().zip(ohlcv).map(|(name, values)| Series { name, values, nullable: false });
        let beside = self.columns.iter().map(|(name, values)| Series { name, values, nullable: true });
        ohlcv.chain(beside).collect()
    }
}
