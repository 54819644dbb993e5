//! Every indicator that TA-Lib 0.8 has too, against the values it gives: same first index, same values to 1e-9.
//! The fixture is made by `scripts/talib_expected.py`.

use std::collections::BTreeSet;

use blockgrid_engine::Interval;
use blockgrid_engine::exact::Sums;
use blockgrid_engine::indicators::{ALL, CandleColumns, Series, Source, find};
use serde::Deserialize;

#[derive(Deserialize)]
struct Fixture {
    candles: Candles,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Candles {
    open: Vec<f64>,
    high: Vec<f64>,
    low: Vec<f64>,
    close: Vec<f64>,
    volume: Vec<f64>,
}

#[derive(Deserialize)]
struct Case {
    indicator: String,
    params: Vec<f64>,
    /// Index of the first value, and the values from there.
    outputs: Vec<(usize, Vec<f64>)>,
}

#[test]
fn indicators_equal_talib() {
    let fixture: Fixture =
        serde_json::from_str(include_str!("fixtures/talib.json")).expect("the fixture is JSON");
    let interval: Interval = "1h".parse().expect("an interval");
    let candles = &fixture.candles;
    let timestamp: Vec<i64> = (0..candles.close.len() as i64).map(|i| i * interval.millis()).collect();
    let sums = Sums::default();
    let source = Source {
        series: Series { values: &candles.close, sums: &sums },
        candles: CandleColumns {
            timestamp: &timestamp,
            open: &candles.open,
            high: &candles.high,
            low: &candles.low,
            close: &candles.close,
            volume: &candles.volume,
        },
        anchor: 0,
        interval,
    };
    let mut seen = BTreeSet::new();
    for case in &fixture.cases {
        let indicator = find(&case.indicator).expect("a known indicator");
        seen.insert(indicator.name);
        let found = (indicator.compute)(&source, &case.params);
        assert_eq!(found.len(), case.outputs.len(), "{}", case.indicator);
        for ((found, (first, expected)), output) in found.iter().zip(&case.outputs).zip(indicator.outputs) {
            let name = format!("{}{:?}.{output}", case.indicator, case.params);
            assert_eq!(found.len(), timestamp.len(), "{name}");
            assert_eq!(found.iter().take_while(|v| v.is_nan()).count(), *first, "{name}: first value");
            if *first < found.len() {
                assert_eq!((indicator.lookback)(&case.params), *first, "{name}: lookback");
            }
            // The differences of prices are as exact as the prices, not as themselves.
            let scale = expected.iter().fold(0.0_f64, |scale, v| scale.max(v.abs()));
            for (i, (found, expected)) in found[*first..].iter().zip(expected).enumerate() {
                let off = (found - expected).abs();
                assert!(
                    off <= 1e-9 * expected.abs() || off <= 1e-11 * scale,
                    "{name}[{}] is {found}, TA-Lib gives {expected}",
                    first + i
                );
            }
        }
    }
    let missing: Vec<_> = ALL.iter().map(|i| i.name).filter(|name| !seen.contains(name)).collect();
    assert_eq!(missing, ["vwap"], "TA-Lib's VWAP never resets; every other indicator is compared");
}
