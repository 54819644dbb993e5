//! What was spent in a month: by jobs, as the ledger has it, and by the platform itself.

use std::time::Instant;

use jiff::Timestamp;

use super::books::{Share, month};
use super::ledger::{Entry, Ledger};
use super::platform::Platform;
use super::{Clerk, Means, TreasuryError, Whose};

impl Clerk {
    /// Takes over what was spent in a month.
    pub(super) async fn open_month(&mut self, month: String) -> Result<(), TreasuryError> {
        let (store, now) = (&self.means.store, Instant::now());
        let ledger = Ledger::read(store.clone(), month.clone(), now).await?;
        let platform = Platform::read(store.clone(), &month, &self.means.name, now).await?;
        self.books.spent.clone_from(ledger.spent());
        self.books.month = month;
        // Last month's is not this one's; it is counted with the next look.
        self.books.unattributed = 0;
        (self.ledger, self.platform) = (Some(ledger), Some(platform));
        Ok(())
    }

    /// Counts what the platform costs while time passes.
    pub(super) async fn count_platform(&mut self, now: Timestamp) {
        let (Some(ledger), Some(platform)) = (&self.ledger, &mut self.platform) else { return };
        let Means { config, rates, .. } = &self.means;
        let instant = Instant::now();
        platform.count(instant, config.leader_election.lease_duration, rates());
        self.books.unattributed = platform.micro_usd(&config.costs, ledger.lane_micro_usd(), now);
        let whole = self.books.budgets.iter().filter(|(_, budget)| budget.scope.is_none());
        for (key, budget) in whole {
            self.means.meters.budget(&format!("{}/{}", key.0, key.1), &self.books.status(budget, now));
        }
        if let Err(error) = platform.save(instant).await {
            tracing::warn!(%error, "what the platform costs could not be written down");
        }
    }

    /// Writes what a job has cost into the ledger, and holds nothing for it any more; how much counts.
    pub(super) async fn write_down(
        &mut self,
        whose: &Whose,
        lane_micro_usd: u64,
        at: Timestamp,
    ) -> Result<u64, TreasuryError> {
        let Some(ledger) = &mut self.ledger else { return Err(TreasuryError::Gone) };
        let Share { namespace, user, micro_usd } = whose.share.clone();
        let entry = Entry { namespace, name: whose.name.clone(), user, micro_usd, lane_micro_usd };
        let counted = ledger.write(&month(at), &whose.id, entry, Instant::now()).await?;
        self.books.spent.clone_from(ledger.spent());
        self.books.reserved.remove(&whose.id);
        Ok(counted)
    }
}
