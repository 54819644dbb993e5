//! A proxy that breaks HTTP by a script: what a network, an overloaded server or a poor one would do, on demand.
//!
//! It stands on loopback before one server and takes one request per connection, which keeps it simple: each is read
//! whole, passed on with its `Host` (so that signatures hold), and its answer passed back as it came. The first rule
//! that matches a request and has shots left decides its fate, and counts.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// What is done to a request.
#[derive(Debug, Clone)]
pub enum Fault {
    /// Not passed on, but answered with this status and, as an S3 server would, this code: 503 and `SlowDown`.
    Answer(u16, &'static str),
    /// Passed on after a while.
    Delay(Duration),
    /// Not passed on: the connection is cut.
    Cut,
    /// Passed on and done, but the connection is cut before the answer.
    AppliedThenCut,
    /// The connection is cut after so many bytes of the answer's body.
    Truncate(usize),
    /// The answer's body ends after so many bytes, and its head says that this is all.
    Shorten(usize),
    /// One bit of the answer's body is wrong.
    Damage,
}

/// When a fault happens.
#[derive(Debug)]
pub struct Rule {
    method: &'static str,
    path: String,
    conditional: bool,
    while_set: Option<&'static str>,
    skip: AtomicUsize,
    left: AtomicUsize,
    fired: AtomicUsize,
    fault: Fault,
}

impl Rule {
    /// The fault for each request of a method (empty: any) whose path and query hold a text (empty: any).
    pub fn new(method: &'static str, path: &str, fault: Fault) -> Self {
        Self {
            method,
            path: path.to_owned(),
            conditional: false,
            while_set: None,
            skip: AtomicUsize::new(0),
            left: AtomicUsize::new(usize::MAX),
            fired: AtomicUsize::new(0),
            fault,
        }
    }

    /// At most so often.
    pub fn times(self, n: usize) -> Self {
        Self { left: AtomicUsize::new(n), ..self }
    }

    /// Only after so many that would have matched.
    pub fn after(self, n: usize) -> Self {
        Self { skip: AtomicUsize::new(n), ..self }
    }

    /// Only requests with `If-None-Match` or `If-Match`.
    pub fn if_conditional(self) -> Self {
        Self { conditional: true, ..self }
    }

    /// Only after a `PUT` of a setting whose query holds a text, and until its `DELETE`.
    pub fn while_set(self, setting: &'static str) -> Self {
        Self { while_set: Some(setting), ..self }
    }

    /// How often it happened.
    pub fn fired(&self) -> usize {
        self.fired.load(Ordering::SeqCst)
    }

    /// `seen` are the requests that came, this one last.
    fn fires(&self, request: &Request, seen: &[(String, String)]) -> bool {
        let is_set = self.while_set.is_none_or(|setting| {
            let changes = |(method, target): &&(String, String)| {
                (method == "PUT" || method == "DELETE") && target.contains(setting)
            };
            seen.iter().rev().find(changes).is_some_and(|(method, _)| method == "PUT")
        });
        let matches = is_set
            && (self.method.is_empty() || self.method == request.method)
            && request.target.contains(&self.path)
            && (!self.conditional || request.conditional);
        let take = |n: &AtomicUsize| {
            n.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
        };
        let fires = matches && !take(&self.skip) && take(&self.left);
        if fires {
            self.fired.fetch_add(1, Ordering::SeqCst);
        }
        fires
    }
}

/// The proxy; it ends when this is dropped.
pub struct Proxy {
    pub address: SocketAddr,
    script: Arc<Script>,
    accepting: JoinHandle<()>,
}

#[derive(Default)]
struct Script {
    rules: Mutex<Vec<Arc<Rule>>>,
    /// Method and target of every request that came.
    seen: Mutex<Vec<(String, String)>>,
}

impl Proxy {
    /// Stands before a server on loopback, without rules at first.
    pub async fn start(server: SocketAddr) -> Self {
        assert!(server.ip().is_loopback(), "{server}");
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let script = Arc::new(Script::default());
        let accepting = tokio::spawn({
            let script = script.clone();
            async move {
                while let Ok((client, _)) = listener.accept().await {
                    let script = script.clone();
                    // A failure is a broken connection, which is what the client shall see.
                    tokio::spawn(async move { serve(client, server, &script).await });
                }
            }
        });
        Self { address, script, accepting }
    }

    /// Adds a rule, after those that are there; what is handed back tells how often it fired.
    pub fn rule(&self, rule: Rule) -> Arc<Rule> {
        let rule = Arc::new(rule);
        self.script.rules.lock().unwrap().push(rule.clone());
        rule
    }

    /// Takes all rules away.
    pub fn heal(&self) {
        self.script.rules.lock().unwrap().clear();
    }

    /// How many requests of a method came whose path and query hold a text.
    pub fn seen(&self, method: &str, path: &str) -> usize {
        let seen = self.script.seen.lock().unwrap();
        seen.iter().filter(|(m, target)| m == method && target.contains(path)).count()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

struct Request {
    method: String,
    target: String,
    conditional: bool,
    /// Head, with `Connection: close`, and body.
    bytes: Vec<u8>,
}

async fn serve(mut client: TcpStream, server: SocketAddr, script: &Script) -> std::io::Result<()> {
    let Some(request) = read_request(&mut client).await? else { return Ok(()) };
    script.seen.lock().unwrap().push((request.method.clone(), request.target.clone()));
    let fault = {
        let (rules, seen) = (script.rules.lock().unwrap(), script.seen.lock().unwrap());
        rules.iter().find(|rule| rule.fires(&request, &seen)).map(|rule| rule.fault.clone())
    };
    match fault {
        Some(Fault::Cut) => return Ok(()),
        Some(Fault::Answer(status, code)) => {
            let head_only = request.method == "HEAD";
            return client.write_all(answer(status, code, head_only).as_bytes()).await;
        }
        Some(Fault::Delay(time)) => tokio::time::sleep(time).await,
        _ => {}
    }
    let mut upstream = TcpStream::connect(server).await?;
    upstream.write_all(&request.bytes).await?;
    let mut response = Vec::new();
    upstream.read_to_end(&mut response).await?;
    let body = position(&response, b"\r\n\r\n").map_or(response.len(), |end| end + 4);
    match fault {
        Some(Fault::AppliedThenCut) => return Ok(()),
        Some(Fault::Truncate(keep)) => response.truncate(body + keep),
        Some(Fault::Shorten(keep)) => {
            let (head, rest) = response.split_at(body);
            let rest = &rest[..keep.min(rest.len())];
            let length = format!("Content-Length: {}", rest.len());
            let lines = String::from_utf8_lossy(head).into_owned();
            let lines =
                lines.split("\r\n").map(|line| if is(line, "content-length") { &length } else { line });
            response = [lines.collect::<Vec<_>>().join("\r\n").as_bytes(), rest].concat();
        }
        Some(Fault::Damage) => {
            if let Some(byte) = response.get_mut(body) {
                *byte ^= 1;
            }
        }
        _ => {}
    }
    client.write_all(&response).await
}

/// The next request; None when the client went away before one.
async fn read_request(client: &mut TcpStream) -> std::io::Result<Option<Request>> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = position(&bytes, b"\r\n\r\n") {
            break end + 4;
        }
        if client.read_buf(&mut bytes).await? == 0 {
            return Ok(None);
        }
    };
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let mut body = bytes.split_off(end);
    let lines: Vec<&str> = head.trim_end().split("\r\n").collect();
    let value = |name: &str| lines.iter().find(|line| is(line, name))?.split_once(':').map(|(_, v)| v.trim());
    if value("expect").is_some() {
        client.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
    }
    // A body in chunks would need more of a proxy: no client here sends one.
    assert!(value("transfer-encoding").is_none(), "{head}");
    let length = value("content-length").map_or(0, |text| text.parse().unwrap());
    while body.len() < length {
        if client.read_buf(&mut body).await? == 0 {
            return Ok(None);
        }
    }
    let mut first = lines[0].split(' ').map(str::to_owned);
    let (method, target) = (first.next().unwrap_or_default(), first.next().unwrap_or_default());
    let kept = lines.iter().filter(|line| !is(line, "connection") && !is(line, "expect"));
    let head = kept.map(|line| format!("{line}\r\n")).collect::<String>() + "Connection: close\r\n\r\n";
    let conditional = value("if-none-match").or(value("if-match")).is_some();
    Ok(Some(Request { method, target, conditional, bytes: [head.as_bytes(), &body].concat() }))
}

/// Whether a line of a head is the header of a name.
fn is(line: &str, name: &str) -> bool {
    line.split_once(':').is_some_and(|(found, _)| found.eq_ignore_ascii_case(name))
}

fn answer(status: u16, code: &str, head_only: bool) -> String {
    let xml = format!(
        "<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>by the test's script</Message></Error>"
    );
    let body = if head_only || code.is_empty() { "" } else { &xml };
    let length = body.len();
    // A success would have an `ETag`.
    let head = format!("HTTP/1.1 {status} Scripted\r\nETag: \"scripted\"\r\nContent-Length: {length}");
    format!("{head}\r\nConnection: close\r\n\r\n{body}")
}

fn position(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}
