//! Several operators: who leads, who takes over when, and what one may do that was asleep.

use std::time::{Duration, Instant};

use blockgrid_job::status::Phase;
use serde_json::{Value, json};

use crate::kubelet::ago;
use crate::money::leading;
use crate::rig::{Grid, Process, Random, fresh, is_long, sized, until};
use crate::support::skew::{began, skewed};

fn leads(replica: &Process) -> bool {
    replica.metrics().contains("blockgrid_operator_leader 1")
}

#[test]
fn another_takes_over_within_the_lease_and_at_once_when_it_is_handed_over() {
    let Some(grid) = Grid::start() else { return };
    let first = grid.operator("a");
    until("it leads", || leads(&first));
    let mut second = grid.operator("b");
    std::thread::sleep(Duration::from_secs(1));
    assert!(!leads(&second));
    grid.apply("before", &fresh());
    grid.await_phase("before", Phase::Running);
    first.kill();
    let killed = Instant::now();
    until("the second leads", || leads(&second));
    // A lease of 3 s, looked at every half second.
    println!("taken over {:.1} s after SIGKILL, with a lease of 3 s", killed.elapsed().as_secs_f64());
    assert!(killed.elapsed() < Duration::from_secs(6), "{:?}", killed.elapsed());
    grid.apply("between", &fresh());
    grid.await_phase("between", Phase::Running);
    let third = grid.operator("c");
    third.await_log("serving /livez");
    std::thread::sleep(Duration::from_secs(1));
    second.signal("TERM");
    let told = Instant::now();
    until("the third leads", || leads(&third));
    println!("handed over {:.1} s after SIGTERM", told.elapsed().as_secs_f64());
    assert!(told.elapsed() < Duration::from_secs(3), "{:?}", told.elapsed());
    assert_eq!(second.ended().code(), Some(0));
    let _worker = grid.worker("w0");
    for name in ["before", "between"] {
        grid.await_end(name, Phase::Succeeded);
    }
    assert_eq!(grid.ledger().len(), 2);
}

/// It sleeps for longer than its lease, in the middle of much to do, and goes on where it was.
#[test]
fn a_leader_that_slept_does_no_harm() {
    let Some(mut grid) = Grid::start() else { return };
    grid.price = 3_600_000_000;
    grid.budget(&grid.platform, &json!({ "monthlyUsd": 1000 }));
    let mut random = Random::new();
    let rounds = if is_long() { 10 } else { 2 };
    let mut sleeper = grid.operator("a");
    until("it leads", || leads(&sleeper));
    for round in 0..rounds {
        let other = grid.operator(&format!("b{round}"));
        other.await_log("serving /livez");
        for nth in 0..10 {
            grid.apply(&format!("job{round}-{nth}"), &fresh());
        }
        std::thread::sleep(random.millis(1000));
        sleeper.signal("STOP");
        until("the other leads", || leads(&other));
        // What it takes up now is not the sleeper's any more.
        for nth in 0..10 {
            let name = format!("job{round}-{nth}");
            let status = grid.await_phase(&name, Phase::Running);
            if nth % 2 == 0 {
                let id = grid.job(&name).unwrap().metadata.uid.unwrap().parse().unwrap();
                grid.finish(&id, status.reserved_micro_usd.unwrap() / 2);
                grid.await_end(&name, Phase::Succeeded);
            }
        }
        let before = grid.budget_status(&grid.platform);
        sleeper.signal("CONT");
        until("it has found out", || {
            let log = sleeper.log();
            // By the lease, or first by what it was about to write.
            [
                "another replica has the lease",
                "could not be renewed in time",
                "cannot lead; asks for the lease",
            ]
            .iter()
            .any(|words| log.contains(words))
        });
        std::thread::sleep(Duration::from_secs(1));
        assert!(leads(&other) && !leads(&sleeper));
        let after = grid.budget_status(&grid.platform);
        assert_eq!(
            (before.spent_micro_usd, before.reserved_micro_usd, before.jobs),
            (after.spent_micro_usd, after.reserved_micro_usd, after.jobs)
        );
        for nth in 0..10 {
            let status = grid.status(&format!("job{round}-{nth}"));
            let (phase, holds) =
                if nth % 2 == 0 { (Phase::Succeeded, false) } else { (Phase::Running, true) };
            assert_eq!((status.phase, status.reserved_micro_usd.is_some()), (phase, holds), "{status:#?}");
        }
        let held: u64 = grid.all().iter().filter_map(|job| job.status.as_ref()?.reserved_micro_usd).sum();
        assert_eq!(after.reserved_micro_usd, held);
        assert_eq!(after.spent_micro_usd, grid.ledger().values().sum::<u64>());
        for nth in (1..10).step_by(2) {
            let name = format!("job{round}-{nth}");
            grid.patch(&name, json!({ "cancel": true }));
            grid.await_end(&name, Phase::Cancelled);
        }
        std::mem::replace(&mut sleeper, other).kill();
    }
}

fn large(nth: u64) -> Value {
    let from = 5 + nth;
    sized(json!({ "fast": { "from": from, "to": from + 20, "step": 5 }, "slow": [60, 100], "stop": [0.02] }))
}

/// Two replicas whose clocks are far apart: neither believes that the other's lease has run out, whoever leads goes on
/// where the other was, and each job is paid for once.
#[test]
fn replicas_whose_clocks_differ_take_turns_and_nothing_else() {
    let Some(mut grid) = Grid::start() else { return };
    // Many times a lease of 3 s, and less than the minute in which workers have to start. None is slow: to it the
    // certificates of a cluster that is a minute old would not be valid yet.
    let Some(fast) = skewed(40) else { return };
    grid.small = 0.0015;
    let now = jiff::Timestamp::now().as_second();
    let ahead =
        |replica: &Process| began(&replica.log()).parse::<jiff::Timestamp>().unwrap().as_second() - now;
    let mut replicas = vec![grid.operator_in("fast", fast), grid.operator("right")];
    let first = leading(&replicas);
    let mut ids = Vec::new();
    let apply = |name: &str, manifest: &Value| (name.to_owned(), grid.apply(name, manifest));
    ids.push(apply("small1", &fresh()));
    ids.push(apply("large1", &large(3)));
    for (name, _) in &ids {
        grid.await_job(name, "begun", |status| status.start_time.is_some());
    }
    // What they cost goes by the cluster's clock, whoever leads.
    let since = std::time::Instant::now();
    let pods = grid.pods_of(&ids[1].1);
    pods.iter().for_each(|pod| grid.say_ready(pod, &ago(0)));
    // Longer than a lease: who does not lead has seen the other's, from another time.
    std::thread::sleep(Duration::from_secs(8));
    assert_eq!(leading(&replicas), first, "nobody takes it from who renews it");
    let off: Vec<i64> = replicas.iter().map(ahead).collect();
    assert!(off[0] >= 40 && off[1] < 30, "their clocks are wrong: {off:?}");
    replicas.remove(first).kill();
    ids.push(apply("small2", &fresh()));
    grid.await_job("small2", "begun", |status| status.start_time.is_some());
    assert!(leads(&replicas[0]), "the other leads now");
    for (name, id) in &ids {
        grid.finish(id, 1000);
        grid.await_end(name, Phase::Succeeded);
    }
    until("all is settled", || ids.iter().all(|(name, _)| grid.status(name).reserved_micro_usd.is_none()));
    let ledger = grid.ledger();
    assert_eq!(ledger.len(), ids.len(), "{ledger:?}");
    let (spent, pods) = (ledger[ids[1].1.as_str()], pods.len() as u64);
    let cost = |seconds: u64| pods * seconds * 2 * grid.price / 3600;
    let (least, most) = (cost(8), cost(since.elapsed().as_secs() + 3));
    assert!(pods > 0 && (least..=most).contains(&spent), "{least} <= {spent} <= {most}, {pods} pods");
}

/// Leaders die at any moment while jobs run in both ways: every job ends once, in one pool, for one entry of the ledger.
#[test]
fn whoever_dies_every_job_ends_once() {
    let Some(mut grid) = Grid::start() else { return };
    // Tiny ones are small, those of ten trials are not.
    grid.small = 0.0015;
    grid.price = 3_600_000_000;
    let mut random = Random::new();
    let (jobs, kills) = if is_long() { (40, 100) } else { (10, 10) };
    let mut replicas: Vec<Process> = ["a", "b"].map(|name| grid.operator(name)).into();
    let mut ids = Vec::new();
    for nth in 0..jobs {
        let (name, manifest) = if nth % 2 == 0 { ("small", fresh()) } else { ("large", large(nth)) };
        let name = format!("{name}{nth}");
        ids.push((name.clone(), grid.apply(&name, &manifest)));
    }
    let mut ended = 0;
    for kill in 0..kills {
        std::thread::sleep(Duration::from_millis(200) + random.millis(2500));
        let leader = leading(&replicas);
        std::mem::replace(&mut replicas[leader], grid.operator(&format!("r{kill}"))).kill();
        let share = usize::try_from((kill + 1) * jobs / kills).unwrap();
        for (name, id) in &ids[ended..share] {
            // Workers do not care who leads: those that are queued are done. Of large ones there are none before their pool.
            let has_workers = name.starts_with("small") || grid.pool(id).is_some();
            if has_workers && grid.wait(grid.store.get(&format!("admission/{id}"))).is_ok() {
                grid.finish(id, 1000);
            }
        }
        ended = share;
    }
    for (name, id) in &ids {
        grid.await_job(name, "queued", |status| status.start_time.is_some());
        if !grid.status(name).phase.is_terminal() {
            grid.finish(id, 1000);
        }
        grid.await_end(name, Phase::Succeeded);
    }
    let ledger = grid.ledger();
    assert_eq!(ledger.len(), ids.len());
    for (name, id) in &ids {
        let status = grid.status(name);
        assert_eq!(Some(ledger[id.as_str()]), status.spent_micro_usd, "{name}");
        assert_eq!(status.reserved_micro_usd, None);
    }
    until("all pools are gone", || ids.iter().all(|(_, id)| grid.pool(id).is_none()));
    // Each pool was made once: by the audit log, which has every request.
    let audit = grid.cluster.audit();
    for (name, id) in &ids {
        let made = audit.iter().filter(|call| {
            call["verb"] == "create"
                && call["objectRef"]["resource"] == "jobs"
                && call["responseStatus"]["code"] == 201
                && call["requestURI"].as_str().is_some_and(|uri| uri.contains(&grid.platform))
                && call["objectRef"]["name"] == format!("bt-{id}")
        });
        let expected = usize::from(name.starts_with("large"));
        assert_eq!(made.count(), expected, "{name}");
    }
}
