//! From orders to what an [`Outcome`](crate::sim::Outcome) holds: equity, position and trades, computed from the order
//! records alone, as vectorbt's `Portfolio.value()`, `assets()` and `trades` are.

use std::ops::Range;

use super::float::{add, is_close, is_close_or_less, is_less};
use super::order::Filled;
use crate::candles::Candles;
use crate::sim::{Direction, Fill, Reason, Tape, Trade};

/// A filled order: its bar, why it was sent, and at which price before slippage.
#[derive(Debug, Clone, Copy)]
pub(super) struct Record {
    pub(super) bar: usize,
    pub(super) reason: Reason,
    pub(super) raw_price: f64,
    pub(super) filled: Filled,
}

impl Record {
    /// The part of this order that belongs to one trade.
    fn fill(&self, fee: f64, reason: Reason, candles: &Candles) -> Fill {
        let in_bar = matches!(reason, Reason::StopLoss | Reason::TakeProfit | Reason::Trail);
        Fill {
            bar: self.bar,
            timestamp: if in_bar { candles.timestamp()[self.bar] } else { candles.close_time(self.bar) },
            raw_price: self.raw_price,
            price: self.filled.price,
            fee,
            maker: false,
            reason,
        }
    }
}

/// What an account holds, by the orders that were filled alone.
#[derive(Debug, Clone, Copy)]
pub(super) struct Holdings {
    pub(super) cash: f64,
    /// Signed base quantity.
    pub(super) position: f64,
}

impl Holdings {
    pub(super) fn fill(&mut self, filled: &Filled) {
        let signed = if filled.buy { filled.size } else { -filled.size };
        self.cash = add(self.cash, add(0.0, -signed * filled.price - filled.fees));
        self.position = add(self.position, add(0.0, signed));
    }
}

/// Equity and signed position at the close of each bar of `range`. At most one order a bar.
pub(super) fn curve(
    records: &[Record],
    candles: &Candles,
    range: Range<usize>,
    initial_cash: f64,
) -> (Vec<f64>, Vec<f64>) {
    let (mut equity, mut positions) = (Vec::with_capacity(range.len()), Vec::with_capacity(range.len()));
    let mut holdings = Holdings { cash: initial_cash, position: 0.0 };
    let mut records = records.iter().peekable();
    for bar in range {
        if let Some(record) = records.next_if(|record| record.bar == bar) {
            holdings.fill(&record.filled);
        }
        let Holdings { cash, position } = holdings;
        let held = if position == 0.0 { 0.0 } else { candles.close()[bar] * position };
        equity.push(cash + held);
        positions.push(position);
    }
    (equity, positions)
}

/// The position being followed by [`Trips`].
#[derive(Debug)]
struct Open {
    direction: Direction,
    entry: Record,
    reason: Reason,
    size: f64,
    gross: f64,
    fees: f64,
}

impl Open {
    fn new(entry: Record, size: f64, gross: f64, fees: f64) -> Self {
        let direction = if entry.filled.buy { Direction::Long } else { Direction::Short };
        Self { direction, entry, reason: Reason::EnterSignal, size, gross, fees }
    }

    /// The trade of `size` of this position, closed by `exit` (an order and its share of the order's fee) or still open
    /// at `mark`, the last close.
    fn trade(&self, size: f64, exit: Option<(&Record, f64)>, mark: (usize, f64), candles: &Candles) -> Trade {
        let entry_price = self.gross / self.size;
        let entry_fee = size / self.size * self.fees;
        let (last_bar, exit_price, exit_fee) = match exit {
            Some((record, fee)) => (record.bar, record.filled.price, fee),
            None => (mark.0, mark.1, 0.0),
        };
        let entry_value = size * entry_price;
        let gain = add(size * exit_price, -entry_value);
        let gain = if gain != 0.0 && self.direction == Direction::Short { -gain } else { gain };
        let pnl = gain - entry_fee - exit_fee;
        Trade {
            direction: self.direction,
            quantity: size,
            entry: self.entry.fill(entry_fee, self.reason, candles),
            exit: exit.map(|(record, fee)| {
                // The other side's `enter` closes as the first half of a reversal.
                let reason =
                    if record.reason == Reason::EnterSignal { Reason::Reversal } else { record.reason };
                record.fill(fee, reason, candles)
            }),
            pnl,
            return_fraction: pnl / entry_value,
            bars: last_bar - self.entry.bar,
        }
    }
}

/// Round trips (vectorbt's exit trades), order by order: an order beyond the position closes it and opens the opposite one,
/// its fee split by size; an order below it closes that part, with a proportional part of the entry's fee.
#[derive(Debug, Default)]
pub(super) struct Trips {
    open: Option<Open>,
}

impl Trips {
    pub(super) fn fill(&mut self, record: &Record, candles: &Candles, tape: &mut impl Tape) {
        let Filled { size, price, fees, .. } = record.filled;
        // The mark is for the trade that stays open.
        let mark = (record.bar, price);
        let Some(position) = &mut self.open else {
            self.open = Some(Open::new(*record, size, size * price, fees));
            return;
        };
        if !is_close_or_less(size, position.size) {
            let exit_fee = position.size / size * fees;
            tape.trade(&position.trade(position.size, Some((record, exit_fee)), mark, candles));
            let opened = size - position.size;
            self.open = Some(Open::new(*record, opened, opened * price, fees - exit_fee));
        } else if is_close(size, position.size) {
            tape.trade(&position.trade(position.size, Some((record, fees)), mark, candles));
            self.open = None;
        } else {
            tape.trade(&position.trade(size, Some((record, fees)), mark, candles));
            let left = (position.size - size) / position.size;
            position.size *= left;
            position.gross *= left;
            position.fees *= left;
        }
    }

    /// After bar `last`: what is still open is marked at its close.
    pub(super) fn finish(&self, last: usize, candles: &Candles, tape: &mut impl Tape) {
        if let Some(position) = self.open.as_ref().filter(|position| is_less(-position.size, 0.0)) {
            tape.trade(&position.trade(position.size, None, (last, candles.close()[last]), candles));
        }
    }
}
