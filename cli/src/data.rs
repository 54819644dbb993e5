//! `blockgrid data`: candles at rest. One file a subcommand.

mod verify;

use clap::Subcommand;

use crate::failure::Failure;

/// What can be done with candles at rest.
#[derive(Subcommand)]
pub(crate) enum DataCommand {
    /// Compare every file of a data set with the digests in its dataset.json.
    Verify(verify::VerifyArgs),
}

pub(crate) fn data(command: &DataCommand) -> Result<(), Failure> {
    match command {
        DataCommand::Verify(args) => verify::verify(args),
    }
}
