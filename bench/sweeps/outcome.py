"""What a program found and what it took, whoever it was; and whether two of them found the same."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

# These are counts, or shares of counts: there is nothing to round.
EXACT = ("trades", "win_rate")
WITHIN = 1e-9
DIFFERENCES_SHOWN = 5

Key = tuple[object, ...]


class BenchError(Exception):
    """Why nothing, or nothing more, is measured; the message says the remedy."""


@dataclass(frozen=True)
class Table:
    """Metrics by trial; a key is the symbol and the parameters. What is undefined is NaN."""

    keys: Sequence[Key]
    columns: dict[str, np.ndarray]


@dataclass(frozen=True)
class Took:
    """What one run took: seconds of its computation and of its process, processor seconds, peak bytes."""

    compute: float
    whole: float
    cpu: float
    peak: int


@dataclass(frozen=True)
class Process:
    """What the process of a program took, and what it printed."""

    seconds: float
    cpu: float
    peak: int
    printed: str


def launch(command: Sequence[str | Path], work: Path, environment: dict[str, str]) -> Process:
    """Runs a program to its end, through `launch.py`.

    Raises BenchError with the last lines of what it printed when it fails.
    """
    report = work / "launch.json"
    launcher = Path(__file__).with_name("launch.py")
    words = [sys.executable, "-I", "-S", str(launcher), str(report), *map(str, command)]
    done = subprocess.run(words, capture_output=True, text=True, env=environment, check=False)
    called = " ".join(map(str, command))
    if done.returncode != 0:
        raise BenchError(f"cannot be started: {called}\n{done.stderr.strip()}")
    took = json.loads(report.read_text(encoding="utf-8"))
    if took["status"] < 0:
        raise BenchError(f"was killed by signal {-took['status']} (9: too little memory?): {called}")
    if took["status"] > 0:
        last = "\n".join((done.stderr or done.stdout).strip().splitlines()[-8:])
        raise BenchError(f"failed; run it alone, with --work so that its files stay: {called}\n{last}")
    return Process(took["seconds"], took["cpu"], took["peak"], done.stdout)


def compare(ours: Table, theirs: Table, metrics: Sequence[str], who: tuple[str, str], within: float = WITHIN) -> int:
    """How many trials two programs have in common, on all of which they agree.

    Trades and win rates must be equal, other metrics within 1e-9 (or `within`) of max(1, |x|).
    Raises BenchError that shows the first differences, and when they have no trial in common.
    """
    places = {key: row for row, key in enumerate(theirs.keys)}
    common = [(row, places[key]) for row, key in enumerate(ours.keys) if key in places]
    if not common:
        raise BenchError(f"{who[0]} and {who[1]} have no trial in common: {ours.keys[:2]}, {theirs.keys[:2]}")
    mine, other = (np.array(rows) for rows in zip(*common))
    wrong = []
    for metric in metrics:
        a, b = defined(ours.columns[metric][mine]), defined(theirs.columns[metric][other])
        most = 0.0 if metric in EXACT else within * np.maximum(1.0, np.abs(b))
        unequal = ~((np.abs(a - b) <= most) | (np.isnan(a) & np.isnan(b)))
        wrong += [(metric, ours.keys[mine[at]], float(a[at]), float(b[at])) for at in np.flatnonzero(unequal)]
    if wrong:
        shown = [f"  {metric} of {key}: {a!r} and {b!r}" for metric, key, a, b in wrong[:DIFFERENCES_SHOWN]]
        head = f"not timed: {len(wrong)} values of {who[0]} and {who[1]} differ, of {len(common)} trials:"
        raise BenchError("\n".join([head, *shown]))
    return len(common)


def defined(values: np.ndarray) -> np.ndarray:
    """Infinity counts as undefined: where one says that there is no number, another divides by zero."""
    return np.where(np.isfinite(values), values, np.nan)
