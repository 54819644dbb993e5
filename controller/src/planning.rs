//! Plans are made beside the reconciles, a few at a time: candles are read, shards laid out, the plan committed. What is
//! known of them is remembered for as long as their jobs live.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use blockgrid_grid::store::keys;
use blockgrid_grid::{ENGINE, JobId, Options, Plan, Store, StoreError, Tenant};
use blockgrid_planner::candles::{self, JobCandles};
use blockgrid_planner::prepare::estimate;
use blockgrid_planner::{CommitError, Refusal, Request, prepare};
use blockgrid_results::{Objective, is_reserved};
use serde_json::Value;
use tokio::sync::{Semaphore, mpsc};

use crate::config::Config;
use crate::validate::invalid;
use crate::world::{Planned, Planning, Refused};

/// Whose plan is to be made.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Uid of the job.
    pub id: JobId,
    /// Its namespace.
    pub tenant: Tenant,
    /// Who asked.
    pub owner: String,
    /// The manifest.
    pub manifest: Value,
    /// The manifest as its author wrote it, where that is known.
    pub text: Option<String>,
}

/// Makes plans.
pub struct Plans {
    store: Store,
    /// How data sets in S3 are reached.
    s3: Options,
    config: Arc<Config>,
    known: Mutex<HashMap<JobId, Planning>>,
    places: Arc<Semaphore>,
    made: mpsc::UnboundedSender<JobId>,
}

impl Plans {
    /// `made` hears of each plan that is done, or cannot be.
    pub fn new(
        store: Store,
        s3: Options,
        config: Arc<Config>,
        made: mpsc::UnboundedSender<JobId>,
    ) -> Arc<Self> {
        let places = Arc::new(Semaphore::new(config.jobs.planned_at_once));
        Arc::new(Self { store, s3, config, known: Mutex::default(), places, made })
    }

    fn known(&self) -> std::sync::MutexGuard<'_, HashMap<JobId, Planning>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How far a job's plan is. `was_planned` says that it was committed: then it is read again where it is not known.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be read.
    pub async fn state(&self, id: &JobId, was_planned: bool) -> Result<Planning, StoreError> {
        if let Some(known) = self.known().get(id) {
            return Ok(known.clone());
        }
        if !was_planned {
            return Ok(Planning::Unknown);
        }
        let bytes = match self.store.get(&keys::plan(id)).await {
            Ok(bytes) => bytes,
            Err(StoreError::NotFound { .. }) => {
                let message = "its plan is not in the store any more: somebody removed it".to_owned();
                return Ok(Planning::Refused(Refused { reason: "PlanGone", message }));
            }
            Err(error) => return Err(error),
        };
        let state = match serde_json::from_slice::<Plan>(&bytes) {
            Ok(plan) => Planning::Done(self.planned(&plan)),
            Err(error) => {
                Planning::Refused(Refused { reason: "BadPlan", message: format!("plan.json: {error}") })
            }
        };
        self.known().insert(id.clone(), state.clone());
        Ok(state)
    }

    /// Forgets a job.
    pub fn forget(&self, id: &JobId) {
        self.known().remove(id);
    }

    /// Begins to plan a job, unless somebody does.
    pub fn start(self: &Arc<Self>, wanted: Wanted) {
        match self.known().entry(wanted.id.clone()) {
            std::collections::hash_map::Entry::Occupied(known)
                if !matches!(known.get(), Planning::Failing(_)) =>
            {
                return;
            }
            entry => *entry.or_insert(Planning::Working) = Planning::Working,
        }
        let plans = Arc::clone(self);
        tokio::spawn(async move {
            let id = wanted.id.clone();
            let Ok(place) = Arc::clone(&plans.places).acquire_owned().await else { return };
            // Reading candles and laying out shards take a processor for a while: not one of those that answer.
            let (making, on) = (Arc::clone(&plans), tokio::runtime::Handle::current());
            let made = tokio::task::spawn_blocking(move || {
                let _place = place;
                on.block_on(making.make(wanted))
            });
            let state = made.await.unwrap_or_else(|panic| {
                let message = format!("planning it panicked: {panic}");
                Planning::Refused(Refused { reason: "PlanningPanicked", message })
            });
            if let Planning::Failing(error) = &state {
                tracing::warn!(job = %id, error, "the plan failed and is tried again");
            }
            // A job that was deleted meanwhile has been forgotten, and stays so.
            if let Some(known) = plans.known().get_mut(&id) {
                *known = state;
            }
            let _ = plans.made.send(id);
        });
    }

    async fn make(&self, wanted: Wanted) -> Planning {
        let namespace = wanted.tenant.to_string();
        let (job, data) = match read(&wanted.manifest, &namespace, &self.config, &self.s3) {
            Ok(read) => read,
            Err(state) => return state,
        };
        let text = wanted.text.unwrap_or_else(|| shown(&job.spec().manifest()));
        let request = Request {
            tenant: wanted.tenant,
            owner: wanted.owner,
            text,
            shard_seconds: None,
            reuse: true,
            interactive_micros: self.config.interactive.most_micros(),
        };
        match prepare(&self.store, &wanted.id, &job, &data, request).await {
            Ok(prepared) => Planning::Done(self.planned(&prepared.plan)),
            Err(error @ (CommitError::Store(_) | CommitError::Queue(_))) => {
                Planning::Failing(error.to_string())
            }
            Err(error) => Planning::Refused(Refused { reason: "PlanFailed", message: error.to_string() }),
        }
    }

    fn planned(&self, plan: &Plan) -> Planned {
        Planned {
            shards: plan.shards,
            trials: plan.trials(),
            cached: plan.cached_trials(),
            micros: estimate(plan),
            is_small: plan.cost_micros <= self.config.interactive.most_micros(),
            engine: plan.engine.clone(),
            is_ours: plan.engine == ENGINE,
        }
    }
}

/// Validates a job and reads its candles.
fn read(
    manifest: &Value,
    namespace: &str,
    config: &Config,
    s3: &Options,
) -> Result<(blockgrid_job::Job, JobCandles), Planning> {
    let refused = |errors: &[_]| Planning::Refused(invalid(errors));
    let job =
        blockgrid_job::manifest::of_value(manifest, is_reserved).map_err(|found| refused(&found.errors))?;
    Objective::of(&job.spec().sweep.objective).map_err(|error| {
        refused(&[blockgrid_job::FieldError::new("spec.sweep.objective", error.to_string())])
    })?;
    let name = match &job.spec().data.source {
        blockgrid_job::DataSource::Dataset(name) => name.clone(),
        // Refused before.
        blockgrid_job::DataSource::File(file) => {
            return Err(refused(&[blockgrid_job::FieldError::new(
                "spec.data.file",
                format!("`{file}` is a file"),
            )]));
        }
    };
    let entry = config.dataset(&name, namespace).map_err(|message| {
        Planning::Refused(Refused {
            reason: "UnknownDataset",
            message: format!("spec.data.dataset: {message}"),
        })
    })?;
    candles::read_registered(&job, &name, &entry.location, s3).map(|data| (job, data)).map_err(|error| {
        match error {
            Refusal::Input { errors, .. } => refused(&errors),
            Refusal::Data(error) => Planning::Failing(format!("failed to read candles: {error}")),
        }
    })
}

/// A resolved manifest as text, for the report of a job whose author's text is not known.
fn shown(manifest: &Value) -> String {
    serde_json::to_string_pretty(manifest).unwrap_or_default()
}
