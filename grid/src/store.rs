//! The object store, which is the truth: what is written there once decides, everything else can be rebuilt from it.
//!
//! [`Store::create`] is the one operation that coordinates: of any number of writers of a key exactly one succeeds, and
//! a writer that lost the answer to its own success finds out. All retrying happens here and nowhere below, so that it
//! is bounded, counted and the same in every test.

mod create;
mod error;
mod http;
pub mod keys;
mod large;
mod link;
mod meter;
mod open;
mod read;
mod retry;
#[cfg(test)]
mod tests;
mod write;

pub use create::Created;
pub use error::StoreError;
pub(crate) use error::innermost;
pub(crate) use http::Answer;
pub use keys::Tenant;
pub use link::Links;
pub use meter::{Meter, Usage};
pub use open::{Credentials, Options, s3_objects};
pub(crate) use open::{S3Access, s3_access};
pub use read::Entry;
pub use write::Written;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use object_store::ObjectStore;
use object_store::multipart::MultipartStore;
use object_store::path::Path;
use object_store::signer::Signer;
use sha2::{Digest, Sha256};

use retry::Retry;

/// The name under which an object's metadata carries the SHA-256 of its bytes (`x-amz-meta-sha256` on S3).
const DIGEST: &str = "sha256";

/// Objects under one location; cheap to clone. Keys are relative to the location.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
    meter: Meter,
}

struct Inner {
    objects: Arc<dyn ObjectStore>,
    /// Where parts of an upload can be sent again one by one. The local file system has no such thing, and no need.
    parts: Option<Arc<dyn MultipartStore>>,
    signer: Option<Arc<dyn Signer>>,
    /// Whether objects carry metadata: the local file system keeps none, so there a digest is found by reading.
    metadata: bool,
    prefix: Path,
    /// As errors name it, without a slash at the end; it never holds credentials.
    location: String,
    retry: Retry,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Store").field(&self.inner.location).finish()
    }
}

impl Store {
    /// Where this is, as it was opened: `s3://bucket/prefix`, `/dir`, `memory:`.
    pub fn location(&self) -> &str {
        &self.inner.location
    }

    /// The same store, counting into another meter. Fork one for a task: see [`Meter::fork`].
    #[must_use]
    pub fn metered(&self, meter: Meter) -> Self {
        Self { inner: self.inner.clone(), meter }
    }

    /// What this handle counts into.
    pub fn meter(&self) -> &Meter {
        &self.meter
    }

    /// A link by which anyone may GET the object for a while, without credentials of their own. No request is made, so
    /// the object need not exist.
    ///
    /// # Errors
    /// [`StoreError::Other`] where links cannot be signed (only S3 can), [`StoreError::Unavailable`] or
    /// [`StoreError::Refused`] when the credentials to sign with cannot be had.
    pub async fn signed_get(&self, key: &str, valid: Duration) -> Result<String, StoreError> {
        let path = self.path(key)?;
        let Some(signer) = &self.inner.signer else {
            let problem =
                "links can be signed for s3:// locations only: read the object from here".to_owned();
            return Err(StoreError::Other { key: self.name(key), problem });
        };
        let signed = || async {
            let url = signer.signed_url(::http::Method::GET, &path, valid).await;
            url.map(String::from).map_err(|e| self.error(key, &e))
        };
        self.retrying(key, signed).await
    }

    /// The path of a key, which must be one: segments between slashes, none of them empty, `.` or `..`.
    fn path(&self, key: &str) -> Result<Path, StoreError> {
        let bad = |problem: String| StoreError::Other { key: self.name(key), problem };
        if key.is_empty() || key.starts_with('/') || key.ends_with('/') {
            return Err(bad("a key neither is empty nor starts or ends with a slash".to_owned()));
        }
        let key = Path::parse(key).map_err(|e| bad(format!("not a key: {e}")))?;
        Ok(self.inner.prefix.parts().chain(key.parts()).collect())
    }

    /// The path of everything under a key; an empty one is the whole store.
    fn prefix(&self, key: &str) -> Result<Path, StoreError> {
        let key = key.trim_end_matches('/');
        if key.is_empty() { Ok(self.inner.prefix.clone()) } else { self.path(key) }
    }

    /// A key from a path that the store listed.
    fn key(&self, path: &Path) -> String {
        match path.prefix_match(&self.inner.prefix) {
            Some(parts) => parts.map(|part| part.as_ref().to_owned()).collect::<Vec<_>>().join("/"),
            None => path.to_string(),
        }
    }

    /// A key as errors name it.
    fn name(&self, key: &str) -> String {
        match self.location() {
            "memory:" => format!("memory:{key}"),
            location => format!("{location}/{key}"),
        }
    }

    fn error(&self, key: &str, error: &object_store::Error) -> StoreError {
        StoreError::of(self.name(key), error)
    }
}

/// SHA-256 of bytes, in lowercase hex: what metadata, plans and outcomes call a digest.
pub fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a `String` cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
