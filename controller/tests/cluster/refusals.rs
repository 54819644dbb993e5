//! Jobs that do not run, and what they say.

use blockgrid_job::status::Phase;
use serde_json::{Value, json};

use crate::rig::{Grid, fresh};

fn refused(grid: &Grid, name: &str, manifest: &Value) -> (String, String) {
    grid.apply(name, manifest);
    let status = grid.await_end(name, Phase::Failed);
    let finished = status.condition("Finished").unwrap();
    (finished.reason.clone(), finished.message.clone())
}

#[test]
fn what_is_wrong_is_told_in_the_words_of_validate() {
    let Some(grid) = Grid::start() else { return };
    let _operator = grid.operator("a");
    let mut manifest = fresh();
    manifest["spec"]["strategy"]["define"]["fastMa"] = json!("sma(close, fasst)");
    manifest["spec"]["strategy"]["long"]["exit"] = json!("crosses_below(fastMa, slowMa) && clse > 1");
    let (reason, message) = refused(&grid, "typo", &manifest);
    assert_eq!(reason, "InvalidSpec");
    let (code, words, _) = grid.alone("validate", &manifest);
    assert_eq!(code, Some(2));
    let said: Vec<&str> = words.lines().skip(1).map(str::trim).filter(|line| !line.is_empty()).collect();
    assert_eq!(message.lines().collect::<Vec<_>>(), said);
    // The same, and symbols that the data set has not.
    manifest["spec"]["data"]["symbols"] = json!(["SYN-Z"]);
    let (_, message) = refused(&grid, "both", &manifest);
    let (_, words, _) = grid.alone("validate", &manifest);
    let said: Vec<&str> = words.lines().skip(1).map(str::trim).filter(|line| !line.is_empty()).collect();
    assert_eq!(said.len(), 2, "{said:?}");
    assert_eq!(message.lines().collect::<Vec<_>>(), said);
    // Symbols alone.
    let mut manifest = fresh();
    manifest["spec"]["data"]["symbols"] = json!(["SYN-Z"]);
    let (reason, message) = refused(&grid, "symbol", &manifest);
    let (_, words, _) = grid.alone("validate", &manifest);
    assert_eq!(reason, "InvalidSpec");
    assert!(words.contains(message.lines().next().unwrap()), "{message} is not in {words}");
}

/// Events are named after their objects, and their names are as long at most.
#[test]
fn a_job_of_the_longest_name_has_events() {
    let Some(grid) = Grid::start() else { return };
    let _operator = grid.operator("a");
    let mut manifest = fresh();
    manifest["spec"]["data"]["symbols"] = json!(["SYN-Z"]);
    let name = "x".repeat(253);
    let id = grid.apply(&name, &manifest);
    grid.await_end(&name, Phase::Failed);
    let is_told =
        || grid.events(&id).iter().any(|(reason, note)| reason == "InvalidSpec" && note.contains("SYN-Z"));
    crate::rig::until("it is told", is_told);
}

#[test]
fn what_the_cluster_does_not_have_is_told_with_what_it_has() {
    let Some(grid) = Grid::start() else { return };
    let _operator = grid.operator("a");
    let with = |path: &str, value: Value| {
        let mut manifest = fresh();
        let (parent, field) = path.rsplit_once('/').unwrap();
        let spec = &mut manifest["spec"];
        if spec.pointer(parent).is_none() {
            spec[&parent[1..]] = json!({});
        }
        spec.pointer_mut(parent).unwrap()[field] = value;
        manifest
    };
    let (reason, message) = refused(&grid, "class", &with("/compute/class", json!("gpu")));
    assert_eq!(reason, "InvalidSpec");
    assert_eq!(
        message,
        "spec.compute.class: is `gpu`, which is no compute class here: the platform has standard"
    );
    let (reason, unknown) = refused(&grid, "unknown", &with("/data/dataset", json!("nowhere")));
    assert_eq!(reason, "UnknownDataset");
    assert!(unknown.contains("(it may use: sample)"), "{unknown}");
    let (reason, foreign) = refused(&grid, "foreign", &with("/data/dataset", json!("other")));
    assert_eq!((reason.as_str(), foreign), ("UnknownDataset", unknown.replace("nowhere", "other")));
    let mut manifest = with("/data/file", json!("/etc/passwd"));
    manifest["spec"]["data"].as_object_mut().unwrap().remove("dataset");
    let error = grid.try_apply("file", &manifest).unwrap_err().to_string();
    assert!(error.contains("spec.data.file") && error.contains("registered data sets only"), "{error}");
}

#[test]
fn what_costs_more_than_it_may_is_told_with_the_numbers() {
    let Some(mut grid) = Grid::start() else { return };
    // A vCPU-second is a dollar.
    grid.price = 3_600_000_000;
    let _operator = grid.operator("a");
    let mut manifest = fresh();
    manifest["spec"]["compute"] = json!({ "maxCostUsd": 1e-6 });
    let (reason, message) = refused(&grid, "dear", &manifest);
    assert_eq!(reason, "QuoteAboveMaxCost");
    assert!(
        message.contains("a compute.maxCostUsd of at least $0.")
            && message.contains("but that is $0.000001:"),
        "{message}"
    );
}

/// Who wrote which field nests as the spec does, and its times are anyone's to write: neither may keep the operator from
/// reading what others ask for.
#[test]
fn objects_that_are_hard_to_read_keep_nobody_elses_from_being_read() {
    let Some(grid) = Grid::start() else { return };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("job.json");
    let kubectl = |verb: &str, object: &str| {
        std::fs::write(&file, object).unwrap();
        grid.cluster.kubectl(&[verb, "-n", &grid.tenant, "-f", file.to_str().unwrap()]);
    };
    let mut deep = fresh();
    deep["metadata"] = json!({ "name": "deep" });
    deep["spec"]["sweep"]["parameters"]["fast"] = json!("DEEP");
    let nested = format!("{}1{}", r#"{"a":"#.repeat(130), "}".repeat(130));
    kubectl("create", &deep.to_string().replace("\"DEEP\"", &nested));
    let mut late = fresh();
    late["metadata"] = json!({ "name": "late" });
    kubectl("create", &late.to_string());
    let shown = || {
        let shown = ["get", "btj", "late", "-n", &grid.tenant, "-o", "json", "--show-managed-fields"];
        grid.cluster.kubectl(&shown)
    };
    let mut written: Value = serde_json::from_str(&shown()).unwrap();
    for field in written["metadata"]["managedFields"].as_array_mut().unwrap() {
        field["time"] = json!("9999-12-31T23:59:59Z");
    }
    written["metadata"]["labels"]["changed"] = json!("yes");
    written["metadata"].as_object_mut().unwrap().remove("resourceVersion");
    kubectl("replace", &written.to_string());
    let there = shown();
    assert!(there.contains("9999-12-31T23:59:59Z"), "{there}");
    let operator = grid.operator("a");
    grid.apply("before", &fresh());
    grid.await_phase("before", Phase::Running);
    drop(operator);
    let _operator = grid.operator("b");
    grid.apply("after", &fresh());
    grid.await_phase("after", Phase::Running);
    let told = grid.await_end("deep", Phase::Failed);
    assert_eq!(told.condition("Finished").unwrap().reason, "InvalidSpec");
    for name in ["late", "deep"] {
        let id = grid.job(name).unwrap().metadata.uid.unwrap().parse().unwrap();
        grid.cluster.kubectl(&["delete", "btj", name, "-n", &grid.tenant, "--wait=false"]);
        grid.await_gone(name, &id);
    }
}

#[test]
fn a_users_label_is_not_believed_where_nobody_may_set_it() {
    let Some(mut grid) = Grid::start() else { return };
    let limits = json!({ "monthlyUsd": 1000, "perUserUsd": 500 });
    grid.budget(&grid.platform, &limits);
    let operator = grid.operator("a");
    let mut manifest = fresh();
    manifest["metadata"]["labels"] = json!({ "grid.blockbuilders.app/user": "mallory" });
    grid.apply("forged", &manifest);
    grid.await_phase("forged", Phase::Running);
    grid.await_budget(&grid.platform, "it is the namespace's", |status| {
        status.users.keys().eq([&grid.tenant]) && status.jobs == 1
    });
    operator.kill();
    // Where the admission policy sees to who sets it, it is.
    grid.more = "believedUsers: [portal]".to_owned();
    let _operator = grid.operator("b");
    grid.apply("meant", &{
        let mut manifest = fresh();
        manifest["metadata"]["labels"] = json!({ "grid.blockbuilders.app/user": "ann" });
        manifest
    });
    grid.await_phase("meant", Phase::Running);
    grid.await_budget(&grid.platform, "it is ann's", |status| status.users.contains_key("ann"));
}
