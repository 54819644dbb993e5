//! Watches that break, expire and begin anew: what happened meanwhile is found.

use blockgrid_grid::RedisQueue;
use serde_json::json;
use tokio::task::JoinSet;

use crate::call::{Call, Fault};
use crate::rig::{Grid, queue};

/// How a watch ends, and what it meets when it is asked for again.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Way {
    /// It says that it has expired.
    Expires,
    /// It just ends; what it asks for next has expired, as it is told in the watch.
    Ends,
    /// The same, told by the code of the answer.
    IsRefused,
    /// It breaks off in the middle of a line.
    BreaksOff,
}

const WAYS: [Way; 4] = [Way::Expires, Way::Ends, Way::IsRefused, Way::BreaksOff];

const EXPIRED: &str = r#"{"type":"ERROR","object":{"kind":"Status","status":"Failure","code":410,"reason":"Expired","message":"too old resource version"}}"#;

/// Breaks the watches of a resource, does something that nobody hears of, and lets them begin anew.
async fn unheard(grid: &Grid, resource: &'static str, way: Way, happens: impl FnOnce()) {
    let server = &grid.server;
    grid.until("a watch", || server.watchers(resource) > 0).await;
    let asked = move |call: &Call| call.resource == resource && matches!(call.verb, "watch" | "list");
    let before = server.calls(asked);
    server.script(usize::MAX, Fault::Refused, asked);
    let last = match way {
        Way::Expires => Some(format!("{EXPIRED}\n")),
        Way::BreaksOff => Some(EXPIRED[..20].to_owned()),
        Way::Ends | Way::IsRefused => None,
    };
    server.end_watches(resource, last.as_deref());
    happens();
    grid.until("it asks again", || server.calls(asked) > before).await;
    server.compact();
    let version = server.version();
    server.be_well();
    if way == Way::IsRefused {
        let is_old = move |call: &Call| {
            let from = call.asked("resourceVersion").and_then(|text| text.parse::<u64>().ok());
            call.resource == resource && call.verb == "watch" && from.is_some_and(|from| from < version)
        };
        server.script(usize::MAX, Fault::Code(410), is_old);
    }
}

async fn of_jobs(queue: RedisQueue, plan: String, way: Way) {
    let grid = Grid::start(&queue).await;
    let ends = grid.apply_planned("ends", &plan).await;
    grid.await_phase("ends", "Running").await;
    let id = blockgrid_grid::JobId::random();
    grid.put_plan(&id, &plan).await;
    unheard(&grid, "backtestjobs", way, || {
        grid.create_planned("job", &id);
        grid.patch("ends", &json!({ "spec": { "cancel": true } }));
    })
    .await;
    grid.await_phase("ends", "Cancelled").await;
    grid.until("its pool is gone", || grid.pool(&ends).is_none()).await;
    grid.await_pool(&id).await;
    grid.finish(&id).await;
    grid.await_settled("job", &id).await;
}

async fn of_pools(queue: RedisQueue, plan: String, way: Way) {
    let grid = Grid::start(&queue).await;
    let id = grid.apply_planned("job", &plan).await;
    grid.await_pool(&id).await;
    grid.await_phase("job", "Running").await;
    let name = format!("bt-{id}");
    unheard(&grid, "jobs", way, || grid.server.remove("jobs", "platform", &name)).await;
    grid.await_pool(&id).await;
    assert_eq!(grid.server.made("jobs", "platform", &name), 2);
}

async fn of_pods(queue: RedisQueue, plan: String, way: Way) {
    let grid = Grid::start(&queue).await;
    let id = grid.apply_planned("job", &plan).await;
    grid.await_phase("job", "Running").await;
    let labels = grid.pool(&id).unwrap()["metadata"]["labels"].clone();
    let ended = json!({ "terminated": { "exitCode": 78, "startedAt": null, "finishedAt": null } });
    let container = json!({
        "name": "worker", "image": "x", "imageID": "x", "ready": false, "restartCount": 0, "state": ended,
    });
    let pod = json!({
        "metadata": { "name": "pod", "labels": labels }, "status": { "containerStatuses": [container] },
    });
    unheard(&grid, "pods", way, || drop(grid.server.create("pods", "platform", pod))).await;
    grid.await_phase("job", "Failed").await;
    assert_eq!(grid.condition("job", "Failed")["reason"], "WorkersMisconfigured");
}

async fn of_budgets(queue: RedisQueue, plan: String, way: Way) {
    let grid = Grid::start(&queue).await;
    let limit = |usd: f64| {
        let spec = json!({ "spec": { "monthlyUsd": usd } });
        grid.server.patch("backtestbudgets", "tenant", "budget", &spec);
    };
    limit(0.000_001);
    grid.until("it is known", || grid.budget("tenant")["limitMicroUsd"] == 1).await;
    let id = grid.apply_planned("job", &plan).await;
    grid.await_phase("job", "Queued").await;
    unheard(&grid, "backtestbudgets", way, || limit(1000.0)).await;
    grid.await_pool(&id).await;
    grid.finish(&id).await;
    grid.await_settled("job", &id).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_happens_while_a_watch_is_broken_is_found() {
    let Some((_redis, queue)) = queue().await else { return };
    let plan = Grid::start(&queue).await.a_plan().await;
    let mut cases = JoinSet::new();
    for way in WAYS {
        for resource in ["backtestjobs", "jobs", "pods", "backtestbudgets"] {
            let (queue, plan) = (queue.clone(), plan.clone());
            cases.spawn(async move {
                let lived = match resource {
                    "backtestjobs" => tokio::spawn(of_jobs(queue, plan, way)),
                    "jobs" => tokio::spawn(of_pools(queue, plan, way)),
                    "pods" => tokio::spawn(of_pods(queue, plan, way)),
                    _ => tokio::spawn(of_budgets(queue, plan, way)),
                };
                lived.await.err().map(|panic| format!("{resource} x {way:?}: {panic}"))
            });
        }
    }
    let failed: Vec<String> = cases.join_all().await.into_iter().flatten().collect();
    assert!(failed.is_empty(), "{} failed:\n{}", failed.len(), failed.join("\n"));
}

/// What was heard of by a bookmark alone is where a watch goes on, without a list.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watch_goes_on_from_a_bookmark_and_survives_nonsense() {
    let Some((_redis, queue)) = queue().await else { return };
    let grid = Grid::start(&queue).await;
    let plan = grid.a_plan().await;
    let (server, lists) = (&grid.server, |call: &Call| call.is("list backtestjobs"));
    for nth in 0..5 {
        let spec = json!({ "spec": { "monthlyUsd": 1000 + nth } });
        server.patch("backtestbudgets", "platform", "budget", &spec);
    }
    server.say("backtestjobs", "<html>a proxy was here\n");
    let before = server.calls(lists);
    let watches = |call: &Call| call.is("watch backtestjobs");
    let watched = server.calls(watches);
    // In one, as what the operator writes meanwhile would be after the bookmark and before the compaction.
    server.compact_after_a_bookmark("backtestjobs", "BacktestJob");
    server.end_watches("backtestjobs", None);
    grid.until("it asks again", || server.calls(watches) > watched).await;
    let id = grid.apply_planned("other", &plan).await;
    grid.await_pool(&id).await;
    assert_eq!(server.calls(lists), before, "it was listed anew");
}
