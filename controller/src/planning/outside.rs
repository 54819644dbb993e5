//! Plans that a pod of their own makes: `blockgrid-controller plan`. The order goes to it through the store, and the plan or
//! the refusal comes back the same way, so that it needs no right on the API server.

use blockgrid_grid::store::keys;
use blockgrid_grid::telemetry::Telemetry;
use blockgrid_grid::{JobId, Options, Store, StoreError};
use blockgrid_planner::candles::open_registered;
use serde::{Deserialize, Serialize};

use super::make::{Made, Order, make};
use crate::world::Refused;

/// Leaves the order where the pod finds it, in the place of what the one before it has answered.
///
/// # Errors
/// [`StoreError`].
pub async fn put(store: &Store, id: &JobId, order: &Order) -> Result<(), StoreError> {
    let bytes = serde_json::to_vec(order)
        .map_err(|error| StoreError::Other { key: keys::order(id), problem: error.to_string() })?;
    store.delete(&keys::refusal(id)).await?;
    store.put(&keys::order(id), bytes.into()).await?;
    Ok(())
}

/// What a pod says that made no plan.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Answer {
    /// There will be none.
    Refused(Refused),
    /// Not yet, which is not the job's fault: why.
    Failing {
        /// For people.
        failing: String,
    },
}

/// Why the pod made no plan, if it has said so.
///
/// # Errors
/// [`StoreError`].
pub async fn answer(store: &Store, id: &JobId) -> Result<Option<Answer>, StoreError> {
    let key = keys::refusal(id);
    let bytes = match store.get(&key).await {
        Ok(bytes) => bytes,
        Err(StoreError::NotFound { .. }) => return Ok(None),
        Err(error) => return Err(error),
    };
    Ok(Some(serde_json::from_slice(&bytes).unwrap_or_else(|error| {
        let message = format!("the refusal cannot be read: {error}");
        Answer::Refused(Refused { reason: "PlanFailed".into(), message })
    })))
}

async fn say(store: &Store, id: &JobId, answer: &Answer) -> Result<(), String> {
    let bytes = serde_json::to_vec(answer).map_err(|error| error.to_string())?;
    store.put(&keys::refusal(id), bytes.into()).await.map(|_| ()).map_err(|error| error.to_string())
}

/// The pod's work.
///
/// # Errors
/// What to try again after.
pub async fn work(store: &Store, s3: &Options, id: &JobId, telemetry: &Telemetry) -> Result<(), String> {
    let text = |error: StoreError| error.to_string();
    let bytes = store.get(&keys::order(id)).await.map_err(text)?;
    let order: Order = serde_json::from_slice(&bytes).map_err(|error| error.to_string())?;
    let dataset = open_registered(&order.location, s3);
    match make(store, id, order, dataset, telemetry).await {
        Made::Plan(plan) => {
            tracing::info!(job = %id, shards = plan.shards, trials = plan.trials(), "planned");
            Ok(())
        }
        Made::Refused(refused) => {
            tracing::warn!(job = %id, reason = %refused.reason, message = refused.message, "refused");
            say(store, id, &Answer::Refused(refused)).await
        }
        // The operator tells it and orders it anew after a while; where it cannot be said, the pod is tried again.
        Made::Failing(failing) => {
            tracing::warn!(job = %id, failing, "the plan could not be made");
            say(store, id, &Answer::Failing { failing }).await
        }
    }
}
