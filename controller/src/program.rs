//! The operator's program.
//!
//! Exit codes: 0 told to stop, 78 bad configuration, 1 it cannot go on.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use blockgrid_grid::telemetry::Telemetry;
use blockgrid_grid::{JobId, Options, Queue as _, RedisQueue, Store, StoreError};
use clap::{Args, Parser, Subcommand};
use kube::Client;
use tokio::runtime::Handle;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tracing_subscriber::EnvFilter;

use crate::config::Config;
use crate::election::{Candidate, Election};
use crate::health::{self, Health};
use crate::lead::{Means, lead};
use crate::meters::Meters;
use crate::planning::outside::work;

/// Bad configuration, as `sysexits.h` has it.
const CONFIG: u8 = 78;

/// How long what is being done may take after SIGTERM or the loss of the lease.
const DRAIN: Duration = Duration::from_secs(20);

/// How long giving the lease up may take: with it a replica that is told to stop ends within the grace of a pod, 30 s.
const RESIGN: Duration = Duration::from_secs(5);

/// How long reading candles may try before the plan is put off.
const CANDLES_PATIENCE: Duration = Duration::from_secs(30);

const HELP: &str = "\
Logs are lines of JSON on standard error; RUST_LOG=debug or blockgrid_controller=debug tells more.
Keys of the store are those of AWS_ACCESS_KEY_ID and its like.";

/// Runs BacktestJobs on Kubernetes: plans them, asks their budgets, starts workers, and says how far they are.
#[derive(Parser)]
#[command(name = "blockgrid-controller", version = blockgrid_grid::VERSION, max_term_width = 100, after_help = HELP)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Be the operator: see to all jobs for as long as this replica leads.
    Run(Operator),
    /// Make the plan of one job that the operator has left in the store, and end.
    Plan(PlanArgs),
}

#[derive(Args)]
struct PlanArgs {
    /// Uid of the job.
    #[arg(long, value_name = "UID")]
    job: JobId,
    #[command(flatten)]
    store: StoreArgs,
}

#[derive(Args)]
struct StoreArgs {
    /// The object store: s3://BUCKET/PREFIX.
    #[arg(long, value_name = "URL", env = "BLOCKGRID_STORE")]
    store: String,
    /// The S3 server where it is not AWS.
    #[arg(long, value_name = "URL", env = "BLOCKGRID_S3_ENDPOINT")]
    s3_endpoint: Option<String>,
}

impl StoreArgs {
    fn open(&self, endpoint: Option<&String>) -> Result<Store, StoreError> {
        let endpoint = endpoint.or(self.s3_endpoint.as_ref()).cloned();
        Store::open(&self.store, &Options { endpoint, ..Options::default() })
    }

    /// How data sets in S3 are reached.
    fn candles(&self) -> Options {
        Options { endpoint: self.s3_endpoint.clone(), patience: CANDLES_PATIENCE, ..Options::default() }
    }
}

#[derive(Args)]
struct Operator {
    /// The configuration, as the chart writes it.
    #[arg(long, value_name = "FILE", env = "BLOCKGRID_CONFIG")]
    config: PathBuf,
    #[command(flatten)]
    store: StoreArgs,
    /// The queue: redis://HOST:PORT or rediss://USER:PASSWORD@HOST:PORT.
    #[arg(long, value_name = "URL", env = "BLOCKGRID_REDIS", hide_env_values = true)]
    redis: String,
    /// The namespace that it runs in, whose budgets limit the whole grid [default: the one of its kubeconfig].
    #[arg(long, value_name = "NAME", env = "POD_NAMESPACE")]
    namespace: Option<String>,
    /// Its name among the replicas [default: a random one].
    #[arg(long, value_name = "NAME", env = "POD_NAME")]
    name: Option<String>,
    /// Serve /livez, /readyz and /metrics here.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9100")]
    http: SocketAddr,
}

/// Runs the operator's program with these arguments, the program's name first.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { CONFIG } else { 0 });
        }
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt().json().with_env_filter(filter).with_writer(std::io::stderr).init();
    // Several libraries speak TLS here: one provider for all.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = || tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let thread = || {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("lease")
            .enable_all()
            .build()
    };
    let ended = match cli.command {
        Command::Run(operator) => thread()
            .and_then(|lease| Ok((runtime()?, lease)))
            .map(|(runtime, lease)| runtime.block_on(run(operator, lease.handle()))),
        Command::Plan(args) => runtime().map(|runtime| runtime.block_on(plan(&args))),
    };
    match ended {
        Ok(code) => code,
        Err(error) => {
            tracing::error!(%error, "no threads");
            ExitCode::FAILURE
        }
    }
}

/// Makes one plan.
async fn plan(args: &PlanArgs) -> ExitCode {
    let store = match args.store.open(None) {
        Ok(store) => store,
        Err(error) => {
            tracing::error!(%error, "bad configuration");
            return ExitCode::from(CONFIG);
        }
    };
    let telemetry = match Telemetry::from_env("blockgrid-planner", args.job.as_str()) {
        Ok(telemetry) => telemetry,
        Err(error) => {
            tracing::error!(%error, "bad configuration");
            return ExitCode::from(CONFIG);
        }
    };
    let (options, id, on) = (args.store.candles(), args.job.clone(), tokio::runtime::Handle::current());
    let spans = telemetry.clone();
    let worked = tokio::task::spawn_blocking(move || on.block_on(work(&store, &options, &id, &spans))).await;
    telemetry.end().await;
    match worked.unwrap_or_else(|panic| Err(panic.to_string())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error, "no plan yet");
            ExitCode::FAILURE
        }
    }
}

async fn run(cli: Operator, lease: &Handle) -> ExitCode {
    let bad = |message: String| {
        tracing::error!(message, "bad configuration");
        ExitCode::from(CONFIG)
    };
    let config = match Config::read(&cli.config) {
        Ok(config) => Arc::new(config),
        Err(error) => return bad(error.to_string()),
    };
    let store = match cli.store.open(None) {
        Ok(store) => store,
        Err(error) => return bad(format!("--store: {error}")),
    };
    let public = match cli.store.open(config.public_s3_endpoint.as_ref()) {
        Ok(store) => store,
        Err(error) => return bad(format!("publicS3Endpoint: {error}")),
    };
    let (client, leases) = match (Client::try_default().await, lease.spawn(Client::try_default()).await) {
        (Ok(client), Ok(Ok(leases))) => (client, leases),
        (Err(error), _) | (_, Ok(Err(error))) => return bad(format!("no API server: {error}")),
        (_, Err(error)) => return bad(format!("no thread for the lease: {error}")),
    };
    let Ok(meters) = Meters::new() else { return bad("meters of one name".to_owned()) };
    let (meters, health) = (Arc::new(meters), Arc::new(Health::default()));
    match health::serve(Arc::clone(&health), Arc::clone(&meters), cli.http).await {
        Ok(address) => tracing::info!(%address, "serving /livez, /readyz, /metrics"),
        Err(error) => return bad(format!("--http {}: {error}", cli.http)),
    }
    let (stop, stopped) = watch::channel(false);
    let signals = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()));
    let (Ok(mut terminate), Ok(mut interrupt)) = signals else { return bad("no signals".to_owned()) };
    tokio::spawn(async move {
        tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
        let _ = stop.send(true);
    });
    let Some(queue) = connect(&cli.redis, &store, stopped.clone()).await else { return ExitCode::SUCCESS };
    let platform = cli.namespace.clone().unwrap_or_else(|| client.default_namespace().to_owned());
    let identity = cli.name.clone().unwrap_or_else(|| JobId::random().to_string());
    let candidate = Candidate::new(leases, &platform, config.leader_election.clone(), &identity);
    let election = Election::new(candidate, lease.clone());
    let reign = election.reign();
    let s3 = cli.store.candles();
    let telemetry = match Telemetry::from_env("blockgrid-operator", &identity) {
        Ok(telemetry) => telemetry,
        Err(error) => return bad(error.to_string()),
    };
    let means = Means {
        client,
        config,
        store,
        public,
        s3,
        queue,
        meters,
        platform,
        identity,
        reign,
        telemetry: telemetry.clone(),
    };
    health.set_ready();
    let ended = campaign(means, &election, stopped).await;
    telemetry.end().await;
    ended
}

/// How long whoever could not lead waits before asking for the lease again, and how long where somebody has to mend
/// something: each time all jobs are listed.
const AGAIN: Duration = Duration::from_secs(1);
const MENDED: Duration = Duration::from_secs(10);

/// Leads whenever it may, until it is told to stop.
async fn campaign(means: Means, election: &Election, mut stopped: watch::Receiver<bool>) -> ExitCode {
    loop {
        tokio::select! {
            () = election.win() => {}
            _ = stopped.wait_for(|&stop| stop) => return ExitCode::SUCCESS,
        }
        tracing::info!(identity = %means.identity, "leads");
        let mut pause = AGAIN;
        // All that leading does is dropped with this block, before the lease is given up.
        let told = {
            let (end, ended) = watch::channel(false);
            let leading = lead(means.clone(), ended);
            tokio::pin!(leading);
            tokio::select! {
                result = &mut leading => {
                    if let Err(error) = result {
                        tracing::error!(%error, "cannot lead; asks for the lease again");
                        pause = if error.is_lasting() { MENDED } else { AGAIN };
                    }
                    false
                }
                // Whoever has lost the lease does nothing more: another may be at it already.
                () = election.lead() => false,
                _ = stopped.wait_for(|&stop| stop) => {
                    let _ = end.send(true);
                    tokio::select! {
                        _ = tokio::time::timeout(DRAIN, &mut leading) => {}
                        () = election.lead() => {}
                    }
                    true
                }
            }
        };
        means.meters.leads(false);
        if tokio::time::timeout(RESIGN, election.resign()).await.is_err() {
            tracing::warn!("the API server does not answer: the lease runs out");
        }
        if told {
            tracing::info!("stopped");
            return ExitCode::SUCCESS;
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            _ = stopped.wait_for(|&stop| stop) => return ExitCode::SUCCESS,
        }
    }
}

/// The queue, known to be that of the store; `None` when told to stop before it was there.
async fn connect(redis: &str, store: &Store, mut stopped: watch::Receiver<bool>) -> Option<RedisQueue> {
    loop {
        let connected = async {
            let queue = RedisQueue::connect(redis, None).await.map_err(|error| error.to_string())?;
            queue.is_held().await.map_err(|error| error.to_string())?;
            let identity =
                blockgrid_grid::identity(store).await.map_err(|error: StoreError| error.to_string())?;
            queue.bind(&identity).await.map_err(|error| error.to_string())?;
            Ok::<_, String>(queue)
        };
        let connected = tokio::select! {
            connected = connected => connected,
            _ = stopped.wait_for(|&stop| stop) => return None,
        };
        match connected {
            Ok(queue) => return Some(queue),
            Err(error) => tracing::warn!(error, "waiting for store and queue"),
        }
        tokio::select! {
            () = tokio::time::sleep(Duration::from_secs(1)) => {}
            _ = stopped.wait_for(|&stop| stop) => return None,
        }
    }
}
