//! What was spent in a month: by jobs, as the ledger has it, and by the platform itself.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::sync::oneshot;

use super::books::{Share, month};
use super::ledger::{Entry, Ledger};
use super::platform::Platform;
use super::{Clerk, Means, TreasuryError, Whose};

type Reply = oneshot::Sender<Result<u64, TreasuryError>>;

/// Whose cost is to be written down, how much of it is the lane's, when it ended, and who asks.
pub(super) type Settling = (Whose, u64, Timestamp, Reply);

/// How much counts of it.
pub(super) type Settled = (Whose, Result<u64, TreasuryError>, Reply);

/// The longest time between two counts: who leads still has not slept for longer.
const LONGEST: Duration = Duration::from_secs(300);

impl Clerk {
    /// Takes over what was spent in a month.
    pub(super) async fn open_month(&mut self, month: String) -> Result<(), TreasuryError> {
        let (store, now) = (&self.means.store, Instant::now());
        let ledger = Ledger::read(store.clone(), month.clone(), now).await?;
        let platform =
            Platform::read(store.clone(), self.means.config.costs, &month, &self.means.name, now).await?;
        self.books.spent.clone_from(ledger.spent());
        self.books.month = month;
        // Last month's is not this one's; it is counted a few seconds later.
        self.books.unattributed = 0;
        (self.ledger, self.platform) = (Some(ledger), Some(platform));
        Ok(())
    }

    /// Counts what the platform costs while time passes.
    pub(super) async fn count_platform(&mut self, now: Timestamp) {
        let (Some(ledger), Some(platform)) = (&self.ledger, &mut self.platform) else { return };
        if !self.means.reign.lasts() {
            return;
        }
        let Means { rates, .. } = &self.means;
        let instant = Instant::now();
        platform.count(instant, LONGEST, rates());
        self.books.unattributed = platform.micro_usd(ledger.lane_micro_usd(), now);
        let whole = self.books.budgets.iter().filter(|(_, budget)| budget.scope.is_none());
        for (key, budget) in whole {
            self.means.meters.budget(&format!("{}/{}", key.0, key.1), &self.books.status(budget, now));
        }
        if let Err(error) = platform.save(instant).await {
            tracing::warn!(%error, "what the platform costs could not be written down");
        }
    }

    /// Writes what jobs have cost into the ledger, and holds nothing for them any more; how much counts of each.
    pub(super) async fn write_down(&mut self, settling: Vec<Settling>) -> Vec<Settled> {
        let Some(ledger) = &mut self.ledger else {
            return settling
                .into_iter()
                .map(|(whose, _, _, reply)| (whose, Err(TreasuryError::Gone), reply))
                .collect();
        };
        let entries = settling.iter().map(|(whose, lane_micro_usd, at, _)| {
            let Share { namespace, user, micro_usd, .. } = whose.share.clone();
            let lane_micro_usd = *lane_micro_usd;
            let entry = Entry { namespace, name: whose.name.clone(), user, micro_usd, lane_micro_usd };
            (month(*at), whose.id.clone(), entry)
        });
        let written = ledger.write(entries.collect(), Instant::now()).await;
        self.books.spent.clone_from(ledger.spent());
        let mut settled = Vec::new();
        for ((whose, _, _, reply), counted) in settling.into_iter().zip(written) {
            if counted.is_ok() {
                self.books.reserved.remove(&whose.id);
            }
            settled.push((whose, counted, reply));
        }
        settled
    }
}
