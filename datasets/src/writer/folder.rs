//! The folder of a data set that is being written: its lock, the files on their way, the sweeping.

use std::collections::BTreeSet;
use std::fs::{File, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::DatasetError;
use crate::manifest::{FileEntry, MANIFEST, Manifest};

/// Files on their way; there as long as a write is, or when one was broken off.
pub(crate) const STAGING: &str = ".writing";
const LOCK: &str = "dataset.lock";

#[derive(Debug)]
pub(super) struct Folder {
    root: PathBuf,
    made: bool,
    // Held until the end: the system lets go of it even when the program is killed.
    _lock: File,
}

impl Folder {
    /// Makes the folder if it is missing and takes its lock.
    pub(super) fn lock(root: &Path) -> Result<Self, DatasetError> {
        let made = !root.exists();
        std::fs::create_dir_all(root).map_err(|e| DatasetError::write(root, &e))?;
        let path = root.join(LOCK);
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(|e| DatasetError::write(&path, &e))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let message =
                    format!("`{}` is being written by another program: wait for it to end", root.display());
                return Err(DatasetError::Unwritable { message });
            }
            // A file system without locks: the rest still holds.
            Err(TryLockError::Error(e)) if e.kind() == std::io::ErrorKind::Unsupported => {}
            Err(TryLockError::Error(e)) => return Err(DatasetError::write(&path, &e)),
        }
        Ok(Self { root: root.to_owned(), made, _lock: lock })
    }

    /// How messages name it.
    pub(super) fn shown(&self) -> String {
        self.root.display().to_string()
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// Where a file of the data set stands.
    pub(super) fn place(&self, path: &str) -> PathBuf {
        path.split('/').fold(self.root.clone(), |folder, part| folder.join(part))
    }

    /// The manifest that is there, if there is one.
    pub(super) fn manifest(&self) -> Result<Option<Manifest>, DatasetError> {
        let path = self.root.join(MANIFEST);
        let file = path.display().to_string();
        match std::fs::read(&path) {
            Ok(bytes) => Manifest::from_json(&file, &bytes).map(Some),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(DatasetError::io(file, &error)),
        }
    }

    /// Removes what a write that was broken off left behind.
    pub(super) fn sweep(&self, manifest: Option<&Manifest>) -> Result<(), DatasetError> {
        let staging = self.root.join(STAGING);
        let listed = paths(manifest);
        let strays: Vec<PathBuf> =
            written_files(&self.root).into_iter().filter(|p| !listed.contains(p)).collect();
        if !staging.exists() {
            if manifest.is_none() && has_candles(&self.root) {
                return Err(DatasetError::Unwritable {
                    message: format!(
                        "`{}` holds candles but no {MANIFEST}, and they would be lost: give another folder",
                        self.root.display()
                    ),
                });
            }
            return Ok(());
        }
        for path in &strays {
            self.remove(path)?;
        }
        std::fs::remove_dir_all(&staging).map_err(|e| DatasetError::write(&staging, &e))
    }

    /// After a commit: removes the files that `before` lists and `now` does not.
    pub(super) fn sweep_files(&self, now: &Manifest, before: Option<&Manifest>) -> Result<(), DatasetError> {
        for path in paths(before).difference(&paths(Some(now))) {
            self.remove(path)?;
        }
        Ok(())
    }

    /// After a commit that failed: removes the files that were moved already, but none that `before` lists.
    pub(super) fn take_back<'a>(
        &self,
        moved: impl Iterator<Item = &'a FileEntry>,
        before: Option<&Manifest>,
    ) {
        let listed = paths(before);
        for path in moved.map(|entry| PathBuf::from_iter(entry.path.split('/'))) {
            if !listed.contains(&path) {
                // The first error is the one to report.
                let _ = self.remove(&path);
            }
        }
    }

    /// Removes a file, and the folders that are then empty.
    fn remove(&self, path: &Path) -> Result<(), DatasetError> {
        let full = self.root.join(path);
        match std::fs::remove_file(&full) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(DatasetError::write(&full, &error));
            }
            _ => {}
        }
        for folder in full.ancestors().skip(1).take_while(|folder| *folder != self.root) {
            if std::fs::remove_dir(folder).is_err() {
                break;
            }
        }
        Ok(())
    }

    /// Writes a file on its way, down to the disk.
    pub(super) fn stage(&self, name: &str, bytes: &[u8]) -> Result<PathBuf, DatasetError> {
        let staging = self.root.join(STAGING);
        std::fs::create_dir_all(&staging).map_err(|e| DatasetError::write(&staging, &e))?;
        let path = staging.join(name);
        let write = || {
            let mut file = File::create(&path)?;
            file.write_all(bytes)?;
            file.sync_all()
        };
        write().map_err(|e| DatasetError::write(&path, &e))?;
        Ok(path)
    }

    /// Makes what was moved into the folder last.
    pub(super) fn sync(&self) -> Result<(), DatasetError> {
        sync(&self.root)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What stays here the next writer removes.
        let _ = std::fs::remove_dir_all(self.root.join(STAGING));
        if self.made && !self.root.join(MANIFEST).exists() {
            let _ = std::fs::remove_file(self.root.join(LOCK));
            let _ = std::fs::remove_dir(&self.root);
        }
    }
}

/// Makes the names in a folder last; where folders cannot be opened, the system does so by itself.
pub(super) fn sync(folder: &Path) -> Result<(), DatasetError> {
    match File::open(folder) {
        Ok(open) => open.sync_all().map_err(|e| DatasetError::write(folder, &e)),
        Err(_) => Ok(()),
    }
}

fn paths(manifest: Option<&Manifest>) -> BTreeSet<PathBuf> {
    manifest.iter().flat_map(|m| &m.files).map(|file| file.path.split('/').collect()).collect()
}

fn has_candles(root: &Path) -> bool {
    std::fs::read_dir(root).is_ok_and(|entries| {
        entries.flatten().any(|entry| entry.file_name().to_string_lossy().starts_with("interval="))
    })
}

/// The files in a data set that the writer names: by content. Only such are ever swept.
fn written_files(root: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![PathBuf::new()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(root.join(&folder)).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let text = name.to_string_lossy();
            let by_content = |hex: &str| hex.len() == 16 && hex.bytes().all(|b| b.is_ascii_hexdigit());
            let key = ["interval=", "symbol=", "year=", "month="].iter().any(|key| text.starts_with(key));
            if key {
                open.push(folder.join(&name));
            } else if text
                .strip_prefix("part-")
                .and_then(|t| t.strip_suffix(".parquet"))
                .is_some_and(by_content)
            {
                found.push(folder.join(&name));
            }
        }
    }
    found
}
