//! `kubectl backtest suspend` and `resume`: a job rests, and goes on.

use std::time::Duration;

use blockgrid_job::status::{LaneKind, Phase};
use serde_json::json;

use super::ChangeArgs;
use super::client::Cluster;
use super::follow::follow;
use super::object::BacktestJob;
use super::program;
use crate::failure::Failure;
use crate::show;

/// How long the operator may take before somebody wants to hear of it.
const QUIET: Duration = Duration::from_secs(10);

pub(super) async fn suspend(cluster: &Cluster, args: &ChangeArgs) -> Result<(), Failure> {
    let name = &args.name;
    let job = changed(cluster, args, true).await?;
    let (Some(job), flags) = (job, &cluster.flags) else { return Ok(()) };
    if job.status.phase == Phase::Suspended {
        show::note(&format!("{name} is suspended: `{} resume {name}{flags}` lets it go on", program()));
        return Ok(());
    }
    let why = if job.status.lane == Some(LaneKind::Interactive) {
        ": its shards were in the interactive lane already, which takes none back"
    } else {
        ""
    };
    Err(Failure::No(format!("{name} has ended before it could rest ({}){why}", job.status.phase)))
}

pub(super) async fn resume(cluster: &Cluster, args: &ChangeArgs) -> Result<(), Failure> {
    if let Some(job) = changed(cluster, args, false).await? {
        show::note(&format!("{} goes on: {}", args.name, job.status.phase));
    }
    Ok(())
}

/// Sets `spec.suspend` and waits until the status says so; the job then, unless nobody waits.
async fn changed(
    cluster: &Cluster,
    args: &ChangeArgs,
    suspend: bool,
) -> Result<Option<BacktestJob>, Failure> {
    let name = &args.name;
    let before = cluster.job(name).await?;
    if before.status.phase.is_terminal() {
        let message = format!("{name} has ended: {}", before.status.phase);
        return Err(Failure::No(message));
    }
    let generation = cluster.patch(name, json!({ "spec": { "suspend": suspend } })).await?.generation;
    if args.no_wait {
        let what = if suspend { "rest" } else { "go on" };
        show::note(&format!("{name} is to {what}"));
        return Ok(None);
    }
    let says_so = |job: &BacktestJob| {
        let is_suspended = job.status.phase == Phase::Suspended;
        let has_seen = job.status.observed_generation.is_some_and(|seen| seen >= generation);
        job.status.phase.is_terminal() || has_seen && is_suspended == suspend
    };
    until(cluster, name, says_so).await.map(Some)
}

/// Waits until a job is so; says so when nobody answers for a while.
pub(super) async fn until(
    cluster: &Cluster,
    name: &str,
    is_so: impl Fn(&BacktestJob) -> bool,
) -> Result<BacktestJob, Failure> {
    let followed = follow(cluster, name, |job| is_so(job).then(|| job.clone()));
    let note = format!(
        "it is written down, but its status does not say so yet: does the operator run? Ctrl-C ends the waiting (--no-wait), `{} why {name}{}` says how it is",
        program(),
        cluster.flags
    );
    patiently(followed, &note).await
}

/// Waits for an answer of the operator, with a word where it takes long.
pub(super) async fn patiently<T>(answer: impl Future<Output = T>, note: &str) -> T {
    tokio::pin!(answer);
    tokio::select! {
        answer = &mut answer => return answer,
        () = tokio::time::sleep(QUIET) => {}
    }
    show::note(note);
    answer.await
}
