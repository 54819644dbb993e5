//! What Kubernetes asks of a schema, and that a full status fits it.

use std::collections::{BTreeMap, BTreeSet};

use blockgrid_job::budget::{BudgetStatus, UserSpend};
use blockgrid_job::crd::Kind;
use blockgrid_job::status::{Condition, LaneKind, Links, Phase, QuoteStatus, ResultsRef, ShardCounts, Terms};
use blockgrid_job::{JobStatus, status::MAX_STATUS_BYTES};
use serde_json::{Value, json};

use crate::server::{admit, fields};

fn walk(schema: &Value, path: &str, visit: &mut impl FnMut(&str, &Value)) {
    visit(path, schema);
    for (key, field) in fields(schema) {
        walk(&field, &format!("{path}.{key}"), visit);
    }
    for (key, name) in [("items", "[]"), ("additionalProperties", "{}")] {
        if let Some(inner) = schema.get(key) {
            walk(inner, &format!("{path}{name}"), visit);
        }
    }
}

#[test]
fn every_field_is_described_and_bounded() {
    for kind in Kind::ALL {
        walk(&kind.schema(), "", &mut |path, schema| {
            let inner = path.ends_with("[]") || path.ends_with("{}") || path == ".metadata";
            let doc = schema["description"].as_str();
            assert!(
                inner || doc.is_some_and(|doc| doc.ends_with('.') && doc.len() > 10),
                "{path} is not described"
            );
            let has = |bound: &str| schema.get(bound).is_some();
            let bounded = match schema["type"].as_str() {
                Some("string") => has("maxLength") || has("enum") || has("format"),
                Some("array") => has("maxItems"),
                Some("object") => !has("additionalProperties") || has("maxProperties"),
                Some("integer" | "number") => {
                    has("minimum") || path.contains("parameters") || path.ends_with("remainingMicroUsd")
                }
                None => has("maxLength") || has("maxItems") || has("maxProperties"),
                _ => true,
            };
            assert!(bounded, "{path} is not bounded");
            for limit in ["minimum", "maximum"] {
                // Where a whole number stands, a server cuts the fraction of a limit off: 0 passes a minimum of 0.5.
                // One that has to be passed is right all the same, where nothing whole lies between it and what is left.
                let is_cut = schema[limit].as_f64().is_some_and(|limit| limit.fract() != 0.0);
                let is_passed = limit == "minimum" && schema["exclusiveMinimum"] == true;
                assert!(!is_cut || is_passed, "{path}: {limit}");
            }
            // CEL does not see what has no type.
            assert!(has("type") || !has("x-kubernetes-validations"), "{path}");
        });
    }
}

/// Fields of everything that the value holds, and of the schema, so that they can be compared.
fn compare(schema: &Value, value: &Value, path: &str) {
    match value {
        Value::Object(map) => {
            let known: BTreeSet<_> = fields(schema).into_iter().map(|(key, _)| key).collect();
            if schema.get("additionalProperties").is_none() {
                assert_eq!(map.keys().cloned().collect::<BTreeSet<_>>(), known, "{path}");
            }
            for (key, value) in map {
                let field = schema["properties"].get(key).unwrap_or(&schema["additionalProperties"]);
                compare(field, value, &format!("{path}.{key}"));
            }
        }
        Value::Array(items) => items.iter().for_each(|item| compare(&schema["items"], item, path)),
        _ => {}
    }
}

fn condition() -> Condition {
    Condition {
        kind: "Finished".to_owned(),
        status: "True".to_owned(),
        reason: "Done".to_owned(),
        message: "all shards are done".to_owned(),
        last_transition_time: "2026-01-05T00:00:00Z".to_owned(),
        observed_generation: Some(1),
    }
}

fn object(kind: Kind, spec: &Value, status: &Value) -> Value {
    json!({
        "apiVersion": "grid.blockbuilders.app/v1alpha1", "kind": kind.id(), "metadata": {"name": "a"},
        "spec": spec, "status": status,
    })
}

#[test]
fn a_full_status_is_what_the_schema_has() {
    let some = |text: &str| Some(text.to_owned());
    let time = || Some("2026-01-05T00:00:00Z".to_owned());
    let status = JobStatus {
        observed_generation: Some(3),
        phase: Phase::Running,
        message: some("computing"),
        progress: some("12/200"),
        best: some("sharpe 1.23"),
        cost: some("$0.0123"),
        workers: Some(4),
        lane: Some(LaneKind::Pool),
        trials: Some(2_000_000),
        cached_trials: Some(7),
        shards: Some(ShardCounts { total: 200, done: 12 }),
        quote: Some(QuoteStatus {
            vcpu_micros: 1,
            low_micro_usd: 2,
            mid_micro_usd: 3,
            high_micro_usd: 4,
            least_micro_usd: 5,
        }),
        terms: Some(Terms {
            micro_usd_per_vcpu_hour: u64::from(u32::MAX),
            micro_usd_per_1000_reads: 1,
            micro_usd_per_1000_writes: 1,
            millicpus: 1,
            deadline_seconds: 1,
        }),
        reserved_micro_usd: Some(4),
        user: some("ann"),
        resting_since: time(),
        idle_since: time(),
        idle_deadline: time(),
        rested_seconds: Some(60),
        spent_micro_usd: Some(3),
        spent_time: Some("2026-01-01T00:00:00Z".to_owned()),
        settled_time: Some("2026-01-01T00:00:00Z".to_owned()),
        planned_time: time(),
        start_time: time(),
        completion_time: time(),
        engine: some("3f2a"),
        image: some("registry.example.com/grid:1"),
        results: Some(ResultsRef {
            location: "s3://grid/jobs/1".to_owned(),
            record: "jobs/1/out/job.json".to_owned(),
            sha256: "0".repeat(64),
        }),
        links: Some(Links {
            request: "1".to_owned(),
            until: "2026-01-05T00:00:00Z".to_owned(),
            files: BTreeMap::from([("trials.parquet".to_owned(), "https://example.com/?sig=1".to_owned())]),
        }),
        conditions: vec![condition()],
    };
    let status = serde_json::to_value(status).unwrap();
    let schema = Kind::BacktestJob.schema();
    compare(&fields(&schema)["status"], &status, "status");
    assert!(status.to_string().len() < MAX_STATUS_BYTES);
    let spec = crate::full()["spec"].clone();
    admit(&schema, &object(Kind::BacktestJob, &spec, &status)).unwrap();
    for phase in Phase::ALL {
        let status = serde_json::to_value(JobStatus { phase, ..JobStatus::default() }).unwrap();
        admit(&schema, &object(Kind::BacktestJob, &spec, &status)).unwrap();
    }
}

#[test]
fn a_full_status_of_a_budget_is_what_the_schema_has() {
    let status = BudgetStatus {
        observed_generation: Some(1),
        month: Some("2026-01".to_owned()),
        limit_micro_usd: 8_000_000_000,
        spent_micro_usd: 9_000_000_000,
        reserved_micro_usd: 1,
        burn_micro_usd_per_hour: 2,
        projected_micro_usd: 3,
        jobs: 4,
        users: BTreeMap::from([("ada".to_owned(), UserSpend { spent_micro_usd: 1, reserved_micro_usd: 2 })]),
        conditions: vec![condition()],
        ..BudgetStatus::default()
    };
    let status = serde_json::to_value(status.in_words()).unwrap();
    let schema = Kind::BacktestBudget.schema();
    compare(&fields(&schema)["status"], &status, "status");
    admit(&schema, &object(Kind::BacktestBudget, &json!({"monthlyUsd": 8000}), &status)).unwrap();
}
