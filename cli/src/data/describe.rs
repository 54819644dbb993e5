//! `blockgrid data describe`.

mod page;
mod picture;

use std::path::{Path, PathBuf};

use blockgrid_datasets::{Coverage, Dataset};
use blockgrid_engine::Interval;
use blockgrid_results::format::{decimal, instant};
use clap::{Args, ValueHint};
use comfy_table::CellAlignment;
use serde_json::{Value, json};

use super::ls::size;
use crate::failure::Failure;
use crate::{Output, show};
use blockgrid_planner::candles::open_dataset;

/// Pictures in the terminal; the table and the page have everything.
const PICTURES: usize = 12;

#[derive(Args)]
pub(crate) struct DescribeArgs {
    /// The data set: a name or a folder.
    #[arg(value_name = "NAME|DIR", value_hint = ValueHint::DirPath)]
    dataset: String,
    /// This symbol alone.
    #[arg(long)]
    symbol: Option<String>,
    /// This length of a candle alone, such as 1h.
    #[arg(long)]
    interval: Option<Interval>,
    /// Also write a page with the pictures, one file that needs no network.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    html: Option<PathBuf>,
    /// How to print.
    #[arg(long, value_enum, default_value_t)]
    pub(super) output: Output,
}

pub(crate) fn describe(args: &DescribeArgs) -> Result<(), Failure> {
    let dataset = open_dataset(&args.dataset, Path::new(""), "DATASET")?;
    let coverage = wanted(args, &dataset)?
        .into_iter()
        .map(|(symbol, interval)| dataset.coverage(&symbol, interval))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| Failure::data("DATASET", error))?;
    if let Some(file) = &args.html {
        let page = page::page(&args.dataset, &dataset, &coverage);
        std::fs::write(file, page).map_err(|error| {
            let message = format!("`{}` cannot be written: {error}", file.display());
            Failure::input("cannot write the page", "--html", message)
        })?;
    }
    match args.output {
        Output::Json => show::print(&format!("{}\n", machine(&args.dataset, &dataset, &coverage))),
        Output::Text => {
            show::print(&text(&args.dataset, &dataset, &coverage));
            if let Some(file) = &args.html {
                show::print(&format!("\npage: {}\n", file.display()));
            }
        }
    }
    Ok(())
}

/// The symbols and intervals that are asked for, symbol by symbol.
fn wanted(args: &DescribeArgs, dataset: &Dataset) -> Result<Vec<(String, Interval)>, Failure> {
    let manifest = dataset.manifest();
    let all = manifest.symbols(None);
    let bad = |field: &str, message: String| Err(Failure::input("cannot describe the data", field, message));
    if let Some(symbol) = args.symbol.as_ref().filter(|symbol| !all.contains(symbol)) {
        return bad(
            "--symbol",
            format!("`{symbol}` is not in `{}`: it has {}", args.dataset, all.join(", ")),
        );
    }
    let symbols = all.into_iter().filter(|symbol| args.symbol.as_ref().is_none_or(|only| only == symbol));
    let pairs = symbols.flat_map(|symbol| {
        let intervals = manifest.intervals(&symbol);
        intervals.into_iter().map(move |interval| (symbol.clone(), interval))
    });
    let (fits, others): (Vec<_>, Vec<_>) =
        pairs.partition(|(_, interval)| args.interval.is_none_or(|only| only == *interval));
    if fits.is_empty() {
        let mut known: Vec<Interval> = others.into_iter().map(|(_, interval)| interval).collect();
        known.sort_unstable();
        known.dedup();
        let known: Vec<_> = known.iter().map(Interval::to_string).collect();
        return bad("--interval", format!("there are no such candles: there are {}", known.join(", ")));
    }
    Ok(fits)
}

/// What a data set is, as (label, value).
fn facts(dataset: &Dataset) -> Vec<(&'static str, String)> {
    let manifest = dataset.manifest();
    let rows: u64 = manifest.files.iter().map(|file| file.rows).sum();
    let bytes = manifest.files.iter().map(|file| file.bytes).sum();
    let made = manifest.generator.as_ref().map_or(String::new(), |made| {
        format!(" (made by {} {}, seed {})", made.name, made.version, made.seed)
    });
    vec![
        (
            "candles",
            format!("{} in {} files, {}", decimal(rows as f64, 0), manifest.files.len(), size(bytes)),
        ),
        ("source", manifest.source.clone()),
        ("licence", manifest.licence.clone()),
        ("synthetic", if manifest.synthetic { format!("yes{made}") } else { "no".to_owned() }),
        ("location", dataset.location().to_owned()),
    ]
}

fn text(name: &str, dataset: &Dataset, coverage: &[Coverage]) -> String {
    let mut out = format!("{name}\n");
    for (label, value) in facts(dataset) {
        out += &format!("  {label:10} {value}\n");
    }
    let mut table = show::table();
    table.set_header(["symbol", "interval", "candles", "first", "last", "coverage", "gaps", "longest gap"]);
    for series in coverage {
        table.add_row([
            series.symbol.clone(),
            series.interval.to_string(),
            decimal(series.present as f64, 0),
            show::instant(series.first),
            show::instant(series.last),
            covered(series.share(), 2),
            decimal(series.gaps as f64, 0),
            longest(series),
        ]);
    }
    for column in [2, 5, 6] {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    out.push('\n');
    table.to_string().lines().for_each(|line| out += &format!("{}\n", line.trim_end()));
    let marks = picture::Marks::of_terminal();
    for series in coverage.iter().take(PICTURES) {
        out += &format!("\n{} {}\n{}", series.symbol, series.interval, picture::picture(series, marks));
    }
    out += &format!("\n{}\n", marks.legend());
    if coverage.len() > PICTURES {
        let more = coverage.len() - PICTURES;
        out += &format!("{more} more pictures: name a --symbol or an --interval, or write all with --html\n");
    }
    for series in coverage.iter().filter(|series| series.disordered > 0) {
        out += &format!("{}\n", disordered(series));
    }
    out
}

/// The longest gap in words.
fn longest(series: &Coverage) -> String {
    series.longest.map_or("-".to_owned(), |gap| {
        let plural = if gap.candles == 1 { "" } else { "s" };
        format!("{} candle{plural} from {}", decimal(gap.candles as f64, 0), show::instant(gap.from))
    })
}

fn disordered(series: &Coverage) -> String {
    format!(
        "{} {}: {} rows stand twice or out of order and are not counted",
        series.symbol, series.interval, series.disordered
    )
}

/// A share in percent, cut off rather than rounded: only what is whole is 100%.
fn covered(share: f64, digits: usize) -> String {
    let unit = 10_f64.powi(i32::try_from(digits).unwrap_or(0));
    // Twice as exact as what is shown, so that 0.29 * 100 is no 28.99.
    let cut = (share * 100.0 * unit + 1e-9).floor() / unit;
    format!("{}%", decimal(cut, digits))
}

fn machine(name: &str, dataset: &Dataset, coverage: &[Coverage]) -> Value {
    let manifest = dataset.manifest();
    let series = coverage.iter().map(|series| {
        json!({
            "symbol": series.symbol,
            "interval": series.interval.to_string(),
            "candles": series.present,
            "expected": series.expected,
            "coverage": series.share(),
            "first": instant(series.first),
            "last": instant(series.last),
            "disordered": series.disordered,
            "gaps": series.gaps,
            "longestGap": series.longest.map(|gap| json!({
                "from": instant(gap.from), "to": instant(gap.to), "candles": gap.candles,
            })),
            "months": series.months.iter().map(|month| json!({
                "month": format!("{:04}-{:02}", month.year, month.month),
                "candles": month.present,
                "expected": month.expected,
            })).collect::<Vec<_>>(),
        })
    });
    json!({
        "name": name,
        "location": dataset.location(),
        "source": manifest.source,
        "licence": manifest.licence,
        "synthetic": manifest.synthetic,
        "series": series.collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_whole_is_a_hundred_percent() {
        assert_eq!(covered(1.0, 2), "100.00%");
        assert_eq!(covered(0.999_999, 2), "99.99%");
        assert_eq!(covered(0.29, 2), "29.00%");
        assert_eq!(covered(0.0, 1), "0.0%");
    }
}
