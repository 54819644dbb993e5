//! Programs whose clock is wrong, by libfaketime.

use std::path::PathBuf;

/// Where Debian's package `libfaketime` puts it, whatever the machine.
const FOLDERS: &str = "/usr/lib";

/// What a program's environment needs so that its clock is off by so many seconds: the time of day alone, as on a machine
/// whose clock is wrong. `None`, and a line that says so, where the library is not installed.
pub fn skewed(seconds: i64) -> Option<Vec<(String, String)>> {
    let Some(library) = library() else {
        println!("skipped: libfaketime is missing (apt-get install libfaketime), so no clock can be wrong");
        return None;
    };
    let pairs = [
        ("LD_PRELOAD", library.display().to_string()),
        ("FAKETIME", format!("{seconds:+}")),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
        ("NO_FAKE_STAT", "1".to_owned()),
    ];
    Some(pairs.map(|(name, value)| (name.to_owned(), value)).into())
}

fn library() -> Option<PathBuf> {
    let folders = std::fs::read_dir(FOLDERS).ok()?.filter_map(Result::ok).map(|entry| entry.path());
    folders.map(|folder| folder.join("faketime/libfaketime.so.1")).find(|path| path.exists())
}

/// When a program began, as its log of JSON has it: by its own clock.
pub fn began(log: &str) -> String {
    let line: serde_json::Value = serde_json::from_str(log.lines().next().unwrap()).unwrap();
    line["timestamp"].as_str().unwrap().to_owned()
}
