//! A `BacktestBudget` as a schema: that of [`crate::budget`].

use serde_json::json;

use super::schema::Schema;
use super::status::{conditions, observed_generation};
use crate::budget::{DEFAULT_SOFT_PERCENT, HardAction, MAX_MONTHLY_USD, MAX_SOFT_PERCENT, MAX_USERS};

/// What a budget is.
pub(super) const ABOUT: &str = "What the jobs of a namespace may cost in a calendar month (UTC). A job starts only when what it may cost fits into what is left: the high end of its quote, for workers of its own at least what one of them takes to work and to stop, and at most its maxCostUsd.";

/// `spec`.
pub(super) fn spec() -> Schema {
    let usd = |doc: &str| Schema::dollars(doc).at_most(MAX_MONTHLY_USD);
    let percent = Schema::integer(1, "").at_most(100);
    Schema::object("How much, and what happens at the limit.")
        .required("monthlyUsd", usd("The limit of a month, in dollars, such as 8000."))
        .field("perUserUsd", usd("The limit of each user within it, in dollars, such as 500. Default: none."))
        .field(
            "softPercent",
            Schema::list(percent, MAX_SOFT_PERCENT, "Shares of the limit, in percent, at which a warning is given.")
                .with("minItems", json!(1))
                .default(json!(DEFAULT_SOFT_PERCENT)),
        )
        .field(
            "hardAction",
            Schema::choice(&HardAction::ALL.map(HardAction::id), "What happens at the limit: Hold lets running jobs end and no other start, Drain suspends the running ones too.")
                .default(HardAction::default().id()),
        )
}

/// `status`.
pub(super) fn status() -> Schema {
    let money = |doc: &str| Schema::integer(0, doc);
    let shown = |doc: &str| Schema::text(32, doc);
    let user = Schema::object("")
        .field("spentMicroUsd", money("What this user's jobs have cost, in micro-USD."))
        .field("reservedMicroUsd", money("What is held for this user's jobs, in micro-USD."));
    Schema::object("What of it is used. Money is whole micro-USD, and beside it as people read it.")
        .field("observedGeneration", observed_generation())
        .field("month", Schema::text(7, "The month that this is about: 2026-01.").pattern("^[0-9]{4}-(0[1-9]|1[0-2])$"))
        .field("limitMicroUsd", money("The limit of the month, in micro-USD."))
        .field("spentMicroUsd", money("What this month has cost, in micro-USD: its jobs, and what is unattributed."))
        .field("unattributedMicroUsd", money("How much of it is on no job's account, in micro-USD: warm workers while they wait, pods that plan, what is fixed. Counted in budgets of the whole grid."))
        .field("reservedMicroUsd", money("What is held for jobs that have not ended, in micro-USD."))
        .field("remainingMicroUsd", Schema::signed("The limit without what is spent and reserved, in micro-USD; below 0 when jobs cost more than was held for them."))
        .field("burnMicroUsdPerHour", money("What an hour has cost on the mean since the month began, in micro-USD."))
        .field("projectedMicroUsd", money("What the month costs if it goes on like that, in micro-USD."))
        .field("jobs", Schema::integer(0, "Jobs that money is held for."))
        .field("users", Schema::map(user, MAX_USERS, "Spent and reserved by user; of more than 200, those with most."))
        .field("limit", shown("The limit: $8,000.00."))
        .field("spent", shown("What is spent."))
        .field("reserved", shown("What is reserved."))
        .field("projected", shown("What the month costs if it goes on as it has on the mean."))
        .field("conditions", conditions("What holds, each with its reason."))
}
