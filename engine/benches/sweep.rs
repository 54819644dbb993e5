//! What a bar costs: sweeps, columns, the bar loop, metrics, and a hand-written loop to compare with.
//!
//! One thread. Throughput is in bars: of every trial (`sweep`, `trial`), or of every node (`column`), so its inverse is
//! nanoseconds a bar and trial, or a bar and node. `trial/by hand` is the least that the crossing without stops can cost
//! (crossing included): compare it with `trial/crossing` plus twice `column/crossing`.

use std::collections::BTreeMap;
use std::error::Error;
use std::time::Duration;

use blockgrid_engine::graph::{Evaluator, Graph, NodeId, Op};
use blockgrid_engine::interval::Interval;
use blockgrid_engine::sim::{Execution, Fees, FillAt, Semantics, Slippage, SymbolRules, simulate};
use blockgrid_engine::strategy::{
    Distance, Formula, Order, ParsedStrategy, Risk, Side, Size, Strategy, Trail, TrailBy, TrailUpdate,
    TrialPlan,
};
use blockgrid_engine::sweep::SymbolRun;
use blockgrid_engine::{Candles, RawCandles, metrics};
use criterion::{BatchSize, BenchmarkGroup, Criterion, SamplingMode, Throughput, measurement::WallTime};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const BARS: usize = 50_000;
const FEE: f64 = 0.001;
const CASH: f64 = 10_000.0;

/// An hourly random walk in cents.
fn candles(interval: Interval) -> Result<Candles> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut uniform = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as f64 / (1u64 << 53) as f64
    };
    let cents = |price: f64| (price * 100.0).round() / 100.0;
    let mut raw = RawCandles::default();
    let mut last = 20_000.0;
    for i in 0..BARS {
        let (open, close) = (last, cents(last * (1.0 + 0.01 * (uniform() - 0.499))));
        let top = open.max(close) * (1.0 + 0.003 * uniform());
        let bottom = open.min(close) * (1.0 - 0.003 * uniform());
        raw.timestamp.push(1_600_002_000_000 + i as i64 * interval.millis());
        raw.open.push(open);
        raw.high.push(cents(top).max(open).max(close));
        raw.low.push(cents(bottom).min(open).min(close));
        raw.close.push(close);
        raw.volume.push(cents(100.0 * uniform()));
        last = close;
    }
    Ok(Candles::new(interval, raw)?)
}

fn execution() -> Execution {
    Execution {
        semantics: Semantics::Native,
        fill: FillAt::NextOpen,
        fees: Fees { taker_bps: FEE * 1e4, maker_bps: FEE * 1e4, per_order: 0.0 },
        slippage: Slippage { bps: 2.0, range_share: 0.0 },
        initial_cash: CASH,
    }
}

/// What a strategy has besides its crossing.
#[derive(Clone, Copy, PartialEq, PartialOrd)]
enum With {
    Nothing,
    StopAndTarget,
    Trail,
}

fn strategy(with: With, exit: &str) -> Result<ParsedStrategy> {
    let formula = |text: &str| Formula(text.to_owned());
    let fraction =
        |value: f64| (with >= With::StopAndTarget).then(|| Distance::Fraction(Formula::number(value)));
    let trail = Trail {
        distance: TrailBy::Percent { percent: Formula::number(2.0) },
        update: TrailUpdate::BarClose,
        follow: false,
    };
    let strategy = Strategy {
        parameters: BTreeMap::from([("fast".to_owned(), 10.0), ("slow".to_owned(), 50.0)]),
        define: BTreeMap::new(),
        long: Some(Side {
            enter: formula("crosses_above(sma(close, fast), sma(close, slow))"),
            exit: Some(formula(exit)),
            order: Order::Market,
        }),
        short: None,
        risk: Risk {
            stop_loss: fraction(0.03),
            take_profit: fraction(0.06),
            trail: (with >= With::Trail).then_some(trail),
            ..Risk::default()
        },
        size: Size::AllIn,
        session: None,
    };
    ParsedStrategy::new(strategy).map_err(|errors| format!("{errors:?}").into())
}

const CROSSES_BELOW: &str = "crosses_below(sma(close, fast), sma(close, slow))";

fn plan(
    parsed: &ParsedStrategy,
    fast: usize,
    slow: usize,
    base: Interval,
    graph: &mut Graph,
) -> Result<TrialPlan> {
    let parameters = BTreeMap::from([("fast".to_owned(), fast as f64), ("slow".to_owned(), slow as f64)]);
    TrialPlan::compile(parsed, &parameters, base, false, graph).map_err(|errors| format!("{errors:?}").into())
}

/// 20 x 20 pairs of windows.
fn grid(with: With, base: Interval) -> Result<(Graph, Vec<TrialPlan>)> {
    let parsed = strategy(with, CROSSES_BELOW)?;
    let mut graph = Graph::new();
    let pairs = (5..25).flat_map(|fast| (30..130).step_by(5).map(move |slow| (fast, slow)));
    let plans: Result<_> = pairs.map(|(fast, slow)| plan(&parsed, fast, slow, base, &mut graph)).collect();
    Ok((graph, plans?))
}

fn sweeps(criterion: &mut Criterion, candles: &Candles) -> Result<()> {
    let base = candles.interval();
    let fresh =
        || SymbolRun::new(candles.clone(), 0..BARS, [base], None, SymbolRules::default(), execution());
    let mut group = criterion.benchmark_group("sweep");
    group.sample_size(10).sampling_mode(SamplingMode::Flat);
    let (graph, plans) = grid(With::StopAndTarget, base)?;
    group.throughput(Throughput::Elements((BARS * plans.len()) as u64));
    group.bench_function("400 trials with stop and target", |b| {
        b.iter_batched(fresh, |symbol| symbol.trials(&plans, &graph), BatchSize::PerIteration);
    });
    let roots: Vec<NodeId> = plans.iter().flat_map(TrialPlan::roots).collect();
    let columns = graph.reachable(roots.iter().copied()).len();
    group.throughput(Throughput::Elements((BARS * columns) as u64));
    group.bench_function("columns of 400 trials", |b| {
        b.iter_batched(
            || Evaluator::new(candles.clone(), 0..BARS, [base]),
            |evaluator| {
                roots.iter().for_each(|&root| {
                    evaluator.value(&graph, root);
                });
                evaluator
            },
            BatchSize::PerIteration,
        );
    });
    group.finish();
    Ok(())
}

/// Eight nodes of an expression in `w`, their inputs evaluated before.
fn column(group: &mut BenchmarkGroup<'_, WallTime>, candles: &Candles, name: &str, text: &str) -> Result<()> {
    let base = candles.interval();
    let parsed = strategy(With::Nothing, text)?;
    let mut graph = Graph::new();
    let mut roots = Vec::new();
    for fast in 10..18 {
        let plan = plan(&parsed, fast, fast + 30, base, &mut graph)?;
        roots.extend(plan.long.and_then(|side| side.exit));
    }
    // Below the comparison that makes an indicator a condition, and the choice of its output.
    let timed: Vec<NodeId> = roots
        .iter()
        .map(|&root| match graph.node(root).op {
            Op::Cross(_) => root,
            _ => graph.node(root).inputs[0],
        })
        .collect();
    let indicator = |id: NodeId| match graph.node(id).op {
        Op::Output(_) => graph.node(id).inputs[0],
        _ => id,
    };
    let inputs: Vec<NodeId> = timed.iter().flat_map(|&id| graph.node(indicator(id)).inputs.clone()).collect();
    group.throughput(Throughput::Elements((BARS * timed.len()) as u64));
    group.bench_function(name, |b| {
        b.iter_batched(
            || {
                let evaluator = Evaluator::new(candles.clone(), 0..BARS, [base]);
                inputs.iter().for_each(|&id| {
                    evaluator.value(&graph, id);
                });
                evaluator
            },
            |evaluator| {
                timed.iter().for_each(|&id| {
                    evaluator.value(&graph, id);
                });
                evaluator
            },
            BatchSize::PerIteration,
        );
    });
    Ok(())
}

fn columns(criterion: &mut Criterion, candles: &Candles) -> Result<()> {
    let mut group = criterion.benchmark_group("column");
    for (name, text) in [
        ("crossing", CROSSES_BELOW),
        ("sma", "sma(close, fast) > 0"),
        ("ema", "ema(close, fast) > 0"),
        ("rsi", "rsi(close, fast) > 0"),
        ("atr", "atr(fast) > 0"),
        ("stddev", "stddev(close, fast) > 0"),
        ("product", "(close * fast) > 0"),
    ] {
        column(&mut group, candles, name, text)?;
    }
    group.finish();
    Ok(())
}

fn trials(criterion: &mut Criterion, candles: &Candles) -> Result<()> {
    let base = candles.interval();
    let evaluator = Evaluator::new(candles.clone(), 0..BARS, [base]);
    let (execution, rules) = (execution(), SymbolRules::default());
    let mut group = criterion.benchmark_group("trial");
    group.throughput(Throughput::Elements(BARS as u64));
    let on_position = format!("{CROSSES_BELOW} || barsInPosition() >= 200");
    for (name, with, exit) in [
        ("crossing", With::Nothing, CROSSES_BELOW),
        ("stop and target", With::StopAndTarget, CROSSES_BELOW),
        ("stop, target and trail", With::Trail, CROSSES_BELOW),
        ("exit on the position", With::Nothing, on_position.as_str()),
    ] {
        // An evaluator belongs to one graph.
        let mut graph = Graph::new();
        let plan = plan(&strategy(with, exit)?, 10, 50, base, &mut graph)?;
        let evaluator = Evaluator::new(candles.clone(), 0..BARS, [base]);
        group.bench_function(name, |b| {
            b.iter(|| simulate(&plan, &graph, &evaluator, &execution, &rules, None));
        });
    }
    let mut graph = Graph::new();
    let plan = plan(&strategy(With::Nothing, CROSSES_BELOW)?, 10, 50, base, &mut graph)?;
    let averages = graph.node(plan.long.as_ref().ok_or("no long side")?.enter).inputs.clone();
    let average = |i: usize| -> Vec<f64> {
        let value = evaluator.value(&graph, averages[i]);
        (0..BARS).map(|bar| value.number(bar)).collect()
    };
    let (fast, slow) = (average(0), average(1));
    let ours = simulate(&plan, &graph, &evaluator, &execution, &rules, None);
    let slippage = execution.slippage.bps / 1e4;
    let theirs = by_hand(candles, &fast, &slow, slippage);
    if let (Some(a), Some(b)) = (ours.equity.last(), theirs.last())
        && (a / b - 1.0).abs() > 1e-9
    {
        return Err(format!("by hand the equity is {b}, ours is {a}").into());
    }
    group.bench_function("metrics", |b| b.iter(|| metrics::compute(&ours, candles, CASH)));
    group.bench_function("by hand", |b| {
        b.iter(|| by_hand(candles, &fast, &slow, slippage));
    });
    group.finish();
    Ok(())
}

/// The equity of the crossing without stops, as one would write it for this strategy alone.
fn by_hand(candles: &Candles, fast: &[f64], slow: &[f64], slippage: f64) -> Vec<f64> {
    let (open, close) = (candles.open(), candles.close());
    let (mut cash, mut units) = (CASH, 0.0);
    let (mut buy, mut sell) = (false, false);
    let mut equity = Vec::with_capacity(BARS);
    for t in 1..BARS {
        if buy {
            let price = open[t] * (1.0 + slippage);
            units = cash / (1.0 + FEE) / price;
            cash -= units * price * (1.0 + FEE);
        } else if sell {
            cash += units * open[t] * (1.0 - slippage) * (1.0 - FEE);
            units = 0.0;
        }
        let up = fast[t] > slow[t] && fast[t - 1] <= slow[t - 1];
        let down = fast[t] < slow[t] && fast[t - 1] >= slow[t - 1];
        (buy, sell) = (units == 0.0 && up, units != 0.0 && down);
        equity.push(cash + units * close[t]);
    }
    equity
}

fn main() -> Result<()> {
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_millis(1200))
        .sample_size(20)
        .without_plots()
        .configure_from_args();
    let candles = candles("1h".parse()?)?;
    // Numbers of one thread; a sweep divides them by the number of cores.
    rayon::ThreadPoolBuilder::new().num_threads(1).build_global()?;
    sweeps(&mut criterion, &candles)?;
    columns(&mut criterion, &candles)?;
    trials(&mut criterion, &candles)?;
    criterion.final_summary();
    Ok(())
}
