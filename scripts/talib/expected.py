"""Writes engine/tests/fixtures/talib/*.json: what TA-Lib makes of the candles of series.py, one file a group of cases.

The test engine/tests/indicators_talib.rs compares our indicators with them and needs no Python. To make them anew:

    python3 -m venv venv && venv/bin/pip install "TA-Lib==0.8.2" numpy
    venv/bin/python scripts/talib/expected.py [GROUP...]

A group is a module cases_GROUP.py whose `cases(c)` yields (indicator, parameters, outputs); `c` holds the columns. Words
of a parameter are written as words. A case may be repeated for each series: a case whose window is longer than the
series gives columns of NaN. `SERIES` of the module, if there is one, holds candles of the group's own.
"""

import importlib
import json
import sys
from pathlib import Path

import numpy as np
import talib

from series import SERIES, columns

HERE = Path(__file__).parent
OUT = HERE.parent.parent / "engine" / "tests" / "fixtures" / "talib"
# Distance between the values that are compared, beside the ends: all of `mixed`, fewer of the others.
STRIDE = {"mixed": 1, "long": 40_009}


def kept(series, first, bars):
    """The indices whose values are compared."""
    ends = {*range(first, min(first + 3, bars)), *range(max(first, bars - 3), bars)}
    return sorted(ends | {*range(first, bars, STRIDE.get(series, 13))})


def output(series, values):
    """The index of the first value, and the values that are kept, to 13 digits; null where TA-Lib gives none.

    A group may say itself what is kept, as cases_candles.py does.
    """
    if isinstance(values, dict):
        return values
    values = np.asarray(values, float)
    finite = np.isfinite(values)
    if not finite.any():
        return [len(values), []]
    first = int(np.flatnonzero(finite)[0])
    at = kept(series, first, len(values))
    return [first, [float(f"{values[i]:.13g}") if finite[i] else None for i in at]]


def main():
    groups = sys.argv[1:] or sorted(p.stem.removeprefix("cases_") for p in HERE.glob("cases_*.py"))
    made = {name: columns(rows()) for name, rows in SERIES.items()}
    OUT.mkdir(parents=True, exist_ok=True)
    for group in groups:
        module = importlib.import_module(f"cases_{group}")
        lines = []
        own = {name: columns(rows()) for name, rows in getattr(module, "SERIES", {}).items()}
        for series, c in {**made, **own}.items():
            for indicator, params, outputs in module.cases(c):
                case = {"series": series, "indicator": indicator, "params": params}
                lines.append(json.dumps({**case, "outputs": [output(series, o) for o in outputs]}, separators=(",", ":")))
        version = talib.__ta_version__.decode().split()[0]
        text = '{"talib":"%s","cases":[\n%s\n]}\n' % (version, ",\n".join(lines))
        json.loads(text)
        (OUT / f"{group}.json").write_text(text)
        print(group, len(lines), "cases")


main()
