//! The `blockgrid` program: one `BacktestJob`, run on this machine, on a grid, or by a cluster.
//!
//! Exit codes: 0 done, 1 failed or interrupted, 2 bad input.
#![cfg_attr(not(test), warn(clippy::unwrap_used))]

mod cluster;
mod complete;
mod crds;
mod data;
mod eval;
mod explain;
mod failure;
mod grid;
mod indicators;
mod init;
mod load;
mod metrics;
mod query;
mod quote;
mod run;
mod show;
mod validate;

use std::path::PathBuf;
use std::process::ExitCode;

use blockgrid_job::Override;
use clap::{Args, Parser, Subcommand, ValueEnum};

use failure::Failure;

/// Backtests of trading strategies: from one manifest, on a laptop or a cluster, with the same tables.
#[derive(Parser)]
#[command(name = "blockgrid", version = blockgrid_grid::VERSION, propagate_version = true, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run a job: sweep, leaderboard, result tables and report.
    Run(RunArgs),
    /// Check a manifest; every error at once, with its field.
    Validate {
        #[command(flatten)]
        manifest: ManifestArgs,
        /// How to print.
        #[arg(long, value_enum, default_value_t)]
        output: Output,
    },
    /// Say what a job will take before it runs: processor hours, dollars, when it is done on so many workers.
    Quote {
        #[command(flatten)]
        manifest: ManifestArgs,
        /// How to print.
        #[arg(long, value_enum, default_value_t)]
        output: Output,
    },
    /// Show what a manifest resolves to: the graph, warm-up, and what trials share.
    Explain {
        #[command(flatten)]
        manifest: ManifestArgs,
    },
    /// Candles at rest: import, export, list, describe, check, verify.
    #[command(subcommand)]
    Data(data::DataCommand),
    /// Evaluate expressions over candles: blockgrid eval --data candles.csv "rsi(close, 14)".
    Eval(eval::EvalArgs),
    /// SQL over the result tables of a run: blockgrid query DIR "select * from trials limit 10".
    #[command(disable_help_flag = true)]
    Query {
        /// Passed on to the program `blockgrid-query`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<std::ffi::OsString>,
    },
    /// List indicators and functions, or explain one.
    Indicators {
        /// The name of an indicator or a function.
        name: Option<String>,
        /// Print the whole reference page as Markdown.
        #[arg(long, conflicts_with = "name")]
        markdown: bool,
    },
    /// List the metrics with their conventions.
    Metrics {
        /// Print the reference page as Markdown.
        #[arg(long)]
        markdown: bool,
    },
    /// Print the CustomResourceDefinitions of a cluster: blockgrid crds | kubectl apply --server-side -f -
    Crds {
        /// Only this one: backtestjobs or backtestbudgets.
        #[arg(long)]
        name: Option<String>,
    },
    /// Jobs of a Kubernetes cluster; as `kubectl backtest` too, where a link kubectl-backtest to this program is on the path.
    Cluster(cluster::ClusterArgs),
    /// Run a job on a grid: planned here, computed by its workers.
    Submit(grid::SubmitArgs),
    /// Wait for a job that was submitted, and fetch its results.
    Results(grid::ResultsArgs),
    /// Make the report of a job on a grid: blockgrid report s3://BUCKET/jobs/UID.
    Report(grid::report::ReportArgs),
    /// List the jobs of a grid.
    Ls(grid::LsArgs),
    /// End a job that was submitted.
    Cancel(grid::CancelArgs),
    /// Start a grid on this machine: Redis, an S3 server, workers.
    Up(grid::UpArgs),
    /// End the grid that `up` started.
    Down(grid::DownArgs),
    /// The bucket of a grid: what its settings are, and what they should be.
    #[command(subcommand)]
    Bucket(grid::BucketCommand),
    /// Print a link by which anyone may fetch a result file for a while.
    Link(grid::LinkArgs),
    /// Compute for a grid; `blockgrid worker --help` has the options.
    #[command(disable_help_flag = true)]
    Worker {
        /// Options of the worker.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<std::ffi::OsString>,
    },
    /// Write a commented starter manifest.
    Init {
        /// Where to; an existing file is kept.
        #[arg(default_value = "job.yaml")]
        file: PathBuf,
    },
    /// Print shell completions.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

/// A manifest and what is replaced in it.
#[derive(Args)]
struct ManifestArgs {
    /// The manifest (YAML or JSON).
    file: PathBuf,
    /// Replace a field below `spec`; may be given several times.
    #[arg(long = "set", value_name = "FIELD=VALUE")]
    set: Vec<String>,
}

#[derive(Args)]
struct RunArgs {
    #[command(flatten)]
    manifest: ManifestArgs,
    /// Folder for the results [default: blockgrid-out/NAME].
    #[arg(short, long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Threads to use [default: all cores]; changes no byte of the results.
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Memory for the columns of indicators, such as 512M or 4G; changes no byte of the results.
    #[arg(long, value_name = "BYTES", default_value = "1G")]
    memory: String,
    /// How trials are simulated; `bar-loop` is the definition, for comparison, and slow.
    #[arg(long, value_enum, default_value_t)]
    kernel: KernelChoice,
    /// How to print what came out.
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

/// How trials are simulated.
#[derive(Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum KernelChoice {
    /// From event to event.
    #[default]
    Events,
    /// Bar by bar.
    BarLoop,
}

impl From<KernelChoice> for blockgrid_engine::sweep::Kernel {
    fn from(choice: KernelChoice) -> Self {
        match choice {
            KernelChoice::Events => Self::Events,
            KernelChoice::BarLoop => Self::BarLoop,
        }
    }
}

/// How results are printed.
#[derive(Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Output {
    /// For people.
    #[default]
    Text,
    /// For machines.
    Json,
}

impl ManifestArgs {
    fn overrides(&self) -> Result<Vec<Override>, Failure> {
        let parsed: Vec<_> = self.set.iter().map(|text| text.parse::<Override>()).collect();
        let errors: Vec<_> = parsed.iter().filter_map(|result| result.clone().err()).collect();
        if errors.is_empty() {
            Ok(parsed.into_iter().flatten().collect())
        } else {
            Err(Failure::fields("bad --set", errors))
        }
    }
}

fn main() -> ExitCode {
    let command = match cluster::plugin() {
        Some(args) => Command::Cluster(args),
        None => Cli::parse().command,
    };
    let json = matches!(
        &command,
        Command::Run(RunArgs { output: Output::Json, .. })
            | Command::Validate { output: Output::Json, .. }
            | Command::Quote { output: Output::Json, .. }
            | Command::Submit(grid::SubmitArgs { output: Output::Json, .. })
            | Command::Results(grid::ResultsArgs { output: Output::Json, .. })
            | Command::Ls(grid::LsArgs { output: Output::Json, .. })
            | Command::Up(grid::UpArgs { output: Output::Json, .. })
    ) || matches!(&command, Command::Data(command) if command.json())
        || matches!(&command, Command::Bucket(command) if command.json())
        || matches!(&command, Command::Cluster(args) if args.json());
    let done = match command {
        Command::Run(args) => run::run(&args),
        Command::Validate { manifest, output } => validate::validate(&manifest, output),
        Command::Quote { manifest, output } => quote::quote(&manifest, output),
        Command::Explain { manifest } => explain::explain(&manifest),
        Command::Data(command) => data::data(&command),
        Command::Eval(args) => eval::eval(&args),
        Command::Query { args } => return query::query(&args),
        Command::Indicators { name, markdown } => indicators::indicators(name.as_deref(), markdown),
        Command::Metrics { markdown } => {
            metrics::metrics(markdown);
            Ok(())
        }
        Command::Crds { name } => crds::crds(name.as_deref()),
        Command::Cluster(args) => cluster::cluster(&args),
        Command::Submit(args) => grid::submit(&args),
        Command::Results(args) => grid::results(&args),
        Command::Report(args) => grid::report::run(&args),
        Command::Ls(args) => grid::ls(&args),
        Command::Cancel(args) => grid::cancel(&args),
        Command::Up(args) => grid::up(&args),
        Command::Down(args) => grid::down(&args),
        Command::Bucket(command) => grid::bucket(&command),
        Command::Link(args) => grid::link(&args),
        Command::Worker { args } => {
            let name = std::iter::once("blockgrid worker".into());
            return blockgrid_worker::program::main(name.chain(args));
        }
        Command::Init { file } => init::init(&file),
        Command::Completions { shell } => {
            complete::completions(shell);
            Ok(())
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(json),
    }
}
