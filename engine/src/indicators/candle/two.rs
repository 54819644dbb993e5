//! Patterns of two candles: the last, and the one that it answers.

use super::shape::{Bar, EQUAL, LONG_SHADOW, NEAR};
use super::{PATTERN, against, as_coloured, bearish, bullish, penetration, scan};
use crate::indicators::Indicator;

/// Engulfing pattern.
pub(super) static ENGULFING: Indicator = Indicator {
    name: "cdl_engulfing",
    summary: "Engulfing pattern, 100 bullish, -100 bearish: a body that holds the opposite one before; 80 and -80 if they \
              share an end.",
    formula: "2nd not the colour of the 1st, its body holds that of the 1st and is not equal to it",
    source: "TA-Lib CDLENGULFING.",
    lookback: |_| 2,
    compute: |source, _| {
        scan(&ENGULFING, source, |[first, second]| {
            let share = share_held(&first, &second);
            let equal = first.open == second.close && first.close == second.open;
            as_coloured(share > 0.0 && !equal && first.is_white() != second.is_white(), &second) * share
        })
    },
    ..PATTERN
};

/// Harami.
pub(super) static HARAMI: Indicator = Indicator {
    name: "cdl_harami",
    summary: "Harami, 100 bullish, -100 bearish: a small body inside the long one before; 80 and -80 if they share an end.",
    formula: "1st long; 2nd not long, its body in that of the 1st; the sign is against the 1st",
    source: "TA-Lib CDLHARAMI.",
    lookback: |_| 11,
    compute: |source, _| {
        scan(&HARAMI, source, |[first, second]| {
            let share = share_held(&second, &first);
            against(share > 0.0 && first.is_long() && !second.is_long(), &first) * share
        })
    },
    ..PATTERN
};

/// Harami cross.
pub(super) static HARAMI_CROSS: Indicator = Indicator {
    name: "cdl_harami_cross",
    summary: "Harami cross, 100 bullish, -100 bearish: a doji inside the long body before; 80 and -80 if they share an end.",
    formula: "1st long; 2nd a doji, its body in that of the 1st; the sign is against the 1st",
    source: "TA-Lib CDLHARAMICROSS.",
    lookback: |_| 11,
    compute: |source, _| {
        scan(&HARAMI_CROSS, source, |[first, second]| {
            let share = share_held(&second, &first);
            against(share > 0.0 && first.is_long() && second.is_doji(), &first) * share
        })
    },
    ..PATTERN
};

/// 1 if the outer body holds the inner one, 0.8 if they share one end, 0 otherwise.
fn share_held(inner: &Bar<'_>, outer: &Bar<'_>) -> f64 {
    let (above, below) = (outer.top() - inner.top(), inner.bottom() - outer.bottom());
    if above > 0.0 && below > 0.0 {
        1.0
    } else if above >= 0.0 && below >= 0.0 {
        0.8
    } else {
        0.0
    }
}

/// Homing pigeon.
pub(super) static HOMING_PIGEON: Indicator = Indicator {
    name: "cdl_homing_pigeon",
    summary: "Homing pigeon, 100: a small black body inside the long black one before.",
    formula: "1st long and black; 2nd black, not long, its body inside that of the 1st",
    source: "TA-Lib CDLHOMINGPIGEON.",
    lookback: |_| 11,
    compute: |source, _| {
        scan(&HOMING_PIGEON, source, |[first, second]| {
            bullish(
                first.is_black()
                    && second.is_black()
                    && first.body_holds(second.open)
                    && first.body_holds(second.close)
                    && first.is_long()
                    && !second.is_long(),
            )
        })
    },
    ..PATTERN
};

/// Matching low.
pub(super) static MATCHING_LOW: Indicator = Indicator {
    name: "cdl_matching_low",
    summary: "Matching low, 100: two black candles that close at the same price.",
    formula: "both black; the closes equal",
    source: "TA-Lib CDLMATCHINGLOW.",
    lookback: |_| 6,
    compute: |source, _| {
        scan(&MATCHING_LOW, source, |[first, second]| {
            bullish(first.is_black() && second.is_black() && first.within(EQUAL, first.close, second.close))
        })
    },
    ..PATTERN
};

/// Counterattack.
pub(super) static COUNTERATTACK: Indicator = Indicator {
    name: "cdl_counterattack",
    summary: "Counterattack, 100 bullish, -100 bearish: two long candles against each other that close at the same price.",
    formula: "both long, not of one colour; the closes equal",
    source: "TA-Lib CDLCOUNTERATTACK.",
    lookback: |_| 11,
    compute: |source, _| {
        scan(&COUNTERATTACK, source, |[first, second]| {
            let found = first.is_white() != second.is_white()
                && first.within(EQUAL, first.close, second.close)
                && first.is_long()
                && second.is_long();
            as_coloured(found, &second)
        })
    },
    ..PATTERN
};

/// Separating lines.
pub(super) static SEPARATING_LINES: Indicator = Indicator {
    name: "cdl_separating_lines",
    summary: "Separating lines, 100 bullish, -100 bearish: a belt-hold that opens where the opposite candle before did.",
    formula: "not of one colour; the opens equal; 2nd long, tiny shadow at its open",
    source: "TA-Lib CDLSEPARATINGLINES.",
    lookback: |_| 11,
    compute: |source, _| {
        scan(&SEPARATING_LINES, source, |[first, second]| {
            let found = first.is_white() != second.is_white()
                && first.within(EQUAL, first.open, second.open)
                && second.is_long()
                && second.opens_at_its_end();
            as_coloured(found, &second)
        })
    },
    ..PATTERN
};

/// Doji star.
pub(super) static DOJI_STAR: Indicator = Indicator {
    name: "cdl_doji_star",
    summary: "Doji star, 100 bullish, -100 bearish: a doji that gaps away from a long candle.",
    formula: "1st long; 2nd a doji, gaps above a white 1st or below a black one; the sign is against the 1st",
    source: "TA-Lib CDLDOJISTAR.",
    lookback: |_| 11,
    compute: |source, _| {
        scan(&DOJI_STAR, source, |[first, second]| {
            against(second.gaps_beyond(&first) && first.is_long() && second.is_doji(), &first)
        })
    },
    ..PATTERN
};

/// Hammer.
pub(super) static HAMMER: Indicator = Indicator {
    name: "cdl_hammer",
    summary: "Hammer, 100: a short body on a long lower shadow, at or below the low before.",
    formula: "2nd short; lower shadow long; upper shadow tiny; body reaches down to near the low of the 1st, or below",
    source: "TA-Lib CDLHAMMER.",
    lookback: |_| 11,
    compute: |source, _| {
        scan(&HAMMER, source, |[first, second]| {
            let low = !first.above(second.bottom(), first.low + first.size(NEAR));
            bullish(low && hangs(&second))
        })
    },
    ..PATTERN
};

/// Hanging man.
pub(super) static HANGING_MAN: Indicator = Indicator {
    name: "cdl_hanging_man",
    summary: "Hanging man, -100: a short body on a long lower shadow, at or above the high before.",
    formula: "2nd short; lower shadow long; upper shadow tiny; body no lower than near the high of the 1st",
    source: "TA-Lib CDLHANGINGMAN.",
    lookback: |_| 11,
    compute: |source, _| {
        scan(&HANGING_MAN, source, |[first, second]| {
            let high = !first.above(first.high - first.size(NEAR), second.bottom());
            bearish(high && hangs(&second))
        })
    },
    ..PATTERN
};

/// A short body on a long lower shadow.
fn hangs(bar: &Bar<'_>) -> bool {
    bar.lower_exceeds(LONG_SHADOW) && bar.has_shaven_head() && bar.is_short()
}

/// Inverted hammer.
pub(super) static INVERTED_HAMMER: Indicator = Indicator {
    name: "cdl_inverted_hammer",
    summary: "Inverted hammer, 100: a short body under a long upper shadow, below the body before.",
    formula: "2nd short, gaps below the 1st; upper shadow long; lower shadow tiny",
    source: "TA-Lib CDLINVERTEDHAMMER.",
    lookback: |_| 11,
    compute: |source, _| {
        scan(&INVERTED_HAMMER, source, |[first, second]| {
            bullish(second.gaps_below(&first) && stands(&second))
        })
    },
    ..PATTERN
};

/// Shooting star.
pub(super) static SHOOTING_STAR: Indicator = Indicator {
    name: "cdl_shooting_star",
    summary: "Shooting star, -100: a short body under a long upper shadow, above the body before.",
    formula: "2nd short, gaps above the 1st; upper shadow long; lower shadow tiny",
    source: "TA-Lib CDLSHOOTINGSTAR.",
    lookback: |_| 11,
    compute: |source, _| {
        scan(&SHOOTING_STAR, source, |[first, second]| bearish(second.gaps_above(&first) && stands(&second)))
    },
    ..PATTERN
};

/// A short body under a long upper shadow.
fn stands(bar: &Bar<'_>) -> bool {
    bar.upper_exceeds(LONG_SHADOW) && bar.has_shaven_bottom() && bar.is_short()
}

/// Kicking.
pub(super) static KICKING: Indicator = Indicator {
    name: "cdl_kicking",
    summary: "Kicking, 100 bullish, -100 bearish: a marubozu, and an opposite one beyond a gap.",
    formula: "both marubozu, not of one colour; the range of the 2nd above that of a black 1st, or below that of a white one",
    source: "TA-Lib CDLKICKING.",
    lookback: |_| 11,
    compute: |source, _| {
        scan(&KICKING, source, |[first, second]| as_coloured(kicks(&first, &second), &second))
    },
    ..PATTERN
};

/// Kicking, bull or bear by the longer marubozu.
pub(super) static KICKING_BY_LENGTH: Indicator = Indicator {
    name: "cdl_kicking_by_length",
    summary: "Kicking by length, 100 bullish, -100 bearish: kicking, with the sign of the longer marubozu.",
    formula: "as cdl_kicking; the sign is that of the longer body, of the 1st if they are equal",
    source: "TA-Lib CDLKICKINGBYLENGTH.",
    lookback: |_| 11,
    compute: |source, _| {
        scan(&KICKING_BY_LENGTH, source, |[first, second]| {
            let longer = if second.above(second.body(), first.body()) { second } else { first };
            as_coloured(kicks(&first, &second), &longer)
        })
    },
    ..PATTERN
};

/// Two opposite marubozu with a gap between their ranges, away from the first.
fn kicks(first: &Bar<'_>, second: &Bar<'_>) -> bool {
    let gap = if first.is_white() { second.high < first.low } else { second.low > first.high };
    let marubozu = |bar: &Bar<'_>| bar.is_long() && bar.has_shaven_head() && bar.has_shaven_bottom();
    gap && first.is_white() != second.is_white() && marubozu(first) && marubozu(second)
}

/// Dark cloud cover.
pub(super) static DARK_CLOUD_COVER: Indicator = Indicator {
    name: "cdl_dark_cloud_cover",
    summary: "Dark cloud cover, -100: a black candle that opens above a long white one and closes deep in its body.",
    formula: "1st long and white; 2nd black, opens above the high of the 1st, closes in its body and below close - penetration \
              * body",
    source: "TA-Lib CDLDARKCLOUDCOVER.",
    params: &[penetration(0.5)],
    lookback: |_| 11,
    compute: |source, params| {
        let depth = params[0];
        scan(&DARK_CLOUD_COVER, source, |[first, second]| {
            bearish(
                first.is_white()
                    && second.is_black()
                    && second.open > first.high
                    && second.close > first.open
                    && second.falls_into(&first, depth)
                    && first.is_long(),
            )
        })
    },
    ..PATTERN
};

/// Piercing pattern.
pub(super) static PIERCING: Indicator = Indicator {
    name: "cdl_piercing",
    summary: "Piercing pattern, 100: a long white candle that opens below a long black one and closes above its middle.",
    formula: "1st long and black; 2nd long and white, opens below the low of the 1st, closes in the upper half of its body",
    source: "TA-Lib CDLPIERCING.",
    lookback: |_| 11,
    compute: |source, _| {
        scan(&PIERCING, source, |[first, second]| {
            bullish(
                answers_from_below(&first, &second)
                    && second.close < first.open
                    && second.rises_into(&first, 0.5)
                    && second.is_long(),
            )
        })
    },
    ..PATTERN
};

/// Thrusting pattern.
pub(super) static THRUSTING: Indicator = Indicator {
    name: "cdl_thrusting",
    summary: "Thrusting pattern, -100: a white candle that opens below a long black one and closes in its lower half.",
    formula: "1st long and black; 2nd white, opens below the low of the 1st, closes above and not equal to its close, at most \
              in the middle of its body",
    source: "TA-Lib CDLTHRUSTING.",
    lookback: |_| 11,
    compute: |source, _| {
        scan(&THRUSTING, source, |[first, second]| {
            bearish(
                answers_from_below(&first, &second)
                    && first.above(second.close, first.close + first.size(EQUAL))
                    && !second.rises_into(&first, 0.5),
            )
        })
    },
    ..PATTERN
};

/// In-neck pattern.
pub(super) static IN_NECK: Indicator = Indicator {
    name: "cdl_in_neck",
    summary: "In-neck pattern, -100: a white candle that opens below a long black one and closes just in its body.",
    formula: "1st long and black; 2nd white, opens below the low of the 1st, closes equal to its close, not below it",
    source: "TA-Lib CDLINNECK.",
    lookback: |_| 11,
    compute: |source, _| {
        scan(&IN_NECK, source, |[first, second]| {
            bearish(
                answers_from_below(&first, &second)
                    && second.close >= first.close
                    && first.within(EQUAL, first.close, second.close),
            )
        })
    },
    ..PATTERN
};

/// On-neck pattern.
pub(super) static ON_NECK: Indicator = Indicator {
    name: "cdl_on_neck",
    summary: "On-neck pattern, -100: a white candle that opens below a long black one and closes at its low.",
    formula: "1st long and black; 2nd white, opens below the low of the 1st, closes equal to it",
    source: "TA-Lib CDLONNECK.",
    lookback: |_| 11,
    compute: |source, _| {
        scan(&ON_NECK, source, |[first, second]| {
            bearish(answers_from_below(&first, &second) && first.within(EQUAL, first.low, second.close))
        })
    },
    ..PATTERN
};

/// A long black candle, and a white one that opens below its low.
fn answers_from_below(first: &Bar<'_>, second: &Bar<'_>) -> bool {
    first.is_black() && second.is_white() && second.open < first.low && first.is_long()
}
