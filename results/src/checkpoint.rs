//! Finished shards on disk: what a broken run need not repeat.
//!
//! A shard file is `BGSHARD1`, the SHA-256 of what follows, then a table of trials as Parquet. It is written beside its
//! place and renamed, so a file under its name is whole; should a disk or a copy truncate it, the digest tells. Which
//! job a shard belongs to is the business of its name: put the digest of job, data and engine version into the path.

use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use sha2::{Digest, Sha256};

use crate::parquet_file::{FileError, atomically};
use crate::table::{TableError, TrialTable, read_trials_from, write_trials_to};

const MAGIC: &[u8; 8] = b"BGSHARD1";
const HEADER: usize = MAGIC.len() + 32;

/// Why a shard could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum ShardError {
    /// The file system said no; [`ShardError::is_missing`] tells when the file does not exist.
    #[error(transparent)]
    File(#[from] FileError),
    /// The table inside, or the table to be written, is not one.
    #[error("{path}: {source}", path = .path.display())]
    Table {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: TableError,
    },
    /// Truncated, damaged, or not a shard at all: treat it as not done.
    #[error("{path}: not a whole shard ({problem}); it will be computed again", path = .path.display())]
    NotAShard {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: &'static str,
    },
}

impl ShardError {
    /// Whether the shard is simply not there.
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::File(FileError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound)
    }
}

/// Writes a finished shard; it appears under `path` whole or not at all. The same table gives the same bytes.
///
/// # Errors
/// [`ShardError`] when the table is inconsistent or the file system refuses.
pub fn write_shard(path: &Path, table: &TrialTable) -> Result<(), ShardError> {
    let payload = write_trials_to(path, Cursor::new(Vec::new()), table)
        .map_err(|source| ShardError::Table { path: path.to_owned(), source })?
        .into_inner();
    atomically(path, |file| {
        let mut put = |bytes: &[u8]| file.write_all(bytes).map_err(FileError::io(path));
        put(MAGIC)?;
        put(&Sha256::digest(&payload))?;
        put(&payload)
    })?;
    Ok(())
}

/// Reads a finished shard. Any error means: not done.
///
/// # Errors
/// [`ShardError`]: missing, truncated, damaged or foreign.
pub fn read_shard(path: &Path) -> Result<TrialTable, ShardError> {
    let bytes = Bytes::from(std::fs::read(path).map_err(FileError::io(path))?);
    let not_a_shard = |problem| ShardError::NotAShard { path: path.to_owned(), problem };
    if bytes.len() < HEADER || &bytes[..MAGIC.len()] != MAGIC {
        return Err(not_a_shard("no shard header"));
    }
    let payload = bytes.slice(HEADER..);
    if Sha256::digest(&payload)[..] != bytes[MAGIC.len()..HEADER] {
        return Err(not_a_shard("the digest differs"));
    }
    read_trials_from(path, payload).map_err(|source| ShardError::Table { path: path.to_owned(), source })
}
