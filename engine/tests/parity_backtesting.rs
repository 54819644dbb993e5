//! The native engine against backtesting.py: fills bar by bar, equity and profits to 1e-12.
//!
//! The expected numbers are those of `scripts/parity_backtesting.py`; the header of each fixture says which settings of
//! both sides are alike: market orders at the next open, whole units, all in, strict crossings, stops and targets priced
//! at the signal's close, the stop first, an entry heard at the close of the bar whose stop or target was hit. No two
//! averages of these candles are equal where it was checked, so the rule of a crossing ("strict") is said, but not tested here.

mod parity;

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use blockgrid_engine::Candles;
use blockgrid_engine::graph::Graph;
use blockgrid_engine::sim::{
    Direction, Execution, Fees, Fill, FillAt, Outcome, Reason, Semantics, Slippage, SymbolRules, Trade,
};
use blockgrid_engine::strategy::{Distance, Formula, ParsedStrategy, Reentry, Risk, SameBar, TrialPlan};
use blockgrid_engine::sweep::SymbolRun;
use parity::{bps, candles, document, ensure_close, index, number, runs, side};
use serde_json::Value;

/// The document of a run, and its parameters.
fn strategy(run: &Value) -> Result<(ParsedStrategy, BTreeMap<String, f64>)> {
    let parameter = |name: &str| -> Result<_> { Ok((name.to_owned(), number(&run[name])?)) };
    let parameters = BTreeMap::from([parameter("fast")?, parameter("slow")?]);
    let pair = r#"sma(close, fast), sma(close, slow), "strict""#;
    let define = [("up", format!("crosses_above({pair})")), ("down", format!("crosses_below({pair})"))];
    let sides = match run["sides"].as_str() {
        Some("long") => [Some(side("up", Some("down"))), None],
        Some("both") => [Some(side("up", None)), Some(side("down", None))],
        other => anyhow::bail!("unknown sides {other:?}"),
    };
    // The level is that of the side that the signal's close enters.
    let level = |factors: &Value| -> Result<Option<Distance>> {
        if factors["long"].is_null() {
            return Ok(None);
        }
        let (long, short) = (number(&factors["long"])?, number(&factors["short"])?);
        let price = match run["sides"].as_str() {
            Some("long") => format!("close * {long:?}"),
            _ => format!("up ? close * {long:?} : close * {short:?}"),
        };
        Ok(Some(Distance::Price(Formula(price))))
    };
    let risk = Risk {
        stop_loss: level(&run["stop"])?,
        take_profit: level(&run["target"])?,
        same_bar: SameBar::StopFirst,
        reentry: Reentry::SameBar,
        ..Risk::default()
    };
    Ok((document(&parameters, &define, sides, risk)?, parameters))
}

fn execution(run: &Value) -> Result<Execution> {
    let fee = bps(number(&run["fee"])?)?;
    Ok(Execution {
        semantics: Semantics::Native,
        fill: FillAt::NextOpen,
        fees: Fees { taker_bps: fee, maker_bps: fee, per_order: 0.0 },
        slippage: Slippage::default(),
        initial_cash: number(&run["cash"])?,
    })
}

fn reason(fill: &Fill) -> &'static str {
    match fill.reason {
        Reason::EnterSignal => "enter",
        Reason::ExitSignal => "exit",
        Reason::Reversal => "reversal",
        Reason::StopLoss => "stop",
        Reason::TakeProfit => "target",
        other => other.id(),
    }
}

fn units(trade: &Trade) -> f64 {
    trade.direction.sign() * trade.quantity
}

fn check_fills(outcome: &Outcome, run: &Value) -> Result<()> {
    let fills = outcome.trades.iter().flat_map(|trade| {
        let exit = trade.exit.map(|exit| (-units(trade), exit));
        std::iter::once((units(trade), trade.entry)).chain(exit)
    });
    let expected = run["fills"].as_array().context("fills")?;
    for (i, ((units, fill), expected)) in fills.clone().zip(expected).enumerate() {
        let what = |name: &str| format!("fill {i}: {name} of {fill:?}, expected {expected}");
        ensure!(fill.bar == index(&expected[0])?, what("bar"));
        ensure!(units == number(&expected[1])?, what("units"));
        ensure!(expected[4] == reason(&fill), what("reason"));
        // Market fills are an open of the candles; a level is a product.
        let market = matches!(fill.reason, Reason::EnterSignal | Reason::ExitSignal | Reason::Reversal);
        let tolerance = if market { 0.0 } else { 1e-12 };
        ensure_close(&what("price"), fill.price, number(&expected[2])?, tolerance)?;
        ensure_close(&what("fee"), fill.fee, number(&expected[3])?, 1e-12)?;
    }
    ensure!(fills.count() == expected.len(), "the number of fills is not {}", expected.len());
    Ok(())
}

/// Profit and loss is compared on the scale of the notional: it is a small difference of large numbers.
fn check_trades(outcome: &Outcome, run: &Value) -> Result<()> {
    let expected = run["trades"].as_array().context("trades")?;
    ensure!(outcome.trades.len() == expected.len(), "the number of trades is not {}", expected.len());
    for (trade, expected) in outcome.trades.iter().zip(expected) {
        let bars = (trade.entry.bar as u64, trade.exit.map(|exit| exit.bar as u64));
        let alike = bars == (index(&expected[0])? as u64, expected[1].as_u64())
            && units(trade) == number(&expected[2])?;
        ensure!(alike, "{trade:?}, expected {expected}");
        if trade.exit.is_some() {
            let notional = trade.quantity * trade.entry.price;
            let apart = (trade.pnl - number(&expected[3])?).abs();
            ensure!(apart <= 1e-12 * notional, "profit of {trade:?}, expected {expected}");
        }
    }
    Ok(())
}

fn check_equity(outcome: &Outcome, run: &Value, candles: &Candles) -> Result<()> {
    let first = index(&run["first_bar"])?;
    ensure!(outcome.first_bar == first, "starts at {}, expected {first}", outcome.first_bar);
    ensure!(first + outcome.equity.len() == candles.len(), "{} equities", outcome.equity.len());
    for sample in run["equity"].as_array().context("equity")? {
        let bar = index(&sample[0])?;
        let what = format!("equity at {bar}");
        ensure_close(&what, outcome.equity[bar - first], number(&sample[1])?, 1e-12)?;
    }
    let last = outcome.equity.last().context("no equity")?;
    ensure_close("final equity", *last, number(&run["final_equity"])?, 1e-12)
}

/// Runs every trial of a fixture, and returns the outcomes.
fn check(fixture: &str) -> Result<Vec<Outcome>> {
    let candles = candles()?;
    let rules = SymbolRules { lot: Some(1.0), ..SymbolRules::default() };
    let mut graph = Graph::new();
    let mut outcomes = Vec::new();
    for run in runs(fixture)? {
        let mut check = || -> Result<Outcome> {
            let (parsed, parameters) = strategy(&run)?;
            let interval = candles.interval();
            let plan = TrialPlan::compile(&parsed, &parameters, interval, false, &mut graph)
                .map_err(|errors| anyhow::anyhow!("{errors:?}"))?;
            let (bars, execution) = (0..candles.len(), execution(&run)?);
            let symbol = SymbolRun::new(candles.clone(), bars, [interval], None, rules, execution);
            let outcome = symbol.outcome(&plan, &graph);
            check_equity(&outcome, &run, &candles).and_then(|()| check_fills(&outcome, &run))?;
            check_trades(&outcome, &run)?;
            ensure!(outcome.rejected_orders == 0 && outcome.deficit == 0.0, "rejected orders or a deficit");
            Ok(outcome)
        };
        outcomes.push(check().with_context(|| run["id"].to_string())?);
    }
    Ok(outcomes)
}

fn count(outcomes: &[Outcome], test: impl Fn(&Trade) -> bool) -> usize {
    outcomes.iter().flat_map(|outcome| &outcome.trades).filter(|trade| test(trade)).count()
}

#[test]
fn long_crossings_equal_backtesting_py() -> Result<()> {
    let outcomes = check("parity_backtesting_long.json")?;
    assert_eq!((outcomes.len(), count(&outcomes, |_| true)), (4, 128));
    Ok(())
}

#[test]
fn stops_and_targets_equal_backtesting_py() -> Result<()> {
    let outcomes = check("parity_backtesting_stops.json")?;
    assert_eq!(outcomes.len(), 10);
    for wanted in [Reason::StopLoss, Reason::TakeProfit] {
        let in_entry_bar =
            |trade: &Trade| trade.exit.is_some_and(|x| x.reason == wanted && x.bar == trade.entry.bar);
        assert!(count(&outcomes, in_entry_bar) > 0, "no {wanted:?} in the entry's bar");
    }
    Ok(())
}

#[test]
fn reversals_equal_backtesting_py() -> Result<()> {
    let outcomes = check("parity_backtesting_both.json")?;
    assert_eq!(outcomes.len(), 9);
    let short = |trade: &Trade| trade.direction == Direction::Short;
    for wanted in [Reason::Reversal, Reason::StopLoss, Reason::TakeProfit] {
        let of_shorts = |trade: &Trade| short(trade) && trade.exit.is_some_and(|x| x.reason == wanted);
        assert!(count(&outcomes, of_shorts) > 0, "no {wanted:?} of a short");
    }
    Ok(())
}
