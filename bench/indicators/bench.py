"""Times our indicators and TA-Lib's beside each other, on the same candles and in turn. README.md says how to run it.

Before anything is timed, the values are compared. A number is the median of the repetitions, in nanoseconds of processor
time a bar and call; the call makes its output columns, and ours its exact sums.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import talib

from talib_calls import CALLS, FAMILIES, WITHIN

ROOT = Path(__file__).resolve().parents[2]
# Both keep the memory of earlier calls: otherwise the time is that of the kernel, which clears pages.
MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(1 << 30), "MALLOC_TRIM_THRESHOLD_": str(1 << 40)}
# The first call of a sample finds the caches as the other program left them.
CALLS_A_SAMPLE = 5
COLUMNS = ("open", "high", "low", "close", "volume")


def candles(bars):
    """A walk in cents with a return of 0.1 % a bar, and volumes of three places."""
    rng = np.random.default_rng(4)
    close = np.maximum(np.rint(4e6 + np.cumsum(rng.normal(0, 4e3, bars))), 1e5)
    open_ = np.concatenate(([close[0]], close[:-1]))
    high = np.maximum(open_, close) + rng.integers(0, 2_000, bars)
    low = np.minimum(open_, close) - rng.integers(0, 2_000, bars)
    volume = np.rint(rng.gamma(0.7, 2e4, bars)) + 1
    cents = dict(open=open_, high=high, low=low, close=close)
    return {**{k: v / 100.0 for k, v in cents.items()}, "volume": volume / 1000.0}


class Ours:
    """The program that calculates ours, asked line by line."""

    def __init__(self, program, folder, bars):
        self.folder, self.bars = folder, bars
        self.process = subprocess.Popen([program, folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, *words):
        self.process.stdin.write(" ".join(map(str, words)) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            sys.exit(f"the program of our indicators ended at: {words}")
        return answer.strip()

    def timed(self, *words, calls=1):
        """Processor time of an answer: what other programs take does not count."""
        clock = (~self.process.pid << 3) | 2  # Linux: the clock of a process
        start = time.clock_gettime_ns(clock)
        for _ in range(calls):
            self.ask(*words)
        return (time.clock_gettime_ns(clock) - start) / calls

    def list(self):
        for line in self.ask("list").split(";"):
            names, _, defaults = line.partition("|")
            name, *outputs = names.split()
            yield name, outputs, [word if word != "-" else "14" for word in defaults.split()]

    def columns(self):
        return np.fromfile(Path(self.folder) / "values.f64").reshape(-1, self.bars)


def check(name, ours, theirs):
    """Same first value, and equal to 1e-9 of the value or 1e-11 of the largest, as in engine/tests/indicators_talib.rs."""
    if len(ours) != len(theirs):
        return f"{name}: {len(ours)} outputs, TA-Lib gives {len(theirs)}"
    for a, b in zip(ours, theirs):
        first = int(np.argmax(np.isfinite(a)))
        # A column of integers has no unknown values.
        if b.dtype == float and int(np.argmax(np.isfinite(b))) != first:
            return f"{name}: the first value is not at {first}"
        a, b = a[first:], b[first:]
        within = WITHIN.get(name, 1e-11) * np.nanmax(np.abs(b))
        far = ~(np.abs(a - b) <= np.maximum(1e-9 * np.abs(b), within))
        if far.any():
            at = int(np.argmax(far))
            return f"{name}: {far.sum()} values differ, the first is {a[at]} for {b[at]}"
    return None


def timed(call, calls=1):
    start = time.process_time_ns()
    for _ in range(calls):
        call()
    return (time.process_time_ns() - start) / calls


def in_turn(repetitions, *calls):
    """The times of each call, one after the other in every repetition; the first is not counted."""
    rounds = [[call() for call in calls] for _ in range(repetitions + 1)][1:]
    return [list(times) for times in zip(*rounds)]


def summary(times, per):
    times = sorted(t / per for t in times)
    quarter = len(times) // 4
    return dict(median=statistics.median(times), low=times[quarter], high=times[-1 - quarter], least=times[0])


def single(ours, name, params, call, c, repetitions):
    calls = [lambda: ours.timed("time", name, *params, calls=CALLS_A_SAMPLE)]
    calls.append(lambda: ours.timed("again", name, *params, calls=CALLS_A_SAMPLE))
    if call:
        calls.append(lambda: timed(lambda: call(c), CALLS_A_SAMPLE))
    found = in_turn(repetitions, *calls)
    row = dict(indicator=name, params=params, ours=summary(found[0], ours.bars), again=summary(found[1], ours.bars))
    if call:
        row["talib"] = summary(found[2], ours.bars)
        row["ratio"] = statistics.median(a / b for a, b in zip(found[0], found[2]))
    return row


def family(ours, name, call, c, repetitions, windows):
    params = {w: [w] for w in windows}
    found = in_turn(
        repetitions,
        lambda: ours.timed("together"),
        lambda: sum(ours.timed("time", name, *params[w]) for w in windows),
        lambda: timed(lambda: [call(c, w) for w in windows]),
    )
    together, apart, talib_ = (summary(times, ours.bars * len(windows)) for times in found)
    return dict(indicator=name, windows=len(windows), together=together, apart=apart, talib=talib_)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--program", required=True, help="the example time_indicators of the engine, built for release")
    parser.add_argument("--bars", type=int, default=1_000_000)
    parser.add_argument("--repetitions", type=int, default=11)
    parser.add_argument("--only", nargs="*", help="indicators to time, all without it")
    parser.add_argument("--json", type=Path, help="write the numbers here")
    args = parser.parse_args()
    if any(os.environ.get(key) != value for key, value in MEMORY.items()):
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **MEMORY})

    c = candles(args.bars)
    wanted = lambda name: not args.only or name in args.only
    with tempfile.TemporaryDirectory() as folder:
        np.concatenate([c[k] for k in COLUMNS]).tofile(Path(folder) / "candles.f64")
        ours = Ours(args.program, folder, args.bars)
        known = {name: defaults for name, _, defaults in ours.list() if wanted(name)}
        jobs, wrong = [], []
        for name, defaults in known.items():
            params, call = CALLS.get(name, (defaults, None))
            # A parameter that TA-Lib's call has not keeps our default.
            full = [*params, *defaults[len(params):]]
            if call:
                ours.ask("values", name, *full)
                wrong.append(check(name, ours.columns(), call(c, *params)))
            jobs.append((name, full, call and (lambda c, call=call, params=params: call(c, *params))))
        if any(wrong):
            sys.exit("not timed, because values differ:\n" + "\n".join(filter(None, wrong)))
        rows = [single(ours, name, params, call, c, args.repetitions) for name, params, call in jobs]
        print(f"{'indicator':14}{'ours':>8}{'again':>8}{'TA-Lib':>8}{'ratio':>8}   ns a bar, median of {args.repetitions}")
        for row in rows:
            theirs = f"{row['talib']['median']:8.2f}{row['ratio']:8.2f}" if "talib" in row else f"{'-':>8}{'-':>8}"
            print(f"{row['indicator']:14}{row['ours']['median']:8.2f}{row['again']['median']:8.2f}{theirs}")

        bars = max(args.bars // 10, 1)
        short = {k: np.ascontiguousarray(v[:bars]) for k, v in c.items()}
        np.concatenate([short[k] for k in COLUMNS]).tofile(Path(folder) / "candles.f64")
        ours = Ours(args.program, folder, bars)
        windows = range(5, 105, 2)
        families = []
        print(f"\n{'family':14}{'together':>9}{'apart':>9}{'TA-Lib':>9}   ns a bar and output, {len(windows)} windows of {bars} bars")
        for name, (text, call) in FAMILIES.items():
            if name not in known:
                continue
            ours.ask("load", *(text.format(w) for w in windows))
            ours.ask("family")
            error = check(name, ours.columns(), [column for w in windows for column in call(short, w)])
            if error:
                sys.exit(f"not timed, because values differ:\n{error}")
            row = family(ours, name, call, short, args.repetitions, windows)
            families.append(row)
            print(f"{name:14}" + "".join(f"{row[k]['median']:9.2f}" for k in ("together", "apart", "talib")))
    if args.json:
        machine = dict(cpu=cpu(), talib=talib.__ta_version__.decode(), numpy=np.__version__, python=platform.python_version())
        result = dict(bars=args.bars, repetitions=args.repetitions, machine=machine, indicators=rows, families=families)
        args.json.write_text(json.dumps(result, indent=1) + "\n")


def cpu():
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.processor())


if __name__ == "__main__":
    main()
