//! `kubectl backtest logs`: what the workers of a job say.

use std::collections::BTreeSet;
use std::time::Duration;

use blockgrid_job::names::UID_LABEL;
use blockgrid_job::status::LaneKind;
use clap::Args;
use futures::{AsyncBufReadExt, TryStreamExt};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::{Api, ListParams, LogParams};
use tokio::task::JoinSet;

use super::client::{Call, Cluster};
use super::object::BacktestJob;
use super::program;
use crate::failure::Failure;
use crate::show;

/// Lines of each pod that are shown, unless all are asked for.
const LINES: i64 = 50;

/// How often new pods are looked for while logs are followed.
const LOOK: Duration = Duration::from_secs(2);

/// Which of the workers a pod is, as its Job numbers them.
const INDEX: &str = "batch.kubernetes.io/job-completion-index";

#[derive(Args)]
pub(super) struct LogsArgs {
    /// The job.
    name: String,
    /// Go on with what they say from now, until the job has ended.
    #[arg(short, long)]
    follow: bool,
    /// All lines, not the last fifty of each.
    #[arg(long)]
    all: bool,
    /// The namespace of the grid's workers.
    #[arg(long, value_name = "NAME", default_value = "blockgrid")]
    workers_namespace: String,
}

pub(super) async fn logs(cluster: &Cluster, args: &LogsArgs) -> Result<(), Failure> {
    let mut job = cluster.job(&args.name).await?;
    if job.status.lane == Some(LaneKind::Interactive) {
        return shared(cluster, &job);
    }
    let pods: Api<Pod> = Api::namespaced(cluster.client.clone(), &args.workers_namespace);
    let of_job = ListParams::default().labels(&format!("{UID_LABEL}={}", job.uid));
    let call = |verb: &'static str, resource: &'static str| Call {
        verb,
        resource,
        group: "",
        namespace: &args.workers_namespace,
        name: "",
    };
    let (mut begun, mut told) = (BTreeSet::new(), BTreeSet::new());
    let mut streams = JoinSet::new();
    loop {
        let mut found = match pods.list(&of_job).await {
            Ok(found) => found.items,
            // No right would show what is gone.
            Err(kube::Error::Api(status)) if status.code == 403 && job.status.phase.is_terminal() => {
                Vec::new()
            }
            Err(error) => return Err(cluster.failure(&error, call("list", "pods"))),
        };
        // Those that took the place of others come after them.
        found.sort_by_key(|pod| {
            let created = pod.creation_timestamp().map(|time| time.0);
            (index(pod).parse::<u32>().unwrap_or(u32::MAX), created, pod.name_any())
        });
        for pod in &found {
            let name = pod.name_any();
            if !has_begun(pod) {
                if told.insert(name.clone()) {
                    show::note(&format!("[{}] {name} has not started: {}", index(pod), waits_for(pod)));
                }
                continue;
            }
            if !begun.insert(name.clone()) {
                continue;
            }
            let parameters = LogParams {
                follow: args.follow,
                tail_lines: (!args.all).then_some(LINES),
                ..LogParams::default()
            };
            let (pods, index) = (pods.clone(), tag(pod));
            let said = async move {
                let mut lines = pods.log_stream(&name, &parameters).await?.lines();
                while let Some(line) = lines.try_next().await.map_err(kube::Error::ReadEvents)? {
                    show::print(&format!("[{index}] {line}\n"));
                }
                Ok::<(), kube::Error>(())
            };
            if args.follow {
                streams.spawn(said);
            } else {
                said.await.map_err(|error| cluster.failure(&error, call("get", "pods/log")))?;
            }
        }
        if begun.is_empty() && (!args.follow || job.status.phase.is_terminal()) {
            return if told.is_empty() { Err(nobody(cluster, &job, args)) } else { Ok(()) };
        }
        let has_ended = job.status.phase.is_terminal() && streams.is_empty();
        if !args.follow || has_ended {
            return Ok(());
        }
        tokio::select! {
            Some(ended) = streams.join_next() => {
                if let Ok(Err(error)) = ended {
                    match error {
                        // Its pod is gone, or its connection: what comes next is found by the next look.
                        kube::Error::Api(ref status) if status.code == 403 => {
                            return Err(cluster.failure(&error, call("get", "pods/log")));
                        }
                        _ => {}
                    }
                }
            }
            () = tokio::time::sleep(LOOK) => {}
        }
        job = cluster.job(&args.name).await?;
    }
}

/// A job of the interactive lane has no pods of its own.
fn shared(cluster: &Cluster, job: &BacktestJob) -> Result<(), Failure> {
    let (program, name, flags) = (program(), &job.name, &cluster.flags);
    let more = if job.status.phase.has_results() {
        format!("trials that failed are in job.json, with what each said: `{program} results {name}{flags}`")
    } else {
        format!("`{program} why {name}{flags}` says how it is")
    };
    Err(Failure::No(format!(
        "{name} is small: its shards run in workers that it shares with other tenants' jobs, whose logs nobody is shown; {more}"
    )))
}

/// Why there is nothing to show.
fn nobody(cluster: &Cluster, job: &BacktestJob, args: &LogsArgs) -> Failure {
    let (program, name, flags) = (program(), &job.name, &cluster.flags);
    Failure::No(if job.status.phase.is_terminal() && job.status.results.is_none() {
        format!(
            "{name} has ended ({}), and its workers and their logs, if it had any, are gone: `{program} why {name}{flags}` says how it ended",
            job.status.phase
        )
    } else if job.status.phase.is_terminal() {
        format!(
            "{name} has ended ({}), and its workers and their logs are gone; trials that failed are in job.json: `{program} results {name}{flags}`",
            job.status.phase
        )
    } else {
        format!(
            "{name} has no workers in namespace {} (--workers-namespace); it is {}: `{program} why {name}{flags}` says why",
            args.workers_namespace, job.status.phase
        )
    })
}

/// What its lines begin with: its place, and what tells it from others that had the same: `0-x7k2p`.
fn tag(pod: &Pod) -> String {
    let name = pod.name_any();
    let end = name.rsplit('-').next().unwrap_or_default();
    format!("{}-{end}", index(pod))
}

fn index(pod: &Pod) -> String {
    let annotations = pod.metadata.annotations.as_ref();
    let label = pod.labels().get(INDEX);
    label
        .or_else(|| annotations.and_then(|known| known.get(INDEX)))
        .cloned()
        .unwrap_or_else(|| "?".to_owned())
}

/// Whether it has run, so that there may be something to read.
fn has_begun(pod: &Pod) -> bool {
    let statuses = pod.status.as_ref().and_then(|status| status.container_statuses.as_ref());
    statuses
        .into_iter()
        .flatten()
        .filter_map(|status| status.state.as_ref())
        .any(|state| state.running.is_some() || state.terminated.is_some())
}

/// What keeps it from running.
fn waits_for(pod: &Pod) -> String {
    let Some(status) = &pod.status else { return "it was made a moment ago".to_owned() };
    let waiting = status.container_statuses.iter().flatten().find_map(|container| {
        let waiting = container.state.as_ref()?.waiting.as_ref()?;
        let message = waiting.message.as_ref().map(|message| format!(": {message}")).unwrap_or_default();
        Some(format!("{}{message}", waiting.reason.as_deref().unwrap_or("waiting")))
    });
    let unscheduled = status.conditions.iter().flatten().find(|condition| condition.status == "False");
    waiting
        .or_else(|| {
            let condition = unscheduled?;
            let message =
                condition.message.as_ref().map(|message| format!(": {message}")).unwrap_or_default();
            Some(format!("{}{message}", condition.reason.as_deref().unwrap_or("waiting")))
        })
        .unwrap_or_else(|| status.phase.clone().unwrap_or_else(|| "Pending".to_owned()))
}
