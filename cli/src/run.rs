//! `blockgrid run`: a job from manifest to report, in this process.

mod shards;
mod write;

pub(crate) use shards::compile;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use blockgrid_engine::graph::Graph;
use blockgrid_engine::metrics::Wanted;
use blockgrid_engine::sweep::SymbolRun;
use blockgrid_job::quote::{duration, grouped};
use blockgrid_job::{Job, Quote};
use blockgrid_results::leaderboard::{leaderboard_json, leaderboard_text, median_text};
use blockgrid_results::{Goal, Objective, TopTrial, TrialTable, rank, rank_by_median};

use crate::failure::Failure;
use crate::load::{Loaded, load};
use crate::{Output, RunArgs, show};
use blockgrid_planner::candles::{self, JobCandles, SymbolCandles};

/// The most threads that are started: more than any machine has cores, and few enough to start.
const MAX_THREADS: usize = 1024;

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
}

/// Bytes as a person writes them: a whole number and K, M, G or T, by 1024.
fn memory(text: &str) -> Result<usize, Failure> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let factor = match text[digits.len()..].to_ascii_uppercase().as_str() {
        "" | "B" => Some(1),
        "K" | "KB" | "KIB" => Some(1 << 10),
        "M" | "MB" | "MIB" => Some(1 << 20),
        "G" | "GB" | "GIB" => Some(1 << 30),
        "T" | "TB" | "TIB" => Some(1_usize << 40),
        _ => None,
    };
    let bytes =
        digits.parse::<usize>().ok().zip(factor).and_then(|(count, factor)| count.checked_mul(factor));
    bytes.filter(|&bytes| bytes > 0).ok_or_else(|| {
        let message = format!("is `{text}`, but must be a number of bytes such as 512M or 4G");
        Failure::input("bad option", "--memory", message)
    })
}

/// The quote of a job on this machine.
pub(crate) fn quote(job: &Job, candles: &JobCandles) -> Quote {
    let bars: Vec<usize> = candles.symbols.iter().map(|symbol| symbol.run.len()).collect();
    Quote::new(job.grid().len() as u128, &bars, candles.survey.columns, rayon::current_num_threads())
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
    let job = &loaded.job;
    let objective = objective(job)?;
    timings.add("validate", started.elapsed());

    let reading = Instant::now();
    let data = candles::read(job, &loaded.folder)?;
    timings.add("read", reading.elapsed());

    let out = args.out.clone().unwrap_or_else(|| Path::new("blockgrid-out").join(&job.spec().name));
    std::fs::create_dir_all(&out).map_err(|error| {
        let why = if out.is_file() {
            "is a file, not a folder: name another".to_owned()
        } else {
            error.to_string()
        };
        Failure::input("cannot write results", "--out", format!("`{}` {why}", out.display()))
    })?;
    let quote = quote(job, &data);
    introduce(&loaded, &data, &quote);

    let running = Instant::now();
    let mut graph = Graph::new();
    let kernel = args.kernel.into();
    let run_of =
        |symbol| symbol_run(job, &data, symbol).map(|run| run.with_kernel(kernel).with_memory(memory));
    let runs: Vec<SymbolRun> = data.symbols.iter().map(run_of).collect::<Result<_, _>>()?;
    let prepared = running.elapsed();
    let settings = shards::Settings { out: &out, kernel };
    let shards::Finished { table, compute } = shards::run(job, &data, &runs, &mut graph, &settings)?;
    let simulated = running.elapsed();
    timings.add("simulate", simulated);
    timings.compute = prepared + compute;

    let writing = Instant::now();
    let ranked = rank(&table, &objective);
    let top = top_trials(job, &data, &runs, &mut graph, &table, &ranked)?;
    let warnings = warnings(job, &data, &table);
    let results =
        write::Results { loaded: &loaded, data: &data, table: &table, objective, ranked: &ranked, top: &top };
    let told: Vec<String> =
        candles::remarks(&data).into_iter().chain(late_starts(job, &data, &table)).collect();
    results.write(&out, &told)?;
    timings.add("write", writing.elapsed());
    timings.add("total", started.elapsed());
    write::job_json(&out, &results, &quote, &timings, kernel)?;
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
                "\n{} trials in {} (quoted {}), {} million bar evaluations a second\nreport: {}\n",
                grouped(table.len() as u128),
                duration(simulated.as_secs_f64()),
                duration(quote.seconds),
                grouped(rate.round() as u128),
                out.join("report.html").display()
            ));
        }
    }
    Ok(())
}

fn objective(job: &Job) -> Result<Objective, Failure> {
    let spec = &job.spec().sweep.objective;
    let direction = spec.direction.map(|direction| match direction {
        blockgrid_job::spec::Direction::Max => Goal::Max,
        blockgrid_job::spec::Direction::Min => Goal::Min,
    });
    Objective::new(&spec.metric, direction, spec.min_trades)
        .map_err(|error| Failure::input("cannot rank", "spec.sweep.objective", error.to_string()))
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
    if spec.names_compute {
        show::note("note: spec.compute is for a cluster; this machine does not use it");
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
pub(crate) fn symbol_run(job: &Job, data: &JobCandles, symbol: &SymbolCandles) -> Result<SymbolRun, Failure> {
    let spec = job.spec();
    let run = SymbolRun::new(
        symbol.candles.clone(),
        symbol.run.clone(),
        data.survey.frames.iter().copied(),
        spec.strategy.session.as_ref(),
        symbol.rules,
        spec.execution.clone(),
    );
    if spec.output.metrics.is_empty() {
        return Ok(run);
    }
    let wanted = Wanted::new(spec.output.metrics.iter().map(String::as_str)).map_err(|id| {
        Failure::input("bad manifest", "spec.output.metrics", format!("`{id}` is no metric"))
    })?;
    Ok(run.with_metrics(wanted))
}

/// The best trials, simulated once more with all they did.
fn top_trials<'a>(
    job: &Job,
    data: &'a JobCandles,
    runs: &[SymbolRun],
    graph: &mut Graph,
    table: &TrialTable,
    ranked: &[usize],
) -> Result<Vec<TopTrial<'a>>, Failure> {
    let trials = job.grid().len();
    let mut top = Vec::new();
    for (place, &row) in ranked.iter().take(job.spec().output.top).enumerate() {
        let (symbol, trial) = (row / trials, row % trials);
        let plan = shards::compile(job, trial, data.interval, graph)?;
        top.push(TopTrial {
            rank: u32::try_from(place + 1)?,
            symbol: data.symbols[symbol].name.clone(),
            window: String::new(),
            parameters: table.parameters_of(row),
            row,
            initial_cash: job.spec().execution.initial_cash,
            outcome: runs[symbol].outcome(&plan, graph),
            candles: &data.symbols[symbol].candles,
        });
    }
    Ok(top)
}

/// What a reader of the leaderboard should know. The report finds these by itself, but for violations of the
/// candles, filled gaps, and trials that start late.
fn warnings(job: &Job, data: &JobCandles, table: &TrialTable) -> Vec<String> {
    let mut warnings = candles::remarks(data);
    warnings.extend(late_starts(job, data, table));
    for symbol in &data.symbols {
        let gaps = symbol.traded().gaps();
        if gaps > 0 {
            warnings.push(format!(
                "{}: {gaps} candles are missing inside the run; orders were filled over the gaps at the next open",
                symbol.name
            ));
        }
    }
    let never = table.first_bar.iter().filter(|first| first.is_none()).count();
    if never > 0 {
        warnings.push(format!("{never} trials were never warm on this data: their metrics are null"));
    }
    let rejected: u64 = table.rejected_orders.iter().map(|&count| u64::from(count)).sum();
    if rejected > 0 {
        warnings.push(format!("{rejected} orders were rejected over all trials (column rejected_orders)"));
    }
    let ruined = table.deficit.iter().filter(|&&deficit| deficit > 0.0).count();
    if ruined > 0 {
        warnings.push(format!("{ruined} trials lost more than their cash in a gap (column deficit)"));
    }
    if let Some(session) = &job.spec().strategy.session {
        for symbol in &data.symbols {
            if !session.mask(&symbol.traded()).contains(&true) {
                warnings.push(format!(
                    "{}: no candle closes inside the session, so nothing was entered",
                    symbol.name
                ));
            }
        }
    }
    if job.spec().strategy.short.is_some() {
        warnings.push("no funding or borrow cost was charged for shorts: the data has none".to_owned());
    }
    warnings
}

/// Trials that could not start with the data, because history was too short to warm them up.
fn late_starts(job: &Job, data: &JobCandles, table: &TrialTable) -> Option<String> {
    let starts_late = |row: usize| {
        let symbol = &data.symbols[row / job.grid().len()];
        table.first_bar[row].is_some_and(|first| first > symbol.candles.timestamp()[symbol.run.start])
    };
    let late = (0..table.len()).filter(|&row| starts_late(row)).count();
    (late > 0).then(|| {
        format!("{late} trials start later than the data, because their indicators needed warm-up (column first_bar)")
    })
}

fn text(table: &TrialTable, objective: &Objective, ranked: &[usize]) -> String {
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
