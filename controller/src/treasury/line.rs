//! The line of jobs that wait for money. Pure.
//!
//! Whoever fits goes first, whatever its place: small jobs need not wait behind a large one. But a job that has been the
//! first who could run for [`PATIENCE`] has what it asks for kept, in the budgets that it waits for: others get what is left
//! beside, so that jobs that come all the time do not keep it waiting for ever. It waits then for those that run, no
//! longer; and whoever is first after it begins to be patient then, so that one with many large jobs keeps nobody waiting
//! but in between.

use std::collections::BTreeMap;

use blockgrid_grid::JobId;
use jiff::{SignedDuration, Timestamp};

use super::books::{Books, Share};
use super::kept::Kept;
use crate::world::Held;

/// How long the first of the line waits until money is kept for it.
const PATIENCE: SignedDuration = SignedDuration::from_mins(10);

/// How long a job that was told to ask again keeps its place: it may be gone.
const TOLD: SignedDuration = SignedDuration::from_mins(5);

/// Jobs of the line that are told new numbers, each by a patch: when limits have changed, and every now and then.
pub(super) const MOST_TOLD: usize = 500;
pub(super) const FEW_TOLD: usize = 20;

/// A job that waits.
#[derive(Debug, Clone)]
struct Waits {
    /// Its place, the least first.
    turn: u64,
    /// For how much.
    share: Share,
    /// Why; once it was told to ask again, since when.
    why: Result<Held, Timestamp>,
}

/// The line.
#[derive(Debug, Clone, Default)]
pub(super) struct Line {
    jobs: BTreeMap<JobId, Waits>,
    turn: u64,
    /// The first who could run if others had ended, and since when it is that.
    first: Option<(JobId, Timestamp)>,
}

impl Line {
    /// Why a job waits, if it does.
    pub(super) fn held(&self, job: &JobId) -> Option<&Held> {
        self.jobs.get(job)?.why.as_ref().ok()
    }

    /// A job was refused what it asks for. One that is in the line keeps its place.
    pub(super) fn refused(&mut self, job: JobId, share: Share, why: Held) {
        self.turn += 1;
        let comes = Waits { turn: self.turn, share: share.clone(), why: Ok(why.clone()) };
        let waits = self.jobs.entry(job).or_insert(comes);
        (waits.share, waits.why) = (share, Ok(why));
    }

    /// A job has got it, or asks no more.
    pub(super) fn leaves(&mut self, job: &JobId) {
        self.jobs.remove(job);
    }

    /// A job has been looked at and is not refused: if it was told to ask again, it wants no more, and keeps nobody waiting.
    pub(super) fn has_looked(&mut self, job: &JobId) {
        if self.jobs.get(job).is_some_and(|waits| waits.why.is_err()) {
            self.leaves(job);
        }
    }

    /// Those who may ask again now, the first of the line first.
    pub(super) fn wake(&mut self, books: &Books, now: Timestamp) -> Vec<JobId> {
        self.jobs
            .retain(|_, waits| waits.why.as_ref().err().is_none_or(|&told| now.duration_since(told) < TOLD));
        let line = self.in_order().into_iter().map(|(job, waits)| (job, &waits.share));
        let mut fitting = books.fitting(line);
        fitting.retain(|job| self.held(job).is_some());
        self.told(fitting, now)
    }

    /// The first of the line ask again, though they may be refused: the numbers of their refusal are old.
    pub(super) fn told_anew(&mut self, most: usize, now: Timestamp) -> Vec<JobId> {
        // Who was told, and asks no more, is not told again: it may be gone.
        let waits = self.in_order().into_iter().filter(|(_, waits)| waits.why.is_ok());
        let first: Vec<JobId> = waits.map(|(job, _)| job.clone()).take(most).collect();
        self.told(first, now)
    }

    /// Notes that these are told to ask again.
    fn told(&mut self, jobs: Vec<JobId>, now: Timestamp) -> Vec<JobId> {
        for job in &jobs {
            if let Some(waits) = self.jobs.get_mut(job) {
                waits.why = Err(now);
            }
        }
        jobs
    }

    /// What is kept for the first of the line who could have it once others have ended, if it has been that long enough.
    pub(super) fn kept(&mut self, books: &Books, now: Timestamp) -> Option<Kept> {
        let kept = books.kept_among(self.in_order().into_iter().map(|(job, waits)| (job, &waits.share)));
        let since = match (&self.first, &kept) {
            (Some((first, since)), Some(kept)) if *first == kept.job => *since,
            _ => now,
        };
        self.first = kept.as_ref().map(|kept| (kept.job.clone(), since));
        kept.filter(|_| now.duration_since(since) >= PATIENCE)
    }

    fn in_order(&self) -> Vec<(&JobId, &Waits)> {
        let mut line: Vec<_> = self.jobs.iter().collect();
        line.sort_by_key(|(_, waits)| waits.turn);
        line
    }
}

#[cfg(test)]
mod tests {
    use blockgrid_job::budget::{BudgetSpec, HardAction};

    use super::*;
    use crate::treasury::books::Budget;
    use crate::world::Purpose;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).unwrap()
    }

    fn id(name: &str) -> JobId {
        name.parse().unwrap()
    }

    fn share(namespace: &str, user: &str, micro_usd: u64) -> Share {
        Share { namespace: namespace.to_owned(), user: user.to_owned(), micro_usd, purpose: Purpose::Begin }
    }

    fn books(monthly_micro_usd: u64, per_user_micro_usd: Option<u64>) -> Books {
        let spec = BudgetSpec {
            monthly_micro_usd,
            per_user_micro_usd,
            soft_percent: Vec::new(),
            hard_action: HardAction::Hold,
        };
        let mut books = Books::default();
        books.budgets.insert(("blockgrid".to_owned(), "grid".to_owned()), Budget { scope: None, spec });
        books
    }

    /// Asks as the task does; whether it got it.
    fn asks(books: &mut Books, line: &mut Line, job: &str, share: &Share) -> bool {
        match books.may_rather(&id(job), &mut share.clone(), share.micro_usd) {
            Ok(()) => {
                books.reserve(&id(job), share);
                line.leaves(&id(job));
                true
            }
            Err(held) => {
                line.refused(id(job), share.clone(), held);
                false
            }
        }
    }

    fn wake(books: &mut Books, line: &mut Line, now: Timestamp) -> Vec<String> {
        let kept = line.kept(books, now);
        books.keep(kept);
        line.wake(books, now).iter().map(ToString::to_string).collect()
    }

    /// Jobs of 30 come all the time and stay for five minutes; one of 800 waits. Without patience it waits for ever.
    #[test]
    fn a_large_job_gets_its_turn_though_small_ones_come_all_the_time() {
        let (mut books, mut line) = (books(1000, None), Line::default());
        let medium = share("team", "ann", 30);
        let large = share("team", "bob", 800);
        let mut minute = 0;
        let mut running = std::collections::VecDeque::new();
        for number in 0..30 {
            assert!(asks(&mut books, &mut line, &format!("a{number}"), &medium));
            running.push_back(format!("a{number}"));
        }
        let began = loop {
            minute += 1;
            assert!(minute < 60, "it waits for ever");
            let now = at(minute * 60);
            for _ in 0..6 {
                // Free jobs: the sums of the month do not grow.
                if let Some(ended) = running.pop_front() {
                    books.settle(&id(&ended), share("team", "ann", 0));
                }
            }
            let woken = wake(&mut books, &mut line, now);
            if woken.iter().any(|job| job == "large") && asks(&mut books, &mut line, "large", &large) {
                break minute;
            }
            if minute == 1 {
                assert!(!asks(&mut books, &mut line, "large", &large));
            }
            for nth in 0..6 {
                let name = format!("m{minute}-{nth}");
                if asks(&mut books, &mut line, &name, &medium) {
                    running.push_back(name);
                } else {
                    let held = line.held(&id(&name)).unwrap();
                    assert!(
                        held.numbers.contains("$0.000800 kept for a job that has waited longer"),
                        "{}",
                        held.numbers
                    );
                    line.leaves(&id(&name));
                }
            }
            assert!(
                asks(&mut books, &mut line, &format!("s{minute}"), &share("team", "cy", 7)),
                "small ones pass"
            );
            books.settle(&id(&format!("s{minute}")), share("team", "cy", 0));
        };
        assert!((12..=18).contains(&began), "patience, and those that ran: {began}");
        assert_eq!(books.kept, None, "nothing is kept any more");
    }

    #[test]
    fn money_is_kept_for_nobody_who_could_not_have_it() {
        let kept_for = |books: &Books, job, share: Share| books.kept_among([(&id(job), &share)].into_iter());
        let kept = |books: &Books, micro_usd| kept_for(books, "a", share("team", "ann", micro_usd));
        let mut books = books(1000, Some(400));
        books.reserve(&id("b"), &share("team", "bob", 300));
        assert_eq!(kept(&books, 200), None, "it fits");
        books.settle(&id("c"), share("team", "bob", 550));
        assert_eq!(kept(&books, 200).map(|kept| kept.micro_usd), Some(200), "when the other has ended");
        assert_eq!(kept(&books, 451), None, "not in this month");
        books.reserve(&id("d"), &share("team", "ann", 350));
        assert_eq!(kept(&books, 60), None, "it waits for its own user's jobs");
        let goes_on = |micro_usd| Share { purpose: Purpose::GoOn, ..share("team", "bob", micro_usd) };
        assert_eq!(kept_for(&books, "b", goes_on(310)), None, "it runs");
        // Nobody works for it: what it holds already is its own.
        books.reserve(&id("e"), &share("team", "cy", 20));
        let begins = kept_for(&books, "e", share("team", "cy", 60)).unwrap();
        assert_eq!((begins.micro_usd, begins.of.len()), (40, 1));
        // Its own namespace has not enough: the grid's money is nobody's to wait for.
        let mut books = super::tests::books(1000, None);
        let spec = BudgetSpec {
            monthly_micro_usd: 500,
            per_user_micro_usd: None,
            soft_percent: Vec::new(),
            hard_action: HardAction::Hold,
        };
        let team = ("team".to_owned(), "team".to_owned());
        books.budgets.insert(team.clone(), Budget { scope: Some("team".to_owned()), spec });
        books.reserve(&id("x"), &share("team", "ann", 400));
        books.reserve(&id("y"), &share("other", "bob", 300));
        let kept = kept_for(&books, "z", share("team", "cy", 450)).unwrap();
        assert_eq!((kept.of, kept.micro_usd), (vec![team], 450));
    }

    #[test]
    fn small_jobs_pass_and_not_without_end() {
        let (mut books, mut line) = (books(1000, None), Line::default());
        books.reserve(&id("x"), &share("team", "ann", 600));
        assert!(!asks(&mut books, &mut line, "large", &share("team", "bob", 500)));
        for seconds in [0, 599] {
            wake(&mut books, &mut line, at(seconds));
            assert_eq!(books.kept, None, "it is patient");
        }
        wake(&mut books, &mut line, at(600));
        assert_eq!(books.kept.as_ref().map(|kept| kept.micro_usd), Some(500));
        let passed =
            (0..40).filter(|nth| asks(&mut books, &mut line, &format!("s{nth}"), &share("t", "cy", 4)));
        assert_eq!(passed.count(), 12, "a tenth of 500");
        for nth in 0..40 {
            line.leaves(&id(&format!("s{nth}")));
        }
        wake(&mut books, &mut line, at(605));
        assert!(!asks(&mut books, &mut line, "s99", &share("t", "cy", 4)), "it is not forgotten");
        line.leaves(&id("s99"));
        // Who is first after it begins to be patient then.
        assert!(!asks(&mut books, &mut line, "next", &share("team", "bob", 450)));
        line.leaves(&id("large"));
        wake(&mut books, &mut line, at(610));
        assert_eq!(books.kept, None);
    }

    #[test]
    fn a_place_is_kept_for_whoever_was_told_and_not_for_ever() {
        let (mut books, mut line) = (books(100, None), Line::default());
        books.reserve(&id("x"), &share("team", "ann", 100));
        for job in ["a", "b", "c"] {
            assert!(!asks(&mut books, &mut line, job, &share("team", "ann", 50)));
        }
        books.settle(&id("x"), share("team", "ann", 0));
        assert_eq!(wake(&mut books, &mut line, at(10)), ["a", "b"]);
        assert!(line.held(&id("a")).is_none() && line.held(&id("c")).is_some());
        assert!(wake(&mut books, &mut line, at(11)).is_empty(), "they have their places, and are told once");
        // Somebody was faster.
        books.reserve(&id("y"), &share("team", "bob", 80));
        assert!(!asks(&mut books, &mut line, "a", &share("team", "ann", 50)));
        books.settle(&id("y"), share("team", "bob", 0));
        assert_eq!(
            wake(&mut books, &mut line, at(320)),
            ["a", "c"],
            "the first is the first still; the second is gone"
        );
        // One that has what it wanted without asking keeps nobody waiting.
        let before = line.jobs.len();
        line.has_looked(&id("c"));
        assert_eq!(line.jobs.len(), before - 1);
        line.has_looked(&id("d"));
        assert_eq!(line.jobs.len(), before - 1, "who was not told waits still");
        assert!(!asks(&mut books, &mut line, "c", &share("team", "ann", 500)));
        line.told(vec![id("c")], at(320));
        line.leaves(&id("a"));
        books.reserve(&id("z"), &share("team", "bob", 80));
        assert!(!asks(&mut books, &mut line, "d", &share("team", "ann", 50)));
        assert_eq!(line.told_anew(MOST_TOLD, at(321)), [id("d")], "new numbers for those who wait");
        assert_eq!(line.told_anew(MOST_TOLD, at(381)), [], "not for those who were told and ask no more");
        wake(&mut books, &mut line, at(700));
        assert!(line.jobs.is_empty(), "they are gone");
    }
}
