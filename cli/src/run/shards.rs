//! The trials of a job in shards: each is kept when it is finished, so a run that was broken off goes on where it was.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use blockgrid_engine::graph::Graph;
use blockgrid_engine::sweep::SymbolRun;
use blockgrid_job::Job;
use blockgrid_job::plan::Slices;
use blockgrid_job::quote::counted;
use blockgrid_results::TrialTable;
use blockgrid_results::checkpoint::{read_shard, write_shard};
use blockgrid_worker::Ready;
use indicatif::{ProgressBar, ProgressStyle};
use sha2::{Digest, Sha256};
use signal_hook::consts::SIGINT;
use signal_hook::iterator::Signals;

use crate::failure::Failure;
use crate::show;
use blockgrid_planner::JobCandles;

/// Bars evaluated in one shard, about: a second or two of one core, so that little is lost.
const BARS_A_SHARD: usize = 1_000_000_000;
/// Fewest and most trials in a shard.
const TRIALS_A_SHARD: (usize, usize) = (16, 2048);
/// Folder of the finished shards inside the results folder, before the digest of the job.
const FOLDER: &str = ".shards-";

/// All trials, and how long those took that were not there yet: from candles in memory to metrics.
pub(super) struct Finished {
    pub(super) table: TrialTable,
    pub(super) compute: Duration,
}

/// Runs every shard that is not there yet and merges them in order.
pub(super) fn run(
    ready: &Ready,
    data: &JobCandles,
    runs: &[SymbolRun],
    graph: &mut Graph,
    out: &Path,
) -> Result<Finished, Failure> {
    let job = ready.job();
    let folder = out.join(format!("{FOLDER}{}", identity(ready, data)));
    let mut compute_time = Duration::ZERO;
    std::fs::create_dir_all(&folder)?;
    let stop = stop_flag();
    let trials = job.grid().len();
    let mut table = ready.table();
    let progress = progress(trials * runs.len());
    let mut found = 0;
    for (s, run) in runs.iter().enumerate() {
        let size = (BARS_A_SHARD / run.run().len().max(1)).clamp(TRIALS_A_SHARD.0, TRIALS_A_SHARD.1);
        for start in (0..trials).step_by(size) {
            let range = start..(start + size).min(trials);
            let path = folder.join(format!("{s:04}-{start:09}.shard"));
            let shard = match read_shard(&path) {
                Ok(shard) if is_of(&shard, job, &data.symbols[s].name, range.clone()) => {
                    found += shard.len();
                    shard
                }
                _ => {
                    if stop.load(Ordering::Relaxed) {
                        progress.abandon();
                        return Err(interrupted(&folder, trials * runs.len()));
                    }
                    let computing = Instant::now();
                    let shard = ready.trials(
                        s,
                        run,
                        graph,
                        &std::iter::once(range.start as u64..range.end as u64).collect::<Slices>(),
                    )?;
                    compute_time += computing.elapsed();
                    write_shard(&path, &shard)?;
                    shard
                }
            };
            progress.inc(shard.len() as u64);
            table.append(shard)?;
        }
        run.forget_columns();
    }
    progress.finish_and_clear();
    if found > 0 {
        show::note(&format!("resumed: {} computed before", counted(found as u128, "trial")));
    }
    Ok(Finished { table, compute: compute_time })
}

/// Whether a shard found on disk holds these trials: a file under a wrong name must not pass for another.
fn is_of(shard: &TrialTable, job: &Job, symbol: &str, range: std::ops::Range<usize>) -> bool {
    shard.len() == range.len()
        && shard.parameters.len() == job.grid().axes().len()
        && shard.symbol.iter().all(|name| **name == *symbol)
        && range.enumerate().all(|(row, trial)| {
            job.grid()
                .swept(trial)
                .iter()
                .zip(&shard.parameters)
                .all(|(value, (_, column))| *value == column[row])
        })
}

/// Removes the finished shards of a run that is complete, and those of earlier jobs in the same folder.
pub(super) fn forget(out: &Path) {
    for entry in std::fs::read_dir(out).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(FOLDER) {
            // What cannot be removed is only space: the next run of the job would find it and be right.
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

/// What the results are a function of: manifest, candles, engine, kernel.
fn identity(ready: &Ready, data: &JobCandles) -> String {
    let mut hash = Sha256::new();
    hash.update(&ready.plan().engine);
    hash.update(&ready.plan().kernel);
    hash.update(serde_json::to_vec(&ready.plan().manifest).unwrap_or_default());
    for symbol in &data.symbols {
        hash.update(&symbol.digest);
        hash.update(format!("{:?}", symbol.run));
    }
    hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

fn interrupted(folder: &Path, trials: usize) -> Failure {
    let is_shard = |entry: std::io::Result<std::fs::DirEntry>| {
        entry.is_ok_and(|entry| entry.path().extension().is_some_and(|extension| extension == "shard"))
    };
    let kept = std::fs::read_dir(folder).map_or(0, |entries| entries.map(is_shard).filter(|&is| is).count());
    Failure::Failed(anyhow::anyhow!(
        "interrupted: {kept} finished shards of {trials} trials are kept; run the same command again to go on"
    ))
}

/// Set by the first Ctrl-C, heard between shards; the second ends the program at once.
fn stop_flag() -> Arc<AtomicBool> {
    let stop = Arc::new(AtomicBool::new(false));
    let heard = Arc::clone(&stop);
    // Where no handler can be set, Ctrl-C just ends the program, and finished shards are kept all the same.
    if let Ok(mut signals) = Signals::new([SIGINT]) {
        std::thread::spawn(move || {
            for _ in signals.forever() {
                if heard.swap(true, Ordering::Relaxed) {
                    std::process::exit(130);
                }
                show::note("stopping after this shard; Ctrl-C again ends at once");
            }
        });
    }
    stop
}

fn progress(trials: usize) -> ProgressBar {
    let bar = ProgressBar::new(trials as u64);
    let style = ProgressStyle::with_template(
        "{bar:40} {human_pos}/{human_len} trials  {per_sec}  {elapsed} (left: {eta})",
    );
    if let Ok(style) = style {
        bar.set_style(style);
    }
    bar
}
