//! What people do to jobs, and what money does.

use std::time::Duration;

use serde_json::json;

use crate::TEAM;
use crate::cluster::Cluster;
use crate::jobs::big;

pub(crate) fn people(cluster: &Cluster) {
    let why = |name: &str| cluster.blockgrid(&["cluster", "-n", TEAM, "why", name]);
    // A strategy that does not compile: the text of `blockgrid validate`.
    let bad = big("bad", 1.0).replace("'ema(close, fast)'", "'emma(close, fast)'");
    cluster.apply(TEAM, &bad);
    cluster.until("the bad job fails", Duration::from_secs(20), || cluster.is_finished("bad"));
    let said = cluster.condition("bad", "Failed");
    assert_eq!((said.0.as_str(), said.1.as_str()), ("True", "InvalidSpec"));
    assert!(said.2.contains("did you mean"), "{}", said.2);
    assert!(why("bad").contains("emma"), "{}", why("bad"));
    // Suspended, resumed, cancelled.
    cluster.apply(TEAM, &big("rests", 2.0));
    cluster.until("it runs", Duration::from_secs(60), || cluster.phase("rests") == "Running");
    cluster.blockgrid(&["cluster", "-n", TEAM, "suspend", "rests"]);
    cluster.until("its workers rest", Duration::from_secs(60), || {
        cluster.phase("rests") == "Suspended" && cluster.status("rests")["workers"].as_i64().unwrap_or(0) == 0
    });
    assert!(why("rests").contains("suspend"), "{}", why("rests"));
    cluster.blockgrid(&["cluster", "-n", TEAM, "resume", "rests"]);
    cluster.until("it goes on", Duration::from_secs(60), || {
        cluster.status("rests")["workers"].as_i64().unwrap_or(0) > 0 || cluster.is_finished("rests")
    });
    cluster.blockgrid(&["cluster", "-n", TEAM, "cancel", "rests"]);
    cluster.until("it is cancelled", Duration::from_secs(30), || cluster.is_finished("rests"));
    assert_eq!(cluster.phase("rests"), "Cancelled");
    // A deadline, and the end of the object's time.
    let late = big("late", 3.0).replace("maxWorkers: 4}", "maxWorkers: 1, deadline: 5s}\n  ttl: 1s");
    cluster.apply(TEAM, &late);
    cluster.until("the late job is gone", Duration::from_secs(120), || !cluster.exists(TEAM, "btj/late"));
    let events = cluster.kubectl(&["-n", TEAM, "get", "events", "-o", "json"]);
    assert!(events.contains("DeadlineExceeded"), "an event tells how it ended");
    // Deleted while it runs: nothing of it stays.
    cluster.apply(TEAM, &big("dropped", 4.0));
    cluster.until("it runs", Duration::from_secs(60), || cluster.phase("dropped") == "Running");
    cluster.kubectl(&["-n", TEAM, "delete", "btj", "dropped", "--timeout=120s"]);
    let jobs = cluster.kubectl(&["-n", "blockgrid", "get", "jobs", "-o", "name"]);
    assert!(!jobs.contains("bt-"), "{jobs}");
}

pub(crate) fn money(cluster: &Cluster) {
    let limits = |usd: f64, of_a_user: f64| {
        json!({
            "apiVersion": "grid.blockbuilders.app/v1alpha1", "kind": "BacktestBudget",
            "metadata": { "name": "small", "namespace": TEAM }, "spec": { "monthlyUsd": usd, "perUserUsd": of_a_user },
        })
        .to_string()
    };
    cluster.apply(TEAM, &limits(0.000_01, 10.0));
    cluster.apply(TEAM, &big("poor", 5.0));
    cluster.until("it waits for money", Duration::from_secs(60), || cluster.phase("poor") == "Queued");
    let said = cluster.condition("poor", "Admitted");
    assert_eq!((said.0.as_str(), said.1.as_str()), ("False", "AboveBudget"), "{said:?}");
    assert!(
        said.2.contains("budget team-a/small has ") && said.2.contains(" left of $0.000010"),
        "{}",
        said.2
    );
    let why = cluster.blockgrid(&["cluster", "-n", TEAM, "why", "poor"]);
    assert!(why.contains("team-a/small"), "{why}");
    cluster.apply(TEAM, &limits(10.0, 10.0));
    cluster.until("it may run", Duration::from_secs(60), || {
        matches!(cluster.phase("poor").as_str(), "Running" | "Finishing" | "Succeeded")
    });
    cluster.blockgrid(&["cluster", "-n", TEAM, "cancel", "poor"]);
    // What is left of a budget is not left for each: without a believed label, the user is the namespace.
    cluster.apply(TEAM, &limits(10.0, 0.000_01));
    cluster.apply(TEAM, &big("greedy", 5.5));
    cluster.until("it waits for its user's money", Duration::from_secs(60), || {
        cluster.phase("greedy") == "Queued"
    });
    let said = cluster.condition("greedy", "Admitted");
    assert_eq!((said.0.as_str(), said.1.as_str()), ("False", "AboveUserBudget"), "{said:?}");
    assert!(said.2.contains("budget team-a/small for user team-a has "), "{}", said.2);
    let why = cluster.blockgrid(&["cluster", "-n", TEAM, "why", "greedy"]);
    assert!(why.contains("stands at: budget") && why.contains("team-a/small for user team-a has "), "{why}");
    cluster.apply(TEAM, &limits(10.0, 10.0));
    cluster.until("it may run", Duration::from_secs(60), || cluster.phase("greedy") != "Queued");
    cluster.blockgrid(&["cluster", "-n", TEAM, "cancel", "greedy"]);
    cluster.kubectl(&["-n", TEAM, "delete", "btb", "small"]);
    // What it would cost is refused before it runs.
    let dear = big("dear", 6.0).replace("maxWorkers: 4", "maxWorkers: 4, maxCostUsd: 0.000001");
    cluster.apply(TEAM, &dear);
    cluster.until("it is refused", Duration::from_secs(60), || cluster.is_finished("dear"));
    assert_eq!(cluster.condition("dear", "Failed").1, "QuoteAboveMaxCost");
}
