//! `equity.parquet`: the accounts of the best trials, bar by bar.

use std::path::Path;
use std::sync::Arc;

use arrow_array::{ArrayRef, BooleanArray, Float64Array, TimestampMillisecondArray};
use arrow_schema::{DataType, Field};

use crate::parquet_file::{FileError, Layout, RowFile, timestamp_type};
use crate::top::{EquityPoint, TopColumns, TopTrial, Who};

/// One row a bar and trial, in the order given: `rank, symbol, window`, the swept parameters,
/// `timestamp, equity, drawdown, position, buy_and_hold`. `timestamp` is the close of the bar (open + interval), UTC.
/// When a bar of any of the trials was made to fill a gap, a last column `filled` tells which.
///
/// Trials are written as they come and not held.
pub struct EquityFile(RowFile<Row>);

struct Row {
    who: Arc<Who>,
    point: EquityPoint,
    is_filled: bool,
}

impl EquityFile {
    /// Begins the file, which appears under its name when it is finished.
    ///
    /// # Errors
    /// [`FileError`] when the file cannot be written.
    pub fn create(path: &Path, columns: &TopColumns) -> Result<Self, FileError> {
        let (parameters, filled) = (columns.parameters.len(), columns.filled);
        let of = move |rows: &[Row]| arrays(rows, parameters, filled);
        RowFile::create(path, &layout(columns), Box::new(of)).map(Self)
    }

    /// Adds the account of a trial.
    ///
    /// # Errors
    /// As [`Self::create`].
    pub fn push(&mut self, trial: &TopTrial<'_>) -> Result<(), FileError> {
        let who = trial.who();
        trial.points().try_for_each(|point| {
            let is_filled = trial.candles.is_filled(point.bar);
            self.0.push(Row { who: Arc::clone(&who), point, is_filled })
        })
    }

    /// Writes what is left.
    ///
    /// # Errors
    /// As [`Self::create`].
    pub fn finish(self) -> Result<(), FileError> {
        self.0.finish()
    }
}

fn layout(columns: &TopColumns) -> Layout {
    let number = |name: &str| Field::new(name, DataType::Float64, false);
    let names = &columns.parameters;
    let mut fields = Who::fields(names);
    fields.push(Field::new("timestamp", timestamp_type(), false));
    fields.extend(["equity", "drawdown", "position", "buy_and_hold"].map(number));
    if columns.filled {
        fields.push(Field::new("filled", DataType::Boolean, false));
    }
    let mut layout = Layout::new(fields);
    layout.repeating =
        ["rank", "position"].into_iter().chain(names.iter().map(String::as_str)).map(str::to_owned).collect();
    layout.runs = vec!["symbol", "window"];
    layout
}

fn arrays(rows: &[Row], parameters: usize, filled: bool) -> Vec<ArrayRef> {
    let column = |of: fn(&EquityPoint) -> f64| -> ArrayRef {
        Arc::new(Float64Array::from_iter_values(rows.iter().map(|row| of(&row.point))))
    };
    let closes = TimestampMillisecondArray::from_iter_values(rows.iter().map(|row| row.point.timestamp));
    let mut columns = Who::columns(rows.iter().map(|row| &*row.who), parameters);
    columns.extend([
        Arc::new(closes.with_timezone("UTC")),
        column(|point| point.equity),
        column(|point| point.drawdown),
        column(|point| point.position),
        column(|point| point.buy_and_hold),
    ]);
    if filled {
        columns.push(Arc::new(BooleanArray::from_iter(rows.iter().map(|row| Some(row.is_filled)))));
    }
    columns
}
