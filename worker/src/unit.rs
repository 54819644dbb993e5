//! One unit of work, from lease to outcome.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use blockgrid_engine::graph::Graph;
use blockgrid_engine::sweep::TrialResult;
use blockgrid_grid::store::{keys, sha256};
use blockgrid_grid::usage::{Spent, UnitUsage};
use blockgrid_grid::{FailReason, FailedTrial, Lease, ObjectRef, Outcome, Store, StoreError, Unit};
use blockgrid_job::plan::{Shard, Slices};
use blockgrid_results::trace::BadTrace;
use blockgrid_results::{TableError, TrialTable};
use bytes::Bytes;

use crate::compute::ComputeError;
use crate::inputs::{Candlery, InputError};
use crate::jobs::{JobError, OpenJob};
use crate::publish::PublishError;
use crate::slot::{Bench, Held, Slot};
use crate::{faults, tables};

/// Why a unit has no outcome, though nothing is wrong with it.
#[derive(Debug, thiserror::Error)]
pub enum UnitError {
    /// The object store; the unit is handed back.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The lease was lost, or the job cancelled: what was computed is dropped.
    #[error("abandoned")]
    Abandoned,
    /// Two computations of the unit gave different bytes.
    #[error("{unit} gave {ours}, but its outcome says {theirs}")]
    Mismatch {
        /// Which.
        unit: Unit,
        /// SHA-256 of our result.
        ours: String,
        /// Of the result of the outcome.
        theirs: String,
    },
    /// The job was deleted.
    #[error("there is no plan any more")]
    Gone,
    /// It cannot be done, however often it is tried.
    #[error("{message}")]
    Hopeless {
        /// Why, for programs.
        reason: FailReason,
        /// Why, for people.
        message: String,
    },
    /// What is a bug here: rows that do not fit, JSON that cannot be written.
    #[error("{0}")]
    Internal(String),
}

/// Errors of what should always work.
macro_rules! internal {
    ($($error:ty),*) => {
        $(impl From<$error> for UnitError {
            fn from(error: $error) -> Self {
                Self::Internal(error.to_string())
            }
        })*
    };
}

internal!(TableError, ComputeError, PublishError, BadTrace, serde_json::Error);

/// What a unit needs beside itself.
pub struct Work<'a> {
    /// The store, counting what this unit asks of it.
    pub store: Store,
    /// Where candles are.
    pub candles: &'a Candlery,
    /// The job.
    pub job: &'a Arc<OpenJob>,
    /// Who computes, for the record.
    pub worker: &'a str,
    /// Its compute class.
    pub class: &'a str,
    /// Bytes of columns at a time.
    pub memory: usize,
    /// Set when the lease is lost, the job cancelled, or time is up.
    pub cancelled: Arc<AtomicBool>,
    /// When the lease was taken.
    pub started: Instant,
    /// How often the unit was handed out.
    pub delivery: u32,
    /// CPU time so far in microseconds, also of what is abandoned then.
    pub cpu: Arc<AtomicU64>,
}

impl Work<'_> {
    pub(crate) fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }

    /// What the unit took so far.
    pub(crate) fn usage(&self, cpu_micros: u64, trials: u64, evaluations: u64) -> UnitUsage {
        let asked = self.store.meter().usage();
        UnitUsage {
            spent: Spent {
                cpu_micros,
                wall_micros: u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX),
                bytes_read: asked.bytes_read,
                bytes_written: asked.bytes_written,
                read_requests: asked.gets,
                // The outcome itself is still to be written.
                write_requests: asked.puts + 1,
                trials,
                evaluations,
            },
            worker: self.worker.to_owned(),
            class: self.class.to_owned(),
            delivery: self.delivery,
        }
    }

    /// Computes a shard and writes its result. What is wrong with it is an outcome too.
    ///
    /// # Errors
    /// [`UnitError`] where it has none.
    pub async fn shard(&self, held: &Held<'_>, number: u64) -> Result<Outcome, UnitError> {
        let failed =
            |reason, message: String| Ok(Outcome::Failed { reason, message, usage: self.usage(0, 0, 0) });
        let shard = match self.job.shard(&self.store, number).await {
            Ok(Some(shard)) => shard,
            Ok(None) => return failed(FailReason::BadPlan, format!("the plan has no shard {number}")),
            Err(JobError::Store(error @ StoreError::Corrupt { .. })) => {
                return failed(FailReason::BadPlan, error.to_string());
            }
            Err(JobError::Store(error)) => return Err(error.into()),
            Err(error) => return failed(FailReason::BadPlan, error.to_string()),
        };
        let symbol = shard.symbol as usize;
        let candles = match self.candles.get(&self.store, &self.job.ready, symbol).await {
            Ok(candles) => candles,
            Err(InputError::Changed(message)) => return failed(FailReason::DataChanged, message),
            Err(InputError::Store(error)) => return Err(error.into()),
        };
        let (mut cpu, mut failures) = (0, Vec::new());
        let bars = candles_run(self.job, symbol);
        let whole = self.rows(held, &shard, &candles, shard.trials.clone(), &mut cpu).await?;
        let table = match whole {
            Ok(table) => table,
            Err(_) => self.one_by_one(held, &shard, &candles, &mut cpu, &mut failures).await?,
        };
        let rows = table.len() as u64;
        let (bytes, digest) = tables::encode(&table)?;
        let len = bytes.len() as u64;
        let family = &self.job.ready.plan().inputs.symbols[symbol].family;
        let key = keys::cache(&self.job.ready.plan().tenant, family, &format!("{digest}.parquet"));
        self.publish(&key, bytes).await?;
        Ok(Outcome::Done {
            result: ObjectRef { key, sha256: digest, bytes: len },
            failed_trials: failures,
            usage: self.usage(cpu, rows, rows * bars),
        })
    }

    /// Puts a result where its content alone decides the bytes: whoever writes it writes the same, and what is damaged
    /// is mended. Which computation counts, the outcome decides.
    pub(crate) async fn publish(&self, key: &str, bytes: Bytes) -> Result<(), UnitError> {
        self.store.put(key, bytes).await?;
        Ok(())
    }

    /// The rows of some trials of a shard; the words of a panic.
    async fn rows(
        &self,
        held: &Held<'_>,
        shard: &Shard,
        candles: &Arc<blockgrid_engine::Candles>,
        trials: Slices,
        cpu: &mut u64,
    ) -> Result<Result<TrialTable, String>, UnitError> {
        let (job, candles, symbol) = (Arc::clone(self.job), Arc::clone(candles), shard.symbol as usize);
        let (memory, cancelled) = (self.memory, Arc::clone(&self.cancelled));
        let computed = held
            .run(move |slot| {
                faults::trial(&trials, &|| cancelled.load(Ordering::Relaxed));
                let bench = bench(slot, &job, symbol, &candles, memory);
                let plans = job.ready.compile(trials.iter(), &mut bench.graph)?;
                let results = bench.run.trials_until(&plans, &bench.graph, &cancelled);
                job.ready.rows(symbol, &trials, results)
            })
            .await;
        *cpu += computed.cpu_micros;
        self.cpu.fetch_add(computed.cpu_micros, Ordering::Relaxed);
        if self.is_cancelled() {
            return Err(UnitError::Abandoned);
        }
        Ok(match computed.result {
            Ok(table) => Ok(table?),
            Err(words) => Err(words),
        })
    }

    /// Every trial by itself, so that the one that panics takes no other with it.
    async fn one_by_one(
        &self,
        held: &Held<'_>,
        shard: &Shard,
        candles: &Arc<blockgrid_engine::Candles>,
        cpu: &mut u64,
        failures: &mut Vec<FailedTrial>,
    ) -> Result<TrialTable, UnitError> {
        let mut table = self.job.ready.table();
        for trial in shard.trials.iter() {
            let one: Slices = std::iter::once(trial..trial + 1).collect();
            match self.rows(held, shard, candles, one.clone(), cpu).await? {
                Ok(rows) => table.append(rows)?,
                Err(message) => {
                    failures.push(FailedTrial { trial, reason: FailReason::Panicked, message });
                    let none = vec![TrialResult::NONE];
                    table.append(self.job.ready.rows(shard.symbol as usize, &one, none)?)?;
                }
            }
        }
        Ok(table)
    }

    /// Writes an outcome. The first to be written is final: one that comes second counts as overhead, and its result must
    /// be the same.
    ///
    /// # Errors
    /// [`UnitError::Mismatch`]; the store.
    pub async fn conclude(&self, lease: &Lease, outcome: &Outcome) -> Result<(), UnitError> {
        let unit = lease.entry.unit;
        let key = keys::outcome(&self.job.id, unit);
        let created = self.store.create(&key, serde_json::to_vec(outcome)?.into()).await?;
        if created.is_ours() {
            return Ok(());
        }
        let first: Outcome = serde_json::from_slice(&self.store.get(&key).await?)?;
        self.overhead(lease, outcome.usage()).await?;
        match (outcome, &first) {
            (Outcome::Done { result: ours, .. }, Outcome::Done { result: theirs, .. })
                if unit != Unit::Finish && ours.sha256 != theirs.sha256 =>
            {
                let (ours, theirs) = (ours.sha256.clone(), theirs.sha256.clone());
                Err(UnitError::Mismatch { unit, ours, theirs })
            }
            _ => Ok(()),
        }
    }

    /// Writes down what an attempt cost that is not the unit's outcome. Its name is the lease's: of one unit there may be
    /// several entries, of one worker's name several workers.
    ///
    /// # Errors
    /// The store.
    pub async fn overhead(&self, lease: &Lease, usage: &UnitUsage) -> Result<(), UnitError> {
        let attempt = format!("{}.{}.{}.{}", lease.entry.unit, lease.id, lease.deliveries, self.worker);
        let bytes = serde_json::to_vec(usage)?;
        self.store.put(&keys::overhead(&self.job.id, &attempt), bytes.into()).await?;
        Ok(())
    }
}

/// Bars that are traded of a symbol.
pub(crate) fn candles_run(job: &OpenJob, symbol: usize) -> u64 {
    job.ready.plan().inputs.symbols[symbol].bars()
}

/// What a slot works on: the symbol that it has, or this one from now on.
pub(crate) fn bench<'a>(
    slot: &'a mut Slot,
    job: &Arc<OpenJob>,
    symbol: usize,
    candles: &Arc<blockgrid_engine::Candles>,
    memory: usize,
) -> &'a mut Bench {
    let fits = |bench: &Bench| bench.job == job.id && bench.symbol == symbol;
    let bench = slot.bench.take().filter(fits).unwrap_or_else(|| Bench {
        job: job.id.clone(),
        symbol,
        run: job.ready.symbol_run(symbol, Arc::clone(candles)).with_memory(memory),
        graph: Graph::new(),
    });
    slot.bench.insert(bench)
}

/// SHA-256 of an object, and a reference to it.
pub(crate) fn object(key: String, bytes: &[u8]) -> ObjectRef {
    ObjectRef { key, sha256: sha256(bytes), bytes: bytes.len() as u64 }
}
