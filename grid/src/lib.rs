//! How shards travel: plan and result objects in the object store, which are the truth; the queue, which is not; and what
//! shards cost.
//!
//! ```text
//!  submit --plan.json--> store        queue --claim--> worker --outcome--> store --acknowledge--> queue
//! ```
#![cfg_attr(not(test), warn(clippy::unwrap_used))]

pub mod bucket;
pub mod cached;
mod cancel;
mod id;
mod identity;
pub mod outcome;
pub mod plan;
mod queue;
pub mod store;
pub mod telemetry;
pub mod usage;

pub use cancel::{cancel, end_cancelled};
pub use id::{BadId, JobId, Unit};
pub use identity::identity;
pub use outcome::{FailReason, FailedTrial, Outcome};
pub use plan::{ENGINE, ObjectRef, Plan, VERSION};
pub use queue::{
    Consumer, Depth, Entry, HEARTBEAT, HOLD, IDLE, Lane, Lease, MOST_QUEUED, MemoryQueue, Queue, QueueError,
    RedisQueue, Stream, without_password,
};
pub use store::{Created, Meter, Options, Store, StoreError, Tenant};
