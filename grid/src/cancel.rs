//! How a job ends that somebody wants no more.

use bytes::Bytes;

use crate::store::keys;
use crate::usage::UnitUsage;
use crate::{Created, FailReason, JobId, Outcome, Store, StoreError, Unit};

/// Cancels a job in the store: first the mark, which workers obey; then the end, unless the job has come to one by now. The
/// queue is to be told too; until it is, workers ask here.
///
/// # Errors
/// [`StoreError`].
pub async fn cancel(store: &Store, job: &JobId, message: &str) -> Result<Created, StoreError> {
    store.put(&keys::cancelled(job), Bytes::new()).await?;
    end_cancelled(store, job, message).await
}

/// Says how a job ended that bears the mark: whoever cancelled it may have died before it could. The first to say so is
/// final.
///
/// # Errors
/// [`StoreError`].
pub async fn end_cancelled(store: &Store, job: &JobId, message: &str) -> Result<Created, StoreError> {
    let (reason, message) = (FailReason::Cancelled, message.to_owned());
    let outcome = Outcome::Failed { reason, message, usage: UnitUsage::default() };
    let key = keys::outcome(job, Unit::Finish);
    let bytes = serde_json::to_vec(&outcome)
        .map_err(|error| StoreError::Other { key: key.clone(), problem: error.to_string() })?;
    store.create(&key, bytes.into()).await
}
