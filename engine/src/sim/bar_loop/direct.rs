//! The parts of a bar that matter where an order is filled at the next open and no level moves.
//!
//! Each is a part of [`BarLoop::step`], for a bar of which it is known that the other parts do nothing.

use super::{BarLoop, Order};
use crate::sim::{Direction, FillAt, Tape};
use crate::strategy::{Entry, Reentry};

impl BarLoop<'_> {
    /// Whether only opens, touched levels and heard closes matter: market orders at the next open, levels that stay where they
    /// are, and nothing that counts the bars in which an entry was not heard.
    pub(in crate::sim) fn is_direct(&self) -> bool {
        let risk = &self.plan.risk;
        let sides = [&self.plan.long, &self.plan.short];
        self.market.execution.fill == FillAt::NextOpen
            && !self.moves_levels()
            && risk.reentry != Reentry::Rearm
            && sides.into_iter().flatten().all(|side| side.entry == Entry::Market)
    }

    /// Whether something was decided at the last close.
    pub(in crate::sim) fn is_due(&self) -> bool {
        self.exit_due.is_some() || self.order.is_some()
    }

    /// The first close at which a flat account may hear an entry, from that of `t` on.
    pub(in crate::sim) fn hears_from(&self, t: usize) -> usize {
        let next_bar = self.plan.risk.reentry == Reentry::NextBar && self.last_bracket_exit == Some(t);
        self.cooled_at().max(t + usize::from(next_bar))
    }

    /// An entry that is heard at the close of `t` by a flat account.
    pub(in crate::sim) fn order_at(&mut self, t: usize, direction: Direction) {
        self.order = Some(Order { direction, signal_bar: t, resting: None });
    }

    /// Closes the position where bar `t` touches one of its levels.
    pub(in crate::sim) fn touch(&mut self, t: usize, tape: &mut impl Tape) {
        let (bar, policy) = (self.bar(t), self.plan.risk.same_bar);
        let hit = self.position.as_mut().and_then(|position| position.bracket.whole_bar(&bar, policy));
        if let Some(hit) = hit {
            self.close_at(t, hit, false, tape);
        }
    }
}
