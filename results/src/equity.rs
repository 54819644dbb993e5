//! `equity.parquet`: the accounts of the best trials, bar by bar.

use std::path::Path;
use std::sync::Arc;

use arrow_array::{ArrayRef, Float64Array, StringArray, TimestampMillisecondArray, UInt32Array};
use arrow_schema::{DataType, Field};

use crate::parquet_file::{FileError, Layout, timestamp_type, write_parquet_file};
use crate::top::{EquityPoint, TopTrial};

/// Writes one row a bar and trial, in the order given: `rank, symbol, window, timestamp, equity, drawdown, position,
/// buy_and_hold`. `timestamp` is the close of the bar (open + interval), UTC.
///
/// # Errors
/// [`FileError`] when the file cannot be written.
pub fn write_equity(path: &Path, trials: &[TopTrial<'_>]) -> Result<(), FileError> {
    let number = |name: &str| Field::new(name, DataType::Float64, false);
    let mut layout = Layout::new(vec![
        Field::new("rank", DataType::UInt32, false),
        Field::new("symbol", DataType::Utf8, false),
        Field::new("window", DataType::Utf8, false),
        Field::new("timestamp", timestamp_type(), false),
        number("equity"),
        number("drawdown"),
        number("position"),
        number("buy_and_hold"),
    ]);
    layout.repeating = vec!["rank".to_owned(), "position".to_owned()];
    let rows = trials.iter().map(TopTrial::bars).sum();
    let mut points = trials.iter().flat_map(|trial| trial.points().map(move |point| (trial, point)));
    write_parquet_file(path, &layout, rows, |range| {
        let chunk: Vec<(&TopTrial<'_>, EquityPoint)> = points.by_ref().take(range.len()).collect();
        let column = |of: fn(&EquityPoint) -> f64| -> ArrayRef {
            Arc::new(Float64Array::from_iter_values(chunk.iter().map(|(_, point)| of(point))))
        };
        vec![
            Arc::new(UInt32Array::from_iter_values(chunk.iter().map(|(trial, _)| trial.rank))),
            Arc::new(StringArray::from_iter_values(chunk.iter().map(|(trial, _)| &trial.symbol))),
            Arc::new(StringArray::from_iter_values(chunk.iter().map(|(trial, _)| &trial.window))),
            Arc::new(
                TimestampMillisecondArray::from_iter_values(chunk.iter().map(|(_, point)| point.timestamp))
                    .with_timezone("UTC"),
            ),
            column(|point| point.equity),
            column(|point| point.drawdown),
            column(|point| point.position),
            column(|point| point.buy_and_hold),
        ]
    })
}
