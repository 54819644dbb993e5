//! What is done with one lease.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use blockgrid_grid::store::keys;
use blockgrid_grid::{Entry, FailReason, JobId, Outcome, Queue, StoreError, Stream, Unit};
use blockgrid_results::files::RECORD;

use super::{InFlight, Serve, Worker};
use crate::alone::{self, Alone, SILENT_TOGETHER};
use crate::faults;
use crate::finish::{Finished, Stage2, forget_columns};
use crate::jobs::{JobError, OpenJob, lock};
use crate::unit::{UnitError, Work};

/// Failures of a unit that are no trial's own, until it is given up.
const MOST_FAILURES: u32 = 3;

/// Shards up to which their outcomes are listed after each, to see whether all are there.
const FEW_SHARDS: u64 = 64;

impl<Q: Queue> Worker<Q> {
    /// Works on a lease until its outcome exists or it is not ours any more.
    pub(super) async fn serve(&self, flight: &InFlight) {
        let lease = &flight.lease;
        let (id, unit) = (&lease.entry.job, lease.entry.unit);
        let marker = keys::cancelled(id);
        let lane = match &lease.stream {
            Stream::Lane(lane) => Some(lane),
            Stream::Job(_) => None,
        };
        let has_moved = async { lane.is_some() && self.has_moved(id).await };
        let (job, cancelled, has_moved) =
            tokio::join!(self.jobs.get(&self.store, id), self.store.head(&marker), has_moved);
        if cancelled.is_ok() {
            self.jobs.forget(id);
            self.drop_lease(flight).await;
            return;
        }
        let job = match job {
            Ok(job) => job,
            Err(JobError::Gone) => {
                tracing::info!(job = %id, "a job without a plan: it was deleted");
                self.drop_lease(flight).await;
                return;
            }
            Err(JobError::Foreign(why)) => {
                tracing::warn!(job = %id, why, "left alone");
                lock(&self.foreign).insert(id.clone());
                if matches!(lease.stream, Stream::Job(_)) {
                    // This worker does not look there again.
                    self.release(flight).await;
                }
                // In a lane it would be handed back to us: who has the right engine takes it when it counts as idle.
                return;
            }
            Err(JobError::Store(error)) => return self.hand_back(flight, &error).await,
            Err(JobError::Bad(message)) => {
                return self.give_up(flight, None, FailReason::BadPlan, message).await;
            }
        };
        if let Some(lane) = lane.filter(|_| has_moved) {
            return self.move_out(&job, flight, lane).await;
        }
        if lease.deliveries > 1 && self.has_outcome(id, unit).await {
            self.acknowledge(flight).await;
            self.after(&job, flight).await;
            return;
        }
        if unit == Unit::Finish && (self.is_twice(flight) || self.has_outcome(id, unit).await) {
            // It is often queued twice, by those who saw the last shards done. The other entry stays until it is done.
            self.acknowledge(flight).await;
            self.after(&job, flight).await;
            return;
        }
        let outcome = if lease.silent >= SILENT_TOGETHER {
            // One at a time: each may have what the container has left. What this slot holds is given up for it.
            let Some(held) = self.slots.hold().await else {
                return self.failed(&job, flight, UnitError::Abandoned).await;
            };
            let _only = self.alone.lock().await;
            held.run(forget_columns).await;
            self.meters.alone();
            flight.computing.store(true, Ordering::Relaxed);
            match alone::run(&self.settings, id, unit, &flight.cancelled).await {
                Ok(Alone::Written) => Ok(None),
                Ok(Alone::Failed(outcome)) => Ok(Some(outcome)),
                Ok(Alone::NotYet(units)) => {
                    self.queue_first(&job, flight, &units).await;
                    Ok(None)
                }
                Err(error) => Err(error),
            }
        } else {
            self.compute(&job, flight).await
        };
        self.tell_span(flight, &outcome);
        match outcome {
            Ok(Some(outcome)) => self.conclude(&job, flight, outcome).await,
            Ok(None) => {
                // Computed by a process of its own, which has written the outcome; or other units come first.
                self.acknowledge(flight).await;
                self.after(&job, flight).await;
            }
            Err(error) => self.failed(&job, flight, error).await,
        }
    }

    pub(super) fn work<'a>(&'a self, job: &'a Arc<OpenJob>, flight: &InFlight) -> Work<'a> {
        Work {
            store: self.store.metered(self.store.meter().fork()),
            candles: &self.candles,
            job,
            worker: &self.settings.name,
            class: &self.settings.class,
            memory: self.settings.memory / self.settings.slots.max(1),
            cancelled: Arc::clone(&flight.cancelled),
            started: flight.started,
            delivery: flight.lease.deliveries,
            cpu: Arc::clone(&flight.cpu),
        }
    }

    /// The outcome of a unit; none when finishing has found that other units come first.
    async fn compute(&self, job: &Arc<OpenJob>, flight: &InFlight) -> Result<Option<Outcome>, UnitError> {
        let work = self.work(job, flight);
        let unit = flight.lease.entry.unit;
        if let Unit::Shard(number) = unit {
            // Fetched while the slot is still busy with another.
            if let Ok(Some(shard)) = job.shard(&work.store, number).await {
                let _ = self.candles.get(&work.store, &job.ready, shard.symbol as usize).await;
            }
        }
        let Some(held) = self.slots.hold().await else { return Err(UnitError::Abandoned) };
        if work.is_cancelled() {
            return Err(UnitError::Abandoned);
        }
        flight.computing.store(true, Ordering::Relaxed);
        match unit {
            Unit::Shard(number) => work.shard(&held, number).await.map(Some),
            Unit::Trace(number) => work.trace(&held, number).await.map(Some),
            Unit::Finish => match work.finish(&held).await? {
                Finished::Done(outcome) => Ok(Some(outcome)),
                Finished::Again(units) => {
                    self.queue_first(job, flight, &units).await;
                    Ok(None)
                }
            },
        }
    }

    /// Queues what has to be there before a job can be finished.
    async fn queue_first(&self, job: &Arc<OpenJob>, flight: &InFlight, units: &[Unit]) {
        tracing::info!(job = %job.id, units = units.len(), "not all is there; queued again");
        self.push(job, &flight.lease.stream, units).await;
    }

    async fn conclude(&self, job: &Arc<OpenJob>, flight: &InFlight, outcome: Outcome) {
        let work = self.work(job, flight);
        match work.conclude(&flight.lease, &outcome).await {
            Ok(()) => {
                faults::before_acknowledge();
                self.meters.outcome(&outcome);
                self.acknowledge(flight).await;
                self.after(job, flight).await;
            }
            Err(error) => self.failed(job, flight, error).await,
        }
    }

    /// What comes after a unit is done.
    async fn after(&self, job: &Arc<OpenJob>, flight: &InFlight) {
        let stream = &flight.lease.stream;
        let is_complete = match flight.lease.entry.unit {
            Unit::Finish => {
                if self.has_outcome(&job.id, Unit::Finish).await {
                    self.close(&job.id).await;
                }
                return;
            }
            Unit::Shard(_) => self.shards_complete(job, stream).await,
            Unit::Trace(_) => self.traces_complete(job).await,
        };
        if is_complete {
            self.push(job, stream, &[Unit::Finish]).await;
        }
    }

    /// Whether this worker is at the same unit already, by another entry.
    fn is_twice(&self, flight: &InFlight) -> bool {
        let (ours, since) = (&flight.lease, |flight: &InFlight| (flight.started, flight.lease.id.clone()));
        lock(&self.in_flight).values().any(|other| {
            let theirs = &other.lease;
            let is_same = theirs.entry.job == ours.entry.job && theirs.entry.unit == ours.entry.unit;
            is_same && theirs.id != ours.id && since(other) < since(flight)
        })
    }

    async fn shards_complete(&self, job: &OpenJob, stream: &Stream) -> bool {
        let shards = job.ready.plan().shards;
        if shards == 1 {
            return true;
        }
        if shards <= FEW_SHARDS || matches!(stream, Stream::Lane(_)) {
            return self.units(&job.id).await.iter().filter(|unit| matches!(unit, Unit::Shard(_))).count()
                as u64
                >= shards;
        }
        // Finishing lists the outcomes itself; this only has to be true when all are there.
        self.queue.depth(stream).await.is_ok_and(|depth| depth.queued == 0 && depth.pending == 0)
    }

    async fn traces_complete(&self, job: &OpenJob) -> bool {
        let key = keys::stage2(&job.id);
        let Ok(bytes) = self.store.get(&key).await else { return false };
        let Ok(stage2) = serde_json::from_slice::<Stage2>(&bytes) else { return false };
        let there = self.units(&job.id).await;
        (0u32..).zip(&stage2.units).all(|(number, _)| there.contains(&Unit::Trace(number)))
    }

    /// Units that have an outcome.
    pub(super) async fn units(&self, job: &JobId) -> BTreeSet<Unit> {
        let listed = self.store.list(&keys::outcomes(job)).await.unwrap_or_default();
        listed.iter().filter_map(|entry| keys::name(&entry.key).parse().ok()).collect()
    }

    async fn has_outcome(&self, job: &JobId, unit: Unit) -> bool {
        self.store.head(&keys::outcome(job, unit)).await.is_ok()
    }

    pub(super) async fn push(&self, job: &OpenJob, stream: &Stream, units: &[Unit]) {
        let plan = job.ready.plan();
        let cost = plan.cost_micros / plan.shards.max(1);
        let entry = |&unit| Entry { job: job.id.clone(), unit, cost_micros: cost };
        let entries: Vec<Entry> = units.iter().take(blockgrid_grid::MOST_QUEUED).map(entry).collect();
        if let Err(error) = self.queue.push(stream, &plan.owner, &entries).await {
            // The audit finds them.
            tracing::warn!(job = %job.id, %error, "units could not be queued");
        }
    }

    /// Puts the record that the job's outcome names where people look: the same bytes whoever does it.
    async fn publish_record(&self, job: &JobId) -> Result<(), StoreError> {
        let outcome = self.store.get(&keys::outcome(job, Unit::Finish)).await?;
        let Ok(Outcome::Done { result, .. }) = serde_json::from_slice(&outcome) else { return Ok(()) };
        let record = self.store.get_checked(&result.key, &result.sha256).await?;
        self.store.put(&keys::out(job, RECORD), record).await?;
        Ok(())
    }

    /// The job is over: whoever waits is told, and the queue forgets it.
    pub(super) async fn close(&self, job: &JobId) {
        if let Err(error) = self.publish_record(job).await
            && !error.is_not_found()
        {
            // The outcome names it still.
            tracing::warn!(%job, %error, "the record of the job is not in its folder");
        }
        let lanes = match &self.settings.serve {
            Serve::Job(_) => vec![keys::POOL.to_owned()],
            Serve::Lane(lane) => vec![lane.as_str().to_owned()],
            Serve::All(lane) => vec![lane.as_str().to_owned(), keys::POOL.to_owned()],
        };
        let _ = self.queue.set_open(job, false).await;
        for lane in lanes {
            let _ = self.store.delete(&keys::lane_job(&lane, job)).await;
        }
        let _ = self.queue.forget(job).await;
        // After all else is forgotten: the word that the job is done must stay for those who ask later.
        if let Err(error) = self.queue.announce(job).await {
            tracing::debug!(%job, %error, "nobody was told that the job is done");
        }
        self.jobs.forget(job);
        self.meters.finished();
        tracing::info!(%job, "closed");
    }

    pub(super) async fn acknowledge(&self, flight: &InFlight) {
        let lease = std::slice::from_ref(&flight.lease);
        for attempt in 0..3 {
            match self.queue.acknowledge(&self.consumer, lease).await {
                Ok(_) => return,
                Err(error) if error.is_unavailable() && attempt < 2 => {
                    tokio::time::sleep(Duration::from_millis(200 << attempt)).await;
                }
                // It is delivered again, and found done.
                Err(error) => return tracing::debug!(%error, "not acknowledged"),
            }
        }
    }

    /// A unit that needs no outcome: its job is cancelled or gone.
    async fn drop_lease(&self, flight: &InFlight) {
        self.acknowledge(flight).await;
        if let Err(error) = self.end_dropped(&flight.lease.entry.job).await {
            // The audit does it.
            tracing::warn!(job = %flight.lease.entry.job, %error, "a job that was cancelled or deleted is not closed");
        }
    }

    /// Ends a job that was cancelled or deleted. Whoever cancelled it may have died before it could say so, and somebody
    /// waits for a word.
    pub(super) async fn end_dropped(&self, job: &JobId) -> Result<(), StoreError> {
        let (cancelled, plan) = (keys::cancelled(job), keys::plan(job));
        let (cancelled, plan) = tokio::join!(self.store.head(&cancelled), self.store.head(&plan));
        if cancelled.is_ok() && plan.is_ok() {
            // One that was there before is the end as well.
            let _ = blockgrid_grid::end_cancelled(&self.store, job, "it was cancelled").await?;
        }
        self.close(job).await;
        Ok(())
    }

    async fn failed(&self, job: &Arc<OpenJob>, flight: &InFlight, error: UnitError) {
        let unit = flight.lease.entry.unit;
        match error {
            UnitError::Store(error) => self.hand_back(flight, &error).await,
            UnitError::Abandoned if flight.dropped.load(Ordering::Relaxed) => {
                self.jobs.forget(&job.id);
                self.drop_lease(flight).await;
                // Of a job that was deleted nothing is to be left.
                if self.store.head(&keys::plan(&job.id)).await.is_ok() {
                    self.record_overhead(job, flight).await;
                }
            }
            UnitError::Abandoned if flight.late.load(Ordering::Relaxed) => {
                if let Stream::Lane(lane) = &flight.lease.stream {
                    return self.move_out(job, flight, lane).await;
                }
                let ran = Duration::from_millis(flight.ran.load(Ordering::Relaxed)).as_secs_f64();
                let quoted = Duration::from_micros(flight.lease.entry.cost_micros).as_secs_f64();
                let message = format!("it was quoted {quoted:.3} s and had no end after {ran:.1} s");
                self.give_up(flight, Some(job), FailReason::TimedOut, message).await;
            }
            UnitError::Abandoned => {
                self.meters.abandoned(flight.started.elapsed());
                self.release(flight).await;
                self.record_overhead(job, flight).await;
            }
            UnitError::Gone => {
                tracing::info!(job = %job.id, "its plan is gone: it was deleted");
                self.jobs.forget(&job.id);
                self.drop_lease(flight).await;
            }
            UnitError::Hopeless { reason, message } => self.give_up(flight, Some(job), reason, message).await,
            error @ UnitError::Mismatch { .. } => {
                tracing::error!(job = %job.id, %error, "the job is stopped: its results cannot be trusted");
                let reason = FailReason::ResultMismatch;
                let message = error.to_string();
                let usage = self.work(job, flight).usage(flight.cpu.load(Ordering::Relaxed), 0, 0);
                let outcome = Outcome::Failed { reason, message, usage };
                let key = keys::outcome(&job.id, Unit::Finish);
                let bytes = serde_json::to_vec(&outcome).unwrap_or_default();
                match self.store.create(&key, bytes.into()).await {
                    Ok(_) => {
                        self.acknowledge(flight).await;
                        self.close(&job.id).await;
                    }
                    Err(error) => self.hand_back(flight, &error).await,
                }
            }
            UnitError::Internal(message) => {
                tracing::error!(job = %job.id, %unit, message, "a unit failed");
                let failures = self.queue.count_failure(&job.id, unit).await.unwrap_or(1);
                if failures < MOST_FAILURES {
                    self.release(flight).await;
                    self.record_overhead(job, flight).await;
                } else {
                    self.give_up(flight, Some(job), FailReason::Internal, message).await;
                }
            }
        }
    }

    /// Hands a unit back because the store does not let it be done.
    async fn hand_back(&self, flight: &InFlight, error: &blockgrid_grid::StoreError) {
        self.meters.store_error();
        let (job, unit) = (&flight.lease.entry.job, flight.lease.entry.unit);
        if error.is_unavailable() {
            tracing::warn!(%job, %unit, %error, "handed back");
        } else {
            // Nothing can be told through a store that refuses; the job goes on when it does not any more.
            tracing::error!(%job, %unit, %error, "handed back; it is tried again until somebody mends the store");
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        self.release(flight).await;
    }

    /// Gives a lease back. What cannot be given back is anyone's after the idle time.
    pub(super) async fn release(&self, flight: &InFlight) {
        if let Err(error) = self.queue.release(&self.consumer, std::slice::from_ref(&flight.lease)).await {
            tracing::debug!(%error, "not handed back");
        }
    }

    /// Writes down what an attempt cost that came to nothing.
    pub(super) async fn record_overhead(&self, job: &Arc<OpenJob>, flight: &InFlight) {
        let cpu = flight.cpu.load(Ordering::Relaxed);
        let work = self.work(job, flight);
        if cpu > 0
            && let Err(error) = work.overhead(&flight.lease, &work.usage(cpu, 0, 0)).await
        {
            tracing::warn!(job = %job.id, %error, "what an abandoned attempt cost is not on record");
        }
    }

    /// Writes the outcome of a unit that cannot be done.
    async fn give_up(
        &self,
        flight: &InFlight,
        job: Option<&Arc<OpenJob>>,
        reason: FailReason,
        message: String,
    ) {
        let id = &flight.lease.entry.job;
        let cpu = flight.cpu.load(Ordering::Relaxed);
        let usage = job.map(|job| self.work(job, flight).usage(cpu, 0, 0)).unwrap_or_default();
        let outcome = Outcome::Failed { reason, message, usage };
        self.meters.outcome(&outcome);
        // Without a plan nobody can finish the job: this is its end.
        let unit = if job.is_some() { flight.lease.entry.unit } else { Unit::Finish };
        let bytes = serde_json::to_vec(&outcome).unwrap_or_default();
        match self.store.create(&keys::outcome(id, unit), bytes.into()).await {
            Ok(_) => {
                self.acknowledge(flight).await;
                match job {
                    Some(job) => self.after(job, flight).await,
                    None => self.close(id).await,
                }
            }
            Err(error) => self.hand_back(flight, &error).await,
        }
    }
}
