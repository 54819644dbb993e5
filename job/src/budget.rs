//! `BacktestBudget`: what the jobs of a namespace may cost in a calendar month, and what of it is used.
//!
//! A person writes dollars; here, money is whole micro-USD.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Value, json};

use crate::decode::{Errors, Field, FieldError};
use crate::quote::{dollars, dollars_exactly};
use crate::spec::API_VERSION;
use crate::status::Condition;

/// The `kind` of a budget.
pub const KIND: &str = "BacktestBudget";
/// The highest limit of a month, in dollars.
pub const MAX_MONTHLY_USD: f64 = 1e7;
/// The most shares at which a warning is given.
pub const MAX_SOFT_PERCENT: usize = 8;
/// The shares at which a warning is given, unless the budget names others.
pub const DEFAULT_SOFT_PERCENT: [u8; 3] = [50, 80, 95];
/// The most users that a status names.
pub const MAX_USERS: usize = 200;

/// What happens at the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum HardAction {
    /// Jobs that run go on to their end, no other starts.
    #[default]
    Hold,
    /// Jobs that run are suspended too.
    Drain,
}

impl HardAction {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Hold, Self::Drain];

    /// As a manifest has it.
    pub fn id(self) -> &'static str {
        match self {
            Self::Hold => "Hold",
            Self::Drain => "Drain",
        }
    }
}

/// `spec` of a budget. Read from dollars and written as dollars.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BudgetSpec {
    /// The limit of a month.
    pub monthly_micro_usd: u64,
    /// The limit of each user within it.
    pub per_user_micro_usd: Option<u64>,
    /// Shares of the limit at which a warning is given, in percent, ascending, each once.
    pub soft_percent: Vec<u8>,
    /// What happens at the limit.
    pub hard_action: HardAction,
}

impl BudgetSpec {
    /// Decodes a whole `BacktestBudget`.
    ///
    /// # Errors
    /// Every field that is unknown, missing or of the wrong type, with its path.
    pub fn of_value(budget: &Value) -> Result<Self, Vec<FieldError>> {
        let errors = Errors::default();
        let spec = whole(&Field { path: String::new(), value: budget, errors: &errors });
        finished(spec, errors)
    }
}

fn finished(spec: Option<BudgetSpec>, errors: Errors) -> Result<BudgetSpec, Vec<FieldError>> {
    match (spec, errors.into_vec()) {
        (Some(spec), errors) if errors.is_empty() => Ok(spec),
        (_, errors) => Err(errors),
    }
}

fn whole(root: &Field<'_>) -> Option<BudgetSpec> {
    let object = root.object()?;
    for (key, expected) in [("apiVersion", API_VERSION), ("kind", KIND)] {
        if let Some(field) = object.require(key, &format!("write {key}: {expected}"))
            && field.value.as_str() != Some(expected)
        {
            field.wanted(expected);
        }
    }
    for key in ["metadata", "status"] {
        object.get(key);
    }
    let spec = object.require("spec", "say how much: {monthlyUsd: 8000}").and_then(|field| decode(&field));
    object.done();
    spec
}

fn decode(field: &Field<'_>) -> Option<BudgetSpec> {
    let object = field.object()?;
    let monthly = object
        .require("monthlyUsd", "say what a month may cost in dollars, such as 8000")
        .and_then(|f| f.micro_usd(MAX_MONTHLY_USD));
    let per_user = object.get("perUserUsd").and_then(|f| f.micro_usd(MAX_MONTHLY_USD));
    let soft = object.get("softPercent").and_then(|f| soft_percent(&f));
    let actions = HardAction::ALL.map(|action| (action.id(), action));
    let hard_action = object.get("hardAction").and_then(|f| f.choice(&actions)).unwrap_or_default();
    object.done();
    Some(BudgetSpec {
        monthly_micro_usd: monthly?,
        per_user_micro_usd: per_user,
        soft_percent: soft.unwrap_or_else(|| DEFAULT_SOFT_PERCENT.to_vec()),
        hard_action,
    })
}

fn soft_percent(field: &Field<'_>) -> Option<Vec<u8>> {
    let items = field.list()?;
    if !(1..=MAX_SOFT_PERCENT).contains(&items.len()) {
        field.wanted(&format!("a list of 1 to {MAX_SOFT_PERCENT} percentages, such as [50, 80, 95]"));
        return None;
    }
    let whole = |n: f64| (1.0..=100.0).contains(&n) && n.fract() == 0.0;
    let percent = |item: &Field<'_>| item.number_where("a whole percentage from 1 to 100", whole);
    let mut found = items.iter().map(|item| Some(percent(item)? as u8)).collect::<Option<Vec<_>>>()?;
    found.sort_unstable();
    found.dedup();
    Some(found)
}

impl<'de> Deserialize<'de> for BudgetSpec {
    /// From dollars; the error names every field that is wrong.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let errors = Errors::default();
        let spec = decode(&Field { path: "spec".to_owned(), value: &value, errors: &errors });
        finished(spec, errors).map_err(|errors| {
            let errors: Vec<_> = errors.iter().map(ToString::to_string).collect();
            serde::de::Error::custom(errors.join("; "))
        })
    }
}

impl Serialize for BudgetSpec {
    /// As dollars.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // Exact for every amount that a budget may have: below 2^53 micro-USD.
        let usd = |micro_usd: u64| micro_usd as f64 / 1e6;
        let mut spec = json!({
            "monthlyUsd": usd(self.monthly_micro_usd),
            "softPercent": self.soft_percent,
            "hardAction": self.hard_action,
        });
        if let Some(per_user) = self.per_user_micro_usd {
            spec["perUserUsd"] = json!(usd(per_user));
        }
        spec.serialize(serializer)
    }
}

/// `status` of a budget. Fields of which nothing is known are left out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BudgetStatus {
    /// The generation of the spec that this was said about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The month that this is about, in UTC: `2026-01`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub month: Option<String>,
    /// The limit.
    pub limit_micro_usd: u64,
    /// What this month has cost: its jobs, and what is unattributed.
    pub spent_micro_usd: u64,
    /// How much of it is on no job's account: warm workers while they wait, pods that plan, what is fixed. Counted in budgets
    /// of the whole grid.
    pub unattributed_micro_usd: u64,
    /// What is held for jobs that have not ended.
    pub reserved_micro_usd: u64,
    /// The limit without what is spent and reserved; below 0 when jobs cost more than was held for them.
    pub remaining_micro_usd: i64,
    /// What an hour has cost on the mean since the month began.
    pub burn_micro_usd_per_hour: u64,
    /// What the month costs if it goes on like that.
    pub projected_micro_usd: u64,
    /// Jobs that money is held for.
    pub jobs: u64,
    /// Spent and reserved by user, [`MAX_USERS`] at most.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub users: BTreeMap<String, UserSpend>,
    /// The limit as people read it: `$8,000.00`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<String>,
    /// What is spent, as people read it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spent: Option<String>,
    /// What is reserved, as people read it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reserved: Option<String>,
    /// What the month costs, as people read it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub projected: Option<String>,
    /// What holds, each with its reason.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}

/// What a user's jobs take of a budget.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct UserSpend {
    /// What they have cost this month.
    pub spent_micro_usd: u64,
    /// What is held for those that have not ended.
    pub reserved_micro_usd: u64,
}

impl BudgetStatus {
    /// Writes the limit and what is used of it as people read it, beside the numbers; and what remains.
    #[must_use]
    pub fn in_words(mut self) -> Self {
        let words = |micro_usd: u64, written: fn(u64) -> String| {
            Some(if micro_usd == 0 { "$0.00".to_owned() } else { written(micro_usd) })
        };
        let used = i128::from(self.spent_micro_usd) + i128::from(self.reserved_micro_usd);
        let remaining = (i128::from(self.limit_micro_usd) - used).clamp(i64::MIN.into(), i64::MAX.into());
        self.remaining_micro_usd = i64::try_from(remaining).unwrap_or(i64::MAX);
        self.limit = words(self.limit_micro_usd, dollars_exactly);
        self.spent = words(self.spent_micro_usd, dollars);
        self.reserved = words(self.reserved_micro_usd, dollars);
        self.projected = words(self.projected_micro_usd, dollars);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn budget(spec: &Value) -> Result<BudgetSpec, Vec<String>> {
        let object = json!({
            "apiVersion": API_VERSION, "kind": KIND, "metadata": {"name": "team-a", "uid": "1"}, "spec": spec, "status": {},
        });
        BudgetSpec::of_value(&object).map_err(|errors| errors.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn dollars_become_micro_usd_and_dollars_again() {
        let full = json!({"monthlyUsd": 8000.1, "perUserUsd": 0.3, "softPercent": [90, 10, 90], "hardAction": "Drain"});
        let spec = budget(&full).unwrap();
        let expected = BudgetSpec {
            monthly_micro_usd: 8_000_100_000,
            per_user_micro_usd: Some(300_000),
            soft_percent: vec![10, 90],
            hard_action: HardAction::Drain,
        };
        assert_eq!(spec, expected);
        assert_eq!(serde_json::from_value::<BudgetSpec>(serde_json::to_value(&spec).unwrap()).unwrap(), spec);
        let plain = budget(&json!({"monthlyUsd": 1e7})).unwrap();
        assert_eq!((plain.monthly_micro_usd, plain.per_user_micro_usd), (10_000_000_000_000, None));
        assert_eq!((plain.soft_percent, plain.hard_action), (vec![50, 80, 95], HardAction::Hold));
    }

    #[test]
    fn every_amount_of_a_budget_is_written_exactly() {
        for micro_usd in [1, 3, 999_999, 1_000_001, 9_999_999_999_999, 10_000_000_000_000] {
            let spec =
                BudgetSpec { monthly_micro_usd: micro_usd, ..budget(&json!({"monthlyUsd": 1})).unwrap() };
            let again = serde_json::from_str::<BudgetSpec>(&serde_json::to_string(&spec).unwrap()).unwrap();
            assert_eq!(again.monthly_micro_usd, micro_usd);
        }
    }

    #[test]
    fn errors_name_the_field_and_the_remedy() {
        let limit = "an amount of dollars above 0 (a millionth at least) and at most 10000000";
        for (spec, expected) in [
            (
                json!({}),
                "spec.monthlyUsd: is missing: say what a month may cost in dollars, such as 8000".to_owned(),
            ),
            (json!({"monthlyUsd": 0}), format!("spec.monthlyUsd: is 0, but must be {limit}")),
            (
                json!({"monthlyUsd": 10_000_000.5}),
                format!("spec.monthlyUsd: is 10000000.5, but must be {limit}"),
            ),
            (
                json!({"monthlyUsd": 1, "perUserUsd": -1}),
                format!("spec.perUserUsd: is -1, but must be {limit}"),
            ),
            (
                json!({"monthlyUsd": 1, "softPercent": []}),
                "spec.softPercent: is [], but must be a list of 1 to 8".to_owned(),
            ),
            (
                json!({"monthlyUsd": 1, "softPercent": [0]}),
                "spec.softPercent[0]: is 0, but must be a whole percentage".to_owned(),
            ),
            (
                json!({"monthlyUsd": 1, "hardAction": "hold"}),
                "spec.hardAction: is \"hold\", but must be one of Hold, Drain (did".to_owned(),
            ),
            (
                json!({"monthlyUsd": 1, "monthlyUsb": 1}),
                "spec.monthlyUsb: is no field here: did you mean `monthlyUsd`?".to_owned(),
            ),
        ] {
            let errors = budget(&spec).unwrap_err();
            assert!(errors.len() == 1 && errors[0].starts_with(&expected), "{spec}: {errors:?}");
        }
        let error = serde_json::from_value::<BudgetSpec>(json!({"monthlyUsd": "1"})).unwrap_err();
        assert_eq!(error.to_string(), "spec.monthlyUsd: is \"1\", but must be a number");
    }

    #[test]
    fn a_status_is_told_in_words() {
        let status = BudgetStatus {
            limit_micro_usd: 8_000_001_000,
            spent_micro_usd: 7_990_000_001,
            reserved_micro_usd: 20_000_000,
            ..BudgetStatus::default()
        };
        let status = status.in_words();
        assert_eq!(status.remaining_micro_usd, -9_999_001);
        let words = [&status.limit, &status.spent, &status.reserved, &status.projected];
        assert_eq!(words.map(|w| w.as_deref().unwrap()), ["$8,000.001000", "$7,990.01", "$20.00", "$0.00"]);
    }
}
