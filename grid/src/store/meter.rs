//! What the requests to a store amount to: they are priced, and a task pays for its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What was asked of a store. Requests count when they are made: each attempt, whatever the answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// PUT, POST and LIST: the dear class.
    pub puts: u64,
    /// GET and HEAD: the cheap one.
    pub gets: u64,
    /// DELETE, which costs nothing but time.
    pub deletes: u64,
    /// Bytes of bodies that came.
    pub bytes_read: u64,
    /// Bytes of bodies that were sent.
    pub bytes_written: u64,
}

/// Counters that many handles of a store share; clones count together.
#[derive(Debug, Clone, Default)]
pub struct Meter(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    puts: AtomicU64,
    gets: AtomicU64,
    deletes: AtomicU64,
    bytes_read: AtomicU64,
    bytes_written: AtomicU64,
    whole: Option<Meter>,
}

impl Meter {
    /// At zero.
    pub fn new() -> Self {
        Self::default()
    }

    /// A meter at zero whose counts are added to this one as well: a task's share of the whole.
    #[must_use]
    pub fn fork(&self) -> Self {
        Self(Arc::new(Counts { whole: Some(self.clone()), ..Counts::default() }))
    }

    /// What was counted so far.
    pub fn usage(&self) -> Usage {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Usage {
            puts: read(&self.0.puts),
            gets: read(&self.0.gets),
            deletes: read(&self.0.deletes),
            bytes_read: read(&self.0.bytes_read),
            bytes_written: read(&self.0.bytes_written),
        }
    }

    pub(super) fn put(&self, bytes: usize) {
        self.add(|c| &c.puts, 1);
        self.add(|c| &c.bytes_written, bytes as u64);
    }

    pub(super) fn get(&self) {
        self.add(|c| &c.gets, 1);
    }

    pub(super) fn read(&self, bytes: usize) {
        self.add(|c| &c.bytes_read, bytes as u64);
    }

    pub(super) fn delete(&self) {
        self.add(|c| &c.deletes, 1);
    }

    fn add(&self, count: impl Fn(&Counts) -> &AtomicU64, n: u64) {
        let mut meter = Some(self);
        while let Some(Meter(counts)) = meter {
            count(counts).fetch_add(n, Ordering::Relaxed);
            meter = counts.whole.as_ref();
        }
    }
}
