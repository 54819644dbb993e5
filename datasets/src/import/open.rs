//! From bytes to rows: the format by its first bytes, then the reader of that format.

use super::ImportError;
use super::arrow::{ArrowTable, CONTINUATION, FILE_MAGIC};
use super::batch::Batches;
use super::detected::{Detected, Format};
use super::options::ImportOptions;
use super::parquet::{MAGIC, ParquetTable};
use super::source::{Source, read_full};
use super::table::TableBatches;
use super::text::{PREFIX, TextBatches, find};

/// What a source is, and its rows.
pub(crate) fn open(
    source: &Source,
    options: &ImportOptions,
) -> Result<(Detected, Box<dyn Batches>), ImportError> {
    let mut stream = source.open()?;
    let mut prefix = vec![0; PREFIX];
    let read = read_full(&mut stream, &mut prefix).map_err(|e| ImportError::io(&source.name, &e))?;
    prefix.truncate(read);
    let lower = source.file_name.to_ascii_lowercase();
    if prefix.is_empty() && !lower.ends_with(".parquet") {
        return Err(ImportError::Empty { file: source.name.clone() });
    }
    let table = if prefix.starts_with(MAGIC) || lower.ends_with(".parquet") {
        let table = ParquetTable::open(source)?;
        TableBatches::open(source, Format::Parquet, Box::new(table), options)?
    } else if prefix.starts_with(FILE_MAGIC) {
        let table = ArrowTable::open(&source.name, source.open()?, true)?;
        TableBatches::open(source, Format::ArrowFile, Box::new(table), options)?
    } else if prefix.starts_with(&CONTINUATION) {
        let table = ArrowTable::open(&source.name, source.open()?, false)?;
        TableBatches::open(source, Format::ArrowStream, Box::new(table), options)?
    } else if prefix.starts_with(b"FEA1") {
        return Err(ImportError::NotCandles {
            file: source.name.clone(),
            message: "is Feather version 1: write it again as version 2, which every pandas since 2020 does"
                .to_owned(),
        });
    } else {
        let detected = find(source, &prefix, options)?;
        let rows = TextBatches::open(source, &detected, options)?;
        return Ok((detected, Box::new(rows)));
    };
    Ok((table.detected.clone(), Box::new(table)))
}
