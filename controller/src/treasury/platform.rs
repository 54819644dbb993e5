//! What the grid has cost that is on no job's account: warm workers while they wait, pods that plan, the operator's own
//! requests to the store, and what is fixed. Only budgets of the whole grid count it; they show it as `unattributed`.
//!
//! The leader counts as time passes, and writes what its reign has come to once a minute; the next one adds all reigns of the
//! month. What a leader counted in its last minute is lost with it, and the time in which nobody leads is not counted.

use std::time::{Duration, Instant};

use blockgrid_grid::store::{Usage, keys};
use blockgrid_grid::{Store, StoreError};
use futures::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::costs::Costs;

/// How often it is written down.
const SAVE: Duration = Duration::from_secs(60);

/// Reigns that are read at a time.
const AT_ONCE: usize = 32;

/// Micro-USD an hour that run at this moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rates {
    /// Warm workers, whether they work or wait.
    pub warm: u64,
    /// Pods that plan.
    pub planners: u64,
}

/// What it came to. Nano-USD, because little is much after a month.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Sums {
    warm_nano_usd: u64,
    planner_nano_usd: u64,
    reads: u64,
    writes: u64,
    /// What those requests cost when they were made; a version from before it wrote down their numbers alone.
    request_nano_usd: Option<u64>,
}

impl Sums {
    /// What requests cost at these prices. Micro-USD a thousand are nano-USD each.
    fn requests(&self, costs: &Costs) -> u64 {
        let price = |number: u64, each: u64| number.saturating_mul(each);
        price(self.reads, costs.micro_usd_a_1000_reads)
            .saturating_add(price(self.writes, costs.micro_usd_a_1000_writes))
    }
}

impl std::ops::Add for Sums {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            warm_nano_usd: self.warm_nano_usd.saturating_add(other.warm_nano_usd),
            planner_nano_usd: self.planner_nano_usd.saturating_add(other.planner_nano_usd),
            reads: self.reads.saturating_add(other.reads),
            writes: self.writes.saturating_add(other.writes),
            request_nano_usd: [self.request_nano_usd, other.request_nano_usd]
                .into_iter()
                .flatten()
                .reduce(u64::saturating_add),
        }
    }
}

/// What a month has cost that is no job's.
pub(super) struct Platform {
    store: Store,
    /// Prices of this reign: what others have counted was paid at theirs.
    costs: Costs,
    /// Where this reign's is.
    key: String,
    /// Other reigns.
    before: Sums,
    ours: Sums,
    /// What the store had been asked for when the month, or the reign, began.
    asked: Usage,
    counted: Instant,
    saved: Instant,
}

impl Platform {
    /// Reads what other reigns have counted.
    ///
    /// # Errors
    /// The store's. What cannot be read is told and left out.
    pub(super) async fn read(
        store: Store,
        costs: Costs,
        month: &str,
        reign: &str,
        now: Instant,
    ) -> Result<Self, StoreError> {
        let key = keys::platform_cost(month, reign);
        let listed = store.list(&keys::platform_costs(month)).await?;
        let others = listed.into_iter().map(|entry| entry.key).filter(|other| *other != key);
        let read = others.map(|other| {
            let store = store.clone();
            async move {
                let bytes = store.get(&other).await?;
                Ok::<_, StoreError>(serde_json::from_slice::<Sums>(&bytes).unwrap_or_else(|error| {
                    tracing::error!(key = other, %error, "what the platform cost cannot be read: it is not counted");
                    Sums::default()
                }))
            }
        });
        let read: Vec<Sums> =
            stream::iter(read.collect::<Vec<_>>()).buffer_unordered(AT_ONCE).try_collect().await?;
        let priced = read.into_iter().map(|part| {
            let request_nano_usd = part.request_nano_usd.unwrap_or_else(|| part.requests(&costs));
            Sums { request_nano_usd: Some(request_nano_usd), ..part }
        });
        Ok(Self {
            asked: store.meter().usage(),
            before: priced.fold(Sums::default(), std::ops::Add::add),
            store,
            costs,
            key,
            ours: Sums::default(),
            counted: now,
            saved: now,
        })
    }

    /// Time has passed. What is longer than `longest` was not this leader's: it slept, and another may have counted.
    pub(super) fn count(&mut self, now: Instant, longest: Duration, rates: Rates) {
        let passed = now.duration_since(self.counted).min(longest);
        self.counted = now;
        // Micro-USD an hour times microseconds are 3.6 million times nano-USD.
        let nanos =
            |rate: u64| u64::try_from(u128::from(rate) * passed.as_micros() / 3_600_000).unwrap_or(u64::MAX);
        let usage = self.store.meter().usage();
        let mut ours = Sums {
            warm_nano_usd: self.ours.warm_nano_usd.saturating_add(nanos(rates.warm)),
            planner_nano_usd: self.ours.planner_nano_usd.saturating_add(nanos(rates.planners)),
            reads: usage.gets.saturating_sub(self.asked.gets),
            writes: usage.puts.saturating_sub(self.asked.puts),
            request_nano_usd: None,
        };
        ours.request_nano_usd = Some(ours.requests(&self.costs));
        self.ours = ours;
    }

    /// Writes down what was counted, if the last time was a while ago.
    ///
    /// # Errors
    /// The store's; it is tried again with the next.
    pub(super) async fn save(&mut self, now: Instant) -> Result<(), StoreError> {
        if now.duration_since(self.saved) < SAVE {
            return Ok(());
        }
        self.saved = now;
        // Numbers and fixed names: this cannot fail.
        let bytes = serde_json::to_vec(&self.ours).unwrap_or_default();
        self.store.put(&self.key, bytes.into()).await?;
        Ok(())
    }

    /// Micro-USD that are no job's. `in_lane` is what jobs were charged for the warm workers' time.
    pub(super) fn micro_usd(&self, in_lane: u64, now: Timestamp) -> u64 {
        let sums = self.before + self.ours;
        let idle = (sums.warm_nano_usd / 1000).saturating_sub(in_lane);
        idle.saturating_add(sums.planner_nano_usd / 1000)
            .saturating_add(sums.request_nano_usd.unwrap_or(0).div_ceil(1000))
            .saturating_add(self.costs.fixed(now))
    }
}

#[cfg(test)]
mod tests {
    use blockgrid_grid::Options;

    use super::*;

    const MONTH: &str = "2026-01";
    const LONG: Duration = Duration::from_secs(3600);

    fn start() -> Timestamp {
        "2026-01-01T00:00:00Z".parse().unwrap()
    }

    async fn platform(store: &Store, costs: Costs, reign: &str, now: Instant) -> Platform {
        Platform::read(store.clone(), costs, MONTH, reign, now).await.unwrap()
    }

    #[tokio::test]
    async fn warm_workers_cost_while_they_wait_and_jobs_pay_their_part() {
        let store = Store::open("memory:", &Options::default()).unwrap();
        let (costs, began) = (Costs::default(), Instant::now());
        let mut first = platform(&store, costs, "a-1", began).await;
        let rates = Rates { warm: 72_000, planners: 36_000 };
        // Half an hour, in steps.
        for step in 1..=360 {
            first.count(began + Duration::from_secs(5 * step), LONG, rates);
        }
        assert_eq!(first.micro_usd(0, start()), 36_000 + 18_000);
        assert_eq!(first.micro_usd(10_000, start()), 26_000 + 18_000);
        // They cannot pay for more than there was.
        assert_eq!(first.micro_usd(50_000, start()), 18_000);
        // The next leader goes on from what was written.
        first.save(began + LONG).await.unwrap();
        let mut second = platform(&store, costs, "b-2", began).await;
        assert_eq!(second.micro_usd(0, start()), 54_000);
        second.count(began + Duration::from_secs(3600), LONG, rates);
        assert_eq!(second.micro_usd(0, start()), 54_000 + 108_000);
        // It slept: only what it may have led for counts.
        second.count(began + Duration::from_secs(360_000), Duration::from_secs(100), rates);
        assert_eq!(second.micro_usd(0, start()), 54_000 + 108_000 + 3_000);
    }

    #[tokio::test]
    async fn the_operators_own_requests_count() {
        let store = Store::open("memory:", &Options::default()).unwrap();
        let costs = Costs { micro_usd_a_1000_writes: 1_000_000, ..Costs::default() };
        let now = Instant::now();
        store.put("x", "before".into()).await.unwrap();
        let mut platform = platform(&store, costs, "a", now).await;
        for _ in 0..3 {
            store.put("x", "y".into()).await.unwrap();
        }
        platform.count(now, LONG, Rates::default());
        assert_eq!(platform.micro_usd(0, start()), 3_000);
        // They were paid at the price of their time, whatever it is for those that come.
        platform.save(now + SAVE).await.unwrap();
        let dear = Costs { micro_usd_a_1000_writes: 5_000_000, ..Costs::default() };
        let mut next = self::platform(&store, dear, "b", now).await;
        assert_eq!(next.micro_usd(0, start()), 3_000);
        store.put("x", "z".into()).await.unwrap();
        next.count(now, LONG, Rates::default());
        assert_eq!(next.micro_usd(0, start()), 8_000);
        // A version from before wrote no price.
        let old = r#"{"warmNanoUsd":0,"plannerNanoUsd":0,"reads":9,"writes":2}"#;
        store.put(&keys::platform_cost(MONTH, "c"), old.into()).await.unwrap();
        assert_eq!(self::platform(&store, dear, "d", now).await.micro_usd(0, start()), 13_000);
    }

    #[tokio::test]
    async fn it_is_written_once_a_minute() {
        let store = Store::open("memory:", &Options::default()).unwrap();
        let now = Instant::now();
        let mut platform = platform(&store, Costs::default(), "a", now).await;
        let there = || async { store.list(&keys::platform_costs(MONTH)).await.unwrap().len() };
        platform.save(now + Duration::from_secs(59)).await.unwrap();
        assert_eq!(there().await, 0);
        platform.save(now + SAVE).await.unwrap();
        assert_eq!(there().await, 1);
    }
}
