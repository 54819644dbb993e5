//! What TA-Lib 0.8 gives, and the candles it was asked about.

pub mod differences;
pub mod series;

use serde::Deserialize;

/// One file of expected values, made by `scripts/talib/expected.py`.
#[derive(Deserialize)]
pub struct Fixture {
    pub cases: Vec<Case>,
}

#[derive(Deserialize)]
pub struct Case {
    /// Name of the candles, see [`series`].
    pub series: String,
    pub indicator: String,
    pub params: Vec<Param>,
    /// Index of the first value, and the values that are kept from there; `None` where TA-Lib gives none.
    pub outputs: Vec<(usize, Vec<Option<f64>>)>,
}

/// A number, or the word of a choice.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub enum Param {
    Number(f64),
    Word(String),
}

/// The fixtures by the name of their group, which is that of the module of cases in `scripts/talib`.
pub fn fixtures() -> Vec<(&'static str, Fixture)> {
    let texts = [
        ("base", include_str!("../fixtures/talib/base.json")),
        ("statistics", include_str!("../fixtures/talib/statistics.json")),
        ("averages", include_str!("../fixtures/talib/averages.json")),
        ("oscillators", include_str!("../fixtures/talib/oscillators.json")),
    ];
    texts.map(|(name, text)| (name, serde_json::from_str(text).expect("the fixture is JSON"))).into()
}

/// The indices whose values a fixture keeps.
pub fn kept(series: &str, first: usize, bars: usize) -> Vec<usize> {
    let stride = match series {
        "mixed" => 1,
        "long" => 40_009,
        _ => 13,
    };
    let ends = (first..bars.min(first + 3)).chain(bars.saturating_sub(3).max(first)..bars);
    let mut at: Vec<usize> = ends.chain((first..bars).step_by(stride)).collect();
    at.sort_unstable();
    at.dedup();
    at
}
