//! What a finished job leaves: tables, traces, its record, and the index by which later jobs find its trials.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use blockgrid_engine::Candles;
use blockgrid_engine::sim::Outcome as Traced;
use blockgrid_grid::plan::CachedTables;
use blockgrid_grid::store::{keys, sha256};
use blockgrid_grid::usage::{Bill, Spent, UnitUsage};
use blockgrid_grid::{FailedTrial, ObjectRef, Outcome, Unit};
use blockgrid_job::quote::Price;
use blockgrid_results::trace::encode_traces;
use bytes::Bytes;
use futures::{FutureExt, StreamExt, TryStreamExt, stream};
use serde_json::json;

use super::AT_ONCE;
use super::gather::Gathered;
use crate::slot::Held;
use crate::unit::{UnitError, Work, object};
use crate::{faults, publish};

/// Failed trials that the record names; the rest it counts.
const NAMED_FAILURES: usize = 100;

impl Work<'_> {
    /// Writes tables, report and record, and says that the job is done.
    pub(super) async fn publish_all(
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
        let objective = self.job.ready.objective().metric.id;
        let best = ranked.first().map_or(
            serde_json::Value::Null,
            |&row| json!({ "row": row, "metric": objective, "value": table.metric(row, objective) }),
        );
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
            "bill": Bill::new(Price::default(), &[total.cpu_micros]),
            "failedTrials": failed.len(),
            "failures": failed.iter().take(NAMED_FAILURES).collect::<Vec<_>>(),
        });
        record
    }
}
