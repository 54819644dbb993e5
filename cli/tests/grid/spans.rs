//! Spans of a job, as a collector of OTLP gets them: one tree, from the plan to each unit, whoever worked on it.

use std::collections::BTreeMap;
use std::sync::Mutex;

use axum::Router;
use axum::body::Bytes;
use axum::routing::post;
use blockgrid_grid::{JobId, Unit};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use prost::Message;

use crate::rig::{Arc, JOB, Rig, TINY, until};

/// A collector that keeps what it gets: spans, with the attributes of who sent them.
struct Collector {
    endpoint: String,
    spans: Arc<Mutex<Vec<(Text, Span)>>>,
}

/// Attributes, as texts.
type Text = BTreeMap<String, String>;

fn text(attributes: &[KeyValue]) -> Text {
    let value = |of: &KeyValue| match of.value.as_ref().and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(number)) => number.to_string(),
        other => format!("{other:?}"),
    };
    attributes.iter().map(|of| (of.key.clone(), value(of))).collect()
}

impl Collector {
    fn start(rig: &Rig) -> Self {
        let spans: Arc<Mutex<Vec<(Text, Span)>>> = Arc::default();
        let kept = Arc::clone(&spans);
        let take = move |body: Bytes| async move {
            let request = ExportTraceServiceRequest::decode(body).unwrap();
            for of in request.resource_spans {
                let sender = text(&of.resource.unwrap_or_default().attributes);
                let spans = of.scope_spans.into_iter().flat_map(|scope| scope.spans);
                kept.lock().unwrap().extend(spans.map(|span| (sender.clone(), span)));
            }
        };
        let endpoint = rig.wait(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let router = Router::new().route("/v1/traces", post(take));
            tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
            format!("http://{address}")
        });
        Self { endpoint, spans }
    }

    fn named(&self, name: &str) -> Vec<(Text, Span)> {
        let spans = self.spans.lock().unwrap();
        spans.iter().filter(|(_, span)| span.name == name).cloned().collect()
    }
}

#[test]
fn one_trace_goes_from_the_plan_to_each_unit() {
    let Some(mut rig) = Rig::start() else { return };
    let collector = Collector::start(&rig);
    rig.environment = vec![("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint.clone())];
    let uid = "67e55044-10b1-426f-9247-bb680e5fe0c8";
    let mut job = rig.submit(JOB, uid);
    let mut workers = [rig.worker("w0"), rig.worker("w1")];
    rig.right(&mut job);
    for worker in &mut workers {
        // What was gathered last is sent then.
        worker.signal("TERM");
        assert_eq!(worker.ended().code(), Some(143), "{}", worker.log());
    }
    let id: JobId = uid.parse().unwrap();
    let outcomes = rig.outcomes(&id);
    let plan = collector.named("plan");
    let [(sender, root)] = &plan[..] else { panic!("{plan:#?}") };
    let trace: String = root.trace_id.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(trace, uid.replace('-', ""), "a job is found by its uid");
    assert!(root.parent_span_id.is_empty() && sender["service.name"] == "blockgrid", "{sender:?} {root:?}");
    let shards = outcomes.keys().filter(|unit| matches!(unit, Unit::Shard(_))).count();
    assert_eq!(text(&root.attributes)["blockgrid.shards"], shards.to_string());
    let mut told = BTreeMap::new();
    for (sender, span) in ["shard", "trace", "finish"].iter().flat_map(|name| collector.named(name)) {
        assert!(span.trace_id == root.trace_id && span.parent_span_id == root.span_id, "{span:?}");
        assert!(span.start_time_unix_nano >= root.start_time_unix_nano);
        assert!(span.end_time_unix_nano > span.start_time_unix_nano);
        assert_eq!(sender["service.name"], "blockgrid-worker");
        let of = text(&span.attributes);
        assert_eq!(sender["service.instance.id"], of["blockgrid.worker"]);
        let came_to_nothing = ["failed", "error"].contains(&of["blockgrid.result"].as_str());
        assert_eq!(span.status.unwrap().code == StatusCode::Error as i32, came_to_nothing);
        if of["blockgrid.result"] == "done" {
            told.insert(of["blockgrid.unit"].parse::<Unit>().unwrap(), of);
        }
    }
    for (unit, outcome) in &outcomes {
        let of = told.get(unit).unwrap_or_else(|| panic!("{unit} has no span"));
        assert_eq!(of["blockgrid.cpu_micros"], outcome.usage().spent.cpu_micros.to_string(), "{unit}");
    }
    assert_eq!(told.len(), outcomes.len());
}

/// Nobody waits for a collector, and a protocol that is not spoken is refused at the start.
#[test]
fn a_collector_that_is_not_there_changes_nothing() {
    let Some(mut rig) = Rig::start() else { return };
    // Nothing listens there.
    rig.environment = vec![("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9".to_owned())];
    let mut job = rig.submit(TINY, "lonely");
    let mut worker = rig.worker("w0");
    rig.right(&mut job);
    worker.signal("TERM");
    let told = std::time::Instant::now();
    assert_eq!(worker.ended().code(), Some(143), "{}", worker.log());
    assert!(told.elapsed() < std::time::Duration::from_secs(10), "{:?}", told.elapsed());
    rig.environment.push(("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc".to_owned()));
    let mut worker = rig.worker("w1");
    assert_eq!(worker.ended().code(), Some(78));
    until("it says why", || worker.log().contains("OTEL_EXPORTER_OTLP_PROTOCOL is `grpc`"));
}
