//! The sample data set, carried by every build.

use std::sync::Arc;

use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStoreExt, PutPayload};

use crate::runtime::block_on;
use crate::{Dataset, DatasetError};

macro_rules! files {
    ($($path:literal),* $(,)?) => {
        [$(($path, include_bytes!(concat!("../sample/", $path)).as_slice())),*]
    };
}

/// The files of the sample as (path inside it, bytes).
pub const SAMPLE_FILES: [(&str, &[u8]); 11] = files![
    "dataset.json",
    "interval=15m/symbol=SYN-A/year=2024/part-0000.parquet",
    "interval=1h/symbol=SYN-A/year=2022/part-0000.parquet",
    "interval=1h/symbol=SYN-A/year=2023/part-0000.parquet",
    "interval=1h/symbol=SYN-A/year=2024/part-0000.parquet",
    "interval=1h/symbol=SYN-B/year=2022/part-0000.parquet",
    "interval=1h/symbol=SYN-B/year=2023/part-0000.parquet",
    "interval=1h/symbol=SYN-B/year=2024/part-0000.parquet",
    "interval=1h/symbol=SYN-C/year=2022/part-0000.parquet",
    "interval=1h/symbol=SYN-C/year=2023/part-0000.parquet",
    "interval=1h/symbol=SYN-C/year=2024/part-0000.parquet",
];

/// Opens the sample data set (synthetic hours of SYN-A, SYN-B and SYN-C, 2022 to 2024; quarters of an hour of SYN-A in
/// the second half of 2024) from the bytes inside the program: no file is needed.
///
/// # Errors
/// None that has been seen; those of [`Dataset::open`].
pub fn sample() -> Result<Dataset, DatasetError> {
    let store = InMemory::new();
    block_on(async {
        for (path, bytes) in SAMPLE_FILES {
            let path = crate::dataset::join(&Path::default(), path);
            store
                .put(&path, PutPayload::from_static(bytes))
                .await
                .map_err(|e| DatasetError::store("sample", &e))?;
        }
        Ok(())
    })?;
    Dataset::from_store(Arc::new(store), Path::default(), "sample")
}
