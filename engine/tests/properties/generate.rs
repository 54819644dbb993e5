//! Random markets and random strategies, made from lists of small numbers so that failures shrink.

use blockgrid_engine::sim::{FillAt, Semantics, SymbolRules};
use blockgrid_engine::strategy::{
    Distance, Order, Reentry, SameBar, Side, Size, Trail, TrailBy, TrailUpdate,
};
use blockgrid_engine::{Candles, RawCandles};
use proptest::prelude::*;

use crate::common::*;

/// 96 cases unless `PROPTEST_CASES` says otherwise.
pub(crate) fn config() -> ProptestConfig {
    let cases =
        if std::env::var_os("PROPTEST_CASES").is_some() { ProptestConfig::default().cases } else { 96 };
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

/// The steps of a market: what kind of bar, and three numbers that shape it.
type Steps = Vec<(u8, u8, u8, u8)>;

/// What a price of `units` is: cents, steps of 1e-10 (prices near 1e-8), hundred thousands (near 1e8), a number that is no
/// decimal, and cents of which some are a product that misses the decimal in its last bit. The other decimals are the
/// f64 nearest to them, as a reader of files gives them.
const PRICES: [fn(i64) -> f64; 5] = [
    |units| units as f64 / 100.0,
    |units| units as f64 / 1e10,
    |units| units as f64 * 1e5,
    |units| units as f64 * 0.012_345_678_901_234,
    |units| units as f64 * 0.01,
];

pub(crate) fn market(bars: std::ops::Range<usize>) -> impl Strategy<Value = Candles> {
    let step = (0..24_u8, any::<u8>(), any::<u8>(), any::<u8>());
    (proptest::collection::vec(step, bars), 0..PRICES.len())
        .prop_map(|(steps, unit)| candles_of(&steps, PRICES[unit]))
}

/// Hourly candles from whole numbers: walks, gaps in price and time, flat bars, runs without a range.
fn candles_of(steps: &Steps, priced: fn(i64) -> f64) -> Candles {
    let mut raw = RawCandles::default();
    let (mut price, mut at) = (1000_i64, MONDAY);
    for &(kind, a, b, c) in steps {
        let part = |x: u8| i64::from(x) * price / 2000;
        let signed = |x: u8| (i64::from(x) - 128) * price / 2000;
        let (open, close, above, below) = match kind {
            0 | 1 => (price, price, 0, 0),
            2 => (price * 11 / 10 + 1, price * 11 / 10 + 1, 0, 0),
            3 => (price * 9 / 10, price * 9 / 10, 0, 0),
            4 => (price + 2 * signed(a), price + signed(b), part(c), part(a)),
            5 => (price * 2, price * 2 + signed(a), part(b), part(c)),
            6 => (price / 2, price / 2 + signed(a) / 2, part(b) / 2, part(c) / 2),
            7 => (price, price + signed(a), price, part(c)),
            8 => (price, price, part(a), part(a)),
            _ => (price, price + signed(a), part(b), part(c)),
        };
        let (open, close) = (open.clamp(20, 1_000_000), close.clamp(20, 1_000_000));
        if kind == 9 {
            at += HOUR * i64::from(a % 60);
        }
        raw.timestamp.push(at);
        raw.open.push(priced(open));
        raw.close.push(priced(close));
        raw.high.push(priced(open.max(close) + above));
        raw.low.push(priced((open.min(close) - below).max(1)));
        raw.volume.push(f64::from(b));
        at += HOUR;
        price = close;
    }
    Candles::new(interval("1h"), raw).expect("candles")
}

/// Choices, taken one after the other; 0 when there are none left.
struct Picks<'a>(&'a [u16], usize);

impl Picks<'_> {
    fn below(&mut self, bound: u16) -> u16 {
        let pick = self.0.get(self.1).copied().unwrap_or(0);
        self.1 += 1;
        pick % bound
    }

    fn one_in(&mut self, n: u16) -> bool {
        self.below(n) == n - 1
    }

    fn of<T: Copy>(&mut self, values: &[T]) -> T {
        values[usize::from(self.below(values.len() as u16))]
    }

    fn number(&mut self) -> String {
        let window = 1 + self.below(9);
        match self.below(14) {
            0 | 1 => "close".to_owned(),
            2 => "open".to_owned(),
            3 => "hl2".to_owned(),
            4 | 5 => format!("sma(close, {window})"),
            6 | 7 => format!("ema(close, {window})"),
            8 => format!("highest(high, {window})[1]"),
            9 => format!("({} + {}) / 2", self.small(), self.small()),
            10 => format!("tf(\"4h\", {})", self.small()),
            11 => format!("{}[{window}]", self.small()),
            12 => format!("(hour() > 11 ? {} : {})", self.small(), self.small()),
            _ => format!("bbands(close, {}).lower", window + 1),
        }
    }

    fn small(&mut self) -> String {
        let window = 1 + self.below(5);
        self.of(&["close", "low", "sma(close, W)", "ema(close, W)", "wma(open, W)", "ema(sma(close, W), 3)"])
            .replace('W', &window.to_string())
    }

    fn condition(&mut self) -> String {
        match self.below(12) {
            0 | 1 => format!("{} > {}", self.number(), self.number()),
            2 => format!("crosses_above({}, {})", self.number(), self.small()),
            3 => format!("crosses_below({}, {}, \"strict\")", self.number(), self.small()),
            4 => format!("rsi(close, {}) < {}", 1 + self.below(6), 20 + self.below(60)),
            5 => format!("hour() % {} == {}", 2 + self.below(5), self.below(4)),
            6 => format!("!({} > {})", self.number(), self.number()),
            7 => format!("{} / (close - {}) > 1 || volume > 200", self.number(), self.small()),
            8 => format!("obv() > sma(obv(), {})", 1 + self.below(5)),
            9 => format!("close > open && {} < {}", self.small(), self.number()),
            10 => "volume % 2 == 1".to_owned(),
            _ => "true".to_owned(),
        }
    }

    fn exit(&mut self) -> Option<String> {
        Some(match self.below(6) {
            0 => return None,
            1 => format!("barsInPosition() >= {}", self.below(5)),
            2 => "unrealizedReturn() > 0.03 || close < entryPrice() * 0.95".to_owned(),
            _ => self.condition(),
        })
    }

    fn side(&mut self) -> Side {
        let factor = self.of(&["0.98", "1", "1.02", "0.9"]);
        let price = text(&format!("{} * {factor}", self.small()));
        let bars = text(&format!("{}", 1 + self.below(4)));
        let order = match self.below(6) {
            0 | 1 => Order::Limit { price, bars },
            2 => Order::Stop { price, bars },
            _ => Order::Market,
        };
        Side { enter: text(&self.condition()), exit: self.exit().as_deref().map(text), order }
    }

    fn distance(&mut self, away: &str) -> Distance {
        match self.below(5) {
            0 => Distance::Percent(text(self.of(&["1", "5", "0.01"]))),
            1 => Distance::Price(text(&format!("{} * {away}", self.small()))),
            2 => Distance::Atr { multiple: text(self.of(&["1", "3", "0.1"])), period: text("2") },
            _ => Distance::Fraction(text(self.of(&["0.01", "0.05", "0.2", "0.001"]))),
        }
    }

    fn setup(&mut self) -> Setup {
        let (long, short) = (self.side(), self.side());
        let mut setup = match self.below(4) {
            0 => Setup::new(Some(long), None),
            1 => Setup::new(None, Some(short)),
            _ => Setup::new(Some(long), Some(short)),
        };
        let (stops, targets) = (self.of(&["0.95", "1.05", "0.99"]), self.of(&["1.05", "0.95", "1.01"]));
        let risk = &mut setup.strategy.risk;
        risk.stop_loss = self.one_in(2).then(|| self.distance(stops));
        risk.take_profit = self.one_in(2).then(|| self.distance(targets));
        if self.one_in(3) {
            let distance = if self.one_in(2) {
                TrailBy::Atr { multiple: text("2"), period: text("3") }
            } else {
                TrailBy::Percent { percent: text(self.of(&["1", "5", "20"])) }
            };
            let update = self.of(&[TrailUpdate::BarClose, TrailUpdate::Intrabar]);
            risk.trail = Some(Trail { distance, update, follow: self.one_in(2) });
        }
        risk.same_bar = self.of(&[SameBar::StopFirst, SameBar::TargetFirst, SameBar::NearerExtreme]);
        risk.reentry = self.of(&[Reentry::NextBar, Reentry::SameBar, Reentry::Rearm]);
        let has_stop = risk.stop_loss.is_some() || risk.trail.is_some();
        if self.one_in(4) {
            setup = setup.break_even(self.of(&["0.001", "0.02"]));
        }
        if self.one_in(4) {
            setup = setup.max_bars(self.of(&["1", "2", "7"]));
        }
        if self.one_in(4) {
            setup = setup.cooldown(self.of(&["1", "3"]));
        }
        if self.one_in(5) {
            setup = setup.session(&["mon", "tue", "thu"], "06:00", "20:00");
        }
        let size = match self.below(7) {
            0 | 1 => Size::AllIn,
            2 => Size::EquityPercent(text("40")),
            3 => Size::Quote(text("300")),
            4 => Size::Base(text("3")),
            5 if has_stop => Size::RiskPercent(text("2")),
            _ => Size::EquityPercent(text("100")),
        };
        let (taker, maker) = self.of(&[(0.0, 0.0), (10.0, 2.0), (500.0, 100.0)]);
        let per_order = self.of(&[0.0, 0.0, 0.5, 100.0]);
        let (bps, share) = self.of(&[(0.0, 0.0), (2.0, 0.0), (100.0, 0.1), (1500.0, 0.0)]);
        let fill = self.of(&[FillAt::NextOpen, FillAt::NextOpen, FillAt::Close]);
        setup.size(size).fees(taker, maker, per_order).slippage(bps, share).fill(fill)
    }
}

impl Picks<'_> {
    /// A strategy that profile `vectorbt` takes.
    fn vectorbt(&mut self) -> Setup {
        let mut side = || {
            let enter = text(&self.vectorbt_condition());
            let exit = (!self.one_in(3)).then(|| text(&self.vectorbt_condition()));
            Side { enter, exit, order: Order::Market }
        };
        let (long, short) = (side(), side());
        let mut setup = match self.below(4) {
            0 => Setup::new(Some(long), None),
            1 => Setup::new(None, Some(short)),
            _ => Setup::new(Some(long), Some(short)),
        };
        let risk = &mut setup.strategy.risk;
        let fraction = |text_of: &str| Some(Distance::Fraction(text(text_of)));
        if self.one_in(3) {
            let distance = TrailBy::Percent { percent: text(self.of(&["1", "5", "20"])) };
            risk.trail = Some(Trail { distance, update: TrailUpdate::BarClose, follow: false });
        } else if self.one_in(2) {
            risk.stop_loss = fraction(self.of(&["0.01", "0.05", "0.2"]));
        }
        if self.one_in(3) {
            risk.take_profit = fraction(self.of(&["0.01", "0.05", "0.3"]));
        }
        let fee = self.of(&[0.0, 0.0, 10.0, 500.0]);
        let (per_order, bps) = (self.of(&[0.0, 0.0, 0.5]), self.of(&[0.0, 0.0, 2.0, 100.0]));
        let setup = setup.size(Size::AllIn).fees(fee, fee, per_order).slippage(bps, 0.0).fill(FillAt::Close);
        setup.with(|s| s.execution.semantics = Semantics::Vectorbt)
    }

    fn vectorbt_condition(&mut self) -> String {
        match self.below(3) {
            0 => format!("crosses_above({}, {}, \"vectorbt\")", self.small(), self.small()),
            1 => format!("crosses_below(sma(close, {}), {}, \"vectorbt\")", 1 + self.below(9), self.small()),
            _ => self.condition(),
        }
    }
}

/// A strategy of profile `vectorbt` and a market.
pub(crate) fn vectorbt_case(bars: std::ops::Range<usize>) -> impl Strategy<Value = (Setup, Candles)> {
    let setup =
        proptest::collection::vec(any::<u16>(), 40..120).prop_map(|picks| Picks(&picks, 0).vectorbt());
    (setup, market(bars))
}

/// A strategy with its execution.
pub(crate) fn setup() -> impl Strategy<Value = Setup> {
    proptest::collection::vec(any::<u16>(), 40..120).prop_map(|picks| Picks(&picks, 0).setup())
}

/// A strategy, a market it trades, and order rules whose steps suit the market's prices.
pub(crate) fn case(bars: std::ops::Range<usize>) -> impl Strategy<Value = (Setup, Candles)> {
    (setup(), market(bars), 0..6_u8).prop_map(|(setup, candles, rules)| {
        let price = candles.close().first().copied().unwrap_or(1.0);
        let rules = match rules {
            0 => SymbolRules {
                lot: Some(1.0 / price / 128.0),
                tick: Some(price / 4096.0),
                min_notional: Some(5.0),
            },
            1 => SymbolRules { lot: Some(1e-8), tick: Some(1e-12), min_notional: None },
            _ => SymbolRules::default(),
        };
        (setup.with(|s| s.rules = rules), candles)
    })
}
