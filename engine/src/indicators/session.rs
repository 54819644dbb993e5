//! Sessions of the calendar in UTC, and averages that begin with one or at a moment.

use std::ops::Range;

use super::common::{typical_price, unknown};
use super::{Domain, Indicator, Memory, Over, Param, Source};
use crate::exact::Double;
use crate::interval::{DAY_MS, Interval};

/// A stretch of the calendar, in UTC.
#[derive(Debug, Clone, Copy)]
pub(super) enum Session {
    Day,
    /// Monday to Sunday.
    Week,
    Month,
    Year,
}

/// The words of a parameter for a [`Session`], in the order of [`Session::nth`].
pub(super) const SESSIONS: &[&str] = &["day", "week", "month", "year"];

impl Session {
    /// The session of a word of [`SESSIONS`], by its index.
    pub(super) fn nth(value: f64) -> Self {
        match value as usize {
            0 => Session::Day,
            1 => Session::Week,
            2 => Session::Month,
            _ => Session::Year,
        }
    }

    /// How many candles fit into one at most; at least one.
    pub(super) fn most_bars(self, interval: Interval) -> usize {
        let days = match self {
            Session::Day => 1,
            Session::Week => 7,
            Session::Month => 31,
            Session::Year => 366,
        };
        usize::try_from((days * DAY_MS).div_euclid(interval.millis()).max(1)).unwrap_or(1)
    }

    /// The session that holds the instant `ms`, from its open to its end, in UTC milliseconds.
    pub(super) fn around(self, ms: i64) -> Range<i64> {
        // The epoch was a Thursday: Monday 1969-12-29 lies three days before it.
        let aligned = |length: i64, anchor: i64| {
            let open = anchor + (ms - anchor).div_euclid(length) * length;
            open..open + length
        };
        let calendar = match self {
            Session::Day => None,
            Session::Week => return aligned(7 * DAY_MS, -3 * DAY_MS),
            Session::Month => calendar(ms, |date| (date.first_of_month(), date.last_of_month())),
            Session::Year => calendar(ms, |date| (date.first_of_year(), date.last_of_year())),
        };
        // Outside jiff's years -9999 to 9999, where no candle is, a day will do.
        calendar.unwrap_or_else(|| aligned(DAY_MS, 0))
    }
}

/// From the start of one day to the end of another, found from the date of an instant.
fn calendar(
    ms: i64,
    days: impl Fn(jiff::civil::Date) -> (jiff::civil::Date, jiff::civil::Date),
) -> Option<Range<i64>> {
    let date = jiff::tz::Offset::UTC.to_datetime(jiff::Timestamp::from_millisecond(ms).ok()?).date();
    let start = |date: jiff::civil::Date| {
        jiff::tz::Offset::UTC.to_timestamp(date.at(0, 0, 0, 0)).ok().map(jiff::Timestamp::as_millisecond)
    };
    let (first, last) = days(date);
    Some(start(first)?..start(last)? + DAY_MS)
}

/// The bars of each session that has any, with the session's open. A candle belongs to the session that it opens in, so
/// candles longer than a session are one each.
pub(super) fn sessions(
    timestamp: &[i64],
    session: Session,
) -> impl Iterator<Item = (i64, Range<usize>)> + '_ {
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = at;
        let span = session.around(*timestamp.get(start)?);
        let count = timestamp[start..].iter().position(|&t| t >= span.end);
        at = count.map_or(timestamp.len(), |count| start + count);
        Some((span.start, start..at))
    })
}

/// Volume-weighted average price of the session.
pub(super) static VWAP: Indicator = Indicator {
    name: "vwap",
    summary: "Volume-weighted average price since the start of the day, the week (from Monday), the month or the year, in UTC; \
              in price units.",
    formula: "vwap = sum(t * volume) / sum(volume) over the bars of the same session so far, t = (high + low + close) / 3",
    source: "Session VWAP as charts draw it (TA-Lib's VWAP never resets: that is avwap). While the session has no volume it is \
             the bar's t. The first session of the data may be a part of one.",
    numerics: "Both sums of the session in double-double, divided once.",
    over: Over::Candle,
    params: &[Param { name: "reset", domain: Domain::Choice(SESSIONS), default: Some(0.0) }],
    outputs: &["value"],
    lookback: |_| 0,
    memory: |p, interval| Memory::Recursive(Session::nth(p[0]).most_bars(interval)),
    compute: |source, p| {
        let mut column = typical_price(&source.candles);
        for (_, bars) in sessions(source.candles.timestamp, Session::nth(p[0])) {
            weigh(&mut column[bars.clone()], &source.candles.volume[bars]);
        }
        vec![column]
    },
};

/// Volume-weighted average price since a moment.
pub(super) static AVWAP: Indicator = Indicator {
    name: "avwap",
    summary: "Anchored volume-weighted average price: since the candle that holds a moment, in price units.",
    formula: "avwap = sum(t * volume) / sum(volume) over the bars from the candle that holds the moment, or the next one, to \
              this one; t = (high + low + close) / 3",
    source: "Anchored VWAP as charts draw it; TA-Lib 0.8 VWAP is one from the first bar. Unknown before the moment, and \
             throughout when the history has no candle that opens at or before it: a part of the sums would be missing. While \
             there is no volume it is the bar's t. It asks for all the history there is.",
    numerics: "Both sums in double-double, divided once.",
    over: Over::Candle,
    params: &[Param { name: "from", domain: Domain::Instant, default: None }],
    outputs: &["value"],
    lookback: |_| 0,
    memory: |_, _| Memory::Everything,
    compute: avwap,
};

fn avwap(source: &Source<'_>, params: &[f64]) -> Vec<Vec<f64>> {
    let candles = &source.candles;
    let length = source.interval.millis();
    let from = candles.timestamp.partition_point(|&open| (open.saturating_add(length) as f64) <= params[0]);
    let reaches_back = candles.timestamp.first().is_some_and(|&open| open as f64 <= params[0]);
    if !reaches_back {
        return vec![unknown(candles.close.len())];
    }
    let mut column = typical_price(candles);
    column[..from].fill(f64::NAN);
    weigh(&mut column[from..], &candles.volume[from..]);
    vec![column]
}

/// Prices to their averages so far, weighed by volume; while there is none they stay.
fn weigh(prices: &mut [f64], volumes: &[f64]) {
    let (mut value, mut volume) = (Double::ZERO, Double::ZERO);
    for (price, &of_bar) in prices.iter_mut().zip(volumes) {
        value = value.add(Double::product(*price, of_bar));
        volume = volume.plus(of_bar);
        if volume.value() > 0.0 {
            *price = value.ratio(volume);
        }
    }
}
