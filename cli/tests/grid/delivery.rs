//! Units that are handed out too often, too early, or only half.

use std::os::unix::process::ExitStatusExt;

use blockgrid_grid::store::keys;
use blockgrid_grid::{Entry, Queue, Stream, Unit};

use crate::rig::{JOB, Job, Rig, Worker, until};
use crate::support::proxy::{Fault, Rule};

fn entries(job: &blockgrid_grid::JobId, units: impl Iterator<Item = Unit>) -> Vec<Entry> {
    units.map(|unit| Entry { job: job.clone(), unit, cost_micros: 100 }).collect()
}

/// All of it three times: one of each counts, the others are on record as overhead, each under a name of its own.
#[test]
fn everything_is_delivered_three_times() {
    let Some(rig) = Rig::start() else { return };
    let mut job = rig.submit(JOB, "thrice");
    until("the plan is queued", || job.log().contains("uid thrice"));
    let (queue, stream) = (rig.queue(), Stream::Job(job.id.clone()));
    for shard in 0..24 {
        // Beside each other, so that workers are at one and the same unit at once.
        let again = entries(&job.id, [Unit::Shard(shard); 2].into_iter());
        rig.wait(queue.push(&stream, "", &again)).unwrap();
    }
    // Of one name: their records must not be taken for one another's.
    let workers: Vec<Worker> = (0..2).map(|_| rig.worker_with("w0", &[], "slow:20")).collect();
    rig.right(&mut job);
    let claimed: f64 = workers.iter().map(|worker| worker.counter("units_claimed_total")).sum();
    assert!(claimed > 25.0, "{claimed}");
    let written = rig.proxy.seen("PUT", "overhead/");
    assert!(written > 0);
    assert_eq!(rig.overheads(&job.id).len(), written, "none was written over another");
}

#[test]
fn a_worker_dies_between_outcome_and_acknowledgement() {
    let Some(rig) = Rig::start() else { return };
    let mut job = rig.submit(JOB, "unacknowledged");
    let mut dies = rig.worker_with("w0", &[], "die-before-acknowledge");
    assert_eq!(dies.ended().signal(), Some(6));
    let first = rig.outcomes(&job.id);
    assert_eq!(first.len(), 1);
    let other = rig.worker("w1");
    rig.right(&mut job);
    other.await_log("taken over");
    for (unit, outcome) in first {
        assert_eq!(rig.outcomes(&job.id)[&unit], outcome, "found done, not computed again");
    }
    let overheads = rig.overheads(&job.id);
    assert!(overheads.is_empty(), "{overheads:#?}");
}

/// Who finishes while a shard is still open queues it again and yields.
#[test]
fn finish_comes_before_a_late_shard() {
    let Some(rig) = Rig::start() else { return };
    let mut job = rig.submit(JOB, "hasty");
    let mut late = rig.worker_with("w0", &[], "stall:0");
    until("it has the first shard", || late.counter("units_claimed_total") >= 2.0);
    let other = rig.worker("w1");
    rig.await_done(&job.id, 20);
    let queue = rig.queue();
    let finish = entries(&job.id, std::iter::once(Unit::Finish));
    rig.wait(queue.push(&Stream::Job(job.id.clone()), "", &finish)).unwrap();
    other.await_log("not all is there; queued again");
    rig.right(&mut job);
    late.signal("KILL");
    late.ended();
}

/// More shards than a plan holds itself: their parts are written before it.
const LARGE: Job = Job {
    sets: &[
        "data.to=2024-04-01T00:00:00Z",
        "sweep.parameters.fast=5..75/5",
        "sweep.parameters.slow=80..170/10",
        "sweep.parameters.stop=[0.02]",
        "output.top=1",
    ],
    shard_seconds: Some("0.00001"),
};

/// Parts without a plan are no job; who submits it again completes it, and who does so once more, cut in another way,
/// finds it as it is.
#[test]
fn a_plan_that_was_half_uploaded() {
    let Some(rig) = Rig::start() else { return };
    let rule = rig.rule(Rule::new("PUT", "plan.json", Fault::Answer(403, "AccessDenied")));
    let mut half = rig.submit(LARGE, "half");
    half.fails(&["plan.json", "refuses"]);
    assert_eq!(rule.fired(), 1);
    rig.proxy.heal();
    let parts = rig.wait(rig.store.list(&keys::job(&half.id))).unwrap();
    assert!(!parts.is_empty() && parts.iter().all(|part| part.key.contains("/plan/part-")), "{parts:?}");
    let workers: Vec<Worker> = (0..2).map(|n| rig.worker(&format!("w{n}"))).collect();
    workers[0].await_log("serving");
    assert!(rig.wait(rig.queue().list_open()).unwrap().is_empty());
    let mut whole = rig.submit(LARGE, "half");
    rig.await_done(&whole.id, 1);
    let coarse = Job { shard_seconds: Some("0.001"), ..LARGE };
    let mut other = rig.submit_with(coarse, "half", &["--wait", "-o", "out-other"]);
    rig.right(&mut whole);
    assert!(other.ended().success(), "{}", other.log());
    let outcomes = rig.outcomes(&whole.id);
    assert!(outcomes.len() > 257, "{}", outcomes.len());
    let mut late = rig.submit_with(coarse, "half", &["--wait", "-o", "out-late"]);
    assert!(late.ended().success(), "{}", late.log());
    assert_eq!(rig.outcomes(&whole.id), outcomes);
    assert!(rig.wait(rig.queue().list_open()).unwrap().is_empty(), "it is not queued again");
}
