//! Metrics and their conventions.

use blockgrid_engine::metrics::METRICS;
use blockgrid_engine::strategy::Size;

use crate::common::*;

/// Two winners (+10, +20), a loser (-15) and an open trade (+5), of one unit each.
fn four() -> Run {
    marked().run(
        "
        100 long
        100 exit
        110 long
        110 exit
        130 long
        130 exit
        115 long
        115
        120",
    )
}

#[test]
fn the_open_trade_counts_as_a_trade_and_in_no_other_statistic_of_trades() {
    let m = four().metrics;
    assert_eq!((m.trades, m.win_rate, m.profit_factor, m.expectancy), (4.0, 2.0 / 3.0, 2.0, 5.0));
    // Profits 10, 20, -15: mean 5, variance (25 + 225 + 400) / 2.
    near(m.sqn, 3f64.sqrt() * 5.0 / 325f64.sqrt());
    assert_eq!((m.win_streak, m.loss_streak), (2.0, 1.0));
    near(m.best_trade, 20.0 / 110.0);
    near(m.worst_trade, -15.0 / 130.0);
    near(m.average_trade, (10.0 / 100.0 + 20.0 / 110.0 - 15.0 / 130.0) / 3.0);
}

#[test]
fn undefined_metrics_are_null_and_never_infinite() {
    let none = marked().run("100 \n 100 \n 100").metrics;
    let nulls = [none.sharpe, none.sortino, none.calmar, none.omega, none.win_rate, none.profit_factor];
    assert!(nulls.iter().all(|value| value.is_nan()));
    assert_eq!((none.total_return, none.trades, none.max_drawdown, none.exposure), (0.0, 0.0, 0.0, 0.0));
    // One winner and no loser: the profit factor divides by zero, one trade has no deviation.
    let one = marked().run("100 long \n 100 exit \n 110 \n 110").metrics;
    assert_eq!((one.win_rate, one.expectancy), (1.0, 10.0));
    assert!(one.profit_factor.is_nan() && one.sqn.is_nan());
    assert!(one.to_array().iter().all(|value| !value.is_infinite()));
}

#[test]
fn per_bar_returns_include_flat_bars_and_a_year_has_365_days() {
    // Returns 0, +10 %, 0, 0: mean 0.025, variance 0.0025 (ddof 1).
    let m = marked().size(Size::AllIn).run("100 long \n 100 110 100 110 exit \n 110 \n 110").metrics;
    let year = (365.0f64 * 24.0).sqrt();
    near(m.sharpe, 0.025 / 0.05 * year);
    near(m.volatility, 0.05 * year);
    assert_eq!(m.exposure, 0.25);
}

#[test]
fn cagr_counts_elapsed_time_from_the_open_of_the_first_bar() {
    // +10 % in four hours.
    let m = marked().size(Size::Base(text("1"))).run("100 long \n 100 \n 200 exit \n 200").metrics;
    near(m.total_return, 0.1);
    assert!((m.cagr / (1.1f64.powf(365.0 * 6.0) - 1.0) - 1.0).abs() < 1e-9);
}

#[test]
fn the_peak_of_the_drawdown_starts_at_the_initial_cash() {
    // A fee of 1 in the first traded bar is a drawdown of 0.1 %.
    let m = marked().fees(100.0, 100.0, 0.0).run("100 long \n 100 \n 100").metrics;
    near(m.max_drawdown, -0.001);
    assert_eq!(m.max_drawdown_bars, 2.0);
}

#[test]
fn daily_metrics_use_utc_day_returns() {
    // Four bars of six hours a day. Days of +5 % and 0 %: per bar there are eight returns, per day two.
    let bars = "100 long \n 100 \n 100 \n 150 \n 150 exit \n 150 \n 150 \n 150";
    let m = marked().run_on(&candles(interval("6h"), MONDAY, bars)).metrics;
    let (a, b) = (0.05, 0.0);
    let mean = (a + b) / 2.0;
    let deviation = (((a - mean) * (a - mean) + (b - mean) * (b - mean)) / 1.0f64).sqrt();
    near(m.sharpe_daily, mean / deviation * 365f64.sqrt());
    // 5 % of the way from 0 to 5 %.
    near(m.var_95, 0.05 * 0.05);
    near(m.cvar_95, 0.0);
}

#[test]
fn daily_metrics_are_null_for_intervals_over_a_day() {
    let m = marked().run_on(&candles(interval("1w"), MONDAY, "100 long \n 100 \n 150 \n 140 \n 130")).metrics;
    let daily = [m.sharpe_daily, m.sortino_daily, m.var_95, m.cvar_95, m.ulcer_index, m.alpha, m.beta];
    assert!(daily.iter().all(|value| value.is_nan()) && m.information_ratio.is_nan());
    assert!(m.sharpe.is_finite());
}

#[test]
fn fees_and_turnover_are_of_all_fills() {
    let m = marked().fees(100.0, 100.0, 0.0).run("100 long \n 100 exit \n 120 long \n 120 \n 120").metrics;
    near(m.fees_paid, 1.0 + 1.2 + 1.2);
    near(m.turnover, (100.0 + 120.0 + 120.0) / 1000.0);
}

#[test]
fn a_ruined_account_returns_nothing_more() {
    let m = marked().size(Size::AllIn).run("100 short \n 100 \n 250 \n 100 \n 100").metrics;
    assert_eq!((m.total_return, m.max_drawdown, m.cagr), (-1.0, -1.0, -1.0));
    // One return of -100 % and four of 0.
    near(m.sortino, -0.2 / 0.2f64.sqrt() * (365.0f64 * 24.0).sqrt());
}

#[test]
fn every_metric_says_its_convention() {
    assert!(METRICS.iter().all(|metric| metric.convention.len() > 20 && metric.convention.ends_with('.')));
}
