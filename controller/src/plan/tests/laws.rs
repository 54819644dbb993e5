//! What holds whatever happens.

use blockgrid_job::status::Phase;
use proptest::prelude::*;

use super::events::{Event, event, kind};
use super::model::{Model, PLENTY, STOPPING};
use super::sentences::offered;

/// Micro-USD that so many millionths of vCPU-seconds cost.
fn price(micros: u64) -> u64 {
    offered().price.micro_usd(micros.into())
}

impl Model {
    /// All goes well from now on.
    fn goes_well(&mut self) {
        self.no_rights = false;
        self.queue_is_away = false;
        self.happens(&Event::Money { left: PLENTY, drain: false });
        self.happens(&Event::Suspend(false));
        self.die_after = None;
        for _ in 0..40 {
            self.look();
            if self.is_gone || (self.status.phase.is_terminal() && self.holds.is_none()) {
                break;
            }
            self.happens(&Event::PlanDone);
            self.happens(&Event::PodsReady);
            self.happens(&Event::Shards(100));
            if self.status.lane.is_some() && self.pool.as_ref().is_none_or(|pool| pool.ready > 0) {
                self.happens(&Event::Finish { partly: false });
            }
            // A foreground deletion.
            if self.pool.as_ref().is_some_and(|pool| pool.is_deleted) {
                self.pool = None;
            }
            self.happens(&Event::Time(11));
        }
        if !self.is_gone {
            let status = &self.status;
            assert!(status.phase.is_terminal(), "{status:#?}");
            let is = |kind: &str| status.condition(kind).unwrap().status == "True";
            assert!(is("Finished") && is("Succeeded") != is("Failed"), "{status:#?}");
            assert_eq!(is("Succeeded"), status.phase.has_results());
            assert!(self.pool.is_none() && self.holds.is_none() && status.reserved_micro_usd.is_none());
            assert_eq!(self.ledger, status.spent_micro_usd.filter(|_| self.ledger.is_some()));
            assert!(status.observed_generation == Some(self.generation), "{status:#?}");
        }
        self.happens(&Event::Delete);
        for _ in 0..6 {
            self.look();
            if self.pool.as_ref().is_some_and(|pool| pool.is_deleted) {
                self.pool = None;
            }
        }
        assert!(self.is_gone && self.holds.is_none() && self.pool.is_none());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    /// Whatever happens: nothing is asked for twice, nothing runs that may not, phases go forward, the last one stays,
    /// and in the end every job has ended, costs nothing more, and goes when it is deleted.
    #[test]
    fn every_job_comes_to_its_end(kind in kind(), events in prop::collection::vec(event(), 0..40)) {
        let mut model = Model::new(kind);
        model.look();
        for event in &events {
            model.happens(event);
            // It dies of what the next event gives it to do.
            if !matches!(event, Event::DieAfter(_)) {
                model.look();
            }
        }
        model.goes_well();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// Second by second, with what a budget has left at the start: a job asks for money seldom, its pool is changed seldom,
    /// and when its workers have taken all of their time to stop it has cost no more than was held, but for the seconds
    /// between looks.
    #[test]
    fn little_money_is_neither_passed_nor_asked_for_all_the_time(
        kind in kind(),
        left in 1_u64..100_000,
        rests in prop::option::of(4_usize..200),
        most in prop::option::of(4_400_u64..60_000),
        lag in 0_u64..4,
    ) {
        let mut kind = kind;
        if let Ok(asked) = &mut kind.asked {
            asked.max_cost = most;
        }
        let mut model = Model::new(kind);
        model.lag = lag;
        model.happens(&Event::Money { left, drain: false });
        model.happens(&Event::Suspend(false));
        let (mut cost, mut held, mut workers, mut going) = (0, 0, 0, 0);
        for second in 0..400_usize {
            if let Some(every) = rests
                && second % every == 0
            {
                model.happens(&Event::Suspend(second / every % 2 == 1));
            }
            if second % 60 == 59 {
                // The first of the line are told to ask again.
                model.held = None;
            }
            model.look();
            held = held.max(model.holds.unwrap_or(0));
            model.happens(&Event::PlanDone);
            model.happens(&Event::PodsReady);
            model.happens(&Event::Time(1));
            if let Some(pool) = &mut model.pool {
                workers = workers.max(pool.wanted);
                going = going.max(pool.going);
                if pool.is_deleted {
                    let stopping = u64::try_from(pool.active).unwrap() * STOPPING + model.going.iter().sum::<u64>();
                    pool.micros += stopping * 2_000_000;
                }
                cost = price(pool.micros);
                if pool.is_deleted {
                    model.pool = None;
                }
            }
        }
        // It is found out, its end is said, and its workers are told to go.
        let looks = price((3 + lag) * u64::from(workers) * 2_000_000) + 1;
        // With a worker's way to its end paid, and half of that to work, nobody waits for money that others may never give
        // back.
        let stops = 1 + model.going.len() as u64;
        let one = price((stops * STOPPING + STOPPING / 2 + 1) * 2_000_000) + looks;
        let waits = model.status.phase == Phase::Queued && !model.kind.is_kueues;
        prop_assert!(!waits || model.holds.unwrap_or(0) < cost + one, "{:#?}", model.status);
        // And once with each time that it is let go on.
        let goes_on = rests.map_or(0, |every| 200 / every);
        prop_assert!(model.asked <= 48 + goes_on, "asked {} times", model.asked);
        prop_assert!(model.scaled <= 2 * workers as usize + 4 + rests.map_or(0, |every| 400 / every), "scaled {} times", model.scaled);
        // One that has cost less than half of its own most is let go on.
        let half = most.map_or(0, |most| most / 2 + price(u64::from(1 + going) * STOPPING * 2_000_000));
        prop_assert!(cost <= held.max(half) + looks, "{cost} of {held}, at most {most:?}");
    }
}
