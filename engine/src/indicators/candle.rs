//! Candle patterns, those of TA-Lib: what the last one to seven candles look like, against the candles before them.
//!
//! ```text
//!  candles --Shapes--> bodies, shadows, means of the candles before --rule of a pattern--> 0, 100 or -100 a bar
//! ```
//!
//! A rule reads its candles oldest first and names sizes by [`shape`]'s settings (`LONG`, `DOJI`, `NEAR`), which are
//! TA-Lib's defaults.

mod many;
mod one;
mod shape;
mod star;
mod three;
mod two;

use super::common::unknown;
use super::{Domain, Indicator, Memory, Over, Param, Source};
use shape::{Bar, Shapes};

/// The family, in the order of the docs: by the number of candles that a pattern is made of.
pub(super) const FAMILY: &[&Indicator] = &[
    &one::DOJI,
    &one::DRAGONFLY_DOJI,
    &one::GRAVESTONE_DOJI,
    &one::LONG_LEGGED_DOJI,
    &one::RICKSHAW_MAN,
    &one::TAKURI,
    &one::SPINNING_TOP,
    &one::HIGH_WAVE,
    &one::SHORT_LINE,
    &one::LONG_LINE,
    &one::MARUBOZU,
    &one::CLOSING_MARUBOZU,
    &one::BELT_HOLD,
    &two::ENGULFING,
    &two::HARAMI,
    &two::HARAMI_CROSS,
    &two::HOMING_PIGEON,
    &two::MATCHING_LOW,
    &two::COUNTERATTACK,
    &two::SEPARATING_LINES,
    &two::DOJI_STAR,
    &two::HAMMER,
    &two::HANGING_MAN,
    &two::INVERTED_HAMMER,
    &two::SHOOTING_STAR,
    &two::KICKING,
    &two::KICKING_BY_LENGTH,
    &two::DARK_CLOUD_COVER,
    &two::PIERCING,
    &two::THRUSTING,
    &two::IN_NECK,
    &two::ON_NECK,
    &star::MORNING_STAR,
    &star::MORNING_DOJI_STAR,
    &star::EVENING_STAR,
    &star::EVENING_DOJI_STAR,
    &star::ABANDONED_BABY,
    &star::TRISTAR,
    &three::TWO_CROWS,
    &three::UPSIDE_GAP_TWO_CROWS,
    &three::THREE_INSIDE,
    &three::THREE_OUTSIDE,
    &three::THREE_STARS_IN_SOUTH,
    &three::THREE_WHITE_SOLDIERS,
    &three::ADVANCE_BLOCK,
    &three::STALLED_PATTERN,
    &three::IDENTICAL_THREE_CROWS,
    &three::UNIQUE_THREE_RIVER,
    &three::STICK_SANDWICH,
    &three::GAP_SIDE_SIDE_WHITE,
    &three::TASUKI_GAP,
    &three::X_SIDE_GAP_THREE_METHODS,
    &many::THREE_BLACK_CROWS,
    &many::THREE_LINE_STRIKE,
    &many::CONCEALING_BABY_SWALLOW,
    &many::LADDER_BOTTOM,
    &many::BREAKAWAY,
    &many::MAT_HOLD,
    &many::RISE_FALL_THREE_METHODS,
    &many::HIKKAKE,
    &many::HIKKAKE_MOD,
];

/// What all patterns share; a record fills in the rest.
const PATTERN: Indicator = Indicator {
    name: "",
    summary: "",
    formula: "",
    source: "",
    numerics: "Sizes are measured against the mean of the candles before (TA-Lib's settings). A body is long above the \
               mean body of 10, short below it. A doji has a body of at most a tenth of the mean range (high - low) of 10. A \
               shadow is tiny below that tenth, short below half the mean of both shadows of 10, long above its own \
               candle's body, very long above twice that body. Prices are near within 0.2, far beyond 0.6, equal within \
               0.05 of the mean range of 5. A candle that closes where it opened is white. A gap is one of bodies, \
               unless it says range. Each mean is summed anew, where TA-Lib's run on: it depends on its candles only. \
               Sizes that differ by the rounding of the prices alone (1e-14 of them) are equal.",
    over: Over::Candle,
    params: &[],
    outputs: &["value"],
    lookback: |_| 0,
    memory: |_, _| Memory::Finite,
    compute: |_, _| Vec::new(),
};

/// How far the last candle must come back into the body of the first, as a share of that body.
const fn penetration(default: f64) -> Param {
    Param { name: "penetration", domain: Domain::From(0.0), default: Some(default) }
}

/// The column of a pattern: `rule` of the last `N` candles, oldest first, from the record's lookback on.
fn scan<const N: usize>(
    record: &Indicator,
    source: &Source<'_>,
    rule: impl Fn([Bar<'_>; N]) -> f64,
) -> Vec<Vec<f64>> {
    by_block(record, source, |shapes, column, lookback| {
        let windows = shapes.windows().skip(lookback + 1 - N);
        for (out, bars) in column[lookback..].iter_mut().zip(windows) {
            *out = rule(bars);
        }
    })
}

/// A column filled block by block, each with the lookback's candles before it, which is all that a pattern sees: the
/// means of a block stay in the processor's cache. `fill` is told the block's shapes, its part of the column and how
/// many bars at its front are history.
fn by_block(
    record: &Indicator,
    source: &Source<'_>,
    fill: impl Fn(&Shapes<'_>, &mut [f64], usize),
) -> Vec<Vec<f64>> {
    const BLOCK: usize = 1024;
    let lookback = (record.lookback)(&[]);
    let mut column = unknown(source.candles.close.len());
    for start in (lookback..column.len()).step_by(BLOCK) {
        let block = start - lookback..column.len().min(start + BLOCK);
        fill(&Shapes::new(&source.candles, block.clone()), &mut column[block], lookback);
    }
    vec![column]
}

/// 100 where a bullish pattern, or one without a direction, is found.
fn bullish(found: bool) -> f64 {
    if found { 100.0 } else { 0.0 }
}

/// -100 where a bearish pattern is found.
fn bearish(found: bool) -> f64 {
    if found { -100.0 } else { 0.0 }
}

/// The sign of a candle where a pattern is found: 100 for a white one, -100 for a black one.
fn as_coloured(found: bool, bar: &Bar<'_>) -> f64 {
    // Most candles are no pattern: their colour, a coin to the processor, is not asked.
    if !found {
        0.0
    } else if bar.is_white() {
        100.0
    } else {
        -100.0
    }
}

/// The sign against a candle where a pattern is found: -100 for a white one, 100 for a black one.
fn against(found: bool, bar: &Bar<'_>) -> f64 {
    0.0 - as_coloured(found, bar)
}
