//! A job as it changes: a watch of the API server, begun again where it breaks off.

use std::time::Duration;

use futures::{StreamExt, pin_mut};
use kube::api::{WatchEvent, WatchParams};

use super::client::{Cluster, is_transient};
use super::object::BacktestJob;
use crate::failure::Failure;
use crate::show;

/// Seconds after which a server ends a watch, which then begins anew.
const WATCH_SECONDS: u32 = 290;

/// The pause after a failure, which doubles up to the longest.
const PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

/// Shows a job to `see`, now and whenever it changes, until that has an answer. Disconnects are survived; a job that is
/// deleted is a failure, and so is another of its name.
pub(super) async fn follow<T>(
    cluster: &Cluster,
    name: &str,
    mut see: impl FnMut(&BacktestJob) -> Option<T>,
) -> Result<T, Failure> {
    let jobs = cluster.jobs();
    let gone = || Failure::No(format!("{name} was deleted"));
    let mut uid: Option<String> = None;
    let mut failures = 0;
    loop {
        if failures > 0 {
            tokio::time::sleep((PAUSE * 2_u32.pow(failures.min(8) - 1)).min(LONGEST_PAUSE)).await;
        }
        let job: BacktestJob = match jobs.get(name).await {
            Ok(job) => job.into(),
            Err(kube::Error::Api(status)) if status.code == 404 && uid.is_some() => return Err(gone()),
            Err(error) if is_transient(&error) && uid.is_some() => {
                failures += 1;
                if failures == 2 {
                    show::note("the API server does not answer: trying again until it does");
                }
                continue;
            }
            Err(error) => return Err(cluster.failed(error, cluster.call("get", name)).await),
        };
        if uid.get_or_insert_with(|| job.uid.clone()) != &job.uid {
            return Err(gone());
        }
        if let Some(answer) = see(&job) {
            return Ok(answer);
        }
        let parameters =
            WatchParams::default().fields(&format!("metadata.name={name}")).timeout(WATCH_SECONDS);
        let events = match jobs.watch(&parameters, &job.version).await {
            Ok(events) => events,
            Err(error) if is_transient(&error) || is_expired(&error) => {
                failures += 1;
                continue;
            }
            Err(error) => return Err(cluster.failed(error, cluster.call("watch", name)).await),
        };
        pin_mut!(events);
        let mut was_quiet = true;
        while let Some(event) = events.next().await {
            match event {
                Ok(WatchEvent::Added(object) | WatchEvent::Modified(object)) => {
                    was_quiet = false;
                    let job = BacktestJob::from(object);
                    if uid.as_ref() != Some(&job.uid) {
                        return Err(gone());
                    }
                    if let Some(answer) = see(&job) {
                        return Ok(answer);
                    }
                }
                Ok(WatchEvent::Deleted(_)) => return Err(gone()),
                Ok(WatchEvent::Bookmark(_)) => was_quiet = false,
                // Too old, or cut: looked at anew.
                Ok(WatchEvent::Error(_)) | Err(_) => break,
            }
        }
        // A server that ends each watch at once is not asked without a pause.
        failures = if was_quiet { (failures + 1).min(3) } else { 0 };
    }
}

/// Whether a watch began at a version that the server has forgotten.
fn is_expired(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 410)
}
