//! `blockgrid run`: a job from manifest to report, in this process.

mod shards;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use blockgrid_engine::graph::Graph;
use blockgrid_engine::sweep::{Kernel, SymbolRun};
use blockgrid_grid::Tenant;
use blockgrid_job::Quote;
use blockgrid_job::plan::{CostModel, Limits};
use blockgrid_job::quote::{counted, duration, grouped};
use blockgrid_planner::Order;
use blockgrid_planner::candles::{self, JobCandles};
use blockgrid_results::files;
use blockgrid_results::leaderboard::{leaderboard_json, leaderboard_text, median_text};
use blockgrid_results::{Objective, TrialTable, rank, rank_by_median};
use blockgrid_worker::options::bytes;
use blockgrid_worker::{Ready, publish};

use crate::failure::Failure;
use crate::grid::writable;
use crate::load::{Loaded, load};
use crate::{Output, RunArgs, quote, show};

/// The most threads that are started: more than any machine has cores, and few enough to start.
const MAX_THREADS: usize = 1024;

/// Tenant and owner of what runs on this machine alone.
const LOCAL: &str = "local";

/// Rows of the leaderboard in the terminal.
const ROWS_SHOWN: usize = 10;

/// Wall-clock times of a run's parts; they stand apart from the results, which do not depend on them.
#[derive(Default)]
pub(crate) struct Timings {
    parts: BTreeMap<&'static str, f64>,
    /// From candles in memory to metrics, of the trials that this run computed itself.
    compute: Duration,
}

impl Timings {
    fn add(&mut self, part: &'static str, took: Duration) {
        self.parts.insert(part, took.as_secs_f64());
    }

    /// As `job.json` tells them.
    fn record(&self, quote: &Quote) -> serde_json::Value {
        serde_json::json!({
            "seconds": self.parts,
            "computeSeconds": self.compute.as_secs_f64(),
            "quotedSeconds": quote.seconds,
            "quoteOffPercent": quote.compared(self.compute.as_secs_f64()).off_percent(),
            "threads": rayon::current_num_threads(),
        })
    }
}

/// Bytes of an option.
fn memory(text: &str) -> Result<usize, Failure> {
    let bytes = bytes(text).map_err(|message| Failure::input("bad option", "--memory", message))?;
    Ok(usize::try_from(bytes)?)
}

pub(crate) fn run(args: &RunArgs) -> Result<(), Failure> {
    if let Some(threads) = args.threads {
        if !(1..=MAX_THREADS).contains(&threads) {
            let message = format!("is {threads}, but must be from 1 to {MAX_THREADS}");
            return Err(Failure::input("bad option", "--threads", message));
        }
        rayon::ThreadPoolBuilder::new().num_threads(threads).build_global()?;
    }
    let memory = memory(&args.memory)?;
    let started = Instant::now();
    let mut timings = Timings::default();
    let loaded = load(&args.manifest)?;
    // What cannot be ranked is told before candles are read.
    Objective::of(&loaded.job.spec().sweep.objective)?;
    timings.add("validate", started.elapsed());

    let reading = Instant::now();
    let data = candles::read(&loaded.job, &loaded.folder)?;
    timings.add("read", reading.elapsed());

    let out = args.out.clone().unwrap_or_else(|| Path::new("blockgrid-out").join(&loaded.job.spec().name));
    writable(&out, &loaded.job.spec().name, None)?;
    let quote = quote::of(&loaded.job, &data);
    introduce(&loaded, &data, &quote);

    let running = Instant::now();
    let mut graph = Graph::new();
    let ready = ready(loaded, &data, args.kernel.into())?;
    let job = ready.job();
    let runs: Vec<SymbolRun> =
        (0..data.symbols.len()).map(|symbol| symbol_run(&ready, &data, symbol).with_memory(memory)).collect();
    let prepared = running.elapsed();
    let shards::Finished { table, compute } = shards::run(&ready, &data, &runs, &mut graph, &out)?;
    let simulated = running.elapsed();
    timings.add("simulate", simulated);
    timings.compute = prepared + compute;

    let writing = Instant::now();
    let objective = ready.objective();
    let ranked = rank(&table, &objective);
    let outcomes = ranked.iter().take(job.spec().output.top).map(|&row| {
        let (symbol, trial) = publish::place_of(&ready, row);
        ready.trace(&runs[symbol], &mut graph, trial)
    });
    let outcomes = outcomes.collect::<Result<Vec<_>, _>>()?;
    let candles_of = |symbol: usize| &*data.symbols[symbol].candles;
    let top = publish::top_trials(&ready, &table, &ranked, outcomes, candles_of);
    let warnings = publish::warnings(&ready, &table);
    publish::write_tables(&out, &table, &top)?;
    publish::write_report(&out, &ready, &table, &ranked, &top)?;
    timings.add("write", writing.elapsed());
    timings.add("total", started.elapsed());
    let record = publish::record(&ready, table.len(), timings.record(&quote));
    std::fs::write(out.join(files::RECORD), format!("{}\n", serde_json::to_string_pretty(&record)?))?;
    shards::forget(&out);

    match args.output {
        Output::Json => {
            let summary = serde_json::json!({
                "job": job.spec().name,
                "out": out.display().to_string(),
                "trials": table.len(),
                "leaderboard": leaderboard_json(&table, &ranked, job.spec().output.top.max(ROWS_SHOWN)),
                "warnings": warnings,
                "timings": timings.parts,
            });
            show::print(&format!("{summary}\n"));
        }
        Output::Text => {
            show::print(&text(&table, &objective, &ranked));
            for warning in &warnings {
                show::print(&format!("note: {warning}\n"));
            }
            let rate = quote.evaluations as f64 / simulated.as_secs_f64().max(1e-9) / 1e6;
            show::print(&format!(
                "\n{} in {}, {} million bar evaluations a second\n{}\nreport: {}\n",
                counted(table.len() as u128, "trial"),
                duration(simulated.as_secs_f64()),
                grouped(rate.round() as u128),
                quote.compared(timings.compute.as_secs_f64()),
                out.join(files::REPORT).display()
            ));
        }
    }
    Ok(())
}

/// The job with its plan, as one process runs it. The plan is cut for a folder that goes on where it stopped.
pub(crate) fn ready(loaded: Loaded, data: &JobCandles, kernel: Kernel) -> Result<Ready, Failure> {
    let owner = LOCAL.to_owned();
    let order = Order {
        tenant: LOCAL.parse::<Tenant>()?,
        owner,
        text: loaded.text,
        kernel: kernel.id().to_owned(),
        calibration: CostModel::default(),
        limits: Limits::default(),
        families: Vec::new(),
    };
    let work = blockgrid_planner::plan::work(&loaded.job, data);
    let plan = blockgrid_planner::plan(&loaded.job, data, order, &work, Vec::new());
    Ok(Ready::new(loaded.job, plan)?)
}

/// What is about to happen, before it does.
fn introduce(loaded: &Loaded, data: &JobCandles, quote: &Quote) {
    let spec = loaded.job.spec();
    let execution = &spec.execution;
    let what = if data.synthetic { "synthetic candles, for trying things out" } else { data.source.as_str() };
    show::note(&format!("{}: {quote}", spec.name));
    show::note(&format!("data: {} ({what})", symbols_text(data)));
    show::note(&format!(
        "costs: taker {} bps, maker {} bps, {} an order; slippage {} bps{}; cash {}",
        execution.fees.taker_bps,
        execution.fees.maker_bps,
        execution.fees.per_order,
        execution.slippage.bps,
        if execution.slippage.range_share > 0.0 {
            format!(" and {} of the bar's range", execution.slippage.range_share)
        } else {
            String::new()
        },
        execution.initial_cash
    ));
    for remark in candles::remarks(data) {
        show::note(&format!("warning: {remark}"));
    }
    let named: Vec<String> = spec.cluster.named().iter().map(|field| format!("spec.{field}")).collect();
    if !named.is_empty() {
        show::note(&format!("note: only a cluster uses {}; this machine does not", named.join(", ")));
    }
}

fn symbols_text(data: &JobCandles) -> String {
    let described: Vec<String> = data
        .symbols
        .iter()
        .map(|symbol| {
            let opens = symbol.candles.timestamp();
            let (first, last) = (opens[symbol.run.start], opens[symbol.run.end - 1]);
            let bars = grouped(symbol.run.len() as u128);
            format!(
                "{} {bars} x {} from {} to {}",
                symbol.name,
                data.interval,
                show::instant(first),
                show::instant(last)
            )
        })
        .collect();
    described.join("; ")
}

/// A symbol of the job, ready for trials.
pub(crate) fn symbol_run(ready: &Ready, data: &JobCandles, symbol: usize) -> SymbolRun {
    ready.symbol_run(symbol, data.symbols[symbol].candles.clone())
}

/// The leaderboard, for people.
pub(crate) fn text(table: &TrialTable, objective: &Objective, ranked: &[usize]) -> String {
    let width = show::width();
    let mut out = format!("\nBest by {} ({}):\n\n", objective.metric.id, objective.direction.id());
    out.push_str(leaderboard_text(table, objective, ranked, ROWS_SHOWN, width).trim_end());
    out.push('\n');
    if table.symbols().len() > 1 && !table.parameters.is_empty() {
        out.push_str("\nBest by the median over symbols:\n\n");
        out.push_str(
            median_text(&rank_by_median(table, objective), objective, ROWS_SHOWN / 2, width).trim_end(),
        );
        out.push('\n');
    }
    out
}
