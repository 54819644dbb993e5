//! The bar loop: the readable definition of what a backtest means (`docs/semantics.md`), and the oracle of every faster
//! kernel.
//!
//! ```text
//!  bar t:  open    fills decided at the last close (exits, then entries); levels that the open gaps through
//!          inside  resting entry orders, then stop and target of the position
//!          close   fills of `fill: close`; break-even and trail move; signals are heard; equity is marked
//! ```

mod entry;

use super::bracket::{Bar, Behind, Bracket, Hit};
use super::execution::{Execution, FillAt, SymbolRules, slipped};
use super::signals::{OrderKind, SideSignals, Signals};
use super::{Direction, Fill, Outcome, Reason, Trade};
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
    let mut bars = BarLoop {
        plan,
        signals: Signals::new(plan, graph, evaluator),
        candles: evaluator.candles(),
        execution,
        rules,
        session,
        cash: execution.initial_cash,
        position: None,
        exit_due: None,
        order: None,
        last_exit: None,
        last_bracket_exit: None,
        armed: [true; 2],
        ruined: false,
        outcome,
    };
    for t in first..run.end {
        bars.open(t);
        bars.inside(t);
        bars.close(t, t + 1 == run.end);
    }
    bars.finish(run.end - 1)
}

/// An open position.
struct Position {
    direction: Direction,
    quantity: f64,
    entry: Fill,
    bracket: Bracket,
    /// Where in its bar the position was opened.
    opened: Opened,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Opened {
    AtOpen,
    Inside,
    AtClose,
}

/// An entry order decided at a close: `resting` has the kind, price and last bar of a limit or stop order.
#[derive(Clone, Copy)]
struct Order {
    direction: Direction,
    signal_bar: usize,
    resting: Option<(OrderKind, f64, usize)>,
}

struct BarLoop<'a> {
    plan: &'a TrialPlan,
    signals: Signals,
    candles: &'a Candles,
    execution: &'a Execution,
    rules: &'a SymbolRules,
    session: Option<&'a [bool]>,
    cash: f64,
    position: Option<Position>,
    /// An exit decided at the last close, to be filled at the open.
    exit_due: Option<Reason>,
    order: Option<Order>,
    last_exit: Option<usize>,
    last_bracket_exit: Option<usize>,
    /// Whether `enter` was false at a close since the last bracket exit: long, short. Kept for `reentry: rearm` only.
    armed: [bool; 2],
    ruined: bool,
    outcome: Outcome,
}

impl BarLoop<'_> {
    fn bar(&self, t: usize) -> Bar {
        let c = self.candles;
        Bar { open: c.open()[t], high: c.high()[t], low: c.low()[t], close: c.close()[t] }
    }

    // Open --------------------------------------------------------------------------------------------------------

    fn open(&mut self, t: usize) {
        let bar = self.bar(t);
        let due = self.exit_due.take();
        if let Some(position) = &self.position {
            let gap = position.bracket.at_open(&bar);
            match (due, gap) {
                // A short that the gap has ruined is liquidated, whatever was decided.
                (_, Some(hit)) if hit.reason == Reason::Liquidation => self.close_at(t, hit, false),
                (Some(reason), _) => self.close_at(t, Hit { price: bar.open, reason, maker: false }, false),
                (None, Some(hit)) => self.close_at(t, hit, false),
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

    fn inside(&mut self, t: usize) {
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
            self.close_at(t, hit, false);
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

    fn close(&mut self, t: usize, last: bool) {
        self.move_levels(t);
        if !last && !self.ruined {
            self.hear(t);
            if self.execution.fill == FillAt::Close {
                self.fill_at_close(t);
            }
        }
        let held = self.position.as_ref().map_or(0.0, |p| p.direction.sign() * p.quantity);
        self.outcome.equity.push(self.cash + held * self.candles.close()[t]);
        self.outcome.position.push(held);
    }

    fn move_levels(&mut self, t: usize) {
        let bar = self.bar(t);
        let atr = self.signals.trail_atr.as_ref().map(|atr| atr.number(t, None));
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
    fn hear(&mut self, t: usize) {
        if self.plan.risk.reentry == Reentry::Rearm {
            for (armed, side) in self.armed.iter_mut().zip([&self.signals.long, &self.signals.short]) {
                *armed |= side.as_ref().is_some_and(|side| side.enters_known_false(t));
            }
        }
        match &self.position {
            Some(position) => {
                let (direction, entry) = (position.direction, position.entry);
                self.hear_in_position(t, direction, &entry);
            }
            None => self.hear_flat(t),
        }
    }

    fn hear_in_position(&mut self, t: usize, direction: Direction, entry: &Fill) {
        let (own, other) = match direction {
            Direction::Long => (&self.signals.long, &self.signals.short),
            Direction::Short => (&self.signals.short, &self.signals.long),
        };
        let state = PositionState {
            bars: t - entry.bar,
            entry_price: entry.price,
            close: self.candles.close()[t],
            sign: direction.sign(),
        };
        let in_session = self.session.is_none_or(|mask| mask[t]);
        let reverses = in_session && other.as_ref().is_some_and(|side| side.enters_freely(t));
        let exits = own.as_ref().is_some_and(|side| side.exits(t, Some(&state)));
        let exit_bar = if self.execution.fill == FillAt::Close { t } else { t + 1 };
        let timed_out = self.plan.risk.max_bars.is_some_and(|most| exit_bar - entry.bar >= most);
        self.exit_due = match (reverses, exits, timed_out) {
            (true, _, _) => Some(Reason::Reversal),
            (_, true, _) => Some(Reason::ExitSignal),
            (_, _, true) => Some(Reason::TimeStop),
            _ => None,
        };
        // The new position is an entry after an exit: a cooldown keeps it waiting.
        if reverses && self.plan.risk.cooldown_bars == 0 {
            let opposite = if direction == Direction::Long { Direction::Short } else { Direction::Long };
            self.order = self.order_of(t, opposite);
        }
    }

    fn hear_flat(&mut self, t: usize) {
        let free = |side: &Option<SideSignals>| side.as_ref().is_some_and(|side| side.enters_freely(t));
        let enters = |side: &Option<SideSignals>| side.as_ref().is_some_and(|side| side.enters(t));
        let (long, short) = (&self.signals.long, &self.signals.short);
        let wanted = if free(long) && !enters(short) {
            Some(Direction::Long)
        } else if free(short) && !enters(long) {
            Some(Direction::Short)
        } else {
            None
        };
        if let Some(Order { direction, resting: Some((_, _, last_bar)), .. }) = self.order {
            let (own, other) = if direction == Direction::Long { (long, short) } else { (short, long) };
            let cancelled = own.as_ref().is_some_and(|side| side.exits(t, None)) || enters(other);
            if t < last_bar && !cancelled {
                return;
            }
            self.order = None;
        }
        let in_session = self.session.is_none_or(|mask| mask[t]);
        let cooled = self.last_exit.is_none_or(|exit| t >= exit + self.plan.risk.cooldown_bars);
        let Some(direction) = wanted.filter(|_| in_session && cooled) else { return };
        let heard = self.last_bracket_exit.is_none_or(|exit| match self.plan.risk.reentry {
            Reentry::SameBar => true,
            Reentry::NextBar => t > exit,
            Reentry::Rearm => self.armed[usize::from(direction == Direction::Short)],
        });
        if heard {
            self.order = self.order_of(t, direction);
        }
    }

    /// The entry order of a signal at the close of `t`, or none (counted) when its price is no price.
    fn order_of(&mut self, t: usize, direction: Direction) -> Option<Order> {
        let side = if direction == Direction::Long { &self.signals.long } else { &self.signals.short };
        let Some((kind, price, bars)) = side.as_ref().and_then(|side| side.order.as_ref()) else {
            return Some(Order { direction, signal_bar: t, resting: None });
        };
        let price = self.rules.adverse(price.number(t, None), direction == Direction::Long);
        if !(price.is_finite() && price > 0.0) {
            self.outcome.rejected_orders += 1;
            return None;
        }
        Some(Order { direction, signal_bar: t, resting: Some((*kind, price, t + bars)) })
    }

    /// `fill: close`: what was decided at this close is filled at it, exits before entries.
    fn fill_at_close(&mut self, t: usize) {
        let close = self.candles.close()[t];
        if let Some(reason) = self.exit_due.take() {
            self.close_at(t, Hit { price: close, reason, maker: false }, true);
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
        let range = self.candles.high()[t] - self.candles.low()[t];
        let price = match reason {
            Reason::EnterLimit | Reason::TakeProfit => self.rules.adverse(raw, side == Direction::Long),
            Reason::Liquidation => raw,
            _ => self
                .rules
                .adverse(slipped(raw, side, &self.execution.slippage, range), side == Direction::Long),
        };
        let timestamp = if at_close { self.candles.close_time(t) } else { self.candles.timestamp()[t] };
        Fill { bar: t, timestamp, raw_price: raw, price, fee: 0.0, maker, reason }
    }

    fn enter(&mut self, t: usize, order: Order, raw: f64, reason: Reason, maker: bool, opened: Opened) {
        let mut entry = self.fill(t, raw, order.direction, reason, maker, opened == Opened::AtClose);
        let Some((bracket, quantity)) = self.levels_and_quantity(&order, &entry) else {
            self.outcome.rejected_orders += 1;
            return;
        };
        let notional = quantity * entry.price;
        entry.fee = notional * self.execution.fees.rate(maker) + self.execution.fees.per_order;
        self.cash -= order.direction.sign() * notional + entry.fee;
        let bracket = Bracket { liquidation: self.liquidation_price(order.direction, quantity), ..bracket };
        self.position = Some(Position { direction: order.direction, quantity, entry, bracket, opened });
    }

    fn close_at(&mut self, t: usize, hit: Hit, at_close: bool) {
        let Some(position) = self.position.take() else { return };
        let sign = position.direction.sign();
        let side = if sign > 0.0 { Direction::Short } else { Direction::Long };
        let mut exit = self.fill(t, hit.price, side, hit.reason, hit.maker, at_close);
        let notional = position.quantity * exit.price;
        exit.fee = notional * self.execution.fees.rate(hit.maker) + self.execution.fees.per_order;
        self.cash += sign * notional - exit.fee;
        self.outcome.trades.push(trade(&position, Some(exit), exit.price));
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
                self.outcome.deficit += (-self.cash).max(0.0);
            }
            self.cash = 0.0;
            self.ruined = true;
            self.order = None;
        }
    }

    fn finish(mut self, last: usize) -> Outcome {
        if let Some(position) = self.position.take() {
            let mut open = trade(&position, None, self.candles.close()[last]);
            open.bars = last - position.entry.bar;
            self.outcome.trades.push(open);
        }
        self.outcome
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
