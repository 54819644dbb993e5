//! `kubectl backtest` against a real API server, the real operator, and a grid of `blockgrid up`: one of each for all tests,
//! a namespace for each test. No nodes are needed, since the grid's worker takes every shard.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod asks;
mod logs;
mod plane;
mod refusals;
mod results;
#[path = "../support/mod.rs"]
mod support;
mod watch;
