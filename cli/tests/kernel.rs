//! The kernel, the metrics and the memory of a run are options that change no trade.
#![allow(clippy::unwrap_used, reason = "helpers of tests panic where the test fails")]

mod support;

use blockgrid_results::read_trials;
use serde_json::{Value, json};
use support::{folder, run_in, small, tables, with, write};

fn job_json(out: &std::path::Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(out.join("job.json")).unwrap()).unwrap()
}

#[test]
fn the_definition_and_the_events_write_the_same_trades_and_equity() {
    let folder = folder();
    let swept = json!({"from": 3, "to": 30, "step": 3});
    write(&folder.path().join("job.yaml"), &with(small(), "/spec/sweep/parameters/fast", swept));
    for (out, options) in [
        ("events", vec![]),
        ("bars", vec!["--kernel", "bar-loop"]),
        ("little", vec!["--memory", "100K", "--threads", "3"]),
    ] {
        run_in(folder.path(), ["run", "job.yaml", "-o", out].into_iter().chain(options)).ok();
    }
    let [events, bars, little] = ["events", "bars", "little"].map(|out| folder.path().join(out));
    assert_eq!(job_json(&events)["kernel"], "events");
    assert_eq!(job_json(&bars)["kernel"], "bar-loop");
    assert!(job_json(&events)["timings"]["computeSeconds"].as_f64().unwrap() > 0.0);
    let (of_events, of_bars) = (tables(&events), tables(&bars));
    for table in ["trades.parquet", "equity.parquet"] {
        assert!(of_events[table] == of_bars[table], "{table} differs");
    }
    assert!(of_events == tables(&little), "less memory changes a byte");
    let [ours, definition] = [&events, &bars].map(|out| read_trials(&out.join("trials.parquet")).unwrap());
    for (ours, definition) in ours.metrics.iter().flatten().zip(definition.metrics.iter().flatten()) {
        let near = (ours - definition).abs() <= 1e-9 * definition.abs().max(1.0);
        assert!(near || (ours.is_nan() && definition.is_nan()), "{ours} is not {definition}");
    }
}

#[test]
fn metrics_that_are_not_asked_for_are_null() {
    let folder = folder();
    let few = with(small(), "/spec/output/metrics", json!(["total_return", "sharpe"]));
    write(&folder.path().join("few.yaml"), &few);
    write(&folder.path().join("all.yaml"), &small());
    run_in(folder.path(), ["run", "few.yaml", "-o", "few"]).ok();
    run_in(folder.path(), ["run", "all.yaml", "-o", "all"]).ok();
    let [few, all] =
        ["few", "all"].map(|out| read_trials(&folder.path().join(out).join("trials.parquet")).unwrap());
    for row in 0..all.len() {
        for id in ["total_return", "sharpe"] {
            assert!(few.metric(row, id).is_some());
            assert_eq!(few.metric(row, id), all.metric(row, id));
        }
        assert!(few.metric(row, "calmar").is_none() && all.metric(row, "calmar").is_some());
    }
    assert_eq!(job_json(&folder.path().join("few"))["manifest"]["spec"]["output"]["metrics"][1], "sharpe");
}

#[test]
fn bad_choices_are_told_before_anything_is_read() {
    let folder = folder();
    let metrics = |value: Value| with(small(), "/spec/output/metrics", value);
    for (manifest, part) in [
        (metrics(json!([])), "spec.output.metrics: is an empty list"),
        (metrics(json!(["total_return", "sharp"])), "`sharp` is no metric: did you mean `sharpe`?"),
        (metrics(json!(["total_return", "total_return"])), "`total_return` is named twice: keep one"),
        (metrics(json!(["sharpe"])), "lacks `total_return`, which the leaderboard is sorted by"),
        (metrics(json!("sharpe")), "spec.output.metrics"),
    ] {
        write(&folder.path().join("job.yaml"), &manifest);
        let ran = run_in(folder.path(), ["run", "job.yaml"]);
        assert!(ran.stderr.contains(part), "`{part}` is not in:\n{}", ran.stderr);
        ran.fails(2, &[]);
    }
    let objective = with(
        metrics(json!(["sharpe"])),
        "/spec/sweep/objective",
        json!({"metric": "sharpe", "minTrades": 3}),
    );
    write(&folder.path().join("job.yaml"), &objective);
    run_in(folder.path(), ["run", "job.yaml"])
        .fails(2, &["lacks `trades`, which `sweep.objective.minTrades`"]);
    write(&folder.path().join("job.yaml"), &small());
    for memory in ["0", "much", "12X", "-1", "99999999999999999999T"] {
        let option = format!("--memory={memory}");
        run_in(folder.path(), ["run", "job.yaml", &option]).fails(2, &["--memory", "512M"]);
    }
}
