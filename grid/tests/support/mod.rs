//! What the tests of the grid share.
#![allow(dead_code, unreachable_pub, reason = "each test uses its part of it")]

pub mod chaos;
pub mod metrics;
pub mod proxy;
pub mod redis;
pub mod s3;
pub mod skew;
