//! `dataset.json`: what a data set is and which files it has.

use std::collections::BTreeSet;

use blockgrid_engine::interval::Interval;
use serde::{Deserialize, Serialize};

use crate::DatasetError;

/// Name of the manifest inside a data set.
pub const MANIFEST: &str = "dataset.json";

const FORMAT: u32 = 1;

/// The manifest of a data set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Version of this format.
    pub format: u32,
    /// Name of the data set.
    pub name: String,
    /// Where the candles come from.
    pub source: String,
    /// Under which licence they may be used, SPDX where there is an identifier.
    pub licence: String,
    /// Whether the candles are made up.
    pub synthetic: bool,
    /// What made them, if they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generator: Option<Generator>,
    /// The files, by path.
    pub files: Vec<FileEntry>,
}

/// What made synthetic candles; the same generator, version and seed give the same bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Generator {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: u32,
    /// The seed.
    pub seed: u64,
}

/// One file of candles.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileEntry {
    /// Path inside the data set, with `/`.
    pub path: String,
    /// Symbol of every candle in it.
    pub symbol: String,
    /// Interval of every candle in it.
    pub interval: Interval,
    /// Number of candles.
    pub rows: u64,
    /// Open of the first candle, UTC milliseconds.
    pub first: i64,
    /// Open of the last candle, UTC milliseconds.
    pub last: i64,
    /// Size of the file.
    pub bytes: u64,
    /// SHA-256 of the file in hex; empty in a manifest that was gathered from the files because none was there.
    pub sha256: String,
    /// Names of its columns beside OHLCV, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<String>,
}

impl Manifest {
    pub(crate) fn new(
        name: String,
        source: String,
        licence: String,
        generator: Option<Generator>,
        files: Vec<FileEntry>,
    ) -> Self {
        Self { format: FORMAT, name, source, licence, synthetic: generator.is_some(), generator, files }
    }

    /// The text of `dataset.json`.
    pub(crate) fn to_json(&self) -> Result<String, DatasetError> {
        serde_json::to_string_pretty(self)
            .map(|text| text + "\n")
            .map_err(|e| DatasetError::Manifest { file: MANIFEST.to_owned(), message: e.to_string() })
    }

    pub(crate) fn from_json(file: &str, bytes: &[u8]) -> Result<Self, DatasetError> {
        let error = |message| DatasetError::Manifest { file: file.to_owned(), message };
        let manifest: Self =
            serde_json::from_slice(bytes).map_err(|e| error(format!("not a manifest of a data set: {e}")))?;
        if manifest.format != FORMAT {
            return Err(error(format!(
                "format {} is not known, only {FORMAT}: use the version of blockgrid that wrote it",
                manifest.format
            )));
        }
        let mut seen = BTreeSet::new();
        for entry in &manifest.files {
            if object_store::path::Path::parse(&entry.path).is_err() {
                return Err(error(format!("path `{}` does not stay inside the data set", entry.path)));
            }
            if !seen.insert(&entry.path) {
                return Err(error(format!("path `{}` is listed twice: keep one entry", entry.path)));
            }
            if entry.rows == 0 || entry.first > entry.last {
                return Err(error(format!(
                    "`{}` has {} rows from {} to {}: a file needs at least one row and `first` <= `last`",
                    entry.path, entry.rows, entry.first, entry.last
                )));
            }
        }
        Ok(manifest)
    }

    /// The intervals of a symbol, finest first.
    pub fn intervals(&self, symbol: &str) -> Vec<Interval> {
        let found: BTreeSet<_> =
            self.files.iter().filter(|f| f.symbol == symbol).map(|f| f.interval).collect();
        found.into_iter().collect()
    }

    /// The symbols at an interval, or all of them, sorted.
    pub fn symbols(&self, interval: Option<Interval>) -> Vec<String> {
        let at = |f: &&FileEntry| interval.is_none_or(|i| i == f.interval);
        let found: BTreeSet<_> = self.files.iter().filter(at).map(|f| f.symbol.clone()).collect();
        found.into_iter().collect()
    }
}
