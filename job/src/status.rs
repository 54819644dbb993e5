//! `status` of a `BacktestJob`: what the operator says about a job, at most 16 KiB whatever the job's size.
//!
//! Times are RFC 3339 in UTC with whole seconds, money is whole micro-USD. Fields of which nothing is known are left out.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The most bytes that a status may take as JSON.
pub const MAX_STATUS_BYTES: usize = 16 << 10;

/// Where a job is on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub enum Phase {
    /// It was accepted, and nothing has been done for it yet.
    #[default]
    Pending,
    /// Its candles are read and its shards laid out.
    Planning,
    /// It waits for its budget, its quota or its queue.
    Queued,
    /// Workers compute its shards.
    Running,
    /// All shards are done; tables and traces are being written.
    Finishing,
    /// Its results are there.
    Succeeded,
    /// Its results are there, but some trials failed by themselves.
    PartiallySucceeded,
    /// It ended without results.
    Failed,
    /// Somebody cancelled it.
    Cancelled,
    /// Somebody suspended it; it keeps what it has.
    Suspended,
    /// It was not done within `compute.deadline`.
    DeadlineExceeded,
    /// It reached `compute.maxCostUsd` or its budget's limit.
    BudgetExceeded,
}

impl Phase {
    /// All of them, in the order of a job's life.
    pub const ALL: [Self; 12] = [
        Self::Pending,
        Self::Planning,
        Self::Queued,
        Self::Running,
        Self::Finishing,
        Self::Succeeded,
        Self::PartiallySucceeded,
        Self::Failed,
        Self::Cancelled,
        Self::Suspended,
        Self::DeadlineExceeded,
        Self::BudgetExceeded,
    ];

    /// As a manifest has it.
    pub fn id(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Planning => "Planning",
            Self::Queued => "Queued",
            Self::Running => "Running",
            Self::Finishing => "Finishing",
            Self::Succeeded => "Succeeded",
            Self::PartiallySucceeded => "PartiallySucceeded",
            Self::Failed => "Failed",
            Self::Cancelled => "Cancelled",
            Self::Suspended => "Suspended",
            Self::DeadlineExceeded => "DeadlineExceeded",
            Self::BudgetExceeded => "BudgetExceeded",
        }
    }

    /// Whether it is the last one: a job never leaves it.
    pub fn is_terminal(self) -> bool {
        matches!(
            self,
            Self::Succeeded
                | Self::PartiallySucceeded
                | Self::Failed
                | Self::Cancelled
                | Self::DeadlineExceeded
                | Self::BudgetExceeded
        )
    }

    /// Whether there are results.
    pub fn has_results(self) -> bool {
        matches!(self, Self::Succeeded | Self::PartiallySucceeded)
    }
}

impl std::fmt::Display for Phase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.id())
    }
}

/// Who computes a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum LaneKind {
    /// The warm workers that all small jobs share.
    Interactive,
    /// Workers of its own.
    Pool,
}

/// What the operator says about a job.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct JobStatus {
    /// The generation of the spec that this was said about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Where it is on its way.
    pub phase: Phase,
    /// What is going on, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Shards that are done, of all: `12/200`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress: Option<String>,
    /// The best trial so far in the end: metric and value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub best: Option<String>,
    /// What it has cost, as people write it: `$0.0123`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost: Option<String>,
    /// Workers of its own that are ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workers: Option<i32>,
    /// Who computes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lane: Option<LaneKind>,
    /// Trials of the job.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trials: Option<u64>,
    /// Trials that an earlier job had computed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cached_trials: Option<u64>,
    /// Its shards.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shards: Option<ShardCounts>,
    /// What it was expected to cost before it ran.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quote: Option<QuoteStatus>,
    /// Micro-USD that budgets hold for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reserved_micro_usd: Option<u64>,
    /// Whom it counts for in budgets: its user where the platform believes its label, else its namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// What it was let in by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub terms: Option<Terms>,
    /// Micro-USD that it has cost.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spent_micro_usd: Option<u64>,
    /// When that was counted: workers that run cost more since.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spent_time: Option<String>,
    /// When its workers were gone and its cost was written down: from then on it is final.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub settled_time: Option<String>,
    /// When its plan was committed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub planned_time: Option<String>,
    /// When it was first let run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_time: Option<String>,
    /// Since when it rests, though it was let run: suspended, drained by its budget, or in a queue of the cluster's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resting_since: Option<String>,
    /// Since when money is held for it while no worker is ready; what its budget drains does not count.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle_since: Option<String>,
    /// When it ends if no worker of it is ready until then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle_deadline: Option<String>,
    /// Seconds that it rested before, which count for no deadline.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rested_seconds: Option<u64>,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completion_time: Option<String>,
    /// The engine that its plan is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub engine: Option<String>,
    /// The image that its own workers run: the one of the operator that planned it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Its results in the store.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub results: Option<ResultsRef>,
    /// Links to the results, where somebody asked for them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub links: Option<Links>,
    /// What holds, each with its reason.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}

/// How many shards there are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ShardCounts {
    /// All.
    pub total: u64,
    /// Those that are done.
    pub done: u64,
}

/// What a job was expected to cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct QuoteStatus {
    /// Its work, in vCPU-microseconds.
    pub vcpu_micros: u64,
    /// What it costs if all goes well, in micro-USD.
    pub low_micro_usd: u64,
    /// What it costs.
    pub mid_micro_usd: u64,
    /// What it costs at most.
    pub high_micro_usd: u64,
    /// The lowest `compute.maxCostUsd` with which it is let in.
    pub least_micro_usd: u64,
}

/// What a job was let in by: it is charged by this to its end, whatever prices and limits have become since.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Terms {
    /// Micro-USD of an hour of a vCPU.
    pub micro_usd_per_vcpu_hour: u64,
    /// Micro-USD of a thousand requests to the store that read.
    #[serde(rename = "microUsdPer1000Reads")]
    pub micro_usd_per_1000_reads: u64,
    /// Micro-USD of a thousand that write or list.
    #[serde(rename = "microUsdPer1000Writes")]
    pub micro_usd_per_1000_writes: u64,
    /// Thousandths of a vCPU that a worker of its class has.
    pub millicpus: u64,
    /// Seconds that it may take: more only within the platform's limit.
    pub deadline_seconds: u64,
}

/// Results in the store.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ResultsRef {
    /// Where: `s3://BUCKET/PREFIX/jobs/UID`.
    pub location: String,
    /// The record (`job.json`) within the store.
    pub record: String,
    /// SHA-256 of the record's bytes.
    pub sha256: String,
}

/// Links that open results for a while.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Links {
    /// The request that they answer: the value of the annotation that asked.
    pub request: String,
    /// Until when they work.
    pub until: String,
    /// A link for each file.
    pub files: BTreeMap<String, String>,
}

/// A condition, as Kubernetes has them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Condition {
    /// What it is about: `Finished`, `Succeeded`, `Failed`, `Admitted`, ...
    #[serde(rename = "type")]
    pub kind: String,
    /// `True`, `False` or `Unknown`.
    pub status: String,
    /// Why, for programs: one word.
    pub reason: String,
    /// Why, for people.
    pub message: String,
    /// When `status` changed last.
    pub last_transition_time: String,
    /// The generation of the spec that it was said about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
}

impl JobStatus {
    /// The condition about something.
    pub fn condition(&self, kind: &str) -> Option<&Condition> {
        self.conditions.iter().find(|condition| condition.kind == kind)
    }

    /// When it began, if it has.
    pub fn started(&self) -> Option<Timestamp> {
        self.start_time.as_deref()?.parse().ok()
    }

    /// How long ago that was; nothing where it has not begun.
    pub fn taken(&self, now: Timestamp) -> Duration {
        self.started().map_or(Duration::ZERO, |started| now.duration_since(started).unsigned_abs())
    }
}

/// After this long an operator tells whatever has changed of a job that has taken so long: it is told of some three dozen times
/// in a day.
pub fn longest_silence(taken: Duration) -> Duration {
    (taken / 3).max(MOMENTS)
}

/// When a job was told of that had taken so long, it is told of again within this time, however it goes: see
/// [`longest_silence`], which grows while it lasts.
pub fn next_word_within(taken: Duration) -> Duration {
    (taken / 2).max(MOMENTS)
}

/// What an operator may always be silent for.
const MOMENTS: Duration = Duration::from_secs(300);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_ends_when_it_is_said_to() {
        for taken in [0, 60, 599, 600, 900, 10_000, 100_000].map(Duration::from_secs) {
            let within = next_word_within(taken);
            let (sooner, moment) = (within - Duration::from_secs(1), Duration::from_secs(1));
            assert!(longest_silence(taken + within) <= within + moment / 1000, "{taken:?}");
            assert!(longest_silence(taken + sooner) > sooner, "{taken:?}");
        }
    }

    #[test]
    fn phases_are_written_as_they_are_called() {
        for phase in Phase::ALL {
            assert_eq!(serde_json::to_value(phase).unwrap(), serde_json::json!(phase.id()));
            assert!(!phase.has_results() || phase.is_terminal());
        }
    }

    #[test]
    fn what_is_unknown_is_left_out_and_read_again() {
        let empty = serde_json::to_value(JobStatus::default()).unwrap();
        assert_eq!(empty, serde_json::json!({ "phase": "Pending" }));
        assert_eq!(serde_json::from_value::<JobStatus>(serde_json::json!({})).unwrap(), JobStatus::default());
    }
}
