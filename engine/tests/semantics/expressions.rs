//! Arithmetic, unknown values, look-back, names.

use blockgrid_engine::graph::Graph;
use blockgrid_engine::strategy::{ParsedStrategy, TrialPlan};

use crate::common::*;

/// The bars at whose close a condition is a known true, after one bar of warm-up at most.
fn true_at(condition: &str, prices: &[f64]) -> Vec<usize> {
    // One bar more, so that the last is heard; every entry leaves at once to let the next be heard.
    let candles = closes(MONDAY, prices.iter().copied().chain([1.0, 1.0]));
    (0..prices.len())
        .filter(|&bar| {
            let at = format!("({condition}) && hour() == {bar}");
            !long(&at, "").run_on(&candles).outcome.trades.is_empty()
        })
        .collect()
}

#[test]
fn all_arithmetic_is_f64() {
    assert_eq!(true_at("close * (1/2) == 3.5", &[6.0, 7.0]), [1]);
    assert_eq!(true_at("close % 2 == 1", &[6.0, 7.0]), [1]);
    assert_eq!(true_at("7 / 2 == 3.5 && close > 0", &[1.0]), [0]);
}

#[test]
fn windows_must_be_whole_and_at_least_one() {
    for window in ["0", "-3", "2.5", "1/3", "10000000"] {
        let errors = long(&format!("close > sma(close, {window})"), "").errors();
        assert!(errors[0].starts_with("long.enter: `window` of `sma`"), "{errors:?}");
    }
    assert!(long("close > sma(close, 6/2)", "").errors().is_empty());
    assert!(long("close > sma(close, close)", "").errors()[0].contains("must be a constant or a parameter"));
}

#[test]
fn windows_are_checked_for_every_trial() {
    let setup = long("close > sma(close, slow / fast)", "");
    let parsed = {
        let mut strategy = setup.strategy;
        strategy.parameters.extend([("slow".to_owned(), 9.0), ("fast".to_owned(), 3.0)]);
        ParsedStrategy::new(strategy).unwrap()
    };
    let mut graph = Graph::new();
    let mut compile = |fast: f64| {
        let parameters = [("slow".to_owned(), 9.0), ("fast".to_owned(), fast)].into();
        TrialPlan::compile(&parsed, &parameters, interval("1h"), false, &mut graph)
    };
    assert!(compile(3.0).is_ok());
    assert!(compile(2.0).unwrap_err()[0].message.contains("is 4.5, but a window is a whole number"));
}

#[test]
fn long_expressions_are_refused_before_they_are_parsed() {
    let long_text = vec!["close"; 100_000].join(" + ") + " > 0";
    assert!(long(&long_text, "").errors()[0].contains("the limit is 8192"));
}

/// `close - close` over itself: unknown at every bar.
const UNKNOWN: &str = "(close / (close - close) > 0)";

#[test]
fn only_a_known_true_acts() {
    let prices = [1.0, 2.0, 3.0];
    for (condition, expected) in [
        (UNKNOWN.to_owned(), vec![]),
        (format!("!{UNKNOWN}"), vec![]),
        (format!("{UNKNOWN} || close > 1"), vec![1, 2]),
        (format!("{UNKNOWN} && close > 1"), vec![]),
        (format!("!({UNKNOWN} && close > 1)"), vec![0]),
        (format!("{UNKNOWN} == {UNKNOWN}"), vec![]),
        (format!("{UNKNOWN} ? true : true"), vec![]),
        (format!("(close > 1 ? {UNKNOWN} : true)"), vec![0]),
        ("close / (close - 2) != 7".to_owned(), vec![0, 2]),
        ("!(sqrt(close - 2) > 0)".to_owned(), vec![1]),
    ] {
        assert_eq!(true_at(&condition, &prices), expected, "{condition}");
    }
}

#[test]
fn a_negated_comparison_does_not_enter_during_warm_up() {
    let falling: Vec<f64> = (0..20).map(|i| 100.0 - f64::from(i)).collect();
    let run = long("!(rsi(close, 5) > 30)", "").run_on(&closes(MONDAY, falling));
    assert_eq!((run.outcome.first_bar, run.entries()), (5, vec![6]));
}

#[test]
fn a_look_back_looks_k_bars_back_and_never_ahead() {
    assert_eq!(true_at("close[2] == 1", &[1.0, 2.0, 3.0, 4.0]), [2]);
    assert_eq!(true_at("close[0] == 2", &[1.0, 2.0, 3.0]), [1]);
    assert_eq!(true_at("close[50] == 1", &[1.0, 2.0, 3.0]), Vec::<usize>::new());
    for (look_back, message) in
        [("-1", "looks into the future"), ("0.5", "whole number"), ("close", "constant number")]
    {
        let errors = long(&format!("close[{look_back}] > 1"), "").errors();
        assert!(errors[0].contains(message), "{errors:?}");
    }
}

#[test]
fn a_value_k_bars_back_is_the_value_that_was_seen_there() {
    // Bit for bit, for recursive averages too, however deep in history they stand.
    let prices: Vec<f64> = (0..600).map(|i| 100.0 + 7.0 * f64::from(i * 37 % 101) / 101.0).collect();
    let candles = closes(MONDAY, prices);
    for x in ["ema(close, 9)", "rsi(close, 9)", "(ema(close, 4) - ema(close, 9))", "sma(ema(close, 9), 3)"] {
        for k in [1, 2, 5, 16, 40] {
            // The difference of x and x[k], summed over the last k bars, is x - x[k] summed: so compare directly.
            let same = format!("{x} - {x}[{k}] == mom({x}, {k})");
            let setup = long(&format!("!({same})"), "").with(|s| s.history = 400);
            let run = setup.run_on(&candles);
            assert!(run.outcome.trades.is_empty(), "{same}: not so at bar {:?}", run.entries());
        }
    }
}

#[test]
fn crossings_follow_their_named_rules() {
    // Below, equal, above; then equal, above again.
    let prices = [1.0, 2.0, 3.0, 2.0, 3.0];
    assert_eq!(true_at("crosses_above(close, close * 0 + 2)", &prices), [2, 4]);
    assert_eq!(true_at(r#"crosses_above(close, close * 0 + 2, "strict")"#, &prices), Vec::<usize>::new());
    assert_eq!(true_at(r#"crosses_above(close, close * 0 + 2, "vectorbt")"#, &prices), [2, 4]);
    assert_eq!(true_at("crosses_below(close, 2.5)", &prices), [3]);
    // The first bar has none before it: unknown, so its negation is not true either.
    assert_eq!(true_at("!crosses_above(close, 0.5)", &[1.0, 2.0]), [1]);
}

#[test]
fn position_functions_in_an_enter_are_a_compile_error() {
    for function in ["barsInPosition() > 1", "entryPrice() > 1", "unrealizedReturn() > 1"] {
        let errors = long(function, "").errors();
        assert!(errors[0].contains("stands in `exit` and `risk` only"), "{errors:?}");
        assert!(long("close > 1", function).errors().is_empty());
    }
    let named = long("held", "held").define("held", "barsInPosition() > 1");
    assert!(named.errors()[0].contains("stands in `exit` and `risk` only"));
    assert!(long("close > 1", "held").define("held", "barsInPosition() > 1").errors().is_empty());
}

#[test]
fn bars_in_position_is_zero_at_the_close_of_the_entry_bar() {
    let bars = "100 long \n 101 \n 102 \n 103 \n 104";
    assert_eq!(long(LONG, "barsInPosition() == 0").trades(bars), ["long 1@101 -> 2@102 exitSignal"]);
    assert_eq!(long(LONG, "barsInPosition() == 1").trades(bars), ["long 1@101 -> 3@103 exitSignal"]);
}

#[test]
fn entry_price_and_unrealized_return_are_of_the_slipped_entry_and_the_close() {
    let bars = "100 long \n 100 \n 102 \n 112 \n 112";
    // Bought at 101.
    assert_eq!(long(LONG, "entryPrice() == 101").slippage(100.0, 0.0).run(bars).outcome.trades[0].bars, 1);
    let gain = long(LONG, "unrealizedReturn() > 0.1").slippage(100.0, 0.0);
    assert_eq!(gain.trades(bars), ["long 1@100 -> 4@112 exitSignal"]);
    let short = Setup::new(None, Some(market(SHORT, "unrealizedReturn() < -0.1")));
    assert_eq!(short.trades("100 short \n 100 \n 102 \n 112 \n 112"), ["short 1@100 -> 4@112 exitSignal"]);
}

#[test]
fn equal_averages_compare_equal() {
    // A flat series of decimals: the averages of every window are its value.
    let candles = closes(MONDAY, std::iter::repeat_n(0.1, 200));
    let run = long("sma(close, 3) != sma(close, 7) || sma(close, 11) != close", "").run_on(&candles);
    assert!(run.outcome.trades.is_empty());
    let crossing = long("crosses_above(sma(close, 3), sma(close, 7))", "").run_on(&candles);
    assert!(crossing.outcome.trades.is_empty());
}

#[test]
fn vwap_resets_with_the_utc_day() {
    // A step at midnight: the vwap of the new day knows nothing of the old one.
    let bars: String = (0..30).map(|i| if i < 24 { "100 long\n" } else { "50 long\n" }).collect();
    assert_eq!(long("vwap() == 50", "").run(&bars).entries(), [25]);
}

#[test]
fn constants_that_are_no_number_are_an_error_before_the_run() {
    for enter in
        ["close > 1 / 0", "close > sqrt(-1)", "close > log(0)", "close > 5 % 0", "close > 1e308 * 10"]
    {
        assert!(long(enter, "").errors()[0].contains("not a number"), "{enter}");
    }
}

/// A define chain `b0 <- b1 <- ...`, each of the given form.
fn chain(blocks: usize, form: &str) -> Setup {
    let mut setup = long(&format!("b{} > 0", blocks - 1), "").define("b0", "close");
    for i in 1..blocks {
        setup = setup.define(&format!("b{i}"), &form.replace('x', &format!("b{}", i - 1)));
    }
    setup
}

#[test]
fn a_chain_of_thousands_of_blocks_is_an_error_and_not_a_stack_overflow() {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    let forms = ["x", "x + 1", "ema(x, 2)", "-x", "x[1]", "sma(x, 2) > 0 ? x : x[1]", "tf(\"1d\", x)"];
    for (form, blocks) in forms.into_iter().zip([2000].into_iter().chain(std::iter::repeat(420))) {
        let errors = pool.install(|| chain(blocks, form).errors());
        let refused = errors.iter().any(|error| error.contains("nest deeper"));
        assert!(refused, "{form}: {errors:?}");
    }
}

#[test]
fn the_deepest_chain_that_compiles_runs_on_a_thread_of_two_megabytes() {
    let candles = closes(MONDAY, (0..600).map(|i| 100.0 + f64::from(i % 17)));
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    for form in ["x + 1", "x[1]", "ema(x, 2)", "x + x[1]", "close > 5 ? x : x[2]"] {
        for blocks in [60, 130, 195, 390] {
            let setup = chain(blocks, form);
            if setup.errors().is_empty() {
                pool.install(|| setup.run_on(&candles));
            }
        }
    }
}

#[test]
fn looking_back_at_many_depths_does_not_make_the_pre_roll_slow() {
    let mut setup = long("b30 > 0", "").define("b0", "ema(close, 5)");
    for i in 1..=30 {
        setup = setup.define(&format!("b{i}"), &format!("b{} + b{}[{}]", i - 1, i - 1, 1 << (i % 12)));
    }
    let mut graph = Graph::new();
    let plan = setup.compile(interval("1h"), &mut graph).unwrap();
    assert!(graph.pre_roll_ms(plan.roots()) > 0);
    setup.run_on(&closes(MONDAY, (0..100).map(|i| 100.0 + f64::from(i % 17))));
    let plain = setup.define("b0", "close");
    let mut graph = Graph::new();
    let plan = plain.compile(interval("1h"), &mut graph).unwrap();
    assert!(graph.pre_roll_ms(plan.roots()) > 0);
}
