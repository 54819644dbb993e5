//! `blockgrid crds`: what it prints, and what a real API server makes of it.
#![allow(clippy::unwrap_used, reason = "helpers of tests panic where the test fails")]

mod support;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use support::{EXAMPLES, example, folder, root, run_in, small, with};

#[test]
fn both_definitions_are_printed_and_the_chart_has_them() {
    let all = run_in(&root(), ["crds"]).ok().stdout;
    let parts =
        ["backtestjobs", "backtestbudgets"].map(|name| run_in(&root(), ["crds", "--name", name]).ok().stdout);
    assert_eq!(all, parts.join("---\n"));
    for (name, text) in ["backtestjobs", "backtestbudgets"].iter().zip(&parts) {
        let file = root().join(format!("charts/blockgrid/files/crds/{name}.yaml"));
        assert!(std::fs::read_to_string(&file).unwrap() == *text, "{}: make write-generated", file.display());
    }
    assert_eq!(run_in(&root(), ["crds", "--name", "btj"]).ok().stdout, parts[0]);
    run_in(&root(), ["crds", "--name", "jobs"])
        .fails(2, &["--name: `jobs` is none: write backtestjobs or backtestbudgets"]);
}

/// A control plane of the test's own, if Kubernetes is built; it ends with the test.
struct Server {
    folder: tempfile::TempDir,
    scripts: PathBuf,
    kubectl: PathBuf,
}

impl Server {
    fn start() -> Option<Self> {
        let scripts = root().join("dev/cluster");
        let built = Command::new("bash").arg(scripts.join("build.sh")).arg("find").output().unwrap();
        if !built.status.success() {
            eprintln!("skipped: Kubernetes is not built (bash tools/setup.sh)");
            return None;
        }
        let kubectl = Path::new(String::from_utf8(built.stdout).unwrap().trim()).join("kubectl");
        let server = Self { folder: folder(), scripts, kubectl };
        let until = std::process::id().to_string();
        // Not `output()`: what it starts may keep the pipes.
        assert!(server.cluster(&["up", "--until", &until]).success());
        Some(server)
    }

    fn cluster(&self, args: &[&str]) -> std::process::ExitStatus {
        let mut command = Command::new("bash");
        command.arg(self.scripts.join("cluster.sh")).args(args).stdout(Stdio::null());
        command.env("CLUSTER_DIR", self.folder.path().join("cluster")).status().unwrap()
    }

    /// Whether it went well, and what was said.
    fn kubectl(&self, args: &[&str], input: &str) -> (bool, String) {
        let cluster = self.folder.path().join("cluster");
        let mut command = Command::new(&self.kubectl);
        command
            .args(args)
            .env("KUBECONFIG", cluster.join("kubeconfig"))
            .env("KUBECACHEDIR", cluster.join("kubectl"));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
        (output.status.success(), text)
    }

    fn ok(&self, args: &[&str], input: &str) -> String {
        let (ok, text) = self.kubectl(args, input);
        assert!(ok, "kubectl {}: {text}", args.join(" "));
        text
    }

    /// Tries an object, and expects it to be refused with these words, or taken if there are none.
    fn tries(&self, verb: &str, object: &Value, expected: &str) {
        let (ok, text) = self.kubectl(&[verb, "--dry-run=server", "-f", "-"], &object.to_string());
        let said = text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(ok == expected.is_empty() && said.contains(expected), "`{expected}` is not in: {said}");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.cluster(&["down", "--purge"]);
    }
}

const LONG: &str = "/spec/strategy/long";
const DURATION: &str = "must be a duration such as 90s, 30m, 2h or 7d, from";
const FIXED: &str = "a job keeps what it computes: only suspend, cancel, ttl and compute.maxWorkers";

#[test]
fn an_api_server_takes_definitions_and_jobs_and_says_what_is_wrong() {
    let Some(server) = Server::start() else { return };
    let definitions = run_in(&root(), ["crds"]).ok().stdout;
    server.ok(&["apply", "-f", "-"], &definitions);
    server.ok(&["delete", "-f", "-"], &definitions);
    server.ok(&["apply", "--server-side", "-f", "-"], &definitions);
    server.ok(&["apply", "--server-side", "-f", "-"], &definitions);
    server.ok(&["wait", "--for=condition=Established", "--timeout=30s", "crd", "--all"], "");
    // Its paths are served a moment after it says so.
    let served = |_: &i32| {
        server.kubectl(&["get", "btj,btb"], "").0 || {
            std::thread::sleep(std::time::Duration::from_millis(100));
            false
        }
    };
    assert!((0..100).any(|i| served(&i)));

    for (name, _) in EXAMPLES {
        server.ok(&["apply", "-f", example(name).to_str().unwrap()], "");
        server
            .ok(&["apply", "--server-side", "--force-conflicts", "-f", example(name).to_str().unwrap()], "");
    }
    created(&server);
    changed(&server);
    shown(&server);
    budgets(&server);
}

/// What a new job may be.
fn created(server: &Server) {
    server.ok(&["apply", "-f", "-"], &small().to_string());
    let stored: Value = serde_json::from_str(&server.ok(&["get", "btj", "small", "-o", "json"], "")).unwrap();
    let job = |object: &Value| blockgrid_job::of_value(object, |_| false).unwrap().spec().clone();
    assert_eq!(job(&stored), job(&small()), "what the server makes of a job is the job");
    assert_eq!(stored["spec"]["data"]["quality"], "strict");

    let new = || with(small(), "/metadata/name", json!("new"));
    server.tries("create", &new(), "");
    let full = with(
        new(),
        "/spec/compute",
        json!({"class": "spot", "maxWorkers": 1000, "maxCostUsd": 0.5, "deadline": "30d"}),
    );
    server.tries("create", &with(full, "/spec/ttl", json!("0s")), "");
    for (pointer, value, expected) in [
        (
            "/spec/data/dataset",
            Value::Null,
            "spec.data.dataset: Required value: names no candles: give dataset",
        ),
        (
            "/spec/data/file",
            json!("a.csv"),
            "spec.data.file: Forbidden: a cluster job opens registered data sets only: register it, and name it as spec.data.dataset",
        ),
        (
            "/spec/data/dataset",
            json!("s3://b/a"),
            "spec.data.dataset: Forbidden: a cluster job opens registered data sets only",
        ),
        (
            "/spec/data/interval",
            Value::Null,
            "spec.data.interval: Required value: is missing: name the candles' length",
        ),
        ("/spec/data/interval", json!("1 hour"), "spec.data.interval: Invalid value"),
        (
            "/spec/data",
            json!({"dataset": "sample", "interval": "1h", "from": "2025-01-01T00:00:00Z", "to": "2024-01-01T00:00:00.5Z"}),
            "spec.data.from: Invalid value: \"object\": is not before `to`",
        ),
        (
            "/spec/data",
            json!({"dataset": "sample", "interval": "1h", "from": "2025-01-01T00:00:00Z", "to": "2024-01-01"}),
            "",
        ),
        (
            "/spec/data",
            json!({"dataset": "sample", "interval": "1h", "from": "2024-01-01T00:00:00Z", "to": "2024-01-01T00:00:01Z"}),
            "",
        ),
        (LONG, Value::Null, "neither `long` nor `short` is given: add one with its `enter`"),
        ("/spec/strategy/long/enter", Value::Null, "spec.strategy.long.enter: Required value"),
        ("/spec/strategy/long/enter", json!("x".repeat(8193)), "spec.strategy.long.enter: Too long"),
        ("/spec/strategy/parameters/unset", Value::Null, ""),
        (
            "/spec/strategy/parameters/fast",
            json!("5"),
            "spec.strategy.parameters.fast in body must be of type number",
        ),
        ("/spec/strategy/size", json!({"quote": 1, "base": 2}), "spec.strategy.size: Too many"),
        ("/spec/sweep/objective", json!({"metric": "sharpe"}), ""),
        ("/spec/sweep/where", json!(true), ""),
        ("/spec/wibble", json!(1), "unknown field \"spec.wibble\""),
        (
            "/spec/analysis",
            json!({"walkForward": 1}),
            "spec.analysis: Forbidden: this build has no analysis yet",
        ),
        ("/spec/compute/deadline", json!("31d"), DURATION),
        ("/spec/compute/deadline", json!("soon"), DURATION),
        ("/spec/compute/deadline", json!("0s"), DURATION),
        ("/spec/compute/maxWorkers", json!(0), "should be greater than or equal to 1"),
        ("/spec/compute/maxCostUsd", json!(0), "spec.compute.maxCostUsd in body should be greater than"),
        ("/spec/compute/class", json!("-"), "spec.compute.class in body should match"),
        ("/spec/ttl", json!("366d"), DURATION),
        ("/spec/cancel", json!("yes"), "spec.cancel in body must be of type boolean"),
        ("/spec/suspend", json!(true), ""),
    ] {
        server.tries("create", &with(new(), pointer, value), expected);
    }
}

/// What of a job may be changed.
fn changed(server: &Server) {
    for (pointer, value, expected) in [
        ("/spec/data/symbols", json!(["SYN-B"]), FIXED),
        ("/spec/data/to", json!("2024-03-01"), FIXED),
        ("/spec/data/quality", json!("strict"), ""),
        ("/spec/strategy/define/slowMa", json!("ema(close, slow)"), FIXED),
        ("/spec/strategy/long/enter", json!("close > open"), FIXED),
        ("/spec/strategy/long/exit", Value::Null, FIXED),
        ("/spec/strategy/risk/stopLoss", json!({"percent": 3}), FIXED),
        ("/spec/strategy/size", json!({"quote": 100}), FIXED),
        ("/spec/strategy/parameters/more", json!(1), FIXED),
        ("/spec/execution", json!({"fill": "close"}), FIXED),
        ("/spec/sweep/parameters/fast", json!([5, 10, 15]), FIXED),
        ("/spec/sweep/parameters", json!({"fast": [5, 10]}), FIXED),
        ("/spec/sweep/objective", json!("sharpe"), FIXED),
        ("/spec/sweep", Value::Null, FIXED),
        ("/spec/output", json!({"top": 3}), FIXED),
        ("/spec/compute", json!({"class": "spot"}), FIXED),
        ("/spec/compute", json!({"class": "standard"}), ""),
        ("/spec/compute", json!({"maxWorkers": 3, "maxCostUsd": 1, "deadline": "1h"}), ""),
        ("/spec/suspend", json!(true), ""),
        ("/spec/cancel", json!(true), ""),
        ("/spec/ttl", json!("1h"), ""),
        ("/metadata/labels", json!({"a": "b"}), ""),
    ] {
        server.tries("apply", &with(small(), pointer, value.clone()), expected);
        server.tries("replace", &with(small(), pointer, value), expected);
    }
    let cancelled = with(with(small(), "/metadata/name", json!("cancelled")), "/spec/cancel", json!(true));
    server.ok(&["apply", "-f", "-"], &cancelled.to_string());
    server.tries(
        "apply",
        &with(cancelled.clone(), "/spec/cancel", json!(false)),
        "cancel cannot be taken back",
    );
    server.tries(
        "replace",
        &with(cancelled.clone(), "/spec/cancel", Value::Null),
        "cancel cannot be taken back",
    );
    server.tries("apply", &with(cancelled, "/spec/ttl", json!("1h")), "");
}

/// What people see.
fn shown(server: &Server) {
    let status = json!({"status": {
        "phase": "Running", "progress": "12/200", "best": "sharpe 1.23", "cost": "$0.0123", "workers": 4,
        "lane": "pool", "trials": 400, "message": "computing",
        "conditions": [{"type": "Finished", "status": "False", "reason": "Running", "message": "", "lastTransitionTime": "2026-01-05T00:00:00Z"}],
    }});
    let patch = ["patch", "btj", "small", "--subresource=status", "--type=merge", "-p"];
    server.ok(&[&patch[..], &[&status.to_string()]].concat(), "");
    let line = |text: String, at: usize| {
        text.lines().nth(at).unwrap().split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    let wide = server.ok(&["get", "btj", "small", "-o", "wide"], "");
    let columns =
        ["NAME", "PHASE", "PROGRESS", "BEST", "COST", "WORKERS", "AGE", "LANE", "TRIALS", "MESSAGE"];
    assert_eq!(line(wide.clone(), 0), columns);
    let row = line(wide, 1);
    assert_eq!(row[..7], ["small", "Running", "12/200", "sharpe", "1.23", "$0.0123", "4"]);
    assert_eq!(row[8..], ["pool", "400", "computing"]);
    assert_eq!(line(server.ok(&["get", "btj"], ""), 0), columns[..7]);
    let wrong = json!({"status": {"phase": "Done"}}).to_string();
    assert!(!server.kubectl(&[&patch[..], &[&wrong]].concat(), "").0);
    let explained = server.ok(&["explain", "btj.spec.strategy"], "");
    for words in ["parameters\t<map[string]number>", "long\t<Object>", "How much is bought: allIn"] {
        assert!(explained.contains(words), "{words} is not in {explained}");
    }
}

fn budgets(server: &Server) {
    let budget = json!({
        "apiVersion": "grid.blockbuilders.app/v1alpha1", "kind": "BacktestBudget", "metadata": {"name": "team"},
        "spec": {"monthlyUsd": 8000},
    });
    server.ok(&["apply", "-f", "-"], &budget.to_string());
    server.tries("apply", &with(budget.clone(), "/spec/monthlyUsd", json!(0)), "should be greater than");
    server.tries(
        "apply",
        &with(budget.clone(), "/spec/hardAction", json!("Stop")),
        "supported values: \"Hold\", \"Drain\"",
    );
    server.tries(
        "apply",
        &with(budget, "/spec/softPercent", json!([0])),
        "should be greater than or equal to 1",
    );
    let status = json!({"status": {"limit": "$8,000.00", "spent": "$1.00", "reserved": "$2.00", "projected": "$3.00", "remainingMicroUsd": -1}});
    let patch = ["patch", "btb", "team", "--subresource=status", "--type=merge", "-p"];
    server.ok(&[&patch[..], &[&status.to_string()]].concat(), "");
    let shown = server.ok(&["get", "btb"], "");
    for word in ["LIMIT", "SPENT", "RESERVED", "PROJECTED", "AGE", "$8,000.00"] {
        assert!(shown.contains(word), "{word} is not in {shown}");
    }
}
