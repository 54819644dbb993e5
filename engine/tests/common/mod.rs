//! What the tests of semantics share: candles from short literals, strategies from text, trades as text.
#![allow(dead_code, unreachable_pub, reason = "every test program uses its own part of the harness")]

use std::collections::{BTreeMap, BTreeSet};

use blockgrid_engine::graph::Graph;
use blockgrid_engine::metrics::Metrics;
use blockgrid_engine::sim::{Execution, Fees, FillAt, Outcome, Semantics, Slippage, SymbolRules};
use blockgrid_engine::strategy::{
    BreakEven, Distance, Formula, Order, ParsedStrategy, Reentry, Risk, SameBar, Session, Side, Size,
    Strategy, StrategyError, Trail, TrailBy, TrailUpdate, TrialPlan,
};
use blockgrid_engine::sweep::SymbolRun;
use blockgrid_engine::{Candles, Interval, RawCandles};

/// Monday 2024-01-01T00:00Z.
pub const MONDAY: i64 = 1_704_067_200_000;
pub const HOUR: i64 = 3_600_000;
pub const DAY: i64 = 24 * HOUR;

/// Conditions that are true at the bars whose literal carries the word: they read it from the volume.
pub const LONG: &str = "volume % 2 == 1";
pub const EXIT: &str = "floor(volume / 2) % 2 == 1";
pub const SHORT: &str = "floor(volume / 4) % 2 == 1";
pub const COVER: &str = "floor(volume / 8) % 2 == 1";

pub fn text(formula: &str) -> Formula {
    Formula(formula.to_owned())
}

pub fn interval(text: &str) -> Interval {
    text.parse().expect("an interval")
}

/// Candles from one line a bar: `open high low close` or a single price, then any of the words `long exit short cover`.
pub fn candles(interval: Interval, from: i64, bars: &str) -> Candles {
    let mut raw = RawCandles::default();
    for (row, line) in bars.lines().map(str::trim).filter(|line| !line.is_empty()).enumerate() {
        let (mut prices, mut marks) = (Vec::new(), 0);
        for word in line.split_whitespace() {
            match word {
                "long" => marks += 1,
                "exit" => marks += 2,
                "short" => marks += 4,
                "cover" => marks += 8,
                price => prices.push(price.parse::<f64>().expect("a price or a mark")),
            }
        }
        let [open, high, low, close] = match prices[..] {
            [open, high, low, close] => [open, high, low, close],
            [price] => [price; 4],
            _ => panic!("`{line}` has {} prices", prices.len()),
        };
        raw.timestamp.push(from + row as i64 * interval.millis());
        raw.open.push(open);
        raw.high.push(high);
        raw.low.push(low);
        raw.close.push(close);
        raw.volume.push(f64::from(marks));
    }
    Candles::new(interval, raw).expect("candles")
}

/// Hourly candles of one price and a volume of 10 each.
pub fn closes(from: i64, prices: impl IntoIterator<Item = f64>) -> Candles {
    let close: Vec<f64> = prices.into_iter().collect();
    let n = close.len();
    let raw = RawCandles {
        timestamp: (0..n as i64).map(|i| from + i * HOUR).collect(),
        open: close.clone(),
        high: close.clone(),
        low: close.clone(),
        close,
        volume: vec![10.0; n],
    };
    Candles::new(interval("1h"), raw).expect("candles")
}

/// A strategy and everything around it; no costs, cash of 1000, one unit a trade unless a test says otherwise.
#[derive(Debug, Clone)]
pub struct Setup {
    pub strategy: Strategy,
    pub execution: Execution,
    pub rules: SymbolRules,
    /// Bars of warm-up before the run.
    pub history: usize,
}

pub fn market(enter: &str, exit: &str) -> Side {
    let exit = (!exit.is_empty()).then(|| text(exit));
    Side { enter: text(enter), exit, order: Order::Market }
}

/// Both sides, each entered and left at the bars that say so.
pub fn marked() -> Setup {
    Setup::new(Some(market(LONG, EXIT)), Some(market(SHORT, COVER)))
}

/// A long side with the given conditions.
pub fn long(enter: &str, exit: &str) -> Setup {
    Setup::new(Some(market(enter, exit)), None)
}

/// What a run came to.
#[derive(Debug)]
pub struct Run {
    pub outcome: Outcome,
    pub metrics: Metrics,
    pub candles: Candles,
}

impl Setup {
    pub fn new(long: Option<Side>, short: Option<Side>) -> Self {
        let strategy = Strategy {
            parameters: BTreeMap::new(),
            define: BTreeMap::new(),
            long,
            short,
            risk: Risk::default(),
            size: Size::Base(text("1")),
            session: None,
        };
        let execution = Execution {
            semantics: Semantics::Native,
            fill: FillAt::NextOpen,
            fees: Fees::default(),
            slippage: Slippage::default(),
            initial_cash: 1000.0,
        };
        Self { strategy, execution, rules: SymbolRules::default(), history: 0 }
    }

    pub fn with(mut self, change: impl FnOnce(&mut Setup)) -> Self {
        change(&mut self);
        self
    }

    pub fn risk(self, change: impl FnOnce(&mut Risk)) -> Self {
        self.with(|s| change(&mut s.strategy.risk))
    }

    pub fn define(self, name: &str, formula: &str) -> Self {
        self.with(|s| {
            s.strategy.define.insert(name.to_owned(), text(formula));
        })
    }

    pub fn stop(self, fraction: &str) -> Self {
        self.risk(|r| r.stop_loss = Some(Distance::Fraction(text(fraction))))
    }

    pub fn stop_price(self, price: &str) -> Self {
        self.risk(|r| r.stop_loss = Some(Distance::Price(text(price))))
    }

    pub fn target(self, fraction: &str) -> Self {
        self.risk(|r| r.take_profit = Some(Distance::Fraction(text(fraction))))
    }

    pub fn trail(self, percent: &str, update: TrailUpdate) -> Self {
        let distance = TrailBy::Percent { percent: text(percent) };
        self.risk(|r| r.trail = Some(Trail { distance, update, follow: false }))
    }

    pub fn trail_atr(self, multiple: &str, period: &str, follow: bool) -> Self {
        let distance = TrailBy::Atr { multiple: text(multiple), period: text(period) };
        self.risk(|r| r.trail = Some(Trail { distance, update: TrailUpdate::BarClose, follow }))
    }

    pub fn break_even(self, at: &str) -> Self {
        self.risk(|r| r.break_even = Some(BreakEven { at: text(at) }))
    }

    pub fn max_bars(self, bars: &str) -> Self {
        self.risk(|r| r.max_bars = Some(text(bars)))
    }

    pub fn cooldown(self, bars: &str) -> Self {
        self.risk(|r| r.cooldown_bars = Some(text(bars)))
    }

    pub fn reentry(self, reentry: Reentry) -> Self {
        self.risk(|r| r.reentry = reentry)
    }

    pub fn same_bar(self, same_bar: SameBar) -> Self {
        self.risk(|r| r.same_bar = same_bar)
    }

    pub fn size(self, size: Size) -> Self {
        self.with(|s| s.strategy.size = size)
    }

    pub fn fill(self, fill: FillAt) -> Self {
        self.with(|s| s.execution.fill = fill)
    }

    pub fn fees(self, taker_bps: f64, maker_bps: f64, per_order: f64) -> Self {
        self.with(|s| s.execution.fees = Fees { taker_bps, maker_bps, per_order })
    }

    pub fn slippage(self, bps: f64, range_share: f64) -> Self {
        self.with(|s| s.execution.slippage = Slippage { bps, range_share })
    }

    pub fn session(self, days: &[&str], from: &str, to: &str) -> Self {
        let days = days.iter().map(|day| (*day).to_owned()).collect();
        let session = Session { zone: "UTC".to_owned(), days, from: from.to_owned(), to: to.to_owned() };
        self.with(|s| s.strategy.session = Some(session))
    }

    pub fn order(self, order: &Order) -> Self {
        self.with(|s| {
            for side in [&mut s.strategy.long, &mut s.strategy.short].into_iter().flatten() {
                side.order = order.clone();
            }
        })
    }

    pub fn limit(self, price: &str, bars: &str) -> Self {
        self.order(&Order::Limit { price: text(price), bars: text(bars) })
    }

    pub fn stop_order(self, price: &str, bars: &str) -> Self {
        self.order(&Order::Stop { price: text(price), bars: text(bars) })
    }

    /// Every error of the document, as `path: message`.
    pub fn errors(&self) -> Vec<String> {
        let mut graph = Graph::new();
        match self.compile(interval("1h"), &mut graph) {
            Ok(_) => Vec::new(),
            Err(errors) => errors.iter().map(ToString::to_string).collect(),
        }
    }

    pub fn compile(&self, base: Interval, graph: &mut Graph) -> Result<TrialPlan, Vec<StrategyError>> {
        let parsed = ParsedStrategy::new(self.strategy.clone())?;
        let vectorbt = self.execution.semantics == Semantics::Vectorbt;
        TrialPlan::compile(&parsed, &self.strategy.parameters, base, vectorbt, graph)
    }

    /// The symbol ready for the trials of `graph`.
    pub fn symbol(&self, candles: &Candles, graph: &Graph) -> SymbolRun {
        let frames: BTreeSet<Interval> = graph.nodes().iter().map(|node| node.frame).collect();
        let session = self.strategy.session.as_ref();
        let run = self.history..candles.len();
        SymbolRun::new(candles.clone(), run, frames, session, self.rules, self.execution.clone())
    }

    pub fn run_on(&self, candles: &Candles) -> Run {
        let mut graph = Graph::new();
        let plan = self.compile(candles.interval(), &mut graph).expect("a strategy that compiles");
        let symbol = self.symbol(candles, &graph);
        let outcome = symbol.outcome(&plan, &graph);
        let metrics = symbol.metrics(&outcome);
        Run { outcome, metrics, candles: candles.clone() }
    }

    /// Runs over hourly candles from Monday 2024-01-01 on.
    pub fn run(&self, bars: &str) -> Run {
        self.run_on(&candles(interval("1h"), MONDAY, bars))
    }

    /// The trades over hourly candles, as text.
    pub fn trades(&self, bars: &str) -> Vec<String> {
        self.run(bars).trades()
    }
}

impl Run {
    /// `long 1@100 -> 3@110 exitSignal`: bar and raw price (but for rounding) of the entry, of the exit, and why.
    pub fn trades(&self) -> Vec<String> {
        let price = |raw: f64| (raw * 1e9).round() / 1e9;
        let trade = |t: &blockgrid_engine::sim::Trade| {
            let exit = t.exit.map_or("open".to_owned(), |exit| {
                format!("{}@{} {}", exit.bar, price(exit.raw_price), exit.reason.id())
            });
            format!("{} {}@{} -> {exit}", t.direction.id(), t.entry.bar, price(t.entry.raw_price))
        };
        self.outcome.trades.iter().map(trade).collect()
    }

    /// Bars of the entries.
    pub fn entries(&self) -> Vec<usize> {
        self.outcome.trades.iter().map(|trade| trade.entry.bar).collect()
    }
}

/// Whether two numbers are the same but for rounding.
#[track_caller]
pub fn near(a: f64, b: f64) {
    assert!((a - b).abs() <= 1e-12 * b.abs().max(1.0), "{a} is not {b}");
}
