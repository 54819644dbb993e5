"""Runs the single backtest of W3 with backtesting.py: `peer_backtesting.py JOB OUT`, both JSON.

Its fills are at the next open as in our native semantics, but a stop has to be named as a price before the fill is
known, so the results are not the same and are not compared.
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from backtesting import Backtest, Strategy

COLUMNS = ("Open", "High", "Low", "Close", "Volume")


def wilder(close: np.ndarray, window: int) -> np.ndarray:
    """The relative strength index with Wilder's averages."""
    change = np.diff(close, prepend=close[0])
    averaged = [
        pd.Series(part).ewm(alpha=1.0 / window, adjust=False).mean() for part in (change.clip(0), (-change).clip(0))
    ]
    strength = 100.0 - 100.0 / (1.0 + averaged[0] / averaged[1])
    strength[:window] = np.nan
    return strength.to_numpy()


def main() -> None:
    """Runs it and tells its seconds."""
    warnings.simplefilter("ignore")
    job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    (series,), settings = job["series"], job["settings"]
    columns = np.fromfile(series["path"]).reshape(len(COLUMNS), series["bars"])
    index = pd.date_range("2015-01-01", periods=series["bars"], freq=pd.Timedelta(minutes=job["minutes"]))
    candles = pd.DataFrame(dict(zip(COLUMNS, columns)), index=index)

    class Reversal(Strategy):
        """Buys what has fallen."""

        def init(self) -> None:
            self.strength = self.I(wilder, self.data.Close, settings["window"])

        def next(self) -> None:
            close = self.data.Close[-1]
            if self.position:
                if self.strength[-1] > settings["above"]:
                    self.position.close()
            elif self.strength[-1] < settings["below"]:
                self.buy(sl=close * (1.0 - settings["stop"]), tp=close * (1.0 + settings["target"]))

    start = time.perf_counter()
    # It buys whole units: cash for many of them.
    cash = job["cash"] * 1e4
    found = Backtest(candles, Reversal, cash=cash, commission=job["fee"], finalize_trades=False).run()
    seconds = time.perf_counter() - start
    metrics = dict(trades=[float(found["# Trades"])])
    Path(sys.argv[2]).write_text(json.dumps(dict(seconds=seconds, metrics=metrics)), encoding="utf-8")


main()
