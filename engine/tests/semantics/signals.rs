//! What is heard when.

use blockgrid_engine::sim::FillAt;
use blockgrid_engine::strategy::Reentry;

use crate::common::*;

#[test]
fn enter_and_exit_are_levels_heard_at_every_close() {
    // `enter` stays true: after the exit the next close enters again.
    let bars = "100 long \n 101 long \n 102 long exit \n 103 long \n 104 \n 105";
    assert_eq!(marked().trades(bars), ["long 1@101 -> 3@103 exitSignal", "long 4@104 -> open"]);
}

#[test]
fn flat_an_enter_together_with_its_own_exit_does_nothing() {
    assert!(marked().trades("100 long exit \n 101 \n 102").is_empty());
    assert!(marked().trades("100 short cover \n 101 \n 102").is_empty());
}

#[test]
fn flat_an_enter_together_with_the_other_sides_enter_does_nothing() {
    assert!(marked().trades("100 long short \n 101 \n 102").is_empty());
    // Not even when the other side's own exit is true too.
    assert!(marked().trades("100 long short cover \n 101 \n 102").is_empty());
}

#[test]
fn the_other_sides_enter_reverses_with_two_fills_and_two_fees() {
    let bars = "100 long \n 100 \n 110 short \n 110 \n 100";
    let run = marked().fees(100.0, 100.0, 0.0).run(bars);
    assert_eq!(run.trades(), ["long 1@100 -> 3@110 reversal", "short 3@110 -> open"]);
    let (first, second) = (run.outcome.trades[0], run.outcome.trades[1]);
    near(first.exit.unwrap().fee, 1.1);
    near(second.entry.fee, 1.1);
    // 1000 - 1 - 100, + 110 - 1.1, then short one at 110: + 110 - 1.1, marked at 100.
    near(run.outcome.equity[4], 1000.0 - 1.0 - 1.1 - 1.1 + 10.0 + 10.0);
    let close = marked().fill(FillAt::Close).trades(bars);
    assert_eq!(close, ["long 0@100 -> 2@110 reversal", "short 2@110 -> open"]);
}

#[test]
fn in_a_position_the_other_sides_enter_wins_over_the_own_exit_and_the_own_enter() {
    let bars = "100 long \n 100 long short exit \n 101 \n 102";
    assert_eq!(marked().trades(bars), ["long 1@100 -> 2@101 reversal", "short 2@101 -> open"]);
}

#[test]
fn an_enter_that_its_own_exit_cancels_does_not_reverse() {
    assert_eq!(marked().trades("100 long \n 100 short cover \n 101 \n 102"), ["long 1@100 -> open"]);
}

#[test]
fn a_reversal_by_a_resting_order_leaves_at_once_and_enters_when_it_fills() {
    let bars = "
        100 long
        100 101 94 100
        100 short
        100 101 99 100
        100 106 99 100
        100";
    // Long by limit at 95, short by limit at 105.
    let setup = marked().limit("volume >= 4 ? 105 : 95", "3");
    assert_eq!(setup.trades(bars), ["long 1@95 -> 3@100 reversal", "short 4@105 -> open"]);
}

const STOPPED: &str = "
    100 long
    100 100  89  95 long
     95 long
     95 long
     95";

#[test]
fn after_a_bracket_exit_next_bar_hears_the_close_of_the_next_bar_first() {
    let entries = marked().stop("0.1").run(STOPPED).entries();
    assert_eq!(entries, [1, 3]);
}

#[test]
fn after_a_bracket_exit_same_bar_hears_the_close_of_the_bar_itself() {
    let entries = marked().stop("0.1").reentry(Reentry::SameBar).run(STOPPED).entries();
    assert_eq!(entries, [1, 2]);
}

#[test]
fn after_a_bracket_exit_rearm_needs_one_false_in_between() {
    let setup = marked().stop("0.1").reentry(Reentry::Rearm);
    assert_eq!(setup.run(STOPPED).entries(), [1]);
    let bars = "
        100 long
        100 100  89  95 long
         95
         95 long
         95";
    assert_eq!(setup.run(bars).entries(), [1, 4]);
    // A false at the close of the exit's own bar is one.
    let bars = "
        100 long
        100 100  89  95
         95 long
         95";
    assert_eq!(setup.run(bars).entries(), [1, 3]);
}

#[test]
fn rearm_needs_a_known_false_for_the_side_that_enters() {
    // Unknown is not false: the entry is not armed by it.
    let enter = "volume == 0 ? close / (close - close) > 0 : volume == 1";
    let setup = long(enter, "").stop("0.1").reentry(Reentry::Rearm);
    let bars = "
        100 long
        100 100  89  95
         95 long
         95";
    assert_eq!(setup.run(bars).entries(), [1]);
}

#[test]
fn reentry_waits_after_bracket_exits_only() {
    let bars = "100 long \n 101 long exit \n 102 long \n 103 \n 104";
    assert_eq!(marked().reentry(Reentry::Rearm).run(bars).entries(), [1, 3]);
}

#[test]
fn a_cooldown_counts_bars_from_the_exit() {
    // The exit fills at the open of bar 2; with 0 the close of bar 2 is heard, with 2 that of bar 4.
    let bars = "
        100 long
        101 exit
        102 long
        103 long
        104 long
        105 long
        106";
    let entries = |bars_of_rest: &str| marked().cooldown(bars_of_rest).run(bars).entries();
    assert_eq!(entries("0"), [1, 3]);
    assert_eq!(entries("1"), [1, 4]);
    assert_eq!(entries("2"), [1, 5]);
}

#[test]
fn a_cooldown_delays_the_second_half_of_a_reversal_too() {
    let bars = "100 long \n 100 short \n 101 \n 102 short \n 103 \n 104";
    let setup = marked().cooldown("1");
    assert_eq!(setup.trades(bars), ["long 1@100 -> 2@101 reversal", "short 4@103 -> open"]);
    // Without a second signal there is no second half: the order is not kept.
    let once = setup.trades("100 long \n 100 short \n 101 \n 102 \n 103 \n 104");
    assert_eq!(once, ["long 1@100 -> 2@101 reversal"]);
}

#[test]
fn a_session_restricts_entries_only() {
    // Entries are heard at closes from 02:00 to before 04:00: those of bars 1 and 2.
    let setup = marked().session(&[], "02:00", "04:00").stop("0.2");
    let bars = "100 long \n 101 long \n 102 \n 103 \n 104 \n 105 exit \n 106";
    assert_eq!(setup.trades(bars), ["long 2@102 -> 6@106 exitSignal"]);
    let stopped = "100 \n 100 long \n 100 \n 100 \n 100 \n 100 100 70 75 \n 75";
    assert_eq!(setup.trades(stopped), ["long 2@100 -> 5@80 stopLoss"]);
    let too_late = "100 \n 100 \n 100 \n 100 long \n 100";
    assert!(setup.trades(too_late).is_empty());
}

#[test]
fn outside_its_session_an_enter_does_not_reverse_either() {
    let setup = marked().session(&[], "00:00", "02:00");
    assert_eq!(setup.trades("100 long \n 101 \n 102 short \n 103 \n 104"), ["long 1@101 -> open"]);
}

#[test]
fn a_resting_order_may_fill_after_its_session() {
    let setup = marked().session(&[], "00:00", "02:00").limit("95", "5");
    assert_eq!(setup.trades("100 long \n 100 \n 100 \n 100 100 90 95 \n 95"), ["long 3@95 -> open"]);
}

#[test]
fn a_session_is_tested_at_the_close_of_the_bar() {
    // Tuesday begins with the close of Monday's last hour.
    let mut bars = "100 \n".repeat(22);
    bars.push_str("100 long \n 100 long \n 100 \n 100");
    let setup = marked().session(&["tue"], "00:00", "24:00");
    assert_eq!(setup.run(&bars).entries(), [24]);
}
