//! Jobs that turn out to be too long for a lane: they move to workers of their own, so that nobody small waits behind them.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use blockgrid_grid::store::keys;
use blockgrid_grid::{JobId, Lane, Queue, QueueError, StoreError, Stream};

use super::{InFlight, Worker};
use crate::jobs::OpenJob;

/// What a shard may take in a lane however little it was quoted; ten times its quote where that is more. The lane's own are
/// a second at most.
pub(super) const MOST: Duration = Duration::from_secs(10);

/// Why a job could not be moved. The lease is handed back, and whoever has it next goes on with it.
#[derive(Debug, thiserror::Error)]
pub(super) enum MoveError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Queue(#[from] QueueError),
}

impl<Q: Queue> Worker<Q> {
    /// Whether a job has left the lane.
    pub(super) async fn has_moved(&self, job: &JobId) -> bool {
        self.store.head(&keys::moved(job)).await.is_ok()
    }

    /// Gives up a lease of a lane because its job is too long for it. Shards that are done stay done.
    pub(super) async fn move_out(&self, job: &Arc<OpenJob>, flight: &InFlight, lane: &Lane) {
        match self.moves(job, lane).await {
            Ok(()) => {
                self.acknowledge(flight).await;
                if flight.cpu.load(Ordering::Relaxed) > 0 {
                    self.record_overhead(job, flight).await;
                }
            }
            Err(error) => {
                tracing::warn!(job = %job.id, %error, "the job could not be moved out of the lane");
                self.release(flight).await;
            }
        }
    }

    pub(super) async fn moves(&self, job: &Arc<OpenJob>, lane: &Lane) -> Result<(), MoveError> {
        let (id, owner) = (&job.id, job.ready.plan().owner.clone());
        let in_lane = keys::lane_job(lane.as_str(), id);
        // First, so that nobody computes more of it in the lane; the name in the lane goes last, so that a move that was
        // broken off is found and done again.
        // Another may have been first.
        let _ = self.store.create(&keys::moved(id), owner.clone().into()).await?;
        match self.store.head(&in_lane).await {
            Ok(_) => {}
            Err(StoreError::NotFound { .. }) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
        tracing::info!(job = %id, lane = lane.as_str(), "the job is too long for the lane: it gets workers of its own");
        self.store.put(&keys::lane_job(keys::POOL, id), owner.into()).await?;
        let stream = Stream::Job(id.clone());
        self.queue.open(&stream).await?;
        self.push(job, &stream, &self.missing(job).await).await;
        self.queue.set_open(id, true).await?;
        self.store.delete(&in_lane).await?;
        Ok(())
    }
}
