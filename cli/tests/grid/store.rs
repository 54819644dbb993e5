//! An object store that is overloaded, slow, cut off, lying or unwilling.

use std::time::Duration;

use crate::rig::{Arc, JOB, Rig, Worker, is_long, until};
use crate::support::proxy::{Fault, Rule};

/// Runs the job with two workers while the store does this to it.
fn survives(uid: &str, rules: Vec<Rule>) {
    let Some(rig) = Rig::start() else { return };
    let rules: Vec<Arc<Rule>> = rules.into_iter().map(|rule| rig.rule(rule)).collect();
    let mut job = rig.submit(JOB, uid);
    let _workers: Vec<Worker> = (0..2).map(|n| rig.worker_with(&format!("w{n}"), &[], "slow:20")).collect();
    let record = rig.right(&mut job);
    assert_eq!(record["state"], "Succeeded");
    for rule in rules {
        assert!(rule.fired() > 0, "{rule:?}");
    }
}

#[test]
fn it_asks_for_patience() {
    let slow_down = || Fault::Answer(503, "SlowDown");
    survives(
        "overloaded",
        vec![
            Rule::new("PUT", "", slow_down()).after(5).times(6),
            Rule::new("GET", "", slow_down()).after(3).times(6),
            Rule::new("HEAD", "", slow_down()).after(3).times(6),
        ],
    );
}

#[test]
fn it_is_slow() {
    let slow = || Fault::Delay(Duration::from_millis(700));
    survives(
        "slow",
        vec![
            Rule::new("GET", "plan.json", slow()).times(2),
            Rule::new("GET", "candles/", slow()).times(2),
            Rule::new("PUT", "outcome/", slow()).times(8),
        ],
    );
}

#[test]
fn what_it_sends_is_cut_short_or_damaged() {
    survives(
        "damaged",
        vec![
            Rule::new("GET", "plan.json", Fault::Damage).times(2),
            Rule::new("GET", "candles/", Fault::Damage).times(1),
            Rule::new("GET", "candles/", Fault::Shorten(900)).times(1),
            Rule::new("GET", "candles/", Fault::Truncate(900)).times(1),
            Rule::new("GET", "outcome/s", Fault::Truncate(10)).times(3),
            Rule::new("GET", "cache/", Fault::Truncate(100)).times(3),
            Rule::new("GET", "cache/", Fault::Shorten(100)).times(1),
            Rule::new("GET", "out/", Fault::Truncate(1000)).times(2),
        ],
    );
}

#[test]
fn it_answers_conflict() {
    let conflict = || Fault::Answer(409, "ConditionalRequestConflict");
    survives(
        "conflict",
        vec![
            Rule::new("PUT", "plan.json", conflict()).if_conditional().times(2),
            Rule::new("PUT", "outcome/", conflict()).if_conditional().times(6),
            Rule::new("PUT", "outcome/finish", conflict()).if_conditional().times(2),
        ],
    );
}

#[test]
fn it_does_what_is_asked_and_never_says_so() {
    survives(
        "unanswered",
        vec![
            Rule::new("PUT", "plan.json", Fault::AppliedThenCut).times(1),
            Rule::new("PUT", "outcome/s", Fault::AppliedThenCut).times(6),
            Rule::new("PUT", "outcome/finish", Fault::AppliedThenCut).times(1),
            Rule::new("PUT", "cache/", Fault::AppliedThenCut).times(4),
        ],
    );
}

#[test]
fn it_is_away() {
    let Some(rig) = Rig::start() else { return };
    let mut job = rig.submit(JOB, "cut");
    let _workers: Vec<Worker> = (0..2).map(|n| rig.worker_with(&format!("w{n}"), &[], "slow:100")).collect();
    rig.await_done(&job.id, 4);
    let rule = rig.rule(Rule::new("", "", Fault::Cut));
    std::thread::sleep(Duration::from_secs(if is_long() { 60 } else { 4 }));
    rig.proxy.heal();
    rig.right(&mut job);
    assert!(rule.fired() > 0);
}

/// Without conditional writes two workers could decide one outcome, so there is no job.
#[test]
fn a_store_without_conditional_writes_takes_no_job() {
    let Some(rig) = Rig::start() else { return };
    let rule = rig.rule(Rule::new("PUT", "", Fault::Answer(501, "NotImplemented")).if_conditional());
    let mut job = rig.submit(JOB, "unwilling");
    job.fails(&["the object store refuses", "conditional writes"]);
    assert!(rule.fired() > 0);
    assert!(rig.wait(rig.store.list("jobs")).unwrap().is_empty());
}

/// Whoever may read but not write can tell nobody through the store: workers say so in their logs, fail nothing, and go on
/// when they may again, however often a unit was handed out meanwhile.
#[test]
fn a_store_that_stops_to_take_outcomes_loses_none() {
    let Some(rig) = Rig::start() else { return };
    let rule =
        rig.rule(Rule::new("PUT", "outcome/", Fault::Answer(403, "AccessDenied")).if_conditional().after(3));
    let mut job = rig.submit(JOB, "denied");
    let workers: Vec<Worker> = (0..2).map(|n| rig.worker(&format!("w{n}"))).collect();
    workers[0].await_log("until somebody mends the store");
    until("units were handed out often", || {
        workers.iter().any(|worker| worker.log().contains("\"deliveries\":6"))
    });
    assert!(rule.fired() > 0);
    rig.proxy.heal();
    let record = rig.right(&mut job);
    assert_eq!(record["state"], "Succeeded");
    let alone: f64 = workers.iter().map(|worker| worker.counter("units_alone_total")).sum();
    assert_eq!(alone, 0.0, "nobody died of a unit that was handed back");
}
