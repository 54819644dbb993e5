//! Candles of a data set as they are stored, batch by batch: not checked, and never more than a row group in memory.

use blockgrid_engine::candles::RawCandles;
use blockgrid_engine::interval::Interval;

use super::Dataset;
use super::read::{Places, in_range};
use crate::DatasetError;
use crate::codec::{Footer, Object, Table};
use crate::manifest::FileEntry;
use crate::runtime::block_on;

/// Rows as they stand in a file.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Batch {
    /// The six columns; a null is NaN.
    pub raw: RawCandles,
    /// The columns beside them that were asked, in that order; NaN where unknown.
    pub columns: Vec<(String, Vec<f64>)>,
}

impl Batch {
    /// The rows that open in `from..to` (UTC milliseconds), in the order in which they stand.
    pub fn within(mut self, from: Option<i64>, to: Option<i64>) -> Self {
        let inside = |at: &i64| from.is_none_or(|from| *at >= from) && to.is_none_or(|to| *at < to);
        if !self.raw.timestamp.iter().all(inside) {
            let keep: Vec<bool> = self.raw.timestamp.iter().map(inside).collect();
            let raw = &mut self.raw;
            retain(&mut raw.timestamp, &keep);
            let ohlcv = [&mut raw.open, &mut raw.high, &mut raw.low, &mut raw.close, &mut raw.volume];
            ohlcv.into_iter().for_each(|column| retain(column, &keep));
            self.columns.iter_mut().for_each(|(_, column)| retain(column, &keep));
        }
        self
    }
}

/// The rows of one symbol and interval, oldest file first; made by [`Dataset::batches`].
#[derive(Debug)]
pub struct Batches<'a> {
    dataset: &'a Dataset,
    files: std::vec::IntoIter<FileEntry>,
    interval: Interval,
    range: (Option<i64>, Option<i64>),
    columns: Vec<String>,
    open: Option<Open>,
    rows: u64,
    passed: u64,
}

/// The file that is being read, and its next row group.
#[derive(Debug)]
struct Open {
    object: Object,
    footer: Footer,
    group: usize,
    first_row: usize,
}

impl Dataset {
    /// The rows of which [`Dataset::read_with`] makes the candles that open in `from_ms..to_ms` (UTC milliseconds, all
    /// without bounds), a row group at a time and as they stand in the files: rows that are no candles included, which
    /// `read_with` refuses. They are of [`Dataset::stored_interval`].
    ///
    /// # Errors
    /// When there is no such symbol, interval or column. While reading, as [`Dataset::read`], but for what a row holds.
    pub fn batches(
        &self,
        symbol: &str,
        interval: Interval,
        from_ms: Option<i64>,
        to_ms: Option<i64>,
        columns: &[&str],
    ) -> Result<Batches<'_>, DatasetError> {
        let stored = self.stored(symbol, interval)?;
        self.check_columns(symbol, stored, columns)?;
        let range = self.widened(symbol, (stored, interval), (from_ms, to_ms));
        let files: Vec<FileEntry> =
            in_range(&self.files(symbol, stored), range.0, range.1).cloned().collect();
        let rows = files.iter().map(|file| file.rows).sum();
        Ok(Batches {
            dataset: self,
            files: files.into_iter(),
            interval: stored,
            range,
            columns: columns.iter().map(|name| (*name).to_owned()).collect(),
            open: None,
            rows,
            passed: 0,
        })
    }
}

impl Batches<'_> {
    /// Rows in the files that will be read; those outside the range are left out on the way.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// The interval of the rows: the stored one.
    pub fn interval(&self) -> Interval {
        self.interval
    }

    /// How many of [`Batches::rows`] were read or left out so far.
    pub(super) fn passed(&self) -> u64 {
        self.passed
    }

    fn read(&mut self) -> Result<Option<Batch>, DatasetError> {
        let group = self.next_group(true)?;
        Ok(group.map(|(table, _)| {
            let batch = Batch { raw: table.raw, columns: table.columns };
            batch.within(self.range.0, self.range.1)
        }))
    }

    /// The next row group that may have candles in the range, whole, and where it stands. With `nulls`, a price that is
    /// null is NaN, else it is an error.
    pub(super) fn next_group(&mut self, nulls: bool) -> Result<Option<(Table, Places)>, DatasetError> {
        loop {
            let Some(open) = &mut self.open else {
                let Some(entry) = self.files.next() else { return Ok(None) };
                let object = self.dataset.object(&entry);
                let footer = block_on(self.dataset.checked_footer(&object, &entry))?;
                self.open = Some(Open { object, footer, group: 0, first_row: 0 });
                continue;
            };
            if open.group == open.footer.row_groups() {
                self.open = None;
                continue;
            }
            let Open { object, footer, group, first_row } = open;
            let wanted = footer.overlaps(*group, self.range.0, self.range.1);
            let mut table = Table { nulls, ..Table::new(&self.columns) };
            let place = Places::of(&object.file, *first_row);
            if wanted {
                block_on(footer.read_group(object, *group, *first_row, &mut table))?;
            }
            let rows = footer.group_rows(*group);
            *first_row += rows;
            *group += 1;
            self.passed += rows as u64;
            if wanted {
                return Ok(Some((table, place)));
            }
        }
    }

    /// The range of the rows: that of the candles, widened to whole periods of what is made of them.
    pub(super) fn range(&self) -> (Option<i64>, Option<i64>) {
        self.range
    }
}

impl Iterator for Batches<'_> {
    type Item = Result<Batch, DatasetError>;

    fn next(&mut self) -> Option<Self::Item> {
        let read = self.read();
        if read.is_err() {
            // After an error there is nothing more to come.
            self.files = Vec::new().into_iter();
            self.open = None;
        }
        read.transpose()
    }
}

fn retain<T>(column: &mut Vec<T>, keep: &[bool]) {
    let mut kept = keep.iter();
    column.retain(|_| kept.next().copied().unwrap_or(false));
}
