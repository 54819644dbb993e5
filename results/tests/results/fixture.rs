//! Small tables and runs to test with.

use std::sync::Arc;

use blockgrid_engine::metrics::METRICS;
use blockgrid_engine::sim::{Direction, Fill, Outcome, Reason, Trade};
use blockgrid_engine::{Candles, Interval, RawCandles};
use blockgrid_results::table::metric_index;
use blockgrid_results::{MetricRow, TopTrial, TrialRow, TrialTable};

pub(crate) const HOUR: i64 = 3_600_000;
/// 2024-01-01T00:00:00Z.
pub(crate) const START: i64 = 1_704_067_200_000;

pub(crate) fn metrics(values: &[(&str, f64)]) -> MetricRow {
    let mut row = [f64::NAN; METRICS.len()];
    for (id, value) in values {
        row[metric_index(id).unwrap()] = *value;
    }
    row
}

/// One row a symbol and (fast, slow) pair, symbol-major; `value(symbol, trial)` gives sharpe and trades.
pub(crate) fn table(
    symbols: &[&str],
    grid: &[(f64, f64)],
    value: impl Fn(usize, usize) -> (f64, f64),
) -> TrialTable {
    let mut table = TrialTable::new(["fast", "slow"]);
    for (s, symbol) in symbols.iter().enumerate() {
        for (t, &(fast, slow)) in grid.iter().enumerate() {
            let (sharpe, trades) = value(s, t);
            table
                .push(TrialRow {
                    symbol: Arc::from(*symbol),
                    window: Arc::from(""),
                    parameters: vec![fast, slow],
                    first_bar: (t != 1).then_some(START + HOUR * i64::try_from(t).unwrap()),
                    metrics: metrics(&[
                        ("sharpe", sharpe),
                        ("trades", trades),
                        ("total_return", sharpe / 10.0),
                        ("buy_and_hold_return", 0.05),
                        ("max_drawdown", f64::NEG_INFINITY),
                    ]),
                    rejected_orders: u32::try_from(t).unwrap(),
                    deficit: 0.0,
                })
                .unwrap();
        }
    }
    table
}

pub(crate) fn same(a: &TrialTable, b: &TrialTable) -> bool {
    let bits = |rows: &[MetricRow]| -> Vec<u64> { rows.iter().flatten().map(|v| v.to_bits()).collect() };
    a.symbol == b.symbol
        && a.window == b.window
        && a.parameters == b.parameters
        && a.first_bar == b.first_bar
        && bits(&a.metrics) == bits(&b.metrics)
        && a.rejected_orders == b.rejected_orders
        && a.deficit == b.deficit
}

pub(crate) fn candles(n: usize) -> Candles {
    let close: Vec<f64> = (0..n).map(|i| 100.0 + (i as f64 * 0.7).sin() * 5.0 + i as f64 * 0.01).collect();
    let open: Vec<f64> = (0..n).map(|i| close[i.saturating_sub(1)]).collect();
    Candles::new(
        Interval::from_millis(HOUR).unwrap(),
        RawCandles {
            timestamp: (0..n).map(|i| START + HOUR * i64::try_from(i).unwrap()).collect(),
            high: open.iter().zip(&close).map(|(o, c)| o.max(*c) + 1.0).collect(),
            low: open.iter().zip(&close).map(|(o, c)| o.min(*c) - 1.0).collect(),
            volume: vec![1.0; n],
            open,
            close,
        },
    )
    .unwrap()
}

pub(crate) fn fill(bar: usize, price: f64, reason: Reason) -> Fill {
    let timestamp = START + HOUR * i64::try_from(bar).unwrap();
    Fill { bar, timestamp, raw_price: price, price, fee: 0.5, maker: false, reason }
}

/// A run that is flat but for trades of the given profits, each of ten bars; the last stays open.
pub(crate) fn top<'a>(rank: u32, candles: &'a Candles, profits: &[f64]) -> TopTrial<'a> {
    let first_bar = 5;
    let bars = candles.len() - first_bar;
    let mut equity = vec![1000.0; bars];
    let mut position = vec![0.0; bars];
    let mut trades = Vec::new();
    for (i, &pnl) in profits.iter().enumerate() {
        let (entry, exit) = (first_bar + 20 * i + 1, first_bar + 20 * i + 11);
        for (bar, held) in position.iter_mut().enumerate() {
            if (entry..exit).contains(&(bar + first_bar)) {
                *held = 1.0;
            }
        }
        equity[exit - first_bar..].iter_mut().for_each(|e| *e += pnl);
        trades.push(Trade {
            direction: if i % 2 == 0 { Direction::Long } else { Direction::Short },
            quantity: 1.0,
            entry: fill(entry, candles.open()[entry], Reason::EnterSignal),
            exit: (i + 1 < profits.len()).then(|| fill(exit, candles.open()[exit], Reason::TakeProfit)),
            pnl,
            return_fraction: pnl / 100.0,
            bars: 10,
        });
    }
    TopTrial {
        rank,
        symbol: "SYN-A".to_owned(),
        window: String::new(),
        parameters: vec![("fast".to_owned(), 5.0), ("slow".to_owned(), 50.0)],
        row: 0,
        initial_cash: 1000.0,
        outcome: Outcome { first_bar, equity, position, trades, rejected_orders: 0, deficit: 0.0 },
        candles,
    }
}
