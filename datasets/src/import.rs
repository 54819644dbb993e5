//! Candles of other programs: any CSV, JSON, Arrow IPC or Parquet file with the columns, packed or not.
//!
//! A file is read once, as a stream: its first bytes tell the format ([`detect`]), every row is checked, and what is
//! read waits in memory or in a nameless file until it is known whether the whole file is good.

mod arrow;
mod batch;
mod check;
mod clean;
mod detect;
mod detected;
mod error;
mod header;
mod join;
mod json;
mod merge;
mod names;
mod number;
mod open;
mod options;
mod parquet;
mod record;
mod rows;
mod scan;
mod shape;
mod sniff;
mod source;
mod spool;
mod table;
#[cfg(test)]
mod tests;
mod text;
pub(crate) mod time;
mod times;
mod values;

pub use check::{BadRowCounts, BadRowKind};
pub use detected::{Detected, Format};
pub use error::{BadRowList, ImportError};
pub use merge::{Change, Imported, ImportedSeries, Progress, import};
pub use number::NumberStyle;
pub use options::{BadRows, Columns, ImportOptions, Role};
pub use rows::{FileRows, file_batches, file_rows};
pub use time::{DateOrder, TimeFormat, TimeUnit};

use std::path::Path;

use blockgrid_engine::candles::{Candles, RawCandles};
use blockgrid_engine::interval::Interval;
use bytes::Bytes;

use batch::Batch;
use join::Joined;
use scan::{Scanned, scan};
use source::Source;
use spool::Spool;

/// Candles of a single file.
#[derive(Debug, Clone, PartialEq)]
pub struct FileCandles {
    /// From a column of the file or from its name; the name without extension when neither tells.
    pub symbol: String,
    /// As asked, or the most frequent distance between two candles.
    pub interval: Interval,
    /// The candles.
    pub candles: Candles,
    /// How the file was read.
    pub detected: Detected,
    /// The rows that were left out.
    pub bad_rows: BadRowCounts,
}

/// A time zone by its name, such as Europe/Berlin.
///
/// # Errors
/// When there is no such zone.
pub fn time_zone(name: &str) -> Result<jiff::tz::TimeZone, ImportError> {
    jiff::tz::TimeZone::get(name).map_err(|_| ImportError::BadOption {
        option: "--time-zone",
        message: format!(
            "is `{name}`, which is no zone of the IANA database: write one such as UTC or Europe/Berlin"
        ),
    })
}

/// Finds out what a file is by its beginning, or all of it; `name` may tell symbol and interval.
///
/// # Errors
/// When the bytes are no candles, or can be read in more than one way.
pub fn detect(bytes: &[u8], name: &str) -> Result<Detected, ImportError> {
    let source = one(Source::of_bytes(Bytes::copy_from_slice(bytes), name)?, name)?;
    open::open(&source, &ImportOptions::default()).map(|(detected, _)| detected)
}

/// Reads the candles of a file: CSV, JSON, Arrow IPC (Feather) or Parquet, also packed by gzip or zip.
///
/// What the file is made of is found out, as [`detect`] does; without an interval, the most frequent distance between
/// two candles is taken. Prices keep every bit; columns beside OHLCV are not read.
///
/// # Errors
/// What is not understood, with its line (or row) and column; what is no candle, with its line (or row).
pub fn read_file(path: &Path, interval: Option<Interval>) -> Result<FileCandles, crate::DatasetError> {
    let keep = Some(Vec::new());
    let options = ImportOptions { interval, keep, exact: true, ..ImportOptions::default() };
    Ok(read_file_with(path, &options)?)
}

/// [`read_file`] with options.
///
/// # Errors
/// As [`read_file`].
pub fn read_file_with(path: &Path, options: &ImportOptions) -> Result<FileCandles, ImportError> {
    read_one(one(Source::at(path)?, &path.display().to_string())?, options)
}

/// [`read_file_with`] of bytes that are in memory; `name` may tell symbol and interval.
///
/// # Errors
/// As [`read_file`].
pub fn read_bytes(bytes: &[u8], name: &str, options: &ImportOptions) -> Result<FileCandles, ImportError> {
    read_one(one(Source::of_bytes(Bytes::copy_from_slice(bytes), name)?, name)?, options)
}

fn one(sources: Vec<Source>, file: &str) -> Result<Source, ImportError> {
    let count = sources.len();
    match <[Source; 1]>::try_from(sources) {
        Ok([one]) => Ok(one),
        Err(_) => Err(ImportError::NotCandles {
            file: file.to_owned(),
            message: format!(
                "holds {count} files: import it into a data set with `blockgrid data import`, or unpack one"
            ),
        }),
    }
}

fn read_one(source: Source, options: &ImportOptions) -> Result<FileCandles, ImportError> {
    let mut spool = Spool::in_memory();
    let scanned = scan(&source, options, &mut spool, &mut |_| {})?;
    let symbol = scanned.symbol.clone().unwrap_or_else(|| stem(&source.file_name));
    let (interval, detected) = (scanned.interval, scanned.detected.clone());
    let mut joined = Joined::new(vec![scanned]);
    let mut all = Batch::new(joined.others.len());
    let mut batch = Batch::default();
    while joined.next(&mut spool, &mut batch)? {
        all.timestamp.append(&mut batch.timestamp);
        for (to, from) in all.columns.iter_mut().zip(&mut batch.columns) {
            to.append(from);
        }
    }
    let bad_rows = joined.done.first().map(|file: &Scanned| file.checker.counts).unwrap_or_default();
    let candles = candles(interval, all, &joined.others, &source.name)?;
    Ok(FileCandles { symbol, interval, candles, detected, bad_rows })
}

/// What a file is called when nothing tells its symbol.
fn stem(file_name: &str) -> String {
    Path::new(file_name).file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default()
}

/// Rows as candles. They were checked, so that an error says that they were not.
fn candles(interval: Interval, batch: Batch, others: &[String], file: &str) -> Result<Candles, ImportError> {
    let (raw, beside) = columns(batch, others);
    Candles::new(interval, raw).and_then(|candles| candles.with_columns(beside)).map_err(|error| {
        ImportError::NotCandles { file: file.to_owned(), message: format!("holds no candles: {error}") }
    })
}

fn columns(batch: Batch, others: &[String]) -> (RawCandles, Vec<(String, Vec<f64>)>) {
    let mut columns = batch.columns.into_iter();
    let mut next = || columns.next().unwrap_or_default();
    let [open, high, low, close, volume] = [next(), next(), next(), next(), next()];
    let raw = RawCandles { timestamp: batch.timestamp, open, high, low, close, volume };
    (raw, others.iter().cloned().zip(columns).collect())
}
