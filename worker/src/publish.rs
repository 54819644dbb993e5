//! From rows to what a person gets: result tables, the report, `job.json`.

use std::path::{Path, PathBuf};

use blockgrid_engine::Candles;
use blockgrid_engine::interval::short_instant;
use blockgrid_engine::sim::Outcome;
use blockgrid_job::quote::counted;
use blockgrid_results::equity::EquityFile;
use blockgrid_results::files::{REPORT, TABLES};
use blockgrid_results::report::{CandlesUsed, ReportData, html};
use blockgrid_results::trades::TradesFile;
use blockgrid_results::{FileError, TableError, TopColumns, TopTrial, TrialTable, write_trials};
use serde_json::{Value, json};

use crate::compute::Ready;

/// Why results could not be written.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The trials.
    #[error(transparent)]
    Table(#[from] TableError),
    /// Trades or equity.
    #[error(transparent)]
    File(#[from] FileError),
    /// Another file.
    #[error("failed to write {path}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// Symbol and trial of a row of the whole table: trials are numbered symbol by symbol.
pub fn place_of(ready: &Ready, row: usize) -> (usize, u64) {
    let sets = ready.job().grid().len();
    (row / sets, (row % sets) as u64)
}

/// The best trials with what they did, as tables and report show them. `outcomes` are those of the first rows of
/// `ranked`, `candles` gives a symbol's.
pub fn top_trials<'a>(
    ready: &Ready,
    table: &TrialTable,
    ranked: &[usize],
    outcomes: Vec<Outcome>,
    candles: impl Fn(usize) -> &'a Candles,
) -> Vec<TopTrial<'a>> {
    let top = (1..).zip(ranked).zip(outcomes);
    top.map(|((rank, &row), outcome)| {
        let (symbol, _) = place_of(ready, row);
        top_trial(ready, table, (rank, row), outcome, candles(symbol))
    })
    .collect()
}

/// One of the best trials, by its rank (from 1) and its row, with what it did on the candles of its symbol.
pub fn top_trial<'a>(
    ready: &Ready,
    table: &TrialTable,
    (rank, row): (u32, usize),
    outcome: Outcome,
    candles: &'a Candles,
) -> TopTrial<'a> {
    let (symbol, _) = place_of(ready, row);
    TopTrial {
        rank,
        symbol: ready.plan().inputs.symbols[symbol].name.clone(),
        window: String::new(),
        parameters: table.parameters_of(row),
        row,
        initial_cash: ready.job().spec().execution.initial_cash,
        outcome,
        candles,
    }
}

/// The tables, to which the best trials are added one after the other and not held: the same bytes whoever does it.
pub struct Tables {
    trades: TradesFile,
    equity: EquityFile,
}

impl Tables {
    /// Writes the trials into a folder and begins the other tables there, which appear when they are finished.
    ///
    /// # Errors
    /// [`PublishError`] when a file cannot be written.
    pub fn begin(out: &Path, table: &TrialTable, top: &TopColumns) -> Result<Self, PublishError> {
        let [trials, trades, equity] = TABLES.map(|file| out.join(file));
        write_trials(&trials, table)?;
        Ok(Self { trades: TradesFile::create(&trades, top)?, equity: EquityFile::create(&equity, top)? })
    }

    /// Adds one of the best trials; they come by their rank.
    ///
    /// # Errors
    /// As [`Self::begin`].
    pub fn push(&mut self, trial: &TopTrial<'_>) -> Result<(), PublishError> {
        self.trades.push(trial)?;
        self.equity.push(trial)?;
        Ok(())
    }

    /// Writes what is left.
    ///
    /// # Errors
    /// As [`Self::begin`].
    pub fn finish(self) -> Result<(), PublishError> {
        self.trades.finish()?;
        self.equity.finish()?;
        Ok(())
    }
}

/// Writes the tables of trials that are all there into a folder.
///
/// # Errors
/// [`PublishError`] when a file cannot be written.
pub fn write_tables(out: &Path, table: &TrialTable, top: &[TopTrial<'_>]) -> Result<(), PublishError> {
    let mut tables = Tables::begin(out, table, &TopColumns::of(top))?;
    top.iter().try_for_each(|trial| tables.push(trial))?;
    tables.finish()
}

/// Writes the report into a folder: the same bytes whoever does it.
///
/// # Errors
/// [`PublishError`] when it cannot be written.
pub fn write_report(
    out: &Path,
    ready: &Ready,
    table: &TrialTable,
    ranked: &[usize],
    top: &[TopTrial<'_>],
) -> Result<(), PublishError> {
    let report = out.join(REPORT);
    let html = html(&report_data(ready, table, ranked, top));
    std::fs::write(&report, html).map_err(|source| PublishError::Io { path: report, source })
}

fn report_data<'a>(
    ready: &Ready,
    table: &'a TrialTable,
    ranked: &'a [usize],
    top: &'a [TopTrial<'a>],
) -> ReportData<'a> {
    let (plan, spec) = (ready.plan(), ready.job().spec());
    let inputs = &plan.inputs;
    let digests =
        inputs.symbols.iter().map(|symbol| (symbol.name.clone(), format!("sha256:{}", symbol.digest)));
    let count = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    let used = inputs.symbols.iter().map(|symbol| CandlesUsed {
        symbol: symbol.name.clone(),
        candles: count(symbol.bars() - symbol.filled),
        missing: count(symbol.gaps),
        filled: count(symbol.filled),
        left_out: symbol.bad_rows,
        findings: symbol.findings_text.clone(),
    });
    ReportData {
        title: spec.name.clone(),
        synthetic: inputs.synthetic,
        manifest: plan.text.clone(),
        digests: digests.collect(),
        candles: used.collect(),
        engine_version: plan.engine_version.clone(),
        range: (spec.data.from, spec.data.to),
        table,
        objective: ready.objective(),
        ranked,
        top,
        warnings: inputs.remarks.iter().cloned().chain(late_starts(ready, table)).collect(),
    }
}

/// What `job.json` tells: what was asked, on which data, by which engine; `timings` stand apart, for results do not depend
/// on them.
pub fn record(ready: &Ready, trials: usize, timings: Value) -> Value {
    let plan = ready.plan();
    let inputs = &plan.inputs;
    let symbols: Vec<_> = inputs
        .symbols
        .iter()
        .map(|symbol| {
            json!({
                "symbol": symbol.name,
                "digest": format!("sha256:{}", symbol.digest),
                "interval": inputs.interval,
                "bars": symbol.bars(),
                "preRollBars": symbol.run_start,
                "from": short_instant(symbol.from),
                "lastOpen": short_instant(symbol.last_open),
                "gaps": symbol.gaps,
                "filled": symbol.filled,
                "badRows": symbol.bad_rows,
                "findings": symbol.findings,
            })
        })
        .collect();
    let spec = ready.job().spec();
    json!({
        "job": spec.name,
        "engineVersion": plan.engine_version,
        "engine": plan.engine,
        "kernel": plan.kernel,
        // Nothing in a sweep is random.
        "seed": null,
        "manifest": plan.manifest,
        "data": { "synthetic": inputs.synthetic, "source": inputs.source, "quality": spec.data.quality, "symbols": symbols },
        "trials": trials,
        "columns": { "computed": inputs.columns, "withoutSharing": inputs.unshared_columns },
        "timings": timings,
    })
}

/// What a reader of the leaderboard should know. The report finds these by itself, but for remarks on the candles and
/// trials that start late.
pub fn warnings(ready: &Ready, table: &TrialTable) -> Vec<String> {
    let inputs = &ready.plan().inputs;
    let mut warnings = inputs.remarks.clone();
    warnings.extend(late_starts(ready, table));
    warnings.extend(inputs.notices.iter().cloned());
    let never = table.first_bar.iter().filter(|first| first.is_none()).count();
    if never > 0 {
        warnings.push(format!(
            "{} never warm on this data: null metrics",
            subject(never, "trial", ["was", "were"])
        ));
    }
    let rejected: u64 = table.rejected_orders.iter().map(|&count| u64::from(count)).sum();
    if rejected > 0 {
        warnings.push(format!(
            "{} rejected over all trials (column rejected_orders)",
            subject(rejected, "order", ["was", "were"])
        ));
    }
    let ruined = table.deficit.iter().filter(|&&deficit| deficit > 0.0).count();
    if ruined > 0 {
        warnings.push(format!(
            "{} more than the cash in a gap (column deficit)",
            subject(ruined, "trial", ["lost", "lost"])
        ));
    }
    warnings
}

/// So many of something do what one of them does, or several.
fn subject(number: impl TryInto<u128>, what: &str, [one, several]: [&str; 2]) -> String {
    let number = number.try_into().unwrap_or(u128::MAX);
    format!("{} {}", counted(number, what), if number == 1 { one } else { several })
}

/// Trials that could not start with the data, because history was too short to warm them up.
fn late_starts(ready: &Ready, table: &TrialTable) -> Option<String> {
    let starts_late = |row: usize| {
        let (symbol, _) = place_of(ready, row);
        table.first_bar[row].is_some_and(|first| first > ready.plan().inputs.symbols[symbol].from)
    };
    let late = (0..table.len()).filter(|&row| starts_late(row)).count();
    (late > 0).then(|| {
        format!(
            "{} later than the data, because indicators needed warm-up (column first_bar)",
            subject(late, "trial", ["starts", "start"])
        )
    })
}
