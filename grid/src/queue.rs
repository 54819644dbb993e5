//! The queue: which worker does what next. It is never the only copy of anything, so it may forget all it knows; what is
//! done says the object store.
//!
//! An entry is pushed, claimed, kept alive by heartbeats, and acknowledged once its outcome exists. A worker that falls
//! silent loses it to whoever reclaims it. Every act on a lease is done only if the incarnation that asks is the one that
//! took it last: a worker that was stopped for an hour and wakes can neither steal its entry back nor acknowledge it for
//! the new holder.

mod error;
mod fair;
mod keys;
mod link;
mod memory;
mod redis_queue;
mod types;

use std::future::Future;
use std::time::Duration;

pub use error::QueueError;
pub use link::without_password;
pub use memory::MemoryQueue;
pub use redis_queue::RedisQueue;
pub use types::{Consumer, Depth, Entry, HEARTBEAT, HOLD, IDLE, Lane, Lease, MOST_QUEUED, Stream};

use crate::id::{JobId, Unit};

/// A queue of units of work. Implementations are cheap to clone, and clones are the same queue.
///
/// # Errors
/// Every operation can fail with [`QueueError::Unavailable`] (ask again later; it may have been done) and
/// [`QueueError::Refused`]. Operations on the entries of a stream also fail with [`QueueError::NoGroup`] when it was not
/// opened or has been lost since, and those that read entries with [`QueueError::Garbled`].
pub trait Queue: Clone + Send + Sync + 'static {
    /// Makes a stream ready; harmless when it is.
    fn open(&self, stream: &Stream) -> impl Future<Output = Result<(), QueueError>> + Send;

    /// Adds entries at the end, in their order, and wakes who [`wait`](Queue::wait)s. In a lane it is the end of what
    /// `owner` has queued; an owner that had nothing queued enters at the time of the lane. `owner` means nothing to a
    /// job's own stream.
    ///
    /// When it fails on the way, some entries are queued: pushing all again is harmless, as is every duplicate.
    fn push(
        &self,
        stream: &Stream,
        owner: &str,
        entries: &[Entry],
    ) -> impl Future<Output = Result<(), QueueError>> + Send;

    /// How much waits.
    fn depth(&self, stream: &Stream) -> impl Future<Output = Result<Depth, QueueError>> + Send;

    /// Takes up to `count` entries that nobody had. In a lane they are those of the owner who was served least, one by one.
    fn claim(
        &self,
        stream: &Stream,
        consumer: &Consumer,
        count: usize,
    ) -> impl Future<Output = Result<Vec<Lease>, QueueError>> + Send;

    /// Takes over up to `count` entries of which nothing was heard for `idle` by the queue's clock, oldest first; none
    /// while the queue [`is_held`](Queue::is_held). They may have been anyone's, the caller's own included: those that it
    /// is still working on after a pause it knows by their id.
    fn reclaim(
        &self,
        stream: &Stream,
        consumer: &Consumer,
        idle: Duration,
        count: usize,
    ) -> impl Future<Output = Result<Vec<Lease>, QueueError>> + Send;

    /// Tells that leases live. Returns those that are not the caller's any more: it must abandon them.
    fn heartbeat(
        &self,
        consumer: &Consumer,
        leases: &[Lease],
    ) -> impl Future<Output = Result<Vec<Lease>, QueueError>> + Send;

    /// Gives leases back: anyone may [`reclaim`](Queue::reclaim) them at once, and waiters are woken for it. Returns those
    /// that were not the caller's any more.
    fn release(
        &self,
        consumer: &Consumer,
        leases: &[Lease],
    ) -> impl Future<Output = Result<Vec<Lease>, QueueError>> + Send;

    /// Removes entries whose outcome exists. Returns those that were not the caller's any more, which are left alone.
    fn acknowledge(
        &self,
        consumer: &Consumer,
        leases: &[Lease],
    ) -> impl Future<Output = Result<Vec<Lease>, QueueError>> + Send;

    /// Counts one more failure of the strategy in a unit (a lost worker is none) and returns how many there were.
    fn count_failure(&self, job: &JobId, unit: Unit) -> impl Future<Output = Result<u32, QueueError>> + Send;

    /// Keeps everyone from reclaiming for a while, as [`HOLD`] after an outage; a later call replaces an earlier one.
    fn hold(&self, time: Duration) -> impl Future<Output = Result<(), QueueError>> + Send;

    /// Whether a [`hold`](Queue::hold) is in force.
    fn is_held(&self) -> impl Future<Output = Result<bool, QueueError>> + Send;

    /// Takes a lock that opens by itself after `ttl`; `false` when somebody has it. It spares work, and nothing more: two
    /// may have it after an outage.
    fn try_lock(&self, name: &str, ttl: Duration) -> impl Future<Output = Result<bool, QueueError>> + Send;

    /// Drops all that is known of a job: its stream, leases, failures, bells, its place among the open ones. Entries of it
    /// in a lane stay until they are claimed.
    fn forget(&self, job: &JobId) -> impl Future<Output = Result<(), QueueError>> + Send;

    /// Returns `true` as soon as there may be work in one of the streams: something is queued, or was pushed or released
    /// since the call. `false` at the timeout. All who wait are woken, so that one that dies takes no wake-up with it.
    /// Who waits does not notice that the queue is lost: wait no longer than [`HEARTBEAT`] at a time. The streams must lie on
    /// one server.
    fn wait(
        &self,
        streams: &[Stream],
        timeout: Duration,
    ) -> impl Future<Output = Result<bool, QueueError>> + Send;

    /// Tells that a job is done to all who [`wait_done`](Queue::wait_done), now and for a day.
    fn announce(&self, job: &JobId) -> impl Future<Output = Result<(), QueueError>> + Send;

    /// Returns `true` as soon as the job was announced as done, `false` at the timeout. A hint: the store decides.
    fn wait_done(
        &self,
        job: &JobId,
        timeout: Duration,
    ) -> impl Future<Output = Result<bool, QueueError>> + Send;

    /// Jobs that were [`announce`](Queue::announce)d after `after`, oldest first, as soon as there is one or at the timeout,
    /// and where the next call goes on from. Without `after` it is from now on, and returns at once. A hint: what was
    /// announced long ago, or before the queue was lost, is not told.
    fn done_since(
        &self,
        after: Option<&str>,
        timeout: Duration,
    ) -> impl Future<Output = Result<(String, Vec<JobId>), QueueError>> + Send;

    /// Jobs that want workers of the shared pool, in the order in which they were opened.
    fn list_open(&self) -> impl Future<Output = Result<Vec<JobId>, QueueError>> + Send;

    /// Adds a job to the open ones, at their end, or removes it. A job that is open keeps its place.
    fn set_open(&self, job: &JobId, open: bool) -> impl Future<Output = Result<(), QueueError>> + Send;
}
