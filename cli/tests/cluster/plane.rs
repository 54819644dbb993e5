//! A control plane with the operator and a grid, which end with the process of the tests, however that ends.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{self, Ran, root};

/// How long anything here may take before it counts as hanging.
const PATIENCE: Duration = Duration::from_secs(90);

/// The configuration of the operator.
const OPERATOR: &str = r#"
workers: {namespace: blockgrid, image: "x:1"}
classes: {standard: {cpu: "1", memory: 1Gi, slots: 1, microUsdPerVcpuHour: 36000}}
datasets: {sample: {location: sample}}
leaderElection: {leaseDuration: 3s, renewDeadline: 2s, retryPeriod: 500ms}
budget: {monthlyUsd: 8000}
# The whole example is large enough for workers of its own, what tests make small is not.
interactive: {maxVcpuSeconds: 0.05}
"#;

/// Ends what the tests started when their process ($1) has ended. The control plane ends by itself, with its folder, in
/// which it finds what to end.
const END: &str = r#"
while kill -0 "$1" 2>/dev/null; do sleep 0.5; done
kill "$2"; "$3" down --dir "$4/grid"
for _ in {1..120}; do [[ -d $4/cluster ]] || break; sleep 0.5; done
rm -rf "$4"
"#;

/// By this variable the tests' program knows that it is to be the operator.
const IS_OPERATOR: &str = "BLOCKGRID_TEST_OPERATOR";

/// What runs.
pub(crate) struct Plane {
    folder: PathBuf,
    kubectl: PathBuf,
    pub(crate) kubeconfig: PathBuf,
    /// What `blockgrid up` says of itself, keys included.
    pub(crate) grid: Value,
    /// What `ls` said before the kinds of the grid were installed.
    pub(crate) before: Ran,
}

/// What runs; none, with a word about it, where something is not installed.
pub(crate) fn plane() -> Option<&'static Plane> {
    static PLANE: LazyLock<Option<Plane>> = LazyLock::new(Plane::start);
    PLANE.as_ref()
}

/// The operator is a process, as in a cluster; its program is this one.
#[test]
fn operator() {
    let Some(args) = std::env::var_os(IS_OPERATOR) else { return };
    let args = args.into_string().unwrap();
    let ended = blockgrid_controller::program::main(args.split(' ').map(Into::into));
    assert_eq!(ended, std::process::ExitCode::SUCCESS);
}

fn said(command: &mut Command) -> Option<String> {
    let ran = command.stdin(Stdio::null()).output().unwrap();
    ran.status.success().then(|| String::from_utf8(ran.stdout).unwrap().trim().to_owned())
}

impl Plane {
    #[expect(clippy::zombie_processes, reason = "what waits for the end of this process outlives it")]
    fn start() -> Option<Self> {
        let cluster = root().join("dev/cluster");
        let Some(bin) = said(Command::new("bash").arg(cluster.join("build.sh")).arg("find")) else {
            println!("skipped: Kubernetes is not built (bash dev/cluster/build.sh)");
            return None;
        };
        let folder = tempfile::tempdir().unwrap().keep();
        let up = ["up", "--workers", "1", "--dir"].map(OsStr::new);
        let grid = support::run_in(&folder, up.into_iter().chain([folder.join("grid").as_os_str()]));
        if grid.stderr.contains("is needed and not installed") {
            println!("skipped: {}", grid.stderr.trim());
            return None;
        }
        grid.ok();
        let me = std::process::id().to_string();
        let mut kubernetes = Command::new("bash");
        kubernetes.arg(cluster.join("cluster.sh")).args(["up", "--until", &me]);
        let kubeconfig =
            said(kubernetes.env("CLUSTER_DIR", folder.join("cluster"))).expect("a control plane");
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_blockgrid"), folder.join("kubectl-backtest")).unwrap();
        let grid = serde_json::from_slice(&std::fs::read(folder.join("grid/up.json")).unwrap()).unwrap();
        let mut plane = Self {
            kubectl: Path::new(&bin).join("kubectl"),
            kubeconfig: kubeconfig.into(),
            grid,
            before: Ran { code: None, stdout: String::new(), stderr: String::new() },
            folder,
        };
        plane.before = plane.plugin(&["ls"]);
        plane.apply(&support::run_in(&plane.folder, ["crds"]).ok().stdout);
        for kind in ["backtestjobs", "backtestbudgets"] {
            plane.kubectl(&[
                "wait",
                "--for=condition=Established",
                "--timeout=60s",
                &format!("crd/{kind}.grid.blockbuilders.app"),
            ]);
        }
        plane.kubectl(&["create", "namespace", "blockgrid"]);
        let operator = plane.operator();
        let ends = ["-c", END, "bash", &me, &operator.to_string(), env!("CARGO_BIN_EXE_blockgrid")];
        let mut watch = Command::new("bash");
        watch.args(ends).arg(&plane.folder).process_group(0);
        watch.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        Some(plane)
    }

    /// Starts the operator out of the cluster.
    fn operator(&self) -> u32 {
        let config = self.folder.join("operator.yaml");
        std::fs::write(&config, OPERATOR).unwrap();
        let text = |name: &str| self.grid[name].as_str().unwrap().to_owned();
        let args = format!(
            "blockgrid-controller run --config {} --namespace blockgrid --http 127.0.0.1:0",
            config.display()
        );
        let log = File::create(self.folder.join("operator.log")).unwrap();
        let mut operator = Command::new(std::env::current_exe().unwrap());
        operator.args(["plane::operator", "--exact", "--nocapture"]).env(IS_OPERATOR, args);
        operator.env("KUBECONFIG", &self.kubeconfig).env("BLOCKGRID_REDIS", text("redis"));
        operator.env("BLOCKGRID_STORE", text("store")).env("BLOCKGRID_S3_ENDPOINT", text("s3Endpoint"));
        operator.envs(self.keys()).stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        operator.process_group(0).spawn().unwrap().id()
    }

    /// Keys of the store.
    pub(crate) fn keys(&self) -> Vec<(String, String)> {
        let keys = self.grid["keys"].as_object().unwrap();
        keys.iter().map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned())).collect()
    }

    /// A command of the plugin, as kubectl calls it.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(self.folder.join("kubectl-backtest"));
        command.env("KUBECONFIG", &self.kubeconfig).env("BLOCKGRID_HOME", support::HOME);
        command.args(args).current_dir(&self.folder).stdin(Stdio::null());
        command
    }

    fn plugin(&self, args: &[&str]) -> Ran {
        Ran::of(self.command(args).output().unwrap())
    }

    /// What kubectl says.
    pub(crate) fn kubectl(&self, args: &[&str]) -> String {
        let mut command = Command::new(&self.kubectl);
        command.args(args).env("KUBECONFIG", &self.kubeconfig).env("KUBECACHEDIR", self.folder.join("cache"));
        let ran = command.stdin(Stdio::null()).output().unwrap();
        assert!(ran.status.success(), "kubectl {args:?}: {}", String::from_utf8_lossy(&ran.stderr));
        String::from_utf8(ran.stdout).unwrap()
    }

    /// Applies objects.
    pub(crate) fn apply(&self, yaml: &str) {
        let mut command = Command::new(&self.kubectl);
        command.args(["apply", "--server-side", "-f", "-"]).stdin(Stdio::piped()).stdout(Stdio::null());
        command.env("KUBECONFIG", &self.kubeconfig).env("KUBECACHEDIR", self.folder.join("cache"));
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(yaml.as_bytes()).unwrap();
        assert!(child.wait().unwrap().success(), "{yaml}");
    }

    /// A namespace of a test's own.
    pub(crate) fn tenant(&'static self, name: &'static str) -> Tenant {
        self.kubectl(&["create", "namespace", name]);
        Tenant { plane: self, name, folder: support::folder() }
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("operator.log")).unwrap_or_default()
    }
}

/// A namespace, and a folder, of one test.
pub(crate) struct Tenant {
    pub(crate) plane: &'static Plane,
    pub(crate) name: &'static str,
    folder: tempfile::TempDir,
}

impl Tenant {
    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// A command of the plugin in this namespace and folder.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = self.plane.command(args);
        command.args(["-n", self.name]).current_dir(self.path());
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Ran {
        Ran::of(self.command(args).output().unwrap())
    }

    /// A manifest in the folder.
    pub(crate) fn write(&self, name: &str, manifest: &Value) -> String {
        support::write(&self.path().join(name), manifest).display().to_string()
    }

    /// The job as the API server has it.
    pub(crate) fn job(&self, name: &str) -> Value {
        let text = self.plane.kubectl(&["get", "btj", name, "-n", self.name, "-o", "json"]);
        serde_json::from_str(&text).unwrap()
    }

    /// Waits for a job to be so.
    pub(crate) fn until(&self, name: &str, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        let end = Instant::now() + PATIENCE;
        loop {
            let job = self.job(name);
            if is_so(&job) {
                return job;
            }
            assert!(Instant::now() < end, "never came: {what}\n{job:#}\n{}", self.plane.log());
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    pub(crate) fn await_phase(&self, name: &str, phase: &str) -> Value {
        self.until(name, phase, |job| job["status"]["phase"] == phase)
    }
}

/// Waits until a file holds a text.
pub(crate) fn await_text(file: &Path, text: &str) {
    let end = Instant::now() + PATIENCE;
    while !std::fs::read_to_string(file).unwrap_or_default().contains(text) {
        let has = std::fs::read_to_string(file).unwrap_or_default();
        assert!(Instant::now() < end, "never came: {text}\n{has}");
        std::thread::sleep(Duration::from_millis(50));
    }
}
