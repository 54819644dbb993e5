"""Makes engine/tests/fixtures/parity_backtesting_*.json with backtesting.py on parity_candles.csv.

    VENV/bin/python scripts/parity_backtesting.py        (after parity_vectorbt.py, which writes the candles)

backtesting.py runs with its defaults but for commission: market orders at the next open, whole units, no spread. It
differs from our rules in places, so the script asserts that none of them matters on these candles:
- averages never tie, so exact and rounded sums cross on the same bars;
- its size, floor(money * (1 - eps) / (price * (1 + commission))), equals the largest whole n with
  n <= (cash / (1 + commission)) / price at every entry;
- the next open never lies beyond a stop or target (we reject such an order, backtesting.py fills and closes it);
- no short doubles in price (we liquidate at zero equity, backtesting.py at the close below it).
"""

import json
import math
import warnings

import numpy as np
import pandas as pd
from backtesting import Backtest, Strategy
from backtesting.lib import crossover

from parity_candles import FIXTURES, exact_sign, exact_sums, read_candles

CASH = 10_000_000.0
PAIRS = [(5, 20), (10, 40), (20, 50), (15, 100)]

ABOUT = {
    "data": "parity_candles.csv, all bars; bar numbers are its rows, from 0",
    "signals": "sma(close, fast) against sma(close, slow); up: fast < slow on the bar before and fast > slow on this "
               "one; down: the same with the two exchanged (strict crossing: a cross through equality is none)",
    "orders": "decided at a close, market, filled at the next open; the last bar's are never filled",
    "long": "enter on up when flat, exit on down",
    "both": "up enters long, down enters short; the other side's signal reverses at one open, in two fills with two fees",
    "size": "all in, whole units (lot 1), rounded down: largest n with n * open * (1 + fee) <= cash after the exit's fee",
    "fee": "fraction of the notional of each fill, entries and exits, stops and targets too (maker = taker); no slippage",
    "stop, target": "prices set at the signal's close: close * factor of the side, e.g. stop long close * 0.97; they act "
                    "from the open of the entry on, the entry's bar included; the stop first; a stop fills at its "
                    "level or a worse open, a target at its level or a better open",
    "no tick": "prices of stops and targets are not rounded",
    "tolerance": "bars, units, reasons and the prices of market fills exactly; fees and equity to 1e-12 relative",
    "reentry": "after a stop or target in bar t the close of t is heard (sameBar)",
    "end": "an open position is marked at the last close, without exit fee",
    "fills": ["bar", "signed units", "price", "fee", "reason: enter, exit, reversal (exit half), stop, target"],
    "trades": ["entry bar", "exit bar or null", "signed units", "profit and loss after both fees or null"],
    "equity": "[bar, equity at its close], every 100 bars from the first bar of the run on, and the last",
    "first_bar": "first bar whose close can decide; equity before it is the cash",
}


def sma(values, window):
    """Averages of whole cents, divided once: equal averages are equal floats."""
    return np.array([math.nan if s is None else s / (window * 100) for s in exact_sums(values, window)])


class Cross(Strategy):
    fast = slow = 0
    sides = "long"
    stop = target = None  # fractions of the signal bar's close

    def init(self):
        self.a = self.I(sma, self.data.Close, self.fast)
        self.b = self.I(sma, self.data.Close, self.slow)
        self.decided = {}  # bar -> why the position is closed at the next open

    def leave(self, why):
        if self.position:
            self.decided[len(self.data) - 1] = why
            self.position.close()

    def brackets(self, sign):
        close = self.data.Close[-1]
        level = lambda fraction: None if fraction is None else close * round(1 + sign * fraction, 4)
        return {"sl": level(None if self.stop is None else -self.stop), "tp": level(self.target)}

    def next(self):
        up, down = crossover(self.a, self.b), crossover(self.b, self.a)
        if up and not self.position.is_long:
            self.leave("reversal")
            self.buy(**self.brackets(1))
        elif down and self.sides == "both" and not self.position.is_short:
            self.leave("reversal")
            self.sell(**self.brackets(-1))
        elif down and self.sides == "long":
            self.leave("exit")


def run(candles, sides, fast, slow, fee, stop=None, target=None):
    columns = {name.capitalize(): candles[name] for name in ("open", "high", "low", "close", "volume")}
    data = pd.DataFrame(columns, index=pd.to_datetime(candles["timestamp"], unit="ms"))
    sign = exact_sign(candles["close"], fast, slow)
    assert 0 not in sign, "averages tie: choose other candles"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.filterwarnings("error", message=".*Broker canceled")
        stats = Backtest(data, Cross, cash=CASH, commission=fee).run(
            fast=fast, slow=slow, sides=sides, stop=stop, target=target)
    strategy = stats["_strategy"]
    done = sorted(strategy.closed_trades, key=lambda t: t.entry_bar)
    trades = [(t, t.exit_bar, t.exit_price) for t in done] + [(t, None, None) for t in strategy.trades]

    cash, fills, rows = CASH, [], []
    for i, (t, exit_bar, exit_price) in enumerate(trades):
        # What we would buy, from the cash before this entry.
        ours = math.floor(cash / (1 + fee) / t.entry_price)
        assert ours == abs(t.size), (i, ours, t.size)
        sign_of = math.copysign(1, t.size)
        for level, beyond in ((t.sl, 1), (t.tp, -1)):
            assert level is None or sign_of * beyond * (t.entry_price - level) > 0, "the open is beyond a bracket"
        entry_fee = abs(t.size) * t.entry_price * fee
        cash -= entry_fee
        fills.append([t.entry_bar, int(t.size), float(t.entry_price), entry_fee, "enter"])
        pnl = None
        if exit_bar is not None:
            exit_fee = abs(t.size) * exit_price * fee
            cash += t.size * (exit_price - t.entry_price) - exit_fee
            pnl = t.size * (exit_price - t.entry_price) - entry_fee - exit_fee
            fills.append([exit_bar, -int(t.size), float(exit_price), exit_fee, reason(strategy, t, exit_bar, exit_price, sign_of)])
        high = max(candles["high"][t.entry_bar:(exit_bar or len(data) - 1) + 1])
        assert t.size > 0 or high < 1.9 * t.entry_price
        rows.append([t.entry_bar, exit_bar, int(t.size), pnl])
    equity = [float(v) for v in stats["_equity_curve"]["Equity"]]
    first = slow  # the first average stands on bar slow-1; a crossing needs two
    sampled = [*range(first, len(equity), 100), len(equity) - 1]
    assert abs(equity[-1] - cash - sum(t.size * (candles["close"][-1] - t.entry_price) for t in strategy.trades)) < 1e-6
    return {
        "id": f"{sides} {fast}/{slow} fee {fee} stop {stop} target {target}", "sides": sides, "fast": fast,
        "slow": slow, "fee": fee, "cash": CASH,
        "stop": {} if stop is None else {"long": round(1 - stop, 4), "short": round(1 + stop, 4)},
        "target": {} if target is None else {"long": round(1 + target, 4), "short": round(1 - target, 4)},
        "first_bar": first, "final_equity": equity[-1], "fills": fills, "trades": rows,
        "equity": [[bar, equity[bar]] for bar in sampled]}


def reason(strategy, trade, exit_bar, price, sign):
    """Why a trade was closed. A close decided at the bar before comes first in backtesting.py's queue."""
    decided = strategy.decided.get(exit_bar - 1)
    if decided and trade.entry_bar < exit_bar:
        return decided
    return "stop" if trade.sl is not None and sign * (price - trade.sl) <= 0 else "target"


def write(name, runs):
    runs = list(runs)
    body = ",\n".join(json.dumps(r, separators=(",", ":")) for r in runs)
    head = json.dumps({"about": {"made by": "scripts/parity_backtesting.py, backtesting.py 0.6.6", **ABOUT}}, indent=1)
    (FIXTURES / name).write_text(f'{head.rstrip()[:-1].rstrip()},\n"runs": [\n{body}\n]}}\n')
    for r in runs:
        reasons = [f[4] for f in r["fills"]]
        same_bar = sum(t[0] == t[1] for t in r["trades"])
        print(name, r["id"], len(r["trades"]), {x: reasons.count(x) for x in sorted(set(reasons))}, "in entry bar:",
              same_bar, "final", r["final_equity"])


if __name__ == "__main__":
    candles = read_candles()
    write("parity_backtesting_long.json", (run(candles, "long", f, s, 0.001) for f, s in PAIRS))
    write("parity_backtesting_stops.json",
          [*(run(candles, "long", f, s, 0.001, stop, target)
             for f, s in PAIRS[:2] for stop, target in ((0.03, 0.06), (0.015, 0.02), (0.02, None), (None, 0.03))),
           # Tight enough for both in one bar, mostly that of the entry.
           run(candles, "long", 8, 30, 0.001, 0.006, 0.006), run(candles, "long", 20, 50, 0.001, 0.004, 0.004)])
    write("parity_backtesting_both.json", [
        *(run(candles, "both", f, s, fee) for f, s in PAIRS[:2] for fee in (0.0, 0.001)),
        *(run(candles, "both", f, s, 0.001) for f, s in PAIRS[2:]),
        run(candles, "both", 5, 20, 0.001, 0.03, 0.06), run(candles, "both", 10, 40, 0.0005, 0.015, 0.02),
        run(candles, "both", 10, 25, 0.001, 0.006, 0.006)])
