//! The README's own steps and what may go wrong on the way, on two real nodes: the chart installed with the image that
//! `make image` writes, jobs applied by kubectl, results fetched by links and compared with those of `blockgrid run`.
//!
//! One test, because the machine has room for one such cluster; its steps say what they are about. `BLOCKGRID_IMAGE` names
//! the image; without it the test is skipped, and says so.
#![allow(clippy::unwrap_used, reason = "helpers of tests panic where the test fails")]

mod cluster;
#[path = "../support/mod.rs"]
mod support;

use std::path::Path;
use std::time::{Duration, Instant};

use cluster::Cluster;
use serde_json::{Value, json};
use support::{root, run_in};

const TEAM: &str = "team-a";

#[test]
fn jobs_run_on_two_nodes_whatever_happens() {
    let Some(cluster) = Cluster::start() else { return };
    step("the chart is installed", || {
        cluster.install(&[]);
        cluster.kubectl(&["-n", "blockgrid", "get", "btb", "grid"]);
        cluster.kubectl(&["create", "namespace", TEAM]);
        cluster.kubectl(&["label", "namespace", TEAM, "pod-security.kubernetes.io/enforce=restricted"]);
    });
    step("a small job: apply, wait, results", || small_job(&cluster));
    step("a big job, and everything that can go wrong under it", || big_job(&cluster));
    step("what people do to jobs", || people(&cluster));
    step("money", || money(&cluster));
    step("an upgrade in the middle of jobs of both lanes", || upgrade(&cluster));
}

fn step(what: &str, run: impl FnOnce()) {
    let started = Instant::now();
    eprintln!("== {what}");
    run();
    eprintln!("   {:.1} s", started.elapsed().as_secs_f64());
}

/// The bytes of `blockgrid run`, which every lane has to give.
fn same_bytes(cluster: &Cluster, manifest: &str, name: &str) {
    let (here, there) = (support::folder(), support::folder());
    let file = here.path().join("job.yaml");
    std::fs::write(&file, manifest).unwrap();
    run_in(here.path(), ["run", "job.yaml", "-o", "out"]).ok();
    cluster.blockgrid(&["cluster", "-n", TEAM, "results", name, "-o", there.path().to_str().unwrap()]);
    for table in ["trials.parquet", "trades.parquet", "equity.parquet"] {
        let read = |folder: &Path| std::fs::read(folder.join(table)).unwrap();
        assert!(read(&here.path().join("out")) == read(there.path()), "{table} of {name} has other bytes");
    }
    assert!(there.path().join("report.html").exists());
}

fn small_job(cluster: &Cluster) {
    let example = std::fs::read_to_string(root().join("examples/sma-crossover.yaml")).unwrap();
    let started = Instant::now();
    cluster.apply(TEAM, &example);
    cluster.kubectl(&["-n", TEAM, "wait", "--for=condition=Finished", "btj/sma-crossover", "--timeout=60s"]);
    eprintln!("   apply to Finished: {:.2} s", started.elapsed().as_secs_f64());
    assert_eq!(cluster.phase("sma-crossover"), "Succeeded");
    assert_eq!(cluster.status("sma-crossover")["lane"], "interactive");
    same_bytes(cluster, &example, "sma-crossover");
}

/// A sweep of so many parameter sets that it gets workers of its own; `noise` makes it one that no other job has computed.
fn big(name: &str, noise: f64) -> String {
    format!(
        "
apiVersion: grid.blockbuilders.app/v1alpha1
kind: BacktestJob
metadata: {{name: {name}}}
spec:
  data: {{dataset: sample, symbols: [SYN-A, SYN-B], interval: 1h}}
  strategy:
    parameters: {{fast: 10, slow: 50, stop: 0.03}}
    define: {{f: 'ema(close, fast)', s: 'ema(close, slow)'}}
    long: {{enter: 'crosses_above(f, s) && close > {noise}', exit: 'crosses_below(f, s)'}}
    risk: {{stopLoss: stop}}
  sweep:
    parameters:
      fast: {{from: 2, to: 61, step: 1}}
      slow: {{from: 20, to: 400, step: 2}}
      stop: [0.01, 0.02, 0.03, 0.05]
    where: fast < slow
  compute: {{maxWorkers: 4}}
  output: {{top: 5}}
"
    )
}

fn big_job(cluster: &Cluster) {
    let manifest = big("big", 0.5);
    cluster.apply(TEAM, &manifest);
    cluster.until("workers of the job are ready", Duration::from_secs(90), || {
        cluster.status("big")["workers"].as_i64().unwrap_or(0) >= 2
    });
    let uid = cluster.get(TEAM, "btj/big")["metadata"]["uid"].as_str().unwrap().to_owned();
    let label = format!("grid.blockbuilders.app/job-uid={uid}");
    let spread = cluster.kubectl(&["-n", "blockgrid", "get", "pods", "-l", &label, "-o", "json"]);
    let spread: Value = serde_json::from_str(&spread).unwrap();
    let nodes: std::collections::BTreeSet<_> =
        spread["items"].as_array().unwrap().iter().map(|pod| pod["spec"]["nodeName"].to_string()).collect();
    eprintln!("   workers on {nodes:?}");
    cluster.node(0, &["pkill", "-9", "-f", "blockgrid-worker --job", "--oldest"]);
    eprintln!("   a worker was killed");
    cluster.flush_redis();
    eprintln!("   Redis was emptied");
    let leader = cluster.leader();
    cluster.kubectl(&["-n", "blockgrid", "delete", "pod", &leader, "--grace-period=0", "--force"]);
    eprintln!("   the leader {leader} was killed");
    let pods = cluster.kubectl(&["-n", "blockgrid", "get", "pods", "-l", &label, "-o", "name"]);
    if let Some(pod) = pods.lines().next_back() {
        cluster.kubectl(&["-n", "blockgrid", "delete", pod, "--wait=false"]);
        eprintln!("   a worker was told to go");
    }
    cluster.node(1, &["pkill", "-9", "kubelet"]);
    eprintln!("   a kubelet was killed");
    cluster.until("the job ends", Duration::from_secs(400), || cluster.is_finished("big"));
    assert_eq!(cluster.phase("big"), "Succeeded", "{}", cluster.status("big"));
    cluster.mend_node(1);
    same_bytes(cluster, &manifest, "big");
    // What was held is given back when its pods are gone, and what it cost stands in the ledger once.
    cluster.until("the job is settled", Duration::from_secs(180), || {
        cluster.status("big")["reservedMicroUsd"].is_null()
    });
    let status = cluster.status("big");
    assert!(status["spentMicroUsd"].as_u64().unwrap() > 0, "{status}");
    let jobs = cluster.kubectl(&["-n", "blockgrid", "get", "jobs", "-l", &label, "-o", "name"]);
    assert_eq!(jobs, "", "the pool is gone");
    let budget = cluster.get("blockgrid", "btb/grid");
    assert_eq!(budget["status"]["reservedMicroUsd"], 0, "{budget}");
}

fn people(cluster: &Cluster) {
    let why = |name: &str| cluster.blockgrid(&["cluster", "-n", TEAM, "why", name]);
    // A strategy that does not compile: the text of `blockgrid validate`.
    let bad = big("bad", 1.0).replace("'ema(close, fast)'", "'emma(close, fast)'");
    cluster.apply(TEAM, &bad);
    cluster.until("the bad job fails", Duration::from_secs(20), || cluster.is_finished("bad"));
    let said = cluster.condition("bad", "Failed");
    assert_eq!((said.0.as_str(), said.1.as_str()), ("True", "InvalidSpec"));
    assert!(said.2.contains("did you mean"), "{}", said.2);
    assert!(why("bad").contains("emma"), "{}", why("bad"));
    // Suspended, resumed, cancelled.
    cluster.apply(TEAM, &big("rests", 2.0));
    cluster.until("it runs", Duration::from_secs(60), || cluster.phase("rests") == "Running");
    cluster.blockgrid(&["cluster", "-n", TEAM, "suspend", "rests"]);
    cluster.until("its workers rest", Duration::from_secs(60), || {
        cluster.phase("rests") == "Suspended" && cluster.status("rests")["workers"].as_i64().unwrap_or(0) == 0
    });
    assert!(why("rests").contains("suspend"), "{}", why("rests"));
    cluster.blockgrid(&["cluster", "-n", TEAM, "resume", "rests"]);
    cluster.until("it goes on", Duration::from_secs(60), || {
        cluster.status("rests")["workers"].as_i64().unwrap_or(0) > 0 || cluster.is_finished("rests")
    });
    cluster.blockgrid(&["cluster", "-n", TEAM, "cancel", "rests"]);
    cluster.until("it is cancelled", Duration::from_secs(30), || cluster.is_finished("rests"));
    assert_eq!(cluster.phase("rests"), "Cancelled");
    // A deadline, and the end of the object's time.
    let late = big("late", 3.0).replace("maxWorkers: 4}", "maxWorkers: 1, deadline: 5s}\n  ttl: 1s");
    cluster.apply(TEAM, &late);
    cluster.until("the late job is gone", Duration::from_secs(120), || !cluster.exists(TEAM, "btj/late"));
    let events = cluster.kubectl(&["-n", TEAM, "get", "events", "-o", "json"]);
    assert!(events.contains("DeadlineExceeded"), "an event tells how it ended");
    // Deleted while it runs: nothing of it stays.
    cluster.apply(TEAM, &big("dropped", 4.0));
    cluster.until("it runs", Duration::from_secs(60), || cluster.phase("dropped") == "Running");
    cluster.kubectl(&["-n", TEAM, "delete", "btj", "dropped", "--timeout=120s"]);
    let jobs = cluster.kubectl(&["-n", "blockgrid", "get", "jobs", "-o", "name"]);
    assert!(!jobs.contains("bt-"), "{jobs}");
}

fn money(cluster: &Cluster) {
    let budget = |usd: f64| {
        json!({
            "apiVersion": "grid.blockbuilders.app/v1alpha1", "kind": "BacktestBudget",
            "metadata": { "name": "small", "namespace": TEAM }, "spec": { "monthlyUsd": usd },
        })
        .to_string()
    };
    cluster.apply(TEAM, &budget(0.000_01));
    cluster.apply(TEAM, &big("poor", 5.0));
    cluster.until("it waits for money", Duration::from_secs(60), || cluster.phase("poor") == "Queued");
    let said = cluster.condition("poor", "Admitted");
    assert_eq!((said.0.as_str(), said.1.as_str()), ("False", "WaitingForBudget"), "{said:?}");
    assert!(said.2.contains("budget team-a/small has $0"), "{}", said.2);
    let why = cluster.blockgrid(&["cluster", "-n", TEAM, "why", "poor"]);
    assert!(why.contains("team-a/small"), "{why}");
    cluster.apply(TEAM, &budget(10.0));
    cluster.until("it may run", Duration::from_secs(60), || {
        matches!(cluster.phase("poor").as_str(), "Running" | "Finishing" | "Succeeded")
    });
    cluster.blockgrid(&["cluster", "-n", TEAM, "cancel", "poor"]);
    cluster.kubectl(&["-n", TEAM, "delete", "btb", "small"]);
    // What it would cost is refused before it runs.
    let dear = big("dear", 6.0).replace("maxWorkers: 4", "maxWorkers: 4, maxCostUsd: 0.000001");
    cluster.apply(TEAM, &dear);
    cluster.until("it is refused", Duration::from_secs(60), || cluster.is_finished("dear"));
    assert_eq!(cluster.condition("dear", "Failed").1, "QuoteAboveMaxCost");
}

fn upgrade(cluster: &Cluster) {
    let (small, large) =
        (std::fs::read_to_string(root().join("examples/sma-crossover.yaml")).unwrap(), big("upgraded", 7.0));
    let small =
        small.replace("name: sma-crossover", "name: again").replace("close > trend", "close > trend * 1.001");
    cluster.apply(TEAM, &large);
    cluster.until("it runs", Duration::from_secs(60), || cluster.phase("upgraded") == "Running");
    cluster.apply(TEAM, &small);
    cluster.install(&["--set", "jobs.maxWorkers=3"]);
    for name in ["again", "upgraded"] {
        cluster.until("the jobs end", Duration::from_secs(240), || cluster.is_finished(name));
        assert_eq!(cluster.phase(name), "Succeeded", "{}", cluster.status(name));
    }
    same_bytes(cluster, &large, "upgraded");
    same_bytes(cluster, &small, "again");
}
