//! Writers of Arrow IPC and Parquet as pandas, polars and Spark write them.

use std::sync::Arc;

use arrow_array::{
    ArrayRef, Decimal128Array, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
    TimestampMillisecondArray, TimestampNanosecondArray, TimestampSecondArray,
};
use arrow_ipc::CompressionType;
use arrow_ipc::writer::{FileWriter, IpcWriteOptions, StreamWriter};
use blockgrid_engine::candles::Candles;
use parquet::arrow::ArrowWriter;

use super::{Dialect, File};

pub(crate) const DIALECTS: &[Dialect] = &[
    ("Feather of freqtrade", |c| feather(c, Some(CompressionType::LZ4_FRAME))),
    ("Feather, zstd", |c| feather(c, Some(CompressionType::ZSTD))),
    ("Feather, plain", |c| feather(c, None)),
    ("Arrow stream of milliseconds", stream),
    ("Parquet of microseconds", micros),
    ("Parquet of whole numbers", whole),
    ("Parquet of seconds in an index without a name", index),
    ("Parquet of decimals and texts", decimals),
];

fn floats(values: &[f64]) -> ArrayRef {
    Arc::new(Float64Array::from(values.to_vec()))
}

/// A time column by its name, then the candle; in several batches.
fn batches(candles: &Candles, name: &str, time: impl Fn(&[i64]) -> ArrayRef) -> Vec<RecordBatch> {
    let half = candles.len() / 2;
    [0..half, half..candles.len()]
        .into_iter()
        .map(|range| {
            let part = candles.slice(range);
            RecordBatch::try_from_iter([
                ("open", floats(part.open())),
                (name, time(part.timestamp())),
                ("High", floats(part.high())),
                ("low", floats(part.low())),
                ("close", floats(part.close())),
                ("volume", floats(part.volume())),
                ("symbol", Arc::new(StringArray::from(vec!["BTC/USDT"; part.len()]))),
            ])
            .unwrap()
        })
        .collect()
}

fn feather(candles: &Candles, codec: Option<CompressionType>) -> File {
    let nanos = |at: &[i64]| -> ArrayRef {
        Arc::new(
            TimestampNanosecondArray::from_iter_values(at.iter().map(|ms| ms * 1_000_000))
                .with_timezone("UTC"),
        )
    };
    let batches = batches(candles, "date", nanos);
    let options = IpcWriteOptions::default().try_with_compression(codec).unwrap();
    let mut writer = FileWriter::try_new_with_options(Vec::new(), &batches[0].schema(), options).unwrap();
    batches.iter().for_each(|batch| writer.write(batch).unwrap());
    (format!("BTC_USDT-{}.feather", candles.interval()), writer.into_inner().unwrap())
}

fn stream(candles: &Candles) -> File {
    let millis = |at: &[i64]| -> ArrayRef { Arc::new(TimestampMillisecondArray::from(at.to_vec())) };
    let batches = batches(candles, "time", millis);
    let mut writer = StreamWriter::try_new(Vec::new(), &batches[0].schema()).unwrap();
    batches.iter().for_each(|batch| writer.write(batch).unwrap());
    ("x.arrows".to_owned(), writer.into_inner().unwrap())
}

fn parquet(batches: &[RecordBatch]) -> Vec<u8> {
    let mut writer = ArrowWriter::try_new(Vec::new(), batches[0].schema(), None).unwrap();
    batches.iter().for_each(|batch| writer.write(batch).unwrap());
    writer.into_inner().unwrap()
}

fn micros(candles: &Candles) -> File {
    let micros = |at: &[i64]| -> ArrayRef {
        Arc::new(TimestampMicrosecondArray::from_iter_values(at.iter().map(|ms| ms * 1000)))
    };
    ("x.parquet".to_owned(), parquet(&batches(candles, "datetime", micros)))
}

fn whole(candles: &Candles) -> File {
    let seconds =
        |at: &[i64]| -> ArrayRef { Arc::new(Int64Array::from_iter_values(at.iter().map(|ms| ms / 1000))) };
    ("x.pq".to_owned(), parquet(&batches(candles, "unix", seconds)))
}

fn index(candles: &Candles) -> File {
    let seconds = |at: &[i64]| -> ArrayRef {
        Arc::new(TimestampSecondArray::from_iter_values(at.iter().map(|ms| ms / 1000)))
    };
    ("x.parquet".to_owned(), parquet(&batches(candles, "__index_level_0__", seconds)))
}

fn decimals(candles: &Candles) -> File {
    let decimal = |values: &[f64]| -> ArrayRef {
        let scaled = values.iter().map(|v| (v * 1e8).round() as i128);
        Arc::new(Decimal128Array::from_iter_values(scaled).with_precision_and_scale(38, 8).unwrap())
    };
    let iso = |ms: &i64| jiff::Timestamp::from_millisecond(*ms).unwrap().to_string();
    let times: Vec<String> = candles.timestamp().iter().map(iso).collect();
    let batch = RecordBatch::try_from_iter([
        ("timestamp", Arc::new(StringArray::from(times)) as ArrayRef),
        ("o", decimal(candles.open())),
        ("h", decimal(candles.high())),
        ("l", decimal(candles.low())),
        ("c", decimal(candles.close())),
        ("v", decimal(candles.volume())),
    ])
    .unwrap();
    ("btc_usdt.parquet".to_owned(), parquet(&[batch]))
}
