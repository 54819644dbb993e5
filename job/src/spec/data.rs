//! `spec.data`: what a job runs on.

use blockgrid_engine::Interval;
use blockgrid_engine::interval::instant_ms;
use blockgrid_engine::sim::SymbolRules;
use serde::Serialize;

use crate::decode::{Field, Object};

/// Where the candles are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum DataSource {
    /// A registered data set (`sample`), or the location of one: a folder, `file://` or `s3://`.
    Dataset(String),
    /// A single CSV or Parquet file.
    File(String),
}

/// A symbol and the rules of its orders.
#[derive(Debug, Clone, PartialEq)]
pub struct SymbolSpec {
    /// Name, as in the data set.
    pub name: String,
    /// Lot, tick and minimum notional.
    pub rules: SymbolRules,
}

/// What happens to candles with violations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Quality {
    /// They are refused.
    #[default]
    Strict,
    /// The job runs and says what it ran on; rows that are no candles are left out.
    Warn,
}

/// Gaps that are filled before the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Fill {
    /// How.
    pub gaps: FillGaps,
    /// The longest gap that is filled, in candles; longer ones stay as they are.
    pub max_bars: usize,
}

/// How gaps are filled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum FillGaps {
    /// With the close before the gap and no volume.
    Forward,
}

/// The longest gap that may be filled, in candles: a week of minutes. A longer one is no gap but the lack of data.
pub(crate) const MAX_FILL: f64 = 10_080.0;

impl Default for DataSource {
    fn default() -> Self {
        Self::Dataset("sample".to_owned())
    }
}

/// What a job runs on.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct DataSpec {
    /// Where the candles are.
    #[serde(flatten)]
    pub source: DataSource,
    /// Symbols, in the order of the results; empty for all that the source has.
    #[serde(skip_serializing_if = "Vec::is_empty", serialize_with = "names_or_rules")]
    pub symbols: Vec<SymbolSpec>,
    /// Length of a candle; `None` lets a file tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval: Option<Interval>,
    /// First open that is traded, UTC milliseconds, inclusive.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "instant")]
    pub from: Option<i64>,
    /// End of what is traded, UTC milliseconds, exclusive.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "instant")]
    pub to: Option<i64>,
    /// What happens to candles with violations.
    pub quality: Quality,
    /// Which gaps are filled; `None` leaves all as they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fill: Option<Fill>,
    /// Columns beside OHLCV that expressions may name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<String>,
}

/// A list of names, or an object of rules when there are any.
fn names_or_rules<S: serde::Serializer>(symbols: &[SymbolSpec], serializer: S) -> Result<S::Ok, S::Error> {
    if symbols.iter().all(|symbol| symbol.rules == SymbolRules::default()) {
        serializer.collect_seq(symbols.iter().map(|symbol| &symbol.name))
    } else {
        serializer.collect_map(symbols.iter().map(|symbol| (&symbol.name, &symbol.rules)))
    }
}

fn instant<S: serde::Serializer>(ms: &Option<i64>, serializer: S) -> Result<S::Ok, S::Error> {
    match ms.and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok()) {
        Some(at) => serializer.serialize_str(&at.to_string()),
        None => serializer.serialize_none(),
    }
}

pub(super) fn decode(field: &Field<'_>) -> Option<DataSpec> {
    let object = field.object()?;
    let dataset = object.get("dataset").map(|f| (f.text(), f));
    let file = object.get("file").map(|f| (f.text(), f));
    let source = match (dataset, file) {
        (Some((name, f)), None) => name.filter(|name| not_empty(name, &f)).map(DataSource::Dataset),
        (None, Some((path, f))) => path.filter(|path| not_empty(path, &f)).map(DataSource::File),
        (Some(_), Some((_, f))) => {
            f.errors.push(&f.path, "stands beside `dataset`: give one of them");
            None
        }
        (None, None) => {
            object.errors.push(&object.path, "names no candles: give `dataset` (such as sample) or `file`");
            None
        }
    };
    let interval = object.get("interval").and_then(|f| {
        let Some(text) = f.value.as_str() else {
            f.wanted("the length of a candle, such as 1h");
            return None;
        };
        text.parse::<Interval>().map_err(|error| f.errors.push(&f.path, error.to_string())).ok()
    });
    if let Some(DataSource::Dataset(_)) = &source
        && object.map.get("interval").is_none_or(serde_json::Value::is_null)
    {
        object.errors.push(object.path_of("interval"), "is missing: name the candles' length, such as 1h");
    }
    let symbols = object.get("symbols").and_then(|f| symbols(&f)).unwrap_or_default();
    let (from, to) = (time(&object, "from"), time(&object, "to"));
    if let (Some(from), Some(to)) = (from, to)
        && from >= to
    {
        let shown = |key: &str| object.map.get(key).map(crate::decode::shown).unwrap_or_default();
        let message = format!("{} is not before `to` ({}): `to` is exclusive", shown("from"), shown("to"));
        object.errors.push(object.path_of("from"), message);
    }
    let qualities = [("strict", Quality::Strict), ("warn", Quality::Warn)];
    let quality = object.get("quality").and_then(|f| f.choice(&qualities)).unwrap_or_default();
    let fill = object.get("fill").and_then(|f| fill(&f));
    let columns = object.get("columns").and_then(|f| columns(&f)).unwrap_or_default();
    object.done();
    Some(DataSpec { source: source?, symbols, interval, from, to, quality, fill, columns })
}

fn not_empty(text: &str, field: &Field<'_>) -> bool {
    if text.trim().is_empty() {
        field.wanted("a name or a path");
    }
    !text.trim().is_empty()
}

/// A list of names, or an object of names with their rules.
fn symbols(field: &Field<'_>) -> Option<Vec<SymbolSpec>> {
    let mut found: Vec<SymbolSpec> = Vec::new();
    if field.value.is_array() {
        for item in field.list()? {
            if let Some(name) = item.text() {
                if found.iter().any(|symbol| symbol.name == name) {
                    item.errors.push(&item.path, format!("`{name}` is named twice"));
                }
                found.push(SymbolSpec { name, rules: SymbolRules::default() });
            }
        }
    } else if field.value.is_object() {
        for (name, item) in field.object()?.entries() {
            let rules = if item.value.is_null() { Some(SymbolRules::default()) } else { rules(&item) };
            found.push(SymbolSpec { name, rules: rules.unwrap_or_default() });
        }
    } else {
        field.wanted("a list of symbols, or symbols with their rules: {BTC-USD: {lot: 0.00001, tick: 0.01}}");
        return None;
    }
    if found.is_empty() {
        field.errors.push(&field.path, "is empty: name a symbol, or leave it out for all");
    }
    Some(found)
}

fn rules(field: &Field<'_>) -> Option<SymbolRules> {
    let object = field.object()?;
    let positive = |key: &'static str| {
        object.get(key).and_then(|f| f.number_where("a number above 0", |n| n > 0.0 && n.is_finite()))
    };
    let rules =
        SymbolRules { lot: positive("lot"), tick: positive("tick"), min_notional: positive("minNotional") };
    object.done();
    Some(rules)
}

fn fill(field: &Field<'_>) -> Option<Fill> {
    let object = field.object()?;
    let gaps = object
        .require("gaps", "say how: forward repeats the close before the gap")
        .and_then(|f| f.choice(&[("forward", FillGaps::Forward)]));
    let max_bars = object
        .require("maxBars", "say up to which length gaps are filled, in candles, such as 5")
        .and_then(|f| {
            f.number_where("a whole number of candles from 1 to 10080", |n| {
                (1.0..=MAX_FILL).contains(&n) && n.fract() == 0.0
            })
        });
    object.done();
    Some(Fill { gaps: gaps?, max_bars: max_bars? as usize })
}

fn columns(field: &Field<'_>) -> Option<Vec<String>> {
    let mut found: Vec<String> = Vec::new();
    for item in field.list()? {
        let Some(name) = item.text() else { continue };
        if found.contains(&name) {
            item.errors.push(&item.path, format!("`{name}` is named twice: name it once"));
        } else {
            found.push(name);
        }
    }
    Some(found)
}

/// An instant of a field.
fn time(object: &Object<'_>, key: &'static str) -> Option<i64> {
    let field = object.get(key)?;
    // Whatever is no text is no instant either.
    let instant = field.value.as_str().and_then(instant_ms);
    if instant.is_none() {
        field.wanted("an instant such as 2024-01-01T00:00:00Z, or a date such as 2024-01-01 (midnight UTC)");
    }
    instant
}
