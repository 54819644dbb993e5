//! `blockgrid cancel`: ends a job; what it has computed stays in the cache of its tenant.

use blockgrid_grid::store::keys;
use blockgrid_grid::usage::UnitUsage;
use blockgrid_grid::{FailReason, JobId, Outcome, Queue, Unit};
use clap::Args;

use super::{WhichGrid, block_on};
use crate::failure::Failure;
use crate::show;

#[derive(Args)]
pub(crate) struct CancelArgs {
    /// The uid that `blockgrid submit` printed.
    uid: JobId,
    #[command(flatten)]
    grid: WhichGrid,
}

pub(crate) fn cancel(args: &CancelArgs) -> Result<(), Failure> {
    block_on(async {
        let grid = args.grid.connect().await?;
        let job = &args.uid;
        if grid.store.head(&keys::plan(job)).await.is_err_and(|error| error.is_not_found()) {
            return Err(Failure::input("no such job", "UID", format!("`{job}` is no job of this grid")));
        }
        // First the mark, which workers obey; then the end, unless the job has come to one by now.
        grid.store.put(&keys::cancelled(job), bytes::Bytes::new()).await?;
        let (reason, message) = (FailReason::Cancelled, "it was cancelled".to_owned());
        let outcome = Outcome::Failed { reason, message, usage: UnitUsage::default() };
        let key = keys::outcome(job, Unit::Finish);
        let created = grid.store.create(&key, serde_json::to_vec(&outcome)?.into()).await?;
        grid.queue.forget(job).await?;
        grid.queue.announce(job).await?;
        show::note(if created.is_ours() { "cancelled" } else { "the job had finished already" });
        Ok(())
    })
}
