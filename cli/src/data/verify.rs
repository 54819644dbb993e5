//! `blockgrid data verify`.

use std::path::Path;

use anyhow::anyhow;
use blockgrid_datasets::{CatalogueEntry, Dataset, DatasetError};
use clap::{Args, ValueHint};
use indicatif::{ProgressBar, ProgressStyle};

use super::catalogue;
use crate::failure::Failure;
use crate::show;
use blockgrid_planner::candles::open_dataset;

#[derive(Args)]
pub(crate) struct VerifyArgs {
    /// The data set: a name or a folder.
    #[arg(value_name = "NAME|DIR", value_hint = ValueHint::DirPath)]
    dataset: String,
}

pub(crate) fn verify(args: &VerifyArgs) -> Result<(), Failure> {
    let (dataset, entry) = open(&args.dataset)?;
    let manifest = dataset.manifest();
    if manifest.files.iter().any(|file| file.sha256.is_empty()) {
        let message = format!("`{}` has no dataset.json, so nothing tells what its files were", args.dataset);
        return Err(Failure::input("cannot verify the data set", "DATASET", message));
    }
    // To standard error, and only when that is a terminal.
    let bar = ProgressBar::new(manifest.files.iter().map(|file| file.bytes).sum());
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {bytes}/{total_bytes} {bytes_per_sec}") {
        bar.set_style(style);
    }
    let damaged = dataset.damaged(&mut |bytes| bar.set_position(bytes));
    bar.finish_and_clear();
    let changed = entry.and_then(|entry| {
        let what = entry.difference(manifest)?;
        Some(DatasetError::Changed { name: entry.name, location: entry.location, what })
    });
    let wrong: Vec<String> = damaged.iter().chain(&changed).map(ToString::to_string).collect();
    if wrong.is_empty() {
        show::print(&format!("{}: {} files are as written\n", args.dataset, manifest.files.len()));
        return Ok(());
    }
    for line in &wrong {
        show::print(&format!("{line}\n"));
    }
    let total = manifest.files.len();
    let what = match (damaged.len(), changed.is_some()) {
        (0, _) => "is not what was registered".to_owned(),
        (n, false) => format!("{n} of {total} files are damaged"),
        (n, true) => format!("{n} of {total} files are damaged, and it is not what was registered"),
    };
    Err(Failure::Failed(anyhow!("{}: {what}", args.dataset)))
}

/// Opens a data set as it is now, with what is registered of it.
fn open(name: &str) -> Result<(Dataset, Option<CatalogueEntry>), Failure> {
    // Whatever is wrong with the catalogue, `open_dataset` says it where it matters.
    if let Ok((_, catalogue)) = catalogue()
        && let Some(entry) = catalogue.find(name)
    {
        let dataset = entry.open_as_it_is().map_err(|error| Failure::data("DATASET", error))?;
        return Ok((dataset, Some(entry.clone())));
    }
    Ok((open_dataset(name, Path::new(""), "DATASET")?, None))
}
