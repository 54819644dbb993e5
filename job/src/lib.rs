//! What is asked: the `BacktestJob` manifest, its validation, the parameter grid, the plan and the quote. No
//! network, no files.
//!
//! ```text
//!  YAML text --manifest::read--> JobSpec --Job::validate--> Job (every trial checked) --trials--> shards
//! ```
#![cfg_attr(not(test), warn(clippy::unwrap_used))]

pub mod budget;
pub mod crd;
mod decode;
pub mod grid;
pub mod manifest;
pub mod names;
mod overrides;
pub mod plan;
mod profile;
pub mod quote;
pub mod spec;
pub mod status;
mod validate;

pub use budget::{BudgetSpec, BudgetStatus};
pub use decode::FieldError;
pub use grid::Grid;
pub use manifest::{Invalid, MAX_MANIFEST_BYTES, load, of_value, read, resolved};
pub use overrides::Override;
pub use plan::{CostModel, Limits, Shard, Slices, SymbolWork};
pub use quote::Quote;
pub use spec::{ClusterSpec, DataSource, DataSpec, Fill, JobSpec, OutputSpec, Quality, SymbolSpec};
pub use status::JobStatus;
pub use validate::{Job, MAX_TRIALS, Survey, TrialCompiler};
