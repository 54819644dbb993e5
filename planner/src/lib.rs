//! From a job to its plan: candles are found, read with their pre-roll and checked.
#![cfg_attr(not(test), warn(clippy::unwrap_used))]

pub mod cache;
pub mod candles;
pub mod commit;
pub mod plan;
mod refusal;

pub use candles::{JobCandles, SymbolCandles};
pub use commit::{CommitError, commit, enqueue};
pub use plan::{Order, plan};
pub use refusal::Refusal;
