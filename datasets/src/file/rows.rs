//! The rows of a single file as they stand there, for the checks.

use std::path::Path;

use blockgrid_engine::interval::Interval;

use super::{csv, extension, infer, parquet_object};
use crate::codec::{Footer, Table, list};
use crate::dataset::{Places, ReadCounts, read_object};
use crate::runtime::block_on;
use crate::{Batch, DatasetError};

/// Rows of a single file, not checked.
#[derive(Debug, Clone, PartialEq)]
pub struct FileRows {
    /// The name of the file without folder and extension, as it is written.
    pub symbol: String,
    /// As asked, or the most frequent distance between two rows.
    pub interval: Interval,
    /// The rows, in order.
    pub batches: Vec<Batch>,
}

/// Reads the rows of a file that [`read_file`](super::read_file) reads, also those that are no candles; with columns
/// beside OHLCV, which a Parquet file may have.
///
/// # Errors
/// What is not understood, and a column that is not there.
pub fn file_rows(
    path: &Path,
    interval: Option<Interval>,
    columns: &[&str],
) -> Result<FileRows, DatasetError> {
    let file = path.display().to_string();
    let symbol = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let metadata = std::fs::metadata(path).map_err(|e| DatasetError::io(&file, &e))?;
    let missing = |found: Vec<String>| -> Result<(), DatasetError> {
        match columns.iter().find(|name| !found.iter().any(|found| found.eq_ignore_ascii_case(name))) {
            Some(name) => Err(DatasetError::MissingColumn {
                file: file.clone(),
                column: (*name).to_owned(),
                found: format!("{} beside the candles", list(&found)),
            }),
            None => Ok(()),
        }
    };
    let batch = match extension(path).as_str() {
        "csv" if metadata.is_file() => {
            missing(Vec::new())?;
            let bytes = std::fs::read(path).map_err(|e| DatasetError::io(&file, &e))?;
            Batch { raw: csv::parse(&file, &bytes)?.0, columns: Vec::new() }
        }
        "parquet" if metadata.is_file() => {
            let object = parquet_object(path, file.clone(), metadata.len())?;
            let footer = block_on(Footer::load(&object))?;
            missing(footer.beside())?;
            let mut table = Table { nulls: true, ..Table::new(columns) };
            let (mut places, mut counts) = (Places::default(), ReadCounts::default());
            block_on(read_object(&object, &footer, (None, None), &mut table, &mut places, &mut counts))?;
            Batch { raw: table.raw, columns: table.columns }
        }
        _ => return Err(DatasetError::UnknownKind { file }),
    };
    let interval = interval.map_or_else(|| infer(&file, &batch.raw.timestamp), Ok)?;
    Ok(FileRows { symbol, interval, batches: vec![batch] })
}
