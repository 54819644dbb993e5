//! Indicators that look at the calendar: against groups of candles made by date, and through the graph.

#[allow(dead_code, unreachable_pub, reason = "every test program uses its own part")]
#[path = "talib/series.rs"]
mod series;

use std::collections::BTreeMap;

use blockgrid_engine::candles::{Candles, RawCandles};
use blockgrid_engine::expr::parse;
use blockgrid_engine::graph::{Compiler, Evaluator, Graph, Scope, Type};
use blockgrid_engine::indicators::find;
use series::Bars;

const HOUR: i64 = 3_600_000;
/// 2023-12-28T22:00:00Z, a Thursday.
const START: i64 = 1_703_800_800_000;

/// Hourly candles from a moment, with two days missing.
fn hours(from: i64) -> Bars {
    let mut bars = series::all().remove("long").expect("a series");
    for column in [&mut bars.open, &mut bars.high, &mut bars.low, &mut bars.close, &mut bars.volume] {
        column.truncate(3_000);
    }
    bars.timestamp = (0..3_000).map(|i| from + (i + if i > 700 { 48 } else { 0 }) * HOUR).collect();
    bars
}

fn tail(bars: &Bars, from: usize) -> Bars {
    let cut = |column: &[f64]| column[from..].to_vec();
    Bars {
        timestamp: bars.timestamp[from..].to_vec(),
        open: cut(&bars.open),
        high: cut(&bars.high),
        low: cut(&bars.low),
        close: cut(&bars.close),
        volume: cut(&bars.volume),
    }
}

fn compute(bars: &Bars, name: &str, params: &[f64]) -> Vec<Vec<f64>> {
    bars.compute(find(name).expect("an indicator"), params)
}

/// What names the session of a candle: an ordered text.
fn session(ms: i64, reset: &str) -> String {
    let date =
        jiff::Timestamp::from_millisecond(ms).expect("a moment").to_zoned(jiff::tz::TimeZone::UTC).date();
    match reset {
        "day" => date.to_string(),
        "week" => format!("{}-{:02}", date.iso_week_date().year(), date.iso_week_date().week()),
        "month" => format!("{}-{:02}", date.year(), date.month()),
        _ => date.year().to_string(),
    }
}

/// The bars of each session, in order.
fn groups(bars: &Bars, reset: &str) -> BTreeMap<String, Vec<usize>> {
    let mut groups: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (i, &ms) in bars.timestamp.iter().enumerate() {
        groups.entry(session(ms, reset)).or_default().push(i);
    }
    groups
}

fn same(found: f64, expected: f64) -> bool {
    found.is_nan() && expected.is_nan() || (found - expected).abs() <= 1e-9 * expected.abs()
}

#[test]
fn vwap_starts_anew_with_each_session() {
    let bars = hours(START);
    for (nth, reset) in ["day", "week", "month", "year"].into_iter().enumerate() {
        let found = &compute(&bars, "vwap", &[nth as f64])[0];
        for group in groups(&bars, reset).values() {
            let (mut value, mut volume) = (0.0, 0.0);
            for &i in group {
                value += (bars.high[i] + bars.low[i] + bars.close[i]) / 3.0 * bars.volume[i];
                volume += bars.volume[i];
                assert!(same(found[i], value / volume), "{reset} {i}");
            }
        }
    }
}

#[test]
fn while_a_session_has_no_volume_its_average_is_the_price_of_the_bar() {
    let mut bars = hours(START);
    bars.volume.fill(0.0);
    let price = |i: usize| (bars.high[i] + bars.low[i] + bars.close[i]) / 3.0;
    for (name, params) in [("vwap", 0.0), ("avwap", START as f64)] {
        let found = &compute(&bars, name, &[params])[0];
        assert!(found.iter().enumerate().all(|(i, &value)| same(value, price(i))), "{name}");
    }
}

/// The formulas as books print them, of open, high, low and close: p, r1, s1, r2, s2, r3, s3.
fn levels(method: &str, o: f64, h: f64, l: f64, c: f64) -> [f64; 7] {
    let classic = (h + l + c) / 3.0;
    let floor =
        |p: f64| [p, 2.0 * p - l, 2.0 * p - h, p + h - l, p - h + l, h + 2.0 * (p - l), l - 2.0 * (h - p)];
    let steps = |m: f64, [a, b, d]: [f64; 3]| {
        let r = h - l;
        [classic, m + a * r, m - a * r, m + b * r, m - b * r, m + d * r, m - d * r]
    };
    match method {
        "classic" => floor(classic),
        "fibonacci" => steps(classic, [0.382, 0.618, 1.0]),
        "camarilla" => steps(c, [1.1 / 12.0, 1.1 / 6.0, 1.1 / 4.0]),
        "woodie" => floor((h + l + 2.0 * c) / 4.0),
        _ => {
            let x = match c.total_cmp(&o) {
                std::cmp::Ordering::Less => h + 2.0 * l + c,
                std::cmp::Ordering::Greater => 2.0 * h + l + c,
                std::cmp::Ordering::Equal => h + l + 2.0 * c,
            };
            [x / 4.0, x / 2.0 - l, x / 2.0 - h, f64::NAN, f64::NAN, f64::NAN, f64::NAN]
        }
    }
}

#[test]
fn pivots_come_from_the_session_before() {
    // The data begins in the middle of a day, then with a day, then with a month.
    for (from, whole) in
        [(START, &[][..]), (START + 2 * HOUR, &["day"]), (START + 74 * HOUR, &["day", "week", "month"])]
    {
        let bars = hours(from);
        for (nth, method) in ["classic", "fibonacci", "camarilla", "woodie", "demark"].into_iter().enumerate()
        {
            for (reset_nth, reset) in ["day", "week", "month"].into_iter().enumerate() {
                let found = compute(&bars, "pivot", &[nth as f64, reset_nth as f64]);
                let mut expected = [f64::NAN; 7];
                for (position, group) in groups(&bars, reset).values().enumerate() {
                    for &i in group {
                        for (column, level) in found.iter().zip(expected) {
                            assert!(same(column[i], level), "{method} {reset} {i}: {} {level}", column[i]);
                        }
                    }
                    if position > 0 || whole.contains(&reset) {
                        let pick = |column: &[f64]| group.iter().map(|&i| column[i]).collect::<Vec<_>>();
                        let high = pick(&bars.high).into_iter().fold(f64::MIN, f64::max);
                        let low = pick(&bars.low).into_iter().fold(f64::MAX, f64::min);
                        let (open, close) = (bars.open[group[0]], bars.close[group[group.len() - 1]]);
                        expected = levels(method, open, high, low, close);
                    }
                }
            }
        }
    }
}

#[test]
fn an_anchored_average_begins_with_the_candle_that_holds_the_moment() {
    let bars = hours(START);
    let from = |moment: i64| compute(&bars, "avwap", &[moment as f64]).remove(0);
    // On the open of candle 100, and inside it.
    let found = from(bars.timestamp[100]);
    assert_eq!(bits(&found), bits(&from(bars.timestamp[100] + HOUR - 1)));
    assert!(found[..100].iter().all(|v| v.is_nan()));
    let (mut value, mut volume) = (0.0, 0.0);
    for (i, &found) in found.iter().enumerate().skip(100) {
        value += (bars.high[i] + bars.low[i] + bars.close[i]) / 3.0 * bars.volume[i];
        volume += bars.volume[i];
        assert!(same(found, value / volume), "{i}");
    }
    // In the gap before candle 701: the next candle there is.
    assert_eq!(from(bars.timestamp[701] - 5 * HOUR).iter().position(|v| !v.is_nan()), Some(701));
    // After the last candle: not yet.
    assert!(from(i64::MAX / 2).iter().all(|v| v.is_nan()));
    // Less history changes no bit, as long as it reaches back to the moment; else there is no value at all.
    let less = compute(&tail(&bars, 100), "avwap", &[bars.timestamp[100] as f64]).remove(0);
    assert_eq!(bits(&less), bits(&found[100..]));
    let short = compute(&tail(&bars, 101), "avwap", &[bars.timestamp[100] as f64]).remove(0);
    assert!(short.iter().all(|v| v.is_nan()));
}

fn bits(values: &[f64]) -> Vec<u64> {
    values.iter().map(|v| if v.is_nan() { u64::MAX } else { v.to_bits() }).collect()
}

/// An expression over candles of which the last `run` bars are the run, and the milliseconds of pre-roll it asks for.
fn evaluate(bars: &Bars, run: usize, text: &str) -> Result<(Vec<f64>, i64), String> {
    let candles = candles(bars);
    let mut graph = Graph::new();
    let (parameters, define) = (BTreeMap::new(), BTreeMap::new());
    let base = candles.interval();
    let scope = Scope { parameters: &parameters, define: &define, columns: &[], base, vectorbt: false };
    let expr = parse(text).map_err(|e| e.to_string())?;
    let node = Compiler::new(&mut graph, scope)
        .compile(text, &expr, Type::Number, false)
        .map_err(|e| e.to_string())?;
    let pre_roll = graph.pre_roll_ms([node]);
    let len = candles.len();
    let evaluator = Evaluator::new(candles, len - run..len, graph.nodes().iter().map(|node| node.frame));
    let value = evaluator.value(&graph, node);
    Ok(((len - run..len).map(|i| value.number(i)).collect(), pre_roll))
}

fn candles(bars: &Bars) -> Candles {
    let raw = RawCandles {
        timestamp: bars.timestamp.clone(),
        open: bars.open.clone(),
        high: bars.high.clone(),
        low: bars.low.clone(),
        close: bars.close.clone(),
        volume: bars.volume.clone(),
    };
    Candles::new("1h".parse().expect("an interval"), raw).expect("good candles")
}

#[test]
fn an_anchored_average_asks_for_all_the_history_there_is() {
    let bars = hours(START);
    // 2024-01-01 is candle 74, long before the run.
    let (found, pre_roll) = evaluate(&bars, 50, "avwap(\"2024-01-01\")").expect("an expression");
    let whole = compute(&bars, "avwap", &[(START + 74 * HOUR) as f64]).remove(0);
    assert_eq!(bits(&found), bits(&whole[2_950..]));
    assert!(pre_roll > 100 * 365 * 24 * HOUR, "{pre_roll}");
    // Without candles from then there is none, not a smaller one.
    let (found, _) = evaluate(&tail(&bars, 75), 50, "avwap(\"2024-01-01\")").expect("an expression");
    assert!(found.iter().all(|v| v.is_nan()));
    // Also under other indicators, and seen from another interval.
    let (found, _) = evaluate(&bars, 50, "sma(avwap(\"2024-01-01T00:00:00Z\"), 3)").expect("an expression");
    let mean = whole[2_947..2_950].iter().sum::<f64>() / 3.0;
    assert!(same(found[0], (mean * 3.0 - whole[2_947] + whole[2_950]) / 3.0));
    let (found, _) = evaluate(&bars, 50, "avwap(\"2024-01-01\", \"1d\")").expect("an expression");
    assert!(found.iter().all(|v| v.is_finite()));
}

#[test]
fn session_indicators_do_not_depend_on_more_history_than_they_ask_for() {
    let bars = hours(START);
    for text in
        ["pivot().r1", "pivot(\"woodie\", \"week\")", "pivot(\"demark\", \"month\").s1", "vwap(\"week\")"]
    {
        let (whole, pre_roll) = evaluate(&bars, 50, text).expect("an expression");
        let needed = usize::try_from(pre_roll / HOUR).expect("not negative");
        assert!(needed <= 1_550, "{text} {needed}");
        let (part, _) = evaluate(&tail(&bars, 2_950 - needed), 50, text).expect("an expression");
        assert_eq!(bits(&whole), bits(&part), "{text}");
        assert!(whole.iter().all(|v| v.is_finite()), "{text}");
    }
}

#[test]
fn heikin_ashi_is_a_source_for_other_indicators() {
    let bars = hours(START);
    let smoothed = compute(&bars, "heikin_ashi", &[]).remove(0);
    let mut averaged = hours(START);
    averaged.close = smoothed;
    let expected = compute(&averaged, "rsi", &[14.0]).remove(0);
    for text in ["rsi(heikin_ashi().close, 14)", "rsi(heikin_ashi(), 14)"] {
        let (found, _) = evaluate(&bars, 50, text).expect("an expression");
        assert!(found.iter().zip(&expected[2_950..]).all(|(a, b)| same(*a, *b)), "{text}");
    }
}

#[test]
fn what_looks_ahead_or_does_not_exist_is_refused_with_the_reason() {
    let bars = hours(START);
    let refused = |text: &str| evaluate(&bars, 50, text).expect_err("refused");
    let chikou = refused("ichimoku().chikou");
    assert!(chikou.contains("looks ahead") && chikou.contains("close[26]"), "{chikou}");
    let demark = refused("pivot(\"demark\").r2");
    assert!(demark.contains("has no `r2`: it has p, r1, s1"), "{demark}");
    assert!(refused("pivot(\"floor\")").contains("is one of \"classic\""));
    assert!(refused("vwap(\"quarter\")").contains("is one of \"day\""));
    assert!(refused("avwap(\"soon\")").contains("is a moment such as"));
    assert!(refused("avwap()").contains("takes 1 argument"));
}
