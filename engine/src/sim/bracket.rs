//! Stop, target, trail and break-even of an open position.
//!
//! Prices are mirrored for shorts (`sign * price`), so that every rule is written once, for a long: *adverse* is down,
//! *favourable* is up.

use super::Reason;
use crate::strategy::{SameBar, TrailUpdate};

/// Where and why a bracket closes the position.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Hit {
    /// Raw price.
    pub(super) price: f64,
    /// Why.
    pub(super) reason: Reason,
    /// Whether it is a resting limit filled at its price.
    pub(super) maker: bool,
}

/// How far the trail stays behind the extreme.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Behind {
    /// A fraction of the extreme.
    Fraction(f64),
    /// A distance in price.
    Distance(f64),
}

/// A trailing stop in motion.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Trailing {
    pub(super) behind: Behind,
    pub(super) update: TrailUpdate,
    /// Current level, unmirrored.
    pub(super) level: f64,
}

/// The levels of an open position, unmirrored prices.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Bracket {
    /// +1 long, -1 short.
    pub(super) sign: f64,
    pub(super) stop: Option<f64>,
    pub(super) target: Option<f64>,
    pub(super) trail: Option<Trailing>,
    /// Price at which the stop moves to `entry_price`.
    pub(super) break_even_trigger: Option<f64>,
    pub(super) break_even_active: bool,
    pub(super) entry_price: f64,
    /// Price at which a short's equity is gone.
    pub(super) liquidation: Option<f64>,
    /// Most favourable price since the entry.
    pub(super) extreme: f64,
}

/// A bar as the position sees it: mirrored for a short, so that `low` is adverse and `high` favourable.
#[derive(Debug, Clone, Copy)]
struct Seen {
    open: f64,
    high: f64,
    low: f64,
    close: f64,
}

/// Open, high, low and close of a bar.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bar {
    pub(super) open: f64,
    pub(super) high: f64,
    pub(super) low: f64,
    pub(super) close: f64,
}

/// `sign * price`, without a product: the compiler calculates ahead with levels that are not there, and a product with
/// what happens to be in their place (a denormal number, usually) takes a hundred cycles.
fn mirror(sign: f64, price: f64) -> f64 {
    if sign > 0.0 { price } else { -price }
}

impl Bracket {
    fn see(&self, bar: &Bar) -> Seen {
        if self.sign > 0.0 {
            Seen { open: bar.open, high: bar.high, low: bar.low, close: bar.close }
        } else {
            Seen { open: -bar.open, high: -bar.low, low: -bar.high, close: -bar.close }
        }
    }

    /// The tightest active stop, mirrored, and its reason. Of equal levels the first named wins.
    fn stop_level(&self) -> Option<(f64, Reason)> {
        let break_even = self.break_even_active.then_some(self.entry_price);
        let candidates = [
            (self.stop, Reason::StopLoss),
            (break_even, Reason::BreakEven),
            (self.trail.map(|trail| trail.level), Reason::Trail),
            (self.liquidation, Reason::Liquidation),
        ];
        let mut tightest: Option<(f64, Reason)> = None;
        for (level, reason) in candidates {
            if let Some(level) = level.map(|level| mirror(self.sign, level))
                && tightest.is_none_or(|(best, _)| level > best)
            {
                tightest = Some((level, reason));
            }
        }
        tightest
    }

    /// The tightest active stop and the target, unmirrored.
    pub(super) fn levels(&self) -> (Option<f64>, Option<f64>) {
        (self.stop_level().map(|(level, _)| mirror(self.sign, level)), self.target)
    }

    fn hit(&self, mirrored: f64, reason: Reason, maker: bool) -> Hit {
        Hit { price: mirror(self.sign, mirrored), reason, maker }
    }

    /// At the open: a level that the open has gapped through fills there.
    pub(super) fn at_open(&self, bar: &Bar) -> Option<Hit> {
        let open = self.see(bar).open;
        if self.liquidation.is_some_and(|level| open <= mirror(self.sign, level)) {
            return Some(self.hit(open, Reason::Liquidation, false));
        }
        if let Some((level, reason)) = self.stop_level()
            && open <= level
        {
            return Some(self.hit(open, reason, false));
        }
        let target = self.target.map(|target| mirror(self.sign, target))?;
        (open >= target).then(|| self.hit(open, Reason::TakeProfit, false))
    }

    /// Inside a bar to which the position is exposed from its open on. Moves an intrabar trail.
    pub(super) fn whole_bar(&mut self, bar: &Bar, policy: SameBar) -> Option<Hit> {
        if let Some(hit) = self.at_open(bar) {
            return Some(hit);
        }
        let seen = self.see(bar);
        let favourable_first = match policy {
            SameBar::StopFirst | SameBar::TargetFirst => true,
            SameBar::NearerExtreme if self.sign > 0.0 => bar.high - bar.open < bar.open - bar.low,
            SameBar::NearerExtreme => bar.high - bar.open >= bar.open - bar.low,
        };
        match policy {
            SameBar::StopFirst => {
                self.raise_intrabar(seen.high);
                self.stop_hit(seen.low).or_else(|| self.target_hit(seen.high))
            }
            SameBar::TargetFirst => self.target_hit(seen.high).or_else(|| {
                self.raise_intrabar(seen.high);
                self.stop_hit(seen.low)
            }),
            SameBar::NearerExtreme if favourable_first => self.target_hit(seen.high).or_else(|| {
                self.raise_intrabar(seen.high);
                self.stop_hit(seen.low)
            }),
            SameBar::NearerExtreme => {
                self.stop_hit(seen.low).or_else(|| self.target_hit(seen.high)).or_else(|| {
                    self.raise_intrabar(seen.high);
                    self.stop_hit(seen.close)
                })
            }
        }
    }

    /// Inside the bar in which the position was opened at `entry` (raw): its stop can be hit, its target cannot.
    pub(super) fn entry_bar(&self, bar: &Bar, entry: f64) -> Option<Hit> {
        let (level, reason) = self.stop_level()?;
        // A level beyond the entry (slippage put it there) is hit at the entry itself.
        (self.see(bar).low <= level).then(|| self.hit(level.min(mirror(self.sign, entry)), reason, false))
    }

    fn stop_hit(&self, reached: f64) -> Option<Hit> {
        let (level, reason) = self.stop_level()?;
        (reached <= level).then(|| self.hit(level, reason, false))
    }

    fn target_hit(&self, reached: f64) -> Option<Hit> {
        let level = mirror(self.sign, self.target?);
        (reached >= level).then(|| self.hit(level, Reason::TakeProfit, true))
    }

    fn raise_intrabar(&mut self, favourable: f64) {
        if self.trail.is_some_and(|trail| trail.update == TrailUpdate::Intrabar) {
            self.raise(mirror(self.sign, favourable));
        }
    }

    /// Moves extreme and trail to a favourable price (unmirrored). A trail never moves back.
    fn raise(&mut self, price: f64) {
        if mirror(self.sign, price) > mirror(self.sign, self.extreme) {
            self.extreme = price;
        }
        if let Some(trail) = &mut self.trail {
            let level = match trail.behind {
                Behind::Fraction(fraction) => self.extreme * (1.0 - self.sign * fraction),
                Behind::Distance(distance) => self.extreme - self.sign * distance,
            };
            if mirror(self.sign, level) > mirror(self.sign, trail.level) {
                trail.level = level;
            }
        }
    }

    /// At the close: extremes, break-even and trail move for the next bar. `favourable` is the best price that the
    /// position is known to have seen in this bar.
    pub(super) fn at_close(&mut self, favourable: f64) {
        self.raise(favourable);
        if self
            .break_even_trigger
            .is_some_and(|trigger| mirror(self.sign, self.extreme) >= mirror(self.sign, trigger))
        {
            self.break_even_active = true;
        }
    }
}
