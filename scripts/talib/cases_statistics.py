"""Statistics, regression, volume, directional movement, swings and Heikin-Ashi."""

import numpy as np
import talib


def bars_since(index, w):
    """Indices in the array, as bars since; TA-Lib fills the bars before the first value with 0."""
    at = np.arange(len(index))
    return np.where(at >= w - 1, at - index, np.nan)


def known(marks, lookback):
    """Whole numbers, unknown before the first."""
    return np.where(np.arange(len(marks)) >= lookback, marks.astype(float), np.nan)


def cases(c):
    o, h, l, x, v = (c[k] for k in ("open", "high", "low", "close", "volume"))
    # The long series shows what accumulates: the test calculates it without optimisation.
    long = len(x) > 100_000
    for w in (14, 250) if long else (2, 3, 14, 60, 250):
        yield "linreg", [w], [talib.LINEARREG(x, w)]
        yield "linreg_slope", [w], [talib.LINEARREG_SLOPE(x, w)]
        yield "linreg_angle", [w], [talib.LINEARREG_ANGLE(x, w)]
        yield "linreg_intercept", [w], [talib.LINEARREG_INTERCEPT(x, w)]
        yield "tsf", [w], [talib.TSF(x, w)]
    for w in (2, 30) if long else (1, 2, 5, 30, 250):
        yield "var", [w], [talib.VAR(x, w)]
        yield "correl", [w], [talib.CORREL(h, l, w)]
        yield "beta", [w], [talib.BETA(h, l, w)]
        yield "rvol", [w], [talib.RVOL(v, w)]
        yield "vortex", [w], list(talib.VORTEX(h, l, x, w))
        yield "plus_dm", [w], [talib.PLUS_DM(h, l, w)]
        yield "minus_dm", [w], [talib.MINUS_DM(h, l, w)]
    for w in (14,) if long else (2, 5, 14, 60):
        yield "avgdev", [w], [talib.AVGDEV(x, w)]
        yield "percent_rank", [w], [talib.PERCENTRANK(x, w)]
        yield "argmax", [w], [bars_since(talib.MAXINDEX(x, w), w)]
        yield "argmin", [w], [bars_since(talib.MININDEX(x, w), w)]
        yield "cmf", [w], [talib.CMF(h, l, x, v, w)]
        yield "natr", [w], [talib.NATR(h, l, x, w)]
        yield "dx", [w], [talib.DX(h, l, x, w)]
        yield "adxr", [w], [talib.ADXR(h, l, x, w)]
    yield "percent_rank", [1500], [talib.PERCENTRANK(x, 1500)]
    yield "ad", [], [talib.AD(h, l, x, v)]
    for f, s in ((3, 10), (2, 5), (20, 6)):
        yield "adosc", [f, s], [talib.ADOSC(h, l, x, v, f, s)]
    yield "avwap", [0], [talib.VWAP(h, l, x, v)]
    for left, right in ((2, 2), (1, 1), (5, 3), (1, 40)):
        yield "fractal", [left, right], [known(m, left + right) for m in talib.FRACTAL(h, l, left, right)]
    opened, high, low, close = talib.HA(o, h, l, x)
    yield "heikin_ashi", [], [close, opened, high, low]
    for p in (
        (0.0, 0.0, 0.02, 0.02, 0.2, 0.02, 0.02, 0.2),
        (0.0, 0.01, 0.03, 0.01, 0.1, 0.05, 0.02, 0.3),
        (90.0, 0.0, 0.3, 0.3, 0.2, 0.02, 0.0, 0.2),
        (-1010.0, 0.002, 0.0, 0.02, 0.2, 0.02, 0.02, 0.2),
    ):
        yield "sarext", list(p), [talib.SAREXT(h, l, *p)]
