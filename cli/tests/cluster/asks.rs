//! `why`, and what changes a job.

use serde_json::json;

use crate::plane::plane;
use crate::support::{example, small, with};

#[test]
fn a_held_budget_is_named_with_its_numbers_until_it_lets_the_job_run() {
    let Some(plane) = plane() else { return };
    let tenant = plane.tenant("poor");
    let budget = |usd: &str| {
        plane.apply(&format!(
            "{{apiVersion: grid.blockbuilders.app/v1alpha1, kind: BacktestBudget, metadata: {{name: purse, namespace: poor}}, spec: {{monthlyUsd: {usd}}}}}"
        ));
    };
    budget("0.000001");
    tenant.run(&["submit", example("sma-crossover").to_str().unwrap()]).ok();
    tenant.until("sma-crossover", "it is held", |job| job["status"]["phase"] == "Queued");
    let why = tenant.run(&["why", "sma-crossover", "--output", "json"]).ok().json();
    assert_eq!((&why["gate"], &why["blocked"]), (&json!("budget"), &json!(true)), "{why:#}");
    let budgets = why["budgets"].as_array().unwrap();
    assert_eq!(budgets.len(), 2, "{why:#}");
    assert_eq!((&budgets[0]["name"], &budgets[0]["status"]["limitMicroUsd"]), (&json!("purse"), &json!(1)));
    assert_eq!(budgets[0]["status"]["remainingMicroUsd"], 1);
    assert_eq!((&budgets[1]["namespace"], &budgets[1]["name"]), (&json!("blockgrid"), &json!("grid")));
    assert_eq!(budgets[1]["status"]["limitMicroUsd"], 8_000_000_000_u64);
    let text = tenant.run(&["why", "sma-crossover"]).ok().stdout;
    let asks = why["quote"]["highMicroUsd"].as_u64().unwrap();
    assert!(asks > 1 && asks < 2200);
    for part in [
        "stands at: budget",
        "A budget does not let it run",
        // What a worker takes to work and to stop, which is more.
        "the job may cost $0.002200: that is more than the whole limit",
        "poor/purse has $0.000001 left",
        "blockgrid/grid",
        "Admitted",
    ] {
        assert!(text.contains(part), "`{part}` is not in:\n{text}");
    }
    // The namespace is the user where nobody is believed to say another.
    budget("5, perUserUsd: 0.000002");
    tenant.until("sma-crossover", "it is held for its user", |job| {
        job["status"]["conditions"].as_array().unwrap().iter().any(|it| it["reason"] == "AboveUserBudget")
    });
    let why = tenant.run(&["why", "sma-crossover", "--output", "json"]).ok().json();
    let user = json!({
        "user": "poor", "limitMicroUsd": 2, "spentMicroUsd": 0, "reservedMicroUsd": 0, "remainingMicroUsd": 2,
    });
    assert_eq!((&why["budgets"][0]["perUser"], &why["budgets"][1]["perUser"]), (&user, &json!(null)));
    let text = tenant.run(&["why", "sma-crossover"]).ok().stdout;
    for part in
        ["poor/purse has $0.000002 left for user poor", "of it user poor", "starts only when somebody raises"]
    {
        assert!(text.contains(part), "`{part}` is not in:\n{text}");
    }
    assert!(plane.kubectl(&["get", "btb", "-n", "poor"]).contains("PERUSERUSD"));
    budget("5");
    assert!(tenant.run(&["watch", "sma-crossover"]).ok().stdout.contains("Succeeded"));
    let why = tenant.run(&["why", "sma-crossover", "--output", "json"]).ok().json();
    assert_eq!((&why["gate"], &why["blocked"]), (&json!("finished"), &json!(false)));
    assert_eq!(why["lane"], "pool");
}

#[test]
fn what_the_cluster_finds_wrong_in_a_job_is_told_field_by_field() {
    let Some(plane) = plane() else { return };
    let tenant = plane.tenant("invalid");
    let unknown = tenant.write("unknown.json", &with(small(), "/spec/data/dataset", "binance".into()));
    tenant.run(&["submit", &unknown]).ok();
    tenant.run(&["watch", "small"]).fails(1, &["small: Failed (UnknownDataset)", "binance"]);
    let symbol = with(small(), "/spec/data/symbols", json!(["SYN-A", "NOPE"]));
    let symbol = tenant.write("symbol.json", &symbol);
    let ran = tenant.run(&["submit", &symbol, "--name", "symbol"]).ok();
    assert!(ran.stderr.contains("does not fit `sample` as it is here"), "{}", ran.stderr);
    tenant.await_phase("symbol", "Failed");
    let why = tenant.run(&["why", "symbol", "--output", "json"]).ok().json();
    assert_eq!((&why["gate"], &why["reason"]), (&json!("spec"), &json!("InvalidSpec")), "{why:#}");
    let text = tenant.run(&["why", "symbol"]).ok().stdout;
    for part in ["stands at: spec", "cannot run as it is written", "spec.data.symbols", "NOPE"] {
        assert!(text.contains(part), "`{part}` is not in:\n{text}");
    }
    tenant.run(&["results", "symbol"]).fails(1, &["symbol has no results: Failed (InvalidSpec)"]);
}

#[test]
fn a_job_that_rests_has_a_quote_and_goes_on_when_it_is_let() {
    let Some(plane) = plane() else { return };
    let tenant = plane.tenant("resting");
    let file = tenant.write("small.json", &small());
    tenant.run(&["submit", &file, "--suspend"]).ok();
    let rests = |job: &serde_json::Value| {
        job["status"]["phase"] == "Suspended" && job["status"]["quote"]["vcpuMicros"].as_u64() > Some(0)
    };
    tenant.until("small", "it rests and is quoted", rests);
    let text = tenant.run(&["why", "small"]).ok().stdout;
    for part in ["stands at: suspension", "kubectl backtest resume small -n resting", "It was quoted at $"] {
        assert!(text.contains(part), "`{part}` is not in:\n{text}");
    }
    tenant.run(&["results", "small"]).fails(1, &["no results yet (Suspended", "watch small"]);
    // It rests already.
    tenant.run(&["suspend", "small"]).ok();
    assert!(tenant.run(&["resume", "small"]).ok().stderr.contains("small goes on"));
    tenant.run(&["watch", "small"]).ok();
    tenant.run(&["suspend", "small"]).fails(1, &["small has ended: Succeeded"]);
    let shared = tenant.run(&["logs", "small"]);
    shared.fails(1, &["workers that it shares", "job.json"]);
}

#[test]
fn a_cancelled_job_ends_for_good() {
    let Some(plane) = plane() else { return };
    let tenant = plane.tenant("cancelled");
    let file = tenant.write("small.json", &small());
    tenant.run(&["submit", &file, "--suspend"]).ok();
    tenant.await_phase("small", "Suspended");
    assert!(tenant.run(&["cancel", "small"]).ok().stderr.contains("small is cancelled"));
    assert_eq!(tenant.job("small")["status"]["phase"], "Cancelled");
    tenant.run(&["watch", "small"]).fails(1, &["small: Cancelled (CancelRequested): spec.cancel is true"]);
    assert!(tenant.run(&["why", "small"]).ok().stdout.contains("It was cancelled"));
    tenant.run(&["results", "small"]).fails(1, &["small has no results: Cancelled"]);
    tenant.run(&["resume", "small"]).fails(1, &["small has ended: Cancelled"]);
    assert!(tenant.run(&["cancel", "small"]).ok().stderr.contains("has ended already"));
    tenant.run(&["submit", &file, "--name", "other", "--suspend"]).ok();
    assert!(tenant.run(&["cancel", "other", "--no-wait"]).ok().stderr.contains("is to be cancelled"));
    tenant.await_phase("other", "Cancelled");
}
