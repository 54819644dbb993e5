//! What must hold for every strategy on every market: random strategies over random candles.
//!
//! `PROPTEST_CASES=10000 cargo test -p blockgrid-engine --test properties` runs more of them.

#[path = "../common/mod.rs"]
mod common;

mod generate;
mod invariants;
mod kernels;
mod reference;
