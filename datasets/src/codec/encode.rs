//! The one writer of Parquet: the same values give the same bytes.

use std::sync::Arc;

use arrow_array::{ArrayRef, Float64Array, RecordBatch, TimestampMillisecondArray};
use arrow_schema::{DataType, Field, Schema, TimeUnit};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterVersion};
use parquet::schema::types::ColumnPath;

use super::{COLUMNS, CREATED_BY, SUMS_KEY};
use crate::digest::sha256;

/// The sum of a column chunk: half a SHA-256, which is plenty against damage. Parquet has a checksum of pages, but the
/// writer at hand does not write it, and a flipped bit in a zstd frame often decodes to other numbers.
pub(crate) fn chunk_sum(bytes: &[u8]) -> String {
    let mut sum = sha256(bytes);
    sum.truncate(32);
    sum
}

/// A column of numbers to be written.
pub(crate) struct Series<'a> {
    pub(crate) name: &'a str,
    pub(crate) values: &'a [f64],
    /// Whether NaN is written as null.
    pub(crate) nullable: bool,
}

/// A `timestamp` column and columns of numbers as a Parquet file.
pub(crate) fn parquet_bytes(
    timestamp: &[i64],
    columns: &[Series<'_>],
    row_group: usize,
) -> Result<Vec<u8>, ParquetError> {
    let time = DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()));
    let mut fields = vec![Field::new(COLUMNS[0], time, false)];
    fields.extend(columns.iter().map(|c| Field::new(c.name, DataType::Float64, c.nullable)));
    let schema = Arc::new(Schema::new(fields));
    let options =
        ArrowWriterOptions::new().with_properties(properties(row_group)).with_skip_arrow_metadata(true);
    let mut writer = ArrowWriter::try_new_with_options(Vec::new(), schema.clone(), options)?;
    for start in (0..timestamp.len()).step_by(row_group.max(1)) {
        let range = start..(start + row_group).min(timestamp.len());
        let time = TimestampMillisecondArray::from_iter_values(timestamp[range.clone()].iter().copied());
        let mut arrays: Vec<ArrayRef> = vec![Arc::new(time.with_timezone("UTC"))];
        for column in columns {
            let values = column.values[range.clone()].iter();
            arrays.push(if column.nullable {
                Arc::new(values.map(|v| (!v.is_nan()).then_some(*v)).collect::<Float64Array>())
            } else {
                Arc::new(Float64Array::from_iter_values(values.copied()))
            });
        }
        writer.write(&RecordBatch::try_new(schema.clone(), arrays)?)?;
        writer.flush()?;
    }
    writer.sync()?;
    let mut sums = Vec::new();
    for group in writer.flushed_row_groups() {
        let group: Option<Vec<String>> = group
            .columns()
            .iter()
            .map(|chunk| {
                let (start, len) = chunk.byte_range();
                let start = usize::try_from(start).ok()?;
                let end = start.checked_add(usize::try_from(len).ok()?)?;
                writer.inner().get(start..end).map(chunk_sum)
            })
            .collect();
        let group =
            group.ok_or_else(|| ParquetError::General("a column chunk was not flushed".to_owned()))?;
        sums.push(group.join(","));
    }
    writer.append_key_value_metadata(KeyValue::new(SUMS_KEY.to_owned(), sums.join(";")));
    writer.into_inner()
}

/// As `docs/candles.md` measured: numbers as they are, packed by zstd, one page a row group. A split of bytes and a
/// dictionary both made prices longer; higher levels cost five times the time for a tenth of the bytes. Statistics are
/// of row groups, which is what readers skip by.
fn properties(row_group: usize) -> WriterProperties {
    let zstd = ZstdLevel::try_new(3).unwrap_or_default();
    WriterProperties::builder()
        .set_created_by(CREATED_BY.to_owned())
        .set_writer_version(WriterVersion::PARQUET_2_0)
        .set_compression(Compression::ZSTD(zstd))
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_offset_index_disabled(true)
        .set_max_row_group_row_count(Some(row_group))
        .set_data_page_row_count_limit(row_group)
        .set_data_page_size_limit(16 * row_group.max(64))
        .set_dictionary_enabled(false)
        .set_column_encoding(ColumnPath::from(COLUMNS[0]), Encoding::DELTA_BINARY_PACKED)
        .build()
}
