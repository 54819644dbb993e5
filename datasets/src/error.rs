//! What can be wrong with a data set or a file of candles.

use blockgrid_engine::candles::CandleError;
use blockgrid_engine::interval::Interval;

use crate::import::ImportError;

/// Why candles could not be read or written. [`DatasetError::is_input_error`] tells what the caller can mend from what
/// went wrong underneath.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DatasetError {
    /// Nothing is there.
    #[error("`{location}` does not exist: check the path")]
    NotFound {
        /// As given.
        location: String,
    },
    /// The location is a file, but a folder is asked.
    #[error("`{location}` is a file, not the folder of a data set: give a single file as `file: {location}`")]
    NotAFolder {
        /// As given.
        location: String,
    },
    /// A scheme this build cannot read.
    #[error(
        "`{location}` names a {scheme}:// location, which this build cannot read yet: copy the data set to a folder and give its path or a file:// url"
    )]
    UnsupportedLocation {
        /// As given.
        location: String,
        /// Before `://`.
        scheme: String,
    },
    /// A `file://` URL that names no local absolute path.
    #[error("`{location}` is not a local file url: write file:///absolute/path, with %20 for a space")]
    BadUrl {
        /// As given.
        location: String,
    },
    /// Neither a manifest nor candle files.
    #[error(
        "`{location}` holds no data set: it has no dataset.json and no interval=1h/symbol=BTC-USD/year=2024/*.parquet files"
    )]
    NoDataset {
        /// As given.
        location: String,
    },
    /// The manifest cannot be understood.
    #[error("`{file}`: {message}")]
    Manifest {
        /// The manifest.
        file: String,
        /// What is wrong, and the remedy.
        message: String,
    },
    /// The catalogue cannot be understood.
    #[error(
        "`{file}` is damaged ({message}): restore it from a copy, or move it away and register the data sets again with `blockgrid data add NAME FOLDER` (no candles are lost)"
    )]
    Catalogue {
        /// The catalogue.
        file: String,
        /// What is wrong.
        message: String,
    },
    /// The catalogue does not have a name.
    #[error("`{name}` is not registered: `blockgrid data ls` lists what is")]
    NotRegistered {
        /// As asked.
        name: String,
    },
    /// A registered data set is no longer there.
    #[error(
        "`{name}` is registered at {location}, but there is no data set: restore it, tell its new place with `blockgrid data add {name} FOLDER`, or forget it with `blockgrid data remove {name}`"
    )]
    Gone {
        /// Its name.
        name: String,
        /// Where it was.
        location: String,
    },
    /// A data set is not what was registered.
    #[error(
        "`{name}` is not what was registered: {what}. If that was meant, accept it with `blockgrid data add {name} {location}`; otherwise restore the files"
    )]
    Changed {
        /// Its name.
        name: String,
        /// Where it is.
        location: String,
        /// The first difference.
        what: String,
    },
    /// The manifest names a file that is not there.
    #[error("`{file}` is listed in dataset.json but does not exist: restore the file or remove its entry")]
    MissingFile {
        /// The file.
        file: String,
    },
    /// No such symbol at any interval.
    #[error("symbol `{symbol}` is not in `{dataset}`, which has {existing}")]
    NoSymbol {
        /// As asked.
        symbol: String,
        /// The data set.
        dataset: String,
        /// The symbols there are.
        existing: String,
    },
    /// The symbol exists, but neither at this interval nor at one of which its candles could be made.
    #[error(
        "`{dataset}` has no {interval} candles of `{symbol}`, only {existing}: ask one of those, or a multiple of one"
    )]
    NoInterval {
        /// As asked.
        interval: Interval,
        /// As asked.
        symbol: String,
        /// The data set.
        dataset: String,
        /// The intervals there are.
        existing: String,
    },
    /// The symbol has candles, but none in the range.
    #[error(
        "`{dataset}` has no {interval} candles of `{symbol}` in the asked range: they reach from {first} to {last}"
    )]
    NoCandles {
        /// As asked.
        symbol: String,
        /// As asked.
        interval: Interval,
        /// The data set.
        dataset: String,
        /// First open, ISO 8601.
        first: String,
        /// Last open, ISO 8601.
        last: String,
    },
    /// The end of the file is no Parquet footer.
    #[error("`{file}` is not a Parquet file: {message}")]
    NotParquet {
        /// The file.
        file: String,
        /// What was found.
        message: String,
    },
    /// No such column beside OHLCV.
    #[error(
        "`{dataset}` has no column `{column}` beside the {interval} candles of `{symbol}`: it has {existing}"
    )]
    NoColumn {
        /// As asked.
        column: String,
        /// As asked.
        symbol: String,
        /// The interval of the stored candles.
        interval: Interval,
        /// The data set.
        dataset: String,
        /// The columns there are.
        existing: String,
    },
    /// A column is missing.
    #[error("`{file}` has no column `{column}`: it has {found}")]
    MissingColumn {
        /// The file.
        file: String,
        /// The missing column.
        column: String,
        /// Its columns.
        found: String,
    },
    /// A column has the wrong type.
    #[error("`{file}`: column `{column}` is {found} but must be {expected}")]
    WrongType {
        /// The file.
        file: String,
        /// The column.
        column: String,
        /// Its type.
        found: String,
        /// The type it must have.
        expected: &'static str,
    },
    /// A column is compressed in a way this build cannot read.
    #[error(
        "`{file}`: column `{column}` is compressed with {codec}, which this build cannot read: write the file again with zstd, snappy, gzip, lz4, brotli or no compression"
    )]
    Codec {
        /// The file.
        file: String,
        /// The column.
        column: String,
        /// The codec by its name in Parquet.
        codec: String,
    },
    /// The footer and the manifest disagree about the rows.
    #[error(
        "`{file}` has {found} rows but dataset.json says {manifest}: the file or the manifest is of another version"
    )]
    RowCount {
        /// The file.
        file: String,
        /// Rows in the footer.
        found: u64,
        /// Rows in the manifest.
        manifest: u64,
    },
    /// The file has another size than the manifest says.
    #[error(
        "`{file}` has {found} bytes but dataset.json says {manifest}: the file is cut off or of another version"
    )]
    Size {
        /// The file.
        file: String,
        /// Bytes there are.
        found: u64,
        /// Bytes in the manifest.
        manifest: u64,
    },
    /// The file has another SHA-256 than the manifest says.
    #[error("`{file}` has SHA-256 {found} but dataset.json says {manifest}: the file was changed or damaged")]
    Sha256 {
        /// The file.
        file: String,
        /// Of the bytes there are.
        found: String,
        /// In the manifest.
        manifest: String,
    },
    /// A snapshot holds other candles than the job was planned on.
    #[error(
        "`{file}` holds candles of digest {found}, but the job was planned on {expected}: it was changed or damaged"
    )]
    Digest {
        /// The object.
        file: String,
        /// Of the candles there are.
        found: String,
        /// Of those that were planned on.
        expected: String,
    },
    /// The footer was fine, but the values of a column cannot be read.
    #[error(
        "`{file}`: column `{column}` of row group {row_group} is damaged ({message}): restore the file from its source"
    )]
    CorruptPage {
        /// The file.
        file: String,
        /// The column.
        column: String,
        /// The row group, from 0.
        row_group: usize,
        /// What the reader says.
        message: String,
    },
    /// A value is missing.
    #[error(
        "`{file}` row {row}: `{column}` is null, but every candle needs a value: drop the row or fill it in"
    )]
    Null {
        /// The file.
        file: String,
        /// The column.
        column: String,
        /// Row in the file, from 1.
        row: usize,
    },
    /// A candle breaks a rule of candles.
    #[error("`{file}` {place}: {message}")]
    BadCandle {
        /// The file.
        file: String,
        /// `line 17` of a text, `row 17` of a Parquet file; both count from 1.
        place: FileRow,
        /// Which rule, with values and remedy.
        message: String,
    },
    /// A file of candles is not understood.
    #[error(transparent)]
    Import(#[from] ImportError),
    /// What was asked to be written cannot be.
    #[error("{message}")]
    Unwritable {
        /// What, and the remedy.
        message: String,
    },
    /// The operating system or the object store failed.
    #[error("`{file}`: {message}")]
    Io {
        /// The file.
        file: String,
        /// What it says.
        message: String,
    },
    /// The reader could not be started.
    #[error("cannot read data: {message}")]
    Runtime {
        /// Why.
        message: String,
    },
}

impl DatasetError {
    /// Whether the request or the data named in it is at fault (exit 2), rather than something that broke while
    /// reading: a damaged page, a failing disk (exit 1).
    pub fn is_input_error(&self) -> bool {
        match self {
            Self::Import(error) => error.is_input_error(),
            _ => !matches!(self, Self::CorruptPage { .. } | Self::Io { .. } | Self::Runtime { .. }),
        }
    }

    /// Whether the files of a data set are not what its `dataset.json` says: they are damaged, or still being copied.
    pub fn is_not_whole(&self) -> bool {
        matches!(
            self,
            Self::MissingFile { .. }
                | Self::NotParquet { .. }
                | Self::RowCount { .. }
                | Self::Size { .. }
                | Self::Sha256 { .. }
                | Self::Digest { .. }
        )
    }

    pub(crate) fn io(file: impl Into<String>, error: &std::io::Error) -> Self {
        let file = file.into();
        match error.kind() {
            std::io::ErrorKind::NotFound => Self::NotFound { location: file },
            _ => Self::Io { file, message: error.to_string() },
        }
    }

    pub(crate) fn write(path: &std::path::Path, error: &std::io::Error) -> Self {
        use std::io::ErrorKind;
        let file = path.display().to_string();
        let text = error.to_string();
        let said = text.split_once(" (os error").map_or(text.as_str(), |(said, _)| said);
        match error.kind() {
            // The place is the caller's choice.
            ErrorKind::NotFound
            | ErrorKind::PermissionDenied
            | ErrorKind::ReadOnlyFilesystem
            | ErrorKind::IsADirectory
            | ErrorKind::NotADirectory
            | ErrorKind::InvalidFilename => Self::Unwritable {
                message: format!("`{file}` cannot be written: {said}: give another place"),
            },
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Self::Io {
                file,
                message: format!("cannot be written: {said}: free some space, or give another place"),
            },
            _ => Self::Io { file, message: format!("cannot be written: {said}") },
        }
    }

    pub(crate) fn store(file: impl Into<String>, error: &object_store::Error) -> Self {
        let file = file.into();
        match error {
            object_store::Error::NotFound { .. } => Self::NotFound { location: file },
            _ => Self::Io { file, message: error.to_string() },
        }
    }
}

/// Where in a file a candle stands, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileRow {
    /// A line as an editor shows it.
    Line(usize),
    /// A row of a Parquet file.
    Row(usize),
    /// The file as a whole.
    Whole,
}

impl std::fmt::Display for FileRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Line(n) => write!(f, "line {n}"),
            Self::Row(n) => write!(f, "row {n}"),
            Self::Whole => write!(f, "as a whole"),
        }
    }
}

/// The row of a candle error (from 0) and its message without the row, which each format counts its own way.
pub(crate) fn split(error: &CandleError) -> (Option<usize>, String) {
    let text = error.to_string();
    let (row, timestamp) = match *error {
        CandleError::Length { .. } | CandleError::ColumnLength { .. } => return (None, text),
        CandleError::NotFinite { row, timestamp, .. }
        | CandleError::OutOfRange { row, timestamp, .. }
        | CandleError::Ohlc { row, timestamp, .. } => (row, Some(timestamp)),
        CandleError::Unsorted { row, .. }
        | CandleError::Duplicate { row, .. }
        | CandleError::Misaligned { row, .. } => (row, None),
    };
    let rest = text.split_once(": ").map_or(text.as_str(), |(_, rest)| rest);
    let message = match timestamp {
        Some(ms) => format!("candle of {}: {rest}", iso(ms)),
        None => rest.to_owned(),
    };
    (Some(row), message)
}

/// A moment as people read it: ISO 8601, UTC, with milliseconds only where there are some.
pub(crate) fn iso(ms: i64) -> String {
    jiff::Timestamp::from_millisecond(ms).map_or_else(|_| format!("{ms} ms"), |at| at.to_string())
}
