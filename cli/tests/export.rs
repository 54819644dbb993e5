//! `blockgrid data export`: a file of candles that is whole or not there, and reads back to the same candles.
#![allow(clippy::unwrap_used, reason = "helpers of tests panic where the test fails")]

mod support;

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use blockgrid_datasets::{Dataset, digest};
use support::{HOME, Ran, blockgrid, folder, run_in};

/// 70,000 minutes, more than a row group, with two gaps and a rate that is known now and then.
fn minutes() -> String {
    let mut text = String::from("timestamp,open,high,low,close,volume,funding_rate\n");
    for i in (0..70_100_i64).filter(|i| !(500..540).contains(i) && !(65_000..65_060).contains(i)) {
        let (open, close) = (100.0 + (i % 97) as f64 / 7.0, 100.0 + (i % 89) as f64 / 3.0);
        let (high, low) = (open.max(close) + 0.1, open.min(close) - 0.1);
        let rate = if i % 480 < 60 { String::new() } else { format!("{:?}", (i % 480) as f64 * -1e-7) };
        let at = 1_704_067_200_000 + i * 60_000;
        writeln!(text, "{at},{open:?},{high:?},{low:?},{close:?},{:?},{rate}", (i % 13) as f64 / 10.0)
            .unwrap();
    }
    text
}

/// A folder with the data set `candles`: the minutes of BTC-USD, every bit as written.
fn imported() -> tempfile::TempDir {
    let folder = folder();
    std::fs::write(folder.path().join("minutes.csv"), minutes()).unwrap();
    let args = ["data", "import", "minutes.csv", "--symbol", "BTC-USD", "--interval", "1m", "--exact"];
    run_in(folder.path(), args).ok();
    folder
}

const EXPORT: [&str; 5] = ["data", "export", "candles", "--symbol", "BTC-USD"];

fn export(folder: &Path, args: &[&str]) -> Ran {
    run_in(folder, EXPORT.iter().chain(args))
}

fn data_set(folder: &Path, name: &str) -> Dataset {
    Dataset::open(folder.join(HOME).join("datasets").join(name).to_str().unwrap()).unwrap()
}

/// Digest and bits of the column beside OHLCV of what the data set has, and how many candles.
fn candles(folder: &Path, name: &str, interval: &str) -> (String, Vec<u64>, usize) {
    let interval = interval.parse().unwrap();
    let candles =
        data_set(folder, name).read_with("BTC-USD", interval, None, None, &["funding_rate"]).unwrap();
    let bits = candles.columns()[0].1.iter().map(|value| value.to_bits()).collect();
    (digest("BTC-USD", &candles), bits, candles.len())
}

#[test]
fn what_is_exported_and_imported_again_is_the_same() {
    let folder = imported();
    let folder = folder.path();
    for (interval, count) in [("1m", 70_000), ("5m", 14_000), ("1h", 1_168)] {
        let before = candles(folder, "candles", interval);
        assert!(before.1.iter().any(|&bits| f64::from_bits(bits).is_nan()));
        for format in ["csv", "parquet"] {
            let (file, name) = (format!("x{interval}.{format}"), format!("from-{format}-{interval}"));
            let ran = export(folder, &["--interval", interval, "-o", &file]).ok();
            assert!(ran.stdout.contains(&format!("BTC-USD {interval}: ")), "{}", ran.stdout);
            assert_eq!(ran.stderr, "", "no progress bar where there is no terminal");
            run_in(folder, ["data", "import", &file, "--symbol", "BTC-USD", "--dataset", &name, "--exact"])
                .ok();
            let after = candles(folder, &name, interval);
            assert!(after == before, "{file}: {} {:?}, {} {:?}", after.0, after.2, before.0, before.2);
            assert_eq!(after.2, count, "{file}");
        }
    }
    // A whole partition is the file of the data set, byte for byte.
    let entry = data_set(folder, "candles").manifest().files[0].path.clone();
    let stored = std::fs::read(folder.join(HOME).join("datasets/candles").join(entry)).unwrap();
    assert!(stored == std::fs::read(folder.join("x1m.parquet")).unwrap());
}

#[test]
fn ranges_and_columns_are_chosen() {
    let folder = imported();
    let range = ["--interval", "1h", "--from", "2024-01-01T08:00:00Z", "--to", "2024-01-01T10:00:00Z"];
    let text = |args: &[&str]| {
        let all: Vec<&str> = range.iter().chain(args).copied().chain(["-o", "x.csv", "--force"]).collect();
        export(folder.path(), &all).ok();
        std::fs::read_to_string(folder.path().join("x.csv")).unwrap()
    };
    let all = text(&[]);
    let lines: Vec<&str> = all.lines().collect();
    assert_eq!(lines[0], "timestamp,open,high,low,close,volume,funding_rate");
    assert_eq!(lines.len(), 3, "{all}");
    // The gap from 08:20 to 09:00 leaves 20 minutes of the first hour, whose rates begin with minute 480.
    assert!(lines[1].starts_with("2024-01-01T08:00:00Z,") && lines[1].ends_with(','), "{all}");
    assert!(lines[2].starts_with("2024-01-01T09:00:00Z,") && lines[2].ends_with(",-1.19e-5"), "{all}");
    assert_eq!(text(&["--columns", "funding_rate"]), all);
    let plain: String = all.lines().map(|line| format!("{}\n", &line[..line.rfind(',').unwrap()])).collect();
    assert_eq!(text(&["--columns", ""]), plain);
}

/// The files beside the data set's.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    files.sort();
    files
}

#[test]
fn what_cannot_be_exported_is_refused_and_leaves_nothing() {
    let folder = imported();
    let folder = folder.path();
    std::fs::write(folder.join("old.csv"), "mine").unwrap();
    let before = files(folder);
    let bad = |args: &[&str], parts: &[&str]| {
        let found = run_in(folder, ["data", "export"].iter().chain(args)).fails(2, parts);
        assert_eq!(files(folder), before, "{args:?}");
        assert_eq!(std::fs::read_to_string(folder.join("old.csv")).unwrap(), "mine");
        found
    };
    let ours = |args: &[&str], parts: &[&str]| {
        let all: Vec<&str> = EXPORT[2..].iter().chain(args).copied().collect();
        bad(&all, parts);
    };
    ours(
        &["--interval", "1m", "-o", "old.csv"],
        &["--out: `old.csv` exists", "replace the file with --force"],
    );
    ours(&["--interval", "1m", "-o", "x.txt"], &["--out: `x.txt` has the extension .txt"]);
    ours(&["--interval", "1m", "-o", "none/x.csv"], &["--out: ", "`none` does not exist: make it first"]);
    ours(&["--interval", "30s", "-o", "x.csv"], &["--interval: ", "no 30s candles of `BTC-USD`, only 1m"]);
    ours(
        &["--interval", "1m", "--columns", "oi", "-o", "x.csv"],
        &["--columns: ", "no column `oi`", "it has `funding_rate`"],
    );
    ours(
        &["--interval", "1m", "--columns", "funding_rate,Funding_Rate", "-o", "x.csv"],
        &["--columns: `Funding_Rate` is named twice"],
    );
    ours(
        &["--interval", "1m", "--from", "2024-02-01", "--to", "2024-01-01", "-o", "x.csv"],
        &["--to: is 2024-01-01, but must be after --from, which is 2024-02-01"],
    );
    // With --force, too, the file is replaced when there is something to replace it.
    ours(
        &["--interval", "1m", "--from", "2030-01-01", "-o", "old.csv", "--force"],
        &["--from: ", "in the asked range: they reach from 2024-01-01T00:00:00Z to"],
    );
    bad(
        &["candles", "--symbol", "ETH", "--interval", "1m", "-o", "x.csv"],
        &["--symbol: symbol `ETH` is not in", "`BTC-USD`"],
    );
    bad(
        &["candels", "--symbol", "BTC-USD", "--interval", "1m", "-o", "x.csv"],
        &["NAME|DIR: `candels` is neither", "did you mean `candles`?"],
    );
    bad(
        &["minutes.csv", "--symbol", "BTC-USD", "--interval", "1m", "-o", "x.csv"],
        &["NAME|DIR: `minutes.csv` is a file", "blockgrid data import minutes.csv"],
    );
    export(folder, &["--interval", "1d", "-o", "old.csv", "--force"]).ok();
    assert!(std::fs::read_to_string(folder.join("old.csv")).unwrap().starts_with("timestamp,open"));
    assert_eq!(files(folder), before);
}

#[cfg(unix)]
#[test]
fn a_disk_that_is_full_leaves_the_old_file() {
    let folder = imported();
    for name in ["old.csv", "old.parquet"] {
        std::fs::write(folder.path().join(name), "mine").unwrap();
        let before = files(folder.path());
        // A file may have 8 KiB: writing beyond fails as on a full disk.
        let output = Command::new("sh")
            .current_dir(folder.path())
            .env("BLOCKGRID_HOME", HOME)
            .args(["-c", "trap '' XFSZ; ulimit -f 16; exec \"$0\" \"$@\""])
            .arg(blockgrid().get_program())
            .args(EXPORT)
            .args(["--interval", "1m", "--force", "-o", name])
            .output()
            .unwrap();
        Ran::of(output).fails(1, &[name, "cannot be written"]);
        assert_eq!(files(folder.path()), before);
        assert_eq!(std::fs::read_to_string(folder.path().join(name)).unwrap(), "mine");
    }
}
