"""Candles of the parity fixtures, and exact averages on them; shared by parity_vectorbt.py and parity_backtesting.py."""

import csv
import math
import random
from pathlib import Path

FIXTURES = Path(__file__).resolve().parent.parent / "engine" / "tests" / "fixtures"
CANDLES = FIXTURES / "parity_candles.csv"
START_MS = 1_704_067_200_000  # 2024-01-01T00:00Z
HOUR_MS = 3_600_000
SEED = 20240101  # no pair of averages below ties on it, so plain and exact sums cross on the same bars


def walk(rng, bars, price, volatility, gap, jump, trend):
    """(open, high, low, close) rows with two decimals: a random walk with gaps, rare jumps and changing trends."""
    rows, drift, close = [], 0.0, price
    for i in range(bars):
        if i % 120 == 0:
            drift = rng.gauss(0.0, trend)
        shock = rng.gauss(0.0, jump) if rng.random() < 0.02 else 0.0
        o = close * math.exp(rng.gauss(0.0, gap) + shock)
        c = o * math.exp(drift + rng.gauss(0.0, volatility))
        h = max(o, c) * math.exp(abs(rng.gauss(0.0, volatility * 0.5)))
        l = min(o, c) * math.exp(-abs(rng.gauss(0.0, volatility * 0.5)))
        o, h, l, c = (max(round(x, 2), 0.01) for x in (o, h, l, c))
        rows.append((o, h, l, c))
        close = c
    return rows


def make_candles():
    rng = random.Random(SEED)
    rows = walk(rng, 2500, 24_000.0, volatility=0.007, gap=0.0015, jump=0.012, trend=0.0009)
    FIXTURES.mkdir(parents=True, exist_ok=True)
    with CANDLES.open("w", newline="\n") as f:
        f.write("timestamp,open,high,low,close,volume\n")
        for i, (o, h, l, c) in enumerate(rows):
            volume = round(rng.uniform(10, 1000), 3)
            f.write(f"{START_MS + i * HOUR_MS},{o:.2f},{h:.2f},{l:.2f},{c:.2f},{volume:.3f}\n")


def read_candles():
    """Columns of the committed candles, as lists."""
    with CANDLES.open() as f:
        rows = list(csv.DictReader(f))
    return {name: [(int if name == "timestamp" else float)(row[name]) for row in rows] for name in rows[0]}


def cents(values):
    return [round(v * 100) for v in values]


def exact_sums(values, window):
    """Sums of the last `window` values in whole cents; None before."""
    ticks, out, total = cents(values), [], 0
    for i, t in enumerate(ticks):
        total += t - (ticks[i - window] if i >= window else 0)
        out.append(total if i >= window - 1 else None)
    return out


def exact_sign(values, fast, slow):
    """Sign of SMA(fast) - SMA(slow) in integers; None during warm-up."""
    pairs = zip(exact_sums(values, fast), exact_sums(values, slow))
    return [None if f is None or s is None else (f * slow > s * fast) - (f * slow < s * fast) for f, s in pairs]
