//! What all reconciles share.

use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use blockgrid_grid::{JobId, QueueError, RedisQueue, Store, StoreError};
use blockgrid_job::status::{JobStatus, Phase};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::runtime::reflector::{self, ObjectRef};
use kube::{Client, ResourceExt};

use crate::config::Config;
use crate::election::Reign;
use crate::events::Teller;
use crate::meters::Meters;
use crate::observe::Ended;
use crate::observe::gone::Gone;
use crate::plan::say::{QUEUE_UNAVAILABLE, STORE_UNAVAILABLE};
use crate::planning::Plans;
use crate::resources::BacktestJob;
use crate::treasury::Treasury;
use crate::warm::Lane;
use crate::world::Trouble;

/// What all reconciles share.
pub struct Context {
    /// The API server.
    pub client: Client,
    /// The configuration.
    pub config: Arc<Config>,
    /// Where plans, outcomes and results are.
    pub store: Store,
    /// The store as users reach it: links are made with it.
    pub public: Store,
    /// Where shards queue.
    pub queue: RedisQueue,
    /// Plans on their way.
    pub plans: Arc<Plans>,
    /// Who asks the budgets.
    pub treasury: Treasury,
    /// Pools of workers, as the watch of them knows.
    pub pools: reflector::Store<Job>,
    /// Pods of pools, as the watch of them knows.
    pub pods: reflector::Store<Pod>,
    /// Pods that the watch saw go.
    pub gone: Arc<Gone>,
    /// The interactive lane's workers.
    pub lane: Arc<Lane>,
    /// Who tells events.
    pub teller: Teller,
    /// How long this replica leads.
    pub reign: Reign,
    /// What it counts.
    pub meters: Arc<Meters>,
    /// Pods that plan which were ordered a moment ago, by their job: its namespace, and when.
    pub ordered: Mutex<HashMap<JobId, (String, Timestamp)>>,
    /// How the queue answers.
    pub silence: Mutex<Silence>,
    /// What is remembered of jobs from one look to the next.
    pub notes: Mutex<HashMap<JobId, Note>>,
}

/// How the queue answers.
#[derive(Debug, Clone, Default)]
pub struct Silence {
    /// Since when it does not, and what it said first.
    begun: Option<(Timestamp, String)>,
    /// When it did not last.
    last: Option<Timestamp>,
}

/// What keeps it from answering; what that means for shards is said elsewhere.
fn words(error: &QueueError) -> String {
    match error {
        QueueError::Unavailable { reason } => reason.clone(),
        other => other.to_string(),
    }
}

/// What is remembered of a job from one look to the next. Forgetting it costs what pods have cost since it was last said.
#[derive(Debug, Clone, Default)]
pub struct Note {
    object: Option<ObjectRef<BacktestJob>>,
    seen: Option<Instant>,
    /// Since when it is known.
    known: Option<Instant>,
    told: Option<Instant>,
    /// The phase that was told last.
    said: Option<Phase>,
    /// What was written last, by a digest, over which version of the object.
    written: Option<u64>,
    failures: u32,
    /// Its shards that were done when the store was asked last, and when that was.
    counted: Option<(Instant, u64)>,
    /// Whether the queue says that it has ended.
    announced: bool,
    /// How it ended.
    ended: Option<Arc<Ended>>,
    /// Since when workers of its own are refused.
    refused: Option<Timestamp>,
    /// Since when the store does not answer what is asked of it.
    store_fails: Option<(Instant, Timestamp)>,
    /// Shards that were done when its workers were made.
    made_with: Option<u64>,
    /// Micro-USD: the watch may not know yet what was said a moment ago, and pods that are gone do not tell again.
    spent: (Option<u64>, Option<String>),
    /// Micro-USD that stand in the ledger: nothing else is what it has cost then.
    settled: Option<u64>,
    /// Why it does not get on, as far as events told.
    ails: Vec<String>,
    /// Whether an event told that it has left the interactive lane.
    moved: bool,
    phase: Phase,
    /// vCPU-microseconds of its pods, by their uids.
    pods: Option<HashMap<String, u64>>,
    /// The same of pods that this process never saw.
    gone: u64,
}

/// Looks that failed in a row, with pauses that double from half a second.
const LASTING: u32 = 7;

/// The same that are worth a word: some seconds of them.
const STALLED: u32 = 3;

/// The queue or the store may be away for so long before anything is done or said about it: it is replaced, or another takes over.
pub const BRIEFLY: SignedDuration = SignedDuration::from_secs(30);

/// The longest pause after a look that failed.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

impl Context {
    fn with<T>(&self, id: &JobId, of: impl FnOnce(&mut Note) -> T) -> T {
        of(self.notes.lock().unwrap_or_else(PoisonError::into_inner).entry(id.clone()).or_default())
    }

    /// The queue was asked: what kept it from answering, if anything did.
    pub fn queue_was_asked(&self, now: Timestamp, error: Option<&QueueError>) {
        let mut silence = self.silence.lock().unwrap_or_else(PoisonError::into_inner);
        silence.last = error.map(|_| now).or(silence.last);
        // What it said first: it is told of many jobs.
        silence.begun = error.map(|error| silence.begun.take().unwrap_or_else(|| (now, words(error))));
    }

    /// Since when no worker of the interactive lane is ready, though the queue answers.
    pub fn lane_empty_since(&self) -> Option<Timestamp> {
        self.lane.empty_since().map(|since| self.queue_answers_since(since))
    }

    /// A moment, or when the queue did not answer last, if that was later.
    pub fn queue_answers_since(&self, since: Timestamp) -> Timestamp {
        let last = self.silence.lock().unwrap_or_else(PoisonError::into_inner).last;
        last.map_or(since, |last| since.max(last))
    }

    /// That the queue does not answer, and has not for a while, or a job stands still for it since somebody else led.
    pub fn queue_fails(&self, now: Timestamp, stands: bool) -> Option<Trouble> {
        let silence = self.silence.lock().unwrap_or_else(PoisonError::into_inner);
        let is_long = |since: &Timestamp| stands || now.duration_since(*since) >= BRIEFLY;
        let (since, error) = silence.begun.as_ref().filter(|(since, _)| is_long(since))?;
        let since = since.strftime("%H:%M:%S UTC");
        Some(Trouble {
            reason: QUEUE_UNAVAILABLE.to_owned(),
            message: format!("the queue does not answer since {since}: {error}"),
        })
    }

    /// The store did not answer what was asked of a job: that it has not for a while, if so.
    ///
    /// # Errors
    /// What it said, if it has not for a moment only.
    pub fn store_fails(
        &self,
        id: &JobId,
        asked: Instant,
        now: Timestamp,
        error: StoreError,
    ) -> Result<Trouble, StoreError> {
        let (since, when) = self.with(id, |note| *note.store_fails.get_or_insert((asked, now)));
        if since.elapsed() < BRIEFLY.unsigned_abs() {
            return Err(error);
        }
        let when = when.strftime("%H:%M:%S UTC");
        let message = format!("the object store fails since {when}: {error}");
        Ok(Trouble { reason: STORE_UNAVAILABLE.to_owned(), message })
    }

    /// It did.
    pub fn store_answers(&self, id: &JobId) {
        self.with(id, |note| note.store_fails = None);
    }

    /// Whether more shards are done than when the workers of a job were made, or this replica saw them first.
    pub fn has_progressed(&self, id: &JobId, done: u64) -> bool {
        self.with(id, |note| done > *note.made_with.get_or_insert(done))
    }

    /// A job was seen.
    pub fn remember(&self, id: &JobId, job: &BacktestJob) {
        let object = ObjectRef::new(&job.name_any()).within(&job.namespace().unwrap_or_default());
        let phase = job.status.as_ref().map_or(Phase::Pending, |status| status.phase);
        self.with(id, |note| {
            note.object = Some(object);
            note.seen = Some(Instant::now());
            note.known = note.known.or(note.seen);
            note.phase = phase;
        });
    }

    /// The object of a job that was seen.
    pub fn object(&self, id: &JobId) -> Option<ObjectRef<BacktestJob>> {
        let notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        notes.get(id).and_then(|note| note.object.clone())
    }

    /// Whether a job was looked at within this time.
    pub fn was_seen(&self, id: &JobId, within: Duration) -> bool {
        let notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        notes.get(id).and_then(|note| note.seen).is_some_and(|seen| seen.elapsed() < within)
    }

    /// For how long a job is known.
    pub fn known_for(&self, id: &JobId) -> Duration {
        self.with(id, |note| note.known.map_or(Duration::ZERO, |known| known.elapsed()))
    }

    /// How long ago a status was written.
    pub fn told_since(&self, id: &JobId) -> Option<Duration> {
        self.with(id, |note| note.told.map(|at| at.elapsed()))
    }

    /// A status was written; whether its phase is another than the one that was told last.
    pub fn tell(&self, id: &JobId, phase: Phase, written: &(String, String)) -> bool {
        self.with(id, |note| {
            note.told = Some(Instant::now());
            note.written = Some(digest(written));
            note.phase = phase;
            note.said.replace(phase) != Some(phase)
        })
    }

    /// What keeps a job from getting on, by reasons; those that were told before. The watch may know of what was said later
    /// than it is said again.
    pub fn ails(&self, id: &JobId, reasons: Vec<String>) -> Vec<String> {
        self.with(id, |note| std::mem::replace(&mut note.ails, reasons))
    }

    /// A job has left the interactive lane; whether that is new.
    pub fn moves(&self, id: &JobId) -> bool {
        self.with(id, |note| !std::mem::replace(&mut note.moved, true))
    }

    /// Whether this very patch was written over this version of the object.
    pub fn was_written(&self, id: &JobId, written: &(String, String)) -> bool {
        self.with(id, |note| note.written == Some(digest(written)))
    }

    /// What a job has cost, by the highest figure of all looks, this one included, and when that was counted.
    pub fn spent(&self, id: &JobId, status: &mut JobStatus) {
        self.with(id, |note| {
            if status.spent_micro_usd > note.spent.0 {
                note.spent = (status.spent_micro_usd, status.spent_time.clone());
            }
            (status.spent_micro_usd, status.spent_time) = note.spent.clone();
            if note.settled.is_some() {
                status.spent_micro_usd = note.settled;
            }
        });
    }

    /// A job was settled: so much stands in the ledger.
    pub fn settled(&self, id: &JobId, micro_usd: u64) {
        self.with(id, |note| note.settled = Some(micro_usd));
    }

    /// vCPU-microseconds of all pods of a job, those that are gone included: of each as it was seen last. `gone` is what those
    /// had cost that were gone before this process saw the first of them: it is asked for then.
    pub fn pod_micros(
        &self,
        id: &JobId,
        gone: impl FnOnce() -> u64,
        pods: impl IntoIterator<Item = (String, u64)>,
    ) -> u64 {
        self.with(id, |note| {
            if note.pods.is_none() {
                note.gone = gone();
            }
            let seen = note.pods.get_or_insert_default();
            for (pod, micros) in pods {
                let last = seen.entry(pod).or_default();
                *last = micros.max(*last);
            }
            note.gone + seen.values().sum::<u64>()
        })
    }

    /// How a job ended, if that was read before.
    pub fn ended(&self, id: &JobId) -> Option<Arc<Ended>> {
        self.with(id, |note| note.ended.clone())
    }

    /// Its shards that are done, if the store was asked less than so long ago, and nothing says that it has ended.
    pub fn counted(&self, id: &JobId, pause: Duration) -> Option<u64> {
        let counted =
            self.with(id, |note| note.counted.filter(|_| !note.announced && note.ended.is_none()))?;
        (counted.0.elapsed() < pause).then_some(counted.1)
    }

    /// So many of its shards are done, by the store.
    pub fn has_counted(&self, id: &JobId, done: u64) {
        self.with(id, |note| note.counted = Some((Instant::now(), done)));
    }

    /// The queue says that it has ended: the store is asked from now on.
    pub fn is_announced(&self, id: &JobId) {
        // It may be nobody's that is known here.
        let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(note) = notes.get_mut(id) {
            note.announced = true;
        }
    }

    /// This is how it ended.
    pub fn has_ended(&self, id: &JobId, how: Ended) -> Arc<Ended> {
        self.with(id, |note| Arc::clone(note.ended.insert(Arc::new(how))))
    }

    /// Pods that plan which were ordered a moment ago.
    pub fn ordered(&self) -> MutexGuard<'_, HashMap<JobId, (String, Timestamp)>> {
        self.ordered.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Workers of a job's own, or the pod that plans it, are refused: since when.
    pub fn pool_refused(&self, id: &JobId, now: Timestamp) -> Timestamp {
        self.with(id, |note| *note.refused.get_or_insert(now))
    }

    /// They are there, with so many shards done before.
    pub fn pool_made(&self, id: &JobId, done: u64) {
        self.with(id, |note| (note.refused, note.made_with) = (None, Some(done)));
    }

    /// A look went well.
    pub fn is_well(&self, id: &JobId) {
        self.with(id, |note| note.failures = 0);
    }

    /// A look failed: how long to wait.
    pub fn is_unwell(&self, id: &JobId) -> Duration {
        let failures = self.with(id, |note| {
            note.failures = note.failures.saturating_add(1);
            note.failures
        });
        (Duration::from_millis(250) * 2_u32.saturating_pow(failures.min(16))).min(LONGEST_PAUSE)
    }

    /// Whether several looks at a job have failed in a row.
    pub fn is_stalled(&self, id: &JobId) -> bool {
        self.with(id, |note| note.failures >= STALLED)
    }

    /// Whether looks at a job have failed for a minute or so.
    pub fn is_lasting(&self, id: &JobId) -> bool {
        self.with(id, |note| note.failures >= LASTING)
    }

    /// A job is gone: nothing of it is remembered.
    pub fn forget(&self, id: &JobId) {
        self.plans.forget(id);
        self.treasury.forget(id);
        self.gone.take(id);
        self.notes.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
    }

    /// Jobs that have not ended.
    pub fn live(&self) -> Vec<JobId> {
        let notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        notes.iter().filter(|(_, note)| !note.phase.is_terminal()).map(|(id, _)| id.clone()).collect()
    }

    /// Jobs in each phase.
    pub fn count(&self) {
        let mut counts: HashMap<Phase, i64> = HashMap::new();
        for note in self.notes.lock().unwrap_or_else(PoisonError::into_inner).values() {
            *counts.entry(note.phase).or_default() += 1;
        }
        self.meters.phases(|phase| counts.get(&phase).copied().unwrap_or(0));
    }
}

fn digest(written: &(String, String)) -> u64 {
    let mut hasher = std::hash::DefaultHasher::new();
    written.hash(&mut hasher);
    hasher.finish()
}
