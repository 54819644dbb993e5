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

pub(crate) mod events;
mod float;
mod metrics;
mod order;
pub(crate) mod quick;
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

impl Settings {
    fn has_stops(&self) -> bool {
        self.stop_loss.is_some() || self.take_profit.is_some()
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

/// The signals of one bar: `enter` and `exit` of the long side and of the short side.
#[derive(Debug, Clone, Copy)]
struct AtBar {
    long: (bool, bool),
    short: (bool, bool),
}

impl AtBar {
    /// What they ask of an account that holds `position`, conflicts resolved.
    fn request(self, position: f64) -> Option<(Request, Reason)> {
        let (long_enter, long_exit) = unless_both(self.long.0, self.long.1);
        let (short_enter, short_exit) = unless_both(self.short.0, self.short.1);
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

impl Signals<'_> {
    fn at(&self, bar: usize) -> AtBar {
        let at = |signal: &[bool]| signal.get(bar).copied().unwrap_or(false);
        AtBar {
            long: (at(self.long_enter), at(self.long_exit)),
            short: (at(self.short_enter), at(self.short_exit)),
        }
    }
}

/// Two signals that contradict each other are none.
fn unless_both(a: bool, b: bool) -> (bool, bool) {
    (a && !b, b && !a)
}

/// An account and its stops between two bars.
#[derive(Debug)]
struct Trader {
    account: Account,
    stops: Option<Stops>,
    rejected_orders: u32,
}

impl Trader {
    fn new(settings: &Settings) -> Self {
        Self { account: Account::new(settings.initial_cash), stops: None, rejected_orders: 0 }
    }

    /// One bar: its stops, or else its signals. The order that was filled, if one was.
    fn bar(&mut self, bar: usize, signals: AtBar, candles: &Candles, settings: &Settings) -> Option<Record> {
        let close = candles.close()[bar];
        let before = self.account.position;
        let stop = self.stops.as_mut().and_then(|stops| stops.test(before, Bar::of(candles, bar), settings));
        let (request, reason, price, slippage) = if let Some((price, reason)) = stop {
            let request = if before > 0.0 { Request::SellLong } else { Request::Cover };
            (request, reason, price, 0.0)
        } else {
            let (request, reason) = signals.request(before)?;
            (request, reason, close, settings.slippage)
        };
        match self.account.execute(request, price, slippage, settings) {
            Ok(filled) => {
                if self.account.position == 0.0 {
                    self.stops = None;
                } else if settings.has_stops() && sign(self.account.position) != sign(before) {
                    self.stops = Some(Stops::new(close));
                }
                Some(Record { bar, reason, raw_price: price, filled })
            }
            Err(unfilled) => {
                self.rejected_orders += u32::from(unfilled == Unfilled::Rejected);
                None
            }
        }
    }
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
    let mut trader = Trader::new(settings);
    let mut records: Vec<Record> = Vec::new();
    for bar in range.clone() {
        records.extend(trader.bar(bar, signals.at(bar), candles, settings));
    }
    let rejected_orders = trader.rejected_orders;
    let (equity, position) = records::curve(&records, candles, range.clone(), settings.initial_cash);
    let first_bar = range.start;
    let mut outcome = Outcome { first_bar, equity, position, rejected_orders, ..Outcome::default() };
    let mut trips = records::Trips::default();
    records.iter().for_each(|record| trips.fill(record, candles, &mut outcome));
    if let Some(last) = range.last() {
        trips.finish(last, candles, &mut outcome);
    }
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::candles::RawCandles;
    use crate::interval::Interval;
    use crate::sim::{Direction, Fill};

    const DAY_MS: i64 = crate::interval::DAY_MS;

    fn candles(rows: &[[f64; 4]]) -> Candles {
        let column = |i: usize| rows.iter().map(|row| row[i]).collect::<Vec<_>>();
        let raw = RawCandles {
            timestamp: (0..).map(|day| day * DAY_MS).take(rows.len()).collect(),
            open: column(0),
            high: column(1),
            low: column(2),
            close: column(3),
            volume: vec![0.0; rows.len()],
        };
        Candles::new(Interval::DAY, raw).unwrap()
    }

    fn flat(closes: &[f64]) -> Candles {
        candles(&closes.iter().map(|&close| [close; 4]).collect::<Vec<_>>())
    }

    #[test]
    fn a_reversal_is_one_order_with_one_fee() {
        let candles = flat(&[100.0, 110.0, 99.0]);
        let signals =
            Signals { long_enter: &[true, false], short_enter: &[false, true], ..Signals::default() };
        let settings = Settings { fixed_fee: 1.0, ..Settings::default() };
        let outcome = simulate(&candles, 0..3, &signals, &settings);
        let [long, short] = outcome.trades.as_slice() else { panic!("{:?}", outcome.trades) };
        assert_eq!((long.direction, short.direction), (Direction::Long, Direction::Short));
        assert_eq!((long.quantity, long.entry.fee), (0.99, 1.0));
        let exit = long.exit.unwrap();
        let reason_and_time = |fill: Fill| (fill.bar, fill.reason, fill.timestamp);
        assert_eq!(reason_and_time(exit), (1, Reason::Reversal, 2 * DAY_MS));
        assert_eq!(reason_and_time(short.entry), (1, Reason::EnterSignal, 2 * DAY_MS));
        assert!((exit.fee + short.entry.fee - 1.0).abs() < 1e-12 && exit.fee > 0.4 && exit.fee < 0.6);
        assert!(short.exit.is_none() && short.bars == 1);
        let profit: f64 = outcome.trades.iter().map(|trade| trade.pnl).sum();
        assert!((outcome.equity[2] - 100.0 - profit).abs() < 1e-9);
    }

    #[test]
    fn a_stop_fills_at_the_open_that_gapped_and_silences_the_signals_of_its_bar() {
        let candles = candles(&[
            [100.0, 101.0, 90.0, 100.0],
            [94.0, 96.0, 93.0, 95.0],
            [95.0, 97.0, 95.0, 96.0],
            [96.0, 96.0, 80.0, 85.0],
        ]);
        let signals = Signals { long_enter: &[true; 4], ..Signals::default() };
        let settings = Settings { stop_loss: Some(0.05), slippage: 0.01, ..Settings::default() };
        let outcome = simulate(&candles, 0..4, &signals, &settings);
        // The low of the entry's own bar does not count: its stop acts from the next bar.
        let exits: Vec<_> =
            outcome.trades.iter().map(|trade| (trade.entry.bar, trade.exit.unwrap())).collect();
        assert_eq!(exits.len(), 2);
        let (gap, level) = (exits[0].1, exits[1].1);
        assert_eq!((exits[0].0, gap.bar, gap.price, gap.reason), (0, 1, 94.0, Reason::StopLoss));
        assert_eq!(gap.timestamp, DAY_MS);
        assert_eq!((exits[1].0, level.bar, level.price), (2, 3, 96.0 * 0.95));
        assert_eq!(outcome.position[1], 0.0);
        assert_eq!(outcome.trades[0].entry.price, 101.0);
        assert_eq!(outcome.trades[0].entry.raw_price, 100.0);
    }

    #[test]
    fn a_short_that_doubled_cannot_be_covered_whole() {
        let candles = flat(&[100.0, 300.0, 300.0]);
        let signals =
            Signals { short_enter: &[true], short_exit: &[false, true, true], ..Signals::default() };
        let outcome = simulate(&candles, 0..3, &signals, &Settings::default());
        assert!((outcome.equity[2] + 100.0).abs() < 1e-9);
        assert_eq!(outcome.trades.len(), 2);
        assert!(outcome.trades[0].exit.is_some() && outcome.trades[1].exit.is_none());
        assert_eq!(outcome.rejected_orders, 1);
    }

    #[test]
    fn the_open_trade_counts_among_trades_only() {
        let candles = flat(&[100.0, 90.0, 100.0, 120.0]);
        let signals =
            Signals { long_enter: &[true, false, true], long_exit: &[false, true], ..Signals::default() };
        let outcome = simulate(&candles, 0..4, &signals, &Settings::default());
        let metrics = metrics(&outcome, 100.0, 365.0);
        assert_eq!((metrics.trades.win_rate, metrics.closed_trades.win_rate), (0.5, 0.0));
        let nothing = simulate(&candles, 0..4, &Signals::default(), &Settings::default());
        let none = super::metrics(&nothing, 100.0, 365.0);
        assert!(none.trades.win_rate.is_nan() && none.calmar.is_nan());
        assert_eq!((none.total_return, none.max_drawdown, none.sharpe), (0.0, 0.0, f64::INFINITY));
    }
}
