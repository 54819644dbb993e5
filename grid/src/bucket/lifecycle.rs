//! The rules by which a bucket forgets: which ones the grid wants, and whether those that are there do.

use aws_sdk_s3::error::BuildError;
use aws_sdk_s3::operation::get_bucket_lifecycle_configuration::GetBucketLifecycleConfigurationOutput;
use aws_sdk_s3::types::{
    AbortIncompleteMultipartUpload, ExpirationStatus, LifecycleExpiration, LifecycleRule,
    LifecycleRuleFilter, NoncurrentVersionExpiration,
};

use super::{Asked, Bucket, Finding, Policy, State};

const UPLOADS: &str = "unfinished uploads";
const CACHE: &str = "expiry of the cache";
const JOBS: &str = "expiry of jobs";

/// Where versions are kept, how many days what was removed or expired can still be had back.
const VERSIONS_DAYS: i32 = 7;

/// Whether a finding is about a rule.
pub(super) fn is_one(what: &str) -> bool {
    [UPLOADS, CACHE, JOBS].contains(&what)
}

/// The rules of a policy for a store under a prefix, which is in their names: several stores may share a bucket. `ledger/`, `admission/` and `candles/` do not expire.
pub(super) fn wanted(prefix: &str, policy: &Policy) -> Result<Vec<LifecycleRule>, BuildError> {
    let rule = |id: &str, under: String| {
        LifecycleRule::builder()
            .id(format!("blockgrid-{prefix}{id}"))
            .status(ExpirationStatus::Enabled)
            .filter(LifecycleRuleFilter::builder().prefix(under).build())
    };
    let expiring = |id: &str, days: u16| {
        let after = LifecycleExpiration::builder().days(days.into()).build();
        let versions = NoncurrentVersionExpiration::builder().noncurrent_days(VERSIONS_DAYS).build();
        let rule = rule(id, format!("{prefix}{id}/")).expiration(after);
        rule.noncurrent_version_expiration(versions).build()
    };
    let abort = AbortIncompleteMultipartUpload::builder().days_after_initiation(policy.upload_days.into());
    let uploads =
        rule("uploads", prefix.to_owned()).abort_incomplete_multipart_upload(abort.build()).build()?;
    Ok(vec![uploads, expiring("cache", policy.cache_days)?, expiring("jobs", policy.jobs_days)?])
}

/// What the rules that are there amount to.
pub(super) fn findings(
    bucket: &Bucket,
    asked: Asked<GetBucketLifecycleConfigurationOutput>,
    policy: &Policy,
) -> Vec<Finding> {
    let rules = match asked {
        Asked::Set(found) => found.rules.unwrap_or_default(),
        Asked::Unset => Vec::new(),
        Asked::Unsupported => {
            let says = |under: &str| {
                format!("the server has no lifecycle rules: remove old {under} by a schedule of your own")
            };
            return [
                (UPLOADS, "unfinished uploads"),
                (CACHE, "objects under cache/"),
                (JOBS, "objects under jobs/"),
            ]
            .map(|(what, under)| Finding::new(what, State::Unsupported, says(under)))
            .into();
        }
        Asked::Failed(error) => {
            return [UPLOADS, CACHE, JOBS]
                .map(|what| Finding::new(what, State::Unknown, error.to_string()))
                .into();
        }
    };
    let prefix = &bucket.prefix;
    let days = |under: String, days: fn(&LifecycleRule) -> Option<i32>| {
        rules.iter().filter(|rule| covers(rule, &under)).filter_map(days).min()
    };
    let uploads = days(prefix.clone(), |rule| {
        rule.abort_incomplete_multipart_upload().and_then(|abort| abort.days_after_initiation())
    });
    let expires = |under: &str| {
        days(format!("{prefix}{under}/"), |rule| rule.expiration().and_then(|expires| expires.days()))
    };
    vec![
        finding(UPLOADS, uploads, policy.upload_days),
        finding(CACHE, expires("cache"), policy.cache_days),
        finding(JOBS, expires("jobs"), policy.jobs_days),
    ]
}

fn finding(what: &'static str, found: Option<i32>, wanted: u16) -> Finding {
    let remedy = "run `blockgrid bucket setup`";
    match found {
        Some(days) if days == i32::from(wanted) => {
            Finding::new(what, State::Ok, format!("after {days} days"))
        }
        Some(days) => {
            let says =
                format!("after {days} days, where {wanted} are wanted: {remedy}, or remove the other rule");
            Finding::new(what, State::Missing, says)
        }
        None => Finding::new(what, State::Missing, format!("never; {wanted} days are wanted: {remedy}")),
    }
}

/// Whether a rule holds for all objects under a prefix.
fn covers(rule: &LifecycleRule, under: &str) -> bool {
    let of_filter = rule.filter().map(|filter| {
        let narrow = filter.tag().is_some()
            || filter.and().is_some()
            || filter.object_size_greater_than().is_some()
            || filter.object_size_less_than().is_some();
        !narrow && under.starts_with(filter.prefix().unwrap_or_default())
    });
    #[expect(deprecated, reason = "rules of old tools have their prefix there")]
    let of_rule = rule.prefix().map(|prefix| under.starts_with(prefix));
    *rule.status() == ExpirationStatus::Enabled && of_filter.or(of_rule).unwrap_or(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_wanted_rules_are_found_to_be_right_and_others_are_not() {
        let options = crate::Options {
            endpoint: Some("http://127.0.0.1:9".to_owned()),
            credentials: Some(crate::store::Credentials {
                key_id: "a".to_owned(),
                secret: "b".to_owned(),
                token: None,
            }),
            ..Default::default()
        };
        let policy = Policy::default();
        for location in ["s3://bucket", "s3://bucket/some/prefix"] {
            let bucket = Bucket::open(location, &options).await.unwrap();
            let states = |rules: Vec<LifecycleRule>, policy: &Policy| {
                let output = GetBucketLifecycleConfigurationOutput::builder().set_rules(Some(rules)).build();
                let found = findings(&bucket, Asked::Set(output), policy);
                found.into_iter().map(|finding| finding.state).collect::<Vec<_>>()
            };
            use State::{Missing, Ok};
            let wanted = wanted(&bucket.prefix, &policy).unwrap();
            assert_eq!(states(wanted.clone(), &policy), [Ok, Ok, Ok]);
            assert_eq!(states(wanted[..2].to_vec(), &policy), [Ok, Ok, Missing]);
            assert_eq!(states(vec![], &policy), [Missing; 3]);
            assert_eq!(states(wanted.clone(), &Policy { cache_days: 31, ..policy }), [Ok, Missing, Ok]);
            let mut off = wanted.clone();
            off[1].status = ExpirationStatus::Disabled;
            assert_eq!(states(off, &policy), [Ok, Missing, Ok]);
            let mut elsewhere = wanted;
            elsewhere[2].filter = Some(LifecycleRuleFilter::builder().prefix("other/").build());
            assert_eq!(states(elsewhere, &policy), [Ok, Ok, Missing]);
        }
    }
}
