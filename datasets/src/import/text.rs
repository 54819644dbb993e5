//! Reading a text of candles once it is known how.

use super::ImportError;
use super::batch::{BATCH, Batch, Batches};
use super::detect;
use super::detected::{Detected, Format};
use super::json::JsonRecords;
use super::options::{ImportOptions, Role};
use super::record::{CsvRecords, Record, Records};
use super::source::{Source, Stream, read_full};
use super::time::{TimeFormat, TimeProblem, TimeReader};
use super::times;
use crate::error::FileRow;

/// Bytes that are looked at to find out what a text is.
pub(crate) const PREFIX: usize = 256 * 1024;

/// The rows of a text.
pub(crate) struct TextBatches {
    detected: Detected,
    records: Box<dyn Records>,
    time: TimeReader,
    date_at: Option<usize>,
    time_at: usize,
    /// Open, high, low, close, volume, others.
    values_at: Vec<usize>,
    symbol_at: Option<usize>,
    symbol: Option<String>,
    asked_symbol: bool,
    skip: usize,
    record: Record,
    joined: String,
}

/// What the beginning of a source says; reads on when day and month cannot be told apart by it.
pub(crate) fn find(source: &Source, prefix: &[u8], options: &ImportOptions) -> Result<Detected, ImportError> {
    let whole = prefix.len() < PREFIX;
    let found = detect::text(&source.name, &source.file_name, prefix, whole, options)?;
    let mut detected = found.detected;
    if !found.day_or_month {
        return Ok(detected);
    }
    let TimeFormat::Civil { separator, .. } = detected.time else { return Ok(detected) };
    if !whole {
        let column = detected.position(&Role::Date).or_else(|| detected.position(&Role::Time)).unwrap_or(0);
        let mut records = open_records(source, &detected)?;
        let mut record = Record::default();
        while records.next(&mut record)? {
            let telling =
                (record.len() > column).then(|| times::order(record.field(column), separator)).flatten();
            if let Some(order) = telling {
                detected.time = TimeFormat::Civil { order, separator };
                return Ok(detected);
            }
        }
    }
    Err(ambiguous(&detected, separator))
}

/// No line has a day above 12.
pub(crate) fn ambiguous(detected: &Detected, separator: u8) -> ImportError {
    let s = char::from(separator);
    ImportError::Ambiguous {
        file: detected.file.clone(),
        message: format!(
            "in times such as 01{s}02{s}2024 the day or the month may come first, and no line has a day above 12: say which with --time-format \"%d{s}%m{s}%Y %H:%M\" or \"%m{s}%d{s}%Y %H:%M\""
        ),
    }
}

fn open_records(source: &Source, detected: &Detected) -> Result<Box<dyn Records>, ImportError> {
    let mut stream = source.open()?;
    let mut start = [0; 3];
    let read = read_full(&mut stream, &mut start).map_err(|e| ImportError::io(&source.name, &e))?;
    let start = if start == *b"\xef\xbb\xbf" { Vec::new() } else { start[..read].to_vec() };
    let stream: Stream = Box::new(std::io::Read::chain(std::io::Cursor::new(start), stream));
    Ok(match detected.format {
        Format::Json => Box::new(JsonRecords::new(&source.name, stream)),
        _ => Box::new(CsvRecords::new(&source.name, stream, detected.delimiter)),
    })
}

impl TextBatches {
    pub(crate) fn open(
        source: &Source,
        detected: &Detected,
        options: &ImportOptions,
    ) -> Result<Self, ImportError> {
        let at = |role: Role| detected.position(&role);
        let candle = [Role::Open, Role::High, Role::Low, Role::Close, Role::Volume];
        let mut values_at: Vec<usize> = candle.into_iter().filter_map(at).collect();
        values_at.extend(detected.others().into_iter().map(|(_, i)| i));
        let (date, time) = (at(Role::Date), at(Role::Time));
        Ok(Self {
            detected: detected.clone(),
            records: open_records(source, detected)?,
            time: TimeReader {
                format: detected.time.clone(),
                zone: options.time_zone.clone(),
                by_magnitude: options.time_unit.is_none(),
            },
            date_at: date.filter(|_| time.is_some()),
            time_at: time.or(date).unwrap_or(0),
            values_at,
            symbol_at: at(Role::Symbol),
            symbol: None,
            asked_symbol: options.symbol.is_some(),
            skip: detected.skipped,
            record: Record::default(),
            joined: String::new(),
        })
    }

    fn place(&self) -> FileRow {
        self.detected.place(self.record.line)
    }

    fn value_error(&self, column: usize, value: &str, message: String) -> ImportError {
        ImportError::Value {
            file: self.detected.file.clone(),
            place: self.place(),
            column: self.detected.columns[column].0.clone(),
            value: value.chars().take(60).collect(),
            message,
        }
    }

    fn row(&mut self, batch: &mut Batch) -> Result<(), ImportError> {
        let expected = self.detected.columns.len();
        let found = self.record.len();
        // A delimiter at the end of each line makes an empty field.
        let fits = found == expected || (found == expected + 1 && self.record.field(expected).is_empty());
        if !fits {
            let remedy = if found < expected {
                "mend the line, or get the file again if it was cut off"
            } else {
                "mend the line; put quotes around fields that hold the delimiter"
            };
            let (file, place) = (self.detected.file.clone(), self.place());
            return Err(ImportError::Fields { file, place, found, expected, remedy });
        }
        self.check_symbol()?;
        let record = &self.record;
        let text = match self.date_at {
            Some(date) => {
                self.joined.clear();
                self.joined.push_str(record.field(date));
                self.joined.push(' ');
                self.joined.push_str(record.field(self.time_at));
                self.joined.as_str()
            }
            None => record.field(self.time_at),
        };
        let at = self.time.read(text).map_err(|problem| {
            let message = match problem {
                TimeProblem::Other(message) => message,
                TimeProblem::OtherUnit(unit) => format!(
                    "counts {unit}, but the times above it count in {}: give the file in one unit, or in two files",
                    self.detected.time
                ),
            };
            self.value_error(self.time_at, text, message)
        })?;
        batch.place.push(record.line);
        batch.timestamp.push(at);
        for (k, &column) in self.values_at.iter().enumerate() {
            let text = record.field(column);
            let value = self.detected.numbers.parse(text).ok_or_else(|| {
                let message = if k < 5 {
                    "is not a number: mend it, or give --decimal when the signs are others than those above"
                } else {
                    "is not a number: mend it, or leave the column out with --columns"
                };
                self.value_error(column, text, message.to_owned())
            })?;
            batch.columns[k].push(value);
        }
        Ok(())
    }

    fn check_symbol(&mut self) -> Result<(), ImportError> {
        let Some(at) = self.symbol_at.filter(|_| !self.asked_symbol) else { return Ok(()) };
        let found = self.record.field(at);
        match &self.symbol {
            None => self.symbol = Some(found.to_owned()),
            Some(first) if first != found => {
                let message = format!(
                    "is another symbol than `{first}` above it: split the file by symbol, and import each part with --symbol"
                );
                let found = found.to_owned();
                return Err(self.value_error(at, &found, message));
            }
            Some(_) => {}
        }
        Ok(())
    }
}

impl Batches for TextBatches {
    fn next(&mut self, batch: &mut Batch) -> Result<bool, ImportError> {
        batch.clear();
        while batch.len() < BATCH {
            let mut record = std::mem::take(&mut self.record);
            let more = self.records.next(&mut record);
            self.record = record;
            if !more? {
                break;
            }
            if self.skip > 0 {
                self.skip -= 1;
                continue;
            }
            self.row(batch)?;
        }
        Ok(batch.len() > 0)
    }
}
