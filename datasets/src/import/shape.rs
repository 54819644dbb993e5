//! What columns are when no header names them: by their number and their values.

use super::options::Role;
use super::record::Record;
use super::time::epoch;

/// What the columns of rows without a header are.
#[derive(Debug, PartialEq)]
pub(crate) enum Shape {
    Known(Vec<Role>, Option<&'static str>),
    /// Both `o,h,l,c` and `l,h,o,c` fit.
    Either,
    Unknown,
}

/// Roles by number of columns and values:
///
/// - 6: `t,o,h,l,c,v`, or Coinbase's `t,l,h,o,c,v`, whichever the values allow; 7 with a clock in the second as well
/// - 7: Kraken's `t,o,h,l,c,v,trades`; 8: Kraken's `t,o,h,l,c,vwap,v,trades`
/// - 12: Binance's klines
pub(crate) fn of(rows: &[Record], is_clock: impl Fn(&str) -> bool) -> Shape {
    let Some(first) = rows.first() else { return Shape::Unknown };
    let width = first.len();
    let rows: Vec<&Record> = rows.iter().filter(|row| row.len() == width).collect();
    let number = |row: &Record, i: usize| row.field(i).parse::<f64>().ok();
    let whole = |i: usize| rows.iter().all(|row| number(row, i).is_some_and(|v| v.fract() == 0.0));
    let candles = |o: usize, h: usize, l: usize, c: usize| {
        rows.iter().all(|row| {
            // What cannot be read fits everything; the reader names it.
            let (Some(o), Some(h), Some(l), Some(c)) =
                (number(row, o), number(row, h), number(row, l), number(row, c))
            else {
                return true;
            };
            l <= o && l <= c && o <= h && c <= h
        })
    };
    let other = |name: &str| Role::Other(name.to_owned());
    let ohlc = [Role::Open, Role::High, Role::Low, Role::Close];
    let of = |head: &[Role], tail: &[Role]| [head, &ohlc, tail].concat();
    match width {
        6 => match (candles(1, 2, 3, 4), candles(3, 2, 1, 4)) {
            (true, false) | (false, false) => Shape::Known(of(&[Role::Time], &[Role::Volume]), None),
            (false, true) => Shape::Known(
                vec![Role::Time, Role::Low, Role::High, Role::Open, Role::Close, Role::Volume],
                Some("Coinbase"),
            ),
            (true, true) => Shape::Either,
        },
        7 if rows.iter().all(|row| is_clock(row.field(1))) => {
            Shape::Known(of(&[Role::Date, Role::Time], &[Role::Volume]), Some("MetaTrader"))
        }
        7 if whole(6) && candles(1, 2, 3, 4) => {
            Shape::Known(of(&[Role::Time], &[Role::Volume, other("trades")]), Some("Kraken"))
        }
        // What stands in the sixth column must be a price of the candle.
        8 if whole(7) && candles(1, 2, 3, 4) && candles(5, 2, 3, 5) => {
            Shape::Known(of(&[Role::Time], &[other("vwap"), Role::Volume, other("trades")]), Some("Kraken"))
        }
        12 if binance(&rows) => Shape::Known(
            of(
                &[Role::Time],
                &[
                    Role::Volume,
                    Role::Skip,
                    other("quote_volume"),
                    other("trades"),
                    other("taker_buy_volume"),
                    other("taker_buy_quote_volume"),
                    Role::Skip,
                ],
            ),
            Some("Binance klines"),
        ),
        _ => Shape::Unknown,
    }
}

/// Whether the seventh column closes the candle that the first one opens.
fn binance(rows: &[&Record]) -> bool {
    rows.iter().all(|row| match (epoch(row.field(0)), epoch(row.field(6))) {
        (Some(open), Some(close)) => open < close,
        _ => false,
    })
}
