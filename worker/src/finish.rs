//! The last unit of a job: outcomes become tables, the best trials are traced, and all of it is published. The report is
//! made from that by whoever wants it.
//!
//! Twice is harmless: everything it writes is a function of the outcomes, and its own outcome is written once. It never
//! computes a shard: what is missing or gone is queued again, and it yields.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use blockgrid_engine::Candles;
use blockgrid_engine::sim::Outcome as Traced;
use blockgrid_engine::sweep::TrialResult;
use blockgrid_grid::plan::{Cached, CachedTables};
use blockgrid_grid::store::{keys, sha256};
use blockgrid_grid::usage::{Spent, UnitUsage};
use blockgrid_grid::{FailReason, FailedTrial, ObjectRef, Outcome, StoreError, Unit};
use blockgrid_job::plan::{Shard, Slices};
use blockgrid_results::trace::{decode_traces, encode_traces};
use blockgrid_results::{TrialTable, rank};
use bytes::Bytes;
use futures::{FutureExt, StreamExt, TryStreamExt, stream};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::inputs::InputError;
use crate::slot::Held;
use crate::tables::{self, Piece};
use crate::unit::{UnitError, Work, bench, object};
use crate::{faults, publish};

/// Objects that are read or written at a time.
const AT_ONCE: usize = 32;

/// Bars of the best trials that finishing traces by itself: a second or so. More go through units of their own, so that
/// they run beside each other, and a worker that dies loses one of them.
const BARS_INLINE: u64 = 20_000_000;

/// Bars of a unit of traces, about: what its object holds is some 16 bytes each.
const BARS_A_TRACE: u64 = 8_000_000;

/// Failed trials that the record names; the rest it counts.
const NAMED_FAILURES: usize = 100;

/// An outcome and the bytes of its result; the unit, when what it says is not there any more.
type Fetched = Result<(Outcome, Option<Bytes>), Unit>;

/// What finishing came to.
pub enum Finished {
    /// These units are to be queued first, and then finishing once more.
    Again(Vec<Unit>),
    /// It is done.
    Done(Outcome),
}

/// Which trials are traced by which unit: written once, so that all units mean the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Stage2 {
    /// For each unit its trials: place of the symbol, number in the grid.
    pub units: Vec<Vec<(u32, u64)>>,
}

/// Where it stands.
fn stage2_key(work: &Work<'_>) -> String {
    format!("{}/stage2.json", keys::job(&work.job.id))
}

impl Work<'_> {
    /// Merges and publishes the job, if everything is there.
    ///
    /// # Errors
    /// [`UnitError`] where it is not done.
    pub async fn finish(&self, held: &Held<'_>) -> Result<Finished, UnitError> {
        let plan = self.job.ready.plan();
        match self.store.head(&keys::plan(&self.job.id)).await {
            Ok(_) => {}
            Err(StoreError::NotFound { .. }) => return Err(UnitError::Gone),
            Err(error) => return Err(error.into()),
        }
        let listed = self.store.list(&keys::outcomes(&self.job.id)).await?;
        let there: BTreeSet<Unit> =
            listed.iter().filter_map(|entry| keys::name(&entry.key).parse().ok()).collect();
        let missing: Vec<Unit> =
            (0..plan.shards).map(Unit::Shard).filter(|unit| !there.contains(unit)).collect();
        if !missing.is_empty() {
            return Ok(Finished::Again(missing));
        }
        let mut gathered = match self.gather().await? {
            Ok(gathered) => gathered,
            Err(gone) => return Ok(Finished::Again(gone)),
        };
        let changed = gathered.failed_shards.iter().find(|(reason, _)| *reason == FailReason::DataChanged);
        let all_failed = gathered.failed_shards.len() as u64 == plan.shards && plan.cached.is_empty();
        let none = || (FailReason::BadPlan, "the plan has no trials".to_owned());
        // Trials that failed by themselves leave the others as they are; candles that changed leave nothing.
        let failed = changed
            .cloned()
            .or_else(|| all_failed.then(|| gathered.failed_shards.first().cloned().unwrap_or_else(none)));
        if let Some((reason, message)) = failed {
            return Ok(Finished::Done(Outcome::Failed { reason, message, usage: self.usage(0, 0, 0) }));
        }
        let ranked = rank(&gathered.table, &self.job.ready.objective());
        let top: Vec<(u32, u64)> = ranked
            .iter()
            .take(self.job.ready.job().spec().output.top)
            .map(|&row| publish::place_of(&self.job.ready, row))
            .map(|(symbol, trial)| (u32::try_from(symbol).unwrap_or(u32::MAX), trial))
            .collect();
        let mut cpu = 0;
        let bars = |&(symbol, _): &(u32, u64)| plan.inputs.symbols[symbol as usize].bars();
        let traces = if top.iter().map(bars).sum::<u64>() <= BARS_INLINE {
            self.traced(held, &top, &mut cpu).await?
        } else {
            let stage2 = self.stage2(&top).await?;
            match self.traces(&stage2, &there, &mut gathered.spent).await? {
                Ok(traces) => traces,
                Err(missing) => return Ok(Finished::Again(missing)),
            }
        };
        self.publish_all(held, gathered, ranked, top, traces, cpu).await.map(Finished::Done)
    }

    /// The plan of stage 2, written by whoever comes first.
    async fn stage2(&self, top: &[(u32, u64)]) -> Result<Stage2, UnitError> {
        let plan = self.job.ready.plan();
        let mut units: Vec<Vec<(u32, u64)>> = Vec::new();
        let mut bars = u64::MAX;
        for &(symbol, trial) in top {
            let more = plan.inputs.symbols[symbol as usize].bars();
            if bars.saturating_add(more) > BARS_A_TRACE {
                units.push(Vec::new());
                bars = 0;
            }
            bars += more;
            if let Some(unit) = units.last_mut() {
                unit.push((symbol, trial));
            }
        }
        let stage2 = Stage2 { units };
        let key = stage2_key(self);
        let created = self.store.create(&key, serde_json::to_vec(&stage2)?.into()).await?;
        if created.is_ours() {
            return Ok(stage2);
        }
        Ok(serde_json::from_slice(&self.store.get(&key).await?)?)
    }

    /// What the units of stage 2 made, or those that have not yet.
    async fn traces(
        &self,
        stage2: &Stage2,
        there: &BTreeSet<Unit>,
        spent: &mut Spent,
    ) -> Result<Result<Vec<Traced>, Vec<Unit>>, UnitError> {
        let units = (0u32..).zip(&stage2.units).map(|(number, _)| Unit::Trace(number));
        let missing: Vec<Unit> = units.clone().filter(|unit| !there.contains(unit)).collect();
        if !missing.is_empty() {
            return Ok(Err(missing));
        }
        let mut traces = Vec::new();
        for unit in units {
            match self.result(unit).await? {
                Ok((outcome, Some(bytes))) => {
                    *spent += outcome.usage().spent;
                    traces.extend(
                        decode_traces(&bytes).map_err(|error| UnitError::Internal(error.to_string()))?,
                    );
                }
                Ok((Outcome::Failed { reason, message, .. }, _)) => {
                    return Err(UnitError::Hopeless { reason, message });
                }
                Ok(_) => {}
                Err(unit) => return Ok(Err(vec![unit])),
            }
        }
        Ok(Ok(traces))
    }

    /// One unit of stage 2.
    ///
    /// # Errors
    /// [`UnitError`].
    pub async fn trace(&self, held: &Held<'_>, number: u32) -> Result<Outcome, UnitError> {
        let stage2: Stage2 = serde_json::from_slice(&self.store.get(&stage2_key(self)).await?)?;
        let mut cpu = 0;
        let trials = stage2.units.get(number as usize).cloned().unwrap_or_default();
        let traces = self.traced(held, &trials, &mut cpu).await?;
        let bytes: Bytes = encode_traces(&traces).into();
        let key = format!("{}/trace/{}", keys::job(&self.job.id), Unit::Trace(number));
        let result = object(key, &bytes);
        self.publish(&result.key, bytes, &result.sha256).await?;
        Ok(Outcome::Done { result, failed_trials: Vec::new(), usage: self.usage(cpu, 0, 0) })
    }

    /// Everything that trials did.
    async fn traced(
        &self,
        held: &Held<'_>,
        trials: &[(u32, u64)],
        cpu: &mut u64,
    ) -> Result<Vec<Traced>, UnitError> {
        // Symbol by symbol, for the sake of the columns; then back into the order that was asked for.
        let mut by_symbol: BTreeMap<u32, Vec<(usize, u64)>> = BTreeMap::new();
        for (place, &(symbol, trial)) in trials.iter().enumerate() {
            by_symbol.entry(symbol).or_default().push((place, trial));
        }
        let mut traces: Vec<Traced> = vec![Traced::default(); trials.len()];
        for (symbol, trials) in by_symbol {
            let symbol = symbol as usize;
            let candles = self.candles_of(symbol).await?;
            let (job, memory) = (Arc::clone(self.job), self.memory);
            let numbers: Vec<u64> = trials.iter().map(|&(_, trial)| trial).collect();
            let computed = held
                .run(move |slot| {
                    let bench = bench(slot, &job, symbol, &candles, memory);
                    let mut trace = |trial| job.ready.trace(&bench.run, &mut bench.graph, trial);
                    numbers.into_iter().map(&mut trace).collect::<Result<Vec<_>, _>>()
                })
                .await;
            *cpu += computed.cpu_micros;
            self.cpu.fetch_add(computed.cpu_micros, Ordering::Relaxed);
            let of_symbol = computed.result.map_err(UnitError::Internal)??;
            for ((place, _), trace) in trials.into_iter().zip(of_symbol) {
                traces[place] = trace;
            }
            if self.is_cancelled() {
                return Err(UnitError::Abandoned);
            }
        }
        Ok(traces)
    }

    async fn candles_of(&self, symbol: usize) -> Result<Arc<Candles>, UnitError> {
        self.candles.get(&self.store, &self.job.ready, symbol).await.map_err(|error| match error {
            InputError::Store(error) => error.into(),
            InputError::Changed(message) => UnitError::Hopeless { reason: FailReason::DataChanged, message },
        })
    }

    async fn result(&self, unit: Unit) -> Result<Fetched, UnitError> {
        let key = keys::outcome(&self.job.id, unit);
        let bytes = match self.store.get(&key).await {
            Ok(bytes) => bytes,
            Err(StoreError::NotFound { .. }) => return Ok(Err(unit)),
            Err(error) => return Err(error.into()),
        };
        let outcome: Outcome = serde_json::from_slice(&bytes)?;
        let Outcome::Done { result, .. } = &outcome else { return Ok(Ok((outcome, None))) };
        match self.store.get_checked(&result.key, &result.sha256).await {
            Ok(bytes) => Ok(Ok((outcome, Some(bytes)))),
            Err(StoreError::NotFound { .. } | StoreError::Corrupt { .. }) => {
                // An outcome whose result is gone or was tampered with is none: what it cost stays on record, and the
                // unit runs again. Results are named by their content, so the new one is the same.
                tracing::warn!(unit = %unit, key = result.key, "a result is gone or damaged; its unit runs again");
                let attempt = format!("{unit}.lost.{}", &result.sha256[..result.sha256.len().min(12)]);
                let overhead = serde_json::to_vec(outcome.usage())?;
                self.store.put(&keys::overhead(&self.job.id, &attempt), overhead.into()).await?;
                // Gone first, since what is damaged may bear the digest that it should have, and pass for written.
                self.store.delete(&result.key).await?;
                self.store.delete(&key).await?;
                Ok(Err(unit))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// A shard and what became of it.
    async fn fetched(&self, number: u64) -> Result<(Shard, Fetched), UnitError> {
        let shard = self.job.shard(&self.store, number).await;
        let shard = shard.map_err(|error| UnitError::Internal(error.to_string()))?;
        let shard = shard.ok_or_else(|| UnitError::Internal(format!("no shard {number}")))?;
        Ok((shard, self.result(Unit::Shard(number)).await?))
    }

    /// All rows of the job, or the units whose results are gone.
    async fn gather(&self) -> Result<Result<Gathered, Vec<Unit>>, UnitError> {
        let plan = self.job.ready.plan();
        let results: Vec<(Shard, Fetched)> = stream::iter(0..plan.shards)
            .map(|number| self.fetched(number).boxed())
            .buffered(AT_ONCE)
            .try_collect()
            .await?;
        let gone: Vec<Unit> =
            results.iter().filter_map(|(_, result)| result.as_ref().err().copied()).collect();
        if !gone.is_empty() {
            return Ok(Err(gone));
        }
        let mut gathered = Gathered { table: self.job.ready.table(), ..Gathered::default() };
        let mut pieces: Vec<Vec<Piece>> = plan.inputs.symbols.iter().map(|_| Vec::new()).collect();
        for (shard, result) in results {
            let Ok((outcome, bytes)) = result else { continue };
            gathered.spent += outcome.usage().spent;
            gathered.units.push((Unit::Shard(shard.number), outcome.usage().clone()));
            let table = match (outcome, bytes) {
                (Outcome::Done { failed_trials, result, .. }, Some(bytes)) => {
                    if failed_trials.is_empty() {
                        gathered.tables.entry(shard.symbol).or_default().push(result);
                    }
                    gathered.failed_trials.extend(failed_trials);
                    let table = tables::decode(bytes, "the result of a shard")?;
                    self.check(&shard, &table)?;
                    table
                }
                (Outcome::Failed { reason, message, .. }, _) => {
                    gathered.failed_trials.extend(shard.trials.iter().map(|trial| FailedTrial {
                        trial,
                        reason,
                        message: message.clone(),
                    }));
                    gathered.failed_shards.push((reason, message));
                    self.nulls(shard.symbol as usize, &shard.trials)?
                }
                (Outcome::Done { .. }, None) => continue,
            };
            pieces[shard.symbol as usize].push(Piece { trials: shard.trials, table });
        }
        for cached in &plan.cached {
            pieces[cached.symbol as usize].push(self.cached(cached).await?);
        }
        for pieces in pieces {
            gathered.table.append(tables::merge(pieces, self.job.ready.table())?)?;
        }
        Ok(Ok(gathered))
    }

    /// Rows that an earlier job computed.
    async fn cached(&self, cached: &Cached) -> Result<Piece, UnitError> {
        let name = &cached.result.key;
        let bytes = match self.store.get_checked(name, &cached.result.sha256).await {
            Ok(bytes) => bytes,
            Err(StoreError::NotFound { .. } | StoreError::Corrupt { .. }) => {
                let message =
                    format!("{name}, which holds trials of an earlier job, is gone: submit the job again");
                return Err(UnitError::Internal(message));
            }
            Err(error) => return Err(error.into()),
        };
        let table = tables::decode(bytes, name)?;
        let key = |values: &mut dyn Iterator<Item = f64>| -> Vec<u64> {
            // 0 and -0 are one value.
            values.map(|value| (value + 0.0).to_bits()).collect()
        };
        let of_row = |row: usize| key(&mut table.parameters.iter().map(|(_, column)| column[row]));
        let rows: HashMap<Vec<u64>, usize> = (0..table.len()).map(|row| (of_row(row), row)).collect();
        let grid = self.job.ready.job().grid();
        let of_trial = |trial: u64| {
            let values = grid.swept(usize::try_from(trial).unwrap_or(usize::MAX));
            rows.get(&key(&mut values.into_iter())).copied()
        };
        let rows: Option<Vec<usize>> = cached.trials.iter().map(of_trial).collect();
        let rows =
            rows.ok_or_else(|| UnitError::Internal(format!("{name} lacks trials that were found in it")))?;
        Ok(Piece { trials: cached.trials.clone(), table: table.select(&rows) })
    }

    /// Leaves the job's tables to later jobs of the tenant. Without it they compute again, and nothing else is lost.
    async fn index(&self, tables: BTreeMap<u32, Vec<ObjectRef>>) {
        let plan = self.job.ready.plan();
        for (symbol, results) in tables {
            let input = &plan.inputs.symbols[symbol as usize];
            if input.family.is_empty() {
                continue;
            }
            let left = CachedTables { candles: input.candles, digest: input.digest.clone(), results };
            let key = format!("{}/{}", keys::cache_index(&plan.tenant, &input.family), self.job.id);
            let Ok(bytes) = serde_json::to_vec(&left) else { continue };
            if let Err(error) = self.store.put(&key, bytes.into()).await {
                tracing::warn!(%error, "the job's trials are not offered to later jobs");
            }
        }
    }

    /// Rows without a value, for trials that failed.
    fn nulls(&self, symbol: usize, trials: &Slices) -> Result<TrialTable, UnitError> {
        let count = usize::try_from(trials.len()).unwrap_or(usize::MAX);
        Ok(self.job.ready.rows(symbol, trials, vec![TrialResult::NONE; count])?)
    }

    /// Whether a table holds the rows of a shard, and no others.
    fn check(&self, shard: &Shard, table: &TrialTable) -> Result<(), UnitError> {
        let (plan, grid) = (self.job.ready.plan(), self.job.ready.job().grid());
        let name = &plan.inputs.symbols[shard.symbol as usize].name;
        let fits = table.len() as u64 == shard.trials.len()
            && table.parameters.len() == grid.axes().len()
            && table.symbol.iter().all(|symbol| **symbol == **name)
            && shard.trials.iter().enumerate().all(|(row, trial)| {
                let swept = grid.swept(usize::try_from(trial).unwrap_or(usize::MAX));
                swept.iter().zip(&table.parameters).all(|(value, (_, column))| *value == column[row])
            });
        if fits {
            Ok(())
        } else {
            Err(UnitError::Internal(format!("the result of shard {} is another's", shard.number)))
        }
    }

    /// Writes tables, report and record, and says that the job is done.
    async fn publish_all(
        &self,
        held: &Held<'_>,
        gathered: Gathered,
        ranked: Vec<usize>,
        top: Vec<(u32, u64)>,
        traces: Vec<Traced>,
        cpu: u64,
    ) -> Result<Outcome, UnitError> {
        let mut candles: BTreeMap<usize, Arc<Candles>> = BTreeMap::new();
        for &(symbol, _) in &top {
            let symbol = symbol as usize;
            candles.insert(symbol, self.candles_of(symbol).await?);
        }
        let job = Arc::clone(self.job);
        let Gathered { table, failed_trials, spent, units, tables, .. } = gathered;
        let rows = table.len();
        let written = held
            .run(move |_| -> Result<Vec<(&'static str, Vec<u8>)>, String> {
                let folder =
                    tempfile::tempdir().map_err(|error| format!("no folder for the results: {error}"))?;
                let text = |error: &dyn std::fmt::Display| error.to_string();
                let bytes = encode_traces(&traces);
                let top =
                    publish::top_trials(&job.ready, &table, &ranked, traces, |symbol| &candles[&symbol]);
                publish::write_tables(folder.path(), &table, &top).map_err(|error| text(&error))?;
                let read = |file| std::fs::read(folder.path().join(file)).map(|bytes| (file, bytes));
                let tables: Result<Vec<_>, _> = publish::TABLES.into_iter().map(read).collect();
                let mut files = tables.map_err(|error| text(&error))?;
                files.push((publish::TRACES, bytes));
                Ok(files)
            })
            .await;
        let files = written.result.and_then(|files| files).map_err(UnitError::Internal)?;
        let cpu = cpu + written.cpu_micros;
        if self.is_cancelled() {
            return Err(UnitError::Abandoned);
        }
        let put = |(file, bytes): (&str, Vec<u8>)| {
            let key = keys::out(&self.job.id, file);
            async move { self.store.put(&key, bytes.into()).await }.boxed()
        };
        let puts: Vec<_> = files.into_iter().map(put).collect();
        stream::iter(puts).buffer_unordered(AT_ONCE).try_collect::<Vec<_>>().await?;
        self.index(tables).await;
        let usage = self.usage(cpu, 0, 0);
        let record = self.record(rows, &failed_trials, spent, &units, &usage);
        let bytes: Bytes = format!("{}\n", serde_json::to_string_pretty(&record)?).into();
        // Named by its content: whoever else finishes meanwhile spent another time on it, and one outcome decides whose
        // record is the job's. It is copied to where people look once that is known.
        let key = format!("{}/record/{}", keys::job(&self.job.id), sha256(&bytes));
        let result = object(key, &bytes);
        self.publish(&result.key, bytes, &result.sha256).await?;
        faults::before_acknowledge();
        let failed_trials = failed_trials.into_iter().take(NAMED_FAILURES).collect();
        Ok(Outcome::Done { result, failed_trials, usage })
    }

    /// `job.json` of a job that ran on the grid.
    fn record(
        &self,
        rows: usize,
        failed: &[FailedTrial],
        spent: Spent,
        units: &[(Unit, UnitUsage)],
        finish: &UnitUsage,
    ) -> serde_json::Value {
        let plan = self.job.ready.plan();
        let total: Spent = [spent, finish.spent].into_iter().sum();
        let workers: BTreeSet<&str> = units.iter().map(|(_, usage)| usage.worker.as_str()).collect();
        let timings = json!({ "shards": plan.shards, "workers": workers });
        let mut record = publish::record(&self.job.ready, rows, timings);
        record["state"] = json!(if failed.is_empty() { "Succeeded" } else { "PartiallySucceeded" });
        record["grid"] = json!({
            "uid": self.job.id,
            "tenant": plan.tenant,
            "owner": plan.owner,
            "shards": plan.shards,
            "cachedTrials": plan.cached_trials(),
            "quotedMicros": plan.cost_micros,
            "usage": total,
            "failedTrials": failed.len(),
            "failures": failed.iter().take(NAMED_FAILURES).collect::<Vec<_>>(),
        });
        record
    }
}

/// What the outcomes of all shards say together.
#[derive(Default)]
struct Gathered {
    table: TrialTable,
    failed_trials: Vec<FailedTrial>,
    failed_shards: Vec<(FailReason, String)>,
    spent: Spent,
    units: Vec<(Unit, UnitUsage)>,
    /// Tables whose every trial is right, by the place of their symbol.
    tables: BTreeMap<u32, Vec<ObjectRef>>,
}
