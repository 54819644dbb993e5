//! `blockgrid data`: candles at rest. One file a subcommand.

mod add;
mod check;
mod describe;
mod export;
mod import;
mod ls;
mod remove;
mod synth;
mod verify;

use std::path::{Path, PathBuf};

use blockgrid_datasets::{Catalogue, DatasetError};
use clap::Subcommand;
use indicatif::{ProgressBar, ProgressStyle};

use crate::Output;
use crate::failure::Failure;

/// What can be done with candles at rest.
#[derive(Subcommand)]
pub(crate) enum DataCommand {
    /// Read candles of any program into a data set; what is found out about a file is shown.
    Import(Box<import::ImportArgs>),
    /// List the data sets that are known by name.
    Ls(ls::LsArgs),
    /// Show what a data set holds: ranges, coverage by month, gaps.
    Describe(describe::DescribeArgs),
    /// Look for gaps, bad rows, bad ticks, frozen and silent stretches; exit 1 when there are violations.
    Check(check::CheckArgs),
    /// Compare every file of a data set with its digest.
    Verify(verify::VerifyArgs),
    /// Register a data set under a name, or accept that it changed.
    Add(add::AddArgs),
    /// Forget a registered data set; its files stay.
    Remove(remove::RemoveArgs),
    /// Write the candles of a symbol to a CSV or Parquet file.
    Export(export::ExportArgs),
    /// Make candles from a seed: regimes, clustered volatility, correlated symbols, gaps and jumps on request.
    Synth(synth::SynthArgs),
}

impl DataCommand {
    /// Whether errors are for machines too.
    pub(crate) fn json(&self) -> bool {
        let output = match self {
            Self::Ls(args) => args.output,
            Self::Describe(args) => args.output,
            Self::Check(args) => args.output,
            Self::Import(_)
            | Self::Export(_)
            | Self::Verify(_)
            | Self::Add(_)
            | Self::Remove(_)
            | Self::Synth(_) => Output::Text,
        };
        output == Output::Json
    }
}

pub(crate) fn data(command: &DataCommand) -> Result<(), Failure> {
    match command {
        DataCommand::Import(args) => import::import_files(args),
        DataCommand::Ls(args) => ls::ls(args),
        DataCommand::Describe(args) => describe::describe(args),
        DataCommand::Check(args) => check::check(args),
        DataCommand::Verify(args) => verify::verify(args),
        DataCommand::Add(args) => add::add(args),
        DataCommand::Remove(args) => remove::remove(args),
        DataCommand::Export(args) => export::export(args),
        DataCommand::Synth(args) => synth::synth(args),
    }
}

/// The home of the catalogue, and the catalogue.
fn catalogue() -> Result<(PathBuf, Catalogue), Failure> {
    let opened = Catalogue::home().and_then(|home| Catalogue::open(&home).map(|catalogue| (home, catalogue)));
    opened.map_err(failed)
}

/// An error of the catalogue itself.
fn failed(error: DatasetError) -> Failure {
    if error.is_input_error() {
        Failure::input("cannot use the catalogue", "", error.to_string())
    } else {
        Failure::Failed(anyhow::Error::new(error).context("failed to use the catalogue"))
    }
}

/// Whether a registered folder is there; of what is not a folder nothing is known.
fn is_there(location: &str) -> bool {
    location.contains("://") || Path::new(location).is_dir()
}

/// A bar over `total` of something, on the terminal's standard error alone.
fn progress(total: u64, unit: &str) -> ProgressBar {
    let bar = ProgressBar::new(total);
    let template = format!("{{bar:40}} {{human_pos}}/{{human_len}} {unit}  {{per_sec}}  (left: {{eta}})");
    match ProgressStyle::with_template(&template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
