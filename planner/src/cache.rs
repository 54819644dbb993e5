//! Trials that were computed before: found by everything that their rows depend on.
//!
//! A *family* names all of that but the swept parameters and the history before the run: engine, strategy, execution,
//! metrics, the traded candles. Each job that finishes leaves in the index of a family which tables it made, and on which
//! history. A trial asks for as much history as its own indicators need, so a table made on some history holds for every
//! longer one that ends with it; whether ours does is compared by digest.

use std::collections::HashMap;

use blockgrid_datasets::digest;
use blockgrid_grid::plan::{Cached, CachedTables};
use blockgrid_grid::store::keys;
use blockgrid_grid::{ENGINE, Store, StoreError, Tenant};
use blockgrid_job::Job;
use blockgrid_job::plan::Slices;
use rayon::prelude::*;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::candles::{JobCandles, SymbolCandles};

/// Bytes of tables that a plan reads at most to find trials in: beyond, computing is as cheap as looking.
const MOST_BYTES: u64 = 256 << 20;

/// Jobs of a family that are looked at.
const MOST_JOBS: usize = 64;

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
    families: &[String],
) -> Result<Vec<Cached>, StoreError> {
    let mut cached = Vec::new();
    for ((place, symbol), family) in (0..).zip(&data.symbols).zip(families) {
        cached.extend(find_symbol(store, tenant, job, (place, symbol), family).await?);
    }
    Ok(cached)
}

async fn find_symbol(
    store: &Store,
    tenant: &Tenant,
    job: &Job,
    (place, symbol): (u32, &SymbolCandles),
    family: &str,
) -> Result<Vec<Cached>, StoreError> {
    let mut listed = store.list(&keys::cache_index(tenant, family)).await?;
    listed.truncate(MOST_JOBS);
    if listed.is_empty() {
        return Ok(Vec::new());
    }
    let mut wanted: HashMap<Vec<u64>, u64> =
        (0..job.grid().len()).map(|trial| (bits(job.grid().swept(trial)), trial as u64)).collect();
    let (mut cached, mut read) = (Vec::new(), 0);
    for entry in listed {
        let tables = match store.get(&entry.key).await {
            Ok(bytes) => bytes,
            Err(error) if error.is_unavailable() => return Err(error),
            Err(_) => continue,
        };
        let Ok(tables) = serde_json::from_slice::<CachedTables>(&tables) else { continue };
        if !ends_with(symbol, &tables) {
            continue;
        }
        for result in tables.results {
            read += result.bytes;
            if wanted.is_empty() || read > MOST_BYTES {
                return Ok(cached);
            }
            let bytes = match store.get_checked(&result.key, &result.sha256).await {
                Ok(bytes) => bytes,
                Err(error) if error.is_unavailable() => return Err(error),
                Err(_) => continue,
            };
            let Ok(parameters) = blockgrid_grid::plan::parameters(bytes, job.grid().axes().len()) else {
                continue;
            };
            let found = parameters.into_iter().filter_map(|values| wanted.remove(&bits(values)));
            let trials: Slices = found.collect();
            if !trials.is_empty() {
                cached.push(Cached { symbol: place, result, trials });
            }
        }
    }
    Ok(cached)
}

/// Whether the candles that tables were made on are the last ones of ours.
fn ends_with(symbol: &SymbolCandles, tables: &CachedTables) -> bool {
    let (candles, len) = (&symbol.unfilled, symbol.unfilled.len());
    let count = usize::try_from(tables.candles).unwrap_or(usize::MAX);
    if count > len {
        return false;
    }
    if count == len {
        return tables.digest == symbol.digest;
    }
    digest(&symbol.name, &candles.slice(len - count..len)) == tables.digest
}

/// Values as a key: 0 and -0 are one value.
fn bits(values: Vec<f64>) -> Vec<u64> {
    values.into_iter().map(|value| (value + 0.0).to_bits()).collect()
}
