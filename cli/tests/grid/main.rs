//! The grid under faults: the real program against a real Redis and a real S3 server, which are killed, emptied, slowed
//! and lied to. Each case asks for the bytes of `blockgrid run`, for a bill that adds up, and for proof that the fault
//! happened. A case runs once; `make chaos` repeats all of them with seeds of their own and longer outages.
//!
//! No worker's clock decides anything: idle time and locks are Redis's, and `clocks.rs` sees to it that no other is asked.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod cache;
mod clocks;
mod delivery;
mod disk;
mod lane;
mod poison;
mod queue;
mod rig;
mod spans;
mod store;
#[path = "../../../grid/tests/support/mod.rs"]
mod support;
mod truth;
mod workers;
