//! One look at a job, and what follows: observe, plan, apply, until there is nothing to do; then it is said.

use std::sync::Arc;
use std::time::{Duration, Instant};

use blockgrid_job::names::NO_MORE_HELD;
use blockgrid_job::status::{Condition, JobStatus, LaneKind, MAX_STATUS_BYTES, Phase, longest_silence};
use kube::runtime::controller::Action;
use kube::runtime::events::{Event, EventType};
use kube::{Api, Resource, ResourceExt};
use serde_json::{Map, Value, json};

use crate::apply::{ApplyError, Target};
use crate::clock;
use crate::context::Context;
use crate::observe::{self, observe};
use crate::plan::plan;
use crate::plan::say::{NO_WORKERS, QUEUE_UNAVAILABLE, STALLED, STARTING, cut, stalled};
use crate::resources::{BacktestJob, is_gone, is_there, patching};
use crate::world::Planning;

/// Rounds of deciding and doing in one look: the longest way has nine.
const ROUNDS: usize = 16;

/// Progress is told this often at most, in the interactive lane and otherwise.
const TELL_SMALL: Duration = Duration::from_secs(1);
const TELL: Duration = Duration::from_secs(5);

/// Steps of progress that are worth a word, and what the cost has to have grown by, in percent: a job is told of some three
/// dozen times, however long it takes.
const STEPS: u64 = 20;
const GROWN: u64 = 50;

/// A plan that is made within this time is not worth a word: its job is done a moment later.
const BRIEF: Duration = Duration::from_millis(500);

/// Of an event: a job has left the interactive lane.
const MOVED: &str = "MovedToPool";

/// Bytes of the longest note of an event: an API server takes 1,024.
const NOTE: usize = 1000;

/// Looks at a job, does what is to be done, and says how it is.
///
/// # Errors
/// [`ApplyError`]: it is tried again after a pause that grows.
pub async fn reconcile(job: Arc<BacktestJob>, context: Arc<Context>) -> Result<Action, ApplyError> {
    let started = Instant::now();
    let result = look(&job, &context).await;
    if let Err(error) = &result
        && let Some(reason) = error.unavailable()
    {
        stall(&job, &context, reason, error).await;
    }
    let acted = result.as_ref().map_or(true, |looked| looked.acted);
    context.meters.reconciled(started.elapsed().as_secs_f64(), acted);
    Ok(result?.next)
}

/// What a look at a job came to.
struct Looked {
    /// When it is looked at again.
    next: Action,
    /// Whether anything was done for it or told of it.
    acted: bool,
}

/// Has a job whose looks fail say why, if it does not yet.
async fn stall(job: &BacktestJob, context: &Context, reason: &str, error: &ApplyError) {
    let Ok(id) = observe::id(job) else { return };
    let mut before = job.status.clone().unwrap_or_default();
    if job.status.is_none() {
        before.observed_generation = job.metadata.generation;
    }
    if !context.is_stalled(&id) {
        return;
    }
    let target = Target { job, id: &id, context };
    let status = stalled(&before, clock::now(), reason, &error.to_string());
    if let Err(error) = write(&target, &status).await {
        tracing::debug!(job = %id, %error, "it could not be told why looks at it fail");
    }
}

async fn look(job: &BacktestJob, context: &Context) -> Result<Looked, ApplyError> {
    let id = observe::id(job)?;
    context.remember(&id, job);
    let target = Target { job, id: &id, context };
    let mut world = observe(job, context, clock::now()).await?;
    let mut decision = plan(&world);
    let acts = !decision.acts.is_empty();
    for _ in 0..ROUNDS {
        if decision.acts.is_empty() {
            break;
        }
        for act in &decision.acts {
            tracing::debug!(job = %id, ?act, "acts");
            target.apply(act, &mut world).await?;
        }
        let waits = world.pool.as_ref().is_some_and(|pool| pool.is_deleted);
        decision = plan(&world);
        if waits && decision.acts.is_empty() {
            break;
        }
    }
    if world.is_deleted && !world.has_finalizer {
        context.forget(&id);
        return Ok(Looked { next: Action::await_change(), acted: acts });
    }
    if decision.status.phase.is_terminal() || decision.status.phase == Phase::Suspended {
        context.treasury.asks_no_more(&id);
    }
    if world.planners_are_busy && world.planner.is_none() && matches!(world.planning, Planning::Outside) {
        // One that waits for its turn is refused by nobody meanwhile.
        context.pool_made(&id, world.done.unwrap_or(0));
    }
    if world.held.is_none() {
        context.treasury.has_looked(&id);
    }
    context.spent(&id, &mut decision.status);
    let written = write(&target, &decision.status).await?;
    context.is_well(&id);
    let again = match written {
        Written::Later(soon) => soon.min(decision.again),
        Written::Nothing | Written::Told => decision.again,
    };
    Ok(Looked { next: Action::requeue(again), acted: acts || written == Written::Told })
}

/// What to do about a job whose look failed: again, after a pause that doubles.
pub fn failed(job: Arc<BacktestJob>, error: &ApplyError, context: Arc<Context>) -> Action {
    context.meters.failed(error.kind());
    let pause = observe::id(&job).map_or(Duration::from_secs(60), |id| context.is_unwell(&id));
    tracing::warn!(
        namespace = job.namespace().unwrap_or_default(),
        job = job.name_any(),
        %error,
        again_seconds = pause.as_secs_f64(),
        "a look at the job failed"
    );
    Action::requeue(pause)
}

/// What became of what there was to say of a job.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Written {
    /// Nothing was to be said.
    Nothing,
    /// It is left for later: after so long.
    Later(Duration),
    /// It was said.
    Told,
}

/// Says how a job is, if that is not what was said before. Where only progress has changed and was told a moment ago, it
/// is left for later.
async fn write(target: &Target<'_>, status: &JobStatus) -> Result<Written, ApplyError> {
    let before = target.job.status.clone().unwrap_or_default();
    let Some(mut patch) = difference(&before, status)? else { return Ok(Written::Nothing) };
    if target.job.status.is_none() {
        // It is not there, whatever a status has that says nothing.
        patch["phase"] = json!(status.phase);
    }
    if target.job.status.is_none()
        && status.phase == Phase::Planning
        && status.condition("Planned").is_none()
        && let Some(left) = BRIEF.checked_sub(target.context.known_for(target.id))
    {
        return Ok(Written::Later(left));
    }
    let news = before.phase != status.phase
        || target.job.status.is_none()
        || before.conditions.iter().map(said).ne(status.conditions.iter().map(said))
        || before.observed_generation != status.observed_generation;
    if !news && let Some(since) = target.context.told_since(target.id) {
        let pause = match status.lane {
            // What its pods cost to the last; and whoever asks for links again and again is answered once in a second.
            _ if status.phase.is_terminal() => TELL_SMALL,
            Some(LaneKind::Interactive) => TELL_SMALL,
            _ if is_a_step(&before, status) => TELL,
            _ => longest_silence(status.taken(clock::now())),
        };
        if let Some(left) = pause.checked_sub(since) {
            return Ok(Written::Later(left));
        }
    }
    // The watch may not know yet of what was written a moment ago: once is enough.
    let seen = (target.job.resource_version().unwrap_or_default(), patch.to_string());
    if target.context.was_written(target.id, &seen) {
        return Ok(Written::Nothing);
    }
    target.leads()?;
    let jobs: Api<BacktestJob> =
        Api::namespaced(target.context.client.clone(), &target.job.namespace().unwrap_or_default());
    let body = target.patch(json!({ "status": patch }));
    let name = target.job.name_any();
    if let Err(error) = jobs.patch_status(&name, &patching(), &body).await {
        if is_gone(&error) && !is_there(&jobs, &name, target.id).await? {
            return Ok(Written::Nothing);
        }
        return Err(error.into());
    }
    let is_new = target.context.tell(target.id, status.phase, &seen);
    if is_new && (before.phase != status.phase || target.job.status.is_none()) {
        event(target, status).await;
    }
    let reasons = ails(status).map(|ails| ails.reason.clone()).collect();
    let known = target.context.ails(target.id, reasons);
    for ails in newly_ails(&before, status).filter(|ails| !known.contains(&ails.reason)) {
        let note = cut(&ails.message, NOTE);
        publish(target, EventType::Warning, ails.reason.clone(), note, status.phase).await;
    }
    if (before.lane, status.lane) == (Some(LaneKind::Interactive), Some(LaneKind::Pool))
        && target.context.moves(target.id)
    {
        let note = "it takes longer than jobs of the interactive lane may: it goes on with workers of its own, and budgets hold what those may cost";
        publish(target, EventType::Normal, MOVED.to_owned(), note.to_owned(), status.phase).await;
    }
    Ok(Written::Told)
}

/// What keeps a job from being looked at, or its workers from computing, or from computing to their end.
fn ails(status: &JobStatus) -> impl Iterator<Item = &Condition> {
    let is = |kind: &str, is: &str| status.condition(kind).filter(|condition| condition.status == is);
    let computes = matches!(status.phase, Phase::Planning | Phase::Running | Phase::Finishing);
    // What all small jobs wait for is no event of each of them.
    let is_its_own =
        |ready: &&Condition| computes && ![STARTING, NO_WORKERS].contains(&ready.reason.as_str());
    let lacks = is("WorkersReady", "False").filter(is_its_own);
    // As little is one of each what all of them stand still for.
    let is_small = status.lane == Some(LaneKind::Interactive) && status.phase == Phase::Running;
    let stands = is(STALLED, "True").filter(|stands| !(is_small && stands.reason == QUEUE_UNAVAILABLE));
    // In time to raise a limit.
    let is_short = is("Admitted", "True").filter(|admitted| admitted.reason == NO_MORE_HELD);
    [stands, lacks, is_short].into_iter().flatten()
}

/// What has begun to.
fn newly_ails<'a>(before: &JobStatus, after: &'a JobStatus) -> impl Iterator<Item = &'a Condition> {
    ails(after).filter(|ails| before.condition(&ails.kind).is_none_or(|known| known.reason != ails.reason))
}

/// Whether numbers have moved as far as somebody who looks would notice.
fn is_a_step(before: &JobStatus, after: &JobStatus) -> bool {
    let done = |status: &JobStatus| status.shards.unwrap_or_default().done;
    let total = after.shards.unwrap_or_default().total;
    let spent = |status: &JobStatus| status.spent_micro_usd.unwrap_or(0);
    before.workers != after.workers
        // Why nothing moves is worth a word.
        || after.workers.unwrap_or(0) == 0 && before.message != after.message
        || done(after) >= total && done(before) < total
        || (done(after).saturating_sub(done(before))).saturating_mul(STEPS) >= total.max(1)
        || spent(after).saturating_sub(spent(before)).saturating_mul(100)
            > spent(before).saturating_mul(GROWN)
}

fn said(condition: &Condition) -> (&str, &str, &str) {
    (&condition.kind, &condition.status, &condition.reason)
}

/// What a status has that another had not, as a merge patch. What budgets hold is theirs to say.
fn difference(before: &JobStatus, after: &JobStatus) -> Result<Option<Value>, serde_json::Error> {
    let fields = |status: &JobStatus| -> Result<Map<String, Value>, serde_json::Error> {
        match serde_json::to_value(status)? {
            Value::Object(fields) => Ok(fields),
            _ => Ok(Map::new()),
        }
    };
    let (before, mut after) = (fields(before)?, fields(after)?);
    if serde_json::to_vec(&after)?.len() > MAX_STATUS_BYTES {
        // Links are the longest thing, and can be asked for again.
        after.remove("links");
    }
    let mut patch = Map::new();
    for (key, value) in &after {
        match (before.get(key), value) {
            (Some(known), value) if known == value => {}
            // A merge patch would keep what is not named.
            (Some(Value::Object(known)), Value::Object(value)) => {
                let gone = known.keys().filter(|key| !value.contains_key(*key));
                let mut merged: Map<String, Value> = gone.map(|key| (key.clone(), Value::Null)).collect();
                for (inner, value) in value {
                    merged.insert(inner.clone(), replaced(known.get(inner), value));
                }
                patch.insert(key.clone(), Value::Object(merged));
            }
            (_, value) => {
                patch.insert(key.clone(), value.clone());
            }
        }
    }
    for key in before.keys().filter(|key| !after.contains_key(*key)) {
        patch.insert(key.clone(), Value::Null);
    }
    patch.remove("reservedMicroUsd");
    Ok((!patch.is_empty()).then_some(Value::Object(patch)))
}

/// A value that takes the place of another, whatever that has besides.
fn replaced(before: Option<&Value>, after: &Value) -> Value {
    match (before, after) {
        (Some(Value::Object(before)), Value::Object(after)) => {
            let gone = before.keys().filter(|key| !after.contains_key(*key));
            let gone = gone.map(|key| (key.clone(), Value::Null));
            Value::Object(gone.chain(after.clone()).collect())
        }
        _ => after.clone(),
    }
}

/// Tells people who watch events. One that cannot be told is lost, and nothing else.
async fn event(target: &Target<'_>, status: &JobStatus) {
    let finished = status.condition("Finished");
    let reason = finished.map_or_else(|| status.phase.id().to_owned(), |condition| condition.reason.clone());
    let note = finished.map_or_else(String::new, |condition| condition.message.clone());
    let is_bad = status.phase.is_terminal() && !status.phase.has_results();
    let type_ = if is_bad { EventType::Warning } else { EventType::Normal };
    let reason = if reason.is_empty() { status.phase.id().to_owned() } else { reason };
    publish(target, type_, reason, cut(&note, NOTE), status.phase).await;
}

async fn publish(target: &Target<'_>, type_: EventType, reason: String, note: String, phase: Phase) {
    let event = Event { type_, reason, note: Some(note), action: phase.id().to_owned(), secondary: None };
    if let Err(error) = target.context.teller.publish(&event, &target.job.object_ref(&())).await {
        tracing::warn!(job = %target.id, %error, "the event could not be told");
    }
}

#[cfg(test)]
#[path = "../tests/support/merge.rs"]
mod merge;

#[cfg(test)]
mod tests {
    use blockgrid_job::status::{Links, ShardCounts};

    use super::merge::merge;
    use jiff::Timestamp;

    use super::*;

    #[test]
    fn numbers_are_told_by_steps() {
        let status = |done, spent| JobStatus {
            shards: Some(ShardCounts { total: 300, done }),
            spent_micro_usd: Some(spent),
            workers: Some(3),
            ..JobStatus::default()
        };
        let before = status(20, 1000);
        for (after, is) in [
            (status(34, 1500), false),
            (status(35, 1000), true),
            (status(20, 1501), true),
            (status(300, 1000), true),
            (JobStatus { workers: Some(2), ..before.clone() }, true),
        ] {
            assert_eq!(is_a_step(&before, &after), is, "{after:?}");
        }
        assert!(is_a_step(&status(0, 0), &status(0, 1)), "the first cost");
        // However long it takes: a minute, two hours and a day of progress and cost, looked at every five seconds. With the
        // dozen calls that a pool takes beside, that is less than forty and eight a worker.
        for looks in [12, 1440, 17_280_u64] {
            let start: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
            let begun = |status| JobStatus { start_time: Some(crate::plan::say::written(start)), ..status };
            let (mut told, mut last, mut at) = (0, begun(status(0, 0)), start);
            for look in 1..=looks {
                let now = start + jiff::SignedDuration::from_secs(i64::try_from(look * 5).unwrap());
                let next = begun(status(look * 300 / looks, look * 10));
                if is_a_step(&last, &next)
                    || now.duration_since(at).unsigned_abs() >= longest_silence(next.taken(now))
                {
                    (told, last, at) = (told + 1, next, now);
                }
            }
            assert!(told <= 36, "{told} in {looks} looks");
        }
    }

    #[test]
    fn what_begins_to_keep_workers_from_computing_is_an_event() {
        let ready = |phase, status: &str, reason: &str| JobStatus {
            phase,
            conditions: vec![Condition {
                kind: "WorkersReady".to_owned(),
                status: status.to_owned(),
                reason: reason.to_owned(),
                ..Condition::default()
            }],
            ..JobStatus::default()
        };
        let (computes, killed) =
            (ready(Phase::Running, "True", "Ready"), ready(Phase::Running, "False", "OOMKilled"));
        let ails = |before: &JobStatus, after: &JobStatus| {
            newly_ails(before, after).next().map(|ails| ails.reason.clone())
        };
        assert_eq!(ails(&computes, &killed).as_deref(), Some("OOMKilled"));
        assert_eq!(ails(&JobStatus::default(), &killed).as_deref(), Some("OOMKilled"));
        assert_eq!(ails(&killed, &killed), None, "once");
        let stands = stalled(&computes, Timestamp::UNIX_EPOCH, "StoreUnavailable", "no answer");
        assert_eq!(ails(&computes, &stands).as_deref(), Some("StoreUnavailable"));
        assert_eq!(ails(&stands, &stands), None);
        assert_eq!(ails(&killed, &computes), None);
        for fine in [
            ready(Phase::Running, "False", STARTING),
            ready(Phase::Running, "False", NO_WORKERS),
            ready(Phase::Suspended, "False", "Suspended"),
            ready(Phase::Queued, "False", "WaitingInQueue"),
            ready(Phase::Succeeded, "False", "Finished"),
        ] {
            assert_eq!(ails(&computes, &fine), None, "{fine:?}");
        }
    }

    #[test]
    fn a_patch_makes_one_status_of_another_and_leaves_the_budgets_word() {
        let links = |files: &[&str]| Links {
            files: files.iter().map(|file| ((*file).to_owned(), "x".to_owned())).collect(),
            ..Links::default()
        };
        let before = JobStatus {
            phase: Phase::Running,
            message: Some("a".to_owned()),
            reserved_micro_usd: Some(5),
            links: Some(links(&["a", "b"])),
            ..JobStatus::default()
        };
        let after =
            JobStatus { phase: Phase::Failed, links: Some(links(&["b", "c"])), ..JobStatus::default() };
        let patch = difference(&before, &after).unwrap().unwrap();
        let mut merged = serde_json::to_value(&before).unwrap();
        merge(&mut merged, &patch);
        let merged: JobStatus = serde_json::from_value(merged).unwrap();
        assert_eq!(merged, JobStatus { reserved_micro_usd: Some(5), ..after.clone() });
        assert_eq!(difference(&after, &after).unwrap(), None);
    }
}
