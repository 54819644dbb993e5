//! `blockgrid data verify`.

use std::path::Path;

use clap::Args;

use crate::candles::open_dataset;
use crate::failure::Failure;
use crate::show;

#[derive(Args)]
pub(crate) struct VerifyArgs {
    /// The data set: a name or a folder.
    dataset: String,
}

pub(crate) fn verify(args: &VerifyArgs) -> Result<(), Failure> {
    let dataset = open_dataset(&args.dataset, Path::new(""), "DATASET")?;
    dataset.verify().map_err(|error| Failure::data("DATASET", error))?;
    show::print(&format!("{}: {} files are as written\n", args.dataset, dataset.manifest().files.len()));
    Ok(())
}
