//! From orders to what an [`Outcome`](crate::sim::Outcome) holds: equity, position and trades, computed from the order
//! records alone, as vectorbt's `Portfolio.value()`, `assets()` and `trades` are.

use std::ops::Range;

use super::float::{add, is_close, is_close_or_less, is_less};
use super::order::Filled;
use crate::candles::Candles;
use crate::sim::{Direction, Fill, Reason, Trade};

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

/// Equity and signed position at the close of each bar of `range`. At most one order a bar.
pub(super) fn curve(
    records: &[Record],
    candles: &Candles,
    range: Range<usize>,
    initial_cash: f64,
) -> (Vec<f64>, Vec<f64>) {
    let (mut equity, mut positions) = (Vec::with_capacity(range.len()), Vec::with_capacity(range.len()));
    let (mut cash, mut position) = (initial_cash, 0.0);
    let mut records = records.iter().peekable();
    for bar in range {
        let (mut cash_flow, mut asset_flow) = (0.0, 0.0);
        if let Some(record) = records.next_if(|record| record.bar == bar) {
            let Filled { buy, size, price, fees } = record.filled;
            let signed = if buy { size } else { -size };
            cash_flow = add(0.0, -signed * price - fees);
            asset_flow = add(0.0, signed);
        }
        cash = add(cash, cash_flow);
        position = add(position, asset_flow);
        let held = if position == 0.0 { 0.0 } else { candles.close()[bar] * position };
        equity.push(cash + held);
        positions.push(position);
    }
    (equity, positions)
}

/// The position being followed by [`trades`].
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

/// Round trips (vectorbt's exit trades): an order beyond the position closes it and opens the opposite one, its fee
/// split by size; an order below it closes that part, with a proportional part of the entry's fee.
pub(super) fn trades(records: &[Record], candles: &Candles, range: Range<usize>) -> Vec<Trade> {
    let mut trades = Vec::new();
    let mut open: Option<Open> = None;
    let Some(last) = range.clone().next_back() else { return trades };
    let mark = (last, candles.close()[last]);
    for record in records {
        let Filled { size, price, fees, .. } = record.filled;
        let Some(position) = &mut open else {
            open = Some(Open::new(*record, size, size * price, fees));
            continue;
        };
        if !is_close_or_less(size, position.size) {
            let exit_fee = position.size / size * fees;
            trades.push(position.trade(position.size, Some((record, exit_fee)), mark, candles));
            let opened = size - position.size;
            open = Some(Open::new(*record, opened, opened * price, fees - exit_fee));
        } else if is_close(size, position.size) {
            trades.push(position.trade(position.size, Some((record, fees)), mark, candles));
            open = None;
        } else {
            trades.push(position.trade(size, Some((record, fees)), mark, candles));
            let left = (position.size - size) / position.size;
            position.size *= left;
            position.gross *= left;
            position.fees *= left;
        }
    }
    if let Some(position) = open.filter(|position| is_less(-position.size, 0.0)) {
        trades.push(position.trade(position.size, None, mark, candles));
    }
    trades
}
