"""The candles that the sweeps run on: a walk from a seed, in cents, the same in every run."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

COLUMNS = ("open", "high", "low", "close", "volume")
# 2015-01-01T00:00:00Z; every series begins there.
FIRST_OPEN_MS = 1_420_070_400_000
INTERVALS = {"1m": 1, "5m": 5, "1h": 60, "1d": 1440}
# Of a minute; longer candles have its root of time.
VOLATILITY = 0.0008


@dataclass(frozen=True)
class Series:
    """Candles of one symbol, which its seed determines."""

    symbol: str
    interval: str
    bars: int
    seed: int


def candles(series: Series) -> dict[str, np.ndarray]:
    """The five columns of a series.

    Returns are normal with a drift that swings over 9 and 41 days, so that crossings neither never nor always pay. Each
    candle opens at the close before it. Prices are whole cents, as an exchange gives them.
    """
    rng = np.random.default_rng(series.seed)
    minutes = INTERVALS[series.interval]
    step = VOLATILITY * np.sqrt(minutes)
    days = np.arange(series.bars) * (minutes / 1440.0)
    phase = rng.uniform(0.0, 2.0 * np.pi, 2)
    swing = 0.010 * np.sin(2.0 * np.pi * days / 9.0 + phase[0]) + 0.006 * np.sin(2.0 * np.pi * days / 41.0 + phase[1])
    returns = rng.normal(0.0, step, series.bars) + swing * (minutes / 1440.0) - 0.5 * step * step
    close = np.maximum(np.rint(2e6 * np.exp(np.cumsum(returns))), 100.0)
    open_ = np.concatenate(([2e6], close[:-1]))
    wicks = np.abs(rng.normal(0.0, 0.4 * step, (2, series.bars)))
    high = np.maximum(np.rint(np.maximum(open_, close) * (1.0 + wicks[0])), np.maximum(open_, close))
    low = np.maximum(np.rint(np.minimum(open_, close) * (1.0 - wicks[1])), 1.0)
    volume = np.rint(rng.lognormal(2.0, 0.8, series.bars) * 1000.0) + 1.0
    cents = dict(open=open_, high=high, low=low, close=close)
    return {**{name: column / 100.0 for name, column in cents.items()}, "volume": volume / 1000.0}


def digest(columns: dict[str, np.ndarray]) -> str:
    """The first half of a SHA-256 over the bits of the columns: two machines can compare what they ran on."""
    sha = hashlib.sha256()
    for name in COLUMNS:
        sha.update(np.ascontiguousarray(columns[name], dtype="<f8").tobytes())
    return sha.hexdigest()[:32]


def write_parquet(path: Path, series: Series, columns: dict[str, np.ndarray]) -> None:
    """One Parquet file, as pyarrow writes it unless told otherwise."""
    opens = FIRST_OPEN_MS + 60_000 * INTERVALS[series.interval] * np.arange(series.bars, dtype=np.int64)
    table = pa.table({"timestamp": pa.array(opens, type=pa.timestamp("ms", tz="UTC")), **columns})
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path)


def write_raw(path: Path, columns: dict[str, np.ndarray], names: tuple[str, ...] = COLUMNS) -> None:
    """The columns one after another as little-endian float64, for programs that read no Parquet."""
    path.parent.mkdir(parents=True, exist_ok=True)
    np.concatenate([columns[name] for name in names]).astype("<f8").tofile(path)
