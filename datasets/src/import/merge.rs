//! From files into a data set: what they hold replaces what the data set has between their first and last candle.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};

use blockgrid_engine::candles::Candles;
use blockgrid_engine::interval::Interval;

use super::batch::{BATCH, Batch};
use super::candles;
use super::check::BadRowCounts;
use super::detected::Detected;
use super::error::ImportError;
use super::join::Joined;
use super::options::ImportOptions;
use super::scan::{Scanned, scan};
use super::source::Source;
use super::spool::Spool;
use crate::error::iso;
use crate::manifest::{FileEntry, Manifest};
use crate::partition::Partition;
use crate::{About, Dataset, DatasetError, DatasetWriter};

/// Bytes of candles that wait in memory; what is more waits in the folder of the data set.
const IN_MEMORY: usize = 256 << 20;

/// Changed candles that are shown.
const EXAMPLES: usize = 3;

/// How far an import is.
#[derive(Debug, Clone, Copy)]
pub struct Progress<'a> {
    /// The file that is read.
    pub file: &'a str,
    /// Bytes of the files that were read.
    pub read: u64,
    /// Bytes of all files.
    pub total: u64,
}

/// What an import did.
#[derive(Debug, Clone, PartialEq)]
pub struct Imported {
    /// How each file was read.
    pub files: Vec<Detected>,
    /// What became of each symbol and interval, by symbol.
    pub series: Vec<ImportedSeries>,
    /// The data set as it is now.
    pub manifest: Manifest,
}

/// What an import did to one symbol at one interval.
#[derive(Debug, Clone, PartialEq)]
pub struct ImportedSeries {
    /// The symbol.
    pub symbol: String,
    /// The interval.
    pub interval: Interval,
    /// Candles in the files.
    pub candles: u64,
    /// The first of them, UTC milliseconds.
    pub first: i64,
    /// The last of them.
    pub last: i64,
    /// The columns beside OHLCV in the files.
    pub columns: Vec<String>,
    /// Candles that the data set did not have.
    pub added: u64,
    /// Candles that the data set had with other values.
    pub changed: u64,
    /// Candles between first and last that the files do not have, and the data set now neither.
    pub removed: u64,
    /// Candles that the data set had.
    pub unchanged: u64,
    /// The first changed candles: time, column, old and new value.
    pub examples: Vec<Change>,
    /// Values that were moved to the decimals they were off.
    pub cleaned: u64,
    /// Rows that were left out.
    pub bad_rows: BadRowCounts,
}

/// A value that an import changed.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// The candle, UTC milliseconds.
    pub at: i64,
    /// The column.
    pub column: String,
    /// What the data set had.
    pub old: f64,
    /// What the file has.
    pub new: f64,
}

/// Imports files into the data set in a folder, which is made if it is missing. The data set is either as it was or as
/// it becomes, whatever happens meanwhile.
///
/// Files of one symbol and interval are joined, and must be equal where they overlap. Between the first and the last
/// candle of a symbol, the data set then has what the files have; a column that the files do not have keeps its values.
///
/// # Errors
/// When a file is not understood or holds rows that are no candles ([`ImportError`]), and when the data set cannot be
/// written.
pub fn import(
    paths: &[PathBuf],
    root: &Path,
    about: &About,
    options: &ImportOptions,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Imported, DatasetError> {
    let mut sources = Vec::new();
    for path in paths {
        sources.extend(Source::at(path)?);
    }
    let mut writer = DatasetWriter::open(root, about)?;
    let mut spool = Spool::beside(root.to_owned(), IN_MEMORY);
    let total = sources.iter().map(Source::size).sum();
    let mut done = 0;
    let mut groups: BTreeMap<(String, Interval), Vec<Scanned>> = BTreeMap::new();
    let mut files = Vec::new();
    for source in &sources {
        let mut report = |read: u64| {
            progress(Progress { file: &source.name, read: done + read.min(source.size()), total })
        };
        let scanned = scan(source, options, &mut spool, &mut report)?;
        done += source.size();
        files.push(scanned.detected.clone());
        let symbol = scanned.symbol.clone().ok_or_else(|| ImportError::Symbol {
            file: source.name.clone(),
            message:
                "neither a column nor the name of the file tells the symbol: give it, as in --symbol BTC-USD"
                    .to_owned(),
        })?;
        groups.entry((symbol, scanned.interval)).or_default().push(scanned);
    }
    let old = match writer.manifest() {
        Some(_) => Some(Dataset::open(&root.to_string_lossy())?),
        None => None,
    };
    let mut series = Vec::new();
    for ((symbol, interval), group) in groups {
        series.push(write(&mut writer, old.as_ref(), &symbol, interval, group, &mut spool)?);
    }
    let manifest = writer.commit()?;
    Ok(Imported { files, series, manifest })
}

/// Writes the candles of one symbol and interval.
fn write(
    writer: &mut DatasetWriter,
    old: Option<&Dataset>,
    symbol: &str,
    interval: Interval,
    group: Vec<Scanned>,
    spool: &mut Spool,
) -> Result<ImportedSeries, DatasetError> {
    let first = group.iter().map(|file| file.first).min().unwrap_or_default();
    let last = group.iter().map(|file| file.last).max().unwrap_or_default();
    let cleaned = group.iter().map(Scanned::cleaned).sum();
    let mut joined = Joined::new(group);
    let mut old = Old::new(old, symbol, interval, (first, last));
    for file in &old.files {
        writer.give_up(symbol, interval, Partition::of(interval, file.first));
    }
    let mut names = joined.others.clone();
    names.extend(old.columns.iter().filter(|name| !joined.others.contains(name)).cloned());
    let mut merge = Merge {
        names,
        out: Batch::default(),
        report: ImportedSeries {
            symbol: symbol.to_owned(),
            interval,
            candles: 0,
            first,
            last,
            columns: joined.others.clone(),
            added: 0,
            changed: 0,
            removed: 0,
            unchanged: 0,
            examples: Vec::new(),
            cleaned,
            bad_rows: BadRowCounts::default(),
        },
    };
    merge.out = Batch::new(merge.names.len());
    let mut into = writer.series(symbol, interval)?;
    let mut batch = Batch::default();
    let mut push = |merge: &mut Merge, least: usize| -> Result<(), DatasetError> {
        if merge.out.len() >= least.max(1) {
            let out = std::mem::replace(&mut merge.out, Batch::new(merge.names.len()));
            into.push(&candles(interval, out, &merge.names, symbol)?)?;
        }
        Ok(())
    };
    while joined.next(spool, &mut batch)? {
        merge.report.candles += batch.len() as u64;
        for row in 0..batch.len() {
            let at = batch.timestamp[row];
            while old.head()?.is_some_and(|head| head < at) {
                merge.only_old(&old);
                old.row += 1;
                push(&mut merge, BATCH)?;
            }
            if old.head()? == Some(at) {
                merge.both(&old, &batch, row);
                old.row += 1;
            } else {
                merge.only_new(&batch, row);
            }
        }
        push(&mut merge, BATCH)?;
    }
    while old.head()?.is_some() {
        merge.only_old(&old);
        old.row += 1;
        push(&mut merge, BATCH)?;
    }
    push(&mut merge, 1)?;
    into.finish()?;
    for file in &joined.done {
        merge.report.bad_rows.add_all(&file.checker.counts);
    }
    Ok(merge.report)
}

/// The candles that a data set has in the files that an import touches, oldest first.
struct Old<'a> {
    dataset: Option<&'a Dataset>,
    symbol: &'a str,
    interval: Interval,
    files: Vec<FileEntry>,
    upcoming: VecDeque<FileEntry>,
    columns: Vec<String>,
    candles: Option<Candles>,
    row: usize,
}

impl<'a> Old<'a> {
    fn new(
        dataset: Option<&'a Dataset>,
        symbol: &'a str,
        interval: Interval,
        (first, last): (i64, i64),
    ) -> Self {
        let of = |ms| Partition::of(interval, ms);
        let mut files: Vec<FileEntry> = dataset
            .map(|dataset| dataset.manifest().files.as_slice())
            .unwrap_or_default()
            .iter()
            .filter(|f| {
                f.symbol == symbol
                    && f.interval == interval
                    && of(f.last) >= of(first)
                    && of(f.first) <= of(last)
            })
            .cloned()
            .collect();
        files.sort_by_key(|file| file.first);
        let mut columns: Vec<String> = files.iter().flat_map(|file| file.columns.clone()).collect();
        columns.sort();
        columns.dedup();
        let upcoming = files.clone().into();
        Self { dataset, symbol, interval, files, upcoming, columns, candles: None, row: 0 }
    }

    /// The time of the next candle.
    fn head(&mut self) -> Result<Option<i64>, DatasetError> {
        loop {
            if let Some(at) = self.candles.as_ref().and_then(|candles| candles.timestamp().get(self.row)) {
                return Ok(Some(*at));
            }
            let (Some(dataset), Some(file)) = (self.dataset, self.upcoming.pop_front()) else {
                return Ok(None);
            };
            let columns: Vec<&str> = self.columns.iter().map(String::as_str).collect();
            let end = file.last.saturating_add(1);
            let read =
                dataset.read_with(self.symbol, self.interval, Some(file.first), Some(end), &columns)?;
            self.candles = Some(read);
            self.row = 0;
        }
    }

    /// A column of the next candle by its name.
    fn value(&self, name: &str) -> f64 {
        let Some(candles) = &self.candles else { return f64::NAN };
        let column = match name {
            "open" => candles.open(),
            "high" => candles.high(),
            "low" => candles.low(),
            "close" => candles.close(),
            "volume" => candles.volume(),
            _ => match candles.columns().iter().find(|(column, _)| column == name) {
                Some((_, values)) => values,
                None => return f64::NAN,
            },
        };
        column[self.row]
    }

    fn at(&self) -> i64 {
        self.candles.as_ref().map_or(0, |candles| candles.timestamp()[self.row])
    }
}

const OHLCV: [&str; 5] = ["open", "high", "low", "close", "volume"];

/// What is written, and what is said about it.
struct Merge {
    /// Columns beside OHLCV: of the files, then those that only the data set has.
    names: Vec<String>,
    out: Batch,
    report: ImportedSeries,
}

impl Merge {
    fn columns(&self) -> impl Iterator<Item = &str> {
        OHLCV.into_iter().chain(self.names.iter().map(String::as_str))
    }

    /// A candle outside the range of the files stays, one inside goes.
    fn only_old(&mut self, old: &Old<'_>) {
        let at = old.at();
        if (self.report.first..=self.report.last).contains(&at) {
            self.report.removed += 1;
            return;
        }
        let values: Vec<f64> = self.columns().map(|name| old.value(name)).collect();
        self.push(at, values);
    }

    fn only_new(&mut self, batch: &Batch, row: usize) {
        self.report.added += 1;
        self.out.place.push(0);
        self.out.timestamp.push(batch.timestamp[row]);
        for (k, column) in self.out.columns.iter_mut().enumerate() {
            column.push(batch.columns.get(k).map_or(f64::NAN, |values| values[row]));
        }
    }

    fn both(&mut self, old: &Old<'_>, batch: &Batch, row: usize) {
        let at = batch.timestamp[row];
        let mut change = None;
        let mut values = Vec::with_capacity(self.out.columns.len());
        for (k, name) in self.columns().enumerate() {
            let before = old.value(name);
            let after = batch.columns.get(k).map_or(before, |values| values[row]);
            let same = before == after || (before.is_nan() && after.is_nan());
            if !same && change.is_none() {
                change = Some(Change { at, column: name.to_owned(), old: before, new: after });
            }
            values.push(after);
        }
        match change {
            None => self.report.unchanged += 1,
            Some(change) => {
                self.report.changed += 1;
                if self.report.examples.len() < EXAMPLES {
                    self.report.examples.push(change);
                }
            }
        }
        self.push(at, values);
    }

    fn push(&mut self, at: i64, values: Vec<f64>) {
        self.out.place.push(0);
        self.out.timestamp.push(at);
        for (column, value) in self.out.columns.iter_mut().zip(values) {
            column.push(value);
        }
    }
}

impl std::fmt::Display for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}: {} -> {}", iso(self.at), self.column, self.old, self.new)
    }
}
