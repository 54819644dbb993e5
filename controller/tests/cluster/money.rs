//! Budgets: who is held and told so, who is let run when money is there again, and that no limit is passed whoever dies.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use blockgrid_controller::costs::Costs;
use blockgrid_controller::resources::BacktestJob;
use blockgrid_job::quote::dollars;
use blockgrid_job::status::Phase;
use jiff::Timestamp;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use crate::rig::{Grid, Over, Process, Random, dynamic, fresh, is_long, sized, until};

/// A grid where a vCPU-second is a dollar: small jobs cost something.
fn dear() -> Option<Grid> {
    let mut grid = Grid::start()?;
    grid.price = 3_600_000_000;
    Some(grid)
}

fn usd(micro_usd: u64) -> Value {
    json!(micro_usd as f64 / 1e6)
}

/// What such a job reserves: the one that is asked is gone afterwards.
fn quote(grid: &Grid) -> u64 {
    let mut manifest = fresh();
    manifest["spec"]["suspend"] = json!(false);
    let id = grid.apply("quote", &manifest);
    let status = grid.await_phase("quote", Phase::Running);
    grid.delete("quote");
    grid.await_gone("quote", &id);
    status.quote.unwrap().high_micro_usd
}

#[test]
fn jobs_wait_for_money_and_go_on_when_it_is_there() {
    let Some(grid) = dear() else { return };
    let _operator = grid.operator("a");
    let quote = quote(&grid);
    grid.budget(&grid.platform, &json!({ "monthlyUsd": usd(quote * 10) }));
    grid.budget(&grid.tenant, &json!({ "monthlyUsd": usd(quote * 3 / 2) }));
    grid.await_budget(&grid.tenant, "it is known", |status| status.limit_micro_usd == quote * 3 / 2);
    grid.apply("first", &fresh());
    let first = grid.await_phase("first", Phase::Running);
    let reserved = first.reserved_micro_usd.unwrap();
    for namespace in [&grid.platform, &grid.tenant] {
        grid.await_budget(namespace, "held", |status| {
            (status.reserved_micro_usd, status.jobs) == (reserved, 1)
        });
    }
    let warning = ("SoftLimitPassed".to_owned(), "at least 50 % of the limit is spent or held".to_owned());
    until("a warning", || grid.budget_events(&grid.tenant).contains(&warning));
    assert_eq!(grid.budget_events(&grid.platform), [], "it has a tenth");
    grid.apply("second", &fresh());
    let second = grid.await_phase("second", Phase::Queued);
    let admitted = second.condition("Admitted").unwrap();
    assert_eq!((admitted.status.as_str(), admitted.reason.as_str()), ("False", "WaitingForBudget"));
    let message = &admitted.message;
    assert!(message.starts_with(&format!("budget {}/budget has $", grid.tenant)), "{message}");
    assert!(message.contains("held for other jobs") && message.contains("the job may cost $"), "{message}");
    assert_eq!(second.reserved_micro_usd, None);
    // Another ends: cancelled, it has cost nothing.
    grid.patch("first", json!({ "cancel": true }));
    grid.await_end("first", Phase::Cancelled);
    grid.await_phase("second", Phase::Running);
    // Or the limit is raised.
    grid.apply("third", &fresh());
    grid.await_phase("third", Phase::Queued);
    grid.budget(&grid.tenant, &json!({ "monthlyUsd": usd(quote * 5) }));
    grid.await_phase("third", Phase::Running);
    // Users have limits of their own.
    grid.budget(
        &grid.platform,
        &json!({ "monthlyUsd": usd(quote * 10), "perUserUsd": usd(quote * 2 + quote / 2) }),
    );
    grid.await_budget(&grid.platform, "seen", |status| status.observed_generation == Some(2));
    grid.apply("fourth", &fresh());
    let fourth = grid.await_phase("fourth", Phase::Queued);
    assert_eq!(fourth.condition("Admitted").unwrap().reason, "WaitingForUserBudget");
    // And all of it comes to its end.
    for name in ["second", "third", "fourth"] {
        grid.await_phase(name, Phase::Running);
        let id = grid.job(name).unwrap().metadata.uid.unwrap().parse().unwrap();
        grid.finish(&id, quote / 2);
        let status = grid.await_end(name, Phase::Succeeded);
        assert_eq!(status.spent_micro_usd, Some(quote / 2));
    }
    let spent: u64 = grid.ledger().values().sum();
    for namespace in [&grid.platform, &grid.tenant] {
        grid.await_budget(namespace, "settled", |status| {
            (status.spent_micro_usd, status.reserved_micro_usd) == (spent, 0)
        });
    }
}

#[test]
fn a_budget_that_cannot_be_read_holds_everything_and_says_so() {
    let Some(grid) = Grid::start_alone() else { return };
    // Less than a millionth: a schema of before took it.
    let crds = dynamic(&grid.client, "apiextensions.k8s.io", "v1", "CustomResourceDefinition", None);
    let name = "backtestbudgets.grid.blockbuilders.app";
    let mut crd = serde_json::to_value(grid.wait(crds.get(name)).unwrap()).unwrap();
    let spec = &mut crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"];
    spec["properties"]["monthlyUsd"]["minimum"] = json!(0);
    let crd = serde_json::from_value(crd).unwrap();
    grid.wait(crds.replace(name, &PostParams::default(), &crd)).unwrap();
    until("it is taken", || grid.try_budget(&grid.tenant, &json!({ "monthlyUsd": 1e-9 })).is_ok());
    let _operator = grid.operator("a");
    grid.apply("held", &fresh());
    let held = grid.await_phase("held", Phase::Queued);
    assert_eq!(held.condition("Admitted").unwrap().reason, "BudgetUnreadable");
    grid.await_budget(&grid.tenant, "it says so", |status| {
        let valid = status.conditions.iter().find(|condition| condition.kind == "Valid");
        valid.is_some_and(|valid| valid.status == "False" && valid.message.contains("spec.monthlyUsd"))
    });
    grid.budget(&grid.tenant, &json!({ "monthlyUsd": 1 }));
    grid.await_phase("held", Phase::Running);
}

#[test]
fn a_budget_that_drains_suspends_what_runs() {
    let Some(mut grid) = dear() else { return };
    grid.small = 0.0;
    let operator = grid.operator("a");
    grid.budget(&grid.platform, &json!({ "monthlyUsd": 1000, "hardAction": "Drain" }));
    let large =
        sized(json!({ "fast": { "from": 5, "to": 50, "step": 5 }, "slow": [60, 100], "stop": [0.02] }));
    // One has cost something: a pod ran for ten seconds on two processors.
    let id = grid.apply("spent", &large);
    grid.await_pool(&id);
    let pods =
        grid.await_pods(&id, 4.min(grid.pool(&id).unwrap().spec.unwrap().parallelism.unwrap() as usize));
    grid.say_ended(&pods[0], &crate::kubelet::ago(15), &crate::kubelet::ago(5), 143);
    grid.await_job("spent", "its cost", |status| status.spent_micro_usd == Some(20_000_000));
    let id = grid.apply(
        "runs",
        &sized(json!({ "fast": { "from": 6, "to": 51, "step": 5 }, "slow": [60, 100], "stop": [0.02] })),
    );
    grid.await_phase("runs", Phase::Running);
    grid.patch("spent", json!({ "cancel": true }));
    grid.await_end("spent", Phase::Cancelled);
    grid.budget(&grid.platform, &json!({ "monthlyUsd": 15, "hardAction": "Drain" }));
    let status = grid.await_phase("runs", Phase::Queued);
    let admitted = status.condition("Admitted").unwrap();
    assert_eq!(admitted.reason, "BudgetSpent");
    assert!(admitted.message.contains("is spent: $20.00 of $15.00 this month; its hardAction is Drain"));
    assert_eq!(grid.pool(&id).unwrap().spec.unwrap().suspend, Some(true));
    // Nor does a new leader wake it that knows of no money yet.
    let (before, resting) = (grid.pool(&id).unwrap().metadata.generation, status.resting_since);
    operator.kill();
    let operator = grid.operator("b");
    until("it leads", || operator.metrics().contains("blockgrid_operator_leader 1"));
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(grid.pool(&id).unwrap().metadata.generation, before, "nobody changed its spec");
    assert_eq!(grid.status("runs").resting_since, resting);
    // Nor one that cannot know.
    let month = Timestamp::now().strftime("%Y-%m").to_string();
    let key = blockgrid_grid::store::keys::ledger(&month, &"somebody".parse().unwrap());
    let sum = r#"{"namespace":"a","name":"b","user":"c","microUsd":18446744073709551615}"#;
    grid.wait(grid.store.put(&key, sum.into())).unwrap();
    operator.kill();
    let operator = grid.operator("c");
    operator.await_log("are no sum that could have been spent");
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(grid.pool(&id).unwrap().metadata.generation, before);
    grid.wait(grid.store.delete(&key)).unwrap();
    grid.budget(&grid.platform, &json!({ "monthlyUsd": 1000, "hardAction": "Drain" }));
    grid.await_phase("runs", Phase::Running);
    assert_eq!(grid.pool(&id).unwrap().spec.unwrap().suspend, Some(false));
}

/// Money of a budget is for those who use it.
#[test]
fn a_job_that_rests_for_long_gives_back_what_is_held_for_it() {
    let Some(mut grid) = dear() else { return };
    (grid.small, grid.rest) = (0.0, "6s");
    let _operator = grid.operator("a");
    grid.budget(&grid.platform, &json!({ "monthlyUsd": 100_000 }));
    let id = grid.apply("rests", &crate::pools::two_workers());
    grid.await_pool(&id);
    grid.await_phase("rests", Phase::Running);
    grid.patch("rests", json!({ "suspend": true }));
    let status = grid.await_phase("rests", Phase::Suspended);
    let message = status.message.unwrap();
    assert!(message.contains("money is held for it, and it ends then"), "{message}");
    let status = grid.await_end("rests", Phase::DeadlineExceeded);
    assert_eq!(status.condition("Finished").unwrap().reason, "RestedTooLong");
    grid.await_budget(&grid.platform, "nothing is held", |status| status.reserved_micro_usd == 0);
}

/// A vCPU-second is a dollar: a worker costs two in a second, and 220 until it has stopped.
#[test]
fn workers_go_when_money_is_short_and_come_back_with_it() {
    let Some(mut grid) = dear() else { return };
    grid.small = 0.0;
    let _operator = grid.operator("a");
    grid.budget(&grid.platform, &json!({ "monthlyUsd": 100_000 }));
    let id = grid.apply("elastic", &crate::pools::two_workers());
    let workers = || grid.pool(&id).unwrap().spec.unwrap().parallelism.unwrap();
    let whole = grid.await_pool(&id).spec.unwrap().parallelism.unwrap();
    assert!(whole > 1);
    let pods = grid.await_pods(&id, usize::try_from(whole).unwrap());
    for pod in &pods {
        grid.say_ready(pod, &crate::kubelet::ago(10));
    }
    let whole_usd = u64::try_from(whole).unwrap() * 1_000_000;
    grid.await_job("elastic", "more is held than it was quoted", |status| {
        status.reserved_micro_usd.is_some_and(|held| held >= whole_usd * 2 * 220)
    });
    grid.budget(&grid.platform, &json!({ "monthlyUsd": 1 }));
    grid.await_budget(&grid.platform, "it is short", |status| status.limit_micro_usd == 1_000_000);
    // They have run for longer: with what it costs to stop them it is more than twice what it was.
    for pod in &pods {
        grid.say_ready(pod, &crate::kubelet::ago(140));
    }
    until("fewer workers go on", || workers() < whole);
    assert_eq!(grid.status("elastic").phase, Phase::Running);
    grid.budget(&grid.platform, &json!({ "monthlyUsd": 100_000 }));
    until("they are back", || workers() == whole);
    grid.await_pods(&id, usize::try_from(whole).unwrap());
    assert_eq!(grid.pool(&id).unwrap().spec.unwrap().completions, Some(whole));
}

/// A leader that dies between the ledger and the job's status leaves a job that is written down and holds money still: for
/// the next one it is spent, and not held besides.
#[test]
fn what_is_written_down_is_not_held_besides() {
    let Some(grid) = dear() else { return };
    grid.budget(&grid.platform, &json!({ "monthlyUsd": 100 }));
    let operator = grid.operator("a");
    let id = grid.apply("settled", &fresh());
    let held = grid.await_phase("settled", Phase::Running).reserved_micro_usd.unwrap();
    operator.kill();
    let month = Timestamp::now().strftime("%Y-%m").to_string();
    let entry = json!({
        "namespace": grid.tenant, "name": "settled", "user": grid.tenant, "microUsd": held / 2, "laneMicroUsd": held / 2,
    });
    let bytes = serde_json::to_vec(&entry).unwrap();
    grid.wait(grid.store.put(&blockgrid_grid::store::keys::ledger(&month, &id), bytes.into())).unwrap();
    let _operator = grid.operator("b");
    grid.await_budget(&grid.platform, "it is spent", |status| status.spent_micro_usd == held / 2);
    let status = grid.budget_status(&grid.platform);
    assert_eq!((status.reserved_micro_usd, status.jobs), (0, 0), "{status:#?}");
    grid.finish(&id, held);
    let status = grid.await_job("settled", "it is told", |status| status.reserved_micro_usd.is_none());
    assert_eq!(status.spent_micro_usd, Some(held / 2), "what stands there counts");
    assert_eq!(grid.budget_status(&grid.platform).spent_micro_usd, held / 2);
}

/// Many jobs, money for a few, and leaders that are killed whenever: no budget is passed at any moment, the sums are those
/// of what jobs say and the ledger has, and in the end as many have run as there was money for.
#[test]
fn a_race_for_the_last_money_passes_no_limit() {
    let Some(mut grid) = dear() else { return };
    // Nobody computes until leaders have died.
    grid.start_deadline = "1h";
    let mut random = Random::new();
    let (jobs, kills) = if is_long() { (1000, 12) } else { (60, 4) };
    let mut replicas: Vec<Process> = ["a", "b"].map(|name| grid.operator(name)).into();
    let quote = quote(&grid);
    let (whole, own) = (quote * 8, quote * 10);
    grid.budget(&grid.platform, &json!({ "monthlyUsd": usd(whole) }));
    grid.budget(&grid.tenant, &json!({ "monthlyUsd": usd(own) }));
    grid.await_budget(&grid.tenant, "it is known", |status| status.limit_micro_usd == own);
    grid.await_budget(&grid.platform, "it is known", |status| status.limit_micro_usd == whole);
    let passed = AtomicBool::new(false);
    let (done, mut highest) = (AtomicBool::new(false), 0);
    std::thread::scope(|scope| {
        let watch = scope.spawn(|| {
            let mut highest = 0;
            while !done.load(Ordering::Relaxed) {
                for (namespace, limit) in [(&grid.platform, whole), (&grid.tenant, own)] {
                    let status = grid.budget_status(namespace);
                    let used = status.spent_micro_usd + status.reserved_micro_usd;
                    highest = highest.max(used);
                    if used * 100 > limit * 101 {
                        eprintln!("{namespace} has {used} of {limit}: {status:#?}");
                        passed.store(true, Ordering::Relaxed);
                    }
                }
                // Not by the word of the budgets alone: a leader that forgets a job counts it nowhere.
                let jobs = grid.all();
                let cost = |job: &BacktestJob, ledger: &BTreeMap<String, u64>| {
                    let status = job.status.clone().unwrap_or_default();
                    // What is settled is told a moment after others were let in for what it left.
                    let written = ledger.get(job.metadata.uid.as_deref().unwrap_or_default()).copied();
                    let settled = status.settled_time.and(status.spent_micro_usd);
                    settled.or(written).or(status.reserved_micro_usd).unwrap_or(0)
                };
                let sum =
                    |ledger: &BTreeMap<String, u64>| jobs.iter().map(|job| cost(job, ledger)).sum::<u64>();
                let is_above = |used: u64| used * 100 > whole.min(own) * 101;
                let used = match sum(&BTreeMap::new()) {
                    used if is_above(used) => sum(&grid.ledger()),
                    used => used,
                };
                if is_above(used) {
                    eprintln!("jobs have {used} of {}", whole.min(own));
                    passed.store(true, Ordering::Relaxed);
                }
                std::thread::sleep(Duration::from_millis(if is_long() { 100 } else { 20 }));
            }
            highest
        });
        let over = Over(&done);
        for nth in 0..jobs {
            grid.apply(&format!("race{nth}"), &fresh());
        }
        let mut dice = Random::new();
        let finish = |dice: &mut Random| {
            for job in grid.all() {
                let status = job.status.unwrap_or_default();
                if status.phase == Phase::Running
                    && let Some(held) = status.reserved_micro_usd
                {
                    // Between half of what is held for it and all.
                    grid.finish(
                        &job.metadata.uid.unwrap().parse().unwrap(),
                        held / 2 + dice.below(held / 2 + 1),
                    );
                }
            }
        };
        for kill in 0..kills {
            std::thread::sleep(Duration::from_millis(400) + random.millis(1500));
            let leader = leading(&replicas);
            let name = format!("r{kill}");
            std::mem::replace(&mut replicas[leader], grid.operator(&name)).kill();
            if kill >= kills / 2 {
                // From now on jobs end, and others come in their place.
                finish(&mut dice);
            }
        }
        let end = Instant::now() + Duration::from_secs(if is_long() { 900 } else { 120 });
        let mut quiet = 0;
        while quiet < 20 {
            finish(&mut dice);
            let all = grid.all();
            let is_over = |phase: Phase| phase.is_terminal() || phase == Phase::Queued;
            let statuses = all.iter().map(|job| job.status.clone().unwrap_or_default());
            let settled =
                statuses.clone().all(|status| is_over(status.phase) && status.reserved_micro_usd.is_none());
            quiet = if settled { quiet + 1 } else { 0 };
            assert!(
                Instant::now() < end,
                "{:#?}",
                statuses.map(|s| (s.phase, s.message)).collect::<Vec<_>>()
            );
            std::thread::sleep(Duration::from_millis(200));
        }
        drop(over);
        highest = watch.join().unwrap();
    });
    assert!(!passed.load(Ordering::Relaxed), "a limit was passed");
    let (ledger, all) = (grid.ledger(), grid.all());
    let spent: u64 = ledger.values().sum();
    let mut ended = 0;
    for job in &all {
        let status = job.status.clone().unwrap();
        let uid = job.metadata.uid.clone().unwrap();
        if status.phase == Phase::Succeeded {
            ended += 1;
            assert_eq!(ledger.get(&uid), status.spent_micro_usd.as_ref(), "{status:#?}");
        } else {
            assert_eq!(status.phase, Phase::Queued, "{status:#?}");
            assert_eq!(status.condition("Admitted").unwrap().reason, "WaitingForBudget");
        }
    }
    for namespace in [&grid.platform, &grid.tenant] {
        let status = grid.budget_status(namespace);
        assert_eq!((status.spent_micro_usd, status.reserved_micro_usd, status.jobs), (spent, 0, 0));
    }
    // What is left is too little for one more.
    assert!(ended == jobs || spent + quote > whole, "{ended} of {jobs} ended for {spent} of {whole}");
    assert!(ended >= 8, "{ended}");
    println!(
        "{ended} of {jobs} jobs ran for {spent} of {whole} micro-USD; at most {highest} were spent or held"
    );
}

/// Warm workers that wait, requests to the store, and what is fixed: the grid's budget counts them, a tenant's only the
/// requests of its jobs.
#[test]
fn what_is_no_jobs_counts_too() {
    let Some(mut grid) = Grid::start() else { return };
    grid.more =
        "costs: {fixedMonthlyUsd: 10000, microUsdPer1000Reads: 400000, microUsdPer1000Writes: 5000000}"
            .to_owned();
    let warm = json!({
        "metadata": { "name": "warm", "namespace": grid.platform },
        "spec": {
            "selector": { "matchLabels": { "is": "warm" } },
            "template": {
                "metadata": { "labels": { "is": "warm" } },
                "spec": { "containers": [{ "name": "w", "image": "grid:1", "resources": { "requests": { "cpu": "100" } } }] },
            },
        },
    });
    grid.create("apps", "v1", "Deployment", Some(&grid.platform), warm);
    let deployments = dynamic(&grid.client, "apps", "v1", "Deployment", Some(&grid.platform));
    let replicas = json!({ "status": { "replicas": 2, "observedGeneration": 1 } });
    grid.wait(deployments.patch_status("warm", &PatchParams::default(), &Patch::Merge(replicas))).unwrap();
    for namespace in [&grid.platform, &grid.tenant] {
        grid.budget(namespace, &json!({ "monthlyUsd": 100_000 }));
    }
    let operator = grid.operator("a");
    let _worker = grid.worker("w0");
    let run = |name: &str| {
        let id = grid.apply(name, &fresh());
        let status = grid.await_end(name, Phase::Succeeded);
        let spent = grid.await_job(name, "it is settled", |status| status.reserved_micro_usd.is_none());
        // The bill of so small a job is a micro-dollar or two; a request that writes costs 5,000.
        assert!(spent.spent_micro_usd.unwrap() > 20_000, "{spent:#?}");
        assert!(
            status.reserved_micro_usd.is_none_or(|held| held >= spent.spent_micro_usd.unwrap()),
            "{status:#?}"
        );
        assert_eq!(Some(grid.ledger()[id.as_str()]), spent.spent_micro_usd);
        grid.await_job(name, "what it cost is told", |status| {
            status.cost.as_deref() == Some(&dollars(spent.spent_micro_usd.unwrap()))
        });
    };
    run("first");
    let told =
        |of: &str| (grid.budget_status(of).spent_micro_usd, grid.budget_status(of).unattributed_micro_usd);
    let (spent, beside) = told(&grid.platform);
    let ledger = || grid.ledger().values().sum::<u64>();
    assert_eq!((spent - beside, told(&grid.tenant)), (ledger(), (ledger(), 0)));
    let fixed = Costs { fixed_monthly_usd: 10_000.0, ..Costs::default() }.fixed(Timestamp::now());
    assert!(beside >= fixed - 10_000_000, "{beside} of which {fixed} are fixed");
    // 200 vCPUs are $7.20 an hour, $0.01 in five seconds; the operator's own requests some $0.10 more.
    std::thread::sleep(Duration::from_secs(6));
    run("second");
    let (spent, later) = told(&grid.platform);
    assert_eq!(spent - later, ledger());
    assert!(later > beside + 10_000, "{beside} -> {later}");
    assert!(operator.metrics().contains("kind=\"unattributed\""));
}

/// Without the platform's last budget everything would be admitted: where the configuration has one, it comes back.
#[test]
fn the_platforms_budget_comes_back_when_it_is_deleted() {
    let Some(mut grid) = dear() else { return };
    grid.more = "budget: {monthlyUsd: 0.000001}".to_owned();
    let _operator = grid.operator("a");
    let budgets =
        dynamic(&grid.client, "grid.blockbuilders.app", "v1alpha1", "BacktestBudget", Some(&grid.platform));
    let uid = || grid.wait(budgets.get_opt("grid")).unwrap().and_then(|budget| budget.metadata.uid);
    until("the budget is made", || uid().is_some());
    let first = uid();
    grid.wait(budgets.delete("grid", &DeleteParams::default())).unwrap();
    until("it comes back", || uid().is_some() && uid() != first);
    grid.apply(
        "held",
        &sized(json!({ "fast": { "from": 5, "to": 45, "step": 1 }, "slow": [60], "stop": [0.02, 0.03] })),
    );
    grid.await_phase("held", Phase::Queued);
}

/// Which of some replicas leads, as soon as one does.
pub(crate) fn leading(replicas: &[Process]) -> usize {
    let mut found = None;
    until("a leader", || {
        found = replicas.iter().position(|replica| replica.metrics().contains("blockgrid_operator_leader 1"));
        found.is_some()
    });
    found.unwrap()
}
