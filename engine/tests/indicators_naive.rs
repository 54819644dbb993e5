//! Indicators that TA-Lib lacks, or gives otherwise, against their formulas in plain loops.

#[allow(dead_code, unreachable_pub, reason = "every test program uses its own part")]
#[path = "talib/series.rs"]
mod series;

use blockgrid_engine::indicators::find;
use series::Bars;

fn mixed() -> Bars {
    series::all().remove("mixed").expect("a series")
}

fn column(bars: &Bars, name: &str, params: &[f64]) -> Vec<f64> {
    bars.compute(find(name).expect("an indicator"), params).remove(0)
}

fn near(found: f64, expected: f64) -> bool {
    (found - expected).abs() <= 1e-9 * expected.abs().max(1.0)
}

fn top(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::MIN, f64::max)
}

fn bottom(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::MAX, f64::min)
}

#[test]
fn the_standard_score_counts_deviations() {
    let bars = mixed();
    for window in [1, 2, 3, 20] {
        let found = column(&bars, "zscore", &[window as f64]);
        assert!(found[..window - 1].iter().all(|v| v.is_nan()));
        for (i, values) in bars.close.windows(window).enumerate() {
            let mean = values.iter().sum::<f64>() / window as f64;
            let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / window as f64;
            let flat = values.iter().all(|v| *v == values[0]);
            let expected = if flat { 0.0 } else { (values[window - 1] - mean) / variance.sqrt() };
            assert!(near(found[i + window - 1], expected), "{window}: {} {expected}", found[i + window - 1]);
        }
    }
}

#[test]
fn of_equal_extremes_the_newest_counts() {
    let bars = mixed();
    for window in [1, 4, 30] {
        let (highest, lowest) =
            (column(&bars, "argmax", &[window as f64]), column(&bars, "argmin", &[window as f64]));
        for (i, values) in bars.close.windows(window).enumerate() {
            let since =
                |best: f64| values.iter().rev().position(|v| *v == best).expect("in the window") as f64;
            let at = i + window - 1;
            assert_eq!((highest[at], lowest[at]), (since(top(values)), since(bottom(values))));
        }
    }
}

#[test]
fn the_cloud_stands_where_the_chart_draws_it() {
    let bars = mixed();
    let found = bars.compute(find("ichimoku").expect("an indicator"), &[3.0, 7.0, 12.0, 5.0]);
    let middle = |at: usize, size: usize| {
        (top(&bars.high[at + 1 - size..=at]) + bottom(&bars.low[at + 1 - size..=at])) / 2.0
    };
    for i in 0..bars.close.len() {
        // The last span: 12 bars, shown 5 later.
        if i < 16 {
            assert!(found.iter().all(|column| column[i].is_nan()));
            continue;
        }
        let span_a = (middle(i - 5, 3) + middle(i - 5, 7)) / 2.0;
        for (column, expected) in found.iter().zip([middle(i, 3), middle(i, 7), span_a, middle(i - 5, 12)]) {
            assert!(near(column[i], expected), "bar {i}");
        }
    }
}

#[test]
fn an_extended_stop_turns_by_its_offset() {
    let flat = series::all().remove("flat").expect("a series");
    let price = flat.close[0];
    let found = column(&flat, "sarext", &[0.0, 0.5, 0.02, 0.02, 0.2, 0.02, 0.02, 0.2]);
    // It begins up at the low and is hit: down, half above the price, where nothing reaches it any more.
    assert_eq!(found[1], -1.5 * price);
    assert!(found[2..].iter().all(|&stop| stop < 0.0 && stop <= -price));
    // Without an offset it is hit at every bar.
    let turning = column(&flat, "sarext", &[0.0, 0.0, 0.02, 0.02, 0.2, 0.02, 0.02, 0.2]);
    for (i, stop) in turning.iter().enumerate().skip(1) {
        assert_eq!(*stop, if i % 2 == 0 { price } else { -price }, "bar {i}");
    }
}

#[test]
fn running_totals_lose_nothing_over_a_long_run() {
    let bars = series::all().remove("long").expect("a series");
    let found = column(&bars, "obv", &[]);
    let (mut cents, mut plain) = (0_i64, 0.0);
    let (mut worst, mut worst_plain) = (0.0_f64, 0.0_f64);
    for (i, on_balance) in found.iter().enumerate() {
        let sign = match i {
            0 => 1.0,
            _ if bars.close[i] == bars.close[i - 1] => 0.0,
            _ => (bars.close[i] - bars.close[i - 1]).signum(),
        };
        plain += sign * bars.volume[i];
        cents += sign as i64 * (bars.volume[i] * 100.0).round() as i64;
        let exact = cents as f64 / 100.0;
        worst = worst.max((on_balance - exact).abs());
        worst_plain = worst_plain.max((plain - exact).abs());
    }
    // What is left is that volumes of cents are not whole in binary.
    assert!(worst < 1e-9 && worst_plain > 3.0 * worst, "{worst:e}, a plain sum {worst_plain:e}");
}
