//! The one Parquet writer behind every table, and files that appear whole or not at all.
//!
//! Bytes are a function of the rows: row groups of [`ROW_GROUP_ROWS`] rows, ZSTD at level 3, writer version 1, a fixed
//! `created_by`, no Arrow schema in the metadata (the Parquet types say it all), and batches cut at row groups so that
//! the caller's rhythm never moves a page boundary.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef, TimeUnit};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::{WriterProperties, WriterVersion};
use parquet::schema::types::ColumnPath;

/// Rows of a row group in every table written here. Large enough to compress, small enough that a reader with a
/// predicate skips most of a big table.
pub const ROW_GROUP_ROWS: usize = 65_536;

const ZSTD_LEVEL: i32 = 3;
const CREATED_BY: &str = "blockgrid";

/// Why a file could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The file system said no.
    #[error("{path}: {source}", path = .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
    /// Not Parquet, or not written to the end.
    #[error("{path}: not a readable Parquet file: {source}", path = .path.display())]
    Parquet {
        /// The file.
        path: PathBuf,
        /// What the Parquet library said.
        source: ParquetError,
    },
    /// Columns that do not fit together.
    #[error("{path}: {source}", path = .path.display())]
    Arrow {
        /// The file.
        path: PathBuf,
        /// What the Arrow library said.
        source: ArrowError,
    },
}

impl FileError {
    pub(crate) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self + '_ {
        |source| Self::Io { path: path.to_owned(), source }
    }

    pub(crate) fn parquet(path: &Path) -> impl FnOnce(ParquetError) -> Self + '_ {
        |source| Self::Parquet { path: path.to_owned(), source }
    }

    pub(crate) fn arrow(path: &Path) -> impl FnOnce(ArrowError) -> Self + '_ {
        |source| Self::Arrow { path: path.to_owned(), source }
    }
}

/// A timestamp column: UTC milliseconds.
pub(crate) fn timestamp_type() -> DataType {
    DataType::Timestamp(TimeUnit::Millisecond, Some(Arc::from("UTC")))
}

/// The columns of a table. Text is dictionary-encoded, as are the numeric columns named in `repeating`.
pub(crate) struct Layout {
    pub(crate) schema: SchemaRef,
    pub(crate) repeating: Vec<String>,
}

impl Layout {
    pub(crate) fn new(fields: Vec<Field>) -> Self {
        Self { schema: Arc::new(Schema::new(fields)), repeating: Vec::new() }
    }

    fn properties(&self) -> Result<WriterProperties, ParquetError> {
        let mut properties = WriterProperties::builder()
            .set_writer_version(WriterVersion::PARQUET_1_0)
            .set_created_by(CREATED_BY.to_owned())
            .set_compression(Compression::ZSTD(ZstdLevel::try_new(ZSTD_LEVEL)?))
            .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
            .set_dictionary_enabled(false);
        for field in self.schema.fields() {
            if field.data_type() == &DataType::Utf8 || self.repeating.contains(field.name()) {
                let column = ColumnPath::new(vec![field.name().clone()]);
                properties = properties.set_column_dictionary_enabled(column, true);
            }
        }
        Ok(properties.build())
    }
}

/// Writes `rows` rows to `sink`; `columns` builds the arrays of a range of rows, in schema order.
pub(crate) fn write_parquet<W: Write + Send>(
    path: &Path,
    sink: W,
    layout: &Layout,
    rows: usize,
    mut columns: impl FnMut(std::ops::Range<usize>) -> Vec<ArrayRef>,
) -> Result<W, FileError> {
    let options = ArrowWriterOptions::new()
        .with_properties(layout.properties().map_err(FileError::parquet(path))?)
        .with_skip_arrow_metadata(true);
    let mut writer = ArrowWriter::try_new_with_options(sink, layout.schema.clone(), options)
        .map_err(FileError::parquet(path))?;
    let mut start = 0;
    while start < rows {
        let end = rows.min(start + ROW_GROUP_ROWS);
        let batch = RecordBatch::try_new(layout.schema.clone(), columns(start..end))
            .map_err(FileError::arrow(path))?;
        writer.write(&batch).map_err(FileError::parquet(path))?;
        start = end;
    }
    writer.into_inner().map_err(FileError::parquet(path))
}

/// Writes a Parquet file that appears under its name only when it is whole.
pub(crate) fn write_parquet_file(
    path: &Path,
    layout: &Layout,
    rows: usize,
    columns: impl FnMut(std::ops::Range<usize>) -> Vec<ArrayRef>,
) -> Result<(), FileError> {
    atomically(path, |file| {
        let sink = BufWriter::new(file);
        write_parquet(path, sink, layout, rows, columns)?.flush().map_err(FileError::io(path))
    })
}

/// Lets `write` fill a file beside `path`, then gives it the name `path`. On an error nothing is left behind.
pub(crate) fn atomically(
    path: &Path,
    write: impl FnOnce(&mut File) -> Result<(), FileError>,
) -> Result<(), FileError> {
    static SERIAL: AtomicU64 = AtomicU64::new(0);
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".{}-{}.tmp", std::process::id(), SERIAL.fetch_add(1, Ordering::Relaxed)));
    let temporary = path.with_file_name(name);
    let mut file = File::create(&temporary).map_err(FileError::io(&temporary))?;
    let written = write(&mut file)
        .and_then(|()| file.sync_all().map_err(FileError::io(&temporary)))
        .and_then(|()| fs::rename(&temporary, path).map_err(FileError::io(path)));
    if written.is_err() {
        // The first error is the one to report; a leftover temporary file harms nobody.
        let _ = fs::remove_file(&temporary);
    }
    written
}
