//! A unit in a process of its own: what has taken workers down takes nobody with it.

use std::io::Write as _;
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use blockgrid_grid::store::keys;
use blockgrid_grid::usage::UnitUsage;
use blockgrid_grid::{FailReason, JobId, Lease, Outcome, Store, StoreError, Stream, Unit};
use rustix::process::{Pid, Resource, Rlimit, Signal, getppid, getrlimit, setrlimit};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::ChildStderr;
use tokio::task::JoinHandle;

use crate::faults;
use crate::finish::Finished;
use crate::inputs::Candlery;
use crate::jobs::{JobError, Jobs};
use crate::service::Settings;
use crate::slot::Slots;
use crate::unit::{UnitError, Work};

/// The option of the worker's program that makes it compute one unit: `JOB/UNIT`.
pub const OPTION: &str = "--alone";

/// How long the process may take.
const LIMIT: Duration = Duration::from_secs(900);

/// The environment variable that names the process which started this one.
const PARENT: &str = "BLOCKGRID_ALONE_PARENT";

/// Exit code: the store did not let it be done, which it may later (`EX_TEMPFAIL`).
const LATER: u8 = 75;

/// Exit code: other units come before this one, which are told on standard output.
pub const NOT_YET: u8 = 79;

/// Exit code: the job was deleted (`EX_NOINPUT`).
const GONE: u8 = 66;

/// Exit code: the unit has an outcome with other bytes (`EX_DATAERR`).
const MISMATCH: u8 = 65;

const SIGINT: i32 = Signal::INT.as_raw();
const SIGTERM: i32 = Signal::TERM.as_raw();

/// Deliveries of a unit after which whoever had it fell silent, as one does that dies of it: then it is computed in a process of
/// its own.
pub(crate) const SILENT_TOGETHER: u32 = 2;

/// Bytes of address space that it has beyond the columns and candles that it may hold.
const HEADROOM: u64 = 4 << 30;

/// Bytes of a container that stay free of what it writes to: for the kernel, and for what its parent needs meanwhile.
const SPARE: u64 = 48 << 20;

/// The fewest bytes that it may write to.
const LEAST: u64 = 64 << 20;

/// Where the limit of a container's memory stands, by version 2 of control groups and by version 1.
const CONTAINER_LIMITS: [&str; 2] =
    ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];

/// What came of a unit in a process of its own.
pub(crate) enum Alone {
    /// The process has written the outcome.
    Written,
    /// It has not lived to.
    Failed(Outcome),
    /// These units come first.
    NotYet(Vec<Unit>),
}

/// What Rust's standard library says before it aborts because an allocation failed.
const NO_MEMORY: &[u8] = b"memory allocation of ";

/// Starts this program once more for one unit and waits.
pub(crate) async fn run(
    settings: &Settings,
    job: &JobId,
    unit: Unit,
    cancelled: &Arc<AtomicBool>,
) -> Result<Alone, UnitError> {
    let failed = |reason, message: String| {
        let usage = UnitUsage {
            worker: settings.name.clone(),
            class: settings.class.clone(),
            ..UnitUsage::default()
        };
        Ok(Alone::Failed(Outcome::Failed { reason, message, usage }))
    };
    let program = std::env::current_exe().map_err(|error| UnitError::Internal(error.to_string()))?;
    let started = Instant::now();
    let mut command = tokio::process::Command::new(program);
    // In the image the name that it is called by says what it is.
    if let Some(name) = std::env::args_os().next() {
        command.arg0(name);
    }
    let child = command
        .args(std::env::args_os().skip(1))
        .args([OPTION, &format!("{job}/{unit}")])
        .env(PARENT, std::process::id().to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn();
    let mut child = child.map_err(|error| UnitError::Internal(format!("no process of its own: {error}")))?;
    let units = child.stdout.take().map(|mut stdout| {
        tokio::spawn(async move {
            let mut text = String::new();
            let _ = stdout.read_to_string(&mut text).await;
            text
        })
    });
    let said = child.stderr.take().map(|stderr| tokio::spawn(passed_on(stderr)));
    loop {
        tokio::select! {
            ended = child.wait() => {
                return match ended {
                    Ok(status) if status.success() => Ok(Alone::Written),
                    Ok(status) if status.code() == Some(NOT_YET.into()) => Ok(Alone::NotYet(named(units).await)),
                    Ok(status) if status.code() == Some(LATER.into()) => {
                        let problem = "the process that computed it alone could not use the store".to_owned();
                        Err(StoreError::Unavailable { key: keys::outcome(job, unit), problem }.into())
                    }
                    Ok(status) if status.code() == Some(MISMATCH.into()) => Err(UnitError::Mismatch {
                        unit,
                        ours: "something else alone".to_owned(),
                        theirs: "what it did before".to_owned(),
                    }),
                    Ok(status) if status.code() == Some(GONE.into()) => Err(UnitError::Gone),
                    // Told to stop with us.
                    Ok(status) if matches!(status.signal(), Some(SIGINT | SIGTERM)) => Err(UnitError::Abandoned),
                    Ok(status) if lacked_memory(said).await => failed(
                        FailReason::OutOfMemory,
                        format!("it was handed out twice without an outcome, and alone it needed more memory than there is ({status}): fewer trials, shorter windows, fewer candles, or a class with more memory"),
                    ),
                    Ok(status) => failed(
                        FailReason::Crashed,
                        format!("it was handed out twice without an outcome, and took down the process that computed it alone ({status})"),
                    ),
                    Err(error) => Err(UnitError::Internal(error.to_string())),
                };
            }
            () = tokio::time::sleep(Duration::from_millis(200)) => {}
        }
        if cancelled.load(Ordering::Relaxed) {
            return Err(UnitError::Abandoned);
        }
        // For shards there is a rule that goes by what they were quoted.
        if started.elapsed() > LIMIT && !matches!(unit, Unit::Shard(_)) {
            return failed(FailReason::TimedOut, format!("alone it took more than {} s", LIMIT.as_secs()));
        }
    }
}

/// What the process says, on our own standard error; whether it said that there was no memory.
async fn passed_on(stderr: ChildStderr) -> bool {
    let (mut lines, mut line, mut lacked) = (BufReader::new(stderr), Vec::new(), false);
    while lines.read_until(b'\n', &mut line).await.is_ok_and(|read| read > 0) {
        lacked |= line.starts_with(NO_MEMORY);
        // Nobody listens to it: it computes all the same.
        let _ = std::io::stderr().write_all(&line);
        line.clear();
    }
    lacked
}

/// Whether a process that died said that there was no memory.
async fn lacked_memory(said: Option<JoinHandle<bool>>) -> bool {
    match said {
        Some(said) => said.await.unwrap_or(false),
        None => false,
    }
}

/// Units that a process has named, a line each.
async fn named(said: Option<JoinHandle<String>>) -> Vec<Unit> {
    let said = match said {
        Some(said) => said.await.unwrap_or_default(),
        None => String::new(),
    };
    said.lines().filter_map(|line| line.parse().ok()).collect()
}

/// Computes one unit and writes its outcome; or the units that come first, if there are some ([`NOT_YET`]).
///
/// # Errors
/// What keeps it from having one: see [`exit_code`].
pub async fn compute(
    settings: &Settings,
    store: Store,
    job: &JobId,
    unit: Unit,
) -> Result<Vec<Unit>, UnitError> {
    end_with_parent();
    let internal = UnitError::Internal;
    let bytes = (settings.memory as u64).saturating_add(settings.candles).saturating_add(HEADROOM);
    let limits = [(Resource::As, Some(bytes)), (Resource::Data, left_in_container())];
    for (what, limit) in limits.into_iter().filter(|(_, limit)| limit.is_some()) {
        let limit = Rlimit { current: limit, maximum: getrlimit(what).maximum };
        setrlimit(what, limit).map_err(|error| internal(format!("no limit of memory: {error}")))?;
    }
    let jobs = Jobs::default();
    let open = jobs.get(&store, job).await.map_err(|error| match error {
        JobError::Store(error) => UnitError::Store(error),
        JobError::Gone => UnitError::Gone,
        error => internal(error.to_string()),
    })?;
    let candles = Candlery::new(settings.candles, settings.cache.clone());
    let slots = Slots::new(1).map_err(|error| internal(error.to_string()))?;
    let held = slots.hold().await.ok_or_else(|| internal("no slot".to_owned()))?;
    let delivery = SILENT_TOGETHER + 1;
    let work = Work {
        store: store.metered(store.meter().fork()),
        candles: &candles,
        job: &open,
        worker: &settings.name,
        class: &settings.class,
        memory: settings.memory / settings.slots.max(1),
        cancelled: Arc::default(),
        started: Instant::now(),
        delivery,
        cpu: Arc::default(),
    };
    let outcome = match unit {
        Unit::Shard(number) => work.shard(&held, number).await,
        Unit::Trace(number) => work.trace(&held, number).await,
        Unit::Finish => match work.finish(&held).await {
            Ok(Finished::Done(outcome)) => Ok(outcome),
            Ok(Finished::Again(units)) => return Ok(units),
            Err(error) => Err(error),
        },
    };
    let outcome = match outcome {
        // Two who had it fell silent: there is no fourth try.
        Err(UnitError::Internal(message)) => {
            let usage = work.usage(work.cpu.load(Ordering::Relaxed), 0, 0);
            Outcome::Failed { reason: FailReason::Internal, message, usage }
        }
        Err(UnitError::Hopeless { reason, message }) => {
            let usage = work.usage(work.cpu.load(Ordering::Relaxed), 0, 0);
            Outcome::Failed { reason, message, usage }
        }
        outcome => outcome?,
    };
    let stream = Stream::Job(job.clone());
    let entry = blockgrid_grid::Entry { job: job.clone(), unit, cost_micros: 0 };
    let id = format!("alone-{}", JobId::random());
    let lease = Lease { stream, id, entry, deliveries: delivery, silent: SILENT_TOGETHER };
    work.conclude(&lease, &outcome).await.map(|()| Vec::new())
}

/// What the parent is told of an error: of what is no fault of the unit it does not say that it crashed.
pub fn exit_code(error: &UnitError) -> u8 {
    match error {
        UnitError::Store(_) => LATER,
        UnitError::Mismatch { .. } => MISMATCH,
        UnitError::Gone => GONE,
        _ => 1,
    }
}

/// Whether this process was started to compute one unit.
pub(crate) fn is_alone() -> bool {
    std::env::var_os(PARENT).is_some()
}

/// Bytes that this process may write to before its container has none left, beside what its parent holds; `None` where there
/// is no limit. A container that is out of memory is ended with everybody in it, and who lacks memory says so.
fn left_in_container() -> Option<u64> {
    let read = |path: &str| std::fs::read_to_string(path).ok()?.trim().parse::<u64>().ok();
    // Without one, version 1 says the highest number of pages.
    let limit = faults::container().or_else(|| CONTAINER_LIMITS.into_iter().find_map(read));
    let limit = limit.filter(|bytes| *bytes < 1 << 60)?;
    let parent = std::env::var(PARENT).ok().and_then(|pid| resident(&pid)).unwrap_or(0);
    Some(limit.saturating_sub(parent).saturating_sub(SPARE).max(LEAST))
}

/// Bytes of memory that a process holds, by `/proc`.
fn resident(pid: &str) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? << 10)
}

/// Ends this process when its parent does, which can then not end it any more.
fn end_with_parent() {
    // As the parent knows itself: it may have died before this process could ask.
    let known = std::env::var(PARENT).ok().and_then(|pid| Pid::from_raw(pid.parse().ok()?));
    let parent = known.or_else(getppid);
    std::thread::spawn(move || {
        while getppid() == parent {
            std::thread::sleep(Duration::from_millis(200));
        }
        std::process::exit(1);
    });
}
