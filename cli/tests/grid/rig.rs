//! A grid for one case: servers, workers, submissions, and what may be asked of them.

use std::collections::BTreeMap;
use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{LazyLock, Mutex};
use std::time::{Duration, Instant};

use blockgrid_grid::store::keys;
use blockgrid_grid::usage::{Spent, UnitUsage};
use blockgrid_grid::{JobId, Outcome, RedisQueue, Store, StoreError, Unit};
use serde_json::Value;

use crate::support::metrics::{SERVED, metrics};
use crate::support::proxy::{Proxy, Rule};
use crate::support::redis::RedisServer;
use crate::support::s3::{KEY, S3, SECRET};

pub(crate) use std::sync::Arc;

/// The files that must be the same bytes whatever happened.
pub(crate) const FILES: [&str; 4] = ["trials.parquet", "trades.parquet", "equity.parquet", "report.html"];

pub(crate) use crate::support::chaos::{PATIENCE, Random, is_long};

/// A job: the example, made small, and cut into shards of a size.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Job {
    pub(crate) sets: &'static [&'static str],
    /// For a stream of its own; in the interactive lane otherwise.
    pub(crate) shard_seconds: Option<&'static str>,
}

/// Some two dozen shards of a stream of their own.
pub(crate) const JOB: Job = Job {
    sets: &[
        "sweep.parameters.fast=5..50/15",
        "sweep.parameters.slow=[60, 100, 160]",
        "sweep.parameters.stop=[0.02]",
        "output.top=3",
    ],
    shard_seconds: Some("0.0001"),
};

/// One small shard or two, in the lane.
pub(crate) const TINY: Job = Job {
    sets: &[
        "data.symbols=[SYN-A]",
        "sweep.parameters.fast=[5]",
        "sweep.parameters.slow=[60]",
        "sweep.parameters.stop=[0.02, 0.03]",
        "output.top=1",
    ],
    shard_seconds: None,
};

impl Job {
    pub(crate) fn args(&self, verb: &str) -> Vec<String> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let file = root.join("examples/sma-crossover.yaml").display().to_string();
        let sets = self.sets.iter().flat_map(|set| ["--set".to_owned(), (*set).to_owned()]);
        [verb.to_owned(), file].into_iter().chain(sets).collect()
    }

    /// What one process makes of it, computed once.
    pub(crate) fn expected(&self) -> Arc<BTreeMap<&'static str, Vec<u8>>> {
        type Known = Mutex<BTreeMap<Vec<String>, Arc<BTreeMap<&'static str, Vec<u8>>>>>;
        static KNOWN: LazyLock<Known> = LazyLock::new(Mutex::default);
        let args = self.args("run");
        let mut known = KNOWN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let made = known.entry(args.clone()).or_insert_with(|| {
            let folder = tempfile::tempdir().unwrap();
            let ran = program(folder.path()).args(args).args(["-o", "out"]).output().unwrap();
            assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
            Arc::new(read_all(&folder.path().join("out")))
        });
        Arc::clone(made)
    }
}

pub(crate) fn read_all(out: &Path) -> BTreeMap<&'static str, Vec<u8>> {
    FILES.iter().map(|file| (*file, std::fs::read(out.join(file)).unwrap())).collect()
}

pub(crate) fn program(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_blockgrid"));
    command.current_dir(folder).env("BLOCKGRID_HOME", ".blockgrid").stdin(Stdio::null());
    for name in ["BLOCKGRID_STORE", "BLOCKGRID_REDIS", "BLOCKGRID_FAULTS", "BLOCKGRID_S3_ENDPOINT"] {
        command.env_remove(name);
    }
    command
}

/// Servers of a case, and a proxy before the store that does as it is told.
pub(crate) struct Rig {
    pub(crate) runtime: tokio::runtime::Runtime,
    pub(crate) redis: RedisServer,
    pub(crate) s3: S3,
    pub(crate) proxy: Proxy,
    /// The store without the proxy.
    pub(crate) store: Store,
    pub(crate) folder: tempfile::TempDir,
    /// What stands in the environment of all programs.
    pub(crate) environment: Vec<(&'static str, String)>,
}

impl Rig {
    /// Starts them; none, with a word about it, where they are not installed.
    pub(crate) fn start() -> Option<Self> {
        let redis = RedisServer::start(&[])?;
        let s3 = S3::start()?;
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let proxy = runtime.block_on(Proxy::start(s3.address));
        let store = Store::open("s3://grid", &s3.options(s3.address)).unwrap();
        let (folder, environment) = (tempfile::tempdir().unwrap(), Vec::new());
        Some(Self { runtime, redis, s3, proxy, store, folder, environment })
    }

    pub(crate) fn wait<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    pub(crate) fn queue(&self) -> RedisQueue {
        self.wait(self.redis.queue())
    }

    pub(crate) fn rule(&self, rule: Rule) -> Arc<Rule> {
        self.proxy.rule(rule)
    }

    fn grid(&self, command: &mut Command, endpoint: SocketAddr) {
        command.args(["--redis", &self.redis.url()]);
        self.store(command, endpoint);
    }

    fn store(&self, command: &mut Command, endpoint: SocketAddr) {
        command.args(["--store", "s3://grid", "--s3-endpoint", &format!("http://{endpoint}")]);
        command
            .env("AWS_ACCESS_KEY_ID", KEY)
            .env("AWS_SECRET_ACCESS_KEY", SECRET)
            .env("AWS_REGION", "us-east-1")
            .envs(self.environment.iter().map(|(name, value)| (name, value)));
    }

    /// A worker of everything, with impatient leases.
    pub(crate) fn worker(&self, name: &str) -> Worker {
        self.worker_with(name, &[], "")
    }

    /// One with more options (the last of a kind counts) and faults.
    pub(crate) fn worker_with(&self, name: &str, more: &[&str], faults: &str) -> Worker {
        let faults = (!faults.is_empty()).then(|| ("BLOCKGRID_FAULTS".to_owned(), faults.to_owned()));
        self.worker_in(name, more, faults)
    }

    /// One with more options, in an environment.
    pub(crate) fn worker_in(
        &self,
        name: &str,
        more: &[&str],
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Worker {
        static NUMBER: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let log = self.folder.path().join(format!("{name}-{number}.log"));
        let mut command = program(self.folder.path());
        command.args(["worker", "--name", name, "--slots", "1", "--http", "127.0.0.1:0"]);
        for (option, value) in
            [("--heartbeat", "300ms"), ("--idle", "1500ms"), ("--audit", "1s"), ("--grace", "5s")]
        {
            if !more.contains(&option) {
                command.args([option, value]);
            }
        }
        if !["--job", "--lane"].iter().any(|option| more.contains(option)) {
            command.arg("--all");
        }
        self.grid(&mut command, self.proxy.address);
        let file = File::create(&log).unwrap();
        command.args(more).stdout(file.try_clone().unwrap()).stderr(file);
        command.envs(environment);
        Worker { child: command.spawn().unwrap(), log, name: name.to_owned() }
    }

    /// Starts `blockgrid submit --wait`.
    pub(crate) fn submit(&self, job: Job, uid: &str) -> Submission {
        self.submit_with(job, uid, &["--wait", "-o", &format!("out-{uid}")])
    }

    /// Starts `blockgrid submit`.
    pub(crate) fn submit_with(&self, job: Job, uid: &str, more: &[&str]) -> Submission {
        let mut args = job.args("submit");
        if let Some(seconds) = job.shard_seconds {
            args.extend(["--shard-seconds".to_owned(), seconds.to_owned()]);
        }
        args.extend(["--uid", uid].map(str::to_owned));
        args.extend(more.iter().map(|&more| more.to_owned()));
        let mut command = program(self.folder.path());
        command.args(args);
        self.grid(&mut command, self.proxy.address);
        let log = self.folder.path().join(format!("submit-{uid}.log"));
        let file = File::options().create(true).append(true).open(&log).unwrap();
        command.stdout(file.try_clone().unwrap()).stderr(file);
        Submission {
            child: command.spawn().unwrap(),
            log,
            out: self.folder.path().join(format!("out-{uid}")),
            job,
            id: uid.parse().unwrap(),
        }
    }

    /// Runs another command of the grid: its exit code and what it said.
    pub(crate) fn command(&self, args: &[&str]) -> (Option<i32>, String) {
        self.of_store(&[args, &["--redis", &self.redis.url()]].concat())
    }

    /// The same of a command that has no use for the queue.
    pub(crate) fn of_store(&self, args: &[&str]) -> (Option<i32>, String) {
        let mut command = program(self.folder.path());
        command.args(args);
        self.store(&mut command, self.proxy.address);
        let ran = command.output().unwrap();
        (ran.status.code(), String::from_utf8_lossy(&[ran.stdout, ran.stderr].concat()).into_owned())
    }

    /// The outcomes of a job.
    pub(crate) fn outcomes(&self, job: &JobId) -> BTreeMap<Unit, Outcome> {
        self.wait(async {
            let mut found = BTreeMap::new();
            for entry in self.store.list(&keys::outcomes(job)).await.unwrap() {
                match self.store.get(&entry.key).await {
                    Ok(bytes) => {
                        let unit = keys::name(&entry.key).parse().unwrap();
                        found.insert(unit, serde_json::from_slice(&bytes).unwrap());
                    }
                    // Finishing may remove one whose result is gone.
                    Err(StoreError::NotFound { .. }) => {}
                    Err(error) => panic!("{error}"),
                }
            }
            found
        })
    }

    /// What losing and dead attempts cost.
    pub(crate) fn overheads(&self, job: &JobId) -> BTreeMap<String, UnitUsage> {
        self.wait(async {
            let mut found = BTreeMap::new();
            for entry in self.store.list(&keys::overheads(job)).await.unwrap() {
                let bytes = self.store.get(&entry.key).await.unwrap();
                found.insert(keys::name(&entry.key).to_owned(), serde_json::from_slice(&bytes).unwrap());
            }
            found
        })
    }

    /// Waits until so many shards of a job are done.
    pub(crate) fn await_done(&self, job: &JobId, shards: usize) {
        until("shards are done", || {
            let listed = self.wait(self.store.list(&keys::outcomes(job))).unwrap();
            listed.iter().filter(|entry| keys::name(&entry.key).starts_with('s')).count() >= shards
        });
    }

    /// Asserts that a submission came to the bytes of `blockgrid run`, and that its bill is the sum of its outcomes.
    pub(crate) fn right(&self, submission: &mut Submission) -> Value {
        let status = submission.ended();
        assert!(status.success(), "{status}: {}", submission.log());
        assert!(read_all(&submission.out) == *submission.job.expected(), "other bytes than those of `run`");
        self.billed_once(submission)
    }

    /// Asserts that the bill of a job is the sum of its outcomes: what is in `overhead/` is not in it.
    pub(crate) fn billed_once(&self, submission: &Submission) -> Value {
        let outcomes = self.outcomes(&submission.id);
        let sum: Spent = outcomes.values().map(|outcome| outcome.usage().spent).sum();
        let bytes = std::fs::read(submission.out.join("job.json")).unwrap();
        let record: Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(serde_json::to_value(sum).unwrap(), record["grid"]["usage"], "{outcomes:#?}");
        let traces = outcomes.keys().filter(|unit| matches!(unit, Unit::Trace(_))).count() as u64;
        assert_eq!(outcomes.len() as u64, record["grid"]["shards"].as_u64().unwrap() + traces + 1);
        until("the copy of the record is the one that the outcome names", || {
            self.wait(self.store.get(&keys::out(&submission.id, "job.json"))).is_ok_and(|copy| copy == bytes)
        });
        record
    }
}

/// Waits for something to be so.
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < end, "this never came: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Sends a signal by its name: `kill -9` and its like.
pub(crate) fn signal(pid: u32, name: &str) {
    let status = Command::new("kill").arg(format!("-{name}")).arg(pid.to_string()).status();
    assert!(status.unwrap().success(), "kill -{name} {pid}");
}

fn ended(child: &mut Child, log: &Path) -> ExitStatus {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        assert!(Instant::now() < end, "it hangs: {}", std::fs::read_to_string(log).unwrap_or_default());
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A worker's process; killed when dropped, its log shown when the case fails.
pub(crate) struct Worker {
    child: Child,
    log: PathBuf,
    name: String,
}

impl Worker {
    pub(crate) fn signal(&self, name: &str) {
        signal(self.child.id(), name);
    }

    pub(crate) fn ended(&mut self) -> ExitStatus {
        ended(&mut self.child, &self.log)
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Processes that it started and that still run.
    pub(crate) fn children(&self) -> Vec<String> {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap();
        // They are listed at the thread that started them.
        let of = |task: std::fs::DirEntry| std::fs::read_to_string(task.path().join("children"));
        let text: String = tasks.flatten().filter_map(|task| of(task).ok()).collect();
        text.split_whitespace().map(str::to_owned).collect()
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    pub(crate) fn await_log(&self, text: &str) {
        until(&format!("`{text}` in the log of {}", self.name), || self.log().contains(text));
    }

    /// The sum of a counter, over its labels.
    pub(crate) fn counter(&self, name: &str) -> f64 {
        self.await_log(SERVED);
        let text = metrics(&self.log());
        let name = format!("blockgrid_worker_{name}");
        let is_it = |line: &&str| line.strip_prefix(&name).is_some_and(|rest| rest.starts_with([' ', '{']));
        text.lines().filter(is_it).filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- {}:\n{}", self.name, self.log());
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A `blockgrid submit`; killed when dropped.
pub(crate) struct Submission {
    child: Child,
    log: PathBuf,
    pub(crate) out: PathBuf,
    pub(crate) job: Job,
    pub(crate) id: JobId,
}

impl Submission {
    pub(crate) fn ended(&mut self) -> ExitStatus {
        ended(&mut self.child, &self.log)
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Asserts that it failed with exit code 1 and these words.
    pub(crate) fn fails(&mut self, words: &[&str]) {
        let status = self.ended();
        let log = self.log();
        assert_eq!(status.code(), Some(1), "{log}");
        for word in words {
            assert!(log.contains(word), "`{word}` is not in: {log}");
        }
    }
}

impl Drop for Submission {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
