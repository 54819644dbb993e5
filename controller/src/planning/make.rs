//! A plan, made: validated by the code of a laptop, its candles read, its shards laid out, committed.

use std::time::Instant;

use blockgrid_grid::telemetry::Telemetry;
use blockgrid_grid::{JobId, Plan, Store, Tenant};
use blockgrid_job::FieldError;
use blockgrid_job::names::DATASET_UNAVAILABLE;
use blockgrid_job::quote::Price;
use blockgrid_planner::candles::{Dataset, missing_in, read_registered, rows};
use blockgrid_planner::{CommitError, Refusal, Request, prepare};
use blockgrid_results::{Objective, is_reserved};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Wanted;
use crate::config::{Config, PlannedHere};
use crate::validate::invalid;
use crate::world::Refused;

/// Everything that a plan is made of, whoever makes it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Order {
    /// Its namespace.
    pub tenant: Tenant,
    /// Who asked.
    pub owner: String,
    /// The manifest.
    pub manifest: Value,
    /// The manifest as its author wrote it, where that is known.
    pub text: Option<String>,
    /// The data set's name.
    pub dataset: String,
    /// Where the platform has it.
    pub location: String,
    /// vCPU-microseconds up to which the job goes through the interactive lane.
    pub interactive_micros: u64,
    /// What its class costs; an older operator wrote none.
    #[serde(default)]
    pub price: Price,
}

impl Order {
    /// What is wanted, with what the platform knows.
    ///
    /// # Errors
    /// The data set is not for this namespace.
    pub fn new(wanted: Wanted, config: &Config) -> Result<Self, Refused> {
        let dataset = wanted.manifest.pointer("/spec/data/dataset").and_then(Value::as_str);
        let dataset = dataset.unwrap_or_default().to_owned();
        let entry = config.dataset(&dataset, wanted.tenant.as_str()).map_err(|message| Refused {
            reason: "UnknownDataset".into(),
            message: format!("spec.data.dataset: {message}"),
        })?;
        // It has been judged before: it has a class, and the platform has that.
        let class = blockgrid_job::manifest::cluster(&wanted.manifest).map(|cluster| cluster.class);
        let price =
            class.ok().and_then(|name| Some(config.classes.get(&name)?.price(&name))).unwrap_or_default();
        Ok(Self {
            location: entry.location.clone(),
            tenant: wanted.tenant,
            owner: wanted.owner,
            manifest: wanted.manifest,
            text: wanted.text,
            dataset,
            interactive_micros: config.interactive.most_micros(),
            price,
        })
    }
}

impl Order {
    /// What is told to a tenant, whose business it is not where the platform has its data.
    fn hide(&self, told: &str) -> String {
        // A data set that is shipped is called by its place.
        if self.location == self.dataset {
            return told.to_owned();
        }
        told.replace(&self.location, &format!("data set {}", self.dataset))
    }
}

/// What came of it.
#[derive(Debug)]
pub enum Made {
    /// The plan is committed.
    Plan(Box<Plan>),
    /// There will be none.
    Refused(Refused),
    /// Not yet, which is not the job's fault.
    Failing(String),
}

/// Whether planning takes more time and memory than should be taken from all other jobs.
pub fn is_large(order: &Order, dataset: &Result<Dataset, Refusal>, small: PlannedHere) -> bool {
    // What cannot be read is refused at once.
    let Some(spec) = blockgrid_job::manifest::spec(&order.manifest) else { return false };
    if blockgrid_job::grid::full_size(&spec.sweep.parameters) > small.parameter_sets.into() {
        return true;
    }
    // One that cannot be opened is told by who reads it.
    dataset.as_ref().is_ok_and(|dataset| rows(&spec.data, dataset) > small.candles)
}

/// Makes the plan, and tells that it was made. `dataset` is what `order` names, opened, or why it cannot be: that is told after what is wrong with the
/// manifest.
pub async fn make(
    store: &Store,
    id: &JobId,
    order: Order,
    dataset: Result<Dataset, Refusal>,
    telemetry: &Telemetry,
) -> Made {
    let started = Instant::now();
    let made = made(store, id, order, dataset).await;
    let told = match &made {
        Made::Plan(plan) => Ok(&**plan),
        Made::Refused(refused) => Err(format!("{}: {}", refused.reason, refused.message)),
        Made::Failing(error) => Err(error.clone()),
    };
    telemetry.planned(id, started.elapsed(), told);
    made
}

async fn made(store: &Store, id: &JobId, order: Order, dataset: Result<Dataset, Refusal>) -> Made {
    let refused = |errors: &[FieldError]| Made::Refused(invalid(errors));
    let job = match blockgrid_job::of_value(&order.manifest, is_reserved) {
        Ok(job) => job,
        Err(found) => {
            let mut errors = found.errors;
            // In one go, as `blockgrid validate` does.
            if let (Some(data), Ok(dataset)) = (found.data, &dataset) {
                errors.extend(missing_in(&data, &order.dataset, dataset));
            }
            return refused(&errors);
        }
    };
    if let Err(error) = Objective::of(&job.spec().sweep.objective) {
        return refused(&[FieldError::new("spec.sweep.objective", error.to_string())]);
    }
    let dataset = match dataset {
        Err(Refusal::Input { errors, .. }) => return Made::Refused(unavailable(&order, &errors)),
        dataset => dataset,
    };
    let data = match dataset.and_then(|dataset| read_registered(&job, &order.dataset, dataset)) {
        Ok(data) => data,
        Err(Refusal::Input { errors, .. }) => return refused(&errors),
        Err(Refusal::Data(error)) => {
            return Made::Failing(format!("failed to read candles: {}", order.hide(&error.to_string())));
        }
    };
    let text = order.text.unwrap_or_else(|| shown(&job.spec().manifest()));
    let request = Request {
        tenant: order.tenant,
        owner: order.owner,
        text,
        shard_seconds: None,
        reuse: true,
        interactive_micros: order.interactive_micros,
        price: order.price,
    };
    match prepare(store, id, &job, &data, request).await {
        Ok(prepared) => Made::Plan(Box::new(prepared.plan)),
        Err(error @ (CommitError::Store(_) | CommitError::Queue(_))) => Made::Failing(error.to_string()),
        Err(error) => Made::Refused(Refused { reason: "PlanFailed".into(), message: error.to_string() }),
    }
}

/// A name that is right: what is registered under it is the platform's to mend.
fn unavailable(order: &Order, errors: &[FieldError]) -> Refused {
    let said: Vec<&str> = errors.iter().map(|error| error.message.as_str()).collect();
    let said = order.hide(&said.join("; "));
    let message = format!(
        "spec.data.dataset: `{}` is registered, but cannot be opened ({said}): whoever runs the grid mends it (`datasets` of the chart), and then the job can be submitted under another name",
        order.dataset
    );
    Refused { reason: DATASET_UNAVAILABLE.into(), message }
}

/// A resolved manifest as text, for the report of a job whose author's text is not known.
fn shown(manifest: &Value) -> String {
    serde_json::to_string_pretty(manifest).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_data_set_that_cannot_be_opened_is_told_without_its_place() {
        let order = Order {
            tenant: "team-a".parse().unwrap(),
            owner: "ann".to_owned(),
            manifest: Value::Null,
            text: None,
            dataset: "hourly".to_owned(),
            location: "s3://private/candles".to_owned(),
            interactive_micros: 0,
            price: Price::default(),
        };
        let errors = [FieldError::new("spec.data.dataset", "s3://private/candles has no manifest.json")];
        let Refused { reason, message } = unavailable(&order, &errors);
        assert_eq!(reason, "DatasetUnavailable");
        assert!(message.starts_with("spec.data.dataset: `hourly` is registered, but cannot be opened (data set hourly has no manifest.json): whoever runs the grid mends it"), "{message}");
    }
}
