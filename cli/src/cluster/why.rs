//! `kubectl backtest why`: which gate a job stands at, with its numbers and what can be done.

mod ends;
mod gate;
mod purse;

use blockgrid_job::JobStatus;
use blockgrid_job::crd::{GROUP, Kind};
use blockgrid_job::status::Condition;
use clap::Args;
use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;
use kube::ResourceExt;
use kube::api::{Api, ListParams};
use serde_json::{Value, json};

use self::gate::{Pool, Seen, Why};
use self::purse::Budget;
use super::client::{Call, Cluster};
use super::ls::lane;
use super::object::BacktestJob;
use crate::failure::Failure;
use crate::{Output, show};

#[derive(Args)]
pub(super) struct WhyArgs {
    /// The job.
    name: String,
    /// The namespace of the grid, whose budgets limit everybody.
    #[arg(long, value_name = "NAME", default_value = "blockgrid")]
    grid_namespace: String,
    /// The namespace of its workers [default: that of the grid].
    #[arg(long, value_name = "NAME")]
    workers_namespace: Option<String>,
    /// How to print.
    #[arg(long, value_enum, default_value_t)]
    pub(super) output: Output,
}

pub(super) async fn why(cluster: &Cluster, args: &WhyArgs) -> Result<(), Failure> {
    let job = cluster.job(&args.name).await?;
    let mut seen = Seen::default();
    if !job.status.phase.is_terminal() {
        budgets(cluster, args, &mut seen).await;
        seen.pool = pool(cluster, args, &job).await;
    }
    let program = super::program();
    let advice = gate::Advice {
        program,
        flags: &cluster.flags,
        grid: &args.grid_namespace,
        workers: args.workers_namespace.as_ref().unwrap_or(&args.grid_namespace),
        now: Timestamp::now(),
    };
    let why = gate::why(&job, &seen, &advice);
    show::print(&match args.output {
        Output::Json => format!("{}\n", machine(&job, &seen, &why)),
        Output::Text => text(&job, &seen, &why, advice.now),
    });
    Ok(())
}

/// The budgets that the job counts for, as far as they may be looked at.
async fn budgets(cluster: &Cluster, args: &WhyArgs, seen: &mut Seen) {
    let mut namespaces = vec![cluster.namespace.as_str()];
    if args.grid_namespace != cluster.namespace {
        namespaces.push(&args.grid_namespace);
    }
    for namespace in namespaces {
        match cluster.of(Kind::BacktestBudget, namespace).list(&ListParams::default()).await {
            Ok(found) => {
                seen.budgets.extend(found.items.iter().map(|object| Budget::of(namespace, object)));
            }
            Err(error) => {
                let resource = Kind::BacktestBudget.plural();
                let call = Call { verb: "list", resource, group: GROUP, namespace, name: "" };
                let why = match &error {
                    kube::Error::Api(status) if status.code == 403 => {
                        format!("you may not {} {} there", call.verb, call.resource)
                    }
                    error => error.to_string(),
                };
                seen.unreadable.push(format!("budgets of namespace {namespace}: {why}"));
            }
        }
    }
}

/// The workers of the job, where they may be looked at; tenants mostly may not.
async fn pool(cluster: &Cluster, args: &WhyArgs, job: &BacktestJob) -> Option<Pool> {
    let namespace = args.workers_namespace.as_ref().unwrap_or(&args.grid_namespace);
    let jobs: Api<Job> = Api::namespaced(cluster.client.clone(), namespace);
    let pool = jobs.get_opt(&format!("bt-{}", job.uid)).await.ok().flatten()?;
    Some(Pool {
        name: format!("{namespace}/{}", pool.name_any()),
        queue: pool.labels().get("kueue.x-k8s.io/queue-name").cloned(),
        is_suspended: pool.spec.and_then(|spec| spec.suspend).unwrap_or(false),
    })
}

fn machine(job: &BacktestJob, seen: &Seen, why: &Why) -> Value {
    let status = &job.status;
    let budgets = seen.budgets.iter().map(|budget| budget.machine(purse::user(job)));
    json!({
        "namespace": job.namespace,
        "name": job.name,
        "uid": job.uid,
        "phase": status.phase,
        "gate": why.gate.id(),
        "blocked": why.is_blocked,
        "reason": why.reason,
        "message": job.full_message(),
        "text": why.text,
        "progress": status.progress,
        "workers": status.workers,
        "lane": status.lane,
        "quote": status.quote,
        "reservedMicroUsd": status.reserved_micro_usd,
        "spentMicroUsd": status.spent_micro_usd,
        "budgets": budgets.collect::<Vec<_>>(),
        "unreadable": seen.unreadable,
        "conditions": status.conditions,
    })
}

fn text(job: &BacktestJob, seen: &Seen, why: &Why, now: Timestamp) -> String {
    let status = &job.status;
    let mut head = format!("{}: {}", job.name, status.phase);
    if !why.reason.is_empty() && why.reason != status.phase.id() {
        head.push_str(&format!(" ({})", why.reason));
    }
    if let Some(progress) = &status.progress {
        head.push_str(&format!(", {progress} shards"));
    }
    if let Some(kind) = status.lane {
        head.push_str(&format!(", {}", lane(kind)));
    }
    let gate = if why.is_blocked {
        format!("stands at: {}", why.gate.id())
    } else {
        format!("at: {}", why.gate.id())
    };
    let mut out = format!("{head}\n{gate}\n\n{}\n", why.text);
    if why.gate.is_about_money() && (!seen.budgets.is_empty() || !seen.unreadable.is_empty()) {
        out.push_str(&format!("\n{}{}", purse::table(seen, purse::user(job)), purse::notes(seen)));
    } else {
        // What keeps a budget from being counted may hold up a job wherever it stands.
        let troubles = purse::troubles(seen);
        if !troubles.is_empty() {
            out.push_str(&format!("\n{troubles}"));
        }
    }
    if !status.conditions.is_empty() {
        let mut table = show::table();
        table.set_header(["CONDITION", "STATUS", "REASON", "SINCE", "MESSAGE"]);
        for condition in &status.conditions {
            let since =
                condition.last_transition_time.parse().map(|then| show::age(then, now)).unwrap_or_default();
            table.add_row([
                &condition.kind,
                &condition.status,
                &condition.reason,
                &since,
                message(condition, status),
            ]);
        }
        out.push_str(&format!("\n{}", show::lines(&table)));
    }
    out
}

/// What a condition says, once: those that repeat what is said of the end refer to it.
fn message<'a>(condition: &'a Condition, status: &'a JobStatus) -> &'a str {
    let said = condition.message.trim();
    let repeats = matches!(condition.kind.as_str(), "Succeeded" | "Failed")
        && !said.is_empty()
        && status.condition("Finished").is_some_and(|finished| finished.message.trim() == said);
    if repeats { "as Finished" } else { said }
}

#[cfg(test)]
mod tests {
    use blockgrid_job::status::Phase;

    use super::*;

    #[test]
    fn what_several_conditions_say_is_printed_once() {
        let both = "spec.a: is bad\nspec.b: is bad too";
        let condition = |kind: &str, message: &str| {
            let [kind, message] = [kind, message].map(str::to_owned);
            Condition { kind, status: "True".to_owned(), message, ..Condition::default() }
        };
        let mut status = JobStatus { phase: Phase::Failed, ..JobStatus::default() };
        status.conditions =
            vec![condition("Finished", both), condition("Failed", both), condition("Succeeded", "no")];
        let said: Vec<&str> = status.conditions.iter().map(|known| message(known, &status)).collect();
        assert_eq!(said, [both, "as Finished", "no"]);
        status.conditions[0].message.clear();
        status.conditions[2].message.clear();
        assert_eq!(message(&status.conditions[2], &status), "");
    }
}
