//! Jobs, and the results that they have to have.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::TEAM;
use crate::cluster::Cluster;
use crate::support::{folder, root, run_in};

/// A job for the interactive lane; `noise` makes it one that no other job has computed.
pub(crate) fn small(name: &str, noise: f64) -> String {
    let example = std::fs::read_to_string(root().join("examples/sma-crossover.yaml")).unwrap();
    let changed = example
        .replace("name: sma-crossover", &format!("name: {name}"))
        .replace("close > trend", &format!("close > trend * {noise}"));
    assert!(
        changed.contains(&format!("name: {name}")) && changed.contains("trend * "),
        "the example has changed"
    );
    changed
}

/// A sweep of so many parameter sets that it gets workers of its own; `noise` makes it one that no other job has computed.
pub(crate) fn big(name: &str, noise: f64) -> String {
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

/// The bytes of `blockgrid run`, which every lane has to give; what its units have used.
pub(crate) fn same_bytes(cluster: &Cluster, manifest: &str, name: &str) -> Value {
    let (here, there) = (folder(), folder());
    let file = here.path().join("job.yaml");
    std::fs::write(&file, manifest).unwrap();
    run_in(here.path(), ["run", "job.yaml", "-o", "out"]).ok();
    cluster.blockgrid(&["cluster", "-n", TEAM, "results", name, "-o", there.path().to_str().unwrap()]);
    for table in ["trials.parquet", "trades.parquet", "equity.parquet"] {
        let read = |folder: &Path| std::fs::read(folder.join(table)).unwrap();
        assert!(read(&here.path().join("out")) == read(there.path()), "{table} of {name} has other bytes");
    }
    assert!(there.path().join("report.html").exists());
    // Each trial was computed once for those who pay, whatever had to be done again, or was there before.
    let record = std::fs::read(there.path().join("job.json")).unwrap();
    let record: Value = serde_json::from_slice(&record).unwrap();
    let status = cluster.status(name);
    let number = |of: &Value| of.as_u64().unwrap_or_default();
    let computed = number(&status["trials"]) - number(&status["cachedTrials"]);
    let usage = &record["grid"]["usage"];
    assert_eq!(number(&usage["trials"]), computed, "{name}: {usage}");
    usage.clone()
}

pub(crate) fn small_job(cluster: &Cluster) {
    let example = std::fs::read_to_string(root().join("examples/sma-crossover.yaml")).unwrap();
    let started = Instant::now();
    cluster.apply(TEAM, &example);
    cluster.kubectl(&["-n", TEAM, "wait", "--for=condition=Finished", "btj/sma-crossover", "--timeout=60s"]);
    eprintln!("   apply to Finished: {:.2} s", started.elapsed().as_secs_f64());
    assert_eq!(cluster.phase("sma-crossover"), "Succeeded");
    assert_eq!(cluster.status("sma-crossover")["lane"], "interactive");
    same_bytes(cluster, &example, "sma-crossover");
}

/// Waits until a job has ended, and well.
pub(crate) fn succeeds(cluster: &Cluster, name: &str, patience: Duration) {
    cluster.until(&format!("{name} ends"), patience, || cluster.is_finished(name));
    assert_eq!(cluster.phase(name), "Succeeded", "{}", cluster.status(name));
}
