//! The workers of one job: an Indexed Job, as Kubernetes has it.
//!
//! Indexed with `completions == parallelism`: each index has a stable consumer name, is replaced by itself, and both
//! numbers may change together. A Job without completions neither replaces pods after the first success nor heeds its
//! parallelism (kubernetes#43456).

use std::collections::BTreeMap;

use k8s_openapi::api::batch::v1::Job;
use serde_json::{Value, json};

use crate::config::{Class, Config};
use crate::resources::{NAME_LABEL, NAMESPACE_LABEL, UID_LABEL, USER_LABEL};

/// Exit code of a worker whose configuration is bad (`EX_CONFIG` of sysexits.h).
pub const MISCONFIGURED: i32 = 78;

/// The label by which Kueue finds what waits in its queues.
pub const KUEUE_LABEL: &str = "kueue.x-k8s.io/queue-name";

/// Times that an index may fail by itself before it is given up.
const BACKOFF: i32 = 5;

/// Seconds that an ended Job stays: its pods' logs with it.
const TTL_SECONDS: i32 = 3600;

/// Seconds of `terminationGracePeriodSeconds` beyond the worker's own: within the two minutes of a spot notice.
const GRACE_MORE: u64 = 10;

/// Label of what a pod runs, which a chart that has another name says itself.
const PROGRAM_LABEL: &str = "app.kubernetes.io/name";
/// Label that tells pods of one job apart by what they do.
pub const ROLE_LABEL: &str = "grid.blockbuilders.app/role";
/// Label of what a pod costs: its compute class.
pub const CLASS_LABEL: &str = "grid.blockbuilders.app/class";
/// Its value on pods that plan.
pub const PLANNER: &str = "planner";

/// Seconds that planning may take.
const PLANNER_SECONDS: i64 = 1800;

/// Whose pool it is.
#[derive(Debug, Clone)]
pub struct Owner<'a> {
    /// Uid of the BacktestJob.
    pub uid: &'a str,
    /// Its name.
    pub name: &'a str,
    /// Its namespace.
    pub namespace: &'a str,
    /// Who asked.
    pub user: &'a str,
    /// Its compute class.
    pub class: &'a str,
    /// The image that its plan was made by.
    pub image: &'a str,
    /// Seconds that it may take.
    pub deadline_seconds: i64,
}

/// Seconds after which Kubernetes ends a pool of a job that may take so long: later than the operator does.
pub fn active_seconds(deadline_seconds: i64) -> i64 {
    deadline_seconds.saturating_add(deadline_seconds / 2).max(600)
}

/// What changes of the spec of a pool that has so many workers from now on, and ends after so many seconds.
pub fn resized(workers: u32, ends: Option<i64>, wakes: bool) -> Value {
    let mut spec = json!({ "completions": workers, "parallelism": workers, "activeDeadlineSeconds": ends });
    if wakes {
        spec["suspend"] = json!(false);
    }
    spec
}

/// The name of a job's pool. It carries the whole uid, so that a job made anew under one name has a pool of its own.
pub fn name(uid: &str) -> String {
    format!("bt-{uid}")
}

/// The name of the Job that plans a large job.
pub fn planner_name(uid: &str) -> String {
    format!("bt-{uid}-plan")
}

/// The Job that plans a large job: one pod, tried a few times.
///
/// # Errors
/// As [`job`].
pub fn planner(owner: &Owner<'_>, class: &Class, config: &Config) -> Result<Job, serde_json::Error> {
    let mut labels = labels(owner);
    labels.insert(ROLE_LABEL.to_owned(), PLANNER.to_owned());
    let pod_labels = pod_labels(config, &labels);
    let mut spec = pod(owner, class, config);
    spec["containers"][0]["name"] = json!("planner");
    spec["containers"][0]["command"] = json!(["/blockgrid-controller", "plan"]);
    spec["containers"][0]["args"] = json!(["--job", owner.uid]);
    if let Some(container) = spec["containers"][0].as_object_mut() {
        for probe in ["startupProbe", "readinessProbe", "livenessProbe", "ports"] {
            container.remove(probe);
        }
    }
    serde_json::from_value(json!({
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": { "name": planner_name(owner.uid), "namespace": config.workers.namespace, "labels": labels },
        "spec": {
            "backoffLimit": 3,
            "activeDeadlineSeconds": PLANNER_SECONDS,
            "ttlSecondsAfterFinished": 300,
            "template": {
                "metadata": { "labels": pod_labels, "annotations": config.workers.pod_annotations },
                "spec": spec,
            },
        },
    }))
}

/// The pool of a job.
///
/// # Errors
/// When the configuration holds what Kubernetes does not take, which says where.
pub fn job(
    owner: &Owner<'_>,
    class: &Class,
    config: &Config,
    workers: u32,
) -> Result<Job, serde_json::Error> {
    let platform = &config.workers;
    let labels = labels(owner);
    let pod_labels = pod_labels(config, &labels);
    let mut annotations = platform.pod_annotations.clone();
    // A worker that is moved hands back what it has; while the job runs nobody needs to move it.
    annotations.insert("karpenter.sh/do-not-disrupt".to_owned(), "true".to_owned());
    annotations.insert("cluster-autoscaler.kubernetes.io/safe-to-evict".to_owned(), "false".to_owned());
    let mut job_labels = labels;
    if let Some(queue) = &class.kueue_queue {
        job_labels.insert(KUEUE_LABEL.to_owned(), queue.clone());
    }
    serde_json::from_value(json!({
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": name(owner.uid),
            "namespace": platform.namespace,
            "labels": job_labels,
            // Whole: a label is cut where it is long.
            "annotations": { NAME_LABEL: owner.name },
        },
        "spec": {
            "completionMode": "Indexed",
            "completions": workers,
            "parallelism": workers,
            "suspend": class.kueue_queue.is_some(),
            "backoffLimitPerIndex": BACKOFF,
            "podFailurePolicy": { "rules": [
                // First: a pod that is evicted exits with a code too.
                { "action": "Ignore", "onPodConditions": [{ "type": "DisruptionTarget", "status": "True" }] },
                { "action": "FailJob", "onExitCodes": { "operator": "In", "values": [MISCONFIGURED] } },
            ] },
            "podReplacementPolicy": "Failed",
            // The operator keeps the deadline; this is for when there is none. It starts anew whenever the Job is resumed.
            "activeDeadlineSeconds": active_seconds(owner.deadline_seconds),
            "ttlSecondsAfterFinished": TTL_SECONDS,
            "template": {
                "metadata": { "labels": pod_labels, "annotations": annotations },
                "spec": pod(owner, class, config),
            },
        },
    }))
}

/// Labels of pods. What the program is called is the platform's to say: its network policies go by it.
fn pod_labels(config: &Config, ours: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let theirs = &config.workers.pod_labels;
    let mut labels = theirs.clone();
    labels.extend(ours.clone());
    if let Some(program) = theirs.get(PROGRAM_LABEL) {
        labels.insert(PROGRAM_LABEL.to_owned(), program.clone());
    }
    labels
}

fn labels(owner: &Owner<'_>) -> BTreeMap<String, String> {
    let label =
        |text: &str| text.chars().take(63).collect::<String>().trim_end_matches(['-', '.', '_']).to_owned();
    [
        (PROGRAM_LABEL, "blockgrid".to_owned()),
        ("app.kubernetes.io/component", "pool".to_owned()),
        ("app.kubernetes.io/managed-by", "blockgrid-operator".to_owned()),
        (UID_LABEL, owner.uid.to_owned()),
        (NAME_LABEL, label(owner.name)),
        (NAMESPACE_LABEL, owner.namespace.to_owned()),
        (USER_LABEL, label(owner.user)),
        (CLASS_LABEL, label(owner.class)),
    ]
    .into_iter()
    .map(|(key, value)| (key.to_owned(), value))
    .collect()
}

/// Seconds that a node may not answer until its workers are made anew elsewhere. Kubernetes says 300 where a pod says nothing,
/// but what they were computing is others' after a lease, and until they are gone they keep their places.
const UNREACHABLE_SECONDS: i64 = 30;

/// Those of the class, and for how long a worker stays on a node that does not answer, where the class does not say.
fn tolerations(class: &Class) -> Vec<Value> {
    let says =
        |key: &str| class.tolerations.iter().any(|own| own["key"].as_str().is_none_or(|named| named == key));
    let lost = ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"].into_iter();
    let lost = lost.filter(|key| !says(key)).map(|key| {
        json!({ "key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": UNREACHABLE_SECONDS })
    });
    class.tolerations.iter().cloned().chain(lost).collect()
}

fn pod(owner: &Owner<'_>, class: &Class, config: &Config) -> Value {
    let platform = &config.workers;
    let grace = platform.grace.as_secs();
    // Checked when the configuration was read.
    let memory = class.memory_bytes().unwrap_or(1 << 30);
    let mut args = vec![
        "--job".to_owned(),
        owner.uid.to_owned(),
        "--class".to_owned(),
        owner.class.to_owned(),
        "--slots".to_owned(),
        class.slots.to_string(),
        "--grace".to_owned(),
        format!("{grace}s"),
        "--http".to_owned(),
        "0.0.0.0:9100".to_owned(),
        "--cache".to_owned(),
        "/cache".to_owned(),
        // What is left is for the program itself, for results on their way, and for what the kernel counts besides.
        "--memory".to_owned(),
        (memory / 2).to_string(),
        "--candle-memory".to_owned(),
        (memory / 5).to_string(),
    ];
    args.extend(platform.args.iter().cloned());
    let resources = json!({ "cpu": class.cpu, "memory": class.memory });
    json!({
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": grace + GRACE_MORE,
        "serviceAccountName": platform.service_account,
        "automountServiceAccountToken": false,
        "enableServiceLinks": false,
        "imagePullSecrets": platform.image_pull_secrets,
        "nodeSelector": class.node_selector,
        "tolerations": tolerations(class),
        "priorityClassName": class.priority_class_name,
        "securityContext": {
            "runAsNonRoot": true,
            "runAsUser": 65532,
            "runAsGroup": 65532,
            "fsGroup": 65532,
            "seccompProfile": { "type": "RuntimeDefault" },
        },
        "containers": [{
            "name": "worker",
            "image": owner.image,
            "imagePullPolicy": platform.image_pull_policy,
            "command": ["/blockgrid-worker"],
            "args": args,
            "envFrom": platform.env_from,
            "env": platform.env,
            "ports": [{ "name": "http", "containerPort": 9100 }],
            // It listens once it has reached store and queue, for which it waits.
            "startupProbe": {
                "httpGet": { "path": "/livez", "port": "http" },
                "periodSeconds": 1,
                "failureThreshold": 300,
            },
            "readinessProbe": { "httpGet": { "path": "/readyz", "port": "http" }, "periodSeconds": 5 },
            "livenessProbe": {
                "httpGet": { "path": "/livez", "port": "http" },
                "periodSeconds": 20,
                "failureThreshold": 6,
            },
            "resources": { "requests": resources, "limits": resources },
            "securityContext": {
                "allowPrivilegeEscalation": false,
                "readOnlyRootFilesystem": true,
                "capabilities": { "drop": ["ALL"] },
            },
            "volumeMounts": [
                { "name": "tmp", "mountPath": "/tmp" },
                { "name": "cache", "mountPath": "/cache" },
            ],
        }],
        "volumes": [
            { "name": "tmp", "emptyDir": {} },
            { "name": "cache", "emptyDir": { "sizeLimit": "12Gi" } },
        ],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn built(class: &str) -> Value {
        let text = format!(
            "
workers: {{namespace: platform, image: 'grid:1', serviceAccount: worker, envFrom: [{{secretRef: {{name: s3}}}}], args: [--idle, 5s], podLabels: {{app.kubernetes.io/name: grid, app.kubernetes.io/managed-by: Helm}}}}
classes: {{standard: {{cpu: '2', memory: 4Gi, slots: 2, microUsdPerVcpuHour: 36000{class}}}}}
"
        );
        let config = Config::of_text(&text).unwrap();
        let owner = Owner {
            uid: "0b0c0d0e-1111-2222-3333-444455556666",
            name: "sma",
            namespace: "team-a",
            user: "ann",
            class: "standard",
            image: "grid:1",
            deadline_seconds: 7200,
        };
        serde_json::to_value(job(&owner, &config.classes["standard"], &config, 4).unwrap()).unwrap()
    }

    #[test]
    fn a_pool_is_an_indexed_job_of_the_platform() {
        let job = built("");
        assert_eq!(job["metadata"]["namespace"], "platform");
        assert_eq!(job["metadata"].get("ownerReferences"), None, "no owner crosses namespaces");
        let spec = &job["spec"];
        assert_eq!((&spec["completionMode"], &spec["suspend"]), (&json!("Indexed"), &json!(false)));
        assert_eq!((&spec["completions"], &spec["parallelism"]), (&json!(4), &json!(4)));
        assert_eq!(spec["podFailurePolicy"]["rules"][0]["action"], "Ignore");
        assert_eq!(spec["podFailurePolicy"]["rules"][1]["onExitCodes"]["values"], json!([78]));
        assert_eq!(spec["activeDeadlineSeconds"], 10_800);
        let pod = &spec["template"]["spec"];
        assert_eq!(
            (&pod["restartPolicy"], &pod["terminationGracePeriodSeconds"]),
            (&json!("Never"), &json!(100))
        );
        let args = pod["containers"][0]["args"].as_array().unwrap();
        assert!(args.ends_with(&[json!("--idle"), json!("5s")]));
        assert_eq!(args[..2], [json!("--job"), json!("0b0c0d0e-1111-2222-3333-444455556666")]);
        let labels = &spec["template"]["metadata"]["labels"];
        assert_eq!(labels[PROGRAM_LABEL], "grid", "network policies go by it");
        assert_eq!(labels["app.kubernetes.io/managed-by"], "blockgrid-operator", "and the operator by this");
        assert_eq!((&labels[USER_LABEL], &labels[NAMESPACE_LABEL]), (&json!("ann"), &json!("team-a")));
    }

    #[test]
    fn a_worker_leaves_a_node_that_does_not_answer_soon_unless_its_class_says_when() {
        let seconds = |class: &str| {
            let pod = &built(class)["spec"]["template"]["spec"];
            let tolerations = pod["tolerations"].as_array().unwrap().clone();
            let of =
                |key: &str| tolerations.iter().find(|one| one["key"] == key)?["tolerationSeconds"].as_i64();
            (tolerations.len(), of("node.kubernetes.io/not-ready"), of("node.kubernetes.io/unreachable"))
        };
        assert_eq!(seconds(""), (2, Some(30), Some(30)));
        let own = ", tolerations: [{key: spot, operator: Exists}, {key: node.kubernetes.io/not-ready, operator: Exists, effect: NoExecute, tolerationSeconds: 300}]";
        assert_eq!(seconds(own), (3, Some(300), Some(30)));
        assert_eq!(
            seconds(", tolerations: [{operator: Exists}]"),
            (1, None, None),
            "it stays wherever it is"
        );
    }

    #[test]
    fn a_planner_is_one_pod_without_probes() {
        let config = Config::of_text(
            "
workers: {namespace: platform, image: 'grid:1'}
classes: {standard: {cpu: '2', memory: 4Gi, slots: 2, microUsdPerVcpuHour: 36000}}
",
        )
        .unwrap();
        let owner = Owner {
            uid: "0b0c",
            name: "sma",
            namespace: "team-a",
            user: "ann",
            class: "standard",
            image: "grid:1",
            deadline_seconds: 7200,
        };
        let job =
            serde_json::to_value(planner(&owner, &config.classes["standard"], &config).unwrap()).unwrap();
        assert_eq!(job["metadata"]["name"], "bt-0b0c-plan");
        assert_eq!(job["spec"]["template"]["metadata"]["labels"][ROLE_LABEL], PLANNER);
        let container = &job["spec"]["template"]["spec"]["containers"][0];
        assert_eq!(container["command"], json!(["/blockgrid-controller", "plan"]));
        assert_eq!((container["args"][1].as_str(), container.get("readinessProbe")), (Some("0b0c"), None));
    }

    #[test]
    fn kueue_starts_what_waits_in_its_queue() {
        let job = built(", kueueQueue: batch");
        assert_eq!(job["spec"]["suspend"], true);
        assert_eq!(job["metadata"]["labels"]["kueue.x-k8s.io/queue-name"], "batch");
    }
}
