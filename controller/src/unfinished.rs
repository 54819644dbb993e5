//! What a job has computed that ended without results: later jobs of its namespace find it, and compute the rest.

use std::collections::BTreeMap;

use blockgrid_grid::cached::{CachedTable, Values, leave};
use blockgrid_grid::store::keys;
use blockgrid_grid::{JobId, ObjectRef, Outcome, Plan, Store, StoreError, Unit};
use futures::{StreamExt, TryStreamExt, stream};

/// Outcomes that are read at a time.
const AT_ONCE: usize = 32;

/// Offers the shards of a job that are done to later jobs.
///
/// # Errors
/// The store. What cannot be read is passed over.
pub(crate) async fn offer(store: &Store, id: &JobId) -> Result<(), StoreError> {
    let plan = match store.get(&keys::plan(id)).await {
        Ok(bytes) => serde_json::from_slice::<Plan>(&bytes).ok(),
        Err(StoreError::NotFound { .. } | StoreError::Corrupt { .. }) => None,
        Err(error) => return Err(error),
    };
    let Some(plan) = plan else { return Ok(()) };
    let listed = store.list(&keys::outcomes(id)).await?;
    let shards = listed.iter().filter_map(|entry| match keys::name(&entry.key).parse() {
        Ok(Unit::Shard(number)) => Some((number, entry.key.clone())),
        _ => None,
    });
    let read = shards.map(|(number, key)| async move {
        match store.get(&key).await {
            Ok(bytes) => {
                Ok(serde_json::from_slice(&bytes).ok().and_then(whole).map(|result| (number, result)))
            }
            Err(error) if error.is_unavailable() => Err(error),
            Err(_) => Ok(None),
        }
    });
    let found: Vec<Option<(u64, ObjectRef)>> =
        stream::iter(read.collect::<Vec<_>>()).buffer_unordered(AT_ONCE).try_collect().await?;
    leave(store, id, &plan, tables(&plan, found.into_iter().flatten())).await
}

/// The table of a shard of which no trial failed. The rest of an outcome may be long, and there are many.
fn whole(outcome: Outcome) -> Option<ObjectRef> {
    match outcome {
        Outcome::Done { result, failed_trials, .. } if failed_trials.is_empty() => Some(result),
        _ => None,
    }
}

/// The tables of shards, by the place of their symbol.
fn tables(plan: &Plan, done: impl Iterator<Item = (u64, ObjectRef)>) -> BTreeMap<u32, Vec<CachedTable>> {
    let job = blockgrid_job::manifest::resolved(&plan.manifest, |_| false).ok();
    let mut tables: BTreeMap<u32, Vec<CachedTable>> = BTreeMap::new();
    for (number, result) in done {
        let is_of = |family: &str| {
            !family.is_empty() && keys::cache(&plan.tenant, family, keys::name(&result.key)) == result.key
        };
        let symbol = plan.inputs.symbols.iter().position(|symbol| is_of(&symbol.family));
        let Some(symbol) = symbol.and_then(|place| u32::try_from(place).ok()) else { continue };
        // What is in a part of the plan is read by whoever looks for trials.
        let shard = plan.inline.iter().find(|shard| shard.number == number);
        let values = shard.zip(job.as_ref()).map_or_else(Vec::new, |(shard, job)| {
            let grid = job.grid();
            let mut columns = vec![Vec::new(); grid.axes().len()];
            for trial in shard.trials.iter() {
                let values = grid.swept(usize::try_from(trial).unwrap_or(usize::MAX));
                columns.iter_mut().zip(values).for_each(|(column, value)| column.push(value));
            }
            columns.iter().map(|column| Values::of(column)).collect()
        });
        tables.entry(symbol).or_default().push(CachedTable { result, values });
    }
    tables
}
