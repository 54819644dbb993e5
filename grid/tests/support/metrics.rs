//! What a program's `/metrics` say.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

/// The line of a log after which they are served.
pub const SERVED: &str = "serving /livez";

/// The text of a program's metrics, by the address that stands in its log, which has [`SERVED`].
pub fn metrics(log: &str) -> String {
    let line = log.lines().find(|line| line.contains(SERVED)).unwrap();
    let line: Value = serde_json::from_str(line).unwrap();
    let address = line["fields"]["address"].as_str().unwrap().to_owned();
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: o\r\nConnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}
