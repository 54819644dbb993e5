//! Reasons and conditions that more than one place knows.

/// The reason of jobs that are planned by a pod, and not yet.
pub(crate) const WAITS_ITS_TURN: &str = "WaitsItsTurn";

/// The reason of workers that are on their way.
pub(crate) const STARTING: &str = "Starting";

/// The reason of small jobs while no warm worker is ready.
pub(crate) const NO_WORKERS: &str = "NoWorkers";

/// The reason of jobs that stand still because the queue does not answer.
pub(crate) const QUEUE_UNAVAILABLE: &str = "QueueUnavailable";

/// The reason of jobs that stand still because the store does not answer.
pub(crate) const STORE_UNAVAILABLE: &str = "StoreUnavailable";

/// The condition that looks at a job fail, and why.
pub(crate) const STALLED: &str = "Stalled";
