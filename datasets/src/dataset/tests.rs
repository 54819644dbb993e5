use std::path::PathBuf;

use blockgrid_engine::candles::RawCandles;
use object_store::memory::InMemory;
use proptest::prelude::*;

use super::*;
use crate::DatasetError;
use crate::write::{About, Series, encode};

const HOUR: i64 = 3_600_000;
// 2023-12-01 and 2024-01-01.
const START: i64 = 1_701_388_800_000;
const YEAR_2024: i64 = 1_704_067_200_000;

fn hour() -> Interval {
    "1h".parse().unwrap()
}

fn candles(n: usize) -> Candles {
    let f = |i: usize| 100.0 + (i % 97) as f64 * 0.25;
    let raw = RawCandles {
        timestamp: (0..n as i64).map(|i| START + i * HOUR).collect(),
        open: (0..n).map(f).collect(),
        high: (0..n).map(|i| f(i) + 1.5).collect(),
        low: (0..n).map(|i| f(i) - 1.25).collect(),
        close: (0..n).map(|i| f(i) + 0.5).collect(),
        volume: (0..n).map(|i| i as f64).collect(),
    };
    Candles::new(hour(), raw).unwrap()
}

fn about() -> About {
    About { name: "t".into(), source: "test".into(), licence: "CC0-1.0".into(), generator: None }
}

/// 1500 hours of X over two years, in row groups of 100, in a folder.
fn folder() -> (tempfile::TempDir, Candles) {
    let dir = tempfile::tempdir().unwrap();
    let all = candles(1500);
    for (path, bytes) in encode(&about(), &[Series { symbol: "X", candles: &all }], 100).unwrap() {
        put(&dir.path().join(path), &bytes);
    }
    (dir, all)
}

fn put(path: &std::path::Path, bytes: &[u8]) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
}

fn open(dir: &tempfile::TempDir) -> Dataset {
    Dataset::open(dir.path().to_str().unwrap()).unwrap()
}

fn first_file(dir: &tempfile::TempDir) -> PathBuf {
    dir.path().join("interval=1h/symbol=X/year=2023/part-0000.parquet")
}

#[test]
fn what_is_written_is_read() {
    let (dir, all) = folder();
    let dataset = open(&dir);
    dataset.verify().unwrap();
    assert_eq!(dataset.read("X", hour(), None, None).unwrap(), all);
    assert_eq!(dataset.range("X", hour()), Some((START, START + 1499 * HOUR)));
    let url = format!("file://{}", dir.path().display());
    assert_eq!(Dataset::open(&url).unwrap().symbols(hour()), ["X"]);
    // Inside a runtime of the caller too.
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    assert_eq!(runtime.block_on(async { dataset.read("X", hour(), None, None) }).unwrap(), all);
}

#[test]
fn the_writer_gives_the_same_bytes() {
    let all = candles(500);
    let series = [Series { symbol: "X", candles: &all }];
    assert_eq!(encode(&about(), &series, 100).unwrap(), encode(&about(), &series, 100).unwrap());
    let twice = [series[0], series[0]];
    assert!(encode(&about(), &twice, 100).unwrap_err().to_string().contains("given twice at 1h"));
    let slash = [Series { symbol: "BTC/USD", candles: &all }];
    assert!(encode(&about(), &slash, 100).unwrap_err().to_string().contains("`BTC/USD`"));
}

#[test]
fn only_the_row_groups_of_the_range_are_read() {
    let (dir, all) = folder();
    let dataset = open(&dir);
    let (found, counts) = dataset.read_counted("X", hour(), None, None, &[]).unwrap();
    assert_eq!((counts.files, counts.files_read, counts.row_groups_read), (2, 2, 16));
    assert_eq!(found.len(), 1500);
    let whole = counts.column_bytes;
    let (from, to) = (START + 250 * HOUR, START + 320 * HOUR);
    let (found, counts) = dataset.read_counted("X", hour(), Some(from), Some(to), &[]).unwrap();
    assert_eq!(found, all.slice(250..320));
    assert_eq!((counts.files, counts.files_read), (2, 1));
    assert_eq!((counts.row_groups, counts.row_groups_read), (8, 2));
    assert!(counts.column_bytes * 6 < whole);
    // `to` is exclusive: the second file is not opened.
    let (_, counts) = dataset.read_counted("X", hour(), None, Some(YEAR_2024), &[]).unwrap();
    assert_eq!(counts.files_read, 1);
}

#[test]
fn what_is_not_there_is_named() {
    let (dir, _) = folder();
    let dataset = open(&dir);
    let error = |symbol: &str, interval: &str, from, to| {
        let error = dataset.read(symbol, interval.parse().unwrap(), from, to).unwrap_err();
        assert!(error.is_input_error());
        error.to_string()
    };
    assert!(error("Y", "1h", None, None).contains("symbol `Y` is not in"));
    let fine = error("X", "15m", None, None);
    assert!(
        fine.ends_with("no 15m candles of `X`, only 1h: ask one of those, or a multiple of one"),
        "{fine}"
    );
    let none = error("X", "1h", None, Some(START));
    assert!(none.contains("they reach from 2023-12-01T00:00:00Z to"), "{none}");
    error("X", "1h", Some(START + 5 * HOUR), Some(START + 5 * HOUR));
    error("X", "1h", Some(i64::MAX), None);
    let gone = Dataset::open("/no/such/folder").unwrap_err();
    assert!(matches!(gone, DatasetError::NotFound { .. }) && gone.is_input_error());
    let file = Dataset::open(first_file(&dir).to_str().unwrap()).unwrap_err();
    assert!(matches!(file, DatasetError::NotAFolder { .. }));
    let empty = tempfile::tempdir().unwrap();
    let error = Dataset::open(empty.path().to_str().unwrap()).unwrap_err();
    assert!(error.to_string().contains("holds no data set"));
}

#[test]
fn a_manifest_can_be_missing_or_wrong() {
    let (dir, all) = folder();
    let manifest = dir.path().join(MANIFEST);
    let text = std::fs::read_to_string(&manifest).unwrap();
    std::fs::remove_file(&manifest).unwrap();
    let dataset = open(&dir);
    assert_eq!(dataset.manifest().files.len(), 2);
    assert_eq!(dataset.read("X", hour(), None, None).unwrap(), all);

    for (from, to, message) in [
        ("\"format\": 1", "\"format\": 2", "format 2 is not known"),
        ("\"name\"", "\"nom\"", "not a manifest"),
        ("interval=1h/symbol=X/year=2023", "../year=2023", "does not stay inside"),
        ("\"rows\": 744", "\"rows\": 0", "needs at least one row"),
        ("year=2023", "year=2024", "is listed twice"),
    ] {
        std::fs::write(&manifest, text.replacen(from, to, 1)).unwrap();
        let error = Dataset::open(dir.path().to_str().unwrap()).unwrap_err().to_string();
        assert!(error.contains(message) && error.contains("dataset.json"), "{error}");
    }
    std::fs::write(&manifest, text.replacen("\"rows\": 744", "\"rows\": 743", 1)).unwrap();
    let error = open(&dir).check_footers(&["X"], hour(), None, None).unwrap_err();
    assert!(error.to_string().contains("has 744 rows but dataset.json says 743"), "{error}");
    std::fs::write(&manifest, text.replacen("year=2023", "year=2022", 1)).unwrap();
    let error = open(&dir).check_footers(&["X"], hour(), None, None).unwrap_err();
    assert!(matches!(error, DatasetError::MissingFile { .. }), "{error}");
}

#[test]
fn a_damaged_footer_is_found_before_reading() {
    let (dir, _) = folder();
    let path = first_file(&dir);
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() - 100]).unwrap();
    let error = open(&dir).check_footers(&["X"], hour(), None, None).unwrap_err();
    assert!(matches!(error, DatasetError::Size { .. }) && error.is_input_error(), "{error}");
    open(&dir).check_footers(&["X"], hour(), Some(YEAR_2024), None).unwrap();
    // The same size, but no footer, or one that is no footer.
    for (at, byte) in [(bytes.len() - 1, b'2'), (bytes.len() - 5, 0xff), (bytes.len() - 8, 1)] {
        let mut damaged = bytes.clone();
        damaged[at] = byte;
        std::fs::write(&path, &damaged).unwrap();
        let error = open(&dir).check_footers(&["X"], hour(), None, None).unwrap_err();
        assert!(matches!(error, DatasetError::NotParquet { .. }) && error.is_input_error(), "{error}");
        assert!(error.to_string().contains("year=2023/part-0000.parquet"), "{error}");
        assert!(matches!(open(&dir).verify().unwrap_err(), DatasetError::Sha256 { .. }));
    }
}

#[test]
fn a_damaged_page_is_named() {
    let (dir, _) = folder();
    let path = first_file(&dir);
    let bytes = std::fs::read(&path).unwrap();
    let mut seen = std::collections::BTreeSet::new();
    for at in (4..bytes.len() / 4).step_by(101) {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x10;
        std::fs::write(&path, &damaged).unwrap();
        let dataset = open(&dir);
        dataset.check_footers(&["X"], hour(), None, None).unwrap();
        let error = dataset.read("X", hour(), None, None).unwrap_err();
        assert!(!error.is_input_error(), "{error}");
        match error {
            DatasetError::CorruptPage { ref file, column, row_group, .. } => {
                assert!(file.ends_with("year=2023/part-0000.parquet"));
                seen.insert((row_group, column));
            }
            other => panic!("{other}"),
        }
    }
    assert!(seen.iter().any(|(group, _)| *group > 0) && seen.len() > 6, "{seen:?}");
}

#[test]
fn damage_is_never_a_panic() {
    // The footer too, and without a manifest or sums to compare with: an error or candles, no more is promised.
    let mut file = {
        let table = crate::codec::Table::from_candles(&candles(60));
        crate::codec::parquet_bytes(&table.raw.timestamp, &table.series(), 100).unwrap()
    };
    let key = crate::codec::SUMS_KEY.as_bytes();
    let at = file.windows(key.len()).position(|w| w == key).unwrap();
    file[at] = b'B';
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.parquet");
    std::fs::write(&path, &file).unwrap();
    assert_eq!(crate::read_file(&path, None).unwrap().candles, candles(60));
    for at in (0..file.len()).step_by(3) {
        let mut damaged = file.clone();
        damaged[at] = !damaged[at];
        std::fs::write(&path, &damaged).unwrap();
        let _ = crate::read_file(&path, Some(hour()));
    }
    for len in (0..file.len()).step_by(101) {
        std::fs::write(&path, &file[..len]).unwrap();
        assert!(crate::read_file(&path, None).is_err());
    }
}

#[test]
fn bad_candles_are_named_by_file_and_row() {
    let (dir, _) = folder();
    // The second year again as the first: its candles come twice.
    let (from, to) = (first_file(&dir), dir.path().join("interval=1h/symbol=X/year=2024/part-0000.parquet"));
    std::fs::copy(&from, &to).unwrap();
    std::fs::remove_file(dir.path().join(MANIFEST)).unwrap();
    let error = open(&dir).read("X", hour(), Some(START + 10 * HOUR), None).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("year=2024/part-0000.parquet` row 1: timestamp"), "{text}");
    assert!(error.is_input_error());
}

#[test]
fn any_store_and_prefix_will_do() {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let all = candles(50);
    for (path, bytes) in encode(&about(), &[Series { symbol: "X", candles: &all }], 100).unwrap() {
        let path = join(&Path::from("a/b"), &path);
        block_on(async { store.put(&path, bytes.into()).await.map_err(|e| DatasetError::store("", &e)) })
            .unwrap();
    }
    let dataset = Dataset::from_store(store.clone(), Path::from("a/b"), "mem").unwrap();
    assert_eq!(dataset.read("X", hour(), None, None).unwrap(), all);
    let manifest = join(&Path::from("a/b"), MANIFEST);
    block_on(async { store.delete(&manifest).await.map_err(|e| DatasetError::store("", &e)) }).unwrap();
    let dataset = Dataset::from_store(store, Path::from("a/b"), "mem").unwrap();
    assert_eq!(dataset.read("X", hour(), None, None).unwrap(), all);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn write_then_read_is_the_same(
        rows in prop::collection::vec((1_i64..40, 1e-9..1e9_f64, 0.0..1.0_f64, 0.0..1.0_f64, 0.0..1e12_f64), 1..60),
        row_group in 1_usize..20,
        cut in 0_usize..60,
    ) {
        let mut raw = RawCandles::default();
        let mut at = YEAR_2024 - 300 * HOUR;
        for (step, price, up, down, volume) in rows {
            at += step * HOUR;
            raw.timestamp.push(at);
            raw.open.push(price);
            raw.close.push(price * (1.0 + up) * (1.0 - down * 0.9));
            raw.high.push(price * (1.0 + up));
            raw.low.push(price * (1.0 - down * 0.9));
            raw.volume.push(volume);
        }
        let n = raw.timestamp.len();
        for i in 0..n {
            raw.high[i] = raw.high[i].max(raw.close[i]);
            raw.low[i] = raw.low[i].min(raw.close[i]);
        }
        let candles = Candles::new(hour(), raw).unwrap();
        let dir = tempfile::tempdir().unwrap();
        for (path, bytes) in encode(&about(), &[Series { symbol: "X", candles: &candles }], row_group).unwrap() {
            put(&dir.path().join(path), &bytes);
        }
        let dataset = Dataset::open(dir.path().to_str().unwrap()).unwrap();
        prop_assert_eq!(&dataset.read("X", hour(), None, None).unwrap(), &candles);
        let cut = cut.min(n - 1);
        let from = Some(candles.timestamp()[cut]);
        prop_assert_eq!(&dataset.read("X", hour(), from, None).unwrap(), &candles.slice(cut..n));
        if cut > 0 {
            prop_assert_eq!(&dataset.read("X", hour(), None, from).unwrap(), &candles.slice(0..cut));
        }
    }
}

mod checked {
    use blockgrid_engine::graph::resample;

    use super::*;
    use crate::quality::Kind;

    /// 1500 hours whose rows may be anything, in a folder without a manifest.
    fn rows(change: impl FnOnce(&mut [Vec<f64>; 5])) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let all = candles(1500);
        let mut ohlcv = [all.open(), all.high(), all.low(), all.close(), all.volume()].map(<[f64]>::to_vec);
        change(&mut ohlcv);
        let names = ["open", "high", "low", "close", "volume"];
        let columns: Vec<_> = names.into_iter().zip(ohlcv.iter().map(Vec::as_slice)).collect();
        let folder = dir.path().join("interval=1h/symbol=X/year=2023");
        std::fs::create_dir_all(&folder).unwrap();
        crate::write_columns(&folder.join("x.parquet"), all.timestamp(), &columns).unwrap();
        dir
    }

    #[test]
    fn what_is_clean_is_what_is_read() {
        let (dir, _) = folder();
        let dataset = open(&dir);
        for (interval, from, to) in [
            ("1h", None, None),
            ("1h", Some(START + 250 * HOUR), Some(START + 320 * HOUR)),
            ("4h", None, None),
            ("1d", Some(START + 30 * HOUR), Some(START + 700 * HOUR)),
            ("1w", None, None),
        ] {
            let interval = interval.parse().unwrap();
            let (candles, report) = dataset.read_checked("X", interval, from, to, &[]).unwrap();
            assert_eq!(candles, dataset.read("X", interval, from, to).unwrap());
            assert_eq!((report.interval, report.bad_rows()), (hour(), 0));
        }
        let error = |result: Result<(Candles, _), DatasetError>| result.unwrap_err().to_string();
        assert!(error(dataset.read_checked("Y", hour(), None, None, &[])).contains("symbol `Y`"));
        let none = error(dataset.read_checked("X", hour(), None, Some(START), &[]));
        assert!(none.contains("they reach from"), "{none}");
        assert!(error(dataset.read_checked("X", hour(), None, None, &["funding"])).contains("`funding`"));
    }

    #[test]
    fn rows_that_are_no_candles_are_left_out_and_told() {
        // 1000 is 16:00 of a day.
        let dir = rows(|[_, high, _, close, _]| {
            close[1000] = f64::NAN;
            high[1002] = 1.0;
        });
        let dataset = open(&dir);
        assert!(matches!(dataset.read("X", hour(), None, None), Err(DatasetError::Null { row: 1001, .. })));
        let (hours, report) = dataset.read_checked("X", hour(), None, None, &[]).unwrap();
        assert_eq!((hours.len(), hours.gaps(), report.bad_rows()), (1498, 2, 2));
        for (kind, row) in [(Kind::NotANumber, 1000), (Kind::Ohlc, 1002)] {
            let found = report.finding(kind).unwrap();
            assert_eq!((found.count, found.first), (1, START + row * HOUR));
        }
        // A coarser interval is made of what is left.
        let (days, _) = dataset.read_checked("X", Interval::DAY, None, None, &[]).unwrap();
        assert_eq!(days, resample(&hours, Interval::DAY));
        // Outside the range nothing is wrong.
        let (_, report) = dataset.read_checked("X", hour(), None, Some(START + 1000 * HOUR), &[]).unwrap();
        assert_eq!(report.violations().count(), 0, "{:?}", report.findings);
    }

    #[test]
    fn batches_are_row_groups_as_they_stand() {
        let (dir, all) = folder();
        let dataset = open(&dir);
        let batches = dataset.batches("X", hour(), Some(START + 250 * HOUR), Some(YEAR_2024), &[]).unwrap();
        assert_eq!((batches.interval(), batches.rows()), (hour(), 744));
        let batches: Vec<_> = batches.map(Result::unwrap).collect();
        assert_eq!(
            batches.iter().map(|batch| batch.raw.timestamp.len()).collect::<Vec<_>>(),
            [50, 100, 100, 100, 100, 44]
        );
        let opens: Vec<i64> = batches.into_iter().flat_map(|batch| batch.raw.timestamp).collect();
        assert_eq!(opens, all.timestamp()[250..744]);
    }
}
