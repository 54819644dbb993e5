//! Profile `vectorbt` against vectorbt: trades and equity to the bit, metrics to 1e-9.
//!
//! The expected numbers are those of `scripts/parity_vectorbt.py`. Digests are over bits, so every trade and every
//! equity of every run is compared exactly; trades written out in the fixture tell what differs when one does not match.
//! The indicators below repeat vectorbt's arithmetic, order of additions included.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use blockgrid_engine::sim::vectorbt::{Settings, Signals, TradeMetrics, VectorbtMetrics, metrics, simulate};
use blockgrid_engine::sim::{Direction, Outcome, Reason, Trade};
use blockgrid_engine::{Candles, Interval, RawCandles};
use serde_json::Value;

fn fixture(name: &str) -> Result<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name);
    std::fs::read_to_string(&path).with_context(|| path.display().to_string())
}

fn hourly() -> Result<Interval> {
    Ok("1h".parse()?)
}

fn candles() -> Result<Candles> {
    let mut raw = RawCandles::default();
    for line in fixture("parity_candles.csv")?.lines().skip(1) {
        let mut cells = line.split(',');
        raw.timestamp.push(cells.next().context("timestamp")?.parse()?);
        let columns = [&mut raw.open, &mut raw.high, &mut raw.low, &mut raw.close, &mut raw.volume];
        for (column, cell) in columns.into_iter().zip(cells) {
            column.push(cell.parse()?);
        }
    }
    Ok(Candles::new(hourly()?, raw)?)
}

/// The candles written into a random run.
fn inline_candles(run: &Value) -> Result<Candles> {
    let mut raw = RawCandles::default();
    for (i, row) in run["ohlc"].as_array().context("ohlc")?.iter().enumerate() {
        raw.timestamp.push(1_704_067_200_000 + i as i64 * 3_600_000);
        raw.open.push(float(&row[0])?);
        raw.high.push(float(&row[1])?);
        raw.low.push(float(&row[2])?);
        raw.close.push(float(&row[3])?);
        raw.volume.push(0.0);
    }
    Ok(Candles::new(hourly()?, raw)?)
}

fn float(value: &Value) -> Result<f64> {
    match value.as_str() {
        Some("inf") => Ok(f64::INFINITY),
        Some("-inf") => Ok(f64::NEG_INFINITY),
        Some(_) => Ok(f64::NAN),
        None => value.as_f64().with_context(|| format!("`{value}` is no number")),
    }
}

fn settings(run: &Value) -> Settings {
    let given = &run["settings"];
    let or = |key: &str, default| given[key].as_f64().unwrap_or(default);
    Settings {
        initial_cash: or("initial_cash", 100.0),
        fee: or("fee", 0.0),
        fixed_fee: or("fixed_fee", 0.0),
        slippage: or("slippage", 0.0),
        stop_loss: given["stop_loss"].as_f64(),
        trailing: given["trailing"].as_bool().unwrap_or(false),
        take_profit: given["take_profit"].as_f64(),
    }
}

/// `(cs[i] - cs[i - w]) / w` of one running sum, NaN left out; from bar w-1, or w bars after a leading NaN.
fn sma(values: &[f64], window: usize) -> Vec<f64> {
    let (mut sums, mut missing) = (Vec::new(), Vec::new());
    let (mut sum, mut nans) = (0.0, 0);
    let mut out = Vec::new();
    for (i, &value) in values.iter().enumerate() {
        if value.is_nan() {
            nans += 1;
        } else {
            sum += value;
        }
        sums.push(sum);
        missing.push(nans);
        let (count, total) = match i.checked_sub(window) {
            None => (i + 1 - nans, sum),
            Some(before) => (window - (nans - missing[before]), sum - sums[before]),
        };
        out.push(if count < window { f64::NAN } else { total / count as f64 });
    }
    out
}

/// Seeded with the first value, alpha 2 / (w + 1), from bar w-1.
fn ema(values: &[f64], window: usize) -> Vec<f64> {
    let alpha = 1.0 / (1.0 + (window as f64 - 1.0) / 2.0);
    let keep = 1.0 - alpha;
    let mut average = values[0];
    let mut out = Vec::new();
    for (i, &value) in values.iter().enumerate() {
        if average != value {
            average = (keep * average + alpha * value) / (keep + alpha);
        }
        out.push(if i + 1 < window { f64::NAN } else { average });
    }
    out
}

/// Cutler's RSI: simple averages of gains and losses.
fn rsi(close: &[f64], window: usize) -> Vec<f64> {
    let changes = || std::iter::once(f64::NAN).chain(close.windows(2).map(|pair| pair[1] - pair[0]));
    let gains: Vec<f64> = changes().map(|d| if d < 0.0 { 0.0 } else { d }).collect();
    let losses: Vec<f64> = changes().map(|d| if d > 0.0 { 0.0 } else { d.abs() }).collect();
    let averages = sma(&gains, window).into_iter().zip(sma(&losses, window));
    averages.map(|(gain, loss)| 100.0 - 100.0 / (1.0 + gain / loss)).collect()
}

/// True where `a` is above `b`, was not on the bar before, and has been below since the last NaN.
fn crossed_above(a: &[f64], b: &[f64]) -> Vec<bool> {
    let (mut was_below, mut was_above) = (false, false);
    let mut out = Vec::new();
    for (x, y) in a.iter().zip(b) {
        out.push(x > y && was_below && !was_above);
        was_above = x > y;
        was_below = if x.is_nan() || y.is_nan() { false } else { was_below || x < y };
    }
    out
}

/// Enter and exit of the long side; the short side is the other way round.
fn signals(run: &Value, close: &[f64]) -> Result<(Vec<bool>, Vec<bool>)> {
    let spec = run["signals"].as_array().context("signals")?;
    let window = |i: usize| spec[i].as_u64().and_then(|w| usize::try_from(w).ok()).context("window");
    let cross = |average: fn(&[f64], usize) -> Vec<f64>| -> Result<_> {
        let (fast, slow) = (average(close, window(1)?), average(close, window(2)?));
        Ok((crossed_above(&fast, &slow), crossed_above(&slow, &fast)))
    };
    match spec[0].as_str() {
        Some("sma_cross") => cross(sma),
        Some("ema_cross") => cross(ema),
        Some("rsi") => {
            let (below, above) = (float(&spec[2])?, float(&spec[3])?);
            let rsi = rsi(close, window(1)?);
            Ok((rsi.iter().map(|r| *r < below).collect(), rsi.iter().map(|r| *r > above).collect()))
        }
        other => anyhow::bail!("unknown signal {other:?}"),
    }
}

/// FNV-1a of 64-bit words, little endian; -0 counts as 0.
fn digest(words: impl Iterator<Item = u64>) -> String {
    let hash = words.flat_map(u64::to_le_bytes).fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{hash:016x}")
}

fn bits(x: f64) -> u64 {
    (x + 0.0).to_bits()
}

/// The columns of a vectorbt trade record. An open trade is marked at the last close, without exit fee.
fn record(trade: &Trade, candles: &Candles) -> ([usize; 4], [f64; 7]) {
    let last = candles.len() - 1;
    let (exit_bar, exit_price, exit_fee) =
        trade.exit.map_or((last, candles.close()[last], 0.0), |fill| (fill.bar, fill.price, fill.fee));
    let short = usize::from(trade.direction == Direction::Short);
    (
        [trade.entry.bar, exit_bar, short, usize::from(trade.exit.is_some())],
        [
            trade.quantity,
            trade.entry.price,
            trade.entry.fee,
            exit_price,
            exit_fee,
            trade.pnl,
            trade.return_fraction,
        ],
    )
}

/// Equal to `tolerance`, relative where the number is large; NaN equals NaN, infinity itself.
fn close_to(actual: f64, expected: f64, tolerance: f64) -> bool {
    actual == expected
        || (actual.is_nan() && expected.is_nan())
        || (actual - expected).abs() <= tolerance * expected.abs().max(1.0)
}

fn check_trades(outcome: &Outcome, run: &Value, candles: &Candles) -> Result<()> {
    let columns = |trade: &Value| -> Result<([u64; 4], Vec<f64>)> {
        let int = |i: usize| trade[i].as_u64().context("index");
        let floats = (2..9).map(|i| float(&trade[i])).collect::<Result<_>>()?;
        Ok(([int(0)?, int(1)?, int(9)?, int(10)?], floats))
    };
    for (i, expected) in run["trades"].as_array().into_iter().flatten().enumerate() {
        let (indices, floats) = columns(expected)?;
        let trade = outcome.trades.get(i).with_context(|| format!("trade {i} is missing: {expected}"))?;
        let (actual_indices, actual_floats) = record(trade, candles);
        ensure!(actual_indices.map(|x| x as u64) == indices, "trade {i}: {trade:?}, expected {expected}");
        for (x, y) in actual_floats.into_iter().zip(floats) {
            // The parser of JSON may be off by the last bit; the digest is not.
            ensure!(close_to(x, y, 1e-12), "trade {i}: {x}, expected {y} in {expected}");
        }
    }
    // The entry price is compared through pnl and return: vectorbt's record holds the average `size * price / size`.
    let words = outcome.trades.iter().flat_map(|trade| {
        let ([entry, exit, short, closed], [size, _, entry_fee, price, fee, pnl, fraction]) =
            record(trade, candles);
        let floats = [size, entry_fee, price, fee, pnl, fraction].map(bits);
        [entry as u64, exit as u64].into_iter().chain(floats).chain([short as u64, closed as u64])
    });
    let actual = digest(words);
    ensure!(run["trades_digest"] == actual, "trades differ: {} of them: {actual}", outcome.trades.len());
    Ok(())
}

fn check_metrics(actual: &VectorbtMetrics, expected: &Value) -> Result<()> {
    let check = |name: &str, actual: f64, expected: &Value| -> Result<()> {
        let expected = float(expected).context(name.to_owned())?;
        ensure!(close_to(actual, expected, 1e-9), "{name}: {actual}, expected {expected}");
        Ok(())
    };
    for (name, value) in [
        ("total_return", actual.total_return),
        ("annual_return", actual.annual_return),
        ("volatility", actual.volatility),
        ("sharpe", actual.sharpe),
        ("sortino", actual.sortino),
        ("omega", actual.omega),
        ("calmar", actual.calmar),
        ("max_drawdown", actual.max_drawdown),
    ] {
        check(name, value, &expected[name])?;
    }
    let sets = [("trades", actual.trades), ("closed_trades", actual.closed_trades)];
    for (set, TradeMetrics { count, win_rate, profit_factor, expectancy, sqn }) in sets {
        let expected = &expected[set];
        ensure!(expected["count"] == count, "{set}: {count}, expected {}", expected["count"]);
        check("win_rate", win_rate, &expected["win_rate"])?;
        check("profit_factor", profit_factor, &expected["profit_factor"])?;
        check("expectancy", expectancy, &expected["expectancy"])?;
        check("sqn", sqn, &expected["sqn"])?;
    }
    Ok(())
}

fn check(candles: &Candles, signals: &Signals<'_>, run: &Value) -> Result<Outcome> {
    let settings = settings(run);
    let outcome = simulate(candles, 0..candles.len(), signals, &settings);
    check_trades(&outcome, run, candles)?;
    for sample in run["equity"].as_array().into_iter().flatten() {
        let bar = sample[0].as_u64().and_then(|bar| usize::try_from(bar).ok()).context("bar")?;
        let (actual, expected) = (outcome.equity[bar], float(&sample[1])?);
        ensure!(close_to(actual, expected, 1e-12), "equity at {bar}: {actual}, expected {expected}");
    }
    let equity = digest(outcome.equity.iter().map(|value| bits(*value)));
    ensure!(run["equity_digest"] == equity, "equity differs: {equity}");
    let metrics = metrics(&outcome, settings.initial_cash, candles.interval().bars_per_year());
    check_metrics(&metrics, &run["metrics"])?;
    Ok(outcome)
}

#[test]
fn strategies_equal_vectorbt() -> Result<()> {
    let candles = candles()?;
    let file: Value = serde_json::from_str(&fixture("parity_vectorbt.json")?)?;
    let runs = file["runs"].as_array().context("runs")?;
    assert_eq!(runs.len(), 238);
    for run in runs {
        let (enter, leave) = signals(run, candles.close())?;
        let (enter, leave) = (enter.as_slice(), leave.as_slice());
        let [long_enter, long_exit, short_enter, short_exit]: [&[bool]; 4] = match run["sides"].as_str() {
            Some("long") => [enter, leave, &[], &[]],
            Some("short") => [&[], &[], leave, enter],
            Some("both") => [enter, &[], leave, &[]],
            _ => [enter, leave, leave, enter],
        };
        let signals = Signals { long_enter, long_exit, short_enter, short_exit };
        check(&candles, &signals, run).with_context(|| run["id"].to_string())?;
    }
    Ok(())
}

#[test]
fn wild_prices_and_random_signals_equal_vectorbt() -> Result<()> {
    let file: Value = serde_json::from_str(&fixture("parity_vectorbt_random.json")?)?;
    let mut reasons = std::collections::HashSet::new();
    let (mut rejected, mut partial) = (0, 0);
    for run in file["runs"].as_array().context("runs")? {
        let candles = inline_candles(run)?;
        let side = |i: usize| -> Vec<bool> {
            run["signals"][i].as_str().unwrap_or("").chars().map(|bit| bit == '1').collect()
        };
        let (long_enter, long_exit, short_enter, short_exit) = (side(0), side(1), side(2), side(3));
        let signals = Signals {
            long_enter: &long_enter,
            long_exit: &long_exit,
            short_enter: &short_enter,
            short_exit: &short_exit,
        };
        let outcome = check(&candles, &signals, run).with_context(|| run["id"].to_string())?;
        reasons.extend(outcome.trades.iter().filter_map(|trade| trade.exit).map(|fill| fill.reason));
        rejected += outcome.rejected_orders;
        let parts = outcome.trades.windows(2).filter(|pair| pair[0].entry.bar == pair[1].entry.bar);
        partial += parts.count();
    }
    for reason in [Reason::ExitSignal, Reason::Reversal, Reason::StopLoss, Reason::TakeProfit, Reason::Trail]
    {
        assert!(reasons.contains(&reason), "no exit by {reason:?} among the random runs");
    }
    assert!(rejected > 0 && partial > 0, "{rejected} rejected orders, {partial} partial exits");
    Ok(())
}

/// The account starts with the range, and signals are indexed like the candles.
#[test]
fn a_range_is_a_run_of_its_own() -> Result<()> {
    let candles = candles()?;
    let (fast, slow) = (sma(candles.close(), 5), sma(candles.close(), 20));
    let (enter, leave) = (crossed_above(&fast, &slow), crossed_above(&slow, &fast));
    let of =
        |from: usize, to: usize| -> [Vec<bool>; 2] { [enter[from..to].to_vec(), leave[from..to].to_vec()] };
    let settings = Settings { fee: 0.001, stop_loss: Some(0.01), ..Settings::default() };
    let run = |candles: &Candles, range, [enter, leave]: &[Vec<bool>; 2]| {
        let signals = Signals { long_enter: enter, long_exit: leave, ..Signals::default() };
        simulate(candles, range, &signals, &settings)
    };
    let whole = run(&candles, 700..1500, &of(0, 2500));
    let part = run(&candles.slice(700..1500), 0..800, &of(700, 1500));
    assert_eq!((whole.first_bar, part.first_bar), (700, 0));
    assert_eq!((&whole.equity, &whole.position), (&part.equity, &part.position));
    assert!(whole.trades.len() > 10);
    for (a, b) in whole.trades.iter().zip(&part.trades) {
        assert_eq!((a.entry.bar, a.entry.timestamp, a.pnl), (b.entry.bar + 700, b.entry.timestamp, b.pnl));
    }
    let empty = run(&candles, 10..10, &of(0, 2500));
    assert!(empty.equity.is_empty() && empty.trades.is_empty());
    Ok(())
}
