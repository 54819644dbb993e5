//! A job with workers of its own, and what machines do to it.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;

use crate::TEAM;
use crate::chaos::Random;
use crate::cluster::Cluster;
use crate::jobs::{big, same_bytes};
use crate::witness::{Stop, Witness};

const JOB: &str = "big";

/// Everything at once, at moments that a seed chooses (`BLOCKGRID_CHAOS_SEED`).
pub(crate) fn big_job(cluster: &Cluster) {
    let mut random = Random::new();
    // It trades all the time: some minutes of one core.
    let manifest = big(JOB, 0.5)
        .replace("crosses_above(f, s)", "f > s")
        .replace("{stopLoss: stop}", "{stopLoss: stop, maxBars: 3}");
    assert!(manifest.contains("f > s") && manifest.contains("maxBars"), "the manifest has changed");
    cluster.apply(TEAM, &manifest);
    cluster.until("four workers of the job are ready", Duration::from_secs(120), || {
        assert!(!cluster.is_finished(JOB), "{}", cluster.status(JOB));
        cluster.status(JOB)["workers"] == 4
    });
    let uid = cluster.get(TEAM, &format!("btj/{JOB}"))["metadata"]["uid"].as_str().unwrap().to_owned();
    let workers = Workers { cluster, label: format!("grid.blockbuilders.app/job-uid={uid}") };
    let witness = Witness::default();
    std::thread::scope(|scope| {
        scope.spawn(|| witness.watch(|| workers.pods()));
        let _stop = Stop(&witness);
        everything_happens(cluster, &workers, &mut random);
    });
    let status = cluster.status(JOB);
    let (pods, seconds) = witness.pod_seconds();
    cluster.mend_node(1);
    let usage = same_bytes(cluster, &manifest, JOB);
    let number = |of: &Value, field: &str| of[field].as_f64().unwrap_or_else(|| panic!("{field} of {of}"));
    let terms = |field| number(&status["terms"], field);
    let requests = number(&usage, "readRequests") * terms("microUsdPer1000Reads")
        + number(&usage, "writeRequests") * terms("microUsdPer1000Writes");
    let a_second = terms("microUsdPerVcpuHour") * terms("millicpus") / 3.6e6;
    let charged = (number(&status, "spentMicroUsd") - requests / 1000.0) / a_second;
    eprintln!("   {pods} pods have taken {seconds:.0} s, and {charged:.0} s of pods are charged");
    // Of pods that went while nobody led nobody knows when.
    assert!(pods >= 6 && (charged - seconds).abs() < 60.0, "{status}");
}

/// All faults, until the job is settled.
fn everything_happens(cluster: &Cluster, workers: &Workers<'_>, random: &mut Random) {
    let nodes: BTreeSet<_> = workers.pods().iter().map(|pod| pod["spec"]["nodeName"].to_string()).collect();
    assert_eq!(nodes.len(), 2, "{nodes:?}");
    cluster.until("it is in the middle", Duration::from_secs(60), || {
        cluster.status(JOB)["shards"]["done"].as_u64().unwrap_or(0) > 0
    });

    for node in 0..2 {
        workers.are_at_it("a worker is killed");
        assert!(cluster.node(node, &["pkill", "-9", "-f", "blockgrid-worker --job", "--oldest"]));
    }
    workers.are_at_it("Redis is emptied");
    cluster.flush_redis();
    let crashed = lose_leader(cluster, workers, true);
    workers.are_at_it("a worker is told to go");
    let pods = workers.pods();
    let told = pods.iter().find(|pod| pod["status"]["phase"] == "Running").expect("a worker that runs");
    let told = told["metadata"]["name"].as_str().unwrap();
    cluster.kubectl(&["-n", "blockgrid", "delete", "pod", told, "--wait=false"]);
    std::thread::sleep(random.millis(3000));
    somebody_leads(cluster, &crashed);
    let deleted = lose_leader(cluster, workers, false);

    // A node that answers no more. All workers stand still until its pods are evicted, so that there is something left to
    // do; those of that node go on afterwards, though their shards have long been others'.
    for node in 0..2 {
        // Both of a node may have been hit above, and not have been replaced yet.
        cluster.until("the workers of a node stand still", Duration::from_secs(60), || {
            cluster.node(node, &["pkill", "-STOP", "-f", "blockgrid-worker --job"])
        });
    }
    workers.are_at_it("a kubelet is killed");
    assert!(workers.pods().iter().any(|pod| pod["spec"]["nodeName"] == "node1"), "nobody is to be evicted");
    assert!(cluster.node(1, &["pkill", "-9", "kubelet"]));
    std::thread::sleep(random.millis(3000));
    somebody_leads(cluster, &deleted);
    lose_leader(cluster, workers, true);
    cluster.until("its workers are evicted", Duration::from_secs(90), || {
        let pods = workers.pods();
        let lost: Vec<_> = pods.iter().filter(|pod| pod["spec"]["nodeName"] == "node1").collect();
        // Those that are gone are none to see: the operator lets go of what no kubelet says anything of.
        lost.iter().all(|pod| pod["metadata"]["deletionTimestamp"].is_string())
    });
    workers.are_at_it("workers go on");
    for node in 0..2 {
        // Of the other node there may be none left.
        cluster.node(node, &["pkill", "-CONT", "-f", "blockgrid-worker --job"]);
    }

    cluster.until("the job ends", Duration::from_secs(400), || cluster.is_finished(JOB));
    assert_eq!(cluster.phase(JOB), "Succeeded", "{}", cluster.status(JOB));
    // What was held is given back when its pods are gone, those of the node that does not answer too, and what it cost stands
    // in the ledger once.
    cluster.until("the job is settled", Duration::from_secs(180), || {
        cluster.status(JOB)["reservedMicroUsd"].is_null()
    });
    assert!(cluster.status(JOB)["spentMicroUsd"].as_u64().unwrap() > 0, "{}", cluster.status(JOB));
    let jobs = cluster.kubectl(&["-n", "blockgrid", "get", "jobs", "-l", &workers.label, "-o", "name"]);
    assert_eq!(jobs, "", "the pool is gone");
    cluster.until("the budget has what its jobs have cost", Duration::from_secs(60), || {
        let budget = cluster.get("blockgrid", "btb/grid")["status"].clone();
        let micro_usd = |field: &str| budget[field].as_u64().unwrap_or(0);
        let jobs = cluster.get(TEAM, "btj");
        let spent =
            jobs["items"].as_array().unwrap().iter().map(|job| job["status"]["spentMicroUsd"].as_u64());
        let spent: u64 = spent.map(Option::unwrap_or_default).sum();
        micro_usd("reservedMicroUsd") == 0
            && micro_usd("spentMicroUsd") - micro_usd("unattributedMicroUsd") == spent
    });
}

/// The operator that leads is killed, or its pod is deleted; when that was.
fn lose_leader(cluster: &Cluster, workers: &Workers<'_>, crashes: bool) -> String {
    let leader = cluster.leader();
    if crashes {
        workers.are_at_it("the leader is killed");
        let node = cluster.get("blockgrid", &format!("pod/{leader}"))["spec"]["nodeName"].clone();
        let node = u8::from(node == "node1");
        assert!(cluster.node(node, &["pkill", "-9", "-f", "blockgrid-controller"]));
    } else {
        workers.are_at_it("the leader's pod is deleted");
        cluster.kubectl(&["-n", "blockgrid", "delete", "pod", &leader, "--grace-period=0", "--force"]);
    }
    // As leases have it.
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()
}

/// Waits until somebody leads since then.
fn somebody_leads(cluster: &Cluster, since: &str) {
    cluster.until("somebody leads", Duration::from_secs(60), || {
        let leases = cluster.get("blockgrid", "leases");
        let lease = &leases["items"][0]["spec"];
        // One whose pod was deleted may renew it once more.
        let is_there =
            |holder: &str| !holder.is_empty() && cluster.exists("blockgrid", &format!("pod/{holder}"));
        lease["holderIdentity"].as_str().is_some_and(is_there)
            && lease["renewTime"].as_str().is_some_and(|renewed| renewed > since)
    });
}

/// Those of the job.
struct Workers<'a> {
    cluster: &'a Cluster,
    label: String,
}

impl Workers<'_> {
    fn pods(&self) -> Vec<Value> {
        let pods = self.cluster.kubectl(&["-n", "blockgrid", "get", "pods", "-l", &self.label, "-o", "json"]);
        let pods: Value = serde_json::from_str(&pods).unwrap();
        pods["items"].as_array().unwrap().clone()
    }

    /// What happens to a job that has ended shows nothing.
    fn are_at_it(&self, what: &str) {
        let status = self.cluster.status(JOB);
        assert!(status["phase"] == "Running", "{what}: {status}");
        eprintln!("   {what}, {} shards are done", status["shards"]["done"]);
    }
}
