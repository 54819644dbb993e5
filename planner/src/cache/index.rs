//! The index of a family: what each finished job left, an object for each. Whoever finds many folds them into one, so that
//! somebody who varies a strategy all day does not wait longer with each job.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};

use blockgrid_grid::cached::CachedTables;
use blockgrid_grid::store::{Entry, keys, sha256};
use blockgrid_grid::{Store, StoreError};
use futures::{StreamExt, TryStreamExt, stream};

use super::AT_ONCE;

/// Objects that are read at most, folded ones and the latest.
const MOST_READ: usize = 64;

/// What jobs left is folded when there is so much of it.
const LOOSE: usize = 8;

/// Bytes of what a job left that is folded; what one of many shards left is read by itself.
const SMALL: u64 = 16 << 10;

/// Tables that are folded into one object at most, the latest: each takes 300 bytes, and 20 for each value that it names.
const MOST_FOLDED: usize = 500;

/// What folded objects are called. A job's bears its uid.
const FOLDED: &str = "folded-";

/// What there is in an index, the latest first; tables that were made on the same candles together.
///
/// # Errors
/// A store that does not answer. What cannot be read is passed over.
pub(super) async fn read(store: &Store, place: &str) -> Result<Vec<CachedTables>, StoreError> {
    let mut listed = store.list(place).await?;
    let latest_first = |entry: &Entry| (!is_folded(entry), Reverse(entry.modified));
    listed.sort_by(|a, b| latest_first(a).cmp(&latest_first(b)).then_with(|| a.key.cmp(&b.key)));
    listed.truncate(MOST_READ);
    let read = listed.iter().map(|entry| async move {
        let bytes = match store.get(&entry.key).await {
            Ok(bytes) => bytes,
            Err(error) if error.is_unavailable() => return Err(error),
            Err(_) => return Ok(None),
        };
        let tables = if is_folded(entry) {
            serde_json::from_slice(&bytes).unwrap_or_default()
        } else {
            serde_json::from_slice(&bytes).map(|tables| vec![tables]).unwrap_or_default()
        };
        Ok(Some((entry, tables)))
    });
    let read: Vec<Option<(&Entry, Vec<CachedTables>)>> =
        stream::iter(read.collect::<Vec<_>>()).buffered(AT_ONCE).try_collect().await?;
    let mut found: Vec<(&Entry, Vec<CachedTables>)> = read.into_iter().flatten().collect();
    // What is folded is older than what is not.
    found.sort_by_key(|(entry, _)| is_folded(entry));
    let small: Vec<&(&Entry, Vec<CachedTables>)> =
        found.iter().filter(|(entry, _)| is_folded(entry) || entry.size <= SMALL).collect();
    if small.len() > LOOSE {
        let tables = together(small.iter().flat_map(|(_, tables)| tables), MOST_FOLDED);
        let keys: Vec<&str> = small.iter().map(|(entry, _)| entry.key.as_str()).collect();
        if let Err(error) = fold(store, place, &tables, &keys).await {
            tracing::debug!(%error, place, "the index of a family is not folded");
        }
    }
    Ok(together(found.iter().flat_map(|(_, tables)| tables), usize::MAX))
}

fn is_folded(entry: &Entry) -> bool {
    keys::name(&entry.key).starts_with(FOLDED)
}

/// Puts one object in the place of many. It is there before they go: who lists in between finds everything, some of it twice.
async fn fold(store: &Store, place: &str, tables: &[CachedTables], keys: &[&str]) -> Result<(), StoreError> {
    let bytes = serde_json::to_vec(tables)
        .map_err(|error| StoreError::Other { key: place.to_owned(), problem: error.to_string() })?;
    let key = format!("{place}/{FOLDED}{}", &sha256(&bytes)[..32]);
    store.put(&key, bytes.into()).await?;
    let others: Vec<String> =
        keys.iter().filter(|known| **known != key).map(|&known| known.to_owned()).collect();
    store.delete_all(&others).await
}

/// Tables by the candles that they were made on, each once, the first of them at most.
fn together<'a>(all: impl Iterator<Item = &'a CachedTables>, most: usize) -> Vec<CachedTables> {
    let mut places: HashMap<(u64, &str), usize> = HashMap::new();
    let mut seen: HashSet<&str> = HashSet::new();
    let mut found: Vec<CachedTables> = Vec::new();
    for tables in all {
        let new = tables.results.iter().filter(|table| seen.len() < most && seen.insert(&table.result.key));
        let new: Vec<_> = new.cloned().collect();
        if new.is_empty() {
            continue;
        }
        let place = *places.entry((tables.candles, &tables.digest)).or_insert_with(|| {
            found.push(CachedTables { results: Vec::new(), ..tables.clone() });
            found.len() - 1
        });
        found[place].results.extend(new);
    }
    found
}

#[cfg(test)]
mod tests {
    use blockgrid_grid::cached::{CachedTable, Values};
    use blockgrid_grid::{ObjectRef, Options};

    use super::*;

    const PLACE: &str = "cache/team/index/f";

    fn left(job: u32, candles: u64) -> CachedTables {
        let result = ObjectRef { key: format!("cache/team/f/{job}"), sha256: "00".to_owned(), bytes: 1 };
        let values = vec![Values::of(&[f64::from(job)])];
        CachedTables { candles, digest: candles.to_string(), results: vec![CachedTable { result, values }] }
    }

    async fn leave(store: &Store, job: u32, candles: u64) {
        let bytes = serde_json::to_vec(&left(job, candles)).unwrap();
        store.put(&format!("{PLACE}/job-{job:03}"), bytes.into()).await.unwrap();
    }

    fn names(index: &[CachedTables]) -> Vec<String> {
        let tables = index.iter().flat_map(|tables| &tables.results);
        let mut names: Vec<String> = tables.map(|table| keys::name(&table.result.key).to_owned()).collect();
        names.sort();
        names
    }

    #[tokio::test]
    async fn what_many_jobs_left_is_read_as_one_and_nothing_of_it_is_lost() {
        let store = Store::open("memory:", &Options::default()).unwrap();
        let mut expected = Vec::new();
        for job in 0..100 {
            leave(&store, job, 50 + u64::from(job % 3)).await;
            expected.push(job.to_string());
            expected.sort();
            let index = read(&store, PLACE).await.unwrap();
            assert_eq!(names(&index), expected);
            assert!(index.len() <= 3, "one entry for each stretch of candles");
            let objects = store.list(PLACE).await.unwrap();
            assert!(objects.len() <= LOOSE, "{} after {job}", objects.len());
        }
        // What somebody else folded at the same time, or is damaged, is no harm.
        let twice = serde_json::to_vec(&[left(3, 50), left(7, 51)]).unwrap();
        store.put(&format!("{PLACE}/{FOLDED}other"), twice.into()).await.unwrap();
        store.put(&format!("{PLACE}/{FOLDED}damaged"), "[{".into()).await.unwrap();
        store.put(&format!("{PLACE}/job-damaged"), "{}".into()).await.unwrap();
        assert_eq!(names(&read(&store, PLACE).await.unwrap()), expected);
    }

    /// As many as fit, and the latest of them: a day of work on one strategy does not push out its last hour.
    #[tokio::test]
    async fn the_oldest_are_forgotten_first() {
        let store = Store::open("memory:", &Options::default()).unwrap();
        for job in 0..u32::try_from(MOST_FOLDED).unwrap() + 40 {
            leave(&store, job, 50).await;
            read(&store, PLACE).await.unwrap();
        }
        let known = names(&read(&store, PLACE).await.unwrap());
        assert!((MOST_FOLDED..=MOST_FOLDED + LOOSE).contains(&known.len()), "{}", known.len());
        assert!(known.contains(&"539".to_owned()) && !known.contains(&"7".to_owned()));
    }

    #[test]
    fn the_latest_tables_are_kept_where_there_are_too_many() {
        let all: Vec<CachedTables> = (0..10).map(|job| left(job, 50)).collect();
        assert_eq!(names(&together(all.iter().chain(&all), 3)), ["0", "1", "2"]);
        assert_eq!(names(&together(all.iter(), usize::MAX)).len(), 10);
    }
}
