//! A cluster of two nodes, and what is done to it.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::root;

pub(crate) struct Cluster {
    folder: tempfile::TempDir,
    env: BTreeMap<String, String>,
    image: PathBuf,
}

impl Cluster {
    /// Two nodes, if this machine can have them and there is an image.
    pub(crate) fn start() -> Option<Self> {
        let skip = |why: &str| {
            eprintln!("skipped: {why}");
            None::<Self>
        };
        let Some(image) = std::env::var_os("BLOCKGRID_IMAGE").map(PathBuf::from) else {
            return skip("BLOCKGRID_IMAGE names no image: make cluster-check");
        };
        if !(image.is_absolute() && image.exists()) {
            return skip(&format!("BLOCKGRID_IMAGE: {} is not there: make image", image.display()));
        }
        let script = |args: &[&str]| Command::new("bash").args(args).current_dir(root()).output().unwrap();
        if !script(&["dev/cluster/build.sh", "find"]).status.success() {
            return skip("Kubernetes is not built (bash tools/setup.sh)");
        }
        let able = script(&["dev/cluster/node.sh", "able"]);
        if !able.status.success() {
            return skip(String::from_utf8_lossy(&able.stderr).trim());
        }
        if Command::new(helm()).arg("version").output().is_err() {
            return skip("helm is not installed (bash tools/setup.sh)");
        }
        let folder = tempfile::tempdir().unwrap();
        let mut cluster = Self { folder, env: BTreeMap::new(), image: image.clone() };
        let until = std::process::id().to_string();
        let image = image.to_str().unwrap().to_owned();
        let up = cluster.script("cluster.sh", &["up", "--nodes", "2", "--image", &image, "--until", &until]);
        assert!(up.success(), "the cluster does not start");
        let env = std::fs::read_to_string(cluster.dir().join("env")).unwrap();
        for line in env.lines().filter_map(|line| line.strip_prefix("export ")) {
            let (name, value) = line.split_once('=').unwrap();
            cluster.env.insert(name.to_owned(), value.trim_matches(['\'', '"']).to_owned());
        }
        Some(cluster)
    }

    fn dir(&self) -> PathBuf {
        self.folder.path().join("cluster")
    }

    fn script(&self, name: &str, args: &[&str]) -> std::process::ExitStatus {
        // Not `output()`: what it starts may keep the pipes.
        let mut command = Command::new("bash");
        command.arg(root().join("dev/cluster").join(name)).args(args).stdout(Stdio::null());
        command.env("CLUSTER_DIR", self.dir()).status().unwrap()
    }

    fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command.envs(&self.env).current_dir(root()).stdin(Stdio::null());
        command
    }

    /// What kubectl says; it has to go well.
    pub(crate) fn kubectl(&self, args: &[&str]) -> String {
        let output = self.try_kubectl(args, None);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "kubectl {}: {error}", args.join(" "));
        String::from_utf8(output.stdout).unwrap()
    }

    fn try_kubectl(&self, args: &[&str], input: Option<&str>) -> Output {
        let mut command = self.command(PathBuf::from(&self.env["CLUSTER_BIN"]).join("kubectl"));
        command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.unwrap_or_default().as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    }

    pub(crate) fn apply(&self, namespace: &str, manifest: &str) {
        let output = self.try_kubectl(&["-n", namespace, "apply", "-f", "-"], Some(manifest));
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// The `blockgrid` program, which has to end well; everything that it says.
    pub(crate) fn blockgrid(&self, args: &[&str]) -> String {
        let output = self.command(env!("CARGO_BIN_EXE_blockgrid")).args(args).output().unwrap();
        let said =
            format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "blockgrid {}: {said}", args.join(" "));
        said
    }

    pub(crate) fn get(&self, namespace: &str, object: &str) -> Value {
        serde_json::from_str(&self.kubectl(&["-n", namespace, "get", object, "-o", "json"])).unwrap()
    }

    pub(crate) fn exists(&self, namespace: &str, object: &str) -> bool {
        self.try_kubectl(&["-n", namespace, "get", object], None).status.success()
    }

    pub(crate) fn status(&self, name: &str) -> Value {
        self.get(crate::TEAM, &format!("btj/{name}"))["status"].clone()
    }

    pub(crate) fn phase(&self, name: &str) -> String {
        self.status(name)["phase"].as_str().unwrap_or_default().to_owned()
    }

    /// Status, reason and message of a condition.
    pub(crate) fn condition(&self, name: &str, kind: &str) -> (String, String, String) {
        let status = self.status(name);
        let conditions = status["conditions"].as_array().cloned().unwrap_or_default();
        let found =
            conditions.iter().find(|condition| condition["type"] == kind).cloned().unwrap_or_default();
        let text = |field: &str| found[field].as_str().unwrap_or_default().to_owned();
        (text("status"), text("reason"), text("message"))
    }

    pub(crate) fn is_finished(&self, name: &str) -> bool {
        self.condition(name, "Finished").0 == "True"
    }

    /// Waits until something is so. Tells how the cluster is when it never gets so.
    pub(crate) fn until(&self, what: &str, patience: Duration, is_so: impl Fn() -> bool) {
        let started = Instant::now();
        while !is_so() {
            if started.elapsed() > patience {
                for args in [
                    &["get", "btj,btb", "-A", "-o", "wide"][..],
                    &["get", "pods,jobs", "-A", "-o", "wide"],
                    &["get", "nodes"],
                    &["-n", "blockgrid", "logs", "-l", "app.kubernetes.io/component=operator", "--tail=30"],
                ] {
                    let output = self.try_kubectl(args, None);
                    eprintln!("{}", String::from_utf8_lossy(&output.stdout));
                }
                panic!("not within {} s: {what}", patience.as_secs());
            }
            std::thread::sleep(Duration::from_millis(500));
        }
        if started.elapsed().as_secs() >= 5 {
            eprintln!("   {:.1} s until {what}", started.elapsed().as_secs_f64());
        }
    }

    /// Installs the chart, or upgrades it, as the README says.
    pub(crate) fn install(&self, more: &[&str]) {
        self.install_from(&root().join("charts/blockgrid"), more);
    }

    /// The same from another version of the chart.
    pub(crate) fn install_from(&self, chart: &Path, more: &[&str]) {
        let mut command = self.command("bash");
        let output = command.arg("dev/cluster/grid.sh").env("CHART", chart).args(more).output().unwrap();
        if !output.status.success() {
            eprintln!("{}", self.kubectl(&["get", "pods", "-A", "-o", "wide"]));
            eprintln!("{}", self.kubectl(&["-n", "blockgrid", "get", "events"]));
            panic!("grid.sh: {}", String::from_utf8_lossy(&output.stderr));
        }
    }

    /// Helm, which has to do well.
    pub(crate) fn helm(&self, args: &[&str]) {
        // Where `go install` puts it, as grid.sh looks for it.
        let go = std::env::var("GOPATH").or_else(|_| std::env::var("HOME").map(|home| format!("{home}/go")));
        let path = [std::env::var("PATH").unwrap(), format!("{}/bin", go.unwrap())].join(":");
        let output = self.command("helm").args(args).env("PATH", path).output().unwrap();
        assert!(output.status.success(), "helm: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// The pod of the operator that leads.
    pub(crate) fn leader(&self) -> String {
        let leases = self.get("blockgrid", "leases");
        let leases = leases["items"].as_array().unwrap();
        let holder = leases.iter().find_map(|lease| lease["spec"]["holderIdentity"].as_str());
        holder.expect("nobody leads").to_owned()
    }

    /// Runs a command on a node; whether it went well, which is not asked of those that may find nothing to do.
    pub(crate) fn node(&self, number: u8, command: &[&str]) -> bool {
        let number = number.to_string();
        let mut args = vec!["exec", &number];
        args.extend(command);
        self.script("node.sh", &args).success()
    }

    /// Brings another version of the grid to the nodes, as `localhost/blockgrid:next`: the same programs, of another engine.
    pub(crate) fn load_next(&self, engine: &str, next: &str) {
        let out = self.folder.path().join("next.tar");
        let mut command = self.command("python3");
        command.arg("dev/cluster/image.py").arg("localhost/blockgrid:next").arg(&out);
        command.arg("--from").arg(&self.image);
        // In halves: it may be compared by two words of a machine.
        let (old, new) = (engine.split_at(engine.len() / 2), next.split_at(next.len() / 2));
        for (old, new) in [(old.0, new.0), (old.1, new.1)] {
            command.arg("--replace").arg(format!("{old}={new}"));
        }
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        for node in 0..2 {
            let loads = ["ctr", "-n", "k8s.io", "images", "import", out.to_str().unwrap()];
            assert!(self.node(node, &loads), "node {node} does not load the next image");
        }
    }

    /// A later version of the chart, whose jobs have a field and a column more.
    pub(crate) fn next_chart(&self) -> PathBuf {
        let chart = self.folder.path().join("chart");
        let copied = Command::new("cp").arg("-r").arg(root().join("charts/blockgrid")).arg(&chart).status();
        assert!(copied.unwrap().success());
        let change = |file: &str, old: &str, new: &str| {
            let text = std::fs::read_to_string(chart.join(file)).unwrap();
            assert_eq!(text.matches(old).count(), 1, "{file} has changed");
            std::fs::write(chart.join(file), text.replace(old, new)).unwrap();
        };
        change("Chart.yaml", "\nversion: 0.1.0\n", "\nversion: 0.2.0\n");
        let crd = "files/crds/backtestjobs.yaml";
        let lane = "        - jsonPath: \".status.lane\"\n";
        let engine = "        - {jsonPath: .status.engine, name: Engine, type: string}\n";
        change(crd, lane, &format!("{engine}{lane}"));
        let field = "                engine:\n                  description:";
        let later =
            "                later: {description: Of a later version., maxLength: 16, type: string}\n";
        change(crd, field, &format!("{later}{field}"));
        chart
    }

    pub(crate) fn mend_node(&self, number: u8) {
        let number = number.to_string();
        assert!(self.script("node.sh", &["up", &number]).success(), "the node does not come back");
        let ready = || {
            let nodes = self.get("default", "nodes");
            let of = |node: &Value| {
                let conditions = node["status"]["conditions"].as_array().cloned().unwrap_or_default();
                conditions
                    .iter()
                    .any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
            };
            nodes["items"].as_array().unwrap().iter().all(of)
        };
        self.until("both nodes are ready", Duration::from_secs(60), ready);
    }

    pub(crate) fn flush_redis(&self) {
        let url = redis::Client::open(self.env["BLOCKGRID_REDIS"].as_str()).unwrap();
        // The host reaches the network of the nodes.
        let mut connection = url.get_connection_with_timeout(Duration::from_secs(5)).unwrap();
        redis::cmd("FLUSHALL").exec(&mut connection).unwrap();
    }
}

impl Drop for Cluster {
    /// Before its folder goes, in which stands what there is to end.
    fn drop(&mut self) {
        self.script("cluster.sh", &["down", "--purge"]);
    }
}

fn helm() -> PathBuf {
    let beside = std::env::var_os("GOPATH").map(PathBuf::from);
    let beside = beside.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join("go")));
    match beside.map(|folder| folder.join("bin/helm")) {
        Some(path) if path.exists() => path,
        _ => PathBuf::from("helm"),
    }
}
