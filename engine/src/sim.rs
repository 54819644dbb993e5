//! Simulation: what came out of one trial. The bar loop and the profiles live in the modules below.

mod bar_loop;
mod bracket;
pub(crate) mod events;
mod execution;
mod signals;
pub(crate) mod touch;
pub mod vectorbt;

pub(crate) use bar_loop::Market;
pub use bar_loop::{first_warm_bar, simulate};
pub use execution::{Execution, Fees, FillAt, Semantics, Slippage, SymbolRules};

/// Long or short.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Bought first.
    Long,
    /// Sold first.
    Short,
}

impl Direction {
    /// +1 for long, -1 for short.
    pub fn sign(self) -> f64 {
        match self {
            Direction::Long => 1.0,
            Direction::Short => -1.0,
        }
    }

    /// The other one.
    pub fn opposite(self) -> Self {
        match self {
            Direction::Long => Direction::Short,
            Direction::Short => Direction::Long,
        }
    }

    /// `long` or `short`, as results show it.
    pub fn id(self) -> &'static str {
        match self {
            Direction::Long => "long",
            Direction::Short => "short",
        }
    }
}

/// Why a fill happened. Every fill carries one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// An `enter` signal, filled as a market order.
    EnterSignal,
    /// An `enter` signal, filled by its resting limit order.
    EnterLimit,
    /// An `enter` signal, filled by its resting stop order.
    EnterStop,
    /// The side's `exit` signal.
    ExitSignal,
    /// The other side's `enter` reversed the position.
    Reversal,
    /// Stop loss.
    StopLoss,
    /// Take profit.
    TakeProfit,
    /// Trailing stop.
    Trail,
    /// Stop moved to the entry price.
    BreakEven,
    /// `maxBars` reached.
    TimeStop,
    /// A short whose equity reached zero.
    Liquidation,
}

impl Reason {
    /// The id in result tables.
    pub fn id(self) -> &'static str {
        match self {
            Reason::EnterSignal => "enterSignal",
            Reason::EnterLimit => "enterLimit",
            Reason::EnterStop => "enterStop",
            Reason::ExitSignal => "exitSignal",
            Reason::Reversal => "reversal",
            Reason::StopLoss => "stopLoss",
            Reason::TakeProfit => "takeProfit",
            Reason::Trail => "trail",
            Reason::BreakEven => "breakEven",
            Reason::TimeStop => "timeStop",
            Reason::Liquidation => "liquidation",
        }
    }
}

/// One execution.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fill {
    /// Index of the bar in the candles of the run.
    pub bar: usize,
    /// When: the open of the bar for a fill at or inside it, open + interval for a fill at its close. UTC milliseconds.
    pub timestamp: i64,
    /// Price before slippage: within the bar, or the open that gapped.
    pub raw_price: f64,
    /// Price paid or received, after slippage.
    pub price: f64,
    /// Fee in quote currency.
    pub fee: f64,
    /// Whether the fee was the maker's: a resting limit filled at its price.
    pub maker: bool,
    /// Why.
    pub reason: Reason,
}

/// A round trip: an entry and, unless it is still open at the end, an exit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Trade {
    /// Long or short.
    pub direction: Direction,
    /// Base quantity, positive.
    pub quantity: f64,
    /// The fill that opened it.
    pub entry: Fill,
    /// The fill that closed it; `None` for the one still open at the end.
    pub exit: Option<Fill>,
    /// Profit and loss in quote currency after fees; an open trade is marked at the last close without exit fee.
    pub pnl: f64,
    /// `pnl` as a fraction of the entry's notional (`quantity * entry.price`).
    pub return_fraction: f64,
    /// Bars from the entry's bar to the exit's bar (or the last bar).
    pub bars: usize,
}

/// What one trial did, bar by bar.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Outcome {
    /// First bar of the account: an index into the candles of the run. Equity starts here.
    pub first_bar: usize,
    /// Account value at the close of each bar, from `first_bar` on, in quote currency.
    pub equity: Vec<f64>,
    /// Position at the close of each bar, signed base quantity, from `first_bar` on.
    pub position: Vec<f64>,
    /// Round trips, by entry time.
    pub trades: Vec<Trade>,
    /// Orders that were not sent because they could not stand: below the minimum notional, a stop or target on the wrong
    /// side, no money, an unknown price.
    pub rejected_orders: u32,
    /// Quote currency lost beyond zero equity when a short was liquidated over a gap; 0 otherwise.
    pub deficit: f64,
}

/// Where a kernel writes what a trial does, in the order of time.
pub(crate) trait Tape {
    /// At the closes of `bars` the account held `cash` in quote currency and `held` base (signed). Every bar of the
    /// account comes once, in order.
    fn mark(&mut self, bars: std::ops::Range<usize>, cash: f64, held: f64, close: &[f64]);

    /// A round trip that ended, or the one still open at the end.
    fn trade(&mut self, trade: &Trade);
}

impl Tape for Outcome {
    fn mark(&mut self, bars: std::ops::Range<usize>, cash: f64, held: f64, close: &[f64]) {
        self.equity.extend(close[bars.clone()].iter().map(|close| cash + held * close));
        self.position.resize(self.position.len() + bars.len(), held);
    }

    fn trade(&mut self, trade: &Trade) {
        self.trades.push(*trade);
    }
}

/// Nobody reads it.
impl Tape for () {
    fn mark(&mut self, _: std::ops::Range<usize>, _: f64, _: f64, _: &[f64]) {}

    fn trade(&mut self, _: &Trade) {}
}
