//! The plan of a job: everything that a worker needs to know to compute any unit of it, and get the same bytes.
//!
//! `plan.json` is the commit: until it exists there is no job, and once it exists nothing of it changes. Shards stand in
//! it where they are few, else in parts beside it that were written before.

mod parts;

use std::collections::BTreeSet;

use blockgrid_engine::Interval;
use blockgrid_job::plan::{CostModel, Shard, Slices};
use blockgrid_job::quote::Price;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Tenant;

pub use parts::{BadPart, SHARDS_A_PART, decode_part, encode_part, parameters};

/// The version of `plan.json` that this program writes and reads.
pub const FORMAT: u32 = 1;

/// Shards up to which a plan holds them itself, which spares small jobs an object.
pub const MOST_INLINE: u64 = 256;

/// What results are a function of, apart from the plan itself: a digest of the engine's sources and its target.
pub const ENGINE: &str = env!("BLOCKGRID_ENGINE_ID");

/// What programs say of themselves: two builds that say the same give the same results, and may work on the same jobs.
pub const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " (engine ", env!("BLOCKGRID_ENGINE_ID"), ")");

/// An object and the digest of its bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ObjectRef {
    /// Key in the store.
    pub key: String,
    /// SHA-256 of its bytes.
    pub sha256: String,
    /// How many bytes.
    pub bytes: u64,
}

/// A job as it was planned.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// [`FORMAT`].
    pub format: u32,
    /// Whose.
    pub tenant: Tenant,
    /// Who asked: lanes serve owners in turns.
    pub owner: String,
    /// The engine that results are a function of: another one must not touch the job.
    pub engine: String,
    /// The version that people know it by.
    pub engine_version: String,
    /// How trials are simulated.
    pub kernel: String,
    /// The resolved manifest.
    pub manifest: Value,
    /// The manifest as its author wrote it, for the report.
    pub text: String,
    /// What the trials run on.
    pub inputs: Inputs,
    /// Parameter sets of the grid; trials are these times the symbols.
    pub parameter_sets: u64,
    /// How many shards.
    pub shards: u64,
    /// The shards, where they are few.
    pub inline: Vec<Shard>,
    /// Where they stand otherwise, [`SHARDS_A_PART`] in each but the last.
    pub parts: Vec<ObjectRef>,
    /// Trials that were computed before.
    pub cached: Vec<Cached>,
    /// What the shards were sized by.
    pub calibration: CostModel,
    /// The sum of what the shards were quoted, in vCPU-microseconds.
    pub cost_micros: u64,
    /// What the job was quoted; an older planner wrote none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quoted: Option<Quoted>,
}

/// What a job was quoted when it was planned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Quoted {
    /// What it takes with its finish, in vCPU-microseconds.
    pub micros: u64,
    /// The price of its class.
    pub price: Price,
}

impl Plan {
    /// Trials of the job, cached ones included.
    pub fn trials(&self) -> u64 {
        self.parameter_sets * self.inputs.symbols.len() as u64
    }

    /// Trials that were computed before.
    pub fn cached_trials(&self) -> u64 {
        self.cached.iter().map(|cached| cached.trials.len()).sum()
    }
}

/// What the trials of a job run on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Inputs {
    /// The length of a candle.
    pub interval: Interval,
    /// Intervals that columns live on.
    pub frames: BTreeSet<Interval>,
    /// Columns computed, each once.
    pub columns: u64,
    /// Columns that would be computed if trials shared nothing.
    pub unshared_columns: u64,
    /// Whether the candles were made, not traded.
    pub synthetic: bool,
    /// What the candles are, in a few words.
    pub source: String,
    /// Symbol by symbol, in the order of the job.
    pub symbols: Vec<SymbolInput>,
    /// What a reader of the results should know about the candles.
    pub remarks: Vec<String>,
    /// What a reader of the leaderboard should know besides.
    pub notices: Vec<String>,
}

/// The candles of one symbol.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SymbolInput {
    /// Its name.
    pub name: String,
    /// Digest of the candles by their values, history included, before gaps were filled. Their snapshot bears it as name.
    pub digest: String,
    /// Candles in the snapshot.
    pub candles: u64,
    /// Whether they have as much history as any trial wants.
    #[serde(default)]
    pub has_whole_history: bool,
    /// Names what trials of it depend on beside their parameters and the history: jobs of one family share results.
    pub family: String,
    /// First candle that is traded, counted after filling.
    pub run_start: u64,
    /// The one after the last.
    pub run_end: u64,
    /// Open of the first candle that is traded, UTC milliseconds.
    pub from: i64,
    /// Open of the last one.
    pub last_open: i64,
    /// Candles that are missing among the traded ones.
    pub gaps: u64,
    /// Candles that were made to fill gaps among them.
    pub filled: u64,
    /// Rows that were left out because they were no candles.
    pub bad_rows: u64,
    /// What the checks found, as `job.json` tells it.
    pub findings: Value,
    /// The same in words; `true` for a violation.
    pub findings_text: Vec<(bool, String)>,
}

impl SymbolInput {
    /// Bars that are traded.
    pub fn bars(&self) -> u64 {
        self.run_end - self.run_start
    }
}

/// Trials of a symbol that need not run: they are rows of a table that exists, found there by their parameters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Cached {
    /// Place of the symbol in the job.
    pub symbol: u32,
    /// The table.
    pub result: ObjectRef,
    /// The trials, by their number in the grid.
    pub trials: Slices,
}
