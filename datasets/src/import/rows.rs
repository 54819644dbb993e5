//! The rows of a single file as they stand there, for the checks.

use std::path::Path;

use blockgrid_engine::interval::Interval;

use super::batch::Batch as Raw;
use super::check::Checker;
use super::open::open;
use super::options::ImportOptions;
use super::source::Source;
use super::{ImportError, columns as raw_columns, one, stem};
use crate::codec::list;
use crate::{Batch, DatasetError};

/// Rows of a single file, not checked.
#[derive(Debug, Clone, PartialEq)]
pub struct FileRows {
    /// From a column of the file or from its name; the name without extension when neither tells.
    pub symbol: String,
    /// As asked, or the most frequent distance between two rows.
    pub interval: Interval,
    /// The rows; where the file has the newest first, they are turned round.
    pub batches: Vec<Batch>,
}

/// Reads the rows of a file that [`read_file`](super::read_file) reads, also those that are no candles; with columns
/// beside OHLCV by name.
///
/// # Errors
/// What is not understood, and a column that is not there.
pub fn file_rows(
    path: &Path,
    interval: Option<Interval>,
    columns: &[&str],
) -> Result<FileRows, DatasetError> {
    let keep = Some(columns.iter().map(|name| (*name).to_owned()).collect());
    let options = ImportOptions { interval, keep, exact: true, ..ImportOptions::default() };
    let source = one(Source::at(path)?, &path.display().to_string())?;
    let found = read(&source, &options, columns);
    source.check_unchanged()?;
    found
}

fn read(source: &Source, options: &ImportOptions, columns: &[&str]) -> Result<FileRows, DatasetError> {
    let (detected, mut rows) = open(source, options)?;
    let others: Vec<String> = detected.others().into_iter().map(|(name, _)| name).collect();
    let at = |name: &&str| others.iter().position(|other| other.eq_ignore_ascii_case(name));
    if let Some(name) = columns.iter().find(|name| at(name).is_none()) {
        let found: Vec<&String> = detected.columns.iter().map(|(name, _)| name).collect();
        let message =
            format!("it has no column `{name}` of numbers beside the candles: it has {}", list(&found));
        return Err(ImportError::Interval { file: source.name.clone(), message }.into());
    }
    let mut checker = Checker::new(detected.newest_first);
    let mut batch = Raw::new(others.len());
    let mut batches = Vec::new();
    while rows.next(&mut batch)? {
        checker.check(&mut batch.clone());
        if detected.newest_first {
            batch.reverse();
        }
        let (raw, mut beside) = raw_columns(std::mem::replace(&mut batch, Raw::new(others.len())), &others);
        let asked = columns.iter().filter_map(|name| {
            let values = beside.get_mut(at(name)?)?;
            Some(((*name).to_owned(), std::mem::take(&mut values.1)))
        });
        batches.push(Batch { raw, columns: asked.collect() });
    }
    if detected.newest_first {
        batches.reverse();
    }
    if batches.is_empty() {
        return Err(ImportError::Empty { file: source.name.clone() }.into());
    }
    let interval = checker.interval(&source.name, options.interval, detected.named_interval)?;
    Ok(FileRows { symbol: detected.symbol.unwrap_or_else(|| stem(&source.file_name)), interval, batches })
}
