//! What a job is let in by holds to its end: prices, classes and limits that the platform changes while it runs, and what
//! its user changes in its spec, change nothing of what it is charged.

use blockgrid_grid::store::keys;
use blockgrid_grid::{JobId, Outcome, Unit};
use blockgrid_job::status::{JobStatus, Phase};
use serde_json::{Value, json};

use crate::pools::two_workers;
use crate::rig::{Grid, Process, fresh, until};

/// What an hour of a vCPU costs here: a thousand times as much as usual, so that little work is money.
const PRICE: u64 = 36_000_000;

fn settled(grid: &Grid, name: &str) -> JobStatus {
    let status = grid.await_job(name, "it is settled", |status| {
        status.reserved_micro_usd.is_none() && status.phase.is_terminal()
    });
    assert!(status.settled_time.is_some(), "{status:#?}");
    status
}

fn micro_usd(cpu_micros: u64, price: u64) -> u64 {
    u64::try_from((u128::from(cpu_micros) * u128::from(price)).div_ceil(3_600_000_000)).unwrap()
}

/// CPU time of what was computed, by the outcomes of its units.
fn computed(grid: &Grid, id: &JobId) -> u64 {
    let listed = grid.wait(grid.store.list(&keys::outcomes(id))).unwrap();
    let outcome =
        |key: &str| -> Outcome { serde_json::from_slice(&grid.wait(grid.store.get(key)).unwrap()).unwrap() };
    listed.iter().map(|entry| outcome(&entry.key).usage().spent.cpu_micros).sum()
}

fn is_done(grid: &Grid, id: &JobId) -> bool {
    grid.wait(grid.store.get(&keys::outcome(id, Unit::Finish))).is_ok()
}

/// A job that is let in on a class of which nobody knows whether it lasts, and the operator that let it in.
fn on_spot(name: &str, mut manifest: Value) -> Option<(Grid, Process, JobId)> {
    let mut grid = Grid::start()?;
    grid.classes = format!(", spot: {{cpu: '1', memory: 1Gi, slots: 1, microUsdPerVcpuHour: {PRICE}}}");
    let operator = grid.operator("a");
    manifest["spec"]["compute"] = json!({ "class": "spot" });
    let id = grid.apply(name, &manifest);
    grid.await_phase(name, Phase::Running);
    Some((grid, operator, id))
}

#[test]
fn a_new_price_is_for_those_who_come() {
    let Some(mut grid) = Grid::start() else { return };
    grid.price = PRICE;
    let operator = grid.operator("a");
    let id = grid.apply("before", &fresh());
    let before = grid.await_phase("before", Phase::Running);
    assert_eq!(before.settled_time, None);
    let terms = before.terms.unwrap();
    assert_eq!((terms.micro_usd_per_vcpu_hour, terms.millicpus, terms.deadline_seconds), (PRICE, 2000, 3600));
    // One that was quoted, and waits for its author.
    let mut waits = fresh();
    waits["spec"]["suspend"] = json!(true);
    let quoted = grid.apply("quoted", &waits);
    grid.await_job("quoted", "its quote", |status| status.quote.is_some());
    operator.kill();
    grid.price = PRICE * 10;
    let _operator = grid.operator("b");
    let after = grid.apply("after", &fresh());
    let told = grid.await_phase("after", Phase::Running);
    assert_eq!(told.terms.unwrap().micro_usd_per_vcpu_hour, PRICE * 10);
    let _worker = grid.worker("w0");
    grid.patch("quoted", json!({ "suspend": false }));
    let jobs = [("before", &id, PRICE), ("quoted", &quoted, PRICE), ("after", &after, PRICE * 10)];
    for (name, id, price) in jobs {
        let status = settled(&grid, name);
        assert_eq!(status.phase, Phase::Succeeded, "{status:#?}");
        let record = grid.wait(grid.store.get(&status.results.as_ref().unwrap().record)).unwrap();
        let record: Value = serde_json::from_slice(&record).unwrap();
        let cpu = record["grid"]["usage"]["cpuMicros"].as_u64().unwrap();
        assert_eq!(status.spent_micro_usd, Some(micro_usd(cpu, price)), "{name}");
        assert_eq!(grid.ledger()[id.as_str()], micro_usd(cpu, price), "{name}");
        let bill = &record["grid"]["bill"];
        assert_eq!(bill["price"]["microUsdAVcpuHour"], price, "{bill}");
        assert_eq!((&bill["cpuMicros"], &bill["microUsd"]), (&json!(cpu), &json!(micro_usd(cpu, price))));
        assert_eq!(record["grid"]["quotedMicros"], status.quote.unwrap().vcpu_micros);
    }
    let now = grid.status("before");
    assert_eq!((now.quote, now.terms), (before.quote, before.terms), "what was promised is still to be seen");
}

/// Its class is gone, so that its spec is no good any more: it ends, and what was computed of it costs what it did before.
#[test]
fn what_was_computed_is_charged_though_the_spec_is_no_good_any_more() {
    let Some((mut grid, operator, id)) = on_spot("gone", two_workers()) else { return };
    let worker = grid.worker_with("w0", &[], "slow:20");
    until("something is computed", || computed(&grid, &id) > 0);
    worker.kill();
    operator.kill();
    assert!(!is_done(&grid, &id));
    grid.classes = String::new();
    let _operator = grid.operator("b");
    let status = settled(&grid, "gone");
    assert_eq!(
        (status.phase, status.condition("Failed").unwrap().reason.as_str()),
        (Phase::Failed, "InvalidSpec")
    );
    let owed = micro_usd(computed(&grid, &id), PRICE);
    assert!(owed > 0);
    assert_eq!(status.spent_micro_usd, Some(owed));
    assert_eq!(grid.ledger()[id.as_str()], owed);
}

/// A job that is done is no good for nothing: it costs what it was let in by.
#[test]
fn a_job_that_was_done_before_its_class_went_costs_the_same() {
    let Some((mut grid, operator, id)) = on_spot("done", fresh()) else { return };
    operator.kill();
    let _worker = grid.worker("w0");
    until("it is done", || is_done(&grid, &id));
    grid.classes = String::new();
    let _operator = grid.operator("b");
    let status = settled(&grid, "done");
    assert_eq!(status.phase, Phase::Succeeded, "{status:#?}");
    assert_eq!(status.spent_micro_usd, Some(micro_usd(computed(&grid, &id), PRICE)));
}
