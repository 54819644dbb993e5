//! Rows of tables that know their types: Arrow and Parquet.

use std::panic::{AssertUnwindSafe, catch_unwind};

use arrow_array::RecordBatch;
use arrow_schema::{DataType, Schema};

use super::ImportError;
use super::batch::{BATCH, Batch, Batches};
use super::detect::{newest_first, spacing};
use super::detected::{Detected, Format};
use super::header::{Header, identifier, vendor};
use super::names::of_file;
use super::number::NumberStyle;
use super::options::{ImportOptions, Role};
use super::source::Source;
use super::time::{TimeFormat, TimeProblem, TimeReader};
use super::times::{Content, content};
use super::values::{epochs, is_number, is_text, is_time, numbers, texts, unit_of};
use crate::error::FileRow;

/// The batches of a table.
pub(crate) trait Table: Send {
    fn schema(&self) -> &Schema;
    fn next(&mut self) -> Result<Option<RecordBatch>, ImportError>;
}

/// The rows of a table, as far as they are candles.
pub(crate) struct TableBatches {
    pub(crate) detected: Detected,
    table: Box<dyn Table>,
    time: TimeReader,
    time_at: usize,
    values_at: Vec<usize>,
    symbol_at: Option<usize>,
    symbol: Option<String>,
    asked_symbol: bool,
    pending: Option<RecordBatch>,
    offset: usize,
    rows: u64,
}

/// Damaged bytes must never take the program down: what a decoder panics on becomes an error.
pub(crate) fn guarded<T, E: std::fmt::Display>(work: impl FnOnce() -> Result<T, E>) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(result) => result.map_err(|e| e.to_string()),
        Err(_) => Err("the decoder gave up on it".to_owned()),
    }
}

impl TableBatches {
    /// Finds out what the columns of a table are.
    pub(crate) fn open(
        source: &Source,
        format: Format,
        mut table: Box<dyn Table>,
        options: &ImportOptions,
    ) -> Result<Self, ImportError> {
        let file = source.name.clone();
        let names: Vec<String> = table.schema().fields().iter().map(|f| f.name().clone()).collect();
        let types: Vec<DataType> = table.schema().fields().iter().map(|f| f.data_type().clone()).collect();
        let named = of_file(&source.file_name);
        let asked = options.symbol.as_deref();
        let header = Header {
            file: &file,
            place: FileRow::Whole,
            names: &names,
            symbol: asked.or(named.symbol.as_deref()),
        };
        let clean: Vec<String> = names.iter().map(|name| identifier(name)).collect();
        let vendor = if options.columns.is_some() { None } else { vendor(&clean) };
        let mut roles = match &options.columns {
            Some(columns) if columns.0.len() == names.len() => columns.0.clone(),
            Some(columns) => {
                let message = format!(
                    "names {} columns, but `{file}` has {}: write `-` for each that is not kept",
                    columns.0.len(),
                    names.len()
                );
                return Err(ImportError::BadOption { option: "--columns", message });
            }
            None => header.roles()?,
        };
        let time_at = match roles.iter().position(|role| *role == Role::Time) {
            Some(at) => at,
            None => time_column(&header, &types)?,
        };
        roles[time_at] = Role::Time;
        for (i, role) in roles.iter_mut().enumerate() {
            let fits = match role {
                Role::Symbol => is_text(&types[i]),
                Role::Time | Role::Skip => true,
                Role::Date => false,
                Role::Other(name) if options.columns.is_none() => {
                    if !is_number(&types[i]) || !options.wants(name, vendor.is_some()) {
                        *role = Role::Skip;
                    }
                    true
                }
                _ => is_number(&types[i]) || is_text(&types[i]),
            };
            if !fits {
                let (column, found) = (names[i].clone(), types[i].to_string());
                let expected = if *role == Role::Symbol { "a text" } else { "a number" };
                return Err(ImportError::WrongType { file, column, found, expected });
            }
        }
        // Empty batches tell nothing.
        let first = loop {
            match table.next()? {
                Some(batch) if batch.num_rows() == 0 => {}
                other => break other,
            }
        };
        let Some(first) = first else { return Err(ImportError::Empty { file }) };
        let time = TimeReader {
            format: time_format(&file, &names[time_at], &first, time_at, options)?,
            zone: options.time_zone.clone(),
            by_magnitude: options.time_unit.is_none() && unit_of(&types[time_at]).is_none(),
        };
        let symbol_at = roles.iter().position(|role| *role == Role::Symbol);
        let in_column = symbol_at
            .and_then(|at| texts(first.column(at)).ok()?.first().cloned().flatten())
            .and_then(|text| super::names::clean_symbol(&text));
        let symbol = options.symbol.clone().or(in_column).or(named.symbol);
        let mut found = Self {
            detected: Detected {
                file,
                format,
                vendor,
                delimiter: 0,
                header: None,
                skipped: 0,
                columns: names.into_iter().zip(roles).collect(),
                numbers: NumberStyle::default(),
                time: time.format.clone(),
                assumes_utc: false,
                newest_first: false,
                spacing: None,
                named_interval: named.interval,
                symbol,
            },
            table,
            time,
            time_at,
            values_at: Vec::new(),
            symbol_at,
            symbol: None,
            asked_symbol: options.symbol.is_some(),
            pending: None,
            offset: 0,
            rows: 0,
        };
        let candle = [Role::Open, Role::High, Role::Low, Role::Close, Role::Volume];
        found.values_at = candle.iter().filter_map(|role| found.detected.position(role)).collect();
        found.values_at.extend(found.detected.others().into_iter().map(|(_, i)| i));
        let sample = first.slice(0, first.num_rows().min(1000));
        let mut times = Vec::new();
        // A time that cannot be read is named when its row comes.
        let _ = found.times(&sample, &mut times);
        found.detected.newest_first = newest_first(&times);
        found.detected.spacing = spacing(&times);
        found.pending = Some(first);
        Ok(found)
    }

    fn times(&self, batch: &RecordBatch, out: &mut Vec<i64>) -> Result<(), ImportError> {
        let column = batch.column(self.time_at);
        let error = |row: usize, value: String, problem: TimeProblem| {
            let message = match problem {
                TimeProblem::Other(message) => message,
                TimeProblem::OtherUnit(unit) => {
                    format!(
                        "counts {unit}, but the times above it count in {}: give the file in one unit",
                        self.detected.time
                    )
                }
            };
            ImportError::Value {
                file: self.detected.file.clone(),
                place: self.detected.place(self.rows + row as u64 + 1),
                column: self.detected.columns[self.time_at].0.clone(),
                value,
                message,
            }
        };
        let none = |row| {
            error(row, String::new(), TimeProblem::Other("is null, but every candle needs a time".to_owned()))
        };
        if is_text(column.data_type()) {
            let texts = texts(column).map_err(|m| self.damaged(m))?;
            for (row, text) in texts.into_iter().enumerate() {
                let text = text.ok_or_else(|| none(row))?;
                let at = self
                    .time
                    .read(text.trim())
                    .map_err(|p| error(row, text.chars().take(60).collect(), p))?;
                out.push(at);
            }
            return Ok(());
        }
        let TimeFormat::Epoch(unit) = self.time.format else { return Ok(()) };
        for (row, value) in epochs(column).map_err(|m| self.damaged(m))?.into_iter().enumerate() {
            let value = value.ok_or_else(|| none(row))?;
            out.push(self.time.epoch(unit, value).map_err(|p| error(row, value.to_string(), p))?);
        }
        Ok(())
    }

    fn damaged(&self, message: String) -> ImportError {
        let place = self.detected.place(self.rows + 1);
        ImportError::Damaged { file: self.detected.file.clone(), place, message }
    }

    fn check_symbol(&mut self, rows: &RecordBatch) -> Result<(), ImportError> {
        let Some(at) = self.symbol_at.filter(|_| !self.asked_symbol) else { return Ok(()) };
        for (row, text) in texts(rows.column(at)).map_err(|m| self.damaged(m))?.into_iter().enumerate() {
            let text = text.unwrap_or_default();
            let first = self.symbol.get_or_insert_with(|| text.clone());
            if *first != text {
                let message = format!(
                    "is another symbol than `{first}` above it: split the file by symbol, and import each part with --symbol"
                );
                return Err(ImportError::Value {
                    file: self.detected.file.clone(),
                    place: self.detected.place(self.rows + row as u64 + 1),
                    column: self.detected.columns[at].0.clone(),
                    value: text,
                    message,
                });
            }
        }
        Ok(())
    }
}

impl Batches for TableBatches {
    fn next(&mut self, batch: &mut Batch) -> Result<bool, ImportError> {
        batch.clear();
        loop {
            let whole = match self.pending.take() {
                Some(pending) => pending,
                None => match self.table.next()? {
                    Some(next) => next,
                    None => return Ok(false),
                },
            };
            let end = (self.offset + BATCH).min(whole.num_rows());
            let rows = whole.slice(self.offset, end - self.offset);
            self.offset = if end < whole.num_rows() { end } else { 0 };
            if self.offset > 0 {
                self.pending = Some(whole);
            }
            if rows.num_rows() == 0 {
                continue;
            }
            self.check_symbol(&rows)?;
            let mut times = std::mem::take(&mut batch.timestamp);
            self.times(&rows, &mut times)?;
            batch.timestamp = times;
            batch.place.extend((1..=rows.num_rows() as u64).map(|row| self.rows + row));
            for (k, &column) in self.values_at.iter().enumerate() {
                numbers(rows.column(column), &mut batch.columns[k]).map_err(|(row, value)| {
                    ImportError::Value {
                        file: self.detected.file.clone(),
                        place: self.detected.place(self.rows + row as u64 + 1),
                        column: self.detected.columns[column].0.clone(),
                        value,
                        message: "is not a number: mend it, or leave the column out with --columns"
                            .to_owned(),
                    }
                })?;
            }
            self.rows += rows.num_rows() as u64;
            return Ok(true);
        }
    }
}

/// The column of times: by its name, or else the only one whose type is a time (an index of pandas without a name).
fn time_column(header: &Header<'_>, types: &[DataType]) -> Result<usize, ImportError> {
    let named = header.times();
    let typed = |i: &&usize| is_time(&types[**i]);
    let counted = |i: &&usize| {
        matches!(types[**i], DataType::Int64 | DataType::UInt64 | DataType::Float64) || is_text(&types[**i])
    };
    let found = named.iter().find(typed).or_else(|| named.iter().find(counted)).copied();
    if let Some(at) = found {
        return Ok(at);
    }
    let all: Vec<usize> = (0..types.len()).filter(|i| is_time(&types[*i])).collect();
    match (all.as_slice(), named.first()) {
        ([one], _) => Ok(*one),
        (_, Some(&at)) => Err(ImportError::WrongType {
            file: header.file.to_owned(),
            column: header.names[at].clone(),
            found: types[at].to_string(),
            expected: "a timestamp, a 64-bit integer or a text",
        }),
        (_, None) => Err(header.missing("timestamp")),
    }
}

fn time_format(
    file: &str,
    name: &str,
    first: &RecordBatch,
    at: usize,
    options: &ImportOptions,
) -> Result<TimeFormat, ImportError> {
    let column = first.column(at);
    if let Some(unit) = unit_of(column.data_type()) {
        return Ok(TimeFormat::Epoch(unit));
    }
    let refused = |value: String, message: &str| ImportError::Value {
        file: file.to_owned(),
        place: FileRow::Row(1),
        column: name.to_owned(),
        value,
        message: message.to_owned(),
    };
    let not = "is not a time that is understood: write a timestamp, or ISO 8601 as in 2024-01-31T15:00:00Z";
    if is_text(column.data_type()) {
        if let Some(pattern) = &options.time_format {
            return Ok(TimeFormat::Pattern(pattern.clone()));
        }
        let texts = texts(column).unwrap_or_default();
        return match content(texts.iter().flatten().map(|text| text.trim())) {
            Content::Time { format, .. } => Ok(format),
            Content::DayOrMonth { .. } => Err(ImportError::Ambiguous {
                file: file.to_owned(),
                message: format!(
                    "in column `{name}` the day or the month may come first: say which with --time-format"
                ),
            }),
            _ => Err(refused(texts.first().cloned().flatten().unwrap_or_default(), not)),
        };
    }
    let values = epochs(column).map_err(|m| refused(m, not))?;
    let value = values.iter().flatten().copied().find(|value| *value != 0).unwrap_or(0);
    if (19_000_101..=21_001_231).contains(&value) && options.time_unit.is_none() {
        let message =
            "may be a date without dashes or seconds since 1970: say --time-unit s, or write a timestamp";
        return Err(refused(value.to_string(), message));
    }
    Ok(TimeFormat::Epoch(options.time_unit.unwrap_or_else(|| super::time::TimeUnit::of(value))))
}
