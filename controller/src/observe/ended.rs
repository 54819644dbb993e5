//! How jobs ended, as the store says.

use blockgrid_grid::store::keys;
use blockgrid_grid::usage::Spent;
use blockgrid_grid::{JobId, Outcome, StoreError, Unit};
use serde_json::Value;

use super::ObserveError;
use crate::context::Context;
use crate::terms::Rates;
use crate::world::End;

/// How a job ended, if it has, at what it is charged.
///
/// # Errors
/// [`ObserveError`].
pub async fn end(context: &Context, id: &JobId, rates: &Rates) -> Result<Option<End>, ObserveError> {
    let known = match context.ended(id) {
        Some(known) => known,
        None => match ended(context, id).await? {
            Some(read) => context.has_ended(id, read),
            None => return Ok(None),
        },
    };
    Ok(Some(match &*known {
        Ended::Failed { reason, message } => End::Failed { reason: reason.clone(), message: message.clone() },
        Ended::Done { partly, spent, best, record, sha256 } => End::Done {
            partly: *partly,
            micro_usd: rates.price.micro_usd(spent.cpu_micros.into()),
            requests_micro_usd: rates.costs.requests(spent.read_requests, spent.write_requests),
            best: best.clone(),
            record: record.clone(),
            sha256: sha256.clone(),
            location: format!("{}/{}", context.store.location().trim_end_matches('/'), keys::job(id)),
        },
    }))
}

/// How a job ended, by the store, where it does not change any more.
#[derive(Debug)]
pub enum Ended {
    /// There are results.
    Done {
        /// Whether some trials failed by themselves.
        partly: bool,
        /// What its units took.
        spent: Spent,
        /// The best trial, in words.
        best: Option<String>,
        /// Key of the record.
        record: String,
        /// SHA-256 of the record.
        sha256: String,
    },
    /// There are none.
    Failed {
        /// For programs.
        reason: String,
        /// For people.
        message: String,
    },
}

/// How a job ended, read.
async fn ended(context: &Context, id: &JobId) -> Result<Option<Ended>, ObserveError> {
    let key = keys::outcome(id, Unit::Finish);
    let bytes = match context.store.get(&key).await {
        Ok(bytes) => bytes,
        Err(StoreError::NotFound { .. }) => return Ok(None),
        Err(error @ StoreError::Corrupt { .. }) if context.is_lasting(id) => {
            return damaged(id, error.to_string());
        }
        Err(error) => return Err(error.into()),
    };
    let outcome: Outcome = match serde_json::from_slice(&bytes) {
        Ok(outcome) => outcome,
        Err(error) => return damaged(id, format!("{key}: {error}")),
    };
    let record = match outcome {
        Outcome::Done { result, .. } => result,
        Outcome::Failed { reason, message, .. } => {
            return Ok(Some(Ended::Failed { reason: reason.id().to_owned(), message }));
        }
    };
    let bytes = match context.store.get_checked(&record.key, &record.sha256).await {
        Ok(bytes) => bytes,
        // A network may cut what is whole, and a copy of a bucket be late: not for a minute of asking again.
        Err(error @ (StoreError::NotFound { .. } | StoreError::Corrupt { .. })) if context.is_lasting(id) => {
            return damaged(id, error.to_string());
        }
        Err(error) => return Err(error.into()),
    };
    let told: Value = match serde_json::from_slice(&bytes) {
        Ok(told) => told,
        Err(error) => return damaged(id, format!("{}: {error}", record.key)),
    };
    let grid = &told["grid"];
    let used = |name: &str| grid["usage"][name].as_u64().unwrap_or(0);
    Ok(Some(Ended::Done {
        partly: told["state"] == "PartiallySucceeded",
        spent: Spent {
            cpu_micros: used("cpuMicros"),
            read_requests: used("readRequests"),
            write_requests: used("writeRequests"),
            ..Spent::default()
        },
        best: best(&grid["best"]),
        record: record.key,
        sha256: record.sha256,
    }))
}

/// What a job came to whose results cannot be read. What it cost is known without them, and is settled.
#[allow(clippy::unnecessary_wraps, reason = "it takes the place of an end")]
fn damaged(id: &JobId, message: String) -> Result<Option<Ended>, ObserveError> {
    tracing::error!(job = %id, message, "the results are damaged");
    Ok(Some(Ended::Failed { reason: "resultsDamaged".to_owned(), message }))
}

/// The best trial in words: `sharpe 1.93`.
fn best(best: &Value) -> Option<String> {
    let (metric, value) = (best["metric"].as_str()?, best["value"].as_f64()?);
    Some(format!("{metric} {}", significant(value)))
}

/// Four significant digits, as a person compares them.
fn significant(value: f64) -> String {
    let digits = if value == 0.0 { 0 } else { (3 - value.abs().log10().floor() as i32).clamp(0, 8) };
    format!("{value:.*}", usize::try_from(digits).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_four_digits() {
        for (value, text) in [(1.93456, "1.935"), (-0.0123456, "-0.01235"), (12345.6, "12346"), (0.0, "0")] {
            assert_eq!(significant(value), text);
        }
    }
}
