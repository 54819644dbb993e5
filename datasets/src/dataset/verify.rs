//! Whether the files of a data set are the ones its manifest lists, byte for byte.

use object_store::ObjectStoreExt;
use sha2::{Digest, Sha256};

use super::Dataset;
use crate::DatasetError;
use crate::digest::hex;
use crate::manifest::FileEntry;
use crate::runtime::block_on;

/// Bytes that are in memory at once.
const PIECE: u64 = 8 << 20;

impl Dataset {
    /// Reads every file from end to end and compares its SHA-256 with the manifest.
    ///
    /// # Errors
    /// The first file that is missing, cut off, changed or unreadable.
    pub fn verify(&self) -> Result<(), DatasetError> {
        self.damaged(&mut |_| ()).into_iter().next().map_or(Ok(()), Err)
    }

    /// [`Dataset::verify`] of all files: an error for each that is not as it was written, in the order of the manifest.
    /// A file whose manifest has no SHA-256 has to have its size only. `progress` is told the bytes that were gone
    /// through, and ends at the sum of all sizes in the manifest.
    pub fn damaged(&self, progress: &mut (dyn FnMut(u64) + Send)) -> Vec<DatasetError> {
        let mut damaged = Vec::new();
        let mut before = 0;
        for entry in &self.manifest().files {
            if let Err(error) = block_on(self.verify_file(entry, before, progress)) {
                damaged.push(error);
            }
            before += entry.bytes;
            progress(before);
        }
        damaged
    }

    async fn verify_file(
        &self,
        entry: &FileEntry,
        before: u64,
        progress: &mut (dyn FnMut(u64) + Send),
    ) -> Result<(), DatasetError> {
        let object = self.object(entry);
        self.check_size(&object, entry).await?;
        if entry.sha256.is_empty() {
            return Ok(());
        }
        let mut hash = Sha256::new();
        let mut at = 0;
        while at < entry.bytes {
            let end = entry.bytes.min(at + PIECE);
            let piece = object.store.get_range(&object.path, at..end).await;
            hash.update(piece.map_err(|e| DatasetError::store(&object.file, &e))?);
            at = end;
            progress(before + at);
        }
        let found = hex(&hash.finalize());
        if found != entry.sha256 {
            let manifest = entry.sha256.clone();
            return Err(DatasetError::Sha256 { file: object.file, found, manifest });
        }
        Ok(())
    }
}
