//! See `harness::candles`.
#![no_main]

#[path = "../harness.rs"]
mod harness;
#[path = "../run.rs"]
mod run;

libfuzzer_sys::fuzz_target!(|data: &[u8]| run::run(harness::candles, data));
