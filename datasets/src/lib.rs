//! Candles at rest: Parquet layout, catalogue, readers, synthetic candles.
//!
//! A data set is a folder (later also an S3 prefix):
//!
//! ```text
//! dataset.json                                                       the manifest
//! interval=1h/symbol=BTC-USD/year=2024/part-1f4c9e0a7b3d5562.parquet   candles
//! interval=1s/symbol=BTC-USD/year=2024/month=03/part-….parquet        candles shorter than a minute
//! ```
//!
//! - [`Dataset`] opens one and reads [`Candles`](blockgrid_engine::candles::Candles) of a symbol and a range of time.
//! - [`sample`] is the data set of synthetic candles that every build carries.
//! - [`Catalogue`] knows data sets by name and where they are.
//! - [`import`] reads candles of other programs, [`read_file`] those of a single file; [`write_columns`] and
//!   [`CandlesWriter`] write one.
//! - [`DatasetWriter`] writes a data set, byte for byte the same for the same candles, all of it or nothing.
//! - [`encode_snapshot`] makes one object of the candles that a job runs on.
//! - [`digest`] names candles by their values, wherever they came from.
//! - [`synthetic`] makes candles from a seed.
//!
//! Everything here blocks; nothing needs an async runtime.

pub mod catalogue;
mod codec;
mod dataset;
mod digest;
mod error;
mod file;
pub mod import;
mod location;
mod manifest;
mod partition;
pub mod quality;
mod runtime;
mod sample;
mod snapshot;
pub mod synthetic;
mod write;
mod writer;

pub use catalogue::{Catalogue, CatalogueEntry, CatalogueSeries};
pub use codec::COLUMNS;
pub use dataset::{Batch, Batches, CandleParts, Coverage, Dataset, Gap, Month, ReadCounts};
pub use digest::digest;
pub use error::{DatasetError, FileRow};
pub use file::{CandlesWriter, write_columns};
pub use import::{FileCandles, FileRows, file_batches, file_rows, read_file};
pub use manifest::{FileEntry, Generator, MANIFEST, Manifest};
pub use sample::{SAMPLE_FILES, sample};
pub use snapshot::{decode_snapshot, encode_snapshot};
pub use write::{About, Series, encode_dataset};
pub use writer::{DatasetWriter, SeriesWriter};
