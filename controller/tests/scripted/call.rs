//! What is asked of the API server, and what may become of it.

use std::time::Duration;

use http::request::Parts;
use serde_json::Value;

/// A request.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    /// As audit logs have it: `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`.
    pub(crate) verb: &'static str,
    pub(crate) resource: String,
    /// `status`, or nothing.
    pub(crate) part: String,
    pub(crate) namespace: Option<String>,
    pub(crate) name: String,
    pub(crate) query: String,
    pub(crate) body: Value,
}

impl Call {
    pub(crate) fn read(parts: &Parts, body: &[u8]) -> Self {
        let mut path = parts.uri.path().trim_matches('/').split('/').map(str::to_owned);
        let versions = if path.next().as_deref() == Some("api") { 1 } else { 2 };
        let mut path = path.skip(versions);
        let mut resource = path.next().unwrap_or_default();
        let mut namespace = None;
        if resource == "namespaces" {
            namespace = path.next();
            resource = path.next().unwrap_or_default();
        }
        let name = path.next().unwrap_or_default();
        let query = parts.uri.query().unwrap_or_default().replace("%2F", "/").replace("%3D", "=");
        let verb = match parts.method.as_str() {
            "POST" => "create",
            "PUT" => "update",
            "PATCH" => "patch",
            "DELETE" => "delete",
            _ if query.contains("watch=true") => "watch",
            _ if name.is_empty() => "list",
            _ => "get",
        };
        let body = serde_json::from_slice(body).unwrap_or_default();
        Self { verb, resource, part: path.next().unwrap_or_default(), namespace, name, query, body }
    }

    /// `patch backtestjobs/status`.
    pub(crate) fn is(&self, what: &str) -> bool {
        let slash = if self.part.is_empty() { "" } else { "/" };
        what == format!("{} {}{slash}{}", self.verb, self.resource, self.part)
    }

    /// A value of the query.
    pub(crate) fn asked(&self, name: &str) -> Option<&str> {
        self.query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
    }

    /// A value of the body, `Null` where it has none.
    pub(crate) fn says(&self, pointer: &str) -> &Value {
        self.body.pointer(pointer).unwrap_or(&Value::Null)
    }
}

/// What becomes of a request.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fault {
    /// It is answered with this code, and nothing is done.
    Code(u16),
    /// It does not arrive.
    Refused,
    /// It is done, and the connection breaks before the answer.
    Lost,
    /// It is done after a while.
    Late(Duration),
    /// It is done, and the answer breaks off in the middle.
    Cut,
    /// It is done, and the answer is not JSON.
    Garbage,
}

/// All of them.
pub(crate) const FAULTS: [Fault; 13] = [
    Fault::Code(403),
    Fault::Code(404),
    Fault::Code(409),
    Fault::Code(410),
    Fault::Code(422),
    Fault::Code(429),
    Fault::Code(500),
    Fault::Code(503),
    Fault::Refused,
    Fault::Lost,
    Fault::Late(Duration::from_millis(300)),
    Fault::Cut,
    Fault::Garbage,
];

/// Which requests meet a fault, and how many of them.
pub(crate) struct Rule {
    pub(crate) is: Box<dyn Fn(&Call) -> bool + Send>,
    pub(crate) fault: Fault,
    pub(crate) times: usize,
}
