//! What jobs have cost: the ledger in the store.
//!
//! One entry for each job in the month of its end, which is written once. Entries that are some minutes old are folded: a
//! fold repeats them, adds up the month so far, and takes their place. So a leader that begins reads the last fold and the
//! few entries after it, however many jobs a month has.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use blockgrid_grid::store::keys;
use blockgrid_grid::{Created, JobId, Store, StoreError};
use futures::{StreamExt, TryStreamExt, stream};
use serde::{Deserialize, Serialize};

use super::TreasuryError;

/// Entries that are read at a time: a leader that begins admits nothing before it knows what was spent.
const AT_ONCE: usize = 128;

/// Entries that are written at a time.
const WRITTEN_AT_ONCE: usize = 32;

/// How long an entry stands by itself at least. Within it, whoever had not heard of its being written has.
const AGE: Duration = Duration::from_secs(600);

/// Fewer entries than these are not worth a fold.
const FEWEST: usize = 1000;

/// One settled job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Entry {
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) user: String,
    #[serde(deserialize_with = "money")]
    pub(super) micro_usd: u64,
    /// How much of it is time of the interactive lane's workers, whose pods it shared with others.
    #[serde(default, deserialize_with = "money", skip_serializing_if = "is_nothing")]
    pub(super) lane_micro_usd: u64,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_nothing(micro_usd: &u64) -> bool {
    *micro_usd == 0
}

/// What a namespace's user has spent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Sum {
    namespace: String,
    user: String,
    #[serde(deserialize_with = "money")]
    micro_usd: u64,
}

/// Entries that were taken together, and the sums of the month with them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Fold {
    sums: Vec<Sum>,
    /// Micro-USD of the lane's workers.
    #[serde(deserialize_with = "money")]
    lane_micro_usd: u64,
    /// By job: those that this fold took.
    entries: BTreeMap<JobId, Entry>,
}

/// Micro-USD by namespace and user.
pub(super) type Spent = BTreeMap<(String, String), u64>;

/// The ledger of a month.
pub(super) struct Ledger {
    store: Store,
    month: String,
    /// What stands by itself, and since when that is known.
    open: BTreeMap<JobId, (Instant, Entry)>,
    /// Jobs of the last fold: what somebody has not heard of yet is among them.
    folded: BTreeSet<JobId>,
    /// Those of them that stand by themselves still.
    left: Vec<JobId>,
    /// The number of the last fold; 0 before the first.
    last: u64,
    spent: Spent,
    lane_micro_usd: u64,
}

/// Micro-USD that no job and no month of one user comes to: a billion dollars. Sums of such have room in a status.
const MOST: u64 = 1_000_000_000_000_000;

/// Money as it stands in the ledger.
fn money<'de, D: serde::Deserializer<'de>>(value: D) -> Result<u64, D::Error> {
    match u64::deserialize(value)? {
        micro_usd if micro_usd > MOST => Err(serde::de::Error::custom(format!(
            "{micro_usd} micro-dollars are no sum that could have been spent"
        ))),
        micro_usd => Ok(micro_usd),
    }
}

impl Ledger {
    /// Reads a month's.
    ///
    /// # Errors
    /// The store's; and an entry or fold that cannot be read, because then nobody knows what was spent.
    pub(super) async fn read(store: Store, month: String, now: Instant) -> Result<Self, TreasuryError> {
        let mut ledger = Self {
            store,
            month,
            open: BTreeMap::new(),
            folded: BTreeSet::new(),
            left: Vec::new(),
            last: 0,
            spent: BTreeMap::new(),
            lane_micro_usd: 0,
        };
        // Entries before folds: what is folded in between is in the fold at least.
        let listed = ledger.store.list(&keys::ledger_of(&ledger.month)).await?;
        let folds = ledger.store.list(&keys::ledger_folds(&ledger.month)).await?;
        if let Some(last) = folds.last() {
            let fold: Fold = object(&ledger.store, &last.key).await?;
            ledger.last = keys::name(&last.key).parse().map_err(|_| unreadable(&last.key, "its number"))?;
            ledger.lane_micro_usd = fold.lane_micro_usd;
            ledger.spent =
                fold.sums.into_iter().map(|sum| ((sum.namespace, sum.user), sum.micro_usd)).collect();
            ledger.folded = fold.entries.into_keys().collect();
        }
        let ids = listed.into_iter().filter_map(|entry| keys::name(&entry.key).parse::<JobId>().ok());
        // Whoever folded those died before they were removed: the next fold does it first.
        let (left, open): (Vec<_>, Vec<_>) = ids.partition(|id| ledger.folded.contains(id));
        ledger.left = left;
        let read = open.into_iter().map(|id| {
            let (store, key) = (ledger.store.clone(), keys::ledger(&ledger.month, &id));
            async move { Ok::<_, TreasuryError>((id, object(&store, &key).await?)) }
        });
        let read: Vec<_> = stream::iter(read.collect::<Vec<_>>())
            .buffer_unordered(AT_ONCE)
            .try_collect::<Vec<(JobId, Entry)>>()
            .await?;
        for (id, entry) in read {
            ledger.count(id, entry, now);
        }
        Ok(ledger)
    }

    /// What was spent this month.
    pub(super) fn spent(&self) -> &Spent {
        &self.spent
    }

    /// How much of it is time of the lane's workers.
    pub(super) fn lane_micro_usd(&self) -> u64 {
        self.lane_micro_usd
    }

    fn count(&mut self, id: JobId, entry: Entry, now: Instant) {
        // Two may have asked at once.
        if self.open.contains_key(&id) {
            return;
        }
        *self.spent.entry((entry.namespace.clone(), entry.user.clone())).or_default() += entry.micro_usd;
        self.lane_micro_usd += entry.lane_micro_usd;
        self.open.insert(id, (now, entry));
    }

    /// Whether a job is written down.
    pub(super) fn has(&self, id: &JobId) -> bool {
        self.open.contains_key(id) || self.folded.contains(id)
    }

    /// Writes jobs down, each in the month in which it was settled, once; how much counts of each. That is what stands there,
    /// whoever wrote it, and an answer that was lost. Errors are the store's; asking again is harmless.
    pub(super) async fn write(
        &mut self,
        jobs: Vec<(String, JobId, Entry)>,
        now: Instant,
    ) -> Vec<Result<u64, TreasuryError>> {
        let writes = jobs.into_iter().map(|(month, id, entry)| {
            let is_this = month == self.month;
            let known = match self.open.get(&id) {
                _ if !is_this => None,
                Some((_, known)) => Some(known.micro_usd),
                None => self.folded.contains(&id).then_some(entry.micro_usd),
            };
            let store = self.store.clone();
            async move {
                match known {
                    Some(micro_usd) => Ok((micro_usd, None)),
                    None => {
                        let entry = put(&store, &keys::ledger(&month, &id), entry).await?;
                        Ok((entry.micro_usd, is_this.then_some((id, entry))))
                    }
                }
            }
        });
        let writes: Vec<_> = writes.collect();
        let written: Vec<Result<_, TreasuryError>> =
            stream::iter(writes).buffered(WRITTEN_AT_ONCE).collect().await;
        let mut counted = Vec::new();
        for written in written {
            counted.push(written.map(|(micro_usd, new)| {
                if let Some((id, entry)) = new {
                    self.count(id, entry, now);
                }
                micro_usd
            }));
        }
        counted
    }

    /// Folds what is old enough, if there is enough of it: how many entries. `may_come` says of which jobs somebody may
    /// still ask to be written down.
    ///
    /// # Errors
    /// The store's; asking again is harmless. [`TreasuryError::Fenced`] when another has folded.
    pub(super) async fn fold(
        &mut self,
        now: Instant,
        may_come: impl Fn(&JobId) -> bool,
    ) -> Result<usize, TreasuryError> {
        let is_old = |id: &JobId, since: Instant| now.duration_since(since) >= AGE && !may_come(id);
        let old = self.open.iter().filter(|(id, (since, _))| is_old(id, *since));
        let entries: BTreeMap<JobId, Entry> =
            old.map(|(id, (_, entry))| (id.clone(), entry.clone())).collect();
        if entries.len() < FEWEST && self.left.is_empty() {
            return Ok(0);
        }
        // Only the last fold says of what is left over that it was counted: it goes before the next.
        self.remove_left().await?;
        if entries.len() < FEWEST {
            return Ok(0);
        }
        // The sums are those of folded entries: what stands by itself is counted by itself.
        let mut sums = self.spent.clone();
        let mut lane_micro_usd = self.lane_micro_usd;
        for (_, entry) in self.open.iter().filter(|(id, _)| !entries.contains_key(*id)).map(|(_, open)| open)
        {
            if let Some(sum) = sums.get_mut(&(entry.namespace.clone(), entry.user.clone())) {
                *sum -= entry.micro_usd;
            }
            lane_micro_usd -= entry.lane_micro_usd;
        }
        let sums = sums.into_iter().map(|((namespace, user), micro_usd)| Sum { namespace, user, micro_usd });
        let fold = Fold { sums: sums.collect(), lane_micro_usd, entries };
        let key = keys::ledger_fold(&self.month, self.last + 1);
        let bytes = serde_json::to_vec(&fold).map_err(kube::Error::SerdeError)?;
        if let Created::Different { .. } = self.store.create(&key, bytes.into()).await? {
            return Err(TreasuryError::Fenced(key));
        }
        self.last += 1;
        self.left = fold.entries.into_keys().collect();
        for id in &self.left {
            self.open.remove(id);
        }
        self.folded = self.left.iter().cloned().collect();
        self.remove_left().await?;
        Ok(self.folded.len())
    }

    /// Removes entries that a fold has taken the place of.
    async fn remove_left(&mut self) -> Result<(), StoreError> {
        let keys: Vec<String> = self.left.iter().map(|id| keys::ledger(&self.month, id)).collect();
        self.store.delete_all(&keys).await?;
        self.left.clear();
        Ok(())
    }
}

/// Writes an entry where none is: the one that stands there then.
async fn put(store: &Store, key: &str, entry: Entry) -> Result<Entry, TreasuryError> {
    let bytes = serde_json::to_vec(&entry).map_err(kube::Error::SerdeError)?;
    match store.create(key, bytes.into()).await? {
        Created::New | Created::Same => Ok(entry),
        Created::Different { .. } => object(store, key).await,
    }
}

/// An object of the ledger. One that is damaged somebody has to mend; what cannot be had now may be later.
async fn object<T: serde::de::DeserializeOwned>(store: &Store, key: &str) -> Result<T, TreasuryError> {
    let bytes = store.get(key).await.map_err(|error| match error {
        StoreError::Corrupt { .. } => unreadable(key, &error.to_string()),
        error => error.into(),
    })?;
    parsed(key, &bytes)
}

fn parsed<T: serde::de::DeserializeOwned>(key: &str, bytes: &[u8]) -> Result<T, TreasuryError> {
    serde_json::from_slice(bytes).map_err(|error| unreadable(key, &error.to_string()))
}

fn unreadable(key: &str, why: &str) -> TreasuryError {
    TreasuryError::Unreadable { key: key.to_owned(), why: why.to_owned() }
}

#[cfg(test)]
mod tests {
    use blockgrid_grid::Options;
    use proptest::prelude::*;

    use super::*;

    const MONTH: &str = "2026-01";

    fn store() -> Store {
        Store::open("memory:", &Options::default()).unwrap()
    }

    fn id(number: usize) -> JobId {
        format!("job-{number}").parse().unwrap()
    }

    fn entry(number: usize) -> Entry {
        Entry {
            namespace: ["team-a", "team-b"][number % 2].to_owned(),
            name: format!("job{number}"),
            user: ["ann", "bob", "cy"][number % 3].to_owned(),
            micro_usd: number as u64,
            lane_micro_usd: if number.is_multiple_of(5) { number as u64 } else { 0 },
        }
    }

    fn expected(numbers: impl Iterator<Item = usize>) -> (Spent, u64) {
        let (mut spent, mut in_lane) = (Spent::new(), 0);
        for entry in numbers.map(entry) {
            *spent.entry((entry.namespace, entry.user)).or_default() += entry.micro_usd;
            in_lane += entry.lane_micro_usd;
        }
        (spent, in_lane)
    }

    async fn said(store: &Store) -> (Spent, u64) {
        let ledger = Ledger::read(store.clone(), MONTH.to_owned(), Instant::now()).await.unwrap();
        (ledger.spent().clone(), ledger.lane_micro_usd())
    }

    async fn write(ledger: &mut Ledger, month: &str, number: usize, now: Instant) -> u64 {
        let job = (month.to_owned(), id(number), entry(number));
        ledger.write(vec![job.clone(), job], now).await.remove(1).unwrap()
    }

    async fn written(store: &Store, count: usize, then: Instant) -> Ledger {
        let mut ledger = Ledger::read(store.clone(), MONTH.to_owned(), then).await.unwrap();
        for number in 0..count {
            assert_eq!(write(&mut ledger, MONTH, number, then).await, number as u64);
        }
        ledger
    }

    #[tokio::test]
    async fn a_fold_takes_the_place_of_its_entries_and_every_job_stays_counted_once() {
        let (store, then) = (store(), Instant::now());
        let mut ledger = written(&store, 2500, then).await;
        let later = then + AGE;
        // The last ten are not old enough; one may still come.
        for number in 2500..2510 {
            assert_eq!(write(&mut ledger, MONTH, number, later).await, number as u64);
        }
        assert_eq!(ledger.fold(then, |_| false).await.unwrap(), 0, "nothing is old enough");
        assert_eq!(ledger.fold(later, |job| *job == id(7)).await.unwrap(), 2499);
        assert_eq!(store.list(&keys::ledger_of(MONTH)).await.unwrap().len(), 11);
        assert_eq!(said(&store).await, expected(0..2510));
        // What was folded is not written again, by this leader and by the next.
        let mut next = Ledger::read(store.clone(), MONTH.to_owned(), later).await.unwrap();
        for ledger in [&mut ledger, &mut next] {
            assert_eq!(write(ledger, MONTH, 3, later).await, 3);
            assert_eq!(write(ledger, MONTH, 7, later).await, 7);
            assert_eq!((ledger.spent().clone(), ledger.lane_micro_usd()), expected(0..2510));
        }
        assert_eq!(said(&store).await, expected(0..2510));
        // The next fold goes on from there.
        for number in 2510..3600 {
            assert_eq!(write(&mut next, MONTH, number, later).await, number as u64);
        }
        assert_eq!(next.fold(later + AGE, |_| false).await.unwrap(), 1101);
        assert_eq!(said(&store).await, expected(0..3600));
        // All that was ever written down can be read.
        let mut all = BTreeMap::new();
        for fold in store.list(&keys::ledger_folds(MONTH)).await.unwrap() {
            all.extend(parsed::<Fold>("", &store.get(&fold.key).await.unwrap()).unwrap().entries);
        }
        assert_eq!(all.len(), 3600);
        assert_eq!(all[&id(1234)], entry(1234));
    }

    #[tokio::test]
    async fn who_dies_between_fold_and_removal_leaves_nothing_counted_twice() {
        let (store, then) = (store(), Instant::now());
        let mut ledger = written(&store, 1500, then).await;
        assert_eq!(ledger.fold(then + AGE, |_| false).await.unwrap(), 1500);
        // As if some had not been removed.
        for number in 100..200 {
            let bytes = serde_json::to_vec(&entry(number)).unwrap();
            store.put(&keys::ledger(MONTH, &id(number)), bytes.into()).await.unwrap();
        }
        assert_eq!(said(&store).await, expected(0..1500));
        let mut next = Ledger::read(store.clone(), MONTH.to_owned(), then).await.unwrap();
        assert_eq!(next.fold(then, |_| false).await.unwrap(), 0);
        assert_eq!(store.list(&keys::ledger_of(MONTH)).await.unwrap().len(), 0, "they are removed");
        assert_eq!(said(&store).await, expected(0..1500));
    }

    #[tokio::test]
    async fn two_leaders_do_not_both_fold() {
        let (store, then) = (store(), Instant::now());
        let mut old = written(&store, 1200, then).await;
        let mut new = Ledger::read(store.clone(), MONTH.to_owned(), then).await.unwrap();
        for number in 1200..1300 {
            assert_eq!(write(&mut new, MONTH, number, then).await, number as u64);
        }
        assert_eq!(new.fold(then + AGE, |_| false).await.unwrap(), 1300);
        let refused = old.fold(then + AGE, |_| false).await;
        assert!(matches!(refused, Err(TreasuryError::Fenced(_))), "{refused:?}");
        assert_eq!(said(&store).await, expected(0..1300));
    }

    #[tokio::test]
    async fn what_cannot_be_read_stops_the_leader() {
        let store = store();
        store.put(&keys::ledger(MONTH, &id(1)), "{".into()).await.unwrap();
        let error = Ledger::read(store, MONTH.to_owned(), Instant::now()).await.err().unwrap().to_string();
        assert!(error.starts_with("ledger/2026-01/job-1 cannot be read"), "{error}");
    }

    #[tokio::test]
    async fn another_months_jobs_are_written_there() {
        let (store, then) = (store(), Instant::now());
        let mut ledger = written(&store, 3, then).await;
        assert_eq!(write(&mut ledger, "2025-12", 9, then).await, 9);
        assert_eq!(*ledger.spent(), expected(0..3).0);
        assert_eq!(store.list(&keys::ledger_of("2025-12")).await.unwrap().len(), 1);
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

        /// Whenever leaders change and whatever is asked for twice: each job counts once.
        #[test]
        fn each_job_counts_once(steps in prop::collection::vec((0usize..4000, 0usize..1200, any::<bool>()), 1..6)) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let (store, mut now) = (store(), Instant::now());
                let mut ledger = Ledger::read(store.clone(), MONTH.to_owned(), now).await.unwrap();
                let mut seen = BTreeSet::new();
                for (first, count, changes) in steps {
                    for number in first..first + count {
                        // What was folded before the last fold is asked for no more.
                        if seen.insert(number) || ledger.open.contains_key(&id(number)) {
                            assert_eq!(write(&mut ledger, MONTH, number, now).await, number as u64);
                        }
                    }
                    now += AGE;
                    ledger.fold(now, |_| false).await.unwrap();
                    if changes {
                        ledger = Ledger::read(store.clone(), MONTH.to_owned(), now).await.unwrap();
                    }
                    let is = (ledger.spent().clone(), ledger.lane_micro_usd());
                    prop_assert_eq!(is, expected(seen.iter().copied()));
                }
                prop_assert_eq!(said(&store).await, expected(seen.iter().copied()));
                Ok(())
            })?;
        }
    }
}
