//! An operator that leads, on an API server by script, with a store in memory and a real queue.

use std::sync::Arc;
use std::time::{Duration, Instant};

use blockgrid_controller::config::Config;
use blockgrid_controller::election::{Candidate, Election};
use blockgrid_controller::lead::{Means, lead};
use blockgrid_controller::meters::Meters;
use blockgrid_grid::store::{Credentials, keys, sha256};
use blockgrid_grid::telemetry::Telemetry;
use blockgrid_grid::usage::UnitUsage;
use blockgrid_grid::{JobId, Options, Outcome, Queue, RedisQueue, Store, Unit};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::server::Server;
use crate::support::redis::RedisServer;

/// How long anything may take before it counts as hanging: what failed twice is tried again after a second and a half.
const PATIENCE: Duration = Duration::from_secs(25);

/// What a job has cost of processor time: a vCPU-second is a dollar.
const COST: u64 = 1000;

/// A grid, its tenant's namespace `tenant`, its own `platform`.
pub(crate) struct Grid {
    pub(crate) server: Server,
    pub(crate) store: Store,
    queue: RedisQueue,
    leading: JoinHandle<()>,
    _stop: watch::Sender<bool>,
}

impl Drop for Grid {
    fn drop(&mut self) {
        self.leading.abort();
    }
}

/// A queue for all cases of a test; none, with a word about it, where there is no Redis.
pub(crate) async fn queue() -> Option<(RedisServer, RedisQueue)> {
    let redis = RedisServer::start(&[])?;
    let queue = redis.queue().await;
    Some((redis, queue))
}

fn config() -> Config {
    Config::of_text(
        "
workers: {namespace: platform, image: 'grid:1', startDeadline: 600s}
interactive: {enabled: false}
classes: {standard: {cpu: '2', memory: 4Gi, slots: 2, microUsdPerVcpuHour: 3600000000}}
datasets: {sample: {location: sample}}
namespaces: [tenant]
jobs: {ttl: 1h, deadline: 1h, maxWorkers: 4}
leaderElection: {leaseDuration: 5s, renewDeadline: 4s, retryPeriod: 100ms}
",
    )
    .unwrap()
}

fn manifest(name: &str) -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/sma-crossover.yaml");
    let mut job: Value = serde_saphyr::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    job["metadata"]["name"] = json!(name);
    job["spec"]["data"]["symbols"] = json!(["SYN-A"]);
    job["spec"]["data"]["to"] = json!("2024-02-01T00:00:00Z");
    job["spec"]["sweep"]["parameters"] = json!({ "fast": [5], "slow": [60], "stop": [0.02, 0.03] });
    job["spec"]["output"]["top"] = json!(1);
    job
}

impl Grid {
    /// With a budget for the whole grid and one for the tenant.
    pub(crate) async fn start(queue: &RedisQueue) -> Self {
        let server = Server::default();
        for namespace in ["platform", "tenant"] {
            let budget = json!({ "metadata": { "name": "budget" }, "spec": { "monthlyUsd": 1000 } });
            server.create("backtestbudgets", namespace, budget);
        }
        let store = Store::open("memory:", &Options::default()).unwrap();
        let credentials = Credentials { key_id: "key".to_owned(), secret: "secret".to_owned(), token: None };
        let options = Options {
            endpoint: Some("http://127.0.0.1:9".to_owned()),
            credentials: Some(credentials),
            ..Options::default()
        };
        let queue = queue.clone();
        let config = Arc::new(config());
        let identity = "a".to_owned();
        let candidate =
            Candidate::new(server.client(), "platform", config.leader_election.clone(), &identity);
        let election = Election::new(candidate, tokio::runtime::Handle::current());
        let means = Means {
            client: server.client(),
            config,
            store: store.clone(),
            public: Store::open("s3://grid", &options).unwrap(),
            s3: Options::default(),
            queue: queue.clone(),
            meters: Arc::new(Meters::new().unwrap()),
            platform: "platform".to_owned(),
            identity,
            reign: election.reign(),
            telemetry: Telemetry::default(),
        };
        let (stop, stopped) = watch::channel(false);
        // As the program does.
        let leading = tokio::spawn(async move {
            loop {
                election.win().await;
                tokio::select! {
                    _ = lead(means.clone(), stopped.clone()) => {}
                    () = election.lead() => {}
                }
                election.resign().await;
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        });
        Self { server, store, queue, leading, _stop: stop }
    }

    /// Creates a job of a few shards; its uid.
    pub(crate) fn apply(&self, name: &str) -> JobId {
        self.server.create("backtestjobs", "tenant", manifest(name)).parse().unwrap()
    }

    /// Creates one whose plan is there: making it takes longer than all else together.
    pub(crate) async fn apply_planned(&self, name: &str, plan: &str) -> JobId {
        let id = JobId::random();
        self.put_plan(&id, plan).await;
        self.create_planned(name, &id);
        id
    }

    pub(crate) async fn put_plan(&self, id: &JobId, plan: &str) {
        self.store.put(&keys::plan(id), plan.to_owned().into()).await.unwrap();
    }

    pub(crate) fn create_planned(&self, name: &str, id: &JobId) {
        let mut job = manifest(name);
        job["metadata"]["uid"] = json!(id);
        job["status"] = json!({ "phase": "Planning", "plannedTime": "2026-01-01T00:00:00Z" });
        self.server.create("backtestjobs", "tenant", job);
    }

    /// The plan of a job, to be that of others.
    pub(crate) async fn plan(&self, id: &JobId) -> String {
        String::from_utf8(self.store.get(&keys::plan(id)).await.unwrap().into()).unwrap()
    }

    /// One that was made for a job which is gone.
    pub(crate) async fn a_plan(&self) -> String {
        let id = self.apply("first");
        self.await_pool(&id).await;
        self.finish(&id).await;
        self.await_settled("first", &id).await;
        self.patch("first", &json!({ "spec": { "ttl": "1s" } }));
        self.until("it is gone", || self.job("first").is_null()).await;
        self.plan(&id).await
    }

    pub(crate) fn condition(&self, name: &str, kind: &str) -> Value {
        let conditions = self.job(name)["status"]["conditions"].take();
        let found = conditions.as_array().and_then(|all| all.iter().find(|one| one["type"] == kind));
        found.cloned().unwrap_or_default()
    }

    pub(crate) fn job(&self, name: &str) -> Value {
        self.server.get("backtestjobs", "tenant", name).unwrap_or_default()
    }

    pub(crate) fn patch(&self, name: &str, body: &Value) {
        self.server.patch("backtestjobs", "tenant", name, body);
    }

    pub(crate) fn pool(&self, id: &JobId) -> Option<Value> {
        self.server.get("jobs", "platform", &format!("bt-{id}"))
    }

    pub(crate) fn budget(&self, namespace: &str) -> Value {
        self.server.get("backtestbudgets", namespace, "budget").unwrap()["status"].take()
    }

    /// Micro-USD that a budget holds.
    pub(crate) fn reserved(&self, namespace: &str) -> u64 {
        self.budget(namespace)["reservedMicroUsd"].as_u64().unwrap_or(0)
    }

    /// What workers leave when a job is done.
    pub(crate) async fn finish(&self, id: &JobId) {
        let record = json!({ "state": "Succeeded", "grid": { "usage": { "cpuMicros": COST } } });
        let record = serde_json::to_vec(&record).unwrap();
        let key = format!("records/{}", sha256(&record));
        let result = json!({ "key": key, "sha256": sha256(&record), "bytes": record.len() });
        let outcome = json!({
            "state": "done", "failedTrials": [], "usage": UnitUsage::default(), "result": result,
        });
        let outcome: Outcome = serde_json::from_value(outcome).unwrap();
        let outcome = serde_json::to_vec(&outcome).unwrap();
        self.store.put(&key, record.into()).await.unwrap();
        let _ = self.store.create(&keys::outcome(id, Unit::Finish), outcome.into()).await.unwrap();
        self.queue.announce(id).await.unwrap();
    }

    /// Entries of the ledger.
    pub(crate) async fn ledger(&self) -> Vec<String> {
        let listed = self.store.list("ledger").await.unwrap();
        listed.iter().map(|entry| keys::name(&entry.key).to_owned()).collect()
    }

    /// Waits for something to be so.
    pub(crate) async fn until(&self, what: &str, mut is_so: impl FnMut() -> bool) {
        let end = Instant::now() + PATIENCE;
        while !is_so() {
            let jobs = || (self.job("job"), self.budget("tenant"), self.budget("platform"));
            assert!(Instant::now() < end, "this never came: {what}: {:#?}", jobs());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    pub(crate) async fn await_phase(&self, name: &str, phase: &str) {
        self.until(phase, || self.job(name)["status"]["phase"] == phase).await;
    }

    pub(crate) async fn await_pool(&self, id: &JobId) {
        self.until("a pool", || self.pool(id).is_some()).await;
    }

    /// Waits until a job is done, and asserts that nothing is left of it but one entry of the ledger.
    pub(crate) async fn await_settled(&self, name: &str, id: &JobId) {
        self.await_phase(name, "Succeeded").await;
        self.until("settled", || self.job(name)["status"]["reservedMicroUsd"].is_null()).await;
        self.nothing_is_held().await;
        self.until("its pool is gone", || self.pool(id).is_none()).await;
        let entries = self.ledger().await;
        assert_eq!(entries.iter().filter(|entry| **entry == id.as_str()).count(), 1, "{entries:?}");
        assert_eq!(self.server.made("jobs", "platform", &format!("bt-{id}")), 1, "one pool");
        assert_eq!(self.server.wrong(), Vec::<String>::new());
    }

    pub(crate) async fn nothing_is_held(&self) {
        for namespace in ["tenant", "platform"] {
            self.until("nothing is held", || self.reserved(namespace) == 0).await;
        }
    }
}
