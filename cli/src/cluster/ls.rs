//! `kubectl backtest ls`: jobs as a table.

use blockgrid_job::crd::{GROUP, Kind};
use blockgrid_job::status::LaneKind;
use clap::Args;
use jiff::Timestamp;
use kube::api::{Api, DynamicObject, ListParams};
use serde_json::{Value, json};

use super::client::{Call, Cluster};
use super::object::{BacktestJob, resource};
use crate::failure::Failure;
use crate::{Output, show};

/// Jobs that are asked for at a time.
const PAGE: u32 = 500;

#[derive(Args)]
pub(super) struct LsArgs {
    /// Those of all namespaces.
    #[arg(short = 'A', long)]
    all_namespaces: bool,
    /// How to print.
    #[arg(long, value_enum, default_value_t)]
    pub(super) output: Output,
}

pub(super) async fn ls(cluster: &Cluster, args: &LsArgs) -> Result<(), Failure> {
    let (api, namespace): (Api<DynamicObject>, &str) = if args.all_namespaces {
        (Api::all_with(cluster.client.clone(), &resource(Kind::BacktestJob)), "")
    } else {
        (cluster.jobs(), &cluster.namespace)
    };
    let call = Call { verb: "list", resource: "backtestjobs", group: GROUP, namespace, name: "" };
    let mut jobs: Vec<BacktestJob> = Vec::new();
    let mut page = ListParams::default().limit(PAGE);
    loop {
        let found = api.list(&page).await.map_err(|error| cluster.failure(&error, call))?;
        jobs.extend(found.items.into_iter().map(BacktestJob::from));
        match found.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => page = page.continue_token(&token),
            None => break,
        }
    }
    let key = |job: &BacktestJob| (job.namespace.clone(), job.name.clone());
    jobs.sort_by(|a, b| b.created.cmp(&a.created).then_with(|| key(a).cmp(&key(b))));
    match args.output {
        Output::Json => {
            let jobs: Vec<Value> = jobs.iter().map(machine).collect();
            show::print(&format!("{}\n", json!(jobs)));
        }
        Output::Text if jobs.is_empty() => {
            let place = if args.all_namespaces {
                "any namespace".to_owned()
            } else {
                format!("namespace {namespace}")
            };
            show::note(&format!("no jobs in {place}"));
        }
        Output::Text => show::print(&text(&jobs, args.all_namespaces, Timestamp::now())),
    }
    Ok(())
}

fn text(jobs: &[BacktestJob], with_namespace: bool, now: Timestamp) -> String {
    let mut table = show::table();
    let namespace = with_namespace.then_some("NAMESPACE");
    let header = ["NAME", "PHASE", "PROGRESS", "BEST", "COST", "WORKERS", "LANE", "AGE"];
    table.set_header(namespace.into_iter().chain(header));
    for job in jobs {
        let status = &job.status;
        let known = |text: &Option<String>| text.clone().unwrap_or_default();
        let row = [
            job.name.clone(),
            status.phase.to_string(),
            known(&status.progress),
            known(&status.best),
            known(&status.cost),
            status.workers.map(|workers| workers.to_string()).unwrap_or_default(),
            status.lane.map(lane).unwrap_or_default().to_owned(),
            job.created.map(|created| show::age(created, now)).unwrap_or_default(),
        ];
        table.add_row(with_namespace.then(|| job.namespace.clone()).into_iter().chain(row));
    }
    show::lines(&table)
}

fn machine(job: &BacktestJob) -> Value {
    let status = &job.status;
    json!({
        "namespace": job.namespace,
        "name": job.name,
        "uid": job.uid,
        "phase": status.phase,
        "reason": job.reason(),
        "message": status.message,
        "progress": status.progress,
        "shards": status.shards,
        "trials": status.trials,
        "best": status.best,
        "cost": status.cost,
        "spentMicroUsd": status.spent_micro_usd,
        "workers": status.workers,
        "lane": status.lane,
        "created": job.created.map(|created| created.to_string()),
    })
}

pub(super) fn lane(lane: LaneKind) -> &'static str {
    match lane {
        LaneKind::Interactive => "interactive",
        LaneKind::Pool => "pool",
    }
}
