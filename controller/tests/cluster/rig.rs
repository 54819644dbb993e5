//! A grid for one case: servers, operators, workers, jobs, and what may be asked of them.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};

use blockgrid_controller::resources::{BacktestBudget, BacktestJob};
use blockgrid_grid::store::keys;
use blockgrid_grid::{JobId, Store};
use blockgrid_job::budget::BudgetStatus;
use blockgrid_job::status::{JobStatus, MAX_STATUS_BYTES, Phase};
use k8s_openapi::api::batch::v1::Job;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::core::DynamicObject;
use kube::{Api, Client, ResourceExt};
use serde_json::{Value, json};

use crate::support::redis::RedisServer;
use crate::support::s3::{KEY, S3, SECRET};

mod plane;
mod program;

pub(crate) use crate::support::chaos::{PATIENCE, Random, is_long};
use plane::{ALONE, CLUSTER, client};
pub(crate) use plane::{Cluster, dynamic};
pub(crate) use program::Process;
use program::{program, root};

/// A job: the example, made small; in the lane where its operator has one.
pub(crate) fn tiny() -> Value {
    sized(json!({ "fast": [5], "slow": [60], "stop": [0.02, 0.03] }))
}

/// The same with so many trials.
pub(crate) fn sized(parameters: Value) -> Value {
    let text = std::fs::read_to_string(root().join("examples/sma-crossover.yaml")).unwrap();
    let mut manifest: Value = serde_saphyr::from_str(&text).unwrap();
    manifest["spec"]["data"]["symbols"] = json!(["SYN-A"]);
    manifest["spec"]["sweep"]["parameters"] = parameters;
    manifest["spec"]["output"]["top"] = json!(1);
    manifest
}

/// One that no other case or job has computed before.
pub(crate) fn fresh() -> Value {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let stop = 0.02 + f64::from(NUMBER.fetch_add(1, Ordering::Relaxed)) * 1e-6;
    sized(json!({ "fast": [5], "slow": [60], "stop": [stop] }))
}

/// Servers of a case, and namespaces that are its own.
pub(crate) struct Grid {
    pub(crate) runtime: tokio::runtime::Runtime,
    pub(crate) cluster: &'static Cluster,
    pub(crate) client: Client,
    pub(crate) redis: RedisServer,
    pub(crate) s3: S3,
    pub(crate) store: Store,
    pub(crate) folder: tempfile::TempDir,
    /// The platform's namespace.
    pub(crate) platform: String,
    /// A tenant's.
    pub(crate) tenant: String,
    /// More of the configuration.
    pub(crate) more: String,
    /// What an hour of a vCPU costs.
    pub(crate) price: u64,
    /// vCPU-seconds up to which jobs are small.
    pub(crate) small: f64,
    /// How long a lease lasts, and how long its holder goes on that cannot renew it.
    pub(crate) lease: (u64, u64),
    /// Compute classes beside `standard`.
    pub(crate) classes: String,
    /// How long workers may take to start.
    pub(crate) start_deadline: &'static str,
    pub(crate) rest: &'static str,
    /// How often it is looked for what is left of jobs that are gone.
    pub(crate) audit: &'static str,
    _shared: Option<RwLockReadGuard<'static, ()>>,
    _alone: Option<RwLockWriteGuard<'static, ()>>,
}

impl Grid {
    /// Starts them; none, with a word about it, where something is not installed.
    pub(crate) fn start() -> Option<Self> {
        let shared = ALONE.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        Self::begin(Some(shared), None)
    }

    /// While no other case runs.
    pub(crate) fn start_alone() -> Option<Self> {
        let alone = ALONE.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        Self::begin(None, Some(alone))
    }

    fn begin(
        shared: Option<RwLockReadGuard<'static, ()>>,
        alone: Option<RwLockWriteGuard<'static, ()>>,
    ) -> Option<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let redis = RedisServer::start(&[])?;
        let s3 = S3::start()?;
        let cluster = CLUSTER.as_ref()?;
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let client = runtime.block_on(client(&cluster.kubeconfig()));
        let store = Store::open("s3://grid", &s3.options(s3.address)).unwrap();
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let grid = Self {
            runtime,
            cluster,
            client,
            redis,
            s3,
            store,
            folder: tempfile::tempdir().unwrap(),
            platform: format!("platform{number}"),
            tenant: format!("tenant{number}"),
            more: String::new(),
            price: 36_000,
            small: 30.0,
            lease: (3, 2),
            classes: String::new(),
            start_deadline: "60s",
            rest: "7d",
            audit: "10m",
            _shared: shared,
            _alone: alone,
        };
        for name in [&grid.platform, &grid.tenant] {
            grid.create("", "v1", "Namespace", None, json!({ "metadata": { "name": name } }));
        }
        Some(grid)
    }

    pub(crate) fn wait<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    pub(crate) fn create(
        &self,
        group: &str,
        version: &str,
        kind: &str,
        namespace: Option<&str>,
        object: Value,
    ) {
        let api = dynamic(&self.client, group, version, kind, namespace);
        let object: DynamicObject = serde_json::from_value(object).unwrap();
        self.wait(api.create(&PostParams::default(), &object)).unwrap();
    }

    /// The configuration of this case's operators.
    fn configuration(&self) -> PathBuf {
        let Self {
            platform,
            tenant,
            price,
            small,
            more,
            lease: (lease, renew),
            classes,
            start_deadline,
            rest,
            audit,
            ..
        } = self;
        let text = format!(
            "workers: {{namespace: {platform}, image: 'grid:1', grace: 90s, startDeadline: {start_deadline}, args: [--idle, 1500ms]}}
interactive: {{enabled: true, deployment: warm, maxVcpuSeconds: {small}, slots: 2}}
classes: {{standard: {{cpu: '2', memory: 4Gi, slots: 2, microUsdPerVcpuHour: {price}}}{classes}}}
datasets: {{sample: {{location: sample}}, other: {{location: sample, namespaces: [nobody]}}}}
namespaces: [{tenant}]
jobs: {{ttl: 1h, deadline: 1h, maxWorkers: 4, plannedAtOnce: 2, maxRest: {rest}, auditInterval: {audit}}}
leaderElection: {{leaseDuration: {lease}s, renewDeadline: {renew}s, retryPeriod: 500ms}}
{more}
"
        );
        let path = self.folder.path().join("operator.yaml");
        std::fs::write(&path, text).unwrap();
        path
    }

    /// An operator.
    pub(crate) fn operator(&self, name: &str) -> Process {
        self.operator_as(name, &self.cluster.kubeconfig())
    }

    /// One whose clock is wrong.
    pub(crate) fn operator_in(&self, name: &str, environment: Vec<(String, String)>) -> Process {
        let mut command = self.operator_command(name, &self.cluster.kubeconfig());
        command.envs(environment);
        self.process(name, command)
    }

    /// One with another's rights.
    pub(crate) fn operator_as(&self, name: &str, kubeconfig: &Path) -> Process {
        self.process(name, self.operator_command(name, kubeconfig))
    }

    fn operator_command(&self, name: &str, kubeconfig: &Path) -> Command {
        let mut command = program("blockgrid-controller");
        command.arg("run").arg("--config").arg(self.configuration());
        command.args(["--name", name, "--namespace", &self.platform, "--http", "127.0.0.1:0"]);
        command.env("KUBECONFIG", kubeconfig).env("RUST_LOG", "info,blockgrid_controller=debug");
        command
    }

    /// A worker of all jobs.
    pub(crate) fn worker(&self, name: &str) -> Process {
        self.worker_with(name, &["--all"], "")
    }

    /// A worker with other options and faults.
    pub(crate) fn worker_with(&self, name: &str, more: &[&str], faults: &str) -> Process {
        let mut command = program("blockgrid");
        command.args(["worker", "--name", name, "--slots", "1", "--http", "127.0.0.1:0"]);
        command.args(["--heartbeat", "300ms", "--idle", "1500ms", "--audit", "1s", "--grace", "5s"]);
        command.args(more);
        if !faults.is_empty() {
            command.env("BLOCKGRID_FAULTS", faults);
        }
        self.process(name, command)
    }

    pub(crate) fn process(&self, name: &str, mut command: Command) -> Process {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let log = self.folder.path().join(format!("{name}-{number}.log"));
        let file = File::create(&log).unwrap();
        command.current_dir(self.folder.path()).stdin(Stdio::null());
        command.args(["--store", "s3://grid", "--redis", &self.redis.url()]);
        command.args(["--s3-endpoint", &format!("http://{}", self.s3.address)]);
        command
            .env("AWS_ACCESS_KEY_ID", KEY)
            .env("AWS_SECRET_ACCESS_KEY", SECRET)
            .env("AWS_REGION", "us-east-1")
            .env("BLOCKGRID_HOME", ".blockgrid");
        command.stdout(file.try_clone().unwrap()).stderr(file);
        Process { child: command.spawn().unwrap(), log, name: name.to_owned() }
    }

    /// What the program says and makes of a manifest by itself: its exit code, its words, its folder of results.
    pub(crate) fn alone(&self, verb: &str, manifest: &Value) -> (Option<i32>, String, PathBuf) {
        let folder = tempfile::tempdir_in(self.folder.path()).unwrap().keep();
        let file = folder.join("job.yaml");
        std::fs::write(&file, text(manifest)).unwrap();
        let mut command = program("blockgrid");
        command.current_dir(&folder).env("BLOCKGRID_HOME", ".blockgrid").arg(verb).arg(&file);
        if verb == "run" {
            command.args(["-o", "out"]);
        }
        let done = command.stdin(Stdio::null()).output().unwrap();
        let words = [done.stdout, done.stderr].concat();
        (done.status.code(), String::from_utf8(words).unwrap(), folder.join("out"))
    }

    pub(crate) fn jobs(&self) -> Api<BacktestJob> {
        Api::namespaced(self.client.clone(), &self.tenant)
    }

    pub(crate) fn pools(&self) -> Api<Job> {
        Api::namespaced(self.client.clone(), &self.platform)
    }

    /// Creates a job; its uid.
    pub(crate) fn apply(&self, name: &str, manifest: &Value) -> JobId {
        self.try_apply(name, manifest).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    pub(crate) fn try_apply(&self, name: &str, manifest: &Value) -> Result<JobId, kube::Error> {
        let mut object = manifest.clone();
        object["metadata"]["name"] = json!(name);
        object["metadata"]["annotations"]["grid.blockbuilders.app/manifest"] = json!(text(manifest));
        let job: BacktestJob = serde_json::from_value(object).unwrap();
        let job = self.wait(self.jobs().create(&PostParams::default(), &job))?;
        Ok(job.uid().unwrap().parse().unwrap())
    }

    /// Changes a job's spec.
    pub(crate) fn patch(&self, name: &str, spec: Value) {
        let body = Patch::Merge(json!({ "spec": spec }));
        self.wait(self.jobs().patch(name, &PatchParams::default(), &body)).unwrap();
    }

    pub(crate) fn delete(&self, name: &str) {
        self.wait(self.jobs().delete(name, &DeleteParams::default())).unwrap();
    }

    pub(crate) fn job(&self, name: &str) -> Option<BacktestJob> {
        self.wait(self.jobs().get_opt(name)).unwrap()
    }

    pub(crate) fn status(&self, name: &str) -> JobStatus {
        self.job(name).and_then(|job| job.status).unwrap_or_default()
    }

    pub(crate) fn all(&self) -> Vec<BacktestJob> {
        self.wait(self.jobs().list(&ListParams::default())).unwrap().items
    }

    /// Waits for a job to be so; its status then.
    pub(crate) fn await_job(&self, name: &str, what: &str, is: impl Fn(&JobStatus) -> bool) -> JobStatus {
        let end = Instant::now() + PATIENCE;
        loop {
            // An API server that is away for a moment is not what is asked about.
            let status = self.wait(self.jobs().get_opt(name)).ok().flatten().and_then(|job| job.status);
            let status = status.unwrap_or_default();
            let bytes = serde_json::to_vec(&status).unwrap().len();
            assert!(bytes <= MAX_STATUS_BYTES, "{bytes}");
            if is(&status) {
                return status;
            }
            assert!(Instant::now() < end, "{name}: this never came: {what}: {status:#?}");
            std::thread::sleep(Duration::from_millis(30));
        }
    }

    pub(crate) fn await_phase(&self, name: &str, phase: Phase) -> JobStatus {
        self.await_job(name, phase.id(), |status| {
            assert!(!status.phase.is_terminal() || status.phase == phase, "{name}: {status:#?}");
            status.phase == phase
        })
    }

    /// Waits until a job has come to an end of a kind and its cost is settled.
    pub(crate) fn await_end(&self, name: &str, phase: Phase) -> JobStatus {
        let status = self.await_phase(name, phase);
        for (kind, is) in
            [("Finished", true), ("Succeeded", phase.has_results()), ("Failed", !phase.has_results())]
        {
            let condition = status.condition(kind).unwrap();
            assert_eq!(condition.status, if is { "True" } else { "False" }, "{condition:?}");
        }
        let status = self.await_job(name, "settled", |status| status.reserved_micro_usd.is_none());
        assert_eq!(status.settled_time.is_some(), status.terms.is_some(), "whoever was let in: {status:#?}");
        status
    }

    /// Waits until a deleted job is gone, and asserts that nothing of it is left where something costs money.
    pub(crate) fn await_gone(&self, name: &str, id: &JobId) {
        until(&format!("{name} is gone"), || {
            self.job(name).is_none_or(|job| job.uid().as_deref() != Some(id.as_str()))
        });
        self.nothing_is_left(id);
    }

    pub(crate) fn nothing_is_left(&self, id: &JobId) {
        // A Job is listed until its pods are gone.
        assert!(self.pool(id).is_none(), "its pool is there");
        // Word of its end stays for a while, and goes by itself.
        let keys = self.redis_keys(&format!("*{id}*"));
        assert!(keys.iter().all(|key| key.ends_with(":done")), "{keys:?}");
        let open = self.redis.ask(&format!("ZSCORE bt:open {id}"));
        assert_eq!(open, redis::Value::Nil, "it is listed among the open jobs");
    }

    pub(crate) fn redis_keys(&self, pattern: &str) -> Vec<String> {
        let value = self.redis.ask(&format!("KEYS {pattern}"));
        redis::from_redis_value(value).unwrap()
    }

    /// The pool of a job.
    pub(crate) fn pool(&self, id: &JobId) -> Option<Job> {
        self.wait(self.pools().get_opt(&format!("bt-{id}"))).unwrap()
    }

    pub(crate) fn await_pool(&self, id: &JobId) -> Job {
        let mut found = None;
        until("a pool", || {
            found = self.pool(id);
            found.is_some()
        });
        found.unwrap()
    }

    /// Makes or changes a budget: the whole grid's in the platform's namespace.
    pub(crate) fn budget(&self, namespace: &str, spec: &Value) {
        self.try_budget(namespace, spec).unwrap();
    }

    pub(crate) fn try_budget(&self, namespace: &str, spec: &Value) -> Result<(), kube::Error> {
        let budget = json!({
            "apiVersion": "grid.blockbuilders.app/v1alpha1",
            "kind": "BacktestBudget",
            "metadata": { "name": "budget", "namespace": namespace },
            "spec": spec,
        });
        let parameters = PatchParams::apply("test").force();
        let budgets =
            dynamic(&self.client, "grid.blockbuilders.app", "v1alpha1", "BacktestBudget", Some(namespace));
        self.wait(budgets.patch("budget", &parameters, &Patch::Apply(budget))).map(|_| ())
    }

    pub(crate) fn budget_status(&self, namespace: &str) -> BudgetStatus {
        let budgets: Api<BacktestBudget> = Api::namespaced(self.client.clone(), namespace);
        self.wait(budgets.get("budget")).unwrap().status.unwrap_or_default()
    }

    pub(crate) fn await_budget(&self, namespace: &str, what: &str, is: impl Fn(&BudgetStatus) -> bool) {
        until(what, || is(&self.budget_status(namespace)));
    }

    /// What was settled: micro-USD by the uid of each job.
    pub(crate) fn ledger(&self) -> BTreeMap<String, u64> {
        self.wait(async {
            let mut found = BTreeMap::new();
            for entry in self.store.list("ledger").await.unwrap() {
                let bytes = self.store.get(&entry.key).await.unwrap();
                let entry_: Value = serde_json::from_slice(&bytes).unwrap();
                let micro_usd = entry_["microUsd"].as_u64().unwrap();
                let other = found.insert(keys::name(&entry.key).to_owned(), micro_usd);
                assert_eq!(other, None, "a job is in the ledger once");
            }
            found
        })
    }

    /// Asserts that a job's results are the bytes that one process makes of it.
    pub(crate) fn same_as_run(&self, id: &JobId, manifest: &Value) {
        let (code, words, out) = self.alone("run", manifest);
        assert_eq!(code, Some(0), "{words}");
        for file in ["trials.parquet", "trades.parquet", "equity.parquet"] {
            let ours = self.wait(self.store.get(&keys::out(id, file))).unwrap();
            let theirs = std::fs::read(out.join(file)).unwrap();
            if ours != theirs {
                let kept = tempfile::tempdir().unwrap().keep();
                std::fs::write(kept.join(format!("grid-{file}")), &ours).unwrap();
                std::fs::write(kept.join(format!("run-{file}")), &theirs).unwrap();
                panic!("{file} has other bytes than that of `run`: both are in {}; {words}", kept.display());
            }
        }
    }

    /// Events about a job: reason and note.
    /// What events say of budgets of a namespace: reason and note.
    pub(crate) fn budget_events(&self, namespace: &str) -> Vec<(String, String)> {
        let events = dynamic(&self.client, "events.k8s.io", "v1", "Event", Some(namespace));
        let events = self.wait(events.list(&ListParams::default())).unwrap();
        let text = |event: &DynamicObject, field: &str| event.data[field].as_str().unwrap_or("").to_owned();
        let ours = events.items.iter().filter(|event| event.data["regarding"]["kind"] == "BacktestBudget");
        ours.map(|event| (text(event, "reason"), text(event, "note"))).collect()
    }

    pub(crate) fn events(&self, id: &JobId) -> Vec<(String, String)> {
        let events = dynamic(&self.client, "events.k8s.io", "v1", "Event", Some(&self.tenant));
        let events = self.wait(events.list(&ListParams::default())).unwrap();
        let text = |event: &DynamicObject, field: &str| event.data[field].as_str().unwrap_or("").to_owned();
        let ours = events.items.iter().filter(|event| event.data["regarding"]["uid"] == json!(id));
        ours.map(|event| (text(event, "reason"), text(event, "note"))).collect()
    }
}

/// A manifest as its author wrote it.
fn text(manifest: &Value) -> String {
    serde_json::to_string_pretty(manifest).unwrap()
}

/// Waits for something to be so.
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < end, "this never came: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Says that a case is over to the threads beside it, also when it fails.
pub(crate) struct Over<'a>(pub(crate) &'a std::sync::atomic::AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
