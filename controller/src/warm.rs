//! The warm workers of the interactive lane: as many as what waits needs.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use blockgrid_grid::{ENGINE, Lane as LaneName, Queue, RedisQueue, Stream};
use blockgrid_job::budget::HardAction;
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{Deployment, DeploymentStatus};
use kube::api::Patch;
use kube::{Api, Client};
use serde_json::json;

use crate::clock;
use crate::config::{Config, Interactive, vcpus};
use crate::meters::Meters;
use crate::resources::patching;
use crate::treasury::Treasury;

/// How often the lane is looked at.
const LOOK: Duration = Duration::from_secs(5);

/// Seconds in which what waits should be done.
const SOON: u64 = 2;

/// Looks with too many workers before some go: starting one takes longer than keeping it.
const PATIENCE: u32 = 24;

/// What is known of the lane's workers.
#[derive(Debug, Default)]
pub struct Lane {
    empty_since: Mutex<Option<Timestamp>>,
    micro_usd_per_hour: AtomicU64,
}

impl Lane {
    /// Since when none is ready; `None` while some are, before anyone has looked, and where there is no lane.
    pub fn empty_since(&self) -> Option<Timestamp> {
        *self.empty_since.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// So many are ready.
    fn sees(&self, ready: i32, now: Timestamp) {
        let mut empty_since = self.empty_since.lock().unwrap_or_else(PoisonError::into_inner);
        *empty_since = if ready > 0 { None } else { empty_since.or(Some(now)) };
    }

    /// Micro-USD that an hour of all its pods costs, ready or not.
    pub fn micro_usd_per_hour(&self) -> u64 {
        self.micro_usd_per_hour.load(Ordering::Relaxed)
    }
}

/// What an hour of a Deployment's pods costs: what they ask for, at the price of a vCPU.
fn micro_usd_per_hour(deployment: &Deployment, micro_usd_per_vcpu_hour: u64) -> u64 {
    let pods = deployment.status.as_ref().and_then(|status| status.replicas).unwrap_or(0);
    let pod = deployment.spec.as_ref().and_then(|spec| spec.template.spec.as_ref());
    let asked = pod.into_iter().flat_map(|pod| &pod.containers).filter_map(|container| {
        let requests = container.resources.as_ref()?.requests.as_ref()?;
        vcpus(&requests.get("cpu")?.0)
    });
    (asked.sum::<f64>() * f64::from(pods) * micro_usd_per_vcpu_hour as f64).round() as u64
}

/// Workers of this version that are ready, at least. Those of the version before serve another engine's lane, and where
/// new ones do not come up they stay.
fn ready(status: &DeploymentStatus) -> i32 {
    let count = |count: Option<i32>| count.unwrap_or(0);
    let before = count(status.replicas) - count(status.updated_replicas);
    (count(status.ready_replicas) - before).max(0)
}

/// How many workers so much waiting work needs, and the money of the whole grid pays for.
pub fn wanted(queued_micros: u64, lane: &Interactive, spent: Option<HardAction>) -> i32 {
    match spent {
        // What waits is done, then nothing is left that costs.
        Some(HardAction::Drain) if queued_micros == 0 => return 0,
        Some(_) if queued_micros > 0 => return lane.min_replicas.max(1),
        Some(_) => return lane.min_replicas,
        None => {}
    }
    let a_worker = u64::from(lane.slots.max(1)) * SOON * 1_000_000;
    let wanted = i32::try_from(queued_micros.div_ceil(a_worker)).unwrap_or(i32::MAX);
    wanted.clamp(lane.min_replicas, lane.max_replicas)
}

/// Keeps the lane's Deployment as large as it should be, until it is dropped.
pub async fn keep(
    client: Client,
    queue: RedisQueue,
    config: Arc<Config>,
    lane: Arc<Lane>,
    treasury: Treasury,
    meters: Arc<Meters>,
) {
    if !config.interactive.enabled {
        return std::future::pending().await;
    }
    let deployments: Api<Deployment> = Api::namespaced(client, &config.workers.namespace);
    let name = &config.interactive.deployment;
    let stream = Stream::Lane(LaneName::interactive(ENGINE));
    let standard = config.classes.get("standard").map(|class| class.micro_usd_per_vcpu_hour);
    let price = config.interactive.micro_usd_per_vcpu_hour.or(standard).unwrap_or(0);
    let mut too_many = 0;
    treasury.begun().await;
    loop {
        // A lane that nobody opened yet has nothing waiting.
        let micros = queue.depth(&stream).await.map_or(0, |depth| depth.queued_micros);
        let wanted = wanted(micros, &config.interactive, treasury.spent());
        match deployments.get(name).await {
            Ok(deployment) => {
                lane.micro_usd_per_hour.store(micro_usd_per_hour(&deployment, price), Ordering::Relaxed);
                let status = deployment.status.unwrap_or_default();
                lane.sees(ready(&status), clock::now());
                let has = deployment.spec.and_then(|spec| spec.replicas).unwrap_or(1);
                too_many = if has > wanted { too_many + 1 } else { 0 };
                if has < wanted || too_many >= PATIENCE {
                    too_many = 0;
                    let body = json!({ "spec": { "replicas": wanted } });
                    match deployments.patch_scale(name, &patching(), &Patch::Merge(body)).await {
                        Ok(_) => tracing::info!(from = has, to = wanted, "the interactive lane is scaled"),
                        Err(error) => tracing::warn!(%error, "the interactive lane could not be scaled"),
                    }
                }
                meters.lane(wanted, micros);
            }
            Err(error) => {
                lane.sees(0, clock::now());
                if matches!(&error, kube::Error::Api(status) if status.code == 404) {
                    lane.micro_usd_per_hour.store(0, Ordering::Relaxed);
                }
                tracing::warn!(%error, deployment = %name, "the workers of the interactive lane are not there");
            }
        }
        tokio::time::sleep(LOOK).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_pods_cost_what_they_ask_for() {
        let container = json!({ "name": "w", "resources": { "requests": { "cpu": "1500m" } } });
        let deployment: Deployment = serde_json::from_value(json!({
            "spec": {
                "selector": {},
                "template": { "spec": { "containers": [container, { "name": "x" }, { "name": "y", "resources": { "requests": { "cpu": "1" } } }] } },
            },
            "status": { "replicas": 4 },
        }))
        .unwrap();
        assert_eq!(micro_usd_per_hour(&deployment, 36_000), 360_000);
        assert_eq!(micro_usd_per_hour(&Deployment::default(), 36_000), 0);
    }

    #[test]
    fn workers_of_the_version_before_are_not_counted() {
        for (replicas, updated, all, ours) in
            [(2, 2, 2, 2), (3, 1, 2, 0), (3, 1, 3, 1), (2, 2, 0, 0), (0, 0, 0, 0)]
        {
            let status = DeploymentStatus {
                replicas: Some(replicas),
                updated_replicas: Some(updated),
                ready_replicas: Some(all),
                ..DeploymentStatus::default()
            };
            assert_eq!(ready(&status), ours, "{status:?}");
        }
        let (lane, at) = (Lane::default(), |second| Timestamp::from_second(second).unwrap());
        assert_eq!(lane.empty_since(), None, "nobody has looked");
        for (second, ready, since) in [(1, 0, Some(1)), (2, 0, Some(1)), (3, 1, None), (4, 0, Some(4))] {
            lane.sees(ready, at(second));
            assert_eq!(lane.empty_since(), since.map(at), "{second}");
        }
    }

    #[test]
    fn workers_are_as_many_as_the_work_needs_within_limits() {
        let lane = Interactive { slots: 2, min_replicas: 1, max_replicas: 5, ..Interactive::default() };
        for (seconds, workers) in [(0, 1), (4, 1), (5, 2), (12, 3), (1000, 5)] {
            assert_eq!(wanted(seconds * 1_000_000, &lane, None), workers, "{seconds}");
        }
        // Where the month's money is gone.
        for (action, seconds, workers) in [
            (HardAction::Hold, 0, 1),
            (HardAction::Hold, 99, 1),
            (HardAction::Drain, 0, 0),
            (HardAction::Drain, 99, 1),
        ] {
            assert_eq!(wanted(seconds * 1_000_000, &lane, Some(action)), workers, "{action:?} {seconds}");
        }
        let lane = Interactive { min_replicas: 0, ..lane };
        assert_eq!(wanted(1, &lane, Some(HardAction::Hold)), 1, "what was let in is done");
        assert_eq!(wanted(0, &lane, Some(HardAction::Hold)), 0);
    }
}
