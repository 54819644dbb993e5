//! The manifest as text: YAML (or JSON, which is YAML) with limits, into a tree of values.

mod dialects;

use serde_json::Value;

use crate::decode::FieldError;
use crate::overrides::Override;
use crate::spec::{self, ClusterSpec, DataSpec, JobSpec};
use crate::validate::Job;

/// The longest manifest that is read. A strategy of hundreds of blocks has some 50 KB.
pub const MAX_MANIFEST_BYTES: u64 = 1 << 20;

/// Nesting allowed in a manifest; the deepest field of the schema lies eight levels down.
const MAX_NESTING: usize = 64;

/// Reads a manifest, applies overrides (`--set`), and decodes it.
///
/// # Errors
/// A text that is too long, nests too deep or is no YAML, or that kubectl would read as something else; every field that is
/// unknown, missing or of the wrong type, with its path.
pub fn read(text: &str, overrides: &[Override]) -> Result<JobSpec, Vec<FieldError>> {
    match spec::decode(&tree(text, overrides)?) {
        (Some(spec), errors) if errors.is_empty() => Ok(spec),
        (_, errors) => Err(errors),
    }
}

/// Reads a manifest and validates it (see [`Job::validate`]), so that a person gets the errors of both at once.
///
/// # Errors
/// Those of [`read`], and of [`Job::validate`] where what could not be read does not make them guesses.
pub fn load(text: &str, overrides: &[Override], reserved: impl Fn(&str) -> bool) -> Result<Job, Invalid> {
    let tree = tree(text, overrides).map_err(|errors| Invalid { errors, data: None })?;
    of_value(&tree, reserved)
}

/// Validates a manifest that has been read already, such as an object from a Kubernetes API server: as [`load`].
///
/// # Errors
/// Those of [`load`], but for the ones of the text.
pub fn of_value(manifest: &Value, reserved: impl Fn(&str) -> bool) -> Result<Job, Invalid> {
    let (spec, mut errors) = spec::decode(manifest);
    let data = spec.as_ref().map(|spec| Box::new(spec.data.clone()));
    let judged = ["spec.strategy", "spec.execution.semantics", "spec.sweep.parameters"];
    let whole = errors.iter().all(|error| !judged.iter().any(|path| error.path.starts_with(path)));
    match spec {
        Some(spec) if errors.is_empty() => {
            Job::validate(spec, reserved).map_err(|errors| Invalid { errors, data })
        }
        Some(spec) if whole => {
            errors.extend(Job::validate(spec, reserved).err().into_iter().flatten());
            Err(Invalid { errors, data })
        }
        _ => Err(Invalid { errors, data }),
    }
}

/// The decoded manifest, if it can be decoded; nothing of it is checked.
pub fn spec(manifest: &Value) -> Option<JobSpec> {
    spec::decode(manifest).0
}

/// What a manifest says to a cluster, and nothing else of it: cheap enough to be asked at every look at a job.
///
/// # Errors
/// What is wrong with those fields; the others are not looked at.
pub fn cluster(manifest: &Value) -> Result<ClusterSpec, Vec<FieldError>> {
    spec::decode_cluster(manifest)
}

/// The job of a resolved manifest ([`JobSpec::manifest`]) that was validated before, whatever its length: for whoever runs
/// a part of it. Its trials are not compiled to check them.
///
/// # Errors
/// What is wrong with it, if it was no such manifest after all.
pub fn resolved(manifest: &Value, reserved: impl Fn(&str) -> bool) -> Result<Job, Vec<FieldError>> {
    match spec::decode(manifest) {
        (Some(spec), errors) if errors.is_empty() => Job::laid_out(spec, reserved),
        (_, errors) => Err(errors),
    }
}

/// A manifest that cannot run.
#[derive(Debug, Clone, PartialEq)]
pub struct Invalid {
    /// What is wrong, field by field.
    pub errors: Vec<FieldError>,
    /// What it asks to run on, where that could be read: whether it is there can be checked in the same go.
    pub data: Option<Box<DataSpec>>,
}

/// The manifest as a tree of values, overrides applied and nothing checked: what is sent to an API server.
///
/// # Errors
/// A text that is too long, nests too deep or is no YAML, or that kubectl would read as something else; overrides that lead
/// nowhere.
pub fn tree(text: &str, overrides: &[Override]) -> Result<Value, Vec<FieldError>> {
    if text.len() as u64 > MAX_MANIFEST_BYTES {
        let message = format!("the manifest has {} bytes, the limit is {MAX_MANIFEST_BYTES}", text.len());
        return Err(vec![FieldError::new("", message)]);
    }
    let mut value: Value = serde_saphyr::from_str_with_options(text, options()).map_err(|error| {
        let message = in_plain_words(&error.to_string());
        vec![FieldError::new("", format!("failed to read the manifest as YAML: {message}"))]
    })?;
    let differences = dialects::differences(text);
    if !differences.is_empty() {
        return Err(differences);
    }
    let errors: Vec<FieldError> = overrides.iter().filter_map(|o| o.apply(&mut value).err()).collect();
    if !errors.is_empty() {
        return Err(errors);
    }
    Ok(value)
}

fn options() -> serde_saphyr::Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! { max_depth: MAX_NESTING },
        with_snippet: false,
    }
}

/// A parser's message for whoever wrote the manifest: it speaks to programmers, of its options and limits.
fn in_plain_words(message: &str) -> String {
    let place = message.rfind(" at line ").map_or("", |at| &message[at..]);
    let known = [
        (
            "multiple YAML documents",
            "it holds several documents (`---`), but a job is one: put each into a file of its own",
        ),
        ("recursion limit", "it nests too deep: the deepest field of a job lies eight levels down"),
        ("budget breached: Depth", "it nests too deep: the deepest field of a job lies eight levels down"),
        ("budget breached", "it is too large once its aliases (`*name`) are written out: use fewer"),
    ];
    match known.iter().find(|(part, _)| message.contains(part)) {
        Some((_, plain)) => format!("{plain}{place}"),
        None => {
            let message = message.replace(", set DuplicateKeyPolicy in Options if acceptable", "");
            // What an expression that YAML takes apart makes its parser say.
            let torn = [
                "mapping values",
                "block scalar",
                "trailing content",
                "simple key",
                "unknown escape",
                "expected key",
            ];
            let hint = if torn.iter().any(|part| message.contains(part)) {
                ". Check the indentation; an expression with `: `, ` #`, quotes or a `!` in front stands in single quotes as a whole: '!(close > open)'"
            } else {
                ""
            };
            format!("{message}{hint}")
        }
    }
}
