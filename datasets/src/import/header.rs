//! What columns are, by their names.

use super::ImportError;
use super::options::Role;
use crate::error::FileRow;

const TIME: &[&str] = &[
    "timestamp",
    "unix",
    "unix_timestamp",
    "unix_time",
    "unixtime",
    "epoch",
    "timestamp_ms",
    "open_time",
    "opentime",
    "open_timestamp",
    "time_open",
    "time_period_start",
    "period_start",
    "start_time",
    "start",
    "starttime",
    "bucket",
    "datetime",
    "date_time",
    "date",
    "time",
    "dt",
    "gmt_time",
    "utc_time",
    "time_utc",
    "local_time",
    "day",
    "ts",
    "t",
    "d",
];
const OPEN: &[&str] = &["open", "open_price", "price_open", "opening_price", "openprice", "o"];
const HIGH: &[&str] = &["high", "high_price", "price_high", "highest", "highprice", "max", "h"];
const LOW: &[&str] = &["low", "low_price", "price_low", "lowest", "lowprice", "min", "l"];
const CLOSE: &[&str] =
    &["close", "close_price", "price_close", "closing_price", "closeprice", "last", "price", "c"];
const VOLUME: &[&str] = &[
    "volume",
    "base_volume",
    "volume_base",
    "base_asset_volume",
    "volumefrom",
    "volume_from",
    "volume_traded",
    "vol",
    "tickvol",
    "tick_volume",
    "v",
];
const SYMBOL: &[&str] = &["symbol", "ticker", "pair", "instrument", "market", "asset"];

/// Never kept: the end of the candle, and numbers of rows.
const ASIDE: &[&str] = &[
    "close_time",
    "closetime",
    "time_close",
    "time_period_end",
    "period_end",
    "end_time",
    "ignore",
    "ignored",
    "unused",
    "index",
    "level_0",
    "index_level_0",
    "row",
    "id",
];

/// After `volume_`: what counts the quote currency.
const QUOTES: &[&str] = &[
    "usd", "usdt", "usdc", "busd", "tusd", "dai", "eur", "gbp", "jpy", "krw", "try", "currency", "quote",
    "to",
];

/// A name as an expression can bear it: `Funding Rate` becomes `funding_rate`.
pub(crate) fn identifier(name: &str) -> String {
    let mut out = String::new();
    for c in name.trim().chars() {
        if c.is_ascii_alphanumeric() {
            out.push(c.to_ascii_lowercase());
        } else if !out.is_empty() && !out.ends_with('_') {
            out.push('_');
        }
    }
    let out = out.trim_end_matches('_');
    if out.starts_with(|c: char| c.is_ascii_digit()) { format!("c_{out}") } else { out.to_owned() }
}

/// How many of the candle's columns a row of names has.
pub(crate) fn known(names: &[String]) -> usize {
    let has = |list: &[&str]| names.iter().any(|name| list.contains(&name.as_str()));
    [TIME, OPEN, HIGH, LOW, CLOSE, VOLUME].iter().filter(|list| has(list)).count()
}

/// Whether the columns are those of a vendor whose other columns are well known.
pub(crate) fn vendor(names: &[String]) -> Option<&'static str> {
    let has = |wanted: &[&str]| wanted.iter().all(|name| names.iter().any(|n| n == name));
    if has(&["open_time", "close_time"]) {
        Some("Binance klines")
    } else if has(&["time", "vwap", "trades"]) || has(&["time", "vwap", "count"]) {
        Some("Kraken")
    } else if has(&["unix", "date", "symbol"])
        || (has(&["date", "symbol"]) && names.iter().any(|n| n.starts_with("volume_")))
    {
        Some("CryptoDataDownload")
    } else if names.iter().map(String::as_str).eq(["time", "low", "high", "open", "close", "volume"]) {
        Some("Coinbase")
    } else {
        None
    }
}

/// What is known of the names of a file.
pub(crate) struct Header<'a> {
    pub(crate) file: &'a str,
    pub(crate) place: FileRow,
    /// As they are written.
    pub(crate) names: &'a [String],
    /// The symbol, if something has told it.
    pub(crate) symbol: Option<&'a str>,
}

impl Header<'_> {
    /// The columns that may be times, the best first.
    pub(crate) fn times(&self) -> Vec<usize> {
        let clean = self.clean();
        let mut found: Vec<(usize, usize)> = clean
            .iter()
            .enumerate()
            .filter_map(|(i, name)| Some((TIME.iter().position(|known| known == name)?, i)))
            .collect();
        found.sort_unstable();
        found.into_iter().map(|(_, i)| i).collect()
    }

    fn clean(&self) -> Vec<String> {
        self.names.iter().map(|name| identifier(name)).collect()
    }

    /// Every column's role but that of times, which their values tell; other columns are [`Role::Other`].
    pub(crate) fn roles(&self) -> Result<Vec<Role>, ImportError> {
        let clean = self.clean();
        let mut roles: Vec<Role> = clean
            .iter()
            .map(|name| {
                let aside = name.is_empty() || name.starts_with("unnamed") || ASIDE.contains(&name.as_str());
                if aside { Role::Skip } else { Role::Other(name.clone()) }
            })
            .collect();
        for (role, list) in [
            (Role::Open, OPEN),
            (Role::High, HIGH),
            (Role::Low, LOW),
            (Role::Close, CLOSE),
            (Role::Symbol, SYMBOL),
        ] {
            match self.find(&clean, list)? {
                Some(i) => roles[i] = role,
                None if role == Role::Symbol => {}
                None => return Err(self.missing(role_name(&role))),
            }
        }
        let volume = match self.find(&clean, VOLUME)? {
            Some(i) => i,
            None => self.volume_of(&clean)?,
        };
        roles[volume] = Role::Volume;
        for i in self.times() {
            if matches!(roles[i], Role::Other(_)) {
                roles[i] = Role::Skip;
            }
        }
        self.rename(&mut roles);
        Ok(roles)
    }

    fn find(&self, clean: &[String], list: &[&str]) -> Result<Option<usize>, ImportError> {
        for known in list {
            let mut places = (0..clean.len()).filter(|i| clean[*i] == *known);
            if let Some(first) = places.next() {
                if places.next().is_some() {
                    let column = self.names[first].clone();
                    return Err(ImportError::RepeatedColumn {
                        file: self.file.to_owned(),
                        place: self.place,
                        column,
                    });
                }
                return Ok(Some(first));
            }
        }
        Ok(None)
    }

    /// `Volume BTC` of `BTC/USD`: the volume that is counted in what is traded.
    fn volume_of(&self, clean: &[String]) -> Result<usize, ImportError> {
        let found: Vec<(usize, &str)> = clean
            .iter()
            .enumerate()
            .filter_map(|(i, name)| {
                Some((i, name.strip_prefix("volume_").or_else(|| name.strip_prefix("vol_"))?))
            })
            .collect();
        if found.is_empty() {
            return Err(self.missing("volume"));
        }
        let symbol = self.symbol.unwrap_or_default().to_ascii_lowercase();
        let base: Vec<usize> =
            found.iter().filter(|(_, of)| symbol.starts_with(of)).map(|(i, _)| *i).collect();
        let not_quote: Vec<usize> =
            found.iter().filter(|(_, of)| !QUOTES.contains(of)).map(|(i, _)| *i).collect();
        match (base.as_slice(), not_quote.as_slice()) {
            ([one], _) | (_, [one]) => Ok(*one),
            _ => {
                let names: Vec<String> = found.iter().map(|(i, _)| format!("`{}`", self.names[*i])).collect();
                Err(ImportError::Ambiguous {
                    file: self.file.to_owned(),
                    message: format!(
                        "which of {} is the base volume cannot be told: say so by position, as in --columns t,o,h,l,c,v",
                        names.join(", ")
                    ),
                })
            }
        }
    }

    pub(crate) fn missing(&self, column: &'static str) -> ImportError {
        ImportError::MissingColumn {
            file: self.file.to_owned(),
            place: self.place,
            column,
            found: crate::codec::list(self.names),
            remedy:
                "rename the column that holds it, or say what each column is, as in --columns t,o,h,l,c,v"
                    .to_owned(),
        }
    }

    /// Names of other columns are those of no candle's and differ.
    fn rename(&self, roles: &mut [Role]) {
        let mut taken: Vec<String> = crate::COLUMNS.iter().map(|name| (*name).to_owned()).collect();
        taken.extend(["hl2", "hlc3", "ohlc4", "symbol"].map(str::to_owned));
        for role in roles {
            if let Role::Other(name) = role {
                let mut count = 1;
                let plain = name.clone();
                while taken.contains(name) {
                    count += 1;
                    *name = format!("{plain}_{count}");
                }
                taken.push(name.clone());
            }
        }
    }
}

fn role_name(role: &Role) -> &'static str {
    match role {
        Role::Open => "open",
        Role::High => "high",
        Role::Low => "low",
        Role::Close => "close",
        _ => "symbol",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roles(names: &str, symbol: Option<&str>) -> Result<String, ImportError> {
        let names: Vec<String> = names.split(',').map(str::to_owned).collect();
        let header = Header { file: "x.csv", place: FileRow::Line(1), names: &names, symbol };
        Ok(header.roles()?.iter().map(Role::name).collect::<Vec<_>>().join(","))
    }

    #[test]
    fn columns_are_known_by_many_names() {
        for (names, symbol, expected) in [
            ("time,open,high,low,close,volume", None, "-,open,high,low,close,volume"),
            ("T,O,H,L,C,V,Funding Rate", None, "-,open,high,low,close,volume,funding_rate"),
            (
                "<DATE>,<TIME>,<OPEN>,<HIGH>,<LOW>,<CLOSE>,<TICKVOL>,<VOL>",
                None,
                "-,-,open,high,low,close,tickvol,volume",
            ),
            (
                "unix,date,symbol,open,high,low,close,Volume BTC,Volume USDT,tradecount",
                None,
                "-,-,symbol,open,high,low,close,volume,volume_usdt,tradecount",
            ),
            (
                "date,open,high,low,close,Volume ETH,Volume BTC",
                Some("ETH-BTC"),
                "-,open,high,low,close,volume,volume_btc",
            ),
            (",time,open,high,low,close,volume,oi,oi", None, "-,-,open,high,low,close,volume,oi,oi_2"),
            (
                "open_time,open,high,low,close,volume,close_time,quote_volume,ignore",
                None,
                "-,open,high,low,close,volume,-,quote_volume,-",
            ),
        ] {
            assert_eq!(roles(names, symbol).unwrap(), expected, "{names}");
        }
        for (names, expected) in [
            ("time,open,high,low,close", "no column `volume`"),
            ("time,open,high,low,close,volume usd", "base volume cannot be told"),
            ("time,open,high,low,close,volume eth,volume btc", "`volume eth`, `volume btc`"),
            ("time,open,open,high,low,close,volume", "`open` twice"),
        ] {
            let error = roles(names, None).unwrap_err().to_string();
            assert!(error.contains(expected), "`{expected}` is not in: {error}");
        }
        assert_eq!(identifier(" 24h Vol. (%) "), "c_24h_vol");
    }
}
