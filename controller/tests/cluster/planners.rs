//! Plans that pods make: not too many at a time, and tried again where pods are refused.

use blockgrid_job::status::Phase;
use kube::api::{DeleteParams, ListParams};
use serde_json::{Value, json};

use crate::kubelet::pause;
use crate::rig::{Grid, sized, until};

/// Where every job of more than one parameter set is planned by a pod, two at a time.
fn grid_of_planners() -> Option<Grid> {
    let mut grid = Grid::start()?;
    grid.audit = "10m, plannedHere: {parameterSets: 1}";
    Some(grid)
}

fn two_sets() -> Value {
    sized(json!({ "fast": [5, 10], "slow": [60], "stop": [0.02] }))
}

fn planners(grid: &Grid) -> usize {
    let labelled = ListParams::default().labels("grid.blockbuilders.app/role=planner");
    grid.wait(grid.pools().list(&labelled)).unwrap().items.len()
}

/// A leader that begins looks at all of them at once, and its watch knows of none of the pods that it has just ordered.
#[test]
fn no_more_plans_are_made_by_pods_at_a_time_than_may_be() {
    let Some(grid) = grid_of_planners() else { return };
    let names: Vec<String> = (0..12).map(|nth| format!("large{nth}")).collect();
    for name in &names {
        grid.apply(name, &two_sets());
    }
    let _operator = grid.operator("a");
    until("plans are made by pods", || planners(&grid) == 2);
    let waits = |name: &String| {
        let status = grid.status(name);
        let condition = status.condition("Planned").map(|condition| condition.reason.clone());
        condition.as_deref() == Some("WaitsItsTurn")
            && status.message.as_deref().unwrap_or_default().starts_with("it waits for its turn")
    };
    until("the others are told", || names.iter().filter(|name| waits(name)).count() == 10);
    for _ in 0..20 {
        assert_eq!(planners(&grid), 2);
        pause(100);
    }
    // Whose turn comes when another is given up.
    let first = names.iter().find(|name| !waits(name)).unwrap();
    grid.patch(first, json!({ "cancel": true }));
    grid.await_end(first, Phase::Cancelled);
    until("the next is planned", || names.iter().filter(|name| waits(name)).count() == 9);
    assert!(planners(&grid) <= 2);
}

#[test]
fn a_pod_that_plans_and_is_refused_is_tried_again() {
    let Some(grid) = grid_of_planners() else { return };
    let quota = json!({ "metadata": { "name": "none" }, "spec": { "hard": { "count/jobs.batch": "0" } } });
    grid.create("", "v1", "ResourceQuota", Some(&grid.platform), quota);
    pause(2000);
    let _operator = grid.operator("a");
    grid.apply("large", &two_sets());
    let refused = |status: &blockgrid_job::JobStatus| {
        status.condition("WorkersReady").is_some_and(|condition| condition.reason == "PoolForbidden")
    };
    let status = grid.await_job("large", "it is told", refused);
    assert_eq!(status.phase, Phase::Planning);
    assert!(status.message.as_deref().unwrap_or_default().contains("exceeded quota"), "{status:#?}");
    let quotas: kube::Api<k8s_openapi::api::core::v1::ResourceQuota> =
        kube::Api::namespaced(grid.client.clone(), &grid.platform);
    grid.wait(quotas.delete("none", &DeleteParams::default())).unwrap();
    until("it is planned", || planners(&grid) == 1);
    // There is no node for it, which is another trouble.
    grid.await_job("large", "that is over", |status| !refused(status));
}
