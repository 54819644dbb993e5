//! The pods that plan large jobs.

use std::collections::HashMap;
use std::sync::Arc;

use blockgrid_grid::JobId;
use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::runtime::reflector;

use super::{holds, of_job_named, pods, unmade};
use crate::config::Config;
use crate::context::Context;
use crate::pool::{CLASS_LABEL, PLANNER, ROLE_LABEL, planner_name};
use crate::resources::{NAMESPACE_LABEL, is_of};
use crate::world::PlannerPod;

/// Seconds in which a pod starts, if it can: so long it takes a place from others.
const STARTS: i64 = 60;

/// Whether a Job or a pod is one that plans.
pub(super) fn is_planner(object: &impl ResourceExt) -> bool {
    object.labels().get(ROLE_LABEL).map(String::as_str) == Some(PLANNER)
}

/// Whether as many plans are made by pods as the operator itself makes at a time; or wait to be, of this namespace's jobs.
/// Those that cannot start are nobody else's trouble.
pub(super) fn are_busy(context: &Context, namespace: &str, now: Timestamp) -> bool {
    busy(context, namespace, now, &mut context.ordered())
}

/// Takes a place for a job, if there is one: the watch does not know yet of what was ordered a moment ago.
pub fn take_place(context: &Context, id: &JobId, namespace: &str, now: Timestamp) -> bool {
    let mut ordered = context.ordered();
    let is_free = !busy(context, namespace, now, &mut ordered);
    if is_free {
        ordered.insert(id.clone(), (namespace.to_owned(), now));
    }
    is_free
}

fn busy(
    context: &Context,
    namespace: &str,
    now: Timestamp,
    ordered: &mut HashMap<JobId, (String, Timestamp)>,
) -> bool {
    ordered.retain(|id, (_, at)| {
        of_job_named(&planner_name(id.as_str()), id, context).is_none()
            && now.as_second() - at.as_second() < STARTS
    });
    let of_it = ordered.values().filter(|(of, _)| of == namespace).count();
    let most = context.config.jobs.planned_at_once;
    let jobs = context.pools.state();
    let works = |job: &&Arc<Job>| {
        let ended = job.status.iter().flat_map(|status| status.conditions.iter().flatten());
        is_planner(&***job) && !ended.into_iter().any(|condition| condition.status == "True")
    };
    let has_started = |job: &&Arc<Job>| {
        let began = job.metadata.creation_timestamp.as_ref().map_or(now, |time| time.0);
        let ready = job.status.as_ref().and_then(|status| status.ready).unwrap_or(0);
        ready > 0 || now.as_second() - began.as_second() < STARTS
    };
    let is_its = |job: &&Arc<Job>| job.labels().get(NAMESPACE_LABEL).map(String::as_str) == Some(namespace);
    jobs.iter().filter(works).filter(has_started).count() + ordered.len() >= most
        || jobs.iter().filter(works).filter(is_its).count() + of_it >= most
}

/// Micro-USD that an hour of all pods that plan costs at this moment.
pub fn rate(pods: &reflector::Store<Pod>, config: &Config) -> u64 {
    let of = |pod: &Arc<Pod>| {
        let status = pod.status.as_ref()?;
        let is_on =
            status.start_time.is_some() && !matches!(status.phase.as_deref(), Some("Succeeded" | "Failed"));
        if !is_planner(&**pod) || !is_on {
            return None;
        }
        let class = pod.labels().get(CLASS_LABEL).map_or("standard", String::as_str);
        Some(config.classes.get(class)?.micro_usd_per_hour())
    };
    pods.state().iter().filter_map(of).sum()
}

/// The pod that plans a job, as the watch knows it.
pub(super) async fn planner(id: &JobId, context: &Context, now: Timestamp) -> Option<PlannerPod> {
    let name = planner_name(id.as_str());
    let job = of_job_named(&name, id, context)?;
    let status = job.status.clone().unwrap_or_default();
    let has_ended = holds(&status, "Complete").is_some();
    let failed = holds(&status, "Failed").map(|condition| {
        let why = condition.message.clone().or_else(|| condition.reason.clone()).unwrap_or_default();
        format!("the pod that plans it failed: {why}; see the logs of Job {name}")
    });
    let since = job.metadata.creation_timestamp.as_ref().map_or(now, |time| time.0);
    let is_deleted = job.metadata.deletion_timestamp.is_some();
    let its = |pod: &Arc<Pod>| is_of(&**pod, id) && is_planner(&**pod);
    let pods: Vec<Arc<Pod>> = context.pods.state().into_iter().filter(its).collect();
    let mut trouble = pods.iter().find_map(|pod| pods::trouble(pod));
    // Also if its node does not answer at this moment.
    let has_run = pods.iter().any(|pod| pods::has_run(pod));
    let has_started = status.ready.unwrap_or(0) > 0 || status.failed.unwrap_or(0) > 0 || has_run;
    if pods.is_empty() && failed.is_none() && !is_deleted && !has_started {
        trouble = unmade::unmade(context, &name, Some(since), now).await;
    }
    Some(PlannerPod { failed, is_deleted, since: Some(since), has_started, trouble, has_ended })
}
