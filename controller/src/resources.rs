//! The kinds of blockgrid as the API server has them, and the names of labels, annotations and finalizers.

use std::borrow::Cow;
use std::collections::BTreeMap;

use blockgrid_grid::JobId;
use blockgrid_job::JobStatus;
use blockgrid_job::budget::BudgetStatus;
use blockgrid_job::names::MAX_TEXT_BYTES;
pub use blockgrid_job::names::{
    LINKS_ANNOTATION, NAME_LABEL, NAMESPACE_LABEL, TEXT_ANNOTATION, UID_LABEL, USER_LABEL,
};
use blockgrid_job::spec::{API_VERSION, KIND};
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::PatchParams;
use kube::{Api, Resource, ResourceExt};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

/// The API group.
pub const GROUP: &str = "grid.blockbuilders.app";
/// Its version.
pub const VERSION: &str = "v1alpha1";

/// Holds a job back from being deleted until its workers are gone and its cost is settled. The chart's admission policy lets
/// nobody else take away what begins so.
pub const FINALIZER: &str = "operator.grid.blockbuilders.app/job";
/// The field manager of what the operator writes.
pub const MANAGER: &str = "blockgrid-operator";

/// The longest spec that a cluster takes, as JSON: the operator holds those of all jobs that wait for their plan.
pub const MAX_SPEC_BYTES: usize = 128 << 10;

/// A `BacktestJob`. Its spec stays a tree of values: what is in it is checked by the code that checks it on a laptop.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BacktestJob {
    /// Lists leave it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_version: Option<String>,
    /// Lists leave it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Name, namespace, uid; not who wrote which field.
    #[serde(deserialize_with = "metadata")]
    pub metadata: ObjectMeta,
    /// What is asked. In place of one that is too long or nests too deep stands a text that says so, which is no spec: one
    /// tenant's object must not keep those of all others from being read.
    #[serde(default, deserialize_with = "spec")]
    pub spec: Value,
    /// What the operator says. One that cannot be read, as an older version may have left it, counts as none: it is
    /// made again from what is known, and no watch stops for it.
    #[serde(default, deserialize_with = "readable", skip_serializing_if = "Option::is_none")]
    pub status: Option<JobStatus>,
}

/// Passes over the text without reading it, as deep as it may nest; then reads it, apart.
fn spec<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Value, D::Error> {
    let raw = Box::<RawValue>::deserialize(deserializer)?;
    let text = raw.get();
    if text.len() > MAX_SPEC_BYTES {
        let bytes = text.len();
        return Ok(Value::String(format!("a spec of {bytes} bytes (a cluster takes {MAX_SPEC_BYTES})")));
    }
    Ok(serde_json::from_str(text)
        .unwrap_or_else(|error| Value::String(format!("a spec that cannot be read ({error})"))))
}

/// Fields of metadata that the operator asks for. Who wrote which field nests as deep as the spec, with times that are the
/// tenant's to write; owners, and labels and annotations of others, would be kept for nobody, as long as the job is there.
const KEPT: [&str; 8] = [
    "name",
    "namespace",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "finalizers",
];

/// The same of metadata: its [`KEPT`] fields, and our labels and annotations. Where they cannot be read as a whole, those
/// are left out that cannot.
fn metadata<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ObjectMeta, D::Error> {
    let raw = Box::<RawValue>::deserialize(deserializer)?;
    let fields: BTreeMap<String, Box<RawValue>> =
        serde_json::from_str(raw.get()).map_err(serde::de::Error::custom)?;
    let ours = |raw: &RawValue| -> Option<Value> {
        let mut words: BTreeMap<String, Value> = serde_json::from_str(raw.get()).ok()?;
        words.retain(|name, value| {
            let is_long = value.as_str().is_some_and(|text| text.len() > MAX_TEXT_BYTES);
            [LINKS_ANNOTATION, TEXT_ANNOTATION, USER_LABEL].contains(&name.as_str()) && !is_long
        });
        Some(words.into_iter().collect())
    };
    let read = |name: &str, raw: &RawValue| match name {
        "annotations" | "labels" => ours(raw),
        name if KEPT.contains(&name) => serde_json::from_str(raw.get()).ok(),
        _ => None,
    };
    let mut known: Map<String, Value> =
        fields.into_iter().filter_map(|(name, raw)| Some((name.clone(), read(&name, &raw)?))).collect();
    let read = |fields: &Map<String, Value>| serde_json::from_value::<ObjectMeta>(fields.clone().into());
    if let Ok(metadata) = read(&known) {
        return Ok(metadata);
    }
    known.retain(|name, value| read(&Map::from_iter([(name.clone(), value.clone())])).is_ok());
    read(&known).map_err(serde::de::Error::custom)
}

/// How the operator patches: under its own name.
pub fn patching() -> PatchParams {
    PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() }
}

/// Whether a Job or a pod is of this BacktestJob, and not of another by an unlikely name.
pub fn is_of(object: &impl ResourceExt, id: &JobId) -> bool {
    object.labels().get(UID_LABEL).map(String::as_str) == Some(id.as_str())
}

/// Whether a refusal may mean that an object is gone, or that another has its name.
pub fn is_gone(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if matches!(status.code, 404 | 409))
}

/// Whether this very job is there, asked live. A refusal alone does not say so: a conflict may be about a name that another
/// has now, or about what somebody else wrote at the same moment.
///
/// # Errors
/// The API server's.
pub async fn is_there(jobs: &Api<BacktestJob>, name: &str, id: &JobId) -> Result<bool, kube::Error> {
    Ok(jobs.get_opt(name).await?.is_some_and(|job| job.metadata.uid.as_deref() == Some(id.as_str())))
}

fn readable<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<JobStatus>, D::Error> {
    Ok(serde_json::from_value(Value::deserialize(deserializer)?).ok())
}

impl BacktestJob {
    /// As a manifest, for the code that reads those.
    pub fn manifest(&self) -> Value {
        json!({
            "apiVersion": API_VERSION,
            "kind": KIND,
            "metadata": { "name": self.metadata.name },
            "spec": self.spec,
        })
    }

    /// Forgets what nobody asks for any more, so that a cluster may have many: once the plan is committed, all of the spec
    /// but what is said to the cluster, and its author's text.
    pub fn lighten(&mut self) {
        let is_planned = |status: &JobStatus| status.planned_time.is_some() || status.phase.is_terminal();
        if !self.status.as_ref().is_some_and(is_planned) {
            return;
        }
        self.metadata.annotations.get_or_insert_default().remove(TEXT_ANNOTATION);
        let Value::Object(spec) = &mut self.spec else { return };
        spec.retain(|field, _| matches!(field.as_str(), "compute" | "suspend" | "cancel" | "ttl" | "data"));
        if let Some(Value::Object(data)) = spec.get_mut("data") {
            data.retain(|field, _| matches!(field.as_str(), "dataset" | "file"));
        }
    }

    /// The value of an annotation.
    pub fn annotation(&self, name: &str) -> Option<&str> {
        self.metadata.annotations.as_ref()?.get(name).map(String::as_str)
    }

    /// The value of a label.
    pub fn label(&self, name: &str) -> Option<&str> {
        self.metadata.labels.as_ref()?.get(name).map(String::as_str)
    }
}

impl Resource for BacktestJob {
    type DynamicType = ();
    type Scope = NamespaceResourceScope;

    fn kind(_: &()) -> Cow<'_, str> {
        KIND.into()
    }

    fn group(_: &()) -> Cow<'_, str> {
        GROUP.into()
    }

    fn version(_: &()) -> Cow<'_, str> {
        VERSION.into()
    }

    fn plural(_: &()) -> Cow<'_, str> {
        "backtestjobs".into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

/// A `BacktestBudget`: in the platform's namespace it limits the whole grid, elsewhere its namespace.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BacktestBudget {
    /// Lists leave it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_version: Option<String>,
    /// Lists leave it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Name, namespace, generation; not who wrote which field.
    #[serde(deserialize_with = "metadata")]
    pub metadata: ObjectMeta,
    /// The limits; one that cannot be read is told in a condition, and holds every job back.
    #[serde(default, deserialize_with = "spec")]
    pub spec: Value,
    /// What the operator says.
    #[serde(default, deserialize_with = "readable_budget", skip_serializing_if = "Option::is_none")]
    pub status: Option<BudgetStatus>,
}

fn readable_budget<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<BudgetStatus>, D::Error> {
    Ok(serde_json::from_value(Value::deserialize(deserializer)?).ok())
}

impl Resource for BacktestBudget {
    type DynamicType = ();
    type Scope = NamespaceResourceScope;

    fn kind(_: &()) -> Cow<'_, str> {
        "BacktestBudget".into()
    }

    fn group(_: &()) -> Cow<'_, str> {
        GROUP.into()
    }

    fn version(_: &()) -> Cow<'_, str> {
        VERSION.into()
    }

    fn plural(_: &()) -> Cow<'_, str> {
        "backtestbudgets".into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spec_that_is_too_much_is_told_and_stops_no_list() {
        let object = |spec: &str| {
            let text = format!(
                r#"{{"items": [{{"metadata": {{"name": "a"}}, "spec": {spec}, "status": {{"phase": "Queued"}}}}]}}"#
            );
            #[derive(Deserialize)]
            struct List {
                items: Vec<BacktestJob>,
            }
            let job = serde_json::from_str::<List>(&text).unwrap().items.remove(0);
            assert!(job.status.is_some());
            blockgrid_job::of_value(&job.manifest(), |_| false).unwrap_err().errors[0].to_string()
        };
        let deep = format!(r#"{{"sweep": {}{}}}"#, "[".repeat(500), "]".repeat(500));
        assert!(object(&deep).contains("recursion limit exceeded"), "{}", object(&deep));
        let long = format!(r#"{{"sweep": "{}"}}"#, "x".repeat(MAX_SPEC_BYTES));
        assert!(object(&long).contains("a cluster takes 131072"), "{}", object(&long));
    }

    /// As an API server answers: who wrote which field nests as the spec does, and says when in years that we cannot count.
    #[test]
    fn metadata_that_nests_or_lies_stops_no_list() {
        let fields = format!(r#"{}1{}"#, r#"{"f:a":"#.repeat(300), "}".repeat(300));
        let text = format!(
            r#"{{"apiVersion": "v1", "metadata": {{"resourceVersion": "7"}}, "items": [{{"metadata": {{
                "name": "a", "namespace": "b", "uid": "c", "deletionTimestamp": "9999-12-31T23:59:59Z",
                "creationTimestamp": "2026-01-05T00:00:00Z", "labels": {{"x": "y", "grid.blockbuilders.app/user": "ann"}}, "finalizers": ["f"],
                "annotations": {{"x": "{}"}}, "ownerReferences": [{{"name": "o"}}],
                "managedFields": [{{"manager": "m", "time": "9999-12-31T23:59:59Z", "fieldsV1": {fields}}}]
            }}, "spec": {{}}}}]}}"#,
            "long ".repeat(50_000)
        );
        let job = serde_json::from_str::<kube::core::ObjectList<BacktestJob>>(&text).unwrap().items.remove(0);
        let meta = &job.metadata;
        assert_eq!(
            (meta.name.as_deref(), meta.namespace.as_deref(), meta.uid.as_deref()),
            (Some("a"), Some("b"), Some("c"))
        );
        assert!(meta.creation_timestamp.is_some() && job.label(USER_LABEL) == Some("ann"));
        assert_eq!(
            (job.label("x"), job.annotation("x"), &meta.owner_references),
            (None, None, &None),
            "of others"
        );
        assert_eq!((&meta.managed_fields, meta.finalizers.as_deref()), (&None, Some(&["f".to_owned()][..])));
        let budget =
            serde_json::from_str::<kube::core::ObjectList<BacktestBudget>>(&text).unwrap().items.remove(0);
        assert_eq!(budget.metadata.name.as_deref(), Some("a"));
        let event = format!(r#"{{"type": "ADDED", "object": {}}}"#, {
            let start = text.find(r#"[{"metadata""#).unwrap() + 1;
            &text[start..text.len() - 2]
        });
        let event = serde_json::from_str::<kube::core::WatchEvent<BacktestJob>>(&event).unwrap();
        assert!(
            matches!(event, kube::core::WatchEvent::Added(job) if job.metadata.name.as_deref() == Some("a"))
        );
    }

    #[test]
    fn a_planned_job_keeps_what_it_says_to_the_cluster() {
        let object = |status: Value| {
            let object = json!({
                "metadata": { "name": "a", "annotations": { TEXT_ANNOTATION: "spec: {}", LINKS_ANNOTATION: "1" } },
                "spec": {
                    "data": { "dataset": "sample", "symbols": ["A"] }, "strategy": { "long": {} },
                    "compute": { "class": "spot" }, "suspend": true,
                },
                "status": status,
            });
            let mut job = serde_json::from_value::<BacktestJob>(object).unwrap();
            job.lighten();
            job
        };
        let new = object(Value::Null);
        assert_eq!(
            (new.spec["strategy"]["long"].is_object(), new.annotation(TEXT_ANNOTATION)),
            (true, Some("spec: {}"))
        );
        let planned = object(json!({ "phase": "Queued", "plannedTime": "2026-01-01T00:00:00Z" }));
        let left =
            json!({ "data": { "dataset": "sample" }, "compute": { "class": "spot" }, "suspend": true });
        assert_eq!(planned.spec, left);
        assert_eq!(
            (planned.annotation(TEXT_ANNOTATION), planned.annotation(LINKS_ANNOTATION)),
            (None, Some("1"))
        );
        assert_eq!(object(json!({ "phase": "Failed" })).spec, left);
    }

    #[test]
    fn a_status_that_cannot_be_read_is_none() {
        let job = |status: Value| {
            let object = json!({ "metadata": { "name": "a" }, "spec": {}, "status": status });
            serde_json::from_value::<BacktestJob>(object).unwrap()
        };
        assert_eq!(job(json!({ "phase": "Sideways" })).status, None);
        assert!(job(json!({ "phase": "Running" })).status.is_some());
        assert_eq!(job(Value::Null).status, None);
    }
}
