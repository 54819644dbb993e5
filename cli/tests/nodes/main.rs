//! The README's own steps and what may go wrong on the way, on two real nodes: the chart installed with the image that
//! `make image` writes, jobs applied by kubectl, results fetched by links and compared with those of `blockgrid run`.
//!
//! One test, because the machine has room for one such cluster; its steps say what they are about. `BLOCKGRID_IMAGE` names
//! the image; without it the test is skipped, and says so.
#![allow(clippy::unwrap_used, reason = "helpers of tests panic where the test fails")]

#[path = "../../../grid/tests/support/chaos.rs"]
#[allow(dead_code, unreachable_pub, reason = "other tests use the rest, from modules of theirs")]
mod chaos;
mod cluster;
mod faults;
mod jobs;
mod people;
#[path = "../support/mod.rs"]
mod support;
mod troubles;
mod upgrade;
mod witness;

use std::time::Instant;

use cluster::Cluster;

const TEAM: &str = "team-a";

#[test]
fn jobs_run_on_two_nodes_whatever_happens() {
    let Some(cluster) = Cluster::start() else { return };
    step("the chart is installed", || {
        cluster.install(&[]);
        cluster.kubectl(&["-n", "blockgrid", "get", "btb", "grid"]);
        cluster.kubectl(&["create", "namespace", TEAM]);
        cluster.kubectl(&["label", "namespace", TEAM, "pod-security.kubernetes.io/enforce=restricted"]);
    });
    step("a small job: apply, wait, results", || jobs::small_job(&cluster));
    step("a big job, and everything that can go wrong under it", || faults::big_job(&cluster));
    step("what people do to jobs", || people::people(&cluster));
    step("money", || people::money(&cluster));
    step("what keeps workers from starting", || troubles::troubles(&cluster));
    step("an upgrade in the middle of jobs of both lanes", || upgrade::upgrade(&cluster));
    step("a rollback", || upgrade::rollback(&cluster));
}

fn step(what: &str, run: impl FnOnce()) {
    let started = Instant::now();
    eprintln!("== {what}");
    run();
    eprintln!("   {:.1} s", started.elapsed().as_secs_f64());
}
