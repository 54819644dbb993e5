use blockgrid_engine::interval::Interval;

use super::*;
use crate::FileEntry;

fn file(symbol: &str, interval: &str, year: i64, sha256: &str) -> FileEntry {
    let first = (year - 1970) * 31_536_000_000;
    let millis = interval.parse::<Interval>().unwrap().millis();
    serde_json::from_value(serde_json::json!({
        "path": format!("interval={interval}/symbol={symbol}/year={year}/part.parquet"),
        "symbol": symbol,
        "interval": interval,
        "rows": 10,
        "first": first,
        "last": first + 9 * millis,
        "bytes": 100,
        "sha256": sha256,
    }))
    .unwrap()
}

fn manifest(files: Vec<FileEntry>) -> Manifest {
    Manifest::new("m".to_owned(), "a source".to_owned(), "CC0-1.0".to_owned(), None, files)
}

fn two() -> Manifest {
    manifest(vec![file("B", "1h", 2020, "aa"), file("A", "1d", 2021, "bb"), file("A", "1d", 2020, "cc")])
}

fn text(home: &Path) -> String {
    std::fs::read_to_string(home.join(CATALOGUE)).unwrap()
}

#[test]
fn what_is_registered_is_found_replaced_and_removed() {
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().join("not/there/yet");
    assert_eq!(Catalogue::open(&home).unwrap().entries(), []);
    assert!(!home.exists(), "reading makes nothing");
    Catalogue::register(&home, "zeta", "/data/zeta", &two()).unwrap();
    Catalogue::register(&home, "alpha", "file:///data/al%20pha", &manifest(vec![])).unwrap();
    Catalogue::register_unread(&home, "far", "s3://bucket/prefix").unwrap();
    let catalogue = Catalogue::open(&home).unwrap();
    assert_eq!(catalogue.names().collect::<Vec<_>>(), ["sample", "alpha", "far", "zeta"]);
    assert_eq!(catalogue.find("alpha").unwrap().location, "/data/al pha");
    assert_eq!(catalogue.find("far").unwrap().location, "s3://bucket/prefix");
    let zeta = catalogue.find("zeta").unwrap();
    let series: Vec<_> =
        zeta.series.iter().map(|s| (s.symbol.as_str(), s.interval.to_string(), s.rows)).collect();
    assert_eq!(series, [("A", "1d".to_owned(), 20), ("B", "1h".to_owned(), 10)]);
    assert_eq!((zeta.bytes, zeta.rows(), zeta.symbols()), (300, 30, vec!["A", "B"]));
    assert_eq!(zeta.range().unwrap().0, 50 * 31_536_000_000);
    assert_eq!(catalogue.folder_of("zeta"), home.join("datasets/zeta"));

    // The order of registering leaves no trace, and neither does registering the same again.
    let before = text(&home);
    let other = tempfile::tempdir().unwrap();
    Catalogue::register_unread(other.path(), "far", "s3://bucket/prefix").unwrap();
    Catalogue::register(other.path(), "zeta", "/elsewhere", &manifest(vec![])).unwrap();
    Catalogue::register(other.path(), "alpha", "/data/al pha", &manifest(vec![])).unwrap();
    Catalogue::register(other.path(), "zeta", "/data/zeta", &two()).unwrap();
    assert_eq!(text(other.path()), before);

    Catalogue::remove(&home, "alpha").unwrap();
    assert!(Catalogue::open(&home).unwrap().find("alpha").is_none());
    let error = Catalogue::remove(&home, "alpha").unwrap_err();
    assert!(matches!(error, DatasetError::NotRegistered { .. }), "{error}");
    assert!(Catalogue::remove(&home, "sample").unwrap_err().to_string().contains("inside the program"));
}

#[test]
fn programs_that_register_at_once_lose_nothing() {
    let home = tempfile::tempdir().unwrap();
    let manifest = two();
    std::thread::scope(|scope| {
        for worker in 0..8 {
            let (home, manifest) = (home.path(), &manifest);
            scope.spawn(move || {
                for i in 0..10 {
                    let name = format!("set-{worker}-{i}");
                    Catalogue::register(home, &name, "/data", manifest).unwrap();
                    // A reader never sees half a file.
                    assert!(Catalogue::open(home).unwrap().find(&name).is_some());
                }
            });
        }
    });
    assert_eq!(Catalogue::open(home.path()).unwrap().entries().len(), 80);
    assert!(!home.path().join("catalogue.json.partial").exists());
}

#[test]
fn a_damaged_catalogue_is_named_and_never_overwritten() {
    let home = tempfile::tempdir().unwrap();
    Catalogue::register(home.path(), "a", "/data/a", &two()).unwrap();
    let whole = text(home.path());
    let path = home.path().join(CATALOGUE);
    let twice = whole.replacen(
        "  ]\n}",
        &format!(
            "  ,{}]\n}}",
            &whole[whole.find("{\n      \"name\"").unwrap()..whole.rfind("\n  ]").unwrap()]
        ),
        1,
    );
    for damaged in [
        whole[..whole.len() / 2].to_owned(),
        String::new(),
        "\0\0\0\0".to_owned(),
        whole.replace("\"rows\"", "\"rowz\""),
        whole.replace("\"name\": \"a\"", "\"name\": \"../a\""),
        whole.replace("\"name\": \"a\"", "\"name\": \"sample\""),
    ] {
        std::fs::write(&path, &damaged).unwrap();
        for error in [
            Catalogue::open(home.path()).unwrap_err(),
            Catalogue::register(home.path(), "b", "/b", &two()).unwrap_err(),
            Catalogue::remove(home.path(), "a").unwrap_err(),
        ] {
            let message = error.to_string();
            assert!(
                message.contains("catalogue.json` is damaged (") && message.contains("data add"),
                "{message}"
            );
            assert!(error.is_input_error());
        }
        assert_eq!(text(home.path()), damaged);
    }
    std::fs::write(&path, twice).unwrap();
    let message = Catalogue::open(home.path()).unwrap_err().to_string();
    assert!(message.contains("`a` stands in it twice"), "{message}");
    std::fs::write(&path, whole.replace("\"format\": 1", "\"format\": 7, \"more\": 1")).unwrap();
    let message = Catalogue::open(home.path()).unwrap_err().to_string();
    assert!(message.contains("format 7") && message.contains("use the version"), "{message}");
}

#[test]
fn names_are_no_paths_and_no_files() {
    for good in ["a", "BTC_1m", "binance-spot", "7", &"x".repeat(100)] {
        Catalogue::check_name(good).unwrap();
    }
    for bad in ["", "a.csv", "../a", "a/b", "a b", "-a", "ä", "s3://x", "sample", ".", &"x".repeat(101)] {
        let error = Catalogue::check_name(bad).unwrap_err();
        assert!(error.is_input_error(), "{bad}");
    }
    let home = tempfile::tempdir().unwrap();
    Catalogue::register(home.path(), "a/b", "/data", &two()).unwrap_err();
    assert!(!home.path().join(CATALOGUE).exists());
}

#[test]
fn a_change_since_registering_is_told() {
    let entry = CatalogueEntry::new("n", "/data".to_owned(), &two());
    let differs = |change: &dyn Fn(&mut Manifest)| {
        let mut manifest = two();
        change(&mut manifest);
        entry.difference(&manifest).unwrap_or_default()
    };
    assert_eq!(differs(&|_| {}), "");
    // The manifest's own name and the order of its files say nothing about candles.
    assert_eq!(differs(&|m| m.name = "other".to_owned()), "");
    assert_eq!(differs(&|m| m.files.reverse()), "");
    assert_eq!(differs(&|m| m.files[0].sha256 = "dd".to_owned()), "B 1h has other files");
    assert_eq!(differs(&|m| m.files[0].rows = 11), {
        let range = "2019-12-20T00:00:00Z to 2019-12-20T09:00:00Z";
        format!("B 1h has 11 candles from {range} instead of 10 from {range}")
    });
    assert_eq!(differs(&|m| drop(m.files.remove(0))), "B 1h is gone");
    assert_eq!(differs(&|m| m.files.push(file("C", "1m", 2020, ""))), "C 1m is new");
    assert_eq!(differs(&|m| m.licence = "MIT".to_owned()), "its licence is `MIT` instead of `CC0-1.0`");
    assert_eq!(differs(&|m| m.synthetic = true), "`synthetic` is true instead of false");
}

#[test]
fn a_registered_data_set_that_is_gone_or_changed_is_not_opened() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("candles");
    let put = |manifest: &Manifest| {
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(crate::MANIFEST), manifest.to_json().unwrap()).unwrap();
    };
    put(&two());
    let home = dir.path().join("home");
    Catalogue::register(&home, "n", folder.to_str().unwrap(), &two()).unwrap();
    let catalogue = Catalogue::open(&home).unwrap();
    let entry = catalogue.find("n").unwrap();
    assert_eq!(entry.open().unwrap().manifest(), &two());
    put(&manifest(vec![file("A", "1d", 2020, "cc")]));
    let message = entry.open().unwrap_err().to_string();
    assert!(message.starts_with("`n` is not what was registered: A 1d has 10 candles from"), "{message}");
    assert!(message.contains(&format!("blockgrid data add n {}", folder.display())), "{message}");
    std::fs::remove_dir_all(&folder).unwrap();
    let error = entry.open().unwrap_err();
    assert!(matches!(error, DatasetError::Gone { .. }) && error.is_input_error(), "{error}");
    // An empty folder is as good as none.
    std::fs::create_dir_all(&folder).unwrap();
    assert!(matches!(entry.open(), Err(DatasetError::Gone { .. })));
}
