//! The terms that a job was let in by. They are written down with the money that is held for it, and what it costs goes by
//! them to its end: whatever its spec, the prices and the limits of the platform have become since.

use blockgrid_job::quote::Price;
use blockgrid_job::status::{JobStatus, Terms};

use crate::costs::Costs;

/// What a job is charged at.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Rates {
    /// Of its processors.
    pub price: Price,
    /// Of its requests to the store.
    pub costs: Costs,
    /// Thousandths of a vCPU that a worker of it has.
    pub millicpus: u64,
    /// Seconds until workers that have cost enough are found out and have stopped. The platform's at this moment, and no term.
    pub stopping_seconds: u64,
}

/// The terms of a job that is let in now.
pub fn of(rates: &Rates, deadline_seconds: i64) -> Terms {
    Terms {
        micro_usd_per_vcpu_hour: rates.price.micro_usd_a_vcpu_hour,
        micro_usd_per_1000_reads: rates.costs.micro_usd_a_1000_reads,
        micro_usd_per_1000_writes: rates.costs.micro_usd_a_1000_writes,
        millicpus: rates.millicpus,
        deadline_seconds: u64::try_from(deadline_seconds).unwrap_or(0),
    }
}

/// What a job is charged at: what it was let in by; until then its processors at what it was quoted at, and the rest at
/// what is offered. `offered` is `None` where its spec is no good (any more).
pub fn rates(status: &JobStatus, quoted: Option<&Price>, offered: Option<&Rates>) -> Rates {
    // Of one of which nobody knows what it asks for nothing has run.
    let mut rates = offered.cloned().unwrap_or_else(|| Rates {
        millicpus: 1000,
        stopping_seconds: 110,
        ..Rates::default()
    });
    if let Some(terms) = &status.terms {
        rates.price.micro_usd_a_vcpu_hour = terms.micro_usd_per_vcpu_hour;
        rates.costs.micro_usd_a_1000_reads = terms.micro_usd_per_1000_reads;
        rates.costs.micro_usd_a_1000_writes = terms.micro_usd_per_1000_writes;
        rates.millicpus = terms.millicpus;
    } else if let Some(price) = quoted {
        rates.price = price.clone();
    }
    rates
}
