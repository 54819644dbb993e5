//! From a decoded manifest to a job whose every trial has been checked.

use std::collections::{BTreeMap, BTreeSet};

use blockgrid_engine::Interval;
use blockgrid_engine::graph::{Graph, Node, NodeId, Op, Type};
use blockgrid_engine::sim::Semantics;
use blockgrid_engine::strategy::{ParsedStrategy, StrategyError, TrialPlan};
use rayon::prelude::*;

use crate::decode::FieldError;
use crate::grid::{Grid, full_size};
use crate::plan::{CostModel, Slices, SymbolWork};
use crate::profile;
use crate::quote::{duration, grouped};
use crate::spec::JobSpec;

/// The most parameter sets that a machine takes in one job: their rows and the nodes of their graph are some 2 GB.
pub const MAX_TRIALS: u128 = 2_000_000;

/// Bars a quote assumes for a grid that is refused before any candle is read: a year of hours.
const ASSUMED_BARS: u64 = 8_760;

/// Why a grid is refused, with its quote.
pub(crate) fn too_many(size: u128, what: &str) -> String {
    let year = SymbolWork {
        bars: ASSUMED_BARS,
        loaded: ASSUMED_BARS,
        columns: 0,
        columns_a_trial: 0,
        walks: false,
        trials: Slices::default(),
    };
    // Not a `Quote`: there may be more trials than can be numbered.
    let seconds = size as f64 * CostModel::default().of(&year).trial / 1e9;
    format!(
        "has {} {what}, the limit of a job is {}: on a year of hourly candles that were {} bar evaluations a symbol, about {} on one core. Take fewer values, or longer steps",
        grouped(size),
        grouped(MAX_TRIALS),
        grouped(size.saturating_mul(ASSUMED_BARS.into())),
        duration(seconds),
    )
}

/// What the trials of a job need together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Survey {
    /// Columns computed, each once.
    pub columns: usize,
    /// Columns that would be computed if trials shared nothing.
    pub unshared_columns: usize,
    /// Columns of numbers among those computed, each once: the ones whose cost a trial does not hold already. Conditions
    /// are bits, prices are there, and what asks for the position has no column.
    pub numbers: usize,
    /// Columns of numbers that would be computed if trials shared nothing.
    pub unshared_numbers: usize,
    /// Intervals that columns live on.
    pub frames: BTreeSet<Interval>,
    /// Candles wanted before `from`, in milliseconds, so that every node is settled there. Profile vectorbt wants none.
    pub pre_roll_ms: i64,
    /// Whether a trial goes through its positions bar by bar.
    pub walks: bool,
}

/// A validated job: the strategy parsed, the grid laid out, every trial compiled once.
#[derive(Debug, Clone)]
pub struct Job {
    spec: JobSpec,
    strategy: ParsedStrategy,
    grid: Grid,
}

impl Job {
    /// Validates everything that can be known without candles. `reserved` says which names result tables keep.
    ///
    /// # Errors
    /// Every error found, with its field path: expressions, names, the grid, contradictions to a profile.
    pub fn validate(spec: JobSpec, reserved: impl Fn(&str) -> bool) -> Result<Self, Vec<FieldError>> {
        let job = Self::laid_out(spec, reserved)?;
        let errors = job.check_trials();
        if errors.is_empty() { Ok(job) } else { Err(errors) }
    }

    /// Takes a job that was validated before, when it was planned: its trials are not compiled once more to check them.
    ///
    /// # Errors
    /// As [`Job::validate`], but for the errors of single trials, which compiling them tells.
    pub(crate) fn laid_out(spec: JobSpec, reserved: impl Fn(&str) -> bool) -> Result<Self, Vec<FieldError>> {
        let mut errors = profile::contradictions(&spec);
        for name in spec.strategy.parameters.keys().filter(|name| reserved(name)) {
            let message = format!(
                "`{name}` is a column of the results: choose another name, such as `{name}Bars` or `length`"
            );
            errors.push(FieldError::new(format!("spec.strategy.parameters.{name}"), message));
        }
        for (i, name) in spec.data.columns.iter().enumerate().filter(|(_, name)| reserved(name)) {
            let message = format!(
                "`{name}` is a column of the results: give the column of the candles another name, such as `{name}_in`"
            );
            errors.push(FieldError::new(format!("spec.data.columns[{i}]"), message));
        }
        let size = full_size(&spec.sweep.parameters);
        if size > MAX_TRIALS {
            errors.push(FieldError::new("spec.sweep.parameters", too_many(size, "parameter sets")));
        }
        let parsed = ParsedStrategy::new(spec.strategy.clone())
            .and_then(|parsed| parsed.with_columns(spec.data.columns.clone()));
        let parsed = match parsed {
            Ok(parsed) => Some(parsed),
            Err(found) => {
                errors.extend(found.into_iter().map(|error| match error.path.strip_prefix("columns.") {
                    Some(_) => FieldError::new("spec.data.columns", error.message),
                    None => field_error(error),
                }));
                None
            }
        };
        if size > MAX_TRIALS {
            return Err(errors);
        }
        let grid = Grid::new(
            spec.strategy.parameters.clone(),
            spec.sweep.parameters.clone(),
            spec.sweep.filter.as_deref(),
        );
        let grid = match grid {
            Ok(grid) if grid.is_empty() => {
                let filter = spec.sweep.filter.as_deref().unwrap_or_default();
                let message = format!(
                    "`{filter}` leaves none of {} parameter sets, so the grid is empty: loosen it, or sweep other values",
                    grouped(size)
                );
                errors.push(FieldError::new("spec.sweep.where", message));
                None
            }
            Ok(grid) => Some(grid),
            Err(error) => {
                errors.push(FieldError::new("spec.sweep.where", error.to_string()));
                None
            }
        };
        if let (Some(strategy), Some(grid)) = (parsed, grid) {
            if errors.is_empty() {
                return Ok(Self { spec, strategy, grid });
            }
            errors.extend(Self { spec, strategy, grid }.check_trials());
        }
        Err(errors)
    }

    /// The resolved manifest.
    pub fn spec(&self) -> &JobSpec {
        &self.spec
    }

    /// The parsed strategy.
    pub fn strategy(&self) -> &ParsedStrategy {
        &self.strategy
    }

    /// The trials.
    pub fn grid(&self) -> &Grid {
        &self.grid
    }

    /// Whether profile `vectorbt` holds.
    pub fn is_vectorbt(&self) -> bool {
        self.spec.execution.semantics == Semantics::Vectorbt
    }

    /// Compiles trials on candles of `base`, one after the other.
    pub fn compiler(&self, base: Interval) -> TrialCompiler<'_> {
        TrialCompiler { job: self, base, parameters: self.spec.strategy.parameters.clone() }
    }

    /// Compiles a single trial on candles of `base` into `graph`; for many there is [`Job::compiler`].
    ///
    /// # Errors
    /// What [`Job::validate`] and [`Job::check_interval`] have excluded.
    pub fn compile(
        &self,
        trial: usize,
        base: Interval,
        graph: &mut Graph,
    ) -> Result<TrialPlan, Vec<StrategyError>> {
        self.compiler(base).compile(trial, graph)
    }

    /// Checks all trials again once a file has told its interval: `tf` must fit it.
    ///
    /// # Errors
    /// Every expression that does not fit.
    pub fn check_interval(&self, base: Interval) -> Result<(), Vec<FieldError>> {
        let mut graph = Graph::new();
        match self.compile(0, base, &mut graph) {
            Ok(_) => Ok(()),
            Err(errors) => Err(errors.into_iter().map(field_error).collect()),
        }
    }

    /// What all trials need together: columns, history, intervals.
    ///
    /// # Errors
    /// A trial that does not compile on this interval.
    pub fn survey(&self, base: Interval) -> Result<Survey, Vec<FieldError>> {
        let (mut graph, mut compiler) = (Graph::new(), self.compiler(base));
        let (mut unshared_columns, mut unshared_numbers, mut walks) = (0, 0, false);
        // By node: the last trial that needs it, counted from one, and whether a trial needs it by itself.
        let mut needed: Vec<(usize, bool)> = Vec::new();
        let mut open = Vec::new();
        for trial in 0..self.grid.len() {
            let plan = compiler
                .compile(trial, &mut graph)
                .map_err(|e| e.into_iter().map(field_error).collect::<Vec<_>>())?;
            needed.resize(graph.nodes().len(), (0, false));
            walks |= plan.walks(&graph);
            open.extend(plan.roots());
            open.iter().for_each(|root: &NodeId| needed[root.index()].1 = true);
            while let Some(id) = open.pop() {
                if std::mem::replace(&mut needed[id.index()].0, trial + 1) <= trial {
                    unshared_columns += usize::from(!is_constant(graph.node(id)));
                    unshared_numbers += usize::from(is_of_numbers(graph.node(id)));
                    open.extend(&graph.node(id).inputs);
                }
            }
        }
        let roots = graph.ids().zip(&needed).filter(|(_, (_, root))| *root).map(|(id, _)| id);
        let columns = graph.nodes().iter().filter(|node| !is_constant(node));
        Ok(Survey {
            columns: columns.clone().count(),
            unshared_columns,
            numbers: graph.nodes().iter().filter(|node| is_of_numbers(node)).count(),
            unshared_numbers,
            frames: columns.map(|node| node.frame).collect(),
            pre_roll_ms: if self.is_vectorbt() { 0 } else { graph.pre_roll_ms(roots) },
            walks: walks && !self.is_vectorbt(),
        })
    }

    /// Compiles every trial, and reports each field's first error with the parameters that caused it; then parameters
    /// that nothing uses.
    fn check_trials(&self) -> Vec<FieldError> {
        // The interval of a file is not known yet; a second is a divisor of every other.
        let base = self.spec.data.interval.or_else(|| Interval::from_millis(1000)).unwrap_or(Interval::DAY);
        let trials = self.grid.len();
        let chunks: Vec<_> =
            (0..trials).step_by(CHUNK).map(|start| start..(start + CHUNK).min(trials)).collect();
        let checked: Vec<BTreeMap<String, TrialsError>> = chunks
            .into_par_iter()
            .map(|chunk| {
                let (mut graph, mut compiler) = (Graph::new(), self.compiler(base));
                let mut errors: BTreeMap<String, TrialsError> = BTreeMap::new();
                for trial in chunk {
                    let Err(found) = compiler.compile(trial, &mut graph) else { continue };
                    // A block that two expressions use fails in both.
                    let found = found.into_iter().rev().map(field_error);
                    let found: BTreeMap<_, _> = found.map(|error| (error.path.clone(), error)).collect();
                    for error in found.into_values() {
                        let error = TrialsError { error, first: trial, trials: 1 };
                        error.join(&mut errors);
                    }
                }
                errors
            })
            .collect();
        let mut errors: BTreeMap<String, TrialsError> = BTreeMap::new();
        for found in checked {
            found.into_values().for_each(|error| error.join(&mut errors));
        }
        // Blocks that nothing uses are compiled once: their parameters are not used either.
        let blocks =
            TrialPlan::check_blocks(&self.strategy, &self.grid.parameters(0), base, self.is_vectorbt());
        for error in blocks.err().into_iter().flatten().map(field_error) {
            let path = error.path.clone();
            errors.entry(path).or_insert(TrialsError { error, first: 0, trials });
        }
        let mut errors: Vec<FieldError> = errors.into_values().map(|error| self.of_trials(error)).collect();
        if errors.is_empty() {
            let used = self.strategy.used();
            for name in self.spec.strategy.parameters.keys().filter(|name| !used.contains(*name)) {
                let path = format!("spec.strategy.parameters.{name}");
                errors.push(FieldError::new(
                    path,
                    "is never used: use it in an expression of the strategy, or remove it",
                ));
            }
        }
        errors
    }

    /// An error of trials: with the parameters of the first that has it, unless all have it.
    fn of_trials(&self, TrialsError { mut error, first, trials }: TrialsError) -> FieldError {
        if trials < self.grid.len() {
            let values = self.grid.axes().iter().zip(self.grid.swept(first));
            let values: Vec<_> = values.map(|(axis, value)| format!("{} = {value}", axis.name)).collect();
            error.message = format!("{} [in the trial with {}]", error.message, values.join(", "));
        }
        error
    }
}

/// Compiles trials of a job, keeping what they have in common from one to the next.
#[derive(Debug)]
pub struct TrialCompiler<'a> {
    job: &'a Job,
    base: Interval,
    /// Those of the trial compiled last, changed in place: a new map costs some twentieth of compiling.
    parameters: BTreeMap<String, f64>,
}

impl TrialCompiler<'_> {
    /// Compiles a trial into `graph`.
    ///
    /// # Errors
    /// What [`Job::validate`] and [`Job::check_interval`] have excluded.
    pub fn compile(&mut self, trial: usize, graph: &mut Graph) -> Result<TrialPlan, Vec<StrategyError>> {
        let job = self.job;
        job.grid.bind(trial, &mut self.parameters);
        TrialPlan::compile(&job.strategy, &self.parameters, self.base, job.is_vectorbt(), graph)
    }
}

/// An error and the trials that have it.
struct TrialsError {
    error: FieldError,
    first: usize,
    trials: usize,
}

impl TrialsError {
    /// Counts it with the one of the same field, whose first error is kept.
    fn join(self, errors: &mut BTreeMap<String, TrialsError>) {
        match errors.get_mut(&self.error.path) {
            Some(known) if known.error == self.error => known.trials += self.trials,
            Some(_) => {}
            None => {
                errors.insert(self.error.path.clone(), self);
            }
        }
    }
}

/// Trials compiled into one graph while checking.
const CHUNK: usize = 1024;

fn is_constant(node: &Node) -> bool {
    matches!(node.op, Op::Number(_) | Op::Flag(_))
}

/// Whether a node's column is one of numbers that takes time to compute.
fn is_of_numbers(node: &Node) -> bool {
    // An indicator is one node, whatever it has of outputs.
    let is_there = is_constant(node) || matches!(node.op, Op::Candle(_) | Op::Column(_) | Op::Output(_));
    node.ty == Type::Number && !node.on_position && !is_there
}

fn field_error(error: StrategyError) -> FieldError {
    FieldError::new(format!("spec.strategy.{}", error.path), error.message)
}
