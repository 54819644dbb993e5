//! `blockgrid init`.

use std::path::Path;

use crate::failure::Failure;
use crate::show;

/// The starter manifest; a test runs it.
pub(crate) const STARTER: &str = include_str!("starter.yaml");

pub(crate) fn init(file: &Path) -> Result<(), Failure> {
    if file.exists() {
        let message = "exists already: name another file, or remove it";
        return Err(Failure::input("cannot write the manifest", &file.display().to_string(), message));
    }
    std::fs::write(file, STARTER)
        .map_err(|error| anyhow::anyhow!("failed to write {}: {error}", file.display()))?;
    show::print(&format!("wrote {}: edit it, then `blockgrid run {}`\n", file.display(), file.display()));
    Ok(())
}
