//! Every indicator that TA-Lib 0.8 has too, against the values it gives on six series: same first index, same values to
//! 1e-9. The fixtures are made by `scripts/talib/expected.py`.
#![allow(unreachable_pub, reason = "the modules of a test program are its own")]
#![allow(clippy::neg_cmp_op_on_partial_ord, reason = "what is not known must not pass")]

mod talib;

use std::collections::{BTreeMap, BTreeSet};

use blockgrid_engine::indicators::{Domain, Indicator, all, find};
use talib::differences::{DIFFERENCES, NOT_IN_TALIB};
use talib::{Case, Output, Param, fixtures, series};

fn params(indicator: &Indicator, case: &Case) -> Vec<f64> {
    let value = |(i, param): (usize, &Param)| match (param, indicator.params[i].domain) {
        (Param::Number(value), _) => *value,
        (Param::Word(word), Domain::Choice(words)) => {
            words.iter().position(|known| known == word).expect("a known word") as f64
        }
        (Param::Word(word), _) => panic!("{}: `{word}` is no number", indicator.name),
    };
    let given: Vec<f64> = case.params.iter().enumerate().map(value).collect();
    let left_out = indicator.params[given.len()..].iter().map(|param| param.default.expect("a default"));
    given.iter().copied().chain(left_out).collect()
}

/// How far a case is off, as a share of its largest value, after the allowance of 1e-9 of the value itself; and where.
fn off(found: &[Vec<f64>], case: &Case) -> Result<(f64, String), String> {
    let mut worst = (0.0, String::new());
    for (found, output) in found.iter().zip(&case.outputs) {
        let unknown = found.iter().take_while(|v| v.is_nan()).count();
        let first = output.first();
        if unknown != first {
            return Err(format!("the first value is at {unknown}, TA-Lib's at {first}"));
        }
        let expected = output.values(&case.series, found.len());
        let scale = expected.iter().fold(0.0_f64, |scale, (_, v)| scale.max(v.abs()));
        for (i, expected) in expected {
            let by = (found[i] - expected).abs();
            if !(by <= 1e-9 * expected.abs()) {
                let share = if by.is_nan() { f64::INFINITY } else { by / scale };
                if !(share <= worst.0) {
                    worst = (share, format!("[{i}] is {}, TA-Lib gives {expected}", found[i]));
                }
            }
        }
    }
    Ok(worst)
}

#[test]
fn indicators_equal_talib() {
    let series = series::all();
    let mut seen = BTreeSet::new();
    let mut used: BTreeMap<(&str, &str), f64> = BTreeMap::new();
    let mut errors = Vec::new();
    for (group, fixture) in fixtures() {
        for case in &fixture.cases {
            let Some(indicator) = find(&case.indicator) else {
                errors.push(format!("{group}: {} is no indicator", case.indicator));
                continue;
            };
            seen.insert(indicator.name);
            let params = params(indicator, case);
            let name = format!("{}{:?} on {}", case.indicator, case.params, case.series);
            let found = series[case.series.as_str()].compute(indicator, &params);
            assert_eq!(found.len(), case.outputs.len(), "{name}");
            match off(&found, case) {
                Err(error) => errors.push(format!("{name}: {error}")),
                // The differences of prices are as exact as the prices, not as themselves.
                Ok((share, _)) if share <= 1e-11 => {}
                Ok((share, place)) => {
                    let known =
                        DIFFERENCES.iter().find(|d| d.indicator == case.indicator && d.series == case.series);
                    match known {
                        Some(known) if share <= known.within => {
                            let most = used.entry((known.indicator, known.series)).or_default();
                            *most = most.max(share);
                        }
                        _ => errors.push(format!("{name}{place} ({share:e} of the largest)")),
                    }
                }
            }
        }
    }
    for known in DIFFERENCES {
        if !used.contains_key(&(known.indicator, known.series)) {
            let (name, series, why) = (known.indicator, known.series, known.why);
            errors.push(format!("{name} on {series} no longer differs: remove the entry ({why})"));
        }
    }
    let apart: BTreeSet<&str> = NOT_IN_TALIB.iter().map(|(name, _)| *name).collect();
    for name in all().map(|indicator| indicator.name) {
        if seen.contains(name) == apart.contains(name) {
            errors.push(format!("{name} must be either compared or named in NOT_IN_TALIB with the reason"));
        }
    }
    assert!(errors.is_empty(), "{}\n{} errors", errors.join("\n"), errors.len());
}

#[test]
fn every_candle_pattern_occurs_in_what_is_expected() {
    let mut occur = BTreeSet::new();
    for (_, fixture) in fixtures() {
        for case in &fixture.cases {
            for output in &case.outputs {
                if let Output::Events { events, .. } = output
                    && events.iter().any(|(_, at)| !at.is_empty())
                {
                    occur.insert(case.indicator.clone());
                }
            }
        }
    }
    let patterns = all().map(|indicator| indicator.name).filter(|name| name.starts_with("cdl_"));
    let never: Vec<_> = patterns.filter(|name| !occur.contains(*name)).collect();
    assert!(never.is_empty() && occur.len() == 61, "never: {never:?}");
}

/// In dollars, sizes that are equal often differ by the rounding of the prices; in whole cents nothing is rounded.
/// Computed from elsewhere, blocks begin elsewhere.
#[test]
fn candle_patterns_depend_neither_on_the_unit_of_the_price_nor_on_the_start() {
    const START: usize = 137;
    let all_series = series::all();
    for name in ["mixed", "trend", "jump", "shapes", "long"] {
        let bars = &all_series[name];
        let part = |column: &[f64], from: usize| column[from..column.len().min(50_000)].to_vec();
        let dollars = bars.map(|column| part(column, 0));
        let cents =
            bars.map(|column| part(column, START).iter().map(|v| (100.0 * v).round()).collect::<Vec<_>>());
        for pattern in all().filter(|indicator| indicator.name.starts_with("cdl_")) {
            let params: Vec<f64> = pattern.params.iter().filter_map(|p| p.default).collect();
            let (dollars, cents) = (dollars.compute(pattern, &params), cents.compute(pattern, &params));
            let from = (pattern.lookback)(&params);
            assert_eq!(dollars[0][START + from..], cents[0][from..], "{} on {name}", pattern.name);
        }
    }
}
