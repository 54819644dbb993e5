"""Runs sweeps with the program `blockgrid` and reads what it wrote."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from candles import write_parquet
from outcome import BenchError, Table, Took, launch
from workloads import Json, Workload

METRICS_UNKNOWN = "this blockgrid does not know `spec.output.metrics`: it computes all metrics, always"
COMPUTE_UNKNOWN = (
    "this blockgrid tells no `timings.computeSeconds`: its compute seconds are those of the part `simulate`"
)


class Blockgrid:
    """The program, with what this version of it knows."""

    def __init__(self, program: Path, threads: int, work: Path) -> None:
        """Finds out what the program knows by asking it to validate manifests."""
        self.program, self.threads, self.work = program.resolve(), threads, work
        # No data set that this machine knows by name is seen, and none is added.
        self.environment = {**os.environ, "BLOCKGRID_HOME": str(work / "home")}
        if not self.program.is_file():
            raise BenchError(
                f"there is no {program}: build it with `cargo build --release`, and name it with --program"
            )
        self.notes: set[str] = set()
        self.output: Json = {"top": 0}
        if not self.knows(self.output):
            self.output = {"top": 1}
        self.knows_metrics = self.knows({**self.output, "metrics": ["total_return"]})
        if not self.knows_metrics:
            self.notes.add(METRICS_UNKNOWN)

    def knows(self, output: Json) -> bool:
        """Whether a manifest with this `output` is valid."""
        manifest = {
            "apiVersion": "grid.blockbuilders.app/v1alpha1",
            "kind": "BacktestJob",
            "metadata": {"name": "probe"},
            "spec": {
                "data": {"dataset": "sample", "interval": "1h"},
                "strategy": {"long": {"enter": "close > open", "exit": "close < open"}},
                "sweep": {"objective": "total_return"},
                "output": output,
            },
        }
        path = self.write("probe", manifest)
        asked = [str(self.program), "validate", str(path)]
        return subprocess.run(asked, capture_output=True, env=self.environment, check=False).returncode == 0

    def write(self, name: str, manifest: Json) -> Path:
        """Writes a manifest (YAML has JSON in it)."""
        path = self.work / "jobs" / f"{name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
        return path

    def data(self, workload: Workload, columns: dict[str, dict[str, np.ndarray]]) -> Json:
        """Writes the candles where the program reads them: one symbol as a file, several as a data set it imports."""
        files = []
        for series in workload.series:
            path = self.work / workload.name / "files" / f"{series.symbol}.parquet"
            write_parquet(path, series, columns[series.symbol])
            files.append(path)
        if len(files) == 1:
            return {"file": str(files[0]), "symbols": [workload.series[0].symbol]}
        folder = self.work / workload.name / "dataset"
        imported = [str(self.program), "data", "import", *map(str, files), "--exact"]
        imported += ["--dataset", workload.name.lower(), "--dir", str(folder)]
        done = subprocess.run(imported, capture_output=True, text=True, env=self.environment, check=False)
        if done.returncode != 0:
            raise BenchError(f"{workload.name}: the candles cannot be imported:\n{done.stderr.strip()}")
        return {"dataset": str(folder), "interval": workload.interval}

    def job(self, workload: Workload, data: Json, semantics: str, few: bool) -> Path:
        """Writes the manifest of a variant: its metrics alone, or all there are."""
        output = {**self.output, "metrics": list(workload.metrics)} if few else self.output
        name = f"{workload.name.lower()}-{semantics}-{'few' if few else 'all'}"
        return self.write(name, workload.manifest(data, semantics, output))

    def run(self, job: Path) -> tuple[Took, Path]:
        """One run into an empty folder, and where its results are."""
        out = self.work / "out"
        shutil.rmtree(out, ignore_errors=True)
        command: list[str | Path] = [
            self.program,
            "run",
            job,
            "-o",
            out,
            "--threads",
            str(self.threads),
            "--output",
            "json",
        ]
        process = launch(command, self.work, self.environment)
        timings: dict[str, Any] = json.loads((out / "job.json").read_text(encoding="utf-8"))["timings"]
        compute = timings.get("computeSeconds")
        if compute is None:
            self.notes.add(COMPUTE_UNKNOWN)
            compute = timings["seconds"]["simulate"]
        return Took(compute, process.seconds, process.cpu, process.peak), out


def read_trials(out: Path, workload: Workload, metrics: tuple[str, ...]) -> Table:
    """The metrics of `trials.parquet`, by name."""
    table = pq.read_table(out / "trials.parquet")
    missing = [metric for metric in metrics if metric not in table.column_names]
    if missing:
        raise BenchError(f"{workload.name}: trials.parquet has no column {missing[0]}, only {table.column_names}")
    names = list(workload.sweep["parameters"]) if workload.sweep else []
    keys = list(zip(table["symbol"].to_pylist(), *(map(int, table[name].to_pylist()) for name in names)))
    if len(keys) != len(workload.grid()) * len(workload.series):
        raise BenchError(
            f"{workload.name}: {len(keys)} trials in trials.parquet, {len(workload.grid())} a symbol asked for"
        )
    columns = {}
    for metric in metrics:
        values = table[metric].to_numpy(zero_copy_only=False)
        columns[metric] = np.array([np.nan if v is None else v for v in values], dtype=float)
    return Table(keys, columns)
