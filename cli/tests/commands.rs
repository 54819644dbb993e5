//! The commands beside `run`: validate, explain, eval, indicators, query, completions, init.
#![allow(clippy::unwrap_used, reason = "helpers of tests panic where the test fails")]

mod support;

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use blockgrid_engine::indicators::all;
use serde_json::json;
use support::{EXAMPLES, Ran, blockgrid, csv, csv_lines, example, folder, run_in, small, with, write};

/// A folder with 200 candles in `x.csv`.
fn candles() -> tempfile::TempDir {
    let folder = folder();
    std::fs::write(folder.path().join("x.csv"), csv(200)).unwrap();
    folder
}

fn eval(folder: &Path, args: &[&str]) -> Ran {
    run_in(folder, ["eval", "--data", "x.csv"].iter().chain(args))
}

/// Closes of [`csv`].
fn closes() -> Vec<f64> {
    csv_lines(200).iter().map(|line| line.split(',').nth(4).unwrap().parse().unwrap()).collect()
}

#[test]
fn validate_says_that_examples_are_valid_and_what_they_take() {
    for (name, _) in EXAMPLES {
        let folder = folder();
        let ran = run_in(folder.path(), [Path::new("validate"), &example(name)]).ok();
        assert!(
            ran.stdout.contains("is valid: ") && ran.stdout.contains(" bar evaluations, about "),
            "{}",
            ran.stdout
        );
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "validate writes nothing");
    }
}

#[test]
fn validate_for_machines_gives_the_quote_and_the_resolved_manifest() {
    let folder = folder();
    write(&folder.path().join("job.yaml"), &small());
    let valid = run_in(
        folder.path(),
        ["validate", "job.yaml", "--output", "json", "--set", "sweep.parameters.fast=3..9/3"],
    )
    .ok()
    .json();
    assert_eq!(
        (&valid["valid"], &valid["trials"], &valid["barEvaluations"]),
        (&json!(true), &json!(6), &json!(6 * 744))
    );
    assert!(valid["estimatedSeconds"].as_f64().unwrap() > 0.0);
    assert_eq!(valid["manifest"]["spec"]["sweep"]["parameters"]["fast"], json!([3.0, 6.0, 9.0]));
    write(&folder.path().join("again.yaml"), &valid["manifest"]);
    let again = run_in(folder.path(), ["validate", "again.yaml", "--output", "json"]).ok().json();
    assert_eq!(valid, again);
}

#[test]
fn a_quote_tells_time_and_money_before_anything_runs() {
    let folder = folder();
    write(&folder.path().join("job.yaml"), &small());
    let ran = run_in(folder.path(), ["quote", "job.yaml"]).ok();
    for part in
        ["small: ", " bar evaluations, 1 shard\n", "vCPU-hours", "low", "mid", "high", "$0.0000", "workers"]
    {
        assert!(ran.stdout.contains(part), "`{part}` is not in:\n{}", ran.stdout);
    }
    for workers in ["4", "16", "64", "256"] {
        let told = ran.stdout.lines().any(|line| line.split_whitespace().next() == Some(workers));
        assert!(told, "{workers} workers are not in:\n{}", ran.stdout);
    }
    let files = std::fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(files, 1, "quote writes nothing");
}

#[test]
fn a_quote_for_machines_has_the_same_numbers_and_adds_up() {
    let folder = folder();
    write(&folder.path().join("job.yaml"), &small());
    let args = ["quote", "job.yaml", "--output", "json", "--set", "sweep.parameters.fast=3..9/3"];
    let quote = run_in(folder.path(), args).ok().json();
    assert_eq!(
        (&quote["trials"], &quote["barEvaluations"], &quote["shards"]),
        (&json!(6), &json!(6 * 744), &json!(1))
    );
    // Six trials of 30 us and 744 bars of 4 ns, the finish step of 4 us a trial and 250 ns a bar of the best, which here are
    // all, and columns of numbers beside.
    let seconds = quote["vcpuSeconds"]["mid"].as_f64().unwrap();
    let trials = 6.0 * (34e-6 + 744.0 * 254e-9);
    assert!(seconds > trials && seconds < trials + 1e-3, "{seconds}");
    let money = |end: &str| quote["microUsd"][end].as_u64().unwrap();
    assert_eq!(quote["price"], json!({"name": "standard", "microUsdAVcpuHour": 36_000}));
    assert_eq!(money("mid"), (seconds / 3600.0 * 36_000.0).ceil() as u64);
    assert!(money("low") <= money("mid") && money("mid") <= money("high"));
    let workers: Vec<u64> =
        quote["finish"].as_array().unwrap().iter().map(|at| at["workers"].as_u64().unwrap()).collect();
    assert_eq!(workers, [4, 16, 64, 256]);
    // What it takes here is what `validate` says.
    let valid =
        run_in(folder.path(), ["validate", "job.yaml", "--output", "json", "--set", args[5]]).ok().json();
    assert_eq!(quote["thisMachine"]["seconds"], valid["estimatedSeconds"]);
    // More work costs more and takes longer, on any number of workers.
    let args = ["quote", "job.yaml", "--output", "json", "--set", "sweep.parameters.slow=20..2000/1"];
    let more = run_in(folder.path(), args).ok().json();
    assert!(more["vcpuSeconds"]["low"].as_f64() > quote["vcpuSeconds"]["high"].as_f64(), "{more}");
    assert!(more["finish"][3]["seconds"].as_f64() > quote["finish"][3]["seconds"].as_f64(), "{more}");
}

#[test]
fn a_quote_of_a_bad_manifest_names_the_field() {
    let folder = folder();
    write(&folder.path().join("job.yaml"), &small());
    run_in(folder.path(), ["quote", "job.yaml", "--set", "sweep.objective=sharp"])
        .fails(2, &["spec.sweep.objective: `sharp` is no metric: did you mean `sharpe`?"]);
    let ran = run_in(folder.path(), ["quote", "job.yaml", "--output", "json", "--set", "data.file=none.csv"]);
    assert_eq!(ran.code, Some(2), "{ran:#?}");
    assert!(ran.json()["errors"].is_array());
}

#[test]
fn explain_shows_the_resolved_graph_the_warm_up_and_what_is_shared() {
    let folder = folder();
    let manifest = example("sma-crossover");
    let ran = run_in(folder.path(), [Path::new("explain"), &manifest]).ok();
    for part in [
        "\"kind\": \"BacktestJob\"",
        "Trials: ",
        "fast: 5, 10, 15",
        "Shared graph: ",
        "without sharing they would be ",
        "Pre-roll: ",
        "Kernel: events",
        "skips to the next close",
        "sma(close, 5)",
        "@1d",
        "pre-roll ",
        "SYN-A: ",
        "first_bar 2024-01-01",
    ] {
        assert!(ran.stdout.contains(part), "`{part}` is not in:\n{}", ran.stdout);
    }
    // Without history before it, the first trial has to wait for its slowest average.
    write(&folder.path().join("job.yaml"), &with(small(), "/spec/data/from", json!("2022-01-01")));
    let ran = run_in(folder.path(), ["explain", "job.yaml"]).ok();
    assert!(ran.stdout.contains("SYN-A: 0 bars of history; first_bar 2022-01-01 "), "{}", ran.stdout);
    run_in(folder.path(), ["explain", "job.yaml", "--set", "sweep.objective=sharp"])
        .fails(2, &["spec.sweep.objective: `sharp` is no metric: did you mean `sharpe`?"]);
}

#[test]
fn eval_prints_the_last_rows_of_every_expression() {
    let folder = candles();
    let ran = eval(folder.path(), &["sma(close, 3)", "close > open", "--tail", "2"]).ok();
    let lines: Vec<&str> = ran.stdout.lines().collect();
    assert!(
        lines[0].contains("timestamp")
            && lines[0].contains("sma(close, 3)")
            && lines[0].contains("close > open")
    );
    let closes = closes();
    let (last, mean) = (lines.last().unwrap(), closes[197..].iter().sum::<f64>() / 3.0);
    let cells: Vec<&str> = last.split_whitespace().collect();
    assert_eq!(cells[0], "2024-01-09T07:00:00Z");
    assert_eq!(cells[1].parse::<f64>().unwrap(), mean);
    let fields: Vec<f64> = csv_lines(200)[199].split(',').map(|field| field.parse().unwrap()).collect();
    assert_eq!(cells[2], (fields[4] > fields[1]).to_string());
    assert_eq!(
        lines.iter().filter(|line| line.starts_with("2024") || line.trim().starts_with("2024")).count(),
        2
    );
    // A value that is not known yet is a dash.
    let ran = eval(folder.path(), &["sma(close, 200)", "--tail", "2"]).ok();
    assert!(ran.stdout.lines().rev().nth(1).unwrap().trim().ends_with('-'), "{}", ran.stdout);
}

#[test]
fn eval_reads_the_columns_beside_the_candles() {
    let folder = candles();
    let lines = csv_lines(5);
    let with: Vec<String> = lines.iter().enumerate().map(|(i, line)| format!("{line},{}", i + 1)).collect();
    let text = format!("timestamp,open,high,low,close,volume,Open Interest\n{}\n", with.join("\n"));
    std::fs::write(folder.path().join("x.csv"), text).unwrap();
    let ran = eval(folder.path(), &["sma(open_interest, 5)", "--tail", "1"]).ok();
    assert!(ran.stdout.contains(" 3 "), "{}", ran.stdout);
}

#[test]
fn eval_gives_a_column_for_each_output_and_other_intervals() {
    let folder = candles();
    let all = [
        "bbands(close, 20, 2)",
        "macd(close, 12, 26, 9).signal",
        "tf(\"1d\", close)",
        "ema(close, 2, \"1d\")",
    ];
    let ran = eval(folder.path(), &[&all[..], &["-o", "out.csv"]].concat()).ok();
    assert!(ran.stdout.contains("wrote 200 rows to out.csv"), "{}", ran.stdout);
    let text = std::fs::read_to_string(folder.path().join("out.csv")).unwrap();
    let mut lines = text.lines();
    let header = lines.next().unwrap();
    for column in [
        "timestamp",
        "bbands(close, 20, 2).middle",
        "bbands(close, 20, 2).upper",
        "bbands(close, 20, 2).lower",
    ] {
        assert!(header.contains(column), "{header}");
    }
    assert_eq!(lines.count(), 200);
    // The day's close is seen at its last hour, not before.
    let ran = eval(folder.path(), &["tf(\"1d\", close)", "-o", "day.csv"]).ok();
    assert_eq!(ran.code, Some(0));
    let text = std::fs::read_to_string(folder.path().join("day.csv")).unwrap();
    let day: Vec<&str> = text.lines().skip(1).map(|line| line.rsplit_once(',').unwrap().1).collect();
    assert!(day[..23].iter().all(|value| value.is_empty()), "{day:?}");
    assert!(day[23..47].iter().all(|value| value.parse::<f64>().unwrap() == closes()[23]), "{day:?}");
}

#[test]
fn eval_writes_the_same_numbers_as_csv_and_as_parquet() {
    let folder = candles();
    let all = ["rsi(close, 14)", "crosses_above(close, sma(close, 5))"];
    eval(folder.path(), &[&all[..], &["-o", "out.csv"]].concat()).ok();
    eval(folder.path(), &[&all[..], &["-o", "out.parquet"]].concat()).ok();
    let bytes = std::fs::read(folder.path().join("out.parquet")).unwrap();
    assert!(bytes.starts_with(b"PAR1") && bytes.ends_with(b"PAR1"));
    eval(folder.path(), &[&all[..], &["-o", "again.parquet"]].concat()).ok();
    assert!(bytes == std::fs::read(folder.path().join("again.parquet")).unwrap());
    let text = std::fs::read_to_string(folder.path().join("out.csv")).unwrap();
    let known = text.lines().skip(1).filter(|line| !line.contains(",,")).count();
    assert_eq!(known, 200 - 14, "rsi is known from its 15th candle on");
    // Candles with a computed column beside them can be read back as candles.
    let ran = eval(folder.path(), &["open", "high", "low", "close", "volume", "-o", "candles.parquet"]).ok();
    assert_eq!(ran.code, Some(0));
    let back = run_in(folder.path(), ["eval", "--data", "candles.parquet", "close", "-o", "back.csv"]).ok();
    assert!(back.stdout.contains("wrote 200 rows"), "{}", back.stdout);
}

#[test]
fn eval_reads_the_sample_and_asks_for_what_is_ambiguous() {
    let folder = folder();
    let on = |args: &[&str]| run_in(folder.path(), ["eval", "--data", "sample", "close"].iter().chain(args));
    on(&[]).fails(2, &["--symbol: is missing: the data set has SYN-A, SYN-B, SYN-C"]);
    on(&["--symbol", "SYN-A"]).fails(2, &["--interval: is missing: `SYN-A` has 15m, 1h"]);
    on(&["--symbol", "SYN-Z", "--interval", "1h"]).fails(2, &["`SYN-Z`", "SYN-A"]);
    let ran = on(&["--symbol", "SYN-B", "--tail", "3"]).ok();
    assert!(ran.stdout.contains("2024-12-31T23:00:00Z"), "{}", ran.stdout);
}

#[test]
fn eval_reports_every_bad_expression_and_bad_files() {
    let folder = candles();
    eval(folder.path(), &["rsi(close)", "close", "smaa(close, 3)", "fast + 1"]).fails(
        2,
        &[
            "error: cannot evaluate: 3 problems",
            "expression 1: `rsi` takes 2 arguments, got 1",
            "expression 3: unknown function `smaa`: did you mean `sma`?",
            "expression 4: unknown name `fast`",
        ],
    );
    eval(folder.path(), &["barsInPosition()"]).fails(2, &["expression 1: ", "barsInPosition"]);
    eval(folder.path(), &["close", "-o", "out.txt"]).fails(2, &["out.txt"]);
    assert!(!folder.path().join("out.txt").exists());
    eval(folder.path(), &[]).fails(2, &["<EXPRESSIONS>..."]);
    run_in(folder.path(), ["eval", "--data", "no.csv", "close"])
        .fails(2, &["--data: `no.csv` does not exist"]);
    run_in(folder.path(), ["eval", "--data", "nothing", "close"]).fails(2, &["--data: `nothing` is neither"]);
}

#[test]
fn indicators_lists_all_and_explains_each() {
    let folder = folder();
    let list = run_in(folder.path(), ["indicators"]).ok().stdout;
    let page = run_in(folder.path(), ["indicators", "--markdown"]).ok().stdout;
    for indicator in all() {
        assert!(list.contains(&format!("{}(", indicator.name)), "{}", indicator.name);
        assert!(page.contains(&format!("\n### {}\n", indicator.name)), "{}", indicator.name);
        let one = run_in(folder.path(), ["indicators", indicator.name]).ok().stdout;
        for label in ["formula", "source", "numerics", "warm-up"] {
            assert!(one.contains(label), "{one}");
        }
    }
    run_in(folder.path(), ["indicators", "smaa"]).fails(2, &["`smaa` is none: did you mean `sma`?"]);
    run_in(folder.path(), ["indicators", "zzzzzzzz"]).fails(2, &["`blockgrid indicators` lists them all"]);
}

#[test]
fn functions_are_explained_too() {
    let folder = folder();
    for (name, usage) in [
        ("crosses_above", "crosses_above(a, b)"),
        ("crosses_below", "crosses_below(a, b)"),
        ("tf", "tf(\"1d\", x)"),
        ("hlc3", "hl2, hlc3, ohlc4"),
        ("abs", "abs, sqrt"),
    ] {
        let one = run_in(folder.path(), ["indicators", name]).ok().stdout;
        assert!(one.contains(usage), "{one}");
    }
    run_in(folder.path(), ["indicators", "crosses_abov"]).fails(2, &["did you mean `crosses_above`?"]);
}

#[test]
fn completions_of_every_shell_name_the_commands() {
    let folder = folder();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = run_in(folder.path(), ["completions", shell]).ok().stdout;
        for command in ["run", "validate", "explain", "eval", "query", "indicators", "init"] {
            assert!(script.contains(command), "{shell}: {command}");
        }
    }
    run_in(folder.path(), ["completions", "tcsh"]).fails(2, &["tcsh"]);
}

#[test]
fn init_writes_the_starter_and_keeps_what_is_there() {
    let folder = folder();
    let ran = run_in(folder.path(), ["init"]).ok();
    assert!(ran.stdout.contains("wrote job.yaml: edit it, then `blockgrid run job.yaml`"), "{}", ran.stdout);
    let file = folder.path().join("job.yaml");
    std::fs::write(&file, "mine").unwrap();
    run_in(folder.path(), ["init"]).fails(2, &["job.yaml: exists already: name another file, or remove it"]);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "mine");
    run_in(folder.path(), ["init", "other.yaml"]).ok();
    run_in(folder.path(), ["init", "no/such/folder/job.yaml"]).fails(1, &["no/such/folder/job.yaml"]);
}

/// The program in a folder where nothing is beside it.
fn copied(folder: &Path) -> PathBuf {
    let copy = folder.join("blockgrid");
    std::fs::copy(env!("CARGO_BIN_EXE_blockgrid"), &copy).unwrap();
    copy
}

/// Runs a copied program. A test beside this one that forks while the copy is written holds it busy for a moment.
fn started(command: &mut Command) -> Ran {
    for _ in 0..100 {
        match command.output() {
            Err(error) if error.kind() == ErrorKind::ExecutableFileBusy => {
                std::thread::sleep(Duration::from_millis(50))
            }
            output => return Ran::of(output.unwrap()),
        }
    }
    panic!("{command:?} stayed busy for five seconds");
}

#[test]
fn query_without_its_program_says_how_to_get_it() {
    let folder = folder();
    let copy = copied(folder.path());
    started(Command::new(&copy).args(["query", "out", "select 1"]).env("PATH", "")).fails(
        1,
        &["`blockgrid-query` is not installed", "cargo build --release -p blockgrid-query", "cargo install"],
    );
}

#[cfg(unix)]
#[test]
fn query_hands_everything_over_and_gives_back_the_exit_code() {
    let folder = folder();
    let copy = copied(folder.path());
    std::os::unix::fs::symlink("/bin/sh", folder.path().join("blockgrid-query")).unwrap();
    let script = "echo \"<$1><$2>\"; exit 7";
    let ran = started(Command::new(&copy).args(["query", "-c", script, "sh", "select 1 as a", "--help"]));
    assert_eq!(ran.fails(7, &[]).stdout, "<select 1 as a><--help>\n");
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let folder = folder();
    for args in [&["indicators", "--markdown"][..], &["completions", "bash"], &["--help"]] {
        let mut child = blockgrid()
            .current_dir(folder.path())
            .args(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // As `| head -0` does: gone before anything is written, or in the middle of it.
        drop(child.stdout.take());
        let ran = Ran::of(child.wait_with_output().unwrap());
        assert_eq!(ran.code, Some(0), "{args:?}: {ran:?}");
    }
}

#[test]
fn help_and_version_name_what_there_is() {
    let folder = folder();
    let help = run_in(folder.path(), ["--help"]).ok().stdout;
    for command in ["run", "validate", "explain", "eval", "query", "indicators", "init", "completions"] {
        assert!(help.contains(&format!("  {command}")), "{help}");
    }
    let version = run_in(folder.path(), ["--version"]).ok().stdout;
    let number = format!("blockgrid {} (engine ", env!("CARGO_PKG_VERSION"));
    assert!(version.starts_with(&number) && version.len() > number.len() + 16, "{version}");
    let none: [&str; 0] = [];
    run_in(folder.path(), none).fails(2, &["Usage: blockgrid <COMMAND>"]);
}
