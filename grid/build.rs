//! The engine's id: a digest of the sources that decide a result, and of the target. Whatever is built from other sources,
//! committed or not, has another id and shares no cache.

use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

/// What decides a result: simulation, the meaning of a manifest, the format of the tables, how shards are computed.
const SOURCES: [&str; 4] = ["engine/src", "job/src", "results/src", "worker/src/compute.rs"];

/// Of these, what no result depends on: what a cluster is told about a job, and what it costs.
const NOT_SOURCES: [&str; 6] = [
    "job/src/budget",
    "job/src/crd",
    "job/src/quote",
    "job/src/spec/cluster",
    "job/src/status",
    "results/src/report",
];

fn main() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut files = Vec::new();
    for source in SOURCES {
        println!("cargo:rerun-if-changed={}", root.join(source).display());
        collect(&root.join(source), &mut files);
    }
    let is_source = |file: &PathBuf| {
        let name = file.strip_prefix(&root).unwrap_or(file).with_extension("");
        !NOT_SOURCES.iter().any(|folder| name.starts_with(folder))
    };
    files.retain(is_source);
    files.sort();
    let mut hash = Sha256::new();
    for file in &files {
        let name = file.strip_prefix(&root).unwrap_or(file).to_string_lossy().into_owned();
        let bytes = fs::read(file).unwrap_or_default();
        hash.update((name.len() as u64).to_le_bytes());
        hash.update(&name);
        hash.update((bytes.len() as u64).to_le_bytes());
        hash.update(&bytes);
    }
    // Versions of what is computed with, and the processor that it is compiled for: the same bits are meant everywhere,
    // but no test has seen every target.
    println!("cargo:rerun-if-changed={}", root.join("Cargo.lock").display());
    hash.update(fs::read(root.join("Cargo.lock")).unwrap_or_default());
    hash.update(std::env::var("TARGET").unwrap_or_default());
    let id: String = hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    println!("cargo:rustc-env=BLOCKGRID_ENGINE_ID={id}");
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    if folder.is_file() {
        files.push(folder.to_owned());
    }
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}
