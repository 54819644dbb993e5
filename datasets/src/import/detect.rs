//! What a text of candles is made of, found in its beginning.

use std::collections::BTreeMap;

use blockgrid_engine::interval::Interval;

use super::detected::{Detected, Format};
use super::header::{Header, identifier, known, vendor};
use super::json::JsonRecords;
use super::names::{clean_symbol, of_file};
use super::number::{NumberStyle, StyleGuess, guess, is_missing};
use super::options::{ImportOptions, Role};
use super::record::{CsvRecords, MAX_ROW, Record, Records, too_long};
use super::shape::{Shape, of as shape_of};
use super::time::{DateOrder, TimeFormat, TimeReader, clock};
use super::times::{Content, content};
use super::{ImportError, sniff};
use crate::error::FileRow;

/// Rows that are looked at.
const SAMPLE: usize = 1000;

/// Lines before the header or the first candle.
const MAX_PREAMBLE: usize = 50;

/// What was found, and what is still open.
#[derive(Debug, Clone)]
pub(crate) struct TextFound {
    pub(crate) detected: Detected,
    /// Day and month could not be told apart by the beginning: more of the file may tell.
    pub(crate) day_or_month: bool,
}

/// Looks at the beginning of a text; `whole` when that is all of it.
pub(crate) fn text(
    file: &str,
    file_name: &str,
    prefix: &[u8],
    whole: bool,
    options: &ImportOptions,
) -> Result<TextFound, ImportError> {
    let prefix = prefix.strip_prefix(b"\xef\xbb\xbf").unwrap_or(prefix);
    check_text(file, prefix)?;
    // The last line may be cut off.
    let end = if whole {
        prefix.len()
    } else {
        prefix.iter().rposition(|b| *b == b'\n').map_or(prefix.len(), |i| i + 1)
    };
    if prefix.len() - end > MAX_ROW {
        let line = prefix[..end].iter().filter(|b| **b == b'\n').count() as u64 + 1;
        return Err(too_long(file, line));
    }
    let prefix = &prefix[..end];
    let json = matches!(prefix.trim_ascii_start().first(), Some(b'[' | b'{'));
    let lossy = String::from_utf8_lossy(&prefix[..prefix.len().min(64 * 1024)]);
    let delimiter = match options.delimiter {
        _ if json => 0,
        Some(delimiter) => delimiter,
        None => sniff::delimiter(&lossy).ok_or_else(|| no_columns(file, &lossy))?,
    };
    let records = sample(file, prefix, json, delimiter, whole)?;
    let (header, rows) = split(file, &records, options)?;
    let skipped = records.len() - rows.len();
    Finder { file, file_name, options, header, rows, skipped }.find(json, delimiter)
}

fn check_text(file: &str, prefix: &[u8]) -> Result<(), ImportError> {
    let wrong =
        |message: &str| ImportError::NotCandles { file: file.to_owned(), message: message.to_owned() };
    if prefix.trim_ascii().is_empty() {
        return Err(ImportError::Empty { file: file.to_owned() });
    }
    if prefix.starts_with(b"\xff\xfe") || prefix.starts_with(b"\xfe\xff") {
        return Err(wrong("is UTF-16 text: save it as UTF-8"));
    }
    let control = |b: &u8| *b < b' ' && !matches!(b, b'\t' | b'\n' | b'\r');
    if let Some(at) = prefix.iter().position(control) {
        let line = prefix[..at].iter().filter(|b| **b == b'\n').count() + 1;
        return Err(wrong(&format!(
            "line {line} is binary, not text, and no format that is read (CSV, JSON, Parquet, Arrow IPC, gzip, zip): check the file"
        )));
    }
    Ok(())
}

fn no_columns(file: &str, text: &str) -> ImportError {
    let first: String =
        text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default().chars().take(60).collect();
    ImportError::NotCandles {
        file: file.to_owned(),
        message: format!(
            "line 1 (`{first}`) and those after it have no columns for time, open, high, low, close and volume, whether split by comma, semicolon, tab or `|`: give --delimiter, or another file"
        ),
    }
}

fn sample(
    file: &str,
    prefix: &[u8],
    json: bool,
    delimiter: u8,
    whole: bool,
) -> Result<Vec<Record>, ImportError> {
    let mut records: Box<dyn Records> = if json {
        Box::new(JsonRecords::new(file, std::io::Cursor::new(prefix.to_vec())))
    } else {
        Box::new(CsvRecords::new(file, std::io::Cursor::new(prefix.to_vec()), delimiter))
    };
    let mut found = Vec::new();
    while found.len() < SAMPLE {
        let mut record = Record::default();
        match records.next(&mut record) {
            Ok(true) => found.push(record),
            Ok(false) => break,
            // What goes on after the prefix, or a later row that the reader will name.
            Err(_) if !found.is_empty() && (!whole || found.len() > 2) => break,
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

fn names_of(record: &Record) -> Vec<String> {
    record.fields().map(str::to_owned).collect()
}

fn looks_like_number(text: &str) -> bool {
    text.bytes().next().is_some_and(|b| b.is_ascii_digit() || matches!(b, b'-' | b'+' | b'.'))
        && text.bytes().any(|b| b.is_ascii_digit())
}

/// The header and the rows of candles; what stands before them is passed over.
fn split<'a>(
    file: &str,
    records: &'a [Record],
    options: &ImportOptions,
) -> Result<(Option<&'a Record>, &'a [Record]), ImportError> {
    let is_header = |record: &Record| {
        let names: Vec<String> = record.fields().map(identifier).collect();
        known(&names) >= 3
    };
    let is_candle =
        |record: &Record| record.len() >= 5 && record.fields().filter(|f| looks_like_number(f)).count() >= 5;
    let limit = records.len().min(MAX_PREAMBLE);
    let first = records[..limit].iter().position(|r| is_header(r) || is_candle(r));
    let Some(first) = first else {
        let widest = records.iter().take(limit).max_by_key(|r| r.len());
        let (line, fields) = widest.map_or((1, 0), |r| (r.line, r.len()));
        let wide = widest.filter(|r| r.len() >= 5);
        return match (wide, options.header) {
            // A row of words above nothing that is a number.
            (Some(header), _) => Ok((Some(header), after(records, header))),
            _ => Err(ImportError::NotCandles {
                file: file.to_owned(),
                message: format!(
                    "has neither a header nor a row of numbers in its first lines (line {line} has {fields} fields): give --delimiter, or another file"
                ),
            }),
        };
    };
    let above = first.checked_sub(1).map(|i| &records[i]).filter(|r| r.len() == records[first].len());
    match options.header {
        Some(true) if is_header(&records[first]) => Ok((Some(&records[first]), &records[first + 1..])),
        Some(true) => Ok(match above {
            Some(above) => (Some(above), &records[first..]),
            None => (Some(&records[first]), &records[first + 1..]),
        }),
        Some(false) => {
            let first = records[..limit].iter().position(is_candle).unwrap_or(first);
            Ok((None, &records[first..]))
        }
        None if is_header(&records[first]) => Ok((Some(&records[first]), &records[first + 1..])),
        // Names that are not known stand above the first candle.
        None => Ok((above.filter(|r| !r.fields().any(looks_like_number)), &records[first..])),
    }
}

fn after<'a>(records: &'a [Record], one: &Record) -> &'a [Record] {
    let at = records.iter().position(|record| record.line == one.line).unwrap_or(0);
    &records[at + 1..]
}

struct Finder<'a> {
    file: &'a str,
    file_name: &'a str,
    options: &'a ImportOptions,
    header: Option<&'a Record>,
    rows: &'a [Record],
    skipped: usize,
}

impl Finder<'_> {
    fn find(&self, json: bool, delimiter: u8) -> Result<TextFound, ImportError> {
        let named = of_file(self.file_name);
        let place = match self.header {
            Some(header) if !json => FileRow::Line(header.line as usize),
            _ => FileRow::Whole,
        };
        let names = match (self.header, self.rows.first()) {
            (Some(header), _) => names_of(header),
            (None, Some(row)) => (1..=row.len()).map(|i| format!("column {i}")).collect(),
            (None, None) => return Err(ImportError::Empty { file: self.file.to_owned() }),
        };
        let asked = self.options.symbol.clone().or_else(|| named.symbol.clone());
        let in_column = self.symbol_in_column(&names);
        let symbol = asked.clone().or_else(|| in_column.clone());
        let header = Header {
            file: self.file,
            place,
            names: &names,
            symbol: in_column.as_deref().or(symbol.as_deref()),
        };
        let (mut roles, vendor) = self.roles(&header, json)?;
        if self.options.columns.is_none() && self.header.is_some() && header.times().is_empty() {
            return Err(header.missing("timestamp"));
        }
        if self.rows.is_empty() {
            return Err(ImportError::Empty { file: self.file.to_owned() });
        }
        let (time, day_or_month) = self.time(&header, &mut roles)?;
        let numbers = self.numbers(&roles, delimiter)?;
        self.keep_numbers(&mut roles, numbers, vendor);
        let reader = TimeReader { format: time.clone(), zone: None, by_magnitude: false };
        let times = self.times(&roles, &reader);
        let assumes_utc = self.options.time_zone.is_none()
            && matches!(time, TimeFormat::Civil { .. })
            && roles
                .iter()
                .position(|role| *role == Role::Time)
                .is_some_and(|at| self.column(at).any(is_local));
        let symbol = self.options.symbol.clone().or(in_column).or(named.symbol);
        let detected = Detected {
            file: self.file.to_owned(),
            format: if json { Format::Json } else { Format::Csv },
            vendor,
            delimiter,
            header: self.header.map(|header| header.line),
            skipped: self.skipped,
            columns: names.into_iter().zip(roles).collect(),
            numbers,
            assumes_utc,
            time,
            newest_first: newest_first(&times),
            spacing: spacing(&times),
            named_interval: named.interval,
            symbol,
        };
        Ok(TextFound { detected, day_or_month })
    }

    fn symbol_in_column(&self, names: &[String]) -> Option<String> {
        let known = ["symbol", "ticker", "pair", "instrument"];
        let i = names.iter().position(|name| known.contains(&identifier(name).as_str()))?;
        let row = self.rows.first().filter(|row| row.len() > i)?;
        clean_symbol(row.field(i))
            .filter(|_| !looks_like_number(row.field(i)) || row.field(i).contains(char::is_alphabetic))
    }

    fn roles(
        &self,
        header: &Header<'_>,
        json: bool,
    ) -> Result<(Vec<Role>, Option<&'static str>), ImportError> {
        let width = header.names.len();
        if let Some(columns) = &self.options.columns {
            if columns.0.len() != width {
                return Err(ImportError::BadOption {
                    option: "--columns",
                    message: format!(
                        "names {} columns, but `{}` has {width}: write `-` for each that is not kept",
                        columns.0.len(),
                        self.file
                    ),
                });
            }
            return Ok((columns.0.clone(), None));
        }
        if self.header.is_some() {
            let names: Vec<String> = header.names.iter().map(|name| identifier(name)).collect();
            return Ok((header.roles()?, vendor(&names)));
        }
        let is_clock = |text: &str| text.contains(':') && clock(text.as_bytes()).is_some();
        match shape_of(self.rows, is_clock) {
            Shape::Known(roles, vendor) => Ok((roles, if json && width == 6 { Some("freqtrade") } else { vendor })),
            Shape::Either => Err(ImportError::Ambiguous {
                file: self.file.to_owned(),
                message: "has no header, and its columns may be t,o,h,l,c,v or t,l,h,o,c,v: say which with --columns".to_owned(),
            }),
            Shape::Unknown => Err(ImportError::Ambiguous {
                file: self.file.to_owned(),
                message: format!(
                    "has no header, and its {width} columns are in no order that is known: put a header line `timestamp,open,high,low,close,volume` first, or say what each is, as in --columns t,o,h,l,c,v{}",
                    ",-".repeat(width.saturating_sub(6).min(6))
                ),
            }),
        }
    }

    fn column(&self, i: usize) -> impl Iterator<Item = &str> + Clone {
        self.rows.iter().filter(move |row| row.len() > i).map(move |row| row.field(i))
    }

    /// The format of times; marks the columns that hold them.
    fn time(&self, header: &Header<'_>, roles: &mut [Role]) -> Result<(TimeFormat, bool), ImportError> {
        let given = |role: &Role| roles.iter().position(|r| r == role);
        let marked = (given(&Role::Date), given(&Role::Time));
        if let Some(pattern) = &self.options.time_format {
            if marked == (None, None) {
                let times = header.times();
                let first = times.first().ok_or_else(|| header.missing("timestamp"))?;
                let split =
                    matches!((identifier(&header.names[*first]).as_str(), times.get(1)), ("date", Some(_)));
                roles[*first] = if split { Role::Date } else { Role::Time };
                if split {
                    roles[times[1]] = Role::Time;
                }
            }
            return Ok((TimeFormat::Pattern(pattern.clone()), false));
        }
        let candidates = match marked {
            (Some(date), Some(time)) => vec![date, time],
            (Some(one), None) | (None, Some(one)) => vec![one],
            (None, None) => header.times(),
        };
        let Some(&first) = candidates.first() else { return Err(header.missing("timestamp")) };
        let of_column = |i: usize| match (content(self.column(i)), self.options.time_unit) {
            (Content::Compact, Some(unit)) => {
                Content::Time { format: TimeFormat::Epoch(unit), has_clock: true }
            }
            (found, _) => found,
        };
        let contents: Vec<(usize, Content)> = candidates.iter().map(|&i| (i, of_column(i))).collect();
        let is_day = |content: &Content| {
            matches!(
                content,
                Content::Time { has_clock: false, .. } | Content::DayOrMonth { has_clock: false, .. }
            )
        };
        let day = contents.iter().find(|(_, c)| is_day(c));
        let clock = contents.iter().find(|(_, c)| *c == Content::Clock);
        let whole = contents
            .iter()
            .find(|(_, c)| !is_day(c) && matches!(c, Content::Time { .. } | Content::DayOrMonth { .. }));
        let found = match (whole, day, clock) {
            (Some(whole), ..) => {
                roles[whole.0] = Role::Time;
                whole
            }
            (None, Some(day), Some(clock)) => {
                roles[day.0] = Role::Date;
                roles[clock.0] = Role::Time;
                day
            }
            (None, Some(day), None) => {
                roles[day.0] = Role::Time;
                day
            }
            (None, None, _) => return Err(self.no_time(header, first, &contents[0].1)),
        };
        match &found.1 {
            Content::Time { format, .. } => Ok((self.unit(format.clone())?, false)),
            Content::DayOrMonth { separator, .. } => {
                Ok((TimeFormat::Civil { order: DateOrder::DayFirst, separator: *separator }, true))
            }
            _ => Err(self.no_time(header, first, &found.1)),
        }
    }

    fn unit(&self, found: TimeFormat) -> Result<TimeFormat, ImportError> {
        match (self.options.time_unit, found) {
            (Some(unit), TimeFormat::Epoch(_)) => Ok(TimeFormat::Epoch(unit)),
            (Some(_), found) => Err(ImportError::BadOption {
                option: "--time-unit",
                message: format!(
                    "does not apply to `{}`, whose times are written {found}: leave it out",
                    self.file
                ),
            }),
            (None, found) => Ok(found),
        }
    }

    fn no_time(&self, header: &Header<'_>, i: usize, content: &Content) -> ImportError {
        let row =
            self.rows.iter().find(|row| row.len() > i && !is_missing(row.field(i))).unwrap_or(&self.rows[0]);
        let value: String =
            if row.len() > i { row.field(i).chars().take(60).collect() } else { String::new() };
        let message = match content {
            Content::Compact => {
                "may be a date without dashes or seconds since 1970: give --time-format %Y%m%d or --time-unit s, or write 2024-01-31"
            }
            Content::Clock => {
                "is a time of day, but no column has the day: name it with --columns d,t,o,h,l,c,v"
            }
            _ => {
                "is not a time that is understood: write ISO 8601, as in 2024-01-31T15:00:00Z, or milliseconds since 1970, or give --time-format"
            }
        };
        ImportError::Value {
            file: self.file.to_owned(),
            place: FileRow::Line(row.line as usize),
            column: header.names[i].clone(),
            value,
            message: message.to_owned(),
        }
    }

    fn numbers(&self, roles: &[Role], delimiter: u8) -> Result<NumberStyle, ImportError> {
        let candle = [Role::Open, Role::High, Role::Low, Role::Close, Role::Volume];
        let columns: Vec<usize> = (0..roles.len()).filter(|i| candle.contains(&roles[*i])).collect();
        let samples = columns.iter().flat_map(|i| self.column(*i));
        match guess(samples, self.options.decimal, delimiter == b';') {
            StyleGuess::Style(style) => Ok(style),
            StyleGuess::Ambiguous(sign) => {
                let name = if sign == b',' { "comma" } else { "point" };
                Err(ImportError::Ambiguous {
                    file: self.file.to_owned(),
                    message: format!(
                        "numbers such as `1{}234` may have a decimal {name} or a {name} between thousands: say which with --decimal , or --decimal .",
                        char::from(sign)
                    ),
                })
            }
        }
    }

    /// Keeps the columns beside OHLCV that hold numbers; those of known formats only when asked.
    fn keep_numbers(&self, roles: &mut [Role], numbers: NumberStyle, vendor: Option<&'static str>) {
        if self.options.columns.is_some() {
            return;
        }
        for (i, role) in roles.iter_mut().enumerate() {
            let Role::Other(name) = &*role else { continue };
            let wanted = self.options.wants(name, vendor.is_some());
            let mut some = false;
            let numeric = self.column(i).all(|text| {
                some |= !is_missing(text);
                numbers.parse(text).is_some()
            });
            if !(numeric && some && wanted) {
                *role = Role::Skip;
            }
        }
    }

    fn times(&self, roles: &[Role], reader: &TimeReader) -> Vec<i64> {
        let at = |role: &Role| roles.iter().position(|r| r == role);
        let (date, time) = (at(&Role::Date), at(&Role::Time));
        let rows = self.rows.iter().filter(|row| row.len() == roles.len());
        let read = |row: &Record| {
            let text = match (date, time) {
                (Some(date), Some(time)) => format!("{} {}", row.field(date), row.field(time)),
                (Some(one), None) | (None, Some(one)) => row.field(one).to_owned(),
                (None, None) => return None,
            };
            reader.read(&text).ok()
        };
        rows.filter_map(read).collect()
    }
}

/// Whether a time of day says neither a zone nor an offset.
fn is_local(text: &str) -> bool {
    let text = text.trim();
    let named = ["Z", "z", "UTC", "GMT"].iter().any(|zone| text.ends_with(zone));
    let offset = text.get(10..).is_some_and(|rest| rest.contains(['+', '-']));
    text.contains(':') && !named && !offset
}

/// Whether more candles come before the one above them than after it.
pub(crate) fn newest_first(times: &[i64]) -> bool {
    let down = times.windows(2).filter(|pair| pair[1] < pair[0]).count();
    let up = times.windows(2).filter(|pair| pair[1] > pair[0]).count();
    down > up
}

/// The most frequent distance, the shorter of two that are as frequent, if it is an interval.
pub(crate) fn spacing(times: &[i64]) -> Option<Interval> {
    let mut counts = BTreeMap::<i64, usize>::new();
    for pair in times.windows(2) {
        let distance = pair[1].saturating_sub(pair[0]).saturating_abs();
        if distance > 0 {
            *counts.entry(distance).or_default() += 1;
        }
    }
    let (ms, _) = counts.into_iter().max_by_key(|(ms, count)| (*count, -*ms))?;
    Interval::from_millis(ms)
}
