//! What jobs there are, and what happens to them.

use blockgrid_job::quote::Estimate;
use blockgrid_job::status::Phase;
use proptest::prelude::*;

use super::model::PLENTY;
use super::sentences;
use crate::world::{Asked, Planned, Refused};

/// What happens between two looks.
#[derive(Debug, Clone)]
pub(super) enum Event {
    /// So many seconds pass.
    Time(i64),
    Suspend(bool),
    Cancel,
    Delete,
    /// What the budget has left; with `drain` nobody runs where that is nothing.
    Money {
        left: u64,
        drain: bool,
    },
    /// What is in memory is forgotten.
    Restart,
    /// The operator dies after so many acts of its next look.
    DieAfter(usize),
    /// The plan is made, fails for a while, or is refused.
    PlanDone,
    /// A pod of its own is to make it; it gives up.
    PlanOutside,
    PlannerFails,
    PlanFails,
    PlanRefused,
    PodsReady,
    PodsStuck,
    /// A share of the shards is done.
    Shards(u64),
    /// All is done, if it was ever queued.
    Finish {
        partly: bool,
    },
    Fails,
    WorkersFail,
    NodeDies,
    Misconfigured,
    /// A small job turns out to be too long for the lane.
    TooLong,
    PoolGone,
    NoRights(bool),
    /// The queue answers nobody, or does again.
    Queue {
        is_away: bool,
    },
    Links,
}

pub(super) fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => (0_i64..400).prop_map(Event::Time),
        1 => Just(Event::Time(5000)),
        3 => any::<bool>().prop_map(Event::Suspend),
        1 => Just(Event::Cancel),
        1 => Just(Event::Delete),
        3 => (money(), any::<bool>()).prop_map(|(left, drain)| Event::Money { left, drain }),
        2 => Just(Event::Restart),
        3 => (0_usize..4).prop_map(Event::DieAfter),
        6 => Just(Event::PlanDone),
        2 => Just(Event::PlanOutside),
        1 => Just(Event::PlannerFails),
        1 => Just(Event::PlanFails),
        1 => Just(Event::PlanRefused),
        4 => Just(Event::PodsReady),
        1 => Just(Event::PodsStuck),
        4 => (0_u64..=100).prop_map(Event::Shards),
        2 => any::<bool>().prop_map(|partly| Event::Finish { partly }),
        1 => Just(Event::Fails),
        1 => Just(Event::WorkersFail),
        2 => Just(Event::NodeDies),
        1 => Just(Event::Misconfigured),
        1 => Just(Event::TooLong),
        1 => Just(Event::PoolGone),
        1 => any::<bool>().prop_map(Event::NoRights),
        2 => any::<bool>().prop_map(|is_away| Event::Queue { is_away }),
        1 => Just(Event::Links),
    ]
}

/// What a budget has left.
pub(super) fn money() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0), Just(PLENTY), 1_u64..100_000]
}

/// What the job is.
#[derive(Debug, Clone)]
pub(super) struct Kind {
    pub(super) planned: Planned,
    pub(super) asked: Result<Asked, Refused>,
    pub(super) ttl_seconds: i64,
    pub(super) is_kueues: bool,
    pub(super) noise: String,
}

pub(super) fn kind() -> impl Strategy<Value = Kind> {
    let noise = prop_oneof![
        Just("short".to_owned()),
        Just("\u{0}\n\"".repeat(9000)),
        Just("🦀".repeat(9000)),
        "\\PC{0,40}",
    ];
    let asked = (
        prop::option::of(1_u64..2_000_000),
        10_i64..4000,
        0_i64..500,
        1_u32..9,
        prop::bool::weighted(0.1),
        prop::bool::weighted(0.2),
    );
    (0_u64..200, any::<bool>(), any::<bool>(), asked, prop::bool::weighted(0.1), noise).prop_map(
        |(shards, is_small, is_ours, asked, is_kueues, noise)| {
            let (max_cost, deadline_seconds, ttl_seconds, max_workers, is_bad, suspend) = asked;
            let mid = shards * 1_000_000;
            let planned = Planned {
                shards,
                trials: shards * 10,
                cached: 0,
                micros: Estimate { low: mid / 2, mid, high: mid * 2 },
                trace_units: shards / 10,
                price: None,
                memory: 200 << 20,
                is_small,
                engine: "e1".to_owned(),
                is_ours,
            };
            let asked = Asked {
                suspend,
                cancel: false,
                deadline_seconds,
                start_seconds: 600,
                rest_seconds: 500_000,
                max_workers,
                slots: 2,
                memory: 4 << 30,
                offered: sentences::offered(),
                max_cost,
            };
            let refused = Refused { reason: "InvalidSpec".into(), message: noise.clone() };
            Kind {
                planned,
                asked: if is_bad { Err(refused) } else { Ok(asked) },
                ttl_seconds,
                is_kueues,
                noise,
            }
        },
    )
}

/// Whether a job may be in one phase after another.
pub(super) fn follows(before: Phase, after: Phase, gives_way: bool) -> bool {
    let rank = |phase| match phase {
        Phase::Pending => 0,
        Phase::Planning => 1,
        Phase::Queued => 2,
        Phase::Running => 3,
        Phase::Finishing => 4,
        _ => 5,
    };
    match (before, after) {
        (before, after) if before == after => true,
        (before, _) if before.is_terminal() => false,
        (_, Phase::Suspended) => true,
        (Phase::Suspended, after) => after != Phase::Pending,
        (Phase::Running | Phase::Finishing, Phase::Queued) => gives_way,
        (before, after) => rank(before) < rank(after),
    }
}
