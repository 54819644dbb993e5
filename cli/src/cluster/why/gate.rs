//! Which gate: decided from what a status says, in the order in which a job meets them.

use std::time::Duration;

use blockgrid_job::manifest;
use blockgrid_job::names::{ABOVE_BUDGET, ABOVE_USER_BUDGET, NO_MORE_HELD};
use blockgrid_job::plan::ORDERS_A_BAR;
use blockgrid_job::quote::{dollars, dollars_left};
use blockgrid_job::spec::{API_VERSION, KIND};
use blockgrid_job::status::{Condition, LaneKind, Phase, next_word_within};
use jiff::Timestamp;
use serde_json::json;

use super::super::object::BacktestJob;
use super::ends::finished;
use super::purse::{Budget, user};
use crate::show::age;

/// What a job may stand at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gate {
    /// Nobody has looked at it.
    Operator,
    /// What is written in it.
    Spec,
    /// Its plan.
    Planning,
    /// Somebody lets it rest.
    Suspension,
    /// Money.
    Budget,
    /// The queue of the cluster.
    Kueue,
    /// Its workers.
    Workers,
    /// It runs.
    Running,
    /// It has ended.
    Finished,
}

impl Gate {
    pub(super) fn id(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::Spec => "spec",
            Self::Planning => "planning",
            Self::Suspension => "suspension",
            Self::Budget => "budget",
            Self::Kueue => "kueue",
            Self::Workers => "workers",
            Self::Running => "running",
            Self::Finished => "finished",
        }
    }

    pub(super) fn is_about_money(self) -> bool {
        matches!(self, Self::Budget | Self::Suspension)
    }
}

/// What there is to see beside the job.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) budgets: Vec<Budget>,
    /// What could not be looked at, and why.
    pub(super) unreadable: Vec<String>,
    pub(super) pool: Option<Pool>,
}

/// Workers of the job's own.
#[derive(Debug)]
pub(super) struct Pool {
    pub(super) name: String,
    /// The queue of Kueue that it waits in.
    pub(super) queue: Option<String>,
    pub(super) is_suspended: bool,
}

/// How commands are written in advice.
pub(super) struct Advice<'a> {
    pub(super) program: &'a str,
    pub(super) flags: &'a str,
    /// The namespace of the grid.
    pub(super) grid: &'a str,
    /// That of the workers.
    pub(super) workers: &'a str,
    /// The time.
    pub(super) now: Timestamp,
}

/// Why a job is where it is.
#[derive(Debug)]
pub(super) struct Why {
    pub(super) gate: Gate,
    /// Whether it goes on only when somebody does something, or something else ends.
    pub(super) is_blocked: bool,
    /// For programs.
    pub(super) reason: String,
    /// For people.
    pub(super) text: String,
}

/// Micro-USD as people read them.
pub(super) fn usd(micro_usd: u64) -> String {
    if micro_usd == 0 { "$0.00".to_owned() } else { dollars(micro_usd) }
}

/// The same of what is left, which may be below nothing.
pub(super) fn signed_usd(micro_usd: i64) -> String {
    match u64::try_from(micro_usd) {
        Ok(left) if left > 0 => dollars_left(left),
        Ok(_) => usd(0),
        Err(_) => format!("-{}", usd(micro_usd.unsigned_abs())),
    }
}

pub(super) fn why(job: &BacktestJob, seen: &Seen, advice: &Advice<'_>) -> Why {
    let status = &job.status;
    if status.phase.is_terminal() {
        return finished(job, advice);
    }
    if !job.is_seen {
        let text = format!(
            "The operator has not looked at it yet. If that lasts for more than some seconds, it does not run, or does not watch namespace {}: ask whoever runs the grid (`kubectl get pods -n {}`).",
            job.namespace, advice.grid
        );
        return Why { gate: Gate::Operator, is_blocked: true, reason: "NotSeen".to_owned(), text };
    }
    if let Some(stalled) = status.condition("Stalled").filter(|condition| condition.status == "True") {
        let text = format!(
            "{} Whoever runs the grid looks at what it names, and at the operator's log (`kubectl get pods -n {}`); nothing of the job is lost.",
            sentence(&capital(&stalled.message)),
            advice.grid
        );
        return Why { gate: Gate::Operator, is_blocked: true, reason: stalled.reason.clone(), text };
    }
    if !job.is_current() {
        let text = format!(
            "The operator has not taken note of the last change of its spec yet. If that lasts for more than some seconds, it does not run: ask whoever runs the grid (`kubectl get pods -n {}`).",
            advice.grid
        );
        return Why { gate: Gate::Operator, is_blocked: true, reason: "ChangeNotSeen".to_owned(), text };
    }
    let is_no = |kind: &str| status.condition(kind).filter(|condition| condition.status == "False");
    match status.phase {
        Phase::Pending | Phase::Planning => match is_no("WorkersReady") {
            Some(condition) => workers(job, condition, advice),
            None => planning(job, is_no("Planned")),
        },
        Phase::Suspended => suspended(job, advice),
        Phase::Queued
            if is_no("WorkersReady").is_some_and(|condition| condition.reason == "WaitingInQueue") =>
        {
            kueue(job, seen.pool.as_ref(), advice)
        }
        Phase::Queued => held(job, is_no("Admitted"), seen, advice),
        _ => match (&seen.pool, is_no("WorkersReady")) {
            (Some(pool), _) if pool.is_suspended && pool.queue.is_some() => kueue(job, Some(pool), advice),
            (_, Some(condition)) => workers(job, condition, advice),
            _ => running(job, advice),
        },
    }
}

fn planning(job: &BacktestJob, failing: Option<&Condition>) -> Why {
    let (is_blocked, reason, text) = match failing {
        Some(condition) if condition.reason == "WaitsItsTurn" => (
            true,
            condition.reason.clone(),
            format!(
                "It waits for its turn to be planned, and is planned by itself: {}",
                sentence(&condition.message)
            ),
        ),
        Some(condition) => (
            true,
            condition.reason.clone(),
            format!(
                "Its plan cannot be made yet, which is not the job's fault, and is tried again, less and less often (every minute in the end; every five where a pod makes it): {}",
                sentence(&condition.message)
            ),
        ),
        None => (
            false,
            job.status.phase.id().to_owned(),
            "Its candles are read and its shards laid out; a job of a million trials takes some seconds."
                .to_owned(),
        ),
    };
    Why { gate: Gate::Planning, is_blocked, reason, text }
}

fn suspended(job: &BacktestJob, advice: &Advice<'_>) -> Why {
    let Advice { program, flags, .. } = advice;
    let mut text = format!(
        "spec.suspend is true: nothing of it runs, and no shard that is done is lost. `{program} resume {}{flags}` lets it go on.",
        job.name
    );
    text.push_str(&quoted(job));
    if let Some(spent) = job.status.spent_micro_usd {
        text.push_str(&format!(" It has cost {} so far.", usd(spent)));
    }
    if let Some(held) = job.status.reserved_micro_usd {
        text.push_str(&format!(" Budgets hold {} for it meanwhile.", usd(held)));
    }
    if let Some(end) = &job.status.idle_deadline {
        text.push_str(&format!(" It has to go on before {end}: it ends then."));
    }
    Why { gate: Gate::Suspension, is_blocked: true, reason: "Suspended".to_owned(), text }
}

fn held(job: &BacktestJob, condition: Option<&Condition>, seen: &Seen, advice: &Advice<'_>) -> Why {
    let (reason, message) =
        condition.map_or((job.reason(), job.message()), |held| (held.reason.as_str(), held.message.as_str()));
    let mut text = format!("A budget does not let it run. When it asked last: {}", sentence(message));
    let cancel = format!("`{} cancel {}{}` gives it up.", advice.program, job.name, advice.flags);
    match reason {
        // It ran, and what is held for it still is.
        "BudgetSpent" => text.push_str(&format!(
            " Its budget drains{}. It goes on by itself with the new month (UTC), or when somebody raises the limit (`kubectl edit btb`). {cancel}",
            if job.status.start_time.is_some() {
                ": its workers rest, and no shard that is done is lost"
            } else {
                ""
            }
        )),
        "BudgetUnreadable" => {
            text.push_str(" It starts by itself when somebody has mended it (`kubectl edit btb`).");
        }
        // No end of others' jobs can help.
        ABOVE_BUDGET | ABOVE_USER_BUDGET => text.push_str(&format!(
            "{} It starts only when somebody raises the limit (`kubectl edit btb`). {} {cancel}",
            asked(job, seen),
            less(job)
        )),
        _ => text.push_str(&format!(
            "{} It starts by itself when that is left (months begin in UTC; `kubectl edit btb` raises a limit). {} {cancel}",
            asked(job, seen),
            less(job)
        )),
    }
    Why { gate: Gate::Budget, is_blocked: true, reason: reason.to_owned(), text }
}

/// How a job asks for less.
fn less(job: &BacktestJob) -> String {
    let least = job.status.quote.map_or(0, |quote| quote.least_micro_usd);
    match job.status.lane {
        // Nothing stops it once it runs: one that may cost less than it asks for is refused.
        Some(LaneKind::Interactive) => "A job with fewer trials asks for less.".to_owned(),
        // It has cost something, and asks for what one worker takes to go on.
        _ if job.status.reserved_micro_usd.is_some() => {
            "It needs that to go on at all; with more it is done sooner.".to_owned()
        }
        _ => format!(
            "A lower spec.compute.maxCostUsd asks for less (below {} the job is refused and ends), and a job with fewer trials does.",
            usd(least)
        ),
    }
}

/// What a job asks budgets for, and those that have too little left.
fn asked(job: &BacktestJob, seen: &Seen) -> String {
    let Some(asks) = asks_for(job) else { return String::new() };
    // Workers of its own are held what one of them takes to work and to stop, and then its message has said so.
    let is_said =
        job.status.condition("Admitted").is_some_and(|held| held.message.contains("the job may cost "));
    let mut text = match is_said {
        true => String::new(),
        false => format!(" It asks for {}, which is held for it while it runs.", usd(asks)),
    };
    let user = user(job);
    let is_short = |left: i64| left < i64::try_from(asks).unwrap_or(i64::MAX);
    for budget in &seen.budgets {
        let name = budget.full_name();
        let left = budget.status.as_ref().map(|status| status.remaining_micro_usd);
        if let Some(left) = left.filter(|left| is_short(*left)) {
            text.push_str(&format!(" {name} has {} left.", signed_usd(left)));
        }
        let left = budget.allowance(user).and_then(|allowance| allowance.remaining_micro_usd());
        if let Some(left) = left.filter(|left| is_short(*left)) {
            let user = user.unwrap_or_default();
            text.push_str(&format!(" {name} has {} left for user {user}.", signed_usd(left)));
        }
    }
    text
}

/// Its workers wait in a queue. A tenant may not be able to look at them.
fn kueue(job: &BacktestJob, pool: Option<&Pool>, advice: &Advice<'_>) -> Why {
    let (workers, queue, namespace) = match pool {
        Some(pool) => {
            let (namespace, _) = pool.name.split_once('/').unwrap_or_default();
            (
                format!(" ({})", pool.name),
                format!("the queue {}", pool.queue.as_deref().unwrap_or_default()),
                namespace,
            )
        }
        None => (String::new(), "a queue".to_owned(), advice.workers),
    };
    let text = format!(
        "Its budget is held; its workers{workers} wait in {queue} of Kueue until there is room: `kubectl get workloads -n {namespace}` says for what.{}{}",
        quoted(job),
        match &job.status.idle_deadline {
            Some(end) => format!(" It ends at {end} if it waits until then."),
            None => String::new(),
        }
    );
    Why { gate: Gate::Kueue, is_blocked: true, reason: "QuotaReserved".to_owned(), text }
}

fn workers(job: &BacktestJob, condition: &Condition, advice: &Advice<'_>) -> Why {
    let reason = condition.reason.as_str();
    let has_begun = job.status.shards.is_some_and(|shards| shards.done > 0);
    let remedy = match reason {
        "Starting" if has_begun => format!(
            "Some were: new ones start, or those that run cannot reach the queue or the store. `{} logs {}{}` has what they say.",
            advice.program, job.name, advice.flags
        ),
        "Starting" => "Nodes may have to be made first, which takes minutes.".to_owned(),
        "NoWorkers" => format!(
            "Small jobs share them, and it starts when one is ready: whoever runs the grid looks at the Deployment (`kubectl get deploy,pods -n {}`).",
            advice.workers
        ),
        "ErrImagePull" | "ImagePullBackOff" | "InvalidImageName" | "ErrImageNeverPull" => {
            "The image cannot be pulled: whoever runs the grid corrects its name or the pull secret.".to_owned()
        }
        "CreateContainerConfigError" => format!(
            "A Secret or ConfigMap that its pods need is not there, or lacks a key: whoever runs the grid makes it (`kubectl get secrets -n {}`), and they start by themselves.",
            advice.workers
        ),
        "FailedCreate" => format!(
            "Kubernetes refuses its pods: whoever runs the grid looks at quotas, limits and policies of the workers' namespace (`kubectl describe quota -n {}`).",
            advice.workers
        ),
        "Unschedulable" | "SchedulerError" => {
            "No node has room for one: it starts when other jobs end or nodes are added; a smaller spec.compute.class may fit.".to_owned()
        }
        "OOMKilled" => {
            "What it has computed stays, and another is started some times: if that does not help, it takes a job of another name in a spec.compute.class with more memory, or with fewer trials.".to_owned()
        }
        "PoolForbidden" => {
            "The operator may not make them, or a quota or policy is against it: whoever runs the grid looks at its rights and the quotas of the workers' namespace.".to_owned()
        }
        "PoolRefused" => {
            "The API server refuses what the operator makes: whoever runs the grid corrects the class or the workers' configuration.".to_owned()
        }
        _ => format!("`{} logs {}{}` may say more.", advice.program, job.name, advice.flags),
    };
    let says = sentence(&condition.message);
    let plans = matches!(job.status.phase, Phase::Pending | Phase::Planning);
    let mut text = if plans {
        format!(
            "The pod that plans it cannot start ({reason}): {says} {remedy} If it does not start in time, the job fails with PlannerNotStarted."
        )
    } else {
        format!("No worker of it computes ({reason}): {says} {remedy}")
    };
    // What has begun is not given up for want of workers.
    if !plans && job.status.shards.is_none_or(|shards| shards.done == 0) {
        text.push_str(" If none starts in time, the job fails with WorkersNotStarted.");
    }
    Why { gate: Gate::Workers, is_blocked: reason != "Starting", reason: reason.to_owned(), text }
}

fn running(job: &BacktestJob, advice: &Advice<'_>) -> Why {
    let status = &job.status;
    let mut text = match status.phase {
        Phase::Finishing => "All shards are done; tables and traces are written.".to_owned(),
        _ => {
            let shards = status.shards.unwrap_or_default();
            let by = match status.workers {
                Some(1) => " by one worker of its own".to_owned(),
                Some(workers) => format!(" by {workers} workers of its own"),
                None => " by the workers that small jobs share".to_owned(),
            };
            format!("It runs: {} of {} shards are done{by}.", shards.done, shards.total)
        }
    };
    text.push_str(&quoted(job));
    if let Some(spent) = status.spent_micro_usd {
        text.push_str(&format!(" It has cost {} so far.", usd(spent)));
    }
    if let Some(held) = status.reserved_micro_usd {
        text.push_str(&format!(" Budgets hold {} for it{}.", usd(held), grows(job, held)));
    }
    if let Some(short) = status.condition("Admitted").filter(|admitted| admitted.reason == NO_MORE_HELD) {
        text.push_str(&format!(
            " {} As that runs out it may have fewer workers, and it ends when not one is paid for; who raises the limit before loses nothing.",
            capital(&sentence(&short.message))
        ));
    }
    text.push_str(&silence(job, advice));
    Why { gate: Gate::Running, is_blocked: false, reason: status.phase.id().to_owned(), text }
}

/// That nobody has told anything of a job that runs for longer than an operator is silent about one.
fn silence(job: &BacktestJob, advice: &Advice<'_>) -> String {
    // Of a small job that waits for the shared workers there may be nothing to tell for as long as that lasts.
    let told = job.told.filter(|_| job.status.workers.is_some());
    let Some(told) = told else { return String::new() };
    let silence = next_word_within(job.status.taken(told));
    // Beside what it takes to look and to write, and for another to lead.
    if advice.now.duration_since(told).unsigned_abs() <= silence + Duration::from_secs(300) {
        return String::new();
    }
    format!(
        " That was told {} ago, and an operator tells what has changed after {} minutes at most: if it does not run, nothing is lost, and workers go on, but nobody starts, stops or ends anything. Ask whoever runs the grid (`kubectl get pods -n {}`).",
        age(told, advice.now),
        silence.as_secs() / 60,
        advice.grid
    )
}

/// Why more may be held for a job than its quote says.
fn grows(job: &BacktestJob, held: u64) -> &'static str {
    let high = job.status.quote.map_or(u64::MAX, |quote| quote.high_micro_usd);
    if job.status.workers.is_some() && held > high {
        ", more than it was quoted at: before its workers could pass that, more is held if there is more, at most compute.maxCostUsd"
    } else {
        ""
    }
}

/// What it was expected to cost, as a sentence.
pub(super) fn quoted(job: &BacktestJob) -> String {
    let Some(quote) = job.status.quote else { return String::new() };
    let hours = quote.vcpu_micros as f64 / 3.6e9;
    format!(
        " It was quoted at {} to {} (most likely {}), {hours:.6} vCPU-hours, for trials with an order in some {:.0} bars; many more cost more.",
        usd(quote.low_micro_usd),
        usd(quote.high_micro_usd),
        usd(quote.mid_micro_usd),
        1.0 / ORDERS_A_BAR
    )
}

/// What budgets are to hold for it: the most that it may cost.
fn asks_for(job: &BacktestJob) -> Option<u64> {
    let high = job.status.quote?.high_micro_usd;
    let object = json!({ "apiVersion": API_VERSION, "kind": KIND, "metadata": { "name": job.name }, "spec": job.spec });
    let most = manifest::cluster(&object).ok().and_then(|cluster| cluster.max_cost_micro_usd);
    Some(most.map_or(high, |most| most.min(high)))
}

/// A message as the beginning of a sentence.
fn capital(message: &str) -> String {
    let mut letters = message.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// A message as a sentence.
pub(super) fn sentence(message: &str) -> String {
    let message = message.trim();
    if message.is_empty() || message.ends_with(['.', '!', '?', '…']) {
        message.to_owned()
    } else {
        format!("{message}.")
    }
}

#[cfg(test)]
pub(super) mod tests {
    use blockgrid_job::JobStatus;
    use blockgrid_job::budget::{BudgetStatus, UserSpend};
    use blockgrid_job::status::{QuoteStatus, ShardCounts};
    use jiff::SignedDuration;
    use serde_json::Value;

    use super::*;

    const ADVICE: Advice<'_> =
        Advice { program: "kubectl backtest", flags: " -n a", grid: "grid", workers: "work", now: NOW };

    const NOW: Timestamp = Timestamp::constant(1_767_225_600, 0);

    pub(in super::super) fn condition(kind: &str, status: &str, reason: &str, message: &str) -> Condition {
        let [kind, status, reason, message] = [kind, status, reason, message].map(str::to_owned);
        Condition { kind, status, reason, message, ..Condition::default() }
    }

    pub(in super::super) fn job(phase: Phase, conditions: &[Condition]) -> BacktestJob {
        BacktestJob {
            name: "j".to_owned(),
            namespace: "a".to_owned(),
            uid: "u".to_owned(),
            version: "1".to_owned(),
            generation: 2,
            created: None,
            is_deleted: false,
            asks: None,
            spec: Value::Null,
            is_seen: true,
            told: None,
            status: JobStatus {
                phase,
                observed_generation: Some(2),
                conditions: conditions.to_vec(),
                shards: Some(ShardCounts { total: 9, done: 3 }),
                quote: Some(QuoteStatus {
                    vcpu_micros: 3_600_000_000,
                    low_micro_usd: 1_000_000,
                    mid_micro_usd: 2_000_000,
                    high_micro_usd: 3_000_000,
                    least_micro_usd: 1_002_200,
                }),
                ..JobStatus::default()
            },
        }
    }

    pub(in super::super) fn judged(job: &BacktestJob, seen: &Seen) -> (Gate, bool, String, String) {
        let Why { gate, is_blocked, reason, text } = why(job, seen, &ADVICE);
        (gate, is_blocked, reason, text)
    }

    pub(in super::super) fn holds(
        judged: &(Gate, bool, String, String),
        gate: Gate,
        is_blocked: bool,
        reason: &str,
        parts: &[&str],
    ) {
        assert_eq!((judged.0, judged.1, judged.2.as_str()), (gate, is_blocked, reason), "{}", judged.3);
        for part in parts {
            assert!(judged.3.contains(part), "`{part}` is not in: {}", judged.3);
        }
    }

    #[test]
    fn whoever_has_not_looked_is_the_first_gate() {
        let seen = Seen::default();
        let unseen = BacktestJob { is_seen: false, ..job(Phase::Pending, &[]) };
        holds(&judged(&unseen, &seen), Gate::Operator, true, "NotSeen", &["get pods -n grid", "namespace a"]);
        let changed = BacktestJob { generation: 3, ..job(Phase::Running, &[]) };
        holds(&judged(&changed, &seen), Gate::Operator, true, "ChangeNotSeen", &[]);
    }

    #[test]
    fn plans_that_fail_are_told_with_their_error() {
        let failing = [condition("Planned", "False", "Retrying", "the store does not answer")];
        let seen = Seen::default();
        holds(&judged(&job(Phase::Planning, &[]), &seen), Gate::Planning, false, "Planning", &[]);
        let told = judged(&job(Phase::Planning, &failing), &seen);
        holds(&told, Gate::Planning, true, "Retrying", &["the store does not answer.", "tried again"]);
    }

    #[test]
    fn a_budget_that_does_not_reach_is_told_with_what_is_left_of_it() {
        let held = [condition("Admitted", "False", "BudgetExhausted", "budget a/b: nothing is left")];
        let status = BudgetStatus { remaining_micro_usd: -2_000_000, ..BudgetStatus::default() };
        let budget = |name: &str, status| Budget {
            namespace: "a".to_owned(),
            name: name.to_owned(),
            status,
            ..Budget::default()
        };
        let enough = BudgetStatus { remaining_micro_usd: 3_000_000, ..BudgetStatus::default() };
        let budgets = vec![budget("b", Some(status)), budget("c", Some(enough)), budget("d", None)];
        let seen = Seen { budgets, ..Seen::default() };
        let mut job = job(Phase::Queued, &held);
        let told = judged(&job, &seen);
        holds(&told, Gate::Budget, true, "BudgetExhausted", &["It asks for $3.00", "a/b has -$2.00 left."]);
        assert!(!told.3.contains("a/c") && !told.3.contains("a/d"), "{}", told.3);
        // A budget has enough, and not for this user.
        let status = BudgetStatus {
            month: Some("2026-01".to_owned()),
            remaining_micro_usd: 9_000_000,
            users: [("ann".to_owned(), UserSpend { spent_micro_usd: 1_500_000, reserved_micro_usd: 0 })]
                .into(),
            ..BudgetStatus::default()
        };
        let shared = Budget { per_user_micro_usd: Some(2_000_000), ..budget("e", Some(status)) };
        let seen = Seen { budgets: vec![shared], ..Seen::default() };
        let mut anns = job.clone();
        anns.status.user = Some("ann".to_owned());
        let of_ann = judged(&anns, &seen);
        assert!(of_ann.3.contains(" a/e has $0.5000 left for user ann."), "{}", of_ann.3);
        assert!(!of_ann.3.contains("a/e has $9"), "{}", of_ann.3);
        job.spec = json!({ "compute": { "maxCostUsd": 0.5 } });
        holds(&judged(&job, &seen), Gate::Budget, true, "BudgetExhausted", &["It asks for $0.50"]);
    }

    #[test]
    fn workers_that_do_not_start_are_told_with_a_remedy() {
        for (reason, is_blocked, part) in [
            ("Starting", false, "cannot reach the queue or the store"),
            ("NoWorkers", true, "get deploy,pods -n work"),
            ("ErrImagePull", true, "pull secret"),
            ("Unschedulable", true, "No node has room"),
            ("OOMKilled", true, "with more memory"),
            ("PoolForbidden", true, "its rights and the quotas"),
            ("PoolRefused", true, "corrects the class"),
            ("ErrImageNeverPull", true, "pull secret"),
            ("CreateContainerConfigError", true, "get secrets -n work"),
            ("FailedCreate", true, "describe quota -n work"),
            ("CrashLoopBackOff", true, "kubectl backtest logs j -n a"),
        ] {
            let job = job(Phase::Running, &[condition("WorkersReady", "False", reason, "so it says")]);
            let told = judged(&job, &Seen::default());
            holds(&told, Gate::Workers, is_blocked, reason, &["so it says.", part]);
            // What Kueue holds back cannot start.
            let pool =
                Pool { name: "grid/bt-u".to_owned(), queue: Some("research".to_owned()), is_suspended: true };
            let told = judged(&job, &Seen { pool: Some(pool), ..Seen::default() });
            holds(&told, Gate::Kueue, true, "QuotaReserved", &["queue research", "get workloads -n grid"]);
        }
        // Of a job that has computed nothing none was ready before.
        let mut new = job(Phase::Running, &[condition("WorkersReady", "False", "Starting", "so it says")]);
        new.status.shards = None;
        holds(&judged(&new, &Seen::default()), Gate::Workers, false, "Starting", &["takes minutes"]);
    }

    #[test]
    fn a_job_that_the_operator_cannot_go_on_with_says_why() {
        let said = "the operator cannot go on with it, and tries again: no answer";
        let job = job(Phase::Planning, &[condition("Stalled", "True", "QueueUnavailable", said)]);
        let told = judged(&job, &Seen::default());
        let parts =
            ["The operator cannot go on with it, and tries again: no answer.", "nothing of the job is lost"];
        holds(&told, Gate::Operator, true, "QueueUnavailable", &parts);
    }

    /// As the operator says it of a pool that Kueue has not let in.
    #[test]
    fn a_job_in_a_queue_of_kueue_does_not_wait_for_money() {
        let waits = [
            condition("Admitted", "True", "Admitted", "budgets hold what it may cost"),
            condition("WorkersReady", "False", "WaitingInQueue", "its workers wait"),
        ];
        let job = job(Phase::Queued, &waits);
        let told = judged(&job, &Seen::default());
        holds(
            &told,
            Gate::Kueue,
            true,
            "QuotaReserved",
            &["wait in a queue of Kueue", "get workloads -n work"],
        );
    }

    #[test]
    fn a_pod_that_plans_and_cannot_start_is_told() {
        let job =
            job(Phase::Planning, &[condition("WorkersReady", "False", "Unschedulable", "no node has room.")]);
        let told = judged(&job, &Seen::default());
        holds(
            &told,
            Gate::Workers,
            true,
            "Unschedulable",
            &["The pod that plans it cannot start", "PlannerNotStarted"],
        );
        assert!(!told.3.contains("WorkersNotStarted"), "{}", told.3);
    }

    #[test]
    fn who_rests_is_told_until_when_it_may() {
        let rests = |phase, conditions: &[Condition]| {
            let mut job = job(phase, conditions);
            job.status.idle_deadline = Some("2026-01-08T00:00:00Z".to_owned());
            judged(&job, &Seen::default())
        };
        let told = rests(Phase::Suspended, &[]);
        holds(
            &told,
            Gate::Suspension,
            true,
            "Suspended",
            &["go on before 2026-01-08T00:00:00Z: it ends then."],
        );
        let waits = [condition("WorkersReady", "False", "WaitingInQueue", "its workers wait")];
        let told = rests(Phase::Queued, &waits);
        let parts = ["It ends at 2026-01-08T00:00:00Z if it waits until then."];
        holds(&told, Gate::Kueue, true, "QuotaReserved", &parts);
    }

    #[test]
    fn what_no_end_of_other_jobs_helps_is_told_so() {
        for (reason, part) in [
            ("AboveBudget", "It starts only when somebody raises the limit"),
            ("WaitingForBudget", "It starts by itself when that is left"),
            ("WaitingForUserBudget", "It starts by itself when that is left"),
        ] {
            let held = [condition("Admitted", "False", reason, "budget a/b has $1.00 left")];
            let told = judged(&job(Phase::Queued, &held), &Seen::default());
            holds(&told, Gate::Budget, true, reason, &[part, "(below $1.01 the job is refused and ends)"]);
        }
    }

    #[test]
    fn a_job_that_runs_is_told_with_its_quote_and_its_cost() {
        let mut running = job(Phase::Running, &[condition("WorkersReady", "True", "Ready", "")]);
        running.status.workers = Some(2);
        running.status.spent_micro_usd = Some(250_000);
        let parts =
            ["3 of 9 shards are done by 2 workers", "$1.00 to $3.00", "1.000000 vCPU-hours", "cost $0.25"];
        holds(&judged(&running, &Seen::default()), Gate::Running, false, "Running", &parts);
        for (minutes, is_silent) in [(9, false), (11, true)] {
            running.told = Some(NOW - SignedDuration::from_mins(minutes));
            let told = judged(&running, &Seen::default());
            assert_eq!(told.3.contains("That was told 11m ago"), is_silent, "{}", told.3);
        }
        // Of one that has run for three hours little changes in ten minutes.
        running.status.start_time = Some((NOW - SignedDuration::from_hours(3)).to_string());
        for (minutes, is_silent) in [(11, false), (63, false), (64, true)] {
            running.told = Some(NOW - SignedDuration::from_mins(minutes));
            let told = judged(&running, &Seen::default());
            assert_eq!(told.3.contains("what has changed after 58 minutes at most"), is_silent, "{}", told.3);
        }
        let finishing = job(Phase::Finishing, &[]);
        holds(
            &judged(&finishing, &Seen::default()),
            Gate::Running,
            false,
            "Finishing",
            &["tables and traces"],
        );
    }
}
