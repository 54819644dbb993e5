//! Candles of jobs: fetched once, kept decoded in memory and as they came on disk, each within a budget.
//!
//! Snapshots are named by their content, so what is kept is never stale; a file on disk is checked before it is believed.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use blockgrid_datasets::{DatasetError, decode_snapshot};
use blockgrid_engine::Candles;
use blockgrid_grid::store::keys;
use blockgrid_grid::{JobId, Store, StoreError};
use blockgrid_job::DataSpec;
use tokio::sync::OnceCell;

use crate::compute::Ready;

/// Why candles are not there.
#[derive(Debug, Clone, thiserror::Error)]
pub enum InputError {
    /// The object store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// They are not the ones that the job was planned on.
    #[error("{0}")]
    Changed(String),
}

/// Where candles are kept.
#[derive(Debug)]
pub struct Candlery {
    memory: u64,
    disk: Option<(PathBuf, u64)>,
    held: Mutex<Held>,
    hits: AtomicU64,
    read: AtomicU64,
}

#[derive(Debug, Default)]
struct Held {
    series: HashMap<Name, Series>,
    clock: u64,
}

/// Digest, and up to how many candles gaps are filled.
type Name = (String, usize);

#[derive(Debug)]
struct Series {
    candles: Arc<OnceCell<Arc<Candles>>>,
    used: u64,
}

impl Candlery {
    /// Keeps so many bytes of candles in memory, and where a folder is given so many of snapshots in it.
    pub fn new(memory: u64, disk: Option<(PathBuf, u64)>) -> Self {
        Self { memory, disk, held: Mutex::default(), hits: AtomicU64::new(0), read: AtomicU64::new(0) }
    }

    /// The candles of a symbol of a job, gaps filled. Who asks while another fetches waits for that.
    ///
    /// # Errors
    /// [`InputError`].
    pub async fn get(&self, store: &Store, ready: &Ready, symbol: usize) -> Result<Arc<Candles>, InputError> {
        let (plan, spec) = (ready.plan(), &ready.job().spec().data);
        let input = &plan.inputs.symbols[symbol];
        let name = (input.digest.clone(), spec.fill.map_or(0, |fill| fill.max_bars));
        let cell = self.cell(&name);
        if let Some(candles) = cell.get() {
            self.hits.fetch_add(bytes_of(candles), Ordering::Relaxed);
            return Ok(Arc::clone(candles));
        }
        let candles = cell
            .get_or_try_init(|| async {
                let key = keys::candles(&plan.tenant, &input.digest);
                let interval = plan.inputs.interval;
                let decode = |bytes| {
                    let decode =
                        || decode_snapshot(bytes, &key, &input.name, interval, &spec.columns, &input.digest);
                    tokio::task::block_in_place(decode)
                };
                if let Some(bytes) = self.kept(&input.digest).await {
                    let len = bytes.len() as u64;
                    match decode(bytes) {
                        Ok(candles) => {
                            self.hits.fetch_add(len, Ordering::Relaxed);
                            return Ok(filled(candles, spec));
                        }
                        // The disk's fault, not the data's.
                        Err(error) => {
                            tracing::warn!(%error, "kept candles are damaged; they are read from the store")
                        }
                    }
                }
                let bytes = store.get(&key).await.map_err(|error| lost(error, &input.name))?.to_vec();
                self.read.fetch_add(bytes.len() as u64, Ordering::Relaxed);
                let candles = decode(bytes.clone()).map_err(changed)?;
                self.keep(&input.digest, &bytes).await;
                Ok::<_, InputError>(filled(candles, spec))
            })
            .await?;
        let candles = Arc::clone(candles);
        self.evict();
        Ok(candles)
    }

    /// Bytes of candles that were kept, in memory or on disk, and that were read from the store.
    pub fn bytes(&self) -> (u64, u64) {
        (self.hits.load(Ordering::Relaxed), self.read.load(Ordering::Relaxed))
    }

    fn cell(&self, name: &Name) -> Arc<OnceCell<Arc<Candles>>> {
        let mut held = self.held.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        held.clock += 1;
        let now = held.clock;
        let series =
            held.series.entry(name.clone()).or_insert_with(|| Series { candles: Arc::default(), used: now });
        series.used = now;
        Arc::clone(&series.candles)
    }

    /// Forgets what was used longest ago until the rest fits.
    fn evict(&self) {
        let mut held = self.held.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        loop {
            let bytes: u64 = held.series.values().map(size).sum();
            if bytes <= self.memory || held.series.len() < 2 {
                return;
            }
            let oldest =
                held.series.iter().min_by_key(|(_, series)| series.used).map(|(name, _)| name.clone());
            if let Some(name) = oldest {
                held.series.remove(&name);
            }
        }
    }

    /// A snapshot as it lies on disk.
    async fn kept(&self, digest: &str) -> Option<Vec<u8>> {
        let (folder, _) = self.disk.as_ref()?;
        tokio::fs::read(folder.join(format!("{digest}.parquet"))).await.ok()
    }

    /// Puts a snapshot on disk. A disk that is full or gone only makes the next read come from the store.
    async fn keep(&self, digest: &str, bytes: &[u8]) {
        let Some((folder, budget)) = &self.disk else { return };
        let path = folder.join(format!("{digest}.parquet"));
        if bytes.len() as u64 > *budget {
            return;
        }
        let _ = tokio::fs::create_dir_all(folder).await;
        let mut files = files(folder);
        files.sort();
        let mut total: u64 = files.iter().map(|(_, size, _)| size).sum::<u64>() + bytes.len() as u64;
        for (_, size, old) in files {
            if total <= *budget {
                break;
            }
            if std::fs::remove_file(old).is_ok() {
                total -= size;
            }
        }
        // In containers that share the folder process ids may be the same.
        let beside = path.with_extension(format!("tmp-{}", JobId::random()));
        let written =
            tokio::fs::write(&beside, bytes).await.is_ok() && tokio::fs::rename(&beside, &path).await.is_ok();
        if !written {
            tracing::warn!(path = %path.display(), "candles cannot be kept on disk; they are read from the store again");
            let _ = tokio::fs::remove_file(&beside).await;
        }
    }
}

/// Snapshots in a folder: when they were written, how large they are.
fn files(folder: &std::path::Path) -> Vec<(std::time::SystemTime, u64, PathBuf)> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| {
            let meta = entry.metadata().ok()?;
            Some((meta.modified().ok()?, meta.len(), entry.path()))
        })
        .collect()
}

fn size(series: &Series) -> u64 {
    series.candles.get().map_or(0, |candles| bytes_of(candles))
}

fn bytes_of(candles: &Candles) -> u64 {
    candles.len() as u64 * (6 + candles.columns().len() as u64) * 8
}

#[expect(clippy::needless_pass_by_value, reason = "as map_err hands it over")]
fn changed(error: DatasetError) -> InputError {
    InputError::Changed(error.to_string())
}

/// What the store says of candles, where that is final.
fn lost(error: StoreError, symbol: &str) -> InputError {
    match error {
        StoreError::NotFound { .. } | StoreError::Corrupt { .. } => InputError::Changed(format!(
            "the candles of {symbol} are not those that were planned on: {error}"
        )),
        error => InputError::Store(error),
    }
}

fn filled(candles: Candles, spec: &DataSpec) -> Arc<Candles> {
    match spec.fill {
        Some(fill) => Arc::new(candles.fill_forward(fill.max_bars)),
        None => Arc::new(candles),
    }
}
