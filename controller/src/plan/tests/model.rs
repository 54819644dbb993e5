//! A world in which acts succeed, users change their minds, budgets run dry, workers come and go, and operators die in the
//! middle of a look.

use blockgrid_job::status::{JobStatus, MAX_STATUS_BYTES, Phase};
use jiff::{SignedDuration, Timestamp};

use super::events::{Kind, follows};
use super::held;
use crate::plan::say::{ending, written};
use crate::plan::{Act, Decision, plan};
use crate::world::{End, Held, PlannerPod, Planning, Pool, Purpose, Trouble, World};

/// What is so, whoever knows it.
#[derive(Debug)]
pub(super) struct Model {
    pub(super) kind: Kind,
    pub(super) now: Timestamp,
    pub(super) generation: i64,
    // The object.
    pub(super) is_deleted: bool,
    pub(super) has_finalizer: bool,
    pub(super) is_gone: bool,
    pub(super) status: JobStatus,
    pub(super) links: Option<String>,
    // The store.
    pub(super) committed: bool,
    pub(super) end: Option<End>,
    pub(super) ledger: Option<u64>,
    // Queue and cluster.
    pub(super) queue_is_away: bool,
    pub(super) queued: bool,
    pub(super) done: u64,
    /// What was counted of it last, and when: the store is not asked with each look.
    pub(super) counted: std::cell::Cell<Option<(Timestamp, u64)>>,
    pub(super) pool: Option<Pool>,
    pub(super) planner: Option<PlannerPod>,
    pub(super) no_rights: bool,
    // The budgets.
    /// What they have left for it, beside what they hold.
    pub(super) left: u64,
    pub(super) drains: bool,
    pub(super) holds: Option<u64>,
    // In memory.
    pub(super) planning: Planning,
    pub(super) held: Option<Held>,
    pub(super) die_after: Option<usize>,
    // What was ever so.
    pub(super) cancelled: bool,
    pub(super) pools: usize,
    /// How often budgets were asked for it, and how often its pool was made larger or smaller.
    pub(super) asked: usize,
    pub(super) scaled: usize,
    /// How long each of those takes still that are on their way out.
    pub(super) going: Vec<u64>,
    /// Seconds until the cluster does to pods what their Job says, and how many of them have passed of those it takes now.
    pub(super) lag: u64,
    pub(super) told: Option<u64>,
}

/// Money for whatever it may cost.
pub(super) const PLENTY: u64 = u64::MAX / 4;

/// Seconds in which a worker has stopped.
pub(super) const STOPPING: u64 = 110;

impl Model {
    pub(super) fn new(kind: Kind) -> Self {
        Self {
            kind,
            now: "2026-01-05T00:00:00Z".parse().unwrap(),
            generation: 1,
            is_deleted: false,
            has_finalizer: false,
            is_gone: false,
            queue_is_away: false,
            status: JobStatus::default(),
            links: None,
            committed: false,
            end: None,
            ledger: None,
            queued: false,
            done: 0,
            counted: std::cell::Cell::new(None),
            pool: None,
            planner: None,
            no_rights: false,
            left: PLENTY,
            drains: false,
            holds: None,
            planning: Planning::Unknown,
            held: None,
            die_after: None,
            cancelled: false,
            pools: 0,
            asked: 0,
            scaled: 0,
            going: Vec::new(),
            lag: 0,
            told: None,
        }
    }

    /// As `observe` puts it together.
    fn world(&self) -> World {
        let status = self.status.clone();
        let is_over = status.phase.is_terminal();
        let planning = match &self.planning {
            _ if is_over => Planning::Unknown,
            Planning::Unknown if status.planned_time.is_some() => Planning::Done(self.kind.planned.clone()),
            known => known.clone(),
        };
        let is_to_end = self.is_deleted || self.kind.asked.as_ref().map_or(true, |asked| asked.cancel);
        let is_planned = matches!(planning, Planning::Done(_));
        let is_asked_for =
            status.reserved_micro_usd.is_some() || is_planned && (status.start_time.is_some() || is_to_end);
        let has_begun = matches!(status.phase, Phase::Running | Phase::Finishing);
        let counts = is_planned
            && !(is_asked_for && self.end.is_some())
            && (self.pool.is_some() || has_begun && self.kind.planned.shards > 1);
        World {
            now: self.now,
            generation: self.generation,
            created: self.now,
            user: "ann".to_owned(),
            is_deleted: self.is_deleted,
            has_finalizer: self.has_finalizer,
            ttl_seconds: self.kind.ttl_seconds,
            asked: self.kind.asked.clone(),
            rates: crate::terms::rates(
                &self.status,
                None,
                self.kind.asked.as_ref().ok().map(|asked| &asked.offered),
            ),
            end: self.end.clone().filter(|_| is_asked_for),
            done: counts.then(|| self.count()),
            has_progressed: self.done > 0,
            store_fails: None,
            pool: self.pool.clone(),
            pool_refused: None,
            pool_refused_since: None,
            planners_are_busy: false,
            used_micro_usd: 0,
            used_requests_micro_usd: 3,
            planner: self.planner.clone(),
            held: self.held.clone().or_else(|| self.drained()),
            wants_links: self.links.clone(),
            image: "grid:1".to_owned(),
            is_granted: false,
            lane_empty_since: None,
            queue_fails: self
                .queue_is_away
                .then(|| Trouble { reason: "QueueUnavailable".to_owned(), message: self.kind.noise.clone() }),
            planning,
            status,
        }
    }

    /// As `observe` counts.
    fn count(&self) -> u64 {
        let computes =
            self.status.phase == Phase::Running && self.pool.as_ref().is_some_and(|pool| pool.ready > 0);
        let is_late = |(at, _): &(Timestamp, u64)| computes && self.now.duration_since(*at).as_secs() < 20;
        let counted = self.counted.get().filter(is_late).unwrap_or((self.now, self.done));
        self.counted.set(Some(counted));
        counted.1
    }

    fn drained(&self) -> Option<Held> {
        self.drains.then(|| held("BudgetSpent", self.kind.noise.clone(), true))
    }

    /// As `apply` does it; what it may not be asked for is refused here.
    fn apply(&mut self, act: &Act, world: &mut World) {
        let phase = world.status.phase;
        match act {
            Act::AddFinalizer => {
                assert!(!self.is_deleted, "an API server takes no finalizer for what is deleted");
                self.has_finalizer = true;
                world.has_finalizer = true;
            }
            Act::CreatePlanner => {
                assert_eq!((&self.planning, &self.planner), (&Planning::Outside, &None));
                assert!(!self.is_deleted, "nobody wants its plan");
                self.planner = Some(PlannerPod::default());
                world.planner.clone_from(&self.planner);
            }
            Act::DeletePlanner => {
                self.planner = None;
                world.planner = None;
            }
            Act::DropFinalizer => {
                assert_eq!(self.planner, None, "its pod would be nobody's");
                assert!(self.is_deleted && self.pool.is_none(), "its pool would be nobody's");
                assert_eq!(self.holds, None, "its money would be held for ever");
                assert!(!self.queued || self.end.is_some(), "its units would go on");
                self.has_finalizer = false;
                self.is_gone = true;
                world.has_finalizer = false;
            }
            Act::Plan => {
                assert!(self.has_finalizer && !phase.is_terminal());
                self.planning = Planning::Working;
                world.planning = Planning::Working;
            }
            Act::Reserve { purpose, micro_usd, wish } => {
                assert!(micro_usd <= wish);
                assert!(
                    matches!(world.planning, Planning::Done(_)),
                    "nothing is held for what is not planned"
                );
                assert!(!self.cancelled && self.end.is_none());
                self.asked += 1;
                let held = self.holds.unwrap_or(0);
                assert!(*micro_usd > held || self.holds.is_none(), "{micro_usd} is held");
                if *micro_usd <= held.saturating_add(self.left) {
                    let holds = held.max((*wish).min(held.saturating_add(self.left)));
                    self.left -= holds - held;
                    self.holds = Some(holds);
                    self.status.reserved_micro_usd = Some(holds);
                    world.status.reserved_micro_usd = Some(holds);
                    self.held = None;
                    (world.held, world.is_granted) = (None, true);
                } else {
                    let mut held = super::held("WaitingForBudget", self.kind.noise.clone(), false);
                    held.asked_micro_usd = if *purpose == Purpose::Grow { u64::MAX } else { *micro_usd };
                    self.held = Some(held.clone());
                    world.held = Some(held);
                }
            }
            Act::Enqueue { in_lane } => {
                self.may_run(world);
                let planned = &self.kind.planned;
                assert_eq!(*in_lane, planned.is_small && planned.is_ours);
                self.queued = true;
                world.status.start_time.get_or_insert_with(|| written(self.now));
            }
            Act::CreatePool { workers } => {
                self.may_run(world);
                let planned = &self.kind.planned;
                assert!(!planned.is_small || !planned.is_ours, "the lane is for this one");
                assert!(*workers >= 1);
                assert!(self.pool.is_none(), "one pool at a time");
                if self.no_rights {
                    let trouble =
                        Trouble { reason: "PoolForbidden".to_owned(), message: self.kind.noise.clone() };
                    world.pool_refused = Some(trouble);
                    return;
                }
                self.pools += 1;
                self.pool = Some(Pool {
                    wanted: *workers,
                    is_suspended: self.kind.is_kueues,
                    is_kueues: self.kind.is_kueues,
                    since: (!self.kind.is_kueues).then_some(self.now),
                    ..Pool::default()
                });
                world.pool_refused = None;
                world.pool = self.pool.clone();
            }
            Act::ScalePool { workers } => {
                self.may_run(world);
                let now = self.now;
                let pool = self.pool.as_mut().unwrap();
                pool.wanted = *workers;
                self.scaled += 1;
                if pool.is_suspended && !pool.is_kueues {
                    pool.is_suspended = false;
                    pool.since = Some(now);
                }
                self.is_told();
                world.pool = self.pool.clone();
            }
            Act::SuspendPool => {
                let pool = self.pool.as_mut().unwrap();
                assert!(!pool.is_suspended && !pool.is_kueues, "Kueue would wake it");
                (pool.is_suspended, pool.since) = (true, None);
                self.is_told();
                world.pool = self.pool.clone();
            }
            Act::Release { pods } => {
                let pool = self.pool.as_mut().unwrap();
                assert!(!pods.is_empty() && *pods == pool.stuck);
                pool.stuck.clear();
                pool.active = 0;
                world.pool = self.pool.clone();
            }
            Act::DeletePool => {
                self.pool.as_mut().unwrap().is_deleted = true;
                world.pool = self.pool.clone();
            }
            Act::Cancel { phase, reason, message } => {
                assert!(phase.is_terminal() && !phase.has_results());
                self.cancelled = true;
                let message = ending(*phase, reason, message);
                self.end.get_or_insert(End::Failed { reason: "cancelled".to_owned(), message });
                world.end = self.end.clone();
            }
            Act::Settle { micro_usd, .. } => {
                assert!(self.pool.is_none(), "its pods cost still");
                // What was written first stands.
                let micro_usd = *self.ledger.get_or_insert(*micro_usd);
                self.holds = None;
                self.status.reserved_micro_usd = None;
                self.status.spent_micro_usd = Some(micro_usd);
                world.status.reserved_micro_usd = None;
                world.status.spent_micro_usd = Some(micro_usd);
            }
            Act::Sign { request } => {
                assert!(phase.has_results());
                let links = blockgrid_job::status::Links { request: request.clone(), ..Default::default() };
                world.status.links = Some(links);
            }
            Act::Delete => {
                assert!(phase.is_terminal());
                self.is_deleted = true;
                world.is_deleted = true;
            }
        }
    }

    /// The cluster is told how many workers there are to be.
    fn is_told(&mut self) {
        self.told = Some(0);
        self.passes(0);
    }

    /// So many seconds have passed since: those that are too many are told to go once it has noticed.
    pub(super) fn passes(&mut self, seconds: u64) {
        let Some(told) = &mut self.told else { return };
        *told += seconds;
        let Some(pool) = self.pool.as_mut().filter(|_| *told >= self.lag) else { return };
        self.told = None;
        let most = if pool.is_suspended { 0 } else { i32::try_from(pool.wanted).unwrap() };
        let stay = pool.active.min(most);
        self.going.extend((stay..pool.active).map(|_| STOPPING));
        pool.going = u32::try_from(self.going.len()).unwrap();
        (pool.active, pool.ready) = (stay, pool.ready.min(stay));
    }

    /// What must be so before anything of a job runs.
    fn may_run(&self, world: &World) {
        assert!(self.committed, "before its plan");
        assert!(self.holds.is_some() && world.status.reserved_micro_usd.is_some(), "without money");
        assert!(!self.cancelled && self.end.is_none() && !self.is_deleted, "after its end");
        assert!(!world.status.phase.is_terminal());
        let asked = world.asked.as_ref().unwrap();
        assert!(!asked.cancel && !asked.suspend);
    }

    /// As `reconcile` does it. False when the operator died of it.
    pub(super) fn look(&mut self) -> bool {
        if self.is_gone {
            return true;
        }
        let mut left = self.die_after.take();
        let mut world = self.world();
        let mut decision = plan(&world);
        for round in 0.. {
            assert!(round < 16, "it goes in circles: {decision:?}");
            if decision.acts.is_empty() {
                break;
            }
            for act in decision.acts.clone() {
                if left == Some(0) {
                    self.restart();
                    return false;
                }
                left = left.map(|left| left - 1);
                self.apply(&act, &mut world);
            }
            let waits = world.pool.as_ref().is_some_and(|pool| pool.is_deleted);
            decision = plan(&world);
            if waits && decision.acts.is_empty() {
                break;
            }
        }
        if self.is_gone {
            return true;
        }
        if left.is_some() {
            self.restart();
            return false;
        }
        let was_over = self.status.phase.is_terminal();
        self.write(decision);
        // Its end is said before its workers are removed.
        if self.status.phase.is_terminal() == was_over {
            self.is_fixed();
        }
        true
    }

    fn write(&mut self, decision: Decision) {
        let (before, after) = (self.status.phase, decision.status.phase);
        let gives_way = self.drained().is_some() || self.held.is_some() || self.kind.is_kueues;
        assert!(follows(before, after, gives_way || self.queue_is_away), "{before} -> {after}");
        let reserved = self.status.reserved_micro_usd;
        self.status = decision.status;
        self.status.reserved_micro_usd = reserved;
        let bytes = serde_json::to_vec(&self.status).unwrap().len();
        assert!(bytes <= MAX_STATUS_BYTES, "{bytes}");
        for condition in &self.status.conditions {
            assert!(condition.reason.starts_with(|c: char| c.is_ascii_alphabetic()), "{condition:?}");
            assert!(condition.message.chars().count() <= 4096);
        }
        assert!(self.status.message.as_ref().is_none_or(|line| line.chars().count() <= 4096));
    }

    /// Nothing has happened: nothing is to be done, and the same is said, now and later.
    fn is_fixed(&mut self) {
        let mut world = self.world();
        let again = plan(&world);
        if world.pool_refused.is_none() && self.no_rights {
            // Asked for once more at each look: somebody may have given the right.
            return;
        }
        if world.done.unwrap_or(0) > self.status.shards.unwrap_or_default().done {
            // Shards are counted where there are workers: a look later than those were made.
            return;
        }
        assert_eq!(again.acts, [], "{:#?}", self.status);
        assert_eq!(again.status, self.status);
        world.now += SignedDuration::from_secs(1);
        let later = plan(&world);
        if later.acts.is_empty() {
            assert_eq!(later.status, self.status);
        }
    }

    pub(super) fn restart(&mut self) {
        self.counted.set(None);
        self.planning = Planning::Unknown;
        self.held = None;
    }
}
