//! What may keep workers from starting, all at once: each job says what it is and what to do while it waits, and ends with
//! it when it has waited long enough.

use std::time::Duration;

use crate::TEAM;
use crate::cluster::Cluster;
use crate::jobs::{big, small, succeeds};

const IMAGE: &str = "localhost/blockgrid:dev";
const KEPT: &str = "localhost/blockgrid:kept";

/// The rights that the operator has on Jobs, and those without the one to make them.
const ALL: &str = r#"["get","list","watch","create","update","patch","delete"]"#;
const NONE: &str = r#"["get","list","watch","update","patch","delete"]"#;

pub(crate) fn troubles(cluster: &Cluster) {
    let class = |name: &str, cpu: &str, node: &str| {
        let node = if node.is_empty() {
            "{}".to_owned()
        } else {
            format!(r#"{{"kubernetes.io/hostname":"{node}"}}"#)
        };
        format!(
            r#"classes.{name}={{"cpu":"{cpu}","memory":"256Mi","slots":1,"microUsdPerVcpuHour":36000,"nodeSelector":{node}}}"#
        )
    };
    let (here, there, huge) =
        (class("here", "100m", "node0"), class("there", "100m", "node1"), class("huge", "64", ""));
    let classes = ["--set-json", &here, "--set-json", &there, "--set-json", &huge];
    let values = [&["--set", "workers.startDeadline=30s"], &classes[..]].concat();
    cluster.install(&values);
    let apply = |name: &str, noise: f64, class: &str| {
        let manifest = big(name, noise).replace("maxWorkers: 4", &format!("maxWorkers: 1, class: {class}"));
        cluster.apply(TEAM, &manifest);
    };

    // A node that does not have the image, and no registry that has.
    assert!(cluster.node(1, &["ctr", "-n", "k8s.io", "images", "tag", "--force", IMAGE, KEPT]));
    assert!(cluster.node(1, &["ctr", "-n", "k8s.io", "images", "rm", "--sync", IMAGE]));
    apply("imageless", 10.0, "there");
    cluster.kubectl(&["-n", "blockgrid", "delete", "secret", "grid-s3"]);
    apply("secretless", 11.0, "here");
    apply("roomless", 12.0, "huge");
    let image = ["ErrImagePull", "ImagePullBackOff"];
    let image_says = [IMAGE, "corrects its name or the pull secret"];
    stands(cluster, "imageless", &image, &image_says);
    let secret_says = ["secret \"grid-s3\" not found", "kubectl get secrets -n blockgrid"];
    stands(cluster, "secretless", &["CreateContainerConfigError"], &secret_says);
    let room_says = ["Insufficient cpu", "a smaller spec.compute.class may fit"];
    stands(cluster, "roomless", &["Unschedulable"], &room_says);

    // A quota that leaves no room, once it counts.
    cluster.kubectl(&["-n", "blockgrid", "create", "quota", "full", "--hard=pods=0"]);
    cluster.until("the quota counts", Duration::from_secs(30), || {
        !cluster.get("blockgrid", "quota/full")["status"]["used"]["pods"].is_null()
    });
    apply("crowded", 13.0, "here");
    let quota_says = ["exceeded quota: full", "kubectl describe quota -n blockgrid"];
    stands(cluster, "crowded", &["FailedCreate"], &quota_says);

    // An operator without its right.
    rights(cluster, NONE);
    apply("forbidden", 14.0, "here");
    let right_says = ["cannot create resource \"jobs\"", "its rights and the quotas"];
    stands(cluster, "forbidden", &["PoolForbidden"], &right_says);

    for (name, reasons, says) in [
        ("imageless", &image[..], image_says[0]),
        ("secretless", &["CreateContainerConfigError"], secret_says[0]),
        ("roomless", &["Unschedulable"], room_says[0]),
        ("crowded", &["FailedCreate"], quota_says[0]),
        ("forbidden", &["PoolForbidden"], right_says[0]),
    ] {
        fails(cluster, name, reasons, says);
    }
    // Nobody holds money for them, and nothing of them is left.
    cluster.until("they are settled", Duration::from_secs(60), || {
        cluster.get("blockgrid", "btb/grid")["status"]["reservedMicroUsd"] == 0
    });
    let jobs = cluster.kubectl(&["-n", "blockgrid", "get", "jobs", "-o", "name"]);
    assert!(!jobs.contains("bt-"), "{jobs}");

    // All is mended, and the next job runs.
    rights(cluster, ALL);
    cluster.kubectl(&["-n", "blockgrid", "delete", "quota", "full"]);
    assert!(cluster.node(1, &["ctr", "-n", "k8s.io", "images", "tag", KEPT, IMAGE]));
    cluster.install(&values);
    cluster.apply(TEAM, &small("mended", 1.01));
    succeeds(cluster, "mended", Duration::from_secs(60));
}

fn rights(cluster: &Cluster, verbs: &str) {
    let patch = format!(r#"[{{"op":"replace","path":"/rules/0/verbs","value":{verbs}}}]"#);
    let role = ["-n", "blockgrid", "patch", "role", "grid-blockgrid-pools", "--type=json", "-p", &patch];
    cluster.kubectl(&role);
}

fn why(cluster: &Cluster, name: &str) -> String {
    cluster.blockgrid(&["cluster", "-n", TEAM, "why", name])
}

/// It waits, and says for what: by a condition, and in words.
fn stands(cluster: &Cluster, name: &str, reasons: &[&str], says: &[&str]) {
    cluster.until(&format!("{name} says what it waits for"), Duration::from_secs(30), || {
        let (status, reason, _) = cluster.condition(name, "WorkersReady");
        status == "False" && reasons.contains(&reason.as_str())
    });
    let why = why(cluster, name);
    assert!(why.contains("stands at: workers"), "{why}");
    for part in says {
        assert!(why.contains(part), "`{part}` is not in: {why}");
    }
}

/// It ends, and says why.
fn fails(cluster: &Cluster, name: &str, reasons: &[&str], says: &str) {
    cluster.until(&format!("{name} fails"), Duration::from_secs(90), || cluster.is_finished(name));
    let (is, reason, message) = cluster.condition(name, "Failed");
    assert_eq!((is.as_str(), reason.as_str()), ("True", "WorkersNotStarted"), "{name}: {message}");
    assert!(
        reasons.iter().any(|reason| message.contains(reason)) && message.contains(says),
        "{name}: {message}"
    );
    let why = why(cluster, name);
    assert!(why.contains("WorkersNotStarted") && why.contains(says), "{why}");
}
