//! One order against the account: vectorbt's `execute_order`, with its order arithmetic.

use super::Settings;
use super::float::{add, is_close, is_close_or_less, is_less, snap};

/// Smallest order (vectorbt's `min_size`).
const MIN_SIZE: f64 = 1e-8;

/// The account between two orders.
#[derive(Debug, Clone, Copy)]
pub(super) struct Account {
    /// Cash, the proceeds of a short included.
    pub(super) cash: f64,
    /// Signed base quantity.
    pub(super) position: f64,
    /// What was received for the base sold short: it is owed.
    debt: f64,
    /// Cash less the short's proceeds and a collateral of the same size.
    free_cash: f64,
}

/// What an order asks for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Request {
    /// Spend all cash: open a long; from a short, cover it and go long in one order.
    BuyAll,
    /// Cover the whole short.
    Cover,
    /// Sell the long, and short as much as the free cash then covers, in one order.
    SellAll,
    /// Sell the whole long.
    SellLong,
}

/// An order that was filled.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Filled {
    /// Whether it bought.
    pub(super) buy: bool,
    /// Base quantity, positive.
    pub(super) size: f64,
    /// Price after slippage.
    pub(super) price: f64,
    /// Fee in quote currency.
    pub(super) fees: f64,
}

/// Why an order was not filled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unfilled {
    /// Nothing to do: its size is 0.
    Ignored,
    /// It could not stand: no cash, fees above the cash, below the minimum size, no position.
    Rejected,
}

impl Account {
    pub(super) fn new(initial_cash: f64) -> Self {
        Self { cash: initial_cash, position: 0.0, debt: 0.0, free_cash: initial_cash }
    }

    /// Executes one order at `price` plus or minus `slippage`. Dust on the account (within 1e-12 of 0) is dropped
    /// first, filled or not.
    pub(super) fn execute(
        &mut self,
        request: Request,
        price: f64,
        slippage: f64,
        settings: &Settings,
    ) -> Result<Filled, Unfilled> {
        *self = Self {
            cash: snap(self.cash),
            position: snap(self.position),
            debt: snap(self.debt),
            free_cash: snap(self.free_cash),
        };
        match request {
            Request::BuyAll | Request::Cover => self.buy(request, price * (1.0 + slippage), settings),
            Request::SellAll | Request::SellLong => self.sell(request, price * (1.0 - slippage), settings),
        }
    }

    fn buy(&mut self, request: Request, price: f64, settings: &Settings) -> Result<Filled, Unfilled> {
        let cash = self.cash;
        let wanted = match request {
            Request::Cover if self.position == 0.0 => return Err(Unfilled::Rejected),
            Request::Cover => -self.position,
            _ if cash == 0.0 => return Err(Unfilled::Rejected),
            _ => f64::INFINITY,
        };
        let notional = wanted * price;
        let fees = notional * settings.fee + settings.fixed_fee;
        let (size, fees, spent) = if is_close_or_less(notional + fees, cash) {
            (wanted, fees, notional + fees)
        } else {
            // All cash, the fee included: m + m * fee + fixed = cash.
            let notional = add(cash, -settings.fixed_fee) / (1.0 + settings.fee);
            if notional <= 0.0 {
                return Err(Unfilled::Rejected);
            }
            (notional / price, cash - notional, cash)
        };
        if is_close(wanted, 0.0) {
            return Err(Unfilled::Ignored);
        }
        if is_less(size, MIN_SIZE) {
            return Err(Unfilled::Rejected);
        }
        let position = add(self.position, size);
        if self.position < 0.0 {
            let covered = if position < 0.0 { size } else { self.position.abs() };
            let repaid = covered * (self.debt / self.position.abs());
            self.debt = add(self.debt, -repaid);
            self.free_cash = add(self.free_cash + 2.0 * repaid, -spent);
        } else {
            self.free_cash = add(self.free_cash, -spent);
        }
        self.cash = add(cash, -spent);
        self.position = position;
        Ok(Filled { buy: true, size, price, fees })
    }

    fn sell(&mut self, request: Request, price: f64, settings: &Settings) -> Result<Filled, Unfilled> {
        let size = match request {
            Request::SellLong if self.position == 0.0 => return Err(Unfilled::Rejected),
            Request::SellLong => self.position,
            _ => self.most_to_sell(price, settings)?,
        };
        if is_close(size, 0.0) {
            return Err(Unfilled::Ignored);
        }
        if is_less(size, MIN_SIZE) {
            return Err(Unfilled::Rejected);
        }
        let notional = size * price;
        let fees = notional * settings.fee + settings.fixed_fee;
        let received = add(notional, -fees);
        if received < 0.0 {
            return Err(Unfilled::Rejected);
        }
        let position = add(self.position, -size);
        if position < 0.0 {
            let shorted = if self.position < 0.0 { size } else { position.abs() };
            let owed = shorted * price;
            self.debt += owed;
            self.free_cash = add(self.free_cash, add(received, -2.0 * owed));
        } else {
            self.free_cash += received;
        }
        self.cash += received;
        self.position = position;
        Ok(Filled { buy: false, size, price, fees })
    }

    /// The long, if any, and a short whose notional and fee the free cash covers. There is no margin check beyond.
    fn most_to_sell(&self, price: f64, settings: &Settings) -> Result<f64, Unfilled> {
        let long = self.position.max(0.0);
        let free = add(self.free_cash, long * price * (1.0 - settings.fee));
        if free <= 0.0 {
            return if self.position <= 0.0 { Err(Unfilled::Rejected) } else { Ok(long) };
        }
        let short = add(free, -settings.fixed_fee) / (price * (1.0 + settings.fee));
        let size = add(long, short);
        if size <= 0.0 { Err(Unfilled::Rejected) } else { Ok(size) }
    }
}
