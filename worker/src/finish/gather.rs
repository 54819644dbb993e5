//! From outcomes to rows: the results of all shards, and those that earlier jobs left, in the order of the grid.

use std::collections::{BTreeMap, HashMap};

use blockgrid_engine::sweep::TrialResult;
use blockgrid_grid::cached::{CachedTable, Values, bits};
use blockgrid_grid::plan::Cached;
use blockgrid_grid::store::keys;
use blockgrid_grid::usage::{Spent, UnitUsage};
use blockgrid_grid::{FailReason, FailedTrial, Outcome, StoreError, Unit};
use blockgrid_job::plan::{Shard, Slices};
use blockgrid_results::TrialTable;
use bytes::Bytes;
use futures::{FutureExt, StreamExt, TryStreamExt, stream};

use super::AT_ONCE;
use crate::tables::{self, Piece};
use crate::unit::{UnitError, Work};

/// An outcome and the bytes of its result; the unit, when what it says is not there any more.
pub(super) type Fetched = Result<(Outcome, Option<Bytes>), Unit>;

/// What the outcomes of all shards say together.
#[derive(Default)]
pub(super) struct Gathered {
    pub(super) table: TrialTable,
    pub(super) failed_trials: Vec<FailedTrial>,
    pub(super) failed_shards: Vec<(FailReason, String)>,
    pub(super) spent: Spent,
    pub(super) units: Vec<(Unit, UnitUsage)>,
    /// Tables whose every trial is right, by the place of their symbol.
    pub(super) tables: BTreeMap<u32, Vec<CachedTable>>,
}

impl Work<'_> {
    pub(super) async fn result(&self, unit: Unit) -> Result<Fetched, UnitError> {
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
                // The unit runs again: its result is named by its content, so the new one takes the place of the old, and
                // the outcome, which is final, is true once more. What the second time costs is overhead.
                tracing::warn!(unit = %unit, key = result.key, "a result is gone or damaged; its unit runs again");
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
    pub(super) async fn gather(&self) -> Result<Result<Gathered, Vec<Unit>>, UnitError> {
        let plan = self.job.ready.plan();
        let mut results =
            stream::iter(0..plan.shards).map(|number| self.fetched(number).boxed()).buffered(AT_ONCE);
        let mut gone: Vec<Unit> = Vec::new();
        let mut gathered = Gathered { table: self.job.ready.table(), ..Gathered::default() };
        let mut pieces: Vec<Vec<Piece>> = plan.inputs.symbols.iter().map(|_| Vec::new()).collect();
        // Decoded as they come: the bytes of all of them are never there at once.
        while let Some((shard, result)) = results.try_next().await? {
            let (outcome, bytes) = match result {
                Ok(found) => found,
                Err(unit) => {
                    gone.push(unit);
                    continue;
                }
            };
            gathered.spent += outcome.usage().spent;
            gathered.units.push((Unit::Shard(shard.number), outcome.usage().clone()));
            let table = match (outcome, bytes) {
                (Outcome::Done { failed_trials, result, .. }, Some(bytes)) => {
                    let table = tables::decode(bytes, "the result of a shard")?;
                    self.check(&shard, &table)?;
                    if failed_trials.is_empty() {
                        let values = table.parameters.iter().map(|(_, column)| Values::of(column)).collect();
                        gathered.tables.entry(shard.symbol).or_default().push(CachedTable { result, values });
                    }
                    gathered.failed_trials.extend(failed_trials);
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
        if !gone.is_empty() {
            return Ok(Err(gone));
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
                tracing::warn!(key = name, "a table of an earlier job is gone or damaged");
                let message = "trials of an earlier job, which were to be taken from the cache, are gone from the store: submit the job again";
                return Err(UnitError::Internal(message.to_owned()));
            }
            Err(error) => return Err(error.into()),
        };
        let table = tables::decode(bytes, name)?;
        let key = |values: &mut dyn Iterator<Item = f64>| -> Vec<u64> { values.map(bits).collect() };
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
}
