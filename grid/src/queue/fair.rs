//! Start-time fair queueing: owners are served in turns, by what their entries cost. The rules are those of
//! `scripts/lane_push.lua` and `scripts/lane_claim.lua`.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::types::MOST_COUNTED;

/// What owners have queued, each in its order.
#[derive(Debug)]
pub(super) struct Fair<T> {
    lists: BTreeMap<String, VecDeque<(u64, T)>>,
    /// Owners with entries, by the virtual time at which their next one starts, then by name.
    times: BTreeSet<(u64, String)>,
    /// Owners without, and the virtual time up to which they were served.
    spent: BTreeMap<String, u64>,
    /// When the entry served last started.
    clock: u64,
}

impl<T> Default for Fair<T> {
    fn default() -> Self {
        Self { lists: BTreeMap::new(), times: BTreeSet::new(), spent: BTreeMap::new(), clock: 0 }
    }
}

impl<T> Fair<T> {
    pub(super) fn push(&mut self, owner: &str, cost: u64, item: T) {
        let list = self.lists.entry(owner.to_owned()).or_default();
        if list.is_empty() {
            // Time spent idle is no credit; time used ahead of the others is still owed.
            let owed = self.spent.remove(owner).unwrap_or(0);
            self.times.insert((self.clock.max(owed), owner.to_owned()));
        }
        list.push_back((cost.clamp(1, MOST_COUNTED), item));
    }

    pub(super) fn pop(&mut self) -> Option<T> {
        let (start, owner) = self.times.pop_first()?;
        let list = self.lists.get_mut(&owner)?;
        let (cost, item) = list.pop_front()?;
        let finish = start + cost;
        self.clock = start;
        if list.is_empty() {
            self.lists.remove(&owner);
            self.spent.insert(owner, finish);
        } else {
            self.times.insert((finish, owner));
        }
        self.spent.retain(|_, until| *until > start);
        if self.times.is_empty() {
            // Nobody waits, so nobody owes anybody.
            self.spent.clear();
            self.clock = 0;
        }
        Some(item)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.lists.values().flatten().map(|(_, item)| item)
    }
}
