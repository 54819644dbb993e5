//! Writing over what is there, and removing.

use bytes::Bytes;
use futures::StreamExt;
use object_store::path::Path;
use object_store::{Attribute, Attributes, PutMode, PutOptions, PutPayload, PutResult};

use super::{DIGEST, Store, StoreError, sha256};

/// How many objects one request removes.
const BATCH: usize = 1000;

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// SHA-256 of the bytes, in lowercase hex.
    pub sha256: String,
    /// Bytes.
    pub size: u64,
    /// Names this very content at this key.
    pub etag: Option<String>,
}

impl Store {
    /// Writes an object, over whatever stands there. For what several may write at once use [`Store::create`].
    ///
    /// # Errors
    /// [`StoreError`]: see there for the kinds.
    pub async fn put(&self, key: &str, bytes: Bytes) -> Result<Written, StoreError> {
        let path = self.path(key)?;
        let sha256 = sha256(&bytes);
        let size = bytes.len() as u64;
        let put = || async {
            let put = self.put_once(key, &path, bytes.clone(), &sha256, PutMode::Overwrite).await?;
            put.map_err(|e| self.error(key, &e))
        };
        let etag = self.retrying(key, put).await?.e_tag;
        Ok(Written { sha256, size, etag })
    }

    /// One PUT. That the object exists already is for the caller to judge; everything else is an error.
    pub(super) async fn put_once(
        &self,
        key: &str,
        path: &Path,
        bytes: Bytes,
        sha256: &str,
        mode: PutMode,
    ) -> Result<Result<PutResult, object_store::Error>, StoreError> {
        self.meter.put(bytes.len());
        let mut attributes = Attributes::new();
        if self.inner.metadata {
            attributes.insert(Attribute::Metadata(DIGEST.into()), sha256.to_owned().into());
        }
        let options = PutOptions { mode, attributes, ..PutOptions::default() };
        match self.inner.objects.put_opts(path, PutPayload::from_bytes(bytes), options).await {
            Err(error @ object_store::Error::AlreadyExists { .. }) => Ok(Err(error)),
            Err(error) => Err(self.error(key, &error)),
            Ok(done) => Ok(Ok(done)),
        }
    }

    /// Removes an object; that it is not there is no error.
    ///
    /// # Errors
    /// [`StoreError`]: see there for the kinds.
    pub async fn delete(&self, key: &str) -> Result<(), StoreError> {
        self.delete_paths(key, &[self.path(key)?]).await
    }

    /// Removes everything under a key (segments count: `jobs/a` spares `jobs/ab`) and says how many objects that were.
    ///
    /// # Errors
    /// [`StoreError`]; some objects may be gone then. An empty prefix is refused: it would empty the store.
    pub async fn delete_prefix(&self, prefix: &str) -> Result<usize, StoreError> {
        self.path(prefix)?;
        let found: Vec<String> = self.list(prefix).await?.into_iter().map(|entry| entry.key).collect();
        self.delete_all(&found).await?;
        Ok(found.len())
    }

    /// Removes objects; that one is not there is no error.
    ///
    /// # Errors
    /// [`StoreError`]; some may be gone then.
    pub async fn delete_all(&self, keys: &[String]) -> Result<(), StoreError> {
        for batch in keys.chunks(BATCH) {
            let paths: Result<Vec<_>, _> = batch.iter().map(|key| self.path(key)).collect();
            self.delete_paths(&batch[0], &paths?).await?;
        }
        Ok(())
    }

    async fn delete_paths(&self, key: &str, paths: &[Path]) -> Result<(), StoreError> {
        let delete = || async {
            self.meter.delete();
            let paths: Vec<_> = paths.iter().cloned().map(Ok).collect();
            let mut deleted = self.inner.objects.delete_stream(futures::stream::iter(paths).boxed());
            let mut failed = Ok(());
            while let Some(one) = deleted.next().await {
                match one.map_err(|e| self.error(key, &e)) {
                    Ok(_) | Err(StoreError::NotFound { .. }) => {}
                    Err(error) => failed = Err(error),
                }
            }
            failed
        };
        self.retrying(key, delete).await
    }
}
