//! `trades.parquet`: the round trips of the best trials.

use std::path::Path;
use std::sync::Arc;

use arrow_array::{
    ArrayRef, BooleanArray, Float64Array, StringArray, TimestampMillisecondArray, UInt64Array,
};
use arrow_schema::{DataType, Field};
use blockgrid_engine::sim::{Fill, Trade};

use crate::parquet_file::{FileError, Layout, RowFile, timestamp_type};
use crate::top::{TopColumns, TopTrial, Who};

/// One row a trade, in the order given: `rank, symbol, window`, the swept
/// parameters, `direction, quantity`, then `entry_` and `exit_`
/// `time, raw_price, price, fee, maker, reason`, then `pnl, return, bars`. The exit of a trade still open is null.
///
/// Trials are written as they come and not held.
pub struct TradesFile(RowFile<(Arc<Who>, Trade)>);

impl TradesFile {
    /// Begins the file, which appears under its name when it is finished.
    ///
    /// # Errors
    /// [`FileError`] when the file cannot be written.
    pub fn create(path: &Path, columns: &TopColumns) -> Result<Self, FileError> {
        let parameters = columns.parameters.len();
        let of = move |rows: &[(Arc<Who>, Trade)]| arrays(rows, parameters);
        RowFile::create(path, &layout(&columns.parameters), Box::new(of)).map(Self)
    }

    /// Adds the trades of a trial.
    ///
    /// # Errors
    /// As [`Self::create`].
    pub fn push(&mut self, trial: &TopTrial<'_>) -> Result<(), FileError> {
        let who = trial.who();
        trial.outcome.trades.iter().try_for_each(|trade| self.0.push((Arc::clone(&who), *trade)))
    }

    /// Writes what is left.
    ///
    /// # Errors
    /// As [`Self::create`].
    pub fn finish(self) -> Result<(), FileError> {
        self.0.finish()
    }
}

fn arrays(rows: &[(Arc<Who>, Trade)], parameters: usize) -> Vec<ArrayRef> {
    let trades = || rows.iter().map(|(_, trade)| trade);
    let mut columns = Who::columns(rows.iter().map(|(who, _)| &**who), parameters);
    columns.push(Arc::new(StringArray::from_iter_values(trades().map(|trade| trade.direction.id()))));
    columns.push(number(trades().map(|trade| Some(trade.quantity))));
    columns.extend(fills(&trades().map(|trade| Some(&trade.entry)).collect::<Vec<_>>()));
    columns.extend(fills(&trades().map(|trade| trade.exit.as_ref()).collect::<Vec<_>>()));
    columns.push(number(trades().map(|trade| Some(trade.pnl))));
    columns.push(number(trades().map(|trade| Some(trade.return_fraction))));
    columns.push(Arc::new(UInt64Array::from_iter_values(trades().map(|trade| trade.bars as u64))));
    columns
}

fn layout(parameters: &[String]) -> Layout {
    let mut fields = Who::fields(parameters);
    fields.push(Field::new("direction", DataType::Utf8, false));
    fields.push(Field::new("quantity", DataType::Float64, false));
    for (side, nullable) in [("entry", false), ("exit", true)] {
        let field = |name: &str, data_type| Field::new(format!("{side}_{name}"), data_type, nullable);
        fields.extend([
            field("time", timestamp_type()),
            field("raw_price", DataType::Float64),
            field("price", DataType::Float64),
            field("fee", DataType::Float64),
            field("maker", DataType::Boolean),
            field("reason", DataType::Utf8),
        ]);
    }
    fields.extend([
        Field::new("pnl", DataType::Float64, false),
        Field::new("return", DataType::Float64, false),
        Field::new("bars", DataType::UInt64, false),
    ]);
    Layout::new(fields)
}

fn number(values: impl Iterator<Item = Option<f64>>) -> ArrayRef {
    Arc::new(values.collect::<Float64Array>())
}

fn fills(fills: &[Option<&Fill>]) -> Vec<ArrayRef> {
    let each = || fills.iter().copied();
    let time: TimestampMillisecondArray = each().map(|fill| fill.map(|f| f.timestamp)).collect();
    vec![
        Arc::new(time.with_timezone("UTC")),
        number(each().map(|fill| fill.map(|f| f.raw_price))),
        number(each().map(|fill| fill.map(|f| f.price))),
        number(each().map(|fill| fill.map(|f| f.fee))),
        Arc::new(each().map(|fill| fill.map(|f| f.maker)).collect::<BooleanArray>()),
        Arc::new(each().map(|fill| fill.map(|f| f.reason.id())).collect::<StringArray>()),
    ]
}
