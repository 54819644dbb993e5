//! Waiting for a job, with its progress by shard.

use std::time::{Duration, Instant};

use blockgrid_grid::store::keys;
use blockgrid_grid::{JobId, ObjectRef, Outcome, Queue, StoreError, Unit};
use indicatif::{ProgressBar, ProgressStyle};

use super::Grid;
use crate::failure::Failure;
use crate::show;

/// How a job ended.
pub(super) enum End {
    /// Its results are there, and this is its record.
    Done {
        /// `job.json`, as the outcome names it: the copy in the job's folder may still be on its way.
        record: ObjectRef,
    },
    /// There are none.
    Failed {
        /// Why, for programs.
        reason: &'static str,
        /// Why, for people.
        message: String,
    },
}

/// How often the store is asked how far the job is.
const ASK: Duration = Duration::from_millis(500);

/// How long no shard may finish before somebody wants to hear of it.
const QUIET: Duration = Duration::from_secs(30);

/// Waits until a job is finished. Ctrl-C ends the waiting, not the job.
pub(super) async fn wait(grid: &Grid, job: &JobId, shards: u64) -> Result<End, Failure> {
    let bar = bar(shards);
    let (mut seen, mut quiet) = (0, Instant::now());
    for round in 1u64.. {
        // The queue is asked because it tells at once; what it says is only a hint, and it may be away.
        let told = grid.queue.wait_done(job, ASK).await;
        match grid.store.get(&keys::outcome(job, Unit::Finish)).await {
            Ok(bytes) => {
                bar.finish_and_clear();
                return Ok(match serde_json::from_slice(&bytes)? {
                    Outcome::Done { result, .. } => End::Done { record: result },
                    Outcome::Failed { reason, message, .. } => End::Failed { reason: reason.id(), message },
                });
            }
            // Now and then: without a plan there is no job, and no end of it will come.
            Err(StoreError::NotFound { .. }) if round.is_multiple_of(4) => {
                let plan = grid.store.head(&keys::plan(job)).await;
                if plan.is_err_and(|error| error.is_not_found()) {
                    let message = "its objects are not there any more".to_owned();
                    return Ok(End::Failed { reason: "deleted", message });
                }
            }
            Err(StoreError::NotFound { .. } | StoreError::Unavailable { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        let listed = grid.store.list(&keys::outcomes(job)).await?;
        let done = listed.iter().filter(|entry| keys::name(&entry.key).starts_with('s')).count();
        bar.set_position(done as u64);
        if round == 1 {
            bar.suspend(|| {
                show::note(&format!("waiting; Ctrl-C ends that, not the job: `blockgrid results {job}`"))
            });
        }
        if done > seen {
            (seen, quiet) = (done, Instant::now());
        }
        if quiet.elapsed() > QUIET {
            let text = format!(
                "no shard has finished for {} s ({done} of {shards} are): does a worker run?",
                QUIET.as_secs()
            );
            bar.suspend(|| show::note(&text));
            quiet = Instant::now();
        }
        if told.is_err() {
            tokio::time::sleep(ASK).await;
        }
    }
    unreachable!("rounds do not end")
}

fn bar(shards: u64) -> ProgressBar {
    let bar = ProgressBar::new(shards);
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {pos}/{len} shards  {elapsed} (left: {eta})") {
        bar.set_style(style);
    }
    bar
}
