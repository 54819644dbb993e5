//! What jobs have cost: the ledger in the store, one entry for each job in the month of its end, which is written once.

use std::collections::{BTreeMap, BTreeSet};

use blockgrid_grid::store::keys;
use blockgrid_grid::{Created, JobId};
use futures::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;

use super::books::month;
use super::{Clerk, Entry, TreasuryError, Whose};

/// Entries of the ledger that are read at a time: a leader that begins admits nothing before it knows what was spent.
const LEDGER_AT_ONCE: usize = 128;

impl Clerk {
    /// Counts what was spent this month, by the ledger.
    pub(super) async fn ledger(&mut self) -> Result<(), TreasuryError> {
        let prefix = format!("ledger/{}", self.books.month);
        let listed = self.means.store.list(&prefix).await?;
        let entries = listed.into_iter().map(|entry| {
            let store = self.means.store.clone();
            async move { store.get(&entry.key).await.map(|bytes| (entry.key, bytes)) }
        });
        let entries: Vec<_> = stream::iter(entries).buffer_unordered(LEDGER_AT_ONCE).try_collect().await?;
        self.books.spent = BTreeMap::new();
        self.counted = BTreeSet::new();
        for (key, bytes) in entries {
            if let Ok(id) = keys::name(&key).parse() {
                self.count(&id, &bytes);
            }
        }
        Ok(())
    }

    /// Counts an entry of this month's ledger, once.
    pub(super) fn count(&mut self, id: &JobId, bytes: &[u8]) {
        match serde_json::from_slice::<Entry>(bytes) {
            Ok(_) if self.counted.contains(id) => {}
            Ok(entry) => {
                self.counted.insert(id.clone());
                *self.books.spent.entry((entry.namespace, entry.user)).or_default() += entry.micro_usd;
            }
            Err(error) => {
                tracing::error!(job = %id, %error, "an entry of the ledger cannot be read: it is not counted");
            }
        }
    }

    /// Writes a job into the ledger, once. What stands there counts, whoever wrote it, and an answer that was lost.
    pub(super) async fn write_down(&mut self, whose: &Whose, at: Timestamp) -> Result<(), TreasuryError> {
        let entry = Entry {
            namespace: whose.share.namespace.clone(),
            name: whose.name.clone(),
            user: whose.share.user.clone(),
            micro_usd: whose.share.micro_usd,
        };
        let when = month(at);
        let bytes = serde_json::to_vec(&entry).map_err(kube::Error::SerdeError)?;
        let key = keys::ledger(&when, &whose.id);
        let created = self.means.store.create(&key, bytes.clone().into()).await?;
        if when == self.books.month {
            match created {
                Created::New | Created::Same => self.count(&whose.id, &bytes),
                Created::Different { .. } => {
                    let there = self.means.store.get(&key).await?;
                    self.count(&whose.id, &there);
                }
            }
        }
        self.books.reserved.remove(&whose.id);
        Ok(())
    }
}
