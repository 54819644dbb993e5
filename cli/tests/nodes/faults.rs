//! A job with workers of its own, and what machines do to it.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;

use crate::TEAM;
use crate::cluster::Cluster;
use crate::jobs::{big, same_bytes};

pub(crate) fn big_job(cluster: &Cluster) {
    let manifest = big("big", 0.5);
    cluster.apply(TEAM, &manifest);
    cluster.until("workers of the job are ready", Duration::from_secs(90), || {
        cluster.status("big")["workers"].as_i64().unwrap_or(0) >= 2
    });
    let uid = cluster.get(TEAM, "btj/big")["metadata"]["uid"].as_str().unwrap().to_owned();
    let label = format!("grid.blockbuilders.app/job-uid={uid}");
    let spread = cluster.kubectl(&["-n", "blockgrid", "get", "pods", "-l", &label, "-o", "json"]);
    let spread: Value = serde_json::from_str(&spread).unwrap();
    let nodes: BTreeSet<_> =
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
    // What was held is given back when its pods are gone, those of the node that does not answer too, and what it cost stands
    // in the ledger once.
    cluster.until("the job is settled", Duration::from_secs(180), || {
        cluster.status("big")["reservedMicroUsd"].is_null()
    });
    let status = cluster.status("big");
    assert!(status["spentMicroUsd"].as_u64().unwrap() > 0, "{status}");
    let jobs = cluster.kubectl(&["-n", "blockgrid", "get", "jobs", "-l", &label, "-o", "name"]);
    assert_eq!(jobs, "", "the pool is gone");
    let budget = cluster.get("blockgrid", "btb/grid");
    assert_eq!(budget["status"]["reservedMicroUsd"], 0, "{budget}");
    cluster.mend_node(1);
    same_bytes(cluster, &manifest, "big");
}
