//! Why a budget does not let a job have what it asks for, as people read it.

use blockgrid_job::names::{ABOVE_BUDGET, ABOVE_USER_BUDGET};
use blockgrid_job::quote::{dollars, dollars_exactly, dollars_left};

use crate::world::Held;

/// What helps who waits for money.
pub(super) const WAITS: &str = "it waits for jobs to end, for a higher limit, or for the next month";
pub(super) const SPENT: &str =
    "what was spent leaves too little, so it waits for a higher limit, or for the next month";
const OWN: &str = "with what is held for it that is more than the whole limit, so it takes a higher one";
const ABOVE: &str = "that is more than the whole limit, so it waits until that is raised (what it may cost is limited by compute.maxCostUsd)";

/// A budget that does not let a job have what it asks for.
pub(super) struct Short {
    pub(super) held: Held,
    /// Whether its whole limit is less than that.
    pub(super) is_above: bool,
}

/// Whether a job's `more` fits, of `all` that it asks for.
pub(super) fn fits(
    name: &str,
    whose: &str,
    limit: u64,
    (spent, reserved): (u64, u64),
    (more, all): (u64, u64),
    kept: u64,
) -> Result<(), Short> {
    if spent.saturating_add(reserved).saturating_add(kept).saturating_add(more) <= limit {
        return Ok(());
    }
    let first = if kept == 0 {
        String::new()
    } else {
        format!(", {} kept for a job that has waited longer", dollars(kept))
    };
    let is_above = more > limit;
    let reason = match (is_above, whose.is_empty()) {
        (true, true) => ABOVE_BUDGET,
        (true, false) => ABOVE_USER_BUDGET,
        (false, true) => "WaitingForBudget",
        (false, false) => "WaitingForUserBudget",
    };
    let until = match is_above {
        true => ABOVE,
        // No end of others' jobs helps.
        false if spent.saturating_add(all) > limit && spent > 0 => SPENT,
        false if all > limit => OWN,
        false => WAITS,
    };
    let own = all - more;
    let (own_held, further) = match own {
        0 => (String::new(), ""),
        own => (format!(", {} for this one", dollars(own)), " more"),
    };
    let numbers = format!(
        "budget {name}{whose} has {} left of {} this month ({} spent, {} held for other jobs{own_held}{first})",
        left(limit, spent.saturating_add(reserved)),
        dollars_exactly(limit),
        dollars(spent),
        dollars(reserved.saturating_sub(own))
    );
    let until = format!(", and the job may cost {}{further}: {until}", dollars(more));
    let held = Held { reason: reason.to_owned(), numbers, until, asked_micro_usd: 0, drain: false };
    Err(Short { held, is_above })
}

/// What is left of a limit, as people read it: less than nothing where it was lowered since.
fn left(limit: u64, used: u64) -> String {
    if used > limit { format!("-{}", dollars(used - limit)) } else { dollars_left(limit - used) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_waited_for_is_said_apart_from_the_numbers() {
        for (spent, held, asks, until) in [
            (0, 900, (200, 200), WAITS),
            (900, 0, (200, 200), SPENT),
            (0, 900, (200, 1100), OWN),
            (0, 0, (1100, 1100), ABOVE),
        ] {
            let refused = fits("team-a/purse", "", 1000, (spent, held), asks, 0).unwrap_err().held;
            let (numbers, asked) = (&refused.numbers, &refused.until);
            assert!(numbers.starts_with("budget team-a/purse has ") && numbers.ends_with(')'), "{numbers}");
            assert!(asked.starts_with(", and the job may cost $") && asked.ends_with(until), "{asked}");
        }
    }
}
