//! Objects that change, vanish or lie: what the store says decides.

use std::time::Duration;

use blockgrid_grid::store::keys;
use blockgrid_grid::{FailReason, JobId, Outcome, Plan, Queue, Unit};

use crate::rig::{JOB, Job, Rig, Submission, Worker, until};

fn workers(rig: &Rig, faults: &str) -> Vec<Worker> {
    (0..2).map(|n| rig.worker_with(&format!("w{n}"), &[], faults)).collect()
}

/// Waits until the workers have nothing to do with a job, and sees that it stays so.
fn is_over(rig: &Rig, job: &JobId) {
    let queue = rig.queue();
    until("the job is not open", || !rig.wait(queue.list_open()).unwrap().contains(job));
    std::thread::sleep(Duration::from_secs(2));
    let before = rig.proxy.seen("PUT", job.as_str());
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(rig.proxy.seen("PUT", job.as_str()), before, "the workers go on");
    assert!(!rig.wait(queue.list_open()).unwrap().contains(job));
}

/// Numbers of seventeen digits go through manifest, plan and record and stay what they are.
#[test]
fn a_parameter_keeps_its_last_bit() {
    let Some(rig) = Rig::start() else { return };
    const LONG: Job = Job {
        sets: &[
            "data.symbols=[SYN-A]",
            "sweep.parameters.fast=[5]",
            "sweep.parameters.slow=[60]",
            "sweep.parameters.stop=[0.020005000000000002, 0.020012000000000002, 0.020019000000000002]",
            "output.top=1",
        ],
        shard_seconds: None,
    };
    let _worker = rig.worker("w0");
    let mut job = rig.submit(LONG, "long-numbers");
    rig.right(&mut job);
}

#[test]
fn the_job_is_cancelled() {
    let Some(rig) = Rig::start() else { return };
    let mut job = rig.submit(JOB, "cancelled");
    let _workers = workers(&rig, "slow:300");
    rig.await_done(&job.id, 3);
    let (code, said) = rig.command(&["cancel", "cancelled"]);
    assert_eq!(code, Some(0), "{said}");
    job.fails(&["cancelled"]);
    is_over(&rig, &job.id);
    assert!(rig.outcomes(&job.id).len() < 20);
    let (code, said) = rig.command(&["results", "cancelled"]);
    assert!(code == Some(1) && said.contains("it was cancelled"), "{said}");
}

/// `blockgrid cancel` leaves its mark and dies before it can end the job.
#[test]
fn a_cancel_that_died_half_way() {
    let Some(rig) = Rig::start() else { return };
    let mut job = rig.submit(JOB, "marked");
    let _workers = workers(&rig, "slow:300");
    rig.await_done(&job.id, 3);
    rig.wait(rig.store.put(&keys::cancelled(&job.id), bytes::Bytes::new())).unwrap();
    job.fails(&["cancelled"]);
    is_over(&rig, &job.id);
}

#[test]
fn the_job_is_deleted() {
    let Some(rig) = Rig::start() else { return };
    let mut job = rig.submit(JOB, "deleted");
    let workers = workers(&rig, "slow:300");
    rig.await_done(&job.id, 3);
    rig.wait(rig.store.delete_prefix(&keys::job(&job.id))).unwrap();
    job.fails(&["deleted", "not there any more"]);
    is_over(&rig, &job.id);
    let left = rig.wait(rig.store.list(&keys::job(&job.id))).unwrap();
    // At most what was being written just then.
    assert!(left.len() <= workers.len(), "{left:?}");
}

fn candles(rig: &Rig, job: &Submission) -> Vec<String> {
    until("the plan is queued", || job.log().contains(&format!("uid {}", job.id)));
    let plan = rig.wait(rig.store.get(&keys::plan(&job.id))).unwrap();
    let plan: Plan = serde_json::from_slice(&plan).unwrap();
    plan.inputs.symbols.iter().map(|symbol| keys::candles(&plan.tenant, &symbol.digest)).collect()
}

#[test]
fn candles_that_changed_fail_the_job() {
    let Some(rig) = Rig::start() else { return };
    let mut job = rig.submit(JOB, "changed");
    let [first, second] = &candles(&rig, &job)[..] else { panic!() };
    // Good candles, but of the other symbol.
    let other = rig.wait(rig.store.get(second)).unwrap();
    rig.wait(rig.store.put(first, other)).unwrap();
    let _workers = workers(&rig, "");
    job.fails(&["dataChanged"]);
    is_over(&rig, &job.id);
    let Outcome::Failed { reason, .. } = &rig.outcomes(&job.id)[&Unit::Finish] else { panic!() };
    assert_eq!(*reason, FailReason::DataChanged);
}

#[test]
fn candles_that_are_gone_fail_the_job() {
    let Some(rig) = Rig::start() else { return };
    let mut job = rig.submit(JOB, "gone");
    let [_, second] = &candles(&rig, &job)[..] else { panic!() };
    rig.wait(rig.store.delete(second)).unwrap();
    let _workers = workers(&rig, "");
    job.fails(&["dataChanged", "SYN-B", "no such object"]);
    is_over(&rig, &job.id);
}

/// The same after the shards: those who trace the best trials find them gone.
#[test]
fn candles_that_are_gone_before_the_end_fail_the_job() {
    let Some(rig) = Rig::start() else { return };
    let mut job = rig.submit(JOB, "late");
    let names = candles(&rig, &job);
    let mut first = rig.worker_with("w0", &[], "stall:11");
    rig.await_done(&job.id, 11);
    first.signal("KILL");
    first.ended();
    // One that has the candles of all shards would never miss them.
    for name in &names {
        rig.wait(rig.store.delete(name)).unwrap();
    }
    let _workers = workers(&rig, "");
    job.fails(&["dataChanged"]);
}

/// Two results are overwritten after their outcomes: one by somebody who may write to the store, one by a disk whose
/// metadata still names the right digest. Finishing sees both, and the shards run again.
#[test]
fn forged_results_are_found_and_made_again() {
    let Some(rig) = Rig::start() else { return };
    let mut job = rig.submit(JOB, "forged");
    let workers = workers(&rig, "slow:250");
    rig.await_done(&job.id, 4);
    let results: Vec<String> = rig
        .outcomes(&job.id)
        .into_values()
        .filter_map(|outcome| match outcome {
            Outcome::Done { result, .. } => Some(result.key),
            Outcome::Failed { .. } => None,
        })
        .take(3)
        .collect();
    let [forged, other, rotten] = &results[..] else { panic!("{results:?}") };
    let other = rig.wait(rig.store.get(other)).unwrap();
    rig.wait(rig.store.put(forged, other)).unwrap();
    let file = rig.s3.file(rotten);
    let mut bytes = std::fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    rig.right(&mut job);
    let logs: String = workers.iter().map(Worker::log).collect();
    assert!(logs.matches("its unit runs again").count() >= 2, "{logs}");
    let again = rig.overheads(&job.id).into_keys().filter(|name| name.starts_with('s')).count();
    assert!(again >= 2, "what the second computation cost is on record");
}

/// A worker of another engine says so and leaves the job to those that are right for it.
#[test]
fn a_worker_of_another_engine_touches_nothing() {
    let Some(rig) = Rig::start() else { return };
    let mut job = rig.submit(JOB, "foreign");
    candles(&rig, &job);
    let key = keys::plan(&job.id);
    let right = rig.wait(rig.store.get(&key)).unwrap();
    let mut plan: Plan = serde_json::from_slice(&right).unwrap();
    plan.engine = "0123456789abcdef".to_owned();
    rig.wait(rig.store.put(&key, serde_json::to_vec(&plan).unwrap().into())).unwrap();
    let other = rig.worker("w0");
    other.await_log("left alone");
    let mut pool = rig.worker_with("w1", &["--job", "foreign"], "");
    assert_eq!(pool.ended().code(), Some(78), "{}", pool.log());
    assert!(pool.log().contains("another engine"), "{}", pool.log());
    assert!(rig.outcomes(&job.id).is_empty());
    // For those who come now the plan is their own engine's.
    rig.wait(rig.store.put(&key, right)).unwrap();
    let _right = rig.worker("w2");
    rig.right(&mut job);
    assert_eq!(other.counter("units_done_total"), 0.0);
}

/// A pool's worker ends with 0 once its job is finished, whoever finished it.
#[test]
fn a_worker_of_one_job_ends_with_it() {
    let Some(rig) = Rig::start() else { return };
    let mut job = rig.submit(JOB, "pool");
    candles(&rig, &job);
    let mut pool: Vec<Worker> =
        (0..3).map(|n| rig.worker_with(&format!("w{n}"), &["--job", "pool", "--audit", "30s"], "")).collect();
    rig.right(&mut job);
    let finished = std::time::Instant::now();
    for worker in &mut pool {
        assert_eq!(worker.ended().code(), Some(0), "{}", worker.log());
    }
    // Because they were told, not because they wondered at the silence.
    assert!(finished.elapsed() < Duration::from_secs(4), "{:?}", finished.elapsed());
}

/// The best trials are traced by units of their own, two by the first and one by the second, and the tables are made from
/// what those wrote.
#[test]
fn traces_come_from_units_of_their_own() {
    let Some(rig) = Rig::start() else { return };
    let mut job = rig.submit(JOB, "apart");
    let _workers = workers(&rig, "bars:20000");
    rig.right(&mut job);
    let outcomes = rig.outcomes(&job.id);
    let units: Vec<&Unit> = outcomes.keys().filter(|unit| matches!(unit, Unit::Trace(_))).collect();
    assert!(units.len() > 1, "{units:?}");
}
