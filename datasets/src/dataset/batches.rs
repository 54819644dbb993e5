//! Candles of a data set as they are stored, batch by batch: not checked, and never more than a row group in memory.

use blockgrid_engine::candles::RawCandles;
use blockgrid_engine::interval::Interval;

use super::{Dataset, in_range};
use crate::DatasetError;
use crate::codec::{Footer, Object, Table};
use crate::manifest::FileEntry;
use crate::runtime::block_on;

/// The rows of one symbol and interval, oldest file first; made by [`Dataset::batches`].
#[derive(Debug)]
pub struct Batches<'a> {
    dataset: &'a Dataset,
    files: std::vec::IntoIter<FileEntry>,
    range: (Option<i64>, Option<i64>),
    open: Option<Open>,
    rows: u64,
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
    /// The rows of a stored interval that open in `from_ms..to_ms` (UTC milliseconds, all without bounds), a row group
    /// at a time and as they stand in the files: rows that are no candles included, which [`Dataset::read`] refuses.
    ///
    /// # Errors
    /// When there is no such symbol or interval. While reading, as [`Dataset::read`], but for what a row holds.
    pub fn batches(
        &self,
        symbol: &str,
        interval: Interval,
        from_ms: Option<i64>,
        to_ms: Option<i64>,
    ) -> Result<Batches<'_>, DatasetError> {
        let files = self.files(symbol, interval)?;
        let files: Vec<FileEntry> = in_range(&files, from_ms, to_ms).cloned().collect();
        let rows = files.iter().map(|file| file.rows).sum();
        Ok(Batches { dataset: self, files: files.into_iter(), range: (from_ms, to_ms), open: None, rows })
    }
}

impl Batches<'_> {
    /// Rows in the files that will be read; those outside the range are left out on the way.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    fn read(&mut self) -> Result<Option<RawCandles>, DatasetError> {
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
            let mut table = Table::default();
            if wanted {
                block_on(footer.read_group(object, *group, *first_row, &mut table))?;
            }
            *first_row += footer.group_rows(*group);
            *group += 1;
            if wanted {
                return Ok(Some(within(table.raw, self.range)));
            }
        }
    }
}

impl Iterator for Batches<'_> {
    type Item = Result<RawCandles, DatasetError>;

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

/// The rows in the range, in the order in which they stand.
fn within(raw: RawCandles, (from, to): (Option<i64>, Option<i64>)) -> RawCandles {
    let inside = |at: &i64| from.is_none_or(|from| *at >= from) && to.is_none_or(|to| *at < to);
    if raw.timestamp.iter().all(inside) {
        return raw;
    }
    let keep: Vec<bool> = raw.timestamp.iter().map(inside).collect();
    let kept = |column: Vec<f64>| -> Vec<f64> {
        column.into_iter().zip(&keep).filter_map(|(value, keep)| keep.then_some(value)).collect()
    };
    RawCandles {
        timestamp: raw.timestamp.iter().copied().filter(inside).collect(),
        open: kept(raw.open),
        high: kept(raw.high),
        low: kept(raw.low),
        close: kept(raw.close),
        volume: kept(raw.volume),
    }
}
