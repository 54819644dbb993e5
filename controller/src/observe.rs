//! What is known of a job, gathered: reads only.

mod ended;
pub mod gone;
pub mod planners;
mod pods;
mod unmade;

pub use ended::{Ended, end};
pub use planners::rate as planners;

use std::sync::Arc;
use std::time::{Duration, Instant};

use blockgrid_grid::store::keys;
use blockgrid_grid::usage::Spent;
use blockgrid_grid::{JobId, Outcome, StoreError, Unit};
use blockgrid_job::names::MAX_REQUEST_BYTES;
use blockgrid_job::status::{JobStatus, LaneKind, Phase};
use futures::{StreamExt, TryStreamExt, stream};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::batch;
use k8s_openapi::api::batch::v1::{Job, JobCondition};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::runtime::reflector::ObjectRef;
use tokio::time::timeout;

use crate::config::Config;
use crate::context::{BRIEFLY, Context};
use crate::plan::say::{QUEUE_UNAVAILABLE, STALLED};
use crate::pool::{KUEUE_LABEL, name};
use crate::resources::{BacktestJob, FINALIZER, LINKS_ANNOTATION, is_of};
use crate::terms::{self, Rates};
use crate::validate::{ttl_seconds, validate};
use crate::world::{Asked, End, Planning, Pool, World};

/// Seconds for which nobody asks whether a job of the lane has moved: most are done by then, and none has.
const IN_LANE_SECONDS: i64 = 5;

/// Outcomes that are read at a time.
const AT_ONCE: usize = 32;

/// Why a job could not be looked at.
#[derive(Debug, thiserror::Error)]
pub enum ObserveError {
    /// The object has no uid or namespace, which an API server always gives.
    #[error("the object has no {0}")]
    Nameless(&'static str),
    /// A name that cannot be a key.
    #[error(transparent)]
    BadId(#[from] blockgrid_grid::BadId),
    /// The object store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Gathers what is known of a job at one moment.
///
/// # Errors
/// [`ObserveError`].
pub async fn observe(job: &BacktestJob, context: &Context, now: Timestamp) -> Result<World, ObserveError> {
    let id = id(job)?;
    let namespace = job.namespace().ok_or(ObserveError::Nameless("namespace"))?;
    let mut status = job.status.clone().unwrap_or_default();
    context.spent(&id, &mut status);
    let config = &context.config;
    // What was let in when it was planned stays: limits are lowered for those who come.
    let manifest = job.manifest();
    let asked = validate(&manifest, &namespace, config, status.planned_time.is_some(), status.terms.as_ref());
    let is_over = status.phase.is_terminal();
    let mut planning = if is_over {
        Planning::Unknown
    } else {
        context.plans.state(&id, status.planned_time.is_some()).await?
    };
    if let Planning::Done(planned) = &mut planning
        && planned.is_small
        && planned.is_ours
        && has_moved(context, &id, &status, now).await?
    {
        planned.is_small = false;
    }
    let quoted = match &planning {
        Planning::Done(planned) => planned.price.as_ref(),
        _ => None,
    };
    let rates = terms::rates(&status, quoted, asked.as_ref().ok().map(|asked| &asked.offered));
    if let Ok(asked) = &asked
        && status.reserved_micro_usd.is_some()
    {
        // Where an operator let it in that wrote none.
        status.terms.get_or_insert_with(|| terms::of(&rates, asked.deadline_seconds));
    }
    let is_deleted = job.metadata.deletion_timestamp.is_some();
    let is_to_end = is_deleted || is_cancelled(&asked);
    let is_planned = matches!(planning, Planning::Done(_));
    // The store says how a job ended. Where money is held it may have been queued, though an operator that died has not said
    // that it began; or it is to be settled.
    let may_have_ended =
        status.reserved_micro_usd.is_some() || is_planned && (status.start_time.is_some() || is_to_end);
    let mut pool = pool(&id, context, now, &rates, &status);
    if let Some(pool) = &mut pool {
        // Nobody starts without it.
        pool.since = pool.since.map(|since| context.queue_answers_since(since));
    }
    let counted = pool
        .as_ref()
        .filter(|pool| status.phase == Phase::Running && !is_to_end && pool.ready > 0)
        .and_then(|_| context.counted(&id, pause(&status, now)));
    let began = Instant::now();
    let rests = pool.as_ref().is_some_and(|pool| !pool.is_kueues) && !is_over;
    let patience = if rests { BRIEFLY.unsigned_abs() } else { Duration::MAX };
    let asked_for = if may_have_ended && counted.is_none() {
        timeout(patience, end(context, &id, &rates)).await.unwrap_or_else(|_| Err(no_answer(&id).into()))
    } else {
        Ok(None)
    };
    // What workers cost is known all the same.
    let (mut end, store_fails) =
        match asked_for {
            Err(ObserveError::Store(
                error @ (StoreError::Unavailable { .. } | StoreError::Refused { .. }),
            )) if rests => (None, Some(context.store_fails(&id, began, now, error)?)),
            answer => {
                context.store_answers(&id);
                (answer?, None)
            }
        };
    if !is_over
        && end.is_none()
        && let Some(pool) = &mut pool
        && pool.has_no_pods()
        && let Some(trouble) = unmade::unmade(context, &name(id.as_str()), pool.since, now).await
    {
        pool.trouble = Some(trouble);
    }
    let most = asked.as_ref().ok().and_then(|asked| asked.max_cost).filter(|_| pool.is_none());
    if let Some(most) = most.and_then(|most| most_of_lane(&status, most))
        && let Some(End::Done { micro_usd, requests_micro_usd, .. }) = &mut end
    {
        *micro_usd = within(most, *micro_usd, *requests_micro_usd);
    }
    let planner = planners::planner(&id, context, now).await;
    let done = match (&planning, &end, status.phase) {
        // A lane's job is done before anyone has counted.
        (Planning::Done(planned), None, phase)
            if store_fails.is_none()
                && (pool.is_some()
                    || planned.shards > 1 && matches!(phase, Phase::Running | Phase::Finishing)) =>
        {
            match counted {
                Some(done) => Some(done),
                None => Some(count(context, &id).await?),
            }
        }
        _ => None,
    };
    let (used_micro_usd, used_requests_micro_usd) = match &end {
        Some(End::Failed { .. })
            if (is_over || is_deleted)
                && status.reserved_micro_usd.is_some()
                // It is settled when they are gone.
                && pool.is_none() =>
        {
            let (micro_usd, requests) = used(context, &id, &rates).await?;
            let most = most.and_then(|most| most_of_lane(&status, most)).unwrap_or(u64::MAX);
            (within(most, micro_usd, requests), requests)
        }
        _ => (0, 0),
    };
    Ok(World {
        now,
        generation: job.metadata.generation.unwrap_or(0),
        created: job.metadata.creation_timestamp.as_ref().map_or(now, |time| time.0),
        is_deleted,
        has_finalizer: job.finalizers().iter().any(|known| known == FINALIZER),
        held: context.treasury.held(&id, &namespace, status.reserved_micro_usd.is_some()),
        ttl_seconds: ttl_seconds(&manifest, config),
        wants_links: job.annotation(LINKS_ANNOTATION).filter(|text| is_request(text)).map(str::to_owned),
        user: user(job, config),
        image: config.workers.image.clone(),
        is_granted: false,
        lane_empty_since: context.lane_empty_since(),
        queue_fails: context.queue_fails(now, stands_for_the_queue(&status)),
        status,
        asked,
        rates,
        planning,
        pool_refused: None,
        pool_refused_since: None,
        end,
        done,
        has_progressed: done.is_some_and(|done| context.has_progressed(&id, done)),
        store_fails,
        planners_are_busy: planners::are_busy(context, &namespace, now),
        used_micro_usd,
        used_requests_micro_usd,
        planner,
        pool,
    })
}

/// Workers do not wait for a store as long as a client of it does.
fn no_answer(id: &JobId) -> StoreError {
    let problem = format!("no answer within {} s", BRIEFLY.as_secs());
    StoreError::Unavailable { key: keys::outcome(id, Unit::Finish), problem }
}

/// How long the store is not asked again how far a job is whose workers compute: it is money and a moment for each of
/// many, and the queue tells of ends at once. A twentieth of what the job has taken is a twentieth of its progress at most.
fn pause(status: &JobStatus, now: Timestamp) -> Duration {
    (status.taken(now) / 20).clamp(Duration::from_secs(4), Duration::from_secs(60))
}

/// Whether a job was told to stand still because the queue does not answer.
fn stands_for_the_queue(status: &JobStatus) -> bool {
    status.condition(STALLED).is_some_and(|is| is.status == "True" && is.reason == QUEUE_UNAVAILABLE)
}

/// Its shards that are done.
async fn count(context: &Context, id: &JobId) -> Result<u64, ObserveError> {
    let listed = context.store.list(&keys::outcomes(id)).await?;
    let done = listed.iter().filter(|entry| keys::name(&entry.key).starts_with('s')).count() as u64;
    context.has_counted(id, done);
    Ok(done)
}

/// Whether a small job turned out to be too long for the lane: its workers say so in the store.
async fn has_moved(
    context: &Context,
    id: &JobId,
    status: &JobStatus,
    now: Timestamp,
) -> Result<bool, ObserveError> {
    if status.lane == Some(LaneKind::Pool) {
        // It was said before.
        return Ok(true);
    }
    if status.started().is_none_or(|began| now.as_second() - began.as_second() < IN_LANE_SECONDS) {
        return Ok(false);
    }
    match context.store.head(&keys::moved(id)).await {
        Ok(_) => Ok(true),
        Err(StoreError::NotFound { .. }) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// What a small job is charged at most that has a `compute.maxCostUsd`: nothing stops it in the lane, so what it takes beside
/// that is the platform's. Lowered afterwards, it is what the job was let in at.
fn most_of_lane(status: &JobStatus, most: u64) -> Option<u64> {
    (status.lane == Some(LaneKind::Interactive)).then(|| most.max(status.reserved_micro_usd.unwrap_or(0)))
}

/// What is charged for computing beside requests.
fn within(most: u64, micro_usd: u64, requests_micro_usd: u64) -> u64 {
    micro_usd.min(most.saturating_sub(requests_micro_usd))
}

/// Whether a status can repeat it, as an answer does.
fn is_request(text: &str) -> bool {
    text.len() <= MAX_REQUEST_BYTES
}

fn is_cancelled(asked: &Result<Asked, crate::world::Refused>) -> bool {
    asked.as_ref().map_or(true, |asked| asked.cancel)
}

/// The uid of a job, as the grid names it.
///
/// # Errors
/// When it has none.
pub fn id(job: &BacktestJob) -> Result<JobId, ObserveError> {
    Ok(job.uid().ok_or(ObserveError::Nameless("uid"))?.parse()?)
}

/// What was computed of a job that ended without results, and what its requests cost: nobody computes for nothing.
pub async fn used(context: &Context, id: &JobId, rates: &Rates) -> Result<(u64, u64), ObserveError> {
    let listed = context.store.list(&keys::outcomes(id)).await?;
    let read = listed.into_iter().map(|entry| async move {
        match context.store.get(&entry.key).await {
            Ok(bytes) => {
                let outcome = serde_json::from_slice::<Outcome>(&bytes);
                Ok(outcome.map(|outcome| outcome.usage().spent).unwrap_or_default())
            }
            // What cannot be read was paid for by nobody's leave.
            Err(StoreError::NotFound { .. } | StoreError::Corrupt { .. }) => Ok(Spent::default()),
            Err(error) => Err(error),
        }
    });
    let spent: Vec<Spent> =
        stream::iter(read.collect::<Vec<_>>()).buffer_unordered(AT_ONCE).try_collect().await?;
    let sum: Spent = spent.into_iter().sum();
    let requests = rates.costs.requests(sum.read_requests, sum.write_requests);
    Ok((rates.price.micro_usd(sum.cpu_micros.into()), requests))
}

/// A Job of this BacktestJob. One of another by an unlikely name is never touched.
fn of_job_named(name: &str, id: &JobId, context: &Context) -> Option<Arc<Job>> {
    let key = ObjectRef::<Job>::new(name).within(&context.config.workers.namespace);
    let job = context.pools.get(&key)?;
    is_of(&*job, id).then_some(job)
}

/// The workers of a job, as the watch knows them, and what keeps them from starting.
fn pool(id: &JobId, context: &Context, now: Timestamp, rates: &Rates, status: &JobStatus) -> Option<Pool> {
    let job = of_job_named(&name(id.as_str()), id, context)?;
    let mut pool = of_job(&job, now);
    let ours = |pod: &Arc<Pod>| is_of(&**pod, id) && !planners::is_planner(&**pod);
    let mut pods: Vec<Arc<Pod>> = context.pods.state().into_iter().filter(ours).collect();
    pods::ail(&mut pool, &pods, now);
    // Those that went since the last look cost until then.
    pods.extend(context.gone.take(id).into_iter().filter(ours));
    let millicpus = rates.millicpus;
    // What was said last is what pods had cost at that moment: those of them that are gone cost the rest of it. Those that went
    // while nobody led are said to work still: they did until others took their places or all were told to go, at most until
    // now. That is a guess, which never takes more than is held.
    let gone = || {
        let said = status.spent_micro_usd.map_or(0, |spent| rates.price.micros(spent));
        let then = status.spent_time.as_deref().and_then(|text| text.parse().ok()).unwrap_or(now);
        let cost = |until| pods.iter().filter_map(move |pod| pods::micros(pod, until, millicpus));
        let (live, since) = (cost(then).sum::<u64>(), cost(now).sum::<u64>());
        let there = pods.iter().filter(|pod| pods::ran_at(pod, then)).count();
        let said_to_work = usize::try_from(status.workers.unwrap_or(0)).unwrap_or(0);
        let vanished = said_to_work.saturating_sub(there);
        // No other is made in the place of one that was told to go.
        let told = vanished.min(said_to_work.saturating_sub(pool.wanted as usize));
        let last = rested(&job).unwrap_or(now).min(now);
        let stops = SignedDuration::from_secs(i64::try_from(rates.stopping_seconds).unwrap_or(i64::MAX));
        let stopped = then.checked_add(stops).unwrap_or(now).min(last);
        let unseen = pods::unseen(&pods, vanished - told, then, last, millicpus)
            + pods::micros_of(then, stopped, millicpus).saturating_mul(told as u64);
        let held = status.reserved_micro_usd.map_or(u64::MAX, |held| rates.price.micros(held));
        let room = held.saturating_sub(said).saturating_sub(since.saturating_sub(live));
        said.saturating_sub(live).saturating_add(unseen.min(room))
    };
    let costs = pods.iter().filter_map(|pod| Some((pods::uid(pod), pods::micros(pod, now, millicpus)?)));
    pool.micros = context.pod_micros(id, gone, costs);
    Some(pool)
}

/// When a Job was told to rest, or has ended: its pods worked no longer, or not for long.
fn rested(job: &Job) -> Option<Timestamp> {
    let ends = ["Complete", "Failed", "Suspended"];
    let conditions = job.status.as_ref()?.conditions.as_deref()?;
    let told = conditions.iter().filter(|is| is.status == "True" && ends.contains(&is.type_.as_str()));
    told.filter_map(|is| is.last_transition_time.as_ref()).map(|time| time.0).min()
}

/// A condition of a Job, if it holds.
fn holds<'a>(status: &'a batch::v1::JobStatus, kind: &str) -> Option<&'a JobCondition> {
    status.conditions.iter().flatten().find(|is| is.type_ == kind && is.status == "True")
}

/// A pool by its Job alone.
pub fn of_job(job: &Job, now: Timestamp) -> Pool {
    let spec = job.spec.clone().unwrap_or_default();
    let status = job.status.clone().unwrap_or_default();
    let failed = status.failed_indexes.as_deref().map_or(0, count_indexes);
    let gave_up = holds(&status, "Failed");
    let is_misconfigured = gave_up.is_some_and(|why| why.reason.as_deref() == Some("PodFailurePolicy"));
    // The condition outlives `suspend` for a moment, and a start time of before with it.
    let rests = spec.suspend.unwrap_or(false) || holds(&status, "Suspended").is_some();
    Pool {
        wanted: u32::try_from(spec.parallelism.unwrap_or(0)).unwrap_or(0),
        is_suspended: spec.suspend.unwrap_or(false),
        ready: status.ready.unwrap_or(0),
        active: status.active.unwrap_or(0),
        failed: i32::try_from(failed).unwrap_or(i32::MAX),
        since: if rests {
            None
        } else {
            let start = status.start_time.as_ref().or(job.metadata.creation_timestamp.as_ref());
            Some(start.map_or(now, |time| time.0))
        },
        is_kueues: job.labels().contains_key(KUEUE_LABEL),
        micros: 0,
        trouble: None,
        going: 0,
        stuck: Vec::new(),
        is_deleted: job.metadata.deletion_timestamp.is_some(),
        is_misconfigured,
        is_given_up: gave_up.is_some(),
        active_seconds: spec.active_deadline_seconds,
    }
}

/// How many indexes a list such as `1,3-5` names.
fn count_indexes(list: &str) -> u64 {
    let part = |part: &str| match part.split_once('-') {
        Some((first, last)) => {
            let (first, last) = (first.parse::<u64>().unwrap_or(0), last.parse::<u64>().unwrap_or(0));
            last.saturating_sub(first) + 1
        }
        None => u64::from(!part.is_empty()),
    };
    list.split(',').map(part).sum()
}

/// Whether a user's label is believed: only where the platform names principals that may set it, which the admission
/// policy sees to.
pub fn user(job: &BacktestJob, config: &Config) -> String {
    let believed = !config.believed_users.is_empty();
    let label = job.label(crate::resources::USER_LABEL).filter(|label| believed && !label.is_empty());
    label.map_or_else(|| job.namespace().unwrap_or_default(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_store_is_asked_less_often_the_longer_a_job_runs() {
        let begun: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let started = |start_time: Option<&str>| JobStatus {
            start_time: start_time.map(str::to_owned),
            ..JobStatus::default()
        };
        let after = |seconds| {
            let now = begun + jiff::SignedDuration::from_secs(seconds);
            pause(&started(Some("2026-01-01T00:00:00Z")), now).as_secs()
        };
        assert_eq!([0, 60, 200, 1200, 86_400].map(after), [4, 4, 10, 60, 60]);
        assert_eq!(pause(&started(None), begun).as_secs(), 4);
    }

    #[test]
    fn a_small_job_is_charged_its_most_however_long_it_took() {
        let lane = |lane, reserved_micro_usd| JobStatus { lane, reserved_micro_usd, ..JobStatus::default() };
        assert_eq!(most_of_lane(&lane(Some(LaneKind::Interactive), Some(100)), 120), Some(120));
        assert_eq!(
            most_of_lane(&lane(Some(LaneKind::Interactive), Some(100)), 1),
            Some(100),
            "lowered since"
        );
        assert_eq!(most_of_lane(&lane(Some(LaneKind::Pool), Some(100)), 120), None);
        assert_eq!((within(120, 175, 10), within(120, 90, 10), within(120, 175, 200)), (110, 90, 0));
    }

    #[test]
    fn lists_of_indexes_are_counted() {
        for (list, count) in [("", 0), ("3", 1), ("1,3-5", 4), ("0-9", 10)] {
            assert_eq!(count_indexes(list), count, "{list}");
        }
    }
}
