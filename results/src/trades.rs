//! `trades.parquet`: the round trips of the best trials.

use std::path::Path;
use std::sync::Arc;

use arrow_array::{
    ArrayRef, BooleanArray, Float64Array, StringArray, TimestampMillisecondArray, UInt32Array, UInt64Array,
};
use arrow_schema::{DataType, Field};
use blockgrid_engine::sim::{Fill, Trade};

use crate::parquet_file::{FileError, Layout, timestamp_type, write_parquet_file};
use crate::top::{TopTrial, parameter_names};

/// Writes one row a trade, in the order given: `rank, symbol, window`, the swept
/// parameters, `direction, quantity`, then `entry_` and `exit_`
/// `time, raw_price, price, fee, maker, reason`, then `pnl, return, bars`. The exit of a trade still open is null.
///
/// # Errors
/// [`FileError`] when the file cannot be written.
pub fn write_trades(path: &Path, trials: &[TopTrial<'_>]) -> Result<(), FileError> {
    let rows: Vec<(&TopTrial<'_>, &Trade)> = trials
        .iter()
        .flat_map(|trial| trial.outcome.trades.iter().map(move |trade| (trial, trade)))
        .collect();
    let names = parameter_names(trials);
    write_parquet_file(path, &layout(&names), rows.len(), |range| {
        let rows = &rows[range];
        let mut columns: Vec<ArrayRef> = vec![
            Arc::new(UInt32Array::from_iter_values(rows.iter().map(|(trial, _)| trial.rank))),
            Arc::new(StringArray::from_iter_values(rows.iter().map(|(trial, _)| &trial.symbol))),
            Arc::new(StringArray::from_iter_values(rows.iter().map(|(trial, _)| &trial.window))),
        ];
        for i in 0..names.len() {
            columns
                .push(number(rows.iter().map(|(trial, _)| trial.parameters.get(i).map(|(_, value)| *value))));
        }
        columns.push(Arc::new(StringArray::from_iter_values(
            rows.iter().map(|(_, trade)| trade.direction.id()),
        )));
        columns.push(number(rows.iter().map(|(_, trade)| Some(trade.quantity))));
        columns.extend(fills(&rows.iter().map(|(_, trade)| Some(&trade.entry)).collect::<Vec<_>>()));
        columns.extend(fills(&rows.iter().map(|(_, trade)| trade.exit.as_ref()).collect::<Vec<_>>()));
        columns.push(number(rows.iter().map(|(_, trade)| Some(trade.pnl))));
        columns.push(number(rows.iter().map(|(_, trade)| Some(trade.return_fraction))));
        columns
            .push(Arc::new(UInt64Array::from_iter_values(rows.iter().map(|(_, trade)| trade.bars as u64))));
        columns
    })
}

fn layout(parameters: &[String]) -> Layout {
    let mut fields = vec![
        Field::new("rank", DataType::UInt32, false),
        Field::new("symbol", DataType::Utf8, false),
        Field::new("window", DataType::Utf8, false),
    ];
    fields.extend(parameters.iter().map(|name| Field::new(name, DataType::Float64, true)));
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
