"""What is run: eight sweeps, each with its candles, its strategy and its grid. README.md says where they come from."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import product
from typing import Any

from candles import INTERVALS, Series

Json = dict[str, Any]

RETURN_METRICS = ("total_return", "max_drawdown")
FIVE_METRICS = ("total_return", "sharpe", "max_drawdown", "trades", "win_rate")


@dataclass(frozen=True)
class Peer:
    """What the peers are told of a workload: the strategy by its kind, and which share of the trials to run."""

    kind: str
    settings: Json = field(default_factory=dict)
    # None: all trials. Else so many, spread over the grid; their time is extrapolated.
    trials: int | None = None
    # Symbols that the share is run on, from the first.
    symbols: int = 1


@dataclass(frozen=True)
class Workload:
    """One sweep."""

    name: str
    title: str
    series: tuple[Series, ...]
    strategy: Json
    sweep: Json | None
    metrics: tuple[str, ...]
    fee_bps: float
    cash: float
    semantics: tuple[str, ...] = ("vectorbt", "native")
    # The first argument of the C program, where it has the workload.
    yardstick: str | None = None
    # Whether the grid is the one that is built into the C program.
    whole: bool = True
    vectorbt: Peer | None = None
    backtesting: bool = False

    @property
    def interval(self) -> str:
        """The interval of all its candles."""
        return self.series[0].interval

    @property
    def minutes(self) -> int:
        """Minutes of a candle."""
        return INTERVALS[self.interval]

    @property
    def bars(self) -> int:
        """Candles of all symbols."""
        return sum(series.bars for series in self.series)

    @property
    def evaluations(self) -> int:
        """Trials times bars."""
        return len(self.grid()) * self.bars

    def grid(self) -> list[dict[str, int]]:
        """The parameters of each trial of a symbol; a job that sweeps nothing has one trial without any."""
        parameters = self.sweep["parameters"] if self.sweep else {}
        points = [dict(zip(parameters, values)) for values in product(*parameters.values())]
        return [p for p in points if p["fast"] < p["slow"]] if self.sweep and "where" in self.sweep else points

    def manifest(self, data: Json, semantics: str, output: Json) -> Json:
        """The manifest of a run. Costs and fills other than the fee are what the semantics have by themselves."""
        execution: Json = {
            "semantics": semantics,
            "fees": {"takerBps": self.fee_bps},
            "slippage": {"bps": 0},
            "initialCash": self.cash,
        }
        spec: Json = {"data": data, "strategy": self.strategy, "execution": execution, "output": output}
        if self.sweep:
            spec["sweep"] = {**self.sweep, "objective": "total_return"}
        return {
            "apiVersion": "grid.blockbuilders.app/v1alpha1",
            "kind": "BacktestJob",
            "metadata": {"name": f"{self.name.lower()}-{semantics}"},
            "spec": spec,
        }


def steps(first: int, last: int, step: int) -> list[int]:
    """The values of a range of a sweep, `last` inclusive."""
    return list(range(first, last + 1, step))


def crossing(both: bool) -> Json:
    """The strategy of two averages: long above; below it short, or out of the market."""
    up, down = "crosses_above(fastMa, slowMa)", "crosses_below(fastMa, slowMa)"
    sides: Json = {"long": {"enter": up}, "short": {"enter": down}} if both else {"long": {"enter": up, "exit": down}}
    define = {"fastMa": "sma(close, fast)", "slowMa": "sma(close, slow)"}
    return {"parameters": {"fast": None, "slow": None}, "define": define, **sides}


def averages(
    name: str,
    title: str,
    series: tuple[Series, ...],
    fast: list[int],
    slow: list[int],
    peer: Peer,
    metrics: tuple[str, ...] = FIVE_METRICS,
    fee_bps: float = 10.0,
    cash: float = 10_000.0,
    **more: Any,
) -> Workload:
    """A sweep over pairs of averages."""
    both = bool(peer.settings.get("both"))
    sweep = {"parameters": {"fast": fast, "slow": slow}, "where": "fast < slow"}
    return Workload(name, title, series, crossing(both), sweep, metrics, fee_bps, cash, vectorbt=peer, **more)


def w1(quick: bool) -> Workload:
    """Three years of hours, all pairs of windows up to 199, in the market all the time."""
    windows = steps(2, 199, 11 if quick else 1)
    bars = 5_000 if quick else 27_625
    series = (Series("W1-USD", "1h", bars, 11),)
    title = "1h, SMA pairs, long and short, no fee"
    peer = Peer("averages", {"both": True}, trials=20 if quick else 195)
    return averages(
        "W1", title, series, windows, windows, peer, RETURN_METRICS, 0.0, 100.0, yardstick="w1", whole=not quick
    )


def w2(quick: bool) -> Workload:
    """A year of minutes, long only, with a fee."""
    bars = 40_000 if quick else 525_600
    fast, slow = steps(5, 100, 20 if quick else 5), steps(20, 1000, 100 if quick else 20)
    series = (Series("W2-USD", "1m", bars, 12),)
    peer = Peer("averages", trials=10)
    return averages("W2", "1m, SMA pairs, long", series, fast, slow, peer, yardstick="w2", whole=not quick)


def w3(quick: bool) -> Workload:
    """One backtest: where a run's own costs show."""
    series = (Series("W2-USD", "1m", 40_000 if quick else 525_600, 12),)
    strategy: Json = {
        "define": {"strength": "rsi(close, 14)"},
        "long": {"enter": "strength < 30", "exit": "strength > 70"},
        "risk": {"stopLoss": 0.02, "takeProfit": 0.04},
    }
    peer = Peer("rsi", {"window": 14, "below": 30, "above": 70, "stop": 0.02, "target": 0.04})
    title = "one run of 1m: RSI with stop and target"
    return Workload("W3", title, series, strategy, None, FIVE_METRICS, 10.0, 10_000.0, vectorbt=peer, backtesting=True)


def w4(quick: bool) -> Workload:
    """Many symbols from disk: reading is part of it."""
    fast, slow = [5, 10, 15, 20, 25, 30, 40, 50, 60, 80], [90, 100, 120, 150, 180, 200, 250, 300, 400, 500]
    if quick:
        fast, slow = fast[::3], slow[::3]
    symbols, bars = (4, 20_000) if quick else (50, 105_120)
    series = tuple(Series(f"SYN{i:03d}", "5m", bars, 1000 + i) for i in range(symbols))
    peer = Peer("averages", trials=5, symbols=2)
    title = "5m of many symbols from Parquet, SMA pairs, long"
    return averages("W4", title, series, fast, slow, peer, yardstick="w4", whole=not quick)


def w5(quick: bool) -> Workload:
    """The grid of vectorbt's README, on as many days of three symbols."""
    windows = steps(2, 100, 4 if quick else 1)
    series = tuple(Series(f"DAY{i}", "1d", 1_000 if quick else 3_000, 50 + i) for i in range(3))
    peer = Peer("averages", symbols=3)
    title = "vectorbt's README: 1d of 3 symbols, SMA pairs, long"
    return averages("W5", title, series, windows, windows, peer, ("total_return",), 10.0, 100.0)


def w6(quick: bool) -> Workload:
    """Many bars and many pairs."""
    bars, by = (20_000, 10) if quick else (200_000, 1)
    series = (Series("W6-USD", "1m", bars, 16),)
    fast, slow = steps(2, 101, 1)[::by], steps(105, 600, 5)[::by]
    return averages("W6", "1m, SMA pairs, long", series, fast, slow, Peer("averages", trials=20))


def w7(quick: bool) -> Workload:
    """Signals that all trials share, and exits that none does."""
    bars, by = (20_000, 10) if quick else (200_000, 1)
    series = (Series("W6-USD", "1m", bars, 16),)
    fast, slow = 3, 8
    strategy: Json = {
        "parameters": {"stop": None, "target": None},
        "define": {"fastMa": f"sma(close, {fast})", "slowMa": f"sma(close, {slow})"},
        "long": {"enter": "crosses_above(fastMa, slowMa)"},
        "risk": {"stopLoss": "stop / 10000", "takeProfit": "target / 10000"},
    }
    # 0.02 % to 2 %, as whole hundredths of a percent. With this signal a trial has some 2,700 trades, on average.
    values = steps(2, 200, 2)[by - 1 :: by]
    sweep = {"parameters": {"stop": values, "target": values}}
    peer = Peer("stops", {"fast": fast, "slow": slow}, trials=10)
    title = "1m, one entry signal, stop x target"
    return Workload("W7", title, series, strategy, sweep, FIVE_METRICS, 10.0, 10_000.0, vectorbt=peer)


def w8(quick: bool) -> Workload:
    """Everything differs between trials: two indicators, a level, and stops by the range of the market."""
    bars = 10_000 if quick else 100_000
    grid: Json = {
        "period": steps(5, 50, 5)[:: 4 if quick else 1],
        "level": steps(22, 40, 2)[:: 4 if quick else 1],
        "trend": steps(20, 400, 20)[:: 5 if quick else 1],
        "stop": steps(1, 10, 1)[:: 3 if quick else 1],
    }
    strategy: Json = {
        "parameters": dict.fromkeys(grid),
        "define": {"strength": "rsi(close, period)", "average": "ema(close, trend)"},
        "long": {"enter": "strength < level && close > average"},
        "risk": {"stopLoss": {"atr": "stop", "period": 14}, "trail": {"atr": "stop * 1.5", "period": 14}},
    }
    series = (Series("W8-USD", "1m", bars, 18),)
    title = "1m: RSI, EMA, ATR stop and ATR trail"
    # vectorbt knows no ATR stops.
    return Workload("W8", title, series, strategy, {"parameters": grid}, FIVE_METRICS, 10.0, 10_000.0, ("native",))


BY_NAME = {make.__name__.upper(): make for make in (w1, w2, w3, w4, w5, w6, w7, w8)}
