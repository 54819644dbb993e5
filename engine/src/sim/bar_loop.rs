//! The bar loop: the readable definition of what a backtest means (`docs/semantics.md`), and the oracle of every faster
//! kernel.
//!
//! ```text
//!  bar t:  open    fills decided at the last close (exits, then entries); levels that the open gaps through
//!          inside  resting entry orders, then stop and target of the position
//!          close   fills of `fill: close`; break-even and trail move; signals are heard; equity is marked
//! ```

mod direct;
mod entry;

use super::bracket::{Bar, Behind, Bracket, Hit};
use super::execution::{Execution, FillAt, SymbolRules, slipped};
use super::signals::{Conditions, Hear, Levels, OrderKind};
use super::{Direction, Fill, Outcome, Reason, Tape, Trade};
use crate::candles::Candles;
use crate::graph::{Evaluator, Graph, PositionState};
use crate::strategy::{Reentry, TrailDistance, TrialPlan};

pub use super::signals::first_warm_bar;

/// Simulates one trial over the evaluator's run.
///
/// `session` says for every candle whether an entry may be heard at its close; `None` is always. The account starts at
/// the run's first bar, or when the trial is warm; an outcome without equity was never warm.
pub fn simulate(
    plan: &TrialPlan,
    graph: &Graph,
    evaluator: &Evaluator,
    execution: &Execution,
    rules: &SymbolRules,
    session: Option<&[bool]>,
) -> Outcome {
    let run = evaluator.run();
    let first = run.start.max(first_warm_bar(plan, graph, evaluator));
    let mut outcome = Outcome { first_bar: first.min(run.end), ..Outcome::default() };
    if first >= run.end {
        return outcome;
    }
    outcome.equity.reserve(run.end - first);
    outcome.position.reserve(run.end - first);
    let conditions = Conditions::new(plan, graph, evaluator);
    let market = Market { candles: evaluator.candles(), execution, rules, session };
    let mut bars = BarLoop::new(plan, Levels::new(plan, graph, evaluator), market);
    for t in first..run.end {
        bars.step(t, t + 1 == run.end, &conditions, &mut outcome);
        let (cash, held) = (bars.cash, bars.held());
        outcome.mark(t..t + 1, cash, held, evaluator.candles().close());
    }
    bars.finish(run.end - 1, &mut outcome);
    (outcome.rejected_orders, outcome.deficit) = (bars.rejected_orders, bars.deficit);
    outcome
}

/// What all trials of a symbol trade on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Market<'a> {
    pub(crate) candles: &'a Candles,
    pub(crate) execution: &'a Execution,
    pub(crate) rules: &'a SymbolRules,
    pub(crate) session: Option<&'a [bool]>,
}

/// An open position.
#[derive(Debug)]
pub(super) struct Position {
    pub(super) direction: Direction,
    quantity: f64,
    pub(super) entry: Fill,
    pub(super) bracket: Bracket,
    /// Where in its bar the position was opened.
    opened: Opened,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Opened {
    AtOpen,
    Inside,
    AtClose,
}

/// An entry order decided at a close: `resting` has the kind, price and last bar of a limit or stop order.
#[derive(Debug, Clone, Copy)]
pub(super) struct Order {
    direction: Direction,
    signal_bar: usize,
    resting: Option<(OrderKind, f64, usize)>,
}

/// The state of a trial between two bars.
#[derive(Debug)]
pub(super) struct BarLoop<'a> {
    pub(super) plan: &'a TrialPlan,
    levels: Levels,
    pub(super) market: Market<'a>,
    pub(super) cash: f64,
    pub(super) position: Option<Position>,
    /// An exit decided at the last close, to be filled at the open.
    pub(super) exit_due: Option<Reason>,
    pub(super) order: Option<Order>,
    last_exit: Option<usize>,
    last_bracket_exit: Option<usize>,
    /// Whether `enter` was false at a close since the last bracket exit: long, short. Kept for `reentry: rearm` only.
    armed: [bool; 2],
    pub(super) ruined: bool,
    /// Orders that could not stand.
    pub(super) rejected_orders: u32,
    /// Quote currency lost beyond zero equity.
    pub(super) deficit: f64,
}

impl<'a> BarLoop<'a> {
    pub(super) fn new(plan: &'a TrialPlan, levels: Levels, market: Market<'a>) -> Self {
        Self {
            plan,
            levels,
            market,
            cash: market.execution.initial_cash,
            position: None,
            exit_due: None,
            order: None,
            last_exit: None,
            last_bracket_exit: None,
            armed: [true; 2],
            ruined: false,
            rejected_orders: 0,
            deficit: 0.0,
        }
    }

    /// One bar. At the last one nothing is heard.
    pub(super) fn step(&mut self, t: usize, last: bool, heard: &impl Hear, tape: &mut impl Tape) {
        self.open(t, tape);
        self.inside(t, tape);
        self.close(t, last, heard, tape);
    }

    /// Signed base quantity.
    pub(super) fn held(&self) -> f64 {
        self.position.as_ref().map_or(0.0, |p| p.direction.sign() * p.quantity)
    }

    fn bar(&self, t: usize) -> Bar {
        let c = self.market.candles;
        Bar { open: c.open()[t], high: c.high()[t], low: c.low()[t], close: c.close()[t] }
    }

    // Open --------------------------------------------------------------------------------------------------------

    /// What was decided at the last close is filled, and levels that the open gaps through.
    pub(super) fn open(&mut self, t: usize, tape: &mut impl Tape) {
        let bar = self.bar(t);
        let due = self.exit_due.take();
        if let Some(position) = &self.position {
            let gap = position.bracket.at_open(&bar);
            match (due, gap) {
                // A short that the gap has ruined is liquidated, whatever was decided.
                (_, Some(hit)) if hit.reason == Reason::Liquidation => self.close_at(t, hit, false, tape),
                (Some(reason), _) => {
                    self.close_at(t, Hit { price: bar.open, reason, maker: false }, false, tape)
                }
                (None, Some(hit)) => self.close_at(t, hit, false, tape),
                (None, None) => {}
            }
        }
        if self.position.is_some() || self.ruined {
            return;
        }
        let Some(order) = self.order else { return };
        let buy = order.direction.sign();
        match order.resting {
            None => {
                self.order = None;
                self.enter(t, order, bar.open, Reason::EnterSignal, false, Opened::AtOpen);
            }
            // The open is already at or beyond the order's price: it fills there.
            Some((OrderKind::Limit, price, _)) if buy * bar.open <= buy * price => {
                self.order = None;
                self.enter(t, order, bar.open, Reason::EnterLimit, false, Opened::AtOpen);
            }
            Some((OrderKind::Stop, price, _)) if buy * bar.open >= buy * price => {
                self.order = None;
                self.enter(t, order, bar.open, Reason::EnterStop, false, Opened::AtOpen);
            }
            Some(_) => {}
        }
    }

    // Inside ------------------------------------------------------------------------------------------------------

    fn inside(&mut self, t: usize, tape: &mut impl Tape) {
        if self.position.is_none() && self.order.is_none() {
            return;
        }
        let bar = self.bar(t);
        if self.position.is_none() && !self.ruined {
            self.fill_resting(t, &bar);
        }
        let policy = self.plan.risk.same_bar;
        let hit = self.position.as_mut().and_then(|position| match position.opened {
            Opened::Inside if position.entry.bar == t => {
                position.bracket.entry_bar(&bar, position.entry.raw_price)
            }
            _ => position.bracket.whole_bar(&bar, policy),
        });
        if let Some(hit) = hit {
            self.close_at(t, hit, false, tape);
        }
    }

    /// A resting order whose price the bar touches fills at it.
    fn fill_resting(&mut self, t: usize, bar: &Bar) {
        let Some(order @ Order { resting: Some((kind, price, _)), .. }) = self.order else { return };
        let touched = match (kind, order.direction) {
            (OrderKind::Limit, Direction::Long) | (OrderKind::Stop, Direction::Short) => bar.low <= price,
            (OrderKind::Limit, Direction::Short) | (OrderKind::Stop, Direction::Long) => bar.high >= price,
        };
        if touched {
            self.order = None;
            let reason = if kind == OrderKind::Limit { Reason::EnterLimit } else { Reason::EnterStop };
            self.enter(t, order, price, reason, kind == OrderKind::Limit, Opened::Inside);
        }
    }

    // Close -------------------------------------------------------------------------------------------------------

    fn close(&mut self, t: usize, last: bool, heard: &impl Hear, tape: &mut impl Tape) {
        self.move_levels(t);
        if !last && !self.ruined {
            self.hear(t, heard);
            if self.market.execution.fill == FillAt::Close {
                self.fill_at_close(t, tape);
            }
        }
    }

    fn move_levels(&mut self, t: usize) {
        let bar = self.bar(t);
        let atr = self.levels.trail_atr.as_ref().map(|atr| atr.number(t, None));
        let Some(position) = &mut self.position else { return };
        if let (Some(trail), Some(TrailDistance::Atr { multiple, follow: true, .. }), Some(atr)) =
            (&mut position.bracket.trail, self.plan.risk.trail.map(|trail| trail.distance), atr)
            && atr.is_finite()
        {
            trail.behind = Behind::Distance(multiple * atr);
        }
        let favourable = match position.opened {
            // The bar's extreme may have come before the entry: only the close is known to be after it.
            Opened::Inside if position.entry.bar == t => bar.close,
            _ if position.direction == Direction::Long => bar.high,
            _ => bar.low,
        };
        position.bracket.at_close(favourable);
    }

    /// Hears the signals of the close and decides exits and entries.
    pub(super) fn hear(&mut self, t: usize, heard: &impl Hear) {
        if self.plan.risk.reentry == Reentry::Rearm {
            for (armed, side) in self.armed.iter_mut().zip([Direction::Long, Direction::Short]) {
                *armed |= heard.enters_known_false(side, t);
            }
        }
        match &self.position {
            Some(position) => {
                let (direction, entry) = (position.direction, position.entry);
                self.hear_in_position(t, direction, &entry, heard);
            }
            None => self.hear_flat(t, heard),
        }
    }

    fn hear_in_position(&mut self, t: usize, direction: Direction, entry: &Fill, heard: &impl Hear) {
        let state = PositionState {
            bars: t - entry.bar,
            entry_price: entry.price,
            close: self.market.candles.close()[t],
            sign: direction.sign(),
        };
        let opposite = direction.opposite();
        let reverses = self.in_session(t) && heard.enters_freely(opposite, t);
        let exits = heard.exits(direction, t, Some(&state));
        let timed_out = self.times_out_at(entry.bar).is_some_and(|bar| t >= bar);
        self.exit_due = match (reverses, exits, timed_out) {
            (true, _, _) => Some(Reason::Reversal),
            (_, true, _) => Some(Reason::ExitSignal),
            (_, _, true) => Some(Reason::TimeStop),
            _ => None,
        };
        // The new position is an entry after an exit: a cooldown keeps it waiting.
        if reverses && self.plan.risk.cooldown_bars == 0 {
            self.order = self.order_of(t, opposite);
        }
    }

    /// The close at which `maxBars` decides the exit of a position entered in bar `entry`.
    pub(super) fn times_out_at(&self, entry: usize) -> Option<usize> {
        let before_fill = usize::from(self.market.execution.fill == FillAt::NextOpen);
        self.plan.risk.max_bars.map(|most| (entry + most).saturating_sub(before_fill))
    }

    /// The first close at which an entry is heard again after the last exit.
    pub(super) fn cooled_at(&self) -> usize {
        self.last_exit.map_or(0, |exit| exit + self.plan.risk.cooldown_bars)
    }

    /// Notes that `enter` was false at a close.
    pub(super) fn arm(&mut self, side: Direction) {
        self.armed[usize::from(side == Direction::Short)] = true;
    }

    /// Whether the stop of a position moves while it is held.
    pub(super) fn moves_levels(&self) -> bool {
        self.plan.risk.trail.is_some() || self.plan.risk.break_even.is_some()
    }

    /// Goes through bars of a position whose closes say nothing; the first that touches a level, or their end.
    pub(super) fn quiet(&mut self, bars: std::ops::Range<usize>) -> usize {
        for t in bars.clone() {
            let (bar, policy) = (self.bar(t), self.plan.risk.same_bar);
            let Some(position) = &mut self.position else { return t };
            let mut after = position.bracket;
            if after.whole_bar(&bar, policy).is_some() {
                return t;
            }
            position.bracket = after;
            self.move_levels(t);
        }
        bars.end
    }

    fn in_session(&self, t: usize) -> bool {
        self.market.session.is_none_or(|mask| mask[t])
    }

    fn hear_flat(&mut self, t: usize, heard: &impl Hear) {
        let (long, short) = (Direction::Long, Direction::Short);
        let wanted = if heard.enters_freely(long, t) && !heard.enters(short, t) {
            Some(long)
        } else if heard.enters_freely(short, t) && !heard.enters(long, t) {
            Some(short)
        } else {
            None
        };
        if let Some(Order { direction, resting: Some((_, _, last_bar)), .. }) = self.order {
            let cancelled = heard.exits(direction, t, None) || heard.enters(direction.opposite(), t);
            if t < last_bar && !cancelled {
                return;
            }
            self.order = None;
        }
        let hears = self.in_session(t) && t >= self.cooled_at();
        let Some(direction) = wanted.filter(|_| hears) else { return };
        let hears = self.last_bracket_exit.is_none_or(|exit| match self.plan.risk.reentry {
            Reentry::SameBar => true,
            Reentry::NextBar => t > exit,
            Reentry::Rearm => self.armed[usize::from(direction == Direction::Short)],
        });
        if hears {
            self.order = self.order_of(t, direction);
        }
    }

    /// The entry order of a signal at the close of `t`, or none (counted) when its price is no price.
    fn order_of(&mut self, t: usize, direction: Direction) -> Option<Order> {
        let Some(resting) = self.levels.resting(direction) else {
            return Some(Order { direction, signal_bar: t, resting: None });
        };
        let price = self.market.rules.adverse(resting.price.number(t, None), direction == Direction::Long);
        if !(price.is_finite() && price > 0.0) {
            self.rejected_orders += 1;
            return None;
        }
        Some(Order { direction, signal_bar: t, resting: Some((resting.kind, price, t + resting.bars)) })
    }

    /// `fill: close`: what was decided at this close is filled at it, exits before entries.
    fn fill_at_close(&mut self, t: usize, tape: &mut impl Tape) {
        let close = self.market.candles.close()[t];
        if let Some(reason) = self.exit_due.take() {
            self.close_at(t, Hit { price: close, reason, maker: false }, true, tape);
        }
        if let Some(order @ Order { resting: None, .. }) = self.order
            && self.position.is_none()
            && !self.ruined
        {
            self.order = None;
            self.enter(t, order, close, Reason::EnterSignal, false, Opened::AtClose);
        }
    }

    // Fills -------------------------------------------------------------------------------------------------------

    /// The fill of an order: slippage (not for limits and targets), then ticks, both against the trader.
    fn fill(&self, t: usize, raw: f64, side: Direction, reason: Reason, maker: bool, at_close: bool) -> Fill {
        let range = self.market.candles.high()[t] - self.market.candles.low()[t];
        let price = match reason {
            Reason::EnterLimit | Reason::TakeProfit => {
                self.market.rules.adverse(raw, side == Direction::Long)
            }
            Reason::Liquidation => raw,
            _ => self
                .market
                .rules
                .adverse(slipped(raw, side, &self.market.execution.slippage, range), side == Direction::Long),
        };
        let timestamp =
            if at_close { self.market.candles.close_time(t) } else { self.market.candles.timestamp()[t] };
        Fill { bar: t, timestamp, raw_price: raw, price, fee: 0.0, maker, reason }
    }

    fn enter(&mut self, t: usize, order: Order, raw: f64, reason: Reason, maker: bool, opened: Opened) {
        let mut entry = self.fill(t, raw, order.direction, reason, maker, opened == Opened::AtClose);
        let Some((bracket, quantity)) = self.levels_and_quantity(&order, &entry) else {
            self.rejected_orders += 1;
            return;
        };
        let notional = quantity * entry.price;
        entry.fee = notional * self.market.execution.fees.rate(maker) + self.market.execution.fees.per_order;
        self.cash -= order.direction.sign() * notional + entry.fee;
        let bracket = Bracket { liquidation: self.liquidation_price(order.direction, quantity), ..bracket };
        self.position = Some(Position { direction: order.direction, quantity, entry, bracket, opened });
    }

    fn close_at(&mut self, t: usize, hit: Hit, at_close: bool, tape: &mut impl Tape) {
        let Some(position) = self.position.take() else { return };
        let sign = position.direction.sign();
        let side = if sign > 0.0 { Direction::Short } else { Direction::Long };
        let mut exit = self.fill(t, hit.price, side, hit.reason, hit.maker, at_close);
        let notional = position.quantity * exit.price;
        exit.fee =
            notional * self.market.execution.fees.rate(hit.maker) + self.market.execution.fees.per_order;
        self.cash += sign * notional - exit.fee;
        tape.trade(&trade(&position, Some(exit), exit.price));
        self.last_exit = Some(t);
        if matches!(hit.reason, Reason::StopLoss | Reason::TakeProfit | Reason::Trail | Reason::BreakEven) {
            self.last_bracket_exit = Some(t);
            self.armed = [false; 2];
        } else {
            self.last_bracket_exit = None;
        }
        if self.cash <= 0.0 || hit.reason == Reason::Liquidation {
            // Liquidated at its own price a short has lost what there was: the rest is rounding.
            if position.bracket.liquidation != Some(hit.price) {
                self.deficit += (-self.cash).max(0.0);
            }
            self.cash = 0.0;
            self.ruined = true;
            self.order = None;
        }
    }

    /// After the last bar: an open position is a trade without an exit, marked at the close.
    pub(super) fn finish(&mut self, last: usize, tape: &mut impl Tape) {
        if let Some(position) = self.position.take() {
            let mut open = trade(&position, None, self.market.candles.close()[last]);
            open.bars = last - position.entry.bar;
            tape.trade(&open);
        }
    }
}

/// The round trip of a position closed by `exit`, or marked at `price` without an exit fee.
fn trade(position: &Position, exit: Option<Fill>, price: f64) -> Trade {
    let gross = position.direction.sign() * position.quantity * (price - position.entry.price);
    let pnl = gross - position.entry.fee - exit.map_or(0.0, |exit| exit.fee);
    Trade {
        direction: position.direction,
        quantity: position.quantity,
        entry: position.entry,
        exit,
        pnl,
        return_fraction: pnl / (position.quantity * position.entry.price),
        bars: exit.map_or(0, |exit| exit.bar - position.entry.bar),
    }
}
