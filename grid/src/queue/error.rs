//! Why the queue did not do it.

use super::types::Stream;

/// Why the queue did not do it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QueueError {
    /// The server cannot be reached, does not answer in time, is starting, failing over, or out of memory for now. What
    /// was asked for may have been done or not; asking again later is right.
    #[error("the queue does not answer now: {reason}; shards in work go on, and it is asked again")]
    Unavailable {
        /// In the words of the server or of the network.
        reason: String,
    },
    /// The stream or its group is gone: never opened, or the server was emptied. [`open`](super::Queue::open) it, then
    /// re-add what has no outcome.
    #[error("the queue of {stream} is gone: open it and re-add the units without outcome")]
    NoGroup {
        /// Which.
        stream: Stream,
    },
    /// An entry that this version does not write.
    #[error("an entry of {stream} reads `{text}`: another version of blockgrid wrote it, or another program")]
    Garbled {
        /// Where.
        stream: Stream,
        /// What it says.
        text: String,
    },
    /// The server refuses: rights, wrong password, a key of another type.
    #[error("the queue refuses: {reason}")]
    Refused {
        /// In the server's words.
        reason: String,
    },
    /// The address cannot be used.
    #[error(
        "`{url}` is no address of a queue: {reason}; one looks like redis://host:6379/0 or rediss://user:password@host:6380"
    )]
    Url {
        /// The address, its password left out.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The server holds the queue of another grid.
    #[error(
        "the queue is that of another object store (grid {theirs}, this store is grid {ours}): give each grid a Redis of its own, or another database of it (redis://HOST:6379/1)"
    )]
    OtherGrid {
        /// The grid of our store.
        ours: String,
        /// The grid that the queue is of.
        theirs: String,
    },
    /// The server is too old.
    #[error(
        "the queue's server is version {version}: blockgrid needs Redis 6.2 or later, or Valkey; upgrade it"
    )]
    TooOld {
        /// Its version.
        version: String,
    },
    /// The server may throw entries away when its memory is full.
    #[error(
        "the queue's server has maxmemory-policy {policy}, under which it may throw entries away; set it to noeviction (redis.conf, or CONFIG SET maxmemory-policy noeviction), or use a server of its own for the queue"
    )]
    Evicts {
        /// The policy in force.
        policy: String,
    },
}

impl QueueError {
    /// Whether asking again later can help by itself.
    pub fn is_unavailable(&self) -> bool {
        matches!(self, QueueError::Unavailable { .. })
    }
}
