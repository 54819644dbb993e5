//! Candles in memory: one vector a column, checked once at the edge.

use crate::interval::Interval;

/// Candles of one symbol, oldest first, one vector a column; all of one length.
///
/// `timestamp` is the open of the candle in UTC milliseconds. Prices are finite and positive, `low <= open, close <=
/// high`, volumes finite and not negative, timestamps strictly ascending and multiples of the interval: [`Candles::new`]
/// checks it, so nothing downstream has to.
///
/// Columns may ride along (funding rate, open interest, any number by name); their values may be NaN, which is unknown.
#[derive(Debug, Clone, PartialEq)]
pub struct Candles {
    interval: Interval,
    timestamp: Vec<i64>,
    open: Vec<f64>,
    high: Vec<f64>,
    low: Vec<f64>,
    close: Vec<f64>,
    volume: Vec<f64>,
    columns: Vec<(String, Vec<f64>)>,
    filled: Vec<bool>,
}

/// The six columns before they are checked.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RawCandles {
    /// Open of the candle, UTC milliseconds.
    pub timestamp: Vec<i64>,
    /// Price of the first trade.
    pub open: Vec<f64>,
    /// Highest price.
    pub high: Vec<f64>,
    /// Lowest price.
    pub low: Vec<f64>,
    /// Price of the last trade.
    pub close: Vec<f64>,
    /// Base volume traded.
    pub volume: Vec<f64>,
}

/// What is wrong with a candle, and where. `row` counts from 0.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum CandleError {
    /// The columns have different lengths.
    #[error("column `{column}` has {len} rows but `timestamp` has {expected}")]
    Length {
        /// The short or long column.
        column: &'static str,
        /// Its length.
        len: usize,
        /// The length of `timestamp`.
        expected: usize,
    },
    /// A column beside the candle has another length.
    #[error("column `{column}` has {len} rows but there are {expected} candles")]
    ColumnLength {
        /// The short or long column.
        column: String,
        /// Its length.
        len: usize,
        /// The number of candles.
        expected: usize,
    },
    /// A value is NaN or infinite.
    #[error(
        "row {row} ({at}): `{column}` is {value}, but every price and volume must be a finite number", at = utc(.timestamp)
    )]
    NotFinite {
        /// Row, from 0.
        row: usize,
        /// The candle's timestamp.
        timestamp: i64,
        /// Column name.
        column: &'static str,
        /// The value.
        value: f64,
    },
    /// A price is zero or negative, or a volume negative.
    #[error(
        "row {row} ({at}): `{column}` is {value}, but prices must be above 0 and volumes not below 0", at = utc(.timestamp)
    )]
    OutOfRange {
        /// Row, from 0.
        row: usize,
        /// The candle's timestamp.
        timestamp: i64,
        /// Column name.
        column: &'static str,
        /// The value.
        value: f64,
    },
    /// `low <= open, close <= high` does not hold.
    #[error(
        "row {row} ({at}): open {open}, high {high}, low {low}, close {close} is no candle: low must be the lowest and high the highest", at = utc(.timestamp)
    )]
    Ohlc {
        /// Row, from 0.
        row: usize,
        /// The candle's timestamp.
        timestamp: i64,
        /// Open.
        open: f64,
        /// High.
        high: f64,
        /// Low.
        low: f64,
        /// Close.
        close: f64,
    },
    /// Timestamps do not ascend.
    #[error(
        "row {row}: timestamp {at} comes after {before}: sort the candles by time, oldest first", at = utc(.timestamp), before = utc(.previous)
    )]
    Unsorted {
        /// Row, from 0.
        row: usize,
        /// The candle's timestamp.
        timestamp: i64,
        /// The timestamp before it.
        previous: i64,
    },
    /// Two candles carry the same timestamp.
    #[error("row {row}: timestamp {at} appears twice: keep one candle for each time", at = utc(.timestamp))]
    Duplicate {
        /// Row, from 0.
        row: usize,
        /// The candle's timestamp.
        timestamp: i64,
    },
    /// A timestamp is not a multiple of the interval.
    #[error(
        "row {row}: timestamp {at} is not the open of a {interval} candle (UTC): check the interval", at = utc(.timestamp)
    )]
    Misaligned {
        /// Row, from 0.
        row: usize,
        /// The candle's timestamp.
        timestamp: i64,
        /// The interval.
        interval: Interval,
    },
}

/// A moment as people read it: RFC 3339, UTC, with a fraction of a second only where there is one.
fn utc(ms: &i64) -> String {
    jiff::Timestamp::from_millisecond(*ms).map_or_else(|_| format!("{ms} ms since 1970"), |at| at.to_string())
}

impl Candles {
    /// Checks the columns and takes them.
    ///
    /// # Errors
    /// The first [`CandleError`] in row order: unequal lengths, a NaN or infinity, a price at or below zero, a candle
    /// whose low is not the lowest or high not the highest, timestamps that do not ascend or are misaligned.
    pub fn new(interval: Interval, raw: RawCandles) -> Result<Self, CandleError> {
        let RawCandles { timestamp, open, high, low, close, volume } = raw;
        let columns =
            [("open", &open), ("high", &high), ("low", &low), ("close", &close), ("volume", &volume)];
        for (column, values) in columns {
            if values.len() != timestamp.len() {
                return Err(CandleError::Length { column, len: values.len(), expected: timestamp.len() });
            }
        }
        for (row, &at) in timestamp.iter().enumerate() {
            for (column, values) in columns {
                let value = values[row];
                if !value.is_finite() {
                    return Err(CandleError::NotFinite { row, timestamp: at, column, value });
                }
                if value < 0.0 || (value == 0.0 && column != "volume") {
                    return Err(CandleError::OutOfRange { row, timestamp: at, column, value });
                }
            }
            let (o, h, l, c) = (open[row], high[row], low[row], close[row]);
            if !(l <= o && l <= c && o <= h && c <= h) {
                return Err(CandleError::Ohlc { row, timestamp: at, open: o, high: h, low: l, close: c });
            }
            if row > 0 && at == timestamp[row - 1] {
                return Err(CandleError::Duplicate { row, timestamp: at });
            }
            if row > 0 && at < timestamp[row - 1] {
                return Err(CandleError::Unsorted { row, timestamp: at, previous: timestamp[row - 1] });
            }
            if interval.open_of(at) != at {
                return Err(CandleError::Misaligned { row, timestamp: at, interval });
            }
        }
        Ok(Self::from_checked(interval, RawCandles { timestamp, open, high, low, close, volume }))
    }

    /// Columns made from checked candles, which are valid by construction.
    pub(crate) fn from_checked(interval: Interval, raw: RawCandles) -> Self {
        let RawCandles { timestamp, open, high, low, close, volume } = raw;
        let (columns, filled) = (Vec::new(), Vec::new());
        Self { interval, timestamp, open, high, low, close, volume, columns, filled }
    }

    /// Columns made from those of checked candles.
    pub(crate) fn with_checked_columns(self, columns: Vec<(String, Vec<f64>)>) -> Self {
        Self { columns, ..self }
    }

    /// The same candles with columns beside OHLCV, in this order.
    ///
    /// # Errors
    /// [`CandleError::ColumnLength`] when a column has another length than the candles.
    pub fn with_columns(self, columns: Vec<(String, Vec<f64>)>) -> Result<Self, CandleError> {
        for (column, values) in &columns {
            if values.len() != self.len() {
                let (column, len, expected) = (column.clone(), values.len(), self.len());
                return Err(CandleError::ColumnLength { column, len, expected });
            }
        }
        Ok(Self { columns, ..self })
    }

    /// The same candles with gaps of at most `max_bars` candles filled forward: a filled candle has the close before
    /// the gap as its four prices, no volume, and the values of the columns beside it. Longer gaps stay as they are.
    /// [`Candles::filled`] tells which candles were made.
    pub fn fill_forward(&self, max_bars: usize) -> Self {
        let step = self.interval.millis();
        let mut rows: Vec<(usize, i64, bool)> = Vec::with_capacity(self.len());
        for (i, &at) in self.timestamp.iter().enumerate() {
            if i > 0 {
                let before = self.timestamp[i - 1];
                let missing = usize::try_from((at - before) / step - 1).unwrap_or(usize::MAX);
                if missing <= max_bars {
                    rows.extend((1..=missing as i64).map(|k| (i - 1, before + k * step, true)));
                }
            }
            rows.push((i, at, self.filled.get(i).copied().unwrap_or(false)));
        }
        let price = |column: &[f64]| -> Vec<f64> {
            rows.iter()
                .map(|&(i, at, _)| if at == self.timestamp[i] { column[i] } else { self.close[i] })
                .collect()
        };
        let beside = |column: &[f64]| rows.iter().map(|&(i, ..)| column[i]).collect::<Vec<_>>();
        let filled: Vec<bool> = rows.iter().map(|row| row.2).collect();
        let volume = rows
            .iter()
            .map(|&(i, at, _)| if at == self.timestamp[i] { self.volume[i] } else { 0.0 })
            .collect();
        Self {
            interval: self.interval,
            timestamp: rows.iter().map(|row| row.1).collect(),
            open: price(&self.open),
            high: price(&self.high),
            low: price(&self.low),
            close: price(&self.close),
            volume,
            columns: self.columns.iter().map(|(name, values)| (name.clone(), beside(values))).collect(),
            filled: if filled.contains(&true) { filled } else { Vec::new() },
        }
    }

    /// The length of a candle.
    pub fn interval(&self) -> Interval {
        self.interval
    }

    /// Number of candles.
    pub fn len(&self) -> usize {
        self.timestamp.len()
    }

    /// Whether there is no candle.
    pub fn is_empty(&self) -> bool {
        self.timestamp.is_empty()
    }

    /// Opens of the candles, UTC milliseconds, ascending.
    pub fn timestamp(&self) -> &[i64] {
        &self.timestamp
    }

    /// Open prices.
    pub fn open(&self) -> &[f64] {
        &self.open
    }

    /// Highest prices.
    pub fn high(&self) -> &[f64] {
        &self.high
    }

    /// Lowest prices.
    pub fn low(&self) -> &[f64] {
        &self.low
    }

    /// Close prices.
    pub fn close(&self) -> &[f64] {
        &self.close
    }

    /// Base volumes.
    pub fn volume(&self) -> &[f64] {
        &self.volume
    }

    /// Columns beside OHLCV: name and values, NaN where unknown.
    pub fn columns(&self) -> &[(String, Vec<f64>)] {
        &self.columns
    }

    /// Whether candle `i` was made by [`Candles::fill_forward`].
    pub fn is_filled(&self, i: usize) -> bool {
        self.filled.get(i).copied().unwrap_or(false)
    }

    /// How many candles were made by [`Candles::fill_forward`].
    pub fn filled(&self) -> usize {
        self.filled.iter().filter(|filled| **filled).count()
    }

    /// When candle `i` closes, UTC milliseconds: its open plus the interval.
    pub fn close_time(&self, i: usize) -> i64 {
        self.timestamp[i] + self.interval.millis()
    }

    /// The candles `range`, copied.
    pub fn slice(&self, range: std::ops::Range<usize>) -> Candles {
        Candles {
            interval: self.interval,
            timestamp: self.timestamp[range.clone()].to_vec(),
            open: self.open[range.clone()].to_vec(),
            high: self.high[range.clone()].to_vec(),
            low: self.low[range.clone()].to_vec(),
            close: self.close[range.clone()].to_vec(),
            volume: self.volume[range.clone()].to_vec(),
            columns: self
                .columns
                .iter()
                .map(|(name, values)| (name.clone(), values[range.clone()].to_vec()))
                .collect(),
            filled: self.filled.get(range).map_or_else(Vec::new, <[bool]>::to_vec),
        }
    }

    /// How many candles are missing between the first and the last.
    pub fn gaps(&self) -> usize {
        match (self.timestamp.first(), self.timestamp.last()) {
            (Some(first), Some(last)) => usize::try_from((last - first) / self.interval.millis() + 1)
                .unwrap_or(0)
                .saturating_sub(self.len()),
            _ => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(timestamp: &[i64], open: f64) -> String {
        let one = vec![1.0; timestamp.len()];
        let raw = RawCandles {
            timestamp: timestamp.to_vec(),
            open: vec![open; timestamp.len()],
            high: one.clone(),
            low: one.clone(),
            close: one.clone(),
            volume: one,
        };
        Candles::new("1h".parse().unwrap(), raw).unwrap_err().to_string()
    }

    #[test]
    fn messages_give_times_in_utc() {
        let at = 1_515_560_400_000;
        let hour = 3_600_000;
        for (found, expected) in [
            (error(&[at], f64::NAN), "row 0 (2018-01-10T05:00:00Z): `open` is NaN"),
            (error(&[at], 0.0), "row 0 (2018-01-10T05:00:00Z): `open` is 0"),
            (error(&[at], 2.0), "row 0 (2018-01-10T05:00:00Z): open 2, high 1"),
            (error(&[at, at], 1.0), "row 1: timestamp 2018-01-10T05:00:00Z appears twice"),
            (
                error(&[at, at - hour], 1.0),
                "row 1: timestamp 2018-01-10T04:00:00Z comes after 2018-01-10T05:00:00Z",
            ),
            (
                error(&[at + 1500], 1.0),
                "row 0: timestamp 2018-01-10T05:00:01.5Z is not the open of a 1h candle",
            ),
            (error(&[i64::MAX], 1.0), "row 0: timestamp 9223372036854775807 ms since 1970 is not the open"),
        ] {
            assert!(found.starts_with(expected), "`{expected}` does not begin: {found}");
        }
    }
}
