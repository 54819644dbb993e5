//! Writing data sets. The same candles give the same bytes.

use std::path::Path;

use blockgrid_engine::candles::Candles;
use blockgrid_engine::interval::DAY_MS;

use crate::DatasetError;
use crate::codec::{ROW_GROUP, parquet_of_candles};
use crate::digest::sha256;
use crate::manifest::{FileEntry, Generator, MANIFEST, Manifest};

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

/// The files of a data set as (path inside it, bytes), `dataset.json` last; one file a year.
///
/// # Errors
/// When a symbol cannot be a folder, or is given twice at one interval.
pub fn encode_dataset(about: &About, series: &[Series<'_>]) -> Result<Vec<(String, Vec<u8>)>, DatasetError> {
    encode(about, series, ROW_GROUP)
}

/// Writes a data set into a folder, which is made if it is missing. Files of the same name are replaced; the manifest
/// comes last, so a run that was broken off leaves no manifest of files that are not there.
///
/// # Errors
/// As [`encode_dataset`], and when the folder cannot be written.
pub fn write_dataset(root: &Path, about: &About, series: &[Series<'_>]) -> Result<Manifest, DatasetError> {
    let files = encode_dataset(about, series)?;
    for (path, bytes) in &files {
        let path = root.join(path);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(|e| DatasetError::write(folder, &e))?;
        }
        write_file(&path, bytes)?;
    }
    let manifest = files.last().map(|(_, bytes)| bytes.as_slice()).unwrap_or_default();
    Manifest::from_json(MANIFEST, manifest)
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
        let at = series.candles.timestamp();
        let mut start = 0;
        while start < at.len() {
            let year = year_of(at[start]);
            let end = start + at[start..].partition_point(|&t| year_of(t) == year);
            let path = format!("interval={interval}/symbol={symbol}/year={year:04}/part-0000.parquet");
            let bytes = parquet_of_candles(series.candles, start..end, row_group)
                .map_err(|e| DatasetError::Io { file: path.clone(), message: e.to_string() })?;
            entries.push(FileEntry {
                path: path.clone(),
                symbol: symbol.to_owned(),
                interval,
                rows: (end - start) as u64,
                first: at[start],
                last: at[end - 1],
                bytes: bytes.len() as u64,
                sha256: sha256(&bytes),
            });
            files.push((path, bytes));
            start = end;
        }
    }
    let About { name, source, licence, generator } = about.clone();
    let manifest = Manifest::new(name, source, licence, generator, entries);
    files.push((MANIFEST.to_owned(), manifest.to_json()?.into_bytes()));
    Ok(files)
}

fn check_symbol(symbol: &str) -> Result<(), DatasetError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if symbol.is_empty() || symbol.starts_with('.') || !symbol.chars().all(plain) {
        return Err(DatasetError::Unwritable {
            message: format!(
                "symbol `{symbol}` cannot be the name of a folder: use letters, digits, `.`, `_` and `-`, as in BTC-USD"
            ),
        });
    }
    Ok(())
}

/// The UTC year of a moment.
fn year_of(ms: i64) -> i64 {
    // Days to civil date, Howard Hinnant, https://howardhinnant.github.io/date_algorithms.html#civil_from_days
    let days = ms.div_euclid(DAY_MS) + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    year + era * 400 + i64::from(of_year >= 306)
}

/// Writes a file as a whole or not at all: beside its place first, then moved. Its folder must be there.
pub(crate) fn write_file(path: &Path, bytes: &[u8]) -> Result<(), DatasetError> {
    let mut partial = path.as_os_str().to_owned();
    partial.push(".partial");
    std::fs::write(&partial, bytes).and_then(|()| std::fs::rename(&partial, path)).map_err(|error| {
        // The first error is the one to report; half a file is of no use.
        let _ = std::fs::remove_file(&partial);
        DatasetError::write(path, &error)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn years_begin_on_the_first_of_january() {
        for (text, year) in [
            ("2023-12-31T23:59:59.999Z", 2023),
            ("2024-01-01T00:00:00Z", 2024),
            ("2024-02-29T12:00:00Z", 2024),
            ("1969-12-31T23:00:00Z", 1969),
            ("2000-12-31T23:00:00Z", 2000),
        ] {
            let at: jiff::Timestamp = text.parse().unwrap();
            assert_eq!(year_of(at.as_millisecond()), year, "{text}");
            assert_eq!(crate::error::iso(at.as_millisecond()), text);
        }
    }
}
