//! Patterns of three candles, but for the stars.

use super::shape::{Bar, EQUAL, FAR, LONG_SHADOW, NEAR, SHORT_SHADOW, TINY_SHADOW};
use super::{PATTERN, against, as_coloured, bearish, bullish, scan};
use crate::indicators::Indicator;

/// Two crows.
pub(super) static TWO_CROWS: Indicator = Indicator {
    name: "cdl_two_crows",
    summary: "Two crows, -100: after a long white candle a black one above it, and a second one that closes the gap.",
    formula: "1st long and white; 2nd black, gaps above the 1st; 3rd black, opens in the body of the 2nd, closes in that of \
              the 1st",
    source: "TA-Lib CDL2CROWS.",
    lookback: |_| 12,
    compute: |source, _| {
        scan(&TWO_CROWS, source, |[first, second, third]| {
            bearish(
                first.is_white()
                    && second.is_black()
                    && third.is_black()
                    && second.gaps_above(&first)
                    && second.body_holds(third.open)
                    && first.body_holds(third.close)
                    && first.is_long(),
            )
        })
    },
    ..PATTERN
};

/// Upside gap two crows.
pub(super) static UPSIDE_GAP_TWO_CROWS: Indicator = Indicator {
    name: "cdl_upside_gap_two_crows",
    summary: "Upside gap two crows, -100: two black candles above a long white one, the second engulfing the first.",
    formula: "1st long and white; 2nd black, not long, gaps above the 1st; 3rd black, opens above and closes below the body of \
              the 2nd, closes above the close of the 1st",
    source: "TA-Lib CDLUPSIDEGAP2CROWS.",
    lookback: |_| 12,
    compute: |source, _| {
        scan(&UPSIDE_GAP_TWO_CROWS, source, |[first, second, third]| {
            bearish(
                first.is_white()
                    && second.is_black()
                    && third.is_black()
                    && second.gaps_above(&first)
                    && third.open > second.open
                    && third.close < second.close
                    && third.close > first.close
                    && first.is_long()
                    && !second.is_long(),
            )
        })
    },
    ..PATTERN
};

/// Three inside up or down.
pub(super) static THREE_INSIDE: Indicator = Indicator {
    name: "cdl_three_inside",
    summary: "Three inside, 100 up, -100 down: a harami, and a candle that closes beyond its first.",
    formula: "1st long; 2nd not long, its body inside that of the 1st; 3rd not the colour of the 1st, closes beyond its open",
    source: "TA-Lib CDL3INSIDE.",
    lookback: |_| 12,
    compute: |source, _| {
        scan(&THREE_INSIDE, source, |[first, second, third]| {
            let beyond = if first.is_white() { third.close < first.open } else { third.close > first.open };
            let found = beyond
                && first.is_white() != third.is_white()
                && first.body_holds(second.top())
                && first.body_holds(second.bottom())
                && first.is_long()
                && !second.is_long();
            against(found, &first)
        })
    },
    ..PATTERN
};

/// Three outside up or down.
pub(super) static THREE_OUTSIDE: Indicator = Indicator {
    name: "cdl_three_outside",
    summary: "Three outside, 100 up, -100 down: an engulfing pattern, and a candle that closes further on.",
    formula: "2nd not the colour of the 1st, opens and closes beyond its body; 3rd closes beyond the 2nd, above a white one, \
              below a black one",
    source: "TA-Lib CDL3OUTSIDE.",
    lookback: |_| 3,
    compute: |source, _| {
        scan(&THREE_OUTSIDE, source, |[first, second, third]| {
            let further =
                if second.is_white() { third.close > second.close } else { third.close < second.close };
            let found = further
                && first.is_white() != second.is_white()
                && second.body_holds(first.top())
                && second.body_holds(first.bottom());
            as_coloured(found, &second)
        })
    },
    ..PATTERN
};

/// Three stars in the south.
pub(super) static THREE_STARS_IN_SOUTH: Indicator = Indicator {
    name: "cdl_three_stars_in_south",
    summary: "Three stars in the south, 100: three black candles that fall less and less.",
    formula: "all black; 1st long, lower shadow long; 2nd with a smaller body, opens above the close and not above the high of \
              the 1st, its low below the close and not below the low of the 1st, lower shadow above tiny; 3rd short, both \
              shadows tiny, its range inside that of the 2nd",
    source: "TA-Lib CDL3STARSINSOUTH.",
    lookback: |_| 12,
    compute: |source, _| {
        scan(&THREE_STARS_IN_SOUTH, source, |[first, second, third]| {
            bullish(
                first.is_black()
                    && second.is_black()
                    && third.is_black()
                    && first.lower_exceeds(LONG_SHADOW)
                    && first.above(first.body(), second.body())
                    && second.open > first.close
                    && second.open <= first.high
                    && second.low < first.close
                    && second.low >= first.low
                    && third.low > second.low
                    && third.high < second.high
                    && first.is_long()
                    && second.lower_exceeds(TINY_SHADOW)
                    && third.is_short()
                    && third.has_shaven_head()
                    && third.has_shaven_bottom(),
            )
        })
    },
    ..PATTERN
};

/// Three advancing white soldiers.
pub(super) static THREE_WHITE_SOLDIERS: Indicator = Indicator {
    name: "cdl_three_white_soldiers",
    summary: "Three white soldiers, 100: three white candles that close higher and higher, each at its high.",
    formula: "all white, upper shadows tiny; each closes above the one before, opens above its open and at most near above its \
              close, its body not far shorter; 3rd not short",
    source: "TA-Lib CDL3WHITESOLDIERS. There the 3rd body must be above the mean, so one equal to it is short.",
    lookback: |_| 12,
    compute: |source, _| {
        scan(&THREE_WHITE_SOLDIERS, source, |[first, second, third]| {
            let follows = |before: &Bar<'_>, bar: &Bar<'_>| {
                opens_in_or_near(before, bar) && before.above(bar.body(), before.body() - before.size(FAR))
            };
            bullish(
                climb(&first, &second, &third)
                    && follows(&first, &second)
                    && follows(&second, &third)
                    && first.has_shaven_head()
                    && second.has_shaven_head()
                    && third.has_shaven_head()
                    && third.is_long(),
            )
        })
    },
    ..PATTERN
};

/// Advance block.
pub(super) static ADVANCE_BLOCK: Indicator = Indicator {
    name: "cdl_advance_block",
    summary: "Advance block, -100: three white candles that close higher, ever more weakly.",
    formula: "all white, each closes above the one before, opens above its open and at most near above its close; 1st long, \
              upper shadow short; and one of: 2nd far shorter than the 1st and 3rd at most near longer than the 2nd; 3rd far \
              shorter than the 2nd; bodies ever shorter, 2nd or 3rd upper shadow not short; 3rd shorter than the 2nd, its upper \
              shadow long",
    source: "TA-Lib CDLADVANCEBLOCK.",
    lookback: |_| 12,
    compute: |source, _| {
        scan(&ADVANCE_BLOCK, source, |[first, second, third]| {
            if !(climb(&first, &second, &third)
                && opens_in_or_near(&first, &second)
                && opens_in_or_near(&second, &third)
                && first.is_long()
                && first.upper_below(SHORT_SHADOW))
            {
                return 0.0;
            }
            let far_shorter =
                |before: &Bar<'_>, bar: &Bar<'_>| before.above(before.body() - before.size(FAR), bar.body());
            let shorter = |before: &Bar<'_>, bar: &Bar<'_>| before.above(before.body(), bar.body());
            let hardly_longer = second.above(second.body() + second.size(NEAR), third.body());
            let shadows = second.upper_exceeds(SHORT_SHADOW) || third.upper_exceeds(SHORT_SHADOW);
            bearish(
                (far_shorter(&first, &second) && hardly_longer)
                    || far_shorter(&second, &third)
                    || (shorter(&first, &second) && shorter(&second, &third) && shadows)
                    || (shorter(&second, &third) && third.upper_exceeds(LONG_SHADOW)),
            )
        })
    },
    ..PATTERN
};

/// Stalled pattern.
pub(super) static STALLED_PATTERN: Indicator = Indicator {
    name: "cdl_stalled_pattern",
    summary: "Stalled pattern, -100: two long white candles, and a short one on the shoulder of the second.",
    formula: "all white, each closes above the one before; 1st long; 2nd long, upper shadow tiny, opens above the open of the \
              1st and at most near above its close; 3rd short, opens at least near the close of the 2nd less its own body",
    source: "TA-Lib CDLSTALLEDPATTERN.",
    lookback: |_| 12,
    compute: |source, _| {
        scan(&STALLED_PATTERN, source, |[first, second, third]| {
            bearish(
                climb(&first, &second, &third)
                    && opens_in_or_near(&first, &second)
                    && !second.above(second.close - third.body() - second.size(NEAR), third.open)
                    && first.is_long()
                    && second.is_long()
                    && second.has_shaven_head()
                    && third.is_short(),
            )
        })
    },
    ..PATTERN
};

/// Three white candles, each closing above the one before.
fn climb(first: &Bar<'_>, second: &Bar<'_>, third: &Bar<'_>) -> bool {
    first.is_white()
        && second.is_white()
        && third.is_white()
        && third.close > second.close
        && second.close > first.close
}

/// Whether a candle opens above the open of the white one before, and at most near above its close.
fn opens_in_or_near(before: &Bar<'_>, bar: &Bar<'_>) -> bool {
    bar.open > before.open && !before.above(bar.open, before.close + before.size(NEAR))
}

/// Identical three crows.
pub(super) static IDENTICAL_THREE_CROWS: Indicator = Indicator {
    name: "cdl_identical_three_crows",
    summary: "Identical three crows, -100: three black candles, each opening where the one before closed.",
    formula: "all black, lower shadows tiny; each closes below the one before and opens equal to its close",
    source: "TA-Lib CDLIDENTICAL3CROWS.",
    lookback: |_| 12,
    compute: |source, _| {
        scan(&IDENTICAL_THREE_CROWS, source, |[first, second, third]| {
            let follows = |before: &Bar<'_>, bar: &Bar<'_>| {
                bar.close < before.close && before.within(EQUAL, before.close, bar.open)
            };
            bearish(
                first.is_black()
                    && second.is_black()
                    && third.is_black()
                    && follows(&first, &second)
                    && follows(&second, &third)
                    && first.has_shaven_bottom()
                    && second.has_shaven_bottom()
                    && third.has_shaven_bottom(),
            )
        })
    },
    ..PATTERN
};

/// Unique three river.
pub(super) static UNIQUE_THREE_RIVER: Indicator = Indicator {
    name: "cdl_unique_three_river",
    summary: "Unique three river, 100: a long black candle, a black one with a new low, and a small white one.",
    formula: "1st long and black; 2nd black, closes above the close and opens not above the open of the 1st, its low below that \
              of the 1st; 3rd white and short, opens above the low of the 2nd",
    source: "TA-Lib CDLUNIQUE3RIVER.",
    lookback: |_| 12,
    compute: |source, _| {
        scan(&UNIQUE_THREE_RIVER, source, |[first, second, third]| {
            bullish(
                first.is_black()
                    && second.is_black()
                    && third.is_white()
                    && second.close > first.close
                    && second.open <= first.open
                    && second.low < first.low
                    && third.open > second.low
                    && first.is_long()
                    && third.is_short(),
            )
        })
    },
    ..PATTERN
};

/// Stick sandwich.
pub(super) static STICK_SANDWICH: Indicator = Indicator {
    name: "cdl_stick_sandwich",
    summary: "Stick sandwich, 100: a white candle between two black ones that close at the same price.",
    formula: "1st black; 2nd white, its low above the close of the 1st; 3rd black, closes equal to the 1st",
    source: "TA-Lib CDLSTICKSANDWICH.",
    lookback: |_| 7,
    compute: |source, _| {
        scan(&STICK_SANDWICH, source, |[first, second, third]| {
            bullish(
                first.is_black()
                    && second.is_white()
                    && third.is_black()
                    && second.low > first.close
                    && first.within(EQUAL, first.close, third.close),
            )
        })
    },
    ..PATTERN
};

/// Up or down-gap side-by-side white lines.
pub(super) static GAP_SIDE_SIDE_WHITE: Indicator = Indicator {
    name: "cdl_gap_side_side_white",
    summary: "Side-by-side white lines, 100 above the candle before, -100 below it: two alike, both beyond the gap.",
    formula: "2nd and 3rd gap above the 1st, or both below; both white, bodies near in length, opens equal",
    source: "TA-Lib CDLGAPSIDESIDEWHITE.",
    lookback: |_| 7,
    compute: |source, _| {
        scan(&GAP_SIDE_SIDE_WHITE, source, |[first, second, third]| {
            let up = second.gaps_above(&first) && third.gaps_above(&first);
            let down = second.gaps_below(&first) && third.gaps_below(&first);
            let found = (up || down)
                && second.is_white()
                && third.is_white()
                && second.within(NEAR, second.body(), third.body())
                && second.within(EQUAL, second.open, third.open);
            if up { bullish(found) } else { bearish(found) }
        })
    },
    ..PATTERN
};

/// Tasuki gap.
pub(super) static TASUKI_GAP: Indicator = Indicator {
    name: "cdl_tasuki_gap",
    summary: "Tasuki gap, 100 upward, -100 downward: a gap, and an opposite candle of like length that does not close it.",
    formula: "2nd white and gaps above the 1st, or black and gaps below it; 3rd of the other colour, opens in the body of the \
              2nd, closes beyond its open and short of the 1st; the two bodies near in length, but not by just that",
    source: "TA-Lib CDLTASUKIGAP.",
    lookback: |_| 7,
    compute: |source, _| {
        scan(&TASUKI_GAP, source, |[first, second, third]| {
            let in_gap = if second.is_white() {
                second.gaps_above(&first) && third.close < second.open && third.close > first.top()
            } else {
                second.gaps_below(&first) && third.close > second.open && third.close < first.bottom()
            };
            let found = in_gap
                && second.is_white() != third.is_white()
                && second.body_holds(third.open)
                && second.above(second.size(NEAR), (second.body() - third.body()).abs());
            as_coloured(found, &second)
        })
    },
    ..PATTERN
};

/// Upside or downside gap three methods.
pub(super) static X_SIDE_GAP_THREE_METHODS: Indicator = Indicator {
    name: "cdl_x_side_gap_three_methods",
    summary: "Gap three methods, 100 upward, -100 downward: two candles with a gap, and an opposite one that closes it.",
    formula: "1st and 2nd of one colour, 2nd gaps above a white 1st or below a black one; 3rd of the other colour, opens in the \
              body of the 2nd, closes in that of the 1st",
    source: "TA-Lib CDLXSIDEGAP3METHODS.",
    lookback: |_| 2,
    compute: |source, _| {
        scan(&X_SIDE_GAP_THREE_METHODS, source, |[first, second, third]| {
            let found = first.is_white() == second.is_white()
                && second.is_white() != third.is_white()
                && second.gaps_beyond(&first)
                && second.body_holds(third.open)
                && first.body_holds(third.close);
            as_coloured(found, &first)
        })
    },
    ..PATTERN
};
