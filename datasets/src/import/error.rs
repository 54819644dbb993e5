//! Why candles of another program could not be read.

use crate::error::FileRow;

/// What is wrong with a file that is imported, where, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// The operating system failed.
    #[error("`{file}`: {message}")]
    Io {
        /// The file.
        file: String,
        /// What it says.
        message: String,
    },
    /// There is nothing at the path, or it is no file.
    #[error("`{file}` {message}")]
    NoFile {
        /// As given.
        file: String,
        /// What is there, and the remedy.
        message: String,
    },
    /// There is no candle.
    #[error("`{file}` has no candles: give a file with at least one row")]
    Empty {
        /// The file.
        file: String,
    },
    /// The bytes are in no format that is read.
    #[error("`{file}` {message}")]
    NotCandles {
        /// The file.
        file: String,
        /// What was found, and the remedy.
        message: String,
    },
    /// A compressed file grows beyond what candles do.
    #[error("`{file}` unpacks to {unpacked} bytes from {packed}, {limit}: unpack it by hand if you trust it")]
    Bomb {
        /// The file.
        file: String,
        /// Bytes so far.
        unpacked: u64,
        /// Compressed bytes so far.
        packed: u64,
        /// The limit it broke.
        limit: &'static str,
    },
    /// The file is damaged.
    #[error("`{file}` {place} is damaged ({message}): get the file again from its source")]
    Damaged {
        /// The file.
        file: String,
        /// About where.
        place: FileRow,
        /// What the decoder says.
        message: String,
    },
    /// The file was written to while it was read.
    #[error("`{file}` was {what} while it was read: import it again when nothing writes to it")]
    Changed {
        /// The file.
        file: String,
        /// `grown`, `cut off` or `changed`.
        what: &'static str,
    },
    /// Something can be read in more than one way.
    #[error("`{file}`: {message}")]
    Ambiguous {
        /// The file.
        file: String,
        /// What, and which option decides.
        message: String,
    },
    /// A column of the candles is not there.
    #[error("`{file}`{place} has no column `{column}`, only {found}: {remedy}", place = shown(.place))]
    MissingColumn {
        /// The file.
        file: String,
        /// The header.
        place: FileRow,
        /// The missing column.
        column: &'static str,
        /// The columns there are.
        found: String,
        /// What to do.
        remedy: String,
    },
    /// A column is there twice.
    #[error("`{file}`{place} names column `{column}` twice: keep one, or say which with --columns", place = shown(.place))]
    RepeatedColumn {
        /// The file.
        file: String,
        /// The header.
        place: FileRow,
        /// The column.
        column: String,
    },
    /// A row has more or fewer fields than the others.
    #[error("`{file}` {place} has {found} fields but {expected} are expected: {remedy}")]
    Fields {
        /// The file.
        file: String,
        /// The row.
        place: FileRow,
        /// Fields of the row.
        found: usize,
        /// Fields of the others.
        expected: usize,
        /// What to do.
        remedy: &'static str,
    },
    /// A row cannot be split into fields.
    #[error("`{file}` {place} {message}")]
    Row {
        /// The file.
        file: String,
        /// The row.
        place: FileRow,
        /// Why, and the remedy.
        message: String,
    },
    /// A value is not what its column holds.
    #[error("`{file}` {place}, column `{column}`: `{value}` {message}")]
    Value {
        /// The file.
        file: String,
        /// The row.
        place: FileRow,
        /// The column as the file names it.
        column: String,
        /// The value.
        value: String,
        /// What is wrong with it, and the remedy.
        message: String,
    },
    /// A column has a type that holds no candles.
    #[error("`{file}`: column `{column}` is {found} but must be {expected}")]
    WrongType {
        /// The file.
        file: String,
        /// The column.
        column: String,
        /// Its type.
        found: String,
        /// What it must be.
        expected: &'static str,
    },
    /// Rows are no candles.
    #[error("{0}")]
    BadRows(BadRowList),
    /// The interval cannot be told, or is not the one that is named.
    #[error("`{file}`: {message}")]
    Interval {
        /// The file.
        file: String,
        /// Why, and the remedy.
        message: String,
    },
    /// The symbol cannot be told.
    #[error("`{file}`: {message}")]
    Symbol {
        /// The file.
        file: String,
        /// Why, and the remedy.
        message: String,
    },
    /// Two files have different candles of one time.
    #[error("{message}")]
    Overlap {
        /// Which, and the remedy.
        message: String,
    },
    /// An option cannot be understood or used.
    #[error("{option} {message}")]
    BadOption {
        /// The option.
        option: &'static str,
        /// What is wrong, and the remedy.
        message: String,
    },
}

/// The first rows that are no candles, and how many there are of each kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadRowList {
    /// The file.
    pub file: String,
    /// The first ones: where, and what is wrong with values and remedy.
    pub first: Vec<(FileRow, String)>,
    /// How many of each kind, in order of the kinds.
    pub counts: super::BadRowCounts,
}

impl std::fmt::Display for BadRowList {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let total = self.counts.total();
        if let ([(place, message)], 1) = (self.first.as_slice(), total) {
            return write!(f, "`{}` {place}: {message}", self.file);
        }
        write!(f, "`{}` has {total} bad rows ({})", self.file, self.counts)?;
        for (place, message) in &self.first {
            write!(f, "\n    {place}: {message}")?;
        }
        if total > self.first.len() as u64 {
            write!(f, "\n    and {} more", total - self.first.len() as u64)?;
        }
        Ok(())
    }
}

impl ImportError {
    /// Whether the file or the request is at fault (exit 2), rather than a disk that fails (exit 1).
    pub fn is_input_error(&self) -> bool {
        !matches!(self, Self::Io { .. })
    }

    /// What a reader ran into: one of our own errors, or the operating system's.
    pub(crate) fn io(file: &str, error: &std::io::Error) -> Self {
        use std::io::ErrorKind;
        if let Some(own) = error.get_ref().and_then(|inner| inner.downcast_ref::<Self>()) {
            return own.clone();
        }
        let file = file.to_owned();
        let text = error.to_string();
        match error.kind() {
            ErrorKind::NotFound => {
                Self::NoFile { file, message: "does not exist: check the path".to_owned() }
            }
            ErrorKind::PermissionDenied => Self::NoFile {
                file,
                message: "cannot be read (permission denied): check its rights".to_owned(),
            },
            // What decoders say of bytes they do not understand.
            ErrorKind::InvalidInput | ErrorKind::InvalidData | ErrorKind::UnexpectedEof => {
                Self::Damaged { file, place: FileRow::Whole, message: text }
            }
            _ => Self::Io { file, message: text },
        }
    }
}

fn shown(place: &FileRow) -> String {
    match place {
        FileRow::Whole => String::new(),
        place => format!(" {place}"),
    }
}
