//! What operators need is away, for a while or from the start, or does not let them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use blockgrid_grid::store::keys;
use blockgrid_job::budget::BudgetStatus;
use blockgrid_job::status::{JobStatus, Phase};
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::{Value, json};

use crate::kubelet::ago;
use crate::rig::{Grid, Over, fresh, sized, until};

#[test]
fn an_api_server_that_dies_and_comes_back_loses_nothing() {
    let Some(grid) = Grid::start_alone() else { return };
    let operators = [grid.operator("a"), grid.operator("b")];
    let _worker = grid.worker("w0");
    grid.apply("before", &fresh());
    grid.await_end("before", Phase::Succeeded);
    for nth in 0..4 {
        grid.apply(&format!("amid{nth}"), &fresh());
    }
    grid.cluster.kill("kube-apiserver");
    std::thread::sleep(Duration::from_secs(5));
    grid.cluster.up();
    for nth in 0..4 {
        grid.await_end(&format!("amid{nth}"), Phase::Succeeded);
    }
    grid.apply("after", &fresh());
    grid.await_end("after", Phase::Succeeded);
    assert_eq!(grid.ledger().len(), 6);
    for mut operator in operators {
        assert!(operator.is_running(), "{}", operator.log());
    }
}

/// While the operator sleeps much happens, and the history of it is thrown away: its watches cannot go on from where they
/// were. It sleeps for less than its lease, so that it leads on with the same watches.
#[test]
fn what_was_compacted_away_is_found_by_a_list() {
    let Some(mut grid) = Grid::start_alone() else { return };
    (grid.small, grid.lease) = (0.0, (60, 50));
    grid.budget(&grid.tenant, &json!({ "monthlyUsd": 1000 }));
    let operator = grid.operator("a");
    let ids = ["ends", "stops", "goes", "loses"].map(|job| (job, grid.apply(job, &fresh())));
    for (job, id) in &ids {
        grid.await_phase(job, Phase::Running);
        grid.await_pool(id);
    }
    grid.budget(&grid.tenant, &json!({ "monthlyUsd": 1e-6 }));
    grid.await_budget(&grid.tenant, "it is known", |status| status.limit_micro_usd == 1);
    let waits = grid.apply("waits", &fresh());
    grid.await_phase("waits", Phase::Queued);
    operator.signal("STOP");
    let [ends, _, goes, loses] = ids.each_ref().map(|(_, id)| id);
    grid.finish(ends, 1000);
    grid.patch("stops", json!({ "cancel": true }));
    grid.delete("goes");
    let lost = grid.await_pool(loses).metadata;
    let how = DeleteParams::background();
    grid.wait(grid.pools().delete(lost.name.as_ref().unwrap(), &how)).unwrap();
    until("the pool is gone", || grid.pool(loses).is_none());
    grid.budget(&grid.tenant, &json!({ "monthlyUsd": 1000 }));
    let new = grid.apply("new", &fresh());
    grid.cluster.kill("kube-apiserver");
    grid.cluster.compact();
    grid.cluster.up();
    operator.signal("CONT");
    // All of its watches are told so: of jobs, pools, pods, and of the budgets of both namespaces.
    let expired = || operator.log().matches("too old resource version").count();
    until("its watches have expired", || expired() >= 4);
    grid.await_end("ends", Phase::Succeeded);
    grid.await_end("stops", Phase::Cancelled);
    grid.await_gone("goes", goes);
    until("another pool", || grid.pool(loses).is_some_and(|pool| pool.metadata.uid != lost.uid));
    for (job, id) in [("loses", loses), ("new", &new), ("waits", &waits)] {
        grid.await_phase(job, Phase::Running);
        grid.await_pool(id);
        grid.finish(id, 1000);
        grid.await_end(job, Phase::Succeeded);
    }
    assert_eq!(grid.ledger().len(), 6);
    grid.await_budget(&grid.tenant, "nothing is held", |status| status.reserved_micro_usd == 0);
    assert_eq!(operator.log().matches("\"leads\"").count(), 1, "it led all the time");
}

#[test]
fn a_storm_of_others_patches_stops_nothing() {
    let Some(grid) = Grid::start() else { return };
    let _operator = grid.operator("a");
    let _worker = grid.worker("w0");
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut nth = 0;
            while !over.load(Ordering::Relaxed) {
                for job in grid.all() {
                    nth += 1;
                    let body =
                        Patch::Merge(json!({ "metadata": { "labels": { "storm": nth.to_string() } } }));
                    let name = job.metadata.name.unwrap();
                    let _ = grid.wait(grid.jobs().patch(&name, &PatchParams::default(), &body));
                }
            }
        });
        let ends = Over(&over);
        for nth in 0..8 {
            grid.apply(&format!("job{nth}"), &fresh());
        }
        for nth in 0..8 {
            grid.await_end(&format!("job{nth}"), Phase::Succeeded);
        }
        drop(ends);
    });
    assert_eq!(grid.ledger().len(), 8);
}

/// Workers that cannot ask the queue would cost money for nothing, and more and more would be held for them.
#[test]
fn workers_rest_while_redis_is_away() {
    let Some(mut grid) = Grid::start() else { return };
    grid.small = 0.0;
    let _operator = grid.operator("a");
    let manifest = crate::pools::two_workers();
    let id = grid.apply("rests", &manifest);
    let pods = grid.await_pods(&id, 2);
    for pod in &pods {
        grid.say_ready(pod, &ago(10));
    }
    grid.await_job("rests", "its workers are ready", |status| status.workers == Some(2));
    grid.redis.kill();
    // One that could not reach it would say so.
    for pod in &pods {
        grid.say_unready(pod, &ago(20));
    }
    let status = grid.await_phase("rests", Phase::Queued);
    let stalled = status.condition("Stalled").unwrap();
    assert_eq!((stalled.status.as_str(), stalled.reason.as_str()), ("True", "QueueUnavailable"));
    assert!(stalled.message.contains("the queue does not answer since"), "{stalled:?}");
    assert!(status.resting_since.is_some() && grid.pool(&id).unwrap().spec.unwrap().suspend == Some(true));
    let is_told = || grid.events(&id).iter().any(|(reason, _)| reason == "QueueUnavailable");
    until("an event tells it", is_told);
    grid.redis.revive();
    let status = grid.await_phase("rests", Phase::Running);
    assert!(status.condition("Stalled").is_none() && status.rested_seconds.is_some(), "{status:#?}");
    let mut processes: Vec<_> = grid.await_pods(&id, 2).iter().map(|pod| grid.worker_of(pod)).collect();
    grid.await_end("rests", Phase::Succeeded);
    for process in &mut processes {
        assert_eq!(process.ended().code(), Some(0), "{}", process.log());
    }
    grid.same_as_run(&id, &manifest);
}

/// What they cost goes on while nobody can ask how far they are; pods that go meanwhile have cost until then.
#[test]
fn workers_rest_while_s3_is_away_and_those_that_go_are_paid() {
    let Some(mut grid) = Grid::start() else { return };
    grid.small = 0.0;
    let _operator = grid.operator("a");
    let id = grid.apply("rests", &crate::pools::two_workers());
    let pods = grid.await_pods(&id, 2);
    let since = std::time::Instant::now();
    for pod in &pods {
        grid.say_ready(pod, &ago(0));
    }
    grid.await_job("rests", "its workers are ready", |status| status.workers == Some(2));
    grid.s3.signal("STOP");
    let status = grid.await_phase("rests", Phase::Queued);
    let stalled = status.condition("Stalled").unwrap();
    assert_eq!((stalled.status.as_str(), stalled.reason.as_str()), ("True", "StoreUnavailable"));
    assert!(grid.pool(&id).unwrap().spec.unwrap().suspend == Some(true), "{status:#?}");
    until("they are gone", || grid.pods_of(&id).is_empty());
    let gone = since.elapsed().as_secs();
    grid.s3.signal("CONT");
    grid.await_phase("rests", Phase::Running);
    grid.patch("rests", json!({ "cancel": true }));
    let spent = grid.await_end("rests", Phase::Cancelled).spent_micro_usd.unwrap();
    let cost = |seconds: u64| 2 * seconds * 2 * grid.price / 3600;
    let (least, most) = (cost(gone.saturating_sub(4)), cost(gone + 3));
    assert!((least..=most).contains(&spent), "{least} <= {spent} <= {most}");
}

#[test]
fn jobs_wait_for_redis_and_go_on() {
    let Some(mut grid) = Grid::start() else { return };
    grid.redis.kill();
    let operator = grid.operator("a");
    grid.apply("early", &fresh());
    operator.await_log("waiting for store and queue");
    grid.redis.revive();
    let worker = grid.worker("w0");
    grid.await_end("early", Phase::Succeeded);
    // In the middle: what is planned cannot be queued.
    worker.kill();
    grid.redis.kill();
    grid.apply("amid", &fresh());
    let stalled = |status: &JobStatus| status.condition("Stalled").map(|stalled| stalled.reason.clone());
    let status = grid.await_job("amid", "it says why it stands", |status| stalled(status).is_some());
    assert!(!status.phase.is_terminal() && stalled(&status).as_deref() == Some("QueueUnavailable"));
    let message = status.message.unwrap();
    assert!(message.starts_with("the operator cannot go on with it, and tries again: "), "{message}");
    grid.redis.revive();
    let _worker = grid.worker("w0");
    let status = grid.await_end("amid", Phase::Succeeded);
    assert_eq!(stalled(&status), None);
    assert_eq!(grid.ledger().len(), 2);
}

#[test]
fn jobs_wait_for_the_store_and_go_on() {
    let Some(grid) = Grid::start() else { return };
    let operator = grid.operator("a");
    let _worker = grid.worker("w0");
    until("it leads", || operator.metrics().contains("blockgrid_operator_leader 1"));
    grid.s3.signal("STOP");
    grid.apply("amid", &fresh());
    std::thread::sleep(Duration::from_secs(5));
    let status = grid.status("amid");
    assert!(!status.phase.is_terminal(), "{status:#?}");
    grid.s3.signal("CONT");
    grid.await_end("amid", Phase::Succeeded);
}

/// A service account with the rights of the chart, but for those to make Jobs.
#[test]
fn an_operator_that_may_not_make_workers_says_so() {
    let Some(mut grid) = Grid::start() else { return };
    grid.small = 0.0;
    let (platform, tenant) = (grid.platform.clone(), grid.tenant.clone());
    let rbac = "rbac.authorization.k8s.io";
    let all = |resources: &[&str], groups: &[&str], verbs: &[&str]| json!({ "apiGroups": groups, "resources": resources, "verbs": verbs });
    let account = json!({ "metadata": { "name": "operator", "namespace": platform } });
    grid.create("", "v1", "ServiceAccount", Some(&platform), account);
    let group = "grid.blockbuilders.app";
    let role = |namespace: &str, rules: Value| {
        let role = json!({ "metadata": { "name": "operator", "namespace": namespace }, "rules": rules });
        grid.create(rbac, "v1", "Role", Some(namespace), role);
        let binding = json!({
            "metadata": { "name": "operator", "namespace": namespace },
            "roleRef": { "apiGroup": rbac, "kind": "Role", "name": "operator" },
            "subjects": [{ "kind": "ServiceAccount", "name": "operator", "namespace": platform }],
        });
        grid.create(rbac, "v1", "RoleBinding", Some(namespace), binding);
    };
    let jobs = all(
        &["backtestjobs", "backtestjobs/status", "backtestbudgets", "backtestbudgets/status"],
        &[group],
        &["get", "list", "watch", "patch", "update", "delete"],
    );
    let events = all(&["events"], &["", "events.k8s.io"], &["create", "patch"]);
    let pools = all(&["jobs"], &["batch"], &["get", "list", "watch", "patch", "delete"]);
    let pods = all(&["pods"], &[""], &["get", "list", "watch"]);
    let leases = all(&["leases"], &["coordination.k8s.io"], &["get", "create", "update", "patch"]);
    role(&tenant, json!([jobs, events]));
    role(&platform, json!([jobs, events, pools, pods, leases]));
    let token = grid.cluster.kubectl(&["create", "token", "operator", "-n", &platform]);
    let text = std::fs::read_to_string(grid.cluster.kubeconfig()).unwrap();
    let from = text.find("token: ").unwrap() + 7;
    let to = from + text[from..].find('}').unwrap();
    let kubeconfig = grid.folder.path().join("kubeconfig");
    std::fs::write(&kubeconfig, format!("{}{}{}", &text[..from], token.trim(), &text[to..])).unwrap();
    let _operator = grid.operator_as("a", &kubeconfig);
    let id = grid.apply("stuck", &sized(json!({ "fast": [5, 10], "slow": [60, 100], "stop": [0.02] })));
    let status = grid.await_job("stuck", "PoolForbidden", |status| {
        status
            .condition("WorkersReady")
            .is_some_and(|is| is.status == "False" && is.reason == "PoolForbidden")
    });
    let message = &status.condition("WorkersReady").unwrap().message;
    for part in
        ["cannot create resource \"jobs\"", &format!("system:serviceaccount:{platform}:operator"), &platform]
    {
        assert!(message.contains(part), "`{part}` is not in: {message}");
    }
    assert!(status.message.unwrap().starts_with("its workers could not be made: PoolForbidden"));
    // Somebody gives the right.
    let create = all(&["jobs"], &["batch"], &["create"]);
    let more = json!({ "metadata": { "name": "more", "namespace": platform }, "rules": [create] });
    grid.create(rbac, "v1", "Role", Some(&platform), more);
    let binding = json!({
        "metadata": { "name": "more", "namespace": platform },
        "roleRef": { "apiGroup": rbac, "kind": "Role", "name": "more" },
        "subjects": [{ "kind": "ServiceAccount", "name": "operator", "namespace": platform }],
    });
    grid.create(rbac, "v1", "RoleBinding", Some(&platform), binding);
    grid.await_pool(&id);
    grid.delete("stuck");
    grid.await_gone("stuck", &id);
}

/// Nobody knows what was spent: nothing is admitted, and whoever has the lease does not say that it leads. Those who wait can
/// see why at their budgets, and when it is mended all goes on.
#[test]
fn a_ledger_that_cannot_be_read_is_told_and_nobody_leads() {
    let Some(grid) = Grid::start() else { return };
    let month = jiff::Timestamp::now().strftime("%Y-%m").to_string();
    let key = keys::ledger(&month, &"0-0".parse().unwrap());
    grid.wait(grid.store.put(&key, b"{\"namespace\":\"ten".to_vec().into())).unwrap();
    let budgets = [&grid.tenant, &grid.platform];
    for namespace in budgets {
        grid.budget(namespace, &json!({ "monthlyUsd": 1 }));
    }
    let operator = grid.operator("a");
    operator.await_log("or remove it, and what it says was spent counts no more; nothing is admitted before");
    grid.apply("waits", &fresh());
    let says = |status: &BudgetStatus| {
        let valid = status.conditions.iter().find(|condition| condition.kind == "Valid")?;
        Some((valid.status.clone(), valid.reason.clone(), valid.message.clone()))
    };
    for namespace in budgets {
        grid.await_budget(namespace, "it is told", |status| {
            says(status).is_some_and(|(is, reason, message)| {
                let is_told = message.starts_with(&format!("{key} cannot be read"));
                is == "False" && reason == "LedgerUnreadable" && is_told
            })
        });
    }
    for _ in 0..20 {
        assert!(operator.metrics().contains("blockgrid_operator_leader 0"));
        std::thread::sleep(Duration::from_millis(100));
    }
    let waits = grid.status("waits");
    assert_eq!((waits.reserved_micro_usd, waits.start_time), (None, None), "nothing is admitted");
    grid.wait(grid.store.delete(&key)).unwrap();
    until("it leads", || operator.metrics().contains("blockgrid_operator_leader 1"));
    grid.await_phase("waits", Phase::Running);
    for namespace in budgets {
        grid.await_budget(namespace, "it is well", |status| {
            says(status).is_some_and(|(is, ..)| is == "True")
        });
    }
}
