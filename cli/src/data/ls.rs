//! `blockgrid data ls`.

use blockgrid_datasets::catalogue::SAMPLE;
use blockgrid_datasets::{CatalogueEntry, sample};
use blockgrid_results::format::decimal;
use clap::Args;
use comfy_table::CellAlignment;
use serde_json::{Value, json};

use super::{catalogue, is_there};
use crate::failure::Failure;
use crate::{Output, show};

#[derive(Args)]
pub(crate) struct LsArgs {
    /// How to print.
    #[arg(long, value_enum, default_value_t)]
    pub(super) output: Output,
}

const COLUMNS: [&str; 10] = [
    "name",
    "symbols",
    "intervals",
    "range",
    "candles",
    "size",
    "source",
    "licence",
    "location",
    "synthetic",
];

pub(crate) fn ls(args: &LsArgs) -> Result<(), Failure> {
    let sample = sample().map_err(|error| Failure::data(SAMPLE, error))?;
    let (_, catalogue) = catalogue()?;
    let mut entries = vec![CatalogueEntry::new(SAMPLE, "in the program".to_owned(), sample.manifest())];
    entries.extend(catalogue.entries().iter().cloned());
    show::print(&match args.output {
        Output::Text => table(&entries),
        Output::Json => format!("{}\n", json!(entries.iter().map(machine).collect::<Vec<_>>())),
    });
    Ok(())
}

fn table(entries: &[CatalogueEntry]) -> String {
    let mut table = show::table();
    table.set_header(COLUMNS);
    for entry in entries {
        let symbols = entry.symbols();
        let known = |text: String| if entry.series.is_empty() { "-".to_owned() } else { text };
        let there = if entry.name == SAMPLE || is_there(&entry.location) { "" } else { " (gone)" };
        table.add_row([
            entry.name.clone(),
            known(if symbols.len() <= 3 { symbols.join(" ") } else { symbols.len().to_string() }),
            known(intervals(entry).join(" ")),
            entry.range().map_or("-".to_owned(), |(first, last)| format!("{} to {}", day(first), day(last))),
            known(decimal(entry.rows() as f64, 0)),
            known(size(entry.bytes)),
            entry.source.clone(),
            entry.licence.clone(),
            format!("{}{there}", entry.location),
            known(if entry.synthetic { "yes" } else { "no" }.to_owned()),
        ]);
    }
    for column in [4, 5] {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    show::lines(&table)
}

fn machine(entry: &CatalogueEntry) -> Value {
    let (first, last) = entry.range().map_or((None, None), |(first, last)| (Some(first), Some(last)));
    json!({
        "name": entry.name,
        "location": entry.location,
        "available": entry.name == SAMPLE || is_there(&entry.location),
        "symbols": entry.symbols(),
        "intervals": intervals(entry),
        "first": first.map(blockgrid_results::format::instant),
        "last": last.map(blockgrid_results::format::instant),
        "candles": entry.rows(),
        "bytes": entry.bytes,
        "source": entry.source,
        "licence": entry.licence,
        "synthetic": entry.synthetic,
        "series": entry.series.iter().map(|series| json!({
            "symbol": series.symbol,
            "interval": series.interval.to_string(),
            "candles": series.rows,
            "first": blockgrid_results::format::instant(series.first),
            "last": blockgrid_results::format::instant(series.last),
            "digest": format!("sha256:{}", series.digest),
        })).collect::<Vec<_>>(),
    })
}

fn intervals(entry: &CatalogueEntry) -> Vec<String> {
    entry.intervals().iter().map(ToString::to_string).collect()
}

/// The UTC day of a moment.
fn day(ms: i64) -> String {
    let instant = blockgrid_results::format::instant(ms);
    instant.split('T').next().unwrap_or_default().to_owned()
}

/// Bytes as people read them.
pub(super) fn size(bytes: u64) -> String {
    let units = ["B", "kB", "MB", "GB", "TB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 999.95 && unit + 1 < units.len() {
        value /= 1000.0;
        unit += 1;
    }
    format!("{} {}", decimal(value, usize::from(unit > 0)), units[unit])
}
