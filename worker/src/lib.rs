//! Computes units of jobs: a library for every program that does so.
#![cfg_attr(not(test), warn(clippy::unwrap_used))]

pub mod compute;
pub mod publish;

pub use compute::{ComputeError, Ready};
