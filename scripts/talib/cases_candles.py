"""The candle patterns, also on candles in which each of them occurs.

TA-Lib is asked in whole cents. A pattern does not depend on the unit, and in cents TA-Lib's running sums have no
rounding: in dollars it decides ties (a body equal to the mean body) by what the rounding has left, and contradicts itself.
"""

import numpy as np
from talib import abstract

from series import shapes

# Candles of this group alone.
SERIES = {"shapes": shapes}
# Bars at the end of a long series that are compared.
MOST = 2_000

PATTERNS = {
    "cdl_doji": "CDLDOJI",
    "cdl_dragonfly_doji": "CDLDRAGONFLYDOJI",
    "cdl_gravestone_doji": "CDLGRAVESTONEDOJI",
    "cdl_long_legged_doji": "CDLLONGLEGGEDDOJI",
    "cdl_rickshaw_man": "CDLRICKSHAWMAN",
    "cdl_takuri": "CDLTAKURI",
    "cdl_spinning_top": "CDLSPINNINGTOP",
    "cdl_high_wave": "CDLHIGHWAVE",
    "cdl_short_line": "CDLSHORTLINE",
    "cdl_long_line": "CDLLONGLINE",
    "cdl_marubozu": "CDLMARUBOZU",
    "cdl_closing_marubozu": "CDLCLOSINGMARUBOZU",
    "cdl_belt_hold": "CDLBELTHOLD",
    "cdl_engulfing": "CDLENGULFING",
    "cdl_harami": "CDLHARAMI",
    "cdl_harami_cross": "CDLHARAMICROSS",
    "cdl_homing_pigeon": "CDLHOMINGPIGEON",
    "cdl_matching_low": "CDLMATCHINGLOW",
    "cdl_counterattack": "CDLCOUNTERATTACK",
    "cdl_separating_lines": "CDLSEPARATINGLINES",
    "cdl_doji_star": "CDLDOJISTAR",
    "cdl_hammer": "CDLHAMMER",
    "cdl_hanging_man": "CDLHANGINGMAN",
    "cdl_inverted_hammer": "CDLINVERTEDHAMMER",
    "cdl_shooting_star": "CDLSHOOTINGSTAR",
    "cdl_kicking": "CDLKICKING",
    "cdl_kicking_by_length": "CDLKICKINGBYLENGTH",
    "cdl_dark_cloud_cover": "CDLDARKCLOUDCOVER",
    "cdl_piercing": "CDLPIERCING",
    "cdl_thrusting": "CDLTHRUSTING",
    "cdl_in_neck": "CDLINNECK",
    "cdl_on_neck": "CDLONNECK",
    "cdl_morning_star": "CDLMORNINGSTAR",
    "cdl_morning_doji_star": "CDLMORNINGDOJISTAR",
    "cdl_evening_star": "CDLEVENINGSTAR",
    "cdl_evening_doji_star": "CDLEVENINGDOJISTAR",
    "cdl_abandoned_baby": "CDLABANDONEDBABY",
    "cdl_tristar": "CDLTRISTAR",
    "cdl_two_crows": "CDL2CROWS",
    "cdl_upside_gap_two_crows": "CDLUPSIDEGAP2CROWS",
    "cdl_three_inside": "CDL3INSIDE",
    "cdl_three_outside": "CDL3OUTSIDE",
    "cdl_three_stars_in_south": "CDL3STARSINSOUTH",
    "cdl_three_white_soldiers": "CDL3WHITESOLDIERS",
    "cdl_advance_block": "CDLADVANCEBLOCK",
    "cdl_stalled_pattern": "CDLSTALLEDPATTERN",
    "cdl_identical_three_crows": "CDLIDENTICAL3CROWS",
    "cdl_unique_three_river": "CDLUNIQUE3RIVER",
    "cdl_stick_sandwich": "CDLSTICKSANDWICH",
    "cdl_gap_side_side_white": "CDLGAPSIDESIDEWHITE",
    "cdl_tasuki_gap": "CDLTASUKIGAP",
    "cdl_x_side_gap_three_methods": "CDLXSIDEGAP3METHODS",
    "cdl_three_black_crows": "CDL3BLACKCROWS",
    "cdl_three_line_strike": "CDL3LINESTRIKE",
    "cdl_concealing_baby_swallow": "CDLCONCEALBABYSWALL",
    "cdl_ladder_bottom": "CDLLADDERBOTTOM",
    "cdl_breakaway": "CDLBREAKAWAY",
    "cdl_mat_hold": "CDLMATHOLD",
    "cdl_rise_fall_three_methods": "CDLRISEFALL3METHODS",
    "cdl_hikkake": "CDLHIKKAKE",
    "cdl_hikkake_mod": "CDLHIKKAKEMOD",
}


def cases(c):
    cents = {name: np.rint(100 * column) for name, column in c.items()}
    for name, talib_name in PATTERNS.items():
        pattern = abstract.Function(talib_name)
        default = pattern.parameters.get("penetration")
        for params in [[]] if default is None else ([default], [0.0], [0.75]):
            values = pattern(cents, *params)
            yield name, params, [events(values, pattern.lookback)]


def events(values, lookback):
    """The values but zeros: each with its indices from `from` on."""
    first = min(lookback, len(values))
    start = max(first, len(values) - MOST)
    at = [[int(value), np.flatnonzero(values == value)] for value in np.unique(values) if value != 0]
    return {"first": first, "from": start, "events": [[value, [int(i) for i in a if i >= start]] for value, a in at]}
