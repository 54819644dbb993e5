//! Trials that an earlier job computed: found where they are the same, and only there.

use crate::rig::{JOB, Job, Rig, Submission, program, read_all};

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
/// On candles that have ten days of history where it wants a thousand hours, at first.
const COLD: Job = Job {
    sets: &[
        "data.dataset=mine",
        "data.symbols=[SYN-A]",
        "data.from=2024-01-11",
        "strategy.define.trend=sma(close, 3)",
        "sweep.parameters.fast=[5, 20]",
        "sweep.parameters.slow=[60, 1000]",
        "sweep.parameters.stop=[0.02]",
        "output.top=1",
    ],
    shard_seconds: None,
};

/// A trial that started cold is another one where there is more history.
#[test]
fn what_started_cold_is_not_found_on_longer_history() {
    let Some(rig) = Rig::start() else { return };
    let _worker = rig.worker("w0");
    let here = |args: &[&str]| {
        let ran = program(rig.folder.path()).args(args).output().unwrap();
        assert!(ran.status.success(), "{args:?}: {}", String::from_utf8_lossy(&ran.stderr));
    };
    let import = |from: &str, to: &str| {
        let file = format!("{from}.csv");
        let stretch = ["--symbol", "SYN-A", "--interval", "1h"];
        here(
            &[&["data", "export", "sample"], &stretch[..], &["--from", from, "--to", to, "-o", &file]]
                .concat(),
        );
        here(&[&["data", "import", &file, "--dataset", "mine"], &stretch[..]].concat());
    };
    let runs = |uid: &str| {
        let mut submission = rig.submit(COLD, uid);
        assert!(submission.ended().success(), "{}", submission.log());
        let record = rig.billed_once(&submission);
        let out = format!("run-{uid}");
        let args = COLD.args("run");
        here(&[args.iter().map(String::as_str).collect::<Vec<_>>(), vec!["-o", &out]].concat());
        let is_right = read_all(&submission.out) == read_all(&rig.folder.path().join(out));
        assert!(is_right, "{uid}: other bytes than those of `run`");
        record["grid"]["cachedTrials"].as_u64().unwrap()
    };
    import("2024-01-01", "2024-04-01");
    assert_eq!((runs("cold"), runs("cold-again")), (0, 4));
    import("2023-10-01", "2024-01-01");
    assert_eq!((runs("warm"), runs("warm-again")), (0, 4));
    // More than anyone wants.
    import("2023-07-01", "2023-10-01");
    assert_eq!(runs("longer"), 4);
}

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
