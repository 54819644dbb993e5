//! The worker: claims units, computes them, writes their outcomes, keeps its leases alive, and stops when it is told to.

mod audit;
mod beat;
mod lane;
mod lease;
mod observe;

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use blockgrid_grid::store::keys;
use blockgrid_grid::telemetry::Telemetry;
use blockgrid_grid::{Consumer, JobId, Lane, Lease, Queue, QueueError, Store, Stream, Unit};
use tokio::sync::{Notify, watch};

use crate::inputs::Candlery;
use crate::jobs::{Jobs, lock};
use crate::meters::Meters;
use crate::slot::Slots;

/// What a worker works on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Serve {
    /// One job, to its end.
    Job(JobId),
    /// A lane, for ever.
    Lane(Lane),
    /// A lane and every open job of the pool, the first to be opened first: a machine of one's own.
    All(Lane),
}

/// How a worker works.
#[derive(Debug, Clone)]
pub struct Settings {
    /// On what.
    pub serve: Serve,
    /// A numbered slot such as `w3`.
    pub name: String,
    /// The compute class that it is billed by.
    pub class: String,
    /// Units computed at a time, each on a processor of its own.
    pub slots: usize,
    /// Bytes of columns that all slots together hold.
    pub memory: usize,
    /// Bytes of candles that are kept decoded.
    pub candles: u64,
    /// Where candles are kept as they came, and how many bytes of them.
    pub cache: Option<(PathBuf, u64)>,
    /// What SIGTERM leaves for units that are being computed.
    pub grace: Duration,
    /// How often leases are kept alive, and those of others looked at.
    pub heartbeat: Duration,
    /// Silence after which a lease is anyone's.
    pub idle: Duration,
    /// How long nothing may happen to a job before its outcomes are counted.
    pub audit: Duration,
    /// What a shard may take however little it was quoted; ten times its quote where that is more.
    pub most: Duration,
    /// Where spans of its units go.
    pub telemetry: Telemetry,
}

/// How a worker ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The job that it served is finished: exit 0.
    Finished,
    /// It was told to stop: exit 143.
    Drained,
    /// The job that it serves is another engine's: exit 78.
    Unfit,
}

/// A lease that is being worked on.
#[derive(Debug, Clone)]
struct InFlight {
    lease: Lease,
    cancelled: Arc<AtomicBool>,
    /// Whether the job was cancelled or is gone, rather than the lease lost.
    dropped: Arc<AtomicBool>,
    /// Whether it took too long.
    late: Arc<AtomicBool>,
    started: Instant,
    /// Whether it has its slot.
    computing: Arc<AtomicBool>,
    /// Milliseconds for which it had it, by heartbeats.
    ran: Arc<AtomicU64>,
    /// CPU time that it took so far, microseconds.
    cpu: Arc<AtomicU64>,
}

/// What a turn came to.
enum Turn {
    /// Something is in work that was not.
    Claimed,
    /// There was nothing, with so many units in work.
    Nothing { busy: usize },
    /// There is no room.
    Full,
    /// The queue could not be asked.
    Failed(QueueError),
}

/// How a rest ended.
enum Rested {
    /// By itself, because a unit ended, or because there may be work.
    Idle,
    /// Because the job that is served is finished.
    Finished,
    /// Because the job that is served is another engine's.
    Unfit,
}

/// A worker; see [`Worker::run`].
pub struct Worker<Q> {
    settings: Settings,
    store: Store,
    queue: Q,
    consumer: Consumer,
    jobs: Jobs,
    candles: Candlery,
    slots: Slots,
    meters: Meters,
    in_flight: Mutex<HashMap<(Stream, String), InFlight>>,
    /// Held by whoever computes in a process of its own.
    alone: tokio::sync::Mutex<()>,
    /// Jobs of other engines, which are left alone.
    foreign: Mutex<HashSet<JobId>>,
    /// When something last happened: milliseconds since `born`.
    last_act: AtomicU64,
    born: Instant,
    ended_unit: Notify,
    draining: AtomicBool,
    /// Set when the queue could not be asked, until it was again: leases of others seem idle then that are not.
    cut_off: AtomicBool,
}

impl<Q: Queue> Worker<Q> {
    /// A worker that is not running yet.
    ///
    /// # Errors
    /// When the system gives no threads.
    pub fn new(settings: Settings, store: Store, queue: Q) -> std::io::Result<Arc<Self>> {
        Ok(Arc::new(Self {
            consumer: Consumer::new(settings.name.clone()),
            jobs: Jobs::default(),
            candles: Candlery::new(settings.candles, settings.cache.clone()),
            slots: Slots::new(settings.slots)?,
            meters: Meters::default(),
            in_flight: Mutex::default(),
            alone: tokio::sync::Mutex::default(),
            foreign: Mutex::default(),
            last_act: AtomicU64::new(0),
            born: Instant::now(),
            ended_unit: Notify::new(),
            draining: AtomicBool::new(false),
            cut_off: AtomicBool::new(false),
            settings,
            store,
            queue,
        }))
    }

    /// What it counts.
    pub fn meters(&self) -> &Meters {
        &self.meters
    }

    /// Works until the job that it serves is finished, or `stop` says so.
    pub async fn run(self: Arc<Self>, mut stop: watch::Receiver<bool>) -> Ended {
        let beats = tokio::spawn(Arc::clone(&self).beats());
        let clock = tokio::spawn(Arc::clone(&self).clock());
        let ended = loop {
            if *stop.borrow_and_update() {
                self.drain().await;
                break Ended::Drained;
            }
            // To its end whatever the signal: a claim that is dropped on its way is a lease that nobody works on.
            let next = self.turn().await;
            let has_nothing = matches!(next, Turn::Nothing { .. });
            let rested = tokio::select! {
                _ = stop.changed() => continue,
                rested = self.rest(next) => rested,
            };
            match rested {
                Rested::Finished => break Ended::Finished,
                Rested::Unfit => break Ended::Unfit,
                // What was handed back is nobody's to claim, and rang when this worker may have been busy.
                Rested::Idle if has_nothing => self.take_over().await,
                Rested::Idle => {}
            }
        };
        beats.abort();
        clock.abort();
        ended
    }

    /// Claims what there is and starts it.
    async fn turn(self: &Arc<Self>) -> Turn {
        let busy = lock(&self.in_flight).len();
        if busy > self.settings.slots {
            return Turn::Full;
        }
        match self.claim_some(busy).await {
            Ok(true) => {
                self.acted();
                Turn::Claimed
            }
            Ok(false) => Turn::Nothing { busy },
            Err(error) => Turn::Failed(error),
        }
    }

    /// Waits for whatever may come after a turn.
    async fn rest(&self, turn: Turn) -> Rested {
        match turn {
            Turn::Claimed => Rested::Idle,
            Turn::Full => {
                self.ended_unit.notified().await;
                Rested::Idle
            }
            Turn::Nothing { busy } => self.await_work(busy).await,
            Turn::Failed(error) => {
                self.meters.queue_error();
                self.notice(&error);
                if let QueueError::NoGroup { stream } = &error {
                    tracing::info!(%stream, "the queue is gone; what has no outcome is queued again");
                    self.audit(stream).await;
                } else {
                    tracing::warn!(%error, "the queue cannot be asked");
                }
                tokio::time::sleep(Duration::from_millis(300)).await;
                Rested::Idle
            }
        }
    }

    /// Waits for work, and looks after jobs of which nothing is heard.
    async fn await_work(&self, busy: usize) -> Rested {
        if busy == 0 && self.quiet() >= self.settings.audit {
            for stream in self.streams().await.unwrap_or_default() {
                self.audit(&stream).await;
            }
            self.acted();
        }
        let pause = Duration::from_secs(1).min(self.settings.audit);
        let streams = match self.streams().await {
            Ok(streams) => streams,
            Err(_) => {
                tokio::time::sleep(pause).await;
                return Rested::Idle;
            }
        };
        if let Serve::Job(job) = &self.settings.serve {
            if lock(&self.foreign).contains(job) {
                return Rested::Unfit;
            }
            let is_done = tokio::select! {
                done = self.queue.wait_done(job, pause) => done.unwrap_or(false),
                () = self.ended_unit.notified() => false,
                _ = self.queue.wait(&streams, pause) => false,
            };
            let is_long = busy == 0 && self.quiet() > Duration::from_secs(5).min(self.settings.audit / 2);
            let is_finished = (is_done || is_long) && self.is_finished(job).await;
            return if is_finished { Rested::Finished } else { Rested::Idle };
        }
        tokio::select! {
            () = self.ended_unit.notified() => {}
            waited = self.queue.wait(&streams, pause) => if let Err(error) = waited {
                self.notice(&error);
                tokio::time::sleep(pause).await;
            },
        }
        Rested::Idle
    }

    async fn is_finished(&self, job: &JobId) -> bool {
        self.store.head(&keys::outcome(job, Unit::Finish)).await.is_ok()
    }

    /// Where work may be, the lane first.
    async fn streams(&self) -> Result<Vec<Stream>, QueueError> {
        Ok(match &self.settings.serve {
            Serve::Job(job) => vec![Stream::Job(job.clone())],
            Serve::Lane(lane) => vec![Stream::Lane(lane.clone())],
            Serve::All(lane) => {
                let open = self.queue.list_open().await?;
                let foreign = lock(&self.foreign);
                let jobs = open.into_iter().filter(|job| !foreign.contains(job)).map(Stream::Job);
                std::iter::once(Stream::Lane(lane.clone())).chain(jobs).collect()
            }
        })
    }

    /// Claims units for what is free and starts them. One unit more than there are slots is taken from a job's own
    /// stream, so that its candles are there when a slot is; in a lane another worker may be free for it.
    async fn claim_some(self: &Arc<Self>, busy: usize) -> Result<bool, QueueError> {
        let mut busy = busy;
        let before = busy;
        for stream in self.streams().await? {
            let room = match stream {
                Stream::Lane(_) => self.settings.slots.saturating_sub(busy),
                Stream::Job(_) => (self.settings.slots + 1).saturating_sub(busy),
            };
            if room == 0 {
                continue;
            }
            let leases = match self.queue.claim(&stream, &self.consumer, room).await {
                // A job of the pool that was closed a moment ago.
                Err(QueueError::NoGroup { .. }) if self.is_closed(&stream).await => continue,
                other => other?,
            };
            busy += leases.len();
            for lease in leases {
                self.meters.claimed();
                self.start(lease);
            }
        }
        Ok(busy > before)
    }

    /// Whether a stream is a job's that needs no more work.
    async fn is_closed(&self, stream: &Stream) -> bool {
        match stream {
            Stream::Lane(_) => false,
            Stream::Job(job) => {
                let closed = self.is_finished(job).await;
                if closed {
                    // Whoever finished it may have died before it could say so.
                    let _ = self.queue.set_open(job, false).await;
                }
                closed
            }
        }
    }

    fn start(self: &Arc<Self>, lease: Lease) {
        let flight = InFlight {
            lease: lease.clone(),
            cancelled: Arc::default(),
            dropped: Arc::default(),
            late: Arc::default(),
            started: Instant::now(),
            computing: Arc::default(),
            ran: Arc::default(),
            cpu: Arc::default(),
        };
        let key = (lease.stream.clone(), lease.id.clone());
        if lock(&self.in_flight).insert(key.clone(), flight.clone()).is_some() {
            // Ours already, reclaimed from ourselves after a pause: go on.
            return;
        }
        let worker = Arc::clone(self);
        tokio::spawn(async move {
            worker.serve(&flight).await;
            lock(&worker.in_flight).remove(&key);
            worker.acted();
            worker.ended_unit.notify_one();
        });
    }

    /// Stops claiming, lets units end that can within the grace, and hands the others back.
    async fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
        let until = Instant::now() + self.settings.grace;
        let flights: Vec<InFlight> = lock(&self.in_flight).values().cloned().collect();
        tracing::info!(units = flights.len(), "draining");
        for flight in &flights {
            let quoted = Duration::from_micros(flight.lease.entry.cost_micros);
            if quoted.saturating_sub(flight.started.elapsed()) > self.settings.grace {
                flight.cancelled.store(true, Ordering::Relaxed);
            }
        }
        while Instant::now() < until && !lock(&self.in_flight).is_empty() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let left: Vec<InFlight> = lock(&self.in_flight).values().cloned().collect();
        for flight in left {
            flight.cancelled.store(true, Ordering::Relaxed);
            let _ = self.queue.release(&self.consumer, std::slice::from_ref(&flight.lease)).await;
        }
    }

    /// Remembers an outage of the queue.
    fn notice(&self, error: &QueueError) {
        if error.is_unavailable() {
            self.cut_off.store(true, Ordering::Relaxed);
        }
    }

    fn acted(&self) {
        let now = u64::try_from(self.born.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last_act.store(now, Ordering::Relaxed);
    }

    /// For how long nothing has happened here.
    fn quiet(&self) -> Duration {
        self.born.elapsed().saturating_sub(Duration::from_millis(self.last_act.load(Ordering::Relaxed)))
    }

    /// Whether the store and the queue answer.
    ///
    /// # Errors
    /// What the one that does not says.
    pub async fn is_ready(&self) -> Result<(), String> {
        self.queue.is_held().await.map_err(|error| error.to_string())?;
        // It is there since the worker began; a bucket that is gone shows by a GET alone.
        self.store.get(&keys::identity()).await.map(drop).map_err(|error| error.to_string())
    }
}
