//! `blockgrid bucket`: the settings of a bucket that a grid relies on.

use blockgrid_grid::Store;
use blockgrid_grid::bucket::{Bucket, Finding, Policy, State};
use clap::{Args, Subcommand};
use serde_json::json;

use super::{WhichStore, block_on, store_failure};
use crate::failure::Failure;
use crate::{Output, show};

/// Writers that race for a key, and how many keys: a server that lets two win shows it in the first rounds.
const WRITERS: usize = 16;
const RACES: usize = 10;

#[derive(Subcommand)]
pub(crate) enum BucketCommand {
    /// Look at the settings, and let writers race for objects under probe/, which are removed again.
    ///
    /// Exits 1 when a setting is missing or unknown, or when a race has not one winner. What the server has no setting
    /// for is no fault: the table says what to do instead.
    Check(BucketArgs),
    /// Make the settings that are missing, then check and try a write. Lifecycle rules of others stay.
    ///
    /// Encryption that it turned on is taken away again where nothing can be written with it: the server has no key.
    Setup(BucketArgs),
}

#[derive(Args)]
pub(crate) struct BucketArgs {
    #[command(flatten)]
    store: WhichStore,
    /// Days after which parts of an unfinished upload go.
    #[arg(long, value_name = "DAYS", default_value_t = Policy::default().upload_days, value_parser = days())]
    days_uploads: u16,
    /// Days after which results in the cache go, at least 8: jobs count on them to be there while they wait.
    #[arg(long, value_name = "DAYS", default_value_t = Policy::default().cache_days, value_parser = days_of_cache())]
    days_cache: u16,
    /// Days after which plans, outcomes and results of jobs go.
    #[arg(long, value_name = "DAYS", default_value_t = Policy::default().jobs_days, value_parser = days())]
    days_jobs: u16,
    /// How to print.
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

fn days() -> clap::builder::RangedI64ValueParser<u16> {
    clap::value_parser!(u16).range(1..)
}

fn days_of_cache() -> clap::builder::RangedI64ValueParser<u16> {
    clap::value_parser!(u16).range(8..)
}

impl BucketCommand {
    /// Whether errors are for machines too.
    pub(crate) fn json(&self) -> bool {
        let (Self::Check(args) | Self::Setup(args)) = self;
        args.output == Output::Json
    }
}

/// `blockgrid bucket check` and `setup`.
pub(crate) fn bucket(command: &BucketCommand) -> Result<(), Failure> {
    let (args, setup) = match command {
        BucketCommand::Check(args) => (args, false),
        BucketCommand::Setup(args) => (args, true),
    };
    let policy =
        Policy { upload_days: args.days_uploads, cache_days: args.days_cache, jobs_days: args.days_jobs };
    let (location, options) = args.store.find()?;
    let (findings, probed) = block_on(async {
        let bucket = Bucket::open(&location, &options).await.map_err(store_failure)?;
        // What keeps every question from being answered is told once.
        Store::open(&location, &options)?.list("probe").await.map_err(store_failure)?;
        let findings = if setup { bucket.setup(&policy).await } else { bucket.check(&policy).await };
        // What was found of the settings may say why nothing can be written.
        let probed = bucket.probe(WRITERS, RACES).await.unwrap_or_else(|error| Finding {
            what: "conditional writes",
            state: State::Unknown,
            says: error.to_string(),
        });
        Ok((findings, probed))
    })?;
    let is_fine = findings.iter().all(|found| matches!(found.state, State::Ok | State::Unsupported))
        && probed.state == State::Ok;
    let findings: Vec<Finding> = findings.into_iter().chain([probed]).collect();
    show::print(&match args.output {
        Output::Text => text(&findings),
        Output::Json => {
            let list: Vec<_> = findings
                .iter()
                .map(
                    |found| json!({"what": found.what, "state": found.state.to_string(), "says": found.says}),
                )
                .collect();
            format!("{}\n", json!({"store": location, "fine": is_fine, "findings": list}))
        }
    });
    if is_fine { Ok(()) } else { Err(Failure::No(format!("{location} is not as a grid wants it"))) }
}

fn text(findings: &[Finding]) -> String {
    let mut table = show::table();
    table.set_header(["setting", "state", "what there is, and the remedy"]);
    for found in findings {
        table.add_row([found.what.to_owned(), found.state.to_string(), found.says.clone()]);
    }
    show::lines(&table)
}
