//! Workers and planners that do not come, or die: as sentences.

use blockgrid_job::status::Phase;

use super::sentences::{ago, asks, begun, big, ends, lacks, said, small, working, world};
use crate::plan::say::written;
use crate::plan::{Act, plan};
use crate::world::{PlannerPod, Planning, Pool, Trouble};

#[test]
fn pods_whose_nodes_are_gone_are_let_go_before_anything_else() {
    let mut world = working(60);
    world.pool.as_mut().unwrap().stuck = vec!["bt-1-0".to_owned()];
    let release = [Act::Release { pods: vec!["bt-1-0".to_owned()] }];
    assert_eq!(plan(&world).acts, release);
    world.pool.as_mut().unwrap().is_deleted = true;
    (world.is_deleted, world.status.phase) = (true, Phase::Cancelled);
    assert_eq!(plan(&world).acts, release, "its cost cannot be settled before");
}

#[test]
fn workers_that_had_not_enough_memory_are_told() {
    let mut world = working(60);
    {
        let pool = world.pool.as_mut().unwrap();
        let message = "bt-1-0 was killed".to_owned();
        (pool.wanted, pool.ready, pool.trouble) =
            (1, 0, Some(Trouble { reason: "OOMKilled".to_owned(), message }));
    }
    world.done = Some(100);
    let (phase, _, message) = said(&world);
    assert_eq!(
        (phase, message.as_str()),
        (Phase::Finishing, "no worker is there to finish it: OOMKilled: bt-1-0 was killed")
    );
    let pool = world.pool.as_mut().unwrap();
    (pool.failed, pool.active) = (8, 0);
    assert!(ends(world).2.ends_with("again and again: OOMKilled: bt-1-0 was killed"));
}

#[test]
fn a_pool_that_kubernetes_gave_up_makes_way_for_another() {
    let mut world = working(60);
    let pool = world.pool.as_mut().unwrap();
    (pool.is_given_up, pool.active, pool.ready) = (true, 0, 0);
    assert_eq!(plan(&world).acts, [Act::DeletePool]);
    world.pool.as_mut().unwrap().is_deleted = true;
    assert_eq!(said(&world).0, Phase::Running);
    world.pool = None;
    assert_eq!(plan(&world).acts.last(), Some(&Act::CreatePool { workers: 8 }));
    let mut worn = working(60);
    let pool = worn.pool.as_mut().unwrap();
    (pool.is_given_up, pool.active, pool.ready, pool.failed) = (true, 0, 0, 8);
    assert!(ends(worn.clone()).2.contains("failed again and again"), "none of them is any good");
    worn.has_progressed = true;
    assert_eq!(plan(&worn).acts, [Act::DeletePool], "they were some");
}

/// Of fewer workers Kubernetes keeps the indexes that come first.
#[test]
fn a_pool_of_which_an_index_failed_for_good_is_not_made_smaller() {
    let mut world = working(60);
    world.done = Some(99);
    assert_eq!(plan(&world).acts, [Act::ScalePool { workers: 1 }]);
    world.pool.as_mut().unwrap().failed = 1;
    assert_eq!(said(&world).0, Phase::Running);
}

/// Probes fail for a moment where a node has much to do.
#[test]
fn workers_that_were_ready_have_their_time_anew() {
    let mut world = working(700);
    world.done = Some(0);
    world.status = plan(&world).status;
    let pool = world.pool.as_mut().unwrap();
    pool.ready = 0;
    assert_eq!(said(&world).0, Phase::Running);
    world.status = plan(&world).status;
    world.now = ago(&world, -599);
    assert_eq!(said(&world).0, Phase::Running);
    world.now = ago(&world, -1);
    assert_eq!(ends(world).1, "WorkersNotStarted");
}

#[test]
fn workers_rest_while_the_store_is_away() {
    let mut world = working(60);
    let message = "the object store does not answer since 12:00:00 UTC: refused".to_owned();
    world.store_fails = Some(Trouble { reason: "StoreUnavailable".to_owned(), message });
    world.done = None;
    for cancel in [false, true] {
        world.asked = asks(|asked| asked.cancel = cancel);
        assert_eq!(plan(&world).acts, [Act::SuspendPool], "also of one that ends when it answers");
    }
    world.asked = asks(|_| ());
    world.pool.as_mut().unwrap().is_suspended = true;
    assert_eq!(said(&world).0, Phase::Queued);
    let status = plan(&world).status;
    assert_eq!(status.condition("Stalled").unwrap().reason, "StoreUnavailable");
    assert!(status.resting_since.is_some() && status.message.unwrap().contains("until it does"));
    world.store_fails = None;
    let pool = world.pool.as_mut().unwrap();
    (pool.active, pool.ready) = (0, 0);
    assert_eq!(plan(&world).acts, [Act::ScalePool { workers: 8 }]);
}

#[test]
fn a_deadline_that_is_raised_is_raised_for_the_pool() {
    let mut world = working(60);
    world.pool.as_mut().unwrap().active_seconds = Some(10_800);
    assert_eq!(said(&world).0, Phase::Running);
    world.asked = asks(|asked| asked.deadline_seconds = 7300);
    assert_eq!(plan(&world).acts, [Act::ScalePool { workers: 8 }]);
    world.asked = asks(|asked| asked.deadline_seconds = 70);
    assert_eq!(said(&world).0, Phase::Running, "that one the operator keeps");
}

#[test]
fn a_pod_that_plans_and_cannot_start_is_told_and_given_up() {
    let mut world = world(big());
    world.planning = Planning::Outside;
    let trouble = Trouble { reason: "Unschedulable".to_owned(), message: "no node".to_owned() };
    let planner = |seconds| crate::world::PlannerPod {
        since: Some(ago(&begun(big(), 0), seconds)),
        trouble: Some(trouble.clone()),
        ..Default::default()
    };
    world.planner = Some(planner(599));
    assert_eq!(said(&world).0, Phase::Planning);
    assert_eq!(lacks(&world, "WorkersReady").0, "Unschedulable");
    world.planner = Some(planner(600));
    let (phase, reason, message) = said(&world);
    assert_eq!((phase, reason.as_str()), (Phase::Failed, "PlannerNotStarted"));
    assert!(message.ends_with("within 600 s: Unschedulable: no node"), "{message}");
    world.planner = Some(planner(599));
    world.status = plan(&world).status;
    let started = world.planner.as_mut().unwrap();
    (started.has_started, started.trouble) = (true, None);
    assert_eq!(said(&world).0, Phase::Planning);
    assert_eq!(plan(&world).status.condition("WorkersReady"), None);
}

#[test]
fn a_pod_that_could_not_make_a_plan_goes_before_another_is_made() {
    let mut world = world(big());
    world.planning = Planning::Failing { error: "no bucket".to_owned(), again: world.now };
    world.planner = Some(PlannerPod { has_started: true, ..PlannerPod::default() });
    assert_eq!(plan(&world).acts, [Act::DeletePlanner]);
    world.planner.as_mut().unwrap().is_deleted = true;
    assert_eq!(plan(&world).acts, [Act::Plan]);
    world.planning = Planning::Outside;
    assert!(plan(&world).acts.is_empty(), "its name is taken still");
    let ended = PlannerPod { has_started: true, has_ended: true, ..PlannerPod::default() };
    world.planner = Some(ended.clone());
    assert_eq!(plan(&world).acts, [Act::DeletePlanner], "it answered to somebody else");
    world.planner = Some(PlannerPod { is_deleted: true, ..ended });
    assert!(plan(&world).acts.is_empty(), "its name is taken still");
    world.planner = None;
    assert_eq!(plan(&world).acts, [Act::CreatePlanner]);
}

#[test]
fn a_plan_that_cannot_be_made_is_given_up_in_the_end() {
    let mut world = world(big());
    world.planning = Planning::Failing { error: "no bucket".to_owned(), again: ago(&world, -60) };
    world.created = ago(&world, 7199);
    assert_eq!(said(&world).0, Phase::Planning);
    world.created = ago(&world, 7200);
    let (phase, reason, message) = said(&world);
    assert_eq!((phase, reason.as_str()), (Phase::DeadlineExceeded, "PlanningFailed"));
    assert!(message.ends_with("no bucket"), "{message}");
}

#[test]
fn workers_that_rest_are_not_told_to_compute() {
    let mut world = working(60);
    world.status = plan(&world).status;
    assert_eq!(world.status.condition("WorkersReady").unwrap().status, "True");
    world.pool.as_mut().unwrap().is_suspended = true;
    world.asked = asks(|asked| asked.suspend = true);
    assert_eq!(lacks(&world, "WorkersReady").0, "Suspended");
}

/// Kueue would wake what it has let in, and has what changes wait again.
#[test]
fn workers_of_a_kueue_queue_are_removed_where_others_rest_and_stay_as_many_as_they_are() {
    let mut world = working(60);
    world.pool.as_mut().unwrap().is_kueues = true;
    world.done = Some(99);
    assert_eq!(said(&world).0, Phase::Running);
    world.asked = asks(|asked| asked.suspend = true);
    assert_eq!(plan(&world).acts, [Act::DeletePool]);
    world.pool.as_mut().unwrap().is_suspended = true;
    assert_eq!(plan(&world).acts, [Act::DeletePool], "in the queue, too");
    world.pool.as_mut().unwrap().is_deleted = true;
    assert_eq!(said(&world).0, Phase::Suspended);
    world.pool = None;
    assert_eq!(said(&world).0, Phase::Suspended);
    world.asked = asks(|_| {});
    assert_eq!(plan(&world).acts, [Act::Enqueue { in_lane: false }, Act::CreatePool { workers: 1 }]);
}

#[test]
fn workers_in_a_queue_of_kueue_wait_there_without_being_woken() {
    let mut world = working(5000);
    let pool = world.pool.as_mut().unwrap();
    *pool = Pool { wanted: 8, is_suspended: true, is_kueues: true, ..Pool::default() };
    world.done = Some(0);
    assert_eq!(said(&world).0, Phase::Queued);
    assert_eq!(lacks(&world, "WorkersReady").0, "WaitingInQueue");
}

#[test]
fn workers_that_cannot_ask_the_queue_rest_until_it_answers() {
    let mut world = working(600);
    let message = "the queue does not answer since 10:00:00 UTC: connection refused".to_owned();
    world.queue_fails = Some(Trouble { reason: "QueueUnavailable".to_owned(), message });
    assert_eq!(said(&world).0, Phase::Running, "they can");
    world.pool.as_mut().unwrap().ready = 0;
    assert_eq!(plan(&world).acts, [Act::SuspendPool]);
    let pool = world.pool.as_mut().unwrap();
    (pool.is_suspended, pool.active) = (true, 0);
    let decision = plan(&world);
    assert_eq!((decision.acts.as_slice(), decision.status.phase), (&[][..], Phase::Queued));
    let stalled = decision.status.condition("Stalled").unwrap();
    assert_eq!((stalled.status.as_str(), stalled.reason.as_str()), ("True", "QueueUnavailable"));
    assert!(stalled.message.contains("connection refused; its workers rest"), "{stalled:?}");
    assert!(decision.status.resting_since.is_some(), "the time counts for no deadline");
    world.status = decision.status;
    world.queue_fails = None;
    assert_eq!(plan(&world).acts, [Act::ScalePool { workers: 8 }]);
    // One that has something else to wait for says that.
    world.queue_fails = Some(Trouble { reason: "QueueUnavailable".to_owned(), message: String::new() });
    world.asked = asks(|asked| asked.suspend = true);
    assert_eq!(said(&world).0, Phase::Suspended);
}

#[test]
fn a_lane_without_workers_is_told() {
    let mut world = begun(small(), 601);
    assert_eq!(said(&world).2, "its shards are in the interactive lane");
    world.lane_empty_since = Some(ago(&world, 1));
    assert_eq!(lacks(&world, "WorkersReady").0, "NoWorkers", "it waited in line until now");
    world.lane_empty_since = Some(ago(&world, 600));
    let message = "the queue does not answer".to_owned();
    world.queue_fails = Some(Trouble { reason: "QueueUnavailable".to_owned(), message });
    assert_eq!(said(&world).0, Phase::Running, "none can ask it");
    assert_eq!(plan(&world).status.condition("Stalled").unwrap().message, "the queue does not answer");
    world.queue_fails = None;
    let (phase, reason, message) = ends(world.clone());
    assert_eq!((phase, reason.as_str()), (Phase::Failed, "WorkersNotStarted"));
    assert_eq!(message, "no worker of the interactive lane was ready within 600 s");
    world.status.start_time = Some(written(ago(&world, 599)));
    assert_eq!(said(&world).0, Phase::Running, "one that came later has its whole time");
}
