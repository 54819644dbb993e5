//! `kubectl backtest`, which is `blockgrid cluster` by another name: jobs of a Kubernetes cluster, for those who write them.

mod cancel;
mod client;
mod follow;
mod links;
mod logs;
mod ls;
mod object;
mod quote;
mod results;
mod submit;
mod suspend;
mod watch;
mod why;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use clap::{Args, Parser, Subcommand};

use crate::failure::Failure;
use crate::grid::block_on;
use crate::{ManifestArgs, Output};

/// The name under which kubectl finds the program: `kubectl backtest`.
const PLUGIN: &str = "kubectl-backtest";

/// Backtests on a Kubernetes cluster: submit a job, watch it, ask why it waits, fetch its results.
#[derive(Parser)]
#[command(name = "kubectl-backtest", bin_name = "kubectl backtest", version, max_term_width = 100)]
struct Plugin {
    #[command(flatten)]
    args: ClusterArgs,
}

/// A command, and where it is done.
#[derive(Args)]
pub(crate) struct ClusterArgs {
    #[command(flatten)]
    which: WhichCluster,
    #[command(subcommand)]
    command: ClusterCommand,
}

/// Which cluster and namespace, as kubectl has it.
#[derive(Args)]
struct WhichCluster {
    /// The namespace [default: that of the context].
    #[arg(short, long, global = true, value_name = "NAME")]
    namespace: Option<String>,
    /// The context of the kubeconfig [default: the current one].
    #[arg(long, global = true, value_name = "NAME")]
    context: Option<String>,
    /// The kubeconfig [default: $KUBECONFIG, or ~/.kube/config].
    #[arg(long, global = true, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
}

#[derive(Subcommand)]
enum ClusterCommand {
    /// Say what a job will take, where its data set is on this machine too.
    Quote {
        #[command(flatten)]
        manifest: ManifestArgs,
        /// How to print.
        #[arg(long, value_enum, default_value_t)]
        output: Output,
    },
    /// Create a job from a manifest, checked here first.
    Submit(submit::SubmitArgs),
    /// List jobs, the youngest first.
    Ls(ls::LsArgs),
    /// Watch a job until it ends; exits with 0 if it has results, else with 1.
    Watch(JobName),
    /// Say what a job waits for or how it ended, with the numbers.
    Why(why::WhyArgs),
    /// Print what the workers of a job say.
    Logs(logs::LogsArgs),
    /// End a job for good.
    Cancel(ChangeArgs),
    /// Let a job rest: it gives up its workers and keeps what it has.
    Suspend(ChangeArgs),
    /// Let a suspended job go on.
    Resume(ChangeArgs),
    /// Fetch the results of a job: the tables of `blockgrid run` to the byte, the record of the grid, a report.
    Results(results::ResultsArgs),
}

#[derive(Args)]
struct JobName {
    /// The job.
    name: String,
}

/// A job that is changed.
#[derive(Args)]
struct ChangeArgs {
    /// The job.
    name: String,
    /// Do not wait until its status says so.
    #[arg(long)]
    no_wait: bool,
}

impl ClusterArgs {
    /// Whether machines read the answer.
    pub(crate) fn json(&self) -> bool {
        let output = match &self.command {
            ClusterCommand::Quote { output, .. } => *output,
            ClusterCommand::Ls(args) => args.output,
            ClusterCommand::Why(args) => args.output,
            ClusterCommand::Results(args) => args.output,
            _ => Output::Text,
        };
        output == Output::Json
    }
}

/// Whether the program was called as the plugin of kubectl.
fn is_plugin() -> bool {
    let name = std::env::args_os().next().unwrap_or_default();
    let name = Path::new(&name).file_name().and_then(OsStr::to_str).unwrap_or_default();
    name.strip_suffix(".exe").unwrap_or(name) == PLUGIN
}

/// What was asked of the program, if it was called as the plugin of kubectl.
pub(crate) fn plugin() -> Option<ClusterArgs> {
    is_plugin().then(|| Plugin::parse().args)
}

/// How the program is called, for advice.
fn program() -> &'static str {
    if is_plugin() { "kubectl backtest" } else { "blockgrid cluster" }
}

pub(crate) fn cluster(args: &ClusterArgs) -> Result<(), Failure> {
    if let ClusterCommand::Quote { manifest, output } = &args.command {
        return quote::quote(manifest, *output);
    }
    // Several libraries speak TLS here: one provider for all.
    let _ = rustls::crypto::ring::default_provider().install_default();
    // What can be wrong without a cluster is told without one.
    let prepared = match &args.command {
        ClusterCommand::Submit(args) => Some(submit::prepare(args)?),
        _ => None,
    };
    block_on(async {
        let cluster = client::connect(&args.which).await?;
        match (&args.command, prepared) {
            (ClusterCommand::Quote { .. }, _) => Ok(()),
            (ClusterCommand::Submit(args), prepared) => submit::submit(cluster, args, prepared).await,
            (ClusterCommand::Ls(args), _) => ls::ls(&cluster, args).await,
            (ClusterCommand::Watch(job), _) => watch::watch(&cluster, &job.name).await.map(|_| ()),
            (ClusterCommand::Why(args), _) => why::why(&cluster, args).await,
            (ClusterCommand::Logs(args), _) => logs::logs(&cluster, args).await,
            (ClusterCommand::Cancel(args), _) => cancel::cancel(&cluster, args).await,
            (ClusterCommand::Suspend(args), _) => suspend::suspend(&cluster, args).await,
            (ClusterCommand::Resume(args), _) => suspend::resume(&cluster, args).await,
            (ClusterCommand::Results(args), _) => results::results(&cluster, args).await,
        }
    })
}
