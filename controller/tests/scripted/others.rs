//! What others do to objects out of the blue.

use std::time::Duration;

use blockgrid_grid::JobId;
use serde_json::json;

use crate::call::{Call, Fault};
use crate::rig::{Grid, queue};

/// Somebody takes the finalizer away, deletes the job, and makes another of its name.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_made_anew_under_its_name_is_another_job() {
    let Some((_redis, queue)) = queue().await else { return };
    let grid = Grid::start(&queue).await;
    let plan = grid.a_plan().await;
    let first = grid.apply_planned("job", &plan).await;
    grid.await_pool(&first).await;
    grid.await_phase("job", "Running").await;
    grid.server.remove("backtestjobs", "tenant", "job");
    let second = grid.apply_planned("job", &plan).await;
    grid.await_pool(&second).await;
    // Word of the first one's end is nothing to the second.
    grid.finish(&first).await;
    grid.await_phase("job", "Running").await;
    assert_eq!(grid.job("job")["metadata"]["uid"], json!(second));
    grid.finish(&second).await;
    grid.await_phase("job", "Succeeded").await;
    grid.until("settled", || grid.job("job")["status"]["reservedMicroUsd"].is_null()).await;
    assert!(grid.ledger().await.contains(&second.to_string()));
    assert_eq!(grid.server.made("jobs", "platform", &format!("bt-{second}")), 1);
    assert_eq!(grid.server.wrong(), Vec::<String>::new());
}

/// It goes between the raise of its budgets and the word of it in its status: nothing is held for what is gone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_goes_while_money_is_held_for_it_leaves_nothing_held() {
    let Some((_redis, queue)) = queue().await else { return };
    let grid = Grid::start(&queue).await;
    let plan = grid.a_plan().await;
    let holds =
        |call: &Call| call.is("patch backtestjobs/status") && call.says("/status/reservedMicroUsd").is_u64();
    for is_made_anew in [false, true] {
        let before = grid.server.calls(holds);
        grid.server.script(1, Fault::Late(Duration::from_millis(500)), holds);
        grid.apply_planned("job", &plan).await;
        grid.until("money", || grid.server.calls(holds) > before && grid.reserved("tenant") > 0).await;
        grid.server.remove("backtestjobs", "tenant", "job");
        if is_made_anew {
            let id = grid.apply_planned("job", &plan).await;
            grid.await_pool(&id).await;
            grid.finish(&id).await;
            grid.await_settled("job", &id).await;
        }
        grid.nothing_is_held().await;
    }
}

/// A job for which the leader is about to write what is held, and is kept from it for half a second.
async fn reserving(grid: &Grid) -> JobId {
    let plan = grid.a_plan().await;
    let raises = |call: &Call| {
        call.is("update backtestbudgets/status")
            && call.namespace.as_deref() == Some("tenant")
            && call.says("/status/reservedMicroUsd").as_u64().is_some_and(|held| held > 0)
    };
    let before = grid.server.calls(raises);
    grid.server.script(1, Fault::Late(Duration::from_millis(500)), raises);
    let id = grid.apply_planned("job", &plan).await;
    grid.until("a reservation on its way", || grid.server.calls(raises) > before).await;
    id
}

/// Somebody changes a limit while the leader writes what is held: its write meets a conflict, and what it reads then is the
/// new limit, of which no watch tells it anything new afterwards.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_limit_that_is_changed_beside_a_reservation_holds() {
    let Some((_redis, queue)) = queue().await else { return };
    let grid = Grid::start(&queue).await;
    let id = reserving(&grid).await;
    grid.server.patch("backtestbudgets", "tenant", "budget", &json!({ "spec": { "monthlyUsd": 4321 } }));
    grid.await_pool(&id).await;
    let limit = || grid.budget("tenant")["limitMicroUsd"].clone();
    grid.until("the new limit", || limit() == json!(4_321_000_000_u64)).await;
    // And it is what others are measured by.
    grid.server.patch("backtestbudgets", "tenant", "budget", &json!({ "spec": { "monthlyUsd": 4322 } }));
    grid.until("the next limit", || limit() == json!(4_322_000_000_u64)).await;
    grid.finish(&id).await;
    grid.await_settled("job", &id).await;
    grid.nothing_is_held().await;
}

/// The limit that is lowered while a job is being let in is what lets it in, or not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_limit_that_is_lowered_beside_a_reservation_holds_for_it() {
    let Some((_redis, queue)) = queue().await else { return };
    let grid = Grid::start(&queue).await;
    let id = reserving(&grid).await;
    let limits = |usd: f64| {
        grid.server.patch("backtestbudgets", "tenant", "budget", &json!({ "spec": { "monthlyUsd": usd } }));
    };
    limits(1.0);
    grid.await_phase("job", "Queued").await;
    let job = grid.job("job");
    let is_told = job["status"]["message"].as_str().is_some_and(|told| told.contains("left of $1.00"));
    assert!(is_told && job["status"].get("reservedMicroUsd").is_none() && grid.pool(&id).is_none(), "{job}");
    grid.nothing_is_held().await;
    limits(4321.0);
    grid.await_pool(&id).await;
    grid.finish(&id).await;
    grid.await_settled("job", &id).await;
    grid.nothing_is_held().await;
}

/// One of the right name that is of another job is never changed, and never counted as the job's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pool_of_anothers_is_left_alone() {
    let Some((_redis, queue)) = queue().await else { return };
    let grid = Grid::start(&queue).await;
    let plan = grid.a_plan().await;
    let id = JobId::random();
    grid.put_plan(&id, &plan).await;
    let name = format!("bt-{id}");
    let labels = json!({
        "grid.blockbuilders.app/job-uid": JobId::random(), "app.kubernetes.io/managed-by": "blockgrid-operator",
    });
    let foreign = json!({ "metadata": { "name": name, "labels": labels }, "spec": { "parallelism": 9 } });
    grid.server.create("jobs", "platform", foreign);
    let theirs = grid.pool(&id);
    let touched = |call: &Call| call.name.ends_with(id.as_str()) && matches!(call.verb, "patch" | "delete");
    let before = grid.server.calls(|call| call.is("create jobs"));
    grid.create_planned("job", &id);
    grid.until("three tries", || grid.server.calls(|call| call.is("create jobs")) >= before + 3).await;
    // Those are no workers of the job.
    assert_ne!(grid.job("job")["status"]["phase"], "Running");
    grid.patch("job", &json!({ "spec": { "suspend": true } }));
    grid.await_phase("job", "Suspended").await;
    assert_eq!((grid.pool(&id), grid.server.calls(touched)), (theirs, 0));
    // Somebody removes it.
    grid.patch("job", &json!({ "spec": { "suspend": false } }));
    grid.server.remove("jobs", "platform", &name);
    let is_ours =
        |pool: serde_json::Value| pool["metadata"]["labels"]["grid.blockbuilders.app/job-uid"] == json!(id);
    grid.until("a pool of its own", || grid.pool(&id).is_some_and(is_ours)).await;
    grid.finish(&id).await;
    grid.await_phase("job", "Succeeded").await;
    grid.nothing_is_held().await;
}

/// The watch of pools is away from before a job has workers until after its end: they are found all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_settled_before_workers_are_gone_that_no_watch_knows() {
    let Some((_redis, queue)) = queue().await else { return };
    let grid = Grid::start(&queue).await;
    let plan = grid.a_plan().await;
    let watched = |call: &Call| call.resource == "jobs" && matches!(call.verb, "watch" | "list");
    grid.server.script(usize::MAX, Fault::Refused, watched);
    grid.server.end_watches("jobs", None);
    let id = grid.apply_planned("job", &plan).await;
    grid.await_pool(&id).await;
    grid.await_phase("job", "Running").await;
    grid.finish(&id).await;
    grid.await_settled("job", &id).await;
}
