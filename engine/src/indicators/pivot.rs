//! Pivot points: levels for a session from the candles of the one before.

use std::ops::Range;

use super::common::unknown;
use super::session::{SESSIONS, Session, sessions};
use super::{CandleColumns, Domain, Indicator, Memory, Over, Param, Source};

/// The methods, in the order of [`levels`].
const METHODS: &[&str] = &["classic", "fibonacci", "camarilla", "woodie", "demark"];

/// Pivot points.
pub(super) static PIVOT: Indicator = Indicator {
    name: "pivot",
    summary: "Pivot points: a level p, resistances r1 to r3 above and supports s1 to s3 below, from the previous UTC day, week \
              (from Monday) or month; in price units.",
    formula: "H, L, C of the previous session. p = (H + L + C) / 3; woodie: (H + L + 2C) / 4; demark: X / 4 with X = H + 2L + C \
              if C < O, 2H + L + C if C > O, else H + L + 2C. r1 = 2p - L, s1 = 2p - H; r2, s2 = p +- (H - L); r3 = H + 2(p - \
              L), s3 = L - 2(H - p). fibonacci: p +- 0.382, 0.618 and 1 times (H - L). camarilla: C +- 1.1 / 12, 1.1 / 6 and \
              1.1 / 4 times (H - L)",
    source: "Floor traders' pivots, and those of Fibonacci ratios, Camarilla (Slott 1989), Woodie and DeMark. Woodie's p takes \
             the previous close, not the current open as some charts do. demark has no r2, s2, r3 and s3. Constant over a \
             session, and unknown until a session before it was seen from its open; a session without candles is passed over. \
             Candles longer than the session stand for themselves.",
    numerics: "Distances are added to a price of the session, so that one of a single price gives exactly that price.",
    over: Over::Candle,
    params: &[
        Param { name: "method", domain: Domain::Choice(METHODS), default: Some(0.0) },
        Param { name: "reset", domain: Domain::Choice(SESSIONS.split_at(3).0), default: Some(0.0) },
    ],
    outputs: &["p", "r1", "s1", "r2", "s2", "r3", "s3"],
    lookback: |_| 0,
    memory: |p, interval| Memory::Recursive(2 * Session::nth(p[1]).most_bars(interval)),
    compute: pivot,
};

fn pivot(source: &Source<'_>, params: &[f64]) -> Vec<Vec<f64>> {
    let timestamp = source.candles.timestamp;
    let mut columns = vec![unknown(timestamp.len()); 7];
    let mut before: Option<Prices> = None;
    for (open, bars) in sessions(timestamp, Session::nth(params[1])) {
        if let Some(before) = &before {
            for (column, level) in columns.iter_mut().zip(levels(params[0], before)) {
                column[bars.clone()].fill(level);
            }
        }
        // The first session counts only if the data begins with it.
        let whole = bars.start > 0 || timestamp[0] == open;
        before = whole.then(|| Prices::of(&source.candles, bars));
    }
    columns
}

/// The candle of a session.
struct Prices {
    open: f64,
    high: f64,
    low: f64,
    close: f64,
}

impl Prices {
    fn of(candles: &CandleColumns<'_>, bars: Range<usize>) -> Self {
        Self {
            open: candles.open[bars.start],
            high: candles.high[bars.clone()].iter().copied().fold(f64::NEG_INFINITY, f64::max),
            low: candles.low[bars.clone()].iter().copied().fold(f64::INFINITY, f64::min),
            close: candles.close[bars.end - 1],
        }
    }
}

/// p, r1, s1, r2, s2, r3 and s3 after a session.
fn levels(method: f64, session: &Prices) -> [f64; 7] {
    let &Prices { open, high, low, close } = session;
    let (range, rise) = (high - low, close - low);
    let ladder = |middle: f64, steps: [f64; 3]| {
        let [near, far, farthest] = steps.map(|step| step * range);
        [middle + near, middle - near, middle + far, middle - far, middle + farthest, middle - farthest]
    };
    let around = |p: f64| {
        let (above, below) = (p - low, high - p);
        [p + above, p - below, p + range, p - range, high + 2.0 * above, low - 2.0 * below]
    };
    let mean = low + (range + rise) / 3.0;
    let (p, [r1, s1, r2, s2, r3, s3]) = match method as usize {
        0 => (mean, around(mean)),
        1 => (mean, ladder(mean, [0.382, 0.618, 1.0])),
        2 => (mean, ladder(close, [1.1 / 12.0, 1.1 / 6.0, 1.1 / 4.0])),
        3 => {
            let p = low + (range + 2.0 * rise) / 4.0;
            (p, around(p))
        }
        _ => {
            let weighed = if close < open {
                range + rise
            } else if close > open {
                2.0 * range + rise
            } else {
                range + 2.0 * rise
            };
            let p = low + weighed / 4.0;
            let [r1, s1, ..] = around(p);
            (p, [r1, s1, f64::NAN, f64::NAN, f64::NAN, f64::NAN])
        }
    };
    [p, r1, s1, r2, s2, r3, s3]
}
