//! What the replica that leads does: watches, the money, the lane, and the reconciles.

use std::sync::Arc;
use std::time::Duration;

use blockgrid_grid::telemetry::Telemetry;
use blockgrid_grid::{JobId, Options, Queue, RedisQueue, Store};
use futures::{Stream, StreamExt, stream};
use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::runtime::controller::{Config as Pace, Controller};
use kube::runtime::reflector::{self, ObjectRef};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::config::Config;
use crate::context::Context;
use crate::election::Reign;
use crate::events::Teller;
use crate::meters::Meters;
use crate::planning::Plans;
use crate::reconcile::{failed, reconcile};
use crate::resources::{BacktestBudget, BacktestJob, UID_LABEL};
use crate::sweep::sweep;
use crate::treasury::Rates;
use crate::warm::keep;
use crate::{clock, crds, observe, treasury, warm};

/// Jobs that are looked at at a time.
const AT_ONCE: u16 = 64;

/// What a replica has before it leads.
#[derive(Clone)]
pub struct Means {
    /// The API server.
    pub client: Client,
    /// The configuration.
    pub config: Arc<Config>,
    /// The store.
    pub store: Store,
    /// The same as users reach it.
    pub public: Store,
    /// How data sets in S3 are reached.
    pub s3: Options,
    /// The queue.
    pub queue: RedisQueue,
    /// What it counts.
    pub meters: Arc<Meters>,
    /// The namespace that it runs in.
    pub platform: String,
    /// Its name.
    pub identity: String,
    /// How long it leads.
    pub reign: Reign,
    /// Where spans of plans go.
    pub telemetry: Telemetry,
}

/// Why a leader cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum LeadError {
    /// The budgets.
    #[error("the budgets: {0}")]
    Treasury(#[from] treasury::TreasuryError),
    /// A task ended that should not have.
    #[error("{0} ended")]
    Ended(&'static str),
}

impl LeadError {
    /// Whether somebody has to mend something before anyone can lead.
    pub fn is_lasting(&self) -> bool {
        matches!(self, Self::Treasury(treasury::TreasuryError::Unreadable { .. }))
    }
}

/// How often jobs that have not ended are asked whether the tables that they count on are old.
const KEPT_EACH: Duration = Duration::from_secs(6 * 3600);

/// How long after it began a leader asks first: those that lead for a few hours do it too, and nobody at the start.
const KEPT_FIRST: Duration = Duration::from_secs(10 * 60);

/// Jobs that are read at a time: each may have half a megabyte of text that is not kept.
const JOBS_A_PAGE: u32 = 100;

/// Leads until `stop` says so; then what is being done is done to its end.
///
/// # Errors
/// [`LeadError`]: the lease should be given up, and asked for again.
pub async fn lead(means: Means, stop: watch::Receiver<bool>) -> Result<(), LeadError> {
    let Means { client, config, store, public, s3, queue, meters, platform, identity, reign, telemetry } =
        means;
    match crds::look(&client).await {
        Ok(outdated) => {
            for outdated in outdated.into_iter().flatten() {
                meters.outdated();
                tracing::error!("{outdated}");
            }
        }
        Err(error) => tracing::warn!(%error, "the CustomResourceDefinitions cannot be looked at"),
    }
    let (wake, woken) = mpsc::unbounded_channel::<JobId>();
    let mut tasks: JoinSet<&'static str> = JoinSet::new();
    let pools_of = Api::<Job>::namespaced(client.clone(), &config.workers.namespace);
    let pods_of = Api::<Pod>::namespaced(client.clone(), &config.workers.namespace);
    let of_pool = watcher::Config::default().labels("app.kubernetes.io/managed-by=blockgrid-operator");
    let strip_job = |job: &mut Job| {
        job.metadata.managed_fields = None;
        if let Some(spec) = &mut job.spec {
            spec.template.spec = None;
        }
    };
    let how = (strip_job, |_: &Job| ());
    let pools = watched(&mut tasks, "the watch of pools", pools_of, of_pool.clone(), wake.clone(), how);
    let strip_pod = |pod: &mut Pod| {
        pod.metadata.managed_fields = None;
        pod.spec = None;
    };
    let gone = Arc::new(observe::gone::Gone::default());
    let goes = Arc::clone(&gone);
    let how = (strip_pod, move |pod: &Pod| goes.went(pod, clock::now()));
    let pods = watched(&mut tasks, "the watch of pods", pods_of, of_pool, wake.clone(), how);
    let budgets = watched_all(&mut tasks, config.apis(&client, Some(&platform)));
    let lane = Arc::new(warm::Lane::default());
    let rates = {
        let (lane, pods, config) = (Arc::clone(&lane), pods.clone(), Arc::clone(&config));
        move || Rates { warm: lane.micro_usd_per_hour(), planners: observe::planners(&pods, &config) }
    };
    let teller = Teller::new(client.clone(), &identity);
    let (treasury, clerk) = treasury::open(treasury::Means {
        client: client.clone(),
        store: store.clone(),
        config: Arc::clone(&config),
        platform: platform.clone(),
        watched: budgets,
        wake: wake.clone(),
        meters: Arc::clone(&meters),
        teller: teller.clone(),
        reign: reign.clone(),
        name: format!("{identity}-{}", Timestamp::now().as_millisecond()),
        rates: Box::new(rates),
    });
    let context = Arc::new(Context {
        client: client.clone(),
        plans: Plans::new(store.clone(), s3, Arc::clone(&config), wake.clone(), reign.clone(), telemetry),
        treasury,
        pools,
        pods,
        gone,
        lane: Arc::clone(&lane),
        teller,
        meters: Arc::clone(&meters),
        ordered: std::sync::Mutex::default(),
        silence: std::sync::Mutex::default(),
        notes: std::sync::Mutex::default(),
        config: Arc::clone(&config),
        store,
        public,
        queue: queue.clone(),
        reign,
    });
    // Jobs may stand still for it since somebody else led.
    context.queue_was_asked(clock::now(), queue.is_held().await.err().as_ref());
    let keeping =
        keep(client.clone(), queue.clone(), Arc::clone(&config), lane, context.treasury.clone(), meters);
    tasks.spawn(async move {
        keeping.await;
        "the keeper of the interactive lane"
    });
    let ends = ends(queue, Arc::clone(&context), wake);
    tasks.spawn(async move {
        ends.await;
        "the watch of ends"
    });
    let sweeping = Arc::clone(&context);
    tasks.spawn(async move {
        sweep(&sweeping).await;
        "the search for workers of jobs that are gone"
    });
    let keeping = Arc::clone(&context);
    tasks.spawn(async move {
        tokio::time::sleep(KEPT_FIRST).await;
        loop {
            keeping.plans.keep_cached(keeping.live(), clock::now()).await;
            tokio::time::sleep(KEPT_EACH).await;
        }
    });
    let counting = Arc::clone(&context);
    tasks.spawn(async move {
        loop {
            counting.count();
            tokio::time::sleep(Duration::from_secs(2)).await;
        }
    });
    let _ = context.pools.wait_until_ready().await;
    let _ = context.pods.wait_until_ready().await;
    let mut stopping = stop.clone();
    let reconciles = async {
        let begins = tokio::select! {
            () = context.treasury.begun() => true,
            _ = stopping.wait_for(|&stop| stop) => false,
        };
        if begins {
            reconciles(&context, woken, stop.clone()).await;
        }
    };
    tokio::pin!(reconciles);
    let clerk = clerk.run();
    tokio::pin!(clerk);
    let (mut told, mut is_stopping) = (stop.clone(), false);
    loop {
        tokio::select! {
            () = &mut reconciles => {
                is_stopping |= *told.borrow();
                return if is_stopping { Ok(()) } else { Err(LeadError::Ended("the reconciles")) };
            }
            ended = &mut clerk => {
                ended?;
                return Err(LeadError::Ended("the treasury"));
            }
            ended = tasks.join_next() => {
                let name = ended.and_then(Result::ok).unwrap_or("a task");
                return Err(LeadError::Ended(name));
            }
            _ = told.changed(), if !is_stopping => is_stopping = true,
        }
    }
}

/// The reconciles, until `stop` says so.
async fn reconciles(
    context: &Arc<Context>,
    woken: mpsc::UnboundedReceiver<JobId>,
    stop: watch::Receiver<bool>,
) {
    // Each controller hears of every job that is woken; one that has it not in its watch passes over it.
    let (mut senders, mut runs) = (Vec::new(), Vec::new());
    for api in context.config.apis(&context.client, None) {
        let (sender, receiver) = mpsc::unbounded_channel::<ObjectRef<BacktestJob>>();
        senders.push(sender);
        let mut stop = stop.clone();
        let stopped = async move {
            let _ = stop.wait_for(|&stop| stop).await;
        };
        let triggers = stream::unfold(receiver, |mut receiver| async move {
            receiver.recv().await.map(|object| (object, receiver))
        });
        let (reader, writer) = reflector::store();
        let jobs = watching(api, watcher::Config::default().page_size(JOBS_A_PAGE))
            .default_backoff()
            .modify(BacktestJob::lighten)
            .reflect(writer)
            .applied_objects();
        let run = Controller::for_stream(jobs, reader)
            .with_config(Pace::default().concurrency(AT_ONCE))
            .reconcile_on(triggers)
            .graceful_shutdown_on(stopped)
            .run(reconcile, failed, Arc::clone(context))
            .for_each(|result| async {
                if let Err(error) = result {
                    tracing::debug!(%error, "reconcile");
                }
            });
        runs.push(run);
    }
    let mut woken = woken;
    let passing = async {
        while let Some(id) = woken.recv().await {
            let Some(object) = context.object(&id) else { continue };
            for sender in &senders {
                let _ = sender.send(object.clone());
            }
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        _ = futures::future::join_all(runs) => {}
        () = passing => {}
    }
}

/// Watches, and lists anew also where a watch is refused because what it goes on from is forgotten: the watcher of kube does
/// so where it is told that within a watch, and asks for the same for ever where it is told by the code of the answer.
fn watching<K>(
    api: Api<K>,
    config: watcher::Config,
) -> impl Stream<Item = watcher::Result<watcher::Event<K>>> + Send
where
    K: Resource + Clone + std::fmt::Debug + DeserializeOwned + Send + 'static,
{
    let anew = move || watcher(api.clone(), config.clone()).boxed();
    stream::unfold((anew(), anew), |(mut events, anew)| async move {
        let event = events.next().await?;
        if let Err(watcher::Error::WatchStartFailed(kube::Error::Api(status))) = &event
            && status.code == 410
        {
            events = anew();
        }
        Some((event, (events, anew)))
    })
}

/// Watches objects of jobs, and wakes a job when something of it changes.
fn watched<K>(
    tasks: &mut JoinSet<&'static str>,
    name: &'static str,
    api: Api<K>,
    config: watcher::Config,
    wake: mpsc::UnboundedSender<JobId>,
    (strip, went): (impl Fn(&mut K) + Send + Sync + 'static, impl Fn(&K) + Send + Sync + 'static),
) -> reflector::Store<K>
where
    K: Resource<DynamicType = ()> + Clone + std::fmt::Debug + DeserializeOwned + Send + Sync + 'static,
{
    let (reader, writer) = reflector::store();
    let sees = move |event: &watcher::Result<watcher::Event<K>>| {
        if let Ok(watcher::Event::Delete(object)) = event {
            went(object);
        }
    };
    let events = watching(api, config).default_backoff().modify(strip).inspect(sees).reflect(writer);
    let events = events.touched_objects();
    tasks.spawn(async move {
        let mut events = Box::pin(events);
        while let Some(event) = events.next().await {
            match event {
                Ok(object) => {
                    let id = object.labels().get(UID_LABEL).and_then(|uid| uid.parse().ok());
                    if let Some(id) = id {
                        let _ = wake.send(id);
                    }
                }
                Err(error) => tracing::warn!(%error, "{name} failed and begins anew"),
            }
        }
        name
    });
    reader
}

/// Watches budgets of several namespaces into one store.
fn watched_all(
    tasks: &mut JoinSet<&'static str>,
    apis: Vec<Api<BacktestBudget>>,
) -> Vec<reflector::Store<BacktestBudget>> {
    let mut stores = Vec::new();
    for api in apis {
        let (reader, writer) = reflector::store();
        let events =
            watching(api, watcher::Config::default()).default_backoff().reflect(writer).applied_objects();
        tasks.spawn(async move {
            let mut events = Box::pin(events);
            while let Some(event) = events.next().await {
                if let Err(error) = event {
                    tracing::warn!(%error, "the watch of budgets failed and begins anew");
                }
            }
            "the watch of budgets"
        });
        stores.push(reader);
    }
    stores
}

/// Wakes jobs as they end, as the queue tells it. What is missed is found by the next look.
async fn ends(queue: RedisQueue, context: Arc<Context>, wake: mpsc::UnboundedSender<JobId>) {
    let mut after: Option<String> = None;
    loop {
        match queue.done_since(after.as_deref(), Duration::from_secs(10)).await {
            Ok((next, ended)) => {
                context.queue_was_asked(clock::now(), None);
                after = Some(next);
                for id in ended {
                    context.is_announced(&id);
                    let _ = wake.send(id);
                }
            }
            Err(error) => {
                tracing::warn!(%error, "the queue cannot be asked for the ends of jobs");
                // Short questions: what cuts long ones off keeps nobody from working, nor does one that comes and goes.
                loop {
                    let answer = queue.is_held().await;
                    context.queue_was_asked(clock::now(), answer.as_ref().err());
                    tokio::time::sleep(Duration::from_secs(1)).await;
                    if answer.is_ok() {
                        break;
                    }
                }
            }
        }
    }
}
