"""What was measured, as a table in Markdown and as JSON."""

from __future__ import annotations

import datetime
import platform
import statistics
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from outcome import Took

HEAD = (
    "workload", "engine", "metrics", "threads", "trials x bars", "compute s", "process s", "M evaluations/s",
    "peak MiB", "compute / C", "process / C",
)  # fmt: skip


@dataclass
class Row:
    """One program on one workload, over all rounds."""

    workload: str
    engine: str
    metrics: str
    threads: int
    trials: int
    bars: int
    # Of the runs, which may be of a share of the trials.
    evaluations: int
    took: list[Took] = field(default_factory=list)
    # Seconds an evaluation beside those of the C program right after it, compute and whole process.
    beside: list[tuple[float, float]] = field(default_factory=list)
    # By how much a share is multiplied; 1 when everything was run.
    factor: float = 1.0

    def cells(self) -> list[str]:
        """The row of the table."""
        compute = [took.compute for took in self.took]
        rate = self.evaluations / statistics.median(compute) / 1e6
        extrapolated = self.factor != 1.0
        process = "-" if extrapolated else spread([took.whole for took in self.took])
        return [
            self.workload, self.engine, self.metrics, str(self.threads), f"{self.trials:,} x {self.bars:,}",
            ("~ " if extrapolated else "") + spread([seconds * self.factor for seconds in compute]), process,
            number(rate), f"{max(took.peak for took in self.took) / 2**20:,.0f}",
            *(number(statistics.median(ratios)) for ratios in zip(*self.beside)),
        ] + ["-", "-"] * (not self.beside)  # fmt: skip


def number(value: float) -> str:
    """Three digits that count."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:#.3g}"


def spread(values: list[float]) -> str:
    """The median, and the least and the most when there are several."""
    middle = number(statistics.median(values))
    return middle if len(values) == 1 else f"{middle} ({number(min(values))}..{number(max(values))})"


def machine() -> dict[str, str]:
    """What it ran on. The date is that of the machine's clock, in UTC."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    cpu = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.processor())
    count = sum(line.startswith("processor") for line in lines)
    now = datetime.datetime.now(datetime.timezone.utc)
    return dict(
        date=now.strftime("%Y-%m-%d"), cpu=cpu, cores=str(count), python=platform.python_version(), numpy=np.__version__
    )


def markdown(rows: Iterable[Row], rounds: int, notes: Iterable[str]) -> str:
    """The table, below what it ran on and above what is to know about it."""
    on = machine()
    lines = [f"{on['date']}, {on['cores']} cores of {on['cpu']}; medians (least..most) of {rounds} rounds", ""]
    lines += [f"| {' | '.join(HEAD)} |", "|---|---|---|" + "---:|" * (len(HEAD) - 3)]
    lines += [f"| {' | '.join(row.cells())} |" for row in rows]
    return "\n".join([*lines, "", *(f"- {note}" for note in notes)])


def as_json(rows: Iterable[Row], rounds: int, notes: Iterable[str], digests: dict[str, str]) -> dict[str, Any]:
    """Everything that was measured, run by run."""
    return dict(
        machine=machine(), rounds=rounds, notes=list(notes), candles=digests, rows=[asdict(row) for row in rows]
    )
