//! Times indicators for `bench/indicators/bench.py`, which names them on standard input, a line each:
//!
//! ```text
//!  list                  every indicator:  name output... | default of each parameter (- without one)
//!  values NAME PARAM...  computes it and writes its columns to DIR/values.f64
//!  time NAME PARAM...    computes it on columns that nothing is known about yet, and forgets it
//!  again NAME PARAM...   the same, on columns whose exact sums an earlier call has made
//!  load EXPRESSION...    compiles expressions for the two commands below
//!  together              evaluates them through the graph, and forgets them
//!  family                evaluates them and writes their columns to DIR/values.f64
//! ```
//!
//! Every line is answered by one line; `DIR/candles.f64` holds open, high, low, close and volume.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, Write};
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use blockgrid_engine::exact::Sums;
use blockgrid_engine::expr;
use blockgrid_engine::graph::{Compiler, Evaluator, Graph, NodeId, Scope, Value};
use blockgrid_engine::indicators::{CandleColumns, Domain, Indicator, Over, Series, Source, all, find};
use blockgrid_engine::interval::Interval;
use blockgrid_engine::{Candles, RawCandles};

const HOUR: i64 = 3_600_000;

fn main() -> Result<()> {
    let folder = std::env::args().nth(1).context("give the folder of candles.f64")?;
    let folder = Path::new(&folder);
    let candles = candles(folder)?;
    let (mut family, kept) = (Family::default(), <[[Sums; 2]; 2]>::default());
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let mut words = line.split_whitespace();
        let answer = match (words.next(), words.collect::<Vec<_>>().as_slice()) {
            (Some("list"), _) => all().map(describe).collect::<Vec<_>>().join(";"),
            (Some("values"), [name, params @ ..]) => {
                let (indicator, params) = parse(name, params)?;
                let columns = compute(&candles, indicator, &params, &<[Sums; 2]>::default());
                write(folder, &columns.iter().map(Vec::as_slice).collect::<Vec<_>>())?;
                columns.len().to_string()
            }
            (Some("time"), [name, params @ ..]) => {
                let (indicator, params) = parse(name, params)?;
                compute(&candles, indicator, &params, &<[Sums; 2]>::default()).len().to_string()
            }
            (Some("again"), [name, params @ ..]) => {
                let (indicator, params) = parse(name, params)?;
                compute(&candles, indicator, &params, &kept[usize::from(indicator.over == Over::Pair)])
                    .len()
                    .to_string()
            }
            (Some("load"), expressions) => {
                family = Family::load(candles.interval(), expressions)?;
                family.nodes.len().to_string()
            }
            (Some("together"), _) => family.evaluate(&candles).len().to_string(),
            (Some("family"), _) => {
                let values = family.evaluate(&candles);
                let columns = values.iter().filter_map(|value| match value {
                    Value::Numbers(column) => Some(column.values.as_slice()),
                    _ => None,
                });
                write(folder, &columns.collect::<Vec<_>>())?;
                values.len().to_string()
            }
            _ => bail!("`{line}` is no command"),
        };
        println!("{answer}");
        std::io::stdout().flush()?;
    }
    Ok(())
}

fn candles(folder: &Path) -> Result<Candles> {
    let bytes = fs::read(folder.join("candles.f64"))?;
    let values: Vec<f64> = bytes.as_chunks::<8>().0.iter().map(|bytes| f64::from_le_bytes(*bytes)).collect();
    let bars = values.len() / 5;
    let column = |k: usize| values[k * bars..(k + 1) * bars].to_vec();
    let raw = RawCandles {
        timestamp: (0..bars as i64).map(|i| i * HOUR).collect(),
        open: column(0),
        high: column(1),
        low: column(2),
        close: column(3),
        volume: column(4),
    };
    Ok(Candles::new(Interval::from_millis(HOUR).context("an hour is an interval")?, raw)?)
}

fn describe(indicator: &Indicator) -> String {
    let defaults = indicator.params.iter().map(|p| match (p.domain, p.default) {
        (Domain::Choice(words), Some(at)) => words[at as usize].to_owned(),
        (_, default) => default.map_or("-".to_owned(), |value| value.to_string()),
    });
    let defaults: Vec<String> = defaults.collect();
    format!("{} {} | {}", indicator.name, indicator.outputs.join(" "), defaults.join(" "))
}

fn parse(name: &str, params: &[&str]) -> Result<(&'static Indicator, Vec<f64>)> {
    let indicator = find(name).with_context(|| format!("`{name}` is no indicator"))?;
    ensure!(params.len() == indicator.params.len(), "{name} takes {} parameters", indicator.params.len());
    let value = |(text, param): (&&str, &_)| number(text, param);
    let params: Result<_> = params.iter().zip(indicator.params).map(value).collect();
    Ok((indicator, params?))
}

fn number(text: &str, param: &blockgrid_engine::indicators::Param) -> Result<f64> {
    if let Domain::Choice(words) = param.domain {
        let at = words.iter().position(|word| *word == text);
        return Ok(at.with_context(|| format!("`{text}` is none of {words:?}"))? as f64);
    }
    Ok(text.parse()?)
}

fn compute(candles: &Candles, indicator: &Indicator, params: &[f64], sums: &[Sums; 2]) -> Vec<Vec<f64>> {
    let series = match indicator.over {
        Over::Pair => [candles.high(), candles.low()],
        _ => [candles.close(); 2],
    };
    let source = Source {
        series: Series { values: series[0], sums: &sums[0] },
        other: Series { values: series[1], sums: &sums[1] },
        candles: CandleColumns {
            timestamp: candles.timestamp(),
            open: candles.open(),
            high: candles.high(),
            low: candles.low(),
            close: candles.close(),
            volume: candles.volume(),
        },
        anchor: 0,
        interval: candles.interval(),
    };
    (indicator.compute)(&source, params)
}

/// Expressions of one graph.
#[derive(Default)]
struct Family {
    graph: Graph,
    nodes: Vec<NodeId>,
}

impl Family {
    fn load(base: Interval, expressions: &[&str]) -> Result<Self> {
        let (parameters, define) = (BTreeMap::new(), BTreeMap::new());
        let scope = Scope { parameters: &parameters, define: &define, columns: &[], base, vectorbt: false };
        let mut family = Self::default();
        for text in expressions {
            let mut compiler = Compiler::new(&mut family.graph, scope);
            let outputs = expr::parse(text).and_then(|expr| compiler.compile_any(text, &expr));
            let outputs = outputs.map_err(|error| anyhow::anyhow!("{error}"))?;
            family.nodes.extend(outputs.into_iter().map(|(_, id)| id));
        }
        Ok(family)
    }

    fn evaluate(&self, candles: &Candles) -> Vec<Value> {
        let evaluator = Evaluator::new(candles.clone(), 0..candles.len(), [candles.interval()]);
        self.nodes.iter().map(|&id| evaluator.value(&self.graph, id)).collect()
    }
}

fn write(folder: &Path, columns: &[&[f64]]) -> Result<()> {
    let mut file = std::io::BufWriter::new(fs::File::create(folder.join("values.f64"))?);
    for column in columns {
        let bytes: Vec<u8> = column.iter().flat_map(|value| value.to_le_bytes()).collect();
        file.write_all(&bytes)?;
    }
    Ok(file.flush()?)
}
