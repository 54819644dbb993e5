//! The operator's configuration: what is the platform's to decide, not a job's. One YAML file, made by the chart.

mod class;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use k8s_openapi::NamespaceResourceScope;
use kube::{Api, Client, Resource};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::costs::Costs;

pub use class::{Class, vcpus};

/// Why the configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("failed to read {path}: {source}")]
    Unreadable {
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// It is no YAML of this shape.
    #[error("{path}: {message}")]
    Bad {
        /// The file.
        path: String,
        /// What is wrong, and where.
        message: String,
    },
}

/// What the platform decides.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Config {
    /// How workers run.
    pub workers: Workers,
    /// The lane of small jobs.
    #[serde(default)]
    pub interactive: Interactive,
    /// Compute classes by their names; one must be `standard`.
    pub classes: BTreeMap<String, Class>,
    /// Registered data sets by their names: a job opens nothing else.
    #[serde(default)]
    pub datasets: BTreeMap<String, DatasetEntry>,
    /// Namespaces that are watched; all, when it is empty.
    #[serde(default)]
    pub namespaces: Vec<String>,
    /// Users or groups that may set the label of a user. The admission policy holds them to it; the operator only knows
    /// whether there are any: without, nobody's label is believed.
    #[serde(default)]
    pub believed_users: Vec<String>,
    /// Limits and defaults of jobs.
    #[serde(default)]
    pub jobs: Jobs,
    /// Prices of what is no compute class.
    #[serde(default)]
    pub costs: Costs,
    /// Which replica leads.
    #[serde(default)]
    pub leader_election: LeaderElection,
    /// The S3 server as users reach it, where that differs from how pods do.
    #[serde(default, rename = "publicS3Endpoint")]
    pub public_s3_endpoint: Option<String>,
    /// The budget that is made when the platform's namespace has none.
    #[serde(default)]
    pub budget: Option<Value>,
}

/// How workers run.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Workers {
    /// Their namespace: the platform's, where no tenant reads secrets.
    pub namespace: String,
    /// Their image.
    pub image: String,
    /// When it is pulled.
    #[serde(default)]
    pub image_pull_policy: Option<String>,
    /// Secrets that it is pulled with.
    #[serde(default)]
    pub image_pull_secrets: Vec<Value>,
    /// Their service account.
    #[serde(default)]
    pub service_account: Option<String>,
    /// Where their keys come from: `envFrom` of a container.
    #[serde(default)]
    pub env_from: Vec<Value>,
    /// Variables besides.
    #[serde(default)]
    pub env: Vec<Value>,
    /// Labels of their pods.
    #[serde(default)]
    pub pod_labels: BTreeMap<String, String>,
    /// Annotations of their pods.
    #[serde(default)]
    pub pod_annotations: BTreeMap<String, String>,
    /// How long units may go on after SIGTERM.
    #[serde(default = "ninety_seconds", deserialize_with = "time")]
    pub grace: Duration,
    /// How long workers may take to start before their job fails.
    #[serde(default = "ten_minutes", deserialize_with = "time")]
    pub start_deadline: Duration,
    /// More arguments of the worker: shorter times, for tests.
    #[serde(default)]
    pub args: Vec<String>,
}

/// The lane of small jobs.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Interactive {
    /// Whether there is one.
    pub enabled: bool,
    /// The Deployment of its workers.
    pub deployment: String,
    /// Jobs are small up to this quote.
    pub max_vcpu_seconds: f64,
    /// The fewest workers.
    pub min_replicas: i32,
    /// The most.
    pub max_replicas: i32,
    /// Units that a worker computes at a time.
    pub slots: u32,
    /// Micro-USD that an hour of a vCPU of these workers costs; as in class `standard`, where it is not told.
    pub micro_usd_per_vcpu_hour: Option<u64>,
}

impl Default for Interactive {
    fn default() -> Self {
        Self {
            enabled: true,
            deployment: "blockgrid-interactive".to_owned(),
            max_vcpu_seconds: 30.0,
            min_replicas: 1,
            max_replicas: 8,
            slots: 2,
            micro_usd_per_vcpu_hour: None,
        }
    }
}

impl Interactive {
    /// vCPU-microseconds up to which a job is small; none is when there is no lane.
    pub fn most_micros(&self) -> u64 {
        if self.enabled { (self.max_vcpu_seconds.max(0.0) * 1e6) as u64 } else { 0 }
    }
}

/// A registered data set.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DatasetEntry {
    /// Where it is: `sample`, a folder, or a URL.
    pub location: String,
    /// Namespaces whose jobs may use it; all, when it is empty.
    #[serde(default)]
    pub namespaces: Vec<String>,
}

/// Limits and defaults of jobs.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Jobs {
    /// How long an ended job stays, where it does not say.
    #[serde(deserialize_with = "time")]
    pub ttl: Duration,
    /// How long a job may take, where it does not say.
    #[serde(deserialize_with = "time")]
    pub deadline: Duration,
    /// The longest deadline that a job may ask for.
    #[serde(deserialize_with = "time")]
    pub max_deadline: Duration,
    /// How long a job may rest that budgets hold money for: suspended by its author, or in a queue of Kueue.
    #[serde(deserialize_with = "time")]
    pub max_rest: Duration,
    /// The most workers of a job.
    pub max_workers: u32,
    /// Jobs that are planned at a time.
    pub planned_at_once: usize,
    /// Up to which size the operator plans a job itself; larger ones are planned by a pod.
    pub planned_here: PlannedHere,
    /// How often it is looked for what jobs left that are gone without a word: workers, and money that is held.
    #[serde(deserialize_with = "time")]
    pub audit_interval: Duration,
}

/// How large a job is that the operator plans itself.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct PlannedHere {
    /// Parameter sets of the full grid.
    pub parameter_sets: u64,
    /// Candles of its symbols.
    pub candles: u64,
}

impl Default for PlannedHere {
    /// A second of planning or so, and some 100 MB.
    fn default() -> Self {
        Self { parameter_sets: 50_000, candles: 1_000_000 }
    }
}

impl Default for Jobs {
    fn default() -> Self {
        Self {
            ttl: Duration::from_secs(7 * 86_400),
            deadline: Duration::from_secs(86_400),
            max_deadline: Duration::from_secs(7 * 86_400),
            max_rest: Duration::from_secs(7 * 86_400),
            max_workers: 64,
            planned_at_once: 2,
            planned_here: PlannedHere::default(),
            audit_interval: Duration::from_secs(600),
        }
    }
}

/// Which replica leads.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct LeaderElection {
    /// The name of the Lease.
    pub lease: String,
    /// How long a leader that says nothing stays one.
    #[serde(deserialize_with = "time")]
    pub lease_duration: Duration,
    /// How long a leader that cannot renew goes on.
    #[serde(deserialize_with = "time")]
    pub renew_deadline: Duration,
    /// How often it renews.
    #[serde(deserialize_with = "time")]
    pub retry_period: Duration,
}

impl Default for LeaderElection {
    fn default() -> Self {
        Self {
            lease: "blockgrid-operator".to_owned(),
            lease_duration: Duration::from_secs(15),
            renew_deadline: Duration::from_secs(10),
            retry_period: Duration::from_secs(2),
        }
    }
}

fn ninety_seconds() -> Duration {
    Duration::from_secs(90)
}

fn ten_minutes() -> Duration {
    Duration::from_secs(600)
}

/// A time as people write it: a number and ms, s, m, h or d.
fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    duration(&text).ok_or_else(|| {
        serde::de::Error::custom(format!("is `{text}`, but must be a time such as 500ms, 90s, 5m, 2h or 7d"))
    })
}

fn duration(text: &str) -> Option<Duration> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let millis = match &text[digits.len()..] {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(millis).map(Duration::from_millis)
}

impl Config {
    /// Reads the file.
    ///
    /// # Errors
    /// [`ConfigError`], which names the field.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Unreadable { path: name.clone(), source })?;
        Self::of_text(&text).map_err(|message| ConfigError::Bad { path: name, message })
    }

    /// Reads its text.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn of_text(text: &str) -> Result<Self, String> {
        let options = serde_saphyr::options! { with_snippet: false };
        let config: Self =
            serde_saphyr::from_str_with_options(text, options).map_err(|error| error.to_string())?;
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<(), String> {
        if !self.classes.contains_key("standard") {
            return Err("classes.standard is missing: jobs that name no class run in it".to_owned());
        }
        for (name, class) in &self.classes {
            class.vcpus().map_err(|error| format!("classes.{name}.{error}"))?;
            class.memory_bytes().map_err(|error| format!("classes.{name}.{error}"))?;
            if class.slots == 0 {
                return Err(format!("classes.{name}.slots is 0, but must be 1 or more"));
            }
        }
        let lane = &self.interactive;
        if lane.min_replicas < 0 || lane.max_replicas < lane.min_replicas.max(1) {
            let (min, max) = (lane.min_replicas, lane.max_replicas);
            return Err(format!(
                "interactive.maxReplicas is {max} with minReplicas {min}: it must be at least 1 and no less than that"
            ));
        }
        let election = &self.leader_election;
        if election.renew_deadline >= election.lease_duration
            || election.retry_period >= election.renew_deadline
        {
            return Err("leaderElection: retryPeriod must be less than renewDeadline, and that less than leaseDuration".to_owned());
        }
        self.costs.check()?;
        let jobs = &self.jobs;
        // They are counted in whole seconds.
        if jobs.deadline.as_secs() == 0 || jobs.deadline > jobs.max_deadline {
            return Err(format!(
                "jobs.deadline is {} s, but must be a second at least and at most jobs.maxDeadline, {} s",
                jobs.deadline.as_secs_f64(),
                jobs.max_deadline.as_secs()
            ));
        }
        if jobs.max_rest.as_secs() == 0 {
            let is = jobs.max_rest.as_secs_f64();
            return Err(format!("jobs.maxRest is {is} s, but must be a second at least"));
        }
        if self.workers.start_deadline.as_secs() == 0 {
            let is = self.workers.start_deadline.as_secs_f64();
            return Err(format!("workers.startDeadline is {is} s, but must be a second at least"));
        }
        if self.jobs.max_workers == 0 || self.jobs.planned_at_once == 0 {
            return Err("jobs.maxWorkers and jobs.plannedAtOnce must be 1 or more".to_owned());
        }
        Ok(())
    }

    /// Where objects of tenants are watched: everywhere, or in each of the namespaces, and in `platform` where that counts
    /// as one.
    pub fn apis<K>(&self, client: &Client, platform: Option<&str>) -> Vec<Api<K>>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        if self.namespaces.is_empty() {
            return vec![Api::all(client.clone())];
        }
        let names: BTreeSet<&str> = self.namespaces.iter().map(String::as_str).chain(platform).collect();
        names.into_iter().map(|name| Api::namespaced(client.clone(), name)).collect()
    }

    /// Whether the namespace may use a data set, and where it is.
    ///
    /// # Errors
    /// What to do instead.
    pub fn dataset(&self, name: &str, namespace: &str) -> Result<&DatasetEntry, String> {
        let may = |entry: &DatasetEntry| {
            entry.namespaces.is_empty() || entry.namespaces.iter().any(|allowed| allowed == namespace)
        };
        match self.datasets.get(name) {
            Some(entry) if may(entry) => Ok(entry),
            // One that is not for it is not told apart from one that does not exist.
            _ => {
                let known: Vec<&str> = self
                    .datasets
                    .iter()
                    .filter(|(_, entry)| may(entry))
                    .map(|(name, _)| name.as_str())
                    .collect();
                let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
                Err(format!(
                    "`{name}` is no data set that namespace {namespace} may use (it may use: {known}): the platform registers data sets in the chart's values, under `datasets`"
                ))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEAST: &str = "
workers: {namespace: blockgrid, image: blockgrid:1}
classes: {standard: {cpu: '2', memory: 4Gi, slots: 2, microUsdPerVcpuHour: 36000}}
datasets: {sample: {location: sample}, own: {location: /data, namespaces: [team-a]}}
";

    #[test]
    fn the_least_has_defaults() {
        let config = Config::of_text(LEAST).unwrap();
        assert_eq!(config.interactive.most_micros(), 30_000_000);
        assert_eq!(config.workers.grace, Duration::from_secs(90));
        assert_eq!(config.jobs.ttl, Duration::from_secs(604_800));
        assert_eq!(config.leader_election.lease_duration, Duration::from_secs(15));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (from, to, says) in [
            ("standard:", "other:", "classes.standard is missing"),
            ("cpu: '2'", "cpu: two", "classes.standard.cpu is `two`"),
            ("slots: 2", "slots: 0", "classes.standard.slots is 0"),
            ("memory: 4Gi", "memory: 4GiB", "classes.standard.memory is `4GiB`"),
            ("workers: {", "workers: {color: red, ", "color"),
            ("classes:", "jobs: {ttl: 7}\nclasses:", "must be a time"),
            ("classes:", "leaderElection: {retryPeriod: 20s}\nclasses:", "leaderElection"),
            ("classes:", "jobs: {deadline: 8d}\nclasses:", "jobs.deadline is 691200 s"),
            ("classes:", "costs: {fixedMonthlyUsd: -1}\nclasses:", "costs.fixedMonthlyUsd is -1"),
            ("classes:", "interactive: {maxReplicas: 0}\nclasses:", "interactive.maxReplicas is 0"),
        ] {
            let error = Config::of_text(&LEAST.replace(from, to)).unwrap_err();
            assert!(error.contains(says), "{error}");
        }
    }

    #[test]
    fn data_sets_are_for_some() {
        let config = Config::of_text(LEAST).unwrap();
        assert!(config.dataset("own", "team-a").is_ok());
        let refused = config.dataset("own", "team-b").unwrap_err();
        assert!(refused.contains("(it may use: sample)"), "{refused}");
        assert_eq!(refused.replace("own", "x"), config.dataset("x", "team-b").unwrap_err());
    }
}
