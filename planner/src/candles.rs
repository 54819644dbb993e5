//! The candles of a job: found, read with their pre-roll, checked, and described.

mod checked;

pub use checked::remarks;

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

pub use blockgrid_datasets::Dataset;
use blockgrid_datasets::catalogue::SAMPLE;
use blockgrid_datasets::quality::Report;
use blockgrid_datasets::{Catalogue, FileEntry, digest, read_file, sample};
use blockgrid_engine::expr::nearest;
use blockgrid_engine::interval::short_instant;
use blockgrid_engine::sim::SymbolRules;
use blockgrid_engine::{Candles, Interval};
use blockgrid_grid::Options;
use blockgrid_grid::store::s3_objects;
use blockgrid_job::{DataSource, DataSpec, FieldError, Job, Survey, SymbolSpec};
use rayon::prelude::*;

use checked::Checked;

use crate::Refusal;

/// One symbol of a job.
pub struct SymbolCandles {
    /// Its name.
    pub name: String,
    /// Lot, tick and least notional.
    pub rules: SymbolRules,
    /// Candles with as much pre-roll as exists and is wanted.
    pub candles: Arc<Candles>,
    /// The candles before gaps were filled, which is what the digest names; the same where none was.
    pub unfilled: Arc<Candles>,
    /// The candles that are traded.
    pub run: Range<usize>,
    /// Whether there is as much history as any trial wants: none of them starts cold.
    pub has_whole_history: bool,
    /// Digest of everything read, before gaps were filled.
    pub digest: String,
    /// What the checks found in it.
    pub report: Report,
}

impl SymbolCandles {
    /// The candles that are traded, without their pre-roll.
    pub fn traded(&self) -> Candles {
        self.candles.slice(self.run.clone())
    }

    /// How many candles that are traded were made to fill gaps.
    pub fn filled(&self) -> usize {
        self.run.clone().filter(|&i| self.candles.is_filled(i)).count()
    }
}

/// The candles of a job.
pub struct JobCandles {
    /// In the order of the job.
    pub symbols: Vec<SymbolCandles>,
    /// The length of a candle.
    pub interval: Interval,
    /// What the trials need together.
    pub survey: Survey,
    /// Whether they were made, not traded.
    pub synthetic: bool,
    /// What the candles are, in a few words.
    pub source: String,
}

const DATA: &str = "spec.data";
const DATASET: &str = "spec.data.dataset";

/// Reads what the job runs on.
pub fn read(job: &Job, folder: &Path) -> Result<JobCandles, Refusal> {
    let spec = &job.spec().data;
    let mut data = match &spec.source {
        DataSource::Dataset(name) => from_dataset(job, name, open_dataset(name, folder, DATASET)?)?,
        DataSource::File(path) => from_file(job, path, folder)?,
    };
    checked::judge(spec, &mut data)?;
    Ok(data)
}

/// Reads a job's data set, as [`open_registered`] has opened it.
///
/// # Errors
/// [`Refusal`].
pub fn read_registered(job: &Job, name: &str, dataset: Dataset) -> Result<JobCandles, Refusal> {
    let mut data = from_dataset(job, name, dataset)?;
    checked::judge(&job.spec().data, &mut data)?;
    Ok(data)
}

/// Candles of a data set that a job would read, at most: by its manifest, without reading any.
pub fn rows(spec: &DataSpec, dataset: &Dataset) -> u64 {
    let Some(interval) = spec.interval else { return 0 };
    let names: Vec<String> = match spec.symbols.as_slice() {
        [] => dataset.symbols(interval),
        some => some.iter().map(|symbol| symbol.name.clone()).collect(),
    };
    let stored =
        |symbol: &String| dataset.stored_interval(symbol, interval).map(|stored| (symbol.clone(), stored));
    let wanted: std::collections::BTreeSet<_> = names.iter().filter_map(stored).collect();
    // Of a file that is traded in part, its part.
    let (from, to) = (spec.from.unwrap_or(i64::MIN), spec.to.unwrap_or(i64::MAX));
    let part = |file: &FileEntry| {
        let span = (file.last - file.first).max(1) as f64;
        let traded = to.min(file.last).saturating_sub(from.max(file.first)) as f64;
        (file.rows as f64 * (traded / span).clamp(0.0, 1.0)) as u64
    };
    let files = dataset.manifest().files.iter();
    files.filter(|file| wanted.contains(&(file.symbol.clone(), file.interval))).map(part).sum()
}

/// Opens a data set where its name is registered, which whoever wrote the job does not decide: the sample, a folder, or
/// `s3://BUCKET/PREFIX`, reached as `options` say. It must have a `dataset.json`.
///
/// # Errors
/// [`Refusal`].
pub fn open_registered(location: &str, options: &Options) -> Result<Dataset, Refusal> {
    let data = |error| Refusal::data(DATASET, error);
    if location == SAMPLE {
        return sample().map_err(data);
    }
    let dataset = if location.starts_with("s3://") {
        let (objects, prefix) = s3_objects(location, options)
            .map_err(|error| Refusal::input("cannot use the data", DATASET, error.to_string()))?;
        Dataset::from_store(objects, prefix, location).map_err(data)?
    } else {
        Dataset::open(location).map_err(data)?
    };
    // It comes last where a data set is copied: what is there by then may be half of it.
    if !dataset.has_manifest() {
        return Err(Refusal::NotWhole(FieldError::new(DATASET, "it has no dataset.json yet")));
    }
    Ok(dataset)
}

/// Opens a data set by name or location: the sample, a registered one, a folder (a relative one starts from `folder`)
/// or a URL.
pub fn open_dataset(name: &str, folder: &Path, field: &str) -> Result<Dataset, Refusal> {
    let data = |error| Refusal::data(field, error);
    if name == SAMPLE {
        return sample().map_err(data);
    }
    if name.contains("://") {
        return Dataset::open(name).map_err(data);
    }
    let path = folder.join(name);
    // What cannot be registered is a path, whatever the catalogue is like.
    if Catalogue::check_name(name).is_ok() {
        let catalogue = Catalogue::home().and_then(|home| Catalogue::open(&home)).map_err(data)?;
        if let Some(entry) = catalogue.find(name) {
            return entry.open().map_err(data);
        }
        if !path.exists() {
            return Err(Refusal::input("cannot use the data", field, unknown(name, &path, &catalogue)));
        }
    }
    Dataset::open(&path.to_string_lossy()).map_err(data)
}

/// What a name that leads nowhere might have meant.
fn unknown(name: &str, path: &Path, catalogue: &Catalogue) -> String {
    let names: Vec<&str> = catalogue.names().collect();
    let near = nearest(name, names.iter().copied()).map(|near| format!(": did you mean `{near}`?"));
    let see = if names.len() > SHOWN { ", see `blockgrid data ls`" } else { "" };
    format!(
        "`{name}` is neither a registered data set (known: {}{see}) nor a folder ({} does not exist){}",
        shown(&names),
        path.display(),
        near.unwrap_or_default()
    )
}

fn from_dataset(job: &Job, name: &str, dataset: Dataset) -> Result<JobCandles, Refusal> {
    let spec = &job.spec().data;
    let field = DATASET;
    let interval = spec.interval.ok_or_else(|| {
        Refusal::input("cannot use the data", "spec.data.interval", "is missing: name the candles' length")
    })?;
    let survey = job
        .survey(interval)
        .map_err(|errors| Refusal::fields("the strategy does not fit the data", errors))?;
    let wanted = offered(spec, &dataset, name, interval)?;
    let names: Vec<&str> = wanted.iter().map(|symbol| symbol.name.as_str()).collect();
    let from = spec.from.map(|from| from.saturating_sub(survey.pre_roll_ms));
    dataset.check_footers(&names, interval, from, spec.to).map_err(|error| Refusal::dataset(field, error))?;
    let wanted_bars = bars_wanted(&survey, interval);
    // Symbols beside each other; of several errors the first symbol's is told.
    let read = |symbol: SymbolSpec| {
        let checked = read_with_history(&dataset, spec, &symbol.name, interval, wanted_bars)?;
        traded(job, symbol, checked, wanted_bars)
    };
    let found: Vec<Result<SymbolCandles, Refusal>> = wanted.into_par_iter().map(read).collect();
    let symbols = found.into_iter().collect::<Result<Vec<_>, _>>()?;
    let source = dataset.manifest().source.clone();
    Ok(JobCandles { symbols, interval, survey, synthetic: dataset.manifest().synthetic, source })
}

/// What keeps a manifest that cannot run anyway from finding its candles: the data set, its interval and symbols, the
/// file and what stands in it.
pub fn missing(data: &DataSpec, folder: &Path) -> Vec<FieldError> {
    let found = match (&data.source, data.interval) {
        (DataSource::Dataset(name), Some(interval)) => open_dataset(name, folder, "spec.data.dataset")
            .and_then(|dataset| offered(data, &dataset, name, interval).map(|_| ())),
        (DataSource::Dataset(_), None) => Ok(()),
        (DataSource::File(path), interval) => read_file(&folder.join(path), interval)
            .map(|_| ())
            .map_err(|error| Refusal::data("spec.data.file", error)),
    };
    match found {
        Err(Refusal::Input { errors, .. }) => errors,
        // A disk that fails now fails again when the manifest is right.
        _ => Vec::new(),
    }
}

/// The same where the data set is open: the interval and the symbols that it does not have.
pub fn missing_in(data: &DataSpec, name: &str, dataset: &Dataset) -> Vec<FieldError> {
    let found = data.interval.map(|interval| offered(data, dataset, name, interval));
    match found {
        Some(Err(Refusal::Input { errors, .. })) => errors,
        _ => Vec::new(),
    }
}

/// Symbols that a data set has not, of those that it has, in one line however many they are.
fn without_candles(missing: &[&str], available: &[String], dataset: &str, interval: Interval) -> String {
    let quoted: Vec<String> = missing.iter().map(|name| format!("`{name}`")).collect();
    let known: Vec<&str> = available.iter().map(String::as_str).collect();
    let near: Vec<&str> = missing.iter().filter_map(|name| nearest(name, known.iter().copied())).collect();
    let (have, near) = match (missing.len(), &near[..]) {
        (1, [near, ..]) => ("has", format!(": did you mean `{near}`?")),
        (1, []) => ("has", String::new()),
        (_, [near, ..]) => ("have", format!(": did you mean symbols such as `{near}`?")),
        (_, []) => ("have", String::new()),
    };
    let (missing, known) = (shown(&quoted), shown(&known));
    format!("{missing} {have} no {interval} candles in `{dataset}`: it has {known}{near}")
}

/// Of many names so many are shown.
const SHOWN: usize = 10;

/// The first few of many names, and how many more there are.
fn shown(names: &[impl AsRef<str>]) -> String {
    let first: Vec<&str> = names.iter().take(SHOWN).map(AsRef::as_ref).collect();
    match names.len().saturating_sub(SHOWN) {
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
    }
}

/// The symbols that are wanted and there.
fn offered(
    spec: &DataSpec,
    dataset: &Dataset,
    name: &str,
    interval: Interval,
) -> Result<Vec<SymbolSpec>, Refusal> {
    let available = dataset.symbols(interval);
    if available.is_empty() {
        let mut intervals: Vec<Interval> =
            dataset.manifest().symbols(None).iter().flat_map(|s| dataset.manifest().intervals(s)).collect();
        intervals.sort();
        intervals.dedup();
        let known: Vec<_> = intervals.iter().map(Interval::to_string).collect();
        let message =
            format!("`{name}` has no {interval} candles: it has {} and their multiples", known.join(", "));
        return Err(Refusal::input("cannot use the data", "spec.data.interval", message));
    }
    let wanted: Vec<SymbolSpec> = if spec.symbols.is_empty() {
        available
            .iter()
            .map(|name| SymbolSpec { name: name.clone(), rules: SymbolRules::default() })
            .collect()
    } else {
        spec.symbols.clone()
    };
    let missing: Vec<&str> = wanted
        .iter()
        .map(|symbol| &*symbol.name)
        .filter(|&name| !available.iter().any(|is| is == name))
        .collect();
    if !missing.is_empty() {
        let message = without_candles(&missing, &available, name, interval);
        return Err(Refusal::input("cannot use the data", "spec.data.symbols", message));
    }
    Ok(wanted)
}

/// Bars of history that the trials want: as many as fit into the pre-roll without a gap.
fn bars_wanted(survey: &Survey, interval: Interval) -> usize {
    usize::try_from(survey.pre_roll_ms.div_euclid(interval.millis()) + 1).unwrap_or(usize::MAX)
}

/// Candles of `[from, to)` with `wanted` bars before them, as far as they exist: over a gap in the history it reads
/// further back, because indicators count candles, not time.
fn read_with_history(
    dataset: &Dataset,
    spec: &DataSpec,
    symbol: &str,
    interval: Interval,
    wanted: usize,
) -> Result<Checked, Refusal> {
    let read = |begin| checked::of_dataset(dataset, spec, symbol, interval, (begin, spec.to));
    let Some(from) = spec.from else { return read(None) };
    let first = dataset.range(symbol, interval).map_or(i64::MIN, |(first, _)| first);
    let mut span = i64::try_from(wanted).unwrap_or(i64::MAX).saturating_mul(interval.millis());
    loop {
        let begin = from.saturating_sub(span);
        let found = read(Some(begin))?;
        let opens = found.candles.timestamp();
        let history = opens.partition_point(|&t| t < from);
        if history > wanted {
            // Only what the run uses is kept, and checked.
            return read(Some(opens[history - wanted]));
        }
        if history == wanted || begin <= first {
            return Ok(found);
        }
        span = span.saturating_mul(2);
    }
}

fn from_file(job: &Job, path: &str, folder: &Path) -> Result<JobCandles, Refusal> {
    let spec = &job.spec().data;
    let full = folder.join(path);
    let file = checked::of_file(&full, spec)?;
    let interval = file.rows.interval;
    job.check_interval(interval)
        .map_err(|errors| Refusal::fields("the strategy does not fit the data", errors))?;
    let survey = job
        .survey(interval)
        .map_err(|errors| Refusal::fields("the strategy does not fit the data", errors))?;
    let symbol = match spec.symbols.as_slice() {
        [] => SymbolSpec { name: file.rows.symbol.clone(), rules: SymbolRules::default() },
        [one] => one.clone(),
        more => {
            let message = format!("names {} symbols, but a file holds one", more.len());
            return Err(Refusal::input("cannot use the data", "spec.data.symbols", message));
        }
    };
    // Only the history that is wanted is kept, so that the digest names what the result depends on.
    let opens = file.candles.timestamp();
    let start = spec.from.map_or(0, |from| opens.partition_point(|&t| t < from));
    let wanted = bars_wanted(&survey, interval);
    let begin = start.saturating_sub(wanted);
    let end = spec.to.map_or(opens.len(), |to| opens.partition_point(|&t| t < to));
    let kept = if start < end { begin..end } else { 0..opens.len() };
    let symbols = vec![traded(job, symbol, file.part(spec, kept)?, wanted)?];
    Ok(JobCandles { symbols, interval, survey, synthetic: false, source: path.to_owned() })
}

/// The bars of `[from, to)`, their gaps filled as far as the manifest asks; an error when there are none. The trials want
/// `wanted` candles of history.
fn traded(job: &Job, symbol: SymbolSpec, checked: Checked, wanted: usize) -> Result<SymbolCandles, Refusal> {
    let Checked { candles, report } = checked;
    let spec = &job.spec().data;
    let opens = candles.timestamp();
    let start = spec.from.map_or(0, |from| opens.partition_point(|&t| t < from));
    let end = spec.to.map_or(opens.len(), |to| opens.partition_point(|&t| t < to));
    if start >= end {
        let has = match (opens.first(), opens.last()) {
            (Some(&first), Some(&last)) => {
                format!("its candles run from {} to {}", short_instant(first), short_instant(last))
            }
            _ => "it has none".to_owned(),
        };
        let message = format!("symbol `{}` has no candle between `from` and `to`: {has}", symbol.name);
        return Err(Refusal::input("cannot use the data", DATA, message));
    }
    // Profile vectorbt has no pre-roll: its account and its averages begin with the first candle.
    let has_whole_history = job.is_vectorbt() || start >= wanted;
    let candles = if job.is_vectorbt() { candles.slice(start..end) } else { candles };
    let digest = digest(&symbol.name, &candles);
    let unfilled = Arc::new(candles);
    let candles = filled(&unfilled, spec);
    let opens = candles.timestamp();
    let start = spec.from.map_or(0, |from| opens.partition_point(|&t| t < from));
    let end = spec.to.map_or(opens.len(), |to| opens.partition_point(|&t| t < to));
    Ok(SymbolCandles {
        name: symbol.name,
        rules: symbol.rules,
        run: start..end,
        candles,
        unfilled,
        has_whole_history,
        digest,
        report,
    })
}

/// Candles as the trials see them: with gaps filled as far as the manifest asks.
pub fn filled(unfilled: &Arc<Candles>, spec: &DataSpec) -> Arc<Candles> {
    spec.fill.map_or_else(|| Arc::clone(unfilled), |fill| Arc::new(unfilled.fill_forward(fill.max_bars)))
}
