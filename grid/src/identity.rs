//! What tells one grid from another.

use crate::store::keys;
use crate::{Created, JobId, Store, StoreError};

/// The identity of a store, made by whoever asks first: shows at once whether the store can be used.
///
/// # Errors
/// [`StoreError`].
pub async fn identity(store: &Store) -> Result<String, StoreError> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let key = keys::identity();
    match store.get(&key).await {
        Ok(bytes) => return Ok(text(&bytes)),
        Err(StoreError::NotFound { .. }) => {}
        Err(error) => return Err(error),
    }
    let ours = JobId::random();
    match store.create(&key, ours.as_str().to_owned().into()).await? {
        Created::New | Created::Same => Ok(ours.to_string()),
        Created::Different { .. } => Ok(text(&store.get(&key).await?)),
    }
}
