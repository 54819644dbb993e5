//! Stop, target and trailing stop of vectorbt: fractions of the close at which the position was opened.

use super::Settings;
use crate::candles::Candles;
use crate::sim::Reason;

/// The levels of an open position; they act from the bar after the one that opened it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stops {
    /// Close of the opening bar (`stop_entry_price=close`): what the target is a fraction of.
    reference: f64,
    /// What the stop is a fraction of: the reference, or the best extreme since if it trails.
    best: f64,
}

/// The bar's prices before its close.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bar {
    pub(super) open: f64,
    pub(super) high: f64,
    pub(super) low: f64,
}

impl Bar {
    pub(super) fn of(candles: &Candles, bar: usize) -> Self {
        Self { open: candles.open()[bar], high: candles.high()[bar], low: candles.low()[bar] }
    }
}

impl Stops {
    /// Levels of a position, adverse and favourable, that a bar has to reach before anything fires.
    pub(super) fn levels(&self, position: f64, settings: &Settings) -> (Option<f64>, Option<f64>) {
        let sign = if position > 0.0 { 1.0 } else { -1.0 };
        let stop = settings.stop_loss.map(|fraction| self.best * (1.0 - sign * fraction));
        let target = settings.take_profit.map(|fraction| self.reference * (1.0 + sign * fraction));
        (stop, target)
    }

    pub(super) fn new(close: f64) -> Self {
        Self { reference: close, best: close }
    }

    /// Tests the bar, the stop first, the target only if the stop did not fire; then moves a trailing stop by the bar's
    /// favourable extreme. Returns the exit price (the level, or the open that gapped through it) and its reason.
    pub(super) fn test(&mut self, position: f64, bar: Bar, settings: &Settings) -> Option<(f64, Reason)> {
        let long = position > 0.0;
        if position == 0.0 {
            return None;
        }
        let below = |base: f64, fraction: f64| hit(base * (1.0 - fraction), bar, |open, level| open <= level);
        let above = |base: f64, fraction: f64| hit(base * (1.0 + fraction), bar, |open, level| level <= open);
        let stop_reason = if settings.trailing { Reason::Trail } else { Reason::StopLoss };
        let stopped =
            settings.stop_loss.and_then(|f| if long { below(self.best, f) } else { above(self.best, f) });
        let exit = stopped.map(|price| (price, stop_reason)).or_else(|| {
            let target = settings
                .take_profit
                .and_then(|f| if long { above(self.reference, f) } else { below(self.reference, f) });
            target.map(|price| (price, Reason::TakeProfit))
        });
        if settings.trailing {
            self.best = if long { self.best.max(bar.high) } else { self.best.min(bar.low) };
        }
        exit
    }
}

/// The fill at `level`: the open if it lies beyond, the level if the bar holds it.
fn hit(level: f64, bar: Bar, gapped: impl Fn(f64, f64) -> bool) -> Option<f64> {
    if gapped(bar.open, level) {
        Some(bar.open)
    } else if bar.low <= level && level <= bar.high {
        Some(level)
    } else {
        None
    }
}
