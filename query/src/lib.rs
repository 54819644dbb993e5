//! SQL over results and candles: every `*.parquet` of a folder is a table, read-only.
//!
//! Conventions that hold for every query:
//! - A name is what the file says, letter case included, so that a parameter `fastLen` needs no quotes.
//! - `NaN` stands for null, and `order by` puts nulls last in both directions, as every ranking of blockgrid does.
//! - One thread unless asked for more: the same query over the same files gives the same rows in the same order.
#![cfg_attr(not(test), warn(clippy::unwrap_used))]

mod bytes;
mod database;
mod error;
mod output;
mod rows;

pub use bytes::{ParseBytesError, parse_bytes};
pub use database::{Column, Database, MAX_OPERATORS, MAX_SQL_BYTES, Options, STACK_BYTES, Table};
pub use error::QueryError;
pub use output::{Format, Printed, print};
pub use rows::Rows;

/// The columnar types a [`Rows`] hands out, in the version this crate was built with.
pub use datafusion::arrow;
