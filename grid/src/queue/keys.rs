//! Names of keys, and entries as text.
//!
//! All keys of a job, and all of a lane, share a hash tag, so that scripts over them are legal on a cluster.

use super::error::QueueError;
use super::types::{Entry, Stream};
use crate::id::JobId;

/// Whether a [`hold`](super::Queue::hold) is in force.
pub(super) const HELD: &str = "bt:hold";

/// The open jobs, by order of opening.
pub(super) const OPEN: &str = "bt:open";

/// Stream: jobs as they are done.
pub(super) const FINISHED: &str = "bt:finished";

/// Keys of a stream.
pub(super) struct Keys {
    tag: String,
}

impl Keys {
    pub(super) fn of(stream: &Stream) -> Self {
        match stream {
            Stream::Job(job) => Self::of_job(job),
            Stream::Lane(lane) => Self { tag: format!("{{lane:{}}}", lane.as_str()) },
        }
    }

    pub(super) fn of_job(job: &JobId) -> Self {
        Self { tag: format!("{{{job}}}") }
    }

    fn key(&self, name: &str) -> String {
        format!("bt:{}:{name}", self.tag)
    }

    /// The stream itself.
    pub(super) fn queue(&self) -> String {
        self.key("q")
    }

    /// Hash: entry -> nonce of the incarnation that has it.
    pub(super) fn holders(&self) -> String {
        self.key("holders")
    }

    /// Quoted cost of what is queued.
    pub(super) fn cost(&self) -> String {
        self.key("cost")
    }

    /// Stream of one entry, replaced whenever there may be work.
    pub(super) fn bell(&self) -> String {
        self.key("bell")
    }

    /// Stream of one entry, there once the job is done.
    pub(super) fn done(&self) -> String {
        self.key("done")
    }

    /// Hash: unit -> failures of the strategy.
    pub(super) fn failures(&self) -> String {
        self.key("failures")
    }

    /// Sorted set: owners with entries, by the virtual time at which their next one starts.
    pub(super) fn times(&self) -> String {
        self.key("times")
    }

    /// Sorted set: owners without, by the virtual time up to which they were served.
    pub(super) fn spent(&self) -> String {
        self.key("spent")
    }

    /// Virtual time of the lane: when the entry served last started.
    pub(super) fn clock(&self) -> String {
        self.key("clock")
    }

    /// What an owner has queued; without an owner, how such names begin.
    pub(super) fn list(&self, owner: &str) -> String {
        self.key("of:") + owner
    }
}

impl Entry {
    /// As it stands in a stream: `job unit cost`.
    pub(super) fn to_text(&self) -> String {
        format!("{} {} {}", self.job, self.unit, self.cost_micros)
    }

    pub(super) fn of_text(text: &str, stream: &Stream) -> Result<Self, QueueError> {
        let mut words = text.split(' ');
        let entry = (|| {
            let job = words.next()?.parse().ok()?;
            let unit = words.next()?.parse().ok()?;
            let cost_micros = words.next()?.parse().ok()?;
            words.next().is_none().then_some(Self { job, unit, cost_micros })
        })();
        entry.ok_or_else(|| QueueError::Garbled { stream: stream.clone(), text: text.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::Unit;

    #[test]
    fn entries_read_as_they_were_written() {
        let stream = Stream::Lane("warm".parse().unwrap());
        let entry = Entry { job: JobId::random(), unit: Unit::Shard(7), cost_micros: u64::MAX };
        assert_eq!(Entry::of_text(&entry.to_text(), &stream), Ok(entry));
        for bad in ["", "a", "a finish", "a finish x", "A finish 1", "a finish 1 2", "a finish -1"] {
            let error = Entry::of_text(bad, &stream).unwrap_err();
            assert!(matches!(error, QueueError::Garbled { .. }), "{bad}");
        }
    }

    #[test]
    fn keys_of_a_job_and_of_a_lane_share_a_hash_tag() {
        let job = Keys::of(&Stream::Job("a-1".parse().unwrap()));
        assert_eq!((job.queue(), job.done()), ("bt:{a-1}:q".to_owned(), "bt:{a-1}:done".to_owned()));
        let lane = Keys::of(&Stream::Lane("warm.1".parse().unwrap()));
        // A tag ends at the first brace, whatever an owner is called.
        assert_eq!(lane.list("x}y"), "bt:{lane:warm.1}:of:x}y");
    }
}
