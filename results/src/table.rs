//! `trials.parquet`: one row a trial, one column a parameter and a metric.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use arrow_array::{
    Array, ArrayRef, Float64Array, Int64Array, StringArray, TimestampMillisecondArray, UInt32Array,
};
use arrow_array::{RecordBatch, cast::AsArray};
use arrow_schema::{DataType, Field};
use blockgrid_engine::metrics::{METRICS, Unit};
use bytes::Bytes;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::reader::ChunkReader;

use crate::parquet_file::{FileError, Layout, timestamp_type, write_parquet, write_parquet_file};

/// The metrics of one trial, in the order of [`METRICS`]; not finite means undefined.
pub type MetricRow = [f64; METRICS.len()];

const BEFORE: [&str; 2] = ["symbol", "window"];
const FIRST_BAR: &str = "first_bar";
const AFTER: [&str; 2] = ["rejected_orders", "deficit"];

/// Whether `name` is a column of the result tables and so cannot name a parameter. Case does not matter, because SQL
/// engines fold it.
pub fn is_reserved(name: &str) -> bool {
    let same = |column: &str| column.eq_ignore_ascii_case(name);
    let fill = |side: &str| FILL.iter().any(|column| same(&format!("{side}_{column}")));
    BEFORE
        .iter()
        .chain(&AFTER)
        .chain(&[FIRST_BAR])
        .chain(&OF_TRADES)
        .chain(&OF_EQUITY)
        .any(|column| same(column))
        || fill("entry")
        || fill("exit")
        || METRICS.iter().any(|metric| same(metric.id))
}

/// Columns of `trades.parquet` and `equity.parquet`, which carry the parameters too.
const OF_TRADES: [&str; 6] = ["rank", "direction", "quantity", "pnl", "return", "bars"];
const OF_EQUITY: [&str; 6] = ["timestamp", "equity", "drawdown", "position", "buy_and_hold", "filled"];
const FILL: [&str; 6] = ["time", "raw_price", "price", "fee", "maker", "reason"];

/// The position of a metric in [`METRICS`] and in every [`MetricRow`].
pub fn metric_index(id: &str) -> Option<usize> {
    METRICS.iter().position(|metric| metric.id == id)
}

/// Why a table could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// The file.
    #[error(transparent)]
    File(#[from] FileError),
    /// A column has another length than the table.
    #[error("column `{column}` has {len} rows but the table has {expected}")]
    Length {
        /// The column.
        column: String,
        /// Its length.
        len: usize,
        /// The length of `symbol`.
        expected: usize,
    },
    /// A parameter bears the name of a result column or of another parameter.
    #[error("parameter `{name}` bears the name of another column: rename it")]
    Reserved {
        /// The parameter.
        name: String,
    },
    /// Two tables do not have the same parameters in the same order.
    #[error("parameters differ: this table has [{ours}], the other [{theirs}]")]
    Parameters {
        /// Names in this table.
        ours: String,
        /// Names in the other.
        theirs: String,
    },
    /// The file is Parquet, but not a table of trials of this version.
    #[error("not a table of trials: {0}")]
    Foreign(String),
}

/// One trial, to be pushed.
#[derive(Debug, Clone, PartialEq)]
pub struct TrialRow {
    /// Symbol.
    pub symbol: Arc<str>,
    /// Name of the time window; empty where there is only one.
    pub window: Arc<str>,
    /// Parameter values, in the order of the table's columns.
    pub parameters: Vec<f64>,
    /// Open of the first bar of the account, UTC milliseconds; `None` when the trial was never warm.
    pub first_bar: Option<i64>,
    /// Metrics in the order of [`METRICS`].
    pub metrics: MetricRow,
    /// Orders that could not stand.
    pub rejected_orders: u32,
    /// Quote currency lost beyond zero equity.
    pub deficit: f64,
}

/// Trials as columns, in row order: symbol-major, then window, then trial in grid order.
///
/// All columns have one length; [`TrialTable::push`] and [`TrialTable::append`] keep it so, and writing checks it.
#[derive(Debug, Clone, Default)]
pub struct TrialTable {
    /// Symbol of each trial; clones of one string are cheap.
    pub symbol: Vec<Arc<str>>,
    /// Time window of each trial.
    pub window: Vec<Arc<str>>,
    /// One column a swept parameter, under its own name.
    pub parameters: Vec<(String, Vec<f64>)>,
    /// Open of the first bar of the account, UTC milliseconds; `None` when the trial was never warm.
    pub first_bar: Vec<Option<i64>>,
    /// Metrics in the order of [`METRICS`]; not finite means undefined and is written as null.
    pub metrics: Vec<MetricRow>,
    /// Orders that could not stand.
    pub rejected_orders: Vec<u32>,
    /// Quote currency lost beyond zero equity; 0 mostly.
    pub deficit: Vec<f64>,
}

impl TrialTable {
    /// An empty table with one column a parameter.
    pub fn new<S: Into<String>>(parameters: impl IntoIterator<Item = S>) -> Self {
        Self {
            parameters: parameters.into_iter().map(|name| (name.into(), Vec::new())).collect(),
            ..Self::default()
        }
    }

    /// Number of trials.
    pub fn len(&self) -> usize {
        self.symbol.len()
    }

    /// Whether there is no trial.
    pub fn is_empty(&self) -> bool {
        self.symbol.is_empty()
    }

    /// Adds a trial at the end.
    ///
    /// # Errors
    /// [`TableError::Length`] when the row has not one value a parameter.
    pub fn push(&mut self, row: TrialRow) -> Result<(), TableError> {
        if row.parameters.len() != self.parameters.len() {
            return Err(TableError::Length {
                column: "parameters".to_owned(),
                len: row.parameters.len(),
                expected: self.parameters.len(),
            });
        }
        self.symbol.push(row.symbol);
        self.window.push(row.window);
        for ((_, column), value) in self.parameters.iter_mut().zip(row.parameters) {
            column.push(value);
        }
        self.first_bar.push(row.first_bar);
        self.metrics.push(row.metrics);
        self.rejected_orders.push(row.rejected_orders);
        self.deficit.push(row.deficit);
        Ok(())
    }

    /// Adds the trials of `other` after ours: the merge of shards, in the order of the plan.
    ///
    /// # Errors
    /// [`TableError::Parameters`] when the two do not have the same parameters in the same order; an empty table without
    /// parameters takes those of `other`.
    pub fn append(&mut self, other: TrialTable) -> Result<(), TableError> {
        if self.is_empty() && self.parameters.is_empty() {
            *self = other;
            return Ok(());
        }
        if !self.parameters.iter().map(|(name, _)| name).eq(other.parameters.iter().map(|(name, _)| name)) {
            return Err(TableError::Parameters { ours: self.names(), theirs: other.names() });
        }
        self.symbol.extend(other.symbol);
        self.window.extend(other.window);
        for ((_, ours), (_, theirs)) in self.parameters.iter_mut().zip(other.parameters) {
            ours.extend(theirs);
        }
        self.first_bar.extend(other.first_bar);
        self.metrics.extend(other.metrics);
        self.rejected_orders.extend(other.rejected_orders);
        self.deficit.extend(other.deficit);
        Ok(())
    }

    /// These rows, in this order.
    ///
    /// # Panics
    /// For a row that is not there.
    #[must_use]
    pub fn select(&self, rows: &[usize]) -> TrialTable {
        fn of<T: Clone>(column: &[T], rows: &[usize]) -> Vec<T> {
            rows.iter().map(|&row| column[row].clone()).collect()
        }
        TrialTable {
            symbol: of(&self.symbol, rows),
            window: of(&self.window, rows),
            parameters: self
                .parameters
                .iter()
                .map(|(name, column)| (name.clone(), of(column, rows)))
                .collect(),
            first_bar: of(&self.first_bar, rows),
            metrics: of(&self.metrics, rows),
            rejected_orders: of(&self.rejected_orders, rows),
            deficit: of(&self.deficit, rows),
        }
    }

    /// The metric `id` of trial `row`; `None` where it is undefined (null), not finite, or no metric of that name exists.
    pub fn metric(&self, row: usize, id: &str) -> Option<f64> {
        let value = self.metrics.get(row)?[metric_index(id)?];
        value.is_finite().then_some(value)
    }

    /// The parameters of trial `row`, in column order.
    pub fn parameters_of(&self, row: usize) -> Vec<(String, f64)> {
        self.parameters.iter().map(|(name, column)| (name.clone(), column[row])).collect()
    }

    /// The symbols, each once, in row order.
    pub fn symbols(&self) -> Vec<Arc<str>> {
        distinct(&self.symbol)
    }

    /// The windows, each once, in row order.
    pub fn windows(&self) -> Vec<Arc<str>> {
        distinct(&self.window)
    }

    fn names(&self) -> String {
        self.parameters.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ")
    }

    fn check(&self) -> Result<(), TableError> {
        let lengths = [
            ("window", self.window.len()),
            (FIRST_BAR, self.first_bar.len()),
            ("metrics", self.metrics.len()),
            (AFTER[0], self.rejected_orders.len()),
            (AFTER[1], self.deficit.len()),
        ];
        let parameters = self.parameters.iter().map(|(name, column)| (name.as_str(), column.len()));
        for (column, len) in lengths.into_iter().chain(parameters) {
            if len != self.len() {
                return Err(TableError::Length { column: column.to_owned(), len, expected: self.len() });
            }
        }
        for (i, (name, _)) in self.parameters.iter().enumerate() {
            if is_reserved(name) || self.parameters[..i].iter().any(|(other, _)| other == name) {
                return Err(TableError::Reserved { name: name.clone() });
            }
        }
        Ok(())
    }

    fn layout(&self) -> Layout {
        let mut fields: Vec<Field> = Vec::new();
        fields.extend(BEFORE.map(|name| Field::new(name, DataType::Utf8, false)));
        fields.extend(self.parameters.iter().map(|(name, _)| Field::new(name, DataType::Float64, false)));
        fields.push(Field::new(FIRST_BAR, timestamp_type(), true));
        fields.extend(METRICS.iter().map(|metric| {
            let counts = metric.unit == Unit::Count;
            Field::new(metric.id, if counts { DataType::Int64 } else { DataType::Float64 }, true)
        }));
        fields.push(Field::new(AFTER[0], DataType::UInt32, false));
        fields.push(Field::new(AFTER[1], DataType::Float64, false));
        let mut layout = Layout::new(fields);
        layout.repeating = self.parameters.iter().map(|(name, _)| name.clone()).collect();
        layout.repeating.push(FIRST_BAR.to_owned());
        layout
    }

    fn columns(&self, rows: std::ops::Range<usize>) -> Vec<ArrayRef> {
        let text = |column: &[Arc<str>]| -> ArrayRef {
            Arc::new(StringArray::from_iter_values(column[rows.clone()].iter().map(AsRef::<str>::as_ref)))
        };
        let mut columns = vec![text(&self.symbol), text(&self.window)];
        for (_, column) in &self.parameters {
            columns.push(Arc::new(Float64Array::from_iter_values(column[rows.clone()].iter().copied())));
        }
        let first_bar: TimestampMillisecondArray = self.first_bar[rows.clone()].iter().copied().collect();
        columns.push(Arc::new(first_bar.with_timezone("UTC")));
        for (i, metric) in METRICS.iter().enumerate() {
            let values = self.metrics[rows.clone()].iter().map(|row| row[i]).map(finite);
            columns.push(match metric.unit {
                Unit::Count => Arc::new(values.map(|v| v.map(whole)).collect::<Int64Array>()),
                Unit::Fraction | Unit::Ratio | Unit::Quote => Arc::new(values.collect::<Float64Array>()),
            });
        }
        columns.push(Arc::new(UInt32Array::from_iter_values(
            self.rejected_orders[rows.clone()].iter().copied(),
        )));
        columns.push(Arc::new(Float64Array::from_iter_values(self.deficit[rows.clone()].iter().copied())));
        columns
    }
}

fn distinct(values: &[Arc<str>]) -> Vec<Arc<str>> {
    let mut seen: Vec<Arc<str>> = Vec::new();
    for value in values {
        // Rows of a symbol lie together: compare with the newest first.
        if seen.iter().rev().all(|known| known != value) {
            seen.push(value.clone());
        }
    }
    seen
}

fn finite(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}

#[expect(clippy::cast_possible_truncation, reason = "counts of bars and trades are far below 2^53")]
fn whole(value: f64) -> i64 {
    value.round() as i64
}

/// Writes `trials.parquet`: `symbol, window, <parameters>, first_bar, <metrics>, rejected_orders, deficit`.
///
/// Undefined and infinite metrics become null; counts are `INT64`, `first_bar` a UTC timestamp in milliseconds. The
/// bytes depend on nothing but the table. The file appears whole or not at all.
///
/// # Errors
/// [`TableError`] when columns differ in length, a parameter bears a reserved name, or the file system refuses.
pub fn write_trials(path: &Path, table: &TrialTable) -> Result<(), TableError> {
    table.check()?;
    write_parquet_file(path, &table.layout(), table.len(), |rows| table.columns(rows))?;
    Ok(())
}

/// The bytes of [`write_trials`], into `sink`; `path` is for messages.
pub(crate) fn write_trials_to<W: Write + Send>(
    path: &Path,
    sink: W,
    table: &TrialTable,
) -> Result<W, TableError> {
    table.check()?;
    Ok(write_parquet(path, sink, &table.layout(), table.len(), |rows| table.columns(rows))?)
}

/// The bytes of [`write_trials`].
///
/// # Errors
/// [`TableError`] when the table is inconsistent.
pub fn encode_trials(table: &TrialTable) -> Result<Vec<u8>, TableError> {
    write_trials_to(Path::new("a table of trials"), Vec::new(), table)
}

/// The table of [`encode_trials`]; `name` is for messages.
///
/// # Errors
/// As [`read_trials`].
pub fn decode_trials(bytes: Bytes, name: &str) -> Result<TrialTable, TableError> {
    read_trials_from(Path::new(name), bytes)
}

/// Reads a table that [`write_trials`] wrote; null metrics come back as NaN.
///
/// # Errors
/// [`TableError`] when the file cannot be read or is no table of trials of this version.
pub fn read_trials(path: &Path) -> Result<TrialTable, TableError> {
    let file = File::open(path).map_err(FileError::io(path))?;
    read_trials_from(path, file)
}

pub(crate) fn read_trials_from<R: ChunkReader + 'static>(
    path: &Path,
    source: R,
) -> Result<TrialTable, TableError> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(source).map_err(FileError::parquet(path))?;
    let names: Vec<String> = builder.schema().fields().iter().map(|field| field.name().clone()).collect();
    let first_bar = names.iter().position(|name| name == FIRST_BAR);
    let parameters = match first_bar {
        Some(at) if at >= BEFORE.len() => names[BEFORE.len()..at].to_vec(),
        _ => return Err(TableError::Foreign(format!("no column `{FIRST_BAR}`"))),
    };
    let mut table = TrialTable::new(parameters);
    let expected = table.layout().schema;
    for (i, field) in expected.fields().iter().enumerate() {
        let found = builder.schema().fields().get(i);
        if found.is_none_or(|f| f.name() != field.name() || f.data_type() != field.data_type()) {
            return Err(TableError::Foreign(format!(
                "column {} should be `{}` of type {}",
                i + 1,
                field.name(),
                field.data_type()
            )));
        }
    }
    if names.len() != expected.fields().len() {
        return Err(TableError::Foreign(format!("{} columns, not {}", names.len(), expected.fields().len())));
    }
    let batches = builder.with_batch_size(ROW_BATCH).build().map_err(FileError::parquet(path))?;
    let mut symbols = Interner::default();
    for batch in batches {
        table.read_batch(&batch.map_err(FileError::arrow(path))?, &mut symbols)?;
    }
    Ok(table)
}

const ROW_BATCH: usize = 8192;

/// Gives equal neighbours one allocation.
#[derive(Default)]
struct Interner {
    last: Vec<Arc<str>>,
}

impl Interner {
    fn get(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.last.iter().rev().take(8).find(|known| &***known == text) {
            return known.clone();
        }
        let new: Arc<str> = Arc::from(text);
        self.last.push(new.clone());
        new
    }
}

impl TrialTable {
    fn read_batch(&mut self, batch: &RecordBatch, strings: &mut Interner) -> Result<(), TableError> {
        let required = BEFORE.len() + self.parameters.len();
        let nulls = (0..required).chain(batch.num_columns() - AFTER.len()..batch.num_columns());
        for i in nulls {
            if batch.column(i).null_count() > 0 {
                let name = batch.schema().field(i).name().clone();
                return Err(TableError::Foreign(format!("column `{name}` has nulls")));
            }
        }
        let mut columns = batch.columns().iter();
        let mut next = || columns.next().ok_or_else(|| TableError::Foreign("too few columns".to_owned()));
        self.symbol.extend(next()?.as_string::<i32>().iter().map(|v| strings.get(v.unwrap_or_default())));
        self.window.extend(next()?.as_string::<i32>().iter().map(|v| strings.get(v.unwrap_or_default())));
        for (_, column) in &mut self.parameters {
            column.extend(next()?.as_primitive::<arrow_array::types::Float64Type>().values());
        }
        self.first_bar.extend(next()?.as_primitive::<arrow_array::types::TimestampMillisecondType>().iter());
        let start = self.metrics.len();
        self.metrics.resize(start + batch.num_rows(), [f64::NAN; METRICS.len()]);
        for (i, metric) in METRICS.iter().enumerate() {
            let column = next()?;
            let rows = self.metrics[start..].iter_mut();
            if metric.unit == Unit::Count {
                let values = column.as_primitive::<arrow_array::types::Int64Type>();
                #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
                rows.zip(values).for_each(|(row, v)| row[i] = v.map_or(f64::NAN, |v| v as f64));
            } else {
                let values = column.as_primitive::<arrow_array::types::Float64Type>();
                rows.zip(values).for_each(|(row, v)| row[i] = v.unwrap_or(f64::NAN));
            }
        }
        self.rejected_orders.extend(next()?.as_primitive::<arrow_array::types::UInt32Type>().values());
        self.deficit.extend(next()?.as_primitive::<arrow_array::types::Float64Type>().values());
        Ok(())
    }
}
