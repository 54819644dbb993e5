//! The schemas beside the decoders: one must not know what the other does not.
#![allow(clippy::unwrap_used, reason = "helpers of tests panic where the test fails")]

#[path = "../manifests/mod.rs"]
mod manifests;
mod server;
mod shape;

use std::collections::BTreeSet;

use blockgrid_job::crd::{DIGEST_ANNOTATION, Kind, digest};
use blockgrid_job::{BudgetSpec, of_value, read};
use manifests::{full, mutate, pointers, replacement};
use proptest::prelude::*;
use serde_json::{Value, json};
use server::{admit, fields};

fn schema() -> Value {
    Kind::BacktestJob.schema()
}

/// Objects of the schema with their paths, those of untyped fields left out.
fn objects(schema: &Value, path: &str) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    for (key, field) in fields(schema) {
        found.extend(objects(&field, format!("{path}.{key}").trim_start_matches('.')));
    }
    if schema.get("properties").is_some() {
        found.push((path.to_owned(), schema.clone()));
    }
    found
}

fn pointer(path: &str) -> String {
    path.split('.').filter(|key| !key.is_empty()).map(|key| format!("/{key}")).collect()
}

/// What the decoder says about `path` when a manifest that is right has something else there.
fn said(path: &str, change: impl FnOnce(&mut Value)) -> String {
    let mut manifest = full();
    change(&mut manifest);
    let errors = read(&manifest.to_string(), &[]).unwrap_err();
    let found = errors.into_iter().find(|error| error.path == path);
    found.unwrap_or_else(|| panic!("nothing is said about {path}")).message
}

fn words(message: &str, after: &str) -> BTreeSet<String> {
    let (_, words) = message.split_once(after).unwrap_or_else(|| panic!("`{after}` in {message}"));
    words.split(", ").map(str::to_owned).collect()
}

#[test]
fn schema_and_decoder_know_the_same_fields() {
    let spec = schema()["properties"]["spec"].clone();
    let objects = objects(&spec, "spec");
    assert!(objects.len() >= 14, "{}", objects.len());
    for (path, schema) in objects {
        let nonsense = format!("{path}.wwwwwwwwwwwwww");
        let message = said(&nonsense, |manifest| {
            manifest.pointer_mut(&pointer(&path)).unwrap()["wwwwwwwwwwwwww"] = json!(1);
        });
        let known: BTreeSet<String> = fields(&schema).into_iter().map(|(key, _)| key).collect();
        assert_eq!(words(&message, "known are "), known, "{path}");
    }
}

#[test]
fn schema_and_decoder_know_the_same_words() {
    let (mut open, mut choices) = (vec![("spec".to_owned(), schema()["properties"]["spec"].clone())], 0);
    while let Some((path, schema)) = open.pop() {
        open.extend(fields(&schema).into_iter().map(|(key, field)| (format!("{path}.{key}"), field)));
        let Some(known) = schema.get("enum") else { continue };
        choices += 1;
        let message =
            said(&path, |manifest| *manifest.pointer_mut(&pointer(&path)).unwrap() = json!("wwwwwwww"));
        let known = known.as_array().unwrap().iter().map(|word| word.as_str().unwrap().to_owned()).collect();
        assert_eq!(words(&message, "one of "), known, "{path}");
    }
    assert_eq!(choices, 6);
}

#[test]
fn what_is_required_is_what_the_decoder_misses() {
    // One of them is enough, and a CEL rule says so; a file tells its interval, but a cluster opens none.
    for (path, schema) in objects(&schema()["properties"]["spec"], "spec") {
        let required = schema["required"].as_array().cloned().unwrap_or_default();
        for (key, _) in fields(&schema) {
            let mut manifest = full();
            manifest.pointer_mut(&pointer(&path)).unwrap().as_object_mut().unwrap().remove(&key);
            let errors = read(&manifest.to_string(), &[]).err().unwrap_or_default();
            let field = format!("{path}.{key}");
            let missed = errors.iter().any(|e| e.path == field && e.message.starts_with("is missing"));
            assert_eq!(missed && field != "spec.data.interval", required.contains(&json!(key)), "{field}");
        }
    }
}

#[test]
fn defaults_of_the_schema_change_no_job() {
    let mut tried = 0;
    for (name, manifest) in manifests::examples().into_iter().chain([("full".to_owned(), full())]) {
        let expected = of_value(&manifest, |_| false).unwrap_or_else(|e| panic!("{name}: {:?}", e.errors));
        // Every object alone left out, and each as empty as it may be.
        let mut variants = vec![manifest.clone()];
        for (path, _) in objects(&schema()["properties"]["spec"], "spec") {
            let Some(value) = manifest.pointer(&pointer(&path)) else { continue };
            for with in value.as_object().unwrap().keys().map(Some).chain([None]) {
                let mut variant = manifest.clone();
                let object = variant.pointer_mut(&pointer(&path)).unwrap().as_object_mut().unwrap();
                object.retain(|key, _| with.is_some_and(|with| with != key));
                variants.push(variant);
            }
        }
        for mut variant in variants.clone() {
            variant["spec"]["execution"] = json!({"semantics": "vectorbt"});
            variants.push(variant);
        }
        for variant in variants {
            let (Ok(plain), Ok(stored)) = (read(&variant.to_string(), &[]), admit(&schema(), &variant))
            else {
                continue;
            };
            assert_eq!(read(&stored.to_string(), &[]).unwrap(), plain, "{name}: {variant}");
            tried += 1;
        }
        let stored = admit(&schema(), &manifest).unwrap_or_else(|errors| panic!("{name}: {errors:?}"));
        assert_eq!(of_value(&stored, |_| false).unwrap().spec(), expected.spec(), "{name}");
    }
    assert!(tried > 100, "{tried}");
}

#[test]
fn the_defaults_are_the_decoders() {
    let minimal = json!({
        "apiVersion": "grid.blockbuilders.app/v1alpha1", "kind": "BacktestJob", "metadata": {"name": "a"},
        "spec": {
            "data": {"dataset": "sample", "interval": "1h"}, "strategy": {"long": {"enter": true}, "risk": {}},
            "execution": {"fees": {}, "slippage": {}}, "sweep": {}, "output": {}, "compute": {},
        },
    });
    let stored = admit(&schema(), &minimal).unwrap();
    let expected = json!({
        "data": {"dataset": "sample", "interval": "1h", "quality": "strict"},
        "strategy": {
            "long": {"enter": true, "order": {"type": "market"}},
            "risk": {"sameBar": "stopFirst", "reentry": "nextBar"}, "size": "allIn",
        },
        "execution": {"semantics": "native", "fees": {"takerBps": 0, "perOrder": 0}, "slippage": {"bps": 0, "rangeShare": 0}},
        "sweep": {"objective": "sharpe"}, "output": {"top": 20}, "compute": {"class": "standard"},
        "suspend": false, "cancel": false,
    });
    assert_eq!(stored["spec"], expected);
}

#[test]
fn hostile_objects_are_refused() {
    for (path, value, expected) in [
        ("/spec/wibble", json!(1), ".spec.wibble: is no field"),
        ("/spec/strategy/long/entry", json!("close > open"), ".spec.strategy.long.entry: is no field"),
        ("/spec/strategy/long/enter", json!("x".repeat(8193)), ".spec.strategy.long.enter: has too"),
        ("/spec/strategy/define/a", json!("x".repeat(8193)), ".spec.strategy.define.a: has too"),
        ("/spec/strategy/parameters/fast", json!("10"), ".spec.strategy.parameters.fast: is of another type"),
        ("/spec/strategy/size", json!({"quote": 1, "base": 1}), ".spec.strategy.size: has too"),
        ("/spec/strategy/size", json!("x".repeat(10_000)), ".spec.strategy.size: has too"),
        ("/spec/strategy/session/from", json!("9:30"), ".spec.strategy.session.from: does not match"),
        ("/spec/data/dataset", json!("x".repeat(254)), ".spec.data.dataset: has too"),
        ("/spec/data/interval", json!("1 hour"), ".spec.data.interval: does not match"),
        ("/spec/data/symbols", Value::from(vec!["A"; 10_001]), ".spec.data.symbols: has too"),
        ("/spec/data/columns", Value::from(vec!["a"; 257]), ".spec.data.columns: has too"),
        ("/spec/data/fill/maxBars", json!(10_081), ".spec.data.fill.maxBars: is out of range"),
        ("/spec/execution/fees/takerBps", json!(10_000), ".spec.execution.fees.takerBps: is out of range"),
        ("/spec/execution/initialCash", json!(0), ".spec.execution.initialCash: is out of range"),
        (
            "/spec/sweep/parameters/fast",
            Value::from(vec![1; 100_001]),
            ".spec.sweep.parameters.fast: has too",
        ),
        ("/spec/sweep/where", json!("x".repeat(8193)), ".spec.sweep.where: has too"),
        ("/spec/output/top", json!(1001), ".spec.output.top: is out of range"),
        ("/spec/output/top", json!(1.5), ".spec.output.top: is of another type"),
        ("/spec/output/metrics", json!(["sharp"]), ".spec.output.metrics[0]: is none of the words"),
        ("/spec/compute/class", json!("-"), ".spec.compute.class: does not match"),
        ("/spec/compute/maxWorkers", json!(1001), ".spec.compute.maxWorkers: is out of range"),
        ("/spec/compute/maxCostUsd", json!(0), ".spec.compute.maxCostUsd: is out of range"),
        ("/spec/compute/deadline", json!("1".repeat(11)), ".spec.compute.deadline: has too"),
        ("/spec/suspend", json!("true"), ".spec.suspend: is of another type"),
        ("/spec/data", json!([]), ".spec.data: is of another type"),
    ] {
        let mut manifest = full();
        let (parent, key) = path.rsplit_once('/').unwrap();
        manifest.pointer_mut(parent).unwrap()[key] = value;
        let errors = admit(&schema(), &manifest).unwrap_err();
        assert!(errors.len() == 1 && errors[0].starts_with(expected), "{path}: {:.200}", errors.join("; "));
    }
}

#[test]
fn budgets_are_read_as_the_schema_has_them() {
    let schema = Kind::BacktestBudget.schema();
    let budget = |spec: Value| json!({"apiVersion": "grid.blockbuilders.app/v1alpha1", "kind": "BacktestBudget", "metadata": {"name": "a"}, "spec": spec});
    let minimal = budget(json!({"monthlyUsd": 8000}));
    let stored = admit(&schema, &minimal).unwrap();
    assert_eq!(stored["spec"]["softPercent"], json!([50, 80, 95]));
    assert_eq!(BudgetSpec::of_value(&stored).unwrap(), BudgetSpec::of_value(&minimal).unwrap());
    for (field, value, ok) in [
        ("monthlyUsd", json!(1e7), true),
        ("monthlyUsd", json!(0.000_001), true),
        ("monthlyUsd", json!(0), false),
        ("monthlyUsd", json!(10_000_001), false),
        ("perUserUsd", json!(-1), false),
        ("perUserUsd", Value::Null, true),
        ("softPercent", json!([1, 100]), true),
        ("softPercent", json!([]), false),
        ("softPercent", json!([0]), false),
        ("softPercent", json!([101]), false),
        ("softPercent", json!([1, 2, 3, 4, 5, 6, 7, 8, 9]), false),
        ("hardAction", json!("Drain"), true),
        ("hardAction", json!("Stop"), false),
        ("wibble", json!(1), false),
    ] {
        let mut budget = minimal.clone();
        budget["spec"][field] = value.clone();
        assert_eq!(admit(&schema, &budget).is_ok(), ok, "{field}: {value}");
        assert_eq!(BudgetSpec::of_value(&budget).is_ok(), ok, "{field}: {value}");
    }
    let mut nonsense = minimal.clone();
    nonsense["spec"]["wwwwwwwwwwwwww"] = json!(1);
    let errors = BudgetSpec::of_value(&nonsense).unwrap_err();
    let known = fields(&fields(&schema)["spec"]).into_iter().map(|(key, _)| key).collect();
    assert_eq!(words(&errors[0].message, "known are "), known);
}

#[test]
fn definitions_are_small_and_say_their_digest() {
    for kind in Kind::ALL {
        let text = kind.yaml();
        // The whole definition has to fit into an annotation of 256 KiB, where `kubectl apply` keeps what it applied.
        assert!(text.len() < 100 << 10, "{} has {} bytes", kind.id(), text.len());
        let definition: Value = serde_saphyr::from_str(&text).unwrap();
        assert_eq!(definition, kind.definition());
        assert_eq!(definition["metadata"]["annotations"][DIGEST_ANNOTATION], digest(kind));
        assert!(digest(kind).len() == 64 && text.contains("\n  annotations:\n"));
    }
    assert_ne!(digest(Kind::BacktestJob), digest(Kind::BacktestBudget));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_the_decoder_takes_a_server_takes_too(
        index in any::<prop::sample::Index>(), with in prop::option::weighted(0.8, replacement())
    ) {
        let mut manifest = full();
        let all = pointers(&manifest);
        mutate(&mut manifest, &all[index.index(all.len())], with);
        if let Ok(job) = of_value(&manifest, |_| false) {
            let stored = admit(&schema(), &manifest);
            prop_assert!(stored.is_ok(), "{:?}: {}", stored, manifest);
            let stored = of_value(&stored.unwrap(), |_| false).unwrap();
            prop_assert_eq!(stored.spec(), job.spec());
        }
    }
}
