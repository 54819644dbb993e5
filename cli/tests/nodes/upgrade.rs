//! An upgrade to another chart, other CRDs and another engine in the middle of jobs of both lanes: each job ends with the
//! engine that planned it, and the next one is the new engine's. Then back.

use std::time::Duration;

use crate::TEAM;
use crate::cluster::Cluster;
use crate::jobs::{big, same_bytes, small, succeeds};

/// Small jobs that wait in the lane.
const WAITING: [&str; 3] = ["waits-a", "waits-b", "waits-c"];

pub(crate) fn upgrade(cluster: &Cluster) {
    let engine = cluster.status("sma-crossover")["engine"].as_str().unwrap().to_owned();
    // Any other digest.
    let next: String = engine.chars().map(|digit| if digit == 'f' { '0' } else { 'f' }).collect();
    cluster.load_next(&engine, &next);

    let large = big("upgraded", 7.0);
    cluster.apply(TEAM, &large);
    cluster.until("its workers compute", Duration::from_secs(90), || {
        cluster.status("upgraded")["workers"].as_i64().unwrap_or(0) > 0
    });
    let uid = cluster.get(TEAM, "btj/upgraded")["metadata"]["uid"].as_str().unwrap().to_owned();
    let pool = format!("job/bt-{uid}");
    let before = cluster.get("blockgrid", &pool);

    // All stand still: what is in the lane waits, and what runs is in the middle until there is another version.
    for node in 0..2 {
        cluster.node(node, &["pkill", "-STOP", "-f", "blockgrid-worker --"]);
    }
    let manifest = |name: &str| {
        let nth = name.bytes().next_back().map_or(0.0, f64::from);
        small(name, 1.0 + nth / 1e5)
    };
    for name in WAITING {
        cluster.apply(TEAM, &manifest(name));
    }
    cluster.apply(TEAM, &manifest("rests-d").replace("\nspec:\n", "\nspec:\n  suspend: true\n"));
    cluster.until("a job rests that was planned", Duration::from_secs(60), || {
        cluster.phase("rests-d") == "Suspended"
    });
    for name in WAITING {
        cluster.until("it waits in the lane", Duration::from_secs(60), || {
            cluster.phase(name) == "Running" && cluster.status(name)["lane"] == "interactive"
        });
    }

    // Not just another: an old one may follow an old one.
    let next_leads = || {
        let leases = cluster.get("blockgrid", "leases");
        let holder = &leases["items"][0]["spec"]["holderIdentity"];
        let pods = cluster.get("blockgrid", "pods");
        pods["items"].as_array().unwrap().iter().any(|pod| {
            pod["metadata"]["name"] == *holder
                && pod["spec"]["containers"][0]["image"] == "localhost/blockgrid:next"
        })
    };
    let meanwhile = ["meanwhile-0", "meanwhile-1", "meanwhile-2"];
    std::thread::scope(|scope| {
        scope.spawn(|| cluster.install_from(&cluster.next_chart(), &["--set", "image.tag=next"]));
        // One before all, one where workers are replaced, one where the other version leads.
        cluster.apply(TEAM, &manifest(meanwhile[0]));
        cluster.until("workers of the lane are replaced", Duration::from_secs(120), || {
            let lane = cluster.get("blockgrid", "deploy/grid-blockgrid-interactive");
            lane["spec"]["template"]["spec"]["containers"][0]["image"] == "localhost/blockgrid:next"
        });
        cluster.apply(TEAM, &manifest(meanwhile[1]));
        cluster.until("the next version leads", Duration::from_secs(120), next_leads);
        cluster.apply(TEAM, &manifest(meanwhile[2]));
    });
    assert!(!cluster.is_finished("upgraded"), "it was to be in the middle: {}", cluster.status("upgraded"));
    let table = cluster.kubectl(&["-n", TEAM, "get", "btj", "upgraded"]);
    assert!(table.contains("ENGINE") && table.contains(&engine), "the CRD is the later one: {table}");
    for node in 0..2 {
        cluster.node(node, &["pkill", "-CONT", "-f", "blockgrid-worker --job"]);
    }
    let after = cluster.get("blockgrid", &pool);
    assert_eq!(after["metadata"]["uid"], before["metadata"]["uid"], "its workers stay");

    for name in WAITING {
        succeeds(cluster, name, Duration::from_secs(120));
        planned_by(cluster, name, &engine, "dev");
    }
    same_bytes(cluster, &manifest(WAITING[0]), WAITING[0]);
    cluster.blockgrid(&["cluster", "-n", TEAM, "resume", "rests-d"]);
    for name in meanwhile {
        succeeds(cluster, name, Duration::from_secs(120));
        let its = cluster.status(name)["engine"].clone();
        eprintln!("   {name} was planned by {its}");
        planned_by(cluster, name, its.as_str().unwrap(), if its == engine.as_str() { "dev" } else { "next" });
    }
    // Those that are new.
    cluster.apply(TEAM, &manifest("new-e"));
    cluster.kubectl(&["-n", TEAM, "wait", "--for=condition=Finished", "btj/new-e", "--timeout=60s"]);
    succeeds(cluster, "new-e", Duration::from_secs(5));
    planned_by(cluster, "new-e", &next, "next");
    assert_eq!(cluster.status("new-e")["lane"], "interactive");
    same_bytes(cluster, &manifest("new-e"), "new-e");
    succeeds(cluster, "rests-d", Duration::from_secs(120));
    planned_by(cluster, "rests-d", &engine, "dev");
    same_bytes(cluster, &manifest("rests-d"), "rests-d");
    succeeds(cluster, "upgraded", Duration::from_secs(240));
    planned_by(cluster, "upgraded", &engine, "dev");
    same_bytes(cluster, &large, "upgraded");
    // The same sweep once more: nothing is shared with another engine, in its cache or in its pool.
    cluster.apply(TEAM, &big("upgraded-again", 7.0));
    cluster.until("workers of the new image compute it", Duration::from_secs(90), || {
        cluster.status("upgraded-again")["shards"]["done"].as_i64().unwrap_or(0) > 0
    });
    planned_by(cluster, "upgraded-again", &next, "next");
    assert_eq!(cluster.status("upgraded-again")["cachedTrials"], 0);
    cluster.blockgrid(&["cluster", "-n", TEAM, "cancel", "upgraded-again"]);
}

/// Back to the version before: what the newer one has planned ends with its engine, and the next job is the older one's.
pub(crate) fn rollback(cluster: &Cluster) {
    let next = cluster.status("new-e")["engine"].as_str().unwrap().to_owned();
    let engine = cluster.status("sma-crossover")["engine"].as_str().unwrap().to_owned();
    let rests = small("rests-f", 1.0021).replace("\nspec:\n", "\nspec:\n  suspend: true\n");
    cluster.apply(TEAM, &rests);
    cluster.until("a job rests that was planned", Duration::from_secs(60), || {
        cluster.phase("rests-f") == "Suspended"
    });
    cluster.helm(&["rollback", "grid", "-n", "blockgrid", "--wait", "--timeout", "180s"]);
    let table = cluster.kubectl(&["-n", TEAM, "get", "btj"]);
    assert!(!table.contains("ENGINE"), "the CRD is the older one again: {table}");
    let first = cluster.phase("sma-crossover");
    assert_eq!(first, "Succeeded", "no job is lost with a CRD");
    cluster.blockgrid(&["cluster", "-n", TEAM, "resume", "rests-f"]);
    let older = small("older-g", 1.0022);
    cluster.apply(TEAM, &older);
    for name in ["older-g", "rests-f"] {
        succeeds(cluster, name, Duration::from_secs(120));
    }
    planned_by(cluster, "older-g", &engine, "dev");
    same_bytes(cluster, &older, "older-g");
    planned_by(cluster, "rests-f", &next, "next");
    same_bytes(cluster, &rests, "rests-f");
}

fn planned_by(cluster: &Cluster, name: &str, engine: &str, tag: &str) {
    let status = cluster.status(name);
    assert_eq!(status["engine"], engine, "{name}: {status}");
    assert_eq!(status["image"], format!("localhost/blockgrid:{tag}"), "{name}: {status}");
}
