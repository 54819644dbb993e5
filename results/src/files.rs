//! What the files of a result are called.

/// The tables of a result: trials, trades and equity.
pub const TABLES: [&str; 3] = ["trials.parquet", "trades.parquet", "equity.parquet"];

/// The report of a result. It is a function of plan, tables, traces and candles, and five megabytes of it are the same in
/// each: on a grid whoever wants it makes it.
pub const REPORT: &str = "report.html";

/// What the best trials did, bar by bar, in a result on a grid: what the report is made from.
pub const TRACES: &str = "traces.bin";

/// The file that tells what was asked, on which data, by which engine, and how long it took.
pub const RECORD: &str = "job.json";

/// What is asked, on what, in which shards: of a job on a grid, beside its results.
pub const PLAN: &str = "plan.json";
