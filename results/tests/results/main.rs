//! Tests of the public face of the crate, in one binary.
#![expect(clippy::unwrap_used, reason = "tests")]
mod fixture;
mod leaderboard;
mod report;
mod tables;
