//! Budgets as a job meets them: limit and use, those of its user within it, and what is wrong with them.

use blockgrid_job::budget::{BudgetSpec, BudgetStatus, MAX_USERS, UserSpend};
use blockgrid_job::quote::dollars_exactly;
use kube::ResourceExt;
use kube::api::DynamicObject;
use serde_json::{Value, json};

use super::gate::{Seen, signed_usd, usd};
use crate::cluster::object::BacktestJob;
use crate::show;

/// A budget that a job counts for.
#[derive(Debug, Default)]
pub(super) struct Budget {
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) status: Option<BudgetStatus>,
    /// What each user may have of it, if that is limited.
    pub(super) per_user_micro_usd: Option<u64>,
}

/// What a user may have of a budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Allowance {
    pub(super) limit_micro_usd: u64,
    /// What the user's jobs have of it; nothing where the status does not tell.
    pub(super) used: Option<UserSpend>,
}

impl Allowance {
    /// What is left; below nothing when jobs cost more than was held for them.
    pub(super) fn remaining_micro_usd(self) -> Option<i64> {
        let used = self.used?;
        let left = i128::from(self.limit_micro_usd)
            - i128::from(used.spent_micro_usd)
            - i128::from(used.reserved_micro_usd);
        Some(i64::try_from(left.clamp(i64::MIN.into(), i64::MAX.into())).unwrap_or_default())
    }
}

/// Whom a job counts for, as the operator says: it knows whose labels are believed.
pub(super) fn user(job: &BacktestJob) -> Option<&str> {
    job.status.user.as_deref()
}

impl Budget {
    /// As an API server has it.
    pub(super) fn of(namespace: &str, object: &DynamicObject) -> Self {
        let part = |name: &str| object.data.get(name).cloned().unwrap_or_default();
        Self {
            namespace: namespace.to_owned(),
            name: object.name_any(),
            status: serde_json::from_value(part("status")).ok(),
            per_user_micro_usd: serde_json::from_value::<BudgetSpec>(part("spec"))
                .ok()
                .and_then(|spec| spec.per_user_micro_usd),
        }
    }

    /// As messages of the operator name it.
    pub(super) fn full_name(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }

    /// What a user may have of it, if that is limited.
    pub(super) fn allowance(&self, user: Option<&str>) -> Option<Allowance> {
        let (limit_micro_usd, user) = (self.per_user_micro_usd?, user?);
        // Who is not named has had nothing, unless there are more than are named; before a month is, nothing was counted.
        let used = self.status.as_ref().filter(|status| status.month.is_some()).and_then(|status| {
            let is_whole = status.users.len() < MAX_USERS;
            status.users.get(user).copied().or_else(|| is_whole.then(UserSpend::default))
        });
        Some(Allowance { limit_micro_usd, used })
    }

    /// What is wrong with it, a line each.
    fn troubles(&self) -> impl Iterator<Item = String> {
        let conditions = self.status.iter().flat_map(|status| &status.conditions);
        // Soft limits are marks on the way, and `False` is how they begin.
        let bad = conditions.filter(|known| known.status == "False" && !known.kind.starts_with("Soft"));
        bad.map(|known| {
            let message = known.message.trim().replace('\n', "\n  ");
            format!("budget {}: {}: {message}\n", self.full_name(), known.reason)
        })
    }

    /// For programs.
    pub(super) fn machine(&self, user: Option<&str>) -> Value {
        let allowance = self.allowance(user).map(|allowance| {
            json!({
                "user": user,
                "limitMicroUsd": allowance.limit_micro_usd,
                "spentMicroUsd": allowance.used.map(|used| used.spent_micro_usd),
                "reservedMicroUsd": allowance.used.map(|used| used.reserved_micro_usd),
                "remainingMicroUsd": allowance.remaining_micro_usd(),
            })
        });
        json!({ "namespace": self.namespace, "name": self.name, "status": self.status, "perUser": allowance })
    }
}

/// The table of budgets, each followed by what the user may have of it.
pub(super) fn table(seen: &Seen, user: Option<&str>) -> String {
    let mut table = show::table();
    table.set_header(["BUDGET", "LIMIT", "SPENT", "RESERVED", "REMAINING"]);
    let unknown = || "-".to_owned();
    for budget in &seen.budgets {
        let name = budget.full_name();
        match &budget.status {
            Some(status) => {
                let limit = dollars_exactly(status.limit_micro_usd);
                let [spent, reserved] = [status.spent_micro_usd, status.reserved_micro_usd].map(usd);
                table.add_row([name, limit, spent, reserved, signed_usd(status.remaining_micro_usd)]);
            }
            None => {
                table.add_row([name, unknown(), unknown(), unknown(), unknown()]);
            }
        }
        if let Some(allowance) = budget.allowance(user) {
            let [spent, reserved] =
                [|used: UserSpend| used.spent_micro_usd, |used: UserSpend| used.reserved_micro_usd]
                    .map(|part| allowance.used.map_or_else(unknown, |used| usd(part(used))));
            let left = allowance.remaining_micro_usd().map_or_else(unknown, signed_usd);
            let name = format!("  of it user {}", user.unwrap_or_default());
            table.add_row([name, dollars_exactly(allowance.limit_micro_usd), spent, reserved, left]);
        }
    }
    if seen.budgets.is_empty() { String::new() } else { show::lines(&table) }
}

/// What is wrong with budgets, and which could not be looked at.
pub(super) fn notes(seen: &Seen) -> String {
    let troubles = seen.budgets.iter().flat_map(Budget::troubles);
    troubles.chain(seen.unreadable.iter().map(|note| format!("not shown: {note}\n"))).collect()
}

/// What is wrong with budgets alone, for a job that does not wait for money.
pub(super) fn troubles(seen: &Seen) -> String {
    seen.budgets.iter().flat_map(Budget::troubles).collect()
}

#[cfg(test)]
mod tests {
    use blockgrid_job::status::Condition;

    use super::*;

    fn budget(object: Value) -> Budget {
        Budget::of("a", &serde_json::from_value(object).unwrap())
    }

    fn limited(status: &Value) -> Budget {
        budget(json!({
            "metadata": { "name": "b" }, "spec": { "monthlyUsd": 100, "perUserUsd": 20 }, "status": status,
        }))
    }

    #[test]
    fn what_a_user_may_have_stands_below_the_budget() {
        let used = json!({
            "month": "2026-01", "limitMicroUsd": 100_000_000,
            "users": { "ann": { "spentMicroUsd": 15_000_000, "reservedMicroUsd": 6_000_000 } },
        });
        let plain = budget(json!({ "metadata": { "name": "c" }, "spec": { "monthlyUsd": 100 } }));
        assert_eq!(plain.allowance(Some("ann")), None);
        let seen = Seen { budgets: vec![limited(&used), plain], ..Seen::default() };
        let rows = |user: &str| -> Vec<Vec<String>> {
            table(&seen, Some(user))
                .lines()
                .map(|line| line.split_whitespace().map(str::to_owned).collect())
                .collect()
        };
        let ann = rows("ann");
        assert_eq!(ann.len(), 4, "{ann:?}");
        assert_eq!(ann[2], ["of", "it", "user", "ann", "$20.00", "$15.00", "$6.00", "-$1.00"]);
        assert_eq!(ann[3], ["a/c", "-", "-", "-", "-"]);
        // Who is not named has had nothing.
        assert_eq!(rows("bob")[2][4..], ["$20.00", "$0.00", "$0.00", "$20.00"]);
        let told = seen.budgets[0].machine(Some("ann"));
        assert_eq!(
            (&told["perUser"]["user"], &told["perUser"]["remainingMicroUsd"]),
            (&json!("ann"), &json!(-1_000_000))
        );
        assert_eq!(seen.budgets[1].machine(Some("ann"))["perUser"], Value::Null);
    }

    #[test]
    fn a_limit_is_told_alone_where_its_use_is_not_known() {
        let full: serde_json::Map<String, Value> =
            (0..MAX_USERS).map(|user| (format!("u{user}"), json!({ "spentMicroUsd": 1 }))).collect();
        for status in [Value::Null, json!({}), json!({ "month": "2026-01", "users": full })] {
            let budget = limited(&status);
            assert_eq!(
                budget.allowance(Some("ann")).unwrap(),
                Allowance { limit_micro_usd: 20_000_000, used: None }
            );
            assert_eq!(budget.machine(Some("ann"))["perUser"]["spentMicroUsd"], Value::Null);
            let text = table(&Seen { budgets: vec![budget], ..Seen::default() }, Some("ann"));
            let row: Vec<&str> = text.lines().last().unwrap().split_whitespace().collect();
            assert_eq!(row[3..], ["ann", "$20.00", "-", "-", "-"], "{text}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_budget_is_told_and_marks_on_the_way_are_not() {
        let condition = |kind: &str, status: &str, reason: &str, message: &str| {
            let [kind, status, reason, message] = [kind, status, reason, message].map(str::to_owned);
            Condition { kind, status, reason, message, ..Condition::default() }
        };
        let conditions = vec![
            condition("Valid", "True", "Valid", "the limits hold"),
            condition("Ready", "False", "LedgerUnreadable", "ledger/1 is damaged:\nremove it"),
            condition("Soft50", "False", "Within", "less than 50 % of the limit is spent or held"),
            condition("Soft80", "True", "Passed", "at least 80 % of the limit is spent or held"),
        ];
        let status = BudgetStatus { conditions, ..BudgetStatus::default() };
        let budget = Budget {
            namespace: "a".to_owned(),
            name: "b".to_owned(),
            status: Some(status),
            ..Budget::default()
        };
        let mut seen = Seen { budgets: vec![budget], ..Seen::default() };
        seen.unreadable.push("budgets of namespace grid: you may not list them there".to_owned());
        let trouble = "budget a/b: LedgerUnreadable: ledger/1 is damaged:\n  remove it\n";
        assert_eq!(troubles(&seen), trouble);
        let expected =
            format!("{trouble}not shown: budgets of namespace grid: you may not list them there\n");
        assert_eq!(notes(&seen), expected);
    }
}
