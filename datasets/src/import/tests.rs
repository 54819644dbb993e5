use std::sync::Arc;

use ::parquet::arrow::ArrowWriter;
use ::parquet::basic::Compression;
use ::parquet::file::metadata::{KeyValue, ParquetMetaDataReader, ParquetMetaDataWriter};
use ::parquet::file::properties::{WriterProperties, WriterPropertiesBuilder};
use arrow_array::{ArrayRef, Float64Array, RecordBatch, TimestampMicrosecondArray};

use super::*;
use crate::codec::SUMS_KEY;
use crate::{DatasetError, write_columns};

fn read(text: &str) -> Result<FileCandles, DatasetError> {
    read_csv(text.as_bytes(), None)
}

fn read_csv(bytes: &[u8], interval: Option<Interval>) -> Result<FileCandles, DatasetError> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("btc_usd.csv");
    std::fs::write(&path, bytes).unwrap();
    read_file(&path, interval)
}

fn error(text: &str) -> String {
    let error = read(text).unwrap_err();
    assert!(error.is_input_error());
    let text = error.to_string();
    assert!(text.contains("btc_usd.csv`"), "{text}");
    text
}

const HEADER: &str = "timestamp,open,high,low,close,volume\n";

#[test]
fn a_plain_csv_is_read() {
    let text = "timestamp,open,high,low,close,volume
2018-01-10 04:55:00+00:00,5.330000000000001e-05,5.330000000000001e-05,5.288000000000001e-05,5.29e-05,431401.97869504
2018-01-10 05:00:00+00:00,5.29e-05,5.294e-05,5.269e-05,5.27e-05,311565.65458338
2018-01-10 05:10:00+00:00,5.29e-05,5.294e-05,5.269e-05,5.27e-05,0
2018-01-10 05:15:00+00:00,5.29e-05,5.294e-05,5.269e-05,5.27e-05,1
";
    let found = read(text).unwrap();
    assert_eq!((found.symbol.as_str(), found.interval.to_string().as_str()), ("BTC-USD", "5m"));
    assert_eq!((found.candles.len(), found.candles.gaps()), (4, 1));
    assert_eq!(found.candles.open()[0], 5.330000000000001e-05);
}

#[test]
fn order_case_names_quotes_and_line_ends_do_not_matter() {
    let plain = read(&format!("{HEADER}0,2,4,1,3,10\n3600,2,4,1,3,10\n")).unwrap();
    for text in [
        "\u{feff}Volume,Close,LOW,high,Open,extra,Date\r\n10,3,1,4,2,x,1970-01-01\r\n\r\n10,3,1,4,2,,1970-01-01 01:00\r\n",
        "\"open_time\",\"open\",\"high\",\"low\",\"close\",\"volume\"\n\"0\",2,4,1,3,\"10\"\n3600, 2,4 ,1,3,10",
        "symbol,datetime,open,high,low,close,volume\n\"a,b\",0,2,4,1,3,10\n\"a,b\",3600.0,2,4,1,3,10\n",
        "\n\nTime,open,high,low,close,volume\n\n0,2,4,1,3,10\n\n3600,2,4,1,3,10\n\n",
        "date,timestamp,open,high,low,close,volume\nx,0,2,4,1,3,10\ny,3600,2,4,1,3,10\n",
    ] {
        assert_eq!(read(text).unwrap().candles, plain.candles, "{text}");
    }
}

#[test]
fn csv_errors_name_line_and_column() {
    let with = |rows: &str| error(&format!("{HEADER}{rows}"));
    for (found, parts) in [
        (error(""), &["has no candles"][..]),
        (error(HEADER), &["has no candles"]),
        (
            error("timestamp,open,high,low,close\n"),
            &["line 1 has no column `volume`", "`close`", "--columns"],
        ),
        (error("\nmoment,open,high,low,close,volume\n"), &["line 2 has no column `timestamp`"]),
        (error("timestamp,open,open,high,low,close,volume\n"), &["line 1 names column `open` twice"]),
        (error("0,1,1,1,1,1\n"), &["t,o,h,l,c,v or t,l,h,o,c,v", "--columns"]),
        (error("0,1,2,1,1,1,x,y,z\n"), &["its 9 columns are in no order that is known", "--columns"]),
        (error("hello\nworld\n"), &["line 1 (`hello`)", "no columns for time", "--delimiter"]),
        (error("a,b,c,d,e,f\nu,v,w,x,y,z\n"), &["no column `open`"]),
        (with("0,1,1,1,1\n"), &["line 2 has 5 fields but 6 are expected"]),
        (with("0,1,1,1,1,\"1\n"), &["line 2 has a quote without an end"]),
        (with("0,1,1,1,1,1\n\n3600,1,x,1,1,1\n"), &["line 4, column `high`: `x` is not a number"]),
        (with("0,1,1,1,,1\n"), &["line 2: candle of 1970-01-01T00:00:00Z: `close` is missing"]),
        (with("1/2/2024,1,1,1,1,1\n"), &["the day or the month may come first", "--time-format"]),
        (with("31.31.2024,1,1,1,1,1\n"), &["line 2, column `timestamp`: `31.31.2024` is not a time"]),
        (with("20240102,1,1,1,1,1\n"), &["date without dashes", "--time-format %Y%m%d"]),
        (
            with("1704067200,1,1,1,1,1\n1704070800000,1,1,1,1,1\n"),
            &["line 3, column `timestamp`: `1704070800000` counts milliseconds", "count in seconds"],
        ),
        (
            with("0,1,1,1,1,1\n3600,NaN,1,1,1,1\n"),
            &["line 3: candle of 1970-01-01T01:00:00Z: `open` is missing or NaN"],
        ),
        (with("0,1,1,1,1,1\n3600,1,inf,1,1,1\n"), &["line 3", "`high` is inf"]),
        (with("0,1,1,1,1,1\n3600,1,1,0,1,1\n"), &["line 3", "`low` is 0", "above 0"]),
        (with("0,1,1,1,1,1\n3600,1,2,1.5,1,1\n"), &["line 3", "is no candle"]),
        (
            with("0,1,1,1,1,1\n7200,1,1,1,1,1\n\n3600,1,1,1,1,1\n"),
            &["line 5: timestamp 1970-01-01T01:00:00Z comes after 1970-01-01T02:00:00Z", "oldest first"],
        ),
        (
            with("0,1,1,1,1,1\n3600,1,1,1,1,1\n3600,1,1,1,1,1\n"),
            &["line 4: timestamp 1970-01-01T01:00:00Z appears twice"],
        ),
        (
            with("0,1,1,1,1,1\n0,1,1,1,1,1\n3600,0,1,1,1,1\n"),
            &["2 bad rows (1 out of range, 1 duplicate)", "line 3: timestamp", "line 4: candle of"],
        ),
        (
            with("0,1,1,1,1,1\n3600,1,1,1,1,1\n7200,1,1,1,1,1\n9000,1,1,1,1,1\n"),
            &["line 5", "not the open of a 1h candle"],
        ),
        (with("0,1,1,1,1,1\n"), &["cannot be told from 1 candle(s)"]),
        (with("0,1,1,1,1,1\n7000,1,1,1,1,1\n"), &["mostly 7000000 ms apart (1 of 1 times)"]),
        (error("\u{0}\u{1}\u{2}"), &["line 1 is binary"]),
        (
            error("timestamp;open;high;low;close;volume\n0;1,000;1,000;1,000;1,000;1,000\n"),
            &["may have a decimal comma", "--decimal"],
        ),
        (
            error("timestamp;open;high;low;close;volume\n0;1.500;1.502;1.494;1.495;656\n"),
            &["may have a decimal point", "--decimal"],
        ),
        // Eight columns whose sixth is no price of the candle are not Kraken's.
        (
            error("1700000000,1,2,1,1.5,3923.5,5885.25,12\n1700003600,1,2,1,1.5,3923.5,5885.25,12\n"),
            &["--columns"],
        ),
    ] {
        for part in parts {
            assert!(found.contains(part), "`{part}` is not in: {found}");
        }
    }
    let bytes = [HEADER.as_bytes(), b"0,1,1,1,1,\xff\n"].concat();
    assert!(read_csv(&bytes, None).unwrap_err().to_string().contains("line 2 is not UTF-8"));
    let one = format!("{HEADER}0,1,1,1,1,1\n");
    assert_eq!(read_csv(one.as_bytes(), Some(Interval::DAY)).unwrap().interval, Interval::DAY);
}

#[test]
fn parquet_errors_name_the_column() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.parquet");
    let error = || {
        let error = read_file(&path, None).unwrap_err();
        assert!(error.is_input_error(), "{error}");
        error.to_string()
    };
    let (one, nan) = ([1.0, 1.0], [1.0, f64::NAN]);
    let all = |open| [("open", open), ("high", &one[..]), ("low", &one), ("close", &one), ("volume", &one)];
    write_columns(&path, &[0, 3_600_000], &all(&nan)).unwrap();
    assert!(error().ends_with(
        "x.parquet` row 2: candle of 1970-01-01T01:00:00Z: `open` is missing or NaN, but every candle needs a value: drop the row or fill it in"
    ));
    write_columns(&path, &[0, 3_600_000], &all(&one)[..4]).unwrap();
    assert!(error().contains("no column `volume`, only `timestamp`, `open`"));
    write_columns(&path, &[0, 0], &all(&one)).unwrap();
    assert!(
        read_file(&path, Some(Interval::DAY))
            .unwrap_err()
            .to_string()
            .contains("row 2: timestamp 1970-01-01T00:00:00Z appears twice")
    );
    write_columns(&path, &[], &[("open", &[]), ("high", &[]), ("low", &[]), ("close", &[]), ("volume", &[])])
        .unwrap();
    assert!(error().contains("no candles"));
    std::fs::write(&path, "timestamp,open\n").unwrap();
    assert!(error().contains("is not a Parquet file"));
    assert!(
        read_file(&dir.path().join("none.csv"), None).unwrap_err().to_string().contains("does not exist")
    );
    assert!(read_file(dir.path(), None).unwrap_err().to_string().contains("is not a file"));
}

/// Candles as another program writes them: microseconds, every column may be null, Arrow's schema in the metadata.
fn foreign(properties: WriterPropertiesBuilder, micros: &[i64], open: &[Option<f64>]) -> Vec<u8> {
    let one: ArrayRef = Arc::new(Float64Array::from(vec![1.0; open.len()]));
    let open: ArrayRef = Arc::new(Float64Array::from(open.to_vec()));
    let time: ArrayRef = Arc::new(TimestampMicrosecondArray::from(micros.to_vec()));
    let columns = [
        ("timestamp", time, true),
        ("open", open, true),
        ("high", one.clone(), true),
        ("low", one.clone(), true),
        ("close", one.clone(), true),
        ("volume", one, true),
    ];
    let batch = RecordBatch::try_from_iter_with_nullable(columns).unwrap();
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties.build())).unwrap();
    writer.write(&batch).unwrap();
    writer.into_inner().unwrap()
}

fn read_parquet_bytes(bytes: &[u8]) -> Result<FileCandles, DatasetError> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.parquet");
    std::fs::write(&path, bytes).unwrap();
    read_file(&path, Some("1h".parse().unwrap()))
}

fn input_error(bytes: &[u8]) -> String {
    let error = read_parquet_bytes(bytes).unwrap_err();
    assert!(error.is_input_error(), "{error}");
    error.to_string()
}

const HOUR_MICROS: i64 = 3_600_000_000;

#[test]
fn parquet_of_every_codec_is_read() {
    let micros: Vec<i64> = (0..300).map(|i| i * HOUR_MICROS).collect();
    let open = vec![Some(1.0); 300];
    for codec in [
        Compression::UNCOMPRESSED,
        Compression::SNAPPY,
        Compression::GZIP(::parquet::basic::GzipLevel::default()),
        Compression::BROTLI(::parquet::basic::BrotliLevel::default()),
        Compression::LZ4,
        Compression::LZ4_RAW,
        Compression::ZSTD(::parquet::basic::ZstdLevel::default()),
    ] {
        let bytes = foreign(WriterProperties::builder().set_compression(codec), &micros, &open);
        let found = read_parquet_bytes(&bytes).unwrap_or_else(|e| panic!("{codec}: {e}"));
        assert_eq!((found.candles.len(), found.candles.gaps()), (300, 0), "{codec}");
        assert_eq!(found.candles.open(), [1.0; 300], "{codec}");
    }
}

#[test]
fn a_codec_that_is_not_built_in_is_named() {
    // Nothing writes LZO any more, so the footer alone claims it.
    let bytes = foreign(WriterProperties::builder(), &[0], &[Some(1.0)]);
    let metadata = ParquetMetaDataReader::new().parse_and_finish(&bytes::Bytes::from(bytes.clone())).unwrap();
    let mut groups = metadata.row_groups().to_vec();
    let mut columns = groups[0].columns().to_vec();
    columns[4] = columns[4].clone().into_builder().set_compression(Compression::LZO).build().unwrap();
    groups[0] = groups[0].clone().into_builder().set_column_metadata(columns).build().unwrap();
    let metadata = metadata.into_builder().set_row_groups(groups).build();
    let mut changed = bytes;
    let footer = u32::from_le_bytes(changed[changed.len() - 8..][..4].try_into().unwrap()) as usize + 8;
    changed.truncate(changed.len() - footer);
    let mut tail = Vec::new();
    ParquetMetaDataWriter::new(&mut tail, &metadata).finish().unwrap();
    changed.extend_from_slice(&tail);
    let error = input_error(&changed);
    assert!(error.contains("column `close` is compressed with LZO, which this build cannot read"), "{error}");
    assert!(
        error.contains("must be in zstd, snappy, gzip, lz4, brotli or no compression: write the file again"),
        "{error}"
    );
}

#[test]
fn sums_that_another_program_kept_do_not_count() {
    // What pyarrow does with the metadata of a file that it reads and writes again.
    let rewritten = |created_by: &str, sums: &str, micros: &[i64], open: &[Option<f64>]| {
        let kept = vec![KeyValue::new(SUMS_KEY.to_owned(), sums.to_owned())];
        let properties = WriterProperties::builder()
            .set_created_by(created_by.to_owned())
            .set_compression(Compression::SNAPPY)
            .set_key_value_metadata(Some(kept));
        foreign(properties, micros, open)
    };
    let stale = ["0123456789abcdef0123456789abcdef"; 6].join(",");
    let pyarrow = "parquet-cpp-arrow version 21.0.0";
    let hours = [0, HOUR_MICROS];
    let good = [Some(1.0), Some(1.0)];
    assert_eq!(
        read_parquet_bytes(&rewritten(pyarrow, &stale, &hours, &good)).unwrap().candles.len(),
        hours.len()
    );
    // Written here, but the sums are of other chunks than there are.
    let more = format!("{stale};{stale}");
    for sums in ["", "x", &more] {
        read_parquet_bytes(&rewritten("blockgrid", sums, &hours, &good)).unwrap();
    }
    let damaged = read_parquet_bytes(&rewritten("blockgrid", &stale, &hours, &good)).unwrap_err();
    assert!(matches!(damaged, DatasetError::Import(ImportError::Damaged { .. })), "{damaged}");

    for (micros, open, expected) in [
        (
            hours,
            [Some(1.0), Some(f64::NAN)],
            "row 2: candle of 1970-01-01T01:00:00Z: `open` is missing or NaN",
        ),
        (hours, [Some(1.0), None], "row 2: candle of 1970-01-01T01:00:00Z: `open` is missing or NaN"),
        ([0, 0], good, "row 2: timestamp 1970-01-01T00:00:00Z appears twice"),
        ([0, 1], good, "row 2, column `timestamp`: `1` has a fraction of a millisecond"),
    ] {
        let error = input_error(&rewritten(pyarrow, &stale, &micros, &open));
        assert!(error.contains(expected), "`{expected}` is not in: {error}");
    }
}
