//! `blockgrid link`: a link by which anyone may fetch a result file for a while.

use std::time::Duration;

use blockgrid_grid::store::keys;
use blockgrid_grid::{JobId, Store};
use blockgrid_worker::options::time;
use clap::Args;

use super::{WhichStore, block_on, store_failure};
use crate::failure::Failure;
use crate::show;

/// What S3 allows.
const LONGEST: Duration = Duration::from_secs(7 * 24 * 3600);

#[derive(Args)]
pub(crate) struct LinkArgs {
    /// The uid that `blockgrid submit` printed.
    uid: JobId,
    /// A file of its results, such as trials.parquet or job.json.
    file: String,
    /// How long the link works, such as 15m or 24h; at most 168h. With temporary keys it ends when they do.
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = valid)]
    valid: Duration,
    #[command(flatten)]
    store: WhichStore,
}

fn valid(text: &str) -> Result<Duration, String> {
    match time(text)? {
        time if time > LONGEST => Err(format!("is `{text}`, but S3 takes at most 168h")),
        time if time < Duration::from_secs(1) => Err(format!("is `{text}`, but must be a second at least")),
        time => Ok(time),
    }
}

pub(crate) fn link(args: &LinkArgs) -> Result<(), Failure> {
    let (location, options) = args.store.find()?;
    block_on(async {
        let store = Store::open(&location, &options).map_err(store_failure)?;
        let (job, key) = (&args.uid, keys::out(&args.uid, &args.file));
        match store.head(&key).await {
            Ok(_) => {}
            Err(error) if error.is_not_found() => {
                let folder = format!("{}/out", keys::job(job));
                let there = store.list(&folder).await.map_err(store_failure)?;
                let names: Vec<&str> = there.iter().map(|entry| keys::name(&entry.key)).collect();
                return Err(if names.is_empty() {
                    let message = format!(
                        "`{job}` has no results here: is it finished? `blockgrid results {job}` waits"
                    );
                    Failure::input("no such file", "UID", message)
                } else {
                    let message = format!("is `{}`, but the job has {}", args.file, names.join(", "));
                    Failure::input("no such file", "FILE", message)
                });
            }
            Err(error) => return Err(store_failure(error)),
        }
        let url = store.signed_get(&key, args.valid).await.map_err(store_failure)?;
        show::print(&format!("{url}\n"));
        Ok(())
    })
}
