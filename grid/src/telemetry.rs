//! Spans of jobs, for whoever collects them by OTLP: one trace a job, whose id is the job's, with a span for its plan and
//! one for each time that somebody worked on a unit.
//!
//! The ids of the trace and of its root follow from the job's, so that programs that never speak with each other put their
//! spans into one tree. Nothing is gathered unless `OTEL_EXPORTER_OTLP_ENDPOINT` is set, and nobody waits for a collector.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};
use object_store::ClientOptions;
use object_store::client::{HttpClient, HttpConnector, HttpRequestBody, ReqwestConnector};
use opentelemetry::trace::{SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState};
use opentelemetry::{InstrumentationScope, KeyValue, Value};
use opentelemetry_http::HttpError;
use opentelemetry_otlp::{SpanExporter, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{BatchSpanProcessor, SpanData, SpanEvents, SpanLinks, SpanProcessor};
use sha2::{Digest, Sha256};

use crate::{JobId, Plan, Unit};

/// The variables that say where a collector is; either is enough.
const ENDPOINTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"];

/// The variables that say how it is spoken to.
const PROTOCOLS: [&str; 2] = ["OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"];

/// How long a batch may take to be sent.
const LONGEST: Duration = Duration::from_secs(10);

/// How long the last batch may take: nobody should wait long for a program to end.
const AT_THE_END: Duration = Duration::from_secs(3);

/// Why spans cannot be sent.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// A protocol that is not spoken here.
    #[error(
        "{variable} is `{value}`, but spans are sent by `http/protobuf` alone: set that, and the endpoint of its port (4318 rather than 4317)"
    )]
    Protocol {
        /// The variable.
        variable: &'static str,
        /// Its value.
        value: String,
    },
    /// No client, or no endpoint that it could reach.
    #[error("spans cannot be sent to the collector of OTEL_EXPORTER_OTLP_ENDPOINT: {0}")]
    Other(String),
}

/// Where spans go.
#[derive(Clone, Default)]
pub struct Telemetry(Option<Arc<BatchSpanProcessor>>);

impl fmt::Debug for Telemetry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Telemetry").field(&self.0.is_some()).finish()
    }
}

/// What was done for a job, just now.
#[derive(Debug, Clone)]
pub struct Done<'a> {
    /// The job.
    pub job: &'a JobId,
    /// How long it took.
    pub took: Duration,
    /// Why it came to nothing, where it did.
    pub error: Option<String>,
    /// What there is to know of it besides: names begin with `blockgrid.`.
    pub attributes: Vec<(&'static str, Value)>,
}

impl Telemetry {
    /// What the environment says, by the names of OpenTelemetry: to the collector of `OTEL_EXPORTER_OTLP_ENDPOINT`, or
    /// nowhere. `OTEL_EXPORTER_OTLP_HEADERS`, `OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES`, `OTEL_BSP_*` and
    /// `OTEL_SDK_DISABLED` mean what they mean everywhere. To be called within a runtime.
    ///
    /// # Errors
    /// [`TelemetryError`].
    pub fn from_env(service: &'static str, instance: &str) -> Result<Self, TelemetryError> {
        let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let is_disabled = set("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true"));
        if is_disabled || ENDPOINTS.iter().all(|name| set(name).is_none()) {
            return Ok(Self::default());
        }
        for variable in PROTOCOLS {
            if let Some(value) = set(variable).filter(|value| value != "http/protobuf") {
                return Err(TelemetryError::Protocol { variable, value });
            }
        }
        let other = |error: &dyn fmt::Display| TelemetryError::Other(error.to_string());
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(Client::new().map_err(|error| other(&error))?)
            .build()
            .map_err(|error| other(&error))?;
        // Its own environment comes first.
        let resource = if set("OTEL_SERVICE_NAME").is_some() {
            Resource::builder()
        } else {
            Resource::builder().with_service_name(service)
        };
        let instance = KeyValue::new("service.instance.id", instance.to_owned());
        let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
        let mut processor = BatchSpanProcessor::builder(exporter).build();
        processor.set_resource(&resource.with_attributes([instance, version]).build());
        Ok(Self(Some(Arc::new(processor))))
    }

    /// A job was planned just now, or why not: the root of its trace.
    pub fn planned(&self, job: &JobId, took: Duration, plan: Result<&Plan, String>) {
        let (attributes, error) = match plan {
            Ok(plan) => {
                let number = |number: u64| Value::from(i64::try_from(number).unwrap_or(i64::MAX));
                let attributes = vec![
                    ("blockgrid.tenant", plan.tenant.as_str().to_owned().into()),
                    ("blockgrid.engine", plan.engine.clone().into()),
                    ("blockgrid.shards", number(plan.shards)),
                    ("blockgrid.trials", number(plan.trials())),
                    ("blockgrid.cached_trials", number(plan.cached_trials())),
                    ("blockgrid.quoted_micros", number(plan.cost_micros)),
                ];
                (attributes, None)
            }
            Err(error) => (Vec::new(), Some(error)),
        };
        let done = Done { job, took, error, attributes };
        self.send("plan", root(job), SpanId::INVALID, SpanKind::Producer, done);
    }

    /// A unit was worked on, for the so-manieth time.
    pub fn worked(&self, unit: Unit, delivery: u32, mut done: Done<'_>) {
        let name = match unit {
            Unit::Shard(_) => "shard",
            Unit::Trace(_) => "trace",
            Unit::Finish => "finish",
        };
        done.attributes.push(("blockgrid.unit", unit.to_string().into()));
        done.attributes.push(("blockgrid.delivery", i64::from(delivery).into()));
        let id = SpanId::from_bytes(random());
        let parent = root(done.job);
        self.send(name, id, parent, SpanKind::Consumer, done);
    }

    fn send(&self, name: &'static str, id: SpanId, parent: SpanId, kind: SpanKind, done: Done<'_>) {
        let Some(processor) = &self.0 else { return };
        let ended = now();
        let trace = trace_id(done.job);
        let job = KeyValue::new("blockgrid.job", done.job.to_string());
        let attributes = done.attributes.into_iter().map(|(name, value)| KeyValue::new(name, value));
        processor.on_end(SpanData {
            span_context: SpanContext::new(trace, id, TraceFlags::SAMPLED, false, TraceState::default()),
            parent_span_id: parent,
            parent_span_is_remote: parent != SpanId::INVALID,
            span_kind: kind,
            name: name.into(),
            start_time: ended.checked_sub(done.took).unwrap_or(ended),
            end_time: ended,
            attributes: std::iter::once(job).chain(attributes).collect(),
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: done.error.map_or(Status::Ok, |why| Status::Error { description: why.into() }),
            instrumentation_scope: InstrumentationScope::builder("blockgrid").build(),
        });
    }

    /// Sends what was gathered, as the program ends. A collector that does not answer is not waited for.
    pub async fn end(&self) {
        let Some(processor) = self.0.clone() else { return };
        let sent = tokio::task::spawn_blocking(move || processor.shutdown_with_timeout(AT_THE_END));
        // What the collector did not take is told by the SDK's own log.
        let _ = sent.await;
    }
}

/// Spans tell people when something was: nothing is decided by them.
#[allow(clippy::disallowed_methods, reason = "a clock that no result depends on")]
fn now() -> SystemTime {
    SystemTime::now()
}

/// For spans that nobody refers to.
fn random() -> [u8; 8] {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&uuid::Uuid::new_v4().as_bytes()[8..]);
    bytes
}

/// The trace of a job: its uid, where that is one.
fn trace_id(job: &JobId) -> TraceId {
    let bytes =
        job.as_str().parse::<uuid::Uuid>().map_or_else(|_| digest(job.as_str()), uuid::Uuid::into_bytes);
    TraceId::from_bytes(bytes)
}

/// The span that all others of a job are below.
fn root(job: &JobId) -> SpanId {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&digest(job.as_str())[..8]);
    SpanId::from_bytes(bytes)
}

fn digest(of: &str) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&Sha256::digest(of)[..16]);
    bytes
}

/// The client of the store, for the thread that sends batches: it has no runtime of its own.
#[derive(Debug)]
struct Client {
    client: HttpClient,
    runtime: tokio::runtime::Handle,
}

impl Client {
    fn new() -> object_store::Result<Self> {
        let options = ClientOptions::new()
            .with_allow_http(true)
            .with_timeout(LONGEST)
            .with_connect_timeout(Duration::from_secs(5));
        let client = ReqwestConnector::default().connect(&options)?;
        Ok(Self { client, runtime: tokio::runtime::Handle::current() })
    }
}

#[async_trait]
impl opentelemetry_http::HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let client = self.client.clone();
        let sent = self.runtime.spawn(async move {
            let response = client.execute(request.map(HttpRequestBody::from)).await?;
            let (parts, body) = response.into_parts();
            Ok::<_, object_store::client::HttpError>(Response::from_parts(parts, body.bytes().await?))
        });
        Ok(sent.await??)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_follow_from_what_they_are_of() {
        let job: JobId = "67e55044-10b1-426f-9247-bb680e5fe0c8".parse().unwrap();
        assert_eq!(trace_id(&job).to_string(), "67e5504410b1426f9247bb680e5fe0c8");
        assert_eq!(root(&job), root(&job));
        let other: JobId = "a-job".parse().unwrap();
        assert_ne!(trace_id(&other), TraceId::INVALID);
        assert_ne!(root(&job), root(&other));
    }
}
