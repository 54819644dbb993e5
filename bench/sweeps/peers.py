"""Starts the peers from PyPI, each in a process of its own, and reads what they answer."""

from __future__ import annotations

import importlib.metadata
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from candles import write_raw
from outcome import BenchError, Table, Took, launch
from workloads import Json, Workload

# The packages of each, whose versions are told; its script is `peer_NAME.py`.
PACKAGES = {"vectorbt": ("vectorbt", "numba"), "backtesting": ("backtesting",)}


@dataclass(frozen=True)
class Share:
    """The part of a workload that a peer runs."""

    workload: Workload
    trials: list[dict[str, int]]
    symbols: int

    @property
    def factor(self) -> float:
        """By how much the time of the share is multiplied; 1 when it is everything."""
        return self.workload.evaluations / self.evaluations

    @property
    def evaluations(self) -> int:
        """Trials times bars of the share."""
        return len(self.trials) * sum(series.bars for series in self.workload.series[: self.symbols])


def installed(name: str) -> bool:
    """Whether a peer can be run here."""
    try:
        return all(importlib.metadata.version(package) for package in PACKAGES[name])
    except importlib.metadata.PackageNotFoundError:
        return False


class Peer:
    """A package from PyPI and the script that runs workloads with it."""

    def __init__(self, name: str, work: Path) -> None:
        """Fails when the package is not installed."""
        self.name, self.work = name, work
        self.script = Path(__file__).with_name(f"peer_{name}.py")
        if not installed(name):
            raise BenchError(f"{name} is not installed: install it, or leave it out of --peers (no name: no peer)")
        self.title = ", ".join(f"{package} {importlib.metadata.version(package)}" for package in PACKAGES[name])

    def share(self, workload: Workload) -> Share | None:
        """What it runs of a workload; None when it does not run it."""
        if self.name == "backtesting":
            return Share(workload, workload.grid(), 1) if workload.backtesting else None
        if not workload.vectorbt:
            return None
        grid, wanted = workload.grid(), workload.vectorbt.trials
        places = np.unique(np.linspace(0, len(grid) - 1, wanted or len(grid)).astype(int))
        return Share(workload, [grid[at] for at in places], min(workload.vectorbt.symbols, len(workload.series)))

    def job(self, share: Share, columns: dict[str, dict[str, np.ndarray]]) -> Path:
        """Writes the candles as raw columns, and what the script is asked."""
        workload = share.workload
        series = []
        for one in workload.series[: share.symbols]:
            path = self.work / workload.name / "peers" / f"{one.symbol}.bin"
            write_raw(path, columns[one.symbol])
            series.append(dict(symbol=one.symbol, path=str(path), bars=one.bars))
        told: Json = dict(series=series, trials=share.trials, minutes=workload.minutes, metrics=workload.metrics)
        told |= dict(fee=workload.fee_bps / 1e4, cash=workload.cash)
        if workload.vectorbt:
            told |= dict(kind=workload.vectorbt.kind, settings=workload.vectorbt.settings)
        job = self.work / "jobs" / f"{workload.name.lower()}-{self.name}.json"
        job.parent.mkdir(parents=True, exist_ok=True)
        job.write_text(json.dumps(told), encoding="utf-8")
        return job

    def run(self, share: Share, job: Path) -> tuple[Took, Table]:
        """One run of the share. Compiling and importing are outside its compute seconds."""
        out = self.work / f"{self.name}.json"
        process = launch([sys.executable, self.script, job, out], self.work, dict(os.environ))
        answer = json.loads(out.read_text(encoding="utf-8"))
        parameters = [tuple(trial.values()) for trial in share.trials]
        keys = [(s.symbol, *p) for s in share.workload.series[: share.symbols] for p in parameters]
        columns = {
            name: np.array([np.nan if v is None else v for v in values], dtype=float)
            for name, values in answer["metrics"].items()
        }
        return Took(answer["seconds"], process.seconds, process.cpu, process.peak), Table(keys, columns)
