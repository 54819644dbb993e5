//! What the module `indicators` promises of every indicator, on random candles.

use blockgrid_engine::Interval;
use blockgrid_engine::exact::Sums;
use blockgrid_engine::indicators::{
    CandleColumns, Domain, Indicator, Memory, Over, Param, Series, Source, VECTORBT, all, find,
};
use proptest::prelude::*;

/// Candles, and a series beside them that may hold unknown values.
#[derive(Debug, Clone)]
struct Bars {
    timestamp: Vec<i64>,
    open: Vec<f64>,
    high: Vec<f64>,
    low: Vec<f64>,
    close: Vec<f64>,
    volume: Vec<f64>,
    series: Vec<f64>,
    /// Whether the series is calculated, not a decimal.
    real: bool,
}

fn hour() -> Interval {
    Interval::from_millis(3_600_000).expect("an hour is an interval")
}

impl Bars {
    /// From moves, wicks and volumes in cents.
    fn new(moves: impl IntoIterator<Item = (i64, i64, i64, i64)>) -> Self {
        let mut bars = Bars {
            timestamp: vec![],
            open: vec![],
            high: vec![],
            low: vec![],
            close: vec![],
            volume: vec![],
            series: vec![],
            real: false,
        };
        let mut price = 50_000_i64;
        for (i, (change, above, below, volume)) in moves.into_iter().enumerate() {
            let open = price;
            price = (price + change).max(5_000);
            bars.timestamp.push(1_700_000_000_000 / 3_600_000 * 3_600_000 + i as i64 * 3_600_000);
            bars.open.push(open as f64 / 100.0);
            bars.high.push((open.max(price) + above) as f64 / 100.0);
            bars.low.push((open.min(price) - below) as f64 / 100.0);
            bars.close.push(price as f64 / 100.0);
            bars.volume.push(volume as f64 / 100.0);
        }
        bars.series = bars.close.clone();
        bars
    }

    /// A random walk, the same on every machine.
    fn walk(seed: u64, len: usize) -> Self {
        let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        let mut below = move |bound: u64| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            ((state >> 11) % bound) as i64
        };
        Bars::new((0..len).map(|_| {
            let change = (0..4).map(|_| below(201) - 100).sum();
            (change, below(80), below(80), below(100_000))
        }))
    }

    fn len(&self) -> usize {
        self.close.len()
    }

    fn slice(&self, range: std::ops::Range<usize>) -> Bars {
        Bars {
            timestamp: self.timestamp[range.clone()].to_vec(),
            open: self.open[range.clone()].to_vec(),
            high: self.high[range.clone()].to_vec(),
            low: self.low[range.clone()].to_vec(),
            close: self.close[range.clone()].to_vec(),
            volume: self.volume[range.clone()].to_vec(),
            series: self.series[range].to_vec(),
            real: self.real,
        }
    }

    fn compute(&self, indicator: &Indicator, params: &[f64], anchor: usize) -> Vec<Vec<f64>> {
        let sums = if self.real { Sums::real() } else { Sums::default() };
        let other_sums = Sums::default();
        let values = if indicator.over == Over::Candle { &self.close } else { &self.series };
        let other = if indicator.over == Over::Pair { &self.volume } else { values };
        let columns = (indicator.compute)(
            &Source {
                series: Series { values, sums: &sums },
                other: Series { values: other, sums: &other_sums },
                candles: CandleColumns {
                    timestamp: &self.timestamp,
                    open: &self.open,
                    high: &self.high,
                    low: &self.low,
                    close: &self.close,
                    volume: &self.volume,
                },
                anchor,
                interval: hour(),
            },
            params,
        );
        assert_eq!(columns.len(), indicator.outputs.len(), "{}", indicator.name);
        assert!(columns.iter().all(|column| column.len() == self.len()), "{}", indicator.name);
        columns
    }
}

/// Parameters from numbers in [0, 1), windows up to `widest`.
fn params(indicator: &Indicator, picks: &[f64], widest: usize) -> Vec<f64> {
    indicator
        .params
        .iter()
        .zip(picks.iter().cycle())
        .map(|(param, pick)| match param.domain {
            Domain::Window(least) => (least + (pick * (widest - least) as f64) as usize) as f64,
            Domain::Above(bound) => bound + 0.01 + pick * 3.0,
            Domain::From(least) => least + pick * 3.0,
            Domain::Between(least, most) => least + pick * (most - least),
            Domain::Choice(words) => (pick * words.len() as f64).floor(),
            Domain::Instant => 1_700_000_000_000.0,
        })
        .collect()
}

fn every() -> impl Iterator<Item = &'static Indicator> {
    all().chain(VECTORBT.iter().copied())
}

/// Whose first value depends on the calendar, not on a number of bars: a whole session must have been seen.
fn by_calendar(indicator: &Indicator) -> bool {
    indicator.name == "pivot"
}

fn bits(values: &[f64]) -> Vec<u64> {
    values.iter().map(|v| if v.is_nan() { u64::MAX } else { v.to_bits() }).collect()
}

/// Index of the first value of the output that appears last.
fn first_value(columns: &[Vec<f64>]) -> Option<usize> {
    columns
        .iter()
        .map(|column| column.iter().position(|v| !v.is_nan()))
        .max_by_key(|i| i.unwrap_or(usize::MAX))?
}

fn bars() -> impl Strategy<Value = Bars> {
    let flat = Just((0, 0, 0, 0));
    let bar = prop_oneof![8 => (-300_i64..300, 0_i64..90, 0_i64..90, 0_i64..9_000_000), 1 => flat];
    let holes = prop::collection::vec(prop::option::weighted(0.03, Just(())), 90);
    (prop::collection::vec(bar, 1..90), holes, any::<bool>()).prop_map(|(moves, holes, real)| {
        let mut bars = Bars { real, ..Bars::new(moves) };
        for (value, hole) in bars.series.iter_mut().zip(holes) {
            if real {
                *value *= std::f64::consts::PI;
            }
            if hole.is_some() {
                *value = f64::NAN;
            }
        }
        bars
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_indicator_looks_ahead(
        bars in bars(),
        cut in 0.0_f64..1.0,
        picks in prop::collection::vec(0.0_f64..1.0, 3),
    ) {
        let cut = 1 + (cut * (bars.len() - 1) as f64) as usize;
        let prefix = bars.slice(0..cut);
        for indicator in every() {
            let params = params(indicator, &picks, 12);
            let (full, part) = (bars.compute(indicator, &params, 0), prefix.compute(indicator, &params, 0));
            for (full, part) in full.iter().zip(&part) {
                prop_assert_eq!(bits(&full[..cut]), bits(part), "{}{:?}", indicator.name, params);
            }
        }
    }

    #[test]
    fn finite_windows_do_not_depend_on_the_start(
        bars in bars(),
        start in 0.0_f64..1.0,
        picks in prop::collection::vec(0.0_f64..1.0, 3),
    ) {
        let start = (start * bars.len() as f64) as usize;
        let suffix = bars.slice(start..bars.len());
        for indicator in all() {
            let params = params(indicator, &picks, 12);
            if (indicator.memory)(&params, hour()) != Memory::Finite {
                continue;
            }
            let from = (indicator.lookback)(&params).min(suffix.len());
            let (full, part) = (bars.compute(indicator, &params, 0), suffix.compute(indicator, &params, 0));
            for (full, part) in full.iter().zip(&part) {
                for (full, part) in full[start + from..].iter().zip(&part[from..]) {
                    let near = (full - part).abs() <= 1e-11 * full.abs().max(1.0);
                    let same = near || full.is_nan() && part.is_nan();
                    prop_assert!(same, "{}{:?}: {full} and {part}", indicator.name, params);
                }
            }
        }
    }
}

#[test]
fn sums_of_decimals_have_the_same_bits_wherever_they_start() {
    let bars = Bars::walk(3, 400);
    for name in ["sma", "wma", "sum", "stddev", "bbands", "highest", "lowest", "donchian", "roc", "mom", "tr"]
    {
        let indicator = find(name).unwrap();
        let params = params(indicator, &[0.7; 3], 30);
        let full = bars.compute(indicator, &params, 0);
        for start in [1, 7, 133] {
            let part = bars.slice(start..bars.len()).compute(indicator, &params, 0);
            let from = (indicator.lookback)(&params);
            for (full, part) in full.iter().zip(&part) {
                assert_eq!(bits(&full[start + from..]), bits(&part[from..]), "{name} from {start}");
            }
        }
    }
}

#[test]
fn the_lookback_is_the_first_value() {
    // A walk whose every bar moves: vectorbt's rsi is unknown while nothing has.
    let bars = Bars::walk(17, 400);
    for indicator in every().filter(|indicator| !by_calendar(indicator)) {
        for picks in [[0.0; 3], [0.2, 0.9, 0.5], [0.9, 0.3, 0.1], [0.5, 0.5, 0.99]] {
            let params = params(indicator, &picks, 40);
            let columns = bars.compute(indicator, &params, 0);
            let lookback = (indicator.lookback)(&params);
            let name = format!("{}{params:?}", indicator.name);
            assert_eq!(first_value(&columns), Some(lookback), "{name}");
            assert!(columns.iter().all(|column| column[lookback..].iter().all(|v| v.is_finite())), "{name}");
            if !VECTORBT.iter().any(|variant| std::ptr::eq(*variant, indicator)) {
                assert!(columns.iter().all(|column| column[..lookback].iter().all(|v| v.is_nan())), "{name}");
            }
        }
    }
}

#[test]
fn an_unknown_value_spoils_a_window_or_starts_a_recursion_anew() {
    const AT: usize = 61;
    let bars = Bars::walk(2, 200);
    let mut holed = bars.clone();
    holed.series[AT] = f64::NAN;
    let tail = bars.slice(AT + 1..bars.len());
    for indicator in all().filter(|i| i.over != Over::Candle) {
        let params = params(indicator, &[0.3, 0.6, 0.4], 20);
        let lookback = (indicator.lookback)(&params);
        let (clean, found) = (bars.compute(indicator, &params, 0), holed.compute(indicator, &params, 0));
        let anew = tail.compute(indicator, &params, 0);
        let finite = (indicator.memory)(&params, hour()) == Memory::Finite;
        for ((clean, found), anew) in clean.iter().zip(&found).zip(&anew) {
            let name = format!("{}{params:?}", indicator.name);
            assert_eq!(bits(&found[..AT]), bits(&clean[..AT]), "{name}: before");
            if finite {
                assert!(found[AT].is_nan() && found[AT + lookback].is_nan(), "{name}: in the window");
                let after = AT + lookback + 1;
                assert_eq!(bits(&found[after..]), bits(&clean[after..]), "{name}: after");
                // These look at single bars of their window, not at all of it.
                let differences = matches!(indicator.name, "mom" | "roc" | "rocp" | "rocr" | "coppock");
                let within = &found[AT..after];
                assert!(differences || within.iter().all(|v| v.is_nan()), "{name}: in the window");
            } else {
                assert!(found[AT].is_nan(), "{name}: at");
                assert_eq!(bits(&found[AT + 1..]), bits(anew), "{name}: after");
            }
        }
    }
}

#[test]
fn the_memory_of_a_recursion_is_enough_preroll() {
    // Longer than the memory of a kama of a kama.
    let bars = Bars::walk(5, 24_000);
    for indicator in all() {
        for widest in [8, 30] {
            let params = params(indicator, &[0.8, 0.5, 0.3], widest);
            let Memory::Recursive(memory) = (indicator.memory)(&params, hour()) else { continue };
            if matches!(indicator.name, "sar" | "sarext" | "supertrend") {
                continue;
            }
            let full = bars.compute(indicator, &params, 0);
            for end in [21_500_usize, 22_222, 23_999] {
                // A session may be longer than these bars.
                let start = end.saturating_sub(memory + (indicator.lookback)(&params));
                let part = bars.slice(start..end + 1).compute(indicator, &params, 0);
                for (full, part) in full.iter().zip(&part) {
                    let (full, part) = (full[end], part[end - start]);
                    let scale = match indicator.name {
                        // Differences of prices and of volumes: as exact as those.
                        "macd" | "macdext" | "apo" => bars.close[end],
                        "adosc" => bars.volume[end],
                        // Differences of percentages.
                        "ppo" | "trix" | "tsi" | "cmo" | "kdj" => 100.0,
                        _ => full.abs(),
                    };
                    if full.is_nan() && part.is_nan() {
                        // A level that its method does not have.
                        assert_eq!(indicator.name, "pivot");
                        continue;
                    }
                    assert!(
                        (full - part).abs() <= 1e-8 * scale,
                        "{}{params:?}: {full} and {part}",
                        indicator.name
                    );
                }
            }
        }
    }
}

#[test]
fn stops_that_depend_on_their_path_have_met_after_their_memory() {
    const SAREXT: &[f64] = &[0.0, 0.0, 0.02, 0.02, 0.2, 0.03, 0.01, 0.1];
    // No proof, a count: 800 starts each.
    for (name, params) in [("sar", &[0.02, 0.2][..]), ("sarext", SAREXT), ("supertrend", &[10.0, 3.0])] {
        let indicator = find(name).unwrap();
        let Memory::Recursive(memory) = (indicator.memory)(params, hour()) else {
            panic!("{name} is recursive")
        };
        let mut apart = 0;
        for seed in 0..8 {
            let bars = Bars::walk(100 + seed, 4_000);
            let full = bars.compute(indicator, params, 0);
            for end in (1_000..4_000).step_by(30) {
                let start = end - memory - (indicator.lookback)(params);
                let part = bars.slice(start..end + 1).compute(indicator, params, 0);
                let (full, part) = (full[0][end], part[0][end - start]);
                apart += usize::from((full - part).abs() > 1e-8 * full.abs());
            }
        }
        assert!(apart <= 8, "{name}: {apart} of 800 starts still differ");
    }
}

#[test]
fn a_market_that_stands_still_has_values() {
    // One of them is not a third of the rounded sum of three of itself.
    for price in [500.0, 333.33, 0.000_012_34, 69_420.1, 1.340_000_000_000_000_4] {
        for volume in [0.0, 3.7] {
            stands_still(price, volume);
        }
    }
}

/// The bar of Monday number `weeks`.
fn week_start(bars: &Bars, weeks: usize) -> usize {
    const WEEK: i64 = 7 * 86_400_000;
    // 1970-01-05 was a Monday.
    let mut mondays = (0..bars.len()).filter(|&i| (bars.timestamp[i] - 4 * 86_400_000) % WEEK == 0);
    mondays.nth(weeks - 1).expect("as many weeks")
}

fn stands_still(price: f64, volume: f64) {
    let mut bars = Bars::new(std::iter::repeat_n((0, 0, 0, 0), 400));
    bars.volume.fill(volume);
    for column in [&mut bars.open, &mut bars.high, &mut bars.low, &mut bars.close, &mut bars.series] {
        column.fill(price);
    }
    // sarext turns at every bar, each time by its offset: tests/indicators_naive.rs.
    for indicator in all().filter(|indicator| indicator.name != "sarext") {
        let params = params(indicator, &[0.5; 3], 20);
        let lookback = (indicator.lookback)(&params);
        // The first week that is whole is the second, and shows in the third.
        let lookback = if by_calendar(indicator) { week_start(&bars, 2) } else { lookback };
        for (column, output) in bars.compute(indicator, &params, 0).iter().zip(indicator.outputs) {
            let window = params.first().copied().unwrap_or_default();
            let expected = match (indicator.name, *output) {
                ("rsi" | "rsi_cutler" | "mfi" | "stoch" | "stochf" | "stochrsi" | "kdj" | "ultosc", _) => {
                    50.0
                }
                ("willr", _) => -50.0,
                ("macdext" | "ppo" | "apo" | "rocp" | "cmo" | "trix" | "tsi" | "coppock" | "bop", _) => 0.0,
                ("aroonosc", _) => 0.0,
                ("aroon", _) => 100.0,
                ("rocr", _) => 1.0,
                ("var" | "avgdev" | "zscore" | "percent_rank" | "argmax" | "argmin", _) => 0.0,
                ("correl" | "beta" | "linreg_slope" | "linreg_angle", _) => 0.0,
                ("natr" | "ad" | "adosc" | "cmf", _) => 0.0,
                ("rvol", _) => f64::from(u8::from(volume > 0.0)),
                ("adxr" | "dx" | "plus_dm" | "minus_dm" | "vortex" | "fractal", _) => 0.0,
                ("macd" | "roc" | "mom" | "stddev" | "cci" | "tr" | "atr", _) => 0.0,
                ("adx" | "plus_di" | "minus_di", _) => 0.0,
                ("supertrend", "direction") => 1.0,
                ("obv", _) => volume,
                ("cdl_doji", _) => 100.0,
                (name, _) if name.starts_with("cdl_") => 0.0,
                ("sum", _) => price * window,
                _ => price,
            };
            for &value in &column[lookback..] {
                let same = match indicator.name {
                    "sum" => (value - expected).abs() <= 1e-15 * expected,
                    // It starts at 0, as TA-Lib's, and has come closer with each bar since.
                    "mama" => (value - expected).abs() <= 0.01 * expected,
                    _ => value == expected,
                };
                assert!(same, "{}{params:?}.{output} of {price} is {value}", indicator.name);
            }
        }
    }
}

#[test]
fn windows_longer_than_the_data_are_unknown() {
    for len in [0, 1, 2, 5] {
        let bars = Bars::walk(9, len);
        for indicator in every().filter(|indicator| !by_calendar(indicator)) {
            for size in [3.0, 6.0, 1e18] {
                let value = |param: &Param| match param.domain {
                    Domain::Window(_) => size,
                    Domain::Instant => 1_700_000_000_000.0,
                    _ => 0.5,
                };
                let params: Vec<f64> = indicator.params.iter().map(value).collect();
                let columns = bars.compute(indicator, &params, 0);
                let lookback = (indicator.lookback)(&params);
                assert_eq!(
                    first_value(&columns),
                    (lookback < len).then_some(lookback),
                    "{}{params:?} on {len} bars",
                    indicator.name
                );
            }
        }
    }
}

#[test]
fn running_totals_count_from_their_anchor() {
    let bars = Bars::walk(4, 300);
    for name in ["obv", "ad"] {
        let total = find(name).unwrap();
        let part = bars.slice(100..300).compute(total, &[], 50);
        let full = bars.compute(total, &[], 150);
        assert_eq!(bits(&full[0][100..]), bits(&part[0]), "{name}");
        let from_anchor = bars.slice(150..300).compute(total, &[], 0);
        assert_eq!(bits(&full[0][150..]), bits(&from_anchor[0]), "{name}");
        // Before the anchor only the level is relative: the steps are those of any other anchor.
        let other = bars.compute(total, &[], 0);
        for i in 1..300 {
            let step = |column: &[f64]| column[i] - column[i - 1];
            assert!((step(&full[0]) - step(&other[0])).abs() < 1e-6, "{name}");
        }
    }
    assert_eq!(bars.compute(find("obv").unwrap(), &[], 150)[0][150], bars.volume[150]);
}

#[test]
fn a_fast_window_longer_than_the_slow_one_gives_the_negative() {
    let bars = Bars::walk(7, 100);
    let macd = find("macd").unwrap();
    let (one, other) = (bars.compute(macd, &[5.0, 20.0, 4.0], 0), bars.compute(macd, &[20.0, 5.0, 4.0], 0));
    for (one, other) in one.iter().zip(&other) {
        assert!(one.iter().zip(other).skip(22).all(|(a, b)| (a + b).abs() < 1e-12));
    }
}

#[test]
fn records_are_complete() {
    let mut names: Vec<_> = all().map(|i| i.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all().count(), "names are unique");
    for indicator in every() {
        let name = indicator.name;
        assert!(
            !indicator.summary.is_empty() && !indicator.formula.is_empty() && !indicator.source.is_empty()
        );
        assert!(
            indicator.summary.ends_with('.')
                && indicator.summary.starts_with(|c: char| c.is_uppercase() || c == 'v')
        );
        let texts = [indicator.summary, indicator.formula, indicator.source];
        assert!(texts.iter().all(|text| !text.contains("  ")), "{name}: a broken line in a text");
        assert!(!indicator.outputs.is_empty(), "{name}");
        let required = indicator.params.iter().take_while(|p| p.default.is_none()).count();
        assert!(
            indicator.params[required..].iter().all(|p| p.default.is_some()),
            "{name}: defaults come last"
        );
    }
}
