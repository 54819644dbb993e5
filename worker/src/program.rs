//! The worker's program.
//!
//! Exit codes: 0 the job that it served is finished, 143 told to stop, 78 bad configuration, 1 a unit that was computed
//! alone has no outcome.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use blockgrid_grid::telemetry::Telemetry;
use blockgrid_grid::{ENGINE, JobId, Lane, QueueError, RedisQueue, Store, Unit};
use clap::{ArgGroup, Parser};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tracing_subscriber::EnvFilter;

use crate::options::{GridArgs, bytes, time};
use crate::service::{Ended, Serve, Settings, Worker};
use crate::{alone, health};

const EXIT_CODES: &str = "\
Logs are lines of JSON on standard error; RUST_LOG=debug or blockgrid_worker=debug tells more.
Exit codes: 0 the job of --job is finished, 143 told to stop, 78 bad configuration.";

/// Bad configuration, as `sysexits.h` has it: a pool's Job stops rather than starts it again.
const CONFIG: u8 = 78;
/// SIGTERM, as a shell tells it: never 0, or the Job would count the index as done.
const TERMINATED: u8 = 143;

/// Computes units of backtest jobs: claims them, writes their outcomes, and takes over those of workers that fall silent.
#[derive(Parser)]
#[command(name = "blockgrid-worker", version = blockgrid_grid::VERSION, max_term_width = 100, after_help = EXIT_CODES)]
#[command(group(ArgGroup::new("serve").args(["job", "lane", "all"])))]
struct Cli {
    #[command(flatten)]
    grid: GridArgs,
    /// Serve one job, and exit 0 when it is finished.
    #[arg(long, value_name = "UID")]
    job: Option<JobId>,
    /// Serve a lane, for ever; `interactive` is the lane of small jobs.
    #[arg(long, value_name = "NAME")]
    lane: Option<String>,
    /// Serve the interactive lane and every open job, for ever [default].
    #[arg(long)]
    all: bool,
    /// Its name, one of a few that are used again, such as w3 [default: w and JOB_COMPLETION_INDEX, or w0].
    #[arg(long, value_name = "NAME", env = "BLOCKGRID_WORKER")]
    name: Option<String>,
    /// Its compute class, which usage is recorded under.
    #[arg(long, value_name = "NAME", default_value = "standard", env = "BLOCKGRID_CLASS")]
    class: String,
    /// Units computed at a time, each by a thread of its own [default: the processors].
    #[arg(long, value_name = "N")]
    slots: Option<usize>,
    /// Memory for the columns of indicators, all slots together, such as 512M or 4G.
    #[arg(long, value_name = "BYTES", default_value = "1G", value_parser = bytes)]
    memory: u64,
    /// Memory for decoded candles.
    #[arg(long, value_name = "BYTES", default_value = "1G", value_parser = bytes)]
    candle_memory: u64,
    /// Folder in which candles are kept as they came; workers of one machine may share it.
    #[arg(long, value_name = "DIR")]
    cache: Option<PathBuf>,
    /// How large that folder may grow.
    #[arg(long, value_name = "BYTES", default_value = "10G", value_parser = bytes)]
    cache_size: u64,
    /// How long units that are being computed may go on after SIGTERM; then they are handed back.
    #[arg(long, value_name = "TIME", default_value = "90s", value_parser = time)]
    grace: Duration,
    /// Serve /livez, /readyz and /metrics here, such as 0.0.0.0:9100.
    #[arg(long, value_name = "ADDRESS")]
    http: Option<SocketAddr>,
    /// How often leases are kept alive.
    #[arg(long, value_name = "TIME", default_value = "15s", value_parser = time, hide_short_help = true)]
    heartbeat: Duration,
    /// Silence of a worker after which its units are anyone's.
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = time, hide_short_help = true)]
    idle: Duration,
    /// How long nothing may happen before the outcomes in the store are counted, and what is missing queued again.
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = time, hide_short_help = true)]
    audit: Duration,
    /// What a shard may take however little it was quoted; ten times its quote where that is more.
    #[arg(long, default_value = "10m", value_parser = time, hide = true)]
    most_time: Duration,
    /// Compute one unit, JOB/UNIT, and end.
    #[arg(long, value_name = "JOB/UNIT", hide = true)]
    alone: Option<String>,
}

impl Cli {
    fn settings(&self) -> Result<Settings, String> {
        let interactive = || Lane::interactive(ENGINE);
        let serve = match (&self.job, &self.lane) {
            (Some(job), _) => Serve::Job(job.clone()),
            (None, Some(lane)) if lane == "interactive" => Serve::Lane(interactive()),
            (None, Some(lane)) => {
                Serve::Lane(lane.parse::<Lane>().map_err(|error| format!("--lane: {error}"))?)
            }
            (None, None) => Serve::All(interactive()),
        };
        let index = || std::env::var("JOB_COMPLETION_INDEX").ok().map(|index| format!("w{index}"));
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Ok(Settings {
            serve,
            name: self.name.clone().or_else(index).unwrap_or_else(|| "w0".to_owned()),
            class: self.class.clone(),
            slots: self.slots.map_or(processors, usize::from).max(1),
            memory: usize::try_from(self.memory).unwrap_or(usize::MAX),
            candles: self.candle_memory,
            cache: self.cache.clone().map(|folder| (folder, self.cache_size)),
            grace: self.grace,
            heartbeat: self.heartbeat,
            idle: self.idle,
            audit: self.audit,
            most: self.most_time,
            telemetry: Telemetry::default(),
        })
    }
}

/// Runs the worker's program with these arguments, the program's name first.
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
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    match runtime {
        Ok(runtime) => runtime.block_on(run(&cli)),
        Err(error) => {
            tracing::error!(%error, "no threads");
            ExitCode::FAILURE
        }
    }
}

async fn run(cli: &Cli) -> ExitCode {
    let config = |message: String| {
        tracing::error!(message, "bad configuration");
        ExitCode::from(CONFIG)
    };
    let mut settings = match cli.settings() {
        Ok(settings) => settings,
        Err(message) => return config(message),
    };
    let seed = settings.name.bytes().fold(0, |seed: u64, byte| seed.wrapping_mul(31) + u64::from(byte));
    let store = match cli.grid.open_store(seed) {
        Ok(store) => store,
        Err(error) => return config(error.to_string()),
    };
    if let Some(which) = &cli.alone {
        let unit = which
            .split_once('/')
            .and_then(|(job, unit)| Some((job.parse().ok()?, unit.parse::<Unit>().ok()?)));
        let Some((job, unit)) = unit else { return config(format!("--alone: `{which}` is not JOB/UNIT")) };
        return match alone::compute(&settings, store, &job, unit).await {
            Ok(first) if first.is_empty() => ExitCode::SUCCESS,
            Ok(first) => {
                first.iter().for_each(|unit| println!("{unit}"));
                ExitCode::from(alone::NOT_YET)
            }
            Err(error) => {
                tracing::error!(%error, "no outcome");
                ExitCode::from(alone::exit_code(&error))
            }
        };
    }
    let telemetry = match Telemetry::from_env("blockgrid-worker", &settings.name) {
        Ok(telemetry) => telemetry,
        Err(error) => return config(error.to_string()),
    };
    settings.telemetry = telemetry.clone();
    let (stop, stopped) = watch::channel(false);
    let signals = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()));
    let (Ok(mut terminate), Ok(mut interrupt)) = signals else { return config("no signals".to_owned()) };
    let queue = loop {
        match connect(cli, &store).await {
            Ok(queue) => break queue,
            Err(Unfit::Later(error)) => {
                tracing::warn!(error, "waiting for store and queue");
                tokio::select! {
                    _ = terminate.recv() => return ExitCode::from(TERMINATED),
                    _ = interrupt.recv() => return ExitCode::from(TERMINATED),
                    () = tokio::time::sleep(Duration::from_secs(1)) => {}
                }
            }
            Err(Unfit::Never(error)) => return config(error),
        }
    };
    let worker = match Worker::new(settings, store, queue) {
        Ok(worker) => worker,
        Err(error) => return config(error.to_string()),
    };
    if let Some(address) = cli.http {
        match health::serve(worker.clone(), address).await {
            Ok(address) => tracing::info!(%address, "serving /livez, /readyz, /metrics"),
            Err(error) => return config(format!("--http {address}: {error}")),
        }
    }
    tokio::spawn(async move {
        tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
        // Nobody listens when the worker has ended by itself.
        let _ = stop.send(true);
    });
    let ended = worker.run(stopped).await;
    telemetry.end().await;
    match ended {
        Ended::Finished => ExitCode::SUCCESS,
        Ended::Drained => ExitCode::from(TERMINATED),
        Ended::Unfit => {
            config("the job is another engine's: its pool needs the image that planned it".to_owned())
        }
    }
}

/// Why a worker cannot start.
enum Unfit {
    /// It may be able to later.
    Later(String),
    /// Somebody has to mend its configuration.
    Never(String),
}

/// The queue, known to be that of the store, which is known to answer.
async fn connect(cli: &Cli, store: &Store) -> Result<RedisQueue, Unfit> {
    let sort = |is_unavailable: bool, text: String| {
        if is_unavailable { Unfit::Later(text) } else { Unfit::Never(text) }
    };
    let of_queue = |error: QueueError| sort(error.is_unavailable(), error.to_string());
    let queue = cli.grid.open_queue().await.map_err(of_queue)?;
    let identity = blockgrid_grid::identity(store).await;
    let identity = identity.map_err(|error| sort(error.is_unavailable(), error.to_string()))?;
    queue.bind(&identity).await.map_err(of_queue)?;
    Ok(queue)
}
