//! `blockgrid data export`.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use blockgrid_datasets::{CandlesWriter, DatasetError};
use blockgrid_engine::Interval;
use blockgrid_job::quote::grouped;
use clap::{Args, ValueHint};
use signal_hook::consts::SIGINT;

use super::check::time;
use super::progress;
use crate::failure::Failure;
use crate::show;
use blockgrid_planner::candles::open_dataset;

#[derive(Args)]
pub(crate) struct ExportArgs {
    /// A data set: its name or folder.
    #[arg(value_name = "NAME|DIR")]
    dataset: String,
    /// The symbol.
    #[arg(long)]
    symbol: String,
    /// Length of a candle; one that is not stored is made of a finer one.
    #[arg(long)]
    interval: Interval,
    /// First open: an instant, or a date (midnight UTC).
    #[arg(long, value_name = "TIME", value_parser = time)]
    from: Option<i64>,
    /// End, exclusive.
    #[arg(long, value_name = "TIME", value_parser = time)]
    to: Option<i64>,
    /// Columns beside OHLCV, separated by commas; "" for none [default: all].
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    columns: Option<Vec<String>>,
    /// The file to write, .csv or .parquet.
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    out: PathBuf,
    /// Replace the file if it exists.
    #[arg(long)]
    force: bool,
}

pub(crate) fn export(args: &ExportArgs) -> Result<(), Failure> {
    let bad = |field: &str, message: String| Failure::input("cannot export", field, message);
    if let (Some(from), Some(to)) = (args.from, args.to)
        && from >= to
    {
        let (from, to) = (show::instant(from), show::instant(to));
        return Err(bad("--to", format!("is {to}, but must be after --from, which is {from}")));
    }
    if Path::new(&args.dataset).is_file() {
        let message = format!(
            "`{0}` is a file, not a data set: import it first, with `blockgrid data import {0}`",
            args.dataset
        );
        return Err(bad("NAME|DIR", message));
    }
    let dataset = open_dataset(&args.dataset, Path::new(""), "NAME|DIR")?;
    let columns = match &args.columns {
        Some(columns) => {
            columns.iter().map(|name| name.trim().to_owned()).filter(|n| !n.is_empty()).collect()
        }
        None => dataset.columns(&args.symbol, args.interval),
    };
    let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
    let twice = |(i, name): (usize, &&str)| columns[..i].iter().any(|other| other.eq_ignore_ascii_case(name));
    if let Some((_, name)) = columns.iter().enumerate().find(|&column| twice(column)) {
        return Err(bad("--columns", format!("`{name}` is named twice: name each column once")));
    }
    let mut parts = dataset
        .candle_parts(&args.symbol, args.interval, args.from, args.to, &columns)
        .map_err(|error| unreadable(args, error))?;
    let unwritable = |error: DatasetError| {
        if error.is_input_error() {
            bad("--out", error.to_string())
        } else {
            Failure::Failed(anyhow::Error::new(error).context("failed to export"))
        }
    };
    let mut writer = CandlesWriter::create(&args.out, &columns, args.force).map_err(unwritable)?;
    let stop = stop_flag();
    let bar = progress(parts.rows(), "candles");
    let (mut candles, mut first, mut last) = (0, None, None);
    while let Some(part) = parts.next() {
        let part = part.map_err(|error| unreadable(args, error))?;
        writer.push(&part).map_err(unwritable)?;
        candles += part.len();
        first = first.or_else(|| part.timestamp().first().copied());
        last = part.timestamp().last().copied();
        bar.set_position(parts.passed());
        if stop.load(Ordering::Relaxed) {
            return Err(Failure::Failed(anyhow::anyhow!(
                "interrupted: `{}` is not written",
                args.out.display()
            )));
        }
    }
    writer.finish().map_err(unwritable)?;
    bar.finish_and_clear();
    show::print(&format!(
        "{} {}: {} candles from {} to {}, in {}\n",
        args.symbol,
        args.interval,
        grouped(candles as u128),
        show::instant(first.unwrap_or_default()),
        show::instant(last.unwrap_or_default()),
        args.out.display(),
    ));
    Ok(())
}

/// An error of the candles, with the option that it is about.
fn unreadable(args: &ExportArgs, error: DatasetError) -> Failure {
    if !error.is_input_error() {
        return Failure::Failed(anyhow::Error::new(error).context("failed to export"));
    }
    let field = match &error {
        DatasetError::NoSymbol { .. } => "--symbol",
        DatasetError::NoInterval { .. } => "--interval",
        DatasetError::NoColumn { .. } => "--columns",
        DatasetError::NoCandles { .. } if args.from.is_some() => "--from",
        DatasetError::NoCandles { .. } if args.to.is_some() => "--to",
        DatasetError::NoCandles { .. } => "--interval",
        _ => "NAME|DIR",
    };
    Failure::input("cannot export", field, error.to_string())
}

/// Set by Ctrl-C, so that the file that is being written goes with the program.
fn stop_flag() -> Arc<AtomicBool> {
    let stop = Arc::new(AtomicBool::new(false));
    // Without a handler Ctrl-C just ends the program, and leaves a `.partial` file.
    let _ = signal_hook::flag::register(SIGINT, Arc::clone(&stop));
    stop
}
