//! What the fuzzers ask of untrusted text. The fuzz targets run it on random input, `cli/tests/fuzz_corpus.rs` on every
//! input in `fuzz/corpus`: what a fuzzer found becomes a file there and stays a test.
#![allow(dead_code, reason = "every target uses its own function")]

use std::collections::BTreeMap;

use blockgrid_datasets::import::{BadRows, ImportOptions};
use blockgrid_engine::candles::{Candles, RawCandles};
use blockgrid_engine::expr;
use blockgrid_engine::graph::{Compiler, Evaluator, Graph, NodeId, Scope, Value};
use blockgrid_engine::interval::Interval;

/// Bars that an expression is evaluated on, and the shorter prefix that must give the same values.
const BARS: usize = 72;
const PREFIX: usize = 49;

/// The largest grid that is validated here: every trial of one is compiled.
const MOST_TRIALS: u128 = 64;

/// An expression compiles or is refused; what compiles evaluates, and sees nothing of the future.
pub(crate) fn expression(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(parsed) = expr::parse(text) else { return };
    let parameters = BTreeMap::from([("fast".to_owned(), 5.0), ("slow".to_owned(), 20.0)]);
    let (define, columns) = (BTreeMap::new(), ["funding".to_owned()]);
    let base = hour();
    let scope = Scope {
        parameters: &parameters,
        define: &define,
        columns: &columns,
        base,
        vectorbt: text.len() % 2 == 1,
    };
    let mut graph = Graph::new();
    let Ok(outputs) = Compiler::new(&mut graph, scope).compile_any(text, &parsed) else { return };
    let roots: Vec<NodeId> = outputs.into_iter().map(|(_, id)| id).collect();
    for &root in &roots {
        graph.describe(root);
    }
    graph.pre_roll_ms(roots.iter().copied());
    let whole = values(&graph, &roots, BARS);
    let part = values(&graph, &roots, PREFIX);
    for (whole, part) in whole.iter().zip(&part) {
        assert_eq!(whole[..PREFIX], part[..], "`{text}` looks ahead");
    }
}

/// A manifest is read or refused; what is read writes itself so that it reads back the same.
pub(crate) fn manifest(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(spec) = blockgrid_job::read(text, &[]) else { return };
    let written = spec.manifest().to_string();
    let again = blockgrid_job::read(&written, &[]);
    assert_eq!(again.as_ref(), Ok(&spec), "{written}");
    if blockgrid_job::grid::full_size(&spec.sweep.parameters) > MOST_TRIALS {
        return;
    }
    if let Ok(job) = blockgrid_job::load(text, &[], |_| false) {
        let interval = job.spec().data.interval.unwrap_or_else(hour);
        // A file may have an interval that the strategy does not fit.
        let _ = job.survey(interval);
    }
}

/// Bytes are candles or are refused with a message; candles read back the same from a plain CSV.
pub(crate) fn candles(data: &[u8]) {
    // No error may be a disk's: everything here is in memory.
    let name = "BTCUSDT-1h-2024-01.csv";
    if let Err(error) = blockgrid_datasets::import::detect(data, name) {
        assert!(error.is_input_error(), "{error}");
    }
    let read = |bytes: &[u8], bad_rows| {
        let options = ImportOptions { bad_rows, exact: true, ..ImportOptions::default() };
        blockgrid_datasets::import::read_bytes(bytes, name, &options)
    };
    let strict = read(data, BadRows::Refuse);
    let lenient = read(data, BadRows::Drop);
    let Ok(file) = strict else { return };
    assert_eq!(
        lenient.map(|lenient| lenient.candles).ok().as_ref(),
        Some(&file.candles),
        "rows were dropped"
    );
    // Whole milliseconds are told from seconds by their size.
    let sure = 1_000_000_000_000..4_000_000_000_000;
    if file.candles.timestamp().iter().all(|at| sure.contains(at)) && file.candles.len() > 1 {
        let again = read(csv(&file.candles).as_bytes(), BadRows::Refuse);
        let again = again.unwrap_or_else(|error| panic!("what was read is refused: {error}"));
        assert_eq!(again.candles.close(), file.candles.close());
        assert_eq!(again.candles.timestamp(), file.candles.timestamp());
    }
}

fn csv(candles: &Candles) -> String {
    let columns = [candles.open(), candles.high(), candles.low(), candles.close(), candles.volume()];
    let mut text = "timestamp,open,high,low,close,volume\n".to_owned();
    for (i, at) in candles.timestamp().iter().enumerate() {
        text.push_str(&at.to_string());
        columns.iter().for_each(|column| text.push_str(&format!(",{:?}", column[i])));
        text.push('\n');
    }
    text
}

fn hour() -> Interval {
    Interval::from_millis(3_600_000).unwrap_or(Interval::DAY)
}

fn values(graph: &Graph, roots: &[NodeId], bars: usize) -> Vec<Vec<u64>> {
    let frames = graph.nodes().iter().map(|node| node.frame);
    let evaluator = Evaluator::new(market(bars), 0..bars, frames);
    let bits = |value: &Value, i: usize| match value {
        Value::Numbers(_) | Value::Number(_) => value.number(i).to_bits(),
        _ => u64::from(value.condition(i)),
    };
    let column = |&root: &NodeId| {
        let value = evaluator.value(graph, root);
        (0..bars).map(|i| bits(&value, i)).collect()
    };
    roots.iter().filter(|&&root| !graph.node(root).on_position).map(column).collect()
}

/// Hours with flat bars, a gap, a jump, bars without volume, and a column that is sometimes unknown.
fn market(bars: usize) -> Candles {
    let mut raw = RawCandles::default();
    let mut funding = Vec::new();
    let mut price = 10_000_i64;
    for i in 0..bars as i64 {
        let still = i % 11 == 5;
        let open = price;
        price +=
            if still { 0 } else { (i * i * 37 + i * 101) % 503 - 240 + if i == 30 { 90_000 } else { 0 } };
        let wick = if still { 0 } else { i * 17 % 43 };
        raw.timestamp.push((i + if i > 20 { 3 } else { 0 }) * 3_600_000);
        raw.open.push(open as f64 / 100.0);
        raw.high.push((open.max(price) + wick) as f64 / 100.0);
        raw.low.push((open.min(price) - wick) as f64 / 100.0);
        raw.close.push(price as f64 / 100.0);
        raw.volume.push(if still { 0.0 } else { (i * 7 % 91) as f64 / 8.0 });
        funding.push(if i % 8 == 0 { (i % 5) as f64 / 1e4 } else { f64::NAN });
    }
    let candles = Candles::new(hour(), raw)
        .and_then(|candles| candles.with_columns(vec![("funding".to_owned(), funding)]));
    candles.unwrap_or_else(|error| panic!("the market of the fuzzer is none: {error}"))
}
