//! `blockgrid eval`: any expression over candles.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use blockgrid_datasets::import::{ImportOptions, read_file_with};
use blockgrid_datasets::{DatasetError, write_columns};
use blockgrid_engine::expr;
use blockgrid_engine::graph::{Compiler, Evaluator, Graph, NodeId, Op, Scope, TRUE, Type, UNKNOWN};
use blockgrid_engine::{Candles, Interval};
use blockgrid_job::FieldError;
use clap::Args;
use comfy_table::{CellAlignment, Table, TableStyle};

use crate::failure::Failure;
use crate::show;
use blockgrid_planner::candles::open_dataset;

#[derive(Args)]
pub(crate) struct EvalArgs {
    /// Candles: a file (CSV, JSON, Feather, Parquet), or a data set's name or folder.
    #[arg(long, value_name = "FILE")]
    data: String,
    /// The symbol, when the data set has several.
    #[arg(long)]
    symbol: Option<String>,
    /// Length of a candle; a file tells by itself.
    #[arg(long)]
    interval: Option<Interval>,
    /// Expressions, such as "rsi(close, 14)" or "bbands(close, 20, 2).upper".
    #[arg(required = true)]
    expressions: Vec<String>,
    /// Write all rows to a .csv or .parquet file instead of printing the last ones.
    #[arg(short, long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Rows printed.
    #[arg(long, default_value_t = 20)]
    tail: usize,
}

pub(crate) fn eval(args: &EvalArgs) -> Result<(), Failure> {
    let candles = candles(args)?;
    let (graph, columns) = compile(args, &candles)?;
    let frames: BTreeSet<Interval> = graph.nodes().iter().map(|node| node.frame).collect();
    let n = candles.len();
    let evaluator = Evaluator::new(candles, 0..n, frames);
    let values: Vec<(String, Type, Vec<f64>)> = columns
        .into_iter()
        .map(|(name, id)| {
            let value = evaluator.value(&graph, id);
            let ty = graph.node(id).ty;
            let cell = |i: usize| match ty {
                Type::Number => value.number(i),
                Type::Bool => match value.condition(i) {
                    UNKNOWN => f64::NAN,
                    condition => f64::from(condition == TRUE),
                },
            };
            (name, ty, (0..n).map(cell).collect())
        })
        .collect();
    let timestamps = evaluator.candles().timestamp();
    if let Some(out) = &args.out {
        let columns: Vec<(&str, &[f64])> =
            values.iter().map(|(name, _, v)| (name.as_str(), v.as_slice())).collect();
        write_columns(out, timestamps, &columns).map_err(|error| {
            if error.is_input_error() {
                Failure::input("cannot write the columns", "--out", error.to_string())
            } else {
                Failure::Failed(anyhow::Error::new(error).context("failed to write the columns"))
            }
        })?;
        show::print(&format!("wrote {n} rows to {}\n", out.display()));
        return Ok(());
    }
    show::print(&table(timestamps, &values, args.tail));
    Ok(())
}

fn candles(args: &EvalArgs) -> Result<Candles, Failure> {
    let path = Path::new(&args.data);
    if path.is_file() || path.extension().is_some() {
        // With every bit, and with all the columns that expressions may name.
        let options = ImportOptions {
            interval: args.interval,
            exact: true,
            all_columns: true,
            ..ImportOptions::default()
        };
        let file = read_file_with(path, &options)
            .map_err(|error| Failure::data("--data", DatasetError::from(error)))?;
        return Ok(file.candles);
    }
    let bad = |field: &str, message: String| Failure::input("cannot use the data", field, message);
    let dataset = open_dataset(&args.data, Path::new(""), "--data")?;
    let manifest = dataset.manifest();
    let mut symbols = args.interval.map(|interval| dataset.symbols(interval)).unwrap_or_default();
    if symbols.is_empty() {
        symbols = manifest.symbols(None);
    }
    let symbol = match (&args.symbol, symbols.as_slice()) {
        (Some(symbol), _) => symbol.clone(),
        (None, [one]) => one.clone(),
        (None, all) => {
            return Err(bad("--symbol", format!("is missing: the data set has {}", all.join(", "))));
        }
    };
    let interval = match (args.interval, manifest.intervals(&symbol).as_slice()) {
        (Some(interval), _) => interval,
        (None, [one]) => *one,
        (None, all) => {
            let all: Vec<_> = all.iter().map(Interval::to_string).collect();
            return Err(bad("--interval", format!("is missing: `{symbol}` has {}", all.join(", "))));
        }
    };
    let columns = dataset.columns(&symbol, interval);
    let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
    let read = dataset.read_with(&symbol, interval, None, None, &columns);
    read.map_err(|error| Failure::data("--data", error))
}

/// Compiles every expression, which may name the columns of the candles; one with several outputs gives a column each.
fn compile(args: &EvalArgs, candles: &Candles) -> Result<(Graph, Vec<(String, NodeId)>), Failure> {
    let (parameters, define) = (BTreeMap::new(), BTreeMap::new());
    let beside: Vec<String> = candles.columns().iter().map(|(name, _)| name.clone()).collect();
    let base = candles.interval();
    let scope = Scope { parameters: &parameters, define: &define, columns: &beside, base, vectorbt: false };
    let mut graph = Graph::new();
    let mut columns: Vec<(String, NodeId)> = Vec::new();
    let mut errors = Vec::new();
    for (i, text) in args.expressions.iter().enumerate() {
        let compiled =
            expr::parse(text).and_then(|expr| Compiler::new(&mut graph, scope).compile_any(text, &expr));
        match compiled {
            Ok(outputs) => {
                for (output, id) in outputs {
                    let mut name = if output.is_empty() { text.clone() } else { format!("{text}.{output}") };
                    while columns.iter().any(|(taken, _)| *taken == name) {
                        name.push('\'');
                    }
                    columns.push((name, id));
                }
            }
            Err(error) => errors.push(FieldError::new(format!("expression {}", i + 1), error.to_string())),
        }
    }
    if !errors.is_empty() {
        return Err(Failure::fields("cannot evaluate", errors));
    }
    // A constant has no column of its own: it is shown on every bar all the same.
    debug_assert!(columns.iter().all(|(_, id)| !matches!(graph.node(*id).op, Op::Position(_))));
    Ok((graph, columns))
}

fn table(timestamps: &[i64], values: &[(String, Type, Vec<f64>)], tail: usize) -> String {
    let mut table = Table::new();
    table.load_style(TableStyle::new());
    let names = values.iter().map(|(name, _, _)| name.clone());
    table.set_header(std::iter::once("timestamp".to_owned()).chain(names));
    let first = timestamps.len().saturating_sub(tail);
    for (i, &timestamp) in timestamps.iter().enumerate().skip(first) {
        let cells = values.iter().map(|(_, ty, column)| match (ty, column[i]) {
            (_, value) if value.is_nan() => "-".to_owned(),
            (Type::Bool, value) => (value == 1.0).to_string(),
            (Type::Number, value) => format!("{value}"),
        });
        table.add_row(std::iter::once(blockgrid_results::format::instant(timestamp)).chain(cells));
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    format!("{table}\n")
}
