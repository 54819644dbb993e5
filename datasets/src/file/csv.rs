//! Candles from CSV.
//!
//! The file is read line by line, so that messages count lines as an editor does; a quoted field cannot hold a line
//! break, which no file of candles needs.

use std::borrow::Cow;

use blockgrid_engine::candles::RawCandles;

use super::time::parse_ms;
use crate::codec::{COLUMNS, find_columns, list};

pub(crate) const NEWEST_FIRST: &str = "the newest candle comes first: sort the candles by time, oldest first";

/// What is not understood in a CSV file. Lines count from 1, the header is one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CsvError {
    /// The file is not UTF-8.
    #[error("`{file}` line {line} is not UTF-8 text: save the file as UTF-8")]
    NotUtf8 {
        /// The file.
        file: String,
        /// The line.
        line: usize,
    },
    /// There is no header or no candle.
    #[error("`{file}` has no candles: give a header line and at least one candle")]
    Empty {
        /// The file.
        file: String,
    },
    /// The header lacks a column.
    #[error("`{file}` line {line}: the header has no column `{column}`, only {found}{hint}")]
    MissingColumn {
        /// The file.
        file: String,
        /// The line.
        line: usize,
        /// The missing column.
        column: &'static str,
        /// The columns there are.
        found: String,
        /// A guess at the reason.
        hint: &'static str,
    },
    /// The header names a column twice.
    #[error("`{file}` line {line}: the header names column `{column}` twice: keep one")]
    RepeatedColumn {
        /// The file.
        file: String,
        /// The line.
        line: usize,
        /// The column.
        column: String,
    },
    /// A line has more or fewer fields than the header.
    #[error("`{file}` line {line} has {found} fields but the header has {expected}")]
    Fields {
        /// The file.
        file: String,
        /// The line.
        line: usize,
        /// Fields of the line.
        found: usize,
        /// Fields of the header.
        expected: usize,
    },
    /// A quote is not closed on its line.
    #[error("`{file}` line {line} has a quote without an end: close it on the same line")]
    Quote {
        /// The file.
        file: String,
        /// The line.
        line: usize,
    },
    /// A field is not what its column holds.
    #[error("`{file}` line {line}, column `{column}`: `{value}` {message}")]
    Value {
        /// The file.
        file: String,
        /// The line.
        line: usize,
        /// The column as the header names it.
        column: String,
        /// The field.
        value: String,
        /// What is wrong with it, and the remedy.
        message: String,
    },
    /// The candles run backwards.
    #[error("`{file}`: {NEWEST_FIRST}")]
    NewestFirst {
        /// The file.
        file: String,
    },
}

/// The columns of the candles and the line of each.
pub(crate) fn parse(file: &str, bytes: &[u8]) -> Result<(RawCandles, Vec<usize>), CsvError> {
    let named = || file.to_owned();
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let text = std::str::from_utf8(bytes).map_err(|e| CsvError::NotUtf8 {
        file: named(),
        line: bytes[..e.valid_up_to()].iter().filter(|b| **b == b'\n').count() + 1,
    })?;
    let mut lines =
        text.lines().enumerate().map(|(i, line)| (i + 1, line)).filter(|(_, l)| !l.trim().is_empty());
    let Some((line, header)) = lines.next() else { return Err(CsvError::Empty { file: named() }) };
    let mut names = Vec::new();
    fields(header, &mut names).ok_or_else(|| CsvError::Quote { file: named(), line })?;
    let columns = columns(file, line, header, &names)?;

    let rows = text.len() / 64;
    let mut raw = RawCandles { timestamp: Vec::with_capacity(rows), ..RawCandles::default() };
    let mut at_line = Vec::with_capacity(rows);
    let mut found = Vec::with_capacity(names.len());
    for (line, content) in lines {
        found.clear();
        fields(content, &mut found).ok_or_else(|| CsvError::Quote { file: named(), line })?;
        if found.len() != names.len() {
            let (found, expected) = (found.len(), names.len());
            return Err(CsvError::Fields { file: named(), line, found, expected });
        }
        let value_error = |i: usize, message: String| CsvError::Value {
            file: named(),
            line,
            column: names[columns[i]].trim().to_owned(),
            value: found[columns[i]].chars().take(60).collect(),
            message,
        };
        let at = parse_ms(found[columns[0]].trim()).map_err(|message| value_error(0, message))?;
        raw.timestamp.push(at);
        let targets = [&mut raw.open, &mut raw.high, &mut raw.low, &mut raw.close, &mut raw.volume];
        for (i, target) in (1..).zip(targets) {
            let value = found[columns[i]].trim();
            target.push(value.parse().map_err(|_| {
                let message = if value.is_empty() {
                    "is empty, but every candle needs a value: drop the line or fill it in"
                } else {
                    "is not a number: write it as in 1234.5, without separators of thousands"
                };
                value_error(i, message.to_owned())
            })?);
        }
        at_line.push(line);
    }
    match raw.timestamp.as_slice() {
        [] => Err(CsvError::Empty { file: named() }),
        all if all.len() > 1 && all.windows(2).all(|pair| pair[1] < pair[0]) => {
            Err(CsvError::NewestFirst { file: named() })
        }
        _ => Ok((raw, at_line)),
    }
}

fn columns(file: &str, line: usize, header: &str, names: &[Cow<'_, str>]) -> Result<[usize; 6], CsvError> {
    let file = file.to_owned();
    let columns = find_columns(names).map_err(|column| {
        let hint = if header.contains(';') && !header.contains(',') {
            ": separate the columns by `,`, not `;`"
        } else if header.contains('\t') && !header.contains(',') {
            ": separate the columns by `,`, not tabs"
        } else if header.starts_with(|c: char| c.is_ascii_digit() || c == '-') {
            ": put a header line `timestamp,open,high,low,close,volume` first"
        } else {
            ": rename the column that holds it"
        };
        CsvError::MissingColumn { file: file.clone(), line, column, found: list(names), hint }
    })?;
    for &column in &columns {
        let name = names[column].trim();
        if names.iter().filter(|other| other.trim().eq_ignore_ascii_case(name)).count() > 1 {
            return Err(CsvError::RepeatedColumn { file, line, column: name.to_owned() });
        }
    }
    debug_assert_eq!(columns.len(), COLUMNS.len());
    Ok(columns)
}

/// Splits a line; `None` when a quote is not closed.
fn fields<'a>(line: &'a str, out: &mut Vec<Cow<'a, str>>) -> Option<()> {
    if !line.contains('"') {
        out.extend(line.split(',').map(Cow::Borrowed));
        return Some(());
    }
    let mut rest = line;
    loop {
        let Some(quoted) = rest.trim_start().strip_prefix('"') else {
            let (field, more) =
                rest.split_once(',').map_or((rest, None), |(field, more)| (field, Some(more)));
            out.push(Cow::Borrowed(field));
            match more {
                Some(more) => rest = more,
                None => return Some(()),
            }
            continue;
        };
        let mut value = String::new();
        let mut tail = quoted;
        loop {
            let (part, after) = tail.split_once('"')?;
            value += part;
            tail = after;
            match tail.strip_prefix('"') {
                Some(after) => {
                    value.push('"');
                    tail = after;
                }
                None => break,
            }
        }
        out.push(Cow::Owned(value));
        match tail.trim_start().strip_prefix(',') {
            Some(more) => rest = more,
            None => return tail.trim().is_empty().then_some(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(line: &str) -> Option<Vec<String>> {
        let mut out = Vec::new();
        fields(line, &mut out)?;
        Some(out.into_iter().map(Cow::into_owned).collect())
    }

    #[test]
    fn lines_are_split_with_quotes() {
        assert_eq!(split("a,b,").unwrap(), ["a", "b", ""]);
        assert_eq!(split("\"a,\"\"b\"\"\" , c,\"d\"").unwrap(), ["a,\"b\"", " c", "d"]);
        assert_eq!(split("\"a,b"), None);
        assert_eq!(split("\"a\"b,c"), None);
    }
}
