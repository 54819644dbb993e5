//! The index of a family: what each finished job left, an object for each. Whoever finds many folds them into one, so that
//! somebody who varies a strategy all day does not wait longer with each job.

use std::collections::HashSet;

use blockgrid_grid::cached::CachedTables;
use blockgrid_grid::store::{Entry, keys, sha256};
use blockgrid_grid::{Store, StoreError};
use futures::{StreamExt, TryStreamExt, stream};

use super::AT_ONCE;

/// Objects that are read at most, folded ones and the latest.
const MOST_READ: usize = 64;

/// What jobs left is folded when there are more objects than this of it, and than the [`SHARE`]th part of what is folded: a
/// large one is not written anew for each few jobs.
const LOOSE: usize = 8;
const SHARE: usize = 32;

/// Looks at an index that is folded meanwhile.
const LOOKS: usize = 4;

/// Bytes of what a job left that is folded; what one of many shards left is read by itself.
const SMALL: u64 = 16 << 10;

/// Tables that are folded into one object at most, the latest: each takes 300 bytes, and 20 for each value that it names.
const MOST_FOLDED: usize = 500;

/// What folded objects are called. A job's bears its uid.
const FOLDED: &str = "folded-";

/// An object of an index that could be read.
struct Found {
    entry: Entry,
    left: Vec<CachedTables>,
}

/// What there is in an index, the latest first.
///
/// # Errors
/// A store that does not answer. What cannot be read is passed over.
pub(super) async fn read(store: &Store, place: &str) -> Result<Vec<CachedTables>, StoreError> {
    let (mut found, mut is_whole) = look(store, place).await?;
    for _ in 1..LOOKS {
        if is_whole {
            break;
        }
        // Somebody has folded it meanwhile: what was there is there under another name.
        (found, is_whole) = look(store, place).await?;
    }
    let small: Vec<&Found> = found.iter().filter(|found| is_small(&found.entry)).collect();
    let folded: usize =
        small.iter().filter(|found| is_folded(&found.entry)).map(|found| found.left.len()).sum();
    if is_whole && small.len() > (LOOSE + folded / SHARE).min(MOST_READ / 2) {
        let left = latest(small.iter().flat_map(|found| &found.left), MOST_FOLDED);
        let keys: Vec<&str> = small.iter().map(|found| found.entry.key.as_str()).collect();
        if let Err(error) = fold(store, place, &left, &keys).await {
            tracing::debug!(%error, place, "the index of a family is not folded");
        }
    }
    Ok(latest(found.iter().flat_map(|found| &found.left), usize::MAX))
}

/// The objects of an index, and whether all were there that it listed.
async fn look(store: &Store, place: &str) -> Result<(Vec<Found>, bool), StoreError> {
    let mut listed = store.list(place).await?;
    listed.sort_by_key(|entry| (!is_folded(entry), -entry.modified));
    listed.truncate(MOST_READ);
    let read = listed.into_iter().map(|entry| async move {
        match store.get(&entry.key).await {
            Ok(bytes) => Ok((parsed(entry, &bytes), true)),
            Err(error) if error.is_unavailable() => Err(error),
            Err(error) => Ok((None, !error.is_not_found())),
        }
    });
    let read: Vec<(Option<Found>, bool)> =
        stream::iter(read.collect::<Vec<_>>()).buffered(AT_ONCE).try_collect().await?;
    let is_whole = read.iter().all(|(_, was_there)| *was_there);
    Ok((read.into_iter().filter_map(|(found, _)| found).collect(), is_whole))
}

fn parsed(entry: Entry, bytes: &[u8]) -> Option<Found> {
    let left = if is_folded(&entry) {
        serde_json::from_slice(bytes).ok()?
    } else {
        let left: CachedTables = serde_json::from_slice(bytes).ok()?;
        vec![CachedTables { left: entry.modified, said_by: Some(entry.key.clone()), ..left }]
    };
    Some(Found { entry, left })
}

fn is_small(entry: &Entry) -> bool {
    is_folded(entry) || entry.size <= SMALL
}

fn is_folded(entry: &Entry) -> bool {
    keys::name(&entry.key).starts_with(FOLDED)
}

/// Has an index say what it says already as if it were new, so that it says so for as long.
///
/// # Errors
/// [`StoreError`].
pub(super) async fn renew(
    store: &Store,
    place: &str,
    found: &[CachedTables],
    now: i64,
) -> Result<(), StoreError> {
    let mut folded = Vec::new();
    for left in found {
        let Some(key) = &left.said_by else {
            folded.push(CachedTables { left: now, ..left.clone() });
            continue;
        };
        // What many shards left stays by itself.
        match store.get(key).await {
            Ok(bytes) => {
                store.put(key, bytes).await?;
            }
            // Somebody has folded it.
            Err(StoreError::NotFound { .. }) => folded.push(CachedTables { left: now, ..left.clone() }),
            Err(error) => return Err(error),
        }
    }
    if !folded.is_empty() {
        leave(store, place, &folded).await?;
    }
    Ok(())
}

/// Writes a folded object; its key.
async fn leave(store: &Store, place: &str, left: &[CachedTables]) -> Result<String, StoreError> {
    let bytes = serde_json::to_vec(left)
        .map_err(|error| StoreError::Other { key: place.to_owned(), problem: error.to_string() })?;
    let key = format!("{place}/{FOLDED}{}", &sha256(&bytes)[..32]);
    store.put(&key, bytes.into()).await?;
    Ok(key)
}

/// Puts one object in the place of many. It is there before they go: who lists in between finds everything, some of it twice.
async fn fold(store: &Store, place: &str, left: &[CachedTables], keys: &[&str]) -> Result<(), StoreError> {
    let key = leave(store, place, left).await?;
    let others: Vec<String> =
        keys.iter().filter(|known| **known != key).map(|&known| known.to_owned()).collect();
    store.delete_all(&others).await
}

/// The latest of what jobs left, each table on each stretch of candles once, and so many of them at most.
fn latest<'a>(all: impl Iterator<Item = &'a CachedTables>, most: usize) -> Vec<CachedTables> {
    let mut all: Vec<&CachedTables> = all.collect();
    all.sort_by_key(|left| -left.left);
    let mut seen: HashSet<(u64, &str, &str)> = HashSet::new();
    let once = all.into_iter().map(|left| {
        let mut is_new = |key: &'a str| seen.len() < most && seen.insert((left.candles, &left.digest, key));
        let results = left.results.iter().filter(|table| is_new(&table.result.key)).cloned().collect();
        CachedTables { results, ..left.clone() }
    });
    once.filter(|left| !left.results.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use blockgrid_grid::cached::{CachedTable, Values};
    use blockgrid_grid::{ObjectRef, Options};

    use super::*;

    const PLACE: &str = "cache/team/index/f";

    fn left(job: u32, candles: u64) -> CachedTables {
        let result = ObjectRef { key: format!("cache/team/f/{job}"), sha256: "00".to_owned(), bytes: 1 };
        let results = vec![CachedTable { result, values: vec![Values::of(&[f64::from(job)])] }];
        CachedTables {
            left: i64::from(job),
            candles,
            digest: candles.to_string(),
            is_warm: true,
            results,
            said_by: None,
        }
    }

    async fn leave(store: &Store, job: u32, candles: u64) {
        let bytes = serde_json::to_vec(&left(job, candles)).unwrap();
        store.put(&format!("{PLACE}/job-{job:03}"), bytes.into()).await.unwrap();
    }

    fn names(index: &[CachedTables]) -> Vec<u32> {
        let tables = index.iter().flat_map(|left| &left.results);
        let mut names: Vec<u32> =
            tables.map(|table| keys::name(&table.result.key).parse().unwrap()).collect();
        names.sort_unstable();
        names
    }

    #[tokio::test]
    async fn what_many_jobs_left_is_read_as_one_and_nothing_of_it_is_lost() {
        let store = Store::open("memory:", &Options::default()).unwrap();
        for job in 0..100 {
            leave(&store, job, 50 + u64::from(job % 3)).await;
            let index = read(&store, PLACE).await.unwrap();
            assert_eq!(names(&index), (0..=job).collect::<Vec<_>>());
            let objects = store.list(PLACE).await.unwrap();
            assert!(objects.len() <= LOOSE + 100 / SHARE, "{} after {job}", objects.len());
        }
        // What somebody else folded at the same time, or nobody can read, is no harm, and stays.
        let twice = serde_json::to_vec(&[left(3, 50), left(7, 51)]).unwrap();
        store.put(&format!("{PLACE}/{FOLDED}other"), twice.into()).await.unwrap();
        let unreadable = [format!("{PLACE}/{FOLDED}damaged"), format!("{PLACE}/job-damaged")];
        for key in &unreadable {
            store.put(key, "[{".into()).await.unwrap();
        }
        for job in 100..120 {
            leave(&store, job, 50).await;
            assert_eq!(names(&read(&store, PLACE).await.unwrap()), (0..=job).collect::<Vec<_>>());
        }
        for key in &unreadable {
            store.head(key).await.unwrap();
        }
    }

    /// Several plans at once, each of which may fold what another is about to read.
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn whoever_reads_while_others_fold_finds_everything() {
        let store = Store::open("memory:", &Options::default()).unwrap();
        // Fewer than are forgotten.
        for round in 0..24 {
            for job in round * 20..(round + 1) * 20 {
                leave(&store, job, 50).await;
            }
            let looks = (0..4).map(|_| {
                let store = store.clone();
                tokio::spawn(async move { names(&read(&store, PLACE).await.unwrap()) })
            });
            for look in futures::future::join_all(looks).await {
                assert_eq!(look.unwrap(), (0..(round + 1) * 20).collect::<Vec<_>>());
            }
        }
    }

    /// What was renewed of a job of many shards does not take the place of small ones, nor keep them from being folded.
    #[tokio::test]
    async fn what_is_renewed_stays_as_it_was() {
        let store = Store::open("memory:", &Options::default()).unwrap();
        let many = CachedTables {
            results: (1000..2000).flat_map(|job| left(job, 50).results).collect(),
            ..left(1000, 50)
        };
        store.put(&format!("{PLACE}/job-large"), serde_json::to_vec(&many).unwrap().into()).await.unwrap();
        leave(&store, 1, 50).await;
        for now in [2_000_000_000, 2_000_100_000] {
            let found = read(&store, PLACE).await.unwrap();
            renew(&store, PLACE, &found, now).await.unwrap();
            for job in 0..40 {
                leave(&store, 2 + job, 50).await;
                let known: Vec<u32> = (1..=41.min(2 + job)).chain(1000..2000).collect();
                let found = names(&read(&store, PLACE).await.unwrap());
                assert!(known.iter().all(|job| found.contains(job)), "{} of {}", found.len(), known.len());
            }
            let objects = store.list(PLACE).await.unwrap();
            assert!(objects.len() <= 2 + LOOSE + 40 / SHARE, "{} objects", objects.len());
            assert!(objects.iter().any(|entry| entry.key.ends_with("job-large")));
        }
        let found = read(&store, PLACE).await.unwrap();
        assert!(
            found.iter().any(|left| left.said_by.is_none() && left.left == 2_000_100_000),
            "as if it were new"
        );
    }

    /// As many as fit, and the latest of them, whatever candles they are on.
    #[test]
    fn the_oldest_are_forgotten_first() {
        let all: Vec<CachedTables> = (0..2000).map(|job| left(job, 50 + u64::from(job % 2))).collect();
        assert_eq!(names(&latest(all.iter(), 500)), (1500..2000).collect::<Vec<_>>());
        // A table is one of each stretch.
        let twice = [left(7, 50), left(7, 51), left(7, 50)];
        assert_eq!(names(&latest(twice.iter(), usize::MAX)), [7, 7]);
    }

    #[tokio::test]
    async fn an_entry_that_does_not_say_its_values_is_kept() {
        let store = Store::open("memory:", &Options::default()).unwrap();
        let old =
            r#"{"candles":50,"digest":"50","results":[{"key":"cache/team/f/1","sha256":"00","bytes":1}]}"#;
        store.put(&format!("{PLACE}/job-old"), old.into()).await.unwrap();
        for job in 2..30 {
            leave(&store, job, 50).await;
            let index = read(&store, PLACE).await.unwrap();
            let mut tables = index.iter().flat_map(|left| &left.results);
            let table = tables.find(|table| table.result.key.ends_with("/1")).unwrap();
            assert!(table.may_have(&[vec![0.5]]));
        }
    }
}
