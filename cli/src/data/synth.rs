//! `blockgrid data synth`.

use std::path::{Path, PathBuf};

use blockgrid_datasets::synthetic::{Asset, Climate, WALK_VERSION, Walk};
use blockgrid_datasets::{About, Catalogue, DatasetError, DatasetWriter, Generator, Manifest};
use blockgrid_engine::Interval;
use blockgrid_job::quote::grouped;
use clap::{Args, ValueHint};
use rayon::prelude::*;

use super::check::time;
use super::ls::size;
use super::{catalogue, failed, progress};
use crate::failure::Failure;
use crate::show;

/// Candles made at a time: few enough that they stay in the cache.
const CHUNK: usize = 8192;
/// The most candles a symbol can have: a century of minutes.
const MAX_CANDLES: i64 = 100 * 366 * 1440;
const MAX_SYMBOLS: usize = 10_000;

#[derive(Args)]
pub(crate) struct SynthArgs {
    /// How many symbols, or their names, separated by commas. A symbol depends on its name and the seed alone.
    #[arg(long, default_value = "3", value_name = "N|NAMES")]
    symbols: String,
    /// Length of a candle.
    #[arg(long, default_value = "1m")]
    interval: Interval,
    /// Open of the first candle (UTC).
    #[arg(long, default_value = "2023-01-01", value_name = "TIME", value_parser = time)]
    from: i64,
    /// End, exclusive [default: a year of 365 days].
    #[arg(long, value_name = "TIME", value_parser = time, conflicts_with = "candles")]
    to: Option<i64>,
    /// How many candles a symbol has, those in gaps included, instead of an end.
    #[arg(long, value_name = "N")]
    candles: Option<i64>,
    /// The same seed gives the same candles, on every machine.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Share of candles that are missing, such as 0.01.
    #[arg(long, default_value_t = 0.0, value_name = "SHARE")]
    gaps: f64,
    /// Jumps a year.
    #[arg(long, default_value_t = 0.0, default_missing_value = "12", num_args = 0..=1, value_name = "A_YEAR")]
    jumps: f64,
    /// Correlation between symbols, from 0 to 1.
    #[arg(long, default_value_t = 0.5)]
    correlation: f64,
    /// The name to register the data set under [default: synth, unless --out is given].
    #[arg(long, value_name = "NAME")]
    dataset: Option<String>,
    /// The folder to write, instead of that of the name.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    out: Option<PathBuf>,
}

pub(crate) fn synth(args: &SynthArgs) -> Result<(), Failure> {
    let (climate, slots) = check(args)?;
    let symbols = symbols(&args.symbols)?;
    let name = args.dataset.clone().or_else(|| args.out.is_none().then(|| "synth".to_owned()));
    if let Some(name) = &name {
        Catalogue::check_name(name).map_err(|error| Failure::data("--dataset", error))?;
    }
    let (home, known) = catalogue()?;
    let root = match (&args.out, &name) {
        (Some(out), _) => out.clone(),
        (None, name) => known.folder_of(name.as_deref().unwrap_or("synth")),
    };
    if let Some(name) = &name {
        let location =
            root.to_str().map_or_else(|| Ok(String::new()), Catalogue::absolute).map_err(failed)?;
        if let Some(other) = known.find(name).filter(|entry| entry.location != location) {
            let message = format!("`{name}` is registered at {}: give another name", other.location);
            return Err(Failure::input("cannot make candles", "--dataset", message));
        }
    }
    let manifest = write(&root, &about(args, name.as_deref()), &symbols, &climate, slots)?;
    if let Some(name) = &name {
        Catalogue::register(&home, name, &root.to_string_lossy(), &manifest).map_err(failed)?;
    }
    let candles: u64 = manifest.files.iter().map(|file| file.rows).sum();
    let bytes: u64 = manifest.files.iter().map(|file| file.bytes).sum();
    let (shown, used) = (root.display(), name.unwrap_or_else(|| root.display().to_string()));
    show::print(&format!(
        "{} candles of {} symbols at {}, {}, in {shown}: use it as `dataset: {used}`\n",
        grouped(u128::from(candles)),
        symbols.len(),
        args.interval,
        size(bytes),
    ));
    Ok(())
}

/// The climate and the slots of time of each symbol.
fn check(args: &SynthArgs) -> Result<(Climate, usize), Failure> {
    let bad = |field: &str, message: String| Failure::input("cannot make candles", field, message);
    if !(0.0..=0.9).contains(&args.gaps) {
        return Err(bad("--gaps", format!("is {}, but must be a share from 0 to 0.9", args.gaps)));
    }
    if !(0.0..=1.0).contains(&args.correlation) {
        return Err(bad("--correlation", format!("is {}, but must be from 0 to 1", args.correlation)));
    }
    if !(0.0..=100_000.0).contains(&args.jumps) {
        return Err(bad("--jumps", format!("is {}, but must be from 0 to 100000 a year", args.jumps)));
    }
    let ms = args.interval.millis();
    let from = args.interval.open_of(args.from);
    let (field, slots) = match (args.candles, args.to) {
        (Some(candles), _) => ("--candles", candles),
        (None, Some(to)) => ("--to", (to - from).div_euclid(ms)),
        (None, None) => ("--from", 365 * 86_400_000 / ms),
    };
    if !(1..=MAX_CANDLES).contains(&slots) {
        let message = format!(
            "gives {slots} candles a symbol, but there must be from 1 to {}",
            grouped(MAX_CANDLES as u128)
        );
        return Err(bad(field, message));
    }
    // The calendar that writes their years ends in 9999.
    if from.saturating_add(slots.saturating_mul(ms)) > 253_402_300_800_000 {
        return Err(bad(field, "goes beyond the year 9999: make fewer candles".to_owned()));
    }
    let climate = Climate {
        interval: args.interval,
        from_ms: from,
        seed: args.seed,
        gaps: args.gaps,
        jumps: args.jumps,
        correlation: args.correlation,
    };
    Ok((climate, usize::try_from(slots).unwrap_or(0)))
}

fn symbols(text: &str) -> Result<Vec<String>, Failure> {
    let bad = |message: String| Failure::input("cannot make candles", "--symbols", message);
    let names: Vec<String> = match text.parse::<usize>() {
        Ok(count) => {
            let digits = count.to_string().len();
            (1..=count.min(MAX_SYMBOLS + 1)).map(|i| format!("SYN-{i:0digits$}")).collect()
        }
        Err(_) => text.split(',').map(|name| name.trim().to_owned()).collect(),
    };
    if names.is_empty() || names.len() > MAX_SYMBOLS {
        return Err(bad(format!("is `{text}`, but there must be from 1 to {MAX_SYMBOLS} symbols")));
    }
    for (i, name) in names.iter().enumerate() {
        if names[..i].contains(name) {
            return Err(bad(format!("`{name}` is named twice")));
        }
    }
    Ok(names)
}

/// What the manifest says: everything that the candles depend on.
fn about(args: &SynthArgs, name: Option<&str>) -> About {
    let folder =
        args.out.as_deref().and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned());
    About {
        name: name.map(str::to_owned).or(folder).unwrap_or_else(|| "synth".to_owned()),
        source: format!(
            "blockgrid data synth, made from seed {} (gaps {}, jumps {} a year, correlation {}): no market, no vendor",
            args.seed, args.gaps, args.jumps, args.correlation
        ),
        licence: "CC0-1.0".to_owned(),
        generator: Some(Generator {
            name: "blockgrid-walk".to_owned(),
            version: WALK_VERSION,
            seed: args.seed,
        }),
    }
}

/// Makes and writes the symbols, as many at once as there are cores.
fn write(
    root: &Path,
    about: &About,
    symbols: &[String],
    climate: &Climate,
    slots: usize,
) -> Result<Manifest, Failure> {
    let failed = |error: DatasetError| Failure::data("--out", error);
    let mut writer = DatasetWriter::open(root, about).map_err(failed)?;
    if writer.manifest().is_some_and(|before| !before.synthetic) {
        let message =
            format!("`{}` holds candles that were not made up: give another folder", root.display());
        return Err(Failure::input("cannot make candles", "--out", message));
    }
    writer.start_over();
    let bar = progress((slots * symbols.len()) as u64, "candles");
    symbols
        .par_iter()
        .try_for_each(|symbol| {
            let mut series = writer.series(symbol, climate.interval)?;
            let mut walk = Walk::new(&Asset::of(symbol, climate.seed), climate);
            let mut left = slots;
            while left > 0 {
                let now = left.min(CHUNK);
                let candles =
                    walk.next(now).map_err(|e| DatasetError::Unwritable { message: e.to_string() })?;
                series.push(&candles)?;
                left -= now;
                bar.inc(now as u64);
            }
            series.finish()
        })
        .and_then(|()| writer.commit())
        .inspect(|_| bar.finish_and_clear())
        .map_err(failed)
}
