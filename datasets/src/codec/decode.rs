//! Reading candles from Parquet: the footer first, then the column chunks that are needed.

mod timestamps;

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Float64Type, Int64Type, TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
    TimestampSecondType,
};
use arrow_array::{Array, ArrayRef};
use arrow_schema::{DataType, TimeUnit};
use bytes::{Buf, Bytes};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder,
};
use parquet::basic::Compression;
use parquet::errors::ParquetError;
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};
use parquet::file::reader::{ChunkReader, Length};
use parquet::file::statistics::Statistics;

use super::{COLUMNS, CREATED_BY, SUMS_KEY, Table, chunk_sum, find_columns, list};
use crate::DatasetError;
use crate::import::time::epoch_ms;

/// A Parquet file in a store.
#[derive(Debug)]
pub(crate) struct Object {
    pub(crate) store: Arc<dyn ObjectStore>,
    pub(crate) path: Path,
    /// How messages name it.
    pub(crate) file: String,
    pub(crate) size: u64,
}

/// What a footer tells: where the six columns and their row groups are.
#[derive(Debug)]
pub(crate) struct Footer {
    metadata: ArrowReaderMetadata,
    columns: [usize; 6],
    sums: Option<Vec<Vec<String>>>,
}

impl Object {
    async fn bytes(&self, range: Range<u64>) -> Result<Bytes, DatasetError> {
        self.store.get_range(&self.path, range).await.map_err(|e| DatasetError::store(&self.file, &e))
    }

    fn not_parquet(&self, message: impl Into<String>) -> DatasetError {
        DatasetError::NotParquet { file: self.file.clone(), message: message.into() }
    }

    fn corrupt(&self, column: &str, row_group: usize, message: impl Into<String>) -> DatasetError {
        DatasetError::CorruptPage {
            file: self.file.clone(),
            column: column.to_owned(),
            row_group,
            message: message.into(),
        }
    }
}

impl Footer {
    /// Reads and checks the footer: it must parse, and have the six columns in types that can be read.
    pub(crate) async fn load(object: &Object) -> Result<Self, DatasetError> {
        const TAIL: u64 = 64 * 1024;
        if object.size < 12 {
            return Err(object.not_parquet(format!("it has {} bytes", object.size)));
        }
        let mut tail = object.bytes(object.size.saturating_sub(TAIL)..object.size).await?;
        let (length, magic) = tail[tail.len() - 8..].split_at(4);
        if magic != b"PAR1" {
            return Err(object.not_parquet("it does not end with the mark PAR1 (cut off, or another format)"));
        }
        let length: [u8; 4] = length.try_into().unwrap_or_default();
        let length = u64::from(u32::from_le_bytes(length));
        if length > object.size - 12 {
            return Err(object
                .not_parquet(format!("its footer claims {length} bytes of the {} there are", object.size)));
        }
        if length + 8 > tail.len() as u64 {
            tail = object.bytes(object.size - 8 - length..object.size).await?;
        }
        let end = tail.len() - 8;
        let start = end - usize::try_from(length).unwrap_or(end);
        let metadata = guarded(|| {
            let metadata = ParquetMetaDataReader::decode_metadata(&tail[start..end])?;
            ArrowReaderMetadata::try_new(Arc::new(metadata), ArrowReaderOptions::new())
        })
        .map_err(|message| object.not_parquet(format!("its footer cannot be read: {message}")))?;
        Self::check(object, metadata)
    }

    fn check(object: &Object, metadata: ArrowReaderMetadata) -> Result<Self, DatasetError> {
        let schema = metadata.parquet_schema();
        // Nested columns have several leaves; only top-level leaves can be candles.
        let names: Vec<String> = schema.columns().iter().map(|c| c.path().string()).collect();
        let columns = find_columns(&names).map_err(|column| DatasetError::MissingColumn {
            file: object.file.clone(),
            column: column.to_owned(),
            found: list(&names),
        })?;
        for (i, &leaf) in columns.iter().enumerate() {
            let (_, field) = metadata
                .schema()
                .column_with_name(&names[leaf])
                .ok_or_else(|| object.not_parquet(format!("column `{}` has no type", names[leaf])))?;
            let ok = match field.data_type() {
                DataType::Timestamp(..) | DataType::Int64 => i == 0,
                DataType::Float64 => i > 0,
                _ => false,
            };
            if !ok {
                return Err(DatasetError::WrongType {
                    file: object.file.clone(),
                    column: COLUMNS[i].to_owned(),
                    found: field.data_type().to_string(),
                    expected: if i == 0 { "a timestamp or a 64-bit integer" } else { "a 64-bit float" },
                });
            }
        }
        let groups = metadata.metadata().row_groups();
        let rows: i64 = groups.iter().map(|g| g.num_rows()).sum();
        if groups.iter().any(|g| g.num_rows() < 0) || rows != metadata.metadata().file_metadata().num_rows() {
            return Err(object.not_parquet("its row groups do not add up to its rows"));
        }
        for (name, &leaf) in COLUMNS.iter().zip(&columns) {
            check_codec(object, metadata.metadata(), leaf, name)?;
        }
        let sums = sums(metadata.metadata());
        Ok(Self { metadata, columns, sums })
    }

    /// Rows in the file.
    pub(crate) fn rows(&self) -> u64 {
        (0..self.row_groups()).map(|g| self.group_rows(g) as u64).sum()
    }

    /// Number of row groups.
    pub(crate) fn row_groups(&self) -> usize {
        self.metadata.metadata().num_row_groups()
    }

    /// Rows of a row group.
    pub(crate) fn group_rows(&self, group: usize) -> usize {
        usize::try_from(self.metadata.metadata().row_group(group).num_rows()).unwrap_or(0)
    }

    /// First and last timestamp of a row group by its statistics, if it has some.
    pub(crate) fn group_range(&self, group: usize) -> Option<(i64, i64)> {
        let chunk = self.metadata.metadata().row_group(group).column(self.columns[0]);
        let Some(Statistics::Int64(statistics)) = chunk.statistics() else { return None };
        let (min, max) = (*statistics.min_opt()?, *statistics.max_opt()?);
        let field = self.metadata.schema().column_with_name(chunk.column_path().string().as_str())?.1;
        let ms = |value: i64| match field.data_type() {
            DataType::Timestamp(TimeUnit::Second, _) => value.checked_mul(1000),
            DataType::Timestamp(TimeUnit::Millisecond, _) => Some(value),
            DataType::Timestamp(TimeUnit::Microsecond, _) => Some(value.div_euclid(1000)),
            DataType::Timestamp(TimeUnit::Nanosecond, _) => Some(value.div_euclid(1_000_000)),
            _ => epoch_ms(value).ok(),
        };
        Some((ms(min)?, ms(max)?))
    }

    /// Whether a row group may have candles in `from..to`.
    pub(crate) fn overlaps(&self, group: usize, from: Option<i64>, to: Option<i64>) -> bool {
        self.group_range(group).is_none_or(|(first, last)| {
            from.is_none_or(|from| last >= from) && to.is_none_or(|to| first < to)
        })
    }

    /// The names of its columns beside OHLCV that can be read: 64-bit floats.
    pub(crate) fn beside(&self) -> Vec<String> {
        let columns = self.metadata.parquet_schema().columns();
        let number = |leaf: &usize| !self.columns.contains(leaf) && self.is_number(*leaf);
        (0..columns.len()).filter(number).map(|leaf| columns[leaf].path().string()).collect()
    }

    fn is_number(&self, leaf: usize) -> bool {
        let path = self.metadata.parquet_schema().column(leaf).path().string();
        self.metadata
            .schema()
            .column_with_name(&path)
            .is_some_and(|(_, f)| *f.data_type() == DataType::Float64)
    }

    /// The leaf of every column of a table; `None` where the file has not got one beside OHLCV.
    fn leaves(&self, object: &Object, table: &Table) -> Result<Vec<(String, Option<usize>)>, DatasetError> {
        let mut leaves: Vec<_> =
            COLUMNS.iter().zip(self.columns).map(|(name, leaf)| ((*name).to_owned(), Some(leaf))).collect();
        let schema = self.metadata.parquet_schema();
        for (name, _) in &table.columns {
            let is_it = |leaf: &usize| schema.column(*leaf).path().string().trim().eq_ignore_ascii_case(name);
            let leaf = (0..schema.num_columns()).find(is_it);
            if let Some(leaf) = leaf
                && !self.is_number(leaf)
            {
                return Err(DatasetError::WrongType {
                    file: object.file.clone(),
                    column: name.clone(),
                    found: schema.column(leaf).physical_type().to_string(),
                    expected: "a 64-bit float",
                });
            }
            if let Some(leaf) = leaf {
                check_codec(object, self.metadata.metadata(), leaf, name)?;
            }
            leaves.push((name.clone(), leaf));
        }
        Ok(leaves)
    }

    /// Reads the columns of a table from a row group and appends them; gives the bytes that were fetched.
    pub(crate) async fn read_group(
        &self,
        object: &Object,
        group: usize,
        first_row: usize,
        table: &mut Table,
    ) -> Result<u64, DatasetError> {
        let leaves = self.leaves(object, table)?;
        let mut wanted = Vec::with_capacity(leaves.len());
        for (i, (name, leaf)) in leaves.iter().enumerate() {
            let Some(leaf) = *leaf else { continue };
            wanted.push((i, leaf, self.chunk_range(object, name, group, leaf)?));
        }
        let ranges: Vec<_> = wanted.iter().map(|(_, _, range)| range.clone()).collect();
        let chunks = object
            .store
            .get_ranges(&object.path, &ranges)
            .await
            .map_err(|e| DatasetError::store(&object.file, &e))?;
        for ((i, leaf, range), bytes) in wanted.into_iter().zip(chunks) {
            let name = &leaves[i].0;
            let array = self.chunk_values(object, name, group, leaf, range.start, bytes)?;
            let beside = i >= COLUMNS.len();
            let nulls = beside || (table.nulls && i > 0);
            if !nulls && array.null_count() > 0 {
                let row = (0..array.len()).find(|&row| array.is_null(row)).unwrap_or(0);
                return Err(DatasetError::Null {
                    file: object.file.clone(),
                    column: name.clone(),
                    row: first_row + row + 1,
                });
            }
            if i == 0 {
                timestamps(&array, &object.file, first_row, &mut table.raw.timestamp)?;
                continue;
            }
            let values = array.as_primitive::<Float64Type>();
            let column =
                if beside { &mut table.columns[i - COLUMNS.len()].1 } else { &mut *table.ohlcv_mut()[i - 1] };
            if array.null_count() > 0 {
                column.extend(values.iter().map(|value| value.unwrap_or(f64::NAN)));
            } else {
                column.extend_from_slice(values.values());
            }
        }
        let rows = table.len();
        for (_, values) in &mut table.columns {
            values.resize(rows, f64::NAN);
        }
        Ok(ranges.iter().map(|range| range.end - range.start).sum())
    }

    /// Where the chunk of a column stands in the file.
    fn chunk_range(
        &self,
        object: &Object,
        name: &str,
        group: usize,
        leaf: usize,
    ) -> Result<Range<u64>, DatasetError> {
        let chunk = self.metadata.metadata().row_group(group).column(leaf);
        let start = chunk.dictionary_page_offset().unwrap_or(chunk.data_page_offset());
        u64::try_from(start)
            .ok()
            .zip(u64::try_from(chunk.compressed_size()).ok())
            .and_then(|(start, len)| Some(start..start.checked_add(len)?))
            .filter(|range| range.end <= object.size && range.start < range.end)
            .ok_or_else(|| object.corrupt(name, group, "it lies outside the file"))
    }

    /// The values of a column's chunk, which begins at `start` of the file, once its sum is the one in the footer.
    fn chunk_values(
        &self,
        object: &Object,
        name: &str,
        group: usize,
        leaf: usize,
        start: u64,
        bytes: Bytes,
    ) -> Result<ArrayRef, DatasetError> {
        let sum = self.sums.as_ref().and_then(|groups| groups.get(group)?.get(leaf));
        if sum.is_some_and(|sum| *sum != chunk_sum(&bytes)) {
            return Err(object.corrupt(name, group, "its SHA-256 is not the one in the footer"));
        }
        let chunk = Chunk { start, bytes, size: object.size };
        self.decode(chunk, group, leaf).map_err(|message| object.corrupt(name, group, message))
    }

    fn decode(&self, chunk: Chunk, group: usize, leaf: usize) -> Result<ArrayRef, String> {
        let rows = self.group_rows(group);
        guarded(|| {
            let mask = ProjectionMask::leaves(self.metadata.parquet_schema(), [leaf]);
            let mut reader = ParquetRecordBatchReaderBuilder::new_with_metadata(chunk, self.metadata.clone())
                .with_row_groups(vec![group])
                .with_projection(mask)
                .with_batch_size(rows.max(1))
                .build()?;
            let batch = reader
                .next()
                .ok_or_else(|| ParquetError::General("it has no rows".to_owned()))?
                .map_err(ParquetError::from)?;
            if batch.num_rows() != rows {
                return Err(ParquetError::General(format!("it has {} rows, not {rows}", batch.num_rows())));
            }
            Ok(batch.column(0).clone())
        })
    }
}

fn check_codec(
    object: &Object,
    metadata: &ParquetMetaData,
    leaf: usize,
    name: &str,
) -> Result<(), DatasetError> {
    let codecs = metadata.row_groups().iter().map(|group| group.column(leaf).compression());
    match codecs.into_iter().find(|codec| !is_built_in(*codec)) {
        Some(codec) => Err(DatasetError::Codec {
            file: object.file.clone(),
            column: name.to_owned(),
            codec: codec.to_string(),
        }),
        None => Ok(()),
    }
}

/// Whether columns compressed so can be read: what the features of the `parquet` crate bring.
pub(crate) fn is_built_in(codec: Compression) -> bool {
    match codec {
        Compression::UNCOMPRESSED
        | Compression::SNAPPY
        | Compression::GZIP(_)
        | Compression::BROTLI(_)
        | Compression::LZ4
        | Compression::LZ4_RAW
        | Compression::ZSTD(_) => true,
        Compression::LZO => false,
    }
}

/// The sums of the column chunks, by row group. Other programs copy the key when they rewrite a file, and with it sums
/// of bytes that are no more: only those of a file that was written here count, and only one for each chunk.
pub(crate) fn sums(metadata: &ParquetMetaData) -> Option<Vec<Vec<String>>> {
    let file = metadata.file_metadata();
    if file.created_by() != Some(CREATED_BY) {
        return None;
    }
    let text = file.key_value_metadata()?.iter().find(|pair| pair.key == SUMS_KEY)?.value.as_ref()?;
    let sums: Vec<Vec<String>> =
        text.split(';').map(|group| group.split(',').map(str::to_owned).collect()).collect();
    let groups = metadata.row_groups();
    let fits = sums.len() == groups.len() && sums.iter().zip(groups).all(|(s, g)| s.len() == g.num_columns());
    fits.then_some(sums)
}

fn timestamps(
    array: &ArrayRef,
    file: &str,
    first_row: usize,
    out: &mut Vec<i64>,
) -> Result<(), DatasetError> {
    let (values, per_ms, per_unit) = match array.data_type() {
        DataType::Timestamp(TimeUnit::Second, _) => {
            (array.as_primitive::<TimestampSecondType>().values(), 1, 1000)
        }
        DataType::Timestamp(TimeUnit::Millisecond, _) => {
            // As it is, without a division a row: these are most files.
            out.extend_from_slice(array.as_primitive::<TimestampMillisecondType>().values());
            return Ok(());
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            (array.as_primitive::<TimestampMicrosecondType>().values(), 1000, 1)
        }
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            (array.as_primitive::<TimestampNanosecondType>().values(), 1_000_000, 1)
        }
        _ => (array.as_primitive::<Int64Type>().values(), 0, 1),
    };
    out.reserve(values.len());
    for (row, &value) in values.iter().enumerate() {
        let ms = match per_ms {
            0 => epoch_ms(value),
            _ if value % per_ms != 0 => Err("has a fraction of a millisecond".to_owned()),
            _ => (value / per_ms).checked_mul(per_unit).ok_or_else(|| "is out of range".to_owned()),
        };
        out.push(ms.map_err(|message| DatasetError::BadCandle {
            file: file.to_owned(),
            place: crate::FileRow::Row(first_row + row + 1),
            message: format!("timestamp {} {message}", shown(array.data_type(), value)),
        })?);
    }
    Ok(())
}

/// A timestamp as a message shows it: UTC where the column says what it counts, else the number that stands there.
fn shown(column: &DataType, value: i64) -> String {
    let at = match column {
        DataType::Timestamp(TimeUnit::Second, _) => jiff::Timestamp::from_second(value),
        DataType::Timestamp(TimeUnit::Millisecond, _) => jiff::Timestamp::from_millisecond(value),
        DataType::Timestamp(TimeUnit::Microsecond, _) => jiff::Timestamp::from_microsecond(value),
        DataType::Timestamp(TimeUnit::Nanosecond, _) => jiff::Timestamp::from_nanosecond(i128::from(value)),
        _ => return value.to_string(),
    };
    at.map_or_else(|_| value.to_string(), |at| at.to_string())
}

/// A column chunk that was fetched, at its place in a file that was not.
struct Chunk {
    start: u64,
    bytes: Bytes,
    size: u64,
}

impl Chunk {
    fn at(&self, start: u64, length: Option<usize>) -> Result<Bytes, ParquetError> {
        let outside = || ParquetError::EOF(format!("byte {start} lies outside the column"));
        let from = start.checked_sub(self.start).and_then(|from| usize::try_from(from).ok());
        let from = from.filter(|from| *from <= self.bytes.len()).ok_or_else(outside)?;
        let length = length.unwrap_or(self.bytes.len() - from);
        let to = from.checked_add(length).filter(|to| *to <= self.bytes.len()).ok_or_else(outside)?;
        Ok(self.bytes.slice(from..to))
    }
}

impl Length for Chunk {
    fn len(&self) -> u64 {
        self.size
    }
}

impl ChunkReader for Chunk {
    type T = bytes::buf::Reader<Bytes>;

    fn get_read(&self, start: u64) -> Result<Self::T, ParquetError> {
        Ok(self.at(start, None)?.reader())
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        self.at(start, Some(length))
    }
}

/// Damaged bytes must never take the program down: what the decoder panics on becomes an error.
fn guarded<T>(work: impl FnOnce() -> Result<T, ParquetError>) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(result) => result.map_err(|e| e.to_string()),
        Err(_) => Err("the decoder gave up on it".to_owned()),
    }
}
