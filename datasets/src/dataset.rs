//! A data set: opened by its manifest, read by symbol, interval and range of time.

mod batches;
mod checked;
mod coverage;
mod index;
mod made;
mod parts;
mod read;
#[cfg(test)]
mod tests;
mod verify;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use blockgrid_engine::candles::Candles;
use blockgrid_engine::interval::Interval;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};

pub use batches::{Batch, Batches};
pub use parts::CandleParts;

use crate::DatasetError;
use crate::codec::{Footer, Object, Table, list};
use crate::error::iso;
use crate::location::local_path;
use crate::manifest::{FileEntry, MANIFEST, Manifest};
use crate::runtime::block_on;
pub use coverage::{Coverage, Gap, Month};
pub(crate) use read::{Places, read_object};
use read::{cut, in_range};

/// Candles at rest under one root.
#[derive(Clone)]
pub struct Dataset {
    store: Arc<dyn ObjectStore>,
    prefix: Path,
    location: String,
    manifest: Arc<Manifest>,
    has_manifest: bool,
}

/// How much of a data set a read touched.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReadCounts {
    /// Files of the symbol and interval.
    pub files: usize,
    /// Files whose footer was read.
    pub files_read: usize,
    /// Row groups in the files that were read.
    pub row_groups: usize,
    /// Row groups whose columns were read.
    pub row_groups_read: usize,
    /// Bytes of the columns that were read.
    pub column_bytes: u64,
}

impl ReadCounts {
    fn add(&mut self, more: Self) {
        self.files_read += more.files_read;
        self.row_groups += more.row_groups;
        self.row_groups_read += more.row_groups_read;
        self.column_bytes += more.column_bytes;
    }
}

impl Dataset {
    /// Opens the folder at a path or a `file://` URL.
    ///
    /// Without a `dataset.json` the folders `interval=/symbol=/year=` are walked and every footer read.
    ///
    /// # Errors
    /// When the folder is not there, holds no data set, or its manifest cannot be understood; what is at an
    /// `s3://` location is opened by [`Dataset::from_store`].
    pub fn open(location: &str) -> Result<Self, DatasetError> {
        let path = local_path(location)?;
        let metadata = std::fs::metadata(&path).map_err(|e| DatasetError::io(location, &e))?;
        if !metadata.is_dir() {
            return Err(DatasetError::NotAFolder { location: location.to_owned() });
        }
        let store = LocalFileSystem::new_with_prefix(&path).map_err(|e| DatasetError::store(location, &e))?;
        Self::from_store(Arc::new(store), Path::default(), location)
    }

    /// Opens what lies under `prefix` of any object store; `location` is how messages name it.
    ///
    /// # Errors
    /// As [`Dataset::open`].
    pub fn from_store(
        store: Arc<dyn ObjectStore>,
        prefix: Path,
        location: impl Into<String>,
    ) -> Result<Self, DatasetError> {
        let location = location.into();
        let (manifest, has_manifest) = block_on(async {
            let path = join(&prefix, MANIFEST);
            let file = format!("{}/{MANIFEST}", location.trim_end_matches('/'));
            match store.get(&path).await {
                Ok(found) => {
                    let bytes = found.bytes().await.map_err(|e| DatasetError::store(&file, &e))?;
                    Ok((Manifest::from_json(&file, &bytes)?, true))
                }
                Err(object_store::Error::NotFound { .. }) => {
                    Ok((index::gather(&store, &prefix, &location).await?, false))
                }
                Err(error) => Err(DatasetError::store(&file, &error)),
            }
        })?;
        Ok(Self { store, prefix, location, manifest: Arc::new(manifest), has_manifest })
    }

    /// What the data set is and which files it has.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Whether it has a `dataset.json`. Without one it is what is there of it, which may be a part.
    pub fn has_manifest(&self) -> bool {
        self.has_manifest
    }

    /// How messages name the data set.
    pub fn location(&self) -> &str {
        &self.location
    }

    /// The symbols that have candles of an interval, stored or made of finer ones, sorted.
    pub fn symbols(&self, interval: Interval) -> Vec<String> {
        let mut symbols = self.manifest.symbols(None);
        symbols.retain(|symbol| self.stored_interval(symbol, interval).is_some());
        symbols
    }

    /// The candles of a symbol that open in `from_ms..to_ms` (UTC milliseconds, all without bounds), oldest first.
    ///
    /// Files are chosen by the manifest, row groups by the statistics in their footers; only those are fetched. Where
    /// the interval is not stored, the candles are made of those of [`Dataset::stored_interval`]: the same that would
    /// stand there had all of them been resampled and stored.
    ///
    /// # Errors
    /// When there is no such symbol, interval or candle in the range; when a footer shows that a file is not the one
    /// of the manifest; when a column is damaged ([`DatasetError::CorruptPage`]) or a candle is none.
    pub fn read(
        &self,
        symbol: &str,
        interval: Interval,
        from_ms: Option<i64>,
        to_ms: Option<i64>,
    ) -> Result<Candles, DatasetError> {
        self.read_counted(symbol, interval, from_ms, to_ms, &[]).map(|(candles, _)| candles)
    }

    /// [`Dataset::read`] with columns beside OHLCV, which the candles then have in this order. In a file that has not
    /// got a column, its values are unknown (NaN).
    ///
    /// # Errors
    /// As [`Dataset::read`], and when no file of the symbol has a column of that name.
    pub fn read_with(
        &self,
        symbol: &str,
        interval: Interval,
        from_ms: Option<i64>,
        to_ms: Option<i64>,
        columns: &[&str],
    ) -> Result<Candles, DatasetError> {
        self.read_counted(symbol, interval, from_ms, to_ms, columns).map(|(candles, _)| candles)
    }

    /// The columns beside OHLCV that a symbol has at an interval, sorted.
    pub fn columns(&self, symbol: &str, interval: Interval) -> Vec<String> {
        let stored = self.stored_interval(symbol, interval);
        let files = stored.map(|stored| self.files(symbol, stored)).unwrap_or_default();
        let names: BTreeSet<_> = files.iter().flat_map(|file| &file.columns).collect();
        names.into_iter().cloned().collect()
    }

    /// [`Dataset::read_with`], and how much was read for it.
    ///
    /// # Errors
    /// As [`Dataset::read_with`].
    pub fn read_counted(
        &self,
        symbol: &str,
        interval: Interval,
        from_ms: Option<i64>,
        to_ms: Option<i64>,
        columns: &[&str],
    ) -> Result<(Candles, ReadCounts), DatasetError> {
        let stored = self.stored(symbol, interval)?;
        self.check_columns(symbol, stored, columns)?;
        let (candles, counts) = if stored == interval {
            self.read_stored(symbol, interval, (from_ms, to_ms), columns)?
        } else {
            self.read_made(symbol, (stored, interval), (from_ms, to_ms), columns)?
        };
        if candles.is_empty() {
            return Err(self.no_candles(symbol, (stored, interval)));
        }
        Ok((candles, counts))
    }

    fn no_candles(&self, symbol: &str, (stored, interval): (Interval, Interval)) -> DatasetError {
        let range = self.range(symbol, interval).or_else(|| self.range(symbol, stored));
        let (first, last) = range.unwrap_or_default();
        DatasetError::NoCandles {
            symbol: symbol.to_owned(),
            interval,
            dataset: self.location.clone(),
            first: iso(first),
            last: iso(last),
        }
    }

    /// Stored candles of a range, which may be none.
    fn read_stored(
        &self,
        symbol: &str,
        interval: Interval,
        (from, to): (Option<i64>, Option<i64>),
        columns: &[&str],
    ) -> Result<(Candles, ReadCounts), DatasetError> {
        let files = self.files(symbol, interval);
        let mut counts = ReadCounts { files: files.len(), ..ReadCounts::default() };
        let mut table = Table::new(columns);
        let mut places = Places::default();
        block_on(async {
            for entry in in_range(&files, from, to) {
                let object = self.object(entry);
                let footer = self.checked_footer(&object, entry).await?;
                counts.files_read += 1;
                counts.row_groups += footer.row_groups();
                read_object(&object, &footer, (from, to), &mut table, &mut places, &mut counts).await?;
            }
            Ok(())
        })?;
        cut(&mut table, from, to, &mut places);
        Ok((places.check(interval, table)?, counts))
    }

    fn check_columns(&self, symbol: &str, interval: Interval, columns: &[&str]) -> Result<(), DatasetError> {
        let existing = self.columns(symbol, interval);
        match columns.iter().find(|name| !existing.iter().any(|e| e.trim().eq_ignore_ascii_case(name))) {
            Some(name) => Err(DatasetError::NoColumn {
                column: (*name).to_owned(),
                symbol: symbol.to_owned(),
                interval,
                dataset: self.location.clone(),
                existing: list(&existing),
            }),
            None => Ok(()),
        }
    }

    /// Reads the footers of the files that [`Dataset::read`] would use and compares them with the manifest: presence,
    /// size, columns, types, rows. Cheap, and made to run before a backtest.
    ///
    /// # Errors
    /// The first file that does not fit; every such error [is an input error](DatasetError::is_input_error).
    pub fn check_footers(
        &self,
        symbols: &[&str],
        interval: Interval,
        from_ms: Option<i64>,
        to_ms: Option<i64>,
    ) -> Result<(), DatasetError> {
        for symbol in symbols {
            let stored = self.stored(symbol, interval)?;
            let (from, to) = self.widened(symbol, (stored, interval), (from_ms, to_ms));
            let files = self.files(symbol, stored);
            block_on(async {
                for entry in in_range(&files, from, to) {
                    self.checked_footer(&self.object(entry), entry).await?;
                }
                Ok(())
            })?;
        }
        Ok(())
    }

    /// The files of a symbol and stored interval, oldest first.
    fn files(&self, symbol: &str, interval: Interval) -> Vec<&FileEntry> {
        let mut files: Vec<_> =
            self.manifest.files.iter().filter(|f| f.symbol == symbol && f.interval == interval).collect();
        files.sort_by(|a, b| (a.first, &a.path).cmp(&(b.first, &b.path)));
        files
    }

    fn object(&self, entry: &FileEntry) -> Object {
        Object {
            store: self.store.clone(),
            path: join(&self.prefix, &entry.path),
            file: format!("{}/{}", self.location.trim_end_matches('/'), entry.path),
            size: entry.bytes,
        }
    }

    async fn check_size(&self, object: &Object, entry: &FileEntry) -> Result<(), DatasetError> {
        let found = match self.store.head(&object.path).await {
            Ok(meta) => meta.size,
            Err(object_store::Error::NotFound { .. }) => {
                return Err(DatasetError::MissingFile { file: object.file.clone() });
            }
            Err(error) => return Err(DatasetError::store(&object.file, &error)),
        };
        if found != entry.bytes {
            return Err(DatasetError::Size { file: object.file.clone(), found, manifest: entry.bytes });
        }
        Ok(())
    }

    async fn checked_footer(&self, object: &Object, entry: &FileEntry) -> Result<Footer, DatasetError> {
        self.check_size(object, entry).await?;
        let footer = Footer::load(object).await?;
        if footer.rows() != entry.rows {
            return Err(DatasetError::RowCount {
                file: object.file.clone(),
                found: footer.rows(),
                manifest: entry.rows,
            });
        }
        Ok(footer)
    }
}

impl fmt::Debug for Dataset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dataset")
            .field("location", &self.location)
            .field("name", &self.manifest.name)
            .finish()
    }
}

pub(crate) fn join(prefix: &Path, path: &str) -> Path {
    path.split('/').fold(prefix.clone(), |path, part| path.join(part))
}
