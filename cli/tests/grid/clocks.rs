//! No clock of a worker decides anything: two of them that differ by five minutes, or a year, do the same.

use std::path::{Path, PathBuf};

use crate::rig::{JOB, Rig, Worker, until};
use crate::support::skew::{began, skewed};

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs" || extension == "lua") {
            found.push(path);
        }
    }
}

/// Leases, locks and holds are timed by Redis; within a process time is monotonic. Calendar time would be the one that
/// machines disagree about: nothing that workers and the queue are made of asks for it, but for what people read.
#[test]
fn nobody_asks_for_the_time_of_day() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut files = Vec::new();
    for folder in ["worker/src", "grid/src", "planner/src", "cli/src/grid"] {
        sources(&root.join(folder), &mut files);
    }
    assert!(files.len() > 40, "{}", files.len());
    for file in files {
        let mut text = std::fs::read_to_string(&file).unwrap();
        if file.ends_with("grid/src/telemetry.rs") {
            // Spans say when something was, to people.
            text = text.replacen("SystemTime::now", "", 1);
        }
        for clock in ["SystemTime::now", "Utc::now", "Local::now", "UNIX_EPOCH", "Realtime"] {
            assert!(!text.contains(clock), "{} asks for {clock}", file.display());
        }
    }
}

/// One worker's clock is five minutes fast, another's five minutes slow. The fast one dies in the middle of its units, and the
/// slow one takes them over after the same silence as ever.
#[test]
fn workers_whose_clocks_differ_by_ten_minutes_do_the_same() {
    let Some(rig) = Rig::start() else { return };
    let (Some(fast), Some(slow)) = (skewed(300), skewed(-300)) else { return };
    let now = jiff::Timestamp::now().as_second();
    let ahead = |worker: &Worker| began(&worker.log()).parse::<jiff::Timestamp>().unwrap().as_second() - now;
    let mut job = rig.submit(JOB, "skewed");
    let stalls = [("BLOCKGRID_FAULTS".to_owned(), "stall:0".to_owned())];
    let mut fast = rig.worker_in("fast", &[], fast.into_iter().chain(stalls));
    until("claimed", || fast.counter("units_claimed_total") >= 2.0);
    fast.signal("KILL");
    fast.ended();
    let slow = rig.worker_in("slow", &[], slow);
    slow.await_log("taken over");
    rig.right(&mut job);
    let off = (ahead(&fast), ahead(&slow));
    assert!(off.0 >= 300 && (-300..-200).contains(&off.1), "their clocks were wrong: {off:?}");
}
