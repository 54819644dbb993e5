//! The manifest as text: YAML (or JSON, which is YAML) with limits, into a tree of values.

use serde_json::Value;

use crate::decode::FieldError;
use crate::overrides::Override;
use crate::spec::{self, JobSpec};

/// The longest manifest that is read. A strategy of hundreds of blocks has some 50 KB.
pub const MAX_MANIFEST_BYTES: u64 = 1 << 20;

/// Nesting allowed in a manifest; the deepest field of the schema lies eight levels down.
const MAX_NESTING: usize = 64;

/// Reads a manifest, applies overrides (`--set`), and decodes it.
///
/// # Errors
/// A text that is too long, nests too deep or is no YAML; every field that is unknown, missing or of the wrong type, with
/// its path.
pub fn read(text: &str, overrides: &[Override]) -> Result<JobSpec, Vec<FieldError>> {
    if text.len() as u64 > MAX_MANIFEST_BYTES {
        let message = format!("the manifest has {} bytes, the limit is {MAX_MANIFEST_BYTES}", text.len());
        return Err(vec![FieldError::new("", message)]);
    }
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! { max_depth: MAX_NESTING },
        with_snippet: false,
    };
    let mut value: Value = serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        vec![FieldError::new("", format!("failed to read the manifest as YAML: {error}"))]
    })?;
    let errors: Vec<FieldError> = overrides.iter().filter_map(|o| o.apply(&mut value).err()).collect();
    if !errors.is_empty() {
        return Err(errors);
    }
    spec::decode(&value)
}
