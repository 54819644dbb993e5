//! Holds `docs/architecture.md` true: floors, where DataFusion lives, one version table, a pure engine, short files.
//!
//! Each check is a function over plain data, so that the tests at the end can show it a house that breaks the rule.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand};

/// A crate may depend on crates of lower floors only.
const FLOORS: &[(&str, u8)] = &[
    ("blockgrid-pod", 6),
    ("blockgrid", 5),
    ("blockgrid-worker", 5),
    ("blockgrid-controller", 5),
    ("blockgrid-api", 5),
    ("blockgrid-query", 5),
    ("blockgrid-results", 4),
    ("blockgrid-planner", 4),
    ("blockgrid-grid", 3),
    ("blockgrid-job", 2),
    ("blockgrid-datasets", 2),
    ("blockgrid-engine", 1),
];

/// `cli` runs everything in one process, and the operator in its tests; `api` answers queries itself.
const EXCEPTIONS: &[(&str, &str)] = &[
    ("blockgrid", "blockgrid-worker"),
    ("blockgrid", "blockgrid-controller"),
    ("blockgrid-api", "blockgrid-query"),
];

/// The crates that may carry DataFusion: it costs minutes to compile and 220 MB of a dev binary.
const WITH_DATAFUSION: &[&str] = &["blockgrid-query", "blockgrid-api"];

/// What pure compute has no use for: I/O, async, formats at rest, ambient randomness. A name ending in `*` is a prefix.
const NOT_IN_ENGINE: &[&str] = &[
    "tokio*",
    "async-*",
    "futures*",
    "object_store",
    "parquet*",
    "arrow*",
    "datafusion*",
    "csv",
    "hyper*",
    "reqwest",
    "redis",
    "kube*",
    "k8s-openapi",
    "aws-*",
    "rand",
    "rand_*",
    "getrandom",
    "fastrand",
    "chrono",
    "anyhow",
];

const MAX_LINES: usize = 500;

/// What depends on what. `direct` is what the manifests say (every kind), `normal` what a build links.
#[derive(Default)]
struct House {
    members: BTreeSet<String>,
    direct: BTreeMap<String, BTreeSet<String>>,
    normal: BTreeMap<String, BTreeSet<String>>,
}

impl House {
    fn read(metadata: &Metadata) -> Self {
        let mut house = Self::default();
        let members: BTreeSet<_> = metadata.workspace_members.iter().collect();
        for package in &metadata.packages {
            if members.contains(&package.id) {
                house.members.insert(package.name.to_string());
                let names = package.dependencies.iter().map(|dependency| dependency.name.clone()).collect();
                house.direct.insert(package.name.to_string(), names);
            }
        }
        let names: BTreeMap<_, _> = metadata.packages.iter().map(|p| (&p.id, p.name.to_string())).collect();
        for node in metadata.resolve.iter().flat_map(|resolve| &resolve.nodes) {
            let normal = node.deps.iter().filter(|dependency| {
                dependency.dep_kinds.iter().any(|kind| kind.kind == DependencyKind::Normal)
            });
            // Two versions of one crate are one name here: the rules below speak of names.
            let of = house.normal.entry(names[&node.id].clone()).or_default();
            of.extend(normal.map(|dependency| names[&dependency.pkg].clone()));
        }
        house
    }

    /// Every crate that a build of `root` links.
    fn tree(&self, root: &str) -> BTreeSet<&str> {
        let mut tree = BTreeSet::new();
        let mut open = vec![root];
        while let Some(name) = open.pop() {
            for dependency in self.normal.get(name).into_iter().flatten() {
                if tree.insert(dependency.as_str()) {
                    open.push(dependency);
                }
            }
        }
        tree
    }
}

fn floor(name: &str) -> Option<u8> {
    FLOORS.iter().find(|(known, _)| *known == name).map(|(_, floor)| *floor)
}

fn matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(prefix) => name.starts_with(prefix),
        None => name == pattern,
    }
}

fn check_floors(house: &House) -> Vec<String> {
    let mut wrong = Vec::new();
    for member in &house.members {
        let Some(own) = floor(member) else {
            wrong.push(format!("{member} has no floor: give it one here and in docs/architecture.md"));
            continue;
        };
        for dependency in house.direct.get(member).into_iter().flatten() {
            let lower = floor(dependency).is_none_or(|other| other < own);
            if !lower && !EXCEPTIONS.contains(&(member, dependency)) {
                wrong.push(format!(
                    "{member} (floor {own}) depends on {dependency}, which is not on a lower floor"
                ));
            }
        }
    }
    wrong
}

fn check_datafusion(house: &House) -> Vec<String> {
    let mut wrong = Vec::new();
    for member in &house.members {
        let named = house.direct.get(member).into_iter().flatten().find(|name| matches("datafusion*", name));
        if let Some(name) = named
            && member != "blockgrid-query"
        {
            wrong.push(format!("{member} names {name}: DataFusion is a dependency of query alone"));
        }
        if !WITH_DATAFUSION.contains(&member.as_str()) && house.tree(member).contains("datafusion") {
            wrong.push(format!("{member} links DataFusion through another crate"));
        }
    }
    wrong
}

fn check_engine(tree: &BTreeSet<String>) -> Vec<String> {
    let forbidden = tree.iter().filter(|name| NOT_IN_ENGINE.iter().any(|pattern| matches(pattern, name)));
    forbidden.map(|name| format!("engine links {name}: pure compute has no use for it")).collect()
}

/// The dependencies of a member's `Cargo.toml` that do not come from the workspace's table.
fn check_manifest(path: &str, text: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut report = |name: &str| wrong.push(format!("{path}: `{name}` must be `workspace = true`"));
    let mut section = String::new();
    // `[dependencies.name]`, and whether its `workspace = true` was seen.
    let mut table: Option<(String, bool)> = None;
    let mut entry = String::new();
    for line in text.lines().chain(["[end]"]) {
        let line = line.split('#').next().unwrap_or_default().trim();
        if entry.is_empty() && line.starts_with('[') {
            if let Some((name, false)) = table.take() {
                report(&name);
            }
            section = line.trim_matches(['[', ']']).to_owned();
            let parts: Vec<&str> = section.rsplitn(2, '.').collect();
            if let [name, parent] = parts[..]
                && parent.ends_with("dependencies")
            {
                table = Some((name.to_owned(), false));
            }
            continue;
        }
        entry.push_str(line);
        // An entry goes on until its brackets close.
        if entry.is_empty() || entry.matches(['{', '[']).count() > entry.matches(['}', ']']).count() {
            continue;
        }
        let compact: String = std::mem::take(&mut entry).split_whitespace().collect();
        if let Some((_, seen)) = &mut table {
            *seen |= compact == "workspace=true";
        } else if section.ends_with("dependencies") {
            let (name, value) = compact.split_once('=').unwrap_or((&compact, ""));
            let inherited = name.ends_with(".workspace") && value == "true"
                || value.trim_matches(['{', '}']).split(',').any(|part| part == "workspace=true");
            if !inherited {
                report(name);
            }
        }
    }
    wrong
}

/// Lines before the file's tests.
fn code_lines(text: &str) -> usize {
    let lines = text.lines().map(str::trim);
    lines.take_while(|line| *line != "#[cfg(test)]").count()
}

fn check_length(path: &str, text: &str) -> Option<String> {
    let lines = code_lines(text);
    (lines > MAX_LINES)
        .then(|| format!("{path} has {lines} lines before its tests; at most {MAX_LINES}: split it"))
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn metadata() -> Metadata {
    // One platform for everybody: the same answer on every machine, and nothing to download for the others.
    let options = ["--locked", "--filter-platform", "x86_64-unknown-linux-gnu"].map(String::from);
    let mut command = MetadataCommand::new();
    command.manifest_path(root().join("Cargo.toml")).other_options(options.to_vec());
    command.exec().expect("cargo metadata")
}

/// Every crate that a build of the engine alone links. Not from the metadata: its features are those of the whole
/// workspace, where DataFusion's wishes (random UUIDs, say) reach the engine's dependencies.
fn engine_tree() -> BTreeSet<String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let arguments = "tree --locked --package blockgrid-engine --edges normal --prefix none --format {p} \
                     --target x86_64-unknown-linux-gnu";
    let output = Command::new(cargo)
        .args(arguments.split_whitespace())
        .current_dir(root())
        .output()
        .expect("cargo tree can be run");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines = String::from_utf8(output.stdout).expect("crate names are UTF-8");
    lines.lines().filter_map(|line| line.split_whitespace().next()).map(String::from).collect()
}

/// The files whose length is checked: everything under each member's `src`, and its build script.
fn sources(metadata: &Metadata) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for package in metadata.workspace_packages() {
        let folder = package.manifest_path.parent().expect("a manifest lies in a folder").as_std_path();
        files.extend(Some(folder.join("build.rs")).filter(|path| path.is_file()));
        let mut open = vec![folder.join("src")];
        while let Some(folder) = open.pop() {
            for entry in fs::read_dir(&folder).expect("src can be listed") {
                let path = entry.expect("an entry can be read").path();
                if path.is_dir() {
                    open.push(path);
                } else if path.extension().is_some_and(|extension| extension == "rs") {
                    files.push(path);
                }
            }
        }
    }
    files.sort();
    files
}

fn none(wrong: Vec<String>) {
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn crates_depend_on_lower_floors_only() {
    let house = House::read(&metadata());
    assert!(house.members.contains("blockgrid-engine"), "{:?}", house.members);
    none(check_floors(&house));
}

#[test]
fn datafusion_lives_in_query_alone() {
    let house = House::read(&metadata());
    assert!(house.tree("blockgrid-query").contains("datafusion"), "the tree is not read");
    none(check_datafusion(&house));
}

#[test]
fn the_engine_is_pure() {
    let tree = engine_tree();
    assert!(tree.contains("rayon-core"), "the tree is not read: {tree:?}");
    none(check_engine(&tree));
}

#[test]
fn every_version_stands_in_the_workspace_table() {
    let mut wrong = Vec::new();
    for package in metadata().workspace_packages() {
        let path = package.manifest_path.as_str();
        wrong.extend(check_manifest(path, &fs::read_to_string(path).expect("a manifest can be read")));
    }
    none(wrong);
}

#[test]
fn source_files_are_short() {
    let files = sources(&metadata());
    for expected in ["engine/src/lib.rs", "engine/src/sim.rs", "query/src/lib.rs", "cli/src/main.rs"] {
        assert!(files.iter().any(|path| path.ends_with(expected)), "{expected} is not among {files:?}");
    }
    let check = |path: &PathBuf| {
        let text = fs::read_to_string(path).expect("a source can be read");
        check_length(&path.to_string_lossy(), &text)
    };
    none(files.iter().filter_map(check).collect());
}

// The checks themselves, on houses that break the rules.

fn house(edges: &[(&str, &[&str])]) -> House {
    let graph: BTreeMap<String, BTreeSet<String>> = edges
        .iter()
        .map(|(from, to)| (from.to_string(), to.iter().map(|name| name.to_string()).collect()))
        .collect();
    let members = graph.keys().filter(|name| name.starts_with("blockgrid")).cloned().collect();
    House { members, direct: graph.clone(), normal: graph }
}

#[test]
fn a_wrong_floor_is_found() {
    let fine = house(&[
        ("blockgrid", &["blockgrid-worker", "blockgrid-results", "clap"]),
        ("blockgrid-worker", &["blockgrid-engine", "tokio"]),
        ("blockgrid-api", &["blockgrid-query"]),
        ("blockgrid-results", &["blockgrid-job", "blockgrid-engine"]),
    ]);
    assert_eq!(check_floors(&fine), Vec::<String>::new());

    let up = check_floors(&house(&[("blockgrid-engine", &["blockgrid-job"])]));
    assert_eq!(up.len(), 1, "{up:?}");
    assert!(up[0].contains("blockgrid-engine (floor 1) depends on blockgrid-job"), "{up:?}");
    let same = check_floors(&house(&[("blockgrid-job", &["blockgrid-datasets"])]));
    assert_eq!(same.len(), 1, "{same:?}");
    let not_excepted =
        check_floors(&house(&[("blockgrid-worker", &["blockgrid"]), ("blockgrid", &["blockgrid-query"])]));
    assert_eq!(not_excepted.len(), 2, "{not_excepted:?}");
    let stranger = check_floors(&house(&[("blockgrid-cellar", &[])]));
    assert!(stranger[0].contains("blockgrid-cellar has no floor"), "{stranger:?}");
}

#[test]
fn a_hidden_datafusion_is_found() {
    let hidden = house(&[
        ("blockgrid-query", &["datafusion"]),
        ("blockgrid-api", &["blockgrid-query"]),
        ("blockgrid-results", &["datafusion-functions"]),
        ("blockgrid", &["helper"]),
        ("helper", &["datafusion"]),
    ]);
    let wrong = check_datafusion(&hidden);
    assert_eq!(wrong.len(), 2, "{wrong:?}");
    assert!(wrong[0].starts_with("blockgrid links DataFusion"), "{wrong:?}");
    assert!(wrong[1].starts_with("blockgrid-results names datafusion-functions"), "{wrong:?}");
}

#[test]
fn an_impure_engine_is_found() {
    let tree = |names: &[&str]| names.iter().map(|name| name.to_string()).collect();
    let wrong = check_engine(&tree(&["rayon", "tokio-util", "arrow-array", "csv", "getrandom"]));
    assert_eq!(wrong.len(), 4, "{wrong:?}");
    assert_eq!(check_engine(&tree(&["csv-like", "libm", "rayon"])), Vec::<String>::new());
}

#[test]
fn a_version_outside_the_table_is_found() {
    let text = "
        [package]
        version = \"1\"
        [dependencies]
        a.workspace = true
        b = { workspace = true, features = [ # why
          \"x\",
        ] }
        c = \"1\" # no
        d = { version = \"1\", features = [\"workspace=true\"] }
        e = { path = \"../e\" }
        [dev-dependencies.f]
        workspace = true
        [dependencies.g]
        version = \"2\"
        [target.'cfg(unix)'.dependencies]
        h = { git = \"https://example.org/h\" }
        [lints]
        workspace = true
        [build-dependencies.i]
        path = \"../i\"
    ";
    let wrong = check_manifest("x", text);
    let names: Vec<&str> = wrong.iter().filter_map(|line| line.split('`').nth(1)).collect();
    assert_eq!(names, ["c", "d", "e", "g", "h", "i"], "{wrong:?}");
}

#[test]
fn a_long_file_is_found() {
    let long = "x\n".repeat(MAX_LINES + 1);
    assert!(check_length("long.rs", &long).is_some_and(|line| line.contains("501 lines")));
    let tested = format!("{}#[cfg(test)]\n{long}", "x\n".repeat(MAX_LINES));
    assert_eq!(check_length("tested.rs", &tested), None);
}

/// Manifests, plans and records are JSON on their way: a number that comes back one bit off is another trial. (serde_json
/// is exact only with `float_roundtrip`.)
#[test]
fn numbers_keep_their_last_bit_in_json() {
    for number in (0..20_000_u32).map(|n| 0.02 + f64::from(n) * 1e-6).chain([1e-300 / 3.0, 1e300 / 7.0]) {
        let text = serde_json::to_string(&number).unwrap();
        let again: f64 = serde_json::from_str(&text).unwrap();
        assert_eq!(again.to_bits(), number.to_bits(), "{text}");
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value.as_f64().unwrap().to_bits(), number.to_bits(), "{text}");
    }
}
