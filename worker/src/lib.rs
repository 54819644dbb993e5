//! Computes units of jobs: a library for every program that does so.
#![cfg_attr(not(test), warn(clippy::unwrap_used))]

pub mod alone;
pub mod compute;
mod faults;
pub mod finish;
pub mod health;
pub mod inputs;
pub mod jobs;
pub mod meters;
pub mod options;
pub mod program;
pub mod publish;
pub mod service;
pub mod slot;
mod tables;
pub mod unit;

pub use compute::{ComputeError, Ready};
