//! What a job may cost, and what becomes of it when money runs short.

use blockgrid_job::quote::Estimate;
use blockgrid_job::status::Phase;
use proptest::prelude::*;

use super::held;
use super::sentences::{asks, begun, big, ends, lacks, said, small, working, world};
use crate::costs::Costs;
use crate::plan::{Act, plan};
use crate::world::{End, Planned, Planning, Pool, Purpose, World};

const S3: Costs =
    Costs { fixed_monthly_usd: 0.0, micro_usd_a_1000_reads: 400, micro_usd_a_1000_writes: 5000 };

#[test]
fn what_is_held_has_room_for_requests_to_the_store() {
    let mut world = world(big());
    assert_eq!(
        plan(&world).acts,
        [Act::Reserve { purpose: Purpose::Begin, micro_usd: 40_000, wish: 40_000 }]
    );
    world.rates.costs = S3;
    assert_eq!(
        plan(&world).acts,
        [Act::Reserve {
            purpose: Purpose::Begin,
            micro_usd: 40_000 + S3.requests_of_a_job(100),
            wish: 40_000 + S3.requests_of_a_job(100)
        }]
    );
    world.asked = asks(|asked| asked.max_cost = Some(35_000));
    assert_eq!(
        plan(&world).acts,
        [Act::Reserve { purpose: Purpose::Begin, micro_usd: 35_000, wish: 35_000 }]
    );
    world.asked = asks(|_| {});
    world.planning = Planning::Done(Planned { trace_units: 20, ..big() });
    let most = 40_000 + S3.requests_of_a_job(120);
    assert_eq!(
        plan(&world).acts,
        [Act::Reserve { purpose: Purpose::Begin, micro_usd: most, wish: most }],
        "traces are units too"
    );
}

/// A worker of two vCPUs costs $0.0022 in the 110 seconds of stopping.
#[test]
fn a_small_pool_is_held_what_one_worker_takes() {
    let mut world = world(Planned { micros: Estimate { low: 1, mid: 2, high: 3 }, ..big() });
    assert_eq!(plan(&world).acts, [Act::Reserve { purpose: Purpose::Begin, micro_usd: 4_400, wish: 4_400 }]);
    world.asked = asks(|asked| asked.max_cost = Some(1_000));
    assert_eq!(plan(&world).acts, [Act::Reserve { purpose: Purpose::Begin, micro_usd: 1_000, wish: 1_000 }]);
    world.planning = Planning::Done(Planned { micros: Estimate { low: 1, mid: 2, high: 3 }, ..small() });
    assert_eq!(
        plan(&world).acts,
        [Act::Reserve { purpose: Purpose::Begin, micro_usd: 1, wish: 1 }],
        "the lane's workers are there"
    );
}

#[test]
fn requests_are_settled_with_the_rest_and_told() {
    let mut world = world(big());
    world.status.phase = Phase::Succeeded;
    world.status.reserved_micro_usd = Some(40_000);
    world.status.spent_micro_usd = Some(30_000);
    world.end = Some(End::Done {
        partly: false,
        micro_usd: 20_000,
        requests_micro_usd: 63,
        best: None,
        record: "k".to_owned(),
        sha256: "0".repeat(64),
        location: "s3://grid/jobs/1".to_owned(),
    });
    let settle = Act::Settle { micro_usd: 30_063, requests_micro_usd: 63 };
    assert_eq!(plan(&world).acts, [settle], "pods cost more than the record says, and requests come on top");
    world.status.reserved_micro_usd = None;
    world.status.spent_micro_usd = Some(30_063);
    assert_eq!(plan(&world).status.cost.as_deref(), Some("$0.0301"));
}

#[test]
fn while_the_workers_of_a_job_that_is_done_go_its_cost_has_its_requests() {
    let mut world = working(600);
    world.status.phase = Phase::Succeeded;
    world.end = Some(End::Done {
        partly: false,
        micro_usd: 0,
        requests_micro_usd: 1_000,
        best: None,
        record: "k".to_owned(),
        sha256: "0".repeat(64),
        location: "s3://grid/jobs/1".to_owned(),
    });
    world.pool.as_mut().unwrap().micros = 3_000_000_000;
    let status = plan(&world).status;
    assert_eq!((status.spent_micro_usd, status.cost.as_deref()), (Some(30_000), Some("$0.0310")));
}

/// So many at work, and so many on their way out, which the Job counts no more.
fn of(world: &mut World, wanted: u32, going: u32) {
    let pool = world.pool.as_mut().unwrap();
    (pool.wanted, pool.active, pool.going) = (wanted, i32::try_from(wanted).unwrap(), going);
}

/// Their stop may cost $0.0022, and they have not stopped yet.
#[test]
fn who_goes_on_within_its_most_waits_until_others_have_stopped() {
    let mut world = working(600);
    world.status = plan(&world).status;
    world.asked = asks(|asked| asked.max_cost = Some(8000));
    let pool = world.pool.as_mut().unwrap();
    *pool = Pool { wanted: 1, is_suspended: true, going: 1, micros: 450_000_000, ..Pool::default() };
    let (phase, ..) = said(&world);
    let status = plan(&world).status;
    assert_eq!((phase, lacks(&world, "WorkersReady").0.as_str()), (Phase::Queued, "Stopping"));
    let message = status.message.unwrap();
    assert!(message.ends_with("none is started: compute.maxCostUsd is $0.008000"), "{message}");
    assert!(status.resting_since.is_some(), "its deadline does not count meanwhile");
    world.pool.as_mut().unwrap().going = 0;
    assert_eq!(plan(&world).acts, [Act::ScalePool { workers: 1 }], "they took less");
    world.pool.as_mut().unwrap().micros = 600_000_000;
    assert_eq!(ends(world).1, "MaxCostReached", "they took more");
}

/// Eight workers of two vCPUs cost $0.0022 each in the 110 seconds of stopping.
#[test]
fn where_no_more_can_be_held_as_many_workers_go_on_as_are_paid_for() {
    let mut world = working(600);
    world.pool.as_mut().unwrap().micros = 1_900_000_000;
    assert_eq!(
        plan(&world).acts,
        [Act::Reserve {
            purpose: Purpose::GoOn,
            micro_usd: 19_000 + 12 * 2200,
            wish: 2 * (19_000 + 12 * 2200)
        }],
        "it asks for more first, so that all have half as much to work with as they take to stop"
    );
    world.held = Some(held("WaitingForBudget", "the budget is empty".to_owned(), false));
    assert_eq!(
        plan(&world).acts,
        [Act::ScalePool { workers: 3 }],
        "19,000 and 17,600 leave 3 halves of 2,200"
    );
    // Those that go are still there for a while.
    world.pool.as_mut().unwrap().wanted = 3;
    assert_eq!(said(&world).0, Phase::Running, "nobody knows yet that they go");
    of(&mut world, 3, 5);
    assert_eq!(said(&world).0, Phase::Running);
    world.pool.as_mut().unwrap().micros = 2_100_000_000;
    assert_eq!(plan(&world).acts, [Act::ScalePool { workers: 1 }]);
    of(&mut world, 1, 7);
    assert_eq!(said(&world).0, Phase::Running, "the last one works until its own stop is not paid");
    let mut sooner = world.clone();
    of(&mut sooner, 1, 2);
    sooner.pool.as_mut().unwrap().micros = 3_300_000_000;
    assert_eq!(said(&sooner).0, Phase::Running, "others took less");
    world.pool.as_mut().unwrap().micros = 2_300_000_000;
    let (phase, reason, message) = ends(world.clone());
    assert_eq!((phase, reason.as_str()), (Phase::BudgetExceeded, "OutOfBudget"));
    let numbers = "it has cost about $0.0230, its end may cost $0.0176 (workers until they have stopped, and requests to the store), and no more than $0.0400 can be held for it";
    let rest = "what is left of it may cost some $0.2070 more";
    assert_eq!(message, format!("{numbers}: the budget is empty; {rest}"), "it waits no more");
    // Where nobody looked for long.
    of(&mut world, 8, 0);
    world.pool.as_mut().unwrap().micros = 3_000_000_000;
    assert_eq!(plan(&world).acts, [Act::ScalePool { workers: 1 }]);
}

/// With all of them at work before more is held, their stopping alone could cost more than there is.
#[test]
fn a_pool_begins_and_goes_on_with_no_more_workers_than_are_held_for() {
    for rests in [false, true] {
        let mut world = working(600);
        match rests {
            true => {
                let pool = world.pool.as_mut().unwrap();
                (pool.is_suspended, pool.active, pool.ready) = (true, 0, 0);
            }
            false => world.pool = None,
        }
        world.status.reserved_micro_usd = Some(10_000);
        let asks = Act::Reserve { purpose: Purpose::Grow, micro_usd: 3 * 4400, wish: 8 * 4400 };
        assert_eq!(
            plan(&world).acts,
            vec![asks.clone()],
            "what is held pays for two: more is asked for first"
        );
        world.held = Some(held("WaitingForBudget", "it is empty".to_owned(), false));
        assert_eq!(plan(&world).acts, with(&world, 2));
        world.held = None;
        world.status.reserved_micro_usd = Some(40_000);
        assert_eq!(plan(&world).acts, with(&world, 8));
        // The rest comes when it is held.
        let mut begun = working(600);
        begun.pool.as_mut().unwrap().wanted = 2;
        begun.status.reserved_micro_usd = Some(10_000);
        assert_eq!(plan(&begun).acts, [asks]);
        // What it has cost counts, and one that can work for a while does.
        world.status.reserved_micro_usd = Some(5_500);
        world.status.spent_micro_usd = Some(2_200);
        world.held = Some(held("WaitingForBudget", "it is empty".to_owned(), false));
        assert_eq!(plan(&world).acts, with(&world, 1));
        // It was in the lane, or rested with little left: one would be ended a moment after it goes on.
        world.held = None;
        world.status.reserved_micro_usd = Some(5_499);
        let one = 2_200 + 4_400;
        assert_eq!(plan(&world).acts, [Act::Reserve { purpose: Purpose::Begin, micro_usd: one, wish: one }]);
        world.held = Some(held("WaitingForBudget", "it is empty".to_owned(), false));
        let (phase, _, message) = said(&world);
        assert_eq!((phase, message.as_str()), (Phase::Queued, "it is empty"));
    }
}

/// It would wait in its queue again with each of them.
#[test]
fn what_kueue_has_let_in_is_not_made_smaller_for_money() {
    let mut world = working(600);
    {
        let pool = world.pool.as_mut().unwrap();
        (pool.is_kueues, pool.micros) = (true, 2_200_000_000);
    }
    world.held = Some(held("WaitingForBudget", "it is empty".to_owned(), false));
    assert_eq!(said(&world).0, Phase::Running);
    world.pool.as_mut().unwrap().micros = 2_300_000_000;
    let (phase, reason, _) = ends(world);
    assert_eq!((phase, reason.as_str()), (Phase::BudgetExceeded, "OutOfBudget"));
}

/// How workers come to a job that has a pool, and to one that has none.
fn with(world: &World, workers: u32) -> Vec<Act> {
    match world.pool {
        Some(_) => vec![Act::ScalePool { workers }],
        None => vec![Act::Enqueue { in_lane: false }, Act::CreatePool { workers }],
    }
}

/// A worker costs $0.0022 in 110 seconds; a new one should be able to work as long as it takes to stop.
#[test]
fn workers_come_back_when_there_is_money_again() {
    let mut world = working(600);
    {
        let pool = world.pool.as_mut().unwrap();
        (pool.wanted, pool.ready, pool.active, pool.micros) = (2, 2, 2, 2_000_000_000);
    }
    world.held = Some(held("WaitingForBudget", "it is empty".to_owned(), false));
    assert_eq!(said(&world).0, Phase::Running, "as few as there is money for");
    world.held = None;
    // 20,000 were spent of 40,000: four workers are paid for.
    assert_eq!(plan(&world).acts, [Act::ScalePool { workers: 4 }]);
    world.pool.as_mut().unwrap().wanted = 4;
    assert_eq!(
        plan(&world).acts,
        [Act::Reserve { purpose: Purpose::Grow, micro_usd: 20_000 + 5 * 4400, wish: 20_000 + 8 * 4400 }]
    );
    world.status.reserved_micro_usd = Some(20_000 + 7 * 4400);
    assert_eq!(plan(&world).acts, [Act::ScalePool { workers: 7 }], "as far as it reaches");
    world.pool.as_mut().unwrap().wanted = 7;
    // What is left to do is enough for three, and keeps five at work until it is done.
    world.done = Some(90);
    assert_eq!(said(&world).0, Phase::Running);
}

#[test]
fn workers_come_back_within_what_the_job_may_cost() {
    let mut world = working(600);
    {
        let pool = world.pool.as_mut().unwrap();
        (pool.wanted, pool.ready, pool.active, pool.micros) = (2, 2, 2, 2_000_000_000);
    }
    world.asked = asks(|asked| asked.max_cost = Some(33_199));
    world.status.reserved_micro_usd = Some(33_199);
    assert_eq!(said(&world).0, Phase::Running, "a third would have a bit less than it costs");
    world.asked = asks(|asked| (asked.max_cost, asked.max_workers) = (Some(33_300), 9));
    assert_eq!(plan(&world).acts, [Act::Reserve { purpose: Purpose::Grow, micro_usd: 33_200, wish: 33_200 }]);
    world.status.reserved_micro_usd = Some(33_200);
    assert_eq!(plan(&world).acts, [Act::ScalePool { workers: 3 }]);
}

#[test]
fn workers_come_when_more_may_be_there() {
    let mut world = working(600);
    world.status.reserved_micro_usd = Some(400_000);
    assert_eq!(said(&world).0, Phase::Running);
    world.asked = asks(|asked| asked.max_workers = 12);
    assert_eq!(plan(&world).acts, [Act::ScalePool { workers: 12 }]);
    world.pool.as_mut().unwrap().is_kueues = true;
    assert_eq!(said(&world).0, Phase::Running, "it would leave its queue and wait again");
}

#[test]
fn who_was_refused_more_than_it_needs_asks_for_what_it_needs() {
    let mut world = working(600);
    world.pool.as_mut().unwrap().micros = 1_900_000_000;
    let refused = |asked_micro_usd| {
        let held = held("WaitingForBudget", "it is empty".to_owned(), false);
        Some(crate::world::Held { asked_micro_usd, ..held })
    };
    world.held = refused(45_401);
    assert_eq!(plan(&world).acts, [Act::Reserve { purpose: Purpose::GoOn, micro_usd: 45_400, wish: 90_800 }]);
    world.held = refused(45_400);
    assert_eq!(plan(&world).acts, [Act::ScalePool { workers: 3 }]);
}

#[test]
fn a_budget_that_drains_lets_workers_rest_and_ends_nobody() {
    let mut world = working(600);
    world.pool.as_mut().unwrap().micros = 3_900_000_000;
    world.held = Some(held("BudgetSpent", "it is spent".to_owned(), true));
    assert_eq!(plan(&world).acts, [Act::SuspendPool]);
    world.held = None;
    world.asked = asks(|asked| asked.suspend = true);
    assert_eq!(plan(&world).acts, [Act::SuspendPool]);
}

#[test]
fn workers_that_somebody_removed_are_made_anew_though_no_more_can_be_held() {
    let mut world = working(600);
    world.pool = None;
    world.held = Some(held("WaitingForBudget", "it is empty".to_owned(), false));
    assert_eq!(plan(&world).acts, [Act::Enqueue { in_lane: false }, Act::CreatePool { workers: 8 }]);
}

/// With what they cost until they have stopped, 39,950 of 40,000.
#[test]
fn requests_count_against_what_is_held() {
    let mut world = working(600);
    world.pool.as_mut().unwrap().micros = 1_355_000_000;
    assert_eq!(said(&world).0, Phase::Running);
    world.rates.costs = S3;
    let ahead = 39_950 + S3.requests_of_shards(10) + S3.requests_of_a_job(0);
    assert_eq!(
        plan(&world).acts,
        [Act::Reserve { purpose: Purpose::GoOn, micro_usd: ahead, wish: 2 * ahead }]
    );
}

#[test]
fn a_job_that_costs_more_than_it_may_is_refused_with_the_numbers() {
    let mut small = world(small());
    let mut world = world(big());
    world.asked = asks(|asked| asked.max_cost = Some(9_999));
    let (phase, reason, message) = ends(world.clone());
    assert_eq!((phase, reason.as_str()), (Phase::Failed, "QuoteAboveMaxCost"));
    assert!(
        message.starts_with(
            "it would cost $0.0100 to $0.0400 with its requests to the store, and takes a compute.maxCostUsd of at least $0.0123, but that is $0.00"
        ),
        "{message}"
    );
    // What one worker takes to stop is kept for it from the start: with less it would be stopped just before its end.
    let stops = 2_200 + world.rates.costs.requests_of_a_job(0);
    world.asked = asks(|asked| asked.max_cost = Some(10_000 + stops));
    assert_eq!(ends(world.clone()).1, "QuoteAboveMaxCost");
    world.asked = asks(|asked| asked.max_cost = Some(10_000 + stops + 1));
    assert!(matches!(plan(&world).acts[..], [Act::Reserve { .. }]));
    // Nothing stops what the lane has begun.
    small.asked = asks(|asked| asked.max_cost = Some(39_999));
    assert_eq!(ends(small.clone()).1, "QuoteAboveMaxCost");
    small.asked = asks(|asked| asked.max_cost = Some(40_000));
    assert_eq!(
        plan(&small).acts,
        [Act::Reserve { purpose: Purpose::Begin, micro_usd: 40_000, wish: 40_000 }]
    );
}

/// What is left of a job's most pays for fewer and fewer workers, those included that are on their way out.
#[test]
fn workers_go_before_a_job_passes_its_most() {
    let mut world = working(600);
    // Eight workers cost $0.0176 until they have stopped.
    world.asked = asks(|asked| asked.max_cost = Some(40_000));
    world.pool.as_mut().unwrap().micros = 1_800_000_000;
    assert_eq!(plan(&world).acts, [Act::ScalePool { workers: 4 }]);
    let mut queued = world.clone();
    {
        let pool = queued.pool.as_mut().unwrap();
        (pool.is_kueues, pool.micros) = (true, 2_300_000_000);
    }
    assert_eq!(ends(queued).1, "MaxCostReached", "it would wait in its queue again");
    world.pool.as_mut().unwrap().wanted = 4;
    assert_eq!(said(&world).0, Phase::Running, "the same look asks for no more");
    // Those that are on their way cost until they are gone; the Job counts them no more.
    of(&mut world, 4, 4);
    assert_eq!(said(&world).0, Phase::Running);
    world.pool.as_mut().unwrap().micros = 2_050_000_000;
    assert_eq!(plan(&world).acts, [Act::ScalePool { workers: 1 }]);
    of(&mut world, 1, 7);
    assert_eq!(
        said(&world).0,
        Phase::Running,
        "the last one works until they are gone, and none comes back before"
    );
    of(&mut world, 2, 0);
    world.pool.as_mut().unwrap().micros = 3_500_000_000;
    assert_eq!(plan(&world).acts, [Act::ScalePool { workers: 1 }]);
    let pool = world.pool.as_mut().unwrap();
    (pool.wanted, pool.active, pool.micros) = (1, 1, 3_800_000_000);
    assert_eq!(ends(world.clone()).1, "MaxCostReached");
    // What rests is not woken by it.
    let pool = world.pool.as_mut().unwrap();
    (pool.wanted, pool.active, pool.micros, pool.is_suspended) = (4, 4, 3_300_000_000, true);
    world.asked = asks(|asked| (asked.max_cost, asked.suspend) = (Some(40_000), true));
    assert_eq!(said(&world).0, Phase::Suspended);
    // And wakes with as many as are paid for.
    of(&mut world, 4, 0);
    world.pool.as_mut().unwrap().active = 0;
    world.asked = asks(|asked| asked.max_cost = Some(40_000));
    assert_eq!(plan(&world).acts, [Act::ScalePool { workers: 1 }]);
    world.pool.as_mut().unwrap().micros = 3_800_000_000;
    assert_eq!(ends(world).1, "MaxCostReached");
}

proptest! {
    /// A job that is let in comes to the low end of its quote, whatever its most, and however long its workers take to
    /// stop; and what it costs to its end is not more than its most and what one worker takes to stop.
    #[test]
    fn a_job_that_is_let_in_is_not_stopped_before_its_low_end(
        low in 1_000_u64..50_000, more in 0_u64..40_000, stopping in 0_i64..=18, shards in 10_u64..1_000,
    ) {
        let micros = Estimate { low, mid: 2 * low, high: 4 * low }.map(|usd| usd * 100_000);
        let planned = Planned { micros, shards, trials: 1_000, ..big() };
        let mut world = begun(planned, 0);
        let least = crate::plan::pools::least_to_end(&world.rates, low);
        let most = least + more;
        world.asked = asks(|asked| (asked.max_cost, asked.max_workers, asked.deadline_seconds) = (Some(most), 64, i64::MAX));
        world.status.reserved_micro_usd = Some(most);
        let [Act::Enqueue { .. }, Act::CreatePool { workers }] = plan(&world).acts[..] else { panic!("{most}") };
        let (mut wanted, mut going, mut micros) = (workers, Vec::new(), 0_u64);
        let each = |count: usize| u64::try_from(count).unwrap() * 2 * 5_000_000;
        for _ in 0..1_000_000 {
            let active = wanted as usize + going.len();
            micros += each(active);
            going.retain_mut(|left: &mut i64| {
                *left -= 1;
                *left > 0
            });
            // As a Job counts: those on their way out are not active.
            let (active, gone) = (i32::try_from(wanted).unwrap(), u32::try_from(going.len()).unwrap());
            let (ready, since) = (active, Some(world.now));
            world.pool = Some(Pool { wanted, ready, active, going: gone, since, micros, ..Pool::default() });
            match &plan(&world).acts[..] {
                [] => {}
                [Act::ScalePool { workers }] => {
                    let fewer = wanted.saturating_sub(*workers) as usize;
                    going.extend(std::iter::repeat_n(stopping, fewer));
                    wanted = *workers;
                }
                [Act::Cancel { reason, .. }] => {
                    let spent = world.rates.price.micro_usd(micros.into());
                    prop_assert_eq!(reason, "MaxCostReached");
                    prop_assert!(spent >= low, "{} of {} at most {}", spent, low, most);
                    let rest: i64 = going.iter().sum::<i64>() + i64::from(wanted) * stopping;
                    let whole = spent + world.rates.price.micro_usd(u128::from(each(1)) * u128::try_from(rest).unwrap());
                    prop_assert!(whole <= most + 2_200, "{} at most {}", whole, most);
                    return Ok(());
                }
                others => panic!("{others:?}"),
            }
        }
        prop_assert!(false, "it never ended");
    }
}
