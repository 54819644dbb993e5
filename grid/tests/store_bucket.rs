//! The settings of a bucket, and the race that no setting can promise, on a real S3 server.
#![allow(clippy::unwrap_used, reason = "helpers of tests panic where the test fails")]

mod support;

use blockgrid_grid::StoreError;
use blockgrid_grid::bucket::{Bucket, Finding, Policy, State};
use support::proxy::{Fault, Proxy, Rule};
use support::s3::S3;

fn state(findings: &[Finding], what: &str) -> State {
    findings.iter().find(|finding| finding.what == what).unwrap().state
}

#[tokio::test]
async fn what_is_missing_is_set_up_and_what_is_not_there_is_told() {
    let Some(s3) = S3::start() else { return };
    let bucket = Bucket::open("s3://grid/some/prefix", &s3.options(s3.address)).await.unwrap();
    let policy = Policy::default();
    let before = bucket.check(&policy).await;
    let after = bucket.setup(&policy).await;
    for finding in before.iter().chain(&after) {
        println!("{finding}");
    }
    assert_eq!(state(&before, "versioning"), State::Missing);
    assert_eq!(state(&after, "versioning"), State::Ok);
    // versitygw has none of these.
    for what in ["unfinished uploads", "expiry of the cache", "expiry of jobs"] {
        assert_eq!(state(&after, what), State::Unsupported);
    }
    assert_eq!(after, bucket.setup(&policy).await);
}

#[tokio::test]
async fn every_setting_is_made_where_the_server_has_it_and_other_rules_stay() {
    let Some(s3) = S3::start_moto() else { return };
    let bucket = Bucket::open("s3://grid/some/prefix", &s3.options(s3.address)).await.unwrap();
    let policy = Policy::default();
    let all = ["unfinished uploads", "expiry of the cache", "expiry of jobs", "encryption", "public access"];
    let before = bucket.check(&policy).await;
    assert!(all.iter().all(|what| state(&before, what) == State::Missing), "{before:?}");
    // moto answers this question with a document of the wrong name.
    let versioning = &before[0];
    assert_eq!(versioning.state, State::Unknown, "{versioning}");
    assert!(versioning.says.contains("makes no sense"), "{versioning}");

    let all_ok =
        |after: Vec<Finding>| assert!(all.iter().all(|what| state(&after, what) == State::Ok), "{after:?}");
    all_ok(bucket.setup(&policy).await);
    // Another store in the same bucket, by another policy: each has its own rules.
    let other = Bucket::open("s3://grid/other", &s3.options(s3.address)).await.unwrap();
    let short = Policy { cache_days: 10, ..policy };
    assert_eq!(state(&other.check(&short).await, "expiry of the cache"), State::Missing);
    all_ok(other.setup(&short).await);
    all_ok(bucket.check(&policy).await);
    // Other days replace the rule.
    all_ok(bucket.setup(&short).await);
    assert_eq!(state(&bucket.check(&policy).await, "expiry of the cache"), State::Missing);
}

/// As SeaweedFS does without `s3.sse.kek`: the setting is taken, and each write fails from then on.
#[tokio::test]
async fn encryption_that_lets_nothing_be_written_is_taken_away_again() {
    let Some(s3) = S3::start_moto() else { return };
    let proxy = Proxy::start(s3.address).await;
    let options = blockgrid_grid::Options {
        patience: std::time::Duration::from_millis(300),
        ..s3.options(proxy.address)
    };
    let bucket = Bucket::open("s3://grid/some/prefix", &options).await.unwrap();
    let keyless = || Rule::new("PUT", "/probe/", Fault::Answer(500, "InternalError")).while_set("encryption");
    let fails = proxy.rule(keyless());
    let policy = Policy::default();
    let encryption =
        |findings: Vec<Finding>| findings.into_iter().find(|finding| finding.what == "encryption").unwrap();
    let found = encryption(bucket.setup(&policy).await);
    assert_eq!((found.state, proxy.seen("DELETE", "encryption")), (State::Missing, 1), "{found}");
    assert!(fails.fired() > 0);
    for part in ["InternalError", "taken away again", "writing works", "s3.sse.kek", "encrypt its disks"] {
        assert!(found.says.contains(part), "{found}");
    }
    let check = bucket.check(&policy).await;
    assert_eq!(state(&check, "encryption"), State::Missing);
    assert_eq!((state(&check, "public access"), state(&check, "expiry of jobs")), (State::Ok, State::Ok));
    let store = blockgrid_grid::Store::open("s3://grid", &options).unwrap();
    assert_eq!(store.list("").await, Ok(vec![]), "the trial leaves nothing");

    // It cannot be taken away: whoever sets it up is told how.
    proxy.heal();
    proxy.rule(keyless());
    let refused = proxy.rule(Rule::new("DELETE", "encryption", Fault::Answer(403, "AccessDenied")));
    let found = encryption(bucket.setup(&policy).await);
    assert_eq!(found.state, State::Unknown, "{found}");
    assert!(
        found.says.contains("AccessDenied") && found.says.contains("delete-bucket-encryption --bucket grid"),
        "{found}"
    );
    assert!(refused.fired() > 0);

    // It was there before: that is somebody's, and stays.
    proxy.heal();
    proxy.rule(Rule::new("PUT", "/probe/", Fault::Answer(500, "InternalError")));
    let (deleted, found) = (proxy.seen("DELETE", "encryption"), encryption(bucket.setup(&policy).await));
    assert_eq!((found.state, proxy.seen("DELETE", "encryption")), (State::Unknown, deleted), "{found}");
    assert!(found.says.contains("at rest by AES256, and nothing can be written"), "{found}");

    proxy.heal();
    let found = encryption(bucket.setup(&policy).await);
    assert_eq!(found.state, State::Ok, "{found}");
}

/// Nothing can be written without it either: that is no matter of keys, and it stays on.
#[tokio::test]
async fn encryption_stays_where_something_else_lets_nothing_be_written() {
    let Some(s3) = S3::start_moto() else { return };
    let proxy = Proxy::start(s3.address).await;
    let options = blockgrid_grid::Options {
        patience: std::time::Duration::from_millis(300),
        ..s3.options(proxy.address)
    };
    let bucket = Bucket::open("s3://grid", &options).await.unwrap();
    let policy = Policy::default();
    proxy.rule(Rule::new("PUT", "/probe/", Fault::Answer(500, "InternalError")));
    let findings = bucket.setup(&policy).await;
    let found = findings.iter().find(|finding| finding.what == "encryption").unwrap();
    assert_eq!((found.state, proxy.seen("DELETE", "encryption")), (State::Unknown, 1), "{found}");
    assert!(found.says.contains("not the reason") && found.says.contains("is on again"), "{found}");
    proxy.heal();
    assert_eq!(state(&bucket.check(&policy).await, "encryption"), State::Ok);
}

#[tokio::test]
async fn a_race_has_one_winner_and_leaves_nothing() {
    let Some(s3) = S3::start() else { return };
    let bucket = Bucket::open("s3://grid", &s3.options(s3.address)).await.unwrap();
    let finding = bucket.probe(16, 10).await.unwrap();
    assert_eq!(finding.state, State::Ok, "{finding}");
    let store = blockgrid_grid::Store::open("s3://grid", &s3.options(s3.address)).unwrap();
    assert_eq!(store.list("").await, Ok(vec![]));
}

#[tokio::test]
async fn a_server_that_lets_all_win_is_found_out() {
    let Some(s3) = S3::start() else { return };
    let proxy = Proxy::start(s3.address).await;
    let bucket = Bucket::open("s3://grid", &s3.options(proxy.address)).await.unwrap();
    // The first write of each round is done, the others are only said to be.
    let lies = proxy.rule(Rule::new("PUT", "probe", Fault::Answer(200, "")).after(1));
    let finding = bucket.probe(4, 1).await.unwrap();
    assert_eq!((finding.state, lies.fired()), (State::Unsupported, 3), "{finding}");
    assert!(finding.says.contains("up to 4 of 4"), "{finding}");
    proxy.heal();
    let rule = Rule::new("PUT", "probe", Fault::Answer(501, "NotImplemented")).if_conditional();
    let refuses = proxy.rule(rule);
    let finding = bucket.probe(4, 1).await.unwrap();
    assert_eq!((finding.state, refuses.fired()), (State::Unsupported, 4), "{finding}");
}

#[tokio::test]
async fn what_may_not_be_asked_is_unknown_and_says_why() {
    let Some(s3) = S3::start() else { return };
    let proxy = Proxy::start(s3.address).await;
    let bucket = Bucket::open("s3://grid", &s3.options(proxy.address)).await.unwrap();
    let rule = proxy.rule(Rule::new("", "", Fault::Answer(403, "AccessDenied")));
    for finding in bucket.check(&Policy::default()).await {
        assert_eq!(finding.state, State::Unknown, "{finding}");
        assert!(finding.says.contains("AccessDenied"), "{finding}");
    }
    assert_eq!(rule.fired(), 4);
    let missing = Bucket::open("s3://no-such-bucket", &s3.options(s3.address)).await.unwrap();
    for finding in missing.check(&Policy::default()).await {
        assert!(matches!(finding.state, State::Unknown | State::Unsupported), "{finding}");
    }
    let error = Bucket::open("/data", &s3.options(s3.address)).await.unwrap_err();
    assert!(matches!(error, StoreError::BadLocation { .. }), "{error}");
}
