"""Figures of the grid on one machine: latency of small jobs, start, size, scaling, tail, what a killed worker costs.

    python bench/grid/bench.py --program target/release/blockgrid [--only latency scale] [--jobs 200]

Everything is real: Redis, an S3 server, worker processes, all started by `blockgrid up` in a folder of its own. Each
figure is printed with the goal it is held against; nothing is asserted. Needs redis-server and versitygw.
"""

import argparse
import json
import os
import re
import signal
import statistics
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path

SMALL = """
apiVersion: grid.blockbuilders.app/v1alpha1
kind: BacktestJob
metadata: {name: small}
spec:
  data: {dataset: sample, symbols: [SYN-A], interval: 1h, from: 2024-01-01T00:00:00Z, to: 2025-01-01T00:00:00Z}
  strategy:
    parameters: {fast: 10, slow: 50}
    define: {fastMa: "sma(close, fast)", slowMa: "sma(close, slow)"}
    long: {enter: "crosses_above(fastMa, slowMa)", exit: "crosses_below(fastMa, slowMa)"}
    size: allIn
  sweep:
    parameters: {fast: {from: 5, to: 100, step: 5}, slow: {from: 110, to: 600, step: 10}}
    objective: sharpe
  output: {top: 20}
"""

LARGE = """
apiVersion: grid.blockbuilders.app/v1alpha1
kind: BacktestJob
metadata: {name: large}
spec:
  data: {dataset: %s, symbols: [SYN0001], interval: 1m}
  strategy:
    parameters: {period: 14, level: 30, trend: 200, stop: 0.02}
    define: {strength: "rsi(close, period)", average: "ema(close, trend)"}
    long: {enter: "strength < level && close > average", exit: "strength > 100 - level"}
    risk: {stopLoss: stop}
    size: allIn
  sweep:
    parameters:
      period: {from: 5, to: 40, step: 1}
      level: {from: 15, to: 45, step: %d}
      trend: {from: 50, to: 1000, step: 50}
      stop: [0.01, 0.02, 0.03, 0.05]
    objective: sharpe
  output: {top: 5}
"""


class Grid:
    """A grid of this machine, for as long as it is needed."""

    def __init__(self, program, workers, slots, options=()):
        self.program = program
        self.folder = Path(tempfile.mkdtemp(prefix="blockgrid-bench-"))
        command = [program, "up", "--dir", self.folder, "--workers", workers, "--slots", slots, "--output", "json"]
        command += ["--", *options] if options else []
        run(command)
        # With the keys of the store, which are not printed.
        self.state = json.loads((self.folder / "up.json").read_text())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        run([self.program, "down", "--dir", self.folder, "--purge"])

    def submit(self, manifest, *options):
        out = self.folder / "out"
        started = time.perf_counter()
        text = run([self.program, "submit", manifest, "--dir", self.folder, "--wait", "-o", out, "--no-cache",
                    "--output", "json", *options])
        return time.perf_counter() - started, json.loads(text)

    def workers(self):
        return [process for process in self.state["processes"] if process["name"].startswith("worker")]

    def metric(self, worker, name):
        with urllib.request.urlopen(f"http://{worker['address']}/metrics") as answer:
            found = re.search(rf"^blockgrid_worker_{name} (\S+)$", answer.read().decode(), re.M)
        return float(found.group(1)) if found else 0.0

    def outcomes(self, uid):
        """When each shard's outcome was written, in seconds."""
        folder = self.folder / "s3" / "grid" / "jobs" / uid / "outcome"
        return sorted(file.stat().st_mtime for file in folder.glob("s*"))


def run(command):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}")
    return done.stdout


def lives(pid):
    """Whether a process runs; one that nobody has waited for does not."""
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def row(what, value, goal=""):
    print(f"| {what} | {value} | {goal} |", flush=True)


def quantile(values, share):
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def latency(args, work):
    manifest = work / "small.yaml"
    manifest.write_text(SMALL)
    with Grid(args.program, 2, 1) as grid:
        for _ in range(3):
            grid.submit(manifest)
        taken = [grid.submit(manifest) for _ in range(args.jobs)]
    whole, inside = [process for process, _ in taken], [answer["seconds"] for _, answer in taken]
    ms = lambda values, share: f"{quantile(values, share) * 1e3:.0f} ms"
    row(f"small job of {taken[0][1]['trials']} trials, submit to result, p50 of {args.jobs}", ms(inside, 0.5), "50 ms")
    row("the same, p99", ms(inside, 0.99), "250 ms")
    row("the same with the start of the program and the report, p50", ms(whole, 0.5))
    row("the same, p99", ms(whole, 0.99))


def size(args, work):
    worker = Path(args.program).with_name("blockgrid-worker")
    stripped = work / "worker"
    if worker.exists() and not subprocess.run(["strip", "-s", "-o", stripped, worker], capture_output=True).returncode:
        row("worker's program, stripped", f"{stripped.stat().st_size / 1e6:.1f} MB", "25 MB")
    with Grid(args.program, 1, 1) as grid:
        time.sleep(2)
        status = Path(f"/proc/{grid.workers()[0]['pid']}/status").read_text()
        resident = int(re.search(r"VmRSS:\s+(\d+)", status)[1]) * 1024
        row("resident memory of an idle worker", f"{resident / 1e6:.0f} MB", "30 MB")


def start(args, work):
    """From the start of a worker's process to its first claim, with a job waiting."""
    manifest = work / "small.yaml"
    manifest.write_text(SMALL)
    taken = []
    with Grid(args.program, 1, 1) as grid:
        worker, state = grid.workers()[0], grid.state
        os.kill(worker["pid"], signal.SIGTERM)
        while lives(worker["pid"]):
            time.sleep(0.01)
        environment = {**os.environ, **state["keys"]}
        for number in range(5):
            run([args.program, "submit", manifest, "--dir", grid.folder, "--no-cache"])
            log = work / f"start-{number}.log"
            began = time.time()
            with log.open("w") as out:
                process = subprocess.Popen(
                    [args.program, "worker", "--all", "--store", state["store"], "--s3-endpoint", state["s3Endpoint"],
                     "--redis", state["redis"], "--name", f"b{number}", "--slots", "1", "--http", worker["address"]],
                    env=environment, stderr=out, stdout=out)
            while True:
                try:
                    if grid.metric(worker, "units_claimed_total") > 0:
                        break
                except OSError:
                    pass
                time.sleep(0.002)
            taken.append(time.time() - began)
            time.sleep(1)
            process.terminate()
            process.wait()
    row("start of a worker to its first claim, median of 5", f"{statistics.median(taken) * 1e3:.0f} ms", "300 ms")


def large(args, work, step=5):
    """A job of a minute of two processors: a year of minutes, made here."""
    data = work / "candles"
    if not data.exists():
        run([args.program, "data", "synth", "--out", data, "--symbols", "SYN0001", "--interval", "1m", "--from", "2023-01-01",
             "--to", "2024-01-01", "--seed", "7"])
    manifest = work / "large.yaml"
    manifest.write_text(LARGE % (data, step))
    return manifest


def scale(args, work):
    manifest = large(args, work, args.step)
    alone, together, tails = [], [], []
    for _ in range(args.rounds):
        out = work / "alone"
        subprocess.run(["rm", "-rf", out])
        began = time.perf_counter()
        run([args.program, "run", manifest, "-o", out, "--threads", "2"])
        alone.append(time.perf_counter() - began)
        with Grid(args.program, 2, 1) as grid:
            taken, answer = grid.submit(manifest)
            together.append(taken)
            times = grid.outcomes(answer["uid"])
            tails.append((times[-1] - quantile(times, 0.95)) / taken)
            for file in ["trials.parquet", "trades.parquet", "equity.parquet", "report.html"]:
                if (out / file).read_bytes() != (grid.folder / "out" / file).read_bytes():
                    raise SystemExit(f"{file} of the grid and of one process differ")
    row(f"job of {answer['trials']} trials in one process of 2 threads, median of {args.rounds}",
        f"{statistics.median(alone):.1f} s")
    row(f"the same by 2 workers of 1 slot, {len(times)} shards, same bytes", f"{statistics.median(together):.1f} s",
        f"{statistics.median(alone) * 1.05:.1f} s")
    row("last 5 % of its shards, of the wall time", f"{statistics.median(tails):.0%}", "10 %")


def kill(args, work):
    manifest = large(args, work, args.step * 2)
    with Grid(args.program, 2, 1) as grid:
        victim, other = grid.workers()
        command = [args.program, "submit", manifest, "--dir", grid.folder, "--wait", "-o", grid.folder / "out",
                   "--no-cache", "--output", "json"]
        waiting = subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        while grid.metric(victim, "units_done_total") < 2:
            time.sleep(0.05)
        os.kill(victim["pid"], signal.SIGKILL)
        killed = time.time()
        while grid.metric(other, "leases_reclaimed_total") < 1:
            time.sleep(0.05)
        row("a worker is killed: its shards are taken over after", f"{time.time() - killed:.0f} s", "75 s")
        waiting.communicate()
        row("shards of it that were computed again", f"{grid.metric(other, 'leases_reclaimed_total'):.0f}",
            "1 a slot, 1 fetched ahead")


FIGURES = {"latency": latency, "size": size, "start": start, "scale": scale, "kill": kill}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", required=True, help="blockgrid, built with --release")
    parser.add_argument("--only", nargs="*", choices=FIGURES, default=list(FIGURES))
    parser.add_argument("--jobs", type=int, default=200, help="small jobs that are timed")
    parser.add_argument("--rounds", type=int, default=1, help="rounds of the large job")
    parser.add_argument("--step", type=int, default=5, help="step of one of its parameters: 10 halves the job")
    args = parser.parse_args()
    args.program = str(Path(args.program).resolve())
    print("| figure | measured | goal |\n|---|---|---|")
    with tempfile.TemporaryDirectory(prefix="blockgrid-bench-") as work:
        for name in args.only:
            FIGURES[name](args, Path(work))


if __name__ == "__main__":
    main()
