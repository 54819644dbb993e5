//! Writers of CSV and JSON as vendors and people write them.

use std::io::Write;

use blockgrid_engine::candles::Candles;
use jiff::Timestamp;

use super::{Dialect, File};

pub(crate) const DIALECTS: &[Dialect] = &[
    ("plain", plain),
    ("offsets and fractions", offsets),
    ("German, newest first", german),
    ("tabs, quotes, seconds, a preamble", tabs),
    ("thousands, bars, nanoseconds", thousands),
    ("two columns", two_columns),
    ("American", american),
    ("MetaTrader", meta_trader),
    ("Binance, zipped", binance),
    ("Binance, microseconds", binance_micros),
    ("Coinbase, newest first", coinbase),
    ("Coinbase without header", coinbase_plain),
    ("Kraken", kraken),
    ("Kraken without header, 7", kraken_seven),
    ("Kraken without header, 8", kraken_eight),
    ("CryptoDataDownload", crypto_data_download),
    ("freqtrade JSON", freqtrade),
    ("freqtrade JSON, gzip", freqtrade_gzip),
    ("JSON objects", objects),
];

struct Row {
    at: i64,
    open: f64,
    high: f64,
    low: f64,
    close: f64,
    volume: f64,
}

fn rows(candles: &Candles) -> Vec<Row> {
    let row = |i: usize| Row {
        at: candles.timestamp()[i],
        open: candles.open()[i],
        high: candles.high()[i],
        low: candles.low()[i],
        close: candles.close()[i],
        volume: candles.volume()[i],
    };
    (0..candles.len()).map(row).collect()
}

/// A header, then a line for each candle.
fn lines(
    header: &str,
    rows: impl IntoIterator<Item = Row>,
    line: impl Fn(&Row) -> String,
    end: &str,
) -> Vec<u8> {
    let mut text = String::new();
    if !header.is_empty() {
        text = format!("{header}{end}");
    }
    for row in rows {
        text += &line(&row);
        text += end;
    }
    text.into_bytes()
}

fn time(at: i64, format: &str) -> String {
    Timestamp::from_millisecond(at).unwrap().strftime(format).to_string()
}

fn prices(row: &Row, sign: &str) -> String {
    [row.open, row.high, row.low, row.close, row.volume].map(|v| format!("{v:?}")).join(sign)
}

/// Eight decimals, with signs for decimals and thousands.
fn grouped(value: f64, decimal: char, thousands: char) -> String {
    let text = format!("{value:.8}");
    let (whole, fraction) = text.split_once('.').unwrap();
    let mut out = String::new();
    for (i, digit) in whole.chars().enumerate() {
        if i > 0 && (whole.len() - i) % 3 == 0 {
            out.push(thousands);
        }
        out.push(digit);
    }
    format!("{out}{decimal}{fraction}")
}

fn plain(candles: &Candles) -> File {
    let line = |row: &Row| format!("{},{}", time(row.at, "%Y-%m-%d %H:%M:%S"), prices(row, ","));
    let text = lines("timestamp,open,high,low,close,volume", rows(candles), line, "\n");
    (format!("btc_usdt_{}.csv", candles.interval()), text)
}

fn offsets(candles: &Candles) -> File {
    let line = |row: &Row| {
        let shifted = time(row.at + 5_400_000, "%Y-%m-%dT%H:%M:%S");
        format!("{shifted}.000+01:30, {},x", prices(row, " , "))
    };
    let text = lines("Date,Open,High,Low,Close,Vol,note", rows(candles), line, "\n");
    ("Gemini_BTC-USDT.txt".to_owned(), text)
}

fn german(candles: &Candles) -> File {
    let line = |row: &Row| {
        let numbers = [row.volume, row.close, row.low, row.high, row.open].map(|v| grouped(v, ',', '.'));
        format!("{};{}", numbers.join(";"), time(row.at, "%d.%m.%Y %H:%M:%S"))
    };
    let newest_first = rows(candles).into_iter().rev();
    let text = lines("Volume;Close;Low;High;Open;Date", newest_first, line, "\r\n");
    ("BTC_USDT.csv".to_owned(), [b"\xef\xbb\xbf".as_slice(), &text].concat())
}

fn tabs(candles: &Candles) -> File {
    let line = |row: &Row| format!("\"{}\"\t\"{}\"", row.at / 1000, prices(row, "\"\t\""));
    let text = lines(
        "# note\r\nhttps://example.org/data\r\n\r\n\"T\"\t\"O\"\t\"H\"\t\"L\"\t\"C\"\t\"V\"",
        rows(candles),
        line,
        "\r\n",
    );
    (format!("BTC_USDT-{}.tsv", candles.interval()), text)
}

fn thousands(candles: &Candles) -> File {
    let line = |row: &Row| {
        let numbers = [row.open, row.high, row.low, row.close, row.volume].map(|v| grouped(v, '.', ','));
        format!("{}000000|{}", row.at, numbers.join("|"))
    };
    let text =
        lines("open_time|open_price|high_price|low_price|close_price|base_volume", rows(candles), line, "\n");
    ("btc-usdt-candles.csv".to_owned(), text)
}

fn two_columns(candles: &Candles) -> File {
    let line =
        |row: &Row| format!("{},{},{}", time(row.at, "%Y/%m/%d"), time(row.at, "%H:%M"), prices(row, ","));
    let text = lines("date,time,open,high,low,close,volume", rows(candles), line, "\n");
    ("BTC_USDT.csv".to_owned(), text)
}

fn american(candles: &Candles) -> File {
    let line = |row: &Row| format!("{},{}", time(row.at, "%m/%d/%Y %I:%M:%S %p"), prices(row, ","));
    let text = lines("datetime,open,high,low,close,volume", rows(candles), line, "\n");
    ("BTC_USDT.csv".to_owned(), text)
}

fn meta_trader(candles: &Candles) -> File {
    let line =
        |row: &Row| format!("{},{},{}", time(row.at, "%Y.%m.%d"), time(row.at, "%H:%M"), prices(row, ","));
    ("BTC-USDT.csv".to_owned(), lines("", rows(candles), line, "\n"))
}

fn kline(row: &Row, interval: i64, unit: i64) -> String {
    let (open, close) = (row.at * unit, (row.at + interval) * unit - 1);
    format!(
        "{open},{},{close},{:?},12,{:?},{:?},0",
        prices(row, ","),
        row.volume * 2.0,
        row.volume,
        row.volume
    )
}

fn binance(candles: &Candles) -> File {
    let interval = candles.interval().millis();
    let text = lines("", rows(candles), |row| kline(row, interval, 1), "\n");
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options =
        zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::DEFLATE);
    archive.start_file("klines.csv", options).unwrap();
    archive.write_all(&text).unwrap();
    let bytes = archive.finish().unwrap().into_inner();
    (format!("BTC-USDT-{}-2024-01.zip", candles.interval()), bytes)
}

fn binance_micros(candles: &Candles) -> File {
    let interval = candles.interval().millis();
    let text = lines("", rows(candles), |row| kline(row, interval, 1000), "\n");
    (format!("BTC-USDT-{}-2025-01.csv", candles.interval()), text)
}

fn low_high(row: &Row) -> String {
    let [low, high, open, close, volume] = [row.low, row.high, row.open, row.close, row.volume];
    format!("{},{low:?},{high:?},{open:?},{close:?},{volume:?}", row.at / 1000)
}

fn coinbase(candles: &Candles) -> File {
    let text = lines("time,low,high,open,close,volume", rows(candles).into_iter().rev(), low_high, "\n");
    (format!("Coinbase_BTC-USDT_{}.csv", candles.interval()), text)
}

fn coinbase_plain(candles: &Candles) -> File {
    ("coinbase_BTC-USDT.csv".to_owned(), lines("", rows(candles), low_high, "\n"))
}

fn kraken(candles: &Candles) -> File {
    let line = |row: &Row| {
        let [open, high, low, close, volume] = [row.open, row.high, row.low, row.close, row.volume];
        format!("{},{open:?},{high:?},{low:?},{close:?},{close:?},{volume:?},7", row.at / 1000)
    };
    let text = lines("time,open,high,low,close,vwap,volume,trades", rows(candles), line, "\n");
    ("kraken_BTC_USDT.csv".to_owned(), text)
}

fn kraken_seven(candles: &Candles) -> File {
    let line = |row: &Row| format!("{},{},7", row.at / 1000, prices(row, ","));
    let minutes = candles.interval().millis() / 60_000;
    (format!("BTC-USDT_{minutes}.csv"), lines("", rows(candles), line, "\n"))
}

fn kraken_eight(candles: &Candles) -> File {
    let line = |row: &Row| {
        let [open, high, low, close, volume] = [row.open, row.high, row.low, row.close, row.volume];
        format!("{},{open:?},{high:?},{low:?},{close:?},{close:?},{volume:?},7", row.at / 1000)
    };
    ("BTC-USDT.csv".to_owned(), lines("", rows(candles), line, "\n"))
}

fn crypto_data_download(candles: &Candles) -> File {
    let line = |row: &Row| {
        format!(
            "{},{},BTC/USDT,{},{:?},9",
            row.at,
            time(row.at, "%Y-%m-%d %H:%M:%S"),
            prices(row, ","),
            row.volume * 3.0
        )
    };
    let header = "https://www.CryptoDataDownload.com\nUnix,Date,Symbol,Open,High,Low,Close,Volume BTC,Volume USDT,tradecount";
    let newest_first = rows(candles).into_iter().rev();
    ("Binance_spot.csv".to_owned(), lines(header, newest_first, line, "\n"))
}

fn json(candles: &Candles) -> Vec<u8> {
    let rows: Vec<String> =
        rows(candles).iter().map(|row| format!("[{},{}]", row.at, prices(row, ","))).collect();
    format!("[{}]", rows.join(",")).into_bytes()
}

fn freqtrade(candles: &Candles) -> File {
    (format!("BTC_USDT-{}.json", candles.interval()), json(candles))
}

fn freqtrade_gzip(candles: &Candles) -> File {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packed.write_all(&json(candles)).unwrap();
    (format!("BTC_USDT-{}.json.gz", candles.interval()), packed.finish().unwrap())
}

fn objects(candles: &Candles) -> File {
    let object = |row: &Row| {
        let [open, high, low, close, volume] = [row.open, row.high, row.low, row.close, row.volume];
        format!(
            "{{\"close\": \"{close:?}\", \"time\": {}, \"open\": {open:?},\n \"high\": {high:?}, \"low\": {low:?}, \"volume\": {volume:?}}}",
            row.at
        )
    };
    let rows: Vec<String> = rows(candles).iter().map(object).collect();
    ("BTC_USDT.json".to_owned(), format!("[\n{}\n]\n", rows.join(",\n")).into_bytes())
}
