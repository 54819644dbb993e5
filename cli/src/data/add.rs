//! `blockgrid data add`.

use blockgrid_datasets::{Catalogue, CatalogueEntry, Dataset, DatasetError};
use clap::{Args, ValueHint};

use super::{catalogue, failed};
use crate::failure::Failure;
use crate::show;

#[derive(Args)]
pub(crate) struct AddArgs {
    /// What manifests will call it: letters, digits, `-` and `_`.
    name: String,
    /// The folder of the data set. An s3:// URL is listed only: a cluster reads it, where its values register it.
    #[arg(value_hint = ValueHint::DirPath)]
    location: String,
}

pub(crate) fn add(args: &AddArgs) -> Result<(), Failure> {
    Catalogue::check_name(&args.name).map_err(|error| Failure::data("NAME", error))?;
    let (home, before) = catalogue()?;
    let remote = args.location.to_ascii_lowercase().starts_with("s3://");
    // What cannot be opened is not registered: a name must lead somewhere.
    let dataset = (!remote)
        .then(|| Dataset::open(&args.location))
        .transpose()
        .map_err(|error: DatasetError| Failure::data("LOCATION", error))?;
    let location = match remote {
        true => args.location.clone(),
        false => Catalogue::absolute(&args.location).map_err(|error| Failure::data("LOCATION", error))?,
    };
    if let Some(other) = before.find(&args.name).filter(|entry| entry.location != location) {
        let message = format!(
            "`{name}` is registered at {}: give another name, or forget it first with `blockgrid data remove {name}`",
            other.location,
            name = args.name
        );
        return Err(Failure::input("cannot register the data set", "NAME", message));
    }
    match &dataset {
        None => Catalogue::register_unread(&home, &args.name, &location),
        Some(dataset) => Catalogue::register(&home, &args.name, &location, dataset.manifest()),
    }
    .map_err(failed)?;
    let (_, after) = catalogue()?;
    let (then, now) = (before.find(&args.name), after.find(&args.name));
    let done = match (then, now) {
        (None, _) => "registered",
        (then, now) if then == now => "unchanged",
        _ => "registered as it is now",
    };
    let holds = now.map(holds).unwrap_or_default();
    show::print(&format!("{}: {done}, {holds}, at {location}\n", args.name));
    Ok(())
}

/// What a data set holds, in a few words.
fn holds(entry: &CatalogueEntry) -> String {
    if entry.series.is_empty() {
        return "not read (this build reads folders only)".to_owned();
    }
    let symbols = entry.symbols().len();
    let intervals: Vec<_> = entry.intervals().iter().map(ToString::to_string).collect();
    format!(
        "{} candles of {symbols} symbol{} at {}",
        blockgrid_results::format::decimal(entry.rows() as f64, 0),
        if symbols == 1 { "" } else { "s" },
        intervals.join(", ")
    )
}
