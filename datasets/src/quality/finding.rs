//! What a check found.

use std::fmt;

use blockgrid_engine::interval::Interval;
use serde::{Serialize, Serializer};

use crate::error::iso;

/// What is wrong, or worth knowing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A price or a volume is NaN or infinite.
    NotANumber,
    /// A price is zero or negative.
    PriceNotPositive,
    /// A volume is negative.
    VolumeNegative,
    /// `low <= open, close <= high` does not hold.
    Ohlc,
    /// The timestamp is not the open of a candle of the interval.
    Misaligned,
    /// The timestamp is that of the candle before.
    Duplicate,
    /// The timestamp lies before that of the candle before.
    OutOfOrder,
    /// Candles are missing between two others.
    Gap,
    /// Too large a share of the candles is missing.
    Missing,
    /// A close far off that the next close takes back.
    BadTick,
    /// A high or low far off both closes around it.
    BadWick,
    /// Candles that repeat the four prices of the one before.
    Frozen,
    /// Candles without volume.
    ZeroVolume,
    /// Closes far from the one before, by the series' own measure.
    OutlierReturn,
    /// Ranges (high over low) far beyond the usual, by the series' own measure.
    OutlierRange,
    /// The series ends long before others, or before now.
    Stale,
}

impl Kind {
    /// Its name in JSON and in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::NotANumber => "not_a_number",
            Self::PriceNotPositive => "price_not_positive",
            Self::VolumeNegative => "volume_negative",
            Self::Ohlc => "ohlc",
            Self::Misaligned => "misaligned",
            Self::Duplicate => "duplicate",
            Self::OutOfOrder => "out_of_order",
            Self::Gap => "gap",
            Self::Missing => "missing",
            Self::BadTick => "bad_tick",
            Self::BadWick => "bad_wick",
            Self::Frozen => "frozen",
            Self::ZeroVolume => "zero_volume",
            Self::OutlierReturn => "outlier_return",
            Self::OutlierRange => "outlier_range",
            Self::Stale => "stale",
        }
    }

    /// Whether rows of this kind are no candles: they never reach a strategy.
    pub fn is_bad_row(self) -> bool {
        self <= Self::OutOfOrder
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// A job under `quality: strict` refuses the candles.
    Violation,
    /// Worth knowing.
    Note,
}

impl Severity {
    pub(super) fn of(violates: bool) -> Self {
        if violates { Self::Violation } else { Self::Note }
    }
}

/// One occurrence.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Example {
    /// Open of the (first) candle, UTC milliseconds; written as ISO 8601.
    #[serde(serialize_with = "time")]
    pub at: i64,
    /// Candles it covers.
    pub bars: u64,
    /// What is there, with values.
    pub what: String,
}

impl fmt::Display for Example {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", iso(self.at), self.what)
    }
}

/// All occurrences of one kind in one series.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Finding {
    /// What it is.
    pub kind: Kind,
    /// How bad.
    pub severity: Severity,
    /// The symbol.
    pub symbol: String,
    /// The interval.
    pub interval: Interval,
    /// Open of the first candle concerned, UTC milliseconds; written as ISO 8601.
    #[serde(serialize_with = "time")]
    pub first: i64,
    /// Occurrences: rows, gaps, runs, moves.
    pub count: u64,
    /// Candles they cover: rows left out, candles missing, lengths of runs.
    pub bars: u64,
    /// How many occurrences are beyond the threshold.
    pub over: u64,
    /// The worst ones, worst first; of rows that are no candles the first ones.
    pub worst: Vec<Example>,
    /// From where on it is a violation (or, of a note, from where on it is told).
    pub threshold: String,
}

/// A finding before it is said of what and in which series.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub(super) severity: Severity,
    pub(super) first: i64,
    pub(super) count: u64,
    pub(super) bars: u64,
    pub(super) over: u64,
    pub(super) worst: Vec<Example>,
    pub(super) threshold: String,
}

impl fmt::Display for Finding {
    /// One line: kind, count, worst example.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} x {}", self.count, self.kind)?;
        if self.bars != self.count {
            write!(f, " ({} candles)", self.bars)?;
        }
        match self.worst.first() {
            Some(example) if self.kind.is_bad_row() => write!(f, ", first {example}"),
            Some(example) => write!(f, ", worst {example}"),
            None => Ok(()),
        }
    }
}

/// What the checks found in one series.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// The symbol.
    pub symbol: String,
    /// The interval.
    pub interval: Interval,
    /// Rows seen.
    pub rows: u64,
    /// Rows that are candles.
    pub candles: u64,
    /// Open of the first candle, UTC milliseconds; written as ISO 8601.
    #[serde(serialize_with = "time_or_null")]
    pub first: Option<i64>,
    /// Open of the last candle, UTC milliseconds; written as ISO 8601.
    #[serde(serialize_with = "time_or_null")]
    pub last: Option<i64>,
    /// Gaps between the first and the last candle.
    pub gaps: u64,
    /// Candles missing in them.
    pub missing: u64,
    /// Violations first.
    pub findings: Vec<Finding>,
}

impl Report {
    /// The findings that make a job refuse the candles.
    pub fn violations(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|finding| finding.severity == Severity::Violation)
    }

    /// The finding of a kind.
    pub fn finding(&self, kind: Kind) -> Option<&Finding> {
        self.findings.iter().find(|finding| finding.kind == kind)
    }

    /// Takes findings in; violations stand first.
    pub(super) fn add(&mut self, found: impl IntoIterator<Item = (Kind, Found)>) {
        for (kind, Found { severity, first, count, bars, over, worst, threshold }) in found {
            let (symbol, interval) = (self.symbol.clone(), self.interval);
            self.findings.push(Finding {
                kind,
                severity,
                symbol,
                interval,
                first,
                count,
                bars,
                over,
                worst,
                threshold,
            });
        }
        self.findings.sort_by_key(|finding| (finding.severity, finding.kind));
    }

    /// Rows that are no candles.
    pub fn bad_rows(&self) -> u64 {
        self.rows - self.candles
    }
}

fn time<S: Serializer>(ms: &i64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&iso(*ms))
}

fn time_or_null<S: Serializer>(ms: &Option<i64>, serializer: S) -> Result<S::Ok, S::Error> {
    match ms {
        Some(ms) => time(ms, serializer),
        None => serializer.serialize_none(),
    }
}
