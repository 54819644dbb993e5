//! Profile `vectorbt`: one trial by the documented defaults of vectorbt's `Portfolio.from_signals`, order arithmetic
//! included, for people who come from there and as our outside check (`engine/tests/parity_vectorbt.rs`).
//!
//! The rules, where they differ from ours:
//! - Signals act on their own bar, at its close, with all the money (`size=inf`); one order a bar.
//! - A side's `enter` together with its own `exit` is no signal, nor are both sides' `enter` together
//!   (`upon_long_conflict`, `upon_short_conflict`, `upon_dir_conflict`: ignore). An `exit` beside the *other* side's
//!   `enter` is heard: from a long, `short_enter` comes before `long_exit`.
//! - The other side's `enter` reverses in one order with one fee (`upon_opposite_entry=reversereduce`). A buy spends the
//!   cash, a short's proceeds included, so after a price that more than doubled it covers only in part; a sell shorts
//!   what the free cash covers. There is no margin check: equity may go below zero and recover.
//! - Stop, target and trailing stop are fractions of the close of the opening bar, act from the next bar, come before
//!   the bar's signals and silence them (`stop_entry_price=close`, `stop_exit_price=stoplimit`): the next entry is that
//!   of the next bar. They fill at their level, or at the open beyond it, without slippage; the stop comes first.
//! - Sums that cancel within 1e-9 are zero; an order below 1e-8 is rejected.

mod float;
mod metrics;
mod order;
mod records;
mod stops;

use std::ops::Range;

use crate::candles::Candles;
use crate::sim::{Outcome, Reason};

pub use metrics::{TradeMetrics, VectorbtMetrics, metrics};

use float::sign;
use order::{Account, Request, Unfilled};
use records::Record;
use stops::{Bar, Stops};

/// Account and costs of a run, and its stops. The default is vectorbt's: 100 in cash, no costs, no stops.
///
/// The caller has checked the numbers: cash positive, fees and stops not negative, slippage in `[0, 1)`, all finite.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// Cash at the start, in quote currency (`init_cash`).
    pub initial_cash: f64,
    /// Fee as a fraction of an order's notional (`fees`).
    pub fee: f64,
    /// Fee of each order in quote currency (`fixed_fees`).
    pub fixed_fee: f64,
    /// Adverse slippage of orders at the close, as a fraction (`slippage`); stops and targets have none.
    pub slippage: f64,
    /// Stop as a fraction of the entry bar's close (`sl_stop`).
    pub stop_loss: Option<f64>,
    /// Whether the stop trails the best high (low, for a short) since the entry (`sl_trail`).
    pub trailing: bool,
    /// Target as a fraction of the entry bar's close (`tp_stop`).
    pub take_profit: Option<f64>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            initial_cash: 100.0,
            fee: 0.0,
            fixed_fee: 0.0,
            slippage: 0.0,
            stop_loss: None,
            trailing: false,
            take_profit: None,
        }
    }
}

/// The four signals, indexed like the candles; true acts. An empty slice is a signal that never comes, so a side
/// without its two does not trade.
#[derive(Debug, Clone, Copy, Default)]
pub struct Signals<'a> {
    /// Open a long, or reverse a short.
    pub long_enter: &'a [bool],
    /// Close a long.
    pub long_exit: &'a [bool],
    /// Open a short, or reverse a long.
    pub short_enter: &'a [bool],
    /// Close a short.
    pub short_exit: &'a [bool],
}

impl Signals<'_> {
    /// What bar `bar` asks of an account that holds `position`, conflicts resolved.
    fn request(&self, bar: usize, position: f64) -> Option<(Request, Reason)> {
        let at = |signal: &[bool]| signal.get(bar).copied().unwrap_or(false);
        let (long_enter, long_exit) = unless_both(at(self.long_enter), at(self.long_exit));
        let (short_enter, short_exit) = unless_both(at(self.short_enter), at(self.short_exit));
        let (long_enter, short_enter) = unless_both(long_enter, short_enter);
        let (buy, sell) = ((Request::BuyAll, Reason::EnterSignal), (Request::SellAll, Reason::EnterSignal));
        match sign(position) {
            1 if short_enter => Some(sell),
            1 if long_exit => Some((Request::SellLong, Reason::ExitSignal)),
            -1 if long_enter => Some(buy),
            -1 if short_exit => Some((Request::Cover, Reason::ExitSignal)),
            0 if long_enter => Some(buy),
            0 if short_enter => Some(sell),
            _ => None,
        }
    }
}

/// Two signals that contradict each other are none.
fn unless_both(a: bool, b: bool) -> (bool, bool) {
    (a && !b, b && !a)
}

/// Runs one trial over the bars `range` of `candles`, which lie within them. The account starts at `range.start`,
/// without pre-roll; a position open at the end stays open, marked at the last close.
///
/// In the outcome's trades, an order that reverses is split in two by size, its fee too: the half that closes has reason
/// [`Reason::Reversal`], the half that opens [`Reason::EnterSignal`].
pub fn simulate(
    candles: &Candles,
    range: Range<usize>,
    signals: &Signals<'_>,
    settings: &Settings,
) -> Outcome {
    let mut account = Account::new(settings.initial_cash);
    let mut stops: Option<Stops> = None;
    let mut records: Vec<Record> = Vec::new();
    let mut rejected_orders = 0;
    let with_stops = settings.stop_loss.is_some() || settings.take_profit.is_some();

    for bar in range.clone() {
        let close = candles.close()[bar];
        let before = account.position;
        let prices = Bar { open: candles.open()[bar], high: candles.high()[bar], low: candles.low()[bar] };
        let stop = stops.as_mut().and_then(|stops| stops.test(before, prices, settings));
        let (request, reason, price, slippage) = if let Some((price, reason)) = stop {
            let request = if before > 0.0 { Request::SellLong } else { Request::Cover };
            (request, reason, price, 0.0)
        } else if let Some((request, reason)) = signals.request(bar, before) {
            (request, reason, close, settings.slippage)
        } else {
            continue;
        };
        match account.execute(request, price, slippage, settings) {
            Ok(filled) => {
                records.push(Record { bar, reason, raw_price: price, filled });
                if with_stops && account.position == 0.0 {
                    stops = None;
                } else if with_stops && sign(account.position) != sign(before) {
                    stops = Some(Stops::new(close));
                }
            }
            Err(Unfilled::Rejected) => rejected_orders += 1,
            Err(Unfilled::Ignored) => {}
        }
    }

    let (equity, position) = records::curve(&records, candles, range.clone(), settings.initial_cash);
    let trades = records::trades(&records, candles, range.clone());
    Outcome { first_bar: range.start, equity, position, trades, rejected_orders, deficit: 0.0 }
}
