//! The indicators of profile `vectorbt` against vectorbt itself, bit for bit. The fixture is made by
//! `scripts/vectorbt_indicators.py`.

use std::collections::{BTreeMap, BTreeSet};

use blockgrid_engine::Interval;
use blockgrid_engine::exact::Sums;
use blockgrid_engine::indicators::{CandleColumns, Series, Source, VECTORBT, find};
use serde::Deserialize;

#[derive(Deserialize)]
struct Fixture {
    columns: BTreeMap<String, String>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    indicator: String,
    series: String,
    params: Vec<f64>,
    outputs: Vec<String>,
}

/// Read by the standard library, which rounds decimals exactly.
fn numbers(text: &str) -> Vec<f64> {
    text.split(' ').map(|number| number.parse().expect("a number")).collect()
}

#[test]
fn variants_equal_vectorbt() {
    let fixture: Fixture =
        serde_json::from_str(include_str!("fixtures/vectorbt_indicators.json")).expect("the fixture is JSON");
    let columns: BTreeMap<&str, Vec<f64>> =
        fixture.columns.iter().map(|(name, text)| (name.as_str(), numbers(text))).collect();
    let timestamp: Vec<i64> = (0..columns["close"].len() as i64).map(|i| i * 3_600_000).collect();
    let mut seen = BTreeSet::new();
    for case in &fixture.cases {
        let indicator = VECTORBT.iter().find(|i| i.name == case.indicator).expect("a variant");
        seen.insert(indicator.name);
        let sums = Sums::default();
        let series = Series { values: &columns[case.series.as_str()], sums: &sums };
        let source = Source {
            series,
            other: series,
            candles: CandleColumns {
                timestamp: &timestamp,
                open: &columns["open"],
                high: &columns["high"],
                low: &columns["low"],
                close: &columns["close"],
                volume: &columns["volume"],
            },
            anchor: 0,
            interval: "1h".parse::<Interval>().expect("an interval"),
        };
        let found = (indicator.compute)(&source, &case.params);
        assert_eq!(found.len(), case.outputs.len(), "{}", case.indicator);
        for (found, expected) in found.iter().zip(&case.outputs) {
            for (i, (found, expected)) in found.iter().zip(numbers(expected)).enumerate() {
                let same = found.to_bits() == expected.to_bits() || found.is_nan() && expected.is_nan();
                assert!(
                    same,
                    "{}{:?}[{i}] over {} is {found}, vectorbt gives {expected}",
                    case.indicator, case.params, case.series
                );
            }
        }
    }
    assert_eq!(seen.len(), VECTORBT.len(), "every variant is compared");
}

#[test]
fn variants_have_the_shape_of_what_they_replace() {
    for variant in VECTORBT {
        let ours = find(variant.name).expect("an indicator of that name");
        assert_eq!(variant.over, ours.over, "{}", ours.name);
        assert_eq!(variant.outputs, ours.outputs, "{}", ours.name);
        let names = |i: &blockgrid_engine::indicators::Indicator| {
            i.params.iter().map(|p| (p.name, p.default.is_some())).collect::<Vec<_>>()
        };
        assert_eq!(names(variant), names(ours), "{}", ours.name);
    }
}
