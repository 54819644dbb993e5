//! Candles that are checked before a job runs on them.

use std::path::Path;

use blockgrid_datasets::import::ImportError;
use blockgrid_datasets::quality::{Checker, Report, Thresholds, add_stale};
use blockgrid_datasets::{Dataset, DatasetError, FileRow, FileRows, file_rows, read_file};
use blockgrid_engine::candles::{CandleError, RawCandles};
use blockgrid_engine::{Candles, Interval};
use blockgrid_job::{DataSource, DataSpec, FieldError, Quality};

use super::{JobCandles, SymbolCandles};
use crate::Refusal;

/// Candles, and what the checks found in the rows they were made of.
pub(super) struct Checked {
    pub(super) candles: Candles,
    pub(super) report: Report,
}

/// Candles of a data set. Under `quality: strict` a row that is no candle is an error that names its file and row;
/// under `warn` it is left out.
pub(super) fn of_dataset(
    dataset: &Dataset,
    spec: &DataSpec,
    symbol: &str,
    interval: Interval,
    (from, to): (Option<i64>, Option<i64>),
) -> Result<Checked, Refusal> {
    let columns: Vec<&str> = spec.columns.iter().map(String::as_str).collect();
    let failed = |error| failed(spec, "spec.data", error);
    let (candles, report) = dataset.read_checked(symbol, interval, from, to, &columns).map_err(failed)?;
    if spec.quality == Quality::Strict && report.bad_rows() > 0 {
        dataset.read_with(symbol, interval, from, to, &columns).map_err(failed)?;
    }
    Ok(Checked { candles, report })
}

/// The rows of a file; which of them are wanted is known only when its interval is.
pub(super) struct CheckedFile {
    pub(super) rows: FileRows,
    pub(super) candles: Candles,
}

/// Candles of a file, as [`of_dataset`]; a row that is no candle is an error that names its line.
pub(super) fn of_file(path: &Path, spec: &DataSpec) -> Result<CheckedFile, Refusal> {
    let field = "spec.data.file";
    let columns: Vec<&str> = spec.columns.iter().map(String::as_str).collect();
    let rows = file_rows(path, spec.interval, &columns)
        .map_err(|error: DatasetError| Refusal::data(field, error))?;
    let (candles, report) = candles_of(&rows, spec, None)
        .map_err(|error| Refusal::input("cannot use the data", field, error.to_string()))?;
    if candles.is_empty() || (spec.quality == Quality::Strict && report.bad_rows() > 0) {
        read_file(path, spec.interval).map_err(|error| failed(spec, field, error))?;
    }
    Ok(CheckedFile { rows, candles })
}

impl CheckedFile {
    /// A part of the candles, with what was found in its rows.
    pub(super) fn part(&self, spec: &DataSpec, kept: std::ops::Range<usize>) -> Result<Checked, Refusal> {
        let opens = self.candles.timestamp();
        let bounds = match opens.get(kept.clone()) {
            Some([first, .., last]) if kept.len() < opens.len() => Some((*first, last + 1)),
            Some([only]) if opens.len() > 1 => Some((*only, only + 1)),
            _ => None,
        };
        let (candles, report) = candles_of(&self.rows, spec, bounds)
            .map_err(|error| Refusal::input("cannot use the data", "spec.data.file", error.to_string()))?;
        Ok(Checked { candles, report })
    }
}

/// The candles among the rows that open in a range, and what was found in them.
fn candles_of(
    rows: &FileRows,
    spec: &DataSpec,
    bounds: Option<(i64, i64)>,
) -> Result<(Candles, Report), CandleError> {
    let symbol = spec.symbols.first().map_or(&rows.symbol, |symbol| &symbol.name);
    let mut checker = Checker::new(symbol, rows.interval, Thresholds::of(rows.interval));
    let mut raw = RawCandles::default();
    let mut columns: Vec<(String, Vec<f64>)> =
        spec.columns.iter().map(|name| (name.clone(), Vec::new())).collect();
    for batch in &rows.batches {
        let batch = match bounds {
            Some((from, to)) => &batch.clone().within(Some(from), Some(to)),
            None => batch,
        };
        checker.push(&batch.raw, |row| {
            raw.timestamp.push(batch.raw.timestamp[row]);
            raw.open.push(batch.raw.open[row]);
            raw.high.push(batch.raw.high[row]);
            raw.low.push(batch.raw.low[row]);
            raw.close.push(batch.raw.close[row]);
            raw.volume.push(batch.raw.volume[row]);
            for ((_, to), (_, from)) in columns.iter_mut().zip(&batch.columns) {
                to.push(from[row]);
            }
        });
    }
    let candles = Candles::new(rows.interval, raw)?.with_columns(columns)?;
    Ok((candles, checker.finish()))
}

/// An error of reading; one about a row says what else may be done about it.
fn failed(spec: &DataSpec, field: &str, error: DatasetError) -> Refusal {
    let row = match &error {
        DatasetError::BadCandle { place, .. } => *place != FileRow::Whole,
        DatasetError::Null { .. } | DatasetError::Import(ImportError::BadRows(_)) => true,
        _ => false,
    };
    if !row || spec.quality == Quality::Warn {
        return Refusal::dataset(field, error);
    }
    let error = error.to_string();
    // A list of rows has lines of its own.
    let end = if error.contains('\n') { "\n    " } else { ". " };
    let message = format!(
        "{error}{end}`blockgrid data check {}` shows every such row; `quality: warn` under spec.data leaves them out",
        source(spec)
    );
    Refusal::input("cannot use the data", field, message)
}

fn source(spec: &DataSpec) -> &str {
    match &spec.source {
        DataSource::Dataset(name) => name,
        DataSource::File(path) => path,
    }
}

/// Compares the series with each other and refuses violations, unless the manifest says `quality: warn`.
pub(super) fn judge(spec: &DataSpec, data: &mut JobCandles) -> Result<(), Refusal> {
    let mut reports: Vec<Report> = data.symbols.iter().map(|symbol| symbol.report.clone()).collect();
    add_stale(&mut reports, None, Thresholds::of);
    for (symbol, report) in data.symbols.iter_mut().zip(reports) {
        symbol.report = report;
    }
    if spec.quality == Quality::Warn {
        return Ok(());
    }
    let errors: Vec<FieldError> = data.symbols.iter().filter_map(|symbol| refused(spec, symbol)).collect();
    if errors.is_empty() { Ok(()) } else { Err(Refusal::fields("the candles have violations", errors)) }
}

/// What speaks against a symbol, in one message.
fn refused(spec: &DataSpec, symbol: &SymbolCandles) -> Option<FieldError> {
    let report = &symbol.report;
    let found: Vec<String> =
        report.violations().map(|finding| format!("{finding} (limit: {})", finding.threshold)).collect();
    let (what, options) = match &spec.source {
        DataSource::Dataset(name) => {
            (name.as_str(), format!(" --symbol {} --interval {}", report.symbol, report.interval))
        }
        DataSource::File(path) => (path.as_str(), String::new()),
    };
    let message = format!(
        "{} {} has {}. Look at it with `blockgrid data check {what}{options}`; repair the data, leave the stretch out with `from` and `to`, or run on it as it is with `quality: warn` under spec.data",
        report.symbol,
        report.interval,
        found.join("; ")
    );
    (!found.is_empty()).then(|| FieldError::new("spec.data", message))
}

/// What a reader of the results should know about the candles: violations that were let pass, and what was filled.
pub fn remarks(data: &JobCandles) -> Vec<String> {
    let mut out = Vec::new();
    for symbol in &data.symbols {
        let name = &symbol.name;
        for finding in symbol.report.violations() {
            let left_out = if finding.kind.is_bad_row() { "; these rows were left out" } else { "" };
            out.push(format!("{name}: {finding} (limit: {}){left_out}", finding.threshold));
        }
        if symbol.filled() > 0 {
            out.push(format!(
                "{name}: {} candles of the run were filled forward over gaps (column `filled` of equity.parquet)",
                symbol.filled()
            ));
        }
    }
    out
}
