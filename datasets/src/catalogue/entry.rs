//! What the catalogue knows of a data set.

use std::collections::BTreeMap;

use blockgrid_engine::interval::Interval;
use serde::{Deserialize, Serialize};

use super::span;
use crate::digest::sha256;
use crate::{Dataset, DatasetError, FileEntry, Manifest};

/// A registered data set, as its manifest described it then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CatalogueEntry {
    /// Name it is found by.
    pub name: String,
    /// Absolute path of its folder, or a URL such as `s3://bucket/prefix`.
    pub location: String,
    /// Where the candles come from.
    pub source: String,
    /// Under which licence they may be used.
    pub licence: String,
    /// Whether the candles are made up.
    pub synthetic: bool,
    /// Size of all files of candles.
    pub bytes: u64,
    /// What it holds, by symbol and interval; empty when the location could not be read.
    pub series: Vec<CatalogueSeries>,
}

/// The candles of a symbol at an interval.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CatalogueSeries {
    /// The symbol.
    pub symbol: String,
    /// The length of its candles.
    pub interval: Interval,
    /// Number of candles.
    pub rows: u64,
    /// Open of the first candle, UTC milliseconds.
    pub first: i64,
    /// Open of the last candle, UTC milliseconds.
    pub last: i64,
    /// SHA-256 in hex over the names, sizes, ranges and digests of its files.
    pub digest: String,
}

impl CatalogueEntry {
    /// The entry of a data set under a name of its own.
    pub fn new(name: &str, location: String, manifest: &Manifest) -> Self {
        Self {
            name: name.to_owned(),
            location,
            source: manifest.source.clone(),
            licence: manifest.licence.clone(),
            synthetic: manifest.synthetic,
            bytes: manifest.files.iter().map(|file| file.bytes).sum(),
            series: series(&manifest.files),
        }
    }

    /// The entry of a place that cannot be read.
    pub(crate) fn unread(name: &str, location: String) -> Self {
        let unknown = || "unknown (not read)".to_owned();
        let (source, licence) = (unknown(), unknown());
        Self {
            name: name.to_owned(),
            location,
            source,
            licence,
            synthetic: false,
            bytes: 0,
            series: Vec::new(),
        }
    }

    /// Opens the data set.
    ///
    /// # Errors
    /// [`DatasetError::Gone`] when it is no longer where it was, [`DatasetError::Changed`] when it is not what was
    /// registered; those of [`Dataset::open`].
    pub fn open(&self) -> Result<Dataset, DatasetError> {
        let dataset = self.open_as_it_is()?;
        match self.difference(dataset.manifest()) {
            None => Ok(dataset),
            Some(what) => {
                Err(DatasetError::Changed { name: self.name.clone(), location: self.location.clone(), what })
            }
        }
    }

    /// [`CatalogueEntry::open`], whether or not the data set changed since it was registered.
    ///
    /// # Errors
    /// The others of [`CatalogueEntry::open`].
    pub fn open_as_it_is(&self) -> Result<Dataset, DatasetError> {
        Dataset::open(&self.location).map_err(|error| match error {
            DatasetError::NotFound { .. } | DatasetError::NoDataset { .. } => {
                DatasetError::Gone { name: self.name.clone(), location: self.location.clone() }
            }
            other => other,
        })
    }

    /// The first thing in which a manifest is not the one that was registered.
    pub fn difference(&self, manifest: &Manifest) -> Option<String> {
        let now = Self::new(&self.name, self.location.clone(), manifest);
        for then in &self.series {
            let what = format!("{} {}", then.symbol, then.interval);
            match now.series.iter().find(|s| (&s.symbol, s.interval) == (&then.symbol, then.interval)) {
                None => return Some(format!("{what} is gone")),
                Some(s) if (s.rows, s.first, s.last) != (then.rows, then.first, then.last) => {
                    return Some(format!(
                        "{what} has {} candles from {} instead of {} from {}",
                        s.rows,
                        span(s.first, s.last),
                        then.rows,
                        span(then.first, then.last)
                    ));
                }
                Some(s) if s.digest != then.digest => return Some(format!("{what} has other files")),
                Some(_) => {}
            }
        }
        let known = |s: &&CatalogueSeries| {
            !self.series.iter().any(|then| (&s.symbol, s.interval) == (&then.symbol, then.interval))
        };
        if let Some(new) = now.series.iter().find(known) {
            return Some(format!("{} {} is new", new.symbol, new.interval));
        }
        let texts = [("source", &self.source, &now.source), ("licence", &self.licence, &now.licence)];
        if let Some((field, then, now)) = texts.into_iter().find(|(_, then, now)| then != now) {
            return Some(format!("its {field} is `{now}` instead of `{then}`"));
        }
        (self.synthetic != now.synthetic)
            .then(|| format!("`synthetic` is {} instead of {}", now.synthetic, self.synthetic))
    }

    /// Number of candles.
    pub fn rows(&self) -> u64 {
        self.series.iter().map(|series| series.rows).sum()
    }

    /// First and last open of all candles, UTC milliseconds.
    pub fn range(&self) -> Option<(i64, i64)> {
        let first = self.series.iter().map(|series| series.first).min()?;
        Some((first, self.series.iter().map(|series| series.last).max()?))
    }

    /// The symbols, sorted.
    pub fn symbols(&self) -> Vec<&str> {
        let mut symbols: Vec<&str> = self.series.iter().map(|series| series.symbol.as_str()).collect();
        symbols.sort_unstable();
        symbols.dedup();
        symbols
    }

    /// The intervals, finest first.
    pub fn intervals(&self) -> Vec<Interval> {
        let mut intervals: Vec<Interval> = self.series.iter().map(|series| series.interval).collect();
        intervals.sort_unstable();
        intervals.dedup();
        intervals
    }
}

/// The files by symbol and interval, each summed up.
fn series(files: &[FileEntry]) -> Vec<CatalogueSeries> {
    let mut by_series: BTreeMap<(&str, Interval), Vec<&FileEntry>> = BTreeMap::new();
    for file in files {
        by_series.entry((&file.symbol, file.interval)).or_default().push(file);
    }
    let sum_up = |((symbol, interval), mut files): ((&str, Interval), Vec<&FileEntry>)| {
        files.sort_by(|a, b| a.path.cmp(&b.path));
        let mut text = String::from("blockgrid series 1\n");
        for f in &files {
            // A path has no line break: it is part of an object store's key.
            text += &format!("{}\n{} {} {} {} {}\n", f.path, f.rows, f.first, f.last, f.bytes, f.sha256);
        }
        CatalogueSeries {
            symbol: symbol.to_owned(),
            interval,
            rows: files.iter().map(|f| f.rows).sum(),
            first: files.iter().map(|f| f.first).min().unwrap_or_default(),
            last: files.iter().map(|f| f.last).max().unwrap_or_default(),
            digest: sha256(text.as_bytes()),
        }
    };
    by_series.into_iter().map(sum_up).collect()
}
