//! Prices in other units, and volumes in other units: every output stays as it is or grows with them.
//!
//! Which of the two is measured. What grows otherwise stands in a table.

#[allow(dead_code, unreachable_pub, reason = "every test program uses its own part")]
#[path = "talib/series.rs"]
mod series;

use blockgrid_engine::indicators::{Domain, Indicator, all};
use series::Bars;

/// Outputs that grow with another power of the prices, by indicator.
const PRICE_POWERS: &[(&str, i32)] = &[("var", 2)];

/// Indicators that do not grow with a power of the prices, and why.
const OTHER: &[(&str, &str)] = &[("linreg_angle", "an arc tangent of price units a bar")];

/// Not powers of two, so that everything is rounded anew.
const FACTORS: [f64; 2] = [1_000.0, 999.0];

fn scaled(bars: &Bars, price: f64, volume: f64) -> Bars {
    // Whole cents again: equal prices stay equal, and decimals stay decimals.
    let times =
        |column: &[f64], factor: f64| column.iter().map(|v| (v * 100.0).round() * factor / 100.0).collect();
    Bars {
        timestamp: bars.timestamp.clone(),
        open: times(&bars.open, price),
        high: times(&bars.high, price),
        low: times(&bars.low, price),
        close: times(&bars.close, price),
        volume: times(&bars.volume, volume),
    }
}

/// The defaults, and some window where there is none: a parameter in price units has a default that means none.
fn params(indicator: &Indicator) -> Vec<f64> {
    let value = |(nth, param): (usize, &blockgrid_engine::indicators::Param)| match param.domain {
        Domain::Window(least) => (least + 7 + 2 * nth) as f64,
        Domain::Above(bound) => bound + 1.5,
        Domain::From(least) => least + 1.5,
        Domain::Between(least, most) => (least + most) / 2.0,
        Domain::Choice(_) | Domain::Instant => 0.0,
    };
    let params = indicator.params.iter().enumerate();
    params.map(|(nth, param)| param.default.unwrap_or_else(|| value((nth, param)))).collect()
}

/// How many bars are not `factor` times what they were.
fn apart(before: &[f64], after: &[f64], factor: f64) -> usize {
    let largest = before.iter().filter(|v| v.is_finite()).fold(0.0_f64, |largest, v| largest.max(v.abs()));
    // Differences of prices are as exact as the prices.
    let near = |before: f64, after: f64| {
        before.is_nan() && after.is_nan() || (after - factor * before).abs() <= 1e-9 * factor * largest
    };
    before.iter().zip(after).filter(|(before, after)| !near(**before, **after)).count()
}

/// Whether the output grows with one of the powers of the factor. Marks and counts may differ at a few bars, where a
/// comparison stands at a tie.
fn grows(before: &[f64], after: &[f64], factor: f64, powers: &[i32]) -> bool {
    let whole = before.iter().all(|v| v.is_nan() || v.fract() == 0.0);
    let allowed = if whole { before.len() / 100 } else { 0 };
    powers.iter().any(|&power| apart(before, after, factor.powi(power)) <= allowed)
}

#[test]
fn units_of_prices_and_volumes_do_not_matter() {
    let series = series::all();
    for name in ["mixed", "trend"] {
        let bars = &series[name];
        for factor in FACTORS {
            let (dearer, busier) = (scaled(bars, factor, 1.0), scaled(bars, 1.0, factor));
            for indicator in all() {
                let params = params(indicator);
                let before = bars.compute(indicator, &params);
                let known = |column: &Vec<f64>| column.iter().any(|v| v.is_finite());
                assert!(before.iter().all(known), "{}{params:?}: no value", indicator.name);
                let power = PRICE_POWERS.iter().find(|(name, _)| *name == indicator.name);
                let powers = power.map_or(vec![0, 1], |(_, power)| vec![*power]);
                let other = OTHER.iter().any(|(name, _)| *name == indicator.name);
                let after_price = dearer.compute(indicator, &params);
                let after_volume = busier.compute(indicator, &params);
                for (nth, output) in indicator.outputs.iter().enumerate() {
                    let title = format!("{}{params:?}.{output} on {name}", indicator.name);
                    let with_price = grows(&before[nth], &after_price[nth], factor, &powers);
                    assert_ne!(with_price, other, "{title}: prices x {factor}");
                    let with_volume = grows(&before[nth], &after_volume[nth], factor, &[0, 1]);
                    assert!(with_volume, "{title}: volumes x {factor}");
                }
            }
        }
    }
}
