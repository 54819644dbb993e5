//! What there is to pay for beside the processors of jobs: requests to the store, and what the platform costs while nobody
//! uses it. Prices are data.

use blockgrid_grid::store::Usage;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Deserialize;

/// Prices of what is not a compute class. All are 0 unless the configuration says otherwise.
#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Costs {
    /// Dollars a month of what is there whether or not anything runs: control plane, Redis, nodes of the operator.
    pub fixed_monthly_usd: f64,
    /// Micro-USD of a thousand requests that read.
    #[serde(rename = "microUsdPer1000Reads")]
    pub micro_usd_a_1000_reads: u64,
    /// Micro-USD of a thousand requests that write or list.
    #[serde(rename = "microUsdPer1000Writes")]
    pub micro_usd_a_1000_writes: u64,
}

/// Requests that a job makes at most, whatever its size, and for each of its units: to hold money for them. Measured: 19 of
/// a job of two shards, planning aside.
const AROUND_A_JOB: u64 = 40;
const A_UNIT: u64 = 5;

/// Requests that read and that write, of each unit if nothing goes wrong and around all of them: 7 and 12 of a job of two
/// shards, measured. Of a unit of traces they are 3 and 2.
const READS_A_UNIT: u64 = 2;
const WRITES_A_UNIT: u64 = 3;
const READS_AROUND: u64 = 3;
const WRITES_AROUND: u64 = 6;

impl Costs {
    /// What is wrong with them, if anything is.
    ///
    /// # Errors
    /// The field, its value, and what it must be.
    pub fn check(&self) -> Result<(), String> {
        let fixed = self.fixed_monthly_usd;
        if !(0.0..=1e7).contains(&fixed) {
            return Err(format!("costs.fixedMonthlyUsd is {fixed}, but must be dollars from 0 to 10000000"));
        }
        Ok(())
    }

    /// Micro-USD of requests, rounded up.
    pub fn requests(&self, reads: u64, writes: u64) -> u64 {
        let thousandths = u128::from(reads) * u128::from(self.micro_usd_a_1000_reads)
            + u128::from(writes) * u128::from(self.micro_usd_a_1000_writes);
        u64::try_from(thousandths.div_ceil(1000)).unwrap_or(u64::MAX)
    }

    /// Micro-USD of what a store was asked for, rounded up. Removing costs nothing.
    pub fn usage(&self, usage: &Usage) -> u64 {
        self.requests(usage.gets, usage.puts)
    }

    /// Micro-USD of the requests that a job of so many units, shards and traces, makes if nothing goes wrong.
    pub fn requests_about(&self, units: u64) -> u64 {
        self.requests(
            units.saturating_mul(READS_A_UNIT).saturating_add(READS_AROUND),
            units.saturating_mul(WRITES_A_UNIT).saturating_add(WRITES_AROUND),
        )
    }

    /// Micro-USD of the requests that so many shards have made when they are done.
    pub fn requests_of_shards(&self, done: u64) -> u64 {
        self.requests(done.saturating_mul(READS_A_UNIT), done.saturating_mul(WRITES_A_UNIT))
    }

    /// Micro-USD of the requests that a job of so many units may make.
    pub fn requests_of_a_job(&self, units: u64) -> u64 {
        let each = units.saturating_mul(A_UNIT).saturating_add(AROUND_A_JOB);
        self.requests(each, each)
    }

    /// Micro-USD of the month so far that are there to pay whether or not anything runs.
    pub fn fixed(&self, now: Timestamp) -> u64 {
        let (gone, whole) = seconds_of_month(now);
        let monthly = (self.fixed_monthly_usd * 1e6).round() as u128;
        u64::try_from(monthly * u128::from(gone) / u128::from(whole.max(1))).unwrap_or(u64::MAX)
    }
}

/// Seconds of the month, in UTC, that are gone, and that it has.
pub fn seconds_of_month(now: Timestamp) -> (u64, u64) {
    let day = now.to_zoned(TimeZone::UTC);
    let whole = u64::from(day.days_in_month().unsigned_abs()) * 86_400;
    let first = day.first_of_month().and_then(|first| first.start_of_day());
    let gone = first.map_or(0, |first| now.as_second() - first.timestamp().as_second());
    (u64::try_from(gone).unwrap_or(0), whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// S3 Standard in us-east-1: $0.0004 a thousand GETs, $0.005 a thousand PUTs.
    const S3: Costs =
        Costs { fixed_monthly_usd: 310.0, micro_usd_a_1000_reads: 400, micro_usd_a_1000_writes: 5000 };

    #[test]
    fn requests_are_priced_by_the_thousand_and_rounded_up() {
        assert_eq!(S3.requests(7, 12), 63);
        assert_eq!(S3.requests(0, 0), 0);
        assert_eq!(S3.requests(1, 0), 1);
        assert_eq!(S3.requests(1_000_000, 1_000_000), 5_400_000);
        assert_eq!(S3.requests(u64::MAX, u64::MAX), u64::MAX);
        assert_eq!(Costs::default().requests(9, 9), 0);
        assert_eq!(S3.requests_about(2), S3.requests(7, 12));
        assert!(S3.requests_of_a_job(2) > S3.requests_about(2));
    }

    #[test]
    fn what_is_fixed_grows_with_the_month() {
        let at = |text: &str| S3.fixed(text.parse().unwrap());
        assert_eq!(at("2026-01-01T00:00:00Z"), 0);
        assert_eq!(at("2026-01-02T00:00:00Z"), 10_000_000);
        assert_eq!(at("2026-01-31T12:00:00Z"), 305_000_000);
        assert_eq!(at("2026-02-01T00:00:00Z"), 0);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let costs = Costs { fixed_monthly_usd: -1.0, ..S3 };
        assert!(costs.check().unwrap_err().starts_with("costs.fixedMonthlyUsd is -1"));
        assert!(Costs { fixed_monthly_usd: f64::NAN, ..S3 }.check().is_err());
    }
}
