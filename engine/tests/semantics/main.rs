//! The rules of `docs/semantics.md`, one readable example each. Numbers are worked out by hand in the comments.
//!
//! Candles are one line a bar, `open high low close` or one price, and the words `long exit short cover` say at whose
//! close a signal is true. Trades read `long 1@100 -> 3@110 exitSignal`: bars from 0, raw prices.
#![allow(clippy::unwrap_used, reason = "helpers of tests panic where the test fails")]

#[path = "../common/mod.rs"]
mod common;

mod bar;
mod docs;
mod expressions;
mod metrics;
mod money;
mod orders;
mod profile;
mod signals;
mod stops;
mod time;
