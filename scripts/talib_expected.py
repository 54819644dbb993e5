"""Writes engine/tests/fixtures/talib.json: synthetic candles and what TA-Lib makes of them.

The test engine/tests/indicators_talib.rs compares our indicators with it and needs no Python. To make it anew:

    python3 -m venv venv && venv/bin/pip install "TA-Lib==0.8.2" numpy
    venv/bin/python scripts/talib_expected.py
"""

import json
import math
import random
from pathlib import Path

import numpy as np
import talib

BARS = 300
OUT = Path(__file__).parent.parent / "engine" / "tests" / "fixtures" / "talib.json"


def candles():
    """A random walk in cents, with flat bars, equal closes and bars without volume."""
    rng = random.Random(20240229)
    price = 10_000
    columns = {name: [] for name in ("open", "high", "low", "close", "volume")}
    for i in range(BARS):
        if i % 67 in (40, 41, 42):  # no trade: one price, no volume
            row = (price, price, price, price, 0)
        else:
            opened = price + rng.randint(-20, 20)
            price = max(500, price + round(rng.gauss(math.sin(i / 25) * 25, 90)))
            if i % 23 == 7:
                price = columns["close"][-1]  # an equal close
            high = max(opened, price) + rng.randint(0, 60)
            low = min(opened, price) - rng.randint(0, 60)
            row = (opened, high, low, price, rng.randint(1, 100_000))
        for name, value in zip(columns, row):
            columns[name].append(value / 100)
    return {name: np.array(values) for name, values in columns.items()}


def cases(c):
    o, h, l, x, v = (c[k] for k in ("open", "high", "low", "close", "volume"))
    for w in (1, 2, 5, 14, 50, 300, 301):
        if w <= BARS:
            yield "sma", [w], [talib.SMA(x, w)] if w > 1 else [x]
        yield "highest", [w], [talib.MAX(x, w)] if w > 1 else [x]
        yield "lowest", [w], [talib.MIN(x, w)] if w > 1 else [x]
    for w in (2, 5, 20, 120):
        yield "ema", [w], [talib.EMA(x, w)]
        yield "wma", [w], [talib.WMA(x, w)]
        yield "rma", [w], [talib.RMA(x, w)]
        yield "sum", [w], [talib.SUM(x, w)]
        yield "roc", [w], [talib.ROC(x, w)]
        yield "mom", [w], [talib.MOM(x, w)]
        yield "atr", [w], [talib.ATR(h, l, x, w)]
        yield "plus_di", [w], [talib.PLUS_DI(h, l, x, w)]
        yield "minus_di", [w], [talib.MINUS_DI(h, l, x, w)]
    for w in (3, 14, 60):
        yield "rsi", [w], [talib.RSI(x, w)]
        yield "stddev", [w], [talib.STDDEV(x, w)]
        yield "cci", [w], [talib.CCI(h, l, x, w)]
        yield "adx", [w], [talib.ADX(h, l, x, w)]
    for w in (5, 14, 60):
        yield "mfi", [w], [talib.MFI(h, l, x, v, w)]
    for w, k in ((5, 2.0), (20, 2.5)):
        upper, middle, lower = talib.BBANDS(x, w, k, k)
        yield "bbands", [w, k], [middle, upper, lower]
    for f, s, g in ((12, 26, 9), (3, 10, 16), (5, 34, 1)):
        yield "macd", [f, s, g], list(talib.MACD(x, f, s, g))
    for k, s, d in ((14, 3, 3), (5, 1, 3), (8, 5, 1)):
        yield "stoch", [k, s, d], list(talib.STOCH(h, l, x, k, s, 0, d, 0))
    yield "tr", [], [talib.TRANGE(h, l, x)]
    for w in (5, 20):
        upper, middle, lower = talib.DONCHIAN(h, l, w)
        yield "donchian", [w], [middle, upper, lower]
    for w, a, m in ((20, 10, 2.0), (5, 14, 1.5)):
        upper, middle, lower = talib.KC(h, l, x, w, a, m)
        yield "keltner", [w, a, m], [middle, upper, lower]
    yield "obv", [], [talib.OBV(x, v)]
    for a, m in ((0.02, 0.2), (0.05, 0.1), (0.3, 0.2)):
        yield "sar", [a, m], [talib.SAR(h, l, a, m)]
    for w, m in ((10, 3.0), (7, 1.0)):
        line, trend = talib.SUPERTREND(h, l, x, w, m)
        first = int(np.flatnonzero(np.isfinite(line))[0])
        trend = np.where(np.arange(BARS) < first, np.nan, trend.astype(float))
        yield "supertrend", [w, m], [line, trend]


def column(values):
    """The index of the first value and the values from there, to 13 digits."""
    finite = np.isfinite(values)
    if not finite.any():
        return [BARS, []]
    first = int(np.flatnonzero(finite)[0])
    assert finite[first:].all()
    return [first, [float(f"{value:.13g}") for value in values[first:]]]


def main():
    c = candles()
    lines = [
        json.dumps({"indicator": name, "params": params, "outputs": [column(np.asarray(o, float)) for o in outputs]},
                   separators=(",", ":"))
        for name, params, outputs in cases(c)
    ]
    data = {name: list(values) for name, values in c.items()}
    text = '{"talib":"%s","candles":%s,"cases":[\n%s\n]}\n' % (
        talib.__ta_version__.decode().split()[0], json.dumps(data, separators=(",", ":")), ",\n".join(lines))
    json.loads(text)
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(text)


main()
