//! Jobs with workers of their own: an Indexed Job, and what becomes of it.

use std::time::Duration;

use blockgrid_job::status::{LaneKind, Phase};
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use crate::kubelet::{ago, pause};
use crate::rig::{Grid, fresh, sized, until};

/// Some dozen shards, where no job is small.
fn large() -> Value {
    sized(json!({ "fast": { "from": 5, "to": 50, "step": 5 }, "slow": [60, 100, 160], "stop": [0.02] }))
}

/// Seven shards of a second.
pub(crate) fn two_workers() -> Value {
    let mut manifest = sized(json!({
        "fast": { "from": 5, "to": 54, "step": 1 }, "slow": { "from": 60, "to": 136, "step": 1 },
        "stop": { "from": 0.01, "to": 0.1, "step": 0.01 },
    }));
    manifest["spec"]["data"]["symbols"] = json!(["SYN-A", "SYN-B"]);
    manifest
}

fn grid_of_pools() -> Option<Grid> {
    let mut grid = Grid::start()?;
    grid.small = 0.0;
    Some(grid)
}

/// A small job whose shards take far longer than they were quoted leaves the lane, and gets workers of its own.
#[test]
fn a_job_that_is_too_long_for_the_lane_gets_workers_of_its_own() {
    let Some(grid) = Grid::start() else { return };
    let _operator = grid.operator("a");
    let _lane = grid.worker_with("w0", &["--lane", "interactive", "--most-time", "1s"], "slow:2500");
    let manifest = fresh();
    let id = grid.apply("long", &manifest);
    let status = grid.await_phase("long", Phase::Running);
    assert_eq!(status.lane, Some(LaneKind::Interactive));
    grid.await_pool(&id);
    grid.await_job("long", "it says so", |status| status.lane == Some(LaneKind::Pool));
    let _own = grid.worker_with("w1", &["--job", id.as_str()], "");
    grid.await_end("long", Phase::Succeeded);
    grid.same_as_run(&id, &manifest);
    until("its pool is gone", || grid.pool(&id).is_none());
}

/// Somebody takes the finalizer of a job away before it is deleted, so that nobody is told: its workers are found and
/// removed, and its money is given back. Those of a job that is there stay, however seldom it is looked at.
#[test]
fn what_a_job_leaves_that_goes_without_a_word_is_found() {
    let Some(mut grid) = Grid::start() else { return };
    // Tiny ones are small.
    grid.small = 0.0015;
    grid.audit = "1s";
    grid.budget(&grid.platform, &json!({ "monthlyUsd": 1000 }));
    let operator = grid.operator("a");
    // Longer than a label, which cannot have all of it.
    let gone_name = &*format!("gone-{}", "x".repeat(90));
    let [gone, stays] = [gone_name, "stays"].map(|name| {
        let id = grid.apply(name, &large());
        grid.await_pool(&id);
        id
    });
    grid.apply("in-lane", &fresh());
    assert_eq!(grid.await_phase("in-lane", Phase::Running).lane, Some(LaneKind::Interactive));
    let held = |name: &str| grid.status(name).reserved_micro_usd.unwrap();
    let (before, of_stays) = (held(gone_name) + held("in-lane") + held("stays"), held("stays"));
    grid.await_budget(&grid.platform, "all hold", |status| status.reserved_micro_usd == before);
    operator.signal("STOP");
    for name in [gone_name, "in-lane"] {
        let bare = json!({ "metadata": { "finalizers": null } });
        grid.wait(grid.jobs().patch(name, &PatchParams::default(), &Patch::Merge(bare))).unwrap();
        grid.delete(name);
        assert!(grid.job(name).is_none());
    }
    operator.signal("CONT");
    until("its workers are removed", || grid.pool(&gone).is_none());
    assert!(operator.log().contains("its BacktestJob is gone: its workers are removed"));
    grid.await_budget(&grid.platform, "one holds", |status| status.reserved_micro_usd == of_stays);
    // Several times as long as after which it is asked for.
    pause(4000);
    assert!(grid.pool(&stays).is_some_and(|pool| pool.metadata.deletion_timestamp.is_none()));
    assert_eq!(held("stays"), of_stays);
}

#[test]
fn a_big_job_is_computed_by_its_own_workers_and_costs_what_they_cost() {
    let Some(grid) = grid_of_pools() else { return };
    let _operator = grid.operator("a");
    let manifest = large();
    let id = grid.apply("big", &manifest);
    let status = grid.await_job("big", "Running", |status| status.phase == Phase::Running);
    assert_eq!(status.lane, Some(LaneKind::Pool));
    let job = serde_json::to_value(grid.await_pool(&id)).unwrap();
    let spec = &job["spec"];
    let workers = spec["parallelism"].as_u64().unwrap();
    assert_eq!(spec["completions"], spec["parallelism"]);
    let fixed = json!({
        "completionMode": "Indexed", "suspend": false, "backoffLimitPerIndex": 5,
        "podReplacementPolicy": "Failed", "ttlSecondsAfterFinished": 3600, "activeDeadlineSeconds": 5400,
    });
    for (field, value) in fixed.as_object().unwrap() {
        assert_eq!(&spec[field], value, "{field}");
    }
    let rules = &spec["podFailurePolicy"]["rules"];
    assert_eq!((&rules[0]["action"], &rules[1]["action"]), (&json!("Ignore"), &json!("FailJob")));
    assert_eq!(job["metadata"].get("ownerReferences"), None);
    let labels = &job["metadata"]["labels"];
    for (label, value) in [("job-uid", id.as_str()), ("job-name", "big"), ("user", &grid.tenant)] {
        assert_eq!(labels[format!("grid.blockbuilders.app/{label}")], value);
    }
    // As a kubelet has it: each runs for half a minute, on two processors.
    let pods = grid.await_pods(&id, usize::try_from(workers).unwrap());
    let (since, end) = (ago(30), ago(0));
    for pod in &pods {
        grid.say_ready(pod, &since);
    }
    grid.await_job("big", "workers", |status| {
        status.workers == i32::try_from(workers).ok()
            && status.condition("WorkersReady").is_some_and(|is| is.status == "True")
    });
    let mut processes: Vec<_> = pods.iter().map(|pod| grid.worker_of(pod)).collect();
    for process in &mut processes {
        assert_eq!(process.ended().code(), Some(0), "{}", process.log());
    }
    let status = grid.await_end("big", Phase::Succeeded);
    grid.same_as_run(&id, &manifest);
    let ready = status.condition("WorkersReady").unwrap();
    assert_eq!((ready.status.as_str(), ready.reason.as_str()), ("False", "Finished"), "they go");
    let quote = status.quote.unwrap();
    assert!(quote.low_micro_usd <= quote.mid_micro_usd && quote.mid_micro_usd <= quote.high_micro_usd);
    until("the Job is gone", || grid.pool(&id).is_none());
    // The seconds between two whole ones.
    let seconds = end.parse::<jiff::Timestamp>().unwrap().as_second()
        - since.parse::<jiff::Timestamp>().unwrap().as_second();
    let cost = workers * 2 * u64::try_from(seconds).unwrap() * grid.price / 3600;
    assert!(status.spent_micro_usd.unwrap() >= cost, "{status:#?}");
    assert_eq!(grid.ledger()[id.as_str()], status.spent_micro_usd.unwrap());
    assert_eq!(cost, workers * 600);
    grid.delete("big");
    grid.await_gone("big", &id);
}

#[test]
fn pods_that_have_ended_cost_to_the_microdollar() {
    let Some(grid) = grid_of_pools() else { return };
    let _operator = grid.operator("a");
    let id = grid.apply("billed", &large());
    let workers = grid.await_pool(&id).spec.unwrap().parallelism.unwrap();
    let pods = grid.await_pods(&id, usize::try_from(workers).unwrap());
    // They are drained, each after a time of its own; the Job controller makes others.
    let mut micros = 0;
    for (nth, pod) in pods.iter().enumerate() {
        let seconds = 7 * (nth as i64 + 1);
        grid.say_ended(pod, &ago(seconds + 5), &ago(5), 143);
        micros += u64::try_from(seconds).unwrap() * 2_000_000;
    }
    let cost = micros * grid.price / 3_600_000_000;
    grid.await_job("billed", "its cost", |status| status.spent_micro_usd == Some(cost));
    grid.patch("billed", json!({ "cancel": true }));
    let status = grid.await_end("billed", Phase::Cancelled);
    assert_eq!((status.spent_micro_usd, grid.ledger()[id.as_str()]), (Some(cost), cost));
    assert!(grid.pool(&id).is_none());
    let spent = grid.events(&id);
    assert!(spent.iter().any(|(reason, _)| reason == "CancelRequested"), "{spent:?}");
}

#[test]
fn suspending_suspends_the_job_and_resuming_lets_it_go_on() {
    let Some(grid) = grid_of_pools() else { return };
    let _operator = grid.operator("a");
    let manifest = large();
    let id = grid.apply("rests", &manifest);
    let workers = grid.await_pool(&id).spec.unwrap().parallelism.unwrap();
    grid.await_pods(&id, usize::try_from(workers).unwrap());
    grid.patch("rests", json!({ "suspend": true }));
    grid.await_phase("rests", Phase::Suspended);
    assert_eq!(grid.pool(&id).unwrap().spec.unwrap().suspend, Some(true));
    grid.await_pods(&id, 0);
    grid.patch("rests", json!({ "suspend": false }));
    grid.await_phase("rests", Phase::Running);
    let pods = grid.await_pods(&id, usize::try_from(workers).unwrap());
    let mut processes: Vec<_> = pods.iter().map(|pod| grid.worker_of(pod)).collect();
    for process in &mut processes {
        assert_eq!(process.ended().code(), Some(0), "{}", process.log());
    }
    grid.await_end("rests", Phase::Succeeded);
    grid.same_as_run(&id, &manifest);
    grid.delete("rests");
    grid.await_gone("rests", &id);
}

/// What a job has computed that is given up is not computed again.
#[test]
fn what_a_cancelled_job_has_computed_is_found_by_the_next() {
    let Some(grid) = grid_of_pools() else { return };
    let _operator = grid.operator("a");
    let manifest = two_workers();
    let id = grid.apply("given-up", &manifest);
    let workers = grid.await_pool(&id).spec.unwrap().parallelism.unwrap();
    grid.await_pods(&id, usize::try_from(workers).unwrap());
    // It does one shard after the other, until it is told.
    let _process = grid.worker_with("w0", &["--job", id.as_str()], "slow:1000");
    grid.await_job("given-up", "a shard is done", |status| {
        status.shards.is_some_and(|shards| shards.done > 0)
    });
    grid.patch("given-up", json!({ "cancel": true }));
    grid.await_end("given-up", Phase::Cancelled);
    grid.await_job("given-up", "it is settled", |status| status.reserved_micro_usd.is_none());
    let id = grid.apply("next", &manifest);
    let status = grid.await_job("next", "it is planned", |status| status.cached_trials.is_some());
    let (trials, cached) = (status.trials.unwrap(), status.cached_trials.unwrap());
    assert!(0 < cached && cached < trials, "{cached} of {trials}");
    let workers = grid.await_pool(&id).spec.unwrap().parallelism.unwrap();
    let pods = grid.await_pods(&id, usize::try_from(workers).unwrap());
    let mut processes: Vec<_> = pods.iter().map(|pod| grid.worker_of(pod)).collect();
    for process in &mut processes {
        assert_eq!(process.ended().code(), Some(0), "{}", process.log());
    }
    grid.await_end("next", Phase::Succeeded);
    grid.same_as_run(&id, &manifest);
}

#[test]
fn a_job_that_is_deleted_while_it_runs_leaves_nothing() {
    let Some(grid) = grid_of_pools() else { return };
    let _operator = grid.operator("a");
    let id = grid.apply("gone", &large());
    grid.await_pool(&id);
    grid.delete("gone");
    grid.await_gone("gone", &id);
    // At once, before the operator's watch knows of what it made.
    for nth in 0..3 {
        let name = format!("quick{nth}");
        let id = grid.apply(&name, &large());
        pause(150 * nth);
        grid.delete(&name);
        grid.await_gone(&name, &id);
        pause(500);
        grid.nothing_is_left(&id);
    }
}

/// What pods that are gone had cost is known to the next leader, and what the others cost while nobody led.
#[test]
fn a_change_of_leader_loses_no_cost() {
    let Some(grid) = grid_of_pools() else { return };
    let operator = grid.operator("a");
    let id = grid.apply("two", &two_workers());
    let pods = grid.await_pods(&id, 2);
    let began = std::time::Instant::now();
    for pod in &pods {
        grid.say_ready(pod, &ago(100));
    }
    let cost = |seconds: u64| seconds * 2 * grid.price / 3600;
    grid.await_job("two", "both have cost something", |status| status.spent_micro_usd >= Some(cost(200)));
    grid.evict(&pods[0]);
    until("it is gone", || !grid.pods_of(&id).iter().any(|pod| pod.metadata.uid == pods[0].metadata.uid));
    operator.kill();
    pause(20_000);
    let _operator = grid.operator("b");
    let before = grid.status("two").spent_micro_usd;
    grid.await_job("two", "it is looked at", |status| status.spent_micro_usd > before);
    // The other runs until now at least.
    let least = cost(200 + began.elapsed().as_secs());
    grid.patch("two", json!({ "cancel": true }));
    let status = grid.await_end("two", Phase::Cancelled);
    // Both lived until now at most.
    let most = cost(200 + 2 * (began.elapsed().as_secs() + 2));
    let spent = status.spent_micro_usd.unwrap();
    assert!((least..=most).contains(&spent), "{least} <= {spent} <= {most}");
    assert_eq!(grid.ledger()[id.as_str()], spent);
}

/// Of pods that go while nobody leads the next leader knows how many there were, and what the Job and their heirs tell: it
/// charges neither time in which nothing ran, nor leaves out what did.
#[test]
fn pods_that_went_while_nobody_led_cost_until_another_came_or_their_job_rested() {
    let Some(mut grid) = grid_of_pools() else { return };
    // Those that take the places of others start nowhere.
    grid.start_deadline = "1h";
    let operator = grid.operator("a");
    let cost = |seconds: u64| seconds * 2 * grid.price / 3600;
    let ids = ["rested", "replaced"].map(|name| (name, grid.apply(name, &two_workers())));
    let mut began = Vec::new();
    for (name, id) in &ids {
        let pods = grid.await_pods(id, 2);
        began.push(std::time::Instant::now());
        for pod in pods {
            grid.say_ready(&pod, &ago(100));
        }
        grid.await_job(name, "both have cost something", |status| {
            status.workers == Some(2) && status.spent_micro_usd >= Some(cost(200))
        });
    }
    operator.kill();
    let [(_, rested), (_, replaced)] = &ids;
    // The last that the leader did.
    grid.patch("rested", json!({ "suspend": true }));
    let rests = Patch::Merge(json!({ "spec": { "suspend": true } }));
    grid.wait(grid.pools().patch(&format!("bt-{rested}"), &PatchParams::default(), &rests)).unwrap();
    until("they are gone", || grid.pods_of(rested).is_empty());
    let seconds = began[0].elapsed().as_secs();
    let mut gone = 0;
    for (nth, pod) in grid.await_pods(replaced, 2).iter().enumerate() {
        grid.evict(pod);
        until("another is there", || {
            grid.pods_of(replaced).iter().all(|other| other.metadata.uid != pod.metadata.uid)
        });
        grid.await_pods(replaced, 2);
        gone += began[1].elapsed().as_secs();
        if nth == 0 {
            pause(15_000);
        }
    }
    pause(10_000);
    let _operator = grid.operator("b");
    let status = grid.await_job("rested", "it is told", |status| status.phase == Phase::Suspended);
    // To the second, as objects tell of time.
    let (least, most) = (cost(200), cost(200 + 2 * (seconds + 2)));
    let spent = status.spent_micro_usd.unwrap();
    assert!((least..=most).contains(&spent), "rested: {least} <= {spent} <= {most}");
    for (name, id) in &ids {
        grid.patch(name, json!({ "cancel": true }));
        let status = grid.await_end(name, Phase::Cancelled);
        let (least, most) = match *name {
            "rested" => (least, most),
            _ => (cost((200 + gone).saturating_sub(6)), cost(200 + gone + 2)),
        };
        let spent = status.spent_micro_usd.unwrap();
        assert!((least..=most).contains(&spent), "{name}: {least} <= {spent} <= {most}");
        assert_eq!(grid.ledger()[id.as_str()], spent);
    }
}

/// The kubelet gives them a start as it gives it to those that run.
#[test]
fn pods_that_their_nodes_refused_cost_nothing() {
    let Some(mut grid) = grid_of_pools() else { return };
    grid.start_deadline = "1h";
    let _operator = grid.operator("a");
    let id = grid.apply("refused", &two_workers());
    let pods = grid.await_pods(&id, 2);
    grid.say_ready(&pods[0], &ago(100));
    grid.await_job("refused", "it costs", |status| {
        status.spent_micro_usd >= Some(100 * 2 * grid.price / 3600)
    });
    let began = std::time::Instant::now();
    grid.say_ended(&pods[0], &ago(100), &ago(0), 1);
    grid.say_refused(&pods[1], &ago(50_000));
    // Others take their places, which start nowhere.
    grid.await_job("refused", "nobody works", |status| {
        status.condition("WorkersReady").is_some_and(|is| is.status == "False")
    });
    grid.patch("refused", json!({ "cancel": true }));
    let spent = grid.await_end("refused", Phase::Cancelled).spent_micro_usd.unwrap();
    let most = (102 + began.elapsed().as_secs()) * 2 * grid.price / 3600;
    assert!(spent <= most, "{spent} <= {most}");
}

/// Kubernetes ends a Job that takes too long, for the case that no operator does.
#[test]
fn a_deadline_that_is_raised_is_raised_for_the_pool_and_a_pool_that_was_given_up_is_made_anew() {
    let Some(grid) = grid_of_pools() else { return };
    let operator = grid.operator("a");
    let mut manifest = two_workers();
    manifest["spec"]["compute"]["deadline"] = json!("10m");
    let id = grid.apply("longer", &manifest);
    grid.await_pods(&id, 2);
    let ends = || grid.pool(&id).unwrap().spec.unwrap().active_deadline_seconds;
    assert_eq!(ends(), Some(900));
    grid.patch("longer", json!({ "compute": { "deadline": "1h" } }));
    until("it may take longer", || ends() == Some(5400));
    operator.signal("STOP");
    let first = grid.pool(&id).unwrap().metadata.uid;
    let ends = Patch::Merge(json!({ "spec": { "activeDeadlineSeconds": 1 } }));
    grid.wait(grid.pools().patch(&format!("bt-{id}"), &PatchParams::default(), &ends)).unwrap();
    until("it is given up", || {
        let status = grid.pool(&id).unwrap().status.unwrap_or_default();
        status.conditions.iter().flatten().any(|is| is.type_ == "Failed" && is.status == "True")
    });
    operator.signal("CONT");
    until("another is there", || grid.pool(&id).is_some_and(|job| job.metadata.uid != first));
    grid.await_pods(&id, 2);
    let status = grid.status("longer");
    assert!(!status.phase.is_terminal(), "{status:?}");
}

/// A Job with a rule for failed pods makes another only when one has failed, and of one whose node is dead nobody says so.
#[test]
fn a_worker_whose_node_is_dead_is_replaced() {
    let Some(grid) = grid_of_pools() else { return };
    let _operator = grid.operator("a");
    let manifest = large();
    let id = grid.apply("orphan", &manifest);
    let workers = usize::try_from(grid.await_pool(&id).spec.unwrap().parallelism.unwrap()).unwrap();
    let pods = grid.await_pods(&id, workers);
    grid.bind(&pods[0], &format!("node-of-{}", grid.tenant));
    grid.say_ready(&pods[0], &ago(10));
    let uid = |pod: &k8s_openapi::api::core::v1::Pod| pod.metadata.uid.clone().unwrap();
    let dead = uid(&pods[0]);
    grid.evict(&pods[0]);
    let is_there = || grid.pods_of(&id).iter().any(|pod| uid(pod) == dead);
    assert!(is_there(), "its kubelet would have to say that it has ended");
    until("it is let go", || !is_there());
    let pods = grid.await_pods(&id, workers);
    let mut processes: Vec<_> = pods.iter().map(|pod| grid.worker_of(pod)).collect();
    for process in &mut processes {
        assert_eq!(process.ended().code(), Some(0), "{}", process.log());
    }
    let status = grid.await_end("orphan", Phase::Succeeded);
    assert!(
        status.spent_micro_usd >= Some(10 * 2 * grid.price / 3600),
        "it ran for ten seconds: {status:#?}"
    );
    grid.same_as_run(&id, &manifest);
}

#[test]
fn workers_that_refuse_their_configuration_fail_the_job_at_once() {
    let Some(grid) = grid_of_pools() else { return };
    let _operator = grid.operator("a");
    let id = grid.apply("odd", &large());
    let workers = grid.await_pool(&id).spec.unwrap().parallelism.unwrap();
    let pods = grid.await_pods(&id, usize::try_from(workers).unwrap());
    grid.say_ended(&pods[0], &ago(2), &ago(1), 78);
    let status = grid.await_end("odd", Phase::Failed);
    assert_eq!(status.condition("Failed").unwrap().reason, "WorkersMisconfigured");
}

#[test]
fn what_keeps_pods_from_starting_is_told() {
    let Some(grid) = grid_of_pools() else { return };
    let _operator = grid.operator("a");
    let id = grid.apply("stuck", &large());
    // There is no node at all: the scheduler says so.
    let status = grid.await_job("stuck", "trouble", |status| {
        status.condition("WorkersReady").is_some_and(|is| is.reason == "Unschedulable")
    });
    assert!(status.message.unwrap().starts_with("no worker computes: Unschedulable"));
    grid.await_pool(&id);
    std::thread::sleep(Duration::from_millis(100));
    grid.patch("stuck", json!({ "cancel": true }));
    grid.await_end("stuck", Phase::Cancelled);
}
