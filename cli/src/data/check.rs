//! `blockgrid data check`: what is wrong with candles.

use std::path::Path;

use blockgrid_datasets::quality::{Checker, Finding, Report, Severity, Thresholds, add_stale};
use blockgrid_datasets::{Batch, Dataset, DatasetError, file_batches};
use blockgrid_engine::Interval;
use blockgrid_engine::interval::instant_ms;
use blockgrid_job::quote::grouped;
use clap::Args;
use comfy_table::CellAlignment;
use indicatif::{ProgressBar, ProgressStyle};
use rayon::prelude::*;
use serde_json::json;

use crate::failure::Failure;
use crate::{Output, show};
use blockgrid_planner::candles::open_dataset;

/// Examples of a finding that are printed; JSON has all that are kept.
const SHOWN: usize = 3;

#[derive(Args)]
pub(crate) struct CheckArgs {
    /// A data set (a name or a folder) or a file of candles.
    source: String,
    /// Check this symbol alone.
    #[arg(long)]
    symbol: Option<String>,
    /// Check this interval alone; of a file, the length of its candles.
    #[arg(long)]
    interval: Option<Interval>,
    /// First open that is checked: an instant, or a date (midnight UTC).
    #[arg(long, value_name = "TIME", value_parser = time)]
    from: Option<i64>,
    /// End of what is checked, exclusive.
    #[arg(long, value_name = "TIME", value_parser = time)]
    to: Option<i64>,
    /// The moment up to which candles should reach; without it a series is compared with the others only.
    #[arg(long, value_name = "TIME", value_parser = time)]
    now: Option<i64>,
    /// How to print.
    #[arg(long, value_enum, default_value_t)]
    pub(super) output: Output,
    #[command(flatten)]
    limits: Limits,
}

/// Limits that replace those of the interval.
#[derive(Args)]
#[command(next_help_heading = "Thresholds (defaults by interval: docs/candles.md)")]
struct Limits {
    /// Longest gap that is no violation, in candles.
    #[arg(long, value_name = "CANDLES")]
    max_gap: Option<u64>,
    /// Largest share of missing candles, such as 0.01.
    #[arg(long, value_name = "SHARE", value_parser = not_negative)]
    max_missing: Option<f64>,
    /// Longest run of candles without volume.
    #[arg(long, value_name = "CANDLES")]
    max_zero_volume: Option<u64>,
    /// Longest run of candles that repeat the prices of the one before.
    #[arg(long, value_name = "CANDLES")]
    max_frozen: Option<u64>,
    /// How many candles a series may end before the others, or before --now.
    #[arg(long, value_name = "CANDLES")]
    max_stale: Option<u64>,
    /// Robust z-score from which returns and ranges are told.
    #[arg(long, value_name = "Z", value_parser = not_negative)]
    outlier_z: Option<f64>,
    /// Robust z-score of moves that are taken back at once.
    #[arg(long, value_name = "Z", value_parser = not_negative)]
    tick_z: Option<f64>,
    /// Least size of a close that is taken back at once, as a fraction.
    #[arg(long, value_name = "FRACTION", value_parser = not_negative)]
    tick_move: Option<f64>,
    /// Least size of a wick beyond both closes around it, as a fraction.
    #[arg(long, value_name = "FRACTION", value_parser = not_negative)]
    wick_move: Option<f64>,
}

impl Limits {
    fn of(&self, interval: Interval) -> Thresholds {
        let known = Thresholds::of(interval);
        Thresholds {
            gap_bars: self.max_gap.unwrap_or(known.gap_bars),
            missing_share: self.max_missing.unwrap_or(known.missing_share),
            zero_volume_bars: self.max_zero_volume.unwrap_or(known.zero_volume_bars),
            frozen_bars: self.max_frozen.unwrap_or(known.frozen_bars),
            note_bars: known.note_bars,
            outlier_z: self.outlier_z.unwrap_or(known.outlier_z),
            tick_z: self.tick_z.unwrap_or(known.tick_z),
            tick_move: self.tick_move.unwrap_or(known.tick_move),
            wick_move: self.wick_move.unwrap_or(known.wick_move),
            stale_bars: self.max_stale.unwrap_or(known.stale_bars),
        }
    }
}

pub(super) fn time(text: &str) -> Result<i64, String> {
    instant_ms(text).ok_or_else(|| {
        "write an instant such as 2024-01-01T00:00:00Z, or a date such as 2024-01-01 (midnight UTC)"
            .to_owned()
    })
}

fn not_negative(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok().filter(|number| number.is_finite() && *number >= 0.0);
    number.ok_or_else(|| "write a number not below 0".to_owned())
}

pub(crate) fn check(args: &CheckArgs) -> Result<(), Failure> {
    let path = Path::new(&args.source);
    let mut reports = if path.is_file() { vec![file(args, path)?] } else { dataset(args)? };
    add_stale(&mut reports, args.now, |interval| args.limits.of(interval));
    let violations: usize = reports.iter().map(|report| report.violations().count()).sum();
    match args.output {
        Output::Text => show::print(&text(&reports)),
        Output::Json => show::print(&format!(
            "{}\n",
            json!({"source": args.source, "clean": violations == 0, "violations": violations, "series": reports})
        )),
    }
    let series = reports.iter().filter(|report| report.violations().next().is_some()).count();
    match violations {
        0 => Ok(()),
        _ => Err(Failure::No(format!("{violations} violations in {series} of {} series", reports.len()))),
    }
}

fn failed(error: DatasetError) -> Failure {
    Failure::data("", error)
}

/// Checks a file.
fn file(args: &CheckArgs, path: &Path) -> Result<Report, Failure> {
    let progress = progress();
    let mut checker: Option<Checker> = None;
    let read = file_batches(path, args.interval, |symbol, interval, batch| {
        let checker = checker.get_or_insert_with(|| {
            let symbol = args.symbol.as_deref().unwrap_or(symbol);
            Checker::new(symbol, interval, args.limits.of(interval))
        });
        progress.inc(batch.raw.timestamp.len() as u64);
        match (args.from, args.to) {
            (None, None) => checker.push(&batch.raw, |_| {}),
            (from, to) => checker.push(&batch.clone().within(from, to).raw, |_| {}),
        }
    });
    progress.finish_and_clear();
    read.map_err(failed)?;
    let checker = checker.ok_or_else(|| Failure::input("cannot use the data", "", "the file has no rows"))?;
    Ok(checker.finish())
}

/// Checks every series of a data set that is asked for.
fn dataset(args: &CheckArgs) -> Result<Vec<Report>, Failure> {
    let dataset = open_dataset(&args.source, Path::new(""), "")?;
    let manifest = dataset.manifest();
    let mut series: Vec<(String, Interval)> = Vec::new();
    for symbol in args.symbol.clone().map_or_else(|| manifest.symbols(None), |symbol| vec![symbol]) {
        match args.interval {
            // A symbol that was not asked for by name may lack the interval.
            Some(interval) if args.symbol.is_none() => {
                series.extend(dataset.stored_interval(&symbol, interval).map(|stored| (symbol, stored)));
            }
            Some(interval) => series.push((symbol, interval)),
            None => {
                let stored = manifest.intervals(&symbol);
                if stored.is_empty() {
                    series.push((symbol, Interval::DAY));
                } else {
                    series.extend(stored.into_iter().map(|interval| (symbol.clone(), interval)));
                }
            }
        }
    }
    if let (true, Some(interval)) = (series.is_empty(), args.interval) {
        let message = format!("no symbol of `{}` has {interval} candles", args.source);
        return Err(Failure::input("cannot use the data", "--interval", message));
    }
    let progress = progress();
    let checked =
        series.par_iter().map(|(symbol, interval)| one(args, &dataset, symbol, *interval, &progress));
    let checked: Result<Vec<Report>, DatasetError> = checked.collect();
    progress.finish_and_clear();
    checked.map_err(failed)
}

fn one(
    args: &CheckArgs,
    dataset: &Dataset,
    symbol: &str,
    interval: Interval,
    progress: &ProgressBar,
) -> Result<Report, DatasetError> {
    let batches = dataset.batches(symbol, interval, args.from, args.to, &[])?;
    progress.inc_length(batches.rows());
    let interval = batches.interval();
    let mut checker = Checker::new(symbol, interval, args.limits.of(interval));
    for batch in batches {
        let Batch { raw, .. } = batch?;
        progress.inc(raw.timestamp.len() as u64);
        checker.push(&raw, |_| {});
    }
    Ok(checker.finish())
}

fn progress() -> ProgressBar {
    let bar = ProgressBar::new(0);
    let style = ProgressStyle::with_template(
        "{bar:40} {human_pos}/{human_len} candles  {per_sec}  {elapsed} (left: {eta})",
    );
    style.map_or(bar.clone(), |style| bar.with_style(style))
}

fn text(reports: &[Report]) -> String {
    let mut out = overview(reports);
    for finding in reports.iter().flat_map(|report| &report.findings) {
        out.push_str(&described(finding));
    }
    let count = |severity| {
        reports
            .iter()
            .flat_map(|report| &report.findings)
            .filter(|finding| finding.severity == severity)
            .count()
    };
    match (count(Severity::Violation), count(Severity::Note)) {
        (0, 0) => out.push_str("\nclean\n"),
        (0, notes) => out.push_str(&format!("\nno violation, {notes} notes\n")),
        (violations, notes) => out.push_str(&format!("\n{violations} violations, {notes} notes\n")),
    }
    out
}

fn overview(reports: &[Report]) -> String {
    let mut table = show::table();
    table.set_header([
        "symbol",
        "interval",
        "candles",
        "from",
        "to",
        "gaps",
        "missing",
        "bad rows",
        "violations",
        "notes",
    ]);
    for report in reports {
        let time = |at: Option<i64>| at.map_or_else(|| "-".to_owned(), show::instant);
        let violations = report.violations().count();
        table.add_row([
            report.symbol.clone(),
            report.interval.to_string(),
            grouped(u128::from(report.candles)),
            time(report.first),
            time(report.last),
            grouped(u128::from(report.gaps)),
            grouped(u128::from(report.missing)),
            grouped(u128::from(report.bad_rows())),
            violations.to_string(),
            (report.findings.len() - violations).to_string(),
        ]);
    }
    for (i, column) in table.column_iter_mut().enumerate() {
        if !matches!(i, 0 | 1 | 3 | 4) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    format!("{table}\n")
}

/// A finding in a few lines: what, how many, from where on it counts, the worst.
fn described(finding: &Finding) -> String {
    let Finding { kind, symbol, interval, count, bars, over, threshold, worst, .. } = finding;
    let severity = match finding.severity {
        Severity::Violation => "violation",
        Severity::Note => "note",
    };
    let bars =
        if bars == count { String::new() } else { format!(", {} candles", grouped(u128::from(*bars))) };
    let over = match finding.severity {
        Severity::Violation if over < count => format!(", {over} of them beyond the limit"),
        _ => String::new(),
    };
    let count = grouped(u128::from(*count));
    let mut out =
        format!("\n{severity}: {symbol} {interval} {kind}: {count}{bars}{over} (limit: {threshold})\n");
    for example in worst.iter().take(SHOWN) {
        out.push_str(&format!("  {example}\n"));
    }
    if worst.len() > SHOWN {
        out.push_str("  ...\n");
    }
    out
}
