//! `blockgrid run`, end to end: the examples, what is written, and that the same job gives the same bytes.
#![allow(clippy::unwrap_used, reason = "helpers of tests panic where the test fails")]

mod support;

use std::collections::BTreeSet;
use std::path::Path;

use blockgrid_engine::metrics::METRICS;
use blockgrid_results::TrialTable;
use serde_json::{Value, json};
use support::{EXAMPLES, TABLES, example, folder, rows, run_in, small, tables, trials, with, write};

/// Runs an example, made small, into `out`.
fn run_example(name: &str, set: &[&str], out: &Path, more: &[&str]) -> support::Ran {
    let manifest = example(name);
    let mut args = vec!["run", manifest.to_str().unwrap(), "-o", out.to_str().unwrap()];
    for value in set {
        args.extend(["--set", value]);
    }
    args.extend(more);
    run_in(out.parent().unwrap(), args).ok()
}

/// Runs a manifest and gives its trials.
fn trials_of(manifest: &Value) -> TrialTable {
    let folder = folder();
    write(&folder.path().join("job.yaml"), manifest);
    run_in(folder.path(), ["run", "job.yaml", "-o", "out"]).ok();
    trials(&folder.path().join("out"))
}

fn json_of(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

#[test]
fn every_example_runs_and_leaves_its_tables_report_and_record() {
    let folder = folder();
    for (name, set) in EXAMPLES {
        let out = folder.path().join(name);
        let ran = run_example(name, set, &out, &[]);
        let mut files: Vec<_> =
            std::fs::read_dir(&out).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        files.sort();
        assert_eq!(files, ["equity.parquet", "job.json", "report.html", "trades.parquet", "trials.parquet"]);

        let (table, record) = (trials(&out), json_of(&out.join("job.json")));
        let swept = record["manifest"]["spec"]["sweep"]["parameters"].as_object().unwrap();
        let swept: Vec<&str> = swept.keys().map(String::as_str).collect();
        let columns: Vec<&str> = table.parameters.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(columns, swept, "{name}: one column a swept parameter, under its own name");
        assert_eq!(record["trials"], table.len(), "{name}");
        assert!(table.len() >= 8 && table.metrics.iter().any(|row| row[0].is_finite()), "{name}");
        let symbols: BTreeSet<_> = table.symbols().iter().map(ToString::to_string).collect();
        assert_eq!(record["data"]["symbols"].as_array().unwrap().len(), symbols.len(), "{name}");
        assert!(
            ran.stdout.contains("Best by ") && ran.stderr.contains(" bar evaluations, about "),
            "{ran:#?}"
        );
        assert!(ran.stderr.contains("synthetic candles"), "{name}: {}", ran.stderr);
    }
}

#[test]
fn every_parameter_set_of_an_example_is_tried_on_every_symbol() {
    let folder = folder();
    let out = folder.path().join("out");
    run_example("long-short-reversal", EXAMPLES[4].1, &out, &[]);
    let table = trials(&out);
    let mut expected = Vec::new();
    for symbol in ["SYN-A", "SYN-B"] {
        // `where: fast * 2 <= slow` leaves (12, 48) out of nothing, (48, 48) out.
        for (fast, slow) in [(12.0, 48.0), (12.0, 96.0), (12.0, 240.0), (48.0, 96.0), (48.0, 240.0)] {
            expected.push((symbol.to_owned(), fast, slow));
        }
    }
    let found: Vec<_> = (0..table.len())
        .map(|row| (table.symbol[row].to_string(), table.parameters[0].1[row], table.parameters[1].1[row]))
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn the_leaderboard_is_in_the_order_of_the_objective() {
    let folder = folder();
    let out = folder.path().join("out");
    let ran = run_example(
        "rsi-mean-reversion",
        EXAMPLES[1].1,
        &out,
        &["--output", "json", "--set", "output.top=1000"],
    );
    let summary = ran.json();
    let board = summary["leaderboard"].as_array().unwrap();
    assert_eq!(board.len(), trials(&out).len());
    // minTrades: 30 ranks the others first; sharpe falls within each class; undefined comes last.
    let key = |row: &Value| {
        let (sharpe, trades) =
            (row["metrics"]["sharpe"].as_f64(), row["metrics"]["trades"].as_f64().unwrap());
        let class = if sharpe.is_none() { 2 } else { u8::from(trades < 30.0) };
        (class, -sharpe.unwrap_or(0.0))
    };
    assert!(board.windows(2).all(|pair| key(&pair[0]) <= key(&pair[1])), "{board:#?}");
    let ranks: Vec<u64> = board.iter().map(|row| row["rank"].as_u64().unwrap()).collect();
    assert_eq!(ranks, (1..=board.len() as u64).collect::<Vec<_>>());
    assert_eq!(summary["trials"], board.len());
    assert!(ran.stdout.lines().count() == 1, "standard output is the JSON and nothing else");
    for metric in METRICS {
        assert!(board[0]["metrics"].get(metric.id).is_some(), "{}", metric.id);
    }
}

#[test]
fn the_record_holds_the_resolved_manifest_digests_version_and_seed_and_timings_apart() {
    let folder = folder();
    write(&folder.path().join("job.yaml"), &small());
    let ran = run_in(folder.path(), ["run", "job.yaml", "-o", "out", "--threads", "2"]).ok();
    let record = json_of(&folder.path().join("out/job.json"));
    assert_eq!(record["job"], "small");
    assert_eq!(record["engineVersion"], env!("CARGO_PKG_VERSION"));
    assert!(record.as_object().unwrap().contains_key("seed"));
    // Resolved: defaults are there that the manifest does not name.
    let spec = &record["manifest"]["spec"];
    assert_eq!(spec["execution"]["fees"]["takerBps"], 10.0, "{spec:#}");
    assert_eq!(spec["execution"]["fill"], "nextOpen");
    assert_eq!(spec["output"]["top"], 20);
    let symbol = &record["data"]["symbols"][0];
    let digest = symbol["digest"].as_str().unwrap();
    assert!(digest.starts_with("sha256:") && digest.len() == 7 + 64, "{digest}");
    assert_eq!((&symbol["symbol"], &symbol["bars"]), (&json!("SYN-A"), &json!(744)));
    assert_eq!(record["data"]["synthetic"], true);
    let timings = &record["timings"];
    assert!(timings["seconds"]["total"].as_f64().unwrap() > 0.0 && timings["threads"] == 2, "{timings}");
    // Quoted, taken, and how far off.
    let seconds = |name: &str| timings[name].as_f64().unwrap();
    let off = (seconds("computeSeconds") / seconds("quotedSeconds") - 1.0) * 100.0;
    assert!((seconds("quoteOffPercent") - off).abs() < 1e-6 * off.abs().max(1.0), "{timings}");
    let said = ran.stdout.lines().find(|line| line.starts_with("quoted ")).unwrap();
    // On a machine with much else to do it takes many times as long; a quote of less than half a millisecond is no measure.
    let compares = [" % ", "as quoted", " times as long"].iter().any(|how| said.contains(how));
    assert!(said.contains(", took ") && (compares || said.starts_with("quoted 0 ms")), "{said}");

    // The record without its timings does not depend on when, where or how fast.
    run_in(folder.path(), ["run", "job.yaml", "-o", "again", "--threads", "1"]).ok();
    let without_timings = |mut record: Value| {
        record.as_object_mut().unwrap().remove("timings");
        record
    };
    let again = json_of(&folder.path().join("again/job.json"));
    assert_eq!(without_timings(record), without_timings(again));
}

#[test]
fn the_resolved_manifest_of_the_record_is_a_manifest_of_the_same_job() {
    let folder = folder();
    for (name, set) in EXAMPLES {
        let out = folder.path().join(name);
        run_example(name, set, &out, &[]);
        let resolved = json_of(&out.join("job.json"))["manifest"].clone();
        write(&folder.path().join("resolved.yaml"), &resolved);
        let again = folder.path().join(format!("{name}-again"));
        run_in(folder.path(), ["run", "resolved.yaml", "-o", again.to_str().unwrap()]).ok();
        assert!(tables(&out) == tables(&again), "{name}");
        assert_eq!(resolved, json_of(&again.join("job.json"))["manifest"], "{name}");
    }
}

#[test]
fn the_report_names_the_job_says_synthetic_and_loads_nothing() {
    let folder = folder();
    write(&folder.path().join("job.yaml"), &small());
    run_in(folder.path(), ["run", "job.yaml", "-o", "out"]).ok();
    let report = std::fs::read_to_string(folder.path().join("out/report.html")).unwrap();
    let head = &report[..report.find("<script").unwrap_or(report.len())];
    assert!(head.contains("small"), "{head}");
    assert!(report.contains("synthetic"));
    // Scripts stand in the page, where the texts of plotly.js name addresses that are never asked for.
    let markup: String = report
        .split("<script")
        .enumerate()
        .map(|(i, part)| if i == 0 { part } else { part.split_once("</script>").unwrap().1 })
        .collect();
    assert!(markup.len() > 1000 && !report.contains("<script src"));
    for load in ["src=\"http", "src='http", "href=\"http", "href='http", "@import", "src=\"//", "url("] {
        assert!(!markup.contains(load), "{load}");
    }
}

#[test]
fn the_report_says_what_was_replaced_in_the_manifest() {
    let folder = folder();
    write(&folder.path().join("job.yaml"), &small());
    let set = "sweep.parameters.fast=[3, 7]";
    run_in(folder.path(), ["run", "job.yaml", "-o", "out", "--set", set]).ok();
    let report = std::fs::read_to_string(folder.path().join("out/report.html")).unwrap();
    assert!(
        report.contains(&format!("--set {set}")),
        "a reader would take the file's values for the ones that ran"
    );
}

#[test]
fn threads_and_folder_change_no_byte() {
    let folder = folder();
    for (name, set) in [EXAMPLES[0], EXAMPLES[3]] {
        let first = folder.path().join(format!("{name}-1"));
        run_example(name, set, &first, &["--threads", "1"]);
        for threads in ["2", "3", "7"] {
            let other = folder.path().join(format!("{name}-{threads}"));
            run_example(name, set, &other, &["--threads", threads]);
            assert!(tables(&first) == tables(&other), "{name} on {threads} threads");
            let report = |out: &Path| std::fs::read(out.join("report.html")).unwrap();
            assert!(report(&first) == report(&other), "{name}: report on {threads} threads");
        }
        // Into the same folder once more: what is there is replaced by the same.
        let before = tables(&first);
        run_example(name, set, &first, &[]);
        assert!(tables(&first) == before, "{name} again");
    }
}

#[test]
fn permuting_the_grid_permutes_the_rows() {
    let sweep = |fast: Value, slow: Value| {
        let manifest = with(small(), "/spec/sweep/parameters", json!({"fast": fast, "slow": slow}));
        with(manifest, "/spec/data/symbols", json!(["SYN-A", "SYN-C"]))
    };
    let table = trials_of(&sweep(json!([3, 5, 8, 13]), json!([20, 30, 40])));
    let fast = |table: &TrialTable| table.parameters[0].1.clone();
    assert_eq!((table.len(), rows(&table).len()), (24, 24));
    for (f, s) in [([13, 8, 5, 3], [40, 30, 20]), ([5, 13, 3, 8], [30, 20, 40])] {
        let permuted = trials_of(&sweep(json!(f), json!(s)));
        assert_ne!(fast(&table), fast(&permuted));
        assert_eq!(rows(&table), rows(&permuted));
    }
    // A subset has the same rows: what a trial comes to does not depend on its neighbours.
    let all = rows(&table);
    let some = rows(&trials_of(&sweep(json!([8]), json!([20, 40]))));
    assert!(some.len() == 4 && some.iter().all(|(key, row)| all[key] == *row));
}

#[test]
fn a_run_without_a_sweep_is_one_trial_a_symbol() {
    let folder = folder();
    write(&folder.path().join("job.yaml"), &with(small(), "/spec/sweep", Value::Null));
    let ran = run_in(folder.path(), ["run", "job.yaml", "-o", "out"]).ok();
    let table = trials(&folder.path().join("out"));
    assert_eq!((table.len(), table.parameters.len()), (1, 0));
    assert!(ran.stderr.contains("1 trial "), "{}", ran.stderr);
}

#[test]
fn the_default_folder_bears_the_name_of_the_job() {
    let folder = folder();
    write(&folder.path().join("job.yaml"), &small());
    run_in(folder.path(), ["run", "job.yaml"]).ok();
    assert!(folder.path().join("blockgrid-out/small/trials.parquet").is_file());
}

#[test]
fn set_replaces_a_field_as_writing_it_into_the_manifest_does() {
    let folder = folder();
    write(&folder.path().join("job.yaml"), &small());
    let set = ["--set", "sweep.parameters.fast=4..8/2", "--set", "execution.initialCash=500"];
    run_in(folder.path(), ["run", "job.yaml", "-o", "set"].iter().chain(&set)).ok();
    let written = with(small(), "/spec/sweep/parameters/fast", json!([4, 6, 8]));
    write(&folder.path().join("written.yaml"), &with(written, "/spec/execution/initialCash", json!(500)));
    run_in(folder.path(), ["run", "written.yaml", "-o", "written"]).ok();
    assert!(tables(&folder.path().join("set")) == tables(&folder.path().join("written")));
    assert_eq!(trials(&folder.path().join("set")).len(), 6);
}

#[test]
fn yaml_json_and_another_working_folder_give_the_same_tables() {
    let folder = folder();
    // The manifest of `small`, as YAML is written by hand, with the fields in another order.
    let yaml = "\
spec:
  sweep:
    objective: total_return
    parameters: {slow: [20, 40], fast: [5, 10]}
  strategy:
    risk: {stopLoss: stop}
    long: {exit: 'crosses_below(fastMa, slowMa)', enter: 'crosses_above(fastMa, slowMa)'}
    define: {slowMa: 'sma(close, slow)', fastMa: 'sma(close, fast)'}
    parameters: {stop: 0.03, slow: 20, fast: 5}
  data: {from: 2024-01-01, to: 2024-02-01T00:00:00Z, interval: 1h, symbols: [SYN-A], dataset: sample}
metadata: {name: small}
kind: BacktestJob
apiVersion: grid.blockbuilders.app/v1alpha1
";
    std::fs::write(folder.path().join("job.yaml"), yaml).unwrap();
    write(&folder.path().join("job.json"), &small());
    run_in(folder.path(), ["run", "job.yaml", "-o", "yaml"]).ok();
    run_in(folder.path(), ["run", "job.json", "-o", "json"]).ok();
    let elsewhere = support::folder();
    let manifest = folder.path().join("job.yaml");
    run_in(elsewhere.path(), ["run", manifest.to_str().unwrap(), "-o", "elsewhere"]).ok();
    let yaml = tables(&folder.path().join("yaml"));
    assert!(yaml == tables(&folder.path().join("json")));
    assert!(yaml == tables(&elsewhere.path().join("elsewhere")));
}

#[test]
fn a_file_of_candles_is_found_beside_the_manifest() {
    let folder = folder();
    std::fs::write(folder.path().join("mine.csv"), support::csv(500)).unwrap();
    write(&folder.path().join("job.yaml"), &with(small(), "/spec/data", json!({"file": "mine.csv"})));
    let elsewhere = support::folder();
    let manifest = folder.path().join("job.yaml");
    let ran = run_in(elsewhere.path(), ["run", manifest.to_str().unwrap(), "-o", "out"]).ok();
    let table = trials(&elsewhere.path().join("out"));
    assert_eq!((table.len(), &*table.symbol[0]), (4, "MINE"));
    let report = std::fs::read_to_string(elsewhere.path().join("out/report.html")).unwrap();
    assert!(
        !report.contains("synthetic data") && !ran.stderr.contains("synthetic"),
        "only the sample is synthetic"
    );
}

#[test]
fn top_zero_keeps_no_trades_and_no_curves() {
    let folder = folder();
    write(&folder.path().join("job.yaml"), &with(small(), "/spec/output/top", json!(0)));
    run_in(folder.path(), ["run", "job.yaml", "-o", "out"]).ok();
    for table in TABLES {
        assert!(folder.path().join("out").join(table).is_file(), "{table}");
    }
    assert_eq!(trials(&folder.path().join("out")).len(), 4);
}

#[test]
fn the_starter_manifest_runs() {
    let folder = folder();
    run_in(folder.path(), ["init"]).ok();
    run_in(folder.path(), ["validate", "job.yaml"]).ok();
    let ran = run_in(folder.path(), ["run", "job.yaml"]).ok();
    assert!(ran.stdout.contains("report: blockgrid-out/my-first-job/report.html"), "{}", ran.stdout);
}

#[test]
fn what_only_a_cluster_uses_is_said_and_changes_no_byte() {
    let folder = folder();
    let asked = with(with(small(), "/spec/compute", json!({"maxWorkers": 64})), "/spec/ttl", json!("7d"));
    write(&folder.path().join("plain.yaml"), &small());
    write(&folder.path().join("job.yaml"), &asked);
    let plain = run_in(folder.path(), ["run", "plain.yaml", "-o", "plain"]).ok();
    let ran = run_in(folder.path(), ["run", "job.yaml", "-o", "out"]).ok();
    assert!(!plain.stderr.contains("only a cluster"), "{}", plain.stderr);
    assert!(ran.stderr.contains("only a cluster uses spec.compute, spec.ttl"), "{}", ran.stderr);
    for table in TABLES {
        let bytes = |out: &str| std::fs::read(folder.path().join(out).join(table)).unwrap();
        assert!(bytes("plain") == bytes("out"), "{table}");
    }
}
