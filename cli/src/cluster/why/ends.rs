//! How a job ended, and what comes next.

use blockgrid_job::names::OUT_OF_BUDGET;
use blockgrid_job::status::Phase;

use super::super::object::BacktestJob;
use super::gate::{Advice, Gate, Why, quoted, sentence, usd};

/// Why a job that has ended did so.
pub(super) fn finished(job: &BacktestJob, advice: &Advice<'_>) -> Why {
    let status = &job.status;
    let Advice { program, flags, .. } = advice;
    let (name, reason, message) = (&job.name, job.reason(), sentence(job.full_message()));
    let is_spec = matches!(reason, "InvalidSpec" | "UnknownDataset");
    let mut text = match status.phase {
        Phase::Succeeded => format!("It has results: `{program} results {name}{flags}` fetches them."),
        Phase::PartiallySucceeded => format!(
            "It has results, but some trials failed by themselves and have no metrics: `{program} results {name}{flags}` fetches them, job.json names those that failed."
        ),
        Phase::Failed if is_spec => {
            let message = job.full_message();
            format!("It cannot run as it is written:{}{}", problems(message), mend(message, job, advice))
        }
        Phase::Failed if reason == "QuoteAboveMaxCost" => format!(
            "It was not started: {message} Submit it under another name with a higher spec.compute.maxCostUsd or fewer trials."
        ),
        Phase::Cancelled => {
            format!("It was cancelled: {message} A job of another name computes what this one has not.")
        }
        Phase::DeadlineExceeded if reason == "RestedTooLong" => {
            format!("It rested too long: {message} A job of another name computes what this one has not.")
        }
        Phase::DeadlineExceeded => format!(
            "It took too long: {message} A job of another name, with a longer spec.compute.deadline or a higher spec.compute.maxWorkers, computes what this one has not."
        ),
        Phase::BudgetExceeded if reason == OUT_OF_BUDGET => format!(
            "It was stopped for its cost: {message} A job of another name computes what this one has not, when the budget has more (`kubectl edit btb`)."
        ),
        Phase::BudgetExceeded => format!(
            "It was stopped for its cost: {message} A job of another name with a higher spec.compute.maxCostUsd computes what this one has not."
        ),
        _ => format!("It has no results:{}", problems(job.full_message()).trim_end()),
    };
    text.push_str(&quoted(job));
    if let Some(spent) = status.spent_micro_usd {
        let yet = if status.settled_time.is_none() && status.reserved_micro_usd.is_some() {
            " so far: what its workers cost to their end is not counted yet"
        } else {
            ""
        };
        text.push_str(&format!(" It has cost {}{yet}.", usd(spent)));
    }
    let gate = if is_spec { Gate::Spec } else { Gate::Finished };
    Why { gate, is_blocked: is_spec, reason: reason.to_owned(), text }
}

/// A message after a colon: one problem as a sentence, several as a list.
fn problems(message: &str) -> String {
    let lines: Vec<&str> = message.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    match lines.as_slice() {
        [] => String::new(),
        [one] => format!(" {} ", sentence(one)),
        several => several.iter().map(|line| format!("\n  - {line}")).collect::<String>() + "\n",
    }
}

/// What helps against problems of a manifest: some are of its text, others of what this cluster has.
fn mend(message: &str, job: &BacktestJob, advice: &Advice<'_>) -> String {
    let is_of = |line: &str, path: &str, says: &str| line.starts_with(path) && line.contains(says);
    let (mut dataset, mut class, mut text) = (false, false, false);
    for line in message.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if is_of(line, "spec.data.dataset: ", "is no data set that namespace") {
            dataset = true;
        } else if is_of(line, "spec.compute.class: ", "no compute class here") {
            class = true;
        } else {
            text = true;
        }
    }
    let mut says = Vec::new();
    if dataset {
        says.push(format!(
            "Name a registered data set as spec.data.dataset, or ask whoever runs the grid (namespace {}) to register this one for namespace {}.",
            advice.grid, job.namespace
        ));
    }
    if class {
        says.push("Name a class that there is as spec.compute.class, or leave it out for the default, or ask whoever runs the grid for this one.".to_owned());
    }
    if text || says.is_empty() {
        says.push("Mend the manifest: `blockgrid validate` says without a cluster whatever is not about this cluster's classes and data sets.".to_owned());
    }
    says.push("Then submit it under another name, or delete this job first.".to_owned());
    says.join(" ")
}

#[cfg(test)]
mod tests {
    use super::super::gate::Seen;
    use super::super::gate::tests::{condition, holds, job, judged};
    use super::*;

    #[test]
    fn every_end_says_what_comes_next() {
        for (phase, reason, gate, is_blocked, part) in [
            (Phase::Succeeded, "Succeeded", Gate::Finished, false, "kubectl backtest results j -n a"),
            (Phase::PartiallySucceeded, "TrialsFailed", Gate::Finished, false, "job.json names"),
            (Phase::Failed, "InvalidSpec", Gate::Spec, true, "Mend the manifest"),
            (Phase::Failed, "QuoteAboveMaxCost", Gate::Finished, false, "a higher spec.compute.maxCostUsd"),
            (Phase::Failed, "WorkersFailed", Gate::Finished, false, "It has no results: told so."),
            (Phase::Cancelled, "CancelRequested", Gate::Finished, false, "computes what this one has not"),
            (Phase::DeadlineExceeded, "DeadlineExceeded", Gate::Finished, false, "spec.compute.deadline"),
            (Phase::DeadlineExceeded, "RestedTooLong", Gate::Finished, false, "It rested too long"),
            (Phase::BudgetExceeded, "OutOfBudget", Gate::Finished, false, "when the budget has more"),
            (Phase::BudgetExceeded, "MaxCostReached", Gate::Finished, false, "stopped for its cost"),
        ] {
            let job = job(phase, &[condition("Finished", "True", reason, "told so")]);
            holds(&judged(&job, &Seen::default()), gate, is_blocked, reason, &[part]);
        }
    }

    #[test]
    fn what_is_wrong_with_a_manifest_is_listed_with_what_helps_against_it() {
        let told = |reason: &str, message: &str| {
            let job = job(Phase::Failed, &[condition("Finished", "True", reason, message)]);
            judged(&job, &Seen::default()).3
        };
        let dataset = "spec.data.dataset: `x` is no data set that namespace a may use (it may use: sample): the platform registers data sets";
        let class = "spec.compute.class: is `gpu`, which is no compute class here: the platform has spot";
        let text = "spec.sweep.where: is empty";
        let (name, mend) = ("Name a registered data set", "Mend the manifest");
        let one = told("UnknownDataset", dataset);
        assert!(one.contains(name) && one.contains("for namespace a.") && !one.contains(mend), "{one}");
        let one = told("InvalidSpec", class);
        assert!(one.contains("or ask whoever runs the grid for this one") && !one.contains(mend), "{one}");
        let one = told("InvalidSpec", text);
        assert!(one.starts_with("It cannot run as it is written: spec.sweep.where: is empty. Mend"), "{one}");
        let all = told("InvalidSpec", &[dataset, class, text].join("\n"));
        let list = format!("It cannot run as it is written:\n  - {dataset}\n  - {class}\n  - {text}\nName a");
        assert!(all.starts_with(&list) && all.contains("Name a class") && all.contains(mend), "{all}");
    }
}
