//! Tests of the public face of the crate, in one binary.
mod fixture;
mod leaderboard;
mod tables;
