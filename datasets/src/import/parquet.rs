//! Parquet, batch by batch.

use std::io::Read;

use arrow_array::RecordBatch;
use arrow_schema::Schema;
use bytes::Bytes;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaData;
use parquet::file::reader::ChunkReader;

use super::ImportError;
use super::batch::BATCH;
use super::source::Source;
use super::table::{Table, guarded};
use crate::codec::{chunk_sum, is_built_in, sums};
use crate::error::FileRow;

pub(crate) const MAGIC: &[u8] = b"PAR1";

/// A packed Parquet file is unpacked in memory, because it is read from its end.
const MAX_UNPACKED: u64 = 512 << 20;

/// The batches of a Parquet file.
pub(crate) struct ParquetTable {
    file: String,
    schema: Schema,
    reader: ParquetRecordBatchReader,
    rows: usize,
}

impl ParquetTable {
    pub(crate) fn open(source: &Source) -> Result<Self, ImportError> {
        match source.plain_file() {
            Some(file) => Self::read(source, file?),
            None => {
                let mut bytes = Vec::new();
                std::io::Read::take(source.open()?, MAX_UNPACKED + 1)
                    .read_to_end(&mut bytes)
                    .map_err(|e| ImportError::io(&source.name, &e))?;
                if bytes.len() as u64 > MAX_UNPACKED {
                    return Err(ImportError::NotCandles {
                        file: source.name.clone(),
                        message: "is a packed Parquet file of more than 512 MiB: unpack it first".to_owned(),
                    });
                }
                Self::read(source, Bytes::from(bytes))
            }
        }
    }

    fn read(source: &Source, input: impl ChunkReader + 'static) -> Result<Self, ImportError> {
        let not_parquet = |message: String| ImportError::NotCandles {
            file: source.name.clone(),
            message: format!("is not a Parquet file: {message}; check whether it was cut off"),
        };
        let metadata =
            guarded(|| ArrowReaderMetadata::load(&input, ArrowReaderOptions::new())).map_err(not_parquet)?;
        check_chunks(&source.name, metadata.metadata(), &input)?;
        let (schema, reader) = guarded(|| {
            let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(input, metadata);
            let rows: i64 = builder
                .metadata()
                .row_groups()
                .iter()
                .map(|g| g.num_rows().max(0))
                .fold(0, i64::saturating_add);
            if builder.metadata().file_metadata().num_rows() != rows {
                return Err(ParquetError::General("its row groups do not add up to its rows".to_owned()));
            }
            let schema = builder.schema().as_ref().clone();
            Ok((schema, builder.with_batch_size(BATCH).build()?))
        })
        .map_err(not_parquet)?;
        Ok(Self { file: source.name.clone(), schema, reader, rows: 0 })
    }
}

impl Table for ParquetTable {
    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn next(&mut self) -> Result<Option<RecordBatch>, ImportError> {
        let reader = &mut self.reader;
        let batch = guarded(|| reader.next().transpose()).map_err(|message| ImportError::Damaged {
            file: self.file.clone(),
            place: FileRow::Row(self.rows + 1),
            message,
        })?;
        self.rows += batch.as_ref().map_or(0, RecordBatch::num_rows);
        Ok(batch)
    }
}

/// Codecs that can be read, and the sums of a file that was written here: a flipped bit in a zstd frame often decodes to
/// other numbers.
fn check_chunks(file: &str, metadata: &ParquetMetaData, input: &impl ChunkReader) -> Result<(), ImportError> {
    let sums = sums(metadata);
    let mut row = 0;
    for (g, group) in metadata.row_groups().iter().enumerate() {
        for (c, chunk) in group.columns().iter().enumerate() {
            let name = chunk.column_path().string();
            if !is_built_in(chunk.compression()) {
                return Err(ImportError::WrongType {
                    file: file.to_owned(),
                    column: name,
                    found: format!("compressed with {}, which this build cannot read,", chunk.compression()),
                    expected: "in zstd, snappy, gzip, lz4, brotli or no compression: write the file again",
                });
            }
            let Some(sum) = sums.as_ref().and_then(|sums| sums.get(g)?.get(c)) else { continue };
            let start = u64::try_from(chunk.dictionary_page_offset().unwrap_or(chunk.data_page_offset()))
                .unwrap_or(0);
            let length = usize::try_from(chunk.compressed_size()).unwrap_or(usize::MAX);
            let fits = start.checked_add(length as u64).is_some_and(|end| end <= input.len());
            let bytes = if fits { guarded(|| input.get_bytes(start, length)).ok() } else { None };
            if bytes.is_none_or(|bytes| chunk_sum(&bytes) != *sum) {
                return Err(ImportError::Damaged {
                    file: file.to_owned(),
                    place: FileRow::Row(row + 1),
                    message: format!(
                        "column `{name}` of row group {g}: its SHA-256 is not the one in the footer"
                    ),
                });
            }
        }
        row += usize::try_from(group.num_rows()).unwrap_or(0);
    }
    Ok(())
}
