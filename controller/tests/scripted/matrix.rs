//! Each thing that an operator does for a job, and each thing that may become of the request: the job gets to its end, its
//! workers are made once, and its money is held, counted and given back once.

use std::sync::Arc;

use blockgrid_grid::{JobId, RedisQueue};
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::call::{Call, FAULTS, Fault};
use crate::rig::{Grid, queue};

/// Requests that meet a fault, one after another.
const TIMES: usize = 2;

/// Lives at a time.
const AT_ONCE: usize = 32;

/// Requests of a whole life with two faults: without any it is some 60.
const MOST_CALLS: usize = 200;
/// Requests of the kind that met faults.
const MOST_OF_A_KIND: usize = 20;

/// What an operator does, and how it is told from all else that it asks for.
type Act = (&'static str, fn(&Call) -> bool);

fn finalizers(call: &Call, some: bool) -> bool {
    let named = call.says("/metadata/finalizers").as_array();
    call.is("patch backtestjobs") && named.is_some_and(|names| names.is_empty() != some)
}

fn status(call: &Call, field: &str, is: impl Fn(&Value) -> bool) -> bool {
    call.is("patch backtestjobs/status") && call.body["status"].get(field).is_some_and(is)
}

fn budget(call: &Call, holds: bool) -> bool {
    let number = |field: &str| call.body["status"][field].as_u64().unwrap_or(0);
    let is_end = number("reservedMicroUsd") == 0 && number("spentMicroUsd") > 0;
    call.is("update backtestbudgets/status") && if holds { number("reservedMicroUsd") > 0 } else { is_end }
}

const ACTS: [Act; 18] = [
    ("AddFinalizer, the look", |call| call.is("get backtestjobs")),
    ("AddFinalizer", |call| finalizers(call, true)),
    ("DropFinalizer", |call| finalizers(call, false)),
    ("Reserve, the budgets", |call| budget(call, true)),
    ("Reserve, the job", |call| status(call, "reservedMicroUsd", Value::is_u64)),
    ("CreatePool", |call| call.is("create jobs")),
    ("Settle, the look", |call| call.is("get jobs")),
    ("SuspendPool", |call| call.is("patch jobs") && *call.says("/spec/suspend") == json!(true)),
    ("ScalePool", |call| call.is("patch jobs") && call.says("/spec/parallelism").is_u64()),
    ("DeletePool", |call| call.is("delete jobs")),
    ("Settle, the budgets", |call| budget(call, false)),
    ("Settle, the job", |call| status(call, "reservedMicroUsd", Value::is_null)),
    ("Sign", |call| status(call, "links", Value::is_object)),
    // Of this very object: another may have its name.
    ("Delete", |call| call.is("delete backtestjobs") && call.body["preconditions"]["uid"].is_string()),
    ("the status of one that runs", |call| status(call, "phase", |phase| phase == "Running")),
    ("the status of one that has ended", |call| status(call, "phase", |phase| phase == "Succeeded")),
    ("the event", |call| call.is("create events")),
    ("the lease", |call| call.is("update leases")),
];

/// A job's whole life.
async fn live(grid: &Grid, id: JobId) {
    grid.await_pool(&id).await;
    grid.await_phase("job", "Running").await;
    grid.patch("job", &json!({ "spec": { "suspend": true } }));
    grid.await_phase("job", "Suspended").await;
    grid.patch("job", &json!({ "spec": { "suspend": false } }));
    grid.until("it goes on", || grid.pool(&id).is_some_and(|pool| pool["spec"]["suspend"] == false)).await;
    grid.finish(&id).await;
    grid.await_settled("job", &id).await;
    let wish = json!({ "metadata": { "annotations": { "grid.blockbuilders.app/links": "1" } } });
    grid.patch("job", &wish);
    grid.until("links", || grid.job("job")["status"]["links"]["request"] == "1").await;
    let spent = grid.job("job")["status"]["spentMicroUsd"].clone();
    assert_eq!(grid.budget("tenant")["spentMicroUsd"], spent);
    grid.patch("job", &json!({ "spec": { "ttl": "1s" } }));
    grid.until("it is gone", || grid.job("job").is_null()).await;
    grid.nothing_is_held().await;
    assert_eq!(grid.server.count("jobs"), 0);
    assert_eq!(grid.ledger().await, [id.as_str()]);
    assert_eq!(grid.server.made("jobs", "platform", &format!("bt-{id}")), 1);
    assert_eq!(grid.server.wrong(), Vec::<String>::new());
}

/// One that meets a fault where an act is done.
async fn lives(queue: RedisQueue, plan: Arc<String>, act: Act, fault: Fault) {
    let grid = Grid::start(&queue).await;
    grid.server.script(TIMES, fault, act.1);
    let id = grid.apply_planned("job", &plan).await;
    live(&grid, id).await;
    let all = grid.server.calls(|call| call.resource != "leases");
    let ours = grid.server.calls(|call| call.resource != "leases" && act.1(call));
    assert!(grid.server.calls(act.1) > 0, "{}: it is never done", act.0);
    assert!(ours <= MOST_OF_A_KIND && all <= MOST_CALLS, "{ours} of {all} requests");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_becomes_of_a_request_every_job_ends_once() {
    let Some((_redis, queue)) = queue().await else { return };
    let plan = Arc::new(Grid::start(&queue).await.a_plan().await);
    let places = Arc::new(Semaphore::new(AT_ONCE));
    let mut cases = JoinSet::new();
    for act in ACTS {
        for fault in FAULTS {
            let (queue, plan, places) = (queue.clone(), Arc::clone(&plan), Arc::clone(&places));
            cases.spawn(async move {
                let _place = places.acquire_owned().await.unwrap();
                let lived = tokio::spawn(lives(queue, plan, act, fault)).await;
                lived.err().map(|panic| format!("{} x {fault:?}: {}", act.0, why(panic)))
            });
        }
    }
    let failed: Vec<String> = cases.join_all().await.into_iter().flatten().collect();
    assert!(failed.is_empty(), "{} failed:\n{}", failed.len(), failed.join("\n"));
}

fn why(panic: tokio::task::JoinError) -> String {
    let panic = panic.into_panic();
    panic.downcast_ref::<String>().cloned().unwrap_or_else(|| "it panicked".to_owned())
}
