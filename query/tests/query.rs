//! The program and the library over small Parquet files, with the answers spelled out.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;

use blockgrid_query::arrow::array::{
    ArrayRef, AsArray, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMillisecondArray,
};
use blockgrid_query::arrow::datatypes::Float64Type;
use blockgrid_query::{Column, Database, MAX_OPERATORS, MAX_SQL_BYTES, Options, QueryError};
use datafusion::parquet::arrow::ArrowWriter;
use tempfile::TempDir;

const HOUR: i64 = 3_600_000;
const YEAR_2024: i64 = 1_704_067_200_000;

fn write(dir: &Path, name: &str, columns: Vec<(&str, ArrayRef)>) {
    let columns = columns.into_iter().map(|(name, values)| (name, values, true));
    let batch = RecordBatch::try_from_iter_with_nullable(columns).expect("columns of one length");
    let file = File::create(dir.join(format!("{name}.parquet"))).expect("a file in the test's folder");
    let mut writer = ArrowWriter::try_new(file, batch.schema(), None).expect("a writer");
    writer.write(&batch).expect("rows");
    writer.close().expect("a footer");
}

fn text(values: &[&str]) -> ArrayRef {
    Arc::new(StringArray::from(values.to_vec()))
}

fn whole(values: &[i64]) -> ArrayRef {
    Arc::new(Int64Array::from(values.to_vec()))
}

fn float(values: &[Option<f64>]) -> ArrayRef {
    Arc::new(Float64Array::from(values.to_vec()))
}

fn time(hours: &[i64]) -> ArrayRef {
    let values: Vec<i64> = hours.iter().map(|hour| YEAR_2024 + hour * HOUR).collect();
    Arc::new(TimestampMillisecondArray::from(values).with_timezone("UTC"))
}

/// Result tables of four trials, with a null and a NaN among the metrics.
fn results() -> TempDir {
    let dir = TempDir::new().expect("a folder");
    fill(dir.path());
    dir
}

fn fill(dir: &Path) {
    let sharpe = [Some(1.25), None, Some(f64::NAN), Some(-0.5)];
    let trials = vec![
        ("symbol", text(&["SYN-A", "SYN-A", "SYN-B", "SYN-B"])),
        ("window", text(&["all", "all", "all", "all"])),
        ("fastLen", whole(&[5, 10, 5, 10])),
        ("stop", float(&[Some(0.01), Some(0.02), Some(0.01), Some(0.02)])),
        ("first_bar", time(&[0, 5, 0, 5])),
        ("sharpe", float(&sharpe)),
        ("trades", float(&[Some(12.0), Some(0.0), Some(3.0), Some(1_234_567.0)])),
    ];
    write(dir, "trials", trials);
    let trades = vec![
        ("rank", whole(&[1, 1, 2])),
        ("symbol", text(&["SYN-A", "SYN-A", "SYN-B"])),
        ("exit_reason", text(&["stop", "signal", "stop"])),
        ("pnl", float(&[Some(-10.123456789), Some(25.5), Some(-0.00001234567)])),
        ("return", float(&[Some(-0.001), Some(0.0025), Some(-1e-9)])),
    ];
    write(dir, "trades", trades);
    let equity = vec![
        ("rank", whole(&[1, 1, 1])),
        ("window", text(&["all", "all", "all"])),
        ("timestamp", time(&[0, 1, 744])),
        ("equity", float(&[Some(10_000.0), Some(10_010.5), Some(9_990.25)])),
        ("position", float(&[Some(0.0), Some(0.5), Some(0.5)])),
    ];
    write(dir, "equity", equity);
    fs::write(dir.join("job.json"), "{}").expect("a file that is no table");
}

fn run(dir: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_blockgrid-query"))
        .arg(dir)
        .args(arguments)
        .env("RUST_BACKTRACE", "0")
        .output()
        .expect("the program runs")
}

fn answer(dir: &Path, arguments: &[&str]) -> String {
    let output = run(dir, arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{arguments:?}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

fn refusal(dir: &Path, arguments: &[&str], code: i32) -> String {
    let output = run(dir, arguments);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {error}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "", "{arguments:?}");
    error
}

#[test]
fn a_table_is_aligned_and_its_nulls_are_empty_and_last() {
    let dir = results();
    let sql =
        "select symbol, window, fastLen, first_bar, sharpe, trades from trials order by sharpe desc, symbol";
    let expected = "\
symbol  window  fastLen  first_bar             sharpe   trades
SYN-A   all           5  2024-01-01T00:00:00Z    1.25       12
SYN-B   all          10  2024-01-01T05:00:00Z    -0.5  1234567
SYN-A   all          10  2024-01-01T05:00:00Z                0
SYN-B   all           5  2024-01-01T00:00:00Z                3
";
    assert_eq!(answer(dir.path(), &[sql]), expected);
}

#[test]
fn json_and_csv_keep_every_digit() {
    let dir = results();
    let sql = "select exit_reason, pnl, return from trades order by pnl";
    let json = r#"[
{"exit_reason":"stop","pnl":-10.123456789,"return":-0.001},
{"exit_reason":"stop","pnl":-0.00001234567,"return":-1.0e-9},
{"exit_reason":"signal","pnl":25.5,"return":0.0025}
]
"#;
    assert_eq!(answer(dir.path(), &["--output", "json", sql]), json);
    let csv = "\
exit_reason,pnl,return
stop,-10.123456789,-0.001
stop,-0.00001234567,-1e-9
signal,25.5,0.0025
";
    assert_eq!(answer(dir.path(), &["--output", "csv", sql]), csv);

    let sql = "select sharpe, first_bar from trials order by symbol, fastLen";
    let json = answer(dir.path(), &["-o", "json", sql]);
    assert!(json.contains(r#"{"sharpe":null,"first_bar":"2024-01-01T05:00:00Z"}"#), "{json}");
    assert_eq!(json.matches("null").count(), 2, "a NaN is null, too: {json}");
    let mean = answer(dir.path(), &["-o", "csv", "select avg(sharpe) as a, count(sharpe) as n from trials"]);
    assert_eq!(mean, "a,n\n0.375,2\n");
    let computed = answer(dir.path(), &["-o", "csv", "select 1 as one, 0.0 / 0.0 as nothing"]);
    assert_eq!(computed, "one,nothing\n1,\n");
    let csv = answer(dir.path(), &["-o", "csv", sql]);
    assert_eq!(csv.lines().filter(|line| line.starts_with(',')).count(), 2, "{csv}");
}

#[test]
fn an_empty_answer_has_its_header() {
    let dir = results();
    let sql = "select symbol, sharpe from trials where symbol = 'none'";
    assert_eq!(answer(dir.path(), &[sql]), "symbol  sharpe\n");
    assert_eq!(answer(dir.path(), &["-o", "csv", sql]), "symbol,sharpe\n");
    assert_eq!(answer(dir.path(), &["-o", "json", sql]), "[\n]\n");
}

#[test]
fn without_sql_the_tables_are_listed() {
    let dir = results();
    let expected = "\
table   rows  column       type
equity     3  rank         bigint
equity     3  window       text
equity     3  timestamp    timestamp UTC
equity     3  equity       double
equity     3  position     double
trades     3  rank         bigint
trades     3  symbol       text
trades     3  exit_reason  text
trades     3  pnl          double
trades     3  return       double
trials     4  symbol       text
trials     4  window       text
trials     4  fastLen      bigint
trials     4  stop         double
trials     4  first_bar    timestamp UTC
trials     4  sharpe       double
trials     4  trades       double
";
    assert_eq!(answer(dir.path(), &[]), expected);
    let json = answer(dir.path(), &["--output", "json", "--limit", "0"]);
    assert_eq!(json.lines().count(), 17 + 2, "{json}");
}

#[test]
fn the_examples_of_the_help_work() {
    let dir = results();
    let help =
        Command::new(env!("CARGO_BIN_EXE_blockgrid-query")).arg("--help").output().expect("the program runs");
    let help = String::from_utf8(help.stdout).expect("UTF-8");
    let examples: Vec<&str> = help.split('"').skip(1).step_by(2).collect();
    assert_eq!(examples.len(), 3, "{help}");
    let answers: Vec<String> = examples.iter().map(|sql| answer(dir.path(), &["-o", "csv", sql])).collect();
    assert_eq!(answers[0].lines().count(), 1 + 4, "{}", answers[0]);
    assert_eq!(answers[1], "exit_reason,trades,pnl\nstop,1,-10.123456789\nsignal,1,25.5\n");
    assert_eq!(answers[2], "month,equity\n2024-01-01T00:00:00Z,10010.5\n2024-02-01T00:00:00Z,9990.25\n");
}

#[test]
fn no_arguments_show_the_help() {
    let output = Command::new(env!("CARGO_BIN_EXE_blockgrid-query")).output().expect("the program runs");
    assert_eq!(output.status.code(), Some(2));
    let help = String::from_utf8_lossy(&output.stderr);
    assert!(
        help.contains("Usage: blockgrid query") && help.matches("blockgrid query DIR \"select").count() == 3,
        "{help}"
    );
}

#[test]
fn tables_are_cut_at_their_limit_and_say_so() {
    let dir = TempDir::new().expect("a folder");
    write(dir.path(), "trials", vec![("n", whole(&(0..1500).collect::<Vec<_>>()))]);
    let rows = |output: &Output| String::from_utf8_lossy(&output.stdout).lines().count() - 1;
    let note = |output: &Output| String::from_utf8_lossy(&output.stderr).into_owned();

    let usual = run(dir.path(), &["select n from trials"]);
    assert_eq!(rows(&usual), 1000);
    assert_eq!(note(&usual), "note: the first 1000 rows; there are more (--limit 0 prints all)\n");
    let all = run(dir.path(), &["--limit", "0", "select n from trials"]);
    assert_eq!((rows(&all), note(&all).as_str()), (1500, ""));
    let exact = run(dir.path(), &["--limit", "1500", "select n from trials"]);
    assert_eq!((rows(&exact), note(&exact).as_str()), (1500, ""));
    let csv = run(dir.path(), &["-o", "csv", "select n from trials"]);
    assert_eq!((rows(&csv), note(&csv).as_str()), (1500, ""));
    let few = run(dir.path(), &["-o", "csv", "--limit", "2", "select n from trials"]);
    assert_eq!(String::from_utf8_lossy(&few.stdout), "n\n0\n1\n");
    assert!(note(&few).contains("the first 2 rows"), "{}", note(&few));
}

#[test]
fn bad_input_exits_2_and_says_what_there_is() {
    let dir = results();
    let dir = dir.path();
    let missing = refusal(&dir.join("no such folder"), &["select 1"], 2);
    assert!(missing.contains("there is no folder") && missing.contains("no such folder"), "{missing}");
    let empty = TempDir::new().expect("a folder");
    assert!(refusal(empty.path(), &["select 1"], 2).contains("no tables in"), "an empty folder");

    let table = refusal(dir, &["select * from trails"], 2);
    assert!(table.starts_with("error: there is no table `trails`; did you mean `trials`?\n"), "{table}");
    assert!(
        table.contains("\n  trials: symbol, window, fastLen, stop, first_bar, sharpe, trades\n"),
        "{table}"
    );
    let column = refusal(dir, &["select fastlen from trials"], 2);
    assert!(column.starts_with("error: there is no column `fastlen`; did you mean `fastLen`?\n"), "{column}");
    assert!(column.contains("\n  equity: rank, window, "), "{column}");
    let function = refusal(dir, &["select floot(sharpe) from trials"], 2);
    assert!(function.contains("floot"), "{function}");
    let syntax = refusal(dir, &["selekt 1"], 2);
    assert!(syntax.contains("selekt") && syntax.contains("Line: 1"), "{syntax}");
    let two = refusal(dir, &["select 1; select 2"], 2);
    assert!(two.contains("single SQL statement"), "{two}");
    refusal(dir, &["select 1", "--memory", "lots"], 2);
    refusal(dir, &["select 1", "--output", "xml"], 2);
}

#[test]
fn a_broken_file_exits_1_and_is_named() {
    let dir = results();
    fs::write(dir.path().join("broken.parquet"), "PAR1 or not").expect("a file");
    let error = refusal(dir.path(), &["select 1"], 1);
    assert!(error.contains("cannot read") && error.contains("broken.parquet"), "{error}");
}

#[test]
fn nothing_can_be_changed() {
    let dir = results();
    let target = dir.path().join("new.parquet");
    let target = target.to_string_lossy();
    let before = fs::read(dir.path().join("trials.parquet")).expect("the table");
    let statements = [
        "create table t as select * from trials".to_owned(),
        "create view v as select * from trials".to_owned(),
        format!("create external table e stored as parquet location '{target}'"),
        format!("copy trials to '{target}'"),
        format!("copy (select 1 as x) to '{target}' stored as parquet"),
        format!("explain analyze copy trials to '{target}'"),
        "insert into trials select * from trials".to_owned(),
        "update trials set stop = 0".to_owned(),
        "delete from trials".to_owned(),
        "drop table trials".to_owned(),
        "set datafusion.execution.target_partitions = 8".to_owned(),
        "prepare p as select 1".to_owned(),
        "start transaction".to_owned(),
    ];
    for sql in &statements {
        let error = refusal(dir.path(), &[sql], 2);
        assert!(error.starts_with("error: tables are read-only"), "{sql}: {error}");
    }
    // A file is no table unless it lies in the folder.
    let sql = format!("select * from '{}'", dir.path().join("trials.parquet").to_string_lossy());
    assert!(refusal(dir.path(), &[&sql], 2).contains("there is no table"), "{sql}");
    let mut names: Vec<_> =
        fs::read_dir(dir.path()).expect("the folder").map(|e| e.expect("entry").file_name()).collect();
    names.sort();
    assert_eq!(names, ["equity.parquet", "job.json", "trades.parquet", "trials.parquet"]);
    assert_eq!(fs::read(dir.path().join("trials.parquet")).expect("the table"), before);
}

#[test]
fn names_that_sql_knows_otherwise_are_columns_as_well() {
    let dir = results();
    let dir = dir.path();
    let sql = "select window, count(*) as n from trials group by window order by window";
    assert_eq!(answer(dir, &["-o", "csv", sql]), "window,n\nall,4\n");
    let sql = "select rank, return from trades where return > 0 order by return";
    assert_eq!(answer(dir, &["-o", "csv", sql]), "rank,return\n1,0.0025\n");
    let sql =
        "select timestamp, position, e.window from equity e where timestamp >= '2024-01-02' and position > 0";
    assert_eq!(answer(dir, &["-o", "csv", sql]), "timestamp,position,window\n2024-02-01T00:00:00Z,0.5,all\n");
    let sql = "SELECT t.symbol, COUNT(*) AS n FROM trials AS t JOIN trades USING (symbol) GROUP BY t.symbol ORDER BY 1";
    assert_eq!(answer(dir, &["-o", "csv", sql]), "symbol,n\nSYN-A,4\nSYN-B,2\n");
    let sql = "with trails as (select 1 as x) select x, round(sqrt(2.0), 3) as r from trails";
    assert_eq!(answer(dir, &["-o", "csv", sql]), "x,r\n1,1.414\n");
    assert!(answer(dir, &["describe trials"]).contains("fastLen"), "describe works");
    assert!(answer(dir, &["show tables"]).contains("equity"), "show tables works");
}

#[test]
fn folders_may_have_any_name() {
    let outer = TempDir::new().expect("a folder");
    let dir = outer.path().join("a b [x]*?%20#é'");
    fs::create_dir(&dir).expect("a folder");
    fill(&dir);
    fs::rename(dir.join("trials.parquet"), dir.join("Trials-2024.parquet"))
        .expect("a name that needs quotes");
    assert_eq!(answer(&dir, &["-o", "csv", "select count(*) as n from \"Trials-2024\""]), "n\n4\n");
    assert_eq!(answer(&dir, &["-o", "csv", "select count(*) as n from trades"]), "n\n3\n");
}

#[test]
fn a_reader_that_stops_early_is_no_failure() {
    let dir = TempDir::new().expect("a folder");
    write(dir.path(), "trials", vec![("n", whole(&(0..200_000).collect::<Vec<_>>()))]);
    let mut child = Command::new(env!("CARGO_BIN_EXE_blockgrid-query"))
        .arg(dir.path())
        .args(["-o", "csv", "select n from trials"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program runs");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("the program ends");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert!(output.status.success());
}

#[test]
fn memory_is_bounded() {
    let dir = TempDir::new().expect("a folder");
    write(dir.path(), "trials", vec![("n", whole(&(0..300_000).collect::<Vec<_>>()))]);
    let join = "select count(*) as n from trials a join trials b on a.n = b.n";
    let error = refusal(dir.path(), &["--memory", "64KiB", join], 1);
    assert!(error.contains("needs more memory than the limit of 65536 bytes"), "{error}");
    let error = refusal(dir.path(), &["--memory", "1MiB", "--limit", "0", "select n from trials"], 1);
    assert!(error.contains("use --output csv or json"), "{error}");
    let csv = answer(dir.path(), &["--memory", "1MiB", "-o", "csv", "select n from trials"]);
    assert_eq!(csv.lines().count(), 300_001);
}

#[test]
fn a_failure_of_the_run_exits_1() {
    let dir = results();
    let error = refusal(dir.path(), &["select 1 / (fastLen - 5) from trials"], 1);
    assert!(error.contains("the query failed") && error.contains("ivide by zero"), "{error}");
}

#[test]
fn hostile_statements_end_in_an_answer_or_an_error() {
    let dir = results();
    let ended = |sql: &str, code: i32, says: &str| {
        let output = run(dir.path(), &["-o", "csv", "--threads", "2", sql]);
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{}...: {error}", &sql[..30]);
        assert!(error.contains(says), "{}...: {error}", &sql[..30]);
    };
    // `select`, `from` and the operators.
    let sum = |terms: usize| format!("select fastLen{} from trials", "+1".repeat(terms));
    ended(&sum(MAX_OPERATORS - 2), 0, "");
    ended(&sum(MAX_OPERATORS - 1), 2, "at most 1000 are planned");
    ended(&format!("select 1{}", " union all select 1".repeat(300)), 0, "");
    ended(&format!("select {}1{}", "(".repeat(5000), ")".repeat(5000)), 2, "recursion limit");
    ended(&format!("select {}1", "not ".repeat(900)), 2, "sql parser error");
    ended(&format!("select symbol from trials where fastLen in (1{})", ", 7".repeat(10_000)), 0, "");
    ended(&format!("select '{}'", "x".repeat(MAX_SQL_BYTES)), 2, "at most 65536 are read");
}

#[tokio::test]
async fn the_library_hands_out_batches() {
    let dir = results();
    let database = Database::open(dir.path(), Options::default()).await.expect("a database");
    let trades = database.tables().iter().find(|table| table.name == "trades").expect("trades");
    assert_eq!((trades.rows, trades.columns.len()), (3, 5));
    assert_eq!(trades.columns[4], Column { name: "return".into(), kind: "double".into() });

    let mut rows =
        database.query("select sharpe from trials order by symbol, fastLen").await.expect("an answer");
    assert!(rows.schema().field(0).is_nullable());
    let batch = rows.next().await.expect("no error").expect("a batch");
    let sharpe: Vec<_> = batch.column(0).as_primitive::<Float64Type>().iter().collect();
    assert_eq!(sharpe, [Some(1.25), None, None, Some(-0.5)], "NaN is null");
    assert!(rows.next().await.expect("no error").is_none());

    let error = database.query("drop table trials").await.err().expect("an error");
    assert!(matches!(error, QueryError::ReadOnly(_)) && error.is_bad_input(), "{error}");
}

#[tokio::test]
async fn the_same_query_gives_the_same_rows() {
    let dir = TempDir::new().expect("a folder");
    let values: Vec<i64> = (0..100_000).collect();
    let noise: Vec<Option<f64>> = values.iter().map(|n| Some((n * 7919 % 10_007) as f64 / 3.0)).collect();
    write(dir.path(), "trials", vec![("n", whole(&values)), ("x", float(&noise))]);
    let sql = "select n % 97 as k, sum(x) as total, avg(x) as mean from trials group by 1";
    let first = answer(dir.path(), &["-o", "csv", sql]);
    assert_eq!(first.lines().count(), 98);
    for _ in 0..5 {
        assert_eq!(answer(dir.path(), &["-o", "csv", sql]), first);
    }
}
