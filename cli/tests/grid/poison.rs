//! Trials that take down what computes them.

use std::collections::BTreeSet;
use std::path::Path;

use blockgrid_grid::store::keys;
use blockgrid_grid::{FailReason, Outcome, Plan, Queue, Unit};
use blockgrid_results::{TrialTable, read_trials};
use serde_json::Value;

use crate::rig::{JOB, Job, Rig, Submission, Worker, until};
use crate::support::proxy::{Fault, Rule};

/// The rows of a submission's trials that differ from those of `run`. They have no metrics.
fn poisoned(submission: &Submission) -> Vec<usize> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("trials.parquet");
    std::fs::write(&file, &submission.job.expected()["trials.parquet"]).unwrap();
    let table = |path: &Path| read_trials(path).unwrap();
    let (ours, right) = (table(&submission.out.join("trials.parquet")), table(&file));
    assert_eq!(ours.len(), right.len());
    let row = |table: &TrialTable, row: usize| {
        let bits: Vec<u64> = table.metrics[row].iter().map(|value| value.to_bits()).collect();
        (table.symbol[row].clone(), table.parameters_of(row), table.first_bar[row], bits)
    };
    let differ: Vec<usize> = (0..ours.len()).filter(|&n| row(&ours, n) != row(&right, n)).collect();
    for &n in &differ {
        assert_eq!(ours.symbol[n], right.symbol[n]);
        assert_eq!(ours.parameters_of(n), right.parameters_of(n));
        assert!(ours.metrics[n].iter().all(|value| value.is_nan()), "{:?}", ours.metrics[n]);
    }
    differ
}

/// Runs a job to its end with so many workers that are replaced when they die: those that live, and the logs of those that
/// do not.
fn replaced(
    rig: &Rig,
    job: &mut Submission,
    count: usize,
    more: &[&str],
    faults: &str,
) -> (Vec<Worker>, Vec<String>) {
    let start = |n: usize| rig.worker_with(&format!("w{n}"), more, faults);
    let mut workers: Vec<Worker> = (0..count).map(start).collect();
    let mut logs = Vec::new();
    while job.is_running() {
        for (n, worker) in workers.iter_mut().enumerate() {
            if !worker.is_running() {
                logs.push(worker.log());
                *worker = start(n);
            }
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    (workers, logs)
}

/// Runs the job to its end with workers that are replaced when they die. Trial 5 of both symbols fails for a reason.
fn is_partial(uid: &str, more: &[&str], faults: &str, reason: &str) -> (Rig, Submission, Vec<String>) {
    let rig = Rig::start().unwrap();
    let mut job = rig.submit(JOB, uid);
    let (workers, mut logs) = replaced(&rig, &mut job, 2, more, faults);
    assert!(job.ended().success(), "{}", job.log());
    assert!(job.log().contains("2 trials failed"), "{}", job.log());
    let record = rig.billed_once(&job);
    assert_eq!(record["state"], "PartiallySucceeded");
    let failures = record["grid"]["failures"].as_array().unwrap();
    let is_it = |failure: &Value| failure["trial"] == 5 && failure["reason"] == reason;
    assert!(failures.len() == 2 && failures.iter().all(is_it), "{failures:#?}");
    assert_eq!(poisoned(&job), [5, 17], "trial 5 of both symbols, and no other");
    logs.extend(workers.iter().map(Worker::log));
    (rig, job, logs)
}

fn failed(rig: &Rig, job: &Submission) -> BTreeSet<(Unit, FailReason)> {
    let outcomes = rig.outcomes(&job.id).into_iter();
    outcomes
        .filter_map(|(unit, outcome)| match outcome {
            Outcome::Failed { reason, .. } => Some((unit, reason)),
            Outcome::Done { .. } => None,
        })
        .collect()
}

#[test]
fn a_trial_that_panics_leaves_the_others_alone() {
    if Rig::start().is_none() {
        return;
    }
    let (rig, job, _) = is_partial("panicked", &[], "panic:5", "panicked");
    assert!(failed(&rig, &job).is_empty(), "the shards are done, with trials that failed");
}

/// Two workers die of it, then a process of its own.
#[test]
fn a_trial_that_kills_the_process_fails_alone() {
    if Rig::start().is_none() {
        return;
    }
    let (rig, job, logs) = is_partial("aborted", &[], "abort:5", "crashed");
    assert_eq!(failed(&rig, &job).len(), 2);
    assert!(logs.len() >= 2 + 4, "two workers died of each of the two shards");
    assert!(logs.iter().any(|log| log.contains("\"deliveries\":3")), "{logs:#?}");
}

/// The same for want of memory, which it has to itself in the end.
#[test]
fn a_trial_that_eats_all_memory_fails_alone_and_is_told_so() {
    if Rig::start().is_none() {
        return;
    }
    let (rig, job, logs) = is_partial("hungry", &[], "eat:5", "outOfMemory");
    assert_eq!(failed(&rig, &job).len(), 2);
    assert!(logs.iter().any(|log| log.contains("memory allocation of")), "{logs:#?}");
}

/// Two workers die of finishing a job, and a process of its own lacks memory before its container does: the job says so, and
/// whoever works on goes on.
#[test]
fn a_job_that_cannot_be_finished_for_want_of_memory_says_so() {
    let Some(rig) = Rig::start() else { return };
    let mut job = rig.submit(JOB, "too-large");
    let faults = "eat-finish:1000000000,container:400000000";
    let (workers, logs) = replaced(&rig, &mut job, 1, &[], faults);
    assert!(!job.ended().success());
    assert_eq!(failed(&rig, &job), BTreeSet::from([(Unit::Finish, FailReason::OutOfMemory)]));
    assert_eq!((logs.len(), workers.len()), (2, 1), "two died, and the third lives");
    let last = workers[0].log();
    assert!(last.contains("memory allocation of"), "{last}");
}

/// Whatever it is that ends workers at the end of a job, and of its second stage: a process of its own finds out what comes
/// first, and publishes.
#[test]
fn a_job_that_takes_workers_down_at_its_end_is_finished_alone() {
    let Some(rig) = Rig::start() else { return };
    let mut job = rig.submit(JOB, "fragile");
    let (_workers, logs) = replaced(&rig, &mut job, 1, &[], "abort-finish,bars:1");
    rig.right(&mut job);
    assert!(logs.len() >= 2, "{}", logs.len());
}

/// A job whose shards are done, and whose end has taken down two workers: the next one finishes it alone.
fn fragile(rig: &Rig, uid: &str) -> Submission {
    let job = rig.submit(JOB, uid);
    for name in ["w0", "w1"] {
        rig.worker_with(name, &[], "abort-finish").ended();
    }
    job
}

/// What keeps the process of its own from writing the outcome is no fault of the unit, however often.
#[test]
fn a_store_that_is_away_from_who_finishes_alone_fails_nothing() {
    let Some(rig) = Rig::start() else { return };
    let mut job = fragile(&rig, "denied-alone");
    let outcome = keys::outcome(&job.id, Unit::Finish);
    let rule = rig.rule(Rule::new("PUT", &outcome, Fault::Answer(403, "AccessDenied")).times(2));
    let worker = rig.worker("w2");
    rig.right(&mut job);
    assert_eq!(rule.fired(), 2);
    assert_eq!(worker.counter("units_alone_total"), 3.0);
}

/// A job that is deleted between the worker's look at it and that of the process of its own is dropped.
#[test]
fn a_job_that_goes_while_it_is_finished_alone_is_dropped() {
    let Some(rig) = Rig::start() else { return };
    let job = fragile(&rig, "gone-alone");
    let plan = keys::plan(&job.id);
    let rule = rig.rule(Rule::new("GET", &plan, Fault::Answer(404, "NoSuchKey")).after(1).times(1));
    let worker = rig.worker("w2");
    worker.await_log("its plan is gone");
    assert_eq!((rule.fired(), worker.counter("units_alone_total")), (1, 1.0));
    assert!(failed(&rig, &job).is_empty(), "nothing is written of what is gone");
    until("it is dropped", || rig.wait(rig.queue().list_open()).unwrap().is_empty());
}

/// What makes no sense to try again fails the job, by the process of its own as by a worker.
#[test]
fn candles_that_are_gone_when_a_job_is_finished_alone_fail_it() {
    let Some(rig) = Rig::start() else { return };
    let mut job = fragile(&rig, "changed-alone");
    let plan = rig.wait(rig.store.get(&keys::plan(&job.id))).unwrap();
    let plan: Plan = serde_json::from_slice(&plan).unwrap();
    for symbol in &plan.inputs.symbols {
        rig.wait(rig.store.delete(&keys::candles(&plan.tenant, &symbol.digest))).unwrap();
    }
    let worker = rig.worker("w2");
    job.fails(&["dataChanged"]);
    assert_eq!(failed(&rig, &job), BTreeSet::from([(Unit::Finish, FailReason::DataChanged)]));
    assert_eq!(worker.counter("units_alone_total"), 1.0);
}

#[test]
fn a_trial_that_never_ends_is_ended() {
    if Rig::start().is_none() {
        return;
    }
    let (rig, job, _) = is_partial("stalled", &["--most-time", "1s"], "stall:5", "timedOut");
    assert_eq!(failed(&rig, &job).len(), 2);
}

/// The same alone: the process of its own is ended too, and does not outlive the worker that started it.
#[test]
fn a_trial_that_never_ends_is_ended_alone_too() {
    let Some(rig) = Rig::start() else { return };
    // One symbol, so that one shard alone stalls.
    const ONE: Job = Job {
        sets: &[
            "data.symbols=[SYN-A]",
            "sweep.parameters.fast=[5, 20]",
            "sweep.parameters.slow=[60, 100]",
            "output.top=1",
        ],
        ..JOB
    };
    let mut job = rig.submit(ONE, "alone");
    for name in ["w0", "w1"] {
        let mut victim = rig.worker_with(name, &[], "stall:0");
        victim.await_log("serving");
        until("it has the first shard", || {
            victim.log().contains("taken over") || name == "w0" && victim.counter("units_claimed_total") > 1.0
        });
        victim.signal("KILL");
        victim.ended();
    }
    let mut third = rig.worker_with("w2", &[], "stall:0");
    until("it runs alone", || third.children().len() == 1);
    let children = third.children();
    third.signal("KILL");
    third.ended();
    until("it ends with its parent", || {
        let status = std::fs::read_to_string(Path::new("/proc").join(&children[0]).join("status"));
        // Nobody may be there to bury it.
        status.map_or(true, |status| {
            status.lines().any(|line| line.starts_with("State:") && line.contains('Z'))
        })
    });
    let third = rig.worker_with("w3", &["--most-time", "1s"], "stall:0");
    assert!(job.ended().success(), "{}", job.log());
    assert!(third.counter("units_alone_total") >= 1.0);
    assert!(failed(&rig, &job).contains(&(Unit::Shard(0), FailReason::TimedOut)));
}
