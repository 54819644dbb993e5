//! `blockgrid data import`: files of any dialect into a data set, and what is left when it is broken off or cannot be.
#![allow(clippy::unwrap_used, reason = "helpers of tests panic where the test fails")]

mod support;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use support::{HOME, Ran, blockgrid, csv, folder, run_in};

/// Every file of the data set `candles` with its bytes.
fn state(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    let mut open = vec![folder.join(HOME).join("datasets/candles")];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                open.push(path);
            } else {
                found.push((path.clone(), std::fs::read(&path).unwrap()));
            }
        }
    }
    found.sort();
    found
}

/// A folder with a data set of one symbol.
fn imported() -> tempfile::TempDir {
    let folder = folder();
    std::fs::write(folder.path().join("btc_usd_1h.csv"), csv(200)).unwrap();
    run_in(folder.path(), ["data", "import", "btc_usd_1h.csv"]).ok();
    folder
}

/// Minutes of four years, which take a while.
fn many() -> String {
    let line =
        |i: i64| format!("{},{},{},99.5,100.25,{i}\n", 1_609_459_200 + i * 60, 100 + i % 3, 103 + i % 5);
    format!("time,open,high,low,close,volume\n{}", (0..2_000_000).map(line).collect::<String>())
}

#[test]
fn what_is_found_is_shown_and_the_data_set_is_known_by_name() {
    let folder = folder();
    std::fs::write(folder.path().join("btc_usd_1h.csv"), csv(200)).unwrap();
    let first = run_in(folder.path(), ["data", "import", "btc_usd_1h.csv"]).ok();
    for part in [
        "format    CSV, `,` between fields, header on line 1",
        "columns   timestamp, open, high, low, close, volume",
        "time      milliseconds since 1970, oldest first",
        "candles   BTC-USD at 1h",
        "BTC-USD 1h: 200 candles from 2024-01-01T00:00:00Z to",
        ": 200 added",
    ] {
        assert!(first.stdout.contains(part), "`{part}` is not in: {}", first.stdout);
    }
    assert_eq!(first.stderr, "", "no progress bar where there is no terminal");
    let before = state(folder.path());
    let again = run_in(folder.path(), ["data", "import", "btc_usd_1h.csv"]).ok();
    assert!(again.stdout.contains(": nothing changed"), "{}", again.stdout);
    assert_eq!(state(folder.path()), before);
    assert!(run_in(folder.path(), ["data", "ls"]).ok().stdout.contains("candles"));
    run_in(folder.path(), ["data", "verify", "candles"]).ok();
}

#[test]
fn bad_files_are_refused_by_file_line_and_remedy_and_change_nothing() {
    let folder = imported();
    let before = state(folder.path());
    let mut backwards: Vec<String> = csv(100).lines().map(str::to_owned).collect();
    backwards.swap(50, 60);
    let text = csv(20).replace(",10,", ",ten,").replace(",11\n", ",eleven\n");
    let bytes = |text: &str| text.as_bytes().to_vec();
    for (name, content, parts) in [
        (
            "garbage.csv",
            (0..50_000_u32).map(|i| ((i * 7919) >> 3) as u8).collect(),
            &["`garbage.csv` line", "is binary"][..],
        ),
        ("text.csv", bytes(&text), &["`text.csv` line", "column `volume`: `eleven` is not a number"]),
        ("column.csv", bytes("hello\nworld\n"), &["`column.csv` line 1", "--delimiter"]),
        ("back.csv", bytes(&backwards.join("\n")), &["`back.csv`", "line 52", "out of order"]),
        ("empty.csv", Vec::new(), &["`empty.csv` has no candles"]),
        ("cut.parquet", b"PAR1 and no more".to_vec(), &["`cut.parquet` is not a Parquet file"]),
        ("cut.csv", bytes(csv(50).trim_end_matches(|c| c != ',')), &["`cut.csv` line 51", "missing"]),
        (
            "units.csv",
            bytes(&format!("{}1704880000,1,1,1,1,1\n", csv(5))),
            &["`units.csv` line 7, column `timestamp`", "counts seconds", "in two files"],
        ),
    ] {
        std::fs::write(folder.path().join(name), content).unwrap();
        run_in(folder.path(), ["data", "import", name]).fails(2, parts);
        assert_eq!(state(folder.path()), before, "{name}");
    }
    run_in(folder.path(), ["data", "import", "none.csv"]).fails(2, &["`none.csv` does not exist"]);
    run_in(folder.path(), ["data", "import", "btc_usd_1h.csv", "--dataset", "sample"])
        .fails(2, &["--dataset"]);
    run_in(folder.path(), ["data", "import", "btc_usd_1h.csv", "--columns", "t,o,h"])
        .fails(2, &["--columns"]);
    assert_eq!(state(folder.path()), before);
}

#[cfg(unix)]
#[test]
fn an_import_that_is_killed_leaves_the_old_state() {
    let folder = imported();
    let before = state(folder.path());
    std::fs::write(folder.path().join("eth_usd_1m.csv"), many()).unwrap();
    let set = folder.path().join(HOME).join("datasets/candles");
    let mut child = blockgrid()
        .current_dir(folder.path())
        .args(["data", "import", "eth_usd_1m.csv"])
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    // Killed when it has begun to write, or has ended before that was seen.
    while !set.join(".writing").exists() && child.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_millis(1));
    }
    let ended = child.try_wait().unwrap().is_some();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!ended, "the import was over before it could be killed");
    let staged = set.join(".writing");
    let now: Vec<_> =
        state(folder.path()).into_iter().filter(|(path, _)| !path.starts_with(&staged)).collect();
    assert_eq!(now, before);
    run_in(folder.path(), ["data", "verify", "candles"]).ok();
    run_in(folder.path(), ["data", "import", "btc_usd_1h.csv"]).ok();
    assert_eq!(state(folder.path()), before, "the next import sweeps up");
}

#[cfg(unix)]
#[test]
fn a_disk_that_is_full_leaves_the_old_state() {
    let folder = imported();
    let before = state(folder.path());
    std::fs::write(folder.path().join("eth_usd_1m.csv"), many()).unwrap();
    // A file may have 64 KiB: writing beyond fails as on a full disk.
    let program = blockgrid().get_program().to_owned();
    let output = Command::new("sh")
        .current_dir(folder.path())
        .env("BLOCKGRID_HOME", HOME)
        .args(["-c", "trap '' XFSZ; ulimit -f 128; exec \"$0\" data import eth_usd_1m.csv"])
        .arg(program)
        .output()
        .unwrap();
    Ran::of(output).fails(1, &["the data set is as it was", "cannot be written", "candles/.writing"]);
    assert_eq!(state(folder.path()), before);
}

#[cfg(unix)]
#[test]
fn a_folder_that_cannot_be_written_is_named() {
    use std::os::unix::fs::PermissionsExt;
    let folder = imported();
    let before = state(folder.path());
    let set = folder.path().join(HOME).join("datasets/candles");
    let mode = |mode| std::fs::set_permissions(&set, std::fs::Permissions::from_mode(mode)).unwrap();
    mode(0o555);
    if std::fs::write(set.join("probe"), "").is_ok() {
        eprintln!("skipped: this user may write everywhere");
        std::fs::remove_file(set.join("probe")).unwrap();
        mode(0o755);
        return;
    }
    std::fs::write(folder.path().join("eth_usd_1h.csv"), csv(100)).unwrap();
    let ran = run_in(folder.path(), ["data", "import", "eth_usd_1h.csv"]);
    mode(0o755);
    ran.fails(2, &["cannot be written", "candles"]);
    assert_eq!(state(folder.path()), before);
}
