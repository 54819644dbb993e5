"""Measures sweeps of `blockgrid run` beside other programs, in turn and after comparing results. README.md says how."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from blockgrid import Blockgrid, read_trials
from candles import candles, digest
from outcome import BenchError, Table, Took, compare
from peers import PACKAGES, Peer, Share, installed
from report import Row, as_json, markdown
from workloads import BY_NAME, Workload
from yardstick import Yardstick, read_pairs

DEFAULT_PEERS = ("vectorbt",)


@dataclass(frozen=True)
class Ours:
    """A variant of a workload: a manifest."""

    semantics: str
    # The metrics of the workload alone, or all there are.
    few: bool
    job: Path


@dataclass(frozen=True)
class Asked:
    """A share of a workload that a peer is asked for."""

    peer: Peer
    share: Share
    job: Path


class Bench:
    """All programs, and one workload after the other."""

    def __init__(self, ours: Blockgrid, yardstick: Yardstick | None, peers: list[Peer], rounds: int) -> None:
        self.ours, self.yardstick, self.peers, self.rounds = ours, yardstick, peers, rounds
        self.rows: list[Row] = []
        self.notes: list[str] = []
        self.digests: dict[str, str] = {}

    def measure(self, workload: Workload) -> None:
        """Compares, then measures, and adds the rows."""
        tell(f"{workload.name}: {workload.title}, {workload.evaluations / 1e6:,.0f} million evaluations")
        columns = {series.symbol: candles(series) for series in workload.series}
        self.digests |= {f"{workload.name} {symbol}": digest(made) for symbol, made in columns.items()}
        data = self.ours.data(workload, columns)
        kinds = (True, False) if self.ours.knows_metrics else (False,)
        variants = [
            Ours(semantics, few, self.ours.job(workload, data, semantics, few))
            for semantics in workload.semantics
            for few in kinds
        ]
        shares = [(peer, share) for peer in self.peers if (share := peer.share(workload))]
        asked = [Asked(peer, share, peer.job(share, columns)) for peer, share in shares]
        raw = self.yardstick.data(workload, columns) if self.yardstick and workload.yardstick else None
        self.check(workload, variants, raw, asked)
        self.time(workload, variants, raw, asked)

    def check(self, workload: Workload, variants: list[Ours], raw: Path | None, asked: list[Asked]) -> None:
        """Runs everything once and stops when two programs disagree.

        Every variant must be within 1e-12 of its semantics' other one; the C program and vectorbt are compared with
        the results of their semantics.
        """
        found: dict[str, Table] = {}
        for variant in variants:
            _, out = self.ours.run(variant.job)
            table = read_trials(out, workload, workload.metrics)
            before = found.setdefault(variant.semantics, table)
            compare(table, before, workload.metrics, ("all metrics", "the workload's metrics alone"), within=1e-12)
        compared = []
        if raw and self.yardstick:
            _, _, out = self.yardstick.run(workload, raw)
            theirs = read_pairs(out, workload)
            metrics = [metric for metric in workload.metrics if metric in theirs.columns]
            count = compare(found["vectorbt"], theirs, metrics, ("blockgrid", "the C program"))
            compared.append(f"{count:,} trials equal the C program's")
        for one in asked:
            if one.peer.name == "vectorbt":
                _, theirs = one.peer.run(one.share, one.job)
                count = compare(found["vectorbt"], theirs, workload.metrics, ("blockgrid", "vectorbt"))
                compared.append(f"{count:,} equal vectorbt's")
        self.notes.append(f"{workload.name}: {workload.title}. {told(workload, found, compared)}")

    def time(self, workload: Workload, variants: list[Ours], raw: Path | None, asked: list[Asked]) -> None:
        """The rounds: each variant of ours followed by the C program, then the peers."""
        trials = len(workload.grid()) * len(workload.series)
        bars = workload.series[0].bars

        def row(engine: str, metrics: str, threads: int, evaluations: int, factor: float = 1.0) -> Row:
            return Row(workload.name, engine, metrics, threads, trials, bars, evaluations, factor=factor)

        count = len(workload.metrics)
        ours = [
            row(f"blockgrid, {v.semantics}", str(count) if v.few else "all", self.ours.threads, workload.evaluations)
            for v in variants
        ]
        c = row("C `blocked`", str(count), self.ours.threads, 0)
        theirs = [row(o.peer.title, str(count), 1, o.share.evaluations, o.share.factor) for o in asked]
        for _ in range(self.rounds):
            for variant, mine in zip(variants, ours):
                took, _ = self.ours.run(variant.job)
                mine.took.append(took)
                if raw and self.yardstick:
                    other, c.evaluations, _ = self.yardstick.run(workload, raw)
                    c.trials = c.evaluations // bars
                    c.took.append(other)
                    mine.beside.append(ratio(took, mine.evaluations, other, c.evaluations))
            for one, peer in zip(asked, theirs):
                peer.took.append(one.peer.run(one.share, one.job)[0])
        self.rows += [*ours, *([c] if c.took else []), *theirs]


def ratio(ours: Took, our_evaluations: int, theirs: Took, their_evaluations: int) -> tuple[float, float]:
    """Our seconds to theirs, an evaluation: compute and whole process. Where both run the same, simply the seconds."""
    scale = their_evaluations / our_evaluations
    return ours.compute / theirs.compute * scale, ours.whole / theirs.whole * scale


def told(workload: Workload, found: dict[str, Table], compared: list[str]) -> str:
    """What was compared, and how many trades a trial has where they are known."""
    trades = [f"{np.nanmean(t.columns['trades']):,.0f} ({s})" for s, t in found.items() if "trades" in t.columns]
    words = [*compared, *([f"trades a trial: {', '.join(trades)}"] if trades else [])]
    return ("; ".join(words) or "compared with no other program") + "."


def tell(text: str) -> None:
    """Says what goes on, apart from the table."""
    print(text, file=sys.stderr, flush=True)


def arguments() -> argparse.Namespace:
    """The options of the script."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--program", type=Path, required=True, help="the program blockgrid, built for release")
    parser.add_argument("--only", nargs="+", choices=list(BY_NAME), metavar="W", help="workloads, all without it")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2, help="of blockgrid and of the C program")
    parser.add_argument("--quick", action="store_true", help="grids and candles cut down to seconds, to try the script")
    parser.add_argument(
        "--peers", nargs="*", choices=list(PACKAGES), metavar="NAME",
        help=f"of {', '.join(PACKAGES)}; vectorbt without the option, where it is installed",
    )  # fmt: skip
    parser.add_argument("--yardstick", type=Path, metavar="DIR", help="a folder with sma_grid.c; built with gcc")
    parser.add_argument(
        "--work", type=Path, metavar="DIR", help="an empty folder for files, which stay; else temporary"
    )
    parser.add_argument("--json", type=Path, metavar="OUT", help="write everything that was measured here")
    args = parser.parse_args()
    if args.rounds < 1 or args.threads < 1:
        parser.error("--rounds and --threads must be at least 1")
    return args


def run(args: argparse.Namespace, work: Path) -> None:
    """Everything, with files below `work`."""
    ours = Blockgrid(args.program, args.threads, work)
    yardstick = Yardstick(args.yardstick.resolve(), args.threads, work) if args.yardstick else None
    names = args.peers if args.peers is not None else [name for name in DEFAULT_PEERS if installed(name)]
    bench = Bench(ours, yardstick, [Peer(name, work) for name in names], args.rounds)
    workloads = [BY_NAME[name](args.quick) for name in args.only or BY_NAME]
    for workload in workloads:
        bench.measure(workload)
    notes = [*bench.notes, *sorted(ours.notes)]
    if not names:
        notes.append("no peer from PyPI was run (--peers, and what is installed)")
    if any(row.factor != 1.0 for row in bench.rows):
        notes.append("~: a share of the trials was run, spread over the grid, and its seconds multiplied")
    if yardstick and any(workload.yardstick and not workload.whole for workload in workloads):
        notes.append("the C program ran its own, larger grid: ratios are of seconds an evaluation")
    if not yardstick:
        notes.append("no C program was given (--yardstick): the columns beside it are empty")
    if args.quick:
        notes.append("--quick: small grids on few candles, which say nothing about speed")
    print(markdown(bench.rows, args.rounds, notes))
    if args.json:
        result = as_json(bench.rows, args.rounds, notes, bench.digests)
        args.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def main() -> None:
    """Says what is wrong in one message, without a trace."""
    args = arguments()
    try:
        if args.work:
            args.work.mkdir(parents=True, exist_ok=True)
            run(args, args.work.resolve())
        else:
            with tempfile.TemporaryDirectory() as folder:
                run(args, Path(folder))
    except BenchError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
