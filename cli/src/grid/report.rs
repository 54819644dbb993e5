//! `blockgrid report`: the report of a job on a grid, made here from what the job left there.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use blockgrid_engine::Candles;
use blockgrid_grid::store::keys;
use blockgrid_grid::{JobId, Options, Plan, Store};
use blockgrid_results::files::{REPORT, TABLES, TRACES};
use blockgrid_results::table::decode_trials;
use blockgrid_results::trace::decode_traces;
use blockgrid_results::{TrialTable, rank};
use blockgrid_worker::Ready;
use blockgrid_worker::inputs::Candlery;
use blockgrid_worker::publish::{place_of, top_trials, write_report};
use clap::Args;

use super::block_on;
use crate::failure::Failure;
use crate::show;

/// Bytes of candles held while a report is made.
const CANDLES: u64 = 4 << 30;

#[derive(Args)]
pub(crate) struct ReportArgs {
    /// A job on a grid: s3://BUCKET/PREFIX/jobs/UID. Keys are those of AWS_ACCESS_KEY_ID and its like.
    location: String,
    /// The S3 server where it is not AWS.
    #[arg(long, value_name = "URL", env = "BLOCKGRID_S3_ENDPOINT")]
    s3_endpoint: Option<String>,
    /// Folder for the report.
    #[arg(short, long, value_name = "DIR", default_value = ".")]
    out: PathBuf,
}

pub(crate) fn run(args: &ReportArgs) -> Result<(), Failure> {
    let (store, id) = open_job(&args.location, args.s3_endpoint.clone())?;
    block_on(async {
        let plan: Plan = serde_json::from_slice(&store.get(&keys::plan(&id)).await?)?;
        let ready = Ready::of_finished(plan)?;
        let table = decode_trials(store.get(&keys::out(&id, TABLES[0])).await?, TABLES[0])?;
        let ranked = rank(&table, &ready.objective());
        std::fs::create_dir_all(&args.out)?;
        report(&store, &id, &ready, &table, &ranked, &args.out).await?;
        show::print(&format!("{}\n", args.out.join(REPORT).display()));
        Ok(())
    })
}

/// The store and the uid of `STORE/jobs/UID`, with or without what stands below it.
pub(crate) fn open_job(location: &str, endpoint: Option<String>) -> Result<(Store, JobId), Failure> {
    let bad = |message: String| Failure::input("no such job", "LOCATION", message);
    let parts = location.split_once("/jobs/");
    let (store, rest) = parts
        .ok_or_else(|| bad(format!("`{location}` is none: one looks like s3://BUCKET/PREFIX/jobs/UID")))?;
    let uid = rest.split('/').next().unwrap_or_default();
    let id = uid.parse().map_err(|error| bad(format!("{error}")))?;
    let options = Options { endpoint, ..Options::default() };
    Ok((Store::open(store, &options).map_err(|error| bad(error.to_string()))?, id))
}

/// Makes the report of a finished job in a folder: the one that `blockgrid run` writes.
pub(super) async fn report(
    store: &Store,
    id: &JobId,
    ready: &Ready,
    table: &TrialTable,
    ranked: &[usize],
    out: &Path,
) -> Result<(), Failure> {
    let outcomes = decode_traces(&store.get(&keys::out(id, TRACES)).await?)?;
    let from = Candlery::new(CANDLES, None);
    let mut candles: Vec<Option<Arc<Candles>>> = vec![None; ready.plan().inputs.symbols.len()];
    for &row in ranked.iter().take(outcomes.len()) {
        let (symbol, _) = place_of(ready, row);
        if candles[symbol].is_none() {
            candles[symbol] = Some(from.get(store, ready, symbol).await?);
        }
    }
    let none = Candles::new(ready.plan().inputs.interval, blockgrid_engine::candles::RawCandles::default())?;
    let of = |symbol: usize| candles[symbol].as_deref().unwrap_or(&none);
    let top = top_trials(ready, table, ranked, outcomes, of);
    write_report(out, ready, table, ranked, &top)?;
    Ok(())
}
