//! Single files of columns, as CSV or Parquet.

#[cfg(test)]
mod tests;
mod writer;

use std::fmt::Write;
use std::path::Path;

use crate::DatasetError;
use crate::codec::Series;
use crate::error::iso;
pub use writer::CandlesWriter;
use writer::FileWriter;

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
    let columns: Vec<_> =
        columns.iter().map(|&(name, values)| Series { name, values, nullable: true }).collect();
    let mut writer = FileWriter::create(path, &columns, true)?;
    writer.write(timestamps, &columns)?;
    writer.finish()
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

fn csv_header(columns: &[Series<'_>]) -> String {
    let mut text = "timestamp".to_owned();
    for Series { name, .. } in columns {
        text.push(',');
        if name.contains([',', '"', '\n', '\r']) {
            text += &format!("\"{}\"", name.replace('"', "\"\""));
        } else {
            text += name;
        }
    }
    text.push('\n');
    text
}

fn csv_rows(timestamps: &[i64], columns: &[Series<'_>]) -> String {
    let mut text = String::new();
    for (row, &at) in timestamps.iter().enumerate() {
        text += &iso(at);
        for Series { values, .. } in columns {
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
