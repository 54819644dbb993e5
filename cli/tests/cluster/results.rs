//! Jobs that run to their end: what is fetched has the bytes of `blockgrid run`.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;

use serde_json::Value;

use crate::plane::{Tenant, plane};
use crate::support::{EXAMPLES, Ran, example, run_in, small, with};

const FILES: [&str; 4] = ["trials.parquet", "trades.parquet", "equity.parquet", "report.html"];

fn bytes(out: &Path) -> BTreeMap<&'static str, Vec<u8>> {
    FILES.iter().map(|file| (*file, std::fs::read(out.join(file)).unwrap())).collect()
}

/// An example with what makes it small.
fn sets(example: usize) -> (String, Vec<String>) {
    let (name, sets) = EXAMPLES[example];
    let sets = sets.iter().flat_map(|set| ["--set".to_owned(), (*set).to_owned()]).collect();
    (crate::support::example(name).display().to_string(), sets)
}

fn local(tenant: &Tenant, file: &str, sets: &[String]) -> BTreeMap<&'static str, Vec<u8>> {
    let args = ["run", file, "-o", "local"].into_iter().chain(sets.iter().map(String::as_str));
    run_in(tenant.path(), args).ok();
    bytes(&tenant.path().join("local"))
}

fn submit(tenant: &Tenant, file: &str, sets: &[String], more: &[&str]) -> Ran {
    let args: Vec<&str> = ["submit", file].into_iter().chain(sets.iter().map(String::as_str)).collect();
    tenant.run(&[&args, more].concat())
}

#[test]
fn what_a_cluster_computes_has_the_bytes_of_run_by_links_and_by_keys() {
    let Some(plane) = plane() else { return };
    let tenant = plane.tenant("bytes");
    let (file, sets) = sets(4);
    let expected = local(&tenant, &file, &sets);
    let ran = submit(&tenant, &file, &sets, &["--watch", "-o", "watched"]).ok();
    assert!(ran.stdout.contains("long-short-reversal: Succeeded") && ran.stdout.contains("report: watched"));
    assert!(bytes(&tenant.path().join("watched")) == expected, "other bytes than those of run");
    let record: Value =
        serde_json::from_slice(&std::fs::read(tenant.path().join("watched/job.json")).unwrap()).unwrap();
    let job = tenant.job("long-short-reversal");
    assert_eq!(record["grid"]["uid"], job["metadata"]["uid"]);
    assert_eq!(record["grid"]["tenant"], "bytes");
    // Nothing stays that opens them.
    assert_eq!(job["metadata"]["annotations"]["grid.blockbuilders.app/links"], Value::Null);
    tenant.until("long-short-reversal", "links are taken back", |job| job["status"]["links"].is_null());

    // Again, by somebody else, in the place that is the default; and by several at once.
    let fetched = tenant.run(&["results", "long-short-reversal", "--output", "json"]).ok().json();
    assert_eq!(fetched["out"], "blockgrid-out/long-short-reversal");
    assert!(bytes(&tenant.path().join("blockgrid-out/long-short-reversal")) == expected);
    let at_once: Vec<_> = (0..3)
        .map(|n| {
            let out = format!("out-{n}");
            let mut command = tenant.command(&["results", "long-short-reversal", "-o", &out]);
            command.stdout(Stdio::null()).spawn().unwrap()
        })
        .collect();
    for (n, mut child) in at_once.into_iter().enumerate() {
        assert!(child.wait().unwrap().success(), "{n}");
        assert!(bytes(&tenant.path().join(format!("out-{n}"))) == expected);
    }
    tenant.until("long-short-reversal", "links are taken back", |job| job["status"]["links"].is_null());

    // With keys of one's own nobody is asked.
    let (store, endpoint) =
        (plane.grid["store"].as_str().unwrap(), plane.grid["s3Endpoint"].as_str().unwrap());
    let version = tenant.job("long-short-reversal")["metadata"]["resourceVersion"].clone();
    let args = ["results", "long-short-reversal", "-o", "keys", "--store", store, "--s3-endpoint", endpoint];
    Ran::of(tenant.command(&args).envs(plane.keys()).output().unwrap()).ok();
    assert!(bytes(&tenant.path().join("keys")) == expected);
    assert_eq!(tenant.job("long-short-reversal")["metadata"]["resourceVersion"], version);
    let args = [
        "results",
        "long-short-reversal",
        "-o",
        "keys",
        "--store",
        "s3://grid/else",
        "--s3-endpoint",
        endpoint,
    ];
    Ran::of(tenant.command(&args).envs(plane.keys()).output().unwrap())
        .fails(2, &["is it the store of this grid?"]);

    // The same name again.
    submit(&tenant, &file, &sets, &[]).fails(2, &["exists in namespace bytes (Succeeded)", "--name"]);
    submit(&tenant, &file, &sets, &["--name", "again", "--watch", "-o", "again"]).ok();
    // Its name stands in the report, and nowhere in the tables.
    let again = bytes(&tenant.path().join("again"));
    for table in &FILES[..3] {
        assert!(again[table] == expected[table], "{table}");
    }
}

#[test]
fn jobs_are_listed_the_youngest_first() {
    let Some(plane) = plane() else { return };
    let tenant = plane.tenant("listed");
    tenant.run(&["ls"]).ok();
    let file = tenant.write("small.json", &small());
    tenant.run(&["submit", &file]).ok();
    assert!(tenant.run(&["watch", "small"]).ok().stdout.starts_with("small: Succeeded"));
    // Times of an API server have whole seconds.
    std::thread::sleep(std::time::Duration::from_millis(1100));
    tenant.run(&["submit", &file, "--name", "resting", "--suspend"]).ok();
    tenant.await_phase("resting", "Suspended");
    let table = tenant.run(&["ls"]).ok().stdout;
    let words: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
    let words: Vec<_> = words.into_iter().filter(|words| !words.is_empty()).collect();
    assert_eq!(words[0], ["NAME", "PHASE", "PROGRESS", "BEST", "COST", "WORKERS", "LANE", "AGE"]);
    assert_eq!(words[1][..2], ["resting", "Suspended"]);
    assert_eq!(words[2][..4], ["small", "Succeeded", "1/1", "total_return"], "{table}");
    let all = tenant.run(&["ls", "-A", "--output", "json"]).ok().json();
    let ours: Vec<&Value> =
        all.as_array().unwrap().iter().filter(|job| job["namespace"] == "listed").collect();
    assert_eq!(
        ours.iter().map(|job| job["name"].as_str().unwrap()).collect::<Vec<_>>(),
        ["resting", "small"]
    );
    assert_eq!(ours[1]["lane"], "interactive");
    // By its other name, the program says the same.
    let mut other = crate::support::blockgrid();
    other.env("KUBECONFIG", &plane.kubeconfig).args(["cluster", "ls", "-n", "listed"]);
    let other = Ran::of(other.output().unwrap()).ok().stdout;
    assert!(other.contains("resting") && other.contains("small"), "{other}");
}

#[test]
fn a_text_that_no_annotation_takes_is_left_out_of_the_report_with_a_word() {
    let Some(plane) = plane() else { return };
    let tenant = plane.tenant("long");
    let text = std::fs::read_to_string(example("sma-crossover")).unwrap() + &"# more\n".repeat(10_000);
    let file = tenant.path().join("long.yaml");
    std::fs::write(&file, text).unwrap();
    let ran = tenant.run(&["submit", file.to_str().unwrap(), "--suspend"]).ok();
    assert!(ran.stderr.contains("without its comments"), "{}", ran.stderr);
    let annotations = tenant.job("sma-crossover")["metadata"]["annotations"].clone();
    assert_eq!(annotations["grid.blockbuilders.app/manifest"], Value::Null);
}

#[test]
fn what_its_author_wrote_beside_the_spec_is_kept() {
    let Some(plane) = plane() else { return };
    let tenant = plane.tenant("kept");
    let manifest = with(small(), "/metadata/labels/desk", "fx".into());
    let manifest = with(manifest, "/metadata/annotations/why", "a try".into());
    let manifest = with(manifest, "/metadata/namespace", "kept".into());
    let manifest = with(manifest, "/spec/compute/maxCostUsd", 2.into());
    let file = tenant.write("kept.json", &manifest);
    // Without -n: the manifest says where.
    Ran::of(plane.command(&["submit", &file, "--suspend"]).output().unwrap()).ok();
    let job = tenant.job("small");
    assert_eq!(job["metadata"]["labels"]["desk"], "fx");
    assert_eq!(job["metadata"]["annotations"]["why"], "a try");
    assert_eq!(job["spec"]["compute"]["maxCostUsd"], 2);
    let elsewhere = plane.command(&["submit", &file, "-n", "default"]).output().unwrap();
    Ran::of(elsewhere).fails(2, &["metadata.namespace of the manifest is kept"]);
}
