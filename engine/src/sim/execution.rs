//! How orders are executed: when, at what cost, in which steps of price and quantity.

use serde::Serialize;

use super::Direction;

/// Everything about execution that is the same for all trials of a job.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Execution {
    /// Whose rules.
    pub semantics: Semantics,
    /// When a market order decided at a close is filled.
    pub fill: FillAt,
    /// Fees.
    pub fees: Fees,
    /// Slippage.
    pub slippage: Slippage,
    /// Cash at the start, in quote currency.
    pub initial_cash: f64,
}

/// Whose rules a backtest follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Default)]
#[serde(rename_all = "camelCase")]
pub enum Semantics {
    /// Those of `docs/semantics.md`.
    #[default]
    Native,
    /// vectorbt's documented defaults.
    Vectorbt,
}

/// When a market order decided at a close is filled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Default)]
#[serde(rename_all = "camelCase")]
pub enum FillAt {
    /// At the next bar's open.
    #[default]
    NextOpen,
    /// At that close.
    Close,
}

/// Fees in basis points of the notional, and a fixed amount an order.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Default)]
#[serde(rename_all = "camelCase")]
pub struct Fees {
    /// Of market orders, stops and gaps.
    pub taker_bps: f64,
    /// Of resting limit orders filled at their price.
    pub maker_bps: f64,
    /// Quote currency an order.
    pub per_order: f64,
}

impl Fees {
    /// The rate as a fraction of the notional.
    pub fn rate(&self, maker: bool) -> f64 {
        (if maker { self.maker_bps } else { self.taker_bps }) / 10_000.0
    }
}

/// Adverse slippage of market orders and stops; both parts add up.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Default)]
#[serde(rename_all = "camelCase")]
pub struct Slippage {
    /// In basis points of the price.
    pub bps: f64,
    /// As a share of the fill bar's range (high - low).
    pub range_share: f64,
}

/// The steps and minimum of a symbol's orders. `None` means no such rule.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Default)]
#[serde(rename_all = "camelCase")]
pub struct SymbolRules {
    /// Quantities are multiples of it, rounded down.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lot: Option<f64>,
    /// Prices are multiples of it, rounded adversely: a buy's price up, a sell's down.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tick: Option<f64>,
    /// Orders below this notional are rejected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_notional: Option<f64>,
}

impl SymbolRules {
    /// A price on the tick grid, rounded against the trader.
    pub(crate) fn adverse(&self, price: f64, buy: bool) -> f64 {
        match self.tick {
            Some(tick) => to_step(price, tick, buy),
            None => price,
        }
    }

    /// A quantity on the lot grid, rounded down.
    pub(crate) fn lots(&self, quantity: f64) -> f64 {
        match self.lot {
            Some(lot) => to_step(quantity, lot, false),
            None => quantity,
        }
    }
}

/// `value` as a multiple of `step`, rounded up or down; a value that is a multiple but for rounding stays.
fn to_step(value: f64, step: f64, up: bool) -> f64 {
    let steps = value / step;
    let nearest = steps.round();
    // What rounding can have added: a few units in the last place, far less than half a step.
    let rounding = (8.0 * f64::EPSILON * nearest.abs()).clamp(1e-9, 1e-3);
    let whole = if (steps - nearest).abs() <= rounding {
        nearest
    } else if up {
        steps.ceil()
    } else {
        steps.floor()
    };
    // Steps such as 0.01 are not binary fractions, their inverses are whole: 3 / 10 is 0.3, 3 * 0.1 is not.
    let inverse = (1.0 / step).round();
    if (inverse * step - 1.0).abs() < 1e-12 { whole / inverse } else { whole * step }
}

/// Price after slippage: worse for the side that trades, never below zero.
pub(crate) fn slipped(raw: f64, direction_of_order: Direction, slippage: &Slippage, range: f64) -> f64 {
    let distance = raw * (slippage.bps / 10_000.0) + slippage.range_share * range;
    (raw + direction_of_order.sign() * distance).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_round_as_asked_and_keep_exact_multiples() {
        let rules = SymbolRules { lot: Some(0.1), tick: Some(0.01), min_notional: None };
        assert_eq!(rules.lots(0.3), 0.3);
        assert_eq!(rules.lots(0.39), 0.3);
        assert_eq!(rules.adverse(100.001, true), 100.01);
        assert_eq!(rules.adverse(100.009, false), 100.0);
        assert_eq!(rules.adverse(100.07, true), 100.07);
        assert_eq!(SymbolRules { lot: Some(5.0), ..rules }.lots(14.0), 10.0);
        // Thousands of millions of lots are rounded down, not to the nearest.
        assert_eq!(SymbolRules { lot: Some(1e-8), ..rules }.lots(123.456_789_998), 123.456_789_99);
    }

    #[test]
    fn slippage_is_adverse() {
        let slippage = Slippage { bps: 10.0, range_share: 0.5 };
        assert_eq!(slipped(100.0, Direction::Long, &slippage, 2.0), 101.1);
        assert_eq!(slipped(100.0, Direction::Short, &slippage, 2.0), 98.9);
    }
}
