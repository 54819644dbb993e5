//! What the tests of the program share: they run the real binary in folders of their own.
#![allow(dead_code, reason = "every test file uses its own part of this")]

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use blockgrid_results::{TrialTable, read_trials};
use serde_json::{Value, json};

/// The tables of a run.
pub(crate) const TABLES: [&str; 3] = ["trials.parquet", "trades.parquet", "equity.parquet"];

/// The five examples and, for each, what makes it small enough for a build that is not optimised.
pub(crate) const EXAMPLES: [(&str, &[&str]); 5] = [
    ("sma-crossover", &["sweep.parameters.fast=5..50/15", "sweep.parameters.slow=[20, 60]"]),
    ("rsi-mean-reversion", &["sweep.parameters.oversold=[20, 30]", "sweep.parameters.stop=[0.02, 0.04]"]),
    ("donchian-breakout", &["sweep.parameters.channel=24..120/48", "sweep.parameters.multiple=[3, 5]"]),
    ("multi-timeframe-trend", &["sweep.parameters.days=[5, 20]"]),
    ("long-short-reversal", &["sweep.parameters.fast=[12, 48]", "sweep.parameters.slow=[48, 96, 240]"]),
];

/// Where the program under test keeps its catalogue: below the folder it runs in, so that every test has its own.
pub(crate) const HOME: &str = ".blockgrid";

/// The binary under test.
pub(crate) fn blockgrid() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_blockgrid"));
    command.env("BLOCKGRID_HOME", HOME);
    command
}

/// What a run of the program left behind.
#[derive(Debug)]
pub(crate) struct Ran {
    /// The exit code; `None` when a signal ended it.
    pub(crate) code: Option<i32>,
    /// Standard output.
    pub(crate) stdout: String,
    /// Standard error.
    pub(crate) stderr: String,
}

impl Ran {
    pub(crate) fn of(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("the program writes UTF-8");
        let ran =
            Self { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) };
        assert!(!ran.stderr.contains("panicked"), "{}", ran.stderr);
        ran
    }

    /// Asserts that it went well.
    pub(crate) fn ok(self) -> Self {
        assert_eq!(self.code, Some(0), "{self:#?}");
        self
    }

    /// Asserts the exit code of a failure, and that standard error holds every one of `parts`.
    pub(crate) fn fails(self, code: i32, parts: &[&str]) -> Self {
        assert_eq!(self.code, Some(code), "{self:#?}");
        for part in parts {
            assert!(self.stderr.contains(part), "`{part}` is not in:\n{}", self.stderr);
        }
        self
    }

    /// Standard output as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {}", self.stdout))
    }
}

/// Runs the program in `folder`.
pub(crate) fn run_in<S: AsRef<OsStr>>(folder: &Path, args: impl IntoIterator<Item = S>) -> Ran {
    Ran::of(blockgrid().current_dir(folder).args(args).output().unwrap())
}

/// The top of the checkout.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The manifest of an example.
pub(crate) fn example(name: &str) -> PathBuf {
    root().join("examples").join(format!("{name}.yaml"))
}

/// A folder of a test's own.
pub(crate) fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

/// A small job on the sample that is valid, and quick: four trials on a month of hours.
pub(crate) fn small() -> Value {
    json!({
        "apiVersion": "grid.blockbuilders.app/v1alpha1",
        "kind": "BacktestJob",
        "metadata": {"name": "small"},
        "spec": {
            "data": {
                "dataset": "sample", "symbols": ["SYN-A"], "interval": "1h", "from": "2024-01-01", "to": "2024-02-01",
            },
            "strategy": {
                "parameters": {"fast": 5, "slow": 20, "stop": 0.03},
                "define": {"fastMa": "sma(close, fast)", "slowMa": "sma(close, slow)"},
                "long": {"enter": "crosses_above(fastMa, slowMa)", "exit": "crosses_below(fastMa, slowMa)"},
                "risk": {"stopLoss": "stop"},
            },
            "sweep": {"parameters": {"fast": [5, 10], "slow": [20, 40]}, "objective": "total_return"},
        },
    })
}

/// Writes a manifest; JSON is YAML.
pub(crate) fn write(path: &Path, manifest: &Value) -> PathBuf {
    std::fs::write(path, serde_json::to_string_pretty(manifest).unwrap()).unwrap();
    path.to_owned()
}

/// The value at `pointer` (`/spec/data/from`), replaced or made; null removes a field.
pub(crate) fn with(mut manifest: Value, pointer: &str, value: Value) -> Value {
    let mut here = &mut manifest;
    for key in pointer.trim_start_matches('/').split('/') {
        if here.is_null() {
            *here = json!({});
        }
        here = &mut here[key];
    }
    *here = value;
    manifest
}

/// The bytes of a run's tables, by name.
pub(crate) fn tables(out: &Path) -> BTreeMap<&'static str, Vec<u8>> {
    TABLES.iter().map(|name| (*name, std::fs::read(out.join(name)).unwrap())).collect()
}

/// The trials of a run.
pub(crate) fn trials(out: &Path) -> TrialTable {
    read_trials(&out.join("trials.parquet")).unwrap()
}

/// Rows of a table as text, keyed by symbol and parameters: comparable without regard to their order.
pub(crate) fn rows(table: &TrialTable) -> BTreeMap<String, String> {
    (0..table.len())
        .map(|row| {
            let key = format!("{} {:?}", table.symbol[row], table.parameters_of(row));
            let bits: Vec<u64> = table.metrics[row].iter().map(|value| value.to_bits()).collect();
            let value = format!(
                "{:?} {bits:?} {} {}",
                table.first_bar[row], table.rejected_orders[row], table.deficit[row]
            );
            (key, value)
        })
        .collect()
}

/// Candles as CSV: `count` hours of 2024 that move a little.
pub(crate) fn csv(count: usize) -> String {
    let mut text = String::from("timestamp,open,high,low,close,volume\n");
    for line in csv_lines(count) {
        text.push_str(&line);
        text.push('\n');
    }
    text
}

/// The lines of [`csv`] without the header.
pub(crate) fn csv_lines(count: usize) -> Vec<String> {
    (0..count)
        .map(|i| {
            let close = |i: usize| 100.0 + ((i * 7) % 23) as f64 + ((i * 13) % 41) as f64 / 4.0;
            let (open, close) = (close(i), close(i + 1));
            let (high, low) = (open.max(close) + 1.0, open.min(close) - 1.0);
            let ms = 1_704_067_200_000 + i as i64 * 3_600_000;
            format!("{ms},{open},{high},{low},{close},{}", 10 + i % 5)
        })
        .collect()
}
