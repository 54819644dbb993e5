//! What a strategy document may say: every mistake is an error with the path of its field, before anything runs.

use super::*;
use crate::graph::Graph;

fn formula(text: &str) -> Formula {
    Formula(text.to_owned())
}

fn strategy() -> Strategy {
    Strategy {
        parameters: [("fast".to_owned(), 5.0), ("slow".to_owned(), 20.0)].into(),
        define: [("average".to_owned(), formula("sma(close, fast)"))].into(),
        long: Some(Side {
            enter: formula("average > sma(close, slow)"),
            exit: Some(formula("barsInPosition() > 3")),
            order: Order::Market,
        }),
        short: None,
        risk: Risk::default(),
        size: Size::AllIn,
        session: None,
    }
}

fn errors(change: impl FnOnce(&mut Strategy)) -> Vec<String> {
    let mut strategy = strategy();
    change(&mut strategy);
    let parameters = strategy.parameters.clone();
    let base = "1h".parse().unwrap();
    let compiled = ParsedStrategy::new(strategy)
        .and_then(|parsed| TrialPlan::compile(&parsed, &parameters, base, false, &mut Graph::new()));
    compiled.map_or_else(|errors| errors.iter().map(ToString::to_string).collect(), |_| Vec::new())
}

fn one(change: impl FnOnce(&mut Strategy)) -> String {
    let errors = errors(change);
    assert_eq!(errors.len(), 1, "{errors:?}");
    errors[0].clone()
}

#[test]
fn a_document_without_mistakes_compiles() {
    assert_eq!(errors(|_| ()), Vec::<String>::new());
}

#[test]
fn a_strategy_without_a_side_is_an_error() {
    assert!(one(|s| s.long = None).starts_with("long: neither `long` nor `short`"));
}

#[test]
fn names_that_cannot_be_used_are_errors() {
    let name = |name: &str| one(|s| drop(s.define.insert(name.to_owned(), formula("1"))));
    assert!(name("open").starts_with("define.open: `open` is a column"));
    assert!(name("2nd").contains("is no name"));
    assert!(name("in").contains("reserved word"));
    assert!(name("fast").contains("is a parameter too"));
}

#[test]
fn blocks_defined_by_themselves_are_errors() {
    let circle = errors(|s| {
        s.define.insert("a".to_owned(), formula("b + 1"));
        s.define.insert("b".to_owned(), formula("a + 1"));
    });
    assert_eq!(circle.len(), 2);
    assert!(circle[0].starts_with("define.a: `a` is defined by itself, through `b`"));
    assert!(one(|s| drop(s.define.insert("a".to_owned(), formula("a")))).contains("through `a`"));
}

#[test]
fn an_error_inside_a_block_belongs_to_the_block() {
    let message = one(|s| drop(s.define.insert("average".to_owned(), formula("sma(close, fast / 2)"))));
    assert!(message.starts_with("define.average: `window` of `sma` is 2.5"), "{message}");
}

#[test]
fn every_number_is_checked_in_its_own_field() {
    let errors = errors(|s| {
        s.risk.stop_loss = Some(Distance::Fraction(formula("2")));
        s.risk.take_profit = Some(Distance::Percent(formula("0")));
        s.risk.trail = Some(Trail {
            distance: TrailBy::Percent { percent: formula("100") },
            update: TrailUpdate::BarClose,
            follow: false,
        });
        s.risk.break_even = Some(BreakEven { at: formula("-1") });
        s.risk.max_bars = Some(formula("0"));
        s.risk.cooldown_bars = Some(formula("1.5"));
        s.size = Size::EquityPercent(formula("120"));
    });
    let paths: Vec<&str> = errors.iter().filter_map(|error| error.split(':').next()).collect();
    let expected = [
        "risk.stopLoss",
        "risk.takeProfit.percent",
        "risk.trail.percent",
        "risk.breakEven.at",
        "risk.maxBars",
        "risk.cooldownBars",
        "size.equityPercent",
    ];
    assert_eq!(paths, expected);
}

#[test]
fn numbers_of_risk_and_size_cannot_vary_from_bar_to_bar() {
    let message = one(|s| s.risk.stop_loss = Some(Distance::Fraction(formula("atr(14) / close"))));
    assert!(message.starts_with("risk.stopLoss: this must be a constant"), "{message}");
}

#[test]
fn conditions_are_conditions_and_prices_are_numbers() {
    let side = |s: &mut Strategy, order| s.long.as_mut().unwrap().order = order;
    assert!(one(|s| s.long.as_mut().unwrap().enter = formula("close")).contains("must be a condition"));
    let order = Order::Limit { price: formula("close > 1"), bars: formula("3") };
    assert!(one(|s| side(s, order)).starts_with("long.order.price: the expression must be a number"));
    let order = Order::Stop { price: formula("close"), bars: formula("0") };
    assert!(one(|s| side(s, order)).starts_with("long.order.bars: 0 is out of range"));
}

#[test]
fn a_strategy_knows_which_names_it_uses() {
    let mut strategy = Strategy { parameters: [("spare".to_owned(), 1.0)].into(), ..strategy() };
    strategy.parameters.extend([("fast".to_owned(), 5.0), ("slow".to_owned(), 20.0)]);
    strategy.define.insert("idle".to_owned(), formula("sma(close, spare)"));
    let parsed = ParsedStrategy::new(strategy).unwrap();
    assert_eq!(parsed.used().iter().collect::<Vec<_>>(), ["average", "fast", "slow"]);
}
