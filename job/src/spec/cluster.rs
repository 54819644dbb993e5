//! What a manifest says to a cluster alone: `spec.compute`, `suspend`, `cancel` and `ttl`. Results do not depend on it, so
//! that it is no part of the resolved manifest.

use crate::decode::{Field, Object};

/// The compute class of a job that names none.
pub const DEFAULT_CLASS: &str = "standard";
/// The most workers that a job may ask for.
pub const MAX_WORKERS: u32 = 1000;
/// The highest cap on the cost of a job, in dollars.
pub const MAX_COST_USD: f64 = 1e6;
/// The longest deadline: 30 days, in seconds.
pub const MAX_DEADLINE_SECONDS: u64 = 30 * 86_400;
/// The longest that a job may stay after it ended: 365 days, in seconds.
pub const MAX_TTL_SECONDS: u64 = 365 * 86_400;

/// What only a cluster uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterSpec {
    /// The compute class, one of the platform's: resources, nodes, price.
    pub class: String,
    /// The most workers at once; `None` leaves it to the platform.
    pub max_workers: Option<u32>,
    /// What the job may cost, in micro-USD; `None` leaves it to the budgets.
    pub max_cost_micro_usd: Option<u64>,
    /// Seconds within which it has to be done, from when it was first let run; `None` for no limit of its own.
    pub deadline_seconds: Option<u64>,
    /// Whether it rests: it gives up its workers, and keeps what it has computed.
    pub suspend: bool,
    /// Whether it ends without results; this cannot be taken back.
    pub cancel: bool,
    /// Seconds that the object stays after the job ended; `None` leaves it to the platform. Results stay longer.
    pub ttl_seconds: Option<u64>,
}

impl Default for ClusterSpec {
    fn default() -> Self {
        Self {
            class: DEFAULT_CLASS.to_owned(),
            max_workers: None,
            max_cost_micro_usd: None,
            deadline_seconds: None,
            suspend: false,
            cancel: false,
            ttl_seconds: None,
        }
    }
}

impl ClusterSpec {
    /// The fields of `spec` that ask for something that only a cluster does. A default that is written out, as an API
    /// server does, asks for nothing.
    pub fn named(&self) -> Vec<&'static str> {
        let compute = self.class != DEFAULT_CLASS
            || self.max_workers.is_some()
            || self.max_cost_micro_usd.is_some()
            || self.deadline_seconds.is_some();
        let fields = [
            ("compute", compute),
            ("suspend", self.suspend),
            ("cancel", self.cancel),
            ("ttl", self.ttl_seconds.is_some()),
        ];
        fields.into_iter().filter_map(|(field, named)| named.then_some(field)).collect()
    }
}

/// The cluster's fields of `spec`; what does not read is reported, and the default stands in its place.
pub(super) fn decode(spec: &Object<'_>) -> ClusterSpec {
    let flag = |key: &'static str| spec.get(key).and_then(|f| f.flag()).unwrap_or_default();
    let cluster = ClusterSpec {
        suspend: flag("suspend"),
        cancel: flag("cancel"),
        ttl_seconds: spec.get("ttl").and_then(|f| duration(&f, 0, MAX_TTL_SECONDS)),
        ..ClusterSpec::default()
    };
    let Some(compute) = spec.get("compute").and_then(|f| f.object()) else { return cluster };
    let cluster = ClusterSpec {
        class: compute.get("class").and_then(|f| class(&f)).unwrap_or(cluster.class),
        max_workers: compute.get("maxWorkers").and_then(|f| workers(&f)),
        max_cost_micro_usd: compute.get("maxCostUsd").and_then(|f| f.micro_usd(MAX_COST_USD)),
        deadline_seconds: compute.get("deadline").and_then(|f| duration(&f, 1, MAX_DEADLINE_SECONDS)),
        ..cluster
    };
    compute.done();
    cluster
}

/// A compute class: a DNS-1123 label.
fn class(field: &Field<'_>) -> Option<String> {
    let ok = |name: &str| {
        let alphanumeric = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        (1..=63).contains(&name.len())
            && name.chars().all(|c| alphanumeric(c) || c == '-')
            && name.starts_with(alphanumeric)
            && name.ends_with(alphanumeric)
    };
    let name = field.text()?;
    if !ok(&name) {
        field.wanted("the name of a compute class such as standard: a-z, 0-9 and `-`, at most 63");
        return None;
    }
    Some(name)
}

fn workers(field: &Field<'_>) -> Option<u32> {
    let what = format!("a whole number of workers from 1 to {MAX_WORKERS}");
    let whole = |n: f64| (1.0..=f64::from(MAX_WORKERS)).contains(&n) && n.fract() == 0.0;
    field.number_where(&what, whole).map(|n| n as u32)
}

const UNITS: [(char, u64); 4] = [('s', 1), ('m', 60), ('h', 3600), ('d', 86_400)];

/// A duration as a manifest has it, in seconds: a whole number and one unit, such as `90s`, `30m`, `2h`, `7d`.
fn seconds(text: &str) -> Option<u64> {
    let unit = text.chars().last()?;
    let (_, factor) = UNITS.into_iter().find(|(known, _)| *known == unit)?;
    let digits = &text[..text.len() - unit.len_utf8()];
    // Rust would take a sign.
    let whole = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    whole.then_some(digits)?.parse::<u64>().ok()?.checked_mul(factor)
}

/// A duration of a field, in seconds.
fn duration(field: &Field<'_>, least: u64, most: u64) -> Option<u64> {
    let found = field.value.as_str().and_then(seconds).filter(|seconds| (least..=most).contains(seconds));
    if found.is_none() {
        let days = most / 86_400;
        field.wanted(&format!("a duration such as 90s, 30m, 2h or 7d, from {least}s to {days}d"));
    }
    found
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::decode::Errors;

    fn decoded(spec: &Value) -> (ClusterSpec, Vec<String>) {
        let errors = Errors::default();
        let field = Field { path: "spec".to_owned(), value: spec, errors: &errors };
        let object = field.object().unwrap();
        let cluster = decode(&object);
        object.done();
        (cluster, errors.into_vec().iter().map(ToString::to_string).collect())
    }

    #[test]
    fn what_is_not_written_is_the_default() {
        let defaults = json!({"compute": {"class": "standard"}, "suspend": false, "cancel": false});
        for spec in [json!({}), json!({"compute": {}, "ttl": null}), defaults] {
            let (cluster, errors) = decoded(&spec);
            assert_eq!((cluster.named(), errors), (vec![], vec![]));
            assert_eq!(cluster, ClusterSpec::default());
        }
    }

    #[test]
    fn every_field_is_read_in_its_unit() {
        let compute = json!({"class": "spot-8", "maxWorkers": 64, "maxCostUsd": 0.1, "deadline": "2h"});
        let (cluster, errors) =
            decoded(&json!({"compute": compute, "suspend": true, "cancel": true, "ttl": "0s"}));
        assert_eq!(errors, Vec::<String>::new());
        let expected = ClusterSpec {
            class: "spot-8".to_owned(),
            max_workers: Some(64),
            max_cost_micro_usd: Some(100_000),
            deadline_seconds: Some(7200),
            suspend: true,
            cancel: true,
            ttl_seconds: Some(0),
        };
        assert_eq!(cluster, expected);
        assert_eq!(cluster.named(), ["compute", "suspend", "cancel", "ttl"]);
    }

    #[test]
    fn durations_are_a_whole_number_and_a_unit() {
        for (text, expected) in [("90s", 90), ("30m", 1800), ("2h", 7200), ("7d", 604_800), ("007m", 420)] {
            assert_eq!(seconds(text), Some(expected), "{text}");
        }
        for text in
            ["", "s", "90", "+1s", "-1s", "1.5h", "1h30m", "1 h", "1H", "1é", "é", "99999999999999999999d"]
        {
            assert_eq!(seconds(text), None, "{text}");
        }
        assert_eq!(seconds(&format!("{}d", u64::MAX)), None);
    }

    #[test]
    fn the_ends_of_each_range_are_in_it() {
        for (compute, ok) in [
            (json!({"maxWorkers": 1}), true),
            (json!({"maxWorkers": 1000}), true),
            (json!({"maxWorkers": 1000.0}), true),
            (json!({"maxWorkers": 1001}), false),
            (json!({"maxCostUsd": 0.000_001}), true),
            (json!({"maxCostUsd": 0.000_000_4}), false),
            (json!({"maxCostUsd": 1e6}), true),
            (json!({"maxCostUsd": 1_000_000.01}), false),
            (json!({"deadline": "1s"}), true),
            (json!({"deadline": "0s"}), false),
            (json!({"deadline": "30d"}), true),
            (json!({"deadline": "721h"}), false),
            (json!({"class": "a".repeat(63)}), true),
            (json!({"class": "a".repeat(64)}), false),
        ] {
            assert_eq!(decoded(&json!({ "compute": compute })).1.is_empty(), ok, "{compute}");
        }
        assert_eq!(decoded(&json!({"ttl": "365d"})).1, Vec::<String>::new());
        assert_eq!(decoded(&json!({"ttl": "366d"})).1.len(), 1);
    }

    #[test]
    fn errors_name_the_field_the_value_and_what_may_stand_there() {
        let duration = "but must be a duration such as 90s, 30m, 2h or 7d, from";
        for (spec, expected) in [
            (
                json!({"compute": {"maxWorkers": 0}}),
                "spec.compute.maxWorkers: is 0, but must be a whole number of workers from 1 to 1000".to_owned(),
            ),
            (
                json!({"compute": {"maxWorkers": 2.5}}),
                "spec.compute.maxWorkers: is 2.5, but must be a whole number".to_owned(),
            ),
            (
                json!({"compute": {"maxCostUsd": 0}}),
                "spec.compute.maxCostUsd: is 0, but must be an amount of dollars above 0 (a millionth at least) and at most 1000000".to_owned(),
            ),
            (
                json!({"compute": {"maxCostUsd": "5"}}),
                "spec.compute.maxCostUsd: is \"5\", but must be a number".to_owned(),
            ),
            (
                json!({"compute": {"deadline": 3600}}),
                format!("spec.compute.deadline: is 3600, {duration} 1s to 30d"),
            ),
            (
                json!({"compute": {"deadline": "31d"}}),
                format!("spec.compute.deadline: is \"31d\", {duration} 1s to 30d"),
            ),
            (json!({"ttl": "1 week"}), format!("spec.ttl: is \"1 week\", {duration} 0s to 365d")),
            (
                json!({"compute": {"class": "-Fast"}}),
                "spec.compute.class: is \"-Fast\", but must be the name of a compute class such as standard: a-z, 0-9 and `-`, at most 63".to_owned(),
            ),
            (json!({"compute": {"class": ""}}), "spec.compute.class: is \"\", but must be the name".to_owned()),
            (
                json!({"compute": {"maxWorker": 3}}),
                "spec.compute.maxWorker: is no field here: did you mean `maxWorkers`?".to_owned(),
            ),
            (
                json!({"compute": {"pods": 3}}),
                "spec.compute.pods: is no field here: known are class, deadline, maxCostUsd, maxWorkers".to_owned(),
            ),
            (json!({"compute": 3}), "spec.compute: is 3, but must be an object".to_owned()),
            (json!({"suspend": "yes"}), "spec.suspend: is \"yes\", but must be true or false".to_owned()),
            (json!({"cancel": 1}), "spec.cancel: is 1, but must be true or false".to_owned()),
        ] {
            let (_, errors) = decoded(&spec);
            assert!(errors.len() == 1 && errors[0].starts_with(&expected), "{spec}: {errors:?}");
        }
    }
}
