//! Writes a file a part at a time: beside its place first, and moved there when it is whole.

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use blockgrid_engine::candles::Candles;
use parquet::errors::ParquetError;
use tempfile::NamedTempFile;

use super::{check_target, csv_header, csv_rows, extension};
use crate::DatasetError;
use crate::codec::{ParquetWriter, ROW_GROUP, Series, Table};

/// Writes the candles of one series as `.csv` or `.parquet`, as whole as [`write_columns`](crate::write_columns) does.
/// Parquet is as in a data set. What is not finished leaves nothing behind.
pub struct CandlesWriter(FileWriter);

impl CandlesWriter {
    /// Starts a file of candles with these columns beside OHLCV; one that is there stays as it is until
    /// [`CandlesWriter::finish`].
    ///
    /// # Errors
    /// For another extension, a folder that is not there or cannot be written, and when the file exists unless
    /// `replace`.
    pub fn create(path: &Path, columns: &[&str], replace: bool) -> Result<Self, DatasetError> {
        FileWriter::create(path, &Table::new(columns).series(), replace).map(Self)
    }

    /// Appends candles, which come after those before and have the columns of the file.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn push(&mut self, candles: &Candles) -> Result<(), DatasetError> {
        let table = Table::from_candles(candles);
        self.0.write(candles.timestamp(), &table.series())
    }

    /// Puts the file in its place.
    ///
    /// # Errors
    /// When it cannot be written, or by now is there and was not to be replaced.
    pub fn finish(self) -> Result<(), DatasetError> {
        self.0.finish()
    }
}

/// A file of columns that is being written.
pub(super) struct FileWriter {
    path: PathBuf,
    replace: bool,
    format: Format,
}

enum Format {
    Csv(BufWriter<NamedTempFile>),
    Parquet(Box<ParquetWriter<BufWriter<NamedTempFile>>>),
}

impl FileWriter {
    /// Of the columns, the names count and whether they may be null.
    pub(super) fn create(path: &Path, columns: &[Series<'_>], replace: bool) -> Result<Self, DatasetError> {
        check_target(path).map_err(|message| DatasetError::Unwritable { message })?;
        if !replace {
            check_new(path)?;
        }
        let mut out = BufWriter::new(beside(path).map_err(|e| DatasetError::write(path, &e))?);
        let format = if extension(path) == "parquet" {
            let writer = ParquetWriter::new(out, columns, ROW_GROUP).map_err(|e| parquet(path, e))?;
            Format::Parquet(Box::new(writer))
        } else {
            out.write_all(csv_header(columns).as_bytes()).map_err(|e| DatasetError::write(path, &e))?;
            Format::Csv(out)
        };
        Ok(Self { path: path.to_owned(), replace, format })
    }

    pub(super) fn write(&mut self, timestamps: &[i64], columns: &[Series<'_>]) -> Result<(), DatasetError> {
        match &mut self.format {
            Format::Csv(out) => out
                .write_all(csv_rows(timestamps, columns).as_bytes())
                .map_err(|e| DatasetError::write(&self.path, &e)),
            Format::Parquet(writer) => writer.write(timestamps, columns).map_err(|e| parquet(&self.path, e)),
        }
    }

    pub(super) fn finish(self) -> Result<(), DatasetError> {
        let Self { path, replace, format } = self;
        let failed = |error: std::io::Error| DatasetError::write(&path, &error);
        let out = match format {
            Format::Csv(out) => out,
            Format::Parquet(writer) => writer.finish().map_err(|e| parquet(&path, e))?,
        };
        let file = out.into_inner().map_err(|e| failed(e.into_error()))?;
        file.as_file().sync_all().map_err(failed)?;
        if !replace {
            check_new(&path)?;
        }
        file.persist(&path).map(drop).map_err(|e| failed(e.error))
    }
}

fn check_new(path: &Path) -> Result<(), DatasetError> {
    if std::fs::symlink_metadata(path).is_err() {
        return Ok(());
    }
    let message = format!("`{}` exists: give another name, or replace the file with --force", path.display());
    Err(DatasetError::Unwritable { message })
}

/// A file of another name in the same folder, which is gone when it is dropped.
fn beside(path: &Path) -> std::io::Result<NamedTempFile> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".");
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    builder.prefix(&name).suffix(".partial");
    // As any other file: who may read it is for the umask to say.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(folder)
}

/// A disk that is full says so through the encoder.
fn parquet(path: &Path, error: ParquetError) -> DatasetError {
    if let ParquetError::External(inner) = &error
        && let Some(inner) = inner.downcast_ref::<std::io::Error>()
    {
        return DatasetError::write(path, inner);
    }
    DatasetError::Io { file: path.display().to_string(), message: error.to_string() }
}
