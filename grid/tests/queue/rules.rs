//! Leases, losses and bells.

use std::time::{Duration, Instant};

use blockgrid_grid::{Depth, Lease, Queue, QueueError, Unit};

use crate::{Fixture, entries, entry, job, on_both, own, worker};

on_both! {
    entries_are_handed_out_once_and_in_order
    acknowledged_entries_are_gone
    duplicates_live_apart
    a_lease_is_stolen_once_it_is_idle_and_not_before
    heartbeats_keep_leases_and_count_no_delivery
    what_was_lost_is_out_of_reach
    two_workers_of_one_name_are_two
    an_earlier_incarnation_is_waited_for
    released_leases_are_free_at_once
    a_lost_queue_is_told_and_heals
    nobody_reclaims_while_it_is_held
    locks_open_by_themselves
    failures_are_counted_by_unit
    forgetting_a_job_leaves_the_others
    waiting_sees_what_is_there_what_comes_and_the_end
    all_who_wait_are_woken_at_once
    no_wake_up_is_lost
    the_end_of_a_job_is_heard_before_and_after
    the_ends_of_jobs_are_told_once_in_their_order
    open_jobs_keep_their_order
    thousands_go_through_in_one_call
}

const SHORT: Duration = Duration::from_millis(60);
const LONG: Duration = Duration::from_secs(20);

fn shards(leases: &[Lease]) -> Vec<u64> {
    let shard = |lease: &Lease| match lease.entry.unit {
        Unit::Shard(shard) => shard,
        other => panic!("{other}"),
    };
    leases.iter().map(shard).collect()
}

async fn entries_are_handed_out_once_and_in_order(it: impl Fixture) {
    let (queue, a, b) = (it.queue(), worker("a"), worker("b"));
    let stream = own("j");
    queue.open(&stream).await.unwrap();
    // Twice is harmless.
    queue.open(&stream).await.unwrap();
    assert_eq!(queue.depth(&stream).await.unwrap(), Depth::default());
    queue.push(&stream, "", &entries("j", 0..5)).await.unwrap();
    let depth = queue.depth(&stream).await.unwrap();
    assert_eq!((depth.queued, depth.pending, depth.queued_micros), (5, 0, 5000));
    tokio::time::sleep(SHORT).await;
    let age = queue.depth(&stream).await.unwrap().oldest_ms.unwrap();
    assert!((50..2000).contains(&age), "{age}");

    let first = queue.claim(&stream, &a, 2).await.unwrap();
    assert_eq!(shards(&first), [0, 1]);
    assert!(first.iter().all(|lease| lease.deliveries == 1 && lease.stream == stream));
    assert_eq!(first[0].entry, entry("j", 0));
    assert_eq!(shards(&queue.claim(&stream, &b, 9).await.unwrap()), [2, 3, 4]);
    assert_eq!(queue.claim(&stream, &a, 1).await.unwrap(), []);
    assert_eq!(queue.claim(&stream, &a, 0).await.unwrap(), []);
    let depth = queue.depth(&stream).await.unwrap();
    assert_eq!(depth, Depth { pending: 5, ..Depth::default() });
}

async fn acknowledged_entries_are_gone(it: impl Fixture) {
    let (queue, a) = (it.queue(), worker("a"));
    let stream = own("j");
    queue.open(&stream).await.unwrap();
    queue.push(&stream, "", &entries("j", 0..3)).await.unwrap();
    let leases = queue.claim(&stream, &a, 3).await.unwrap();
    assert_eq!(queue.acknowledge(&a, &leases[..2]).await.unwrap(), []);
    assert_eq!(queue.depth(&stream).await.unwrap().pending, 1);
    // What is gone is nobody's.
    assert_eq!(queue.acknowledge(&a, &leases).await.unwrap(), leases[..2]);
    assert_eq!(queue.depth(&stream).await.unwrap(), Depth::default());
    assert_eq!(queue.heartbeat(&a, &leases).await.unwrap(), leases);
    assert_eq!(queue.reclaim(&stream, &a, Duration::ZERO, 9).await.unwrap(), []);
}

async fn duplicates_live_apart(it: impl Fixture) {
    let (queue, a, b) = (it.queue(), worker("a"), worker("b"));
    let stream = own("j");
    queue.open(&stream).await.unwrap();
    queue.push(&stream, "", &[entry("j", 1), entry("j", 1)]).await.unwrap();
    let one = queue.claim(&stream, &a, 1).await.unwrap();
    let two = queue.claim(&stream, &b, 1).await.unwrap();
    assert_eq!(one[0].entry, two[0].entry);
    assert_ne!(one[0].id, two[0].id);
    assert_eq!(queue.acknowledge(&a, &one).await.unwrap(), []);
    assert_eq!(queue.heartbeat(&b, &two).await.unwrap(), []);
}

async fn a_lease_is_stolen_once_it_is_idle_and_not_before(it: impl Fixture) {
    let (queue, a, b) = (it.queue(), worker("a"), worker("b"));
    let stream = own("j");
    queue.open(&stream).await.unwrap();
    queue.push(&stream, "", &entries("j", 0..3)).await.unwrap();
    let had = queue.claim(&stream, &a, 3).await.unwrap();
    assert_eq!(queue.reclaim(&stream, &b, LONG, 9).await.unwrap(), []);
    tokio::time::sleep(SHORT).await;
    let stolen = queue.reclaim(&stream, &b, SHORT, 2).await.unwrap();
    assert_eq!(shards(&stolen), [0, 1]);
    assert!(stolen.iter().all(|lease| lease.deliveries == 2));
    assert_eq!(stolen[0].id, had[0].id);
    // Fresh in the hands of the new holder.
    assert_eq!(queue.reclaim(&stream, &a, LONG, 9).await.unwrap(), []);
    assert_eq!(queue.heartbeat(&a, &had).await.unwrap(), had[..2]);
    tokio::time::sleep(SHORT).await;
    // Thrice: deliveries are counted by the queue.
    let third = queue.reclaim(&stream, &a, SHORT, 1).await.unwrap();
    assert_eq!((shards(&third), third[0].deliveries), (vec![0], 3));
}

async fn heartbeats_keep_leases_and_count_no_delivery(it: impl Fixture) {
    let (queue, a, b) = (it.queue(), worker("a"), worker("b"));
    let stream = own("j");
    queue.open(&stream).await.unwrap();
    queue.push(&stream, "", &entries("j", 0..1)).await.unwrap();
    let had = queue.claim(&stream, &a, 1).await.unwrap();
    let idle = Duration::from_millis(800);
    let start = Instant::now();
    while start.elapsed() < idle * 2 {
        assert_eq!(queue.heartbeat(&a, &had).await.unwrap(), []);
        assert_eq!(queue.reclaim(&stream, &b, idle, 1).await.unwrap(), []);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    tokio::time::sleep(idle).await;
    assert_eq!(queue.reclaim(&stream, &b, idle, 1).await.unwrap()[0].deliveries, 2);
}

async fn what_was_lost_is_out_of_reach(it: impl Fixture) {
    let (queue, a, b, c) = (it.queue(), worker("a"), worker("b"), worker("c"));
    let stream = own("j");
    queue.open(&stream).await.unwrap();
    queue.push(&stream, "", &entries("j", 0..2)).await.unwrap();
    let had = queue.claim(&stream, &a, 2).await.unwrap();
    tokio::time::sleep(SHORT).await;
    let stolen = queue.reclaim(&stream, &b, SHORT, 1).await.unwrap();
    // The old holder wakes: whatever it tries, it neither keeps nor frees nor ends what it lost, and learns of it.
    assert_eq!(queue.heartbeat(&a, &had[..1]).await.unwrap(), had[..1]);
    assert_eq!(queue.release(&a, &had[..1]).await.unwrap(), had[..1]);
    assert_eq!(queue.acknowledge(&a, &had[..1]).await.unwrap(), had[..1]);
    assert_eq!(queue.reclaim(&stream, &c, LONG, 1).await.unwrap(), []);
    assert_eq!(queue.depth(&stream).await.unwrap().pending, 2);
    tokio::time::sleep(SHORT).await;
    queue.heartbeat(&a, &had[..1]).await.unwrap();
    assert_eq!(shards(&queue.reclaim(&stream, &c, SHORT, 1).await.unwrap()), [0]);
    // What it still has is its own.
    assert_eq!(queue.acknowledge(&a, &had).await.unwrap(), had[..1]);
    assert_eq!(queue.acknowledge(&b, &stolen).await.unwrap(), stolen);
}

async fn two_workers_of_one_name_are_two(it: impl Fixture) {
    let (queue, one, two) = (it.queue(), worker("w7"), worker("w7"));
    assert_ne!(one, two);
    let stream = own("j");
    queue.open(&stream).await.unwrap();
    queue.push(&stream, "", &entries("j", 0..2)).await.unwrap();
    let first = queue.claim(&stream, &one, 1).await.unwrap();
    let second = queue.claim(&stream, &two, 1).await.unwrap();
    assert_ne!(first[0].entry, second[0].entry);
    tokio::time::sleep(SHORT).await;
    // The second does not keep the first's alive, nor end it.
    assert_eq!(queue.heartbeat(&two, &first).await.unwrap(), first);
    assert_eq!(queue.release(&two, &first).await.unwrap(), first);
    assert_eq!(queue.acknowledge(&two, &first).await.unwrap(), first);
    let other = worker("x");
    assert_eq!(shards(&queue.reclaim(&stream, &other, SHORT, 1).await.unwrap()), [0]);
    assert_eq!(queue.acknowledge(&two, &second).await.unwrap(), []);
}

async fn an_earlier_incarnation_is_waited_for(it: impl Fixture) {
    let (queue, before, after) = (it.queue(), worker("w7"), worker("w7"));
    let stream = own("j");
    queue.open(&stream).await.unwrap();
    queue.push(&stream, "", &entries("j", 0..1)).await.unwrap();
    let had = queue.claim(&stream, &before, 1).await.unwrap();
    assert_eq!(queue.claim(&stream, &after, 1).await.unwrap(), []);
    assert_eq!(queue.reclaim(&stream, &after, LONG, 1).await.unwrap(), []);
    tokio::time::sleep(SHORT).await;
    let again = queue.reclaim(&stream, &after, SHORT, 1).await.unwrap();
    assert_eq!((again[0].id.as_str(), again[0].deliveries), (had[0].id.as_str(), 2));
    assert_eq!(queue.heartbeat(&before, &had).await.unwrap(), had);
    assert_eq!(queue.acknowledge(&after, &again).await.unwrap(), []);
}

async fn released_leases_are_free_at_once(it: impl Fixture) {
    let (queue, a, b) = (it.queue(), worker("a"), worker("b"));
    let stream = own("j");
    queue.open(&stream).await.unwrap();
    queue.push(&stream, "", &entries("j", 0..2)).await.unwrap();
    let had = queue.claim(&stream, &a, 2).await.unwrap();
    let waiting = tokio::spawn({
        let (queue, stream) = (queue.clone(), stream.clone());
        async move { queue.wait(&[stream], LONG).await }
    });
    tokio::time::sleep(SHORT).await;
    assert_eq!(queue.release(&a, &had[..1]).await.unwrap(), []);
    assert_eq!(waiting.await.unwrap(), Ok(true));
    // Given back, it is not the giver's.
    assert_eq!(queue.heartbeat(&a, &had[..1]).await.unwrap(), had[..1]);
    let taken = queue.reclaim(&stream, &b, LONG, 9).await.unwrap();
    assert_eq!((shards(&taken), taken[0].deliveries, taken[0].silent), (vec![0], 2, 0));
    assert_eq!(queue.reclaim(&stream, &a, LONG, 9).await.unwrap(), []);
    // Who falls silent is told apart from who hands back, however they follow each other.
    tokio::time::sleep(SHORT * 2).await;
    let again = queue.reclaim(&stream, &a, SHORT, 9).await.unwrap();
    let counts = |leases: &[Lease]| -> Vec<_> {
        leases.iter().map(|lease| (lease.deliveries, lease.silent)).collect()
    };
    assert_eq!(counts(&again), [(3, 1), (2, 1)]);
    assert_eq!(queue.release(&a, &again).await.unwrap(), []);
    let again = queue.reclaim(&stream, &b, LONG, 9).await.unwrap();
    assert_eq!(counts(&again), [(4, 1), (3, 1)]);
    assert_eq!(queue.acknowledge(&b, &again).await.unwrap(), []);
}

async fn a_lost_queue_is_told_and_heals(it: impl Fixture) {
    let (queue, a, b) = (it.queue(), worker("a"), worker("b"));
    let stream = own("j");
    let gone = QueueError::NoGroup { stream: stream.clone() };
    assert_eq!(queue.push(&stream, "", &entries("j", 0..1)).await, Err(gone.clone()));
    assert_eq!(queue.claim(&stream, &a, 1).await, Err(gone.clone()));
    queue.open(&stream).await.unwrap();
    queue.push(&stream, "", &entries("j", 0..4)).await.unwrap();
    let had = queue.claim(&stream, &a, 2).await.unwrap();
    it.flush();
    assert_eq!(queue.claim(&stream, &a, 1).await, Err(gone.clone()));
    assert_eq!(queue.reclaim(&stream, &a, SHORT, 1).await, Err(gone.clone()));
    assert_eq!(queue.depth(&stream).await, Err(gone.clone()));
    assert_eq!(queue.wait(std::slice::from_ref(&stream), LONG).await, Err(gone.clone()));
    assert_eq!(queue.push(&stream, "", &entries("j", 0..1)).await, Err(gone.clone()));
    assert_eq!(queue.heartbeat(&a, &had).await.unwrap(), had);
    assert_eq!(queue.release(&a, &had).await.unwrap(), had);
    assert_eq!(queue.acknowledge(&a, &had).await.unwrap(), had);
    // Somebody audits.
    queue.open(&stream).await.unwrap();
    queue.push(&stream, "", &entries("j", 1..4)).await.unwrap();
    let again = queue.claim(&stream, &b, 9).await.unwrap();
    assert_eq!(shards(&again), [1, 2, 3]);
    // A lease from before is no lease on anything that came after.
    assert_eq!(queue.acknowledge(&a, &had).await.unwrap(), had);
    assert_eq!(queue.acknowledge(&b, &again).await.unwrap(), []);
}

async fn nobody_reclaims_while_it_is_held(it: impl Fixture) {
    let (queue, a, b) = (it.queue(), worker("a"), worker("b"));
    let stream = own("j");
    queue.open(&stream).await.unwrap();
    queue.push(&stream, "", &entries("j", 0..1)).await.unwrap();
    let had = queue.claim(&stream, &a, 1).await.unwrap();
    tokio::time::sleep(SHORT).await;
    assert!(!queue.is_held().await.unwrap());
    queue.hold(Duration::from_secs(1)).await.unwrap();
    assert!(queue.is_held().await.unwrap());
    assert_eq!(queue.reclaim(&stream, &b, SHORT, 1).await.unwrap(), []);
    // The one that was cut off keeps its lease meanwhile, and others work.
    assert_eq!(queue.heartbeat(&a, &had).await.unwrap(), []);
    tokio::time::sleep(Duration::from_secs(1) + SHORT).await;
    assert!(!queue.is_held().await.unwrap());
    assert_eq!(queue.reclaim(&stream, &b, SHORT, 1).await.unwrap().len(), 1);
}

async fn locks_open_by_themselves(it: impl Fixture) {
    let queue = it.queue();
    let ttl = Duration::from_secs(1);
    assert!(queue.try_lock("audit-j", ttl).await.unwrap());
    assert!(!queue.try_lock("audit-j", ttl).await.unwrap());
    assert!(queue.try_lock("audit-k", ttl).await.unwrap());
    tokio::time::sleep(ttl + SHORT).await;
    assert!(queue.try_lock("audit-j", ttl).await.unwrap());
}

async fn failures_are_counted_by_unit(it: impl Fixture) {
    let queue = it.queue();
    for expected in 1..=3 {
        assert_eq!(queue.count_failure(&job("j"), Unit::Shard(4)).await, Ok(expected));
    }
    assert_eq!(queue.count_failure(&job("j"), Unit::Finish).await, Ok(1));
    assert_eq!(queue.count_failure(&job("k"), Unit::Shard(4)).await, Ok(1));
}

async fn forgetting_a_job_leaves_the_others(it: impl Fixture) {
    let (queue, a) = (it.queue(), worker("a"));
    for name in ["j", "k"] {
        queue.open(&own(name)).await.unwrap();
        queue.push(&own(name), "", &entries(name, 0..2)).await.unwrap();
        queue.claim(&own(name), &a, 1).await.unwrap();
        queue.count_failure(&job(name), Unit::Shard(0)).await.unwrap();
        queue.set_open(&job(name), true).await.unwrap();
        queue.announce(&job(name)).await.unwrap();
    }
    queue.forget(&job("j")).await.unwrap();
    assert_eq!(queue.depth(&own("j")).await, Err(QueueError::NoGroup { stream: own("j") }));
    assert_eq!(queue.list_open().await.unwrap(), [job("k")]);
    assert_eq!(queue.count_failure(&job("j"), Unit::Shard(0)).await, Ok(1));
    assert_eq!(queue.wait_done(&job("j"), SHORT).await, Ok(false));
    assert_eq!(queue.depth(&own("k")).await.unwrap().queued, 1);
    assert_eq!(queue.count_failure(&job("k"), Unit::Shard(0)).await, Ok(2));
    assert_eq!(queue.wait_done(&job("k"), LONG).await, Ok(true));
}

async fn the_ends_of_jobs_are_told_once_in_their_order(it: impl Fixture) {
    let queue = it.queue();
    queue.announce(&job("before")).await.unwrap();
    let (start, told) = queue.done_since(None, LONG).await.unwrap();
    assert_eq!(told, []);
    assert_eq!(queue.done_since(Some(&start), SHORT).await, Ok((start.clone(), vec![])));
    queue.announce(&job("a")).await.unwrap();
    queue.announce(&job("b")).await.unwrap();
    let (next, told) = queue.done_since(Some(&start), LONG).await.unwrap();
    assert_eq!(told, [job("a"), job("b")]);
    let waiting = tokio::spawn({
        let (queue, next) = (queue.clone(), next.clone());
        async move { queue.done_since(Some(&next), LONG).await }
    });
    tokio::time::sleep(SHORT).await;
    queue.announce(&job("c")).await.unwrap();
    assert_eq!(waiting.await.unwrap().unwrap().1, [job("c")]);
    // Whoever comes late hears of it too.
    assert_eq!(queue.done_since(Some(&next), LONG).await.unwrap().1, [job("c")]);
}

async fn waiting_sees_what_is_there_what_comes_and_the_end(it: impl Fixture) {
    let (queue, a) = (it.queue(), worker("a"));
    let streams = [own("j"), own("k"), crate::lane()];
    for stream in &streams {
        queue.open(stream).await.unwrap();
    }
    let start = Instant::now();
    assert_eq!(queue.wait(&streams, SHORT).await, Ok(false));
    assert_eq!(queue.wait(&[], SHORT).await, Ok(false));
    assert!(start.elapsed() >= SHORT * 2);
    for stream in &streams {
        let waiting = tokio::spawn({
            let (queue, streams) = (queue.clone(), streams.clone());
            async move { queue.wait(&streams, LONG).await }
        });
        tokio::time::sleep(SHORT).await;
        queue.push(stream, "u", &entries("j", 0..1)).await.unwrap();
        assert_eq!(waiting.await.unwrap(), Ok(true));
        // Nobody took it, so there is still work.
        assert_eq!(queue.wait(&streams, LONG).await, Ok(true));
        assert_eq!(queue.claim(stream, &a, 9).await.unwrap().len(), 1);
        assert_eq!(queue.wait(&streams, SHORT).await, Ok(false));
    }
}

async fn all_who_wait_are_woken_at_once(it: impl Fixture) {
    let queue = it.queue();
    let stream = own("j");
    queue.open(&stream).await.unwrap();
    let waiting: Vec<_> = (0..8)
        .map(|_| {
            let (queue, stream) = (queue.clone(), stream.clone());
            tokio::spawn(async move {
                queue.wait(&[stream], LONG).await.unwrap();
                Instant::now()
            })
        })
        .collect();
    // One gives up; its end takes no wake-up with it.
    waiting[0].abort();
    tokio::time::sleep(Duration::from_millis(200)).await;
    let pushed = Instant::now();
    queue.push(&stream, "", &entries("j", 0..1)).await.unwrap();
    for woken in waiting.into_iter().skip(1) {
        let late = woken.await.unwrap() - pushed;
        // Generous, as other tests run meanwhile; how prompt it is says the benchmark.
        assert!(late < Duration::from_secs(2), "{late:?}");
    }
}

async fn no_wake_up_is_lost(it: impl Fixture) {
    let (queue, a) = (it.queue(), worker("a"));
    let stream = own("j");
    queue.open(&stream).await.unwrap();
    // One entry at a time: a wake-up that is lost is not made good by the next.
    let (ready, mut go) = tokio::sync::mpsc::channel::<u64>(1);
    let pushing = tokio::spawn({
        let (queue, stream) = (queue.clone(), stream.clone());
        async move {
            while let Some(round) = go.recv().await {
                // Now just before the other looks, now between its look and its wait, now after.
                let (start, delay) = (Instant::now(), Duration::from_micros(round * 7 % 900));
                while start.elapsed() < delay {
                    tokio::task::yield_now().await;
                }
                queue.push(&stream, "", &[entry("j", round)]).await.unwrap();
            }
        }
    });
    for round in 0..400 {
        ready.send(round).await.unwrap();
        let woken = queue.wait(std::slice::from_ref(&stream), Duration::from_secs(5)).await;
        assert_eq!(woken, Ok(true), "in round {round}");
        let leases = queue.claim(&stream, &a, 10).await.unwrap();
        assert_eq!(leases.len(), 1);
        queue.acknowledge(&a, &leases).await.unwrap();
    }
    drop(ready);
    pushing.await.unwrap();
}

async fn the_end_of_a_job_is_heard_before_and_after(it: impl Fixture) {
    let queue = it.queue();
    assert_eq!(queue.wait_done(&job("j"), SHORT).await, Ok(false));
    let waiting: Vec<_> = (0..2)
        .map(|_| {
            let queue = queue.clone();
            tokio::spawn(async move { queue.wait_done(&job("j"), LONG).await })
        })
        .collect();
    tokio::time::sleep(SHORT).await;
    queue.announce(&job("j")).await.unwrap();
    for waiting in waiting {
        assert_eq!(waiting.await.unwrap(), Ok(true));
    }
    queue.announce(&job("j")).await.unwrap();
    assert_eq!(queue.wait_done(&job("j"), LONG).await, Ok(true));
    assert_eq!(queue.wait_done(&job("k"), SHORT).await, Ok(false));
}

async fn open_jobs_keep_their_order(it: impl Fixture) {
    let queue = it.queue();
    assert_eq!(queue.list_open().await.unwrap(), []);
    for name in ["z", "a", "m", "z"] {
        queue.set_open(&job(name), true).await.unwrap();
    }
    assert_eq!(queue.list_open().await.unwrap(), [job("z"), job("a"), job("m")]);
    queue.set_open(&job("a"), false).await.unwrap();
    queue.set_open(&job("b"), false).await.unwrap();
    queue.set_open(&job("a"), true).await.unwrap();
    assert_eq!(queue.list_open().await.unwrap(), [job("z"), job("m"), job("a")]);
}

async fn thousands_go_through_in_one_call(it: impl Fixture) {
    let (queue, a) = (it.queue(), worker("a"));
    let stream = own("j");
    queue.open(&stream).await.unwrap();
    queue.push(&stream, "", &entries("j", 0..2300)).await.unwrap();
    assert_eq!(queue.depth(&stream).await.unwrap().queued, 2300);
    let mut leases = Vec::new();
    while leases.len() < 2300 {
        leases.extend(queue.claim(&stream, &a, 500).await.unwrap());
    }
    assert_eq!(shards(&leases), (0..2300).collect::<Vec<_>>());
    assert_eq!(queue.heartbeat(&a, &leases).await.unwrap(), []);
    assert_eq!(queue.acknowledge(&a, &leases).await.unwrap(), []);
    assert_eq!(queue.depth(&stream).await.unwrap(), Depth::default());
}
