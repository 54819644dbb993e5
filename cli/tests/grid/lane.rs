//! The interactive lane, which many share.

use blockgrid_grid::store::keys;
use blockgrid_grid::{JobId, Queue};
use serde_json::{Value, json};

use crate::rig::{Rig, TINY, until};

/// However much one owner has queued, another's one job is next.
#[test]
fn many_jobs_of_one_owner_do_not_delay_another() {
    let Some(rig) = Rig::start() else { return };
    let many: u32 = if crate::rig::is_long() { 60 } else { 24 };
    let ids: Vec<JobId> = (0..many).map(|n| format!("a-{n}").parse().unwrap()).collect();
    for wave in ids.chunks(4) {
        let mut wave: Vec<_> =
            wave.iter().map(|id| rig.submit_with(TINY, id.as_str(), &["--owner", "a"])).collect();
        for job in &mut wave {
            assert!(job.ended().success(), "{}", job.log());
        }
    }
    let mut one = rig.submit_with(TINY, "b", &["--owner", "b", "--wait", "-o", "out-b"]);
    until("it is queued", || one.log().contains("uid b"));
    let _worker = rig.worker_with("w0", &[], "slow:150");
    assert!(one.ended().success(), "{}", one.log());
    let finished = || {
        let done =
            |id: &&JobId| rig.wait(rig.store.head(&keys::outcome(id, blockgrid_grid::Unit::Finish))).is_ok();
        ids.iter().filter(done).count()
    };
    let listed = |more: &[&str]| {
        let (code, said) = rig.of_store(&[&["ls", "--output", "json"], more].concat());
        assert_eq!(code, Some(0), "{said}");
        serde_json::from_str::<Vec<Value>>(said.lines().next().unwrap()).unwrap()
    };
    let of_b = listed(&[]).into_iter().find(|job| job["uid"] == "b").unwrap();
    let expected = json!({
        "uid": "b", "name": "sma-crossover", "owner": "b", "state": "Succeeded", "trials": 2, "message": null,
        "shards": { "done": 1, "total": 1 }, "best": of_b["best"], "planned": of_b["planned"],
    });
    assert_eq!(of_b, expected);
    assert!(of_b["best"].as_str().unwrap().starts_with("sharpe "), "{of_b}");
    assert_eq!(listed(&["--limit", "5"]).len(), 5);
    assert!(listed(&[]).iter().any(|job| job["state"] == "Queued"));
    let before = finished();
    assert!(before < ids.len() / 3, "{before} of {many} were before it");
    rig.right(&mut one);
    until("the others are done too", || finished() == ids.len());
}

/// A job whose shards take far longer than they were quoted leaves the lane to the others, and is done by workers that are
/// there for such jobs: the same bytes.
#[test]
fn a_job_that_is_too_long_for_the_lane_moves_out_of_it() {
    let Some(rig) = Rig::start() else { return };
    let mut long = rig.submit(TINY, "long");
    until("it is queued", || long.log().contains("uid long"));
    let moved = || rig.wait(rig.store.head(&keys::moved(&long.id))).is_ok();
    let lane = rig.worker_with("w0", &["--lane", "interactive", "--most-time", "1s"], "slow:2500");
    until("it is moved", moved);
    until("it is with the large ones", || {
        rig.wait(rig.queue().list_open()).is_ok_and(|open| open.contains(&long.id))
    });
    assert!(rig.outcomes(&long.id).is_empty(), "it has not failed");
    drop(lane);
    // What has its name in the lane still is dropped there.
    let quick = rig.worker_with("w1", &["--lane", "interactive"], "");
    let mut short = rig.submit_with(
        TINY,
        "short",
        &["--set", "sweep.parameters.stop=[0.04]", "--wait", "-o", "out-short"],
    );
    assert!(short.ended().success(), "{}", short.log());
    assert!(rig.outcomes(&long.id).is_empty(), "the lane has nothing to do with it any more");
    let _all = rig.worker("w2");
    rig.right(&mut long);
    assert!(quick.counter("units_claimed_total") >= 2.0);
}

/// The lane is lost with all jobs in it, and rebuilt from what the store knows of it.
#[test]
fn flushall_of_the_lane() {
    let Some(rig) = Rig::start() else { return };
    let mut jobs: Vec<_> = (0..4).map(|n| rig.submit(TINY, &format!("lane-{n}"))).collect();
    for job in &jobs {
        until("it is queued", || job.log().contains(&format!("uid {}", job.id)));
    }
    rig.redis.ask("FLUSHALL");
    let worker = rig.worker_with("w0", &[], "slow:50");
    for job in &mut jobs {
        rig.right(job);
    }
    assert!(worker.counter("audits_total") > 0.0);
}
