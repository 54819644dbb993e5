//! Connections to the server: one that all commands share, and spare ones for waiting, since a command that blocks would
//! block all behind it.
//!
//! The crate's own connection manager keeps a connection that stopped answering, for as long as the kernel believes in it
//! (a node that vanished: a quarter of an hour). Here a connection that times out is replaced.

use std::future::Future;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::io::tcp::TcpSettings;
use redis::{AsyncConnectionConfig, Client, ErrorKind, IntoConnectionInfo, RedisError, TlsCertificates};
use tokio::time::{Instant, timeout};

use super::error::QueueError;
use super::types::Stream;

/// How long a server may take to accept a connection.
const CONNECT: Duration = Duration::from_secs(2);

/// How long it may take to answer.
const ANSWER: Duration = Duration::from_secs(5);

/// For how long after a failure to connect nobody else tries: or all who queue for the connection would wait in turn.
const PAUSE: Duration = Duration::from_millis(100);

pub(super) struct Link {
    client: Client,
    shared: Mutex<Shared>,
    /// Held by the one that connects.
    turn: tokio::sync::Mutex<()>,
    spare: Mutex<Vec<MultiplexedConnection>>,
}

#[derive(Default)]
struct Shared {
    connection: Option<MultiplexedConnection>,
    /// Which connection it is, so that one that broke is thrown away once.
    number: u64,
    failed: Option<(Instant, QueueError)>,
}

impl Link {
    /// A link to the server at `url`, which is not spoken to yet. `roots`: certificates (PEM) to believe instead of the
    /// system's.
    pub(super) fn new(url: &str, roots: Option<&[u8]>) -> Result<Self, QueueError> {
        let bad = |error: RedisError| QueueError::Url { url: without_password(url), reason: reason(&error) };
        if ["rediss:", "valkeys:"].iter().any(|scheme| url.starts_with(scheme)) {
            // Named, since rustls guesses only while one provider is linked. Whoever chose before keeps the choice.
            let _ = rustls::crypto::ring::default_provider().install_default();
        }
        // Without it, small writes wait for the acknowledgement of earlier ones.
        let tcp = TcpSettings::default().set_nodelay(true);
        let info = url.into_connection_info().map_err(bad)?.set_tcp_settings(tcp);
        let client = match roots {
            Some(roots) => Client::build_with_tls(
                info,
                TlsCertificates { client_tls: None, root_cert: Some(roots.to_vec()) },
            ),
            None => Client::open(info),
        };
        let client = client.map_err(bad)?;
        Ok(Self { client, shared: Mutex::default(), turn: Default::default(), spare: Mutex::default() })
    }

    /// What `call` does on the shared connection.
    pub(super) async fn run<T, F>(
        &self,
        stream: Option<&Stream>,
        call: impl FnOnce(MultiplexedConnection) -> F,
    ) -> Result<T, QueueError>
    where
        F: Future<Output = Result<T, RedisError>>,
    {
        let late = |_| QueueError::Unavailable { reason: "no connection in time".to_owned() };
        let (connection, number) = timeout(ANSWER, self.connection()).await.map_err(late)??;
        let result = call(connection).await;
        if result.as_ref().is_err_and(is_broken) {
            let mut shared = lock(&self.shared);
            if shared.number == number {
                shared.connection = None;
            }
            // They are as old.
            lock(&self.spare).clear();
        }
        result.map_err(|error| explain(&error, stream))
    }

    /// What `call`, which may be done twice, does on a connection of its own; it is given `time` to block, and some to answer.
    pub(super) async fn run_apart<T, F>(
        &self,
        time: Duration,
        call: impl Fn(MultiplexedConnection) -> F,
    ) -> Result<T, QueueError>
    where
        F: Future<Output = Result<T, RedisError>>,
    {
        loop {
            let spare = lock(&self.spare).pop();
            let is_spare = spare.is_some();
            let connection = match spare {
                Some(connection) => connection,
                None => self.connect(None).await?,
            };
            // Dropped on the way, the connection is closed, and with it the wait on the server.
            match timeout(time + ANSWER, call(connection.clone())).await {
                Ok(Ok(result)) => {
                    lock(&self.spare).push(connection);
                    return Ok(result);
                }
                // Closed while it lay idle; so were the others.
                Ok(Err(error)) if is_spare && is_broken(&error) => lock(&self.spare).clear(),
                Ok(Err(error)) => return Err(explain(&error, None)),
                Err(_) => return Err(QueueError::Unavailable { reason: "no answer in time".to_owned() }),
            }
        }
    }

    async fn connection(&self) -> Result<(MultiplexedConnection, u64), QueueError> {
        let known = || {
            let shared = lock(&self.shared);
            shared.connection.clone().map(|connection| (connection, shared.number))
        };
        if let Some(known) = known() {
            return Ok(known);
        }
        let _turn = self.turn.lock().await;
        if let Some(known) = known() {
            return Ok(known);
        }
        if let Some((at, error)) = &lock(&self.shared).failed
            && at.elapsed() < PAUSE
        {
            return Err(error.clone());
        }
        let connected = self.connect(Some(ANSWER)).await;
        let mut shared = lock(&self.shared);
        match connected {
            Ok(connection) => {
                shared.connection = Some(connection.clone());
                shared.number += 1;
                Ok((connection, shared.number))
            }
            Err(error) => {
                shared.failed = Some((Instant::now(), error.clone()));
                Err(error)
            }
        }
    }

    async fn connect(&self, answer: Option<Duration>) -> Result<MultiplexedConnection, QueueError> {
        let config =
            AsyncConnectionConfig::new().set_connection_timeout(Some(CONNECT)).set_response_timeout(answer);
        let connecting = self.client.get_multiplexed_async_connection_with_config(&config);
        let mut connection = connecting.await.map_err(|error| explain(&error, None))?;
        // Anew for each, since the name may lead to another server than before.
        let check = timeout(CONNECT, check(&mut connection)).await;
        check.map_err(|_| QueueError::Unavailable {
            reason: "it accepts, but does not answer".to_owned(),
        })??;
        Ok(connection)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Refuses a server that lacks what the queue stands on. INFO tells it without the right to use CONFIG.
async fn check(connection: &mut MultiplexedConnection) -> Result<(), QueueError> {
    let mut info = String::new();
    for section in ["server", "memory"] {
        let part = redis::cmd("INFO").arg(section).query_async::<String>(connection).await;
        info += &part.map_err(|error| explain(&error, None))?;
    }
    verify(&info)
}

fn verify(info: &str) -> Result<(), QueueError> {
    let field = |name: &str| {
        let value = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        value
            .map(str::trim)
            .ok_or_else(|| QueueError::Refused { reason: format!("INFO does not tell {name}") })
    };
    // Valkey tells the version of Redis that it is compatible with.
    let version = field("redis_version")?;
    let mut numbers = version.split('.').map(|number| number.parse::<u32>().unwrap_or(0));
    let numbers = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if numbers < (6, 2) {
        return Err(QueueError::TooOld { version: version.to_owned() });
    }
    match field("maxmemory_policy")? {
        "noeviction" => Ok(()),
        policy => Err(QueueError::Evicts { policy: policy.to_owned() }),
    }
}

/// Whether the connection is of no use any more.
fn is_broken(error: &RedisError) -> bool {
    // A server that became a replica stays one; the name may lead to its successor by now.
    error.is_io_error() || error.is_unrecoverable_error() || error.code() == Some("READONLY")
}

/// States of a server that pass.
const PASSING: [&str; 11] = [
    "LOADING",
    "BUSY",
    "OOM",
    "MISCONF",
    "READONLY",
    "MASTERDOWN",
    "CLUSTERDOWN",
    "TRYAGAIN",
    "NOREPLICAS",
    "UNBLOCKED",
    "NOSCRIPT",
];

pub(super) fn explain(error: &RedisError, stream: Option<&Stream>) -> QueueError {
    let reason = reason(error);
    // Version 6.2 wraps errors of commands in scripts:
    // `ERR Error running script (call to f_...): @user_script:8: @user_script: 8: -OOM command not allowed when ...`
    let says = |code: &str| {
        let is_wrapped = reason.starts_with("ERR Error ") && reason.contains(&format!(": -{code} "));
        error.code() == Some(code) || is_wrapped
    };
    match stream {
        Some(stream) if says("NOGROUP") => QueueError::NoGroup { stream: stream.clone() },
        _ if error.is_io_error()
            || error.kind() == ErrorKind::Parse
            || PASSING.iter().any(|code| says(code))
            || reason.contains("max number of clients") =>
        {
            QueueError::Unavailable { reason }
        }
        _ => QueueError::Refused { reason },
    }
}

/// An error in the words of the server.
fn reason(error: &RedisError) -> String {
    match (error.code(), error.detail()) {
        (Some(code), Some(detail)) => format!("{code} {detail}"),
        _ => error.to_string(),
    }
}

/// The address of a queue as it may be shown: without user, password, and what stands after `?`, where addresses of
/// sockets have both.
pub fn without_password(url: &str) -> String {
    let (scheme, rest) = url.split_at(url.find("://").map_or(0, |at| at + 3));
    // A password may hold `?` and `@` as they are.
    let rest = if scheme.contains("unix") { rest.split('?').next().unwrap_or(rest) } else { rest };
    let shown = rest.rfind('@').map_or_else(|| rest.to_owned(), |at| format!("...{}", &rest[at..]));
    format!("{scheme}{}", shown.split('?').next().unwrap_or(&shown))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_servers_and_those_that_evict_are_refused() {
        let info = |version: &str, policy: &str| {
            format!("# Server\r\nredis_version:{version}\r\n# Memory\r\nmaxmemory_policy:{policy}\r\n")
        };
        for good in ["6.2.0", "7.0.15", "10.0", "255.255.255"] {
            assert_eq!(verify(&info(good, "noeviction")), Ok(()));
        }
        for old in ["6.0.16", "5.0.7", "?"] {
            let error = verify(&info(old, "noeviction")).unwrap_err();
            assert_eq!(error, QueueError::TooOld { version: old.to_owned() });
        }
        let error = verify(&info("7.2.4", "allkeys-lru")).unwrap_err().to_string();
        assert!(error.contains("allkeys-lru") && error.contains("noeviction"), "{error}");
        assert!(matches!(verify(""), Err(QueueError::Refused { .. })));
    }

    #[test]
    fn what_passes_is_told_from_what_does_not() {
        let stream: Stream = Stream::Job("j".parse().unwrap());
        let told = |text: &str| {
            let kind = ErrorKind::Server(redis::ServerErrorKind::ResponseError);
            explain(&RedisError::from((kind, "", text.to_owned())), Some(&stream))
        };
        let wrapped = "Error running script (call to f_4b): @user_script:9: @user_script: 9: -";
        let oom = told(&format!("{wrapped}OOM command not allowed when used memory > 'maxmemory'."));
        assert!(oom.is_unavailable(), "{oom}");
        let gone = told(&format!("{wrapped}NOGROUP No such key"));
        assert_eq!(gone, QueueError::NoGroup { stream: stream.clone() });
        assert!(told("max number of clients reached").is_unavailable());
        for other in ["WRONGTYPE OOM", "Error compiling script"] {
            assert!(matches!(told(other), QueueError::Refused { .. }), "{other}");
        }
        let lost = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
        assert!(explain(&RedisError::from(lost), None).is_unavailable());
    }

    #[test]
    fn addresses_are_shown_without_passwords() {
        for (url, shown) in [
            ("redis://user:se@cret@host:1/0", "redis://...@host:1/0"),
            ("redis://host", "redis://host"),
            ("host", "host"),
            ("user:secret@host", "...@host"),
            ("redis://user:se?cret@host", "redis://...@host"),
            ("redis+unix:///run/redis.sock?user=u&pass=secret", "redis+unix:///run/redis.sock"),
            ("redis+unix:///run/redis.sock?pass=se@cret", "redis+unix:///run/redis.sock"),
        ] {
            assert_eq!(without_password(url), shown);
        }
        let error = Link::new("http://user:secret@host", None).err().unwrap().to_string();
        assert!(!error.contains("secret") && error.contains("redis://host:6379"), "{error}");
    }
}
