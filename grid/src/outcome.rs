//! What became of a unit of work: the record that decides, of which the first to be written is final.

use serde::{Deserialize, Serialize};

use crate::plan::ObjectRef;
use crate::usage::UnitUsage;

/// What became of a unit of work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "state")]
pub enum Outcome {
    /// It is done.
    #[serde(rename_all = "camelCase")]
    Done {
        /// What it made.
        result: ObjectRef,
        /// Trials of it that failed by themselves; their rows are null.
        failed_trials: Vec<FailedTrial>,
        /// What it cost.
        usage: UnitUsage,
    },
    /// It cannot be done.
    #[serde(rename_all = "camelCase")]
    Failed {
        /// Why, for programs.
        reason: FailReason,
        /// Why, for people.
        message: String,
        /// What finding that out cost.
        usage: UnitUsage,
    },
}

impl Outcome {
    /// What it cost.
    pub fn usage(&self) -> &UnitUsage {
        match self {
            Self::Done { usage, .. } | Self::Failed { usage, .. } => usage,
        }
    }
}

/// A trial that failed while the others of its shard did not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FailedTrial {
    /// Its number in the grid.
    pub trial: u64,
    /// Why, for programs.
    pub reason: FailReason,
    /// Why, for people.
    pub message: String,
}

/// Why a unit or a trial failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum FailReason {
    /// The simulation panicked: a bug, told with its message.
    Panicked,
    /// It took many times what it was quoted.
    TimedOut,
    /// It needed more memory than a slot has.
    OutOfMemory,
    /// The process that computed it alone died.
    Crashed,
    /// The candles are not those that were planned on.
    DataChanged,
    /// The plan does not fit the engine.
    BadPlan,
    /// Two computations of one unit gave different bytes: nothing of the job can be trusted.
    ResultMismatch,
    /// Somebody cancelled the job.
    Cancelled,
    /// A fault of blockgrid or of the machine, three times over.
    Internal,
}

impl FailReason {
    /// Its name in metrics and records.
    pub fn id(self) -> &'static str {
        match self {
            Self::Panicked => "panicked",
            Self::TimedOut => "timedOut",
            Self::OutOfMemory => "outOfMemory",
            Self::Crashed => "crashed",
            Self::DataChanged => "dataChanged",
            Self::BadPlan => "badPlan",
            Self::ResultMismatch => "resultMismatch",
            Self::Cancelled => "cancelled",
            Self::Internal => "internal",
        }
    }
}
