//! Lanes: who is served next.

use std::time::Duration;

use blockgrid_grid::{Depth, Entry, Lease, Queue, QueueError, Unit};

use crate::{Fixture, entries, job, lane, on_both, worker};

on_both! {
    ten_thousand_entries_of_one_do_not_delay_one_of_another
    costs_are_honoured
    idling_earns_no_credit
    emptying_ones_list_pays_no_debt
    equal_owners_go_by_name
    lanes_have_leases_as_jobs_have
    a_lost_lane_is_told_and_heals
}

fn of(owner: &str, shard: u64, cost_micros: u64) -> Entry {
    Entry { job: job(owner), unit: Unit::Shard(shard), cost_micros }
}

/// Claims one by one; the owners' names, which are those of their jobs here.
async fn served(queue: &impl Queue, claims: usize) -> Vec<String> {
    let mut served = Vec::new();
    for _ in 0..claims {
        let leases = queue.claim(&lane(), &worker("w"), 1).await.unwrap();
        served.extend(leases.iter().map(|lease: &Lease| lease.entry.job.to_string()));
    }
    served
}

async fn ten_thousand_entries_of_one_do_not_delay_one_of_another(it: impl Fixture) {
    let queue = it.queue();
    queue.open(&lane()).await.unwrap();
    queue.push(&lane(), "big", &entries("big", 0..10_000)).await.unwrap();
    assert_eq!(served(queue, 3).await, ["big"; 3]);
    queue.push(&lane(), "small", &entries("small", 0..1)).await.unwrap();
    let next = served(queue, 2).await;
    assert!(next.contains(&"small".to_owned()), "{next:?}");
    assert_eq!(served(queue, 1).await, ["big"]);
    let depth = queue.depth(&lane()).await.unwrap();
    assert_eq!((depth.queued, depth.pending, depth.queued_micros), (9_995, 6, 9_995_000));
    assert!(depth.oldest_ms.is_some());
}

async fn costs_are_honoured(it: impl Fixture) {
    let queue = it.queue();
    queue.open(&lane()).await.unwrap();
    let dear: Vec<_> = (0..100).map(|shard| of("dear", shard, 10_000)).collect();
    let cheap: Vec<_> = (0..400).map(|shard| of("cheap", shard, 1_000)).collect();
    queue.push(&lane(), "dear", &dear).await.unwrap();
    queue.push(&lane(), "cheap", &cheap).await.unwrap();
    let count = served(queue, 220).await.iter().filter(|owner| *owner == "dear").count();
    assert_eq!(count, 20);
}

async fn idling_earns_no_credit(it: impl Fixture) {
    let queue = it.queue();
    queue.open(&lane()).await.unwrap();
    queue.push(&lane(), "late", &entries("late", 0..1)).await.unwrap();
    queue.push(&lane(), "busy", &entries("busy", 0..200)).await.unwrap();
    served(queue, 101).await;
    // Idle for a hundred entries, it takes turns like anyone.
    queue.push(&lane(), "late", &entries("late", 0..50)).await.unwrap();
    let next = served(queue, 20).await;
    let late = next.iter().filter(|owner| *owner == "late").count();
    assert!((9..=11).contains(&late), "{next:?}");
}

async fn emptying_ones_list_pays_no_debt(it: impl Fixture) {
    let queue = it.queue();
    queue.open(&lane()).await.unwrap();
    queue.push(&lane(), "busy", &entries("busy", 0..100)).await.unwrap();
    // One dear entry at a time, the next as soon as it was served.
    let (mut dear, mut is_queued) = (0, false);
    for shard in 0..66 {
        if !is_queued {
            queue.push(&lane(), "dear", &[of("dear", shard, 10_000)]).await.unwrap();
        }
        is_queued = served(queue, 1).await != ["dear"];
        dear += u32::from(!is_queued);
    }
    // A tenth of the claims and the first, which comes as it joins.
    assert!((6..=7).contains(&dear), "{dear}");
}

async fn equal_owners_go_by_name(it: impl Fixture) {
    let queue = it.queue();
    queue.open(&lane()).await.unwrap();
    for owner in ["c", "a", "b"] {
        queue.push(&lane(), owner, &entries(owner, 0..2)).await.unwrap();
    }
    assert_eq!(served(queue, 7).await, ["a", "b", "c", "a", "b", "c"]);
    assert_eq!(queue.depth(&lane()).await.unwrap(), Depth { pending: 6, ..Depth::default() });
}

async fn lanes_have_leases_as_jobs_have(it: impl Fixture) {
    let (queue, a, b) = (it.queue(), worker("a"), worker("b"));
    queue.open(&lane()).await.unwrap();
    // Odd names do no harm.
    queue.push(&lane(), "team } {/ü 1", &entries("j", 0..4)).await.unwrap();
    let had = queue.claim(&lane(), &a, 3).await.unwrap();
    assert_eq!(had.iter().map(|lease| lease.entry.unit).collect::<Vec<_>>(), [0, 1, 2].map(Unit::Shard));
    assert_eq!(queue.heartbeat(&a, &had).await.unwrap(), []);
    assert_eq!(queue.heartbeat(&b, &had).await.unwrap(), had);
    assert_eq!(queue.acknowledge(&a, &had[..1]).await.unwrap(), []);
    assert_eq!(queue.release(&a, &had[1..2]).await.unwrap(), []);
    let taken = queue.reclaim(&lane(), &b, Duration::from_secs(20), 9).await.unwrap();
    assert_eq!((taken[0].id.as_str(), taken[0].deliveries), (had[1].id.as_str(), 2));
    assert_eq!(queue.acknowledge(&a, &had).await.unwrap(), had[..2]);
}

async fn a_lost_lane_is_told_and_heals(it: impl Fixture) {
    let (queue, a) = (it.queue(), worker("a"));
    queue.open(&lane()).await.unwrap();
    queue.push(&lane(), "u", &entries("j", 0..4)).await.unwrap();
    it.flush();
    let gone = QueueError::NoGroup { stream: lane() };
    assert_eq!(queue.claim(&lane(), &a, 1).await, Err(gone.clone()));
    assert_eq!(queue.push(&lane(), "u", &entries("j", 0..1)).await, Err(gone.clone()));
    assert_eq!(queue.depth(&lane()).await, Err(gone));
    queue.open(&lane()).await.unwrap();
    queue.push(&lane(), "u", &entries("j", 2..4)).await.unwrap();
    assert_eq!(queue.claim(&lane(), &a, 9).await.unwrap().len(), 2);
}
