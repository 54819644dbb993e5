//! Single files: candles from CSV or Parquet, columns to CSV or Parquet.

pub(crate) mod csv;
mod rows;
#[cfg(test)]
mod tests;
pub(crate) mod time;

pub use rows::{FileRows, file_rows};

use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;

use blockgrid_engine::candles::Candles;
use blockgrid_engine::interval::Interval;
use object_store::local::LocalFileSystem;

use crate::DatasetError;
use crate::codec::{Footer, Object, ROW_GROUP, Series, Table, parquet_bytes};
use crate::dataset::{Places, ReadCounts, read_object};
use crate::error::{FileRow, iso, split};
use crate::runtime::block_on;
use crate::write::write_file;

/// Candles of a single file.
#[derive(Debug, Clone, PartialEq)]
pub struct FileCandles {
    /// The name of the file without folder and extension, as it is written.
    pub symbol: String,
    /// As asked, or the most frequent distance between two candles.
    pub interval: Interval,
    /// The candles.
    pub candles: Candles,
}

/// Reads `name.csv` or `name.parquet`.
///
/// CSV needs a header with `timestamp,open,high,low,close,volume` in any order and case, further columns are ignored;
/// Parquet needs the same columns. `timestamp` may be called `open_time`, `datetime`, `date` or `time`; in a CSV it is
/// ISO 8601 (UTC unless an offset is written) or a whole number of seconds, milliseconds, microseconds or nanoseconds,
/// told apart by magnitude. Without an interval, the most frequent distance between two candles is taken.
///
/// # Errors
/// What is not understood, with its line (or row) and column; what is no candle, with its line (or row).
pub fn read_file(path: &Path, interval: Option<Interval>) -> Result<FileCandles, DatasetError> {
    let file = path.display().to_string();
    let symbol = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let metadata = std::fs::metadata(path).map_err(|e| DatasetError::io(&file, &e))?;
    let extension = extension(path);
    let (interval, candles) = match extension.as_str() {
        "csv" if metadata.is_file() => {
            let bytes = std::fs::read(path).map_err(|e| DatasetError::io(&file, &e))?;
            let (raw, lines) = csv::parse(&file, &bytes)?;
            let interval = interval.map_or_else(|| infer(&file, &raw.timestamp), Ok)?;
            let candles = Candles::new(interval, raw).map_err(|error| {
                let (row, message) = split(&error);
                let place = row.and_then(|row| lines.get(row)).map_or(FileRow::Whole, |n| FileRow::Line(*n));
                DatasetError::BadCandle { file: file.clone(), place, message }
            })?;
            (interval, candles)
        }
        "parquet" if metadata.is_file() => read_parquet(path, file, metadata.len(), interval)?,
        _ => return Err(DatasetError::UnknownKind { file }),
    };
    Ok(FileCandles { symbol, interval, candles })
}

fn read_parquet(
    path: &Path,
    file: String,
    size: u64,
    interval: Option<Interval>,
) -> Result<(Interval, Candles), DatasetError> {
    let object = parquet_object(path, file, size)?;
    let mut table = Table::default();
    let mut places = Places::default();
    block_on(async {
        let footer = Footer::load(&object).await?;
        let mut counts = ReadCounts::default();
        read_object(&object, &footer, (None, None), &mut table, &mut places, &mut counts).await
    })?;
    let timestamp = &table.raw.timestamp;
    if timestamp.is_empty() {
        return Err(DatasetError::Interval {
            file: object.file,
            message: "it has no candles: give a file with at least one row".to_owned(),
        });
    }
    let descending = timestamp.windows(2).all(|pair| pair[1] < pair[0]);
    if timestamp.len() > 1 && descending {
        return Err(DatasetError::BadCandle {
            file: object.file,
            place: FileRow::Whole,
            message: csv::NEWEST_FIRST.to_owned(),
        });
    }
    let interval = interval.map_or_else(|| infer(&object.file, timestamp), Ok)?;
    Ok((interval, places.check(interval, table)?))
}

fn parquet_object(path: &Path, file: String, size: u64) -> Result<Object, DatasetError> {
    let absolute = std::fs::canonicalize(path).map_err(|e| DatasetError::io(&file, &e))?;
    let path = object_store::path::Path::from_filesystem_path(absolute)
        .map_err(|e| DatasetError::Io { file: file.clone(), message: e.to_string() })?;
    Ok(Object { store: Arc::new(LocalFileSystem::new()), path, file, size })
}

/// The most frequent distance between two candles, the shorter of two that are as frequent.
fn infer(file: &str, timestamp: &[i64]) -> Result<Interval, DatasetError> {
    let mut counts = std::collections::BTreeMap::<i64, usize>::new();
    for pair in timestamp.windows(2) {
        if pair[1] > pair[0] {
            *counts.entry(pair[1] - pair[0]).or_default() += 1;
        }
    }
    let error = |message| DatasetError::Interval { file: file.to_owned(), message };
    let Some((&ms, &count)) = counts.iter().max_by_key(|(ms, count)| (**count, -**ms)) else {
        let message = format!(
            "the interval cannot be told from {} candle(s): give it, as in `interval: 1h`",
            timestamp.len()
        );
        return Err(error(message));
    };
    Interval::from_millis(ms).ok_or_else(|| {
        error(format!(
            "its candles are mostly {ms} ms apart ({count} of {} times), which is no interval: check the timestamps, or give the interval, as in `interval: 1h`",
            timestamp.len() - 1
        ))
    })
}

fn extension(path: &Path) -> String {
    path.extension().map(|e| e.to_string_lossy().to_ascii_lowercase()).unwrap_or_default()
}

/// Writes a `timestamp` column (UTC milliseconds; ISO 8601 in a CSV) and columns of numbers as `.csv` or `.parquet`.
/// NaN becomes an empty field or null; every other number is written so that it reads back to the same bits.
///
/// # Errors
/// For another extension, a folder that is not there, columns of another length, a column name that is empty or given
/// twice, and when the file cannot be written.
pub fn write_columns(
    path: &Path,
    timestamps: &[i64],
    columns: &[(&str, &[f64])],
) -> Result<(), DatasetError> {
    let unwritable = |message| DatasetError::Unwritable { message };
    check_target(path).map_err(unwritable)?;
    for (i, (name, values)) in columns.iter().enumerate() {
        if values.len() != timestamps.len() {
            let (found, expected) = (values.len(), timestamps.len());
            return Err(unwritable(format!(
                "column `{name}` has {found} rows but `timestamp` has {expected}"
            )));
        }
        let taken = *name == "timestamp" || columns[..i].iter().any(|(other, _)| other == name);
        if name.is_empty() || taken {
            return Err(unwritable(format!(
                "column name `{name}` is empty or taken: give each column its own"
            )));
        }
    }
    let bytes = match extension(path).as_str() {
        "parquet" => {
            let columns: Vec<_> =
                columns.iter().map(|&(name, values)| Series { name, values, nullable: true }).collect();
            parquet_bytes(timestamps, &columns, ROW_GROUP)
                .map_err(|e| DatasetError::Io { file: path.display().to_string(), message: e.to_string() })?
        }
        _ => csv_text(timestamps, columns).into_bytes(),
    };
    write_file(path, &bytes)
}

/// Whether `path` can name a file of columns: its extension is known, its folder is there, it is no folder itself.
fn check_target(path: &Path) -> Result<(), String> {
    let shown = path.display().to_string();
    if shown.ends_with(std::path::is_separator) || path.is_dir() {
        return Err(format!(
            "`{shown}` names a folder: give the name of a file with the extension .csv or .parquet and nothing after it"
        ));
    }
    match extension(path).as_str() {
        "csv" | "parquet" => {}
        "" => {
            return Err(format!("`{shown}` has no extension: add .csv or .parquet, which tells the format"));
        }
        other => {
            return Err(format!(
                "`{shown}` has the extension .{other}, but only .csv and .parquet can be written: give one of these"
            ));
        }
    }
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() && !folder.is_dir() => {
            let folder_shown = folder.display();
            Err(if folder.exists() {
                format!("`{shown}` cannot be written: `{folder_shown}` is a file, not a folder")
            } else {
                format!(
                    "`{shown}` cannot be written: the folder `{folder_shown}` does not exist: make it first, or give another"
                )
            })
        }
        _ => Ok(()),
    }
}

fn csv_text(timestamps: &[i64], columns: &[(&str, &[f64])]) -> String {
    let mut text = "timestamp".to_owned();
    for (name, _) in columns {
        text.push(',');
        if name.contains([',', '"', '\n', '\r']) {
            text += &format!("\"{}\"", name.replace('"', "\"\""));
        } else {
            text += name;
        }
    }
    text.push('\n');
    for (row, &at) in timestamps.iter().enumerate() {
        text += &iso(at);
        for (_, values) in columns {
            text.push(',');
            if !values[row].is_nan() {
                // Writing to a `String` cannot fail.
                let _ = write!(text, "{:?}", values[row]);
            }
        }
        text.push('\n');
    }
    text
}
