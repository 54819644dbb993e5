//! A plan, made: validated by the code of a laptop, its candles read, its shards laid out, committed.

use std::time::Instant;

use blockgrid_grid::telemetry::Telemetry;
use blockgrid_grid::{JobId, Plan, Store, Tenant};
use blockgrid_job::FieldError;
use blockgrid_job::quote::Price;
use blockgrid_planner::candles::{Dataset, missing_in, read_registered, rows};
use blockgrid_planner::{CommitError, Refusal, Request, prepare};
use blockgrid_results::{Objective, is_reserved};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Wanted;
use crate::clock;
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

/// What tells of a store why it gave no candles, as object stores and file systems word it.
const CAUSES: [(&[&str], &str); 3] = [
    (&["NoSuch", "NotFound", "Not Found", "No such file"], "something of it is not there"),
    (
        &["AccessDenied", "Forbidden", "Unauthorized", "InvalidAccessKey", "Permission denied"],
        "the platform has no right to read it",
    ),
    (&["timed out", "connect", "dns error", "sending request", "Unavailable"], "its store does not answer"),
];

impl Order {
    /// What is told to a tenant, whose business it is not where the platform has its data.
    fn hide(&self, told: &str) -> String {
        // A data set that is shipped is called by its place.
        if self.location == self.dataset {
            return told.to_owned();
        }
        let told = told.replace(&self.location, &format!("data set {}", self.dataset));
        let words = told.split(' ').map(|word| if word.contains("://") { "..." } else { word });
        words.collect::<Vec<_>>().join(" ")
    }

    /// What is told of a data set that is registered, and is none.
    fn cannot_be_opened(&self, errors: &[FieldError]) -> String {
        let said: Vec<&str> = errors.iter().map(|error| error.message.as_str()).collect();
        format!(
            "data set {} is registered, but cannot be opened ({}): whoever runs the grid mends it (`datasets` of the chart, or what is there)",
            self.dataset,
            self.hide(&said.join("; "))
        )
    }

    /// What is told of files that are not what the manifest of their data set says.
    fn is_not_whole(&self, error: &str) -> String {
        format!(
            "data set {} is not whole ({}): its files are still being copied, or whoever runs the grid repairs them",
            self.dataset,
            self.hide(error)
        )
    }

    /// What is told of an error of the store, whose words have addresses, buckets and prefixes in them; the log has them all.
    fn cannot_be_read(&self, error: &str) -> String {
        // Before it stand the address, the time and the number of tries.
        let said = error.rsplit(" - ").next().unwrap_or(error);
        let is = |causes: &&(&[&str], &str)| causes.0.iter().any(|word| said.contains(word));
        let why = CAUSES.iter().find(is).map_or("its store gave an error", |(_, why)| why);
        format!(
            "the candles of data set {} cannot be read: {why}; whoever runs the grid finds more in the operator's log",
            self.dataset
        )
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
        // Its name is right: what is registered under it is the platform's to mend, and may be on its way.
        Err(Refusal::Input { errors, .. }) => {
            tracing::warn!(job = %id, dataset = order.dataset, location = order.location, ?errors, "a registered data set cannot be opened");
            return Made::Failing(order.cannot_be_opened(&errors));
        }
        dataset => dataset,
    };
    let data = match dataset.and_then(|dataset| read_registered(&job, &order.dataset, dataset)) {
        Ok(data) => data,
        Err(Refusal::Input { mut errors, .. }) => {
            for error in &mut errors {
                error.message = order.hide(&error.message);
            }
            return refused(&errors);
        }
        // Its manifest is copied before its files are.
        Err(Refusal::NotWhole(error)) => {
            tracing::warn!(job = %id, dataset = order.dataset, location = order.location, %error, "a registered data set is not whole");
            return Made::Failing(order.is_not_whole(&error.message));
        }
        Err(Refusal::Data(error)) => {
            tracing::warn!(job = %id, dataset = order.dataset, location = order.location, %error, "candles cannot be read");
            return Made::Failing(order.cannot_be_read(&error.to_string()));
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
        now: clock::now().as_second(),
    };
    match prepare(store, id, &job, &data, request).await {
        Ok(prepared) => Made::Plan(Box::new(prepared.plan)),
        Err(error @ (CommitError::Store(_) | CommitError::Queue(_))) => Made::Failing(error.to_string()),
        Err(error) => Made::Refused(Refused { reason: "PlanFailed".into(), message: error.to_string() }),
    }
}

/// A resolved manifest as text, for the report of a job whose author's text is not known.
fn shown(manifest: &Value) -> String {
    serde_json::to_string_pretty(manifest).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use blockgrid_datasets::SAMPLE_FILES;
    use blockgrid_planner::candles::open_registered;

    use super::*;

    fn order() -> Order {
        Order {
            tenant: "team-a".parse().unwrap(),
            owner: "ann".to_owned(),
            manifest: Value::Null,
            text: None,
            dataset: "hourly".to_owned(),
            location: "s3://private/candles".to_owned(),
            interactive_micros: 0,
            price: Price::default(),
        }
    }

    #[test]
    fn a_data_set_that_cannot_be_opened_is_told_without_its_place() {
        let order = order();
        let errors = [FieldError::new(
            "spec.data.dataset",
            "s3://private/candles has no manifest.json at http://store/private",
        )];
        let told = order.cannot_be_opened(&errors);
        let says = "data set hourly is registered, but cannot be opened (data set hourly has no manifest.json at ...): whoever runs the grid mends it";
        assert!(told.starts_with(says), "{told}");
    }

    #[test]
    fn what_a_store_says_is_told_by_its_kind() {
        let mut order = order();
        for (error, why) in [
            (
                "Generic S3 error: GET http://10.0.0.9/private/candles/x: 404 NoSuchBucket",
                "something of it is not there",
            ),
            ("Client error with status 403 Forbidden: <Code>AccessDenied</Code>", "no right to read it"),
            (
                "error sending request for url (http://10.0.0.9/private/candles/x)",
                "its store does not answer",
            ),
            ("private/candles/x is in flames", "its store gave an error"),
            (
                "GET http://connect/private in 403.2ms, after 10 retries, retry_timeout: 180s - Server returned non-2xx status code: 500 Internal Server Error",
                "its store gave an error",
            ),
        ] {
            let told = order.cannot_be_read(error);
            assert!(told.contains("data set hourly") && told.contains(why), "{told}");
            assert!(!told.contains("private") && !told.contains("10.0.0.9"), "{told}");
        }
        // What is shipped has no place.
        order.location = order.dataset.clone();
        assert_eq!(order.hide("hourly is broken"), "hourly is broken");
    }

    /// Its manifest is copied first, and half of a file is there when the job is planned.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_data_set_that_is_still_being_copied_ends_no_job() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, bytes: &[u8]| {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
        };
        let mut order = order();
        order.location = folder.path().to_str().unwrap().to_owned();
        order.manifest = serde_json::json!({
            "apiVersion": blockgrid_job::spec::API_VERSION,
            "kind": "BacktestJob",
            "metadata": { "name": "job" },
            "spec": {
                "data": { "dataset": "hourly", "symbols": ["SYN-A"], "interval": "1h",
                          "from": "2023-02-01T00:00:00Z", "to": "2023-12-01T00:00:00Z" },
                "strategy": { "long": { "enter": "rsi(close, 14) < 30", "exit": "rsi(close, 14) > 60" } },
            },
        });
        let store = Store::open("memory:", &blockgrid_grid::Options::default()).unwrap();
        let id = JobId::random();
        let mut made = Vec::new();
        let is_used = |name: &str| name.contains("symbol=SYN-A") && name.contains("interval=1h");
        for whole in ["no manifest", "none", "half", "all"] {
            for (name, bytes) in SAMPLE_FILES {
                match whole {
                    "no manifest" if name == "dataset.json" => {}
                    _ if !is_used(name) => write(name, bytes),
                    "half" => write(name, &bytes[..bytes.len() / 2]),
                    "all" => write(name, bytes),
                    _ => {}
                }
            }
            let order: Order = serde_json::from_value(serde_json::json!(order)).unwrap();
            let (store, id) = (store.clone(), id.clone());
            let dataset = open_registered(&order.location, &blockgrid_grid::Options::default());
            made.push(make(&store, &id, order, dataset, &Telemetry::default()).await);
        }
        let Made::Failing(told) = &made[0] else { panic!("{:?}", made[0]) };
        assert!(told.starts_with("data set hourly is not whole (it has no dataset.json yet)"), "{told}");
        for made in &made[1..3] {
            let Made::Failing(told) = made else { panic!("{made:?}") };
            assert!(
                told.starts_with("data set hourly is not whole (`data set hourly/interval=1h/symbol=SYN-A"),
                "{told}"
            );
            assert!(!told.contains(folder.path().to_str().unwrap()), "{told}");
        }
        assert!(matches!(made[3], Made::Plan(_)), "{:?}", made[3]);
    }
}
