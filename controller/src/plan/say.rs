//! What is said about a job: phase, conditions, numbers. Made anew each time from what is known; only times of things that
//! happened once are kept.

use std::time::Duration;

use blockgrid_job::names::NO_MORE_HELD;
use blockgrid_job::quote::{counted, dollars};
use blockgrid_job::status::{Condition, JobStatus, LaneKind, Phase, QuoteStatus, ResultsRef, ShardCounts};
use jiff::Timestamp;

pub(crate) use super::reasons::{
    NO_WORKERS, QUEUE_UNAVAILABLE, STALLED, STARTING, STORE_UNAVAILABLE, WAITS_ITS_TURN,
};
pub(crate) use super::texts::cut;
use super::texts::{first_line, word};
use super::{Decision, SECOND, is_idle, least_to_end, quote, seconds_since, starting_since, time};
use crate::world::{End, Held, Planned, Planning, Pool, Trouble, World};

/// Bytes of the longest message, as JSON writes it: of what a job came to, which three conditions say, and of the others.
/// All of them have room in a status.
const LONGEST: usize = 3000;
const LONGEST_OTHER: usize = 1000;

/// A status on its way.
pub(super) struct Say<'a> {
    world: &'a World,
    status: JobStatus,
}

impl<'a> Say<'a> {
    pub(super) fn new(world: &'a World) -> Self {
        let mut say = Self { world, status: world.status.clone() };
        say.status.observed_generation = Some(world.generation);
        say.status.user = Some(world.user.clone());
        say.status.conditions.retain(|condition| condition.kind != STALLED);
        say.numbers();
        say.idles();
        say
    }

    /// Since when money is held for nothing.
    fn idles(&mut self) {
        if is_idle(self.world) {
            self.status.idle_since.get_or_insert_with(|| written(self.world.now));
        } else {
            self.status.idle_since = None;
        }
        let (asked, since) = (self.world.asked.as_ref().ok(), time(self.status.idle_since.as_deref()));
        let end = asked.zip(since).and_then(|(asked, since)| {
            let rests = since.as_second().saturating_add(asked.rest_seconds);
            // One that was let go on has as long for its workers to start as every other.
            let starts = starting_since(self.world, asked)
                .map_or(rests, |since| since.as_second() + asked.start_seconds);
            Timestamp::from_second(rests.max(starts)).ok()
        });
        self.status.idle_deadline = end.map(written);
    }

    /// When it ends if nothing is computed until then, and in how many seconds.
    fn end_of_idling(&self) -> Option<(&str, i64)> {
        let written = self.status.idle_deadline.as_deref();
        Some((written?, seconds_since(time(written)?, self.world.now)))
    }

    /// What a plan and workers tell, whatever the phase.
    fn numbers(&mut self) {
        let (world, status) = (self.world, &mut self.status);
        let Planning::Done(planned) = &world.planning else {
            if matches!(world.planning, Planning::Working | Planning::Outside) {
                // Who leads after an upgrade may find the plan, and is not the one who made it.
                status.image.get_or_insert_with(|| world.image.clone());
            }
            return;
        };
        let now = written(world.now);
        if status.planned_time.is_none() && planned.is_ours {
            // Whoever began with it before us: this one is ours.
            status.image = Some(world.image.clone());
        }
        status.planned_time.get_or_insert_with(|| now.clone());
        status.trials = Some(planned.trials);
        status.cached_trials = Some(planned.cached);
        status.engine = Some(planned.engine.clone());
        if status.image.is_none() && planned.is_ours {
            status.image = Some(world.image.clone());
        }
        let before = status.shards.map_or(0, |shards| shards.done);
        let done = world.done.unwrap_or(before).max(before).min(planned.shards);
        status.shards = Some(ShardCounts { total: planned.shards, done });
        status.progress = Some(format!("{done}/{}", planned.shards));
        let in_lane = planned.is_for_lane() && world.pool.is_none();
        status.lane = Some(if in_lane { LaneKind::Interactive } else { LaneKind::Pool });
        status.workers = if in_lane { None } else { world.pool.as_ref().map(|pool| pool.ready) };
        let quote = quote(&world.rates, planned);
        status.quote = Some(QuoteStatus {
            vcpu_micros: planned.micros.mid,
            low_micro_usd: quote.low,
            mid_micro_usd: quote.mid,
            high_micro_usd: quote.high,
            least_micro_usd: least_to_end(&world.rates, quote, planned),
        });
        if let Some(pool) = &world.pool {
            self.spent(world.rates.price.micro_usd(pool.micros.into()));
        }
        self.holds("Planned", true, "Planned", "the plan is committed");
    }

    /// Cost never falls: pods that are gone take what they cost with them.
    fn spent(&mut self, micro_usd: u64) {
        let spent = micro_usd.max(self.status.spent_micro_usd.unwrap_or(0));
        if self.status.spent_micro_usd.replace(spent) != Some(spent) {
            self.status.spent_time = Some(written(self.world.now));
        }
        self.status.cost = Some(dollars(spent));
    }

    /// What it has cost with its requests to the store, which are known when it is done, and settled with the rest.
    fn with_requests(&mut self, micro_usd: u64) {
        let spent = self.status.spent_micro_usd;
        self.status.cost = spent.map(|spent| dollars(spent.saturating_add(micro_usd)));
    }

    fn holds(&mut self, kind: &str, is: bool, reason: &str, message: &str) {
        let said = if is { "True" } else { "False" };
        let longest =
            if matches!(kind, "Finished" | "Succeeded" | "Failed") { LONGEST } else { LONGEST_OTHER };
        let message = cut(message, longest);
        let now = written(self.world.now);
        let condition = Condition {
            kind: kind.to_owned(),
            status: said.to_owned(),
            reason: word(reason),
            message,
            last_transition_time: now,
            observed_generation: Some(self.world.generation),
        };
        put(&mut self.status.conditions, condition);
    }

    fn phase(mut self, phase: Phase, message: &str, again: Duration) -> Decision {
        self.status.phase = phase;
        if phase.is_terminal() {
            (self.status.idle_since, self.status.idle_deadline) = (None, None);
        }
        self.status.message = Some(first_line(message));
        if !phase.is_terminal() {
            self.holds("Finished", false, phase.id(), message);
        }
        Decision { acts: Vec::new(), status: self.status, again }
    }

    pub(super) fn planning(self) -> Decision {
        self.phase(Phase::Planning, "its candles are read and its shards laid out", 30 * SECOND)
    }

    pub(super) fn planning_again(mut self, error: &str, again: Timestamp) -> Decision {
        self.holds("Planned", false, "Retrying", error);
        // There is no pod that could be in trouble.
        self.status.conditions.retain(|condition| condition.kind != "WorkersReady");
        let left = u64::try_from(again.as_second() - self.world.now.as_second()).unwrap_or(0).max(1);
        let message = format!("the plan failed and is tried again at {}: {error}", written(again));
        // Its deadline may be before that.
        self.phase(Phase::Planning, &message, Duration::from_secs(left.min(60)))
    }

    pub(super) fn waits_to_be_planned(mut self) -> Decision {
        let message = "as many other plans are made by pods as may be at a time (jobs.plannedAtOnce of the chart), of this namespace's jobs or in all";
        self.holds("Planned", false, WAITS_ITS_TURN, message);
        self.status.conditions.retain(|condition| condition.kind != "WorkersReady");
        self.phase(Phase::Planning, &format!("it waits for its turn to be planned: {message}"), 5 * SECOND)
    }

    /// The pod that plans it may not be made; it is tried again.
    pub(super) fn planner_refused(mut self, trouble: &Trouble) -> Decision {
        self.holds("WorkersReady", false, &trouble.reason, &trouble.message);
        let message = format!("the pod that plans it could not be made: {}", trouble.told());
        self.phase(Phase::Planning, &message, 10 * SECOND)
    }

    pub(super) fn planned_outside(mut self) -> Decision {
        // Its turn has come.
        let waited =
            |condition: &Condition| condition.kind == "Planned" && condition.reason == WAITS_ITS_TURN;
        self.status.conditions.retain(|condition| !waited(condition));
        if let Some(trouble) = self.world.planner.as_ref().and_then(|planner| planner.trouble.as_ref()) {
            self.holds("WorkersReady", false, &trouble.reason, &trouble.message);
            let message = format!("the pod that plans it cannot start: {}", trouble.told());
            return self.phase(Phase::Planning, &message, 5 * SECOND);
        }
        // What was said of a pod that has started since is over; there are no workers yet.
        self.status.conditions.retain(|condition| condition.kind != "WorkersReady");
        self.phase(Phase::Planning, "a pod of its own reads its candles and lays out its shards", 2 * SECOND)
    }

    /// It is made to rest, and its workers, if it has had some, do not compute.
    fn rests(&mut self, reason: &str) {
        self.rests_from_now();
        if self.status.condition("WorkersReady").is_some() {
            self.holds("WorkersReady", false, reason, "its workers rest");
        }
    }

    /// The time counts for no deadline until it goes on.
    fn rests_from_now(&mut self) {
        if self.status.start_time.is_some() {
            self.status.resting_since.get_or_insert_with(|| written(self.world.now));
        }
    }

    fn goes_on(&mut self) {
        if let Some(since) = time(self.status.resting_since.take().as_deref()) {
            let rested = u64::try_from(seconds_since(self.world.now, since)).unwrap_or(0);
            *self.status.rested_seconds.get_or_insert(0) += rested;
        }
    }

    pub(super) fn suspended(mut self) -> Decision {
        self.holds("Admitted", false, "Suspended", "spec.suspend is true");
        self.rests("Suspended");
        let go_on = "spec.suspend is true: set it to false to go on";
        match self.end_of_idling() {
            None => self.phase(Phase::Suspended, go_on, 300 * SECOND),
            Some((end, left)) => {
                let message = format!("{go_on}, before {end}: money is held for it, and it ends then");
                self.phase(Phase::Suspended, &message, soon(left, 300))
            }
        }
    }

    pub(super) fn held(mut self, held: &Held) -> Decision {
        let told = held.told();
        self.holds("Admitted", false, &held.reason, &told);
        self.rests(&held.reason);
        self.phase(Phase::Queued, &told, 60 * SECOND)
    }

    pub(super) fn running(mut self, planned: &Planned) -> Decision {
        let now = written(self.world.now);
        self.status.start_time.get_or_insert(now);
        self.goes_on();
        match &self.world.held {
            // Refused to more workers, or to those at work.
            Some(held) if self.world.pool.is_some() && !held.drain => {
                let message = format!(
                    "budgets hold what its workers may cost, and not as much more as it asks for: {}",
                    held.numbers
                );
                self.holds("Admitted", true, NO_MORE_HELD, &message);
            }
            // It asks again when those are gone that are on their way out.
            None if !self.world.is_granted
                && self.world.pool.as_ref().is_some_and(|pool| pool.going > 0)
                && self.status.condition("Admitted").is_some_and(|was| was.reason == NO_MORE_HELD) => {}
            _ => self.holds("Admitted", true, "Admitted", "budgets hold what it may cost"),
        }
        let done = self.status.shards.unwrap_or_default().done;
        let Some(pool) = &self.world.pool else {
            if self.world.lane_empty_since.is_some() {
                let message = "no worker of the interactive lane is ready";
                self.holds("WorkersReady", false, NO_WORKERS, message);
                self.lacks_the_queue();
                return self.phase(Phase::Running, message, 5 * SECOND);
            }
            self.holds("WorkersReady", true, "InteractiveLane", "the workers that small jobs share");
            self.lacks_the_queue();
            let message = match &self.world.asked {
                Ok(asked) if asked.suspend => {
                    "spec.suspend is true, but its shards are in the interactive lane already: they are done before anyone could stop them; set spec.cancel to end it"
                }
                _ => "its shards are in the interactive lane",
            };
            return self.phase(Phase::Running, message, 5 * SECOND);
        };
        let (ready, wanted) = (pool.ready, pool.wanted);
        match (&pool.trouble, ready) {
            (Some(trouble), 0) => self.holds("WorkersReady", false, &trouble.reason, &trouble.message),
            (None, 0) => self.holds("WorkersReady", false, STARTING, "no worker is ready yet"),
            _ => self.holds("WorkersReady", true, "Ready", "workers compute"),
        }
        if ready == 0 {
            self.lacks_the_queue();
        }
        let lacks = pool.trouble.as_ref().filter(|_| ready == 0);
        if done >= planned.shards {
            let message = match lacks {
                Some(trouble) => format!("no worker is there to finish it: {}", trouble.told()),
                None => "tables and traces are written".to_owned(),
            };
            return self.phase(Phase::Finishing, &message, 2 * SECOND);
        }
        let going = i64::from(ready) - i64::from(wanted);
        let message = match lacks {
            Some(trouble) => format!("no worker computes: {}", trouble.told()),
            None if going > 0 => {
                let are = if going == 1 { "is" } else { "are" };
                format!("{ready} workers, of whom {going} {are} about to go")
            }
            None => format!("{ready} of {wanted} workers, {}", counted(planned.trials.into(), "trial")),
        };
        self.phase(Phase::Running, &message, 5 * SECOND)
    }

    /// Its workers wait in a queue of the platform's.
    pub(super) fn waits(mut self) -> Decision {
        let now = written(self.world.now);
        self.status.start_time.get_or_insert(now);
        self.holds("Admitted", true, "Admitted", "budgets hold what it may cost");
        self.rests_from_now();
        let message = "its workers wait in their queue until the cluster has room";
        self.holds("WorkersReady", false, "WaitingInQueue", message);
        match self.end_of_idling() {
            None => self.phase(Phase::Queued, message, 60 * SECOND),
            Some((end, left)) => {
                let message =
                    format!("{message}; money is held for it, and it ends at {end} if it waits until then");
                self.phase(Phase::Queued, &message, soon(left, 60))
            }
        }
    }

    /// Its workers go on when others of it have stopped, and what they have cost is known.
    pub(super) fn waits_for_others_to_stop(mut self, most: u64) -> Decision {
        self.holds("Admitted", true, "Admitted", "budgets hold what it may cost");
        self.rests("Stopping");
        let message = format!(
            "workers of it are on their way out, and until it is known what they cost none is started: compute.maxCostUsd is {}",
            dollars(most)
        );
        self.phase(Phase::Queued, &message, 5 * SECOND)
    }

    /// Its workers rest until the queue or the store answers.
    pub(super) fn waits_for(mut self, trouble: &Trouble) -> Decision {
        self.rests(&trouble.reason);
        let message = format!(
            "{}; its workers rest until it does, and cost nothing when they have stopped",
            trouble.message
        );
        self.stalls(trouble, &message);
        self.phase(Phase::Queued, &message, 5 * SECOND)
    }

    /// Its workers cannot ask the queue, if that does not answer.
    fn lacks_the_queue(&mut self) {
        if let Some(trouble) = &self.world.queue_fails {
            self.stalls(trouble, &trouble.message);
        }
    }

    /// It stands still for a reason that may hold already.
    fn stalls(&mut self, trouble: &Trouble, message: &str) {
        self.status.conditions.extend(self.world.status.condition(STALLED).cloned());
        self.holds(STALLED, true, &trouble.reason, message);
    }

    /// Its workers could not be made.
    pub(super) fn refused(mut self, trouble: &Trouble) -> Decision {
        self.goes_on();
        self.holds("WorkersReady", false, &trouble.reason, &trouble.message);
        let message = format!("its workers could not be made: {}", trouble.told());
        let is_done = self.world.status.phase == Phase::Finishing;
        self.phase(if is_done { Phase::Finishing } else { Phase::Running }, &message, 10 * SECOND)
    }

    /// The job has ended, as the store says.
    pub(super) fn ended(mut self, end: &End) -> Decision {
        match end {
            End::Done { partly, micro_usd, requests_micro_usd, best, record, sha256, location } => {
                self.spent(*micro_usd);
                self.with_requests(*requests_micro_usd);
                self.status.best = best.as_deref().map(|best| cut(best, 100));
                self.status.results = Some(ResultsRef {
                    location: location.clone(),
                    record: record.clone(),
                    sha256: sha256.clone(),
                });
                if let Some(shards) = &mut self.status.shards {
                    shards.done = shards.total;
                    self.status.progress = Some(format!("{0}/{0}", shards.total));
                }
                let now = written(self.world.now);
                self.status.start_time.get_or_insert(now);
                if *partly {
                    let message = "some trials failed by themselves and have no metrics: job.json names them";
                    return self.finished(Phase::PartiallySucceeded, "TrialsFailed", message);
                }
                self.finished(Phase::Succeeded, "Succeeded", "the results are there")
            }
            End::Failed { reason, message } => {
                let (phase, reason, message) = told(reason, message);
                self.finished(phase, &reason, &message)
            }
        }
    }

    /// The last word.
    pub(super) fn finished(mut self, phase: Phase, reason: &str, message: &str) -> Decision {
        let now = written(self.world.now);
        self.status.completion_time.get_or_insert(now);
        self.status.workers = None;
        self.holds("Finished", true, reason, message);
        let has = phase.has_results();
        // One that says why there were none goes on saying so.
        let is_over = |ready: &Condition| ready.status == "True" || ready.reason == STARTING;
        if self.status.condition("WorkersReady").is_some_and(is_over) {
            self.holds("WorkersReady", false, "Finished", "the job has ended, and its workers go");
        }
        self.holds("Succeeded", has, reason, message);
        self.holds("Failed", !has, reason, message);
        self.phase(phase, message, SECOND)
    }
}

/// How a cancelled job is written down in the store, so that whoever reads it says the same.
pub fn ending(phase: Phase, reason: &str, message: &str) -> String {
    format!("{phase}/{reason}: {message}")
}

/// Phase, reason and message of a job that ended without results.
fn told(reason: &str, message: &str) -> (Phase, String, String) {
    if reason == "cancelled" {
        let parts = message.split_once(": ").and_then(|(head, rest)| {
            let (phase, reason) = head.split_once('/')?;
            let phase = Phase::ALL.into_iter().find(|known| known.id() == phase && known.is_terminal())?;
            Some((phase, reason.to_owned(), rest.to_owned()))
        });
        return parts.unwrap_or_else(|| (Phase::Cancelled, "Cancelled".to_owned(), message.to_owned()));
    }
    // As conditions write their reasons.
    let mut letters = reason.chars();
    let reason = letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect();
    (Phase::Failed, reason, message.to_owned())
}

/// A time as statuses have it.
pub fn written(at: Timestamp) -> String {
    // Whole seconds, as metav1.Time, and never in the future.
    Timestamp::from_second(at.as_second()).unwrap_or(at).to_string()
}

/// What a job that ends has cost by now: its pods cost until they are gone.
pub(super) fn costs(world: &World, pool: &Pool) -> JobStatus {
    let mut say = Say { world, status: world.status.clone() };
    let spent = world.rates.price.micro_usd(pool.micros.into());
    if spent > 0 {
        say.spent(spent);
        if let Some(End::Done { requests_micro_usd, .. }) = &world.end {
            say.with_requests(*requests_micro_usd);
        }
    }
    say.status
}

/// In so many seconds, or sooner.
fn soon(seconds: i64, longest: u32) -> Duration {
    u32::try_from(seconds.max(1)).unwrap_or(longest).min(longest) * SECOND
}

/// What a job says of itself while it cannot be looked at: what it said before, and why.
pub(crate) fn stalled(before: &JobStatus, now: Timestamp, reason: &str, error: &str) -> JobStatus {
    let mut status = before.clone();
    let message = cut(&format!("the operator cannot go on with it, and tries again: {error}"), LONGEST_OTHER);
    // Of one that has ended nobody says its message anew.
    if !before.phase.is_terminal() {
        status.message = Some(first_line(&message));
    }
    let condition = Condition {
        kind: STALLED.to_owned(),
        status: "True".to_owned(),
        reason: word(reason),
        message,
        last_transition_time: written(now),
        observed_generation: before.observed_generation,
    };
    put(&mut status.conditions, condition);
    status
}

/// Puts a condition in the place of the one of its kind, which keeps its time where it says the same.
fn put(conditions: &mut Vec<Condition>, mut condition: Condition) {
    match conditions.iter_mut().find(|known| known.kind == condition.kind) {
        Some(known) => {
            if known.status == condition.status {
                condition.last_transition_time.clone_from(&known.last_transition_time);
            }
            *known = condition;
        }
        None => conditions.push(condition),
    }
}
