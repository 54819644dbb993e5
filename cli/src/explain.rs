//! `blockgrid explain`: what a manifest resolves to.

use std::collections::BTreeMap;
use std::fmt::Write;

use blockgrid_engine::graph::{ALL_HISTORY, Graph, NodeId, Op};
use blockgrid_engine::strategy::TrialPlan;
use blockgrid_engine::sweep::Kernel;
use blockgrid_job::quote::grouped;

use crate::failure::Failure;
use crate::load::load;
use crate::{ManifestArgs, quote, run, show};
use blockgrid_planner::JobCandles;
use blockgrid_planner::candles;
use blockgrid_worker::Ready;

pub(crate) fn explain(args: &ManifestArgs) -> Result<(), Failure> {
    let loaded = load(args)?;
    let data = candles::read(&loaded.job, &loaded.folder)?;
    let ready = run::ready(loaded, &data, Kernel::default())?;
    let job = ready.job();
    let mut out = String::new();
    let _ = writeln!(
        out,
        "Manifest, resolved:\n{}\n",
        indent(&serde_json::to_string_pretty(&job.spec().manifest())?)
    );
    let _ = writeln!(out, "Trials: {}", quote::of(job, &data));
    for axis in job.grid().axes() {
        let values: Vec<_> = axis.values.iter().take(12).map(f64::to_string).collect();
        let more = if axis.values.len() > 12 {
            format!(", ... ({} values)", axis.values.len())
        } else {
            String::new()
        };
        let _ = writeln!(out, "  {}: {}{more}", axis.name, values.join(", "));
    }
    let survey = &data.survey;
    let _ = writeln!(
        out,
        "\nShared graph: {} columns serve all trials; without sharing they would be {}.",
        grouped(survey.columns as u128),
        grouped(survey.unshared_columns as u128)
    );
    let hours = survey.pre_roll_ms as f64 / 3_600_000.0;
    let _ = if asks_for_all(survey.pre_roll_ms / data.interval.millis()) {
        writeln!(out, "Pre-roll: all the candles there are before `from`.")
    } else {
        writeln!(out, "Pre-roll: {hours:.1} hours of candles before `from` settle every node.")
    };
    kernel(&ready, &data, &mut out)?;
    graph_of_first_trial(&ready, &data, &mut out)?;
    show::print(&out);
    Ok(())
}

/// Which kernel the strategy gets, and why.
fn kernel(ready: &Ready, data: &JobCandles, out: &mut String) -> Result<(), Failure> {
    let mut graph = Graph::new();
    let Some(plan) = ready.compile(std::iter::once(0), &mut graph)?.pop() else { return Ok(()) };
    let run = run::symbol_run(ready, data, 0);
    let _ = writeln!(
        out,
        "Kernel: events. Trials are simulated from event to event; --kernel bar-loop takes every bar."
    );
    for line in run.describe(&plan, &graph) {
        let _ = writeln!(out, "  {line}");
    }
    Ok(())
}

fn graph_of_first_trial(ready: &Ready, data: &JobCandles, out: &mut String) -> Result<(), Failure> {
    let mut graph = Graph::new();
    let Some(plan) = ready.compile(std::iter::once(0), &mut graph)?.pop() else { return Ok(()) };
    let job = ready.job();
    let parameters: Vec<_> =
        job.grid().parameters(0).iter().map(|(name, value)| format!("{name}={value}")).collect();
    let _ = writeln!(out, "\nGraph of the first trial ({}):", parameters.join(" "));
    let users = users(&graph, &plan.roots());
    for id in graph.reachable(plan.roots()) {
        let node = graph.node(id);
        if matches!(node.op, Op::Number(_) | Op::Flag(_) | Op::Output(_)) {
            continue;
        }
        let pre_roll = graph.pre_roll_ms([id]) / node.frame.millis();
        let uses = users.get(&id).copied().unwrap_or(0);
        let frame = if node.frame == data.interval { String::new() } else { format!(" @{}", node.frame) };
        let kind = if node.on_position {
            "evaluated bar by bar".to_owned()
        } else {
            let bars = if asks_for_all(pre_roll) { "all".to_owned() } else { pre_roll.to_string() };
            format!("pre-roll {bars} bars, used {uses}x")
        };
        let _ = writeln!(out, "  {:>3}  {}{frame}  [{kind}]", id.index(), graph.describe(id));
    }
    for symbol in 0..data.symbols.len() {
        let _ = writeln!(out, "{}", start(ready, data, symbol, &plan, &graph));
    }
    Ok(())
}

/// Whether a pre-roll of so many bars is all the history there is.
fn asks_for_all(bars: i64) -> bool {
    usize::try_from(bars).is_ok_and(|bars| bars >= ALL_HISTORY)
}

/// When the first trial starts to trade a symbol.
fn start(ready: &Ready, data: &JobCandles, symbol: usize, plan: &TrialPlan, graph: &Graph) -> String {
    let run = run::symbol_run(ready, data, symbol);
    let symbol = &data.symbols[symbol];
    let first = if ready.job().is_vectorbt() { symbol.run.start } else { run.first_bar(plan, graph) };
    let name = &symbol.name;
    let history = symbol.run.start;
    match symbol.candles.timestamp().get(first).filter(|_| first < symbol.run.end) {
        Some(&at) => format!("  {name}: {history} bars of history; first_bar {}", show::instant(at)),
        None => format!("  {name}: {history} bars of history; never warm, so it does not trade"),
    }
}

/// How often each node is used by others and by the strategy itself.
fn users(graph: &Graph, roots: &[NodeId]) -> BTreeMap<NodeId, usize> {
    let mut users: BTreeMap<NodeId, usize> = BTreeMap::new();
    let inner = graph.reachable(roots.iter().copied());
    for &id in inner.iter().flat_map(|id| &graph.node(*id).inputs).chain(roots) {
        *users.entry(id).or_default() += 1;
        // An output and its indicator are one to a reader.
        if let Op::Output(_) = graph.node(id).op {
            *users.entry(graph.node(id).inputs[0]).or_default() += 1;
        }
    }
    users
}

fn indent(text: &str) -> String {
    text.lines().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
}
