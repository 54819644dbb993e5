//! What a person may say instead of what would be found.

use std::str::FromStr;

use blockgrid_engine::interval::Interval;
use jiff::tz::TimeZone;

use super::ImportError;
use super::time::TimeUnit;

/// Overrides of what is found in a file; everything is found by default.
#[derive(Debug, Clone, Default)]
pub struct ImportOptions {
    /// The symbol.
    pub symbol: Option<String>,
    /// The interval.
    pub interval: Option<Interval>,
    /// The sign between the fields of a CSV.
    pub delimiter: Option<u8>,
    /// Whether a CSV has a header.
    pub header: Option<bool>,
    /// What each column is, by position.
    pub columns: Option<Columns>,
    /// The format of times (strftime), as in `%d/%m/%Y %H:%M`.
    pub time_format: Option<String>,
    /// What whole numbers count.
    pub time_unit: Option<TimeUnit>,
    /// The zone of times without an offset; UTC by default.
    pub time_zone: Option<TimeZone>,
    /// The decimal sign: `.` or `,`.
    pub decimal: Option<u8>,
    /// Keep every bit of prices that are off their decimals.
    pub exact: bool,
    /// Keep the columns beside OHLCV of known formats too.
    pub all_columns: bool,
    /// Of the columns beside OHLCV, these alone.
    pub keep: Option<Vec<String>>,
    /// What happens to rows that are no candles.
    pub bad_rows: BadRows,
}

impl ImportOptions {
    /// Whether a column beside OHLCV is wanted, in a file of a known format or another.
    pub(crate) fn wants(&self, name: &str, known_format: bool) -> bool {
        match &self.keep {
            Some(names) => names.iter().any(|wanted| wanted.eq_ignore_ascii_case(name)),
            None => !known_format || self.all_columns,
        }
    }
}

/// What happens to rows that are no candles.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum BadRows {
    /// The file is refused.
    #[default]
    Refuse,
    /// They are left out and counted.
    Drop,
}

/// What a column holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Role {
    /// The open of the candle, or its time of day when there is a [`Role::Date`].
    Time,
    /// The day, when the time of day stands in another column.
    Date,
    /// Price of the first trade.
    Open,
    /// Highest price.
    High,
    /// Lowest price.
    Low,
    /// Price of the last trade.
    Close,
    /// Base volume.
    Volume,
    /// The symbol, the same in every row.
    Symbol,
    /// A number that rides along by this name.
    Other(String),
    /// Nothing that is kept.
    Skip,
}

impl Role {
    /// As a message names it.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Time => "timestamp",
            Self::Date => "date",
            Self::Open => "open",
            Self::High => "high",
            Self::Low => "low",
            Self::Close => "close",
            Self::Volume => "volume",
            Self::Symbol => "symbol",
            Self::Other(name) => name,
            Self::Skip => "-",
        }
    }
}

/// The roles of columns by position, written `t,o,h,l,c,v,-,funding_rate`: `t` time, `d` date, `s` symbol, `-` not
/// kept, anything else the name of a number that rides along.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Columns(pub(crate) Vec<Role>);

impl FromStr for Columns {
    type Err = ImportError;

    fn from_str(text: &str) -> Result<Self, ImportError> {
        let bad = |message: String| ImportError::BadOption { option: "--columns", message };
        let mut roles: Vec<Role> = Vec::new();
        for word in text.split(',').map(str::trim) {
            let role = match word.to_ascii_lowercase().as_str() {
                "t" | "time" | "timestamp" => Role::Time,
                "d" | "date" => Role::Date,
                "o" | "open" => Role::Open,
                "h" | "high" => Role::High,
                "l" | "low" => Role::Low,
                "c" | "close" => Role::Close,
                "v" | "volume" => Role::Volume,
                "s" | "symbol" => Role::Symbol,
                "-" => Role::Skip,
                "" => {
                    return Err(bad(format!(
                        "`{text}` has an empty place: write `-` for a column that is not kept"
                    )));
                }
                _ => {
                    let name = super::header::identifier(word);
                    if name != word {
                        return Err(bad(format!(
                            "names a column `{word}`, which no expression could name: write it as `{name}`"
                        )));
                    }
                    Role::Other(name)
                }
            };
            if role != Role::Skip && roles.contains(&role) {
                return Err(bad(format!("names `{}` twice: every column is one thing", role.name())));
            }
            roles.push(role);
        }
        for needed in [Role::Open, Role::High, Role::Low, Role::Close, Role::Volume] {
            if !roles.contains(&needed) {
                return Err(bad(format!("lacks `{}`: name all of t,o,h,l,c,v", needed.name())));
            }
        }
        if !roles.contains(&Role::Time) && !roles.contains(&Role::Date) {
            return Err(bad("lacks `t`, the time: name all of t,o,h,l,c,v".to_owned()));
        }
        Ok(Self(roles))
    }
}

impl FromStr for TimeUnit {
    type Err = ImportError;

    fn from_str(text: &str) -> Result<Self, ImportError> {
        match text {
            "s" => Ok(Self::Seconds),
            "ms" => Ok(Self::Millis),
            "us" => Ok(Self::Micros),
            "ns" => Ok(Self::Nanos),
            _ => Err(ImportError::BadOption {
                option: "--time-unit",
                message: format!("is `{text}`, but must be one of s, ms, us, ns"),
            }),
        }
    }
}
