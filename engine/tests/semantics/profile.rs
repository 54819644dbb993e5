//! Profile `vectorbt`, where it differs.

use blockgrid_engine::sim::{FillAt, Semantics};
use blockgrid_engine::strategy::Size;

use crate::common::*;

fn theirs(setup: Setup) -> Setup {
    setup.size(Size::AllIn).fill(FillAt::Close).with(|s| s.execution.semantics = Semantics::Vectorbt)
}

#[test]
fn the_vectorbt_profile_fills_at_the_signals_close() {
    let bars = "100 long \n 101 \n 102 exit \n 103";
    assert_eq!(theirs(marked()).trades(bars), ["long 0@100 -> 2@102 exitSignal"]);
}

#[test]
fn the_vectorbt_profile_counts_the_open_trade_in_its_win_rate() {
    let bars = "100 long \n 110 exit \n 110 long \n 120 \n 130";
    let m = theirs(marked()).run(bars).metrics;
    assert_eq!((m.trades, m.win_rate), (2.0, 1.0));
    let losing = theirs(marked()).run("100 long \n 110 exit \n 110 long \n 100 \n 90").metrics;
    assert_eq!((losing.win_rate, losing.expectancy), (0.5, 100.0));
}

#[test]
fn the_vectorbt_profile_starts_its_peak_at_the_first_bar() {
    // A fee in the first bar is no drawdown there; ours it is.
    let bars = "100 long \n 100 \n 100";
    let m = theirs(marked()).fees(100.0, 100.0, 0.0).run(bars).metrics;
    assert_eq!(m.max_drawdown, 0.0);
    let ours = marked().size(Size::AllIn).fill(FillAt::Close).fees(100.0, 100.0, 0.0).run(bars).metrics;
    assert!(ours.max_drawdown < -0.009);
}

#[test]
fn the_vectorbt_profile_tests_stops_from_the_bar_after_the_entry() {
    let bars = "100 120 50 100 long \n 100 101 89 100 \n 100";
    assert_eq!(theirs(marked().stop("0.1")).trades(bars), ["long 0@100 -> 1@90 stopLoss"]);
}

#[test]
fn the_vectorbt_profile_charges_one_fee_for_a_reversing_order() {
    let run = theirs(marked()).fees(100.0, 100.0, 0.0).run("100 long \n 100 short \n 100");
    let fees = run.metrics.fees_paid;
    // 1000 / 1.01 bought; then the whole reversing order is charged once, whatever way it is split into trades.
    let units = 1000.0 / 1.01 / 100.0;
    let free = units * 100.0 * 0.99;
    let short = free / (100.0 * 1.01);
    near(fees, units + (units + short));
}
