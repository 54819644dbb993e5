//! The queue within a process: what `blockgrid run` and tests use.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

use super::Queue;
use super::error::QueueError;
use super::fair::Fair;
use super::types::{Consumer, Depth, Entry, Lease, MOST_COUNTED, Stream};
use crate::id::{JobId, Unit};

/// A queue in the memory of this process; its clock is tokio's, so tests may pause it. All clones are one queue.
#[derive(Clone, Default)]
pub struct MemoryQueue {
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    state: Mutex<State>,
    bell: Notify,
}

#[derive(Default)]
struct State {
    lines: HashMap<Stream, Line>,
    failures: HashMap<(JobId, Unit), u32>,
    held_until: Option<Instant>,
    locks: HashMap<String, Instant>,
    done: HashSet<JobId>,
    /// As they were announced.
    finished: Vec<JobId>,
    open: Vec<JobId>,
    /// Numbers entries and rings: a number was never used before, even if everything else was lost.
    last: u64,
}

/// What stands in a stream.
#[derive(Default)]
struct Line {
    own: VecDeque<Queued>,
    fair: Fair<Queued>,
    pending: BTreeMap<u64, Pending>,
    /// Number of the last ring.
    ring: u64,
}

struct Queued {
    entry: Entry,
    at: Instant,
}

struct Pending {
    entry: Entry,
    deliveries: u32,
    /// Of those, how many fell silent.
    silent: u32,
    holder: Option<Holder>,
}

/// The incarnation that has an entry, and when it was last heard of; none after a release.
struct Holder {
    nonce: String,
    seen: Instant,
}

impl Line {
    /// The pending entry of a lease, if the caller still has it.
    fn held(&mut self, lease: &Lease, consumer: &Consumer) -> Option<(u64, &mut Pending)> {
        let number = lease.id.parse().ok()?;
        let pending = self.pending.get_mut(&number)?;
        let is_holder = pending.holder.as_ref().is_some_and(|holder| holder.nonce == consumer.nonce);
        is_holder.then_some((number, pending))
    }

    fn queued(&self) -> impl Iterator<Item = &Queued> {
        self.own.iter().chain(self.fair.iter())
    }
}

impl State {
    fn next(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    fn line(&mut self, stream: &Stream) -> Result<&mut Line, QueueError> {
        self.lines.get_mut(stream).ok_or_else(|| QueueError::NoGroup { stream: stream.clone() })
    }

    fn is_held(&self) -> bool {
        self.held_until.is_some_and(|until| Instant::now() < until)
    }
}

impl MemoryQueue {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// Loses everything, as a server does that is emptied or restarted without its data.
    pub fn flush(&self) {
        let mut state = self.state();
        *state = State { last: state.last, ..State::default() };
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.inner.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ring(&self, stream: &Stream) {
        let mut state = self.state();
        let number = state.next();
        if let Some(line) = state.lines.get_mut(stream) {
            line.ring = number;
        }
        drop(state);
        self.inner.bell.notify_waiters();
    }

    /// Does `act` to the leases that the caller still has; returns the others.
    fn with_leases(
        &self,
        consumer: &Consumer,
        leases: &[Lease],
        mut act: impl FnMut(&mut Line, u64),
    ) -> Vec<Lease> {
        let mut state = self.state();
        let mut lost = Vec::new();
        for lease in leases {
            let line = state.lines.get_mut(&lease.stream);
            let held = line.and_then(|line| {
                let number = line.held(lease, consumer)?.0;
                Some((line, number))
            });
            match held {
                Some((line, number)) => act(line, number),
                None => lost.push(lease.clone()),
            }
        }
        lost
    }

    /// Waits until `is` holds, `false` at the timeout.
    async fn until(&self, time: Duration, is: impl Fn(&State) -> bool) -> bool {
        let wait = async {
            loop {
                let notified = self.inner.bell.notified();
                let mut notified = std::pin::pin!(notified);
                // From here on a ring is noticed, so none falls between the look and the wait.
                notified.as_mut().enable();
                if is(&self.state()) {
                    return;
                }
                notified.await;
            }
        };
        timeout(time, wait).await.is_ok()
    }
}

impl Queue for MemoryQueue {
    async fn open(&self, stream: &Stream) -> Result<(), QueueError> {
        self.state().lines.entry(stream.clone()).or_default();
        Ok(())
    }

    async fn push(&self, stream: &Stream, owner: &str, entries: &[Entry]) -> Result<(), QueueError> {
        let at = Instant::now();
        {
            let mut state = self.state();
            let line = state.line(stream)?;
            for entry in entries {
                let queued = Queued { entry: entry.clone(), at };
                match stream {
                    Stream::Job(_) => line.own.push_back(queued),
                    Stream::Lane(_) => line.fair.push(owner, entry.cost_micros, queued),
                }
            }
        }
        if !entries.is_empty() {
            self.ring(stream);
        }
        Ok(())
    }

    async fn depth(&self, stream: &Stream) -> Result<Depth, QueueError> {
        let mut state = self.state();
        let line = state.line(stream)?;
        let mut depth = Depth { pending: line.pending.len() as u64, ..Depth::default() };
        for queued in line.queued() {
            depth.queued += 1;
            depth.queued_micros += queued.entry.cost_micros.min(MOST_COUNTED);
            let age = u64::try_from(queued.at.elapsed().as_millis()).unwrap_or(u64::MAX);
            depth.oldest_ms = depth.oldest_ms.max(Some(age));
        }
        Ok(depth)
    }

    async fn claim(
        &self,
        stream: &Stream,
        consumer: &Consumer,
        count: usize,
    ) -> Result<Vec<Lease>, QueueError> {
        let mut state = self.state();
        let mut leases = Vec::new();
        while leases.len() < count {
            let number = state.next();
            let line = state.line(stream)?;
            let Some(Queued { entry, .. }) = line.own.pop_front().or_else(|| line.fair.pop()) else { break };
            leases.push(Lease {
                stream: stream.clone(),
                id: number.to_string(),
                entry: entry.clone(),
                deliveries: 1,
                silent: 0,
            });
            let holder = Some(Holder { nonce: consumer.nonce.clone(), seen: Instant::now() });
            line.pending.insert(number, Pending { entry, deliveries: 1, silent: 0, holder });
        }
        Ok(leases)
    }

    async fn reclaim(
        &self,
        stream: &Stream,
        consumer: &Consumer,
        idle: Duration,
        count: usize,
    ) -> Result<Vec<Lease>, QueueError> {
        let mut state = self.state();
        if state.is_held() {
            return Ok(Vec::new());
        }
        let silent = |pending: &Pending| pending.holder.as_ref().is_none_or(|it| it.seen.elapsed() >= idle);
        let pending = state.line(stream)?.pending.iter_mut();
        let taken = pending.filter(|(_, pending)| silent(pending)).take(count).map(|(number, pending)| {
            pending.deliveries += 1;
            pending.silent += u32::from(pending.holder.is_some());
            pending.holder = Some(Holder { nonce: consumer.nonce.clone(), seen: Instant::now() });
            let (entry, deliveries, silent) = (pending.entry.clone(), pending.deliveries, pending.silent);
            Lease { stream: stream.clone(), id: number.to_string(), entry, deliveries, silent }
        });
        Ok(taken.collect())
    }

    async fn heartbeat(&self, consumer: &Consumer, leases: &[Lease]) -> Result<Vec<Lease>, QueueError> {
        Ok(self.with_leases(consumer, leases, |line, number| {
            let holder = line.pending.get_mut(&number).and_then(|pending| pending.holder.as_mut());
            holder.into_iter().for_each(|holder| holder.seen = Instant::now());
        }))
    }

    async fn release(&self, consumer: &Consumer, leases: &[Lease]) -> Result<Vec<Lease>, QueueError> {
        let lost = self.with_leases(consumer, leases, |line, number| {
            line.pending.get_mut(&number).into_iter().for_each(|pending| pending.holder = None);
        });
        leases.iter().filter(|lease| !lost.contains(lease)).for_each(|lease| self.ring(&lease.stream));
        Ok(lost)
    }

    async fn acknowledge(&self, consumer: &Consumer, leases: &[Lease]) -> Result<Vec<Lease>, QueueError> {
        Ok(self.with_leases(consumer, leases, |line, number| {
            line.pending.remove(&number);
        }))
    }

    async fn count_failure(&self, job: &JobId, unit: Unit) -> Result<u32, QueueError> {
        let mut state = self.state();
        let count = state.failures.entry((job.clone(), unit)).or_default();
        *count += 1;
        Ok(*count)
    }

    async fn hold(&self, time: Duration) -> Result<(), QueueError> {
        self.state().held_until = Some(Instant::now() + time);
        Ok(())
    }

    async fn is_held(&self) -> Result<bool, QueueError> {
        Ok(self.state().is_held())
    }

    async fn try_lock(&self, name: &str, ttl: Duration) -> Result<bool, QueueError> {
        let mut state = self.state();
        let now = Instant::now();
        state.locks.retain(|_, until| now < *until);
        let free = !state.locks.contains_key(name);
        if free {
            state.locks.insert(name.to_owned(), now + ttl);
        }
        Ok(free)
    }

    async fn forget(&self, job: &JobId) -> Result<(), QueueError> {
        let mut state = self.state();
        state.lines.remove(&Stream::Job(job.clone()));
        state.failures.retain(|(of, _), _| of != job);
        state.done.remove(job);
        state.open.retain(|open| open != job);
        Ok(())
    }

    async fn wait(&self, streams: &[Stream], time: Duration) -> Result<bool, QueueError> {
        let mut rings = Vec::new();
        {
            let mut state = self.state();
            for stream in streams {
                let line = state.line(stream)?;
                if line.queued().next().is_some() {
                    return Ok(true);
                }
                rings.push((stream.clone(), line.ring));
            }
        }
        let rung = |state: &State| {
            rings.iter().any(|(stream, ring)| state.lines.get(stream).is_some_and(|line| line.ring > *ring))
        };
        Ok(self.until(time, rung).await)
    }

    async fn announce(&self, job: &JobId) -> Result<(), QueueError> {
        let mut state = self.state();
        state.done.insert(job.clone());
        state.finished.push(job.clone());
        drop(state);
        self.inner.bell.notify_waiters();
        Ok(())
    }

    async fn wait_done(&self, job: &JobId, time: Duration) -> Result<bool, QueueError> {
        Ok(self.until(time, |state| state.done.contains(job)).await)
    }

    async fn done_since(
        &self,
        after: Option<&str>,
        time: Duration,
    ) -> Result<(String, Vec<JobId>), QueueError> {
        let Some(after) = after else { return Ok((self.state().finished.len().to_string(), Vec::new())) };
        let from = after.parse().unwrap_or(0);
        self.until(time, |state| state.finished.len() > from).await;
        let state = self.state();
        let told = state.finished.get(from..).unwrap_or_default().to_vec();
        Ok((state.finished.len().max(from).to_string(), told))
    }

    async fn list_open(&self) -> Result<Vec<JobId>, QueueError> {
        Ok(self.state().open.clone())
    }

    async fn set_open(&self, job: &JobId, open: bool) -> Result<(), QueueError> {
        let mut state = self.state();
        match open {
            true if state.open.contains(job) => {}
            true => state.open.push(job.clone()),
            false => state.open.retain(|other| other != job),
        }
        Ok(())
    }
}
