//! `equity.parquet`: the accounts of the best trials, bar by bar.

use std::path::Path;
use std::sync::Arc;

use arrow_array::{
    ArrayRef, BooleanArray, Float64Array, StringArray, TimestampMillisecondArray, UInt32Array,
};
use arrow_schema::{DataType, Field};

use crate::parquet_file::{FileError, Layout, timestamp_type, write_parquet_file};
use crate::top::{EquityPoint, TopTrial, parameter_names};

/// Writes one row a bar and trial, in the order given: `rank, symbol, window`, the swept parameters,
/// `timestamp, equity, drawdown, position, buy_and_hold`. `timestamp` is the close of the bar (open + interval), UTC.
/// When a bar of any of the trials was made to fill a gap, a last column `filled` tells which.
///
/// # Errors
/// [`FileError`] when the file cannot be written.
pub fn write_equity(path: &Path, trials: &[TopTrial<'_>]) -> Result<(), FileError> {
    let number = |name: &str| Field::new(name, DataType::Float64, false);
    let names = parameter_names(trials);
    let mut fields = vec![
        Field::new("rank", DataType::UInt32, false),
        Field::new("symbol", DataType::Utf8, false),
        Field::new("window", DataType::Utf8, false),
    ];
    fields.extend(names.iter().map(|name| Field::new(name, DataType::Float64, true)));
    fields.push(Field::new("timestamp", timestamp_type(), false));
    fields.extend(["equity", "drawdown", "position", "buy_and_hold"].map(number));
    let filled = trials.iter().any(|trial| trial.points().any(|point| trial.candles.is_filled(point.bar)));
    if filled {
        fields.push(Field::new("filled", DataType::Boolean, false));
    }
    let mut layout = Layout::new(fields);
    layout.repeating =
        ["rank", "position"].into_iter().chain(names.iter().map(String::as_str)).map(str::to_owned).collect();
    layout.runs = vec!["symbol", "window"];
    let rows = trials.iter().map(TopTrial::bars).sum();
    let mut points = trials.iter().flat_map(|trial| trial.points().map(move |point| (trial, point)));
    write_parquet_file(path, &layout, rows, |range| {
        let chunk: Vec<(&TopTrial<'_>, EquityPoint)> = points.by_ref().take(range.len()).collect();
        let column = |of: fn(&EquityPoint) -> f64| -> ArrayRef {
            Arc::new(Float64Array::from_iter_values(chunk.iter().map(|(_, point)| of(point))))
        };
        let mut columns: Vec<ArrayRef> = vec![
            Arc::new(UInt32Array::from_iter_values(chunk.iter().map(|(trial, _)| trial.rank))),
            Arc::new(StringArray::from_iter_values(chunk.iter().map(|(trial, _)| &trial.symbol))),
            Arc::new(StringArray::from_iter_values(chunk.iter().map(|(trial, _)| &trial.window))),
        ];
        for i in 0..names.len() {
            let value = |trial: &TopTrial<'_>| trial.parameters.get(i).map(|(_, value)| *value);
            columns.push(Arc::new(chunk.iter().map(|(trial, _)| value(trial)).collect::<Float64Array>()));
        }
        let rest: [ArrayRef; 5] = [
            Arc::new(
                TimestampMillisecondArray::from_iter_values(chunk.iter().map(|(_, point)| point.timestamp))
                    .with_timezone("UTC"),
            ),
            column(|point| point.equity),
            column(|point| point.drawdown),
            column(|point| point.position),
            column(|point| point.buy_and_hold),
        ];
        columns.extend(rest);
        if filled {
            let is_filled =
                |(trial, point): &(&TopTrial<'_>, EquityPoint)| trial.candles.is_filled(point.bar);
            columns.push(Arc::new(BooleanArray::from_iter(chunk.iter().map(|row| Some(is_filled(row))))));
        }
        columns
    })
}
