"""The candles that TA-Lib and the engine are compared on.

Whole cents from a linear congruential generator, so that engine/tests/talib/series.rs makes the same doubles.
"""

import numpy as np

MASK = (1 << 64) - 1


class Lcg:
    """Knuth's MMIX generator; `below` takes the high bits."""

    def __init__(self, seed):
        self.state = seed

    def below(self, bound):
        self.state = (self.state * 6364136223846793005 + 1442695040888963407) & MASK
        return (self.state >> 33) % bound


def walk(seed, bars, price, drift, still=False, jump=None):
    """Columns in cents: moves of up to 2.5, wicks of up to 0.6, volumes of up to 1,000."""
    rng = Lcg(seed)
    rows = []
    for i in range(bars):
        if still and i % 67 in (40, 41, 42):  # no trade: one price, no volume
            rows.append((price, price, price, price, 0))
            continue
        if jump is not None and i == jump[0]:
            price += jump[1]
        opened = max(500, price + rng.below(41) - 20)
        move = drift + rng.below(501) - 250
        if not (still and i % 23 == 7):  # otherwise the close before: an equal close
            price = max(500, price + move)
        high = max(opened, price) + rng.below(61)
        low = min(opened, price) - rng.below(61)
        rows.append((opened, high, low, price, 1 + rng.below(100_000)))
    return rows


# The alphabet of `shapes`, in steps of a quarter: where a candle opens against the close before, its body, a shadow.
GAPS = (0, 0, 0, 0, 1, -1, 2, -2, 9, -9)
BODIES = (0, 0, 1, -1, 2, -2, 3, -3, 8, -8, 8, -8, 14, -14)
SHADOWS = (0, 0, 0, 0, 1, 2, 8, 16)


# Seeds among the first 125,000 with which every candle pattern occurs at least three times, with each of its signs.
SEEDS = (
    1, 542, 3913, 4344, 5498, 7432, 13572, 16477, 22375, 23274, 29335, 29540, 32189, 38843, 43132, 43611, 52981, 53416,
    62904, 67596, 67603, 74590, 81152, 83343, 94905, 97833, 100424, 105632, 106289, 111147, 118198, 122177, 124432,
)


def shapes():
    """Columns in cents, 48 bars a seed: few sizes, so that candles are often equal and rare patterns occur."""
    rows = []
    for seed in SEEDS:
        rng = Lcg(seed)
        price = 4_000
        for _ in range(48):
            opened = price + GAPS[rng.below(len(GAPS))]
            price = opened + BODIES[rng.below(len(BODIES))]
            high = max(opened, price) + SHADOWS[rng.below(len(SHADOWS))]
            low = min(opened, price) - SHADOWS[rng.below(len(SHADOWS))]
            rows.append((25 * opened, 25 * high, 25 * low, 25 * price, 100))
    return rows


def columns(rows):
    whole = np.array(rows, dtype=np.int64).T
    return dict(zip(("open", "high", "low", "close", "volume"), whole / 100.0))


# name -> bars
SERIES = {
    # A walk with flat bars, equal closes and bars without volume.
    "mixed": lambda: walk(20240229, 300, 10_000, 0, still=True),
    "trend": lambda: walk(7, 300, 10_000, 60),
    "flat": lambda: [(33_333, 33_333, 33_333, 33_333, 370)] * 200,
    # The price jumps by a million.
    "jump": lambda: walk(11, 300, 10_000, 0, jump=(150, 100_000_000)),
    "three": lambda: walk(5, 3, 10_000, 0),
    "long": lambda: walk(13, 1_000_100, 100_000, 0),
}
