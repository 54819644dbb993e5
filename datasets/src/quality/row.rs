//! One row: whether it is a candle, and what it is instead.

use blockgrid_engine::interval::Interval;

use super::Kind;
use crate::error::iso;

/// A row as it came.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Row {
    pub(super) at: i64,
    pub(super) open: f64,
    pub(super) high: f64,
    pub(super) low: f64,
    pub(super) close: f64,
    pub(super) volume: f64,
}

impl Row {
    /// Why the row is no candle after `last`, the candle before it. The rules are those of
    /// [`Candles::new`](blockgrid_engine::candles::Candles::new), in the same order.
    pub(super) fn fault(&self, interval: Interval, last: Option<&Row>) -> Option<Kind> {
        let Row { at, open, high, low, close, volume } = *self;
        let prices = [open, high, low, close];
        if !prices.iter().all(|price| price.is_finite()) || !volume.is_finite() {
            Some(Kind::NotANumber)
        } else if prices.iter().any(|&price| price <= 0.0) {
            Some(Kind::PriceNotPositive)
        } else if volume < 0.0 {
            Some(Kind::VolumeNegative)
        } else if !(low <= open && low <= close && open <= high && close <= high) {
            Some(Kind::Ohlc)
        } else if last.is_some_and(|last| at == last.at) {
            Some(Kind::Duplicate)
        } else if last.is_some_and(|last| at < last.at) {
            Some(Kind::OutOfOrder)
        } else if !is_open(interval, at) {
            Some(Kind::Misaligned)
        } else {
            None
        }
    }

    pub(super) fn same_prices(&self, other: &Row) -> bool {
        (self.open, self.high, self.low, self.close) == (other.open, other.high, other.low, other.close)
    }

    /// The fault with its values.
    pub(super) fn describe(&self, kind: Kind, last: Option<&Row>, interval: Interval) -> String {
        let Row { open, high, low, close, volume, .. } = *self;
        let prices = format!("open {open}, high {high}, low {low}, close {close}");
        match kind {
            Kind::NotANumber if volume.is_finite() => prices,
            Kind::NotANumber | Kind::VolumeNegative => format!("{prices}, volume {volume}"),
            Kind::Duplicate => match last {
                Some(last) if self.same_prices(last) && volume == last.volume => {
                    "the same candle again".to_owned()
                }
                Some(last) => format!("close {close}, but {} in the one before", last.close),
                None => prices,
            },
            Kind::OutOfOrder => {
                format!("comes after {}", last.map_or_else(String::new, |last| iso(last.at)))
            }
            Kind::Misaligned => format!("is not the open of a {interval} candle (UTC)"),
            _ => prices,
        }
    }
}

/// Whether a candle opens at `at`; moments at the ends of time are none.
fn is_open(interval: Interval, at: i64) -> bool {
    const END: i64 = i64::MAX / 4;
    (-END..END).contains(&at) && interval.open_of(at) == at
}
