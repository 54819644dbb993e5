//! What only a cluster uses, and manifests that an API server has had in its hands.
#![allow(clippy::unwrap_used, reason = "helpers of tests panic where the test fails")]

use blockgrid_job::{ClusterSpec, load, of_value, read};
use serde_json::{Value, json};

fn manifest() -> Value {
    json!({
        "apiVersion": "grid.blockbuilders.app/v1alpha1",
        "kind": "BacktestJob",
        "metadata": {"name": "grid"},
        "spec": {
            "data": {"dataset": "sample", "interval": "1h"},
            "strategy": {"parameters": {"n": 10}, "long": {"enter": "close > sma(close, n)"}},
        },
    })
}

fn with_spec(fields: &Value) -> Value {
    let mut manifest = manifest();
    manifest["spec"].as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    manifest
}

#[test]
fn an_object_of_an_api_server_is_a_manifest() {
    let mut object = with_spec(&json!({"suspend": false, "cancel": false}));
    object["metadata"] = json!({
        "name": "grid", "namespace": "team-a", "uid": "5f0ad9ee-3c0c-4a83-9f5b-2f5b3bb0a9a1", "generation": 2,
        "resourceVersion": "1234", "creationTimestamp": "2026-01-05T00:00:00Z", "generateName": "grid-",
        "deletionTimestamp": "2026-01-05T00:00:10Z", "deletionGracePeriodSeconds": 0,
        "labels": {"grid.blockbuilders.app/user": "ada"}, "annotations": {"note": "mine"},
        "finalizers": ["grid.blockbuilders.app/job"],
        "ownerReferences": [{"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": "1"}],
        "managedFields": [{"manager": "kubectl", "operation": "Apply", "fieldsV1": {"f:spec": {}}}],
    });
    object["status"] = json!({"phase": "Running", "progress": "1/2"});
    let job = of_value(&object, |_| false).unwrap();
    assert_eq!(job.spec(), &read(&manifest().to_string(), &[]).unwrap());
    // Before it was there.
    object["metadata"] = json!({"generateName": "grid-"});
    assert_eq!(of_value(&object, |_| false).unwrap().spec().name, "grid");
    object["metadata"] = json!({"generateName": "Grid-"});
    assert!(format!("{:?}", of_value(&object, |_| false).unwrap_err()).contains("metadata.generateName"));
}

#[test]
fn a_value_gets_the_errors_of_its_text() {
    let broken = with_spec(&json!({
        "data": {"dataset": "sample"},
        "strategy": {"long": {"enter": "close >"}},
        "compute": {"maxWorkers": 0, "deadline": "soon"},
        "ttl": "-1s",
    }));
    let of_text = load(&broken.to_string(), &[], |_| false).unwrap_err();
    assert_eq!(of_value(&broken, |_| false).unwrap_err(), of_text);
    let paths: Vec<_> = of_text.errors.iter().map(|error| error.path.as_str()).collect();
    // What only a cluster uses keeps nobody from hearing of the strategy too.
    for path in [
        "spec.data.interval",
        "spec.compute.maxWorkers",
        "spec.compute.deadline",
        "spec.ttl",
        "spec.strategy.long.enter",
    ] {
        assert!(paths.contains(&path), "{path} in {paths:?}");
    }
}

#[test]
fn the_resolved_manifest_knows_nothing_of_a_cluster() {
    let asked = json!({"compute": {"maxWorkers": 8, "maxCostUsd": 2.5}, "suspend": true, "ttl": "1h"});
    let job = of_value(&with_spec(&asked), |_| false).unwrap();
    let cluster = &job.spec().cluster;
    assert_eq!((cluster.max_workers, cluster.max_cost_micro_usd), (Some(8), Some(2_500_000)));
    assert_eq!((cluster.suspend, cluster.ttl_seconds), (true, Some(3600)));
    let plain = of_value(&manifest(), |_| false).unwrap();
    assert_eq!(job.spec().manifest(), plain.spec().manifest());
    assert_eq!(plain.spec().cluster, ClusterSpec::default());
}

#[test]
fn a_field_without_a_value_is_one_that_is_not_there() {
    // A server drops it: the job must be the same on a laptop, which sees it.
    let fees = |fees: Value| {
        let fees = with_spec(&json!({"execution": {"fees": fees}}));
        of_value(&fees, |_| false).unwrap().spec().execution.clone()
    };
    assert_eq!(fees(json!({"takerBps": 7, "makerBps": null})), fees(json!({"takerBps": 7})));
    assert_eq!(fees(json!({"takerBps": 7})).fees.maker_bps, 7.0);
}
