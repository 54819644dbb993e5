"""Writes engine/tests/fixtures/vectorbt_indicators.json: synthetic candles and what vectorbt makes of them.

The test engine/tests/indicators_vectorbt.rs compares our variants with it bit for bit and needs no Python:

    python3 -m venv venv && venv/bin/pip install "vectorbt==0.28.5" "plotly<6"
    venv/bin/python scripts/vectorbt_indicators.py
"""

import json
import random
from pathlib import Path

import numpy as np
import vectorbt as vbt

BARS = 160
OUT = Path(__file__).parent.parent / "engine" / "tests" / "fixtures" / "vectorbt_indicators.json"


def candles():
    """A random walk in cents, with flat bars and equal closes."""
    rng = random.Random(7)
    price = 5_000
    columns = {name: [] for name in ("open", "high", "low", "close", "volume")}
    for i in range(BARS):
        if i % 53 in range(30, 38):
            row = (price, price, price, price, 0)
        else:
            opened = price
            price = max(500, price + round(rng.gauss(0, 60)))
            row = (opened, max(opened, price) + rng.randint(0, 30), min(opened, price) - rng.randint(0, 30), price,
                   rng.randint(1, 100_000))
        for name, value in zip(columns, row):
            columns[name].append(value / 100)
    return {name: np.array(values) for name, values in columns.items()}


def cases(c):
    h, l, x, v = (c[k] for k in ("high", "low", "close", "volume"))
    holes = x.copy()
    holes[[0, 40, 41, 90]] = np.nan
    for series, a in (("close", x), ("holes", holes)):
        for w in (1, 7, 30):
            yield "sma", series, [w], [vbt.MA.run(a, w).ma]
            yield "ema", series, [w], [vbt.MA.run(a, w, ewm=True).ma]
            yield "stddev", series, [w], [vbt.MSTD.run(a, w).mstd]
        for w in (5, 14):
            yield "rsi", series, [w], [vbt.RSI.run(a, w).rsi]
        for w, k in ((20, 2.0), (9, 1.5)):
            b = vbt.BBANDS.run(a, w, alpha=k)
            yield "bbands", series, [w, k], [b.middle, b.upper, b.lower]
        for f, s, g in ((12, 26, 9), (4, 10, 3)):
            m = vbt.MACD.run(a, f, s, g)
            yield "macd", series, [f, s, g], [m.macd, m.signal, m.hist]
    for k, d in ((14, 3), (5, 4)):
        s = vbt.STOCH.run(h, l, x, k, d)
        yield "stoch", "close", [k, 1, d], [s.percent_k, s.percent_d]
    for w in (14, 3):
        a = vbt.ATR.run(h, l, x, w)
        yield "tr", "close", [], [a.tr]
        yield "atr", "close", [w], [a.atr]
    yield "obv", "close", [], [vbt.OBV.run(x, v).obv]


def text(values):
    """Shortest decimals that read back as the same bits."""
    return " ".join(repr(float(value)) for value in np.asarray(values, float))


def main():
    c = candles()
    lines = [
        json.dumps({"indicator": name, "series": series, "params": params, "outputs": [text(o) for o in outputs]})
        for name, series, params, outputs in cases(c)
    ]
    holes = c["close"].copy()
    holes[[0, 40, 41, 90]] = np.nan
    data = {name: text(values) for name, values in (c | {"holes": holes}).items()}
    OUT.write_text('{"vectorbt":"%s","columns":%s,"cases":[\n%s\n]}\n'
                   % (vbt.__version__, json.dumps(data), ",\n".join(lines)))


main()
