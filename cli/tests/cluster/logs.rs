//! `logs`: from pods that have not started, and by way of the API server from a kubelet that answers as one does.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use crate::plane::{Plane, await_text, plane};
use crate::support::example;

/// Answers what a kubelet is asked for logs: lines that name the pod and what was asked, one of them a second later.
const KUBELET: &str = r#"
import http.server, ssl, sys, time
class Logs(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        path, _, query = self.path.partition("?")
        self.send_response(200)
        self.end_headers()
        self.wfile.write(f"{path} {query}\n".encode())
        if "follow=true" in query:
            time.sleep(1)
            self.wfile.write(b"later\n")
    def log_message(self, *_):
        pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Logs)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[1] + ".crt", sys.argv[1] + ".key")
server.socket = context.wrap_socket(server.socket, server_side=True)
print(server.server_port, flush=True)
server.serve_forever()
"#;

struct Kubelet(Child);

impl Drop for Kubelet {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A node whose kubelet only knows logs.
fn node(plane: &Plane) -> Kubelet {
    let pki = plane.kubeconfig.with_file_name("pki").join("apiserver");
    let mut command = Command::new("python3");
    command.args(["-c", KUBELET]).arg(pki).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut port = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut port).unwrap();
    let port = port.trim();
    plane.apply("{apiVersion: v1, kind: Node, metadata: {name: logs}, spec: {unschedulable: true}}");
    let status = format!(
        r#"{{"status":{{"addresses":[{{"type":"InternalIP","address":"127.0.0.1"}}],"daemonEndpoints":{{"kubeletEndpoint":{{"Port":{port}}}}}}}}}"#
    );
    plane.kubectl(&["patch", "node", "logs", "--subresource=status", "--type=merge", "-p", &status]);
    Kubelet(child)
}

/// A worker of a job, on a node or on none.
fn pod(plane: &Plane, name: &str, uid: &str, index: u32, node: &str) {
    plane.kubectl(&["wait", "--for=create", "serviceaccount/default", "-n", "blockgrid", "--timeout=60s"]);
    plane.apply(&format!(
        "{{apiVersion: v1, kind: Pod, metadata: {{name: {name}, namespace: blockgrid, labels: {{grid.blockbuilders.app/job-uid: {uid}, batch.kubernetes.io/job-completion-index: '{index}'}}}}, spec: {{nodeName: '{node}', containers: [{{name: worker, image: 'x:1'}}]}}}}"
    ));
    if !node.is_empty() {
        let status = r#"{"status":{"phase":"Running","containerStatuses":[{"name":"worker","image":"x:1","imageID":"","ready":true,"restartCount":0,"state":{"running":{"startedAt":"2026-01-01T00:00:00Z"}}}]}}"#;
        plane.kubectl(&[
            "patch",
            "pod",
            name,
            "-n",
            "blockgrid",
            "--subresource=status",
            "--type=merge",
            "-p",
            status,
        ]);
    }
}

#[test]
fn logs_are_prefixed_by_the_index_and_followed_to_the_end_of_the_job() {
    let Some(plane) = plane() else { return };
    let tenant = plane.tenant("follow");
    let _kubelet = node(plane);
    tenant.run(&["submit", example("sma-crossover").to_str().unwrap(), "--suspend"]).ok();
    let job = tenant.await_phase("sma-crossover", "Suspended");
    let uid = job["metadata"]["uid"].as_str().unwrap();
    pod(plane, "follow-1", uid, 1, "logs");
    pod(plane, "follow-0", uid, 0, "logs");
    let ran = tenant.run(&["logs", "sma-crossover"]).ok();
    let lines: Vec<&str> = ran.stdout.lines().collect();
    assert_eq!(
        lines,
        [
            "[0-0] /containerLogs/blockgrid/follow-0/worker tailLines=50",
            "[1-1] /containerLogs/blockgrid/follow-1/worker tailLines=50",
        ]
    );
    let all = tenant.run(&["logs", "sma-crossover", "--all"]).ok().stdout;
    assert!(!all.contains("tailLines"), "{all}");

    let log = tenant.path().join("logs");
    let file = File::create(&log).unwrap();
    let mut command = tenant.command(&["logs", "sma-crossover", "-f"]);
    let mut following = command.stdout(file.try_clone().unwrap()).stderr(file).spawn().unwrap();
    await_text(&log, "[0-0] later");
    await_text(&log, "[1-1] later");
    pod(plane, "follow-2", uid, 2, "logs");
    await_text(&log, "[2-2] /containerLogs/blockgrid/follow-2/worker follow=true&tailLines=50");
    assert!(following.try_wait().unwrap().is_none());
    tenant.run(&["cancel", "sma-crossover"]).ok();
    assert!(following.wait().unwrap().success(), "{}", std::fs::read_to_string(&log).unwrap());
}

#[test]
fn pods_that_have_not_started_are_named() {
    let Some(plane) = plane() else { return };
    let tenant = plane.tenant("logs");
    tenant.run(&["submit", example("sma-crossover").to_str().unwrap(), "--suspend"]).ok();
    let job = tenant.until("sma-crossover", "it rests", |job| job["status"]["phase"] == "Suspended");
    assert_eq!(job["status"]["lane"], "pool");
    tenant
        .run(&["logs", "sma-crossover"])
        .fails(1, &["has no workers in namespace blockgrid", "why sma-crossover"]);
    // As its workers are, which find no node here.
    pod(plane, "logs-3", job["metadata"]["uid"].as_str().unwrap(), 3, "");
    let unschedulable = "--for=jsonpath={.status.conditions[0].reason}=Unschedulable";
    plane.kubectl(&["wait", unschedulable, "pod/logs-3", "-n", "blockgrid", "--timeout=60s"]);
    let ran = tenant.run(&["logs", "sma-crossover"]).ok();
    assert!(ran.stderr.contains("[3] logs-3 has not started: Unschedulable: "), "{}", ran.stderr);
    tenant.run(&["logs", "sma-crossover", "--workers-namespace", "logs"]).fails(1, &["in namespace logs"]);
}
