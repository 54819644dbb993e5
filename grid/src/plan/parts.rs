//! Parts of a plan: shards as Parquet.

use std::sync::Arc;

use arrow_array::builder::{ListBuilder, UInt64Builder};
use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, UInt32Type, UInt64Type};
use arrow_array::{ArrayRef, RecordBatch, UInt32Array, UInt64Array};
use arrow_schema::ArrowError;
use blockgrid_job::plan::{Shard, Slices};
use bytes::Bytes;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::arrow::{ArrowWriter, ProjectionMask};
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;

/// Shards in a part: enough that a plan of a million is some hundred objects, few enough that a worker fetches one at once.
pub const SHARDS_A_PART: u64 = 8192;

/// A part that cannot be written, or that is none.
#[derive(Debug, thiserror::Error)]
#[error("a part of the plan is damaged or of another version: {0}")]
pub struct BadPart(String);

impl From<ParquetError> for BadPart {
    fn from(error: ParquetError) -> Self {
        Self(error.to_string())
    }
}

impl From<ArrowError> for BadPart {
    fn from(error: ArrowError) -> Self {
        Self(error.to_string())
    }
}

/// Shards as bytes; the same shards give the same bytes.
///
/// # Errors
/// When Parquet refuses.
pub fn encode_part(shards: &[Shard]) -> Result<Vec<u8>, BadPart> {
    let mut trials = ListBuilder::new(UInt64Builder::new());
    for shard in shards {
        for range in shard.trials.ranges() {
            trials.values().append_value(range.start);
            trials.values().append_value(range.end);
        }
        trials.append(true);
    }
    let columns: [(&str, ArrayRef); 4] = [
        ("number", Arc::new(UInt64Array::from_iter_values(shards.iter().map(|shard| shard.number)))),
        ("symbol", Arc::new(UInt32Array::from_iter_values(shards.iter().map(|shard| shard.symbol)))),
        (
            "cost_micros",
            Arc::new(UInt64Array::from_iter_values(shards.iter().map(|shard| shard.cost_micros))),
        ),
        ("trials", Arc::new(trials.finish())),
    ];
    let batch = RecordBatch::try_from_iter(columns)?;
    let properties = WriterProperties::builder()
        .set_created_by("blockgrid".to_owned())
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .build();
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties))?;
    writer.write(&batch)?;
    Ok(writer.into_inner()?)
}

/// The shards of [`encode_part`].
///
/// # Errors
/// For bytes that are no part of a plan.
pub fn decode_part(bytes: Bytes) -> Result<Vec<Shard>, BadPart> {
    let mut shards = Vec::new();
    for batch in ParquetRecordBatchReaderBuilder::try_new(bytes)?.build()? {
        let batch = batch?;
        let column = |name: &str| {
            batch.column_by_name(name).ok_or_else(|| BadPart(format!("it has no column `{name}`")))
        };
        let wrong = |name: &str| BadPart(format!("column `{name}` has another type"));
        let number = column("number")?.as_primitive_opt::<UInt64Type>().ok_or_else(|| wrong("number"))?;
        let symbol = column("symbol")?.as_primitive_opt::<UInt32Type>().ok_or_else(|| wrong("symbol"))?;
        let cost = column("cost_micros")?.as_primitive_opt::<UInt64Type>();
        let cost = cost.ok_or_else(|| wrong("cost_micros"))?;
        let trials = column("trials")?.as_list_opt::<i32>().ok_or_else(|| wrong("trials"))?;
        for row in 0..batch.num_rows() {
            let bounds = trials.value(row);
            let bounds = bounds.as_primitive_opt::<UInt64Type>().ok_or_else(|| wrong("trials"))?;
            let trials: Slices = bounds.values().chunks_exact(2).map(|pair| pair[0]..pair[1]).collect();
            shards.push(Shard {
                number: number.value(row),
                symbol: symbol.value(row),
                trials,
                cost_micros: cost.value(row),
            });
        }
    }
    Ok(shards)
}

/// The swept parameters of a table of trials, row by row, of which there are so many: they stand between `window` and
/// `first_bar`.
///
/// # Errors
/// For bytes that are no such table.
pub fn parameters(bytes: Bytes, count: usize) -> Result<Vec<Vec<f64>>, BadPart> {
    const BEFORE: usize = 2;
    let builder = ParquetRecordBatchReaderBuilder::try_new(bytes)?;
    let is_there =
        builder.schema().fields().get(BEFORE + count).is_some_and(|field| field.name() == "first_bar");
    if !is_there {
        return Err(BadPart("it is no table of trials with these parameters".to_owned()));
    }
    let mask = ProjectionMask::leaves(builder.parquet_schema(), BEFORE..BEFORE + count);
    let mut rows = Vec::new();
    for batch in builder.with_projection(mask).build()? {
        let batch = batch?;
        let columns: Option<Vec<_>> =
            batch.columns().iter().map(|column| column.as_primitive_opt::<Float64Type>()).collect();
        let columns = columns.ok_or_else(|| BadPart("a parameter is no number".to_owned()))?;
        rows.extend(
            (0..batch.num_rows()).map(|row| columns.iter().map(|column| column.value(row)).collect()),
        );
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_come_back() {
        let shards: Vec<Shard> = (0..1000)
            .map(|number| Shard {
                number,
                symbol: (number / 100) as u32,
                trials: [number..number + 3, number + 10..number + 20].into_iter().collect(),
                cost_micros: number * 7,
            })
            .collect();
        let bytes = encode_part(&shards).unwrap();
        assert_eq!(bytes, encode_part(&shards).unwrap());
        assert_eq!(decode_part(bytes.clone().into()).unwrap(), shards);
        assert!(decode_part(Bytes::copy_from_slice(&bytes[..bytes.len() / 2])).is_err());
        assert!(decode_part(Bytes::new()).is_err());
    }
}
