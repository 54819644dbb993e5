//! Candles, intervals, warm-up.

use blockgrid_engine::graph::{Graph, resample};
use blockgrid_engine::{Candles, Interval};

use crate::common::*;

/// Hourly closes 0, 1, 2, ... after 100.
fn counting(from: i64, hours: usize) -> Candles {
    closes(from, (0..hours).map(|i| 100.0 + i as f64))
}

/// The bars after which a long is entered.
fn heard(setup: &Setup, candles: &Candles) -> Vec<usize> {
    setup.run_on(candles).entries().iter().map(|entry| entry - 1).collect()
}

#[test]
fn hour_and_day_of_week_are_of_the_bars_open_in_utc() {
    let two_days = counting(MONDAY, 48);
    assert_eq!(heard(&long("hour() == 5 && dayOfWeek() == 2", ""), &two_days), [29]);
    assert_eq!(heard(&long("dayOfWeek() == 1 && hour() == 0", ""), &two_days), [0]);
    assert_eq!(heard(&long("dayOfMonth() == 2 && month() == 1", ""), &two_days), [24]);
}

#[test]
fn the_last_hour_of_a_day_sees_its_own_day() {
    // Monday's closes run from 100 to 123: Monday's candle is seen at the close of bar 23, not before.
    let entries = heard(&long(r#"tf("1d", close) == 123"#, ""), &counting(MONDAY, 72));
    assert_eq!(entries, [23]);
    // And until bar 46.
    let setup = long(r#"tf("1d", close) == 123 && hour() == 22"#, "");
    assert_eq!(heard(&setup, &counting(MONDAY, 72)), [46]);
}

#[test]
fn incomplete_first_and_last_higher_candles_do_not_exist() {
    // From 05:00 on Monday to 20:00 on Wednesday: Tuesday alone is whole.
    let candles = counting(MONDAY + 5 * HOUR, 19 + 24 + 20);
    assert_eq!(resample(&candles, Interval::DAY).timestamp(), [MONDAY + DAY]);
    let run = long(r#"tf("1d", close) > 0"#, "").run_on(&candles);
    assert_eq!((run.outcome.first_bar, run.entries()), (19 + 23, vec![19 + 24]));
}

/// A day of hours without those of a range, and a column beside them.
fn with_gap(gap: std::ops::Range<usize>) -> Candles {
    let all = counting(MONDAY, 24);
    let keep: Vec<usize> = (0..24).filter(|hour| !gap.contains(hour)).collect();
    let pick = |column: &[f64]| keep.iter().map(|&i| column[i]).collect::<Vec<_>>();
    let raw = blockgrid_engine::RawCandles {
        timestamp: keep.iter().map(|&i| all.timestamp()[i]).collect(),
        open: pick(all.open()),
        high: pick(all.high()),
        low: pick(all.low()),
        close: pick(all.close()),
        volume: pick(all.volume()),
    };
    let beside = keep.iter().map(|&i| i as f64).collect();
    Candles::new(all.interval(), raw).unwrap().with_columns(vec![("beside".to_owned(), beside)]).unwrap()
}

#[test]
fn a_filled_candle_repeats_the_close_before_the_gap_and_trades_nothing() {
    let candles = with_gap(8..12);
    assert_eq!(candles.fill_forward(3), candles, "the gap is longer");
    let filled = candles.fill_forward(4);
    assert_eq!((filled.len(), filled.gaps(), filled.filled()), (24, 0, 4));
    assert_eq!(filled.timestamp(), counting(MONDAY, 24).timestamp());
    for i in 8..12 {
        let prices = [filled.open()[i], filled.high()[i], filled.low()[i], filled.close()[i]];
        assert_eq!((prices, filled.volume()[i], filled.columns()[0].1[i]), ([107.0; 4], 0.0, 7.0));
    }
    assert_eq!((0..24).filter(|&i| filled.is_filled(i)).collect::<Vec<_>>(), [8, 9, 10, 11]);
    // It is a candle like any other: what is decided at it is filled at the next open, filled or not.
    assert_eq!(heard(&long("volume == 0", ""), &filled), [8]);
    assert_eq!(heard(&long("volume == 0", ""), &candles), Vec::<usize>::new());
}

#[test]
fn higher_candles_are_made_of_the_filled_ones() {
    let candles = with_gap(8..12);
    let four_hours = |candles: &Candles| resample(candles, interval("4h")).len();
    assert_eq!((four_hours(&candles), four_hours(&candles.fill_forward(4))), (5, 6));
    // The filled four hours are the last but one when those from 12:00 close, at the end of bar 15.
    let silent = long(r#"tf("4h", volume[1]) == 0"#, "");
    assert_eq!(heard(&silent, &candles.fill_forward(4)), [15]);
    assert_eq!(heard(&silent, &candles), Vec::<usize>::new());
}

#[test]
fn weeks_start_on_monday() {
    // From Thursday to the Tuesday of the week after next: one whole week, seen when Sunday's last hour closes.
    let thursday = MONDAY + 3 * DAY;
    let candles = counting(thursday, 24 * 13);
    let week = resample(&candles, interval("1w"));
    assert_eq!(week.timestamp(), [MONDAY + 7 * DAY]);
    let run = long(r#"tf("1w", close) > 0"#, "").run_on(&candles);
    assert_eq!(run.outcome.first_bar, 24 * 11 - 1);
}

#[test]
fn a_look_back_inside_tf_counts_higher_bars() {
    // Mondays's close is 123, Tuesday's 147. At the close of bar 47 the last day is Tuesday and the one before Monday.
    let days = counting(MONDAY, 96);
    assert_eq!(heard(&long(r#"tf("1d", close[1]) == 123"#, ""), &days), [47]);
    // Outside it counts bars of the run: at bar 24 the value one hour back is what bar 23 saw.
    assert_eq!(heard(&long(r#"tf("1d", close)[1] == 123"#, ""), &days), [24]);
}

#[test]
fn an_interval_as_last_argument_is_short_for_tf() {
    let candles = counting(MONDAY, 24 * 6);
    let short = long(r#"close > ema(close, 2, "1d")"#, "").run_on(&candles);
    let full = long(r#"close > tf("1d", ema(close, 2))"#, "").run_on(&candles);
    assert_eq!(short.outcome, full.outcome);
    assert_eq!(short.outcome.first_bar, 47);
}

#[test]
fn a_lower_or_non_multiple_interval_is_an_error() {
    let error = |enter: &str| long(enter, "").errors().join("; ");
    assert!(error(r#"tf("30m", close) > 0"#).contains("finer"));
    assert!(error(r#"tf("1d", tf("4h", close)) > 0"#).contains("finer"));
    let mut graph = Graph::new();
    let of = |text: &str| long(text, "");
    assert!(of(r#"tf("3h", close) > 0"#).compile(interval("2h"), &mut graph).is_err());
}

#[test]
fn a_higher_interval_whose_candles_are_not_whole_candles_of_the_run_is_an_error() {
    // Two-day candles count from the epoch, a Thursday; fortnights start on a Monday, in the middle of one.
    let mut graph = Graph::new();
    let errors = long(r#"tf("2w", close) > 0"#, "").compile(interval("2d"), &mut graph).unwrap_err();
    assert!(errors[0].message.contains("line up"), "{}", errors[0].message);
    assert!(long(r#"tf("2w", close) > 0"#, "").compile(interval("1d"), &mut graph).is_ok());
    assert!(long(r#"tf("3w", close) > 0"#, "").compile(interval("3d"), &mut graph).is_ok());
}

#[test]
fn trading_starts_when_the_trial_is_warm() {
    let run = long("close > sma(close, 5)", "").run_on(&counting(MONDAY, 20));
    assert_eq!((run.outcome.first_bar, run.outcome.equity.len()), (4, 16));
    assert_eq!(run.entries(), [5]);
    let short = long("close > sma(close, 50)", "").run_on(&counting(MONDAY, 20));
    assert!(short.outcome.equity.is_empty() && short.metrics.total_return.is_nan());
}

#[test]
fn candles_before_the_run_warm_up_and_are_not_traded() {
    let setup = long("close > sma(close, 5)", "").with(|s| s.history = 10);
    let run = setup.run_on(&counting(MONDAY, 20));
    assert_eq!((run.outcome.first_bar, run.outcome.equity.len(), run.entries()), (10, 10, vec![11]));
}

#[test]
fn everything_a_trial_looks_at_must_be_warm_not_only_its_entry() {
    let exit = long("close > 0", "close < sma(close, 7)").run_on(&counting(MONDAY, 20));
    assert_eq!(exit.outcome.first_bar, 6);
    let stop = long("close > 0", "").stop_price("lowest(low, 4)").run_on(&counting(MONDAY, 20));
    assert_eq!(stop.outcome.first_bar, 3);
    let trail = long("close > 0", "").trail_atr("3", "9", false).run_on(&counting(MONDAY, 20));
    assert_eq!(trail.outcome.first_bar, 9);
}

const HUNGRY: &[&str] = &[
    "ema(close, 20) > ema(close, 50)",
    "close > sma(ema(close, 20), 10)[3]",
    "rsi(close, 14) < 40 && atr(14) > atr(14)[5]",
    "crosses_above(macd(close).macd, macd(close).signal)",
    r#"close > ema(close, 3, "1d") && obv() > sma(obv(), 10)"#,
    r#"close > vwap() && tf("4h", rsi(ema(close, 5), 14) > 45)"#,
    "ema(ema(ema(close, 5), 5), 5) > close[40]",
    r#"crosses_above(ema(close, 10), close, "vectorbt") && adx(14) > 10"#,
];

/// A walk that wanders in cents.
fn walk(hours: usize) -> Candles {
    let mut state = 88_172_645_463_325_252_u64;
    let mut price = 50_000_i64;
    let prices = (0..hours).map(|_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        price = (price + (state % 401) as i64 - 200).max(1000);
        price as f64 / 100.0
    });
    closes(MONDAY, prices)
}

#[test]
fn a_nodes_value_does_not_depend_on_how_much_more_history_is_loaded() {
    let candles = walk(9000);
    for enter in HUNGRY {
        let mut graph = Graph::new();
        let plan = long(enter, "").compile(interval("1h"), &mut graph).unwrap();
        let need = usize::try_from(graph.pre_roll_ms(plan.roots()) / HOUR).unwrap();
        let start = 7000;
        assert!(need < start, "{enter} wants {need}");
        let outcome = |history: usize| {
            let setup = long(enter, "!(close > ema(close, 7))")
                .stop_price("close - atr(14)")
                .with(|s| s.history = history);
            let mut outcome = setup.run_on(&candles.slice(start - history..9000)).outcome;
            outcome.first_bar -= history;
            for trade in &mut outcome.trades {
                trade.entry.bar -= history;
                if let Some(exit) = &mut trade.exit {
                    exit.bar -= history;
                }
            }
            outcome
        };
        let need = need.max(500);
        let least = outcome(need);
        assert_eq!(least.first_bar, 0, "{enter} is warm at the start of the run");
        assert!(!least.trades.is_empty(), "{enter} trades");
        for more in [1, 7, 100, start - need] {
            assert_eq!(least, outcome(need + more), "{enter} with {more} more bars");
        }
    }
}

#[test]
fn short_history_delays_the_first_bar() {
    let candles = walk(400);
    let first = |history: usize| {
        let run = long("close > sma(close, 100)", "").with(|s| s.history = history).run_on(&candles);
        run.outcome.first_bar
    };
    assert_eq!([first(0), first(50), first(99), first(200)], [99, 99, 99, 200]);
}

#[test]
fn obv_is_anchored_at_the_first_bar_of_the_run() {
    // Volumes are 1 everywhere and closes rise: obv is 1 at the run's first bar whatever came before.
    let bars: String = (0..30).map(|i| format!("{} long\n", 100 + i)).collect();
    for history in [0, 3, 17] {
        let setup = long("obv() == 1", "").with(|s| s.history = history);
        assert_eq!(setup.run(&bars).entries(), [history + 1]);
    }
}

#[test]
fn buy_and_hold_starts_at_the_close_of_the_first_bar() {
    let run = long("close > sma(close, 5)", "").run_on(&counting(MONDAY, 20));
    assert_eq!(run.metrics.buy_and_hold_return, 119.0 / 104.0 - 1.0);
}
