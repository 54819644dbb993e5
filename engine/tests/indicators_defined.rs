//! Averages and oscillators against their formulas in the plainest form, and where ours are defined and TA-Lib's are not.

#[allow(dead_code, unreachable_pub, reason = "every test program uses its own part")]
#[path = "talib/series.rs"]
mod series;

use blockgrid_engine::indicators::{Domain, all, find};
use proptest::prelude::*;
use series::Bars;

/// Candles of prices in whole units, so that ranges of zero and equal extremes are frequent.
fn bars() -> impl Strategy<Value = Bars> {
    let bar = (0_u8..6, 0_u8..3, 0_u8..3, 0_u8..3);
    prop::collection::vec(bar, 1..80).prop_map(|rows| {
        let column =
            |pick: fn(&(u8, u8, u8, u8)) -> u8| rows.iter().map(|row| f64::from(pick(row))).collect();
        Bars {
            timestamp: (0..rows.len() as i64).map(|i| i * 3_600_000).collect(),
            open: column(|&(price, ..)| 10 + price),
            high: column(|&(price, above, ..)| 10 + price + above),
            low: column(|&(price, _, below, _)| 10 + price - below),
            close: column(|&(price, ..)| 10 + price),
            volume: column(|&(.., volume)| volume),
        }
    })
}

fn closes(close: &[f64]) -> Bars {
    let column = || close.to_vec();
    Bars {
        timestamp: (0..close.len() as i64).map(|i| i * 3_600_000).collect(),
        open: column(),
        high: column(),
        low: column(),
        close: column(),
        volume: vec![1.0; close.len()],
    }
}

fn compute(bars: &Bars, name: &str, params: &[f64]) -> Vec<Vec<f64>> {
    let indicator = find(name).expect("an indicator");
    let left_out = indicator.params[params.len()..].iter().map(|param| param.default.expect("a default"));
    bars.compute(indicator, &params.iter().copied().chain(left_out).collect::<Vec<_>>())
}

/// Index of a word of the parameter `type`.
fn word(name: &str) -> f64 {
    let Domain::Choice(words) = find("ma").expect("ma").params[1].domain else { panic!("words") };
    words.iter().position(|word| *word == name).expect("a word") as f64
}

fn near(found: f64, expected: f64) -> bool {
    (found - expected).abs() <= 1e-11 * expected.abs().max(1.0)
}

fn max(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::NEG_INFINITY, f64::max)
}

fn min(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::INFINITY, f64::min)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn cutlers_rsi_is_the_share_of_gains(bars in bars(), window in 1_usize..12) {
        let found = compute(&bars, "rsi_cutler", &[window as f64]).swap_remove(0);
        let moves: Vec<f64> = bars.close.windows(2).map(|pair| pair[1] - pair[0]).collect();
        for (i, &found) in found.iter().enumerate().skip(window) {
            let within = &moves[i - window..i];
            let gain: f64 = within.iter().map(|m| m.max(0.0)).sum();
            let loss: f64 = within.iter().map(|m| (-m).max(0.0)).sum();
            let expected = if gain + loss == 0.0 { 50.0 } else { 100.0 * gain / (gain + loss) };
            prop_assert!(near(found, expected), "[{i}] {found} and {expected}");
        }
    }

    #[test]
    fn a_mean_by_volume_needs_volume(bars in bars(), window in 1_usize..6) {
        let found = compute(&bars, "vwma", &[window as f64]).swap_remove(0);
        for (i, &found) in found.iter().enumerate().skip(window - 1) {
            let at = i + 1 - window..=i;
            let volume: f64 = bars.volume[at.clone()].iter().sum();
            let value: f64 = at.clone().map(|i| bars.close[i] * bars.volume[i]).sum();
            let plain = bars.close[at].iter().sum::<f64>() / window as f64;
            let expected = if volume == 0.0 { plain } else { value / volume };
            prop_assert!(near(found, expected), "[{i}] {found} and {expected}");
        }
    }

    #[test]
    fn of_equal_extremes_the_newest_counts(bars in bars(), window in 1_usize..12) {
        let found = compute(&bars, "aroon", &[window as f64]);
        for i in window..bars.close.len() {
            let (high, low) = (&bars.high[i - window..=i], &bars.low[i - window..=i]);
            let up = high.iter().rposition(|value| *value == max(high)).expect("a highest");
            let down = low.iter().rposition(|value| *value == min(low)).expect("a lowest");
            for (found, place) in [(&found[0], up), (&found[1], down)] {
                prop_assert!(near(found[i], 100.0 * place as f64 / window as f64), "[{i}]");
            }
        }
    }

    #[test]
    fn no_range_is_the_middle(bars in bars(), windows in prop::array::uniform3(1_usize..8)) {
        let [short, middle, long] = windows;
        let stochf = compute(&bars, "stochf", &[short as f64, 1.0]).swap_remove(0);
        let willr = compute(&bars, "willr", &[short as f64]).swap_remove(0);
        for i in short - 1..bars.close.len() {
            let at = i + 1 - short..=i;
            let (top, bottom) = (max(&bars.high[at.clone()]), min(&bars.low[at]));
            let share = if top == bottom { 0.5 } else { (bars.close[i] - bottom) / (top - bottom) };
            prop_assert!(near(stochf[i], 100.0 * share) && near(willr[i], 100.0 * share - 100.0), "[{i}]");
        }
        let ultosc = compute(&bars, "ultosc", &windows.map(|window| window as f64)).swap_remove(0);
        let mut sorted = [short, middle, long];
        sorted.sort_unstable();
        for (i, &found) in ultosc.iter().enumerate().skip(sorted[2]) {
            let share = |window: usize| {
                let bars = (i + 1 - window..=i).map(|i| {
                    let (bottom, top) =
                        (bars.low[i].min(bars.close[i - 1]), bars.high[i].max(bars.close[i - 1]));
                    (bars.close[i] - bottom, top - bottom)
                });
                let (pressure, range) = bars.fold((0.0, 0.0), |sums, bar| (sums.0 + bar.0, sums.1 + bar.1));
                if range == 0.0 { 0.5 } else { pressure / range }
            };
            let expected = 100.0 * (4.0 * share(sorted[0]) + 2.0 * share(sorted[1]) + share(sorted[2])) / 7.0;
            prop_assert!(near(found, expected), "[{i}] {found} and {expected}");
        }
    }
}

#[test]
fn a_word_gives_the_average_of_that_name() {
    let series = series::all();
    let bars = &series["mixed"];
    let Domain::Choice(words) = find("ma").expect("ma").params[1].domain else { panic!("words") };
    for name in words {
        for window in [1.0, 8.0, 33.0] {
            let (ours, named) = (compute(bars, "ma", &[window, word(name)]), compute(bars, name, &[window]));
            assert!(ours[0].iter().zip(&named[0]).all(|(a, b)| a.to_bits() == b.to_bits()), "{name}");
        }
    }
    // And every indicator that takes words takes these.
    for indicator in all() {
        for param in indicator.params.iter().filter(|param| param.name.ends_with("type")) {
            assert_eq!(param.domain, Domain::Choice(words), "{}", indicator.name);
        }
    }
}

#[test]
fn an_rsi_that_stands_still_has_no_range_but_its_rounding() {
    let moving = (0..40).map(|i| 100.0 + f64::from(i * i % 17) * 0.37);
    let close: Vec<f64> = moving.chain(std::iter::repeat_n(103.1, 40)).collect();
    let bars = closes(&close);
    let rsi = compute(&bars, "rsi", &[14.0]).swap_remove(0);
    assert!(rsi[41..].windows(2).any(|pair| pair[0] != pair[1]), "the rsi is rounded while it stands still");
    let found = compute(&bars, "stochrsi", &[14.0, 5.0, 3.0]);
    // The last move is into bar 40: five values of the rsi from there on, then three of k.
    assert!(found[0][44..].iter().all(|&k| k == 50.0));
    assert!(found[1][47..].iter().all(|&d| (d - 50.0).abs() < 1e-9));
    assert_ne!(found[0][43], 50.0);
}

#[test]
fn a_share_of_zero_is_unknown() {
    let mut close = vec![3.0, 1.0, 2.0, 0.0, 5.0, 4.0, 7.0, 6.0];
    close.extend([0.0; 8]);
    let bars = closes(&close);
    for (name, params, at) in [
        ("rocp", &[2.0][..], 5),
        ("rocr", &[2.0], 5),
        ("coppock", &[1.0, 2.0, 1.0], 4),
        ("trix", &[1.0], 4),
        ("ppo", &[2.0, 4.0, 0.0], 11),
    ] {
        let found = compute(&bars, name, params).swap_remove(0);
        assert!(found[at].is_nan() && found[at - 1].is_finite(), "{name}: {found:?}");
    }
}

#[test]
fn a_fast_window_longer_than_the_slow_one_turns_the_sign() {
    let series = series::all();
    let bars = &series["trend"];
    let (rma, t3) = (word("rma"), word("t3"));
    for (name, one, other) in [
        ("apo", vec![5.0, 12.0, t3], vec![12.0, 5.0, t3]),
        ("macdext", vec![5.0, rma, 12.0, t3, 4.0, rma], vec![12.0, t3, 5.0, rma, 4.0, rma]),
    ] {
        for (one, other) in compute(bars, name, &one).iter().zip(&compute(bars, name, &other)) {
            let pairs = one.iter().zip(other).skip(90);
            assert!(pairs.clone().all(|(one, other)| near(*one, -other)), "{name}");
            assert!(pairs.last().is_some_and(|(one, _)| *one != 0.0), "{name}");
        }
    }
}
