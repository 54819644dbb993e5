//! From a job and its candles to a committed plan: what whoever takes in a job does alike, on a laptop or in a cluster.

use blockgrid_engine::sweep::Kernel;
use blockgrid_grid::plan::Quoted;
use blockgrid_grid::{JobId, Lane, Plan, Store, Tenant};
use blockgrid_job::plan::{CostModel, Limits, Traces};
use blockgrid_job::quote::{Around, Estimate, Price};
use blockgrid_job::{Job, OutputSpec};

use crate::candles::JobCandles;
use crate::plan::{Order, plan, without, work};
use crate::{CommitError, cache, commit};

/// vCPU-microseconds up to which a job goes through the lane of small jobs: half a minute of one processor.
pub const INTERACTIVE_MICROS: u64 = 30_000_000;

/// Seconds of a shard in the lane of small jobs: so long an owner waits for another's at most.
const LANE_SHARD_SECONDS: f64 = 1.0;

/// Whose a job is, and how it is taken in.
#[derive(Debug, Clone)]
pub struct Request {
    /// Whose.
    pub tenant: Tenant,
    /// Who asked.
    pub owner: String,
    /// The manifest as its author wrote it.
    pub text: String,
    /// Cut into shards of so many seconds, with workers of the job's own; as it fits without.
    pub shard_seconds: Option<f64>,
    /// Whether trials that an earlier job of the tenant has are taken from there.
    pub reuse: bool,
    /// vCPU-microseconds up to which the job goes through the lane of small jobs.
    pub interactive_micros: u64,
    /// What its class costs.
    pub price: Price,
    /// Now, in seconds since 1970: what is taken from earlier jobs must live until this one has ended.
    pub now: i64,
}

/// A job with a committed plan. Nothing is queued yet.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// Its plan.
    pub plan: Plan,
    /// The lane that it goes through; without one it has workers of its own.
    pub lane: Option<Lane>,
}

/// Plans a job on its candles and commits the plan. Whoever does so second gets the first one's plan.
///
/// # Errors
/// [`CommitError`].
pub async fn prepare(
    store: &Store,
    id: &JobId,
    job: &Job,
    data: &JobCandles,
    request: Request,
) -> Result<Prepared, CommitError> {
    let kernel = Kernel::default().id();
    let families = cache::families(job, data, kernel);
    let cached = if request.reuse {
        cache::find(store, &request.tenant, job, data, (&families, request.now)).await?
    } else {
        Vec::new()
    };
    let work = without(&work(job, data), &cached);
    let order = |limits| Order {
        tenant: request.tenant.clone(),
        owner: request.owner.clone(),
        text: request.text.clone(),
        kernel: kernel.to_owned(),
        calibration: CostModel::default(),
        limits,
        families: families.clone(),
    };
    let of_lane =
        Limits { target_seconds: LANE_SHARD_SECONDS, most_seconds: LANE_SHARD_SECONDS, ..Limits::default() };
    let of_pool = request.shard_seconds.map_or_else(Limits::default, |seconds| Limits {
        target_seconds: seconds,
        most_seconds: seconds,
        small_job_seconds: seconds,
        ..Limits::default()
    });
    let most = if request.shard_seconds.is_none() { request.interactive_micros } else { 0 };
    let mut limits = of_lane;
    let mut planned = plan(job, data, order(limits), &work, cached.clone());
    if request.shard_seconds.is_some() || lane(&planned, most).is_none() {
        limits = of_pool;
        planned = plan(job, data, order(limits), &work, cached);
    }
    let micros = estimate(&planned, &best(&planned, &job.spec().output)).mid;
    planned.quoted = Some(Quoted { micros, price: request.price });
    let plan = commit(store, id, planned, data, &work, &limits).await?;
    let lane = if request.shard_seconds.is_some() { None } else { lane(&plan, most) };
    Ok(Prepared { plan, lane })
}

/// The lane of small jobs, for a plan that costs at most `most_micros`.
pub fn lane(plan: &Plan, most_micros: u64) -> Option<Lane> {
    (plan.cost_micros <= most_micros).then(|| Lane::interactive(&plan.engine))
}

/// What a plan takes, the finish step with its [`traces`] included, in vCPU-microseconds: the quote of a job whose candles
/// are not at hand.
pub fn estimate(plan: &Plan, traces: &Traces) -> Estimate<u64> {
    let finish = Around::default().finish_micros(plan.trials().into(), traces);
    let mid = plan.cost_micros as f64 + finish;
    let micros = |factor: f64| (mid * factor).ceil() as u64;
    Estimate { low: micros(plan.calibration.low), mid: micros(1.0), high: micros(plan.calibration.high) }
}

/// Bytes that a worker needs for a plan beside columns and candles: its trials, as they are laid out and as finishing ranks
/// them. Measured on sweeps of 0.1, 0.3 and 1 million trials, by workers of two slots: 209 to 277, 286 to 389 and 851 to 880 MB.
pub fn memory(plan: &Plan) -> u64 {
    const AT_ALL: u64 = 48 << 20;
    const A_TRIAL: u64 = 1000;
    AT_ALL.saturating_add(plan.trials().saturating_mul(A_TRIAL))
}

/// What the best trials come to that finishing traces, at most.
pub fn traces(plan: &Plan) -> Traces {
    let output =
        blockgrid_job::manifest::spec(&plan.manifest).map_or_else(OutputSpec::default, |spec| spec.output);
    best(plan, &output)
}

/// The same, of a plan whose output is at hand.
fn best(plan: &Plan, output: &OutputSpec) -> Traces {
    let symbols = plan.inputs.symbols.iter().map(|symbol| (plan.parameter_sets, symbol.bars()));
    Traces::at_most(output.top as u64, symbols)
}
