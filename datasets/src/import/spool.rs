//! Rows that wait: in memory at first, then in a file that has no name and is gone with the process.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::PathBuf;

use super::ImportError;
use super::batch::Batch;

/// Batches by number.
#[derive(Debug)]
pub(crate) struct Spool {
    folder: Option<PathBuf>,
    limit: usize,
    used: usize,
    places: Vec<Place>,
    file: Option<File>,
}

#[derive(Debug)]
enum Place {
    Memory(Batch),
    File { offset: u64, rows: usize, columns: usize },
    Taken,
}

impl Spool {
    /// Keeps everything in memory.
    pub(crate) fn in_memory() -> Self {
        Self { folder: None, limit: usize::MAX, used: 0, places: Vec::new(), file: None }
    }

    /// Keeps so many bytes in memory, and what is more in a file in a folder.
    pub(crate) fn beside(folder: PathBuf, limit: usize) -> Self {
        Self { folder: Some(folder), limit, ..Self::in_memory() }
    }

    fn error(&self, error: &std::io::Error) -> ImportError {
        let folder = self.folder.clone().unwrap_or_default();
        let text = error.to_string();
        let said = text.split_once(" (os error").map_or(text.as_str(), |(said, _)| said);
        ImportError::Io {
            file: folder.display().to_string(),
            message: format!(
                "cannot hold what is being imported ({said}): it takes some 60 bytes a candle until the import ends: make room, or give another folder with --dir"
            ),
        }
    }

    /// Keeps a batch and gives its number.
    pub(crate) fn push(&mut self, batch: &Batch) -> Result<usize, ImportError> {
        let bytes = batch.len() * 8 * (2 + batch.columns.len());
        let place = match &self.folder {
            Some(folder) if self.used + bytes > self.limit => {
                let opened = match self.file.take() {
                    Some(file) => Ok(file),
                    None => tempfile::tempfile_in(folder),
                };
                let written = opened.and_then(|mut file| {
                    let offset = file.seek(SeekFrom::End(0))?;
                    write(&mut file, batch)?;
                    Ok((file, offset))
                });
                let (file, offset) = written.map_err(|e| self.error(&e))?;
                self.file = Some(file);
                Place::File { offset, rows: batch.len(), columns: batch.columns.len() }
            }
            _ => {
                self.used += bytes;
                Place::Memory(batch.clone())
            }
        };
        self.places.push(place);
        Ok(self.places.len() - 1)
    }

    /// Takes a batch out, which can be done once.
    pub(crate) fn take(&mut self, number: usize) -> Result<Batch, ImportError> {
        match std::mem::replace(&mut self.places[number], Place::Taken) {
            Place::Memory(batch) => {
                self.used -= batch.len() * 8 * (2 + batch.columns.len());
                Ok(batch)
            }
            Place::File { offset, rows, columns } => {
                let read = match &mut self.file {
                    Some(file) => read(file, offset, rows, columns),
                    None => Ok(Batch::default()),
                };
                read.map_err(|e| self.error(&e))
            }
            Place::Taken => Ok(Batch::default()),
        }
    }
}

fn write(file: &mut File, batch: &Batch) -> std::io::Result<()> {
    let mut bytes = Vec::with_capacity(batch.len() * 8 * (2 + batch.columns.len()));
    bytes.extend(batch.place.iter().flat_map(|v| v.to_le_bytes()));
    bytes.extend(batch.timestamp.iter().flat_map(|v| v.to_le_bytes()));
    for column in &batch.columns {
        bytes.extend(column.iter().flat_map(|v| v.to_le_bytes()));
    }
    file.write_all(&bytes)
}

fn read(file: &mut File, offset: u64, rows: usize, columns: usize) -> std::io::Result<Batch> {
    file.seek(SeekFrom::Start(offset))?;
    let mut bytes = vec![0; rows * 8 * (2 + columns)];
    file.read_exact(&mut bytes)?;
    let mut words = bytes.chunks_exact(8).map(|chunk| {
        let mut word = [0; 8];
        word.copy_from_slice(chunk);
        u64::from_le_bytes(word)
    });
    let place = words.by_ref().take(rows).collect();
    let timestamp = words.by_ref().take(rows).map(u64::cast_signed).collect();
    let columns = (0..columns).map(|_| words.by_ref().take(rows).map(f64::from_bits).collect()).collect();
    Ok(Batch { place, timestamp, columns })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_come_back_from_memory_and_file() {
        let folder = tempfile::tempdir().unwrap();
        let batch = |i: u64| Batch {
            place: vec![i, i + 1],
            timestamp: vec![-(i as i64), 7],
            columns: vec![vec![i as f64, f64::NEG_INFINITY]; 6],
        };
        let mut spool = Spool::beside(folder.path().to_owned(), 300);
        let numbers: Vec<usize> = (0..9).map(|i| spool.push(&batch(i)).unwrap()).collect();
        assert!(spool.file.is_some());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        for i in numbers.into_iter().rev() {
            assert_eq!(spool.take(i).unwrap(), batch(i as u64));
        }
        assert_eq!(spool.used, 0);
    }
}
