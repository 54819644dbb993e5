//! Writes a report about made-up candles: `cargo run -p blockgrid-results --example report_demo -- out.html [kind]`.
//!
//! Kinds: `grid` (two symbols, three parameters), `line` (one parameter), `single` (no sweep, shorts) and `minute` (half
//! a million bars, thinned in the report). The little simulator here only makes plausible numbers; it is not the engine.
#![expect(clippy::unwrap_used, reason = "an example")]

use std::sync::Arc;

use blockgrid_engine::metrics::METRICS;
use blockgrid_engine::sim::{Direction, Fill, Outcome, Reason, Trade};
use blockgrid_engine::{Candles, Interval, RawCandles};
use blockgrid_results::leaderboard::{leaderboard_text, median_text};
use blockgrid_results::report::{CandlesUsed, ReportData, html};
use blockgrid_results::table::metric_index;
use blockgrid_results::{MetricRow, Objective, TopTrial, TrialRow, TrialTable, rank, rank_by_median};

const START: i64 = 1_688_169_600_000; // 2023-07-01
const CASH: f64 = 10_000.0;
const FEE: f64 = 0.001;

struct Random(u64);

impl Random {
    fn next(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }

    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.next()).sum::<f64>() - 6.0
    }
}

fn walk(seed: u64, step: i64, n: usize, sigma: f64) -> Candles {
    let mut random = Random(seed);
    let mut raw = RawCandles::default();
    let (mut price, mut drift) = (30_000.0_f64, 0.0);
    for i in 0..n {
        drift = drift * 0.995 + random.normal() * sigma * 0.003;
        let open = price;
        let mut extremes = (price, price);
        for _ in 0..4 {
            price *= ((random.normal() * sigma + drift) / 2.0).exp();
            extremes = (extremes.0.min(price), extremes.1.max(price));
        }
        raw.timestamp.push(START + step * i64::try_from(i).unwrap());
        raw.open.push(open);
        raw.high.push(extremes.1);
        raw.low.push(extremes.0);
        raw.close.push(price);
        raw.volume.push(random.next() * 10.0);
    }
    Candles::new(Interval::from_millis(step).unwrap(), raw).unwrap()
}

fn average(close: &[f64], n: usize) -> Vec<f64> {
    let mut sum = 0.0;
    (0..close.len())
        .map(|i| {
            sum += close[i] - if i >= n { close[i - n] } else { 0.0 };
            if i + 1 < n { f64::NAN } else { sum / n as f64 }
        })
        .collect()
}

fn simulate(candles: &Candles, fast: usize, slow: usize, stop: f64, shorts: bool) -> Outcome {
    let (open, low, high, close) = (candles.open(), candles.low(), candles.high(), candles.close());
    let (quick, calm) = (average(close, fast), average(close, slow));
    let first_bar = 400.min(close.len());
    let mut out = Outcome { first_bar, ..Outcome::default() };
    let mut cash = CASH;
    let mut held: Option<Trade> = None;
    let mut signal = 0;
    for i in first_bar..close.len() {
        let fill = |price: f64, quantity: f64, reason, maker| Fill {
            bar: i,
            timestamp: candles.timestamp()[i],
            raw_price: price,
            price,
            fee: price * quantity * FEE,
            maker,
            reason,
        };
        let mut exit = None;
        if let Some(trade) = &held {
            let sign = trade.direction.sign();
            let level = trade.entry.price * (1.0 - sign * stop);
            let leaves = (sign > 0.0 && signal < 0) || (sign < 0.0 && signal > 0);
            if leaves {
                exit = Some((open[i], Reason::ExitSignal));
            } else if (sign > 0.0 && low[i] <= level) || (sign < 0.0 && high[i] >= level) {
                exit = Some((
                    if sign > 0.0 { level.min(open[i]) } else { level.max(open[i]) },
                    Reason::StopLoss,
                ));
            }
        }
        if let (Some((price, reason)), Some(mut trade)) = (exit, held) {
            let last = fill(price, trade.quantity, reason, reason == Reason::TakeProfit);
            let sign = trade.direction.sign();
            trade.pnl = sign * trade.quantity * (price - trade.entry.price) - trade.entry.fee - last.fee;
            trade.return_fraction = trade.pnl / (trade.quantity * trade.entry.price);
            trade.bars = i - trade.entry.bar;
            trade.exit = Some(last);
            cash += trade.pnl;
            out.trades.push(trade);
            held = None;
        }
        if held.is_none() && (signal > 0 || (shorts && signal < 0)) && exit.is_none() {
            let quantity = cash * 0.995 / open[i];
            held = Some(Trade {
                direction: if signal > 0 { Direction::Long } else { Direction::Short },
                quantity,
                entry: fill(open[i], quantity, Reason::EnterSignal, false),
                exit: None,
                pnl: 0.0,
                return_fraction: 0.0,
                bars: 0,
            });
        }
        let open_profit = held.as_ref().map_or(0.0, |trade| {
            trade.direction.sign() * trade.quantity * (close[i] - trade.entry.price) - trade.entry.fee
        });
        out.equity.push(cash + open_profit);
        out.position.push(held.as_ref().map_or(0.0, |trade| trade.direction.sign() * trade.quantity));
        let crossed =
            |above: bool| i > 0 && (quick[i] > calm[i]) == above && (quick[i - 1] > calm[i - 1]) != above;
        signal = i32::from(crossed(true)) - i32::from(crossed(false));
    }
    if let Some(mut trade) = held {
        trade.pnl = out.equity.last().unwrap() - cash;
        trade.return_fraction = trade.pnl / (trade.quantity * trade.entry.price);
        trade.bars = close.len() - 1 - trade.entry.bar;
        out.trades.push(trade);
    }
    out
}

fn metrics(candles: &Candles, outcome: &Outcome) -> MetricRow {
    let returns: Vec<f64> = outcome.equity.windows(2).map(|pair| pair[1] / pair[0] - 1.0).collect();
    let n = returns.len() as f64;
    let mean = returns.iter().sum::<f64>() / n;
    let deviation = (returns.iter().map(|r| (r - mean).powi(2)).sum::<f64>() / (n - 1.0)).sqrt();
    let year = candles.interval().bars_per_year();
    let (mut peak, mut drawdown) = (CASH, 0.0_f64);
    for &equity in &outcome.equity {
        peak = peak.max(equity);
        drawdown = drawdown.min(equity / peak - 1.0);
    }
    let total = outcome.equity.last().unwrap() / CASH - 1.0;
    let cagr = (1.0 + total).powf(year / n) - 1.0;
    let closed: Vec<&Trade> = outcome.trades.iter().filter(|trade| trade.exit.is_some()).collect();
    let won: f64 = closed.iter().map(|trade| trade.pnl.max(0.0)).sum();
    let lost: f64 = closed.iter().map(|trade| trade.pnl.min(0.0)).sum();
    let fees: f64 = outcome.trades.iter().map(|t| t.entry.fee + t.exit.map_or(0.0, |e| e.fee)).sum();
    let close = candles.close();
    let held = outcome.position.iter().filter(|held| **held != 0.0).count() as f64;
    let mut row = [f64::NAN; METRICS.len()];
    for (id, value) in [
        ("total_return", total),
        ("cagr", cagr),
        ("sharpe", mean / deviation * year.sqrt()),
        ("max_drawdown", drawdown),
        ("calmar", cagr / -drawdown),
        ("trades", outcome.trades.len() as f64),
        ("win_rate", closed.iter().filter(|trade| trade.pnl > 0.0).count() as f64 / closed.len() as f64),
        ("profit_factor", won / -lost),
        ("exposure", held / outcome.equity.len() as f64),
        ("fees_paid", fees),
        ("buy_and_hold_return", close[close.len() - 1] / close[outcome.first_bar] - 1.0),
    ] {
        row[metric_index(id).unwrap()] = value;
    }
    row
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().unwrap_or_else(|| "report.html".to_owned());
    let kind = arguments.next().unwrap_or_else(|| "grid".to_owned());
    let hour = 3_600_000;
    let (symbols, names, shorts): (Vec<(&str, Candles)>, Vec<&str>, bool) = match kind.as_str() {
        "line" => (
            vec![("SYN-A", walk(77, hour, 9_000, 0.004)), ("SYN-B", walk(42, hour, 9_000, 0.005))],
            vec!["fast"],
            false,
        ),
        "single" => (vec![("SYN-A", walk(77, hour, 3_000, 0.004))], vec![], true),
        "minute" => (vec![("SYN-A", walk(77, 60_000, 525_600, 0.0006))], vec!["fast", "slow"], true),
        _ => (
            vec![("SYN-A", walk(77, hour, 15_000, 0.004)), ("SYN-B", walk(4242, hour, 15_000, 0.003))],
            vec!["fast", "slow", "stop"],
            false,
        ),
    };
    let few = kind == "minute";
    let range = |name: &str, all: Vec<f64>, one: f64| if names.contains(&name) { all } else { vec![one] };
    let mut grid: Vec<[f64; 3]> = Vec::new();
    for fast in range("fast", (1..=if few { 5 } else { 20 }).map(|i| f64::from(i) * 5.0).collect(), 20.0) {
        for slow in
            range("slow", (1..=if few { 5 } else { 20 }).map(|i| f64::from(i) * 20.0).collect(), 240.0)
        {
            for stop in range("stop", vec![0.01, 0.02, 0.03], 0.03) {
                if fast < slow {
                    grid.push([fast, slow, stop]);
                }
            }
        }
    }
    let mut table = TrialTable::new(names.iter().copied());
    let run = |candles: &Candles, p: [f64; 3]| simulate(candles, p[0] as usize, p[1] as usize, p[2], shorts);
    for (symbol, candles) in &symbols {
        let symbol: Arc<str> = Arc::from(*symbol);
        for p in &grid {
            let outcome = run(candles, *p);
            table
                .push(TrialRow {
                    symbol: symbol.clone(),
                    window: Arc::from(""),
                    parameters: p[..names.len()].to_vec(),
                    first_bar: Some(candles.timestamp()[outcome.first_bar]),
                    metrics: metrics(candles, &outcome),
                    rejected_orders: 0,
                    deficit: 0.0,
                })
                .unwrap();
        }
    }
    let objective = Objective::new("sharpe", None, Some(10)).unwrap();
    let ranked = rank(&table, &objective);
    let top: Vec<TopTrial<'_>> = ranked
        .iter()
        .take(5)
        .zip(1u32..)
        .map(|(&row, rank)| {
            let candles = &symbols[row / grid.len()].1;
            TopTrial {
                rank,
                symbol: table.symbol[row].to_string(),
                window: String::new(),
                parameters: table.parameters_of(row),
                row,
                initial_cash: CASH,
                outcome: run(candles, grid[row % grid.len()]),
                candles,
            }
        })
        .collect();
    print!(
        "{}\n\n{}\n",
        leaderboard_text(&table, &objective, &ranked, 10, 120),
        median_text(&rank_by_median(&table, &objective), &objective, 5, 120)
    );
    let manifest = "apiVersion: grid.blockbuilders.app/v1alpha1\nkind: BacktestJob\nmetadata:\n  name: sma-crossover\nspec:\n  strategy:\n    long:\n      enter: crosses_above(fastMa, slowMa) && close > trend  # <b>not bold</b>\n";
    let page = html(&ReportData {
        title: "sma-crossover".to_owned(),
        synthetic: true,
        manifest: manifest.to_owned(),
        digests: vec![
            ("data".to_owned(), format!("sha256:{}", "0f3a9c".repeat(10))),
            ("job".to_owned(), format!("sha256:{}", "b71e42".repeat(10))),
        ],
        candles: vec![CandlesUsed {
            symbol: "SYN-A".to_owned(),
            candles: 15_000,
            missing: 3,
            filled: 2,
            left_out: 0,
            findings: vec![(
                false,
                "2 x gap (5 candles), worst 2024-01-05T04:01:00Z: 4 candles missing".to_owned(),
            )],
        }],
        engine_version: "0.1.0".to_owned(),
        range: (Some(START), Some(START + 15_000 * hour)),
        table: &table,
        objective,
        ranked: &ranked,
        top: &top,
        warnings: vec!["SYN-B: 3 candles have no volume.".to_owned()],
    });
    println!("{} bytes", page.len());
    std::fs::write(path, page).unwrap();
}
