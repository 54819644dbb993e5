//! Tables that jobs count on stay until those have ended, whatever lifecycle rule the cache has: a job may wait for weeks.

use std::collections::BTreeSet;

use blockgrid_grid::plan::Cached;
use blockgrid_grid::{Plan, Store, StoreError};

/// Seconds after which a table that is counted on is written anew: far fewer than the cache is kept.
pub(super) const A_DAY: i64 = 86_400;

/// Whether an object was not written today, seconds since 1970 being `now`.
///
/// # Errors
/// A store that does not answer. An object that is not there is old.
pub(super) async fn is_old(store: &Store, key: &str, now: i64) -> Result<bool, StoreError> {
    match store.head(key).await {
        Ok(entry) => Ok(now.saturating_sub(entry.modified) >= A_DAY),
        Err(error) if error.is_unavailable() => Err(error),
        Err(_) => Ok(true),
    }
}

/// Writes the tables anew that a plan counts on and that were not written today. Whoever lets jobs wait asks for it each
/// day.
///
/// # Errors
/// A store that does not answer. What is gone or damaged is passed over: the job that needs it says so.
pub async fn keep(store: &Store, plan: &Plan, now: i64) -> Result<(), StoreError> {
    keep_all(store, plan.cached.iter(), now).await
}

async fn keep_all(store: &Store, cached: impl Iterator<Item = &Cached>, now: i64) -> Result<(), StoreError> {
    let mut seen = BTreeSet::new();
    for result in cached.map(|cached| &cached.result) {
        if !seen.insert(&result.key) || !is_old(store, &result.key, now).await? {
            continue;
        }
        match store.get_checked(&result.key, &result.sha256).await {
            Ok(bytes) => {
                store.put(&result.key, bytes).await?;
            }
            Err(error) if error.is_unavailable() => return Err(error),
            Err(error) => {
                tracing::warn!(%error, key = result.key, "a table that a job counts on is not there as it was");
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use blockgrid_grid::store::sha256;
    use blockgrid_grid::{ObjectRef, Options};

    use super::*;

    #[tokio::test]
    async fn a_table_that_a_job_waits_for_is_written_anew_once_a_day() {
        let folder = std::env::temp_dir().join(format!("blockgrid-alive-{}", std::process::id()));
        let store = Store::open(&folder.to_string_lossy(), &Options::default()).unwrap();
        let (kept, other) = ("cache/t/f/kept", "cache/t/f/other");
        for key in [kept, other] {
            store.put(key, key.into()).await.unwrap();
        }
        let written =
            || [kept, other].map(|key| std::fs::metadata(folder.join(key)).unwrap().modified().unwrap());
        let counts = |key: &str, bytes: &str| {
            let result = ObjectRef { key: key.to_owned(), sha256: sha256(bytes.as_bytes()), bytes: 1 };
            Cached { symbol: 0, result, trials: Default::default() }
        };
        let cached = [counts(kept, kept), counts("cache/t/f/gone", "gone"), counts(other, "damaged")];
        let (before, made) = (written(), store.head(kept).await.unwrap().modified);
        assert!(is_old(&store, "cache/t/f/gone", made).await.unwrap());
        keep_all(&store, cached.iter(), made + A_DAY - 2).await.unwrap();
        assert_eq!(written(), before, "a day has not passed");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        keep_all(&store, cached.iter(), made + A_DAY + 1).await.unwrap();
        let after = written();
        std::fs::remove_dir_all(&folder).unwrap();
        assert!(after[0] > before[0] && after[1] == before[1], "it is as new, and what is damaged is not");
    }
}
