//! A bar in order: open, inside, close.

use blockgrid_engine::sim::FillAt;
use blockgrid_engine::strategy::SameBar;

use crate::common::*;

#[test]
fn a_signal_fills_at_the_next_open() {
    let bars = "
        100 101  99 100  long
        102 104 101 103
        103 105 102 104  exit
        106 107 105 106";
    assert_eq!(marked().trades(bars), ["long 1@102 -> 3@106 exitSignal"]);
}

#[test]
fn with_fill_close_a_signal_fills_at_its_own_close() {
    let bars = "
        100 101  99 100  long
        102 104 101 103
        103 105 102 104  exit
        106 107 105 106";
    assert_eq!(marked().fill(FillAt::Close).trades(bars), ["long 0@100 -> 2@104 exitSignal"]);
}

#[test]
fn the_signal_of_the_last_bar_is_not_filled() {
    for fill in [FillAt::NextOpen, FillAt::Close] {
        assert!(marked().fill(fill).trades("100 \n 101 long").is_empty());
        let held = marked().fill(fill).run("100 long \n 101 \n 102 exit");
        assert!(held.outcome.trades[0].exit.is_none());
    }
}

#[test]
fn exits_are_filled_before_entries_at_the_same_open() {
    // Flat cash buys what the exit freed: all 1000 again at 110 after selling at 110.
    let bars = "
        100 long
        100
        110 short
        110
        110";
    assert_eq!(marked().trades(bars), ["long 1@100 -> 3@110 reversal", "short 3@110 -> open"]);
}

#[test]
fn a_stop_fills_at_its_price_when_the_bar_reaches_it() {
    let bars = "
        100 long
        100 101 95 98
        98 99 88 92
        92";
    // 10 % below 100 is 90; the low of 88 reaches it.
    assert_eq!(marked().stop("0.1").trades(bars), ["long 1@100 -> 2@90 stopLoss"]);
}

#[test]
fn a_touch_of_the_stop_is_enough() {
    assert_eq!(
        marked().stop("0.1").trades("100 long \n 100 100 90 95 \n 95"),
        ["long 1@100 -> 1@90 stopLoss"]
    );
}

#[test]
fn a_gap_through_a_stop_fills_at_the_open() {
    let bars = "
        100 long
        100
        85 99 80 95
        95";
    assert_eq!(marked().stop("0.1").trades(bars), ["long 1@100 -> 2@85 stopLoss"]);
    let bars = "
        100 short
        100
        115 120 101 105
        105";
    assert_eq!(marked().stop("0.1").trades(bars), ["short 1@100 -> 2@115 stopLoss"]);
}

#[test]
fn a_gap_through_a_target_fills_at_the_open_as_a_taker_without_slippage() {
    let bars = "
        100 long
        100
        115 120 114 116
        116";
    let run = marked().target("0.1").fees(10.0, 2.0, 0.0).run(bars);
    assert_eq!(run.trades(), ["long 1@100 -> 2@115 takeProfit"]);
    let exit = run.outcome.trades[0].exit.unwrap();
    assert!(!exit.maker);
    near(exit.fee, 0.115);
    let slipped = marked().target("0.1").slippage(100.0, 0.0).run(bars);
    let exit = slipped.outcome.trades[0].exit.unwrap();
    assert_eq!((exit.raw_price, exit.price), (115.0, 115.0));
}

#[test]
fn a_position_opened_at_the_open_is_exposed_for_the_whole_bar() {
    let stopped = "100 long \n 100 105 85 104 \n 104";
    assert_eq!(marked().stop("0.1").trades(stopped), ["long 1@100 -> 1@90 stopLoss"]);
    let reached = "100 long \n 100 115 95 104 \n 104";
    assert_eq!(marked().target("0.1").trades(reached), ["long 1@100 -> 1@110 takeProfit"]);
}

#[test]
fn a_position_opened_inside_the_bar_can_be_stopped_in_it_but_never_reaches_its_target_in_it() {
    // The limit at 95 is touched in bar 1; its stop is at 85.5, its target at 104.5.
    let limit = marked().limit("95", "3").stop("0.1").target("0.1");
    assert_eq!(limit.trades("100 long \n 100 101 80 90 \n 90"), ["long 1@95 -> 1@85.5 stopLoss"]);
    let bars = "
        100 long
        100 110 94 103
        103 103 99 100
        100 108 99 101";
    assert_eq!(limit.trades(bars), ["long 1@95 -> 3@104.5 takeProfit"]);
    // The same for a short: limit 105, stop 115.5, target 94.5.
    let limit = marked().limit("105", "3").stop("0.1").target("0.1");
    assert_eq!(limit.trades("100 short \n 100 120 100 110 \n 110"), ["short 1@105 -> 1@115.5 stopLoss"]);
    assert_eq!(limit.trades("100 short \n 100 106 90 99 \n 99"), ["short 1@105 -> open"]);
}

#[test]
fn the_stop_of_a_position_filled_at_the_close_acts_from_the_next_bar() {
    // Bar 0 has been at 80 before its close at 100; only bar 1 counts.
    let bars = "
        100 101 80 100  long
        100 101 95 100
        100 101 89 100
        100";
    let close = marked().fill(FillAt::Close).stop("0.1");
    assert_eq!(close.trades(bars), ["long 0@100 -> 2@90 stopLoss"]);
}

const BOTH: &str = "
    100 long
    100 112 88 100
    100";
const BOTH_SHORT: &str = "
    100 short
    100 112 88 100
    100";

#[test]
fn when_a_bar_reaches_stop_and_target_stop_first_takes_the_stop() {
    let setup = marked().stop("0.1").target("0.1");
    assert_eq!(setup.trades(BOTH), ["long 1@100 -> 1@90 stopLoss"]);
    assert_eq!(setup.trades(BOTH_SHORT), ["short 1@100 -> 1@110 stopLoss"]);
}

#[test]
fn when_a_bar_reaches_stop_and_target_target_first_takes_the_target() {
    let setup = marked().stop("0.1").target("0.1").same_bar(SameBar::TargetFirst);
    assert_eq!(setup.trades(BOTH), ["long 1@100 -> 1@110 takeProfit"]);
    assert_eq!(setup.trades(BOTH_SHORT), ["short 1@100 -> 1@90 takeProfit"]);
}

#[test]
fn when_a_bar_reaches_stop_and_target_nearer_extreme_goes_to_the_nearer_one_first() {
    let setup = marked().stop("0.125").target("0.125").same_bar(SameBar::NearerExtreme);
    // 15 up, 20 down: the high comes first. 20 up, 15 down: the low. A tie goes to the low.
    let with = |side: &str, range: &str| setup.trades(&format!("100 {side} \n 100 {range} 100 \n 100"));
    assert_eq!(with("long", "115 80"), ["long 1@100 -> 1@112.5 takeProfit"]);
    assert_eq!(with("long", "120 85"), ["long 1@100 -> 1@87.5 stopLoss"]);
    assert_eq!(with("long", "120 80"), ["long 1@100 -> 1@87.5 stopLoss"]);
    assert_eq!(with("short", "115 80"), ["short 1@100 -> 1@112.5 stopLoss"]);
    assert_eq!(with("short", "120 85"), ["short 1@100 -> 1@87.5 takeProfit"]);
    assert_eq!(with("short", "120 80"), ["short 1@100 -> 1@87.5 takeProfit"]);
}

#[test]
fn the_open_comes_before_either_policy() {
    // The open at the target is an exit there, whatever the low reaches later.
    let bars = "100 long \n 100 \n 113 114 80 90 \n 90";
    assert_eq!(marked().stop("0.1").target("0.125").trades(bars), ["long 1@100 -> 2@113 takeProfit"]);
}

#[test]
fn an_exit_signal_due_at_an_open_beyond_the_stop_is_an_exit_signal() {
    let bars = "100 long \n 100 exit \n 80 \n 80";
    assert_eq!(marked().stop("0.1").trades(bars), ["long 1@100 -> 2@80 exitSignal"]);
}

#[test]
fn a_fill_at_the_close_is_stamped_open_plus_interval() {
    let bars = "100 long \n 101 exit \n 102 \n 103";
    let at = |fill| {
        let trade = marked().fill(fill).run(bars).outcome.trades[0];
        (trade.entry.timestamp - MONDAY, trade.exit.unwrap().timestamp - MONDAY)
    };
    assert_eq!(at(FillAt::Close), (HOUR, 2 * HOUR));
    assert_eq!(at(FillAt::NextOpen), (HOUR, 2 * HOUR));
    // The same instants, other bars: a close and the open after it.
    assert_eq!(marked().fill(FillAt::Close).run(bars).outcome.trades[0].entry.bar, 0);
}

#[test]
fn a_stop_inside_the_bar_is_stamped_with_the_bars_open() {
    let run = marked().stop("0.1").run("100 long \n 100 \n 100 100 80 90 \n 90");
    assert_eq!(run.outcome.trades[0].exit.unwrap().timestamp, MONDAY + 2 * HOUR);
}

#[test]
fn equity_is_marked_at_every_close_and_an_open_position_without_exit_fee() {
    // One unit bought at 100 for a fee of 1: 999, then marked at 104 and 110.
    let run = marked().fees(100.0, 100.0, 0.0).run("100 long \n 100 105 99 104 \n 104 111 104 110");
    assert_eq!(run.outcome.equity, [1000.0, 1003.0, 1009.0]);
    assert_eq!(run.outcome.position, [0.0, 1.0, 1.0]);
    let trade = run.outcome.trades[0];
    assert_eq!((trade.exit, trade.pnl, trade.return_fraction, trade.bars), (None, 9.0, 0.09, 1));
}
