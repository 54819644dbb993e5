//! `blockgrid quote`: what a job will take, here and on a grid, before it runs.

use std::fmt::Write;

use blockgrid_job::quote::{Terms, counted, dollars, duration};
use blockgrid_job::{Job, Quote};
use blockgrid_planner::JobCandles;
use blockgrid_planner::candles;
use blockgrid_planner::plan::work;
use comfy_table::CellAlignment;
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::load::load;
use crate::{ManifestArgs, Output, show};

pub(crate) fn quote(args: &ManifestArgs, output: Output) -> Result<(), Failure> {
    let loaded = load(args)?;
    let data = candles::read(&loaded.job, &loaded.folder)?;
    let terms = terms(&loaded.job);
    let quote = Quote::new(loaded.job.grid().len() as u128, &work(&loaded.job, &data), &terms);
    show::print(&match output {
        Output::Json => format!("{}\n", machine(&loaded.job, &quote, &terms)),
        Output::Text => text(&loaded.job, &quote, &terms),
    });
    Ok(())
}

/// The quote of a job on this machine.
pub(crate) fn of(job: &Job, data: &JobCandles) -> Quote {
    Quote::new(job.grid().len() as u128, &work(job, data), &terms(job))
}

fn terms(job: &Job) -> Terms {
    Terms { threads: rayon::current_num_threads(), top: job.spec().output.top, ..Terms::default() }
}

fn text(job: &Job, quote: &Quote, terms: &Terms) -> String {
    let mut out = String::new();
    let _ = writeln!(
        out,
        "{}: {} ({} x {}), {}, {}\n",
        job.spec().name,
        counted(quote.trials(), "trial"),
        counted(quote.parameter_sets, "parameter set"),
        counted(quote.symbols as u128, "symbol"),
        counted(quote.evaluations, "bar evaluation"),
        counted(quote.shards.into(), "shard"),
    );
    let hours = quote.vcpu_seconds().map(|seconds| format!("{:.6}", seconds / 3600.0));
    let money = quote.micro_usd.map(dollars);
    out.push_str(&lines(
        ["", "low", "mid", "high"].map(str::to_owned),
        [
            ["vCPU-hours".to_owned(), hours.low, hours.mid, hours.high],
            ["price".to_owned(), money.low, money.mid, money.high],
        ],
    ));
    let _ = writeln!(
        out,
        "at {} a vCPU-hour (class {}); a grid charges requests to its store beside\nfor trials with an order in {:.0} bars: one that trades more often takes longer, with one in three bars ten times as long\n",
        dollars(terms.price.micro_usd_a_vcpu_hour),
        terms.price.name,
        1.0 / terms.model.orders_a_bar
    );
    let finish = quote.finish.map(|finish| [finish.workers.to_string(), duration(finish.seconds)]);
    out.push_str(&lines(["workers", "done in"].map(str::to_owned), finish));
    let _ = writeln!(
        out,
        "with {} for workers to start, which small jobs on a grid need not wait for, and the finish step\n\nthis machine, {}: {}",
        duration(terms.around.start_seconds),
        counted(terms.threads as u128, "thread"),
        duration(quote.seconds)
    );
    out
}

/// A table of numbers after a first column.
fn lines<const N: usize>(header: [String; N], rows: impl IntoIterator<Item = [String; N]>) -> String {
    let mut table = show::table();
    table.set_header(header);
    table.add_rows(rows);
    table.column_iter_mut().for_each(|column| column.set_cell_alignment(CellAlignment::Right));
    show::lines(&table)
}

fn machine(job: &Job, quote: &Quote, terms: &Terms) -> Value {
    let seconds = quote.vcpu_seconds();
    json!({
        "job": job.spec().name,
        "trials": quote.trials(),
        "parameterSets": quote.parameter_sets,
        "symbols": quote.symbols,
        "barEvaluations": quote.evaluations,
        "shards": quote.shards,
        "vcpuSeconds": seconds,
        "vcpuHours": seconds.map(|seconds| seconds / 3600.0),
        "microUsd": quote.micro_usd,
        "price": terms.price,
        "finish": quote.finish,
        "thisMachine": { "threads": terms.threads, "seconds": quote.seconds },
        "calibration": terms.model,
    })
}
