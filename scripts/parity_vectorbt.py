"""Makes engine/tests/fixtures/parity_candles.csv, parity_vectorbt.json and parity_vectorbt_random.json with vectorbt.

    python3.11 -m venv VENV && VENV/bin/pip install -r scripts/requirements-parity.txt
    VENV/bin/python scripts/parity_vectorbt.py

The candles are synthetic and seeded. Every number is vectorbt's, through its public API and its numba engine, written
with repr (17 digits). A digest is FNV-1a (64 bit) over little-endian 64-bit words: of a trade, entry bar, exit bar,
size, entry fee, exit price, exit fee, pnl, return, short (0 or 1), closed (0 or 1); of equity, its values.
"""

import json
import math
import random
import struct

import numpy as np
import pandas as pd
import vectorbt as vbt

from parity_candles import FIXTURES, exact_sign, make_candles, read_candles, walk

if "engine" in vbt.settings:  # 1.x
    vbt.settings["engine"] = "numba"

TRADE_COLUMNS = ["entry_bar", "exit_bar", "size", "entry_price", "entry_fee", "exit_price", "exit_fee", "pnl",
                 "return", "short", "closed"]


def fnv(words):
    h = 0xCBF29CE484222325
    for byte in b"".join(words):
        h = ((h ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return f"{h:016x}"


def word(x):
    return struct.pack("<Q", x) if isinstance(x, int) else struct.pack("<d", x + 0.0)


def number(x):
    x = float(x)
    return x if math.isfinite(x) else {math.inf: "inf", -math.inf: "-inf"}.get(x, "nan")


def trade_rows(pf):
    rows = []
    for r in pf.trades.values:
        rows.append([int(r["entry_idx"]), int(r["exit_idx"]), float(r["size"]), float(r["entry_price"]),
                     float(r["entry_fees"]), float(r["exit_price"]), float(r["exit_fees"]), float(r["pnl"]),
                     float(r["return"]), int(r["direction"]), int(r["status"])])
    return rows


def trade_metrics(trades):
    return {"count": int(trades.count()), "win_rate": number(trades.win_rate()),
            "profit_factor": number(trades.profit_factor()), "expectancy": number(trades.expectancy()),
            "sqn": number(trades.sqn())}


def simulate(candles, signals, settings):
    """One run of from_signals; `signals` are long_enter, long_exit, short_enter, short_exit or None."""
    index = pd.to_datetime(candles["timestamp"], unit="ms")
    series = {name: pd.Series(candles[name], index=index) for name in ("open", "high", "low", "close")}
    keys = ("entries", "exits", "short_entries", "short_exits")
    sides = {k: pd.Series(np.asarray(s, dtype=bool), index=index) for k, s in zip(keys, signals) if s is not None}
    if "entries" not in sides:
        sides["entries"] = sides["exits"] = False
    stops = {}
    if settings.get("stop_loss") is not None:
        stops["sl_stop"] = settings["stop_loss"]
        stops["sl_trail"] = settings.get("trailing", False)
    if settings.get("take_profit") is not None:
        stops["tp_stop"] = settings["take_profit"]
    if stops:
        stops |= {name: series[name] for name in ("open", "high", "low")}
    return vbt.Portfolio.from_signals(
        series["close"], **sides, **stops, init_cash=settings.get("initial_cash", 100.0),
        fees=settings.get("fee", 0.0), fixed_fees=settings.get("fixed_fee", 0.0),
        slippage=settings.get("slippage", 0.0), freq="1h")


def expected(pf, sampled, all_trades):
    trades, equity = trade_rows(pf), [float(v) for v in pf.value().values]
    digest = fnv(word(x) for row in trades for i, x in enumerate(row) if i != 3)
    out = {
        "metrics": {
            "total_return": number(pf.total_return()), "annual_return": number(pf.annualized_return()),
            "volatility": number(pf.annualized_volatility()), "sharpe": number(pf.sharpe_ratio()),
            "sortino": number(pf.sortino_ratio()), "omega": number(pf.omega_ratio()),
            "calmar": number(pf.calmar_ratio()), "max_drawdown": number(pf.max_drawdown()),
            "trades": trade_metrics(pf.trades), "closed_trades": trade_metrics(pf.trades.closed)},
        "trades_digest": digest,
        "equity_digest": fnv(word(v) for v in equity),
    }
    if sampled:
        out["equity"] = [[bar, equity[bar]] for bar in [*range(0, len(equity), sampled), len(equity) - 1]]
    if all_trades:
        out["trades"] = trades
    return out


def sma_cross(candles, fast, slow):
    close = pd.Series(candles["close"])
    a, b = (vbt.MA.run(close, window=w, ewm=False) for w in (fast, slow))
    up, down = a.ma_crossed_above(b).values, b.ma_crossed_above(a).values
    # The comparison must not hang on the rounding of averages: exact integer averages cross on the same bars.
    sign = exact_sign(candles["close"], fast, slow)
    for signal, wanted in ((up, 1), (down, -1)):
        was_other, last = False, None
        for i, s in enumerate(sign):
            assert bool(signal[i]) == (s == wanted and last != wanted and was_other), (fast, slow, i)
            was_other, last = was_other or s == -wanted, s
    return up, down


def ema_cross(candles, fast, slow):
    close = pd.Series(candles["close"])
    a, b = (vbt.MA.run(close, window=w, ewm=True) for w in (fast, slow))
    return a.ma_crossed_above(b).values, b.ma_crossed_above(a).values


def rsi_levels(candles, window, below, above):
    rsi = vbt.RSI.run(pd.Series(candles["close"]), window=window).rsi.values
    return rsi < below, rsi > above


def runs(candles):
    pairs = [(f, s) for f in range(5, 51, 5) for s in range(20, 201, 20) if f < s]

    def run(id_, sides, signals, settings, detail=False):
        kind, *args = signals
        enter, leave = {"sma_cross": sma_cross, "ema_cross": ema_cross, "rsi": rsi_levels}[kind](candles, *args)
        four = {"long": (enter, leave, None, None), "short": (None, None, leave, enter),
                "both": (enter, None, leave, None), "both_exits": (enter, leave, leave, enter)}[sides]
        pf = simulate(candles, four, settings)
        return {"id": id_, "sides": sides, "signals": [kind, *args], "settings": settings,
                **expected(pf, 250 if detail else None, detail)}

    for f, s in pairs:
        yield run(f"sma long {f}/{s}", "long", ("sma_cross", f, s), {"fee": 0.001}, (f, s) in [(5, 20), (20, 100)])
    for f, s in pairs:
        yield run(f"sma both {f}/{s}", "both", ("sma_cross", f, s), {}, (f, s) in [(10, 40)])
    for sides, f, s, fee in (("long", 5, 20, 0.001), ("both", 10, 40, 0.0)):
        for stop in (None, 0.01, 0.02, 0.05):
            for target in (None, 0.02, 0.06):
                for trailing in (False, True):
                    settings = {"fee": fee, "stop_loss": stop, "take_profit": target, "trailing": trailing}
                    yield run(f"stops {sides} {f}/{s} {stop} {target} {trailing}", sides, ("sma_cross", f, s), settings,
                              (stop, target) == (0.02, 0.06))
    for f, s, fee in ((12, 26, 0.0), (5, 20, 0.001), (20, 60, 0.0005)):
        yield run(f"ema both {f}/{s}", "both", ("ema_cross", f, s), {"fee": fee, "initial_cash": 10_000.0}, f == 20)
    for stop, target, trailing in ((None, None, False), (0.03, 0.05, False), (0.02, None, True), (None, 0.04, False)):
        settings = {"fee": 0.001, "initial_cash": 10_000.0, "stop_loss": stop, "take_profit": target,
                    "trailing": trailing}
        yield run(f"rsi long {stop} {target} {trailing}", "long", ("rsi", 14, 30.0, 70.0), settings, stop == 0.03)
    costs = {"fee": 0.0007, "fixed_fee": 0.05, "slippage": 0.0005}
    yield run("sma short 5/20", "short", ("sma_cross", 5, 20), {"fee": 0.001}, True)
    yield run("sma both exits 5/20", "both_exits", ("sma_cross", 5, 20), costs)
    yield run("sma both costs 5/20", "both", ("sma_cross", 5, 20), costs | {"stop_loss": 0.02, "take_profit": 0.03})


def random_cases(count, bars):
    """Wild candles, random signals: conflicts, gaps through stops, shorts whose price doubles, fees above the cash."""
    rng = random.Random(7)
    for case in range(count):
        poor = case >= count - 2  # orders around the minimum size
        price = 40_000.0 if poor else rng.choice([3.0, 100.0, 40_000.0])
        rows = walk(rng, bars, price, volatility=rng.choice([0.01, 0.08, 0.25]),
                    gap=rng.choice([0.0, 0.03]), jump=0.3, trend=0.05)
        candles = dict(zip(("open", "high", "low", "close"), (list(column) for column in zip(*rows))))
        candles["timestamp"] = [1_704_067_200_000 + i * 3_600_000 for i in range(bars)]
        density = rng.choice([0.05, 0.2, 0.6])
        sides = ["11", "1100", "0011", "1010", "1111"][case % 5]
        signals = [[rng.random() < density for _ in range(bars)] if side == "1" else None for side in sides.ljust(4, "1")]
        settings = {
            "initial_cash": rng.choice([10.0, 100.0, 10_000.0]), "fee": rng.choice([0.0, 0.001, 0.02]),
            "fixed_fee": rng.choice([0.0, 0.0, 0.4, 12.0]), "slippage": rng.choice([0.0, 0.002]),
            "stop_loss": rng.choice([None, 0.02, 0.1, 0.3]), "take_profit": rng.choice([None, 0.03, 0.2]),
            "trailing": rng.random() < 0.5}
        if poor:
            settings |= {"initial_cash": 4e-4, "fixed_fee": 0.0}
        pf = simulate(candles, signals, settings)
        yield {"id": f"random {case}", "ohlc": rows, "settings": settings,
               "signals": [None if s is None else "".join("01"[x] for x in s) for s in signals],
               **expected(pf, None, True)}


def write(name, about, cases):
    cases = list(cases)
    body = ",\n".join(json.dumps(case, separators=(",", ":")) for case in cases)
    head = json.dumps({"about": about, "trade_columns": TRADE_COLUMNS})[:-1]
    (FIXTURES / name).write_text(f'{head}, "runs": [\n{body}\n]}}\n')
    print(name, len(cases), "runs", sum(len(c.get("trades", [])) for c in cases), "trades written")


if __name__ == "__main__":
    make_candles()
    write("parity_vectorbt.json", "vectorbt from_signals on parity_candles.csv; scripts/parity_vectorbt.py",
          runs(read_candles()))
    write("parity_vectorbt_random.json",
          "vectorbt from_signals on wild candles and random signals; scripts/parity_vectorbt.py", random_cases(40, 60))
