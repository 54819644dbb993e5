//! `blockgrid data`: the catalogue, what it lists, describes and verifies, and how names lead to candles.
#![allow(clippy::unwrap_used, reason = "helpers of tests panic where the test fails")]

mod support;

use std::path::{Path, PathBuf};

use blockgrid_datasets::{About, DatasetWriter};
use blockgrid_engine::Candles;
use blockgrid_engine::candles::RawCandles;
use serde_json::{Value, json};
use support::{HOME, Ran, folder, run_in, small, with, write};

const HOUR: i64 = 3_600_000;
// 2022-12-30.
const START: i64 = 1_672_358_400_000;

/// Hours at these places after the start.
fn candles(hours: impl IntoIterator<Item = i64>) -> Candles {
    let timestamp: Vec<i64> = hours.into_iter().map(|hour| START + hour * HOUR).collect();
    let price = vec![1.0; timestamp.len()];
    let raw = RawCandles {
        timestamp,
        open: price.clone(),
        high: price.clone(),
        low: price.clone(),
        close: price.clone(),
        volume: price,
    };
    Candles::new("1h".parse().unwrap(), raw).unwrap()
}

/// Writes candles into a data set; other symbols stay.
fn put(root: &Path, series: &[(&str, &Candles)]) {
    let about =
        About { name: "made".into(), source: "a test".into(), licence: "CC0-1.0".into(), generator: None };
    let writer = DatasetWriter::open(root, &about).unwrap();
    for (symbol, candles) in series {
        let mut series = writer.series(symbol, candles.interval()).unwrap();
        series.push(candles).unwrap();
        series.finish().unwrap();
    }
    writer.commit().unwrap();
}

/// Writes the data set `candles` into `folder`: A has every hour of 100 days, B starts later and lacks all of March
/// 2023, the hours 200 to 209 and the hour 300.
fn make(folder: &Path) -> PathBuf {
    let march = 24 * (2 + 31 + 28)..24 * (2 + 31 + 28 + 31);
    let lacks = |hour: &i64| (200..210).contains(hour) || *hour == 300 || march.contains(hour);
    let (a, b) = (candles(0..2400), candles((100..2400).filter(|hour| !lacks(hour))));
    let root = folder.join("candles");
    put(&root, &[("A", &a), ("B", &b)]);
    root
}

/// The Parquet files below a folder, sorted.
fn files(under: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![under.to_owned()];
    while let Some(folder) = open.pop() {
        for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            match path.extension() {
                _ if path.is_dir() => open.push(path),
                Some(extension) if extension == "parquet" => found.push(path),
                _ => {}
            }
        }
    }
    found.sort();
    found
}

fn data(folder: &Path, args: &[&str]) -> Ran {
    run_in(folder, ["data"].iter().chain(args))
}

#[test]
fn a_data_set_is_added_listed_used_by_name_and_removed() {
    let folder = folder();
    let root = make(folder.path());
    let ls = data(folder.path(), &["ls"]).ok();
    assert!(ls.stdout.contains("sample") && ls.stdout.lines().count() == 2, "{}", ls.stdout);
    assert!(!folder.path().join(HOME).exists(), "listing makes nothing");

    let added = data(folder.path(), &["add", "made", "candles"]).ok();
    let at = root.display().to_string();
    assert!(added.stdout.contains("made: registered, ") && added.stdout.contains(&at), "{}", added.stdout);
    let again = data(folder.path(), &["add", "made", "candles"]).ok();
    assert!(again.stdout.starts_with("made: unchanged"), "{}", again.stdout);
    data(folder.path(), &["add", "far", "s3://bucket/prefix"]).ok();

    let ls = data(folder.path(), &["ls"]).ok();
    for part in
        ["made", "A B", "1h", "2022-12-30 to 2023-04-08", "a test", "CC0-1.0", &at, "s3://bucket/prefix"]
    {
        assert!(ls.stdout.contains(part), "`{part}` is not in:\n{}", ls.stdout);
    }
    let all = data(folder.path(), &["ls", "--output", "json"]).ok().json();
    let made = &all[2];
    assert_eq!(
        (&all[0]["name"], &all[1]["name"], &made["name"]),
        (&json!("sample"), &json!("far"), &json!("made"))
    );
    assert_eq!((&made["candles"], &made["synthetic"]), (&json!(2400 + 2300 - 10 - 1 - 744), &json!(false)));
    assert_eq!(made["series"][0]["first"], json!("2022-12-30T00:00:00Z"));
    assert_eq!(made["series"][0]["digest"].as_str().unwrap().len(), "sha256:".len() + 64);

    // From another folder the name leads to the candles; a path would not.
    let elsewhere = folder.path().join("jobs");
    std::fs::create_dir(&elsewhere).unwrap();
    // B has gaps of weeks.
    let job = json!({"dataset": "made", "symbols": ["B"], "interval": "1h", "quality": "warn"});
    write(&elsewhere.join("job.yaml"), &with(small(), "/spec/data", job));
    run_in(folder.path(), ["validate", "jobs/job.yaml"]).ok();
    let eval =
        run_in(folder.path(), ["eval", "--data", "made", "--symbol", "A", "close", "--tail", "1"]).ok();
    assert!(eval.stdout.contains("2023-04-08T23:00:00Z"), "{}", eval.stdout);
    run_in(folder.path(), ["eval", "--data", "far", "close"])
        .fails(2, &["--data: `s3://bucket/prefix` names a s3:// location, which this build cannot read yet"]);

    let removed = data(folder.path(), &["remove", "made"]).ok();
    assert!(removed.stdout.contains(&format!("its files stay in {at}")), "{}", removed.stdout);
    assert!(root.join("dataset.json").exists());
    run_in(folder.path(), ["validate", "jobs/job.yaml"])
        .fails(2, &["spec.data.dataset: `made` is neither a registered data set (known: sample, far)"]);
}

#[test]
fn a_name_comes_before_a_folder_and_the_sample_before_both() {
    let folder = folder();
    make(folder.path());
    let symbols = |name: &str| data(folder.path(), &["describe", name, "--output", "json"]).ok().json();
    std::fs::create_dir(folder.path().join("sample")).unwrap();
    assert_eq!(symbols("sample")["series"][0]["symbol"], json!("SYN-A"));
    std::fs::rename(folder.path().join("candles"), folder.path().join("other")).unwrap();
    std::fs::create_dir(folder.path().join("candles")).unwrap();
    data(folder.path(), &["describe", "candles"]).fails(2, &["`candles` holds no data set"]);
    data(folder.path(), &["add", "candles", "other"]).ok();
    assert_eq!(symbols("candles")["series"][0]["symbol"], json!("A"));
    data(folder.path(), &["describe", "./candles"]).fails(2, &["holds no data set"]);
}

#[test]
fn what_cannot_be_registered_or_removed_is_told() {
    let folder = folder();
    make(folder.path());
    for (args, parts) in [
        (&["add", "sample", "candles"][..], &["NAME: `sample` is the data set inside the program"][..]),
        (&["add", "a.b", "candles"], &["NAME: `a.b` cannot name a data set: use 1 to 100 letters"]),
        (&["add", "made", "nowhere"], &["LOCATION: `nowhere` does not exist: check the path"]),
        (&["add", "made", HOME], &["LOCATION: `.blockgrid` does not exist"]),
        (&["add", "made", "gs://bucket/x"], &["LOCATION: `gs://bucket/x` names a gs:// location"]),
        (&["remove", "sample"], &["`sample` lies inside the program and cannot be removed"]),
        (&["remove", "made"], &["NAME: `made` is not registered: `blockgrid data ls` lists what is"]),
    ] {
        data(folder.path(), args).fails(2, parts);
    }
    assert!(!folder.path().join(HOME).join("catalogue.json").exists());
    data(folder.path(), &["add", "made", "candles"]).ok();
    data(folder.path(), &["remove", "mad"]).fails(2, &["did you mean `made`?"]);
    std::fs::create_dir(folder.path().join("b")).unwrap();
    make(&folder.path().join("b"));
    data(folder.path(), &["add", "made", "b/candles"])
        .fails(2, &["`made` is registered at", "forget it first with `blockgrid data remove made`"]);
    run_in(folder.path(), ["eval", "--data", "mdae", "close"])
        .fails(2, &["(known: sample, made)", "did you mean `made`?"]);

    let catalogue = folder.path().join(HOME).join("catalogue.json");
    std::fs::write(&catalogue, "{\"format\": 1, \"datasets\": [").unwrap();
    for args in [&["ls"][..], &["add", "x", "candles"], &["remove", "made"], &["describe", "made"]] {
        data(folder.path(), args).fails(2, &["catalogue.json` is damaged (", "restore it from a copy"]);
    }
    assert_eq!(std::fs::read_to_string(&catalogue).unwrap(), "{\"format\": 1, \"datasets\": [");
    // What needs no catalogue works without it.
    data(folder.path(), &["describe", "./candles"]).ok();
    data(folder.path(), &["describe", "sample"]).ok();
}

#[test]
fn a_registered_data_set_that_changed_or_is_gone_does_not_run() {
    let folder = folder();
    let root = make(folder.path());
    data(folder.path(), &["add", "made", "candles"]).ok();
    let job = json!({"dataset": "made", "symbols": ["A"], "interval": "1h"});
    write(&folder.path().join("job.yaml"), &with(small(), "/spec/data", job));
    put(&root, &[("A", &candles(0..2000))]);
    let told =
        ["`made` is not what was registered: A 1h has 2000 candles", "accept it with `blockgrid data add"];
    run_in(folder.path(), ["run", "job.yaml", "-o", "out"]).fails(2, &told);
    data(folder.path(), &["describe", "made"]).fails(2, &told);
    assert!(!folder.path().join("out").exists());
    let verified = data(folder.path(), &["verify", "made"]).fails(1, &["made: is not what was registered"]);
    assert!(verified.stdout.contains(told[0]), "{}", verified.stdout);
    let accepted = data(folder.path(), &["add", "made", "candles"]).ok();
    assert!(
        accepted.stdout.starts_with("made: registered as it is now, 3,545 candles"),
        "{}",
        accepted.stdout
    );
    data(folder.path(), &["verify", "made"]).ok();

    std::fs::rename(&root, folder.path().join("moved")).unwrap();
    run_in(folder.path(), ["validate", "job.yaml"])
        .fails(2, &["spec.data.dataset: `made` is registered at", "tell its new place with"]);
    assert!(data(folder.path(), &["ls"]).ok().stdout.contains("candles (gone)"));
    assert_eq!(data(folder.path(), &["ls", "--output", "json"]).ok().json()[1]["available"], json!(false));
}

#[test]
fn verify_names_every_damaged_file() {
    let folder = folder();
    let root = make(folder.path());
    data(folder.path(), &["verify", "sample"]).ok();
    let whole = data(folder.path(), &["verify", "candles"]).ok();
    assert_eq!(whole.stdout, "candles: 3 files are as written\n");
    let files = files(&root);
    let mut bytes = std::fs::read(&files[0]).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&files[0], &bytes).unwrap();
    std::fs::remove_file(&files[2]).unwrap();
    let ran = data(folder.path(), &["verify", "candles"]).fails(1, &["candles: 2 of 3 files are damaged"]);
    let lines: Vec<&str> = ran.stdout.lines().collect();
    let name = |file: &Path| file.strip_prefix(folder.path()).unwrap().display().to_string();
    assert!(lines[0].contains(&name(&files[0])) && lines[0].contains("SHA-256"), "{lines:?}");
    assert!(lines[1].contains(&name(&files[2])) && lines[1].contains("does not exist"), "{lines:?}");
    assert_eq!(lines.len(), 2);
    std::fs::remove_file(root.join("dataset.json")).unwrap();
    data(folder.path(), &["verify", "candles"]).fails(2, &["has no dataset.json, so nothing tells"]);
}

#[test]
fn describe_counts_months_and_gaps_and_draws_them() {
    let folder = folder();
    make(folder.path());
    let described = data(folder.path(), &["describe", "candles", "--output", "json"]).ok().json();
    let (a, b) = (&described["series"][0], &described["series"][1]);
    assert_eq!((&a["coverage"], &a["gaps"], &a["longestGap"]), (&json!(1.0), &json!(0), &Value::Null));
    assert_eq!((&b["candles"], &b["expected"], &b["gaps"]), (&json!(1545), &json!(2300), &json!(3)));
    let longest = json!({"from": "2023-03-01T00:00:00Z", "to": "2023-04-01T00:00:00Z", "candles": 744});
    assert_eq!(b["longestGap"], longest);
    assert_eq!(b["months"][0], json!({"month": "2023-01", "candles": 692 - 11, "expected": 692}));
    assert_eq!(b["months"][2], json!({"month": "2023-03", "candles": 0, "expected": 744}));

    let text = data(folder.path(), &["describe", "candles", "--html", "page.html"]).ok().stdout;
    for part in [
        "3,945 in 3 files",
        "67.17%",
        "744 candles from 2023-03-01",
        "   2022                                             ###  100.00%",
        "   2023 --- ###  0  ###",
        "UTC months: ### complete",
        "page: page.html",
    ] {
        assert!(text.contains(part), "`{part}` is not in:\n{text}");
    }
    assert!(text.is_ascii(), "what is piped is plain");
    let page = std::fs::read_to_string(folder.path().join("page.html")).unwrap();
    assert!(page.contains("<td class=\"none\" title=\"0 of 744 candles\">0</td>") && page.len() < 100_000);

    let one = data(folder.path(), &["describe", "candles", "--symbol", "B", "--interval", "1h"]).ok().stdout;
    assert!(!one.contains("A 1h") && one.contains("B 1h"), "{one}");
    data(folder.path(), &["describe", "candles", "--symbol", "C"])
        .fails(2, &["--symbol: `C` is not in `candles`: it has A, B"]);
    data(folder.path(), &["describe", "candles", "--interval", "5m"])
        .fails(2, &["--interval: there are no such candles: there are 1h"]);
    let nowhere = data(folder.path(), &["describe", "candles", "--html", "no/page.html", "--output", "json"])
        .fails(2, &["--html: `no/page.html` cannot be written"]);
    assert_eq!(nowhere.json()["errors"][0]["field"], json!("--html"));
}
