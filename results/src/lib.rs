//! What came out: the result tables (Parquet), checkpoints of finished shards, the leaderboard and the HTML report.
//!
//! Everything here is a function of its arguments: no clock, no locale, no randomness. The same table gives the same
//! bytes, whoever writes it.
#![cfg_attr(not(test), warn(clippy::unwrap_used))]

pub mod checkpoint;
pub mod equity;
pub mod files;
pub mod format;
pub mod leaderboard;
mod parquet_file;
pub mod report;
pub mod table;
pub mod top;
pub mod trace;
pub mod trades;

pub use leaderboard::{Goal, Objective, ParameterSet, rank, rank_by_median};
pub use parquet_file::{FileError, ROW_GROUP_ROWS};
pub use table::{MetricRow, TableError, TrialRow, TrialTable, is_reserved, read_trials, write_trials};
pub use top::{TopColumns, TopTrial};
