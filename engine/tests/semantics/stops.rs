//! Stops, targets, trails, break-even and the time stop.

use blockgrid_engine::sim::FillAt;
use blockgrid_engine::strategy::{Distance, SameBar, TrailUpdate};

use crate::common::*;

#[test]
fn a_bare_number_is_a_fraction_of_the_actual_entry_price() {
    // 1 % of slippage: bought at 101, so the stop is at 90.9 and not at 90.
    let run = marked().stop("0.1").slippage(100.0, 0.0).run("100 long \n 100 100 90.9 95 \n 95");
    let trade = run.outcome.trades[0];
    assert_eq!(trade.entry.price, 101.0);
    near(trade.exit.unwrap().raw_price, 90.9);
}

#[test]
fn percent_and_price_and_atr_are_other_ways_to_say_a_distance() {
    let bars = "100 long \n 100 \n 100 101 50 60 \n 60";
    let with = |distance: Distance| marked().risk(|r| r.stop_loss = Some(distance)).trades(bars);
    assert_eq!(with(Distance::Percent(text("10"))), ["long 1@100 -> 2@90 stopLoss"]);
    assert_eq!(with(Distance::Price(text("close - 7"))), ["long 1@100 -> 2@93 stopLoss"]);
    assert_eq!(with(Distance::Price(text("entryPrice() * 0.75"))), ["long 1@100 -> 2@75 stopLoss"]);
    // True ranges 4 and 4: the ATR of the signal bar is 4, three of it below 100 is 88.
    let atr = marked().risk(|r| r.stop_loss = Some(Distance::Atr { multiple: text("3"), period: text("2") }));
    let bars = "
        100 102 98 100
        100 102 98 100
        100 102 98 100  long
        100 160 89 100
        100 101 50 60
        60";
    assert_eq!(atr.trades(bars), ["long 3@100 -> 4@88 stopLoss"]);
}

#[test]
fn numbers_of_the_risk_section_may_be_expressions_of_parameters() {
    let setup = marked().stop("width * 2").with(|s| {
        s.strategy.parameters.insert("width".to_owned(), 0.05);
    });
    assert_eq!(setup.trades("100 long \n 100 \n 100 101 80 90 \n 90"), ["long 1@100 -> 2@90 stopLoss"]);
}

#[test]
fn a_stop_on_the_wrong_side_rejects_the_order_and_is_counted() {
    let above = marked().stop_price("close + 1").run("100 long \n 100 \n 100");
    assert_eq!((above.trades().len(), above.outcome.rejected_orders), (0, 1));
    let below = marked().stop_price("close - 1").run("100 short \n 100 \n 100");
    assert_eq!((below.trades().len(), below.outcome.rejected_orders), (0, 1));
    let at = marked().stop_price("close").run("100 long \n 100 \n 100");
    assert_eq!(at.outcome.rejected_orders, 1);
    let target = marked().risk(|r| r.take_profit = Some(Distance::Price(text("close"))));
    assert_eq!(target.run("100 long \n 100 \n 100").outcome.rejected_orders, 1);
}

#[test]
fn a_stop_whose_price_is_unknown_rejects_the_order() {
    let run = marked().stop_price("close / (close - close)").run("100 long \n 100 \n 100");
    assert_eq!((run.trades().len(), run.outcome.rejected_orders), (0, 1));
}

#[test]
fn an_atr_of_zero_leaves_no_room_for_a_stop_and_rejects_the_order() {
    let atr = marked().risk(|r| r.stop_loss = Some(Distance::Atr { multiple: text("3"), period: text("1") }));
    let run = atr.run("100 \n 100 long \n 100 \n 100");
    assert_eq!((run.trades().len(), run.outcome.rejected_orders), (0, 1));
}

const CLIMB: &str = "
    100 long
    100 110 100 110
    110 120 107 112
    112 113 100 105
    105";

#[test]
fn a_trail_at_bar_close_tests_a_bar_against_the_extremes_before_it() {
    // Bar 2 is tested against 110 * 0.95 = 104.5 and survives its low of 107 though 5 % below its own high is 114.
    // Bar 3 opens at 112, already below 114.
    let setup = marked().trail("5", TrailUpdate::BarClose);
    assert_eq!(setup.trades(CLIMB), ["long 1@100 -> 3@112 trail"]);
    let bars = "
        100 long
        100 110 100 110
        110 120 107 116
        116 117 100 105
        105";
    assert_eq!(setup.trades(bars), ["long 1@100 -> 3@114 trail"]);
}

#[test]
fn an_intrabar_trail_is_raised_by_the_bars_own_extreme_before_its_low_is_tested() {
    // Bar 1: high 110, level 104.5, low 100.
    let setup = marked().trail("5", TrailUpdate::Intrabar);
    assert_eq!(setup.trades(CLIMB), ["long 1@100 -> 1@104.5 trail"]);
}

#[test]
fn an_intrabar_trail_tests_the_open_against_the_old_level() {
    // Level 114 after bar 1's high of 120; bar 2 opens at 113 and that is the exit, though its high is 140.
    let setup = marked().trail("5", TrailUpdate::Intrabar);
    let bars = "
        100 long
        119 120 118 120
        113 140 112 139
        139";
    assert_eq!(setup.trades(bars), ["long 1@119 -> 2@113 trail"]);
}

#[test]
fn under_nearer_extreme_an_intrabar_trail_follows_the_path_of_the_bar() {
    let setup = marked().trail("5", TrailUpdate::Intrabar).same_bar(SameBar::NearerExtreme);
    // The low (1 below) comes before the high (20 above): old level 95, low 99, high 120 raises to 114, close 118.
    assert_eq!(setup.trades("100 long \n 100 120 99 118 \n 118"), ["long 1@100 -> open"]);
    // The same bar closing at 110 falls through 114 on its way from the high.
    assert_eq!(setup.trades("100 long \n 100 120 99 110 \n 110"), ["long 1@100 -> 1@114 trail"]);
    // The high (5 above) before the low (20 below): level 99.75.
    assert_eq!(setup.trades("100 long \n 100 105 80 90 \n 90"), ["long 1@100 -> 1@99.75 trail"]);
}

#[test]
fn a_trail_of_a_short_mirrors_that_of_a_long() {
    let setup = marked().trail("5", TrailUpdate::BarClose);
    // Lowest 80 after bar 1: the level is 84.
    let bars = "
        100 short
        100 100 80 82
        82 85 79 80
        80";
    assert_eq!(setup.trades(bars), ["short 1@100 -> 2@84 trail"]);
}

#[test]
fn an_atr_trail_keeps_the_distance_of_the_signal_bar_unless_it_follows() {
    // The ATR of one bar: 4 at the signal, then 10, then 2.
    let bars = "
        100 102 98 100
        100 102 98 100  long
        100 110 100 110
        110 112 110 112
        112 112 109.5 110
        110 111 109 110";
    // Frozen: 2 * 4 below 112 is 104. Following: bar 2 gives 110 - 20, bar 3 gives 112 - 4 = 108.
    assert_eq!(marked().trail_atr("2", "1", false).trades(bars), ["long 2@100 -> open"]);
    let lower = format!("{bars}\n 110 110 103 104");
    assert_eq!(marked().trail_atr("2", "1", false).trades(&lower), ["long 2@100 -> 6@104 trail"]);
    assert_eq!(marked().trail_atr("2", "1", true).trades(&lower), ["long 2@100 -> 6@108 trail"]);
}

#[test]
fn a_trail_level_never_moves_back() {
    // Following a growing ATR would lower the level from 100 - 2 = 98 to 100 - 20; it stays.
    let bars = "
        100 101 99 100
        100 101 99 100  long
        100 100 99 100
        100 100 99 99.5
        99.5 99.5 97 97";
    // ATR of one bar: 2 at the signal, then 1, which raises the level to 100 - 1 = 99: bar 3's low touches it.
    assert_eq!(marked().trail_atr("1", "1", true).trades(bars), ["long 2@100 -> 3@99 trail"]);
    // Twice the ATR: 96 at the entry, 97 after bar 2; bar 3's range of 3.5 would put it at 101 - 7 = 94.
    let wider = "
        100 101 99 100
        100 101 99 100  long
        100 100 98.5 100
        100 101 97.5 100
        100 100 96 98";
    assert_eq!(marked().trail_atr("2", "1", true).trades(wider), ["long 2@100 -> 4@97 trail"]);
}

#[test]
fn break_even_acts_from_the_next_bar() {
    // Bar 1 reaches 102 and falls back through 100: nothing. Bar 2 does not get below 100. Bar 3 does.
    let bars = "
        100 long
        100 103 99 101
        101 102 100.5 101
        101 101 98 99
        99";
    assert_eq!(marked().break_even("0.02").trades(bars), ["long 1@100 -> 3@100 breakEven"]);
    let short = "
        100 short
        100 101 97 99
        99 101 98 100
        100";
    assert_eq!(marked().break_even("0.02").trades(short), ["short 1@100 -> 2@100 breakEven"]);
}

#[test]
fn the_tightest_active_stop_wins_and_names_the_reason() {
    // Stop 90, trail 5 % below 100 = 95: the trail is tighter. Break-even at 100 is tighter than both from bar 2 on.
    let setup = marked().stop("0.1").trail("5", TrailUpdate::BarClose);
    assert_eq!(setup.trades("100 long \n 100 100 80 80 \n 80"), ["long 1@100 -> 1@95 trail"]);
    let bars = "
        100 long
        100 103 99 102
        102 102 80 85
        85";
    assert_eq!(setup.clone().break_even("0.02").trades(bars), ["long 1@100 -> 2@100 breakEven"]);
    let tight = marked().stop("0.01").trail("5", TrailUpdate::BarClose);
    assert_eq!(tight.trades("100 long \n 100 100 80 80 \n 80"), ["long 1@100 -> 1@99 stopLoss"]);
}

#[test]
fn the_favourable_extreme_of_a_position_opened_inside_its_bar_is_the_close() {
    // Bought at 95 inside a bar that has been at 120: the trail starts from its close of 100, at 95.
    let setup = marked().limit("95", "1").trail("5", TrailUpdate::BarClose);
    let bars = "
        100 long
        118 120 94 100
        100 101 96 98
        98 98 95.5 95.5
        95.5";
    // Bar 2's high of 101 raises it to 95.95, which bar 3's low of 95.5 reaches.
    assert_eq!(setup.trades(bars), ["long 1@95 -> 3@95.95 trail"]);
}

#[test]
fn the_time_stop_counts_from_the_bar_of_the_entry_to_the_bar_of_the_exit() {
    let bars = "100 long \n 101 \n 102 \n 103 \n 104 \n 105";
    assert_eq!(marked().max_bars("2").trades(bars), ["long 1@101 -> 3@103 timeStop"]);
    assert_eq!(marked().max_bars("1").trades(bars), ["long 1@101 -> 2@102 timeStop"]);
    assert_eq!(marked().max_bars("2").fill(FillAt::Close).trades(bars), ["long 0@100 -> 2@102 timeStop"]);
    assert_eq!(marked().max_bars("1").fill(FillAt::Close).trades(bars), ["long 0@100 -> 1@101 timeStop"]);
}

#[test]
fn a_stop_pushed_beyond_the_open_by_slippage_is_hit_at_the_open() {
    // Bought at 102 after slippage of 2 %; a stop 1 % below is 100.98, above the open of 100.
    let run = marked().stop("0.01").slippage(200.0, 0.0).run("100 long \n 100 101 99 100 \n 100");
    assert_eq!(run.trades(), ["long 1@100 -> 1@100 stopLoss"]);
    near(run.outcome.trades[0].exit.unwrap().price, 98.0);
}
