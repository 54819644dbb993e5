//! Who tells people who watch events: the operator.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::api::PostParams;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use kube::{Api, Client};

use crate::clock;

/// The longest name of an object whose events are named after it: 17 more letters make a name of the 253 that there may be.
const LONGEST_NAME: usize = 236;

/// Tells events, repeated ones as a series.
#[derive(Clone)]
pub struct Teller {
    client: Client,
    recorder: Recorder,
    reporter: Reporter,
}

impl Teller {
    /// One of this replica.
    pub fn new(client: Client, instance: &str) -> Self {
        let controller = crate::resources::MANAGER.to_owned();
        let reporter = Reporter { controller, instance: Some(instance.to_owned()) };
        let recorder = Recorder::new(client.clone(), reporter.clone());
        Self { client, recorder, reporter }
    }

    /// Tells an event of an object.
    ///
    /// # Errors
    /// What the API server says.
    pub async fn publish(&self, event: &Event, of: &ObjectReference) -> Result<(), kube::Error> {
        let name = of.name.as_deref().unwrap_or_default();
        if name.len() <= LONGEST_NAME {
            return self.recorder.publish(event, of).await;
        }
        // The recorder names events after the object, which an API server refuses of this one.
        let named = of_long_name(event, of, &self.reporter, clock::now());
        let events: Api<v1::Event> =
            Api::namespaced(self.client.clone(), of.namespace.as_deref().unwrap_or("default"));
        events.create(&PostParams::default(), &named).await.map(|_| ())
    }
}

/// An event whose name the API server makes of what it leaves of the object's.
fn of_long_name(event: &Event, of: &ObjectReference, reporter: &Reporter, now: Timestamp) -> v1::Event {
    // Of a longer one it leaves no more.
    const LEFT: usize = 50;
    let begin: String = of.name.iter().flat_map(|name| name.chars()).take(LEFT).collect();
    v1::Event {
        metadata: ObjectMeta {
            generate_name: Some(format!("{}-", begin.trim_end_matches(['-', '.']))),
            namespace: of.namespace.clone(),
            ..ObjectMeta::default()
        },
        action: Some(event.action.clone()),
        event_time: Some(MicroTime(now)),
        note: event.note.clone(),
        reason: Some(event.reason.clone()),
        regarding: Some(of.clone()),
        reporting_controller: Some(reporter.controller.clone()),
        reporting_instance: reporter.instance.clone(),
        type_: Some(
            match event.type_ {
                EventType::Normal => "Normal",
                EventType::Warning => "Warning",
            }
            .to_owned(),
        ),
        ..v1::Event::default()
    }
}
