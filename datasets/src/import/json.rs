//! Rows of JSON: a list of lists, as freqtrade writes, or a list of objects. Read from a stream with bounded memory.

use std::io::Read;

use super::ImportError;
use super::record::{Record, Records, too_long};
use crate::error::FileRow;

/// Records of a JSON file; their line is the number of the list or object. The keys of the first object come first, as a header.
pub(crate) struct JsonRecords<R> {
    file: String,
    input: R,
    buffer: Vec<u8>,
    position: usize,
    filled: usize,
    line: u64,
    row: u64,
    state: State,
    keys: Option<Record>,
    /// The values of the first object, which wait until its keys were handed out.
    waiting: Option<Record>,
    text: String,
}

#[derive(PartialEq)]
enum State {
    Start,
    Rows,
    End,
}

impl<R: Read> JsonRecords<R> {
    pub(crate) fn new(file: &str, input: R) -> Self {
        Self {
            file: file.to_owned(),
            input,
            buffer: vec![0; 128 * 1024],
            position: 0,
            filled: 0,
            line: 1,
            row: 0,
            state: State::Start,
            keys: None,
            waiting: None,
            text: String::new(),
        }
    }

    fn peek(&mut self) -> Result<Option<u8>, ImportError> {
        if self.position == self.filled {
            self.position = 0;
            self.filled = loop {
                match self.input.read(&mut self.buffer) {
                    Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                    read => break read.map_err(|e| ImportError::io(&self.file, &e))?,
                }
            };
            if self.filled == 0 {
                return Ok(None);
            }
        }
        Ok(Some(self.buffer[self.position]))
    }

    fn bump(&mut self) {
        self.line += u64::from(self.buffer[self.position] == b'\n');
        self.position += 1;
    }

    /// The next byte that is no space, consumed.
    fn token(&mut self) -> Result<u8, ImportError> {
        while let Some(byte) = self.peek()? {
            self.bump();
            if !byte.is_ascii_whitespace() {
                return Ok(byte);
            }
        }
        Err(self.wrong("ends in the middle: get the whole file"))
    }

    fn wrong(&self, message: &str) -> ImportError {
        let place = FileRow::Line(self.line as usize);
        ImportError::Row { file: self.file.clone(), place, message: message.to_owned() }
    }

    /// A number, a string or a word into `self.text`; `first` is its first byte.
    fn scalar(&mut self, first: u8) -> Result<(), ImportError> {
        let mut bytes = Vec::new();
        if first == b'"' {
            loop {
                let byte =
                    self.peek()?.ok_or_else(|| self.wrong("ends in the middle: get the whole file"))?;
                self.bump();
                match byte {
                    b'"' => break,
                    b'\\' => return Err(self.wrong("has an escape in a text, which no candle needs")),
                    byte => bytes.push(byte),
                }
                if bytes.len() > 1024 {
                    return Err(too_long(&self.file, self.line));
                }
            }
        } else if first.is_ascii_alphanumeric() || first == b'-' {
            bytes.push(first);
            while let Some(byte) = self.peek()? {
                if !(byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'+' | b'.')) {
                    break;
                }
                self.bump();
                bytes.push(byte);
                if bytes.len() > 1024 {
                    return Err(too_long(&self.file, self.line));
                }
            }
        } else {
            let message = "is not a list of numbers: give a list of lists [[time, open, high, low, close, volume], ...] or of objects";
            return Err(self.wrong(message));
        }
        self.text =
            String::from_utf8(bytes).map_err(|_| self.wrong("is not UTF-8 text: save the file as UTF-8"))?;
        Ok(())
    }

    fn push(&mut self, record: &mut Record) -> Result<(), ImportError> {
        if !record.has_room(self.text.len()) {
            return Err(too_long(&self.file, self.line));
        }
        record.push(&self.text);
        Ok(())
    }

    /// The fields of a list whose `[` was read.
    fn list(&mut self, record: &mut Record) -> Result<(), ImportError> {
        let mut byte = self.token()?;
        while byte != b']' {
            self.scalar(byte)?;
            self.push(record)?;
            byte = self.token()?;
            if byte == b',' {
                byte = self.token()?;
            } else if byte != b']' {
                return Err(self.wrong("lacks a comma or the end of a list"));
            }
        }
        Ok(())
    }

    /// Keys and values of an object whose `{` was read.
    fn object(&mut self, keys: &mut Record, values: &mut Record) -> Result<(), ImportError> {
        let mut byte = self.token()?;
        while byte != b'}' {
            if byte != b'"' {
                return Err(self.wrong("lacks a name in quotes"));
            }
            self.scalar(byte)?;
            self.push(keys)?;
            if self.token()? != b':' {
                return Err(self.wrong("lacks a colon after a name"));
            }
            let first = self.token()?;
            self.scalar(first)?;
            self.push(values)?;
            byte = self.token()?;
            if byte == b',' {
                byte = self.token()?;
            } else if byte != b'}' {
                return Err(self.wrong("lacks a comma or the end of an object"));
            }
        }
        Ok(())
    }
}

impl<R: Read + Send> Records for JsonRecords<R> {
    fn next(&mut self, record: &mut Record) -> Result<bool, ImportError> {
        if let Some(waiting) = self.waiting.take() {
            *record = waiting;
            return Ok(true);
        }
        if self.state == State::End {
            return Ok(false);
        }
        let mut byte = self.token()?;
        if self.state == State::Start {
            if byte != b'[' {
                return Err(self.wrong(
                    "does not begin with a list: give a list of lists [[time, open, high, low, close, volume], ...]",
                ));
            }
            self.state = State::Rows;
            byte = self.token()?;
        } else if byte == b',' {
            byte = self.token()?;
        }
        record.clear();
        match byte {
            b']' => {
                self.state = State::End;
                Ok(false)
            }
            b'[' => {
                self.row += 1;
                record.line = self.row;
                self.list(record)?;
                Ok(true)
            }
            b'{' => {
                let mut keys = Record::default();
                self.row += 1;
                record.line = self.row;
                self.object(&mut keys, record)?;
                match &self.keys {
                    None => {
                        self.waiting = Some(std::mem::replace(record, keys.clone()));
                        self.keys = Some(keys);
                    }
                    Some(first) if !first.fields().eq(keys.fields()) => {
                        return Err(
                            self.wrong("has other names, or another order of names, than the first object")
                        );
                    }
                    Some(_) => {}
                }
                Ok(true)
            }
            _ => Err(self.wrong(
                "is no list of candles: give a list of lists [[time, open, high, low, close, volume], ...]",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<String>, ImportError> {
        let mut records = JsonRecords::new("x.json", text.as_bytes());
        let mut record = Record::default();
        let mut found = Vec::new();
        while records.next(&mut record)? {
            found.push(format!("{}:{}", record.line, record.fields().collect::<Vec<_>>().join("|")));
        }
        Ok(found)
    }

    #[test]
    fn lists_and_objects_are_rows() {
        assert_eq!(read("[[1,2.5,\"3\"],\n [4, null,-6e-7]]\n").unwrap(), ["1:1|2.5|3", "2:4|null|-6e-7"]);
        assert_eq!(read("[{\"t\":1,\"o\":2},\n{\"t\":3,\"o\":4}]").unwrap(), ["0:t|o", "1:1|2", "2:3|4"]);
        assert_eq!(read("[]").unwrap(), Vec::<String>::new());
    }

    #[test]
    fn other_json_is_refused_by_line() {
        for (text, expected) in [
            ("{\"a\": 1}", "line 1 does not begin with a list"),
            ("[[1,2],\n[3", "line 2 ends in the middle"),
            ("[[1,[2]]]", "line 1 is not a list of numbers"),
            ("[1,2]", "line 1 is no list of candles"),
            ("[{\"a\":1},{\"b\":1}]", "has other names"),
            ("[[\"a\\n\"]]", "has an escape"),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(expected), "`{expected}` is not in: {error}");
        }
    }
}
