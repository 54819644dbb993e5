//! The operator: BacktestJobs on Kubernetes.
//!
//! ```text
//!  watch --> observe (reads) --> validate (pure) --> plan (pure) --> apply (writes) --> status
//!                                                       ^               |
//!                                                       +--- until there is nothing to do
//! ```
//!
//! It never simulates. How jobs end is what the store says, never what a Kubernetes Job says; money is held by one task
//! of the replica that leads.
#![cfg_attr(not(test), warn(clippy::unwrap_used))]

pub mod apply;
pub mod clock;
pub mod config;
pub mod context;
pub mod costs;
pub mod crds;
pub mod election;
pub mod events;
pub mod health;
pub mod lead;
mod links;
pub mod meters;
pub mod observe;
pub mod plan;
pub mod planning;
pub mod pool;
pub mod program;
pub mod reconcile;
pub mod resources;
pub mod sweep;
pub mod terms;
pub mod treasury;
mod unfinished;
pub mod validate;
pub mod warm;
pub mod world;
