"""The indicators of the first version."""

import numpy as np
import talib


def cases(c):
    o, h, l, x, v = (c[k] for k in ("open", "high", "low", "close", "volume"))
    for w in (1, 2, 5, 14, 50, 301):
        yield "sma", [w], [talib.SMA(x, w)] if w > 1 else [x]
        yield "highest", [w], [talib.MAX(x, w)] if w > 1 else [x]
        yield "lowest", [w], [talib.MIN(x, w)] if w > 1 else [x]
    for w in (2, 5, 20, 120):
        yield "ema", [w], [talib.EMA(x, w)]
        yield "wma", [w], [talib.WMA(x, w)]
        yield "rma", [w], [talib.RMA(x, w)]
        yield "sum", [w], [talib.SUM(x, w)]
        yield "roc", [w], [talib.ROC(x, w)]
        yield "mom", [w], [talib.MOM(x, w)]
        yield "atr", [w], [talib.ATR(h, l, x, w)]
        yield "plus_di", [w], [talib.PLUS_DI(h, l, x, w)]
        yield "minus_di", [w], [talib.MINUS_DI(h, l, x, w)]
    for w in (3, 14, 60):
        yield "rsi", [w], [talib.RSI(x, w)]
        yield "stddev", [w], [talib.STDDEV(x, w)]
        yield "cci", [w], [talib.CCI(h, l, x, w)]
        yield "adx", [w], [talib.ADX(h, l, x, w)]
    for w in (5, 14, 60):
        yield "mfi", [w], [talib.MFI(h, l, x, v, w)]
    for w, k in ((5, 2.0), (20, 2.5)):
        upper, middle, lower = talib.BBANDS(x, w, k, k)
        yield "bbands", [w, k], [middle, upper, lower]
    for f, s, g in ((12, 26, 9), (3, 10, 16), (5, 34, 1)):
        yield "macd", [f, s, g], list(talib.MACD(x, f, s, g))
    for k, s, d in ((14, 3, 3), (5, 1, 3), (8, 5, 1)):
        yield "stoch", [k, s, d], list(talib.STOCH(h, l, x, k, s, 0, d, 0))
    yield "tr", [], [talib.TRANGE(h, l, x)]
    for w in (5, 20):
        upper, middle, lower = talib.DONCHIAN(h, l, w)
        yield "donchian", [w], [middle, upper, lower]
    for w, a, m in ((20, 10, 2.0), (5, 14, 1.5)):
        upper, middle, lower = talib.KC(h, l, x, w, a, m)
        yield "keltner", [w, a, m], [middle, upper, lower]
    yield "obv", [], [talib.OBV(x, v)]
    for a, m in ((0.02, 0.2), (0.05, 0.1), (0.3, 0.2)):
        yield "sar", [a, m], [talib.SAR(h, l, a, m)]
    for w, m in ((10, 3.0), (7, 1.0)):
        line, trend = talib.SUPERTREND(h, l, x, w, m)
        yield "supertrend", [w, m], [line, np.where(np.isfinite(line), trend.astype(float), np.nan)]
