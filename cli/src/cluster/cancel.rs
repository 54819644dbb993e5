//! `kubectl backtest cancel`: ends a job for good.

use blockgrid_job::status::Phase;
use serde_json::json;

use super::ChangeArgs;
use super::client::Cluster;
use super::suspend::until;
use crate::failure::Failure;
use crate::show;

pub(super) async fn cancel(cluster: &Cluster, args: &ChangeArgs) -> Result<(), Failure> {
    let name = &args.name;
    let before = cluster.job(name).await?;
    if before.status.phase.is_terminal() {
        show::note(&format!("{name} has ended already: {}", before.status.phase));
        return Ok(());
    }
    cluster.patch(name, json!({ "spec": { "cancel": true } })).await?;
    if args.no_wait {
        show::note(&format!("{name} is to be cancelled"));
        return Ok(());
    }
    let job = until(cluster, name, |job| job.status.phase.is_terminal()).await?;
    match job.status.phase {
        Phase::Cancelled => show::note(&format!("{name} is cancelled")),
        phase => show::note(&format!("{name} had ended before: {phase}")),
    }
    Ok(())
}
