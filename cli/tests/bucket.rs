//! `blockgrid bucket` and `blockgrid link`, against a real S3 server.
#![allow(clippy::unwrap_used, reason = "helpers of tests panic where the test fails")]

// The server of the grid's own tests.
#[allow(dead_code, unreachable_pub, reason = "moto is not needed here")]
#[path = "../../grid/tests/support/s3.rs"]
mod s3;
mod support;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;

use blockgrid_grid::store::keys;
use blockgrid_grid::{JobId, Store};
use s3::S3;
use serde_json::{Value, json};
use support::{Ran, blockgrid, folder};

/// A program that knows no grid but the one that it is told of.
fn program() -> std::process::Command {
    let mut command = blockgrid();
    for name in ["STORE", "S3_ENDPOINT", "REDIS"] {
        command.env_remove(format!("BLOCKGRID_{name}"));
    }
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("AWS_")) {
        command.env_remove(name);
    }
    command
}

/// Runs a command on the server's bucket.
fn on(s3: &S3, args: &[&str]) -> Ran {
    let keys = s3.options(s3.address).credentials.unwrap();
    let mut command = program();
    command.args(args).args(["--store", "s3://grid/some/prefix"]);
    command.args(["--s3-endpoint", &format!("http://{}", s3.address)]);
    command.env("AWS_ACCESS_KEY_ID", keys.key_id).env("AWS_SECRET_ACCESS_KEY", keys.secret);
    Ran::of(command.output().unwrap())
}

fn state(told: &Value, what: &str) -> Value {
    let findings = told["findings"].as_array().unwrap();
    findings.iter().find(|found| found["what"] == what).unwrap()["state"].clone()
}

#[test]
fn a_bucket_is_checked_and_set_up() {
    let Some(s3) = S3::start() else { return };
    let before = on(&s3, &["bucket", "check", "--output", "json"]).fails(1, &["is not as a grid wants it"]);
    let told = before.json();
    assert_eq!((&told["fine"], state(&told, "versioning")), (&json!(false), json!("missing")));
    assert_eq!(state(&told, "conditional writes"), "ok");
    let text = on(&s3, &["bucket", "check"]).fails(1, &[]).stdout;
    let line = text.lines().find(|line| line.trim_start().starts_with("versioning")).unwrap();
    assert!(line.contains("missing") && line.contains("run `blockgrid bucket setup`"), "{text}");

    let told = on(&s3, &["bucket", "setup", "--output", "json"]).ok().json();
    assert_eq!((&told["fine"], state(&told, "versioning")), (&json!(true), json!("ok")));
    // versitygw has no such rules, which is told and is no fault.
    assert_eq!(state(&told, "expiry of jobs"), "unsupported");
    on(&s3, &["bucket", "check"]).ok();
    let store = Store::open("s3://grid/some/prefix", &s3.options(s3.address)).unwrap();
    let left = tokio::runtime::Runtime::new().unwrap().block_on(store.list(""));
    assert_eq!(left, Ok(vec![]), "the race leaves nothing");
}

#[test]
fn a_bucket_that_cannot_be_used_is_told_once() {
    let Some(s3) = S3::start() else { return };
    let endpoint = format!("http://{}", s3.address);
    let run = |store: &str, secret: &str| {
        let mut command = program();
        command.args(["bucket", "check", "--output", "json", "--s3-endpoint", &endpoint, "--store", store]);
        command.env("AWS_ACCESS_KEY_ID", "test-key").env("AWS_SECRET_ACCESS_KEY", secret);
        Ran::of(command.output().unwrap())
    };
    for (store, secret, word) in [
        ("s3://other", "test-secret", "bucket"),
        ("s3://grid", "a-wrong-secret", "credentials"),
        ("/some/folder", "test-secret", "s3://bucket/prefix"),
    ] {
        let ran = run(store, secret).fails(2, &["--store", word]);
        assert_eq!(ran.json()["errors"].as_array().unwrap().len(), 1, "{ran:?}");
        assert!(!ran.stderr.contains(secret) && !ran.stdout.contains(secret), "{ran:?}");
    }
}

/// The status and the body of what a link leads to.
fn get(link: &str) -> (u16, Vec<u8>) {
    let rest = link.strip_prefix("http://").unwrap();
    let (host, path) = rest.split_once('/').unwrap();
    let mut server = TcpStream::connect(host).unwrap();
    write!(server, "GET /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    server.read_to_end(&mut answer).unwrap();
    let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n").unwrap();
    let status = String::from_utf8_lossy(&answer[9..12]).parse().unwrap();
    (status, answer[end + 4..].to_vec())
}

#[test]
fn a_link_is_to_one_file_and_works_without_keys() {
    let Some(s3) = S3::start() else { return };
    let uid: JobId = "0b0c".parse().unwrap();
    let store = Store::open("s3://grid/some/prefix", &s3.options(s3.address)).unwrap();
    let put = |file: &str| {
        let (key, bytes) = (keys::out(&uid, file), format!("the bytes of {file}"));
        tokio::runtime::Runtime::new().unwrap().block_on(store.put(&key, bytes.into())).unwrap();
    };
    on(&s3, &["link", "0b0c", "report.html"]).fails(2, &["UID", "has no results here"]);
    put("report.html");
    put("job.json");
    let link = on(&s3, &["link", "0b0c", "report.html", "--valid", "90s"]).ok().stdout;
    let link = link.trim_end();
    assert!(link.contains("X-Amz-Expires=90") && !link.contains("test-secret"), "{link}");
    assert_eq!(get(link), (200, b"the bytes of report.html".to_vec()));
    assert_eq!(get(&link.replace("report.html", "job.json")).0, 403, "it is signed for one file");
    assert_eq!(get(&link.replace("Expires=90", "Expires=9000")).0, 403, "and for one time");

    on(&s3, &["link", "0b0c", "trials.csv"]).fails(2, &["FILE", "the job has job.json, report.html"]);
    on(&s3, &["link", "0b0c", "../plan.json"]).fails(2, &["FILE"]);
    on(&s3, &["link", "0b0c", "report.html", "--valid", "169h"]).fails(2, &["at most 168h"]);
}

#[test]
fn commands_that_find_no_grid_say_how_one_is_named() {
    let folder = folder();
    for args in [vec!["bucket", "check"], vec!["link", "0b0c", "report.html"]] {
        let ran = program().args(args).arg("--dir").arg(folder.path()).output().unwrap();
        Ran::of(ran).fails(2, &["--dir", "blockgrid up", "--store"]);
    }
}

/// The address of a queue holds a password: no error and no log may.
#[test]
fn a_password_is_never_printed() {
    let folder = folder();
    let store = folder.path().join("store");
    let run = |args: &[&str], url: &str| {
        let mut command = program();
        command.args(args).arg("--store").arg(&store).current_dir(folder.path());
        command.env("BLOCKGRID_REDIS", url).env("RUST_LOG", "trace");
        let ran = Ran::of(command.output().unwrap());
        assert!(!ran.stdout.contains("geheim") && !ran.stderr.contains("geheim"), "{ran:?}");
        ran
    };
    // Nobody listens there.
    let away = "redis://user:geheim@127.0.0.1:1/0";
    run(&["cancel", "0b0c"], away).fails(2, &["--redis", "does not answer", "blockgrid up"]);
    for bad in ["http://user:geheim@127.0.0.1:1", "user:geheim@host", "redis://user:geheim@127.0.0.1:port"] {
        run(&["cancel", "0b0c"], bad).fails(2, &["--redis", "is no address of a queue"]);
        run(&["worker"], bad).fails(78, &["is no address of a queue"]);
    }
    assert!(!run(&["worker", "--help"], away).ok().stdout.is_empty());
}

/// Ends the grids of a test, also when it fails.
struct Grids<'a>(&'a Path);

impl Grids<'_> {
    fn down(&self, dir: &str) -> Ran {
        Ran::of(program().args(["down", "--dir", dir]).current_dir(self.0).output().unwrap())
    }
}

impl Drop for Grids<'_> {
    fn drop(&mut self) {
        for dir in ["second", "first"] {
            self.down(dir);
        }
    }
}

/// What `up` prints, and what everyone on the machine sees of its workers.
#[test]
fn a_grid_keeps_the_password_of_its_queue_to_itself() {
    let folder = folder();
    let up = |dir: &str, more: &[&str]| {
        let mut command = program();
        command.args(["up", "--workers", "1", "--store", "store", "--dir", dir]).args(more);
        Ran::of(command.current_dir(folder.path()).env("RUST_LOG", "trace").output().unwrap())
    };
    let state = |dir: &str| -> Value {
        serde_json::from_slice(&std::fs::read(folder.path().join(dir).join("up.json")).unwrap()).unwrap()
    };
    let grids = Grids(folder.path());
    let first = up("first", &[]);
    if first.stderr.contains("is needed and not installed") {
        println!("skipped: redis-server is not installed (apt-get install redis-server)");
        return;
    }
    first.ok();
    let store = folder.path().canonicalize().unwrap().join("store");
    assert_eq!(state("first")["store"], store.to_str().unwrap(), "the same for everyone");
    // A user who needs no password may give any.
    let url = state("first")["redis"].as_str().unwrap().replace("redis://", "redis://default:geheim@");
    for output in ["text", "json"] {
        let ran = up("second", &["--redis", &url, "--output", output]).ok();
        assert!(ran.stdout.contains("redis://...@127.0.0.1:"), "{ran:?}");
        assert!(!ran.stdout.contains("geheim") && !ran.stderr.contains("geheim"), "{ran:?}");
        let pid = state("second")["processes"][0]["pid"].as_u64().unwrap();
        let arguments = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap();
        assert!(arguments.contains("--all") && !arguments.contains("geheim"), "{arguments}");
        grids.down("second").ok();
        let log = std::fs::read_to_string(folder.path().join("second/logs/worker-w0.log")).unwrap();
        assert!(log.contains("/metrics") && !log.contains("geheim"), "{log}");
    }
}
