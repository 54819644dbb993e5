//! `blockgrid ls`: the jobs of a grid, as its store knows them.

use blockgrid_grid::store::keys;
use blockgrid_grid::{JobId, Outcome, Plan, Store, StoreError, Unit};
use clap::Args;
use futures::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{WhichStore, block_on, store_failure};
use crate::failure::Failure;
use crate::{Output, show};

/// Jobs that are looked at at a time.
const AT_ONCE: usize = 32;

#[derive(Args)]
pub(crate) struct LsArgs {
    /// How many, the newest first.
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: usize,
    #[command(flatten)]
    store: WhichStore,
    /// How to print.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) output: Output,
}

/// A job as its objects tell.
struct Job {
    id: JobId,
    planned: Timestamp,
    name: String,
    owner: String,
    state: &'static str,
    done: u64,
    shards: u64,
    trials: u64,
    best: Option<String>,
    why: Option<String>,
}

pub(crate) fn ls(args: &LsArgs) -> Result<(), Failure> {
    let (location, options) = args.store.find()?;
    block_on(async {
        let store = Store::open(&location, &options).map_err(store_failure)?;
        let (jobs, more) = jobs(&store, args.limit).await.map_err(store_failure)?;
        match args.output {
            Output::Json => {
                let jobs: Vec<Value> = jobs.iter().map(machine).collect();
                show::print(&format!("{}\n", json!(jobs)));
            }
            Output::Text if jobs.is_empty() => show::note(&format!("no jobs in {}", store.location())),
            Output::Text => show::print(&text(&jobs, Timestamp::now())),
        }
        if more > 0 {
            show::note(&format!("{more} older ones: --limit {} shows them too", jobs.len() + more));
        }
        Ok(())
    })
}

/// The newest jobs, and how many there are besides. A folder without a plan is no job: its submission was broken off.
async fn jobs(store: &Store, limit: usize) -> Result<(Vec<Job>, usize), StoreError> {
    let ids = store.folders(&keys::jobs()).await?.into_iter().filter_map(|name| name.parse::<JobId>().ok());
    let planned = ids.map(|id| async move {
        match store.head(&keys::plan(&id)).await {
            Ok(plan) => Ok(Some((plan.modified, id))),
            Err(StoreError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    });
    let planned: Vec<Option<(i64, JobId)>> =
        stream::iter(planned.collect::<Vec<_>>()).buffer_unordered(AT_ONCE).try_collect().await?;
    let mut planned: Vec<(i64, JobId)> = planned.into_iter().flatten().collect();
    planned.sort_by(|a, b| b.cmp(a));
    let more = planned.len().saturating_sub(limit);
    planned.truncate(limit);
    let read = planned.into_iter().map(|(modified, id)| async move {
        // One that is removed while we look is not there.
        match job(store, id, modified).await {
            Err(StoreError::NotFound { .. }) => Ok(None),
            job => job.map(Some),
        }
    });
    let jobs: Vec<Option<Job>> =
        stream::iter(read.collect::<Vec<_>>()).buffered(AT_ONCE).try_collect().await?;
    Ok((jobs.into_iter().flatten().collect(), more))
}

async fn job(store: &Store, id: JobId, modified: i64) -> Result<Job, StoreError> {
    let plan_key = keys::plan(&id);
    let outcomes_key = keys::outcomes(&id);
    let (plan, outcomes) = tokio::join!(store.get(&plan_key), store.list(&outcomes_key));
    let plan: Plan = parsed(&plan_key, &plan?)?;
    let units: Vec<Unit> = outcomes?.iter().filter_map(|entry| keys::name(&entry.key).parse().ok()).collect();
    let done = units.iter().filter(|unit| matches!(unit, Unit::Shard(_))).count() as u64;
    let mut job = Job {
        planned: Timestamp::from_second(modified).unwrap_or_default(),
        name: plan.manifest["metadata"]["name"].as_str().unwrap_or_default().to_owned(),
        owner: plan.owner.clone(),
        state: if done == 0 { "Queued" } else { "Running" },
        done,
        shards: plan.shards,
        trials: plan.trials(),
        best: None,
        why: None,
        id,
    };
    if units.contains(&Unit::Finish) {
        let key = keys::outcome(&job.id, Unit::Finish);
        match parsed::<Outcome>(&key, &store.get(&key).await?)? {
            Outcome::Done { result, .. } => {
                let read = store.get_checked(&result.key, &result.sha256).await;
                let record: Value = match read.and_then(|bytes| parsed(&result.key, &bytes)) {
                    Ok(record) => record,
                    Err(error @ (StoreError::NotFound { .. } | StoreError::Corrupt { .. })) => {
                        job.state = "Damaged";
                        job.why = Some(error.to_string());
                        return Ok(job);
                    }
                    Err(error) => return Err(error),
                };
                let is_partial = record["state"] == "PartiallySucceeded";
                job.state = if is_partial { "PartiallySucceeded" } else { "Succeeded" };
                let best = &record["grid"]["best"];
                job.best = best["metric"]
                    .as_str()
                    .zip(best["value"].as_f64())
                    .map(|(metric, value)| format!("{metric} {value:.4}"));
            }
            Outcome::Failed { reason, message, .. } => {
                job.state = if reason.id() == "cancelled" { "Cancelled" } else { "Failed" };
                job.why = Some(format!("{}: {message}", reason.id()));
            }
        }
    } else if job.shards > 0 && done >= job.shards {
        job.state = "Finishing";
    }
    Ok(job)
}

fn parsed<T: serde::de::DeserializeOwned>(key: &str, bytes: &[u8]) -> Result<T, StoreError> {
    serde_json::from_slice(bytes)
        .map_err(|error| StoreError::Corrupt { key: key.to_owned(), problem: error.to_string() })
}

fn text(jobs: &[Job], now: Timestamp) -> String {
    let mut table = show::table();
    table.set_header(["UID", "NAME", "STATE", "SHARDS", "TRIALS", "BEST", "OWNER", "AGE"]);
    for job in jobs {
        table.add_row([
            job.id.to_string(),
            job.name.clone(),
            job.state.to_owned(),
            format!("{}/{}", job.done, job.shards),
            job.trials.to_string(),
            job.best.clone().or_else(|| job.why.clone()).unwrap_or_default(),
            job.owner.clone(),
            show::age(job.planned, now),
        ]);
    }
    show::lines(&table)
}

fn machine(job: &Job) -> Value {
    json!({
        "uid": job.id,
        "name": job.name,
        "state": job.state,
        "shards": { "total": job.shards, "done": job.done },
        "trials": job.trials,
        "best": job.best,
        "message": job.why,
        "owner": job.owner,
        "planned": job.planned.to_string(),
    })
}
