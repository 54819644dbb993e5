//! Candles with violations: what `data check` says of them, what `run` refuses, and what it says it ran on.
#![allow(clippy::unwrap_used, reason = "helpers of tests panic where the test fails")]

mod support;

use std::path::Path;

use blockgrid_datasets::write_columns;
use serde_json::{Value, json};
use support::{Ran, csv_lines, folder, run_in, small, with, write};

const HEADER: &str = "timestamp,open,high,low,close,volume";

/// Four hundred hours as CSV lines, without those from a number to another.
fn hours(without: &[(usize, usize)]) -> Vec<String> {
    let lines = csv_lines(400).into_iter().enumerate();
    lines
        .filter(|(i, _)| !without.iter().any(|(from, to)| (*from..*to).contains(i)))
        .map(|(_, line)| line)
        .collect()
}

fn save(folder: &Path, lines: &[String]) {
    std::fs::write(folder.join("x.csv"), format!("{HEADER}\n{}\n", lines.join("\n"))).unwrap();
}

/// Runs the small job on `x.csv` with more fields under `data`.
fn run(folder: &Path, data: Value) -> Ran {
    let mut all = json!({"file": "x.csv"});
    all.as_object_mut().unwrap().extend(data.as_object().unwrap().clone());
    write(&folder.join("job.yaml"), &with(small(), "/spec/data", all));
    run_in(folder, ["run", "job.yaml", "-o", "out"])
}

fn record(folder: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(folder.join("out/job.json")).unwrap()).unwrap()
}

/// Whether the footer of a Parquet file names a column.
fn has_column(path: &Path, name: &str) -> bool {
    let bytes = std::fs::read(path).unwrap();
    bytes.windows(name.len()).any(|part| part == name.as_bytes())
}

#[test]
fn the_sample_is_clean_and_a_day_that_is_missing_is_a_violation() {
    let folder = folder();
    let clean = run_in(folder.path(), ["data", "check", "sample"]).ok();
    assert!(clean.stdout.contains("SYN-A") && clean.stdout.contains("no violation"), "{}", clean.stdout);
    save(folder.path(), &hours(&[(100, 124), (200, 202)]));
    let found =
        run_in(folder.path(), ["data", "check", "x.csv"]).fails(1, &["2 violations in 1 of 1 series"]);
    for part in [
        "violation: X 1h gap: 2, 26 candles, 1 of them beyond the limit (limit: gaps of more than 12 candles)",
        "2024-01-05T04:00:00Z: 24 candles missing",
        "26 of 400 candles missing (6.50%)",
    ] {
        assert!(found.stdout.contains(part), "`{part}` is not in:\n{}", found.stdout);
    }
    // Who knows better says so; and what is cut off is not there.
    run_in(folder.path(), ["data", "check", "x.csv", "--max-gap", "24", "--max-missing", "0.1"]).ok();
    run_in(folder.path(), ["data", "check", "x.csv", "--from", "2024-01-06"]).ok();
    run_in(folder.path(), ["data", "check", "x.csv", "--from", "2024-01-06", "--now", "2024-03-01"])
        .fails(1, &["1 violations"]);
}

#[test]
fn a_check_for_machines_has_every_finding() {
    let folder = folder();
    let mut lines = hours(&[]);
    lines[50] = lines[50].replacen(",1", ",-1", 1);
    lines.insert(80, lines[79].clone());
    save(folder.path(), &lines);
    let ran = run_in(folder.path(), ["data", "check", "x.csv", "--output", "json"]).fails(1, &[]);
    let found = ran.json();
    assert_eq!((&found["clean"], &found["violations"]), (&json!(false), &json!(2)));
    let series = &found["series"][0];
    assert_eq!(
        (&series["symbol"], &series["interval"], &series["rows"]),
        (&json!("X"), &json!("1h"), &json!(401))
    );
    let finding = &series["findings"][0];
    assert_eq!(finding["kind"], "price_not_positive");
    assert_eq!((&finding["severity"], &finding["count"]), (&json!("violation"), &json!(1)));
    assert_eq!(
        (&finding["first"], &finding["worst"][0]["at"]),
        (&json!("2024-01-03T02:00:00Z"), &finding["first"])
    );
    assert_eq!(series["findings"][1]["kind"], "duplicate");
    assert_eq!(series["findings"][1]["worst"][0]["what"], "the same candle again");
}

#[test]
fn what_cannot_be_checked_is_bad_input() {
    let folder = folder();
    let check = |args: &[&str]| run_in(folder.path(), ["data", "check"].iter().chain(args));
    check(&["nowhere"]).fails(2, &["`nowhere` is neither a registered data set"]);
    check(&["sample", "--symbol", "BTC"]).fails(2, &["symbol `BTC` is not in"]);
    check(&["sample", "--interval", "1m"]).fails(2, &["no symbol of `sample` has 1m candles"]);
    check(&["sample", "--from", "yesterday"]).fails(2, &["write an instant such as"]);
    check(&["sample", "--max-missing", "nan"]).fails(2, &["write a number not below 0"]);
    let json = check(&["sample", "--symbol", "BTC", "--output", "json"]).fails(2, &[]).json();
    assert!(json["errors"][0]["message"].as_str().unwrap().contains("`BTC`"));
    // A coarser interval is made of the stored one, so that one is checked.
    let made = check(&["sample", "--interval", "4h", "--symbol", "SYN-B"]).ok();
    assert!(made.stdout.contains("SYN-B   1h"), "{}", made.stdout);
}

#[test]
fn strict_refuses_violations_and_says_what_to_do() {
    let folder = folder();
    save(folder.path(), &hours(&[(100, 124)]));
    let ran = run(folder.path(), json!({})).fails(
        2,
        &[
            "error: the candles have violations: 1 problem\n  spec.data: X 1h has ",
            "1 x gap (24 candles), worst 2024-01-05T04:00:00Z: 24 candles missing (limit: gaps of more than 12 candles)",
            "`blockgrid data check x.csv`",
            "repair the data",
            "`quality: warn`",
        ],
    );
    assert_eq!(ran.stdout, "");
    assert!(!folder.path().join("out").exists());
    run_in(folder.path(), ["validate", "job.yaml"]).fails(2, &["1 x gap"]);
    // What the run does not read does not matter.
    run(folder.path(), json!({"from": "2024-01-12"})).ok();
}

#[test]
fn warn_runs_and_every_output_says_on_what() {
    let folder = folder();
    save(folder.path(), &hours(&[(100, 124)]));
    let ran = run(folder.path(), json!({"quality": "warn"})).ok();
    let told = "X: 1 x gap (24 candles), worst 2024-01-05T04:00:00Z: 24 candles missing";
    assert!(ran.stderr.contains(&format!("warning: {told}")), "{}", ran.stderr);
    assert!(ran.stdout.contains(&format!("note: {told}")), "{}", ran.stdout);
    let data = &record(folder.path())["data"];
    assert_eq!(data["quality"], "warn");
    let symbol = &data["symbols"][0];
    assert_eq!((&symbol["gaps"], &symbol["filled"], &symbol["badRows"]), (&json!(24), &json!(0), &json!(0)));
    assert_eq!(symbol["findings"][0]["kind"], "gap");
    let report = std::fs::read_to_string(folder.path().join("out/report.html")).unwrap();
    assert!(report.contains(&format!("<li>{told}")), "the warnings of the report");
    assert!(report.contains("<th scope=\"row\">X</th><td class=\"n\">376</td><td class=\"n\">24</td>"));
}

#[test]
fn bad_rows_are_refused_with_their_line_or_left_out_and_counted() {
    let folder = folder();
    let mut lines = hours(&[]);
    let bad = |line: &str, close: &str| {
        let mut fields: Vec<&str> = line.split(',').collect();
        fields[4] = close;
        fields.join(",")
    };
    lines[200] = bad(&lines[200], "NaN");
    lines[210] = bad(&lines[210], "0");
    lines.insert(300, lines[299].clone());
    save(folder.path(), &lines);
    run(folder.path(), json!({})).fails(
        2,
        &[
            "`x.csv` has 3 bad rows",
            "line 202: candle of 2024-01-09T08:00:00Z: `close` is missing or NaN",
            "`blockgrid data check x.csv`",
            "`quality: warn`",
        ],
    );
    let ran = run(folder.path(), json!({"quality": "warn"})).ok();
    for told in ["X: 1 x not_a_number, first 2024-01-09T08:00:00Z", "1 x price_not_positive", "1 x duplicate"]
    {
        assert!(ran.stderr.contains(told), "{}", ran.stderr);
    }
    let with_bad_rows = &record(folder.path())["data"]["symbols"][0];
    assert_eq!((&with_bad_rows["badRows"], &with_bad_rows["bars"]), (&json!(3), &json!(398)));
    // They are what was never there.
    lines.remove(300);
    lines.remove(210);
    lines.remove(200);
    save(folder.path(), &lines);
    run(folder.path(), json!({})).ok();
    assert_eq!(record(folder.path())["data"]["symbols"][0]["digest"], with_bad_rows["digest"]);
}

#[test]
fn gaps_are_filled_only_as_asked_and_filled_candles_are_marked() {
    let folder = folder();
    save(folder.path(), &hours(&[(100, 103), (200, 207)]));
    run(folder.path(), json!({})).ok();
    let equity = folder.path().join("out/equity.parquet");
    let plain = record(folder.path())["data"]["symbols"][0].clone();
    assert_eq!((&plain["bars"], &plain["gaps"], &plain["filled"]), (&json!(390), &json!(10), &json!(0)));
    assert!(!has_column(&equity, "filled"));

    let ran = run(folder.path(), json!({"fill": {"gaps": "forward", "maxBars": 5}})).ok();
    assert!(ran.stdout.contains("note: X: 3 candles of the run were filled forward"), "{}", ran.stdout);
    let filled = record(folder.path())["data"]["symbols"][0].clone();
    assert_eq!((&filled["bars"], &filled["gaps"], &filled["filled"]), (&json!(393), &json!(7), &json!(3)));
    assert_eq!(filled["digest"], plain["digest"], "the digest is of what was read");
    let report = std::fs::read_to_string(folder.path().join("out/report.html")).unwrap();
    assert!(report.contains("<td class=\"n\">390</td><td class=\"n\">7</td><td class=\"n\">3</td>"));

    assert!(has_column(&equity, "filled"));
}

#[test]
fn columns_beside_the_candles_are_read_and_named() {
    let folder = folder();
    let lines = csv_lines(400);
    let cell = |column: usize| -> Vec<f64> {
        lines.iter().map(|line| line.split(',').nth(column).unwrap().parse().unwrap()).collect()
    };
    let opens: Vec<i64> = lines.iter().map(|line| line.split(',').next().unwrap().parse().unwrap()).collect();
    let funding: Vec<f64> = (0..400).map(|i| if i % 40 < 20 { -1.0 } else { 1.0 }).collect();
    let ohlcv = [cell(1), cell(2), cell(3), cell(4), cell(5)];
    let names = ["open", "high", "low", "close", "volume"];
    let mut columns: Vec<(&str, &[f64])> = names.into_iter().zip(ohlcv.iter().map(Vec::as_slice)).collect();
    columns.push(("funding_rate", &funding));
    write_columns(&folder.path().join("x.parquet"), &opens, &columns).unwrap();
    let mut manifest = with(small(), "/spec/data", json!({"file": "x.parquet", "columns": ["funding_rate"]}));
    manifest["spec"]["sweep"] = json!({"objective": "total_return"});
    manifest["spec"]["strategy"] = json!({"long": {"enter": "funding_rate < 0", "exit": "funding_rate > 0"}});
    write(&folder.path().join("job.yaml"), &manifest);
    run_in(folder.path(), ["run", "job.yaml", "-o", "out"]).ok();
    let trials = support::trials(&folder.path().join("out"));
    assert_eq!(trials.metric(0, "trades"), Some(10.0), "one in each of ten stretches");
    manifest["spec"]["data"]["columns"] = json!(["open_interest"]);
    manifest["spec"]["strategy"] = json!({"long": {"enter": "open_interest < 0"}});
    write(&folder.path().join("job.yaml"), &manifest);
    run_in(folder.path(), ["run", "job.yaml"])
        .fails(2, &["`x.parquet`", "no column `open_interest` of numbers", "`funding_rate`"]);
}
