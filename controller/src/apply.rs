//! What was decided, done: writes only. Each act tells the world what came of it, so that the same question can be asked
//! again at once.

use blockgrid_grid::store::{keys, sha256};
use blockgrid_grid::{JobId, Plan, Queue, QueueError, StoreError};
use blockgrid_job::status::{LaneKind, Phase};
use blockgrid_planner::prepare::lane;
use blockgrid_planner::{CommitError, enqueue};
use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{DeleteParams, Patch, PostParams, Preconditions, PropagationPolicy};
use kube::{Api, ResourceExt};
use serde_json::{Value, json};

use crate::context::Context;
use crate::links::sign;
use crate::observe::{self, ObserveError, planners};
use crate::plan::Act;
use crate::plan::say::{QUEUE_UNAVAILABLE, STORE_UNAVAILABLE, ending, written};
use crate::planning::Wanted;
use crate::pool;
use crate::resources::{
    BacktestJob, FINALIZER, MANAGER, TEXT_ANNOTATION, is_gone, is_of, is_there, patching,
};
use crate::terms;
use crate::treasury::books::Share;
use crate::treasury::{TreasuryError, Whose};
use crate::unfinished;
use crate::world::{PlannerPod, Planning, Pool, Purpose, Trouble, World};

/// Why an act could not be done. It is tried again.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// The API server.
    #[error("the API server: {0}")]
    Api(#[source] Box<kube::Error>),
    /// The object store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The queue.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// Queueing.
    #[error("failed to queue it: {0}")]
    Enqueue(#[from] CommitError),
    /// The budgets.
    #[error(transparent)]
    Treasury(#[from] TreasuryError),
    /// Looking at it once more.
    #[error(transparent)]
    Observe(#[from] ObserveError),
    /// A pool of this name is somebody else's.
    #[error("Job {0} exists and is not this job's: remove it")]
    Foreign(String),
    /// Another replica may be at it.
    #[error("this replica leads no more")]
    Deposed,
    /// JSON, which cannot be.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
}

impl From<kube::Error> for ApplyError {
    fn from(error: kube::Error) -> Self {
        Self::Api(Box::new(error))
    }
}

impl ApplyError {
    /// What does not answer, as a reason for people to see, where the error is that of something else than the API server.
    pub fn unavailable(&self) -> Option<&'static str> {
        match self {
            Self::Store(_) | Self::Enqueue(CommitError::Store(_)) | Self::Observe(ObserveError::Store(_)) => {
                Some(STORE_UNAVAILABLE)
            }
            Self::Queue(_) | Self::Enqueue(CommitError::Queue(_)) => Some(QUEUE_UNAVAILABLE),
            Self::Foreign(_) => Some("PoolNotOurs"),
            _ => None,
        }
    }

    /// For metrics.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Api(_) => "api",
            Self::Store(_) => "store",
            Self::Queue(_) => "queue",
            Self::Enqueue(_) => "enqueue",
            Self::Treasury(_) => "treasury",
            Self::Observe(_) => "observe",
            Self::Foreign(_) => "foreign",
            Self::Deposed => "deposed",
            Self::Json(_) => "json",
        }
    }
}

/// A job that is worked on.
pub struct Target<'a> {
    /// The object.
    pub job: &'a BacktestJob,
    /// Its uid.
    pub id: &'a JobId,
    /// What all reconciles share.
    pub context: &'a Context,
}

impl Target<'_> {
    /// Whether this replica still leads.
    ///
    /// # Errors
    /// [`ApplyError::Deposed`].
    pub fn leads(&self) -> Result<(), ApplyError> {
        if self.context.reign.lasts() { Ok(()) } else { Err(ApplyError::Deposed) }
    }

    fn jobs(&self) -> Api<BacktestJob> {
        Api::namespaced(self.context.client.clone(), &self.namespace())
    }

    fn pools(&self) -> Api<Job> {
        Api::namespaced(self.context.client.clone(), &self.context.config.workers.namespace)
    }

    /// Its namespace.
    pub fn namespace(&self) -> String {
        self.job.namespace().unwrap_or_default()
    }

    fn whose(&self, world: &World, micro_usd: u64) -> Whose {
        let share = Share {
            namespace: self.namespace(),
            user: world.user.clone(),
            micro_usd,
            purpose: Purpose::Begin,
        };
        Whose { id: self.id.clone(), name: self.job.name_any(), share }
    }

    /// A patch that touches this very object, and no later one of its name.
    pub fn patch(&self, mut body: Value) -> Patch<Value> {
        body["metadata"]["uid"] = json!(self.id);
        Patch::Merge(body)
    }

    /// Does one thing, and tells the world.
    ///
    /// # Errors
    /// [`ApplyError`].
    pub async fn apply(&self, act: &Act, world: &mut World) -> Result<(), ApplyError> {
        self.leads()?;
        match act {
            Act::AddFinalizer => {
                self.finalizers(|known| {
                    if !known.iter().any(|name| name == FINALIZER) {
                        known.push(FINALIZER.to_owned());
                    }
                })
                .await?;
                world.has_finalizer = true;
            }
            Act::DropFinalizer => {
                self.finalizers(|known| known.retain(|name| name != FINALIZER)).await?;
                self.context.forget(self.id);
                world.has_finalizer = false;
            }
            Act::Plan => {
                let wanted = Wanted {
                    id: self.id.clone(),
                    tenant: self.namespace().parse().map_err(ObserveError::from)?,
                    owner: world.user.clone(),
                    manifest: self.job.manifest(),
                    text: self.job.annotation(TEXT_ANNOTATION).map(str::to_owned),
                };
                self.context.plans.start(wanted);
                world.planning = Planning::Working;
            }
            Act::CreatePlanner => self.create_planner(world).await?,
            Act::DeletePlanner => {
                self.delete(&pool::planner_name(self.id.as_str()), PropagationPolicy::Background).await?;
                if let Some(planner) = &mut world.planner {
                    planner.is_deleted = true;
                }
            }
            Act::Reserve { purpose, micro_usd, wish } => {
                let asked = world.asked.as_ref().ok();
                let offered = asked.map(|asked| terms::of(&world.rates, asked.deadline_seconds));
                let terms = world.status.terms.or(offered);
                let mut whose = self.whose(world, *micro_usd);
                whose.share.purpose = *purpose;
                match self.context.treasury.reserve(whose, *wish, terms).await? {
                    Ok(holds) => {
                        world.status.reserved_micro_usd = Some(holds);
                        world.status.terms = terms;
                        (world.held, world.is_granted) = (None, true);
                    }
                    Err(held) => world.held = Some(held),
                }
            }
            Act::Enqueue { in_lane } => {
                self.enqueue(*in_lane, world.status.lane == Some(LaneKind::Interactive)).await?;
                world.status.start_time.get_or_insert_with(|| written(world.now));
            }
            Act::CreatePool { workers } => self.create_pool(*workers, world).await?,
            Act::ScalePool { workers } => {
                let is_kueues = self.class().is_some_and(|class| class.kueue_queue.is_some());
                // Its deadline may have been raised.
                let asked =
                    world.asked.as_ref().map_or(0, |asked| pool::active_seconds(asked.deadline_seconds));
                let ends = world.pool.as_ref().and_then(|pool| pool.active_seconds).max(Some(asked));
                self.patch_pool(pool::resized(*workers, ends, !is_kueues)).await?;
                if let Some(pool) = &mut world.pool {
                    pool.wanted = *workers;
                    pool.active_seconds = ends;
                    pool.is_suspended &= is_kueues;
                    pool.since = pool.since.or(Some(world.now)).filter(|_| !is_kueues);
                }
            }
            Act::SuspendPool => {
                self.patch_pool(json!({ "suspend": true })).await?;
                if let Some(pool) = &mut world.pool {
                    pool.is_suspended = true;
                }
            }
            Act::DeletePool => {
                // In the foreground: it is there until its pods are gone, and what they cost is known.
                self.delete(&pool::name(self.id.as_str()), PropagationPolicy::Foreground).await?;
                if let Some(pool) = &mut world.pool {
                    pool.is_deleted = true;
                }
                // Whoever submits it anew may do so before its workers are gone and it is settled.
                if world.status.phase.is_terminal() {
                    self.offer_to_later(world).await;
                }
            }
            Act::Release { pods } => {
                for pod in pods {
                    self.release(pod, world.now).await;
                }
                if let Some(pool) = &mut world.pool {
                    pool.stuck.clear();
                }
            }
            Act::Cancel { phase, reason, message } => {
                self.cancel(*phase, reason, message).await?;
                world.end = observe::end(self.context, self.id, &world.rates).await?;
                // One that is deleted is settled with this look.
                if world.is_deleted && world.pool.is_none() {
                    (world.used_micro_usd, world.used_requests_micro_usd) =
                        observe::used(self.context, self.id, &world.rates).await?;
                }
            }
            Act::Settle { micro_usd, requests_micro_usd } => {
                // The watch may not know yet of a pool that was made a moment ago: it would be nobody's.
                if world.status.lane != Some(LaneKind::Interactive)
                    && let Some(job) = self.pools().get_opt(&pool::name(self.id.as_str())).await?
                    && is_of(&job, self.id)
                {
                    world.pool = Some(observe::of_job(&job, world.now));
                    return Ok(());
                }
                self.offer_to_later(world).await;
                let ended = world.status.completion_time.as_deref().and_then(|text| text.parse().ok());
                let is_in_lane = world.status.lane == Some(LaneKind::Interactive);
                let lane_micro_usd = if is_in_lane { micro_usd - requests_micro_usd } else { 0 };
                // Of one that is asked again the same.
                let deleted = self.job.metadata.deletion_timestamp.as_ref().map(|time| time.0);
                let at = ended.or(deleted).unwrap_or(world.now);
                let counted =
                    self.context.treasury.settle(self.whose(world, *micro_usd), lane_micro_usd, at).await?;
                world.status.reserved_micro_usd = None;
                world.status.spent_micro_usd = Some(counted);
                self.context.settled(self.id, counted);
            }
            Act::Sign { request } => {
                world.status.links = Some(sign(self, request, world.now).await?);
            }
            Act::Delete => {
                let how = DeleteParams {
                    preconditions: Some(Preconditions { uid: self.job.uid(), resource_version: None }),
                    ..DeleteParams::default()
                };
                let (jobs, name) = (self.jobs(), self.job.name_any());
                if let Err(error) = jobs.delete(&name, &how).await
                    && (!is_gone(&error) || is_there(&jobs, &name, self.id).await?)
                {
                    return Err(error.into());
                }
                world.is_deleted = true;
            }
        }
        Ok(())
    }

    /// Offers what a job has computed that has no results to later ones; without it they compute it again.
    async fn offer_to_later(&self, world: &World) {
        if world.status.start_time.is_none() || world.status.phase.has_results() {
            return;
        }
        if let Err(error) = unfinished::offer(&self.context.store, self.id).await {
            tracing::warn!(job = %self.id, %error, "what it has computed is not offered to later jobs");
        }
    }

    async fn finalizers(&self, change: impl Fn(&mut Vec<String>)) -> Result<(), ApplyError> {
        let name = self.job.name_any();
        // As it was seen, which mostly is how it is.
        let mut known = self.job.metadata.clone();
        for _ in 0..5 {
            let mut finalizers = known.finalizers.unwrap_or_default();
            change(&mut finalizers);
            let body = json!({ "metadata": { "finalizers": finalizers, "resourceVersion": known.resource_version } });
            match self.jobs().patch(&name, &patching(), &self.patch(body)).await {
                Ok(_) => return Ok(()),
                // It is gone, or somebody changed it meanwhile: look again.
                Err(error) if is_gone(&error) => {}
                Err(error) => return Err(error.into()),
            }
            let Some(now) = self.jobs().get_opt(&name).await? else { return Ok(()) };
            if now.metadata.uid != self.job.metadata.uid {
                return Ok(());
            }
            known = now.metadata;
        }
        Err(ApplyError::Foreign(format!("{name}: its finalizers change all the time")))
    }

    async fn enqueue(&self, in_lane: bool, was_in_lane: bool) -> Result<(), ApplyError> {
        let context = self.context;
        let bytes = context.store.get(&keys::plan(self.id)).await?;
        context.store.put(&keys::admission(self.id), sha256(&bytes).into()).await?;
        let plan: Plan = serde_json::from_slice(&bytes)?;
        let leaves = was_in_lane && !in_lane;
        if leaves && context.store.head(&keys::moved(self.id)).await.is_ok() {
            // Who moved it out of the lane has queued what is left of it.
            return Ok(());
        }
        let its_lane = lane(&plan, u64::MAX);
        let lane = its_lane.as_ref().filter(|_| in_lane);
        enqueue(&context.store, &context.queue, self.id, &plan, lane).await?;
        if let Some(left) = its_lane.filter(|_| leaves) {
            // As a worker of the lane moves it: those that are left there compute no more of it, nor does who comes back
            // to that version.
            let _ = context.store.create(&keys::moved(self.id), plan.owner.into()).await?;
            context.store.delete(&keys::lane_job(left.as_str(), self.id)).await?;
        }
        Ok(())
    }

    fn class(&self) -> Option<&crate::config::Class> {
        let name = self.class_name();
        self.context.config.classes.get(&name)
    }

    fn class_name(&self) -> String {
        blockgrid_job::manifest::cluster(&self.job.manifest()).unwrap_or_default().class
    }

    async fn create_pool(&self, workers: u32, world: &mut World) -> Result<(), ApplyError> {
        let Some(class) = self.class() else { return Ok(()) };
        let context = self.context;
        let whose = self.whose(world, 0);
        let class_name = self.class_name();
        let owner = self.owner(&whose, &class_name, world);
        let job = pool::job(&owner, class, &self.context.config, workers)?;
        if let Some(refused) = self.create(&pool::name(self.id.as_str()), &job).await? {
            world.pool_refused = Some(refused);
            world.pool_refused_since = Some(context.pool_refused(self.id, world.now));
            return Ok(());
        }
        world.pool_refused = None;
        context.pool_made(self.id, world.done.unwrap_or(0));
        world.pool = Some(Pool {
            wanted: workers,
            is_suspended: class.kueue_queue.is_some(),
            is_kueues: class.kueue_queue.is_some(),
            since: class.kueue_queue.is_none().then_some(world.now),
            active_seconds: job.spec.and_then(|spec| spec.active_deadline_seconds),
            ..Pool::default()
        });
        Ok(())
    }

    async fn create_planner(&self, world: &mut World) -> Result<(), ApplyError> {
        let Some(class) = self.class() else { return Ok(()) };
        let whose = self.whose(world, 0);
        let class_name = self.class_name();
        let mut owner = self.owner(&whose, &class_name, world);
        // Whoever said first that it plans has made no pod.
        owner.image = &world.image;
        let job = pool::planner(&owner, class, &self.context.config)?;
        // Of many that are looked at at once as many go on as there are places for.
        if !planners::take_place(self.context, self.id, &whose.share.namespace, world.now) {
            world.planners_are_busy = true;
            return Ok(());
        }
        let made = self.create(&pool::planner_name(self.id.as_str()), &job).await;
        if !matches!(made, Ok(None)) {
            self.context.ordered().remove(self.id);
        }
        if let Some(refused) = made? {
            world.pool_refused = Some(refused);
            world.pool_refused_since = Some(self.context.pool_refused(self.id, world.now));
            return Ok(());
        }
        self.context.pool_made(self.id, world.done.unwrap_or(0));
        world.planner = Some(PlannerPod { since: Some(world.now), ..PlannerPod::default() });
        Ok(())
    }

    fn owner<'a>(&'a self, whose: &'a Whose, class: &'a str, world: &'a World) -> pool::Owner<'a> {
        pool::Owner {
            uid: self.id.as_str(),
            name: &whose.name,
            namespace: &whose.share.namespace,
            user: &whose.share.user,
            class,
            image: world.status.image.as_deref().unwrap_or(&world.image),
            deadline_seconds: world.asked.as_ref().map_or(86_400, |asked| asked.deadline_seconds),
        }
    }

    /// Creates a Job of this BacktestJob. What somebody has to change before it can be is told, not failed.
    async fn create(&self, name: &str, job: &Job) -> Result<Option<Trouble>, ApplyError> {
        let parameters = PostParams { field_manager: Some(MANAGER.to_owned()), ..PostParams::default() };
        match self.pools().create(&parameters, job).await {
            Ok(_) => Ok(None),
            // Harmless only if it is this job's.
            Err(kube::Error::Api(error)) if error.code == 409 => {
                let there = self.pools().get(name).await?;
                if is_of(&there, self.id) {
                    return Ok(None);
                }
                Err(ApplyError::Foreign(name.to_owned()))
            }
            Err(kube::Error::Api(error)) if matches!(error.code, 400 | 403 | 404 | 422) => {
                let reason = if error.code == 403 { "PoolForbidden" } else { "PoolRefused" };
                Ok(Some(Trouble { reason: reason.to_owned(), message: error.message.clone() }))
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn delete(&self, name: &str, how: PropagationPolicy) -> Result<(), ApplyError> {
        let how = DeleteParams { propagation_policy: Some(how), ..DeleteParams::default() };
        match self.pools().delete(name, &how).await {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(error)) if error.code == 404 => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Lets go of a pod that nobody answers for, as Kubernetes does where its node is deleted: the Job makes another only when
    /// it has failed, and is gone only when its pods are. A worker that lives on all the same does no harm.
    async fn release(&self, name: &str, now: Timestamp) {
        let pods: Api<Pod> =
            Api::namespaced(self.context.client.clone(), &self.context.config.workers.namespace);
        let condition = json!({
            "type": "DisruptionTarget", "status": "True", "reason": "NodeDoesNotAnswer",
            "message": "it should have ended, and its node does not say that it has",
            "lastTransitionTime": written(now),
        });
        let failed = json!({ "status": { "phase": "Failed", "conditions": [condition] } });
        let at_once = DeleteParams { grace_period_seconds: Some(0), ..DeleteParams::default() };
        let released = async {
            pods.patch_status(name, &patching(), &Patch::Strategic(failed)).await?;
            pods.delete(name, &at_once).await
        };
        match released.await {
            Ok(_) => tracing::warn!(job = %self.id, pod = name, "its node does not answer: it is let go"),
            Err(kube::Error::Api(error)) if error.code == 404 => {}
            Err(error) => tracing::warn!(job = %self.id, pod = name, %error, "it cannot be let go"),
        }
    }

    async fn patch_pool(&self, spec: Value) -> Result<(), ApplyError> {
        let body = json!({ "spec": spec });
        self.pools().patch(&pool::name(self.id.as_str()), &patching(), &Patch::Merge(body)).await?;
        Ok(())
    }

    async fn cancel(&self, phase: Phase, reason: &str, message: &str) -> Result<(), ApplyError> {
        let context = self.context;
        // Whoever was first has ended it.
        let _ = blockgrid_grid::cancel(&context.store, self.id, &ending(phase, reason, message)).await?;
        // Whoever finishes a job takes it from the list of pools; of this one nobody will.
        context.store.delete(&keys::lane_job(keys::POOL, self.id)).await?;
        // The store has said it; workers ask there when the queue does not tell.
        for result in [context.queue.forget(self.id).await, context.queue.announce(self.id).await] {
            if let Err(error) = result {
                tracing::warn!(job = %self.id, %error, "the queue was not told of the job's end");
            }
        }
        Ok(())
    }
}
