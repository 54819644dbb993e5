//! What the pods of a pool say: what each has cost, and what ails them.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{ContainerState, ContainerStateTerminated, Pod};
use kube::ResourceExt;

use crate::pool::MISCONFIGURED;
use crate::world::{Pool, Trouble};

/// How long after the time that it was given to end a pod is waited for: its node is gone then, or does not answer.
const STUCK: SignedDuration = SignedDuration::from_secs(30);

/// What the kubelet says of a container that the kernel killed for want of memory.
const OOM_KILLED: &str = "OOMKilled";

/// What tells a pod from others of its name.
pub(super) fn uid(pod: &Pod) -> String {
    pod.metadata.uid.clone().unwrap_or_else(|| pod.name_any())
}

fn containers(pod: &Pod) -> impl Iterator<Item = &ContainerState> {
    let statuses = pod.status.iter().flat_map(|status| status.container_statuses.iter().flatten());
    statuses.filter_map(|container| container.state.as_ref())
}

fn ended(pod: &Pod) -> impl Iterator<Item = &ContainerStateTerminated> {
    containers(pod).filter_map(|state| state.terminated.as_ref())
}

/// Whether a container of it has run.
pub(super) fn has_run(pod: &Pod) -> bool {
    containers(pod).any(|state| state.running.is_some() || state.terminated.is_some())
}

/// Whether a pod is over. Its containers need not say so: a node that refuses it starts none, and of a node that is gone
/// others say it.
fn is_over(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    matches!(phase, Some("Failed" | "Succeeded")) || ended(pod).next().is_some()
}

/// vCPU-microseconds that a pod has cost until a moment, from when a node began with it, which is what the cluster is paid
/// for; `None` where none has.
pub(super) fn micros(pod: &Pod, until: Timestamp, millicpus: u64) -> Option<u64> {
    let start = start(pod)?;
    Some(micros_of(start, end(pod).map_or(until, |end| end.min(until)), millicpus))
}

/// When a node began with it, which its kubelet says also of what it refuses.
fn start(pod: &Pod) -> Option<Timestamp> {
    let said = pod.status.as_ref()?.start_time.as_ref()?.0;
    (has_run(pod) || !is_over(pod)).then_some(said)
}

/// Whether a pod ran at a moment.
pub(super) fn ran_at(pod: &Pod, then: Timestamp) -> bool {
    start(pod).is_some_and(|since| since < then) && end(pod).is_none_or(|end| end > then)
}

/// Whether it is known when it was over.
pub(super) fn has_ended(pod: &Pod) -> bool {
    end(pod).is_some()
}

/// When a pod was over: its container's last moment, or where none is known, the last word of its conditions.
fn end(pod: &Pod) -> Option<Timestamp> {
    let said = ended(pod).filter_map(|ended| ended.finished_at.as_ref()).map(|time| time.0).max();
    let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    let words = conditions.filter_map(|is| is.last_transition_time.as_ref()).map(|time| time.0);
    said.or_else(|| words.max().filter(|_| is_over(pod)))
}

/// vCPU-microseconds of one pod from one moment to another.
pub(super) fn micros_of(from: Timestamp, to: Timestamp, millicpus: u64) -> u64 {
    u64::try_from(to.as_microsecond() - from.as_microsecond()).unwrap_or(0) / 1000 * millicpus
}

/// vCPU-microseconds of so many pods that were there at a moment and are no more: each until another was made in its place, or
/// until the last moment at which it can have worked.
pub(super) fn unseen(
    pods: &[Arc<Pod>],
    vanished: usize,
    then: Timestamp,
    last: Timestamp,
    millicpus: u64,
) -> u64 {
    let made = pods.iter().filter_map(|pod| Some(pod.metadata.creation_timestamp.as_ref()?.0));
    let mut made: Vec<Timestamp> = made.filter(|made| *made > then).collect();
    made.sort_unstable();
    // Those of pods that are still to be seen are nobody else's heirs.
    let mut ends: Vec<Timestamp> = pods.iter().filter_map(|pod| end(pod)).filter(|end| *end > then).collect();
    ends.sort_unstable();
    for end in ends {
        if let Some(heir) = made.iter().position(|made| *made >= end) {
            made.remove(heir);
        }
    }
    let until = made.into_iter().chain(std::iter::repeat(last)).take(vanished);
    until.map(|until| micros_of(then, until.min(last), millicpus)).sum()
}

/// Notes what ails the pods of a pool.
pub(super) fn ail(pool: &mut Pool, pods: &[Arc<Pod>], now: Timestamp) {
    for pod in pods {
        let ends = pod.metadata.deletion_timestamp.as_ref();
        // The Job counts them no more.
        pool.going += u32::from(ends.is_some() && !is_over(pod));
        if ends.is_some_and(|ends| now.duration_since(ends.0) > STUCK) {
            pool.stuck.push(pod.name_any());
        }
        pool.is_misconfigured |= ended(pod).any(|ended| ended.exit_code == MISCONFIGURED);
        if pool.trouble.is_none() {
            pool.trouble = trouble(pod);
        }
    }
    // One that cannot start now says more than one that died before.
    if pool.trouble.is_none() {
        pool.trouble = pods.iter().find_map(|pod| killed(pod));
    }
}

/// What keeps a pod from starting, if anything does.
pub(super) fn trouble(pod: &Pod) -> Option<Trouble> {
    let status = pod.status.as_ref()?;
    let waiting = containers(pod).find_map(|state| {
        let waiting = state.waiting.as_ref()?;
        let reason = waiting.reason.clone()?;
        // Those two are on their way.
        (!matches!(reason.as_str(), "ContainerCreating" | "PodInitializing"))
            .then(|| Trouble { reason, message: waiting.message.clone().unwrap_or_default() })
    });
    waiting.or_else(|| {
        let unscheduled = status
            .conditions
            .iter()
            .flatten()
            .find(|condition| condition.type_ == "PodScheduled" && condition.status == "False")?;
        Some(Trouble {
            reason: unscheduled.reason.clone().unwrap_or_else(|| "Unschedulable".to_owned()),
            message: unscheduled.message.clone().unwrap_or_default(),
        })
    })
}

/// A worker that had not enough memory, or that its node refused or evicted.
fn killed(pod: &Pod) -> Option<Trouble> {
    let status = pod.status.as_ref().filter(|status| status.phase.as_deref() == Some("Failed"));
    if let Some(reason) = status.and_then(|status| status.reason.as_deref()) {
        let said = status.and_then(|status| status.message.as_deref()).unwrap_or_default();
        return Some(Trouble { reason: reason.to_owned(), message: format!("{}: {said}", pod.name_any()) });
    }
    let is = ended(pod).any(|ended| ended.reason.as_deref() == Some(OOM_KILLED));
    is.then(|| Trouble {
        reason: OOM_KILLED.to_owned(),
        message: format!(
            "{} was killed because it needed more memory than its class has: take a class with more, or fewer trials, candles and `output.top`",
            pod.name_any()
        ),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn pods(pods: Value) -> Vec<Arc<Pod>> {
        serde_json::from_value::<Vec<Pod>>(pods).unwrap().into_iter().map(Arc::new).collect()
    }

    fn container(state: &Value) -> Value {
        json!([{ "name": "w", "image": "", "imageID": "", "ready": false, "restartCount": 0, "state": state }])
    }

    #[test]
    fn pods_tell_what_they_cost_and_what_ails_them() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let killed = json!({ "terminated": { "exitCode": 137, "reason": "OOMKilled", "finishedAt": "2026-01-01T00:00:30Z" } });
        let waits = json!({ "waiting": { "reason": "ErrImagePull", "message": "not found" } });
        let both = pods(json!([
            { "metadata": { "name": "a" }, "status": { "startTime": "2026-01-01T00:00:00Z", "containerStatuses": container(&killed) } },
            { "metadata": { "name": "b" }, "status": { "startTime": "2026-01-01T00:00:50Z", "containerStatuses": container(&waits) } },
        ]));
        let cost = |until: &str| {
            both.iter().map(|pod| micros(pod, at(until), 2000).unwrap() / 2_000_000).sum::<u64>()
        };
        assert_eq!(cost("2026-01-01T00:01:00Z"), 30 + 10);
        assert_eq!(cost("2026-01-01T00:00:20Z"), 20, "as it was then");
        let ails = |pods: &[Arc<Pod>]| {
            let mut pool = Pool::default();
            ail(&mut pool, pods, at("2026-01-01T00:01:00Z"));
            pool
        };
        assert_eq!(ails(&both).trouble.unwrap().reason, "ErrImagePull");
        let alone = ails(&both[..1]);
        assert!(
            alone.trouble.as_ref().is_some_and(|trouble| trouble.message.starts_with("a was killed")),
            "{alone:?}"
        );
        assert!(!alone.is_misconfigured && alone.stuck.is_empty());
    }

    /// As kubelets, and who takes their places, say it.
    #[test]
    fn a_pod_that_its_node_refused_costs_nothing_and_one_whose_node_is_gone_no_more() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let began = "2026-01-01T00:00:00Z";
        let runs = container(&json!({ "running": { "startedAt": began } }));
        let word =
            |kind: &str, time: &str| json!({ "type": kind, "status": "True", "lastTransitionTime": time });
        let pods = pods(json!([
            { "metadata": { "name": "refused" }, "status": {
                "phase": "Failed", "reason": "OutOfcpu", "message": "Pod was rejected: Node didn't have enough resource: cpu",
                "startTime": began, "conditions": [word("PodScheduled", began)] } },
            { "metadata": { "name": "gone" }, "status": {
                "phase": "Failed", "startTime": began, "containerStatuses": runs,
                "conditions": [word("Ready", began), word("DisruptionTarget", "2026-01-01T00:00:40Z")] } },
        ]));
        let seconds = |pod: &Pod| Some(micros(pod, at("2026-01-01T01:00:00Z"), 1000)? / 1_000_000);
        assert_eq!([0, 1].map(|nth| seconds(&pods[nth])), [None, Some(40)]);
        let then = at("2026-01-01T00:00:20Z");
        assert_eq!([0, 1].map(|nth| ran_at(&pods[nth], then)), [false, true]);
        let mut pool = Pool::default();
        ail(&mut pool, &pods, then);
        let told = pool.trouble.unwrap().told();
        assert_eq!(told, "OutOfcpu: refused: Pod was rejected: Node didn't have enough resource: cpu");
    }

    #[test]
    fn each_pod_that_nobody_saw_go_has_worked_until_another_took_its_place() {
        let at = |second: u32| format!("2026-01-01T00:00:{second:02}Z").parse::<Timestamp>().unwrap();
        let made =
            |second: u32| json!({ "metadata": { "name": "a", "creationTimestamp": at(second).to_string() } });
        let there = pods(json!([made(40), made(5), made(20)]));
        let seconds = |vanished, last| unseen(&there, vanished, at(10), at(last), 1000) / 1_000_000;
        assert_eq!(
            [0, 1, 2, 3].map(|vanished| seconds(vanished, 50)),
            [0, 10, 40, 80],
            "the third has no heir"
        );
        assert_eq!(seconds(3, 30), 10 + 20 + 20, "the Job ended then");
        assert_eq!(seconds(3, 5), 0, "and before");
        let failed = json!({ "terminated": { "exitCode": 1, "finishedAt": at(15).to_string() } });
        let failed = json!({ "metadata": { "name": "f" }, "status": { "startTime": at(1).to_string(), "containerStatuses": container(&failed) } });
        let seen = pods(json!([failed, made(40), made(20)]));
        assert_eq!(unseen(&seen, 1, at(10), at(50), 1000) / 1_000_000, 30, "the first is that one's");
        assert_eq!([10, 16].map(|second| ran_at(&seen[0], at(second))), [true, false]);
    }

    #[test]
    fn a_pod_that_should_have_ended_is_waited_for_and_not_for_ever() {
        let ended = pods(json!([
            { "metadata": { "name": "a", "deletionTimestamp": "2026-01-01T00:00:00Z" } }, { "metadata": { "name": "b" } },
        ]));
        let stuck = |now: &str| {
            let mut pool = Pool::default();
            ail(&mut pool, &ended, now.parse().unwrap());
            assert_eq!(pool.going, 1, "it costs until it is gone");
            pool.stuck
        };
        assert_eq!(stuck("2026-01-01T00:00:30Z"), [""; 0]);
        assert_eq!(stuck("2026-01-01T00:00:31Z"), ["a"]);
    }
}
