//! Rows as text: a table for people, JSON and CSV for machines.

use std::io::Write;

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use datafusion::arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use datafusion::arrow::compute::cast;
use datafusion::arrow::csv;
use datafusion::arrow::datatypes::{DataType, Float64Type};
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::json;
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};

use crate::{QueryError, Rows};

/// The shape of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Aligned columns; floats rounded to six decimals.
    Table,
    /// One array of objects, one object a line; every digit.
    Json,
    /// Comma-separated with a header; every digit.
    Csv,
}

/// What was printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Printed {
    /// Number of rows.
    pub rows: usize,
    /// Whether the answer has more rows than the limit.
    pub cut: bool,
}

/// Prints `rows` to `out`, at most `limit` of them. Null is empty in tables and CSV, `null` in JSON.
///
/// JSON and CSV hold one batch at a time. A table needs all its rows to align them: one whose text would not fit into
/// the query's memory limit is an error.
pub async fn print(
    rows: Rows,
    format: Format,
    limit: Option<usize>,
    out: &mut impl Write,
) -> Result<Printed, QueryError> {
    let header = RecordBatch::new_empty(rows.schema().clone());
    let mut first = First { rows, limit, printed: Printed { rows: 0, cut: false } };
    match format {
        Format::Table => {
            let mut table = TextTable::new(&header, first.rows.memory());
            while let Some(batch) = first.next().await? {
                table.add(&batch)?;
            }
            table.finish(out)?;
        }
        Format::Json => {
            let mut writer =
                json::WriterBuilder::new().with_explicit_nulls(true).build::<_, LineArray>(&mut *out);
            while let Some(batch) = first.next().await? {
                writer.write(&batch).map_err(write_error)?;
            }
            writer.finish().map_err(write_error)?;
        }
        Format::Csv => {
            let mut writer = csv::WriterBuilder::new().with_header(true).build(&mut *out);
            writer.write(&header).map_err(write_error)?;
            while let Some(batch) = first.next().await? {
                writer.write(&batch).map_err(write_error)?;
            }
        }
    }
    out.flush()?;
    Ok(first.printed)
}

/// The first rows of an answer.
struct First {
    rows: Rows,
    limit: Option<usize>,
    printed: Printed,
}

impl First {
    /// The next batch within the limit; the rows beyond it only tell that they exist.
    async fn next(&mut self) -> Result<Option<RecordBatch>, QueryError> {
        while !self.printed.cut
            && let Some(batch) = self.rows.next().await?
        {
            let room = self.limit.map_or(usize::MAX, |limit| limit - self.printed.rows);
            self.printed.cut = batch.num_rows() > room;
            let batch = batch.slice(0, batch.num_rows().min(room));
            self.printed.rows += batch.num_rows();
            if batch.num_rows() > 0 {
                return Ok(Some(batch));
            }
        }
        Ok(None)
    }
}

/// A JSON array with one row a line, so that a person can read it and `diff` can compare it.
#[derive(Debug, Default)]
struct LineArray;

impl json::writer::JsonFormat for LineArray {
    fn start_stream<W: Write>(&self, writer: &mut W) -> Result<(), ArrowError> {
        writer.write_all(b"[").map_err(ArrowError::from)
    }

    fn start_row<W: Write>(&self, writer: &mut W, is_first_row: bool) -> Result<(), ArrowError> {
        writer.write_all(if is_first_row { b"\n" } else { b",\n" }).map_err(ArrowError::from)
    }

    fn end_stream<W: Write>(&self, writer: &mut W) -> Result<(), ArrowError> {
        writer.write_all(b"\n]\n").map_err(ArrowError::from)
    }
}

fn write_error(error: ArrowError) -> QueryError {
    match error {
        ArrowError::IoError(_, source) => QueryError::Write(source),
        other => QueryError::Failed(other.to_string()),
    }
}

struct TextTable {
    table: Table,
    bytes: usize,
    memory: usize,
}

impl TextTable {
    fn new(header: &RecordBatch, memory: usize) -> Self {
        let schema = header.schema();
        let mut table = Table::new();
        table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
        table.set_header(schema.fields().iter().map(|field| printable(field.name())).collect::<Vec<_>>());
        let last = schema.fields().len().saturating_sub(1);
        for (index, field) in schema.fields().iter().enumerate() {
            if let Some(column) = table.column_mut(index) {
                column.set_padding((0, if index == last { 0 } else { 2 }));
                if field.data_type().is_numeric() {
                    column.set_cell_alignment(CellAlignment::Right);
                }
            }
        }
        Self { table, bytes: 0, memory }
    }

    fn add(&mut self, batch: &RecordBatch) -> Result<(), QueryError> {
        let columns = batch.columns().iter().map(texts).collect::<Result<Vec<_>, _>>();
        let mut columns = columns.map_err(|error| QueryError::Failed(error.to_string()))?;
        for row in 0..batch.num_rows() {
            let cells: Vec<String> =
                columns.iter_mut().map(|column| std::mem::take(&mut column[row])).collect();
            // A cell's text, and what the table keeps around it.
            self.bytes += cells.iter().map(|cell| cell.len() + 128).sum::<usize>();
            if self.bytes > self.memory {
                let reason = "a table is aligned in memory; use --output csv or json".to_owned();
                return Err(QueryError::Memory { limit: self.memory, reason });
            }
            self.table.add_row(cells);
        }
        Ok(())
    }

    fn finish(self, out: &mut impl Write) -> Result<(), QueryError> {
        for line in self.table.lines() {
            writeln!(out, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

fn texts(column: &ArrayRef) -> Result<Vec<String>, ArrowError> {
    if column.data_type().is_floating() {
        let column = cast(column, &DataType::Float64)?;
        let values = column.as_primitive::<Float64Type>();
        return Ok(values.iter().map(|value| value.map_or_else(String::new, rounded)).collect());
    }
    let options = FormatOptions::default();
    let formatter = ArrayFormatter::try_new(column, &options)?;
    (0..column.len()).map(|row| Ok(printable(&formatter.value(row).try_to_string()?))).collect()
}

/// Six decimals without trailing zeros; numbers that would lose all of their digits keep four in scientific notation.
fn rounded(value: f64) -> String {
    if value != 0.0 && value.abs() < 1e-4 || value.abs() >= 1e15 && value.is_finite() {
        return format!("{value:.3e}");
    }
    let text = format!("{value:.6}");
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

/// No control characters but line breaks (a plan has them): a symbol must not be able to drive the terminal.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_are_rounded_for_people() {
        let cases = [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.0, "1"),
            (100.0, "100"),
            (-0.125, "-0.125"),
            (64123.456789123, "64123.456789"),
            (0.000123456, "0.000123"),
            (0.00001234567, "1.235e-5"),
            (1e15, "1.000e15"),
            (f64::INFINITY, "inf"),
        ];
        for (value, text) in cases {
            assert_eq!(rounded(value), text, "{value:?}");
        }
    }

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        assert_eq!(printable("a\u{1b}[31m\nb\u{9b}"), "a\u{fffd}[31m\nb\u{fffd}");
    }
}
