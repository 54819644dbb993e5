//! Patterns of one candle.

use super::shape::{LONG_SHADOW, NEAR, SHORT_SHADOW, TINY_SHADOW, VERY_LONG_SHADOW};
use super::{PATTERN, as_coloured, bullish, scan};
use crate::indicators::Indicator;

/// Doji.
pub(super) static DOJI: Indicator = Indicator {
    name: "cdl_doji",
    summary: "Doji, 100: it closes about where it opened.",
    formula: "a doji",
    source: "TA-Lib CDLDOJI.",
    lookback: |_| 10,
    compute: |source, _| scan(&DOJI, source, |[bar]| bullish(bar.is_doji())),
    ..PATTERN
};

/// Dragonfly doji.
pub(super) static DRAGONFLY_DOJI: Indicator = Indicator {
    name: "cdl_dragonfly_doji",
    summary: "Dragonfly doji, 100: a doji at the top of its range.",
    formula: "a doji; upper shadow tiny; lower shadow above tiny",
    source: "TA-Lib CDLDRAGONFLYDOJI.",
    lookback: |_| 10,
    compute: |source, _| {
        scan(&DRAGONFLY_DOJI, source, |[bar]| {
            bullish(bar.is_doji() && bar.has_shaven_head() && bar.lower_exceeds(TINY_SHADOW))
        })
    },
    ..PATTERN
};

/// Gravestone doji.
pub(super) static GRAVESTONE_DOJI: Indicator = Indicator {
    name: "cdl_gravestone_doji",
    summary: "Gravestone doji, 100: a doji at the bottom of its range.",
    formula: "a doji; lower shadow tiny; upper shadow above tiny",
    source: "TA-Lib CDLGRAVESTONEDOJI.",
    lookback: |_| 10,
    compute: |source, _| {
        scan(&GRAVESTONE_DOJI, source, |[bar]| {
            bullish(bar.is_doji() && bar.has_shaven_bottom() && bar.upper_exceeds(TINY_SHADOW))
        })
    },
    ..PATTERN
};

/// Long legged doji.
pub(super) static LONG_LEGGED_DOJI: Indicator = Indicator {
    name: "cdl_long_legged_doji",
    summary: "Long legged doji, 100: a doji with a long shadow.",
    formula: "a doji; one shadow or both long",
    source: "TA-Lib CDLLONGLEGGEDDOJI.",
    lookback: |_| 10,
    compute: |source, _| {
        scan(&LONG_LEGGED_DOJI, source, |[bar]| {
            bullish(bar.is_doji() && (bar.lower_exceeds(LONG_SHADOW) || bar.upper_exceeds(LONG_SHADOW)))
        })
    },
    ..PATTERN
};

/// Rickshaw man.
pub(super) static RICKSHAW_MAN: Indicator = Indicator {
    name: "cdl_rickshaw_man",
    summary: "Rickshaw man, 100: a doji with two long shadows, in the middle of its range.",
    formula: "a doji; both shadows long; the body reaches to near the middle of the range",
    source: "TA-Lib CDLRICKSHAWMAN.",
    lookback: |_| 10,
    compute: |source, _| {
        scan(&RICKSHAW_MAN, source, |[bar]| {
            let middle = bar.low + bar.range() / 2.0;
            let near = bar.size(NEAR);
            bullish(
                bar.is_doji()
                    && bar.lower_exceeds(LONG_SHADOW)
                    && bar.upper_exceeds(LONG_SHADOW)
                    && !bar.above(bar.bottom(), middle + near)
                    && !bar.above(middle - near, bar.top()),
            )
        })
    },
    ..PATTERN
};

/// Takuri.
pub(super) static TAKURI: Indicator = Indicator {
    name: "cdl_takuri",
    summary: "Takuri, 100: a dragonfly doji with a very long lower shadow.",
    formula: "a doji; upper shadow tiny; lower shadow very long",
    source: "TA-Lib CDLTAKURI.",
    lookback: |_| 10,
    compute: |source, _| {
        scan(&TAKURI, source, |[bar]| {
            bullish(bar.is_doji() && bar.has_shaven_head() && bar.lower_exceeds(VERY_LONG_SHADOW))
        })
    },
    ..PATTERN
};

/// Spinning top.
pub(super) static SPINNING_TOP: Indicator = Indicator {
    name: "cdl_spinning_top",
    summary: "Spinning top, 100 white, -100 black: a short body between two long shadows.",
    formula: "short; both shadows long",
    source: "TA-Lib CDLSPINNINGTOP.",
    lookback: |_| 10,
    compute: |source, _| {
        scan(&SPINNING_TOP, source, |[bar]| {
            let found = bar.is_short() && bar.upper_exceeds(LONG_SHADOW) && bar.lower_exceeds(LONG_SHADOW);
            as_coloured(found, &bar)
        })
    },
    ..PATTERN
};

/// High wave candle.
pub(super) static HIGH_WAVE: Indicator = Indicator {
    name: "cdl_high_wave",
    summary: "High wave candle, 100 white, -100 black: a short body between two very long shadows.",
    formula: "short; both shadows very long",
    source: "TA-Lib CDLHIGHWAVE.",
    lookback: |_| 10,
    compute: |source, _| {
        scan(&HIGH_WAVE, source, |[bar]| {
            let found =
                bar.is_short() && bar.upper_exceeds(VERY_LONG_SHADOW) && bar.lower_exceeds(VERY_LONG_SHADOW);
            as_coloured(found, &bar)
        })
    },
    ..PATTERN
};

/// Short line candle.
pub(super) static SHORT_LINE: Indicator = Indicator {
    name: "cdl_short_line",
    summary: "Short line candle, 100 white, -100 black: everything about it is short.",
    formula: "short; both shadows short",
    source: "TA-Lib CDLSHORTLINE.",
    lookback: |_| 10,
    compute: |source, _| {
        scan(&SHORT_LINE, source, |[bar]| {
            let found = bar.is_short() && bar.upper_below(SHORT_SHADOW) && bar.lower_below(SHORT_SHADOW);
            as_coloured(found, &bar)
        })
    },
    ..PATTERN
};

/// Long line candle.
pub(super) static LONG_LINE: Indicator = Indicator {
    name: "cdl_long_line",
    summary: "Long line candle, 100 white, -100 black: a long body with short shadows.",
    formula: "long; both shadows short",
    source: "TA-Lib CDLLONGLINE.",
    lookback: |_| 10,
    compute: |source, _| {
        scan(&LONG_LINE, source, |[bar]| {
            let found = bar.is_long() && bar.upper_below(SHORT_SHADOW) && bar.lower_below(SHORT_SHADOW);
            as_coloured(found, &bar)
        })
    },
    ..PATTERN
};

/// Marubozu.
pub(super) static MARUBOZU: Indicator = Indicator {
    name: "cdl_marubozu",
    summary: "Marubozu, 100 white, -100 black: a long body without shadows.",
    formula: "long; both shadows tiny",
    source: "TA-Lib CDLMARUBOZU.",
    lookback: |_| 10,
    compute: |source, _| {
        scan(&MARUBOZU, source, |[bar]| {
            as_coloured(bar.is_long() && bar.has_shaven_head() && bar.has_shaven_bottom(), &bar)
        })
    },
    ..PATTERN
};

/// Closing marubozu.
pub(super) static CLOSING_MARUBOZU: Indicator = Indicator {
    name: "cdl_closing_marubozu",
    summary: "Closing marubozu, 100 white, -100 black: a long body that closes at the end of its range.",
    formula: "long; tiny shadow at the close: the upper one if white, the lower one if black",
    source: "TA-Lib CDLCLOSINGMARUBOZU.",
    lookback: |_| 10,
    compute: |source, _| {
        scan(&CLOSING_MARUBOZU, source, |[bar]| {
            let closes = if bar.is_white() { bar.has_shaven_head() } else { bar.has_shaven_bottom() };
            as_coloured(bar.is_long() && closes, &bar)
        })
    },
    ..PATTERN
};

/// Belt-hold.
pub(super) static BELT_HOLD: Indicator = Indicator {
    name: "cdl_belt_hold",
    summary: "Belt-hold, 100 white, -100 black: a long body that opens at the end of its range.",
    formula: "long; tiny shadow at the open: the lower one if white, the upper one if black",
    source: "TA-Lib CDLBELTHOLD.",
    lookback: |_| 10,
    compute: |source, _| {
        scan(&BELT_HOLD, source, |[bar]| as_coloured(bar.is_long() && bar.opens_at_its_end(), &bar))
    },
    ..PATTERN
};
