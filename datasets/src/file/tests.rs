use super::*;
use crate::read_file;

#[test]
fn csv_and_parquet_read_the_same_and_have_one_digest() {
    let candles = crate::sample().unwrap().read("SYN-C", "1h".parse().unwrap(), None, None).unwrap();
    let candles = candles.slice(0..500);
    let dir = tempfile::tempdir().unwrap();
    let columns = [
        ("open", candles.open()),
        ("high", candles.high()),
        ("low", candles.low()),
        ("close", candles.close()),
        ("volume", candles.volume()),
    ];
    let mut digests = std::collections::BTreeSet::from([crate::digest("X", &candles)]);
    for name in ["X.csv", "X.parquet"] {
        let path = dir.path().join(name);
        write_columns(&path, candles.timestamp(), &columns).unwrap();
        let found = read_file(&path, None).unwrap();
        assert_eq!(found.candles, candles);
        digests.insert(crate::digest(&found.symbol, &found.candles));
    }
    assert_eq!(digests.len(), 1);
}

#[test]
fn columns_are_written_with_gaps_for_nan() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("out.csv");
    let values = [f64::NAN, 0.1 + 0.2];
    write_columns(&path, &[0, 1_500], &[("a,\"b\"", &values), ("c", &[1e-9, 1e300])]).unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!(
        text,
        "timestamp,\"a,\"\"b\"\"\",c\n1970-01-01T00:00:00Z,,1e-9\n1970-01-01T00:00:01.5Z,0.30000000000000004,1e300\n"
    );
    let error = |path: &str, columns: &[(&str, &[f64])]| {
        write_columns(&dir.path().join(path), &[0, 1], columns).unwrap_err().to_string()
    };
    assert!(error("x.csv", &[("a", &[1.0])]).contains("column `a` has 1 rows but `timestamp` has 2"));
    assert!(error("x.csv", &[("a", &values), ("a", &values)]).contains("empty or taken"));
    for (name, parts) in [
        ("x.txt", &["x.txt` has the extension .txt", "only .csv and .parquet can be written"][..]),
        ("x", &["x` has no extension: add .csv or .parquet"]),
        ("x.parquet/", &["x.parquet/` names a folder", "extension .csv or .parquet"]),
        ("none/x.csv", &["x.csv` cannot be written: the folder `", "none` does not exist: make it first"]),
        ("out.csv/x.csv", &["out.csv` is a file, not a folder"]),
    ] {
        let columns: [(&str, &[f64]); 1] = [("a", &values)];
        let error = write_columns(&dir.path().join(name), &[0, 1], &columns).unwrap_err();
        assert!(error.is_input_error(), "{error}");
        for part in parts {
            assert!(error.to_string().contains(part), "`{part}` is not in: {error}");
        }
    }
    let left: Vec<_> = std::fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left, ["out.csv"]);
}
