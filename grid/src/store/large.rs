//! Objects that are too large to be held, in parts.

use std::future::ready;

use bytes::{Bytes, BytesMut};
use futures::stream::FuturesOrdered;
use futures::{Stream, StreamExt};
use object_store::multipart::{MultipartStore, PartId};
use object_store::path::Path;
use object_store::{ObjectStoreExt, PutPayload};
use sha2::{Digest, Sha256};

use super::{Store, StoreError, Written, hex};

/// Bytes of a part: above the 5 MiB that S3 asks for; 10,000 of them, its limit, are 156 GiB.
const PART: usize = 16 << 20;
/// How many parts travel at once: what bounds memory.
const AT_ONCE: usize = 3;

impl Store {
    /// Writes an object of any size from a stream, in parts, over whatever stands there; it appears whole or not at all.
    ///
    /// S3 has no way to do that conditionally: write to a key that nobody else uses, and publish it with a small object
    /// by [`Store::create`] that holds the key and [`Written::sha256`], which the metadata of large objects lacks.
    ///
    /// # Errors
    /// [`StoreError::Other`] when the stream fails; the kinds of [`StoreError`]. Parts that were sent are dropped; those
    /// of a process that died are left to the bucket's lifecycle rule.
    pub async fn put_large<E: std::fmt::Display>(
        &self,
        key: &str,
        stream: impl Stream<Item = Result<Bytes, E>>,
    ) -> Result<Written, StoreError> {
        let path = self.path(key)?;
        let mut parts = std::pin::pin!(self.parts(key, stream));
        let Some(first) = parts.next().await.transpose()? else {
            return self.put(key, Bytes::new()).await;
        };
        if first.len() < PART {
            return self.put(key, first).await;
        }
        let parts = futures::stream::once(ready(Ok(first))).chain(parts);
        match &self.inner.parts {
            Some(store) => self.upload(key, &path, store.as_ref(), parts).await,
            None => self.upload_in_order(key, &path, parts).await,
        }
    }

    /// The stream cut into parts: all of one size but the last, which may be smaller and is never empty.
    fn parts<E: std::fmt::Display>(
        &self,
        key: &str,
        stream: impl Stream<Item = Result<Bytes, E>>,
    ) -> impl Stream<Item = Result<Bytes, StoreError>> {
        let name = self.name(key);
        let stream = Some(Box::pin(stream));
        futures::stream::try_unfold((stream, BytesMut::new()), move |(mut stream, mut rest)| {
            let name = name.clone();
            async move {
                while rest.len() < PART {
                    let Some(open) = stream.as_mut() else { break };
                    match open.next().await {
                        Some(Ok(bytes)) => rest.extend_from_slice(&bytes),
                        Some(Err(e)) => {
                            let problem = format!("what was to be written could not be read: {e}");
                            return Err(StoreError::Other { key: name, problem });
                        }
                        None => stream = None,
                    }
                }
                let part = rest.split_to(rest.len().min(PART)).freeze();
                Ok((!part.is_empty()).then_some((part, (stream, rest))))
            }
        })
    }

    async fn upload(
        &self,
        key: &str,
        path: &Path,
        store: &dyn MultipartStore,
        parts: impl Stream<Item = Result<Bytes, StoreError>>,
    ) -> Result<Written, StoreError> {
        let begin = || async {
            self.meter.put(0);
            store.create_multipart(path).await.map_err(|e| self.error(key, &e))
        };
        let id = self.retrying(key, begin).await?;
        let sent = self.send(key, path, store, &id, parts).await;
        if sent.is_err() {
            // Best effort: what is left is dropped by the bucket's lifecycle rule.
            self.meter.delete();
            let _ = store.abort_multipart(path, &id).await;
        }
        sent
    }

    async fn send(
        &self,
        key: &str,
        path: &Path,
        store: &dyn MultipartStore,
        id: &String,
        parts: impl Stream<Item = Result<Bytes, StoreError>>,
    ) -> Result<Written, StoreError> {
        let mut parts = std::pin::pin!(parts);
        let mut hash = Sha256::new();
        let mut size = 0;
        let mut index = 0;
        let mut done: Vec<PartId> = Vec::new();
        let mut under_way = FuturesOrdered::new();
        while let Some(part) = parts.next().await.transpose()? {
            hash.update(&part);
            size += part.len() as u64;
            let at = index;
            index += 1;
            under_way.push_back(self.retrying(key, move || {
                let payload = PutPayload::from_bytes(part.clone());
                async move {
                    self.meter.put(payload.content_length());
                    store.put_part(path, id, at, payload).await.map_err(|e| self.error(key, &e))
                }
            }));
            if under_way.len() >= AT_ONCE {
                done.extend(under_way.next().await.transpose()?);
            }
        }
        while let Some(part) = under_way.next().await.transpose()? {
            done.push(part);
        }
        let complete = || async {
            self.meter.put(0);
            let done = store.complete_multipart(path, id, done.clone()).await;
            done.map_err(|e| self.error(key, &e))
        };
        let etag = match self.retrying(key, complete).await {
            Ok(result) => result.e_tag,
            // The upload is gone when an attempt completed it and its answer was lost: then the object is there.
            Err(StoreError::NotFound { key: name }) => match self.head(key).await {
                Ok(entry) if entry.size == size => entry.etag,
                Ok(_) | Err(StoreError::NotFound { .. }) => {
                    let problem = "its parts were dropped before all had come: write it again".to_owned();
                    return Err(StoreError::Other { key: name, problem });
                }
                Err(error) => return Err(error),
            },
            Err(error) => return Err(error),
        };
        Ok(Written { sha256: hex(&hash.finalize()), size, etag })
    }

    /// The local file system: parts follow each other into a file beside the place, which is renamed in the end.
    async fn upload_in_order(
        &self,
        key: &str,
        path: &Path,
        parts: impl Stream<Item = Result<Bytes, StoreError>>,
    ) -> Result<Written, StoreError> {
        let mut parts = std::pin::pin!(parts);
        let mut hash = Sha256::new();
        let mut size = 0;
        self.meter.put(0);
        let mut upload = self.inner.objects.put_multipart(path).await.map_err(|e| self.error(key, &e))?;
        let failed = loop {
            let part = match parts.next().await {
                None => break None,
                Some(Err(error)) => break Some(error),
                Some(Ok(part)) => part,
            };
            hash.update(&part);
            size += part.len() as u64;
            self.meter.put(part.len());
            if let Err(error) = upload.put_part(PutPayload::from_bytes(part)).await {
                break Some(self.error(key, &error));
            }
        };
        if let Some(error) = failed {
            // Best effort: a file named like the object with `#1` at its end may stay, and no list shows it.
            let _ = upload.abort().await;
            return Err(error);
        }
        let etag = upload.complete().await.map_err(|e| self.error(key, &e))?.e_tag;
        Ok(Written { sha256: hex(&hash.finalize()), size, etag })
    }
}
