//! No clock of a worker decides anything: two of them that differ by five minutes, or a year, do the same.

use std::path::{Path, PathBuf};

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
/// machines disagree about: nothing that workers and the queue are made of asks for it.
#[test]
fn nobody_asks_for_the_time_of_day() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut files = Vec::new();
    for folder in ["worker/src", "grid/src", "planner/src", "cli/src/grid"] {
        sources(&root.join(folder), &mut files);
    }
    assert!(files.len() > 40, "{}", files.len());
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        for clock in ["SystemTime::now", "Utc::now", "Local::now", "UNIX_EPOCH", "Realtime"] {
            assert!(!text.contains(clock), "{} asks for {clock}", file.display());
        }
    }
}
