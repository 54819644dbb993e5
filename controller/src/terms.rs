//! The terms that a job was let in by. They are written down with the money that is held for it, and what it costs goes by
//! them to its end: whatever its spec, the prices and the limits of the platform have become since.

use blockgrid_job::quote::Price;
use blockgrid_job::status::{JobStatus, Terms};

use crate::costs::Costs;
use crate::world::Asked;

/// What a job is charged at.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Rates {
    /// Of its processors.
    pub price: Price,
    /// Of its requests to the store.
    pub costs: Costs,
    /// Thousandths of a vCPU that a worker of it has.
    pub millicpus: u64,
}

/// The terms of a job that is let in now.
pub fn of(asked: &Asked) -> Terms {
    Terms {
        micro_usd_per_vcpu_hour: asked.price.micro_usd_a_vcpu_hour,
        micro_usd_per_1000_reads: asked.costs.micro_usd_a_1000_reads,
        micro_usd_per_1000_writes: asked.costs.micro_usd_a_1000_writes,
        millicpus: asked.millicpus,
        deadline_seconds: u64::try_from(asked.deadline_seconds).unwrap_or(0),
    }
}

/// What a job asks for, with the prices that it was let in by.
pub fn keep(status: &JobStatus, asked: &mut Asked) {
    if let Some(terms) = &status.terms {
        asked.price.micro_usd_a_vcpu_hour = terms.micro_usd_per_vcpu_hour;
        asked.costs = costs(terms, asked.costs);
        asked.millicpus = terms.millicpus;
    }
}

/// What a job is charged at, though its spec may be no good any more.
pub fn rates(status: &JobStatus, asked: Option<&Asked>) -> Rates {
    match (&status.terms, asked) {
        (_, Some(asked)) => {
            Rates { price: asked.price.clone(), costs: asked.costs, millicpus: asked.millicpus }
        }
        (Some(terms), None) => Rates {
            price: Price { micro_usd_a_vcpu_hour: terms.micro_usd_per_vcpu_hour, ..Price::default() },
            costs: costs(terms, Costs::default()),
            millicpus: terms.millicpus,
        },
        // Nothing was ever held for it, so that nothing of it has run.
        (None, None) => Rates { millicpus: 1000, ..Rates::default() },
    }
}

fn costs(terms: &Terms, now: Costs) -> Costs {
    Costs {
        micro_usd_a_1000_reads: terms.micro_usd_per_1000_reads,
        micro_usd_a_1000_writes: terms.micro_usd_per_1000_writes,
        ..now
    }
}
