//! What to do for a job, from what is known of it: pure, and a fixed point. Once what is asked for has been done, the same
//! question asks for nothing.
//!
//! ```text
//!  Pending -> Planning -> Queued -> Running -> Finishing -> Succeeded | PartiallySucceeded | Failed
//!     |          |          |          |          |         Cancelled | DeadlineExceeded | BudgetExceeded
//!     +----------+----------+----------+----------+-- Suspended
//! ```
//! From `Suspended` a job goes back to where it was, and from `Running` to `Queued` where its budget is drained. It may end
//! from everywhere.

mod pools;
mod reasons;
pub mod say;
#[cfg(test)]
mod tests;
mod texts;

use std::time::Duration;

use blockgrid_job::quote::{Estimate, dollars, grouped};
use blockgrid_job::status::{JobStatus, Phase};
use jiff::Timestamp;

use crate::terms::Rates;
use crate::world::{Asked, End, Held, Planned, PlannerPod, Planning, Purpose, Trouble, World};

use pools::{rested, running, within_what_is_held};
use say::Say;

/// What is to be done for a job.
#[derive(Debug, Clone, PartialEq)]
pub enum Act {
    /// Keep the job from being deleted before its end is in order.
    AddFinalizer,
    /// Let it go.
    DropFinalizer,
    /// Read its candles, lay out its shards, commit the plan.
    Plan,
    /// Start a pod that makes the plan.
    CreatePlanner,
    /// Remove it.
    DeletePlanner,
    /// Have the budgets hold so many micro-USD for it.
    Reserve {
        /// What for.
        purpose: Purpose,
        /// Micro-USD that it needs.
        micro_usd: u64,
        /// What it had rather, so that it need not ask again soon: all of it, or as much as there is.
        wish: u64,
    },
    /// Queue its shards: in the interactive lane, or for workers of its own.
    Enqueue {
        /// Whether in the lane.
        in_lane: bool,
    },
    /// Start workers of its own.
    CreatePool {
        /// How many.
        workers: u32,
    },
    /// Change their number, and wake them if they rest.
    ScalePool {
        /// How many.
        workers: u32,
    },
    /// Let them rest; not those of a Kueue queue, which Kueue would wake.
    SuspendPool,
    /// Remove them.
    DeletePool,
    /// Let go of pods that should have ended: their nodes do not answer.
    Release {
        /// Their names.
        pods: Vec<String>,
    },
    /// End it without results: its units stop, and this is how it ended.
    Cancel {
        /// As what.
        phase: Phase,
        /// For programs.
        reason: String,
        /// For people.
        message: String,
    },
    /// Give back what budgets hold for it, and write down what it has cost.
    Settle {
        /// Micro-USD that it has cost.
        micro_usd: u64,
        /// How much of it were requests to the store.
        requests_micro_usd: u64,
    },
    /// Make links to its results.
    Sign {
        /// The request that they answer.
        request: String,
    },
    /// Delete the object: it has been there long enough.
    Delete,
}

/// What to do now, what to say, and when to look again.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    /// To be done in this order; then the same question is asked again.
    pub acts: Vec<Act>,
    /// What to say when there is nothing to do.
    pub status: JobStatus,
    /// When to look again if nothing happens.
    pub again: Duration,
}

const SECOND: Duration = Duration::from_secs(1);

/// Decides.
pub fn plan(world: &World) -> Decision {
    if let Some(pool) = world.pool.as_ref().filter(|pool| !pool.stuck.is_empty()) {
        return act(world, [Act::Release { pods: pool.stuck.clone() }]);
    }
    if world.store_fails.is_some()
        && let Some(decision) = rested(world)
    {
        return decision;
    }
    if world.is_deleted {
        return deleted(world);
    }
    if world.status.phase.is_terminal() {
        return afterwards(world);
    }
    if !world.has_finalizer {
        return act(world, [Act::AddFinalizer]);
    }
    if let Some(end) = &world.end {
        return Say::new(world).ended(end);
    }
    let asked = match &world.asked {
        Ok(asked) => asked,
        Err(refused) => return stop(world, Phase::Failed, &refused.reason, &refused.message),
    };
    if asked.cancel {
        return stop(world, Phase::Cancelled, "CancelRequested", "spec.cancel is true");
    }
    match &world.planning {
        // One that rests is planned too: its quote is what its author waits for.
        Planning::Unknown => act(world, [Act::Plan]),
        Planning::Working => Say::new(world).planning(),
        Planning::Outside => match &world.planner {
            None if world.planners_are_busy => Say::new(world).waits_to_be_planned(),
            None if let Some(trouble) = &world.pool_refused => {
                let since = world.pool_refused_since.unwrap_or(world.now);
                if seconds_since(world.now, since) < asked.start_seconds {
                    return Say::new(world).planner_refused(trouble);
                }
                let message = format!("the pod that plans it could not be made: {}", trouble.told());
                stop(world, Phase::Failed, "PlannerNotStarted", &message)
            }
            None => act(world, [Act::CreatePlanner]),
            // It worked for a leader that has heard its answer and could not act on it; or has left a plan meanwhile.
            Some(PlannerPod { has_ended: true, is_deleted: false, .. }) => act(world, [Act::DeletePlanner]),
            Some(PlannerPod { failed: Some(why), .. }) => stop(world, Phase::Failed, "PlannerFailed", why),
            Some(planner) if is_late_to_plan(world, asked, planner) => {
                let why = planner
                    .trouble
                    .as_ref()
                    .map_or_else(|| "no pod of it is ready".to_owned(), Trouble::told);
                let message =
                    format!("the pod that plans it did not start within {} s: {why}", asked.start_seconds);
                stop(world, Phase::Failed, "PlannerNotStarted", &message)
            }
            Some(_) => Say::new(world).planned_outside(),
        },
        // What keeps it from being planned may be mended; not for ever.
        Planning::Failing { error, .. }
            if seconds_since(world.now, world.created) >= asked.deadline_seconds =>
        {
            let message = format!("its plan could not be made within {} s: {error}", asked.deadline_seconds);
            stop(world, Phase::DeadlineExceeded, "PlanningFailed", &message)
        }
        // The pod that could not make it; another is made when it is gone.
        Planning::Failing { .. } if world.planner.as_ref().is_some_and(|planner| !planner.is_deleted) => {
            act(world, [Act::DeletePlanner])
        }
        Planning::Failing { again, .. } if world.now >= *again => act(world, [Act::Plan]),
        Planning::Failing { error, again } => Say::new(world).planning_again(error, *again),
        Planning::Refused(refused) => stop(world, Phase::Failed, &refused.reason, &refused.message),
        Planning::Done(planned) => planned_job(world, asked, planned),
    }
}

/// A job whose plan is committed and that has not ended.
fn planned_job(world: &World, asked: &Asked, planned: &Planned) -> Decision {
    let status = &world.status;
    let quote = quote(&world.rates, planned);
    if let Some(trouble) = world.store_fails.as_ref().filter(|_| !asked.suspend) {
        return Say::new(world).waits_for(trouble);
    }
    let in_lane = planned.is_for_lane();
    let least = least_to_end(&world.rates, quote, planned);
    if let Some(most) = asked.max_cost.filter(|&most| status.start_time.is_none() && most < least) {
        let message = format!(
            "it would cost {} to {} with its requests to the store, and takes a compute.maxCostUsd of at least {}, but that is {}: raise it, or try fewer trials",
            dollars(quote.low),
            dollars(quote.high),
            dollars(least),
            dollars(most)
        );
        return stop(world, Phase::Failed, "QuoteAboveMaxCost", &message);
    }
    if planned.memory > asked.memory && !in_lane && status.reserved_micro_usd.is_none() {
        let message = format!(
            "its {} trials take a worker some {} MiB until they are written, and one of its class has {}: name a spec.compute.class with more memory, or make several jobs of it",
            grouped(planned.trials.into()),
            planned.memory.div_ceil(1 << 20),
            asked.memory >> 20
        );
        return stop(world, Phase::Failed, "ClassTooSmall", &message);
    }
    if let Some(start) = status.started()
        && seconds_let_run(world, start) >= asked.deadline_seconds
    {
        let message = format!("it was not done within {} s of its start", asked.deadline_seconds);
        return stop(world, Phase::DeadlineExceeded, "DeadlineExceeded", &message);
    }
    if let Some(decision) =
        world.pool.as_ref().and_then(|pool| within_what_is_held(world, asked, planned, pool))
    {
        return decision;
    }
    let is_queued_in_lane = in_lane && status.start_time.is_some();
    if let Some(decision) = idle_for_too_long(world, asked) {
        return decision;
    }
    if asked.suspend && !is_queued_in_lane {
        return rested(world).unwrap_or_else(|| Say::new(world).suspended());
    }
    let one_worker = if in_lane { 0 } else { pools::least(&world.rates) };
    let micro_usd = quote.high.max(one_worker).min(asked.max_cost.unwrap_or(u64::MAX));
    // What is in the lane is done before anyone could stop it. Whoever asks for less than what was refused asks anew.
    let waits =
        |held: &&Held| held.drain || status.reserved_micro_usd.is_none() && held.asked_micro_usd <= micro_usd;
    if let Some(held) = world.held.as_ref().filter(waits).filter(|_| !is_queued_in_lane) {
        return rested(world).unwrap_or_else(|| Say::new(world).held(held));
    }
    if status.reserved_micro_usd.is_none() {
        return act(world, [Act::Reserve { purpose: Purpose::Begin, micro_usd, wish: micro_usd }]);
    }
    if in_lane {
        return match status.start_time {
            None => act(world, [Act::Enqueue { in_lane }]),
            Some(_) if is_late_in_lane(world, asked) => {
                let message =
                    format!("no worker of the interactive lane was ready within {} s", asked.start_seconds);
                stop(world, Phase::Failed, "WorkersNotStarted", &message)
            }
            Some(_) => Say::new(world).running(planned),
        };
    }
    running(world, asked, planned)
}

/// What a job may cost, its requests to the store included.
fn quote(rates: &Rates, planned: &Planned) -> Estimate<u64> {
    let computed = planned.micros.map(|micros| rates.price.micro_usd(micros.into()));
    let units = planned.shards.saturating_add(planned.trace_units);
    let (about, most) = (rates.costs.requests_about(units), rates.costs.requests_of_a_job(units));
    Estimate {
        low: computed.low.saturating_add(about),
        mid: computed.mid.saturating_add(about),
        high: computed.high.saturating_add(most),
    }
}

/// The lowest `compute.maxCostUsd` with which a job is let in. Nothing stops what small workers have begun, so all of it must
/// fit; a pool is stopped in time.
fn least_to_end(rates: &Rates, quote: Estimate<u64>, planned: &Planned) -> u64 {
    if planned.is_for_lane() { quote.high } else { pools::least_to_end(rates, quote.low) }
}

/// Seconds since a job was first let run in which it was not made to rest.
fn seconds_let_run(world: &World, start: Timestamp) -> i64 {
    let status = &world.status;
    let rests = time(status.resting_since.as_deref()).map_or(0, |since| seconds_since(world.now, since));
    let rested = i64::try_from(status.rested_seconds.unwrap_or(0)).unwrap_or(i64::MAX);
    seconds_since(world.now, start).saturating_sub(rests).saturating_sub(rested)
}

/// The end of a job for which money is held that does nothing with it for so long that others miss it.
fn idle_for_too_long(world: &World, asked: &Asked) -> Option<Decision> {
    let since = time(world.status.idle_since.as_deref()).filter(|_| is_idle(world))?;
    // One that is let go on in time has as long for its workers to start as every other.
    let starts = starting_since(world, asked);
    if starts.is_some_and(|since| seconds_since(world.now, since) < asked.start_seconds) {
        return None;
    }
    (seconds_since(world.now, since) >= asked.rest_seconds).then(|| {
        let is_kueues = world.pool.as_ref().is_some_and(|pool| pool.is_kueues);
        let how = match (asked.suspend, is_kueues) {
            (true, _) => "it is suspended",
            (false, true) => "its workers wait in their queue",
            (false, false) if pools::waits_for_one(world, asked) => "its budget has too little left for one worker",
            (false, false) => "no worker of it is ready",
        };
        let message = format!(
            "money is held for it, and nothing was computed with it for {} s, the longest that this platform waits (jobs.maxRest of the chart): {how}",
            asked.rest_seconds
        );
        stop(world, Phase::DeadlineExceeded, "RestedTooLong", &message)
    })
}

/// Since when the workers of a job may start.
fn starting_since(world: &World, asked: &Asked) -> Option<Timestamp> {
    world.pool.as_ref().filter(|pool| !asked.suspend && !pool.is_suspended).and_then(|pool| pool.since)
}

/// Whether money is held for a job and no worker of its own is ready, though its budget would let it work. What is in the
/// lane is never idle.
fn is_idle(world: &World) -> bool {
    let is_small = matches!(&world.planning, Planning::Done(planned) if planned.is_for_lane());
    world.status.reserved_micro_usd.is_some()
        && !(is_small && world.pool.is_none() && world.status.start_time.is_some())
        && world.pool.as_ref().is_none_or(|pool| pool.ready == 0)
        && world.held.as_ref().is_none_or(|held| !held.drain)
}

/// Whether the pod that plans a job has not started in its time.
fn is_late_to_plan(world: &World, asked: &Asked, planner: &PlannerPod) -> bool {
    let waits = |since| seconds_since(world.now, since) >= asked.start_seconds;
    !planner.has_started && !planner.is_deleted && planner.since.is_some_and(waits)
}

/// Whether a small job has waited in vain for a worker of the lane.
fn is_late_in_lane(world: &World, asked: &Asked) -> bool {
    let start = world.status.started().unwrap_or(world.now);
    // One that waited in line meanwhile is not late because they are all being replaced, nor because none can ask the queue.
    world.lane_empty_since.filter(|_| world.queue_fails.is_none()).is_some_and(|since| {
        world.done.unwrap_or(0) == 0 && seconds_since(world.now, start.max(since)) >= asked.start_seconds
    })
}

/// Ends a job before its time. What runs of it stops, and the store says how it ended.
fn stop(world: &World, phase: Phase, reason: &str, message: &str) -> Decision {
    if may_have_begun(world) && world.end.is_none() {
        return act(world, [Act::Cancel { phase, reason: reason.to_owned(), message: message.to_owned() }]);
    }
    Say::new(world).finished(phase, reason, message)
}

/// Whether units of the job may be about. Money is held before anything is queued, and an operator that died in between may
/// have said nothing of the plan.
fn may_have_begun(world: &World) -> bool {
    matches!(world.planning, Planning::Done(_)) || world.status.reserved_micro_usd.is_some()
}

/// A job that has ended: its workers go, its cost is settled, and after a while it goes too.
fn afterwards(world: &World) -> Decision {
    if let Some(act_) = clean(world) {
        return act_;
    }
    let answered = world.status.links.as_ref().map(|links| links.request.as_str());
    if let Some(request) = &world.wants_links
        && world.status.phase.has_results()
        && answered != Some(request)
    {
        return act(world, [Act::Sign { request: request.clone() }]);
    }
    let ended = time(world.status.completion_time.as_deref()).unwrap_or(world.now);
    let left = world.ttl_seconds - seconds_since(world.now, ended);
    if left <= 0 {
        return act(world, [Act::Delete]);
    }
    let again = Duration::from_secs(u64::try_from(left).unwrap_or(1).clamp(1, 3600));
    let mut status = world.status.clone();
    status.observed_generation = Some(world.generation);
    status.conditions.retain(|condition| condition.kind != say::STALLED);
    // With what was counted last: its requests.
    status.cost = status.spent_micro_usd.map(dollars);
    if world.wants_links.is_none() {
        // Whoever may look at the job could use them: they go when they are not needed.
        status.links = None;
    }
    Decision { acts: Vec::new(), status, again }
}

/// A job that somebody deleted.
fn deleted(world: &World) -> Decision {
    if !world.has_finalizer {
        return Decision { acts: Vec::new(), status: world.status.clone(), again: 60 * SECOND };
    }
    if may_have_begun(world) && world.end.is_none() && !world.status.phase.is_terminal() {
        let message = "the job was deleted".to_owned();
        return act(world, [Act::Cancel { phase: Phase::Cancelled, reason: "Deleted".to_owned(), message }]);
    }
    clean(world).unwrap_or_else(|| act(world, [Act::DropFinalizer]))
}

/// Removes the workers of a job; when they are gone, settles what it has cost.
fn clean(world: &World) -> Option<Decision> {
    if world.planner.as_ref().is_some_and(|planner| !planner.is_deleted) {
        return Some(act(world, [Act::DeletePlanner]));
    }
    if let Some(pool) = &world.pool {
        let mut decision = act(world, (!pool.is_deleted).then_some(Act::DeletePool));
        decision.status = say::costs(world, pool);
        decision.again = SECOND;
        return Some(decision);
    }
    world.status.reserved_micro_usd?;
    let (billed, requests_micro_usd) = match &world.end {
        Some(End::Done { micro_usd, requests_micro_usd, .. }) => (*micro_usd, *requests_micro_usd),
        _ => (world.used_micro_usd, world.used_requests_micro_usd),
    };
    let micro_usd = world.status.spent_micro_usd.unwrap_or(0).max(billed).saturating_add(requests_micro_usd);
    Some(act(world, [Act::Settle { micro_usd, requests_micro_usd }]))
}

fn act(world: &World, acts: impl IntoIterator<Item = Act>) -> Decision {
    Decision { acts: acts.into_iter().collect(), status: world.status.clone(), again: 5 * SECOND }
}

/// A time of a status.
fn time(text: Option<&str>) -> Option<Timestamp> {
    text?.parse().ok()
}

fn seconds_since(now: Timestamp, then: Timestamp) -> i64 {
    now.as_second() - then.as_second()
}
