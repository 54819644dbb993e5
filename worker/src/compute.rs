//! From a planned job to rows: what every unit of work computes, in whichever process.
//!
//! A unit's result is a function of the plan and of the candles that it names; threads, the cut into shards and the order
//! of units change no byte of it.

use std::ops::Range;
use std::sync::Arc;

use blockgrid_engine::Candles;
use blockgrid_engine::graph::Graph;
use blockgrid_engine::metrics::Wanted;
use blockgrid_engine::sim::Outcome;
use blockgrid_engine::strategy::{StrategyError, TrialPlan};
use blockgrid_engine::sweep::{Kernel, SymbolRun, TrialResult};
use blockgrid_grid::Plan;
use blockgrid_job::plan::Slices;
use blockgrid_job::{FieldError, Job};
use blockgrid_results::{Objective, TableError, TrialRow, TrialTable, is_reserved};

/// Why a unit cannot be computed.
#[derive(Debug, thiserror::Error)]
pub enum ComputeError {
    /// The plan was made for something else than this program, or by something else.
    #[error("the plan does not fit this engine: {0}")]
    Plan(String),
    /// A trial that the plan holds does not compile.
    #[error("trial {trial} failed to compile: {}", errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Compile {
        /// Its number in the grid.
        trial: usize,
        /// What is wrong.
        errors: Vec<StrategyError>,
    },
    /// Rows that do not fit together.
    #[error(transparent)]
    Table(#[from] TableError),
}

/// A planned job, ready to compute any unit of it.
#[derive(Debug)]
pub struct Ready {
    job: Job,
    plan: Plan,
    objective: Objective,
    kernel: Kernel,
    wanted: Wanted,
}

impl Ready {
    /// A job that was validated in this process, and its plan.
    ///
    /// # Errors
    /// [`ComputeError::Plan`] for an objective, a metric or a kernel that this version does not know.
    pub fn new(job: Job, plan: Plan) -> Result<Self, ComputeError> {
        let unknown = |what: &str, id: &str| ComputeError::Plan(format!("it names the {what} `{id}`"));
        let kernel = Kernel::of_id(&plan.kernel).ok_or_else(|| unknown("kernel", &plan.kernel))?;
        let objective = Objective::of(&job.spec().sweep.objective)
            .map_err(|error| ComputeError::Plan(error.to_string()))?;
        let metrics = &job.spec().output.metrics;
        let wanted = if metrics.is_empty() {
            Wanted::default()
        } else {
            Wanted::new(metrics.iter().map(String::as_str)).map_err(|id| unknown("metric", id))?
        };
        Ok(Self { job, plan, objective, kernel, wanted })
    }

    /// A plan as it was read from the store.
    ///
    /// # Errors
    /// [`ComputeError::Plan`] for a plan of another engine or format, or whose manifest is none.
    pub fn of_plan(plan: Plan) -> Result<Self, ComputeError> {
        if plan.engine != blockgrid_grid::ENGINE {
            let (theirs, ours) = (&plan.engine, blockgrid_grid::ENGINE);
            return Err(ComputeError::Plan(format!("it is for engine {theirs}, this is {ours}")));
        }
        Self::of_finished(plan)
    }

    /// A plan of a job whose results are there, to tell of them: nothing is computed, so it may be another engine's.
    ///
    /// # Errors
    /// [`ComputeError::Plan`] for a plan of another format, or whose manifest is none.
    pub fn of_finished(plan: Plan) -> Result<Self, ComputeError> {
        let (theirs, ours) = (plan.format, blockgrid_grid::plan::FORMAT);
        if theirs != ours {
            return Err(ComputeError::Plan(format!("it is of format {theirs}, this is {ours}")));
        }
        let list = |errors: Vec<FieldError>| {
            let list: Vec<_> = errors.iter().map(ToString::to_string).collect();
            ComputeError::Plan(list.join("; "))
        };
        let job = blockgrid_job::resolved(&plan.manifest, is_reserved).map_err(list)?;
        let known = job.grid().len() as u64;
        if known != plan.parameter_sets {
            let sets = plan.parameter_sets;
            return Err(ComputeError::Plan(format!(
                "it counts {sets} parameter sets, but the grid has {known}"
            )));
        }
        Self::new(job, plan)
    }

    /// The job.
    pub fn job(&self) -> &Job {
        &self.job
    }

    /// Its plan.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// What trials are ranked by.
    pub fn objective(&self) -> Objective {
        self.objective
    }

    /// How trials are simulated.
    pub fn kernel(&self) -> Kernel {
        self.kernel
    }

    /// A symbol, ready for trials. `candles` are those of the plan, gaps filled.
    pub fn symbol_run(&self, symbol: usize, candles: Arc<Candles>) -> SymbolRun {
        let (spec, input) = (self.job.spec(), &self.plan.inputs.symbols[symbol]);
        let rules = spec.data.symbols.iter().find(|known| known.name == input.name);
        SymbolRun::new(
            candles,
            range(input.run_start, input.run_end),
            self.plan.inputs.frames.iter().copied(),
            spec.strategy.session.as_ref(),
            rules.map(|known| known.rules).unwrap_or_default(),
            spec.execution.clone(),
        )
        .with_kernel(self.kernel)
        .with_metrics(self.wanted)
    }

    /// An empty table of trials of this job.
    pub fn table(&self) -> TrialTable {
        TrialTable::new(self.job.grid().axes().iter().map(|axis| axis.name.as_str()))
    }

    /// Compiles trials into `graph`.
    ///
    /// # Errors
    /// [`ComputeError::Compile`], which validating the job has excluded.
    pub fn compile(
        &self,
        trials: impl Iterator<Item = u64>,
        graph: &mut Graph,
    ) -> Result<Vec<TrialPlan>, ComputeError> {
        let mut compiler = self.job.compiler(self.plan.inputs.interval);
        trials
            .map(|trial| {
                let trial = usize::try_from(trial).unwrap_or(usize::MAX);
                compiler.compile(trial, graph).map_err(|errors| ComputeError::Compile { trial, errors })
            })
            .collect()
    }

    /// Computes trials of a symbol: one row each, in their order.
    ///
    /// # Errors
    /// [`ComputeError`]; none for a plan that was made for this engine.
    pub fn trials(
        &self,
        symbol: usize,
        run: &SymbolRun,
        graph: &mut Graph,
        trials: &Slices,
    ) -> Result<TrialTable, ComputeError> {
        let plans = self.compile(trials.iter(), graph)?;
        self.rows(symbol, trials, run.trials(&plans, graph))
    }

    /// The rows of results of trials.
    ///
    /// # Errors
    /// [`ComputeError::Table`], which cannot be.
    pub fn rows(
        &self,
        symbol: usize,
        trials: &Slices,
        results: Vec<TrialResult>,
    ) -> Result<TrialTable, ComputeError> {
        let mut table = self.table();
        let (name, window): (Arc<str>, Arc<str>) =
            (self.plan.inputs.symbols[symbol].name.as_str().into(), "".into());
        for (trial, result) in trials.iter().zip(results) {
            table.push(TrialRow {
                symbol: Arc::clone(&name),
                window: Arc::clone(&window),
                parameters: self.job.grid().swept(usize::try_from(trial).unwrap_or(usize::MAX)),
                first_bar: result.first_bar,
                metrics: result.metrics.to_array(),
                rejected_orders: result.rejected_orders,
                deficit: result.deficit,
            })?;
        }
        Ok(table)
    }

    /// Everything that one trial did.
    ///
    /// # Errors
    /// As [`Ready::compile`].
    pub fn trace(&self, run: &SymbolRun, graph: &mut Graph, trial: u64) -> Result<Outcome, ComputeError> {
        let plans = self.compile(std::iter::once(trial), graph)?;
        Ok(plans.first().map(|plan| run.outcome(plan, graph)).unwrap_or_default())
    }
}

/// A range of bars.
fn range(start: u64, end: u64) -> Range<usize> {
    let bar = |bar: u64| usize::try_from(bar).unwrap_or(usize::MAX);
    bar(start)..bar(end)
}
