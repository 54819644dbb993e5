"""Moving averages beside those of the first version, and what is made of averages."""

import talib

# The words of the parameter `type`, and TA-Lib's numbers for them.
KINDS = {
    "sma": 0, "ema": 1, "wma": 2, "dema": 3, "tema": 4, "trima": 5, "kama": 6, "t3": 8, "hma": 9, "zlema": 12, "rma": 13,
}


def cases(c):
    h, l, x, v = (c[k] for k in ("high", "low", "close", "volume"))
    windows = (3, 61) if len(x) > 1000 else (1, 2, 3, 9, 20, 61)
    for w in windows:
        yield "dema", [w], [talib.DEMA(x, w)]
        yield "tema", [w], [talib.TEMA(x, w)]
        yield "trima", [w], [talib.TRIMA(x, w)]
        yield "kama", [w], [talib.KAMA(x, w)]
        yield "hma", [w], [talib.HMA(x, w)]
        yield "zlema", [w], [talib.ZLEMA(x, w)]
        # Of a window without volume TA-Lib gives the rounding of its running sums.
        if w > 3 or (v > 0.0).all():
            yield "vwma", [w], [talib.VWMA(x, v, w)]
        if w > 1:
            yield "midpoint", [w], [talib.MIDPOINT(x, w)]
            yield "midprice", [w], [talib.MIDPRICE(h, l, w)]
    for w, f in ((1, 0.7), (2, 0.7), (5, 0.7), (14, 0.0), (14, 1.0), (40, 0.35)):
        yield "t3", [w, f], [talib.T3(x, w, f)]
    for f, s in ((0.5, 0.05), (0.8, 0.2), (0.1, 0.1), (0.05, 0.3)):
        yield "mama", [f, s], list(talib.MAMA(x, f, s))
    yield "ma", [20], [talib.MA(x, 20)]
    for f, s in ((12, 26), (2, 20)):
        yield "apo", [f, s], [talib.APO(x, f, s)]
        yield "ppo", [f, s], [talib.PPO(x, f, s)]
    yield "macdext", [], list(talib.MACDEXT(x, 12, 0, 26, 0, 9, 0))
    yield "macdext", [12, "ema", 26, "ema", 9, "ema"], list(talib.MACD(x, 12, 26, 9))
    if len(x) > 1000:
        return
    for word, number in KINDS.items():
        for w in (1, 30):
            yield "ma", [w, word], [talib.MA(x, w, number)]
        yield "apo", [5, 12, word], [talib.APO(x, 5, 12, number)]
        yield "ppo", [2, 20, word], [talib.PPO(x, 2, 20, number)]
        yield "macdext", [6, word, 13, word, 4, word], list(talib.MACDEXT(x, 6, number, 13, number, 4, number))
    for f, s, g in (("sma", "ema", "wma"), ("kama", "rma", "t3"), ("ema", "dema", "sma"), ("tema", "hma", "zlema")):
        outputs = talib.MACDEXT(x, 8, KINDS[f], 17, KINDS[s], 5, KINDS[g])
        yield "macdext", [8, f, 17, s, 5, g], list(outputs)
