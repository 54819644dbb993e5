//! What an entry brings with it: its bracket and its quantity.

use super::super::bracket::{Behind, Bracket, Trailing};
use super::super::signals::Level;
use super::{BarLoop, Order};
use crate::graph::PositionState;
use crate::sim::{Direction, Fill};
use crate::strategy::{PlannedSize, TrailDistance};

impl BarLoop<'_> {
    /// The bracket and the quantity of an entry, or none if the order cannot stand.
    pub(super) fn levels_and_quantity(&self, order: &Order, entry: &Fill) -> Option<(Bracket, f64)> {
        let bracket = self.bracket(order, entry)?;
        let fees = &self.market.execution.fees;
        let equity = self.cash;
        let all_in = (self.cash - fees.per_order) / (1.0 + fees.rate(entry.maker)) / entry.price;
        let wanted = match self.plan.size {
            PlannedSize::AllIn => all_in,
            PlannedSize::EquityFraction(fraction) => fraction * equity / entry.price,
            PlannedSize::Quote(notional) => notional / entry.price,
            PlannedSize::Base(quantity) => quantity,
            PlannedSize::RiskFraction(fraction) => {
                let trail = bracket.trail.map(|trail| trail.level);
                let tightest = [bracket.stop, trail].into_iter().flatten().map(|level| bracket.sign * level);
                let stop = bracket.sign * tightest.fold(f64::NEG_INFINITY, f64::max);
                fraction * equity / (entry.price - stop).abs()
            }
        };
        let quantity = self.market.rules.lots(wanted.min(all_in));
        let notional = quantity * entry.price;
        let stands = quantity.is_finite()
            && quantity > 0.0
            && notional.is_finite()
            && notional > 0.0
            && self.market.rules.min_notional.is_none_or(|least| notional >= least);
        stands.then_some((bracket, quantity))
    }

    /// The levels of a position entered by `entry`; none if a level is unknown or on the wrong side.
    fn bracket(&self, order: &Order, entry: &Fill) -> Option<Bracket> {
        let sign = order.direction.sign();
        let price = entry.price;
        let at_entry = PositionState { bars: 0, entry_price: price, close: price, sign };
        let level = |level: &Level, towards: f64| {
            let raw = match level {
                Level::Fraction(fraction) => price * (1.0 + towards * fraction),
                Level::Price(program) => program.number(order.signal_bar, Some(&at_entry)),
                Level::Atr(multiple, atr) => price + towards * multiple * atr.number(order.signal_bar, None),
            };
            // An exit of a long sells: its price rounds down, a short's up.
            let level = self.market.rules.adverse(raw, sign < 0.0);
            (level.is_finite() && towards * level > towards * price).then_some(level)
        };
        let stop = match &self.levels.stop {
            Some(distance) => Some(level(distance, -sign)?),
            None => None,
        };
        let target = match &self.levels.target {
            Some(distance) => Some(level(distance, sign)?),
            None => None,
        };
        let trail = match self.plan.risk.trail {
            Some(trail) => {
                let behind = match trail.distance {
                    TrailDistance::Fraction(fraction) => Behind::Fraction(fraction),
                    TrailDistance::Atr { multiple, .. } => {
                        let atr = self.levels.trail_atr.as_ref()?.number(order.signal_bar, None);
                        Behind::Distance(multiple * atr)
                    }
                };
                let level = match behind {
                    Behind::Fraction(fraction) => price * (1.0 - sign * fraction),
                    Behind::Distance(distance) => price - sign * distance,
                };
                let wrong_side = !level.is_finite() || sign * level >= sign * price;
                if wrong_side {
                    return None;
                }
                Some(Trailing { behind, update: trail.update, level })
            }
            None => None,
        };
        Some(Bracket {
            sign,
            stop,
            target,
            trail,
            break_even_trigger: self.plan.risk.break_even.map(|gain| price * (1.0 + sign * gain)),
            break_even_active: false,
            entry_price: price,
            liquidation: None,
            extreme: price,
        })
    }

    /// Where a short's equity, after the fee of closing it, is zero: `(cash - fixed) / (quantity * (1 + fee))`.
    pub(super) fn liquidation_price(&self, direction: Direction, quantity: f64) -> Option<f64> {
        let fees = &self.market.execution.fees;
        let price = (self.cash - fees.per_order) / (quantity * (1.0 + fees.rate(false)));
        (direction == Direction::Short).then_some(price)
    }
}
