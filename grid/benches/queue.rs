//! How many entries a second go through the queue: 64 workers claim and acknowledge entries that ask for no work, against a
//! real server on this machine, which shares its cores. `cargo bench -p blockgrid-grid --bench queue`.
#![allow(clippy::unwrap_used, reason = "a measurement that cannot go on fails")]

#[path = "../tests/support/mod.rs"]
mod support;

use std::time::{Duration, Instant};

use blockgrid_grid::{Consumer, Entry, JobId, Queue, RedisQueue, Stream, Unit};
use support::redis::RedisServer;

const WORKERS: usize = 64;
const CONNECTIONS: usize = 8;

fn main() {
    // `cargo test --benches` asks whether it runs, not how fast.
    let is_test = !std::env::args().any(|argument| argument == "--bench");
    let entries = if is_test { 1_000 } else { 100_000 };
    let Some(server) = RedisServer::start(&[]) else { return };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let mut queues = Vec::new();
        for _ in 0..CONNECTIONS {
            queues.push(server.queue().await);
        }
        println!("{WORKERS} workers, {CONNECTIONS} connections, {entries} entries");
        for is_lane in [false, true] {
            for batch in [1, 8, 64] {
                let stream = match is_lane {
                    true => Stream::Lane("warm".parse().unwrap()),
                    false => Stream::Job(JobId::random()),
                };
                let kind = if is_lane { "lane" } else { "job " };
                let pushed = push(&queues[0], &stream, entries).await;
                let used = processor_seconds(&server);
                let took = drain(&queues, &stream, batch, entries).await;
                // What the server itself used, which does not depend on who else uses the machine.
                let used = processor_seconds(&server) - used;
                println!(
                    "{kind}, {batch:2} at a time: {:6.0} claimed and acknowledged/s, {:4.1} us of the server's processor each; {:6.0} pushed/s",
                    entries as f64 / took.as_secs_f64(),
                    used * 1e6 / entries as f64,
                    entries as f64 / pushed.as_secs_f64()
                );
            }
        }
        wake(&queues, if is_test { 10 } else { 500 }).await;
    });
}

fn processor_seconds(server: &RedisServer) -> f64 {
    let info: String = redis::from_redis_value(server.ask("INFO cpu")).unwrap();
    let fields = info.lines().filter_map(|line| line.split_once(':'));
    let used = fields.filter(|(name, _)| ["used_cpu_sys", "used_cpu_user"].contains(name));
    used.map(|(_, seconds)| seconds.parse::<f64>().unwrap()).sum()
}

/// Entries of ten owners.
async fn push(queue: &RedisQueue, stream: &Stream, entries: usize) -> Duration {
    queue.open(stream).await.unwrap();
    let job = JobId::random();
    let start = Instant::now();
    for owner in 0..10 {
        let shards = (owner * entries / 10)..((owner + 1) * entries / 10);
        let entry =
            |shard| Entry { job: job.clone(), unit: Unit::Shard(shard as u64), cost_micros: 1_000_000 };
        queue.push(stream, &format!("team-{owner}"), &shards.map(entry).collect::<Vec<_>>()).await.unwrap();
    }
    start.elapsed()
}

/// How long it takes until all were acknowledged once.
async fn drain(queues: &[RedisQueue], stream: &Stream, batch: usize, entries: usize) -> Duration {
    let start = Instant::now();
    let workers: Vec<_> = (0..WORKERS)
        .map(|number| {
            let (queue, stream) = (queues[number % queues.len()].clone(), stream.clone());
            tokio::spawn(async move {
                let me = Consumer::new(format!("w{number}"));
                let mut done = 0;
                loop {
                    let leases = queue.claim(&stream, &me, batch).await.unwrap();
                    if leases.is_empty() {
                        return done;
                    }
                    assert!(queue.acknowledge(&me, &leases).await.unwrap().is_empty());
                    done += leases.len();
                }
            })
        })
        .collect();
    let mut done = 0;
    for worker in workers {
        done += worker.await.unwrap();
    }
    assert_eq!(done, entries);
    start.elapsed()
}

/// From a push to the wake of one who waits on another connection.
async fn wake(queues: &[RedisQueue], times: usize) {
    let (stream, me) = (Stream::Job(JobId::random()), Consumer::new("w"));
    let job = JobId::random();
    queues[0].open(&stream).await.unwrap();
    let mut late = Vec::new();
    for shard in 0..times {
        let waiting = tokio::spawn({
            let (queue, stream) = (queues[1].clone(), stream.clone());
            async move {
                queue.wait(&[stream], Duration::from_secs(10)).await.unwrap();
                Instant::now()
            }
        });
        tokio::time::sleep(Duration::from_millis(3)).await;
        let pushed = Instant::now();
        let entry = Entry { job: job.clone(), unit: Unit::Shard(shard as u64), cost_micros: 1 };
        queues[0].push(&stream, "", &[entry]).await.unwrap();
        late.push(waiting.await.unwrap() - pushed);
        let leases = queues[0].claim(&stream, &me, 9).await.unwrap();
        queues[0].acknowledge(&me, &leases).await.unwrap();
    }
    late.sort();
    let at = |part: usize| late[(late.len() - 1) * part / 100];
    println!("from push to wake: median {:?}, 99 of 100 within {:?}", at(50), at(99));
}
