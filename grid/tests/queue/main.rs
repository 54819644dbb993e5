//! The queue: every rule against both implementations, and what only a real server can show.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "../support/mod.rs"]
mod support;

mod fair;
mod faults;
mod rules;
mod same;

use blockgrid_grid::{Consumer, Entry, JobId, Lane, MemoryQueue, Queue, RedisQueue, Stream, Unit};
use support::redis::RedisServer;

/// A queue under test.
pub(crate) trait Fixture {
    type Q: Queue;

    fn queue(&self) -> &Self::Q;

    /// Loses all data.
    fn flush(&self);
}

/// In process.
#[derive(Default)]
pub(crate) struct InMemory(MemoryQueue);

impl Fixture for InMemory {
    type Q = MemoryQueue;

    fn queue(&self) -> &MemoryQueue {
        &self.0
    }

    fn flush(&self) {
        self.0.flush();
    }
}

/// On a server of its own.
pub(crate) struct OnServer {
    queue: RedisQueue,
    server: RedisServer,
}

impl OnServer {
    pub(crate) async fn start() -> Option<Self> {
        let server = RedisServer::start(&[])?;
        Some(Self { queue: server.queue().await, server })
    }
}

impl Fixture for OnServer {
    type Q = RedisQueue;

    fn queue(&self) -> &RedisQueue {
        &self.queue
    }

    fn flush(&self) {
        self.server.ask("FLUSHALL");
    }
}

/// Runs rules against both implementations.
macro_rules! on_both {
    ($($rule:ident)*) => {
        mod in_memory {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $rule() {
                super::$rule($crate::InMemory::default()).await;
            })*
        }
        mod on_redis {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $rule() {
                if let Some(server) = $crate::OnServer::start().await {
                    super::$rule(server).await;
                }
            })*
        }
    };
}

pub(crate) use on_both;

pub(crate) fn job(name: &str) -> JobId {
    name.parse().unwrap()
}

pub(crate) fn own(name: &str) -> Stream {
    Stream::Job(job(name))
}

pub(crate) fn lane() -> Stream {
    Stream::Lane("warm".parse::<Lane>().unwrap())
}

pub(crate) fn entry(name: &str, shard: u64) -> Entry {
    Entry { job: job(name), unit: Unit::Shard(shard), cost_micros: 1000 }
}

pub(crate) fn entries(name: &str, shards: std::ops::Range<u64>) -> Vec<Entry> {
    shards.map(|shard| entry(name, shard)).collect()
}

pub(crate) fn worker(name: &str) -> Consumer {
    Consumer::new(name)
}
