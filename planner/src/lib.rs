//! From a job to its plan: candles are found, read with their pre-roll and checked; trials that exist are left out; the
//! rest is cut into shards, committed to the store, and queued.
#![cfg_attr(not(test), warn(clippy::unwrap_used))]

pub mod cache;
pub mod candles;
pub mod commit;
pub mod plan;
pub mod prepare;
mod refusal;

pub use candles::{JobCandles, SymbolCandles};
pub use commit::{CommitError, commit, enqueue};
pub use plan::{Order, plan};
pub use prepare::{Prepared, Request, prepare};
pub use refusal::Refusal;
