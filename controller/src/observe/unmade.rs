//! Why a pool has no pods: what refuses them, a quota or a policy, is told by the Job controller in an Event of the Job and
//! nowhere else.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Event;
use kube::Api;
use kube::api::ListParams;

use crate::context::Context;
use crate::world::Trouble;

/// How the Job controller names it.
const FAILED_CREATE: &str = "FailedCreate";

/// Seconds in which the Job controller makes pods, if it can.
const SOON: i64 = 2;

/// What keeps the pods of a Job that has none from being made, if something does. `since` is when they could be.
pub(super) async fn unmade(
    context: &Context,
    job: &str,
    since: Option<Timestamp>,
    now: Timestamp,
) -> Option<Trouble> {
    let since = since?;
    if now.as_second() - since.as_second() < SOON {
        return None;
    }
    let events: Api<Event> = Api::namespaced(context.client.clone(), &context.config.workers.namespace);
    let of_pool = format!("involvedObject.kind=Job,involvedObject.name={job},reason={FAILED_CREATE}");
    match events.list(&ListParams::default().fields(&of_pool)).await {
        Ok(list) => latest(list.items, since),
        // It is only what is said.
        Err(error) => {
            tracing::warn!(job, %error, "why it has no pods cannot be asked for");
            None
        }
    }
}

/// The latest of them. Those from before it was woken are of another time.
fn latest(events: Vec<Event>, since: Timestamp) -> Option<Trouble> {
    let at = |event: &Event| {
        let last = event.last_timestamp.as_ref().map(|time| time.0);
        last.or_else(|| event.event_time.as_ref().map(|time| time.0))
    };
    let known = events.into_iter().filter_map(|event| Some((at(&event)?, event)));
    let (_, event) = known
        // Whole seconds.
        .filter(|(at, _)| at.as_second() >= since.as_second())
        .max_by_key(|(at, _)| *at)?;
    let message = event.message.unwrap_or_default();
    Some(Trouble { reason: FAILED_CREATE.to_owned(), message })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_latest_refusal_since_the_pool_was_woken_is_told() {
        let event = |at: &str, message: &str| {
            serde_json::from_value::<Event>(json!({
                "metadata": {}, "involvedObject": {}, "lastTimestamp": at, "message": message,
            }))
            .unwrap()
        };
        let events = vec![
            event("2026-01-01T00:00:09Z", "exceeded quota: a"),
            event("2026-01-01T00:00:30Z", "exceeded quota: c"),
            event("2026-01-01T00:00:20Z", "exceeded quota: b"),
        ];
        let since = |text: &str| text.parse::<Timestamp>().unwrap();
        let told = latest(events.clone(), since("2026-01-01T00:00:10Z")).unwrap();
        assert_eq!((told.reason.as_str(), told.message.as_str()), ("FailedCreate", "exceeded quota: c"));
        assert_eq!(latest(events, since("2026-01-01T00:00:31Z")), None);
        assert_eq!(latest(Vec::new(), since("2026-01-01T00:00:31Z")), None);
    }
}
