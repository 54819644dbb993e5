"""Figures of the operator: reconciles, latency of small jobs, calls of the API, failover, ten thousand jobs at once.

    python bench/operator/bench.py --programs target/release [--only latency lane] [--small 200] [--many 10000]

Everything is real but the kubelet: a control plane of dev/cluster (etcd, API server, Job controller), Redis, an S3 server,
the operator with the rights and the token of a service account of its own, so that its calls are told apart in the audit
log, and one warm worker; `scale` has nodes of kwok, where that is installed. Each figure is printed with the aim it is held against; nothing is asserted. Needs redis-server,
versitygw, and the Kubernetes of tools/setup.sh.
"""

import argparse
import collections
import http.client
import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
GROUP = "grid.blockbuilders.app"
JOBS = f"/apis/{GROUP}/v1alpha1/namespaces/tenant/backtestjobs"
S3_KEY, S3_SECRET = "bench-key", "bench-secret"
ACCOUNT = "system:serviceaccount:platform:operator"

CONFIG = """
workers: {namespace: platform, image: 'grid:1', startDeadline: 10m}
interactive: {enabled: true, deployment: warm, maxVcpuSeconds: %s, slots: 2}
classes: {standard: {cpu: '2', memory: 4Gi, slots: 2, microUsdPerVcpuHour: 36000}}
datasets: {sample: {location: sample}}
namespaces: [tenant]
jobs: {ttl: 1h, deadline: 1h, maxWorkers: 4, plannedAtOnce: 2}
"""

number = 0


def manifest(name):
    """A small job that no other has computed."""
    global number
    number += 1
    return {
        "apiVersion": f"{GROUP}/v1alpha1",
        "kind": "BacktestJob",
        "metadata": {"name": name},
        "spec": {
            "data": {"dataset": "sample", "symbols": ["SYN-A"], "interval": "1h",
                     "from": "2024-01-01T00:00:00Z", "to": "2025-01-01T00:00:00Z"},
            "strategy": {
                "parameters": {"fast": 10, "slow": 50, "stop": 0.03},
                "define": {"fastMa": "sma(close, fast)", "slowMa": "sma(close, slow)"},
                "long": {"enter": "crosses_above(fastMa, slowMa)", "exit": "crosses_below(fastMa, slowMa)"},
                "risk": {"stopLoss": "stop"},
                "size": "allIn",
            },
            "sweep": {"parameters": {"fast": [5, 10], "slow": [60], "stop": [0.02 + number * 1e-6]},
                      "objective": "sharpe"},
            "output": {"top": 1},
        },
    }


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def cpu_seconds(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def peak_mib(pid):
    return int(re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{pid}/status").read_text()).group(1)) / 1024


def quantile(values, share):
    values = sorted(values)
    return values[min(len(values) - 1, int(len(values) * share))] if values else float("nan")


class Api:
    """The API server as admin, on one connection that stays."""

    def __init__(self, kubeconfig):
        text = Path(kubeconfig).read_text()
        self.host, self.port = re.search(r"https://([\d.]+):(\d+)", text).groups()
        self.token = re.search(r"token: (\w+)", text).group(1)
        self.text = text
        self.context = ssl._create_unverified_context()
        self.connection = None

    def __call__(self, method, path, body=None, kind="application/json"):
        for again in (True, False):
            try:
                if self.connection is None:
                    self.connection = http.client.HTTPSConnection(self.host, self.port, context=self.context, timeout=60)
                headers = {"Authorization": f"Bearer {self.token}", "Content-Type": kind}
                self.connection.request(method, path, json.dumps(body) if body is not None else None, headers)
                answer = self.connection.getresponse()
                data = answer.read()
                break
            except (OSError, http.client.HTTPException):
                self.connection = None
                if not again:
                    raise
        if answer.status >= 400 and answer.status != 404:
            raise RuntimeError(f"{method} {path}: {answer.status} {data[:300]}")
        return json.loads(data) if answer.status != 404 else None

    def merge(self, path, body):
        return self("PATCH", path, body, "application/merge-patch+json")

    def watch(self, version):
        """Changes of jobs since then, as they come."""
        connection = http.client.HTTPSConnection(self.host, self.port, context=self.context, timeout=120)
        connection.request("GET", f"{JOBS}?watch=1&resourceVersion={version}", headers={"Authorization": f"Bearer {self.token}"})
        answer = connection.getresponse()
        while line := answer.readline():
            yield json.loads(line)


class Bench:
    def __init__(self, folder, programs):
        self.folder, self.programs, self.children, self.replicas = Path(folder), programs.resolve(), [], 0
        env = {**os.environ, "CLUSTER_DIR": f"{folder}/cluster"}
        script = str(ROOT / "dev/cluster/cluster.sh")
        subprocess.run(["bash", script, "up", "--until", str(os.getpid())], env=env, check=True, stdout=subprocess.DEVNULL)
        self.api = Api(f"{folder}/cluster/kubeconfig")
        self.audit_path = Path(folder, "cluster/audit.log")
        self.redis_port, self.s3_port = free_port(), free_port()
        Path(folder, "s3/grid").mkdir(parents=True)
        Path(folder, "versions").mkdir()
        self.spawn(["redis-server", "--port", self.redis_port, "--save", "", "--bind", "127.0.0.1", "--dir", folder])
        gateway = shutil.which("versitygw") or str(Path.home() / "go/bin/versitygw")
        self.spawn([gateway, "--access", S3_KEY, "--secret", S3_SECRET, "--port", f"127.0.0.1:{self.s3_port}", "--quiet",
                    "posix", "--versioning-dir", f"{folder}/versions", f"{folder}/s3"])
        for port in (self.redis_port, self.s3_port):
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port)).close()
                    break
                except OSError:
                    time.sleep(0.05)
        for name in ("platform", "tenant"):
            self.api("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
        kubectl = re.search(r"CLUSTER_BIN=(\S+)", Path(folder, "cluster/env").read_text()).group(1) + "/kubectl"
        crds = str(ROOT / "charts/blockgrid/files/crds")
        known = ["--kubeconfig", f"{folder}/cluster/kubeconfig"]
        subprocess.run([kubectl, *known, "create", "-f", crds], check=True, stdout=subprocess.DEVNULL)
        subprocess.run([kubectl, *known, "wait", "--for=condition=Established", "crd", "--all"], check=True, stdout=subprocess.DEVNULL)
        subprocess.run([kubectl, *known, "create", "serviceaccount", "operator", "-n", "platform"], check=True, stdout=subprocess.DEVNULL)
        # What it may is tested elsewhere; here it is only to have a name.
        subprocess.run([kubectl, *known, "create", "clusterrolebinding", "operator", "--clusterrole=cluster-admin",
                        "--serviceaccount=platform:operator"], check=True, stdout=subprocess.DEVNULL)
        token = subprocess.run([kubectl, *known, "create", "token", "operator", "-n", "platform", "--duration=12h"],
                               check=True, capture_output=True, text=True).stdout.strip()
        self.kubeconfig = Path(folder, "operator.kubeconfig")
        self.kubeconfig.write_text(self.api.text.replace(self.api.token, token))

    def spawn(self, args, **more):
        log = open(self.folder / f"{Path(str(args[0])).name}-{len(self.children)}.log", "w")
        child = subprocess.Popen([str(arg) for arg in args], stdout=log, stderr=log, **more)
        self.children.append(child)
        return child

    def program(self, args, **env):
        grid = ["--store", "s3://grid", "--s3-endpoint", f"http://127.0.0.1:{self.s3_port}",
                "--redis", f"redis://127.0.0.1:{self.redis_port}/"]
        keys = {"AWS_ACCESS_KEY_ID": S3_KEY, "AWS_SECRET_ACCESS_KEY": S3_SECRET, "AWS_REGION": "us-east-1"}
        return self.spawn([self.programs / args[0], *args[1:], *grid], env={**os.environ, **keys, **env})

    def operator(self, small=30):
        self.replicas += 1
        config = self.folder / f"operator{self.replicas}.yaml"
        config.write_text(CONFIG % small)
        port = free_port()
        child = self.program(["blockgrid-controller", "run", "--config", config, "--namespace", "platform", "--name",
                              f"o{self.replicas}", "--http", f"127.0.0.1:{port}"],
                             KUBECONFIG=str(self.kubeconfig), RUST_LOG="warn")
        child.port = port
        return child

    def metrics(self, operator):
        try:
            return urllib.request.urlopen(f"http://127.0.0.1:{operator.port}/metrics", timeout=5).read().decode()
        except OSError:
            return ""

    def leads(self, operator):
        return "blockgrid_operator_leader 1" in self.metrics(operator)

    def await_leader(self, operator):
        while not self.leads(operator):
            time.sleep(0.02)

    def worker(self, slots=1):
        return self.program(["blockgrid-worker", "--all", "--name", "w0", "--slots", slots, "--http", "127.0.0.1:0"],
                            BLOCKGRID_HOME=str(self.folder / "home"))

    def calls(self, since=0):
        """The operator's calls, by what they are about."""
        counts = collections.Counter()
        with open(self.audit_path) as log:
            log.seek(since)
            for line in log:
                try:
                    call = json.loads(line)
                except ValueError:
                    continue
                if call["user"]["username"] == ACCOUNT and call["verb"] != "watch":
                    about = call.get("objectRef", {})
                    what = about.get("resource", "?") + ("/" + about["subresource"] if "subresource" in about else "")
                    counts[f"{call['verb']} {what}"] += 1
        return counts

    def until_phase(self, name, phases):
        while True:
            status = (self.api("GET", f"{JOBS}/{name}") or {}).get("status", {})
            if status.get("phase") in phases:
                return status
            time.sleep(0.01)

    def stop(self, child, how=signal.SIGKILL):
        child.send_signal(how)
        child.wait()

    def close(self):
        for child in self.children:
            if child.poll() is None:
                child.kill()
                child.wait()


def say(figure, value, aim=""):
    print(f"{figure:58} {value:>24}  {aim}", flush=True)


def of_histogram(before, after, acted, share):
    """Of the looks between two answers of /metrics that did something or nothing: the ms that a share of them lies within, and
    how many they are."""
    rows = lambda text: {le: int(count) for le, count in re.findall(
        rf'reconcile_duration_seconds_bucket\{{acted="{acted}",le="([^"]+)"\}} (\d+)', text)}
    old, new = rows(before), rows(after)
    counts = {le: count - old.get(le, 0) for le, count in new.items()}
    whole = counts.get("+Inf", 0)
    if not whole:
        return "?", 0
    return next(f"{float(le) * 1e3:g}" for le, count in counts.items() if count >= whole * share), whole


def latency(bench, args):
    """One small job at a time, with a warm worker."""
    operator, worker = bench.operator(), bench.worker()
    bench.await_leader(operator)
    bench.api("POST", JOBS, manifest("warm"))
    bench.until_phase("warm", {"Succeeded"})
    time.sleep(2)
    since, times = bench.audit_path.stat().st_size, []
    for nth in range(args.small):
        name = f"small{nth}"
        version = bench.api("GET", JOBS)["metadata"]["resourceVersion"]
        watch = bench.api.watch(version)
        began = time.monotonic()
        bench.api("POST", JOBS, manifest(name))
        for event in watch:
            if event["object"]["metadata"].get("name") == name and event["object"].get("status", {}).get("phase") == "Succeeded":
                break
        times.append(time.monotonic() - began)
    say(f"apply to Succeeded, p50 of {args.small}", f"{quantile(times, 0.5) * 1e3:.0f} ms", "aim 1 s")
    say("apply to Succeeded, p99", f"{quantile(times, 0.99) * 1e3:.0f} ms", "aim 3 s")
    time.sleep(3)
    calls = bench.calls(since)
    leases = sum(count for what, count in calls.items() if what.endswith("leases"))
    others = sum(calls.values()) - leases - sum(count for what, count in calls.items() if "deployments" in what)
    say("calls of the API per small job", f"{others / args.small:.1f}", "aim 40")
    for what, count in calls.most_common(8):
        print(f"    {what:40} {count / args.small:6.2f}")
    # Ended jobs, looked at again because something else of them changes: nothing is to be done.
    before = bench.metrics(operator)
    for round_ in range(10):
        for nth in range(args.small):
            bench.api.merge(f"{JOBS}/small{nth}", {"metadata": {"labels": {"round": str(round_)}}})
    time.sleep(2)
    after = bench.metrics(operator)
    looks("of an ended job without work", before, after)
    for nth in range(args.small):
        bench.api("DELETE", f"{JOBS}/small{nth}")
    bench.stop(worker)
    bench.stop(operator)


def lane(bench, args):
    """Small jobs at the rate of so many an hour, for a while, with real workers: how many are done, and how late."""
    operator, worker = bench.operator(), bench.worker(args.slots)
    bench.await_leader(operator)
    bench.api("POST", JOBS, manifest("warm"))
    bench.until_phase("warm", {"Succeeded"})
    count, pause = args.lane_seconds * args.rate // 3600, 3600 / args.rate
    made, ended, lock = {}, {}, threading.Lock()
    version = bench.api("GET", JOBS)["metadata"]["resourceVersion"]

    def look():
        for event in bench.api.watch(version):
            name = event["object"]["metadata"].get("name", "")
            if name.startswith("lane") and event["object"].get("status", {}).get("phase") in {"Succeeded", "Failed"}:
                with lock:
                    ended.setdefault(name, (time.monotonic(), event["object"]["status"]["phase"]))
                    if len(ended) >= count:
                        return

    looking = threading.Thread(target=look, daemon=True)
    looking.start()
    began, cpu = time.monotonic(), {child.pid: cpu_seconds(child.pid) for child in (operator, worker)}
    for nth in range(count):
        time.sleep(max(0, began + nth * pause - time.monotonic()))
        made[f"lane{nth}"] = time.monotonic()
        bench.api("POST", JOBS, manifest(f"lane{nth}"))
    submitted = time.monotonic() - began
    looking.join(timeout=args.patience)
    whole = max(at for at, _ in ended.values()) - began
    times = [ended[name][0] - at for name, at in made.items() if name in ended]
    good = sum(phase == "Succeeded" for name, (_, phase) in ended.items() if name in made)
    say(f"small jobs an hour through the lane, {args.slots} slots", f"{good / whole * 3600:,.0f}", "aim 20,000")
    say(f"    asked for {args.rate:,} an hour, submitted at", f"{count / submitted * 3600:,.0f}")
    say(f"    of {count}, ended and Succeeded", f"{len(ended)}, {good}")
    for name in [name for name, (_, phase) in ended.items() if phase != "Succeeded"][:3]:
        print("       ", name, bench.api("GET", f"{JOBS}/{name}")["status"].get("message"))
    say("    apply to Succeeded, p50", f"{quantile(times, 0.5) * 1e3:.0f} ms")
    say("    p99", f"{quantile(times, 0.99) * 1e3:.0f} ms")
    for name, child in (("operator", operator), ("worker", worker)):
        say(f"    CPU of the {name} a job", f"{(cpu_seconds(child.pid) - cpu[child.pid]) / count * 1e3:.1f} ms")
    bench.stop(worker)
    bench.stop(operator)


def ledger(bench, args):
    """A leader that begins late in a month of many jobs: until it admits."""
    operator = bench.operator()
    bench.await_leader(operator)
    bench.stop(operator)
    month = time.strftime("%Y-%m", time.gmtime())
    folder = Path(bench.folder, "s3/grid/ledger-folds", month)
    folder.mkdir(parents=True)
    entries = {f"{nth:032x}": {"namespace": "tenant", "name": f"job{nth}", "user": f"u{nth % 200}", "microUsd": nth} for nth in range(args.unfolded)}
    sums = [{"namespace": "tenant", "user": f"u{nth}", "microUsd": 1000 * nth} for nth in range(200)]
    (folder / f"{1:08}").write_text(json.dumps({"sums": sums, "laneMicroUsd": 0, "entries": entries}))
    folder = Path(bench.folder, "s3/grid/ledger", month)
    folder.mkdir(parents=True)
    for nth in range(args.unfolded):
        body = {"namespace": "tenant", "name": f"late{nth}", "user": f"u{nth % 200}", "microUsd": 1}
        (folder / f"{nth + 10**9:032x}").write_text(json.dumps(body))
    operator = bench.operator()
    began = time.monotonic()
    bench.await_leader(operator)
    led = time.monotonic()
    bench.api("POST", JOBS, manifest("first"))
    while "reservedMicroUsd" not in (bench.api("GET", f"{JOBS}/first") or {}).get("status", {}):
        time.sleep(0.01)
    say(f"a leader admits, {args.unfolded:,} folded and {args.unfolded:,} other entries", f"{time.monotonic() - led:.1f} s", "aim 20 s")
    say("    from its start", f"{time.monotonic() - began:.1f} s")
    bench.stop(operator)


def looks(what, before, after):
    """How long looks took between two answers of /metrics."""
    for acted, aims in (("false", ("aim 2 ms", "aim 20 ms")), ("true", ())):
        (middle, whole), (slow, _) = of_histogram(before, after, acted, 0.5), of_histogram(before, after, acted, 0.99)
        if whole or aims:
            how = "with work" if aims == () else "without work"
            say(f"reconcile {what}, {how}, p50 of {whole}", f"within {middle} ms", *aims[:1])
            say(f"reconcile {what}, {how}, p99", f"within {slow} ms", *aims[1:])


def pools(bench, args):
    """Jobs that get workers of their own: until the Job is there, and its first pod (no node runs it)."""
    operator = bench.operator(small=0)
    bench.await_leader(operator)
    count, times, pods, workers = max(args.small // 4, 10), [], [], 0
    since = bench.audit_path.stat().st_size
    for nth in range(count):
        began = time.monotonic()
        uid = bench.api("POST", JOBS, manifest(f"pool{nth}"))["metadata"]["uid"]
        while not (pool := bench.api("GET", f"/apis/batch/v1/namespaces/platform/jobs/bt-{uid}")):
            time.sleep(0.005)
        times.append(time.monotonic() - began)
        workers += pool["spec"]["parallelism"]
        of_it = f"/api/v1/namespaces/platform/pods?labelSelector=batch.kubernetes.io/job-name=bt-{uid}"
        while not bench.api("GET", of_it)["items"]:
            time.sleep(0.005)
        pods.append(time.monotonic() - began)
    first, times = times[0], times[1:]
    say(f"apply to the pool's Job, p50 of {count - 1}", f"{quantile(times, 0.5) * 1e3:.0f} ms")
    say("apply to the pool's Job, p99", f"{quantile(times, 0.99) * 1e3:.0f} ms", "aim 1 s")
    say("apply to its first pod, p50", f"{quantile(pods[1:], 0.5) * 1e3:.0f} ms")
    say("apply to its first pod, p99", f"{quantile(pods[1:], 0.99) * 1e3:.0f} ms", "aim 1 s")
    say("    of the first Job, as soon as somebody leads", f"{first * 1e3:.0f} ms")
    for nth in range(count):
        bench.api.merge(f"{JOBS}/pool{nth}", {"spec": {"cancel": True}})
    for nth in range(count):
        bench.until_phase(f"pool{nth}", {"Cancelled"})
        while "reservedMicroUsd" in bench.api("GET", f"{JOBS}/pool{nth}")["status"]:
            time.sleep(0.05)
    calls = bench.calls(since)
    others = sum(count_ for what, count_ in calls.items() if not what.endswith("leases") and "deployments" not in what)
    say("calls of the API per pool job (cancelled)", f"{others / count:.1f}", f"aim 40 + 8 x {workers / count:.0f} workers")
    for nth in range(count):
        bench.api("DELETE", f"{JOBS}/pool{nth}")
    bench.stop(operator)


def failover(bench, args):
    """With the lease of the chart: 15, 10 and 2 s."""
    first = bench.operator()
    while not any(bench.leads(each) for each in (first,)):
        time.sleep(0.02)
    for how, aim in ((signal.SIGKILL, "aim 20 s"), (signal.SIGTERM, "aim 3 s")):
        second = bench.operator()
        time.sleep(4)
        began = time.monotonic()
        first.send_signal(how)
        bench.await_leader(second)
        say(f"another leads after {how.name}", f"{time.monotonic() - began:.1f} s", aim)
        first.wait()
        first = second
    bench.stop(first)


def kwok(bench, nodes):
    """Nodes that say of every pod that it is ready, and compute nothing; none where kwok is not installed."""
    program = shutil.which("kwok") or str(Path.home() / "go/bin/kwok")
    module = subprocess.run(["go", "env", "GOMODCACHE"], capture_output=True, text=True).stdout.strip()
    stages = sorted(Path(module, "sigs.k8s.io").glob("kwok@*/kustomize/stage"))
    if not Path(program).exists() or not stages:
        print("skipped: kwok is not installed: go install sigs.k8s.io/kwok/cmd/kwok@v0.8.0")
        return False
    # Without the stage in which the pods of Jobs are done at once.
    wanted = ["node/fast/node-initialize", "node/heartbeat/node-heartbeat", "pod/fast/pod-ready", "pod/fast/pod-delete"]
    config = bench.folder / "kwok.yaml"
    config.write_text("\n---\n".join((stages[-1] / f"{name}.yaml").read_text() for name in wanted))
    bench.spawn([program, "--kubeconfig", bench.folder / "cluster/kubeconfig", "--manage-all-nodes", "--config", config])
    for nth in range(nodes):
        room = {"cpu": "1k", "memory": "4Ti", "pods": "1k"}
        bench.api("POST", "/api/v1/nodes", {"metadata": {"name": f"kwok{nth}"}, "status": {"capacity": room, "allocatable": room}})
    while True:
        items = bench.api("GET", "/api/v1/nodes")["items"]
        is_ready = lambda node: any(c["type"] == "Ready" and c["status"] == "True" for c in node.get("status", {}).get("conditions", []))
        if sum(map(is_ready, items)) == nodes:
            return True
        time.sleep(0.5)


def scale(bench, args):
    """Jobs with workers of their own by the hundred, on nodes that compute nothing: what the operator takes."""
    if not kwok(bench, 50):
        return
    operator = bench.operator(small=0)
    bench.await_leader(operator)
    since, made = bench.audit_path.stat().st_size, {}
    began = time.monotonic()

    def phases():
        found = collections.Counter()
        for job in bench.api("GET", JOBS)["items"]:
            status = job.get("status", {})
            ready = any(c["type"] == "WorkersReady" and c["status"] == "True" for c in status.get("conditions", []))
            found[status.get("phase", "")] += 1
            found["ready"] += ready
            found["settled"] += status.get("completionTime") is not None and "reservedMicroUsd" not in status
        return found

    for nth in range(args.pools):
        made[nth] = time.monotonic()
        bench.api("POST", JOBS, manifest(f"scale{nth}"))
    while phases()["ready"] < args.pools and time.monotonic() - began < args.patience:
        time.sleep(1)
    pods = len(bench.api("GET", "/api/v1/namespaces/platform/pods")["items"])
    say(f"{args.pools} jobs applied, until {pods} pods of their own are told ready", f"{time.monotonic() - began:.0f} s")
    # What there is to tell of a job's first minutes is work.
    time.sleep(120)
    before, idle, seen = cpu_seconds(operator.pid), time.monotonic(), bench.metrics(operator)
    time.sleep(20)
    looks("of a job that runs", seen, bench.metrics(operator))
    share = (cpu_seconds(operator.pid) - before) / (time.monotonic() - idle)
    say("    CPU of the operator while they run", f"{share * 100:.1f} %")
    say("    its memory at most", f"{peak_mib(operator.pid):.0f} MiB", "aim 200 MiB")
    began = time.monotonic()
    for nth in range(args.pools):
        bench.api.merge(f"{JOBS}/scale{nth}", {"spec": {"cancel": True}})
    while phases()["settled"] < args.pools and time.monotonic() - began < args.patience:
        time.sleep(1)
    say("    all cancelled, until all are settled and their pods gone", f"{time.monotonic() - began:.0f} s")
    calls = bench.calls(since)
    others = sum(count for what, count in calls.items() if not what.endswith("leases") and "deployments" not in what)
    say("    calls of the API a job", f"{others / args.pools:.1f}", f"aim {40 + 8 * pods // args.pools}")
    for what, count in calls.most_common(6):
        print(f"        {what:40} {count / args.pools:6.2f}")
    bench.stop(operator)


def many(bench, args):
    """Jobs by the thousand, and a budget without anything left."""
    budget = f"/apis/{GROUP}/v1alpha1/namespaces/platform/backtestbudgets"
    bench.api("POST", budget, {"apiVersion": f"{GROUP}/v1alpha1", "kind": "BacktestBudget",
                               "metadata": {"name": "grid"}, "spec": {"monthlyUsd": 1e-6}})
    operator = bench.operator()
    bench.await_leader(operator)
    began = time.monotonic()
    for nth in range(args.many):
        body = manifest(f"many{nth}")
        # Dear enough for a millionth of a dollar not to do.
        body["spec"]["sweep"]["parameters"]["fast"] = list(range(5, 45))
        bench.api("POST", JOBS, body)
    accepted = time.monotonic() - began
    say(f"{args.many} jobs accepted by the API server", f"{accepted:.0f} s")
    waiting = 0
    while True:
        text = bench.metrics(operator)
        # The first may run: what is rounded up to a millionth fits once.
        found = re.findall(r'blockgrid_operator_jobs\{phase="(?:Queued|Running)"\} (\d+)', text)
        waiting = sum(map(int, found)) or waiting
        if waiting >= args.many or time.monotonic() - began > args.patience:
            break
        time.sleep(1)
    say(f"{waiting} of {args.many} jobs planned and held", f"{(time.monotonic() - began) / 60:.1f} min", "aim 10,000 in 10 min")
    say("peak memory of the operator", f"{peak_mib(operator.pid):.0f} MiB", "aim 200 MiB")
    bench.stop(operator)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--programs", type=Path, required=True, help="folder of blockgrid-controller and blockgrid-worker")
    parser.add_argument("--only", nargs="*", default=["latency", "lane", "pools", "scale", "failover", "ledger", "many"])
    parser.add_argument("--rate", type=int, default=20_000, help="small jobs an hour that `lane` asks for")
    parser.add_argument("--lane-seconds", type=int, default=120, help="how long it does")
    parser.add_argument("--slots", type=int, default=2, help="slots of its worker")
    parser.add_argument("--unfolded", type=int, default=5000, help="entries that `ledger` begins with")
    parser.add_argument("--pools", type=int, default=500, help="jobs of `scale`")
    parser.add_argument("--small", type=int, default=200)
    parser.add_argument("--many", type=int, default=10_000)
    parser.add_argument("--patience", type=int, default=1800, help="seconds to wait for all of them")
    args = parser.parse_args()
    for name in args.only:
        with tempfile.TemporaryDirectory() as folder:
            bench = Bench(folder, args.programs)
            try:
                globals()[name](bench, args)
            finally:
                bench.close()
                script = str(ROOT / "dev/cluster/cluster.sh")
                subprocess.run(["bash", script, "down", "--purge"], env={**os.environ, "CLUSTER_DIR": f"{folder}/cluster"})


if __name__ == "__main__":
    main()
