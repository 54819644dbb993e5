//! Which rows of a file are no candles.

use std::collections::BTreeMap;
use std::fmt;

use blockgrid_engine::candles::CandleError;
use blockgrid_engine::interval::Interval;

use super::ImportError;
use super::batch::Batch;
use super::clean::Decimals;
use super::error::BadRowList;
use crate::error::{FileRow, split};

/// Bad rows that an error shows.
const SHOWN: usize = 5;

/// Distances that are told apart; garbage has more, candles a handful.
const MAX_DISTANCES: usize = 4096;

/// Why a row is no candle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum BadRowKind {
    /// A value is missing, NaN or infinite.
    NotFinite,
    /// A price is not above zero, or a volume below.
    OutOfRange,
    /// The low is not the lowest or the high not the highest.
    Ohlc,
    /// The time is that of the row before it.
    Duplicate,
    /// The time lies on the wrong side of the row before it.
    OutOfOrder,
    /// The time is no open of a candle of the interval.
    Misaligned,
}

impl BadRowKind {
    /// All of them, in order.
    pub const ALL: [Self; 6] =
        [Self::NotFinite, Self::OutOfRange, Self::Ohlc, Self::Duplicate, Self::OutOfOrder, Self::Misaligned];

    /// As it is counted: `3 duplicate`.
    pub fn name(self) -> &'static str {
        match self {
            Self::NotFinite => "missing or not finite",
            Self::OutOfRange => "out of range",
            Self::Ohlc => "no candle",
            Self::Duplicate => "duplicate",
            Self::OutOfOrder => "out of order",
            Self::Misaligned => "misaligned",
        }
    }
}

/// How many rows are bad, by kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BadRowCounts([u64; 6]);

impl BadRowCounts {
    /// All of them.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// Those of a kind.
    pub fn of(&self, kind: BadRowKind) -> u64 {
        self.0[kind as usize]
    }

    pub(crate) fn add(&mut self, kind: BadRowKind) {
        self.0[kind as usize] += 1;
    }

    /// Adds those of another file.
    pub fn add_all(&mut self, other: &Self) {
        self.0.iter_mut().zip(other.0).for_each(|(to, from)| *to += from);
    }
}

impl fmt::Display for BadRowCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let some = BadRowKind::ALL.into_iter().filter(|kind| self.of(*kind) > 0);
        let parts: Vec<String> = some.map(|kind| format!("{} {}", self.of(kind), kind.name())).collect();
        f.write_str(&parts.join(", "))
    }
}

/// Looks at every row of a file once, in the order of the file.
#[derive(Debug)]
pub(crate) struct Checker {
    newest_first: bool,
    last: Option<i64>,
    distances: BTreeMap<i64, u64>,
    pub(crate) counts: BadRowCounts,
    first_bad: Vec<(u64, String)>,
    pub(crate) rows: u64,
    /// First and last time of the rows that are kept, in the order of the file.
    pub(crate) ends: Option<(i64, i64)>,
    pub(crate) prices: Decimals,
    pub(crate) volume: Decimals,
}

impl Checker {
    pub(crate) fn new(newest_first: bool) -> Self {
        Self {
            newest_first,
            last: None,
            distances: BTreeMap::new(),
            counts: BadRowCounts::default(),
            first_bad: Vec::new(),
            rows: 0,
            ends: None,
            prices: Decimals::default(),
            volume: Decimals::default(),
        }
    }

    /// Takes the bad rows out and notes them.
    pub(crate) fn check(&mut self, batch: &mut Batch) {
        let mut keep = vec![true; batch.len()];
        for (row, keep) in keep.iter_mut().enumerate() {
            let at = batch.timestamp[row];
            match self.problem(batch, row) {
                None => {
                    if let Some(last) = self.last {
                        let distance = at.saturating_sub(last).saturating_abs();
                        if self.distances.len() < MAX_DISTANCES || self.distances.contains_key(&distance) {
                            *self.distances.entry(distance).or_default() += 1;
                        }
                    }
                    self.last = Some(at);
                    self.ends = Some((self.ends.map_or(at, |(first, _)| first), at));
                    self.rows += 1;
                }
                Some((kind, error)) => {
                    *keep = false;
                    self.note(kind, batch.place[row], message(kind, &error));
                }
            }
        }
        if keep.contains(&false) {
            batch.retain(&keep);
        }
        batch.columns[..4].iter().for_each(|column| self.prices.look(column));
        self.volume.look(&batch.columns[4]);
    }

    fn note(&mut self, kind: BadRowKind, place: u64, message: String) {
        self.counts.add(kind);
        if self.first_bad.len() < SHOWN {
            self.first_bad.push((place, message));
        }
    }

    fn problem(&self, batch: &Batch, row: usize) -> Option<(BadRowKind, CandleError)> {
        let timestamp = batch.timestamp[row];
        for (values, column) in batch.columns[..5].iter().zip(["open", "high", "low", "close", "volume"]) {
            let value = values[row];
            if !value.is_finite() {
                return Some((
                    BadRowKind::NotFinite,
                    CandleError::NotFinite { row, timestamp, column, value },
                ));
            }
            if value < 0.0 || (value == 0.0 && column != "volume") {
                return Some((
                    BadRowKind::OutOfRange,
                    CandleError::OutOfRange { row, timestamp, column, value },
                ));
            }
        }
        let [open, high, low, close] = [0, 1, 2, 3].map(|i: usize| batch.columns[i][row]);
        if !(low <= open && low <= close && open <= high && close <= high) {
            return Some((BadRowKind::Ohlc, CandleError::Ohlc { row, timestamp, open, high, low, close }));
        }
        let previous = self.last?;
        if timestamp == previous {
            return Some((BadRowKind::Duplicate, CandleError::Duplicate { row, timestamp }));
        }
        let backwards = if self.newest_first { timestamp > previous } else { timestamp < previous };
        backwards.then_some((BadRowKind::OutOfOrder, CandleError::Unsorted { row, timestamp, previous }))
    }

    /// Notes rows that do not open a candle of the interval, and marks those that do.
    pub(crate) fn aligned(&mut self, interval: Interval, batch: &Batch) -> Vec<bool> {
        let fits = |&timestamp: &i64| interval.open_of(timestamp) == timestamp;
        let keep: Vec<bool> = batch.timestamp.iter().map(fits).collect();
        for row in (0..batch.len()).filter(|row| !keep[*row]) {
            let error = CandleError::Misaligned { row, timestamp: batch.timestamp[row], interval };
            self.note(BadRowKind::Misaligned, batch.place[row], message(BadRowKind::Misaligned, &error));
        }
        keep
    }

    /// The error of the bad rows, if there are some.
    pub(crate) fn bad_rows(&self, file: &str, place: impl Fn(u64) -> FileRow) -> Option<ImportError> {
        let list = || BadRowList {
            file: file.to_owned(),
            first: self.first_bad.iter().map(|(at, message)| (place(*at), message.clone())).collect(),
            counts: self.counts,
        };
        (self.counts.total() > 0).then(|| ImportError::BadRows(list()))
    }

    /// The interval: as asked, or the most frequent distance, which must not contradict the name of the file.
    pub(crate) fn interval(
        &self,
        file: &str,
        asked: Option<Interval>,
        named: Option<Interval>,
    ) -> Result<Interval, ImportError> {
        /// Rows of which one distance at least is the interval, however sparse the market.
        const TELLING: u64 = 100;
        let error = |message| ImportError::Interval { file: file.to_owned(), message };
        let most = self.distances.iter().max_by_key(|(ms, count)| (**count, -**ms));
        if let Some(asked) = asked {
            let held = most.and_then(|(ms, _)| Interval::from_millis(*ms));
            return match held {
                // Its candles would be those at the full hour alone, as if they were hours.
                Some(held) if held < asked && asked.is_multiple_of(held) => Err(error(format!(
                    "it holds candles of {held}, not of {asked}: `blockgrid data import` makes a data set of it, which serves {asked} too; or ask {held}"
                ))),
                Some(held) if self.rows >= TELLING && !self.distances.contains_key(&asked.millis()) => {
                    Err(error(format!(
                        "it holds candles of {held}, and no two of them are {asked} apart: ask {held}"
                    )))
                }
                _ => Ok(asked),
            };
        }
        let Some((&ms, &count)) = most else {
            return named.ok_or_else(|| {
                error(format!("the interval cannot be told from {} candle(s): give it, as in `interval: 1h` or --interval 1h", self.rows))
            });
        };
        if let Some(named) = named
            && self.distances.contains_key(&named.millis())
        {
            return Ok(named);
        }
        let found = Interval::from_millis(ms).ok_or_else(|| {
            error(format!(
                "its candles are mostly {ms} ms apart ({count} of {} times), which is no interval: check the timestamps, or give the interval, as in `interval: 1h` or --interval 1h",
                self.rows - 1
            ))
        })?;
        match named {
            Some(named) => Err(error(format!(
                "its name says {named}, but its candles are mostly {found} apart: give the interval, as in `interval: {found}` or --interval {found}"
            ))),
            None => Ok(found),
        }
    }
}

/// What is wrong with a row, and the remedy.
fn message(kind: BadRowKind, error: &CandleError) -> String {
    let (_, message) = split(error);
    match (kind, error) {
        (BadRowKind::NotFinite, CandleError::NotFinite { value, column, .. }) if value.is_nan() => {
            let at = message.split_once(": ").map_or("", |(at, _)| at);
            format!(
                "{at}: `{column}` is missing or NaN, but every candle needs a value: drop the row or fill it in"
            )
        }
        _ => message,
    }
}
