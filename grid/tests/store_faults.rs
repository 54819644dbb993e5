//! Each fault of network and server: the store's answer is right, and the fault did happen.
#![allow(clippy::unwrap_used, reason = "helpers of tests panic where the test fails")]

mod support;

use std::time::{Duration, Instant};

use blockgrid_grid::store::{Store, sha256};
use blockgrid_grid::{Created, Options, StoreError};
use bytes::Bytes;
use support::proxy::{Fault, Proxy, Rule};
use support::s3::S3;

fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

/// A server, a proxy before it, a store through the proxy, and one past it.
struct Bench {
    proxy: Proxy,
    store: Store,
    direct: Store,
    s3: S3,
}

impl Bench {
    async fn new() -> Option<Self> {
        let s3 = S3::start()?;
        let proxy = Proxy::start(s3.address).await;
        let open = |address| Store::open("s3://grid", &s3.options(address)).unwrap();
        let (store, direct) = (open(proxy.address), open(s3.address));
        Some(Self { proxy, store, direct, s3 })
    }

    /// Through the proxy, with other options.
    fn store(&self, change: impl FnOnce(&mut Options)) -> Store {
        let mut options = self.s3.options(self.proxy.address);
        change(&mut options);
        Store::open("s3://grid", &options).unwrap()
    }
}

#[tokio::test]
async fn an_overloaded_server_is_asked_again() {
    let Some(bench) = Bench::new().await else { return };
    for (n, (status, code)) in
        [(503, "SlowDown"), (500, "InternalError"), (429, "TooManyRequests"), (400, "RequestTimeout")]
            .into_iter()
            .enumerate()
    {
        let key = format!("k{n}");
        let put = bench.proxy.rule(Rule::new("PUT", &key, Fault::Answer(status, code)).times(3));
        let get = bench.proxy.rule(Rule::new("GET", &key, Fault::Answer(status, code)).times(2));
        let head = bench.proxy.rule(Rule::new("HEAD", &key, Fault::Answer(503, "")).times(2));
        let list = bench.proxy.rule(Rule::new("GET", "list-type", Fault::Answer(status, code)).times(2));
        let delete = bench.proxy.rule(Rule::new("POST", "delete", Fault::Answer(status, code)).times(2));
        assert_eq!(bench.store.create(&key, bytes("1")).await, Ok(Created::New));
        assert_eq!(bench.store.get(&key).await.unwrap(), "1");
        assert_eq!(bench.store.head(&key).await.unwrap().size, 1);
        assert_eq!(bench.store.list("").await.unwrap().len(), 1);
        assert_eq!(bench.store.delete(&key).await, Ok(()));
        let fired = [put, get, head, list, delete].map(|rule| rule.fired());
        assert_eq!(fired, [3, 2, 2, 2, 2], "{code}");
        bench.proxy.heal();
    }
}

#[tokio::test]
async fn patience_ends_with_a_word_about_the_key() {
    let Some(bench) = Bench::new().await else { return };
    let rule = bench.proxy.rule(Rule::new("", "dead", Fault::Answer(503, "SlowDown")));
    let store = bench.store(|options| options.patience = Duration::from_millis(400));
    let begin = Instant::now();
    for error in [
        store.create("dead", bytes("1")).await.unwrap_err(),
        store.put("dead", bytes("1")).await.unwrap_err(),
        store.get("dead").await.unwrap_err(),
    ] {
        assert!(error.is_unavailable(), "{error}");
        let text = error.to_string();
        assert!(text.contains("s3://grid/dead") && text.contains("SlowDown"), "{text}");
        assert!(text.contains("try again later"), "{text}");
    }
    assert!(begin.elapsed() < Duration::from_secs(2), "{:?}", begin.elapsed());
    assert!(rule.fired() > 6, "{}", rule.fired());
}

#[tokio::test]
async fn a_server_that_is_gone_is_unavailable() {
    let Some(bench) = Bench::new().await else { return };
    let store = bench.store(|options| options.patience = Duration::from_millis(300));
    drop(bench.proxy);
    tokio::task::yield_now().await;
    let error = store.get("x").await.unwrap_err();
    assert!(error.is_unavailable(), "{error}");
}

#[tokio::test]
async fn a_server_that_hangs_is_left_and_asked_again() {
    let Some(bench) = Bench::new().await else { return };
    let slow = Fault::Delay(Duration::from_secs(3));
    let put = bench.proxy.rule(Rule::new("PUT", "x", slow.clone()).times(1));
    let get = bench.proxy.rule(Rule::new("GET", "x", slow).times(1));
    let store = bench.store(|options| options.request_timeout = Duration::from_millis(300));
    assert_eq!(store.create("x", bytes("1")).await, Ok(Created::New));
    assert_eq!(store.get("x").await.unwrap(), "1");
    assert_eq!((put.fired(), get.fired()), (1, 1));
}

#[tokio::test]
async fn a_create_that_was_applied_and_cut_is_the_same() {
    let Some(bench) = Bench::new().await else { return };
    let cut = bench.proxy.rule(Rule::new("PUT", "outcome", Fault::AppliedThenCut).times(1));
    assert_eq!(bench.store.create("outcome/a", bytes("1")).await, Ok(Created::Same));
    assert_eq!(cut.fired(), 1);
    assert_eq!(bench.proxy.seen("PUT", "outcome/a"), 1, "the one whose answer was lost");
    assert_eq!(bench.proxy.seen("HEAD", "outcome/a"), 1, "what found it");
    // Another's bytes came between: ours were not written, and that is told.
    let cut = bench.proxy.rule(Rule::new("PUT", "outcome", Fault::Cut).times(1));
    let found = sha256(b"theirs");
    bench.direct.put("outcome/b", bytes("theirs")).await.unwrap();
    assert_eq!(bench.store.create("outcome/b", bytes("ours")).await, Ok(Created::Different { found }));
    assert_eq!(cut.fired(), 1);

    let cut = bench.proxy.rule(Rule::new("PUT", "plain", Fault::AppliedThenCut).times(1));
    bench.store.put("plain", bytes("1")).await.unwrap();
    let gone = bench.proxy.rule(Rule::new("POST", "delete", Fault::AppliedThenCut).times(1));
    assert_eq!(bench.store.delete("plain").await, Ok(()));
    assert_eq!((cut.fired(), gone.fired()), (1, 1));
}

#[tokio::test]
async fn a_conflict_is_looked_into() {
    let Some(bench) = Bench::new().await else { return };
    let conflict = Fault::Answer(409, "ConditionalRequestConflict");
    // Nothing is there: the other write failed, so ours is tried again.
    let rule = bench.proxy.rule(Rule::new("PUT", "free", conflict.clone()).times(2));
    assert_eq!(bench.store.create("free", bytes("1")).await, Ok(Created::New));
    assert_eq!(rule.fired(), 2);
    // Something is: ours from before, or another's.
    let rule = bench.proxy.rule(Rule::new("PUT", "taken", conflict.clone()).times(2));
    bench.direct.put("taken", bytes("1")).await.unwrap();
    assert_eq!(bench.store.create("taken", bytes("1")).await, Ok(Created::Same));
    let found = sha256(b"1");
    assert_eq!(bench.store.create("taken", bytes("2")).await, Ok(Created::Different { found }));
    assert_eq!(rule.fired(), 2);
    // A write without conditions only waits for its turn.
    let rule = bench.proxy.rule(Rule::new("PUT", "plain", Fault::Answer(409, "OperationAborted")).times(2));
    bench.store.put("plain", bytes("1")).await.unwrap();
    assert_eq!(rule.fired(), 2);
    // Conflict without end, and never anything there.
    let rule = bench.proxy.rule(Rule::new("PUT", "never", conflict));
    let store = bench.store(|options| options.patience = Duration::from_millis(200));
    let error = store.create("never", bytes("1")).await.unwrap_err();
    assert!(error.is_unavailable() && error.to_string().contains("another writer"), "{error}");
    assert!(rule.fired() > 1);
}

#[tokio::test]
async fn a_body_that_is_cut_short_or_damaged_is_asked_for_again() {
    let Some(bench) = Bench::new().await else { return };
    let text = "0123456789".repeat(1000);
    let written = bench.direct.put("x", bytes(&text)).await.unwrap();
    for fault in [Fault::Truncate(100), Fault::Shorten(100), Fault::Damage] {
        let rule = bench.proxy.rule(Rule::new("GET", "/x", fault.clone()).times(2));
        assert_eq!(bench.store.get("x").await.unwrap(), text, "{fault:?}");
        assert_eq!(rule.fired(), 2, "{fault:?}");
        bench.proxy.heal();

        let rule = bench.proxy.rule(Rule::new("GET", "/x", fault.clone()));
        let store = bench.store(|options| options.patience = Duration::from_millis(300));
        let error = store.get_checked("x", &written.sha256).await.unwrap_err();
        match fault {
            Fault::Truncate(_) => assert!(error.is_unavailable(), "{error}"),
            _ => assert!(matches!(error, StoreError::Corrupt { .. }) && rule.fired() == 3, "{error}"),
        }
        assert!(rule.fired() > 1);
        bench.proxy.heal();
    }
    // A part has no digest, but a length.
    let rule = bench.proxy.rule(Rule::new("GET", "/x", Fault::Shorten(3)).times(1));
    assert_eq!(bench.store.get_range("x", 5..15, None).await.unwrap(), "5678901234");
    assert_eq!(rule.fired(), 1);
}

#[tokio::test]
async fn a_server_without_conditional_writes_is_refused_with_the_remedy() {
    let Some(bench) = Bench::new().await else { return };
    for (status, code) in
        [(501, "NotImplemented"), (400, "NotImplemented"), (501, ""), (400, "InvalidRequest")]
    {
        let rule = bench.proxy.rule(Rule::new("PUT", "", Fault::Answer(status, code)).if_conditional());
        let error = bench.store.create("x", bytes("1")).await.unwrap_err();
        assert!(matches!(error, StoreError::Refused { .. }), "{status} {code}: {error}");
        assert!(error.to_string().contains("conditional writes"), "{error}");
        assert!(error.to_string().contains(code), "{error}");
        assert_eq!(rule.fired(), 1, "asking again is no use");
        bench.store.put("y", bytes("1")).await.unwrap();
        bench.proxy.heal();
    }
}

#[tokio::test]
async fn a_refusal_is_final() {
    let Some(bench) = Bench::new().await else { return };
    for (code, says) in [("AccessDenied", "check its policy"), ("RequestTimeTooSkewed", "clock")] {
        let rule = bench.proxy.rule(Rule::new("", "", Fault::Answer(403, code)));
        for error in [
            bench.store.create("x", bytes("1")).await.unwrap_err(),
            bench.store.get("x").await.unwrap_err(),
            bench.store.list("x").await.unwrap_err(),
            bench.store.delete("x").await.unwrap_err(),
        ] {
            assert!(matches!(error, StoreError::Refused { .. }), "{error}");
            assert!(error.to_string().contains(says), "{error}");
        }
        assert_eq!(rule.fired(), 4);
        bench.proxy.heal();
    }
}

#[tokio::test]
async fn parts_are_sent_again_and_a_lost_completion_is_found_out() {
    let Some(bench) = Bench::new().await else { return };
    let store = bench.store(|options| {
        options.patience = Duration::from_secs(30);
        options.request_timeout = Duration::from_secs(10);
    });
    let part = Bytes::from(vec![5u8; 17 << 20]);
    let stream = || futures::stream::iter([Ok::<_, String>(part.clone()), Ok(part.clone())]);
    let begin = bench.proxy.rule(Rule::new("POST", "uploads", Fault::Answer(503, "SlowDown")).times(1));
    let first = bench.proxy.rule(Rule::new("PUT", "partNumber=1", Fault::Answer(503, "SlowDown")).times(1));
    let second = bench.proxy.rule(Rule::new("PUT", "partNumber=2", Fault::AppliedThenCut).times(1));
    let end = bench.proxy.rule(Rule::new("POST", "uploadId", Fault::AppliedThenCut).times(1));
    // What S3 says of an upload that is complete; versitygw would complete it again.
    let gone = bench.proxy.rule(Rule::new("POST", "uploadId", Fault::Answer(404, "NoSuchUpload")).times(1));
    let written = store.put_large("big", stream()).await.unwrap();
    assert_eq!([begin, first, second, end, gone].map(|rule| rule.fired()), [1; 5]);
    let whole = bench.direct.get_checked("big", &written.sha256).await.unwrap();
    assert_eq!(whole.len(), 34 << 20);

    // Gone without a trace is another matter.
    let gone = bench.proxy.rule(Rule::new("POST", "uploadId", Fault::Answer(404, "NoSuchUpload")).times(1));
    let error = store.put_large("gone", stream()).await.unwrap_err();
    assert!(error.to_string().contains("write it again"), "{error}");
    assert_eq!((gone.fired(), bench.proxy.seen("DELETE", "uploadId")), (1, 1));

    // What cannot be sent is taken back.
    let refused = bench.proxy.rule(Rule::new("PUT", "partNumber=2", Fault::Answer(403, "AccessDenied")));
    let error = store.put_large("torn", stream()).await.unwrap_err();
    assert!(matches!(error, StoreError::Refused { .. }), "{error}");
    assert_eq!((refused.fired(), bench.proxy.seen("DELETE", "uploadId")), (1, 2));
    assert!(bench.direct.head("torn").await.unwrap_err().is_not_found());
}

#[tokio::test]
async fn a_list_that_breaks_off_goes_on_where_it_was() {
    let Some(bench) = Bench::new().await else { return };
    let puts = (0..1_050).map(|n| {
        let store = bench.direct.clone();
        async move { store.put(&format!("many/{n:04}"), bytes("x")).await.unwrap() }
    });
    let puts = futures::StreamExt::buffer_unordered(futures::stream::iter(puts), 32);
    let _: Vec<_> = futures::StreamExt::collect(puts).await;
    let page = Rule::new("GET", "continuation-token", Fault::Answer(503, "SlowDown")).times(1);
    let page = bench.proxy.rule(page);
    let found = bench.store.list("many").await.unwrap();
    assert!(found.iter().enumerate().all(|(n, entry)| entry.key == format!("many/{n:04}")));
    assert_eq!((found.len(), page.fired()), (1_050, 1));
    assert_eq!(bench.proxy.seen("GET", "start-after"), 1);
}
