//! Strategy documents under profile `vectorbt` against vectorbt: trades and equity to the bit, metrics to 1e-9.
//!
//! The runs of `parity_vectorbt.json`, from text to metrics: parser, compiler, shared columns, profile, metrics. The
//! runs of `parity_vectorbt_random.json` are left out: their signals are random bits over candles of their own, which no
//! expression can say; `parity_vectorbt.rs` feeds them to the simulation itself. No two averages of these candles are
//! equal where it was checked, so vectorbt's rule of a crossing is used, but not told from the others here.

mod parity;

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, ensure};
use blockgrid_engine::Candles;
use blockgrid_engine::graph::{Graph, Op};
use blockgrid_engine::metrics::Metrics;
use blockgrid_engine::sim::{
    Direction, Execution, Fees, FillAt, Outcome, Semantics, Slippage, SymbolRules, Trade,
};
use blockgrid_engine::strategy::{
    Distance, Formula, ParsedStrategy, Risk, Trail, TrailBy, TrailUpdate, TrialPlan,
};
use blockgrid_engine::sweep::SymbolRun;
use parity::{bps, candles, document, ensure_close, index, number, runs, side};
use serde_json::Value;

/// The document of a run, and its parameters.
fn strategy(run: &Value) -> Result<(ParsedStrategy, BTreeMap<String, f64>)> {
    let signals = run["signals"].as_array().context("signals")?;
    let kind = signals[0].as_str().context("kind of signal")?;
    let (names, up, down): (&[&str], String, String) = match kind {
        "sma_cross" | "ema_cross" => {
            let average = &kind[..3];
            let pair = format!("{average}(close, fast), {average}(close, slow)");
            (&["fast", "slow"], format!("crosses_above({pair})"), format!("crosses_below({pair})"))
        }
        "rsi" => (
            &["window", "below", "above"],
            "rsi(close, window) < below".to_owned(),
            "rsi(close, window) > above".to_owned(),
        ),
        other => anyhow::bail!("unknown signal {other}"),
    };
    let values = names.iter().zip(&signals[1..]);
    let parameters: BTreeMap<String, f64> =
        values.map(|(name, value)| Ok(((*name).to_owned(), number(value)?))).collect::<Result<_>>()?;
    let (up, down) = (up.as_str(), down.as_str());
    let sides = match run["sides"].as_str().context("sides")? {
        "long" => [Some(side(up, Some(down))), None],
        "short" => [None, Some(side(down, Some(up)))],
        "both" => [Some(side(up, None)), Some(side(down, None))],
        "both_exits" => [Some(side(up, Some(down))), Some(side(down, Some(up)))],
        other => anyhow::bail!("unknown sides {other}"),
    };
    Ok((document(&parameters, &[], sides, risk(&run["settings"]))?, parameters))
}

/// vectorbt's `sl_stop` is a trail when `sl_trail` is set.
fn risk(settings: &Value) -> Risk {
    let fraction = |key: &str| settings[key].as_f64();
    let (stop, trailing) = (fraction("stop_loss"), settings["trailing"].as_bool().unwrap_or(false));
    Risk {
        stop_loss: stop.filter(|_| !trailing).map(|stop| Distance::Fraction(Formula::number(stop))),
        take_profit: fraction("take_profit").map(|target| Distance::Fraction(Formula::number(target))),
        trail: stop.filter(|_| trailing).map(|stop| Trail {
            distance: TrailBy::Percent { percent: Formula::number(stop * 100.0) },
            update: TrailUpdate::BarClose,
            follow: false,
        }),
        ..Risk::default()
    }
}

fn execution(settings: &Value) -> Result<Execution> {
    let or = |key: &str, default| settings[key].as_f64().unwrap_or(default);
    let fee = bps(or("fee", 0.0))?;
    Ok(Execution {
        semantics: Semantics::Vectorbt,
        fill: FillAt::Close,
        fees: Fees { taker_bps: fee, maker_bps: fee, per_order: or("fixed_fee", 0.0) },
        slippage: Slippage { bps: bps(or("slippage", 0.0))?, range_share: 0.0 },
        initial_cash: or("initial_cash", 100.0),
    })
}

/// FNV-1a of 64-bit words, little endian.
fn digest(words: impl Iterator<Item = u64>) -> String {
    let hash = words.flat_map(u64::to_le_bytes).fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{hash:016x}")
}

/// The bits of a number; -0 counts as 0.
fn bits(x: f64) -> u64 {
    (x + 0.0).to_bits()
}

/// A vectorbt trade record: bars, size, entry fee, exit price and fee, pnl, return, short, closed. An open trade is
/// marked at the last close without exit fee. The entry price is held by pnl and return.
fn words(trade: &Trade, candles: &Candles) -> [u64; 10] {
    let last = candles.len() - 1;
    let (exit_bar, exit_price, exit_fee) =
        trade.exit.map_or((last, candles.close()[last], 0.0), |fill| (fill.bar, fill.price, fill.fee));
    [
        trade.entry.bar as u64,
        exit_bar as u64,
        bits(trade.quantity),
        bits(trade.entry.fee),
        bits(exit_price),
        bits(exit_fee),
        bits(trade.pnl),
        bits(trade.return_fraction),
        u64::from(trade.direction == Direction::Short),
        u64::from(trade.exit.is_some()),
    ]
}

fn check_trades(outcome: &Outcome, run: &Value, candles: &Candles) -> Result<()> {
    // Written out in some runs, to tell what differs; the digests below compare every trade to the bit.
    for (i, expected) in run["trades"].as_array().into_iter().flatten().enumerate() {
        let trade = outcome.trades.get(i).with_context(|| format!("trade {i} is missing: {expected}"))?;
        let what = |name: &str| format!("trade {i}: {name} in {expected}");
        ensure!(trade.entry.bar == index(&expected[0])?, "{}: {trade:?}", what("entry bar"));
        ensure_close(&what("size"), trade.quantity, number(&expected[2])?, 1e-12)?;
        ensure_close(&what("entry price"), trade.entry.price, number(&expected[3])?, 1e-12)?;
        if let Some(exit) = trade.exit {
            ensure!(exit.bar == index(&expected[1])?, "{}: {trade:?}", what("exit bar"));
            ensure_close(&what("exit price"), exit.price, number(&expected[5])?, 1e-12)?;
        }
    }
    let trades = digest(outcome.trades.iter().flat_map(|trade| words(trade, candles)));
    ensure!(run["trades_digest"] == trades, "trades differ: {} of them: {trades}", outcome.trades.len());
    let equity = digest(outcome.equity.iter().map(|value| bits(*value)));
    ensure!(run["equity_digest"] == equity, "equity differs: {equity}");
    Ok(())
}

fn check_metrics(actual: &Metrics, expected: &Value) -> Result<()> {
    let (all, closed) = (&expected["trades"], &expected["closed_trades"]);
    for (name, actual, expected) in [
        ("total_return", actual.total_return, &expected["total_return"]),
        ("cagr", actual.cagr, &expected["annual_return"]),
        ("volatility", actual.volatility, &expected["volatility"]),
        ("sharpe", actual.sharpe, &expected["sharpe"]),
        ("sortino", actual.sortino, &expected["sortino"]),
        ("omega", actual.omega, &expected["omega"]),
        ("calmar", actual.calmar, &expected["calmar"]),
        ("max_drawdown", actual.max_drawdown, &expected["max_drawdown"]),
        ("trades", actual.trades, &all["count"]),
        ("win_rate", actual.win_rate, &all["win_rate"]),
        ("profit_factor", actual.profit_factor, &closed["profit_factor"]),
        ("expectancy", actual.expectancy, &closed["expectancy"]),
        ("sqn", actual.sqn, &closed["sqn"]),
    ] {
        match expected.as_f64() {
            Some(expected) => ensure_close(name, actual, expected, 1e-9)?,
            // Infinite or not a number in vectorbt, null here.
            None => ensure!(expected.is_string() && actual.is_nan(), "{name}: {actual}, expected {expected}"),
        }
    }
    Ok(())
}

#[test]
fn documents_equal_vectorbt() -> Result<()> {
    let candles = candles()?;
    let runs = runs("parity_vectorbt.json")?;
    assert_eq!(runs.len(), 238);
    let mut graph = Graph::new();
    let mut windows = BTreeSet::new();
    // Trials of one sweep share their execution: runs are grouped by it.
    let mut sweeps: Vec<(Execution, Vec<TrialPlan>, Vec<&Value>)> = Vec::new();
    for run in &runs {
        let (parsed, parameters) = strategy(run)?;
        let plan = TrialPlan::compile(&parsed, &parameters, candles.interval(), true, &mut graph)
            .map_err(|errors| anyhow::anyhow!("{}: {errors:?}", run["id"]))?;
        ensure!(parsed.used().len() == parameters.len(), "{}: unused parameters", run["id"]);
        if run["signals"][0] == "sma_cross" {
            windows.extend([index(&run["signals"][1])?, index(&run["signals"][2])?]);
        }
        let execution = execution(&run["settings"])?;
        match sweeps.iter_mut().find(|(known, ..)| *known == execution) {
            Some((_, plans, runs)) => {
                plans.push(plan);
                runs.push(run);
            }
            None => sweeps.push((execution, vec![plan], vec![run])),
        }
    }
    let is_sma = |op: &Op| matches!(op, Op::Indicator(indicator) if indicator.name == "sma");
    let averages = graph.nodes().iter().filter(|node| is_sma(&node.op)).count();
    assert_eq!(averages, windows.len(), "every window is one column, however many pairs use it");

    for (execution, plans, runs) in sweeps {
        let symbol = SymbolRun::new(
            candles.clone(),
            0..candles.len(),
            [candles.interval()],
            None,
            SymbolRules::default(),
            execution,
        );
        let results = symbol.trials(&plans, &graph);
        for ((plan, run), result) in plans.iter().zip(runs).zip(results) {
            let check = || -> Result<()> {
                let outcome = symbol.outcome(plan, &graph);
                check_trades(&outcome, run, &candles)?;
                check_metrics(&symbol.metrics(&outcome), &run["metrics"])?;
                check_metrics(&result.metrics, &run["metrics"]).context("in the sweep")?;
                ensure!(result.first_bar == candles.timestamp().first().copied(), "starts later");
                Ok(())
            };
            check().with_context(|| run["id"].to_string())?;
        }
    }
    Ok(())
}
