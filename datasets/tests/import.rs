//! What an import does to a data set, and what it does not when a file is bad.
#![allow(clippy::unwrap_used, reason = "helpers of tests panic where the test fails")]

use std::io::Write;
use std::path::{Path, PathBuf};

use blockgrid_datasets::import::{
    BadRowKind, BadRows, ImportOptions, Imported, ImportedSeries, Progress, import, read_bytes,
};
use blockgrid_datasets::{About, Dataset, DatasetError};

const HEADER: &str = "timestamp,open,high,low,close,volume";

struct Try {
    folder: tempfile::TempDir,
}

impl Try {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn root(&self) -> PathBuf {
        self.folder.path().join("set")
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    fn import_with(&self, files: &[PathBuf], options: &ImportOptions) -> Result<Imported, DatasetError> {
        import(files, &self.root(), &about(), options, &mut |_| {})
    }

    fn import(&self, files: &[PathBuf]) -> Result<Imported, DatasetError> {
        self.import_with(files, &ImportOptions::default())
    }

    /// The import of a CSV as `btc_usd_1h.csv`.
    fn csv(&self, text: &str) -> Result<ImportedSeries, DatasetError> {
        let path = self.write("btc_usd_1h.csv", text);
        self.import(&[path]).map(|mut imported| imported.series.remove(0))
    }

    fn dataset(&self) -> Dataset {
        Dataset::open(&self.root().to_string_lossy()).unwrap()
    }
}

fn about() -> About {
    About {
        name: "set".to_owned(),
        source: "a test".to_owned(),
        licence: "CC0-1.0".to_owned(),
        generator: None,
    }
}

/// Hours as CSV; a candle's open is `base` plus its number.
fn hours(range: std::ops::Range<i64>, base: i64) -> String {
    let line = |i: i64| {
        let open = base + i % 1000;
        format!("{},{open},{},{},{open},{i}\n", 1_704_067_200 + i * 3600, open + 2, open - 1)
    };
    format!("{HEADER}\n{}", range.map(line).collect::<String>())
}

/// Every file below a folder with its bytes.
fn state(root: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    let mut open = vec![root.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                open.push(path);
            } else {
                found.push((path.clone(), std::fs::read(&path).unwrap()));
            }
        }
    }
    found.sort();
    found
}

fn counts(series: &ImportedSeries) -> [u64; 4] {
    [series.added, series.changed, series.removed, series.unchanged]
}

#[test]
fn a_corrected_file_replaces_and_says_what_changed() {
    let t = Try::new();
    // From 2024 into 2026: three files of a year.
    let whole = t.csv(&hours(0..20_000, 5_000)).unwrap();
    assert_eq!(counts(&whole), [20_000, 0, 0, 0]);
    let before = state(&t.root());
    assert_eq!(counts(&t.csv(&hours(0..20_000, 5_000)).unwrap()), [0, 0, 0, 20_000]);
    assert_eq!(state(&t.root()), before, "the same again writes nothing");

    let mut lines: Vec<String> = hours(100..9_000, 5_000).lines().map(str::to_owned).collect();
    lines[11] = lines[11].replace(",5110,5112,", ",5110,5999,");
    lines.remove(21);
    let corrected = t.csv(&lines.join("\n")).unwrap();
    assert_eq!(counts(&corrected), [0, 1, 1, 8_898]);
    assert_eq!(corrected.examples[0].to_string(), "2024-01-05T14:00:00Z high: 5112 -> 5999");
    let now = t.dataset().read("BTC-USD", corrected.interval, None, None).unwrap();
    assert_eq!((now.len(), now.high()[110], now.gaps()), (19_999, 5_999.0, 1));
    let again = t.csv(&lines.join("\n")).unwrap();
    assert_eq!(counts(&again), [0, 0, 0, 8_899]);

    // A year that the file leaves out between its first and last candle goes.
    let ends = format!("{}{}", hours(0..10, 5_000), hours(18_000..18_010, 5_000).split_once('\n').unwrap().1);
    let ends = t.csv(&ends).unwrap();
    assert_eq!(counts(&ends), [0, 0, 17_989, 20]);
    let now = t.dataset().read("BTC-USD", ends.interval, None, None).unwrap();
    assert_eq!(now.len(), 2_010);
    t.dataset().verify().unwrap();
}

#[test]
fn columns_that_a_file_lacks_keep_their_values() {
    let t = Try::new();
    let with = |text: &str, name: &str, value: &str| {
        text.lines()
            .enumerate()
            .map(|(i, line)| format!("{line},{}\n", if i == 0 { name } else { value }))
            .collect::<String>()
    };
    let first = t.csv(&with(&hours(0..10, 100), "Funding Rate", "0.01")).unwrap();
    assert_eq!(first.columns, ["funding_rate"]);
    let second = t.csv(&with(&hours(5..15, 100), "oi", "7")).unwrap();
    assert_eq!(counts(&second), [5, 5, 0, 0]);
    let now = t.dataset().read_with("BTC-USD", second.interval, None, None, &["funding_rate", "oi"]).unwrap();
    let column = |i: usize| now.columns()[i].1.clone();
    assert_eq!(column(0)[..10], [0.01; 10]);
    assert!(column(0)[10..].iter().all(|v| v.is_nan()) && column(1)[..5].iter().all(|v| v.is_nan()));
    assert_eq!(column(1)[5..], [7.0; 10]);
}

#[test]
fn several_files_are_one_series() {
    let t = Try::new();
    let newest_first: Vec<String> = {
        let text = hours(15..30, 100);
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines[1..].reverse();
        lines
    };
    let a = t.write("btc_usd_1h_a.csv", hours(0..20, 100));
    let b = t.write("btc_usd_1h_b.csv", newest_first.join("\n"));
    let c = t.write("eth_usd_1h.csv", hours(0..5, 7));
    let d = t.write("btc_usd_1h_2.csv", hours(40..50, 100));
    let options = ImportOptions::default();
    let symbols = |imported: &Imported| imported.series.iter().map(|s| s.symbol.clone()).collect::<Vec<_>>();
    let named = ImportOptions { symbol: Some("BTC".to_owned()), ..options.clone() };
    let imported = t.import_with(&[d, b.clone(), a.clone()], &named).unwrap();
    assert_eq!(symbols(&imported), ["BTC"]);
    assert_eq!(counts(&imported.series[0]), [40, 0, 0, 0]);
    let imported = t.import_with(&[c], &options).unwrap();
    assert_eq!(symbols(&imported), ["ETH-USD"]);

    let other = t.write("other.csv", hours(18..25, 101));
    let error = t.import_with(&[a, other], &named).unwrap_err().to_string();
    for part in [
        "btc_usd_1h_a.csv` line 20",
        "other.csv` line 2",
        "different candles of 2024-01-01T18:00:00Z",
        "`open` is",
    ] {
        assert!(error.contains(part), "`{part}` is not in: {error}");
    }
}

#[test]
fn prices_off_their_decimals_are_cleaned_unless_asked_not_to() {
    let t = Try::new();
    let text = format!(
        "{HEADER}\n2018-01-10 04:55:00,5.330000000000001e-05,5.330000000000001e-05,5.288e-05,5.29e-05,1\n\
         2018-01-10 05:00:00,5.29e-05,5.294e-05,5.269e-05,5.27e-05,0.1234567890123456\n"
    );
    let path = t.write("ada_btc_5m.csv", &text);
    let imported = t.import(std::slice::from_ref(&path)).unwrap();
    assert_eq!(imported.series[0].cleaned, 2);
    let open = |t: &Try| t.dataset().read("ADA-BTC", "5m".parse().unwrap(), None, None).unwrap().open()[0];
    assert_eq!(open(&t), 5.33e-05);
    let exact = ImportOptions { exact: true, ..ImportOptions::default() };
    let imported = t.import_with(&[path], &exact).unwrap();
    assert_eq!((imported.series[0].cleaned, imported.series[0].changed), (0, 1));
    assert_eq!(open(&t), 5.330000000000001e-05);
}

#[test]
fn bad_rows_are_refused_or_dropped_and_counted() {
    let t = Try::new();
    t.csv(&hours(0..10, 100)).unwrap();
    let before = state(&t.root());
    let mut lines: Vec<String> = hours(0..30, 100).lines().map(str::to_owned).collect();
    lines[5] = "1704081600,,101,100,101,1".to_owned();
    lines[7] = "1704088800,0,101,100,101,1".to_owned();
    lines[8] = "1704092400,105,101,100,101,1".to_owned();
    lines[12] = lines[11].clone();
    lines[20] = lines[3].clone();
    let error = t.csv(&lines.join("\n")).unwrap_err().to_string();
    for part in ["5 bad rows", "line 6: ", "line 8: ", "line 9: ", "line 13: ", "line 21: ", "1 out of order"]
    {
        assert!(error.contains(part), "`{part}` is not in: {error}");
    }
    assert_eq!(state(&t.root()), before);
    let drop = ImportOptions { bad_rows: BadRows::Drop, ..ImportOptions::default() };
    let imported = t.import_with(&[t.folder.path().join("btc_usd_1h.csv")], &drop).unwrap();
    let bad = imported.series[0].bad_rows;
    assert_eq!((bad.total(), bad.of(BadRowKind::Duplicate), bad.of(BadRowKind::Ohlc)), (5, 1, 1));
    assert_eq!(imported.series[0].candles, 25);

    // A row off the grid is found when the interval is known.
    let off = hours(0..30, 100).replace("1704110400", "1704110401");
    let error = t.csv(&off).unwrap_err().to_string();
    assert!(
        error.contains("line 14: timestamp 2024-01-01T12:00:01Z is not the open of a 1h candle"),
        "{error}"
    );
}

#[test]
fn a_file_that_changes_while_it_is_read_is_refused() {
    for (change, expected) in [
        (
            (|path: &Path| {
                let mut file = std::fs::OpenOptions::new().append(true).open(path).unwrap();
                file.write_all(b"1800000000,1,1,1,1,1\n").unwrap();
            }) as fn(&Path),
            "was grown while it was read",
        ),
        (
            |path| std::fs::OpenOptions::new().write(true).open(path).unwrap().set_len(900_000).unwrap(),
            "was cut off while",
        ),
    ] {
        let t = Try::new();
        t.csv(&hours(0..10, 100)).unwrap();
        let before = state(&t.root());
        let path = t.write("btc_usd_1h.csv", hours(0..200_000, 5_000));
        let mut done = false;
        let mut once = |_: Progress<'_>| {
            if !std::mem::replace(&mut done, true) {
                change(&path);
            }
        };
        let error =
            import(std::slice::from_ref(&path), &t.root(), &about(), &ImportOptions::default(), &mut once)
                .unwrap_err();
        assert!(error.is_input_error() && error.to_string().contains(expected), "{error}");
        assert_eq!(state(&t.root()), before);
    }
}

#[test]
fn bombs_are_refused() {
    let packed = |line: &str, times: usize| {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        gzip.write_all(format!("{HEADER}\n").as_bytes()).unwrap();
        let block = line.repeat(1 << 16);
        for _ in 0..times {
            gzip.write_all(block.as_bytes()).unwrap();
        }
        gzip.finish().unwrap()
    };
    let error =
        |bytes: &[u8]| read_bytes(bytes, "x.csv.gz", &ImportOptions::default()).unwrap_err().to_string();
    // Many megabytes of one line, and of no line at all.
    let lines = error(&packed("1704067200,1,1,1,1,1\n", 10));
    assert!(
        lines.contains("`x.csv.gz` unpacks to") && lines.contains("more than 200 times as many"),
        "{lines}"
    );
    let none = error(&packed("0000000000000000", 10));
    assert!(none.contains("line 2 has more than 64 KiB"), "{none}");
}

#[test]
fn what_is_ambiguous_asks_for_an_option() {
    let read = |text: &str, options: &ImportOptions| read_bytes(text.as_bytes(), "btc_usd.csv", options);
    let days = format!("{HEADER}\n01/02/2024,1,2,1,2,1\n01/03/2024,1,2,1,2,1\n");
    let error = read(&days, &ImportOptions::default()).unwrap_err().to_string();
    assert!(error.contains("no line has a day above 12") && error.contains("--time-format"), "{error}");
    let month_first = ImportOptions { time_format: Some("%m/%d/%Y".to_owned()), ..ImportOptions::default() };
    let found = read(&days, &month_first).unwrap();
    assert_eq!(found.interval.to_string(), "1d");

    // The day that tells comes long after what is looked at first.
    let line = |i: i64| {
        let at = jiff::Timestamp::from_second(1_704_067_200 + i * 60).unwrap();
        format!("{},1,2,1,2,1\n", at.strftime("%d/%m/%Y %H:%M"))
    };
    let late = format!("{HEADER}\n{}", (0..18_000).map(line).collect::<String>());
    assert_eq!(read(&late, &ImportOptions::default()).unwrap().candles.len(), 18_000);

    let positions =
        ImportOptions { columns: Some("t,-,c,o,h,l,v,oi".parse().unwrap()), ..ImportOptions::default() };
    let text = "1704067200,x,3,2,4,1,10,7\n1704070800,y,3,2,4,1,10,8\n";
    let found = read(text, &positions).unwrap().candles;
    assert_eq!((found.open()[0], found.close()[1], found.columns()[0].1[1]), (2.0, 3.0, 8.0));
    for bad in ["t,o,h,l,c", "t,o,h,l,c,v,v", "o,h,l,c,v", "t,o,h,l,c,v,,x", "t,o,h,l,c,v,Funding Rate"] {
        assert!(bad.parse::<blockgrid_datasets::import::Columns>().is_err(), "{bad}");
    }
    let berlin = ImportOptions {
        time_zone: Some(blockgrid_datasets::import::time_zone("Europe/Berlin").unwrap()),
        ..ImportOptions::default()
    };
    let local = format!("{HEADER}\n2024-01-01 01:00,1,2,1,2,1\n2024-01-01 02:00,1,2,1,2,1\n");
    assert_eq!(read(&local, &berlin).unwrap().candles.timestamp()[0], 1_704_067_200_000);
}
