//! The books of a month: what jobs have cost, what is held for those that run, and whether one more fits. Pure; money is
//! whole micro-USD.

use std::collections::BTreeMap;

use blockgrid_grid::JobId;
use blockgrid_job::budget::{BudgetSpec, BudgetStatus, HardAction, MAX_USERS, UserSpend};
use blockgrid_job::quote::{dollars, dollars_exactly};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::kept::{BESIDE_KEPT, Kept};
use super::short::{Short, fits};
use crate::costs::seconds_of_month;
use crate::world::{Held, Purpose};

/// A budget's namespace and name.
pub type Key = (String, String);

/// A budget.
#[derive(Debug, Clone, PartialEq)]
pub struct Budget {
    /// The namespace whose jobs it limits; `None` for all.
    pub scope: Option<String>,
    /// What it says.
    pub spec: BudgetSpec,
}

/// What is held for a job, or was spent on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Share {
    /// The job's namespace.
    pub namespace: String,
    /// Who asked for it.
    pub user: String,
    /// Micro-USD.
    pub micro_usd: u64,
    /// What it was asked for, last.
    pub purpose: Purpose,
}

/// The books.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Books {
    /// The month, `2026-01`.
    pub month: String,
    /// Budgets.
    pub budgets: BTreeMap<Key, Budget>,
    /// What is held, by job.
    pub reserved: BTreeMap<JobId, Share>,
    /// What was spent this month, by namespace and user.
    pub spent: BTreeMap<(String, String), u64>,
    /// What the grid has cost this month that is no job's: budgets of the whole grid count it.
    pub unattributed: u64,
    /// What is kept for the job that has waited longest.
    pub kept: Option<Kept>,
}

/// The limit of a budget that cannot be read: better no job than one that nobody allowed. No other has it.
pub const UNREADABLE: u64 = 0;

impl Books {
    /// The budgets that a namespace's jobs count for: its own first, then the whole grid's, as they are raised.
    pub fn of_namespace(&self, namespace: &str) -> Vec<&Key> {
        let mut keys: Vec<(&Key, bool)> = self
            .budgets
            .iter()
            .filter(|(_, budget)| budget.scope.as_deref().is_none_or(|scope| scope == namespace))
            .map(|(key, budget)| (key, budget.scope.is_none()))
            .collect();
        keys.sort_by_key(|&(key, is_whole)| (is_whole, key));
        keys.into_iter().map(|(key, _)| key).collect()
    }

    /// Whether a job may have what it asks for. One that holds something already is asked for no more.
    ///
    /// # Errors
    /// Which budget does not let it, with the numbers: the namespace's first, but before it one whose whole limit is less than
    /// that, because no end of others' jobs helps then.
    pub fn may(&self, job: &JobId, share: &Share) -> Result<(), Held> {
        let held = self.holds(job);
        if held.is_some_and(|held| held >= share.micro_usd) {
            return Ok(());
        }
        let more = share.micro_usd - held.unwrap_or(0);
        let mut refused: Option<Short> = None;
        let mut note = |fits: Result<(), Short>| {
            let Err(short) = fits else { return };
            if refused.as_ref().is_none_or(|known| short.is_above && !known.is_above) {
                refused = Some(short);
            }
        };
        for key in self.of_namespace(&share.namespace) {
            let budget = &self.budgets[key];
            let name = format!("{}/{}", key.0, key.1);
            if budget.spec.monthly_micro_usd == UNREADABLE {
                let numbers = format!(
                    "budget {name} cannot be read, so that it lets nothing run: its condition Valid says what is wrong (`kubectl describe btb`)"
                );
                let reason = "BudgetUnreadable".to_owned();
                let until = String::new();
                return Err(Held { reason, numbers, until, asked_micro_usd: 0, drain: false });
            }
            let sums = self.sums(budget);
            let kept = self.kept_from(job, key, (more, share.purpose), 0);
            let asks = (more, share.micro_usd);
            note(fits(&name, "", budget.spec.monthly_micro_usd, sums, asks, kept));
            if let Some(limit) = budget.spec.per_user_micro_usd {
                let sums = self.sums_of(budget, &share.user);
                note(fits(&name, &format!(" for user {}", share.user), limit, sums, asks, 0));
            }
        }
        refused.map_or(Ok(()), |short| Err(short.held))
    }

    /// The same of a job that had rather more: the share is made that, or as much of it as there is. Were it what it needs
    /// alone, it would ask again with each look.
    ///
    /// # Errors
    /// Which budget does not even let it have what it needs.
    pub fn may_rather(&self, job: &JobId, share: &mut Share, wish: u64) -> Result<(), Held> {
        let asked_micro_usd = if share.purpose == Purpose::Grow { u64::MAX } else { share.micro_usd };
        self.may(job, share).map_err(|held| Held { asked_micro_usd, ..held })?;
        share.micro_usd = self.most(job, share, wish).max(share.micro_usd);
        Ok(())
    }

    /// How much of what it wishes budgets let a job have.
    fn most(&self, job: &JobId, share: &Share, wish: u64) -> u64 {
        if wish <= share.micro_usd {
            return wish;
        }
        let held = self.holds(job).unwrap_or(0);
        let more = (wish.saturating_sub(held), share.purpose);
        let mut most = wish;
        for key in self.of_namespace(&share.namespace) {
            let budget = &self.budgets[key];
            let (spent, reserved) = self.sums(budget);
            let kept = self.kept_from(job, key, more, 0);
            if kept == 0 && self.kept_from(job, key, (more.0, Purpose::Grow), 0) > 0 {
                // What those at work need they have; it is not to be all that was kept.
                most = most.min(share.micro_usd.saturating_add(share.micro_usd / BESIDE_KEPT));
            }
            let used = spent.saturating_add(reserved).saturating_add(kept);
            let of_all = budget.spec.monthly_micro_usd.saturating_sub(used);
            let of_user = budget.spec.per_user_micro_usd.map(|limit| {
                let (spent, reserved) = self.sums_of(budget, &share.user);
                limit.saturating_sub(spent.saturating_add(reserved))
            });
            most = most.min(held.saturating_add(of_all.min(of_user.unwrap_or(u64::MAX))));
        }
        most
    }

    /// Which jobs of a line may have what they ask for, those behind as far as those before them leave something.
    pub fn fitting<'a>(&self, line: impl Iterator<Item = (&'a JobId, &'a Share)>) -> Vec<JobId> {
        // Sums are made once, not for each of thousands.
        let mut left: BTreeMap<&Key, u64> = BTreeMap::new();
        let mut left_of: BTreeMap<(&Key, &str), u64> = BTreeMap::new();
        let rest = |limit: u64, (spent, held): (u64, u64)| limit.saturating_sub(spent).saturating_sub(held);
        let mut found = Vec::new();
        let (mut is_kept, mut passing) = (self.kept.is_some(), 0);
        for (job, share) in line {
            let keys = self.of_namespace(&share.namespace);
            // What it holds already is its own.
            let more = share.micro_usd.saturating_sub(self.holds(job).unwrap_or(0));
            let mut fits = true;
            for &key in &keys {
                let budget = &self.budgets[key];
                let left = *left
                    .entry(key)
                    .or_insert_with(|| rest(budget.spec.monthly_micro_usd, self.sums(budget)));
                let left_of = budget.spec.per_user_micro_usd.map(|limit| {
                    *left_of
                        .entry((key, &share.user))
                        .or_insert_with(|| rest(limit, self.sums_of(budget, &share.user)))
                });
                let kept = if is_kept { self.kept_from(job, key, (more, share.purpose), passing) } else { 0 };
                fits &= more.saturating_add(kept) <= left && left_of.is_none_or(|left| more <= left);
            }
            if !fits {
                continue;
            }
            let is_small = self.kept.as_ref().is_some_and(|kept| kept.is_large_to(more));
            if is_small && !self.ends_with(job, share.purpose) {
                passing += more;
            }
            is_kept &= self.kept.as_ref().is_none_or(|kept| kept.job != *job);
            found.push(job.clone());
            for key in keys {
                for left in left.get_mut(key).into_iter().chain(left_of.get_mut(&(key, share.user.as_str())))
                {
                    *left -= more;
                }
            }
        }
        found
    }

    /// Why a job that runs should stop: a budget whose limit is spent, and which says so.
    pub fn drained(&self, namespace: &str) -> Option<Held> {
        self.of_namespace(namespace).into_iter().find_map(|key| {
            let spec = &self.budgets[key].spec;
            let (spent, _) = self.sums(&self.budgets[key]);
            let is = spec.hard_action == HardAction::Drain && spent >= spec.monthly_micro_usd;
            is.then(|| Held {
                reason: "BudgetSpent".to_owned(),
                numbers: format!(
                    "budget {}/{} is spent: {} of {} this month; its hardAction is Drain",
                    key.0,
                    key.1,
                    dollars(spent),
                    dollars_exactly(spec.monthly_micro_usd)
                ),
                until: String::new(),
                asked_micro_usd: 0,
                drain: true,
            })
        })
    }

    /// What a budget of the whole grid wants that is spent, if one is; where several are, the sternest.
    pub fn spent_whole(&self) -> Option<HardAction> {
        let whole = self.budgets.values().filter(|budget| budget.scope.is_none());
        let spent = whole.filter(|budget| self.sums(budget).0 >= budget.spec.monthly_micro_usd);
        spent.map(|budget| budget.spec.hard_action).max_by_key(|action| *action == HardAction::Drain)
    }

    /// What is held for a job, if anything is.
    pub(super) fn holds(&self, job: &JobId) -> Option<u64> {
        self.reserved.get(job).map(|held| held.micro_usd)
    }

    /// Spent and reserved of a budget.
    pub fn sums(&self, budget: &Budget) -> (u64, u64) {
        self.sum(budget, None)
    }

    pub(super) fn sums_of(&self, budget: &Budget, user: &str) -> (u64, u64) {
        self.sum(budget, Some(user))
    }

    fn sum(&self, budget: &Budget, only: Option<&str>) -> (u64, u64) {
        let counts = |namespace: &str, user: &str| {
            budget.scope.as_deref().is_none_or(|scope| scope == namespace)
                && only.is_none_or(|only| only == user)
        };
        let spent =
            self.spent.iter().filter(|((namespace, user), _)| counts(namespace, user)).map(|(_, usd)| usd);
        let held = self.reserved.values().filter(|share| counts(&share.namespace, &share.user));
        let beside = if only.is_none() { self.unattributed_of(budget) } else { 0 };
        (spent.sum::<u64>().saturating_add(beside), held.map(|share| share.micro_usd).sum())
    }

    /// What a budget counts that is no job's.
    fn unattributed_of(&self, budget: &Budget) -> u64 {
        if budget.scope.is_none() { self.unattributed } else { 0 }
    }

    /// Holds money for a job, if that is more than it holds already; what it held before.
    pub fn reserve(&mut self, job: &JobId, share: &Share) -> Option<u64> {
        let (before, ends) = (self.holds(job), self.ends_with(job, share.purpose));
        let holds = self.reserved.entry(job.clone()).or_insert_with(|| share.clone());
        holds.micro_usd = holds.micro_usd.max(share.micro_usd);
        self.kept = self.kept.take().filter(|kept| kept.job != *job);
        let more = holds.micro_usd - before.unwrap_or(0);
        if let Some(kept) = &mut self.kept
            && !ends
            && kept.is_large_to(more)
        {
            kept.passed = kept.passed.saturating_add(more);
        }
        before
    }

    /// Takes back what [`Books::reserve`] did.
    pub fn restore(&mut self, job: &JobId, before: Option<u64>) {
        match before {
            Some(micro_usd) => {
                if let Some(held) = self.reserved.get_mut(job) {
                    held.micro_usd = micro_usd;
                }
            }
            None => {
                self.reserved.remove(job);
            }
        }
    }

    /// Gives back what a job holds and counts what it has cost.
    pub fn settle(&mut self, job: &JobId, share: Share) {
        self.reserved.remove(job);
        *self.spent.entry((share.namespace, share.user)).or_default() += share.micro_usd;
    }

    /// What there is to say about a budget.
    pub fn status(&self, budget: &Budget, now: Timestamp) -> BudgetStatus {
        let (spent, reserved) = self.sums(budget);
        let mut users: BTreeMap<String, UserSpend> = BTreeMap::new();
        let counts = |namespace: &str| budget.scope.as_deref().is_none_or(|scope| scope == namespace);
        for ((_, user), usd) in self.spent.iter().filter(|((namespace, _), _)| counts(namespace)) {
            users.entry(user.clone()).or_default().spent_micro_usd += usd;
        }
        let mut jobs = 0;
        for share in self.reserved.values().filter(|share| counts(&share.namespace)) {
            users.entry(share.user.clone()).or_default().reserved_micro_usd += share.micro_usd;
            jobs += 1;
        }
        if users.len() > MAX_USERS {
            // Those that take most are the ones to know.
            let mut ranked: Vec<_> = users.into_iter().collect();
            ranked.sort_by_key(|(name, spend)| {
                (std::cmp::Reverse(spend.spent_micro_usd + spend.reserved_micro_usd), name.clone())
            });
            ranked.truncate(MAX_USERS);
            users = ranked.into_iter().collect();
        }
        let (gone, whole) = seconds_of_month(now);
        let gone_seconds = u128::from(gone.max(1));
        let of_seconds =
            |seconds: u128| u64::try_from(u128::from(spent) * seconds / gone_seconds).unwrap_or(u64::MAX);
        BudgetStatus {
            month: Some(self.month.clone()),
            limit_micro_usd: budget.spec.monthly_micro_usd,
            spent_micro_usd: spent,
            unattributed_micro_usd: self.unattributed_of(budget),
            reserved_micro_usd: reserved,
            burn_micro_usd_per_hour: of_seconds(3600),
            projected_micro_usd: of_seconds(whole.max(gone).into()),
            jobs,
            users,
            ..BudgetStatus::default()
        }
        .in_words()
    }
}

/// The month of an instant, in UTC.
pub fn month(now: Timestamp) -> String {
    now.to_zoned(TimeZone::UTC).strftime("%Y-%m").to_string()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::short::{SPENT, WAITS};
    use super::*;

    fn spec(monthly: u64, per_user: Option<u64>) -> BudgetSpec {
        BudgetSpec {
            monthly_micro_usd: monthly,
            per_user_micro_usd: per_user,
            soft_percent: vec![50, 80, 95],
            hard_action: HardAction::Drain,
        }
    }

    fn books(whole: u64, team: Option<u64>, per_user: Option<u64>) -> Books {
        let mut books = Books { month: "2026-01".to_owned(), ..Books::default() };
        let key = |namespace: &str| (namespace.to_owned(), "budget".to_owned());
        books.budgets.insert(key("blockgrid"), Budget { scope: None, spec: spec(whole, per_user) });
        if let Some(team) = team {
            let scope = Some("team-a".to_owned());
            books.budgets.insert(key("team-a"), Budget { scope, spec: spec(team, None) });
        }
        books
    }

    fn share(namespace: &str, user: &str, micro_usd: u64) -> Share {
        Share { namespace: namespace.to_owned(), user: user.to_owned(), micro_usd, purpose: Purpose::Begin }
    }

    fn id(name: &str) -> JobId {
        name.parse().unwrap()
    }

    #[test]
    fn each_budget_has_its_say_the_namespaces_first() {
        let mut books = books(1000, Some(300), Some(200));
        assert_eq!(books.may(&id("a"), &share("team-a", "ann", 200)), Ok(()));
        books.reserved.insert(id("a"), share("team-a", "ann", 200));
        assert_eq!(books.may(&id("a"), &share("team-a", "ann", 7)), Ok(()), "it holds its share already");
        assert!(books.may(&id("a"), &share("team-a", "ann", 301)).is_err(), "more must fit too");
        assert_eq!(books.reserve(&id("a"), &share("team-a", "ann", 7)), Some(200));
        assert_eq!(
            books.reserved[&id("a")].micro_usd,
            200,
            "what is held is not given back by asking for less"
        );
        let team = books.may(&id("b"), &share("team-a", "bob", 101)).unwrap_err();
        assert!(
            team.reason == "WaitingForBudget" && team.numbers.starts_with("budget team-a/budget has"),
            "{team:?}"
        );
        let both = books.may(&id("b"), &share("team-a", "bob", 900)).unwrap_err();
        assert!(both.numbers.starts_with("budget team-a/budget has"), "{both:?}");
        assert_eq!(both.reason, "AboveBudget", "no end of others' jobs helps");
        let mut other = books.clone();
        let own = ("team-a".to_owned(), "budget".to_owned());
        other.budgets.get_mut(&own).unwrap().spec.monthly_micro_usd = 5000;
        other.settle(&id("z"), share("team-a", "bob", 4500));
        let grids = other.may(&id("b"), &share("team-a", "bob", 1001)).unwrap_err();
        assert_eq!(grids.reason, "AboveBudget", "though the namespace's waits too: {grids:?}");
        assert!(grids.numbers.starts_with("budget blockgrid/budget has"), "{grids:?}");
        let user = books.may(&id("b"), &share("team-b", "bob", 201)).unwrap_err();
        assert_eq!(user.reason, "AboveUserBudget", "{user:?}");
        let user = books.may(&id("b"), &share("team-b", "ann", 1)).unwrap_err();
        assert!(user.reason == "WaitingForUserBudget" && user.numbers.contains("for user ann"), "{user:?}");
        assert!(user.until.ends_with(WAITS), "{user:?}");
        books.settle(&id("a"), share("team-a", "ann", 150));
        let spent = books.may(&id("b"), &share("team-a", "bob", 151)).unwrap_err();
        assert!(spent.reason == "WaitingForBudget" && spent.until.ends_with(SPENT), "{spent:?}");
        assert_eq!(books.may(&id("b"), &share("team-a", "bob", 150)), Ok(()));
        assert!(books.may(&id("b"), &share("team-a", "bob", 151)).is_err());
        assert_eq!(books.drained("team-a"), None);
        books.settle(&id("c"), share("team-a", "bob", 150));
        assert!(books.drained("team-a").unwrap().drain);
        assert_eq!(books.drained("team-b"), None);
    }

    #[test]
    fn who_needs_more_gets_what_there_is_up_to_its_wish() {
        let mut books = books(1000, None, None);
        books.reserved.insert(id("a"), share("team-a", "ann", 400));
        let asks = |books: &Books, needs: u64, wish: u64| {
            let mut share = share("team-a", "ann", needs);
            books.may_rather(&id("a"), &mut share, wish).map(|()| share.micro_usd)
        };
        assert_eq!(asks(&books, 500, 1000), Ok(1000));
        assert_eq!(asks(&books, 501, 1002), Ok(1000), "all that there is");
        assert!(asks(&books, 1001, 2002).is_err());
        // Another gives back what it held: who waits for more is woken.
        books.reserved.insert(id("b"), share("team-b", "bob", 300));
        let (job, wants) = (id("a"), share("team-a", "ann", 800));
        assert!(books.fitting([(&job, &wants)].into_iter()).is_empty());
        books.reserved.remove(&id("b"));
        assert_eq!(books.fitting([(&job, &wants)].into_iter()), [job]);
    }

    #[test]
    fn more_workers_get_nothing_that_is_kept_and_those_at_work_not_all_of_it() {
        let mut books = books(1000, None, None);
        books.reserved.insert(id("a"), share("team-a", "ann", 400));
        let key = books.of_namespace("team-a")[0].clone();
        books.kept = Some(Kept { job: id("x"), micro_usd: 500, of: vec![key], passed: 0 });
        let asks = |books: &Books, needs: u64, wish: u64, purpose| {
            let mut share = Share { purpose, ..share("team-a", "ann", needs) };
            books.may_rather(&id("a"), &mut share, wish).map(|()| share.micro_usd)
        };
        assert_eq!(asks(&books, 500, 900, Purpose::Grow), Ok(500), "what is left beside");
        let refused = asks(&books, 501, 900, Purpose::Grow).unwrap_err();
        assert_eq!(refused.asked_micro_usd, u64::MAX, "it is no answer to those at work");
        assert_eq!(asks(&books, 600, 1000, Purpose::GoOn), Ok(750), "a quarter more");
        assert_eq!(asks(&books, 600, 1000, Purpose::Begin), Ok(750), "the other waits for its end");
        assert_eq!(asks(&books, 960, 1920, Purpose::GoOn), Ok(1000));
        books.kept = None;
        assert_eq!(asks(&books, 600, 1000, Purpose::GoOn), Ok(1000));
    }

    #[test]
    fn what_is_no_jobs_counts_for_the_whole_grid_alone() {
        let mut books = books(1000, Some(300), Some(500));
        books.settle(&id("a"), share("team-a", "ann", 100));
        books.unattributed = 600;
        assert_eq!(books.may(&id("b"), &share("team-a", "ann", 200)), Ok(()), "300 are left of each");
        let held = books.may(&id("b"), &share("team-b", "bob", 301)).unwrap_err();
        assert!(held.numbers.contains("$0.000300 left"), "{}", held.numbers);
        let now = "2026-01-16T00:00:00Z".parse().unwrap();
        let told = |scope: Option<&str>| {
            let budget = books.budgets.values().find(|budget| budget.scope.as_deref() == scope).unwrap();
            let status = books.status(budget, now);
            (status.spent_micro_usd, status.unattributed_micro_usd)
        };
        assert_eq!((told(None), told(Some("team-a"))), ((700, 600), (100, 0)));
        assert_eq!(books.spent_whole(), None);
        books.unattributed = 900;
        assert_eq!(books.spent_whole(), Some(HardAction::Drain));
    }

    #[test]
    fn the_month_is_told_and_projected() {
        let mut books = books(1_000_000_000, None, None);
        books.settle(&id("a"), share("team-a", "ann", 10_000_000));
        books.reserved.insert(id("b"), share("team-b", "bob", 7));
        let now: Timestamp = "2026-01-11T00:00:00Z".parse().unwrap();
        let status = books.status(&books.budgets.values().next().unwrap().clone(), now);
        // Ten of 31 days.
        assert_eq!(status.projected_micro_usd, 31_000_000);
        // Of what is less than a micro-dollar an hour, too.
        let mut books = super::tests::books(1_000_000_000, None, None);
        books.settle(&id("c"), share("team-a", "ann", 100));
        assert_eq!(
            books.status(&books.budgets.values().next().unwrap().clone(), now).projected_micro_usd,
            310
        );
        assert_eq!((status.spent_micro_usd, status.reserved_micro_usd, status.jobs), (10_000_000, 7, 1));
        assert_eq!(status.users["bob"].reserved_micro_usd, 7);
        assert_eq!(month(now), "2026-01");
    }

    proptest! {
        /// Whatever jobs come and go, what is spent and held never passes a limit while none costs more than was held.
        #[test]
        fn no_limit_is_passed(
            steps in prop::collection::vec((0usize..30, 1u64..400, 0u64..=100), 1..200),
            whole in 500u64..2000, team in 100u64..900, user in 50u64..500,
        ) {
            let mut books = books(whole, Some(team), Some(user));
            for (nth, micro_usd, percent) in steps {
                let (job, namespace, user) = (id(&format!("j{nth}")), ["team-a", "team-b"][nth % 2], ["ann", "bob", "cy"][nth % 3]);
                if let Some(held) = books.reserved.get(&job).cloned() {
                    let cost = held.micro_usd * percent / 100;
                    books.settle(&job, Share { micro_usd: cost, ..held });
                } else if books.may(&job, &share(namespace, user, micro_usd)).is_ok() {
                    books.reserved.insert(job, share(namespace, user, micro_usd));
                }
                for budget in books.budgets.values() {
                    let (spent, held) = books.sums(budget);
                    prop_assert!(spent + held <= budget.spec.monthly_micro_usd);
                    if let Some(limit) = budget.spec.per_user_micro_usd {
                        for user in ["ann", "bob", "cy"] {
                            let (spent, held) = books.sums_of(budget, user);
                            prop_assert!(spent + held <= limit);
                        }
                    }
                }
            }
        }

        /// Those that are let ask again are those that would be let run, one after another.
        #[test]
        fn who_fits_may(
            held in prop::collection::vec((0usize..6, 1u64..300), 0..8),
            line in prop::collection::vec((0usize..6, 1u64..300), 0..40),
            whole in 1u64..2000, team in 1u64..900, user in 1u64..500, patient in any::<bool>(),
        ) {
            let of = |nth: usize, usd| share(["team-a", "team-b"][nth % 2], ["ann", "bob", "cy"][nth % 3], usd);
            let mut books = books(whole, Some(team), Some(user));
            for (number, (nth, usd)) in held.into_iter().enumerate() {
                books.reserved.insert(id(&format!("h{number}")), of(nth, usd));
            }
            let line: Vec<_> =
                line.into_iter().enumerate().map(|(n, (nth, usd))| {
                    // Some of those that hold something wait for more.
                    let name = if n % 3 == 0 { format!("h{n}") } else { format!("j{n}") };
                    (id(&name), books.reserved.get(&id(&name)).map_or_else(|| of(nth, usd), |held| Share { micro_usd: usd, purpose: [Purpose::Begin, Purpose::GoOn, Purpose::Grow][n % 9 / 3], ..held.clone() }))
                }).collect();
            if let Some((job, share)) = line.first().filter(|_| patient) {
                books.kept = books.kept_among([(job, share)].into_iter());
            }
            let fitting = books.fitting(line.iter().map(|(id, share)| (id, share)));
            let mut expected = Vec::new();
            for (job, share) in line {
                if books.may(&job, &share).is_ok() {
                    books.reserve(&job, &share);
                    expected.push(job);
                }
            }
            prop_assert_eq!(fitting, expected);
        }
    }
}
