//! What is live: budgets, and what jobs hold.

use std::collections::BTreeMap;
use std::time::Instant;

use blockgrid_grid::JobId;
use kube::api::{ListParams, Patch, PostParams};
use kube::{Api, ResourceExt};
use serde_json::json;

use super::books::Share;
use super::{Clerk, TreasuryError, Whose};
use crate::clock;
use crate::resources::{BacktestBudget, BacktestJob, is_gone, is_there, patching};
use crate::world::Purpose;

impl Clerk {
    /// Makes the budget of the configuration where the whole grid has none: the one that was made.
    pub(super) async fn make_default(&self) -> Result<Option<BacktestBudget>, TreasuryError> {
        let Some(spec) = &self.means.config.budget else { return Ok(None) };
        let budgets: Api<BacktestBudget> = Api::namespaced(self.means.client.clone(), &self.means.platform);
        if !budgets.list(&ListParams::default().limit(1)).await?.items.is_empty() {
            return Ok(None);
        }
        let budget: BacktestBudget = serde_json::from_value(json!({
            "apiVersion": blockgrid_job::spec::API_VERSION,
            "kind": "BacktestBudget",
            "metadata": { "name": "grid", "namespace": self.means.platform },
            "spec": spec,
        }))
        .map_err(kube::Error::SerdeError)?;
        match budgets.create(&PostParams::default(), &budget).await {
            Ok(made) => Ok(Some(made)),
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// What jobs hold, by a live list.
    pub(super) async fn reservations(&self) -> Result<BTreeMap<JobId, Share>, TreasuryError> {
        let mut found = BTreeMap::new();
        for api in self.means.config.apis::<BacktestJob>(&self.means.client, None) {
            let mut page = ListParams::default().limit(500);
            loop {
                let jobs = api.list(&page).await?;
                for job in &jobs.items {
                    let held = job.status.as_ref().and_then(|status| status.reserved_micro_usd);
                    let (Some(micro_usd), Some(uid)) = (held, job.uid()) else { continue };
                    let Ok(id) = uid.parse::<JobId>() else { continue };
                    let user = crate::observe::user(job, &self.means.config);
                    found.insert(
                        id,
                        Share {
                            namespace: job.namespace().unwrap_or_default(),
                            user,
                            micro_usd,
                            purpose: Purpose::GoOn,
                        },
                    );
                }
                match jobs.metadata.continue_.filter(|token| !token.is_empty()) {
                    Some(token) => page = page.continue_token(&token),
                    None => break,
                }
            }
        }
        Ok(found)
    }

    /// Writes into the status of a job, and of no later one of its name.
    pub(super) fn patch(
        &self,
        whose: &Whose,
        mut body: serde_json::Value,
    ) -> impl Future<Output = Result<(), TreasuryError>> + use<> {
        let jobs: Api<BacktestJob> = Api::namespaced(self.means.client.clone(), &whose.share.namespace);
        let (name, jobs_of) = (whose.name.clone(), whose.share.namespace.clone());
        let (id, reign) = (whose.id.clone(), self.means.reign.clone());
        body["metadata"] = json!({ "uid": id });
        async move {
            if !reign.lasts() {
                return Err(TreasuryError::Gone);
            }
            let Err(error) = jobs.patch_status(&name, &patching(), &Patch::Merge(body)).await else {
                return Ok(());
            };
            if is_gone(&error) && !is_there(&jobs, &name, &id).await? {
                return Err(TreasuryError::NoJob(format!("{jobs_of}/{name} ({id})")));
            }
            Err(error.into())
        }
    }

    /// Gives back what jobs hold that are gone without a word: somebody took their finalizer away. Nothing is being written
    /// now, so what a live list does not tell is not held.
    pub(super) async fn audit(&mut self) -> Result<(), TreasuryError> {
        let live = match self.reservations().await {
            Ok(live) => live,
            Err(error) => {
                tracing::warn!(%error, "what jobs hold could not be audited");
                return Ok(());
            }
        };
        let before = self.books.reserved.len();
        self.books.reserved.retain(|id, _| live.contains_key(id));
        if self.books.reserved.len() < before {
            tracing::warn!(
                jobs = before - self.books.reserved.len(),
                "jobs that held money are gone: it is given back"
            );
            self.told.clear();
            self.wake_some(clock::now());
        }
        let Some(ledger) = &mut self.ledger else { return Ok(()) };
        if !self.means.reign.lasts() {
            return Err(TreasuryError::Gone);
        }
        // Of a job that holds money somebody may ask once more to have it written down.
        match ledger.fold(Instant::now(), |id| live.contains_key(id)).await {
            Ok(0) => Ok(()),
            Ok(jobs) => {
                tracing::info!(jobs, "entries of the ledger were folded");
                Ok(())
            }
            Err(error @ TreasuryError::Fenced(_)) => Err(error),
            Err(error) => {
                tracing::warn!(%error, "the ledger could not be folded");
                Ok(())
            }
        }
    }
}

/// What a budget is known by.
pub(super) fn key(budget: &BacktestBudget) -> super::books::Key {
    (budget.namespace().unwrap_or_default(), budget.name_any())
}
