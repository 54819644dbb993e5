//! A queue that forgets, remembers too much, or is away.

use std::time::Duration;

use crate::rig::{JOB, Rig, Worker, is_long, until};

fn workers(rig: &Rig, faults: &str) -> Vec<Worker> {
    (0..2).map(|n| rig.worker_with(&format!("w{n}"), &[], faults)).collect()
}

fn sum(workers: &[Worker], counter: &str) -> f64 {
    workers.iter().map(|worker| worker.counter(counter)).sum()
}

#[test]
fn flushall_amid_a_job() {
    let Some(rig) = Rig::start() else { return };
    let mut job = rig.submit(JOB, "flushed");
    let workers = workers(&rig, "slow:100");
    rig.await_done(&job.id, 4);
    rig.redis.ask("FLUSHALL");
    rig.right(&mut job);
    assert!(sum(&workers, "audits_total") > 0.0);
    assert!(workers.iter().any(|worker| worker.log().contains("queued again by the audit")));
}

#[test]
fn flushall_while_nobody_works() {
    let Some(rig) = Rig::start() else { return };
    let mut job = rig.submit(JOB, "early");
    until("the plan is queued", || job.log().contains("uid early"));
    rig.redis.ask("FLUSHALL");
    let workers = workers(&rig, "");
    rig.right(&mut job);
    assert!(sum(&workers, "audits_total") > 0.0);
}

/// The server comes back with what it knew some shards ago.
#[test]
fn an_old_snapshot_is_restored() {
    let Some(mut rig) = Rig::start() else { return };
    let mut job = rig.submit(JOB, "restored");
    let workers = workers(&rig, "slow:150");
    rig.await_done(&job.id, 2);
    rig.redis.ask("SAVE");
    rig.await_done(&job.id, 8);
    rig.redis.kill();
    let done = rig.outcomes(&job.id);
    std::thread::sleep(Duration::from_secs(1));
    rig.redis.revive();
    let redis::Value::Int(queued) = rig.redis.ask("XLEN bt:{restored}:q") else { panic!() };
    let open = 24 - i64::try_from(done.len()).unwrap();
    assert!(queued > open, "the snapshot is not old: {queued} queued, {open} without outcome");
    rig.right(&mut job);
    for (unit, outcome) in done {
        assert_eq!(rig.outcomes(&job.id)[&unit], outcome, "the first outcome of {unit} is final");
    }
    assert!(sum(&workers, "queue_errors_total") > 0.0);
}

#[test]
fn the_queue_is_away() {
    let Some(mut rig) = Rig::start() else { return };
    let mut job = rig.submit(JOB, "away");
    let workers = workers(&rig, "slow:150");
    rig.await_done(&job.id, 4);
    rig.redis.kill();
    std::thread::sleep(if is_long() { Duration::from_secs(60) } else { Duration::from_secs(4) });
    rig.redis.revive();
    rig.right(&mut job);
    assert!(sum(&workers, "queue_errors_total") > 0.0);
}

/// The server keeps its data and stops answering: leases seem idle to whoever comes first after it.
#[test]
fn the_queue_hangs_and_leases_survive() {
    let Some(rig) = Rig::start() else { return };
    let mut job = rig.submit(JOB, "hung");
    // One shard of the first takes longer than the outage; the second has nothing in hand when the queue answers again.
    let holder = rig.worker_with("w0", &[], "slow:14000");
    until("claimed", || holder.counter("units_claimed_total") >= 2.0);
    rig.redis.signal("STOP");
    let idle = rig.worker("w1");
    std::thread::sleep(Duration::from_secs(9));
    rig.redis.signal("CONT");
    idle.await_log("serving");
    rig.await_done(&job.id, 20);
    rig.right(&mut job);
    assert!(holder.log().contains("no heartbeat"), "{}", holder.log());
}
