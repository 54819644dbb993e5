//! The queue in Redis or Valkey.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use redis::streams::{StreamId, StreamRangeReply, StreamReadReply};
use redis::{FromRedisValue, Script, ToRedisArgs, Value, cmd};

use super::Queue;
use super::error::QueueError;
use super::keys::{FINISHED, HELD, Keys, OPEN};
use super::link::Link;
use super::types::{Consumer, Depth, Entry, Lease, Stream};
use crate::id::{JobId, Unit};

/// Entries or leases that one script works on: a server does nothing else meanwhile, and Lua passes on a few thousand
/// arguments at most.
const CHUNK: usize = 500;

/// How long a job's end is remembered should nobody forget the job.
const DONE_SECONDS: u64 = 24 * 3600;

/// Ends of jobs that are told to who comes late, about.
const FINISHED_KEPT: usize = 10_000;

/// How long the failures of its units are remembered.
const FAILURES_SECONDS: u64 = 30 * 24 * 3600;

/// The queue in a Redis (6.2 or later) or Valkey server; all clones share a connection.
///
/// An operation fails after about 10 seconds at the latest when the server does not answer, and connects anew by itself the
/// next time. The user needs the commands of the categories `@read`, `@write`, `@stream`, `@scripting`, `@connection`,
/// `INFO` and `TIME` on the keys `bt:*`; `CONFIG` is not asked.
#[derive(Clone)]
pub struct RedisQueue {
    inner: Arc<Inner>,
}

struct Inner {
    link: Link,
    scripts: Scripts,
}

struct Scripts {
    push: Script,
    lane_push: Script,
    claim: Script,
    lane_claim: Script,
    reclaim: Script,
    heartbeat: Script,
    release: Script,
    acknowledge: Script,
    depth: Script,
    open_job: Script,
}

impl Scripts {
    fn new() -> Self {
        Self {
            push: Script::new(include_str!("scripts/push.lua")),
            lane_push: Script::new(include_str!("scripts/lane_push.lua")),
            claim: Script::new(include_str!("scripts/claim.lua")),
            lane_claim: Script::new(include_str!("scripts/lane_claim.lua")),
            reclaim: Script::new(include_str!("scripts/reclaim.lua")),
            heartbeat: Script::new(include_str!("scripts/heartbeat.lua")),
            release: Script::new(include_str!("scripts/release.lua")),
            acknowledge: Script::new(include_str!("scripts/acknowledge.lua")),
            depth: Script::new(include_str!("scripts/depth.lua")),
            open_job: Script::new(include_str!("scripts/open_job.lua")),
        }
    }
}

impl RedisQueue {
    /// Connects to the server at `url`: `redis://host:port/db`, or `rediss://user:password@host:port/db` for TLS, where
    /// `roots` are the certificates (PEM) to believe instead of the system's.
    ///
    /// # Errors
    /// [`QueueError::Url`]; [`QueueError::TooOld`]; [`QueueError::Evicts`] when the server may throw entries away;
    /// [`QueueError::Unavailable`] and [`QueueError::Refused`] as always.
    pub async fn connect(url: &str, roots: Option<&[u8]>) -> Result<Self, QueueError> {
        let queue = Self { inner: Arc::new(Inner { link: Link::new(url, roots)?, scripts: Scripts::new() }) };
        queue.run::<()>(None, &cmd("PING")).await?;
        Ok(queue)
    }

    async fn run<T: FromRedisValue>(
        &self,
        stream: Option<&Stream>,
        command: &redis::Cmd,
    ) -> Result<T, QueueError> {
        let call = async |mut connection| command.query_async(&mut connection).await;
        self.inner.link.run(stream, call).await
    }

    async fn script<T: FromRedisValue>(
        &self,
        script: &Script,
        stream: &Stream,
        keys: &[String],
        arguments: impl ToRedisArgs,
    ) -> Result<T, QueueError> {
        let mut invocation = script.prepare_invoke();
        invocation.key(keys).arg(arguments);
        let call = async |mut connection| invocation.invoke_async(&mut connection).await;
        self.inner.link.run(Some(stream), call).await
    }

    /// What `script` does with the caller's leases, stream by stream; returns those that it does not know as the caller's.
    async fn with_leases(
        &self,
        script: &Script,
        keys: impl Fn(&Keys) -> Vec<String>,
        caller: &[&str],
        leases: &[Lease],
    ) -> Result<Vec<Lease>, QueueError> {
        let mut by_stream = BTreeMap::<&Stream, Vec<&Lease>>::new();
        for lease in leases {
            by_stream.entry(&lease.stream).or_default().push(lease);
        }
        let mut lost = Vec::new();
        for (stream, leases) in by_stream {
            for leases in leases.chunks(CHUNK) {
                let ids = leases.iter().map(|lease| lease.id.as_str());
                let arguments: Vec<&str> = caller.iter().copied().chain(ids).collect();
                let keys = keys(&Keys::of(stream));
                let ids: Vec<String> = self.script(script, stream, &keys, arguments).await?;
                lost.extend(leases.iter().filter(|lease| ids.contains(&lease.id)).copied().cloned());
            }
        }
        Ok(lost)
    }

    async fn look(&self, stream: &Stream) -> Result<(Depth, String), QueueError> {
        let keys = Keys::of(stream);
        let mut of_script = vec![keys.queue(), keys.cost(), keys.bell()];
        if matches!(stream, Stream::Lane(_)) {
            of_script.extend([keys.times(), keys.list("")]);
        }
        let none: [&str; 0] = [];
        let (queued, pending, micros, oldest, ring): (i64, i64, i64, i64, String) =
            self.script(&self.inner.scripts.depth, stream, &of_script, &none).await?;
        let depth = Depth {
            queued: u64::try_from(queued).unwrap_or(0),
            queued_micros: u64::try_from(micros).unwrap_or(0),
            pending: u64::try_from(pending).unwrap_or(0),
            oldest_ms: u64::try_from(oldest).ok(),
        };
        Ok((depth, ring))
    }

    /// Waits until a stream has an entry behind the one named with it.
    async fn read(&self, bells: &[(String, String)], time: Duration) -> Result<bool, QueueError> {
        let (keys, ids): (Vec<&str>, Vec<&str>) =
            bells.iter().map(|(key, id)| (key.as_str(), id.as_str())).unzip();
        let mut command = cmd("XREAD");
        // 0 would be forever.
        command.arg("COUNT").arg(1).arg("BLOCK").arg(millis(time).max(1)).arg("STREAMS").arg(keys).arg(ids);
        let call = async |mut connection| command.query_async::<Value>(&mut connection).await;
        Ok(self.inner.link.run_apart(time, call).await? != Value::Nil)
    }
}

/// Leases of what a script took.
fn leases(stream: &Stream, taken: Vec<(String, String, u32, u32)>) -> Result<Vec<Lease>, QueueError> {
    let lease = |(id, text, deliveries, silent): (String, String, u32, u32)| {
        Ok(Lease { stream: stream.clone(), id, entry: Entry::of_text(&text, stream)?, deliveries, silent })
    };
    taken.into_iter().map(lease).collect()
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

impl RedisQueue {
    /// Sees to it that one queue serves one store: a worker of another would not find the plans of jobs, and take them for
    /// deleted. `grid` is the store's identity; the first to come decides until the server is emptied.
    ///
    /// # Errors
    /// [`QueueError::OtherGrid`]; the kinds of [`Queue`].
    pub async fn bind(&self, grid: &str) -> Result<(), QueueError> {
        const GRID: &str = "bt:grid";
        let _: Value = self.run(None, cmd("SET").arg(GRID).arg(grid).arg("NX")).await?;
        let theirs: Option<String> = self.run(None, cmd("GET").arg(GRID)).await?;
        match theirs {
            Some(theirs) if theirs != grid => Err(QueueError::OtherGrid { ours: grid.to_owned(), theirs }),
            _ => Ok(()),
        }
    }
}

impl Queue for RedisQueue {
    async fn open(&self, stream: &Stream) -> Result<(), QueueError> {
        let mut command = cmd("XGROUP");
        // From 0: what somebody pushed before the group was there is not lost.
        command.arg("CREATE").arg(Keys::of(stream).queue()).arg("bt").arg("0").arg("MKSTREAM");
        match self.run::<Value>(Some(stream), &command).await {
            Err(QueueError::Refused { reason }) if reason.starts_with("BUSYGROUP") => Ok(()),
            other => other.map(drop),
        }
    }

    async fn push(&self, stream: &Stream, owner: &str, entries: &[Entry]) -> Result<(), QueueError> {
        let keys = Keys::of(stream);
        let mut of_script = vec![keys.queue(), keys.cost(), keys.bell()];
        let (script, owner) = match stream {
            Stream::Job(_) => (&self.inner.scripts.push, None),
            Stream::Lane(_) => {
                of_script.extend([keys.times(), keys.spent(), keys.clock(), keys.list(owner)]);
                (&self.inner.scripts.lane_push, Some(owner.to_owned()))
            }
        };
        for entries in entries.chunks(CHUNK) {
            let arguments: Vec<String> =
                owner.iter().cloned().chain(entries.iter().map(Entry::to_text)).collect();
            let _: u64 = self.script(script, stream, &of_script, arguments).await?;
        }
        Ok(())
    }

    async fn depth(&self, stream: &Stream) -> Result<Depth, QueueError> {
        Ok(self.look(stream).await?.0)
    }

    async fn claim(
        &self,
        stream: &Stream,
        consumer: &Consumer,
        count: usize,
    ) -> Result<Vec<Lease>, QueueError> {
        if count == 0 {
            return Ok(Vec::new());
        }
        let keys = Keys::of(stream);
        let mut of_script = vec![keys.queue(), keys.holders(), keys.cost()];
        let script = match stream {
            Stream::Job(_) => &self.inner.scripts.claim,
            Stream::Lane(_) => {
                of_script.extend([keys.times(), keys.spent(), keys.clock(), keys.list("")]);
                &self.inner.scripts.lane_claim
            }
        };
        let count = count.min(CHUNK).to_string();
        let arguments = [consumer.name.as_str(), &consumer.nonce, &count];
        leases(stream, self.script(script, stream, &of_script, &arguments).await?)
    }

    async fn reclaim(
        &self,
        stream: &Stream,
        consumer: &Consumer,
        idle: Duration,
        count: usize,
    ) -> Result<Vec<Lease>, QueueError> {
        // Another hash slot, hence another request. A hold that comes between the two costs a duplicate, nothing more.
        if count == 0 || self.is_held().await? {
            return Ok(Vec::new());
        }
        let keys = Keys::of(stream);
        let (idle, count) = (millis(idle).to_string(), count.min(CHUNK).to_string());
        let arguments = [consumer.name.as_str(), &consumer.nonce, &idle, &count];
        let keys = [keys.queue(), keys.holders()];
        leases(stream, self.script(&self.inner.scripts.reclaim, stream, &keys, &arguments).await?)
    }

    async fn heartbeat(&self, consumer: &Consumer, leases: &[Lease]) -> Result<Vec<Lease>, QueueError> {
        let keys = |keys: &Keys| vec![keys.queue(), keys.holders()];
        let caller = [consumer.name.as_str(), &consumer.nonce];
        self.with_leases(&self.inner.scripts.heartbeat, keys, &caller, leases).await
    }

    async fn release(&self, consumer: &Consumer, leases: &[Lease]) -> Result<Vec<Lease>, QueueError> {
        let keys = |keys: &Keys| vec![keys.queue(), keys.holders(), keys.bell()];
        let caller = [consumer.name.as_str(), &consumer.nonce];
        self.with_leases(&self.inner.scripts.release, keys, &caller, leases).await
    }

    async fn acknowledge(&self, consumer: &Consumer, leases: &[Lease]) -> Result<Vec<Lease>, QueueError> {
        let keys = |keys: &Keys| vec![keys.queue(), keys.holders()];
        self.with_leases(&self.inner.scripts.acknowledge, keys, &[&consumer.nonce], leases).await
    }

    async fn count_failure(&self, job: &JobId, unit: Unit) -> Result<u32, QueueError> {
        let key = Keys::of_job(job).failures();
        let mut both = redis::pipe();
        both.hincr(&key, unit.to_string(), 1).expire(&key, FAILURES_SECONDS.cast_signed()).ignore();
        let call = async |mut connection| both.query_async::<(u32,)>(&mut connection).await;
        Ok(self.inner.link.run(None, call).await?.0)
    }

    async fn hold(&self, time: Duration) -> Result<(), QueueError> {
        self.run(None, cmd("SET").arg(HELD).arg("1").arg("PX").arg(millis(time).max(1))).await
    }

    async fn is_held(&self) -> Result<bool, QueueError> {
        self.run(None, cmd("EXISTS").arg(HELD)).await
    }

    async fn try_lock(&self, name: &str, ttl: Duration) -> Result<bool, QueueError> {
        let mut command = cmd("SET");
        command.arg(format!("bt:lock:{name}")).arg("1").arg("NX").arg("PX").arg(millis(ttl).max(1));
        Ok(self.run::<Value>(None, &command).await? != Value::Nil)
    }

    async fn forget(&self, job: &JobId) -> Result<(), QueueError> {
        let keys = Keys::of_job(job);
        let all = [keys.queue(), keys.holders(), keys.cost(), keys.bell(), keys.done(), keys.failures()];
        self.set_open(job, false).await?;
        self.run(None, cmd("UNLINK").arg(&all)).await
    }

    async fn wait(&self, streams: &[Stream], time: Duration) -> Result<bool, QueueError> {
        let mut bells = Vec::new();
        for stream in streams {
            // What rings after this look has a later name than `ring`, so nothing falls between it and the wait.
            let (depth, ring) = self.look(stream).await?;
            if depth.queued > 0 {
                return Ok(true);
            }
            bells.push((Keys::of(stream).bell(), ring));
        }
        if bells.is_empty() {
            tokio::time::sleep(time).await;
            return Ok(false);
        }
        self.read(&bells, time).await
    }

    async fn announce(&self, job: &JobId) -> Result<(), QueueError> {
        let key = Keys::of_job(job).done();
        let mut both = redis::pipe();
        both.cmd("XADD").arg(&key).arg("MAXLEN").arg(1).arg("*").arg("d").arg("").ignore();
        both.expire(&key, DONE_SECONDS.cast_signed()).ignore();
        let finished = both.cmd("XADD").arg(FINISHED).arg("MAXLEN").arg("~").arg(FINISHED_KEPT);
        finished.arg("*").arg("j").arg(job.as_str()).ignore();
        let call = async |mut connection| both.query_async::<()>(&mut connection).await;
        self.inner.link.run(None, call).await
    }

    async fn wait_done(&self, job: &JobId, time: Duration) -> Result<bool, QueueError> {
        self.read(&[(Keys::of_job(job).done(), "0-0".to_owned())], time).await
    }

    async fn done_since(
        &self,
        after: Option<&str>,
        time: Duration,
    ) -> Result<(String, Vec<JobId>), QueueError> {
        let Some(after) = after else {
            let last = cmd("XREVRANGE").arg(FINISHED).arg("+").arg("-").arg("COUNT").arg(1).to_owned();
            let last: StreamRangeReply = self.run(None, &last).await?;
            let id = last.ids.first().map_or_else(|| "0-0".to_owned(), |entry| entry.id.clone());
            return Ok((id, Vec::new()));
        };
        let mut command = cmd("XREAD");
        let block = millis(time).max(1);
        command.arg("COUNT").arg(1000).arg("BLOCK").arg(block).arg("STREAMS").arg(FINISHED).arg(after);
        let call =
            async |mut connection| command.query_async::<Option<StreamReadReply>>(&mut connection).await;
        let read = self.inner.link.run_apart(time, call).await?.unwrap_or_default();
        let entries: Vec<_> = read.keys.into_iter().flat_map(|stream| stream.ids).collect();
        let next = entries.last().map_or_else(|| after.to_owned(), |entry| entry.id.clone());
        let job = |entry: &StreamId| entry.get::<String>("j").and_then(|text| text.parse().ok());
        Ok((next, entries.iter().filter_map(job).collect()))
    }

    async fn list_open(&self) -> Result<Vec<JobId>, QueueError> {
        let jobs: Vec<String> = self.run(None, cmd("ZRANGE").arg(OPEN).arg(0).arg(-1)).await?;
        let bad = |job| QueueError::Refused { reason: format!("{OPEN} holds `{job}`, which is no job") };
        jobs.into_iter().map(|job| job.parse().map_err(|_| bad(job))).collect()
    }

    async fn set_open(&self, job: &JobId, open: bool) -> Result<(), QueueError> {
        if !open {
            return self.run(None, cmd("ZREM").arg(OPEN).arg(job.as_str())).await;
        }
        let mut invocation = self.inner.scripts.open_job.prepare_invoke();
        invocation.key(OPEN).arg(job.as_str());
        let call = async |mut connection| invocation.invoke_async::<()>(&mut connection).await;
        self.inner.link.run(None, call).await
    }
}
