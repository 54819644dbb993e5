//! `blockgrid metrics`: every metric with its convention, printed from the list that the engine computes with.

use std::fmt::Write;

use blockgrid_engine::metrics::{METRICS, Unit};

use crate::show;

pub(crate) fn metrics(markdown: bool) {
    show::print(&if markdown { page() } else { list() });
}

fn unit(unit: Unit) -> &'static str {
    match unit {
        Unit::Fraction => "fraction",
        Unit::Ratio => "ratio",
        Unit::Count => "count",
        Unit::Quote => "quote currency",
    }
}

fn list() -> String {
    let width = METRICS.iter().map(|metric| metric.id.len()).max().unwrap_or(0);
    let mut out = String::from("Metrics: columns of trials.parquet, and what `objective` may name.\n");
    for metric in METRICS {
        let _ = writeln!(out, "  {:width$}  {}", metric.id, metric.convention);
    }
    out
}

/// The reference page, `docs/metrics.md`.
fn page() -> String {
    let mut out = String::from(
        "# Metrics\n\nWritten by `blockgrid metrics --markdown` from the list that the engine computes with; `make \
         generated` checks that it is.\n\nEach is a column of `trials.parquet` under its id, and may be the `objective` of \
         a sweep. Fractions are not percentages: 0.05 is 5 %. A metric that is undefined (no closed trade, a zero \
         denominator, a trial that was never warm) is null, never infinite, and ranks last. *Best* says which way a \
         leaderboard ranks it unless the manifest says otherwise. Profile `vectorbt` computes ratios as vectorbt does \
         ([semantics.md](semantics.md)).\n\n| id | unit | best | convention |\n|---|---|---|---|\n",
    );
    for metric in METRICS {
        let best = match metric.higher_is_better {
            Some(true) => "highest",
            Some(false) => "lowest",
            None => "-",
        };
        let _ = writeln!(out, "| `{}` | {} | {best} | {} |", metric.id, unit(metric.unit), metric.convention);
    }
    out
}
