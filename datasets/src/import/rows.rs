//! The rows of a single file as they stand there, for the checks.

use std::path::Path;

use blockgrid_engine::interval::Interval;

use super::batch::Batch as Raw;
use super::check::Checker;
use super::detected::Detected;
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
    let (source, options) = prepared(path, interval, columns)?;
    let mut batches = Vec::new();
    let (detected, checker) = each(&source, &options, columns, |batch| batches.push(batch))?;
    if detected.newest_first {
        batches.reverse();
    }
    source.check_unchanged()?;
    let interval = interval_of(&source, &options, &detected, &checker)?;
    Ok(FileRows { symbol: symbol_of(&source, &detected), interval, batches })
}

/// Hands out the rows that [`file_rows`] reads, a batch at a time, so that memory does not grow with the file: the file
/// is read once to learn its interval, and once more for its rows. Only a file with the newest first is held whole.
///
/// `each` hears symbol and interval with every batch.
///
/// # Errors
/// As [`file_rows`].
pub fn file_batches(
    path: &Path,
    interval: Option<Interval>,
    mut each_batch: impl FnMut(&str, Interval, &Batch),
) -> Result<(), DatasetError> {
    let (source, options) = prepared(path, interval, &[])?;
    let (detected, checker) = each(&source, &options, &[], |_| {})?;
    let symbol = symbol_of(&source, &detected);
    let interval = interval_of(&source, &options, &detected, &checker)?;
    if detected.newest_first {
        let rows = file_rows(path, Some(interval), &[])?;
        rows.batches.iter().for_each(|batch| each_batch(&symbol, interval, batch));
    } else {
        each(&source, &options, &[], |batch| each_batch(&symbol, interval, &batch))?;
    }
    Ok(source.check_unchanged()?)
}

fn prepared(
    path: &Path,
    interval: Option<Interval>,
    columns: &[&str],
) -> Result<(Source, ImportOptions), DatasetError> {
    let keep = Some(columns.iter().map(|name| (*name).to_owned()).collect());
    let source = one(Source::at(path)?, &path.display().to_string())?;
    Ok((source, ImportOptions { interval, keep, exact: true, ..ImportOptions::default() }))
}

fn symbol_of(source: &Source, detected: &Detected) -> String {
    detected.symbol.clone().unwrap_or_else(|| stem(&source.file_name))
}

fn interval_of(
    source: &Source,
    options: &ImportOptions,
    detected: &Detected,
    checker: &Checker,
) -> Result<Interval, DatasetError> {
    Ok(checker.interval(&source.name, options.interval, detected.named_interval)?)
}

/// Every batch of a file in its order; in a file with the newest first each one is turned round.
fn each(
    source: &Source,
    options: &ImportOptions,
    columns: &[&str],
    mut emit: impl FnMut(Batch),
) -> Result<(Detected, Checker), DatasetError> {
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
    let mut empty = true;
    while rows.next(&mut batch)? {
        empty = false;
        checker.check(&mut batch.clone());
        if detected.newest_first {
            batch.reverse();
        }
        let (raw, mut beside) = raw_columns(std::mem::replace(&mut batch, Raw::new(others.len())), &others);
        let asked = columns.iter().filter_map(|name| {
            let values = beside.get_mut(at(name)?)?;
            Some(((*name).to_owned(), std::mem::take(&mut values.1)))
        });
        emit(Batch { raw, columns: asked.collect() });
    }
    if empty {
        return Err(ImportError::Empty { file: source.name.clone() }.into());
    }
    Ok((detected, checker))
}
