//! What the name of a file tells: symbol and interval.

use blockgrid_engine::interval::{DAY_MS, Interval};

/// What a file is of, by its name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) symbol: Option<String>,
    pub(crate) interval: Option<Interval>,
}

/// Exchanges and words that are no part of a symbol.
const ASIDE: [&str; 36] = [
    "binance",
    "binanceus",
    "coinbase",
    "coinbasepro",
    "gdax",
    "kraken",
    "bitstamp",
    "bitfinex",
    "gemini",
    "bybit",
    "okx",
    "okex",
    "kucoin",
    "poloniex",
    "huobi",
    "htx",
    "bittrex",
    "bitmex",
    "deribit",
    "ftx",
    "gate",
    "gateio",
    "mexc",
    "cexio",
    "ohlc",
    "ohlcv",
    "ohlcvt",
    "candle",
    "candles",
    "kline",
    "klines",
    "data",
    "history",
    "futures",
    "spot",
    "export",
];

const EXTENSIONS: [&str; 14] = [
    "csv", "txt", "tsv", "dat", "json", "gz", "gzip", "zip", "feather", "arrow", "arrows", "ipc", "parquet",
    "pq",
];

/// Reads names such as `BTCUSDT-1m-2024-01.zip`, `eth_btc_5m_2018-01.csv`, `XBTUSD_60.csv`, `Coinbase_BTCUSD_1h.csv`:
/// an interval, dates, exchanges and words such as `klines` are told apart; what is left is the symbol, in capitals,
/// its parts joined by `-`.
pub(crate) fn of_file(name: &str) -> Named {
    let mut stem = name;
    while let Some((before, extension)) = stem.rsplit_once('.')
        && EXTENSIONS.iter().any(|known| extension.eq_ignore_ascii_case(known))
    {
        stem = before;
    }
    let parts: Vec<&str> =
        stem.split(|c: char| !c.is_ascii_alphanumeric()).filter(|part| !part.is_empty()).collect();
    let mut interval = None;
    let mut symbol: Vec<String> = Vec::new();
    for (i, part) in parts.iter().enumerate() {
        let digits = part.bytes().all(|b| b.is_ascii_digit());
        if interval.is_none()
            && i > 0
            && let Some(found) = interval_of(part, i + 1 == parts.len())
        {
            interval = Some(found);
        } else if digits || ASIDE.iter().any(|word| part.eq_ignore_ascii_case(word)) {
            // Dates, and numbers of parts.
        } else {
            symbol.push(part.to_ascii_uppercase());
        }
    }
    let symbol = symbol.join("-");
    Named { symbol: (!symbol.is_empty()).then_some(symbol), interval }
}

/// `5m`, `1h`, `4hour`, `d`, `daily`, `minute`; at the end of a name also Kraken's bare minutes.
fn interval_of(part: &str, last: bool) -> Option<Interval> {
    let lower = part.to_ascii_lowercase();
    let minutes = |m: i64| Interval::from_millis(m * 60_000);
    match lower.as_str() {
        "minute" | "minutes" => return minutes(1),
        "hour" | "hourly" => return minutes(60),
        "d" | "day" | "daily" => return Some(Interval::DAY),
        "week" | "weekly" => return Interval::from_millis(7 * DAY_MS),
        "1" | "5" | "15" | "30" | "60" | "240" | "720" | "1440" if last => {
            return minutes(lower.parse().ok()?);
        }
        _ => {}
    }
    // `1M` is a month.
    if part.ends_with('M') {
        return None;
    }
    let unit = lower.trim_start_matches(|c: char| c.is_ascii_digit());
    let count = &lower[..lower.len() - unit.len()];
    let short = match unit {
        "s" | "sec" | "second" | "seconds" => "s",
        "m" | "min" | "mins" | "minute" | "minutes" => "m",
        "h" | "hr" | "hour" | "hours" => "h",
        "d" | "day" | "days" => "d",
        "w" | "week" => "w",
        _ => return None,
    };
    if count.is_empty() { None } else { format!("{count}{short}").parse().ok() }
}

/// A symbol as a folder can bear it: `BTC/USDT` becomes `BTC-USDT`.
pub(crate) fn clean_symbol(text: &str) -> Option<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let symbol: String = text.trim().chars().map(|c| if plain(c) { c } else { '-' }).collect();
    let symbol = symbol.trim_matches(['-', '.']).to_owned();
    (!symbol.is_empty() && symbol.len() <= 100).then_some(symbol)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_symbol_and_interval() {
        for (name, symbol, interval) in [
            ("BTCUSDT-1m-2024-01.zip", "BTCUSDT", "1m"),
            ("eth_btc_5m_2018-01.csv", "ETH-BTC", "5m"),
            ("btc_perp_1m_2022-01.csv", "BTC-PERP", "1m"),
            ("XBTUSD_60.csv", "XBTUSD", "1h"),
            ("BTC_USDT-1h.feather", "BTC-USDT", "1h"),
            ("BTC_USDT_USDT-1h-futures.feather", "BTC-USDT-USDT", "1h"),
            ("Coinbase_BTCUSD_1h.csv", "BTCUSD", "1h"),
            ("Bitstamp_BTCUSD_2021_minute.csv", "BTCUSD", "1m"),
            ("Binance_BTCUSDT_d.csv", "BTCUSDT", "1d"),
            ("BTC_USDT-4h.json.gz", "BTC-USDT", "4h"),
            ("1INCH_USDT-1h.json", "1INCH-USDT", "1h"),
            ("btc_usd.csv", "BTC-USD", ""),
            ("BTCUSDT-1M-2024.zip", "BTCUSDT-1M", ""),
            ("candles.csv", "", ""),
            ("", "", ""),
        ] {
            let found = of_file(name);
            assert_eq!(found.symbol.unwrap_or_default(), symbol, "{name}");
            assert_eq!(found.interval.map(|i| i.to_string()).unwrap_or_default(), interval, "{name}");
        }
        assert_eq!(clean_symbol("BTC/USDT:USDT").as_deref(), Some("BTC-USDT-USDT"));
        assert_eq!(clean_symbol("//"), None);
    }
}
