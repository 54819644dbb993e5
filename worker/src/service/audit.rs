//! The audit: what the store says has no outcome is queued again, whatever the queue has forgotten.

use std::collections::BTreeSet;
use std::time::Duration;

use blockgrid_grid::store::keys;
use blockgrid_grid::{JobId, MOST_QUEUED, Queue, Stream, Unit};

use super::Worker;
use crate::jobs::OpenJob;

fn to_do(job: &OpenJob, there: &BTreeSet<Unit>) -> Vec<Unit> {
    let shards = (0..job.ready.plan().shards).map(Unit::Shard);
    let missing: Vec<Unit> = shards.filter(|unit| !there.contains(unit)).take(MOST_QUEUED).collect();
    if missing.is_empty() { vec![Unit::Finish] } else { missing }
}

/// For how long one audit of a stream is enough.
const LOCK: Duration = Duration::from_secs(10);

impl<Q: Queue> Worker<Q> {
    /// Re-adds what is missing of a stream's jobs, if nothing of them is queued or in anyone's hands.
    pub(super) async fn audit(&self, stream: &Stream) {
        if let Ok(depth) = self.queue.depth(stream).await
            && (depth.queued > 0 || depth.pending > 0)
        {
            return;
        }
        if !self.queue.try_lock(&format!("audit:{stream}"), LOCK).await.unwrap_or(false) {
            return;
        }
        if let Err(error) = self.queue.open(stream).await {
            return tracing::warn!(%stream, %error, "the queue cannot be opened");
        }
        self.meters.audited();
        match stream {
            Stream::Job(job) => self.audit_job(job, stream).await,
            Stream::Lane(lane) => {
                for job in self.open_jobs(lane.as_str()).await {
                    self.audit_job(&job, stream).await;
                }
                if matches!(self.settings.serve, super::Serve::All(_)) {
                    // The queue may have forgotten which jobs are open.
                    for job in self.open_jobs(keys::POOL).await {
                        let _ = self.queue.set_open(&job, true).await;
                    }
                }
            }
        }
    }

    /// The jobs of a lane that are not finished, as the store knows them.
    async fn open_jobs(&self, lane: &str) -> Vec<JobId> {
        let listed = self.store.list(&keys::lane(lane)).await.unwrap_or_default();
        listed.iter().filter_map(|entry| keys::name(&entry.key).parse().ok()).collect()
    }

    async fn audit_job(&self, job: &JobId, stream: &Stream) {
        let there = self.units(job).await;
        if !there.contains(&Unit::Finish) && self.store.head(&keys::cancelled(job)).await.is_ok() {
            if let Err(error) = self.end_dropped(job).await {
                tracing::warn!(%job, %error, "a cancelled job is not closed");
            }
            return;
        }
        let plan = self.store.head(&keys::plan(job)).await;
        if there.contains(&Unit::Finish) || plan.is_err_and(|error| error.is_not_found()) {
            return self.close(job).await;
        }
        let open = match self.jobs.get(&self.store, job).await {
            Ok(open) => open,
            Err(error) => return tracing::debug!(%job, %error, "not audited"),
        };
        if let Stream::Lane(lane) = stream
            && self.has_moved(job).await
        {
            // Whoever moved it died on the way.
            if let Err(error) = self.moves(&open, lane).await {
                tracing::warn!(%job, %error, "the job could not be moved out of the lane");
            }
            return;
        }
        let units = to_do(&open, &there);
        tracing::info!(%job, units = units.len(), "queued again by the audit");
        self.push(&open, stream, &units).await;
    }

    /// What of a job has no outcome, as much as may be queued; its finish, where all shards have one.
    pub(super) async fn missing(&self, job: &OpenJob) -> Vec<Unit> {
        to_do(job, &self.units(&job.id).await)
    }
}
