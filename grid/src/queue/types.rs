//! What stands in the queue, and who holds it.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::id::{BadId, JobId, Unit};

/// How long an entry counts as worked on after a claim or a heartbeat; a worker that is silent for longer has lost it.
pub const IDLE: Duration = Duration::from_secs(60);

/// How often a worker tells that its leases live, and looks for those of others that do not.
pub const HEARTBEAT: Duration = Duration::from_secs(15);

/// For how long a worker that was cut off from the queue keeps everyone from reclaiming.
pub const HOLD: Duration = Duration::from_secs(30);

/// Entries of one job that may be queued at once; callers top up from the plan. (Streams are the queue's memory, and a
/// queue without memory stops every job.)
pub const MOST_QUEUED: usize = 20_000;

/// The most that the cost of one entry counts for, twelve days of a processor: sums stay exact in the numbers of scripts.
pub(super) const MOST_COUNTED: u64 = 1_000_000_000_000;

/// The name of an interactive lane: lower-case letters, digits, `-`, `_` and `.`, at most 100.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lane(String);

impl Lane {
    /// The lane that small jobs of an engine share: workers of another one leave it alone.
    pub fn interactive(engine: &str) -> Self {
        Self(format!("interactive-{engine}"))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Lane {
    type Err = BadId;

    fn from_str(text: &str) -> Result<Self, BadId> {
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_.".contains(&b);
        let is = (1..=100).contains(&text.len()) && text.bytes().all(plain);
        is.then(|| Self(text.to_owned())).ok_or_else(|| BadId {
            text: text.to_owned(),
            what: "lane",
            remedy: "a name has 1 to 100 lower-case letters, digits, `-`, `_` and `.`",
        })
    }
}

/// Where entries queue.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stream {
    /// A job with workers of its own: first in, first out.
    Job(JobId),
    /// Warm workers that jobs share: owners are served in turns, by what their entries cost.
    Lane(Lane),
}

impl fmt::Display for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Stream::Job(job) => write!(f, "job {job}"),
            Stream::Lane(lane) => write!(f, "lane {}", lane.as_str()),
        }
    }
}

/// A unit of work to be done.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Entry {
    /// Whose.
    pub job: JobId,
    /// Which.
    pub unit: Unit,
    /// What it was quoted to cost, in vCPU-microseconds; lanes divide time by it.
    pub cost_micros: u64,
}

/// An entry as one worker holds it. It is worth nothing once another has reclaimed it: what a worker may do with it is
/// decided by the queue, which knows the incarnation that took it last.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Lease {
    /// Where it was taken from.
    pub stream: Stream,
    /// Name of the entry within the stream.
    pub id: String,
    /// The work.
    pub entry: Entry,
    /// How often it was handed out, this time included: 1 = never before. Heartbeats do not count.
    pub deliveries: u32,
    /// How many of those who had it before neither acknowledged it nor handed it back: they may have died of it.
    pub silent: u32,
}

/// A worker, as the queue knows it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Consumer {
    /// A numbered slot such as `w7`, never the name of a pod: Redis keeps names forever.
    pub name: String,
    /// This incarnation, unlike any other that had the name or has it at the same time by mistake.
    pub nonce: String,
}

impl Consumer {
    /// A new incarnation of a slot.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), nonce: uuid::Uuid::new_v4().to_string() }
    }
}

/// What waits in a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Depth {
    /// Entries that were never handed out.
    pub queued: u64,
    /// What those were quoted to cost together, in vCPU-microseconds.
    pub queued_micros: u64,
    /// Entries in somebody's hands, or given back by `release`.
    pub pending: u64,
    /// Age of the oldest queued entry in milliseconds, by the queue's clock; `None` when nothing is queued.
    pub oldest_ms: Option<u64>,
}
