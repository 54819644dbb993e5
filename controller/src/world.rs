//! What the operator knows of one job at one moment. Decisions follow from it alone.

use std::borrow::Cow;

use blockgrid_job::quote::{Estimate, Price};
use blockgrid_job::status::JobStatus;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::terms::Rates;

/// One job at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct World {
    /// When.
    pub now: Timestamp,
    /// The generation of its spec.
    pub generation: i64,
    /// When it was created.
    pub created: Timestamp,
    /// Whether somebody deleted it; it stays until the finalizer goes.
    pub is_deleted: bool,
    /// Whether it has the finalizer.
    pub has_finalizer: bool,
    /// What the operator has said about it so far.
    pub status: JobStatus,
    /// Seconds that it stays after its end.
    pub ttl_seconds: i64,
    /// What it asks of the cluster, or why it may not.
    pub asked: Result<Asked, Refused>,
    /// How far its plan is.
    pub planning: Planning,
    /// How it ended, by the store.
    pub end: Option<End>,
    /// Shards that are done, by the store, where they were counted.
    pub done: Option<u64>,
    /// Whether shards were done since its workers were made, or since this replica leads.
    pub has_progressed: bool,
    /// That the store does not answer, and has not for a while: what is known of the job is what its workers are.
    pub store_fails: Option<Trouble>,
    /// Whether as many plans are made by pods as may be.
    pub planners_are_busy: bool,
    /// What it is charged at, though its spec may be no good any more.
    pub rates: Rates,
    /// Micro-USD of what was computed of a job that ended without results, by the outcomes of its shards.
    pub used_micro_usd: u64,
    /// Micro-USD of its requests to the store.
    pub used_requests_micro_usd: u64,
    /// The pod that makes its plan.
    pub planner: Option<PlannerPod>,
    /// Its own workers.
    pub pool: Option<Pool>,
    /// Why its workers could not be made, a moment ago.
    pub pool_refused: Option<Trouble>,
    /// Since when they are refused, as far as this replica knows.
    pub pool_refused_since: Option<Timestamp>,
    /// Why no budget lets it run.
    pub held: Option<Held>,
    /// Whether budgets have just let it have more.
    pub is_granted: bool,
    /// Links to results that somebody wants: the text of the request.
    pub wants_links: Option<String>,
    /// Whom it counts for in budgets.
    pub user: String,
    /// The image of this operator's workers.
    pub image: String,
    /// Since when no worker of the interactive lane is ready; `None` while there are, and where nobody has looked.
    pub lane_empty_since: Option<Timestamp>,
    /// That the queue does not answer, and has not for a while.
    pub queue_fails: Option<Trouble>,
}

/// What a job asks of the cluster, with the platform's limits and defaults.
#[derive(Debug, Clone, PartialEq)]
pub struct Asked {
    /// Whether it should rest.
    pub suspend: bool,
    /// Whether it should end.
    pub cancel: bool,
    /// Seconds that it may take from when it first ran.
    pub deadline_seconds: i64,
    /// Seconds that its workers may take to start.
    pub start_seconds: i64,
    /// Seconds that it may rest in one go while money is held for it.
    pub rest_seconds: i64,
    /// The most workers.
    pub max_workers: u32,
    /// Units that a worker of its class computes at a time.
    pub slots: u32,
    /// Bytes of memory that a worker of its class has.
    pub memory: u64,
    /// What its class and the rest cost now. What it is charged at is [`World::rates`].
    pub offered: Rates,
    /// The most that it may cost, in micro-USD.
    pub max_cost: Option<u64>,
}

/// Why a job does not run, ever.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// For programs.
    pub reason: Cow<'static, str>,
    /// For people.
    pub message: String,
}

/// How far the plan of a job is.
#[derive(Debug, Clone, PartialEq)]
pub enum Planning {
    /// Nobody has begun.
    Unknown,
    /// It is being made.
    Working,
    /// A pod of its own makes it.
    Outside,
    /// It cannot be made.
    Refused(Refused),
    /// It could not be made, which is not the job's fault; it is tried again after a while.
    Failing {
        /// Why.
        error: String,
        /// When it is tried again.
        again: Timestamp,
    },
    /// It is committed.
    Done(Planned),
}

/// The pod that makes the plan of a large job.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PlannerPod {
    /// Why it has given up.
    pub failed: Option<String>,
    /// Whether it is being deleted.
    pub is_deleted: bool,
    /// Since when it could start.
    pub since: Option<Timestamp>,
    /// Whether it ever has.
    pub has_started: bool,
    /// What keeps it from starting.
    pub trouble: Option<Trouble>,
    /// Whether it has done its work: it has left a plan, or an answer.
    pub has_ended: bool,
}

/// What there is to know of a committed plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    /// Shards.
    pub shards: u64,
    /// Trials, those that exist included.
    pub trials: u64,
    /// Trials that an earlier job has computed.
    pub cached: u64,
    /// What it takes, in vCPU-microseconds.
    pub micros: Estimate<u64>,
    /// Units that its best trials are traced by, at most.
    pub trace_units: u64,
    /// Bytes of memory that a worker needs for its trials.
    pub memory: u64,
    /// The price that it was quoted at; `None` where an older operator planned it.
    pub price: Option<Price>,
    /// Whether it is small enough for the interactive lane.
    pub is_small: bool,
    /// The engine that it is for.
    pub engine: String,
    /// Whether that is this operator's.
    pub is_ours: bool,
}

impl Planned {
    /// Whether it is for the workers that all small jobs share: it is small, and of the engine that they run.
    pub fn is_for_lane(&self) -> bool {
        self.is_small && self.is_ours
    }
}

/// How a job ended, by the outcome of its finish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// There are results.
    Done {
        /// Whether some trials failed by themselves.
        partly: bool,
        /// Micro-USD by the record: CPU time at the price of its class.
        micro_usd: u64,
        /// Micro-USD of its requests to the store.
        requests_micro_usd: u64,
        /// The best trial, in words.
        best: Option<String>,
        /// Key of the record in the store.
        record: String,
        /// SHA-256 of the record.
        sha256: String,
        /// Where all of it is.
        location: String,
    },
    /// There are none.
    Failed {
        /// For programs.
        reason: String,
        /// For people.
        message: String,
    },
}

/// The workers that a job has for itself: an Indexed Job.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pool {
    /// How many there should be.
    pub wanted: u32,
    /// Whether it rests.
    pub is_suspended: bool,
    /// Workers that are ready.
    pub ready: i32,
    /// Pods that run or are about to.
    pub active: i32,
    /// Pods that are on their way out, which cost until they are gone and are not active.
    pub going: u32,
    /// Indexes that have failed for good.
    pub failed: i32,
    /// Since when its pods could start; `None` while it rests, or waits in a queue of somebody else's.
    pub since: Option<Timestamp>,
    /// Whether somebody else wakes it, when there is room: a queue of Kueue.
    pub is_kueues: bool,
    /// vCPU-microseconds of its pods, from start to end or now.
    pub micros: u64,
    /// What keeps its pods from starting, or has killed one.
    pub trouble: Option<Trouble>,
    /// Pods that should have ended: nobody answers for them any more.
    pub stuck: Vec<String>,
    /// Whether it is being deleted.
    pub is_deleted: bool,
    /// Whether workers refused their configuration.
    pub is_misconfigured: bool,
    /// Whether Kubernetes has given its Job up: its time was over, or some of its indexes failed for good.
    pub is_given_up: bool,
    /// Seconds after which it does.
    pub active_seconds: Option<i64>,
}

impl Pool {
    /// Whether there are no pods, and nothing is known that keeps them from being there.
    pub fn has_no_pods(&self) -> bool {
        let has_none = self.active == 0 && self.ready == 0 && self.failed == 0;
        has_none && self.trouble.is_none() && !self.is_deleted
    }
}

/// What keeps pods from starting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// For programs: `ErrImagePull`, `CreateContainerConfigError`, `Unschedulable`, `FailedCreate`, `PoolForbidden`.
    pub reason: String,
    /// For people.
    pub message: String,
}

impl Trouble {
    /// All of it, for people.
    pub fn told(&self) -> String {
        format!("{}: {}", self.reason, self.message)
    }
}

/// What a job asks money for. What is kept for one that has waited long is for nobody but those that hold something already,
/// and not to have more workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To begin, or to begin again: nobody works for it.
    Begin,
    /// That its workers may go on.
    GoOn,
    /// To have more of them.
    Grow,
}

/// Why no budget lets a job run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// For programs.
    pub reason: String,
    /// Which budget, with its numbers.
    pub numbers: String,
    /// What was asked for, and what helps who waits: nothing to one that has ended, which asked to go on for a moment.
    pub until: String,
    /// What it asked for in vain, in all; 0 where nobody asked, the most where it was for more workers, which says nothing
    /// of those at work.
    pub asked_micro_usd: u64,
    /// Whether workers that run should stop too.
    pub drain: bool,
}

impl Held {
    /// All of it, for people.
    pub fn told(&self) -> String {
        format!("{}{}", self.numbers, self.until)
    }
}
