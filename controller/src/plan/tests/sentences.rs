//! One test for each thing that a job may come to, as a person would say it.

use std::time::Duration;

use blockgrid_job::quote::{Estimate, Price};
use blockgrid_job::status::{JobStatus, LaneKind, Phase};
use jiff::{SignedDuration, Timestamp};

use super::held;
use crate::costs::Costs;
use crate::plan::say::{ending, stalled, written};
use crate::plan::{Act, plan};
use crate::terms::Rates;
use crate::world::{Asked, End, Planned, Planning, Pool, Purpose, Refused, Trouble, World};

pub(super) fn offered() -> Rates {
    let price = Price { name: "standard".to_owned(), micro_usd_a_vcpu_hour: 36_000 };
    Rates { price, costs: Costs::default(), millicpus: 2000, stopping_seconds: 110 }
}

fn asked() -> Asked {
    Asked {
        suspend: false,
        cancel: false,
        deadline_seconds: 7200,
        start_seconds: 600,
        rest_seconds: 500_000,
        max_workers: 8,
        slots: 2,
        memory: 4 << 30,
        offered: offered(),
        max_cost: None,
    }
}

/// A thousand vCPU-seconds are a cent here.
pub(super) fn big() -> Planned {
    Planned {
        shards: 100,
        trials: 50_000,
        cached: 0,
        micros: Estimate { low: 1_000_000_000, mid: 2_000_000_000, high: 4_000_000_000 },
        trace_units: 0,
        price: None,
        memory: 200 << 20,
        is_small: false,
        engine: "e1".to_owned(),
        is_ours: true,
    }
}

pub(super) fn small() -> Planned {
    Planned { shards: 2, is_small: true, ..big() }
}

/// A job that has been planned, and nothing since.
pub(super) fn world(planned: Planned) -> World {
    World {
        now: "2026-01-05T12:00:00Z".parse().unwrap(),
        generation: 3,
        created: "2026-01-05T11:59:00Z".parse().unwrap(),
        is_deleted: false,
        ttl_seconds: 3600,
        has_finalizer: true,
        status: JobStatus { phase: Phase::Planning, ..JobStatus::default() },
        rates: offered(),
        asked: Ok(asked()),
        planning: Planning::Done(planned),
        end: None,
        done: None,
        has_progressed: false,
        store_fails: None,
        pool: None,
        pool_refused: None,
        pool_refused_since: None,
        planners_are_busy: false,
        used_micro_usd: 0,
        used_requests_micro_usd: 0,
        planner: None,
        held: None,
        wants_links: None,
        user: "ann".to_owned(),
        image: "grid:1".to_owned(),
        is_granted: false,
        lane_empty_since: None,
        queue_fails: None,
    }
}

pub(super) fn asks(change: impl Fn(&mut Asked)) -> Result<Asked, Refused> {
    let mut asked = asked();
    change(&mut asked);
    Ok(asked)
}

/// The same, with money held and begun so many seconds ago.
pub(super) fn begun(planned: Planned, seconds: i64) -> World {
    let mut world = world(planned);
    world.status.reserved_micro_usd = Some(40_000);
    world.status.start_time = Some(written(ago(&world, seconds)));
    world.status.phase = Phase::Running;
    world
}

pub(super) fn ago(world: &World, seconds: i64) -> Timestamp {
    world.now - SignedDuration::from_secs(seconds)
}

/// The same, with workers.
pub(super) fn working(seconds: i64) -> World {
    let mut world = begun(big(), seconds);
    let since = Some(ago(&world, seconds));
    world.pool = Some(Pool { wanted: 8, ready: 8, active: 8, since, ..Pool::default() });
    world.done = Some(10);
    world
}

/// Phase, and reason and message of `Finished`, where nothing is to be done.
pub(super) fn said(world: &World) -> (Phase, String, String) {
    let decision = plan(world);
    assert_eq!(decision.acts, []);
    let finished = decision.status.condition("Finished").unwrap();
    (decision.status.phase, finished.reason.clone(), finished.message.clone())
}

/// How it is ended, and what is said then.
pub(super) fn ends(mut world: World) -> (Phase, String, String) {
    let acts = plan(&world).acts;
    let [Act::Cancel { phase, reason, message }] = &acts[..] else { panic!("{acts:?}") };
    let message = ending(*phase, reason, message);
    world.end = Some(End::Failed { reason: "cancelled".to_owned(), message });
    let said = said(&world);
    assert_eq!((said.0, said.1.as_str()), (*phase, reason.as_str()), "it is told as it was meant");
    said
}

/// Reason and message of a condition that does not hold.
pub(super) fn lacks(world: &World, kind: &str) -> (String, String) {
    let status = plan(world).status;
    let condition = status.condition(kind).unwrap();
    assert_eq!(condition.status, "False", "{condition:?}");
    (condition.reason.clone(), condition.message.clone())
}

#[test]
fn a_new_job_gets_its_finalizer_first_and_is_planned_then() {
    let mut new = World { planning: Planning::Unknown, ..world(big()) };
    new.has_finalizer = false;
    assert_eq!(plan(&new).acts, [Act::AddFinalizer]);
    new.has_finalizer = true;
    assert_eq!(plan(&new).acts, [Act::Plan]);
    new.planning = Planning::Working;
    assert_eq!(said(&new).0, Phase::Planning);
}

#[test]
fn a_plan_that_failed_is_tried_again_when_it_is_time() {
    let mut world = world(big());
    let planning = |again| Planning::Failing { error: "the store is down".to_owned(), again };
    world.planning = planning(ago(&world, -9));
    assert_eq!(plan(&world).again, Duration::from_secs(9));
    let (phase, _, message) = said(&world);
    assert_eq!(phase, Phase::Planning);
    let told =
        format!("the plan failed and is tried again at {}: the store is down", written(ago(&world, -9)));
    assert_eq!(message, told);
    assert_eq!(lacks(&world, "Planned").0, "Retrying");
    world.planning = planning(world.now);
    assert_eq!(plan(&world).acts, [Act::Plan]);
}

#[test]
fn a_spec_that_is_no_good_fails_with_what_is_wrong() {
    let mut world = World { planning: Planning::Unknown, ..world(big()) };
    let refused =
        Refused { reason: "InvalidSpec".into(), message: "spec.a: is bad\nspec.b: is bad".to_owned() };
    world.asked = Err(refused.clone());
    let expected = (Phase::Failed, "InvalidSpec".to_owned(), refused.message.clone());
    assert_eq!(said(&world), expected);
    assert_eq!(plan(&world).status.message.unwrap(), "spec.a: is bad (and 1 more)");
    world.asked = Ok(asked());
    world.planning = Planning::Refused(refused);
    assert_eq!(said(&world), expected);
}

#[test]
fn money_is_held_before_anything_is_queued() {
    let mut world = world(small());
    assert_eq!(
        plan(&world).acts,
        [Act::Reserve { purpose: Purpose::Begin, micro_usd: 40_000, wish: 40_000 }]
    );
    world.status.reserved_micro_usd = Some(40_000);
    assert_eq!(plan(&world).acts, [Act::Enqueue { in_lane: true }]);
    let mut world = super::sentences::world(big());
    world.asked = asks(|asked| asked.max_cost = Some(25_000));
    assert_eq!(
        plan(&world).acts,
        [Act::Reserve { purpose: Purpose::Begin, micro_usd: 25_000, wish: 25_000 }]
    );
    world.status.reserved_micro_usd = Some(25_000);
    // Each may cost 4,400: as long at work as it takes to stop.
    assert_eq!(plan(&world).acts, [Act::Enqueue { in_lane: false }, Act::CreatePool { workers: 5 }]);
}

#[test]
fn a_job_that_reaches_its_most_is_stopped_before_it_passes() {
    let mut world = working(600);
    // Eight workers of two vCPUs cost $0.0176 in the 110 seconds of stopping.
    world.asked = asks(|asked| asked.max_cost = Some(40_000));
    let pool = world.pool.as_mut().unwrap();
    pool.micros = 1_300_000_000;
    assert_eq!(said(&world).0, Phase::Running);
    world.pool.as_mut().unwrap().micros = 3_800_000_000;
    let (phase, reason, message) = ends(world);
    assert_eq!((phase, reason.as_str()), (Phase::BudgetExceeded, "MaxCostReached"));
    assert!(message.starts_with("it has cost about $0.0380, and its end may cost $0.0176"), "{message}");
}

#[test]
fn a_job_without_money_waits_and_says_for_what() {
    let mut world = world(big());
    world.held = Some(held("WaitingForBudget", "budget grid has $1 left".to_owned(), false));
    assert_eq!(said(&world), (Phase::Queued, "Queued".to_owned(), "budget grid has $1 left".to_owned()));
    assert_eq!(lacks(&world, "Admitted").0, "WaitingForBudget");
}

#[test]
fn a_budget_that_is_spent_lets_workers_go_on_unless_it_drains() {
    let mut world = working(60);
    world.held = Some(held("BudgetSpent", "it is spent".to_owned(), false));
    assert_eq!(said(&world).0, Phase::Running);
    world.held = Some(held("BudgetSpent", "it is spent".to_owned(), true));
    assert_eq!(plan(&world).acts, [Act::SuspendPool]);
    let pool = world.pool.as_mut().unwrap();
    (pool.is_suspended, pool.active) = (true, 0);
    assert_eq!((said(&world).0, lacks(&world, "Admitted").0), (Phase::Queued, "BudgetSpent".to_owned()));
    world.held = None;
    assert_eq!(plan(&world).acts, [Act::ScalePool { workers: 8 }]);
}

#[test]
fn what_is_in_the_lane_is_neither_drained_nor_suspended() {
    let mut world = begun(small(), 1);
    world.held = Some(held("BudgetSpent", "it is spent".to_owned(), true));
    world.asked = asks(|asked| asked.suspend = true);
    let decision = plan(&world);
    assert_eq!((decision.acts, decision.status.phase), (vec![], Phase::Running));
    assert_eq!(decision.status.lane, Some(LaneKind::Interactive));
}

#[test]
fn a_small_job_that_is_suspended_in_time_is_not_queued() {
    let mut world = world(small());
    world.asked = asks(|asked| asked.suspend = true);
    let (phase, reason, message) = said(&world);
    assert_eq!((phase, reason.as_str()), (Phase::Suspended, "Suspended"));
    assert_eq!(message, "spec.suspend is true: set it to false to go on");
    world.planning = Planning::Unknown;
    assert_eq!(plan(&world).acts, [Act::Plan], "its author waits for the quote");
}

#[test]
fn suspending_a_big_job_lets_its_workers_rest_and_it_keeps_its_money() {
    let mut world = working(60);
    world.asked = asks(|asked| asked.suspend = true);
    assert_eq!(plan(&world).acts, [Act::SuspendPool]);
    world.pool.as_mut().unwrap().is_suspended = true;
    assert_eq!(said(&world).0, Phase::Suspended);
    assert_eq!(plan(&world).status.reserved_micro_usd, Some(40_000));
    assert_eq!(lacks(&world, "Admitted").0, "Suspended");
}

#[test]
fn a_job_that_is_in_the_lane_says_why_it_does_not_rest() {
    let mut world = begun(small(), 1);
    world.asked = asks(|asked| asked.suspend = true);
    let (phase, _, message) = said(&world);
    assert!(phase == Phase::Running && message.starts_with("spec.suspend is true, but"), "{message}");
}

#[test]
fn cancelling_says_so_whether_or_not_there_is_a_plan() {
    let mut world = working(60);
    world.asked = asks(|asked| asked.cancel = true);
    let expected = (Phase::Cancelled, "CancelRequested".to_owned(), "spec.cancel is true".to_owned());
    assert_eq!(ends(world.clone()), expected);
    world.status = JobStatus::default();
    world.planning = Planning::Working;
    world.pool = None;
    assert_eq!(said(&world), expected);
    // An operator that died has queued it, and not said so.
    world.status.reserved_micro_usd = Some(1);
    world.planning = Planning::Unknown;
    assert_eq!(ends(world), expected);
}

#[test]
fn a_big_job_gets_workers_of_its_own_as_many_as_its_shards_keep_busy() {
    let mut world = begun(big(), 0);
    world.status.start_time = None;
    let acts = |workers| [Act::Enqueue { in_lane: false }, Act::CreatePool { workers }];
    assert_eq!(plan(&world).acts, acts(8), "its most");
    world.planning = Planning::Done(Planned { shards: 9, ..big() });
    assert_eq!(plan(&world).acts, acts(3), "two shards a slot");
}

#[test]
fn workers_that_have_nothing_to_do_go() {
    let mut world = working(60);
    world.done = Some(91);
    assert_eq!(said(&world).0, Phase::Running, "five of eight are busy");
    world.done = Some(93);
    assert_eq!(plan(&world).acts, [Act::ScalePool { workers: 4 }]);
    world.done = Some(100);
    world.pool.as_mut().unwrap().wanted = 1;
    assert_eq!(
        said(&world),
        (Phase::Finishing, "Finishing".to_owned(), "tables and traces are written".to_owned())
    );
}

#[test]
fn a_job_whose_workers_may_not_be_made_says_who_must_do_what() {
    let mut world = begun(big(), 599);
    let message = "jobs.batch is forbidden: User \"system:serviceaccount:a:b\" cannot create".to_owned();
    world.pool_refused = Some(Trouble { reason: "PoolForbidden".to_owned(), message: message.clone() });
    world.pool_refused_since = Some(ago(&world, 599));
    assert_eq!(lacks(&world, "WorkersReady"), ("PoolForbidden".to_owned(), message));
    assert_eq!(said(&world).0, Phase::Running);
    world.now += SignedDuration::from_secs(1);
    let (phase, reason, message) = ends(world);
    assert_eq!((phase, reason.as_str()), (Phase::Failed, "WorkersNotStarted"));
    assert!(message.starts_with("its workers could not be made: PoolForbidden: jobs.batch is forbidden"));
}

#[test]
fn an_image_that_cannot_be_pulled_fails_the_job_at_the_start_deadline() {
    let mut world = working(599);
    let pool = world.pool.as_mut().unwrap();
    pool.ready = 0;
    pool.trouble = Some(Trouble { reason: "ErrImagePull".to_owned(), message: "not found".to_owned() });
    world.done = Some(0);
    assert_eq!(lacks(&world, "WorkersReady"), ("ErrImagePull".to_owned(), "not found".to_owned()));
    assert_eq!(said(&world).2, "no worker computes: ErrImagePull: not found");
    world.now += SignedDuration::from_secs(1);
    let mut rests = world.clone();
    let (phase, reason, message) = ends(world);
    assert_eq!((phase, reason.as_str()), (Phase::Failed, "WorkersNotStarted"));
    assert_eq!(message, "no worker started within 600 s: ErrImagePull: not found");
    // One that was resumed a moment ago has its whole time.
    rests.pool.as_mut().unwrap().since = None;
    assert_eq!(said(&rests).0, Phase::Running);
}

#[test]
fn workers_that_all_failed_or_are_misconfigured_fail_the_job() {
    let mut world = working(60);
    let pool = world.pool.as_mut().unwrap();
    (pool.failed, pool.active, pool.ready) = (8, 0, 0);
    let (phase, reason, message) = ends(world.clone());
    assert_eq!((phase, reason.as_str()), (Phase::Failed, "WorkersFailed"));
    assert!(message.contains("its workers (8) failed"), "{message}");
    world.pool.as_mut().unwrap().is_misconfigured = true;
    assert_eq!(ends(world).1, "WorkersMisconfigured");
}

fn done(partly: bool) -> End {
    End::Done {
        partly,
        micro_usd: 12_345,
        requests_micro_usd: 0,
        best: Some("sharpe 1.93".to_owned()),
        record: "cache/t/k/job.json".to_owned(),
        sha256: "00".repeat(32),
        location: "s3://grid/jobs/1".to_owned(),
    }
}

#[test]
fn a_job_that_succeeded_says_where_its_results_are_and_what_they_cost() {
    let mut world = begun(small(), 1);
    world.end = Some(done(false));
    let status = plan(&world).status;
    assert_eq!((status.phase, status.progress.as_deref()), (Phase::Succeeded, Some("2/2")));
    assert_eq!((status.cost.as_deref(), status.best.as_deref()), (Some("$0.0124"), Some("sharpe 1.93")));
    assert_eq!(status.results.unwrap().location, "s3://grid/jobs/1");
    world.end = Some(done(true));
    let (phase, reason, message) = said(&world);
    assert_eq!((phase, reason.as_str()), (Phase::PartiallySucceeded, "TrialsFailed"));
    assert!(message.contains("job.json names them"));
}

#[test]
fn how_workers_failed_is_a_reason_of_its_own() {
    let mut world = begun(small(), 1);
    for (reason, expected) in
        [("dataChanged", "DataChanged"), ("panicked", "Panicked"), ("timedOut", "TimedOut")]
    {
        world.end = Some(End::Failed { reason: reason.to_owned(), message: "why".to_owned() });
        assert_eq!(said(&world), (Phase::Failed, expected.to_owned(), "why".to_owned()));
    }
    // Cancelled by a command, which does not say as what.
    world.end = Some(End::Failed { reason: "cancelled".to_owned(), message: "by hand: now".to_owned() });
    assert_eq!(said(&world), (Phase::Cancelled, "Cancelled".to_owned(), "by hand: now".to_owned()));
}

/// A job that has ended, and how it was left.
fn ended(seconds: i64) -> World {
    let mut world = working(seconds + 60);
    world.end = Some(done(false));
    world.status = plan(&world).status;
    world.status.completion_time = Some(written(ago(&world, seconds)));
    world.planning = Planning::Unknown;
    world.pool = None;
    world
}

#[test]
fn workers_go_before_the_cost_is_settled_and_cost_until_then() {
    let mut world = ended(1);
    world.pool = Some(Pool { micros: 4_000_000_000, ..Pool::default() });
    assert_eq!(plan(&world).acts, [Act::DeletePool]);
    world.pool.as_mut().unwrap().is_deleted = true;
    let decision = plan(&world);
    assert_eq!((decision.acts, decision.status.spent_micro_usd), (vec![], Some(40_000)));
    world.status = decision.status;
    world.pool = None;
    assert_eq!(
        plan(&world).acts,
        [Act::Settle { micro_usd: 40_000, requests_micro_usd: 0 }],
        "pods cost more than the record says"
    );
}

#[test]
fn a_job_goes_when_its_time_is_over_and_not_before() {
    let mut world = ended(3599);
    world.status.reserved_micro_usd = None;
    let decision = plan(&world);
    assert_eq!((decision.acts, decision.again.as_secs()), (vec![], 1));
    world.now += SignedDuration::from_secs(1);
    assert_eq!(plan(&world).acts, [Act::Delete]);
}

#[test]
fn links_are_made_once_for_each_request() {
    let mut world = ended(1);
    world.status.reserved_micro_usd = None;
    world.wants_links = Some("a".to_owned());
    assert_eq!(plan(&world).acts, [Act::Sign { request: "a".to_owned() }]);
    world.status.links = Some(blockgrid_job::status::Links { request: "a".to_owned(), ..Default::default() });
    assert_eq!(plan(&world).acts, []);
    world.status.phase = Phase::Failed;
    world.wants_links = Some("b".to_owned());
    assert_eq!(plan(&world).acts, [], "there is nothing to link to");
}

#[test]
fn a_deleted_job_is_cancelled_cleaned_settled_and_let_go() {
    let mut world = working(60);
    world.is_deleted = true;
    let acts = plan(&world).acts;
    assert!(
        matches!(&acts[..], [Act::Cancel { phase: Phase::Cancelled, reason, .. }] if reason == "Deleted"),
        "{acts:?}"
    );
    world.end = Some(End::Failed { reason: "cancelled".to_owned(), message: String::new() });
    assert_eq!(plan(&world).acts, [Act::DeletePool]);
    world.pool = None;
    assert!(matches!(plan(&world).acts[..], [Act::Settle { .. }]));
    world.status.reserved_micro_usd = None;
    assert_eq!(plan(&world).acts, [Act::DropFinalizer]);
    world.has_finalizer = false;
    assert_eq!(plan(&world).acts, []);
}

#[test]
fn what_stands_in_the_way_is_told_until_it_does_no_more() {
    let mut world = working(60);
    let before = plan(&world).status;
    world.status = stalled(&before, world.now, "QueueUnavailable", "no answer");
    let told = world.status.condition("Stalled").unwrap();
    assert_eq!((told.status.as_str(), told.reason.as_str()), ("True", "QueueUnavailable"));
    let message = "the operator cannot go on with it, and tries again: no answer";
    assert_eq!((told.message.as_str(), world.status.message.as_deref()), (message, Some(message)));
    let since = told.last_transition_time.clone();
    let later = stalled(&world.status, world.now + SignedDuration::from_secs(9), "QueueUnavailable", "none");
    assert_eq!(later.condition("Stalled").unwrap().last_transition_time, since);
    assert_eq!(plan(&world).status, before, "nothing of it stays");
    // What an ended job came to stays its message.
    let ended = JobStatus { phase: Phase::Succeeded, ..before.clone() };
    assert_eq!(stalled(&ended, world.now, "StoreUnavailable", "no answer").message, before.message);
}
