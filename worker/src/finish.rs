//! The last unit of a job: outcomes become tables, the best trials are traced, and all of it is published. The report is
//! made from that by whoever wants it.
//!
//! Twice is harmless: everything it writes is a function of the outcomes, and its own outcome is written once. It never
//! computes a shard: what is missing or gone is queued again, and it yields.
//!
//! Of what the best trials did, one is in memory at a time, however many there are: each is traced, or fetched from the
//! unit that traced it, and written to a file that the tables are then made from.

mod gather;
mod publish;
mod traces;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use blockgrid_engine::Candles;
use blockgrid_engine::graph::Graph;
use blockgrid_engine::sim::Outcome as Traced;
use blockgrid_grid::store::keys;
use blockgrid_grid::usage::Spent;
use blockgrid_grid::{FailReason, Outcome, StoreError, Unit};
use blockgrid_job::plan::{BARS_A_TRACE, BARS_INLINE};
use blockgrid_results::rank;
use blockgrid_results::trace::{begin_traces, put_trace, traces};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::alone;
use crate::faults;
use crate::inputs::InputError;
use crate::publish::place_of;
use crate::slot::{Held, Slot};
use crate::unit::{UnitError, Work, object};
use traces::TraceFile;

/// Objects that are read or written at a time.
const AT_ONCE: usize = 32;

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
        let (planned, outcomes) = (keys::plan(&self.job.id), keys::outcomes(&self.job.id));
        let (planned, listed) = tokio::join!(self.store.head(&planned), self.store.list(&outcomes));
        match planned {
            Ok(_) => {}
            Err(StoreError::NotFound { .. }) => return Err(UnitError::Gone),
            Err(error) => return Err(error.into()),
        }
        let listed = listed?;
        let there: BTreeSet<Unit> =
            listed.iter().filter_map(|entry| keys::name(&entry.key).parse().ok()).collect();
        let missing: Vec<Unit> =
            (0..plan.shards).map(Unit::Shard).filter(|unit| !there.contains(unit)).collect();
        if !missing.is_empty() {
            return Ok(Finished::Again(missing));
        }
        held.run(forget_columns).await;
        let mut gathered = match self.gather().await? {
            Ok(gathered) => gathered,
            Err(gone) => return Ok(Finished::Again(gone)),
        };
        faults::finishing(alone::is_alone());
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
        let traces = if top.iter().map(bars).sum::<u64>() <= faults::bars(BARS_INLINE) {
            let file = TraceFile::create(top.len())?;
            self.traced(held, &top, &mut cpu, file, TraceFile::push).await?
        } else {
            let stage2 = self.stage2(&top).await?;
            match self.fetched_traces(held, &stage2, &there, &mut gathered.spent, &mut cpu).await? {
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
            if bars.saturating_add(more) > faults::bars(BARS_A_TRACE) {
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
    async fn fetched_traces(
        &self,
        held: &Held<'_>,
        stage2: &Stage2,
        there: &BTreeSet<Unit>,
        spent: &mut Spent,
        cpu: &mut u64,
    ) -> Result<Result<TraceFile, Vec<Unit>>, UnitError> {
        let units = (0u32..).zip(&stage2.units).map(|(number, _)| Unit::Trace(number));
        let missing: Vec<Unit> = units.clone().filter(|unit| !there.contains(unit)).collect();
        if !missing.is_empty() {
            return Ok(Err(missing));
        }
        let mut file = TraceFile::create(stage2.units.iter().map(Vec::len).sum())?;
        for unit in units {
            match self.result(unit).await? {
                Ok((outcome, Some(bytes))) => {
                    *spent += outcome.usage().spent;
                    file = self
                        .on_slot(held, cpu, move |_| {
                            for outcome in traces(&bytes)? {
                                file.push(&outcome?)?;
                            }
                            Ok(file)
                        })
                        .await?;
                }
                Ok((Outcome::Failed { reason, message, .. }, _)) => {
                    return Err(UnitError::Hopeless { reason, message });
                }
                Ok(_) => {}
                Err(unit) => return Ok(Err(vec![unit])),
            }
        }
        Ok(Ok(file))
    }

    /// One unit of stage 2.
    ///
    /// # Errors
    /// [`UnitError`].
    pub async fn trace(&self, held: &Held<'_>, number: u32) -> Result<Outcome, UnitError> {
        let stage2: Stage2 = serde_json::from_slice(&self.store.get(&keys::stage2(&self.job.id)).await?)?;
        let mut cpu = 0;
        let trials = stage2.units.get(number as usize).cloned().unwrap_or_default();
        held.run(forget_columns).await;
        let put = |bytes: &mut Vec<u8>, outcome: &Traced| {
            put_trace(bytes, outcome);
            Ok(())
        };
        let bytes = self.traced(held, &trials, &mut cpu, begin_traces(trials.len()), put).await?;
        let bytes: Bytes = bytes.into();
        let key = keys::trace(&self.job.id, Unit::Trace(number));
        let result = object(key, &bytes);
        self.publish(&result.key, bytes).await?;
        Ok(Outcome::Done { result, failed_trials: Vec::new(), usage: self.usage(cpu, 0, 0) })
    }

    /// Traces trials one after the other: `take` puts what each did to what there is of those before.
    async fn traced<T: Send + 'static>(
        &self,
        held: &Held<'_>,
        trials: &[(u32, u64)],
        cpu: &mut u64,
        mut taken: T,
        take: fn(&mut T, &Traced) -> Result<(), UnitError>,
    ) -> Result<T, UnitError> {
        for &(symbol, trial) in trials {
            let symbol = symbol as usize;
            let candles = self.candles_of(symbol).await?;
            let job = Arc::clone(self.job);
            let task = move |_: &mut Slot| {
                // A run of its own, for the columns of one trial: a run that lasts keeps those of all.
                let run = job.ready.symbol_run(symbol, candles);
                take(&mut taken, &job.ready.trace(&run, &mut Graph::new(), trial)?)?;
                Ok(taken)
            };
            taken = self.on_slot(held, cpu, task).await?;
        }
        Ok(taken)
    }

    /// Runs a task on the slot and counts what it took.
    async fn on_slot<T: Send + 'static>(
        &self,
        held: &Held<'_>,
        cpu: &mut u64,
        task: impl FnOnce(&mut Slot) -> Result<T, UnitError> + Send + 'static,
    ) -> Result<T, UnitError> {
        let computed = held.run(task).await;
        *cpu += computed.cpu_micros;
        self.cpu.fetch_add(computed.cpu_micros, Ordering::Relaxed);
        let made = computed.result.map_err(UnitError::Internal)??;
        if self.is_cancelled() { Err(UnitError::Abandoned) } else { Ok(made) }
    }

    async fn candles_of(&self, symbol: usize) -> Result<Arc<Candles>, UnitError> {
        self.candles.get(&self.store, &self.job.ready, symbol).await.map_err(|error| match error {
            InputError::Store(error) => error.into(),
            InputError::Changed(message) => UnitError::Hopeless { reason: FailReason::DataChanged, message },
        })
    }
}

/// Gives back what the slot keeps for shards to come: it would lie beside all that is needed here.
pub(crate) fn forget_columns(slot: &mut Slot) {
    slot.bench = None;
}
