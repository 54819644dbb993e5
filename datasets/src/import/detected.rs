//! What was found out about a file.

use std::fmt;

use blockgrid_engine::interval::Interval;

use super::number::NumberStyle;
use super::options::Role;
use super::time::TimeFormat;
use crate::error::FileRow;

/// The format of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Text with a sign between fields.
    Csv,
    /// A list of lists or objects.
    Json,
    /// Arrow IPC as a file, which is what Feather is.
    ArrowFile,
    /// Arrow IPC as a stream.
    ArrowStream,
    /// Parquet.
    Parquet,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Csv => "CSV",
            Self::Json => "JSON",
            Self::ArrowFile => "Arrow IPC file (Feather)",
            Self::ArrowStream => "Arrow IPC stream",
            Self::Parquet => "Parquet",
        })
    }
}

/// What was found out about a file: how to read it, and what it is of. [`Display`](fmt::Display) shows it.
#[derive(Debug, Clone, PartialEq)]
pub struct Detected {
    /// How messages name the file.
    pub file: String,
    /// Its format.
    pub format: Format,
    /// Whose format it is, when that is well known.
    pub vendor: Option<&'static str>,
    /// Between the fields of a CSV.
    pub delimiter: u8,
    /// The line of the header, if there is one.
    pub header: Option<u64>,
    /// Rows of a text before the first candle, which are passed over; the header is one.
    pub skipped: usize,
    /// The name of each column (by position when there is no header) and what it holds.
    pub columns: Vec<(String, Role)>,
    /// Decimal and thousands signs.
    pub numbers: NumberStyle,
    /// The format of times.
    pub time: TimeFormat,
    /// Whether times have no zone and none was given, so that they are read as UTC.
    pub assumes_utc: bool,
    /// Whether the newest candle comes first.
    pub newest_first: bool,
    /// The most frequent distance of candles at the beginning, if it is an interval.
    pub spacing: Option<Interval>,
    /// The interval in the file's name.
    pub named_interval: Option<Interval>,
    /// The symbol, from the file or its name.
    pub symbol: Option<String>,
}

impl Detected {
    /// Whether another file is read in the same way, whatever it is of.
    pub fn reads_like(&self, other: &Self) -> bool {
        let of_file = |detected: &Self| Self {
            file: String::new(),
            symbol: None,
            spacing: None,
            named_interval: None,
            ..detected.clone()
        };
        of_file(self) == of_file(other)
    }

    /// How a message names a place in the file.
    pub(crate) fn place(&self, place: u64) -> FileRow {
        let place = usize::try_from(place).unwrap_or(usize::MAX);
        if self.format == Format::Csv { FileRow::Line(place) } else { FileRow::Row(place) }
    }

    /// Position of a role's column.
    pub(crate) fn position(&self, role: &Role) -> Option<usize> {
        self.columns.iter().position(|(_, found)| found == role)
    }

    /// Names and positions of the columns that ride along.
    pub(crate) fn others(&self) -> Vec<(String, usize)> {
        let other = |(i, (_, role)): (usize, &(String, Role))| match role {
            Role::Other(name) => Some((name.clone(), i)),
            _ => None,
        };
        self.columns.iter().enumerate().filter_map(other).collect()
    }

    fn format_line(&self) -> String {
        let mut parts = vec![self.format.to_string()];
        if let Some(vendor) = self.vendor {
            parts[0] = format!("{vendor}, {}", self.format);
        }
        if self.format == Format::Csv {
            let sign = match self.delimiter {
                b'\t' => "tab".to_owned(),
                other => format!("`{}`", char::from(other)),
            };
            parts.push(format!("{sign} between fields"));
            parts.push(
                self.header.map_or_else(|| "no header".to_owned(), |line| format!("header on line {line}")),
            );
        }
        if self.numbers.decimal == b',' {
            parts.push("decimal comma".to_owned());
        }
        if let Some(sign) = self.numbers.thousands {
            parts.push(format!("`{}` between thousands", char::from(sign)));
        }
        parts.join(", ")
    }
}

impl fmt::Display for Detected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let column = |(name, role): &(String, Role)| match role {
            Role::Skip => None,
            role if role.name() == name => Some(name.clone()),
            role => Some(format!("{}={name}", role.name())),
        };
        let kept: Vec<String> = self.columns.iter().filter_map(column).collect();
        let dropped: Vec<&str> =
            self.columns.iter().filter(|(_, r)| *r == Role::Skip).map(|(name, _)| name.as_str()).collect();
        writeln!(f, "{}", self.file)?;
        writeln!(f, "  format    {}", self.format_line())?;
        write!(f, "  columns   {}", kept.join(", "))?;
        match dropped.as_slice() {
            [] => writeln!(f)?,
            names => writeln!(f, " (not kept: {})", names.join(", "))?,
        }
        let order = if self.newest_first { "newest first" } else { "oldest first" };
        let zone = if self.assumes_utc { " without a zone, read as UTC (else: --time-zone)" } else { "" };
        writeln!(f, "  time      {}{zone}, {order}", self.time)?;
        let interval =
            |found: Option<Interval>| found.map_or_else(|| "unknown".to_owned(), |i| i.to_string());
        let symbol = self.symbol.as_deref().unwrap_or("unknown");
        write!(f, "  candles   {symbol} at {}", interval(self.spacing.or(self.named_interval)))
    }
}
