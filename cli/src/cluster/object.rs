//! Objects of the grid as an API server has them: what there is to know of a job.

use blockgrid_job::JobStatus;
use blockgrid_job::crd::{GROUP, Kind, VERSION};
use blockgrid_job::names::LINKS_ANNOTATION;
use blockgrid_job::spec::API_VERSION;
use jiff::Timestamp;
use kube::api::{ApiResource, DynamicObject};
use serde_json::Value;

/// A kind of the grid for a client.
pub(super) fn resource(kind: Kind) -> ApiResource {
    ApiResource {
        group: GROUP.to_owned(),
        version: VERSION.to_owned(),
        api_version: API_VERSION.to_owned(),
        kind: kind.id().to_owned(),
        plural: kind.plural().to_owned(),
    }
}

/// A job.
#[derive(Debug, Clone)]
pub(super) struct BacktestJob {
    pub(super) name: String,
    pub(super) namespace: String,
    pub(super) uid: String,
    /// The resource version.
    pub(super) version: String,
    /// The generation of its spec.
    pub(super) generation: i64,
    pub(super) created: Option<Timestamp>,
    pub(super) is_deleted: bool,
    /// The request for links that stands in it.
    pub(super) asks: Option<String>,
    pub(super) spec: Value,
    /// Whether the operator has said anything about it.
    pub(super) is_seen: bool,
    /// When it last did, by the API server's clock.
    pub(super) told: Option<Timestamp>,
    /// What it said; of a version that cannot be read, nothing.
    pub(super) status: JobStatus,
}

impl From<DynamicObject> for BacktestJob {
    fn from(object: DynamicObject) -> Self {
        let (metadata, mut data) = (object.metadata, object.data);
        let fields = metadata.managed_fields.unwrap_or_default();
        let of_status = fields.into_iter().filter(|fields| fields.subresource.as_deref() == Some("status"));
        let annotations = metadata.annotations.unwrap_or_default();
        let status = data.get_mut("status").map(Value::take).filter(|status| !status.is_null());
        Self {
            name: metadata.name.unwrap_or_default(),
            namespace: metadata.namespace.unwrap_or_default(),
            uid: metadata.uid.unwrap_or_default(),
            version: metadata.resource_version.unwrap_or_default(),
            generation: metadata.generation.unwrap_or_default(),
            created: metadata.creation_timestamp.map(|time| time.0),
            is_deleted: metadata.deletion_timestamp.is_some(),
            asks: annotations.get(LINKS_ANNOTATION).cloned(),
            spec: data.get_mut("spec").map(Value::take).unwrap_or_default(),
            is_seen: status.is_some(),
            told: of_status.filter_map(|fields| Some(fields.time?.0)).max(),
            status: status.and_then(|status| serde_json::from_value(status).ok()).unwrap_or_default(),
        }
    }
}

impl BacktestJob {
    /// Whether the operator has taken note of the spec as it is now.
    pub(super) fn is_current(&self) -> bool {
        self.is_seen && self.status.observed_generation.is_some_and(|seen| seen >= self.generation)
    }

    /// Why it is as it is, for programs: the reason of its end, or of what holds it back.
    pub(super) fn reason(&self) -> &str {
        self.status.condition("Finished").map_or("", |condition| condition.reason.as_str())
    }

    /// How it ended: its phase, and the reason where that says more.
    pub(super) fn ended_as(&self) -> String {
        let (phase, reason) = (self.status.phase, self.reason());
        if reason == phase.id() { phase.id().to_owned() } else { format!("{phase} ({reason})") }
    }

    /// The same for people.
    pub(super) fn message(&self) -> &str {
        self.status.message.as_deref().unwrap_or_default()
    }

    /// What it says about itself in full, where the message is only the first line.
    pub(super) fn full_message(&self) -> &str {
        let said = self.status.condition("Finished").map(|condition| condition.message.as_str());
        said.filter(|said| !said.is_empty()).unwrap_or_else(|| self.message())
    }
}
