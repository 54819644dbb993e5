//! What every kind of store does alike, on the two that need no server.

use bytes::Bytes;

use super::*;

fn stores() -> (tempfile::TempDir, [Store; 2]) {
    let dir = tempfile::tempdir().unwrap();
    let open = |location: &str| Store::open(location, &Options::default()).unwrap();
    let stores = [open("memory:"), open(&format!("file://{}/made/now", dir.path().display()))];
    (dir, stores)
}

fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

#[tokio::test]
async fn the_first_to_create_stays() {
    let (_dir, stores) = stores();
    for store in stores {
        assert_eq!(store.create("a/b", bytes("one")).await, Ok(Created::New));
        assert_eq!(store.create("a/b", bytes("one")).await, Ok(Created::Same));
        let found = sha256(b"one");
        assert_eq!(store.create("a/b", bytes("two")).await, Ok(Created::Different { found }));
        assert_eq!(store.get("a/b").await.unwrap(), "one");
        store.delete("a/b").await.unwrap();
        assert_eq!(store.create("a/b", bytes("two")).await, Ok(Created::New));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_racing_creators_one_wins() {
    let (_dir, stores) = stores();
    for store in stores {
        for round in 0..20 {
            let key = format!("race/{round}");
            let race = (0..16).map(|n| {
                let (store, key) = (store.clone(), key.clone());
                tokio::spawn(async move { (n, store.create(&key, bytes(&n.to_string())).await.unwrap()) })
            });
            let ended = futures::future::join_all(race).await;
            let ended: Vec<_> = ended.into_iter().map(Result::unwrap).collect();
            let winners: Vec<_> = ended.iter().filter(|(_, end)| *end == Created::New).collect();
            assert_eq!(winners.len(), 1, "{ended:?}");
            let winner = winners[0].0.to_string();
            assert_eq!(store.get(&key).await.unwrap(), winner);
            let found = sha256(winner.as_bytes());
            let losers = ended.iter().filter(|(_, end)| *end == Created::Different { found: found.clone() });
            assert_eq!(losers.count(), 15);
        }
    }
}

#[tokio::test]
async fn what_was_put_is_read_in_whole_and_in_part() {
    let (_dir, stores) = stores();
    for store in stores {
        let written = store.put("x", bytes("0123456789")).await.unwrap();
        assert_eq!((written.size, written.sha256.as_str()), (10, sha256(b"0123456789").as_str()));
        assert_eq!(store.get_range("x", 2..5, None).await.unwrap(), "234");
        assert_eq!(store.get_checked("x", &written.sha256).await.unwrap(), "0123456789");
        let head = store.head("x").await.unwrap();
        assert_eq!((head.key.as_str(), head.size), ("x", 10));
        assert_eq!(head.sha256.is_some(), store.location() == "memory:");

        let etag = head.etag.unwrap();
        assert_eq!(store.get_if_match("x", &etag).await.unwrap(), "0123456789");
        store.put("x", bytes("something else")).await.unwrap();
        let changed = store.get_if_match("x", &etag).await.unwrap_err();
        assert!(matches!(changed, StoreError::Changed { .. }), "{changed}");
        assert!(matches!(store.get_range("x", 0..2, Some(&etag)).await, Err(StoreError::Changed { .. })));
        assert!(store.get_range("x", 90..95, None).await.is_err());
    }
}

#[tokio::test]
async fn a_wrong_digest_is_found_out_and_named() {
    let (_dir, stores) = stores();
    for store in stores {
        store.put("x", bytes("right")).await.unwrap();
        let before = store.meter().usage().gets;
        let error = store.get_checked("x", &sha256(b"left")).await.unwrap_err();
        assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
        let text = error.to_string();
        assert!(text.contains(&sha256(b"right")) && text.contains(&sha256(b"left")), "{text}");
        assert_eq!(store.meter().usage().gets - before, 3);
    }
}

#[tokio::test]
async fn lists_are_sorted_and_know_where_a_segment_ends() {
    let (_dir, stores) = stores();
    for store in stores {
        for key in ["jobs/b/2", "jobs/a/x", "jobs/b/1", "jobs/ab/y", "jobs/b"] {
            if key != "jobs/b" || store.location() == "memory:" {
                store.put(key, bytes(key)).await.unwrap();
            }
        }
        let keys = |found: Vec<Entry>| found.into_iter().map(|entry| entry.key).collect::<Vec<_>>();
        assert_eq!(keys(store.list("jobs/b").await.unwrap()), ["jobs/b/1", "jobs/b/2"]);
        assert_eq!(keys(store.list("jobs/a/").await.unwrap()), ["jobs/a/x"]);
        assert_eq!(keys(store.list("none").await.unwrap()), Vec::<String>::new());
        assert_eq!(store.delete_prefix("jobs/a").await, Ok(1));
        assert_eq!(store.delete_prefix("jobs/a").await, Ok(0));
        assert!(store.list("").await.unwrap().iter().any(|entry| entry.key == "jobs/ab/y"));
        assert!(store.delete_prefix("").await.is_err());
    }
}

#[tokio::test]
async fn what_is_missing_is_not_found_and_a_bad_key_is_told() {
    let (_dir, stores) = stores();
    for store in stores {
        assert!(store.get("no/such").await.unwrap_err().is_not_found());
        assert!(store.head("no/such").await.unwrap_err().is_not_found());
        assert_eq!(store.delete("no/such").await, Ok(()));
        for bad in ["", "/a", "a/", "a//b", "../a", "a/./b"] {
            let error = store.get(bad).await.unwrap_err();
            assert!(matches!(error, StoreError::Other { .. }), "{bad}: {error}");
        }
        assert!(store.signed_get("x", Duration::from_secs(60)).await.is_err());
    }
}

#[tokio::test]
async fn large_objects_come_in_parts_and_arrive_whole() {
    let (_dir, stores) = stores();
    for store in stores {
        let chunk = Bytes::from(vec![7u8; 3 << 20]);
        for chunks in [0, 1, 6] {
            let stream = futures::stream::iter((0..chunks).map(|_| Ok::<_, String>(chunk.clone())));
            let written = store.put_large("big", stream).await.unwrap();
            assert_eq!(written.size, (chunks * chunk.len()) as u64);
            let whole = store.get_checked("big", &written.sha256).await.unwrap();
            assert_eq!(whole.len(), chunks * chunk.len());
        }
        let broken =
            futures::stream::iter((0..7).map(|n| if n < 6 { Ok(chunk.clone()) } else { Err("torn") }));
        let error = store.put_large("torn", broken).await.unwrap_err();
        assert!(error.to_string().contains("torn"), "{error}");
        assert!(store.get("torn").await.unwrap_err().is_not_found());
        assert_eq!(store.list("").await.unwrap().len(), 1);
    }
}

#[tokio::test]
async fn a_tasks_meter_counts_for_it_and_for_the_whole() {
    let store = Store::open("memory:", &Options::default()).unwrap();
    let task = store.metered(store.meter().fork());
    store.put("a", bytes("123")).await.unwrap();
    task.put("b", bytes("4567")).await.unwrap();
    task.get("b").await.unwrap();
    task.list("").await.unwrap();
    task.delete("b").await.unwrap();
    let expected = Usage { puts: 2, gets: 1, deletes: 1, bytes_read: 4, bytes_written: 4 };
    assert_eq!(task.meter().usage(), expected);
    assert_eq!(store.meter().usage(), Usage { puts: 3, bytes_written: 7, ..expected });
}
