//! Writing what may be written once.

use bytes::Bytes;
use object_store::PutMode;

use super::retry::Tries;
use super::{Store, StoreError, sha256};

/// How a [`Store::create`] ended. In each case an object stands at the key, whole.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "another writer may have been first"]
pub enum Created {
    /// It is ours.
    New,
    /// The same bytes stood there already: another writer's, or our own from an attempt whose answer was lost.
    Same,
    /// Other bytes stand there; they were first, and stay. For an outcome that is the outcome; for what is named by its
    /// content it is an alarm.
    Different {
        /// SHA-256 of what stands there.
        found: String,
    },
}

impl Created {
    /// Whether what stands at the key is what was to be written.
    pub fn is_ours(&self) -> bool {
        !matches!(self, Self::Different { .. })
    }
}

impl Store {
    /// Writes an object where none is: of all who try, in whatever order and however often, one is [`Created::New`] (or
    /// none, if its answer was lost), and nobody's bytes replace another's. `key` is never seen half written.
    ///
    /// # Errors
    /// [`StoreError::Refused`] by a server that cannot write conditionally; the other kinds of [`StoreError`]. After
    /// [`StoreError::Unavailable`] the object may have been written: call again with the same bytes.
    pub async fn create(&self, key: &str, bytes: Bytes) -> Result<Created, StoreError> {
        let path = self.path(key)?;
        let digest = sha256(&bytes);
        let mut tries = Tries::new(self, key);
        loop {
            let put = self.put_once(key, &path, bytes.clone(), &digest, PutMode::Create);
            match tries.wait(put).await {
                Ok(Ok(_)) => return Ok(Created::New),
                Ok(Err(_exists)) => match tries.wait(self.digest_of(key)).await {
                    Ok(Some(found)) if found == digest => return Ok(Created::Same),
                    Ok(Some(found)) => return Ok(Created::Different { found }),
                    // A 409 says that another write was under way; it may have failed. Or the object was removed since.
                    Ok(None) => {
                        let problem = "another writer holds the key, and nothing is there yet".to_owned();
                        tries.pause(StoreError::Unavailable { key: self.name(key), problem }).await?;
                    }
                    Err(error) => tries.pause(error).await?,
                },
                // Servers that know no conditional writes say so in many ways.
                Err(StoreError::Other { key, problem }) if self.inner.signer.is_some() => {
                    let hint = "perhaps it knows no conditional writes (If-None-Match): `blockgrid bucket check` tells";
                    return Err(StoreError::Refused { key, problem: format!("{problem}; {hint}") });
                }
                Err(error) => {
                    tries.pause(error).await?;
                    // A server that refuses before it has read a large body closes the connection over it, every time:
                    // what looks like a poor network may be the answer that something stands there.
                    match tries.wait(self.digest_of(key)).await {
                        Ok(Some(found)) if found == digest => return Ok(Created::Same),
                        Ok(Some(found)) => return Ok(Created::Different { found }),
                        Ok(None) => {}
                        Err(error) => tries.pause(error).await?,
                    }
                }
            }
        }
    }
}
