//! What happens to a job between two looks.

use jiff::SignedDuration;

use super::events::Event;
use super::model::Model;
use crate::world::{End, Planning, Refused, Trouble};

impl Model {
    pub(super) fn happens(&mut self, event: &Event) {
        let now = self.now;
        let noise = self.kind.noise.clone();
        match event {
            Event::Time(seconds) => {
                self.now += SignedDuration::from_secs(*seconds);
                if let Some(pool) = &mut self.pool {
                    let seconds = seconds.unsigned_abs();
                    // Those that go take all of their time.
                    let going: u64 = self.going.iter().map(|left| seconds.min(*left)).sum();
                    pool.micros += (seconds * u64::try_from(pool.active).unwrap() + going) * 2_000_000;
                    self.going.retain_mut(|left| {
                        *left = left.saturating_sub(seconds);
                        *left > 0
                    });
                    pool.going = u32::try_from(self.going.len()).unwrap();
                    if pool.is_kueues && !self.is_deleted && pool.is_suspended {
                        (pool.is_suspended, pool.since) = (false, Some(now));
                    }
                }
                self.passes(seconds.unsigned_abs());
            }
            Event::Suspend(suspend) => {
                if let Ok(asked) = &mut self.kind.asked {
                    asked.suspend = *suspend;
                    self.generation += 1;
                }
            }
            Event::Cancel => {
                if let Ok(asked) = &mut self.kind.asked {
                    asked.cancel = true;
                    self.generation += 1;
                }
            }
            Event::Delete => {
                self.is_deleted = true;
                // Nothing holds it.
                self.is_gone |= !self.has_finalizer;
            }
            Event::Money { left, drain } => {
                // What is held is not spent.
                (self.left, self.drains) = (*left, *drain && *left == 0);
                if *left > 0 {
                    self.held = None;
                }
            }
            Event::Restart => self.restart(),
            Event::DieAfter(acts) => self.die_after = Some(*acts),
            Event::PlanOutside if self.planning == Planning::Working => self.planning = Planning::Outside,
            Event::PlannerFails if self.planning == Planning::Outside => {
                if let Some(planner) = &mut self.planner {
                    planner.failed = Some(noise);
                }
            }
            Event::PlanDone
                if self.planning == Planning::Working
                    || self.planning == Planning::Outside
                        && self.planner.as_ref().is_some_and(|planner| planner.failed.is_none()) =>
            {
                self.committed = true;
                self.planning = Planning::Done(self.kind.planned.clone());
            }
            Event::PlanFails
                if self.planning == Planning::Working
                    || self.planning == Planning::Outside && self.planner.is_some() =>
            {
                self.planning =
                    Planning::Failing { error: noise, again: now + SignedDuration::from_secs(10) };
            }
            Event::PlanRefused if self.planning == Planning::Working && !self.committed => {
                self.planning = Planning::Refused(Refused { reason: "InvalidSpec".into(), message: noise });
            }
            Event::PodsReady => {
                if let Some(pool) = self.pool.as_mut().filter(|pool| !pool.is_suspended && !pool.is_deleted) {
                    // Nobody takes the place of one that is on its way out: `podReplacementPolicy: Failed`.
                    let free = pool.wanted.saturating_sub(pool.going);
                    pool.active = pool.active.max(i32::try_from(free).unwrap());
                    pool.ready = if self.queue_is_away { 0 } else { pool.active };
                    pool.trouble = None;
                }
            }
            Event::Queue { is_away } => {
                self.queue_is_away = *is_away;
                if let Some(pool) = self.pool.as_mut().filter(|_| *is_away) {
                    pool.ready = 0;
                }
            }
            Event::PodsStuck => {
                if let Some(pool) = self.pool.as_mut().filter(|pool| !pool.is_suspended) {
                    (pool.ready, pool.active) = (0, i32::try_from(pool.wanted).unwrap());
                    pool.trouble = Some(Trouble { reason: "!Err Image-Pull".to_owned(), message: noise });
                }
            }
            Event::Shards(percent) if self.queued => {
                self.done = self.done.max(self.kind.planned.shards * percent / 100);
            }
            Event::Finish { partly } if self.queued => {
                self.end.get_or_insert(End::Done {
                    partly: *partly,
                    micro_usd: 7,
                    requests_micro_usd: 2,
                    best: Some(noise),
                    record: "cache/t/k".to_owned(),
                    sha256: "0".repeat(64),
                    location: "s3://grid/jobs/1".to_owned(),
                });
            }
            Event::Fails if self.queued => {
                self.end.get_or_insert(End::Failed { reason: "panicked".to_owned(), message: noise });
            }
            Event::NodeDies => {
                if let Some(pool) = &mut self.pool {
                    (pool.ready, pool.stuck) = (0, vec!["worker-0".to_owned()]);
                }
            }
            Event::WorkersFail => {
                if let Some(pool) = &mut self.pool {
                    (pool.failed, pool.active, pool.ready) = (i32::try_from(pool.wanted).unwrap(), 0, 0);
                    pool.is_given_up = true;
                }
            }
            Event::Misconfigured => {
                if let Some(pool) = &mut self.pool {
                    pool.is_misconfigured = true;
                }
            }
            // Workers of the lane find it out.
            Event::TooLong if self.queued => self.kind.planned.is_small = false,
            Event::PoolGone => self.pool = None,
            Event::NoRights(no_rights) => self.no_rights = *no_rights,
            Event::Links => self.links = Some(now.to_string()),
            _ => {}
        }
    }
}
