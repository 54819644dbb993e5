"""Momentum, and oscillators over averages."""

import talib

from cases_averages import KINDS


def cases(c):
    o, h, l, x = (c[k] for k in ("open", "high", "low", "close"))
    # Where a window of three bars has no range, ours is the middle.
    ranged = (h > l).all()
    for w in (1, 2, 10, 45):
        yield "rocp", [w], [talib.ROCP(x, w)]
        yield "rocr", [w], [talib.ROCR(x, w)]
        yield "trix", [w], [talib.TRIX(x, w)]
    for w in (2, 3, 14, 60):
        yield "cmo", [w], [talib.CMO(x, w)]
        # Chande's momentum oscillator of plain sums is Cutler's RSI from -100 to 100.
        yield "rsi_cutler", [w], [(talib.CMOU(x, w) + 100.0) / 2.0]
        if w > 3 or ranged:
            yield "willr", [w], [talib.WILLR(h, l, x, w)]
        down, up = talib.AROON(h, l, w)
        yield "aroon", [w], [up, down]
        yield "aroonosc", [w], [talib.AROONOSC(h, l, w)]
    for a, b, d in ((7, 14, 28), (28, 7, 14), (4, 4, 5), (20, 61, 6), (1, 2, 3)):
        if min(a, b, d) > 3 or ranged:
            yield "ultosc", [a, b, d], [talib.ULTOSC(h, l, x, a, b, d)]
    yield "bop", [], [talib.BOP(o, h, l, x)]
    for a, b in ((25, 13), (2, 2), (5, 40)):
        yield "tsi", [a, b], [talib.TSI(x, a, b)]
    for w, a, b in ((10, 11, 14), (3, 20, 6), (1, 1, 1)):
        yield "coppock", [w, a, b], [talib.COPPOCK(x, w, a, b)]
    for k, d in ((5, 3), (14, 1), (30, 10)):
        yield "stochf", [k, d], list(talib.STOCHF(h, l, x, k, d, 0))
    for w, k, d in ((14, 5, 3), (5, 20, 1), (21, 14, 5)):
        yield "stochrsi", [w, k, d], list(talib.STOCHRSI(x, w, k, d, 0))
    yield "kdj", [], list(talib.KDJ(h, l, x))
    if len(x) > 1000:
        return
    for word, number in KINDS.items():
        yield "stochf", [5, 3, word], list(talib.STOCHF(h, l, x, 5, 3, number))
        # TA-Lib's k of a new high is 100 but for its rounding, which a kama takes for moves.
        if word != "kama":
            yield "stochrsi", [14, 5, 3, word], list(talib.STOCHRSI(x, 14, 5, 3, number))
        yield "kdj", [9, 3, word, 4, word], list(talib.KDJ(h, l, x, 9, 3, number, 4, number))
    for w, k, kt, d, dt in ((14, 3, "sma", 3, "ema"), (21, 5, "kama", 1, "sma")):
        yield "kdj", [w, k, kt, d, dt], list(talib.KDJ(h, l, x, w, k, KINDS[kt], d, KINDS[dt]))
