//! Names of jobs and of their units of work, as they stand in keys of the store and in entries of the queue.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A text that names no job or no unit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no {what}: {remedy}")]
pub struct BadId {
    /// What was read.
    pub text: String,
    /// What it should name.
    pub what: &'static str,
    /// How one looks.
    pub remedy: &'static str,
}

/// The uid of a job: lower-case letters, digits and `-`, at most 63, so that it is a key, a label and a hash tag at once.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct JobId(String);

impl JobId {
    /// A new random one.
    pub fn random() -> Self {
        Self(uuid::Uuid::new_v4().to_string())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for JobId {
    type Err = BadId;

    fn from_str(text: &str) -> Result<Self, BadId> {
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        let is = (1..=63).contains(&text.len()) && text.bytes().all(plain);
        is.then(|| Self(text.to_owned())).ok_or_else(|| BadId {
            text: text.to_owned(),
            what: "job",
            remedy: "a uid has 1 to 63 lower-case letters, digits and `-`",
        })
    }
}

impl TryFrom<String> for JobId {
    type Error = BadId;

    fn try_from(text: String) -> Result<Self, BadId> {
        text.parse()
    }
}

impl From<JobId> for String {
    fn from(id: JobId) -> Self {
        id.0
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One unit of a job's work, with an outcome of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Unit {
    /// A shard of the plan: trials of one symbol.
    Shard(u64),
    /// Stage 2: the best trials once more, with all they did.
    Trace(u32),
    /// Merging and publishing; also what finds out that stage 2 is due.
    Finish,
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unit::Shard(number) => write!(f, "s{number:07}"),
            Unit::Trace(number) => write!(f, "t{number:04}"),
            Unit::Finish => f.write_str("finish"),
        }
    }
}

impl FromStr for Unit {
    type Err = BadId;

    fn from_str(text: &str) -> Result<Self, BadId> {
        let number = |digits: &str| digits.bytes().all(|b| b.is_ascii_digit());
        let unit = match text.split_at_checked(1) {
            _ if text == "finish" => Some(Unit::Finish),
            Some(("s", rest)) if number(rest) => rest.parse().ok().map(Unit::Shard),
            Some(("t", rest)) if number(rest) => rest.parse().ok().map(Unit::Trace),
            _ => None,
        };
        // One unit has one name, or it would have two outcomes.
        unit.filter(|unit| unit.to_string() == text).ok_or_else(|| BadId {
            text: text.to_owned(),
            what: "unit of work",
            remedy: "one looks like s0000017, t0002 or finish",
        })
    }
}

impl Serialize for Unit {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Unit {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_have_one_name_each() {
        for unit in [Unit::Shard(0), Unit::Shard(12_345_678), Unit::Trace(3), Unit::Finish] {
            assert_eq!(unit.to_string().parse(), Ok(unit));
        }
        for bad in ["", "s", "s1", "s+000001", "s00000012", "x0000001", "finish ", "é", "t00001"] {
            assert!(bad.parse::<Unit>().is_err(), "{bad}");
        }
    }

    #[test]
    fn uids_fit_into_keys() {
        assert!("0b0c1e9e-7d0e-4d1f-9a39-0f3b2f1f9f10".parse::<JobId>().is_ok());
        for bad in ["", "A", "a/b", "a{b}", &"a".repeat(64)] {
            assert!(bad.parse::<JobId>().is_err(), "{bad}");
        }
        assert_ne!(JobId::random(), JobId::random());
    }
}
