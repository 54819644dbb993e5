//! What holds whatever happens.

use proptest::prelude::*;

use super::events::{Event, event, kind};
use super::model::Model;

impl Model {
    /// All goes well from now on.
    fn goes_well(&mut self) {
        self.no_rights = false;
        self.happens(&Event::Money { is_there: true, drain: false });
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
