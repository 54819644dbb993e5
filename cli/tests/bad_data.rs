//! Bad candles: what can be known beforehand ends with exit code 2, a page that is damaged inside with 1.
#![allow(clippy::unwrap_used, reason = "helpers of tests panic where the test fails")]

mod support;

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use support::{csv, csv_lines, folder, root, run_in, small, with, write};

const HEADER: &str = "timestamp,open,high,low,close,volume";

/// Runs the small job on a file of candles of these bytes.
fn run_on(name: &str, bytes: impl AsRef<[u8]>, data: Value) -> (tempfile::TempDir, support::Ran) {
    let folder = folder();
    std::fs::write(folder.path().join(name), bytes).unwrap();
    write(&folder.path().join("job.yaml"), &with(small(), "/spec/data", data));
    let ran = run_in(folder.path(), ["run", "job.yaml", "-o", "out"]);
    (folder, ran)
}

/// A CSV that must be refused with exit 2 and these parts.
fn refused(text: impl AsRef<[u8]>, parts: &[&str]) {
    let (folder, ran) = run_on("x.csv", text, json!({"file": "x.csv"}));
    ran.fails(2, &["error: cannot use the data: 1 problem\n  spec.data.file: `x.csv`"]).fails(2, parts);
    assert!(!folder.path().join("out").exists());
}

/// Two hundred candles as CSV, line `at` (from 0, after the header) replaced.
fn with_line(at: usize, line: &str) -> String {
    let mut lines = csv_lines(200);
    lines[at] = line.to_owned();
    format!("{HEADER}\n{}\n", lines.join("\n"))
}

/// The 50th candle, with other values after the timestamp.
fn candle(rest: &str) -> String {
    with_line(50, &format!("{},{rest}", 1_704_067_200_000_i64 + 50 * 3_600_000))
}

/// A file of the sample, as Parquet.
fn parquet() -> Vec<u8> {
    let folder = root().join("datasets/sample/interval=1h/symbol=SYN-A/year=2024");
    std::fs::read(std::fs::read_dir(folder).unwrap().next().unwrap().unwrap().path()).unwrap()
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// A folder with a copy of the sample in `candles`, a job on it, and the path of one of its files.
fn dataset() -> (tempfile::TempDir, PathBuf) {
    let folder = folder();
    copy(&root().join("datasets/sample"), &folder.path().join("candles"));
    write(&folder.path().join("job.yaml"), &with(small(), "/spec/data/dataset", json!("candles")));
    let year = folder.path().join("candles/interval=1h/symbol=SYN-A/year=2024");
    let file = std::fs::read_dir(year).unwrap().next().unwrap().unwrap().path();
    (folder, file)
}

#[test]
fn candles_of_a_csv_that_are_none() {
    refused(
        candle("100,102,99,NaN,1"),
        &["line 52: candle of 2024-01-03T02:00:00Z: `close` is missing or NaN, but every candle"],
    );
    refused(candle("100,inf,99,101,1"), &["line 52", "`high` is inf, but"]);
    refused(candle("100,102,-1,101,1"), &["line 52", "`low` is -1, but prices must be above 0"]);
    refused(
        candle("100,90,99,101,1"),
        &["line 52", "high 90", "low must be the lowest and high the highest"],
    );
    refused(candle("100,102,99,abc,1"), &["line 52, column `close`: `abc` is not a number: mend it"]);
    refused(
        candle("100,102,99,,1"),
        &["line 52: candle of", "`close` is missing or NaN", "drop the row or fill it in"],
    );
    refused(candle("100,102,99"), &["line 52 has 4 fields but 6 are expected: mend the line"]);
    let lines = csv_lines(200);
    refused(
        with_line(50, &lines[49]),
        &["line 52: timestamp 2024-01-03T01:00:00Z appears twice: keep one candle"],
    );
    refused(
        with_line(50, &lines[20]),
        &["line 52: timestamp 2024-01-01T20:00:00Z comes after 2024-01-03T01:00:00Z: sort the candles"],
    );
    refused(
        with_line(50, "1704247201000,100,102,99,101,1"),
        &["line 52", "is not the open of a 1h candle (UTC)"],
    );
}

#[test]
fn files_that_are_no_csv_of_candles() {
    refused("", &["has no candles: give a file with at least one row"]);
    refused(format!("{HEADER}\n"), &["has no candles"]);
    refused("timestamp,open,high,low,close\n1,2,3,4,5\n", &["line 1 has no column `volume`, only"]);
    let cut: Vec<String> = csv_lines(200).iter().map(|line| format!("{line},1,2,3")).collect();
    refused(cut.join("\n"), &["put a header line `timestamp,open,high,low,close,volume` first"]);
    refused(csv(1), &["the interval cannot be told from 1 candle(s): give it, as in `interval: 1h`"]);
    let mut latin = csv(200).into_bytes();
    latin.extend([0xe9, 0xe9, b'\n']);
    refused(latin, &["line 202 is not UTF-8 text: save the file as UTF-8"]);
}

#[test]
fn files_of_other_shapes_run() {
    let mut backwards = csv_lines(200);
    backwards.reverse();
    for text in [
        csv(200).replace(',', ";"),
        csv_lines(200).join("\n"),
        format!("{HEADER}\n{}\n", backwards.join("\n")),
    ] {
        run_on("x.csv", text, json!({"file": "x.csv"})).1.ok();
    }
}

#[test]
fn files_that_do_not_fit_what_is_asked() {
    let on = |data: Value, parts: &[&str]| {
        let (folder, ran) = run_on("x.csv", csv(200), data);
        ran.fails(2, parts);
        assert!(!folder.path().join("out").exists());
    };
    on(json!({"file": "y.csv"}), &["spec.data.file: `y.csv` does not exist: check the path"]);
    on(
        json!({"file": "x.csv", "symbols": ["A", "B"]}),
        &["spec.data.symbols: names 2 symbols, but a file holds one"],
    );
    on(
        json!({"file": "x.csv", "interval": "1d"}),
        &["spec.data.file: `x.csv`: it holds candles of 1h, not of 1d: `blockgrid data import`", "or ask 1h"],
    );
    on(
        json!({"file": "x.csv", "interval": "1d", "quality": "warn"}),
        &["spec.data.file: `x.csv`: it holds candles of 1h, not of 1d"],
    );
    on(
        json!({"file": "x.csv", "interval": "1m"}),
        &["spec.data.file: `x.csv`: it holds candles of 1h, and no two of them are 1m apart: ask 1h"],
    );
    on(
        json!({"file": "x.csv", "from": "2030-01-01"}),
        &["`X` has no candle between `from` and `to`", "run from 2024-01-01"],
    );
    on(
        json!({"dataset": "x.csv", "interval": "1h"}),
        &["spec.data.dataset", "give a single file as `file: x.csv`"],
    );
    on(
        json!({"file": "x.csv", "dataset": "sample"}),
        &["spec.data.file: stands beside `dataset`: give one of them"],
    );
    on(
        json!({"interval": "1h"}),
        &["spec.data: names no candles: give `dataset` (such as sample) or `file`"],
    );
    on(json!({"file": "job.yaml"}), &["`job.yaml` line 1 does not begin with a list"]);
    on(json!({"file": ""}), &["spec.data.file: is \"\", but must be a name or a path"]);
    // An interval of the strategy that the file's candles cannot give.
    let folder = folder();
    std::fs::write(folder.path().join("x.csv"), csv(200)).unwrap();
    let manifest = with(small(), "/spec/data", json!({"file": "x.csv"}));
    let manifest = with(manifest, "/spec/strategy/long/enter", json!("tf(\"30m\", close) > fastMa"));
    write(&folder.path().join("job.yaml"), &manifest);
    run_in(folder.path(), ["run", "job.yaml"])
        .fails(2, &["spec.strategy.long.enter: interval 30m is finer", "(1h)"]);
}

#[test]
fn data_sets_symbols_intervals_and_times_that_are_not_there() {
    for (field, value, parts) in [
        (
            "dataset",
            json!("smaple"),
            &["spec.data.dataset: `smaple` is neither a registered data set (known: sample)"][..],
        ),
        (
            "dataset",
            json!("s3://bucket/prefix"),
            &["spec.data.dataset: `s3://bucket/prefix`", "copy the data set to a folder"],
        ),
        (
            "dataset",
            json!("file:///no/such/folder"),
            &["`file:///no/such/folder` does not exist: check the path"],
        ),
        ("dataset", json!("."), &["`.` holds no data set: it has no dataset.json"]),
        ("interval", Value::Null, &["spec.data.interval: is missing: name the candles' length, such as 1h"]),
        (
            "interval",
            json!("hourly"),
            &["`hourly` is not an interval: write a whole number and one of s, m, h, d, w"],
        ),
        ("interval", json!(1), &["spec.data.interval: is 1, but must be the length of a candle, such as 1h"]),
        ("interval", json!("5m"), &["spec.data.interval: `sample` has no 5m candles: it has 15m, 1h"]),
        (
            "symbols",
            json!(["SYN-A", "SYN-Z"]),
            &[
                "spec.data.symbols: `SYN-Z` has no 1h candles in `sample`: it has SYN-A, SYN-B, SYN-C: did you mean `SYN-A`?",
            ],
        ),
        (
            "symbols",
            json!(["SYN-X", "SYN-A", "SYN-Y"]),
            &[
                "spec.data.symbols: `SYN-X`, `SYN-Y` have no 1h candles in `sample`: it has SYN-A, SYN-B, SYN-C: did you mean symbols such as `SYN-A`?",
            ],
        ),
        ("symbols", json!(["SYN-A", "SYN-A"]), &["spec.data.symbols[1]: `SYN-A` is named twice"]),
        ("symbols", json!([]), &["spec.data.symbols: is empty: name a symbol, or leave it out for all"]),
        (
            "symbols",
            json!({"SYN-A": {"lot": 0, "tik": 1}}),
            &[
                "SYN-A.lot: is 0, but must be a number above 0",
                "SYN-A.tik: is no field here: did you mean `tick`?",
            ],
        ),
        (
            "from",
            json!("2024-03-01"),
            &["spec.data.from: \"2024-03-01\" is not before `to` (\"2024-02-01\")"],
        ),
        ("from", json!("2024-02-01"), &["spec.data.from", "`to` is exclusive"]),
        (
            "from",
            json!(20_240_101),
            &["spec.data.from: is 20240101, but must be an instant such as 2024-01-01T00:00:00Z"],
        ),
        ("from", json!("01/02/2024"), &["spec.data.from: is \"01/02/2024\", but must be an instant"]),
        (
            "columns",
            json!(["funding_rate"]),
            &["has no column `funding_rate` beside the 1h candles of `SYN-A`"],
        ),
        ("quality", json!("lax"), &["spec.data.quality: is \"lax\", but must be one of strict, warn"]),
    ] {
        let folder = folder();
        write(&folder.path().join("job.yaml"), &with(small(), &format!("/spec/data/{field}"), value));
        run_in(folder.path(), ["run", "job.yaml", "-o", "out"]).fails(2, parts);
        run_in(folder.path(), ["validate", "job.yaml"]).fails(2, parts);
        assert!(!folder.path().join("out").exists());
    }
    let late = with(small(), "/spec/data/to", Value::Null);
    let folder = folder();
    write(&folder.path().join("job.yaml"), &with(late, "/spec/data/from", json!("2030-01-01")));
    run_in(folder.path(), ["run", "job.yaml"])
        .fails(2, &["`SYN-A`", "they reach from 2022-01-01T00:00:00Z to 2024-12-31"]);
}

#[test]
fn parquet_files_that_show_it_in_their_footer() {
    let whole = parquet();
    for bytes in [whole[..whole.len() - 200].to_vec(), csv(200).into_bytes(), Vec::new(), b"PAR1".to_vec()] {
        let (folder, ran) = run_on("x.parquet", bytes, json!({"file": "x.parquet"}));
        ran.fails(2, &["spec.data.file: `x.parquet` is not a Parquet file: "]);
        assert!(!folder.path().join("out").exists());
    }
    let (_folder, ran) = run_on("x.parquet", whole, json!({"file": "x.parquet"}));
    ran.ok();
}

#[test]
fn a_damaged_file_of_a_data_set_is_refused_before_work_when_its_footer_shows_it() {
    let (folder, file) = dataset();
    run_in(folder.path(), ["run", "job.yaml", "-o", "good"]).ok();
    let whole = std::fs::read(&file).unwrap();
    std::fs::write(&file, &whole[..whole.len() - 1000]).unwrap();
    run_in(folder.path(), ["run", "job.yaml", "-o", "out"])
        .fails(2, &["year=2024/", "bytes but dataset.json says", "cut off or of another version"]);
    std::fs::remove_file(&file).unwrap();
    run_in(folder.path(), ["run", "job.yaml", "-o", "out"])
        .fails(2, &["is listed in dataset.json but does not exist: restore the file"]);
    assert!(!folder.path().join("out").exists());
}

#[test]
fn a_damaged_page_is_a_failure_that_names_file_column_and_row_group() {
    let (folder, file) = dataset();
    let mut bytes = std::fs::read(&file).unwrap();
    let middle = bytes.len() / 3;
    bytes[middle] ^= 0x10;
    std::fs::write(&file, &bytes).unwrap();
    let ran = run_in(folder.path(), ["run", "job.yaml", "-o", "out", "--output", "json"]).fails(
        1,
        &["year=2024/", "column `", "of row group ", "is damaged", "restore the file from its source"],
    );
    assert!(ran.json()["errors"][0]["message"].as_str().unwrap().contains("is damaged"));
    assert!(!folder.path().join("out").exists());
}
