//! `blockgrid up`: a grid on this machine, every part of it a real one: Redis, an S3 server, workers.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use blockgrid_grid::without_password;
use clap::Args;

use super::down::stop;
use super::{KEY_ID, Process, Running, SECRET, STATE, folder, running};
use crate::failure::Failure;
use crate::{Output, show};

/// The bucket of a grid of this machine.
const BUCKET: &str = "grid";

/// How long a server may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Args)]
pub(crate) struct UpArgs {
    /// Workers to start.
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=256))]
    workers: u16,
    /// Units that each computes at a time [default: the processors, shared among the workers].
    #[arg(long, value_name = "N")]
    slots: Option<usize>,
    /// Folder for data, logs and state [default: ~/.local/state/blockgrid/grid].
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Use this S3 server instead of starting one; --store names the bucket, AWS_ACCESS_KEY_ID and its like are the keys.
    #[arg(long = "s3", value_name = "URL")]
    s3: Option<String>,
    /// The object store: s3://BUCKET/PREFIX on the server of --s3, or a folder, which needs no server.
    #[arg(long, value_name = "URL")]
    store: Option<String>,
    /// Use this Redis or Valkey instead of starting one.
    #[arg(long, value_name = "URL")]
    redis: Option<String>,
    /// More options for each worker, after `--`.
    #[arg(last = true)]
    worker_options: Vec<String>,
    /// How to print.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) output: Output,
}

pub(crate) fn up(args: &UpArgs) -> Result<(), Failure> {
    let folder = folder(args.dir.as_deref())?;
    if let Some(running) = running(&folder)
        && running.processes.iter().any(|process| super::down::lives(process, &folder))
    {
        let message =
            format!("holds a grid that runs: end it with `blockgrid down --dir {}`", folder.display());
        return Err(Failure::input("cannot start", "--dir", message));
    }
    std::fs::create_dir_all(&folder)?;
    let mut started = Started { folder, processes: Vec::new(), keep: false };
    let running = start(args, &mut started)?;
    // Keys stand in it.
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(started.folder.join(STATE));
    serde_json::to_writer_pretty(file?, &running)?;
    started.keep = true;
    show::print(&match args.output {
        Output::Json => machine(&running, &started.folder)?,
        Output::Text => text(&running, &started.folder),
    });
    Ok(())
}

/// What was started so far, and is stopped again when something else cannot be.
struct Started {
    folder: PathBuf,
    processes: Vec<Process>,
    keep: bool,
}

impl Drop for Started {
    fn drop(&mut self) {
        if !self.keep {
            stop(&self.processes, &self.folder);
        }
    }
}

fn start(args: &UpArgs, started: &mut Started) -> Result<Running, Failure> {
    let folder = started.folder.clone();
    let redis = match &args.redis {
        Some(url) => url.clone(),
        None => start_redis(started)?,
    };
    let mut keys = BTreeMap::new();
    let (store, s3_endpoint) = match (&args.store, &args.s3) {
        // Workers and those who submit stand in other folders.
        (Some(store), s3) if !store.contains(':') => {
            (std::path::absolute(store)?.display().to_string(), s3.clone())
        }
        (Some(store), s3) => (store.clone(), s3.clone()),
        (None, Some(_)) => {
            return Err(Failure::input(
                "cannot start",
                "--store",
                "is missing: name the bucket, s3://BUCKET/PREFIX",
            ));
        }
        (None, None) => {
            keys.insert(KEY_ID.to_owned(), "blockgrid".to_owned());
            keys.insert(SECRET.to_owned(), blockgrid_grid::JobId::random().to_string());
            (format!("s3://{BUCKET}"), Some(start_s3(started, &keys)?))
        }
    };
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let slots = args.slots.unwrap_or(processors / usize::from(args.workers)).max(1);
    for number in 0..args.workers {
        let name = format!("w{number}");
        let port = free_port()?;
        let address = format!("127.0.0.1:{port}");
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["worker", "--all", "--name", &name, "--store", &store, "--http", &address]);
        // Everyone on the machine sees arguments, and the address may hold a password.
        command.env("BLOCKGRID_REDIS", &redis);
        command.args(["--slots", &slots.to_string()]).arg("--cache").arg(folder.join("candles"));
        command
            .args(s3_endpoint.iter().flat_map(|url| ["--s3-endpoint", url]))
            .args(&args.worker_options)
            .envs(&keys);
        started.spawn(&format!("worker {name}"), &mut command, address)?;
    }
    for process in &started.processes {
        await_port(process)?;
    }
    Ok(Running { store, s3_endpoint, redis, keys, processes: started.processes.clone() })
}

impl Started {
    fn spawn(&mut self, name: &str, command: &mut Command, address: String) -> Result<(), Failure> {
        let logs = self.folder.join("logs");
        std::fs::create_dir_all(&logs)?;
        let log = logs.join(format!("{}.log", name.replace(' ', "-")));
        let file = File::options().create(true).append(true).open(&log)?;
        // A group of its own: Ctrl-C in this terminal is not meant for it.
        command
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .process_group(0)
            .current_dir(&self.folder);
        let child = command.spawn()?;
        self.processes.push(Process { name: name.to_owned(), pid: child.id(), address, log });
        Ok(())
    }
}

fn start_redis(started: &mut Started) -> Result<String, Failure> {
    let program = find(&["redis-server", "valkey-server"]).ok_or_else(|| {
        let message =
            "is needed and not installed: `apt-get install redis-server`, or name a server with --redis URL";
        Failure::input("cannot start", "redis-server", message)
    })?;
    let (port, data) = (free_port()?, started.folder.join("redis"));
    std::fs::create_dir_all(&data)?;
    let mut command = Command::new(program);
    command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]);
    // Its data can be thrown away: the store has the truth.
    command.args(["--maxmemory-policy", "noeviction", "--dir"]).arg(&data);
    let address = format!("127.0.0.1:{port}");
    started.spawn("redis", &mut command, address.clone())?;
    started.processes.last().map_or(Ok(()), await_port)?;
    Ok(format!("redis://{address}"))
}

fn start_s3(started: &mut Started, keys: &BTreeMap<String, String>) -> Result<String, Failure> {
    let program = find(&["versitygw"]).ok_or_else(|| {
        let message = "is needed and not installed: `go install github.com/versity/versitygw/cmd/versitygw@v1.8.0`, or name an S3 server with --s3 URL --store s3://BUCKET, or a folder with --store DIR";
        Failure::input("cannot start", "versitygw", message)
    })?;
    let (port, data) = (free_port()?, started.folder.join("s3"));
    std::fs::create_dir_all(data.join(BUCKET))?;
    let address = format!("127.0.0.1:{port}");
    let mut command = Command::new(program);
    let key = |name: &str| keys.get(name).cloned().unwrap_or_default();
    command.env("ROOT_ACCESS_KEY", key(KEY_ID)).env("ROOT_SECRET_KEY", key(SECRET));
    // Versions are kept once `blockgrid bucket setup` asks for it.
    let versions = started.folder.join("s3-versions");
    std::fs::create_dir_all(&versions)?;
    command.args(["--port", &address, "--quiet", "posix", "--versioning-dir"]).args([&versions, &data]);
    started.spawn("s3", &mut command, address.clone())?;
    started.processes.last().map_or(Ok(()), await_port)?;
    Ok(format!("http://{address}"))
}

/// The first of some programs that is on the path, or where `go install` puts them.
fn find(names: &[&str]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let go = std::env::var_os("GOBIN").map(PathBuf::from).or_else(|| {
        let home = std::env::var_os("GOPATH").or_else(|| {
            let home = PathBuf::from(std::env::var_os("HOME")?);
            Some(home.join("go").into_os_string())
        })?;
        Some(PathBuf::from(home).join("bin"))
    });
    let folders: Vec<PathBuf> = std::env::split_paths(&path).chain(go).collect();
    names.iter().find_map(|name| folders.iter().map(|folder| folder.join(name)).find(|file| file.is_file()))
}

/// A port that is free now. Somebody may take it before it is used, which the server then says in its log.
fn free_port() -> Result<u16, Failure> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

fn await_port(process: &Process) -> Result<(), Failure> {
    let until = Instant::now() + PATIENCE;
    while TcpStream::connect(&process.address).is_err() {
        if Instant::now() > until {
            let log = std::fs::read_to_string(&process.log).unwrap_or_default();
            let last: Vec<&str> = log.lines().rev().take(5).collect();
            let said: Vec<&str> = last.into_iter().rev().collect();
            return Err(Failure::Failed(anyhow::anyhow!(
                "{} does not answer at {}; the end of {}:\n{}",
                process.name,
                process.address,
                process.log.display(),
                said.join("\n")
            )));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

/// What runs, but for its secrets, which stay in the folder.
fn machine(running: &Running, folder: &Path) -> Result<String, Failure> {
    let mut shown = serde_json::to_value(running)?;
    shown["redis"] = without_password(&running.redis).into();
    if let Some(shown) = shown.as_object_mut() {
        shown.remove("keys");
        shown.insert("state".to_owned(), folder.join(STATE).display().to_string().into());
    }
    Ok(format!("{shown}\n"))
}

fn text(running: &Running, folder: &Path) -> String {
    let mut table = show::table();
    table.set_header(["what", "process", "address", "log"]);
    for process in &running.processes {
        let log = process.log.file_name().unwrap_or(OsStr::new("")).to_string_lossy();
        table.add_row([
            process.name.clone(),
            process.pid.to_string(),
            process.address.clone(),
            format!("logs/{log}"),
        ]);
    }
    let rows: String = show::lines(&table);
    let mut out = Vec::new();
    let _ = writeln!(
        out,
        "{rows}\nstore {} | queue {} | folder {}",
        running.store,
        without_password(&running.redis),
        folder.display()
    );
    // What names the grid by default need not be said.
    let is_default = super::folder(None).is_ok_and(|default| default == folder);
    let dir = if is_default { String::new() } else { format!(" --dir {}", folder.display()) };
    let _ = writeln!(
        out,
        "submit a job with `blockgrid submit FILE --wait{dir}`, end all with `blockgrid down{dir}`"
    );
    String::from_utf8_lossy(&out).into_owned()
}
