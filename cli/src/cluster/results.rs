//! `kubectl backtest results`: the files that `blockgrid run` writes, from a job of a cluster.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use blockgrid_grid::store::keys;
use blockgrid_grid::{JobId, ObjectRef, Options, Plan, Store};
use clap::Args;

use super::client::Cluster;
use super::links::fetched;
use super::object::BacktestJob;
use super::program;
use crate::Output;
use crate::failure::Failure;
use crate::grid::{deliver, writable};

#[derive(Args)]
pub(super) struct ResultsArgs {
    /// The job.
    name: String,
    /// Folder for the results [default: blockgrid-out/NAME].
    #[arg(short, long, value_name = "DIR")]
    out: Option<PathBuf>,
    #[command(flatten)]
    store: WhichStore,
    /// How to print.
    #[arg(long, value_enum, default_value_t)]
    pub(super) output: Output,
}

/// The store of the grid, for who has keys of it.
#[derive(Args)]
pub(super) struct WhichStore {
    /// Fetch from the grid's store with keys of your own (AWS_ACCESS_KEY_ID and its like) instead of by links:
    /// s3://BUCKET/PREFIX.
    #[arg(long, value_name = "URL")]
    store: Option<String>,
    /// Its S3 server where it is not AWS.
    #[arg(long, value_name = "URL", requires = "store")]
    s3_endpoint: Option<String>,
}

/// Where results go.
pub(super) fn folder(out: Option<&Path>, name: &str) -> PathBuf {
    out.map_or_else(|| Path::new("blockgrid-out").join(name), Path::to_owned)
}

pub(super) async fn results(cluster: &Cluster, args: &ResultsArgs) -> Result<(), Failure> {
    let job = cluster.job(&args.name).await?;
    let (phase, flags, program) = (job.status.phase, &cluster.flags, program());
    if !phase.is_terminal() {
        let progress =
            job.status.progress.as_ref().map(|done| format!(", {done} shards")).unwrap_or_default();
        return Err(Failure::No(format!(
            "{} has no results yet ({phase}{progress}): `{program} watch {}{flags}` waits for its end",
            args.name, args.name
        )));
    }
    if !phase.has_results() {
        return Err(Failure::No(format!(
            "{} has no results: {}: {}",
            args.name,
            job.ended_as(),
            job.full_message()
        )));
    }
    fetch(cluster, &job, args.out.as_deref(), Some(&args.store), args.output).await
}

/// Fetches the results of a job that has them.
pub(super) async fn fetch(
    cluster: &Cluster,
    job: &BacktestJob,
    out: Option<&Path>,
    which: Option<&WhichStore>,
    output: Output,
) -> Result<(), Failure> {
    let started = Instant::now();
    let out = folder(out, &job.name);
    writable(&out, &job.name, Some(&job.namespace))?;
    let id: JobId = job.uid.parse()?;
    let Some(results) = &job.status.results else {
        let message = "its status names no results: ask whoever runs the grid";
        return Err(Failure::Failed(anyhow::anyhow!("{}: {message}", job.name)));
    };
    let record = ObjectRef { key: results.record.clone(), sha256: results.sha256.clone(), bytes: 0 };
    let own = which.and_then(|which| which.store.as_ref().map(|store| (store, which.s3_endpoint.clone())));
    let (store, plan) = match own {
        Some((location, endpoint)) => direct(location, endpoint, &id).await?,
        None => fetched(cluster, job, results).await?,
    };
    deliver(&store, &id, plan, &record, &out, output, (started, "fetched")).await
}

/// The store with the caller's own keys.
async fn direct(location: &str, endpoint: Option<String>, id: &JobId) -> Result<(Store, Plan), Failure> {
    let options = Options { endpoint, patience: Duration::from_secs(20), ..Options::default() };
    let bad = |message: String| Failure::input("cannot use the store", "--store", message);
    let store = Store::open(location, &options).map_err(|error| bad(error.to_string()))?;
    let bytes = store.get(&keys::plan(id)).await.map_err(|error| {
        if error.is_not_found() {
            bad(format!("{location} has no job {id}: is it the store of this grid?"))
        } else {
            bad(error.to_string())
        }
    })?;
    Ok((store, serde_json::from_slice(&bytes)?))
}
