//! A run that is broken off goes on where it was, and comes to the same bytes.
#![allow(clippy::unwrap_used, reason = "helpers of tests panic where the test fails")]

mod support;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::{blockgrid, folder, run_in, small, tables, with, write};

/// A job of many shards: 18,000 trials on each of three symbols, on one thread.
fn long() -> Value {
    let manifest = with(small(), "/spec/data/symbols", json!(["SYN-A", "SYN-B", "SYN-C"]));
    let manifest = with(manifest, "/spec/data/to", json!("2024-07-01"));
    let stops = json!({"from": 0.001, "to": 0.5, "step": 0.001});
    let manifest = with(manifest, "/spec/sweep/parameters/stop", stops);
    let manifest = with(manifest, "/spec/sweep/parameters/fast", json!([5, 6, 7, 8, 9, 10, 12, 15, 18]));
    let manifest = with(manifest, "/spec/sweep/parameters/slow", json!([20, 40, 60, 80]));
    with(manifest, "/spec/output/top", json!(2))
}

const ARGS: [&str; 6] = ["run", "job.yaml", "-o", "out", "--threads", "1"];

/// Finished shards below a results folder.
fn shards(out: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for folder in std::fs::read_dir(out).into_iter().flatten().flatten() {
        if folder.file_name().to_string_lossy().starts_with(".shards-") {
            let files = std::fs::read_dir(folder.path()).into_iter().flatten().flatten();
            found.extend(
                files.map(|file| file.path()).filter(|path| path.extension().is_some_and(|e| e == "shard")),
            );
        }
    }
    found.sort();
    found
}

/// Starts the job in `folder` and waits until at least `count` shards are on disk.
fn started(folder: &Path, count: usize) -> Child {
    let child = blockgrid()
        .current_dir(folder)
        .args(ARGS)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let begun = Instant::now();
    while shards(&folder.join("out")).len() < count {
        assert!(begun.elapsed() < Duration::from_secs(300), "no {count} shards after five minutes");
        std::thread::sleep(Duration::from_millis(2));
    }
    child
}

fn interrupt(child: &Child) {
    let sent = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
}

/// A folder with the long job, broken off by Ctrl-C after `count` shards.
fn interrupted(count: usize) -> (tempfile::TempDir, support::Ran) {
    let folder = folder();
    write(&folder.path().join("job.yaml"), &long());
    let child = started(folder.path(), count);
    interrupt(&child);
    let ran = support::Ran::of(child.wait_with_output().unwrap());
    (folder, ran)
}

type Tables = std::collections::BTreeMap<&'static str, Vec<u8>>;

/// The tables of the long job, never broken off.
fn uninterrupted() -> &'static Tables {
    static TABLES: LazyLock<Tables> = LazyLock::new(run_uninterrupted);
    &TABLES
}

fn run_uninterrupted() -> Tables {
    let folder = folder();
    write(&folder.path().join("job.yaml"), &long());
    let ran = run_in(folder.path(), ["run", "job.yaml", "-o", "out"]).ok();
    assert!(!ran.stderr.contains("resumed"), "{}", ran.stderr);
    assert_eq!(shards(&folder.path().join("out")).len(), 0, "a run that is complete keeps no shards");
    tables(&folder.path().join("out"))
}

#[test]
fn ctrl_c_keeps_finished_shards_and_the_next_run_goes_on_to_the_same_bytes() {
    let (folder, ran) = interrupted(2);
    let ran = ran
        .fails(1, &["stopping after this shard", "interrupted: ", "are kept", "run the same command again"]);
    assert_eq!(ran.stdout, "", "no leaderboard of half a run");
    let out = folder.path().join("out");
    let kept = shards(&out).len();
    assert!(kept >= 2, "{kept}");
    assert!(ran.stderr.contains(&format!("{kept} finished shards")), "{}", ran.stderr);
    assert!(!out.join("trials.parquet").exists() && !out.join("job.json").exists());

    // On another number of threads, to see that shards do not depend on it.
    let again = run_in(folder.path(), ["run", "job.yaml", "-o", "out", "--threads", "3"]).ok();
    assert!(again.stderr.contains("resumed: "), "{}", again.stderr);
    assert!(tables(&out) == *uninterrupted());
    assert_eq!(shards(&out).len(), 0);
}

#[test]
fn a_killed_run_loses_no_finished_shard() {
    let folder = folder();
    write(&folder.path().join("job.yaml"), &long());
    let mut child = started(folder.path(), 3);
    child.kill().unwrap();
    child.wait().unwrap();
    let out = folder.path().join("out");
    assert!(shards(&out).len() >= 3);
    let again = run_in(folder.path(), ARGS).ok();
    assert!(again.stderr.contains("resumed: "), "{}", again.stderr);
    assert!(tables(&out) == *uninterrupted());
    let left: Vec<_> = std::fs::read_dir(&out).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left.len(), 5, "nothing but the results is left: {left:?}");
}

#[test]
fn damaged_and_foreign_shards_are_computed_again() {
    let (folder, ran) = interrupted(3);
    ran.fails(1, &["interrupted"]);
    let out = folder.path().join("out");
    let files = shards(&out);
    // Whole, but of other trials; cut off; not a shard at all.
    let whole = std::fs::read(&files[1]).unwrap();
    std::fs::write(&files[0], &whole).unwrap();
    std::fs::write(&files[1], &whole[..whole.len() / 2]).unwrap();
    std::fs::write(&files[2], "not a shard").unwrap();
    run_in(folder.path(), ARGS).ok();
    assert!(tables(&out) == *uninterrupted());
}

#[test]
fn another_job_does_not_use_the_shards() {
    let (folder, ran) = interrupted(2);
    ran.fails(1, &["interrupted"]);
    let changed = with(long(), "/spec/execution/fees", json!({"takerBps": 25}));
    let changed = with(changed, "/spec/sweep/parameters/stop", json!([0.02, 0.03]));
    write(&folder.path().join("job.yaml"), &changed);
    let ran = run_in(folder.path(), ARGS).ok();
    assert!(!ran.stderr.contains("resumed"), "{}", ran.stderr);
    let fresh = support::folder();
    write(&fresh.path().join("job.yaml"), &changed);
    run_in(fresh.path(), ARGS).ok();
    assert!(tables(&folder.path().join("out")) == tables(&fresh.path().join("out")));
}
