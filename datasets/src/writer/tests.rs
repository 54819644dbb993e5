use std::collections::BTreeMap;

use blockgrid_engine::candles::{Candles, RawCandles};

use super::*;
use crate::{Dataset, Generator};

// 2023-12-01.
const START: i64 = 1_701_388_800_000;

fn about() -> About {
    About { name: "t".into(), source: "test".into(), licence: "CC0-1.0".into(), generator: None }
}

fn at(interval: &str) -> Interval {
    interval.parse().unwrap()
}

/// Candles `range`, counted from December 2023; the price depends on the candle and on `level` alone.
fn candles(interval: &str, range: std::ops::Range<i64>, level: f64) -> Candles {
    let interval = at(interval);
    let price: Vec<f64> = range.clone().map(|i| level + (i % 7) as f64).collect();
    let raw = RawCandles {
        timestamp: range.map(|i| START + i * interval.millis()).collect(),
        open: price.clone(),
        high: price.iter().map(|p| p + 1.0).collect(),
        low: price.clone(),
        close: price.clone(),
        volume: price,
    };
    Candles::new(interval, raw).unwrap()
}

fn write(root: &Path, parts: &[(&str, &[&Candles])]) -> Result<Manifest, DatasetError> {
    let writer = DatasetWriter::open(root, &about())?;
    for (symbol, batches) in parts {
        let mut series = writer.series(symbol, batches[0].interval())?;
        for batch in *batches {
            series.push(batch)?;
        }
        series.finish()?;
    }
    writer.commit()
}

/// Every file under a folder and its bytes, but the lock.
fn files(root: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut open = vec![root.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if !path.ends_with("dataset.lock") {
                let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
                found.insert(name, std::fs::read(&path).unwrap());
            }
        }
    }
    found
}

fn read(root: &Path, symbol: &str, interval: &str) -> Candles {
    Dataset::open(root.to_str().unwrap()).unwrap().read(symbol, at(interval), None, None).unwrap()
}

#[test]
fn the_same_candles_give_the_same_files_however_they_come() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let all = candles("1h", 0..1500, 100.0);
    let batches = [0..1, 1..743, 743..745, 745..1500].map(|r| all.slice(r));
    let manifest = write(one.path(), &[("X", &[&all])]).unwrap();
    write(two.path(), &[("X", &batches.each_ref())]).unwrap();
    assert_eq!(files(one.path()), files(two.path()));
    assert_eq!(manifest.files.len(), 2);
    for file in &manifest.files {
        let name = format!("part-{}.parquet", &file.sha256[..16]);
        assert!(
            file.path.ends_with(&name) && file.path.starts_with("interval=1h/symbol=X/year=202"),
            "{}",
            file.path
        );
    }
    let dataset = Dataset::open(one.path().to_str().unwrap()).unwrap();
    dataset.verify().unwrap();
    assert_eq!((dataset.manifest(), read(one.path(), "X", "1h")), (&manifest, all.clone()));

    // Again: nothing is touched, but a damaged file is mended.
    let changed = || std::fs::metadata(one.path().join(MANIFEST)).unwrap().modified().unwrap();
    let before = (changed(), files(one.path()));
    write(one.path(), &[("X", &batches.each_ref())]).unwrap();
    assert_eq!(before, (changed(), files(one.path())));
    std::fs::write(one.path().join(&manifest.files[0].path), b"damaged").unwrap();
    write(one.path(), &[("X", &batches.each_ref())]).unwrap();
    assert_eq!(before.1, files(one.path()));
}

#[test]
fn a_partition_is_replaced_and_the_others_stay() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    let old = candles("1h", 0..1500, 100.0);
    let (month, four) = (candles("1s", 2_678_390..2_678_410, 5.0), candles("4h", 0..10, 100.0));
    write(root, &[("X", &[&old]), ("Y", &[&old]), ("X", &[&four]), ("X", &[&month])]).unwrap();
    let before = files(root);
    assert_eq!(before.keys().filter(|path| path.contains("year=2024/month=01/")).count(), 1);
    assert_eq!(before.keys().filter(|path| path.contains("year=2023/month=12/")).count(), 1);
    // 2024 begins with candle 744: two candles of it stand for the year now.
    let new = candles("1h", 800..802, 200.0);
    write(root, &[("X", &[&new])]).unwrap();
    let after = files(root);
    let gone: Vec<_> = before.keys().filter(|path| !after.contains_key(*path)).collect();
    assert!(gone.len() == 1 && gone[0].starts_with("interval=1h/symbol=X/year=2024/"), "{gone:?}");
    assert_eq!(before.len(), after.len());
    let found = read(root, "X", "1h");
    assert_eq!((found.slice(0..744), found.slice(744..746)), (old.slice(0..744), new));
    assert_eq!((read(root, "Y", "1h"), read(root, "X", "1s")), (old, month));
    Dataset::open(root.to_str().unwrap()).unwrap().verify().unwrap();

    let mut writer = DatasetWriter::open(root, &about()).unwrap();
    assert_eq!(writer.manifest().unwrap().symbols(None), ["X", "Y"]);
    writer.start_over();
    writer.series("Z", at("1h")).unwrap().push(&candles("1h", 0..3, 1.0)).unwrap();
    assert!(writer.commit().unwrap_err().to_string().contains("would have no candles"));
    let mut writer = DatasetWriter::open(root, &about()).unwrap();
    writer.start_over();
    let mut series = writer.series("Z", at("1h")).unwrap();
    series.push(&candles("1h", 0..3, 1.0)).unwrap();
    series.finish().unwrap();
    writer.commit().unwrap();
    assert_eq!(files(root).len(), 2);
}

#[test]
fn what_is_broken_off_leaves_the_old_state() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("made");
    // A folder that was made for it goes too.
    let writer = DatasetWriter::open(&root, &about()).unwrap();
    let mut series = writer.series("X", at("1h")).unwrap();
    series.push(&candles("1h", 0..1500, 1.0)).unwrap();
    series.finish().unwrap();
    let busy = DatasetWriter::open(&root, &about()).unwrap_err();
    assert!(busy.is_input_error() && busy.to_string().contains("another program"), "{busy}");
    drop(writer);
    assert!(!root.exists());

    write(&root, &[("X", &[&candles("1h", 0..1500, 1.0)])]).unwrap();
    let before = files(&root);
    let writer = DatasetWriter::open(&root, &about()).unwrap();
    let mut series = writer.series("X", at("1h")).unwrap();
    series.push(&candles("1h", 0..1500, 2.0)).unwrap();
    series.finish().unwrap();
    assert_eq!(files(&root).len(), before.len() + 2);
    drop(writer);
    assert_eq!(files(&root), before);

    // Killed while it wrote, or between the moves and the manifest: the next writer sweeps.
    std::fs::create_dir_all(root.join(".writing")).unwrap();
    std::fs::write(root.join(".writing/000000.parquet"), b"half").unwrap();
    std::fs::create_dir_all(root.join("interval=1h/symbol=Q/year=2024")).unwrap();
    std::fs::write(root.join("interval=1h/symbol=Q/year=2024/part-0123456789abcdef.parquet"), b"moved")
        .unwrap();
    assert_eq!(files(&root).len(), before.len() + 2);
    drop(DatasetWriter::open(&root, &about()).unwrap());
    assert_eq!(files(&root), before);
    assert!(!root.join("interval=1h/symbol=Q").exists());

    // A place that cannot be written, found at the commit: X goes to its place first and is taken back.
    std::fs::write(root.join("interval=1h/symbol=Y"), b"in the way").unwrap();
    let before = files(&root);
    let error = write(&root, &[("X", &[&candles("1h", 0..9, 2.0)]), ("Y", &[&candles("1h", 0..9, 2.0)])])
        .unwrap_err();
    assert!(error.to_string().contains("symbol=Y/year=2023") && error.is_input_error(), "{error}");
    assert_eq!(files(&root), before);
}

#[test]
fn a_folder_of_candles_without_a_manifest_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    write(root, &[("X", &[&candles("1h", 0..9, 1.0)])]).unwrap();
    let manifest = std::fs::read(root.join(MANIFEST)).unwrap();
    std::fs::remove_file(root.join(MANIFEST)).unwrap();
    let error = DatasetWriter::open(root, &about()).unwrap_err().to_string();
    assert!(error.contains("holds candles but no dataset.json"), "{error}");
    assert_eq!(read(root, "X", "1h").len(), 9);
    // The first write was killed between the moves and the manifest: that is no data set yet.
    std::fs::create_dir(root.join(".writing")).unwrap();
    std::fs::write(root.join(".writing/000000.parquet"), b"half").unwrap();
    let error = Dataset::open(root.to_str().unwrap()).unwrap_err().to_string();
    assert!(error.contains("broken off"), "{error}");
    write(root, &[("X", &[&candles("1h", 0..9, 1.0)])]).unwrap();
    assert_eq!(std::fs::read(root.join(MANIFEST)).unwrap(), manifest);
}

#[test]
fn candles_that_do_not_fit_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let writer = DatasetWriter::open(dir.path(), &about()).unwrap();
    assert!(writer.series("BTC/USD", at("1h")).unwrap_err().to_string().contains("as in BTC-USD"));
    let all = candles("1h", 0..1500, 1.0);
    let mut series = writer.series("X", at("1h")).unwrap();
    series.push(&all).unwrap();
    let refused = |series: &mut SeriesWriter<'_>, candles: &Candles, expected: &str| {
        let error = series.push(candles).unwrap_err();
        assert!(error.is_input_error() && error.to_string().contains(expected), "{error}");
    };
    refused(&mut series, &all.slice(1499..1500), "comes after that of 2024-02-01T11:00:00Z");
    refused(&mut series, &candles("4h", 0..9, 1.0), "4h candles do not belong there");
    let with = |name: &str| {
        let next = candles("1h", 1500..1501, 1.0);
        next.with_columns(vec![(name.to_owned(), vec![1.0])]).unwrap()
    };
    refused(&mut series, &with("funding"), "its columns were [] and now are [\"funding\"]");
    let mut gap = candles("1h", 1500..1503, 1.0);
    gap = Candles::new(
        at("1h"),
        RawCandles {
            timestamp: vec![gap.timestamp()[0], gap.timestamp()[2]],
            open: vec![1.0; 2],
            high: vec![1.0; 2],
            low: vec![1.0; 2],
            close: vec![1.0; 2],
            volume: vec![1.0; 2],
        },
    )
    .unwrap();
    refused(&mut series, &gap.fill_forward(1), "1 candles were made by filling gaps");
    series.finish().unwrap();
    let mut again = writer.series("X", at("1h")).unwrap();
    refused(&mut again, &all.slice(1400..1401), "candles of 2024 were written before");
    refused(&mut writer.series("Y", at("1h")).unwrap(), &with("a b"), "as in funding_rate");
    writer.commit().unwrap();

    // What stays beside the new candles must be of their kind.
    let seed = |seed| About { generator: Some(Generator { name: "g".into(), version: 1, seed }), ..about() };
    let writer = DatasetWriter::open(dir.path(), &seed(1)).unwrap();
    let mut series = writer.series("Z", at("1h")).unwrap();
    series.push(&all).unwrap();
    series.finish().unwrap();
    let error = writer.commit().unwrap_err().to_string();
    assert!(error.contains("no generator that would stay beside new ones of g of seed 1"), "{error}");
}

#[test]
fn columns_beside_the_candles_are_kept_and_asked_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let unknown = |i: usize| if i.is_multiple_of(5) { f64::NAN } else { i as f64 / 8.0 };
    let column = |name: &str, n: usize| (name.to_owned(), (0..n).map(unknown).collect::<Vec<f64>>());
    let all = candles("1h", 0..1500, 1.0);
    let old = all.slice(0..744).with_columns(vec![column("funding", 744)]).unwrap();
    let new =
        all.slice(744..1500).with_columns(vec![column("funding", 756), column("interest", 756)]).unwrap();
    write(dir.path(), &[("X", &[&old]), ("X", &[&new])]).unwrap();
    let same =
        |a: &[f64], b: &[f64]| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits());
    let dataset = Dataset::open(dir.path().to_str().unwrap()).unwrap();
    let check = |dataset: &Dataset| {
        assert_eq!(dataset.columns("X", at("1h")), ["funding", "interest"]);
        assert_eq!(dataset.read("X", at("1h"), None, None).unwrap(), all);
        let found = dataset.read_with("X", at("1h"), None, None, &["interest", "funding"]).unwrap();
        let names: Vec<_> = found.columns().iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["interest", "funding"]);
        let (interest, funding) = (&found.columns()[0].1, &found.columns()[1].1);
        // The first year has no such column.
        assert!(interest[..744].iter().all(|v| v.is_nan()) && same(&interest[744..], &column("", 756).1));
        assert!(same(&funding[..744], &column("", 744).1) && same(&funding[744..], &column("", 756).1));
        let part = dataset.read_with("X", at("1h"), Some(START + 3_600_000), None, &["funding"]).unwrap();
        assert!(same(&part.columns()[0].1, &funding[1..]));
        let error = dataset.read_with("X", at("1h"), None, None, &["fundng"]).unwrap_err();
        assert!(
            error.is_input_error()
                && error
                    .to_string()
                    .contains("`fundng` beside the 1h candles of `X`: it has `funding`, `interest`"),
            "{error}"
        );
    };
    check(&dataset);
    std::fs::remove_file(dir.path().join(MANIFEST)).unwrap();
    check(&Dataset::open(dir.path().to_str().unwrap()).unwrap());
}
