//! The store against a real S3 server.
#![allow(clippy::unwrap_used, reason = "helpers of tests panic where the test fails")]

mod support;

use std::time::Duration;

use blockgrid_grid::store::{Links, Store, Usage, sha256};
use blockgrid_grid::{Created, StoreError};
use bytes::Bytes;
use support::proxy::Proxy;
use support::s3::S3;

fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

fn open(s3: &S3) -> Store {
    Store::open("s3://grid/some/prefix", &s3.options(s3.address)).unwrap()
}

#[tokio::test]
async fn objects_are_written_read_listed_and_removed() {
    let Some(s3) = S3::start() else { return };
    let store = open(&s3);
    let written = store.put("out/a", bytes("0123456789")).await.unwrap();
    assert_eq!(written.sha256, sha256(b"0123456789"));
    assert_eq!(store.get("out/a").await.unwrap(), "0123456789");
    assert_eq!(store.get_range("out/a", 2..5, written.etag.as_deref()).await.unwrap(), "234");
    let head = store.head("out/a").await.unwrap();
    assert_eq!((head.size, head.sha256), (10, Some(written.sha256)));
    assert_eq!(head.etag, written.etag);

    store.put("out/a", bytes("anew")).await.unwrap();
    let etag = written.etag.unwrap();
    assert!(matches!(store.get_if_match("out/a", &etag).await, Err(StoreError::Changed { .. })));
    assert!(matches!(store.get_range("out/a", 0..2, Some(&etag)).await, Err(StoreError::Changed { .. })));

    store.put("out/b", bytes("b")).await.unwrap();
    store.put("outer", bytes("c")).await.unwrap();
    let keys: Vec<_> = store.list("out").await.unwrap().into_iter().map(|entry| entry.key).collect();
    assert_eq!(keys, ["out/a", "out/b"]);
    assert_eq!(store.delete("out/a").await, Ok(()));
    assert_eq!(store.delete("out/a").await, Ok(()));
    assert!(store.get("out/a").await.unwrap_err().is_not_found());
    assert!(store.head("out/a").await.unwrap_err().is_not_found());
    assert_eq!(store.delete_prefix("out").await, Ok(1));
    assert_eq!(store.list("").await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_list_of_several_pages_is_whole() {
    let Some(s3) = S3::start() else { return };
    let store = open(&s3);
    let puts = (0..1_001).map(|n| {
        let store = store.clone();
        async move { store.create(&format!("many/{n:04}"), bytes("x")).await.unwrap() }
    });
    let ended: Vec<_> =
        futures::StreamExt::collect(futures::StreamExt::buffer_unordered(futures::stream::iter(puts), 32))
            .await;
    assert!(ended.iter().all(|end| *end == Created::New));
    let before = store.meter().usage().puts;
    let found = store.list("many").await.unwrap();
    assert_eq!(store.meter().usage().puts - before, 2);
    assert!(found.iter().enumerate().all(|(n, entry)| entry.key == format!("many/{n:04}")));
    assert_eq!(store.delete_prefix("many").await, Ok(1_001));
    assert_eq!(store.list("many").await, Ok(vec![]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_racing_creators_one_wins() {
    let Some(s3) = S3::start() else { return };
    let store = open(&s3);
    for round in 0..40 {
        let race = (0..16).map(|n| {
            let store = store.clone();
            tokio::spawn(async move {
                (n, store.create(&format!("race/{round}"), bytes(&format!("writer {n}"))).await.unwrap())
            })
        });
        let ended: Vec<_> = futures::future::join_all(race).await.into_iter().map(Result::unwrap).collect();
        let winners: Vec<_> = ended.iter().filter(|(_, end)| *end == Created::New).collect();
        assert_eq!(winners.len(), 1, "{ended:?}");
        let winner = format!("writer {}", winners[0].0);
        assert_eq!(store.get(&format!("race/{round}")).await.unwrap(), winner);
        let lost = Created::Different { found: sha256(winner.as_bytes()) };
        assert_eq!(ended.iter().filter(|(_, end)| *end == lost).count(), 15, "{ended:?}");
    }
    // Of equal bytes nobody loses.
    let race = (0..16).map(|_| {
        let store = store.clone();
        tokio::spawn(async move { store.create("race/equal", bytes("same")).await.unwrap() })
    });
    let ended: Vec<_> = futures::future::join_all(race).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(ended.iter().filter(|end| **end == Created::New).count(), 1);
    assert_eq!(ended.iter().filter(|end| **end == Created::Same).count(), 15);
}

#[tokio::test]
async fn a_foreign_object_without_a_digest_is_read_to_be_compared() {
    let Some(s3) = S3::start() else { return };
    let store = open(&s3);
    // In parts, so that its metadata lacks the digest.
    let part = Bytes::from(vec![3u8; 17 << 20]);
    let stream = futures::stream::iter([Ok::<_, String>(part.clone()), Ok(part.clone())]);
    let written = store.put_large("big", stream).await.unwrap();
    assert_eq!(written.size, 34 << 20);
    assert_eq!(store.head("big").await.unwrap().sha256, None);
    assert_eq!(
        store.create("big", bytes("small")).await,
        Ok(Created::Different { found: written.sha256.clone() })
    );
    assert_eq!(store.get_checked("big", &written.sha256).await.unwrap().len(), 34 << 20);
}

#[tokio::test]
async fn a_signed_link_opens_one_object_for_a_while() {
    let Some(s3) = S3::start() else { return };
    let store = open(&s3);
    store.put("out/report", bytes("hello")).await.unwrap();
    let url = store.signed_get("out/report", Duration::from_secs(60)).await.unwrap();
    let get = async |url: &str| {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let target = url.split_once(&s3.address.to_string()).unwrap().1;
        let mut server = tokio::net::TcpStream::connect(s3.address).await.unwrap();
        let request = format!("GET {target} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", s3.address);
        server.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        server.read_to_string(&mut answer).await.unwrap();
        answer
    };
    let answer = get(&url).await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("hello"), "{answer}");
    let other = get(&url.replace("report", "secret")).await;
    assert!(other.starts_with("HTTP/1.1 403"), "{other}");

    let links = Links::new().unwrap();
    assert_eq!(links.get(&url).await.unwrap(), "hello");
    let refused = links.get(&url.replace("report", "secret")).await.unwrap_err();
    assert!(matches!(refused, StoreError::Refused { .. }), "{refused}");
    let secret = url.split_once("X-Amz-Signature=").unwrap().1;
    assert!(!refused.to_string().contains(&secret[..16]), "{refused}");
    std::fs::write(s3.file("some/prefix/out/report"), "hullo").unwrap();
    assert!(matches!(links.get(&url).await, Err(StoreError::Corrupt { .. })));
}

#[tokio::test]
async fn what_will_never_work_is_refused_at_once_with_the_remedy() {
    let Some(s3) = S3::start() else { return };
    let missing = Store::open("s3://no-such-bucket", &s3.options(s3.address)).unwrap();
    for error in [
        missing.get("x").await.unwrap_err(),
        missing.create("x", bytes("1")).await.unwrap_err(),
        missing.list("").await.unwrap_err(),
    ] {
        assert!(matches!(error, StoreError::Refused { .. }), "{error}");
        assert!(error.to_string().contains("make the bucket"), "{error}");
    }
    let mut options = s3.options(s3.address);
    options.credentials.as_mut().unwrap().secret = "wrong".to_owned();
    let stranger = Store::open("s3://grid", &options).unwrap();
    for error in [stranger.get("x").await.unwrap_err(), stranger.create("x", bytes("1")).await.unwrap_err()] {
        assert!(matches!(error, StoreError::Refused { .. }), "{error}");
        assert!(error.to_string().contains("AWS_SECRET_ACCESS_KEY"), "{error}");
    }
    assert_eq!(stranger.meter().usage().puts, 1, "asked once");
}

#[tokio::test]
async fn the_meter_counts_what_the_server_sees() {
    let Some(s3) = S3::start() else { return };
    let proxy = Proxy::start(s3.address).await;
    let store = Store::open("s3://grid", &s3.options(proxy.address)).unwrap();
    store.put("a", bytes("123")).await.unwrap();
    let _ = store.create("b", bytes("4567")).await.unwrap();
    let _ = store.create("b", bytes("4567")).await.unwrap();
    store.get("b").await.unwrap();
    store.get_range("b", 1..3, None).await.unwrap();
    store.list("").await.unwrap();
    store.delete("a").await.unwrap();
    let usage = store.meter().usage();
    assert_eq!(usage, Usage { puts: 4, gets: 3, deletes: 1, bytes_read: 6, bytes_written: 11 });
    assert_eq!(proxy.seen("PUT", "") + proxy.seen("GET", "list-type"), 4);
    assert_eq!(proxy.seen("GET", "/b") + proxy.seen("HEAD", "/b"), 3);
}
