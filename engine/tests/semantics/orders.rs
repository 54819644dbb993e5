//! Prices of fills, and resting entry orders.

use blockgrid_engine::sim::FillAt;

use crate::common::*;

#[test]
fn slippage_is_adverse_is_added_afterwards_and_is_not_clipped() {
    // 1 % of the price and a tenth of the bar's range (10): bought at 100 + 1 + 1 = 102 although the high is 101.
    let bars = "
        100 long
        100 101  91 100  exit
        100 105 100 105
        105";
    let run = marked().slippage(100.0, 0.1).run(bars);
    let trade = run.outcome.trades[0];
    assert_eq!((trade.entry.raw_price, trade.entry.price), (100.0, 102.0));
    // Sold at 100 - 1 - 0.5.
    assert_eq!((trade.exit.unwrap().raw_price, trade.exit.unwrap().price), (100.0, 98.5));
    near(trade.pnl, -3.5);
}

#[test]
fn a_stop_slips_below_its_price() {
    let run = marked().stop_price("90").slippage(100.0, 0.0).run("100 long \n 100 100 90 95 \n 95");
    let exit = run.outcome.trades[0].exit.unwrap();
    assert_eq!((exit.raw_price, exit.price), (90.0, 89.1));
}

#[test]
fn a_touch_fills_a_limit_at_its_price_for_the_makers_fee_without_slippage() {
    let setup = marked().limit("close * 0.95", "3").fees(10.0, 2.0, 0.0).slippage(100.0, 0.0);
    let run = setup.run("100 long \n 100 101 95 96 \n 96");
    let entry = run.outcome.trades[0].entry;
    assert_eq!((entry.bar, entry.raw_price, entry.price), (1, 95.0, 95.0));
    assert!(entry.maker);
    near(entry.fee, 0.019);
    assert!(setup.run("100 long \n 100 101 95.01 96 \n 96").outcome.trades.is_empty());
}

#[test]
fn a_target_reached_inside_the_bar_pays_the_makers_fee_and_a_stop_the_takers() {
    let setup = marked().target("0.25").stop("0.25").fees(10.0, 2.0, 0.0);
    let target = setup.run("100 long \n 100 130 100 120 \n 120").outcome.trades[0].exit.unwrap();
    assert_eq!((target.price, target.maker), (125.0, true));
    near(target.fee, 0.025);
    let stop = setup.run("100 long \n 100 100 70 80 \n 80").outcome.trades[0].exit.unwrap();
    assert_eq!((stop.price, stop.maker), (75.0, false));
    near(stop.fee, 0.075);
}

#[test]
fn a_limit_that_the_open_gaps_through_fills_at_the_open_as_a_taker_without_slippage() {
    let setup = marked().limit("95", "3").fees(10.0, 2.0, 0.0).slippage(100.0, 0.0);
    let entry = setup.run("100 long \n 92 96 91 95 \n 95").outcome.trades[0].entry;
    assert_eq!((entry.raw_price, entry.price, entry.maker), (92.0, 92.0, false));
    near(entry.fee, 0.092);
}

#[test]
fn a_stop_order_enters_at_its_price_with_slippage_or_at_the_gaps_open() {
    let setup = marked().stop_order("105", "3").slippage(100.0, 0.0);
    let inside = setup.run("100 long \n 100 106 100 106 \n 106").outcome.trades[0].entry;
    assert_eq!((inside.raw_price, inside.price, inside.reason.id()), (105.0, 106.05, "enterStop"));
    let gap = setup.run("100 long \n 110 112 109 111 \n 111").outcome.trades[0].entry;
    assert_eq!((gap.raw_price, gap.price), (110.0, 111.1));
    assert!(setup.run("100 long \n 100 104 100 100 \n 100").outcome.trades.is_empty());
}

#[test]
fn resting_orders_of_a_short_are_mirrored() {
    assert_eq!(
        marked().limit("105", "1").trades("100 short \n 100 105 99 100 \n 100"),
        ["short 1@105 -> open"]
    );
    assert_eq!(
        marked().stop_order("95", "1").trades("100 short \n 100 100 95 96 \n 96"),
        ["short 1@95 -> open"]
    );
}

#[test]
fn an_entry_order_rests_for_its_bars_and_then_goes() {
    let bars = "100 long \n 100 \n 100 \n 100 100 90 95 \n 95";
    assert!(marked().limit("92", "2").trades(bars).is_empty());
    assert_eq!(marked().limit("92", "3").trades(bars), ["long 3@92 -> open"]);
}

#[test]
fn an_entry_order_is_not_replaced_while_it_rests() {
    // The second signal would rest at 99 and fill in bar 2; the first rests at 90.
    let bars = "
        100 long
        110 long
        110 110 98 100
        100 100 89 95
        95";
    assert_eq!(marked().limit("close - 10", "3").trades(bars), ["long 3@90 -> open"]);
    // With one bar of rest the second signal has its own order: 110 - 10.
    assert_eq!(marked().limit("close - 10", "1").trades(bars), ["long 2@100 -> open"]);
}

#[test]
fn an_exit_or_the_other_sides_enter_cancels_a_resting_entry_order() {
    let limit = marked().limit("95", "3");
    assert!(limit.trades("100 long \n 100 exit \n 100 100 90 95 \n 95").is_empty());
    // The short's own limit at 95 is already passed by the open of 100: it sells there.
    let reversed = limit.trades("100 long \n 100 short \n 100 100 90 95 \n 95");
    assert_eq!(reversed, ["short 2@100 -> open"]);
}

#[test]
fn a_resting_order_placed_at_a_close_acts_from_the_next_bar_in_both_fill_modes() {
    // Bar 0 has been at 90 before the signal at its close.
    let bars = "
        100 100 90 100 long
        100 100 94 100
        100";
    for fill in [FillAt::NextOpen, FillAt::Close] {
        assert_eq!(marked().limit("95", "3").fill(fill).trades(bars), ["long 1@95 -> open"]);
    }
}

#[test]
fn an_order_whose_price_is_unknown_or_not_above_zero_is_rejected_and_counted() {
    for price in ["close - 100", "close / (close - close)", "-close"] {
        let run = marked().limit(price, "3").run("100 long \n 100 \n 100");
        assert_eq!((run.trades().len(), run.outcome.rejected_orders), (0, 1), "{price}");
    }
}

#[test]
fn a_resting_order_fills_in_the_last_bar() {
    assert_eq!(marked().limit("95", "3").trades("100 long \n 100 100 90 92"), ["long 1@95 -> open"]);
}

#[test]
fn a_gap_in_the_data_is_filled_over_at_the_next_existing_open() {
    let full = candles(interval("1h"), MONDAY, "100 long \n 101 \n 102 \n 103 \n 104");
    let raw = |keep: &dyn Fn(usize) -> bool| {
        let pick = |column: &[f64]| (0..5).filter(|&i| keep(i)).map(|i| column[i]).collect::<Vec<_>>();
        blockgrid_engine::RawCandles {
            timestamp: (0..5).filter(|&i| keep(i)).map(|i| full.timestamp()[i]).collect(),
            open: pick(full.open()),
            high: pick(full.high()),
            low: pick(full.low()),
            close: pick(full.close()),
            volume: pick(full.volume()),
        }
    };
    let gap = blockgrid_engine::Candles::new(interval("1h"), raw(&|i| i != 1 && i != 2)).unwrap();
    let run = marked().run_on(&gap);
    assert_eq!((run.trades(), gap.gaps()), (vec!["long 1@103 -> open".to_owned()], 2));
    assert_eq!(run.outcome.trades[0].entry.timestamp, MONDAY + 3 * HOUR);
}
