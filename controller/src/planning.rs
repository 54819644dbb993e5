//! Plans are made beside the reconciles, a few at a time: candles are read, shards laid out, the plan committed. What is
//! known of them is remembered for as long as their jobs live.

mod line;
pub mod make;
pub mod outside;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use blockgrid_grid::store::keys;
use blockgrid_grid::telemetry::Telemetry;
use blockgrid_grid::{ENGINE, JobId, Options, Plan, Store, StoreError, Tenant};
use blockgrid_planner::cache;
use blockgrid_planner::candles::open_registered;
use blockgrid_planner::prepare::{estimate, memory, traces};
use jiff::{SignedDuration, Timestamp};
use rustix::process::setpriority_process;
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};

use crate::clock;
use crate::config::Config;
use crate::election::Reign;
use crate::world::{Planned, Planning, Refused};

use line::Line;
use make::{Made, Order, is_large, make};

/// Trials up to which a job goes through the interactive lane, however many of them were computed before: its workers hold
/// them to the end, and all tenants share those.
const TRIALS_IN_LANE: u64 = 100_000;

/// vCPU-microseconds that finishing a job of the lane may take at least.
const FINISH_IN_LANE_MICROS: u64 = 1_000_000;

/// After how long a plan that failed is tried again; each time after twice as long, up to [`LATEST_HERE`].
const AGAIN: SignedDuration = SignedDuration::from_secs(10);

/// The longest pause where it is made here: people wait for candles on their way, and a look at them is cheap.
const LATEST_HERE: SignedDuration = SignedDuration::from_mins(1);

/// The same where a pod makes it.
const LATEST_OUTSIDE: SignedDuration = SignedDuration::from_mins(5);

/// Niceness of the threads that plan.
const NICE: i32 = 10;

/// Whose plan is to be made.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Uid of the job.
    pub id: JobId,
    /// Its namespace.
    pub tenant: Tenant,
    /// Who asked.
    pub owner: String,
    /// The manifest.
    pub manifest: Value,
    /// The manifest as its author wrote it, where that is known.
    pub text: Option<String>,
}

/// What is known of a plan.
#[derive(Debug)]
struct Known {
    planning: Planning,
    /// How often it has failed.
    failed: u32,
}

impl Known {
    fn outside() -> Self {
        Self { planning: Planning::Outside, failed: 0 }
    }

    /// It could not be made, and is tried again.
    fn fails(&mut self, id: &JobId, error: String, latest: SignedDuration) {
        let again = clock::now() + until_again(self.failed, latest);
        tracing::warn!(job = %id, error, %again, "the plan failed and is tried again");
        self.failed += 1;
        self.planning = Planning::Failing { error, again };
    }
}

/// Makes plans.
pub struct Plans {
    store: Store,
    /// How data sets in S3 are reached.
    s3: Options,
    config: Arc<Config>,
    known: Mutex<HashMap<JobId, Known>>,
    line: Mutex<Line<Wanted>>,
    made: mpsc::UnboundedSender<JobId>,
    reign: Reign,
    telemetry: Telemetry,
}

impl Plans {
    /// `made` hears of each plan that is done, or cannot be. None is begun when `reign` is over.
    pub fn new(
        store: Store,
        s3: Options,
        config: Arc<Config>,
        made: mpsc::UnboundedSender<JobId>,
        reign: Reign,
        telemetry: Telemetry,
    ) -> Arc<Self> {
        let line = Mutex::new(Line::new(config.jobs.planned_at_once));
        Arc::new(Self { store, s3, config, known: Mutex::default(), line, made, reign, telemetry })
    }

    fn known(&self) -> std::sync::MutexGuard<'_, HashMap<JobId, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How far a job's plan is. `was_planned` says that it was committed: then it is read again where it is not known.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be read.
    pub async fn state(&self, id: &JobId, was_planned: bool) -> Result<Planning, StoreError> {
        let known = self.known().get(id).map(|known| known.planning.clone());
        match known {
            Some(Planning::Outside) => {
                match outside::answer(&self.store, id).await? {
                    Some(outside::Answer::Refused(refused)) => {
                        self.know(id, Planning::Refused(refused.clone()));
                        return Ok(Planning::Refused(refused));
                    }
                    Some(outside::Answer::Failing { failing }) => {
                        let mut known = self.known();
                        let known = known.entry(id.clone()).or_insert_with(Known::outside);
                        known.fails(id, failing, LATEST_OUTSIDE);
                        return Ok(known.planning.clone());
                    }
                    None => {}
                }
                return Ok(self.committed(id).await?.unwrap_or(Planning::Outside));
            }
            Some(known) => return Ok(known),
            None if !was_planned => return Ok(Planning::Unknown),
            None => {}
        }
        Ok(self.committed(id).await?.unwrap_or_else(|| {
            let message = "its plan is not in the store any more: somebody removed it".to_owned();
            Planning::Refused(Refused { reason: "PlanGone".into(), message })
        }))
    }

    /// What the store has of a plan.
    async fn committed(&self, id: &JobId) -> Result<Option<Planning>, StoreError> {
        let bad = |message: String| Planning::Refused(Refused { reason: "BadPlan".into(), message });
        let state = match self.store.get(&keys::plan(id)).await {
            Ok(bytes) => match serde_json::from_slice::<Plan>(&bytes) {
                Ok(plan) => Planning::Done(self.planned(&plan)),
                Err(error) => bad(format!("plan.json: {error}")),
            },
            Err(StoreError::NotFound { .. }) => return Ok(None),
            Err(error @ StoreError::Corrupt { .. }) => bad(error.to_string()),
            Err(error) => return Err(error),
        };
        self.know(id, state.clone());
        Ok(Some(state))
    }

    /// Has the tables stay that these jobs count on, of those that are planned: they may wait for weeks.
    pub async fn keep_cached(&self, jobs: impl IntoIterator<Item = JobId>, now: Timestamp) {
        for id in jobs {
            let counts = |known: &Known| matches!(&known.planning, Planning::Done(plan) if plan.cached > 0);
            if !self.known().get(&id).is_some_and(counts) {
                continue;
            }
            let kept = async {
                let bytes = self.store.get(&keys::plan(&id)).await?;
                match serde_json::from_slice(&bytes) {
                    Ok(plan) => cache::keep(&self.store, &plan, now.as_second()).await,
                    // Whoever runs it says so.
                    Err(_) => Ok(()),
                }
            };
            if let Err(error) = kept.await {
                tracing::warn!(job = %id, %error, "the tables that it counts on may go before it ends");
            }
        }
    }

    fn know(&self, id: &JobId, state: Planning) {
        self.known().insert(id.clone(), Known { planning: state, failed: 0 });
    }

    fn line(&self) -> std::sync::MutexGuard<'_, Line<Wanted>> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets a job, which is planned no more if it waits for that.
    pub fn forget(&self, id: &JobId) {
        self.line().leave(|wanted| wanted.id == *id);
        self.known().remove(id);
    }

    /// Has a job planned when it is its namespace's turn, unless that is asked for already.
    pub fn start(self: &Arc<Self>, wanted: Wanted) {
        {
            let mut known = self.known();
            let failed = match known.get(&wanted.id) {
                None => 0,
                Some(Known { planning: Planning::Failing { .. }, failed }) => *failed,
                Some(_) => return,
            };
            known.insert(wanted.id.clone(), Known { planning: Planning::Working, failed });
        }
        self.line().join(wanted.tenant.to_string(), wanted);
        self.go_on();
    }

    /// Begins with those whose turn it is, as many as there are places for, while this replica leads: what it was about to
    /// plan is planned by the next one.
    fn go_on(self: &Arc<Self>) {
        while self.reign.lasts() && !self.made.is_closed() {
            let Some(wanted) = self.line().next() else { return };
            self.begin(wanted);
        }
    }

    fn begin(self: &Arc<Self>, wanted: Wanted) {
        let plans = Arc::clone(self);
        tokio::spawn(async move {
            let id = wanted.id.clone();
            let (making, on) = (Arc::clone(&plans), tokio::runtime::Handle::current());
            let is_first = plans.known().get(&id).is_none_or(|known| known.failed == 0);
            let made = aside(move || making.here_or_outside(wanted, is_first, &on)).await;
            // A job that was deleted meanwhile has been forgotten, and stays so.
            if let Some(known) = plans.known().get_mut(&id) {
                match made {
                    Ok(made) => known.planning = made,
                    Err(error) => known.fails(&id, error, LATEST_HERE),
                }
            }
            let _ = plans.made.send(id);
            plans.line().ended();
            plans.go_on();
        });
    }

    /// Makes the plan, or leaves it to a pod of its own: one that takes long, and memory, must not take them from all others.
    /// An error is not the job's fault.
    fn here_or_outside(
        &self,
        wanted: Wanted,
        is_first: bool,
        on: &tokio::runtime::Handle,
    ) -> Result<Planning, String> {
        let id = wanted.id.clone();
        let order = match Order::new(wanted, &self.config) {
            Ok(order) => order,
            Err(refused) => return Ok(Planning::Refused(refused)),
        };
        let small = self.config.jobs.planned_here;
        let dataset = open_registered(&order.location, &self.s3);
        if is_large(&order, &dataset, small) {
            // A pod may have answered to the leader before this one.
            if is_first {
                let answer = on.block_on(outside::answer(&self.store, &id));
                match answer.map_err(|error| error.to_string())? {
                    Some(outside::Answer::Refused(refused)) => return Ok(Planning::Refused(refused)),
                    Some(outside::Answer::Failing { failing }) => return Err(failing),
                    None => {}
                }
            }
            let put = on.block_on(outside::put(&self.store, &id, &order));
            return put.map(|()| Planning::Outside).map_err(|error| error.to_string());
        }
        match on.block_on(make(&self.store, &id, order, dataset, &self.telemetry)) {
            Made::Plan(plan) => Ok(Planning::Done(self.planned(&plan))),
            Made::Refused(refused) => Ok(Planning::Refused(refused)),
            Made::Failing(error) => Err(error),
        }
    }

    fn planned(&self, plan: &Plan) -> Planned {
        let traces = traces(plan);
        let micros = estimate(plan, &traces);
        let lane = &self.config.interactive;
        let is_small = lane.enabled
            && fits_lane(lane.most_micros(), plan.cost_micros, micros.mid - plan.cost_micros, plan.trials());
        Planned {
            shards: plan.shards,
            trials: plan.trials(),
            cached: plan.cached_trials(),
            micros,
            memory: memory(plan),
            trace_units: traces.units,
            price: plan.quoted.as_ref().map(|quoted| quoted.price.clone()),
            // One that costs nothing is not small where there is no lane.
            is_small,
            engine: plan.engine.clone(),
            is_ours: plan.engine == ENGINE,
        }
    }
}

/// Whether a job may go through the lane, by what its shards and its finish take: what was computed before costs nothing, and
/// has to be finished nonetheless.
fn fits_lane(most_micros: u64, shards_micros: u64, finish_micros: u64, trials: u64) -> bool {
    shards_micros <= most_micros
        && finish_micros <= most_micros.max(FINISH_IN_LANE_MICROS)
        && trials <= TRIALS_IN_LANE
}

/// What `make` makes, on a thread that comes after all others: reading candles and laying out shards take a processor for a
/// while, and not one of those that answer, renew the lease or look after other jobs.
async fn aside(make: impl FnOnce() -> Result<Planning, String> + Send + 'static) -> Result<Planning, String> {
    let (sender, made) = oneshot::channel();
    let thread = std::thread::Builder::new().name("plan".to_owned()).spawn(move || {
        // Linux keeps a niceness for each thread, which cannot be taken back: hence a thread for each plan.
        if let Err(error) = setpriority_process(None, NICE) {
            tracing::debug!(%error, "plans are made at the priority of everything else");
        }
        let _ = sender.send(make());
    });
    match thread {
        Err(error) => Err(format!("no thread to make the plan: {error}")),
        Ok(thread) => made.await.unwrap_or_else(|_| {
            let panic = thread.join().err();
            let said = panic.as_ref().and_then(|panic| {
                panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied())
            });
            let message = format!("planning it panicked: {}", said.unwrap_or("without a word"));
            Ok(Planning::Refused(Refused { reason: "PlanningPanicked".into(), message }))
        }),
    }
}

/// How long a plan that has failed so often before rests until it is tried again.
fn until_again(failed: u32, latest: SignedDuration) -> SignedDuration {
    AGAIN.saturating_mul(1 << failed.min(16)).min(latest)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    #[tokio::test]
    async fn a_panic_of_a_plan_is_told_and_plans_come_last() {
        let own = || rustix::process::getpriority_process(None).unwrap();
        let before = own();
        let nice = aside(|| Err(rustix::process::getpriority_process(None).unwrap().to_string())).await;
        assert_eq!(nice, Err(NICE.to_string()));
        assert_eq!(own(), before, "of that thread alone");
        let panicked = aside(|| panic!("no such {}", "shard")).await;
        let Ok(Planning::Refused(refused)) = panicked else { panic!("{panicked:?}") };
        assert_eq!(refused.reason, "PlanningPanicked");
        assert_eq!(refused.message, "planning it panicked: no such shard");
    }

    #[test]
    fn a_plan_that_fails_again_and_again_is_tried_less_often() {
        let seconds = |latest| [0, 1, 4, 5, 100].map(|failed| until_again(failed, latest).as_secs());
        assert_eq!(seconds(LATEST_OUTSIDE), [10, 20, 160, 300, 300]);
        assert_eq!(seconds(LATEST_HERE), [10, 20, 60, 60, 60]);
    }

    /// Otherwise each leader that lost its lease in the middle of many plans would go on with all of them.
    #[tokio::test]
    async fn nothing_more_is_planned_when_nobody_leads() {
        let store = Store::open("memory:", &Options::default()).unwrap();
        let (made, mut heard) = mpsc::unbounded_channel();
        let config = "
workers: {namespace: blockgrid, image: blockgrid:1}
classes: {standard: {cpu: '2', memory: 4Gi, slots: 2, microUsdPerVcpuHour: 36000}}
datasets: {}
";
        let config = Arc::new(Config::of_text(config).unwrap());
        let reign = Reign::until(Instant::now() + Duration::from_secs(3600));
        let plans = |reign: &Reign| {
            let (store, made) = (store.clone(), made.clone());
            Plans::new(
                store,
                Options::default(),
                Arc::clone(&config),
                made,
                reign.clone(),
                Telemetry::default(),
            )
        };
        let (first, second) = (plans(&reign), plans(&reign));
        let wanted = |name: &str| Wanted {
            id: name.parse().unwrap(),
            tenant: "team".parse().unwrap(),
            owner: "ann".to_owned(),
            manifest: Value::Null,
            text: None,
        };
        first.start(wanted("planned"));
        assert_eq!(heard.recv().await.unwrap().as_str(), "planned");
        let waits = |plans: &Plans| plans.line().next().is_some_and(|next| next.id.as_str() == "waits");
        reign.end();
        first.start(wanted("waits"));
        assert!(waits(&first), "another may lead");
        reign.begin(Instant::now() + Duration::from_secs(3600));
        drop(heard);
        second.start(wanted("waits"));
        assert!(waits(&second), "nobody is to hear of it");
    }

    /// A pod that cannot make a plan says why, and is ordered anew: it does not end the job.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_large_plan_that_fails_is_told_and_tried_again_like_a_small_one() {
        let store = Store::open("memory:", &Options::default()).unwrap();
        let (made, mut heard) = mpsc::unbounded_channel();
        let config = "
workers: {namespace: blockgrid, image: blockgrid:1}
classes: {standard: {cpu: '2', memory: 4Gi, slots: 2, microUsdPerVcpuHour: 36000}}
datasets: {hourly: {location: /no/such/folder}}
jobs: {plannedHere: {parameterSets: 1}}
";
        let config = Arc::new(Config::of_text(config).unwrap());
        let reign = Reign::until(Instant::now() + Duration::from_secs(3600));
        let telemetry = Telemetry::default();
        let plans = Plans::new(store.clone(), Options::default(), config, made, reign, telemetry.clone());
        let id: JobId = "large".parse().unwrap();
        let manifest = serde_json::json!({
            "apiVersion": blockgrid_job::spec::API_VERSION,
            "kind": "BacktestJob",
            "metadata": { "name": "large" },
            "spec": {
                "data": { "dataset": "hourly", "symbols": ["A"], "interval": "1h" },
                "strategy": {
                    "parameters": { "len": 14 },
                    "long": { "enter": "rsi(close, len) < 30", "exit": "rsi(close, len) > 60" },
                },
                "sweep": { "parameters": { "len": [7, 14] } },
            },
        });
        for pause in [10, 20] {
            plans.start(Wanted {
                id: id.clone(),
                tenant: "team".parse().unwrap(),
                owner: "ann".to_owned(),
                manifest: manifest.clone(),
                text: None,
            });
            heard.recv().await.unwrap();
            assert_eq!(plans.state(&id, false).await.unwrap(), Planning::Outside);
            outside::work(&store, &Options::default(), &id, &telemetry).await.unwrap();
            let before = clock::now();
            let Planning::Failing { error, again } = plans.state(&id, false).await.unwrap() else {
                panic!("it is tried again")
            };
            assert!(error.starts_with("data set hourly is registered, but cannot be opened"), "{error}");
            assert!(!error.contains("/no/such"), "{error}");
            assert!((again - before).get_seconds().abs_diff(pause) <= 1, "{again} after {before}");
        }
        let known = Planning::Refused(Refused { reason: "InvalidSpec".into(), message: "no".to_owned() });
        plans.know(&id, Planning::Outside);
        let answer = r#"{"reason":"InvalidSpec","message":"no"}"#;
        store.put(&keys::refusal(&id), answer.into()).await.unwrap();
        assert_eq!(plans.state(&id, false).await.unwrap(), known);
    }

    #[test]
    fn what_was_computed_before_is_small_only_if_its_finish_is() {
        const MOST: u64 = 5_000_000;
        assert!(fits_lane(MOST, MOST, 400_000, 2840));
        assert!(!fits_lane(MOST, MOST + 1, 400_000, 2840));
        // Nothing is left to compute of it.
        assert!(fits_lane(MOST, 0, 400_000, 100_000));
        assert!(!fits_lane(MOST, 0, 400_000, 100_001), "they are held until it is written");
        assert!(!fits_lane(MOST, 0, MOST + 1, 2840), "a thousand best trials are traced");
        assert!(
            fits_lane(0, 0, FINISH_IN_LANE_MICROS, 1),
            "one that costs nothing is small whatever is small"
        );
    }
}
