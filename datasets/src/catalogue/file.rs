//! The catalogue's file: read, and changed as a whole or not at all.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{CATALOGUE, Catalogue, CatalogueEntry};
use crate::DatasetError;

const FORMAT: u32 = 1;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    format: u32,
    datasets: Vec<CatalogueEntry>,
}

/// Only the version, so that a later format is told from a damaged file.
#[derive(Deserialize)]
struct Version {
    format: u32,
}

/// The entries in a file, by name; none when it does not exist.
pub(super) fn read(path: &Path) -> Result<Vec<CatalogueEntry>, DatasetError> {
    let file = path.display().to_string();
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(DatasetError::Io { file, message: format!("cannot be read: {error}") }),
    };
    let damaged = |message: String| DatasetError::Catalogue { file: file.clone(), message };
    let version: Version = serde_json::from_slice(&bytes).map_err(|e| damaged(e.to_string()))?;
    if version.format != FORMAT {
        return Err(DatasetError::Manifest {
            file,
            message: format!(
                "format {} of the catalogue is not known, only {FORMAT}: use the version of blockgrid that wrote it",
                version.format
            ),
        });
    }
    let text: Text = serde_json::from_slice(&bytes).map_err(|e| damaged(e.to_string()))?;
    let mut entries = text.datasets;
    if let Some(error) = entries.iter().find_map(|entry| Catalogue::check_name(&entry.name).err()) {
        return Err(damaged(error.to_string()));
    }
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    if let Some(twice) = entries.windows(2).find(|pair| pair[0].name == pair[1].name) {
        return Err(damaged(format!("`{}` stands in it twice", twice[0].name)));
    }
    Ok(entries)
}

/// Reads the entries, changes them and writes them back, while nobody else does.
pub(super) fn change(
    home: &Path,
    change: impl FnOnce(&mut Vec<CatalogueEntry>) -> Result<(), DatasetError>,
) -> Result<(), DatasetError> {
    std::fs::create_dir_all(home).map_err(|e| unwritable(home, &e))?;
    let lock = home.join("catalogue.lock");
    // The lock is the open file's and ends with it, however this ends.
    let held = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&lock)
        .map_err(|e| unwritable(&lock, &e))?;
    held.lock().map_err(|e| unwritable(&lock, &e))?;
    let path = home.join(CATALOGUE);
    let before = read(&path)?;
    let mut entries = before.clone();
    change(&mut entries)?;
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    if entries == before {
        return Ok(());
    }
    write(home, &path, entries).map_err(|e| unwritable(&path, &e))
}

/// Writes beside the file, to the disk, and moves over it.
fn write(home: &Path, path: &Path, datasets: Vec<CatalogueEntry>) -> std::io::Result<()> {
    let text = serde_json::to_string_pretty(&Text { format: FORMAT, datasets })? + "\n";
    let partial = path.with_extension("json.partial");
    let written = File::create(&partial).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    if let Err(error) = written.and_then(|()| std::fs::rename(&partial, path)) {
        // The first error is the one to report.
        let _ = std::fs::remove_file(&partial);
        return Err(error);
    }
    // The name outlives a power cut only with its folder; not every system lets a folder be opened for that.
    let _ = File::open(home).and_then(|folder| folder.sync_all());
    Ok(())
}

fn unwritable(path: &Path, error: &std::io::Error) -> DatasetError {
    match DatasetError::write(path, error) {
        DatasetError::Unwritable { .. } => DatasetError::Unwritable {
            message: format!(
                "`{}` cannot be written ({error}): set BLOCKGRID_HOME to a folder that can be",
                path.display()
            ),
        },
        other => other,
    }
}
