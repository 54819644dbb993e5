//! Invariants of every run.

use blockgrid_engine::graph::Graph;
use blockgrid_engine::sim::{Direction, Fill, FillAt, Outcome, Reason};
use blockgrid_engine::strategy::TrialPlan;
use blockgrid_engine::sweep::TrialResult;
use proptest::prelude::*;

use crate::common::*;
use crate::generate::{case, config, market, setup};

/// Every fill in order: its signed quantity and the fill.
fn fills(outcome: &Outcome) -> Vec<(f64, Fill)> {
    let of_trade = |trade: &blockgrid_engine::sim::Trade| {
        let quantity = trade.direction.sign() * trade.quantity;
        [Some((quantity, trade.entry)), trade.exit.map(|exit| (-quantity, exit))]
    };
    outcome.trades.iter().flat_map(of_trade).flatten().collect()
}

fn bits(values: &[f64]) -> Vec<u64> {
    values.iter().map(|value| value.to_bits()).collect()
}

fn same(a: &TrialResult, b: &TrialResult) -> bool {
    a.first_bar == b.first_bar
        && (a.rejected_orders, a.deficit.to_bits()) == (b.rejected_orders, b.deficit.to_bits())
        && bits(&a.metrics.to_array()) == bits(&b.metrics.to_array())
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn results_on_a_prefix_are_the_prefix_of_the_results((setup, candles) in case(8..160), part in 0.05..1.0) {
        let end = ((candles.len() as f64 * part) as usize).max(2);
        let whole = setup.run_on(&candles).outcome;
        let prefix = setup.run_on(&candles.slice(0..end)).outcome;
        if prefix.equity.is_empty() {
            return Ok(());
        }
        prop_assert_eq!(prefix.first_bar, whole.first_bar);
        // The prefix's last close is not heard, which `fill: close` shows at once and `nextOpen` a bar later.
        let shown = if setup.execution.fill == FillAt::Close { end - 1 } else { end } - prefix.first_bar;
        prop_assert_eq!(bits(&prefix.equity[..shown]), bits(&whole.equity[..shown]));
        prop_assert_eq!(bits(&prefix.position[..shown]), bits(&whole.position[..shown]));
        let until = |outcome: &Outcome| {
            fills(outcome).into_iter().filter(|(_, fill)| fill.bar < prefix.first_bar + shown).collect::<Vec<_>>()
        };
        prop_assert_eq!(until(&prefix), until(&whole));
    }

    #[test]
    fn equity_is_cash_and_position_at_the_close((setup, candles) in case(8..160)) {
        let Run { outcome, .. } = setup.run_on(&candles);
        let fills = fills(&outcome);
        let (mut cash, mut held, mut ruined, mut next) = (setup.execution.initial_cash, 0.0, false, 0);
        let mut scale = cash;
        for (i, (&equity, &position)) in outcome.equity.iter().zip(&outcome.position).enumerate() {
            let bar = outcome.first_bar + i;
            while let Some((quantity, fill)) = fills.get(next).filter(|(_, fill)| fill.bar == bar) {
                prop_assert!(!ruined, "a fill after the account was ruined");
                cash -= quantity * fill.price + fill.fee;
                held += quantity;
                scale = f64::max(scale, (quantity * fill.price).abs());
                ruined = held == 0.0 && (cash <= 0.0 || fill.reason == Reason::Liquidation);
                next += 1;
            }
            let close = candles.close()[bar];
            scale = f64::max(scale, (held * close).abs());
            prop_assert!((position - held).abs() <= 1e-12 * held.abs());
            let expected = if ruined { 0.0 } else { cash + held * close };
            prop_assert!((equity - expected).abs() <= 1e-9 * scale, "bar {}: {} is not {}", bar, equity, expected);
        }
        prop_assert_eq!(next, fills.len());
        let deficit = if ruined { (-cash).max(0.0) } else { 0.0 };
        prop_assert!((outcome.deficit - deficit).abs() <= 1e-9 * scale);
    }

    #[test]
    fn equity_is_never_negative_and_a_deficit_needs_a_ruin((setup, candles) in case(8..160)) {
        let Run { outcome, .. } = setup.run_on(&candles);
        prop_assert!(outcome.equity.iter().all(|&equity| equity >= 0.0), "{:?}", outcome.equity);
        prop_assert!(outcome.deficit >= 0.0);
        if outcome.deficit > 0.0 {
            prop_assert_eq!(outcome.equity.last().copied(), Some(0.0));
        }
        // A liquidation at its own price loses what there is and no more. At a gap's open it may lose more, and at the
        // entry's own price when costs alone have ruined the account.
        if let Some((trade, exit)) = outcome.trades.last().and_then(|trade| Some((trade, trade.exit?))) {
            let worse = [candles.open()[exit.bar], trade.entry.raw_price].contains(&exit.raw_price);
            prop_assert!(exit.reason != Reason::Liquidation || worse || outcome.deficit == 0.0);
        }
    }

    #[test]
    fn raw_prices_lie_in_their_bars_and_costs_are_adverse((setup, candles) in case(8..160)) {
        let Run { outcome, .. } = setup.run_on(&candles);
        for (quantity, fill) in fills(&outcome) {
            let (low, high) = (candles.low()[fill.bar], candles.high()[fill.bar]);
            prop_assert!((low..=high).contains(&fill.raw_price), "{:?} is not in {}..{}", fill, low, high);
            let worse = (fill.price - fill.raw_price) * quantity.signum();
            prop_assert!(worse >= -1e-9 * fill.raw_price, "{:?} is better than its raw price", fill);
            prop_assert!(fill.fee >= 0.0 && fill.price.is_finite());
            let at_open = fill.timestamp == candles.timestamp()[fill.bar];
            prop_assert!(at_open || (fill.timestamp == candles.close_time(fill.bar) && fill.raw_price == candles.close()[fill.bar]));
        }
    }

    #[test]
    fn trades_come_one_after_the_other((setup, candles) in case(8..160)) {
        let Run { outcome, .. } = setup.run_on(&candles);
        let mut free = (outcome.first_bar, i64::MIN);
        for (i, trade) in outcome.trades.iter().enumerate() {
            prop_assert!(trade.quantity > 0.0);
            prop_assert!(trade.entry.bar >= free.0 && trade.entry.timestamp >= free.1, "{:?}", outcome.trades);
            match trade.exit {
                Some(exit) => {
                    prop_assert!(exit.bar >= trade.entry.bar && exit.timestamp >= trade.entry.timestamp);
                    prop_assert_eq!(trade.bars, exit.bar - trade.entry.bar);
                    free = (exit.bar, exit.timestamp);
                }
                None => prop_assert_eq!(i + 1, outcome.trades.len()),
            }
            let most = setup.strategy.risk.max_bars.as_ref().map_or(usize::MAX, |m| m.0.parse().unwrap());
            prop_assert!(trade.bars <= most);
            if trade.exit.is_some_and(|exit| exit.reason == Reason::Liquidation) {
                prop_assert_eq!(trade.direction, Direction::Short);
            }
        }
    }

    #[test]
    fn an_order_never_costs_more_than_the_cash((setup, candles) in case(8..160)) {
        let Run { outcome, .. } = setup.run_on(&candles);
        let mut cash = setup.execution.initial_cash;
        let mut most = cash;
        for trade in &outcome.trades {
            let costs = trade.quantity * trade.entry.price + trade.entry.fee;
            // Beside what rounding does to a sum that once was `most`.
            prop_assert!(costs <= cash * (1.0 + 1e-9) + 1e-12 * most, "{} of {}: {:?}", costs, cash, trade);
            cash += trade.pnl;
            most = most.max(cash);
        }
    }

    #[test]
    fn metrics_are_finite_or_null((setup, candles) in case(0..160)) {
        let Run { metrics, outcome, .. } = setup.run_on(&candles);
        for value in metrics.to_array() {
            prop_assert!(!value.is_infinite(), "{:?}", metrics);
        }
        prop_assert!(outcome.equity.is_empty() || (-1.0..=0.0).contains(&metrics.max_drawdown));
        prop_assert!(outcome.equity.is_empty() || metrics.trades == outcome.trades.len() as f64);
    }

    #[test]
    fn trials_depend_neither_on_threads_nor_on_the_trials_beside_them(
        setups in proptest::collection::vec(setup(), 1..7),
        candles in market(8..160),
        history in 0..40_usize,
    ) {
        let history = history.min(candles.len() - 1);
        let setups: Vec<Setup> = setups
            .into_iter()
            .map(|setup| setup.with(|s| s.history = history))
            .collect();
        let execution = setups[0].execution.clone();
        let mut shared = Graph::new();
        let compile = |setup: &Setup, graph: &mut Graph| setup.compile(interval("1h"), graph).unwrap();
        let plans: Vec<TrialPlan> = setups.iter().map(|setup| compile(setup, &mut shared)).collect();
        let first = setups[0].clone().with(|s| s.execution = execution.clone());
        let run = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let symbol = first.symbol(&candles, &shared);
            pool.install(|| symbol.trials(&plans, &shared))
        };
        let one = run(1);
        for threads in [2, 3, 7] {
            prop_assert!(one.iter().zip(run(threads)).all(|(a, b)| same(a, &b)), "{} threads", threads);
        }
        for (setup, result) in setups.iter().zip(&one) {
            let mut graph = Graph::new();
            let plan = compile(setup, &mut graph);
            // The session belongs to the job, not to the trial.
            let alone = first.symbol(&candles, &graph).trials(&[plan], &graph);
            prop_assert!(same(&alone[0], result), "{:?} alone is {:?}", result, alone[0]);
        }
    }
}

#[test]
fn random_strategies_reach_every_reason() {
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut seen = std::collections::BTreeMap::<&str, usize>::new();
    for _ in 0..1500 {
        let (setup, candles) = case(60..160).new_tree(&mut runner).unwrap().current();
        let outcome = setup.run_on(&candles).outcome;
        for (_, fill) in fills(&outcome) {
            *seen.entry(fill.reason.id()).or_default() += 1;
        }
        *seen.entry("rejected").or_default() += outcome.rejected_orders as usize;
        *seen.entry("deficit").or_default() += usize::from(outcome.deficit > 1e-6);
    }
    assert!(seen.len() == 13 && seen.values().all(|&count| count >= 10), "{seen:?}");
}
