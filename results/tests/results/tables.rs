//! Parquet tables and shards: round trips, same bytes, damage.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use blockgrid_engine::{Candles, RawCandles};
use blockgrid_results::checkpoint::{ShardError, read_shard, write_shard};
use blockgrid_results::equity::EquityFile;
use blockgrid_results::trades::TradesFile;
use blockgrid_results::{
    FileError, ROW_GROUP_ROWS, TableError, TopColumns, TopTrial, TrialRow, TrialTable, is_reserved,
    read_trials, write_trials,
};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::RowAccessor;
use proptest::prelude::*;
use tempfile::tempdir;

use crate::fixture::{HOUR, START, candles, metrics, same, table, top};

const GRID: [(f64, f64); 3] = [(5.0, 20.0), (10.0, 20.0), (0.1, 400.0)];

fn names(path: &Path) -> Vec<String> {
    let reader = SerializedFileReader::new(fs::File::open(path).unwrap()).unwrap();
    reader.metadata().file_metadata().schema_descr().columns().iter().map(|c| c.name().to_owned()).collect()
}

fn write_trades(path: &Path, trials: &[TopTrial<'_>]) -> Result<(), FileError> {
    let mut file = TradesFile::create(path, &TopColumns::of(trials))?;
    trials.iter().try_for_each(|trial| file.push(trial))?;
    file.finish()
}

fn write_equity(path: &Path, trials: &[TopTrial<'_>]) -> Result<(), FileError> {
    let mut file = EquityFile::create(path, &TopColumns::of(trials))?;
    trials.iter().try_for_each(|trial| file.push(trial))?;
    file.finish()
}

#[test]
fn trials_come_back_as_they_went() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("trials.parquet");
    let mut written = table(&["SYN-A", "SYN-B"], &GRID, |s, t| (s as f64 + t as f64 / 7.0, 12.0));
    write_trials(&path, &written).unwrap();
    let read = read_trials(&path).unwrap();
    assert!(read.metrics.iter().all(|row| row[9].is_nan()), "an infinite drawdown is written as null");
    written.metrics.iter_mut().for_each(|row| row[9] = f64::NAN);
    assert!(same(&written, &read));
    assert_eq!(read.metric(0, "trades"), Some(12.0));
    assert_eq!(read.metric(0, "max_drawdown"), None);
    let names = names(&path);
    assert_eq!(names[..6], ["symbol", "window", "fast", "slow", "first_bar", "total_return"]);
    assert_eq!(names[names.len() - 2..], ["rejected_orders", "deficit"]);
}

#[test]
fn the_same_table_gives_the_same_bytes() {
    let dir = tempdir().unwrap();
    let trials = table(&["SYN-A", "SYN-B"], &GRID, |s, t| (s as f64 * t as f64, 3.0));
    let candles = candles(200);
    let tops = [top(1, &candles, &[10.0, -4.0, 3.0]), top(2, &candles, &[1.0])];
    let write = |name: &str| {
        let path = dir.path().join(name);
        let paths = ["trials", "trades", "equity", "shard"].map(|kind| path.with_extension(kind));
        write_trials(&paths[0], &trials).unwrap();
        write_trades(&paths[1], &tops).unwrap();
        write_equity(&paths[2], &tops).unwrap();
        write_shard(&paths[3], &trials).unwrap();
        paths.map(|path| fs::read(path).unwrap())
    };
    assert_eq!(write("a"), write("b"));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 8, "no temporary file is left");
}

#[test]
fn row_groups_have_a_fixed_size() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("trials.parquet");
    let grid: Vec<(f64, f64)> = (0..ROW_GROUP_ROWS + 10).map(|i| (i as f64, 1.0)).collect();
    let written = table(&["SYN-A"], &grid, |_, t| (t as f64, 1.0));
    write_trials(&path, &written).unwrap();
    let reader = SerializedFileReader::new(fs::File::open(&path).unwrap()).unwrap();
    let rows: Vec<i64> = reader.metadata().row_groups().iter().map(|group| group.num_rows()).collect();
    assert_eq!(rows, [i64::try_from(ROW_GROUP_ROWS).unwrap(), 10]);
    assert_eq!(read_trials(&path).unwrap().parameters, written.parameters);
}

/// A row group goes on from one trial into the next: where one ends is no business of the file's.
#[test]
fn trials_share_row_groups() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("equity.parquet");
    let candles = candles(ROW_GROUP_ROWS / 2 + 100);
    let tops = [1, 2, 3].map(|rank| top(rank, &candles, &[10.0]));
    write_equity(&path, &tops).unwrap();
    let reader = SerializedFileReader::new(fs::File::open(&path).unwrap()).unwrap();
    let rows: Vec<i64> = reader.metadata().row_groups().iter().map(|group| group.num_rows()).collect();
    let bars = 3 * (candles.len() - 5);
    assert_eq!(rows, [ROW_GROUP_ROWS, bars - ROW_GROUP_ROWS].map(|rows| i64::try_from(rows).unwrap()));
    let at = candles.len() - 5;
    let mut rows = reader.get_row_iter(None).unwrap().map(Result::unwrap).skip(at - 1);
    let [last, first] = [rows.next().unwrap(), rows.next().unwrap()];
    assert_eq!([last.get_uint(0).unwrap(), first.get_uint(0).unwrap()], [1, 2]);
    assert_eq!(first.get_timestamp_millis(3 + SWEPT).unwrap(), START + 6 * HOUR, "the close of bar 5");
}

/// Swept parameters of the trials of [`top`].
const SWEPT: usize = 2;

#[test]
fn trades_and_equity_have_their_columns() {
    let dir = tempdir().unwrap();
    let candles = candles(100);
    let tops = [top(1, &candles, &[10.0, -4.0])];
    let (trades, equity) = (dir.path().join("trades.parquet"), dir.path().join("equity.parquet"));
    write_trades(&trades, &tops).unwrap();
    write_equity(&equity, &tops).unwrap();
    assert_eq!(names(&trades).len(), 20 + SWEPT);
    assert_eq!(
        names(&trades)[3..3 + SWEPT],
        tops[0].parameters.iter().map(|(n, _)| n.as_str()).collect::<Vec<_>>()
    );
    assert_eq!(names(&trades)[11 + SWEPT..13 + SWEPT], ["exit_time", "exit_raw_price"]);
    let reader = SerializedFileReader::new(fs::File::open(&trades).unwrap()).unwrap();
    let rows: Vec<_> = reader.get_row_iter(None).unwrap().map(Result::unwrap).collect();
    assert_eq!(rows.len(), 2);
    assert_eq!(rows[0].get_string(10 + SWEPT).unwrap(), "enterSignal");
    assert_eq!(rows[0].get_string(16 + SWEPT).unwrap(), "takeProfit");
    assert!(rows[1].get_timestamp_millis(11 + SWEPT).is_err(), "the open trade has no exit");
    assert_eq!(rows[1].get_double(17 + SWEPT).unwrap(), -4.0);

    assert_eq!(
        rows[0].get_double(3).unwrap(),
        tops[0].parameters[0].1,
        "trades join with trials by parameters"
    );
    assert_eq!(names(&equity)[..3], ["rank", "symbol", "window"]);
    assert_eq!(names(&equity)[3 + SWEPT..], ["timestamp", "equity", "drawdown", "position", "buy_and_hold"]);
    let reader = SerializedFileReader::new(fs::File::open(&equity).unwrap()).unwrap();
    let rows: Vec<_> = reader.get_row_iter(None).unwrap().map(Result::unwrap).collect();
    assert_eq!(rows.len(), 95);
    assert_eq!(rows[0].get_timestamp_millis(3 + SWEPT).unwrap(), START + 6 * HOUR, "the close of bar 5");
    assert_eq!(rows[0].get_double(7 + SWEPT).unwrap(), 1000.0);
    assert!((rows[94].get_double(5 + SWEPT).unwrap() - (1006.0 / 1010.0 - 1.0)).abs() < 1e-15);
}

#[test]
fn filled_bars_are_marked_when_there_are_some() {
    let all = candles(100);
    let gap = Candles::new(
        all.interval(),
        RawCandles {
            timestamp: (0..100).map(|i| all.timestamp()[i] + if i < 50 { 0 } else { 3 * HOUR }).collect(),
            open: all.open().to_vec(),
            high: all.high().to_vec(),
            low: all.low().to_vec(),
            close: all.close().to_vec(),
            volume: all.volume().to_vec(),
        },
    )
    .unwrap();
    let filled = gap.fill_forward(3);
    let dir = tempdir().unwrap();
    let path = dir.path().join("equity.parquet");
    // A trial of another symbol, without a gap, stands in the same file.
    write_equity(&path, &[top(1, &filled, &[10.0]), top(2, &all, &[10.0])]).unwrap();
    assert_eq!(names(&path).last().unwrap(), "filled");
    let reader = SerializedFileReader::new(fs::File::open(&path).unwrap()).unwrap();
    let rows: Vec<_> = reader.get_row_iter(None).unwrap().map(Result::unwrap).collect();
    let marked: Vec<usize> = (0..rows.len()).filter(|&row| rows[row].get_bool(8 + SWEPT).unwrap()).collect();
    // The account begins at bar 5.
    assert_eq!(marked, [45, 46, 47]);
}

#[test]
fn result_columns_cannot_name_a_parameter() {
    for name in [
        "filled",
        "symbol",
        "window",
        "first_bar",
        "sharpe",
        "Sharpe",
        "rejected_orders",
        "deficit",
        "rank",
        "quantity",
        "exit_reason",
        "drawdown",
    ] {
        assert!(is_reserved(name), "{name}");
    }
    assert!(!is_reserved("fast"));
    let dir = tempdir().unwrap();
    let path = dir.path().join("t.parquet");
    let twice = TrialTable::new(["a", "a"]);
    assert!(matches!(write_trials(&path, &twice), Err(TableError::Reserved { .. })));
    assert!(matches!(write_trials(&path, &TrialTable::new(["cagr"])), Err(TableError::Reserved { .. })));
    let mut ragged = table(&["A"], &GRID, |_, _| (1.0, 1.0));
    ragged.deficit.pop();
    assert!(matches!(write_trials(&path, &ragged), Err(TableError::Length { .. })));
    assert!(!path.exists());
}

#[test]
fn shards_merge_to_the_table_of_one_run() {
    let dir = tempdir().unwrap();
    let value = |s: usize, t: usize| (s as f64 - t as f64 / 3.0, 4.0);
    let whole = table(&["SYN-A", "SYN-B"], &GRID, value);
    let mut merged = TrialTable::default();
    for (i, symbol) in ["SYN-A", "SYN-B"].iter().enumerate() {
        let path = dir.path().join(format!("{i}.shard"));
        write_shard(&path, &table(&[symbol], &GRID, |_, t| value(i, t))).unwrap();
        merged.append(read_shard(&path).unwrap()).unwrap();
    }
    let (a, b) = (dir.path().join("a.parquet"), dir.path().join("b.parquet"));
    write_trials(&a, &whole).unwrap();
    write_trials(&b, &merged).unwrap();
    assert_eq!(fs::read(a).unwrap(), fs::read(b).unwrap());
    assert!(matches!(merged.append(TrialTable::new(["other"])), Err(TableError::Parameters { .. })));
}

#[test]
fn a_damaged_shard_is_not_done() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("0.shard");
    assert!(read_shard(&path).unwrap_err().is_missing());
    write_shard(&path, &table(&["SYN-A"], &GRID, |_, _| (1.0, 1.0))).unwrap();
    let good = fs::read(&path).unwrap();
    for cut in [0, 7, 30, 40, 41, good.len() / 2, good.len() - 1] {
        fs::write(&path, &good[..cut]).unwrap();
        assert!(matches!(read_shard(&path), Err(ShardError::NotAShard { .. })), "cut at {cut}");
    }
    for at in [0, 10, good.len() / 2, good.len() - 1] {
        let mut bad = good.clone();
        bad[at] ^= 1;
        fs::write(&path, bad).unwrap();
        assert!(matches!(read_shard(&path), Err(ShardError::NotAShard { .. })), "flipped at {at}");
    }
    let trials = dir.path().join("trials.parquet");
    write_trials(&trials, &table(&["SYN-A"], &GRID, |_, _| (1.0, 1.0))).unwrap();
    assert!(matches!(read_shard(&trials), Err(ShardError::NotAShard { .. })), "foreign");
    let equity = dir.path().join("equity.parquet");
    write_equity(&equity, &[]).unwrap();
    assert!(matches!(read_trials(&equity), Err(TableError::Foreign(_))));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn any_finite_table_survives(
        rows in prop::collection::vec((0usize..3, any::<f64>(), any::<f64>(), any::<Option<i64>>(), any::<u32>()), 0..60)
    ) {
        let dir = tempdir().unwrap();
        let path = dir.path().join("t.parquet");
        let mut written = TrialTable::new(["p"]);
        for (symbol, parameter, value, first_bar, rejected_orders) in rows {
            let value = if value.is_finite() { value } else { f64::NAN };
            written.push(TrialRow {
                symbol: Arc::from(["A", "B", "\u{1F600}<b>"][symbol]),
                window: Arc::from("w"),
                parameters: vec![if parameter.is_nan() { 0.0 } else { parameter }],
                first_bar,
                metrics: metrics(&[("sharpe", value)]),
                rejected_orders,
                deficit: 0.5,
            }).unwrap();
        }
        write_trials(&path, &written).unwrap();
        prop_assert!(same(&written, &read_trials(&path).unwrap()));
    }
}
