//! Workers whose job is gone without a word, as when somebody took its finalizer away: they are found and removed.

use std::time::Duration;

use blockgrid_grid::store::keys;
use blockgrid_grid::{JobId, Queue};
use k8s_openapi::api::batch::v1::Job;
use kube::api::{DeleteParams, PropagationPolicy};
use kube::{Api, ResourceExt};

use crate::context::Context;
use crate::resources::{BacktestJob, NAME_LABEL, NAMESPACE_LABEL, UID_LABEL, is_there};

/// How often they are looked for, at least.
const LOOK: Duration = Duration::from_secs(60);

/// Looks for them until it is dropped.
pub async fn sweep(context: &Context) {
    // A job that has workers is looked at more often than this: one that was not is asked for.
    let away = context.config.jobs.audit_interval;
    loop {
        tokio::time::sleep(LOOK.min(away)).await;
        for pool in context.pools.state() {
            let uid = pool.labels().get(UID_LABEL).and_then(|uid| uid.parse::<JobId>().ok());
            let Some(id) = uid else { continue };
            // One that is looked at is seen to there; nobody tells of one that went without its finalizer.
            if context.was_seen(&id, away) || pool.metadata.deletion_timestamp.is_some() {
                continue;
            }
            if let Err(error) = remove_orphan(context, &pool, &id).await {
                tracing::warn!(job = %id, %error, "workers that may be nobody's could not be looked at");
            }
        }
    }
}

async fn remove_orphan(context: &Context, pool: &Job, id: &JobId) -> Result<(), kube::Error> {
    let namespace = pool.labels().get(NAMESPACE_LABEL).cloned().unwrap_or_default();
    let jobs: Api<BacktestJob> = Api::namespaced(context.client.clone(), &namespace);
    // A long name is cut in its label; an older operator wrote that alone.
    let name = pool
        .annotations()
        .get(NAME_LABEL)
        .or_else(|| pool.labels().get(NAME_LABEL).filter(|name| name.len() < 63));
    let Some(name) = name else { return Ok(()) };
    // Live, not from a watch.
    if is_there(&jobs, name, id).await? {
        return Ok(());
    }
    tracing::warn!(job = %id, pool = pool.name_any(), "its BacktestJob is gone: its workers are removed");
    // Workers that are still there obey this.
    if let Err(error) = context.store.put(&keys::cancelled(id), Vec::new().into()).await {
        tracing::warn!(job = %id, %error, "it could not be marked as cancelled");
    }
    let _ = context.queue.forget(id).await;
    context.forget(id);
    let pools: Api<Job> = Api::namespaced(context.client.clone(), &context.config.workers.namespace);
    let how =
        DeleteParams { propagation_policy: Some(PropagationPolicy::Background), ..DeleteParams::default() };
    match pools.delete(&pool.name_any(), &how).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(error)) if error.code == 404 => Ok(()),
        Err(error) => Err(error),
    }
}
