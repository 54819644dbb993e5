//! `blockgrid data synth`: candles from a seed.
#![allow(clippy::unwrap_used, reason = "helpers of tests panic where the test fails")]

mod support;

use std::path::Path;

use serde_json::Value;
use support::run_in;

fn files(folder: &Path) -> Vec<(String, String)> {
    let text = std::fs::read_to_string(folder.join("dataset.json")).unwrap();
    let manifest: Value = serde_json::from_str(&text).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    manifest["files"].as_array().unwrap().iter().map(|f| (text(&f["symbol"]), text(&f["path"]))).collect()
}

#[test]
fn candles_are_made_from_the_seed_and_known_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let synth = |args: &[&str]| {
        let all = ["data", "synth", "--interval", "1h", "--from", "2023-12-20", "--candles", "500"];
        run_in(folder.path(), all.iter().chain(args))
    };
    let made = synth(&["--symbols", "A,B", "--seed", "3", "--gaps", "0.05", "--jumps", "--out", "one"]).ok();
    assert!(made.stdout.contains("candles of 2 symbols at 1h"), "{}", made.stdout);
    // Another folder, other symbols beside it: what is named by content has the same names.
    synth(&["--symbols", "C,B,A", "--seed", "3", "--gaps", "0.05", "--jumps", "--out", "two"]).ok();
    let (one, two) = (files(&folder.path().join("one")), files(&folder.path().join("two")));
    assert_eq!((one.len(), two.len()), (4, 6));
    assert!(one.iter().all(|file| two.contains(file)), "{one:?} {two:?}");
    // Again with another seed: nothing of the first stays.
    synth(&["--symbols", "A", "--seed", "4", "--out", "one"]).ok();
    let again = files(&folder.path().join("one"));
    assert!(again.len() == 2 && again.iter().all(|file| !one.contains(file)), "{again:?}");

    synth(&["--symbols", "2", "--dataset", "toy"]).ok();
    let day = ["eval", "--data", "toy", "--symbol", "SYN-2", "--interval", "1d", "close"];
    assert!(run_in(folder.path(), day).ok().stdout.contains("2024-01-08T00:00:00Z"));
}

#[test]
fn what_cannot_be_made_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let synth = |args: &[&str]| {
        run_in(folder.path(), ["data", "synth", "--interval", "1h", "--out", "x"].iter().chain(args))
    };
    synth(&["--gaps", "1"]).fails(2, &["--gaps: is 1, but must be a share from 0 to 0.9"]);
    synth(&["--correlation", "1.5"]).fails(2, &["--correlation: is 1.5"]);
    synth(&["--jumps", "nan"]).fails(2, &["--jumps: is NaN"]);
    synth(&["--to", "2020-01-01"]).fails(2, &["--to: gives -26304 candles a symbol"]);
    synth(&["--from", "9999-06-01"]).fails(2, &["--from: goes beyond the year 9999"]);
    synth(&["--symbols", "A,A"]).fails(2, &["--symbols: `A` is named twice"]);
    synth(&["--symbols", "0"]).fails(2, &["--symbols: is `0`"]);
    synth(&["--symbols", "a/b", "--candles", "5"]).fails(2, &["symbol `a/b` cannot be the name of a folder"]);
    assert!(!folder.path().join("x").exists());
    // Candles that were not made up are not written over.
    synth(&["--symbols", "A", "--candles", "5"]).ok();
    let path = folder.path().join("x/dataset.json");
    let mut manifest: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    manifest["synthetic"] = false.into();
    manifest.as_object_mut().unwrap().remove("generator");
    std::fs::write(&path, manifest.to_string()).unwrap();
    synth(&["--symbols", "A", "--candles", "5"]).fails(2, &["holds candles that were not made up"]);
}
