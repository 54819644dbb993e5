//! Reading one file to its end: its rows in the spool, and what is known of it after that.

use blockgrid_engine::interval::Interval;

use super::ImportError;
use super::batch::Batch;
use super::check::Checker;
use super::detected::Detected;
use super::names::clean_symbol;
use super::open::open;
use super::options::{BadRows, ImportOptions};
use super::source::Source;
use super::spool::Spool;

/// A file that was read.
#[derive(Debug)]
pub(crate) struct Scanned {
    pub(crate) detected: Detected,
    pub(crate) symbol: Option<String>,
    pub(crate) interval: Interval,
    /// Names of the columns that ride along.
    pub(crate) others: Vec<String>,
    /// Batches in the spool, oldest first.
    pub(crate) batches: Vec<usize>,
    newest_first: bool,
    pub(crate) first: i64,
    pub(crate) last: i64,
    pub(crate) checker: Checker,
    refuse: bool,
    clean_prices: bool,
    clean_volume: bool,
}

/// Reads a file into the spool. `progress` is called with the bytes of the file that were read so far.
pub(crate) fn scan(
    source: &Source,
    options: &ImportOptions,
    spool: &mut Spool,
    progress: &mut dyn FnMut(u64),
) -> Result<Scanned, ImportError> {
    let found = scan_once(source, options, spool, progress);
    // What is wrong with a file that changes meanwhile is that it changes.
    source.check_unchanged().and(found)
}

fn scan_once(
    source: &Source,
    options: &ImportOptions,
    spool: &mut Spool,
    progress: &mut dyn FnMut(u64),
) -> Result<Scanned, ImportError> {
    let (mut detected, mut rows) = open(source, options)?;
    let others: Vec<String> = detected.others().into_iter().map(|(name, _)| name).collect();
    let mut checker = Checker::new(detected.newest_first);
    let mut batch = Batch::new(others.len());
    let mut batches = Vec::new();
    while rows.next(&mut batch)? {
        checker.check(&mut batch);
        if batch.len() > 0 {
            batches.push(spool.push(&batch)?);
        }
        progress(source.read.load(std::sync::atomic::Ordering::Relaxed));
    }
    let file = &source.name;
    let refuse = options.bad_rows == BadRows::Refuse;
    if refuse && let Some(error) = checker.bad_rows(file, |at| detected.place(at)) {
        return Err(error);
    }
    let Some((first, last)) = checker.ends else { return Err(ImportError::Empty { file: file.clone() }) };
    let newest_first = detected.newest_first;
    if newest_first {
        batches.reverse();
    }
    let interval = checker.interval(file, options.interval, detected.named_interval)?;
    let symbol = match &options.symbol {
        Some(symbol) => Some(check_symbol(symbol)?),
        None => detected.symbol.clone(),
    };
    detected.spacing = Some(interval);
    detected.symbol.clone_from(&symbol);
    let exact = options.exact;
    Ok(Scanned {
        symbol,
        interval,
        others,
        batches,
        newest_first,
        first: first.min(last),
        last: last.max(first),
        refuse,
        clean_prices: !exact && checker.prices.to_clean() > 0,
        clean_volume: !exact && checker.volume.to_clean() > 0,
        checker,
        detected,
    })
}

fn check_symbol(symbol: &str) -> Result<String, ImportError> {
    match clean_symbol(symbol) {
        Some(clean) if clean == symbol => Ok(clean),
        _ => Err(ImportError::BadOption {
            option: "--symbol",
            message: format!(
                "is `{symbol}`, but may have letters, digits, `.`, `_` and `-` only, as in BTC-USD"
            ),
        }),
    }
}

impl Scanned {
    /// How many values are moved to their decimals.
    pub(crate) fn cleaned(&self) -> u64 {
        let count = |clean: bool, to_clean: u64| if clean { to_clean } else { 0 };
        count(self.clean_prices, self.checker.prices.to_clean())
            + count(self.clean_volume, self.checker.volume.to_clean())
    }

    /// Takes the next batch out of the spool, oldest candle first, cleaned and aligned.
    pub(crate) fn take(&mut self, number: usize, spool: &mut Spool) -> Result<Batch, ImportError> {
        let mut batch = spool.take(self.batches[number])?;
        if self.newest_first {
            batch.reverse();
        }
        if self.clean_prices {
            batch.columns[..4].iter_mut().for_each(|column| super::clean::clean(column));
        }
        if self.clean_volume {
            super::clean::clean(&mut batch.columns[4]);
        }
        let keep = self.checker.aligned(self.interval, &batch);
        if keep.contains(&false) {
            batch.retain(&keep);
        }
        Ok(batch)
    }

    /// The misaligned rows, once all batches were taken.
    pub(crate) fn misaligned(&self) -> Result<(), ImportError> {
        let error = self.checker.bad_rows(&self.detected.file, |at| self.detected.place(at));
        match error.filter(|_| self.refuse) {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }
}
