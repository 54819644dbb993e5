//! What ends a job before its time, or does not: memory, deadlines, the most that it may cost.

use blockgrid_job::status::{Phase, ShardCounts};
use jiff::{SignedDuration, Timestamp};

use super::held;
use super::sentences::{asks, begun, big, ends, said, working, world};
use crate::plan::plan;
use crate::plan::say::written;
use crate::world::Trouble;

#[test]
fn a_job_whose_trials_no_worker_of_its_class_can_hold_is_refused() {
    let mut large = big();
    (large.trials, large.memory) = (8_000_000, 6 << 30);
    let (phase, reason, message) = ends(world(large.clone()));
    assert_eq!((phase, reason.as_str()), (Phase::Failed, "ClassTooSmall"));
    assert!(message.starts_with("its 8,000,000 trials take a worker some 6144 MiB"), "{message}");
    assert!(message.contains("has 4096: name a spec.compute.class"), "{message}");
    // What runs, runs: an operator that judges otherwise ends nothing.
    assert_ne!(plan(&begun(large, 60)).status.phase, Phase::Failed);
}

/// The time in which others make it rest is not its own.
#[test]
fn time_in_which_a_job_rests_counts_for_no_deadline() {
    let drained = Some(held("BudgetSpent", "it is spent".to_owned(), true));
    for rests in ["spec.suspend", "drained", "in a queue"] {
        let mut world = working(7000);
        match rests {
            "spec.suspend" => world.asked = asks(|asked| asked.suspend = true),
            "drained" => world.held.clone_from(&drained),
            _ => {}
        }
        let pool = world.pool.as_mut().unwrap();
        (pool.is_suspended, pool.is_kueues) = (true, rests == "in a queue");
        world.status = plan(&world).status;
        assert_eq!(world.status.resting_since, Some(written(world.now)), "{rests}");
        world.now += SignedDuration::from_hours(100);
        let since = world.status.resting_since.clone();
        world.status = plan(&world).status;
        assert!(!world.status.phase.is_terminal() && world.status.resting_since == since, "{rests}");
        world.asked = asks(|_| {});
        world.held = None;
        let pool = world.pool.as_mut().unwrap();
        (pool.is_suspended, pool.since) = (false, Some(world.now));
        world.status = plan(&world).status;
        assert_eq!((world.status.phase, world.status.rested_seconds), (Phase::Running, Some(360_000)));
        assert_eq!(world.status.resting_since, None);
        world.now += SignedDuration::from_secs(199);
        world.status = plan(&world).status;
        assert_eq!(world.status.phase, Phase::Running, "{rests}");
        world.now += SignedDuration::from_secs(1);
        assert_eq!(ends(world).0, Phase::DeadlineExceeded, "{rests}");
    }
}

/// Others could use what is held for a job that does nothing with it; what a budget drains, nobody could.
#[test]
fn a_job_that_does_nothing_for_too_long_gives_its_money_back() {
    for (how, ends_so) in
        [("it is suspended", true), ("its workers wait in their queue", true), ("drained", false)]
    {
        let mut world = working(60);
        match how {
            "it is suspended" => world.asked = asks(|asked| asked.suspend = true),
            "drained" => world.held = Some(held("BudgetSpent", "it is spent".to_owned(), true)),
            _ => {}
        }
        let pool = world.pool.as_mut().unwrap();
        (pool.is_suspended, pool.is_kueues) = (true, how.contains("queue"));
        world.status = plan(&world).status;
        assert_eq!(world.status.idle_since, None, "a worker is ready still");
        world.pool.as_mut().unwrap().ready = 0;
        world.status = plan(&world).status;
        let message = world.status.message.clone().unwrap();
        assert_eq!(message.contains("money is held for it, and it ends"), ends_so, "{message}");
        world.now += SignedDuration::from_secs(499_999);
        world.status = plan(&world).status;
        assert!(!world.status.phase.is_terminal(), "{how}");
        world.now += SignedDuration::from_secs(1);
        if ends_so {
            let (phase, reason, message) = ends(world);
            assert_eq!((phase, reason.as_str()), (Phase::DeadlineExceeded, "RestedTooLong"));
            assert!(message.contains("for 500000 s") && message.ends_with(how), "{message}");
        } else {
            assert!(!plan(&world).status.phase.is_terminal());
        }
    }
}

/// Only work ends idling, not a word: a job that is let go on for a moment is idle still, and one that was drained before it
/// was suspended is idle from then.
#[test]
fn idling_begins_where_nothing_is_drained_and_ends_with_a_worker() {
    let suspends = |suspend: bool| asks(move |asked| asked.suspend = suspend);
    let mut world = working(60);
    let pool = world.pool.as_mut().unwrap();
    (pool.is_suspended, pool.ready, pool.active) = (true, 0, 0);
    world.held = Some(held("BudgetSpent", "it is spent".to_owned(), true));
    world.status = plan(&world).status;
    world.now += SignedDuration::from_secs(700_000);
    (world.held, world.asked) = (None, suspends(true));
    world.status = plan(&world).status;
    let since = world.status.idle_since.clone();
    assert_eq!((world.status.phase, &since), (Phase::Suspended, &Some(written(world.now))));
    for _ in 0..3 {
        world.now += SignedDuration::from_secs(100_000);
        world.asked = suspends(false);
        (world.pool.as_mut().unwrap().is_suspended, world.pool.as_mut().unwrap().since) =
            (false, Some(world.now));
        world.status = plan(&world).status;
        (world.pool.as_mut().unwrap().is_suspended, world.asked) = (true, suspends(true));
        world.status = plan(&world).status;
        assert_eq!(world.status.idle_since, since);
        let end = since.as_deref().and_then(|since| since.parse::<Timestamp>().ok());
        let end = end.map(|since| written(since + SignedDuration::from_secs(500_000)));
        assert_eq!(world.status.idle_deadline, end, "whatever is said meanwhile");
    }
    let mut works = world.clone();
    works.asked = suspends(false);
    (works.pool.as_mut().unwrap().is_suspended, works.pool.as_mut().unwrap().ready) = (false, 1);
    let status = plan(&works).status;
    assert_eq!((status.idle_since, status.idle_deadline), (None, None));
    world.now += SignedDuration::from_secs(200_000);
    // Whoever lets it go on in time has as long for its workers to start as every other.
    let mut starts = world.clone();
    starts.asked = suspends(false);
    (starts.pool.as_mut().unwrap().is_suspended, starts.pool.as_mut().unwrap().since) =
        (false, Some(starts.now));
    starts.now += SignedDuration::from_secs(599);
    assert!(plan(&starts).acts.is_empty());
    starts.now += SignedDuration::from_secs(1);
    assert_eq!(ends(starts).1, "RestedTooLong");
    assert_eq!(ends(world).1, "RestedTooLong");
    // One that was never queued, because something broke before it was.
    let mut early = begun(big(), 60);
    (early.status.start_time, early.asked) = (None, suspends(true));
    early.status = plan(&early).status;
    early.now += SignedDuration::from_secs(500_000);
    assert_eq!(ends(early).1, "RestedTooLong");
}

/// The time that workers may take to start begins when they are refused.
#[test]
fn workers_that_are_refused_have_their_time() {
    let mut world = working(7000);
    world.pool = None;
    world.pool_refused = Some(Trouble { reason: "Forbidden".to_owned(), message: "no quota".to_owned() });
    world.pool_refused_since = Some(world.now - SignedDuration::from_secs(599));
    world.done = None;
    world.status.shards = Some(ShardCounts { total: 300, done: 0 });
    assert_eq!(said(&world).0, Phase::Running);
    world.now += SignedDuration::from_secs(1);
    assert_eq!(ends(world.clone()).1, "WorkersNotStarted");
    // What was computed is not given up for it.
    world.status.shards = Some(ShardCounts { total: 300, done: 1 });
    assert_eq!(said(&world).0, Phase::Running);
}

#[test]
fn a_limit_that_is_lowered_under_a_job_that_runs_is_none_of_its_quotes() {
    let mut world = working(60);
    world.pool.as_mut().unwrap().micros = 1_000_000;
    world.asked = asks(|asked| asked.max_cost = Some(1));
    let (phase, reason, _) = ends(world);
    assert_eq!((phase, reason.as_str()), (Phase::BudgetExceeded, "MaxCostReached"));
}

#[test]
fn a_job_that_is_not_done_in_time_exceeds_its_deadline() {
    let mut world = working(7199);
    assert_eq!(said(&world).0, Phase::Running);
    world.now += SignedDuration::from_secs(1);
    let (phase, reason, message) = ends(world);
    assert_eq!((phase, reason.as_str()), (Phase::DeadlineExceeded, "DeadlineExceeded"));
    assert_eq!(message, "it was not done within 7200 s of its start");
}
