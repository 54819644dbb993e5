//! Lazy equals whole: an indicator evaluated for a run in the middle of the candles, over the history that its graph asks
//! for and no more, gives what computing it over all of them gives.

use std::collections::BTreeMap;

use blockgrid_engine::exact::Sums;
use blockgrid_engine::expr::parse;
use blockgrid_engine::graph::{Compiler, Evaluator, Graph, NodeId, Scope};
use blockgrid_engine::indicators::{
    CandleColumns, Domain, Indicator, Memory, Over, Param, Series, Source, all, find,
};
use blockgrid_engine::{Candles, Interval, RawCandles};

const HOUR: i64 = 3_600_000;
const BARS: usize = 14_000;
const RUNS: [usize; 2] = [12_500, 13_113];
const RUN_BARS: usize = 200;

/// A moment within the candles, before the runs.
const MOMENT: (&str, f64) = ("2024-06-01", 1_717_200_000_000.0);

/// Stops that follow their path: where two histories meet is up to the prices. `indicators_contract.rs` counts how often
/// they have not.
const PATH_DEPENDENT: [&str; 3] = ["sar", "sarext", "supertrend"];

fn hour() -> Interval {
    Interval::from_millis(HOUR).expect("an hour is an interval")
}

/// A random walk in cents, from November 2023.
fn candles() -> Candles {
    let mut state = 0x2545_F491_4F6C_DD1D_u64;
    let mut below = move |bound: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        ((state >> 11) % bound) as i64
    };
    let mut raw = RawCandles::default();
    let mut price = 50_000_i64;
    for i in 0..BARS as i64 {
        let open = price;
        price = (price + below(301) - 150).max(5_000);
        raw.timestamp.push(1_700_000_000_000 / HOUR * HOUR + i * HOUR);
        raw.open.push(open as f64 / 100.0);
        raw.high.push((open.max(price) + below(80)) as f64 / 100.0);
        raw.low.push((open.min(price) - below(80)) as f64 / 100.0);
        raw.close.push(price as f64 / 100.0);
        raw.volume.push(below(100_000) as f64 / 100.0);
    }
    Candles::new(hour(), raw).expect("candles")
}

/// A value of a parameter and how it is written; `nth` of several, the first is the default if there is one.
fn argument(param: &Param, place: usize, nth: usize) -> (f64, String) {
    let share = (nth % 5) as f64 / 5.0;
    let value = match (param.domain, param.default) {
        (Domain::Choice(words), _) => {
            let word = (nth + param.default.unwrap_or(0.0) as usize) % words.len();
            return (word as f64, format!("\"{}\"", words[word]));
        }
        (Domain::Instant, _) => return (MOMENT.1, format!("\"{}\"", MOMENT.0)),
        (_, Some(default)) if nth == 0 => default,
        (Domain::Window(least), _) => (least + 2 + 5 * (nth % 4) + 3 * place) as f64,
        (Domain::Above(bound), _) => bound + 0.5 + share,
        (Domain::From(least), _) => least + share,
        (Domain::Between(least, most), _) => least + (most - least) * (0.1 + 0.8 * share),
    };
    (value, value.to_string())
}

/// Sets of arguments: each word of each choice stands in one.
fn arguments(indicator: &Indicator) -> Vec<Vec<(f64, String)>> {
    let words = indicator.params.iter().map(|param| match param.domain {
        Domain::Choice(words) => words.len(),
        _ => 3,
    });
    let set = |nth| {
        let params = indicator.params.iter().enumerate();
        params.map(|(place, param)| argument(param, place, nth)).collect()
    };
    (0..words.max().unwrap_or(1)).map(set).collect()
}

/// The indicator over these columns, as one would write it.
fn text(indicator: &Indicator, columns: [&str; 2], arguments: &[(f64, String)]) -> String {
    let series = match indicator.over {
        Over::Candle => &[][..],
        Over::Series => &columns[..1],
        Over::Pair => &columns[..],
    };
    let written = series.iter().copied().chain(arguments.iter().map(|(_, text)| text.as_str()));
    format!("{}({})", indicator.name, written.collect::<Vec<_>>().join(", "))
}

/// The outputs of an expression for the bars from `from` on, over the history that it asks for.
fn lazy(candles: &Candles, text: &str, from: usize) -> Vec<Vec<f64>> {
    let (parameters, define) = (BTreeMap::new(), BTreeMap::new());
    let scope =
        Scope { parameters: &parameters, define: &define, columns: &[], base: hour(), vectorbt: false };
    let mut graph = Graph::new();
    let expr = parse(text).expect("an expression");
    let outputs = Compiler::new(&mut graph, scope).compile_any(text, &expr).expect("a valid expression");
    let roots: Vec<NodeId> = outputs.into_iter().map(|(_, node)| node).collect();
    let pre_roll = usize::try_from(graph.pre_roll_ms(roots.iter().copied()) / HOUR).expect("a count");
    // More than there is: all of it, of an indicator that counts from where the candles begin.
    assert!(from > pre_roll || pre_roll > BARS, "{text} asks for {pre_roll} bars: more candles, to test it");
    let start = from.saturating_sub(pre_roll);
    let seen = candles.slice(start..from + RUN_BARS);
    let evaluator = Evaluator::new(seen, from - start..from - start + RUN_BARS, [hour()]);
    let column = |root: &NodeId| {
        let value = evaluator.value(&graph, *root);
        (from - start..from - start + RUN_BARS).map(|i| value.number(i)).collect()
    };
    roots.iter().map(column).collect()
}

/// The outputs of all candles from `first` on, where the series are known.
fn whole(
    candles: &Candles,
    indicator: &Indicator,
    params: &[f64],
    series: [&[f64]; 2],
    first: usize,
    anchor: usize,
) -> Vec<Vec<f64>> {
    let sums = [Sums::default(), Sums::default()];
    let source = Source {
        series: Series { values: &series[0][first..], sums: &sums[0] },
        other: Series { values: &series[1][first..], sums: &sums[1] },
        candles: CandleColumns {
            timestamp: &candles.timestamp()[first..],
            open: &candles.open()[first..],
            high: &candles.high()[first..],
            low: &candles.low()[first..],
            close: &candles.close()[first..],
            volume: &candles.volume()[first..],
        },
        anchor: anchor - first,
        interval: hour(),
    };
    (indicator.compute)(&source, params)
}

/// How far the columns are apart, as a share of the largest value: 0 if their bits are the same, infinite if there is
/// nothing to compare.
fn apart(lazy: &[f64], whole: &[f64]) -> f64 {
    if whole.iter().all(|value| value.is_nan()) {
        return f64::INFINITY;
    }
    let largest = whole.iter().fold(0.0_f64, |largest, value| largest.max(value.abs()));
    let share = |(lazy, whole): (&f64, &f64)| {
        if lazy.to_bits() == whole.to_bits() || lazy.is_nan() && whole.is_nan() {
            0.0
        } else {
            let share = (lazy - whole).abs() / largest;
            if share.is_nan() { f64::INFINITY } else { share.max(f64::MIN_POSITIVE) }
        }
    };
    lazy.iter().zip(whole).map(share).fold(0.0, f64::max)
}

fn indicators() -> impl Iterator<Item = &'static Indicator> {
    all().filter(|indicator| !PATH_DEPENDENT.contains(&indicator.name))
}

#[test]
fn a_run_in_the_middle_has_the_values_of_the_whole() {
    let candles = candles();
    let mut errors = Vec::new();
    for indicator in indicators() {
        for arguments in arguments(indicator) {
            let params: Vec<f64> = arguments.iter().map(|(value, _)| *value).collect();
            let text = text(indicator, ["close", "volume"], &arguments);
            let finite = (indicator.memory)(&params, hour()) == Memory::Finite;
            for from in RUNS {
                let lazy = lazy(&candles, &text, from);
                let series = [candles.close(), candles.volume()];
                let whole = whole(&candles, indicator, &params, series, 0, from);
                for ((lazy, whole), output) in lazy.iter().zip(&whole).zip(indicator.outputs) {
                    let whole = &whole[from..from + RUN_BARS];
                    // DeMark's method has one level on each side: the others are never known.
                    if text.contains("demark") && lazy.iter().chain(whole).all(|value| value.is_nan()) {
                        continue;
                    }
                    let apart = apart(lazy, whole);
                    if apart > if finite { 0.0 } else { 1e-8 } {
                        errors.push(format!("{text}.{output} from {from}: {apart:e}"));
                    }
                }
            }
        }
    }
    assert!(errors.is_empty(), "{}", errors.join("\n"));
}

#[test]
fn a_run_over_a_recursive_series_has_the_values_of_the_whole() {
    let candles = candles();
    let ema = find("ema").expect("ema");
    let first = (ema.lookback)(&[7.0]);
    let mut errors = Vec::new();
    let column = |values| whole(&candles, ema, &[7.0], [values; 2], 0, 0).swap_remove(0);
    let series = [column(candles.close()), column(candles.volume())];
    for indicator in indicators().filter(|indicator| indicator.over != Over::Candle) {
        for arguments in arguments(indicator) {
            let params: Vec<f64> = arguments.iter().map(|(value, _)| *value).collect();
            let text = text(indicator, ["ema(close, 7)", "ema(volume, 7)"], &arguments);
            let from = RUNS[0];
            let lazy = lazy(&candles, &text, from);
            let whole = whole(&candles, indicator, &params, [&series[0], &series[1]], first, from);
            for ((lazy, whole), output) in lazy.iter().zip(&whole).zip(indicator.outputs) {
                let apart = apart(lazy, &whole[from - first..from - first + RUN_BARS]);
                if apart > 1e-8 {
                    errors.push(format!("{text}.{output}: {apart:e}"));
                }
            }
        }
    }
    assert!(errors.is_empty(), "{}", errors.join("\n"));
}
