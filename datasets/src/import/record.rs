//! Rows of text: fields and the line they stand in, read from a stream with bounded memory.

use std::io::Read;

use csv_core::{ReadRecordResult, Terminator};

use super::ImportError;
use crate::error::FileRow;

/// Longer rows are no candles.
pub(crate) const MAX_ROW: usize = 64 * 1024;

const MAX_FIELDS: usize = 1024;

/// The fields of one row.
#[derive(Debug, Clone, Default)]
pub(crate) struct Record {
    /// Where it stands, from 1.
    pub(crate) line: u64,
    text: String,
    ends: Vec<usize>,
}

impl Record {
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Field `i` without spaces around it, and without quotes that follow a space.
    pub(crate) fn field(&self, i: usize) -> &str {
        let start = if i == 0 { 0 } else { self.ends[i - 1] };
        let text = self.text[start..self.ends[i]].trim();
        text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text)
    }

    pub(crate) fn fields(&self) -> impl Iterator<Item = &str> {
        (0..self.len()).map(|i| self.field(i))
    }

    pub(crate) fn clear(&mut self) {
        self.text.clear();
        self.ends.clear();
    }

    pub(crate) fn push(&mut self, field: &str) {
        self.text.push_str(field);
        self.ends.push(self.text.len());
    }

    /// Whether there is room for one more field of this length.
    pub(crate) fn has_room(&self, len: usize) -> bool {
        self.text.len() + len <= MAX_ROW && self.ends.len() < MAX_FIELDS
    }
}

/// A stream of records.
pub(crate) trait Records: Send {
    /// Reads the next record; false at the end.
    fn next(&mut self, record: &mut Record) -> Result<bool, ImportError>;
}

pub(crate) fn too_long(file: &str, line: u64) -> ImportError {
    ImportError::Row {
        file: file.to_owned(),
        place: FileRow::Line(line as usize),
        message: format!(
            "has more than {} KiB or {MAX_FIELDS} fields, which no candle has: close its quotes, or give a text with line ends",
            MAX_ROW / 1024
        ),
    }
}

/// Records of a CSV file. Lines count as an editor counts them; blank lines and lines that begin with `#` are passed
/// over. A quoted field cannot hold a line break, which no file of candles needs.
pub(crate) struct CsvRecords<R> {
    file: String,
    input: R,
    buffer: Vec<u8>,
    position: usize,
    filled: usize,
    core: csv_core::Reader,
    line: u64,
    output: Vec<u8>,
    ends: Vec<usize>,
    ended: bool,
}

impl<R: Read> CsvRecords<R> {
    pub(crate) fn new(file: &str, input: R, delimiter: u8) -> Self {
        let core = csv_core::ReaderBuilder::new()
            .delimiter(delimiter)
            .terminator(Terminator::Any(b'\n'))
            .comment(Some(b'#'))
            .build();
        Self {
            file: file.to_owned(),
            input,
            buffer: vec![0; 128 * 1024],
            position: 0,
            filled: 0,
            core,
            line: 1,
            output: vec![0; MAX_ROW],
            ends: vec![0; MAX_FIELDS],
            ended: false,
        }
    }

    fn fill(&mut self) -> Result<(), ImportError> {
        self.position = 0;
        self.filled = loop {
            match self.input.read(&mut self.buffer) {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                read => break read.map_err(|e| ImportError::io(&self.file, &e))?,
            }
        };
        self.ended |= self.filled == 0;
        Ok(())
    }
}

impl<R: Read + Send> Records for CsvRecords<R> {
    fn next(&mut self, record: &mut Record) -> Result<bool, ImportError> {
        let (mut written, mut fields) = (0, 0);
        // Lines that end before the record begins are blank or comments.
        let mut line = self.line;
        loop {
            if self.position == self.filled && !self.ended {
                self.fill()?;
            }
            let input = &self.buffer[self.position..self.filled];
            let (result, read, wrote, ended) =
                self.core.read_record(input, &mut self.output[written..], &mut self.ends[fields..]);
            let consumed = &input[..read];
            let breaks = consumed.iter().filter(|b| **b == b'\n').count() as u64;
            self.position += read;
            self.line += breaks;
            written += wrote;
            fields += ended;
            match result {
                ReadRecordResult::InputEmpty if written == 0 && fields == 0 => line = self.line,
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull | ReadRecordResult::OutputEndsFull => {
                    return Err(too_long(&self.file, line));
                }
                ReadRecordResult::End => return Ok(false),
                ReadRecordResult::Record => {
                    let terminated = consumed.last() == Some(&b'\n');
                    let last = self.line - u64::from(terminated);
                    record.clear();
                    record.line = last;
                    let text = &self.output[..written];
                    let first_field = &text[..self.ends[0]];
                    // csv-core passes over empty lines, but not over `\r` alone.
                    if fields == 1 && first_field.trim_ascii().is_empty() {
                        (written, fields) = (0, 0);
                        line = self.line;
                        continue;
                    }
                    if text.contains(&b'\n') {
                        let at = text.iter().filter(|b| **b == b'\n').count() as u64;
                        return Err(ImportError::Row {
                            file: self.file.clone(),
                            place: FileRow::Line((last - at.min(last - 1)) as usize),
                            message: "has a quote without an end: close it on the same line".to_owned(),
                        });
                    }
                    let text = std::str::from_utf8(text).map_err(|_| ImportError::Row {
                        file: self.file.clone(),
                        place: FileRow::Line(last as usize),
                        message: "is not UTF-8 text: save the file as UTF-8".to_owned(),
                    })?;
                    record.text.push_str(text);
                    record.ends.extend_from_slice(&self.ends[..fields]);
                    if record.ends.iter().any(|end| !text.is_char_boundary(*end)) {
                        return Err(too_long(&self.file, last));
                    }
                    return Ok(true);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<(u64, Vec<String>)>, ImportError> {
        let mut records = CsvRecords::new("x.csv", text.as_bytes(), b',');
        let mut record = Record::default();
        let mut found = Vec::new();
        while records.next(&mut record)? {
            found.push((record.line, record.fields().map(str::to_owned).collect()));
        }
        Ok(found)
    }

    #[test]
    fn records_know_their_line() {
        let found = read("# note\r\na,b\r\n\r\n\"c,\"\"d\" , \"ef\"\r\n  \n\n#x\ng,h").unwrap();
        let shown: Vec<_> =
            found.iter().map(|(line, fields)| format!("{line}:{}", fields.join("|"))).collect();
        assert_eq!(shown, ["2:a|b", "4:c,\"d|ef", "8:g|h"]);
    }

    #[test]
    fn rows_without_an_end_are_refused() {
        let open = read("a,b\n1,\"2\n3,4\n5,6\n").unwrap_err().to_string();
        assert!(open.contains("line 2 has a quote without an end"), "{open}");
        let long = read(&format!("a,b\n1,{}\n", "x".repeat(70_000))).unwrap_err().to_string();
        assert!(long.contains("line 2 has more than 64 KiB"), "{long}");
        let wide = read(&format!("a,b\n{}\n", ",".repeat(2000))).unwrap_err().to_string();
        assert!(wide.contains("line 2 has more than 64 KiB or 1024 fields"), "{wide}");
    }
}
