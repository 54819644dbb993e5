//! Manifests mutated at random: reading and validating one never panics, and every error names a field.
#![allow(clippy::unwrap_used, reason = "helpers of tests panic where the test fails")]

mod manifests;

use blockgrid_job::{FieldError, Job, load, read};
use manifests::{full, mutate, pointers, replacement};
use proptest::prelude::*;
use serde_json::{Value, json};

fn load_value(manifest: &Value) -> Result<Job, Vec<FieldError>> {
    load(&manifest.to_string(), &[], |name| name == "sharpe").map_err(|invalid| invalid.errors)
}

/// Every error names a field of the manifest, or the manifest itself, and says something, once.
fn check_errors(errors: &[FieldError], manifest: &Value) -> Result<(), TestCaseError> {
    prop_assert!(!errors.is_empty());
    for error in errors {
        let top = error.path.split(['.', '[']).next().unwrap();
        let known = ["apiVersion", "kind", "metadata", "spec"].contains(&top);
        let of_itself = error.path.is_empty() && (!manifest.is_object() || error.message.contains("YAML"));
        prop_assert!(known || of_itself || manifest.get(top).is_some(), "{error}");
        prop_assert!((10..3_000).contains(&error.message.len()), "{} bytes: {error}", error.message.len());
    }
    let mut unique: Vec<_> = errors.iter().map(ToString::to_string).collect();
    unique.sort();
    unique.dedup();
    prop_assert_eq!(unique.len(), errors.len(), "an error is said once: {:?}", errors);
    Ok(())
}

#[test]
fn the_full_manifest_is_valid() {
    let job = load_value(&full()).unwrap();
    assert_eq!(job.grid().len(), 6);
}

#[test]
fn each_field_removed_alone_is_a_default_or_an_error_of_that_field() {
    for pointer in pointers(&full()).into_iter().skip(1) {
        let mut manifest = full();
        mutate(&mut manifest, &pointer, None);
        let path = pointer.trim_start_matches('/').replace('/', ".");
        if let Err(errors) = load_value(&manifest) {
            let parent = path.rsplit_once('.').map_or("", |(parent, _)| parent);
            // The field, what holds it, or whoever used the parameter, the block or the stop.
            let used = ["define", "parameters", "risk"].iter().any(|part| path.contains(part));
            let near = |error: &FieldError| error.path.starts_with(parent) || path.starts_with(&error.path);
            assert!(used || errors.iter().all(near), "without {path}: {errors:?}");
        }
    }
}

#[test]
fn each_field_of_the_wrong_type_is_an_error_of_that_field() {
    for pointer in pointers(&full()).into_iter().skip(1) {
        let path = pointer.trim_start_matches('/').replace('/', ".");
        // Labels are the API server's; items of lists have paths of their own.
        if path.starts_with("metadata.labels") || path.ends_with(|c: char| c.is_ascii_digit()) {
            continue;
        }
        let mut manifest = full();
        mutate(&mut manifest, &pointer, Some(json!([{"no": "such thing"}])));
        let errors = load_value(&manifest).unwrap_err();
        assert!(errors.iter().any(|error| error.path.starts_with(&path)), "{path}: {errors:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn mutated_manifests_are_read_or_refused_with_paths(
        edits in prop::collection::vec(
            (any::<prop::sample::Index>(), prop::option::weighted(0.8, replacement())), 1..6)
    ) {
        let mut manifest = full();
        for (index, with) in edits {
            let all = pointers(&manifest);
            mutate(&mut manifest, &all[index.index(all.len())], with);
        }
        match load_value(&manifest) {
            Ok(job) => {
                // What was accepted is the same when it is read back in full.
                let resolved = job.spec().manifest();
                let again = read(&resolved.to_string(), &[]);
                prop_assert!(again.is_ok(), "{:?}\n{}", again, resolved);
                prop_assert_eq!(again.unwrap().manifest(), resolved);
                prop_assert!(!job.grid().is_empty());
            }
            Err(errors) => check_errors(&errors, &manifest)?,
        }
    }

    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,200}|[\\[\\]{}:,&*!|>'\"%@`#\\-\\n\\t a0]{0,200}") {
        if let Err(errors) = load(&text, &[], |_| false) {
            prop_assert!(!errors.errors.is_empty() && errors.errors.iter().all(|error| !error.message.is_empty()));
        }
    }

    #[test]
    fn any_override_is_applied_or_refused(
        text in "[a-z.=\\[\\],/0-9\"]{0,40}|spec\\.[a-z]{1,8}=.{0,20}|sweep\\.parameters\\.fast=[0-9./,e-]{0,12}"
    ) {
        match text.parse() {
            Ok(set) => {
                if let Err(errors) = load(&full().to_string(), &[set], |_| false) {
                    prop_assert!(errors.errors.iter().all(|error| !error.path.is_empty()), "{:?}", errors);
                }
            }
            Err(FieldError { path, .. }) => prop_assert_eq!(path, "--set"),
        }
    }
}
