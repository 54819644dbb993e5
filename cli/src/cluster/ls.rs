//! `kubectl backtest ls`: jobs as a table.

use blockgrid_job::crd::{GROUP, Kind};
use blockgrid_job::status::LaneKind;
use clap::Args;
use comfy_table::{Table, TableStyle};
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
    let mut table = Table::new();
    table.load_style(TableStyle::new()).set_width(show::width());
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
            job.created.map(|created| age(created, now)).unwrap_or_default(),
        ];
        table.add_row(with_namespace.then(|| job.namespace.clone()).into_iter().chain(row));
    }
    lines(&table)
}

/// A table without blanks at the ends of its lines.
pub(super) fn lines(table: &Table) -> String {
    table.to_string().lines().map(|line| line.trim_end().to_owned() + "\n").collect()
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

/// How long ago something was, as kubectl says it.
pub(super) fn age(then: Timestamp, now: Timestamp) -> String {
    let seconds = (now.as_second() - then.as_second()).max(0);
    match seconds {
        0..120 => format!("{seconds}s"),
        120..7200 => format!("{}m", seconds / 60),
        7200..172_800 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_short() {
        let now: Timestamp = "2026-01-10T00:00:00Z".parse().unwrap();
        for (then, text) in [
            ("2026-01-10T00:00:05Z", "0s"),
            ("2026-01-09T23:58:01Z", "119s"),
            ("2026-01-09T23:58:00Z", "2m"),
            ("2026-01-09T22:00:00Z", "2h"),
            ("2026-01-01T12:00:00Z", "8d"),
        ] {
            assert_eq!(age(then.parse().unwrap(), now), text);
        }
    }
}
