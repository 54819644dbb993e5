//! What is asked of the task, a batch at a time: budgets are raised first, then jobs are told.

use blockgrid_job::status::Terms;
use futures::{StreamExt, stream};
use jiff::Timestamp;
use serde_json::json;
use tokio::sync::oneshot;

use super::kept::Kept;
use super::{AT_ONCE, Clerk, Request, TreasuryError, Whose, lock};
use crate::plan::say::written;
use crate::world::Held;

/// A job that is let have money, as far as the books go.
struct Admitted {
    /// Whose, with as much as it is let have.
    whose: Whose,
    /// What it needs, and what it had rather.
    asks: (u64, u64),
    terms: Option<Terms>,
    /// What it held before.
    before: Option<u64>,
    reply: oneshot::Sender<Result<Result<u64, Held>, TreasuryError>>,
}

impl Clerk {
    pub(super) async fn serve(&mut self, batch: Vec<Request>, now: Timestamp) -> Result<(), TreasuryError> {
        let mut admitted = Vec::new();
        let mut settling = Vec::new();
        let mut given_back = Vec::new();
        let kept = self.books.kept.clone();
        for request in batch {
            match request {
                Request::Reserve { mut whose, wish, terms, reply } => {
                    let asks = (whose.share.micro_usd, wish);
                    match self.books.may_rather(&whose.id, &mut whose.share, wish) {
                        Ok(()) => {
                            let before = self.books.reserve(&whose.id, &whose.share);
                            admitted.push(Admitted { whose, asks, terms, before, reply });
                        }
                        Err(held) => {
                            lock(&self.found).line.refused(whose.id, whose.share, held.clone());
                            let _ = reply.send(Ok(Err(held)));
                        }
                    }
                }
                Request::Forget { id } => {
                    if let Some(share) = self.books.reserved.remove(&id) {
                        given_back.push(share.namespace);
                    }
                }
                Request::Settle { whose, lane_micro_usd, at, reply } => {
                    // One that ran and asked for more would be the first who waits, and nobody's patience last.
                    lock(&self.found).line.leaves(&whose.id);
                    settling.push((whose, lane_micro_usd, at, reply));
                }
            }
        }
        let settled = self.write_down(settling).await;
        let touched: Vec<String> = admitted
            .iter()
            .map(|admitted| admitted.whose.share.namespace.clone())
            .chain(settled.iter().map(|(whose, ..)| whose.share.namespace.clone()))
            .chain(given_back)
            .collect();
        let raised = loop {
            match self.raise(&touched, now).await {
                Ok(true) => admitted = self.asked_again(admitted, kept.clone()),
                Ok(false) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        if let Err(error) = raised {
            self.is_stale(&touched);
            for Admitted { whose, before, reply, .. } in admitted {
                // What a job held before, it holds.
                self.books.restore(&whose.id, before);
                let _ = reply.send(Err(error.clone()));
            }
            for (_, _, reply) in settled {
                let _ = reply.send(Err(error.clone()));
            }
            return match error {
                TreasuryError::Fenced(_) | TreasuryError::Gone => Err(error),
                _ => Ok(()),
            };
        }
        let writes = admitted.into_iter().map(|Admitted { whose, terms, before, reply, .. }| {
            lock(&self.found).line.leaves(&whose.id);
            let micro_usd = before.unwrap_or(0).max(whose.share.micro_usd);
            let mut body = json!({ "status": { "reservedMicroUsd": micro_usd } });
            if let Some(terms) = &terms {
                body["status"]["terms"] = json!(terms);
            }
            let patched = self.patch(&whose, body);
            async move { (whose, micro_usd, patched.await, reply) }
        });
        let writes: Vec<_> =
            stream::iter(writes.collect::<Vec<_>>()).buffer_unordered(AT_ONCE).collect().await;
        for (whose, micro_usd, patched, reply) in writes {
            if matches!(patched, Err(TreasuryError::NoJob(_))) {
                // What is gone holds nothing. Any other error may hide that it was written: the job asks again.
                self.books.reserved.remove(&whose.id);
                self.is_stale(std::slice::from_ref(&whose.share.namespace));
            }
            let _ = reply.send(patched.map(|()| Ok(micro_usd)));
        }
        let writes = settled.into_iter().map(|(whose, done, reply)| {
            let patched = done.map(|spent| {
                let settled = json!({
                    "reservedMicroUsd": null,
                    "spentMicroUsd": spent,
                    "settledTime": written(now),
                });
                let body = json!({ "status": settled });
                (spent, self.patch(&whose, body))
            });
            async move {
                let result = match patched {
                    // What is gone holds nothing.
                    Ok((spent, patched)) => match patched.await {
                        Ok(()) | Err(TreasuryError::NoJob(_)) => Ok(spent),
                        Err(error) => Err(error),
                    },
                    Err(error) => Err(error),
                };
                (result, reply)
            }
        });
        let writes: Vec<_> =
            stream::iter(writes.collect::<Vec<_>>()).buffer_unordered(AT_ONCE).collect().await;
        if !writes.is_empty() {
            self.wake_some(now);
        }
        for (result, reply) in writes {
            let _ = reply.send(result);
        }
        Ok(())
    }

    /// Whom limits let in that have changed since: of these, those whom the new ones let in. `kept` is what was kept before.
    fn asked_again(&mut self, admitted: Vec<Admitted>, kept: Option<Kept>) -> Vec<Admitted> {
        for Admitted { whose, before, .. } in &admitted {
            self.books.restore(&whose.id, *before);
        }
        self.books.kept = kept;
        let mut still = Vec::new();
        for mut admitted in admitted {
            let (whose, (needs, wish)) = (&mut admitted.whose, admitted.asks);
            whose.share.micro_usd = needs;
            match self.books.may_rather(&whose.id, &mut whose.share, wish) {
                Ok(()) => {
                    self.books.reserve(&whose.id, &whose.share);
                    still.push(admitted);
                }
                Err(held) => {
                    lock(&self.found).line.refused(whose.id.clone(), whose.share.clone(), held.clone());
                    let _ = admitted.reply.send(Ok(Err(held)));
                }
            }
        }
        still
    }
}
