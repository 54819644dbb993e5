//! The one writer of Parquet: the same values give the same bytes.

use std::io::Write;
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
    let mut writer = ParquetWriter::new(Vec::new(), columns, row_group)?;
    writer.write(timestamp, columns)?;
    writer.finish()
}

/// Writes such a file a part at a time; at most a row group is in memory, and how the rows are cut changes no byte.
pub(crate) struct ParquetWriter<W: Write + Send> {
    writer: ArrowWriter<Tee<W>>,
    schema: Arc<Schema>,
    row_group: usize,
    /// Of every row group that is written.
    sums: Vec<String>,
}

impl<W: Write + Send> ParquetWriter<W> {
    /// Of the columns, the names count and whether they may be null.
    pub(crate) fn new(out: W, columns: &[Series<'_>], row_group: usize) -> Result<Self, ParquetError> {
        let time = DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()));
        let mut fields = vec![Field::new(COLUMNS[0], time, false)];
        fields.extend(columns.iter().map(|c| Field::new(c.name, DataType::Float64, c.nullable)));
        let schema = Arc::new(Schema::new(fields));
        let options =
            ArrowWriterOptions::new().with_properties(properties(row_group)).with_skip_arrow_metadata(true);
        let out = Tee { out, start: 0, kept: Vec::new() };
        let writer = ArrowWriter::try_new_with_options(out, schema.clone(), options)?;
        Ok(Self { writer, schema, row_group, sums: Vec::new() })
    }

    /// Appends rows.
    pub(crate) fn write(&mut self, timestamp: &[i64], columns: &[Series<'_>]) -> Result<(), ParquetError> {
        for start in (0..timestamp.len()).step_by(self.row_group.max(1)) {
            let range = start..(start + self.row_group).min(timestamp.len());
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
            self.writer.write(&RecordBatch::try_new(self.schema.clone(), arrays)?)?;
            self.sum()?;
        }
        Ok(())
    }

    /// Sums the row groups that are complete, and forgets their bytes.
    fn sum(&mut self) -> Result<(), ParquetError> {
        if self.writer.flushed_row_groups().len() == self.sums.len() {
            return Ok(());
        }
        self.writer.sync()?;
        let written = self.writer.inner();
        for group in &self.writer.flushed_row_groups()[self.sums.len()..] {
            let sums: Option<Vec<String>> = group
                .columns()
                .iter()
                .map(|chunk| {
                    let (start, len) = chunk.byte_range();
                    Some(chunk_sum(written.bytes(start, len)?))
                })
                .collect();
            let sums =
                sums.ok_or_else(|| ParquetError::General("a column chunk was not flushed".to_owned()))?;
            self.sums.push(sums.join(","));
        }
        self.writer.inner_mut().forget();
        Ok(())
    }

    /// Writes what is left and the footer.
    pub(crate) fn finish(mut self) -> Result<W, ParquetError> {
        self.writer.flush()?;
        self.sum()?;
        self.writer.append_key_value_metadata(KeyValue::new(SUMS_KEY.to_owned(), self.sums.join(";")));
        self.writer.into_inner().map(|tee| tee.out)
    }
}

/// Keeps what is written until it is summed.
struct Tee<W> {
    out: W,
    /// Where in the file `kept` begins.
    start: u64,
    kept: Vec<u8>,
}

impl<W> Tee<W> {
    fn bytes(&self, start: u64, len: u64) -> Option<&[u8]> {
        let start = usize::try_from(start.checked_sub(self.start)?).ok()?;
        let end = start.checked_add(usize::try_from(len).ok()?)?;
        self.kept.get(start..end)
    }

    fn forget(&mut self) {
        self.start += self.kept.len() as u64;
        self.kept.clear();
    }
}

impl<W: Write> Write for Tee<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.kept.extend_from_slice(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.out.flush()
    }
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
