//! A data set without a manifest: its folders are walked and its footers read.

use std::sync::Arc;

use blockgrid_engine::interval::Interval;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore};

use crate::DatasetError;
use crate::codec::{Footer, Object};
use crate::manifest::{FileEntry, Manifest};
use crate::writer::STAGING;

/// Finds `interval=1h/symbol=X/year=2024/*.parquet`, and `month=01/` in a year, and describes what is there.
pub(crate) async fn gather(
    store: &Arc<dyn ObjectStore>,
    prefix: &Path,
    location: &str,
) -> Result<Manifest, DatasetError> {
    if !candle_files(store, &prefix.clone().join(STAGING), location).await?.is_empty() {
        return Err(DatasetError::Manifest {
            file: location.to_owned(),
            message: format!(
                "its first writing was broken off or goes on ({STAGING} is there): write it again"
            ),
        });
    }
    let mut files = Vec::new();
    for (interval, folder) in folders(store, prefix, "interval=", location).await? {
        let interval: Interval = interval.parse().map_err(|e| DatasetError::Manifest {
            file: format!("{location}/interval={interval}"),
            message: format!("the name of the folder: {e}"),
        })?;
        for (symbol, folder) in folders(store, &folder, "symbol=", location).await? {
            for (_, year) in folders(store, &folder, "year=", location).await? {
                let months = folders(store, &year, "month=", location).await?;
                for folder in months.into_iter().map(|(_, month)| month).chain([year]) {
                    for meta in candle_files(store, &folder, location).await? {
                        let path = inside(prefix, &meta.location);
                        let file = format!("{}/{path}", location.trim_end_matches('/'));
                        let object =
                            Object { store: store.clone(), path: meta.location, file, size: meta.size };
                        files.push(entry(&object, path, symbol.clone(), interval).await?);
                    }
                }
            }
        }
    }
    if files.is_empty() {
        return Err(DatasetError::NoDataset { location: location.to_owned() });
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    let unknown = || "unknown (there is no dataset.json)".to_owned();
    Ok(Manifest::new(location.to_owned(), unknown(), unknown(), None, files))
}

async fn entry(
    object: &Object,
    path: String,
    symbol: String,
    interval: Interval,
) -> Result<FileEntry, DatasetError> {
    let footer = Footer::load(object).await?;
    let mut range: Option<(i64, i64)> = None;
    for group in 0..footer.row_groups() {
        let (first, last) = footer.group_range(group).ok_or_else(|| DatasetError::Manifest {
            file: object.file.clone(),
            message: "its footer has no statistics of `timestamp`: add a dataset.json that gives its range"
                .to_owned(),
        })?;
        range = Some(range.map_or((first, last), |(a, b)| (a.min(first), b.max(last))));
    }
    let (first, last) = range.ok_or_else(|| DatasetError::Manifest {
        file: object.file.clone(),
        message: "it has no candles: remove the file".to_owned(),
    })?;
    let (rows, bytes) = (footer.rows(), object.size);
    let columns = footer.beside();
    Ok(FileEntry { path, symbol, interval, rows, first, last, bytes, sha256: String::new(), columns })
}

async fn candle_files(
    store: &Arc<dyn ObjectStore>,
    folder: &Path,
    location: &str,
) -> Result<Vec<ObjectMeta>, DatasetError> {
    let found =
        store.list_with_delimiter(Some(folder)).await.map_err(|e| DatasetError::store(location, &e))?;
    Ok(found.objects.into_iter().filter(|meta| meta.location.as_ref().ends_with(".parquet")).collect())
}

/// The folders `key=value` under a path, as (value, path).
async fn folders(
    store: &Arc<dyn ObjectStore>,
    under: &Path,
    key: &str,
    location: &str,
) -> Result<Vec<(String, Path)>, DatasetError> {
    let found =
        store.list_with_delimiter(Some(under)).await.map_err(|e| DatasetError::store(location, &e))?;
    let value = |path: &Path| Some(path.filename()?.strip_prefix(key)?.to_owned());
    Ok(found.common_prefixes.into_iter().filter_map(|path| Some((value(&path)?, path))).collect())
}

fn inside(prefix: &Path, path: &Path) -> String {
    path.prefix_match(prefix).map_or_else(
        || path.to_string(),
        |parts| parts.map(|part| part.as_ref().to_owned()).collect::<Vec<_>>().join("/"),
    )
}
