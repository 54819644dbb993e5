//! What is written about budgets.

use std::time::{Duration, Instant};

use blockgrid_job::budget::{BudgetSpec, BudgetStatus};
use blockgrid_job::status::Condition;
use jiff::Timestamp;
use kube::api::{ListParams, PostParams};
use kube::runtime::events::{Event, EventType};
use kube::{Api, Resource, ResourceExt};

use super::books::Key;
use super::{Clerk, TreasuryError};
use crate::plan::say::written;
use crate::resources::BacktestBudget;

/// How often the figures of a budget are written though no money moved: the projection moves with time.
const TELL: Duration = Duration::from_secs(600);

/// Times that a status is written once more because somebody else wrote the object, and not its money.
const CONFLICTS: u32 = 50;

const MILLISECOND: Duration = Duration::from_millis(1);

impl Clerk {
    /// Writes the budgets that these namespaces' jobs count for: theirs first, then the whole grid's. Whether a limit was
    /// changed meanwhile, or a budget removed.
    pub(super) async fn raise(
        &mut self,
        namespaces: &[String],
        now: Timestamp,
    ) -> Result<bool, TreasuryError> {
        let (before, mut changed) = (self.has_news, false);
        let mut keys: Vec<Key> = Vec::new();
        for namespace in namespaces {
            for key in self.books.of_namespace(namespace) {
                if !keys.contains(key) {
                    keys.push(key.clone());
                }
            }
        }
        keys.sort_by_key(|key| self.books.budgets.get(key).is_some_and(|budget| budget.scope.is_none()));
        for key in keys {
            self.has_news = false;
            let written = self.write(&key, now, false).await;
            changed |= self.has_news;
            self.has_news |= before || changed;
            written?;
        }
        Ok(changed)
    }

    /// Says of each budget that nobody knows what was spent. What it says of money stays. Errors are told and passed over.
    pub(super) async fn tell_unreadable(&self, why: &TreasuryError, now: Timestamp) {
        for api in self.means.config.apis::<BacktestBudget>(&self.means.client, Some(&self.means.platform)) {
            let budgets = match api.list(&ListParams::default()).await {
                Ok(budgets) => budgets.items,
                Err(error) => {
                    tracing::warn!(%error, "the budgets could not be told that the ledger is unreadable");
                    continue;
                }
            };
            for mut budget in budgets {
                // Another leader knows better.
                if !self.means.reign.lasts() {
                    return;
                }
                let old = budget.status.clone().unwrap_or_default().conditions;
                let valid = condition(&budget, VALID, false, "LedgerUnreadable", why.to_string(), now);
                if old.iter().any(|known| known.kind == VALID && known.message == valid.message) {
                    continue;
                }
                let others = old.into_iter().filter(|known| known.kind != VALID);
                budget.status.get_or_insert_default().conditions =
                    std::iter::once(valid).chain(others).collect();
                let (name, namespace) = (budget.name_any(), budget.namespace().unwrap_or_default());
                let own = Api::<BacktestBudget>::namespaced(self.means.client.clone(), &namespace);
                if let Err(error) = own.replace_status(&name, &PostParams::default(), &budget).await {
                    tracing::warn!(%error, namespace, name, "the budget could not be told that the ledger is unreadable");
                }
            }
        }
    }

    /// Replaces a budget's status, unless its limit was changed: then there is news, and whoever asks sees whether what it
    /// was about to write still is within it. `is_new` says that whatever stands there is not ours, and not trusted.
    pub(super) async fn write(
        &mut self,
        key: &Key,
        now: Timestamp,
        is_new: bool,
    ) -> Result<(), TreasuryError> {
        let Some(mut object) = self.latest.get(key).cloned() else { return Ok(()) };
        let api: Api<BacktestBudget> = Api::namespaced(self.means.client.clone(), &key.0);
        let mut conflict = None;
        for attempt in 0..CONFLICTS {
            if !self.means.reign.lasts() {
                return Err(TreasuryError::Gone);
            }
            let Some(budget) = self.books.budgets.get(key) else { return Ok(()) };
            let mut next = self.books.status(budget, now);
            self.means.meters.budget(&format!("{}/{}", key.0, key.1), &next);
            next.observed_generation = object.metadata.generation;
            next.conditions = conditions(&object, &next, &budget.spec.soft_percent, now);
            let written = object.status.clone();
            let passed = newly_passed(written.as_ref(), &next);
            object.status = Some(next);
            match api.replace_status(&key.1, &PostParams::default(), &object).await {
                Ok(now_there) => {
                    self.warn(key, &now_there, passed);
                    self.latest.insert(key.clone(), now_there);
                    self.told.insert(key.clone(), now);
                    return Ok(());
                }
                Err(kube::Error::Api(error)) if error.code == 409 => {
                    conflict = Some(error);
                    let there = api.get(&key.1).await?;
                    let money = |status: &Option<BudgetStatus>| {
                        status.as_ref().map(|status| (status.spent_micro_usd, status.reserved_micro_usd))
                    };
                    if !is_new && money(&there.status) != money(&written) {
                        return Err(TreasuryError::Fenced(format!("{}/{}", key.0, key.1)));
                    }
                    // Its limits, mostly: the watch would tell nothing new of them afterwards.
                    let is_another = |a: &BacktestBudget, b: &BacktestBudget| {
                        a.metadata.generation != b.metadata.generation || a.uid() != b.uid()
                    };
                    if is_another(&there, &object) {
                        self.latest.insert(key.clone(), there.clone());
                        self.know();
                        self.has_news = true;
                        return Ok(());
                    }
                    object = there;
                    // Somebody writes beside it again and again, which is no reason to lead no more.
                    tokio::time::sleep((5 * MILLISECOND * attempt).min(100 * MILLISECOND)).await;
                }
                // Only what the API server does not know is gone: nobody is admitted past a budget for one answer.
                Err(kube::Error::Api(error)) if error.code == 404 && api.get_opt(&key.1).await?.is_none() => {
                    self.latest.remove(key);
                    self.know();
                    self.has_news = true;
                    return Ok(());
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(conflict.map_or(TreasuryError::Gone, |error| kube::Error::Api(error).into()))
    }

    /// Tells those who watch events which soft limits were passed. What cannot be told stands in the conditions.
    fn warn(&mut self, key: &Key, budget: &BacktestBudget, passed: Vec<Condition>) {
        for Condition { kind, message: note, .. } in passed {
            // Jobs come and go, and with them what is held.
            let place = (key.clone(), format!("{kind} {}", self.books.month));
            if self.warned.get(&place).is_some_and(|then| then.elapsed() < TELL) {
                continue;
            }
            self.warned.insert(place, Instant::now());
            let event = Event {
                type_: EventType::Warning,
                reason: "SoftLimitPassed".to_owned(),
                note: Some(note),
                // Events of one kind and action are counted as one: each limit has its own.
                action: kind,
                secondary: None,
            };
            let (teller, budget) = (self.means.teller.clone(), budget.object_ref(&()));
            // Money waits for nobody's answer to this.
            tokio::spawn(async move {
                if let Err(error) = teller.publish(&event, &budget).await {
                    tracing::warn!(%error, budget = budget.name, "the event could not be told");
                }
            });
        }
    }

    /// What the budgets of these namespaces say is not what the books say: it is written with the next look.
    pub(super) fn is_stale(&mut self, namespaces: &[String]) {
        for key in namespaces.iter().flat_map(|namespace| self.books.of_namespace(namespace)) {
            self.told.remove(key);
        }
    }

    /// Writes figures that have become old.
    pub(super) async fn tell(&mut self, now: Timestamp) -> Result<(), TreasuryError> {
        let old = i64::try_from(TELL.as_secs()).unwrap_or(i64::MAX);
        let keys: Vec<Key> = self
            .books
            .budgets
            .keys()
            .filter(|key| self.told.get(*key).is_none_or(|told| now.as_second() - told.as_second() >= old))
            .cloned()
            .collect();
        for key in keys {
            match self.write(&key, now, false).await {
                Err(error @ TreasuryError::Fenced(_)) => return Err(error),
                Err(error) => tracing::warn!(%error, "a budget's figures could not be written"),
                Ok(()) => {}
            }
        }
        Ok(())
    }
}

/// What is said of soft limits that were not passed when it was said last.
fn newly_passed(before: Option<&BudgetStatus>, now: &BudgetStatus) -> Vec<Condition> {
    let is_passed = |status: &BudgetStatus, kind: &str| {
        status.conditions.iter().any(|known| known.kind == kind && known.status == "True")
    };
    let soft = now.conditions.iter().filter(|known| known.kind.starts_with("Soft") && known.status == "True");
    soft.filter(|known| !before.is_some_and(|before| is_passed(before, &known.kind))).cloned().collect()
}

/// The condition that says whether a budget can be read, and what was spent.
const VALID: &str = "Valid";

/// A condition of a budget; where it stood like that before, since then.
fn condition(
    object: &BacktestBudget,
    kind: &str,
    is: bool,
    reason: &str,
    message: String,
    now: Timestamp,
) -> Condition {
    let old = object.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    let said = if is { "True" } else { "False" };
    let since = old.iter().find(|known| known.kind == kind && known.status == said);
    Condition {
        kind: kind.to_owned(),
        status: said.to_owned(),
        reason: reason.to_owned(),
        message,
        last_transition_time: since.map_or_else(|| written(now), |known| known.last_transition_time.clone()),
        observed_generation: object.metadata.generation,
    }
}

/// What holds of a budget: whether it can be read, and which soft limits are passed.
fn conditions(object: &BacktestBudget, status: &BudgetStatus, soft: &[u8], now: Timestamp) -> Vec<Condition> {
    let condition = |kind: &str, is, reason, message| condition(object, kind, is, reason, message, now);
    let valid = match serde_json::from_value::<BudgetSpec>(object.spec.clone()) {
        Ok(_) => condition(VALID, true, "Valid", "the limits hold".to_owned()),
        Err(error) => {
            let message = format!("{error}: until this is mended nothing is admitted");
            condition(VALID, false, "Unreadable", message)
        }
    };
    let used = u128::from(status.spent_micro_usd) + u128::from(status.reserved_micro_usd);
    let limit = u128::from(status.limit_micro_usd);
    let passed = soft.iter().map(|&percent| {
        let is = used * 100 >= limit * u128::from(percent) && limit > 0;
        let (reason, word) = if is { ("Passed", "at least") } else { ("Within", "less than") };
        let message = format!("{word} {percent} % of the limit is spent or held");
        condition(&format!("Soft{percent}"), is, reason, message)
    });
    std::iter::once(valid).chain(passed).collect()
}
