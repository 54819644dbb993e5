//! The event kernel equals the bar loop, whatever the tiles, the threads and the processor's vectors.

use blockgrid_engine::Candles;
use blockgrid_engine::graph::Graph;
use blockgrid_engine::metrics::{METRICS, Wanted};
use blockgrid_engine::sim::Semantics;
use blockgrid_engine::strategy::{Size, TrialPlan};
use blockgrid_engine::sweep::{Kernel, SymbolRun, TrialResult};
use proptest::prelude::*;

use crate::common::*;
use crate::generate::{case, config, setup, vectorbt_case};

/// Metrics of which the definition subtracts means: their sums are one pass here and two there. And `cagr`, which profile
/// `vectorbt` compounds return by return, so that a power magnifies what rounding did.
const OF_DEVIATIONS: [&str; 7] = ["volatility", "sharpe", "sortino", "omega", "sqn", "calmar", "cagr"];

/// What differs between two results.
fn differs(ours: &TrialResult, definition: &TrialResult) -> Option<String> {
    if (ours.first_bar, ours.rejected_orders, ours.deficit.to_bits())
        != (definition.first_bar, definition.rejected_orders, definition.deficit.to_bits())
    {
        return Some(format!("{ours:?} is not {definition:?}"));
    }
    let pairs = ours.metrics.to_array().into_iter().zip(definition.metrics.to_array());
    METRICS.iter().zip(pairs).find_map(|(metric, (a, b))| {
        let within = if OF_DEVIATIONS.contains(&metric.id) { 1e-9 } else { 1e-12 };
        // A ratio this large has a denominator of nothing but rounding.
        let of_rounding = OF_DEVIATIONS.contains(&metric.id) && a.abs() > 1e9 && b.abs() > 1e9;
        let same =
            a == b || (a - b).abs() <= within * b.abs().max(1.0) || (a.is_nan() && b.is_nan()) || of_rounding;
        (!same).then(|| format!("{} is {a}, not {b}", metric.id))
    })
}

fn prepared(setup: &Setup, candles: &Candles) -> (Graph, TrialPlan, SymbolRun) {
    let mut graph = Graph::new();
    let plan = setup.compile(candles.interval(), &mut graph).expect("a strategy that compiles");
    let symbol = setup.symbol(candles, &graph);
    (graph, plan, symbol)
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn the_event_kernel_trades_as_the_bar_loop_does((setup, candles) in case(2..400), history in 0..90_usize) {
        let setup = setup.with(|s| s.history = history.min(candles.len() - 1));
        let (graph, plan, symbol) = prepared(&setup, &candles);
        let events = symbol.outcome(&plan, &graph);
        let symbol = symbol.with_kernel(Kernel::BarLoop);
        let bars = symbol.outcome(&plan, &graph);
        prop_assert_eq!(&events.trades, &bars.trades);
        prop_assert!(events == bars, "equity, position, rejected orders or deficit differ");
    }

    #[test]
    fn the_event_kernel_measures_as_the_definition_does((setup, candles) in case(2..400), history in 0..90_usize) {
        let setup = setup.with(|s| s.history = history.min(candles.len() - 1));
        let (graph, plan, symbol) = prepared(&setup, &candles);
        let plans = [plan];
        let events = symbol.trials(&plans, &graph);
        let bars = symbol.with_kernel(Kernel::BarLoop).trials(&plans, &graph);
        if let Some(difference) = differs(&events[0], &bars[0]) {
            prop_assert!(false, "{}", difference);
        }
    }

    #[test]
    fn the_event_kernel_of_profile_vectorbt_equals_its_definition((setup, candles) in vectorbt_case(2..400)) {
        let (graph, plan, symbol) = prepared(&setup, &candles);
        let plans = [plan];
        let (outcome, events) = (symbol.outcome(&plans[0], &graph), symbol.trials(&plans, &graph));
        let symbol = symbol.with_kernel(Kernel::BarLoop);
        let (defined, bars) = (symbol.outcome(&plans[0], &graph), symbol.trials(&plans, &graph));
        prop_assert_eq!(&outcome.trades, &defined.trades);
        prop_assert!(outcome == defined, "equity, position or rejected orders differ");
        if let Some(difference) = differs(&events[0], &bars[0]) {
            prop_assert!(false, "{}", difference);
        }
    }

    #[test]
    fn a_few_metrics_are_those_of_all_and_simple_accounts_products_of_ratios(
        (setup, candles) in vectorbt_case(2..400),
        simple in any::<bool>(),
        with_fee in any::<bool>(),
        few in 0..3_usize,
    ) {
        // Half of them as simple as the quickest kernel takes.
        let setup = if simple {
            let fee = if with_fee && setup.strategy.short.is_none() { 10.0 } else { 0.0 };
            setup.risk(|risk| *risk = Default::default()).fees(fee, fee, 0.0).slippage(0.0, 0.0)
        } else {
            setup
        };
        let ids: &[&str] = [
            &["total_return", "max_drawdown"][..],
            &["total_return", "sharpe", "max_drawdown", "trades", "win_rate"],
            &["sortino", "max_drawdown_bars", "expectancy", "var_95"],
        ][few];
        let (graph, plan, symbol) = prepared(&setup, &candles);
        let symbol = symbol.with_metrics(Wanted::new(ids.iter().copied()).unwrap());
        let plans = [plan];
        let events = symbol.trials(&plans, &graph);
        let bars = symbol.with_kernel(Kernel::BarLoop).trials(&plans, &graph);
        if let Some(difference) = differs(&events[0], &bars[0]) {
            prop_assert!(false, "{}", difference);
        }
        let known = events[0].metrics.to_array();
        prop_assert!(METRICS.iter().zip(known).all(|(metric, value)| value.is_nan() || ids.contains(&metric.id)));
    }

    #[test]
    fn tiles_parts_and_vectors_change_no_bit(
        setups in proptest::collection::vec(setup(), 1..7),
        candles in crate::generate::market(60..2500),
    ) {
        let mut graph = Graph::new();
        let plans: Vec<TrialPlan> =
            setups.iter().map(|setup| setup.compile(interval("1h"), &mut graph).unwrap()).collect();
        let symbol = setups[0].symbol(&candles, &graph);
        let whole = symbol.trials(&plans, &graph);
        for (trials, bars) in [(1, 64), (2, 192), (3, 960)] {
            let parts = symbol.trials_in_tiles(&plans, &graph, trials, bars);
            prop_assert_eq!(bits(&parts), bits(&whole), "{} trials, {} bars", trials, bars);
        }
        let symbol = symbol.with_memory(1);
        prop_assert_eq!(bits(&symbol.trials(&plans, &graph)), bits(&whole), "one trial at a time");
        prop_assert_eq!(bits(&symbol.portable().trials(&plans, &graph)), bits(&whole));
    }
}

proptest! {
    // Longer, so fewer.
    #![proptest_config(ProptestConfig { cases: config().cases.div_ceil(4), ..config() })]

    #[test]
    fn more_history_changes_no_bit_where_it_changes_none_of_the_definition(
        (setup, candles) in case(500..1500),
        cut in 1..100_usize,
    ) {
        // The run begins with the same candle, and has fewer before it.
        let results = |history: usize, candles: &Candles, kernel: Kernel| {
            let setup = setup.clone().with(|s| s.history = history);
            let (graph, plan, symbol) = prepared(&setup, candles);
            bits(&symbol.with_kernel(kernel).trials(&[plan], &graph))
        };
        let less = candles.slice(cut..candles.len());
        let both = |kernel| [results(400, &candles, kernel), results(400 - cut, &less, kernel)];
        let [definition, of_less] = both(Kernel::BarLoop);
        if definition == of_less {
            let [events, of_less] = both(Kernel::Events);
            prop_assert_eq!(events, of_less);
        }
    }

    #[test]
    fn the_event_kernel_equals_the_bar_loop_over_many_tiles((setup, candles) in case(1100..3000)) {
        let (graph, plan, symbol) = prepared(&setup, &candles);
        let plans = [plan];
        let (outcome, events) = (symbol.outcome(&plans[0], &graph), symbol.trials(&plans, &graph));
        let symbol = symbol.with_kernel(Kernel::BarLoop);
        prop_assert!(outcome == symbol.outcome(&plans[0], &graph));
        if let Some(difference) = differs(&events[0], &symbol.trials(&plans, &graph)[0]) {
            prop_assert!(false, "{}", difference);
        }
    }
}

fn bits(results: &[TrialResult]) -> Vec<Vec<u64>> {
    let of = |result: &TrialResult| result.metrics.to_array().map(f64::to_bits).to_vec();
    results.iter().map(of).collect()
}

#[test]
fn a_jump_before_a_trade_takes_no_digits_from_its_returns() {
    for jump in [1.0, 20.0, 1e5, 1e8] {
        let level = |i: u32| if i < 50 { 1e-4 } else { 1e-4 * jump };
        let prices = (0..600).map(|i| level(i) * (1.0 + 1e-4 * f64::from(i * i % 37)));
        let candles = closes(MONDAY, prices);
        for semantics in [Semantics::Native, Semantics::Vectorbt] {
            for setup in [long("hour() == 7", "hour() == 20"), long("volume > 20", "")] {
                let late = long("hour() % 5 == 1 && dayOfWeek() > 4", "hour() % 5 == 3");
                for setup in [setup, late] {
                    let setup = setup.size(Size::AllIn).with(|s| s.execution.semantics = semantics);
                    let (graph, plan, symbol) = prepared(&setup, &candles);
                    let few = Wanted::new(["total_return", "sharpe", "max_drawdown"]).unwrap();
                    for wanted in [Wanted::default(), few] {
                        let run = setup.symbol(&candles, &graph).with_metrics(wanted);
                        let events = run.trials(std::slice::from_ref(&plan), &graph);
                        let bars =
                            run.with_kernel(Kernel::BarLoop).trials(std::slice::from_ref(&plan), &graph);
                        assert_eq!(differs(&events[0], &bars[0]), None, "jump {jump}, {semantics:?}");
                    }
                    drop(symbol);
                }
            }
        }
    }
}
