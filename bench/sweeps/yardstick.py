"""The C program that sweeps averages by hand, if one is given: `sma_grid.c` of the folder that --yardstick names.

Called as `sma_grid w1|w2|w4 blocked THREADS 1 DATA OUT.csv`; it prints its seconds as a line of JSON and writes each
pair's metrics. Its grids are built in.
"""

from __future__ import annotations

import csv
import json
import os
import subprocess
from pathlib import Path

import numpy as np

from candles import write_raw
from outcome import BenchError, Table, Took, launch
from workloads import Workload

SOURCE = "sma_grid.c"
# It runs this many symbols of w4, whatever there is.
SYMBOLS = 50
NAMES = {"sharpe_ratio": "sharpe"}


class Yardstick:
    """The program, built into the work folder."""

    def __init__(self, folder: Path, threads: int, work: Path) -> None:
        """Builds it with gcc for this processor."""
        source = folder / SOURCE
        if not source.is_file():
            raise BenchError(f"there is no {source}: name a folder with {SOURCE}, or leave --yardstick out")
        self.program, self.threads, self.work = work / "sma_grid", threads, work
        build = ["gcc", "-O3", "-march=native", "-pthread", "-o", str(self.program), str(source), "-lm"]
        try:
            done = subprocess.run(build, capture_output=True, text=True, check=False)
        except FileNotFoundError:
            raise BenchError("there is no gcc: install it, or leave --yardstick out") from None
        if done.returncode != 0:
            raise BenchError(f"{source} cannot be built:\n{done.stderr.strip()}")

    def data(self, workload: Workload, columns: dict[str, dict[str, np.ndarray]]) -> Path:
        """Writes the candles as it reads them: one file of five columns, or a folder of closes."""
        if workload.yardstick != "w4":
            path = self.work / workload.name / "raw.bin"
            write_raw(path, columns[workload.series[0].symbol])
            return path
        folder = self.work / workload.name / "raw"
        for i in range(SYMBOLS):
            series = workload.series[i % len(workload.series)]
            write_raw(folder / f"SYN{i:03d}.close.bin", columns[series.symbol], ("close",))
        return folder

    def run(self, workload: Workload, data: Path) -> tuple[Took, int, Path]:
        """One run: what it took, its evaluations, its table."""
        out = self.work / "yardstick.csv"
        command: list[str | Path] = [
            self.program,
            workload.yardstick or "",
            "blocked",
            str(self.threads),
            "1",
            data,
            out,
        ]
        process = launch(command, self.work, dict(os.environ))
        told = json.loads(process.printed.strip().splitlines()[-1])
        # It counts the candles of w4 by its own number of them; ours may be fewer.
        evaluations = told["pairs"] * workload.series[0].bars
        return Took(told["compute_s"], process.seconds, process.cpu, process.peak), evaluations, out


def read_pairs(out: Path, workload: Workload) -> Table:
    """The metrics of its table, by our names."""
    with out.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    only = workload.series[0].symbol
    keys = [(row.get("symbol", only), int(row["fast"]), int(row["slow"])) for row in rows]
    metrics = [name for name in rows[0] if NAMES.get(name, name) in workload.metrics]
    columns = {NAMES.get(name, name): np.array([float(row[name]) for row in rows]) for name in metrics}
    return Table(keys, columns)
