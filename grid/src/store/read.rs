//! Reading: whole objects, parts of them, and lists.

use std::ops::Range;

use bytes::{Bytes, BytesMut};
use futures::{StreamExt, TryStreamExt};
use object_store::{Attribute, GetOptions, GetRange, GetResult, GetResultPayload, ObjectMeta};

use super::{DIGEST, Store, StoreError, sha256};

/// How many objects one LIST request tells of.
const PAGE: usize = 1000;

/// What a list or a HEAD tells of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its key, relative to the store.
    pub key: String,
    /// Bytes.
    pub size: u64,
    /// Names this very content at this key: see [`Store::get_if_match`].
    pub etag: Option<String>,
    /// When it was written, in seconds since 1970 by the store's clock.
    pub modified: i64,
    /// The digest in its metadata. A list never has it, nor has the local file system.
    pub sha256: Option<String>,
}

impl Store {
    /// The whole object. Where its metadata holds a digest, the bytes are known to match it.
    ///
    /// # Errors
    /// [`StoreError`]: see there for the kinds.
    pub async fn get(&self, key: &str) -> Result<Bytes, StoreError> {
        self.read(key, &GetOptions::default(), None).await
    }

    /// The whole object, if it is still the one with this `ETag`.
    ///
    /// # Errors
    /// [`StoreError::Changed`] when it is another one; the kinds of [`Store::get`].
    pub async fn get_if_match(&self, key: &str, etag: &str) -> Result<Bytes, StoreError> {
        let options = GetOptions { if_match: Some(etag.to_owned()), ..GetOptions::default() };
        self.read(key, &options, None).await
    }

    /// The whole object, whose bytes must have this SHA-256.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when they have another one, again and again; the kinds of [`Store::get`].
    pub async fn get_checked(&self, key: &str, sha256: &str) -> Result<Bytes, StoreError> {
        self.read(key, &GetOptions::default(), Some(sha256)).await
    }

    /// Some bytes of the object; with an `ETag`, only if it is still that one. No digest is checked.
    ///
    /// # Errors
    /// [`StoreError::Changed`] as [`Store::get_if_match`]; [`StoreError::Other`] when it has no such bytes; the kinds of
    /// [`Store::get`].
    pub async fn get_range(
        &self,
        key: &str,
        range: Range<u64>,
        etag: Option<&str>,
    ) -> Result<Bytes, StoreError> {
        let range = Some(GetRange::Bounded(range));
        let options = GetOptions { range, if_match: etag.map(str::to_owned), ..GetOptions::default() };
        self.read(key, &options, None).await
    }

    /// What there is to know of an object without reading it.
    ///
    /// # Errors
    /// The kinds of [`Store::get`]. A bucket that is missing shows as [`StoreError::NotFound`] here: HEAD has no body
    /// that would tell the two apart.
    pub async fn head(&self, key: &str) -> Result<Entry, StoreError> {
        let path = self.path(key)?;
        let head = || async {
            self.meter.get();
            let options = GetOptions { head: true, ..GetOptions::default() };
            let found = self.inner.objects.get_opts(&path, options).await.map_err(|e| self.error(key, &e))?;
            let sha256 = digest(&found);
            Ok(Entry { sha256, ..self.entry(found.meta) })
        };
        self.retrying(key, head).await
    }

    /// Everything under a key, by key; an empty one means the whole store. `jobs/a` lists `jobs/a/x`, never `jobs/ab`.
    ///
    /// # Errors
    /// The kinds of [`Store::get`]; a prefix without objects is an empty list.
    pub async fn list(&self, prefix: &str) -> Result<Vec<Entry>, StoreError> {
        let path = self.prefix(prefix)?;
        let mut found: Vec<ObjectMeta> = Vec::new();
        let mut tries = super::retry::Tries::new(self, prefix);
        loop {
            // A server lists in the order of keys, so a list that broke off goes on where it was.
            let mut listed = match found.last() {
                None => self.inner.objects.list(Some(&path)),
                Some(last) => self.inner.objects.list_with_offset(Some(&path), &last.location),
            };
            let before = found.len();
            self.meter.put(0);
            let failure = loop {
                let next = async { listed.try_next().await.map_err(|e| self.error(prefix, &e)) };
                match tries.wait(next).await {
                    Ok(Some(meta)) => {
                        // The first object of a further page came by a further request.
                        if found.len() > before && (found.len() - before).is_multiple_of(PAGE) {
                            self.meter.put(0);
                        }
                        found.push(meta);
                    }
                    Ok(None) => break None,
                    Err(error) => break Some(error),
                }
            };
            match failure {
                None => break,
                Some(error) => tries.pause(error).await?,
            }
            if found.len() > before {
                tries = super::retry::Tries::new(self, prefix);
            }
        }
        let mut found: Vec<_> = found.into_iter().map(|meta| self.entry(meta)).collect();
        found.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(found)
    }

    /// The folders right under a key, by name: `jobs` has one for each job.
    ///
    /// # Errors
    /// The kinds of [`Store::get`]; a prefix without objects is an empty list.
    pub async fn folders(&self, prefix: &str) -> Result<Vec<String>, StoreError> {
        let path = self.prefix(prefix)?;
        let list = || async {
            self.meter.put(0);
            let found = self.inner.objects.list_with_delimiter(Some(&path)).await;
            found.map_err(|e| self.error(prefix, &e))
        };
        let found = self.retrying(prefix, list).await?;
        let name = |folder: &object_store::path::Path| folder.filename().map(str::to_owned);
        let mut names: Vec<String> = found.common_prefixes.iter().filter_map(name).collect();
        names.sort();
        Ok(names)
    }

    pub(super) fn entry(&self, meta: ObjectMeta) -> Entry {
        let modified = meta.last_modified.timestamp();
        Entry { key: self.key(&meta.location), size: meta.size, etag: meta.e_tag, modified, sha256: None }
    }

    async fn read(
        &self,
        key: &str,
        options: &GetOptions,
        expected: Option<&str>,
    ) -> Result<Bytes, StoreError> {
        let path = self.path(key)?;
        let read = || async {
            self.meter.get();
            let found = self.inner.objects.get_opts(&path, options.clone()).await;
            let found = found.map_err(|e| self.error(key, &e))?;
            let promised = if options.range.is_none() { digest(&found) } else { None };
            let bytes = self.body(key, found).await?;
            if let Some(expected) = expected.or(promised.as_deref()) {
                let actual = sha256(&bytes);
                if actual != expected {
                    return Err(StoreError::Corrupt {
                        key: self.name(key),
                        problem: format!("its SHA-256 is {actual} and should be {expected}"),
                    });
                }
            }
            Ok(bytes)
        };
        self.retrying(key, read).await
    }

    /// The bytes that a GET promised.
    async fn body(&self, key: &str, found: GetResult) -> Result<Bytes, StoreError> {
        let promised = found.range.end - found.range.start;
        if let GetResultPayload::File(..) = found.payload {
            // A file is read in one go rather than in the small pieces of its stream.
            let bytes = found.bytes().await.map_err(|e| self.error(key, &e))?;
            self.meter.read(bytes.len());
            return Ok(bytes);
        }
        // Not more than a page of it at first: the length is the word of a server.
        let mut bytes = BytesMut::with_capacity(promised.min(1 << 20) as usize);
        let mut stream = found.into_stream();
        while let Some(chunk) = stream.next().await {
            let chunk = chunk.map_err(|e| self.error(key, &e))?;
            self.meter.read(chunk.len());
            bytes.extend_from_slice(&chunk);
        }
        if bytes.len() as u64 == promised {
            return Ok(bytes.freeze());
        }
        let problem = format!("{} bytes came of {promised}", bytes.len());
        Err(StoreError::Corrupt { key: self.name(key), problem })
    }

    /// The digest of what stands at a key: from its metadata, or else by reading it. None if nothing does.
    pub(super) async fn digest_of(&self, key: &str) -> Result<Option<String>, StoreError> {
        let found =
            if self.inner.metadata { self.head(key).await.map(|entry| entry.sha256) } else { Ok(None) };
        let found = match found {
            Ok(None) => self.get(key).await.map(|bytes| Some(sha256(&bytes))),
            known => known,
        };
        match found {
            Err(StoreError::NotFound { .. }) => Ok(None),
            known => known,
        }
    }
}

/// The digest in the metadata, if it looks like one.
fn digest(found: &GetResult) -> Option<String> {
    let text = found.attributes.get(&Attribute::Metadata(DIGEST.into()))?;
    let is = text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
    is.then(|| text.to_ascii_lowercase())
}
