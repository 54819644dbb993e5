//! `blockgrid cancel`: ends a job without results.

use blockgrid_grid::store::keys;
use blockgrid_grid::{JobId, Queue};
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
        let created = blockgrid_grid::cancel(&grid.store, job, "it was cancelled").await?;
        grid.queue.forget(job).await?;
        grid.queue.announce(job).await?;
        show::note(if created.is_ours() { "cancelled" } else { "the job had finished already" });
        Ok(())
    })
}
