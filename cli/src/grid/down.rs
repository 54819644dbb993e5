//! `blockgrid down`: ends what `blockgrid up` started. Results and logs stay in the folder.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args;
use rustix::process::{Pid, Signal, kill_process};

use super::{Process, STATE, folder, running};
use crate::failure::Failure;
use crate::show;

/// How long processes may take to end by themselves: workers hand back what they are at.
const GRACE: Duration = Duration::from_secs(10);

#[derive(Args)]
pub(crate) struct DownArgs {
    /// The folder of the grid [default: ~/.local/state/blockgrid/grid].
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Remove the folder with all data and results.
    #[arg(long)]
    purge: bool,
}

pub(crate) fn down(args: &DownArgs) -> Result<(), Failure> {
    let folder = folder(args.dir.as_deref())?;
    match running(&folder) {
        Some(running) => {
            let stopped = stop(&running.processes, &folder);
            std::fs::remove_file(folder.join(STATE))?;
            show::note(&format!("{stopped} processes ended"));
        }
        None => show::note(&format!("no grid was started in {}", folder.display())),
    }
    if args.purge && folder.join("logs").is_dir() {
        std::fs::remove_dir_all(&folder)?;
    }
    Ok(())
}

/// Ends processes, workers before the servers they use; how many.
pub(super) fn stop(processes: &[Process], folder: &Path) -> usize {
    let (workers, servers): (Vec<&Process>, Vec<&Process>) =
        processes.iter().partition(|process| process.name.starts_with("worker"));
    [workers, servers].into_iter().map(|group| stop_group(&group, folder)).sum()
}

fn stop_group(processes: &[&Process], folder: &Path) -> usize {
    let alive: Vec<&&Process> = processes.iter().filter(|process| lives(process, folder)).collect();
    let signal = |process: &Process, signal| {
        if let Some(pid) = i32::try_from(process.pid).ok().and_then(Pid::from_raw) {
            // It may have ended meanwhile.
            let _ = kill_process(pid, signal);
        }
    };
    alive.iter().for_each(|process| signal(process, Signal::TERM));
    let until = Instant::now() + GRACE;
    while Instant::now() < until && alive.iter().any(|process| lives(process, folder)) {
        std::thread::sleep(Duration::from_millis(20));
    }
    alive.iter().filter(|process| lives(process, folder)).for_each(|process| signal(process, Signal::KILL));
    alive.len()
}

/// Whether a process lives and is the one that was started here: ids are used again.
pub(super) fn lives(process: &Process, folder: &Path) -> bool {
    let proc = PathBuf::from(format!("/proc/{}", process.pid));
    let Ok(status) = std::fs::read_to_string(proc.join("status")) else { return false };
    let zombie = status.lines().any(|line| line.starts_with("State:") && line.contains('Z'));
    !zombie && std::fs::read_link(proc.join("cwd")).is_ok_and(|cwd| cwd.starts_with(folder))
}
