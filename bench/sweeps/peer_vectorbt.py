"""Runs a share of a workload with vectorbt: `peer_vectorbt.py JOB OUT`, both JSON.

The fastest way that its version 0.28 has without leaving it: averages and crossings by its compiled functions, each
window's average once, and portfolios of a block of trials at a time. It uses one thread.
"""

from __future__ import annotations

import json
import math
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import vectorbt as vbt
from vectorbt.generic import nb

Json = dict[str, Any]
Signals = dict[str, Any]

# Trials of a block times bars: larger ones are no faster, and take gigabytes.
CELLS = 1_000_000
# Bars of the first run, which compiles; its time does not count.
BARS_TO_COMPILE = 400
COLUMNS = ("open", "high", "low", "close", "volume")


class Averages:
    """Moving averages of a close, each made once, and where they cross."""

    def __init__(self, close: np.ndarray) -> None:
        self.close = close.reshape(-1, 1)
        self.made: dict[int, np.ndarray] = {}

    def of(self, windows: list[int]) -> np.ndarray:
        """A column for each window."""
        for window in windows:
            if window not in self.made:
                self.made[window] = nb.rolling_mean_nb(self.close, window, minp=window)
        return np.hstack([self.made[window] for window in windows])

    def crossed(self, fast: list[int], slow: list[int]) -> tuple[np.ndarray, np.ndarray]:
        """Where the one crosses above the other, and below."""
        a, b = self.of(fast), self.of(slow)
        return nb.crossed_above_nb(a, b), nb.crossed_above_nb(b, a)


def blocks(job: Json, candles: dict[str, np.ndarray], size: int) -> Iterator[Signals]:
    """What a portfolio is made of, for a block of trials at a time. All columns have two dimensions: of one dimension
    beside columns of two, numpy would make a matrix of bars by bars."""
    kind, settings, trials = job["kind"], job["settings"], job["trials"]
    averages = Averages(candles["close"])
    stops = {name: candles[name].reshape(-1, 1) for name in ("open", "high", "low")}
    for at in range(0, len(trials), size):
        block = trials[at : at + size]
        if kind == "averages":
            above, below = averages.crossed([t["fast"] for t in block], [t["slow"] for t in block])
            if settings.get("both"):
                yield dict(entries=above, exits=False, short_entries=below, short_exits=False)
            else:
                yield dict(entries=above, exits=below)
        elif kind == "rsi":
            strength = vbt.RSI.run(pd.Series(candles["close"]), window=settings["window"]).rsi.to_numpy().reshape(-1, 1)
            signals = dict(entries=strength < settings["below"], exits=strength > settings["above"])
            yield dict(**signals, sl_stop=settings["stop"], tp_stop=settings["target"], **stops)
        else:
            above, _ = averages.crossed([settings["fast"]], [settings["slow"]])
            stop, target = (np.array([[trial[name] / 1e4 for trial in block]]) for name in ("stop", "target"))
            width = len(block)
            yield dict(entries=np.repeat(above, width, axis=1), exits=False, sl_stop=stop, tp_stop=target, **stops)


def metrics_of(portfolio: vbt.Portfolio, names: list[str]) -> dict[str, np.ndarray]:
    """The metrics of a block, by our names."""
    made = {
        "total_return": portfolio.total_return,
        "sharpe": portfolio.sharpe_ratio,
        "max_drawdown": portfolio.max_drawdown,
        "trades": lambda: portfolio.trades.count(),
        "win_rate": lambda: portfolio.trades.win_rate(),
    }
    return {name: np.atleast_1d(np.asarray(made[name](), dtype=float)) for name in names}


def run(job: Json, candles: dict[str, np.ndarray], size: int) -> dict[str, list[float]]:
    """All trials of the share on one symbol."""
    found: dict[str, list[float]] = {name: [] for name in job["metrics"]}
    close = pd.Series(candles["close"])
    freq = pd.Timedelta(minutes=job["minutes"])
    for signals in blocks(job, candles, size):
        portfolio = vbt.Portfolio.from_signals(close, **signals, init_cash=job["cash"], fees=job["fee"], freq=freq)
        for name, values in metrics_of(portfolio, job["metrics"]).items():
            found[name] += values.tolist()
    return found


def read(series: Json) -> dict[str, np.ndarray]:
    """The columns of a symbol."""
    return dict(zip(COLUMNS, np.fromfile(series["path"]).reshape(len(COLUMNS), series["bars"])))


def main() -> None:
    """Compiles on a piece, then runs all and tells its seconds and metrics."""
    warnings.simplefilter("ignore")
    job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    symbols = [read(series) for series in job["series"]]
    piece = {name: column[:BARS_TO_COMPILE].copy() for name, column in symbols[0].items()}
    size = max(1, CELLS // job["series"][0]["bars"])
    # Blocks of as many trials as will come: numba compiles anew for columns that lie otherwise in memory.
    run(job, piece, size)
    start = time.perf_counter()
    found: dict[str, list[float]] = {name: [] for name in job["metrics"]}
    for candles in symbols:
        for name, values in run(job, candles, size).items():
            found[name] += values
    seconds = time.perf_counter() - start
    finite = {name: [v if math.isfinite(v) else None for v in values] for name, values in found.items()}
    Path(sys.argv[2]).write_text(json.dumps(dict(seconds=seconds, metrics=finite)), encoding="utf-8")


main()
