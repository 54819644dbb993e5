//! What a kubelet says of the pods of a pool, and the workers that their templates ask for.

use std::time::Duration;

use blockgrid_grid::store::{keys, sha256};
use blockgrid_grid::usage::UnitUsage;
use blockgrid_grid::{JobId, Outcome, Queue, Unit};
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Api, ResourceExt};
use serde_json::{Value, json};

use crate::rig::{Grid, Process, until};

/// A container that runs since then.
fn running(since: &str, is_ready: bool) -> Value {
    json!({
        "name": "worker", "image": "grid:1", "imageID": "x", "ready": is_ready, "started": true, "restartCount": 0,
        "state": { "running": { "startedAt": since } },
    })
}

impl Grid {
    pub(crate) fn pods_of(&self, id: &JobId) -> Vec<Pod> {
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), &self.platform);
        let ours = ListParams::default().labels(&format!("grid.blockbuilders.app/job-uid={id}"));
        self.wait(pods.list(&ours)).unwrap().items
    }

    /// Waits until the Job controller has made so many pods.
    pub(crate) fn await_pods(&self, id: &JobId, count: usize) -> Vec<Pod> {
        let mut pods = Vec::new();
        until(&format!("{count} pods"), || {
            pods = self.pods_of(id);
            pods.len() == count
        });
        pods.sort_by_key(ResourceExt::name_any);
        pods
    }

    pub(crate) fn say_of(&self, pod: &Pod, status: Value) {
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), &self.platform);
        let body = Patch::Merge(json!({ "status": status }));
        self.wait(pods.patch_status(&pod.name_any(), &PatchParams::default(), &body)).unwrap();
    }

    /// It runs since then.
    pub(crate) fn say_ready(&self, pod: &Pod, since: &str) {
        self.say_of(
            pod,
            json!({
                "phase": "Running", "startTime": since, "containerStatuses": [running(since, true)],
                "conditions": [{ "type": "Ready", "status": "True" }],
            }),
        );
    }

    /// It runs since then, and cannot work.
    pub(crate) fn say_unready(&self, pod: &Pod, since: &str) {
        let ready = json!({ "type": "Ready", "status": "False" });
        self.say_of(pod, json!({ "containerStatuses": [running(since, false)], "conditions": [ready] }));
    }

    /// Its node has refused it, as a kubelet says that: there are no containers, and it began all the same.
    pub(crate) fn say_refused(&self, pod: &Pod, since: &str) {
        let message = "Pod was rejected: Node didn't have enough resource: cpu";
        self.say_of(
            pod,
            json!({ "phase": "Failed", "reason": "OutOfcpu", "message": message, "startTime": since }),
        );
    }

    /// It is a node's, whose kubelet says nothing.
    pub(crate) fn bind(&self, pod: &Pod, node: &str) {
        let nodes: Api<Node> = Api::all(self.client.clone());
        let object = serde_json::from_value(json!({ "metadata": { "name": node } })).unwrap();
        self.wait(nodes.create(&PostParams::default(), &object)).unwrap();
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), &self.platform);
        let binding = json!({
            "apiVersion": "v1", "kind": "Binding", "metadata": { "name": pod.name_any() },
            "target": { "kind": "Node", "name": node },
        });
        let bound: Result<kube::core::Status, _> =
            self.wait(pods.create_subresource("binding", &pod.name_any(), &PostParams::default(), &binding));
        bound.unwrap();
    }

    /// It is told to end within a second.
    pub(crate) fn evict(&self, pod: &Pod) {
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), &self.platform);
        let soon = DeleteParams { grace_period_seconds: Some(1), ..DeleteParams::default() };
        self.wait(pods.delete(&pod.name_any(), &soon)).unwrap();
    }

    /// It has ended with a code.
    pub(crate) fn say_ended(&self, pod: &Pod, since: &str, until: &str, code: i32) {
        let container = json!({
            "name": "worker", "image": "grid:1", "imageID": "x", "ready": false, "started": false, "restartCount": 0,
            "state": { "terminated": { "exitCode": code, "startedAt": since, "finishedAt": until } },
        });
        let phase = if code == 0 { "Succeeded" } else { "Failed" };
        self.say_of(
            pod,
            json!({
                "phase": phase, "startTime": since, "containerStatuses": [container],
                "conditions": [{ "type": "Ready", "status": "False" }],
            }),
        );
    }

    /// What workers leave when a job is done: its record, its outcome, and word of it. It took so much CPU time, which is
    /// money to the microdollar, where a real worker of an unoptimised build takes many times what it is quoted.
    pub(crate) fn finish(&self, id: &JobId, cpu_micros: u64) {
        let record = json!({ "state": "Succeeded", "grid": { "usage": { "cpuMicros": cpu_micros } } });
        let record = serde_json::to_vec(&record).unwrap();
        // By content: whoever finishes it once more does not write over what the first has named.
        let key = format!("records/{}", sha256(&record));
        let outcome = json!({
            "state": "done", "failedTrials": [], "usage": UnitUsage::default(),
            "result": { "key": key, "sha256": sha256(&record), "bytes": record.len() },
        });
        let outcome: Outcome = serde_json::from_value(outcome).unwrap();
        self.wait(async {
            self.store.put(&key, record.into()).await.unwrap();
            let outcome = serde_json::to_vec(&outcome).unwrap();
            // Whoever was first has ended it.
            let _ = self.store.create(&keys::outcome(id, Unit::Finish), outcome.into()).await.unwrap();
            let queue = self.redis.queue().await;
            queue.announce(id).await.unwrap();
        });
    }

    /// The worker that a pod's template asks for, on this machine.
    pub(crate) fn worker_of(&self, pod: &Pod) -> Process {
        let spec = serde_json::to_value(pod.spec.as_ref().unwrap()).unwrap();
        let args: Vec<String> = serde_json::from_value(spec["containers"][0]["args"].clone()).unwrap();
        let mut mine = Vec::new();
        let mut args = args.into_iter();
        while let Some(arg) = args.next() {
            let value = args.next().unwrap();
            match arg.as_str() {
                // Its address, its folder, and the patience of a test.
                "--http" | "--cache" | "--slots" | "--grace" | "--idle" => {}
                _ => mine.extend([arg, value]),
            }
        }
        let index = &pod.annotations()["batch.kubernetes.io/job-completion-index"];
        let mine: Vec<&str> = mine.iter().map(String::as_str).collect();
        self.worker_with(&format!("w{index}"), &mine, "")
    }
}

/// Seconds before now, as a pod has them.
pub(crate) fn ago(seconds: i64) -> String {
    let now = jiff::Timestamp::now().as_second() - seconds;
    jiff::Timestamp::from_second(now).unwrap().to_string()
}

pub(crate) fn pause(millis: u64) {
    std::thread::sleep(Duration::from_millis(millis));
}
