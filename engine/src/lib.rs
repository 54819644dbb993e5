//! Pure compute of blockgrid: candles in memory, strategy documents and their expression graph, indicators, order and
//! fill rules, account, metrics and parameter sweeps. No I/O, no clocks, no ambient randomness.
#![cfg_attr(not(test), warn(clippy::unwrap_used))]

pub mod bits;
pub mod candles;
pub mod exact;
pub mod expr;
pub mod graph;
pub mod indicators;
pub mod interval;
pub mod metrics;
pub mod sim;
pub mod strategy;
pub mod sweep;

pub use candles::{CandleError, Candles, RawCandles};
pub use interval::Interval;
