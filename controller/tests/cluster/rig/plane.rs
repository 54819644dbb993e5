//! The control plane that all cases share.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{LazyLock, RwLock};
use std::time::Duration;

use blockgrid_controller::resources::{BacktestBudget, BacktestJob};
use kube::api::{ListParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::{DynamicObject, GroupVersionKind};
use kube::discovery::ApiResource;
use kube::{Api, Client, Config};
use serde_json::{Value, json};

use super::program::{root, signal};

/// The Kubernetes that all cases share. It ends when this process does.
pub(crate) struct Cluster {
    dir: tempfile::TempDir,
    pub(super) env: BTreeMap<String, String>,
}

/// Cases that kill it are alone.
pub(super) static ALONE: RwLock<()> = RwLock::new(());

pub(super) static CLUSTER: LazyLock<Option<Cluster>> = LazyLock::new(|| {
    let script = |name: &str| {
        let mut command = Command::new("bash");
        command.arg(root().join("dev/cluster").join(name));
        command
    };
    let found = script("build.sh").arg("find").output();
    if !found.is_ok_and(|found| found.status.success()) {
        println!("skipped: Kubernetes is not built for this machine (bash tools/setup.sh builds it)");
        return None;
    }
    let dir = tempfile::tempdir().unwrap();
    let cluster = Cluster { dir, env: BTreeMap::new() };
    cluster.up();
    let text = std::fs::read_to_string(cluster.folder().join("env")).unwrap();
    let pairs = text.lines().filter_map(|line| line.strip_prefix("export ")?.split_once('='));
    let env = pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let cluster = Cluster { env, ..cluster };
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let client = client(&cluster.kubeconfig()).await;
        for kind in ["backtestjobs", "backtestbudgets"] {
            let text = root().join("charts/blockgrid/files/crds").join(format!("{kind}.yaml"));
            let text = std::fs::read_to_string(text).unwrap();
            let object: Value = serde_saphyr::from_str(&text).unwrap();
            let crds = dynamic(&client, "apiextensions.k8s.io", "v1", "CustomResourceDefinition", None);
            crds.create(&PostParams::default(), &serde_json::from_value(object).unwrap()).await.unwrap();
        }
        // They are served a moment after they were made.
        let jobs: Api<BacktestJob> = Api::all(client.clone());
        let budgets: Api<BacktestBudget> = Api::all(client);
        let all = ListParams::default();
        while jobs.list(&all).await.is_err() || budgets.list(&all).await.is_err() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    Some(cluster)
});

impl Cluster {
    fn folder(&self) -> PathBuf {
        self.dir.path().join("cluster")
    }

    fn command(&self, args: &[&str]) -> String {
        let mut command = Command::new("bash");
        command.arg(root().join("dev/cluster/cluster.sh")).args(args).env("CLUSTER_DIR", self.folder());
        let done = command.stderr(Stdio::inherit()).output().unwrap();
        String::from_utf8(done.stdout).unwrap()
    }

    /// Starts what does not run.
    pub(crate) fn up(&self) {
        self.command(&["up", "--until", &std::process::id().to_string()]);
    }

    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.folder().join("kubeconfig")
    }

    /// `kill -9` of one of its programs.
    pub(crate) fn kill(&self, name: &str) {
        let status = self.command(&["status"]);
        let line = status.lines().find_map(|line| line.strip_prefix(&format!("{name}: process "))).unwrap();
        signal(line.trim().parse().unwrap(), "KILL");
    }

    /// Has its database forget what was before this moment.
    pub(crate) fn compact(&self) {
        let ports = std::fs::read_to_string(self.folder().join("ports")).unwrap();
        let etcd = ports.split_whitespace().next().unwrap().to_owned();
        let ask = |what: &str, body: Value| -> Value {
            let mut stream = TcpStream::connect(format!("127.0.0.1:{etcd}")).unwrap();
            let body = body.to_string();
            let length = body.len();
            let head = format!("POST /v3/kv/{what} HTTP/1.1\r\nHost: etcd\r\nConnection: close\r\n");
            write!(stream, "{head}Content-Length: {length}\r\n\r\n{body}").unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
            serde_json::from_str(answer.split("\r\n\r\n").nth(1).unwrap()).unwrap()
        };
        let now = ask("range", json!({ "key": "AA==" }))["header"]["revision"].clone();
        ask("compaction", json!({ "revision": now, "physical": true }));
    }

    /// Every request of its API.
    pub(crate) fn audit(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(&self.env["CLUSTER_AUDIT"]).unwrap();
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// Runs `kubectl`.
    pub(crate) fn kubectl(&self, args: &[&str]) -> String {
        let mut command = Command::new(Path::new(&self.env["CLUSTER_BIN"]).join("kubectl"));
        command.args(args).envs(&self.env);
        let done = command.output().unwrap();
        assert!(done.status.success(), "{args:?}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).unwrap()
    }
}

pub(super) async fn client(kubeconfig: &Path) -> Client {
    let kubeconfig = Kubeconfig::read_from(kubeconfig).unwrap();
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
    Client::try_from(config).unwrap()
}

/// Objects of a kind that has no type here.
pub(crate) fn dynamic(
    client: &Client,
    group: &str,
    version: &str,
    kind: &str,
    namespace: Option<&str>,
) -> Api<DynamicObject> {
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
    match namespace {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    }
}
