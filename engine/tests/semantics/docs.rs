//! The page `docs/semantics.md` and the tests name each other.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a workspace").to_path_buf()
}

/// `file::test` of every `fn` of the Rust files below a folder.
fn functions(folder: &Path, found: &mut BTreeSet<String>, only_tests: bool) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        if path.is_dir() {
            if name != "target" && !name.starts_with('.') {
                functions(&path, found, only_tests);
            }
        } else if let Some(file) = name.strip_suffix(".rs") {
            let mut is_test = false;
            for line in std::fs::read_to_string(&path).expect("a source file").lines() {
                let function =
                    line.trim_start().strip_prefix("fn ").and_then(|rest| rest.split(['(', '<']).next());
                match function {
                    Some(test) if is_test || !only_tests => _ = found.insert(format!("{file}::{test}")),
                    _ => {}
                }
                is_test = line.trim() == "#[test]";
            }
        }
    }
}

/// Every `file::test` of the page.
fn named() -> BTreeSet<String> {
    let page = std::fs::read_to_string(root().join("docs/semantics.md")).expect("the page");
    let quoted = page.split('`').skip(1).step_by(2);
    let is_test =
        |text: &&str| text.contains("::") && !text.contains(['.', ' ', '(']) && *text != "file::test";
    quoted.filter(is_test).map(str::to_owned).collect()
}

#[test]
fn every_test_that_the_page_names_exists() {
    let mut known = BTreeSet::new();
    for folder in ["engine", "job", "results", "cli"] {
        functions(&root().join(folder), &mut known, false);
    }
    let named = named();
    assert!(named.len() > 100, "the page names {} tests", named.len());
    let missing: Vec<_> = named.difference(&known).collect();
    assert!(missing.is_empty(), "docs/semantics.md names tests that do not exist: {missing:#?}");
}

#[test]
fn every_example_and_invariant_is_named_by_the_page() {
    let mut tests = BTreeSet::new();
    for folder in ["engine/tests/semantics", "engine/tests/properties"] {
        functions(&root().join(folder), &mut tests, true);
    }
    tests.retain(|test| !test.starts_with("docs::"));
    let named = named();
    let unnamed: Vec<_> = tests.difference(&named).collect();
    assert!(unnamed.is_empty(), "docs/semantics.md does not name {unnamed:#?}");
}
