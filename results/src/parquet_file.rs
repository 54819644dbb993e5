//! The one Parquet writer behind every table, and files that appear whole or not at all.
//!
//! Bytes are a function of the rows: row groups of [`ROW_GROUP_ROWS`] rows, ZSTD at level 3, writer version 1, a fixed
//! `created_by`, no Arrow schema in the metadata (the Parquet types say it all), and batches cut at row groups so that
//! the caller's rhythm never moves a page boundary.

use std::fmt;
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
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterVersion};
use parquet::schema::types::ColumnPath;

/// Rows of a row group in every table written here. Large enough to compress, small enough that a reader with a
/// predicate skips most of a big table.
pub const ROW_GROUP_ROWS: usize = 65_536;

const ZSTD_LEVEL: i32 = 3;
const CREATED_BY: &str = "blockgrid";

/// Why a file could not be written or read. The message holds the cause, so there is no further source: who prints the
/// whole chain prints the cause once.
#[derive(Debug)]
pub enum FileError {
    /// The file could not be written.
    Write {
        /// The file.
        path: PathBuf,
        /// What the file system said.
        source: io::Error,
    },
    /// The file system said no.
    Io {
        /// The file.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
    /// Not Parquet, or not written to the end.
    Parquet {
        /// The file.
        path: PathBuf,
        /// What the Parquet library said.
        source: ParquetError,
    },
    /// Columns that do not fit together.
    Arrow {
        /// The file.
        path: PathBuf,
        /// What the Arrow library said.
        source: ArrowError,
    },
}

impl std::error::Error for FileError {}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Write { path, source } => write!(f, "failed to write {}: {}", path.display(), said(source)),
            Self::Io { path, source } => write!(f, "{}: {}", path.display(), said(source)),
            Self::Parquet { path, source } => {
                write!(f, "{}: not a readable Parquet file: {source}", path.display())
            }
            Self::Arrow { path, source } => write!(f, "{}: {source}", path.display()),
        }
    }
}

/// What the file system said, without the number it has for it.
fn said(error: &io::Error) -> String {
    let text = error.to_string();
    match text.split_once(" (os error") {
        Some((said, _)) => said.to_owned(),
        None => text,
    }
}

impl FileError {
    pub(crate) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self + '_ {
        |source| Self::Io { path: path.to_owned(), source }
    }

    /// What the Parquet writer gave up on: mostly the error of the file underneath.
    fn write(path: &Path) -> impl Fn(ParquetError) -> Self + '_ {
        |error| {
            let source = match error {
                ParquetError::External(cause) => match cause.downcast::<io::Error>() {
                    Ok(source) => *source,
                    Err(cause) => io::Error::other(cause),
                },
                error => io::Error::other(error),
            };
            Self::Write { path: path.to_owned(), source }
        }
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
    /// Text of long runs, which is written as it is: a dictionary looks at every row, and zstd makes as little of it.
    pub(crate) runs: Vec<&'static str>,
}

impl Layout {
    pub(crate) fn new(fields: Vec<Field>) -> Self {
        Self { schema: Arc::new(Schema::new(fields)), repeating: Vec::new(), runs: Vec::new() }
    }

    fn properties(&self) -> Result<WriterProperties, ParquetError> {
        let mut properties = WriterProperties::builder()
            .set_writer_version(WriterVersion::PARQUET_1_0)
            .set_created_by(CREATED_BY.to_owned())
            .set_compression(Compression::ZSTD(ZstdLevel::try_new(ZSTD_LEVEL)?))
            .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
            .set_dictionary_enabled(false);
        for field in self.schema.fields() {
            let column = ColumnPath::new(vec![field.name().clone()]);
            if self.runs.contains(&field.name().as_str()) {
                properties = properties.set_column_statistics_enabled(column, EnabledStatistics::None);
            } else if field.data_type() == &DataType::Utf8 || self.repeating.contains(field.name()) {
                properties = properties.set_column_dictionary_enabled(column, true);
            }
        }
        Ok(properties.build())
    }
}

/// Writes `rows` rows to `sink`; `columns` builds the arrays of a range of rows, in schema order.
pub(crate) fn write_parquet<W: Write + Send>(
    path: &Path,
    mut sink: W,
    layout: &Layout,
    rows: usize,
    mut columns: impl FnMut(std::ops::Range<usize>) -> Vec<ArrayRef>,
) -> Result<W, FileError> {
    let mut groups = RowGroups::begin(path, &mut sink, layout)?;
    let mut start = 0;
    while start < rows {
        let end = rows.min(start + ROW_GROUP_ROWS);
        groups.write(columns(start..end))?;
        start = end;
    }
    groups.end()?;
    drop(groups);
    Ok(sink)
}

/// A table, one row group after the other.
struct RowGroups<W: Write + Send> {
    /// For messages.
    path: PathBuf,
    schema: SchemaRef,
    writer: ArrowWriter<W>,
}

impl<W: Write + Send> RowGroups<W> {
    fn begin(path: &Path, sink: W, layout: &Layout) -> Result<Self, FileError> {
        let options = ArrowWriterOptions::new()
            .with_properties(layout.properties().map_err(FileError::write(path))?)
            .with_skip_arrow_metadata(true);
        let writer = ArrowWriter::try_new_with_options(sink, layout.schema.clone(), options)
            .map_err(FileError::write(path))?;
        Ok(Self { path: path.to_owned(), schema: layout.schema.clone(), writer })
    }

    /// Arrays of [`ROW_GROUP_ROWS`] rows, or of the last ones.
    fn write(&mut self, columns: Vec<ArrayRef>) -> Result<(), FileError> {
        let batch = RecordBatch::try_new(self.schema.clone(), columns)
            .map_err(|e| FileError::write(&self.path)(e.into()))?;
        self.writer.write(&batch).map_err(FileError::write(&self.path))
    }

    fn end(&mut self) -> Result<(), FileError> {
        // Not `into_inner`: it would make text of the error of the sink.
        self.writer.finish().map_err(FileError::write(&self.path))?;
        Ok(())
    }
}

/// Builds the arrays of rows, in schema order.
type Columns<R> = Box<dyn Fn(&[R]) -> Vec<ArrayRef> + Send>;

/// A Parquet file that takes its rows one after the other and holds those of one row group at a time. It appears under
/// its name when it is finished, and has the bytes that [`write_parquet_file`] gives it.
pub(crate) struct RowFile<R> {
    groups: RowGroups<BufWriter<File>>,
    beside: Beside,
    columns: Columns<R>,
    rows: Vec<R>,
}

impl<R> RowFile<R> {
    pub(crate) fn create(path: &Path, layout: &Layout, columns: Columns<R>) -> Result<Self, FileError> {
        let beside = Beside::create(path)?;
        let file = beside.file.try_clone().map_err(|source| beside.failed(source))?;
        Ok(Self {
            groups: RowGroups::begin(path, BufWriter::new(file), layout)?,
            beside,
            columns,
            rows: Vec::new(),
        })
    }

    pub(crate) fn push(&mut self, row: R) -> Result<(), FileError> {
        self.rows.push(row);
        if self.rows.len() == ROW_GROUP_ROWS { self.write() } else { Ok(()) }
    }

    pub(crate) fn finish(mut self) -> Result<(), FileError> {
        if !self.rows.is_empty() {
            self.write()?;
        }
        self.groups.end()?;
        self.groups.writer.inner_mut().flush().map_err(|source| self.beside.failed(source))?;
        self.beside.commit()
    }

    fn write(&mut self) -> Result<(), FileError> {
        let columns = (self.columns)(&self.rows);
        self.rows.clear();
        self.groups.write(columns)
    }
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
    let mut beside = Beside::create(path)?;
    write(&mut beside.file).map_err(|error| match error {
        FileError::Io { source, .. } => beside.failed(source),
        other => other,
    })?;
    beside.commit()
}

/// A file beside the place that it is for; it goes there when it is whole, and away when it never is.
struct Beside {
    path: PathBuf,
    temporary: PathBuf,
    file: File,
}

impl Beside {
    fn create(path: &Path) -> Result<Self, FileError> {
        static SERIAL: AtomicU64 = AtomicU64::new(0);
        let mut name = std::ffi::OsString::from(".");
        name.push(path.file_name().unwrap_or_default());
        name.push(format!(".{}-{}.tmp", std::process::id(), SERIAL.fetch_add(1, Ordering::Relaxed)));
        let temporary = path.with_file_name(name);
        let file =
            File::create(&temporary).map_err(|source| FileError::Write { path: path.to_owned(), source })?;
        Ok(Self { path: path.to_owned(), temporary, file })
    }

    /// Nobody knows the temporary file: messages name the one that was to be written.
    fn failed(&self, source: io::Error) -> FileError {
        FileError::Write { path: self.path.clone(), source }
    }

    fn commit(self) -> Result<(), FileError> {
        let placed = self.file.sync_all().and_then(|()| fs::rename(&self.temporary, &self.path));
        placed.map_err(|source| self.failed(source))
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        // Once it is in its place there is none. An error was told already; a leftover temporary file harms nobody.
        let _ = fs::remove_file(&self.temporary);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::Float64Array;

    /// A disk that is full after some bytes.
    struct Full(usize);

    impl Write for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if bytes.len() > self.0 {
                return Err(io::Error::from_raw_os_error(28));
            }
            self.0 -= bytes.len();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn layout() -> Layout {
        Layout::new(vec![Field::new("x", DataType::Float64, false)])
    }

    fn column(rows: std::ops::Range<usize>) -> Vec<ArrayRef> {
        vec![Arc::new(Float64Array::from_iter_values(rows.map(|i| (i as f64).sin())))]
    }

    /// As `{:#}` of `anyhow` shows an error: with its sources.
    fn chain(error: &dyn std::error::Error) -> String {
        let mut text = error.to_string();
        let mut next = error.source();
        while let Some(cause) = next {
            text += &format!(": {cause}");
            next = cause.source();
        }
        text
    }

    #[test]
    fn a_full_disk_is_told_once() {
        let path = Path::new("runs/trades.parquet");
        let expected =
            format!("failed to write runs/trades.parquet: {}", said(&io::Error::from_raw_os_error(28)));
        // At the mark, in the pages, in the footer.
        let whole = write_parquet(path, Vec::new(), &layout(), ROW_GROUP_ROWS, column).unwrap().len();
        for room in [0, 100, whole - 1] {
            let written = write_parquet(path, Full(room), &layout(), ROW_GROUP_ROWS, column);
            let Err(error) = written else { panic!("{room} bytes were enough") };
            assert_eq!(chain(&error), expected, "{room}");
        }
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("trades.parquet");
        let full = |_: &mut File| Err(FileError::io(&path)(io::Error::from_raw_os_error(28)));
        let error = atomically(&path, full).unwrap_err();
        assert!(chain(&error).starts_with(&format!("failed to write {}: ", path.display())), "{error}");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    /// Whoever writes, and however the rows come: the same bytes. 0 rows, a row group to the last row, and more than one.
    #[test]
    fn rows_one_by_one_give_the_bytes_of_all_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let [at_once, one_by_one] = ["a", "b"].map(|name| dir.path().join(name));
        for rows in [0, 10, ROW_GROUP_ROWS, 2 * ROW_GROUP_ROWS + 7] {
            write_parquet_file(&at_once, &layout(), rows, column).unwrap();
            let of = |rows: &[usize]| column(rows.first().map_or(0..0, |&first| first..first + rows.len()));
            let mut file = RowFile::create(&one_by_one, &layout(), Box::new(of)).unwrap();
            (0..rows).for_each(|row| file.push(row).unwrap());
            assert!(file.rows.len() < ROW_GROUP_ROWS, "no more is held than a row group");
            file.finish().unwrap();
            assert!(fs::read(&at_once).unwrap() == fs::read(&one_by_one).unwrap(), "{rows}");
        }
        let mut file = RowFile::create(&one_by_one, &layout(), Box::new(|_: &[usize]| Vec::new())).unwrap();
        file.push(0).unwrap();
        file.finish().unwrap_err();
        drop(RowFile::create(&one_by_one, &layout(), Box::new(|_: &[usize]| Vec::new())).unwrap());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2, "what is not finished leaves nothing");
    }

    #[test]
    fn a_missing_folder_is_told_with_the_name_of_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("none/trades.parquet");
        let error = write_parquet_file(&path, &layout(), 1, column).unwrap_err();
        let start = format!("failed to write {}: ", path.display());
        let text = chain(&error);
        assert!(text.starts_with(&start) && !text.contains("os error"), "{text}");
    }
}
