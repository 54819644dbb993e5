//! Which replica leads: a Lease of coordination.k8s.io.
//!
//! No clock of another machine is believed. A lease has run out when its resource version has not changed for the lease's
//! duration on our own monotonic clock; comparing its `renewTime` with ours would elect two leaders where clocks differ.
//! Whoever leads but cannot renew gives up before the others may take over. One that slept through that time finds its
//! [`Reign`] over before it writes anything.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::api::PostParams;
use kube::{Api, Client};
use tokio::runtime::Handle;
use tokio::sync::Mutex as AsyncMutex;
use tokio::task::JoinSet;

use crate::clock;
use crate::config::LeaderElection;
use crate::resources::MANAGER;

/// Until when nobody else may lead. It is asked before everything that is written: a process that is stopped and woken goes
/// on in the middle of what it was about, and its timers come later.
#[derive(Debug, Clone, Default)]
pub struct Reign(Arc<Mutex<Option<Instant>>>);

impl Reign {
    /// Whether it lasts.
    pub fn lasts(&self) -> bool {
        self.lock().is_some_and(|end| Instant::now() < end)
    }

    /// One that lasts until then.
    pub fn until(end: Instant) -> Self {
        let reign = Self::default();
        reign.begin(end);
        reign
    }

    /// It lasts until then.
    pub fn begin(&self, end: Instant) {
        *self.lock() = Some(end);
    }

    /// It is over.
    pub fn end(&self) {
        *self.lock() = None;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A candidate whose lease is asked for and renewed on a thread of its own: looks at ten thousand jobs, one after the other,
/// keep a thread for longer than a lease lasts.
pub struct Election {
    candidate: Arc<AsyncMutex<Candidate>>,
    reign: Reign,
    thread: Handle,
}

impl Election {
    /// An election that `candidate` takes part in by the runtime of `thread`, which has nothing else to do. The candidate's client should
    /// have been made there: its requests are sent by the runtime that it is made on.
    pub fn new(candidate: Candidate, thread: Handle) -> Self {
        let reign = candidate.reign.clone();
        Self { candidate: Arc::new(AsyncMutex::new(candidate)), reign, thread }
    }

    /// How long it leads.
    pub fn reign(&self) -> Reign {
        self.reign.clone()
    }

    /// Waits until it leads.
    pub async fn win(&self) {
        let candidate = Arc::clone(&self.candidate);
        self.there(async move { candidate.lock().await.win().await }).await;
    }

    /// Leads until it cannot: somebody else does, or it could not renew in time.
    pub async fn lead(&self) {
        let candidate = Arc::clone(&self.candidate);
        self.there(async move { candidate.lock().await.lead().await }).await;
    }

    /// Gives the lease up, so that another need not wait for it to run out.
    pub async fn resign(&self) {
        let candidate = Arc::clone(&self.candidate);
        self.there(async move { candidate.lock().await.resign().await }).await;
    }

    /// Does it on the thread of the lease. Whoever waits no more has it ended there.
    async fn there(&self, doing: impl Future<Output = ()> + Send + 'static) {
        let mut one = JoinSet::new();
        one.spawn_on(doing, &self.thread);
        one.join_next().await;
    }
}

/// A candidate.
pub struct Candidate {
    leases: Api<Lease>,
    settings: LeaderElection,
    identity: String,
    /// The resource version that was seen last, and since when.
    seen: Option<(String, Instant)>,
    reign: Reign,
    /// When it asked for the lease, the last time that it got it: whoever waits for it to run out began to count then at
    /// the earliest.
    renewed: Instant,
}

/// Under the name by which the API server puts down when we have written.
fn by_us() -> PostParams {
    PostParams { field_manager: Some(MANAGER.to_owned()), ..PostParams::default() }
}

/// What asking for the lease came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    Leads,
    Follows,
}

impl Candidate {
    /// A candidate of this name. `client` should be one of its own: requests of a busy operator must not delay it.
    pub fn new(client: Client, namespace: &str, settings: LeaderElection, identity: &str) -> Self {
        let leases = Api::namespaced(client, namespace);
        let (reign, renewed) = (Reign::default(), Instant::now());
        Self { leases, settings, identity: identity.to_owned(), seen: None, reign, renewed }
    }

    /// Waits until it leads.
    async fn win(&mut self) {
        loop {
            match self.ask().await {
                Ok(Asked::Leads) => return,
                Ok(Asked::Follows) => {}
                Err(error) => tracing::warn!(%error, "the lease cannot be asked for"),
            }
            tokio::time::sleep(self.settings.retry_period).await;
        }
    }

    /// Leads until it cannot.
    async fn lead(&mut self) {
        loop {
            tokio::time::sleep(self.settings.retry_period).await;
            let left = self.settings.renew_deadline.saturating_sub(self.renewed.elapsed());
            if left.is_zero() {
                tracing::error!("the lease could not be renewed in time");
                return;
            }
            match tokio::time::timeout(left, self.ask()).await {
                Ok(Ok(Asked::Leads)) => {}
                Ok(Ok(Asked::Follows)) => {
                    tracing::error!("another replica has the lease");
                    return;
                }
                Ok(Err(error)) => tracing::warn!(%error, "the lease could not be renewed yet"),
                Err(_) => {}
            }
        }
    }

    /// Gives the lease up.
    async fn resign(&mut self) {
        self.reign.end();
        let ours = |lease: &Lease| {
            lease.spec.as_ref().and_then(|spec| spec.holder_identity.as_deref()) == Some(&self.identity)
        };
        let given_up = async {
            let Some(mut lease) = self.leases.get_opt(&self.settings.lease).await?.filter(ours) else {
                return Ok(());
            };
            let spec = lease.spec.get_or_insert_with(LeaseSpec::default);
            spec.holder_identity = None;
            self.leases.replace(&self.settings.lease, &PostParams::default(), &lease).await.map(|_| ())
        };
        let given_up: Result<(), kube::Error> = given_up.await;
        if let Err(error) = given_up {
            tracing::warn!(%error, "the lease could not be given up: it runs out");
        }
    }

    async fn ask(&mut self) -> Result<Asked, kube::Error> {
        // Before, not when the answer is there: it may have been on its way for long.
        let asked = Instant::now();
        let answer = self.ask_now().await;
        if matches!(answer, Ok(Asked::Leads)) {
            self.renewed = asked;
            self.reign.begin(asked + self.settings.lease_duration);
        }
        answer
    }

    async fn ask_now(&mut self) -> Result<Asked, kube::Error> {
        let Some(mut lease) = self.leases.get_opt(&self.settings.lease).await? else {
            let name = Some(self.settings.lease.clone());
            let lease =
                Lease { metadata: ObjectMeta { name, ..ObjectMeta::default() }, spec: Some(self.spec(None)) };
            let asked = Instant::now();
            return self.written(asked, self.leases.create(&by_us(), &lease).await);
        };
        let spec = lease.spec.clone().unwrap_or_default();
        let holder = spec.holder_identity.as_deref().filter(|holder| !holder.is_empty());
        let version = lease.metadata.resource_version.clone().unwrap_or_default();
        if holder.is_some_and(|holder| holder != self.identity) {
            let since = match &self.seen {
                Some((seen, since)) if *seen == version => *since,
                _ => {
                    let now = Instant::now();
                    self.seen = Some((version, now));
                    now
                }
            };
            // As long as the holder was promised, where that is longer than our own setting.
            let promised = spec.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok());
            let duration = self.settings.lease_duration.max(Duration::from_secs(promised.unwrap_or(0)));
            if since.elapsed() < duration {
                return Ok(Asked::Follows);
            }
        }
        lease.spec = Some(self.spec(Some(&spec)));
        // With the resource version that was read: of several who take it over one succeeds.
        let asked = Instant::now();
        self.written(asked, self.leases.replace(&self.settings.lease, &by_us(), &lease).await)
    }

    fn written(&mut self, asked: Instant, result: Result<Lease, kube::Error>) -> Result<Asked, kube::Error> {
        match result {
            Ok(lease) => {
                let mut fields = lease.metadata.managed_fields.into_iter().flatten();
                let ours = fields.find(|fields| fields.manager.as_deref() == Some(MANAGER));
                if let Some(theirs) = ours.and_then(|fields| fields.time) {
                    clock::heard(asked, theirs.0);
                }
                Ok(Asked::Leads)
            }
            Err(kube::Error::Api(error)) if error.code == 409 => Ok(Asked::Follows),
            Err(error) => Err(error),
        }
    }

    fn spec(&self, old: Option<&LeaseSpec>) -> LeaseSpec {
        let now = MicroTime(Timestamp::now());
        let same = old.is_some_and(|old| old.holder_identity.as_deref() == Some(&self.identity));
        let transitions = old.and_then(|old| old.lease_transitions).unwrap_or(0);
        LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: Some(
                i32::try_from(self.settings.lease_duration.as_secs().max(1)).unwrap_or(i32::MAX),
            ),
            acquire_time: if same { old.and_then(|old| old.acquire_time.clone()) } else { Some(now.clone()) },
            renew_time: Some(now),
            lease_transitions: Some(if same || old.is_none() { transitions } else { transitions + 1 }),
            ..LeaseSpec::default()
        }
    }
}
