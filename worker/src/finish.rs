//! The last unit of a job: outcomes become tables, the best trials are traced, and all of it is published. The report is
//! made from that by whoever wants it.
//!
//! Twice is harmless: everything it writes is a function of the outcomes, and its own outcome is written once. It never
//! computes a shard: what is missing or gone is queued again, and it yields.

mod gather;
mod publish;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use blockgrid_engine::Candles;
use blockgrid_engine::sim::Outcome as Traced;
use blockgrid_grid::store::keys;
use blockgrid_grid::usage::Spent;
use blockgrid_grid::{FailReason, Outcome, StoreError, Unit};
use blockgrid_results::rank;
use blockgrid_results::trace::{decode_traces, encode_traces};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::inputs::InputError;
use crate::publish::place_of;
use crate::slot::Held;
use crate::unit::{UnitError, Work, bench, object};

/// Objects that are read or written at a time.
const AT_ONCE: usize = 32;

/// Bars of the best trials that finishing traces by itself: a second or so. More go through units of their own, so that
/// they run beside each other, and a worker that dies loses one of them.
const BARS_INLINE: u64 = 20_000_000;

/// Bars of a unit of traces, about: what its object holds is some 16 bytes each.
const BARS_A_TRACE: u64 = 8_000_000;

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
            .map(|&row| place_of(&self.job.ready, row))
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
        let key = keys::stage2(&self.job.id);
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
        let stage2: Stage2 = serde_json::from_slice(&self.store.get(&keys::stage2(&self.job.id)).await?)?;
        let mut cpu = 0;
        let trials = stage2.units.get(number as usize).cloned().unwrap_or_default();
        let traces = self.traced(held, &trials, &mut cpu).await?;
        let bytes: Bytes = encode_traces(&traces).into();
        let key = keys::trace(&self.job.id, Unit::Trace(number));
        let result = object(key, &bytes);
        self.publish(&result.key, bytes).await?;
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
}
