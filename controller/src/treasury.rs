//! The gate of money: one task of the leader that alone changes what budgets hold.
//!
//! The truth is Kubernetes. Budgets are raised first (the namespace's, then the whole grid's), by replacing their status
//! with the resource version that was read; then the job's reservation is written; then it may run. A crash in between can
//! only leave too much held, and a leader that begins makes the sums anew from a live list. What was spent is the ledger in
//! the store, one object for each job and month, which is written once.

pub mod books;
pub mod kept;
mod ledger;
mod line;
mod live;
mod month;
mod platform;
mod serve;
mod short;
mod tell;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use blockgrid_grid::{JobId, Store, StoreError};
use blockgrid_job::budget::{BudgetSpec, HardAction};
use blockgrid_job::status::Terms;
use jiff::Timestamp;
use kube::api::ListParams;
use kube::runtime::reflector;
use kube::{Api, Client, ResourceExt};
use tokio::sync::{mpsc, oneshot, watch};

use crate::clock;
use crate::config::Config;
use crate::election::Reign;
use crate::events::Teller;
use crate::meters::Meters;
use crate::resources::BacktestBudget;
use crate::world::Held;

use books::{Books, Budget, Key, Share, UNREADABLE, month};
use ledger::Ledger;
use line::Line;
use live::key;
use platform::Platform;

pub use platform::Rates;

/// Requests that wait for the task.
const WAITING: usize = 4096;

/// Objects that are read or written at a time.
const AT_ONCE: usize = 32;

/// How often those that wait longest are told new numbers.
const ANEW: Duration = Duration::from_secs(60);

/// How often budgets are looked at though nobody asks: their limits may have changed, or the month.
const LOOK: Duration = Duration::from_secs(5);

/// Why money could not be moved. It is tried again.
#[derive(Debug, Clone, thiserror::Error)]
pub enum TreasuryError {
    /// The API server.
    #[error("the API server: {0}")]
    Api(#[source] Arc<kube::Error>),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Somebody else changed what a budget holds: another leader.
    #[error("budget {0} was changed by another leader")]
    Fenced(String),
    /// The ledger cannot be read: nobody knows what was spent, so nothing is admitted.
    #[error(
        "{key} cannot be read ({why}): mend it, from a backup or an earlier version of it, or remove it, and what it says was spent counts no more; nothing is admitted before"
    )]
    Unreadable {
        /// The object.
        key: String,
        /// What is wrong with it.
        why: String,
    },
    /// The job is gone, or another has its name.
    #[error("job {0} is not there any more")]
    NoJob(String),
    /// The task has ended, or another replica may lead.
    #[error("this replica leads no more")]
    Gone,
}

impl From<kube::Error> for TreasuryError {
    fn from(error: kube::Error) -> Self {
        Self::Api(Arc::new(error))
    }
}

/// Whose money is moved.
#[derive(Debug, Clone)]
pub struct Whose {
    /// Uid of the job.
    pub id: JobId,
    /// Its name.
    pub name: String,
    /// Namespace, user, and how much.
    pub share: Share,
}

enum Request {
    Reserve {
        whose: Whose,
        wish: u64,
        terms: Option<Terms>,
        reply: oneshot::Sender<Result<Result<u64, Held>, TreasuryError>>,
    },
    Forget {
        id: JobId,
    },
    Settle {
        whose: Whose,
        lane_micro_usd: u64,
        at: Timestamp,
        reply: oneshot::Sender<Result<u64, TreasuryError>>,
    },
}

/// What the task has found, for whoever asks.
#[derive(Default)]
struct Found {
    line: Line,
    /// Namespaces whose jobs should stop, and why.
    drained: BTreeMap<String, Held>,
    /// What a budget of the whole grid wants that is spent.
    spent: Option<HardAction>,
}

/// Who asks the budgets; clones ask the same ones.
#[derive(Clone)]
pub struct Treasury {
    requests: mpsc::Sender<Request>,
    found: Arc<Mutex<Found>>,
    begun: watch::Receiver<bool>,
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Treasury {
    /// Waits until the sums are made: before, nobody knows whose money is spent, and what a budget has drained would wake.
    pub async fn begun(&self) {
        let mut begun = self.begun.clone();
        let has = begun.wait_for(|&begun| begun).await.is_ok();
        if !has {
            // The task has ended without.
            std::future::pending::<()>().await;
        }
    }

    /// Why a job waits, or should stop, if it does. Only one for which money is held is drained: whoever asks is answered.
    pub fn held(&self, id: &JobId, namespace: &str, has_money: bool) -> Option<Held> {
        let found = lock(&self.found);
        let drained = found.drained.get(namespace).filter(|_| has_money);
        drained.or_else(|| found.line.held(id)).cloned()
    }

    /// What a budget of the whole grid wants that is spent, if one is; where several are, the sternest.
    pub fn spent(&self) -> Option<HardAction> {
        lock(&self.found).spent
    }

    /// Has the budgets hold money for a job, or rather the more that it wishes; how much they hold, or why they do not. The
    /// terms that it is let in by are written with what is held.
    ///
    /// # Errors
    /// [`TreasuryError`]; nothing is held then, or too much until the next leader.
    pub async fn reserve(
        &self,
        whose: Whose,
        wish: u64,
        terms: Option<Terms>,
    ) -> Result<Result<u64, Held>, TreasuryError> {
        let (reply, answer) = oneshot::channel();
        let request = Request::Reserve { whose, wish, terms, reply };
        self.requests.send(request).await.map_err(|_| TreasuryError::Gone)?;
        answer.await.map_err(|_| TreasuryError::Gone)?
    }

    /// Gives back what is held for a job, and writes down what it cost in the month of `at`; how much counts. `lane_micro_usd`
    /// of it are for workers that it shared with others.
    ///
    /// # Errors
    /// [`TreasuryError`]; asking again is harmless.
    pub async fn settle(
        &self,
        whose: Whose,
        lane_micro_usd: u64,
        at: Timestamp,
    ) -> Result<u64, TreasuryError> {
        let (reply, answer) = oneshot::channel();
        self.requests
            .send(Request::Settle { whose, lane_micro_usd, at, reply })
            .await
            .map_err(|_| TreasuryError::Gone)?;
        answer.await.map_err(|_| TreasuryError::Gone)?
    }

    /// A job has been looked at, and is refused nothing.
    pub fn has_looked(&self, id: &JobId) {
        lock(&self.found).line.has_looked(id);
    }

    /// A job asks for nothing any more, though it may hold something.
    pub fn asks_no_more(&self, id: &JobId) {
        lock(&self.found).line.leaves(id);
    }

    /// A job that is gone waits no more, and holds nothing.
    pub fn forget(&self, id: &JobId) {
        self.asks_no_more(id);
        // A task that is too busy to hear it makes its sums anew when it begins again.
        let _ = self.requests.try_send(Request::Forget { id: id.clone() });
    }
}

/// The task's side.
pub struct Clerk {
    means: Means,
    requests: mpsc::Receiver<Request>,
    found: Arc<Mutex<Found>>,
    begun: watch::Sender<bool>,
    books: Books,
    /// What stands behind what the books say was spent; none before the beginning.
    ledger: Option<Ledger>,
    /// What the grid has cost beside.
    platform: Option<Platform>,
    /// Budgets as they were written last.
    latest: BTreeMap<Key, BacktestBudget>,
    told: BTreeMap<Key, Timestamp>,
    /// Whether they changed otherwise than the watches will tell.
    has_news: bool,
    /// Which soft limits of which budgets were warned of, and when.
    warned: BTreeMap<(Key, String), Instant>,
}

/// What the task works with.
pub struct Means {
    /// The API server.
    pub client: Client,
    /// Where the ledger is.
    pub store: Store,
    /// The configuration.
    pub config: Arc<Config>,
    /// The namespace whose budgets limit the whole grid.
    pub platform: String,
    /// Budgets, as the watches of them know.
    pub watched: Vec<reflector::Store<BacktestBudget>>,
    /// Hears of jobs that should look again.
    pub wake: mpsc::UnboundedSender<JobId>,
    /// What is counted.
    pub meters: Arc<Meters>,
    /// Who tells events.
    pub teller: Teller,
    /// How long this replica leads.
    pub reign: Reign,
    /// A name that no other reign has.
    pub name: String,
    /// What runs at this moment and is no job's.
    pub rates: Box<dyn Fn() -> Rates + Send + Sync>,
}

/// Makes both sides.
pub fn open(means: Means) -> (Treasury, Clerk) {
    let (sender, requests) = mpsc::channel(WAITING);
    let found = Arc::new(Mutex::new(Found::default()));
    let (begins, begun) = watch::channel(false);
    let clerk = Clerk {
        means,
        requests,
        found: Arc::clone(&found),
        begun: begins,
        books: Books::default(),
        ledger: None,
        platform: None,
        latest: BTreeMap::new(),
        told: BTreeMap::new(),
        has_news: false,
        warned: BTreeMap::new(),
    };
    (Treasury { requests: sender, found, begun }, clerk)
}

impl Clerk {
    /// Makes the sums anew from what is live, then serves until it is dropped.
    ///
    /// # Errors
    /// [`TreasuryError`] when the beginning fails, or another leader is at work.
    pub async fn run(mut self) -> Result<(), TreasuryError> {
        let ended = self.serve_all().await;
        if let Err(error @ TreasuryError::Unreadable { .. }) = &ended {
            self.tell_unreadable(error, clock::now()).await;
        }
        ended
    }

    async fn serve_all(&mut self) -> Result<(), TreasuryError> {
        self.begin().await?;
        self.drain();
        self.begun.send_replace(true);
        // Only now: whoever has the lease and not the books serves nobody.
        self.means.meters.leads(true);
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let (mut audited, mut told) = (Instant::now(), Instant::now());
        loop {
            let mut batch = Vec::new();
            tokio::select! {
                received = self.requests.recv_many(&mut batch, WAITING) => if received == 0 { return Ok(()) },
                // Jobs that were told and are gone, or were refused by somebody else, wake nobody.
                _ = look.tick() => {
                    self.wake_some(clock::now());
                    self.tell_some(&mut told);
                    self.count_platform(clock::now()).await;
                }
            }
            let now = clock::now();
            self.look(now).await?;
            if !batch.is_empty() {
                self.serve(batch, now).await?;
            }
            if audited.elapsed() >= self.means.config.jobs.audit_interval {
                audited = Instant::now();
                self.audit().await?;
            }
            self.drain();
            self.tell(now).await?;
        }
    }

    /// Notes whose jobs should stop, and tells those jobs when that has changed.
    fn drain(&self) {
        let namespaces: BTreeSet<&String> =
            self.books.reserved.values().map(|share| &share.namespace).collect();
        let drained =
            namespaces.into_iter().filter_map(|name| Some((name.clone(), self.books.drained(name)?)));
        let drained: BTreeMap<String, Held> = drained.collect();
        let mut found = lock(&self.found);
        let changed = |name: &String| found.drained.contains_key(name) != drained.contains_key(name);
        for (id, _) in self.books.reserved.iter().filter(|(_, share)| changed(&share.namespace)) {
            let _ = self.means.wake.send(id.clone());
        }
        found.drained = drained;
        found.spent = self.books.spent_whole();
    }

    async fn begin(&mut self) -> Result<(), TreasuryError> {
        // In this order: what is settled meanwhile is held and spent, and not neither.
        self.books.reserved = self.reservations().await?;
        self.open_month(month(clock::now())).await?;
        // What was written down last is told to its job when that asks once more; it holds nothing until then.
        let ledger = self.ledger.as_ref();
        self.books.reserved.retain(|id, _| ledger.is_none_or(|ledger| !ledger.has(id)));
        self.count_platform(clock::now()).await;
        self.make_default().await?;
        let mut budgets = Vec::new();
        for api in self.means.config.apis::<BacktestBudget>(&self.means.client, Some(&self.means.platform)) {
            budgets.extend(api.list(&ListParams::default()).await?.items);
        }
        self.latest = budgets.into_iter().map(|budget| (key(&budget), budget)).collect();
        self.know();
        for key in self.books.budgets.keys().cloned().collect::<Vec<_>>() {
            self.write(&key, clock::now(), true).await?;
        }
        Ok(())
    }

    /// Takes over what the budgets say now.
    fn know(&mut self) {
        let of = |budget: &BacktestBudget| {
            let namespace = budget.namespace().unwrap_or_default();
            let spec = serde_json::from_value::<BudgetSpec>(budget.spec.clone()).unwrap_or_else(|error| {
                tracing::error!(%error, budget = %budget.name_any(), "the budget cannot be read: nothing is admitted");
                BudgetSpec {
                    monthly_micro_usd: UNREADABLE,
                    per_user_micro_usd: None,
                    soft_percent: Vec::new(),
                    hard_action: HardAction::Hold,
                }
            });
            Budget { scope: (namespace != self.means.platform).then_some(namespace), spec }
        };
        let before = std::mem::replace(
            &mut self.books.budgets,
            self.latest.iter().map(|(key, budget)| (key.clone(), of(budget))).collect(),
        );
        for (namespace, name) in before.keys().filter(|key| !self.latest.contains_key(*key)) {
            self.means.meters.forget_budget(&format!("{namespace}/{name}"));
        }
    }

    /// Looks for limits that changed, budgets that came or went, and a new month.
    async fn look(&mut self, now: Timestamp) -> Result<(), TreasuryError> {
        let mut changed = std::mem::take(&mut self.has_news);
        let watched: Vec<_> = self.means.watched.iter().flat_map(reflector::Store::state).collect();
        let mut there = BTreeSet::new();
        for budget in watched {
            let key = key(&budget);
            let is_newer = self.latest.get(&key).is_none_or(|known| {
                known.metadata.generation < budget.metadata.generation || known.uid() != budget.uid()
            });
            there.insert(key.clone());
            if is_newer {
                self.latest.insert(key, (*budget).clone());
                changed = true;
            }
        }
        // A watch may not know yet of what was made a moment ago: only what the API server does not know is gone.
        let missing: Vec<Key> = self.latest.keys().filter(|key| !there.contains(*key)).cloned().collect();
        for key in missing {
            let api: Api<BacktestBudget> = Api::namespaced(self.means.client.clone(), &key.0);
            if api.get_opt(&key.1).await?.is_none() {
                self.latest.remove(&key);
                changed = true;
            }
        }
        // Without one, everything would be admitted; that is for the configuration to say, not for a slip of the hand.
        if self.latest.keys().all(|(namespace, _)| *namespace != self.means.platform)
            && let Some(budget) = self.make_default().await?
        {
            tracing::warn!("the platform's last budget was deleted: the configuration's takes its place");
            self.latest.insert(key(&budget), budget);
            changed = true;
        }
        let month = month(now);
        if month != self.books.month {
            self.open_month(month).await?;
            changed = true;
        }
        if changed {
            self.know();
            self.told.clear();
            self.wake_some(now);
            for id in lock(&self.found).line.told_anew(line::MOST_TOLD, now) {
                let _ = self.means.wake.send(id);
            }
        }
        Ok(())
    }

    /// Once in a while, whoever waits longest is told what there is by now.
    fn tell_some(&self, told: &mut Instant) {
        if told.elapsed() >= ANEW {
            *told = Instant::now();
            for id in lock(&self.found).line.told_anew(line::FEW_TOLD, clock::now()) {
                let _ = self.means.wake.send(id);
            }
        }
    }

    /// Lets those ask again that waited longest, as far as the money reaches.
    fn wake_some(&mut self, now: Timestamp) {
        let mut found = lock(&self.found);
        let kept = found.line.kept(&self.books, now);
        self.books.keep(kept);
        for id in found.line.wake(&self.books, now) {
            let _ = self.means.wake.send(id);
        }
    }
}
