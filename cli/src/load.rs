//! From a manifest's file to a validated job.

use std::io::ErrorKind;
use std::path::PathBuf;

use blockgrid_job::manifest::{Invalid, of_value, tree};
use blockgrid_job::{FieldError, Job, MAX_MANIFEST_BYTES};
use blockgrid_planner::candles;

use crate::ManifestArgs;
use crate::failure::Failure;

/// A validated job and where it came from.
pub(crate) struct Loaded {
    pub(crate) job: Job,
    /// The manifest as it stands in its file, below what `--set` replaced in it.
    pub(crate) text: String,
    /// The folder that relative paths of the manifest start from.
    pub(crate) folder: PathBuf,
}

/// Reads and validates a manifest.
pub(crate) fn load(args: &ManifestArgs) -> Result<Loaded, Failure> {
    load_with(args, None, true)
}

/// [`load`] for a job whose candles are elsewhere: they are not looked for here. `name` takes the place of the manifest's.
pub(crate) fn load_without_data(args: &ManifestArgs, name: Option<&str>) -> Result<Loaded, Failure> {
    load_with(args, name, false)
}

fn load_with(args: &ManifestArgs, name: Option<&str>, is_data_here: bool) -> Result<Loaded, Failure> {
    let file = &args.file;
    let bad = |message: String| Failure::input(format!("cannot read {}", file.display()), "", message);
    let metadata = std::fs::metadata(file).map_err(|error| match error.kind() {
        ErrorKind::NotFound => {
            bad("it does not exist: check the path, or write one with `blockgrid init`".to_owned())
        }
        _ => bad(error.to_string()),
    })?;
    if metadata.is_dir() {
        return Err(bad("it is a folder: name the manifest in it".to_owned()));
    }
    if metadata.len() > MAX_MANIFEST_BYTES {
        let message = format!("the manifest has {} bytes, the limit is {MAX_MANIFEST_BYTES}", metadata.len());
        return Err(bad(message));
    }
    let bytes = std::fs::read(file).map_err(|error| bad(error.to_string()))?;
    let mut text =
        String::from_utf8(bytes).map_err(|_| bad("it is not UTF-8 text: save it as UTF-8".to_owned()))?;
    let in_file = |errors: Vec<FieldError>| Failure::fields(format!("{} cannot run", file.display()), errors);
    let folder = file.parent().map(PathBuf::from).unwrap_or_default();
    let loaded = tree(&text, &args.overrides()?).map_err(|errors| Invalid { errors, data: None });
    let loaded = loaded.and_then(|mut manifest| {
        if let Some(name) = name
            && let Some(metadata) = manifest.get_mut("metadata").and_then(|metadata| metadata.as_object_mut())
        {
            metadata.insert("name".to_owned(), name.into());
        }
        of_value(&manifest, blockgrid_results::is_reserved)
    });
    let job = loaded.map_err(|invalid| {
        // Whoever mends the manifest wants to hear of missing candles now, not in the next round.
        let missing = invalid
            .data
            .filter(|_| is_data_here)
            .map(|data| candles::missing(&data, &folder))
            .unwrap_or_default();
        in_file(invalid.errors.into_iter().chain(missing).collect())
    })?;
    if !args.set.is_empty() {
        // Whoever reads the report sees what ran, not only what the file says.
        let replaced: String = args.set.iter().map(|set| format!("# --set {set}\n")).collect();
        text.insert_str(0, &replaced);
    }
    Ok(Loaded { job, text, folder })
}
