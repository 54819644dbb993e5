//! What can go wrong, and whose fault it is.

use std::io;
use std::path::PathBuf;

use datafusion::error::DataFusionError;

/// Why a query gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// The folder does not exist or is not a folder.
    #[error("there is no folder `{}`", .0.display())]
    NoFolder(PathBuf),
    /// The folder holds no `*.parquet`.
    #[error("no tables in `{}`: a table is a file such as trials.parquet", .0.display())]
    NoTables(PathBuf),
    /// A file of the folder cannot be read, or is not Parquet.
    #[error("cannot read `{}`", .path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// What the reader said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The statement is longer than [`MAX_SQL_BYTES`](crate::MAX_SQL_BYTES).
    #[error("the statement has {0} bytes; at most {max} are read", max = crate::MAX_SQL_BYTES)]
    TooLong(usize),
    /// The statement has more operators and keywords than [`MAX_OPERATORS`](crate::MAX_OPERATORS).
    #[error("the statement has {0} operators and keywords; at most {max} are planned", max = crate::MAX_OPERATORS)]
    TooDeep(usize),
    /// The statement would change something.
    #[error("tables are read-only, only queries run: {0}")]
    ReadOnly(String),
    /// The statement does not parse, or names what does not exist.
    #[error("{message}{known}")]
    Sql {
        /// What is wrong.
        message: String,
        /// The tables and columns there are, a line each, or nothing where they do not help.
        known: String,
    },
    /// The memory limit was reached.
    #[error("the query needs more memory than the limit of {limit} bytes: {reason}")]
    Memory {
        /// The limit in bytes.
        limit: usize,
        /// Who asked for how much.
        reason: String,
    },
    /// The query was fine and failed while it ran.
    #[error("the query failed: {0}")]
    Failed(String),
    /// The output could not be written.
    #[error("cannot write the answer")]
    Write(#[from] io::Error),
}

impl QueryError {
    /// Whether what was asked is at fault (exit code 2) rather than the run (exit code 1).
    pub fn is_bad_input(&self) -> bool {
        match self {
            Self::NoFolder(_)
            | Self::NoTables(_)
            | Self::TooLong(_)
            | Self::TooDeep(_)
            | Self::ReadOnly(_)
            | Self::Sql { .. } => true,
            Self::Read { .. } | Self::Memory { .. } | Self::Failed(_) | Self::Write(_) => false,
        }
    }

    pub(crate) fn running(error: &DataFusionError, limit: usize) -> Self {
        match error.find_root() {
            DataFusionError::ResourcesExhausted(reason) => Self::Memory { limit, reason: reason.clone() },
            root => Self::Failed(root.strip_backtrace()),
        }
    }
}
