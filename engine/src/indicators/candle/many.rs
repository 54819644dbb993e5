//! Patterns of four candles and more.

use super::shape::{Bar, NEAR, TINY_SHADOW};
use super::{PATTERN, against, as_coloured, bearish, bullish, by_block, penetration, scan};
use crate::indicators::{Indicator, Source};

/// Three black crows.
pub(super) static THREE_BLACK_CROWS: Indicator = Indicator {
    name: "cdl_three_black_crows",
    summary: "Three black crows, -100: after a white candle three black ones that close lower, each at its low.",
    formula: "1st white; the others black, lower shadows tiny, each closes below the one before; 2nd closes below the high of \
              the 1st; 3rd and 4th open in the body before",
    source: "TA-Lib CDL3BLACKCROWS.",
    lookback: |_| 13,
    compute: |source, _| {
        scan(&THREE_BLACK_CROWS, source, |[first, second, third, fourth]| {
            let follows =
                |before: &Bar<'_>, bar: &Bar<'_>| before.body_holds(bar.open) && bar.close < before.close;
            bearish(
                first.is_white()
                    && second.is_black()
                    && third.is_black()
                    && fourth.is_black()
                    && second.close < first.high
                    && follows(&second, &third)
                    && follows(&third, &fourth)
                    && second.has_shaven_bottom()
                    && third.has_shaven_bottom()
                    && fourth.has_shaven_bottom(),
            )
        })
    },
    ..PATTERN
};

/// Three-line strike.
pub(super) static THREE_LINE_STRIKE: Indicator = Indicator {
    name: "cdl_three_line_strike",
    summary: "Three-line strike, 100 after white candles, -100 after black ones: three in a row, and one that undoes them.",
    formula: "1st to 3rd of one colour, closing ever further, 2nd and 3rd open in or near the body before; 4th of the other \
              colour, opens beyond the close of the 3rd, closes beyond the open of the 1st",
    source: "TA-Lib CDL3LINESTRIKE.",
    lookback: |_| 8,
    compute: |source, _| {
        scan(&THREE_LINE_STRIKE, source, |[first, second, third, fourth]| {
            let strikes = if third.is_white() {
                third.close > second.close
                    && second.close > first.close
                    && fourth.open > third.close
                    && fourth.close < first.open
            } else {
                third.close < second.close
                    && second.close < first.close
                    && fourth.open < third.close
                    && fourth.close > first.open
            };
            let near = |before: &Bar<'_>, bar: &Bar<'_>| {
                let near = before.size(NEAR);
                !before.above(before.bottom() - near, bar.open)
                    && !before.above(bar.open, before.top() + near)
            };
            let found = strikes
                && first.is_white() == second.is_white()
                && second.is_white() == third.is_white()
                && third.is_white() != fourth.is_white()
                && near(&first, &second)
                && near(&second, &third);
            as_coloured(found, &third)
        })
    },
    ..PATTERN
};

/// Concealing baby swallow.
pub(super) static CONCEALING_BABY_SWALLOW: Indicator = Indicator {
    name: "cdl_concealing_baby_swallow",
    summary: "Concealing baby swallow, 100: two black candles without shadows, one below them, and one that swallows it.",
    formula: "all black; 1st and 2nd with tiny shadows; 3rd gaps below the 2nd, its high above the close of the 2nd, upper \
              shadow above tiny; 4th with a higher high and a lower low than the 3rd",
    source: "TA-Lib CDLCONCEALBABYSWALL.",
    lookback: |_| 13,
    compute: |source, _| {
        scan(&CONCEALING_BABY_SWALLOW, source, |[first, second, third, fourth]| {
            let shaven = |bar: &Bar<'_>| bar.has_shaven_head() && bar.has_shaven_bottom();
            bullish(
                first.is_black()
                    && second.is_black()
                    && third.is_black()
                    && fourth.is_black()
                    && third.gaps_below(&second)
                    && third.high > second.close
                    && fourth.high > third.high
                    && fourth.low < third.low
                    && shaven(&first)
                    && shaven(&second)
                    && third.upper_exceeds(TINY_SHADOW),
            )
        })
    },
    ..PATTERN
};

/// Ladder bottom.
pub(super) static LADDER_BOTTOM: Indicator = Indicator {
    name: "cdl_ladder_bottom",
    summary: "Ladder bottom, 100: four black candles down, the last with an upper shadow, and a white one above it.",
    formula: "1st to 4th black; 1st to 3rd open and close ever lower; 4th with an upper shadow above tiny; 5th white, opens \
              above the open and closes above the high of the 4th",
    source: "TA-Lib CDLLADDERBOTTOM.",
    lookback: |_| 14,
    compute: |source, _| {
        scan(&LADDER_BOTTOM, source, |[first, second, third, fourth, fifth]| {
            bullish(
                [&first, &second, &third, &fourth].iter().all(|bar| bar.is_black())
                    && fifth.is_white()
                    && first.open > second.open
                    && second.open > third.open
                    && first.close > second.close
                    && second.close > third.close
                    && fifth.open > fourth.open
                    && fifth.close > fourth.high
                    && fourth.upper_exceeds(TINY_SHADOW),
            )
        })
    },
    ..PATTERN
};

/// Breakaway.
pub(super) static BREAKAWAY: Indicator = Indicator {
    name: "cdl_breakaway",
    summary: "Breakaway, 100 bullish, -100 bearish: a gap, three candles on from it, and an opposite one back into the gap.",
    formula: "1st long; 1st, 2nd and 4th of one colour; 2nd gaps below a black 1st or above a white one; highs and lows of the \
              3rd and 4th go on that way; 5th of the other colour, closes between the open of the 2nd and the close of the 1st",
    source: "TA-Lib CDLBREAKAWAY.",
    lookback: |_| 14,
    compute: |source, _| {
        scan(&BREAKAWAY, source, |[first, second, third, fourth, fifth]| {
            let up = first.is_white();
            let goes_on = |before: &Bar<'_>, bar: &Bar<'_>| {
                if up {
                    bar.high > before.high && bar.low > before.low
                } else {
                    bar.high < before.high && bar.low < before.low
                }
            };
            let in_gap = if up {
                fifth.close < second.open && fifth.close > first.close
            } else {
                fifth.close > second.open && fifth.close < first.close
            };
            let found = in_gap
                && second.is_white() == up
                && fourth.is_white() == up
                && fifth.is_white() != up
                && second.gaps_beyond(&first)
                && goes_on(&second, &third)
                && goes_on(&third, &fourth)
                && first.is_long();
            against(found, &first)
        })
    },
    ..PATTERN
};

/// Mat hold.
pub(super) static MAT_HOLD: Indicator = Indicator {
    name: "cdl_mat_hold",
    summary: "Mat hold, 100: a long white candle, three short ones that fall a little, and a white one above them all.",
    formula: "1st long and white; 2nd to 4th short; 2nd black, gaps above the 1st; bodies of the 3rd and 4th reach below the \
              close of the 1st, not to close - penetration * body; their tops fall, from below the open of the 2nd; 5th white, \
              opens above the close of the 4th, closes above the highs of the 2nd to 4th",
    source: "TA-Lib CDLMATHOLD.",
    params: &[penetration(0.5)],
    lookback: |_| 14,
    compute: |source, params| {
        let depth = params[0];
        scan(&MAT_HOLD, source, |[first, second, third, fourth, fifth]| {
            let floor = first.close - first.body() * depth;
            let dips = |bar: &Bar<'_>| bar.bottom() < first.close && first.above(bar.bottom(), floor);
            bullish(
                first.is_white()
                    && second.is_black()
                    && fifth.is_white()
                    && second.gaps_above(&first)
                    && dips(&third)
                    && dips(&fourth)
                    && third.top() < second.open
                    && fourth.top() < third.top()
                    && fifth.open > fourth.close
                    && fifth.close > second.high.max(third.high).max(fourth.high)
                    && first.is_long()
                    && second.is_short()
                    && third.is_short()
                    && fourth.is_short(),
            )
        })
    },
    ..PATTERN
};

/// Rising or falling three methods.
pub(super) static RISE_FALL_THREE_METHODS: Indicator = Indicator {
    name: "cdl_rise_fall_three_methods",
    summary: "Three methods, 100 rising, -100 falling: a long candle, three short ones back within it, and a long one on.",
    formula: "1st and 5th long and of one colour; 2nd to 4th short, of the other colour, bodies within the range of the 1st, \
              closing ever further back; 5th opens beyond the close of the 4th, closes beyond that of the 1st",
    source: "TA-Lib CDLRISEFALL3METHODS.",
    lookback: |_| 14,
    compute: |source, _| {
        scan(&RISE_FALL_THREE_METHODS, source, |[first, second, third, fourth, fifth]| {
            let up = first.is_white();
            let beyond = |price: f64, other: f64| if up { price > other } else { price < other };
            let rests = |bar: &Bar<'_>| {
                bar.is_white() != up && bar.bottom() < first.high && bar.top() > first.low && bar.is_short()
            };
            let found = fifth.is_white() == up
                && beyond(second.close, third.close)
                && beyond(third.close, fourth.close)
                && beyond(fifth.open, fourth.close)
                && beyond(fifth.close, first.close)
                && rests(&second)
                && rests(&third)
                && rests(&fourth)
                && first.is_long()
                && fifth.is_long();
            as_coloured(found, &first)
        })
    },
    ..PATTERN
};

/// Hikkake.
pub(super) static HIKKAKE: Indicator = Indicator {
    name: "cdl_hikkake",
    summary: "Hikkake, 100 bullish, -100 bearish: a false break of an inside bar; 200 and -200 where it is confirmed.",
    formula: "2nd with a lower high and a higher low than the 1st; 3rd with a lower high and low (bullish) or a higher high and \
              low (bearish) than the 2nd; confirmed by the first of the next 3 to close above the high (below the low) of the \
              2nd, unless a new hikkake is there before or at it",
    source: "TA-Lib CDLHIKKAKE; it remembers no more than these candles.",
    lookback: |_| 5,
    compute: |source, _| {
        scan_confirmed(&HIKKAKE, source, |[first, second, third]| breaks_falsely(&first, &second, &third))
    },
    ..PATTERN
};

/// Modified hikkake.
pub(super) static HIKKAKE_MOD: Indicator = Indicator {
    name: "cdl_hikkake_mod",
    summary: "Modified hikkake, 100 bullish, -100 bearish: one of two inside bars; 200 and -200 where it is confirmed.",
    formula: "2nd with a lower high and a higher low than the 1st, and so the 3rd than the 2nd; 4th with a lower high and low \
              than the 3rd and the 2nd closing near its low (bullish), or a higher high and low and near its high (bearish); \
              confirmed by the first of the next 3 to close above the high (below the low) of the 3rd, unless a new one is \
              there before or at it",
    source: "TA-Lib CDLHIKKAKEMOD; it remembers no more than these candles.",
    lookback: |_| 10,
    compute: |source, _| {
        scan_confirmed(&HIKKAKE_MOD, source, |[first, second, third, fourth]| {
            let sign = breaks_falsely(&second, &third, &fourth);
            if sign == 0.0 || !is_inside_bar(&first, &second) {
                return 0.0;
            }
            let near = second.size(NEAR);
            let closes = if sign > 0.0 {
                !second.above(second.close, second.low + near)
            } else {
                !second.above(second.high - near, second.close)
            };
            if closes { sign } else { 0.0 }
        })
    },
    ..PATTERN
};

/// As [`scan`], of a pattern that is confirmed, with twice its sign, by the first of the next three candles to close
/// beyond its last but one: above the high if bullish, below the low if bearish. A newer pattern takes its place.
///
/// The record's lookback counts these three, so a block begins early enough to know what waits.
fn scan_confirmed<const N: usize>(
    record: &Indicator,
    source: &Source<'_>,
    pattern: impl Fn([Bar<'_>; N]) -> f64,
) -> Vec<Vec<f64>> {
    by_block(record, source, |shapes, column, lookback| {
        // The newest pattern: its sign, its last candle but one, and the last index that may confirm it.
        let mut waiting: Option<(f64, Bar<'_>, usize)> = None;
        let windows = shapes.windows().enumerate().map(|(start, bars)| (start + N - 1, bars));
        for (i, bars) in windows.skip(lookback - 3 - (N - 1)) {
            let (inside, close) = (bars[N - 2], bars[N - 1].close);
            let found = pattern(bars);
            let confirms = |(sign, inside, last): &mut (f64, Bar<'_>, usize)| {
                i <= *last && if *sign > 0.0 { close > inside.high } else { close < inside.low }
            };
            let value = if found != 0.0 {
                waiting = Some((found, inside, i + 3));
                found
            } else {
                waiting.take_if(confirms).map_or(0.0, |(sign, ..)| 2.0 * sign)
            };
            if i >= lookback {
                column[i] = value;
            }
        }
    })
}

/// An inside bar and a candle that leaves it on one side: 100 if downward, -100 if upward.
fn breaks_falsely(first: &Bar<'_>, second: &Bar<'_>, third: &Bar<'_>) -> f64 {
    if !is_inside_bar(first, second) {
        0.0
    } else if third.high < second.high && third.low < second.low {
        100.0
    } else {
        bearish(third.high > second.high && third.low > second.low)
    }
}

/// Whether the range of a candle lies inside that of the one before.
fn is_inside_bar(before: &Bar<'_>, bar: &Bar<'_>) -> bool {
    bar.high < before.high && bar.low > before.low
}
