//! One symbol at one interval on its way into a data set.

use blockgrid_engine::candles::Candles;
use blockgrid_engine::interval::Interval;

use super::{DatasetWriter, NewFile};
use crate::DatasetError;
use crate::codec::{ROW_GROUP, Table};
use crate::error::iso;
use crate::partition::{Partition, check_columns};
use crate::write::encode_file;

/// Takes the candles of a symbol, oldest first; at most one partition of them is in memory. What is pushed counts when
/// [`SeriesWriter::finish`] was called.
#[derive(Debug)]
pub struct SeriesWriter<'a> {
    writer: &'a DatasetWriter,
    symbol: String,
    interval: Interval,
    /// `None` before the first candle.
    columns: Option<Vec<String>>,
    open: Option<Partition>,
    table: Table,
    last: Option<i64>,
    new: Vec<NewFile>,
}

impl<'a> SeriesWriter<'a> {
    pub(super) fn new(writer: &'a DatasetWriter, symbol: &str, interval: Interval) -> Self {
        let (symbol, table) = (symbol.to_owned(), Table::default());
        Self { writer, symbol, interval, columns: None, open: None, table, last: None, new: Vec::new() }
    }

    /// Adds candles that come after those before, in batches of any size, with the same columns beside OHLCV each time.
    ///
    /// # Errors
    /// When they are of another interval, come before others, have other columns, or were made by filling gaps; when
    /// their partition was written before in this go; when a file cannot be written.
    pub fn push(&mut self, candles: &Candles) -> Result<(), DatasetError> {
        let Some(&first) = candles.timestamp().first() else { return Ok(()) };
        self.check(candles, first)?;
        for (part, range) in Partition::cut(self.interval, candles.timestamp()) {
            if self.open != Some(part) {
                self.flush()?;
                if self.writer.has(&self.symbol, self.interval, part) {
                    return Err(self.refuse(format!("candles of {part} were written before: join them")));
                }
                self.open = Some(part);
            }
            self.table.append(candles, range);
        }
        self.last = candles.timestamp().last().copied();
        Ok(())
    }

    /// Ends the series. Without candles, nothing is written and nothing replaced.
    ///
    /// # Errors
    /// When a file cannot be written, or another series has written one of its partitions.
    pub fn finish(mut self) -> Result<(), DatasetError> {
        self.flush()?;
        let mut written = self.writer.new_files();
        let twice = |new: &NewFile| {
            let same = |other: &&NewFile| {
                other.partition == new.partition && other.is_of(&self.symbol, self.interval)
            };
            written.iter().find(same).map(|other| other.partition)
        };
        if let Some(part) = self.new.iter().find_map(twice) {
            return Err(self.refuse(format!("candles of {part} were written before: join them")));
        }
        written.append(&mut self.new);
        Ok(())
    }

    fn check(&mut self, candles: &Candles, first: i64) -> Result<(), DatasetError> {
        if candles.interval() != self.interval {
            return Err(self.refuse(format!("{} candles do not belong there", candles.interval())));
        }
        if let Some(last) = self.last.filter(|last| *last >= first) {
            let (first, last) = (iso(first), iso(last));
            return Err(
                self.refuse(format!("the candle of {first} comes after that of {last}: sort them by time"))
            );
        }
        if candles.filled() > 0 {
            return Err(self.refuse(format!(
                "{} candles were made by filling gaps: store what was traded, and fill when reading",
                candles.filled()
            )));
        }
        let names: Vec<&String> = candles.columns().iter().map(|(name, _)| name).collect();
        match &self.columns {
            Some(columns) if columns.iter().eq(names.iter().copied()) => Ok(()),
            Some(columns) => Err(self.refuse(format!(
                "its columns were {columns:?} and now are {names:?}: give the same each time"
            ))),
            None => {
                check_columns(&names)?;
                self.table = Table::new(&names);
                self.columns = Some(names.into_iter().cloned().collect());
                Ok(())
            }
        }
    }

    fn refuse(&self, what: String) -> DatasetError {
        DatasetError::Unwritable { message: format!("`{}` at {}: {what}", self.symbol, self.interval) }
    }

    /// Writes the open partition.
    fn flush(&mut self) -> Result<(), DatasetError> {
        let Some(part) = self.open.take() else { return Ok(()) };
        let folder = part.folder(self.interval, &self.symbol);
        let path = |sha256: &str| format!("{folder}/part-{:.16}.parquet", sha256);
        let (entry, bytes) = encode_file(&self.table, &self.symbol, self.interval, ROW_GROUP, path)?;
        self.table.clear();
        self.new.push(self.writer.stage(part, entry, &bytes)?);
        Ok(())
    }
}
