//! The answer of a query, batch by batch.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch};
use datafusion::arrow::compute::nullif;
use datafusion::arrow::datatypes::{DataType, Float32Type, Float64Type, Schema, SchemaRef};
use datafusion::arrow::error::ArrowError;
use datafusion::error::DataFusionError;
use futures::StreamExt;
use futures::stream::BoxStream;

use crate::QueryError;

/// The answer of a query. Batches are computed as they are taken; dropping the value stops the query.
pub struct Rows {
    schema: SchemaRef,
    stream: BoxStream<'static, Result<RecordBatch, DataFusionError>>,
    memory: usize,
}

impl Rows {
    pub(crate) fn new(
        schema: SchemaRef,
        stream: BoxStream<'static, Result<RecordBatch, DataFusionError>>,
        memory: usize,
    ) -> Self {
        // Tables hold no NaN, but a computed column may, such as `0.0 / 0.0`: any float may become null.
        let fields: Vec<_> = schema
            .fields()
            .iter()
            .map(|field| match field.data_type().is_floating() {
                true => Arc::new(field.as_ref().clone().with_nullable(true)),
                false => Arc::clone(field),
            })
            .collect();
        let schema = Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()));
        Self { schema, stream, memory }
    }

    /// The columns.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The memory limit the query runs under, in bytes.
    pub fn memory(&self) -> usize {
        self.memory
    }

    /// The next rows, `None` after the last; a `NaN` has become null.
    pub async fn next(&mut self) -> Result<Option<RecordBatch>, QueryError> {
        match self.stream.next().await {
            None => Ok(None),
            Some(Err(error)) => Err(QueryError::running(&error, self.memory)),
            Some(Ok(batch)) => match without_nan(&batch, &self.schema) {
                Ok(batch) => Ok(Some(batch)),
                Err(error) => Err(QueryError::Failed(error.to_string())),
            },
        }
    }
}

fn without_nan(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    let columns = batch.columns().iter().map(nan_to_null).collect::<Result<Vec<_>, _>>()?;
    let options = datafusion::arrow::array::RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)
}

fn nan_to_null(column: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let is_nan = match column.data_type() {
        DataType::Float64 => BooleanArray::from_unary(column.as_primitive::<Float64Type>(), f64::is_nan),
        DataType::Float32 => BooleanArray::from_unary(column.as_primitive::<Float32Type>(), f32::is_nan),
        _ => return Ok(Arc::clone(column)),
    };
    nullif(column.as_ref() as &dyn Array, &is_nan)
}
