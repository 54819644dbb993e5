//! The gate of money: one task of the leader that alone changes what budgets hold.
//!
//! The truth is Kubernetes. Budgets are raised first (the namespace's, then the whole grid's), by replacing their status
//! with the resource version that was read; then the job's reservation is written; then it may run. A crash in between can
//! only leave too much held, and a leader that begins makes the sums anew from a live list. What was spent is the ledger in
//! the store, one object for each job and month, which is written once.

pub mod books;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use blockgrid_grid::store::keys;
use blockgrid_grid::{Created, JobId, Store, StoreError};
use blockgrid_job::budget::{BudgetSpec, BudgetStatus, HardAction};
use blockgrid_job::status::Condition;
use futures::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use kube::runtime::reflector;
use kube::{Api, Client, ResourceExt};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::{mpsc, oneshot};

use crate::config::Config;
use crate::meters::Meters;
use crate::plan::say::written;
use crate::resources::{BacktestBudget, BacktestJob, MANAGER};
use crate::world::Held;

use books::{Books, Budget, Key, Share, month};

/// Requests that wait for the task.
const WAITING: usize = 4096;

/// Objects that are read or written at a time.
const AT_ONCE: usize = 32;

/// How often budgets are looked at though nobody asks: their limits may have changed, or the month.
const LOOK: Duration = Duration::from_secs(5);

/// How often the figures of a budget are written though no money moved: the projection moves with time.
const TELL: Duration = Duration::from_secs(600);

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
    /// The task has ended.
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
    Reserve { whose: Whose, reply: oneshot::Sender<Result<Result<u64, Held>, TreasuryError>> },
    Settle { whose: Whose, at: Timestamp, reply: oneshot::Sender<Result<(), TreasuryError>> },
}

/// Jobs that wait for money: since which turn, why, and for how much.
type Waiting = BTreeMap<JobId, (u64, Held, Share)>;

/// Who asks the budgets; clones ask the same ones.
#[derive(Clone)]
pub struct Treasury {
    requests: mpsc::Sender<Request>,
    waiting: Arc<Mutex<Waiting>>,
}

/// One settled job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    namespace: String,
    name: String,
    user: String,
    micro_usd: u64,
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Treasury {
    /// Why a job waits, if it does.
    pub fn held(&self, id: &JobId) -> Option<Held> {
        lock(&self.waiting).get(id).map(|(_, held, _)| held.clone())
    }

    /// Has the budgets hold money for a job; how much they hold, or why they do not.
    ///
    /// # Errors
    /// [`TreasuryError`]; nothing is held then, or too much until the next leader.
    pub async fn reserve(&self, whose: Whose) -> Result<Result<u64, Held>, TreasuryError> {
        let (reply, answer) = oneshot::channel();
        self.requests.send(Request::Reserve { whose, reply }).await.map_err(|_| TreasuryError::Gone)?;
        answer.await.map_err(|_| TreasuryError::Gone)?
    }

    /// Gives back what is held for a job, and writes down what it cost in the month of `at`.
    ///
    /// # Errors
    /// [`TreasuryError`]; asking again is harmless.
    pub async fn settle(&self, whose: Whose, at: Timestamp) -> Result<(), TreasuryError> {
        let (reply, answer) = oneshot::channel();
        self.requests.send(Request::Settle { whose, at, reply }).await.map_err(|_| TreasuryError::Gone)?;
        answer.await.map_err(|_| TreasuryError::Gone)?
    }

    /// A job that is gone waits no more.
    pub fn forget(&self, id: &JobId) {
        lock(&self.waiting).remove(id);
    }
}

/// The task's side.
pub struct Clerk {
    client: Client,
    store: Store,
    config: Arc<Config>,
    platform: String,
    watched: Vec<reflector::Store<BacktestBudget>>,
    requests: mpsc::Receiver<Request>,
    waiting: Arc<Mutex<Waiting>>,
    /// Hears of jobs that need not wait any more.
    wake: mpsc::UnboundedSender<JobId>,
    meters: Arc<Meters>,
    books: Books,
    /// Budgets as they were written last.
    latest: BTreeMap<Key, BacktestBudget>,
    told: BTreeMap<Key, Timestamp>,
    turn: u64,
}

/// Makes both sides. `platform` is the namespace whose budgets limit the whole grid.
pub fn open(
    client: Client,
    store: Store,
    config: Arc<Config>,
    platform: String,
    watched: Vec<reflector::Store<BacktestBudget>>,
    wake: mpsc::UnboundedSender<JobId>,
    meters: Arc<Meters>,
) -> (Treasury, Clerk) {
    let (sender, requests) = mpsc::channel(WAITING);
    let waiting = Arc::new(Mutex::new(BTreeMap::new()));
    let clerk = Clerk {
        client,
        store,
        config,
        platform,
        watched,
        requests,
        waiting: Arc::clone(&waiting),
        wake,
        meters,
        books: Books::default(),
        latest: BTreeMap::new(),
        told: BTreeMap::new(),
        turn: 0,
    };
    (Treasury { requests: sender, waiting }, clerk)
}

impl Clerk {
    /// Makes the sums anew from what is live, then serves until it is dropped.
    ///
    /// # Errors
    /// [`TreasuryError`] when the beginning fails, or another leader is at work.
    pub async fn run(mut self) -> Result<(), TreasuryError> {
        self.begin().await?;
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let mut batch = Vec::new();
            tokio::select! {
                received = self.requests.recv_many(&mut batch, WAITING) => if received == 0 { return Ok(()) },
                _ = look.tick() => {}
            }
            let now = Timestamp::now();
            self.look(now).await?;
            if !batch.is_empty() {
                self.serve(batch, now).await?;
            }
            self.tell(now).await?;
        }
    }

    async fn begin(&mut self) -> Result<(), TreasuryError> {
        self.books.month = month(Timestamp::now());
        self.books.spent = self.ledger().await?;
        self.books.reserved = self.reservations().await?;
        self.make_default().await?;
        let budgets: Api<BacktestBudget> = Api::all(self.client.clone());
        let budgets = if self.config.namespaces.is_empty() {
            budgets.list(&ListParams::default()).await?.items
        } else {
            let mut found = Vec::new();
            for namespace in self.namespaces() {
                let budgets: Api<BacktestBudget> = Api::namespaced(self.client.clone(), &namespace);
                found.extend(budgets.list(&ListParams::default()).await?.items);
            }
            found
        };
        self.latest = budgets.into_iter().map(|budget| (key(&budget), budget)).collect();
        self.know();
        for key in self.books.budgets.keys().cloned().collect::<Vec<_>>() {
            self.write(&key, Timestamp::now(), true).await?;
        }
        Ok(())
    }

    /// The namespaces that are watched, the platform's among them.
    fn namespaces(&self) -> Vec<String> {
        let mut namespaces = self.config.namespaces.clone();
        namespaces.push(self.platform.clone());
        namespaces.sort();
        namespaces.dedup();
        namespaces
    }

    /// Makes the budget of the configuration where the whole grid has none.
    async fn make_default(&self) -> Result<(), TreasuryError> {
        let Some(spec) = &self.config.budget else { return Ok(()) };
        let budgets: Api<BacktestBudget> = Api::namespaced(self.client.clone(), &self.platform);
        if !budgets.list(&ListParams::default().limit(1)).await?.items.is_empty() {
            return Ok(());
        }
        let budget: BacktestBudget = serde_json::from_value(json!({
            "apiVersion": blockgrid_job::spec::API_VERSION,
            "kind": "BacktestBudget",
            "metadata": { "name": "grid", "namespace": self.platform },
            "spec": spec,
        }))
        .map_err(kube::Error::SerdeError)?;
        match budgets.create(&PostParams::default(), &budget).await {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// What was spent this month, by the ledger.
    async fn ledger(&self) -> Result<BTreeMap<(String, String), u64>, TreasuryError> {
        let prefix = format!("ledger/{}", self.books.month);
        let listed = self.store.list(&prefix).await?;
        let entries = listed.into_iter().map(|entry| {
            let store = self.store.clone();
            async move { store.get(&entry.key).await }
        });
        let entries: Vec<_> = stream::iter(entries).buffer_unordered(AT_ONCE).try_collect().await?;
        let mut spent = BTreeMap::new();
        for bytes in entries {
            match serde_json::from_slice::<Entry>(&bytes) {
                Ok(entry) => *spent.entry((entry.namespace, entry.user)).or_default() += entry.micro_usd,
                Err(error) => {
                    tracing::error!(%error, "an entry of the ledger cannot be read: it is not counted")
                }
            }
        }
        Ok(spent)
    }

    /// What jobs hold, by a live list.
    async fn reservations(&self) -> Result<BTreeMap<JobId, Share>, TreasuryError> {
        let mut found = BTreeMap::new();
        let apis: Vec<Api<BacktestJob>> = if self.config.namespaces.is_empty() {
            vec![Api::all(self.client.clone())]
        } else {
            self.config.namespaces.iter().map(|name| Api::namespaced(self.client.clone(), name)).collect()
        };
        for api in apis {
            let mut page = ListParams::default().limit(500);
            loop {
                let jobs = api.list(&page).await?;
                for job in &jobs.items {
                    let held = job.status.as_ref().and_then(|status| status.reserved_micro_usd);
                    let (Some(micro_usd), Some(uid)) = (held, job.uid()) else { continue };
                    let Ok(id) = uid.parse::<JobId>() else { continue };
                    let user = crate::observe::user(job, &self.config);
                    found.insert(
                        id,
                        Share { namespace: job.namespace().unwrap_or_default(), user, micro_usd },
                    );
                }
                match jobs.metadata.continue_.filter(|token| !token.is_empty()) {
                    Some(token) => page = page.continue_token(&token),
                    None => break,
                }
            }
        }
        Ok(found)
    }

    /// Takes over what the budgets say now.
    fn know(&mut self) {
        let of = |budget: &BacktestBudget| {
            let namespace = budget.namespace().unwrap_or_default();
            let spec = serde_json::from_value::<BudgetSpec>(budget.spec.clone()).unwrap_or_else(|error| {
                // Better no job than one that nobody allowed.
                tracing::error!(%error, budget = %budget.name_any(), "the budget cannot be read: nothing is admitted");
                BudgetSpec {
                    monthly_micro_usd: 0,
                    per_user_micro_usd: None,
                    soft_percent: Vec::new(),
                    hard_action: HardAction::Hold,
                }
            });
            Budget { scope: (namespace != self.platform).then_some(namespace), spec }
        };
        self.books.budgets = self.latest.iter().map(|(key, budget)| (key.clone(), of(budget))).collect();
    }

    /// Looks for limits that changed, budgets that came or went, and a new month.
    async fn look(&mut self, now: Timestamp) -> Result<(), TreasuryError> {
        let mut changed = false;
        let watched: Vec<_> = self.watched.iter().flat_map(reflector::Store::state).collect();
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
            let api: Api<BacktestBudget> = Api::namespaced(self.client.clone(), &key.0);
            if api.get_opt(&key.1).await?.is_none() {
                self.latest.remove(&key);
                changed = true;
            }
        }
        let month = month(now);
        if month != self.books.month {
            self.books.month = month;
            self.books.spent = self.ledger().await?;
            changed = true;
        }
        if changed {
            self.know();
            self.told.clear();
            self.wake_some();
        }
        Ok(())
    }

    async fn serve(&mut self, batch: Vec<Request>, now: Timestamp) -> Result<(), TreasuryError> {
        let mut admitted = Vec::new();
        let mut settled = Vec::new();
        for request in batch {
            match request {
                Request::Reserve { whose, reply } => match self.books.may(&whose.id, &whose.share) {
                    Ok(()) => {
                        let holds =
                            self.books.reserved.entry(whose.id.clone()).or_insert(whose.share.clone());
                        let micro_usd = holds.micro_usd;
                        lock(&self.waiting).remove(&whose.id);
                        admitted.push((whose, micro_usd, reply));
                    }
                    Err(held) => {
                        self.turn += 1;
                        let turn = self.turn;
                        let mut waiting = lock(&self.waiting);
                        let entry = waiting.entry(whose.id).or_insert((turn, held.clone(), whose.share));
                        entry.1 = held.clone();
                        let _ = reply.send(Ok(Err(held)));
                    }
                },
                Request::Settle { whose, at, reply } => {
                    let done = self.write_down(&whose, at).await;
                    settled.push((whose, done, reply));
                }
            }
        }
        let touched: Vec<String> = admitted
            .iter()
            .map(|(whose, ..)| whose.share.namespace.clone())
            .chain(settled.iter().map(|(whose, ..)| whose.share.namespace.clone()))
            .collect();
        if let Err(error) = self.raise(&touched, now).await {
            for (whose, _, reply) in admitted {
                self.books.reserved.remove(&whose.id);
                let _ = reply.send(Err(error.clone()));
            }
            for (_, _, reply) in settled {
                let _ = reply.send(Err(error.clone()));
            }
            return match error {
                TreasuryError::Fenced(_) => Err(error),
                _ => Ok(()),
            };
        }
        let writes = admitted.into_iter().map(|(whose, micro_usd, reply)| {
            let body = json!({ "status": { "reservedMicroUsd": micro_usd } });
            let patched = self.patch(&whose, body);
            async move { (whose, micro_usd, patched.await, reply) }
        });
        let writes: Vec<_> =
            stream::iter(writes.collect::<Vec<_>>()).buffer_unordered(AT_ONCE).collect().await;
        for (whose, micro_usd, patched, reply) in writes {
            if patched.is_err() {
                // The budget holds too much until it is written next.
                self.books.reserved.remove(&whose.id);
            }
            let _ = reply.send(patched.map(|()| Ok(micro_usd)));
        }
        let writes = settled.into_iter().map(|(whose, done, reply)| {
            let spent = whose.share.micro_usd;
            let body = json!({ "status": { "reservedMicroUsd": null, "spentMicroUsd": spent } });
            let patched = done.map(|()| self.patch(&whose, body));
            async move {
                let result = match patched {
                    Ok(patched) => patched.await,
                    Err(error) => Err(error),
                };
                (result, reply)
            }
        });
        let writes: Vec<_> =
            stream::iter(writes.collect::<Vec<_>>()).buffer_unordered(AT_ONCE).collect().await;
        let any = !writes.is_empty();
        for (result, reply) in writes {
            let _ = reply.send(result);
        }
        if any {
            self.wake_some();
        }
        Ok(())
    }

    fn patch(
        &self,
        whose: &Whose,
        body: serde_json::Value,
    ) -> impl Future<Output = Result<(), TreasuryError>> + use<> {
        let jobs: Api<BacktestJob> = Api::namespaced(self.client.clone(), &whose.share.namespace);
        let name = whose.name.clone();
        async move {
            let parameters =
                PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
            match jobs.patch_status(&name, &parameters, &Patch::Merge(body)).await {
                Ok(_) => Ok(()),
                // It is gone, and holds nothing any more.
                Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
                Err(error) => Err(error.into()),
            }
        }
    }

    /// Writes a job into the ledger, once. What stands there already was counted when it was written or read.
    async fn write_down(&mut self, whose: &Whose, at: Timestamp) -> Result<(), TreasuryError> {
        let entry = Entry {
            namespace: whose.share.namespace.clone(),
            name: whose.name.clone(),
            user: whose.share.user.clone(),
            micro_usd: whose.share.micro_usd,
        };
        let when = month(at);
        let bytes = serde_json::to_vec(&entry).map_err(kube::Error::SerdeError)?;
        let created = self.store.create(&keys::ledger(&when, &whose.id), bytes.into()).await?;
        match created {
            Created::New if when == self.books.month => self.books.settle(&whose.id, whose.share.clone()),
            _ => {
                self.books.reserved.remove(&whose.id);
            }
        }
        Ok(())
    }

    /// Writes the budgets that these namespaces' jobs count for: theirs first, then the whole grid's.
    async fn raise(&mut self, namespaces: &[String], now: Timestamp) -> Result<(), TreasuryError> {
        let mut keys: Vec<Key> = Vec::new();
        for namespace in namespaces {
            for key in self.books.of_namespace(namespace) {
                if !keys.contains(key) {
                    keys.push(key.clone());
                }
            }
        }
        keys.sort_by_key(|key| self.books.budgets.get(key).is_some_and(|budget| budget.scope.is_none()));
        for key in keys {
            self.write(&key, now, false).await?;
        }
        Ok(())
    }

    /// Replaces a budget's status. `is_new` says that whatever stands there is not ours, and not trusted.
    async fn write(&mut self, key: &Key, now: Timestamp, is_new: bool) -> Result<(), TreasuryError> {
        let (Some(budget), Some(known)) = (self.books.budgets.get(key), self.latest.get(key).cloned()) else {
            return Ok(());
        };
        let api: Api<BacktestBudget> = Api::namespaced(self.client.clone(), &key.0);
        let status = self.books.status(budget, now);
        let limit = budget.spec.monthly_micro_usd;
        self.meters.budget(
            &format!("{}/{}", key.0, key.1),
            limit,
            status.spent_micro_usd,
            status.reserved_micro_usd,
        );
        let soft = budget.spec.soft_percent.clone();
        let mut object = known;
        for _ in 0..5 {
            let mut next = status.clone();
            next.observed_generation = object.metadata.generation;
            next.conditions = conditions(&object, &next, &soft, now);
            let written = object.status.clone();
            object.status = Some(next);
            match api.replace_status(&key.1, &PostParams::default(), &object).await {
                Ok(now_there) => {
                    self.latest.insert(key.clone(), now_there);
                    self.told.insert(key.clone(), now);
                    return Ok(());
                }
                Err(kube::Error::Api(error)) if error.code == 409 => {
                    let there = api.get(&key.1).await?;
                    let money = |status: &Option<BudgetStatus>| {
                        status.as_ref().map(|status| (status.spent_micro_usd, status.reserved_micro_usd))
                    };
                    if !is_new && money(&there.status) != money(&written) {
                        return Err(TreasuryError::Fenced(format!("{}/{}", key.0, key.1)));
                    }
                    object = there;
                }
                Err(kube::Error::Api(error)) if error.code == 404 => {
                    self.latest.remove(key);
                    self.know();
                    return Ok(());
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(TreasuryError::Fenced(format!("{}/{}", key.0, key.1)))
    }

    /// Writes figures that have become old.
    async fn tell(&mut self, now: Timestamp) -> Result<(), TreasuryError> {
        let old = i64::try_from(TELL.as_secs()).unwrap_or(i64::MAX);
        let keys: Vec<Key> = self
            .books
            .budgets
            .keys()
            .filter(|key| self.told.get(*key).is_none_or(|told| now.as_second() - told.as_second() >= old))
            .cloned()
            .collect();
        for key in keys {
            match self.write(&key, now, false).await {
                Err(error @ TreasuryError::Fenced(_)) => return Err(error),
                Err(error) => tracing::warn!(%error, "a budget's figures could not be written"),
                Ok(()) => {}
            }
        }
        Ok(())
    }

    /// Lets those ask again that waited longest, as far as the money reaches.
    fn wake_some(&mut self) {
        let mut waiting = lock(&self.waiting);
        let mut order: Vec<(u64, JobId)> =
            waiting.iter().map(|(id, (turn, ..))| (*turn, id.clone())).collect();
        order.sort();
        let mut trial = self.books.clone();
        for (_, id) in order {
            let Some((_, _, share)) = waiting.get(&id).cloned() else { continue };
            if trial.may(&id, &share).is_ok() {
                trial.reserved.insert(id.clone(), share);
                waiting.remove(&id);
                let _ = self.wake.send(id);
            }
        }
    }
}

fn key(budget: &BacktestBudget) -> Key {
    (budget.namespace().unwrap_or_default(), budget.name_any())
}

/// What holds of a budget: whether it can be read, and which soft limits are passed.
fn conditions(object: &BacktestBudget, status: &BudgetStatus, soft: &[u8], now: Timestamp) -> Vec<Condition> {
    let old = object.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    let condition = |kind: String, is: bool, reason: &str, message: String| {
        let said = if is { "True" } else { "False" };
        let since = old.iter().find(|known| known.kind == kind && known.status == said);
        Condition {
            status: said.to_owned(),
            reason: reason.to_owned(),
            message,
            last_transition_time: since
                .map_or_else(|| written(now), |known| known.last_transition_time.clone()),
            observed_generation: object.metadata.generation,
            kind,
        }
    };
    let valid = match serde_json::from_value::<BudgetSpec>(object.spec.clone()) {
        Ok(_) => condition("Valid".to_owned(), true, "Valid", "the limits hold".to_owned()),
        Err(error) => {
            let message = format!("{error}: until this is mended nothing is admitted");
            condition("Valid".to_owned(), false, "Unreadable", message)
        }
    };
    let used = u128::from(status.spent_micro_usd) + u128::from(status.reserved_micro_usd);
    let limit = u128::from(status.limit_micro_usd);
    let passed = soft.iter().map(|&percent| {
        let is = used * 100 >= limit * u128::from(percent) && limit > 0;
        let (reason, word) = if is { ("Passed", "are") } else { ("Within", "are not") };
        let message = format!("{percent} % of the limit {word} spent or held");
        condition(format!("Soft{percent}"), is, reason, message)
    });
    std::iter::once(valid).chain(passed).collect()
}
