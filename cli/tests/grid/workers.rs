//! Workers that die, are told to stop, or fall asleep.

use std::os::unix::process::ExitStatusExt;
use std::time::{Duration, Instant};

use crate::rig::{JOB, Random, Rig, Worker, until};

/// Half a dozen workers, a third of which are killed at moments of the seed, and replaced as a pool would.
#[test]
fn kill_9_of_a_third_of_the_workers() {
    let Some(rig) = Rig::start() else { return };
    let mut random = Random::new();
    let mut job = rig.submit(JOB, "killed");
    let mut workers: Vec<Worker> =
        (0..6).map(|n| rig.worker_with(&format!("w{n}"), &[], "slow:250")).collect();
    rig.await_done(&job.id, 2);
    for _ in 0..2 {
        std::thread::sleep(Duration::from_millis(random.below(400)));
        let victim = usize::try_from(random.below(workers.len() as u64)).unwrap();
        workers[victim].signal("KILL");
        assert_eq!(workers[victim].ended().signal(), Some(9));
        workers[victim] = rig.worker_with(&format!("w{victim}"), &[], "slow:250");
    }
    rig.right(&mut job);
    assert!(workers.iter().map(|worker| worker.counter("leases_reclaimed_total")).sum::<f64>() > 0.0);
}

/// SIGTERM amid a shard that the grace does not cover: it is handed back, and taken at once by a worker that would not
/// look for idle leases for a quarter of a minute, and not think one idle for a minute.
#[test]
fn sigterm_hands_back_and_nobody_waits() {
    let Some(rig) = Rig::start() else { return };
    let mut job = rig.submit(JOB, "drained");
    let patient = ["--heartbeat", "15s", "--idle", "60s"];
    let mut leaves = rig.worker_with("w0", &[&patient[..], &["--grace", "1s"]].concat(), "stall:0");
    leaves.await_log("serving");
    // It has the first shard, and one more in store.
    until("claimed", || leaves.counter("units_claimed_total") >= 2.0);
    let stays = rig.worker_with("w1", &patient, "");
    leaves.signal("TERM");
    let asked = Instant::now();
    assert_eq!(leaves.ended().code(), Some(143));
    assert!(asked.elapsed() < Duration::from_secs(4), "{:?}", asked.elapsed());
    rig.right(&mut job);
    assert!(asked.elapsed() < Duration::from_secs(14), "{:?}", asked.elapsed());
    assert!(leaves.log().contains("draining"));
    assert!(stays.counter("leases_reclaimed_total") >= 1.0);
}

/// A unit that fits into the grace is ended, not handed back.
#[test]
fn sigterm_lets_a_short_unit_end() {
    let Some(rig) = Rig::start() else { return };
    let mut job = rig.submit(JOB, "graceful");
    let mut leaves = rig.worker_with("w0", &[], "slow:700");
    until("claimed", || leaves.counter("units_claimed_total") >= 2.0);
    leaves.signal("TERM");
    assert_eq!(leaves.ended().code(), Some(143));
    assert_eq!(rig.outcomes(&job.id).len(), 2, "the unit in work, and the one in store");
    let stays = rig.worker("w1");
    rig.right(&mut job);
    assert_eq!(stays.counter("leases_reclaimed_total"), 0.0);
}

/// A worker sleeps for longer than its lease and wakes: what it has is another's, and what it spent is overhead.
#[test]
fn a_worker_that_slept_gives_way() {
    let Some(rig) = Rig::start() else { return };
    let mut job = rig.submit(JOB, "slept");
    // The first shard never ends by itself.
    let mut sleeper = rig.worker_with("w0", &["--grace", "1s"], "stall:0");
    until("claimed", || sleeper.counter("units_claimed_total") >= 2.0);
    // It may have begun with the one in store.
    std::thread::sleep(Duration::from_secs(1));
    sleeper.signal("STOP");
    let other = rig.worker_with("w1", &[], "slow:100");
    other.await_log("taken over");
    sleeper.signal("CONT");
    sleeper.await_log("the lease is another's now");
    until("what it spent is overhead", || {
        rig.overheads(&job.id).values().any(|usage| usage.worker == "w0" && usage.spent.cpu_micros > 0)
    });
    assert!(sleeper.counter("leases_lost_total") >= 1.0);
    // By now it may have another shard that it does not come to an end with.
    sleeper.signal("TERM");
    assert_eq!(sleeper.ended().code(), Some(143));
    rig.right(&mut job);
}

/// Two workers of one name neither keep each other's leases alive nor write over each other's records.
#[test]
fn two_workers_of_one_name() {
    let Some(rig) = Rig::start() else { return };
    let mut job = rig.submit(JOB, "twins");
    let mut one = rig.worker_with("w0", &[], "stall:0");
    until("claimed", || one.counter("units_claimed_total") >= 2.0);
    let two = rig.worker_with("w0", &[], "slow:50");
    rig.await_done(&job.id, 3);
    // Its namesake's heartbeats must not keep its leases.
    one.signal("KILL");
    one.ended();
    rig.right(&mut job);
    assert!(two.counter("leases_reclaimed_total") >= 1.0);
}
