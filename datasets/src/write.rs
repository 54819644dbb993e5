//! The files of a data set as bytes. The same candles give the same bytes.

use blockgrid_engine::candles::Candles;
use blockgrid_engine::interval::Interval;

use crate::DatasetError;
use crate::codec::{ROW_GROUP, Table, parquet_bytes};
use crate::digest::sha256;
use crate::manifest::{FileEntry, Generator, MANIFEST, Manifest};
use crate::partition::{Partition, check_symbol};

/// What a manifest says of a data set as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct About {
    /// Name of the data set.
    pub name: String,
    /// Where the candles come from.
    pub source: String,
    /// Licence, SPDX where there is an identifier.
    pub licence: String,
    /// What made the candles, if they are synthetic.
    pub generator: Option<Generator>,
}

/// The candles of one symbol, to be written.
#[derive(Debug, Clone, Copy)]
pub struct Series<'a> {
    /// Its name: letters, digits, `.`, `_` and `-`.
    pub symbol: &'a str,
    /// The candles; their interval is that of the folder.
    pub candles: &'a Candles,
}

/// The files of a data set as (path inside it, bytes), `dataset.json` last; one file a partition, numbered, not named by
/// content, so that a program can embed them. [`DatasetWriter`](crate::DatasetWriter) writes a folder.
///
/// # Errors
/// When a symbol cannot be a folder, or is given twice at one interval.
pub fn encode_dataset(about: &About, series: &[Series<'_>]) -> Result<Vec<(String, Vec<u8>)>, DatasetError> {
    encode(about, series, ROW_GROUP)
}

pub(crate) fn encode(
    about: &About,
    series: &[Series<'_>],
    row_group: usize,
) -> Result<Vec<(String, Vec<u8>)>, DatasetError> {
    let mut order: Vec<&Series<'_>> = series.iter().collect();
    order.sort_by_key(|s| (s.candles.interval(), s.symbol));
    let mut files = Vec::new();
    let mut entries = Vec::new();
    for (i, series) in order.iter().enumerate() {
        let (symbol, interval) = (series.symbol, series.candles.interval());
        check_symbol(symbol)?;
        if i > 0 && (order[i - 1].symbol, order[i - 1].candles.interval()) == (symbol, interval) {
            return Err(DatasetError::Unwritable {
                message: format!("`{symbol}` is given twice at {interval}: join its candles"),
            });
        }
        for (part, range) in Partition::cut(interval, series.candles.timestamp()) {
            let path = format!("{}/part-0000.parquet", part.folder(interval, symbol));
            let table = Table::from_candles(&series.candles.slice(range));
            let (entry, bytes) = encode_file(&table, symbol, interval, row_group, |_| path.clone())?;
            entries.push(entry);
            files.push((path, bytes));
        }
    }
    let About { name, source, licence, generator } = about.clone();
    let manifest = Manifest::new(name, source, licence, generator, entries);
    files.push((MANIFEST.to_owned(), manifest.to_json()?.into_bytes()));
    Ok(files)
}

/// A file of candles, which are not empty and of one symbol and interval: its entry, with a path made of its SHA-256,
/// and its bytes.
pub(crate) fn encode_file(
    table: &Table,
    symbol: &str,
    interval: Interval,
    row_group: usize,
    path: impl FnOnce(&str) -> String,
) -> Result<(FileEntry, Vec<u8>), DatasetError> {
    let at = &table.raw.timestamp;
    let bytes = parquet_bytes(at, &table.series(), row_group).map_err(|error| DatasetError::Io {
        file: format!("candles of {symbol} at {interval}"),
        message: format!("they cannot be encoded: {error}"),
    })?;
    let sha256 = sha256(&bytes);
    let entry = FileEntry {
        path: path(&sha256),
        symbol: symbol.to_owned(),
        interval,
        rows: at.len() as u64,
        first: at.first().copied().unwrap_or_default(),
        last: at.last().copied().unwrap_or_default(),
        bytes: bytes.len() as u64,
        sha256,
        columns: table.columns.iter().map(|(name, _)| name.clone()).collect(),
    };
    Ok((entry, bytes))
}
