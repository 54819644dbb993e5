//! Links to results, for whoever may ask for them: as many as a status has room for, the others at another request.

use std::collections::BTreeMap;
use std::time::Duration;

use blockgrid_grid::Plan;
use blockgrid_grid::store::keys;
use blockgrid_job::names::LinksRequest;
use blockgrid_job::status::{JobStatus, Links, MAX_STATUS_BYTES};
use blockgrid_results::files::{PLAN, RECORD, TABLES, TRACES};
use jiff::{SignedDuration, Timestamp};

use crate::apply::{ApplyError, Target};
use crate::plan::say::written;
use crate::validate;

/// How long links to results work.
const LAST: Duration = Duration::from_secs(3600);

/// Bytes of a status that are left for what may be said later.
const SPARE: usize = 512;

/// Links to what was asked for: files of the job, or candles of its plan. Nobody else's objects can be named; what is not
/// there gets no link, and what the status has no room for neither.
pub(crate) async fn sign(target: &Target<'_>, request: &str, now: Timestamp) -> Result<Links, ApplyError> {
    let Target { job, id, context } = *target;
    let asked = LinksRequest::read(request);
    let status = job.status.clone().unwrap_or_default();
    let wants_candles = asked.files.iter().any(|file| LinksRequest::symbol(file).is_some());
    // Of a data set that was taken back since they are nobody's to read.
    let is_theirs = || {
        validate::dataset(&job.manifest())
            .is_none_or(|name| context.config.dataset(name, &target.namespace()).is_ok())
    };
    let plan: Option<Plan> = if wants_candles && is_theirs() {
        Some(serde_json::from_slice(&context.store.get(&keys::plan(id)).await?)?)
    } else {
        None
    };
    let key = |file: &str| -> Option<String> {
        if let Some(symbol) = LinksRequest::symbol(file) {
            let plan = plan.as_ref()?;
            return Some(keys::candles(&plan.tenant, &plan.inputs.symbols.get(symbol)?.digest));
        }
        match file {
            PLAN => Some(keys::plan(id)),
            RECORD => Some(status.results.as_ref()?.record.clone()),
            _ => (file == TRACES || TABLES.contains(&file)).then(|| keys::out(id, file)),
        }
    };
    let all = || [PLAN, RECORD, TRACES].into_iter().chain(TABLES).map(str::to_owned).collect();
    let files: Vec<String> = if asked.files.is_empty() { all() } else { asked.files };
    let until = now.checked_add(SignedDuration::try_from(LAST).unwrap_or_default()).unwrap_or(now);
    let mut links = Links { request: request.to_owned(), until: written(until), ..Links::default() };
    let mut signed = Vec::new();
    for file in files {
        if let Some(key) = key(&file) {
            signed.push((file, context.public.signed_get(&key, LAST).await?));
        }
    }
    links.files = within(room(&status, &links)?, signed);
    Ok(links)
}

/// As many as so many bytes have room for, and one in any case: a request must lead to something.
fn within(mut room: usize, signed: Vec<(String, String)>) -> BTreeMap<String, String> {
    let mut files = BTreeMap::new();
    for (file, link) in signed {
        // As JSON: nothing of either needs an escape.
        let bytes = file.len() + link.len() + r#""":"","#.len();
        if bytes > room && !files.is_empty() {
            break;
        }
        room = room.saturating_sub(bytes);
        files.insert(file, link);
    }
    files
}

/// Bytes that a status has room for beside what it says and these links.
fn room(status: &JobStatus, links: &Links) -> Result<usize, serde_json::Error> {
    let with = JobStatus { links: Some(links.clone()), ..status.clone() };
    Ok(MAX_STATUS_BYTES.saturating_sub(serde_json::to_vec(&with)?.len() + SPARE))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Temporary keys stand in every link, and those of a role can be thousands of bytes long.
    #[test]
    fn links_that_there_is_no_room_for_are_left_for_another_request() {
        let status = JobStatus { message: Some("m".repeat(1000)), ..JobStatus::default() };
        let mut links = Links { request: "r".to_owned(), until: "u".to_owned(), ..Links::default() };
        for (bytes, fit) in [(700, 6), (3_000, 4), (20_000, 1)] {
            let link = |n: usize| (format!("file{n}"), "l".repeat(bytes));
            links.files = within(room(&status, &links).unwrap(), (0..6).map(link).collect());
            assert_eq!(links.files.len(), fit, "of {bytes} bytes");
            let with = JobStatus { links: Some(links.clone()), ..status.clone() };
            assert_eq!(serde_json::to_vec(&with).unwrap().len() <= MAX_STATUS_BYTES, fit > 1);
            links.files.clear();
        }
    }
}
