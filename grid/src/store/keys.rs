//! Where things lie in the store: the layout of the grid, written down once.
//!
//! Whatever a key is made of becomes one segment of it: other characters than letters, digits, `.`, `_`, `=` and `-` are
//! escaped as in a URL, so that no name reaches outside its folder.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{BadId, JobId, Unit};

/// A tenant, which is a namespace: lower-case letters, digits and `-`, at most 63.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Tenant(String);

impl Tenant {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Tenant {
    type Err = BadId;

    fn from_str(text: &str) -> Result<Self, BadId> {
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        let is = (1..=63).contains(&text.len()) && text.bytes().all(plain);
        is.then(|| Self(text.to_owned())).ok_or_else(|| BadId {
            text: text.to_owned(),
            what: "tenant",
            remedy: "a tenant has 1 to 63 lower-case letters, digits and `-`, like a namespace",
        })
    }
}

impl TryFrom<String> for Tenant {
    type Error = BadId;

    fn try_from(text: String) -> Result<Self, BadId> {
        text.parse()
    }
}

impl From<Tenant> for String {
    fn from(tenant: Tenant) -> Self {
        tenant.0
    }
}

impl fmt::Display for Tenant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Everything of a job.
pub fn job(job: &JobId) -> String {
    format!("jobs/{job}")
}

/// The commit of a plan, written once after its parts.
pub fn plan(job: &JobId) -> String {
    format!("jobs/{job}/plan.json")
}

/// What a plan is to be made of, for who makes it elsewhere.
pub fn order(job: &JobId) -> String {
    format!("jobs/{job}/order.json")
}

/// Why there will be no plan, from who was to make it elsewhere.
pub fn refusal(job: &JobId) -> String {
    format!("jobs/{job}/refusal.json")
}

/// One part of a plan.
pub fn plan_part(job: &JobId, part: u32) -> String {
    format!("jobs/{job}/plan/part-{part:05}.parquet")
}

/// What became of a unit of work; the first to be written is final.
pub fn outcome(job: &JobId, unit: Unit) -> String {
    format!("jobs/{job}/outcome/{unit}")
}

/// All outcomes of a job, to be listed: the last segment of each is its [`Unit`].
pub fn outcomes(job: &JobId) -> String {
    format!("jobs/{job}/outcome")
}

/// What a losing or dead attempt cost.
pub fn overhead(job: &JobId, attempt: &str) -> String {
    format!("jobs/{job}/overhead/{}", segment(attempt))
}

/// All overheads of a job, to be listed.
pub fn overheads(job: &JobId) -> String {
    format!("jobs/{job}/overhead")
}

/// Written first by cancel and delete; heartbeats and audits obey it.
pub fn cancelled(job: &JobId) -> String {
    format!("jobs/{job}/cancelled")
}

/// Which best trials are traced by which unit of stage 2.
pub fn stage2(job: &JobId) -> String {
    format!("jobs/{job}/stage2.json")
}

/// What a unit of stage 2 made.
pub fn trace(job: &JobId, unit: Unit) -> String {
    format!("jobs/{job}/trace/{unit}")
}

/// A record of a job, by the digest of its bytes: the outcome of finishing names the one that counts.
pub fn record(job: &JobId, digest: &str) -> String {
    format!("jobs/{job}/record/{}", segment(digest))
}

/// A result for the job's owner: trials, trades, equity, `job.json`, the report.
pub fn out(job: &JobId, file: &str) -> String {
    format!("jobs/{job}/out/{}", segment(file))
}

/// A file of a result by content. `key` is the digest of everything that its bytes depend on.
pub fn cache(tenant: &Tenant, key: &str, file: &str) -> String {
    format!("cache/{tenant}/{}/{}", segment(key), segment(file))
}

/// What says which trials of a tenant exist.
pub fn cache_index(tenant: &Tenant, name: &str) -> String {
    format!("cache/{tenant}/index/{}", segment(name))
}

/// Candles that a job brought with it, by their digest.
pub fn candles(tenant: &Tenant, digest: &str) -> String {
    format!("candles/{tenant}/{}", segment(digest))
}

/// The digest of the plan that the operator admitted.
pub fn admission(job: &JobId) -> String {
    format!("admission/{job}")
}

/// In place of a lane, where the jobs that have workers of their own are listed, to rebuild the queue from.
pub const POOL: &str = "pool";

/// One open job of a lane.
pub fn lane_job(lane: &str, job: &JobId) -> String {
    format!("lanes/{}/{job}", segment(lane))
}

/// The open jobs of a lane, to be listed: the last segment of each is its [`JobId`].
pub fn lane(lane: &str) -> String {
    format!("lanes/{}", segment(lane))
}

/// What tells one grid from another: written once, by whoever comes first.
pub fn identity() -> String {
    "grid.json".to_owned()
}

/// Says that a job is too long for the lane that it was in, and has its own workers from now on.
pub fn moved(job: &JobId) -> String {
    format!("jobs/{job}/moved")
}

/// The jobs of a store: the last segment of each folder is its [`JobId`].
pub fn jobs() -> String {
    "jobs".to_owned()
}

/// What a job cost in the end, under the month (UTC, `2026-01`) in which it was settled.
pub fn ledger(month: &str, job: &JobId) -> String {
    format!("ledger/{}/{job}", segment(month))
}

/// What the jobs of a month have cost that stand by themselves: the last segment of each is its [`JobId`].
pub fn ledger_of(month: &str) -> String {
    format!("ledger/{}", segment(month))
}

/// Entries of a month's ledger that were taken together, and the sums up to there. By key they are in the order of their
/// numbers, which begin at 1.
pub fn ledger_fold(month: &str, number: u64) -> String {
    format!("{}/{number:08}", ledger_folds(month))
}

/// All of those.
pub fn ledger_folds(month: &str) -> String {
    format!("ledger-folds/{}", segment(month))
}

/// What a grid has cost in a month that is no job's, as one leader has counted it in its time.
pub fn platform_cost(month: &str, reign: &str) -> String {
    format!("{}/{}", platform_costs(month), segment(reign))
}

/// All of those.
pub fn platform_costs(month: &str) -> String {
    format!("platform-costs/{}", segment(month))
}

/// The last segment of a key.
pub fn name(key: &str) -> &str {
    key.rsplit_once('/').map_or(key, |(_, name)| name)
}

fn segment(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        let plain = byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'=');
        // A name of dots alone would be a step through folders.
        if plain || byte == b'.' && text.bytes().any(|b| b != b'.') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    if out.is_empty() { "%".to_owned() } else { out }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_layout_is_the_protocols() {
        let uid: JobId = "0b0c".parse().unwrap();
        let tenant: Tenant = "team-a".parse().unwrap();
        for (key, expected) in [
            (job(&uid), "jobs/0b0c"),
            (plan(&uid), "jobs/0b0c/plan.json"),
            (plan_part(&uid, 3), "jobs/0b0c/plan/part-00003.parquet"),
            (outcome(&uid, Unit::Shard(17)), "jobs/0b0c/outcome/s0000017"),
            (outcome(&uid, Unit::Finish), "jobs/0b0c/outcome/finish"),
            (overhead(&uid, "s0000017.2"), "jobs/0b0c/overhead/s0000017.2"),
            (cancelled(&uid), "jobs/0b0c/cancelled"),
            (out(&uid, "trials.parquet"), "jobs/0b0c/out/trials.parquet"),
            (cache(&tenant, "ab12", "trials.parquet"), "cache/team-a/ab12/trials.parquet"),
            (cache_index(&tenant, "ab12"), "cache/team-a/index/ab12"),
            (candles(&tenant, "ab12"), "candles/team-a/ab12"),
            (admission(&uid), "admission/0b0c"),
            (lane_job("x86-v4", &uid), "lanes/x86-v4/0b0c"),
            (ledger("2026-01", &uid), "ledger/2026-01/0b0c"),
            (ledger_fold("2026-01", 7), "ledger-folds/2026-01/00000007"),
        ] {
            assert_eq!(key, expected);
        }
        assert!(outcome(&uid, Unit::Finish).starts_with(&format!("{}/", outcomes(&uid))));
        assert_eq!(name(&outcome(&uid, Unit::Trace(2))).parse(), Ok(Unit::Trace(2)));
    }

    #[test]
    fn no_name_leaves_its_folder() {
        let uid: JobId = "j".parse().unwrap();
        for name in ["../plan.json", "..", ".", "", "a/b", "a b", "é", "a%2Fb", "a\nb"] {
            let key = out(&uid, name);
            assert_eq!(key.split('/').count(), 4, "{key}");
            assert!(object_store::path::Path::parse(&key).is_ok_and(|path| path.as_ref() == key), "{key}");
        }
        assert_eq!(out(&uid, ".."), "jobs/j/out/%2E%2E");
        for bad in ["", "A", "a/b", "a_b", "..", &"a".repeat(64)] {
            assert!(bad.parse::<Tenant>().is_err(), "{bad}");
        }
    }
}
