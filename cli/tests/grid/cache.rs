//! Trials that an earlier job computed: found where they are the same, and only there.

use crate::rig::{JOB, Job, Rig, Submission};

/// `JOB` with one more value, which asks for a longer history too.
const MORE: Job = Job {
    sets: &[
        "sweep.parameters.fast=5..50/15",
        "sweep.parameters.slow=[60, 100, 160, 250]",
        "sweep.parameters.stop=[0.02]",
        "output.top=3",
    ],
    shard_seconds: JOB.shard_seconds,
};

/// `JOB` in which trades cost less.
const CHEAPER: Job = Job {
    sets: &[
        "sweep.parameters.fast=5..50/15",
        "sweep.parameters.slow=[60, 100, 160]",
        "sweep.parameters.stop=[0.02]",
        "output.top=3",
        "execution.fees.takerBps=1",
    ],
    shard_seconds: JOB.shard_seconds,
};

/// How many trials a finished job found, and how many it computed, by what its submission and its record say.
fn found(rig: &Rig, submission: &mut Submission) -> (u64, u64) {
    let record = rig.right(submission);
    let cached = record["grid"]["cachedTrials"].as_u64().unwrap();
    assert!(submission.log().contains(&format!(", {cached} cached")), "{}", submission.log());
    (cached, record["grid"]["usage"]["trials"].as_u64().unwrap())
}

#[test]
fn a_value_added_costs_that_value() {
    let Some(rig) = Rig::start() else { return };
    let _worker = rig.worker("w0");
    // Two symbols, and 12 parameter sets of which fast < slow lets all through.
    let first = found(&rig, &mut rig.submit(JOB, "first"));
    assert_eq!(first.0, 0);
    assert_eq!(found(&rig, &mut rig.submit(JOB, "again")), (first.1, 0));
    assert_eq!(found(&rig, &mut rig.submit(MORE, "more")), (first.1, first.1 / 3));
    // The other way about: what is asked for less history was computed with more.
    assert_eq!(found(&rig, &mut rig.submit(JOB, "less")), (first.1, 0));
    let all = found(&rig, &mut rig.submit_with(JOB, "anew", &["--wait", "-o", "out-anew", "--no-cache"]));
    assert_eq!(all, first);
}

#[test]
fn what_a_row_depends_on_keeps_jobs_apart() {
    let Some(rig) = Rig::start() else { return };
    let _worker = rig.worker("w0");
    let (_, computed) = found(&rig, &mut rig.submit(JOB, "mine"));
    assert_eq!(found(&rig, &mut rig.submit(CHEAPER, "cheaper")), (0, computed));
    let theirs = ["--wait", "-o", "out-theirs", "--tenant", "other"];
    assert_eq!(found(&rig, &mut rig.submit_with(JOB, "theirs", &theirs)), (0, computed));
}

/// A table that is gone when the job finishes: told with the remedy, and the remedy works.
#[test]
fn a_table_that_went_away_is_told_and_computed_again() {
    let Some(rig) = Rig::start() else { return };
    {
        let _worker = rig.worker("w0");
        found(&rig, &mut rig.submit(JOB, "before"));
    }
    let mut late = rig.submit(JOB, "late");
    crate::rig::until("planned", || late.log().contains("cached"));
    let removed = rig.wait(rig.store.delete_prefix("cache/local")).unwrap();
    assert!(removed > 0);
    let _worker = rig.worker("w1");
    late.fails(&["are gone from the store", "submit the job again"]);
    let (cached, computed) = found(&rig, &mut rig.submit(JOB, "after"));
    assert!(cached == 0 && computed > 0);
}
