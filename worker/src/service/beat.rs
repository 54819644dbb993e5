//! Heartbeats: leases are kept alive, lost ones abandoned, and those of silent workers taken over.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use blockgrid_grid::store::keys;
use blockgrid_grid::{HOLD, JobId, Lease, Queue, Stream, Unit};

use super::{InFlight, Worker, lane};
use crate::jobs::lock;

/// How often it is looked at how long shards take.
const TICK: Duration = Duration::from_millis(500);

impl<Q: Queue> Worker<Q> {
    /// Beats until it is dropped.
    pub(super) async fn beats(self: Arc<Self>) {
        loop {
            tokio::time::sleep(self.pause()).await;
            let flights: Vec<InFlight> = lock(&self.in_flight).values().cloned().collect();
            if self.cut_off.load(Ordering::Relaxed)
                && self.queue.hold(HOLD.min(self.settings.idle / 2)).await.is_ok()
            {
                // Everyone was cut off together: nobody's lease is to be taken before its holder was heard again.
                tracing::info!("the queue answers again");
                self.cut_off.store(false, Ordering::Relaxed);
            }
            let leases: Vec<Lease> = flights.iter().map(|flight| flight.lease.clone()).collect();
            match self.queue.heartbeat(&self.consumer, &leases).await {
                Ok(lost) => self.abandon(&flights, &lost),
                Err(error) => {
                    self.notice(&error);
                    tracing::warn!(%error, "no heartbeat");
                    continue;
                }
            }
            self.obey_cancels(&flights).await;
            if !self.draining.load(Ordering::Relaxed) {
                self.take_over().await;
            }
        }
    }

    /// Looks at how long shards take, until it is dropped.
    pub(super) async fn clock(self: Arc<Self>) {
        let mut last = Instant::now();
        loop {
            tokio::time::sleep(TICK).await;
            let flights: Vec<InFlight> = lock(&self.in_flight).values().cloned().collect();
            // A process that was stopped has not worked meanwhile.
            self.end_late(&flights, last.elapsed().min(2 * TICK));
            last = Instant::now();
        }
    }

    /// The heartbeat's time, a tenth more or less by the worker's name, so that workers do not beat together.
    fn pause(&self) -> Duration {
        let spread =
            self.settings.name.bytes().fold(7u32, |sum, byte| sum.wrapping_mul(31) + u32::from(byte)) % 21;
        self.settings.heartbeat * (90 + spread) / 100
    }

    fn abandon(&self, flights: &[InFlight], lost: &[Lease]) {
        let is_new = |flight: &&InFlight| !flight.cancelled.load(Ordering::Relaxed);
        for flight in flights.iter().filter(|flight| lost.contains(&flight.lease)).filter(is_new) {
            // A unit that is just being acknowledged is lost too, and loses nothing.
            if lock(&self.in_flight).contains_key(&(flight.lease.stream.clone(), flight.lease.id.clone())) {
                tracing::info!(job = %flight.lease.entry.job, unit = %flight.lease.entry.unit, "the lease is another's now");
                self.meters.lost();
                flight.cancelled.store(true, Ordering::Relaxed);
            }
        }
    }

    /// Ends shards that have been computing for far longer than they were quoted: after ten times that, and never before
    /// `--most-time`, or in a lane a few seconds.
    fn end_late(&self, flights: &[InFlight], passed: Duration) {
        let passed = u64::try_from(passed.as_millis()).unwrap_or(u64::MAX);
        for flight in flights.iter().filter(|flight| flight.computing.load(Ordering::Relaxed)) {
            let ran = Duration::from_millis(flight.ran.fetch_add(passed, Ordering::Relaxed) + passed);
            let is_shard = matches!(flight.lease.entry.unit, Unit::Shard(_));
            let in_lane = matches!(flight.lease.stream, Stream::Lane(_));
            let least = if in_lane { self.settings.most.min(lane::MOST) } else { self.settings.most };
            let may = least.max(10 * Duration::from_micros(flight.lease.entry.cost_micros));
            if is_shard && ran > may && !flight.cancelled.load(Ordering::Relaxed) {
                flight.late.store(true, Ordering::Relaxed);
                flight.cancelled.store(true, Ordering::Relaxed);
            }
        }
    }

    /// Drops the units of jobs that were cancelled or deleted.
    async fn obey_cancels(&self, flights: &[InFlight]) {
        let jobs: BTreeSet<&JobId> = flights.iter().map(|flight| &flight.lease.entry.job).collect();
        for job in jobs {
            let (cancelled, plan) = (keys::cancelled(job), keys::plan(job));
            let (cancelled, plan) = tokio::join!(self.store.head(&cancelled), self.store.head(&plan));
            if cancelled.is_ok() || plan.is_err_and(|error| error.is_not_found()) {
                for flight in flights.iter().filter(|flight| flight.lease.entry.job == *job) {
                    flight.dropped.store(true, Ordering::Relaxed);
                    flight.cancelled.store(true, Ordering::Relaxed);
                }
            }
        }
    }

    /// Takes over what silent workers hold, as far as there is room.
    pub(super) async fn take_over(self: &Arc<Self>) {
        let streams = match self.streams().await {
            Ok(streams) => streams,
            Err(error) => return self.notice(&error),
        };
        for stream in streams {
            // After an outage even an idle worker first sees to it that all are heard.
            if self.cut_off.load(Ordering::Relaxed) {
                return;
            }
            let room = self.settings.slots.saturating_sub(lock(&self.in_flight).len());
            if room == 0 {
                return;
            }
            match self.queue.reclaim(&stream, &self.consumer, self.settings.idle, room).await {
                Ok(leases) => {
                    for lease in leases {
                        tracing::info!(job = %lease.entry.job, unit = %lease.entry.unit, deliveries = lease.deliveries, "taken over");
                        self.meters.reclaimed();
                        self.start(lease);
                        self.acted();
                    }
                }
                Err(error) => {
                    tracing::debug!(%error, "nothing taken over");
                    self.notice(&error);
                }
            }
        }
    }
}
