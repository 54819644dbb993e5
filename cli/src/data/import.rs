//! `blockgrid data import`.

use std::path::{Path, PathBuf};

use blockgrid_datasets::import::{
    BadRows, Columns, Detected, ImportError, ImportOptions, Imported, ImportedSeries, Progress, TimeUnit,
    import,
};
use blockgrid_datasets::{About, Catalogue, DatasetError, Manifest};
use blockgrid_engine::Interval;
use blockgrid_job::quote::counted;
use blockgrid_results::format::{decimal, instant};
use clap::{Args, ValueEnum, ValueHint};
use indicatif::{ProgressBar, ProgressStyle};

use super::{catalogue, failed};
use crate::failure::Failure;
use crate::show;

/// The data set that takes what no other is named for.
const DEFAULT: &str = "candles";

#[derive(Args)]
pub(crate) struct ImportArgs {
    /// Files of candles: CSV, JSON, Feather or Arrow, Parquet; also in gzip or zip.
    #[arg(required = true, value_hint = ValueHint::FilePath)]
    files: Vec<PathBuf>,
    /// The data set they go into, made when it is new [default: candles, or the name of --dir].
    #[arg(long, value_name = "NAME")]
    dataset: Option<String>,
    /// Its folder [default: datasets/NAME below the catalogue's home].
    #[arg(long, value_hint = ValueHint::DirPath)]
    dir: Option<PathBuf>,
    /// The symbol [default: from the file or its name].
    #[arg(long)]
    symbol: Option<String>,
    /// Length of a candle [default: from the timestamps].
    #[arg(long)]
    interval: Option<Interval>,
    /// Where the candles come from, for the data set's description.
    #[arg(long, value_name = "TEXT")]
    source: Option<String>,
    /// The licence of the candles, an SPDX identifier where there is one.
    #[arg(long, value_name = "ID")]
    licence: Option<String>,
    /// What happens to a file with rows that are no candles.
    #[arg(long, value_enum, default_value_t)]
    bad_rows: BadRowsArg,
    /// Keep every bit of prices that a float pipeline has moved off their decimals.
    #[arg(long)]
    exact: bool,
    /// Keep the columns beside OHLCV of known formats too (of others they are kept).
    #[arg(long)]
    all_columns: bool,
    /// What each column is, by position: t,o,h,l,c,v (d a date apart, s a symbol, - not kept, else a name).
    #[arg(long, value_name = "LIST", help_heading = "When detection needs help")]
    columns: Option<Columns>,
    /// Between the fields of a CSV: a sign, or `tab`.
    #[arg(long, value_name = "SIGN", value_parser = delimiter, help_heading = "When detection needs help")]
    delimiter: Option<u8>,
    /// Whether a CSV has a header.
    #[arg(long, value_enum, help_heading = "When detection needs help")]
    header: Option<YesNo>,
    /// The decimal sign, `.` or `,`.
    #[arg(long, value_name = "SIGN", value_parser = decimal_sign, help_heading = "When detection needs help")]
    decimal: Option<u8>,
    /// The format of times, such as "%d/%m/%Y %H:%M"; two columns are joined by a space.
    #[arg(long, value_name = "FORMAT", help_heading = "When detection needs help")]
    time_format: Option<String>,
    /// What times that are whole numbers count: s, ms, us or ns.
    #[arg(long, value_name = "UNIT", help_heading = "When detection needs help")]
    time_unit: Option<TimeUnit>,
    /// The zone of times without an offset, such as Europe/Berlin [default: UTC].
    #[arg(long, value_name = "ZONE", help_heading = "When detection needs help")]
    time_zone: Option<String>,
}

#[derive(Clone, Copy, Default, ValueEnum)]
enum BadRowsArg {
    /// The file is refused.
    #[default]
    Refuse,
    /// They are left out and counted.
    Drop,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum YesNo {
    Yes,
    No,
}

fn delimiter(text: &str) -> Result<u8, String> {
    match text.as_bytes() {
        _ if text == "tab" || text == "\\t" => Ok(b'\t'),
        [one]
            if one.is_ascii()
                && !one.is_ascii_alphanumeric()
                && !matches!(one, b'"' | b'\n' | b'\r' | b'#') =>
        {
            Ok(*one)
        }
        _ => Err("must be one sign, such as ; or |, or the word tab".to_owned()),
    }
}

fn decimal_sign(text: &str) -> Result<u8, String> {
    match text {
        "." => Ok(b'.'),
        "," => Ok(b','),
        _ => Err("must be . or ,".to_owned()),
    }
}

pub(crate) fn import_files(args: &ImportArgs) -> Result<(), Failure> {
    let options = options(args)?;
    let (name, folder) = target(args)?;
    let about = about(args, &name, &folder)?;
    let bar = ProgressBar::new(0);
    bar.set_style(
        ProgressStyle::with_template(
            "{bar:30} {percent:>3}% {bytes}/{total_bytes} {eta:>4} left  {wide_msg}",
        )
        .unwrap_or_else(|_| ProgressStyle::default_bar()),
    );
    let mut shown = String::new();
    let mut progress = |at: Progress<'_>| {
        bar.set_length(at.total);
        bar.set_position(at.read);
        if shown != at.file {
            at.file.clone_into(&mut shown);
            bar.set_message(shown.clone());
        }
    };
    let imported = import(&args.files, &folder, &about, &options, &mut progress);
    bar.finish_and_clear();
    let imported = imported.map_err(|error| {
        if error.is_input_error() {
            let mut message = error.to_string();
            if matches!(error, DatasetError::Import(ImportError::BadRows(_))) {
                message +=
                    "\n    mend the file, or leave such rows out with --bad-rows drop (they become gaps)";
            }
            Failure::input("cannot import", "FILE", message)
        } else {
            Failure::Failed(anyhow::Error::new(error).context("failed to import; the data set is as it was"))
        }
    })?;
    let (home, _) = catalogue()?;
    let location = folder.to_string_lossy();
    Catalogue::register(&home, &name, &location, &imported.manifest).map_err(failed)?;
    show::print(&report(&imported, &name, &folder));
    Ok(())
}

fn options(args: &ImportArgs) -> Result<ImportOptions, Failure> {
    let time_zone = match &args.time_zone {
        None => None,
        Some(zone) => Some(
            blockgrid_datasets::import::time_zone(zone)
                .map_err(|error| Failure::input("cannot import", "--time-zone", error.to_string()))?,
        ),
    };
    Ok(ImportOptions {
        symbol: args.symbol.clone(),
        interval: args.interval,
        delimiter: args.delimiter,
        header: args.header.map(|header| header == YesNo::Yes),
        columns: args.columns.clone(),
        time_format: args.time_format.clone(),
        time_unit: args.time_unit,
        time_zone,
        decimal: args.decimal,
        exact: args.exact,
        all_columns: args.all_columns,
        keep: None,
        bad_rows: match args.bad_rows {
            BadRowsArg::Refuse => BadRows::Refuse,
            BadRowsArg::Drop => BadRows::Drop,
        },
    })
}

/// The name of the data set and its folder.
fn target(args: &ImportArgs) -> Result<(String, PathBuf), Failure> {
    let of_dir = |dir: &PathBuf| {
        let whole = std::path::absolute(dir).ok()?;
        whole.file_name().map(|name| name.to_string_lossy().into_owned())
    };
    let name = match (&args.dataset, &args.dir) {
        (Some(name), _) => name.clone(),
        (None, Some(dir)) => of_dir(dir).unwrap_or_default(),
        (None, None) => DEFAULT.to_owned(),
    };
    Catalogue::check_name(&name).map_err(|error| Failure::data("--dataset", error))?;
    let (_, known) = catalogue()?;
    let folder = match (&args.dir, known.find(&name)) {
        (Some(dir), Some(entry)) => {
            let asked =
                Catalogue::absolute(&dir.to_string_lossy()).map_err(|error| Failure::data("--dir", error))?;
            if asked != entry.location {
                let message = format!(
                    "`{name}` is registered at {}: leave --dir out, or give another name with --dataset",
                    entry.location
                );
                return Err(Failure::input("cannot import", "--dir", message));
            }
            dir.clone()
        }
        (Some(dir), None) => dir.clone(),
        (None, Some(entry)) if entry.location.contains("://") => {
            let message = format!(
                "`{name}` lies at {}, which this build cannot write: give another name",
                entry.location
            );
            return Err(Failure::input("cannot import", "--dataset", message));
        }
        (None, Some(entry)) => PathBuf::from(&entry.location),
        (None, None) => known.folder_of(&name),
    };
    Ok((name, folder))
}

/// What stands in the manifest: what is given, else what stands there, else the names of the files.
fn about(args: &ImportArgs, name: &str, folder: &Path) -> Result<About, Failure> {
    let path = folder.join(blockgrid_datasets::MANIFEST);
    let before: Option<Manifest> = if path.is_file() {
        Some(
            blockgrid_datasets::Dataset::open(&folder.to_string_lossy())
                .map_err(|e| Failure::data("--dataset", e))?
                .manifest()
                .clone(),
        )
    } else {
        None
    };
    let files = || {
        let names: Vec<String> = args
            .files
            .iter()
            .filter_map(|f| f.file_name())
            .map(|f| f.to_string_lossy().into_owned())
            .collect();
        match names.as_slice() {
            [a, b, c, _, ..] => format!("imported from {a}, {b}, {c} and {} more", names.len() - 3),
            names => format!("imported from {}", names.join(", ")),
        }
    };
    let kept = |of: fn(&Manifest) -> &str| before.as_ref().map(|manifest| of(manifest).to_owned());
    Ok(About {
        name: kept(|m| &m.name).unwrap_or_else(|| name.to_owned()),
        source: args.source.clone().or_else(|| kept(|m| &m.source)).unwrap_or_else(files),
        licence: args
            .licence
            .clone()
            .or_else(|| kept(|m| &m.licence))
            .unwrap_or_else(|| "unknown".to_owned()),
        generator: None,
    })
}

fn count(n: u64) -> String {
    decimal(n as f64, 0)
}

fn report(imported: &Imported, name: &str, folder: &Path) -> String {
    let mut text = String::new();
    let mut shown: Vec<(&Detected, usize)> = Vec::new();
    for file in &imported.files {
        match shown.iter_mut().find(|(first, _)| first.reads_like(file)) {
            Some((_, more)) => *more += 1,
            None => shown.push((file, 0)),
        }
    }
    for (file, more) in shown {
        text += &format!("{file}\n");
        match more {
            0 => {}
            1 => text += "  and one more file like it\n",
            more => text += &format!("  and {more} more files like it\n"),
        }
    }
    text.push('\n');
    for series in &imported.series {
        text += &series_report(series);
    }
    let manifest = &imported.manifest;
    let rows: u64 = manifest.files.iter().map(|file| file.rows).sum();
    let symbols = manifest.symbols(None).len();
    text += &format!(
        "\n{name}: {} candles of {symbols} symbol{}, at {}\n",
        count(rows),
        if symbols == 1 { "" } else { "s" },
        folder.display()
    );
    text
}

fn series_report(series: &ImportedSeries) -> String {
    let parts = [(series.added, "added"), (series.changed, "changed"), (series.removed, "removed")];
    let mut done: Vec<String> =
        parts.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{} {what}", count(*n))).collect();
    if done.is_empty() {
        done.push("nothing changed".to_owned());
    } else if series.unchanged > 0 {
        done.push(format!("{} unchanged", count(series.unchanged)));
    }
    let mut text = format!(
        "{} {}: {} candles from {} to {}: {}\n",
        series.symbol,
        series.interval,
        count(series.candles),
        instant(series.first),
        instant(series.last),
        done.join(", ")
    );
    let slots = (series.last - series.first) / series.interval.millis() + 1;
    let missing = u64::try_from(slots).unwrap_or(0).saturating_sub(series.candles);
    if missing > 0 {
        text += &format!(
            "  {} missing between them: `blockgrid data describe` shows where\n",
            counted(missing.into(), "candle")
        );
    }
    for change in &series.examples {
        text += &format!("  {change}\n");
    }
    if !series.columns.is_empty() {
        text += &format!("  columns beside OHLCV: {}\n", series.columns.join(", "));
    }
    if series.cleaned > 0 {
        text += &format!(
            "  {} values were off their decimals by float noise and are the decimals now (--exact keeps their bits)\n",
            count(series.cleaned)
        );
    }
    if series.bad_rows.total() > 0 {
        text += &format!("  {} bad rows left out: {}\n", count(series.bad_rows.total()), series.bad_rows);
    }
    text
}
