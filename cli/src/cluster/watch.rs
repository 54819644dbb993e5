//! `kubectl backtest watch`: a job until it ends.

use std::io::IsTerminal;

use blockgrid_job::quote::counted;
use indicatif::{ProgressBar, ProgressStyle};

use super::client::Cluster;
use super::follow::follow;
use super::object::BacktestJob;
use super::program;
use crate::failure::Failure;
use crate::show;

/// Watches a job until it ends; it, if it has results.
pub(super) async fn watch(cluster: &Cluster, name: &str) -> Result<BacktestJob, Failure> {
    let mut shown = Shown::new();
    let mut is_first = true;
    let job = follow(cluster, name, |job| {
        if job.status.phase.is_terminal() {
            return Some(job.clone());
        }
        if std::mem::take(&mut is_first) {
            shown.note(&format!(
                "watching; Ctrl-C ends that, not the job: `{} cancel {name}{}`",
                program(),
                cluster.flags
            ));
        }
        shown.show(job);
        None
    })
    .await;
    shown.clear();
    let job = job?;
    if job.status.phase.has_results() {
        show::print(&format!("{}\n", last(&job)));
        return Ok(job);
    }
    Err(Failure::No(format!("{}\n{}", last(&job), advice(cluster, name))))
}

fn advice(cluster: &Cluster, name: &str) -> String {
    format!("`{} why {name}{}` says more", program(), cluster.flags)
}

/// How a job ended, in a line: the reason, and the message in full.
fn last(job: &BacktestJob) -> String {
    let status = &job.status;
    let mut line = format!("{}: {}: {}", job.name, job.ended_as(), job.full_message());
    if status.phase.has_results() {
        let trials = status.trials.map(|trials| counted(trials.into(), "trial"));
        let best = status.best.as_ref().map(|best| format!("best {best}"));
        let is_settled = status.settled_time.is_some() || status.reserved_micro_usd.is_none();
        let yet = if is_settled { "" } else { " so far" };
        let cost = status.cost.as_ref().map(|cost| format!("cost {cost}{yet}"));
        let facts: Vec<String> = [trials, best, cost].into_iter().flatten().collect();
        if !facts.is_empty() {
            line.push_str(&format!("; {}", facts.join(", ")));
        }
    }
    line
}

/// What is on the terminal: a bar, or a line for each change where there is none.
struct Shown {
    bar: Option<ProgressBar>,
    line: String,
}

impl Shown {
    fn new() -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(0);
            if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} shards  {elapsed}  {msg}") {
                bar.set_style(style);
            }
            bar.enable_steady_tick(std::time::Duration::from_secs(1));
            bar
        });
        Self { bar, line: String::new() }
    }

    fn note(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| show::note(text)),
            None => show::note(text),
        }
    }

    fn show(&mut self, job: &BacktestJob) {
        let status = &job.status;
        let shards = status.shards.unwrap_or_default();
        let said = if job.is_seen { job.message() } else { "the operator has not looked at it yet" };
        if let Some(bar) = &self.bar {
            bar.set_length(shards.total);
            bar.set_position(shards.done);
            bar.set_message(format!("{}: {said}", status.phase));
            return;
        }
        let progress = status.progress.as_ref().map(|done| format!(" {done} shards")).unwrap_or_default();
        let line = format!("{}{progress}: {said}", status.phase);
        if line != self.line {
            show::note(&line);
            self.line = line;
        }
    }

    fn clear(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
