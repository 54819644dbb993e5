//! What is kept for the job that has waited longest: others get what is left beside it, those at work what they need. Pure;
//! money is whole micro-USD.

use std::collections::BTreeMap;

use blockgrid_grid::JobId;

use super::books::{Books, Key, Share};
use crate::world::Purpose;

/// What is kept for a job that has waited long: others get what is left beside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// The job.
    pub job: JobId,
    /// Micro-USD.
    pub micro_usd: u64,
    /// The budgets that it waits for.
    pub of: Vec<Key>,
    /// Micro-USD that small jobs have been let have in the meantime.
    pub passed: u64,
}

impl Kept {
    /// Whether a job that asks for so much is small beside it.
    pub(super) fn is_large_to(&self, micro_usd: u64) -> bool {
        micro_usd.saturating_mul(SMALL) < self.micro_usd
    }
}

/// A job that asks for less than this part of what is kept passes by: it does not keep anybody waiting.
const SMALL: u64 = 100;

/// Those at work may have so much more than they need, as a part of it, where something is kept: seldom enough they ask again.
pub(super) const BESIDE_KEPT: u64 = 4;

/// All of them together may have this part of it: many small ones keep somebody waiting, too.
const SMALL_TOGETHER: u64 = 10;

impl Books {
    /// What a job that asks for so much must leave of a budget to one that has waited long. Those that run are not ended for
    /// one that waits; more workers they get for nothing that is kept.
    pub(super) fn kept_from(&self, job: &JobId, key: &Key, more: (u64, Purpose), passing: u64) -> u64 {
        let Some(kept) = &self.kept else { return 0 };
        if self.passes(kept, job, more, passing) || kept.job == *job || !kept.of.contains(key) {
            return 0;
        }
        kept.micro_usd
    }

    /// Whether a job passes one that has waited long; `passing` is what others are about to.
    fn passes(&self, kept: &Kept, job: &JobId, (more, purpose): (u64, Purpose), passing: u64) -> bool {
        let together = kept.passed.saturating_add(passing).saturating_add(more);
        let are_few = together.saturating_mul(SMALL_TOGETHER) <= kept.micro_usd;
        kept.is_large_to(more) && are_few || self.ends_with(job, purpose)
    }

    /// Whether a job comes to its end with what it asks for: who holds something gives it back then, for which the one that
    /// waits may wait.
    pub(super) fn ends_with(&self, job: &JobId, purpose: Purpose) -> bool {
        purpose != Purpose::Grow && self.reserved.contains_key(job)
    }

    /// Keeps this from now on.
    pub fn keep(&mut self, mut kept: Option<Kept>) {
        if let (Some(now), Some(before)) = (&mut kept, &self.kept)
            && now.job == before.job
        {
            now.passed = before.passed;
        }
        self.kept = kept;
    }

    /// What to keep for the first of a line who could have it when those that run have ended.
    pub fn kept_among<'a>(&'a self, mut line: impl Iterator<Item = (&'a JobId, &'a Share)>) -> Option<Kept> {
        let mut sums = Sums { books: self, whole: BTreeMap::new(), of_user: BTreeMap::new() };
        line.find_map(|(job, share)| self.kept_for(job, share, &mut sums))
    }

    /// What to keep for a job that waits: what it asks for, of the budgets that have not enough left, if they will have when
    /// those that run have ended. Nothing for one that runs, or that waits for others of its own user.
    fn kept_for<'a>(&'a self, job: &JobId, share: &'a Share, sums: &mut Sums<'a>) -> Option<Kept> {
        // What it holds already is its own.
        let more = share.micro_usd.saturating_sub(self.holds(job).unwrap_or(0));
        let mut of = Vec::new();
        for key in self.of_namespace(&share.namespace) {
            let budget = &self.budgets[key];
            let (limit, (spent, held)) = (budget.spec.monthly_micro_usd, sums.whole(key));
            let of_user = budget.spec.per_user_micro_usd.is_some_and(|limit| {
                let (spent, held) = sums.of_user(key, &share.user);
                spent.saturating_add(held).saturating_add(more) > limit
            });
            if spent.saturating_add(share.micro_usd) > limit || of_user {
                return None;
            }
            if spent.saturating_add(held).saturating_add(more) > limit {
                of.push(key.clone());
            }
        }
        // One that waits for its own namespace's jobs keeps nothing from others.
        let is_own = |key: &Key| self.budgets[key].scope.is_some();
        if of.iter().any(is_own) {
            of.retain(is_own);
        }
        let waits = !of.is_empty() && share.purpose == Purpose::Begin;
        waits.then(|| Kept { job: job.clone(), micro_usd: more, of, passed: 0 })
    }
}

/// Spent and reserved of budgets, made once however many jobs of a line ask.
struct Sums<'a> {
    books: &'a Books,
    whole: BTreeMap<&'a Key, (u64, u64)>,
    of_user: BTreeMap<(&'a Key, &'a str), (u64, u64)>,
}

impl<'a> Sums<'a> {
    fn whole(&mut self, key: &'a Key) -> (u64, u64) {
        *self.whole.entry(key).or_insert_with(|| self.books.sums(&self.books.budgets[key]))
    }

    fn of_user(&mut self, key: &'a Key, user: &'a str) -> (u64, u64) {
        let budget = &self.books.budgets[key];
        *self.of_user.entry((key, user)).or_insert_with(|| self.books.sums_of(budget, user))
    }
}
