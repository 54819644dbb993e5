//! Plans that a pod of their own makes: `blockgrid-controller plan`. The order goes to it through the store, and the plan or
//! the refusal comes back the same way, so that it needs no right on the API server.

use blockgrid_grid::store::keys;
use blockgrid_grid::telemetry::Telemetry;
use blockgrid_grid::{JobId, Options, Store, StoreError};
use blockgrid_planner::candles::open_registered;

use super::make::{Made, Order, make};
use crate::world::Refused;

/// Leaves the order where the pod finds it.
///
/// # Errors
/// [`StoreError`].
pub async fn put(store: &Store, id: &JobId, order: &Order) -> Result<(), StoreError> {
    let bytes = serde_json::to_vec(order)
        .map_err(|error| StoreError::Other { key: keys::order(id), problem: error.to_string() })?;
    store.put(&keys::order(id), bytes.into()).await?;
    Ok(())
}

/// Why the pod made no plan, if it has said so.
///
/// # Errors
/// [`StoreError`].
pub async fn refusal(store: &Store, id: &JobId) -> Result<Option<Refused>, StoreError> {
    match store.get(&keys::refusal(id)).await {
        Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes).unwrap_or_else(|error| Refused {
            reason: "PlanFailed".into(),
            message: format!("the refusal cannot be read: {error}"),
        }))),
        Err(StoreError::NotFound { .. }) => Ok(None),
        Err(error) => Err(error),
    }
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
            let bytes = serde_json::to_vec(&refused).map_err(|error| error.to_string())?;
            store.put(&keys::refusal(id), bytes.into()).await.map_err(text)?;
            Ok(())
        }
        Made::Failing(error) => Err(error),
    }
}
