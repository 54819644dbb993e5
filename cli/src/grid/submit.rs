//! `blockgrid submit`: a job planned here, committed to the store, queued, and waited for.

use std::path::{Path, PathBuf};
use std::time::Instant;

use blockgrid_grid::store::keys;
use blockgrid_grid::telemetry::Telemetry;
use blockgrid_grid::{JobId, ObjectRef, Plan, Store, Tenant, Unit};
use blockgrid_job::quote::{Price, counted, duration, grouped};
use blockgrid_planner::prepare::INTERACTIVE_MICROS;
use blockgrid_planner::{CommitError, Prepared, Request, candles, enqueue, prepare};
use blockgrid_results::files::{RECORD, REPORT, TABLES};
use blockgrid_results::{Objective, rank, read_trials};
use blockgrid_worker::Ready;
use blockgrid_worker::publish::warnings;
use clap::Args;

use super::report::report;
use super::wait::{self, End};
use super::{Grid, WhichGrid, block_on};
use crate::failure::Failure;
use crate::load::load;
use crate::{ManifestArgs, Output, run, show};

#[derive(Args)]
pub(crate) struct SubmitArgs {
    #[command(flatten)]
    manifest: ManifestArgs,
    #[command(flatten)]
    grid: WhichGrid,
    /// Wait until the job is finished, and fetch its results.
    #[arg(long)]
    wait: bool,
    /// Folder for the results [default: blockgrid-out/NAME].
    #[arg(short, long, value_name = "DIR", requires = "wait")]
    out: Option<PathBuf>,
    /// Whose job it is: candles are shared within a tenant, and nothing between tenants.
    #[arg(long, default_value = "local")]
    tenant: Tenant,
    /// Who asks: small jobs share the workers in turns, owner by owner.
    #[arg(long, env = "USER", default_value = "local")]
    owner: String,
    /// The job's uid [default: a new one]; submitted again, the same uid is the same job.
    #[arg(long)]
    uid: Option<JobId>,
    /// Cut into shards of about so many seconds, and do not go through the lane of small jobs.
    #[arg(long, value_name = "SECONDS", hide_short_help = true)]
    shard_seconds: Option<f64>,
    /// Compute every trial, also those that an earlier job of the tenant has.
    #[arg(long)]
    no_cache: bool,
    /// How to print.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) output: Output,
}

pub(crate) fn submit(args: &SubmitArgs) -> Result<(), Failure> {
    let started = Instant::now();
    let loaded = load(&args.manifest)?;
    Objective::of(&loaded.job.spec().sweep.objective)?;
    let data = candles::read(&loaded.job, &loaded.folder)?;
    let id = args.uid.clone().unwrap_or_else(JobId::random);
    let name = loaded.job.spec().name.clone();
    let out = args.out.clone().unwrap_or_else(|| Path::new("blockgrid-out").join(&name));
    if args.wait {
        writable(&out, &name, Some(args.tenant.as_str()))?;
    }
    if let Some(seconds) = args.shard_seconds
        && !(seconds > 0.0 && seconds.is_finite())
    {
        let message = format!("is {seconds}, but must be a number of seconds above 0");
        return Err(Failure::input("bad option", "--shard-seconds", message));
    }
    block_on(async {
        let telemetry = Telemetry::from_env("blockgrid", "submit")?;
        let grid = args.grid.connect().await?;
        let request = Request {
            tenant: args.tenant.clone(),
            owner: args.owner.clone(),
            text: loaded.text.clone(),
            shard_seconds: args.shard_seconds,
            reuse: !args.no_cache,
            interactive_micros: INTERACTIVE_MICROS,
            price: Price::default(),
            now: jiff::Timestamp::now().as_second(),
        };
        let prepared = prepare(&grid.store, &id, &loaded.job, &data, request).await;
        let Prepared { plan: planned, lane } = prepared.map_err(|error| match error {
            CommitError::Taken { .. } => Failure::input("cannot submit", "--uid", error.to_string()),
            error => error.into(),
        })?;
        // A job that was submitted before may be finished: queued again it would be computed again.
        let finish = keys::outcome(&id, Unit::Finish);
        if args.uid.is_none() || grid.store.head(&finish).await.is_err() {
            enqueue(&grid.store, &grid.queue, &id, &planned, lane.as_ref()).await?;
        }
        telemetry.planned(&id, started.elapsed(), Ok(&planned));
        telemetry.end().await;
        show::note(&format!(
            "{name}: {} in {}, {} cached; uid {id}",
            counted(planned.trials().into(), "trial"),
            counted(planned.shards.into(), "shard"),
            grouped(planned.cached_trials().into()),
        ));
        if !args.wait {
            if args.output == Output::Json {
                show::print(&format!("{}\n", serde_json::json!({ "uid": id, "job": name })));
            }
            return Ok(());
        }
        conclude(&grid, &id, planned, &out, args.output, (started, "from submission to results")).await
    })
}

/// Waits for a job, fetches what came out and shows it.
async fn conclude(
    grid: &Grid,
    id: &JobId,
    plan: Plan,
    out: &Path,
    output: Output,
    started: (Instant, &str),
) -> Result<(), Failure> {
    let record = match wait::wait(grid, id, plan.shards).await? {
        End::Done { record } => record,
        End::Failed { reason, message } => {
            return Err(Failure::Failed(anyhow::anyhow!("the job failed ({reason}): {message}")));
        }
    };
    deliver(&grid.store, id, plan, &record, out, output, started).await
}

/// Fetches what came out of a job that has results, makes its report and shows it.
pub(crate) async fn deliver(
    store: &Store,
    id: &JobId,
    plan: Plan,
    record: &ObjectRef,
    out: &Path,
    output: Output,
    (started, what): (Instant, &str),
) -> Result<(), Failure> {
    let took = started.elapsed().as_secs_f64();
    fetch(store, id, record, out).await?;
    let ready = Ready::of_finished(plan).map_err(|error| {
        anyhow::anyhow!("the tables are in {}, but their report cannot be made: {error}", out.display())
    })?;
    let table = read_trials(&out.join(TABLES[0]))?;
    let objective = ready.objective();
    let ranked = rank(&table, &objective);
    report(store, id, &ready, &table, &ranked, out).await?;
    let told = warnings(&ready, &table);
    match output {
        Output::Json => {
            let record: serde_json::Value = serde_json::from_slice(&std::fs::read(out.join(RECORD))?)?;
            let summary = serde_json::json!({
                "uid": id,
                "job": ready.job().spec().name,
                "out": out.display().to_string(),
                "trials": table.len(),
                "state": record["state"],
                "grid": record["grid"],
                "seconds": took,
                "warnings": told,
            });
            show::print(&format!("{summary}\n"));
        }
        Output::Text => {
            show::print(&run::text(&table, &objective, &ranked));
            for warning in told {
                show::print(&format!("note: {warning}\n"));
            }
            let record: serde_json::Value = serde_json::from_slice(&std::fs::read(out.join(RECORD))?)?;
            if let Some(failed @ 1..) = record["grid"]["failedTrials"].as_u64() {
                let first = record["grid"]["failures"][0]["message"].as_str().unwrap_or_default();
                show::print(&format!(
                    "note: {} failed, without metrics: {first}\n",
                    counted(failed.into(), "trial")
                ));
            }
            show::print(&format!(
                "\n{} in {} {what}\nreport: {}\n",
                counted(table.len() as u128, "trial"),
                duration(took),
                out.join(REPORT).display()
            ));
        }
    }
    Ok(())
}

/// Makes the folder of a job's results, before anything is computed for it. One that is run anew takes the place of what it
/// left before; that of another job is nobody's to lose.
pub(crate) fn writable(out: &Path, job: &str, tenant: Option<&str>) -> Result<(), Failure> {
    let bad = |why: String| {
        let message = format!("`{}` {why}: name another", out.display());
        Err(Failure::input("cannot write results", "--out", message))
    };
    if let Err(error) = std::fs::create_dir_all(out) {
        return bad(if out.is_file() { "is a file, not a folder".to_owned() } else { error.to_string() });
    }
    let before = std::fs::read(out.join(RECORD)).ok();
    let before = before.and_then(|bytes| serde_json::from_slice::<serde_json::Value>(&bytes).ok());
    let Some(before) = before else { return Ok(()) };
    match (before["job"].as_str(), before["grid"]["tenant"].as_str()) {
        (Some(other), _) if other != job => bad(format!("has results of another job, {other}")),
        (Some(_), Some(other)) if tenant.is_some_and(|tenant| tenant != other) => {
            bad(format!("has results of another job of this name, of {other}"))
        }
        _ => Ok(()),
    }
}

/// Fetches the files of a job into a folder.
async fn fetch(store: &Store, id: &JobId, record: &ObjectRef, out: &Path) -> Result<(), Failure> {
    std::fs::create_dir_all(out)?;
    for file in TABLES.into_iter().chain([RECORD]) {
        let bytes = if file == RECORD {
            store.get_checked(&record.key, &record.sha256).await?
        } else {
            store.get(&keys::out(id, file)).await?
        };
        let beside = out.join(format!(".{file}.{}.tmp", std::process::id()));
        std::fs::write(&beside, bytes)?;
        std::fs::rename(beside, out.join(file))?;
    }
    Ok(())
}

#[derive(Args)]
pub(crate) struct ResultsArgs {
    /// The uid that `blockgrid submit` printed.
    uid: JobId,
    #[command(flatten)]
    grid: WhichGrid,
    /// Folder for the results [default: blockgrid-out/NAME].
    #[arg(short, long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// How to print.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) output: Output,
}

/// `blockgrid results`: waits for a job that was submitted, and fetches its results.
pub(crate) fn results(args: &ResultsArgs) -> Result<(), Failure> {
    let started = Instant::now();
    block_on(async {
        let grid = args.grid.connect().await?;
        let bytes = grid.store.get(&keys::plan(&args.uid)).await.map_err(|error| {
            if error.is_not_found() {
                Failure::input("no such job", "UID", format!("`{}` is no job of this grid", args.uid))
            } else {
                error.into()
            }
        })?;
        let plan: Plan = serde_json::from_slice(&bytes)?;
        let name = plan.manifest["metadata"]["name"].as_str().unwrap_or("job");
        let out = args.out.clone().unwrap_or_else(|| Path::new("blockgrid-out").join(name));
        writable(&out, name, Some(plan.tenant.as_str()))?;
        conclude(&grid, &args.uid, plan, &out, args.output, (started, "waited for and fetched")).await
    })
}
