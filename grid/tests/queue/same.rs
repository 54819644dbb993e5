//! Both implementations do the same, whatever is asked of them: random acts on both, compared answer by answer.

use std::time::Duration;

use blockgrid_grid::{Consumer, Entry, Lease, MemoryQueue, Queue, Stream, Unit};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use crate::support::redis::RedisServer;
use crate::{job, lane, own, worker};

#[derive(Debug, Clone)]
enum Act {
    Open,
    /// Who, and at what costs.
    Push(usize, Vec<u64>),
    Claim(usize, usize),
    Reclaim(usize, usize),
    Heartbeat(usize, Vec<prop::sample::Index>),
    Release(usize, Vec<prop::sample::Index>),
    Acknowledge(usize, Vec<prop::sample::Index>),
    Flush,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let (who, count) = (0usize..3, 1usize..5);
    let some = || (0usize..3, prop::collection::vec(any::<prop::sample::Index>(), 1..4));
    let act = prop_oneof![
        5 => (0usize..4, prop::collection::vec(0u64..5_000, 1..6)).prop_map(|(who, costs)| Act::Push(who, costs)),
        6 => (who.clone(), count.clone()).prop_map(|(who, count)| Act::Claim(who, count)),
        3 => (who, count).prop_map(|(who, count)| Act::Reclaim(who, count)),
        3 => some().prop_map(|(who, leases)| Act::Heartbeat(who, leases)),
        2 => some().prop_map(|(who, leases)| Act::Release(who, leases)),
        5 => some().prop_map(|(who, leases)| Act::Acknowledge(who, leases)),
        1 => Just(Act::Open),
        1 => Just(Act::Flush),
    ];
    (prop::collection::vec(act, 1..60)).prop_map(|mut acts| {
        acts.insert(0, Act::Open);
        acts
    })
}

/// A queue, the leases that were seen, and the workers, two of whom have one name.
struct Player<Q, F> {
    queue: Q,
    flush: F,
    stream: Stream,
    workers: [Consumer; 3],
    seen: Vec<Lease>,
    shard: u64,
}

impl<Q: Queue, F: Fn()> Player<Q, F> {
    fn new(queue: Q, flush: F, stream: Stream) -> Self {
        let workers = [worker("w0"), worker("w1"), worker("w1")];
        Self { queue, flush, stream, workers, seen: Vec::new(), shard: 0 }
    }

    /// The answer, with leases by the order in which they were seen first: names of entries differ.
    async fn play(&mut self, act: &Act) -> String {
        let (queue, stream) = (self.queue.clone(), self.stream.clone());
        let answer = match act {
            Act::Open => format!("{:?}", queue.open(&stream).await),
            Act::Flush => {
                (self.flush)();
                String::new()
            }
            Act::Push(who, costs) => {
                let mut entries = Vec::new();
                for &cost_micros in costs {
                    self.shard += 1;
                    entries.push(Entry { job: job("j"), unit: Unit::Shard(self.shard), cost_micros });
                }
                format!("{:?}", queue.push(&stream, &format!("o{who}"), &entries).await)
            }
            Act::Claim(who, count) => {
                let taken = queue.claim(&stream, &self.workers[*who], *count).await;
                format!("{:?}", taken.map(|leases| self.known(&leases)))
            }
            Act::Reclaim(who, count) => {
                // Every entry is silent for no time, so that no clock matters.
                let taken = queue.reclaim(&stream, &self.workers[*who], Duration::ZERO, *count).await;
                format!("{:?}", taken.map(|leases| self.known(&leases)))
            }
            Act::Heartbeat(who, which) => {
                let lost = queue.heartbeat(&self.workers[*who], &self.some(which)).await;
                format!("{:?}", lost.map(|leases| self.known(&leases)))
            }
            Act::Release(who, which) => {
                let lost = queue.release(&self.workers[*who], &self.some(which)).await;
                format!("{:?}", lost.map(|leases| self.known(&leases)))
            }
            Act::Acknowledge(who, which) => {
                let lost = queue.acknowledge(&self.workers[*who], &self.some(which)).await;
                format!("{:?}", lost.map(|leases| self.known(&leases)))
            }
        };
        let depth =
            queue.depth(&stream).await.map(|depth| (depth.queued, depth.queued_micros, depth.pending));
        format!("{answer} {depth:?}")
    }

    fn known(&mut self, leases: &[Lease]) -> Vec<(usize, Entry, (u32, u32))> {
        let known = leases.iter().map(|lease| {
            let at = self.seen.iter().position(|seen| seen.id == lease.id).unwrap_or_else(|| {
                self.seen.push(lease.clone());
                self.seen.len() - 1
            });
            (at, lease.entry.clone(), (lease.deliveries, lease.silent))
        });
        known.collect()
    }

    /// Different ones of the leases seen so far.
    fn some(&self, which: &[prop::sample::Index]) -> Vec<Lease> {
        if self.seen.is_empty() {
            return Vec::new();
        }
        let mut some: Vec<usize> = which.iter().map(|index| index.index(self.seen.len())).collect();
        some.sort_unstable();
        some.dedup();
        some.into_iter().map(|at| self.seen[at].clone()).collect()
    }
}

#[test]
fn both_answer_alike() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let Some(server) = RedisServer::start(&[]) else { return };
    let redis = runtime.block_on(server.queue());
    let config = ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() };
    let flush = || drop(server.ask("FLUSHALL"));
    let alike = |(is_lane, acts): (bool, Vec<Act>)| {
        let stream = if is_lane { lane() } else { own("j") };
        flush();
        let memory = MemoryQueue::new();
        let mut one = Player::new(memory.clone(), || memory.flush(), stream.clone());
        let mut other = Player::new(redis.clone(), flush, stream);
        for act in &acts {
            let answer = runtime.block_on(other.play(act));
            prop_assert_eq!(runtime.block_on(one.play(act)), answer, "{:?}", act);
        }
        Ok(())
    };
    TestRunner::new(config).run(&(any::<bool>(), acts()), alike).unwrap();
}
