//! The candles of one series as one object: what a job runs on, wherever its shards run.
//!
//! A snapshot is a file of a data set without a data set around it. It is named by the digest of its values, so it never
//! changes; who reads it compares the digest again.

use std::sync::Arc;

use blockgrid_engine::candles::Candles;
use blockgrid_engine::interval::Interval;
use bytes::Bytes;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};

use crate::DatasetError;
use crate::codec::{Footer, Object, ROW_GROUP, Table, parquet_bytes};
use crate::dataset::{Places, ReadCounts, read_object};
use crate::digest::digest;
use crate::runtime::block_on;

/// Candles, and the columns beside them, as Parquet. The same candles give the same bytes. Which of them were made to
/// fill gaps is not written: fill after reading.
///
/// # Errors
/// [`DatasetError::NotParquet`] when they cannot be encoded.
pub fn encode_snapshot(candles: &Candles) -> Result<Vec<u8>, DatasetError> {
    let table = Table::from_candles(candles);
    parquet_bytes(candles.timestamp(), &table.series(), ROW_GROUP).map_err(|error| DatasetError::NotParquet {
        file: "the snapshot of candles".to_owned(),
        message: error.to_string(),
    })
}

/// Reads a snapshot with its columns beside OHLCV and checks that it holds the candles of this digest. `file` is how
/// messages name it.
///
/// # Errors
/// What is no snapshot, damaged, or of other candles ([`DatasetError::Digest`]).
pub fn decode_snapshot(
    bytes: Vec<u8>,
    file: &str,
    symbol: &str,
    interval: Interval,
    columns: &[String],
    expected: &str,
) -> Result<Candles, DatasetError> {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let object =
        Object { store, path: Path::from("snapshot"), file: file.to_owned(), size: bytes.len() as u64 };
    let (mut table, mut places) = (Table::new(columns), Places::default());
    block_on(async {
        let put = object.store.put(&object.path, Bytes::from(bytes).into()).await;
        put.map_err(|error| DatasetError::store(file, &error))?;
        let footer = Footer::load(&object).await?;
        let mut counts = ReadCounts::default();
        read_object(&object, &footer, (None, None), &mut table, &mut places, &mut counts).await
    })?;
    let candles = places.check(interval, table)?;
    let found = digest(symbol, &candles);
    if found != expected {
        return Err(DatasetError::Digest { file: file.to_owned(), found, expected: expected.to_owned() });
    }
    Ok(candles)
}

#[cfg(test)]
mod tests {
    use super::*;
    use blockgrid_engine::candles::RawCandles;

    fn candles() -> Candles {
        let price: Vec<f64> = (0..100_000).map(|i| 100.0 + f64::from(i % 977) / 7.0).collect();
        let raw = RawCandles {
            timestamp: (0..100_000).map(|i| i * 60_000).collect(),
            open: price.clone(),
            high: price.clone(),
            low: price.clone(),
            close: price.clone(),
            volume: price,
        };
        let funding = (0..100_000).map(|i| if i % 480 == 0 { 1e-4 } else { f64::NAN }).collect();
        let candles = Candles::new("1m".parse().unwrap(), raw).unwrap();
        candles.with_columns(vec![("funding".to_owned(), funding)]).unwrap()
    }

    #[test]
    fn a_snapshot_gives_the_candles_back() {
        let candles = candles();
        let name = digest("A", &candles);
        let bytes = encode_snapshot(&candles).unwrap();
        assert_eq!(bytes, encode_snapshot(&candles).unwrap());
        let columns = ["funding".to_owned()];
        let read = |bytes: Vec<u8>, name: &str| {
            decode_snapshot(bytes, "candles/x", "A", candles.interval(), &columns, name)
        };
        let back = read(bytes.clone(), &name).unwrap();
        assert_eq!(digest("A", &back), name);
        let error = read(bytes.clone(), &"0".repeat(64)).unwrap_err().to_string();
        assert!(error.contains("candles/x") && error.contains(&name), "{error}");
        for cut in [0, 8, bytes.len() / 2, bytes.len() - 1] {
            assert!(read(bytes[..cut].to_vec(), &name).is_err(), "{cut}");
        }
        let mut flipped = bytes;
        flipped[5_000] ^= 1;
        assert!(read(flipped, &name).is_err());
    }
}
