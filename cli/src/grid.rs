//! Commands that use a grid: one of this machine's own (`up`, `down`), or any whose store and queue are named.

mod bucket;
mod cancel;
mod down;
mod link;
mod ls;
pub(crate) mod report;
mod submit;
mod up;
mod wait;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use blockgrid_grid::store::Credentials;
use blockgrid_grid::{Options, RedisQueue, Store, StoreError};
use blockgrid_worker::options::GridArgs;
use clap::Args;
use serde::{Deserialize, Serialize};

pub(crate) use bucket::{BucketCommand, bucket};
pub(crate) use cancel::{CancelArgs, cancel};
pub(crate) use down::{DownArgs, down};
pub(crate) use link::{LinkArgs, link};
pub(crate) use ls::{LsArgs, ls};
pub(crate) use submit::{ResultsArgs, SubmitArgs, deliver, results, submit, writable};
pub(crate) use up::{UpArgs, up};

use crate::failure::Failure;

/// Which grid. It may hold a password, so it cannot be printed.
#[derive(Args)]
pub(crate) struct WhichGrid {
    /// Folder of the grid that `blockgrid up` started [default: ~/.local/state/blockgrid/grid].
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
    /// Another grid's object store: s3://BUCKET/PREFIX. Keys are those of AWS_ACCESS_KEY_ID and its like.
    #[arg(long, value_name = "URL", env = "BLOCKGRID_STORE")]
    pub(crate) store: Option<String>,
    /// Its S3 server where it is not AWS.
    #[arg(long, value_name = "URL", env = "BLOCKGRID_S3_ENDPOINT")]
    pub(crate) s3_endpoint: Option<String>,
    /// Its queue: redis://HOST:PORT, or rediss://USER:PASSWORD@HOST:PORT over TLS.
    #[arg(long, value_name = "URL", env = "BLOCKGRID_REDIS", hide_env_values = true)]
    pub(crate) redis: Option<String>,
}

/// Which store, for what has no use for a queue.
#[derive(Args)]
pub(crate) struct WhichStore {
    /// Folder of the grid that `blockgrid up` started [default: ~/.local/state/blockgrid/grid].
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Another grid's object store: s3://BUCKET/PREFIX. Keys are those of AWS_ACCESS_KEY_ID and its like.
    #[arg(long, value_name = "URL", env = "BLOCKGRID_STORE")]
    store: Option<String>,
    /// Its S3 server where it is not AWS.
    #[arg(long, value_name = "URL", env = "BLOCKGRID_S3_ENDPOINT")]
    s3_endpoint: Option<String>,
}

/// What `blockgrid up` started: what there is to know of it, in its folder. Keys stand in it, so it cannot be printed.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Running {
    /// The store.
    pub(crate) store: String,
    /// Its server.
    pub(crate) s3_endpoint: Option<String>,
    /// The queue.
    pub(crate) redis: String,
    /// Keys of the store, as environment variables.
    pub(crate) keys: BTreeMap<String, String>,
    /// What runs.
    pub(crate) processes: Vec<Process>,
}

/// A process that `blockgrid up` started.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Process {
    /// What it is.
    pub(crate) name: String,
    /// Its id.
    pub(crate) pid: u32,
    /// Where it listens; empty for what does not.
    pub(crate) address: String,
    /// Where it writes what it has to say.
    pub(crate) log: PathBuf,
}

/// The file of a [`Running`].
const STATE: &str = "up.json";

/// The folder of the grid of this machine.
pub(crate) fn folder(dir: Option<&Path>) -> Result<PathBuf, Failure> {
    let folder = match dir {
        Some(dir) => dir.to_owned(),
        None => {
            let state = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from);
            let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/state"));
            let state = state.or_else(home).ok_or_else(|| {
                Failure::input(
                    "no folder for the grid",
                    "--dir",
                    "is missing, and HOME is not set: name a folder",
                )
            })?;
            state.join("blockgrid/grid")
        }
    };
    Ok(std::path::absolute(folder)?)
}

/// What runs in a folder, if anything was started there.
pub(crate) fn running(folder: &Path) -> Option<Running> {
    serde_json::from_slice(&std::fs::read(folder.join(STATE)).ok()?).ok()
}

/// What runs in a folder, where something must; `options` name another grid.
fn started(dir: Option<&Path>, options: &str) -> Result<Running, Failure> {
    let folder = folder(dir)?;
    running(&folder).ok_or_else(|| {
        let message = format!(
            "no grid was started in {}: start one with `blockgrid up`, or name one with {options}",
            folder.display()
        );
        Failure::input("no grid", "--dir", message)
    })
}

impl Running {
    /// Id and secret of the key that was made for the store.
    fn credentials(&self) -> Option<(String, String)> {
        self.keys.get(KEY_ID).cloned().zip(self.keys.get(SECRET).cloned())
    }
}

impl WhichStore {
    /// Its location, and how it is reached by somebody who waits for an answer.
    fn find(&self) -> Result<(String, Options), Failure> {
        let options = Options { patience: Duration::from_secs(20), ..Options::default() };
        if let Some(store) = &self.store {
            return Ok((store.clone(), Options { endpoint: self.s3_endpoint.clone(), ..options }));
        }
        let running = started(self.dir.as_deref(), "--store")?;
        let keys = running.credentials();
        let credentials = keys.map(|(key_id, secret)| Credentials { key_id, secret, token: None });
        Ok((running.store, Options { endpoint: running.s3_endpoint, credentials, ..options }))
    }
}

/// An error of the store: what it refuses is the input's fault, that it does not answer is not.
fn store_failure(error: StoreError) -> Failure {
    match error {
        StoreError::BadLocation { .. } | StoreError::Refused { .. } | StoreError::Other { .. } => {
            Failure::input("cannot use the store", "--store", error.to_string())
        }
        error => error.into(),
    }
}

/// A grid, connected.
pub(crate) struct Grid {
    pub(crate) store: Store,
    pub(crate) queue: RedisQueue,
}

impl WhichGrid {
    fn args(&self) -> Result<GridArgs, Failure> {
        match (&self.store, &self.redis) {
            // A folder that is named goes before what the environment says.
            _ if self.dir.is_some() => {}
            (Some(store), Some(redis)) => {
                let (store, redis) = (store.clone(), redis.clone());
                return Ok(GridArgs { store, s3_endpoint: self.s3_endpoint.clone(), redis, keys: None });
            }
            (Some(_), None) => {
                let message =
                    "is missing beside --store (or BLOCKGRID_STORE): name the queue (or BLOCKGRID_REDIS) too";
                return Err(Failure::input("no grid", "--redis", message));
            }
            (None, Some(_)) => {
                let message =
                    "is missing beside --redis (or BLOCKGRID_REDIS): name the store (or BLOCKGRID_STORE) too";
                return Err(Failure::input("no grid", "--store", message));
            }
            (None, None) => {}
        }
        let running = started(self.dir.as_deref(), "--store and --redis")?;
        let keys = running.credentials();
        Ok(GridArgs { store: running.store, s3_endpoint: running.s3_endpoint, redis: running.redis, keys })
    }

    /// Connects to store and queue.
    pub(crate) async fn connect(&self) -> Result<Grid, Failure> {
        let args = self.args()?;
        let store = args
            .open_store(u64::from(std::process::id()))
            .map_err(|error| Failure::input("cannot use the grid", "--store", error.to_string()))?;
        let queue = args.open_queue().await.map_err(|error| {
            let remedy =
                if error.is_unavailable() { "; is it running? `blockgrid up` starts one" } else { "" };
            Failure::input("cannot use the grid", "--redis", format!("{error}{remedy}"))
        })?;
        let identity = blockgrid_grid::identity(&store).await?;
        queue
            .bind(&identity)
            .await
            .map_err(|error| Failure::input("cannot use the grid", "--redis", error.to_string()))?;
        Ok(Grid { store, queue })
    }
}

/// Environment variable of the id of a key.
const KEY_ID: &str = "AWS_ACCESS_KEY_ID";
/// Environment variable of its secret.
const SECRET: &str = "AWS_SECRET_ACCESS_KEY";

/// Runs a future on a runtime of its own.
pub(crate) fn block_on<T>(future: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?.block_on(future)
}
