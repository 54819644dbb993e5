//! What a layout of Parquet costs in bytes and time: `cargo bench -p blockgrid-datasets --bench layout`.
//!
//! Two years of minutes of three symbols are written each way and read through `Dataset`. The table stands in
//! `docs/candles.md`. Rates are of one core.

mod support;

use std::error::Error;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arrow_array::{ArrayRef, Float64Array, RecordBatch, TimestampMillisecondArray};
use blockgrid_datasets::synthetic::{Asset, Climate, Walk};
use blockgrid_datasets::{About, Dataset, DatasetWriter};
use blockgrid_engine::{Candles, Interval};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder};
use support::worked;

const SYMBOLS: [&str; 3] = ["SYN-1", "SYN-2", "SYN-3"];
const MINUTES: usize = 2 * 365 * 1440;
// 2022-01-01.
const FROM: i64 = 1_640_995_200_000;

fn main() -> Result<(), Box<dyn Error>> {
    let minute: Interval = "1m".parse()?;
    let climate =
        Climate { interval: minute, from_ms: FROM, seed: 7, gaps: 0.001, jumps: 12.0, correlation: 0.5 };
    let mut all = Vec::new();
    for symbol in SYMBOLS {
        all.push((symbol, Walk::new(&Asset::of(symbol, climate.seed), &climate).next(MINUTES)?));
    }
    println!("| layout | bytes a candle | written, million/s | read, million/s | read, GB/s | one day, ms |");
    println!("|---|---:|---:|---:|---:|---:|");
    for (name, properties) in variants()? {
        let dir = tempfile::tempdir()?;
        let start = worked();
        for (symbol, candles) in &all {
            let folder = dir.path().join(format!("interval=1m/symbol={symbol}/year=2022"));
            std::fs::create_dir_all(&folder)?;
            write(&folder.join("part-0000.parquet"), candles, properties.clone())?;
        }
        report(&name, dir.path(), worked() - start, &all)?;
    }
    let dir = tempfile::tempdir()?;
    let start = worked();
    let text = || "benchmark".to_owned();
    let about = About { name: text(), source: text(), licence: text(), generator: None };
    let writer = DatasetWriter::open(dir.path(), &about)?;
    for (symbol, candles) in &all {
        let mut series = writer.series(symbol, minute)?;
        series.push(candles)?;
        series.finish()?;
    }
    writer.commit()?;
    report("**as blockgrid writes it**, with sums", dir.path(), worked() - start, &all)?;
    ipc(&all)
}

/// Each way to write, and its name.
fn variants() -> Result<Vec<(String, WriterProperties)>, Box<dyn Error>> {
    let zstd = |level: i32| ZstdLevel::try_new(level).map(Compression::ZSTD);
    let base = || {
        WriterProperties::builder()
            .set_max_row_group_row_count(Some(131_072))
            .set_data_page_row_count_limit(16_384)
            .set_statistics_enabled(EnabledStatistics::Page)
            .set_column_dictionary_enabled("timestamp".into(), false)
            .set_column_encoding("timestamp".into(), Encoding::DELTA_BINARY_PACKED)
    };
    let numbers = |builder: WriterPropertiesBuilder, encoding| {
        builder.set_dictionary_enabled(false).set_encoding(encoding)
    };
    let split = || numbers(base(), Encoding::BYTE_STREAM_SPLIT);
    let plain = || numbers(base(), Encoding::PLAIN);
    let mut found = vec![
        ("defaults of the parquet crate".to_owned(), WriterProperties::builder()),
        ("defaults, snappy".to_owned(), WriterProperties::builder().set_compression(Compression::SNAPPY)),
        ("plain, not compressed".to_owned(), plain()),
        ("split, not compressed".to_owned(), split()),
        ("split, lz4".to_owned(), split().set_compression(Compression::LZ4_RAW)),
    ];
    for level in [1, 3, 9] {
        found.push((format!("dictionary, zstd {level}"), base().set_compression(zstd(level)?)));
        found.push((format!("plain, zstd {level}"), plain().set_compression(zstd(level)?)));
        found.push((format!("split, zstd {level}"), split().set_compression(zstd(level)?)));
    }
    // One page a row group from here on: rows of a page are those of the group.
    for rows in [16_384, 32_768, 65_536, 131_072, 524_288] {
        for (name, builder) in [("plain", plain()), ("split", split())] {
            let builder = builder
                .set_compression(zstd(1)?)
                .set_max_row_group_row_count(Some(rows))
                .set_data_page_row_count_limit(rows)
                .set_data_page_size_limit(rows * 8 + 1024);
            found.push((format!("{name}, zstd 1, row groups of {rows} of one page"), builder));
        }
    }
    let one = plain().set_data_page_row_count_limit(65_536).set_max_row_group_row_count(Some(65_536));
    let one = || one.clone().set_data_page_size_limit(1 << 20);
    found
        .push(("plain, zstd 3, row groups of 65536 of one page".to_owned(), one().set_compression(zstd(3)?)));
    found.push((
        "plain, lz4, row groups of 65536 of one page".to_owned(),
        one().set_compression(Compression::LZ4_RAW),
    ));
    found.push((
        "plain, zstd 1, row groups of 65536 of one page, no page index".to_owned(),
        one().set_compression(zstd(1)?).set_statistics_enabled(EnabledStatistics::Chunk),
    ));
    let time = split().set_compression(zstd(1)?).set_column_encoding("timestamp".into(), Encoding::PLAIN);
    found.push(("split, zstd 1, timestamps plain".to_owned(), time));
    Ok(found.into_iter().map(|(name, builder)| (name, builder.build())).collect())
}

fn batch(candles: &Candles) -> Result<RecordBatch, Box<dyn Error>> {
    let time = TimestampMillisecondArray::from(candles.timestamp().to_vec()).with_timezone("UTC");
    let mut columns: Vec<(&str, ArrayRef)> = vec![("timestamp", Arc::new(time))];
    for (name, values) in [
        ("open", candles.open()),
        ("high", candles.high()),
        ("low", candles.low()),
        ("close", candles.close()),
        ("volume", candles.volume()),
    ] {
        columns.push((name, Arc::new(Float64Array::from(values.to_vec()))));
    }
    Ok(RecordBatch::try_from_iter(columns)?)
}

fn write(path: &Path, candles: &Candles, properties: WriterProperties) -> Result<(), Box<dyn Error>> {
    let batch = batch(candles)?;
    let mut writer = ArrowWriter::try_new(File::create(path)?, batch.schema(), Some(properties))?;
    writer.write(&batch)?;
    writer.close()?;
    Ok(())
}

/// Reads a data set and prints its row.
fn report(name: &str, root: &Path, written: Duration, all: &[(&str, Candles)]) -> Result<(), Box<dyn Error>> {
    let dataset = Dataset::open(root.to_str().ok_or("a path that is not UTF-8")?)?;
    let minute: Interval = "1m".parse()?;
    let bytes: u64 = dataset.manifest().files.iter().map(|file| file.bytes).sum();
    let (mut whole, mut day) = (Duration::MAX, Duration::MAX);
    for _ in 0..3 {
        let start = worked();
        for (symbol, candles) in all {
            let found = dataset.read(symbol, minute, None, None)?;
            assert_eq!(found.len(), candles.len());
        }
        whole = whole.min(worked() - start);
        let (from, start) = (FROM + 200 * 86_400_000, worked());
        for day in 0..10 {
            let from = from + day * 86_400_000;
            for (symbol, _) in all {
                dataset.read(symbol, minute, Some(from), Some(from + 86_400_000))?;
            }
        }
        day = day.min((worked() - start) / 30);
    }
    row(name, bytes, written, whole, Some(day), all);
    Ok(())
}

fn row(
    name: &str,
    bytes: u64,
    written: Duration,
    read: Duration,
    day: Option<Duration>,
    all: &[(&str, Candles)],
) {
    let candles: usize = all.iter().map(|(_, candles)| candles.len()).sum();
    let millions = |took: Duration| candles as f64 / took.as_secs_f64() / 1e6;
    println!(
        "| {name} | {:.1} | {:.1} | {:.1} | {:.2} | {} |",
        bytes as f64 / candles as f64,
        millions(written),
        millions(read),
        // Six columns of eight bytes.
        millions(read) * 48.0 / 1000.0,
        day.map_or_else(String::new, |day| format!("{:.1}", day.as_secs_f64() * 1e3)),
    );
}

/// Arrow IPC, not compressed, one batch a row group; read by Arrow, not checked, not copied into candles.
fn ipc(all: &[(&str, Candles)]) -> Result<(), Box<dyn Error>> {
    let dir = tempfile::tempdir()?;
    let start = worked();
    let mut bytes = 0;
    for (symbol, candles) in all {
        let path = dir.path().join(symbol);
        let batch = batch(candles)?;
        let mut writer = arrow_ipc::writer::FileWriter::try_new(File::create(&path)?, &batch.schema())?;
        for begin in (0..batch.num_rows()).step_by(131_072) {
            writer.write(&batch.slice(begin, 131_072.min(batch.num_rows() - begin)))?;
        }
        writer.finish()?;
        bytes += std::fs::metadata(&path)?.len();
    }
    let written = worked() - start;
    let mut read = Duration::MAX;
    for _ in 0..3 {
        let start = worked();
        for (symbol, candles) in all {
            let mut rows = 0;
            for batch in arrow_ipc::reader::FileReader::try_new(File::open(dir.path().join(symbol))?, None)? {
                rows += batch?.num_rows();
            }
            assert_eq!(rows, candles.len());
        }
        read = read.min(worked() - start);
    }
    row("Arrow IPC, not compressed", bytes, written, read, None, all);
    Ok(())
}
