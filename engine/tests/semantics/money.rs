//! Size and money.

use blockgrid_engine::sim::{FillAt, SymbolRules};
use blockgrid_engine::strategy::{Distance, Size, TrailUpdate};

use crate::common::*;

const BUY: &str = "100 long \n 100 \n 100";

fn quantity(setup: &Setup, bars: &str) -> f64 {
    setup.run(bars).outcome.trades[0].quantity
}

#[test]
fn all_in_spends_the_cash_on_notional_and_fees_at_the_slipped_price() {
    // (1000 - 5) / 1.01 / 102 units, which cost 1000 with their fees: 1 % and 5 an order; 2 % of slippage.
    let setup = marked().size(Size::AllIn).fees(100.0, 100.0, 5.0).slippage(200.0, 0.0);
    let run = setup.run(BUY);
    let trade = run.outcome.trades[0];
    near(trade.quantity, 995.0 / 1.01 / 102.0);
    near(trade.quantity * trade.entry.price + trade.entry.fee, 1000.0);
    near(run.outcome.equity[1], trade.quantity * 100.0);
}

#[test]
fn equity_percent_has_its_fee_on_top_and_is_capped_by_all_in() {
    let quarter = marked().size(Size::EquityPercent(text("25"))).fees(100.0, 100.0, 0.0);
    let trade = quarter.run(BUY).outcome.trades[0];
    assert_eq!((trade.quantity, trade.entry.fee), (2.5, 2.5));
    let whole = marked().size(Size::EquityPercent(text("100"))).fees(100.0, 100.0, 0.0);
    near(quantity(&whole, BUY), 1000.0 / 1.01 / 100.0);
    let over = marked().size(Size::EquityPercent(text("101")));
    assert!(over.errors()[0].starts_with("size.equityPercent: 101 is out of range"));
}

#[test]
fn equity_percent_is_of_the_equity_at_the_fill() {
    // The first trade doubles its 500 to 1000: equity 1500, half of it buys 3.75 at 200.
    let bars = "100 long \n 100 \n 200 exit \n 200 long \n 200 \n 200";
    let run = marked().size(Size::EquityPercent(text("50"))).run(bars);
    assert_eq!(run.outcome.trades[1].quantity, 3.75);
}

#[test]
fn quote_and_base_are_amounts_capped_by_all_in() {
    assert_eq!(quantity(&marked().size(Size::Quote(text("250"))), BUY), 2.5);
    assert_eq!(quantity(&marked().size(Size::Quote(text("2500"))), BUY), 10.0);
    assert_eq!(quantity(&marked().size(Size::Base(text("3"))), BUY), 3.0);
    assert_eq!(quantity(&marked().size(Size::Base(text("30"))), BUY), 10.0);
}

#[test]
fn risk_percent_loses_that_share_of_equity_at_the_stop_before_costs() {
    // 2 % of 1000 is 20; the stop is 5 away from the fill.
    let setup = marked().size(Size::RiskPercent(text("2"))).stop_price("95");
    assert_eq!(quantity(&setup, BUY), 4.0);
    let stopped = setup.run("100 long \n 100 100 90 92 \n 92");
    assert_eq!(stopped.outcome.trades[0].pnl, -20.0);
    // Half a percent away: 40 units would lose 20, but the cash buys 10.
    assert_eq!(quantity(&setup.clone().stop_price("99.5"), BUY), 10.0);
}

#[test]
fn risk_percent_takes_the_tightest_of_stop_and_trail() {
    let setup =
        marked().size(Size::RiskPercent(text("2"))).stop_price("90").trail("5", TrailUpdate::BarClose);
    assert_eq!(quantity(&setup, BUY), 4.0);
    let without = marked().size(Size::RiskPercent(text("2")));
    assert!(without.errors()[0].contains("riskPercent needs an initial stop"));
}

#[test]
fn lots_round_down_and_ticks_round_against_the_trader() {
    let rules = SymbolRules { lot: Some(0.5), tick: Some(0.25), min_notional: None };
    let setup = marked().size(Size::Quote(text("290"))).slippage(10.0, 0.0).with(|s| s.rules = rules);
    let run = setup.run("100 long \n 100 exit \n 100 \n 100");
    let trade = run.outcome.trades[0];
    // 100.1 becomes 100.25, 290 / 100.25 = 2.89 becomes 2.5, and 99.9 is sold at 99.75.
    assert_eq!((trade.entry.price, trade.quantity, trade.exit.unwrap().price), (100.25, 2.5, 99.75));
    assert_eq!((trade.entry.raw_price, trade.exit.unwrap().raw_price), (100.0, 100.0));
}

#[test]
fn stop_and_target_levels_lie_on_ticks_rounded_against_the_trader() {
    let rules = SymbolRules { tick: Some(1.0), ..SymbolRules::default() };
    let setup = marked().stop("0.105").target("0.105").with(|s| s.rules = rules);
    // 89.5 rounds down to 89, 110.5 down to 110: a long sells at both. A short buys at 111 and 90.
    assert_eq!(setup.trades("100 long \n 100 100 85 90 \n 90"), ["long 1@100 -> 1@89 stopLoss"]);
    assert_eq!(setup.trades("100 long \n 100 115 100 110 \n 110"), ["long 1@100 -> 1@110 takeProfit"]);
    assert_eq!(setup.trades("100 short \n 100 115 100 110 \n 110"), ["short 1@100 -> 1@111 stopLoss"]);
    assert_eq!(setup.trades("100 short \n 100 100 85 90 \n 90"), ["short 1@100 -> 1@90 takeProfit"]);
}

#[test]
fn many_lots_round_down_too() {
    // 1000 / 8.1 = 123.456790123...: in lots of 1e-8 twelve thousand million of them.
    let rules = SymbolRules { lot: Some(1e-8), ..SymbolRules::default() };
    let setup = marked().size(Size::AllIn).with(|s| s.rules = rules);
    assert_eq!(quantity(&setup, "8.1 long \n 8.1 \n 8.1"), 123.456_790_12);
    // 1000 / 7 = 142.857142857...: to the nearest it would be ...86, and 2e-8 more than there is cash for.
    let run = setup.run("7 long \n 7 \n 7");
    assert_eq!(run.outcome.trades[0].quantity, 142.857_142_85);
    assert!(run.outcome.trades[0].quantity * 7.0 <= 1000.0);
}

#[test]
fn an_order_below_the_minimum_notional_or_of_no_lot_is_rejected_and_counted() {
    let small = marked().with(|s| s.rules.min_notional = Some(100.5)).run(BUY);
    assert_eq!((small.trades().len(), small.outcome.rejected_orders), (0, 1));
    let enough = marked().with(|s| s.rules.min_notional = Some(100.0)).run(BUY);
    assert_eq!((enough.trades().len(), enough.outcome.rejected_orders), (1, 0));
    let no_lot = marked().with(|s| s.rules.lot = Some(2.0)).run(BUY);
    assert_eq!((no_lot.trades().len(), no_lot.outcome.rejected_orders), (0, 1));
    let broke = marked().size(Size::AllIn).fees(0.0, 0.0, 1000.0).run(BUY);
    assert_eq!((broke.trades().len(), broke.outcome.rejected_orders), (0, 1));
}

#[test]
fn a_short_is_backed_once_by_the_equity_at_entry() {
    let run = marked().size(Size::AllIn).run("100 short \n 100 \n 90 \n 90");
    assert_eq!(run.outcome.position, [0.0, -10.0, -10.0, -10.0]);
    assert_eq!(run.outcome.equity, [1000.0, 1000.0, 1100.0, 1100.0]);
}

#[test]
fn a_short_is_liquidated_inside_the_bar_where_its_equity_after_the_exit_fee_is_zero() {
    // All in with a fee of 25 %: 800 / 100 = 8 units for a fee of 200; cash is then 1600.
    // 1600 = 8 * price * 1.25 at 160.
    let setup = marked().size(Size::AllIn).fees(2500.0, 2500.0, 0.0).slippage(0.0, 0.0);
    let run = setup.run("100 short \n 100 \n 100 170 100 120 \n 120 short \n 120 \n 120");
    assert_eq!(run.trades(), ["short 1@100 -> 2@160 liquidation"]);
    assert_eq!(run.outcome.equity, [1000.0, 800.0, 0.0, 0.0, 0.0, 0.0]);
    assert_eq!(run.outcome.deficit, 0.0);
}

#[test]
fn a_short_is_liquidated_at_the_open_of_a_gap_and_the_deficit_is_reported() {
    // Ten units short from 100: cash 2000, gone at 200. The open of 250 costs 2500.
    let setup = marked().size(Size::AllIn);
    let run = setup.run("100 short \n 100 \n 250 \n 100 short \n 100 \n 100");
    assert_eq!(run.trades(), ["short 1@100 -> 2@250 liquidation"]);
    assert_eq!(run.outcome.deficit, 500.0);
    assert_eq!(run.outcome.equity, [1000.0, 1000.0, 0.0, 0.0, 0.0, 0.0]);
}

#[test]
fn a_gap_beyond_the_liquidation_price_liquidates_whatever_was_decided() {
    let run = marked().size(Size::AllIn).stop("0.5").run("100 short \n 100 cover \n 250 \n 100");
    assert_eq!(run.trades(), ["short 1@100 -> 2@250 liquidation"]);
}

#[test]
fn a_liquidation_has_no_slippage() {
    let run =
        marked().size(Size::AllIn).slippage(100.0, 0.0).run("100 short \n 100 \n 100 300 100 300 \n 300");
    let exit = run.outcome.trades[0].exit.unwrap();
    assert_eq!((exit.reason.id(), exit.raw_price), ("liquidation", exit.price));
    assert_eq!(run.outcome.deficit, 0.0);
}

#[test]
fn a_stop_whose_costs_take_more_than_there_is_ends_trading_too() {
    // Stopped at 199 of a liquidation at 200, slipped by 10 %: 10 * 218.9 = 2189 of 2000.
    let setup = marked().size(Size::AllIn).stop_price("199").slippage(1000.0, 0.0);
    let run = setup
        .run("111.11111111111111 short \n 111.11111111111111 \n 150 210 150 210 \n 100 short \n 100 \n 100");
    let exit = run.outcome.trades[0].exit.unwrap();
    assert_eq!(exit.reason.id(), "stopLoss");
    near(run.outcome.deficit, 189.0);
    assert_eq!((run.outcome.trades.len(), run.outcome.equity[5]), (1, 0.0));
}

#[test]
fn a_fee_by_the_order_is_paid_at_entry_and_exit() {
    let run = marked().fees(0.0, 0.0, 7.0).run("100 long \n 100 exit \n 100 \n 100");
    assert_eq!(run.outcome.equity, [1000.0, 993.0, 986.0, 986.0]);
    assert_eq!(run.outcome.trades[0].pnl, -14.0);
}

#[test]
fn stops_are_fractions_below_one_and_targets_above_zero() {
    for (stop, bad) in [("0.03", false), ("3", true), ("0", true), ("1", true), ("-0.1", true)] {
        assert_eq!(!marked().stop(stop).errors().is_empty(), bad, "stop {stop}");
    }
    for (target, bad) in [("0.03", false), ("3", false), ("0", true), ("-0.1", true)] {
        assert_eq!(!marked().target(target).errors().is_empty(), bad, "target {target}");
    }
    let percent = marked().risk(|r| r.stop_loss = Some(Distance::Percent(text("100"))));
    assert!(percent.errors()[0].starts_with("risk.stopLoss.percent: 100 is out of range"));
}

#[test]
fn a_position_opened_in_the_last_bar_is_marked_at_its_close() {
    let run = marked().run("100 long \n 100 106 100 105");
    assert_eq!(run.outcome.equity, [1000.0, 1005.0]);
    assert_eq!((run.outcome.trades[0].exit, run.outcome.trades[0].bars), (None, 0));
    assert_eq!(marked().fill(FillAt::Close).run("100 \n 100 long").outcome.equity, [1000.0, 1000.0]);
}
