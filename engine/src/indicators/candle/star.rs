//! Stars: a small candle in the middle of three, apart from its neighbours.

use super::shape::{Bar, DOJI};
use super::{PATTERN, as_coloured, bearish, bullish, penetration, scan};
use crate::indicators::Indicator;

/// Morning star.
pub(super) static MORNING_STAR: Indicator = Indicator {
    name: "cdl_morning_star",
    summary: "Morning star, 100: a long black candle, a small one below it, and a white one back into its body.",
    formula: "1st long and black; 2nd not long, gaps below the 1st; 3rd white and long, closes above close + penetration * \
              body of the 1st",
    source: "TA-Lib CDLMORNINGSTAR.",
    params: &[penetration(0.3)],
    lookback: |_| 12,
    compute: |source, params| {
        let depth = params[0];
        scan(&MORNING_STAR, source, |[first, star, last]| {
            bullish(rises(&first, &star, &last, depth) && !star.is_long())
        })
    },
    ..PATTERN
};

/// Morning doji star.
pub(super) static MORNING_DOJI_STAR: Indicator = Indicator {
    name: "cdl_morning_doji_star",
    summary: "Morning doji star, 100: a long black candle, a doji below it, and a white one back into its body.",
    formula: "1st long and black; 2nd a doji, gaps below the 1st; 3rd white and long, closes above close + penetration * \
              body of the 1st",
    source: "TA-Lib CDLMORNINGDOJISTAR.",
    params: &[penetration(0.3)],
    lookback: |_| 12,
    compute: |source, params| {
        let depth = params[0];
        scan(&MORNING_DOJI_STAR, source, |[first, star, last]| {
            bullish(rises(&first, &star, &last, depth) && star.is_doji())
        })
    },
    ..PATTERN
};

/// The morning stars, whatever the star.
fn rises(first: &Bar<'_>, star: &Bar<'_>, last: &Bar<'_>, depth: f64) -> bool {
    first.is_black()
        && star.gaps_below(first)
        && last.is_white()
        && last.rises_into(first, depth)
        && first.is_long()
        && last.is_long()
}

/// Evening star.
pub(super) static EVENING_STAR: Indicator = Indicator {
    name: "cdl_evening_star",
    summary: "Evening star, -100: a long white candle, a small one above it, and a black one back into its body.",
    formula: "1st long and white; 2nd not long, gaps above the 1st; 3rd black and long, closes below close - penetration * \
              body of the 1st",
    source: "TA-Lib CDLEVENINGSTAR.",
    params: &[penetration(0.3)],
    lookback: |_| 12,
    compute: |source, params| {
        let depth = params[0];
        scan(&EVENING_STAR, source, |[first, star, last]| {
            bearish(falls(&first, &star, &last, depth) && !star.is_long())
        })
    },
    ..PATTERN
};

/// Evening doji star.
pub(super) static EVENING_DOJI_STAR: Indicator = Indicator {
    name: "cdl_evening_doji_star",
    summary: "Evening doji star, -100: a long white candle, a doji above it, and a black one back into its body.",
    formula: "1st long and white; 2nd a doji, gaps above the 1st; 3rd black and long, closes below close - penetration * \
              body of the 1st",
    source: "TA-Lib CDLEVENINGDOJISTAR.",
    params: &[penetration(0.3)],
    lookback: |_| 12,
    compute: |source, params| {
        let depth = params[0];
        scan(&EVENING_DOJI_STAR, source, |[first, star, last]| {
            bearish(falls(&first, &star, &last, depth) && star.is_doji())
        })
    },
    ..PATTERN
};

/// The evening stars, whatever the star.
fn falls(first: &Bar<'_>, star: &Bar<'_>, last: &Bar<'_>, depth: f64) -> bool {
    first.is_white()
        && star.gaps_above(first)
        && last.is_black()
        && last.falls_into(first, depth)
        && first.is_long()
        && last.is_long()
}

/// Abandoned baby.
pub(super) static ABANDONED_BABY: Indicator = Indicator {
    name: "cdl_abandoned_baby",
    summary: "Abandoned baby, 100 bullish, -100 bearish: a doji star whose shadows touch no neighbour's.",
    formula: "1st long; 2nd a doji, its range above those of the neighbours if the 1st is white, below them if it is black; \
              3rd long, not the colour of the 1st, closes beyond close -/+ penetration * body of the 1st",
    source: "TA-Lib CDLABANDONEDBABY.",
    params: &[penetration(0.3)],
    lookback: |_| 12,
    compute: |source, params| {
        let depth = params[0];
        scan(&ABANDONED_BABY, source, |[first, baby, last]| {
            let turns = if first.is_white() {
                baby.low > first.high
                    && last.high < baby.low
                    && last.is_black()
                    && last.falls_into(&first, depth)
            } else {
                baby.high < first.low
                    && last.low > baby.high
                    && last.is_white()
                    && last.rises_into(&first, depth)
            };
            as_coloured(turns && first.is_long() && baby.is_doji() && last.is_long(), &last)
        })
    },
    ..PATTERN
};

/// Tristar.
pub(super) static TRISTAR: Indicator = Indicator {
    name: "cdl_tristar",
    summary: "Tristar, 100 bullish, -100 bearish: three doji, the middle one apart.",
    formula: "all doji, as measured at the 1st; bearish: 2nd gaps above the 1st, 3rd below the top of the 2nd; bullish: 2nd \
              gaps below the 1st, 3rd above the bottom of the 2nd",
    source: "TA-Lib CDLTRISTAR.",
    lookback: |_| 12,
    compute: |source, _| {
        scan(&TRISTAR, source, |[first, second, third]| {
            let doji = [&first, &second, &third].iter().all(|bar| !bar.above(bar.body(), first.size(DOJI)));
            if doji && second.gaps_above(&first) && third.top() < second.top() {
                -100.0
            } else {
                bullish(doji && second.gaps_below(&first) && third.bottom() > second.bottom())
            }
        })
    },
    ..PATTERN
};
