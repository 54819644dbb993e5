//! Pods that the watch saw go, until a look has counted what they cost: looks may be minutes apart while the store does not
//! answer, and what has gone tells nobody any more.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use blockgrid_grid::JobId;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Pod, PodCondition};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;

use super::{planners, pods};
use crate::resources::UID_LABEL;

/// Those pods, by their job.
#[derive(Debug, Default)]
pub struct Gone(Mutex<HashMap<JobId, Vec<Arc<Pod>>>>);

impl Gone {
    fn lock(&self) -> MutexGuard<'_, HashMap<JobId, Vec<Arc<Pod>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A pod went at a moment: it has cost until then, where it does not say itself until when.
    pub fn went(&self, pod: &Pod, now: Timestamp) {
        let job = pod.labels().get(UID_LABEL).and_then(|uid| uid.parse::<JobId>().ok());
        let Some(job) = job.filter(|_| !planners::is_planner(pod) && pods::micros(pod, now, 1000).is_some())
        else {
            return;
        };
        let mut pod = pod.clone();
        if !pods::has_ended(&pod)
            && let Some(status) = &mut pod.status
        {
            status.phase = Some("Failed".to_owned());
            status.conditions.get_or_insert_default().push(PodCondition {
                type_: "Gone".to_owned(),
                status: "True".to_owned(),
                last_transition_time: Some(Time(now)),
                ..PodCondition::default()
            });
        }
        self.lock().entry(job).or_default().push(Arc::new(pod));
    }

    /// Those of a job that went since this was asked last.
    pub fn take(&self, job: &JobId) -> Vec<Arc<Pod>> {
        self.lock().remove(job).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn a_pod_that_went_has_cost_until_then_or_until_it_ended() {
        let at = |second: u32| format!("2026-01-01T00:00:{second:02}Z").parse::<Timestamp>().unwrap();
        let uid = "11111111-2222-3333-4444-555555555555";
        let pod = |name: &str, state: Value| -> Pod {
            let container = json!({ "name": "w", "image": "", "imageID": "", "ready": false, "restartCount": 0, "state": state });
            let status = json!({ "phase": "Running", "startTime": at(10).to_string(), "containerStatuses": [container] });
            serde_json::from_value(
                json!({ "metadata": { "name": name, "labels": { UID_LABEL: uid } }, "status": status }),
            )
            .unwrap()
        };
        let runs = json!({ "running": { "startedAt": at(11).to_string() } });
        let ended = json!({ "terminated": { "exitCode": 0, "finishedAt": at(20).to_string() } });
        let gone = Gone::default();
        gone.went(&pod("a", runs), at(40));
        gone.went(&pod("b", ended), at(40));
        let job: JobId = uid.parse().unwrap();
        let cost: Vec<_> =
            gone.take(&job).iter().map(|pod| pods::micros(pod, at(59), 1000).unwrap()).collect();
        assert_eq!(cost, [30_000_000, 10_000_000]);
        assert!(gone.take(&job).is_empty(), "they are counted");
    }
}
