//! What the parity tests of strategy documents share: the fixtures, their candles and the parts of a document.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use blockgrid_engine::strategy::{Formula, Order, ParsedStrategy, Risk, Side, Size, Strategy};
use blockgrid_engine::{Candles, RawCandles};
use serde_json::Value;

fn text(name: &str) -> Result<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name);
    std::fs::read_to_string(&path).with_context(|| path.display().to_string())
}

/// The runs of a fixture.
pub(crate) fn runs(name: &str) -> Result<Vec<Value>> {
    let mut file: Value = serde_json::from_str(&text(name)?)?;
    serde_json::from_value(file["runs"].take()).context("runs")
}

/// `parity_candles.csv`: 2500 hours.
pub(crate) fn candles() -> Result<Candles> {
    let mut raw = RawCandles::default();
    for line in text("parity_candles.csv")?.lines().skip(1) {
        let mut cells = line.split(',');
        raw.timestamp.push(cells.next().context("timestamp")?.parse()?);
        let columns = [&mut raw.open, &mut raw.high, &mut raw.low, &mut raw.close, &mut raw.volume];
        for (column, cell) in columns.into_iter().zip(cells) {
            column.push(cell.parse()?);
        }
    }
    Ok(Candles::new("1h".parse()?, raw)?)
}

pub(crate) fn index(value: &Value) -> Result<usize> {
    let index = value.as_u64().and_then(|index| usize::try_from(index).ok());
    index.with_context(|| format!("`{value}` is no index"))
}

pub(crate) fn number(value: &Value) -> Result<f64> {
    value.as_f64().with_context(|| format!("`{value}` is no number"))
}

/// A fraction in basis points, as a manifest has it: the division by 10,000 must give the fraction back.
pub(crate) fn bps(fraction: f64) -> Result<f64> {
    let bps = (fraction * 10_000.0).round();
    ensure!(bps / 10_000.0 == fraction, "{fraction} is no whole number of basis points");
    Ok(bps)
}

/// Equal to `tolerance`, relative where the number is large.
pub(crate) fn ensure_close(what: &str, actual: f64, expected: f64, tolerance: f64) -> Result<()> {
    let close = (actual - expected).abs() <= tolerance * expected.abs().max(1.0);
    ensure!(actual == expected || close, "{what}: {actual}, expected {expected}");
    Ok(())
}

/// A side that trades at market.
pub(crate) fn side(enter: &str, exit: Option<&str>) -> Side {
    let formula = |text: &str| Formula(text.to_owned());
    Side { enter: formula(enter), exit: exit.map(formula), order: Order::Market }
}

/// A document of the given sides, all in; `define` are its named blocks.
pub(crate) fn document(
    parameters: &BTreeMap<String, f64>,
    define: &[(&str, String)],
    [long, short]: [Option<Side>; 2],
    risk: Risk,
) -> Result<ParsedStrategy> {
    let strategy = Strategy {
        parameters: parameters.clone(),
        define: define.iter().map(|(name, text)| ((*name).to_owned(), Formula(text.clone()))).collect(),
        long,
        short,
        risk,
        size: Size::AllIn,
        session: None,
    };
    ParsedStrategy::new(strategy).map_err(|errors| anyhow::anyhow!("{errors:?}"))
}
