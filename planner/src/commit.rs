//! A plan becomes a job: candles, parts, then `plan.json`, whose existence is the commit; then the queue is told.

use blockgrid_datasets::encode_snapshot;
use blockgrid_grid::plan::{BadPart, MOST_INLINE, SHARDS_A_PART, encode_part};
use blockgrid_grid::store::{keys, sha256};
use blockgrid_grid::{
    Created, Entry, JobId, Lane, ObjectRef, Plan, Queue, QueueError, Store, StoreError, Stream, Tenant, Unit,
};
use blockgrid_job::plan::{Limits, SymbolWork, shards};
use futures::{StreamExt, TryStreamExt, stream};

use crate::candles::JobCandles;

/// Objects that are written at a time.
const AT_ONCE: usize = 8;

/// Why a plan could not be committed or queued.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// The object store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The queue; the plan may be committed already, and is found by the audit.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// Candles that cannot be encoded.
    #[error(transparent)]
    Candles(#[from] blockgrid_datasets::DatasetError),
    /// A part that cannot be encoded.
    #[error(transparent)]
    Part(#[from] BadPart),
    /// Other bytes stand under the digest of candles.
    #[error("{key} holds other bytes than its name says: remove it")]
    Foreign {
        /// The object.
        key: String,
    },
    /// Another job has the uid.
    #[error(
        "uid {job} is another job's (`{name}` of tenant {tenant}, or the same on other candles): take another uid"
    )]
    Taken {
        /// The uid.
        job: JobId,
        /// The name of the job that has it.
        name: String,
        /// Whose that is.
        tenant: Tenant,
    },
    /// JSON, which cannot be.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
}

/// Writes the candles of a plan, its parts and then the plan itself. Whoever commits a job second gets the first one's
/// plan: all writers end with the same.
///
/// # Errors
/// [`CommitError`]; what is written before `plan.json` is no job, and is found again by the next attempt.
pub async fn commit(
    store: &Store,
    job: &JobId,
    mut plan: Plan,
    data: &JobCandles,
    work: &[SymbolWork],
    limits: &Limits,
) -> Result<Plan, CommitError> {
    let candles = data.symbols.iter().map(|symbol| snapshot(store, &plan, symbol));
    stream::iter(candles).buffer_unordered(AT_ONCE).try_collect::<Vec<()>>().await?;
    if plan.shards > MOST_INLINE {
        // Parts of a plan that was cut in another way must not take the place of the job's.
        match store.get(&keys::plan(job)).await {
            Ok(bytes) => return same(job, &plan, serde_json::from_slice(&bytes)?),
            Err(StoreError::NotFound { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        plan.parts = parts(store, job, &plan, work, limits).await?;
    }
    let bytes = serde_json::to_vec(&plan)?;
    match store.create(&keys::plan(job), bytes.clone().into()).await? {
        Created::New | Created::Same => Ok(plan),
        Created::Different { .. } => {
            // It is needed no more than as what it is not.
            let ours: Plan = serde_json::from_slice(&bytes)?;
            same(job, &ours, serde_json::from_slice(&store.get(&keys::plan(job)).await?)?)
        }
    }
}

/// The plan that stands under a uid, if it is of the same job: it may have been cut in another way.
fn same(job: &JobId, ours: &Plan, theirs: Plan) -> Result<Plan, CommitError> {
    let on = |plan: &Plan| plan.inputs.symbols.iter().map(|symbol| symbol.digest.clone()).collect::<Vec<_>>();
    if theirs.tenant == ours.tenant && theirs.manifest == ours.manifest && on(&theirs) == on(ours) {
        return Ok(theirs);
    }
    let name = theirs.manifest["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    Err(CommitError::Taken { job: job.clone(), name, tenant: theirs.tenant })
}

async fn snapshot(store: &Store, plan: &Plan, symbol: &crate::SymbolCandles) -> Result<(), CommitError> {
    let key = keys::candles(&plan.tenant, &symbol.digest);
    // Named by what it holds: whoever wrote it wrote the same, and who reads it checks.
    match store.head(&key).await {
        Ok(_) => return Ok(()),
        Err(StoreError::NotFound { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    let bytes = encode_snapshot(&symbol.unfilled)?;
    match store.create(&key, bytes.into()).await? {
        Created::New | Created::Same => Ok(()),
        Created::Different { .. } => Err(CommitError::Foreign { key }),
    }
}

async fn parts(
    store: &Store,
    job: &JobId,
    plan: &Plan,
    work: &[SymbolWork],
    limits: &Limits,
) -> Result<Vec<ObjectRef>, CommitError> {
    let mut parts = Vec::new();
    let mut shards = shards(work, &plan.calibration, limits);
    loop {
        let part: Vec<_> =
            shards.by_ref().take(usize::try_from(SHARDS_A_PART).unwrap_or(usize::MAX)).collect();
        if part.is_empty() {
            return Ok(parts);
        }
        let bytes = encode_part(&part)?;
        let (sha256, len) = (sha256(&bytes), bytes.len() as u64);
        let key = keys::plan_part(job, u32::try_from(parts.len()).unwrap_or(u32::MAX));
        // A part of an attempt that died is overwritten: no plan names it yet, or one that was cut the same way.
        store.put(&key, bytes.into()).await?;
        parts.push(ObjectRef { key, sha256, bytes: len });
    }
}

/// Queues the shards of a committed plan: in a lane, or in a stream of the job's own that workers of the pool see. As
/// many as may be queued at once; the audit adds the rest.
///
/// # Errors
/// [`CommitError`]. Queueing twice is harmless.
pub async fn enqueue<Q: Queue>(
    store: &Store,
    queue: &Q,
    job: &JobId,
    plan: &Plan,
    lane: Option<&Lane>,
) -> Result<(), CommitError> {
    let entry = |unit, cost_micros| Entry { job: job.clone(), unit, cost_micros };
    let shards = plan.shards.min(blockgrid_grid::MOST_QUEUED as u64);
    let cost = plan.cost_micros / plan.shards.max(1);
    let cost_of = |number: u64| {
        let nth = usize::try_from(number).unwrap_or(usize::MAX);
        plan.inline.get(nth).map_or(cost, |shard| shard.cost_micros)
    };
    let mut entries: Vec<Entry> =
        (0..shards).map(|number| entry(Unit::Shard(number), cost_of(number))).collect();
    if entries.is_empty() {
        // All of it was computed before.
        entries.push(entry(Unit::Finish, 0));
    }
    let stream = match lane {
        Some(lane) => {
            store.put(&keys::lane_job(lane.as_str(), job), plan.owner.clone().into()).await?;
            Stream::Lane(lane.clone())
        }
        None => {
            store.put(&keys::lane_job(keys::POOL, job), plan.owner.clone().into()).await?;
            Stream::Job(job.clone())
        }
    };
    queue.open(&stream).await?;
    queue.push(&stream, &plan.owner, &entries).await?;
    if lane.is_none() {
        queue.set_open(job, true).await?;
    }
    Ok(())
}
