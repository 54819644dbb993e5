//! Jobs that this worker has seen: their plans, read once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use blockgrid_grid::plan::{BadPart, SHARDS_A_PART, decode_part};
use blockgrid_grid::store::keys;
use blockgrid_grid::{JobId, Plan, Store, StoreError};
use blockgrid_job::plan::Shard;
use tokio::sync::OnceCell;

use crate::compute::{ComputeError, Ready};

/// Plans that are kept: what is beyond is read again.
const KEPT: usize = 256;

/// Why a job cannot be worked on.
#[derive(Debug, Clone, thiserror::Error)]
pub enum JobError {
    /// The object store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It has no plan: it was deleted, or never committed.
    #[error("there is no plan")]
    Gone,
    /// It is another engine's: this worker must not touch it.
    #[error("{0}")]
    Foreign(String),
    /// The plan, or a part of it, cannot be read.
    #[error("{0}")]
    Bad(String),
}

impl From<BadPart> for JobError {
    fn from(error: BadPart) -> Self {
        Self::Bad(error.to_string())
    }
}

/// A job with its plan.
#[derive(Debug)]
pub struct OpenJob {
    /// Which.
    pub id: JobId,
    /// What there is to compute.
    pub ready: Ready,
    parts: Mutex<HashMap<usize, Arc<Vec<Shard>>>>,
}

impl OpenJob {
    /// A shard of the plan; `None` when it has no such number.
    ///
    /// # Errors
    /// [`JobError`] when its part cannot be read.
    pub async fn shard(&self, store: &Store, number: u64) -> Result<Option<Shard>, JobError> {
        let plan = self.ready.plan();
        let nth = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        if plan.parts.is_empty() {
            return Ok(plan.inline.get(nth(number)).cloned());
        }
        let place = nth(number / SHARDS_A_PART);
        let Some(object) = plan.parts.get(place) else { return Ok(None) };
        let known = lock(&self.parts).get(&place).cloned();
        let part = match known {
            Some(part) => part,
            None => {
                let part = Arc::new(decode_part(store.get_checked(&object.key, &object.sha256).await?)?);
                lock(&self.parts).insert(place, Arc::clone(&part));
                part
            }
        };
        Ok(part.get(nth(number % SHARDS_A_PART)).filter(|shard| shard.number == number).cloned())
    }
}

/// Jobs by their ids.
#[derive(Debug, Default)]
pub struct Jobs {
    known: Mutex<HashMap<JobId, Arc<OnceCell<Arc<OpenJob>>>>>,
}

impl Jobs {
    /// A job, its plan read from the store unless it is known.
    ///
    /// # Errors
    /// [`JobError`].
    pub async fn get(&self, store: &Store, id: &JobId) -> Result<Arc<OpenJob>, JobError> {
        let cell = {
            let mut known = lock(&self.known);
            if known.len() >= KEPT && !known.contains_key(id) {
                known.clear();
            }
            Arc::clone(known.entry(id.clone()).or_default())
        };
        let job = cell.get_or_try_init(|| read(store, id)).await?;
        Ok(Arc::clone(job))
    }

    /// Forgets a job.
    pub fn forget(&self, id: &JobId) {
        lock(&self.known).remove(id);
    }
}

async fn read(store: &Store, id: &JobId) -> Result<Arc<OpenJob>, JobError> {
    let bytes = store.get(&keys::plan(id)).await.map_err(|error| match error {
        StoreError::NotFound { .. } => JobError::Gone,
        error => JobError::Store(error),
    })?;
    let plan: Plan =
        serde_json::from_slice(&bytes).map_err(|error| JobError::Bad(format!("plan.json: {error}")))?;
    let foreign = plan.engine != blockgrid_grid::ENGINE || plan.format != blockgrid_grid::plan::FORMAT;
    let ready = tokio::task::block_in_place(|| Ready::of_plan(plan)).map_err(|error: ComputeError| {
        let text = error.to_string();
        if foreign { JobError::Foreign(text) } else { JobError::Bad(text) }
    })?;
    Ok(Arc::new(OpenJob { id: id.clone(), ready, parts: Mutex::default() }))
}

/// A lock whose holder cannot have left things half done.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
