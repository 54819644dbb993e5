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
    pub outputs: Vec<Output>,
}

/// What an output is compared with.
#[derive(Deserialize)]
#[serde(untagged)]
pub enum Output {
    /// Index of the first value, and the values that are [`kept`] from there; `None` where TA-Lib gives none.
    Kept(usize, Vec<Option<f64>>),
    /// Index of the first value, and from `from` on the values with their indices; 0 at all others.
    Events { first: usize, from: usize, events: Vec<(f64, Vec<usize>)> },
}

impl Output {
    pub fn first(&self) -> usize {
        let (Output::Kept(first, _) | Output::Events { first, .. }) = self;
        *first
    }

    /// Index and value of what is compared, of a series of so many bars.
    pub fn values(&self, series: &str, bars: usize) -> Vec<(usize, f64)> {
        match self {
            Output::Kept(first, values) => {
                let known = |(i, value): (usize, &Option<f64>)| Some((i, (*value)?));
                kept(series, *first, bars).into_iter().zip(values).filter_map(known).collect()
            }
            Output::Events { from, events, .. } => {
                let mut values: Vec<_> = (*from..bars).map(|i| (i, 0.0)).collect();
                for (value, at) in events {
                    at.iter().for_each(|i| values[i - from].1 = *value);
                }
                values
            }
        }
    }
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
        ("candles", include_str!("../fixtures/talib/candles.json")),
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
