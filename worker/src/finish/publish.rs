//! What a finished job leaves: tables, traces, its record, and the index by which later jobs find its trials.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use blockgrid_grid::cached;
use blockgrid_grid::store::{keys, sha256};
use blockgrid_grid::usage::{Bill, Spent, UnitUsage};
use blockgrid_grid::{FailedTrial, Outcome, Unit};
use blockgrid_results::files::{TABLES, TRACES};
use blockgrid_results::{TopColumns, TrialTable};
use bytes::{Bytes, BytesMut};
use futures::future::try_join_all;
use serde_json::json;
use tokio::io::AsyncReadExt;

use super::gather::Gathered;
use super::traces::{TraceFile, disk};
use crate::publish::Tables;
use crate::slot::Held;
use crate::unit::{UnitError, Work, object};
use crate::{faults, publish};

/// Bytes that are read of a file at a time, to be sent.
const PIECE: usize = 1 << 20;

/// Bytes of a file below which it is sent beside others.
const SMALL: u64 = 4 << 20;

/// Failed trials that the record names; the rest it counts.
const NAMED_FAILURES: usize = 100;

impl Work<'_> {
    /// Writes tables, traces and record, and says that the job is done.
    pub(super) async fn publish_all(
        &self,
        held: &Held<'_>,
        gathered: Gathered,
        ranked: Vec<usize>,
        top: Vec<(u32, u64)>,
        traces: TraceFile,
        mut cpu: u64,
    ) -> Result<Outcome, UnitError> {
        let Gathered { table, failed_trials, spent, units, tables, .. } = gathered;
        let rows = table.len();
        let objective = self.job.ready.objective().metric.id;
        let best = ranked.first().map_or(
            serde_json::Value::Null,
            |&row| json!({ "row": row, "metric": objective, "value": table.metric(row, objective) }),
        );
        let traces = self.write_tables(held, table, &ranked, &top, traces, &mut cpu).await?;
        // Small ones beside each other: a request takes its time, and not the worker's. Of a large one several parts are in
        // memory.
        let mut small = Vec::new();
        for file in TABLES.into_iter().chain([TRACES]) {
            let (from, key) = (traces.folder().join(file), keys::out(&self.job.id, file));
            if tokio::fs::metadata(&from).await.map_err(disk)?.len() < SMALL {
                small.push(async move { self.upload(&from, &key).await });
                continue;
            }
            self.upload(&from, &key).await?;
            if self.is_cancelled() {
                return Err(UnitError::Abandoned);
            }
        }
        let left = cached::leave(&self.store, &self.job.id, self.job.ready.plan(), tables);
        let (uploaded, left) = tokio::join!(try_join_all(small), left);
        uploaded?;
        if let Err(error) = left {
            tracing::warn!(%error, "the job's trials are not offered to later jobs");
        }
        if self.is_cancelled() {
            return Err(UnitError::Abandoned);
        }
        drop(traces);
        let usage = self.usage(cpu, 0, 0);
        let mut record = self.record(rows, &failed_trials, spent, &units, &usage);
        record["grid"]["best"] = best;
        let bytes: Bytes = format!("{}\n", serde_json::to_string_pretty(&record)?).into();
        // Named by its content: whoever else finishes meanwhile spent another time on it, and one outcome decides whose
        // record is the job's. It is copied to where people look once that is known.
        let key = keys::record(&self.job.id, &sha256(&bytes));
        let result = object(key, &bytes);
        self.publish(&result.key, bytes).await?;
        faults::before_acknowledge();
        let failed_trials = failed_trials.into_iter().take(NAMED_FAILURES).collect();
        Ok(Outcome::Done { result, failed_trials, usage })
    }

    /// Writes the tables into the folder of the traces, from which the best trials come one by one.
    async fn write_tables(
        &self,
        held: &Held<'_>,
        table: TrialTable,
        ranked: &[usize],
        top: &[(u32, u64)],
        mut traces: TraceFile,
        cpu: &mut u64,
    ) -> Result<TraceFile, UnitError> {
        let parameters = table.parameters.iter().map(|(name, _)| name.clone()).collect();
        let columns = TopColumns {
            parameters: if top.is_empty() { Vec::new() } else { parameters },
            filled: self.shows_filled(top, &traces).await?,
        };
        let table = Arc::new(table);
        let (all, folder) = (Arc::clone(&table), traces.folder().to_owned());
        let begin = move |_: &mut _| Ok(Tables::begin(&folder, &all, &columns)?);
        let mut tables = self.on_slot(held, cpu, begin).await?;
        for (nth, (&(symbol, _), &row)) in top.iter().zip(ranked).enumerate() {
            let candles = self.candles_of(symbol as usize).await?;
            let (job, table) = (Arc::clone(self.job), Arc::clone(&table));
            let task = move |_: &mut _| {
                let rank = u32::try_from(nth + 1).unwrap_or(u32::MAX);
                let outcome = traces.read(nth)?;
                tables.push(&publish::top_trial(&job.ready, &table, (rank, row), outcome, &candles))?;
                Ok((tables, traces))
            };
            (tables, traces) = self.on_slot(held, cpu, task).await?;
        }
        self.on_slot(held, cpu, move |_| Ok(tables.finish()?)).await?;
        Ok(traces)
    }

    /// Whether a bar of one of the accounts was made to fill a gap.
    async fn shows_filled(&self, top: &[(u32, u64)], traces: &TraceFile) -> Result<bool, UnitError> {
        if self.job.ready.job().spec().data.fill.is_none() {
            return Ok(false);
        }
        let symbols: BTreeSet<u32> = top.iter().map(|&(symbol, _)| symbol).collect();
        for symbol in symbols {
            let candles = self.candles_of(symbol as usize).await?;
            let accounts = top.iter().zip(traces.bars()).filter(|((of, _), _)| *of == symbol);
            if accounts.flat_map(|(_, bars)| bars.clone()).any(|bar| candles.is_filled(bar)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Sends a file, of which a few parts are in memory at a time.
    async fn upload(&self, file: &Path, key: &str) -> Result<(), UnitError> {
        let file = tokio::fs::File::open(file).await.map_err(disk)?;
        let pieces = futures::stream::try_unfold(file, |mut file| async move {
            let mut piece = BytesMut::with_capacity(PIECE);
            let read = file.read_buf(&mut piece).await?;
            Ok::<_, std::io::Error>((read > 0).then(|| (piece.freeze(), file)))
        });
        self.store.put_large(key, pieces).await?;
        Ok(())
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
            "usage": total,
            "failedTrials": failed.len(),
            "failures": failed.iter().take(NAMED_FAILURES).collect::<Vec<_>>(),
        });
        if let Some(quoted) = &plan.quoted {
            record["grid"]["quotedMicros"] = json!(quoted.micros);
            record["grid"]["bill"] = json!(Bill::new(quoted.price.clone(), &[total.cpu_micros]));
        }
        record
    }
}
