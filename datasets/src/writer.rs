//! Writes a data set into a folder: all of it at once or nothing, and the same candles as the same bytes.
//!
//! New files are gathered in a folder beside the candles. [`DatasetWriter::commit`] moves them to their places, then
//! replaces `dataset.json`, which is the moment the new state is there, and then removes the files that it no longer
//! lists. Whatever breaks off before that moment leaves the old state, whatever comes after it the new one; the next
//! writer sweeps up.

mod folder;
mod series;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use blockgrid_engine::interval::Interval;

use crate::DatasetError;
use crate::digest::sha256;
use crate::manifest::{FileEntry, MANIFEST, Manifest};
use crate::partition::{Partition, check_symbol};
use crate::write::About;
pub(crate) use folder::STAGING;
use folder::{Folder, sync};
pub use series::SeriesWriter;

/// Writes candles into the data set in a folder; what was there stays until [`DatasetWriter::commit`].
#[derive(Debug)]
pub struct DatasetWriter {
    folder: Folder,
    about: About,
    before: Option<Manifest>,
    keeps: bool,
    /// Partitions that do not stay, whether or not new files take their place.
    given_up: Vec<(String, Interval, Partition)>,
    written: Mutex<Vec<NewFile>>,
    numbers: AtomicUsize,
}

/// A file that is written, but not in its place.
#[derive(Debug)]
struct NewFile {
    partition: Partition,
    entry: FileEntry,
    /// `None` where the same file is in its place already.
    at: Option<PathBuf>,
}

impl DatasetWriter {
    /// Opens the folder, which is made if it is missing, and takes its lock: one writer at a time. What a write that was
    /// broken off left behind is removed.
    ///
    /// # Errors
    /// When another program is writing there, when the folder cannot be written, when its `dataset.json` is not
    /// understood, and when it holds candles without one.
    pub fn open(root: &Path, about: &About) -> Result<Self, DatasetError> {
        let folder = Folder::lock(root)?;
        let before = folder.manifest()?;
        folder.sweep(before.as_ref())?;
        Ok(Self {
            folder,
            about: about.clone(),
            before,
            keeps: true,
            given_up: Vec::new(),
            written: Mutex::default(),
            numbers: AtomicUsize::new(0),
        })
    }

    /// The manifest that was there.
    pub fn manifest(&self) -> Option<&Manifest> {
        self.before.as_ref()
    }

    /// Gives up everything that was there: after the commit the data set is what was written here, and no more.
    pub fn start_over(&mut self) {
        self.keeps = false;
    }

    /// Gives up a partition of a symbol, also when nothing is written in its place.
    pub(crate) fn give_up(&mut self, symbol: &str, interval: Interval, partition: Partition) {
        self.given_up.push((symbol.to_owned(), interval, partition));
    }

    /// Starts writing a symbol at an interval. Each partition that gets candles (a UTC year; a UTC month where a candle
    /// is shorter than a minute) is replaced as a whole at commit; the others stay. Several series may be written at
    /// once, from as many threads.
    ///
    /// # Errors
    /// When the symbol cannot be the name of a folder: letters, digits, `.`, `_` and `-` can.
    pub fn series(&self, symbol: &str, interval: Interval) -> Result<SeriesWriter<'_>, DatasetError> {
        check_symbol(symbol)?;
        Ok(SeriesWriter::new(self, symbol, interval))
    }

    /// Makes the new state visible. When nothing changed, nothing is written.
    ///
    /// # Errors
    /// When candles that stay are of another kind (synthetic or not, of another seed) or share a file with some that are
    /// replaced; when a file cannot be written, which leaves the old state.
    pub fn commit(self) -> Result<Manifest, DatasetError> {
        let new = self.new_files();
        let kept = self.kept(&new)?;
        let mut entries: Vec<FileEntry> = new.iter().map(|new| new.entry.clone()).chain(kept).collect();
        if entries.is_empty() {
            let message = format!("`{}` would have no candles: write some first", self.folder.shown());
            return Err(DatasetError::Unwritable { message });
        }
        entries.sort_by(|a, b| (a.interval, &a.symbol, &a.path).cmp(&(b.interval, &b.symbol, &b.path)));
        let About { name, source, licence, generator } = self.about.clone();
        let manifest = Manifest::new(name, source, licence, generator, entries);
        let moves: Vec<_> = new.iter().filter_map(|new| Some((new.at.as_deref()?, &new.entry))).collect();
        if moves.is_empty() && self.before.as_ref() == Some(&manifest) {
            return Ok(manifest);
        }
        let text = self.folder.stage(MANIFEST, manifest.to_json()?.as_bytes())?;
        if let Err(error) = self.put_in_place(&moves, &text) {
            self.folder.take_back(moves.iter().map(|(_, entry)| *entry), self.before.as_ref());
            return Err(error);
        }
        // The new state is there: what cannot be removed now costs space and no more.
        let _ = self.folder.sweep_files(&manifest, self.before.as_ref());
        Ok(manifest)
    }

    fn put_in_place(&self, moves: &[(&Path, &FileEntry)], manifest: &Path) -> Result<(), DatasetError> {
        let mut folders = BTreeSet::new();
        for (from, entry) in moves {
            let to = self.folder.place(&entry.path);
            let parent = to.parent().unwrap_or(&to).to_owned();
            std::fs::create_dir_all(&parent)
                .and_then(|()| std::fs::rename(from, &to))
                .map_err(|e| DatasetError::write(&to, &e))?;
            let above = parent.ancestors().take_while(|folder| folder.starts_with(self.folder.root()));
            folders.extend(above.map(Path::to_owned));
        }
        for folder in &folders {
            sync(folder)?;
        }
        let to = self.folder.place(MANIFEST);
        std::fs::rename(manifest, &to).map_err(|e| DatasetError::write(&to, &e))?;
        self.folder.sync()
    }

    /// The entries that stay.
    fn kept(&self, new: &[NewFile]) -> Result<Vec<FileEntry>, DatasetError> {
        let Some(before) = self.before.as_ref().filter(|_| self.keeps) else { return Ok(Vec::new()) };
        let mut kept = Vec::new();
        for entry in &before.files {
            let (first, last) =
                (Partition::of(entry.interval, entry.first), Partition::of(entry.interval, entry.last));
            let replaced = new.iter().any(|new| {
                new.is_of(&entry.symbol, entry.interval) && (first..=last).contains(&new.partition)
            });
            let given_up = self.given_up.iter().any(|(symbol, interval, partition)| {
                (*interval, symbol) == (entry.interval, &entry.symbol) && (first..=last).contains(partition)
            });
            if !replaced && !given_up {
                kept.push(entry.clone());
            } else if first != last {
                return Err(DatasetError::Unwritable {
                    message: format!(
                        "`{}` holds candles from {first} to {last}, not all of which are replaced: write the whole data set anew, into another folder",
                        self.folder.place(&entry.path).display()
                    ),
                });
            }
        }
        if !kept.is_empty() && before.generator != self.about.generator {
            let kind = |generator: Option<&crate::Generator>| {
                generator
                    .map_or_else(|| "no generator".to_owned(), |g| format!("{} of seed {}", g.name, g.seed))
            };
            return Err(DatasetError::Unwritable {
                message: format!(
                    "`{}` has candles of {} that would stay beside new ones of {}: write into another folder",
                    self.folder.shown(),
                    kind(before.generator.as_ref()),
                    kind(self.about.generator.as_ref())
                ),
            });
        }
        Ok(kept)
    }

    /// Takes a file of candles in, unless the same is in its place.
    fn stage(&self, partition: Partition, entry: FileEntry, bytes: &[u8]) -> Result<NewFile, DatasetError> {
        let listed = self.before.as_ref().is_some_and(|before| before.files.contains(&entry));
        let is_there = || {
            // Read, not believed: writing the same candles again mends a damaged file.
            std::fs::read(self.folder.place(&entry.path)).is_ok_and(|found| sha256(&found) == entry.sha256)
        };
        let at = if listed && is_there() {
            None
        } else {
            let number = self.numbers.fetch_add(1, Ordering::Relaxed);
            Some(self.folder.stage(&format!("{number:06}.parquet"), bytes)?)
        };
        Ok(NewFile { partition, entry, at })
    }

    /// The files of the series that are finished.
    fn new_files(&self) -> MutexGuard<'_, Vec<NewFile>> {
        // A thread that panicked has added all of its files or none.
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn has(&self, symbol: &str, interval: Interval, partition: Partition) -> bool {
        self.new_files().iter().any(|new| new.partition == partition && new.is_of(symbol, interval))
    }
}

impl NewFile {
    fn is_of(&self, symbol: &str, interval: Interval) -> bool {
        self.entry.interval == interval && self.entry.symbol == symbol
    }
}
