"""What TA-Lib calls our indicators: name -> (parameters of ours, call). A call gives the outputs in our order."""

import talib



def close(function, *more):
    return lambda c, *p: [function(c["close"], *p, *more)]


def range_(function, *more):
    return lambda c, *p: [function(c["high"], c["low"], *p, *more)]


def candle(function, *more):
    return lambda c, *p: [function(c["high"], c["low"], c["close"], *p, *more)]


def ohlc(function):
    return lambda c, *p: [function(c["open"], c["high"], c["low"], c["close"], *p)]


def flow(function):
    return lambda c, *p: [function(c["high"], c["low"], c["close"], c["volume"], *p)]


def pair(function):
    return lambda c, *p: [function(c["high"], c["low"], *p)]


def lines(upper_middle_lower):
    upper, middle, lower = upper_middle_lower
    return [middle, upper, lower]


def name(function):
    """The function, if this TA-Lib has it."""
    return getattr(talib, function, None)


CALLS = {
    "sma": ([20], close(talib.SMA)),
    "ema": ([20], close(talib.EMA)),
    "wma": ([20], close(talib.WMA)),
    "rma": ([14], close(name("RMA"))),
    "dema": ([20], close(talib.DEMA)),
    "tema": ([20], close(talib.TEMA)),
    "trima": ([20], close(talib.TRIMA)),
    "kama": ([20], close(talib.KAMA)),
    "t3": ([20], close(talib.T3)),
    "mama": ([0.5, 0.05], lambda c, *p: list(talib.MAMA(c["close"], *p))),
    "vwma": ([20], lambda c, w: [talib.VWMA(c["close"], c["volume"], w)]),
    "hma": ([20], close(name("HMA"))),
    "zlema": ([20], close(name("ZLEMA"))),
    "midpoint": ([14], close(talib.MIDPOINT)),
    "midprice": ([14], range_(talib.MIDPRICE)),
    "rsi": ([14], close(talib.RSI)),
    "cmo": ([14], close(talib.CMO)),
    "trix": ([15], close(talib.TRIX)),
    "macd": ([12, 26, 9], lambda c, *p: list(talib.MACD(c["close"], *p))),
    "apo": ([12, 26], close(talib.APO)),
    "ppo": ([12, 26], close(talib.PPO)),
    "tsi": ([25, 13], close(name("TSI"))),
    "coppock": ([10, 14, 11], close(name("COPPOCK"))),
    "roc": ([10], close(talib.ROC)),
    "rocp": ([10], close(talib.ROCP)),
    "rocr": ([10], close(talib.ROCR)),
    "mom": ([10], close(talib.MOM)),
    "willr": ([14], candle(talib.WILLR)),
    "ultosc": ([7, 14, 28], candle(talib.ULTOSC)),
    "bop": ([], ohlc(talib.BOP)),
    "aroonosc": ([14], range_(talib.AROONOSC)),
    "stoch": ([14, 3, 3], lambda c, k, s, d: list(talib.STOCH(c["high"], c["low"], c["close"], k, s, 0, d, 0))),
    "stochf": ([14, 3], lambda c, k, d: list(talib.STOCHF(c["high"], c["low"], c["close"], k, d, 0))),
    "stochrsi": ([14, 5, 3], lambda c, *p: list(talib.STOCHRSI(c["close"], *p, 0))),
    "cci": ([20], candle(talib.CCI)),
    "stddev": ([20], close(talib.STDDEV)),
    "var": ([20], close(talib.VAR)),
    "avgdev": ([20], close(name("AVGDEV"))),
    "tr": ([], candle(talib.TRANGE)),
    "atr": ([14], candle(talib.ATR)),
    "natr": ([14], candle(talib.NATR)),
    "bbands": ([20, 2.0], lambda c, w, k: lines(talib.BBANDS(c["close"], w, k, k))),
    "keltner": ([20, 10, 2.0], lambda c, *p: lines(talib.KC(c["high"], c["low"], c["close"], *p))),
    "donchian": ([20], lambda c, w: lines(talib.DONCHIAN(c["high"], c["low"], w))),
    "highest": ([20], close(talib.MAX)),
    "lowest": ([20], close(talib.MIN)),
    "sum": ([20], close(talib.SUM)),
    "linreg": ([14], close(talib.LINEARREG)),
    "linreg_slope": ([14], close(talib.LINEARREG_SLOPE)),
    "linreg_angle": ([14], close(talib.LINEARREG_ANGLE)),
    "linreg_intercept": ([14], close(talib.LINEARREG_INTERCEPT)),
    "tsf": ([14], close(talib.TSF)),
    "correl": ([20], pair(talib.CORREL)),
    "beta": ([20], pair(talib.BETA)),
    "obv": ([], lambda c: [talib.OBV(c["close"], c["volume"])]),
    "ad": ([], flow(talib.AD)),
    "adosc": ([3, 10], flow(talib.ADOSC)),
    "mfi": ([14], flow(talib.MFI)),
    "cmf": ([20], flow(name("CMF"))),
    "rvol": ([20], lambda c, w: [talib.RVOL(c["volume"], w)]),
    "percent_rank": ([14], close(name("PERCENTRANK"))),
    "vortex": ([14], lambda c, w: list(talib.VORTEX(c["high"], c["low"], c["close"], w))),
    "adx": ([14], candle(talib.ADX)),
    "adxr": ([14], candle(talib.ADXR)),
    "dx": ([14], candle(talib.DX)),
    "plus_di": ([14], candle(talib.PLUS_DI)),
    "minus_di": ([14], candle(talib.MINUS_DI)),
    "plus_dm": ([14], range_(talib.PLUS_DM)),
    "minus_dm": ([14], range_(talib.MINUS_DM)),
    "sar": ([0.02, 0.2], range_(talib.SAR)),
    "supertrend": (
        [10, 3.0],
        lambda c, *p: list(talib.SUPERTREND(c["high"], c["low"], c["close"], *p)),
    ),
}

# How far values may be from TA-Lib's, as a share of the largest, where 1e-11 is not enough: its sums round.
WITHIN = {"linreg_slope": 1e-9, "linreg_angle": 1e-7}

# Families: the expression of a window, and its TA-Lib call.
FAMILIES = {
    # One subtraction: what a column costs by itself.
    "mom": ("mom(close,{})", close(talib.MOM)),
    "sma": ("sma(close,{})", close(talib.SMA)),
    "ema": ("ema(close,{})", close(talib.EMA)),
    "rma": ("rma(close,{})", close(name("RMA"))),
    "wma": ("wma(close,{})", close(talib.WMA)),
    "rsi": ("rsi(close,{})", close(talib.RSI)),
    "atr": ("atr({})", candle(talib.ATR)),
    "stddev": ("stddev(close,{})", close(talib.STDDEV)),
    "highest": ("highest(close,{})", close(talib.MAX)),
}
