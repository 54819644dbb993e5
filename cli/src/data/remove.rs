//! `blockgrid data remove`.

use blockgrid_datasets::Catalogue;
use blockgrid_datasets::catalogue::SAMPLE;
use blockgrid_engine::expr::nearest;
use clap::Args;

use super::{catalogue, failed, is_there};
use crate::failure::Failure;
use crate::show;

#[derive(Args)]
pub(crate) struct RemoveArgs {
    /// The registered name.
    name: String,
}

pub(crate) fn remove(args: &RemoveArgs) -> Result<(), Failure> {
    let (home, before) = catalogue()?;
    let Some(entry) = before.find(&args.name).filter(|entry| entry.name != SAMPLE) else {
        let error =
            Catalogue::remove(&home, &args.name).err().map(|error| error.to_string()).unwrap_or_default();
        let near = nearest(&args.name, before.entries().iter().map(|entry| entry.name.as_str()));
        let hint = near.map(|near| format!(" (did you mean `{near}`?)")).unwrap_or_default();
        return Err(Failure::input("nothing to remove", "NAME", error + &hint));
    };
    Catalogue::remove(&home, &args.name).map_err(failed)?;
    let files = match is_there(&entry.location) {
        true => format!("its files stay in {}", entry.location),
        false => format!("{}, where its files were, is not there", entry.location),
    };
    show::print(&format!("{}: no longer registered; {files}\n", args.name));
    Ok(())
}
