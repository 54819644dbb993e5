//! Jobs in the interactive lane, from their manifest to their end, and what users do to them on the way.

use blockgrid_grid::store::keys;
use blockgrid_job::status::{LaneKind, Phase};
use kube::api::{Patch, PatchParams};
use serde_json::json;

use crate::rig::{Grid, fresh, tiny, until};

#[test]
fn a_small_job_comes_to_the_bytes_of_run() {
    let Some(grid) = Grid::start() else { return };
    let operator = grid.operator("a");
    let _worker = grid.worker("w0");
    let manifest = tiny();
    let id = grid.apply("small", &manifest);
    let status = grid.await_end("small", Phase::Succeeded);
    assert_eq!(status.observed_generation, Some(1));
    assert_eq!((status.lane, status.trials), (Some(LaneKind::Interactive), Some(2)));
    assert_eq!(status.image.as_deref(), Some("grid:1"), "the schema keeps it");
    let done = status.shards.unwrap();
    assert_eq!(status.progress, Some(format!("{0}/{0}", done.total)));
    assert!(status.best.unwrap().starts_with("sharpe "), "the objective");
    assert!(status.results.unwrap().location.ends_with(&format!("/jobs/{id}")));
    for kind in ["Planned", "Admitted"] {
        let condition = status.conditions.iter().find(|condition| condition.kind == kind).unwrap();
        assert_eq!((condition.status.as_str(), condition.observed_generation), ("True", Some(1)));
    }
    grid.same_as_run(&id, &manifest);
    until("the event of its end", || grid.events(&id).iter().any(|(reason, _)| reason == "Succeeded"));
    // What was spent is in the ledger, and kubectl shows what a person asks for.
    assert_eq!(grid.ledger()[id.as_str()], status.spent_micro_usd.unwrap());
    let table = grid.cluster.kubectl(&["get", "backtestjobs", "-n", &grid.tenant]);
    assert!(table.contains("Succeeded"), "{table}");
    assert!(!operator.has_said("a look at the job failed"), "{}", operator.log());
    grid.delete("small");
    grid.await_gone("small", &id);
}

#[test]
fn what_was_computed_is_not_computed_again() {
    let Some(grid) = Grid::start() else { return };
    let _operator = grid.operator("a");
    let _worker = grid.worker("w0");
    grid.apply("first", &tiny());
    grid.await_end("first", Phase::Succeeded);
    let id = grid.apply("again", &tiny());
    let status = grid.await_end("again", Phase::Succeeded);
    assert_eq!((status.trials, status.cached_trials), (Some(2), Some(2)));
    grid.same_as_run(&id, &tiny());
}

#[test]
fn a_job_that_is_suspended_from_the_start_gets_a_quote_and_rests_until_it_is_resumed() {
    let Some(grid) = Grid::start() else { return };
    let mut manifest = fresh();
    manifest["spec"]["suspend"] = json!(true);
    grid.apply("rests", &manifest);
    let _operator = grid.operator("a");
    let _worker = grid.worker("w0");
    let status = grid.await_phase("rests", Phase::Suspended);
    assert!(status.quote.is_some() && status.planned_time.is_some());
    assert_eq!((status.start_time, status.reserved_micro_usd), (None, None));
    grid.patch("rests", json!({ "suspend": false }));
    let status = grid.await_end("rests", Phase::Succeeded);
    assert_eq!(status.observed_generation, Some(2));
}

#[test]
fn cancel_and_delete_leave_nothing_whenever_they_come() {
    let Some(grid) = Grid::start() else { return };
    // Before anyone has seen it.
    let mut manifest = fresh();
    manifest["spec"]["cancel"] = json!(true);
    grid.apply("at-once", &manifest);
    let unseen = grid.apply("unseen", &fresh());
    grid.delete("unseen");
    grid.await_gone("unseen", &unseen);
    let _operator = grid.operator("a");
    let status = grid.await_end("at-once", Phase::Cancelled);
    assert_eq!(status.condition("Finished").unwrap().reason, "CancelRequested");
    // While it is in the lane, without a worker.
    for (name, deleted) in [("cancelled", false), ("deleted", true)] {
        let id = grid.apply(name, &fresh());
        let status = grid.await_phase(name, Phase::Running);
        assert!(status.reserved_micro_usd.is_some());
        if deleted {
            grid.delete(name);
        } else {
            grid.patch(name, json!({ "cancel": true }));
            grid.await_end(name, Phase::Cancelled);
            grid.delete(name);
        }
        grid.await_gone(name, &id);
        assert_eq!(grid.ledger().get(id.as_str()), Some(&0), "it has cost nothing");
    }
    // What is done stays done.
    let _worker = grid.worker("w0");
    grid.apply("done", &fresh());
    grid.await_end("done", Phase::Succeeded);
    grid.patch("done", json!({ "cancel": true }));
    let status = grid.await_job("done", "seen", |status| status.observed_generation == Some(2));
    assert_eq!(status.phase, Phase::Succeeded);
}

#[test]
fn a_job_goes_by_itself_when_its_time_is_over() {
    let Some(grid) = Grid::start() else { return };
    let _operator = grid.operator("a");
    let _worker = grid.worker("w0");
    let mut manifest = fresh();
    manifest["spec"]["ttl"] = json!("2s");
    let id = grid.apply("short", &manifest);
    grid.await_gone("short", &id);
    let cost = grid.ledger()[id.as_str()];
    assert!(cost < 1000, "{cost}");
}

#[test]
fn a_deadline_ends_a_job_that_nobody_computes() {
    let Some(grid) = Grid::start() else { return };
    let _operator = grid.operator("a");
    let mut manifest = fresh();
    manifest["spec"]["compute"] = json!({ "deadline": "2s" });
    grid.apply("late", &manifest);
    let status = grid.await_end("late", Phase::DeadlineExceeded);
    assert_eq!(status.message.unwrap(), "it was not done within 2 s of its start");
}

#[test]
fn a_job_made_anew_under_its_name_is_another() {
    let Some(grid) = Grid::start() else { return };
    let _operator = grid.operator("a");
    let first = grid.apply("same", &fresh());
    grid.await_phase("same", Phase::Running);
    grid.delete("same");
    let manifest = fresh();
    let mut second = None;
    until("the name is free", || {
        second = grid.try_apply("same", &manifest).ok();
        second.is_some()
    });
    let second = second.unwrap();
    let _worker = grid.worker("w0");
    grid.await_end("same", Phase::Succeeded);
    grid.same_as_run(&second, &manifest);
    let ledger = grid.ledger();
    assert_eq!((ledger.len(), ledger[first.as_str()]), (2, 0));
    assert!(grid.wait(grid.store.list(&format!("jobs/{first}/out"))).unwrap().is_empty());
}

#[test]
fn links_open_for_an_hour_and_name_nothing_but_the_jobs_own() {
    let Some(grid) = Grid::start() else { return };
    let _operator = grid.operator("a");
    let id = grid.apply("linked", &fresh());
    grid.await_phase("linked", Phase::Running);
    grid.finish(&id, 1);
    grid.await_end("linked", Phase::Succeeded);
    let ask = |request: &str| {
        let body = json!({ "metadata": { "annotations": { "grid.blockbuilders.app/links": request } } });
        grid.wait(grid.jobs().patch("linked", &PatchParams::default(), &Patch::Merge(body))).unwrap();
        let status = grid.await_job("linked", "links", |status| {
            status.links.as_ref().is_some_and(|links| links.request == request)
        });
        status.links.unwrap().files
    };
    let files = ask("a");
    assert_eq!(files.len(), 6, "{files:?}");
    for (file, link) in &files {
        assert!(link.contains("X-Amz-Expires=3600&"), "{file}: {link}");
        assert!(file == "job.json" || link.contains(&format!("/jobs/{id}/")), "{file}: {link}");
    }
    let plan = String::from_utf8(grid.wait(grid.store.get(&keys::plan(&id))).unwrap().to_vec()).unwrap();
    let candles = ask("b files candles-0,candles-7,../secret,candles-x");
    assert_eq!(candles.len(), 1, "the plan has one symbol: {candles:?}");
    let digest = candles.values().next().unwrap().split("/candles/").nth(1).unwrap();
    let digest = digest.split('?').next().unwrap().split('/').next_back().unwrap();
    assert!(plan.contains(digest), "{digest}");
}
