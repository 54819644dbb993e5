//! Trials that were computed before: found by everything that their rows depend on.
//!
//! A *family* names all of that but the swept parameters and the history before the run: engine, strategy, execution,
//! metrics, the traded candles. Each job that finishes leaves in the index of a family which tables it made, and on which
//! history. A trial asks for as much history as its own indicators need, so a table made on enough of it holds for every
//! longer one that ends with it; whether ours does is compared by digest. One that was made where history was too short
//! holds for that history alone.

mod alive;
mod index;

use std::collections::{BTreeSet, HashMap, HashSet};

use blockgrid_datasets::digest;
use blockgrid_grid::cached::{self, CachedTables};
use blockgrid_grid::plan::Cached;
use blockgrid_grid::store::keys;
use blockgrid_grid::{ENGINE, Store, StoreError, Tenant};
use blockgrid_job::Job;
use blockgrid_job::plan::Slices;
use futures::{StreamExt, TryStreamExt, stream};
use rayon::prelude::*;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::candles::{JobCandles, SymbolCandles};

pub use alive::keep;

/// Bytes of tables that a plan reads at most to find trials in: beyond, computing is as cheap as looking.
const MOST_BYTES: u64 = 256 << 20;

/// Candles that a plan digests at most to find out on which ones tables were made, or four times its own where those are
/// many: half a second of one processor.
const MOST_DIGESTED: usize = 4 << 20;

/// Objects that are read at a time.
const AT_ONCE: usize = 16;

/// The families of a job's symbols, in their order.
pub fn families(job: &Job, data: &JobCandles, kernel: &str) -> Vec<String> {
    data.symbols.par_iter().map(|symbol| family(job, data, kernel, symbol)).collect()
}

fn family(job: &Job, data: &JobCandles, kernel: &str, symbol: &SymbolCandles) -> String {
    let manifest = job.spec().manifest();
    let spec = &manifest["spec"];
    let axes: Vec<&str> = job.grid().axes().iter().map(|axis| axis.name.as_str()).collect();
    let mut strategy = spec["strategy"].clone();
    if let Some(parameters) = strategy["parameters"].as_object_mut() {
        parameters.retain(|name, _| !axes.contains(&name.as_str()));
    }
    let rules = json!([symbol.rules.lot, symbol.rules.tick, symbol.rules.min_notional]);
    let from = symbol.candles.timestamp()[symbol.run.start];
    let unfilled = &symbol.unfilled;
    let start = unfilled.timestamp().partition_point(|&at| at < from);
    let traded = digest(&symbol.name, &unfilled.slice(start..unfilled.len()));
    let on: Value = json!({
        "engine": ENGINE,
        "kernel": kernel,
        "strategy": strategy,
        "axes": axes,
        "execution": spec["execution"],
        "metrics": spec["output"]["metrics"],
        "fill": spec["data"]["fill"],
        "interval": data.interval,
        "rules": rules,
        "traded": traded,
        "bars": symbol.run.len(),
    });
    Sha256::digest(on.to_string()).iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

/// Trials that a tenant's earlier jobs have computed, by the table that holds them.
///
/// # Errors
/// The store. What it does not have any more, or has damaged, is computed again.
pub async fn find(
    store: &Store,
    tenant: &Tenant,
    job: &Job,
    data: &JobCandles,
    (families, now): (&[String], i64),
) -> Result<Vec<Cached>, StoreError> {
    let mut cached = Vec::new();
    for ((place, symbol), family) in (0..).zip(&data.symbols).zip(families) {
        cached.extend(find_symbol(store, tenant, job, (place, symbol), (family, now)).await?);
    }
    Ok(cached)
}

async fn find_symbol(
    store: &Store,
    tenant: &Tenant,
    job: &Job,
    (place, symbol): (u32, &SymbolCandles),
    (family, now): (&str, i64),
) -> Result<Vec<Cached>, StoreError> {
    let place_of_index = keys::cache_index(tenant, family);
    let mut index = index::read(store, &place_of_index).await?;
    if index.is_empty() {
        return Ok(Vec::new());
    }
    let mut axes = vec![BTreeSet::new(); job.grid().axes().len()];
    let mut wanted: HashMap<Vec<u64>, u64> = HashMap::new();
    for trial in 0..job.grid().len() {
        let key = bits(job.grid().swept(trial));
        axes.iter_mut().zip(&key).for_each(|(axis, value)| {
            axis.insert(*value);
        });
        wanted.insert(key, trial as u64);
    }
    let axes: Vec<Vec<f64>> =
        axes.into_iter().map(|axis| axis.into_iter().map(f64::from_bits).collect()).collect();
    for left in &mut index {
        left.results.retain(|table| table.may_have(&axes));
    }
    index.retain(|left| !left.results.is_empty());
    let mut stretches = Stretches { symbol, digested: 0, known: HashMap::new() };
    index.retain(|left| stretches.are_the_last_of_ours(left));
    let (mut cached, mut bytes, mut seen) = (Vec::new(), 0, HashSet::new());
    let may_help = index.iter().flat_map(|left| left.results.iter().map(move |table| (left, table)));
    let few = may_help.filter(|(_, table)| seen.insert(&table.result.key)).take_while(|(_, table)| {
        bytes += table.result.bytes;
        bytes <= MOST_BYTES
    });
    let read = few.map(|(left, table)| async move {
        match store.get_checked(&table.result.key, &table.result.sha256).await {
            Ok(bytes) => Ok(Some((left, table, bytes))),
            Err(error) if error.is_unavailable() => Err(error),
            Err(_) => Ok(None),
        }
    });
    let mut read = stream::iter(read.collect::<Vec<_>>()).buffered(AT_ONCE);
    let mut old: Vec<CachedTables> = Vec::new();
    while !wanted.is_empty()
        && let Some(table) = read.try_next().await?
    {
        let Some((left, table, bytes)) = table else { continue };
        let Ok(parameters) = blockgrid_grid::plan::parameters(bytes.clone(), axes.len()) else { continue };
        let found = parameters.into_iter().filter_map(|values| wanted.remove(&bits(values)));
        let trials: Slices = found.collect();
        if !trials.is_empty() {
            let result = table.result.clone();
            if alive::is_old(store, &result.key, now).await? {
                store.put(&result.key, bytes).await?;
            }
            if now.saturating_sub(left.left) >= alive::A_DAY {
                let is_known = |old: &CachedTables| old.said_by.is_some() && old.said_by == left.said_by;
                if !old.iter().any(is_known) {
                    old.push(CachedTables { results: vec![table.clone()], ..left.clone() });
                }
            }
            cached.push(Cached { symbol: place, result, trials });
        }
    }
    // What names a table lives on with it.
    if !old.is_empty()
        && let Err(error) = index::renew(store, &place_of_index, &old, now).await
    {
        tracing::debug!(%error, family, "the index of a family is not written anew");
    }
    Ok(cached)
}

/// Which stretches of candles end as a symbol's do.
struct Stretches<'a> {
    symbol: &'a SymbolCandles,
    /// Candles that were digested to find out.
    digested: usize,
    known: HashMap<(u64, String), bool>,
}

impl Stretches<'_> {
    /// Whether the candles that tables were made on are ours, or the last ones of ours where their trials need no more. Of
    /// too many stretches nobody asks, the latest first: computing is as cheap.
    fn are_the_last_of_ours(&mut self, tables: &CachedTables) -> bool {
        let (candles, len) = (&self.symbol.unfilled, self.symbol.unfilled.len());
        let count = usize::try_from(tables.candles).unwrap_or(usize::MAX);
        if count >= len {
            return count == len && tables.digest == self.symbol.digest;
        }
        if !tables.is_warm {
            return false;
        }
        let stretch = (tables.candles, tables.digest.clone());
        if let Some(known) = self.known.get(&stretch) {
            return *known;
        }
        if self.digested.saturating_add(count) > MOST_DIGESTED.max(4 * len) {
            return false;
        }
        self.digested += count;
        let are = digest(&self.symbol.name, &candles.slice(len - count..len)) == tables.digest;
        self.known.insert(stretch, are);
        are
    }
}

/// Values as a key.
fn bits(values: Vec<f64>) -> Vec<u64> {
    values.into_iter().map(cached::bits).collect()
}
